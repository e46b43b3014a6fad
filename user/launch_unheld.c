/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a sandbox does not hold of its policy, for the person who starts it. */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "launch.h"
#include "launch_int.h"
#include "print.h"
#include "util.h"

static const char *text_of(const json_t *note, const char *key)
{
	return json_string_value(json_object_get(note, key));
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
	return json_equal(json_object_get(a, key), json_object_get(b, key));
}

/* How many of the notes from `i` on are about one file and of one reason. */
static size_t of_one_reason(const json_t *list, size_t i)
{
	const json_t *first = json_array_get(list, i), *other;
	size_t n = 1;

	if (!text_of(first, "file"))
		return n;
	for (; (other = json_array_get(list, i + n)); n++)
		if (!same(first, other, "file") || !same(first, other, "why") ||
		    !same(first, other, "wider"))
			break;
	return n;
}

/* "secrets.yaml:12,13,20" or "secrets.yaml:12 RULE" */
static void print_rules(const json_t *list, size_t i, size_t n)
{
	const json_t *first = json_array_get(list, i);

	print_safe(stderr, text_of(first, "file"));
	for (size_t k = 0; k < n; k++)
		fprintf(stderr, "%c%lld", k ? ',' : ':',
			(long long)json_integer_value(json_object_get(json_array_get(list, i + k),
								      "line")));
	if (n == 1) {
		fputs(" \"", stderr);
		print_safe(stderr, text_of(first, "rule"));
		fputc('"', stderr);
	}
	fputs(": ", stderr);
}

void launch_print_unheld(const struct launch *l, const json_t *unheld)
{
	const json_t *note;
	size_t n;

	if (l->json && unheld) {
		json_t *o = json_pack("{s:O}", "unheld", unheld);

		(void)print_json(stderr, o, JSON_COMPACT);
		json_decref(o);
		return;
	}
	for (size_t i = 0; i < json_array_size(unheld); i += n) {
		note = json_array_get(unheld, i);
		n = of_one_reason(unheld, i);
		fprintf(stderr, "%s: %s: ", program_invocation_short_name,
			json_is_true(json_object_get(note, "wider")) ? "not held" : "narrower");
		if (text_of(note, "file"))
			print_rules(unheld, i, n);
		print_safe(stderr, text_of(note, "why"));
		fputc('\n', stderr);
	}
}
