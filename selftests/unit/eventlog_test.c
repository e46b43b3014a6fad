// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The log file: rotation, filters, following it, a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../bpf/egressctl.h"
#include "event_text.h"
#include "eventlog.h"
#include "util.h"

/* ---- the log ------------------------------------------------------------------------ */

static const char *log_dir(char buf[64])
{
	strcpy(buf, "/tmp/events_test.XXXXXX");
	assert_non_null(mkdtemp(buf));
	strcat(buf, "/log");
	return buf;
}

static void remove_log(const char *dir)
{
	char path[96];

	eventlog_remove(dir);
	assert_int_equal(rmdir(dir), 0);
	(void)snprintf(path, sizeof(path), "%.*s", (int)(strrchr(dir, '/') - dir), dir);
	assert_int_equal(rmdir(path), 0);
}

static size_t make_line(char *buf, size_t len, unsigned int n, unsigned int sandbox, const char *op)
{
	return (size_t)snprintf(buf, len,
				"{\"time\":\"2026-11-23T13:32:%02u.000000000Z\",\"seq\":%u,"
				"\"sandbox\":%u,\"owner\":%u,\"op\":\"%s\",\"path\":\"/\\\","
				"\\\"sandbox\\\":9,\"}", n % 60, n, sandbox, 1000 + sandbox, op);
}

struct lines {
	size_t n;
	size_t stop; /* after so many; 0: never */
	unsigned int first, last; /* seq */
};

static int collect(void *ctx, const char *line, size_t len)
{
	struct lines *l = ctx;
	const char *seq;

	if (!line)
		return 0;
	seq = memmem(line, len, "\"seq\":", 6);
	l->last = seq ? (unsigned int)strtoul(seq + 6, NULL, 10) : 0;
	if (!l->n++)
		l->first = l->last;
	return l->stop && l->n == l->stop;
}

static void test_log_rotates(void **state)
{
	struct eventlog_filter all = { .owner = -1 };
	struct lines l = { 0 };
	struct eventlog *log, *second;
	char dir[64], line[256];
	struct stat st;

	(void)state;
	log_dir(dir);
	assert_int_equal(eventlog_open(dir, 1024, &log), 0);
	assert_int_equal(eventlog_open(dir, 1024, &second), -EWOULDBLOCK);
	for (unsigned int i = 1; i <= 100; i++) {
		eventlog_add(log, line, make_line(line, sizeof(line), i, 7, "open"));
		eventlog_flush(log);
	}
	assert_int_equal(eventlog_stats(log)->lines, 100);
	assert_int_equal(eventlog_stats(log)->dropped, 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777 & ~EVENTLOG_DIR_MODE, 0);
	assert_int_equal(eventlog_read(dir, &all, false, collect, &l), 0);
	/* the newest stay, in order, and no more than the files may hold */
	assert_int_equal(l.last, 100);
	assert_int_equal(l.first, 101 - l.n);
	assert_true(l.n * 100 < (EVENTLOG_KEEP + 1) * 1024);
	assert_true(l.n > EVENTLOG_KEEP * 5);
	eventlog_close(log);
	remove_log(dir);
}

static void test_log_filters(void **state)
{
	struct eventlog_filter f = { .owner = -1 };
	char line[256];
	size_t len = make_line(line, sizeof(line), 30, 7, "open");

	(void)state;
	assert_true(eventlog_match(&f, line, len));
	f.sandbox = 7;
	f.owner = 1007;
	f.op = EG_OP_OPEN;
	assert_int_equal(event_time_parse("2026-11-23T13:32:30.000000000Z", &f.since_ns), 0);
	assert_true(eventlog_match(&f, line, len));
	f.since_ns++;
	assert_false(eventlog_match(&f, line, len));
	f.since_ns = 0;
	f.sandbox = 9; /* what stands in a path is not a member */
	assert_false(eventlog_match(&f, line, len));
	f.sandbox = 0;
	f.owner = 0;
	assert_false(eventlog_match(&f, line, len));
	f.owner = -1;
	f.op = EG_OP_CONNECT;
	assert_false(eventlog_match(&f, line, len));
	f.op = 0;
	assert_false(eventlog_match(&f, line, len - 1)); /* half a line */
	assert_false(eventlog_match(&f, "x", 1));
}

/* A reader that follows sees what is written later, across a rotation. */
static void test_log_follow(void **state)
{
	struct eventlog_filter all = { .owner = -1 };
	struct lines l = { .stop = 60 };
	struct eventlog *log;
	char dir[64], line[256];
	int ready[2];
	pid_t child;
	char c;

	(void)state;
	log_dir(dir);
	assert_int_equal(eventlog_open(dir, 4096, &log), 0);
	assert_int_equal(pipe(ready), 0);
	eventlog_add(log, line, make_line(line, sizeof(line), 1, 7, "open"));
	eventlog_flush(log);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		assert_int_equal(read(ready[0], &c, 1), 1);
		for (unsigned int i = 2; i <= 60; i++) {
			eventlog_add(log, line, make_line(line, sizeof(line), i, 7, "open"));
			eventlog_flush(log);
		}
		_exit(0);
	}
	assert_int_equal(write(ready[1], "x", 1), 1);
	assert_int_equal(eventlog_read(dir, &all, true, collect, &l), 1);
	assert_int_equal(l.first, 1);
	assert_int_equal(l.last, 60);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ready[0]);
	close(ready[1]);
	eventlog_close(log);
	remove_log(dir);
}

struct slow {
	struct lines lines;
	struct eventlog *log;
	unsigned int idle;
	char file[96];
};

#define SLOW_LINES 32u /* three rotations at ten lines a file */

/* While the reader waits for more, as many files are written as are kept, less one. */
static int collect_slowly(void *ctx, const char *text, size_t len)
{
	struct slow *s = ctx;
	char line[256];

	if (text)
		return collect(&s->lines, text, len);
	if (s->idle++)
		return 1;
	for (unsigned int i = 2; i <= SLOW_LINES; i++) {
		eventlog_add(s->log, line, make_line(line, sizeof(line), i, 7, "open"));
		eventlog_flush(s->log);
	}
	return 0;
}

/* A reader that is several rotations behind reads them one after the other. */
static void test_log_follow_slowly(void **state)
{
	struct eventlog_filter all = { .owner = -1 };
	struct slow s = { .idle = 0 };
	char dir[64], line[256];

	(void)state;
	log_dir(dir);
	assert_int_equal(eventlog_open(dir, 1024, &s.log), 0);
	eventlog_add(s.log, line, make_line(line, sizeof(line), 1, 7, "open"));
	eventlog_flush(s.log);
	assert_int_equal(eventlog_read(dir, &all, true, collect_slowly, &s), 1);
	assert_int_equal(s.lines.n, SLOW_LINES);
	assert_int_equal(s.lines.first, 1);
	assert_int_equal(s.lines.last, SLOW_LINES);
	eventlog_close(s.log);
	remove_log(dir);
}

/* What it has read of a line that the writer then takes back is no part of the next one. */
static int collect_half(void *ctx, const char *text, size_t len)
{
	struct slow *s = ctx;
	char line[256];
	struct stat st;
	int fd;

	if (text)
		return collect(&s->lines, text, len);
	fd = open(s->file, O_RDWR | O_APPEND);
	assert_true(fd >= 0 && !fstat(fd, &st));
	len = make_line(line, sizeof(line), 2, 7, "open");
	if (s->idle == 0) {
		assert_int_equal(write(fd, line, len / 2), len / 2);
	} else if (s->idle == 1) {
		assert_int_equal(ftruncate(fd, st.st_size - (off_t)(len / 2)), 0);
		for (unsigned int i = 2; i <= 3; i++)
			eventlog_add(s->log, line, make_line(line, sizeof(line), i, 7, "open"));
		eventlog_flush(s->log);
	}
	close(fd);
	return s->idle++ == 2;
}

static void test_log_follow_half(void **state)
{
	struct eventlog_filter all = { .owner = -1 };
	struct slow s = { .idle = 0 };
	char dir[64], line[256];

	(void)state;
	log_dir(dir);
	(void)snprintf(s.file, sizeof(s.file), "%s/%s", dir, EVENTLOG_FILE);
	assert_int_equal(eventlog_open(dir, 0, &s.log), 0);
	eventlog_add(s.log, line, make_line(line, sizeof(line), 1, 7, "open"));
	eventlog_flush(s.log);
	assert_int_equal(eventlog_read(dir, &all, true, collect_half, &s), 1);
	assert_int_equal(s.lines.n, 3);
	assert_int_equal(s.lines.last, 3);
	eventlog_close(s.log);
	remove_log(dir);
}

/*
 * The limit on file sizes stands in for a full disk: a write comes back short,
 * half a line is taken back, and the next one that works says what is missing.
 */
static void test_log_full(void **state)
{
	struct rlimit old, small;
	struct eventlog_filter all = { .owner = -1 };
	struct eventlog *log;
	struct lines l = { 0 };
	char dir[64], line[256], path[96], text[4096];
	size_t n, len;
	FILE *f;

	(void)state;
	log_dir(dir);
	assert_int_equal(eventlog_open(dir, 1 << 20, &log), 0);
	len = make_line(line, sizeof(line), 1, 7, "open");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = len + 20; /* one line and a bit */
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned int i = 1; i <= 3; i++)
		eventlog_add(log, line, make_line(line, sizeof(line), i, 7, "open"));
	eventlog_flush(log);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(eventlog_stats(log)->lines, 1);
	assert_int_equal(eventlog_stats(log)->dropped, 2);
	assert_int_equal(eventlog_stats(log)->error, EFBIG);
	eventlog_add(log, line, make_line(line, sizeof(line), 4, 7, "open"));
	eventlog_flush(log);
	assert_int_equal(eventlog_stats(log)->error, 0);
	assert_int_equal(eventlog_read(dir, &all, false, collect, &l), 0);
	assert_int_equal(l.n, 3); /* 1, the note, 4 */
	(void)snprintf(path, sizeof(path), "%s/%s", dir, EVENTLOG_FILE);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "\",\"op\":\"dropped\",\"lines\":2}\n"));
	eventlog_close(log);
	remove_log(dir);
}

/* Somebody's directory may be the log's as well. */
static void test_log_removed(void **state)
{
	char dir[64], path[96];
	struct eventlog *log;
	FILE *f;

	(void)state;
	log_dir(dir);
	assert_int_equal(eventlog_open(dir, 0, &log), 0);
	eventlog_close(log);
	(void)snprintf(path, sizeof(path), "%s/%s.bak", dir, EVENTLOG_FILE);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	eventlog_remove(dir);
	assert_int_equal(unlink(path), 0);
	remove_log(dir);
}

static void test_log_refuses(void **state)
{
	char dir[64], path[96];
	struct eventlog *log;

	(void)state;
	log_dir(dir);
	/* somebody else could rename files in it */
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(eventlog_open(dir, 0, &log), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, EVENTLOG_FILE);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(eventlog_open(dir, 0, &log), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(eventlog_open(dir, 0, &log) < 0);
	remove_log(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_rotates),
		cmocka_unit_test(test_log_filters),
		cmocka_unit_test(test_log_follow),
		cmocka_unit_test(test_log_follow_slowly),
		cmocka_unit_test(test_log_follow_half),
		cmocka_unit_test(test_log_full),
		cmocka_unit_test(test_log_removed),
		cmocka_unit_test(test_log_refuses),
	};

	return cmocka_run_group_tests_name("eventlog", tests, NULL, NULL);
}
