// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../bpf/egressctl.h"
#include "event_text.h"
#include "eventlog.h"
#include "util.h"

/* ---- which lines ------------------------------------------------------------------ */

/*
 * A line is compared as text: whatever a sandboxed program chose stands inside
 * JSON strings, where a quote has a backslash before it, so that ,"owner":0,
 * can only be the member we wrote.
 */
static bool has_number(const char *line, size_t len, const char *key, uint64_t want)
{
	size_t n = strlen(key);
	const char *at = memmem(line, len, key, n);
	uint64_t v = 0;

	if (!at)
		return false;
	for (at += n; at < line + len && *at >= '0' && *at <= '9'; at++)
		v = v * 10 + (uint64_t)(*at - '0');
	return v == want;
}

static bool has_op(const char *line, size_t len, int op)
{
	char member[48];
	int n = snprintf(member, sizeof(member), ",\"op\":\"%s\"", event_op_name((uint16_t)op));

	return memmem(line, len, member, (size_t)n) != NULL;
}

static bool has_verdict(const char *line, size_t len, uint8_t verdict)
{
	char member[40];
	int n = snprintf(member, sizeof(member), ",\"verdict\":\"%s\",",
			 event_verdict_name(verdict));

	return memmem(line, len, member, (size_t)n) != NULL;
}

bool eventlog_match(const struct eventlog_filter *f, const char *line, size_t len)
{
	static const char start[] = "{\"time\":\"";
	char stamp[] = "2026-11-23T13:32:18.123456789Z";
	size_t head = sizeof(start) - 1, n = sizeof(stamp) - 1;
	uint64_t ns;

	if (len < head + n + 2 || memcmp(line, start, head) != 0 || line[len - 1] != '}')
		return false;
	memcpy(stamp, line + head, n);
	if (event_time_parse(stamp, &ns) || ns < f->since_ns || (f->until_ns && ns > f->until_ns))
		return false;
	if (f->verdict && !has_verdict(line, len, f->verdict))
		return false;
	if (f->sandbox && !has_number(line, len, ",\"sandbox\":", f->sandbox))
		return false;
	if (f->owner >= 0 && !has_number(line, len, ",\"owner\":", (uint64_t)f->owner))
		return false;
	return !f->op || has_op(line, len, f->op);
}

/* ---- the files ---------------------------------------------------------------------- */

/* Lines of one file, as far as it is written. */
struct tail {
	int fd;
	ino_t ino;
	size_t used; /* of a line whose end has not been read yet */
	char buf[EVENTLOG_BUFFER];
};

/*
 * Half a line is read again when the rest is there: a disk that is full makes the writer take
 * it back, and what comes next stands in its place.
 */
static int whole_lines(struct tail *t)
{
	if (t->used && lseek(t->fd, -(off_t)t->used, SEEK_CUR) < 0)
		return -errno;
	t->used = 0;
	return 0;
}

static int tail_lines(struct tail *t, const struct eventlog_filter *f, eventlog_line_fn line,
		      void *ctx)
{
	for (;;) {
		ssize_t n = read(t->fd, t->buf + t->used, sizeof(t->buf) - t->used);
		char *p = t->buf, *end, *nl;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return whole_lines(t);
		end = t->buf + t->used + n;
		while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
			size_t len = (size_t)(nl - p);
			int ret = eventlog_match(f, p, len) ? line(ctx, p, len) : 0;

			p = nl + 1;
			if (ret)
				return ret;
		}
		t->used = (size_t)(end - p);
		memmove(t->buf, p, t->used);
		if (t->used == sizeof(t->buf))
			t->used = 0; /* nothing we write is that long */
	}
}

/* -1 in t->fd, and 0, when there is none of that number. */
static int tail_open(struct tail *t, int dir, unsigned int number)
{
	char name[sizeof(EVENTLOG_FILE) + 12];
	struct stat st;

	(void)snprintf(name, sizeof(name), number ? EVENTLOG_FILE ".%u" : EVENTLOG_FILE, number);
	t->used = 0;
	t->fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (t->fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(t->fd, &st))
		return -errno;
	t->ino = st.st_ino;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

static void tail_close(struct tail *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* Older files; the newest was opened first, so that a rotation in between only repeats. */
static int read_older(int dir, const struct tail *newest, const struct eventlog_filter *f,
		      eventlog_line_fn line, void *ctx)
{
	struct tail *t = calloc(1, sizeof(*t));
	int ret = t ? 0 : -ENOMEM;

	for (unsigned int i = EVENTLOG_KEEP; i > 0 && !ret; i--) {
		ret = tail_open(t, dir, i);
		if (!ret && t->fd >= 0 && (newest->fd < 0 || t->ino != newest->ino))
			ret = tail_lines(t, f, line, ctx);
		tail_close(t);
	}
	free(t);
	return ret;
}

static int wait_change(int watch)
{
	struct pollfd p = { .fd = watch, .events = POLLIN };
	char buf[4096];

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		return -errno;
	while (read(watch, buf, sizeof(buf)) > 0)
		; /* that something happened is all we need */
	return 0;
}

static bool rotated(const struct tail *t, int dir)
{
	struct stat st;

	/* ENOENT: half-way through a rotation, which the watch will tell the end of */
	if (fstatat(dir, EVENTLOG_FILE, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	return t->fd < 0 || st.st_ino != t->ino;
}

/* The number that a file has by now; 0: it is not kept any more. */
static unsigned int number_of(ino_t file, int dir)
{
	char name[sizeof(EVENTLOG_FILE) + 12];
	struct stat st;

	for (unsigned int i = EVENTLOG_KEEP; i > 0; i--) {
		(void)snprintf(name, sizeof(name), EVENTLOG_FILE ".%u", i);
		if (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && st.st_ino == file)
			return i;
	}
	return 0;
}

/*
 * The file after the one in `t`: the newest, or with a reader that is slow one that has been
 * rotated away itself. Where that one's place is not known any more, the newest again, and
 * sequence numbers show what is missing.
 */
static int tail_next(struct tail *t, int dir)
{
	const ino_t last = t->ino;
	unsigned int number;
	int ret;

	do { /* until no rotation gave the numbers to other files in between */
		number = number_of(last, dir);
		tail_close(t);
		ret = tail_open(t, dir, number ? number - 1 : 0);
	} while (!ret && number && number_of(last, dir) != number);
	return ret;
}

static int follow_file(struct tail *t, int dir, int watch, const struct eventlog_filter *f,
		       eventlog_line_fn line, void *ctx)
{
	for (;;) {
		/* asked before reading: a file that was rotated away does not grow any more */
		bool gone = rotated(t, dir);
		int ret = t->fd >= 0 ? tail_lines(t, f, line, ctx) : 0;

		if (!ret && gone) {
			ret = tail_next(t, dir);
		} else if (!ret) {
			ret = line(ctx, NULL, 0);
			if (!ret)
				ret = wait_change(watch);
		}
		if (ret)
			return ret;
	}
}

int eventlog_read(const char *dir, const struct eventlog_filter *f, bool follow,
		  eventlog_line_fn line, void *ctx)
{
	_cleanup_close_ int dirfd = -1, watch = -1;
	_cleanup_free_ struct tail *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return -ENOMEM;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	if (follow) {
		watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (watch < 0 || inotify_add_watch(watch, dir,
						   IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
			return -errno;
	}
	ret = tail_open(t, dirfd, 0);
	if (!ret)
		ret = read_older(dirfd, t, f, line, ctx);
	if (!ret && t->fd >= 0)
		ret = tail_lines(t, f, line, ctx);
	if (!ret && follow)
		ret = follow_file(t, dirfd, watch, f, line, ctx);
	tail_close(t);
	return ret;
}
