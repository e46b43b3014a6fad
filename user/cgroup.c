/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "util.h"

#define FILEID_KERNFS 0xfe /* include/linux/exportfs.h: the handle is the id */

int mount_find(const char *fstype, char *buf, size_t size)
{
	struct mntent m, *e;
	char line[4 * PATH_MAX];
	int err = -ENOENT;
	FILE *f;

	f = setmntent("/proc/self/mounts", "re");
	if (!f)
		return -errno;
	while ((e = getmntent_r(f, &m, line, sizeof(line)))) {
		if (strcmp(e->mnt_type, fstype))
			continue;
		err = -ENAMETOOLONG;
		if (strlen(e->mnt_dir) < size) {
			strcpy(buf, e->mnt_dir);
			err = 0;
		}
		break;
	}
	endmntent(f);
	return err;
}

int cgroup_id(int dirfd, uint64_t *id)
{
	struct {
		struct file_handle fh;
		uint64_t id;
	} h = { .fh.handle_bytes = sizeof(h.id) };
	int mount_id;

	/* st_ino is the id only where ino_t has 64 bits; the handle always is */
	if (name_to_handle_at(dirfd, "", &h.fh, &mount_id, AT_EMPTY_PATH))
		return -errno;
	if (h.fh.handle_bytes != sizeof(h.id))
		return -EPROTO;
	memcpy(id, h.fh.f_handle, sizeof(*id));
	return 0;
}

int cgroup_open_id(int mount, uint64_t id)
{
	struct {
		struct file_handle fh;
		uint64_t id;
	} h = { .fh = { .handle_bytes = sizeof(h.id), .handle_type = FILEID_KERNFS }, .id = id };
	int fd = open_by_handle_at(mount, &h.fh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

uint32_t cgroup_depth(const char *mount, const char *path)
{
	uint32_t depth = 0;
	const char *p = path + strlen(mount);

	for (; *p; p++)
		if (*p == '/' && p[1] && p[1] != '/')
			depth++;
	return depth;
}

int cgroup_write(int dirfd, const char *file, const char *value)
{
	size_t len = strlen(value);
	int err = 0;
	int fd;

	fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (write(fd, value, len) != (ssize_t)len)
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

int cgroup_read(int dirfd, const char *file, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;
	int fd, err = 0;

	fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while (len + 1 < size && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	if (n < 0)
		err = -errno;
	close(fd);
	buf[err ? 0 : len] = 0;
	return err;
}

bool cgroup_has_file(int dirfd, const char *file)
{
	return !faccessat(dirfd, file, F_OK, 0);
}

/* Is `word` one of the words in `list`? */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *p = list;

	while ((p = strstr(p, word))) {
		bool starts = p == list || p[-1] == ' ' || p[-1] == '\n';

		if (starts && (!p[len] || p[len] == ' ' || p[len] == '\n'))
			return true;
		p += len;
	}
	return false;
}

int cgroup_enable(int dirfd, const char *controller)
{
	char buf[512], add[64];
	int err;

	err = cgroup_read(dirfd, "cgroup.subtree_control", buf, sizeof(buf));
	if (err)
		return err;
	if (has_word(buf, controller))
		return 0;
	err = cgroup_read(dirfd, "cgroup.controllers", buf, sizeof(buf));
	if (err)
		return err;
	if (!has_word(buf, controller))
		return -EOPNOTSUPP;
	snprintf(add, sizeof(add), "+%s", controller);
	return cgroup_write(dirfd, "cgroup.subtree_control", add);
}

int cgroup_make(int parent, const char *name)
{
	return mkdirat(parent, name, 0755) ? -errno : 0;
}

int cgroup_open_events(int dirfd)
{
	int fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool cgroup_is_empty(int events)
{
	char buf[256];
	ssize_t n;

	n = pread(events, buf, sizeof(buf) - 1, 0);
	if (n < 0)
		return errno == ENODEV; /* removed */
	buf[n] = 0;
	return strstr(buf, "populated 0");
}

int cgroup_populated(int dirfd)
{
	char buf[256];
	char *p;
	int err;

	err = cgroup_read(dirfd, "cgroup.events", buf, sizeof(buf));
	if (err == -ENODEV || err == -ENOENT)
		return 0; /* removed */
	if (err)
		return err;
	p = strstr(buf, "populated ");
	return p ? p[10] == '1' : -EPROTO;
}

/* Signal every process listed in cgroup.procs of one directory. */
static void signal_listed(int dirfd, int sig)
{
	char line[32];
	FILE *f;
	int fd;

	fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	f = fd < 0 ? NULL : fdopen(fd, "re");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return; /* what cannot be listed any more has no tasks */
	}
	while (fgets(line, sizeof(line), f)) {
		long pid = strtol(line, NULL, 10);

		if (pid > 1)
			(void)kill(pid, sig); /* it may have ended */
	}
	fclose(f);
}

static void signal_tree(int dirfd, int sig, int depth)
{
	struct dirent *e;
	int fd;
	DIR *d;

	signal_listed(dirfd, sig);
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return;
	}
	while (depth < 64 && (e = readdir(d))) {
		int sub;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		sub = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub < 0)
			continue;
		signal_tree(sub, sig, depth + 1);
		close(sub);
	}
	closedir(d);
}

void cgroup_signal(int dirfd, int sig)
{
	signal_tree(dirfd, sig, 0);
}

int cgroup_kill(int dirfd)
{
	int err, i;

	err = cgroup_write(dirfd, "cgroup.kill", "1");
	if (err == -ENODEV)
		return 0; /* removed */
	if (err != -ENOENT && err != -EOPNOTSUPP)
		return err;
	if (!cgroup_has_file(dirfd, "cgroup.procs"))
		return 0;
	/*
	 * Before 5.14: frozen tasks cannot fork or exit, so two rounds see all of them,
	 * and a number is not another process's; SIGKILL ends a frozen task.
	 */
	err = cgroup_write(dirfd, "cgroup.freeze", "1");
	for (i = 0; i < 2; i++)
		signal_tree(dirfd, SIGKILL, 0);
	if (!err)
		err = cgroup_write(dirfd, "cgroup.freeze", "0");
	return err;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

int cgroup_wait_empty(int dirfd, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;
	struct pollfd p = { .events = POLLPRI };
	int err;

	p.fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (p.fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	for (;;) {
		char buf[256];
		int64_t left = timeout_ms < 0 ? -1 : end - now_ms();
		ssize_t n;

		/* reading arms the notification, so a change after it is not missed */
		n = pread(p.fd, buf, sizeof(buf) - 1, 0);
		if (n <= 0) {
			err = n < 0 && errno != ENODEV ? -errno : 0;
			break;
		}
		buf[n] = 0;
		if (!strstr(buf, "populated 1")) {
			err = 0;
			break;
		}
		if (timeout_ms >= 0 && left <= 0) {
			err = -ETIME;
			break;
		}
		if (poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left) < 0 && errno != EINTR) {
			err = -errno;
			break;
		}
	}
	close(p.fd);
	return err;
}

static int remove_below(int dirfd, int depth)
{
	struct dirent *e;
	int err = 0;
	int fd;
	DIR *d;

	if (depth > 64)
		return -ELOOP;
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (e = readdir(d))) {
		int sub;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		sub = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub >= 0) {
			err = remove_below(sub, depth + 1);
			close(sub);
		}
		if (!err && unlinkat(dirfd, e->d_name, AT_REMOVEDIR) && errno != ENOENT)
			err = -errno;
	}
	closedir(d);
	return err;
}

int cgroup_remove(int parent, const char *name)
{
	int err;
	int fd;

	if (!unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT)
		return 0;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = remove_below(fd, 0);
	close(fd);
	if (err)
		return err;
	return unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT ? -errno : 0;
}
