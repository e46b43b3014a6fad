/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl ps` and `egressctl kill`: the sandboxes of egressd. */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "diag.h"
#include "options.h"
#include "print.h"
#include "ref.h"
#include "util.h"

/* ---- ps ----------------------------------------------------------------------------- */

/* A text that a user chose, without what could act on a terminal. */
static const char *safe(const json_t *o, const char *key, char *buf, size_t size)
{
	const char *s = client_text(o, key);

	diag_escape(buf, size, s, strlen(s));
	return buf[0] ? buf : "-";
}

/* "47s", "5m12s", "3h07m", "2d04h": how long, in two units */
static const char *uptime(long long started, char buf[32])
{
	long long s = (long long)time(NULL) - started;

	s = s < 0 ? 0 : s;
	if (s < 60)
		(void)snprintf(buf, 32, "%llds", s);
	else if (s < 3600)
		(void)snprintf(buf, 32, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(buf, 32, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		(void)snprintf(buf, 32, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	return buf;
}

/* The same one comes many times in a row. */
static const char *user_name(long long uid)
{
	static long long last = -1;
	static char name[64];
	struct passwd *pw;

	if (uid == last)
		return name;
	last = uid;
	pw = getpwuid((uid_t)uid);
	if (pw)
		diag_escape(name, sizeof(name), pw->pw_name, strlen(pw->pw_name));
	else
		(void)snprintf(name, sizeof(name), "%lld", uid);
	return name;
}

static void print_list(const json_t *list)
{
	const json_t *b;
	size_t i;

	printf("%8s %-10s %8s %7s %-8s %8s %-20s %s\n", "SANDBOX", "USER", "PID", "UPTIME", "MODE",
	       "DENIALS", "POLICY", "NAME");
	json_array_foreach(list, i, b) {
		char mode[32], policy[256], name[256], up[32];

		printf("%8lld %-10s %8lld %7s %-8s %8lld %-20s %s\n", client_number(b, "sandbox"),
		       user_name(client_number(b, "uid")), client_number(b, "pid"),
		       uptime(client_number(b, "started"), up),
		       json_is_true(json_object_get(b, "frozen")) ?
			       "frozen" : safe(b, "mode", mode, sizeof(mode)),
		       client_number(b, "denied"), safe(b, "policy", policy, sizeof(policy)),
		       safe(b, "name", name, sizeof(name)));
	}
}

static int list_all(json_t **answer)
{
	json_t *request = json_pack("{s:s}", "op", "ps");
	int status = client_call(request, answer);

	json_decref(request);
	return status;
}

static const struct option_row ps_rows[] = {
	{ "--json", NULL, "print a JSON array, with more of each", .kind = OPTION_FLAG },
	{}
};

static const struct command_line ps_line = {
	.name = "egressctl ps",
	.args = "[--json]",
	.about = "The live sandboxes: yours, or all of them for root. DENIALS counts what was\n"
		 "refused, or would have been; see egressctl show SANDBOX.\n",
	.options = ps_rows,
};

int cmd_ps(int argc, char **argv)
{
	json_t *answer = NULL;
	bool json = false;
	int status;

	if (options_done(&ps_line, &json, &argc, &argv, &status))
		return status;
	status = list_all(&answer);
	if (!status && json)
		(void)print_json(stdout, json_object_get(answer, "sandboxes"), JSON_INDENT(2));
	else if (!status)
		print_list(json_object_get(answer, "sandboxes"));
	if (!status && *client_text(answer, "refuses"))
		fprintf(stderr, "egressctl: %s\n", client_text(answer, "refuses"));
	json_decref(answer);
	return status;
}

/* ---- kill --------------------------------------------------------------------------- */

struct kill_options {
	bool mine, json;
};

/* Its number is appended to `ended`. */
static int kill_one(json_t *ref, json_t *ended)
{
	json_t *answer = NULL, *request = NULL;
	int status;

	if (ref)
		request = json_pack("{s:s, s:o}", "op", "kill", "sandbox", ref);
	if (!request) {
		fputs("egressctl kill: which sandbox? expected a number or a name (egressctl ps)\n",
		      stderr);
		return 2;
	}
	status = client_call(request, &answer);
	if (!status)
		(void)json_array_append_new(ended, json_pack("{s:I}", "sandbox",
							     client_number(answer, "sandbox")));
	json_decref(request);
	json_decref(answer);
	return status;
}

/* Root's own are root's alone: nobody ends everybody's by a slip. */
static int kill_mine(json_t *ended)
{
	json_t *answer = NULL;
	const json_t *b;
	int status;
	size_t i;

	status = list_all(&answer);
	if (status)
		return status;
	json_array_foreach(json_object_get(answer, "sandboxes"), i, b) {
		int s;

		if (client_number(b, "uid") != (long long)getuid())
			continue;
		s = kill_one(json_integer(client_number(b, "sandbox")), ended);
		/* one that ended by itself in between is as dead as it was to be */
		status = s && s != 1 ? s : status;
	}
	json_decref(answer);
	return status;
}

static const struct option_row kill_rows[] = {
	{ "--mine", NULL, "all that belong to you", .kind = OPTION_FLAG,
	  .at = offsetof(struct kill_options, mine) },
	{ "--json", NULL, "print a JSON array of those that were ended", .kind = OPTION_FLAG,
	  .at = offsetof(struct kill_options, json) },
	{}
};

static const struct command_line kill_line = {
	.name = "egressctl kill",
	.args = "[--json] SANDBOX...\n[--json] --mine",
	.about = "End everything in sandboxes: by number, by name, or `last`.\n",
	.options = kill_rows,
	.max = OPTIONS_ANY,
};

int cmd_kill(int argc, char **argv)
{
	struct kill_options o = {};
	json_t *ended;
	int status;

	if (options_done(&kill_line, &o, &argc, &argv, &status))
		return status;
	if (o.mine == (argc > 0))
		return options_bad(&kill_line, "either --mine or SANDBOX was expected");
	ended = json_array();
	if (o.mine)
		status = kill_mine(ended);
	for (int i = 0; i < argc; i++) {
		int s = kill_one(ref_sandbox(argv[i]), ended);

		status = s ? s : status;
	}
	if (o.json)
		(void)print_json(stdout, ended, JSON_INDENT(2));
	json_decref(ended);
	return status;
}
