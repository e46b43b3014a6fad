/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The names' automaton: the bytes of one name -> which labels it matches.
 *
 * Literal labels form a trie. Labels with wildcards are sets of positions
 * (automaton_sets.c); a trie node is reached by its bytes alone, so it has exactly
 * one such set. A row is therefore: the trie's children, and for all other bytes
 * the row of the set.
 */
#include "automaton_names.h"

struct literal {
	const uint8_t *bytes;
	uint32_t len;
	uint32_t label;
};

struct build {
	struct tree *t;
	struct rows *rows;
	const vec32 *global;
	struct names *out;
	struct automaton_error *err;
	struct sets s;
	vec32 todo; /* sets that have a row to be filled */
	vec32 tmp;
	VEC(struct literal) lits;
	vec32 kids; /* stack of (byte, row) */
};

/* ---- classes and rows ------------------------------------------------------------- */

static int too_many_classes(struct build *b)
{
	return error_set(b->err, -E2BIG, 0, "fewer different patterns for names",
			 "patterns tell more than %u kinds of names apart (AUTOMATON_MAX_CLASSES)",
			 AUTOMATON_MAX_CLASSES);
}

/* The class of names that end in this set, and with the group of a literal label. */
static int class_of(struct build *b, uint32_t id, uint32_t group, uint32_t *class)
{
	const uint32_t *nodes;
	uint32_t n;

	b->tmp.n = 0;
	nodes = intern_get(&b->s.ids, id, &n);
	for (uint32_t i = 0; i < n; i++)
		if (b->s.g.v[nodes[i]].group < GROUP_ALL &&
		    vec32_push(&b->tmp, b->s.g.v[nodes[i]].group))
			return -ENOMEM;
	if (group < GROUP_ALL && vec32_push(&b->tmp, group))
		return -ENOMEM;
	vec32_sort_unique(&b->tmp);
	if (intern_put(&b->out->classes, b->tmp.v, b->tmp.n, class))
		return -ENOMEM;
	if (*class > AUTOMATON_MAX_CLASSES)
		return too_many_classes(b);
	while (b->out->open.n < b->out->classes.n)
		if (vec32_push(&b->out->open, 0))
			return -ENOMEM;
	return 0;
}

/* The row of a set alone: made now, filled by fill_rows(). */
static int set_row(struct build *b, uint32_t id, uint32_t *row)
{
	struct row *r;
	int err;

	if (b->s.set.v[id].row) {
		*row = b->s.set.v[id].row - 1;
		return 0;
	}
	if (set_is_empty(&b->s, id)) {
		*row = 0; /* nothing can match any more: the dead row stays where it is */
		return 0;
	}
	err = class_of(b, id, GROUP_NONE, &b->s.set.v[id].class);
	if (err)
		return err;
	r = vec_add(&b->rows->rows);
	if (!r)
		return -ENOMEM;
	r->name = true;
	r->head = b->s.set.v[id].class << EG_DFA_CLASS_SHIFT;
	*row = b->rows->rows.n - 1;
	b->s.set.v[id].row = *row + 1;
	return vec32_push(&b->todo, id);
}

/* The bytes on which a child, a set or its default set does something of its own, in order. */
struct cases {
	const struct build *b;
	const uint32_t *kids;
	uint32_t nkids, id, dflt;
	uint32_t i, j, k;
	/* the present one */
	uint32_t byte;
	uint32_t kid; /* row + 1; 0: no child */
	uint32_t set; /* where the set goes */
	uint32_t same; /* where the default set goes */
};

static uint32_t case_byte(const struct build *b, const struct set_row *s, uint32_t i)
{
	return i < s->n ? b->s.next.v[s->first + 2 * i] : 256;
}

static bool next_case(struct cases *c)
{
	const struct build *b = c->b;
	const struct set_row *s = &b->s.set.v[c->id], *d = &b->s.set.v[c->dflt];
	uint32_t kid = c->k < c->nkids ? c->kids[2 * c->k] : 256;
	uint32_t own = case_byte(b, s, c->i), other = case_byte(b, d, c->j);

	c->byte = MIN(kid, MIN(own, other));
	if (c->byte == 256)
		return false;
	c->kid = kid == c->byte ? c->kids[2 * c->k++ + 1] + 1 : 0;
	c->set = own == c->byte ? b->s.next.v[s->first + 2 * c->i++ + 1] : s->dflt;
	c->same = other == c->byte ? b->s.next.v[d->first + 2 * c->j++ + 1] : d->dflt;
	return true;
}

/* A row without any default that matters: no byte is ever a miss. */
static int fill_dense(struct build *b, uint32_t id)
{
	uint32_t to;
	int err = 0;

	for (uint32_t byte = 0; byte < 256 && !err; byte++) {
		err = set_row(b, set_on(&b->s, id, (uint8_t)byte), &to);
		if (!err)
			err = row_edge_add(b->rows, byte, to);
	}
	return err;
}

static int fill_edges(struct build *b, struct cases *c, bool via)
{
	uint32_t to;
	int err = 0;

	while (!err && next_case(c)) {
		if (c->kid) {
			err = row_edge_add(b->rows, c->byte, c->kid - 1);
		} else if (c->set != (via ? c->same : c->dflt)) {
			err = set_row(b, c->set, &to);
			if (!err)
				err = row_edge_add(b->rows, c->byte, to);
		}
	}
	return err;
}

/* Edges of a set's row with a default of its own, and by way of the row of its default set. */
static void count_edges(const struct build *b, uint32_t id, uint32_t *own, uint32_t *other)
{
	struct cases c = { .b = b, .id = id, .dflt = b->s.set.v[id].dflt };

	*own = *other = 0;
	while (next_case(&c)) {
		*own += c.set != c.dflt;
		*other += c.set != c.same;
	}
}

/*
 * The row of a set: its own default, or, when that saves much, by way of the row
 * of its default set. A miss then costs a second look-up.
 */
#define SET_SAVES 8u
static int set_is_via(struct build *b, uint32_t id, bool *via)
{
	uint32_t own, other, dflt;
	int err = set_expand(&b->s, id);

	dflt = b->s.set.v[id].dflt;
	if (!err)
		err = set_expand(&b->s, dflt);
	if (err)
		return err;
	count_edges(b, id, &own, &other);
	/* rows that go by way of others cannot be gone by way of */
	*via = id != dflt && b->s.set.v[dflt].dflt == dflt && other + SET_SAVES < own;
	return 0;
}

/* Where names that leave the trie here come to. */
static void mark_reached(struct build *b, struct cases c)
{
	uint32_t special = 0;

	for (; next_case(&c); special++)
		if (!c.kid)
			b->s.set.v[c.set].reached = true;
	if (special < 256)
		b->s.set.v[c.dflt].reached = true;
}

/* Classes of names that no rule spells out: those of all sets that can be reached. */
static int find_open(struct build *b)
{
	for (uint32_t id = 0; id < b->s.set.n; id++)
		if (b->s.set.v[id].reached && vec32_push(&b->todo, id))
			return -ENOMEM;
	while (b->todo.n) {
		const struct set_row *s = &b->s.set.v[b->todo.v[--b->todo.n]];

		if (s->row)
			b->out->open.v[s->class] = 1;
		for (uint32_t i = 0; i <= s->n && s->done; i++) {
			uint32_t to = i < s->n ? b->s.next.v[s->first + 2 * i + 1] : s->dflt;

			if (b->s.set.v[to].reached)
				continue;
			b->s.set.v[to].reached = true;
			if (vec32_push(&b->todo, to))
				return -ENOMEM;
		}
	}
	return 0;
}

/*
 * Fill a row: `nkids` children (byte, row) sorted by byte, else what set `id`
 * does. Rows with children are many, and all they add to their set's row is
 * those: they go by way of it, unless `flat`.
 */
static int fill_row(struct build *b, uint32_t row, uint32_t id, const uint32_t *kids,
		    uint32_t nkids, bool trie, bool flat)
{
	struct cases c = { .b = b, .kids = kids, .nkids = nkids, .id = id };
	uint32_t first = b->rows->edges.n, to, target, own, other;
	bool via;
	int err = set_is_via(b, id, &via);

	if (err)
		return err;
	c.dflt = target = b->s.set.v[id].dflt;
	count_edges(b, id, &own, &other);
	if (trie) /* sets alone are looked through by find_open() */
		mark_reached(b, c);
	if (nkids && !via && own && !flat) {
		for (uint32_t k = 0; k < nkids && !err; k++)
			err = row_edge_add(b->rows, kids[2 * k], kids[2 * k + 1]);
		target = id;
		via = true;
	} else if (id == c.dflt && !trie && id == b->s.set.v[0].dflt) {
		/* the commonest byte of all: in a name that begins like nothing known */
		err = fill_dense(b, id);
	} else {
		err = fill_edges(b, &c, via);
	}
	if (!err)
		err = set_row(b, target, &to);
	if (err)
		return err;
	b->rows->rows.v[row].edge = first;
	b->rows->rows.v[row].nedges = b->rows->edges.n - first;
	b->rows->rows.v[row].dflt = to;
	b->rows->rows.v[row].via = via;
	return 0;
}

/* The trie over lits[lo .. hi), which agree in `depth` bytes; the set after those. */
static int trie_row(struct build *b, uint32_t lo, uint32_t hi, uint32_t depth, uint32_t set,
		    uint32_t *row)
{
	uint32_t class = 0, exact = 0, base = b->kids.n, kid, next;
	struct row *r;
	int err;

	if (lo < hi && b->lits.v[lo].len == depth) {
		struct label *l = &b->t->label.v[b->lits.v[lo].label];

		exact = l->exact;
		err = class_of(b, set, l->group, &class);
		if (err)
			return err;
		l->class = class;
		lo++;
	} else {
		err = class_of(b, set, GROUP_NONE, &class);
		if (err)
			return err;
	}
	err = set_expand(&b->s, set);
	while (!err && lo < hi) {
		uint8_t byte = b->lits.v[lo].bytes[depth];
		uint32_t end = lo;

		while (end < hi && b->lits.v[end].bytes[depth] == byte)
			end++;
		next = set_on(&b->s, set, byte);
		err = trie_row(b, lo, end, depth + 1, next, &kid);
		if (!err && (vec32_push(&b->kids, byte) || vec32_push(&b->kids, kid)))
			err = -ENOMEM;
		lo = end;
	}
	if (err)
		return err;
	if (!exact && depth)
		b->out->open.v[class] = 1;
	r = vec_add(&b->rows->rows);
	if (!r)
		return -ENOMEM;
	r->name = true;
	r->head = exact | class << EG_DFA_CLASS_SHIFT;
	*row = b->rows->rows.n - 1;
	err = fill_row(b, *row, set, b->kids.v ? b->kids.v + base : NULL, (b->kids.n - base) / 2,
		       true, !depth);
	b->kids.n = base;
	return err;
}

static int compare_literals(const void *a, const void *b)
{
	const struct literal *x = a, *y = b;
	int c = memcmp(x->bytes, y->bytes, MIN(x->len, y->len));

	return c ? c : x->len < y->len ? -1 : x->len > y->len;
}

static int collect_literals(struct build *b)
{
	const struct tree *t = b->t;
	const uint8_t *bytes;
	uint32_t len;

	for (uint32_t i = 0; i < t->label.n; i++) {
		struct literal *l;

		if (!label_is_literal(t, i, &bytes, &len))
			continue;
		l = vec_add(&b->lits);
		if (!l)
			return -ENOMEM;
		*l = (struct literal){ bytes, len, i };
	}
	if (b->lits.n)
		qsort(b->lits.v, b->lits.n, sizeof(*b->lits.v), compare_literals);
	return 0;
}

/* wider: by class, the class of its global groups, which may be a class only for this. */
static int find_wider(struct build *b)
{
	struct names *out = b->out;
	uint32_t n, wider;

	for (uint32_t c = 0; c < out->classes.n; c++) {
		const uint32_t *groups = intern_get(&out->classes, c, &n);

		b->tmp.n = 0;
		for (uint32_t i = 0; i < n; i++)
			if (b->global->v[groups[i]] && vec32_push(&b->tmp, groups[i]))
				return -ENOMEM;
		if (intern_put(&out->classes, b->tmp.v, b->tmp.n, &wider) ||
		    vec32_push(&out->wider, wider))
			return -ENOMEM;
		while (out->open.n < out->classes.n)
			if (vec32_push(&out->open, 0))
				return -ENOMEM;
	}
	return 0;
}

/* Symbols of directory rows: classes from 1, then the literal names. */
static int number_symbols(struct build *b)
{
	uint32_t nclasses;

	if (find_wider(b))
		return -ENOMEM;
	nclasses = b->out->classes.n;
	if (nclasses > AUTOMATON_MAX_CLASSES)
		return too_many_classes(b);
	b->rows->nsymbols = nclasses + b->t->nexact;
	if (b->rows->nsymbols > EG_DFA_SYM_MASK)
		return error_set(b->err, -E2BIG, 0, "fewer literal names",
				 "rules have more than %u different names (EG_DFA_SYM_MASK)",
				 EG_DFA_SYM_MASK);
	for (uint32_t i = 1; i < b->rows->rows.n; i++) {
		struct row *r = &b->rows->rows.v[i];
		uint32_t class = r->head >> EG_DFA_CLASS_SHIFT;

		if (r->head & EG_DFA_SYM_MASK)
			r->head += nclasses - 1;
		if (b->out->wider.v[class] != class)
			r->wider = b->out->wider.v[class];
	}
	return 0;
}

int names_build(struct tree *t, const vec32 *global, struct rows *rows, struct names *out,
		struct automaton_error *err)
{
	struct build b = { .t = t,
			   .global = global,
			   .rows = rows,
			   .out = out,
			   .err = err,
			   .s = { .t = t, .err = err } };
	uint32_t class, empty = 0;
	int ret;

	/* class 0: nothing matches */
	ret = intern_put(&out->classes, &empty, 0, &class);
	if (!ret)
		ret = vec32_push(&out->open, 1);
	if (!ret)
		ret = sets_init(&b.s);
	if (!ret)
		ret = collect_literals(&b);
	if (!ret)
		ret = trie_row(&b, 0, b.lits.n, 0, 0, &out->start);
	while (!ret && b.todo.n) {
		uint32_t id = b.todo.v[--b.todo.n];

		ret = fill_row(&b, b.s.set.v[id].row - 1, id, NULL, 0, false, false);
	}
	if (!ret)
		ret = find_open(&b);
	if (!ret)
		ret = number_symbols(&b);
	out->states = rows->rows.n - 1;
	out->work = b.s.work;
	sets_fini(&b.s);
	vec_free(&b.todo);
	vec_free(&b.tmp);
	vec_free(&b.lits);
	vec_free(&b.kids);
	return ret;
}

void names_fini(struct names *n)
{
	intern_fini(&n->classes);
	vec_free(&n->wider);
	vec_free(&n->open);
}
