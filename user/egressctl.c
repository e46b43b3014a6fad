/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* egressctl: a table of commands. See egressctl(8). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "diag.h"
#include "ref.h"
#include "util.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *args, *help;
} commands[] = {
	{ "run", cmd_run, "[OPTION]... [--] COMMAND...", "run a command in a sandbox" },
	{ "learn", cmd_learn, "[OPTION]... [--] COMMAND...",
	  "write the policy that a command needs" },
	{ "init", cmd_init, "[OPTION]... [WORD]...", "a first policy for the project here" },
	{ "report", cmd_report, "[--json] SANDBOX", "what a traced sandbox touched" },
	{ "check", cmd_check, "FILE...", "check policies" },
	{ "test", cmd_test, "FILE QUESTION...", "what a policy says, and which rule" },
	{ "log", cmd_log, "[OPTION]... [SANDBOX]", "print refused accesses" },
	{ "explain", cmd_explain, "[--json] [EVENT | -]",
	  "why something was refused, what allows it" },
	{ "why", cmd_why, "[--json] [N]", "inside a sandbox: its last refusals" },
	{ "ps", cmd_ps, "[--json]", "list live sandboxes" },
	{ "allow", cmd_allow, "EVENT|SANDBOX [RULE]", "let a live sandbox do more for a time" },
	{ "deny", cmd_deny, "SANDBOX RULE", "take something away from a live sandbox" },
	{ "revoke", cmd_revoke, "GRANT|SANDBOX...", "take grants and denials back" },
	{ "grants", cmd_grants, "[--json] [SANDBOX]", "list them" },
	{ "switch", cmd_switch, "SANDBOX POLICY", "another policy for a live sandbox" },
	{ "metrics", cmd_metrics, "", "what egressd counts, for Prometheus" },
	{ "doctor", cmd_doctor, "[--json]", "what this host lacks, and every hook tried" },
	{ "attach", cmd_attach, "-p POLICY WORKLOAD", "put a running workload under a policy" },
	{ "detach", cmd_detach, "SANDBOX|WORKLOAD", "take an attached one off again" },
	{ "enter", cmd_enter, "-p POLICY [--pid PID]",
	  "put own processes under a policy, for good" },
	{ "show", cmd_show, "[--json] [SANDBOX]", "all there is to see of a live sandbox" },
	{ "kill", cmd_kill, "SANDBOX... | --mine", "end sandboxes" },
	{ "setup", cmd_setup, "--boot [--undo] [--dry-run]",
	  "BPF LSM from the next boot on, or back" },
	{ "uninstall", cmd_uninstall, "[--check] [--logs]", "leave nothing in the kernel" },
};

static int usage(FILE *f, int status)
{
	size_t i;

	fprintf(f, "Usage: egressctl COMMAND [ARGUMENT]...\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-9s %-29s %s\n", commands[i].name, commands[i].args,
			commands[i].help);
	fprintf(f, "\nSee `egressctl COMMAND --help` and egressctl(8).\n");
	return status;
}

static int unknown(const char *name)
{
	struct nearest near = { .text = name };
	struct diag d = {};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		nearest_try(&near, commands[i].name);
	(void)diag_set(&d, -EINVAL, "unknown command '%s'%s", name, nearest_words(&near));
	diag_print(stderr, "egressctl", &d);
	fprintf(stderr, "Try: egressctl --help\n");
	return 2;
}

static int run(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (str_eq(commands[i].name, argv[0]))
			return commands[i].run(argc, argv);
	return unknown(argv[0]);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, 2);
	if (str_eq(argv[1], "help") && argc > 2)
		return run(2, (char *[]){ argv[2], (char *)"--help", NULL });
	if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help"))
		return usage(stdout, 0);
	if (str_eq(argv[1], "--version")) {
		puts("egressctl " EG_VERSION);
		return 0;
	}
	return run(argc - 1, argv + 1);
}
