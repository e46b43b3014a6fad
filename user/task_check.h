/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Questions about a process that somebody else controls: always by pidfd, and
 * what /proc/PID says counts only when the pidfd still names PID afterwards.
 */
#ifndef TASK_CHECK_H
#define TASK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct diag;

/* Pid behind a pidfd (a zombie's too); -ESRCH: reaped. -EBADF: not a pidfd. */
pid_t pidfd_pid(int pidfd);

/*
 * May `uid` put this process into a sandbox? All its user ids are `uid` (root
 * may take anybody's) and it has one thread, so that one mark covers it.
 */
int task_check(int pidfd, uid_t uid, pid_t *pid, struct diag *d);

/*
 * -EPERM with a message when a program that it executes may have more rights than it has.
 * no_new_privs is for good, so that 0 holds for all it will ever start.
 */
int task_check_privs(int pidfd, struct diag *d);

/* Its working directory as this process sees it. -ENOENT: removed or not reachable. */
int task_cwd(int pidfd, char *buf, size_t size);

/* Its cgroup v2 path, from the root of the hierarchy. -ENOENT: none. */
int task_cgroup(int pidfd, char *buf, size_t size);
/* Is that the cgroup of a sandbox, ours or of another agent? */
bool cgroup_is_sandbox(const char *path);

/* Is the calling process in one? For a message: what keeps it in is elsewhere. */
bool task_self_in_sandbox(void);

/* Move a process back to the cgroup that its parent is in. */
void task_move_to_parents_cgroup(pid_t pid);

#endif
