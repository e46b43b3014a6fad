/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* egressctl: a table of commands. See egressctl(8). */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "util.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *args, *help;
} commands[] = {
	{ "run", cmd_run, "[OPTION]... [--] COMMAND...", "run a command in a sandbox" },
	{ "check", cmd_check, "FILE...", "check policies" },
	{ "test", cmd_test, "FILE QUESTION...", "what a policy says, and which rule" },
	{ "log", cmd_log, "[OPTION]...", "print refused accesses" },
	{ "ps", cmd_ps, "[--json]", "list live sandboxes" },
	{ "kill", cmd_kill, "SANDBOX...", "end sandboxes" },
};

static int usage(FILE *f, int status)
{
	size_t i;

	fprintf(f, "Usage: egressctl COMMAND [ARGUMENT]...\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-6s %-29s %s\n", commands[i].name, commands[i].args,
			commands[i].help);
	fprintf(f, "\nSee `egressctl COMMAND --help` and egressctl(8).\n");
	return status;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2)
		return usage(stderr, 2);
	if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help"))
		return usage(stdout, 0);
	if (str_eq(argv[1], "--version")) {
		puts("egressctl " EG_VERSION);
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (str_eq(commands[i].name, argv[1]))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "egressctl: unknown command '%s'\n", argv[1]);
	return usage(stderr, 2);
}
