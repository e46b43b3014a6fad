// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The learned policy as a file for people. Whatever a program called its files is
 * inside a JSON string, which is a YAML one, or escaped in a comment: nothing of it
 * can end a line or begin a rule.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "learn_int.h"
#include "policy.h"
#include "util.h"

#define COMMENT_COLUMN 46u

/* What needs no quotes, so that most of the file is easy to read. */
static bool is_bare(const char *s)
{
	if (!*s || strchr("-~*&!|>%@`.?:#0123456789", *s)) {
		/* "~/.npm" is written so by everybody */
		if (!str_starts(s, "~/"))
			return false;
	}
	for (; *s; s++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+~",
			    *s))
			return false;
	return true;
}

/* Words that YAML takes for something else. */
static bool is_word(const char *s)
{
	static const char *const words[] = { "true", "false", "yes", "no",  "on",
					     "off",  "null",  "y",   "n",   "default" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(s, words[i]))
			return true;
	return false;
}

static void add_scalar(struct text *out, const char *s)
{
	if (is_bare(s) && !is_word(s))
		text_add(out, s);
	else
		(void)text_add_json(out, s, strlen(s));
}

/* The rule's comment, in a column of its own where the line is short enough. */
static void end_line(struct text *out, size_t start, const char *why)
{
	if (*why) {
		for (size_t n = out->len - start; n < COMMENT_COLUMN - 2; n++)
			text_add(out, " ");
		text_add(out, "  # ");
		text_add(out, why);
	}
	text_add(out, "\n");
}

static size_t count_of(const struct learned *l, enum learn_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nrules; i++)
		n += l->rules[i].kind == kind;
	return n;
}

static void add_map(struct text *out, const struct learn_rule *r)
{
	text_add(out, "{host: ");
	(void)text_add_json(out, r->text, strlen(r->text));
	text_addf(out, ", %s}", r->options);
}

static void add_item(struct text *out, const struct learn_rule *r)
{
	size_t start = out->len;

	text_add(out, "    - ");
	if (r->options)
		add_map(out, r);
	else
		add_scalar(out, r->text);
	end_line(out, start, r->why);
}

static void add_list(struct text *out, const struct learned *l, enum learn_kind kind,
		     const char *key, const char *first)
{
	if (!count_of(l, kind))
		return;
	text_addf(out, "  %s:\n%s", key, first);
	for (size_t i = 0; i < l->nrules; i++)
		if (l->rules[i].kind == kind)
			add_item(out, &l->rules[i]);
}

static void add_egress(struct text *out, const struct learned *l)
{
	if (count_of(l, LEARN_FILE) == l->nrules)
		return;
	text_add(out, "\negress:\n");
	add_list(out, l, LEARN_ALLOW, "allow", "");
	add_list(out, l, LEARN_LOOPBACK, "loopback", "    - own\n");
	add_list(out, l, LEARN_UNIX, "unix", "");
	add_list(out, l, LEARN_SOCKET, "sockets", "");
}

static void add_files(struct text *out, const struct learned *l)
{
	char perm[5];

	if (!count_of(l, LEARN_FILE))
		return;
	text_add(out, "\nfiles:\n");
	for (size_t i = 0; i < l->nrules; i++) {
		const struct learn_rule *r = &l->rules[i];
		size_t start = out->len;

		if (r->kind != LEARN_FILE)
			continue;
		text_add(out, "  ");
		add_scalar(out, r->text);
		text_addf(out, ": %s", policy_perm_text(r->perm, perm));
		end_line(out, start, r->why);
	}
}

static void add_questions(struct text *out, const struct learned *l)
{
	if (!l->nquestions)
		return;
	text_add(out, "\n# Not allowed by this file. Decide, and move what is meant to be up "
		      "there:\n");
	for (size_t i = 0; i < l->nquestions; i++) {
		const struct learn_question *q = &l->questions[i];
		size_t start = out->len;

		text_addf(out, "#   %s", q->rule ? q->rule : "(no rule can)");
		end_line(out, start, q->why);
	}
}

int learn_text(const struct learned *l, const char *const *extends, size_t nextends,
	       const char *program, struct text *out)
{
	text_reset(out);
	text_add(out, "# What ");
	text_add_escaped(out, program, strlen(program));
	text_add(out, " was seen to need; learned by `egressctl learn`.\nversion: 1\nextends: [");
	for (size_t i = 0; i < nextends; i++) {
		text_add(out, i ? ", " : "");
		add_scalar(out, extends[i]);
	}
	text_add(out, "]\n");
	add_egress(out, l);
	add_files(out, l);
	add_questions(out, l);
	return out->failed ? -ENOMEM : 0;
}

bool learn_rule_words(const struct learn_rule *r, struct text *out)
{
	char perm[5];

	text_reset(out);
	switch (r->kind) {
	case LEARN_FILE:
		text_addf(out, "open %s %s", r->text, policy_perm_text(r->perm, perm));
		return r->perm;
	case LEARN_ALLOW:
		text_add(out, "connect ");
		if (r->options)
			add_map(out, r);
		else
			text_add(out, r->text);
		return true;
	case LEARN_LOOPBACK:
		text_addf(out, "loopback %s", r->text);
		return true;
	case LEARN_UNIX:
		text_addf(out, "unix %s", r->text);
		return true;
	case LEARN_SOCKET:
		text_addf(out, "socket %s", r->text);
		return true;
	}
	return false;
}
