/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* "run" and "end": the life of one sandbox, tied to one connection. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "compile.h"
#include "denials.h"
#include "eventlog.h"
#include "events.h"
#include "policy_send.h"
#include "publish.h"
#include "sandbox.h"
#include "server_int.h"
#include "task_check.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define NAME_LEN_MAX 64u

/* ---- the end ---------------------------------------------------------------------------- */

/*
 * Tasks that root moved out of the cgroup survive its end; they are refused
 * everything, so finding them can wait until the loop has nothing else to do.
 */
static int on_sweep(sd_event_source *src, void *ctx)
{
	struct server *s = ctx;

	(void)src;
	/* whose processes look like survivors */
	s->sweep_waits = server_canary_is_on(s);
	if (s->sweep_waits)
		return 0;
	sweep_dead(agent_map_fd(s->a, AGENT_MAP_TASKS), agent_sandboxes(s->a));
	server_names_sweep(s);
	return 0;
}

static void sweep_later(struct server *s)
{
	if (!s->sweep) {
		if (sd_event_add_defer(s->loop, &s->sweep, on_sweep, s) < 0)
			return; /* no memory: the next end tries again */
		(void)sd_event_source_set_priority(s->sweep, SD_EVENT_PRIORITY_IDLE);
	}
	(void)sd_event_source_set_enabled(s->sweep, SD_EVENT_ONESHOT);
}

void server_sweep_waiting(struct server *s)
{
	if (!s->sweep_waits)
		return;
	s->sweep_waits = false;
	sweep_later(s);
}

void conn_finish(struct conn *c)
{
	struct server *s = c->s;
	struct eg_sandbox last;
	json_t *answer;
	uint64_t id;
	int err;

	c->empty = sd_event_source_disable_unref(c->empty);
	c->timer = sd_event_source_disable_unref(c->timer);
	server_events_drain(s);
	last = *sandbox_counters(c->box);
	events_end(s->events, &last);
	conn_trace_end(c);
	conn_names_end(c);
	grants_free(c, true);
	conn_denials_end(c, false);
	server_events_flush(s);
	answer = json_pack("{s:I, s:I, s:I, s:I, s:s?}", "denied", (json_int_t)last.denied,
			   "suppressed", (json_int_t)last.ev_suppressed, "lost",
			   (json_int_t)last.ev_lost, "failed", (json_int_t)last.failed, "note",
			   c->note);
	id = last.id;
	err = sandbox_remove(c->box);
	if (err)
		fprintf(stderr, "egressd: cannot remove a sandbox's cgroup: %s\n", strerror(-err));
	c->box = NULL;
	server_forget(s, id);
	sweep_later(s);
	if (c->want_end)
		conn_reply(c, answer);
	else
		json_decref(answer);
	if (c->closed)
		conn_free(c);
}

static int on_empty(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct conn *c = ctx;

	(void)src;
	(void)fd;
	(void)revents;
	if (sandbox_empty(c->box) && (c->killed || sandbox_kind(c->box) == SANDBOX_ENTERED))
		conn_finish(c);
	return 0;
}

void conn_kill(struct conn *c, const char *note)
{
	c->killed = true;
	if (note && !c->note)
		c->note = note;
	sandbox_kill(c->box);
	if (sandbox_empty(c->box))
		conn_finish(c);
	/* else on_empty() is called when it is */
}

/* A launcher whose egressd was started anew comes back for the end of its run. */
static int take_over(struct conn *c, const json_t *id)
{
	struct sandbox *b = json_is_integer(id) ? sandboxes_find(c->s->sandboxes,
								 (uint64_t)json_integer_value(id)) :
						  NULL;
	struct conn *from = b ? sandbox_owner(b) : NULL;
	struct diag d;
	int err;

	if (!from || from->fd >= 0 || (c->peer.uid && c->peer.uid != sandbox_uid(b)))
		return -ENOENT;
	c->box = steal_ptr(from->box);
	conn_names_take(c, from);
	grants_take(c, from);
	conn_denials_take(c, from);
	conn_trace_take(c, from);
	c->note = from->note;
	c->deadline = from->deadline;
	conn_free(from);
	sandbox_set_owner(c->box, c);
	c->timer = sd_event_source_disable_unref(c->timer); /* patience: it has something now */
	err = conn_watch(c, &d);
	if (err)
		sandbox_kill(c->box); /* nobody would see it end: the next start does */
	return err;
}

void serve_end(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	(void)fds;
	(void)nfds;
	if (!c->box && take_over(c, json_object_get(request, "sandbox"))) {
		conn_error(c, 125, "nothing runs on this connection");
		return;
	}
	c->want_end = true;
	conn_kill(c, NULL);
}

static uint64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static int on_timeout(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct conn *c = ctx;

	(void)src;
	(void)usec;
	/* the launcher sees its child die and asks for the end */
	c->note = "the time limit was reached";
	sandbox_kill(c->box);
	return 0;
}

/* ---- the beginning -------------------------------------------------------------------------- */

struct run_request {
	struct run_policy policy;
	const char *name, *events;
	json_t *limits, *ttys;
	int fail_fast;
	json_int_t uid;
	const char *without_lsm;
	struct hold hold;
};

static int parse_request(struct conn *c, json_t *request, struct run_request *r)
{
	json_error_t e;
	const char *op;
	int audit = 0, egress_only = 0, trace = 0;

	*r = (struct run_request){ .uid = -1, .hold.ruleset = -1 };
	if (json_unpack_ex(request, &e, JSON_STRICT,
			   "{s:s, s:o, s:o, s?s, s?s, s?b, s?b, s?b, s?s, s?b, s?s, s?o, s?o, s?I}",
			   "op", &op, "policies", &r->policy.policies, "texts", &r->policy.texts,
			   "tmpdir", &r->policy.tmpdir, "name", &r->name, "audit", &audit,
			   "trace", &trace, "egress_only", &egress_only, "without_lsm",
			   &r->without_lsm, "fail_fast",
			   &r->fail_fast, "events", &r->events, "limits", &r->limits, "ttys",
			   &r->ttys, "uid", &r->uid)) {
		conn_error(c, 2, "bad request: %s", e.text);
		return -EINVAL;
	}
	r->policy.audit = audit;
	r->policy.trace = trace;
	r->policy.egress_only = egress_only;
	if (!json_is_array(r->policy.policies) || !json_array_size(r->policy.policies) ||
	    !json_is_array(r->policy.texts) || (r->limits && !json_is_array(r->limits)) ||
	    (r->ttys && !json_is_array(r->ttys))) {
		conn_error(c, 2, "bad request: an array was expected");
		return -EINVAL;
	}
	if (r->name && strlen(r->name) > NAME_LEN_MAX) {
		conn_error(c, 2, "a name may have %u bytes", NAME_LEN_MAX);
		return -EINVAL;
	}
	return 0;
}

/* Whom it is for: root may name somebody else (sudo). */
static int choose_uid(struct conn *c, json_int_t uid)
{
	if (uid < 0)
		return 0;
	if (c->peer.uid != 0 || uid >= UINT32_MAX) {
		conn_error(c, 125, "only root runs commands for other users");
		return -EPERM;
	}
	c->uid = uid;
	return 0;
}

static int fill_spec(struct conn *c, const struct run_request *r, struct sandbox_spec *spec,
		     struct diag *d)
{
	const struct policy_runtime *run = &spec->version->compiled->run;
	size_t i;
	int err;

	spec->uid = c->uid;
	spec->name = r->name;
	for (i = 0; r->limits && i < json_array_size(r->limits); i++) {
		const char *text = json_string_value(json_array_get(r->limits, i));

		err = limits_parse(&spec->limits, text ? text : "", d);
		if (err)
			return err;
	}
	limits_merge(&spec->limits, &(struct limits){ .memory = run->memory,
						      .pids = run->pids,
						      .cpu_percent = run->cpu,
						      .time_ms = run->time_ms });
	for (i = 0; r->ttys && i < json_array_size(r->ttys) && i < ARRAY_SIZE(spec->ttys); i++)
		spec->ttys[spec->nttys++] = json_integer_value(json_array_get(r->ttys, i));
	return 0;
}

static json_t *string_array(char *const *list)
{
	json_t *a;

	if (!list)
		return json_null();
	a = json_array();
	for (; *list; list++)
		(void)json_array_append_new(a, json_string(*list));
	return a;
}

/* What the child has to know before it executes the command. */
static json_t *describe(const struct conn *conn, const struct hold *h)
{
	const struct sandbox *b = conn->box;
	const struct compiled *c = sandbox_version(b)->compiled;
	json_t *notices = json_array();
	uint32_t i;

	for (i = 0; i < c->nnotices; i++)
		(void)json_array_append_new(notices, json_string(c->notices[i]));
	return json_pack("{s:I, s:b, s:b, s:o, s:o*, s:{s:b, s:o, s:o, s:o, s:s*}}", "sandbox",
			 (json_int_t)sandbox_id(b), "audit",
			 (c->head.flags & EG_P_AUDIT) != 0, "no_paths",
			 agent_egress_only(conn->s->a) && !h->plan, "notices", notices, "landlock",
			 hold_describe(h, c), "env", "keys",
			 (c->head.privileges & EG_PRIV_KEYS) != 0, "keep",
			 string_array(c->run.env_keep), "set", string_array(c->run.env_set), "only",
			 string_array(c->run.env_only), "denials",
			 conn->denials ? denials_path(conn->denials) : NULL);
}

int conn_watch(struct conn *c, struct diag *d)
{
	sd_event *loop = c->s->loop;
	int err;

	err = sd_event_add_io(loop, &c->empty, sandbox_events_fd(c->box), EPOLLPRI, on_empty, c);
	if (err >= 0 && c->deadline)
		err = sd_event_add_time(loop, &c->timer, CLOCK_MONOTONIC, c->deadline, 0,
					on_timeout, c);
	return err < 0 ? diag_set(d, err, "out of memory") : 0;
}

int conn_start_time(struct conn *c, struct diag *d)
{
	if (sandbox_limits(c->box)->time_ms)
		c->deadline = monotonic_us() + sandbox_limits(c->box)->time_ms * 1000;
	return conn_watch(c, d);
}

static int start(struct conn *c, struct run_request *r, const struct version *v,
		 struct diag *d)
{
	_cleanup_free_ char *names = policy_send_names(r->policy.policies, r->policy.texts);
	struct sandbox_spec spec = { .version = v, .policies = names, .rights = conn_may_gain(c) };
	int err;

	err = names ? fill_spec(c, r, &spec, d) : diag_set(d, -ENOMEM, "out of memory");
	if (err)
		return err;
	err = sandbox_new(c->s->sandboxes, &spec, &c->box, d);
	if (err)
		return err;
	sandbox_set_owner(c->box, c);
	c->timer = sd_event_source_disable_unref(c->timer);
	conn_denials_start(c, false);
	err = hold_make(&r->hold, c->denials ? denials_path(c->denials) : NULL, d);
	if (!err)
		err = conn_start_time(c, d);
	if (!err)
		err = conn_trace_start(c, false, d);
	if (!err)
		err = conn_names_start(c, pidfd_pid(c->child), d);
	if (!err)
		err = sandbox_enter(c->box, c->child, c->peer.uid, d);
	if (err) {
		c->want_end = false;
		conn_kill(c, NULL);
		return err;
	}
	server_save(c);
	return 0;
}

bool conn_may_gain(const struct conn *c)
{
	return !c->peer.uid || c->s->config->new_privileges;
}

/* Before anything of the process is looked at, or done in its network, on behalf of the peer. */
static int check_child(struct conn *c, struct diag *d)
{
	pid_t pid;
	int err;

	err = task_check(c->child, c->peer.uid, &pid, d);
	if (err || conn_may_gain(c))
		return err;
	return task_check_privs(c->child, d);
}

void serve_run(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	const struct version *v;
	struct run_request r;
	struct diag d = {};
	char cwd[PATH_MAX];
	json_t *need = NULL;
	int err;

	if (c->box) {
		conn_error(c, 125, "this connection runs a command already");
		return;
	}
	if (parse_request(c, request, &r) || choose_uid(c, r.uid))
		return;
	if (nfds == 1 && c->child < 0) {
		c->child = fds[0];
		fds[0] = -1;
	}
	if (c->child < 0) {
		conn_error(c, 125, "bad request: no process came with it");
		return;
	}
	if (c->uid && sandboxes_of_uid(c->s->sandboxes, c->uid) >= c->s->config->max_per_uid) {
		conn_error(c, 125, "%u sandboxes of this user run already",
			   c->s->config->max_per_uid);
		return;
	}
	if (check_child(c, &d)) {
		conn_error_diag(c, 125, &d);
		return;
	}
	err = task_cwd(c->child, cwd, sizeof(cwd));
	if (err) {
		conn_error(c, 125, "the working directory cannot be told: %s", strerror(-err));
		return;
	}
	r.policy.cwd = cwd;
	r.policy.uid = c->uid;
	r.policy.payer = c->peer.uid;
	err = hold_choose(c, r.without_lsm, &r.policy, &d);
	if (err) {
		conn_error_diag(c, err == -EINVAL ? 2 : 125, &d);
		return;
	}
	err = server_policy(c->s, &r.policy, &v, &need, &d);
	if (!err) {
		conn_reply(c, json_pack("{s:o}", "need", need));
		return;
	}
	if (err > 0) {
		c->events = !r.events			  ? CONN_NO_EVENTS :
			    str_eq(r.events, "json") ? CONN_JSON :
							  CONN_LINES;
		c->fail_fast = r.fail_fast;
		c->freeze = v->compiled->run.freeze;
		err = hold_plan(c, v->compiled, &r.hold, &d);
		if (!err)
			err = start(c, &r, v, &d);
		publisher_unref(c->s->publisher, v);
	}
	if (!err)
		conn_reply_with(c, describe(c, &r.hold), r.hold.ruleset);
	else if (d.err) /* else the answer was given with it */
		conn_error_diag(c, err == -EINVAL ? 2 : 125, &d);
	hold_clear(&r.hold);
}
