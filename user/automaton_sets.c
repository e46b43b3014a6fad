/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Labels with wildcards: a nondeterministic automaton whose sets of positions
 * are made on demand and numbered.
 *
 * What would blow up and does not: labels with at most one star share their
 * beginnings ("*.pem" and "*.key" are one star, one dot, two tails), labels with
 * more stars forget what lies before the last star they passed, and once a
 * label of a group is sure to match, the rest of the group is forgotten.
 */
#include "automaton_names.h"

static int gnode_add(struct sets *s, uint32_t chain, uint32_t *id)
{
	struct gnode *g = vec_add(&s->g);

	if (!g)
		return -ENOMEM;
	g->group = g->sure = GROUP_NONE;
	g->chain = chain;
	*id = s->g.n - 1;
	return 0;
}

static int gnode_next(struct sets *s, uint32_t at, uint32_t item, uint32_t chain, uint32_t *dst)
{
	vec32 *edges = &s->g.v[at].edges;

	if (ITEM_TYPE(item) == ITEM_STAR) {
		*dst = s->g.v[at].star_next;
		if (*dst && !chain)
			return 0;
		if (gnode_add(s, chain, dst))
			return -ENOMEM;
		s->g.v[*dst].star = true;
		s->g.v[at].star_next = *dst;
		return 0;
	}
	for (uint32_t i = 0; !chain && i < edges->n; i += 2) {
		*dst = edges->v[i + 1];
		if (edges->v[i] == item)
			return 0;
	}
	if (gnode_add(s, chain, dst))
		return -ENOMEM;
	edges = &s->g.v[at].edges;
	return vec32_push(edges, item) || vec32_push(edges, *dst) ? -ENOMEM : 0;
}

static int glob_add(struct sets *s, uint32_t label)
{
	uint32_t n, at = 0, stars = 0, chain = 0, group = s->t->label.v[label].group;
	const uint32_t *items = intern_get(&s->t->labels, label, &n);

	for (uint32_t i = 1; i < n; i++)
		stars += ITEM_TYPE(items[i]) == ITEM_STAR;
	/* a chain begins with a node of its own: the start's star is shared by the others */
	if (stars > 1) {
		chain = label + 1;
		if (gnode_add(s, chain, &at))
			return -ENOMEM;
		if (vec32_push(&s->tmp, at)) /* part of the first set */
			return -ENOMEM;
	}
	for (uint32_t i = 1; i < n; i++)
		if (gnode_next(s, at, items[i], chain, &at))
			return -ENOMEM;
	s->g.v[at].group = group;
	if (s->g.v[at].star)
		s->g.v[at].sure = group;
	return 0;
}

/* One node for each group that is sure to match: it stays for good and is all that is kept. */
static int add_sure_nodes(struct sets *s, uint32_t ngroups)
{
	uint32_t nodes = s->g.n, id;

	for (uint32_t i = 0; i < ngroups; i++)
		if (vec32_push(&s->sure_node, 0))
			return -ENOMEM;
	for (uint32_t i = 0; i < nodes; i++) {
		uint32_t group = s->g.v[i].sure;

		if (group == GROUP_NONE || s->sure_node.v[group])
			continue;
		if (gnode_add(s, 0, &id))
			return -ENOMEM;
		s->g.v[id].star = true;
		s->g.v[id].group = group;
		s->sure_node.v[group] = id + 1;
	}
	return 0;
}

static int set_enter(struct sets *s, vec32 *set, uint32_t node)
{
	const struct gnode *g = &s->g.v[node];

	if (vec32_push(set, node))
		return -ENOMEM;
	if (g->sure != GROUP_NONE && vec32_push(set, s->sure_node.v[g->sure] - 1))
		return -ENOMEM;
	return g->star_next ? set_enter(s, set, g->star_next) : 0;
}

static bool set_holds(const vec32 *set, uint32_t node)
{
	for (uint32_t i = set->n; i--;)
		if (set->v[i] == node)
			return true;
	return false;
}

/* Forget what cannot change the outcome any more; then the set's number. */
static int set_intern(struct sets *s, vec32 *set, uint32_t *id)
{
	uint32_t kept = 0, chain = 0, sure_at;
	bool past = false;

	vec32_sort_unique(set);
	/* sure nodes come last in s->g: the set's tail tells which groups are sure */
	for (sure_at = set->n; sure_at; sure_at--) {
		const struct gnode *g = &s->g.v[set->v[sure_at - 1]];

		if (g->group == GROUP_NONE || s->sure_node.v[g->group] != set->v[sure_at - 1] + 1)
			break;
	}
	/* a chain's nodes are numbered from its beginning: go from the end */
	for (uint32_t i = set->n; i--;) {
		const struct gnode *g = &s->g.v[set->v[i]];
		uint32_t group = g->group;

		if (i >= sure_at)
			continue;
		if (g->chain) {
			if (g->chain != chain) {
				chain = g->chain;
				past = false;
			}
			group = s->t->label.v[chain - 1].group;
			if (past) {
				set->v[i] = UINT32_MAX;
				continue;
			}
			past = g->star;
		}
		if ((g->chain || !g->edges.n) && group != GROUP_NONE && s->sure_node.v[group] &&
		    set_holds(set, s->sure_node.v[group] - 1))
			set->v[i] = UINT32_MAX;
		else if (!g->edges.n && g->group == GROUP_NONE)
			set->v[i] = UINT32_MAX; /* only its star went on, which is there */
	}
	for (uint32_t i = 0; i < set->n; i++)
		if (set->v[i] != UINT32_MAX)
			set->v[kept++] = set->v[i];
	set->n = kept;

	if (intern_put(&s->ids, set->v, set->n, id))
		return -ENOMEM;
	if (*id < s->set.n)
		return 0;
	if (s->set.n >= AUTOMATON_MAX_NAME_SETS)
		return error_set(s->err, -E2BIG, 0, "fewer patterns with * in the middle of a name",
				 "the wildcards within names combine to more than %u states "
				 "(AUTOMATON_MAX_NAME_SETS)",
				 AUTOMATON_MAX_NAME_SETS);
	return vec_add(&s->set) ? 0 : -ENOMEM;
}

static void item_bytes(const struct tree *t, uint32_t item, uint32_t special[8])
{
	uint32_t n, value = ITEM_VALUE(item);

	if (ITEM_TYPE(item) == ITEM_BYTE) {
		special[value / 32] |= 1u << (value % 32);
	} else if (ITEM_TYPE(item) == ITEM_CLASS) {
		const uint32_t *words = intern_get(&t->sets, value, &n);

		for (uint32_t i = 0; i < 8; i++)
			special[i] |= words[i];
	}
}

static bool item_takes(const struct tree *t, uint32_t item, uint32_t byte)
{
	switch (ITEM_TYPE(item)) {
	case ITEM_BYTE:
		return byte == ITEM_VALUE(item);
	case ITEM_CLASS:
		return byte < 256 && set_has(t, ITEM_VALUE(item), (uint8_t)byte);
	default:
		return true;
	}
}

/* Where a set goes on one byte, or (256) on any byte that no item names. */
static int set_move(struct sets *s, uint32_t id, uint32_t byte, uint32_t *dst)
{
	uint32_t n;

	s->tmp.n = 0;
	intern_get(&s->ids, id, &n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t node = intern_get(&s->ids, id, &n)[i];
		const struct gnode *g = &s->g.v[node];

		if (g->star && set_enter(s, &s->tmp, node))
			return -ENOMEM;
		s->work += 1 + g->edges.n / 2;
		for (uint32_t e = 0; e < g->edges.n; e += 2)
			if (item_takes(s->t, g->edges.v[e], byte) &&
			    set_enter(s, &s->tmp, g->edges.v[e + 1]))
				return -ENOMEM;
	}
	if (s->work > AUTOMATON_MAX_WORK)
		return error_work(s->err);
	return set_intern(s, &s->tmp, dst);
}

int set_expand(struct sets *s, uint32_t id)
{
	uint32_t special[8] = {}, n, dflt, dst, first = s->next.n;
	const uint32_t *nodes;
	int err;

	if (s->set.v[id].done)
		return 0;
	nodes = intern_get(&s->ids, id, &n);
	for (uint32_t i = 0; i < n; i++) {
		const struct gnode *g = &s->g.v[nodes[i]];

		for (uint32_t e = 0; e < g->edges.n; e += 2)
			item_bytes(s->t, g->edges.v[e], special);
	}
	err = set_move(s, id, 256, &dflt);
	for (uint32_t byte = 0; !err && byte < 256; byte++) {
		if (!(special[byte / 32] >> (byte % 32) & 1))
			continue;
		err = set_move(s, id, byte, &dst);
		if (!err && dst != dflt)
			err = vec32_push(&s->next, byte) || vec32_push(&s->next, dst) ? -ENOMEM : 0;
	}
	s->set.v[id].dflt = dflt;
	s->set.v[id].first = first;
	s->set.v[id].n = (s->next.n - first) / 2;
	s->set.v[id].done = !err;
	return err;
}

uint32_t set_on(const struct sets *s, uint32_t id, uint8_t byte)
{
	const struct set_row *r = &s->set.v[id];

	for (uint32_t i = 0; i < r->n; i++)
		if (s->next.v[r->first + 2 * i] == byte)
			return s->next.v[r->first + 2 * i + 1];
	return r->dflt;
}

int sets_init(struct sets *s)
{
	const struct tree *t = s->t;
	uint32_t ngroups = 0, len, start;
	const uint8_t *bytes;
	vec32 first = {};
	int err = 0;

	if (gnode_add(s, 0, &start))
		return -ENOMEM;
	for (uint32_t i = 0; i < t->label.n && !err; i++) {
		uint32_t group = t->label.v[i].group;

		if (group >= GROUP_ALL)
			continue;
		ngroups = MAX(ngroups, group + 1);
		if (!label_is_literal(t, i, &bytes, &len))
			err = glob_add(s, i);
	}
	if (!err)
		err = add_sure_nodes(s, ngroups);
	if (err)
		return err;

	/* set 0: the start, and the beginnings of chains */
	first = s->tmp;
	memset(&s->tmp, 0, sizeof(s->tmp));
	start = first.n;
	for (uint32_t i = 0; i <= start && !err; i++)
		err = set_enter(s, &first, i < start ? first.v[i] : 0);
	if (!err)
		err = set_intern(s, &first, &start);
	vec_free(&first);
	return err;
}

void sets_fini(struct sets *s)
{
	for (uint32_t i = 0; i < s->g.n; i++)
		vec_free(&s->g.v[i].edges);
	vec_free(&s->g);
	vec_free(&s->sure_node);
	intern_fini(&s->ids);
	vec_free(&s->set);
	vec_free(&s->next);
	vec_free(&s->tmp);
}
