// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "denials.h"
#include "event_text.h"
#include "util.h"

#define RANDOM_BYTES 16u /* of the name: nobody tries them all */

struct denials {
	int dir;
	int fd; /* locked: this file has an owner */
	uid_t uid;
	char path[128]; /* below the directory's own path */
	const char *name; /* the last part of path */
	struct text lines; /* whole lines; what the file has, once flushed */
	size_t written; /* of lines, in the file */
	uint64_t gone; /* lines that are not kept any more */
	uint64_t told; /* of those, what the file says */
	bool rewrite; /* the file does not begin as `lines` does */
	bool dirty; /* denials_flush() has something to do */
};

/* ---- the file ------------------------------------------------------------------------ */

/* Root owns it; one user may read it, and nobody but root may change that. */
static int let_read(int fd, uid_t uid)
{
	static const struct {
		uint16_t tag, perm;
	} entries[] = {
		{ ACL_USER_OBJ, ACL_READ }, { ACL_USER, ACL_READ }, { ACL_GROUP_OBJ, 0 },
		{ ACL_MASK, ACL_READ },	    { ACL_OTHER, 0 },
	};
	struct {
		struct posix_acl_xattr_header head;
		struct posix_acl_xattr_entry entry[ARRAY_SIZE(entries)];
	} acl = { .head.a_version = htole32(POSIX_ACL_XATTR_VERSION) };

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		acl.entry[i].e_tag = htole16(entries[i].tag);
		acl.entry[i].e_perm = htole16(entries[i].perm);
		acl.entry[i].e_id = htole32(entries[i].tag == ACL_USER ? uid :
								  (uint32_t)ACL_UNDEFINED_ID);
	}
	if (!fsetxattr(fd, "system.posix_acl_access", &acl, sizeof(acl), 0))
		return 0;
	/* no lists here: then it is the user's own, to read */
	return errno == EOPNOTSUPP && !fchown(fd, uid, (gid_t)-1) ? 0 : -errno;
}

static int make_file(int dir, const char *name, uid_t uid)
{
	_cleanup_close_ int fd = openat(dir, name,
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	int err;

	if (fd < 0)
		return -errno;
	err = flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	if (!err && uid != geteuid())
		err = let_read(fd, uid);
	if (!err)
		return steal_fd(&fd);
	(void)unlinkat(dir, name, 0); /* nobody knows the name */
	return err;
}

static int open_dir(const char *dir)
{
	struct stat st;
	int fd;

	if (mkdir(dir, 0711) && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* the names in it are what keeps sandboxes apart: nobody lists or changes it */
	if (fstat(fd, &st) || st.st_uid != geteuid() ||
	    ((st.st_mode & 066) && fchmod(fd, 0711))) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

static int new_name(struct denials *d, const char *dir, uint64_t sandbox)
{
	uint8_t random[RANDOM_BYTES];
	int n;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	n = snprintf(d->path, sizeof(d->path), "%s/%" PRIu64 "-", dir, sandbox);
	if (n < 0 || (size_t)n + 2 * sizeof(random) >= sizeof(d->path))
		return -ENAMETOOLONG;
	for (size_t i = 0; i < sizeof(random); i++)
		(void)sprintf(d->path + n + 2 * i, "%02x", random[i]);
	return 0;
}

/* The file that another process made for this sandbox and left. */
static bool find_left(struct denials *d, const char *dir, uint64_t sandbox)
{
	char head[24];
	struct dirent *e;
	bool found = false;
	int fd = dup(d->dir);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (!list) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	rewinddir(list); /* the offset is shared with d->dir */
	(void)snprintf(head, sizeof(head), "%" PRIu64 "-", sandbox);
	while (!found && (e = readdir(list)))
		if (str_starts(e->d_name, head) &&
		    (size_t)snprintf(d->path, sizeof(d->path), "%s/%.64s", dir, e->d_name) <
			    sizeof(d->path))
			found = true;
	closedir(list);
	return found;
}

/* write_head() backwards. */
static void read_head(struct denials *d)
{
	static const char head[] = "\"op\":\"dropped\",\"lines\":";
	const char *nl = d->lines.len ? memchr(d->lines.p, '\n', d->lines.len) : NULL;
	size_t len = nl ? (size_t)(nl - d->lines.p) + 1 : 0;
	const char *at = nl ? memmem(d->lines.p, MIN(len, (size_t)128), head, sizeof(head) - 1) :
			       NULL;

	if (!at)
		return;
	d->gone = d->told = strtoull(at + sizeof(head) - 1, NULL, 10); /* ends at the brace */
	memmove(d->lines.p, d->lines.p + len, d->lines.len - len);
	d->lines.len -= len;
}

/* What it has is what is kept: root alone could write to it. */
static int take_over(struct denials *d)
{
	char buf[4096];
	ssize_t n;

	d->fd = openat(d->dir, d->name, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (d->fd < 0)
		return -errno;
	if (flock(d->fd, LOCK_EX | LOCK_NB))
		return -errno;
	while ((n = read(d->fd, buf, sizeof(buf))) > 0 && d->lines.len < DENIALS_MAX)
		text_add_bytes(&d->lines, buf, (size_t)n);
	if (d->lines.failed)
		return -ENOMEM;
	while (d->lines.len && d->lines.p[d->lines.len - 1] != '\n')
		d->lines.len--;
	read_head(d);
	d->written = d->lines.len;
	return 0;
}

static void free_denials(struct denials *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->dir >= 0)
		close(d->dir);
	text_free(&d->lines);
	free(d);
}

int denials_open(const char *dir, uint64_t sandbox, uid_t uid, bool adopt, struct denials **out)
{
	struct denials *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->fd = -1;
	d->uid = uid;
	d->dir = open_dir(dir);
	err = d->dir < 0 ? d->dir : 0;
	if (!err && adopt && find_left(d, dir, sandbox)) {
		d->name = strrchr(d->path, '/') + 1;
		err = take_over(d);
	} else if (!err) {
		err = new_name(d, dir, sandbox);
		d->name = err ? NULL : strrchr(d->path, '/') + 1;
		if (!err)
			d->fd = make_file(d->dir, d->name, uid);
		err = err ? err : MIN(d->fd, 0);
	}
	if (err) {
		free_denials(d);
		return err;
	}
	*out = d;
	return 0;
}

void denials_leave(struct denials *d)
{
	if (!d)
		return;
	denials_flush(d);
	free_denials(d);
}

void denials_close(struct denials *d)
{
	if (!d)
		return;
	(void)unlinkat(d->dir, d->name, 0); /* else the next sweep does it */
	free_denials(d);
}

const char *denials_path(const struct denials *d)
{
	return d->path;
}

/* ---- lines ------------------------------------------------------------------------------ */

/* Make room: the older half goes, or as much as it takes. */
static void drop_older(struct denials *d, size_t need)
{
	size_t from = 0, goal = MAX(d->lines.len / 2, MIN(need, d->lines.len));

	while (from < goal) {
		const char *nl = memchr(d->lines.p + from, '\n', d->lines.len - from);

		from = (size_t)(nl - d->lines.p) + 1;
		d->gone++;
	}
	memmove(d->lines.p, d->lines.p + from, d->lines.len - from);
	d->lines.len -= from;
	d->rewrite = true;
}

int denials_add(struct denials *d, const char *json, size_t len)
{
	bool first = !d->dirty;
	size_t before;

	d->dirty = true;

	if (len + 1 > DENIALS_MAX) {
		d->gone++;
		return first;
	}
	if (d->lines.len + len + 1 > DENIALS_MAX)
		drop_older(d, d->lines.len + len + 1 - DENIALS_MAX);
	before = d->lines.len;
	text_add_bytes(&d->lines, json, len);
	text_add(&d->lines, "\n");
	if (d->lines.failed) {
		d->lines.len = before;
		d->lines.failed = false;
		d->gone++;
	}
	return first;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The first line says how many are missing before those that follow. */
static int write_head(const struct denials *d, int fd)
{
	struct timespec ts = { 0 };
	struct text t = { 0 };
	int err;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	err = event_dropped_to_json((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec,
				    d->gone, &t);
	text_add(&t, "\n");
	if (!err)
		err = t.failed ? -ENOMEM : write_all(fd, t.p, t.len);
	text_free(&t);
	return err;
}

static int replace(struct denials *d)
{
	char temporary[sizeof(d->path) + 1];
	int fd, err;

	(void)snprintf(temporary, sizeof(temporary), ".%s", d->name);
	(void)unlinkat(d->dir, temporary, 0); /* of a predecessor that died here */
	fd = make_file(d->dir, temporary, d->uid);
	if (fd < 0)
		return fd;
	err = d->gone ? write_head(d, fd) : 0;
	if (!err)
		err = write_all(fd, d->lines.p, d->lines.len);
	if (!err && renameat(d->dir, temporary, d->dir, d->name))
		err = -errno;
	if (err) {
		close(fd);
		(void)unlinkat(d->dir, temporary, 0);
		return err;
	}
	close(d->fd);
	d->fd = fd;
	return 0;
}

void denials_flush(struct denials *d)
{
	int err;

	if (!d->dirty)
		return;
	d->dirty = false;
	if (d->rewrite || d->told != d->gone)
		err = replace(d);
	else
		err = write_all(d->fd, d->lines.p + d->written, d->lines.len - d->written);
	/* a full file system: the next flush writes all of it again */
	d->rewrite = err;
	d->written = d->lines.len;
	if (!err)
		d->told = d->gone;
}

/* ,"seq":N, is a member of ours and the first of that name: time stands before it. */
static bool has_seq(const char *line, size_t len, uint64_t seq)
{
	char member[40];
	int n = snprintf(member, sizeof(member), "Z\",\"seq\":%" PRIu64 ",", seq);
	const char *head = "{\"time\":\"2026-11-23T13:32:18.123456789";

	return len > strlen(head) + (size_t)n && !memcmp(line + strlen(head), member, (size_t)n);
}

/* The line before the one that begins at *end, which then is its own beginning. */
static const char *line_before(const struct denials *d, size_t *end, size_t *len)
{
	const char *nl;
	size_t start;

	if (!*end)
		return NULL;
	nl = memrchr(d->lines.p, '\n', *end - 1);
	start = nl ? (size_t)(nl - d->lines.p) + 1 : 0;
	*len = *end - 1 - start;
	*end = start;
	return d->lines.p + start;
}

const char *denials_find(const struct denials *d, uint64_t seq, size_t *len)
{
	size_t end = d->lines.len, n;
	const char *line;

	while ((line = line_before(d, &end, &n)))
		if (!seq || has_seq(line, n, seq)) {
			*len = n;
			return line;
		}
	return NULL;
}

const char *denials_last_allowable(const struct denials *d, size_t *len)
{
	/* a program's own quotes have a backslash before them */
	static const char member[] = ",\"allow_run\":\"egressctl run --allow ";
	size_t end = d->lines.len, n;
	const char *line;

	while ((line = line_before(d, &end, &n)))
		if (memmem(line, n, member, strlen(member))) {
			*len = n;
			return line;
		}
	return NULL;
}

void denials_sweep(const char *dir)
{
	DIR *list = opendir(dir);
	struct dirent *e;

	while (list && (e = readdir(list))) {
		_cleanup_close_ int fd = -1;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		fd = openat(dirfd(list), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
			(void)unlinkat(dirfd(list), e->d_name, 0); /* gone already, or next time */
	}
	if (list)
		closedir(list);
}
