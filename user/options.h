/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A command line as a table: what is parsed, what --help prints and so what completion
 * offers is one row. Options may stand among the words, unless another command follows;
 * "--" ends them. -h and --help are in every command.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct diag;

enum option_kind {
	OPTION_FLAG, /* bool */
	OPTION_TEXT, /* const char *: the last one given */
	OPTION_LIST, /* const char *[OPTION_LIST_MAX], with a size_t of how many */
	OPTION_PARSED, /* parse() stores it */
};

#define OPTION_LIST_MAX 32

struct option_row {
	const char *names; /* "-p --policy": a short one first, if there is one */
	/*
	 * How help calls its value; NULL: it takes none. Completion knows FILE, DIR, POLICY,
	 * SANDBOX, PID, UNIT, CGROUP and OPERATION, and offers both of "this|that".
	 */
	const char *arg;
	const char *help; /* short lines */
	enum option_kind kind;
	size_t at, count; /* where, in what options_parse() is given */
	int (*parse)(void *into, const char *value, struct diag *d);
};

struct command_line {
	const char *name; /* "egressctl log" */
	const char *args; /* "[OPTION]... [SANDBOX]"; each line is another form of it */
	const char *about; /* lines that say what it does */
	const struct option_row *options, *more; /* each NULL, or ended by {} */
	const char *end; /* more lines of help, or NULL */
	bool wraps; /* the first word begins another command, whose options are its own */
	size_t min, max; /* how many words; without an end: */
};

#define OPTIONS_ANY ((size_t)-1)

/*
 * Fill `into`. How many words there are (*words, NULL behind the last; argv is changed), or
 * -EINVAL with a message that names what is nearest to an unknown option; or what parse()
 * returned. *help: it was asked for, and nothing else is to be done.
 */
int options_read(const struct command_line *c, void *into, int argc, char **argv, char ***words,
		 bool *help, struct diag *d);

/*
 * The same for a command: true when it is done, after --help or a mistake, and with what
 * *status. Else *argc and *argv are the words.
 */
bool options_done(const struct command_line *c, void *into, int *argc, char ***argv, int *status);

void options_help(const struct command_line *c, FILE *f);

/* A message and how the command is used, on stderr; the exit status, 2. */
int options_bad(const struct command_line *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
