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
	size_t rules_cap, notices_cap, names_cap;
	/* made of the names for the automaton, which compile_paths() builds */
	struct automaton_rule *domain;
	size_t ndomain, domain_cap;
	char *domain_text; /* of their patterns */
	uint8_t domain_default[EG_DOMAIN_GROUPS];
};

int comp_nomem(struct comp *k);
/* Add to c->rules; *rule is the index + 1. */
int comp_rule(struct comp *k, const struct place *at, enum rule_kind kind, const char *text,
	      uint32_t *rule);
int comp_notice(struct comp *k, const struct place *at, const char *fmt, ...) __printf_like(3, 4);

/* Add to c->names, in any order. */
int compile_name_add(struct comp *k, const struct policy_dest *dest, bool deny, uint32_t rule);

/* In this order: each needs what those before it leave in `k`. */
int compile_egress(struct comp *k);
int compile_names(struct comp *k);
int compile_paths(struct comp *k);

#endif
