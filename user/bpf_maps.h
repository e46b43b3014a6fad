/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of a load: which are pinned where, so that they outlive it, and those that user
 * space writes to as memory. For bpf_load.c; everybody else asks the agent.
 *
 * Zeroed, it may be closed. Errors are negative errno, said in the diag.
 */
#ifndef BPF_MAPS_H
#define BPF_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf_load.h"

struct bpf_object;
struct diag;
struct eg_dfa;
struct eg_holding;
struct eg_port;
struct eg_sandbox;

struct maps {
	/* borrowed, all three; what `links` says may change before maps_pin() */
	struct bpf_object *obj;
	const char *pins; /* directory of the maps that all loads of this ABI share */
	const char *links; /* … of those that only make sense to one load */
	int fds[AGENT_MAP_MAX]; /* the object's */
	struct eg_dfa *dfa;
	struct eg_sandbox *sandboxes;
	struct eg_holding *holding;
	char *ports;
};

/* -ENOENT: the programs lack a map that this egressd knows. */
int maps_choose(struct maps *m, struct bpf_object *obj, const char *pins, const char *links,
		struct diag *d);
/* --egress-only: inode storage needs CONFIG_BPF_LSM, and nothing of it is used then. */
void maps_without_inodes(struct maps *m);
/* Is any of the shared ones there; is each of both kinds? */
bool maps_pinned(const struct maps *m);
bool maps_all_pinned(const struct maps *m);
/* Before the load: it makes what is not there, and takes what is. */
int maps_pin(struct maps *m, struct diag *d);
/* Behind it. */
int maps_loaded(struct maps *m, struct diag *d);
struct eg_port *maps_port(const struct maps *m, uint32_t i);
void maps_close(struct maps *m);

#endif
