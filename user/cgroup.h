/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup v2 directories, always through directory descriptors: a path could
 * have been removed and made again by somebody else.
 */
#ifndef CGROUP_H
#define CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct diag;

/*
 * The first mount of a file system type in /proc/self/mounts (cgroup v2 is not
 * always at /sys/fs/cgroup: hybrid hosts). Unescaped path in `buf`. -ENOENT.
 */
int mount_find(const char *fstype, char *buf, size_t size);

/* The kernel's 64-bit id of a cgroup directory. */
int cgroup_id(int dirfd, uint64_t *id);
/* Open the directory with this id; `mount` is one of the mount. -ESTALE: it is gone. */
int cgroup_open_id(int mount, uint64_t id);
/* Levels below the root of the hierarchy, of a path below the mount. */
uint32_t cgroup_depth(const char *mount, const char *path);

/* Write a whole value to a control file in one write. */
int cgroup_write(int dirfd, const char *file, const char *value);
int cgroup_read(int dirfd, const char *file, char *buf, size_t size);
bool cgroup_has_file(int dirfd, const char *file);

/*
 * Make controllers available to the children of `dirfd`. -EOPNOTSUPP: the
 * hierarchy does not have it (on hybrid hosts cgroup v1 does).
 */
int cgroup_enable(int dirfd, const char *controller);

/* Make `name` below `parent`. -EEXIST. */
int cgroup_make(int parent, const char *name);

/*
 * Its cgroup.events: readable with POLLPRI when the cgroup may have become empty, and
 * cgroup_is_empty() of that tells, and arms the next notification.
 */
int cgroup_open_events(int dirfd);
bool cgroup_is_empty(int events);

/* 1 when any task is in it or below it, 0 when none, negative errno. */
int cgroup_populated(int dirfd);

/*
 * Signal every process in it and below it, one after the other: who forks meanwhile may be
 * left out, and a number that is used again just then gets it.
 */
void cgroup_signal(int dirfd, int sig);

/*
 * SIGKILL to everything in it and below it: cgroup.kill where the kernel has it
 * (5.14), else freeze and kill each. Returns before they are gone.
 */
int cgroup_kill(int dirfd);

/*
 * Wait until nothing is left in it (poll of cgroup.events). -ETIME after
 * `timeout_ms` (-1: none).
 */
int cgroup_wait_empty(int dirfd, int timeout_ms);

/* Remove `name` below `parent` and everything below it; all must be empty. */
int cgroup_remove(int parent, const char *name);

#endif
