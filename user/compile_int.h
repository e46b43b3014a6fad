/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between the compile*.c only. */
#ifndef EGRESSCTL_COMPILE_INT_H
#define EGRESSCTL_COMPILE_INT_H

#include "automaton.h"
#include "compile.h"

struct comp {
	const struct policy *p;
	const struct policy_vars *v;
	struct compiled *c; /* being filled */
	struct diag *d;
	size_t rules_cap, notices_cap, names_cap, domain_cap;
	struct paths *paths; /* compile_paths.c */
};

int comp_nomem(struct comp *k);
/* Add to c->rules; *rule is the index + 1. */
int comp_rule(struct comp *k, const struct place *at, enum rule_kind kind, const char *text,
	      uint32_t *rule);
int comp_notice(struct comp *k, const struct place *at, const char *fmt, ...) __printf_like(3, 4);

/* compile_pattern.c: all malloc()ed, NULL without memory. */
/* The names before the first one with a wildcard, unquoted; *rest is what follows. */
char *comp_literal_part(const char *pattern, const char **rest);
/* A pattern that matches `path` alone, with `rest`, a pattern, behind it. */
char *comp_quoted(const char *path, const char *rest);
/*
 * /proc/NUMBER, self and thread-self are the sandbox's own tasks: one name for all. Takes
 * `pattern`, which may be NULL, and returns it when it is about something else.
 */
char *comp_own_proc(char *pattern);

/* Add to c->names, in any order. */
int compile_name_add(struct comp *k, const struct policy_dest *dest, bool deny, uint32_t rule);

/*
 * In this order: each needs what those before it leave in `k`. Rules of paths come first, so
 * that one more destination does not give them other numbers.
 */
int compile_bind_paths(struct comp *k);
int compile_egress(struct comp *k);
int compile_names(struct comp *k); /* domain, for the automaton */
int compile_paths(struct comp *k);
void compile_paths_end(struct comp *k);

/* In place of compile_bind_paths() and compile_paths(): as they are in policy.paths_of. */
int compile_reuse_rules(struct comp *k);
int compile_reuse_paths(struct comp *k);

/* The automaton of c->paths and c->domain, unless it is there; and what c->head says of it. */
int comp_automaton(struct comp *k);

#endif
