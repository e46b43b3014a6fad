/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Is the agent's enforcement in force? What rounds of proofs (prove.h) say about it over
 * time. Judges alone: no clock, no I/O. See docs/design.md, "The canary".
 */
#ifndef EGRESSCTL_CANARY_H
#define EGRESSCTL_CANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prove.h"

/*
 * A hook that falls silent is told of within ten seconds. The round that sees it begins
 * at most CANARY_EVERY_MAX_MS later, and has the rest of the time.
 */
#define CANARY_EVERY_MS 3000u
#define CANARY_EVERY_MIN_MS 1000u
#define CANARY_EVERY_MAX_MS 4000u
/*
 * Nothing counts as proved for longer, counted from the beginning of the round that
 * proved it: half a second is left for telling.
 */
#define CANARY_FRESH_US 9500000ull
/* Between two rounds, however long they take: a slow host has other things to do, too. */
#define CANARY_REST_US 1000000ull
/*
 * But for as long from the end of a round that itself took longer: on a host that is so
 * slow, whoever waited for it is served, and the next one begins meanwhile.
 */
#define CANARY_GRACE_US (2 * CANARY_REST_US)

enum canary_state {
	/*
	 * Nobody knows: no round has been completed for too long, or none of its accesses
	 * shows anything in one of the layers. Silence may hide behind that.
	 */
	CANARY_UNPROVED,
	/* An access that must be refused was not, and the hook was not proved since. */
	CANARY_SILENT,
	CANARY_PROVED, /* both layers, and no hook is silent */
};

enum canary_layer { CANARY_LSM, CANARY_CGROUP, CANARY_LAYERS };

struct canary_hook {
	enum prove_state last; /* what the last complete round says */
	bool silent;
	uint64_t proved_us; /* when the last round that proved it began; 0: none did */
};

struct canary {
	struct canary_hook hooks[PROVE_MAX_ROWS]; /* as prove_rows[] */
	uint64_t begun_us, ended_us; /* of the last round that was completed; 0: none was */
	char failure[512]; /* why the last round came to nothing; "": it did not */
};

/* All were tried in a round, on any clock that only goes on. */
void canary_round(struct canary *c, const struct prove_result *results, uint64_t begun_us,
		  uint64_t ended_us);
/* A round came to nothing. */
void canary_failed(struct canary *c, const char *why);

enum canary_state canary_state(const struct canary *c, uint64_t now_us);
/* When it is CANARY_UNPROVED if no round is completed until then; 0: it is already. */
uint64_t canary_deadline(const struct canary *c);

/*
 * Has one been proved, and now it cannot be tried any more? That blocks nothing: what a
 * probe needs (an inotify instance of root's) can be used up by a sandbox, and no sandbox
 * is to keep others from being made. What it cannot do is to make a hook look silent.
 */
bool canary_is_lost(const struct canary *c, size_t row, uint64_t now_us);

/*
 * What is wrong, for people, in one line, and what to do about it; both are "" when all is
 * well. Returns `state`.
 */
struct canary_words {
	char text[768], remedy[192];
};
enum canary_state canary_words(const struct canary *c, uint64_t now_us, struct canary_words *w);

#endif
