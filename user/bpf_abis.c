/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <linux/types.h>

#include "bpf_abis.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "util.h"

#define PREFIX "abi"
#define MARK_MAX 4096u /* bytes of a struct eg_task of whatever ABI */

unsigned int abis_list(const char *top, unsigned int own, unsigned int abis[ABIS_MAX])
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *d = opendir(top);
	uint64_t abi;

	while (d && n < ABIS_MAX && (e = readdir(d)))
		if (str_starts(e->d_name, PREFIX) &&
		    !parse_u64(e->d_name + strlen(PREFIX), 1, UINT_MAX, &abi) && abi != own)
			abis[n++] = abi;
	if (d)
		closedir(d);
	return n;
}

static void pins(char path[PATH_MAX], const char *top, unsigned int abi, const char *below)
{
	(void)snprintf(path, PATH_MAX, "%s/" PREFIX "%u%s", top, abi, below);
}

/* The number of its sandbox; 0: none, or it has ended. */
static uint64_t mark_of(int tasks, int pidfd, void *value)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	uint64_t sandbox = 0;

	/* a zombie keeps its mark until it is reaped */
	if (bpf_map_lookup_elem(tasks, &pidfd, value) || poll(&p, 1, 0) == 1)
		return 0;
	memcpy(&sandbox, value, sizeof(sandbox));
	return sandbox;
}

static int walk(int tasks, void *value, abi_task_fn fn, void *ctx)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	uint64_t pid, sandbox;
	int n = 0;

	if (!proc)
		return -errno;
	while ((e = readdir(proc))) {
		_cleanup_close_ int pidfd = -1;

		if (parse_u64(e->d_name, 1, INT_MAX, &pid))
			continue;
		pidfd = pidfd_open((pid_t)pid, 0);
		sandbox = pidfd < 0 ? 0 : mark_of(tasks, pidfd, value);
		if (!sandbox)
			continue;
		n++;
		if (fn)
			fn(ctx, pidfd, (pid_t)pid, sandbox);
	}
	closedir(proc);
	return n;
}

int abi_tasks(const char *top, unsigned int abi, abi_task_fn fn, void *ctx)
{
	struct bpf_map_info info = {};
	_cleanup_free_ void *value = NULL;
	_cleanup_close_ int tasks = -1;
	uint32_t len = sizeof(info);
	char path[PATH_MAX];

	pins(path, top, abi, "/map_tasks");
	tasks = bpf_obj_get(path);
	if (tasks < 0)
		return errno == ENOENT ? 0 : -errno; /* with egress alone there are no marks */
	if (bpf_obj_get_info_by_fd(tasks, &info, &len))
		return -errno;
	if (info.type != BPF_MAP_TYPE_TASK_STORAGE || info.value_size < sizeof(uint64_t) ||
	    info.value_size > MARK_MAX)
		return -EPROTO;
	value = malloc(info.value_size);
	return value ? walk(tasks, value, fn, ctx) : -ENOMEM;
}

int abi_cgroup(const char *top, unsigned int abi, int mount)
{
	struct bpf_map_info info = {};
	_cleanup_close_ int cgroups = -1;
	uint32_t len = sizeof(info);
	char path[PATH_MAX];
	uint64_t id, *last = NULL;

	pins(path, top, abi, "/map_cgroups");
	cgroups = bpf_obj_get(path);
	if (cgroups < 0)
		return errno == ENOENT ? 0 : -errno;
	if (bpf_obj_get_info_by_fd(cgroups, &info, &len))
		return -errno;
	if (info.type != BPF_MAP_TYPE_HASH || info.key_size != sizeof(id))
		return -EPROTO;
	for (; !bpf_map_get_next_key(cgroups, last, &id); last = &id) {
		_cleanup_close_ int dir = cgroup_open_id(mount, id);

		if (dir >= 0 && cgroup_populated(dir))
			return 1;
	}
	return 0;
}

void abi_remove(const char *top, unsigned int abi)
{
	char path[PATH_MAX];

	pins(path, top, abi, "");
	sweep_tree(path);
}
