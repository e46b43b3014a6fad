/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Time of the service that users have had. The clock is the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uid_time.h"

#define SECOND 1000000ull

static void test_one_waits(void **state)
{
	struct uid_times t = {};

	(void)state;
	assert_int_equal(uid_time_wait(&t, 7, SECOND), 0);
	uid_time_charge(&t, 7, UID_TIME_BURST, SECOND);
	assert_int_equal(uid_time_wait(&t, 7, SECOND), 0);
	uid_time_charge(&t, 7, 3 * SECOND, SECOND);
	assert_int_equal(uid_time_wait(&t, 7, SECOND), 6 * SECOND);
	/* somebody else does not */
	uid_time_charge(&t, 8, SECOND, SECOND);
	assert_int_equal(uid_time_wait(&t, 8, SECOND), 0);
	assert_int_equal(uid_time_wait(&t, 7, 5 * SECOND), 2 * SECOND);
	assert_int_equal(uid_time_wait(&t, 7, 7 * SECOND), 0);
	uid_times_clear(&t);
}

/* Who asks as soon as that is possible has half of the time, for ever. */
static void test_half(void **state)
{
	uint64_t now = SECOND, spent = 0;
	struct uid_times t = {};

	(void)state;
	uid_time_charge(&t, 7, UID_TIME_BURST, now);
	for (int i = 0; i < 1000; i++) {
		now += uid_time_wait(&t, 7, now);
		now += SECOND;
		spent += SECOND;
		uid_time_charge(&t, 7, SECOND, now);
	}
	assert_in_range(spent, (now - SECOND) / 2, (now - SECOND) / 2 + 2 * SECOND);
	uid_times_clear(&t);
}

static void test_forgotten(void **state)
{
	struct uid_times t = {};

	(void)state;
	for (uid_t uid = 1; uid <= 1000; uid++)
		uid_time_charge(&t, uid, SECOND, SECOND);
	assert_int_equal(t.n, 1000);
	uid_time_charge(&t, 1, SECOND, 10 * SECOND);
	assert_int_equal(t.n, 1);
	uid_times_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_waits),
		cmocka_unit_test(test_half),
		cmocka_unit_test(test_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
