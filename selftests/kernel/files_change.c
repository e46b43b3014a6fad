/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What changes names and objects without opening them: create, remove, re-mode, attributes. */
#include "files_common.h"

#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define NEW CLOSED "/new"
#define RO_DIR READONLY ".d"

/* ---- names that appear and vanish ---------------------------------------------------- */

ACT(act_creat, open_result(path, O_WRONLY | O_CREAT))
ACT(act_mkfifo, mknod(path, S_IFIFO | 0666, 0))
ACT(act_mkreg, mknod(path, S_IFREG | 0666, 0))
ACT(act_mksock, mknod(path, S_IFSOCK | 0666, 0))
ACT(act_mkchr, mknod(path, S_IFCHR | 0666, makedev(1, 3)))
ACT(act_mkblk, mknod(path, S_IFBLK | 0666, makedev(7, 0)))
ACT(act_symlink, symlink("public", path))

static int act_create_readonly(const void *path)
{
	return open_result(path, O_RDONLY | O_CREAT);
}

static int act_bind(const void *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, path);
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) ? -errno : 0;
}

static int act_tmpfile_link(const void *path)
{
	_cleanup_close_ int fd = open(D "/dir", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	char self[32];

	if (fd < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static int uring_path(uint8_t op, const char *path)
{
	struct io_uring_sqe sqe = { .opcode = op, .fd = AT_FDCWD, .addr = (uintptr_t)path,
				    .len = op == IORING_OP_MKDIRAT ? 0777 : 0 };

	if (op == IORING_OP_SYMLINKAT) {
		sqe.addr = (uintptr_t) "public";
		sqe.addr2 = (uintptr_t)path;
	}
	return uring_one(&sqe, 0);
}

static int act_uring_mkdir(const void *path)
{
	return uring_path(IORING_OP_MKDIRAT, path);
}

static int act_uring_symlink(const void *path)
{
	return uring_path(IORING_OP_SYMLINKAT, path);
}

static int act_uring_unlink(const void *path)
{
	return uring_path(IORING_OP_UNLINKAT, path);
}

/* The kernel writes a core file where the process is, with the process' own rights. */
static int act_core(const void *path)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (chdir(path) || setrlimit(RLIMIT_CORE, &all))
			_exit(1);
		(void)kill(getpid(), SIGABRT);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return -EINVAL;
	return WCOREDUMP(status) ? 0 : -EACCES;
}

static void before_core(const void *unused)
{
	fresh(unused);
	write_file("/proc/sys/kernel/core_pattern", "new");
	write_file("/proc/sys/kernel/core_uses_pid", "0");
}

static void names(void)
{
#define NAME(n, a, p, o) \
	{ .name = n, .act = a, .arg = p, .want = EG_C, .path = p, .op = EG_OP_##o, .err = EACCES, \
	  .deny = policy_some(), .allow = policy_all(), .before = fresh, .after = untouched }
	const struct attempt a[] = {
		NAME("create", act_creat, NEW, CREATE),
		NAME("create for reading", act_create_readonly, NEW, CREATE),
		NAME("create in a readable directory", act_create, RO_DIR "/new", CREATE),
		NAME("mkdir", act_mkdir, NEW, MKDIR),
		NAME("mkdir by io_uring", act_uring_mkdir, NEW, MKDIR),
		NAME("mknod of a file", act_mkreg, NEW, CREATE),
		NAME("mknod of a FIFO", act_mkfifo, NEW, MKNOD),
		NAME("mknod of a socket", act_mksock, NEW, MKNOD),
		NAME("bind a unix socket", act_bind, NEW, MKNOD),
		NAME("symlink", act_symlink, NEW, SYMLINK),
		NAME("symlink by io_uring", act_uring_symlink, NEW, SYMLINK),
		NAME("unlink", act_unlink, CLOSED "/f", UNLINK),
		NAME("unlink in a readable directory", act_unlink, RO_DIR "/f", UNLINK),
		NAME("unlink a denied file", act_unlink, SECRET, UNLINK),
		NAME("unlink by io_uring", act_uring_unlink, SECRET, UNLINK),
		NAME("rmdir", act_rmdir, CLOSED "/empty", RMDIR),
	};
	struct attempt link = NAME("O_TMPFILE, then linkat", act_tmpfile_link, NEW, LINK);
	struct attempt core = NAME("a core file", act_core, CLOSED, CREATE);
	struct attempt dev[] = {
		NAME("mknod of a character device", act_mkchr, D "/new", MKNOD),
		NAME("mknod of a block device", act_mkblk, D "/new", MKNOD),
	};
	size_t i;
#undef NAME

	attempts(a, ARRAY_SIZE(a));
	link.path = NULL;
	link.path2 = NEW;
	attempt(&link);
	core.path = NEW;
	core.before = before_core;
	attempt(&core);
	shell("echo core >/proc/sys/kernel/core_pattern");
	for (i = 0; i < ARRAY_SIZE(dev); i++) {
		dev[i].deny = policy_all();
		dev[i].allow = NULL;
		dev[i].reason = EG_WHY_GUARD;
		dev[i].only_root = true;
		attempt(&dev[i]);
	}
}

/* ---- objects: size, mode, owner, times ----------------------------------------------- */

ACT(act_chmod, chmod(path, 0600))
ACT(act_chown, chown(path, 65534, 65534))
ACT(act_lchown, lchown(path, 65534, -1))
ACT(act_utimes, utimensat(AT_FDCWD, path, NULL, 0))

static int act_fchmodat2(const void *path)
{
	/* 452: since 6.6 */
	return syscall(452, AT_FDCWD, path, 0600, 0) ? -errno : 0;
}

static int act_set_times(const void *path)
{
	struct timespec t[2] = { { .tv_sec = 1 }, { .tv_nsec = UTIME_OMIT } };

	return utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

static int act_truncate_up(const void *path)
{
	return truncate(path, 100) ? -errno : 0;
}

static int by_fd(const void *path, int (*change)(int fd))
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return change(fd) < 0 ? -errno : 0;
}

#define FD_ACT(name, call) \
	static int name##_fd(int fd) { return call; } \
	static int name(const void *path) { return by_fd(path, name##_fd); }

FD_ACT(act_fchmod, fchmod(fd, 0600))
FD_ACT(act_fchown, fchown(fd, 65534, 65534))
FD_ACT(act_futimens, futimens(fd, NULL))
FD_ACT(act_futimes_empty, utimensat(fd, "", NULL, AT_EMPTY_PATH))

/* through the magic link of a descriptor that needed no permission */
static int act_opath_chmod(const void *path)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return fd < 0 || chmod(self, 0600) ? -errno : 0;
}

static void objects(void)
{
#define OBJ(n, a, p, o) \
	{ .name = n, .act = a, .arg = p, .want = EG_W, .path = p, .op = EG_OP_##o, .err = EACCES, \
	  .deny = policy_some(), .allow = policy_all(), .before = fresh, .after = untouched }
	const struct attempt a[] = {
		OBJ("truncate", act_truncate, SECRET, TRUNCATE),
		OBJ("truncate to a longer size", act_truncate_up, READONLY, TRUNCATE),
		OBJ("chmod", act_chmod, SECRET, CHMOD),
		OBJ("chmod of a readable file", act_chmod, READONLY, CHMOD),
		OBJ("chmod of a directory", act_chmod, CLOSED "/empty", CHMOD),
		OBJ("fchmod", act_fchmod, READONLY, CHMOD),
		OBJ("fchmod of a readable directory", act_fchmod, RO_DIR, CHMOD),
		OBJ("chmod through an O_PATH descriptor", act_opath_chmod, SECRET, CHMOD),
		OBJ("chown", act_chown, SECRET, CHOWN),
		OBJ("lchown", act_lchown, READONLY, CHOWN),
		OBJ("fchown", act_fchown, READONLY, CHOWN),
		OBJ("utimensat, now", act_utimes, SECRET, SETATTR),
		OBJ("utimensat, a time", act_set_times, READONLY, SETATTR),
		OBJ("futimens", act_futimens, READONLY, SETATTR),
		OBJ("utimensat with AT_EMPTY_PATH", act_futimes_empty, READONLY, SETATTR),
		OBJ("times of a directory", act_utimes, CLOSED, SETATTR),
	};
	const struct attempt since_6_6 = OBJ("fchmodat2", act_fchmodat2, SECRET, CHMOD);
#undef OBJ

	attempts(a, ARRAY_SIZE(a));
	if (kernel_at_least(6, 6))
		attempt(&since_6_6);
}

/* ---- attributes, on ext4: tmpfs of 6.1 has too few ----------------------------------- */

#define MNT D "/mnt"
#define X MNT "/secret"
#define XR MNT "/readonly"

/* struct posix_acl_xattr: version 2; owner, a named user, group, mask, others */
static const struct {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[5];
} acl = { 2, { { 1, 6, ~0u }, { 2, 4, 1 }, { 4, 6, ~0u }, { 16, 6, ~0u }, { 32, 4, ~0u } } };

ACT(act_setxattr, setxattr(path, "user.x", "new", 3, 0))
ACT(act_lsetxattr, lsetxattr(path, "user.x", "new", 3, 0))
ACT(act_removexattr, removexattr(path, "user.old"))
ACT(act_set_acl, setxattr(path, "system.posix_acl_access", &acl, sizeof(acl), 0))
ACT(act_set_default_acl, setxattr(path, "system.posix_acl_default", &acl, sizeof(acl), 0))
ACT(act_remove_acl, removexattr(path, "system.posix_acl_access"))
FD_ACT(act_fsetxattr, fsetxattr(fd, "user.x", "new", 3, 0))
FD_ACT(act_fremovexattr, fremovexattr(fd, "user.old"))

static int set_flags_fd(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return -1;
	flags |= FS_NODUMP_FL;
	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static int act_set_flags(const void *path)
{
	return by_fd(path, set_flags_fd);
}

static int fssetxattr_fd(int fd)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x))
		return -1;
	x.fsx_xflags |= FS_XFLAG_NODUMP;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x);
}

static int act_fssetxattr(const void *path)
{
	return by_fd(path, fssetxattr_fd);
}

static int setversion_fd(int fd)
{
	int v = 7;

	return ioctl(fd, FS_IOC_SETVERSION, &v);
}

static int act_setversion(const void *path)
{
	return by_fd(path, setversion_fd);
}

static int act_uring_setxattr(const void *path)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SETXATTR, .addr = (uintptr_t) "user.x",
				    .addr2 = (uintptr_t) "new", .addr3 = (uintptr_t)path,
				    .len = 3 };

	return uring_one(&sqe, 0);
}

static void clear_nodump(const char *path)
{
	_cleanup_close_ int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	int flags = 0;

	must(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags &= ~FS_NODUMP_FL;
	must(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static void before_ext4(const void *unused)
{
	static const char *const files[] = { X, XR };
	size_t i;

	(void)unused;
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		write_file(files[i], "content");
		own(files[i]);
		must(chmod(files[i], 0644));
		(void)removexattr(files[i], "user.x");
		must(setxattr(files[i], "user.old", "old", 3, 0));
		must(setxattr(files[i], "system.posix_acl_access", &acl, sizeof(acl), 0));
		clear_nodump(files[i]);
	}
	(void)removexattr(MNT "/dir", "system.posix_acl_default");
}

static int nodump_fd(int fd)
{
	int flags = 0;

	must(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	return flags & FS_NODUMP_FL;
}

static void after_ext4(const void *unused, bool refused)
{
	static const char *const files[] = { X, XR };
	char have[sizeof(acl)];
	size_t i;

	(void)unused;
	for (i = 0; refused && i < ARRAY_SIZE(files); i++) {
		check(getxattr(files[i], "user.x", have, sizeof(have)) < 0, "an attribute was set");
		check(getxattr(files[i], "user.old", have, sizeof(have)) == 3,
		      "an attribute is gone");
		check(getxattr(files[i], "system.posix_acl_access", have, sizeof(have)) ==
		      sizeof(acl), "the ACL is gone");
		check(!by_fd(files[i], nodump_fd), "a flag was set");
	}
	check(!refused || getxattr(MNT "/dir", "system.posix_acl_default", have, sizeof(have)) < 0,
	      "a default ACL was set");
}

static void attributes(void)
{
	const char *deny = POLICY_FILES("default: rwxc", X ": none", XR ": r", MNT "/dir: r");
#define ATTR(n, a, p, o) \
	{ .name = n, .act = a, .arg = p, .want = EG_W, .path = p, .op = EG_OP_##o, .err = EACCES, \
	  .deny = deny, .allow = policy_all(), .before = before_ext4, .after = after_ext4 }
	const struct attempt a[] = {
		ATTR("setxattr", act_setxattr, X, SETXATTR),
		ATTR("setxattr of a readable file", act_setxattr, XR, SETXATTR),
		ATTR("lsetxattr", act_lsetxattr, X, SETXATTR),
		ATTR("fsetxattr", act_fsetxattr, XR, SETXATTR),
		ATTR("setxattr by io_uring", act_uring_setxattr, X, SETXATTR),
		ATTR("removexattr", act_removexattr, X, SETXATTR),
		ATTR("fremovexattr", act_fremovexattr, XR, SETXATTR),
		ATTR("set an ACL", act_set_acl, XR, SETXATTR),
		ATTR("set a default ACL", act_set_default_acl, MNT "/dir", SETXATTR),
		ATTR("remove an ACL", act_remove_acl, X, SETXATTR),
		ATTR("FS_IOC_SETFLAGS by a descriptor for reading", act_set_flags, XR, IOCTL),
		ATTR("FS_IOC_FSSETXATTR by a descriptor for reading", act_fssetxattr, XR, IOCTL),
		ATTR("FS_IOC_SETVERSION by a descriptor for reading", act_setversion, XR, IOCTL),
		ATTR("chmod on ext4", act_chmod, XR, CHMOD),
		ATTR("utimensat on ext4", act_utimes, X, SETATTR),
	};
#undef ATTR

	make_dir(MNT);
	shell("modprobe loop; modprobe ext4; truncate -s 16M /tmp/egtest.ext4 && "
	      "mkfs.ext4 -q -O ^metadata_csum /tmp/egtest.ext4 && "
	      "mount -o loop /tmp/egtest.ext4 " MNT);
	make_dir(MNT "/dir");
	own(MNT "/dir");
	must(chmod(MNT, 0777));
	attempts(a, ARRAY_SIZE(a));
}

/*
 * Times and attributes are judged at every mount of the filesystem: at one that
 * denies it, the object is denied, and the event names that place.
 */
static void attributes_by_mounts(void)
{
	const char *deny = POLICY_FILES("default: rwxc", D "/bound: r");
	struct box *b;
	int r;

	fresh(NULL);
	make_dir(D "/bound");
	if (!case_begin("times of what a bind mount shows at a denied path"))
		return;
	shell("mount --bind " D "/dir " D "/bound");
	b = box_new(deny);
	r = box_run(b, AS_USER, act_utimes, D "/public");
	check(r == 0, "elsewhere: %s", result_text(r));
	no_event(b);
	r = box_run(b, AS_USER, act_utimes, D "/bound/f");
	check(r == -EACCES, "there: %s", result_text(r));
	one_event(b, EG_OP_SETATTR, EG_WHY_RULE, EACCES, D "/bound/f");
	box_free(b);
	shell("umount " D "/bound");
	case_end();
}

void files_change(void)
{
	names();
	objects();
	attributes_by_mounts();
	attributes();
	shell("umount " MNT);
}
