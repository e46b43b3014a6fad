// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Directories: which may be opened as a whole, and what they are called in a policy. */
#include <string.h>

#include "learn_int.h"
#include "util.h"

/* `path` is `dir` or below it: the length of `dir`; else 0. */
static size_t within(const char *path, size_t len, const char *dir)
{
	size_t n = dir ? strlen(dir) : 0;

	if (!n || len < n || memcmp(path, dir, n))
		return 0;
	return len == n || path[n] == '/' ? n : 0;
}

static bool holds(const char *dir, const char *path)
{
	return path && within(path, strlen(path), dir);
}

static unsigned int depth(const char *path)
{
	unsigned int n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* Below the home directory: everything of every program is in these. */
static const char *const shared_at_home[] = {
	".cache",      ".config", ".local", ".local/bin", ".local/lib", ".local/share",
	".local/state", ".var",	  ".var/app", "snap",	  "bin",
};

/* The system's, with the things of many programs in them. */
static const char *const shared[] = {
	"/etc/default", "/run/user",  "/run/lock",   "/usr/bin",  "/usr/lib",	"/usr/lib32",
	"/usr/lib64",	"/usr/local", "/usr/sbin",   "/usr/share", "/usr/src",	"/usr/include",
	"/usr/libexec", "/var/cache", "/var/lib",    "/var/lock", "/var/log",	"/var/mail",
	"/var/opt",	"/var/run",   "/var/spool",  "/var/tmp",
};

static bool foldable_at_home(const char *below)
{
	for (size_t i = 0; i < ARRAY_SIZE(shared_at_home); i++)
		if (str_eq(below, shared_at_home[i]))
			return false;
	return true;
}

bool learn_foldable(const struct learn_input *in, const char *dir)
{
	const struct policy_vars *v = in->vars;
	size_t len = strlen(dir), n;

	if (within(dir, len, v->workdir))
		return true;
	if (holds(dir, v->workdir) || holds(dir, v->home) || holds(dir, v->tmpdir))
		return false;
	n = within(dir, len, v->home);
	if (n)
		return foldable_at_home(dir + n + 1);
	if (within(dir, len, v->tmpdir) || str_starts(dir, "/tmp/") || str_starts(dir, "/var/tmp/"))
		return true;
	if (depth(dir) < 2 || within(dir, len, "/dev") || within(dir, len, "/proc") ||
	    within(dir, len, "/sys"))
		return false;
	/* the homes of others, and what belongs to one user */
	if ((within(dir, len, "/home") || within(dir, len, "/run/user")) && depth(dir) < 3)
		return false;
	if (within(dir, len, "/usr/local") && depth(dir) < 4)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (str_eq(dir, shared[i]))
			return false;
	return true;
}

bool learn_path_normal(const char *path, size_t len)
{
	size_t at, end;

	if (!len || path[0] != '/')
		return false;
	for (at = 1; at <= len && len > 1; at = end + 1) {
		for (end = at; end < len && path[end] != '/';)
			end++;
		if (end == at || (end == at + 1 && path[at] == '.') ||
		    (end == at + 2 && path[at] == '.' && path[at + 1] == '.'))
			return false;
	}
	return true;
}

void learn_path_text(const struct learn_input *in, const char *path, size_t len, bool fold_last,
		     struct text *out)
{
	const struct policy_vars *v = in->vars;
	const struct {
		const char *value, *name;
	} vars[] = {
		{ v->workdir, "${WORKDIR}" }, { v->gitdir, "${GITDIR}" },
		{ v->tmpdir, "${TMPDIR}" },   { v->home, "~" },
	};
	size_t best = 0, end = len, at;

	for (size_t i = 0; i < ARRAY_SIZE(vars); i++) {
		size_t n = within(path, len, vars[i].value);

		if (n <= best)
			continue;
		best = n;
		text_reset(out);
		text_add(out, vars[i].name);
	}
	if (!best)
		text_reset(out);
	if (fold_last)
		for (end = len; end > best && path[end - 1] != '/';)
			end--;
	/* names one by one: a random word ends at its name's end */
	for (at = best; at < len;) {
		size_t n = 1;

		while (at + n < len && path[at + n] != '/')
			n++;
		text_add(out, "/");
		learn_name_pattern(out, path + at + 1, n - 1, fold_last && at + 1 >= end);
		at += n;
	}
	if (!len)
		text_add(out, "/");
}
