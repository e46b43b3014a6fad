/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Paths that need something, as a tree, and which directories stand for all that is
 * below them. Reading, changing and running are folded apart: a directory of which
 * many files are read is not opened for writing because one of them is written.
 */
#ifndef LEARN_TREE_H
#define LEARN_TREE_H

#include "learn_int.h"

enum learn_group { GROUP_READ, GROUP_CHANGE, GROUP_RUN, GROUPS };

struct learn_node {
	struct learn_node *parent, *children, *next; /* children sorted by name */
	struct learn_node *last; /* child: paths come in order, mostly */
	char *name; /* one name; NULL at the root */
	size_t len;
	uint8_t need; /* EG_R …: of the path itself */
	bool made; /* a directory that the run made: what is in it is its own */
	bool listed; /* a directory that was listed */
	struct learn_who who[GROUPS];
	/* filled by learn_tree_fold() */
	uint8_t all; /* need, here and below */
	struct learn_who all_who[GROUPS];
	uint8_t fold; /* bit per group: a rule stands here */
	uint8_t taken; /* … for what is below, too */
	uint8_t perm; /* what the rule gives */
	bool only_names; /* listed alone: what is in it stays as it is */
	uint32_t nrules[GROUPS]; /* here and below */
};

struct learn_tree {
	struct learn_node *root;
	size_t bytes;
};

int learn_tree_init(struct learn_tree *t);
void learn_tree_clear(struct learn_tree *t);
/* The node of an absolute path, made where it is missing. NULL: out of memory. */
struct learn_node *learn_tree_put(struct learn_tree *t, const char *path, size_t len);
/* "/a/b" of a node. */
void learn_node_path(const struct learn_node *n, struct text *out);
/* Next in the order of paths, parents first; NULL at the end. */
struct learn_node *learn_node_next(struct learn_node *n);

uint8_t learn_group_bits(enum learn_group g);
/* Decide where rules stand; may be called again after needs were added. */
int learn_tree_fold(struct learn_tree *t, const struct learn_input *in);

#endif
