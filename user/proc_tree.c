/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "proc_tree.h"
#include "util.h"

int proc_tree_compare_pid(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int compare_parent(const void *a, const void *b)
{
	const struct tree_process *x = a, *y = b;

	return (x->parent > y->parent) - (x->parent < y->parent);
}

/* The first one that has this parent, or n. */
static size_t first_child(const struct tree_process *all, size_t n, pid_t parent)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (all[mid].parent < parent)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int proc_tree_mark(struct tree_process *all, size_t n, const pid_t *roots, size_t nroots)
{
	_cleanup_free_ pid_t *todo = calloc(n + 1, sizeof(*todo));
	size_t ntodo = 0, i;

	if (!todo)
		return -ENOMEM;
	if (n)
		qsort(all, n, sizeof(*all), compare_parent);
	for (i = 0; i < n; i++) {
		/* a root that is gone has children all the same */
		all[i].in_tree = bsearch(&all[i].pid, roots, nroots, sizeof(*roots),
					 proc_tree_compare_pid) ||
				 bsearch(&all[i].parent, roots, nroots, sizeof(*roots),
					 proc_tree_compare_pid);
		if (all[i].in_tree)
			todo[ntodo++] = all[i].pid;
	}
	/* each is put there once: numbers that were used again can make a ring */
	while (ntodo) {
		pid_t parent = todo[--ntodo];

		for (i = first_child(all, n, parent); i < n && all[i].parent == parent; i++) {
			if (all[i].in_tree)
				continue;
			all[i].in_tree = true;
			todo[ntodo++] = all[i].pid;
		}
	}
	return 0;
}
