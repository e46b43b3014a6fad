/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How much of the maps is taken. */
#include "compile.h"
#include "publish_int.h"

static uint64_t free_in(const struct ranges *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->nfree; i++)
		n += r->free[i].count;
	return n;
}

struct publisher_fill publisher_fill(const struct publisher *p)
{
	struct publisher_fill f = {
		.slots = EG_DFA_SLOTS - EG_DFA_FIRST - free_in(&p->slots),
		.ports = EG_MAX_PORTS - free_in(&p->ports),
		.prefixes = EG_MAX_PREFIXES - p->prefixes_left,
		.anchors = EG_MAX_ANCHORS - p->anchors_left,
	};

	for (uint32_t i = 0; i < EG_MAX_POLICIES; i++) {
		const struct entry *e = p->by_slot[i];

		if (!e)
			continue;
		f.versions++;
		f.used += e->v.refs > 0;
		if (e->v.serial > f.serial)
			f.serial = e->v.serial;
	}
	return f;
}
