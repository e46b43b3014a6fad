/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules added on the command line, `egressctl run --allow RULE`: the words that
 * event_allow_command() suggests, as a policy that extends the ones asked for.
 * What a rule may say is decided by the policy parser, which sees them next.
 *
 *	open PATH PERM		files: {PATH: PERM}
 *	connect DESTINATION	egress: {allow: [DESTINATION]}
 *	unix NAME		egress: {unix: [NAME]}
 *	socket KIND		egress: {sockets: [KIND]}
 *	privilege NAME		privileges: [NAME]
 */
#ifndef ALLOW_H
#define ALLOW_H

#include <stddef.h>

struct diag;

#define ALLOW_NAME "--allow" /* what messages call that policy */

/*
 * The text of a policy that extends `policies` with `rules`: malloc()ed *text.
 * A path that a parent has, spelt the same, is replaced. -EINVAL with a message.
 */
int allow_policy(const char *const *policies, size_t npolicies, const char *const *rules,
		 size_t nrules, char **text, struct diag *d);

#endif
