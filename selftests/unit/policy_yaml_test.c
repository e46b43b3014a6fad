// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What scalars say: YAML 1.2, 7.3. The build with sanitizers sees what is not freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy_yaml.h"

/* Quotes in one scalar: beyond what libfyaml 0.7.12 has room for before it allocates. */
#define MANY_QUOTES 300

static void scalars(void **state)
{
	static const struct {
		const char *yaml, *text;
	} cases[] = {
		{ "''", "" },
		{ "'it''s'", "it's" },
		{ "''''", "'" },
		{ "''''''", "''" },
		{ "' a  b '", " a  b " },
		{ "'a\\n''\"#: &b'", "a\\n'\"#: &b" },
		{ "'a \n  b'", "a b" },
		{ "'a\r\n  b'", "a b" },
		{ "'a''\n  ''b'", "a' 'b" },
		{ "'\n  a\n  '", " a " },
		{ "\"it's\"", "it's" },
		{ "\"a\\x41\\\"\"", "aA\"" },
		{ "it''s", "it''s" },
		{ "a\n  b", "a b" },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ydoc doc;
		struct diag d = {};

		(void)snprintf(text, sizeof(text), "k: %s\n", cases[i].yaml);
		if (ydoc_parse("p.yaml", text, strlen(text), &doc, &d))
			fail_msg("%s: %s", cases[i].yaml, d.msg);
		assert_string_equal(doc.root->first->text, cases[i].text);
		ydoc_free(&doc);
	}
}

/* An empty line in quotes is an end of line in the text, which no value may have. */
static void empty_lines(void **state)
{
	static const char text[] = "k: 'a\n\n  b'\n";
	struct ydoc doc;
	struct diag d = {};

	(void)state;
	assert_int_equal(ydoc_parse("p.yaml", text, strlen(text), &doc, &d), -EINVAL);
	assert_non_null(strstr(d.msg, "a control character (0x0a)"));
}

static void many_quotes(void **state)
{
	char text[2 * MANY_QUOTES + 8] = "k: '";
	struct ydoc doc;
	struct diag d = {};

	(void)state;
	memset(text + 4, '\'', 2 * MANY_QUOTES + 1);
	assert_int_equal(ydoc_parse("p.yaml", text, strlen(text), &doc, &d), 0);
	assert_int_equal(strlen(doc.root->first->text), MANY_QUOTES);
	assert_int_equal(strspn(doc.root->first->text, "'"), MANY_QUOTES);
	ydoc_free(&doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars),
		cmocka_unit_test(empty_lines),
		cmocka_unit_test(many_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
