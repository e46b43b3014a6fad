/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What people call things: an event is SANDBOX.SEQ ("7.12"), a sandbox is its number
 * or its name if only one has it, "last" is the newest one of whoever asks.
 */
#ifndef REF_H
#define REF_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define REF_LAST "last"
#define REF_EVENT_MAX 42u /* two numbers of 20 digits, a dot, the NUL */

/*
 * "7.12", or "last", for which both numbers are 0. -EINVAL: it is neither, and
 * nothing is changed.
 */
int ref_parse_event(const char *s, uint64_t *sandbox, uint64_t *seq);

/*
 * What a command line calls a sandbox, for a request: a number, or a string (a
 * name, "last"). The caller's reference; NULL when `s` is empty, no UTF-8 or there
 * is no memory.
 */
json_t *ref_sandbox(const char *s);

/*
 * How many bytes are to be inserted, removed, replaced or swapped with their
 * neighbour to make one of the other. Only the first REF_DISTANCE_MAX bytes count.
 */
#define REF_DISTANCE_MAX 64u
size_t ref_distance(const char *a, const char *b);

/* Which of some words is most like `text`: only that is set, then each word is tried. */
struct nearest {
	const char *text;
	char word[128]; /* the first of the nearest; "": none */
	size_t far;
	char words[160]; /* of nearest_words() */
};
void nearest_try(struct nearest *n, const char *word);
/* "; the nearest is WORD", or "" when none has anything of it. */
const char *nearest_words(struct nearest *n);

#endif
