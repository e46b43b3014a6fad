// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules about files: from accesses by way of the tree. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "learn_tree.h"
#include "util.h"
#include "verdict.h"

#define ROUNDS 8u /* of moves that must not gain: each adds to some name, or it is over */

struct folder {
	const struct learn_input *in;
	struct learn_tree tree;
	struct learned *out;
	struct text path, text;
	/* moves: the object must not gain by its new name */
	struct move {
		struct learn_node *from, *to;
		bool dir;
	} *moves;
	size_t nmoves, cap_moves;
};

/* ---- what an access needs -------------------------------------------------------------- */

static uint8_t perm_of(const struct compiled *c, const char *path, size_t len)
{
	uint8_t perm = 0;
	uint32_t rule;

	(void)verdict_path(c, path, len, &perm, &rule); /* no path: nothing */
	return perm;
}

static bool is_path_op(const struct trace_access *a)
{
	return a->op >= EG_OP_OPEN && a->op <= EG_OP_CHROOT;
}

/* Refusals that a rule for the path can lift. */
static bool rule_lifts(const struct trace_access *a)
{
	return a->reason == EG_WHY_RULE || a->reason == EG_WHY_GAIN;
}

static void who_text(struct folder *f, const struct learn_who *w, struct text *out)
{
	learn_who_text(w, f->in->trace, "path", out);
}

/* What the path would need is a secret's: say so, once a path. */
static int ask(struct folder *f, const struct trace_string *path, uint8_t want,
	       const struct trace_access *a, const char *why)
{
	struct learn_who w = { 0 };
	struct text rule = { 0 };
	char perm[5];

	text_reset(&f->text);
	learn_path_text(f->in, path->p, path->len, false, &f->text);
	(void)text_add_json(&rule, f->text.p, f->text.len);
	text_addf(&rule, ": %s", policy_perm_text(want, perm));
	text_reset(&f->text);
	text_add(&f->text, why);
	learn_who_add(&w, a->program);
	text_add(&f->text, "; ");
	who_text(f, &w, &f->text);
	if (rule.failed || f->text.failed) {
		text_free(&rule);
		return -ENOMEM;
	}
	return learn_add_question(f->out, rule.p, strdup(f->text.p));
}

static void note_need(struct learn_node *n, uint8_t bits, uint32_t program)
{
	n->need |= bits;
	for (enum learn_group g = 0; g < GROUPS; g++) {
		if (!(bits & learn_group_bits(g)))
			continue;
		n->who[g].count = 1; /* paths, not accesses */
		learn_who_add(&n->who[g], program);
	}
}

/* The path needs `bits`. *at is its node, or NULL when it is a question. */
static int need(struct folder *f, const struct trace_access *a, uint32_t string, uint8_t bits,
		struct learn_node **at)
{
	const struct trace_string *path = trace_string(f->in->trace, string);
	uint8_t open;

	*at = NULL;
	if (!learn_path_normal(path->p, path->len))
		return 0;
	open = perm_of(f->in->secrets, path->p, path->len);
	if (bits & ~open)
		return ask(f, path, bits & ~open, a, "looks like a secret");
	*at = learn_tree_put(&f->tree, path->p, path->len);
	if (!*at)
		return -ENOMEM;
	bits &= ~perm_of(f->in->base, path->p, path->len);
	note_need(*at, bits, a->program);
	return 0;
}

static int need_move(struct folder *f, const struct trace_access *a)
{
	struct learn_node *from, *to;
	int err;

	err = need(f, a, a->path, a->op == EG_OP_RENAME ? EG_C : 0, &from);
	if (!err)
		err = need(f, a, a->path2, EG_C, &to);
	if (err || !from || !to)
		return err;
	if (a->dir)
		to->made = true;
	if (array_reserve(&f->moves, &f->cap_moves, f->nmoves))
		return -ENOMEM;
	f->moves[f->nmoves++] = (struct move){ from, to, a->dir };
	return 0;
}

static int add_access(struct folder *f, const struct trace_access *a)
{
	struct learn_node *n;
	int err;

	if (a->path2 != TRACE_NO_STRING)
		return need_move(f, a);
	err = need(f, a, a->path, a->want, &n);
	if (err || !n)
		return err;
	if (a->op == EG_OP_MKDIR)
		n->made = true;
	if (a->op == EG_OP_OPEN && a->dir)
		n->listed = true;
	return 0;
}

static int refuse_access(struct folder *f, const struct trace_access *a)
{
	const struct trace_string *path = trace_string(f->in->trace, a->path);
	struct learn_who w = { 0 };

	if (a->reason == EG_WHY_ANCHOR)
		return ask(f, path, a->want, a, "another name of something that a rule closes");
	text_reset(&f->text);
	text_addf(&f->text, "%s of ", event_op_name(a->op));
	text_add_escaped(&f->text, path->p, path->len);
	text_addf(&f->text, ": %s; ", event_reason_words(a->reason));
	learn_who_add(&w, a->program);
	who_text(f, &w, &f->text);
	return f->text.failed ? -ENOMEM :
				learn_add_question(f->out, NULL, strdup(f->text.p));
}

/* ---- moves --------------------------------------------------------------------------------- */

/* What the rules so far give at a node, beside the base. */
static uint8_t learned_at(const struct learn_node *n)
{
	uint8_t perm = 0;

	for (; n; n = n->parent)
		if (!n->only_names)
			perm |= n->perm;
	return perm;
}

/* What came to a name by a move must have had at its old name all it has now. */
static bool level_moves(struct folder *f)
{
	bool changed = false;

	for (size_t i = 0; i < f->nmoves; i++) {
		struct move *m = &f->moves[i];
		uint8_t from = learned_at(m->from), to = learned_at(m->to);

		learn_node_path(m->from, &f->path);
		from |= f->path.failed ? 0 : perm_of(f->in->base, f->path.p, f->path.len);
		learn_node_path(m->to, &f->path);
		to |= f->path.failed ? 0 : perm_of(f->in->base, f->path.p, f->path.len);
		if (to & ~from) {
			note_need(m->from, to & ~from, TRACE_NO_STRING);
			changed = true;
		}
		/* a directory keeps its kind: what may be in it is the same at both names */
		if (m->dir && (from & ~to)) {
			note_need(m->to, from & ~to, TRACE_NO_STRING);
			changed = true;
		}
	}
	return changed;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* The least that a name of its own in `dir` has by the base. */
static uint8_t perm_in(struct folder *f, const char *dir, size_t len)
{
	text_reset(&f->text);
	text_add_bytes(&f->text, dir, len);
	text_add(&f->text, len > 1 ? "/" : "");
	text_add(&f->text, "\x01");
	return f->text.failed ? 0 : perm_of(f->in->base, f->text.p, f->text.len);
}

static int add_rule(struct folder *f, const char *text, uint8_t perm, struct learn_who *who,
		    const char *before)
{
	struct text why = { 0 };

	text_add(&why, before);
	who_text(f, who, &why);
	if (why.failed) {
		text_free(&why);
		return -ENOMEM;
	}
	return learn_add_rule(f->out, LEARN_FILE, perm, strdup(text), NULL, why.p);
}

/* A directory that holds everybody's things, of which only the names were asked for. */
static int rule_names(struct folder *f, const struct learn_node *n, uint8_t perm)
{
	uint8_t inside = perm_in(f, f->path.p, f->path.len);
	struct text t = { 0 };
	struct learn_who none = { 0 };
	struct learn_who who = n->who[GROUP_READ];
	int err;

	learn_path_text(f->in, f->path.p, f->path.len, false, &t);
	err = t.failed ? -ENOMEM : add_rule(f, t.p, perm, &who, "its names; ");
	if (!err) {
		text_add(&t, str_eq(t.p, "/") ? "*" : "/*");
		err = t.failed ? -ENOMEM :
				 add_rule(f, t.p, inside, &none, "but not what is in it");
	}
	text_free(&t);
	return err;
}

static int rule_at(struct folder *f, struct learn_node *n)
{
	struct learn_who who = { 0 };
	uint8_t perm, above;
	struct text t = { 0 };
	bool random;
	int err;

	learn_node_path(n, &f->path);
	if (f->path.failed)
		return -ENOMEM;
	above = n->parent ? learned_at(n->parent) : 0;
	perm = n->perm | above | perm_of(f->in->base, f->path.p, f->path.len);
	if (n->only_names && !(above & EG_R))
		return rule_names(f, n, perm);
	if (!(n->perm & ~above))
		return 0;
	for (enum learn_group g = 0; g < GROUPS; g++)
		if (n->fold >> g & 1)
			learn_who_join(&who, n->taken >> g & 1 ? &n->all_who[g] : &n->who[g]);
	random = learn_name_random(n->name, n->len);
	if (random && !learn_name_telling(n->name, n->len)) {
		/* a pattern of nothing but '*' would be everybody's */
		text_free(&t);
		learn_path_text(f->in, f->path.p, f->path.len, false, &t);
		random = false;
	} else {
		learn_path_text(f->in, f->path.p, f->path.len, random, &t);
	}
	err = t.failed ? -ENOMEM : add_rule(f, t.p, perm, &who, "");
	text_free(&t);
	return err;
}

static int compare_strings(const struct trace *t, uint32_t a, uint32_t b)
{
	const struct trace_string *x = trace_string(t, a), *y = trace_string(t, b);
	int d = memcmp(x->p, y->p, MIN(x->len, y->len));

	return d ? d : (x->len > y->len) - (x->len < y->len);
}

/* Whatever order the records came in, the rules are the same. */
static int compare_accesses(const void *a, const void *b, void *trace)
{
	const struct trace_access *x = *(const struct trace_access *const *)a;
	const struct trace_access *y = *(const struct trace_access *const *)b;
	int d = compare_strings(trace, x->path, y->path);

	if (!d)
		d = compare_strings(trace, x->path2, y->path2);
	if (!d)
		d = compare_strings(trace, x->program, y->program);
	if (!d)
		d = (x->op > y->op) - (x->op < y->op);
	if (!d)
		d = (x->want > y->want) - (x->want < y->want);
	return d ? d : (x->reason > y->reason) - (x->reason < y->reason);
}

/* The refused ones among them that are about paths, in order; malloc()ed. */
static const struct trace_access **sorted_accesses(const struct trace *t, size_t *n)
{
	const struct trace_access **list = calloc(t->naccesses + 1, sizeof(*list));

	*n = 0;
	for (size_t i = 0; list && i < t->naccesses; i++)
		if (is_path_op(&t->accesses[i]) &&
		    t->accesses[i].verdict != EG_VERDICT_ALLOWED)
			list[(*n)++] = &t->accesses[i];
	if (list)
		qsort_r(list, *n, sizeof(*list), compare_accesses, (void *)t);
	return list;
}

static int fold(struct folder *f)
{
	_cleanup_free_ const struct trace_access **list = NULL;
	size_t n;
	int err = 0;

	list = sorted_accesses(f->in->trace, &n);
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; !err && i < n; i++)
		err = rule_lifts(list[i]) ? add_access(f, list[i]) : refuse_access(f, list[i]);
	if (!err)
		err = learn_tree_fold(&f->tree, f->in);
	for (unsigned int i = 0; !err && i < ROUNDS && level_moves(f); i++)
		err = learn_tree_fold(&f->tree, f->in);
	for (struct learn_node *n = f->tree.root; !err && n; n = learn_node_next(n))
		if (n->fold)
			err = rule_at(f, n);
	return err;
}

int learn_paths(const struct learn_input *in, struct learned *out)
{
	struct folder f = { .in = in, .out = out };
	int err = learn_tree_init(&f.tree);

	if (!err)
		err = fold(&f);
	learn_tree_clear(&f.tree);
	free(f.moves);
	text_free(&f.path);
	text_free(&f.text);
	return err;
}

int learn_missing(const struct learn_input *in, const struct compiled *c, struct learned *l)
{
	struct folder f = { .in = in, .out = l };
	int found = 0, err = 0;

	for (size_t i = 0; !err && i < in->trace->naccesses; i++) {
		const struct trace_access *a = &in->trace->accesses[i];
		uint32_t names[] = { a->path, a->path2 };

		if (!is_path_op(a) || a->verdict == EG_VERDICT_ALLOWED || !rule_lifts(a))
			continue;
		for (size_t k = 0; !err && k < ARRAY_SIZE(names); k++) {
			const struct trace_string *p = trace_string(in->trace, names[k]);
			struct learn_who who = { .count = 1 };
			uint8_t bits = a->path2 == TRACE_NO_STRING ? a->want : EG_C, perm;

			if (!learn_path_normal(p->p, p->len) || (!k && a->op == EG_OP_LINK))
				continue;
			perm = perm_of(c, p->p, p->len);
			if (!(bits & ~perm) || (bits & ~perm_of(in->secrets, p->p, p->len)))
				continue;
			learn_who_add(&who, a->program);
			text_free(&f.path);
			learn_path_text(in, p->p, p->len, false, &f.path);
			err = f.path.failed ? -ENOMEM :
					      add_rule(&f, f.path.p, perm | bits, &who, "");
			found++;
		}
	}
	text_free(&f.path);
	text_free(&f.text);
	return err ? err : found;
}
