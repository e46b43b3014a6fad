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

#include <linux/membarrier.h>

#include "compile.h"
#include "publish_int.h"
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

/* ---- budgets --------------------------------------------------------------------------- */

#define SLOTS (EG_DFA_SLOTS - EG_DFA_FIRST)

struct shared {
	struct publisher p;
	struct entry e[EG_MAX_POLICIES];
	struct compiled c[EG_MAX_POLICIES];
	uint32_t n;
};

/* `n` versions of `slots` and so on, that sandboxes of `uid` use. */
static void fill(struct shared *s, uint32_t n, uid_t uid, uint32_t slots, uint32_t anchors)
{
	while (n--) {
		struct entry *e = &s->e[s->n];

		*e = (struct entry){ .v.refs = 1, .compiled = &s->c[s->n], .slots.count = slots,
				     .anchors_put = anchors };
		e->compiled->payer = uid;
		s->p.by_slot[s->n++] = e;
	}
}

static int afford(const struct shared *s, uid_t uid, enum publish_room room, uint32_t slots,
		  uint32_t anchors, struct diag *d)
{
	const struct compiled c = { .payer = uid, .nslots = slots, .nanchors = anchors };

	*d = (struct diag){};
	return publish_afford(&s->p, &c, room, d);
}

static struct shared *begin(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	return s;
}

/* One user has a share, of each table, and others are not held to it. */
static void a_share(void **state)
{
	struct shared *s = begin(state);
	struct diag d;

	fill(s, EG_MAX_POLICIES / PUBLISH_SHARES, 7, 1, 0);
	assert_int_equal(afford(s, 7, PUBLISH_SHARE, 1, 0, &d), -EDQUOT);
	assert_non_null(strstr(d.msg, "user 7"));
	assert_non_null(strstr(d.msg, "256 compiled policies"));
	assert_int_equal(afford(s, 7, PUBLISH_DENIES, 1, 0, &d), -EDQUOT);
	assert_int_equal(afford(s, 7, PUBLISH_ALL, 1, 0, &d), 0);
	assert_int_equal(afford(s, 8, PUBLISH_SHARE, SLOTS / PUBLISH_SHARES, 0, &d), 0);
	assert_int_equal(afford(s, 8, PUBLISH_SHARE, SLOTS / PUBLISH_SHARES + 1, 0, &d), -EDQUOT);
	assert_non_null(strstr(d.msg, "path automaton slots"));
	assert_int_equal(afford(s, 8, PUBLISH_SHARE, 1, EG_MAX_ANCHORS / PUBLISH_SHARES + 1, &d),
			 -EDQUOT);
	assert_non_null(strstr(d.msg, "anchored objects"));
	/* what no sandbox uses goes when there is need */
	for (uint32_t i = 0; i < s->n; i++)
		s->e[i].v.refs = 0;
	assert_int_equal(afford(s, 7, PUBLISH_SHARE, 1, 0, &d), 0);
	free(s);
}

/* Together they leave something for root, and for what is denied. */
static void a_reserve(void **state)
{
	struct shared *s = begin(state);
	struct diag d;

	for (uid_t uid = 1; uid <= 7; uid++)
		fill(s, EG_MAX_POLICIES / 8, uid, 1, EG_MAX_ANCHORS / EG_MAX_POLICIES);
	assert_int_equal(afford(s, 9, PUBLISH_SHARE, 1, 0, &d), -ENOSPC);
	assert_non_null(strstr(d.msg, "kept for root"));
	assert_int_equal(afford(s, 1, PUBLISH_DENIES, 1, 0, &d), 0);
	assert_int_equal(afford(s, 0, PUBLISH_SHARE, 1, 0, &d), 0);
	assert_int_equal(afford(s, 1, PUBLISH_ALL, 1, 0, &d), 0);
	free(s);
}

/* Where membarrier() does not wait (nohz_full=), its answer says so. */
static void who_waits(void **state)
{
	(void)state;
	assert_true(rcu_wait_membarrier(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED));
	assert_false(rcu_wait_membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED));
	assert_false(rcu_wait_membarrier(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_fit),	  cmocka_unit_test(nothing_takes_nothing),
		cmocka_unit_test(taken_by_place), cmocka_unit_test(given_twice),
		cmocka_unit_test(at_random),	  cmocka_unit_test(a_share),
		cmocka_unit_test(a_reserve),	  cmocka_unit_test(who_waits),
	};

	return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}
