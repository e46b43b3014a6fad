/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two policies that must differ by one rule, for the tests of editing. */
#ifndef POLICY_SAME_H
#define POLICY_SAME_H

#include "policy.h"

/*
 * NULL when `b` is `a` with the rule, in the words of allow.h, and nothing else;
 * or what differs. The letters of an `open` are at least those of the rule.
 */
const char *policy_same_but(const struct policy *a, const struct policy *b, const char *rule);

/* Lines of `before` that are not in `after`, in this order. */
unsigned int policy_lines_lost(const char *before, const char *after);

/* All bytes of `before` are in `after`, in this order. */
bool policy_bytes_kept(const char *before, const char *after);

#endif
