/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * egress-run: run one command in a sandbox of egressd. See egress-run(1).
 *
 * Small on purpose: with launch*.c, environ.c and control_proto.c this is all
 * that runs between the caller and the command. It needs no rights; it reads the
 * policy as its user and leaves the rest to egressd.
 */
#include <errno.h>
#include <string.h>

#include "control.h"
#include "diag.h"
#include "launch.h"
#include "options.h"
#include "task_check.h"

static int fail(int status, const struct diag *d)
{
	diag_print(stderr, "egress-run", d);
	return status;
}

int main(int argc, char **argv)
{
	struct diag d = {};
	struct launch l;
	bool help;
	int fd;

	if (launch_parse(&launch_egress_run, &l, argc, argv, &help, &d))
		return options_bad(&launch_egress_run, "%s", d.msg);
	if (help) {
		options_help(&launch_egress_run, stdout);
		return 0;
	}
	if (task_self_in_sandbox()) {
		(void)diag_set(&d, -EPERM, LAUNCH_NESTED);
		return fail(LAUNCH_FAILED, &d);
	}
	if (launch_sudo_user(&l, &d))
		return fail(LAUNCH_FAILED, &d);
	fd = control_connect(CONTROL_SOCKET);
	if (fd < 0) {
		(void)diag_set(&d, fd, "cannot reach egressd at %s: %s", CONTROL_SOCKET,
			       fd == -EUCLEAN ? "it is not root's" : strerror(-fd));
		return fail(LAUNCH_FAILED, &d);
	}
	return launch_run(&l, fd);
}
