/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What commands print of texts that others chose. Nothing of them acts on a terminal:
 * root looks at the sandboxes of everybody.
 */
#ifndef PRINT_H
#define PRINT_H

#include <stdio.h>

#include <jansson.h>

/* Escaped as by text_add_safe(); NULL is nothing. */
void print_safe(FILE *f, const char *s);

/*
 * One JSON text (`flags` as of json_dumps()) and a newline, valid as it was. -ENOMEM: for
 * want of memory nothing was printed, or there was no `j`.
 */
int print_json(FILE *f, const json_t *j, size_t flags);

#endif
