/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Workloads that run: marks for their tasks, stamps for their sockets, and off again.
 * See bpf/attach.bpf.c for why nobody slips through.
 */
#ifndef ATTACH_H
#define ATTACH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct agent;
struct diag;
struct sandbox;

struct attach_found {
	uint32_t tasks; /* of the workload, threads too */
	uint32_t others; /* of them, those that another sandbox has */
	uint32_t elsewhere; /* … that are in another mount namespace than the first */
	uint32_t sockets; /* that were stamped */
	uint32_t ended; /* that no program could judge, and were shut down */
	uint32_t rings; /* tasks with an io_uring, and descriptors of one */
};

/*
 * Mark every task in the cgroup of `b` or below it. Its cgroup takes newcomers already.
 * -EAGAIN: a mark could not be put on, after many tries. Without LSM programs nothing is
 * marked, and nothing has to be. `seize`: those that look like container runtimes get
 * it now and not with the program that they set up: they have run in there before.
 * -EPERM, with `seize` alone: one of them traces a process outside.
 */
int attach_tasks(struct agent *a, struct sandbox *b, bool seize, struct attach_found *f,
		 struct diag *d);

/*
 * Stamp the sockets of its tasks. One of a cgroup that the programs do not see yet:
 * they are attached there for the sake of `b`, or, in the root cgroup, it is shut
 * down. -EPERM: a socket of a kind that nobody can judge and the policy does not allow; or,
 * with `seize`, it has sockets of other cgroups and an io_uring, which may hold more.
 */
int attach_sockets(struct agent *a, struct sandbox *b, bool seize, struct attach_found *f,
		   struct diag *d);

/* How many tasks carry its mark, wherever they are; negative errno. */
int attach_count(struct agent *a, const struct sandbox *b, struct diag *d);

/*
 * Take stamps and marks off, everywhere. The cgroup takes no newcomers any more.
 * -EAGAIN: some are left.
 */
int attach_clear(struct agent *a, const struct sandbox *b, struct diag *d);

#endif
