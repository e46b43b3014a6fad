/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Namespaces of others, and the files that the agent and the whole system rest on. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- namespaces of a process outside ------------------------------------------------------ */

static int enter(const void *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", world.hosted, (const char *)name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : result(setns(fd, 0));
}

static int enter_by_pidfd(const void *flags)
{
	int fd = (int)syscall(SYS_pidfd_open, world.hosted, 0);

	return fd < 0 ? -errno : result(setns(fd, *(const int *)flags));
}

/* From its own to the one that owns it. */
static int owner(const void *unused)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), user;

	(void)unused;
	if (fd < 0)
		return -errno;
	user = ioctl(fd, NS_GET_USERNS);
	return user < 0 ? -errno : result(setns(fd, CLONE_NEWNET));
}

/* ---- files -------------------------------------------------------------------------------- */

static int write_to(const void *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* it runs, and so it was not refused */
	return fd < 0 && errno != ETXTBSY ? -errno : 0;
}

/* Made, and gone at once: it would be every program's. */
static int make_file(const void *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	(void)unlink(path);
	return 0;
}

static int rename_there(const void *path)
{
	char other[256];

	snprintf(other, sizeof(other), "%s-other", (const char *)path);
	return rename(path, other) || rename(other, path) ? -errno : 0;
}

static int remove_directory(const void *path)
{
	/* not empty: who is told so was not refused */
	return rmdir(path) && errno != EBUSY && errno != ENOTEMPTY ? -errno : 0;
}

#define FLAGS(f) &(const int){ f }
#define ROW(n, f, a, e, v) { .name = n, .run = f, .arg = a, .by = BY_ROOT, .judge = "claim", \
			     .err = e, .event = v }
#define NS(n, name_) ROW(n, enter, name_, "EACCES EPERM", NULL)
#define FILE_(n, f, p, v) ROW(n, f, p, "EACCES EPERM EXDEV", v)
/* Where a policy lets everything be written but a secret. */
#define WIDE(n, f, p, v) { .name = n, .run = f, .arg = p, .by = BY_ROOT, .judge = "claim", \
			   .err = "EACCES EPERM EXDEV", .event = v, .policy = "wide" }
#define ALLOWED(n, f, p, policy_) { .name = n, .run = f, .arg = p, .by = BY_ROOT, \
				    .judge = "claim", .err = "", .policy = policy_ }

const struct attack attacks_agent[] = {
	NS("C12:mounts", "mnt"),
	NS("C12:network", "net"),
	NS("C12:pids", "pid"),
	NS("C12:names", "uts"),
	NS("C12:ipc", "ipc"),
	NS("C12:cgroups", "cgroup"),
	ROW("C12:pidfd", enter_by_pidfd, FLAGS(CLONE_NEWNET | CLONE_NEWNS), "EPERM", NULL),
	ROW("C12:owner", owner, NULL, "EPERM", "capable/guard"),

	FILE_("D18:program", write_to, D "/service/egressd", "open/rule"),
	FILE_("D18:rename", rename_there, D "/service/egressd", "rename/rule rename/gain"),
	FILE_("D18:preload", make_file, "/etc/ld.so.preload", "create/rule"),
	FILE_("D18:settings", make_file, "/etc/egressctl-attack.yaml", "create/rule"),
	FILE_("D18:unit", make_file, "/etc/systemd/system/attack.service", "create/rule"),
	FILE_("D18:cron", make_file, "/etc/cron.d/attack", "create/rule"),
	FILE_("D18:run", make_file, "/run/egressctl/attack", "create/rule"),
	FILE_("D18:log", write_to, "/var/log/egressctl/events.jsonl", "open/rule"),
	FILE_("D18:cgroup", remove_directory, "/sys/fs/cgroup/egressctl", "rmdir/guard"),
	FILE_("D18:pins", remove_directory, "/sys/fs/bpf/egressctl", "rmdir/guard"),
	WIDE("D18:wide-preload", make_file, "/etc/ld.so.preload", "create/rule"),
	WIDE("D18:wide-settings", make_file, "/etc/egressctl/policies/attack.yaml", "create/rule"),
	WIDE("D18:wide-unit", make_file, "/etc/systemd/system/egressd.service", "create/rule"),
	WIDE("D18:wide-run", make_file, "/run/egressctl/attack", "create/rule"),
	WIDE("D18:wide-log", write_to, "/var/log/egressctl/events.jsonl", "open/rule"),
	WIDE("D18:wide-rename", rename_there, "/etc/egressctl/policies", "rename/rule rename/gain"),
	WIDE("D18:wide-above", rename_there, "/etc/egressctl", "rename/rule rename/gain"),
	ALLOWED("D18:wide-beside", make_file, "/etc/egressctl-attack.yaml", "wide"),
	ALLOWED("D18:named", make_file, "/etc/egressctl/policies/attack.yaml", "named"),
	{},
};
