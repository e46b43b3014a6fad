// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A policy compiled over another one's paths is what it would have been by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy_help.h"
#include "policy_int.h"

#define POLICY \
	"version: 1\n" \
	"egress:\n  allow: [\"192.0.2.1:1\", git.example]\n  deny: [bad.git.example]\n" \
	"  unix: [/run/a, \"@b\"]\n" \
	"files: {/usr: rx, /bin: rx, ~/.ssh: none, \"**/.env\": none, \"${WORKDIR}\": rwxc}\n"

static const struct help_link links[] = {
	{ "/bin", "usr/bin" }, { "/home/u/.ssh", "/home/u/keys" }, {}
};

/* `text` laid over POLICY. */
static struct compiled *with(const char *text, const struct compiled *paths_of,
			     const struct policy_vars *v)
{
	const struct policy_file files[] = { { "p", POLICY }, {} };
	struct policy *p;
	struct compiled *c;
	struct diag d = {};

	assert_int_equal(help_load(files, &p, &d), 0);
	if (text)
		assert_int_equal(policy_overlay(p, "grant g1", text, 0, &d), 0);
	p->paths_of = paths_of;
	if (policy_compile(p, v, &c, &d))
		fail_msg("%s", d.msg);
	policy_free(p);
	return c;
}

static void assert_same(const struct compiled *a, const struct compiled *b)
{
	assert_memory_equal(&a->head, &b->head, sizeof(a->head));
	assert_int_equal(a->nslots, b->nslots);
	assert_memory_equal(a->slots, b->slots, a->nslots * sizeof(*a->slots));
	assert_int_equal(a->nprefixes, b->nprefixes);
	assert_memory_equal(a->prefixes, b->prefixes, a->nprefixes * sizeof(*a->prefixes));
	assert_int_equal(a->nports, b->nports);
	assert_memory_equal(a->ports, b->ports, a->nports * sizeof(*a->ports));
	assert_int_equal(a->nanchors, b->nanchors);
	for (uint32_t i = 0; i < a->nanchors; i++) {
		assert_string_equal(a->anchors[i].path, b->anchors[i].path);
		assert_int_equal(a->anchors[i].state, b->anchors[i].state);
		assert_int_equal(a->anchors[i].perm, b->anchors[i].perm);
		assert_int_equal(a->anchors[i].rule, b->anchors[i].rule);
	}
	assert_int_equal(a->nrules, b->nrules);
	assert_int_equal(a->npath_rules, b->npath_rules);
	for (uint32_t i = 0; i < a->nrules; i++) {
		assert_string_equal(a->rules[i].text, b->rules[i].text);
		assert_string_equal(a->rules[i].file, b->rules[i].file);
		assert_int_equal(a->rules[i].line, b->rules[i].line);
		assert_int_equal(a->rules[i].kind, b->rules[i].kind);
	}
	assert_int_equal(a->npaths, b->npaths);
	for (uint32_t i = 0; i < a->npaths; i++)
		assert_string_equal(a->paths[i].pattern, b->paths[i].pattern);
}

static void check(const char *text, bool shared)
{
	const struct policy_vars v = help_vars(links);
	struct compiled *base = with(NULL, NULL, &v);
	struct compiled *alone = with(text, NULL, &v), *over = with(text, base, &v);

	assert_true(base->nanchors > 1);
	assert_same(over, alone);
	assert_int_equal(over->automaton == base->automaton, shared);
	/* either may go first */
	compiled_free(base);
	assert_string_equal(help_perm(over, "/usr/bin/x"), "rx");
	assert_string_equal(help_perm(over, "/home/u/keys/id"), "none");
	assert_string_equal(help_egress(over, "203.0.113.1:80"), help_egress(alone,
									     "203.0.113.1:80"));
	compiled_free(alone);
	compiled_free(over);
}

static void nothing_more(void **state)
{
	(void)state;
	check(NULL, true);
}

static void an_address(void **state)
{
	(void)state;
	check("version: 1\negress: {allow: [\"203.0.113.1:80\"]}\n", true);
}

static void a_denied_address(void **state)
{
	(void)state;
	check("version: 1\negress: {deny: [\"203.0.113.1:80\"]}\n", true);
}

static void a_name(void **state)
{
	(void)state;
	check("version: 1\negress: {allow: [\"*.more.example:8080\"]}\n", false);
	check("version: 1\negress: {deny: [git.example]}\n", false);
}

/* What a link led to when the sandbox began is what the rule is about, as long as it lives. */
static void links_are_not_followed_again(void **state)
{
	static const struct help_link moved[] = { { "/bin", "tmp" }, {} };
	const struct policy_vars v = help_vars(links), now = help_vars(moved);
	struct compiled *base = with(NULL, NULL, &v);
	struct compiled *over = with("version: 1\negress: {allow: [more.example]}\n", base, &now);

	(void)state;
	assert_string_equal(help_perm(over, "/tmp/x"), "none");
	assert_string_equal(help_perm(over, "/home/u/keys/id"), "none");
	compiled_free(base);
	compiled_free(over);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_more),
		cmocka_unit_test(an_address),
		cmocka_unit_test(a_denied_address),
		cmocka_unit_test(a_name),
		cmocka_unit_test(links_are_not_followed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
