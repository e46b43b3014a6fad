// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The resolver as programs see it, with an upstream that answers by hand. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "dns_help.h"
#include "util.h"

#define A LDNS_RR_TYPE_A
#define AAAA LDNS_RR_TYPE_AAAA
#define REFUSED_TEXT "NXDOMAIN ede15\n"

static const struct rule rules[] = {
	{ "www.allowed.test", 1 }, { "other.allowed.test", 2 }, { ".wild.test", 4 }, { "", 0 },
};

static struct rig r;
static struct box box, second;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, "search corp.test lab.test\nnameserver 127.0.0.1\n", NULL);
	rig_serve(&r, &box, rules);
	rig_serve(&r, &second, rules);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	free(box.bound);
	free(second.bound);
	return 0;
}

static void test_allowed(void **state)
{
	struct bound *b;

	(void)state;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A),
			    "NOERROR\nwww.allowed.test. 60 A 203.0.113.5\n");
	b = box_bound(&box, "203.0.113.5");
	assert_non_null(b);
	assert_int_equal(b->classes, 1);
	assert_int_equal(b->expires, test_clock + (60 + DNS_GRACE) * SEC);
	assert_null(box_bound(&second, "203.0.113.5"));
	assert_string_equal(box.refused, "");
	/* what was asked: an id of its own, RD, the question, one OPT without options */
	assert_int_equal(r.up.last.len, 12 + 18 + 4 + 11);
	assert_memory_equal(r.up.last.p + 2, "\x01\0\0\1\0\0\0\0\0\1", 10);
	assert_memory_equal(r.up.last.p + 12, "\3www\7allowed\4test\0\0\1\0\1", 22);
	assert_memory_equal(r.up.last.p + 34, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_allowed, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("dns_server", tests, NULL, NULL);
}
