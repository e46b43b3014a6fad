/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a path resolves to, as far as it exists: symbolic links followed name by
 * name through the callback of struct policy_vars, remembering what was seen so
 * that ten thousand rules below one directory ask for it once.
 */
#ifndef EGRESSCTL_POLICY_RESOLVE_H
#define EGRESSCTL_POLICY_RESOLVE_H

#include <limits.h>

#include "policy_vars.h"

struct resolver {
	const struct policy_vars *vars;
	void *seen; /* tsearch() tree of struct seen */
	/* links followed by the last resolver_path(), absolute */
	char **links;
	size_t nlinks, links_cap;
};

/*
 * The resolved path of an absolute one in out (may equal it). Names that do not
 * exist or may not be looked at stay as they are. Nothing below /proc/self (or a
 * number) is followed: those links are not paths. Returns 0, -ELOOP,
 * -ENAMETOOLONG or -ENOMEM.
 */
int resolver_path(struct resolver *r, const char *path, char out[PATH_MAX]);
void resolver_clear(struct resolver *r);

#endif
