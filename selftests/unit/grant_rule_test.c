// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules of grants: what they say over a policy, what they may not, who may give them. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compile.h"
#include "config.h"
#include "diag.h"
#include "grant_rule.h"
#include "policy_help.h"
#include "util.h"
#include "verdict.h"

static const char base_text[] = "version: 1\n"
				"files:\n"
				"  /a: r\n"
				"  /a/closed: none\n"
				"  \"/a/**/.env\": none\n"
				"  /b: rw\n"
				"egress:\n"
				"  allow: [\"192.0.2.1:443\", web.example]\n"
				"  deny: [192.0.2.9, bad.example]\n";

static struct compiled *base;

static int set_up(void **state)
{
	(void)state;
	base = help_compile(base_text, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	compiled_free(base);
	return 0;
}

/* The rule as it is shown, or the message; static buffer. */
static const char *made(const char *rule, bool deny)
{
	static char buf[1024];
	struct grant_rule r = {};
	struct diag d = {};
	int err = grant_rule_make(rule, deny, base, base, &r, &d);

	snprintf(buf, sizeof(buf), "%s", err ? d.msg : r.rule);
	grant_rule_clear(&r);
	return buf;
}

static void shown(void **state)
{
	static const struct {
		const char *rule, *shown;
		bool deny;
	} rows[] = {
		{ "open /a/x w", "open /a/x rw", false },
		{ "open /a/x r", "open /a/x r", false },
		{ "open /a/closed/y x", "open /a/closed/y x", false },
		{ "open /with space/f r", "open /with space/f r", false },
		{ "open /a/*.c w", "open /a/*.c w", false }, /* a pattern: what is said */
		{ "open /b/x w", "open /b/x r", true },
		{ "open /b/x", "open /b/x none", true },
		{ "open /b/*.c", "open /b/*.c none", true },
		{ "connect 198.51.100.0/24:80-90", "connect 198.51.100.0/24:80-90", false },
		{ "connect new.example:8443", "connect new.example:8443", false },
		{ "connect 192.0.2.1", "connect 192.0.2.1", true },
		{ "unix @x11", "unix @x11", false },
		{ "socket raw", "socket raw", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(made(rows[i].rule, rows[i].deny), rows[i].shown);
}

static void refused(void **state)
{
	static const struct {
		const char *rule, *says;
		bool deny;
	} rows[] = {
		{ "", "expected 'open PATH PERM'", false },
		{ "dance /a", "expected 'open PATH PERM'", false },
		{ "conect x.example:1", "'conect x.example:1'; the nearest is connect: expected",
		  false },
		{ "privlege sudo", "; the nearest is privilege", false },
		{ "opne /a", "from a running sandbox; the nearest is open: expected", true },
		{ "open /a", "PERM of the letters", false },
		{ "open /a q", "PERM of the letters", false },
		{ "open  r", "expected a path", false },
		{ "open /b/*.c w", "everything is denied", true },
		{ "connect", "expected", false },
		{ "connect 192.0.2.1", "port", false },
		{ "connect 192.0.2.9:80", "is denied by", false },
		{ "connect bad.example", "is denied by", false },
		{ "connect 10.0.0.0/99:1", "", false },
		{ "connect x.example:1\n  - \"*\"", "", false },
		{ "unix @x11", "cannot be taken away", true },
		{ "socket raw", "cannot be taken away", true },
		{ "open \xff r", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct grant_rule r = {};
		struct diag d = {};

		if (!grant_rule_make(rows[i].rule, rows[i].deny, base, base, &r, &d) ||
		    !strstr(d.msg, rows[i].says))
			fail_msg("'%s': %s", rows[i].rule, r.rule ? "is made" : d.msg);
		assert_null(r.rule);
	}
}

static void too_long(void **state)
{
	char rule[GRANT_RULE_MAX + 16];

	(void)state;
	memset(rule, 'a', sizeof(rule) - 1);
	memcpy(rule, "open /", 6);
	rule[sizeof(rule) - 1] = 0;
	assert_non_null(strstr(made(rule, false), "bytes"));
}

/* ---- together ---------------------------------------------------------------------------- */

struct said {
	const char *rule;
	bool deny;
};

/* The policy with these grants over it, in this order. */
static struct compiled *with(const struct said *s, size_t n)
{
	struct policy_file files[] = { { "p", base_text }, {} };
	struct grant_rule rules[16] = {}, *order[16];
	struct policy_vars vars = {};
	struct compiled *c = NULL;
	struct diag d = {};
	struct policy *p;

	assert_int_equal(help_load(files, &p, &d), 0);
	for (size_t i = 0; i < n; i++) {
		char *text = NULL;

		order[i] = &rules[i];
		assert_int_equal(grant_rule_make(s[i].rule, s[i].deny, base, base, &rules[i], &d),
				 0);
		assert_int_equal(grant_rule_text(order, i + 1, base, &text, &d), 0);
		assert_int_equal(policy_overlay(p, "grant", text, 0, &d), 0);
		free(text);
	}
	assert_int_equal(policy_compile(p, &vars, &c, &d), 0);
	for (size_t i = 0; i < n; i++)
		grant_rule_clear(&rules[i]);
	policy_free(p);
	return c;
}

static void check_with(const struct said *s, size_t n, const char *path, const char *perm)
{
	struct compiled *c = with(s, n);

	assert_string_equal(help_perm(c, path), perm);
	compiled_free(c);
}

/* Of two about one path each adds its own, and takes it along when it goes. */
static void one_path(void **state)
{
	static const struct said s[] = { { "open /a/f w", false }, { "open /a/f x", false },
					 { "open /a/f w", true }, { "open /a/f", true },
					 { "open /a/f r", false } };

	(void)state;
	check_with(s, 0, "/a/f", "r");
	check_with(s, 1, "/a/f", "rw");
	check_with(s, 2, "/a/f", "rwx");
	check_with(s + 1, 1, "/a/f", "rx");
	check_with(s, 3, "/a/f", "rx");
	check_with(s, 4, "/a/f", "none");
	check_with(s, 5, "/a/f", "r");
	check_with(s + 2, 1, "/a/f", "r");
}

/* What a grant gives a directory is not taken from a file in it by giving that more. */
static void below(void **state)
{
	static const struct said s[] = { { "open /a w", false }, { "open /a/d/f x", false },
					 { "open /a/closed/f r", false }, { "open /a/d", true },
					 { "open /a/d/f w", false } };

	(void)state;
	check_with(s, 2, "/a/d/f", "rwx");
	check_with(s + 1, 1, "/a/d/f", "rx");
	/* the policy's own rule lies between: it has the last word */
	check_with(s, 3, "/a/closed/f", "r");
	check_with(s, 1, "/a/closed/f", "none");
	/* a denial of a directory leaves what was said about a file in it */
	check_with(s, 4, "/a/d/f", "rwx");
	check_with(s, 4, "/a/d/g", "none");
	check_with(s + 3, 2, "/a/d/f", "w");
}

static void dests(void **state)
{
	static const struct said s[] = { { "connect 198.51.100.7:80", false },
					 { "connect 198.51.100.0/24", true } };
	struct compiled *c = with(s, 1);

	(void)state;
	assert_string_equal(help_egress(c, "198.51.100.7:80/tcp"), "allow");
	assert_string_equal(help_egress(c, "198.51.100.7:81/tcp"), "none");
	compiled_free(c);
	c = with(s, 2);
	assert_string_equal(help_egress(c, "198.51.100.7:80/tcp"), "deny");
	compiled_free(c);
}

/* ---- numbers of classes -------------------------------------------------------------------- */

static struct compiled *classes_with(const char *text, uint16_t origin)
{
	struct policy_file files[] = { { "p", base_text }, {} };
	struct policy_vars vars = {};
	struct compiled *c = NULL;
	struct diag d = {};
	struct policy *p;

	assert_int_equal(help_load(files, &p, &d), 0);
	assert_int_equal(policy_overlay(p, "grant", text, origin, &d), 0);
	assert_int_equal(policy_compile(p, &vars, &c, &d), 0);
	policy_free(p);
	return c;
}

/* Those of the policy keep theirs whatever is granted; a grant has the one it was given. */
static void class_numbers(void **state)
{
	struct compiled *c = classes_with("version: 1\n"
					  "egress: {allow: [\"new.example:8443\"]}\n", 9);
	uint32_t n = base->head.nclasses;

	(void)state;
	assert_true(n > 0 && n < 9);
	for (uint32_t i = 0; i < n; i++)
		assert_memory_equal(&c->head.classes[i], &base->head.classes[i],
				    sizeof(base->head.classes[i]));
	assert_int_equal(verdict_name_classes(c, "web.example"),
			 verdict_name_classes(base, "web.example"));
	assert_int_equal(verdict_name_classes(c, "new.example"), 1u << 8);
	assert_int_equal(c->head.classes[8].lo, 8443);
	for (uint32_t i = n; i < 8; i++)
		assert_int_equal(c->head.classes[i].proto, 0);
	compiled_free(c);
	/* a name that both allow is in both */
	c = classes_with("version: 1\negress: {allow: [web.example]}\n", 9);
	assert_int_equal(verdict_name_classes(c, "web.example"),
			 verdict_name_classes(base, "web.example") | 1u << 8);
	compiled_free(c);
	c = classes_with("version: 1\negress: {deny: [web.example]}\n", 0);
	assert_int_equal(verdict_name_classes(c, "web.example"), 0);
	compiled_free(c);
}

/* ---- authority ------------------------------------------------------------------------------ */

#define HOUR (3600u * 1000)

static int may(const struct config *k, const char *rule, bool deny, uint64_t ms)
{
	struct grant_rule r = { .rule = (char *)rule, .deny = deny };
	struct diag d = {};
	int err = grant_rule_check(k, &r, ms, &d);

	assert_int_equal(!err, !d.msg[0]);
	return err;
}

static void authority(void **state)
{
	static char *within[] = { (char *)"10.1.0.0/16:443", (char *)"10.2.0.0/16:1000-2000",
				  (char *)".corp.example:443", (char *)"*.sub.example:8000-9000",
				  (char *)"one.example:22", NULL };
	static char *nothing[] = { NULL };
	static const struct {
		const char *rule;
		int err;
	} rows[] = {
		{ "connect 10.1.2.3:443", 0 },
		{ "connect 10.1.0.0/16:443/tcp", 0 },
		{ "connect 10.0.0.0/8:443", -EPERM },
		{ "connect 10.1.2.3:444", -EPERM },
		{ "connect 10.1.2.3:443/udp", -EPERM },
		{ "connect 10.1.2.3:*", -EPERM },
		{ "connect 10.3.2.3:443", -EPERM },
		{ "connect 10.2.2.3:1000-2000", 0 },
		{ "connect 10.2.2.3:1999-2001", -EPERM },
		{ "connect corp.example", 0 },
		{ "connect www.corp.example", 0 },
		{ "connect *.corp.example", 0 },
		{ "connect .corp.example", 0 },
		{ "connect xcorp.example", -EPERM },
		{ "connect corp.example.evil", -EPERM },
		{ "connect example", -EPERM },
		{ "connect *", -EPERM },
		{ "connect a.sub.example:8080", 0 },
		{ "connect sub.example:8080", -EPERM },
		{ "connect .sub.example:8080", -EPERM },
		{ "connect one.example:22", 0 },
		{ "connect *.one.example:22", -EPERM },
		{ "connect [::ffff:10.1.2.3]:443", 0 },
		{ "connect [2001:db8::1]:443", -EPERM },
		{ "open /a r", 0 },
		{ "unix @x11", 0 },
		{ "socket raw", -EPERM },
		{ "privilege mounts", -EPERM },
	};
	struct config k = { .file = (char *)"f.yaml", .grant_who = CONFIG_OWNER,
			    .grant_paths = true, .grant_within = within };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int err = may(&k, rows[i].rule, false, HOUR);

		if (err != rows[i].err)
			fail_msg("%s: %d", rows[i].rule, err);
		/* what is taken away needs no leave */
		assert_int_equal(may(&k, rows[i].rule, true, 0), 0);
	}
	k.grant_within = nothing;
	assert_int_equal(may(&k, "connect 10.1.2.3:443", false, HOUR), -EPERM);
	k.grant_within = NULL;
	assert_int_equal(may(&k, "connect *", false, 0), 0);
	assert_int_equal(may(&k, "socket raw", false, 0), 0);
	k.grant_max_ms = HOUR;
	assert_int_equal(may(&k, "connect *", false, HOUR), 0);
	assert_int_equal(may(&k, "connect *", false, HOUR + 1), -EPERM);
	assert_int_equal(may(&k, "connect *", false, 0), -EPERM);
	k.grant_paths = false;
	assert_int_equal(may(&k, "connect *", false, HOUR), 0);
	assert_int_equal(may(&k, "open /a r", false, HOUR), -EPERM);
	assert_int_equal(may(&k, "unix @a", false, HOUR), -EPERM);
	assert_int_equal(may(&k, "privilege mounts", false, HOUR), -EPERM);
	k.grant_who = CONFIG_NOBODY;
	assert_int_equal(may(&k, "connect *", false, HOUR), -EPERM);
	assert_int_equal(may(&k, "connect *", true, 0), 0);
}

/* Another policy may add anything for as long as the sandbox lives. */
static void switching(void **state)
{
	static char *within[] = { NULL };
	struct config k;
	struct diag d = {};

	(void)state;
	config_defaults(&k);
	assert_int_equal(grant_switch_check(&k, &d), 0);
	k.grant_max_ms = 0;
	assert_int_equal(grant_switch_check(&k, &d), 0);
	k.grant_max_ms = HOUR;
	assert_int_equal(grant_switch_check(&k, &d), -EPERM);
	assert_non_null(strstr(d.msg, "grants: for)"));
	config_defaults(&k);
	k.grant_paths = false;
	assert_int_equal(grant_switch_check(&k, NULL), -EPERM);
	config_defaults(&k);
	k.grant_within = within;
	assert_int_equal(grant_switch_check(&k, NULL), -EPERM);
	config_defaults(&k);
	k.grant_who = CONFIG_NOBODY;
	assert_int_equal(grant_switch_check(&k, NULL), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shown),	 cmocka_unit_test(refused),
		cmocka_unit_test(too_long),	 cmocka_unit_test(one_path),
		cmocka_unit_test(below),	 cmocka_unit_test(dests),
		cmocka_unit_test(class_numbers), cmocka_unit_test(authority),
		cmocka_unit_test(switching),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
