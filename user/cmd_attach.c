/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl attach`, `detach` and `enter`: what runs already, under a policy. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "commands.h"
#include "control.h"
#include "diag.h"
#include "policy_send.h"
#include "print.h"
#include "util.h"

#define FAILED 125
#define USAGE 2
#define MAX_POLICIES 32
#define SYSTEMD_BUS "unix:path=/run/systemd/private" /* no bus daemon needed, for root */
#define SYSTEMD "org.freedesktop.systemd1"

struct what {
	const char *policies[MAX_POLICIES];
	size_t npolicies;
	const char *cgroup, *unit, *name, *sandbox;
	uint64_t pid;
	bool audit, egress_only, json, help;
};

static const char attach_usage[] =
	"Usage: egressctl attach -p POLICY [OPTION]... --cgroup PATH | --unit UNIT | --pid PID\n\n"
	"Put a running workload, its sockets and all that comes into its cgroup under a policy.\n\n"
	"  -p, --policy POLICY  name or path of a policy; may be given several times\n"
	"  --cgroup PATH        a cgroup: /system.slice/x.service, or with the mount before it\n"
	"  --unit UNIT          a unit of systemd\n"
	"  --pid PID            the cgroup that this process is in: a container's\n"
	"  --name NAME          what to call the sandbox in lists\n"
	"  --audit              report, do not refuse\n"
	"  --egress-only        without the rules for paths\n"
	"  --json               print what was done as JSON\n";
static const char detach_usage[] = "Usage: egressctl detach SANDBOX | --cgroup PATH | --unit UNIT "
				   "| --pid PID\n\n"
				   "Take an attached workload off its policy: it goes on without "
				   "any.\n";
static const char enter_usage[] = "Usage: egressctl enter -p POLICY [OPTION]... [--pid PID]\n\n"
				  "Put a process of your own and all its descendants under a "
				  "policy, for good. Without\n"
				  "--pid it is the process that called egressctl.\n\n"
				  "  -p, --policy POLICY  name or path of a policy; may be given "
				  "several times\n"
				  "  --pid PID            the process\n"
				  "  --name NAME          what to call the sandbox in lists\n"
				  "  --audit              report, do not refuse\n"
				  "  --egress-only        without the rules for paths\n"
				  "  --json               print what was done as JSON\n";

static int fail(int status, const struct diag *d)
{
	diag_print(stderr, "egressctl", d);
	return status;
}

static int parse(struct what *w, int argc, char **argv, struct diag *d)
{
	static const struct option longopts[] = {
		{ "policy", required_argument, NULL, 'p' },
		{ "cgroup", required_argument, NULL, 'c' },
		{ "unit", required_argument, NULL, 'u' },
		{ "pid", required_argument, NULL, 'i' },
		{ "name", required_argument, NULL, 'n' },
		{ "audit", no_argument, NULL, 'a' },
		{ "egress-only", no_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "p:h", longopts, NULL)) != -1) {
		switch (c) {
		case 'p':
			if (w->npolicies == MAX_POLICIES)
				return diag_set(d, -E2BIG, "more than %d policies", MAX_POLICIES);
			w->policies[w->npolicies++] = optarg;
			break;
		case 'c':
			w->cgroup = optarg;
			break;
		case 'u':
			w->unit = optarg;
			break;
		case 'i':
			if (parse_u64(optarg, 1, INT_MAX, &w->pid))
				return diag_set(d, -EINVAL,
						"--pid: '%s' is not the number of a process",
						optarg);
			break;
		case 'n':
			w->name = optarg;
			break;
		case 'a':
			w->audit = true;
			break;
		case 'e':
			w->egress_only = true;
			break;
		case 'j':
			w->json = true;
			break;
		case 'h':
			w->help = true;
			return 0;
		default:
			return diag_set(d, -EINVAL,
					"unknown option '%s', or its value is missing: try "
					"--help",
					argv[optind - 1]);
		}
	}
	if (optind < argc)
		w->sandbox = argv[optind++];
	if (optind < argc)
		return diag_set(d, -EINVAL, "unexpected argument '%s'", argv[optind]);
	return 0;
}

static int ways(const struct what *w)
{
	return !!w->cgroup + !!w->unit + !!w->pid + !!w->sandbox;
}

/* ---- units -------------------------------------------------------------------------- */

/* Its cgroup, as systemd has it; malloc()ed. */
static int cgroup_of_unit(const char *unit, char **out, struct diag *d)
{
	_cleanup_free_ char *path = NULL;
	sd_bus_error e = SD_BUS_ERROR_NULL;
	const char *dot = strrchr(unit, '.');
	char interface[64];
	sd_bus *bus = NULL;
	int err;

	/* "Service" of "x.service" */
	if (!dot || strlen(dot) < 3 || strlen(dot) > 16)
		return diag_set(d, -EINVAL,
				"'%s' is not the name of a unit: it ends in .service, "
				".scope, .slice, …",
				unit);
	snprintf(interface, sizeof(interface), SYSTEMD ".%c%s", dot[1] & ~0x20, dot + 2);
	err = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
	if (err >= 0)
		err = sd_bus_new(&bus);
	if (err >= 0)
		err = sd_bus_set_address(bus, SYSTEMD_BUS);
	if (err >= 0)
		err = sd_bus_start(bus);
	if (err >= 0)
		err = sd_bus_get_property_string(bus, SYSTEMD, path, interface, "ControlGroup", &e,
						 out);
	if (err < 0)
		(void)diag_set(d, err, "cannot ask systemd for the cgroup of %s: %s", unit,
			       e.message ? e.message : strerror(-err));
	else if (!**out)
		err = diag_set(d, -ENOENT, "%s has no cgroup: it does not run", unit);
	sd_bus_error_free(&e);
	sd_bus_unref(bus);
	return MIN(err, 0);
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
		err = cgroup_of_unit(w->unit, &path, d);
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
		printf("%lld of the tasks stay in the sandbox they were in\n", number(answer, "othe"
											      "r"
											      "s"));
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

	if (parse(&w, argc, argv, &d))
		return fail(USAGE, &d);
	if (w.help || argc < 2) {
		fputs(attach_usage, w.help ? stdout : stderr);
		return w.help ? 0 : USAGE;
	}
	if (ways(&w) != 1 || w.sandbox || !w.npolicies) {
		(void)diag_set(&d, -EINVAL,
			       "-p and one of --cgroup, --unit and --pid were expected");
		return fail(USAGE, &d);
	}
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

	if (parse(&w, argc, argv, &d))
		return fail(USAGE, &d);
	if (w.help || argc < 2) {
		fputs(detach_usage, w.help ? stdout : stderr);
		return w.help ? 0 : USAGE;
	}
	if (ways(&w) != 1 || w.npolicies) {
		(void)diag_set(&d, -EINVAL,
			       "one of SANDBOX, --cgroup, --unit and --pid was expected");
		return fail(USAGE, &d);
	}
	request = json_pack("{s:s}", "op", "detach");
	if (add_workload(&w, request, &d)) {
		json_decref(request);
		return fail(FAILED, &d);
	}
	status = ask(request, -1, &answer);
	if (!status && w.json) {
		(void)print_json(stdout, answer, JSON_INDENT(2));
	}
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

	if (parse(&w, argc, argv, &d))
		return fail(USAGE, &d);
	if (w.help || argc < 2) {
		fputs(enter_usage, w.help ? stdout : stderr);
		return w.help ? 0 : USAGE;
	}
	if (!w.npolicies || w.cgroup || w.unit || w.sandbox) {
		(void)diag_set(&d, -EINVAL, "-p and --pid were expected: try --help");
		return fail(USAGE, &d);
	}
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
