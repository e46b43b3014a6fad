/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Violations in journald, as entries with fields (egressd(8), JOURNAL). The socket is
 * written to without waiting, and only so many entries a second: what does not go is
 * counted, and the count goes as soon as something can. The event log has all of them.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stddef.h>
#include <stdint.h>

struct event;
struct journal;
struct sd_event;

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/*
 * Entries a second, of all sandboxes and of one. journald drops what is over 10,000 of a
 * service in 30 seconds, egressd's own messages with it: this stays below.
 */
#define JOURNAL_RATE 200u
#define JOURNAL_RATE_SANDBOX 50u
/* MESSAGE_ID of a violation, and of the entry that says how many were left out */
#define JOURNAL_ID_VIOLATION "6f1f0a4c5d0b4f3c9a3e1d9a7c2b8e51"
#define JOURNAL_ID_LEFT_OUT "b0c6a1d27e9f48a5a6f08c7c3b5d2e94"

/* … that a hook is silent; that hooks cannot be proved; that all are proved again */
#define JOURNAL_ID_SILENT "5a0d5e7f0c1c4c0fa2a5c2f6d3b9e814"
#define JOURNAL_ID_UNPROVED "e4c8b1f26b7d4f0d9d3a80a5b7c61f92"
#define JOURNAL_ID_PROVED "1d7b62c9a8f44e35b06e9c42f1a3d580"

#define JOURNAL_HOOKS 128u

struct journal_note {
	const char *id, *text, *remedy;
	int priority; /* syslog(3) */
	const char *hooks[JOURNAL_HOOKS]; /* EGRESSCTL_HOOK, one field for each */
	size_t nhooks;
};

struct journal_stats {
	uint64_t sent; /* entries of violations */
	uint64_t left_out; /* violations that did not go */
};

/*
 * `socket` NULL: journald's. `loop` is referenced; NULL: what was left out is told by
 * journal_tell() alone. -ENOMEM. That nobody listens there is no error.
 */
int journal_new(struct sd_event *loop, const char *socket, struct journal **out);
void journal_free(struct journal *j);
/* A violation; other events are not for the journal. Never blocks. */
void journal_event(struct journal *j, const struct event *ev);
/* What the operator has to know, whatever the rate. 0; a negative errno: it did not go. */
int journal_note(struct journal *j, const struct journal_note *note);
/* Say now how many were left out since it was last said. */
void journal_tell(struct journal *j);
const struct journal_stats *journal_stats(const struct journal *j);

#endif
