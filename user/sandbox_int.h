/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a sandbox is made of, for sandbox.c (one of them) and sandboxes.c (all of them, by
 * number and by slot).
 */
#ifndef SANDBOX_INT_H
#define SANDBOX_INT_H

#include "sandbox.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define ID_BUCKETS 1024u /* every event looks its sandbox up */

struct sandbox {
	struct sandboxes *all;
	uint64_t id;
	uint32_t slot;
	uint64_t started;
	char dir[32]; /* name of the cgroup directory */
	int cgroup;
	int events; /* cgroup.events */
	bool hidden;
	pid_t leader;
	char *name, *path; /* path: of the cgroup, below the mount */
	char *policies, *policy; /* see sandbox.h */
	struct limits limits;
	const struct version *version;
	uid_t uid;
	void *owner;
	enum sandbox_kind kind;
	uint64_t *covers;
	size_t ncovers, covers_cap;
	struct sandbox *next_of_hash;
};

struct sandboxes {
	struct agent *a;
	struct publisher *p;
	uint32_t next_slot;
	int numbers; /* directory; -1: none */
	struct sandbox *by_slot[EG_MAX_SANDBOXES];
	struct sandbox *by_id[ID_BUCKETS];
};

/* A number that no sandbox had. -EOVERFLOW: there is none left in this boot. */
int sandboxes_number(struct sandboxes *s, uint64_t *id, struct diag *d);
/* A slot that is free, and stays so until sandboxes_add(). -ENOSPC: there is none. */
int sandboxes_slot(struct sandboxes *s, uint32_t *slot);
/* `b` can be found from now on, by its number and slot; and no longer. */
void sandboxes_add(struct sandbox *b);
void sandboxes_drop(struct sandbox *b);
/* Drops it and what it holds open; neither its slot in the maps nor its cgroup. */
void sandbox_free(struct sandbox *b);

#endif
