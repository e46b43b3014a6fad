/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between the compile*.c only. */
#ifndef EGRESSCTL_COMPILE_INT_H
#define EGRESSCTL_COMPILE_INT_H

#include "compile.h"

struct comp {
	const struct policy *p;
	const struct policy_vars *v;
	struct compiled *c; /* being filled */
	struct diag *d;
	size_t rules_cap, notices_cap;
};

int comp_nomem(struct comp *k);
/* Add to c->rules; *rule is the index + 1. */
int comp_rule(struct comp *k, const struct place *at, enum rule_kind kind, const char *text,
	      uint32_t *rule);
int comp_notice(struct comp *k, const struct place *at, const char *fmt, ...) __printf_like(3, 4);

int compile_paths(struct comp *k);
int compile_egress(struct comp *k);

#endif
