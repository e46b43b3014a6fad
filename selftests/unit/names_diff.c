/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules about names against the obvious way, on random rules and names:
 * names_diff [SEED [QUESTIONS]]
 *
 * The obvious way goes through the rules and compares text. The compiled policy
 * is asked as it is, and its image at another place as the kernel would see it.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "automaton.h"
#include "compile.h"
#include "gen_rules.h"
#include "verdict.h"

#include "../../bpf/dfa.h"

#define QUESTIONS_PER_SET 200
#define DEFAULT_QUESTIONS 400000ul
#define MAX_RULES 24
#define NAME_SIZE 64

#define PICK(g, list) (list)[gen_below((g), ARRAY_SIZE(list))]

struct rule {
	char name[NAME_SIZE]; /* "": every name */
	bool self, below, deny, off, private;
	struct {
		uint16_t lo, hi;
	} range[2];
	uint32_t nranges;
};

struct set {
	struct rule rules[MAX_RULES];
	uint32_t n;
	char text[8192];
};

/* few, so that they meet; some begin or end like others */
static const char *const labels[] = { "a", "b", "ab", "ba", "a-b", "x", "xn--p1ai",
				     "_s", "0", "com" };
static const uint16_t ports[] = { 1, 22, 79, 80, 81, 442, 443, 444, 8000, 8080, 9000, 65535 };

static void make_name(struct gen *g, char *out, uint32_t depth)
{
	size_t n = 0;

	for (uint32_t i = 0; i < depth; i++)
		n += (size_t)sprintf(out + n, "%s%s", i ? "." : "", PICK(g, labels));
	/* a name may not end like a number */
	if (n && out[n - 1] == '0' && (n == 1 || out[n - 2] == '.'))
		out[n - 1] = 'o';
}

static void make_rule(struct gen *g, struct rule *r, bool deny)
{
	uint32_t kind = gen_below(g, 40);

	memset(r, 0, sizeof(*r));
	r->deny = deny;
	if (kind)
		make_name(g, r->name, 1 + gen_below(g, 4));
	r->self = kind && kind % 3 != 0;
	r->below = !kind || kind % 3 != 1;
	r->off = !deny && !gen_below(g, 6);
	r->private = !deny && !gen_below(g, 6);
	r->nranges = gen_below(g, 2) ? 1 : gen_below(g, 3); /* none: 443, denied: all */
	for (uint32_t i = 0; i < r->nranges; i++) {
		uint16_t a = PICK(g, ports), b = gen_below(g, 3) ? a : PICK(g, ports);

		r->range[i].lo = MIN(a, b);
		r->range[i].hi = MAX(a, b);
	}
}

static size_t write_rule(char *out, size_t size, const struct rule *r)
{
	size_t n = (size_t)snprintf(out, size, "    - {host: \"%s%s\"",
				    !r->below ? "" :
				    !r->self  ? (*r->name ? "*." : "*") :
						".",
				    r->name);

	for (uint32_t i = 0; i < r->nranges; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%u-%u%s", i ? ", " : ", ports: [",
				      r->range[i].lo, r->range[i].hi,
				      i + 1 < r->nranges ? "" : "]");
	return n + (size_t)snprintf(out + n, size - n, "%s%s}\n", r->off ? ", tls: off" : "",
				    r->private ? ", private: true" : "");
}

/* One file may not say the same twice, or a thing and its opposite. */
static bool repeats(const struct set *s, const struct rule *r)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const struct rule *o = &s->rules[i];

		if (!strcmp(o->name, r->name) && o->self == r->self && o->below == r->below)
			return true;
	}
	return false;
}

static void make_set(struct gen *g, struct set *s)
{
	uint32_t allow = 1 + gen_below(g, MAX_RULES / 2), deny = gen_below(g, MAX_RULES / 2);
	size_t n = (size_t)sprintf(s->text, "version: 1\nfiles: {default: rwxc}\negress:\n");

	s->n = 0;
	for (uint32_t i = 0; i < allow + deny; i++) {
		struct rule r;

		if (i == 0 || i == allow)
			n += (size_t)sprintf(s->text + n, "  %s:\n", i ? "deny" : "allow");
		do {
			make_rule(g, &r, i >= allow);
		} while (repeats(s, &r));
		s->rules[s->n++] = r;
		n += write_rule(s->text + n, sizeof(s->text) - n, &r);
	}
}

/* ---- the obvious way ---------------------------------------------------------------- */

static bool covers_name(const struct rule *r, const char *name)
{
	char dotted[NAME_SIZE + 1];
	size_t n = strlen(name), m;

	if (!*r->name || !strcmp(r->name, name))
		return *r->name ? r->self : true;
	m = (size_t)snprintf(dotted, sizeof(dotted), ".%s", r->name);
	return r->below && n > m && !strcmp(name + n - m, dotted);
}

static bool covers_port(const struct rule *r, uint16_t port)
{
	if (!r->nranges)
		return r->deny || port == 443;
	for (uint32_t i = 0; i < r->nranges; i++)
		if (r->range[i].lo <= port && port <= r->range[i].hi)
			return true;
	return false;
}

/* 22 on its own has a default of its own: see compile_names.c */
static uint8_t rule_flags(const struct rule *r, uint16_t port)
{
	uint8_t flags = (r->off ? EG_CL_TLS_OFF : 0) | (r->private ? EG_CL_PRIVATE : 0), all = 0;

	if (!r->nranges)
		return flags;
	for (uint32_t i = 0; i < r->nranges; i++) {
		if (port < r->range[i].lo || port > r->range[i].hi)
			continue;
		if (!r->off && r->range[i].lo == 22 && r->range[i].hi == 22)
			all |= flags | EG_CL_TLS_MAYBE;
		else
			all |= flags;
	}
	return all;
}

static uint8_t obvious(const struct set *s, const char *name, uint16_t port, uint8_t *flags)
{
	bool allowed = false;

	*flags = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct rule *r = &s->rules[i];

		if (!covers_name(r, name) || !covers_port(r, port))
			continue;
		if (r->deny)
			return EG_V_DENY;
		allowed = true;
		*flags |= rule_flags(r, port);
	}
	return allowed ? EG_V_ALLOW : 0;
}

/* ---- both ------------------------------------------------------------------------------ */

struct asked {
	const struct set *s;
	const struct compiled *c;
	struct eg_dfa *dfa;
	struct automaton_starts starts; /* there */
};

static void move(struct gen *g, struct asked *a)
{
	const struct automaton_starts *starts = automaton_starts(a->c->automaton);
	uint32_t at = EG_DFA_FIRST + gen_below(g, 20000);

	automaton_relocate(a->dfa->slots + at, a->c->slots, a->c->nslots, at);
	for (uint32_t i = 0; i < EG_DOMAIN_GROUPS; i++)
		a->starts.domain[i] = automaton_relocate_state(starts->domain[i], at);
	a->starts.names = automaton_relocate_state(starts->names, at);
}

static uint32_t moved_classes(const struct asked *a, const char *name)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < EG_DOMAIN_GROUPS; i++)
		mask |= (uint32_t)eg_dfa_perm(automaton_state(a->dfa->slots, &a->starts,
							      AUTOMATON_DOMAIN + i, name,
							      strlen(name)))
			<< (4 * i);
	return mask;
}

static int wrong(const struct asked *a, const char *name, uint16_t port, const char *what,
		 unsigned int got, unsigned int want)
{
	fprintf(stderr, "%s:%u: %s: got %u, expected %u\n%s", name, port, what, got, want,
		a->s->text);
	return -1;
}

static int check(const struct asked *a, const char *name, uint16_t port)
{
	uint32_t mask = verdict_name_classes(a->c, name), rule;
	uint8_t flags, want_flags, got, want = obvious(a->s, name, port, &want_flags);
	const struct rule *r;
	bool open;

	if (moved_classes(a, name) != mask)
		return wrong(a, name, port, "moved classes", moved_classes(a, name), mask);
	open = verdict_class_flags(a->c, mask, port, IPPROTO_TCP, &flags);
	if (open != (want == EG_V_ALLOW))
		return wrong(a, name, port, "open", open, want == EG_V_ALLOW);
	if (open && flags != want_flags)
		return wrong(a, name, port, "flags", flags, want_flags);
	if (verdict_name(a->c, name, port, IPPROTO_TCP, &got, &rule) || got != want)
		return wrong(a, name, port, "verdict", got, want);
	if (!!rule != !!want)
		return wrong(a, name, port, "rule", rule, want);
	if (!rule)
		return 0;
	/* rules stand one a line from the fifth on, those of deny after one more */
	r = &a->s->rules[a->c->rules[rule - 1].line - (got == EG_V_DENY ? 6 : 5)];
	if (r->deny != (got == EG_V_DENY) || !covers_name(r, name) || !covers_port(r, port))
		return wrong(a, name, port, "names another rule", a->c->rules[rule - 1].line, 0);
	return 0;
}

static void ask_name(struct gen *g, const struct set *s, char *name)
{
	const struct rule *r = &s->rules[gen_below(g, s->n)];
	char front[NAME_SIZE];

	make_name(g, name, 1 + gen_below(g, 5));
	if (!*r->name || !gen_below(g, 4))
		return;
	make_name(g, front, gen_below(g, 3));
	/* sometimes without the dot: that is another name */
	(void)snprintf(name, NAME_SIZE, "%.28s%s%.32s", front, *front && gen_below(g, 4) ? "." : "",
		       r->name);
}

static int compile(const struct set *s, struct compiled **c)
{
	const struct policy_source src = { .name = (char *)"p", .path = (char *)"p",
					   .text = (char *)s->text, .len = strlen(s->text) };
	const struct policy_texts texts = { &src, 1 };
	const struct policy_reader reader = policy_reader_texts(&texts);
	static const struct policy_vars vars;
	struct policy *p = NULL;
	struct diag d = {};
	int err = policy_load("p", &reader, &p, &d);

	if (!err)
		err = policy_compile(p, &vars, c, &d);
	policy_free(p);
	if (err && err != -E2BIG)
		diag_print(stderr, "names_diff", &d);
	return err;
}

/* 0, 1 when it has too many classes, or -1. */
static int run_set(struct gen *g, struct eg_dfa *dfa, struct set *s)
{
	struct asked a = { .s = s, .dfa = dfa };
	struct compiled *c = NULL;
	int err;

	make_set(g, s);
	err = compile(s, &c);
	if (err) {
		if (err != -E2BIG)
			fprintf(stderr, "%s", s->text);
		return err == -E2BIG ? 1 : -1;
	}
	a.c = c;
	move(g, &a);
	for (uint32_t i = 0; i < QUESTIONS_PER_SET && !err; i++) {
		char name[2 * NAME_SIZE];

		ask_name(g, s, name);
		err = check(&a, name, PICK(g, ports));
	}
	compiled_free(c);
	return err;
}

int main(int argc, char **argv)
{
	static struct set set;
	struct gen g = { .state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1 };
	unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 0) : DEFAULT_QUESTIONS;
	unsigned long sets = 0, big = 0;
	struct eg_dfa *dfa = calloc(1, sizeof(*dfa));
	int ret = dfa ? 0 : -1;

	printf("seed %llu, %lu questions\n", (unsigned long long)g.state, n);
	for (unsigned long done = 0; ret >= 0 && done < n; done += QUESTIONS_PER_SET, sets++) {
		ret = run_set(&g, dfa, &set);
		big += ret == 1;
	}
	free(dfa);
	/* if most had too many classes, nothing was tested */
	if (ret >= 0 && big * 4 > sets * 3) {
		fprintf(stderr, "%lu of %lu sets have too many classes\n", big, sets);
		ret = -1;
	}
	if (ret >= 0)
		printf("ok, %lu of %lu sets had too many classes\n", big, sets);
	return ret < 0;
}
