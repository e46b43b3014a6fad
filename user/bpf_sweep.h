/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cleaning up behind agents: pins, directories, and tasks that carry a mark.
 */
#ifndef BPF_SWEEP_H
#define BPF_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

struct eg_sandbox;
struct eg_task;

/*
 * The mark of a process (pidfd) in the map `tasks`: 1 when sandboxed, 0 when
 * not, negative errno. `t` may be NULL.
 */
int task_marked(int tasks_fd, int pidfd, struct eg_task *t);

/*
 * SIGKILL to every process whose mark is that of `sandbox` (0: any), wherever
 * it is. Goes on until a pass over all processes finds none. Returns how many.
 */
int sweep_marked(int tasks_fd, uint64_t sandbox);

/* Is there a process with a mark that has not ended? Until then pins have to stay. */
bool sweep_left(int tasks_fd);

/* sweep_marked() for marks of sandboxes that are not live any more. */
void sweep_dead(int tasks_fd, const struct eg_sandbox *sandboxes);

/* Remove a directory of pins and all below it. Failures are ignored. */
void sweep_tree(const char *path);

/* Remove the link directories in `pins` except `own`. */
void sweep_old_links(const char *pins, const char *own);

/*
 * Remove what agents of dead `egressctl run` processes left behind: their tasks
 * are killed, then directories and pins go. Failures are ignored: the next
 * agent tries again.
 */
void sweep_dead_runs(void);

#endif
