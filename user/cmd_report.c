// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* egressctl report: what a sandbox touched; and `run --report FILE`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "config.h"
#include "control.h"
#include "diag.h"
#include "event_text.h"
#include "launch.h"
#include "learn_file.h"
#include "options.h"
#include "print.h"
#include "ref.h"
#include "report.h"
#include "runs.h"
#include "trace.h"
#include "trace_client.h"
#include "util.h"

#define FAILED 125

static const struct option_row rows[] = {
	{ "--json", NULL, "print it as JSON", .kind = OPTION_FLAG },
	{}
};

static const struct command_line line = {
	.name = "egressctl report",
	.args = "[--json] SANDBOX",
	.about = "What a traced sandbox touched: hosts by name, with bytes; paths by directory;\n"
		 "programs it ran; what was refused, by rule. SANDBOX is a number, a name or\n"
		 "last, of a live sandbox or one that ended. Sandboxes are traced when they are\n"
		 "run with --trace or --report, or by `egressctl learn`.\n",
	.options = rows,
	.end = "Exit status: 0; 1: the record is incomplete, or there is none and what was\n"
	       "refused is printed from the log, or there is no such sandbox; 2: usage; 125: it\n"
	       "could not be done.\n",
	.min = 1,
	.max = 1,
};

/* ---- without a trace ------------------------------------------------------------------------ */

struct denied {
	char *rule;
	uint64_t count;
};

struct denials {
	bool json;
	uint64_t sandbox;
	uint64_t lines; /* in the log, its last record among them */
	uint64_t total;
	struct denied *v;
	size_t n, cap;
};

static int count_rule(struct denials *c, const char *rule)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!str_eq(c->v[i].rule, rule))
			continue;
		c->v[i].count++;
		return 0;
	}
	if (array_reserve(&c->v, &c->cap, c->n))
		return -ENOMEM;
	c->v[c->n].rule = strdup(rule);
	c->v[c->n].count = 1;
	return c->v[c->n++].rule ? 0 : -ENOMEM;
}

static int count_line(void *ctx, const char *line, size_t len)
{
	struct denials *c = ctx;
	json_t *j = json_loadb(line, len, 0, NULL);
	const char *rule = json_string_value(json_object_get(j, "rule"));
	const char *text = json_string_value(json_object_get(j, "rule_text"));
	const char *reason = json_string_value(json_object_get(j, "reason"));
	char buf[1024];
	int err = 0;

	c->lines++;
	if (reason) { /* else it is the sandbox's last record */
		(void)snprintf(buf, sizeof(buf), "%s%s%s", rule ? rule : "", rule ? ": " : "",
			       rule && text ? text : text ? text : reason);
		err = count_rule(c, buf);
		c->total++;
	}
	json_decref(j);
	return err;
}

static void count_event(void *ctx, json_t *msg)
{
	const json_t *e = json_object_get(msg, "event");

	if (e)
		(void)count_line(ctx, json_string_value(e), json_string_length(e));
}

static int by_count(const void *a, const void *b)
{
	const struct denied *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->rule, y->rule);
}

static void print_denials(const struct denials *c)
{
	json_t *list;

	if (!c->json) {
		printf("Refused (%llu)\n", (unsigned long long)c->total);
		for (size_t i = 0; i < c->n; i++) {
			char rule[1024];

			diag_escape(rule, sizeof(rule), c->v[i].rule, strlen(c->v[i].rule));
			printf("  %6llu  %s\n", (unsigned long long)c->v[i].count, rule);
		}
		return;
	}
	list = json_array();
	for (size_t i = 0; i < c->n; i++)
		(void)json_array_append_new(list, json_pack("{s:s, s:I}", "rule", c->v[i].rule,
							    "count", (json_int_t)c->v[i].count));
	list = json_pack("{s:I, s:b, s:b, s:o}", "sandbox", (json_int_t)c->sandbox, "traced", 0,
			 "complete", 0, "denials", list);
	(void)print_json(stdout, list, JSON_INDENT(2));
	json_decref(list);
}

/* Not traced: what the event log has of it. */
static int report_untraced(int control, uint64_t sandbox, bool json)
{
	struct denials c = { .json = json, .sandbox = sandbox };
	json_t *request;
	struct diag d = {};
	int err;

	/* egressd, which said so, knows where its log is */
	request = json_pack("{s:s, s:I}", "op", "log", "sandbox", (json_int_t)sandbox);
	err = control_call(control, request, NULL, 0, count_event, &c, NULL, NULL, &d);
	json_decref(request);
	if (!err && !c.lines && client_unknown(sandbox, &d)) {
		diag_print(stderr, "egressctl report", &d);
		return 1;
	}
	fprintf(stderr, "egressctl report: sandbox %llu was not traced: hosts, paths and programs "
			"are not known (run with --trace); what was refused is in the log\n",
		(unsigned long long)sandbox);
	if (c.n)
		qsort(c.v, c.n, sizeof(*c.v), by_count);
	if (!err)
		print_denials(&c);
	else
		fprintf(stderr, "egressctl report: the log cannot be read: %s\n", strerror(-err));
	for (size_t i = 0; i < c.n; i++)
		free(c.v[i].rule);
	free(c.v);
	return err ? FAILED : 1;
}

/* ---- with one ------------------------------------------------------------------------- */

static int make(const struct trace *t, bool json, struct text *out, struct diag *d)
{
	int err = json ? report_json(t, out) : report_text(t, out);

	return err ? diag_set(d, err, "out of memory") : 0;
}

static int print_trace(const struct trace *t, bool json)
{
	struct text out = { 0 };
	struct diag d = {};
	int status = trace_incomplete(t) ? 1 : 0;

	if (make(t, json, &out, &d)) {
		diag_print(stderr, "egressctl report", &d);
		status = FAILED;
	} else if (fwrite(out.p, 1, out.len, stdout) != out.len || fflush(stdout)) {
		status = FAILED;
	}
	text_free(&out);
	return status;
}

/* Without egressd root looks itself: runs without a service leave their trace as well. */
static int find_ended(json_t *ref, struct trace *t, struct diag *d)
{
	_cleanup_free_ char *dir = config_log_dir(CONFIG_FILE, d);
	int fd = dir ? runs_open(dir, -1, ref) : -ENOMEM, err;

	if (fd < 0)
		return diag_set(d, fd, "egressd is not running, and there is no such run in %s/%s",
				dir ? dir : "", RUNS_DIR);
	err = trace_read(fd, t);
	close(fd);
	return err ? diag_set(d, err, "the record cannot be read: %s", strerror(-err)) : 0;
}

static int report(const char *sandbox, bool json)
{
	json_t *ref = ref_sandbox(sandbox);
	int control, status = FAILED, err;
	struct trace t = { 0 };
	uint64_t untraced = 0;
	struct diag d = {};

	if (!ref)
		return FAILED;
	control = control_connect(CONTROL_SOCKET);
	if (control >= 0)
		err = trace_fetch(control, ref, &t, &untraced, &status, &d);
	else if (geteuid() == 0 && (control == -ENOENT || control == -ECONNREFUSED))
		err = find_ended(ref, &t, &d);
	else
		err = diag_set(&d, control, "cannot reach egressd: %s", strerror(-control));
	if (control < 0)
		json_decref(ref);
	if (!err)
		status = print_trace(&t, json);
	else if (err == -ENODATA)
		status = report_untraced(control, untraced, json);
	else
		diag_print(stderr, "egressctl report", &d);
	trace_clear(&t);
	if (control >= 0)
		close(control);
	return status;
}

int cmd_report(int argc, char **argv)
{
	bool json = false;
	int status;

	if (options_done(&line, &json, &argc, &argv, &status))
		return status;
	return report(argv[0], json);
}

/* ---- run --report ---------------------------------------------------------------------- */

void report_after_run(void *ctx, int control, uint64_t sandbox, int status)
{
	const struct launch *l = ctx;
	struct text out = { 0 };
	struct trace t = { 0 };
	struct diag d = {};
	uint64_t untraced;
	int err, ignored;

	(void)status;
	if (control < 0)
		err = diag_set(&d, -EPIPE, "egressd went away: there is no report");
	else
		err = trace_fetch(control, json_integer((json_int_t)sandbox), &t, &untraced,
				  &ignored, &d);
	if (err == -ENODATA)
		(void)diag_set(&d, err, "egressd kept no record of the run");
	if (!err)
		err = make(&t, str_ends(l->report, ".json"), &out, &d);
	if (!err)
		err = learn_file_write(l->report, &out, l->drop, l->uid, l->gid, &d);
	if (err)
		diag_print(stderr, "egressctl", &d);
	text_free(&out);
	trace_clear(&t);
}
