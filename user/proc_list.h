/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The processes of a cgroup and of those below it. Reading what a hostile process is
 * called may block for as long as it likes (its arguments are its own memory): only
 * for processes that nothing waits for.
 */
#ifndef PROC_LIST_H
#define PROC_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_LIST_MAX 4096u /* processes, and cgroups below, of one answer */
#define PROC_COMMAND_MAX 512u /* bytes of a command that are kept */

struct proc {
	pid_t pid, parent; /* in the reader's namespace */
	uid_t uid;
	unsigned int depth; /* below the topmost one that is in the list */
	char *command; /* arguments with spaces between; [comm] when there are none */
	size_t len; /* any bytes */
};

struct proc_list {
	struct proc *v; /* as a tree: children right after their parent */
	size_t n, cap;
	uint64_t *cgroups; /* kernfs ids: the cgroup and all below it */
	size_t ncgroups, cgroups_cap;
	bool more; /* over PROC_LIST_MAX: the rest is not in it */
};

/* cgroup_fd stays the caller's. Negative errno; *list is to be cleared in any case. */
int proc_list_read(struct proc_list *list, int cgroup_fd);
void proc_list_clear(struct proc_list *list);

#endif
