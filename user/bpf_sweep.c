/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf_abis.h"
#include "bpf_load.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "state.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/*
 * Over all processes. The tasks of a dead sandbox cannot fork, so a few suffice; what is
 * left then is stuck in the kernel, and goes on being refused as long as there are pins.
 */
#define MAX_PASSES 64
#define EXIT_MS 2000
#define EMPTY_MS 10000 /* killed tasks end at once, unless stuck in the kernel */

static inline void cleanup_closedir_p(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define _cleanup_closedir_ __cleanup(cleanup_closedir_p)

int task_marked(int tasks_fd, int pidfd, struct eg_task *t)
{
	struct eg_task task = {};

	if (bpf_map_lookup_elem(tasks_fd, &pidfd, &task))
		return errno == ENOENT ? 0 : -errno;
	if (t)
		*t = task;
	return task.sandbox != 0;
}

/* Has the process ended, within that time? */
static bool exited(int pidfd, int timeout_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

/* Is the mark one to be swept? `live` NULL: any of `sandbox`, 0 for all. */
static bool to_sweep(const struct eg_task *t, uint64_t sandbox, const struct eg_sandbox *live)
{
	const struct eg_sandbox *s = live ? &live[t->slot % EG_MAX_SANDBOXES] : NULL;

	if (s)
		return s->id != t->sandbox || s->state != EG_S_LIVE;
	return !sandbox || t->sandbox == sandbox;
}

/* How many were killed or, with `look`, are there. */
static int sweep_pass(int tasks_fd, uint64_t sandbox, const struct eg_sandbox *live, bool look)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *e;
	int killed = 0;

	while (proc && (e = readdir(proc))) {
		_cleanup_close_ int pidfd = -1;
		struct eg_task t;
		long pid;

		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		pid = strtol(e->d_name, NULL, 10);
		if (pid == getpid())
			continue;
		pidfd = pidfd_open(pid, 0);
		if (pidfd < 0 || task_marked(tasks_fd, pidfd, &t) != 1)
			continue;
		if (!to_sweep(&t, sandbox, live))
			continue;
		/* a zombie keeps its mark until it is reaped */
		if (exited(pidfd, 0))
			continue;
		if (look) {
			killed++;
		} else if (!pidfd_send_signal(pidfd, SIGKILL, NULL, 0)) {
			killed++;
			(void)exited(pidfd, EXIT_MS);
		}
	}
	return killed;
}

static int sweep(int tasks_fd, uint64_t sandbox, const struct eg_sandbox *live)
{
	int pass, n, total = 0;

	for (pass = 0; pass < MAX_PASSES; pass++) {
		n = sweep_pass(tasks_fd, sandbox, live, false);
		if (!n)
			break;
		total += n;
	}
	return total;
}

int sweep_marked(int tasks_fd, uint64_t sandbox)
{
	return sweep(tasks_fd, sandbox, NULL);
}

bool sweep_left(int tasks_fd)
{
	return sweep_pass(tasks_fd, 0, NULL, true) > 0;
}

void sweep_dead(int tasks_fd, const struct eg_sandbox *sandboxes)
{
	(void)sweep(tasks_fd, 0, sandboxes);
}

static void remove_below(int dirfd, int depth)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int fd;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	while (d && depth < 8 && (e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (e->d_type == DT_DIR) {
			_cleanup_close_ int sub = openat(dirfd, e->d_name,
							 O_RDONLY | O_DIRECTORY | O_CLOEXEC |
								 O_NOFOLLOW);

			if (sub >= 0)
				remove_below(sub, depth + 1);
		}
		(void)unlinkat(dirfd, e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	}
}

void sweep_tree(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	remove_below(fd, 0);
	(void)rmdir(path); /* stays when something in it did */
}

void sweep_old_links(const char *pins, const char *own)
{
	_cleanup_closedir_ DIR *d = opendir(pins);
	const char *keep = strrchr(own, '/') + 1;
	char path[PATH_MAX + 300];
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (!str_starts(e->d_name, "links-") || str_eq(e->d_name, keep))
			continue;
		snprintf(path, sizeof(path), "%s/%s", pins, e->d_name);
		sweep_tree(path);
	}
}

/* "egressctl-run-PID-START" of a process that is gone. */
static bool is_dead_run(const char *name)
{
	uint64_t start, now;
	int pid;

	if (!str_starts(name, AGENT_NAME_RUN) ||
	    sscanf(name + strlen(AGENT_NAME_RUN), "%d-%" SCNu64, &pid, &start) != 2)
		return false;
	return process_start(pid, &now) == -ESRCH || now != start;
}

/* No sandbox of this map is live any more: its tasks are refused everything, forks too. */
static void mark_dead(const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct eg_sandbox s;
	uint32_t i;

	for (i = 0; fd >= 0 && i < EG_MAX_SANDBOXES; i++) {
		if (bpf_map_lookup_elem(fd, &i, &s) || s.state != EG_S_LIVE)
			continue;
		s.state = EG_S_DEAD;
		(void)bpf_map_update_elem(fd, &i, &s, BPF_ANY);
	}
}

static void kill_task(void *ctx, int pidfd, pid_t pid, uint64_t sandbox)
{
	(void)ctx;
	(void)pid;
	(void)sandbox;
	if (!pidfd_send_signal(pidfd, SIGKILL, NULL, 0))
		(void)exited(pidfd, EXIT_MS);
}

/* False: some are stuck in the kernel, or it cannot be told. */
static bool kill_generation(const char *top, unsigned int abi)
{
	int pass;

	for (pass = 0; pass < MAX_PASSES; pass++)
		if (!abi_tasks(top, abi, kill_task, NULL))
			return true;
	return false;
}

static void sweep_run(const char *bpffs, int cgroup_root, const char *name)
{
	unsigned int abis[ABIS_MAX], n, i;
	_cleanup_close_ int dir = -1;
	char top[PATH_MAX + 300], path[PATH_MAX + 400];

	dir = openat(cgroup_root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir >= 0) {
		(void)cgroup_kill(dir);
		if (cgroup_wait_empty(dir, EMPTY_MS))
			return; /* the pins must outlive its tasks */
	}
	(void)snprintf(top, sizeof(top), "%s/%s", bpffs, name);
	n = abis_list(top, 0, abis);
	for (i = 0; i < n; i++) {
		/* of another ABI we cannot refuse forks: the passes have to win */
		(void)snprintf(path, sizeof(path), "%s/abi%u/map_sandboxes", top, abis[i]);
		if (abis[i] == EG_ABI)
			mark_dead(path);
		if (!kill_generation(top, abis[i]))
			return;
	}
	sweep_tree(top);
	(void)cgroup_remove(cgroup_root, name);
}

void sweep_dead_runs(void)
{
	char bpffs[PATH_MAX - 64], cgroup[PATH_MAX];
	_cleanup_close_ int root = -1;
	const char *dirs[2];
	size_t i;

	if (mount_find("bpf", bpffs, sizeof(bpffs)) ||
	    mount_find("cgroup2", cgroup, sizeof(cgroup)))
		return;
	root = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return;
	dirs[0] = bpffs;
	dirs[1] = cgroup;
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_closedir_ DIR *d = opendir(dirs[i]);
		struct dirent *e;

		while (d && (e = readdir(d)))
			if (is_dead_run(e->d_name))
				sweep_run(bpffs, root, e->d_name);
	}
}
