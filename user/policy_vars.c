/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>

#include "policy_resolve.h"
#include "policy_vars.h"

int policy_vars_real_readlink(void *ctx, const char *path, char *buf, size_t len)
{
	ssize_t n;

	(void)ctx;
	n = readlink(path, buf, len);
	return n < 0 ? -errno : (int)n;
}

void policy_vars_clear(struct policy_vars *v)
{
	free(v->workdir);
	free(v->workdir_why);
	free(v->home);
	free(v->tmpdir);
	free(v->gitdir);
	free(v->gitworktree);
	free(v->uid);
	memset(v, 0, sizeof(*v));
}

/* ---- what a directory may be ---------------------------------------------------------- */

static bool is_normal(const char *path)
{
	size_t n;

	if (*path != '/' || strlen(path) >= PATH_MAX)
		return false;
	if (!path[1])
		return true;
	for (; *path; path += n + 1) {
		n = strcspn(path + 1, "/");
		if (!n || (n == 1 && path[1] == '.') || (n == 2 && !strncmp(path + 1, "..", 2)))
			return false;
		if (!path[n + 1])
			return true;
	}
	return false; /* ends with a slash */
}

/* `dir` is `path` or a directory above it. */
static bool is_above(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	if (n == 1)
		return true;
	return !strncmp(dir, path, n) && (!path[n] || path[n] == '/');
}

int policy_vars_check_dir(const struct policy_vars *v, const char *name, const char *dir,
			  struct diag *d)
{
	struct resolver r = { .vars = v };
	char real[PATH_MAX], home[PATH_MAX] = "";
	int err;

	if (!is_normal(dir))
		return diag_set(d, -EINVAL, "%s: \"%s\" is not an absolute path without . and ..",
				name, dir);
	err = resolver_path(&r, dir, real);
	if (!err && v->home)
		err = resolver_path(&r, v->home, home);
	resolver_clear(&r);
	if (err)
		return diag_set(d, err, "%s: cannot resolve %s: %s", name, dir, strerror(-err));
	if (str_eq(real, "/"))
		return diag_set(d, -EINVAL, "%s may not be /: go to a project directory", name);
	if (*home && (is_above(real, home) || is_above(dir, v->home)))
		return diag_set(d, -EINVAL,
				"%s may not be %s, the home directory or above it: go to "
				"a project directory", name, dir);
	return 0;
}

int policy_vars_check(const struct policy_vars *v, struct diag *d)
{
	const struct {
		const char *name, *dir;
	} dirs[] = {
		{ "WORKDIR", v->workdir }, { "TMPDIR", v->tmpdir }, { "GITDIR", v->gitdir },
		{ "GITWORKTREE", v->gitworktree },
	};
	int err = 0;

	if (v->home && (!is_normal(v->home) || str_eq(v->home, "/")))
		return diag_set(d, -EINVAL, "HOME: \"%s\" is not an absolute path below /",
				v->home);
	if (v->uid && (!*v->uid || strspn(v->uid, "0123456789") != strlen(v->uid)))
		return diag_set(d, -EINVAL, "UID: \"%s\" is not a number", v->uid);
	for (size_t i = 0; i < ARRAY_SIZE(dirs) && !err; i++)
		if (dirs[i].dir)
			err = policy_vars_check_dir(v, dirs[i].name, dirs[i].dir, d);
	return err;
}

/* ---- the repository ------------------------------------------------------------------- */

/* First line of a small regular file, not through a link; NULL otherwise. */
static char *first_line(const char *path)
{
	char buf[PATH_MAX + 16];
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return NULL;
	n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	return strdup(buf);
}

/* `name`, relative to `dir` or not, without links, . and .. */
static char *real_below(const char *dir, const char *name)
{
	char joined[2 * PATH_MAX];

	if (*name == '/')
		return realpath(name, NULL);
	(void)snprintf(joined, sizeof(joined), "%s/%s", dir, name);
	return realpath(joined, NULL);
}

/* X of X/worktrees/NAME, in place. */
static bool cut_worktree(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || !slash[1])
		return false;
	*slash = '\0';
	if (!str_ends(path, "/worktrees"))
		return false;
	path[strlen(path) - strlen("/worktrees")] = '\0';
	return *path;
}

char *policy_vars_gitdir(const char *workdir, char **worktree)
{
	_cleanup_free_ char *dotgit = NULL, *line = NULL, *own = NULL;
	_cleanup_free_ char *back = NULL, *back_file = NULL;
	_cleanup_free_ char *names = NULL, *ours = NULL;
	char *common;
	struct stat st;

	*worktree = NULL;
	if (asprintf(&dotgit, "%s/.git", str_eq(workdir, "/") ? "" : workdir) < 0) {
		dotgit = NULL;
		return NULL;
	}
	if (lstat(dotgit, &st))
		return NULL;
	if (S_ISDIR(st.st_mode))
		return steal_ptr(dotgit);
	line = first_line(dotgit);
	if (!line || !str_starts(line, "gitdir: "))
		return NULL;
	own = real_below(workdir, line + strlen("gitdir: "));
	if (!own || asprintf(&back_file, "%s/gitdir", own) < 0) {
		back_file = NULL;
		return NULL;
	}
	back = first_line(back_file);
	names = back ? real_below(own, back) : NULL;
	ours = realpath(dotgit, NULL);
	common = strdup(own);
	if (!names || !ours || !str_eq(names, ours) || !common || !cut_worktree(common)) {
		free(common);
		return NULL;
	}
	*worktree = steal_ptr(own);
	return common;
}

/* ---- binding ---------------------------------------------------------------------------- */

static char *home_of(uid_t uid)
{
	struct passwd pw, *found = NULL;
	char buf[16384];

	if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) || !found || !found->pw_dir ||
	    !is_normal(found->pw_dir) || str_eq(found->pw_dir, "/"))
		return NULL;
	return strdup(found->pw_dir);
}

/* Only memory can fail: a bad directory is told to whoever uses it. */
static int bind_workdir(struct policy_vars *v, const char *workdir, struct diag *d)
{
	struct diag why = {};
	struct stat st;
	int err = 0;

	v->workdir = realpath(workdir ? workdir : ".", NULL);
	if (!v->workdir)
		err = diag_set(&why, -errno, "WORKDIR: %s: %s", workdir ? workdir : ".",
			       strerror(errno));
	else if (stat(v->workdir, &st) || !S_ISDIR(st.st_mode))
		err = diag_set(&why, -ENOTDIR, "WORKDIR: %s is not a directory", v->workdir);
	else
		err = policy_vars_check_dir(v, "WORKDIR", v->workdir, &why);
	if (!err)
		return 0;
	free(v->workdir);
	v->workdir = NULL;
	v->workdir_why = strdup(why.msg);
	return v->workdir_why ? 0 : diag_set(d, -ENOMEM, "out of memory");
}

int policy_vars_set_tmpdir(struct policy_vars *v, const char *env)
{
	char *real = env && *env == '/' ? realpath(env, NULL) : NULL;

	if (real && policy_vars_check_dir(v, "TMPDIR", real, NULL)) {
		free(real);
		real = NULL;
	}
	if (!real)
		real = strdup("/tmp");
	if (!real)
		return -ENOMEM;
	free(v->tmpdir);
	v->tmpdir = real;
	return 0;
}

static bool has_git(const char *workdir)
{
	_cleanup_free_ char *path = NULL;

	return asprintf(&path, "%s/.git", workdir) < 0 || !access(path, F_OK);
}

int policy_vars_bind(struct policy_vars *v, const char *workdir, uid_t uid, struct diag *d)
{
	int err;

	memset(v, 0, sizeof(*v));
	v->readlink = policy_vars_real_readlink;
	v->home = home_of(uid);
	if (asprintf(&v->uid, "%u", (unsigned int)uid) < 0)
		v->uid = NULL;
	if (policy_vars_set_tmpdir(v, secure_getenv("TMPDIR")) || !v->uid) {
		policy_vars_clear(v);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	err = bind_workdir(v, workdir, d);
	if (err) {
		policy_vars_clear(v);
		return err;
	}
	if (v->workdir)
		v->gitdir = policy_vars_gitdir(v->workdir, &v->gitworktree);
	if (v->gitdir && policy_vars_check_dir(v, "GITDIR", v->gitdir, NULL)) {
		free(v->gitdir);
		free(v->gitworktree);
		v->gitdir = v->gitworktree = NULL;
	}
	v->git_refused = v->workdir && !v->gitdir && has_git(v->workdir);
	return 0;
}

/* ---- expansion ---------------------------------------------------------------------------- */

struct text {
	char *s;
	size_t n, cap;
};

static int put(struct text *t, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (array_reserve(&t->s, &t->cap, t->n))
			return -ENOMEM;
		t->s[t->n++] = s[i];
	}
	return 0;
}

/* A value is a path on this machine, whatever characters it has. */
static int put_literal(struct text *t, const char *s)
{
	int err = 0;

	for (; *s && !err; s++) {
		if (strchr("*?[]\\", *s))
			err = put(t, "\\", 1);
		if (!err)
			err = put(t, s, 1);
	}
	return err;
}

static int put_value(struct text *t, const char *value, const char *name, const char **unbound)
{
	if (value)
		return put_literal(t, value);
	*unbound = name;
	return -ENOENT;
}

static int put_variable(struct text *t, const struct policy_vars *v, const char *name, size_t len,
			const char **unbound)
{
	const struct {
		const char *name, *value;
	} vars[] = {
		{ "WORKDIR", v->workdir }, { "HOME", v->home },
		{ "TMPDIR", v->tmpdir },   { "GITDIR", v->gitdir },
		{ "UID", v->uid },	   { "GITWORKTREE", v->gitworktree },
	};
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(vars); i++)
		if (strlen(vars[i].name) == len && !strncmp(vars[i].name, name, len))
			return put_value(t, vars[i].value, vars[i].name, unbound);
	if (len != strlen("GITLINK") || strncmp(name, "GITLINK", len))
		return -EINVAL;
	err = put_value(t, v->gitworktree ? v->workdir : NULL, "GITLINK", unbound);
	return err ? err : put(t, "/.git", strlen("/.git"));
}

int policy_vars_expand(const struct policy_vars *v, const char *pattern, char **out,
		       const char **unbound)
{
	struct text t = {};
	const char *s = pattern, *end;
	int err = 0;

	if (*s == '~' && (!s[1] || s[1] == '/')) {
		err = put_variable(&t, v, "HOME", 4, unbound);
		s++;
	}
	while (*s && !err) {
		if (*s == '\\' && s[1]) {
			err = put(&t, s, 2);
			s += 2;
		} else if (s[0] == '$' && s[1] == '{') {
			end = strchr(s, '}');
			err = end ? put_variable(&t, v, s + 2, (size_t)(end - s - 2), unbound) :
				    -EINVAL;
			s = end ? end + 1 : s;
		} else {
			err = put(&t, s, 1);
			s++;
		}
	}
	if (!err)
		err = put(&t, "", 1);
	if (err) {
		free(t.s);
		return err;
	}
	*out = t.s;
	return 0;
}
