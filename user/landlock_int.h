/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What landlock_plan.c finds on its walk, and landlock_notes.c writes down. */
#ifndef EGRESSCTL_LANDLOCK_INT_H
#define EGRESSCTL_LANDLOCK_INT_H

#include "compile.h"
#include "landlock.h"

/* what is known of a rule; it may have several spellings */
struct told {
	bool wider, narrower; /* noted */
	bool reached; /* there is something at its path */
	bool absent; /* one spelling leads to nothing, and would give more than there is */
};

struct walk {
	const struct compiled *c;
	const struct landlock_tree *tree;
	struct landlock_plan *plan;
	struct told *told; /* by rule, from 1 on */
	struct diag *d;
	size_t looked_at;
};

/* All of these: 0, or negative errno with a message in w->d. */
int plan_nomem(struct walk *w);
int plan_too_many(struct walk *w, const char *path);
/* Of a rule (0: of none) there is one reason of a kind: the first. */
int plan_note(struct walk *w, uint32_t rule, bool wider, const char *fmt, ...)
	__printf_like(4, 5);
int plan_grant(struct walk *w, const char *path, uint8_t perm, bool dir);

/* A rule for a unix socket. */
int plan_tell_unix(struct walk *w, const struct compiled_path *p);
/* What holds for every policy, since Landlock of this ABI has no word for it. */
int plan_tell_general(struct walk *w);

#endif
