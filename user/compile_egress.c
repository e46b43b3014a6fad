/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Destinations: addresses to prefixes; names are compile_names.c. */
#include <netinet/in.h>

#include "compile_int.h"
#include "policy_int.h"
#include "prefixes.h"

struct build {
	struct comp *k;
	struct prefix_rule *v;
	size_t n, cap;
	struct policy_dest *own; /* parsed here: built-ins, loopback */
	size_t nown, own_cap;
};

static const struct policy_ports every_port = { .lo = 0, .hi = 65535 };

static int add_prefix(struct build *b, const struct policy_dest *dest, uint8_t verdict,
		      uint8_t flags, const struct policy_ports *ports, uint32_t nports,
		      uint32_t rule)
{
	struct prefix_rule r = { .plen = dest->plen, .verdict = verdict, .flags = flags,
				 .ports = ports, .nports = nports, .rule = rule };

	if (array_reserve(&b->v, &b->cap, b->n))
		return comp_nomem(b->k);
	memcpy(r.addr, dest->addr, sizeof(r.addr));
	b->v[b->n++] = r;
	return 0;
}

/* An address of our own making, kept until the tables are built. */
static int own_dest(struct build *b, const char *text, struct policy_dest **out)
{
	int err;

	if (array_reserve(&b->own, &b->own_cap, b->nown))
		return comp_nomem(b->k);
	err = policy_dest_parse(text, true, &b->own[b->nown], b->k->d, NULL);
	if (!err)
		*out = &b->own[b->nown++];
	return err;
}

static int add_builtins(struct build *b)
{
	struct policy_dest *dest;
	char text[128];
	uint32_t rule;
	int err = 0;

	for (size_t i = 0; i < prefix_nbuiltins && !err; i++) {
		const struct prefix_builtin *bi = &prefix_builtins[i];

		err = own_dest(b, bi->text, &dest);
		if (err)
			return err;
		if (!bi->hard) {
			uint8_t flag = str_eq(bi->what, "IPv4") ? PREFIX_FAMILY : PREFIX_BARRIER;

			err = add_prefix(b, dest, 0, flag, NULL, 0, 0);
			continue;
		}
		(void)snprintf(text, sizeof(text), "%s (%s)", bi->text, bi->what);
		err = comp_rule(b->k, NULL, RULE_BUILTIN, text, &rule);
		if (!err)
			err = add_prefix(b, dest, EG_V_DENY_HARD, 0, &every_port, 1, rule);
	}
	return err;
}

static int add_name(struct build *b, const struct policy_dest *dest, bool deny, uint32_t rule)
{
	int err = compile_name_add(b->k, dest, deny, rule);

	if (!err && !deny && !*dest->name)
		err = comp_notice(b->k, &dest->at,
				  "\"%s\" opens every name, the attacker's too: what the sandbox "
				  "may read can leave through it", dest->text);
	return err;
}

static int add_list(struct build *b, const struct policy_dests *list, bool deny)
{
	uint32_t rule;
	int err = 0;

	for (size_t i = 0; i < list->n && !err; i++) {
		const struct policy_dest *dest = &list->v[i];

		err = comp_rule(b->k, &dest->at, deny ? RULE_DENY : RULE_ALLOW, dest->text, &rule);
		if (err)
			return err;
		if (dest->name)
			err = add_name(b, dest, deny, rule);
		else
			err = add_prefix(b, dest, deny ? EG_V_DENY : EG_V_ALLOW, 0, dest->ports,
					 dest->nports, rule);
	}
	return err;
}

/* 0.0.0.0 and :: mean the loopback address to connect(). */
static const char *const loopback_nets[] = { "127.0.0.0/8", "[::1]", "0.0.0.0", "[::]" };

static int add_loopback_ports(struct build *b, const struct place *at, const char *text,
			      const struct policy_ports *ports, uint32_t nports)
{
	struct policy_dest *dest;
	uint32_t rule;
	int err;

	err = comp_rule(b->k, at, RULE_LOOPBACK, text, &rule);
	for (size_t i = 0; i < ARRAY_SIZE(loopback_nets) && !err; i++) {
		err = own_dest(b, loopback_nets[i], &dest);
		if (!err)
			err = add_prefix(b, dest, EG_V_ALLOW, 0, ports, nports, rule);
	}
	return err;
}

static int add_loopback(struct build *b)
{
	static const struct policy_ports all[] = { { 0, 65535, IPPROTO_TCP },
						   { 0, 65535, IPPROTO_UDP } };
	const struct policy_loopback *lo = &b->k->p->loopback;
	int err = 0;

	if (!lo->at.file || lo->own)
		b->k->c->head.flags |= EG_P_LOOPBACK_OWN;
	if (lo->host) {
		err = comp_notice(b->k, &lo->host_at,
				  "loopback: host opens every service of this host that listens on "
				  "localhost; its ports can be listed instead");
		if (!err)
			err = add_loopback_ports(b, &lo->host_at, "host", all, ARRAY_SIZE(all));
	}
	for (size_t i = 0; i < lo->ports.n && !err; i++)
		err = add_loopback_ports(b, &lo->ports.v[i].at, lo->ports.v[i].text,
					 lo->ports.v[i].ports, lo->ports.v[i].nports);
	return err;
}

static int too_many(struct comp *k, uint32_t rule)
{
	const struct rule_ref *r = rule ? &k->c->rules[rule - 1] : NULL;

	return diag_at(k->d, -E2BIG, r ? r->file : NULL, r ? r->line : 0, r ? r->col : 0,
		       "\"%s\": too many destinations: at most %u prefixes and %u port ranges, "
		       "after what a wide rule allows is repeated in the narrow ones",
		       r ? r->text : "", EG_MAX_PREFIXES, EG_MAX_PORTS);
}

int compile_egress(struct comp *k)
{
	struct build b = { .k = k };
	struct compiled *c = k->c;
	uint32_t bad = 0;
	int err;

	c->head.flags |= EG_P_EGRESS;
	err = add_builtins(&b);
	if (!err)
		err = add_list(&b, &k->p->allow, false);
	if (!err)
		err = add_list(&b, &k->p->deny, true);
	if (!err)
		err = add_loopback(&b);
	if (!err) {
		err = prefixes_compile(b.v, b.n, &c->prefixes, &c->nprefixes, &c->ports, &c->nports,
				       &bad);
		if (err == -ENOMEM)
			(void)comp_nomem(k);
		else if (err)
			(void)too_many(k, bad);
	}
	for (size_t i = 0; i < b.nown; i++)
		policy_dest_clear(&b.own[i]);
	free(b.own);
	free(b.v);
	return err;
}
