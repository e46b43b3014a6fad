// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What reaches a terminal of names, policies and notes that somebody else chose. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diag.h"
#include "event_text.h"
#include "print.h"
#include "util.h"

static const struct {
	const char *chosen, *text;
	const char *json; /* of a string that is UTF-8; NULL: no JSON value can be it */
} hostile[] = {
	{ "build-7 é", "build-7 é", "[\"build-7 é\"]" },
	{ "\x1b[2J\n", "\\x1b[2J\\x0a", "[\"\\u001B[2J\\n\"]" },
	{ "\x7f", "\\x7f", "[\"\\u007f\"]" },
	{ "\xc2\x9b""2J", "\\xc2\\x9b2J", "[\"\\u009b2J\"]" }, /* CSI in one character */
	{ "\xc2\x9d""0;x\xc2\x9c", "\\xc2\\x9d0;x\\xc2\\x9c", "[\"\\u009d0;x\\u009c\"]" },
	{ "a\xe2\x80\xae""b", "a\\xe2\\x80\\xaeb", "[\"a\\u202eb\"]" }, /* right to left */
	{ "\xe2\x81\xa6", "\\xe2\\x81\\xa6", "[\"\\u2066\"]" },
	{ "\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81", "[\"\\udb40\\udc41\"]" },
	{ "\x9b""2J", "\\x9b2J", NULL }, /* the same in Latin-1 */
	{ "\xc2", "\\xc2", NULL },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", NULL },
};

static void escape(void **state)
{
	char out[64], twice[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		diag_escape(out, sizeof(out), hostile[i].chosen, strlen(hostile[i].chosen));
		assert_string_equal(out, hostile[i].text);
		diag_escape(twice, sizeof(twice), out, strlen(out));
		assert_string_equal(twice, out);
	}
}

/* Where the room ends, no half of a character and no half of an escape is left. */
static void escape_in_little_room(void **state)
{
	static const struct {
		size_t room;
		const char *want;
	} rows[] = { { 1, "" }, { 2, "a" }, { 3, "a" }, { 4, "aé" }, { 11, "aé" },
		     { 12, "aé\\xc2\\x9b" }, { 13, "aé\\xc2\\x9bz" } };
	char out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		memset(out, '!', sizeof(out));
		diag_escape(out, rows[i].room, "aé\xc2\x9bz", 6);
		assert_string_equal(out, rows[i].want);
		assert_int_equal(out[rows[i].room], '!');
	}
	diag_escape(out, 0, "a", 1);
}

static void messages(void **state)
{
	struct diag d = {};
	char text[128];

	(void)state;
	(void)diag_at(&d, -EINVAL, "/p\xc2\x9b.yaml", 3, 1, "no policy named \"%s\"",
		      "\xe2\x80\xae");
	assert_string_equal(diag_text(&d, text, sizeof(text)),
			    "/p\\xc2\\x9b.yaml:3:1: no policy named \"\\xe2\\x80\\xae\"");
}

static char *printed(const char *text, const json_t *j, char *buf, size_t size)
{
	FILE *f = fmemopen(buf, size, "w");

	assert_non_null(f);
	if (j)
		assert_int_equal(print_json(f, j, JSON_COMPACT), 0);
	else
		print_safe(f, text);
	assert_int_equal(fclose(f), 0);
	return buf;
}

static void texts(void **state)
{
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
		assert_string_equal(printed(hostile[i].chosen, NULL, buf, sizeof(buf)),
				    hostile[i].text);
	print_safe(stdout, NULL);
}

/* It looks harmless, and programs read the same from it. */
static void json(void **state)
{
	char buf[128], want[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		json_t *j = json_pack("[s]", hostile[i].chosen), *back;

		assert_int_equal(!!j, !!hostile[i].json);
		if (!j)
			continue;
		(void)snprintf(want, sizeof(want), "%s\n", hostile[i].json);
		assert_string_equal(printed(NULL, j, buf, sizeof(buf)), want);
		back = json_loads(buf, 0, NULL);
		assert_true(json_equal(j, back));
		json_decref(back);
		json_decref(j);
	}
	assert_int_equal(print_json(stdout, NULL, 0), -ENOMEM);
}

/* A file that is called a log may hold anything. */
static void lines_of_others(void **state)
{
	static const char line[] = "{\"a\": \"\xc2\x9b\x9b\"}\n \xff\x1b";
	struct text t = { 0 };

	(void)state;
	text_add_dumped(&t, line, strlen(line));
	assert_string_equal(t.p, "{\"a\": \"\\u009b\\ufffd\"}\n \\ufffd\\u001b");
	text_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escape), cmocka_unit_test(escape_in_little_room),
		cmocka_unit_test(messages), cmocka_unit_test(texts), cmocka_unit_test(json),
		cmocka_unit_test(lines_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
