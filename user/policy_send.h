/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Policies on their way to the server: the client reads the files, under its user's
 * rights, and answers what the server lacks.
 */
#ifndef POLICY_SEND_H
#define POLICY_SEND_H

#include <jansson.h>

struct diag;

/*
 * Read one policy file as this user and add it to the texts, with its place from the
 * root on ("file"). `from`: who extends it.
 */
int policy_send_add(json_t *texts, const char *name, const char *from, struct diag *d);

/*
 * The policies that the server found missing ("need" of its answer), into the "texts"
 * of the request. -E2BIG: it asks for too many.
 */
int policy_send_needed(json_t *request, const json_t *need, struct diag *d);

/*
 * The files of a request's policies: [{name, file, text}], in the order in which they
 * were asked for; what those extend is not among them, nor what was no file. The place
 * is the sender's word. A new reference; NULL: no memory.
 */
json_t *policy_send_files(const json_t *request);

/*
 * What a request's policies are called, with a newline between: those that `run --allow`
 * extends, and then --allow, not it alone. malloc()ed; NULL: no memory.
 */
char *policy_send_names(const json_t *policies, const json_t *texts);

#endif
