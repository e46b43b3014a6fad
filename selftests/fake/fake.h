/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A kernel in memory, for what no kernel does on demand: a map that takes nothing any more, a
 * peer of another user. Linked in place of bpf_load.c, cgroup.c, state.c and the like (whatever
 * names the same functions is not taken from the library), so that the server above them is
 * the real one. Nothing is enforced, and nothing outside of a directory of its own is touched.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf_load.h"

struct eg_sandbox;

/* Everything from the beginning: maps, cgroups, state, counters. */
int fake_begin(struct agent **a);
void fake_end(void);

/* ---- fake_maps.c ------------------------------------------------------------------------- */

void fake_maps_reset(void);
int fake_map_fd(enum agent_map which);
uint32_t fake_rows(enum agent_map which); /* of a hash */
/* The value of a row, or NULL; without counting as a call. */
const void *fake_row(enum agent_map which, const void *key);

/* Storage of tasks whose sandbox is not live goes, as with the task. */
void fake_tasks_end(const struct eg_sandbox *sandboxes);

/* Calls that may fail: one of these, or any. */
enum fake_call { FAKE_ANY, FAKE_UPDATE, FAKE_DELETE, FAKE_LOOKUP, FAKE_NEXT, FAKE_CGROUP,
		 FAKE_STATE };
/* The n-th from now fails with `err` (positive); 0: none does. */
void fake_fail(enum fake_call kind, unsigned long n, int err);
bool fake_failed(void); /* it has, since then */
/* For the other files: does this one? Then errno is set. */
bool fake_fails(enum fake_call kind);
/* Called before each call, for what must hold at every moment. NULL: nothing. */
void fake_watch(void (*fn)(void *ctx), void *ctx);

/* ---- fake_agent.c ------------------------------------------------------------------------ */

void fake_agent_reset(void);
void fake_anchors(bool found); /* what policies name is there */

/* ---- fake_host.c ------------------------------------------------------------------------- */

const char *fake_dir(void);
int fake_host_begin(void);
void fake_host_end(void);
int fake_cgroup_root(void);
int fake_cgroup_parent(void);
uint32_t fake_cgroups(void); /* directories of sandboxes */
uint32_t fake_state_files(void);

/* Who the peer of the next connections is; -1: who it is. */
void fake_peer(int64_t uid);

#endif
