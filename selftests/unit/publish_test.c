/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where versions are put: ranges against a map of single places. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "publish.h"
#include "util.h"

static void first_fit(void **state)
{
	struct ranges r;
	uint32_t a, b, c;

	(void)state;
	assert_int_equal(ranges_init(&r, 10, 100), 0);
	assert_int_equal(ranges_take(&r, 30, &a), 0);
	assert_int_equal(ranges_take(&r, 30, &b), 0);
	assert_int_equal(ranges_take(&r, 40, &c), 0);
	assert_int_equal(a, 10);
	assert_int_equal(b, 40);
	assert_int_equal(c, 70);
	assert_int_equal(ranges_take(&r, 1, &a), -ENOSPC);
	assert_int_equal(ranges_give(&r, 40, 30), 0);
	assert_int_equal(ranges_take(&r, 31, &a), -ENOSPC);
	assert_int_equal(ranges_take(&r, 30, &a), 0);
	assert_int_equal(a, 40);
	ranges_fini(&r);
}

static void nothing_takes_nothing(void **state)
{
	struct ranges r;
	uint32_t a = 77;

	(void)state;
	assert_int_equal(ranges_init(&r, 0, 1), 0);
	assert_int_equal(ranges_take(&r, 0, &a), 0);
	assert_int_equal(ranges_give(&r, 5, 0), 0);
	assert_int_equal(ranges_take(&r, 1, &a), 0);
	assert_int_equal(a, 0);
	ranges_fini(&r);
}

static void taken_by_place(void **state)
{
	struct ranges r;
	uint32_t a;

	(void)state;
	assert_int_equal(ranges_init(&r, 0, 100), 0);
	assert_int_equal(ranges_take_at(&r, 40, 20), 0); /* in the middle */
	assert_int_equal(ranges_take_at(&r, 0, 10), 0); /* at the beginning */
	assert_int_equal(ranges_take_at(&r, 90, 10), 0); /* at the end */
	assert_int_equal(ranges_take_at(&r, 10, 30), 0); /* exactly what is free */
	assert_int_equal(ranges_take_at(&r, 50, 20), -EEXIST);
	assert_int_equal(ranges_take_at(&r, 80, 20), -EEXIST);
	assert_int_equal(ranges_take_at(&r, 200, 1), -EEXIST);
	assert_int_equal(ranges_take(&r, 30, &a), 0);
	assert_int_equal(a, 60);
	assert_int_equal(ranges_take(&r, 1, &a), -ENOSPC);
	ranges_fini(&r);
}

static void given_twice(void **state)
{
	struct ranges r;
	uint32_t a;

	(void)state;
	assert_int_equal(ranges_init(&r, 0, 100), 0);
	assert_int_equal(ranges_take(&r, 50, &a), 0);
	assert_int_equal(ranges_give(&r, 0, 50), 0);
	assert_int_equal(ranges_give(&r, 0, 50), -EINVAL);
	assert_int_equal(ranges_give(&r, 20, 1), -EINVAL);
	assert_int_equal(r.nfree, 1);
	assert_int_equal(r.free[0].count, 100);
	ranges_fini(&r);
}

/* Random orders: no place is handed out twice, and all of them come back. */
#define PLACES 512u
#define HELD 64u

static void at_random(void **state)
{
	struct range held[HELD] = {};
	uint8_t used[PLACES] = {};
	uint64_t x = 0x2545f4914f6cdd1dull;
	struct ranges r;
	uint32_t i, k;

	(void)state;
	assert_int_equal(ranges_init(&r, 0, PLACES), 0);
	for (i = 0; i < 200000; i++) {
		struct range *h;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		h = &held[x % HELD];
		if (h->count) {
			assert_int_equal(ranges_give(&r, h->first, h->count), 0);
			memset(used + h->first, 0, h->count);
			h->count = 0;
			continue;
		}
		h->count = 1 + (x >> 32) % 40;
		if (ranges_take(&r, h->count, &h->first)) {
			h->count = 0;
			continue;
		}
		assert_true(h->first + h->count <= PLACES);
		for (k = 0; k < h->count; k++)
			assert_int_equal(used[h->first + k]++, 0);
	}
	for (i = 0; i < HELD; i++)
		assert_int_equal(ranges_give(&r, held[i].first, held[i].count), 0);
	assert_int_equal(r.nfree, 1);
	assert_int_equal(r.free[0].first, 0);
	assert_int_equal(r.free[0].count, PLACES);
	ranges_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_fit),	  cmocka_unit_test(nothing_takes_nothing),
		cmocka_unit_test(taken_by_place), cmocka_unit_test(given_twice),
		cmocka_unit_test(at_random),
	};

	return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}
