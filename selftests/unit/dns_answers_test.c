// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Answers made by hand: what is believed of them, and what is bound. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns_help.h"
#include "dns_wire.h"
#include "util.h"

#define A LDNS_RR_TYPE_A
#define AAAA LDNS_RR_TYPE_AAAA
#define CNAME LDNS_RR_TYPE_CNAME
#define DNAME LDNS_RR_TYPE_DNAME
#define HTTPS LDNS_RR_TYPE_HTTPS
#define NAME "www.allowed.test"

#define B(s) s, sizeof(s) - 1

static struct msg m;

static bool ok_private;

static bool address_ok(void *ctx, const uint8_t addr[16])
{
	(void)ctx;
	(void)addr;
	return ok_private;
}

/* The message in `m`, judged; as text if it is believed, else the error. */
static const char *judge(uint16_t qtype)
{
	static const struct dns_filter filter = { address_ok, NULL };
	static uint8_t buf[65535];
	static char error[16];
	struct dns_answer *a = NULL;
	struct dns_query q = { .id = 1, .rd = true, .edns = true, .qtype = qtype, .qclass = 1 };
	const char *text;
	int err, n;

	err = dns_answer_judge(m.p, m.len, NAME, qtype, 1, &filter, &a);
	if (err) {
		assert_null(a);
		(void)snprintf(error, sizeof(error), "%d", err);
		return error;
	}
	q.wire_len = (uint16_t)dns_name_wire(NAME, q.wire);
	n = dns_reply(&q, a, a->ttl, sizeof(buf), buf);
	assert_true(n > 0);
	text = msg_text(buf, (size_t)n);
	dns_answer_unref(a);
	return text;
}

static void begin(uint16_t flags, uint16_t qtype, uint16_t an, uint16_t ns)
{
	msg_header(&m, 1, flags, 1, an, ns, 0);
	msg_question(&m, NAME, qtype);
}

static const char *number(int err)
{
	static char text[16];

	(void)snprintf(text, sizeof(text), "%d", err);
	return text;
}

static void test_not_ours(void **state)
{
	(void)state;
	begin(ANSWER, A, 1, 0);
	msg_a(&m, NAME, 60, "203.0.113.5");
	assert_string_equal(judge(A), "NOERROR\n" NAME ". 60 A 203.0.113.5\n");
	m.p[1] = 2; /* id */
	assert_string_equal(judge(A), number(-EAGAIN));
	m.p[1] = 1;
	m.p[2] = 1; /* a question */
	assert_string_equal(judge(A), number(-EAGAIN));
	m.p[2] = 0xa9; /* NOTIFY */
	assert_string_equal(judge(A), number(-EAGAIN));
	m.p[2] = 0x81;
	m.p[13] = 'x'; /* name */
	assert_string_equal(judge(A), number(-EAGAIN));
	m.p[13] = 'W';
	assert_string_not_equal(judge(A), number(-EAGAIN));
	m.p[31] = 28; /* type */
	assert_string_equal(judge(A), number(-EAGAIN));
	m.p[31] = 1;
	m.p[33] = 3; /* class */
	assert_string_equal(judge(A), number(-EAGAIN));
	m.p[33] = 1;
	m.p[5] = 0; /* no question */
	assert_string_equal(judge(A), number(-EAGAIN));
	m.len = 11;
	assert_string_equal(judge(A), number(-EAGAIN));
}

static void test_rcodes(void **state)
{
	static const struct {
		uint16_t flags;
		int err;
	} rows[] = {
		{ ANSWER | 1, -EPROTO }, { ANSWER | 4, -EPROTO }, { ANSWER | 2, -EREMOTEIO },
		{ ANSWER | 5, -EREMOTEIO }, { ANSWER | 9, -EREMOTEIO },
		{ ANSWER | TRUNCATED, -EMSGSIZE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(rows[i].flags, A, 0, 0);
		assert_string_equal(judge(A), number(rows[i].err));
	}
	/* one that does not repeat what it does not understand */
	msg_header(&m, 1, ANSWER | 1, 0, 0, 0, 0);
	assert_string_equal(judge(A), number(-EPROTO));
}

static void test_chain(void **state)
{
	(void)state;
	/* in any order; what is not on it is left out, in every section */
	msg_header(&m, 1, ANSWER, 1, 6, 1, 1);
	msg_question(&m, NAME, A);
	msg_a(&m, "evil.test", 60, "203.0.113.66");
	msg_a(&m, "cdn.test", 90, "203.0.113.7");
	msg_target(&m, "a.cdn.test", CNAME, 30, "cdn.test");
	msg_target(&m, NAME, CNAME, 300, "A.CDN.test");
	msg_a(&m, NAME, 60, "203.0.113.67"); /* beside a CNAME */
	msg_target(&m, "evil.test", CNAME, 60, NAME);
	msg_a(&m, "cdn.test", 60, "203.0.113.68"); /* authority */
	msg_a(&m, NAME, 60, "203.0.113.69"); /* additional */
	assert_string_equal(judge(A), "NOERROR\n" NAME ". 60 A 203.0.113.67\n");
	begin(ANSWER, A, 4, 0);
	msg_a(&m, "evil.test", 60, "203.0.113.66");
	msg_a(&m, "cdn.test", 90, "203.0.113.7");
	msg_target(&m, "a.cdn.test", CNAME, 30, "cdn.test");
	msg_target(&m, NAME, CNAME, 300, "A.CDN.test");
	assert_string_equal(judge(A), "NOERROR\n" NAME ". 30 CNAME a.cdn.test.\n"
				      "a.cdn.test. 30 CNAME cdn.test.\n"
				      "cdn.test. 30 A 203.0.113.7\n");
}

static void test_chain_ends(void **state)
{
	(void)state;
	begin(ANSWER, A, 2, 0); /* nothing at the end */
	msg_target(&m, NAME, CNAME, 300, "cdn.test");
	msg_a(&m, "other.test", 60, "203.0.113.66");
	assert_string_equal(judge(A), "NOERROR\n" NAME ". 5 CNAME cdn.test.\n");
	begin(ANSWER, A, 2, 0); /* a loop */
	msg_target(&m, NAME, CNAME, 300, "cdn.test");
	msg_target(&m, "cdn.test", CNAME, 300, NAME);
	assert_string_equal(judge(A), number(-EBADMSG));
	begin(ANSWER, A, 2, 0); /* over a name that holds other bytes */
	msg_target(&m, NAME, CNAME, 300, "c dn.test");
	msg_a(&m, "c dn.test", 60, "203.0.113.66");
	assert_string_equal(judge(A), number(-EBADMSG));
	begin(ANSWER, CNAME, 2, 0); /* not followed when it is the question */
	msg_target(&m, NAME, CNAME, 300, "cdn.test");
	msg_a(&m, "cdn.test", 60, "203.0.113.66");
	assert_string_equal(judge(CNAME), "NOERROR\n" NAME ". 300 CNAME cdn.test.\n");
}

static void test_long_chain(void **state)
{
	char from[32] = NAME, to[32];

	(void)state;
	for (int n = DNS_MAX_CHAIN; n <= (int)DNS_MAX_CHAIN + 1; n++) {
		begin(ANSWER, A, (uint16_t)(n + 1), 0);
		strcpy(from, NAME);
		for (int i = 0; i < n; i++) {
			(void)snprintf(to, sizeof(to), "c%d.test", i);
			msg_target(&m, from, CNAME, 60, to);
			strcpy(from, to);
		}
		msg_a(&m, from, 60, "203.0.113.7");
		if (n > (int)DNS_MAX_CHAIN)
			assert_string_equal(judge(A), number(-EBADMSG));
		else
			assert_non_null(strstr(judge(A), "c15.test. 60 A 203.0.113.7\n"));
	}
}

static void test_dname(void **state)
{
	(void)state;
	begin(ANSWER, A, 4, 0);
	msg_target(&m, "allowed.test", DNAME, 600, "moved.test");
	msg_target(&m, NAME, CNAME, 600, "evil.test"); /* not what the DNAME says */
	msg_a(&m, "evil.test", 60, "203.0.113.66");
	msg_a(&m, "www.moved.test", 60, "203.0.113.7");
	assert_string_equal(judge(A), "NOERROR\nallowed.test. 60 DNAME moved.test.\n"
				      NAME ". 60 CNAME www.moved.test.\n"
				      "www.moved.test. 60 A 203.0.113.7\n");
	begin(ANSWER, A, 2, 0); /* of the name itself, of another suffix: does not apply */
	msg_target(&m, NAME, DNAME, 600, "moved.test");
	msg_target(&m, "owed.test", DNAME, 600, "moved.test");
	assert_string_equal(judge(A), "NOERROR\n");
	begin(ANSWER, A, 1, 0); /* round and round, longer each time */
	msg_target(&m, "test", DNAME, 600, "a.test");
	assert_string_equal(judge(A), number(-EBADMSG));
}

static void test_private(void **state)
{
	(void)state;
	begin(ANSWER, A, 3, 0);
	msg_a(&m, NAME, 60, "10.0.0.1");
	msg_a(&m, NAME, 60, "203.0.113.7");
	msg_a(&m, NAME, 60, "169.254.169.254");
	assert_string_equal(judge(A), "NOERROR\n" NAME ". 60 A 203.0.113.7\n");
	begin(ANSWER, A, 2, 0);
	msg_target(&m, NAME, CNAME, 60, "evil.test");
	msg_a(&m, "evil.test", 60, "127.0.0.1");
	assert_string_equal(judge(A), "NOERROR ede15\n");
	begin(ANSWER, AAAA, 3, 0);
	msg_a(&m, NAME, 60, "::ffff:203.0.113.7"); /* mapped: never in an honest answer */
	msg_a(&m, NAME, 60, "64:ff9b::a9fe:a9fe");
	msg_a(&m, NAME, 60, "::1");
	assert_string_equal(judge(AAAA), "NOERROR ede15\n");
	ok_private = true;
	assert_string_equal(judge(AAAA), "NOERROR\n" NAME ". 60 AAAA ::ffff:203.0.113.7\n"
					 NAME ". 60 AAAA 64:ff9b::a9fe:a9fe\n"
					 NAME ". 60 AAAA ::1\n");
	ok_private = false;
}

static void test_ttl(void **state)
{
	static const struct {
		uint32_t ttl;
		const char *text;
	} rows[] = {
		{ 0, " 5 A" }, { 4, " 5 A" }, { 61, " 61 A" }, { 3600, " 3600 A" },
		{ 86400, " 3600 A" },
		{ 0x80000000, " 5 A" }, { 0xffffffff, " 5 A" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(ANSWER, A, 1, 0);
		msg_a(&m, NAME, rows[i].ttl, "203.0.113.7");
		assert_non_null(strstr(judge(A), rows[i].text));
	}
}

static void test_negative(void **state)
{
	static const char soa[] = "authority allowed.test. 30 SOA ns.test. admin.test. "
				  "1 1 1 1 30\n";

	(void)state;
	begin(ANSWER | 3, A, 0, 1);
	msg_soa(&m, "allowed.test", 900, 30);
	assert_memory_equal(judge(A), "NXDOMAIN\n", 9);
	assert_string_equal(judge(A) + 9, soa);
	begin(ANSWER | 3, A, 0, 1); /* of a zone that the name is not in */
	msg_soa(&m, "evil.test", 900, 30);
	assert_string_equal(judge(A), "NXDOMAIN\n");
	begin(ANSWER, AAAA, 0, 1); /* for no longer than our bound */
	msg_soa(&m, "test", 86400, 86400);
	assert_non_null(strstr(judge(AAAA), "authority test. 300 SOA"));
	begin(ANSWER | 3, A, 1, 0); /* a name with an address exists */
	msg_a(&m, NAME, 60, "203.0.113.7");
	assert_string_equal(judge(A), "NOERROR\n" NAME ". 60 A 203.0.113.7\n");
}

static void test_malformed(void **state)
{
	static const struct {
		const char *what;
		uint16_t type;
		const char *rdata;
		size_t len;
	} rows[] = {
		{ "A of 3 bytes", A, B("\1\2\3") },
		{ "A of 5 bytes", A, B("\1\2\3\4\5") },
		{ "no CNAME", CNAME, B("") },
		{ "CNAME and more", CNAME, B("\1a\0x") },
		{ "CNAME to itself by pointer", CNAME, B("\xc0\x3e") },
		{ "CNAME forwards", CNAME, B("\xc0\xff") },
		{ "short HTTPS", HTTPS, B("\0\1") },
		{ "no string", LDNS_RR_TYPE_TXT, B("") },
		{ "a string cut short", LDNS_RR_TYPE_TXT, B("\1a\2b") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint16_t qtype = rows[i].type == CNAME ? A : rows[i].type;

		begin(ANSWER, qtype, 1, 0);
		msg_rr(&m, NAME, rows[i].type, 60, rows[i].rdata, rows[i].len);
		if (!str_eq(judge(qtype), number(-EBADMSG)))
			fail_msg("%s: %s", rows[i].what, judge(qtype));
	}
	begin(ANSWER, A, 2, 0); /* fewer records than said, data behind the end */
	msg_a(&m, NAME, 60, "203.0.113.7");
	assert_string_equal(judge(A), number(-EBADMSG));
	m.p[7] = 1;
	m.len--;
	assert_string_equal(judge(A), number(-EBADMSG));
}

/* More than anybody has: not believed, however well-formed; many addresses: the first ones. */
static void test_giant(void **state)
{
	char addr[32];

	(void)state;
	for (int n = 100; n <= 300; n += 200) {
		begin(ANSWER, A, (uint16_t)n, 0);
		for (int i = 0; i < n; i++) {
			(void)snprintf(addr, sizeof(addr), "203.0.%d.%d", 113 + i / 250, i % 250);
			msg_a(&m, NAME, 60, addr);
		}
		if (n == 300) {
			assert_string_equal(judge(A), number(-EBADMSG));
			continue;
		}
		assert_non_null(strstr(judge(A), "203.0.113.63\n"));
		assert_null(strstr(judge(A), "203.0.113.64\n"));
	}
}

static void test_types(void **state)
{
	(void)state;
	begin(ANSWER, LDNS_RR_TYPE_MX, 2, 0);
	msg_rr(&m, NAME, LDNS_RR_TYPE_MX, 60, B("\0\12\4MAIL\xc0\x10"));
	msg_rr(&m, NAME, LDNS_RR_TYPE_MX, 60, B("\0\12\4ma l\xc0\x10"));
	assert_string_equal(judge(LDNS_RR_TYPE_MX),
			    "NOERROR\n" NAME ". 60 MX 10 mail.allowed.test.\n");
	begin(ANSWER, LDNS_RR_TYPE_SRV, 1, 0);
	msg_rr(&m, NAME, LDNS_RR_TYPE_SRV, 60, B("\0\1\0\2\1\273\1x\0"));
	assert_string_equal(judge(LDNS_RR_TYPE_SRV), "NOERROR\n" NAME ". 60 SRV 1 2 443 x.\n");
	begin(ANSWER, LDNS_RR_TYPE_TXT, 1, 0);
	msg_rr(&m, NAME, LDNS_RR_TYPE_TXT, 60, B("\2hi\1x"));
	assert_string_equal(judge(LDNS_RR_TYPE_TXT), "NOERROR\n" NAME ". 60 TXT \"hi\" \"x\"\n");
}

/* ---- SVCB and HTTPS ---------------------------------------------------------------- */

#define ALPN "\0\1\0\3\2h2"
#define PORT "\0\3\0\2\1\273"
#define HINTS "\0\4\0\10\12\0\0\1\313\0\161\7"
#define HINT_OUT "00040004cb007107"
#define ECH "\0\5\0\2xx"

static void test_https(void **state)
{
	static const struct {
		const char *rdata;
		size_t len;
		const char *text;
	} rows[] = {
		{ B("\0\1\0" ALPN PORT), " 1 . 0001000302683200030002" "01bb\n" },
		/* the private hint and ech go, the other hint stays and is bound */
		{ B("\0\1\0" ALPN HINTS ECH), " 1 . 00010003026832" HINT_OUT "\n" },
		{ B("\0\1\0" "\0\4\0\4\12\0\0\1"), " 1 .\n" },
		{ B("\0\1\0" "\0\6\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), " 1 .\n" },
		/* what must be there was removed: the record is of no use */
		{ B("\0\1\0" "\0\0\0\2\0\5" ECH), NULL },
		{ B("\0\1\0" "\0\0\0\2\0\1" ALPN ECH), " 1 . 000000020001" "00010003026832\n" },
		/* an alias has no parameters */
		{ B("\0\0\3cdn\4test\0" HINTS), " 0 cdn.test.\n" },
		/* out of order, twice, cut short, odd hints */
		{ B("\0\1\0" PORT ALPN), NULL }, { B("\0\1\0" ALPN ALPN), NULL },
		{ B("\0\1\0" "\0\1\0\4\2h2"), NULL }, { B("\0\1\0" "\0\1\0"), NULL },
		{ B("\0\1\0" "\0\4\0\3\12\0\0"), NULL }, { B("\0\1\0" "\0\4\0\0"), NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *text;

		begin(ANSWER, HTTPS, 1, 0);
		msg_rr(&m, NAME, HTTPS, 60, rows[i].rdata, rows[i].len);
		text = judge(HTTPS);
		if (!rows[i].text)
			assert_null(strstr(text, " HTTPS "));
		else if (!str_ends(text, rows[i].text))
			fail_msg("%zu: %s", i, text);
	}
}

static void test_https_hints_are_bound(void **state)
{
	struct dns_answer *a;
	uint8_t want[16];

	(void)state;
	begin(ANSWER, HTTPS, 1, 0);
	msg_rr(&m, NAME, HTTPS, 60, B("\0\1\0" HINTS));
	assert_int_equal(dns_answer_judge(m.p, m.len, NAME, HTTPS, 1, NULL, &a), 0);
	assert_int_equal(a->naddrs, 1);
	assert_memory_equal(a->addrs[0], addr_of("203.0.113.7", want), 16);
	assert_int_equal(a->nremoved, 1);
	assert_memory_equal(a->removed[0], addr_of("10.0.0.1", want), 16);
	dns_answer_unref(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_rcodes),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_chain_ends),
		cmocka_unit_test(test_long_chain),
		cmocka_unit_test(test_dname),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_negative),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_giant),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_https),
		cmocka_unit_test(test_https_hints_are_bound),
	};

	return cmocka_run_group_tests_name("dns_answers", tests, NULL, NULL);
}
