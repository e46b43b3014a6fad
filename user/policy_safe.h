/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that hand the sandbox away, and the slow matcher that finds them. */
#ifndef EGRESSCTL_POLICY_SAFE_H
#define EGRESSCTL_POLICY_SAFE_H

#include "util.h"

/*
 * `path` or a directory above it matches the bound pattern (the language of
 * automaton.h, one path at a time, by the book).
 */
bool policy_glob_covers(const char *pattern, const char *path);

/*
 * Why reaching the sockets of this bound unix pattern hands the sandbox away, or
 * NULL. The socket meant is in buf. uid, home: of the user, NULL: not known.
 */
const char *policy_unsafe_unix(const char *pattern, const char *uid, const char *home, char *buf,
			       size_t len);

#endif
