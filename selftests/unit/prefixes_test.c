// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Folding: the longest prefix alone must answer what all the rules together say.
 * Against an oracle that looks at every rule for every question.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "policy_help.h"
#include "policy_int.h"
#include "prefixes.h"

/* ---- the oracle ------------------------------------------------------------------------ */

static bool matches(const struct prefix_rule *r, const uint8_t addr[16])
{
	uint8_t masked[16];

	memcpy(masked, addr, sizeof(masked));
	policy_addr_mask(masked, r->plen);
	return !memcmp(masked, r->addr, sizeof(masked));
}

static bool has_port(const struct prefix_rule *r, uint16_t port, uint8_t proto)
{
	for (uint32_t i = 0; i < r->nports; i++)
		if ((!r->ports[i].proto || r->ports[i].proto == proto) &&
		    r->ports[i].lo <= port && port <= r->ports[i].hi)
			return true;
	return false;
}

/*
 * Walk from the shortest matching prefix to the longest and keep what holds:
 * a statement of who wins in the words of prefixes.h.
 */
static uint8_t oracle(const struct prefix_rule *rules, size_t n, const uint8_t addr[16],
		      uint16_t port, uint8_t proto)
{
	bool deny = false, allow = false, hard = false;

	for (int plen = 0; plen <= 128; plen++) {
		bool barrier = false, family = false, harden = false, open = false;

		for (size_t i = 0; i < n; i++) {
			const struct prefix_rule *r = &rules[i];

			if (r->plen != plen || !matches(r, addr))
				continue;
			barrier |= r->flags & PREFIX_BARRIER;
			family |= r->flags & PREFIX_FAMILY;
			harden |= r->verdict == EG_V_DENY_HARD;
			if (!has_port(r, port, proto))
				continue;
			deny |= r->verdict == EG_V_DENY;
			open |= r->verdict == EG_V_ALLOW;
		}
		if (family)
			deny = allow = hard = false;
		/* denies of this very prefix are not inherited ones */
		for (size_t i = 0; i < n && family; i++)
			deny |= rules[i].plen == plen && matches(&rules[i], addr) &&
				rules[i].verdict == EG_V_DENY && has_port(&rules[i], port, proto);
		if (barrier || harden)
			allow = false;
		if (harden)
			hard = true;
		if (open) {
			allow = true;
			hard = false;
		}
	}
	return deny ? EG_V_DENY : hard ? EG_V_DENY_HARD : allow ? EG_V_ALLOW : 0;
}

/* ---- random rules ------------------------------------------------------------------------ */

static uint64_t seed = 0x9e3779b97f4a7c15ull;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % n;
}

/* Few bits differ, so that prefixes nest; IPv4 and IPv6. */
static void random_addr(uint8_t addr[16], bool v4)
{
	memset(addr, 0, 16);
	if (v4)
		addr[10] = addr[11] = 0xff;
	else
		addr[0] = 0x20;
	for (int i = v4 ? 12 : 1; i < 16; i++)
		addr[i] = (uint8_t)(rnd(3) ? 0 : 1u << rnd(8));
}

static void random_rule(struct prefix_rule *r, struct policy_ports *ports, uint32_t id)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, 0 };
	bool v4 = rnd(2);

	memset(r, 0, sizeof(*r));
	random_addr(r->addr, v4);
	r->plen = (uint8_t)(v4 ? 96 + rnd(33) : rnd(129));
	policy_addr_mask(r->addr, r->plen);
	r->rule = id;
	r->ports = ports;
	switch (rnd(12)) {
	case 0:
		r->flags = PREFIX_BARRIER;
		return;
	case 1:
		r->verdict = EG_V_DENY_HARD;
		r->nports = 1;
		ports[0] = (struct policy_ports){ 0, 65535, 0 };
		return;
	default:
		r->verdict = rnd(3) ? EG_V_ALLOW : EG_V_DENY;
	}
	r->nports = 1 + rnd(3);
	for (uint32_t i = 0; i < r->nports; i++) {
		ports[i].lo = (uint16_t)rnd(20);
		ports[i].hi = (uint16_t)(ports[i].lo + rnd(10));
		ports[i].proto = protos[rnd(3)];
	}
}

static uint8_t answer(const struct compiled *c, const uint8_t addr[16], uint16_t port,
		      uint8_t proto, const struct compiled_prefix **at)
{
	const struct compiled_prefix *best = NULL;
	uint8_t masked[16], verdict = 0;

	for (uint32_t i = 0; i < c->nprefixes; i++) {
		memcpy(masked, addr, 16);
		policy_addr_mask(masked, c->prefixes[i].plen);
		if (!memcmp(masked, c->prefixes[i].addr, 16) &&
		    (!best || c->prefixes[i].plen >= best->plen))
			best = &c->prefixes[i];
	}
	for (uint32_t i = 0; best && i < best->count; i++) {
		const struct eg_port *p = &c->ports[best->first + i];

		if (p->proto == proto && p->lo <= port && port <= p->hi)
			verdict = p->verdict;
	}
	*at = best;
	return verdict;
}

/* What the kernel's binary search needs. */
static void check_sorted(const struct compiled *c)
{
	for (uint32_t i = 0; i < c->nprefixes; i++) {
		const struct compiled_prefix *p = &c->prefixes[i];

		for (uint32_t k = 0; k < p->count; k++) {
			const struct eg_port *e = &c->ports[p->first + k];

			assert_true(e->lo <= e->hi);
			assert_true(e->verdict >= EG_V_DENY_HARD && e->verdict <= EG_V_ALLOW);
			if (!k)
				continue;
			assert_true(((uint32_t)e[-1].proto << 16 | e[-1].hi) <
				    ((uint32_t)e->proto << 16 | e->lo));
		}
		if (i)
			assert_true(memcmp(p[-1].addr, p->addr, 16) < 0 ||
				    (!memcmp(p[-1].addr, p->addr, 16) && p[-1].plen < p->plen));
	}
}

static void against_the_oracle(void **state)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct prefix_rule rules[40], sorted[40];
		struct policy_ports ports[40][3];
		const struct compiled_prefix *at;
		struct compiled c = {};
		uint32_t n = 1 + rnd(40), bad;

		for (uint32_t i = 0; i < n; i++)
			random_rule(&rules[i], ports[i], i + 1);
		memcpy(sorted, rules, sizeof(rules));
		assert_int_equal(prefixes_compile(sorted, n, &c.prefixes, &c.nprefixes, &c.ports,
						  &c.nports, &bad), 0);
		check_sorted(&c);
		for (int q = 0; q < 400; q++) {
			uint8_t addr[16], proto = protos[rnd(3)], got, want;
			uint16_t port = (uint16_t)rnd(32);

			random_addr(addr, rnd(2));
			want = oracle(rules, n, addr, port, proto);
			got = answer(&c, addr, port, proto, &at);
			if (got != want)
				fail_msg("round %d: got %u, expected %u (/%u)", round, got, want,
					 at ? at->plen : 0);
		}
		free(c.prefixes);
		free(c.ports);
	}
}

/* ---- what people rely on ------------------------------------------------------------------- */

static void verdicts(void **state)
{
	static const char policy[] =
		"version: 1\n"
		"egress:\n"
		"  allow:\n"
		"    - 0.0.0.0/0:*\n"
		"    - '[::]/0:443'\n"
		"    - 10.0.0.0/8:1-100/udp\n"
		"    - 10.1.1.1:*/icmp\n"
		"    - 100.100.100.200:80\n"
		"    - '[64:ff9b::]/96:443'\n"
		"    - 10.2.3.4:22/sctp\n"
		"  deny:\n"
		"    - 10.20.9.0/24\n"
		"    - 192.0.2.0/24:25\n"
		"    - 198.51.100.0/24/udp\n"
		"  loopback: [5432]\n";
	const struct {
		const char *dest, *verdict;
	} cases[] = {
		{ "192.0.2.1:80", "allow" },
		{ "192.0.2.1:25", "deny" },
		{ "192.0.2.1:25/udp", "allow" },
		{ "198.51.100.1:53/udp", "deny" },
		{ "198.51.100.1:53", "allow" },
		{ "10.20.9.1:80", "deny" },
		{ "10.20.9.1:80/sctp", "deny" },
		{ "10.20.9.1:*/icmp", "deny" },
		{ "10.20.10.1:80", "allow" },
		{ "10.1.1.1:*/icmp", "allow" },
		{ "10.1.1.2:*/icmp", "none" },
		{ "10.2.3.4:22/sctp", "allow" },
		{ "10.2.3.5:22/sctp", "none" },
		/* metadata: never by a wide rule, only by its own name and for its own port */
		{ "169.254.169.254:80", "hard" },
		{ "169.254.170.2:80", "hard" },
		{ "168.63.129.16:80", "hard" },
		{ "100.100.100.200:80", "allow" },
		{ "100.100.100.200:443", "hard" },
		{ "[fd00:ec2::254]:443", "hard" },
		{ "[fe80::a9fe:a9fe]:443", "hard" },
		{ "[64:ff9b::a9fe:a9fe]:443", "hard" },
		{ "[2002:a9fe:a9fe::1]:443", "hard" },
		/* "everything" is not this host, nor IPv4 in other clothes */
		{ "127.0.0.1:80", "none" },
		{ "127.0.0.1:5432", "allow" },
		{ "0.0.0.0:5432", "allow" },
		{ "0.0.0.0:80", "none" },
		{ "[::1]:443", "none" },
		{ "[::1]:5432", "allow" },
		{ "[::7f00:1]:443", "none" },
		{ "[64:ff9b::a00:1]:443", "allow" },
		{ "[64:ff9b:1::a00:1]:443", "none" },
		{ "[2002:a00:1::]:443", "none" },
		{ "[2001:0:1::]:443", "none" },
		{ "[2001:db8::1]:443", "allow" },
		{ "[2001:db8::1]:80", "none" },
		/* an IPv6 rule says nothing of IPv4; a mapped address is IPv4 */
		{ "[::ffff:10.20.9.1]:443", "deny" },
		{ "[::ffff:192.0.2.1]:80", "allow" },
	};
	struct compiled *c = help_compile(policy, NULL);
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = help_egress(c, cases[i].dest);

		if (str_eq(got, cases[i].verdict))
			continue;
		print_error("%s: %s, expected %s\n", cases[i].dest, got, cases[i].verdict);
		wrong++;
	}
	assert_int_equal(wrong, 0);
	compiled_free(c);
}

static void ipv6_everything_is_not_ipv4(void **state)
{
	struct compiled *c = help_compile("version: 1\negress:\n  allow: ['[::]/0:*']\n", NULL);

	(void)state;
	assert_string_equal(help_egress(c, "192.0.2.1:80"), "none");
	assert_string_equal(help_egress(c, "[2001:db8::1]:80"), "allow");
	compiled_free(c);
}

static void nothing_said_is_nothing_allowed(void **state)
{
	static const char *const policies[] = { "version: 1\n", "version: 1\negress: {}\n",
						"version: 1\negress: {allow: []}\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct compiled *c = help_compile(policies[i], NULL);

		assert_string_equal(help_egress(c, "192.0.2.1:443"), "none");
		assert_string_equal(help_egress(c, "127.0.0.1:443"), "none");
		assert_true(c->head.flags & EG_P_EGRESS);
		assert_true(c->head.flags & EG_P_LOOPBACK_OWN);
		compiled_free(c);
	}
}

/* The rule named is the nearest one that decides. */
static void the_rule_is_named(void **state)
{
	struct compiled *c = help_compile("version: 1\n"
					  "egress:\n"
					  "  allow:\n"
					  "    - 10.0.0.0/8:1-1000\n"
					  "    - 10.1.0.0/16:80\n"
					  "  deny: [10.1.2.0/24:80]\n", NULL);

	(void)state;
	assert_string_equal(help_egress_rule(c, "10.2.0.1:80"),
			    "p.yaml:4: allow 10.0.0.0/8:1-1000");
	assert_string_equal(help_egress_rule(c, "10.1.0.1:80"), "p.yaml:5: allow 10.1.0.0/16:80");
	assert_string_equal(help_egress_rule(c, "10.1.0.1:81"),
			    "p.yaml:4: allow 10.0.0.0/8:1-1000");
	assert_string_equal(help_egress_rule(c, "10.1.2.3:80"), "p.yaml:6: deny 10.1.2.0/24:80");
	assert_string_equal(help_egress_rule(c, "169.254.169.254:80"),
			    "builtin: 169.254.169.254/32 (cloud metadata)");
	assert_string_equal(help_egress_rule(c, "10.1.0.1:2000"), "no rule (default)");
	compiled_free(c);
}

/* A wide rule with many ports, repeated in many narrow ones, is refused by name. */
static void too_much_is_refused(void **state)
{
	char *text = malloc(POLICY_MAX_BYTES), *o = text;
	const char *got;

	(void)state;
	o += sprintf(o, "version: 1\negress:\n  allow:\n");
	for (int i = 0; i < 500; i++)
		o += sprintf(o, "  - 10.0.0.0/8:%d\n", 10000 + 2 * i);
	for (int i = 0; i < 500; i++)
		o += sprintf(o, "  - 10.%d.%d.0/24:7\n", i >> 8, i & 255);
	got = help_error(text, NULL);
	assert_non_null(strstr(got, "too many destinations: at most 131072 prefixes and 131072"));
	assert_int_equal(strncmp(got, "p.yaml:", 7), 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_the_oracle),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(ipv6_everything_is_not_ipv4),
		cmocka_unit_test(nothing_said_is_nothing_allowed),
		cmocka_unit_test(the_rule_is_named),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
