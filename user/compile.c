/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "automaton.h"
#include "compile_int.h"

int comp_nomem(struct comp *k)
{
	return diag_set(k->d, -ENOMEM, "out of memory");
}

int comp_rule(struct comp *k, const struct place *at, enum rule_kind kind, const char *text,
	      uint32_t *rule)
{
	struct compiled *c = k->c;
	struct rule_ref *r;

	if (array_reserve(&c->rules, &k->rules_cap, c->nrules))
		return comp_nomem(k);
	r = &c->rules[c->nrules];
	r->file = strdup(at && at->file ? at->file : "builtin");
	r->line = at ? at->line : 0;
	r->col = at ? at->col : 0;
	r->text = strdup(text);
	r->kind = (uint8_t)kind;
	c->nrules++;
	*rule = c->nrules;
	return r->file && r->text ? 0 : comp_nomem(k);
}

int comp_notice(struct comp *k, const struct place *at, const char *fmt, ...)
{
	struct compiled *c = k->c;
	struct diag note = {};
	char text[sizeof(note.file) + sizeof(note.msg) + 32];
	va_list ap;

	if (array_reserve(&c->notices, &k->notices_cap, c->nnotices))
		return comp_nomem(k);
	va_start(ap, fmt);
	(void)diag_vat(&note, 1, at->file, at->line, at->col, fmt, ap);
	va_end(ap);
	c->notices[c->nnotices] = strdup(diag_text(&note, text, sizeof(text)));
	if (!c->notices[c->nnotices])
		return comp_nomem(k);
	c->nnotices++;
	return 0;
}

/* ---- what the launcher needs ---------------------------------------------------------- */

static void strv_free(char **v)
{
	for (char **s = v; s && *s; s++)
		free(*s);
	free(v);
}

static int strv_copy(struct comp *k, const struct policy_strs *list, char ***out)
{
	char **v = calloc(list->n + 1, sizeof(*v));

	if (!v)
		return comp_nomem(k);
	*out = v;
	for (size_t i = 0; i < list->n; i++) {
		v[i] = strdup(list->v[i].text);
		if (!v[i])
			return comp_nomem(k);
	}
	return 0;
}

static int compile_runtime(struct comp *k)
{
	const struct policy *p = k->p;
	struct policy_runtime *run = &k->c->run;
	int err;

	run->policy = strdup(p->name);
	run->file = strdup(p->path);
	run->description = p->description ? strdup(p->description) : NULL;
	if (!run->policy || !run->file || (p->description && !run->description))
		return comp_nomem(k);
	run->audit = p->audit.v;
	run->freeze = p->freeze.v;
	run->memory = p->memory.v;
	run->pids = p->pids.v;
	run->cpu = p->cpu.v;
	run->time_ms = p->time.v;
	err = strv_copy(k, &p->env_keep, &run->env_keep);
	if (!err)
		err = strv_copy(k, &p->env_set, &run->env_set);
	if (!err && p->env_only_at.file)
		err = strv_copy(k, &p->env_only, &run->env_only);
	return err;
}

static void compile_head(struct comp *k)
{
	const struct policy *p = k->p;
	struct eg_policy *head = &k->c->head;

	if (p->audit.v)
		head->flags |= EG_P_AUDIT;
	if (p->strict.v)
		head->flags |= EG_P_STRICT;
	head->privileges = p->privileges;
	head->sockets = p->sockets;
	head->netlink = p->netlink | 1u; /* NETLINK_ROUTE: getaddrinfo() asks it */
	head->listen_default = p->listen_default.at.file ? (uint32_t)p->listen_default.v :
							   EG_LISTEN_OWN;
	for (size_t i = 0; i < p->listen.n; i++)
		head->listen[head->nlisten++] = (struct eg_listen){ .lo = p->listen.v[i].lo,
								    .hi = p->listen.v[i].hi,
								    .mode = p->listen.v[i].mode };
}

/* Keys that who holds the policy otherwise than by the programs has to speak of. */
static int compile_keys(struct comp *k)
{
	const struct policy *p = k->p;
	int err = 0;

	if (p->full.at.file)
		err = comp_rule(k, &p->full.at, RULE_KEY, "require: full", &k->c->require_rule);
	if (!err && p->landlock && p->strict.v)
		err = comp_rule(k, &p->strict.at, RULE_KEY, "exec: strict", &k->c->strict_rule);
	return err;
}

/* ---- all of it ------------------------------------------------------------------------- */

int policy_compile(const struct policy *p, const struct policy_vars *v, struct compiled **out,
		   struct diag *d)
{
	struct comp k = { .p = p, .v = v, .d = d };
	int err;

	k.c = calloc(1, sizeof(*k.c));
	if (!k.c)
		return comp_nomem(&k);
	compile_head(&k);
	k.c->landlock = p->landlock;
	err = compile_runtime(&k);
	if (!err)
		err = p->paths_of ? compile_reuse_rules(&k) : compile_bind_paths(&k);
	if (!err)
		err = compile_egress(&k);
	if (!err)
		err = compile_names(&k);
	if (!err)
		err = p->paths_of ? compile_reuse_paths(&k) : compile_paths(&k);
	if (!err)
		err = compile_keys(&k);
	compile_paths_end(&k);
	if (err) {
		compiled_free(k.c);
		return err;
	}
	*out = k.c;
	return 0;
}

void compiled_free(struct compiled *c)
{
	if (!c)
		return;
	if (c->rooted && c->root >= 0)
		close(c->root);
	automaton_free(c->automaton);
	free(c->prefixes);
	free(c->ports);
	for (uint32_t i = 0; i < c->nanchors; i++)
		free(c->anchors[i].path);
	free(c->anchors);
	for (uint32_t i = 0; i < c->npaths; i++)
		free(c->paths[i].pattern);
	free(c->paths);
	free(c->domain);
	free(c->domain_text);
	for (uint32_t i = 0; i < c->nnames; i++) {
		free(c->names[i].name);
		free(c->names[i].services);
	}
	free(c->names);
	for (uint32_t i = 0; i < c->nrules; i++) {
		free(c->rules[i].file);
		free(c->rules[i].text);
	}
	free(c->rules);
	for (uint32_t i = 0; i < c->nnotices; i++)
		free(c->notices[i]);
	free(c->notices);
	free(c->run.policy);
	free(c->run.file);
	free(c->run.description);
	strv_free(c->run.env_keep);
	strv_free(c->run.env_set);
	strv_free(c->run.env_only);
	free(c);
}
