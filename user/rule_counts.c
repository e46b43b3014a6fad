// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <inttypes.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"
#include "rule_counts.h"
#include "util.h"

struct counted {
	/* what it is found by: a rule of a version, or why there is none */
	const struct rule_ref *by; /* not followed: its version may be gone */
	uint32_t serial;
	uint8_t reason;
	uint16_t op;
	uint64_t count;
	char *rule, *text, *file; /* rule and file NULL: none */
};

struct rule_counts {
	struct counted v[RULE_COUNTS_MAX];
	size_t n;
	uint64_t others;
};

static bool is_it(const struct counted *c, const struct event *ev)
{
	if (c->by != ev->by)
		return false;
	return ev->by ? c->serial == ev->serial : c->reason == ev->reason && c->op == ev->op;
}

static bool fill(struct counted *c, const struct event *ev)
{
	struct text rule = { 0 };

	*c = (struct counted){ .by = ev->by, .serial = ev->serial, .reason = ev->reason,
			       .op = ev->op };
	if (ev->by) {
		event_add_rule_name(&rule, ev->by);
		c->rule = rule.failed ? NULL : rule.p;
		c->text = strdup(ev->by->text);
		c->file = strdup(ev->by->file);
		return c->rule && c->text && c->file;
	}
	return asprintf(&c->text, "%s: %s", event_op_name(ev->op),
			event_reason_words(ev->reason)) >= 0;
}

static void clear(struct counted *c)
{
	free(c->rule);
	free(c->text);
	free(c->file);
	*c = (struct counted){ 0 };
}

void rule_counts_add(struct rule_counts **counts, const struct event *ev)
{
	struct rule_counts *r = *counts;

	if (!r)
		r = *counts = calloc(1, sizeof(*r));
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		if (is_it(&r->v[i], ev)) {
			r->v[i].count++;
			return;
		}
	}
	if (r->n == RULE_COUNTS_MAX || !fill(&r->v[r->n], ev)) {
		if (r->n < RULE_COUNTS_MAX)
			clear(&r->v[r->n]);
		r->others++;
		return;
	}
	r->v[r->n++].count = 1;
}

void rule_counts_free(struct rule_counts *r)
{
	for (size_t i = 0; r && i < r->n; i++)
		clear(&r->v[i]);
	free(r);
}

static int by_count(const void *a, const void *b)
{
	const struct counted *const *x = a, *const *y = b;

	if ((*x)->count != (*y)->count)
		return (*x)->count < (*y)->count ? 1 : -1;
	return strcmp((*x)->text, (*y)->text);
}

static bool same_rule(const struct counted *a, const struct counted *b)
{
	return !a->rule == !b->rule && str_eq(a->text, b->text) &&
	       (!a->rule || (str_eq(a->rule, b->rule) && str_eq(a->file, b->file)));
}

json_t *rule_counts_describe(const struct rule_counts *r)
{
	struct counted sum[RULE_COUNTS_MAX];
	const struct counted *order[RULE_COUNTS_MAX];
	json_t *list = json_array();
	size_t n = 0, i, k;

	/* a grant makes a version of its own, with the same rules */
	for (i = 0; r && i < r->n; i++) {
		for (k = 0; k < n && !same_rule(&sum[k], &r->v[i]); k++)
			;
		if (k < n) {
			sum[k].count += r->v[i].count;
			continue;
		}
		sum[n] = r->v[i];
		order[n] = &sum[n];
		n++;
	}
	qsort(order, n, sizeof(order[0]), by_count);
	for (i = 0; i < n; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s?, s:s, s:s?, s:I}", "rule", order[i]->rule, "text",
					order[i]->text, "file", order[i]->file, "count",
					(json_int_t)order[i]->count));
	if (r && r->others)
		(void)json_array_append_new(list, json_pack("{s:n, s:s, s:n, s:I}", "rule", "text",
							    "others", "file", "count",
							    (json_int_t)r->others));
	return list;
}
