/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "automaton_intern.h"

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
	const uint32_t *have = t->pool.v + t->start.v[id];

	if (t->start.v[id + 1] - t->start.v[id] != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (have[i] != words[i])
			return false;
	return true;
}

/* Where the string is in the table, or where it would go. */
static uint32_t intern_slot(const struct intern *t, const uint32_t *words, uint32_t n,
			    uint32_t hash)
{
	uint32_t i = hash & t->mask;

	for (; t->table[i].id; i = (i + 1) & t->mask)
		if (t->table[i].hash == hash && intern_is(t, t->table[i].id - 1, words, n))
			break;
	return i;
}

bool intern_find(const struct intern *t, const uint32_t *words, uint32_t n, uint32_t *id)
{
	uint32_t i;

	if (!t->table)
		return false;
	i = intern_slot(t, words, n, hash_words(words, n));
	if (!t->table[i].id)
		return false;
	*id = t->table[i].id - 1;
	return true;
}

static int intern_grow(struct intern *t)
{
	uint32_t size = t->table ? (t->mask + 1) * 2 : 64;
	struct intern_entry *table = calloc(size, sizeof(*table));

	if (!table)
		return -ENOMEM;
	for (uint32_t k = 0; t->table && k <= t->mask; k++) {
		uint32_t i = t->table[k].hash & (size - 1);

		if (!t->table[k].id)
			continue;
		while (table[i].id)
			i = (i + 1) & (size - 1);
		table[i] = t->table[k];
	}
	free(t->table);
	t->table = table;
	t->mask = size - 1;
	return 0;
}

int intern_put(struct intern *t, const uint32_t *words, uint32_t n, uint32_t *id)
{
	uint32_t hash = hash_words(words, n), i;

	if ((!t->table || t->n >= t->mask / 2) && intern_grow(t))
		return -ENOMEM;
	i = intern_slot(t, words, n, hash);
	if (t->table[i].id) {
		*id = t->table[i].id - 1;
		return 0;
	}
	if (!t->start.n && vec32_push(&t->start, 0))
		return -ENOMEM;
	if (array_reserve(&t->pool.v, &t->pool.cap, t->pool.n + n))
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++)
		t->pool.v[t->pool.n++] = words[k];
	if (vec32_push(&t->start, t->pool.n))
		return -ENOMEM;
	*id = t->n++;
	t->table[i] = (struct intern_entry){ hash, t->n };
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
