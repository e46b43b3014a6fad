/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Asking the server for a trace. */
#ifndef TRACE_CLIENT_H
#define TRACE_CLIENT_H

#include <stdint.h>

#include <jansson.h>

struct diag;
struct trace;

/*
 * The trace of a sandbox, live or ended; `ref` as for ref_sandbox(), the reference
 * is taken. 0: *out is to be cleared. -ENODATA: it is not traced, *untraced is its
 * number. Else a message in `d`, and *status what to exit with.
 */
int trace_fetch(int control, json_t *ref, struct trace *out, uint64_t *untraced, int *status,
		struct diag *d);

/* From a file. -EBADMSG: there is none in it. */
int trace_read(int fd, struct trace *out);

#endif
