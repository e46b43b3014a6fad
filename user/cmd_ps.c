/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl ps` and `egressctl kill`: the sandboxes of egressd. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "control.h"
#include "diag.h"
#include "util.h"

#define FAILED 125

static int fail(int status, const struct diag *d)
{
	diag_print(stderr, "egressctl", d);
	return status;
}

static int connect_service(struct diag *d)
{
	int fd = control_connect(CONTROL_SOCKET);

	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return diag_set(d, fd, "egressd is not running");
	return fd < 0 ? diag_set(d, fd, "cannot reach egressd: %s", strerror(-fd)) : fd;
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* A text that a user chose, without what could act on a terminal. */
static const char *safe(const json_t *o, const char *key, char *buf, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	diag_escape(buf, size, s ? s : "", s ? strlen(s) : 0);
	return buf[0] ? buf : "-";
}

static void print_age(json_int_t started)
{
	long long s = (long long)time(NULL) - started;

	if (s < 0)
		s = 0;
	printf("%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

static void print_list(const json_t *list)
{
	const json_t *b;
	size_t i;

	printf("%8s %6s %8s %7s %-8s %-16s %-16s %s\n", "SANDBOX", "UID", "PID", "DENIED", "MODE",
	       "POLICY", "NAME", "AGE");
	json_array_foreach(list, i, b) {
		char mode[32], policy[128], name[128];

		printf("%8lld %6lld %8lld %7lld %-8s %-16s %-16s ", (long long)number(b, "sandbox"),
		       (long long)number(b, "uid"), (long long)number(b, "pid"),
		       (long long)number(b, "denied"), safe(b, "mode", mode, sizeof(mode)),
		       safe(b, "policy", policy, sizeof(policy)),
		       safe(b, "name", name, sizeof(name)));
		print_age(number(b, "started"));
		putchar('\n');
	}
}

int cmd_ps(int argc, char **argv)
{
	bool json = argc == 2 && str_eq(argv[1], "--json");
	json_t *request, *answer = NULL;
	struct diag d = {};
	int fd, err;

	if (argc > 1 && !json) {
		fprintf(stderr, "Usage: egressctl ps [--json]\n");
		return str_eq(argv[1], "--help") ? 0 : 2;
	}
	fd = connect_service(&d);
	if (fd < 0)
		return fail(FAILED, &d);
	request = json_pack("{s:s}", "op", "ps");
	err = control_call(fd, request, NULL, 0, NULL, NULL, &answer, NULL, &d);
	json_decref(request);
	if (!err && json) {
		(void)json_dumpf(json_object_get(answer, "sandboxes"), stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (!err) {
		print_list(json_object_get(answer, "sandboxes"));
	}
	json_decref(answer);
	close(fd);
	return err ? fail(FAILED, &d) : 0;
}

static int kill_one(int fd, const char *text)
{
	json_t *request;
	struct diag d = {};
	uint64_t id;
	int status = 0, err;

	if (parse_u64(text, 1, INT64_MAX, &id)) {
		(void)diag_set(&d, -EINVAL, "'%s' is not the number of a sandbox", text);
		return fail(2, &d);
	}
	request = json_pack("{s:s, s:I}", "op", "kill", "sandbox", (json_int_t)id);
	err = control_call(fd, request, NULL, 0, NULL, NULL, NULL, &status, &d);
	json_decref(request);
	if (!err)
		return 0;
	fprintf(stderr, "egressctl: %s: %s\n", text, d.msg);
	return status;
}

int cmd_kill(int argc, char **argv)
{
	int fd, i, status = 0;
	struct diag d = {};

	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "Usage: egressctl kill SANDBOX...\n");
		return argc == 2 && str_eq(argv[1], "--help") ? 0 : 2;
	}
	fd = connect_service(&d);
	if (fd < 0)
		return fail(FAILED, &d);
	for (i = 1; i < argc; i++) {
		int s = kill_one(fd, argv[i]);

		status = s ? s : status;
	}
	close(fd);
	return status;
}
