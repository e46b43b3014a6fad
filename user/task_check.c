/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "bpf_load.h"
#include "cgroup.h"
#include "diag.h"
#include "task_check.h"
#include "util.h"

/* A small /proc file as text. */
static int read_proc(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	return 0;
}

static int check_privs(const char *status, struct diag *d)
{
	const char *p = strstr(status, "\nNoNewPrivs:");

	if (p && strtoul(p + strlen("\nNoNewPrivs:"), NULL, 10) == 1)
		return 0;
	return diag_set(d, -EPERM,
			"the process could gain rights by set-uid programs (no_new_privs is not "
			"set), which egressd.yaml does not allow");
}

pid_t pidfd_pid(int pidfd)
{
	char path[48], buf[512], *p;
	int err;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	err = read_proc(path, buf, sizeof(buf));
	if (err)
		return err == -ESRCH ? -EBADF : err;
	p = strstr(buf, "\nPid:");
	if (!p)
		return -EBADF;
	/* -1: reaped; 0: in a pid namespace that is not below ours */
	return atoi(p + 5) > 0 ? atoi(p + 5) : -ESRCH;
}

static int check_status(const char *status, uid_t uid, struct diag *d)
{
	unsigned int u[4], threads;
	const char *p = strstr(status, "\nUid:"), *t = strstr(status, "\nThreads:");

	if (!p || sscanf(p, "\nUid:%u%u%u%u", &u[0], &u[1], &u[2], &u[3]) != 4 || !t ||
	    sscanf(t, "\nThreads:%u", &threads) != 1)
		return diag_set(d, -EPROTO, "cannot tell whose process this is");
	if (uid && (u[0] != uid || u[1] != uid || u[2] != uid || u[3] != uid))
		return diag_set(d, -EPERM, "the process belongs to another user");
	if (threads != 1)
		return diag_set(d, -EPERM, "the process has more than one thread");
	return 0;
}

int task_check(int pidfd, uid_t uid, pid_t *pid, struct diag *d)
{
	char path[32], buf[4096];
	pid_t at = pidfd_pid(pidfd);
	int err;

	if (at == -EBADF)
		return diag_set(d, at, "the descriptor is not that of a process");
	if (at < 0)
		return diag_set(d, at, "the command's process ended before it began");
	snprintf(path, sizeof(path), "/proc/%d/status", at);
	err = read_proc(path, buf, sizeof(buf));
	if (err || pidfd_pid(pidfd) != at)
		return diag_set(d, -ESRCH, "the command's process ended before it began");
	err = check_status(buf, uid, d);
	if (!err)
		*pid = at;
	return err;
}

int task_check_privs(int pidfd, struct diag *d)
{
	char path[32], buf[4096];
	pid_t at = pidfd_pid(pidfd);
	int err;

	snprintf(path, sizeof(path), "/proc/%d/status", at);
	err = at < 0 ? at : read_proc(path, buf, sizeof(buf));
	if (err || pidfd_pid(pidfd) != at)
		return diag_set(d, -ESRCH, "the process has ended");
	return check_privs(buf, d);
}

int task_cwd(int pidfd, char *buf, size_t size)
{
	char path[32];
	pid_t pid = pidfd_pid(pidfd);
	ssize_t n;

	if (pid < 0)
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	n = readlink(path, buf, size);
	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = 0;
	if (pidfd_pid(pidfd) != pid)
		return -ESRCH;
	if (buf[0] != '/' || str_ends(buf, " (deleted)"))
		return -ENOENT;
	return 0;
}

/* Parent of a process. */
static pid_t parent_of(pid_t pid)
{
	char path[32], buf[4096], *p;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (read_proc(path, buf, sizeof(buf)))
		return -ESRCH;
	p = strstr(buf, "\nPPid:");
	return p ? atoi(p + 6) : -EPROTO;
}

static int cgroup_of(pid_t pid, char *buf, size_t size)
{
	char path[32], text[PATH_MAX + 512], *p;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	err = read_proc(path, text, sizeof(text));
	if (err)
		return err;
	p = str_starts(text, "0::") ? text : strstr(text, "\n0::");
	p = p ? strchr(p, '/') : NULL;
	if (!p)
		return -ENOENT;
	p[strcspn(p, "\n")] = 0;
	if (strlen(p) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, p);
	return 0;
}

int task_cgroup(int pidfd, char *buf, size_t size)
{
	pid_t pid = pidfd_pid(pidfd);
	int err;

	if (pid < 0)
		return pid;
	err = cgroup_of(pid, buf, size);
	return !err && pidfd_pid(pidfd) != pid ? -ESRCH : err;
}

bool cgroup_is_sandbox(const char *path)
{
	const char *p = strstr(path, "/" AGENT_NAME_SERVICE);

	/* "/egressctl/s12" or "/egressctl-run-77-123/s1" */
	p = p ? strchr(p + 1, '/') : NULL;
	return p && p[1] == 's' && p[2] >= '0' && p[2] <= '9';
}

bool task_self_in_sandbox(void)
{
	char path[PATH_MAX];

	return !cgroup_of(getpid(), path, sizeof(path)) && cgroup_is_sandbox(path);
}

void task_move_to_parents_cgroup(pid_t pid)
{
	char mount[PATH_MAX], path[PATH_MAX], dir[2 * PATH_MAX], text[16];
	_cleanup_close_ int fd = -1;
	pid_t parent = parent_of(pid);

	if (parent <= 0 || mount_find("cgroup2", mount, sizeof(mount)) ||
	    cgroup_of(parent, path, sizeof(path)))
		return;
	snprintf(dir, sizeof(dir), "%s%s", mount, path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "%d", pid);
	(void)cgroup_write(fd, "cgroup.procs", text); /* it may have ended */
}
