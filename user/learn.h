/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From what a command touched to the rules it needs. Pure: no I/O, the same trace
 * gives the same rules, whatever the order of its records.
 *
 * The names in a trace are chosen by the program that was watched, and it may be
 * hostile: a rule must say what was touched and nothing else, whatever a file is
 * called. What looks like a secret, metadata addresses, and whatever hands the
 * sandbox away are questions for a person and never rules.
 */
#ifndef LEARN_H
#define LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy_vars.h"
#include "trace.h"

struct compiled;
struct text;

#define LEARN_MAX_RULES 4096u /* more than anybody reads; below POLICY_MAX_RULES */
#define LEARN_PROGRAMS 4u /* named in a comment */

struct learn_input {
	const struct trace *trace;
	/* The policy it ran under, and one that allows all but secrets; bound alike. */
	const struct compiled *base, *secrets;
	const struct policy_vars *vars;
	uid_t uid;
};

enum learn_kind {
	LEARN_ALLOW, /* egress: allow */
	LEARN_LOOPBACK,
	LEARN_UNIX,
	LEARN_SOCKET,
	LEARN_FILE,
};

/*
 * `text` is as a policy has it, not quoted: a path's pattern with its variables, a
 * destination, a socket's name. A destination with options has them in `options`
 * ("ports: [8080], tls: off") and is written as a map.
 */
struct learn_rule {
	enum learn_kind kind;
	uint8_t perm; /* LEARN_FILE: EG_R … */
	char *text, *options; /* options NULL: none */
	char *why; /* a comment: printable, one line */
};

/* What is not allowed, for a person to decide: printable, one line each. */
struct learn_question {
	char *rule; /* as a line of a policy that would allow it; NULL: no rule can */
	char *why;
};

struct learned {
	struct learn_rule *rules; /* sorted */
	size_t nrules, cap_rules;
	struct learn_question *questions;
	size_t nquestions, cap_questions;
};

/*
 * 0; -ENOMEM; -E2BIG: more than LEARN_MAX_RULES. `out` is to be cleared in any case.
 */
int learn_rules(const struct learn_input *in, struct learned *out);
void learned_clear(struct learned *l);
/* Into order, each thing once: done already but for what learn_missing() adds. */
void learn_sort(struct learned *l);

/*
 * A policy file that has the rules and extends `extends`: names or paths, which
 * stand first. `program` (what was run) is for the comment.
 */
int learn_text(const struct learned *l, const char *const *extends, size_t nextends,
	       const char *program, struct text *out);

/* What policy_edit_add() takes, or false: it has no words for such a rule. */
bool learn_rule_words(const struct learn_rule *r, struct text *out);

/*
 * The accesses that `c`, the learned policy compiled, would still refuse, and no
 * question is about: each is made a rule of its own. Returns how many there were.
 */
int learn_missing(const struct learn_input *in, const struct compiled *c, struct learned *l);

#endif
