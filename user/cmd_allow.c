/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `egressctl allow`, `deny`, `revoke` and `grants`: what a live sandbox may do,
 * changed while it runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "diag.h"
#include "launch.h"
#include "policy_edit.h"
#include "policy_int.h"
#include "print.h"
#include "ref.h"
#include "util.h"

#define DEFAULT_MS 600000 /* of `allow`: ten minutes, so that what nobody takes back ends */
#define POLICY_PREFIX "policy="

static const char allow_usage[] =
	"usage: egressctl allow WHAT [RULE] [--for TIME] [--note TEXT] [--save] [--json]\n"
	"  WHAT  last          the newest event that a rule could allow, unless it looks\n"
	"                      like an attack\n"
	"        7.12          an event: sandbox 7, number 12\n"
	"        7, NAME       a sandbox (see egressctl ps); last, with a RULE: the newest\n"
	"        policy=NAME   every live sandbox of yours under that policy\n"
	"  RULE  connect DEST | open PATH PERM | unix NAME | socket KIND | privilege NAME\n"
	"        without one, what the event was denied\n"
	"      --for TIME      90s, 10m, 2h, 1d; run: as long as the sandbox (default: 10m)\n"
	"      --note TEXT     why, for those who see it\n"
	"      --save          write the rule into the policy's file, too\n"
	"      --json          print the grants as JSON\n";

static const char deny_usage[] =
	"usage: egressctl deny SANDBOX|policy=NAME RULE [--for TIME] [--note TEXT] [--json]\n"
	"  RULE  connect DEST | open PATH [PERM]\n"
	"      --for TIME      90s, 10m, 2h, 1d (default: as long as the sandbox)\n"
	"      --note TEXT     why, for those who see it\n"
	"      --json          print it as JSON\n";

struct options {
	uint64_t ms;
	const char *note;
	bool save, json;
};

/* ---- the command line ------------------------------------------------------------------------ */

static int bad(const char *command, const char *what, const char *value, const char *expected)
{
	char quoted[256];

	diag_escape(quoted, sizeof(quoted), value, strlen(value));
	fprintf(stderr, "egressctl %s: %s'%s' is not %s\n", command, what, quoted, expected);
	return 2;
}

static int parse_options(struct options *o, int argc, char **argv, const char *usage)
{
	static const struct option longopts[] = {
		{ "for", required_argument, NULL, 'f' }, { "note", required_argument, NULL, 'n' },
		{ "save", no_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, {},
	};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		switch (c) {
		case 'f':
			if (str_eq(optarg, "run"))
				o->ms = 0;
			else if (policy_time_parse(optarg, &o->ms) || !o->ms)
				return bad(argv[0], "--for: ", optarg, "a time (90s, 10m, 2h, 1d) "
								       "or 'run'");
			break;
		case 'n':
			o->note = optarg;
			break;
		case 's':
			o->save = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return -1;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	return 0;
}

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

/* ---- --save ------------------------------------------------------------------------- */

/* Each rule once, whatever number of sandboxes it was granted in. */
static int save_rules(const json_t *grants, const char *policy, const char *note)
{
	_cleanup_free_ char *path = NULL;
	const json_t *g, *before;
	struct diag d = {};
	size_t i, k;
	int err;

	err = policy_edit_find(policy, &path, &d);
	json_array_foreach(grants, i, g) {
		const char *rule = client_text(g, "rule");
		bool done = false;

		for (k = 0; k < i; k++) {
			before = json_array_get(grants, k);
			done |= str_eq(client_text(before, "rule"), rule);
		}
		if (err < 0)
			break;
		if (done)
			continue;
		err = policy_save(path, rule, note, &d);
		if (err >= 0)
			fprintf(stderr, "%s: %s\n", path,
				err ? "has that rule already" : "the rule is saved");
	}
	if (err >= 0)
		return 0;
	diag_print(stderr, "egressctl: granted, but not saved", &d);
	return 1;
}

/* ---- allow and deny ----------------------------------------------------------------- */

static int send_allow(const json_t *request, const struct options *o, const char *policy)
{
	json_t *answer = NULL;
	const json_t *list, *failed, *f;
	int status;
	size_t i;

	status = client_call(request, &answer);
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
		int err = save_rules(list, policy ? policy : client_text(answer, "policy"),
				     o->note);

		status = status ? status : err;
	}
	json_decref(answer);
	return status;
}

static int change(int argc, char **argv, struct options *o, const char *usage)
{
	bool deny = str_eq(argv[0], "deny"), bad_text;
	_cleanup_free_ char *rule = NULL;
	const char *what;
	json_t *request;
	int status;

	status = parse_options(o, argc, argv, usage);
	if (status)
		return status < 0 ? 0 : status;
	if (optind >= argc || (deny && (optind + 1 >= argc || o->save))) {
		fputs(usage, stderr);
		return 2;
	}
	what = argv[optind];
	if (optind + 1 < argc) {
		rule = join(argv + optind + 1, argc - optind - 1);
		if (!rule)
			return client_fail("out of memory");
	}
	request = json_pack("{s:s, s:I}", "op", argv[0], "ms", (json_int_t)o->ms);
	bad_text = !request || add_target(request, what, rule) ||
		   (rule && json_object_set_new(request, "rules", json_pack("[s]", rule))) ||
		   (o->note && json_object_set_new(request, "note", json_string(o->note)));
	if (bad_text)
		status = bad(argv[0], "", what, "a sandbox, an event or a rule in UTF-8");
	else
		status = send_allow(request, o, str_starts(what, POLICY_PREFIX) ?
							what + strlen(POLICY_PREFIX) : NULL);
	json_decref(request);
	return status;
}

int cmd_allow(int argc, char **argv)
{
	struct options o = { .ms = DEFAULT_MS };

	return change(argc, argv, &o, allow_usage);
}

int cmd_deny(int argc, char **argv)
{
	struct options o = {};

	return change(argc, argv, &o, deny_usage);
}

/* ---- revoke and grants -------------------------------------------------------------- */

/* "g12", or -EINVAL: then it is a sandbox. */
static int parse_grant(const char *s, uint64_t *number)
{
	return *s == 'g' ? parse_u64(s + 1, 1, INT64_MAX, number) : -EINVAL;
}

static int revoke_one(const char *what)
{
	json_t *request, *answer = NULL;
	uint64_t grant;
	int status;

	if (!parse_grant(what, &grant))
		request = json_pack("{s:s, s:I}", "op", "revoke", "grant", (json_int_t)grant);
	else
		request = json_pack("{s:s, s:o}", "op", "revoke", "sandbox", ref_sandbox(what));
	if (!request)
		return bad("revoke", "", what, "a grant (g12) or a sandbox");
	status = client_call(request, &answer);
	json_decref(request);
	if (!status) {
		printf("sandbox %lld: %lld revoked, %lld connections ended\n",
		       client_number(answer, "sandbox"), client_number(answer, "revoked"),
		       client_number(answer, "connections"));
	}
	json_decref(answer);
	return status;
}

int cmd_revoke(int argc, char **argv)
{
	int status = 0;

	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: egressctl revoke GRANT|SANDBOX...\n"
				"  a grant (g12, see egressctl grants), or all of a sandbox\n");
		return argc == 2 && str_eq(argv[1], "--help") ? 0 : 2;
	}
	for (int i = 1; i < argc; i++) {
		int s = revoke_one(argv[i]);

		status = s ? s : status;
	}
	return status;
}

int cmd_grants(int argc, char **argv)
{
	json_t *request, *answer = NULL;
	const char *sandbox = NULL;
	bool json = false;
	int status;

	for (int i = 1; i < argc; i++) {
		if (str_eq(argv[i], "--json")) {
			json = true;
		} else if (argv[i][0] != '-' && !sandbox) {
			sandbox = argv[i];
		} else {
			fprintf(stderr, "usage: egressctl grants [--json] [SANDBOX]\n");
			return str_eq(argv[i], "--help") ? 0 : 2;
		}
	}
	request = json_pack("{s:s}", "op", "grants");
	if (sandbox && json_object_set_new(request, "sandbox", ref_sandbox(sandbox))) {
		json_decref(request);
		return bad("grants", "", sandbox, "a sandbox");
	}
	status = client_call(request, &answer);
	json_decref(request);
	if (!status)
		print_grants(json_object_get(answer, "grants"), json);
	json_decref(answer);
	return status;
}
