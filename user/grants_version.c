/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Grants as versions, and what a class of names is called in them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "grants_int.h"
#include "publish.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

static const char *grant_name(uint64_t number, char buf[32])
{
	snprintf(buf, 32, "grant g%" PRIu64, number);
	return buf;
}

static int by_number(const void *a, const void *b)
{
	const struct grant *const *x = a, *const *y = b;

	return (*x)->number < (*y)->number ? -1 : (*x)->number > (*y)->number;
}

/*
 * The rules of v[0] … v[n - 1] for server_publish_grants(), in the order in which they
 * were said: of two that speak of the same path the later one holds, however long.
 */
static json_t *rules_of(struct grants *g, uint32_t n, struct diag *d)
{
	struct grant_rule *rules[EG_MAX_GRANTS];
	struct grant *order[EG_MAX_GRANTS];
	json_t *list = json_array();
	int err = list ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < n; i++)
		order[i] = &g->v[i];
	qsort(order, n, sizeof(*order), by_number);
	for (uint32_t i = 0; i < n && !err; i++) {
		_cleanup_free_ char *text = NULL;
		char name[32];

		rules[i] = &order[i]->r;
		err = grant_rule_text(rules, i + 1, g->base->compiled, &text, d);
		if (!err && json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "name",
				grant_name(order[i]->number, name), "text", text, "class",
				order[i]->class)))
			err = -ENOMEM;
	}
	if (!err)
		return list;
	if (!d->err)
		(void)diag_set(d, err, "out of memory");
	json_decref(list);
	return NULL;
}

/*
 * A denied name cuts the classes of what is allowed, so that their numbers mean
 * something else: such versions are another family. `names`: of the denials so far.
 */
static uint64_t family_key(const struct grants *g, uint64_t names)
{
	return names ^ g->epoch * 0xd1b54a32d192ed03ull;
}

static uint32_t family_of(const struct grants *g, uint64_t key)
{
	if (!key)
		return g->base->family;
	for (uint32_t i = 0; i < FAMILIES; i++)
		if (g->families[i].key == key)
			return g->families[i].family;
	return 0;
}

/* Rules for paths and unix sockets are the base's: nothing of them need be looked up. */
static bool destinations_only(const struct grants *g, uint32_t n)
{
	while (n && str_starts(g->v[n - 1].r.rule, "connect "))
		n--;
	return !n;
}

/* The version with v[0] … v[n - 1], over `next`, of which a reference is used up. */
static int publish_one(struct grants *g, uint32_t n, uint64_t names, const struct version **v,
		       struct diag *d)
{
	uint64_t key = family_key(g, names), lapses = n ? g->v[n - 1].lapses : UINT64_MAX;
	struct version_tail tail = { .family = family_of(g, key), .room = g->room };
	const struct version *next = *v;
	json_t *list = rules_of(g, n, d);
	int err = list ? 0 : d->err;

	if (destinations_only(g, n))
		tail.paths_of = g->base;
	if (lapses != UINT64_MAX) {
		tail.lapses = lapses;
		tail.next = next;
	}
	if (!err)
		err = server_publish_grants(g->c->s, g->base, list, &tail, v, d);
	json_decref(list);
	publisher_unref(g->c->s->publisher, next);
	if (!err && !tail.family)
		g->families[g->next_family++ % FAMILIES] =
			(struct family){ .key = key, .family = (*v)->family };
	return err;
}

int grants_publish(struct grants *g, const struct version **v, struct diag *d)
{
	uint64_t names = 0;
	int err = 0;

	*v = g->base;
	publisher_ref(g->c->s->publisher, *v);
	if (g->epoch)
		err = publish_one(g, 0, names, v, d);
	for (uint32_t i = 0; i < g->n && !err; i++) {
		const struct grant *at = &g->v[i];

		if (at->r.deny && at->r.by_name)
			names = (names ^ at->number) * 0x9e3779b97f4a7c15ull;
		/* those without an end are one version */
		if (at->lapses == UINT64_MAX && i + 1 < g->n && g->v[i + 1].lapses == UINT64_MAX)
			continue;
		err = publish_one(g, i + 1, names, v, d);
	}
	return err;
}

/* ---- numbers of classes ------------------------------------------------------------- */

bool grants_had_classes(const struct grants *g)
{
	for (uint32_t k = 0; k < EG_MAX_CLASSES; k++)
		if (g->class_rule[k])
			return true;
	return g->epoch;
}

static bool class_taken(const struct grants *g, uint32_t k)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (g->v[i].class == k + 1)
			return true;
	return false;
}

void grants_forget_classes(struct grants *g)
{
	g->epoch++;
	for (uint32_t k = 0; k < EG_MAX_CLASSES; k++) {
		if (class_taken(g, k))
			continue;
		free(g->class_rule[k]);
		g->class_rule[k] = NULL;
	}
}

/* The lowest free one that never was another rule's. */
static uint32_t find_class(const struct grants *g, const char *rule)
{
	uint32_t k, first = EG_MAX_CLASSES;

	for (k = EG_MAX_CLASSES; k-- > g->base->compiled->head.nclasses;) {
		if (class_taken(g, k))
			continue;
		if (!g->class_rule[k])
			first = k;
		else if (str_eq(g->class_rule[k], rule))
			return k;
	}
	return first;
}

int grants_choose_class(struct grants *g, const char *rule, uint16_t *class, struct diag *d)
{
	uint32_t k = find_class(g, rule);

	if (k == EG_MAX_CLASSES) {
		grants_forget_classes(g);
		k = find_class(g, rule);
	}
	if (k < EG_MAX_CLASSES) {
		if (!g->class_rule[k])
			g->class_rule[k] = strdup(rule);
		if (!g->class_rule[k])
			return diag_set(d, -ENOMEM, "out of memory");
		*class = (uint16_t)(k + 1);
		return 0;
	}
	return diag_set(d, -ENOSPC, "no more destinations can be granted by name in this sandbox "
				    "(%u classes with those of its policy): revoke one, or grant "
				    "an address", EG_MAX_CLASSES);
}
