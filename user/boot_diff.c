/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A change as `diff -u` shows it. The changes of setup are in one place of a file each, so
 * that one hunk from the first line that differs to the last says it all.
 */
#include <string.h>

#include "boot.h"
#include "print.h"
#include "util.h"

#define CONTEXT 3

struct lines {
	const char *text;
	size_t n;
};

static struct lines count(const char *text)
{
	struct lines l = { text ?: "", 0 };

	for (const char *p = l.text; *p; l.n++)
		p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n');
	return l;
}

/* Line i, with its end. */
static const char *line_at(const struct lines *l, size_t i, size_t *len)
{
	const char *p = l->text;

	while (i--)
		p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n');
	*len = strcspn(p, "\n");
	*len += p[*len] == '\n';
	return p;
}

static bool same_line(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
	size_t n, m;
	const char *p = line_at(a, i, &n), *q = line_at(b, k, &m);

	return n == m && !memcmp(p, q, n);
}

static void print_lines(FILE *f, char mark, const struct lines *l, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		size_t n;
		const char *p = line_at(l, i, &n);
		bool ended = p[n - 1] == '\n';
		_cleanup_free_ char *line = strndup(p, n - ended);

		(void)fputc(mark, f);
		print_safe(f, line);
		(void)fprintf(f, "\n%s", ended ? "" : "\\ No newline at end of file\n");
	}
}

/* "@@ -3,2 +3,3 @@": of no lines, the one before them is said */
static void print_range(FILE *f, char mark, size_t from, size_t to)
{
	(void)fprintf(f, " %c%zu", mark, from + (to > from));
	if (to - from != 1)
		(void)fprintf(f, ",%zu", to - from);
}

static void print_name(FILE *f, const char *mark, const char *path, const char *text)
{
	(void)fprintf(f, "%s ", mark);
	print_safe(f, text ? path : "/dev/null");
	(void)fputc('\n', f);
}

void boot_diff(FILE *f, const char *path, const char *old, const char *new)
{
	const struct lines a = count(old), b = count(new);
	size_t from = 0, tail = 0, before, after;

	while (from < MIN(a.n, b.n) && same_line(&a, from, &b, from))
		from++;
	while (tail < MIN(a.n, b.n) - from && same_line(&a, a.n - 1 - tail, &b, b.n - 1 - tail))
		tail++;
	before = MIN(from, (size_t)CONTEXT);
	after = MIN(tail, (size_t)CONTEXT);
	print_name(f, "---", path, old);
	print_name(f, "+++", path, new);
	(void)fprintf(f, "@@");
	print_range(f, '-', from - before, a.n - tail + after);
	print_range(f, '+', from - before, b.n - tail + after);
	(void)fprintf(f, " @@\n");
	print_lines(f, ' ', &a, from - before, from);
	print_lines(f, '-', &a, from, a.n - tail);
	print_lines(f, '+', &b, from, b.n - tail);
	print_lines(f, ' ', &a, a.n - tail, a.n - tail + after);
}
