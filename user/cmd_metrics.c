/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl metrics`: what egressd counts, for Prometheus. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int cmd_metrics(int argc, char **argv)
{
	json_t *request, *answer = NULL;
	int status = FAILED, err;
	struct diag d = {};
	const char *text;
	size_t len;
	int fd;

	if (argc > 1) {
		bool help = str_eq(argv[1], "--help");

		fprintf(help ? stdout : stderr,
			"Usage: egressctl metrics\n\n"
			"Print what egressd counts, in the text format of Prometheus. As root.\n");
		return help ? 0 : 2;
	}
	fd = control_connect(CONTROL_SOCKET);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		(void)diag_set(&d, fd, "egressd is not running");
	else if (fd < 0)
		(void)diag_set(&d, fd, "cannot reach egressd: %s", strerror(-fd));
	if (fd < 0)
		return fail(FAILED, &d);
	request = json_pack("{s:s}", "op", "metrics");
	err = control_call(fd, request, NULL, 0, NULL, NULL, &answer, &status, &d);
	json_decref(request);
	close(fd);
	if (err)
		return fail(status ? status : FAILED, &d);
	text = json_string_value(json_object_get(answer, "text"));
	len = json_string_length(json_object_get(answer, "text"));
	status = text && fwrite(text, 1, len, stdout) == len && !fflush(stdout) ? 0 : FAILED;
	json_decref(answer);
	return status;
}
