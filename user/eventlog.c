// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "../bpf/egressctl.h"
#include "event_text.h"
#include "eventlog.h"
#include "util.h"

struct eventlog {
	int dir; /* locked: one writer a directory */
	int fd; /* -1: could not be opened, tried again at the next flush */
	uint64_t size; /* of the file */
	uint64_t max;
	uint64_t untold; /* dropped, and not yet said in the log */
	struct eventlog_stats stats;
	size_t used;
	uint64_t lines; /* in buf */
	char buf[EVENTLOG_BUFFER];
};

/*
 * The directory is trusted with a log of what everybody did and with renames by
 * root in it: nobody else may own it or write to it.
 */
static int check_dir(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
		return -EPERM;
	return 0;
}

static int open_dir(const char *dir)
{
	int fd, err;

	if (mkdir(dir, EVENTLOG_DIR_MODE) && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = check_dir(fd);
	if (!err && flock(fd, LOCK_EX | LOCK_NB))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int open_file(struct eventlog *log)
{
	int err = -EPERM, fd;
	struct stat st;

	/* non-blocking: what stands there may be a FIFO */
	fd = openat(log->dir, EVENTLOG_FILE,
		    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		    EVENTLOG_FILE_MODE);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == geteuid())
		err = 0;
	if (err) {
		close(fd);
		return err;
	}
	log->fd = fd;
	log->size = (uint64_t)st.st_size;
	return 0;
}

int eventlog_open(const char *dir, uint64_t max_bytes, struct eventlog **out)
{
	struct eventlog *log = calloc(1, sizeof(*log));
	int err;

	if (!log)
		return -ENOMEM;
	log->fd = -1;
	eventlog_set_max(log, max_bytes);
	log->dir = open_dir(dir);
	err = log->dir < 0 ? log->dir : open_file(log);
	if (err) {
		if (log->dir >= 0)
			close(log->dir);
		free(log);
		return err;
	}
	*out = log;
	return 0;
}

void eventlog_set_max(struct eventlog *log, uint64_t max_bytes)
{
	log->max = max_bytes ? max_bytes : EVENTLOG_MAX_BYTES;
}

void eventlog_close(struct eventlog *log)
{
	if (!log)
		return;
	eventlog_flush(log);
	if (log->fd >= 0)
		close(log->fd);
	close(log->dir);
	free(log);
}

static void failed(struct eventlog *log, uint64_t lines, int err)
{
	log->stats.dropped += lines;
	log->untold += lines;
	log->stats.error = -err;
}

static int rotate(struct eventlog *log)
{
	char from[sizeof(EVENTLOG_FILE) + 12], to[sizeof(from)];

	close(log->fd);
	log->fd = -1;
	for (unsigned int i = EVENTLOG_KEEP; i > 0; i--) {
		(void)snprintf(to, sizeof(to), EVENTLOG_FILE ".%u", i);
		(void)snprintf(from, sizeof(from), i > 1 ? EVENTLOG_FILE ".%u" : EVENTLOG_FILE,
			       i - 1);
		/* ENOENT: fewer than EVENTLOG_KEEP yet */
		if (renameat(log->dir, from, log->dir, to) && errno != ENOENT)
			return -errno;
	}
	return open_file(log);
}

/* The bytes written without error, of which only whole lines are kept. */
static size_t write_whole(struct eventlog *log, const char *p, size_t len, int *err)
{
	size_t done = 0, keep;

	while (done < len) {
		ssize_t n = write(log->fd, p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*err = n < 0 ? -errno : -EIO;
			break;
		}
		done += (size_t)n;
	}
	for (keep = done; keep > 0 && p[keep - 1] != '\n'; keep--)
		;
	/* a disk that is full may leave half a line: take it back */
	if (keep != done && ftruncate(log->fd, (off_t)(log->size + keep)))
		*err = -errno;
	log->size += keep;
	return keep;
}

static uint64_t count_lines(const char *p, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += p[i] == '\n';
	return n;
}

/* Say in the log itself how many lines it lacks here. */
static void tell_dropped(struct eventlog *log)
{
	struct timespec ts = { 0 };
	struct text t = { 0 };
	int err = 0;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	(void)event_dropped_to_json((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec,
				    log->untold, &t); /* t.failed says it too */
	text_add(&t, "\n");
	if (!t.failed && write_whole(log, t.p, t.len, &err) == t.len)
		log->untold = 0;
	text_free(&t);
}

void eventlog_flush(struct eventlog *log)
{
	size_t kept = 0;
	uint64_t lines;
	int err = 0;

	if (!log->used)
		return;
	if (log->fd < 0)
		err = open_file(log);
	else if (log->size && log->size + log->used > log->max)
		err = rotate(log);
	if (!err && log->untold)
		tell_dropped(log);
	if (!err)
		kept = write_whole(log, log->buf, log->used, &err);
	lines = kept == log->used ? log->lines : count_lines(log->buf, kept);
	log->stats.lines += lines;
	if (err)
		failed(log, log->lines - lines, err);
	else
		log->stats.error = 0;
	log->used = 0;
	log->lines = 0;
}

void eventlog_add(struct eventlog *log, const char *json, size_t len)
{
	if (len >= sizeof(log->buf)) {
		failed(log, 1, -EMSGSIZE);
		return;
	}
	if (log->used + len + 1 > sizeof(log->buf))
		eventlog_flush(log);
	memcpy(log->buf + log->used, json, len);
	log->buf[log->used + len] = '\n';
	log->used += len + 1;
	log->lines++;
}

const struct eventlog_stats *eventlog_stats(const struct eventlog *log)
{
	return &log->stats;
}

void eventlog_remove(const char *dir)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[sizeof(EVENTLOG_FILE) + 12];

	for (unsigned int i = 0; fd >= 0 && i <= EVENTLOG_KEEP; i++) {
		(void)snprintf(name, sizeof(name), i ? EVENTLOG_FILE ".%u" : EVENTLOG_FILE, i);
		(void)unlinkat(fd, name, 0); /* ENOENT; else the caller sees what is left */
	}
}
