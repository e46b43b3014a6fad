/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Directory states: what the names on the way to a directory leave to be said
 * about it and everything below it.
 *
 * A state is a literal node (or none), the permission in force, and the set of
 * pattern nodes that are alive. Patterns that continue in the same way are made
 * one first ("**" + "/a" and "**" + "/b" with the same permission are one group
 * of labels), so these sets stay small however many rules there are.
 */
#include "automaton_dirs.h"

/* ---- patterns that mean the same ------------------------------------------------- */

/* A merged pattern node, as words in dirs.reps: flags, rep after "**", (label, rep)… */
#define REP_PERM EG_PERM_ALL
#define REP_ENDS (1u << 8) /* rules end here, with REP_PERM */
#define REP_LOOP (1u << 9)
#define REP_NONE (1u << 10)

static uint32_t rep_flags(const struct dirs *d, uint32_t rep)
{
	uint32_t n;

	return intern_get(&d->reps, rep - 1, &n)[0];
}

static uint32_t rep_star(const struct dirs *d, uint32_t rep)
{
	uint32_t n;

	return intern_get(&d->reps, rep - 1, &n)[1];
}

static int compare_pairs(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return x[1] < y[1] ? -1 : x[1] > y[1];
}

/* Edges of every node, by node: first[i] … first[i + 1] - 1 in list[]. */
static int edges_by_node(const struct tree *t, uint32_t **first, uint32_t **list)
{
	uint32_t n = t->nodes.n;
	uint32_t *f = calloc(n + 2, sizeof(*f)), *l = calloc(t->edges.n + 1, sizeof(*l));

	if (!f || !l) {
		free(f);
		free(l);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->edges.n; i++)
		f[t->edges.v[i].src + 2]++;
	for (uint32_t i = 2; i < n + 2; i++)
		f[i] += f[i - 1];
	for (uint32_t i = 0; i < t->edges.n; i++)
		l[f[t->edges.v[i].src + 1]++] = i;
	*first = f;
	*list = l;
	return 0;
}

/* Every pattern node below literal nodes (children have higher numbers) -> dirs.rep. */
static int merge_patterns(const struct tree *t, struct dirs *d, const uint32_t *first,
			  const uint32_t *list)
{
	_cleanup_free_ uint8_t *pattern = calloc(t->nodes.n, 1);
	vec32 key = {}, pairs = {};
	uint32_t id;
	int err = pattern ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < t->nodes.n && !err; i++) {
		const struct node *n = &t->nodes.v[i];

		err = vec32_push(&d->rep, 0);
		for (uint32_t k = 0; k < 2; k++)
			if (n->pat[k])
				pattern[n->pat[k]] = 1;
		if (!pattern[i])
			continue;
		if (n->star)
			pattern[n->star] = 1;
		for (uint32_t k = first[i]; k < first[i + 1]; k++)
			pattern[t->edges.v[list[k]].dst] = 1;
	}
	for (uint32_t i = t->nodes.n; i-- && !err;) {
		const struct node *n = &t->nodes.v[i];

		if (!pattern[i])
			continue;
		key.n = pairs.n = 0;
		err = vec32_push(&key, (n->first_rule ? REP_ENDS | n->perm : 0) |
					       (n->loop ? REP_LOOP : 0) | (n->none ? REP_NONE : 0)) ||
		      vec32_push(&key, n->star ? d->rep.v[n->star] : 0);
		for (uint32_t k = first[i]; k < first[i + 1] && !err; k++)
			err = vec32_push(&pairs, t->edges.v[list[k]].label) ||
			      vec32_push(&pairs, d->rep.v[t->edges.v[list[k]].dst]);
		if (pairs.n)
			qsort(pairs.v, pairs.n / 2, 8, compare_pairs);
		for (uint32_t k = 0; k < pairs.n && !err; k++)
			err = vec32_push(&key, pairs.v[k]);
		if (err || intern_put(&d->reps, key.v, key.n, &id))
			err = -ENOMEM;
		else
			d->rep.v[i] = id + 1;
	}
	vec_free(&key);
	vec_free(&pairs);
	return err ? -ENOMEM : 0;
}

struct use {
	uint32_t label, src, dst;
};

static int compare_uses(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	if (x->label != y->label)
		return x->label < y->label ? -1 : 1;
	return compare_pairs(&x->src, &y->src);
}

/* Labels that lead from the same nodes to the same nodes are one group. */
static int group_uses(struct tree *t, struct dirs *d, const struct use *use, uint32_t n)
{
	struct intern groups = {};
	vec32 key = {};
	int err = 0;

	for (uint32_t i = 0, end; i < n && !err; i = end) {
		struct label *l = &t->label.v[use[i].label];

		key.n = 0;
		for (end = i; end < n && use[end].label == use[i].label && !err; end++)
			err = vec32_push(&key, use[end].src) || vec32_push(&key, use[end].dst);
		if (l->group != GROUP_ALL && !err)
			err = intern_put(&groups, key.v, key.n, &l->group);
	}
	d->ngroups = groups.n;
	intern_fini(&groups);
	vec_free(&key);
	return err ? -ENOMEM : 0;
}

static int collect_uses(const struct dirs *d, struct use **out, uint32_t *nout)
{
	uint32_t total = 0, n, k = 0;
	struct use *use;

	for (uint32_t rep = 1; rep <= d->reps.n; rep++) {
		(void)intern_get(&d->reps, rep - 1, &n);
		total += (n - 2) / 2;
	}
	use = calloc(total + 1, sizeof(*use));
	if (!use)
		return -ENOMEM;
	for (uint32_t rep = 1; rep <= d->reps.n; rep++) {
		const uint32_t *words = intern_get(&d->reps, rep - 1, &n);

		for (uint32_t i = 2; i < n; i += 2)
			use[k++] = (struct use){ words[i], rep, words[i + 1] };
	}
	if (total)
		qsort(use, total, sizeof(*use), compare_uses);
	*out = use;
	*nout = total;
	return 0;
}

/* dirs.gedges: where each merged node goes on a name of each group. */
static int group_edges(const struct tree *t, struct dirs *d)
{
	vec32 pairs = {};
	uint32_t n;
	int err = vec32_push(&d->gstart, 0) || vec32_push(&d->gstart, 0); /* there is no rep 0 */

	for (uint32_t rep = 1; rep <= d->reps.n && !err; rep++) {
		const uint32_t *words = intern_get(&d->reps, rep - 1, &n);

		pairs.n = 0;
		for (uint32_t i = 2; i < n && !err; i += 2)
			err = vec32_push(&pairs, t->label.v[words[i]].group) ||
			      vec32_push(&pairs, words[i + 1]);
		if (pairs.n)
			qsort(pairs.v, pairs.n / 2, 8, compare_pairs);
		for (uint32_t i = 0; i < pairs.n && !err; i += 2) {
			if (i && !compare_pairs(&pairs.v[i], &pairs.v[i - 2]))
				continue;
			err = vec32_push(&d->gedges, pairs.v[i]) ||
			      vec32_push(&d->gedges, pairs.v[i + 1]);
		}
		if (!err)
			err = vec32_push(&d->gstart, d->gedges.n);
	}
	vec_free(&pairs);
	return err ? -ENOMEM : 0;
}

int dirs_group_labels(struct tree *t, struct dirs *d)
{
	_cleanup_free_ uint32_t *first = NULL, *list = NULL;
	_cleanup_free_ struct use *use = NULL;
	uint32_t n, nuses = 0;
	int err;

	for (uint32_t i = 0; i < t->label.n; i++) {
		const uint32_t *words = intern_get(&t->labels, i, &n);

		if (n == 2 && words[0] == LABEL_GLOB && ITEM_TYPE(words[1]) == ITEM_STAR)
			t->label.v[i].group = GROUP_ALL;
	}
	err = edges_by_node(t, &first, &list);
	if (!err)
		err = merge_patterns(t, d, first, list);
	if (!err)
		err = collect_uses(d, &use, &nuses);
	if (!err)
		err = group_uses(t, d, use, nuses);
	if (!err)
		err = group_edges(t, d);
	d->first_edge = steal_ptr(first);
	d->edge_list = steal_ptr(list);
	return err;
}

void dirs_fini(struct dirs *d)
{
	intern_fini(&d->reps);
	vec_free(&d->rep);
	vec_free(&d->gstart);
	vec_free(&d->gedges);
	free(d->first_edge);
	free(d->edge_list);
}

/* ---- the sets of pattern nodes ------------------------------------------------------ */

/* Where a set goes on the names of one class. */
struct move {
	uint32_t class;
	uint32_t keep; /* set */
	uint32_t closed; /* set, when the name is closed by permission none */
	bool ends; /* patterns match the name, */
	uint8_t perm; /* with this permission */
};

struct set_moves {
	uint32_t first, n; /* in moves: the first is for class 0, the rest sorted */
	bool done;
};

struct build {
	const struct tree *t;
	const struct names *names;
	struct dirs *d;
	struct automaton_error *err;
	struct intern sets;
	VEC(struct set_moves) set;
	VEC(struct move) moves;
	vec32 cstart, classes; /* by group: the classes that have it */
	vec32 lits_in; /* by class: literal names in it */
	vec32 mark; /* by group */
	struct intern ids; /* {literal node, permission, set} */
	struct graph g;
	vec32 tmp, tmp2;
};

/* A node and what follows a "**" after it; nodes that lead nowhere are nothing. */
static int rep_enter(const struct build *b, vec32 *set, uint32_t rep)
{
	uint32_t star = rep_star(b->d, rep);

	if (b->d->gstart.v[rep + 1] > b->d->gstart.v[rep] && vec32_push(set, rep))
		return -ENOMEM;
	return star ? vec32_push(set, star) : 0;
}

static int set_put(struct build *b, vec32 *set, uint32_t *id)
{
	vec32_sort_unique(set);
	if (intern_put(&b->sets, set->v, set->n, id))
		return -ENOMEM;
	while (b->set.n < b->sets.n)
		if (!vec_add(&b->set))
			return -ENOMEM;
	return 0;
}

/* What a set without those that a closed directory ends is. */
static int set_put_closed(struct build *b, vec32 *set, uint32_t *id)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < set->n; i++)
		if (rep_flags(b->d, set->v[i]) & REP_NONE)
			set->v[kept++] = set->v[i];
	set->n = kept;
	return set_put(b, set, id);
}

static int move_on_class(struct build *b, uint32_t set, uint32_t class)
{
	struct move m = { .class = class, .perm = EG_PERM_ALL };
	const struct dirs *d = b->d;
	const uint32_t *words;
	struct move *out;
	uint32_t n;

	words = intern_get(&b->names->classes, class, &n);
	for (uint32_t i = 0; i < n; i++)
		b->mark.v[words[i]] = class + 1;
	b->tmp.n = 0;
	words = intern_get(&b->sets, set, &n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rep = words[i];

		if (rep_flags(d, rep) & REP_LOOP && vec32_push(&b->tmp, rep))
			return -ENOMEM;
		for (uint32_t e = d->gstart.v[rep]; e < d->gstart.v[rep + 1]; e += 2) {
			uint32_t group = d->gedges.v[e], dst = d->gedges.v[e + 1];
			uint32_t flags = rep_flags(d, dst);

			if (group != GROUP_ALL && b->mark.v[group] != class + 1)
				continue;
			if (flags & REP_ENDS) {
				m.ends = true;
				m.perm &= flags & REP_PERM;
			}
			if (rep_enter(b, &b->tmp, dst))
				return -ENOMEM;
		}
	}
	if (set_put(b, &b->tmp, &m.keep) || set_put_closed(b, &b->tmp, &m.closed))
		return -ENOMEM;
	words = intern_get(&b->names->classes, class, &n);
	for (uint32_t i = 0; i < n; i++)
		b->mark.v[words[i]] = 0;
	if (b->set.v[set].n) {
		const struct move *dflt = &b->moves.v[b->set.v[set].first];

		if (m.keep == dflt->keep && m.closed == dflt->closed && m.ends == dflt->ends &&
		    m.perm == dflt->perm)
			return 0;
	}
	out = vec_add(&b->moves);
	if (!out)
		return -ENOMEM;
	*out = m;
	b->set.v[set].n++;
	return 0;
}

static int set_moves(struct build *b, uint32_t set)
{
	const uint32_t *words;
	uint32_t n;
	int err = 0;

	if (b->set.v[set].done)
		return 0;
	b->tmp2.n = 0;
	words = intern_get(&b->sets, set, &n);
	for (uint32_t i = 0; i < n && !err; i++)
		for (uint32_t e = b->d->gstart.v[words[i]]; e < b->d->gstart.v[words[i] + 1]; e += 2) {
			uint32_t group = b->d->gedges.v[e];

			if (group == GROUP_ALL)
				continue;
			for (uint32_t k = b->cstart.v[group]; k < b->cstart.v[group + 1]; k++)
				err |= vec32_push(&b->tmp2, b->classes.v[k]);
		}
	vec32_sort_unique(&b->tmp2);
	b->set.v[set].first = b->moves.n;
	b->set.v[set].done = true;
	if (!err)
		err = move_on_class(b, set, 0);
	for (uint32_t i = 0; i < b->tmp2.n && !err; i++)
		err = move_on_class(b, set, b->tmp2.v[i]);
	return err ? -ENOMEM : 0;
}

static const struct move *set_move(const struct build *b, uint32_t set, uint32_t class)
{
	const struct set_moves *s = &b->set.v[set];
	const struct move *first = &b->moves.v[s->first];
	uint32_t lo = 1, hi = s->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (first[mid].class < class)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && first[lo].class == class ? &first[lo] : first;
}

/* ---- directory states -------------------------------------------------------------- */

static int state_put(struct build *b, uint32_t node, uint8_t perm, uint32_t set, uint32_t *id)
{
	uint32_t key[3] = { node, perm, set };
	struct graph_state *s;

	if (intern_put(&b->ids, key, 3, id))
		return -ENOMEM;
	if (*id < b->g.states.n)
		return 0;
	if (b->g.states.n >= AUTOMATON_MAX_DIR_STATES)
		return error_set(b->err, -E2BIG, 0, "fewer patterns with several \"**\" or *",
				 "the patterns combine to more than %u directory states (AUTOMATON_MAX_DIR_STATES)",
				 AUTOMATON_MAX_DIR_STATES);
	s = vec_add(&b->g.states);
	if (!s)
		return -ENOMEM;
	s->perm = perm;
	return 0;
}

/* The state of what is matched by literal node `node` (0: none) and by the patterns of `m`. */
static int state_after(struct build *b, uint32_t node, uint8_t perm, const struct move *move,
		       uint32_t *id)
{
	const struct node *lit = &b->t->nodes.v[node];
	struct move m = *move;
	bool decided = true;
	uint32_t set, n;

	if (node && lit->first_rule)
		perm = lit->perm;
	else if (m.ends)
		perm = m.perm;
	else
		decided = false;
	set = decided && !perm ? m.closed : m.keep;
	if (lit->pat[0] || lit->pat[1]) {
		const uint32_t *words = intern_get(&b->sets, set, &n);

		b->tmp.n = 0;
		for (uint32_t i = 0; i < n; i++)
			if (vec32_push(&b->tmp, words[i]))
				return -ENOMEM;
		for (uint32_t k = 0; k < 2; k++)
			if (lit->pat[k] && rep_enter(b, &b->tmp, b->d->rep.v[lit->pat[k]]))
				return -ENOMEM;
		if (set_put(b, &b->tmp, &set))
			return -ENOMEM;
	}
	if (b->d->first_edge[node] == b->d->first_edge[node + 1])
		node = 0; /* nothing literal goes on: one with all such places */
	return state_put(b, node, perm, set, id);
}

static int add_move(struct build *b, uint32_t symbol, uint32_t base, uint32_t to)
{
	struct graph_move *m = vec_add(&b->g.moves);

	if (!m)
		return -ENOMEM;
	*m = (struct graph_move){ .symbol = symbol, .base = base, .to = to };
	return 0;
}

/* No name would ever take this class's move: the literal children are all there are in it. */
static bool class_spelt_out(const struct build *b, uint32_t node, uint32_t class)
{
	uint32_t here = 0;

	if (b->names->open.v[class])
		return false;
	for (uint32_t k = b->d->first_edge[node]; node && k < b->d->first_edge[node + 1]; k++)
		here += b->t->label.v[b->t->edges.v[b->d->edge_list[k]].label].class == class;
	return here == b->lits_in.v[class];
}

static int expand_state(struct build *b, uint32_t id)
{
	uint32_t n, node, set, to, base, first = b->g.moves.n;
	const uint32_t *key = intern_get(&b->ids, id, &n);
	uint8_t perm = (uint8_t)key[1];
	int err;

	node = key[0];
	set = key[2];
	err = set_moves(b, set);
	if (!err)
		err = state_after(b, 0, perm, &b->moves.v[b->set.v[set].first], &to);
	b->g.states.v[id].dflt = to;
	for (uint32_t i = 1; !err && i < b->set.v[set].n; i++) {
		const struct move *m = &b->moves.v[b->set.v[set].first + i];

		if (class_spelt_out(b, node, m->class))
			continue;
		base = m->class; /* m may move with the array */
		err = state_after(b, 0, perm, m, &to);
		if (!err && to != b->g.states.v[id].dflt)
			err = add_move(b, base, GRAPH_DFLT, to);
	}
	b->g.states.v[id].first = first;
	b->g.states.v[id].nclasses = b->g.moves.n - first;
	for (uint32_t k = b->d->first_edge[node]; node && !err && k < b->d->first_edge[node + 1]; k++) {
		const struct edge *e = &b->t->edges.v[b->d->edge_list[k]];
		const struct label *l = &b->t->label.v[e->label];

		base = graph_class_move(&b->g, id, l->class);
		err = state_after(b, e->dst, perm, set_move(b, set, l->class), &to);
		if (!err)
			err = add_move(b, b->names->classes.n + l->exact - 1, base, to);
	}
	b->g.states.v[id].n = b->g.moves.n - first;
	return err;
}

/* By group, the classes that have it; by class, how many literal names are in it. */
static int index_classes(struct build *b)
{
	uint32_t n, ngroups = b->d->ngroups;
	int err = 0;

	for (uint32_t i = 0; i < ngroups + 2 && !err; i++)
		err = vec32_push(&b->cstart, 0) || vec32_push(&b->mark, 0);
	for (uint32_t c = 0; c < b->names->classes.n && !err; c++) {
		const uint32_t *words = intern_get(&b->names->classes, c, &n);

		for (uint32_t i = 0; i < n && !err; i++) {
			b->cstart.v[words[i] + 2]++;
			err = vec32_push(&b->classes, 0);
		}
		err = err || vec32_push(&b->lits_in, 0);
	}
	for (uint32_t i = 2; i < ngroups + 2 && !err; i++)
		b->cstart.v[i] += b->cstart.v[i - 1];
	for (uint32_t c = 0; c < b->names->classes.n && !err; c++) {
		const uint32_t *words = intern_get(&b->names->classes, c, &n);

		for (uint32_t i = 0; i < n; i++)
			b->classes.v[b->cstart.v[words[i] + 1]++] = c;
	}
	for (uint32_t i = 0; i < b->t->label.n && !err; i++)
		if (b->t->label.v[i].exact)
			b->lits_in.v[b->t->label.v[i].class]++;
	return err ? -ENOMEM : 0;
}

static int start_states(struct build *b)
{
	for (uint32_t root = ROOT_PATH; root < ROOTS_END; root++) {
		uint8_t perm = b->t->defaults[root == ROOT_PATH ? AUTOMATON_PATHS : AUTOMATON_UNIX];
		struct move none = { .perm = EG_PERM_ALL };
		int err;

		b->tmp.n = 0;
		if (set_put(b, &b->tmp, &none.keep))
			return -ENOMEM;
		none.closed = none.keep;
		err = state_after(b, root, perm, &none, &b->g.start[root]);
		if (err)
			return err;
	}
	return 0;
}

int dirs_build(const struct tree *t, const struct names *names, struct dirs *d, struct rows *rows,
	       struct automaton_error *error)
{
	struct build b = { .t = t, .names = names, .d = d, .err = error };
	int err = index_classes(&b);

	if (!err)
		err = start_states(&b);
	for (uint32_t i = 0; !err && i < b.g.states.n; i++)
		err = expand_state(&b, i);
	if (!err)
		err = graph_merge(&b.g, t, names);
	if (!err)
		err = graph_rows(&b.g, d, rows);
	intern_fini(&b.sets);
	vec_free(&b.set);
	vec_free(&b.moves);
	vec_free(&b.cstart);
	vec_free(&b.classes);
	vec_free(&b.lits_in);
	vec_free(&b.mark);
	intern_fini(&b.ids);
	graph_fini(&b.g);
	vec_free(&b.tmp);
	vec_free(&b.tmp2);
	return err;
}
