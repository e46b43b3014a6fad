/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Random rules and paths that meet often: a few names, pieces of names and
 * wildcards, put together at random. The same seed gives the same everywhere.
 */
#ifndef GEN_RULES_H
#define GEN_RULES_H

#include "../../user/automaton.h"

#define GEN_MAX_RULES 24
#define GEN_PATTERN_MAX 512
#define GEN_PATH_MAX 1024

struct gen {
	uint64_t state;
	bool plain; /* printable names only, no unix rules: for files on a disk */
};

struct gen_set {
	struct automaton_rule rules[GEN_MAX_RULES];
	char text[GEN_MAX_RULES][GEN_PATTERN_MAX];
	size_t n;
	uint8_t defaults[AUTOMATON_SPACES];
};

uint32_t gen_below(struct gen *g, uint32_t n);

void gen_set(struct gen *g, struct gen_set *out);
/* An absolute path (or '@' name) into buf of GEN_PATH_MAX; returns its length. */
size_t gen_path(struct gen *g, const struct gen_set *set, enum automaton_space *space, char *buf);

/*
 * A policy of n realistic rules: `literals` paths as in /usr, /etc and homes, the
 * rest patterns (any depth, one star in the middle, file types) and the 60 of a
 * list of secrets. free() each pattern and the array.
 */
struct automaton_rule *gen_policy(struct gen *g, size_t n, size_t literals);

#endif
