/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * "enter": a user puts a tree of own processes under a policy, for good. They move into
 * a sandbox's cgroup, where the kernel marks each thread as it arrives; the sandbox ends
 * with the last of them.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf_load.h"
#include "cgroup.h"
#include "compile.h"
#include "policy_send.h"
#include "proc_tree.h"
#include "publish.h"
#include "sandbox.h"
#include "server_attach.h"
#include "task_check.h"
#include "util.h"

#define MAX_PASSES 16 /* over a tree that forks while it is moved; each reads all processes */
#define MAX_TREE 65536u

struct moved {
	pid_t pid;
	char *from; /* its cgroup, to go back to when the rest cannot follow */
};

struct entering {
	struct conn *box;
	uid_t uid;
	bool strict; /* no_new_privs is asked for */
	pid_t root;
	struct tree_process *all;
	size_t nall, all_cap;
	struct moved *moved;
	size_t nmoved, moved_cap;
	pid_t *roots; /* sorted: the root, and whoever was moved before this pass */
	size_t nroots;
	bool root_moved;
};

static int read_status(pid_t pid, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, size - 1);
	if (n <= 0)
		return -ESRCH;
	buf[n] = 0;
	return 0;
}

/* Four ids behind a key, all the same. */
static bool same_ids(const char *status, const char *key, unsigned int *id)
{
	const char *p = strstr(status, key);
	unsigned int v[4];

	if (!p || sscanf(p + strlen(key), "%u%u%u%u", &v[0], &v[1], &v[2], &v[3]) != 4)
		return false;
	*id = v[0];
	return v[0] == v[1] && v[0] == v[2] && v[0] == v[3];
}

static bool has_capabilities(const char *status)
{
	const char *p = strstr(status, "\nCapPrm:");

	return !p || strtoull(p + strlen("\nCapPrm:"), NULL, 16);
}

/* The files of one that may not be looked at by its own user belong to root. */
static bool is_dumpable(pid_t pid, uid_t uid)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	return !stat(path, &st) && st.st_uid == uid;
}

/* What ptrace asks of a user who wants to control a process, and more: no capability. */
static int check_member(const struct entering *e, pid_t pid, int pidfd, struct diag *d)
{
	unsigned int uid, gid;
	char status[8192];

	if (read_status(pid, status, sizeof(status)))
		return -ESRCH;
	if (pid == 1 || pid == getpid())
		return diag_set(d, -EPERM, "process %d cannot enter a sandbox", pid);
	if (agent_task_marked(e->box->s->a, pidfd) > 0)
		return diag_set(d, -EPERM, "process %d is in a sandbox already", pid);
	if (!e->uid)
		return 0;
	if (!same_ids(status, "\nUid:", &uid) || uid != e->uid)
		return diag_set(d, -EPERM, "process %d belongs to another user, or is set-uid",
				pid);
	if (!same_ids(status, "\nGid:", &gid))
		return diag_set(d, -EPERM, "process %d is set-gid", pid);
	if (has_capabilities(status))
		return diag_set(d, -EPERM, "process %d has capabilities", pid);
	if (!is_dumpable(pid, uid))
		return diag_set(d, -EPERM,
				"process %d is protected from its own user (not dumpable)", pid);
	/* what would gain rights is refused its exec, by a program that is not there then */
	if (e->strict)
		return task_check_privs(pidfd, d);
	return 0;
}

/* ---- the tree -------------------------------------------------------------------------- */

static int list_all(struct entering *e, struct diag *d)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char status[8192], *p;

	e->nall = 0;
	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    read_status(atoi(entry->d_name), status, sizeof(status)))
			continue;
		p = strstr(status, "\nPPid:");
		if (array_reserve(&e->all, &e->all_cap, e->nall)) {
			closedir(proc);
			return diag_set(d, -ENOMEM, "out of memory");
		}
		e->all[e->nall++] = (struct tree_process){ .pid = atoi(entry->d_name),
							   .parent = p ? atoi(p + 6) : 0 };
	}
	if (proc)
		closedir(proc);
	return 0;
}

/* Whose ancestor the root is, or one that was moved and has ended since. */
static int mark_tree(struct entering *e, struct diag *d)
{
	size_t i;

	free(e->roots);
	e->roots = calloc(e->nmoved + 1, sizeof(*e->roots));
	if (!e->roots)
		return diag_set(d, -ENOMEM, "out of memory");
	e->roots[0] = e->root;
	for (i = 0; i < e->nmoved; i++)
		e->roots[i + 1] = e->moved[i].pid;
	e->nroots = e->nmoved + 1;
	qsort(e->roots, e->nroots, sizeof(*e->roots), proc_tree_compare_pid);
	if (proc_tree_mark(e->all, e->nall, e->roots, e->nroots))
		return diag_set(d, -ENOMEM, "out of memory");
	return 0;
}

/* Before this pass, in which each comes once. */
static bool is_moved(const struct entering *e, pid_t pid)
{
	return e->nmoved && (pid != e->root || e->root_moved) &&
	       bsearch(&pid, e->roots, e->nroots, sizeof(*e->roots), proc_tree_compare_pid);
}

/* 1: moved. 0: gone, or in already. */
static int move(struct entering *e, pid_t pid, struct diag *d)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	char from[PATH_MAX], text[16];
	int err;

	if (pidfd < 0 || task_cgroup(pidfd, from, sizeof(from)))
		return 0;
	if (is_moved(e, pid) || str_eq(from, sandbox_path(e->box->box)))
		return 0; /* forked by one that is in */
	err = check_member(e, pid, pidfd, d);
	if (err)
		return err == -ESRCH ? 0 : err;
	if (e->nmoved == MAX_TREE)
		return diag_set(d, -E2BIG, "the tree has more than %u processes", MAX_TREE);
	if (array_reserve(&e->moved, &e->moved_cap, e->nmoved))
		return diag_set(d, -ENOMEM, "out of memory");
	e->moved[e->nmoved].pid = pid;
	e->moved[e->nmoved].from = strdup(from);
	if (!e->moved[e->nmoved].from)
		return diag_set(d, -ENOMEM, "out of memory");
	snprintf(text, sizeof(text), "%d", pid);
	err = cgroup_write(sandbox_cgroup_fd(e->box->box), "cgroup.procs", text);
	if (!err && pidfd_pid(pidfd) != pid) {
		/* reaped meanwhile: whoever has the number now goes back, without a mark */
		free(e->moved[e->nmoved].from);
		task_move_to_parents_cgroup(pid);
		return 0;
	}
	if (err) {
		free(e->moved[e->nmoved].from);
		return err == -ESRCH ? 0 :
				       diag_set(d, err,
						"cannot move process %d into its cgroup: "
						"%s",
						pid, strerror(-err));
	}
	e->nmoved++;
	e->root_moved |= pid == e->root;
	return 1;
}

/* Until a pass finds nobody outside. */
static int move_tree(struct entering *e, struct diag *d)
{
	int pass, err, n = 1;
	size_t i;

	for (pass = 0; n && pass < MAX_PASSES; pass++) {
		err = list_all(e, d);
		if (err)
			return err;
		err = mark_tree(e, d);
		if (err)
			return err;
		for (i = 0, n = 0; i < e->nall; i++) {
			err = e->all[i].in_tree ? move(e, e->all[i].pid, d) : 0;
			if (err < 0)
				return err;
			n += err;
		}
	}
	if (n)
		return diag_set(d, -EAGAIN, "the tree forks faster than it can be moved");
	return e->nmoved ? 0 : diag_set(d, -ESRCH, "the process has ended");
}

static void move_back(const struct entering *e)
{
	int root = agent_cgroup_root_fd(e->box->s->a);
	size_t i;

	for (i = 0; i < e->nmoved; i++) {
		_cleanup_close_ int dir = openat(root,
						 e->moved[i].from[1] ? e->moved[i].from + 1 : ".",
						 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		char text[16];

		snprintf(text, sizeof(text), "%d", e->moved[i].pid);
		if (dir >= 0)
			(void)cgroup_write(dir, "cgroup.procs", text); /* it may have ended */
	}
}

static void end_entering(struct entering *e)
{
	while (e->nmoved)
		free(e->moved[--e->nmoved].from);
	free(e->moved);
	free(e->roots);
	free(e->all);
}

/* ---- the request ------------------------------------------------------------------------- */

/* All or nothing: whoever is refused finds the tree as it was. */
static void undo(struct entering *e)
{
	struct conn *box = e->box;
	struct diag ignored = {};

	server_forget(box->s, sandbox_id(box->box));
	sandbox_open_cgroup(box->box);
	(void)attach_clear(box->s->a, box->box, &ignored);
	move_back(e);
	box->closed = true;
	conn_finish(box);
}

static bool is_strict(const struct conn *c)
{
	return agent_egress_only(c->s->a) && !conn_may_gain(c);
}

static int start(struct conn *c, const struct attach_request *r, const struct version *v,
		 struct attach_found *f, struct diag *d)
{
	struct entering e = { .uid = c->peer.uid, .strict = is_strict(c), .root = r->leader };
	const struct policy_runtime *run = &v->compiled->run;
	_cleanup_free_ char *names = policy_send_names(r->policy.policies, r->policy.texts);
	struct sandbox_spec spec = {
		.version = v,
		.uid = c->peer.uid,
		.name = r->name,
		.policies = names,
		.kind = SANDBOX_ENTERED,
		.mnt_ns = r->mnt_ns,
		.rights = conn_may_gain(c),
		.limits = { .memory = run->memory,
			    .pids = run->pids,
			    .cpu_percent = run->cpu,
			    .time_ms = run->time_ms },
	};
	struct conn *box = names ? conn_new(c->s, -1) : NULL;
	int err;

	if (!box)
		return diag_set(d, -ENOMEM, "out of memory");
	e.box = box;
	box->uid = box->peer.uid = c->peer.uid;
	box->freeze = run->freeze;
	box->closed = true; /* nobody waits for its end */
	err = sandbox_new(c->s->sandboxes, &spec, &box->box, d);
	if (err) {
		conn_free(box);
		return err;
	}
	sandbox_set_owner(box->box, box);
	sandbox_set_leader(box->box, r->leader);
	conn_denials_start(box, false);
	server_save(box);
	err = conn_names_start(box, r->leader, d);
	if (!err)
		err = move_tree(&e, d);
	if (!err)
		err = attach_take(box, true, f, d);
	if (!err)
		err = conn_start_time(box, d);
	if (err) {
		undo(&e);
	} else {
		server_save(box);
		c->entered = sandbox_id(box->box);
	}
	end_entering(&e);
	return err;
}

static int parse(struct conn *c, json_t *request, struct attach_request *r)
{
	int audit = 0, egress_only = 0;
	json_error_t e;
	const char *op;

	*r = (struct attach_request){};
	if (json_unpack_ex(request, &e, JSON_STRICT, "{s:s, s:o, s:o, s?s, s?s, s?b, s?b}", "op",
			   &op, "policies", &r->policy.policies, "texts", &r->policy.texts,
			   "tmpdir", &r->policy.tmpdir, "name", &r->name, "audit", &audit,
			   "egress_only", &egress_only)) {
		conn_error(c, 2, "bad request: %s", e.text);
		return -EINVAL;
	}
	r->policy.audit = audit;
	r->policy.egress_only = egress_only;
	if (!json_is_array(r->policy.policies) || !json_array_size(r->policy.policies) ||
	    !json_is_array(r->policy.texts)) {
		conn_error(c, 2, "bad request");
		return -EINVAL;
	}
	return 0;
}

static int check_root(struct conn *c, pid_t *pid, struct diag *d)
{
	struct conn owner = { .s = c->s };
	struct entering e = { .box = &owner, .uid = c->peer.uid, .strict = is_strict(c) };
	int err;

	*pid = pidfd_pid(c->child);
	if (*pid <= 0)
		return diag_set(d, -ESRCH, "the process has ended");
	err = check_member(&e, *pid, c->child, d);
	if (err == -ESRCH)
		return diag_set(d, -ESRCH, "the process has ended");
	return err;
}

void serve_enter(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct attach_found f = {};
	const struct version *v;
	struct attach_request r;
	json_t *need = NULL;
	struct diag d = {};
	int err;

	if (c->box) {
		conn_error(c, 125, "this connection runs a command already");
		return;
	}
	if (parse(c, request, &r))
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
	/* before anything of the process is looked at on behalf of the peer */
	err = check_root(c, &r.leader, &d);
	if (!err)
		err = attach_policy(c, &r, &v, &need, &d);
	else
		err = d.err;
	if (err > 0) {
		err = start(c, &r, v, &f, &d);
		publisher_unref(c->s->publisher, v);
		err = err ? err : 1;
	}
	if (!err)
		conn_reply(c, json_pack("{s:o}", "need", need));
	else if (err < 0)
		conn_error_diag(c, err == -EINVAL ? 2 : 125, &d);
	else
		conn_reply(c, json_pack("{s:I, s:I, s:I, s:I}", "sandbox", (json_int_t)c->entered,
					"tasks", (json_int_t)f.tasks, "sockets",
					(json_int_t)f.sockets, "ended", (json_int_t)f.ended));
}
