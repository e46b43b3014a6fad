// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bindings of one sandbox: whose classes, until when, and which one goes. The cache. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns_bind.h"
#include "dns_cache.h"
#include "dns_help.h"
#include "util.h"

static const struct rule all[] = { { "a.test", 1 }, { "b.test", 2 }, { "c.test", 1 }, { "", 0 } };
static struct dns_bindings table;
static uint64_t now;

static int setup(void **state)
{
	(void)state;
	memset(&box, 0, sizeof(box));
	box.rules = all;
	dns_bind_init(&table, &box_ops, &box);
	now = 1000 * SEC;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dns_bind_clear(&table);
	free(box.bound);
	return 0;
}

static int put(const char *addr, const char *name, uint32_t classes, uint64_t ttl)
{
	uint8_t a[16];

	return dns_bind(&table, addr_of(addr, a), name, classes,
			ttl == DNS_FOREVER ? ttl : now + ttl * SEC, now);
}

static void put_nth(uint32_t n, uint64_t ttl)
{
	char addr[32];

	(void)snprintf(addr, sizeof(addr), "203.0.%u.%u", n / 256, n % 256);
	assert_int_equal(put(addr, "a.test", 1, ttl), 0);
}

static const char *name_of(const char *addr)
{
	uint8_t a[16];

	return dns_bind_name_of(&table, addr_of(addr, a));
}

static bool lives(const char *addr)
{
	uint8_t a[16];

	return dns_bind_find(&table, addr_of(addr, a), now);
}

#define X "203.0.113.5"

static void test_names_unite(void **state)
{
	(void)state;
	assert_int_equal(put(X, "a.test", 1, 100), 0);
	assert_int_equal(put(X, "b.test", 2, 50), 0);
	assert_int_equal(box_bound(&box, X)->classes, 3);
	assert_int_equal(box_bound(&box, X)->expires, now + 100 * SEC);
	assert_string_equal(name_of(X), "b.test");
	/* a shorter TTL does not take back what was said */
	assert_int_equal(put(X, "a.test", 1, 10), 0);
	assert_int_equal(box_bound(&box, X)->expires, now + 100 * SEC);
	assert_string_equal(name_of(X), "a.test");
	/* bound again after the other name's end, it has its own classes only */
	now += 60 * SEC;
	assert_int_equal(put(X, "a.test", 1, 100), 0);
	assert_int_equal(box_bound(&box, X)->classes, 1);
	assert_int_equal(table.nnames, 1);
}

static void test_flow_keeps_classes(void **state)
{
	(void)state;
	assert_int_equal(put(X, "b.test", 2, 50), 0);
	box_bound(&box, X)->in_use = true;
	now += 60 * SEC;
	assert_int_equal(put(X, "a.test", 1, 100), 0);
	assert_int_equal(box_bound(&box, X)->classes, 3);
}

static void test_sweep(void **state)
{
	(void)state;
	assert_int_equal(put(X, "a.test", 1, 50), 0);
	assert_int_equal(put("203.0.113.6", "a.test", 1, 50), 0);
	assert_int_equal(put("203.0.113.7", "a.test", 1, 70), 0);
	box_bound(&box, X)->in_use = true;
	now += 49 * SEC;
	dns_bind_sweep(&table, now);
	assert_int_equal(box.nbound, 3);
	now += SEC;
	assert_false(lives(X));
	dns_bind_sweep(&table, now);
	/* used: stays, for the flow; ended: gone; not ended: stays */
	assert_non_null(box_bound(&box, X));
	assert_null(box_bound(&box, "203.0.113.6"));
	assert_non_null(box_bound(&box, "203.0.113.7"));
	assert_string_equal(name_of(X), "a.test");
	box_bound(&box, X)->in_use = false;
	now += 40 * SEC;
	dns_bind_sweep(&table, now);
	assert_int_equal(box.nbound, 0);
	assert_int_equal(table.count, 0);
}

/* Ended ones first; then the one idle for longest; never one that is used. */
static void test_full(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < DNS_MAX_BINDINGS; n++) {
		now += SEC;
		put_nth(n, n == 7 ? 1 : 100000);
	}
	assert_int_equal(box.nbound, DNS_MAX_BINDINGS);
	box_bound(&box, "203.0.0.0")->in_use = true;
	box_bound(&box, "203.0.0.1")->used = now; /* since it was bound */
	put_nth(60000, 100000);
	assert_null(box_bound(&box, "203.0.0.7"));
	assert_int_equal(table.given_up, 0);
	put_nth(60001, 100000);
	assert_null(box_bound(&box, "203.0.0.2"));
	assert_non_null(box_bound(&box, "203.0.0.0"));
	assert_non_null(box_bound(&box, "203.0.0.1"));
	assert_int_equal(table.given_up, 1);
	assert_int_equal(box.nbound, DNS_MAX_BINDINGS);
	/* bound again: it is young */
	put_nth(3, 100000);
	put_nth(60002, 100000);
	assert_non_null(box_bound(&box, "203.0.0.3"));
	assert_null(box_bound(&box, "203.0.0.4"));
}

static void test_full_of_used(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < DNS_MAX_BINDINGS; n++)
		put_nth(n, 50);
	for (size_t i = 0; i < box.nbound; i++)
		box.bound[i].in_use = true;
	assert_int_equal(put("198.51.100.1", "a.test", 1, 50), -ENOSPC);
	now += 60 * SEC; /* nor when they have ended */
	assert_int_equal(put("198.51.100.1", "a.test", 1, 50), -ENOSPC);
	assert_int_equal(box.nbound, DNS_MAX_BINDINGS);
	/* the ones that are there can still be bound */
	put_nth(5, 50);
}

/* Others use the same table: for a new address one of its own goes. */
static uint32_t room_for;

static bool has_room(void *ctx)
{
	(void)ctx;
	return table.count < room_for;
}

static void test_shared(void **state)
{
	struct dns_ops ops = box_ops;

	(void)state;
	ops.room = has_room;
	table.ops = &ops;
	room_for = 0;
	assert_int_equal(put(X, "a.test", 1, 60), -ENOSPC);
	room_for = 3;
	for (uint32_t n = 0; n < 3; n++)
		put_nth(n, 60);
	assert_int_equal(table.given_up, 0);
	put_nth(3, 60);
	assert_int_equal(table.given_up, 1);
	assert_int_equal(table.count, 3);
	assert_false(lives("203.0.0.0"));
	assert_true(lives("203.0.0.3"));
	/* however many the others have */
	room_for = 0;
	put_nth(4, 60);
	assert_int_equal(table.count, 3);
	assert_false(lives("203.0.0.1"));
	dns_bind_clear(&table);
}

static void test_many_names(void **state)
{
	char name[32];

	(void)state;
	assert_int_equal(put(X, "only.test", 2, 1000), 0);
	for (uint32_t n = 0; n < 100; n++) {
		(void)snprintf(name, sizeof(name), "n%u.test", n);
		assert_int_equal(put(X, name, 1, 500 + n), 0);
	}
	assert_int_equal(table.nnames, DNS_MAX_NAMES_PER_ADDRESS);
	/* what went are names that open nothing of their own */
	assert_int_equal(box_bound(&box, X)->classes, 3);
	assert_string_equal(name_of(X), "n99.test");
}

static void test_bind_error(void **state)
{
	(void)state;
	box.bind_error = -E2BIG;
	assert_int_equal(put(X, "a.test", 1, 50), -E2BIG);
	assert_null(name_of(X));
	assert_int_equal(table.count, 0);
	box.bind_error = 0;
	assert_int_equal(put(X, "a.test", 1, 50), 0);
}

static void test_pinned(void **state)
{
	(void)state;
	assert_int_equal(put(X, "a.test", 1, DNS_FOREVER), 0);
	assert_int_equal(put("203.0.113.6", "b.test", 2, DNS_FOREVER), 0);
	assert_int_equal(box_bound(&box, X)->expires, DNS_FOREVER);
	assert_int_equal(table.npinned, 2);
	for (uint32_t n = 0; n < DNS_MAX_BINDINGS; n++)
		put_nth(n, 100000);
	assert_non_null(box_bound(&box, X));
	/* a new file without the second: as if it had been resolved now */
	dns_bind_repin_begin(&table);
	assert_int_equal(put(X, "a.test", 1, DNS_FOREVER), 0);
	dns_bind_repin_end(&table, now);
	assert_int_equal(table.npinned, 1);
	assert_int_equal(box_bound(&box, X)->expires, DNS_FOREVER);
	assert_int_equal(box_bound(&box, "203.0.113.6")->expires,
			 now + (DNS_LOCAL_TTL + DNS_GRACE) * SEC);
}

static void test_reload(void **state)
{
	static const struct rule after[] = { { "a.test", 4 }, { "", 0 } };

	(void)state;
	assert_int_equal(put(X, "a.test", 1, 50), 0);
	assert_int_equal(put(X, "b.test", 2, 90), 0);
	assert_int_equal(put("203.0.113.6", "b.test", 2, 50), 0);
	box.private_ok = "10.0.0.1";
	assert_int_equal(put("10.0.0.1", "a.test", 1, 50), 0);
	assert_int_equal(put("10.0.0.2", "a.test", 1, 50), 0);
	box.rules = after;
	dns_bind_reload(&table);
	assert_int_equal(box_bound(&box, X)->classes, 4);
	assert_int_equal(box_bound(&box, X)->expires, now + 50 * SEC);
	assert_null(box_bound(&box, "203.0.113.6"));
	assert_non_null(box_bound(&box, "10.0.0.1"));
	assert_null(box_bound(&box, "10.0.0.2"));
	assert_int_equal(table.count, 2);
}

/* ---- cache ------------------------------------------------------------------------- */

static struct dns_answer *answer(uint32_t ttl, size_t bytes)
{
	struct dns_answer *a = dns_answer_new(0, false);

	a->ttl = ttl;
	a->since = now;
	a->bytes = bytes;
	return a;
}

static void cache_put(struct dns_cache *c, const char *name, uint32_t ttl, size_t bytes)
{
	struct dns_answer *a = answer(ttl, bytes);

	assert_non_null(dns_cache_put(c, name, 1, a));
	dns_answer_unref(a);
}

static void test_cache(void **state)
{
	struct dns_cache c;

	(void)state;
	dns_cache_init(&c);
	cache_put(&c, "a.test", 10, 100);
	assert_non_null(dns_cache_find(&c, "a.test", 1, now));
	assert_null(dns_cache_find(&c, "a.test", 28, now));
	assert_null(dns_cache_find(&c, "b.test", 1, now));
	now += 9 * SEC + 1;
	assert_int_equal(dns_answer_left(dns_cache_find(&c, "a.test", 1, now)->answer, now), 1);
	now += SEC;
	assert_null(dns_cache_find(&c, "a.test", 1, now));
	assert_int_equal(c.tree.count, 0);
	assert_int_equal(c.bytes, 0);
}

static void test_cache_bounds(void **state)
{
	struct dns_cache c;
	char name[32];

	(void)state;
	dns_cache_init(&c);
	cache_put(&c, "first.test", 10, 100);
	cache_put(&c, "second.test", 10, 100);
	for (uint32_t n = 0; n < DNS_MAX_CACHE - 1; n++) {
		(void)snprintf(name, sizeof(name), "n%u.test", n);
		cache_put(&c, name, 10, 100);
		assert_non_null(dns_cache_find(&c, "first.test", 1, now));
	}
	assert_int_equal(c.tree.count, DNS_MAX_CACHE);
	assert_null(dns_cache_find(&c, "second.test", 1, now));
	for (uint32_t n = 0; n < 100; n++) {
		(void)snprintf(name, sizeof(name), "big%u.test", n);
		cache_put(&c, name, 10, 64 << 10);
		assert_true(c.bytes <= DNS_MAX_CACHE_BYTES);
	}
	dns_cache_clear(&c);
	assert_int_equal(c.bytes, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names_unite), TEST(test_flow_keeps_classes), TEST(test_sweep),
		TEST(test_full), TEST(test_full_of_used), TEST(test_shared),
		TEST(test_many_names),
		TEST(test_bind_error), TEST(test_pinned), TEST(test_reload),
		TEST(test_cache), TEST(test_cache_bounds),
	};

	return cmocka_run_group_tests_name("dns_bind", tests, NULL, NULL);
}
