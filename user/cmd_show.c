/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl show SANDBOX`: all there is to see of a live one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "commands.h"
#include "event_text.h"
#include "options.h"
#include "print.h"
#include "ref.h"
#include "util.h"

static const struct option_row rows[] = {
	{ "--json", NULL, "print it as JSON", .kind = OPTION_FLAG },
	{}
};

static const struct command_line line = {
	.name = "egressctl show",
	.args = "[--json] [SANDBOX]",
	.about = "A live sandbox: its policy, grants and the time they have left, processes,\n"
		 "connections with their names and bytes, counters, and denials by rule.\n"
		 "SANDBOX is its number or name, or last (default: your newest one).\n",
	.options = rows,
	.max = 1,
};

static void row(const char *key)
{
	printf("  %-12s", key);
}

static void row_text(const json_t *o, const char *title, const char *key)
{
	if (!client_text(o, key)[0])
		return;
	row(title);
	print_safe(stdout, client_text(o, key));
	putchar('\n');
}

static void print_bytes(const json_t *n)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)json_integer_value(n);
	size_t unit = 0;

	if (!json_is_integer(n)) {
		printf(" %9s", "-");
		return;
	}
	for (; v >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
		v /= 1024;
	printf(unit ? " %5.1f %3s" : " %5.0f %3s", v, units[unit]);
}

/* ---- parts ---------------------------------------------------------------------------- */

static void print_head(const json_t *o)
{
	const json_t *files = json_object_get(o, "policy_files"), *f, *counters;
	time_t started = (time_t)client_number(o, "started");
	char stamp[32] = "";
	struct tm tm;
	size_t i;

	if (localtime_r(&started, &tm))
		(void)strftime(stamp, sizeof(stamp), "%F %T", &tm);
	printf("sandbox %lld ", client_number(o, "sandbox"));
	print_safe(stdout, client_text(o, "name"));
	printf("\n");
	row_text(o, "policy", "policy");
	json_array_foreach(files, i, f) {
		row(i ? "" : "files");
		print_safe(stdout, json_string_value(f));
		putchar('\n');
	}
	row_text(o, "mode", "mode");
	row("user");
	printf("%lld\n", client_number(o, "uid"));
	row("since");
	printf("%s\n", stamp);
	counters = json_object_get(o, "counters");
	row("denied");
	printf("%lld (%lld events, %lld not sent, %lld lost, %lld internal failures)\n",
	       client_number(counters, "denied"), client_number(counters, "events"),
	       client_number(counters, "suppressed"), client_number(counters, "lost"),
	       client_number(counters, "failed"));
}

static void print_left(const json_t *grant)
{
	const json_t *left = json_object_get(grant, "left_ms");
	long long s = json_integer_value(left) / 1000;

	if (!json_is_integer(left))
		printf("no end");
	else
		printf("%lld:%02lld:%02lld left", s / 3600, s / 60 % 60, s % 60);
}

static void print_grants(const json_t *list)
{
	const json_t *g;
	size_t i;

	printf("grants: %zu\n", json_array_size(list));
	json_array_foreach(list, i, g) {
		printf("  g%-5lld %s ", client_number(g, "grant"),
		       json_is_true(json_object_get(g, "deny")) ? "deny " : "allow");
		print_safe(stdout, client_text(g, "rule"));
		printf(", ");
		print_left(g);
		printf(", by user %lld", client_number(g, "by"));
		if (client_text(g, "note")[0]) {
			printf(": ");
			print_safe(stdout, client_text(g, "note"));
		}
		putchar('\n');
	}
}

static void print_processes(const json_t *list)
{
	const json_t *p;
	size_t i;

	printf("processes: %zu\n", json_array_size(list));
	json_array_foreach(list, i, p) {
		int depth = (int)MIN(client_number(p, "depth"), 40ll);

		printf("  %8lld %*s", client_number(p, "pid"), 2 * depth, "");
		print_safe(stdout, client_text(p, "command"));
		putchar('\n');
	}
}

static void print_end(const json_t *f, const char *addr, const char *port)
{
	const char *a = client_text(f, addr);

	printf(strchr(a, ':') ? "[" : "");
	print_safe(stdout, a);
	printf(strchr(a, ':') ? "]:%lld" : ":%lld", client_number(f, port));
}

static void print_flows(const json_t *list)
{
	const json_t *f;
	size_t i;

	printf("connections: %zu\n", json_array_size(list));
	if (json_array_size(list))
		printf("  %-4s %-12s %9s %9s  %s\n", "", "STATE", "SENT", "RECEIVED", "WHERE");
	json_array_foreach(list, i, f) {
		printf("  %-4.8s %-12.12s", client_text(f, "protocol"), client_text(f, "state"));
		print_bytes(json_object_get(f, "sent"));
		print_bytes(json_object_get(f, "received"));
		printf("  ");
		if (client_text(f, "name")[0]) {
			print_safe(stdout, client_text(f, "name"));
			putchar(' ');
		}
		if (client_number(f, "port"))
			print_end(f, "address", "port");
		printf("%sfrom ", client_number(f, "port") ? " " : "");
		print_end(f, "local", "local_port");
		putchar('\n');
	}
}

static void print_denials(const json_t *list)
{
	const json_t *r;
	size_t i;

	printf("denials by rule: %zu\n", json_array_size(list));
	json_array_foreach(list, i, r) {
		printf("  %8lld  ", client_number(r, "count"));
		if (client_text(r, "rule")[0]) {
			print_safe(stdout, client_text(r, "rule"));
			printf(" ");
		}
		print_safe(stdout, client_text(r, "text"));
		putchar('\n');
	}
}

int cmd_show(int argc, char **argv)
{
	json_t *request, *answer = NULL;
	bool json = false;
	int status;

	if (options_done(&line, &json, &argc, &argv, &status))
		return status;
	request = json_pack("{s:s, s:o}", "op", "show", "sandbox",
			    ref_sandbox(argc ? argv[0] : REF_LAST));
	if (!request)
		return options_bad(&line, "which sandbox? expected a number or a name");
	status = client_call(request, &answer);
	json_decref(request);
	if (!status && json) {
		(void)print_json(stdout, answer, JSON_INDENT(2));
	} else if (!status) {
		print_head(answer);
		print_grants(json_object_get(answer, "grants"));
		print_processes(json_object_get(answer, "processes"));
		print_flows(json_object_get(answer, "flows"));
		print_denials(json_object_get(answer, "denials"));
		if (json_is_true(json_object_get(answer, "more")))
			printf("(more processes or connections than are listed)\n");
	}
	json_decref(answer);
	return status;
}
