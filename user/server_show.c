/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Requests that list: ps, find, show. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compile.h"
#include "event_text.h"
#include "flow_list.h"
#include "proc_list.h"
#include "publish.h"
#include "rule_counts.h"
#include "run_limits.h"
#include "sandbox.h"
#include "server_int.h"
#include "sock_diag.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define NETNS_MAX 16u /* network namespaces of one sandbox that are looked into */

static json_t *one_line(const struct sandbox *b)
{
	const struct compiled *c = sandbox_version(b)->compiled;
	const struct eg_sandbox *n = sandbox_counters(b);

	const struct conn *owner = sandbox_owner(b);
	bool frozen = owner && owner->freeze && sandbox_is_frozen(b);

	return json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:b}", "sandbox",
			 (json_int_t)sandbox_id(b), "name", sandbox_name(b), "policy",
			 sandbox_policy(b), "uid", (json_int_t)sandbox_uid(b), "pid",
			 (json_int_t)sandbox_leader(b), "serial",
			 (json_int_t)sandbox_version(b)->serial, "started",
			 (json_int_t)(sandbox_started(b) / 1000000000), "denied",
			 (json_int_t)n->denied, "mode",
			 c->head.flags & EG_P_AUDIT ? "audit" : "enforce", "frozen", frozen);
}

void serve_ps(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	json_t *list = json_array();
	struct sandbox *b = NULL;
	struct diag d = {};
	bool refuses = server_canary_refuses(c->s, &d);

	(void)request;
	(void)fds;
	(void)nfds;
	while ((b = sandboxes_next(c->s->sandboxes, b)))
		if (server_may_see(c, b))
			(void)json_array_append_new(list, one_line(b));
	server_left_list(c, list);
	conn_reply(c, json_pack("{s:o, s:s?}", "sandboxes", list, "refuses",
				refuses ? d.msg : NULL));
}

void serve_find(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct diag d = {};
	struct sandbox *b = server_find(c, json_object_get(request, "sandbox"), &d);

	(void)fds;
	(void)nfds;
	if (b)
		conn_reply(c, one_line(b));
	else
		conn_error_diag(c, d.err == -EINVAL ? 2 : 1, &d);
}

/* ---- show: the parts that the server knows --------------------------------------------- */

static bool has_string(const json_t *list, const char *s)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (str_eq(json_string_value(v), s))
			return true;
	return false;
}

/* The first one, then those that rules came from. */
static json_t *policy_files(const struct compiled *c)
{
	json_t *list = json_array();

	(void)json_array_append_new(list, json_string(c->run.file));
	for (uint32_t i = 0; i < c->nrules; i++)
		if (c->rules[i].line && !has_string(list, c->rules[i].file))
			(void)json_array_append_new(list, json_string(c->rules[i].file));
	return list;
}

static json_t *limits_of(const struct sandbox *b)
{
	const struct limits *l = sandbox_limits(b);

	return json_pack("{s:I, s:I, s:I, s:I}", "memory", (json_int_t)l->memory, "pids",
			 (json_int_t)l->pids, "cpu_percent", (json_int_t)l->cpu_percent, "time_ms",
			 (json_int_t)l->time_ms);
}

static json_t *counters_of(const struct sandbox *b)
{
	const struct eg_sandbox *n = sandbox_counters(b);

	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "denied", (json_int_t)n->denied, "events",
			 (json_int_t)n->ev_seq, "suppressed", (json_int_t)n->ev_suppressed, "lost",
			 (json_int_t)n->ev_lost, "failed", (json_int_t)n->failed);
}

static json_t *known_parts(const struct sandbox *b)
{
	const struct conn *owner = sandbox_owner(b);
	const struct compiled *c = sandbox_version(b)->compiled;
	json_t *j = one_line(b);

	if (!j || json_object_update_new(
			  j, json_pack("{s:o, s:s?, s:o, s:o, s:o, s:o}", "policy_files",
				       policy_files(c), "description", c->run.description, "limits",
				       limits_of(b), "grants", grants_describe(b), "counters",
				       counters_of(b), "denials",
				       rule_counts_describe(owner ? owner->counts : NULL)))) {
		json_decref(j);
		return NULL;
	}
	return j;
}

/* ---- show: what has to be looked at, in a process of its own ----------------------------- */

static json_t *process_list(const struct proc_list *list)
{
	json_t *a = json_array();

	for (size_t i = 0; i < list->n; i++) {
		const struct proc *p = &list->v[i];
		struct text command = { 0 };
		json_t *j = NULL;

		text_add_escaped(&command, p->command, p->len);
		if (!command.failed)
			j = json_pack("{s:I, s:I, s:I, s:I, s:s%}", "pid", (json_int_t)p->pid,
				      "parent", (json_int_t)p->parent, "uid", (json_int_t)p->uid,
				      "depth", (json_int_t)p->depth, "command", command.p,
				      command.len);
		if (j)
			(void)json_array_append_new(a, j);
		text_free(&command);
	}
	return a;
}

/*
 * In each network namespace that one of the processes is in. This process is nobody
 * else's and ends with the answer: there is no way back to be found.
 */
static void read_flows(const struct server *s, const struct sandbox *b,
		       const struct proc_list *procs, struct flow_list *flows)
{
	const struct flows_owner owner = server_flows_owner(s, b, procs->cgroups, procs->ncgroups);
	ino_t seen[NETNS_MAX];
	size_t nseen = 0;

	for (size_t i = 0; i < procs->n && nseen < NETNS_MAX; i++) {
		_cleanup_close_ int fd = -1;
		char path[48];
		struct stat st;
		size_t k;

		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", procs->v[i].pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st))
			continue; /* it ended */
		for (k = 0; k < nseen && seen[k] != st.st_ino; k++)
			;
		if (k < nseen)
			continue;
		seen[nseen++] = st.st_ino;
		if (!setns(fd, CLONE_NEWNET))
			(void)flow_list_add(flows, &owner);
	}
}

static json_t *json_bytes(const struct flow *f, uint64_t n)
{
	return f->counted ? json_integer((json_int_t)n) : json_null();
}

static json_t *one_flow(struct conn *owner, const struct flow *f)
{
	char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN], proto[EVENT_NAME_MAX];
	const char *name = f->rport && owner ? conn_name_of(owner, f->remote) : NULL;
	struct text escaped = { 0 };
	json_t *j;

	if (name)
		text_add_escaped(&escaped, name, strlen(name));
	j = json_pack("{s:s, s:s, s:s, s:i, s:s?, s:i, s:s?, s:o, s:o}", "protocol",
		      event_name(EVENT_NAMES_PROTO, f->proto, proto), "state",
		      f->proto == IPPROTO_TCP ? flow_state_name(f->state) :
		      f->rport		      ? "connected" : "open",
		      "local", event_addr_text(f->local, local), "local_port", f->lport,
		      "address", f->rport ? event_addr_text(f->remote, remote) : NULL, "port",
		      f->rport, "name", escaped.p, "sent", json_bytes(f, f->sent), "received",
		      json_bytes(f, f->received));
	text_free(&escaped);
	return j;
}

/* `answer` was made before the fork: a child has no access to the maps. */
static void __attribute__((noreturn)) show_child(struct conn *c, struct sandbox *b,
						 json_t *answer)
{
	struct proc_list procs = { 0 };
	struct flow_list flows = { 0 };
	json_t *list = json_array();
	int err;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	err = proc_list_read(&procs, sandbox_cgroup_fd(b));
	read_flows(c->s, b, &procs, &flows);
	for (size_t i = 0; i < flows.n; i++)
		(void)json_array_append_new(list, one_flow(sandbox_owner(b), &flows.v[i]));
	if (!answer || err ||
	    json_object_update_new(answer, json_pack("{s:o, s:o, s:b}", "processes",
						     process_list(&procs), "flows", list, "more",
						     procs.more || flows.more))) {
		json_decref(answer);
		answer = json_pack("{s:s, s:i}", "error", "its processes cannot be read", "exit",
				   125);
	}
	(void)conn_send_slowly(c, answer);
	_exit(0);
}

void serve_show(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct diag d = {};
	json_t *known = NULL;
	struct sandbox *b;

	(void)fds;
	(void)nfds;
	server_events_drain(c->s); /* what happened before the question counts */
	b = server_find(c, json_object_get(request, "sandbox"), &d);
	if (b)
		known = known_parts(b);
	if (!b)
		conn_error_diag(c, d.err == -EINVAL ? 2 : 1, &d);
	else if (c->box || c->logger)
		conn_error(c, 1, "this connection is busy");
	else if (!conn_fork(c))
		show_child(c, b, known);
	json_decref(known);
}
