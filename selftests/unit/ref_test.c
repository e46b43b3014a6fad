/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What people call events and sandboxes, and what is nearest to a wrong name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ref.h"
#include "util.h"

static void events(void **state)
{
	static const char *const bad[] = {
		"", "7", "7.", ".12", "7.12.1", "a.1", "7.a", "07.1", "7.01", "0.1", "7.0", "-7.1",
		"7 .1", "7.12 ", "9223372036854775808.1", "1.9223372036854775808", "Last",
		"11111111111111111111111111111111.1",
	};
	uint64_t sandbox = 0, seq = 0;

	(void)state;
	assert_int_equal(ref_parse_event("7.12", &sandbox, &seq), 0);
	assert_int_equal(sandbox, 7);
	assert_int_equal(seq, 12);
	assert_int_equal(ref_parse_event("9223372036854775807.1", &sandbox, &seq), 0);
	assert_true(sandbox == INT64_MAX && seq == 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(ref_parse_event(bad[i], &sandbox, &seq), -EINVAL);
		assert_true(sandbox == INT64_MAX && seq == 1);
	}
	assert_int_equal(ref_parse_event("last", &sandbox, &seq), 0);
	assert_true(!sandbox && !seq);
}

static void sandboxes(void **state)
{
	json_t *ref;

	(void)state;
	assert_null(ref_sandbox(""));
	assert_null(ref_sandbox("\xff"));
	ref = ref_sandbox("17");
	assert_int_equal(json_integer_value(ref), 17);
	json_decref(ref);
	ref = ref_sandbox("17a");
	assert_string_equal(json_string_value(ref), "17a");
	json_decref(ref);
	ref = ref_sandbox("0017"); /* not how a number is written: a name then */
	assert_true(json_is_string(ref));
	json_decref(ref);
}

static void distances(void **state)
{
	static const struct {
		const char *a, *b;
		size_t far;
	} v[] = {
		{ "", "", 0 },		   { "", "abc", 3 },	     { "build", "build", 0 },
		{ "build", "biuld", 1 },   { "build", "buil", 1 },   { "build", "builds", 1 },
		{ "build", "guild", 1 },   { "kitten", "sitting", 3 }, { "ab", "ba", 1 },
		{ "17", "71", 1 },	   { "agent", "build", 5 },
	};
	char a[200], b[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		assert_int_equal(ref_distance(v[i].a, v[i].b), v[i].far);
		assert_int_equal(ref_distance(v[i].b, v[i].a), v[i].far);
	}
	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	assert_int_equal(ref_distance(a, b), REF_DISTANCE_MAX);
	assert_int_equal(ref_distance(a, ""), REF_DISTANCE_MAX);
}

static void nearest(void **state)
{
	static const char *const words[] = { "run", "revoke", "report", "grants", "g3", "g12" };
	static const struct {
		const char *text, *said;
	} v[] = {
		{ "rnu", "; the nearest is run" },
		{ "revok", "; the nearest is revoke" },
		{ "gratns", "; the nearest is grants" },
		{ "g999", "; the nearest is g3" },
		{ "xyz", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct nearest n = { .text = v[i].text };

		for (size_t k = 0; k < ARRAY_SIZE(words); k++)
			nearest_try(&n, words[k]);
		assert_string_equal(nearest_words(&n), v[i].said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events),
		cmocka_unit_test(sandboxes),
		cmocka_unit_test(distances),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
