/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl run`: through egressd, or with an agent of its own as root. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "control.h"
#include "diag.h"
#include "launch.h"
#include "local_agent.h"
#include "options.h"
#include "task_check.h"
#include "util.h"

static int fail(int status, const struct diag *d)
{
	diag_print(stderr, "egressctl", d);
	return status;
}

static void wait_for_agent(void *ctx)
{
	local_agent_wait(ctx);
}

/* A connection to whoever will run it. */
static int connect_or_start(const struct launch *l, struct local_agent *la, bool *ours,
			    struct diag *d)
{
	enum without_lsm without;
	int fd, err;

	fd = control_connect(CONTROL_SOCKET);
	if (fd >= 0)
		return fd;
	if ((fd == -EPERM || fd == -EACCES) && geteuid() != 0)
		return diag_set(d, fd, "this user may not use egressd (%s: %s)", CONTROL_SOCKET,
				strerror(-fd));
	if (fd == -EUCLEAN)
		return diag_set(d, fd, "%s does not belong to root's egressd", CONTROL_SOCKET);
	if (geteuid() != 0)
		return diag_set(d, -EPERM,
				"egressd is not running, and without it root is needed: start the "
				"service (egressd, as root), or use sudo");
	err = local_agent_start(l->egress_only, l->without_lsm &&
				!without_lsm_parse(l->without_lsm, &without) ? &without : NULL, la,
				d);
	*ours = !err;
	return err ? err : la->control;
}

int cmd_launch(struct launch *l)
{
	struct local_agent la;
	struct diag d = {};
	bool ours = false;
	int fd;

	if (task_self_in_sandbox()) {
		(void)diag_set(&d, -EPERM, LAUNCH_NESTED);
		return fail(LAUNCH_FAILED, &d);
	}
	fd = connect_or_start(l, &la, &ours, &d);
	if (fd < 0)
		return fail(LAUNCH_FAILED, &d);
	if (ours) {
		l->server_is_ours = true;
		l->cleanup = wait_for_agent;
		l->cleanup_ctx = &la;
	}
	return launch_run(l, fd);
}

int cmd_run(int argc, char **argv)
{
	struct diag d = {};
	struct launch l;
	bool help;

	if (launch_parse(&launch_egressctl, &l, argc, argv, &help, &d))
		return options_bad(&launch_egressctl, "%s", d.msg);
	if (help) {
		options_help(&launch_egressctl, stdout);
		return 0;
	}
	if (launch_sudo_user(&l, &d))
		return fail(LAUNCH_FAILED, &d);
	if (l.report) {
		l.after = report_after_run;
		l.after_ctx = &l;
	}
	return cmd_launch(&l);
}
