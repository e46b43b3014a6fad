/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One more rule in a policy file, for `egressctl allow --save`. A rule is in the
 * words of allow.h:
 *
 *	open PATH PERM		files: {PATH: PERM}
 *	connect DESTINATION	egress: {allow: [DESTINATION]}
 *	unix NAME		egress: {unix: [NAME]}
 *	socket KIND		egress: {sockets: [KIND]}
 *	privilege NAME		privileges: [NAME]
 *
 * and, beyond those words, what `learn` finds out:
 *
 *	connect {host: …, …}	egress: {allow: [{host: …, …}]}
 *	loopback own|PORT	egress: {loopback: [own|PORT]}
 */
#ifndef EGRESSCTL_POLICY_EDIT_H
#define EGRESSCTL_POLICY_EDIT_H

#include <stddef.h>

#include "diag.h"

#define POLICY_EDIT_COMMENT_MAX 200u /* bytes of a comment: a line somebody wants to read */

/*
 * The text of a policy with one more rule. All other bytes stay as they are, and
 * the rule is written as its neighbours are: in lines or in brackets, with quotes
 * or without. No I/O; `file` is for messages.
 *
 * `comment` (NULL: none) goes behind the rule as "# COMMENT": what would act on a
 * terminal or end the line becomes '?', and it is cut at POLICY_EDIT_COMMENT_MAX.
 * JSON has no comments: a text that is JSON stays JSON, without it.
 *
 * A path that has a rule, in whatever spelling, gets the letters it lacks. A new
 * rule for a path also has the letters that the policy allowed there already,
 * because the deepest rule has the last word and it must not take any away.
 *
 * Returns 0, malloc()ed *out (with a NUL behind *out_len bytes); 1 when all of it
 * is there already, *out untouched; or with a message in d, *out untouched:
 * -EINVAL for a text that is no valid policy, for a bad rule, for one that could
 * not take effect because of a line that denies it (which is named), and when no
 * place was found where the text could be changed with certainty; -EFBIG; -ENOMEM.
 * What the policy extends is not looked at, and may have allowed more at the path.
 */
int policy_edit_add(const char *file, const char *text, size_t len, const char *rule,
		    const char *comment, char **out, size_t *out_len, struct diag *d);

/*
 * The same with a file, under the rights of the caller, atomically: whoever reads
 * it finds the old text or the new one, whole. The new text is loaded together
 * with what it extends before anything is changed; a deny of those that would win
 * is an error as well. `comment` is the text behind "# allowed YYYY-MM-DD: " (the
 * local day), or NULL for the date alone. Several callers at once wait for each
 * other, and each one's rule is there at the end.
 *
 * A symbolic link is followed and its target replaced. Mode, owner and group are
 * kept, and the access control list, labels and user.* attributes; where the owner
 * cannot be (another user of the directory's group saves), the file becomes the
 * caller's. Other hard links to the file keep the old text.
 *
 * 0; 1: it is there already, nothing was written; or a negative errno with a
 * message. A crash may leave ".NAME.egressctl" beside the file; the next call
 * uses it up.
 */
int policy_save(const char *path, const char *rule, const char *comment, struct diag *d);

/*
 * policy_save() to a file that does not exist and begins as `from` does: `path` is
 * absolute, its directory exists. -EEXIST: somebody else made it.
 */
int policy_save_copy(const char *from, const char *path, const char *rule, const char *comment,
		     struct diag *d);

/*
 * Any change of a policy's file, as policy_save() makes it: no other one is lost.
 * `change` gets the text there is, maybe several times, and returns 0 and malloc()ed
 * *out; 1: nothing is to be changed; or a negative errno with a message. What it
 * makes is not looked at here.
 */
typedef int (*policy_change_fn)(void *ctx, const char *file, const char *text, size_t len,
				char **out, size_t *out_len, struct diag *d);
int policy_change(const char *path, policy_change_fn change, void *ctx, struct diag *d);

/*
 * -EPERM, as it comes with egressctl: an upgrade would replace it. The message has the
 * command that makes a copy which is found first.
 */
int policy_shipped(const char *name, const char *path, struct diag *d);

/*
 * Is `text` the policy `was` still, with nothing taken away: each entry is there, in
 * the same order in lists, and paths have at least the letters that they had? 1, 0, or
 * a negative errno with a message: one of the two is no policy's text.
 */
int policy_edit_holds(const char *file, const char *text, size_t len, const char *was,
		      size_t was_len, struct diag *d);

#endif
