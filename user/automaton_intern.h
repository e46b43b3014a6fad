/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Growing arrays, and numbers for strings of words: what the compilers are made of. */
#ifndef AUTOMATON_INTERN_H
#define AUTOMATON_INTERN_H

#include <stdint.h>

#include "util.h"

#define VEC(T) \
	struct { \
		T *v; \
		uint32_t n; \
		size_t cap; \
	}

/* A new zeroed element at the end, or NULL. */
#define vec_add(x) \
	(array_reserve(&(x)->v, &(x)->cap, (x)->n) ? \
		 NULL : \
		 memset(&(x)->v[(x)->n++], 0, sizeof(*(x)->v)))

#define vec_free(x) free((x)->v)

typedef VEC(uint32_t) vec32;

static inline int vec32_push(vec32 *x, uint32_t v)
{
	uint32_t *e = vec_add(x);

	if (!e)
		return -ENOMEM;
	*e = v;
	return 0;
}

void vec32_sort_unique(vec32 *x);

/* Word strings <-> numbers 0, 1, 2, … in the order in which they come. */
struct intern {
	vec32 pool;
	vec32 start; /* of each string in pool; one more at the end */
	struct intern_entry {
		uint32_t hash;
		uint32_t id; /* + 1 */
	} *table;
	uint32_t mask;
	uint32_t n;
};

int intern_put(struct intern *t, const uint32_t *words, uint32_t n, uint32_t *id);
bool intern_find(const struct intern *t, const uint32_t *words, uint32_t n, uint32_t *id);
/* Valid until the next intern_put(). */
const uint32_t *intern_get(const struct intern *t, uint32_t id, uint32_t *n);
void intern_fini(struct intern *t);

#endif
