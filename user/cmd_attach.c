/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl attach`, `detach` and `enter`: what runs already, under a policy. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "commands.h"
#include "control.h"
#include "diag.h"
#include "options.h"
#include "policy_send.h"
#include "print.h"
#include "units.h"
#include "util.h"

#define FAILED 125
#define USAGE 2
#define MAX_POLICIES 32

struct what {
	const char *policies[MAX_POLICIES];
	size_t npolicies;
	const char *cgroup, *unit, *name, *sandbox;
	uint64_t pid;
	bool audit, egress_only, json;
};

static int fail(int status, const struct diag *d)
{
	diag_print(stderr, "egressctl", d);
	return status;
}

static int parse_pid(void *into, const char *value, struct diag *d)
{
	struct what *w = into;

	if (parse_u64(value, 1, INT_MAX, &w->pid))
		return diag_set(d, -EINVAL, "--pid: '%s' is not the number of a process", value);
	return 0;
}

_Static_assert(MAX_POLICIES == OPTION_LIST_MAX, "policies are a list of options");

#define AT(field) .at = offsetof(struct what, field)
#define POLICY_ROW \
	{ "-p --policy", "POLICY", "name or path of a policy; may be given several times", \
	  .kind = OPTION_LIST, AT(policies), .count = offsetof(struct what, npolicies) }
#define JSON_ROW \
	{ "--json", NULL, "print what was done as JSON", .kind = OPTION_FLAG, AT(json) }

static const struct option_row which_rows[] = {
	{ "--cgroup", "CGROUP", "/system.slice/x.service, or with the mount before it",
	  .kind = OPTION_TEXT, AT(cgroup) },
	{ "--unit", "UNIT", "a unit of systemd; without a suffix, a service", .kind = OPTION_TEXT,
	  AT(unit) },
	{ "--pid", "PID", "the cgroup that this process is in: a container's",
	  .kind = OPTION_PARSED, .parse = parse_pid },
	JSON_ROW,
	{}
};

static const struct option_row policy_rows[] = {
	POLICY_ROW,
	{ "--name", "NAME", "what to call the sandbox in lists", .kind = OPTION_TEXT, AT(name) },
	{ "--audit", NULL, "report, do not refuse", .kind = OPTION_FLAG, AT(audit) },
	{ "--egress-only", NULL, "without the rules for paths", .kind = OPTION_FLAG,
	  AT(egress_only) },
	{}
};

static const struct option_row process_rows[] = {
	{ "--pid", "PID", "the process; default: the one that called egressctl",
	  .kind = OPTION_PARSED, .parse = parse_pid },
	JSON_ROW,
	{}
};

static const struct command_line attach_line = {
	.name = "egressctl attach",
	.args = "-p POLICY [OPTION]... --cgroup CGROUP | --unit UNIT | --pid PID",
	.about = "Put a running workload, its sockets and all that comes into its cgroup under a\n"
		 "policy. As root.\n",
	.options = policy_rows,
	.more = which_rows,
};

static const struct command_line detach_line = {
	.name = "egressctl detach",
	.args = "[--json] SANDBOX | --cgroup CGROUP | --unit UNIT | --pid PID",
	.about = "Take an attached workload off its policy: it goes on without any. As root.\n",
	.options = which_rows,
	.max = 1,
};

static const struct command_line enter_line = {
	.name = "egressctl enter",
	.args = "-p POLICY [OPTION]... [--pid PID]",
	.about = "Put a process of your own and all its descendants under a policy, for good.\n",
	.options = policy_rows,
	.more = process_rows,
};

static int ways(const struct what *w)
{
	return !!w->cgroup + !!w->unit + !!w->pid + !!w->sandbox;
}

/* ---- the request ----------------------------------------------------------------------- */

static json_t *make_request(const struct what *w, const char *op, struct diag *d)
{
	json_t *r = json_pack("{s:s, s:[], s:[]}", "op", op, "policies", "texts");
	size_t i;

	for (i = 0; r && i < w->npolicies; i++) {
		(void)json_array_append_new(json_object_get(r, "policies"),
					    json_string(w->policies[i]));
		if (policy_send_add(json_object_get(r, "texts"), w->policies[i], NULL, d)) {
			json_decref(r);
			return NULL;
		}
	}
	if (w->name)
		(void)json_object_set_new(r, "name", json_string(w->name));
	if (w->audit)
		(void)json_object_set_new(r, "audit", json_true());
	if (w->egress_only)
		(void)json_object_set_new(r, "egress_only", json_true());
	return r;
}

static int add_workload(const struct what *w, json_t *r, struct diag *d)
{
	_cleanup_free_ char *path = NULL;
	uint64_t id;
	int err = 0;

	if (w->unit)
		err = unit_cgroup(w->unit, &path, d);
	if (err)
		return err;
	if (w->pid)
		(void)json_object_set_new(r, "pid", json_integer(w->pid));
	else if (w->cgroup || path)
		(void)json_object_set_new(r, "cgroup", json_string(path ? path : w->cgroup));
	else if (!parse_u64(w->sandbox, 1, INT64_MAX, &id))
		(void)json_object_set_new(r, "sandbox", json_integer((json_int_t)id));
	else
		(void)json_object_set_new(r, "sandbox", json_string(w->sandbox));
	return 0;
}

/* Ask, answering what the server needs to know. 0 and *answer, or an exit status. */
static int ask(json_t *request, int pidfd, json_t **answer)
{
	_cleanup_close_ int fd = control_connect(CONTROL_SOCKET);
	size_t nfds = pidfd >= 0;
	int status = FAILED, err;
	struct diag d = {};
	json_t *need;

	if (fd < 0) {
		(void)diag_set(&d, fd,
			       fd == -ENOENT || fd == -ECONNREFUSED ? "egressd is not running" :
								      "cannot reach egressd: %s",
			       strerror(-fd));
		return fail(FAILED, &d);
	}
	for (;;) {
		err = control_call(fd, request, &pidfd, nfds, NULL, NULL, answer, &status, &d);
		if (err)
			return fail(status, &d);
		need = json_object_get(*answer, "need");
		if (!need)
			return 0;
		nfds = 0; /* the server has it */
		err = policy_send_needed(request, need, &d);
		json_decref(*answer);
		if (err)
			return fail(USAGE, &d);
	}
}

static long long number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void print_answer(const struct what *w, const json_t *answer)
{
	const json_t *notices = json_object_get(answer, "notices"), *n;
	size_t i;

	if (w->json) {
		(void)print_json(stdout, answer, JSON_INDENT(2));
		return;
	}
	json_array_foreach(notices, i, n) {
		fputs("egressctl: ", stderr);
		print_safe(stderr, json_string_value(n));
		fputc('\n', stderr);
	}
	printf("sandbox %lld: %lld task%s, %lld socket%s\n", number(answer, "sandbox"),
	       number(answer, "tasks"), number(answer, "tasks") == 1 ? "" : "s",
	       number(answer, "sockets"), number(answer, "sockets") == 1 ? "" : "s");
	if (number(answer, "ended"))
		printf("%lld socket%s of the root cgroup could not be judged and %s shut down\n",
		       number(answer, "ended"), number(answer, "ended") == 1 ? "" : "s",
		       number(answer, "ended") == 1 ? "was" : "were");
	if (number(answer, "others"))
		printf("%lld of the tasks stay in the sandbox they were in\n",
		       number(answer, "others"));
	if (number(answer, "elsewhere"))
		printf("%lld of the tasks are in another mount namespace than the first: the "
		       "policy's paths are those of their own\n", number(answer, "elsewhere"));
}

static int send(const struct what *w, json_t *request, int pidfd)
{
	json_t *answer = NULL;
	int status = ask(request, pidfd, &answer);

	if (!status)
		print_answer(w, answer);
	json_decref(answer);
	json_decref(request);
	return status;
}

int cmd_attach(int argc, char **argv)
{
	struct what w = {};
	struct diag d = {};
	json_t *request;
	int status;

	if (options_done(&attach_line, &w, &argc, &argv, &status))
		return status;
	if (ways(&w) != 1 || !w.npolicies)
		return options_bad(&attach_line,
				   "-p and one of --cgroup, --unit and --pid were expected");
	request = make_request(&w, "attach", &d);
	if (!request)
		return fail(USAGE, &d);
	if (add_workload(&w, request, &d)) {
		json_decref(request);
		return fail(FAILED, &d);
	}
	return send(&w, request, -1);
}

int cmd_detach(int argc, char **argv)
{
	json_t *request, *answer = NULL;
	struct what w = {};
	struct diag d = {};
	int status;

	if (options_done(&detach_line, &w, &argc, &argv, &status))
		return status;
	w.sandbox = argv[0];
	if (ways(&w) != 1)
		return options_bad(&detach_line,
				   "one of SANDBOX, --cgroup, --unit and --pid was expected");
	request = json_pack("{s:s}", "op", "detach");
	if (add_workload(&w, request, &d)) {
		json_decref(request);
		return fail(FAILED, &d);
	}
	status = ask(request, -1, &answer);
	if (!status && w.json)
		(void)print_json(stdout, answer, JSON_INDENT(2));
	else if (!status)
		printf("sandbox %lld: detached, it goes on without a policy\n",
		       number(answer, "sandbox"));
	json_decref(answer);
	json_decref(request);
	return status;
}

int cmd_enter(int argc, char **argv)
{
	_cleanup_close_ int pidfd = -1;
	struct what w = {};
	struct diag d = {};
	json_t *request;
	int status;

	if (options_done(&enter_line, &w, &argc, &argv, &status))
		return status;
	if (!w.npolicies)
		return options_bad(&enter_line, "-p POLICY is missing");
	if (!w.pid)
		w.pid = getppid();
	pidfd = pidfd_open(w.pid, 0);
	if (pidfd < 0) {
		(void)diag_set(&d, -errno, "no process %d: %s", (int)w.pid, strerror(errno));
		return fail(FAILED, &d);
	}
	request = make_request(&w, "enter", &d);
	if (!request)
		return fail(USAGE, &d);
	return send(&w, request, pidfd);
}
