// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names that somebody else chose, the words of the format, and the way back from text. */
#include <errno.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "compile.h"
#include "event_help.h"
#include "event_text.h"
#include "eventlog.h"
#include "util.h"

/* ---- hostile names ------------------------------------------------------------------ */

static const struct {
	const char *name, *json, *line;
} hostile[] = {
	{ "/a\nfake", "\"/a\\u000afake\"", "\"/a\\x0afake\"" },
	{ "/\x1b[2J", "\"/\\u001b[2J\"", "\"/\\x1b[2J\"" },
	{ "/\x7f", "\"/\\u007f\"", "\"/\\x7f\"" },
	{ "/\"},{\"", "\"/\\\"},{\\\"\"", "\"/\\\"},{\\\"\"" },
	{ "/\\x41", "\"/\\\\x41\"", "\"/\\\\x41\"" },
	{ "/a b", "\"/a b\"", "\"/a b\"" },
	{ "/\xc3\xa9", "\"/\xc3\xa9\"", "\"/\xc3\xa9\"" },
	{ "/\xc2\x9b", "\"/\\u009b\"", "\"/\\xc2\\x9b\"" }, /* CSI in one character */
	{ "/\xe2\x80\xae", "\"/\\u202e\"", "\"/\\xe2\\x80\\xae\"" }, /* right-to-left override */
	{ "/\xf3\xa0\x81\x81", "\"/\\udb40\\udc41\"", "\"/\\xf3\\xa0\\x81\\x81\"" },
	{ "/\xff", "\"/\\ufffd\",\"path_hex\":\"2fff\"", "\"/\\xff\"" },
	{ "/\xc3", "\"/\\ufffd\",\"path_hex\":\"2fc3\"", "\"/\\xc3\"" },
	{ "/\xc0\xaf", "\"/\\ufffd\\ufffd\",\"path_hex\":\"2fc0af\"", "\"/\\xc0\\xaf\"" },
	{ "/\xed\xa0\x80", "\"/\\ufffd\\ufffd\\ufffd\",\"path_hex\":\"2feda080\"",
	  "\"/\\xed\\xa0\\x80\"" },
	{ "/\xf4\x90\x80\x80", "\"/\\ufffd\\ufffd\\ufffd\\ufffd\",\"path_hex\":\"2ff4908080\"",
	  "\"/\\xf4\\x90\\x80\\x80\"" },
};

static void test_hostile_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		struct record r = record_open(hostile[i].name, EG_R);
		struct event ev = record_event(&r);
		struct text t = { 0 };
		char want[256];

		(void)snprintf(want, sizeof(want), ",\"path\":%s,\"want\"", hostile[i].json);
		assert_int_equal(event_to_json(&ev, &t), 0);
		assert_non_null(strstr(t.p, want));
		text_free(&t);
		(void)snprintf(want, sizeof(want), "denied open %s r, by node[4242]: no rule "
			       "allows it", hostile[i].line);
		event_check_texts(&r, NULL, want);
	}
}

/* The longest record, every byte of it the worst, is one object a reader accepts. */
static void test_longest(void **state)
{
	struct record r = record_of(EG_OP_LINK, EG_WHY_RULE, EACCES);
	struct event_parsed parsed;
	struct text t = { 0 };
	struct event ev;

	(void)state;
	r.ev.want = EG_C;
	memset(r.ev.comm, 0xff, sizeof(r.ev.comm));
	memset(r.data, 0xff, sizeof(r.data));
	r.data[0] = r.data[EG_PATH_MAX] = '/';
	r.ev.path_len = EG_PATH_MAX;
	r.ev.path2_len = EG_PATH_MAX;
	r.ev.exe_len = 1023;
	ev = record_event(&r);
	assert_int_equal(event_to_json(&ev, &t), 0);
	assert_true(t.len < EVENTLOG_BUFFER);
	assert_int_equal(event_from_json(t.p, t.len, &parsed), 0);
	assert_int_equal(parsed.ev.path.len, EG_PATH_MAX);
	assert_memory_equal(parsed.ev.path.p, r.data, EG_PATH_MAX);
	assert_int_equal(parsed.ev.comm.len, sizeof(r.ev.comm));
	event_parsed_free(&parsed);
	text_free(&t);
}

static void test_from_json_refuses(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "{}", "null",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"nonsense\"}",
		"{\"time\":\"yesterday\",\"op\":\"end\"}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"end\",\"seq\":-1}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"end\",\"seq\":\"1\"}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"open\",\"reason\":\"rule\","
		"\"verdict\":\"denied\",\"path\":\"/\",\"path_hex\":\"2\"}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"open\",\"reason\":\"rule\","
		"\"verdict\":\"denied\",\"path\":\"/\",\"path_hex\":\"2g\"}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"open\",\"reason\":\"rule\","
		"\"verdict\":\"denied\",\"path\":7}",
	};
	struct event_parsed p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(event_from_json(bad[i], strlen(bad[i]), &p), -EBADMSG);
}

static void test_run_words(void **state)
{
	static const char *const bad[] = {
		NULL, "", "egressctl run", "egressctl run ...", "egressctl run --allow",
		"egressctl run --allow 'a", "egressctl run --allow 'a'",
		"egressctl run --allow '' ...",
		"egressctl run --allow a ...", "egressctl run --allow 'a''b' ...",
		"egressctl run --allow 'a' ; x ...", "egressctl run --allow 'a' ... ",
		"egressctl run --allow 'a' --allow 'b' --allow 'c' ...", "egressctl allow 7.1",
		"egressctl run --allow 'a'\\'",
	};
	struct text words[2] = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(event_run_words(bad[i], words), 0);
	assert_int_equal(event_run_words("egressctl run --allow 'open /it'\\''s r' "
					 "--allow 'unix @x' ...", words), 2);
	assert_string_equal(words[0].p, "open /it's r");
	assert_string_equal(words[1].p, "unix @x");
	text_free(&words[0]);
	text_free(&words[1]);
}

/* every word of the format has a number, and the number the word */
static void test_names(void **state)
{
	char buf[EVENT_NAME_MAX];
	uint32_t v;

	(void)state;
	for (uint16_t op = 1; op < EG_OP_MAX; op++) {
		assert_string_not_equal(event_op_name(op), "unknown");
		assert_int_equal(event_op_from_name(event_op_name(op)), op);
	}
	assert_string_equal(event_op_name(EG_OP_MAX), "unknown");
	for (uint8_t why = 0; why < EG_WHY_MAX; why++) {
		assert_string_not_equal(event_reason_name(why), "unknown");
		assert_string_not_equal(event_reason_words(why), "unknown");
		assert_int_equal(event_reason_from_name(event_reason_name(why)), why);
	}
	for (enum event_names kind = EVENT_NAMES_PROTO; kind <= EVENT_NAMES_ERRNO; kind++) {
		for (uint32_t i = 0; i < 300; i++) {
			assert_int_equal(event_number(kind, event_name(kind, i, buf), &v), 0);
			assert_int_equal(v, i);
		}
		assert_int_equal(event_number(kind, "no such word", &v), -EINVAL);
	}
	assert_string_equal(event_name(EVENT_NAMES_ERRNO, EXDEV, buf), "EXDEV");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_from_json_refuses),
		cmocka_unit_test(test_run_words), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("events_text", tests, event_help_setup,
					   event_help_teardown);
}
