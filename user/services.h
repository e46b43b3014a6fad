/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sets of services: ranges of ports of one protocol that are checked in one way
 * (struct eg_class). A set is normal when it is sorted and no two ranges of the
 * same protocol, flags and origin touch; protocol 0, in what is denied, is every one.
 */
#ifndef EGRESSCTL_SERVICES_H
#define EGRESSCTL_SERVICES_H

#include <linux/types.h>

#include "../bpf/egressctl.h"
#include "automaton_intern.h"

/* By protocol, flags, origin, first and last port; for qsort(). */
int service_order(const void *a, const void *b);

struct services {
	struct eg_class *v;
	uint32_t n;
	size_t cap;
};

/* Each is 0 or -ENOMEM. */
int services_add(struct services *to, const struct eg_class *v, uint32_t n);
/* *to becomes what is in `from` and not in `denied`; all three are normal. */
int services_subtract(struct services *to, const struct services *from,
		      const struct services *denied);

/* Sort and join; services_add() leaves that to be done once. */
void services_normalize(struct services *s);

/*
 * The same set without the ranges that others of it make up: what is left is the
 * fewest of its ranges from which all of them can be put together.
 */
void services_reduce(struct services *s);

static inline void services_free(struct services *s)
{
	free(s->v);
}

static inline bool service_same_kind(const struct eg_class *a, const struct eg_class *b)
{
	return a->proto == b->proto && a->flags == b->flags && a->origin == b->origin;
}

static inline bool service_within(const struct eg_class *in, const struct eg_class *out)
{
	return service_same_kind(in, out) && out->lo <= in->lo && in->hi <= out->hi;
}

#endif
