/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One rule of a grant, in the words of allow.h, as a policy that is laid over the
 * sandbox's own. Pure: no I/O.
 */
#ifndef GRANT_RULE_H
#define GRANT_RULE_H

#include <stdbool.h>
#include <stdint.h>

struct compiled;
struct config;
struct diag;

#define GRANT_RULE_MAX 8192u /* bytes: a path, its quotes, a permission */

struct grant_rule {
	char *rule; /* as it is shown: "connect example.com:443" */
	char *text; /* the policy; see grant_rule_text() for one path */
	char *path; /* `open` of a path itself; NULL: something else, or a pattern */
	uint8_t perm; /* what of it is given, or taken */
	uint8_t now; /* what the path has with it, by grant_rule_text() */
	bool deny;
	bool by_name; /* what it allows or denies is a name */
};

/*
 * What `rule` means in a sandbox whose policy is `base` and that is under `now`, grants
 * included. `open` is shown with the permission that the path has with it: what the
 * policy gives is not taken away by allowing, and a denial without one takes
 * everything. -EINVAL with a message; *out is untouched then.
 */
int grant_rule_make(const char *rule, bool deny, const struct compiled *base,
		    const struct compiled *now, struct grant_rule *out, struct diag *d);

/*
 * The policy's text for v[n - 1], behind v[0] … v[n - 2], which hold beside it and
 * have been asked before: what a path has depends on them, and ends with them.
 * malloc()ed, or -EINVAL, -ENOMEM.
 */
int grant_rule_text(struct grant_rule *const *v, size_t n, const struct compiled *base,
		    char **text, struct diag *d);
void grant_rule_clear(struct grant_rule *r);

/*
 * May somebody who is not root grant this for `ms` (0: without an end)? -EPERM with
 * what the configuration allows instead. Denying is always allowed.
 */
int grant_rule_check(const struct config *config, const struct grant_rule *r, uint64_t ms,
		     struct diag *d);
/*
 * May such a user switch the policy of a sandbox? What another policy would add nobody
 * can compare with what may be granted, and it lasts as long as the sandbox: not where
 * the host grants less than it does by itself. -EPERM.
 */
int grant_switch_check(const struct config *config, struct diag *d);

#endif
