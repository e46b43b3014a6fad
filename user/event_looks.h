/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Is a refused access what attacks do, or does a policy just lack a line? */
#ifndef EVENT_LOOKS_H
#define EVENT_LOOKS_H

#include <stdbool.h>

struct event;

enum event_looks {
	EVENT_LOOKS_MISSING, /* nothing strange about it */
	EVENT_LOOKS_METADATA, /* credentials of the machine, over the network */
	EVENT_LOOKS_SECRET, /* a place where credentials lie: what policies/secrets.yaml names */
	EVENT_LOOKS_TUNNEL, /* data in names that are asked for */
	EVENT_LOOKS_SANDBOX, /* a socket of another sandbox */
	EVENT_LOOKS_SOCKET, /* a socket of somebody else, or one that hands the sandbox away */
	EVENT_LOOKS_GUARD, /* the kernel, or processes outside */
	EVENT_LOOKS_DETOUR, /* another name of what a rule denies */
	EVENT_LOOKS_MAX
};

/* A hint, from the event alone: no I/O, and the same answer every time. */
enum event_looks event_looks(const struct event *ev);

/*
 * Another sandbox listens where this one would have talked to, see EG_WHY_FOREIGN: the
 * refused use of a socket that is not its own has no port.
 */
bool event_neighbour(const struct event *ev);

/* The word of the JSON form, and a sentence for a person; for _MISSING too. */
const char *event_looks_name(enum event_looks looks);
const char *event_looks_words(enum event_looks looks);

#endif
