// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "diag.h"
#include "options.h"
#include "ref.h"
#include "util.h"

#define USAGE 2
#define COLUMN 28 /* where help begins, if what is before it leaves room */

static const struct option_row help_row = {
	.names = "-h --help", .help = "print this", .kind = OPTION_FLAG,
};

/* ---- rows ------------------------------------------------------------------------------- */

/* Its rows by number, --help is the last; NULL behind that. */
static const struct option_row *row_at(const struct command_line *c, size_t i)
{
	const struct option_row *const tables[] = { c->options, c->more };

	for (size_t k = 0; k < ARRAY_SIZE(tables); k++)
		for (const struct option_row *r = tables[k]; r && r->names; r++)
			if (!i--)
				return r;
	return i ? NULL : &help_row;
}

/* The next of its names; 0: there is none. */
static size_t next_name(const char **names, const char **name)
{
	size_t n = strcspn(*names, " ");

	*name = *names;
	*names += n + ((*names)[n] == ' ');
	return n;
}

static const struct option_row *find(const struct command_line *c, const char *text, size_t len)
{
	const struct option_row *r;

	for (size_t i = 0; (r = row_at(c, i)); i++) {
		const char *names = r->names, *name;
		size_t n;

		while ((n = next_name(&names, &name)))
			if (n == len && !memcmp(name, text, len))
				return r;
	}
	return NULL;
}

static int unknown(const struct command_line *c, const char *given, size_t len, struct diag *d)
{
	const struct option_row *r;
	struct nearest near = {};
	char text[64], word[64];

	/* letters alone are not like each other */
	(void)snprintf(text, sizeof(text), "%.*s", given[1] == '-' ? (int)len - 2 : 0, given + 2);
	near.text = text;
	for (size_t i = 0; (r = row_at(c, i)); i++) {
		const char *names = r->names, *name;
		size_t n;

		while ((n = next_name(&names, &name))) {
			(void)snprintf(word, sizeof(word), "%.*s", (int)n - 2, name + 2);
			if (n > 2 && *text)
				nearest_try(&near, word);
		}
	}
	return diag_set(d, -EINVAL, "unknown option '%s'%s%s", given,
			near.word[0] ? "; the nearest is --" : "", near.word);
}

/* ---- values ------------------------------------------------------------------------------- */

static int store(void *into, const struct option_row *r, const char *value, struct diag *d)
{
	void *at = (char *)into + r->at;
	size_t *count = (size_t *)((char *)into + r->count);

	switch (r->kind) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)at = value;
		return 0;
	case OPTION_LIST:
		if (*count == OPTION_LIST_MAX)
			return diag_set(d, -EINVAL, "%s: given more than %d times", r->names,
					OPTION_LIST_MAX);
		((const char **)at)[(*count)++] = value;
		return 0;
	case OPTION_PARSED:
		return r->parse(into, value, d);
	}
	return -EINVAL;
}

/* argv[*i] is an option; *i goes on to its value if that is another word. */
static int take(const struct command_line *c, void *into, char **argv, int *i, bool *help,
		struct diag *d)
{
	const char *given = argv[*i], *value = NULL;
	size_t len = strcspn(given, "=");
	const struct option_row *r;

	if (given[1] != '-' && len > 2)
		len = 2; /* -pNAME */
	r = find(c, given, len);
	if (!r || (len == 2 && given[2] && !r->arg))
		return unknown(c, given, strcspn(given, "="), d);
	if (given[len])
		value = given + len + (given[1] == '-');
	if (value && !r->arg)
		return diag_set(d, -EINVAL, "option '%.*s' takes no value", (int)len, given);
	if (r == &help_row) {
		*help = true;
		return 0;
	}
	if (r->arg && !value) {
		value = argv[*i + 1];
		if (!value)
			return diag_set(d, -EINVAL, "option '%s' needs a value: %s", given, r->arg);
		++*i;
	}
	return store(into, r, value, d);
}

int options_read(const struct command_line *c, void *into, int argc, char **argv, char ***words,
		 bool *help, struct diag *d)
{
	bool ended = false;
	int n = 0, i, err;

	*help = false;
	*words = argv + 1;
	for (i = 1; i < argc; i++) {
		if (!ended && str_eq(argv[i], "--")) {
			ended = true;
		} else if (!ended && argv[i][0] == '-' && argv[i][1]) {
			err = take(c, into, argv, &i, help, d);
			if (err || *help)
				return err;
		} else if (c->wraps) {
			break;
		} else {
			(*words)[n++] = argv[i];
		}
	}
	if (c->wraps) {
		*words = argv + i;
		return argc - i;
	}
	(*words)[n] = NULL;
	return n;
}

/* ---- help ---------------------------------------------------------------------------------- */

static void print_forms(const struct command_line *c, FILE *f)
{
	const char *p = c->args, *before = "Usage:";

	do {
		size_t n = strcspn(p, "\n");

		(void)fprintf(f, "%-6s %s%s%.*s\n", before, c->name, n ? " " : "", (int)n, p);
		before = "";
		p += n + (p[n] == '\n');
	} while (*p);
}

static void print_row(const struct option_row *r, FILE *f)
{
	const char *names = r->names, *name, *help = r->help;
	char left[80];
	size_t n = next_name(&names, &name), o;

	o = (size_t)snprintf(left, sizeof(left), "  %s%.*s", n == 2 ? "" : "    ", (int)n, name);
	n = next_name(&names, &name);
	if (n)
		o += (size_t)snprintf(left + o, sizeof(left) - o, ", %.*s", (int)n, name);
	if (r->arg)
		(void)snprintf(left + o, sizeof(left) - o, " %s", r->arg);
	(void)fprintf(f, "%-*s  ", COLUMN - 2, left);
	for (;;) {
		n = strcspn(help, "\n");
		(void)fprintf(f, "%.*s\n", (int)n, help);
		help += n;
		if (!*help++)
			break;
		(void)fprintf(f, "%*s", COLUMN, "");
	}
}

void options_help(const struct command_line *c, FILE *f)
{
	const struct option_row *r;

	print_forms(c, f);
	(void)fprintf(f, "\n%s\n", c->about);
	for (size_t i = 0; (r = row_at(c, i)); i++)
		print_row(r, f);
	if (c->end)
		(void)fprintf(f, "\n%s", c->end);
}

/* ---- commands -------------------------------------------------------------------------------- */

int options_bad(const struct command_line *c, const char *fmt, ...)
{
	struct diag d = {};
	va_list ap;

	va_start(ap, fmt);
	(void)diag_vat(&d, -EINVAL, NULL, 0, 0, fmt, ap);
	va_end(ap);
	diag_print(stderr, c->name, &d);
	print_forms(c, stderr);
	(void)fprintf(stderr, "Try: %s --help\n", c->name);
	return USAGE;
}

bool options_done(const struct command_line *c, void *into, int *argc, char ***argv, int *status)
{
	struct diag d = {};
	bool help;
	int n = options_read(c, into, *argc, *argv, argv, &help, &d);

	*status = 0;
	if (n < 0)
		*status = options_bad(c, "%s", d.msg);
	else if (help)
		options_help(c, stdout);
	else if ((size_t)n < c->min)
		*status = options_bad(c, "an argument is missing");
	else if ((size_t)n > c->max)
		*status = options_bad(c, "unexpected argument '%s'", (*argv)[c->max]);
	*argc = n;
	return help || *status;
}
