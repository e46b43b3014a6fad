/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The automaton against the obvious way (slow_match.h), on random rules and
 * paths: automaton_diff [-p] [SEED [PAIRS]]
 *
 * -p prints instead, tab-separated, for tests on a real file system:
 *	set	DEFAULT		a new set of rules; permissions as in "rwxc" or "none"
 *	rule	PERM	PATTERN
 *	path	PERM	PATH	what the rules before it allow
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>
#include "../../bpf/egressctl.h"
#include "../../bpf/dfa.h"
#include "gen_rules.h"
#include "slow_match.h"

#define PATHS_PER_SET 100
#define DEFAULT_PAIRS 1000000ul

static const char *perm_text(uint8_t perm, char buf[5])
{
	size_t n = 0;

	for (int i = 0; i < 4; i++)
		if (perm >> i & 1)
			buf[n++] = "rwxc"[i];
	buf[n] = 0;
	return n ? buf : "none";
}

static void complain(const struct gen_set *set, const char *path, size_t len, const char *what,
		     uint8_t got, uint8_t want)
{
	char a[5], b[5];

	fprintf(stderr, "%s: got %s, expected %s at: ", what, perm_text(got, a),
		perm_text(want, b));
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, path[i] < ' ' || path[i] == '\\' ? "\\x%02x" : "%c",
			(unsigned char)path[i]);
	fprintf(stderr, "\ndefaults %s", perm_text(set->defaults[0], a));
	fprintf(stderr, " %s\n", perm_text(set->defaults[1], a));
	for (size_t i = 0; i < set->n; i++)
		fprintf(stderr, "\t%s\t%s%s\n", perm_text(set->rules[i].perm, a),
			set->rules[i].space == AUTOMATON_UNIX ? "unix " : "",
			set->rules[i].pattern);
}

/* The same answers from the image at another place, with other versions around it. */
static int compare_moved(struct gen *g, const struct automaton *a, struct eg_dfa *dfa,
			 struct automaton_starts *starts)
{
	const struct automaton_starts *s = automaton_starts(a);
	uint32_t n, at;
	const struct eg_dfa_slot *image = automaton_image(a, &n);

	at = EG_DFA_FIRST + gen_below(g, 20000);
	automaton_relocate(dfa->slots + at, image, n, at);
	starts->path = automaton_relocate_state(s->path, at);
	starts->unix_path = automaton_relocate_state(s->unix_path, at);
	starts->abstract = automaton_relocate_state(s->abstract, at);
	starts->names = automaton_relocate_state(s->names, at);
	return 0;
}

static int check_path(const struct gen_set *set, const struct automaton *a,
		      const struct eg_dfa *dfa, const struct automaton_starts *starts,
		      enum automaton_space space, const char *path, size_t len)
{
	uint8_t want = slow_match(set->rules, set->n, set->defaults, space, path, len), got,
		by_rule;
	uint32_t id = 0, state;
	bool found;

	got = automaton_perm(a, space, path, len);
	if (got != want) {
		complain(set, path, len, "automaton_perm", got, want);
		return -1;
	}
	found = automaton_rule_for(a, space, path, len, &id, &by_rule);
	if (by_rule != want || (found && (id >= set->n || (want & ~set->rules[id].perm)))) {
		complain(set, path, len, "automaton_rule_for", by_rule, want);
		return -1;
	}
	if (!found && want != set->defaults[space]) {
		complain(set, path, len, "automaton_rule_for says default", by_rule, want);
		return -1;
	}
	state = automaton_state(dfa->slots, starts, space, path, len);
	if (eg_dfa_perm(state) != want) {
		complain(set, path, len, "relocated", eg_dfa_perm(state), want);
		return -1;
	}
	return 0;
}

static void print_set(const struct gen_set *set)
{
	char buf[5];

	printf("set\t%s\n", perm_text(set->defaults[AUTOMATON_PATHS], buf));
	for (size_t i = 0; i < set->n; i++)
		printf("rule\t%s\t%s\n", perm_text(set->rules[i].perm, buf), set->rules[i].pattern);
}

static int run_set(struct gen *g, struct eg_dfa *dfa, size_t npaths)
{
	static struct gen_set set;
	struct automaton_error err = {};
	struct automaton_starts starts;
	struct automaton *a;
	int ret;

	gen_set(g, &set);
	ret = automaton_compile(set.rules, set.n, set.defaults, &a, &err);
	if (ret) {
		fprintf(stderr, "%s: %s at %zu (expected %s): %s\n", set.rules[err.rule].pattern,
			err.msg, err.offset, err.expected, strerror(-ret));
		return ret;
	}
	ret = compare_moved(g, a, dfa, &starts);
	if (g->plain)
		print_set(&set);
	for (size_t i = 0; i < npaths && !ret; i++) {
		enum automaton_space space;
		char path[GEN_PATH_MAX], buf[5];
		size_t len = gen_path(g, &set, &space, path);

		ret = check_path(&set, a, dfa, &starts, space, path, len);
		if (g->plain && !ret)
			printf("path\t%s\t%.*s\n",
			       perm_text(automaton_perm(a, space, path, len), buf), (int)len, path);
	}
	automaton_free(a);
	return ret;
}

int main(int argc, char **argv)
{
	struct gen g = { .state = 1 };
	unsigned long pairs = DEFAULT_PAIRS, done = 0;
	struct eg_dfa *dfa = calloc(1, sizeof(*dfa));
	int arg = 1, ret = dfa ? 0 : -ENOMEM;

	if (arg < argc && !strcmp(argv[arg], "-p")) {
		g.plain = true;
		arg++;
	}
	if (arg < argc)
		g.state = strtoull(argv[arg++], NULL, 0);
	if (arg < argc)
		pairs = strtoul(argv[arg++], NULL, 0);
	if (arg < argc || !pairs) {
		fprintf(stderr, "usage: automaton_diff [-p] [SEED [PAIRS]]\n");
		return 2;
	}
	if (!g.plain)
		printf("seed %llu, %lu pairs\n", (unsigned long long)g.state, pairs);
	for (; !ret && done < pairs; done += PATHS_PER_SET)
		ret = run_set(&g, dfa, PATHS_PER_SET);
	free(dfa);
	if (!ret && !g.plain)
		printf("ok\n");
	return ret ? 1 : 0;
}
