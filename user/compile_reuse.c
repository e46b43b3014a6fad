/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A policy that differs from a compiled one in destinations alone, as with every grant of
 * one: its rules for paths are as they were bound there, no path is looked up again, and
 * where names agree, too, the automaton is the same.
 */
#include "compile_int.h"
#include "policy_int.h"

int compile_reuse_rules(struct comp *k)
{
	const struct compiled *of = k->p->paths_of;
	uint32_t rule;
	int err = 0;

	for (uint32_t i = 0; i < of->npath_rules && !err; i++) {
		const struct rule_ref *r = &of->rules[i];
		struct place at = { .file = r->file, .line = r->line, .col = r->col };

		err = comp_rule(k, r->kind == RULE_BUILTIN ? NULL : &at, r->kind, r->text, &rule);
	}
	k->c->npath_rules = k->c->nrules;
	return err;
}

static int copy_paths(struct comp *k)
{
	const struct compiled *of = k->p->paths_of;
	struct compiled *c = k->c;

	c->paths = calloc(of->npaths + 1, sizeof(*c->paths));
	if (!c->paths)
		return comp_nomem(k);
	for (; c->npaths < of->npaths; c->npaths++) {
		struct compiled_path *p = &c->paths[c->npaths];

		*p = of->paths[c->npaths];
		p->pattern = strdup(p->pattern);
		if (!p->pattern)
			return comp_nomem(k);
	}
	return 0;
}

static bool same_names(const struct compiled *a, const struct compiled *b)
{
	if (a->ndomain != b->ndomain ||
	    memcmp(a->domain_default, b->domain_default, sizeof(a->domain_default)))
		return false;
	for (size_t i = 0; i < a->ndomain; i++) {
		const struct automaton_rule *x = &a->domain[i], *y = &b->domain[i];

		if (x->id != y->id || x->perm != y->perm || x->space != y->space ||
		    !str_eq(x->pattern, y->pattern))
			return false;
	}
	return true;
}

static int copy_anchors(struct comp *k)
{
	const struct compiled *of = k->p->paths_of;
	struct compiled *c = k->c;

	c->anchors = calloc(of->nanchors + 1, sizeof(*c->anchors));
	if (!c->anchors)
		return comp_nomem(k);
	for (; c->nanchors < of->nanchors; c->nanchors++) {
		struct compiled_anchor *a = &c->anchors[c->nanchors];

		*a = of->anchors[c->nanchors];
		a->path = strdup(a->path);
		if (!a->path)
			return comp_nomem(k);
		a->state = automaton_state(c->slots, automaton_starts(c->automaton),
					   AUTOMATON_PATHS, a->path, strlen(a->path));
	}
	return 0;
}

int compile_reuse_paths(struct comp *k)
{
	const struct compiled *of = k->p->paths_of;
	int err = copy_paths(k);

	if (!err && same_names(k->c, of))
		k->c->automaton = automaton_ref(of->automaton);
	if (!err)
		err = comp_automaton(k);
	return err ? err : copy_anchors(k);
}
