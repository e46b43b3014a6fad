/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `allow --save`: into which file a rule goes. It is written by the client, under the
 * operator's own rights; the server says what the sandbox runs under.
 */
#ifndef ALLOW_SAVE_H
#define ALLOW_SAVE_H

#include <jansson.h>

struct diag;

struct save_target {
	char *path; /* of the file to write */
	char *from; /* that one does not exist yet and begins as this one; NULL: it does */
};

/*
 * The file that a rule for a sandbox is saved in. `files` are those of its policies
 * as the server has them, policy_send_files(): the first that does not come with
 * egressctl; else the operator's own policy of the name of the first one, which is
 * found before the shipped one and is made when there is none. -EPERM: it is not the
 * operator's to change, or not what the sandbox runs under (any more); with a message.
 */
int save_target_find(const json_t *files, struct save_target *out, struct diag *d);
void save_target_clear(struct save_target *t);

/* -EPERM: somebody else than root could change the file, or which one has that path. */
int save_place_check(const char *path, struct diag *d);

/*
 * Save the rules of `grants` ([{rule, …}], each once). `sandboxes` has the files of
 * each sandbox that they were granted in, which must come to one and the same file.
 * What was done is printed. Negative errno with a message.
 */
int save_grants(const json_t *grants, const json_t *sandboxes, const char *note, struct diag *d);

#endif
