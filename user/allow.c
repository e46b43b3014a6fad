// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "allow.h"
#include "diag.h"
#include "event_text.h"
#include "ref.h"
#include "util.h"

static const struct verb {
	const char *name; /* with the space that follows */
	const char *section; /* before the first of its rules */
	const char *usage;
} verbs[] = {
	{ "open ", "files:\n", "open PATH PERM" },
	{ "connect ", "egress:\n  allow:\n", "connect HOST:PORT[/tcp|/udp]" },
	{ "unix ", "  unix:\n", "unix PATH or unix @NAME" },
	{ "socket ", "  sockets:\n", "socket KIND" },
	{ "privilege ", "privileges:\n", "privilege NAME" },
};

#define WHO "--allow: "

/* What is meant, if the verb is no verb. */
static void nearest_verb(struct nearest *near, const char *rule, char first[16])
{
	(void)snprintf(first, 16, "%.*s", (int)strcspn(rule, " "), rule);
	near->text = first;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		char verb[16];

		(void)snprintf(verb, sizeof(verb), "%.*s", (int)strlen(verbs[i].name) - 1,
			       verbs[i].name);
		nearest_try(near, verb);
	}
}

static int bad_rule(const char *who, const char *rule, struct diag *d)
{
	struct nearest near = {};
	char first[16];

	nearest_verb(&near, rule, first);
	return diag_set(d, -EINVAL, "%s'%s'%s: expected '%s', '%s', '%s', '%s' or '%s'", who, rule,
			near.word[0] && near.far ? nearest_words(&near) : "",
			verbs[ALLOW_OPEN].usage, verbs[ALLOW_CONNECT].usage,
			verbs[ALLOW_UNIX].usage, verbs[ALLOW_SOCKET].usage,
			verbs[ALLOW_PRIVILEGE].usage);
}

/* The verb of a rule, or -1. */
static int verb_of(const char *rule)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (str_starts(rule, verbs[i].name) && rule[strlen(verbs[i].name)])
			return (int)i;
	return -1;
}

int allow_rule_parse(const char *who, const char *rule, struct allow_rule *out, struct diag *d)
{
	int verb = verb_of(rule);
	struct allow_rule r;
	const char *space;

	if (verb < 0)
		return bad_rule(who, rule, d);
	r = (struct allow_rule){ .verb = (enum allow_verb)verb,
				 .arg = rule + strlen(verbs[verb].name) };
	r.len = strlen(r.arg);
	if (verb == ALLOW_OPEN) {
		/* a path may hold spaces; what follows the last one is the permission */
		space = strrchr(r.arg, ' ');
		if (!space || space == r.arg || !space[1] ||
		    space[1 + strspn(space + 1, "rwxcnoe")]) /* one word of letters: safe in YAML */
			return bad_rule(who, rule, d);
		r.len = (size_t)(space - r.arg);
		r.perm = space + 1;
	}
	*out = r;
	return 0;
}

static int add_open(struct text *t, const char *rule, struct diag *d)
{
	struct allow_rule r;
	int err = allow_rule_parse(WHO, rule, &r, d);

	if (err)
		return err;
	text_add(t, "  ");
	if (!text_add_json(t, r.arg, r.len))
		return diag_set(d, -EINVAL, WHO "'%s': not UTF-8 (? matches any one byte)", rule);
	text_addf(t, ": %s\n", r.perm);
	return 0;
}

static int add_rules(struct text *t, int verb, const char *const *rules, size_t n, struct diag *d)
{
	bool first = true;
	int err;

	for (size_t i = 0; i < n; i++) {
		const char *arg = rules[i] + strlen(verbs[verb].name);

		if (verb_of(rules[i]) != verb)
			continue;
		if (first)
			text_add(t, verbs[verb].section);
		first = false;
		if (verb == ALLOW_OPEN) {
			err = add_open(t, rules[i], d);
			if (err)
				return err;
			continue;
		}
		text_add(t, "  - ");
		if (!text_add_json(t, arg, strlen(arg)))
			return diag_set(d, -EINVAL, WHO "'%s': not UTF-8", rules[i]);
		text_add(t, "\n");
	}
	return 0;
}

static bool has_verb(int verb, const char *const *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (verb_of(rules[i]) == verb)
			return true;
	return false;
}

static int build(struct text *t, const char *const *policies, size_t npolicies,
		 const char *const *rules, size_t nrules, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < nrules; i++)
		if (verb_of(rules[i]) < 0)
			return bad_rule(WHO, rules[i], d);
	text_add(t, npolicies ? "version: 1\nextends: [" : "version: 1\n");
	for (size_t i = 0; i < npolicies; i++) {
		text_add(t, i ? ", " : "");
		if (!text_add_json(t, policies[i], strlen(policies[i])))
			return diag_set(d, -EINVAL, "-p '%s': not UTF-8", policies[i]);
	}
	text_add(t, npolicies ? "]\n" : "");
	err = add_rules(t, ALLOW_OPEN, rules, nrules, d);
	if (!err)
		err = add_rules(t, ALLOW_CONNECT, rules, nrules, d);
	/* `connect` writes the head of the section for those that follow */
	if (!err && !has_verb(ALLOW_CONNECT, rules, nrules) &&
	    (has_verb(ALLOW_UNIX, rules, nrules) || has_verb(ALLOW_SOCKET, rules, nrules)))
		text_add(t, "egress:\n");
	for (int verb = ALLOW_UNIX; !err && verb <= ALLOW_PRIVILEGE; verb++)
		err = add_rules(t, verb, rules, nrules, d);
	return err;
}

int allow_policy(const char *const *policies, size_t npolicies, const char *const *rules,
		 size_t nrules, char **text, struct diag *d)
{
	struct text t = { 0 };
	int err = build(&t, policies, npolicies, rules, nrules, d);

	if (!err && t.failed)
		err = diag_set(d, -ENOMEM, "out of memory");
	if (err) {
		text_free(&t);
		return err;
	}
	*text = t.p;
	return 0;
}

int allow_overlay(const char *rule, bool deny, char **text, struct diag *d)
{
	const char *dest = rule + strlen(verbs[ALLOW_CONNECT].name);
	struct text t = { 0 };

	if (!deny || verb_of(rule) != ALLOW_CONNECT)
		return allow_policy(NULL, 0, &rule, 1, text, d);
	text_add(&t, "version: 1\negress:\n  deny:\n  - ");
	if (!text_add_json(&t, dest, strlen(dest)) || t.failed) {
		text_free(&t);
		return diag_set(d, -EINVAL, "'%s': not UTF-8", rule);
	}
	text_add(&t, "\n");
	*text = t.p;
	return 0;
}
