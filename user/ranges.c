/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "publish.h"
#include "util.h"

int ranges_init(struct ranges *r, uint32_t first, uint32_t count)
{
	memset(r, 0, sizeof(*r));
	if (!count)
		return 0;
	if (array_reserve(&r->free, &r->cap, 0))
		return -ENOMEM;
	r->free[0] = (struct range){ first, count };
	r->nfree = 1;
	return 0;
}

void ranges_fini(struct ranges *r)
{
	free(r->free);
	memset(r, 0, sizeof(*r));
}

static void drop(struct ranges *r, size_t i)
{
	r->nfree--;
	memmove(&r->free[i], &r->free[i + 1], (r->nfree - i) * sizeof(*r->free));
}

static int insert(struct ranges *r, size_t i, struct range n)
{
	if (array_reserve(&r->free, &r->cap, r->nfree))
		return -ENOMEM;
	memmove(&r->free[i + 1], &r->free[i], (r->nfree - i) * sizeof(*r->free));
	r->free[i] = n;
	r->nfree++;
	return 0;
}

int ranges_take(struct ranges *r, uint32_t count, uint32_t *first)
{
	size_t i;

	*first = 0;
	if (!count)
		return 0;
	for (i = 0; i < r->nfree; i++)
		if (r->free[i].count >= count)
			break;
	if (i == r->nfree)
		return -ENOSPC;
	/* room to give it back later: giving must not fail */
	if (array_reserve(&r->free, &r->cap, r->nfree + 1))
		return -ENOMEM;
	*first = r->free[i].first;
	r->free[i].first += count;
	r->free[i].count -= count;
	if (!r->free[i].count)
		drop(r, i);
	return 0;
}

int ranges_take_at(struct ranges *r, uint32_t first, uint32_t count)
{
	uint32_t before, after;
	struct range *f;
	size_t i;

	if (!count)
		return 0;
	for (i = 0; i < r->nfree; i++)
		if (first - r->free[i].first < r->free[i].count)
			break;
	if (i == r->nfree || count > r->free[i].count - (first - r->free[i].first))
		return -EEXIST;
	if (array_reserve(&r->free, &r->cap, r->nfree + 2))
		return -ENOMEM;
	f = &r->free[i];
	before = first - f->first;
	after = f->count - before - count;
	if (before && after) {
		f->count = before;
		return insert(r, i + 1, (struct range){ first + count, after });
	}
	if (!before && !after) {
		drop(r, i);
		return 0;
	}
	if (!before)
		f->first += count;
	f->count -= count;
	return 0;
}

int ranges_give(struct ranges *r, uint32_t first, uint32_t count)
{
	bool joins_prev, joins_next;
	size_t i;

	if (!count)
		return 0;
	for (i = 0; i < r->nfree && r->free[i].first < first; i++)
		;
	if ((i && r->free[i - 1].first + r->free[i - 1].count > first) ||
	    (i < r->nfree && first + count > r->free[i].first))
		return -EINVAL;
	joins_prev = i && r->free[i - 1].first + r->free[i - 1].count == first;
	joins_next = i < r->nfree && first + count == r->free[i].first;
	if (joins_prev) {
		r->free[i - 1].count += count;
		if (joins_next) {
			r->free[i - 1].count += r->free[i].count;
			drop(r, i);
		}
		return 0;
	}
	if (joins_next) {
		r->free[i].first = first;
		r->free[i].count += count;
		return 0;
	}
	return insert(r, i, (struct range){ first, count });
}
