/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A whole file at once: whoever reads it finds all of the old one or all of the new one. */
#ifndef PUT_FILE_H
#define PUT_FILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Write `text` beside `file` and give it that name, with the mode of the one that was
 * there, else what umask leaves of 0666. A link to a file stays a link. `fresh`: -EEXIST
 * when anything has the name, also when it came meanwhile. Negative errno; then nothing
 * has changed.
 */
int put_file(const char *file, const char *text, size_t len, bool fresh);

#endif
