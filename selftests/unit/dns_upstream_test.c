// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The resolver and upstreams that answer, deceive, fail, or are not there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns_help.h"
#include "dns_upstream.h"
#include "util.h"

#define A LDNS_RR_TYPE_A
#define AAAA LDNS_RR_TYPE_AAAA

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

/* ---- asking ------------------------------------------------------------------------ */

static void test_case(void **state)
{
	static struct msg m;
	struct asker a;

	(void)state;
	query_msg(&m, "wWw.AlLoWeD.tEsT", A, true);
	asker_open(&a, &box, false, false);
	asker_send(&a, &m, false);
	assert_true(asker_wait(&r, &a, false));
	assert_memory_equal(a.in.p + 12, m.p + 12, 22);
	assert_memory_equal(r.up.last.p + 12, "\3www\7allowed\4test\0\0\1\0\1", 22);
	/* the record's owner points to the name as it was asked for */
	assert_memory_equal(a.in.p + 34, "\xc0\x0c\0\1\0\1", 6);
	asker_close(&a);
}

/* Nothing of the program's EDNS, flags or id is passed on. */
static void test_canonical(void **state)
{
	static struct msg m;

	(void)state;
	msg_header(&m, 0x1234, 0x01b0, 1, 0, 0, 1); /* AD, CD, Z bit */
	msg_question(&m, "www.allowed.test", A);
	/* DO, a cookie, a client subnet, padding */
	msg_bytes(&m, "\0\0\x29\x10\0\0\0\x80\0\0\x20", 11);
	msg_bytes(&m, "\0\x0a\0\x08secrets!\0\x08\0\4\0\1\0\0\0\x0c\0\4leak", 32 - 4);
	m.p[m.len - 29] = 28;
	assert_string_equal(ask_msg(&r, &box, &m, false), ANSWERED);
	assert_int_equal(r.up.last.len, 45);
	assert_memory_equal(r.up.last.p + 2, "\x01\0\0\1\0\0\0\0\0\1\3www\7allowed\4test\0\0\1\0\1"
			    "\0\0\x29\x04\xd0\0\0\0\0\0\0", 43);
}

static void test_transports(void **state)
{
	static struct msg m;

	(void)state;
	query_msg(&m, "www.allowed.test", A, true);
	for (int i = 0; i < 4; i++) {
		struct asker a;

		asker_open(&a, &box, i & 1, i & 2);
		asker_send(&a, &m, i & 2);
		assert_true(asker_wait(&r, &a, i & 2));
		assert_string_equal(msg_text(a.in.p, a.in.len), ANSWERED);
		asker_close(&a);
	}
	assert_int_equal(r.up.asked, 1);
}

static void test_cached(void **state)
{
	(void)state;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), ANSWERED);
	test_clock += 20 * SEC;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A),
			    "NOERROR\nwww.allowed.test. 40 A 203.0.113.5\n");
	assert_int_equal(r.up.asked, 1);
	/* another sandbox has a cache and bindings of its own */
	assert_string_equal(ask(&r, &second, "www.allowed.test", A), ANSWERED);
	assert_non_null(box_bound(&second, "203.0.113.5"));
	assert_int_equal(r.up.asked, 2);
	test_clock += 40 * SEC;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), ANSWERED);
	assert_int_equal(r.up.asked, 3);
	assert_int_equal(box_bound(&box, "203.0.113.5")->expires,
			 test_clock + (60 + DNS_GRACE) * SEC);
}

/* 64 addresses, others each time. */
static bool answer_many(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
			struct msg *a)
{
	(void)nth;
	(void)tcp;
	msg_answer(a, q, ANSWER, DNS_MAX_ADDRESSES, 0);
	for (uint8_t i = 0; i < DNS_MAX_ADDRESSES; i++) {
		const uint8_t addr[] = { 198, 51, (uint8_t)u->asked, i };

		msg_bytes(a, "\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4", 12);
		msg_bytes(a, addr, 4);
	}
	return false;
}

/* The binding of a cached answer was given up: it is there again before the answer is. */
static void test_cached_is_bound(void **state)
{
	struct dns_client_stats stats;
	char name[32];

	(void)state;
	(void)ask(&r, &box, "www.allowed.test", A);
	r.up.answer = answer_many;
	for (uint32_t n = 0; n < DNS_MAX_BINDINGS / DNS_MAX_ADDRESSES; n++) {
		(void)snprintf(name, sizeof(name), "n%u.wild.test", n);
		(void)ask(&r, &box, name, A);
	}
	assert_int_equal(box.nbound, DNS_MAX_BINDINGS);
	assert_null(box_bound(&box, "203.0.113.5"));
	dns_client_stats(box.c, &stats);
	assert_int_equal(stats.given_up, 1);
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), ANSWERED);
	assert_non_null(box_bound(&box, "203.0.113.5"));
	assert_int_equal(box.nbound, DNS_MAX_BINDINGS);
}

static void test_coalesced(void **state)
{
	static struct msg m;
	struct asker a[3];

	(void)state;
	query_msg(&m, "www.allowed.test", A, true);
	for (int i = 0; i < 3; i++) {
		asker_open(&a[i], &box, i == 1, i == 2);
		asker_send(&a[i], &m, i == 2);
	}
	for (int i = 0; i < 3; i++) {
		assert_true(asker_wait(&r, &a[i], i == 2));
		assert_string_equal(msg_text(a[i].in.p, a[i].in.len), ANSWERED);
		asker_close(&a[i]);
	}
	assert_int_equal(r.up.asked, 1);
}

/* ---- answers that deceive ---------------------------------------------------------- */

static void test_private(void **state)
{
	(void)state;
	r.up.addr = "127.0.0.1";
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), "NOERROR ede15\n");
	assert_string_equal(box.refused, "www.allowed.test A 127.0.0.1\n");
	assert_int_equal(box.nbound, 0);
	r.up.addr = "169.254.169.254";
	assert_string_equal(ask(&r, &box, "other.allowed.test", A), "NOERROR ede15\n");
	r.up.addr = "fd00:ec2::254";
	assert_string_equal(ask(&r, &box, "a.wild.test", AAAA), "NOERROR ede15\n");
	assert_int_equal(box.nbound, 0);
	box.private_ok = "10.0.0.1";
	r.up.addr = "10.0.0.1";
	assert_string_equal(ask(&r, &box, "b.wild.test", A),
			    "NOERROR\nb.wild.test. 60 A 10.0.0.1\n");
	assert_int_equal(box_bound(&box, "10.0.0.1")->classes, 4);
	r.up.addr = "10.0.0.2";
	assert_string_equal(ask(&r, &box, "c.wild.test", A), "NOERROR ede15\n");
}

/* `nth` wrong ones, then the right one. */
static unsigned int nforged;

static bool forge(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		  struct msg *a)
{
	(void)u;
	msg_answer(a, q, ANSWER, 1, 0);
	msg_a(a, "www.allowed.test", 60, nth < nforged && !tcp ? "203.0.113.66" : "203.0.113.5");
	if (tcp || nth >= nforged)
		return false;
	switch (nth % 4) {
	case 0:
		a->p[1] ^= 0x55; /* id */
		break;
	case 1:
		a->p[13] = 'x'; /* question */
		break;
	case 2:
		a->p[2] &= 0x7f; /* no answer */
		break;
	default:
		a->len = 5;
	}
	return true;
}

static void test_forged(void **state)
{
	(void)state;
	r.up.answer = forge;
	nforged = DNS_MAX_FORGED - 1;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), ANSWERED);
	assert_int_equal(r.up.asked, 1);
	assert_int_equal(r.up.asked_tcp, 0);
	/* too many: somebody is guessing, and TCP is used */
	nforged = DNS_MAX_FORGED;
	assert_string_equal(ask(&r, &second, "www.allowed.test", A), ANSWERED);
	assert_int_equal(r.up.asked_tcp, 1);
	assert_null(box_bound(&box, "203.0.113.66"));
	assert_null(box_bound(&second, "203.0.113.66"));
}

static bool truncate_udp(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
			 struct msg *a)
{
	(void)u;
	(void)nth;
	msg_answer(a, q, tcp ? ANSWER : ANSWER | TRUNCATED, tcp ? 64 : 0, 0);
	for (uint8_t i = 0; tcp && i < 64; i++) {
		msg_bytes(a, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71", 15);
		msg_bytes(a, &i, 1);
	}
	return false;
}

static void test_truncated(void **state)
{
	static struct msg m;

	(void)state;
	r.up.answer = truncate_udp;
	assert_non_null(strstr(ask(&r, &box, "www.allowed.test", A), "203.0.113.63\n"));
	assert_int_equal(r.up.asked, 1);
	assert_int_equal(r.up.asked_tcp, 1);
	assert_int_equal(box.nbound, 64);
	/* 64 addresses in 512 bytes */
	query_msg(&m, "www.allowed.test", A, false);
	assert_string_equal(ask_msg(&r, &box, &m, false), "NOERROR truncated\n");
	assert_non_null(strstr(ask_msg(&r, &box, &m, true), "203.0.113.63\n"));
}

static bool garbage(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		    struct msg *a)
{
	(void)nth;
	if (tcp)
		return false;
	switch (u->asked % 4) {
	case 0: /* a loop */
		msg_answer(a, q, ANSWER, 1, 0);
		msg_bytes(a, "\xc0\x22\0\5\0\1\0\0\0\x3c\0\2\xc0\x2e", 14);
		return false;
	case 1: /* records that are not there */
		msg_answer(a, q, ANSWER, 0xffff, 0xffff);
		return false;
	case 2: /* more than a datagram of ours has room for */
		msg_answer(a, q, ANSWER, 0, 0);
		a->len = 40000;
		return false;
	default:
		msg_answer(a, q, ANSWER | 5, 0, 0);
		return false;
	}
}

static void test_garbage(void **state)
{
	static const char *const names[] = { "a.wild.test", "b.wild.test", "c.wild.test",
					     "d.wild.test" };

	(void)state;
	r.up.answer = garbage;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(ask(&r, &box, names[i], A), "SERVFAIL\n");
	assert_int_equal(box.nbound, 0);
}

static bool no_edns(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		    struct msg *a)
{
	if (!q->p[11])
		return upstream_answer(u, nth, q, tcp, a);
	msg_answer(a, q, ANSWER | 1, 0, 0);
	return false;
}

static void test_no_edns(void **state)
{
	(void)state;
	r.up.answer = no_edns;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), ANSWERED);
	assert_int_equal(r.up.asked, 2);
	assert_int_equal(r.up.last.len, 34);
}

static bool nxdomain(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		     struct msg *a)
{
	(void)u;
	(void)nth;
	(void)tcp;
	msg_answer(a, q, ANSWER | 3, 0, 1);
	msg_soa(a, "allowed.test", 900, 30);
	return false;
}

static void test_negative(void **state)
{
	(void)state;
	r.up.answer = nxdomain;
	for (int i = 0; i < 2; i++)
		assert_string_equal(ask(&r, &box, "www.allowed.test", A),
				    "NXDOMAIN\nauthority allowed.test. 30 SOA ns.test. admin.test. "
				    "1 1 1 1 30\n");
	assert_int_equal(r.up.asked, 1);
	/* it does not exist: that is no refusal */
	assert_string_equal(box.refused, "");
	test_clock += 30 * SEC;
	(void)ask(&r, &box, "www.allowed.test", A);
	assert_int_equal(r.up.asked, 2);
}

static void test_bind_error(void **state)
{
	(void)state;
	box.bind_error = -ENOSPC;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), "SERVFAIL\n");
	box.bind_error = 0;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), "SERVFAIL\n");
	test_clock += DNS_FAILURE_TTL * SEC;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), ANSWERED);
	assert_int_equal(r.up.asked, 2);
}

/* ---- upstreams that are not there -------------------------------------------------- */

static void test_dead(void **state)
{
	static struct msg m;
	struct asker a;

	(void)state;
	(void)ask(&r, &second, "other.allowed.test", A);
	r.up.answer = upstream_silent;
	r.up.asked = 0;
	query_msg(&m, "www.allowed.test", A, true);
	asker_open(&a, &box, false, false);
	asker_send(&a, &m, false);
	/* nobody else waits for it */
	assert_string_equal(ask(&r, &second, "other.allowed.test", A),
			    "NOERROR\nother.allowed.test. 60 A 203.0.113.5\n");
	assert_true(asker_wait(&r, &a, false));
	assert_string_equal(msg_text(a.in.p, a.in.len), "SERVFAIL\n");
	assert_int_equal(r.up.asked, DNS_ATTEMPTS);
	asker_close(&a);
	/* nor is it asked at once again */
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), "SERVFAIL\n");
	assert_int_equal(r.up.asked, DNS_ATTEMPTS);
	/* nobody listens there */
	upstream_close(&r.up);
	assert_string_equal(ask(&r, &box, "a.wild.test", A), "SERVFAIL\n");
}

static void test_two_servers(void **state)
{
	struct upstream first;

	(void)state;
	upstream_open(&first, r.loop, "127.0.0.2", r.up.port);
	rig_write(&r, r.resolv_conf, "nameserver 127.0.0.3\nnameserver 127.0.0.2\n"
				     "nameserver 127.0.0.1\n");
	first.addr = "203.0.113.2";
	assert_string_equal(ask(&r, &box, "a.wild.test", A),
			    "NOERROR\na.wild.test. 60 A 203.0.113.2\n");
	assert_int_equal(r.up.asked, 0);
	/* one that is silent is waited for once, and then asked last */
	first.answer = upstream_silent;
	assert_string_equal(ask(&r, &box, "b.wild.test", A),
			    "NOERROR\nb.wild.test. 60 A 203.0.113.5\n");
	assert_int_equal(first.asked, 2);
	assert_string_equal(ask(&r, &box, "c.wild.test", A),
			    "NOERROR\nc.wild.test. 60 A 203.0.113.5\n");
	assert_int_equal(first.asked, 2);
	/* in another configuration it is not known to be silent; it refuses now */
	rig_write(&r, r.resolv_conf, "nameserver 127.0.0.4\nnameserver 127.0.0.2\n"
				     "nameserver 127.0.0.1\n");
	first.answer = garbage;
	first.asked = 2;
	assert_string_equal(ask(&r, &box, "d.wild.test", A),
			    "NOERROR\nd.wild.test. 60 A 203.0.113.5\n");
	assert_int_equal(first.asked, 3);
	upstream_close(&first);
}

/* ---- limits ------------------------------------------------------------------------ */

static bool silent_x(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		     struct msg *a)
{
	if (q->p[13] == 'x')
		return false;
	return upstream_answer(u, nth, q, tcp, a);
}

static void test_pending(void **state)
{
	static struct msg m;
	struct dns_client_stats stats;
	struct asker a;
	char name[32];

	(void)state;
	r.up.answer = silent_x;
	asker_open(&a, &box, false, false);
	for (uint32_t n = 0; n <= DNS_MAX_PENDING; n++) {
		(void)snprintf(name, sizeof(name), "x%u.wild.test", n);
		query_msg(&m, name, A, false);
		asker_send(&a, &m, false);
		/* not more at once than the socket holds */
		if (n % 64 == 63)
			assert_string_equal(ask(&r, &second, "www.allowed.test", A), ANSWERED);
	}
	/* the one too many is answered first */
	assert_true(asker_wait(&r, &a, false));
	assert_string_equal(msg_text(a.in.p, a.in.len), "SERVFAIL\n");
	dns_client_stats(box.c, &stats);
	assert_int_equal(stats.pending, DNS_MAX_PENDING);
	assert_int_equal(stats.asked, DNS_MAX_ASKED);
	/* another sandbox finds the upstream free */
	assert_string_equal(ask(&r, &second, "fresh.wild.test", A),
			    "NOERROR\nfresh.wild.test. 60 A 203.0.113.5\n");
	asker_close(&a);
}

static void test_queue_moves(void **state)
{
	static struct msg m;
	struct asker a;
	char name[32];

	(void)state;
	asker_open(&a, &box, false, false);
	for (uint32_t n = 0; n < DNS_MAX_ASKED + 40; n++) {
		(void)snprintf(name, sizeof(name), "x%u.wild.test", n);
		query_msg(&m, name, A, false);
		asker_send(&a, &m, false);
	}
	for (uint32_t n = 0; n < DNS_MAX_ASKED + 40; n++) {
		assert_true(asker_wait(&r, &a, false));
		assert_memory_equal(msg_text(a.in.p, a.in.len), "NOERROR\n", 8);
	}
	assert_int_equal(r.up.asked, DNS_MAX_ASKED + 40);
	asker_close(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define IMPATIENT(f) cmocka_unit_test_setup_teardown(f, rig_setup_impatient, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_allowed), TEST(test_case), TEST(test_canonical), TEST(test_transports),
		TEST(test_cached), TEST(test_cached_is_bound), TEST(test_coalesced),
		TEST(test_private), TEST(test_forged), TEST(test_truncated), TEST(test_garbage),
		TEST(test_no_edns), TEST(test_negative), TEST(test_bind_error),
		IMPATIENT(test_dead), IMPATIENT(test_two_servers), TEST(test_pending),
		TEST(test_queue_moves),
	};

	return cmocka_run_group_tests_name("dns_upstream", tests, NULL, NULL);
}
