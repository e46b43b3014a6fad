/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Versions: compiled policies in the maps.
 *
 * A version is filled completely before any sandbox points at it, is never
 * changed in a way that allows more afterwards, and is freed only when no
 * sandbox points at it and every program that could have read it has ended.
 */
#ifndef PUBLISH_H
#define PUBLISH_H

#include <stddef.h>
#include <stdint.h>

struct agent;
struct compiled;
struct diag;
struct publisher;

struct version {
	uint32_t slot; /* index in the map `policies` */
	uint32_t serial; /* never reused in one boot */
	uint32_t family; /* as in struct eg_policy */
	uint32_t refs; /* sandboxes that point at it */
	uint64_t lapses; /* ns, CLOCK_BOOTTIME; 0: never */
	const struct version *next; /* what holds then, referenced */
	const struct compiled *compiled; /* owned by the publisher */
};

/*
 * The tables are shared. A user's sandboxes have a quarter of each at most, which is 64
 * policies of the shipped kind with all their grants; so that it takes four to fill them,
 * and those meet the eighth that is kept for root, and for what is denied. Root has no share.
 */
#define PUBLISH_SHARES 4u
#define PUBLISH_KEPT_PART 8u

enum publish_room {
	PUBLISH_SHARE, /* of who pays, and what is kept stays */
	PUBLISH_DENIES, /* of who pays, and what is kept, too */
	PUBLISH_ALL, /* root, and what is taken back: whatever is free */
};

/* How a version of grants hangs together with others. */
struct version_tail {
	enum publish_room room;
	uint32_t family; /* 0: one of its own */
	uint64_t lapses;
	const struct version *next; /* with `lapses` */
	/* its path rules are the same (policy.paths_of), and so are the objects they are about */
	const struct version *paths_of;
};

int publisher_new(struct agent *a, struct publisher **out, struct diag *d);
void publisher_free(struct publisher *p);

/*
 * Put `c` in the maps, or find the version that was published from the same
 * `key` (everything the policy was compiled from), and take a reference. `c` is
 * owned by the publisher from here on, also on failure. -ENOSPC, -EDQUOT: `d` names the
 * limit that is reached; nothing stays half loaded.
 */
int publisher_put(struct publisher *p, struct compiled *c, const char *key, size_t key_len,
		  const struct version_tail *tail /* NULL: none */, const struct version **out,
		  struct diag *d);

/* What a version was published from; owned by the publisher. */
const char *publisher_key(const struct publisher *p, const struct version *v, size_t *len);
/*
 * Wait until every program that started before now has ended: nothing is decided by a
 * version any more that no sandbox points at.
 */
void publisher_wait(const struct publisher *p);

/*
 * A version with this key that need not be compiled again; takes a reference.
 * Its anchors are looked up again: NULL with a message in `d` when that fails,
 * NULL without one when there is no such version.
 */
const struct version *publisher_get(struct publisher *p, const char *key, size_t key_len,
				    struct diag *d);
void publisher_ref(struct publisher *p, const struct version *v);

/*
 * Drop a reference. Versions without one stay as a cache until their space is
 * needed.
 */
void publisher_unref(struct publisher *p, const struct version *v);
/* Drop all of that cache: whoever takes the versions over would compile each of them again. */
void publisher_trim(struct publisher *p);

/* For events: the version of that serial, or NULL. */
const struct compiled *publisher_find(const struct publisher *p, uint32_t serial);

/*
 * Take the versions of an earlier egressd, which are in the maps that were
 * adopted, under management. `compile` makes the tables for people again from a
 * key; -ENOENT when nothing was saved of a version that a sandbox uses.
 */
typedef struct compiled *(*publisher_compile_fn)(void *ctx, const char *key, size_t key_len);
int publisher_adopt(struct publisher *p, publisher_compile_fn compile, void *ctx, struct diag *d);
/* The version of that serial, or NULL. */
const struct version *publisher_version(const struct publisher *p, uint32_t serial);
struct publisher_fill { /* entries in use */
	uint64_t versions, slots, ports, prefixes, anchors;
	uint64_t used; /* of versions: a sandbox points at it */
	uint32_t serial; /* of the newest version */
};
struct publisher_fill publisher_fill(const struct publisher *p);
/* The version in a slot of the map `policies`, or NULL. */
const struct version *publisher_at(const struct publisher *p, uint32_t slot);

/* ---- ranges: pure, for the allocator's test ------------------------------------ */

struct ranges {
	struct range {
		uint32_t first, count;
	} *free; /* sorted, disjoint, not adjacent */
	size_t nfree, cap;
};

int ranges_init(struct ranges *r, uint32_t first, uint32_t count);
void ranges_fini(struct ranges *r);
/* First fit. -ENOSPC, -ENOMEM. A count of 0 gives first 0 and takes nothing. */
int ranges_take(struct ranges *r, uint32_t count, uint32_t *first);
/* Take exactly this range: -EEXIST when part of it is taken. */
int ranges_take_at(struct ranges *r, uint32_t first, uint32_t count);
/* -EINVAL when part of it is free already. Never fails for a range that was taken. */
int ranges_give(struct ranges *r, uint32_t first, uint32_t count);

#endif
