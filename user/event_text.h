/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events as text: one JSON object (egressctl-events(5)), or one line for a
 * person. Both are safe to print whatever a sandboxed program called its files:
 * the JSON is valid UTF-8 without raw control characters, the line has no byte
 * a terminal would act on.
 */
#ifndef EVENT_TEXT_H
#define EVENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"

/* A buffer that grows; reuse it for many events, free it once. Zeroed is empty. */
struct text {
	char *p; /* NUL-terminated once anything was written */
	size_t len;
	size_t cap;
	bool failed; /* an allocation failed: the content is not to be used */
};

void text_free(struct text *t);
static inline void text_reset(struct text *t)
{
	t->len = 0;
	t->failed = false;
}

/*
 * Replace the content of `t`; no newline at the end. -ENOMEM on failure.
 */
int event_to_json(const struct event *ev, struct text *t);
int event_to_line(const struct event *ev, struct text *t);

/* The log's own record: that many lines could not be written before this one. */
int event_dropped_to_json(uint64_t time_ns, uint64_t lines, struct text *t);

/*
 * The lines to add to a policy to let the event pass, and what a shell user would
 * type: to start the command again, `egressctl run --allow '…' ...`, and the
 * shortest, which for a sandbox that can be given something while it runs is
 * `egressctl allow SANDBOX.SEQ`. Empty when no rule can allow it.
 * In a path, bytes that cannot be written in a policy are given as '?'.
 */
int event_allow_rule(const struct event *ev, struct text *t);
int event_allow_command(const struct event *ev, struct text *t);
int event_allow_run(const struct event *ev, struct text *t);
/* The rules themselves in the words of allow.h, not quoted: how many; free both texts. */
size_t event_allow_words(const struct event *ev, struct text words[2]);
/*
 * The same from the text of event_allow_run(), as it was logged; 0: it is something else
 * (or NULL), or there is no memory.
 */
size_t event_run_words(const char *run, struct text words[2]);

/*
 * The way back, for those who get events as JSON (the launcher from the service,
 * `egressctl log` from a file): event_to_line() of the result is the line of the
 * original. -EBADMSG: not an object written by event_to_json().
 */
struct event_parsed {
	struct event ev; /* without remedy: the texts below say it */
	const char *allow_rule; /* or NULL */
	const char *allow_command; /* or NULL */
	const char *allow_run; /* or NULL */
	/* the rest is private */
	struct json_t *json;
	struct rule_ref *by, *near;
	char *bytes;
};
int event_from_json(const char *json, size_t len, struct event_parsed *out);
void event_parsed_free(struct event_parsed *p);

/*
 * The words of the format. event_*_name() never return NULL ("unknown", or the
 * number for those with a buffer); *_from_name() return -EINVAL for no such word.
 */
const char *event_op_name(uint16_t op);
int event_op_from_name(const char *name);
const char *event_reason_name(uint8_t reason);
const char *event_reason_words(uint8_t reason); /* for a person */
int event_reason_from_name(const char *name);
const char *event_verdict_name(uint8_t verdict);
int event_verdict_from_name(const char *name);

enum event_names {
	EVENT_NAMES_PROTO, /* IPPROTO_* */
	EVENT_NAMES_FAMILY, /* AF_* */
	EVENT_NAMES_TYPE, /* SOCK_* */
	EVENT_NAMES_CAP, /* CAP_* */
	EVENT_NAMES_QTYPE, /* of a DNS question */
	EVENT_NAMES_SIGNAL,
	EVENT_NAMES_ERRNO,
};

#define EVENT_NAME_MAX 16u

/* A number without a name is written in decimal, and read back. */
const char *event_name(enum event_names kind, uint32_t number, char buf[EVENT_NAME_MAX]);
int event_number(enum event_names kind, const char *name, uint32_t *number);

/* "2026-11-23T13:32:18.123456789Z" to ns of CLOCK_REALTIME; -EINVAL. */
int event_time_parse(const char *s, uint64_t *ns);

/* Pieces of the texts, for those who print parts of an event. */
const char *event_want_text(uint8_t want, char buf[5]); /* "rw" */
bool event_addr_v4(const uint8_t addr[16]);
const char *event_addr_text(const uint8_t addr[16], char buf[46]);
/* "203.0.113.9:443/tcp", "[2001:db8::1]:53/udp"; protocols without ports: ":*" */
void event_add_destination(struct text *t, const struct event *ev);
/* " /etc/shadow", " 203.0.113.9:443/tcp (name)": what it is about, with a space before */
void event_add_object(struct text *t, const struct event *ev);
void event_add_rule_name(struct text *t, const struct rule_ref *by); /* "secrets.yaml:12" */

/* Any bytes as one printable word: see the escapes in egressctl-events(5). */
void text_add_escaped(struct text *t, const char *p, size_t len);
/* The same escapes in text that is more than a word, without quotes. */
void text_add_safe(struct text *t, const char *s);
/* The same, as a JSON string with its quotes; false: some bytes were replaced. */
bool text_add_json(struct text *t, const char *p, size_t len);
/* A whole JSON text by others, for a terminal: its strings get the same escapes. */
void text_add_dumped(struct text *t, const char *json, size_t len);
/*
 * The character at s: its length in bytes (1 to 4) and code point, or 0 when the
 * bytes are not UTF-8. Unsafe are those that move the cursor, reorder what is
 * beside them or cannot be seen: a file name must not be able to make a line read
 * as something else.
 */
size_t text_char_at(const char *s, size_t len, uint32_t *code);
bool text_char_unsafe(uint32_t code);
void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const char *p, size_t len);
void text_add_u64(struct text *t, uint64_t v);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
