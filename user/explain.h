/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a violation means and what to do about it, for people and for coding agents:
 * made of the event as it was logged and of nothing else, so that `egressctl explain`
 * outside and `egressctl why` inside of a sandbox say the same, whenever they are asked.
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include <jansson.h>

#include "event_text.h"

enum explain_for {
	EXPLAIN_LIVE, /* the sandbox may be given something, for a time or for good */
	EXPLAIN_UNSAVED, /* for a time: the reader cannot --save to its policy */
	EXPLAIN_ENDED, /* it is gone: rules are for the next run */
	EXPLAIN_INSIDE, /* the reader is in the sandbox, and can allow nothing */
};

/*
 * Replace the content of `t` with lines for a terminal, whatever bytes are in the
 * event. -ENOMEM.
 */
int explain_text(const struct event_parsed *e, enum explain_for whom, struct text *t);

/* The same as one object, see egressctl-events(5). A new reference; NULL: no memory. */
json_t *explain_json(const struct event_parsed *e, enum explain_for whom);

#endif
