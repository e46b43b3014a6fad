/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Labels with wildcards as sets of positions, between automaton_sets.c, which
 * makes the sets, and automaton_names.c, which makes rows of them.
 */
#ifndef AUTOMATON_NAMES_H
#define AUTOMATON_NAMES_H

#include "automaton_int.h"

struct gnode {
	uint32_t group; /* names that end here match it, or GROUP_NONE */
	uint32_t sure; /* star: group that matches whatever comes, or GROUP_NONE */
	uint32_t chain; /* label + 1 whose own nodes these are; 0: shared */
	uint32_t star_next; /* where a star follows, entered together with this; 0: none */
	bool star;
	vec32 edges; /* pairs (item, gnode) */
};

struct set_row {
	bool done;
	bool reached; /* by a name that leaves the trie, not only gone by way of */
	uint32_t dflt;
	uint32_t first, n; /* in next: pairs (byte, set), sorted, other than dflt */
	uint32_t row; /* + 1, when one was made */
	uint32_t class;
};

struct sets {
	const struct tree *t;
	struct automaton_error *err;
	VEC(struct gnode) g; /* 0: the start */
	vec32 sure_node; /* by group: gnode + 1 that stands for "matches for sure" */
	struct intern ids; /* gnodes, sorted */
	VEC(struct set_row) set;
	vec32 next;
	vec32 tmp;
	uint64_t work; /* steps so far, see AUTOMATON_MAX_WORK */
};

/* All labels of patterns that are not literal. Set 0 is where a name begins. */
int sets_init(struct sets *s);
void sets_fini(struct sets *s);

/* Makes set_row.dflt and next of a set, and the sets it leads to. */
int set_expand(struct sets *s, uint32_t id);

/* Where an expanded set goes on a byte. */
uint32_t set_on(const struct sets *s, uint32_t id, uint8_t byte);

static inline bool set_is_empty(const struct sets *s, uint32_t id)
{
	return s->ids.start.v[id] == s->ids.start.v[id + 1];
}

#endif
