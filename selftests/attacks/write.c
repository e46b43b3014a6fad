/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Change what may only be read, or is closed, by every call. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FILE_ READONLY "/f"
#define ACCT_NAME READONLY "/f"

/* include/uapi/linux/io_uring.h of newer kernels */
#define OP_RENAMEAT 35
#define OP_UNLINKAT 36
#define OP_MKDIRAT 37
#define OP_SYMLINKAT 38
#define OP_LINKAT 39
#define OP_SETXATTR 42
#define OP_FTRUNCATE 55

/* ---- contents ---------------------------------------------------------------------- */

static int opened(int flags)
{
	int fd = open(FILE_, flags | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	return result(write(fd, "changed", 7));
}

static int by_flags(const void *flags)
{
	return opened(*(const int *)flags);
}

static int by_truncating_open(const void *unused)
{
	(void)unused;
	/* for reading, and empty all the same */
	return result(open(FILE_, O_RDONLY | O_TRUNC | O_CLOEXEC));
}

static int by_truncate(const void *unused)
{
	(void)unused;
	return result(truncate(FILE_, 1));
}

static int by_mapping(const void *unused)
{
	int fd = open(FILE_, O_RDWR | O_CLOEXEC);
	char *p;

	(void)unused;
	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*p = 'x';
	return result(msync(p, 4096, MS_SYNC));
}

static int by_hole(const void *unused)
{
	int fd = open(FILE_, O_WRONLY | O_CLOEXEC);

	(void)unused;
	return fd < 0 ? -errno : result(fallocate(fd, 0, 0, 8192));
}

static int by_reopen(const void *unused)
{
	int fd = open(FILE_, O_PATH | O_CLOEXEC);
	char self[32];

	(void)unused;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	fd = open(self, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : result(write(fd, "changed", 7));
}

static int by_int80(const void *unused)
{
	int r = need_int80(), fd;

	(void)unused;
	if (r)
		return r;
	fd = int80(5 /* open */, low(FILE_, sizeof(FILE_)), O_WRONLY, 0, 0, 0);
	return fd < 0 ? fd : result(write(fd, "changed", 7));
}

static int by_int80_truncate(const void *unused)
{
	int r = need_int80();

	(void)unused;
	return r ? r : int80(92 /* truncate */, low(FILE_, sizeof(FILE_)), 1, 0, 0, 0);
}

/* Sent from outside, open for writing. */
static int by_received(const void *unused)
{
	int fd = receive_fd("writable");

	(void)unused;
	return fd < 0 ? fd : result(write(fd, "changed", 7));
}

/* ---- what is noted beside --------------------------------------------------------------- */

static int by_chmod(const void *unused)
{
	(void)unused;
	return result(chmod(FILE_, 0600));
}

static int by_fchmodat2(const void *unused)
{
	int r = result(syscall(452 /* fchmodat2 */, AT_FDCWD, FILE_, 0600, AT_SYMLINK_NOFOLLOW));

	(void)unused;
	return r == -ENOSYS ? cannot("this kernel has no fchmodat2") : r;
}

static int by_path_chmod(const void *unused)
{
	int fd = open(FILE_, O_PATH | O_CLOEXEC);
	char self[32];

	(void)unused;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return result(chmod(self, 0600));
}

/* Of a descriptor that may read. */
static int by_fchmod(const void *unused)
{
	int fd = open(FILE_, O_RDONLY | O_CLOEXEC);

	(void)unused;
	return fd < 0 ? -errno : result(fchmod(fd, 0600));
}

static int by_chown(const void *unused)
{
	(void)unused;
	return result(chown(FILE_, getuid(), getgid()));
}

static int by_times(const void *unused)
{
	struct timespec then[2] = { { 1, 0 }, { 1, 0 } };

	(void)unused;
	return result(utimensat(AT_FDCWD, FILE_, then, 0));
}

static int by_setxattr(const void *unused)
{
	(void)unused;
	return result(setxattr(FILE_, "user.attack", "x", 1, 0));
}

static int by_removexattr(const void *unused)
{
	(void)unused;
	return result(removexattr(FILE_, "user.mark"));
}

static int by_acl(const void *unused)
{
	static const struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} e[5];
	} acl = { 2, { { 1, 6, ~0u }, { 2, 4, 1 }, { 4, 6, ~0u }, { 16, 6, ~0u },
		       { 32, 4, ~0u } } };

	(void)unused;
	return result(setxattr(FILE_, "system.posix_acl_access", &acl, sizeof(acl), 0));
}

static int by_attributes(const void *unused)
{
	int fd = open(FILE_, O_RDONLY | O_CLOEXEC), flags;

	(void)unused;
	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return -errno;
	flags |= FS_NODUMP_FL;
	return result(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

/* ---- names ------------------------------------------------------------------------------- */

static int by_create(const void *path)
{
	return result(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
}

static int by_mkdir(const void *path)
{
	return result(mkdir(path, 0777));
}

static int by_mknod(const void *path)
{
	return result(mknod(path, S_IFIFO | 0666, 0));
}

static int by_symlink(const void *path)
{
	return result(symlink("/etc/passwd", path));
}

static int by_unlink(const void *path)
{
	return result(unlink(path));
}

static int by_rmdir(const void *path)
{
	return result(rmdir(path));
}

static int by_rename_away(const void *path)
{
	return result(rename(path, WORK "/moved"));
}

static int mine(void)
{
	int fd = open(WORK "/mine", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	return fd < 0 ? -errno : result(write(fd, "mine", 4));
}

static int by_rename_onto(const void *path)
{
	int r = mine();

	return r < 0 ? r : result(rename(WORK "/mine", path));
}

static int by_exchange(const void *path)
{
	int r = mine();

	return r < 0 ? r : result(renameat2(AT_FDCWD, WORK "/mine", AT_FDCWD, path,
					    RENAME_EXCHANGE));
}

static int by_whiteout(const void *path)
{
	return result(renameat2(AT_FDCWD, path, AT_FDCWD, WORK "/moved", RENAME_WHITEOUT));
}

static int by_link_onto(const void *path)
{
	int r = mine();

	return r < 0 ? r : result(link(WORK "/mine", path));
}

/* Without a name until it is linked. */
static int by_tmpfile(const void *path)
{
	int fd = open(WORK, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	char self[32];

	if (fd < 0 || write(fd, "mine", 4) < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return result(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

static int by_tmpfile_there(const void *dir)
{
	int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	char self[32];

	if (fd < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return result(linkat(AT_FDCWD, self, AT_FDCWD, CLOSED "/made", AT_SYMLINK_FOLLOW));
}

static int by_acct(const void *path)
{
	int r = result(syscall(SYS_acct, path));

	if (r >= 0)
		(void)syscall(SYS_acct, NULL);
	return r;
}

/* ---- by a ring ------------------------------------------------------------------------------ */

struct change {
	uint8_t op;
	const char *first, *second;
};

static int by_uring(const void *arg)
{
	const struct change *c = arg;
	struct io_uring_sqe sqe = { .opcode = c->op, .fd = AT_FDCWD, .addr = (uintptr_t)c->first };
	int r;

	switch (c->op) {
	case OP_RENAMEAT:
	case OP_LINKAT:
		r = mine();
		if (r < 0)
			return r;
		sqe.off = (uintptr_t)c->second;
		sqe.len = (uint32_t)AT_FDCWD;
		break;
	case OP_SYMLINKAT:
		sqe.off = (uintptr_t)c->second;
		break;
	case OP_MKDIRAT:
		sqe.len = 0777;
		break;
	case OP_SETXATTR: /* name, value, path */
		sqe.addr = (uintptr_t)"user.attack";
		sqe.off = (uintptr_t)"x";
		sqe.len = 1;
		sqe.addr3 = (uintptr_t)c->first;
		break;
	default:
		break;
	}
	r = uring(&sqe, 0);
	return r == -EINVAL ? cannot("this kernel's io_uring has no such request") : r;
}

#define FLAGS(f) &(const int){ f }
#define CHANGE(o, a, b) &(const struct change){ o, a, b }
#define ROW(n, f, a, e, v) { .name = n, .run = f, .arg = a, .judge = "tree", .err = e, .event = v }
#define WRITE(n, f, a) ROW(n, f, a, "EACCES", "open/rule")
#define NAME(n, f, a, o) ROW(n, f, a, "EACCES EXDEV", o "/rule " o "/gain")
#define RING(n, o, a, b, v) ROW(n, by_uring, CHANGE(o, a, b), "EACCES EXDEV", v)

const struct attack attacks_write[] = {
	WRITE("B01:write", by_flags, FLAGS(O_WRONLY)),
	WRITE("B01:read-write", by_flags, FLAGS(O_RDWR)),
	WRITE("B01:append", by_flags, FLAGS(O_WRONLY | O_APPEND)),
	WRITE("B01:write-creating", by_flags, FLAGS(O_WRONLY | O_CREAT)),
	WRITE("B01:truncating", by_truncating_open, NULL),
	ROW("B01:truncate", by_truncate, NULL, "EACCES", "truncate/rule"),
	WRITE("B01:allocate", by_hole, NULL),
	WRITE("B01:int80-write", by_int80, NULL),
	ROW("B01:int80-truncate", by_int80_truncate, NULL, "EACCES", "truncate/rule"),
	ROW("B01:chmod", by_chmod, NULL, "EACCES", "chmod/rule"),
	ROW("B01:fchmodat2", by_fchmodat2, NULL, "EACCES", "chmod/rule"),
	ROW("B01:fchmod", by_fchmod, NULL, "EACCES", "chmod/rule"),
	ROW("B01:chown", by_chown, NULL, "EACCES", "chown/rule"),
	ROW("B01:times", by_times, NULL, "EACCES", "setattr/rule"),
	ROW("B01:setxattr", by_setxattr, NULL, "EACCES", "setxattr/rule"),
	ROW("B01:removexattr", by_removexattr, NULL, "EACCES", "setxattr/rule"),
	ROW("B01:acl", by_acl, NULL, "EACCES", "setxattr/rule"),
	ROW("B01:attributes", by_attributes, NULL, "EACCES", "ioctl/rule setattr/rule"),
	NAME("B01:create", by_create, CLOSED "/made", "create"),
	NAME("B01:create-readonly", by_create, READONLY "/made", "create"),
	NAME("B01:mkdir", by_mkdir, CLOSED "/made", "mkdir"),
	NAME("B01:mknod", by_mknod, CLOSED "/made", "mknod"),
	NAME("B01:make-symlink", by_symlink, CLOSED "/made", "symlink"),
	NAME("B01:unlink", by_unlink, KEY, "unlink"),
	NAME("B01:unlink-readonly", by_unlink, FILE_, "unlink"),
	NAME("B01:rmdir", by_rmdir, CLOSED "/empty", "rmdir"),
	NAME("B01:rename-away", by_rename_away, FILE_, "rename"),
	{ .name = "B01:whiteout", .run = by_whiteout, .arg = FILE_, .by = BY_ROOT, .judge = "tree",
	  .err = "EACCES EXDEV EPERM",
	  .event = "rename/rule rename/gain mknod/rule capable/guard" },
	NAME("B01:tmpfile", by_tmpfile, CLOSED "/made", "link"),
	ROW("B01:tmpfile-there", by_tmpfile_there, CLOSED, "EACCES", "open/rule create/rule"),
	{ .name = "B01:acct", .run = by_acct, .arg = FILE_, .by = BY_ROOT, .judge = "claim",
	  .err = "EACCES EPERM", .event = "open/rule capable/guard" },
	RING("B01:uring-unlink", OP_UNLINKAT, FILE_, NULL, "unlink/rule"),
	RING("B01:uring-mkdir", OP_MKDIRAT, CLOSED "/made", NULL, "mkdir/rule"),
	RING("B01:uring-symlink", OP_SYMLINKAT, "/etc/passwd", CLOSED "/made", "symlink/rule"),
	RING("B01:uring-rename", OP_RENAMEAT, WORK "/mine", CLOSED "/made",
	     "rename/rule rename/gain"),
	RING("B01:uring-link", OP_LINKAT, WORK "/mine", CLOSED "/made", "link/rule link/gain"),
	RING("B01:uring-setxattr", OP_SETXATTR, FILE_, NULL, "setxattr/rule"),

	NAME("B08:rename", by_rename_onto, WS "/hooks/new", "rename"),
	NAME("B08:replace", by_rename_onto, WS "/hooks/pre-commit", "rename"),
	NAME("B08:exchange", by_exchange, WS "/hooks/pre-commit", "rename"),
	NAME("B08:link", by_link_onto, WS "/hooks/new", "link"),
	NAME("B08:symlink", by_symlink, WS "/hooks/new", "symlink"),

	NAME("B09:create", by_create, WS "/not-yet", "create"),
	NAME("B09:mkdir", by_mkdir, WS "/not-yet", "mkdir"),
	NAME("B09:symlink", by_symlink, WS "/not-yet", "symlink"),
	NAME("B09:rename", by_rename_onto, WS "/not-yet", "rename"),
	NAME("B09:link", by_link_onto, WS "/not-yet", "link"),

	WRITE("B18:reopen-write", by_reopen, NULL),
	ROW("B18:chmod", by_path_chmod, NULL, "EACCES", "chmod/rule"),
	ROW("B19:received-writable", by_received, NULL, "EACCES", "receive/rule"),
	WRITE("B21:mapping", by_mapping, NULL),
	{},
};
