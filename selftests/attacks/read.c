/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Read what is closed: every call, and every name that is not the file's own. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/quota.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ---- calls ------------------------------------------------------------------------- */

static int by_open(const void *path)
{
	return loot_path(path);
}

static int by_openat2(const void *path)
{
	struct open_how how = { .flags = O_RDONLY };

	return loot_fd((int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
}

static int by_mmap(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	loot(p, 64);
	return 0;
}

static int by_sendfile(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ends[2];

	if (fd < 0 || pipe(ends) || sendfile(ends[1], fd, NULL, 64) < 0)
		return -errno;
	return loot_fd(ends[0]);
}

static int by_copy_range(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int to = open(WORK "/copy", O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || to < 0 || copy_file_range(fd, NULL, to, NULL, 64, 0) < 0)
		return -errno;
	return loot_fd(to);
}

static int by_reopen(const void *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	char self[32];

	if (fd < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return loot_path(self);
}

static int by_dev_fd(const void *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	char self[32];

	if (fd < 0)
		return -errno;
	snprintf(self, sizeof(self), "/dev/fd/%d", fd);
	return loot_path(self);
}

static int by_int80(const void *path)
{
	int r = need_int80();

	if (r)
		return r;
	r = int80(5 /* open */, low(path, strlen(path) + 1), O_RDONLY, 0, 0, 0);
	return r < 0 ? r : loot_fd(r);
}

static int by_int80_openat(const void *path)
{
	int r = need_int80();

	if (r)
		return r;
	r = int80(295 /* openat */, AT_FDCWD, low(path, strlen(path) + 1), O_RDONLY, 0, 0);
	return r < 0 ? r : loot_fd(r);
}

static int uring_open(const char *path, uint8_t op, unsigned int flags)
{
	struct open_how how = { .flags = O_RDONLY };
	struct io_uring_sqe sqe = { .opcode = op, .fd = AT_FDCWD, .addr = (uintptr_t)path };
	int fd;

	if (op == IORING_OP_OPENAT2) {
		sqe.off = (uintptr_t)&how;
		sqe.len = sizeof(how);
	}
	fd = uring(&sqe, flags);
	return fd < 0 ? fd : loot_fd(fd);
}

static int by_uring(const void *path)
{
	return uring_open(path, IORING_OP_OPENAT, 0);
}

static int by_uring2(const void *path)
{
	return uring_open(path, IORING_OP_OPENAT2, 0);
}

static int by_uring_sqpoll(const void *path)
{
	return uring_open(path, IORING_OP_OPENAT, IORING_SETUP_SQPOLL);
}

/* The kernel reads it as swap or quota: who gets as far as its contents may. */
static int by_swapon(const void *path)
{
	return swapon(path, 0) && errno != EINVAL ? -errno : 0;
}

static int by_loop(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), dev, n;
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char name[32];

	if (fd < 0 || control < 0)
		return -errno;
	n = ioctl(control, LOOP_CTL_GET_FREE);
	snprintf(name, sizeof(name), "/dev/loop%d", n);
	dev = open(name, O_RDONLY | O_CLOEXEC);
	if (dev < 0 || ioctl(dev, LOOP_SET_FD, fd))
		return -errno;
	n = loot_fd(dev);
	(void)ioctl(dev, LOOP_CLR_FD, 0);
	return n;
}

static int by_listing(const void *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char names[4096];

	return fd < 0 ? -errno : result(syscall(SYS_getdents64, fd, names, sizeof(names)));
}

/* ---- names -------------------------------------------------------------------------- */

static int by_link(const void *to)
{
	return symlink(to, WORK "/link") ? -errno : loot_path(WORK "/link");
}

static int by_linked_parent(const void *unused)
{
	(void)unused;
	return symlink(CLOSED, WORK "/link") ? -errno : loot_path(WORK "/link/sub/f");
}

/* It leads nowhere until it is written through. */
static int by_dangling(const void *unused)
{
	int fd;

	(void)unused;
	if (symlink(CLOSED "/made", WORK "/link"))
		return -errno;
	fd = open(WORK "/link", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	return fd < 0 ? -errno : result(write(fd, "x", 1));
}

static int by_cwd(const void *unused)
{
	(void)unused;
	return chdir(CLOSED) ? -errno : loot_path("/proc/self/cwd/key");
}

static int by_relative(const void *unused)
{
	(void)unused;
	return chdir(CLOSED "/sub") ? -errno : loot_path("../key");
}

static int by_directory(const void *unused)
{
	int fd = open(CLOSED, O_PATH | O_CLOEXEC), key;

	(void)unused;
	if (fd < 0)
		return -errno;
	key = openat(fd, "key", O_RDONLY | O_CLOEXEC);
	return key < 0 ? -errno : loot_fd(key);
}

/* /proc/PID/root and the like, of somebody outside */
static int by_victim(const void *format)
{
	char path[128];

	snprintf(path, sizeof(path), format, world.victim);
	return loot_path(path);
}

static int received(const void *what)
{
	return loot_fd(receive_fd(what));
}

static int received_below(const void *what)
{
	int dir = receive_fd(what), fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, "key", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : loot_fd(fd);
}

static int taken(const void *unused)
{
	int pidfd = (int)syscall(SYS_pidfd_open, world.victim, 0);

	(void)unused;
	if (pidfd < 0)
		return -errno;
	return loot_fd((int)syscall(SYS_pidfd_getfd, pidfd, 8, 0));
}

static int inherited(const void *unused)
{
	(void)unused;
	return loot_fd(8);
}

/* A handle knows of no name. */
static int by_handle(const void *path)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + 128];
	} u = { .h = { .handle_bytes = 128 } };
	int mount, at = open(D, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (at < 0 || name_to_handle_at(AT_FDCWD, path, &u.h, &mount, 0))
		return -errno;
	fd = open_by_handle_at(at, &u.h, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : loot_fd(fd);
}

static int deleted(const void *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	char self[32];

	if (fd < 0)
		return -errno;
	meet("remove");
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return loot_path(self);
}

/* ---- deeper than a path can say --------------------------------------------------------- */

static int descend(int levels, const char *name)
{
	char dir[80];
	int i, fd;

	snprintf(dir, sizeof(dir), D "/deep%d", levels);
	if (chdir(dir))
		return -errno;
	for (i = 0; i < levels; i++) {
		snprintf(dir, sizeof(dir), "%03d%.57s", i,
			 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		if (chdir(dir))
			return -errno;
	}
	fd = open(name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : loot_fd(fd);
}

static int deep(const void *name)
{
	return descend(60, name);
}

static int too_deep(const void *name)
{
	return descend(80, name);
}

/* ---- devices ------------------------------------------------------------------------------ */

static int by_node(const void *unused)
{
	struct stat st;

	(void)unused;
	if (stat(D "/block", &st) || mknod(WORK "/node", S_IFBLK | 0666, st.st_rdev))
		return -errno;
	return loot_path(WORK "/node");
}

static int device(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

static int make_node(const void *minor_)
{
	return result(mknod(WORK "/node", S_IFCHR | 0666,
			    makedev(1, (unsigned int)*(const int *)minor_)));
}

#define NODE(n) &(const int){ n }
#define ROW(n, f, a, v) { .name = n, .run = f, .arg = a, .judge = "loot", .err = "EACCES", \
			  .event = v }
#define READ(n, f, a) ROW(n, f, a, "open/rule open/anchor")
#define ROOT(n, f, a, j, e, v) { .name = n, .run = f, .arg = a, .by = BY_ROOT, .judge = j, \
				 .err = e, .event = v }

const struct attack attacks_read[] = {
	READ("B01:open", by_open, KEY),
	READ("B01:openat2", by_openat2, KEY),
	READ("B01:mmap", by_mmap, KEY),
	READ("B01:sendfile", by_sendfile, KEY),
	READ("B01:copy-range", by_copy_range, KEY),
	READ("B01:int80-open", by_int80, KEY),
	READ("B01:int80-openat", by_int80_openat, KEY),
	READ("B01:uring-openat", by_uring, KEY),
	READ("B01:uring-openat2", by_uring2, KEY),
	READ("B01:uring-sqpoll", by_uring_sqpoll, KEY),
	ROOT("B01:swapon", by_swapon, KEY, "claim", "EPERM EACCES", "capable/guard"),
	ROOT("B01:loop", by_loop, KEY, "loot", "EACCES", "open/rule"),
	{ .name = "B01:list", .run = by_listing, .arg = CLOSED, .judge = "claim", .err = "EACCES",
	  .event = "open/rule" },

	READ("B02:child", by_open, CLOSED "/sub/f"),
	READ("B02:dots", by_open, CLOSED "/./sub/../key"),
	READ("B02:slashes", by_open, "/srv//attacks///closed//key"),
	READ("B02:below-allowed", by_open, WS "/a/b/secret/key"),
	READ("B02:pattern", by_open, WS "/.env"),

	READ("B03:symlink", by_link, KEY),
	READ("B03:relative", by_link, "../closed/key"),
	READ("B03:parent", by_linked_parent, NULL),
	{ .name = "B03:dangling", .run = by_dangling, .judge = "tree", .err = "EACCES",
	  .event = "create/rule open/rule" },

	READ("B06:old-hard-link", by_open, D "/links/key"),
	READ("B06:of-a-file-below", by_open, D "/links/other"),
	READ("B15:tmpfs", by_open, D "/tmpfs/secret/f"),
	READ("B15:overlay", by_open, D "/over/secret/f"),

	READ("B17:self-root", by_open, "/proc/self/root" KEY),
	READ("B17:thread-root", by_open, "/proc/thread-self/root" KEY),
	READ("B17:cwd", by_cwd, NULL),
	READ("B17:cwd-relative", by_relative, NULL),
	READ("B17:dev-fd", by_dev_fd, KEY),
	ROW("B17:victim-root", by_victim, "/proc/%d/root" KEY, NULL),
	ROW("B17:victim-fd", by_victim, "/proc/%d/fd/8", NULL),
	ROW("B17:init-root", by_victim, "/proc/%d/root/../srv/attacks/closed/key", NULL),

	READ("B18:reopen", by_reopen, KEY),
	READ("B18:directory", by_directory, NULL),

	ROW("B19:received", received, "secret", "receive/rule receive/anchor"),
	ROW("B19:received-directory", received_below, "directory", "receive/rule receive/anchor"),
	ROW("B19:received-path", received_below, "path", "open/rule receive/rule"),
	{ .name = "B19:taken", .run = taken, .judge = "loot", .err = "EPERM",
	  .event = "ptrace/foreign" },
	{ .name = "B19:inherited", .run = inherited, .judge = "loot", .err = "EBADF" },

	ROOT("B23:handle", by_handle, KEY, "loot", "EPERM EACCES", "capable/guard open/rule"),
	READ("B24:deleted", deleted, CLOSED "/sub/f"),

	READ("B25:deep-pattern", deep, ".env"),
	ROW("B25:beyond", too_deep, "secret", "open/too-long"),
	ROW("B25:beyond-pattern", too_deep, ".env", "open/too-long"),

	READ("B26:layer", by_open, D "/layers/upper/secret/f"),
	READ("B26:visible", by_open, D "/over/secret/f"),
	READ("B26:opath", by_reopen, D "/over/secret/f"),

	ROOT("B27:block", by_open, D "/block", "loot", "EACCES", "open/guard"),
	ROOT("B27:block-node", by_node, NULL, "loot", "EPERM EACCES", "mknod/guard capable/guard"),
	ROOT("B27:mem", device, "/dev/mem", "claim", "EACCES", "open/device"),
	ROOT("B27:port", device, "/dev/port", "claim", "EACCES", "open/device"),
	ROOT("B27:kcore", device, "/proc/kcore", "claim", "EACCES EPERM",
	     "capable/guard open/guard"),
	ROOT("B27:mem-node", make_node, NODE(1), "claim", "EPERM EACCES",
	     "mknod/guard capable/guard"),
	ROOT("B27:kmsg", device, "/dev/kmsg", "claim", "EACCES", "open/device"),
	ROOT("B27:loop-control", device, "/dev/loop-control", "claim", "EACCES", "open/device"),
	{},
};
