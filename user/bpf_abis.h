/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Generations: what an agent of another ABI pinned. Its own programs go on holding its
 * sandboxes, beside ours; its maps mean nothing to us, but for one thing that every ABI
 * keeps: the mark of a task begins with the number of its sandbox (struct eg_task).
 */
#ifndef BPF_ABIS_H
#define BPF_ABIS_H

#include <stdint.h>
#include <sys/types.h>

#define ABIS_MAX 16u /* at once; pins of more are left alone, and hold */

/* The ABIs but `own` (0: none is) that have pins below `top`. How many. */
unsigned int abis_list(const char *top, unsigned int own, unsigned int abis[ABIS_MAX]);

/* A process with a mark that has not ended. */
typedef void (*abi_task_fn)(void *ctx, int pidfd, pid_t pid, uint64_t sandbox);

/*
 * All of them, by one walk over /proc; fn may be NULL. How many; negative errno: cannot
 * be told, and the pins have to stay.
 */
int abi_tasks(const char *top, unsigned int abi, abi_task_fn fn, void *ctx);

/*
 * Is there a process in a cgroup that it holds? With egress alone there are no marks, and an
 * attached workload is in a cgroup of its own. `mount`: of cgroup v2.
 */
int abi_cgroup(const char *top, unsigned int abi, int mount);

/* Remove its pins, and with them what they hold. */
void abi_remove(const char *top, unsigned int abi);

#endif
