/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Violations, from the bytes of one ring buffer record to what an operator
 * reads. The stages are separate, so that each can be tested and fuzzed:
 *
 *	event_decode()   record -> struct event, every length checked
 *	event_explain()  finds the rule that decided, and the rule that would allow
 *	events_*()       ring buffer consumer: the two above, sequence accounting
 *	event_text.h     struct event -> one JSON object, or one line for a person
 *	eventlog.h       the log file
 *
 * Nothing in here opens, resolves or stats what an event names: the names are
 * chosen by the sandboxed program, and a FIFO or a dead FUSE mount behind one
 * must not stop the consumer.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct compiled;
struct eg_sandbox;
struct rule_ref;

/* Bytes a sandboxed program chose: any value, NUL included, not terminated. */
struct event_bytes {
	const char *p;
	size_t len;
};

enum event_object {
	EVENT_OBJECT_NONE, /* a guard: op and aux say it all */
	EVENT_OBJECT_PATH, /* path, and path2 for rename and link */
	EVENT_OBJECT_ADDRESS, /* addr, port, proto, name; path: the server name presented there */
	EVENT_OBJECT_NAME, /* path: the name asked for, aux: query type; addr: see EG_WHY_PRIVATE */
	EVENT_OBJECT_UNIX, /* path: a path, or '@' and an abstract name */
	EVENT_OBJECT_SOCKET, /* family, type, protocol in aux */
};

/* What could make the access pass; event_text.c spells it. */
enum event_remedy {
	EVENT_REMEDY_NONE, /* no rule can allow it */
	EVENT_REMEDY_OPEN, /* files: {PATH: PERM} */
	EVENT_REMEDY_CONNECT, /* egress: {allow: [ADDRESS:PORT/PROTO]} */
	EVENT_REMEDY_NAME, /* egress: {allow: [HOST:PORT]} */
	/* egress: {allow: [{host: HOST, ports: [PORT], OPTION}]}: by a policy alone */
	EVENT_REMEDY_NAME_OPTION,
	EVENT_REMEDY_UNIX, /* egress: {unix: [NAME]} */
	EVENT_REMEDY_SOCKET, /* egress: {sockets: [KIND]} */
	EVENT_REMEDY_LISTEN, /* egress: {listen: {PORT: host}} */
	EVENT_REMEDY_PRIVILEGE, /* privileges: [NAME] */
};

#define EVENT_MAX_PARENTS 4u /* EG_MAX_PARENTS */

struct event_parent {
	uint32_t pid; /* thread group, initial pid namespace */
	struct event_bytes comm;
};

struct event {
	uint64_t boot_ns; /* CLOCK_BOOTTIME */
	uint64_t time_ns; /* CLOCK_REALTIME; 0 until a consumer or the caller sets it */
	uint64_t seq; /* per sandbox, from 1 */
	uint64_t sandbox; /* never reused in one boot */
	uint64_t aux; /* by operation, see enum eg_op */
	uint64_t suppressed; /* of this sandbox so far: over its rate, not sent */
	uint64_t lost; /* of this sandbox so far: no room in the ring */
	uint64_t suppressed_new; /* of those, since the event before */
	uint64_t gap; /* sequence numbers missing right before this one */
	bool late; /* fills a gap reported earlier (two processors raced) */
	bool end; /* made by events_end(): the sandbox's final counts, no violation */
	int64_t owner; /* uid who asked for the sandbox; -1: not known */
	uint64_t denied; /* only with `end`: violations in all */
	uint64_t failed; /* only with `end`: denials because of an internal failure */
	uint32_t pid; /* thread group, initial pid namespace; 0: not known */
	uint32_t tid;
	uint32_t uid;
	uint32_t serial; /* version that judged */
	uint32_t rule; /* index + 1 in the version's rules; 0: not told or the default */
	int32_t error; /* positive errno the caller saw */
	uint16_t op; /* enum eg_op */
	uint8_t reason; /* enum eg_reason */
	uint8_t verdict; /* EG_VERDICT_* */
	uint8_t want; /* EG_R … */
	uint8_t proto; /* IPPROTO_* */
	uint16_t port; /* HOST byte order */
	uint8_t addr[16]; /* network byte order, IPv4 mapped */
	struct event_bytes comm, path, path2, exe; /* point into the record */
	struct event_bytes name; /* addresses: that sandbox resolved it from; empty: not known */
	struct event_parent parents[EVENT_MAX_PARENTS]; /* the nearest first */
	uint8_t nparents;
	uint16_t distinct; /* resolve: refused names below the same domain so far, about */
	bool live; /* a service can grant what was refused: the sandbox is one of its own */

	/* set by event_explain(); `by` belongs to the version */
	bool explained; /* the version was found: by == NULL means the default decided */
	const struct rule_ref *by;
	const struct rule_ref *near; /* an allowing rule that comes closest; NULL: none does */
	const char *policy, *policy_file; /* of the version; NULL: not known */
	uint8_t remedy; /* enum event_remedy */
	uint8_t remedy_perm; /* EG_R …: for EVENT_REMEDY_OPEN, what path must get */
	uint8_t remedy_perm2; /* the same for path2; 0: path2 is in order */
	bool remedy_same; /* `by` names path itself: it is to be replaced, spelt the same */
	const char *remedy_name; /* static: socket kind, privilege, or option of a destination */
	struct event_bytes remedy_host; /* name or path */
	uint16_t remedy_lo, remedy_hi; /* host byte order: ports of remedy_host */
};

/*
 * Decode one ring buffer record. `ev` borrows from `record` and is untouched
 * on failure. -EBADMSG: lengths, operation or any other field out of range.
 */
int event_decode(struct event *ev, const void *record, size_t len);

/* The same for a record of the ring `touched`: it has no seq, and may say "allowed". */
int event_decode_touched(struct event *ev, const void *record, size_t len);

/* What kind of object the operation is about. */
enum event_object event_object(const struct event *ev);

/*
 * Find the rule that decided and the remedy in the version that judged; `c` may
 * be NULL (the version is gone), which leaves `explained` false. No I/O.
 */
void event_explain(struct event *ev, const struct compiled *c);

/* ---- the consumer ----------------------------------------------------------- */

struct events;

struct events_ops {
	/* The version of that serial, or NULL; valid until the sink returns. */
	const struct compiled *(*find)(void *ctx, uint32_t serial);
	/* The uid who asked for a sandbox, or -1. May be NULL. */
	int64_t (*owner)(void *ctx, uint64_t sandbox);
	/*
	 * The name that a sandbox resolved an address from, or NULL; valid until the
	 * sink returns. May be NULL.
	 */
	const char *(*name_of)(void *ctx, uint64_t sandbox, const uint8_t addr[16]);
	bool grants; /* sandboxes with an owner may be given something while they run */
	/* Called once an event, in ring order; must not block or keep pointers. */
	void (*sink)(void *ctx, const struct event *ev);
	void *ctx;
};

struct events_stats {
	uint64_t consumed; /* well-formed records */
	uint64_t malformed; /* records that did not decode: an ABI error, never normal */
	uint64_t missing; /* sequence numbers that never arrived, all sandboxes */
	uint64_t no_memory; /* records whose sequence could not be tracked */
};

/*
 * A consumer of the ring buffer map `ring_fd` (stays the caller's). Only one
 * consumer per ring may exist. Negative errno on failure. With ring_fd -1 there
 * is no ring: records come by events_feed() alone.
 */
int events_new(int ring_fd, const struct events_ops *ops, struct events **out);
void events_free(struct events *e);

/*
 * One record, as events_consume() does for each. For those made in user space:
 * consume what is in the ring before, or its sequence numbers come late.
 */
void events_feed(struct events *e, const void *record, size_t len);

/*
 * The record of a refused name (EG_OP_RESOLVE), which the kernel has no part in.
 * What counts events in the sandbox's slot is the caller's: seq is ev_seq after
 * it was raised by one, and `denied` is to be raised too.
 */
struct event_resolve {
	uint64_t seq, sandbox;
	uint64_t suppressed, lost; /* of the slot */
	uint32_t serial; /* version that judged */
	uint32_t uid; /* who asked for the sandbox */
	bool audit;
	const char *name; /* as text; cut when over EVENT_RESOLVE_NAME bytes */
	uint16_t qtype;
	const uint8_t *addr; /* the private address in its answer; NULL: the name is refused */
};
#define EVENT_RESOLVE_NAME 1024u
#define EVENT_RESOLVE_MAX (200 + EVENT_RESOLVE_NAME)

/* The length of the record in buf, for events_feed(). */
size_t event_make_resolve(const struct event_resolve *r, char buf[EVENT_RESOLVE_MAX]);

/* Readable (level-triggered) while records wait; for sd_event_add_io() or poll(). */
int events_fd(const struct events *e);

/*
 * Hand at most `max` waiting records to the sink and return how many; 0 when
 * none wait. Never blocks. When it returns `max` more may wait.
 */
int events_consume(struct events *e, unsigned int max);

/*
 * Tell the consumer of a sandbox that an earlier consumer watched: its sequence
 * goes on with whatever comes first. Of any other sandbox, events are expected
 * from number 1. -ENOMEM on failure.
 */
int events_adopt(struct events *e, uint64_t sandbox);

/*
 * The sandbox is gone: hand one last event with `end` set to the sink (final
 * counts, and the gap if its last events were lost), then forget it. `final`
 * is its slot as the kernel left it; call it after events_consume() has
 * returned less than its max.
 */
void events_end(struct events *e, const struct eg_sandbox *final);

const struct events_stats *events_stats(const struct events *e);

#endif
