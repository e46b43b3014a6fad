/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who may use how much of the tables that all versions share. Without, one user's policies
 * fill them, and then nobody else begins a sandbox, and root denies nothing more.
 */
#include <errno.h>

#include "compile.h"
#include "publish_int.h"
#include "util.h"

struct use {
	uint32_t versions, slots, ports, prefixes, anchors;
};

static const struct table {
	const char *what;
	size_t at; /* in struct use */
	uint32_t size;
} tables[] = {
	{ "compiled policies", offsetof(struct use, versions), EG_MAX_POLICIES },
	{ "path automaton slots", offsetof(struct use, slots), EG_DFA_SLOTS - EG_DFA_FIRST },
	{ "port ranges", offsetof(struct use, ports), EG_MAX_PORTS },
	{ "address ranges", offsetof(struct use, prefixes), EG_MAX_PREFIXES },
	{ "anchored objects", offsetof(struct use, anchors), EG_MAX_ANCHORS },
};

static uint32_t of(const struct use *u, const struct table *t)
{
	return *(const uint32_t *)((const char *)u + t->at);
}

/* What is only kept in case it is asked for again makes room, and counts for nobody. */
static void count(const struct publisher *p, uid_t payer, struct use *mine, struct use *all)
{
	for (uint32_t i = 0; i < EG_MAX_POLICIES; i++) {
		const struct entry *e = p->by_slot[i];
		struct use *to[] = { all, mine };

		if (!e || !e->v.refs)
			continue;
		for (size_t k = 0; k < (e->compiled->payer == payer ? 2u : 1u); k++) {
			to[k]->versions++;
			to[k]->slots += e->slots.count;
			to[k]->ports += e->ports.count;
			to[k]->prefixes += e->nprefixes;
			to[k]->anchors += e->anchors_put;
		}
	}
}

int publish_afford(const struct publisher *p, const struct compiled *c, enum publish_room room,
		   struct diag *d)
{
	const struct use need = { 1, c->nslots, c->nports, c->nprefixes, c->nanchors };
	struct use mine = {}, all = {};

	if (!c->payer || room == PUBLISH_ALL)
		return 0;
	count(p, c->payer, &mine, &all);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		const struct table *t = &tables[i];
		uint32_t share = t->size / PUBLISH_SHARES, kept = t->size / PUBLISH_KEPT_PART;

		if (of(&mine, t) + of(&need, t) > share)
			return diag_set(d, -EDQUOT,
					"the sandboxes of user %u would use more than %u %s, a "
					"user's share: end some, or use smaller policies",
					(unsigned int)c->payer, share, t->what);
		if (room == PUBLISH_SHARE && of(&all, t) + of(&need, t) > t->size - kept)
			return diag_set(d, -ENOSPC,
					"the sandboxes of all users use %u of %u %s: the rest is "
					"kept for root and for what is denied",
					of(&all, t), t->size, t->what);
	}
	return 0;
}
