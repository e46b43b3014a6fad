/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "config.h"
#include "control.h"
#include "diag.h"
#include "host.h"
#include "local_agent.h"
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

static void detach(int fd)
{
	sigset_t all;
	int null;

	/* the terminal's signals and the launcher's group are not for it */
	(void)setsid();
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && null >= 0; i++)
		(void)dup2(null, i);
	if (fd != 3)
		(void)dup3(fd, 3, O_CLOEXEC);
	(void)close_range(4, ~0u, 0);
	(void)!chdir("/"); /* only so that no mount is kept busy */
	(void)prctl(PR_SET_NAME, "egress-agent");
}

static void __attribute__((noreturn)) supervisor_main(bool egress_only, enum without_lsm without,
						       int fd)
{
	struct agent_options o = { .egress_only = egress_only };
	struct agent *a = NULL;
	struct diag d = {};
	uint64_t start = 0;
	char name[64];
	int err;

	detach(fd);
	fd = 3;
	sweep_dead_runs();
	(void)process_start(getpid(), &start); /* 0 only makes it look dead to others */
	snprintf(name, sizeof(name), AGENT_NAME_RUN "%d-%" PRIu64, getpid(), start);
	o.name = name;
	if (without != WITHOUT_LSM_REFUSE && !host_has_bpf_lsm())
		o.egress_only = true;
	err = agent_open(&o, &a, &d);
	if (!err)
		err = serve_until_done(a, fd, without, &d);
	if (err) {
		char text[2048];
		json_t *msg = json_pack("{s:s, s:i}", "error",
					d.err ? diag_text(&d, text, sizeof(text)) :
						"the agent failed",
					"exit", 125);

		(void)control_send(fd, msg, NULL, 0); /* the launcher sees the end anyhow */
	}
	/* a task that cannot be killed goes on being refused; the next agent removes the rest */
	agent_close(a, a && agent_in_use(a) ? 0 : AGENT_REMOVE);
	_exit(err ? 1 : 0);
}

int local_agent_start(bool egress_only, const enum without_lsm *without, struct local_agent *out,
		      struct diag *d)
{
	enum without_lsm mode = without ? *without : config_without_lsm(CONFIG_FILE, NULL);
	json_t *msg = NULL;
	int pair[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return diag_set(d, -errno, "cannot make a socket: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		close(pair[0]);
		supervisor_main(egress_only, mode, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return diag_set(d, -EAGAIN, "cannot start a process");
	}
	*out = (struct local_agent){ .control = pair[0], .supervisor = pid };
	err = control_recv(pair[0], &msg, NULL, NULL);
	if (err > 0 && json_object_get(msg, "ok")) {
		json_decref(msg);
		return 0;
	}
	if (err > 0)
		(void)diag_set(d, -EREMOTEIO, "%s",
			       json_string_value(json_object_get(msg, "error")) ?: "no answer");
	else
		(void)diag_set(d, -EREMOTEIO, "the agent ended early");
	json_decref(msg);
	close(pair[0]);
	local_agent_wait(out);
	return -EREMOTEIO;
}

void local_agent_wait(struct local_agent *la)
{
	while (waitpid(la->supervisor, NULL, 0) < 0 && errno == EINTR)
		;
}
