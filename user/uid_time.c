/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>

#include "uid_time.h"
#include "util.h"

static void pay_back(struct uid_time *u, uint64_t now)
{
	uint64_t paid = now > u->at ? (now - u->at) / 2 : 0;

	u->debt -= MIN(paid, u->debt);
	u->at = now;
}

/* Its place; those that owe nothing are forgotten on the way. */
static struct uid_time *find(struct uid_times *t, uid_t uid, uint64_t now)
{
	struct uid_time *found = NULL;
	size_t i, kept = 0;

	for (i = 0; i < t->n; i++) {
		pay_back(&t->v[i], now);
		if (!t->v[i].debt)
			continue;
		t->v[kept] = t->v[i];
		if (t->v[kept].uid == uid)
			found = &t->v[kept];
		kept++;
	}
	t->n = kept;
	return found;
}

void uid_time_charge(struct uid_times *t, uid_t uid, uint64_t spent, uint64_t now)
{
	struct uid_time *u = find(t, uid, now);

	if (!u && spent) {
		if (array_reserve(&t->v, &t->cap, t->n))
			return; /* no memory: this one time is free */
		u = &t->v[t->n++];
		*u = (struct uid_time){ .uid = uid, .at = now };
	}
	if (u)
		u->debt += spent;
}

uint64_t uid_time_wait(struct uid_times *t, uid_t uid, uint64_t now)
{
	const struct uid_time *u = find(t, uid, now);

	return u && u->debt > UID_TIME_BURST ? (u->debt - UID_TIME_BURST) * 2 : 0;
}

void uid_times_clear(struct uid_times *t)
{
	free(t->v);
	*t = (struct uid_times){};
}
