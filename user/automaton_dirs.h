/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The graph of directory states, between automaton_dirs.c, which makes it, and
 * automaton_merge.c, which makes it minimal and turns it into rows; and the merged
 * patterns that automaton_groups.c makes for it.
 */
#ifndef AUTOMATON_DIRS_H
#define AUTOMATON_DIRS_H

#include "automaton_int.h"

/* ---- merged patterns ------------------------------------------------------------- */

/* A merged pattern node, as words in dirs.reps: flags, rep after "**", (label, rep)… */
#define REP_PERM EG_PERM_ALL
#define REP_ENDS (1u << 8) /* rules end here, with REP_PERM */
#define REP_LOOP (1u << 9)
#define REP_NONE (1u << 10)

static inline uint32_t rep_flags(const struct dirs *d, uint32_t rep)
{
	uint32_t n;

	return intern_get(&d->reps, rep - 1, &n)[0];
}

static inline uint32_t rep_star(const struct dirs *d, uint32_t rep)
{
	uint32_t n;

	return intern_get(&d->reps, rep - 1, &n)[1];
}

/* ---- the graph ----------------------------------------------------------------------- */

struct graph_state {
	uint32_t dflt; /* state */
	uint32_t node; /* literal node, or 0 */
	uint32_t classes; /* state with the moves on classes: this one without literal names */
	uint32_t first, n; /* in moves: on classes, wider ones first, or on literal names */
	uint32_t merged; /* into which class of equal states */
	uint8_t perm, floor, ceil;
	bool done;
};

struct graph_move {
	uint32_t symbol;
	uint32_t base; /* what holds without it: another move, or GRAPH_DFLT */
	uint32_t to; /* state */
};
#define GRAPH_DFLT 0xffffffffu

struct graph {
	VEC(struct graph_state) states;
	VEC(struct graph_move) moves;
	uint32_t start[ROOTS_END];
	uint32_t nmerged;
	uint32_t *chosen; /* by merged state: the state that stands for it */
};

/* Equal states (same permission at and below the same names) become one; floor and ceil. */
int graph_merge(struct graph *g, const struct tree *t, const struct names *names,
		const struct dirs *d);

/* Rows for the merged states; those that allow nothing for ever are row 0. */
int graph_rows(struct graph *g, struct dirs *d, struct rows *rows);
void graph_fini(struct graph *g);

#endif
