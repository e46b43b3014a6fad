// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "allow.h"
#include "diag.h"
#include "event_text.h"
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

enum { OPEN, CONNECT, UNIX, SOCKET, PRIVILEGE };

static int bad_rule(const char *rule, struct diag *d)
{
	return diag_set(d, -EINVAL, "--allow: '%s': expected '%s', '%s', '%s', '%s' or '%s'", rule,
			verbs[OPEN].usage, verbs[CONNECT].usage, verbs[UNIX].usage,
			verbs[SOCKET].usage, verbs[PRIVILEGE].usage);
}

/* The verb of a rule, or -1. */
static int verb_of(const char *rule)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (str_starts(rule, verbs[i].name) && rule[strlen(verbs[i].name)])
			return (int)i;
	return -1;
}

/* A path may hold spaces; what follows the last one is the permission. */
static int add_open(struct text *t, const char *rule, struct diag *d)
{
	const char *path = rule + strlen(verbs[OPEN].name), *space = strrchr(path, ' ');

	if (!space || space == path || !space[1] ||
	    space[1 + strspn(space + 1, "rwxcnoe")]) /* one word of letters: safe in YAML */
		return bad_rule(rule, d);
	text_add(t, "  ");
	if (!text_add_json(t, path, (size_t)(space - path)))
		return diag_set(d, -EINVAL, "--allow: '%s': not UTF-8 (? matches any one byte)", rule);
	text_addf(t, ": %s\n", space + 1);
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
		if (verb == OPEN) {
			err = add_open(t, rules[i], d);
			if (err)
				return err;
			continue;
		}
		text_add(t, "  - ");
		if (!text_add_json(t, arg, strlen(arg)))
			return diag_set(d, -EINVAL, "--allow: '%s': not UTF-8", rules[i]);
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
			return bad_rule(rules[i], d);
	text_add(t, "version: 1\nextends: [");
	for (size_t i = 0; i < npolicies; i++) {
		text_add(t, i ? ", " : "");
		if (!text_add_json(t, policies[i], strlen(policies[i])))
			return diag_set(d, -EINVAL, "-p '%s': not UTF-8", policies[i]);
	}
	text_add(t, "]\n");
	err = add_rules(t, OPEN, rules, nrules, d);
	if (!err)
		err = add_rules(t, CONNECT, rules, nrules, d);
	/* `connect` writes the head of the section for those that follow */
	if (!err && !has_verb(CONNECT, rules, nrules) &&
	    (has_verb(UNIX, rules, nrules) || has_verb(SOCKET, rules, nrules)))
		text_add(t, "egress:\n");
	for (int verb = UNIX; !err && verb <= PRIVILEGE; verb++)
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
