/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How often each rule of a sandbox refused something, as far as events told. */
#ifndef RULE_COUNTS_H
#define RULE_COUNTS_H

#include <jansson.h>

struct event;
struct rule_counts;

/* rules that are told apart; what others refused is counted together */
#define RULE_COUNTS_MAX 256u

/* *counts is made by the first event; without memory nothing is counted. */
void rule_counts_add(struct rule_counts **counts, const struct event *ev);
void rule_counts_free(struct rule_counts *counts);

/*
 * [{rule, text, file, count}], the most often first. Without a rule, `rule` and `file`
 * are null and `text` says what refused it. counts may be NULL. A new reference.
 */
json_t *rule_counts_describe(const struct rule_counts *counts);

#endif
