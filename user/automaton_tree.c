/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules as a tree of labels. A rule's literal part is a way through literal
 * nodes; the first name with a wildcard begins a way through pattern nodes that
 * hang on the last literal one, those of none apart from the others, because a
 * closed directory ends only the others.
 *
 * The same tree answers which rule decides, by going through it name by name.
 */
#include "automaton_int.h"

static int node_add(struct tree *t, uint32_t *id)
{
	if (!t->nodes.n && !vec_add(&t->nodes))
		return -ENOMEM;
	if (!vec_add(&t->nodes))
		return -ENOMEM;
	*id = t->nodes.n - 1;
	return 0;
}

static uint32_t tree_child(const struct tree *t, uint32_t src, uint32_t label)
{
	uint32_t key[2] = { src, label }, edge;

	return intern_find(&t->edge_ids, key, 2, &edge) ? t->edges.v[edge].dst : 0;
}

static int tree_child_add(struct tree *t, uint32_t src, uint32_t label, uint32_t *dst)
{
	uint32_t key[2] = { src, label }, id, len;
	const uint8_t *bytes;
	struct edge *e;

	*dst = tree_child(t, src, label);
	if (*dst)
		return 0;
	if (node_add(t, dst) || intern_put(&t->edge_ids, key, 2, &id))
		return -ENOMEM;
	e = vec_add(&t->edges);
	if (!e)
		return -ENOMEM;
	e->src = src;
	e->label = label;
	e->dst = *dst;
	if (!label_is_literal(t, label, &bytes, &len)) {
		e->next_glob = t->nodes.v[src].first_glob;
		t->nodes.v[src].first_glob = id + 1;
	}
	return 0;
}

static int add_pattern_part(struct tree *t, const struct pattern *p, bool none, uint32_t *node)
{
	uint32_t at = t->nodes.v[*node].pat[!none], next;

	if (!at) {
		if (node_add(t, &at))
			return -ENOMEM;
		t->nodes.v[at].none = none;
		t->nodes.v[*node].pat[!none] = at;
	}
	for (uint32_t i = p->literal; i < p->names.n; i++) {
		if (p->names.v[i] != NAME_STARS) {
			if (tree_child_add(t, at, p->names.v[i], &next))
				return -ENOMEM;
			t->nodes.v[next].none = none;
		} else {
			next = t->nodes.v[at].star;
			if (!next) {
				if (node_add(t, &next))
					return -ENOMEM;
				t->nodes.v[next].loop = true;
				t->nodes.v[next].none = none;
				t->nodes.v[at].star = next;
			}
		}
		at = next;
	}
	*node = at;
	return 0;
}

static uint32_t root_of(enum automaton_space space, bool abstract)
{
	if (space >= AUTOMATON_DOMAIN)
		return ROOT_DOMAIN + (space - AUTOMATON_DOMAIN);
	if (space == AUTOMATON_PATHS)
		return ROOT_PATH;
	return abstract ? ROOT_ABSTRACT : ROOT_UNIX;
}

static int add_parsed(struct tree *t, const struct pattern *p, const struct automaton_rule *r,
		      uint32_t index)
{
	uint32_t at = root_of(r->space, p->abstract);
	struct node *end;

	for (uint32_t i = 0; i < p->literal; i++) {
		struct label *l = &t->label.v[p->names.v[i]];

		if (!l->exact)
			l->exact = ++t->nexact;
		if (tree_child_add(t, at, p->names.v[i], &at))
			return -ENOMEM;
	}
	if (p->literal < p->names.n && add_pattern_part(t, p, !r->perm, &at))
		return -ENOMEM;

	end = &t->nodes.v[at];
	if (!end->first_rule) {
		end->first_rule = index + 1;
		end->perm = r->perm;
	} else {
		t->next_rule[end->last_rule - 1] = index + 1;
		end->perm &= r->perm;
	}
	end->last_rule = index + 1;
	return 0;
}

int tree_init(struct tree *t, size_t nrules, const uint8_t defaults[AUTOMATON_SPACES])
{
	uint32_t root;

	memcpy(t->defaults, defaults, sizeof(t->defaults));
	t->nrules = (uint32_t)nrules;
	t->next_rule = calloc(nrules + 1, sizeof(*t->next_rule));
	t->rule_id = calloc(nrules + 1, sizeof(*t->rule_id));
	t->rule_perm = calloc(nrules + 1, sizeof(*t->rule_perm));
	if (!t->next_rule || !t->rule_id || !t->rule_perm)
		return -ENOMEM;
	while (t->nodes.n < ROOTS_END)
		if (node_add(t, &root))
			return -ENOMEM;
	return 0;
}

int tree_add(struct tree *t, const struct automaton_rule *r, uint32_t index,
	     struct automaton_error *err)
{
	struct pattern p = {};
	int ret;

	if (r->perm & ~EG_PERM_ALL || r->space >= AUTOMATON_SPACES)
		return error_set(err, -EINVAL, 0, "bits of rwxc, a known space",
				 "the permission or the space of this rule is no such thing");
	t->rule_id[index] = r->id;
	t->rule_perm[index] = r->perm;
	ret = pattern_parse(t, r, &p, err);
	if (!ret)
		ret = add_parsed(t, &p, r, index);
	vec_free(&p.names);
	return ret;
}

void tree_fini(struct tree *t)
{
	vec_free(&t->nodes);
	vec_free(&t->edges);
	intern_fini(&t->edge_ids);
	intern_fini(&t->labels);
	vec_free(&t->label);
	intern_fini(&t->sets);
	free(t->next_rule);
	free(t->rule_id);
	free(t->rule_perm);
}

/* ---- which rule decides ---------------------------------------------------------- */

static bool glob_matches(const struct tree *t, uint32_t label, const uint8_t *s, size_t len)
{
	uint32_t n, i = 1, star = 0;
	const uint32_t *items = intern_get(&t->labels, label, &n);
	size_t at = 0, star_at = 0;

	/* on a mismatch only the last star need give way */
	while (at < len || i < n) {
		bool ok = false;

		if (i < n) {
			switch (ITEM_TYPE(items[i])) {
			case ITEM_STAR:
				star = ++i;
				star_at = at;
				continue;
			case ITEM_BYTE:
				ok = at < len && s[at] == ITEM_VALUE(items[i]);
				break;
			case ITEM_ANY:
				ok = at < len;
				break;
			case ITEM_CLASS:
				ok = at < len && set_has(t, ITEM_VALUE(items[i]), s[at]);
				break;
			}
		}
		if (ok) {
			at++;
			i++;
		} else if (star && star_at < len) {
			at = ++star_at;
			i = star;
		} else {
			return false;
		}
	}
	return true;
}

struct decision {
	const struct tree *t;
	uint32_t literal; /* node, or 0: no rule's literal part goes on here */
	vec32 now, next; /* pattern nodes */
	vec32 ends; /* pattern nodes at which rules match this very name */
	uint8_t perm;
	uint32_t rule; /* index + 1 */
};

/* Be at a node, and after a "**" that follows it. */
static int decision_enter(struct decision *d, vec32 *set, uint32_t node)
{
	const struct node *n = &d->t->nodes.v[node];

	if (vec32_push(set, node))
		return -ENOMEM;
	return n->star ? vec32_push(set, n->star) : 0;
}

static int decision_step(struct decision *d, uint32_t dst)
{
	if (d->t->nodes.v[dst].first_rule && vec32_push(&d->ends, dst))
		return -ENOMEM;
	return decision_enter(d, &d->next, dst);
}

static int decision_move(struct decision *d, const char *name, size_t len)
{
	const struct tree *t = d->t;
	uint32_t label, dst;
	bool known = !label_of_name(t, name, len, &label);

	d->next.n = 0;
	d->ends.n = 0;
	d->literal = known && d->literal ? tree_child(t, d->literal, label) : 0;
	for (uint32_t i = 0; i < d->now.n; i++) {
		uint32_t at = d->now.v[i];

		if (t->nodes.v[at].loop && vec32_push(&d->next, at))
			return -ENOMEM;
		dst = known ? tree_child(t, at, label) : 0;
		if (dst && decision_step(d, dst))
			return -ENOMEM;
		for (uint32_t e = t->nodes.v[at].first_glob; e; e = t->edges.v[e - 1].next_glob)
			if (glob_matches(t, t->edges.v[e - 1].label, (const uint8_t *)name, len) &&
			    decision_step(d, t->edges.v[e - 1].dst))
				return -ENOMEM;
	}
	return 0;
}

/* The first rule that alone gives `perm`, else the first of all. */
static uint32_t rule_with(const struct tree *t, uint32_t node, uint8_t perm, uint32_t best)
{
	for (uint32_t r = t->nodes.v[node].first_rule; r; r = t->next_rule[r - 1]) {
		bool is = t->rule_perm[r - 1] == perm;
		bool was = best && t->rule_perm[best - 1] == perm;

		if (!best || (is && !was) || (is == was && r < best))
			best = r;
	}
	return best;
}

/* What matched at this name, then what goes on below it. */
static int decision_judge(struct decision *d)
{
	const struct tree *t = d->t;
	const struct node *lit = &t->nodes.v[d->literal];
	uint8_t perm = EG_PERM_ALL;
	uint32_t rule = 0, kept = 0;

	if (d->literal && lit->first_rule) {
		perm = lit->perm;
		rule = rule_with(t, d->literal, perm, 0);
	} else if (d->ends.n) {
		for (uint32_t i = 0; i < d->ends.n; i++)
			perm &= t->nodes.v[d->ends.v[i]].perm;
		for (uint32_t i = 0; i < d->ends.n; i++)
			rule = rule_with(t, d->ends.v[i], perm, rule);
	}
	if (rule) {
		d->perm = perm;
		d->rule = rule;
	}
	if (rule && !perm) {
		for (uint32_t i = 0; i < d->next.n; i++)
			if (t->nodes.v[d->next.v[i]].none)
				d->next.v[kept++] = d->next.v[i];
		d->next.n = kept;
	}
	for (uint32_t k = 0; d->literal && k < 2; k++)
		if (lit->pat[k] && decision_enter(d, &d->next, lit->pat[k]))
			return -ENOMEM;
	vec32_sort_unique(&d->next);
	return 0;
}

static int decision_name(struct decision *d, const char *name, size_t len)
{
	vec32 was;

	if (decision_move(d, name, len) || decision_judge(d))
		return -ENOMEM;
	was = d->now;
	d->now = d->next;
	d->next = was;
	return 0;
}

static int decide(struct decision *d, const char *path, size_t len)
{
	struct path_names names = { .path = path, .len = len,
				    .domain = d->literal >= ROOT_DOMAIN };
	bool abstract = d->literal == ROOT_ABSTRACT;
	vec32 was = d->now;

	/* "/" itself may have rules, and patterns begin there */
	if (decision_judge(d))
		return -ENOMEM;
	d->now = d->next;
	d->next = was;
	if (abstract)
		return decision_name(d, path, len);
	while (path_names_next(&names))
		if (decision_name(d, names.name, names.n))
			return -ENOMEM;
	return names.bad ? -EINVAL : 0;
}

bool tree_rule_for(const struct tree *t, enum automaton_space space, const char *path, size_t len,
		   uint32_t *id, uint8_t *perm)
{
	struct decision d = { .t = t, .perm = t->defaults[space] };
	int err;

	d.literal = root_of(space, len && path[0] == '@');
	err = decide(&d, path, len);
	vec_free(&d.now);
	vec_free(&d.next);
	vec_free(&d.ends);
	if (err) {
		*perm = 0;
		return false;
	}
	*perm = d.perm;
	if (d.rule)
		*id = t->rule_id[d.rule - 1];
	return d.rule;
}
