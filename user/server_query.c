/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Requests that look and do not run: kill, log, status. For ps and show see server_show.c. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_load.h"
#include "cgroup.h"
#include "eventlog.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

void serve_kill(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct diag d = {};
	struct conn *owner;
	struct sandbox *b;
	uint64_t id;

	(void)fds;
	(void)nfds;
	b = server_find(c, json_object_get(request, "sandbox"), &d);
	if (!b && server_left_kill(c, json_object_get(request, "sandbox"), &id)) {
		conn_reply(c, json_pack("{s:I}", "sandbox", (json_int_t)id));
		return;
	}
	if (!b) {
		conn_error_diag(c, d.err == -EINVAL ? 2 : 1, &d);
		return;
	}
	owner = sandbox_owner(b);
	if (owner && !owner->note)
		owner->note = "killed by egressctl kill";
	id = sandbox_id(b);
	sandbox_kill(b);
	conn_reply(c, json_pack("{s:I}", "sandbox", (json_int_t)id));
}

void serve_status(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	const char *const *m = agent_missing_hooks(c->s->a);
	json_t *missing = json_array(), *limits;

	(void)request;
	(void)fds;
	(void)nfds;
	for (; *m; m++)
		(void)json_array_append_new(missing, json_string(*m));
	limits = json_pack("{s:I, s:I}", "sandboxes_per_user",
			   (json_int_t)c->s->config->max_per_uid,
			   "connections", (json_int_t)c->s->o.max_connections);
	conn_reply(c, json_pack("{s:i, s:b, s:s, s:o, s:o}", "abi", EG_ABI, "egress_only",
				agent_egress_only(c->s->a), "cgroup", agent_cgroup_path(c->s->a),
				"missing_hooks", missing, "limits", limits));
}

/* ---- log: a process of its own, because reading files and a slow reader block -------- */

/*
 * In a child, which waits for a slow reader by itself: O_NONBLOCK belongs to the socket, so
 * that without it the server would wait, too, once the child is gone.
 */
int conn_send_slowly(struct conn *c, const json_t *msg)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT };
	int err;

	while ((err = control_send(c->fd, msg, NULL, 0)) == -EAGAIN)
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
	return err;
}

/*
 * In a child that may go on for as long as somebody reads: what the server closes must not
 * stay open in it, or other clients would never see their end.
 */
void conn_alone(struct conn *c)
{
	if (dup2(c->fd, STDERR_FILENO + 1) < 0)
		return;
	c->fd = STDERR_FILENO + 1;
	(void)close_range((unsigned int)c->fd + 1, ~0u, 0);
}

static int send_line(void *ctx, const char *line, size_t len)
{
	struct conn *c = ctx;
	json_t *msg = line ? json_pack("{s:s%}", "event", line, len) : NULL;
	int err = msg ? conn_send_slowly(c, msg) : 0;

	json_decref(msg);
	return err;
}

static void __attribute__((noreturn)) log_child(struct conn *c, const struct eventlog_filter *f,
						int follow)
{
	json_t *end;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the others are blocked for the loop of its parent */
	conn_alone(c);
	(void)eventlog_read(server_log_dir(c->s, c->s->config), f, follow, send_line, c);
	end = json_pack("{s:b}", "ok", 1);
	(void)conn_send_slowly(c, end);
	_exit(0);
}

static int on_log_end(sd_event_source *src, const siginfo_t *si, void *ctx)
{
	struct conn *c = ctx;

	(void)si;
	if (c)
		c->logger = NULL;
	sd_event_source_disable_unref(src);
	return 0;
}

/* As fork(), for what would block; the child answers. What fails is answered here. */
pid_t conn_fork(struct conn *c)
{
	pid_t pid = fork();
	int err = pid < 0 ? -errno : 0;

	if (pid > 0) {
		err = sd_event_add_child(c->s->loop, &c->logger, pid, WEXITED, on_log_end, c);
		if (err < 0 && !kill(pid, SIGKILL)) /* nobody would know when it ends */
			(void)waitpid(pid, NULL, 0);
	}
	if (err < 0)
		conn_error(c, 125, "cannot start a process: %s", strerror(-err));
	return err < 0 ? -1 : pid;
}

/* The peer is gone, and a log that is followed does not end by itself. */
void stop_log(struct conn *c)
{
	if (!c->logger)
		return;
	(void)sd_event_source_send_child_signal(c->logger, SIGKILL, NULL, 0);
	(void)sd_event_source_set_userdata(c->logger, NULL);
	c->logger = NULL; /* on_log_end() drops it */
}

void serve_log(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct eventlog_filter f = { .owner = c->peer.uid ? (int64_t)c->peer.uid : -1 };
	json_int_t sandbox = 0, since = 0;
	int follow = 0;
	const char *op;

	(void)fds;
	(void)nfds;
	if (json_unpack_ex(request, NULL, JSON_STRICT, "{s:s, s?I, s?I, s?b}", "op", &op, "sandbox",
			   &sandbox, "since", &since, "follow", &follow)) {
		conn_error(c, 2, "bad request");
		return;
	}
	if (!server_log_dir(c->s, c->s->config) || c->box || c->logger) {
		conn_error(c, 1, "no events are logged here");
		return;
	}
	f.sandbox = sandbox;
	f.since_ns = since;
	if (!conn_fork(c))
		log_child(c, &f, follow);
}
