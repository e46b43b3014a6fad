/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * States of the automaton: what a rename relies on (equal states, the least and
 * the most that lies below), and the image in the kernel's array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "automaton_help.h"

#include "../../bpf/dfa.h"
#include "gen_rules.h"
#include "slow_match.h"

#define R EG_R
#define ALL EG_PERM_ALL

static const uint8_t no_default[AUTOMATON_SPACES];

/* ---- states ---------------------------------------------------------------------------- */

static uint32_t path_state(const struct automaton *a, const char *path)
{
	uint32_t n;

	return automaton_state(automaton_image(a, &n), automaton_starts(a), AUTOMATON_PATHS, path,
			       strlen(path));
}

/* Directories under the same rules have the same state: what a rename compares. */
static void same_rules_same_state(void **state)
{
	static const struct automaton_rule rules[] = {
		{ "/w", 0, ALL, 0 },	   { "**/.env", 1, 0, 0 },   { "/w/ro", 2, R, 0 },
		{ "/w/also/ro", 3, R, 0 }, { "/w/more", 4, ALL, 0 }, { "/w/s", 5, 0, 0 },
		{ "/v", 6, ALL, 0 },	   { "/v/x", 7, ALL, 0 },
	};
	struct automaton *a = automaton_help(rules, 8, no_default);
	uint32_t anywhere = path_state(a, "/w/node_modules/x");

	(void)state;
	assert_int_equal(path_state(a, "/w/a"), anywhere);
	assert_int_equal(path_state(a, "/w/a/b/c"), anywhere);
	assert_int_equal(path_state(a, "/w/more"), anywhere);
	assert_int_equal(path_state(a, "/v"), anywhere);
	assert_int_not_equal(path_state(a, "/w"), anywhere);
	assert_int_not_equal(path_state(a, "/w/also"), anywhere);
	assert_int_equal(path_state(a, "/w/ro"), path_state(a, "/w/also/ro/x"));
	/* nothing is ever allowed there again */
	assert_int_equal(path_state(a, "/w/s"), 0);
	assert_int_equal(path_state(a, "/w/a/.env"), 0);
	assert_int_equal(path_state(a, "/x"), 0);
	automaton_free(a);
}

static void dead_states_stay_dead(void **state)
{
	static const struct automaton_rule rules[] = { { "/a/b", 0, R, 0 }, { "/c", 1, 0, 0 } };
	struct automaton *a = automaton_help(rules, 2, no_default);

	(void)state;
	assert_int_not_equal(path_state(a, "/a"), 0); /* perm 0, but something below */
	assert_int_equal(eg_dfa_perm(path_state(a, "/a")), 0);
	assert_int_equal(path_state(a, "/a/c"), 0);
	assert_int_equal(path_state(a, "/a/c/a/b"), 0);
	assert_int_equal(path_state(a, "/c/a/b"), 0);
	automaton_free(a);
}

#define KINDS 256
#define MAX_STATES 512

struct world {
	const struct gen_set *set;
	const struct eg_dfa *dfa;
	uint32_t names; /* start */
	uint32_t end[KINDS]; /* name states, one of each kind */
	size_t nend;
	uint32_t state[MAX_STATES];
	uint32_t next[MAX_STATES][KINDS];
	size_t n;
};

/* What directories are told of a name; the dead name state has no header. */
static uint32_t kind_of(const struct world *w, uint32_t name)
{
	return w->dfa->slots[name & EG_DFA_INDEX].from | EG_DFA_HEAD;
}

static size_t world_add(struct world *w, uint32_t state)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->state[i] == state)
			return i;
	assert_true(w->n < MAX_STATES);
	w->state[w->n] = state;
	return w->n++;
}

/* All kinds of names there are: every name state that some bytes lead to. */
static void world_names(struct world *w)
{
	static uint32_t queue[65536];
	static bool seen[65536];
	size_t n = 0, at = 0;

	w->nend = 0;
	memset(seen, 0, sizeof(seen));
	queue[n++] = w->names;
	while (at < n) {
		uint32_t from = queue[at++];

		for (uint32_t byte = 0; byte < 256; byte++) {
			uint32_t s = (uint32_t)eg_dfa_byte(w->dfa, from, (uint8_t)byte);
			size_t k;

			assert_true((s & EG_DFA_INDEX) < 65536);
			if (byte == '/' || seen[s & EG_DFA_INDEX])
				continue;
			seen[s & EG_DFA_INDEX] = true;
			queue[n++] = s;
			for (k = 0; k < w->nend; k++)
				if (kind_of(w, w->end[k]) == kind_of(w, s))
					break;
			if (k < w->nend)
				continue;
			assert_true(w->nend < KINDS);
			w->end[w->nend++] = s;
		}
	}
}

static void world_walk(struct world *w, uint32_t start)
{
	w->n = 0;
	(void)world_add(w, start);
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->nend; k++)
			w->next[i][k] = (uint32_t)world_add(
				w, eg_dfa_child(w->dfa, w->state[i], w->end[k]));
}

/* floor and ceil are exactly what can be found below. */
static void check_bounds(const struct world *w)
{
	uint8_t least[MAX_STATES], most[MAX_STATES];
	bool changed = true;

	for (size_t i = 0; i < w->n; i++)
		least[i] = most[i] = eg_dfa_perm(w->state[i]);
	while (changed) {
		changed = false;
		for (size_t i = 0; i < w->n; i++) {
			uint8_t lo = least[i], hi = most[i];

			for (size_t k = 0; k < w->nend; k++) {
				lo &= least[w->next[i][k]];
				hi |= most[w->next[i][k]];
			}
			changed = changed || lo != least[i] || hi != most[i];
			least[i] = lo;
			most[i] = hi;
		}
	}
	for (size_t i = 0; i < w->n; i++) {
		uint8_t floor = eg_dfa_floor(w->dfa, w->state[i]);
		uint8_t ceil = eg_dfa_ceil(w->dfa, w->state[i]);

		if (floor != least[i] || ceil != most[i]) {
			for (size_t k = 0; k < w->set->n; k++)
				print_error("rule %x %s\n", w->set->rules[k].perm,
					    w->set->rules[k].pattern);
			fail_msg("floor %x, found %x; ceil %x, found %x", floor, least[i], ceil,
				 most[i]);
		}
	}
}

/* No two states say the same of everything: pairs that differ spread backwards. */
static void check_minimal(const struct world *w)
{
	static bool differ[MAX_STATES][MAX_STATES];
	bool changed = true;

	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < w->n; j++)
			differ[i][j] = eg_dfa_perm(w->state[i]) != eg_dfa_perm(w->state[j]);
	while (changed) {
		changed = false;
		for (size_t i = 0; i < w->n; i++)
			for (size_t j = 0; j < i; j++)
				for (size_t k = 0; k < w->nend && !differ[i][j]; k++)
					if (differ[w->next[i][k]][w->next[j][k]])
						changed = differ[i][j] = differ[j][i] = true;
	}
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < i; j++)
			assert_true(differ[i][j]);
}

static void bounds_and_minimality(void **state)
{
	static struct world w;
	static struct gen_set set;
	struct gen g = { .state = 7, .plain = true };

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct automaton *a;
		uint32_t n;

		gen_set(&g, &set);
		set.n = set.n % 9;
		a = automaton_help(set.rules, set.n, set.defaults);
		w.set = &set;
		w.dfa = (const struct eg_dfa *)(const void *)automaton_image(a, &n);
		w.names = automaton_starts(a)->names;
		world_names(&w);
		world_walk(&w, automaton_starts(a)->path);
		check_bounds(&w);
		check_minimal(&w);
		automaton_free(a);
	}
}

/* ---- the image --------------------------------------------------------------------------- */

/* Any place, other versions and garbage around it: nothing outside the image is looked at. */
static void relocation(void **state)
{
	struct eg_dfa *dfa = calloc(1, sizeof(*dfa));
	static struct gen_set set;
	struct gen g = { .state = 11 };

	(void)state;
	assert_non_null(dfa);
	for (int i = 0; i < 50; i++) {
		uint32_t n, at = i % 2 ? EG_DFA_FIRST + gen_below(&g, 1000) : 0;
		const struct automaton_starts *s;
		struct automaton_starts moved;
		const struct eg_dfa_slot *image;
		struct automaton *a;
		char path[GEN_PATH_MAX];

		gen_set(&g, &set);
		a = automaton_help(set.rules, set.n, set.defaults);
		image = automaton_image(a, &n);
		s = automaton_starts(a);
		if (!at)
			at = EG_DFA_SLOTS - n; /* the very end */
		memset(dfa->slots + EG_DFA_FIRST, 0x5a,
		       (EG_DFA_SLOTS - EG_DFA_FIRST) * sizeof(*image));
		automaton_relocate(dfa->slots + at, image, n, at);
		moved.path = automaton_relocate_state(s->path, at);
		moved.unix_path = automaton_relocate_state(s->unix_path, at);
		moved.abstract = automaton_relocate_state(s->abstract, at);
		moved.names = automaton_relocate_state(s->names, at);
		for (int k = 0; k < 100; k++) {
			enum automaton_space space;
			size_t len = gen_path(&g, &set, &space, path);
			uint32_t here = automaton_state(image, s, space, path, len);

			assert_int_equal(automaton_state(dfa->slots, &moved, space, path, len),
					 automaton_relocate_state(here, at));
		}
		automaton_free(a);
	}
	free(dfa);
}

/* A large policy fits with room to spare, and answers like the obvious way. */
static void large_policy(void **state)
{
	enum { N = 10000 };
	struct gen g = { .state = 3 };
	struct automaton_rule *rules = gen_policy(&g, N, 8000);
	struct automaton_stats st;
	struct automaton *a;

	(void)state;
	assert_non_null(rules);
	a = automaton_help(rules, N, no_default);
	automaton_stats(a, &st);
	assert_true(st.slots < AUTOMATON_MAX_SLOTS);
	for (int i = 0; i < 200; i++) {
		const char *path = rules[gen_below(&g, N)].pattern;
		uint8_t by_rule, want;
		uint32_t id;

		if (path[0] != '/' || strpbrk(path, "*?["))
			continue;
		want = slow_match(rules, N, no_default, AUTOMATON_PATHS, path, strlen(path));
		assert_int_equal(automaton_perm(a, AUTOMATON_PATHS, path, strlen(path)), want);
		(void)automaton_rule_for(a, AUTOMATON_PATHS, path, strlen(path), &id, &by_rule);
		assert_int_equal(by_rule, want);
	}
	automaton_free(a);
	for (size_t i = 0; i < N; i++)
		free((char *)(uintptr_t)rules[i].pattern);
	free(rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_rules_same_state), cmocka_unit_test(dead_states_stay_dead),
		cmocka_unit_test(bounds_and_minimality), cmocka_unit_test(relocation),
		cmocka_unit_test(large_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
