// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Messages made by hand: what is understood, what is believed, what is sent. */
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

static struct msg m;

/* ---- names and addresses ----------------------------------------------------------- */

static void test_names(void **state)
{
	static const struct {
		const char *wire;
		size_t len;
		int ret;
		const char *text;
	} rows[] = {
		{ "\3www\4test", 10, 0, "www.test" }, { "\3WwW\4TEST", 10, 0, "www.test" },
		{ "", 1, 0, "" }, { "\4_sip\4test", 11, 0, "_sip.test" },
		/* a dot, a NUL, a space, an escape inside of labels */
		{ "\5a.b\0c\1t", 9, 1, "a\\046b\\000c.t" }, { "\2a \2b\\", 7, 1, "a\\032.b\\092" },
		{ "\1*\1t", 5, 1, "*.t" }, { "\2\xc3\xa9", 4, 1, "\\195\\169" },
		/* cut short, 64 bytes, a pointer */
		{ "\3www", 4, -EBADMSG, "" }, { "\3ww", 3, -EBADMSG, "" },
		{ "\100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  66, -EBADMSG, "" },
		{ "\1a\xc0\0", 4, -EBADMSG, "" }, { "\1a\x80\0", 4, -EBADMSG, "" },
	};
	char text[DNS_NAME_ESCAPED];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t pos = 0;
		const uint8_t *wire = (const uint8_t *)rows[i].wire;

		assert_int_equal(dns_name_read(wire, rows[i].len, &pos, false, text), rows[i].ret);
		if (rows[i].ret < 0)
			continue;
		assert_string_equal(text, rows[i].text);
		assert_int_equal(pos, rows[i].len);
	}
}

/* 255 bytes are the most, in a piece or by a pointer. */
static void test_long_names(void **state)
{
	char text[DNS_NAME_ESCAPED];
	uint8_t buf[600];
	size_t pos = 0, len = 0;

	(void)state;
	for (int i = 0; i < 127; i++) {
		buf[len++] = 1;
		buf[len++] = 'a';
	}
	buf[len++] = 0; /* 255 */
	assert_int_equal(dns_name_read(buf, len, &pos, false, text), 0);
	assert_int_equal(strlen(text), 253);
	memcpy(buf + len, "\1b\xc0", 4); /* 257 */
	pos = len;
	assert_int_equal(dns_name_read(buf, len + 4, &pos, true, text), -EBADMSG);
	buf[len + 3] = 2; /* 255 again */
	pos = len;
	assert_int_equal(dns_name_read(buf, len + 4, &pos, true, text), 0);
	assert_int_equal(pos, len + 4);
}

static void test_pointers(void **state)
{
	char text[DNS_NAME_ESCAPED];
	/* at 0: itself; 2: to 4; 4: to 2; 6: "a" and back to 6; 10: behind the end; 12: a name */
	static const uint8_t buf[] = { 0xc0, 0, 0xc0, 4, 0xc0, 2, 1, 'a', 0xc0, 6, 0xc0, 99,
				       1, 't', 0, 1, 'x', 0xc0, 12 };
	static const size_t bad[] = { 0, 2, 4, 6, 10 };
	uint8_t chain[100] = { 0 };
	size_t pos;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		pos = bad[i];
		assert_int_equal(dns_name_read(buf, sizeof(buf), &pos, true, text), -EBADMSG);
	}
	pos = 15;
	assert_int_equal(dns_name_read(buf, sizeof(buf), &pos, true, text), 0);
	assert_string_equal(text, "x.t");
	assert_int_equal(pos, sizeof(buf));
	/* a long chain of pointers to pointers, each one backwards */
	for (uint8_t i = 0; i < 40; i++) {
		chain[2 + 2 * i] = 0xc0;
		chain[3 + 2 * i] = i ? 2 * i : 0;
	}
	pos = 2 + 2 * 31;
	assert_int_equal(dns_name_read(chain, sizeof(chain), &pos, true, text), 0);
	pos = 2 + 2 * 32;
	assert_int_equal(dns_name_read(chain, sizeof(chain), &pos, true, text), -EBADMSG);
}

static void test_special(void **state)
{
	static const char *const special[] = {
		"0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1",
		"127.255.0.1", "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.0.0.192", "192.168.1.1", "198.18.0.1", "224.0.0.251", "239.1.1.1", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::10.0.0.1", "fc00::1", "fd00:ec2::254", "fe80::1",
		"fec0::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::a9fe:a9fe",
		"64:ff9b::10.0.0.1", "64:ff9b:1::808:808", "2002:7f00:1::1", "2002:a00:1::",
		"2001:0:1::1", "100::1",
	};
	static const char *const fine[] = {
		"1.1.1.1", "100.128.0.1", "172.32.0.1", "172.15.0.1", "198.20.0.1", "203.0.113.5",
		"223.255.255.255", "192.0.1.1", "168.63.129.17", "2606:4700::1", "2001:db8::1",
		"64:ff9b::808:808", "2002:808:808::1", "2001:1::1", "101::1", "fb00::1",
	};
	uint8_t addr[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		if (!dns_address_special(addr_of(special[i], addr)))
			fail_msg("%s", special[i]);
	for (size_t i = 0; i < ARRAY_SIZE(fine); i++)
		if (dns_address_special(addr_of(fine[i], addr)))
			fail_msg("%s", fine[i]);
}

static void test_reverse(void **state)
{
	static const char *const bad[] = {
		"in-addr.arpa", "1.in-addr.arpa", "1.2.3.in-addr.arpa", "1.2.3.4.5.in-addr.arpa",
		"256.2.3.4.in-addr.arpa", "01.2.3.4.in-addr.arpa", "1..3.4.in-addr.arpa",
		"1.2.3.4.in-addr.arpax", "1.0.ip6.arpa", "1.2.3.4.ip6.arpa",
		"-1.2.3.4.in-addr.arpa",
		"g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	};
	uint8_t addr[16], want[16];

	(void)state;
	assert_int_equal(dns_name_reverse("5.113.0.203.in-addr.arpa", addr), 0);
	assert_memory_equal(addr, addr_of("203.0.113.5", want), 16);
	assert_int_equal(dns_name_reverse("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
					  "8.b.d.0.1.0.0.2.ip6.arpa", addr), 0);
	assert_memory_equal(addr, addr_of("2001:db8::1", want), 16);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(dns_name_reverse(bad[i], addr), -EINVAL);
}

/* ---- questions --------------------------------------------------------------------- */

static void test_query(void **state)
{
	struct dns_query q;

	(void)state;
	query_msg(&m, "WWW.allowed.TEST", A, true);
	assert_int_equal(dns_query_parse(m.p, m.len, &q), 0);
	assert_string_equal(q.name, NAME);
	assert_memory_equal(q.wire, m.p + 12, q.wire_len);
	assert_int_equal(q.wire_len, 18);
	assert_true(q.edns && q.rd && !q.cd && !q.strange);
	assert_int_equal(q.id, 0x4711);
	assert_int_equal(q.udp_size, 1232);
	query_msg(&m, NAME, A, false);
	assert_int_equal(dns_query_parse(m.p, m.len, &q), 0);
	assert_false(q.edns);
	assert_int_equal(q.udp_size, 512);
}

struct bad {
	const char *what;
	uint16_t flags, qd, an, ns, ar;
	const char *body;
	size_t len;
	int ret;
};

#define Q "\1a\4test\0\0\1\0\1"
#define OPT "\0\0\x29\x04\xd0\0\0\0\0\0"
#define B(s) s, sizeof(s) - 1
#define FORMERR LDNS_RCODE_FORMERR
#define NOTIMP LDNS_RCODE_NOTIMPL

static void test_bad_queries(void **state)
{
	static const struct bad rows[] = {
		{ "good", 0x100, 1, 0, 0, 0, B(Q), 0 },
		{ "good with EDNS", 0x100, 1, 0, 0, 1, B(Q OPT "\0"), 0 },
		{ "an answer", 0x8100, 1, 0, 0, 0, B(Q), -EBADMSG },
		{ "IQUERY", 0x0900, 1, 0, 0, 0, B(Q), NOTIMP },
		{ "NOTIFY", 0x2000, 1, 0, 0, 0, B(Q), NOTIMP },
		{ "UPDATE", 0x2800, 1, 0, 0, 0, B(Q), NOTIMP },
		{ "no question", 0x100, 0, 0, 0, 0, B(""), FORMERR },
		{ "two questions", 0x100, 2, 0, 0, 0, B(Q Q), FORMERR },
		{ "an answer record", 0x100, 1, 1, 0, 0, B(Q Q), FORMERR },
		{ "an authority record", 0x100, 1, 0, 1, 0, B(Q Q), FORMERR },
		{ "two additional records", 0x100, 1, 0, 0, 2, B(Q OPT "\0" OPT "\0"), FORMERR },
		{ "trailing bytes", 0x100, 1, 0, 0, 0, B(Q "x"), FORMERR },
		{ "trailing bytes behind EDNS", 0x100, 1, 0, 0, 1, B(Q OPT "\0x"), FORMERR },
		{ "cut short", 0x100, 1, 0, 0, 0, B("\1a\4test\0\0\1\0"), FORMERR },
		{ "a pointer", 0x100, 1, 0, 0, 0, B("\1a\xc0\x0c\0\1\0\1"), FORMERR },
		{ "no EDNS record", 0x100, 1, 0, 0, 1, B(Q), FORMERR },
		{ "TSIG", 0x100, 1, 0, 0, 1, B(Q "\0\0\xfa\0\xff\0\0\0\0\0\0"), FORMERR },
		{ "EDNS of another name", 0x100, 1, 0, 0, 1, B(Q "\1x" OPT "\0"), FORMERR },
		{ "EDNS option", 0x100, 1, 0, 0, 1, B(Q OPT "\6\0\x0a\0\2xx"), 0 },
		{ "EDNS option too long", 0x100, 1, 0, 0, 1, B(Q OPT "\6\0\x0a\0\3xx"), FORMERR },
		{ "half an EDNS option", 0x100, 1, 0, 0, 1, B(Q OPT "\3\0\x0a\0"), FORMERR },
		{ "EDNS version 1", 0x100, 1, 0, 0, 1, B(Q "\0\0\x29\x04\xd0\0\1\0\0\0\0"), 16 },
		{ "class CH", 0x100, 1, 0, 0, 0, B("\1a\4test\0\0\1\0\3"), NOTIMP },
		{ "class ANY", 0x100, 1, 0, 0, 0, B("\1a\4test\0\0\1\0\xff"), NOTIMP },
		{ "type ANY", 0x100, 1, 0, 0, 0, B("\1a\4test\0\0\xff\0\1"), NOTIMP },
		{ "type AXFR", 0x100, 1, 0, 0, 0, B("\1a\4test\0\0\xfc\0\1"), NOTIMP },
		{ "type IXFR", 0x100, 1, 0, 0, 0, B("\1a\4test\0\0\xfb\0\1"), NOTIMP },
		{ "type 0", 0x100, 1, 0, 0, 0, B("\1a\4test\0\0\0\0\1"), NOTIMP },
	};
	uint8_t reply[DNS_UDP_PLAIN];
	struct dns_query q;
	ldns_pkt *pkt;
	int n;

	(void)state;
	msg_header(&m, 7, 0x100, 1, 0, 0, 0);
	assert_int_equal(dns_query_parse(m.p, 11, &q), -EBADMSG);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct bad *row = &rows[i];
		int ret;

		msg_header(&m, 7, row->flags, row->qd, row->an, row->ns, row->ar);
		msg_bytes(&m, row->body, row->len);
		ret = dns_query_parse(m.p, m.len, &q);
		if (ret != row->ret)
			fail_msg("%s: %d", row->what, ret);
		if (ret <= 0)
			continue;
		n = dns_reply_error(&q, (uint8_t)ret, reply);
		assert_true(n >= 12);
		assert_int_equal(ldns_wire2pkt(&pkt, reply, (size_t)n), LDNS_STATUS_OK);
		assert_int_equal(ldns_pkt_get_rcode(pkt), ret & 15);
		assert_int_equal(ldns_pkt_edns_extended_rcode(pkt), ret >> 4);
		assert_int_equal(ldns_pkt_get_opcode(pkt), row->flags >> 11 & 15);
		assert_int_equal(ldns_pkt_id(pkt), 7);
		ldns_pkt_free(pkt);
	}
}

/* ---- answers ----------------------------------------------------------------------- */

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

/* ---- replies ----------------------------------------------------------------------- */

static void test_truncated_reply(void **state)
{
	struct dns_answer *a = dns_answer_new(0, false);
	struct dns_query q;
	uint8_t buf[1232];
	uint8_t addr[16];
	int n;

	(void)state;
	for (uint8_t i = 0; i < 40; i++) {
		(void)addr_of("203.0.113.0", addr);
		addr[15] = i;
		assert_int_equal(dns_answer_add_address(a, NAME, addr), 0);
	}
	query_msg(&m, NAME, A, false);
	assert_int_equal(dns_query_parse(m.p, m.len, &q), 0);
	n = dns_reply(&q, a, 60, 512, buf);
	assert_in_range(n, 12, 512);
	assert_string_equal(msg_text(buf, (size_t)n), "NOERROR truncated\n");
	n = dns_reply(&q, a, 60, 1232, buf);
	assert_int_equal(n, 12 + 22 + 40 * 16);
	dns_answer_unref(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_bad_queries),
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
		cmocka_unit_test(test_truncated_reply),
	};

	return cmocka_run_group_tests_name("dns_wire", tests, NULL, NULL);
}
