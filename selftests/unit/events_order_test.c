// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sequence numbers: what is missing, late or over. */
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
#include "util.h"

/* ---- sequence numbers --------------------------------------------------------------- */

#define SEEN_MAX 16

struct seen {
	struct event ev[SEEN_MAX];
	size_t n;
};

static const struct compiled *find(void *ctx, uint32_t serial)
{
	(void)ctx;
	return serial == 3 ? event_compiled : NULL;
}

static int64_t owner(void *ctx, uint64_t sandbox)
{
	(void)ctx;
	return sandbox == 7 ? 1000 : -1;
}

static void sink(void *ctx, const struct event *ev)
{
	struct seen *s = ctx;

	assert_true(s->n < SEEN_MAX);
	s->ev[s->n++] = *ev;
}

static struct events *consumer(struct seen *s)
{
	struct events_ops ops = { .find = find, .owner = owner, .sink = sink, .ctx = s };
	struct events *e;

	assert_int_equal(events_new(-1, &ops, &e), 0);
	return e;
}

static void feed(struct events *e, uint64_t sandbox, uint64_t seq, uint64_t suppressed)
{
	struct record r = record_open("/x", EG_R);

	r.ev.sandbox = sandbox;
	r.ev.seq = seq;
	r.ev.suppressed = suppressed;
	events_feed(e, &r, record_len(&r));
}

static void test_gaps(void **state)
{
	struct seen s = { 0 };
	struct events *e = consumer(&s);

	(void)state;
	feed(e, 7, 1, 0);
	feed(e, 8, 3, 0); /* two lost before the first */
	feed(e, 7, 2, 5);
	feed(e, 7, 5, 5); /* 3 and 4 are missing … */
	feed(e, 7, 4, 5); /* … no: 4 was only slow */
	feed(e, 7, 6, 9);
	assert_int_equal(s.n, 6);
	assert_int_equal(s.ev[0].gap, 0);
	assert_int_equal(s.ev[0].owner, 1000);
	assert_true(s.ev[0].time_ns > s.ev[0].boot_ns);
	assert_int_equal(s.ev[1].gap, 2);
	assert_int_equal(s.ev[1].owner, -1);
	assert_int_equal(s.ev[2].suppressed_new, 5);
	assert_int_equal(s.ev[3].gap, 2);
	assert_int_equal(s.ev[3].suppressed_new, 0);
	assert_true(s.ev[4].late);
	assert_int_equal(s.ev[4].gap, 0);
	assert_int_equal(s.ev[5].gap, 0);
	assert_int_equal(s.ev[5].suppressed_new, 4);
	assert_int_equal(events_stats(e)->missing, 3);
	assert_int_equal(events_stats(e)->consumed, 6);
	events_feed(e, "junk", 4);
	assert_int_equal(events_stats(e)->malformed, 1);
	events_free(e);
}

static void test_end(void **state)
{
	struct eg_sandbox final = { .id = 7, .uid = 1000, .ev_seq = 10, .ev_suppressed = 4,
				    .ev_lost = 8, .denied = 14 };
	struct text t = { 0 };
	struct seen s = { 0 };
	struct events *e = consumer(&s);

	(void)state;
	feed(e, 7, 1, 0);
	feed(e, 7, 2, 1);
	events_end(e, &final);
	assert_true(s.ev[2].end);
	assert_int_equal(s.ev[2].gap, 8);
	assert_int_equal(s.ev[2].suppressed_new, 3);
	assert_int_equal(events_stats(e)->missing, 8);
	s.ev[2].time_ns = TIME_NS;
	assert_int_equal(event_to_json(&s.ev[2], &t), 0);
	assert_string_equal(t.p,
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":10,\"sandbox\":7,"
		"\"owner\":1000,\"op\":\"end\",\"denied\":14,\"failed\":0,\"suppressed\":4,"
		"\"suppressed_new\":3,\"lost\":8,\"gap\":8}");
	assert_int_equal(event_to_line(&s.ev[2], &t), 0);
	assert_string_equal(t.p, "end of sandbox 7: 14 denied, 4 not shown, 8 lost, "
				 "0 internal failures");
	text_free(&t);
	/* forgotten: a new one of that number would start at 1 */
	feed(e, 7, 1, 0);
	assert_false(s.ev[3].late);
	events_free(e);
}

static void test_adopted(void **state)
{
	struct seen s = { 0 };
	struct events *e = consumer(&s);

	(void)state;
	assert_int_equal(events_adopt(e, 7), 0);
	feed(e, 7, 500, 0);
	feed(e, 7, 502, 0);
	assert_int_equal(s.ev[0].gap, 0);
	assert_int_equal(s.ev[1].gap, 1);
	events_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_adopted),
	};

	return cmocka_run_group_tests_name("events_order", tests, event_help_setup,
					   event_help_teardown);
}
