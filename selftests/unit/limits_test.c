/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Limits as text, and which of two holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diag.h"
#include "run_limits.h"
#include "util.h"

static void values(void **state)
{
	struct limits l = {};

	(void)state;
	assert_int_equal(limits_parse(&l, "memory=4G", NULL), 0);
	assert_int_equal(l.memory, 4ull << 30);
	assert_int_equal(limits_parse(&l, "memory=1048576", NULL), 0);
	assert_int_equal(l.memory, 1 << 20);
	assert_int_equal(limits_parse(&l, "pids=512", NULL), 0);
	assert_int_equal(l.pids, 512);
	assert_int_equal(limits_parse(&l, "cpu=200%", NULL), 0);
	assert_int_equal(l.cpu_percent, 200);
	assert_int_equal(limits_parse(&l, "io=100", NULL), 0);
	assert_int_equal(l.io_weight, 100);
	assert_int_equal(limits_parse(&l, "time=300ms", NULL), 0);
	assert_int_equal(l.time_ms, 300);
	assert_int_equal(limits_parse(&l, "time=2h", NULL), 0);
	assert_int_equal(l.time_ms, 7200000);
}

/* Each refusal quotes the value or key and says what is legal. */
static void refusals(void **state)
{
	static const struct {
		const char *text, *quoted, *legal;
	} bad[] = {
		{ "memory=4", "'4'", "from 1M" },
		{ "memory=4GB", "'4GB'", "4G" },
		{ "memory=-1G", "'-1G'", "4G" },
		{ "memory=99999999999999999999", "'99999999999999999999'", "4G" },
		{ "memory=18446744073709551615T", "T'", "4G" },
		{ "memory=", "''", "4G" },
		{ "pids=0", "'0'", "from 1" },
		{ "pids=5 ", "'5 '", "from 1" },
		{ "cpu=2", "'2'", "200%" },
		{ "io=10001", "'10001'", "10000" },
		{ "time=30", "'30'", "30m" },
		{ "time=366d", "'366d'", "365d" },
		{ "disk=4G", "'disk'", "memory" },
		{ "memory", "'memory'", "KEY=VALUE" },
		{ "=4G", "'=4G'", "KEY=VALUE" },
		{ "averyveryverylongkey=4G", "KEY=VALUE", "KEY=VALUE" },
	};
	struct limits l = {}, none = {};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct diag d = {};

		assert_int_equal(limits_parse(&l, bad[i].text, &d), -EINVAL);
		if (!strstr(d.msg, bad[i].quoted) || !strstr(d.msg, bad[i].legal))
			fail_msg("%s: %s", bad[i].text, d.msg);
	}
	assert_memory_equal(&l, &none, sizeof(l));
}

static void the_smaller_holds(void **state)
{
	struct limits a = { .memory = 100, .pids = 5 };
	struct limits b = { .memory = 50, .pids = 9, .time_ms = 7 };

	(void)state;
	limits_merge(&a, &b);
	assert_int_equal(a.memory, 50);
	assert_int_equal(a.pids, 5);
	assert_int_equal(a.time_ms, 7);
	assert_int_equal(a.cpu_percent, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(refusals),
		cmocka_unit_test(the_smaller_holds),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
