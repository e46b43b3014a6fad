// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What was learned into a file that is there: all of it, and nothing of others lost. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "event_text.h"
#include "learn.h"
#include "learn_file.h"
#include "policy.h"
#include "policy_edit.h"
#include "util.h"

#define WRITERS 3
#define RULES 6

static char dir[64], file[96];

static void put(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static const char *get(void)
{
	static char text[65536];
	FILE *f = fopen(file, "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/learn_file.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(file, sizeof(file), "%s/p.yaml", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(file) || rmdir(dir);
}

#define RULE(kind_, text_, options_) \
	{ .kind = (kind_), .perm = EG_R, .text = (char *)(text_), .options = (char *)(options_), \
	  .why = (char *)"by test" }

static size_t merge(struct learn_rule *rules, size_t n)
{
	struct learned l = { .rules = rules, .nrules = n };
	struct diag d = {};
	size_t left = 99;

	assert_int_equal(learn_file_merge_write(file, &l, false, 0, 0, &left, &d), 0);
	return left;
}

static void every_kind(void **state)
{
	struct learn_rule rules[] = {
		RULE(LEARN_ALLOW, "a.example", NULL),
		RULE(LEARN_ALLOW, "b.example", "ports: [8080], tls: off, private: true"),
		RULE(LEARN_ALLOW, "c.example", "ports: [\"53/udp\"], tls: off"),
		RULE(LEARN_ALLOW, "d.example", "ports: [3128], proxy: true"),
		RULE(LEARN_LOOPBACK, "5432", NULL),
		RULE(LEARN_UNIX, "/run/x", NULL),
		RULE(LEARN_SOCKET, "netlink:audit", NULL),
		RULE(LEARN_FILE, "/data", NULL),
	};
	struct learned l = { .rules = rules, .nrules = ARRAY_SIZE(rules) };
	struct policy *p = NULL;
	struct text t = { 0 };
	struct diag d = {};

	(void)state;
	put("version: 1 # mine\n");
	assert_int_equal(learn_file_merge(file, &l, &t, &d), 0);
	assert_string_equal(get(), "version: 1 # mine\n");
	assert_int_equal(merge(rules, ARRAY_SIZE(rules)), 0);
	assert_string_equal(get(), t.p);
	assert_int_equal(policy_load(file, NULL, &p, &d), 0);
	assert_int_equal(p->allow.n, 4);
	assert_int_equal(p->allow.v[1].flags, POLICY_D_TLS_OFF | POLICY_D_PRIVATE);
	assert_int_equal(p->allow.v[3].flags, POLICY_D_PROXY);
	/* ports of its own were open before, and are still */
	assert_true(p->loopback.own);
	assert_int_equal(p->loopback.ports.n, 1);
	policy_free(p);
	assert_int_equal(merge(rules, ARRAY_SIZE(rules)), 0);
	assert_string_equal(get(), t.p);
	text_free(&t);
}

/* What somebody decided otherwise is not decided again; whoever ran it must know. */
static void what_is_in_the_way(void **state)
{
	struct learn_rule rules[] = {
		RULE(LEARN_FILE, "/data", NULL),
		RULE(LEARN_LOOPBACK, "5432", NULL),
		RULE(LEARN_FILE, "/more", NULL),
	};

	(void)state;
	put("version: 1\negress: {loopback: none}\nfiles: {/data: none}\n");
	assert_int_equal(merge(rules, ARRAY_SIZE(rules)), 2);
	assert_string_equal(get(), "version: 1\negress: {loopback: none}\n"
				   "files: {/data: none, /more: r}  # by test\n");
}

static void write_some(unsigned int who)
{
	for (unsigned int i = 0; i < RULES; i++) {
		char text[64], rule[96];
		struct learn_rule r = RULE(LEARN_FILE, text, NULL);
		struct learned l = { .rules = &r, .nrules = 1 };
		struct diag d = {};
		size_t left;

		(void)snprintf(text, sizeof(text), "/w%u/%u", who, i);
		(void)snprintf(rule, sizeof(rule), "open %s r", text);
		if (who ? learn_file_merge_write(file, &l, false, 0, 0, &left, &d) || left :
			  policy_save(file, rule, NULL, &d))
			_exit(1);
	}
	_exit(0);
}

/* Merging and saving at once. */
static void at_once(void **state)
{
	char rule[64];
	int status;

	(void)state;
	put("version: 1\nfiles:\n  /a: r\n");
	for (unsigned int i = 0; i < WRITERS; i++)
		if (!fork())
			write_some(i);
	for (unsigned int i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (unsigned int i = 0; i < WRITERS * RULES; i++) {
		(void)snprintf(rule, sizeof(rule), "\n  /w%u/%u: r", i / RULES, i % RULES);
		assert_non_null(strstr(get(), rule));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_in_the_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(at_once, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("learn_file", tests, NULL, NULL);
}
