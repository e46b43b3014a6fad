/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The file that a sandbox reads its denials from, and the memory behind it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "denials.h"
#include "util.h"

static char dir[] = "/tmp/denials_test.XXXXXX";
static char below[64];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(below, sizeof(below), "%s/denials", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)rmdir(below);
	return rmdir(dir);
}

static void add(struct denials *d, unsigned int seq, size_t pad)
{
	char *line = malloc(pad + 100);
	int n = sprintf(line, "{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":%u,\"x\":\"",
			seq);

	memset(line + n, 'x', pad);
	strcpy(line + n + pad, "\"}");
	(void)denials_add(d, line, strlen(line));
	free(line);
}

static char *content(const struct denials *d)
{
	char *buf = calloc(1, 2 * DENIALS_MAX);
	int fd = open(denials_path(d), O_RDONLY);

	assert_true(fd >= 0 && buf);
	assert_true(read(fd, buf, 2 * DENIALS_MAX - 1) >= 0);
	close(fd);
	return buf;
}

static void check_content(const struct denials *d, const char *want)
{
	char *got = content(d);

	assert_string_equal(got, want);
	free(got);
}

#define LINE(seq) "{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":" #seq ",\"x\":\"\"}\n"

static void appends(void **state)
{
	struct denials *d;
	size_t len = 0;
	struct stat st;

	(void)state;
	assert_int_equal(denials_open(below, 7, geteuid(), false, &d), 0);
	assert_true(str_starts(strrchr(denials_path(d), '/'), "/7-"));
	assert_int_equal(strlen(strrchr(denials_path(d), '/')), 3 + 32);
	assert_int_equal(stat(below, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(stat(denials_path(d), &st), 0);
	assert_int_equal(st.st_mode & 0377, 0); /* nobody writes there, the user neither */
	assert_null(denials_find(d, 0, &len));
	assert_int_equal(denials_add(d, "{}", 2), 1);
	assert_int_equal(denials_add(d, "{}", 2), 0);
	check_content(d, "");
	denials_flush(d);
	check_content(d, "{}\n{}\n");
	add(d, 3, 0);
	add(d, 13, 0);
	denials_flush(d);
	denials_flush(d);
	check_content(d, "{}\n{}\n" LINE(3) LINE(13));
	assert_non_null(denials_find(d, 3, &len));
	assert_memory_equal(denials_find(d, 13, &len), LINE(13), len);
	assert_int_equal(len, strlen(LINE(13)) - 1);
	assert_ptr_equal(denials_find(d, 0, &len), denials_find(d, 13, &len));
	assert_null(denials_find(d, 1, &len));
	denials_close(d);
	assert_int_equal(rmdir(below), 0); /* empty again */
}

#define ALLOW(x) "\"allow_run\":\"egressctl run --allow '" x "' ...\"}"

/* `allow last` is about the newest that a rule could allow, whatever came after it. */
static void last_allowable(void **state)
{
	static const char first[] = "{\"seq\":1," ALLOW("open /a r");
	static const char second[] = "{\"seq\":2," ALLOW("open /b r");
	static const char none[] = "{\"seq\":3,\"allow_run\":null}";
	/* a program that calls a file so */
	static const char forged[] = "{\"seq\":4,\"path\":\"/,\\\"allow_run\\\":\\\"egressctl run "
				     "--allow 'open / rw' ...\\\"\"}";
	struct denials *d;
	const char *line;
	size_t len = 0;

	(void)state;
	assert_int_equal(denials_open(below, 7, geteuid(), false, &d), 0);
	assert_null(denials_last_allowable(d, &len));
	(void)denials_add(d, none, strlen(none));
	assert_null(denials_last_allowable(d, &len));
	(void)denials_add(d, first, strlen(first));
	(void)denials_add(d, second, strlen(second));
	(void)denials_add(d, none, strlen(none));
	(void)denials_add(d, forged, strlen(forged));
	line = denials_last_allowable(d, &len);
	assert_non_null(line);
	assert_int_equal(len, strlen(second));
	assert_memory_equal(line, second, len);
	denials_close(d);
}

/* The older half goes, the first line says how many, and readers see whole lines. */
static void is_bounded(void **state)
{
	struct denials *d;
	char *got, *path;
	size_t len, lines = 0;
	int old;

	(void)state;
	assert_int_equal(denials_open(below, 7, geteuid(), false, &d), 0);
	path = strdup(denials_path(d));
	add(d, 1, 0);
	denials_flush(d);
	old = open(path, O_RDONLY);
	for (unsigned int i = 2; i <= 1000; i++) {
		add(d, i, 1000);
		if (i % 7 == 0)
			denials_flush(d);
	}
	denials_flush(d);
	assert_string_equal(path, denials_path(d));
	got = content(d);
	len = strlen(got);
	assert_true(len <= DENIALS_MAX + 128 && len > DENIALS_MAX / 3);
	for (size_t i = 0; i < len; i++)
		lines += got[i] == '\n';
	assert_non_null(strstr(got, "\"op\":\"dropped\",\"lines\":"));
	assert_int_equal(atoi(strstr(got, "\"lines\":") + 8) + lines - 1, 1000);
	assert_null(denials_find(d, 1, &len));
	assert_non_null(denials_find(d, 1000, &len));
	/* who had it open reads what it was, and never half a line */
	len = (size_t)read(old, got, DENIALS_MAX);
	assert_true(len && len <= DENIALS_MAX && got[len - 1] == '\n');
	assert_memory_equal(got, LINE(1), strlen(LINE(1)));
	close(old);
	free(got);
	/* one that is longer than all there may be is counted */
	got = calloc(1, DENIALS_MAX + 1);
	memset(got, ' ', DENIALS_MAX);
	(void)denials_add(d, got, DENIALS_MAX);
	denials_flush(d);
	free(got);
	assert_non_null(denials_find(d, 1000, &len));
	free(path);
	denials_close(d);
}

static void is_taken_over(void **state)
{
	struct denials *d, *e;
	size_t len;
	char *path, *before, *after;

	(void)state;
	assert_int_equal(denials_open(below, 8, geteuid(), false, &d), 0);
	for (unsigned int i = 1; i <= 300; i++)
		add(d, i, 1000);
	path = strdup(denials_path(d));
	denials_leave(d);
	assert_int_equal(denials_open(below, 8, geteuid(), true, &e), 0);
	assert_string_equal(denials_path(e), path);
	assert_non_null(denials_find(e, 300, &len));
	before = content(e);
	add(e, 301, 0);
	denials_flush(e);
	after = content(e);
	assert_memory_equal(before, after, strlen(before));
	assert_string_equal(after + strlen(before), LINE(301));
	free(before);
	for (unsigned int i = 302; i <= 600; i++)
		add(e, i, 1000);
	denials_flush(e);
	free(after);
	after = content(e);
	assert_int_equal(after[strlen(after) - 1], '\n');
	/* nothing is counted twice, or not at all */
	before = strstr(after, "\"lines\":");
	assert_non_null(before);
	len = 0;
	for (const char *p = after; *p; p++)
		len += *p == '\n';
	assert_int_equal(atoi(before + 8) + len - 1, 600);
	free(after);
	free(path);
	denials_close(e);
}

/* What the dead left goes, what the living hold stays. */
static void is_swept(void **state)
{
	struct denials *d, *e;
	char *left;

	(void)state;
	assert_int_equal(denials_open(below, 9, geteuid(), false, &d), 0);
	assert_int_equal(denials_open(below, 10, geteuid(), false, &e), 0);
	left = strdup(denials_path(d));
	denials_leave(d);
	denials_sweep(below);
	assert_int_not_equal(access(left, F_OK), 0);
	assert_int_equal(access(denials_path(e), F_OK), 0);
	free(left);
	denials_close(e);
}

/* Of another user's: that one reads it, and cannot make it writable. */
static void is_anothers(void **state)
{
	struct denials *d;
	struct stat st;

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(denials_open(below, 11, 61234, false, &d), 0);
	assert_int_equal(stat(denials_path(d), &st), 0);
	assert_true(st.st_uid == 0 || (st.st_mode & 0777) == 0400);
	assert_int_equal(st.st_mode & 0227, 0);
	denials_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends), cmocka_unit_test(is_bounded),
		cmocka_unit_test(last_allowable),
		cmocka_unit_test(is_taken_over), cmocka_unit_test(is_swept),
		cmocka_unit_test(is_anothers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
