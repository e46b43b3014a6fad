/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "services.h"

int services_add(struct services *to, const struct eg_class *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (array_reserve(&to->v, &to->cap, to->n))
			return -ENOMEM;
		to->v[to->n++] = v[i];
	}
	return 0;
}

int service_order(const void *a, const void *b)
{
	const struct eg_class *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	if (x->flags != y->flags)
		return x->flags < y->flags ? -1 : 1;
	if (x->origin != y->origin)
		return x->origin < y->origin ? -1 : 1;
	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return (x->hi > y->hi) - (x->hi < y->hi);
}

void services_normalize(struct services *s)
{
	uint32_t out = 0;

	if (s->n < 2)
		return;
	qsort(s->v, s->n, sizeof(*s->v), service_order);
	for (uint32_t i = 1; i < s->n; i++) {
		struct eg_class *last = &s->v[out];

		if (service_same_kind(last, &s->v[i]) && s->v[i].lo <= last->hi + 1u)
			last->hi = MAX(last->hi, s->v[i].hi);
		else
			s->v[++out] = s->v[i];
	}
	s->n = out + 1;
}

/* What is denied of one protocol, in order. */
static int cuts_of(struct services *cuts, const struct services *denied, uint8_t proto)
{
	cuts->n = 0;
	for (uint32_t i = 0; i < denied->n; i++) {
		struct eg_class cut = denied->v[i];

		if (cut.proto && cut.proto != proto)
			continue;
		cut.proto = 0;
		if (services_add(cuts, &cut, 1))
			return -ENOMEM;
	}
	services_normalize(cuts);
	return 0;
}

static int add_part(struct services *to, const struct eg_class *of, uint32_t lo, uint32_t hi)
{
	struct eg_class part = *of;

	part.lo = (uint16_t)lo;
	part.hi = (uint16_t)hi;
	return services_add(to, &part, 1);
}

static int subtract_one(struct services *to, const struct eg_class *from,
			const struct services *cuts)
{
	uint32_t lo = from->lo; /* 65536 at the end */

	for (uint32_t i = 0; i < cuts->n && lo <= from->hi; i++) {
		const struct eg_class *cut = &cuts->v[i];

		if (cut->hi < lo || cut->lo > from->hi)
			continue;
		if (cut->lo > lo && add_part(to, from, lo, cut->lo - 1u))
			return -ENOMEM;
		lo = cut->hi + 1u;
	}
	return lo <= from->hi ? add_part(to, from, lo, from->hi) : 0;
}

int services_subtract(struct services *to, const struct services *from,
		      const struct services *denied)
{
	struct services cuts = {};
	int err = 0;

	to->n = 0;
	for (uint32_t i = 0; i < from->n && !err; i++) {
		if (!i || from->v[i].proto != from->v[i - 1].proto)
			err = cuts_of(&cuts, denied, from->v[i].proto);
		if (!err)
			err = subtract_one(to, &from->v[i], &cuts);
	}
	services_free(&cuts);
	return err;
}

/* Whether other ranges within this one leave nothing of it out; s is sorted. */
static bool is_made_up(const struct services *s, uint32_t which)
{
	const struct eg_class *whole = &s->v[which];
	uint32_t next = whole->lo;

	for (uint32_t i = 0; i < s->n; i++)
		if (i != which && service_within(&s->v[i], whole) && s->v[i].lo <= next)
			next = MAX(next, s->v[i].hi + 1u);
	return next > whole->hi;
}

void services_reduce(struct services *s)
{
	uint32_t out = 0;

	if (!s->n)
		return;
	qsort(s->v, s->n, sizeof(*s->v), service_order);
	for (uint32_t i = 1; i < s->n; i++) /* the same twice would make itself up */
		if (service_order(&s->v[out], &s->v[i]))
			s->v[++out] = s->v[i];
	s->n = out + 1;
	/* what makes another up is shorter: the longer ones can go at any time */
	for (uint32_t i = s->n; i--;) {
		if (!is_made_up(s, i))
			continue;
		memmove(&s->v[i], &s->v[i + 1], (--s->n - i) * sizeof(*s->v));
	}
}
