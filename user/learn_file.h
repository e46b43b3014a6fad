/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The files of `learn`: the policies it begins with, and the one it writes. */
#ifndef LEARN_FILE_H
#define LEARN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct compiled;
struct diag;
struct learned;
struct policy_vars;
struct text;

/*
 * What the run is under and the result extends: `base`, and `secrets` unless that is
 * part of it; or the file of an earlier run (*merge, which becomes false when there is
 * none yet). Strings live as long as the process. -EEXIST: a file is there and is not
 * to be merged with.
 */
int learn_file_begin(const char *output, bool *merge, const char *base, const char *extends[2],
		     size_t *n, struct diag *d);

/* Compiled as they are bound here; compiled_free(). */
int learn_file_base(const char *const *extends, size_t n, const struct policy_vars *v,
		    struct compiled **out, struct diag *d);
/* One that allows everything but what looks like a secret. */
int learn_file_secrets(const struct policy_vars *v, struct compiled **out, struct diag *d);
int learn_file_compile(const char *text, const struct policy_vars *v, struct compiled **out,
		       struct diag *d);

/* The text of `file` with the rules in it, as far as it can have them. */
int learn_file_merge(const char *file, const struct learned *l, struct text *out, struct diag *d);
/*
 * The same to the file, as it is by now and with nothing lost that others write at the
 * same time. Those that it cannot have are told, and how many. drop: under the rights
 * of that user.
 */
int learn_file_merge_write(const char *file, const struct learned *l, bool drop, uid_t uid,
			   gid_t gid, size_t *left_out, struct diag *d);

/*
 * Replace `file` by the text, atomically; NULL: standard output. drop: under the
 * rights of that user, whose directory it may be.
 */
int learn_file_write(const char *file, const struct text *t, bool drop, uid_t uid, gid_t gid,
		     struct diag *d);

#endif
