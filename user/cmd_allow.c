/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `egressctl allow`, `deny`, `revoke` and `grants`: what a live sandbox may do,
 * changed while it runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allow_save.h"
#include "client.h"
#include "commands.h"
#include "diag.h"
#include "event_text.h"
#include "launch.h"
#include "options.h"
#include "policy_edit.h"
#include "policy_int.h"
#include "print.h"
#include "ref.h"
#include "util.h"

#define DEFAULT_MS 600000 /* of `allow`: ten minutes, so that what nobody takes back ends */
#define POLICY_PREFIX "policy="
#define SANDBOX_PREFIX "sandbox=" /* of `revoke`: whatever it is called */

struct options {
	uint64_t ms;
	const char *note;
	bool save, json;
};

/* ---- the command line ------------------------------------------------------------------------ */

static int parse_for(void *into, const char *value, struct diag *d)
{
	struct options *o = into;

	if (str_eq(value, "run"))
		o->ms = 0;
	else if (policy_time_parse(value, &o->ms) || !o->ms)
		return diag_set(d, -EINVAL, "--for: '%s' is not a time (90s, 10m, 2h, 1d) or 'run'",
				value);
	return 0;
}

#define AT(field) .at = offsetof(struct options, field)

static const struct option_row rows[] = {
	{ "--for", "TIME", "90s, 10m, 2h, 1d; run: as long as the sandbox\n"
			   "(default: allow 10m, deny run)",
	  .kind = OPTION_PARSED, .parse = parse_for },
	{ "--note", "TEXT", "why, for those who see it", .kind = OPTION_TEXT, AT(note) },
	{ "--json", NULL, "print the grants as JSON", .kind = OPTION_FLAG, AT(json) },
	{}
};

static const struct option_row save_rows[] = {
	{ "--save", NULL, "write the rule into the policy's file, too", .kind = OPTION_FLAG,
	  AT(save) },
	{}
};

static const struct command_line allow_line = {
	.name = "egressctl allow",
	.args = "[OPTION]... WHAT [RULE]",
	.about = "Let a live sandbox do more for a time.\n"
		 "  WHAT  last          the newest event that a rule could allow, unless it looks\n"
		 "                      like an attack\n"
		 "        7.12          an event: sandbox 7, number 12\n"
		 "        7, NAME       a sandbox (see egressctl ps); with a RULE also last, the\n"
		 "                      newest\n"
		 "        policy=NAME   every live sandbox of yours under that policy\n"
		 "  RULE  connect DEST | open PATH PERM | unix NAME | socket KIND |\n"
		 "        privilege NAME; without one, what the event was denied\n",
	.options = rows,
	.more = save_rows,
	.min = 1,
	.max = OPTIONS_ANY,
};

static const struct command_line deny_line = {
	.name = "egressctl deny",
	.args = "[OPTION]... SANDBOX|policy=NAME RULE",
	.about = "Take something away from a live sandbox.\n"
		 "  RULE  connect DEST | open PATH [PERM]\n",
	.options = rows,
	.min = 2,
	.max = OPTIONS_ANY,
};

/* What is left of the command line as one rule: "connect example.com:443". */
static char *join(char **words, int n)
{
	size_t len = 1;
	char *s;

	for (int i = 0; i < n; i++)
		len += strlen(words[i]) + 1;
	s = calloc(1, len);
	for (int i = 0; s && i < n; i++) {
		if (i)
			strcat(s, " ");
		strcat(s, words[i]);
	}
	return s;
}

/* `what` into the request: an event, a policy or a sandbox. */
static int add_target(json_t *request, const char *what, bool has_rule)
{
	uint64_t sandbox, seq;
	json_t *ref;

	if (str_starts(what, POLICY_PREFIX))
		return json_object_set_new(request, "policy",
					   json_string(what + strlen(POLICY_PREFIX)));
	if (!ref_parse_event(what, &sandbox, &seq) && !(has_rule && !sandbox))
		return json_object_set_new(request, "event", json_string(what));
	ref = ref_sandbox(what);
	return ref ? json_object_set_new(request, "sandbox", ref) : -1;
}

/* ---- answers ------------------------------------------------------------------------ */

static void print_time(json_int_t ms)
{
	json_int_t s = ms / 1000;

	if (s >= 3600)
		printf("%lldh%02lldm", (long long)s / 3600, (long long)s / 60 % 60);
	else if (s >= 60)
		printf("%lldm%02llds", (long long)s / 60, (long long)s % 60);
	else
		printf("%llds", (long long)s);
}

static void print_grant(const json_t *g)
{
	const json_t *left = json_object_get(g, "left_ms");
	const char *rule = client_text(g, "rule"), *note = client_text(g, "note");
	char safe[1024];

	diag_escape(safe, sizeof(safe), rule, strlen(rule));
	printf("g%lld sandbox %lld: %s %s, ", client_number(g, "grant"),
	       client_number(g, "sandbox"), json_is_true(json_object_get(g, "deny")) ? "denied" :
									"allowed", safe);
	if (json_is_integer(left))
		print_time(json_integer_value(left));
	else
		printf("as long as it runs");
	if (*note) {
		diag_escape(safe, sizeof(safe), note, strlen(note));
		printf(" (%s)", safe);
	}
	putchar('\n');
}

static void print_grants(const json_t *list, bool json)
{
	const json_t *g;
	size_t i;

	if (json) {
		(void)print_json(stdout, list, JSON_INDENT(2));
		return;
	}
	json_array_foreach(list, i, g)
		print_grant(g);
}

/* ---- allow and deny ----------------------------------------------------------------- */

static int save(const json_t *grants, const json_t *answer, const struct options *o)
{
	struct diag d = {};

	if (save_grants(grants, json_object_get(answer, "files"), o->note, &d) >= 0)
		return 0;
	diag_print(stderr, "egressctl: granted, but not saved", &d);
	return 1;
}

/* The rules that would have let an event pass, from its line in the log. */
static json_t *logged_rules(const char *event)
{
	json_t *request = json_pack("{s:s, s:s}", "op", "explain", "ref", event), *answer = NULL;
	const json_t *line;
	struct event_parsed e;
	struct text words[2] = {};
	json_t *rules = NULL;
	size_t n;
	int status = client_call(request, &answer);

	line = json_object_get(answer, "line");
	if (!status && json_is_string(line) &&
	    !event_from_json(json_string_value(line), json_string_length(line), &e)) {
		n = event_run_words(e.allow_run, words);
		rules = n ? json_pack("[s, s*]", words[0].p, n > 1 ? words[1].p : NULL) : NULL;
		event_parsed_free(&e);
	}
	if (!status && !rules)
		(void)client_fail("no rule can allow that event");
	text_free(&words[0]);
	text_free(&words[1]);
	json_decref(request);
	json_decref(answer);
	return rules;
}

/*
 * egressd remembers the newest events of a sandbox. For an older one the rules are asked
 * for in the log, and count as if they had been typed.
 */
static int call_allow(json_t *request, json_t **answer)
{
	int status = client_call(request, answer);
	json_t *rules;

	if (status || !json_object_get(*answer, "logged"))
		return status;
	json_decref(*answer);
	*answer = NULL;
	rules = logged_rules(client_text(request, "event"));
	if (!rules || json_object_set_new(request, "rules", rules))
		return 1;
	return client_call(request, answer);
}

static int send_allow(json_t *request, const struct options *o)
{
	json_t *answer = NULL;
	const json_t *list, *failed, *f;
	int status;
	size_t i;

	status = call_allow(request, &answer);
	if (status)
		return status;
	list = json_object_get(answer, "grants");
	print_grants(list, o->json);
	failed = json_object_get(answer, "failed");
	json_array_foreach(failed, i, f)
		fprintf(stderr, "egressctl: sandbox %lld: %s\n", client_number(f, "sandbox"),
			client_text(f, "error"));
	status = (int)client_number(answer, "exit");
	if (o->save && json_array_size(list)) {
		int err = save(list, answer, o);

		status = status ? status : err;
	}
	json_decref(answer);
	return status;
}

static int change(const struct command_line *c, struct options *o, int argc, char **argv)
{
	const char *op = argv[0], *what;
	_cleanup_free_ char *rule = NULL;
	json_t *request;
	bool bad_text;
	int status;

	if (options_done(c, o, &argc, &argv, &status))
		return status;
	what = argv[0];
	if (argc > 1) {
		rule = join(argv + 1, argc - 1);
		if (!rule)
			return client_fail("out of memory");
	}
	request = json_pack("{s:s, s:I}", "op", op, "ms", (json_int_t)o->ms);
	bad_text = !request || add_target(request, what, rule) ||
		   (rule && json_object_set_new(request, "rules", json_pack("[s]", rule))) ||
		   (o->save && json_object_set_new(request, "save", json_true())) ||
		   (o->note && json_object_set_new(request, "note", json_string(o->note)));
	if (bad_text)
		status = options_bad(c, "'%s' is not a sandbox, an event or a rule in UTF-8", what);
	else
		status = send_allow(request, o);
	json_decref(request);
	return status;
}

int cmd_allow(int argc, char **argv)
{
	struct options o = { .ms = DEFAULT_MS };

	return change(&allow_line, &o, argc, argv);
}

int cmd_deny(int argc, char **argv)
{
	struct options o = {};

	return change(&deny_line, &o, argc, argv);
}

/* ---- revoke and grants -------------------------------------------------------------- */

/* "g12", or -EINVAL: then it is a sandbox. */
static int parse_grant(const char *s, uint64_t *number)
{
	return *s == 'g' ? parse_u64(s + 1, 1, INT64_MAX, number) : -EINVAL;
}

static const struct option_row json_rows[] = {
	{ "--json", NULL, "print a JSON array", .kind = OPTION_FLAG },
	{}
};

static const struct command_line revoke_line = {
	.name = "egressctl revoke",
	.args = "[--json] GRANT|SANDBOX...",
	.about = "Take back a grant or denial (g12, see egressctl grants), or all of a sandbox.\n",
	.options = json_rows,
	.min = 1,
	.max = OPTIONS_ANY,
};

static const struct command_line grants_line = {
	.name = "egressctl grants",
	.args = "[--json] [SANDBOX]",
	.about = "List grants and denials, with the time that they have left.\n",
	.options = json_rows,
	.max = 1,
};

/* What was done is appended to `done`. */
static int revoke_one(const char *what, json_t *done)
{
	bool named = str_starts(what, SANDBOX_PREFIX);
	json_t *request, *answer = NULL;
	uint64_t grant;
	int status;

	/*
	 * One that is over is no sandbox: whoever called theirs like it would have all of
	 * that taken back, denials by root among it.
	 */
	if (!named && !parse_grant(what, &grant))
		request = json_pack("{s:s, s:I}", "op", "revoke", "grant", (json_int_t)grant);
	else
		request = json_pack("{s:s, s:o}", "op", "revoke", "sandbox",
				    ref_sandbox(what + (named ? strlen(SANDBOX_PREFIX) : 0)));
	if (!request)
		return options_bad(&revoke_line, "'%s' is not a grant (g12) or a sandbox", what);
	status = client_call(request, &answer);
	json_decref(request);
	if (!status)
		(void)json_array_append(done, answer);
	json_decref(answer);
	return status;
}

int cmd_revoke(int argc, char **argv)
{
	bool json = false;
	json_t *done, *r;
	int status;
	size_t n;

	if (options_done(&revoke_line, &json, &argc, &argv, &status))
		return status;
	done = json_array();
	for (int i = 0; i < argc; i++) {
		int s = revoke_one(argv[i], done);

		status = s ? s : status;
	}
	if (json)
		(void)print_json(stdout, done, JSON_INDENT(2));
	else
		json_array_foreach(done, n, r)
			printf("sandbox %lld: %lld revoked, %lld connections ended\n",
			       client_number(r, "sandbox"), client_number(r, "revoked"),
			       client_number(r, "connections"));
	json_decref(done);
	return status;
}

int cmd_grants(int argc, char **argv)
{
	json_t *request, *answer = NULL;
	bool json = false;
	int status;

	if (options_done(&grants_line, &json, &argc, &argv, &status))
		return status;
	request = json_pack("{s:s}", "op", "grants");
	if (argc && json_object_set_new(request, "sandbox", ref_sandbox(argv[0]))) {
		json_decref(request);
		return options_bad(&grants_line, "'%s' is not a sandbox", argv[0]);
	}
	status = client_call(request, &answer);
	json_decref(request);
	if (!status)
		print_grants(json_object_get(answer, "grants"), json);
	json_decref(answer);
	return status;
}
