// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What programs see of the resolver: refusals, transports, names that are here. */
#include <errno.h>
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

/* ---- refusing ---------------------------------------------------------------------- */

static void test_refused(void **state)
{
	static const uint16_t types[] = { A, AAAA, LDNS_RR_TYPE_TXT, LDNS_RR_TYPE_HTTPS,
					  LDNS_RR_TYPE_PTR, LDNS_RR_TYPE_NS, 65280 };
	static struct msg m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_string_equal(ask(&r, &box, "secret.evil.test", types[i]), REFUSED_TEXT);
	assert_string_equal(ask(&r, &box, "allowed.test", A), REFUSED_TEXT);
	assert_string_equal(ask(&r, &box, "wild.test", A), REFUSED_TEXT);
	assert_string_equal(ask(&r, &box, "notwild.test", A), REFUSED_TEXT);
	assert_int_equal(r.up.asked + r.up.asked_tcp, 0);
	assert_string_equal(box.refused,
			    "secret.evil.test A\nsecret.evil.test AAAA\nsecret.evil.test TXT\n"
			    "secret.evil.test HTTPS\nsecret.evil.test PTR\nsecret.evil.test NS\n"
			    "secret.evil.test TYPE65280\nallowed.test A\nwild.test A\n"
			    "notwild.test A\n");
	assert_string_equal(second.refused, "");
	query_msg(&m, "evil.test", A, false);
	assert_string_equal(ask_msg(&r, &box, &m, false), "NXDOMAIN\n");
}

#define W(name) name, sizeof(name) /* the NUL is the root */

/* Names that text could confuse with allowed ones. */
static void test_strange_names(void **state)
{
	static const struct {
		const char *wire;
		size_t len;
		const char *refused;
	} rows[] = {
		{ W("\13www.allowed\4test"), "www\\046allowed.test A\n" },
		{ W("\21www.allowed.test\0"), "www\\046allowed\\046test\\000 A\n" },
		{ W("\4evil\1\0\3www\7allowed\4test"), "evil.\\000.www.allowed.test A\n" },
		{ W("\5evil \4wild\4test"), "evil\\032.wild.test A\n" },
		{ W("\1*\4wild\4test"), "*.wild.test A\n" },
	};
	static struct msg m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		box.refused[0] = '\0';
		msg_header(&m, 1, 0x0100, 1, 0, 0, 0);
		msg_bytes(&m, rows[i].wire, rows[i].len);
		msg_bytes(&m, "\0\1\0\1", 4);
		assert_string_equal(ask_msg(&r, &box, &m, false), "NXDOMAIN\n");
		assert_string_equal(box.refused, rows[i].refused);
	}
	assert_int_equal(r.up.asked, 0);
}

static void test_search(void **state)
{
	(void)state;
	/* made of an allowed name by the search list: refused, and no news */
	assert_string_equal(ask(&r, &box, "www.allowed.test.corp.test", A), REFUSED_TEXT);
	assert_string_equal(ask(&r, &box, "x.wild.test.lab.test", A), REFUSED_TEXT);
	assert_string_equal(box.refused, "");
	assert_string_equal(ask(&r, &box, "evil.test.corp.test", A), REFUSED_TEXT);
	assert_string_equal(ask(&r, &box, "www.allowed.test.evil.test", A), REFUSED_TEXT);
	assert_string_equal(box.refused, "evil.test.corp.test A\nwww.allowed.test.evil.test A\n");
	assert_int_equal(r.up.asked, 0);
}

static void test_unsupported(void **state)
{
	(void)state;
	assert_string_equal(ask(&r, &box, "www.allowed.test", LDNS_RR_TYPE_ANY), "NOTIMPL\n");
	assert_string_equal(ask(&r, &box, "www.allowed.test", LDNS_RR_TYPE_NS), "NOERROR\n");
	assert_string_equal(ask(&r, &box, "www.allowed.test", LDNS_RR_TYPE_NULL), "NOERROR\n");
	assert_int_equal(r.up.asked, 0);
}

/* A datagram that deserves no answer gets none: the next one's comes first. */
static void test_dropped(void **state)
{
	static struct msg m;
	struct asker a;

	(void)state;
	asker_open(&a, &box, false, false);
	query_msg(&m, "evil.test", A, false);
	m.p[0] = 1;
	m.p[2] |= 0x80; /* an answer */
	asker_send(&a, &m, false);
	m.len = 11;
	asker_send(&a, &m, false);
	query_msg(&m, "evil.test", A, false);
	asker_send(&a, &m, false);
	assert_true(asker_wait(&r, &a, false));
	assert_memory_equal(a.in.p, m.p, 2);
	/* longer than any question, and longer than what is read of it */
	m.len = 1024;
	asker_send(&a, &m, false);
	assert_true(asker_wait(&r, &a, false));
	assert_string_equal(msg_text(a.in.p, a.in.len), "FORMERR\n");
	m.len = 5000;
	asker_send(&a, &m, false);
	assert_true(asker_wait(&r, &a, false));
	assert_string_equal(msg_text(a.in.p, a.in.len), "FORMERR\n");
	asker_close(&a);
}

/* ---- TCP --------------------------------------------------------------------------- */

static void test_pipeline(void **state)
{
	static struct msg m;
	struct asker a;
	char name[32];

	(void)state;
	asker_open(&a, &box, false, true);
	for (uint32_t n = 0; n < 3 * DNS_MAX_TCP_PENDING; n++) {
		(void)snprintf(name, sizeof(name), "x%u.wild.test", n);
		query_msg(&m, name, A, false);
		asker_send(&a, &m, true);
	}
	/* that it has no more to say does not mean that it does not listen */
	shutdown(a.fd, SHUT_WR);
	for (uint32_t n = 0; n < 3 * DNS_MAX_TCP_PENDING; n++) {
		assert_true(asker_wait(&r, &a, true));
		assert_memory_equal(msg_text(a.in.p, a.in.len), "NOERROR\n", 8);
	}
	assert_false(asker_wait(&r, &a, true));
	asker_close(&a);
}

/* More than a connection may have pending are not read. */
static void test_pipeline_limit(void **state)
{
	static struct msg m;
	struct dns_client_stats stats;
	struct asker a;
	char name[32];

	(void)state;
	r.up.answer = upstream_silent;
	asker_open(&a, &box, false, true);
	for (uint32_t n = 0; n < 2 * DNS_MAX_TCP_PENDING; n++) {
		(void)snprintf(name, sizeof(name), "x%u.wild.test", n);
		query_msg(&m, name, A, false);
		asker_send(&a, &m, true);
	}
	do
		dns_client_stats(box.c, &stats);
	while (!stats.pending && sd_event_run(r.loop, UINT64_MAX) >= 0);
	(void)ask(&r, &second, "evil.test", A);
	dns_client_stats(box.c, &stats);
	assert_int_equal(stats.pending, DNS_MAX_TCP_PENDING);
	/* those that follow have their turn when the first ones failed */
	for (uint32_t n = 0; n < 2 * DNS_MAX_TCP_PENDING; n++) {
		assert_true(asker_wait(&r, &a, true));
		assert_string_equal(msg_text(a.in.p, a.in.len), "SERVFAIL\n");
	}
	asker_close(&a);
}

static void test_tcp_framing(void **state)
{
	static const char *const bad[] = { "\xff\xff", "\4\1" };
	struct asker a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		asker_open(&a, &box, false, true);
		assert_int_equal(send(a.fd, bad[i], 2, MSG_NOSIGNAL), 2);
		assert_false(asker_wait(&r, &a, true));
		asker_close(&a);
	}
}

static void test_tcp_limit(void **state)
{
	static struct msg m;
	struct asker a[DNS_MAX_TCP + 4];
	struct dns_client_stats stats;

	(void)state;
	query_msg(&m, "www.allowed.test", A, true);
	for (uint32_t i = 0; i < ARRAY_SIZE(a); i++) {
		asker_open(&a[i], &box, false, true);
		asker_send(&a[i], &m, true);
		assert_true(asker_wait(&r, &a[i], true));
		dns_client_stats(box.c, &stats);
		assert_true(stats.tcp <= DNS_MAX_TCP);
	}
	/* the longest idle ones went */
	assert_false(asker_wait(&r, &a[0], true));
	asker_send(&a[4], &m, true);
	assert_true(asker_wait(&r, &a[4], true));
	for (uint32_t i = 0; i < ARRAY_SIZE(a); i++)
		asker_close(&a[i]);
}

/* Programs that go away before their answer comes. */
static void test_tcp_gone(void **state)
{
	static struct msg m;
	struct dns_client_stats stats;
	struct asker a;

	(void)state;
	r.up.answer = upstream_silent;
	asker_open(&a, &box, false, true);
	query_msg(&m, "www.allowed.test", A, true);
	asker_send(&a, &m, true);
	(void)ask(&r, &second, "evil.test", A);
	asker_close(&a);
	assert_string_equal(ask(&r, &box, "other.allowed.test", A), "SERVFAIL\n");
	dns_client_stats(box.c, &stats);
	assert_int_equal(stats.tcp, 0);
	assert_int_equal(stats.pending, 0);
}

/* ---- names that are here ----------------------------------------------------------- */

static void test_local(void **state)
{
	(void)state;
	assert_string_equal(ask(&r, &box, "localhost", A), "NOERROR\nlocalhost. 60 A 127.0.0.1\n");
	assert_string_equal(ask(&r, &box, "a.localhost", AAAA),
			    "NOERROR\na.localhost. 60 AAAA ::1\n");
	assert_string_equal(ask(&r, &box, "localhost", LDNS_RR_TYPE_TXT), "NOERROR\n");
	assert_string_equal(ask(&r, &box, "1.0.0.127.in-addr.arpa", LDNS_RR_TYPE_PTR),
			    "NOERROR\n1.0.0.127.in-addr.arpa. 60 PTR localhost.\n");
	assert_int_equal(r.up.asked, 0);
	assert_int_equal(box.nbound, 0);
}

static void test_reverse(void **state)
{
	static const char five[] = "5.113.0.203.in-addr.arpa";
	uint8_t addr[16];

	(void)state;
	assert_string_equal(ask(&r, &box, five, LDNS_RR_TYPE_PTR), REFUSED_TEXT);
	(void)ask(&r, &box, "www.allowed.test", A);
	assert_string_equal(ask(&r, &box, five, LDNS_RR_TYPE_PTR),
			    "NOERROR\n5.113.0.203.in-addr.arpa. 60 PTR www.allowed.test.\n");
	assert_string_equal(dns_client_name_of(box.c, addr_of("203.0.113.5", addr)),
			    "www.allowed.test");
	assert_string_equal(ask(&r, &second, five, LDNS_RR_TYPE_PTR), REFUSED_TEXT);
	assert_null(dns_client_name_of(second.c, addr));
	assert_int_equal(r.up.asked, 1);
}

static void test_hosts(void **state)
{
	struct box third;

	(void)state;
	rig_write(&r, r.hosts, "203.0.113.80 www.allowed.test evil.test\n10.0.0.1 a.wild.test\n"
			       "0.0.0.0 b.wild.test\n127.0.1.1 other.allowed.test\n");
	/* no question is needed: programs read the file themselves */
	while (!box_bound(&box, "203.0.113.80"))
		assert_return_code(sd_event_run(r.loop, UINT64_MAX), 0);
	assert_int_equal(box_bound(&box, "203.0.113.80")->expires, UINT64_MAX);
	assert_int_equal(box_bound(&box, "203.0.113.80")->classes, 1);
	assert_int_equal(box.nbound, 1);
	assert_int_equal(second.nbound, 1);
	assert_string_equal(ask(&r, &box, "www.allowed.test", A),
			    "NOERROR\nwww.allowed.test. 60 A 203.0.113.80\n");
	assert_string_equal(ask(&r, &box, "www.allowed.test", AAAA), "NOERROR\n");
	assert_string_equal(ask(&r, &box, "evil.test", A), REFUSED_TEXT);
	assert_string_equal(ask(&r, &box, "a.wild.test", A), "NOERROR ede15\n");
	assert_string_equal(ask(&r, &box, "b.wild.test", A), "NOERROR ede15\n");
	assert_int_equal(r.up.asked, 0);
	/* another address: the new one is there, the old one ends */
	rig_write(&r, r.hosts, "203.0.113.81 www.allowed.test\n");
	while (!box_bound(&box, "203.0.113.81"))
		assert_return_code(sd_event_run(r.loop, UINT64_MAX), 0);
	assert_int_equal(box_bound(&box, "203.0.113.80")->expires,
			 test_clock + (DNS_LOCAL_TTL + DNS_GRACE) * SEC);
	assert_int_equal(box_bound(&box, "203.0.113.81")->expires, UINT64_MAX);
	/* a sandbox that begins later has it from the beginning */
	rig_serve(&r, &third, box.rules);
	assert_int_equal(box_bound(&third, "203.0.113.81")->classes, 1);
	dns_client_free(third.c);
	free(third.bound);
}

/* A long file does not take all places. */
static void test_many_hosts(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct dns_client_stats stats;

	(void)state;
	for (uint32_t n = 0; n < 2 * DNS_MAX_PINNED; n++)
		(void)fprintf(f, "203.0.%u.%u n%u.wild.test\n", n / 256, n % 256, n);
	assert_int_equal(fclose(f), 0);
	rig_write(&r, r.hosts, text);
	free(text);
	while (!box.nbound)
		assert_return_code(sd_event_run(r.loop, UINT64_MAX), 0);
	dns_client_stats(box.c, &stats);
	assert_int_equal(stats.pinned, DNS_MAX_PINNED);
	/* the others are bound when they are asked for */
	assert_null(box_bound(&box, "203.0.3.231"));
	assert_string_equal(ask(&r, &box, "n999.wild.test", A),
			    "NOERROR\nn999.wild.test. 60 A 203.0.3.231\n");
	assert_int_equal(box_bound(&box, "203.0.3.231")->expires,
			 test_clock + (DNS_LOCAL_TTL + DNS_GRACE) * SEC);
}

static void test_reload(void **state)
{
	static const struct rule after[] = { { "other.allowed.test", 8 }, { "www.evil.test", 1 },
					     { "", 0 } };

	(void)state;
	rig_write(&r, r.hosts, "203.0.113.80 www.evil.test\n");
	(void)ask(&r, &box, "www.allowed.test", A);
	r.up.addr = "203.0.113.6";
	(void)ask(&r, &box, "other.allowed.test", A);
	box.rules = after;
	dns_client_reload(box.c);
	assert_null(box_bound(&box, "203.0.113.5"));
	assert_int_equal(box_bound(&box, "203.0.113.6")->classes, 8);
	assert_int_equal(box_bound(&box, "203.0.113.80")->classes, 1);
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), REFUSED_TEXT);
	/* what was judged by the old rules is not answered again */
	assert_int_equal(r.up.asked, 2);
	(void)ask(&r, &box, "other.allowed.test", A);
	assert_int_equal(r.up.asked, 3);
}

/* The rule goes away while the host's resolvers are asked. */
static bool revoke_and_answer(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
			      struct msg *a)
{
	static const struct rule none[] = { { "", 0 } };

	box.rules = none;
	dns_client_reload(box.c);
	return upstream_answer(u, nth, q, tcp, a);
}

static void test_revoked(void **state)
{
	(void)state;
	r.up.answer = revoke_and_answer;
	assert_string_equal(ask(&r, &box, "www.allowed.test", A), REFUSED_TEXT);
	assert_int_equal(box.nbound, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define IMPATIENT(f) cmocka_unit_test_setup_teardown(f, rig_setup_impatient, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused), TEST(test_strange_names), TEST(test_search),
		TEST(test_unsupported), TEST(test_dropped), TEST(test_pipeline),
		IMPATIENT(test_pipeline_limit), TEST(test_tcp_framing), TEST(test_tcp_limit),
		IMPATIENT(test_tcp_gone), TEST(test_local), TEST(test_reverse), TEST(test_hosts),
		TEST(test_many_hosts), TEST(test_reload), TEST(test_revoked),
	};

	return cmocka_run_group_tests_name("dns_server", tests, NULL, NULL);
}
