/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a traced sandbox touched: collected by the server as records come, kept as
 * JSON, read back by `learn` and `report`. No I/O in here.
 *
 * Paths, programs and names are bytes that the sandboxed program chose.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct text;

/*
 * Of one trace; what is over is counted in `dropped`. A large build makes some ten
 * thousand records; these limits are what a hostile one can make the server hold.
 */
#define TRACE_MAX_ACCESSES 65536u
#define TRACE_MAX_NAMES 8192u
#define TRACE_MAX_DESTS 16384u
#define TRACE_MAX_BYTES (8u << 20) /* of paths and other strings */
#define TRACE_MAX_JSON (64u << 20) /* as text: a byte takes up to six */

struct trace_string {
	char *p; /* NUL-terminated, may hold NULs before */
	size_t len;
	uint32_t chain; /* index + 1 of the next with the same hash */
};

#define TRACE_NO_STRING UINT32_MAX

struct trace_access {
	uint16_t op; /* enum eg_op */
	uint8_t want; /* EG_R …: with a refusal only what is missing */
	uint8_t reason; /* enum eg_reason */
	uint8_t verdict; /* EG_VERDICT_* */
	uint8_t proto;
	uint16_t port; /* host byte order */
	uint8_t addr[16]; /* network byte order, IPv4 mapped */
	bool dir; /* the path is a directory */
	uint8_t remedy; /* enum event_remedy */
	uint64_t aux; /* by operation; 0 for paths */
	/* strings, or TRACE_NO_STRING */
	uint32_t program; /* its executable, or what the task called itself */
	uint32_t rule; /* "FILE:LINE: TEXT" that refused; none: a default */
	uint32_t fix; /* event.remedy_name: kind of socket, privilege, option */
	uint32_t path, path2; /* also the name that was asked for, or presented */
};

struct trace_name {
	uint32_t name; /* string: lower case, no final dot */
	bool resolved; /* `addr` is one it was resolved to */
	bool allowed; /* by a rule of the policy it ran under */
	uint8_t addr[16];
};

struct trace_dest {
	uint8_t addr[16];
	uint16_t port; /* host byte order; with `served` the sandbox's own */
	uint8_t proto;
	bool served; /* connections that came in */
	uint32_t said; /* EG_SAID_* */
	uint64_t bytes_out, packets_out, bytes_in, packets_in;
};

struct trace {
	uint64_t sandbox;
	int64_t owner; /* uid; -1: not known */
	char *name, *policy; /* never NULL */
	uint64_t started_ns, ended_ns; /* CLOCK_REALTIME; ended 0: it is live */
	bool audit;
	bool restarted; /* the service was: what came before is not in it */
	uint64_t lost; /* records for which the kernel had no room */
	uint64_t uncounted; /* packets */
	uint64_t dropped; /* over the limits above */
	uint64_t denied; /* violations, all of them */

	struct trace_string *strings;
	size_t nstrings, cap_strings;
	uint32_t *buckets; /* index + 1 */
	size_t bytes;
	struct trace_access *accesses;
	size_t naccesses, cap_accesses;
	struct trace_name *names;
	size_t nnames, cap_names;
	struct trace_dest *dests;
	size_t ndests, cap_dests;
};

/* -ENOMEM. name and policy may be NULL. */
int trace_init(struct trace *t, uint64_t sandbox, const char *name, const char *policy);
void trace_clear(struct trace *t);

/* Whether something is missing in it. */
bool trace_incomplete(const struct trace *t);

/*
 * Add what an event, explained, says. What finds no room is counted and no error:
 * whoever reads the trace is told by trace_incomplete().
 */
void trace_add_event(struct trace *t, const struct event *ev);
/* A name was asked for; addr: and found there (one call for each), or NULL. */
void trace_add_name(struct trace *t, const char *name, bool allowed, const uint8_t *addr);
void trace_add_dest(struct trace *t, const struct trace_dest *d);

/* One of its strings; "" for TRACE_NO_STRING. */
const struct trace_string *trace_string(const struct trace *t, uint32_t i);

/* As JSON, and back. -ENOMEM; -EBADMSG: not written by trace_to_json() of this ABI. */
int trace_to_json(const struct trace *t, struct text *out);
int trace_from_json(const char *json, size_t len, struct trace *out);

#endif
