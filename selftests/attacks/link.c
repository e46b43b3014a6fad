/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Other names for what is closed: links, moves of what is above it, races between the two. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALIAS WORK "/alias"
#define RACE 2000
#define RACE_MAX (50 * RACE) /* opens until both sides of a race have been met */

/* ---- hard links ---------------------------------------------------------------------- */

static int linked(const void *unused)
{
	(void)unused;
	return link(KEY, ALIAS) ? -errno : loot_path(ALIAS);
}

static int linked_by_descriptor(const void *unused)
{
	int fd = open(KEY, O_PATH | O_CLOEXEC);

	(void)unused;
	if (fd < 0 || linkat(fd, "", AT_FDCWD, ALIAS, AT_EMPTY_PATH))
		return -errno;
	return loot_path(ALIAS);
}

static int linked_by_proc(const void *unused)
{
	int fd = open(KEY, O_PATH | O_CLOEXEC);
	char self[32];

	(void)unused;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, ALIAS, AT_SYMLINK_FOLLOW))
		return -errno;
	return loot_path(ALIAS);
}

static int linked_by_uring(const void *unused)
{
	struct io_uring_sqe sqe = { .opcode = 39 /* LINKAT */, .fd = AT_FDCWD,
				    .addr = (uintptr_t)KEY, .off = (uintptr_t)ALIAS,
				    .len = (uint32_t)AT_FDCWD };
	int r = uring(&sqe, 0);

	(void)unused;
	return r < 0 ? r : loot_path(ALIAS);
}

static int linked_by_int80(const void *unused)
{
	int r = need_int80();

	(void)unused;
	if (r)
		return r;
	r = int80(9 /* link */, low(KEY, sizeof(KEY)), low(ALIAS, sizeof(ALIAS)), 0, 0, 0);
	return r < 0 ? r : loot_path(ALIAS);
}

/* ---- moves of what is above ------------------------------------------------------------- */

struct move {
	const char *from, *to, *then;
	unsigned int flags;
};

static int moved(const void *arg)
{
	const struct move *m = arg;

	if ((m->flags & RENAME_EXCHANGE) && mkdir(m->to, 0777) && errno != EEXIST)
		return -errno;
	if (renameat2(AT_FDCWD, m->from, AT_FDCWD, m->to, m->flags))
		return -errno;
	return loot_path(m->then);
}

static int moved_by_uring(const void *arg)
{
	const struct move *m = arg;
	struct io_uring_sqe sqe = { .opcode = 35 /* RENAMEAT */, .fd = AT_FDCWD,
				    .addr = (uintptr_t)m->from, .off = (uintptr_t)m->to,
				    .len = (uint32_t)AT_FDCWD };
	int r = uring(&sqe, 0);

	return r < 0 ? r : loot_path(m->then);
}

/* A directory of its own, with what shall be below a closed name. */
static int moved_below(const void *to)
{
	int fd;

	if (mkdir(WORK "/new", 0777))
		return -errno;
	fd = open(WORK "/new/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
	return fd < 0 ? -errno : result(rename(WORK "/new", to));
}

/* ---- races ------------------------------------------------------------------------------- */

static volatile bool racing = true;

static void *swap_links(void *unused)
{
	while (racing) {
		(void)unlink(WORK "/swap");
		(void)!symlink(READONLY "/f", WORK "/swap");
		(void)unlink(WORK "/swap");
		(void)!symlink(KEY, WORK "/swap");
	}
	return unused;
}

/* One directory of two names takes turns at a place. */
static void *swap_directories(void *unused)
{
	while (racing) {
		(void)renameat2(AT_FDCWD, WORK "/one", AT_FDCWD, WORK "/two", RENAME_EXCHANGE);
		(void)renameat2(AT_FDCWD, WORK "/one", AT_FDCWD, WORK "/two", RENAME_EXCHANGE);
	}
	return unused;
}

static int race(void *(*other)(void *), const char *path)
{
	pthread_t thread;
	int i, fd, met[2] = {}, refused = 0; /* what may be read, and what may not */
	char data[8];

	if (pthread_create(&thread, NULL, other, NULL))
		return cannot("no thread");
	for (i = 0; i < RACE || (i < RACE_MAX && !(met[0] && met[1])); i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			met[1] += errno == EACCES;
			refused += errno == EACCES;
			continue;
		}
		/* what may be read is longer than nothing, and no secret */
		if (pread(fd, data, 7, 0) == 7) {
			bool closed = memcmp(data, "content", 7);

			met[closed]++;
			if (closed)
				(void)loot_fd(fd);
		}
		(void)close(fd);
	}
	racing = false;
	(void)pthread_join(thread, NULL);
	return refused ? -EACCES : 0;
}

static int race_links(const void *unused)
{
	(void)unused;
	return race(swap_links, WORK "/swap");
}

static int race_directories(const void *unused)
{
	int fd;

	(void)unused;
	if (mkdir(WORK "/one", 0777) || symlink(CLOSED, WORK "/two"))
		return -errno;
	fd = open(WORK "/one/key", O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, "content", 7) != 7)
		return -errno;
	return race(swap_directories, WORK "/one/key");
}

/* A verdict that was kept is asked for again under another name. */
static int kept_verdict(const void *unused)
{
	int i, fd, r = -EACCES;

	(void)unused;
	for (i = 0; i < 200; i++) {
		(void)unlink(ALIAS);
		fd = open(ALIAS, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
		if (fd < 0 || write(fd, "content", 7) != 7)
			return -errno;
		(void)close(fd);
		fd = open(READONLY "/f", O_RDONLY | O_CLOEXEC);
		(void)close(fd);
		if (!link(KEY, WORK "/again"))
			r = loot_path(WORK "/again");
		if (!rename(WS "/a", WS "/z")) {
			r = loot_path(WS "/z/b/secret/key");
			(void)rename(WS "/z", WS "/a");
		}
	}
	return r < 0 ? -EACCES : r;
}

#define MOVE(f, t, n, x) &(const struct move){ f, t, n, x }
#define ROW(n, f, a, e, v) { .name = n, .run = f, .arg = a, .judge = "loot", .err = e, \
			     .event = v }
#define LINK(n, f) ROW(n, f, NULL, "EXDEV EACCES", "link/gain link/rule")
#define UP(n, f, ...) { .name = n, .run = f, .arg = __VA_ARGS__, .judge = "loot", \
			  .err = "EXDEV EACCES", .event = "rename/gain rename/rule" }
#define BELOW(n, to) { .name = n, .run = moved_below, .arg = to, .judge = "tree", \
		       .err = "EXDEV EACCES", .event = "rename/gain rename/rule" }

const struct attack attacks_link[] = {
	LINK("B05:link", linked),
	{ .name = "B05:descriptor", .run = linked_by_descriptor, .by = BY_ROOT, .judge = "loot",
	  .err = "EXDEV EACCES EPERM ENOENT", .event = "link/gain link/rule capable/guard" },
	LINK("B05:proc", linked_by_proc),
	LINK("B05:uring", linked_by_uring),
	LINK("B05:int80", linked_by_int80),

	UP("B07:itself", moved, MOVE(WS "/a/b/secret", WORK "/s", WORK "/s/key", 0)),
	UP("B07:parent", moved, MOVE(WS "/a/b", WORK "/b", WORK "/b/secret/key", 0)),
	UP("B07:two-above", moved, MOVE(WS "/a", WS "/z", WS "/z/b/secret/key", 0)),
	UP("B07:exchange", moved, MOVE(WS "/a", WORK "/z", WORK "/z/b/secret/key",
				       RENAME_EXCHANGE)),
	UP("B07:uring", moved_by_uring, MOVE(WS "/a", WS "/z", WS "/z/b/secret/key", 0)),

	BELOW("B08:directory", WS "/hooks/new"),
	BELOW("B08:empty-directory", CLOSED "/empty"),
	BELOW("B09:directory", WS "/not-yet"),

	ROW("B34:kept", kept_verdict, NULL, "EACCES EXDEV", "link/gain rename/gain rename/rule"),
	ROW("B35:symlinks", race_links, NULL, "EACCES", "open/rule"),
	ROW("B35:directories", race_directories, NULL, "EACCES", "open/rule"),
	{},
};
