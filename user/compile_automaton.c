/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The automaton of what compile_paths.c or compile_reuse.c and compile_names.c have left. */
#include "compile_int.h"
#include "policy_int.h"

static int rule_error(struct comp *k, int err, uint32_t rule, const struct automaton_error *e)
{
	const struct rule_ref *r = &k->c->rules[rule - 1];

	return diag_at(k->d, err, r->file, r->line, r->col, "\"%s\": %s%s%s", r->text, e->msg,
		       e->expected[0] ? ": expected " : "", e->expected);
}

static int build(struct comp *k)
{
	struct compiled *c = k->c;
	size_t n = c->npaths + c->ndomain;
	_cleanup_free_ struct automaton_rule *rules = calloc(n + 1, sizeof(*rules));
	uint8_t defaults[AUTOMATON_SPACES] = { (uint8_t)k->p->file_default.v };
	struct automaton_error e = {};
	int err;

	if (!rules)
		return comp_nomem(k);
	memcpy(defaults + AUTOMATON_DOMAIN, c->domain_default, sizeof(c->domain_default));
	for (uint32_t i = 0; i < c->npaths; i++)
		rules[i] = (struct automaton_rule){ .pattern = c->paths[i].pattern,
						    .id = c->paths[i].rule,
						    .perm = c->paths[i].perm,
						    .space = c->paths[i].space };
	if (c->ndomain)
		memcpy(rules + c->npaths, c->domain, c->ndomain * sizeof(*rules));
	err = automaton_compile(rules, n, defaults, &c->automaton, &e);
	if (!err)
		return 0;
	if (err == -ENOMEM || e.rule >= n)
		return diag_set(k->d, err, "%s", e.msg[0] ? e.msg : "out of memory");
	return rule_error(k, err, rules[e.rule].id, &e);
}

/* A policy that lets everything be done everywhere need not be asked. */
static bool nothing_to_judge(const struct compiled *c)
{
	const struct eg_dfa_slot *head = &c->slots[c->head.start_path & EG_DFA_INDEX];

	return ((head->from >> EG_DFA_FLOOR_SHIFT) & EG_PERM_ALL) == EG_PERM_ALL;
}

static void use(struct compiled *c)
{
	const struct automaton_starts *starts;

	c->slots = automaton_image(c->automaton, &c->nslots);
	starts = automaton_starts(c->automaton);
	c->head.start_path = starts->path;
	c->head.start_unix = starts->unix_path;
	c->head.start_abstract = starts->abstract;
	memcpy(c->head.start_domain, starts->domain, sizeof(c->head.start_domain));
	c->head.names = starts->names;
	if (!nothing_to_judge(c))
		c->head.flags |= EG_P_PATHS;
}

int comp_automaton(struct comp *k)
{
	int err = k->c->automaton ? 0 : build(k);

	if (!err)
		use(k->c);
	return err;
}
