// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `run --allow`: the policy that it makes, and that it opens what it says. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allow.h"
#include "compile.h"
#include "util.h"
#include "verdict.h"

static const char parent[] = "version: 1\n"
			     "files: {/usr: rx, /etc/shadow: none, \"**/.env\": none}\n"
			     "egress: {allow: [\"192.0.2.1:443\"]}\n";

static int make(const char *const *rules, size_t n, char **text, struct compiled **c)
{
	static const char *const policies[] = { "p" };
	struct policy_source src[] = {
		{ (char *)ALLOW_NAME, (char *)ALLOW_NAME, NULL, 0 },
		{ (char *)"p", (char *)"p.yaml", (char *)parent, sizeof(parent) - 1 },
	};
	struct policy_texts texts = { src, ARRAY_SIZE(src) };
	struct policy_reader rd = policy_reader_texts(&texts);
	struct policy_vars vars = { 0 };
	struct policy *p;
	struct diag d = { 0 };
	int err;

	err = allow_policy(policies, 1, rules, n, text, &d);
	if (err)
		return err;
	src[0].text = *text;
	src[0].len = strlen(*text);
	err = policy_load(ALLOW_NAME, &rd, &p, &d);
	if (err)
		return err;
	err = policy_compile(p, &vars, c, &d);
	policy_free(p);
	return err;
}

static uint8_t path_perm(const struct compiled *c, const char *path)
{
	uint8_t perm;
	uint32_t rule;

	assert_int_equal(verdict_path(c, path, strlen(path), &perm, &rule), 0);
	return perm;
}

static void test_text(void **state)
{
	static const char *const rules[] = {
		"open /a b\\*\"c r", "socket raw", "connect 203.0.113.9:443/tcp", "unix @x11",
		"open /etc/shadow r", "privilege mounts", "connect [2001:db8::1]:53/udp",
	};
	struct compiled *c = NULL;
	char *text = NULL;

	(void)state;
	assert_int_equal(make(rules, ARRAY_SIZE(rules), &text, &c), 0);
	assert_string_equal(text,
		"version: 1\n"
		"extends: [\"p\"]\n"
		"files:\n"
		"  \"/a b\\\\*\\\"c\": r\n"
		"  \"/etc/shadow\": r\n"
		"egress:\n"
		"  allow:\n"
		"  - \"203.0.113.9:443/tcp\"\n"
		"  - \"[2001:db8::1]:53/udp\"\n"
		"  unix:\n"
		"  - \"@x11\"\n"
		"  sockets:\n"
		"  - \"raw\"\n"
		"privileges:\n"
		"  - \"mounts\"\n");
	assert_int_equal(path_perm(c, "/a b*\"c"), EG_R);
	assert_int_equal(path_perm(c, "/etc/shadow"), EG_R);
	assert_int_equal(path_perm(c, "/usr/bin/true"), EG_R | EG_X);
	assert_int_equal(c->head.sockets, EG_SOCK_RAW);
	assert_int_equal(c->head.privileges, EG_PRIV_MOUNTS);
	compiled_free(c);
	free(text);
}

/* a path is quoted: what looks like more rules is a part of its name */
static void test_quoted(void **state)
{
	static const char *const rules[] = { "open /a r, /etc: rwxc" };
	struct compiled *c = NULL;
	char *text = NULL;

	(void)state;
	assert_int_equal(make(rules, 1, &text, &c), 0);
	assert_int_equal(path_perm(c, "/etc"), 0);
	assert_int_equal(path_perm(c, "/a r, /etc:"), EG_PERM_ALL);
	compiled_free(c);
	free(text);
}

/* each kind alone makes a policy that parses and opens what it names */
static void test_alone(void **state)
{
	static const char *const rules[] = { "open /w/.env r", "connect 203.0.113.9:*",
					     "unix /run/s", "socket raw", "privilege mounts" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct compiled *c = NULL;
		char *text = NULL;

		assert_int_equal(make(&rules[i], 1, &text, &c), 0);
		assert_int_equal(path_perm(c, "/w/.env"), i == 0 ? EG_R : 0);
		assert_int_equal(c->head.sockets, i == 3 ? EG_SOCK_RAW : 0);
		compiled_free(c);
		free(text);
	}
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {
		"", "open", "open ", "open /a", "open  r", "open /a z",
		"opens /a r", "connect", "connect ", "connect 10.0.0.0/40:443", "unix ",
		"unix relative",
		"socket carrier-pigeon", "privilege none-such", "open /a\xff r", "unix @\xff",
		"open relative r", "allow everything",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct compiled *c = NULL;
		char *text = NULL;

		if (make(&bad[i], 1, &text, &c) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_null(c);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_quoted),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests_name("allow", tests, NULL, NULL);
}
