/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the commands that ask the service have in common. Errors are printed here. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdint.h>

#include <jansson.h>

struct diag;

/*
 * One request to egressd, whose policies are read and sent when it asks for them
 * (then `request` grows). 0 and the answer, or the status to exit with; the message is
 * printed.
 */
int client_call(const json_t *request, json_t **answer);
int client_call_policies(json_t *request, json_t **answer);
/* client_call() that prints nothing: 0, or -errno with *status and a message. */
int client_ask(const json_t *request, json_t **answer, int *status, struct diag *d);
/*
 * Nothing of that number is in the log: 0 when it is live all the same, else -ENOENT with
 * the message.
 */
int client_unknown(uint64_t sandbox, struct diag *d);
/* Prints it; 125. */
int client_fail(const char *message);

/* A member of an answer: 0 and "" where there is none of that kind. */
long long client_number(const json_t *o, const char *key);
const char *client_text(const json_t *o, const char *key);

#endif
