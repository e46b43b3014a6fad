/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag.h"
#include "state.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

int state_open(struct diag *d)
{
	struct stat st;
	int fd;

	if (mkdir(STATE_DIR, 0755) && errno != EEXIST)
		return diag_set(d, -errno, "cannot make %s: %s", STATE_DIR, strerror(errno));
	fd = open(STATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return diag_set(d, -errno, "cannot open %s: %s", STATE_DIR, strerror(errno));
	if (fstat(fd, &st) || st.st_uid != 0 || (st.st_mode & 022)) {
		close(fd);
		return diag_set(d, -EPERM, "%s must belong to root and be writable by nobody else",
				STATE_DIR);
	}
	return fd;
}

static int read_number(int fd, uint64_t *v)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	*v = strtoull(text, NULL, 10);
	return 0;
}

/* Numbers only grow: nothing of a longer one is left behind it. */
static int write_number(int fd, uint64_t v)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%" PRIu64 "\n", v);

	errno = 0;
	return pwrite(fd, text, len, 0) == len ? 0 : errno ? -errno : -EIO;
}

static int counter_step(int fd, uint64_t floor, uint64_t *out)
{
	uint64_t v;
	int err;

	if (flock(fd, LOCK_EX))
		return -errno;
	err = read_number(fd, &v);
	v = MAX(v, floor) + 1;
	if (!err)
		err = write_number(fd, v);
	if (!err)
		*out = v;
	return err;
}

int state_counter(const char *name, uint64_t floor, uint64_t *out, struct diag *d)
{
	_cleanup_close_ int dir = -1;
	_cleanup_close_ int fd = -1;
	int err;

	dir = state_open(d);
	if (dir < 0)
		return dir;
	fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	err = fd < 0 ? -errno : counter_step(fd, floor, out);
	if (err)
		return diag_set(d, err, "cannot count in %s/%s: %s", STATE_DIR, name,
				strerror(-err));
	return 0;
}

uint64_t state_kept(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint64_t v = 0;

	return fd < 0 || flock(fd, LOCK_SH) || read_number(fd, &v) ? 0 : v;
}

int state_keep(int dir, const char *name, uint64_t v)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
							   O_NONBLOCK, 0600);
	uint64_t now;
	int err;

	if (fd < 0 || flock(fd, LOCK_EX))
		return -errno;
	err = read_number(fd, &now);
	return err || now >= v ? err : write_number(fd, v);
}

/* A directory below another, made where it is missing. */
static int open_dir(int top, const char *dir)
{
	int fd;

	if (mkdirat(top, dir, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(top, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int open_below(const char *dir)
{
	_cleanup_close_ int top = -1;
	_cleanup_close_ int own = -1;
	char abi[16];

	top = state_open(NULL);
	if (top < 0)
		return top;
	(void)snprintf(abi, sizeof(abi), "abi%u", EG_ABI);
	own = open_dir(top, abi);
	return own < 0 ? own : open_dir(own, dir);
}

DIR *state_list(const char *dir)
{
	int fd = open_below(dir);
	DIR *d;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	d = fdopendir(fd);
	if (!d)
		close(fd);
	return d;
}

void state_abi_path(unsigned int abi, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/abi%u", STATE_DIR, abi);
}

int state_write(const char *dir, const char *name, const char *text, size_t len)
{
	_cleanup_close_ int at = -1;
	_cleanup_close_ int fd = -1;
	char tmp[64];
	size_t done = 0;

	at = open_below(dir);
	if (at < 0)
		return at;
	snprintf(tmp, sizeof(tmp), ".%.40s.new", name);
	fd = openat(at, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0)
			return -errno;
		done += n;
	}
	return renameat(at, tmp, at, name) ? -errno : 0;
}

int state_read(const char *dir, const char *name, size_t max, char **text, size_t *len)
{
	_cleanup_close_ int at = -1;
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	size_t done = 0;

	at = open_below(dir);
	if (at < 0)
		return at;
	fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	buf = malloc(st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	while (done < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + done, st.st_size - done);

		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += n;
	}
	buf[done] = 0;
	*text = steal_ptr(buf);
	*len = done;
	return 0;
}

int state_remove(const char *dir, const char *name)
{
	_cleanup_close_ int at = open_below(dir);

	if (at < 0)
		return at;
	return unlinkat(at, name, 0) && errno != ENOENT ? -errno : 0;
}

int process_start(pid_t pid, uint64_t *ticks)
{
	_cleanup_close_ int fd = -1;
	char path[32], buf[1024], *p;
	ssize_t n;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return -ESRCH;
	buf[n] = 0;
	/* the command's name may hold anything, but nothing after it holds a ')' */
	p = strrchr(buf, ')');
	for (i = 0; p && i < 20; i++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EPROTO;
	*ticks = strtoull(p, NULL, 10);
	return 0;
}
