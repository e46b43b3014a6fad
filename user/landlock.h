/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Path rules without BPF LSM: a policy as a Landlock ruleset.
 *
 * Landlock allows and never denies: a rule at a directory gives its rights to all that is
 * below, and what is below cannot have fewer. A policy says what holds at each path. So a
 * translation is exact where permissions only grow on the way down. Elsewhere:
 *
 *  - A rule takes away inside a directory where nothing can be made (no `c`): the directory
 *    is narrowed. It gets what the rule leaves, and each name that is in it now gets the
 *    rest for itself. Nothing more is allowed than the policy says; the directory cannot be
 *    listed, and what is made in it later is refused. Both is told.
 *  - Inside a directory with `c`, the work itself makes files there, so narrowing would
 *    forbid it: the rule is not held, and told.
 *  - In /proc, too: entries come and go.
 *  - A pattern with a double star is not held: nobody looks at every name of a tree. A
 *    pattern within one name gives to the names that are there now, and takes as above.
 *  - A name that is not there cannot be given anything; it stays refused when it is made. If
 *    the rule takes away, what is made there has what its directory has, and that is told.
 *  - Links are not followed here: the compiled policy has each rule once more as its links
 *    led when it was compiled.
 *
 * What Landlock has no word for is told as well, without a line of the policy: attributes,
 * sockets by path, what the guard refuses.
 *
 * Everything here is about names at the time of the call. Rules stick to the objects that had
 * them: a file that is moved keeps what it was given.
 */
#ifndef EGRESSCTL_LANDLOCK_H
#define EGRESSCTL_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"

struct compiled;

/* names looked at for one sandbox; more is a directory too big to be narrowed */
#define LANDLOCK_MAX_NAMES 65536u
#define LANDLOCK_MAX_GRANTS 16384u

/* ---- from a policy to a description ------------------------------------------------------- */

enum landlock_kind {
	LANDLOCK_NOTHING, /* no such name, or it cannot be looked at */
	LANDLOCK_LINK, /* it, or a name before it, is a symbolic link */
	LANDLOCK_FILE, /* everything that is no directory */
	LANDLOCK_DIR,
};

/* A tree of names. Paths are absolute, without ".", ".." and double slashes. */
struct landlock_tree {
	enum landlock_kind (*kind)(void *ctx, const char *path);
	/*
	 * Call each() with every name in the directory, "." and ".." left out, until it returns
	 * not 0, which is returned. A directory that cannot be read has none.
	 */
	int (*list)(void *ctx, const char *path, int (*each)(void *arg, const char *name),
		    void *arg);
	void *ctx;
};

/* A right for an object and, if it is a directory, for all that is below. */
struct landlock_grant {
	char *path;
	uint8_t perm; /* EG_R … of egressctl.h */
	bool dir;
};

/* A rule that does not hold as it is written. */
struct landlock_note {
	uint32_t rule; /* index in compiled.rules[] + 1; 0: no rule, Landlock cannot say it */
	bool wider; /* more is allowed than it says; else less */
	char *why;
};

struct landlock_plan {
	unsigned int abi; /* of the kernel it is for */
	struct landlock_grant *grants;
	size_t ngrants, grants_cap;
	struct landlock_note *notes; /* by rule; those of no rule first */
	size_t nnotes, notes_cap;
};

/*
 * Pure but for `tree`. `c` must have been compiled with policy.landlock. 0 and *out, to be
 * freed with landlock_plan_free(); or -E2BIG (a limit above, with the directory's name),
 * -ENOMEM; *out is untouched then.
 */
int landlock_plan(const struct compiled *c, unsigned int abi, const struct landlock_tree *tree,
		  struct landlock_plan **out, struct diag *d);
void landlock_plan_free(struct landlock_plan *p);

/* One more right for one path, a file: what the sandbox is told to read. -ENOMEM. */
int landlock_plan_add(struct landlock_plan *p, const char *path, uint8_t perm, struct diag *d);

/* ---- from a description to the kernel ----------------------------------------------------- */

/* The real tree, in the mount namespace and under the rights of the caller. */
extern const struct landlock_tree landlock_real_tree;

/* What the running kernel has, from 1 on. -ENOSYS, -EOPNOTSUPP: no Landlock, or it is off. */
int landlock_abi(void);

/* LANDLOCK_ACCESS_FS_* for permissions, of those that this ABI has. */
uint64_t landlock_access(uint8_t perm, bool dir, unsigned int abi);

/*
 * A ruleset's descriptor, the caller's. What is gone by now, or has become another kind of
 * thing, is given nothing. Negative errno with a message.
 */
int landlock_ruleset(const struct landlock_plan *p, struct diag *d);

/* Hold the calling thread and its children to it for good. no_new_privs must be set. */
int landlock_restrict(int ruleset);

#endif
