/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One message for a human: where, what was found, what was expected.
 *
 * Plain data: `struct diag d = {};` is ready, nothing is to be freed. Libraries
 * fill it and return the negative errno; commands print it once. The first
 * message stays when another one is set over it, because the first failure is
 * the cause; diag_clear() starts afresh. Every function accepts d == NULL.
 *
 * What text_char_unsafe() says (controls, those of C1 too, what reorders text) and what
 * is not UTF-8 is escaped as \xNN when the message is set: policies and paths quoted in
 * it may be hostile.
 */
#ifndef EGRESSCTL_DIAG_H
#define EGRESSCTL_DIAG_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "util.h"

struct diag {
	int err; /* negative errno; 0: nothing set */
	char file[512]; /* "": no place */
	uint32_t line, col; /* from 1; 0: not known */
	char msg[1024];
};

/* All of them return `err` (a negative errno), so that `return diag_…()` works. */
int diag_set(struct diag *d, int err, const char *fmt, ...) __printf_like(3, 4);
int diag_at(struct diag *d, int err, const char *file, uint32_t line, uint32_t col,
	    const char *fmt, ...) __printf_like(6, 7);
int diag_vat(struct diag *d, int err, const char *file, uint32_t line, uint32_t col,
	     const char *fmt, va_list ap);
void diag_clear(struct diag *d);

/* "file:line:col: message" (or only the message) in buf; returns buf. */
const char *diag_text(const struct diag *d, char *buf, size_t len);

/* One line "prog: file:line:col: message". */
void diag_print(FILE *f, const char *prog, const struct diag *d);

/*
 * Copy `s` so that nothing in it can act on a terminal, nor look like something else;
 * always NUL-terminated. What was copied so once is not changed by a second time.
 */
void diag_escape(char *out, size_t outlen, const char *s, size_t len);

#endif
