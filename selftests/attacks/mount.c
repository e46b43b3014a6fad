/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mounts, roots and namespaces that give what is closed another name. In `userns`
 * and `mounts` an ordinary user is root in a user namespace, which the policy allows.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> do not go together in glibc 2.36 */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);

#define MS_BIND_ 4096
#define MS_MOVE_ 8192
#define MS_REMOUNT_ 32
#define MS_REC_PRIVATE (16384 | (1 << 18))
#define DETACH 2
#define M D "/mnt"

/* So that a control harms nobody: what is mounted goes with the process. */
static int apart(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC_PRIVATE, NULL))
		return -errno;
	return 0;
}

/* ---- in the namespace where the sandbox began, or one of its own ----------------------- */

static int bind_apart(const void *unused)
{
	int r = apart();

	(void)unused;
	if (r)
		return r;
	return mount(CLOSED, M, NULL, MS_BIND_, NULL) ? -errno : loot_path(M "/key");
}

static int bind_here(const void *unused)
{
	int r;

	(void)unused;
	if (mount(CLOSED, M, NULL, MS_BIND_, NULL))
		return -errno;
	r = loot_path(M "/key");
	(void)umount2(M, DETACH);
	return r;
}

static int clone_tree(const void *unused)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, CLOSED, OPEN_TREE_CLONE), key;

	(void)unused;
	if (fd < 0)
		return -errno;
	key = openat(fd, "key", O_RDONLY | O_CLOEXEC);
	return key < 0 ? -errno : loot_fd(key);
}

static int clone_and_move(const void *unused)
{
	int fd, r = apart();

	(void)unused;
	if (r)
		return r;
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, CLOSED, OPEN_TREE_CLONE);
	if (fd < 0 || syscall(SYS_move_mount, fd, "", AT_FDCWD, M, MOVE_MOUNT_F_EMPTY_PATH))
		return -errno;
	return loot_path(M "/key");
}

/* A filesystem that no path leads to. */
static int detached(const void *unused)
{
	int fs = (int)syscall(SYS_fsopen, "tmpfs", 0), mnt;

	(void)unused;
	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	mnt = (int)syscall(SYS_fsmount, fs, 0, 0);
	if (mnt < 0)
		return -errno;
	return result(openat(mnt, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
}

static int attributes(const void *unused)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODIRATIME };

	(void)unused;
	return result(syscall(SYS_mount_setattr, AT_FDCWD, D, 0, &attr, sizeof(attr)));
}

static int mount_new(const void *unused)
{
	int r = apart();

	(void)unused;
	return r ? r : result(mount("attacks", CLOSED, "tmpfs", 0, NULL));
}

static int remount(const void *unused)
{
	int r = apart();

	(void)unused;
	return r ? r : result(mount(NULL, D "/tmpfs", NULL, MS_REMOUNT_, NULL));
}

static int pick(const void *unused)
{
	int fs = (int)syscall(SYS_fspick, AT_FDCWD, D "/tmpfs", 0);

	(void)unused;
	if (fs < 0)
		return -errno;
	return result(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
}

static int uncover(const void *unused)
{
	int r = apart();

	(void)unused;
	return r ? r : result(umount2(D "/tmpfs", DETACH));
}

static int move(const void *unused)
{
	int r = apart();

	(void)unused;
	if (r)
		return r;
	return mount(D "/tmpfs", M, NULL, MS_MOVE_, NULL) ? -errno :
							     loot_path(M "/secret/f");
}

static int overlay(const void *unused)
{
	int r = apart();

	(void)unused;
	if (r)
		return r;
	if (mount("attacks", M, "overlay", 0, "lowerdir=" CLOSED ":" D "/links"))
		return -errno;
	return loot_path(M "/key");
}

static int fuse(const void *unused)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), r = apart();

	(void)unused;
	if (fd < 0 || r)
		return r ? r : -errno;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	return result(mount("attacks", M, "fuse", 0, options));
}

static int image(const void *unused)
{
	int r = apart();

	(void)unused;
	if (r)
		return r;
	/* that there is no filesystem on it is said after it was read */
	if (!mount(D "/block", M, "ext4", MS_RDONLY, NULL) || errno == EINVAL)
		return 0;
	return -errno;
}

/* ---- roots --------------------------------------------------------------------------------- */

static int change_root(const void *unused)
{
	(void)unused;
	if (chroot(CLOSED) || chdir("/"))
		return -errno;
	return loot_path("/key");
}

static int change_root_above(const void *unused)
{
	(void)unused;
	if (chroot(D) || chdir("/"))
		return -errno;
	return loot_path("/closed/key");
}

static int pivot(const void *unused)
{
	int r = apart();

	(void)unused;
	if (r)
		return r;
	if (mount(CLOSED, CLOSED, NULL, MS_BIND_, NULL) || chdir(CLOSED) ||
	    syscall(SYS_pivot_root, ".", "."))
		return -errno;
	return loot_path("/key");
}

/* ---- namespaces ---------------------------------------------------------------------------- */

static int in_new(const void *flags)
{
	if (unshare(*(const int *)flags))
		return -errno;
	return loot_path(KEY);
}

static int in_user(const void *unused)
{
	(void)unused;
	return result(unshare(CLONE_NEWUSER));
}

static int in_user_by_clone(const void *unused)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | 17 /* SIGCHLD */, NULL, NULL, NULL, 0);

	(void)unused;
	if (!pid)
		_exit(0);
	return result(pid);
}

/* root there, with every capability, and its own mounts and network */
static int as_root(const void *act)
{
	int (*const *f)(const void *) = act;
	char map[32];
	uid_t uid = getuid();
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return -errno;
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	snprintf(map, sizeof(map), "0 %u 1\n", uid);
	if (fd < 0 || write(fd, map, strlen(map)) < 0)
		return -errno;
	return (*f)(NULL);
}

static int raw_there(const void *unused)
{
	int fd;

	(void)unused;
	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	return fd < 0 ? -errno : 0;
}

typedef int (*const act)(const void *);
#define ACT(f) &(act){ f }
#define FLAGS(f) &(const int){ f }
#define ROW(n, f, j, e, v) { .name = n, .run = f, .by = BY_ROOT, .judge = j, .err = e, .event = v }
#define LOOT(n, f) ROW(n, f, "loot", "EPERM EACCES", "mount/guard capable/guard open/unplaced")
#define DONE(n, f) ROW(n, f, "claim", "EPERM EACCES", "mount/guard capable/guard open/unplaced " \
		       "create/unplaced")
#define NEW(n, f) { .name = n, .run = in_new, .arg = FLAGS(f), .by = BY_ROOT, .judge = "loot", \
		    .err = "EPERM EACCES", .event = "capable/guard open/rule" }
#define OWN(n, f, j, v, p) { .name = n, .run = as_root, .arg = ACT(f), .judge = j, \
			     .err = "EPERM EACCES ENOENT", .event = v, .policy = p }

const struct attack attacks_mount[] = {
	LOOT("B10:bind", bind_apart),
	LOOT("B10:bind-here", bind_here),
	LOOT("B10:overlay", overlay),
	LOOT("B11:open-tree", clone_tree),
	DONE("B11:fsmount", detached),
	LOOT("B12:move-mount", clone_and_move),
	LOOT("B12:move", move),
	DONE("B12:mount", mount_new),
	DONE("B12:remount", remount),
	DONE("B12:fspick", pick),
	DONE("B12:umount", uncover),
	DONE("B12:mount-setattr", attributes),
	ROW("B28:fuse", fuse, "claim", "EPERM EACCES", "open/device"),
	DONE("B28:image", image),

	ROW("B13:chroot", change_root, "loot", "EPERM EACCES", "chroot/rule open/rule"),
	ROW("B13:chroot-above", change_root_above, "loot", "EPERM EACCES", "open/rule"),
	LOOT("B13:pivot-root", pivot),

	NEW("B14:mounts", CLONE_NEWNS),
	NEW("B14:pids", CLONE_NEWPID),
	NEW("B14:cgroups", CLONE_NEWCGROUP),
	NEW("B14:names", CLONE_NEWUTS),
	NEW("B14:ipc", CLONE_NEWIPC),

	{ .name = "C13:unshare", .run = in_user, .judge = "claim", .err = "EPERM",
	  .event = "userns/guard" },
	{ .name = "C13:clone", .run = in_user_by_clone, .judge = "claim", .err = "EPERM",
	  .event = "userns/guard" },
	/* where the policy allows it */
	OWN("C13:packet", raw_there, "claim", "capable/guard socket/family", "userns"),
	OWN("C13:bind", bind_apart, "loot", "mount/guard capable/guard", "userns"),
	OWN("C13:open-tree", clone_tree, "loot", "open/unplaced open/rule capable/guard", "userns"),
	OWN("C13:chroot", change_root, "loot", "open/rule chroot/rule capable/guard", "userns"),
	OWN("C13:bind-allowed", bind_apart, "loot", "open/rule open/anchor open/unplaced",
	    "mounts"),
	OWN("C13:move-allowed", clone_and_move, "loot",
	    "open/rule open/anchor open/unplaced mount/guard capable/guard", "mounts"),
	OWN("C13:overlay-allowed", overlay, "loot", "mount/guard", "mounts"),
	OWN("C13:pivot-allowed", pivot, "loot", "open/rule open/anchor open/unplaced", "mounts"),
	{},
};
