// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules about names: which names they cover, what they open there, what is refused. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy_help.h"
#include "verdict.h"

#define V1 "version: 1\n"

struct question {
	const char *name;
	uint16_t port;
	uint8_t verdict; /* EG_V_*, 0 */
	uint32_t line; /* of the rule; 0: none */
};

static void ask(const struct compiled *c, const struct question *q, size_t n)
{
	int wrong = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t verdict = 0;
		uint32_t rule = 0, line;

		(void)verdict_name(c, q[i].name, q[i].port, IPPROTO_TCP, &verdict, &rule);
		line = rule ? c->rules[rule - 1].line : 0;
		if (verdict == q[i].verdict && line == q[i].line)
			continue;
		print_error("%s:%u: %u by line %u, expected %u by line %u\n", q[i].name, q[i].port,
			    verdict, line, q[i].verdict, q[i].line);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}
#define ASK(c, q) ask((c), (q), ARRAY_SIZE(q))

/* Where a name begins and ends: what a comparison of bytes gets wrong. */
static void boundaries(void **state)
{
	static const struct question q[] = {
		{ "allowed.test", 443, 0, 0 }, /* the apex is not below itself */
		{ "a.allowed.test", 443, EG_V_ALLOW, 4 },
		{ "b.a.allowed.test", 443, EG_V_ALLOW, 4 },
		{ "evilallowed.test", 443, 0, 0 },
		{ "evil-allowed.test", 443, 0, 0 },
		{ "allowed.test.evil.test", 443, 0, 0 },
		{ "a.allowed.test.evil.test", 443, 0, 0 },
		{ "allowed.tes", 443, 0, 0 },
		{ "a.allowed.testt", 443, 0, 0 },
		{ "test", 443, 0, 0 },
		{ "exact.test", 443, EG_V_ALLOW, 5 },
		{ "a.exact.test", 443, 0, 0 },
		{ "aexact.test", 443, 0, 0 },
		{ "both.test", 8443, EG_V_ALLOW, 6 },
		{ "a.both.test", 8443, EG_V_ALLOW, 6 },
		{ "xboth.test", 8443, 0, 0 },
		{ "both.test", 443, 0, 0 },
		/* case and the final dot mean nothing */
		{ "EXACT.Test", 443, EG_V_ALLOW, 5 },
		{ "exact.test.", 443, EG_V_ALLOW, 5 },
		{ "A.Allowed.TEST.", 443, EG_V_ALLOW, 4 },
		/* what is no name */
		{ "exact.test..", 443, 0, 0 },
		{ ".exact.test", 443, 0, 0 },
		{ "a..allowed.test", 443, 0, 0 },
		{ ".a.allowed.test", 443, 0, 0 },
		{ ".", 443, 0, 0 },
		{ "", 443, 0, 0 },
		{ "exact.test ", 443, 0, 0 },
		{ "exact\\.test", 443, 0, 0 },
		{ "*.allowed.test", 443, EG_V_ALLOW, 4 }, /* a label like any other */
		{ "192.0.2.1", 443, 0, 0 },
	};
	struct compiled *c = help_compile(V1 "egress:\n"
					     "  allow:\n"
					     "  - \"*.allowed.test\"\n"
					     "  - exact.test\n"
					     "  - .Both.Test.:8443\n", NULL);
	char longest[300], over[400];
	size_t n = 0;

	(void)state;
	ASK(c, q);
	while (n < 253 - strlen("allowed.test"))
		n += (size_t)sprintf(longest + n, "%s.", n ? "a" : "aa");
	(void)strcpy(longest + n, "allowed.test");
	assert_int_equal(strlen(longest), 253);
	(void)snprintf(over, sizeof(over), "a%s", longest);
	assert_int_not_equal(verdict_name_classes(c, longest), 0);
	assert_int_equal(verdict_name_classes(c, over), 0);
	compiled_free(c);
}

static void deny_beats_allow(void **state)
{
	static const struct question q[] = {
		{ "a.example.com", 443, EG_V_ALLOW, 4 },
		{ "bad.example.com", 443, EG_V_DENY, 10 },
		{ "x.bad.example.com", 443, EG_V_ALLOW, 4 },
		{ "a.evil.example.com", 443, EG_V_DENY, 11 },
		{ "evil.example.com", 443, EG_V_ALLOW, 4 },
		/* more specific and all the same denied */
		{ "good.evil.example.com", 443, EG_V_DENY, 11 },
		/* a port of a name */
		{ "half.example.com", 443, EG_V_DENY, 12 },
		{ "half.example.com", 8080, EG_V_ALLOW, 6 },
		{ "half.example.com", 8081, EG_V_DENY, 12 },
		{ "half.example.com", 8090, EG_V_ALLOW, 6 },
		{ "other.example.com", 8081, EG_V_ALLOW, 6 },
		/* everything below a domain, whoever allowed it */
		{ "gone.test", 443, EG_V_DENY, 13 },
		{ "a.gone.test", 443, EG_V_DENY, 13 },
		/* what nobody allowed is denied by the rule that says so, else by the default */
		{ "nobody.gone.test", 25, EG_V_DENY, 13 },
		{ "nobody.test", 25, 0, 0 },
	};
	struct compiled *c = help_compile(V1 "egress:\n"
					     "  allow:\n"
					     "  - \"*.example.com\"\n"
					     "  - good.evil.example.com\n"
					     "  - \"*.example.com:8080-8090\"\n"
					     "  - gone.test\n"
					     "  - .gone.test:80\n"
					     "  deny:\n"
					     "  - bad.example.com\n"
					     "  - \"*.evil.example.com\"\n"
					     "  - {host: half.example.com, ports: [443, "
					     "8081-8089]}\n  - .gone.test\n", NULL);

	(void)state;
	ASK(c, q);
	compiled_free(c);
}

static void every_name(void **state)
{
	static const struct question q[] = {
		{ "anything", 443, EG_V_ALLOW, 4 }, { "a.b.c", 443, EG_V_ALLOW, 4 },
		{ "a.b.c", 80, 0, 0 },		    { "evil.test", 443, EG_V_DENY, 5 },
		{ "a.evil.test", 443, EG_V_DENY, 5 },
	};
	struct compiled *c = help_compile(V1 "egress:\n"
					     "  allow:\n"
					     "  - \"*\"\n"
					     "  deny: [.evil.test]\n", NULL);

	(void)state;
	ASK(c, q);
	assert_int_equal(c->nnotices, 2); /* and that there is no files section */
	assert_non_null(strstr(c->notices[0], "p.yaml:4:5: \"*\" opens every name"));
	compiled_free(c);
	c = help_compile(V1 "egress: {allow: [a.test], deny: ['*:443']}\n", NULL);
	assert_int_equal(verdict_name_classes(c, "a.test"), 0);
	assert_int_equal(c->head.nclasses, 0);
	assert_int_equal(c->nnotices, 1);
	compiled_free(c);
}

static void nothing_is_nothing(void **state)
{
	static const char *const texts[] = {
		V1, V1 "egress: {allow: []}\n", V1 "egress: {allow: ['10.0.0.1:443']}\n",
		V1 "files: {default: rwxc, '**': rwxc}\n", V1 "egress: {deny: ['*']}\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct compiled *c = help_compile(texts[i], NULL);

		assert_int_equal(c->head.nclasses, 0);
		for (size_t g = 0; g < EG_DOMAIN_GROUPS; g++)
			assert_int_equal(c->head.start_domain[g], 0);
		assert_int_equal(verdict_name_classes(c, "a.test"), 0);
		compiled_free(c);
	}
}

static void international(void **state)
{
	static const struct question q[] = {
		{ "xn--mnchen-3ya.test", 443, EG_V_ALLOW, 4 },
		{ "XN--Mnchen-3ya.test", 443, EG_V_ALLOW, 4 },
		{ "www.xn--strae-oqa.test", 443, EG_V_ALLOW, 5 }, /* ß is itself, not ss */
		{ "www.strasse.test", 443, 0, 0 },
		{ "a.xn--fiqs8s", 443, EG_V_ALLOW, 6 },
		{ "xn--nxasmq6b.test", 443, EG_V_ALLOW, 7 },
	};
	/* capitals, a full-width dot, a decomposed letter */
	struct compiled *c = help_compile(V1 "egress:\n"
					     "  allow:\n"
					     "  - MU\xcc\x88NCHEN\xef\xbc\x8e" "test\n"
					     "  - \"*.stra\xc3\x9f" "e.test\"\n"
					     "  - .\xe4\xb8\xad\xe5\x9b\xbd\n"
					     "  - xn--nxasmq6b.test:443\n", NULL);

	(void)state;
	ASK(c, q);
	compiled_free(c);
}

/* ---- how what is sent is checked ----------------------------------------------------------- */

static void flags(void **state)
{
	static const struct {
		const char *name;
		uint16_t port;
		uint8_t proto;
		int flags; /* -1: not open */
	} cases[] = {
		{ "a.test", 443, IPPROTO_TCP, 0 },
		{ "a.test", 443, IPPROTO_UDP, -1 },
		{ "git.test", 22, IPPROTO_TCP, EG_CL_TLS_MAYBE },
		{ "git.test", 443, IPPROTO_TCP, 0 },
		{ "off.test", 22, IPPROTO_TCP, EG_CL_TLS_OFF },
		{ "off.test", 53, IPPROTO_UDP, EG_CL_TLS_OFF },
		{ "off.test", 0, IPPROTO_ICMP, EG_CL_TLS_OFF },
		{ "off.test", 0, IPPROTO_ICMPV6, EG_CL_TLS_OFF },
		{ "in.test", 443, IPPROTO_TCP, EG_CL_PRIVATE },
		{ "proxy.test", 3128, IPPROTO_TCP, EG_CL_PROXY },
		/* a range that happens to hold 22 is checked like the rest of it */
		{ "range.test", 22, IPPROTO_TCP, 0 },
		{ "every.test", 22, IPPROTO_TCP, 0 },
		{ "every.test", 53, IPPROTO_UDP, -1 },
		{ "ftp.test", 21, IPPROTO_TCP, EG_CL_TLS_MAYBE },
		{ "ftp.test", 22, IPPROTO_TCP, EG_CL_TLS_MAYBE },
		/* the rules of a name together */
		{ "two.test", 443, IPPROTO_TCP, EG_CL_PRIVATE },
	};
	struct compiled *c = help_compile(
		V1 "egress:\n"
		   "  allow:\n"
		   "  - a.test\n"
		   "  - {host: git.test, ports: [22, 443]}\n"
		   "  - {host: off.test, ports: [22, 53/udp, '*/icmp'], tls: off}\n"
		   "  - {host: in.test, private: true}\n"
		   "  - {host: proxy.test, ports: [3128], proxy: true}\n"
		   "  - range.test:1-1000\n"
		   "  - every.test:*\n"
		   "  - ftp.test:21-22\n"
		   "  - .two.test\n"
		   "  - {host: two.test, private: true}\n", NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t mask = verdict_name_classes(c, cases[i].name);
		uint8_t got;
		bool any = verdict_class_flags(c, mask, cases[i].port, cases[i].proto, &got);

		if ((any ? got : -1) != cases[i].flags)
			fail_msg("%s:%u: flags %d, expected %d", cases[i].name, cases[i].port,
				 any ? got : -1, cases[i].flags);
	}
	assert_int_equal(verdict_name_classes(c, "in.test") & ~verdict_private_classes(c), 0);
	assert_int_equal(verdict_name_classes(c, "a.test") & verdict_private_classes(c), 0);
	compiled_free(c);
}

/* ---- classes ---------------------------------------------------------------------------- */

static void classes_are_shared(void **state)
{
	/* what is denied of a range leaves two; where all of it is open they make it up */
	struct compiled *c = help_compile(V1 "egress:\n"
					     "  allow:\n"
					     "  - \"*.a.test:1000-2000\"\n"
					     "  - \"*.b.test:1500\"\n"
					     "  - c.test\n"
					     "  - d.test:443\n"
					     "  deny:\n"
					     "  - x.a.test:1500\n", NULL);

	(void)state;
	assert_int_equal(c->head.nclasses, 4);
	assert_int_equal(c->head.classes[0].lo, 1000);
	assert_int_equal(c->head.classes[0].hi, 1499);
	assert_int_equal(c->head.classes[1].lo, 1500);
	assert_int_equal(c->head.classes[2].lo, 1501);
	assert_int_equal(c->head.classes[2].hi, 2000);
	assert_int_equal(c->head.classes[3].lo, 443);
	assert_int_equal(verdict_name_classes(c, "z.a.test"), 7);
	assert_int_equal(verdict_name_classes(c, "x.a.test"), 5);
	assert_int_equal(verdict_name_classes(c, "y.x.a.test"), 7);
	assert_int_equal(verdict_name_classes(c, "z.b.test"), 2);
	assert_int_equal(verdict_name_classes(c, "c.test"), 8);
	assert_int_equal(verdict_name_classes(c, "d.test"), 8);
	compiled_free(c);
}

/* A policy with `n` names, each with a port of its own. */
static const char *many_ports(uint32_t n)
{
	static char text[4096];
	size_t at = (size_t)snprintf(text, sizeof(text), V1 "egress:\n  allow:\n");

	for (uint32_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "  - n%u.test:%u\n", i,
				       20000 + 2 * i);
	return text;
}

static void sixteen_classes(void **state)
{
	struct compiled *c = help_compile(many_ports(EG_MAX_CLASSES), NULL);
	char name[32];

	(void)state;
	assert_int_equal(c->head.nclasses, EG_MAX_CLASSES);
	for (uint32_t i = 0; i < EG_MAX_CLASSES; i++) {
		(void)snprintf(name, sizeof(name), "n%u.test", i);
		assert_int_equal(verdict_name_classes(c, name), 1u << i);
	}
	compiled_free(c);
	assert_string_equal(help_error(many_ports(EG_MAX_CLASSES + 1), NULL),
			    "p.yaml:20:5: \"n16.test:20032\": with it names need more than 16 "
			    "different ranges of ports (each with its tls, private and proxy): "
			    "expected the same ports at more names");
	assert_non_null(strstr(help_error(many_ports(100), NULL), "p.yaml:20:5: "));
	/* of one name */
	assert_non_null(strstr(help_error(V1 "egress:\n"
					     "  allow:\n"
					     "  - {host: a.test, ports: [1, 3, 5, 7, 9, 11, 13, 15,"
					     " 17, 19, 21, 23, 25, 27, 29, 31, 33]}\n", NULL),
			       "p.yaml:4:12: \"a.test\": with it names need more than 16"));
}

/* Names and path rules are in one automaton and know nothing of each other. */
static void beside_paths(void **state)
{
	struct compiled *c = help_compile(V1 "files: {/com/example: rw, '**/www': none, "
					     "'/test/*': x}\n"
					     "egress: {allow: ['*.example.com', .a.test]}\n", NULL);

	(void)state;
	assert_string_equal(help_perm(c, "/com/example"), "rw");
	assert_string_equal(help_perm(c, "/com/example/www"), "none");
	assert_string_equal(help_perm(c, "/com/example/x"), "rw");
	assert_string_equal(help_perm(c, "/test/a"), "x");
	assert_int_equal(verdict_name_classes(c, "www.example.com"), 1);
	assert_int_equal(verdict_name_classes(c, "example.com"), 0);
	assert_int_equal(verdict_name_classes(c, "a.test"), 1);
	assert_int_equal(verdict_name_classes(c, "b.test"), 0);
	compiled_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boundaries),
		cmocka_unit_test(deny_beats_allow),
		cmocka_unit_test(every_name),
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(international),
		cmocka_unit_test(flags),
		cmocka_unit_test(classes_are_shared),
		cmocka_unit_test(sixteen_classes),
		cmocka_unit_test(beside_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
