/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How much of the loop's time each user has had. All requests are served one after the
 * other, and some (a large policy, a large tree) take long: one user may have half of the time,
 * and UID_TIME_BURST at once, so that others are served, whatever that one asks for.
 */
#ifndef UID_TIME_H
#define UID_TIME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define UID_TIME_BURST 10000000ull /* us */

struct uid_times {
	struct uid_time {
		uid_t uid;
		uint64_t debt, at; /* us, CLOCK_MONOTONIC; half a microsecond is paid back in one */
	} *v;
	size_t n, cap;
};

/* `spent` us were spent for `uid` until `now`. */
void uid_time_charge(struct uid_times *t, uid_t uid, uint64_t spent, uint64_t now);
/* How long it has to wait, us; 0: it may ask. */
uint64_t uid_time_wait(struct uid_times *t, uid_t uid, uint64_t now);
void uid_times_clear(struct uid_times *t);

#endif
