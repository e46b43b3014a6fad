/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl metrics`: what egressd counts, for Prometheus. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "control.h"
#include "diag.h"
#include "options.h"
#include "util.h"

#define FAILED 125

static int fail(int status, const struct diag *d)
{
	diag_print(stderr, "egressctl", d);
	return status;
}

static const struct command_line line = {
	.name = "egressctl metrics",
	.args = "",
	.about = "Print what egressd counts, in the text format of Prometheus. As root.\n",
};

int cmd_metrics(int argc, char **argv)
{
	json_t *request, *answer = NULL;
	struct diag d = {};
	int status, err;
	const char *text;
	size_t len;
	int fd;

	if (options_done(&line, NULL, &argc, &argv, &status))
		return status;
	fd = control_connect(CONTROL_SOCKET);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		(void)diag_set(&d, fd, "egressd is not running");
	else if (fd < 0)
		(void)diag_set(&d, fd, "cannot reach egressd: %s", strerror(-fd));
	if (fd < 0)
		return fail(FAILED, &d);
	status = FAILED;
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
