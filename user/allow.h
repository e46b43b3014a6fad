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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct diag;

enum allow_verb { ALLOW_OPEN, ALLOW_CONNECT, ALLOW_UNIX, ALLOW_SOCKET, ALLOW_PRIVILEGE };

struct allow_rule {
	enum allow_verb verb;
	const char *arg; /* PATH, DESTINATION, … : len bytes of the rule */
	size_t len;
	const char *perm; /* open: the letters; else NULL */
};

/*
 * A rule into its words, which point into it and are not looked at any further.
 * -EINVAL with a message that begins with `who` ("--allow: " or "").
 */
int allow_rule_parse(const char *who, const char *rule, struct allow_rule *out, struct diag *d);

#define ALLOW_NAME "--allow" /* what messages call that policy */

/*
 * The text of a policy that extends `policies` with `rules`: malloc()ed *text.
 * A path that a parent has, spelt the same, is replaced. -EINVAL with a message.
 */
int allow_policy(const char *const *policies, size_t npolicies, const char *const *rules,
		 size_t nrules, char **text, struct diag *d);

/*
 * One rule as the text of a policy that extends nothing: malloc()ed *text. deny:
 * `connect` denies the destination; `open` says what the path still has, as ever.
 * -EINVAL with a message.
 */
int allow_overlay(const char *rule, bool deny, char **text, struct diag *d);

#endif
