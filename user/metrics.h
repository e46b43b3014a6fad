/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers for Prometheus: its text format (version 0.0.4), and a listener that serves
 * it over HTTP from the loop of the server.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "event_text.h"

struct config;
struct diag;
struct sd_event;

/* ---- the text: metrics.c --------------------------------------------------------- */

#define METRICS_LABEL_MAX 64u /* characters of a value that a user chose */

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE };

/* "# HELP …" and "# TYPE …"; its samples come right behind. */
void metrics_family(struct text *t, const char *name, enum metrics_type type, const char *help);

/* A sample is metrics_begin(), metrics_label() as often as needed, metrics_end(). */
void metrics_begin(struct text *t, const char *name);
/* Any bytes: what is not text, or could act on a terminal, becomes U+FFFD. */
void metrics_label(struct text *t, const char *key, const char *value);
void metrics_end(struct text *t, uint64_t value);
void metrics_end_seconds(struct text *t, uint64_t ns); /* as seconds */

/* A family of one sample without labels. */
void metrics_one(struct text *t, const char *name, enum metrics_type type, const char *help,
		 uint64_t value);

/* ---- the listener: metrics_http.c -------------------------------------------------- */

#define METRICS_CONNECTIONS 16u /* at one time; others wait in the backlog */
/*
 * A connection is ended after this long, whatever it does: a scrape takes milliseconds,
 * and who keeps one open keeps others out.
 */
#define METRICS_CONNECTION_MS 10000u
/* what was asked for is made at most once in this time: asking costs the loop no more */
#define METRICS_FRESH_MS 1000u

struct metrics_http;

/* Fill `t` with all of the text. */
typedef void (*metrics_fill_fn)(void *ctx, struct text *t);

struct metrics_source {
	metrics_fill_fn fill;
	void *ctx;
	uint32_t patience_ms; /* 0: METRICS_CONNECTION_MS */
};

/* Listen at config_address() `where`. A negative errno with a message. */
int metrics_http_new(struct sd_event *loop, const char *where, const struct metrics_source *source,
		     struct metrics_http **out, struct diag *d);
void metrics_http_free(struct metrics_http *m); /* NULL is fine */

#endif
