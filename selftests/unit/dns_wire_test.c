// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names, addresses, questions and replies made by hand; answers: dns_answers_test.c. */
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
		cmocka_unit_test(test_truncated_reply),
	};

	return cmocka_run_group_tests_name("dns_wire", tests, NULL, NULL);
}
