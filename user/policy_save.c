/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A rule into a policy file: lock, read, edit, check, write beside it, rename.
 *
 * The lock is the new file itself, ".NAME.egressctl", held by flock(). It is made
 * with mode 0600, so that only who may write in the directory can hold it up:
 * whoever may *read* a policy could lock that, or its directory, and a sandboxed
 * program may read them. rename() takes the name of the lock away: who waited
 * sees that its file is not the one of that name any more, and begins again, with
 * the text that was just written.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "policy_edit_int.h"

/* each try is lost to somebody who made progress: more than that is no accident */
#define LOCK_TRIES 10000u
#define CHANGED_TRIES 8u /* an editor that saves at the same time, without a lock */
#define XATTR_MAX 65536u /* the kernel's limit for one value */
#define ACL "system.posix_acl_access"
#define NEW_MODE 0644 /* of a copy, as the file that it is of */

struct save;
/* 0 and the new text; 1: there is nothing to change; or a negative errno. */
typedef int (*edit_fn)(const struct save *s, char **text, size_t *len, struct diag *d);

struct save {
	const char *name; /* as messages and `extends` see it: holds a '/' */
	const char *base; /* the file in `dir` */
	const char *dir_name;
	char tmp[NAME_MAX + 1];
	int dir, lock;
	const char *from; /* the file does not exist, and begins as this one; NULL: it does */
	struct stat st; /* of the file as it was read */
	char *text;
	size_t len;
	edit_fn edit;
	void *ctx;
};

static int fail(const struct save *s, const char *what, struct diag *d)
{
	int err = -errno;

	return diag_set(d, err, "%s: %s: %s", s->name, what, strerror(-err));
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- the lock -------------------------------------------------------------------- */

static int no_lock(const struct save *s, int err, struct diag *d)
{
	struct stat st;

	if (err == -EACCES && !fstatat(s->dir, s->tmp, &st, AT_SYMLINK_NOFOLLOW) &&
	    st.st_uid != geteuid())
		return diag_set(d, -EBUSY, "%s: user %u changes it right now: try again; if it "
				"stays so, remove %s/%s", s->name, st.st_uid, s->dir_name, s->tmp);
	return diag_set(d, err, "%s: cannot write in %s: %s", s->name, s->dir_name,
			err == -ELOOP ? "a link is in the way" : strerror(-err));
}

/* 1: held; 0: it is another file by now; or an error. */
static int try_lock(struct save *s, struct diag *d)
{
	_cleanup_close_ int fd = -1;
	struct stat mine, there;

	fd = openat(s->dir, s->tmp,
		    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0)
		return no_lock(s, -errno, d);
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return fail(s, "cannot lock", d);
	if (fstat(fd, &mine))
		return fail(s, "cannot lock", d);
	if (fstatat(s->dir, s->tmp, &there, AT_SYMLINK_NOFOLLOW) || !same_file(&mine, &there))
		return 0;
	/* left by somebody else, or put there to own what we write */
	if (!S_ISREG(mine.st_mode) || mine.st_nlink != 1 || mine.st_uid != geteuid()) {
		if (unlinkat(s->dir, s->tmp, 0))
			return fail(s, "somebody else's file is in the way", d);
		return 0;
	}
	s->lock = steal_fd(&fd);
	return 1;
}

static int take_lock(struct save *s, struct diag *d)
{
	int got = 0;

	for (unsigned int i = 0; i < LOCK_TRIES && !got; i++)
		got = try_lock(s, d);
	if (!got)
		return diag_set(d, -EBUSY, "%s: others keep changing it", s->name);
	return got < 0 ? got : 0;
}

static void drop_lock(struct save *s)
{
	if (s->lock < 0)
		return;
	(void)unlinkat(s->dir, s->tmp, 0); /* what is left is used up by the next one */
	(void)close(s->lock);
	s->lock = -1;
}

/* ---- the old text ---------------------------------------------------------------- */

static int read_from(struct save *s, struct diag *d)
{
	_cleanup_close_ int fd = open(s->from, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &s->st))
		return fail(s, "cannot open", d);
	if (!S_ISREG(s->st.st_mode))
		return diag_set(d, -EINVAL, "%s: not a regular file", s->name);
	return policy_read_fd(fd, s->name, &s->text, &s->len, d);
}

static int read_old(struct save *s, struct diag *d)
{
	_cleanup_close_ int fd = -1;

	free(steal_ptr(s->text));
	if (s->from)
		return read_from(s, d);
	if (fstatat(s->dir, s->base, &s->st, AT_SYMLINK_NOFOLLOW))
		return fail(s, "cannot open", d);
	if (!S_ISREG(s->st.st_mode))
		return diag_set(d, -EINVAL, "%s: not a regular file", s->name);
	/* rename() asks only the directory: a file nobody may write stays as it is */
	fd = openat(s->dir, s->base, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return fail(s, "cannot open for writing", d);
	if (fstat(fd, &s->st))
		return fail(s, "cannot open", d);
	if (!S_ISREG(s->st.st_mode))
		return diag_set(d, -EINVAL, "%s: not a regular file", s->name);
	return policy_read_fd(fd, s->name, &s->text, &s->len, d);
}

static bool changed(const struct save *s)
{
	const struct stat *a = &s->st;
	struct stat b;

	return fstatat(s->dir, s->base, &b, AT_SYMLINK_NOFOLLOW) || !same_file(a, &b) ||
	       a->st_size != b.st_size || a->st_mtim.tv_sec != b.st_mtim.tv_sec ||
	       a->st_mtim.tv_nsec != b.st_mtim.tv_nsec;
}

/* ---- the new text, with what it extends ------------------------------------------ */

struct stand_in {
	const struct save *s;
	const char *text;
	size_t len;
};

/* The files, but for the one that is changed. */
static int stand_in_read(void *ctx, const char *name, const char *from, char **path, char **text,
			 size_t *len, struct diag *d)
{
	const struct stand_in *in = ctx;
	struct stat st;
	char *copy;
	int err;

	err = policy_reader_files.read(NULL, name, from, path, text, len, d);
	if (err || stat(*path, &st) || !same_file(&st, &in->s->st))
		return err;
	copy = malloc(in->len + 1);
	free(*text);
	if (!copy) {
		free(*path);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	memcpy(copy, in->text, in->len);
	copy[in->len] = '\0';
	*text = copy;
	*len = in->len;
	return 0;
}

static int load(const struct save *s, const char *text, size_t len, struct policy **p,
		struct diag *d)
{
	struct stand_in in = { s, text, len };
	const struct policy_reader rd = { .read = stand_in_read, .ctx = &in };

	return policy_load(s->name, &rd, p, d);
}

static int check_new(const struct save *s, const struct edit_rule *r, const char *text, size_t len,
		     struct diag *d)
{
	struct diag why = {};
	struct policy *p = NULL;
	int err = load(s, text, len, &p, &why);

	if (!err)
		err = edit_rule_denied(r, p, d);
	if (!err)
		err = edit_rule_compile(r, p, d, &why);
	policy_free(p);
	return why.err ? edit_cannot(s->name, r, err, &why, d) : err;
}

struct new_rule {
	const char *rule, *comment;
};

static int edit_rule(const struct save *s, char **text, size_t *len, struct diag *d)
{
	const struct new_rule *new = s->ctx;
	struct policy *p = NULL;
	struct edit_rule r;
	int err;

	err = edit_rule_parse(new->rule, &r, d);
	if (!err)
		err = load(s, s->text, s->len, &p, d);
	if (!err)
		err = edit_rule_widen(&r, p, d);
	policy_free(p);
	if (!err)
		err = edit_add(s->name, s->text, s->len, &r, false, new->comment, text, len, d);
	if (!err)
		err = check_new(s, &r, *text, *len, d);
	edit_rule_clear(&r);
	return err;
}

struct change {
	policy_change_fn fn;
	void *ctx;
};

static int edit_change(const struct save *s, char **text, size_t *len, struct diag *d)
{
	const struct change *change = s->ctx;

	return change->fn(change->ctx, s->name, s->text, s->len, text, len, d);
}

/* ---- the new file ---------------------------------------------------------------- */

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	for (size_t at = 0; at < len; at += (size_t)n) {
		n = pwrite(fd, text + at, len - at, (off_t)at);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return -1;
	}
	return 0;
}

/* Who may do what: never more people than before. */
static int copy_mode(const struct save *s)
{
	mode_t mode = s->st.st_mode & 07777;

	if (fchown(s->lock, s->st.st_uid, s->st.st_gid) &&
	    fchown(s->lock, (uid_t)-1, s->st.st_gid))
		/* of another group: what all may do is what it may */
		mode = (mode & ~070u) | (mode & 070u & (mode & 07u) << 3);
	/* what the directory gives to new files was not given to this one */
	if (fremovexattr(s->lock, ACL) && errno != ENODATA && errno != EOPNOTSUPP)
		return -1;
	return fchmod(s->lock, mode & 0777u);
}

static int copy_xattr(int from, int to, const char *name, void *value)
{
	ssize_t n = fgetxattr(from, name, value, XATTR_MAX);

	if (n < 0)
		return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -1;
	if (!fsetxattr(to, name, value, (size_t)n, 0))
		return 0;
	/* without its list a file may be open to more people; a label is the system's to give */
	return str_eq(name, ACL) ? -1 : 0;
}

static int copy_xattrs(const struct save *s)
{
	_cleanup_free_ char *names = malloc(XATTR_MAX), *value = malloc(XATTR_MAX);
	_cleanup_close_ int from = openat(s->dir, s->base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
								   O_NOCTTY | O_CLOEXEC);
	ssize_t n;

	if (!names || !value || from < 0)
		return -1;
	if (copy_xattr(from, s->lock, ACL, value))
		return -1;
	n = flistxattr(from, names, XATTR_MAX);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		if (str_starts(names + i, "user.") || str_eq(names + i, "security.selinux"))
			(void)copy_xattr(from, s->lock, names + i, value); /* as far as possible */
	return 0;
}

/* Under its name, unless somebody else changed what has it. */
static int put_name(const struct save *s, struct diag *d)
{
	if (!s->from && changed(s))
		return -EAGAIN;
	if (!renameat2(s->dir, s->tmp, s->dir, s->base, s->from ? RENAME_NOREPLACE : 0))
		return 0;
	return s->from && errno == EEXIST ? -EEXIST : fail(s, "cannot replace", d);
}

static int replace(struct save *s, const char *text, size_t len, struct diag *d)
{
	int err;

	if (ftruncate(s->lock, 0) || write_all(s->lock, text, len))
		return fail(s, "cannot write the new text", d);
	if (s->from ? fchmod(s->lock, NEW_MODE) : copy_mode(s) || copy_xattrs(s))
		return fail(s, "cannot keep its permissions", d);
	if (fsync(s->lock))
		return fail(s, "cannot write the new text", d);
	err = put_name(s, d);
	if (err)
		return err;
	(void)close(s->lock); /* written and synced; the name is no lock any more */
	s->lock = -1;
	if (fsync(s->dir) && errno != EINVAL)
		return fail(s, "saved, but a power failure may lose it", d);
	return 0;
}

static int save_once(struct save *s, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int err;

	err = take_lock(s, d);
	if (!err)
		err = read_old(s, d);
	if (!err)
		err = s->edit(s, &text, &len, d);
	if (!err)
		err = replace(s, text, len, d);
	drop_lock(s);
	return err;
}

/* "allowed 2026-11-23: TEXT" */
static char *dated(const char *comment)
{
	time_t now = time(NULL);
	char day[16] = "", *out = NULL;
	struct tm tm;

	if (localtime_r(&now, &tm))
		(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	if (asprintf(&out, "allowed %s%s%s", day, comment ? ": " : "", comment ? comment : "") < 0)
		return NULL;
	return out;
}

static int save_in(struct save *s, struct diag *d)
{
	int n = snprintf(s->tmp, sizeof(s->tmp), ".%s.egressctl", s->base), err = -EAGAIN;

	if (n < 0 || (size_t)n >= sizeof(s->tmp))
		return diag_set(d, -ENAMETOOLONG, "%s: too long a name to make a file beside it",
				s->name);
	s->dir = open(s->dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return fail(s, "cannot open its directory", d);
	for (unsigned int i = 0; i < CHANGED_TRIES && err == -EAGAIN; i++)
		err = save_once(s, d);
	free(s->text);
	(void)close(s->dir); /* nothing was written by it */
	if (err == -EAGAIN)
		return diag_set(d, err, "%s: another program keeps changing it", s->name);
	return err;
}

/* ---- which file ------------------------------------------------------------------ */

int policy_shipped(const char *name, const char *path, struct diag *d)
{
	_cleanup_free_ char *dir = policy_own_dir();
	const char *base = strrchr(path, '/');

	return diag_set(d, -EPERM, "%s comes with egressctl (%s), and an upgrade replaces it: "
			"change a copy, which is found first: install -D -m 644 %s %s%s",
			name, path, path, dir ? dir : "/etc/egressctl/policies", base ? base : "");
}

static int save_file(const char *path, edit_fn edit, void *ctx, struct diag *d)
{
	struct save s = { .dir = -1, .lock = -1, .edit = edit, .ctx = ctx };
	_cleanup_free_ char *real = realpath(path, NULL), *dir = NULL, *name = NULL;

	s.name = path;
	if (!real)
		return fail(&s, "cannot open", d);
	dir = strdup(real);
	/* without a slash it would be looked up as a name */
	if (!dir || asprintf(&name, "%s%s", strchr(path, '/') ? "" : "./", path) < 0) {
		name = NULL;
		return diag_set(d, -ENOMEM, "out of memory");
	}
	s.name = name;
	s.base = strrchr(real, '/') + 1;
	s.dir_name = dirname(dir);
	if (policy_is_shipped(real))
		return policy_shipped(s.base, real, d);
	return save_in(&s, d);
}

int policy_save(const char *path, const char *rule, const char *comment, struct diag *d)
{
	_cleanup_free_ char *text = dated(comment && *comment ? comment : NULL);
	struct new_rule new = { rule, text };

	return text ? save_file(path, edit_rule, &new, d) : diag_set(d, -ENOMEM, "out of memory");
}

int policy_save_copy(const char *from, const char *path, const char *rule, const char *comment,
		     struct diag *d)
{
	_cleanup_free_ char *text = dated(comment && *comment ? comment : NULL);
	_cleanup_free_ char *dir = strdup(path);
	struct new_rule new = { rule, text };
	struct save s = {
		.name = from, .from = from, .dir = -1, .lock = -1, .edit = edit_rule, .ctx = &new,
	};
	int err;

	if (!text || !dir)
		return diag_set(d, -ENOMEM, "out of memory");
	s.base = strrchr(path, '/') + 1;
	s.dir_name = dirname(dir);
	err = save_in(&s, d);
	return err == -EEXIST ? diag_set(d, err, "%s: made by somebody else just now: try again",
					 path) : err;
}

int policy_change(const char *path, policy_change_fn fn, void *ctx, struct diag *d)
{
	struct change change = { fn, ctx };

	return save_file(path, edit_change, &change, d);
}
