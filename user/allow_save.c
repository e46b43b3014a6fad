/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The label of a sandbox says nothing about a file: it is what its user typed. What
 * counts is the path that the launcher found and the text that the sandbox was compiled
 * from. The path is a user's word, too, so that root writes only where nobody else
 * could have put something, and nobody writes to a file that says less than the sandbox
 * runs under.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allow_save.h"
#include "policy_edit.h"
#include "policy_int.h"
#include "util.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* ---- whose file it is -------------------------------------------------------------- */

static bool roots_alone(const struct stat *st)
{
	if (st->st_uid)
		return false;
	/* sticky: what root has in it nobody else removes or renames */
	return !(st->st_mode & 022) || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX));
}

/* From the root on: below what only root changes, nothing changes while we look. */
int save_place_check(const char *path, struct diag *d)
{
	_cleanup_free_ char *at = strdup(path);
	struct stat st;

	if (!at)
		return diag_set(d, -ENOMEM, "out of memory");
	for (char *end = at; end; ) {
		char *next = strchr(end + 1, '/');

		if (next)
			*next = '\0';
		if (lstat(at, &st))
			return diag_set(d, -errno, "%s: %s", at, strerror(errno));
		if (S_ISLNK(st.st_mode) || !roots_alone(&st))
			return diag_set(d, -EPERM,
					"%s: %s %s: root writes only to files that root alone "
					"can change. Save it as the user whose file it is, or "
					"write the rule by hand", path, at,
					S_ISLNK(st.st_mode) ? "is a symbolic link" :
					st.st_uid ? "belongs to another user" :
						    "can be changed by other users");
		if (next)
			*next = '/';
		end = next;
	}
	return 0;
}

/* ---- is it what the sandbox runs under? ---------------------------------------------- */

static int check_text(const char *path, const json_t *asked, struct diag *d)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const json_t *was = json_object_get(asked, "text");
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len;
	int held;

	if (fd < 0 || fstat(fd, &st))
		return diag_set(d, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return diag_set(d, -EINVAL, "%s: not a regular file", path);
	held = policy_read_fd(fd, path, &text, &len, d);
	if (!held)
		held = policy_edit_holds(path, text, len, text_of(asked, "text"),
					 json_string_length(was), d);
	if (held < 0)
		return held;
	return held ? 0 :
		      diag_set(d, -EPERM, "%s is not what the sandbox runs under: something was "
			       "taken out of it or changed since. Write the rule by hand", path);
}

/* ---- the operator's own instead of a shipped one ---------------------------------- */

/* Every directory of a path that is missing. */
static int make_dirs(const char *dir, struct diag *d)
{
	_cleanup_free_ char *at = strdup(dir);

	if (!at)
		return diag_set(d, -ENOMEM, "out of memory");
	for (char *end = strchr(at + 1, '/');; end = strchr(end + 1, '/')) {
		if (end)
			*end = '\0';
		if (mkdir(at, 0755) && errno != EEXIST)
			return diag_set(d, -errno, "cannot make %s: %s", at, strerror(errno));
		if (!end)
			return 0;
		*end = '/';
	}
}

static int own_target(const json_t *asked, struct save_target *out, struct diag *d)
{
	const char *name = text_of(asked, "name"), *file = text_of(asked, "file");
	_cleanup_free_ char *path = NULL, *text = NULL, *dir = NULL;
	size_t len;
	int err;

	if (strchr(name, '/')) /* a copy would not be found in its place */
		return policy_shipped(name, file, d);
	err = policy_reader_files.read(NULL, name, NULL, &path, &text, &len, d);
	if (err)
		return err;
	if (!policy_is_shipped(path)) {
		out->path = realpath(path, NULL);
		return out->path ? 0 : diag_set(d, -errno, "%s: %s", path, strerror(errno));
	}
	dir = policy_own_dir();
	if (!dir || asprintf(&out->path, "%s/%s%s", dir, name, str_ends(name, ".yaml") ? "" :
									       ".yaml") < 0) {
		out->path = NULL;
		return diag_set(d, -ENOMEM, "out of memory");
	}
	if (!access(out->path, F_OK)) /* the only place to look in is where they lie */
		return policy_shipped(name, file, d);
	out->from = steal_ptr(path);
	return 0;
}

/* ---- which file --------------------------------------------------------------------- */

/* The place is root's alone from the first directory that exists on. */
static int check_new_place(const char *path, struct diag *d)
{
	_cleanup_free_ char *at = strdup(path);
	char *slash;

	if (!at)
		return diag_set(d, -ENOMEM, "out of memory");
	while ((slash = strrchr(at, '/')) && slash != at) {
		*slash = '\0';
		if (!access(at, F_OK))
			return save_place_check(at, d);
	}
	return 0;
}

static const json_t *choose(const json_t *files)
{
	const json_t *f;
	size_t i;

	json_array_foreach(files, i, f)
		if (!policy_is_shipped(text_of(f, "file")))
			return f;
	return json_array_get(files, 0);
}

int save_target_find(const json_t *files, struct save_target *out, struct diag *d)
{
	struct save_target t = {};
	const json_t *asked = choose(files);
	const char *file = text_of(asked, "file");
	int err;

	if (*file != '/')
		return diag_set(d, -ENOENT, "no file is known that the sandbox's policy came from");
	if (!policy_is_shipped(file)) {
		t.path = strdup(file);
		err = t.path ? 0 : diag_set(d, -ENOMEM, "out of memory");
	} else {
		err = own_target(asked, &t, d);
	}
	if (!err && !geteuid())
		err = t.from ? check_new_place(t.path, d) : save_place_check(t.path, d);
	if (!err)
		err = check_text(t.from ? t.from : t.path, asked, d);
	if (!err && !t.from && access(t.path, W_OK))
		err = diag_set(d, -errno, "%s: cannot write: %s", t.path, strerror(errno));
	if (err)
		save_target_clear(&t);
	else
		*out = t;
	return err;
}

void save_target_clear(struct save_target *t)
{
	free(t->path);
	free(t->from);
	*t = (struct save_target){};
}

/* ---- saving -------------------------------------------------------------------------- */

static int save_one(struct save_target *t, const char *rule, const char *note, struct diag *d)
{
	char safe[PATH_MAX];
	int err;

	if (t->from) {
		_cleanup_free_ char *dir = strndup(t->path, (size_t)(strrchr(t->path, '/') -
								     t->path));

		err = dir ? make_dirs(dir, d) : diag_set(d, -ENOMEM, "out of memory");
		if (!err)
			err = policy_save_copy(t->from, t->path, rule, note, d);
	} else {
		err = policy_save(t->path, rule, note, d);
	}
	if (err < 0)
		return err;
	diag_escape(safe, sizeof(safe), t->path, strlen(t->path));
	if (t->from && !err) {
		fprintf(stderr, "%s: made of %s, which it stands for from now on (an upgrade does "
				"not change it)\n", safe, t->from);
		free(steal_ptr(t->from));
	}
	fprintf(stderr, "%s: %s\n", safe, err ? "has that rule already" : "the rule is saved");
	return 0;
}

static int same_target(const json_t *sandboxes, struct save_target *t, struct diag *d)
{
	const json_t *files;
	int err = 0;
	size_t i;

	json_array_foreach(sandboxes, i, files) {
		struct save_target other = {};

		err = save_target_find(files, i ? &other : t, d);
		if (!err && i && !str_eq(other.path, t->path))
			err = diag_set(d, -EPERM, "they run under different files (%s, %s): save "
				       "it for one sandbox", t->path, other.path);
		save_target_clear(&other);
		if (err)
			break;
	}
	if (!err && !t->path)
		err = diag_set(d, -ENOENT, "no file is known that the sandbox's policy came from");
	return err;
}

int save_grants(const json_t *grants, const json_t *sandboxes, const char *note, struct diag *d)
{
	struct save_target t = {};
	const json_t *g;
	size_t i, k;
	int err = same_target(sandboxes, &t, d);

	json_array_foreach(grants, i, g) {
		bool done = false;

		/* each rule once, whatever number of sandboxes it was granted in */
		for (k = 0; k < i; k++)
			done |= str_eq(text_of(json_array_get(grants, k), "rule"),
				       text_of(g, "rule"));
		if (!err && !done)
			err = save_one(&t, text_of(g, "rule"), note, d);
	}
	save_target_clear(&t);
	return err;
}
