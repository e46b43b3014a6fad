/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where policy texts come from: files under the caller's rights, or memory. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "policy_int.h"
#include "ref.h"

#ifndef EG_DATADIR
#define EG_DATADIR "/usr/share/egressctl"
#endif

/* ---- files ------------------------------------------------------------------------------- */

int policy_read_fd(int fd, const char *path, char **text, size_t *len, struct diag *d)
{
	_cleanup_free_ char *buf = malloc(POLICY_MAX_BYTES + 1);
	size_t n = 0;
	ssize_t got;
	int err;

	if (!buf)
		return diag_set(d, -ENOMEM, "out of memory");
	while (n <= POLICY_MAX_BYTES) {
		got = read(fd, buf + n, POLICY_MAX_BYTES + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err = -errno;
			return diag_set(d, err, "%s: cannot read: %s", path, strerror(-err));
		}
		if (!got)
			break;
		n += (size_t)got;
	}
	if (n > POLICY_MAX_BYTES)
		return diag_set(d, -EFBIG, "%s: larger than %u bytes, the most a file may have",
				path, POLICY_MAX_BYTES);
	*text = realloc(buf, n + 1);
	if (!*text)
		return diag_set(d, -ENOMEM, "out of memory");
	buf = NULL;
	(*text)[n] = '\0';
	*len = n;
	return 0;
}

/* -ENOENT without a message when there is no such file. */
static int read_path(const char *path, char **text, size_t *len, struct diag *d)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int err;

	/* a FIFO or a terminal must not hang whoever reads a policy */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		err = -errno;
		if (err == -ENOENT)
			return err;
		return diag_set(d, err, "%s: cannot open: %s", path, strerror(-err));
	}
	if (fstat(fd, &st)) {
		err = -errno;
		return diag_set(d, err, "%s: %s", path, strerror(-err));
	}
	if (!S_ISREG(st.st_mode))
		return diag_set(d, -EINVAL, "%s: not a regular file", path);
	return policy_read_fd(fd, path, text, len, d);
}

static bool plain_name(const char *name)
{
	if (!isalnum((unsigned char)*name) || strlen(name) > 128)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
			return false;
	return true;
}

/* policies/ beside the build directory this program runs from, or NULL. */
static char *tree_dir(void)
{
	char exe[PATH_MAX], *dir;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(exe, '/');

		if (!slash)
			return NULL;
		*slash = '\0';
	}
	/* installed, the program is in …/bin and there is no …/policies */
	if (asprintf(&dir, "%s/policies", exe) < 0)
		return NULL;
	return dir;
}

/* The directories to look in, in order; freed by the caller. */
static int policy_dirs(char *dirs[4])
{
	const char *only = secure_getenv("EGRESSCTL_POLICY_DIR");
	const char *xdg = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");
	int n = 0;

	if (only && *only) {
		dirs[n] = strdup(only);
		return dirs[n] ? 1 : -ENOMEM;
	}
	dirs[n++] = strdup("/etc/egressctl/policies");
	if (xdg && *xdg == '/') {
		if (asprintf(&dirs[n++], "%s/egressctl/policies", xdg) < 0)
			dirs[n - 1] = NULL;
	} else if (home && *home == '/') {
		if (asprintf(&dirs[n++], "%s/.config/egressctl/policies", home) < 0)
			dirs[n - 1] = NULL;
	}
	dirs[n++] = strdup(EG_DATADIR "/policies");
	dirs[n] = tree_dir();
	return dirs[n] ? n + 1 : n;
}

static bool same_dir(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool policy_is_shipped(const char *path)
{
	_cleanup_free_ char *real = realpath(path, NULL), *tree = tree_dir();
	char *slash = real ? strrchr(real, '/') : NULL;

	if (!slash || slash == real)
		return false;
	*slash = '\0';
	return same_dir(real, EG_DATADIR "/policies") || (tree && same_dir(real, tree));
}

char *policy_own_dir(void)
{
	char *dirs[4] = {}, *own = NULL;
	int n = secure_getenv("EGRESSCTL_POLICY_DIR") || !geteuid() ? 1 : 2;

	/* the first is everybody's (or the only one), the second the user's, if there is one */
	if (policy_dirs(dirs) > 0)
		own = strdup(dirs[n > 1 && dirs[1] && !str_starts(dirs[1], EG_DATADIR)]);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		free(dirs[i]);
	return own;
}

/* Those of one directory that could be meant. */
static void nearest_policy(struct nearest *near, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		size_t n = strlen(e->d_name);

		if (!str_ends(e->d_name, ".yaml") || !plain_name(e->d_name))
			continue;
		e->d_name[n - strlen(".yaml")] = '\0';
		nearest_try(near, e->d_name);
	}
	if (dir)
		closedir(dir);
}

/*
 * What has a policy's name decides what holds others: nobody but root, or whoever runs this,
 * may be able to write to it or to put another one in its place.
 */
static bool others_write(const struct stat *st)
{
	return (st->st_uid && st->st_uid != geteuid()) || (st->st_mode & 002) ||
	       ((st->st_mode & 020) && st->st_gid && st->st_gid != getegid());
}

static int refuse_writable(const char *dir, const char *path, struct diag *d)
{
	const char *const both[] = { dir, path };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		if (!stat(both[i], &st) && others_write(&st))
			return diag_set(d, -EPERM,
					"%s: somebody else can write there (uid %u, mode %o), so "
					"no "
					"policy is taken from it by name: expected root or uid "
					"%u alone",
					both[i], st.st_uid, st.st_mode & 07777, geteuid());
	return 0;
}

/* Not where whoever runs this said that policies are, or built this program. */
static bool is_guarded(const char *dir)
{
	_cleanup_free_ char *tree = tree_dir();

	return !secure_getenv("EGRESSCTL_POLICY_DIR") && !(tree && str_eq(dir, tree));
}

static int search(const char *name, char **path, char **text, size_t *len, struct diag *d)
{
	struct nearest near = { .text = name };
	char *dirs[4] = {}, looked[800] = "";
	int n = policy_dirs(dirs), err = n < 0 ? n : -ENOENT;
	size_t o = 0;

	*path = NULL;
	for (int i = 0; i < n && err == -ENOENT; i++) {
		if (!dirs[i] || asprintf(path, "%s/%s%s", dirs[i], name,
					 str_ends(name, ".yaml") ? "" : ".yaml") < 0) {
			*path = NULL;
			err = -ENOMEM;
			break;
		}
		err = read_path(*path, text, len, d);
		if (!err && is_guarded(dirs[i]) && refuse_writable(dirs[i], *path, d)) {
			free(*text);
			*text = NULL;
			err = -EPERM;
		}
		if (!err)
			break;
		free(*path);
		*path = NULL;
		nearest_policy(&near, dirs[i]);
		if (o < sizeof(looked))
			o += (size_t)snprintf(looked + o, sizeof(looked) - o, "%s%s", o ? ", " : "",
					      dirs[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		free(dirs[i]);
	if (err == -ENOENT)
		(void)diag_set(d, err, "no policy named \"%s\"%s: looked in %s; for a file write "
			       "./%s", name, nearest_words(&near), looked, name);
	else if (err == -ENOMEM)
		(void)diag_set(d, err, "out of memory");
	return err;
}

static int files_read(void *ctx, const char *name, const char *from, char **path, char **text,
		      size_t *len, struct diag *d)
{
	int err;

	(void)ctx;
	(void)from;
	if (!strchr(name, '/')) {
		if (!plain_name(name))
			return diag_set(d, -EINVAL,
					"bad policy name \"%s\": expected letters, digits, "
					". _ -, or a path with a /", name);
		return search(name, path, text, len, d);
	}
	err = read_path(name, text, len, d);
	if (err == -ENOENT)
		return diag_set(d, err, "%s: no such file", name);
	if (err)
		return err;
	*path = strdup(name);
	if (*path)
		return 0;
	free(*text);
	return diag_set(d, -ENOMEM, "out of memory");
}

const struct policy_reader policy_reader_files = { .read = files_read };

/* ---- memory ------------------------------------------------------------------------------- */

static int texts_read(void *ctx, const char *name, const char *from, char **path, char **text,
		      size_t *len, struct diag *d)
{
	const struct policy_texts *t = ctx;

	(void)from;
	for (size_t i = 0; i < t->n; i++) {
		if (!str_eq(t->src[i].name, name))
			continue;
		*path = strdup(t->src[i].path);
		*text = malloc(t->src[i].len + 1);
		if (!*path || !*text) {
			free(*path);
			free(*text);
			return diag_set(d, -ENOMEM, "out of memory");
		}
		memcpy(*text, t->src[i].text, t->src[i].len);
		(*text)[t->src[i].len] = '\0';
		*len = t->src[i].len;
		return 0;
	}
	return diag_set(d, -ENOENT, "no policy named \"%s\" was handed over", name);
}

struct policy_reader policy_reader_texts(const struct policy_texts *t)
{
	/* the reader only reads; the callback type is shared with ones that write */
	return (struct policy_reader){ .read = texts_read, .ctx = (void *)t };
}
