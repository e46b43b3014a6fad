/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "automaton_int.h"

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void vec32_sort_unique(vec32 *x)
{
	uint32_t out = 0;

	if (x->n < 2)
		return;
	if (x->n <= 16) {
		for (uint32_t i = 1; i < x->n; i++) {
			uint32_t v = x->v[i], j = i;

			for (; j && x->v[j - 1] > v; j--)
				x->v[j] = x->v[j - 1];
			x->v[j] = v;
		}
	} else {
		qsort(x->v, x->n, sizeof(*x->v), compare_u32);
	}
	for (uint32_t i = 1; i < x->n; i++)
		if (x->v[i] != x->v[out])
			x->v[++out] = x->v[i];
	x->n = out + 1;
}

static uint32_t hash_words(const uint32_t *words, uint32_t n)
{
	uint64_t h = n * 0x9e3779b97f4a7c15ull;

	for (uint32_t i = 0; i < n; i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

static bool intern_is(const struct intern *t, uint32_t id, const uint32_t *words, uint32_t n)
{
	uint32_t at = t->start.v[id];

	return t->start.v[id + 1] - at == n &&
	       (!n || !memcmp(t->pool.v + at, words, n * sizeof(*words)));
}

bool intern_find(const struct intern *t, const uint32_t *words, uint32_t n, uint32_t *id)
{
	if (!t->table)
		return false;
	for (uint32_t i = hash_words(words, n) & t->mask; t->table[i]; i = (i + 1) & t->mask) {
		if (!intern_is(t, t->table[i] - 1, words, n))
			continue;
		*id = t->table[i] - 1;
		return true;
	}
	return false;
}

static int intern_grow(struct intern *t)
{
	uint32_t size = t->table ? (t->mask + 1) * 2 : 64, *table;

	table = calloc(size, sizeof(*table));
	if (!table)
		return -ENOMEM;
	for (uint32_t id = 0; id < t->n; id++) {
		uint32_t at = t->start.v[id];
		uint32_t i = hash_words(t->pool.v + at, t->start.v[id + 1] - at) & (size - 1);

		while (table[i])
			i = (i + 1) & (size - 1);
		table[i] = id + 1;
	}
	free(t->table);
	t->table = table;
	t->mask = size - 1;
	return 0;
}

int intern_put(struct intern *t, const uint32_t *words, uint32_t n, uint32_t *id)
{
	uint32_t i;

	if (intern_find(t, words, n, id))
		return 0;
	if ((!t->table || t->n >= t->mask / 2) && intern_grow(t))
		return -ENOMEM;
	if (!t->start.n && vec32_push(&t->start, 0))
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++)
		if (vec32_push(&t->pool, words[k]))
			return -ENOMEM;
	if (vec32_push(&t->start, t->pool.n))
		return -ENOMEM;
	for (i = hash_words(words, n) & t->mask; t->table[i];)
		i = (i + 1) & t->mask;
	t->table[i] = ++t->n;
	*id = t->n - 1;
	return 0;
}

const uint32_t *intern_get(const struct intern *t, uint32_t id, uint32_t *n)
{
	*n = t->start.v[id + 1] - t->start.v[id];
	return t->pool.v + t->start.v[id];
}

void intern_fini(struct intern *t)
{
	vec_free(&t->pool);
	vec_free(&t->start);
	free(t->table);
}
