/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a sandbox was refused, for whoever is in it ($EGRESSCTL_DENIALS) and for those
 * who ask about one event: its last events, one JSON object a line, in memory and in
 * /run/egressctl/denials/ID-RANDOM. Root owns the file and its directory, so that
 * nothing inside writes there even where no path rules hold; the sandbox's user may
 * read it, and its name is not to be guessed, so that no other sandbox does.
 *
 * When it is full the older half goes, and the first line says how many did. The file
 * is only ever appended to or replaced by a rename: readers see whole lines.
 */
#ifndef DENIALS_H
#define DENIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DENIALS_DIR "/run/egressctl/denials"
#define DENIALS_MAX (128u << 10) /* bytes; two of the longest events fit */

struct denials;

/*
 * Make a file for a sandbox; adopt: take over the one that an earlier egressd made
 * for it, if there is one. dir: DENIALS_DIR, made when it is missing; others only in
 * tests. Negative errno.
 */
int denials_open(const char *dir, uint64_t sandbox, uid_t uid, bool adopt, struct denials **out);
/* Removes the file; denials_leave() lets it be, for the next egressd. */
void denials_close(struct denials *d);
void denials_leave(struct denials *d);

const char *denials_path(const struct denials *d);

/*
 * Keep one event; 0, or 1 when it is the first since denials_flush(), which shows
 * them to readers. Never fails: what there is no memory or room for is counted, and
 * a line says how many.
 */
int denials_add(struct denials *d, const char *json, size_t len);
void denials_flush(struct denials *d);

/*
 * The event with that number, 0 for the newest, as JSON: valid until the next call
 * for `d`. NULL: it was never there, or is gone.
 */
const char *denials_find(const struct denials *d, uint64_t seq, size_t *len);

/* The newest one that a rule could allow: in its JSON, `allow_run` has rules. As above. */
const char *denials_last_allowable(const struct denials *d, size_t *len);

/* Remove the files in `dir` that no living process holds. */
void denials_sweep(const char *dir);

#endif
