/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Equal directory states become one, by refining a partition: states are in one
 * class when their permissions are equal and every name leads into equal classes.
 *
 * "Every name" is a sum over names: each kind of name that exists (a class's
 * open names, every literal name) has a random weight, each class a random
 * value, and a row's fingerprint is the sum of weight times value. A row has few
 * moves of its own and a default for the rest, so it costs what it stores, and
 * it does not matter how a row is written. Two times 64 bits: two different rows
 * meet once in 2^100 or so; the keys are constants, so the same rules give the
 * same automaton everywhere.
 */
#include "automaton_dirs.h"

struct weight {
	uint64_t w[2];
};

struct weights {
	struct weight *class; /* names that take the class's move: open and literal ones */
	struct weight *wider; /* and all those of which it is the wider class */
	struct weight *literal; /* by symbol - number of classes */
	struct weight all;
	uint32_t nclasses;
};

static uint64_t scramble(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static struct weight weight_of(uint64_t kind, uint64_t n)
{
	return (struct weight){ { scramble(kind << 40 | n << 1),
				  scramble(kind << 40 | n << 1 | 1) } };
}

static void weight_add(struct weight *a, struct weight b)
{
	a->w[0] += b.w[0];
	a->w[1] += b.w[1];
}

static int weigh_names(struct weights *w, const struct tree *t, const struct names *names)
{
	w->nclasses = names->classes.n;
	w->class = calloc(w->nclasses, sizeof(*w->class));
	w->wider = calloc(w->nclasses, sizeof(*w->wider));
	w->literal = calloc(t->nexact + 1, sizeof(*w->literal));
	if (!w->class || !w->wider || !w->literal)
		return -ENOMEM;
	for (uint32_t c = 0; c < w->nclasses; c++)
		if (names->open.v[c])
			weight_add(&w->class[c], weight_of(1, c));
	for (uint32_t i = 0; i < t->label.n; i++) {
		const struct label *l = &t->label.v[i];

		if (!l->exact)
			continue;
		w->literal[l->exact - 1] = weight_of(2, l->exact);
		weight_add(&w->class[l->class], w->literal[l->exact - 1]);
	}
	for (uint32_t c = 0; c < w->nclasses; c++) {
		weight_add(&w->all, w->class[c]);
		weight_add(&w->wider[names->wider.v[c]], w->class[c]);
	}
	/* classes that are not wider ones stand for themselves */
	for (uint32_t c = 0; c < w->nclasses; c++)
		if (names->wider.v[c] != c)
			w->wider[c] = w->class[c];
	return 0;
}

static uint32_t merged_at(const struct graph *g, uint32_t state)
{
	return g->states.v[state].merged;
}

/* One round: the partition so far, and what follows from it. */
struct round {
	const struct graph *g;
	const struct weights *w;
	struct weight *value; /* by merged state */
	struct weight *part; /* by state: default and moves on classes */
	bool *known; /* by state: part */
	uint32_t *size; /* by merged state */
	uint32_t *next; /* by state: merged state after this round */
};

static int round_init(struct round *r)
{
	uint32_t n = r->g->states.n;

	r->value = calloc(MAX(n, EG_PERM_ALL + 1u), sizeof(*r->value));
	r->part = calloc(n, sizeof(*r->part));
	r->known = calloc(n, sizeof(*r->known));
	r->size = calloc(MAX(n, EG_PERM_ALL + 1u), sizeof(*r->size));
	r->next = calloc(n, sizeof(*r->next));
	return r->value && r->part && r->known && r->size && r->next ? 0 : -ENOMEM;
}

static void round_fini(struct round *r)
{
	free(r->value);
	free(r->part);
	free(r->known);
	free(r->size);
	free(r->next);
}

static void round_begin(struct round *r)
{
	const struct graph *g = r->g;

	memset(r->known, 0, g->states.n * sizeof(*r->known));
	memset(r->size, 0, MAX(g->states.n, EG_PERM_ALL + 1u) * sizeof(*r->size));
	for (uint32_t i = 0; i < g->states.n; i++)
		if (!r->size[merged_at(g, i)]++)
			r->value[merged_at(g, i)] = weight_of(3, merged_at(g, i));
}

/* What the moves of one state add to the fingerprint of the default alone. */
static void add_moves(const struct round *r, const struct graph_state *s, uint32_t dflt,
		      struct weight *sum)
{
	const struct graph_move *moves = r->g->moves.v;

	for (const struct graph_move *m = moves + s->first, *end = m + s->n; m < end; m++) {
		uint32_t to = merged_at(r->g, m->to), base = dflt;
		const struct weight *w, *t, *f;

		if (m->base != GRAPH_DFLT)
			base = merged_at(r->g, moves[m->base].to);
		if (to == base)
			continue;
		w = s->node ? &r->w->literal[m->symbol - r->w->nclasses] : &r->w->wider[m->symbol];
		t = &r->value[to];
		f = &r->value[base];
		sum->w[0] += w->w[0] * (t->w[0] - f->w[0]);
		sum->w[1] += w->w[1] * (t->w[1] - f->w[1]);
	}
}

static struct weight fingerprint(struct round *r, uint32_t state)
{
	const struct graph_state *s = &r->g->states.v[state];
	uint32_t dflt = merged_at(r->g, s->dflt);
	struct weight *part = &r->part[s->classes], sum;

	if (!r->known[s->classes]) {
		part->w[0] = r->value[dflt].w[0] * r->w->all.w[0];
		part->w[1] = r->value[dflt].w[1] * r->w->all.w[1];
		add_moves(r, &r->g->states.v[s->classes], dflt, part);
		r->known[s->classes] = true;
	}
	sum = *part;
	if (s->node)
		add_moves(r, s, dflt, &sum);
	return sum;
}

/* Split by what names lead to; the number of classes after it. */
static int refine_once(struct round *r, uint32_t *nmerged)
{
	struct intern seen = {};
	int err = 0;

	round_begin(r);
	for (uint32_t i = 0; i < r->g->states.n && !err; i++) {
		uint32_t key[5] = { merged_at(r->g, i) };

		/* one that is alone stays alone */
		if (r->size[key[0]] > 1) {
			struct weight f = fingerprint(r, i);

			memcpy(key + 1, &f, sizeof(f));
		}
		err = intern_put(&seen, key, 5, &r->next[i]);
	}
	*nmerged = seen.n;
	intern_fini(&seen);
	return err;
}

static int refine(struct graph *g, const struct weights *w)
{
	struct round r = { .g = g, .w = w };
	uint32_t before = 0;
	int err = round_init(&r);

	for (uint32_t i = 0; i < g->states.n; i++)
		g->states.v[i].merged = g->states.v[i].perm;
	while (!err) {
		err = refine_once(&r, &g->nmerged);
		for (uint32_t i = 0; i < g->states.n && !err; i++)
			g->states.v[i].merged = r.next[i];
		if (g->nmerged == before)
			break;
		before = g->nmerged;
	}
	round_fini(&r);
	return err;
}

static bool widen(struct graph *g, struct graph_state *s, uint32_t to)
{
	const struct graph_state *t = &g->states.v[g->chosen[merged_at(g, to)]];
	uint8_t floor = s->floor & t->floor, ceil = s->ceil | t->ceil;
	bool changed = floor != s->floor || ceil != s->ceil;

	s->floor = floor;
	s->ceil = ceil;
	return changed;
}

/* Who may take a state's move on a class. */
struct takers {
	const struct names *names;
	const struct tree *t;
	const struct dirs *d;
	vec32 literals; /* by class: literal names in it */
	vec32 first, members; /* by wider class: classes */
};

static int find_takers(struct takers *k)
{
	uint32_t n = k->names->classes.n;
	int err = 0;

	for (uint32_t c = 0; c < n + 2 && !err; c++)
		err = vec32_push(&k->literals, 0) || vec32_push(&k->first, 0) ||
		      vec32_push(&k->members, 0);
	if (err)
		return -ENOMEM;
	for (uint32_t i = 0; i < k->t->label.n; i++)
		if (k->t->label.v[i].exact)
			k->literals.v[k->t->label.v[i].class]++;
	for (uint32_t c = 0; c < n; c++)
		k->first.v[k->names->wider.v[c] + 2]++;
	for (uint32_t c = 2; c < n + 2; c++)
		k->first.v[c] += k->first.v[c - 1];
	for (uint32_t c = 0; c < n; c++)
		k->members.v[k->first.v[k->names->wider.v[c] + 1]++] = c;
	return 0;
}

/* Whether there are names of just this class that are not among the node's literal ones. */
static bool has_taker(const struct takers *k, uint32_t node, uint32_t class)
{
	uint32_t here = 0;

	if (k->names->open.v[class])
		return true;
	for (uint32_t e = k->d->first_edge[node]; node && e < k->d->first_edge[node + 1]; e++)
		here += k->t->label.v[k->t->edges.v[k->d->edge_list[e]].label].class == class;
	return here < k->literals.v[class];
}

/* Whether any name takes move `i` of the state with the classes' moves. */
static bool is_taken(const struct graph *g, const struct takers *k, const struct graph_state *c,
		     uint32_t i, uint32_t node)
{
	uint32_t class = g->moves.v[c->first + i].symbol;

	if (has_taker(k, node, class))
		return true;
	if (k->names->wider.v[class] != class)
		return false;
	for (uint32_t m = k->first.v[class]; m < k->first.v[class + 1]; m++) {
		uint32_t member = k->members.v[m], own = i + 1;

		while (own < c->n && g->moves.v[c->first + own].symbol != member)
			own++;
		if (own == c->n && member != class && has_taker(k, node, member))
			return true;
	}
	return false;
}

/* The least and the most of all that can be reached: until nothing changes. */
static void find_bounds(struct graph *g, const struct takers *k)
{
	bool changed = true;

	for (uint32_t i = 0; i < g->states.n; i++)
		g->states.v[i].floor = g->states.v[i].ceil = g->states.v[i].perm;
	while (changed) {
		changed = false;
		/* what lies below comes later: backwards, most is right at once */
		for (uint32_t m = g->nmerged; m--;) {
			struct graph_state *s = &g->states.v[g->chosen[m]];
			const struct graph_state *c = &g->states.v[s->classes];

			changed |= widen(g, s, s->dflt);
			for (uint32_t i = 0; i < c->n; i++)
				if (is_taken(g, k, c, i, s->node))
					changed |= widen(g, s, g->moves.v[c->first + i].to);
			for (uint32_t i = 0; s->node && i < s->n; i++)
				changed |= widen(g, s, g->moves.v[s->first + i].to);
		}
	}
}

int graph_merge(struct graph *g, const struct tree *t, const struct names *names,
		const struct dirs *d)
{
	struct takers k = { .names = names, .t = t, .d = d };
	struct weights w = {};
	int err = weigh_names(&w, t, names);

	if (!err)
		err = refine(g, &w);
	free(w.class);
	free(w.wider);
	free(w.literal);
	if (err)
		return err;
	g->chosen = calloc(g->nmerged, sizeof(*g->chosen));
	if (!g->chosen)
		return -ENOMEM;
	/* one without literal names if there is one: others go by way of its row */
	for (uint32_t i = g->states.n; i--;)
		g->chosen[merged_at(g, i)] = i;
	for (uint32_t i = g->states.n; i--;)
		if (!g->states.v[i].node)
			g->chosen[merged_at(g, i)] = i;
	err = find_takers(&k);
	if (!err)
		find_bounds(g, &k);
	vec_free(&k.literals);
	vec_free(&k.first);
	vec_free(&k.members);
	return err;
}

/* ---- rows ------------------------------------------------------------------------- */

struct merged_rows {
	const struct graph *g;
	uint32_t *row; /* by merged state */
};

static uint32_t row_of(const struct merged_rows *m, uint32_t state)
{
	return m->row[merged_at(m->g, state)];
}

static int emit_row(const struct merged_rows *mr, uint32_t merged, struct rows *rows)
{
	const struct graph *g = mr->g;
	const struct graph_state *s = &g->states.v[g->chosen[merged]];
	struct row *r = &rows->rows.v[mr->row[merged]];

	r->edge = rows->edges.n;
	r->dflt = row_of(mr, s->dflt);
	r->bits = (uint32_t)s->perm << EG_DFA_PERM_SHIFT;
	r->head = (uint32_t)s->floor << EG_DFA_FLOOR_SHIFT | (uint32_t)s->ceil << EG_DFA_CEIL_SHIFT;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct graph_move *m = &g->moves.v[s->first + i];
		uint32_t to = row_of(mr, m->to), base = r->dflt;

		if (m->base != GRAPH_DFLT)
			base = row_of(mr, g->moves.v[m->base].to);
		if (to != base && row_edge_add(rows, m->symbol, to))
			return -ENOMEM;
	}
	if (s->node)
		r->classes = row_of(mr, s->classes);
	r->nedges = rows->edges.n - r->edge;
	return 0;
}

int graph_rows(struct graph *g, struct dirs *d, struct rows *rows)
{
	struct merged_rows m = { .g = g };
	int err = 0;

	m.row = calloc(g->nmerged, sizeof(*m.row));
	if (!m.row)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->nmerged && !err; i++) {
		if (!g->states.v[g->chosen[i]].ceil)
			continue; /* the dead row */
		m.row[i] = rows->rows.n;
		err = vec_add(&rows->rows) ? 0 : -ENOMEM;
		d->states++;
	}
	for (uint32_t i = 0; i < g->nmerged && !err; i++)
		if (m.row[i])
			err = emit_row(&m, i, rows);
	for (uint32_t root = ROOT_PATH; root < ROOTS_END && !err; root++)
		d->start[root] = row_of(&m, g->start[root]);
	free(m.row);
	return err;
}

void graph_fini(struct graph *g)
{
	vec_free(&g->states);
	vec_free(&g->moves);
	free(g->chosen);
}
