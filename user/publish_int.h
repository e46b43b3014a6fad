/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What publish.c and publish_state.c share; everything else uses publish.h. */
#ifndef PUBLISH_INT_H
#define PUBLISH_INT_H

#include <linux/types.h>
#include <stdbool.h>

#include "diag.h"
#include "publish.h"
#include "rcu_wait.h"

#include "../bpf/egressctl.h"

struct publisher;

/* objects and what is allowed on them, sorted by object, each one once */
struct anchor_set {
	struct bound_anchor {
		struct eg_object object;
		struct eg_anchor v; /* state not relocated */
		uint32_t anchor; /* index in compiled.anchors[] */
		int fd; /* keeps the object what it is, or -1; see struct anchor_object */
	} *a;
	uint32_t n;
};

/* publish_anchors.c */
void anchor_set_clear(struct anchor_set *set);
/* Nobody is judged by it now: mounts need not be kept busy. */
void anchor_set_release(struct anchor_set *set);
bool anchor_set_same(const struct anchor_set *a, const struct anchor_set *b);
/* The objects that the anchors of `c` name now. */
int publish_bind_anchors(struct publisher *p, const struct compiled *c, struct anchor_set *out,
			 struct diag *d);

struct entry {
	struct version v; /* first: handed out as a pointer to it */
	struct compiled *compiled;
	char *key;
	size_t key_len;
	uint64_t hash;
	uint64_t last_used;
	struct range slots, ports;
	uint32_t nprefixes; /* in the map */
	struct anchor_set anchors;
	uint32_t anchors_put; /* of them, in the map */
	bool adopted; /* anchors[].anchor is not known */
	bool stale; /* its anchors mean other objects by now: not for new sandboxes */
};

struct publisher {
	struct agent *a;
	struct rcu_wait wait;
	struct ranges slots, ports;
	uint32_t prefixes_left, anchors_left;
	uint64_t clock;
	struct entry *by_slot[EG_MAX_POLICIES];
};

/* As they were found for another version with the same ones, and are still held. */
int publish_copy_anchors(const struct entry *from, const struct compiled *c,
			 struct anchor_set *out, struct diag *d);
/* e->anchors into the map, and into `head` what the programs ask first. */
int publish_put_anchors(struct publisher *p, struct entry *e, struct eg_policy *head,
			struct diag *d);
/* Owns `c` in any case. NULL: out of memory. */
struct entry *publish_new_entry(struct compiled *c, const char *key, size_t key_len);
/* publish_budget.c: -EDQUOT, -ENOSPC with a message that names the table. */
int publish_afford(const struct publisher *p, const struct compiled *c, enum publish_room room,
		   struct diag *d);
/* Gives its ranges back; its rows must be out of the maps. */
void publish_free_entry(struct publisher *p, struct entry *e);

/*
 * What the next egressd needs to go on with a version, in the state directory;
 * nothing is kept for agents that nobody adopts.
 */
int publish_save(const struct publisher *p, const struct entry *e, struct diag *d);
void publish_forget(const struct publisher *p, const struct entry *e);

#endif
