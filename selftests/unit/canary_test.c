// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What rounds of proofs mean over time: silence at once, no false alarm, nothing forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "canary.h"
#include "prove.h"
#include "util.h"

#define S 1000000ull /* a second */

static struct canary c;
static struct prove_result r[PROVE_MAX_ROWS];

static int fresh(void **state)
{
	(void)state;
	c = (struct canary){};
	for (size_t i = 0; i < prove_nrows; i++)
		r[i] = (struct prove_result){ .state = PROVE_PROVED };
	return 0;
}

static size_t row_of(const char *prog)
{
	for (size_t i = 0; i < prove_nrows; i++)
		if (str_eq(prove_rows[i].prog, prog))
			return i;
	fail_msg("no row for %s", prog);
	return 0;
}

static void set_layer(bool cgroup, enum prove_state to)
{
	for (size_t i = 0; i < prove_nrows; i++)
		if (prove_rows[i].cgroup == cgroup)
			r[i].state = to;
}

static bool says(uint64_t now, enum canary_state state, const char *text, const char *remedy)
{
	struct canary_words w;

	assert_int_equal(canary_words(&c, now, &w), state);
	return strstr(w.text, text) && strstr(w.remedy, remedy);
}

static void from_the_start(void **state)
{
	struct canary_words w;

	(void)state;
	assert_true(says(1 * S, CANARY_UNPROVED, "not proved yet", "doctor"));
	assert_int_equal(canary_deadline(&c), 0);
	canary_failed(&c, "no memory\033[31m");
	assert_true(says(2 * S, CANARY_UNPROVED, "cannot be proved: no memory\\x1b", "doctor"));
	canary_round(&c, r, 3 * S, 3 * S + 1);
	assert_int_equal(canary_words(&c, 4 * S, &w), CANARY_PROVED);
	assert_string_equal(w.text, "");
	assert_string_equal(w.remedy, "");
	assert_int_equal(canary_deadline(&c), 3 * S + CANARY_FRESH_US);
}

static void silence_is_told_at_once_and_kept(void **state)
{
	size_t open = row_of("file_open"), mq = row_of("mq_create");

	(void)state;
	canary_round(&c, r, 1 * S, 1 * S + 1);
	r[open].state = PROVE_SILENT;
	canary_round(&c, r, 4 * S, 4 * S + 1);
	assert_true(says(4 * S, CANARY_SILENT, "a hook is silent: file_open (LSM: open a file)",
			 "restart egressd"));
	/* that it cannot be tried is no proof, nor is a round that comes to nothing */
	r[open].state = PROVE_UNTRIED;
	canary_round(&c, r, 7 * S, 7 * S + 1);
	assert_int_equal(canary_state(&c, 7 * S), CANARY_SILENT);
	canary_failed(&c, "no memory");
	assert_int_equal(canary_state(&c, 60 * S), CANARY_SILENT);
	assert_false(canary_is_lost(&c, open, 60 * S)); /* it is worse */
	r[mq].state = PROVE_SILENT;
	canary_round(&c, r, 61 * S, 61 * S + 1);
	assert_true(says(61 * S, CANARY_SILENT, "hooks are silent: file_open (LSM", "them"));
	r[open].state = r[mq].state = PROVE_PROVED;
	canary_round(&c, r, 64 * S, 64 * S + 1);
	assert_int_equal(canary_state(&c, 64 * S), CANARY_PROVED);
}

static void layers_are_two(void **state)
{
	(void)state;
	set_layer(false, PROVE_SILENT);
	r[row_of("d_move")].state = PROVE_UNTRIED;
	canary_round(&c, r, 1 * S, 1 * S + 1);
	assert_true(says(1 * S, CANARY_SILENT, "the LSM layer is silent", "ftrace_enabled=1"));
	set_layer(true, PROVE_SILENT);
	canary_round(&c, r, 4 * S, 4 * S + 1);
	assert_true(says(4 * S, CANARY_SILENT, "both layers", "ftrace_enabled=1"));
	set_layer(false, PROVE_PROVED);
	canary_round(&c, r, 7 * S, 7 * S + 1);
	assert_true(says(7 * S, CANARY_SILENT, "the cgroup layer is silent", "restart egressd"));
	/* one is silent, of the other a single hook: all are named, as far as there is room */
	set_layer(false, PROVE_SILENT);
	set_layer(true, PROVE_PROVED);
	r[row_of("connect4")].state = PROVE_SILENT;
	canary_round(&c, r, 10 * S, 10 * S + 1);
	assert_true(says(10 * S, CANARY_SILENT, " more", "restart egressd"));
}

static void egress_only_has_one(void **state)
{
	(void)state;
	set_layer(false, PROVE_ABSENT);
	canary_round(&c, r, 1 * S, 1 * S + 1);
	assert_int_equal(canary_state(&c, 2 * S), CANARY_PROVED);
	set_layer(true, PROVE_UNTRIED);
	canary_round(&c, r, 4 * S, 4 * S + 1);
	assert_int_equal(canary_state(&c, 5 * S), CANARY_PROVED);
	assert_true(says(11 * S, CANARY_UNPROVED, "no hook of a layer can be tried", "doctor"));
}

static void what_is_busy_is_no_alarm_until_it_is_late(void **state)
{
	(void)state;
	canary_round(&c, r, 1 * S, 1 * S + 1);
	canary_failed(&c, "cannot start a process");
	assert_int_equal(canary_state(&c, 4 * S), CANARY_PROVED);
	canary_failed(&c, "cannot start a process");
	assert_int_equal(canary_state(&c, 1 * S + CANARY_FRESH_US - 1), CANARY_PROVED);
	assert_true(says(1 * S + CANARY_FRESH_US, CANARY_UNPROVED, "cannot start a process",
			 "doctor"));
	canary_round(&c, r, 12 * S, 12 * S + 1);
	assert_int_equal(canary_state(&c, 13 * S), CANARY_PROVED);
}

/* Every round takes longer than what it proves is fresh: who waited for it is served. */
static void a_host_that_is_slow(void **state)
{
	(void)state;
	canary_round(&c, r, 1 * S, 16 * S);
	assert_int_equal(canary_state(&c, 16 * S), CANARY_PROVED);
	assert_int_equal(canary_deadline(&c), 16 * S + CANARY_GRACE_US);
	assert_int_equal(canary_state(&c, 16 * S + CANARY_GRACE_US), CANARY_UNPROVED);
	canary_round(&c, r, 17 * S, 32 * S);
	assert_int_equal(canary_state(&c, 32 * S), CANARY_PROVED);
}

/* So that a sandbox that uses up what probes need does not keep others from being made. */
static void one_that_cannot_be_tried_blocks_nothing(void **state)
{
	size_t notify = row_of("path_notify");

	(void)state;
	canary_round(&c, r, 1 * S, 1 * S + 1);
	r[notify].state = PROVE_UNTRIED;
	canary_round(&c, r, 4 * S, 4 * S + 1);
	assert_false(canary_is_lost(&c, notify, 5 * S));
	canary_round(&c, r, 10 * S, 10 * S + 1);
	assert_true(canary_is_lost(&c, notify, 11 * S));
	assert_int_equal(canary_state(&c, 11 * S), CANARY_PROVED);
	r[notify].state = PROVE_PROVED;
	canary_round(&c, r, 13 * S, 13 * S + 1);
	assert_false(canary_is_lost(&c, notify, 30 * S));
}

static void one_that_never_could_is_not_lost(void **state)
{
	size_t umount = row_of("sb_umount");

	(void)state;
	r[umount].state = PROVE_UNTRIED;
	canary_round(&c, r, 1 * S, 1 * S + 1);
	canary_round(&c, r, 20 * S, 20 * S + 1);
	assert_false(canary_is_lost(&c, umount, 21 * S));
	assert_int_equal(canary_state(&c, 21 * S), CANARY_PROVED);
}

/* Ten seconds: the round that sees it begins CANARY_EVERY_MAX_MS later, and may be late. */
static void in_ten_seconds(void **state)
{
	(void)state;
	assert_true(CANARY_FRESH_US < 10 * S);
	assert_true(2 * CANARY_EVERY_MAX_MS * 1000ull < CANARY_FRESH_US);
	assert_true(CANARY_EVERY_MIN_MS <= CANARY_EVERY_MS);
	assert_true(CANARY_EVERY_MS <= CANARY_EVERY_MAX_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(from_the_start, fresh),
		cmocka_unit_test_setup(silence_is_told_at_once_and_kept, fresh),
		cmocka_unit_test_setup(layers_are_two, fresh),
		cmocka_unit_test_setup(egress_only_has_one, fresh),
		cmocka_unit_test_setup(what_is_busy_is_no_alarm_until_it_is_late, fresh),
		cmocka_unit_test_setup(a_host_that_is_slow, fresh),
		cmocka_unit_test_setup(one_that_cannot_be_tried_blocks_nothing, fresh),
		cmocka_unit_test_setup(one_that_never_could_is_not_lost, fresh),
		cmocka_unit_test(in_ten_seconds),
	};

	return cmocka_run_group_tests_name("canary", tests, NULL, NULL);
}
