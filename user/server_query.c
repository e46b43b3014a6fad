/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Requests that look and do not run: ps, kill, log, status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_load.h"
#include "cgroup.h"
#include "compile.h"
#include "eventlog.h"
#include "publish.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

static bool may_see(const struct conn *c, const struct sandbox *b)
{
	return c->peer.uid == 0 || c->peer.uid == sandbox_uid(b);
}

static json_t *one_line(const struct sandbox *b)
{
	const struct eg_sandbox *n = sandbox_counters(b);

	return json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "sandbox",
			 (json_int_t)sandbox_id(b), "name", sandbox_name(b), "policy",
			 sandbox_policy(b), "uid", (json_int_t)sandbox_uid(b), "pid",
			 (json_int_t)sandbox_leader(b), "serial",
			 (json_int_t)sandbox_version(b)->serial, "started",
			 (json_int_t)(sandbox_started(b) / 1000000000), "denied",
			 (json_int_t)n->denied, "mode",
			 sandbox_version(b)->compiled->run.audit ? "audit" : "enforce");
}

void serve_ps(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	json_t *list = json_array();
	struct sandbox *b = NULL;

	(void)request;
	(void)fds;
	(void)nfds;
	while ((b = sandboxes_next(c->s->sandboxes, b)))
		if (may_see(c, b))
			(void)json_array_append_new(list, one_line(b));
	conn_reply(c, json_pack("{s:o}", "sandboxes", list));
}

void serve_kill(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	const json_t *id = json_object_get(request, "sandbox");
	struct conn *owner;
	struct sandbox *b;

	(void)fds;
	(void)nfds;
	b = json_is_integer(id) ?
		    sandboxes_find(c->s->sandboxes, (uint64_t)json_integer_value(id)) : NULL;
	if (!b || !may_see(c, b)) {
		conn_error(c, 1, "no such sandbox");
		return;
	}
	owner = sandbox_owner(b);
	if (owner && !owner->note)
		owner->note = "killed by egressctl kill";
	sandbox_kill(b);
	conn_reply(c, json_pack("{s:b}", "ok", 1));
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
	limits = json_pack("{s:I, s:I}", "sandboxes_per_user", (json_int_t)c->s->o.max_per_uid,
			   "connections", (json_int_t)c->s->o.max_connections);
	conn_reply(c, json_pack("{s:i, s:b, s:s, s:o, s:o}", "abi", EG_ABI, "egress_only",
				agent_egress_only(c->s->a), "cgroup", agent_cgroup_path(c->s->a),
				"missing_hooks", missing, "limits", limits));
}

/* ---- log: a process of its own, because reading files and a slow reader block -------- */

static int send_line(void *ctx, const char *line, size_t len)
{
	struct conn *c = ctx;
	json_t *msg = json_pack("{s:s%}", "event", line, len);
	int err = msg ? control_send(c->fd, msg, NULL, 0) : 0;

	json_decref(msg);
	return err;
}

static void __attribute__((noreturn)) log_child(struct conn *c, const struct eventlog_filter *f,
						int follow)
{
	json_t *end;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)fcntl(c->fd, F_SETFL, 0); /* blocking, for the parent too: it is done with it */
	(void)eventlog_read(c->s->o.log_dir, f, follow, send_line, c);
	end = json_pack("{s:b}", "ok", 1);
	(void)control_send(c->fd, end, NULL, 0);
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
	pid_t pid;

	(void)fds;
	(void)nfds;
	if (json_unpack_ex(request, NULL, JSON_STRICT, "{s:s, s?I, s?I, s?b}", "op", &op, "sandbox",
			   &sandbox, "since", &since, "follow", &follow)) {
		conn_error(c, 2, "bad request");
		return;
	}
	if (!c->s->o.log_dir || c->box || c->logger) {
		conn_error(c, 1, "no events are logged here");
		return;
	}
	f.sandbox = sandbox;
	f.since_ns = since;
	pid = fork();
	if (!pid)
		log_child(c, &f, follow);
	if (pid < 0 || sd_event_add_child(c->s->loop, &c->logger, pid, WEXITED, on_log_end, c) < 0)
		conn_error(c, 125, "cannot start a process: %s", strerror(errno));
}
