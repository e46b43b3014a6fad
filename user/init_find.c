// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The files of a project, and the user's own settings for its tools. A link is followed as
 * long as it stays in the project: whoever made it must not have other files looked at,
 * nor a device or a FIFO opened that somebody waits for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "diag.h"
#include "init.h"
#include "policy_vars.h"
#include "util.h"

#define MATCHES_MAX 64u /* of one pattern */

struct look {
	const struct policy_vars *v;
	const struct init_wish *w;
	struct init_found *f;
	int dir;
	/* of the file that is read */
	const char *name;
	bool user;
};

/* ---- one file ------------------------------------------------------------------------- */

static int open_file(const struct look *l, const struct init_file *file, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd;

	if (file->where == INIT_IN_PROJECT)
		fd = (int)syscall(SYS_openat2, l->dir, path, &how, sizeof(how));
	else
		fd = open(path, (int)how.flags);
	return fd < 0 ? -errno : fd;
}

static int read_all(int fd, char **text, size_t *len)
{
	struct stat st;
	size_t n = 0;
	ssize_t got;
	char *buf;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > INIT_MAX_FILE)
		return -EFBIG;
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	/* what it has grown by meanwhile is left out */
	while (n < (size_t)st.st_size) {
		got = read(fd, buf + n, (size_t)st.st_size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(buf);
			return -errno;
		}
		if (!got)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	*text = buf;
	*len = n;
	return 0;
}

static int on_url(void *ctx, const struct init_url *u)
{
	struct look *l = ctx;

	return init_add_url(l->f, l->name, l->user, u);
}

static const char *reason(int err)
{
	switch (err) {
	case -EXDEV:
		return "a link that leads out of the project";
	case -EINVAL:
		return "not a regular file";
	case -EFBIG:
		return "too large";
	default:
		return strerror(-err);
	}
}

/* `shown` is what comments call it, and is no text of the project's. */
static int scan_file(struct look *l, const struct init_file *file, const char *path,
		     const char *shown)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = open_file(l, file, path);
	size_t len = 0;
	int err = fd < 0 ? fd : read_all(fd, &text, &len);

	if (err == -ENOENT || err == -ENOTDIR || err == -ENOMEM)
		return err == -ENOMEM ? err : 0;
	if (err)
		return init_note(l->f, "%s: not looked at: %s", shown, reason(err));
	l->name = shown;
	l->user = file->where == INIT_IN_HOME || file->where == INIT_IN_ROOT;
	return init_scan(file, text, len, on_url, l);
}

/* ---- rows ------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/*
 * The names that a pattern stands for, in order: how many, or -ENOMEM. A pattern has one
 * directory at most, and its last name alone may have pattern characters.
 */
static int expand(int dir, const char *pattern, char *names[MATCHES_MAX])
{
	const char *slash = strrchr(pattern, '/');
	char where[64] = ".";
	struct dirent *e;
	int fd, n = 0;
	DIR *d;

	if (slash)
		(void)snprintf(where, sizeof(where), "%.*s", (int)(slash - pattern), pattern);
	fd = openat(dir, where, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd);
		return -ENOMEM;
	}
	while (n >= 0 && n < (int)MATCHES_MAX && (e = readdir(d))) {
		if (fnmatch(slash ? slash + 1 : pattern, e->d_name, FNM_PERIOD))
			continue;
		if (asprintf(&names[n], "%s%s%s", slash ? where : "", slash ? "/" : "",
			     e->d_name) < 0) {
			while (n)
				free(names[--n]);
			n = -ENOMEM;
			break;
		}
		n++;
	}
	(void)closedir(d);
	if (n > 0)
		qsort(names, (size_t)n, sizeof(*names), by_name);
	return n;
}

static int scan_pattern(struct look *l, const struct init_file *file)
{
	char *names[MATCHES_MAX];
	int n = expand(l->dir, file->path, names), err = MIN(n, 0);

	for (int i = 0; i < n; i++) {
		/* the pattern is told, not the name: the project chose that */
		if (!err)
			err = scan_file(l, file, names[i], file->path);
		free(names[i]);
	}
	return err;
}

static int scan_one(struct look *l, const struct init_file *file)
{
	_cleanup_free_ char *path = NULL, *shown = NULL;
	const char *base = file->where == INIT_IN_HOME ? l->v->home : l->v->gitdir;
	int n = 0;

	switch (file->where) {
	case INIT_IN_PROJECT:
		if (strpbrk(file->path, "*?"))
			return scan_pattern(l, file);
		return scan_file(l, file, file->path, file->path);
	case INIT_IN_ROOT:
		return scan_file(l, file, file->path, file->path);
	case INIT_IN_HOME:
	case INIT_IN_GIT:
		if (!base)
			return 0;
		n = asprintf(&path, "%s/%s", base, file->path);
		if (n >= 0)
			n = asprintf(&shown, "%s/%s", file->where == INIT_IN_HOME ? "~" : ".git",
				     file->path);
		if (n < 0)
			return -ENOMEM;
		return scan_file(l, file, path, shown);
	}
	return 0;
}

static bool is_there(const struct look *l, const char *path)
{
	char *names[MATCHES_MAX];
	struct stat st;
	int n;

	if (!strpbrk(path, "*?"))
		return !fstatat(l->dir, path, &st, AT_SYMLINK_NOFOLLOW);
	n = expand(l->dir, path, names);
	for (int i = 0; i < n; i++)
		free(names[i]);
	return n > 0;
}

/* What kind of project it is. */
static void detect(struct look *l, size_t eco)
{
	const struct init_eco *e = &init_ecos[eco];

	for (const struct init_file *file = e->files; file->path; file++) {
		if (!file->tells || !is_there(l, file->path))
			continue;
		l->f->because[eco] = file->path;
		break;
	}
	l->f->eco[eco] = l->w->any ? l->w->eco[eco] : l->f->because[eco] != NULL;
	for (const struct init_file *file = e->files; l->f->eco[eco] && file->path; file++)
		if (!l->f->build && file->build && is_there(l, file->path))
			l->f->build = file->build;
	for (size_t i = 0; e->caches && e->caches[i].path && i < INIT_CACHES; i++)
		l->f->caches[eco][i] = !e->caches[i].only || is_there(l, e->caches[i].only);
}

static int scan_eco(struct look *l, size_t eco)
{
	int err = 0;

	for (const struct init_file *file = init_ecos[eco].files; file->path && !err; file++)
		err = scan_one(l, file);
	return err;
}

/* The go command asks the environment before its own settings. */
static int scan_goproxy(struct look *l)
{
	static const struct init_file file = { .how = INIT_SCAN_KEYS, .keys = "GOPROXY" };
	const char *value = getenv("GOPROXY");
	_cleanup_free_ char *text = NULL;

	if (!value || !l->f->eco[init_eco_find("go")])
		return 0;
	if (asprintf(&text, "GOPROXY=%s", value) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	l->name = "environment";
	l->user = true;
	return init_scan(&file, text, strlen(text), on_url, l);
}

int init_find(const struct policy_vars *v, const struct init_wish *w, struct init_found *out,
	      struct diag *d)
{
	_cleanup_close_ int dir = open(v->workdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct look l = { .v = v, .w = w, .f = out, .dir = dir };
	int err = 0;

	if (dir < 0)
		return diag_set(d, -errno, "%s: %s", v->workdir, strerror(errno));
	for (size_t i = 0; i < INIT_ECOS; i++)
		detect(&l, i);
	/* remotes are of every project */
	err = scan_eco(&l, 0);
	for (size_t i = 1; i < INIT_ECOS && !err; i++)
		if (out->eco[i])
			err = scan_eco(&l, i);
	if (!err)
		err = scan_goproxy(&l);
	if (!err)
		err = init_secrets(dir, out);
	init_hosts_sort(out);
	if (!err && v->git_refused)
		err = init_note(out, ".git: not looked at: it names a repository that does not "
				     "name "
				     "it back");
	return err ? diag_set(d, err, "%s: %s", v->workdir, strerror(-err)) : 0;
}
