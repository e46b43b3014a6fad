/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * "attach" and "detach": somebody else's cgroup under a policy. The sandbox belongs to no
 * connection: it lives until it is detached, or its cgroup is removed and no task of it
 * is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach.h"
#include "bpf_cover.h"
#include "bpf_load.h"
#include "cgroup.h"
#include "compile.h"
#include "events.h"
#include "policy_send.h"
#include "publish.h"
#include "rooted.h"
#include "sandbox.h"
#include "server_attach.h"
#include "server_int.h"
#include "task_check.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define LEFT_US 5000000 /* between looks for tasks that were moved out of a removed cgroup */

/* ---- the policy ------------------------------ */

static int uid_of(pid_t pid, uid_t *uid)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st))
		return -errno;
	*uid = st.st_uid;
	return 0;
}

int attach_policy(struct conn *c, struct attach_request *r, const struct version **v, json_t **need,
		  struct diag *d)
{
	_cleanup_close_ int pidfd = -1;
	char cwd[PATH_MAX] = "/";
	struct rooted root;
	int err = 0;

	r->policy.cwd = cwd;
	r->policy.uid = 0;
	r->policy.payer = c->peer.uid;
	if (!r->leader)
		return server_policy(c->s, &r->policy, v, need, d);
	pidfd = pidfd_open(r->leader, 0);
	if (pidfd < 0 || uid_of(r->leader, &r->policy.uid))
		return diag_set(d, -ESRCH, "process %d has ended", r->leader);
	if (task_cwd(pidfd, cwd, sizeof(cwd)))
		strcpy(cwd, "/"); /* deleted: no WORKDIR, which is told to policies that use it */
	err = rooted_open(r->leader, &root, d);
	if (err < 0)
		return err;
	r->mnt_ns = root.ns;
	if (err)
		r->policy.root = &root;
	err = server_policy(c->s, &r->policy, v, need, d);
	rooted_close(&root);
	r->policy.root = NULL;
	return err;
}

/* ---- life ------------------------------ */

static bool is_removed(const struct sandbox *b)
{
	return !cgroup_has_file(sandbox_cgroup_fd(b), "cgroup.procs");
}

static int on_left(sd_event_source *src, uint64_t usec, void *ctx);

/* Its cgroup may be gone. Whoever was moved out of it before is in the sandbox still. */
static void look(struct conn *c)
{
	struct diag d = {};

	if (!is_removed(c->box))
		return;
	c->empty = sd_event_source_disable_unref(c->empty);
	if (attach_count(c->s->a, c->box, &d) > 0) {
		if (!c->timer)
			(void)sd_event_add_time_relative(c->s->loop, &c->timer, CLOCK_MONOTONIC,
							 LEFT_US, 0, on_left, c);
		return;
	}
	c->closed = true;
	conn_finish(c);
}

static int on_left(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct conn *c = ctx;

	(void)src;
	(void)usec;
	c->timer = sd_event_source_disable_unref(c->timer);
	look(c);
	return 0;
}

static int on_dir(sd_event_source *src, const struct inotify_event *ev, void *ctx)
{
	(void)src;
	(void)ev;
	look(ctx);
	return 0;
}

int attach_watch(struct conn *c, struct diag *d)
{
	char path[2 * PATH_MAX], mount[PATH_MAX], *name;
	int err;

	if (mount_find("cgroup2", mount, sizeof(mount)))
		return diag_set(d, -ENOTSUP, "no cgroup v2 file system is mounted");
	snprintf(path, sizeof(path), "%s%s", mount, sandbox_path(c->box));
	name = strrchr(path, '/');
	*name = 0;
	err = sd_event_add_inotify(c->s->loop, &c->empty, path, IN_DELETE | IN_ONLYDIR, on_dir, c);
	return err < 0 ? diag_set(d, err, "cannot watch %s: %s", path, strerror(-err)) : 0;
}

/* ---- attach ------------------------------ */

static int parse_attach(struct conn *c, json_t *request, struct attach_request *r)
{
	int audit = 0, egress_only = 0;
	json_int_t pid = 0;
	json_error_t e;
	const char *op;

	*r = (struct attach_request){};
	if (json_unpack_ex(request, &e, JSON_STRICT, "{s:s, s?s, s?I, s:o, s:o, s?s, s?b, s?b}",
			   "op", &op, "cgroup", &r->cgroup, "pid", &pid, "policies",
			   &r->policy.policies, "texts", &r->policy.texts, "name", &r->name,
			   "audit", &audit, "egress_only", &egress_only)) {
		conn_error(c, 2, "bad request: %s", e.text);
		return -EINVAL;
	}
	r->pid = pid;
	r->policy.audit = audit;
	r->policy.egress_only = egress_only;
	if (!json_is_array(r->policy.policies) || !json_array_size(r->policy.policies) ||
	    !json_is_array(r->policy.texts) || !r->cgroup == !r->pid || pid < 0 || pid > INT_MAX) {
		conn_error(c, 2, "bad request");
		return -EINVAL;
	}
	return 0;
}

/* Mark, stamp; twice as quick as it reads, and in this order: see bpf/attach.bpf.c. */
int attach_take(struct conn *c, bool seize, struct attach_found *f, struct diag *d)
{
	int err = attach_tasks(c->s->a, c->box, seize, f, d);

	if (!err)
		err = attach_sockets(c->s->a, c->box, seize, f, d);
	if (!err && f->elsewhere &&
	    (sandbox_version(c->box)->compiled->head.privileges & EG_PRIV_MOUNTS))
		err = diag_set(d, -EPERM,
			       "'privileges: [mounts]' cannot be given to a workload that is in "
			       "more "
			       "than one mount namespace");
	return err;
}

/* As if it had never been attached. */
static void undo(struct conn *box)
{
	struct diag ignored = {};

	sandbox_open_cgroup(box->box);
	(void)attach_clear(box->s->a, box->box, &ignored); /* marks that are left are refused */
	conn_names_end(box);
	grants_free(box, true);
	conn_denials_end(box, false);
	sandbox_release(steal_ptr(box->box));
	conn_free(box);
}

static int cover(struct server *s, struct sandbox *b, int dir, struct diag *d)
{
	uint64_t id;
	int err = cgroup_id(dir, &id);

	if (err)
		return diag_set(d, err, "cannot get the id of the cgroup: %s", strerror(-err));
	err = covers_add(agent_covers(s->a), dir, id, d);
	if (!err && sandbox_add_cover(b, id)) {
		covers_drop(agent_covers(s->a), id);
		err = diag_set(d, -ENOMEM, "out of memory");
	}
	return err;
}

static int start(struct conn *c, const struct attach_request *r, const struct version *v,
		 const char *path, int dir, struct attach_found *f, struct conn **out,
		 struct diag *d)
{
	_cleanup_free_ char *names = policy_send_names(r->policy.policies, r->policy.texts);
	struct sandbox_spec spec = {
		.version = v,
		.uid = 0,
		.name = r->name,
		.policies = names,
		.kind = SANDBOX_ATTACHED,
		.cgroup = dir,
		.path = path,
		.mnt_ns = r->mnt_ns,
	};
	struct conn *box = names ? conn_new(c->s, -1) : NULL;
	int err;

	if (!box)
		return diag_set(d, -ENOMEM, "out of memory");
	if (!r->leader && (v->compiled->head.privileges & EG_PRIV_MOUNTS)) {
		conn_free(box);
		return diag_set(d, -EPERM,
				"'privileges: [mounts]' needs to know the mount namespace: "
				"attach when the workload runs");
	}
	box->uid = box->peer.uid = 0;
	box->homeless = !r->leader;
	box->freeze = v->compiled->run.freeze;
	err = sandbox_new(c->s->sandboxes, &spec, &box->box, d);
	if (err) {
		conn_free(box);
		return err;
	}
	sandbox_set_owner(box->box, box);
	sandbox_set_leader(box->box, r->leader ? r->leader : getpid());
	conn_denials_start(box, false);
	server_save(box); /* whoever comes next must know what the marks mean */
	err = cover(c->s, box->box, dir, d);
	if (!err)
		err = conn_names_start(box, sandbox_leader(box->box), d);
	if (!err)
		err = attach_take(box, !r->waits, f, d);
	if (!err)
		err = attach_watch(box, d);
	if (err) {
		server_forget(c->s, sandbox_id(box->box));
		undo(box);
		return err;
	}
	server_save(box); /* with what it covers */
	(void)conn_end_flows(box); /* what is left of the refused ones sends nothing */
	*out = box;
	return 0;
}

static void answer(struct conn *c, const struct sandbox *b, const struct attach_found *f)
{
	const struct compiled *k = sandbox_version(b)->compiled;
	json_t *notices = json_array();
	uint32_t i;

	for (i = 0; i < k->nnotices; i++)
		(void)json_array_append_new(notices, json_string(k->notices[i]));
	if (f->rings && (k->head.flags & EG_P_EGRESS))
		(void)json_array_append_new(
			notices, json_string("it has an io_uring: a socket of another cgroup "
					     "that only the io_uring knows is not judged"));
	conn_reply(c, json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "sandbox",
				(json_int_t)sandbox_id(b), "cgroup", sandbox_path(b), "tasks",
				(json_int_t)f->tasks, "others", (json_int_t)f->others, "elsewhere",
				(json_int_t)f->elsewhere, "sockets", (json_int_t)f->sockets,
				"ended", (json_int_t)f->ended, "notices", notices));
}

int attach_start(struct conn *c, struct attach_request *r, json_t **need, struct attach_found *f,
		 struct conn **box, struct diag *d)
{
	_cleanup_close_ int dir = -1;
	const struct version *v;
	char path[PATH_MAX];
	int err;

	err = attach_find_cgroup(r, path, d);
	if (!err)
		err = attach_refuse_vital(c->s, path, d);
	if (!err)
		err = attach_refuse_overlap(c->s, path, d);
	if (err)
		return err;
	dir = attach_open_path(c->s, path, d);
	if (dir < 0)
		return dir;
	if (!r->leader || !attach_has(path, r->leader))
		r->leader = attach_first_process(dir);
	err = attach_policy(c, r, &v, need, d);
	if (err <= 0)
		return err;
	err = start(c, r, v, path, dir, f, box, d);
	publisher_unref(c->s->publisher, v);
	return err < 0 ? err : 1;
}

void serve_attach(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct attach_found f = {};
	struct attach_request r;
	json_t *need = NULL;
	struct conn *box;
	struct diag d = {};
	int err;

	(void)fds;
	(void)nfds;
	if (parse_attach(c, request, &r))
		return;
	if (c->peer.uid) {
		conn_error(c, 125,
			   "only root attaches workloads; for a process tree of your own there "
			   "is egressctl enter");
		return;
	}
	err = attach_start(c, &r, &need, &f, &box, &d);
	if (!err)
		conn_reply(c, json_pack("{s:o}", "need", need));
	else if (err < 0)
		conn_error_diag(c, err == -EINVAL ? 2 : 125, &d);
	else
		answer(c, box->box, &f);
}

/* ---- detach ------------------------------ */

static struct sandbox *by_path(struct server *s, const char *path)
{
	struct sandbox *b = NULL;

	while ((b = sandboxes_next(s->sandboxes, b)))
		if (sandbox_kind(b) == SANDBOX_ATTACHED && str_eq(sandbox_path(b), path))
			return b;
	return NULL;
}

static struct sandbox *find_attached(struct conn *c, json_t *request, struct diag *d)
{
	const char *given = json_string_value(json_object_get(request, "cgroup"));
	struct attach_request r = { .cgroup = given };
	struct sandbox *b;
	char path[PATH_MAX];

	r.pid = json_integer_value(json_object_get(request, "pid"));
	if (!given && !r.pid) {
		b = server_find(c, json_object_get(request, "sandbox"), d);
	} else {
		if (attach_find_cgroup(&r, path, d))
			return NULL;
		b = by_path(c->s, path);
		if (!b)
			(void)diag_set(d, -ENOENT, "%s is not attached", path);
	}
	if (b && sandbox_kind(b) != SANDBOX_ATTACHED) {
		(void)diag_set(d, -EPERM,
			       "sandbox %llu was not attached: nothing gets out of it but "
			       "by its end",
			       (unsigned long long)sandbox_id(b));
		return NULL;
	}
	return b;
}

void serve_detach(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct sandbox *b;
	struct conn *box;
	struct diag d = {};
	uint64_t id;
	int err;

	(void)fds;
	(void)nfds;
	if (c->peer.uid) {
		conn_error(c, 125, "only root detaches workloads");
		return;
	}
	b = find_attached(c, request, &d);
	if (!b) {
		conn_error_diag(c, 1, &d);
		return;
	}
	box = sandbox_owner(b);
	id = sandbox_id(b);
	sandbox_open_cgroup(b);
	err = attach_clear(c->s->a, b, &d);
	if (err) {
		conn_error_diag(c, 125, &d);
		return;
	}
	server_events_drain(c->s);
	events_end(c->s->events, sandbox_counters(b));
	conn_names_end(box);
	grants_free(box, true);
	conn_denials_end(box, false);
	sandbox_release(steal_ptr(box->box));
	server_forget(c->s, id);
	conn_free(box);
	conn_reply(c, json_pack("{s:I}", "sandbox", (json_int_t)id));
}
