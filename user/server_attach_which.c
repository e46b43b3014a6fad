/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which cgroup is meant, whether it may be attached, and who is in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "bpf_load.h"
#include "cgroup.h"
#include "sandbox.h"
#include "server_attach.h"
#include "task_check.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/* "/sys/fs/cgroup/a/b" and "/a/b" are one; in `out` without the mount, "/" for the root. */
static int normal_path(const char *given, char out[PATH_MAX], struct diag *d)
{
	char mount[PATH_MAX];
	size_t n;

	if (mount_find("cgroup2", mount, sizeof(mount)))
		return diag_set(d, -ENOTSUP, "no cgroup v2 file system is mounted");
	n = strlen(mount);
	if (str_starts(given, mount) && (given[n] == '/' || !given[n]))
		given += n;
	if ((*given && *given != '/') || strlen(given) >= PATH_MAX)
		return diag_set(d, -EINVAL, "'%s' is not the path of a cgroup: it begins with a /",
				given);
	strcpy(out, *given ? given : "/");
	n = strlen(out);
	while (n > 1 && out[n - 1] == '/')
		out[--n] = 0;
	if (strstr(out, "//") || strstr(out, "/../") || strstr(out, "/./") ||
	    str_ends(out, "/..") || str_ends(out, "/."))
		return diag_set(d, -EINVAL, "'%s': give the path without '//', '.' and '..'",
				given);
	return 0;
}

/* `above` is `path` or a directory above it; both below the mount. */
static bool is_above(const char *above, const char *path)
{
	size_t n = strlen(above);

	return n == 1 || (str_starts(path, above) && (!path[n] || path[n] == '/'));
}

static int cgroup_of_pid(pid_t pid, char *buf, size_t size)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);

	return pidfd < 0 ? -errno : task_cgroup(pidfd, buf, size);
}

bool attach_has(const char *path, pid_t pid)
{
	char in[PATH_MAX];

	return !cgroup_of_pid(pid, in, sizeof(in)) && is_above(path, in);
}

/* What must never be under a policy: the host itself, and who enforces it. */
int attach_refuse_vital(struct server *s, const char *path, struct diag *d)
{
	char other[PATH_MAX], mount[PATH_MAX];
	const char *own = agent_cgroup_path(s->a);

	if (str_eq(path, "/"))
		return diag_set(d, -EPERM,
				"the root cgroup is the whole host: it cannot be attached");
	if (!cgroup_of_pid(getpid(), other, sizeof(other)) && is_above(path, other))
		return diag_set(d, -EPERM, "egressd itself runs in %s: it cannot be attached",
				path);
	if (!cgroup_of_pid(1, other, sizeof(other)) && is_above(path, other))
		return diag_set(d, -EPERM, "process 1 runs in %s: it cannot be attached", path);
	if (!mount_find("cgroup2", mount, sizeof(mount)) && str_starts(own, mount))
		own += strlen(mount);
	if (is_above(path, own))
		return diag_set(d, -EPERM,
				"egressctl's own sandboxes are below %s: it cannot be "
				"attached",
				path);
	if (cgroup_depth("", path) > EG_CGROUP_DEPTH)
		return diag_set(d, -ELOOP, "%s is more than %u levels deep", path, EG_CGROUP_DEPTH);
	return 0;
}

/* One cgroup is one sandbox's, and so is what is below it. */
int attach_refuse_overlap(struct server *s, const char *path, struct diag *d)
{
	struct sandbox *b = NULL;

	while ((b = sandboxes_next(s->sandboxes, b))) {
		/* removed, and somebody was moved out before: another may be made at its path */
		if (sandbox_kind(b) != SANDBOX_ATTACHED ||
		    !cgroup_has_file(sandbox_cgroup_fd(b), "cgroup.procs"))
			continue;
		if (is_above(sandbox_path(b), path))
			return diag_set(d, -EEXIST,
					"%s is in sandbox %llu already, which has %s under the "
					"policy %s: detach it first",
					path, (unsigned long long)sandbox_id(b), sandbox_path(b),
					sandbox_policy(b));
		if (is_above(path, sandbox_path(b)))
			return diag_set(d, -EEXIST,
					"%s below it is attached already, as sandbox %llu: a "
					"workload is "
					"in one sandbox only",
					sandbox_path(b), (unsigned long long)sandbox_id(b));
	}
	if (cgroup_is_sandbox(path))
		return diag_set(d, -EEXIST, "%s is a sandbox of egressctl already", path);
	return 0;
}

int attach_open_path(struct server *s, const char *path, struct diag *d)
{
	int fd = openat(agent_cgroup_root_fd(s->a), path + 1,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? diag_set(d, -errno, "no cgroup %s: %s", path, strerror(errno)) : fd;
}

/* Any process in it or below it; 0: it is empty. */
pid_t attach_first_process(int dirfd)
{
	_cleanup_close_ int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	char list[64];
	pid_t pid = 0;
	DIR *dir;

	if (!cgroup_read(dirfd, "cgroup.procs", list, sizeof(list)) && atoi(list) > 0)
		return atoi(list);
	dir = own < 0 ? NULL : fdopendir(own);
	if (!dir)
		return 0;
	(void)steal_fd(&own);
	while (!pid && (e = readdir(dir))) {
		_cleanup_close_ int sub = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		sub = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub >= 0)
			pid = attach_first_process(sub);
	}
	closedir(dir);
	return pid;
}

void attach_leader(struct sandbox *b)
{
	pid_t pid = attach_first_process(sandbox_cgroup_fd(b));

	/* an empty one is taken to be in our own network, until it is attached again */
	sandbox_set_leader(b, pid ? pid : getpid());
}

/* Its cgroup, or that of a process. */
int attach_find_cgroup(const struct attach_request *r, char path[PATH_MAX], struct diag *d)
{
	int err;

	if (r->cgroup)
		return normal_path(r->cgroup, path, d);
	err = cgroup_of_pid(r->pid, path, PATH_MAX);
	return err ? diag_set(d, err, "no process %d: %s", r->pid, strerror(-err)) : 0;
}
