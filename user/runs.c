// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event_text.h"
#include "ref.h"
#include "runs.h"
#include "trace.h"
#include "util.h"

#define HEAD_MAX 4096u /* of the first line: numbers and two names of 64 bytes */
#define NAME_MAX_LEN 64u

struct run {
	char file[NAME_MAX_LEN];
	uint64_t uid, id;
	uint64_t size;
	struct timespec changed;
};

static int open_runs(const char *log_dir, bool make)
{
	_cleanup_close_ int top = open(log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (top < 0)
		return -errno;
	if (make && mkdirat(top, RUNS_DIR, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(top, RUNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* "UID-ID.json"; anything else is not one of ours. */
static bool parse_name(const char *name, struct run *r)
{
	char copy[NAME_MAX_LEN], *dash, *dot;

	if (strlen(name) >= sizeof(copy))
		return false;
	strcpy(copy, name);
	dash = strchr(copy, '-');
	dot = dash ? strchr(dash, '.') : NULL;
	if (!dot || !str_eq(dot, ".json"))
		return false;
	*dash = *dot = '\0';
	if (parse_u64(copy, 0, UINT32_MAX, &r->uid) ||
	    parse_u64(dash + 1, 1, INT64_MAX, &r->id))
		return false;
	strcpy(r->file, name);
	return true;
}

static int newest_first(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->changed.tv_sec != y->changed.tv_sec)
		return x->changed.tv_sec > y->changed.tv_sec ? -1 : 1;
	if (x->changed.tv_nsec != y->changed.tv_nsec)
		return x->changed.tv_nsec > y->changed.tv_nsec ? -1 : 1;
	return x->id > y->id ? -1 : x->id < y->id;
}

/* Those of `uid` (-1: all), the newest first; malloc()ed. */
static int list_runs(int dir, int64_t uid, struct run **out, size_t *n)
{
	struct run r, *list = NULL;
	size_t cap = 0;
	struct dirent *e;
	struct stat st;
	DIR *d;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -errno;
	*n = 0;
	while ((e = readdir(d))) {
		if (!parse_name(e->d_name, &r) || (uid >= 0 && r.uid != (uint64_t)uid) ||
		    fstatat(dir, r.file, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		r.size = (uint64_t)st.st_size;
		r.changed = st.st_mtim;
		if (array_reserve(&list, &cap, *n))
			break; /* older ones are missed */
		list[(*n)++] = r;
	}
	closedir(d);
	if (*n)
		qsort(list, *n, sizeof(*list), newest_first);
	*out = list;
	return 0;
}

static void prune(int dir, int64_t uid)
{
	_cleanup_free_ struct run *list = NULL;
	uint64_t bytes = 0;
	size_t n;

	if (list_runs(dir, uid, &list, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		bytes += list[i].size;
		if (i && (i >= RUNS_KEEP || bytes > RUNS_BYTES))
			(void)unlinkat(dir, list[i].file, 0); /* the next run tries again */
	}
}

static int write_file(int dir, const char *name, const char *p, size_t len)
{
	_cleanup_close_ int fd = -1;

	fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, p + done, len - done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

int runs_save(const char *log_dir, const struct trace *t)
{
	_cleanup_close_ int dir = open_runs(log_dir, true);
	char name[NAME_MAX_LEN], tmp[NAME_MAX_LEN + 8];
	struct text json = { 0 };
	int err;

	if (dir < 0)
		return dir;
	(void)snprintf(name, sizeof(name), "%" PRId64 "-%" PRIu64 ".json", t->owner, t->sandbox);
	(void)snprintf(tmp, sizeof(tmp), ".%s.new", name);
	err = trace_to_json(t, &json);
	if (!err)
		err = write_file(dir, tmp, json.p, json.len);
	if (!err && renameat(dir, tmp, dir, name))
		err = -errno;
	if (err)
		(void)unlinkat(dir, tmp, 0);
	else
		prune(dir, t->owner);
	text_free(&json);
	return err;
}

/* The name of the run, from the first line of its file. */
static bool has_name(int dir, const struct run *r, const char *name)
{
	_cleanup_close_ int fd = openat(dir, r->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char head[HEAD_MAX + 2], *end;
	ssize_t n = fd < 0 ? -1 : read(fd, head, HEAD_MAX);
	json_t *j;
	bool same;

	if (n <= 0)
		return false;
	head[n] = '\0';
	end = strchr(head, '\n');
	if (!end || end == head || end[-1] != ',')
		return false;
	strcpy(end - 1, "}");
	j = json_loads(head, 0, NULL);
	same = j && json_is_string(json_object_get(j, "name")) &&
	       str_eq(json_string_value(json_object_get(j, "name")), name);
	json_decref(j);
	return same;
}

static bool is_meant(int dir, const struct run *r, const json_t *ref)
{
	if (json_is_integer(ref))
		return r->id == (uint64_t)json_integer_value(ref);
	return json_is_string(ref) && (str_eq(json_string_value(ref), REF_LAST) ||
				       has_name(dir, r, json_string_value(ref)));
}

int runs_open(const char *log_dir, int64_t uid, const json_t *ref)
{
	_cleanup_close_ int dir = open_runs(log_dir, false);
	_cleanup_free_ struct run *list = NULL;
	size_t n;
	int err;

	if (dir < 0)
		return dir;
	err = list_runs(dir, uid, &list, &n);
	for (size_t i = 0; !err && i < n; i++) {
		int fd;

		if (!is_meant(dir, &list[i], ref))
			continue;
		fd = openat(dir, list[i].file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		return fd < 0 ? -errno : fd;
	}
	return err ? err : -ENOENT;
}
