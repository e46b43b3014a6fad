/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What automaton.h refuses, and what it keeps small.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "automaton_help.h"

#define R EG_R

static const uint8_t no_default[AUTOMATON_SPACES];

/* ---- what is refused ------------------------------------------------------------------ */

static void refusals(void **state)
{
	static const struct {
		const char *pattern;
		size_t offset;
		const char *says;
		uint8_t space;
	} bad[] = {
		{ "", 0, "absolute", 0 },
		{ "a/b", 0, "absolute", 0 },
		{ "*/b", 0, "absolute", 0 },
		{ "**b/c", 0, "absolute", 0 },
		{ "/a//b", 3, "no name", 0 },
		{ "//", 1, "no name", 0 },
		{ "/a//", 3, "no name", 0 },
		{ "/a/./b", 3, "\".\"", 0 },
		{ "/..", 1, "\"..\"", 0 },
		{ "/a/\\../b", 3, "\"..\"", 0 },
		{ "/a**", 2, "whole names", 0 },
		{ "/**a", 1, "whole names", 0 },
		{ "/a/[a-z", 3, "no end", 0 },
		{ "/a/[]", 3, "no end", 0 },
		{ "/a/[", 3, "no end", 0 },
		{ "/a/[!", 3, "no end", 0 },
		{ "/a/[a\\", 3, "no end", 0 },
		{ "/a/[z-a]", 4, "wrong way", 0 },
		{ "/a/[a/b]", 3, "never '/'", 0 },
		{ "/a/[\xc3\xa4]", 4, "several", 0 },
		{ "/a/[[:alpha:]]", 4, "named classes", 0 },
		{ "/a\\", 2, "escapes nothing", 0 },
		{ "/a\\/b", 2, "no escape", 0 },
		{ "@a", 0, "absolute", AUTOMATON_PATHS },
		{ "@", 1, "empty", AUTOMATON_UNIX },
		{ "@a**", 2, "whole names", AUTOMATON_UNIX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct automaton_rule rules[] = { { "/ok", 0, R, 0 },
						  { bad[i].pattern, 1, R, bad[i].space } };
		struct automaton *a = (void *)1;
		struct automaton_error err = {};

		assert_int_equal(automaton_compile(rules, 2, no_default, &a, &err), -EINVAL);
		assert_ptr_equal(a, (void *)1);
		if (err.rule != 1 || err.offset != bad[i].offset || !strstr(err.msg, bad[i].says) ||
		    !err.expected[0])
			fail_msg("%s: rule %zu, byte %zu: %s (expected %s)", bad[i].pattern,
				 err.rule, err.offset, err.msg, err.expected);
		assert_int_equal(automaton_compile(rules, 2, no_default, &a, NULL), -EINVAL);
	}
}

static void too_long(void **state)
{
	char pattern[EG_PATH_MAX + 2] = "/";
	struct automaton_rule rule = { pattern, 0, R, 0 };
	struct automaton_error err = {};
	struct automaton *a;

	(void)state;
	memset(pattern + 1, 'n', 256);
	assert_int_equal(automaton_compile(&rule, 1, no_default, &a, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "256 bytes"));
	memset(pattern, '/', EG_PATH_MAX);
	for (size_t i = 1; i < EG_PATH_MAX; i += 2)
		pattern[i] = 'a';
	assert_int_equal(automaton_compile(&rule, 1, no_default, &a, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "4096 bytes"));
	memset(pattern, 'n', 200);
	strcpy(pattern + 200, "");
	memcpy(pattern, "@n", 2);
	rule.space = AUTOMATON_UNIX;
	assert_int_equal(automaton_compile(&rule, 1, no_default, &a, &err), -EINVAL);
	rule = (struct automaton_rule){ "/a", 0, 16, 0 };
	assert_int_equal(automaton_compile(&rule, 1, no_default, &a, &err), -EINVAL);
	rule = (struct automaton_rule){ "/a", 0, R, AUTOMATON_SPACES };
	assert_int_equal(automaton_compile(&rule, 1, no_default, &a, &err), -EINVAL);
}

/* Wildcards that multiply are refused with the limit, and with the rule that was one too many. */
static void limits(void **state)
{
	enum { N = 40 };
	struct automaton_rule rules[N + 1];
	char text[N][64];
	struct automaton_error err = {};
	struct automaton *a = NULL;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "/d%u/*%c%c*", i, 'a' + i % 26,
			       'A' + i / 26);
		rules[i] = (struct automaton_rule){ text[i], i, R, 0 };
	}
	rules[N] = (struct automaton_rule){ "/last", N, R, 0 };
	assert_int_equal(automaton_compile(rules, N + 1, no_default, &a, &err), -E2BIG);
	assert_null(a);
	assert_non_null(strstr(err.msg, "AUTOMATON_MAX_"));
	assert_in_range(err.rule, 8, N - 1);
	/* and it really is that one */
	a = automaton_help(rules, err.rule, no_default);
	automaton_free(a);
	assert_int_equal(automaton_compile(rules, err.rule + 1, no_default, &a, NULL), -E2BIG);
}

static void star_and_questions(void **state)
{
	static const struct automaton_rule rule = { "/*a????????????????????????", 0, R, 0 };
	struct automaton_error err = {};
	struct automaton *a = NULL;

	(void)state;
	assert_int_equal(automaton_compile(&rule, 1, no_default, &a, &err), -E2BIG);
	assert_int_equal(err.rule, 0);
}

/* Patterns that all mean the same do not multiply. */
static void same_patterns_merge(void **state)
{
	enum { N = 60 };
	struct automaton_rule rules[N];
	struct automaton_stats st;
	struct automaton *a;
	char text[N][64];

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "**/*%c%c*", 'a' + i % 26, 'A' + i / 26);
		rules[i] = (struct automaton_rule){ text[i], i, 0, 0 };
	}
	a = automaton_help(rules, N, (const uint8_t[AUTOMATON_SPACES]){ R, 0 });
	automaton_stats(a, &st);
	assert_true(st.name_states < 2000);
	assert_int_equal(st.dir_states, 1); /* all but what is refused for ever */
	automaton_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(too_long),
		cmocka_unit_test(limits),
		cmocka_unit_test(star_and_questions),
		cmocka_unit_test(same_patterns_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
