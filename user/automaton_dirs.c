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

/* ---- the sets of pattern nodes ------------------------------------------------------ */

/* Where a set goes on the names of one class. */
struct move {
	uint32_t class;
	uint32_t base; /* the move (number in the set's) that holds without this one */
	uint32_t keep; /* set */
	uint32_t closed; /* set, when the name is closed by permission none */
	bool ends; /* patterns match the name, */
	uint8_t perm; /* with this permission */
};

struct set_moves {
	uint32_t first, n; /* in moves: for class 0, for wider classes, for others, each sorted */
	uint32_t nwider; /* how many the first two are */
	bool done;
};

/* what a state costs in all, in positions looked at */
#define STATE_WORK 256u

struct build {
	const struct tree *t;
	const struct names *names;
	struct dirs *d;
	struct automaton_error *err;
	struct intern sets;
	VEC(struct set_moves) set;
	VEC(struct move) moves;
	vec32 cstart, classes; /* by group: the classes that have it; global ones: only wider */
	vec32 mark, matters; /* by group */
	struct intern ids; /* {literal node, permission, set} */
	struct graph g;
	uint64_t work; /* steps so far, see AUTOMATON_MAX_WORK */
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

/* The number among a set's moves of the one that holds for a class: its own, its wider one's, 0. */
static uint32_t move_number(const struct build *b, uint32_t set, uint32_t class)
{
	const struct set_moves *s = &b->set.v[set];
	const struct move *m = &b->moves.v[s->first];
	uint32_t wider = b->names->wider.v[class], nwider = MIN(s->nwider, s->n);
	uint32_t lo = 1, hi = nwider;

	if (wider != class) {
		lo = nwider;
		hi = s->n;
	}
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m[mid].class < class)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < (wider == class ? nwider : s->n) && m[lo].class == class)
		return lo;
	return class && wider != class ? move_number(b, set, wider) : 0;
}

static int move_on_class(struct build *b, uint32_t set, uint32_t class)
{
	struct move m = { .class = class, .perm = EG_PERM_ALL };
	const struct dirs *d = b->d;
	const uint32_t *words;
	struct move *out;
	uint32_t n, wider = b->names->wider.v[class];

	words = intern_get(&b->names->classes, class, &n);
	for (uint32_t i = 0; i < n; i++)
		b->mark.v[words[i]] = class + 1;
	b->tmp.n = 0;
	words = intern_get(&b->sets, set, &n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rep = words[i];

		if (rep_flags(d, rep) & REP_LOOP && vec32_push(&b->tmp, rep))
			return -ENOMEM;
		b->work += 1 + (d->gstart.v[rep + 1] - d->gstart.v[rep]) / 2;
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
	if (b->work > AUTOMATON_MAX_WORK)
		return error_work(b->err);
	if (set_put(b, &b->tmp, &m.keep) || set_put_closed(b, &b->tmp, &m.closed))
		return -ENOMEM;
	words = intern_get(&b->names->classes, class, &n);
	for (uint32_t i = 0; i < n; i++)
		b->mark.v[words[i]] = 0;
	if (b->set.v[set].n) {
		const struct move *base;

		m.base = move_number(b, set, wider == class ? 0 : wider);
		base = &b->moves.v[b->set.v[set].first + m.base];
		if (m.keep == base->keep && m.closed == base->closed && m.ends == base->ends &&
		    m.perm == base->perm)
			return 0;
	}
	out = vec_add(&b->moves);
	if (!out)
		return -ENOMEM;
	*out = m;
	b->set.v[set].n++;
	return 0;
}

/* Whether the class says more about this set than its wider class does. */
static bool class_matters(const struct build *b, uint32_t class)
{
	const uint32_t *groups, *wider;
	uint32_t n, nwider, k = 0;

	groups = intern_get(&b->names->classes, class, &n);
	wider = intern_get(&b->names->classes, b->names->wider.v[class], &nwider);
	for (uint32_t i = 0; i < n; i++) {
		if (k < nwider && wider[k] == groups[i])
			k++;
		else if (b->matters.v[groups[i]])
			return true;
	}
	return false;
}

static int collect_classes(struct build *b, uint32_t set)
{
	const uint32_t *words;
	uint32_t n;

	b->tmp2.n = 0;
	words = intern_get(&b->sets, set, &n);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t e = b->d->gstart.v[words[i]]; e < b->d->gstart.v[words[i] + 1];
		     e += 2) {
			uint32_t group = b->d->gedges.v[e];

			if (group == GROUP_ALL || b->matters.v[group])
				continue;
			b->matters.v[group] = 1;
			for (uint32_t k = b->cstart.v[group]; k < b->cstart.v[group + 1]; k++)
				if (vec32_push(&b->tmp2, b->classes.v[k]))
					return -ENOMEM;
		}
	vec32_sort_unique(&b->tmp2);
	return 0;
}

static int set_moves(struct build *b, uint32_t set)
{
	int err;

	if (b->set.v[set].done)
		return 0;
	err = collect_classes(b, set);
	b->work += b->tmp2.n;
	b->set.v[set].first = b->moves.n;
	b->set.v[set].done = true;
	if (!err)
		err = move_on_class(b, set, 0);
	for (uint32_t pass = 0; pass < 2 && !err; pass++) {
		if (!pass)
			b->set.v[set].nwider = UINT32_MAX; /* all there are */
		else
			b->set.v[set].nwider = b->set.v[set].n;
		for (uint32_t i = 0; i < b->tmp2.n && !err; i++) {
			uint32_t class = b->tmp2.v[i];
			bool wider = b->names->wider.v[class] == class;

			if (class && wider == !pass && (wider || class_matters(b, class)))
				err = move_on_class(b, set, class);
		}
	}
	for (uint32_t i = 0; i < b->matters.n; i++)
		b->matters.v[i] = 0;
	return err;
}

/* ---- directory states -------------------------------------------------------------- */

static int state_put(struct build *b, uint32_t node, uint8_t perm, uint32_t set, uint32_t *id)
{
	uint32_t key[3] = { node, perm, set }, classes = 0;
	struct graph_state *s;
	int err;

	if (intern_put(&b->ids, key, 3, id))
		return -ENOMEM;
	if (*id < b->g.states.n)
		return 0;
	if (b->g.states.n >= AUTOMATON_MAX_DIR_STATES)
		return error_set(b->err, -E2BIG, 0, "fewer rules, or simpler patterns",
				 "the rules combine to more than %u directory states "
				 "(AUTOMATON_MAX_DIR_STATES)",
				 AUTOMATON_MAX_DIR_STATES);
	s = vec_add(&b->g.states);
	if (!s)
		return -ENOMEM;
	s->perm = perm;
	s->node = node;
	s->classes = *id;
	if (!node)
		return 0;
	err = state_put(b, 0, perm, set, &classes);
	b->g.states.v[*id].classes = classes;
	return err;
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

/* On classes: for states without a literal node. */
static int expand_classes(struct build *b, uint32_t id)
{
	uint32_t n, set, to, first = b->g.moves.n;
	const uint32_t *key = intern_get(&b->ids, id, &n);
	uint8_t perm = (uint8_t)key[1];
	int err;

	set = key[2];
	err = set_moves(b, set);
	if (!err)
		err = state_after(b, 0, perm, &b->moves.v[b->set.v[set].first], &to);
	if (err)
		return err;
	b->g.states.v[id].dflt = to;
	for (uint32_t i = 1; !err && i < b->set.v[set].n; i++) {
		struct move m = b->moves.v[b->set.v[set].first + i];

		err = state_after(b, 0, perm, &m, &to);
		if (!err)
			err = add_move(b, m.class, m.base ? first + m.base - 1 : GRAPH_DFLT, to);
	}
	b->g.states.v[id].first = first;
	b->g.states.v[id].n = b->g.moves.n - first;
	b->g.states.v[id].done = !err;
	return err;
}

/* On the literal names that go on here. */
static int expand_names(struct build *b, uint32_t id)
{
	uint32_t n, to, number, first, node = b->g.states.v[id].node;
	uint32_t set = intern_get(&b->ids, id, &n)[2], classes = b->g.states.v[id].classes;
	uint8_t perm = b->g.states.v[id].perm;
	int err = b->g.states.v[classes].done ? 0 : expand_classes(b, classes);

	first = b->g.moves.n;
	b->g.states.v[id].first = first;
	b->g.states.v[id].dflt = b->g.states.v[classes].dflt;
	for (uint32_t k = b->d->first_edge[node]; !err && k < b->d->first_edge[node + 1]; k++) {
		const struct edge *e = &b->t->edges.v[b->d->edge_list[k]];
		const struct label *l = &b->t->label.v[e->label];
		struct move m;

		number = move_number(b, set, l->class);
		m = b->moves.v[b->set.v[set].first + number];
		err = state_after(b, e->dst, perm, &m, &to);
		if (!err)
			err = add_move(b, b->names->classes.n + l->exact - 1,
				       number ? b->g.states.v[classes].first + number - 1 :
						GRAPH_DFLT,
				       to);
	}
	b->g.states.v[id].n = b->g.moves.n - first;
	b->g.states.v[id].done = !err;
	return err;
}

/* By group, the classes in which it is worth a look. */
static int index_classes(struct build *b)
{
	uint32_t n, ngroups = b->d->ngroups;
	int err = 0;

	for (uint32_t i = 0; i < ngroups + 2 && !err; i++)
		err = vec32_push(&b->cstart, 0) || vec32_push(&b->mark, 0) ||
		      vec32_push(&b->matters, 0);
	/* a global group alone never makes a class differ from its wider one */
	for (uint32_t pass = 0; pass < 2 && !err; pass++) {
		for (uint32_t c = 0; c < b->names->classes.n && !err; c++) {
			const uint32_t *words = intern_get(&b->names->classes, c, &n);
			bool wider = b->names->wider.v[c] == c;

			for (uint32_t i = 0; i < n && !err; i++) {
				if (b->d->global.v[words[i]] && !wider)
					continue;
				if (pass)
					b->classes.v[b->cstart.v[words[i] + 1]++] = c;
				else
					err = vec32_push(&b->classes, 0);
				if (!pass)
					b->cstart.v[words[i] + 2]++;
			}
		}
		for (uint32_t i = 2; i < ngroups + 2 && !pass; i++)
			b->cstart.v[i] += b->cstart.v[i - 1];
	}
	return err ? -ENOMEM : 0;
}

static int start_states(struct build *b)
{
	for (uint32_t root = ROOT_PATH; root < ROOTS_END; root++) {
		uint8_t perm = b->t->defaults[tree_space_of(root)];
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
		err = b.g.states.v[i].done ? 0 :
		      b.g.states.v[i].node ? expand_names(&b, i) :
					     expand_classes(&b, i);
	if (!err)
		err = graph_merge(&b.g, t, names, d);
	if (!err)
		err = graph_rows(&b.g, d, rows);
	/* states cost time too: only for the search, since they have a limit of their own */
	d->work = b.work + (uint64_t)STATE_WORK * b.g.states.n;
	intern_fini(&b.sets);
	vec_free(&b.set);
	vec_free(&b.moves);
	vec_free(&b.cstart);
	vec_free(&b.classes);
	vec_free(&b.mark);
	vec_free(&b.matters);
	intern_fini(&b.ids);
	graph_fini(&b.g);
	vec_free(&b.tmp);
	vec_free(&b.tmp2);
	return err;
}
