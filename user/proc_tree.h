/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which processes descend from others: pure, over a list that somebody read. */
#ifndef PROC_TREE_H
#define PROC_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tree_process {
	pid_t pid, parent;
	bool in_tree;
};

int proc_tree_compare_pid(const void *a, const void *b); /* of two pid_t */

/*
 * Sort them by parent and mark those that are one of `roots` (sorted) or have one among
 * their ancestors, whether that one is still there or not. O(n log n): whoever asks may own as
 * many processes as the host has room for. -ENOMEM.
 */
int proc_tree_mark(struct tree_process *all, size_t n, const pid_t *roots, size_t nroots);

#endif
