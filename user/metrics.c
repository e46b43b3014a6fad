// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The text format: prometheus.io/docs/instrumenting/exposition_formats */
#include <inttypes.h>
#include <string.h>

#include "metrics.h"

void metrics_family(struct text *t, const char *name, enum metrics_type type, const char *help)
{
	text_addf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
		  type == METRICS_COUNTER ? "counter" : "gauge");
}

void metrics_begin(struct text *t, const char *name)
{
	text_add(t, name);
}

static void add_value(struct text *t, const char *p, size_t len)
{
	static const char unknown[] = "\xef\xbf\xbd", more[] = "\xe2\x80\xa6";
	size_t n, count = 0;
	uint32_t code;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		if (count++ == METRICS_LABEL_MAX) {
			text_add(t, more);
			return;
		}
		n = text_char_at(p + i, len - i, &code);
		/* a newline among them: it would begin a sample of the user's own */
		if (!n || text_char_unsafe(code)) {
			text_add(t, unknown);
			continue;
		}
		if (code == '"' || code == '\\')
			text_add(t, "\\");
		text_add_bytes(t, p + i, n);
	}
}

void metrics_label(struct text *t, const char *key, const char *value)
{
	/* behind another label stands a '"', behind a name never */
	text_add(t, t->len && t->p[t->len - 1] == '"' ? "," : "{");
	text_add(t, key);
	text_add(t, "=\"");
	add_value(t, value, strlen(value));
	text_add(t, "\"");
}

static void close_labels(struct text *t)
{
	text_add(t, t->len && t->p[t->len - 1] == '"' ? "} " : " ");
}

void metrics_end(struct text *t, uint64_t value)
{
	close_labels(t);
	text_add_u64(t, value);
	text_add(t, "\n");
}

void metrics_end_seconds(struct text *t, uint64_t ns)
{
	close_labels(t);
	text_addf(t, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

void metrics_one(struct text *t, const char *name, enum metrics_type type, const char *help,
		 uint64_t value)
{
	metrics_family(t, name, type, help);
	metrics_begin(t, name);
	metrics_end(t, value);
}
