/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "config.h"
#include "control.h"
#include "diag.h"
#include "host.h"
#include "run_agent.h"
#include "state.h"
#include "util.h"

/* The loop ends with the launcher's connection and what ran on it. */
static int on_idle(sd_event_source *src, void *ctx)
{
	struct server *s = ctx;

	if (!server_connections(s))
		return sd_event_exit(sd_event_source_get_event(src), 0);
	return 0;
}

static int serve_until_done(struct agent *a, int fd, enum without_lsm without, struct diag *d)
{
	struct config config;
	/* where `log` and `report` look for it */
	_cleanup_free_ char *dir = config_log_dir(CONFIG_FILE, NULL);
	struct server_options o = { .log_dir = dir, .max_connections = 1,
				    .config = &config };
	sd_event_source *post = NULL;
	struct server *s = NULL;
	sd_event *loop = NULL;
	json_t *ready;
	int err;

	config_defaults(&config);
	config.without_lsm = without;
	err = sd_event_new(&loop);
	if (err < 0)
		return diag_set(d, err, "out of memory");
	err = server_new(loop, a, &o, &s, d);
	if (!err) {
		ready = json_pack("{s:b}", "ok", 1);
		err = control_send(fd, ready, NULL, 0);
		json_decref(ready);
	}
	if (!err)
		err = server_serve(s, fd);
	if (!err)
		err = sd_event_add_post(loop, &post, on_idle, s);
	if (err >= 0) {
		(void)sd_event_loop(loop);
		server_kill_all(s);
		err = 0;
	}
	sd_event_source_unref(post);
	server_free(s);
	sd_event_unref(loop);
	return err;
}

int run_agent(bool egress_only, enum without_lsm without, struct diag *d)
{
	struct agent_options o = { .egress_only = egress_only };
	struct agent *a = NULL;
	int kind = 0, err, fd = RUN_AGENT_FD;
	socklen_t len = sizeof(kind);
	uint64_t start = 0;
	char name[64];

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &len) || kind != SOCK_SEQPACKET)
		return diag_set(d, -EINVAL,
				"--for-run is how egressctl run starts an agent of its own: "
				"descriptor %d is not its socket", fd);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)prctl(PR_SET_NAME, "egress-agent");
	sweep_dead_runs();
	(void)process_start(getpid(), &start); /* 0 only makes it look dead to others */
	snprintf(name, sizeof(name), AGENT_NAME_RUN "%d-%" PRIu64, getpid(), start);
	o.name = name;
	if (without != WITHOUT_LSM_REFUSE && !host_has_bpf_lsm())
		o.egress_only = true;
	err = agent_open(&o, &a, d);
	if (!err)
		err = serve_until_done(a, fd, without, d);
	if (err) {
		char text[2048];
		json_t *msg = json_pack("{s:s, s:i}", "error",
					d->err ? diag_text(d, text, sizeof(text)) :
						"the agent failed",
					"exit", 125);

		(void)control_send(fd, msg, NULL, 0); /* the launcher sees the end anyhow */
	}
	/* a task that cannot be killed goes on being refused; the next agent removes the rest */
	agent_close(a, a && agent_in_use(a) ? 0 : AGENT_REMOVE);
	return err;
}
