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

struct event;

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

/*
 * The argument of `egressctl run --allow` that would let the event pass, such
 * as "open /home/me/notes r" or "connect 203.0.113.9:443/tcp"; and the policy
 * lines that say the same. Empty when no rule can allow it.
 */
int event_allow_spec(const struct event *ev, struct text *t);
int event_allow_rule(const struct event *ev, struct text *t);

/* "open", "connect", …; never NULL. op_from_name() returns -EINVAL. */
const char *event_op_name(uint16_t op);
int event_op_from_name(const char *name);
const char *event_reason_name(uint8_t reason);

/* Any bytes as one printable word: see the escapes in egressctl-events(5). */
void text_add_escaped(struct text *t, const char *p, size_t len);
/* The same, as a JSON string with its quotes; false: some bytes were replaced. */
bool text_add_json(struct text *t, const char *p, size_t len);
void text_add(struct text *t, const char *s);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
