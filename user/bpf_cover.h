/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Covered cgroups: those that the programs for sockets are attached to, beside the
 * parent of the agent's own sandboxes. A socket belongs to the cgroup its maker was in,
 * so that is where its packets are seen. Never the root: whoever is in no sandbox pays
 * nothing.
 */
#ifndef BPF_COVER_H
#define BPF_COVER_H

#include <stdbool.h>
#include <stdint.h>

struct covers;
struct diag;
struct progs;

/* The programs, `map` (the map `covered`) and `root` (cgroup2 mount) stay the caller's. */
struct covers *covers_new(struct progs *progs, int map, int root);
/* Closes the descriptors; what is pinned stays in force. */
void covers_free(struct covers *c);

/*
 * Attach to a cgroup, or count one more user of it. -EBUSY, -EPERM: somebody's program
 * there allows no other beside it.
 */
int covers_add(struct covers *c, int dirfd, uint64_t id, struct diag *d);
/* The same by the cgroup's id alone. -ESTALE: it is gone. */
int covers_add_id(struct covers *c, uint64_t id, struct diag *d);
/* One user less; the last one's programs are detached. */
void covers_drop(struct covers *c, uint64_t id);

/*
 * All that an earlier agent covered, without a user yet: before that one's programs are
 * detached. covers_sweep() takes away what nobody asked for afterwards.
 */
int covers_adopt(struct covers *c, struct diag *d);
void covers_sweep(struct covers *c);

#endif
