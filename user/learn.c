// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What both halves of learning share: who did it, the lists, their order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "learn_int.h"
#include "util.h"

/* ---- who ---------------------------------------------------------------------------- */

void learn_who_add(struct learn_who *w, uint32_t program)
{
	if (program == TRACE_NO_STRING)
		return;
	for (uint32_t i = 0; i < w->nprograms; i++)
		if (w->programs[i] == program)
			return;
	if (w->nprograms == LEARN_PROGRAMS)
		w->more = true;
	else
		w->programs[w->nprograms++] = program;
}

void learn_who_join(struct learn_who *w, const struct learn_who *other)
{
	for (uint32_t i = 0; i < other->nprograms; i++)
		learn_who_add(w, other->programs[i]);
	w->more |= other->more;
	w->count += other->count;
}

/* The last name of a program's path, or what the task called itself. */
static void add_program(struct text *out, const struct trace_string *s)
{
	const char *slash = memrchr(s->p, '/', s->len);
	const char *name = slash ? slash + 1 : s->p;

	text_add_escaped(out, name, (size_t)(s->p + s->len - name));
}

void learn_who_text(const struct learn_who *w, const struct trace *t, const char *what,
		    struct text *out)
{
	if (w->count)
		text_addf(out, "%u %s%s", w->count, what, w->count == 1 ? "" : "s");
	for (uint32_t i = 0; i < w->nprograms; i++) {
		text_add(out, i ? ", " : w->count ? ", by " : "by ");
		add_program(out, trace_string(t, w->programs[i]));
	}
	text_add(out, w->more ? ", ..." : "");
}

/* ---- lists ---------------------------------------------------------------------------- */

int learn_add_rule(struct learned *l, enum learn_kind kind, uint8_t perm, char *text,
		   char *options, char *why)
{
	int err = !text || !why ? -ENOMEM : l->nrules == LEARN_MAX_RULES ? -E2BIG : 0;

	if (!err)
		err = array_reserve(&l->rules, &l->cap_rules, l->nrules);
	if (!err) {
		l->rules[l->nrules++] = (struct learn_rule){ kind, perm, text, options, why };
		return 0;
	}
	free(text);
	free(options);
	free(why);
	return err;
}

int learn_add_question(struct learned *l, char *rule, char *why)
{
	/* as many as anybody reads; they are sorted and made unique afterwards */
	int err = !why ? -ENOMEM : l->nquestions == 16 * LEARN_MAX_RULES ? -E2BIG : 0;

	if (!err)
		err = array_reserve(&l->questions, &l->cap_questions, l->nquestions);
	if (!err) {
		l->questions[l->nquestions++] = (struct learn_question){ rule, why };
		return 0;
	}
	free(rule);
	free(why);
	return err == -E2BIG ? 0 : err;
}

static void free_rule(struct learn_rule *r)
{
	free(r->text);
	free(r->options);
	free(r->why);
}

void learned_clear(struct learned *l)
{
	for (size_t i = 0; i < l->nrules; i++)
		free_rule(&l->rules[i]);
	for (size_t i = 0; i < l->nquestions; i++) {
		free(l->questions[i].rule);
		free(l->questions[i].why);
	}
	free(l->rules);
	free(l->questions);
	*l = (struct learned){ 0 };
}

/* ---- order ------------------------------------------------------------------------------ */

static int compare_rules(const void *a, const void *b)
{
	const struct learn_rule *x = a, *y = b;
	int d;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	d = strcmp(x->text, y->text);
	if (!d)
		d = strcmp(x->options ? x->options : "", y->options ? y->options : "");
	return d ? d : strcmp(x->why, y->why);
}

static int compare_questions(const void *a, const void *b)
{
	const struct learn_question *x = a, *y = b;
	int d = strcmp(x->rule ? x->rule : "", y->rule ? y->rule : "");

	return d ? d : strcmp(x->why, y->why);
}

static bool same_place(const struct learn_rule *a, const struct learn_rule *b)
{
	const char *x = a->options ? a->options : "", *y = b->options ? b->options : "";

	return a->kind == b->kind && str_eq(a->text, b->text) && str_eq(x, y);
}

/* One rule a name: paths that have the same pattern are what it says together. */
static void unite_rules(struct learned *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nrules; i++) {
		struct learn_rule *r = &l->rules[i], *before = n ? &l->rules[n - 1] : NULL;

		if (before && same_place(before, r)) {
			before->perm |= r->perm;
			free_rule(r);
		} else {
			l->rules[n++] = *r;
		}
	}
	l->nrules = n;
}

static void unite_questions(struct learned *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nquestions; i++) {
		struct learn_question *q = &l->questions[i];

		if (n && !compare_questions(&l->questions[n - 1], q)) {
			free(q->rule);
			free(q->why);
		} else {
			l->questions[n++] = *q;
		}
	}
	l->nquestions = n;
}

void learn_sort(struct learned *l)
{
	if (l->nrules)
		qsort(l->rules, l->nrules, sizeof(*l->rules), compare_rules);
	if (l->nquestions)
		qsort(l->questions, l->nquestions, sizeof(*l->questions), compare_questions);
	unite_rules(l);
	unite_questions(l);
}

int learn_rules(const struct learn_input *in, struct learned *out)
{
	int err;

	*out = (struct learned){ 0 };
	err = learn_network(in, out);
	if (!err)
		err = learn_paths(in, out);
	learn_sort(out);
	return err;
}
