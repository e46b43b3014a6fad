/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a policy is bound: the values of its variables, and how symbolic links
 * are looked at. Bound when a sandbox starts.
 */
#ifndef EGRESSCTL_POLICY_VARS_H
#define EGRESSCTL_POLICY_VARS_H

#include <sys/types.h>

#include "diag.h"
#include "util.h"

struct policy_vars {
	/* absolute, no '.', '..', '//' or final '/'; malloc()ed; NULL: unbound */
	char *workdir;
	char *workdir_why; /* malloc()ed reason why workdir is NULL, an error where it is used */
	char *home;
	char *tmpdir;
	char *gitdir; /* common directory of the repository at workdir */
	char *gitworktree; /* of a linked worktree at workdir: its own directory in gitdir */
	bool git_refused; /* there is a .git at workdir, and it was not believed */
	char *uid; /* decimal */
	/*
	 * readlink(2) on an absolute path: length of the target in buf, or
	 * -EINVAL (no link), -ENOENT, -ENOTDIR, -EACCES, …. NULL: nothing is
	 * followed, compilation does no I/O.
	 */
	int (*readlink)(void *ctx, const char *path, char *buf, size_t len);
	void *readlink_ctx;
};

/*
 * The variables of this process and user: WORKDIR is `workdir` or, when NULL, the
 * current directory, HOME from the password file (not $HOME: it can be set to
 * widen a policy), TMPDIR from $TMPDIR or /tmp, GITDIR looked up and checked
 * against its back-link, readlink the real one. What cannot be a WORKDIR leaves
 * it unbound with workdir_why, which concerns only policies that use it.
 */
int policy_vars_bind(struct policy_vars *v, const char *workdir, uid_t uid, struct diag *d);

/* Take $TMPDIR of somebody's environment; what may not be one becomes /tmp. */
int policy_vars_set_tmpdir(struct policy_vars *v, const char *env);

/*
 * What a server must check of values a client sent: absolute, normal, WORKDIR
 * not '/', not the home directory or above it. policy_vars_bind() does it too.
 */
int policy_vars_check(const struct policy_vars *v, struct diag *d);
void policy_vars_clear(struct policy_vars *v);

/* The absolute path itself and what it resolves to may not be '/', home or above it. */
int policy_vars_check_dir(const struct policy_vars *v, const char *name, const char *dir,
			  struct diag *d);

int policy_vars_real_readlink(void *ctx, const char *path, char *buf, size_t len);

/*
 * The repository's common directory for the tree at `workdir`: workdir/.git
 * itself, or for a linked worktree the directory whose worktrees/NAME/gitdir
 * names workdir/.git back; *worktree is that worktrees/NAME then, else NULL. Both
 * malloc()ed. NULL when there is none, it cannot be read, or the back-link does
 * not match (a file an attacker put there can name anything).
 */
char *policy_vars_gitdir(const char *workdir, char **worktree);

/*
 * Replace ${NAME} and a leading ~ in a pattern. Beside the fields above there is
 * GITLINK, the .git file of a linked worktree at workdir. Values go in as literal text
 * (pattern characters escaped). Returns 0 and malloc()ed *out, -ENOENT with
 * *unbound naming the variable that has no value (static string), or -EINVAL
 * for an unknown name or bad syntax.
 */
int policy_vars_expand(const struct policy_vars *v, const char *pattern, char **out,
		       const char **unbound);

#endif
