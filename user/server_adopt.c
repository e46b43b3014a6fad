/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sandboxes across restarts of egressd. The kernel went on enforcing; what has
 * to be known again is whose they are, what to call them, and when they end: with
 * the launcher, whose pid and start time are saved, or at their time limit.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf_cover.h"
#include "bpf_load.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "events.h"
#include "publish.h"
#include "sandbox.h"
#include "server_attach.h"
#include "state.h"
#include "util.h"

#include "../bpf/egressctl.h"

#define DIR_NAME "sandboxes"
#define RECORD_MAX (64u << 10)
#define EMPTY_MS 10000

struct record {
	json_int_t id, slot, uid, owner, owner_start, leader, started, deadline, kind;
	const char *name, *policy, *policies, *path; /* policies: NULL when there is but one */
	json_t *covers; /* numbers as text: they have 64 bits */
	int fail_fast, freeze;
};

/* One format for both directions. */
#define RECORD_FORMAT \
	"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:b, s:b, s:I, s:s, s:o}"

static void file_name(uint64_t id, char buf[24])
{
	snprintf(buf, 24, "%" PRIu64, id);
}

static json_t *cover_list(const struct sandbox *b)
{
	json_t *list = json_array();
	const uint64_t *ids;
	char text[24];
	size_t i, n;

	ids = sandbox_covers(b, &n);
	for (i = 0; i < n; i++) {
		file_name(ids[i], text);
		(void)json_array_append_new(list, json_string(text));
	}
	return list;
}

void server_save(struct conn *c)
{
	_cleanup_free_ char *text = NULL;
	const struct sandbox *b = c->box;
	uint64_t start = 0;
	char name[24];
	json_t *j;

	if (!agent_adoptable(c->s->a))
		return;
	(void)process_start(c->peer.pid, &start); /* 0: taken for dead, so it ends at a restart */
	j = json_pack(RECORD_FORMAT, "id", (json_int_t)sandbox_id(b), "slot",
		      (json_int_t)sandbox_slot(b), "uid", (json_int_t)sandbox_uid(b), "owner",
		      (json_int_t)c->peer.pid, "owner_start", (json_int_t)start, "leader",
		      (json_int_t)sandbox_leader(b), "started", (json_int_t)sandbox_started(b),
		      "deadline", (json_int_t)c->deadline, "name", sandbox_name(b), "policy",
		      sandbox_policy(b), "fail_fast", c->fail_fast, "freeze", c->freeze,
		      "kind", (json_int_t)sandbox_kind(b), "path", sandbox_path(b), "covers",
		      cover_list(b));
	if (j && !str_eq(sandbox_policies(b), sandbox_policy(b)))
		(void)json_object_set_new(j, "policies", json_string(sandbox_policies(b)));
	text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	file_name(sandbox_id(b), name);
	/* without it the run goes on, and ends when egressd is started anew */
	if (text && state_write(DIR_NAME, name, text, strlen(text)))
		fprintf(stderr, "egressd: cannot write %s/%s\n", STATE_DIR, DIR_NAME);
}

void server_forget(struct server *s, uint64_t sandbox)
{
	char name[24];

	if (!agent_adoptable(s->a))
		return;
	file_name(sandbox, name);
	(void)state_remove(DIR_NAME, name); /* a stale one is removed at the next start */
}

/* ---- taking over -------------------------------------------------------------------------- */

static int on_owner_end(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct conn *c = ctx;

	(void)src;
	(void)fd;
	(void)revents;
	c->closed = true;
	c->io = sd_event_source_disable_unref(c->io);
	conn_kill(c, NULL);
	return 0;
}

/* The launcher's pidfd, when the process with that number is still the launcher. */
static int open_owner(const struct record *r)
{
	_cleanup_close_ int fd = pidfd_open(r->owner, 0);
	uint64_t start;

	if (fd < 0 || process_start(r->owner, &start) || start != (uint64_t)r->owner_start)
		return -ESRCH;
	return steal_fd(&fd);
}

/* The cgroups whose programs were kept for it: agent_open() attached ours there. */
static int adopt_covers(struct server *s, struct sandbox *b, const json_t *list, struct diag *d)
{
	const json_t *one;
	uint64_t id;
	size_t i;
	int err;

	json_array_foreach(list, i, one) {
		if (!json_is_string(one) || parse_u64(json_string_value(one), 1, UINT64_MAX, &id))
			continue;
		err = covers_add_id(agent_covers(s->a), id, d);
		if (err == -ESTALE || err == -ENOENT)
			continue; /* removed, and the sockets with it */
		if (err)
			return err;
		if (sandbox_add_cover(b, id))
			return diag_set(d, -ENOMEM, "out of memory");
	}
	return 0;
}

/*
 * The tasks of one that no launcher waits for are gone through again: a mark may have been
 * out of reach, or the last egressd may have ended half-way.
 */
static int adopt_tasks(struct conn *c, const json_t *covers, struct diag *d)
{
	struct attach_found f = {};
	int err = adopt_covers(c->s, c->box, covers, d);

	return err ? err : attach_take(c, false, &f, d);
}

/* Where its network is: with a process of it, whatever has become of the first one. */
static void adopt_leader(struct sandbox *b)
{
	pid_t pid = sandbox_leader(b);
	struct stat st;
	char path[32];

	/* a zombie has no namespace any more */
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (sandbox_kind(b) == SANDBOX_ATTACHED || stat(path, &st) ||
	    !attach_has(sandbox_path(b), pid))
		attach_leader(b);
}

/* Whatever cannot be had of it again. What is left without is not what was asked for. */
static int adopt_parts(struct conn *c, const struct record *r, struct diag *d)
{
	int err;

	err = events_adopt(c->s->events, r->id);
	if (!err)
		err = conn_trace_start(c, true, d);
	if (!err)
		err = conn_names_start(c, sandbox_leader(c->box), d);
	if (!err && r->kind != SANDBOX_RUN)
		err = adopt_tasks(c, r->covers, d);
	/* the kernel goes on with them, and lets each end on time */
	if (!err)
		err = grants_adopt(c, d);
	return err == -ENOENT ? 0 : err;
}

/* Watched again, or ended: by whom it was started decides, and whether anybody is left. */
static int adopt_end(struct conn *c, const struct record *r)
{
	if (r->kind == SANDBOX_RUN)
		c->child = open_owner(r);
	if (c->child >= 0 &&
	    sd_event_add_io(c->s->loop, &c->io, c->child, EPOLLIN, on_owner_end, c) >= 0)
		return 0;
	c->closed = true;
	if (r->kind == SANDBOX_RUN)
		conn_kill(c, NULL); /* nobody waits for it */
	else if (r->kind == SANDBOX_ENTERED && sandbox_empty(c->box))
		conn_finish(c);
	return 0;
}

static int adopt(struct server *s, const struct record *r, struct diag *d)
{
	struct sandbox_spec spec = {
		.uid = r->uid, .name = r->name, .kind = r->kind, .path = r->path,
		.policies = r->policies ? r->policies : r->policy,
	};
	struct eg_sandbox *slots = agent_sandboxes(s->a);
	struct sandbox *b;
	struct conn *c;
	int err;

	if (r->slot < 0 || r->slot >= EG_MAX_SANDBOXES)
		return -ENOENT;
	spec.version = publisher_at(s->publisher, slots[r->slot].policy);
	if (!spec.version)
		return -ENOENT;
	err = sandbox_adopt(s->sandboxes, r->id, r->slot, r->started, r->leader, &spec, &b, d);
	if (err)
		return err;
	c = conn_new(s, -1);
	if (!c)
		return diag_set(d, -ENOMEM, "out of memory");
	c->box = b;
	c->uid = c->peer.uid = r->uid;
	c->peer.pid = r->owner;
	c->fail_fast = r->fail_fast;
	c->freeze = r->freeze;
	c->deadline = r->deadline;
	sandbox_set_owner(b, c);
	conn_denials_start(c, true);
	err = r->kind == SANDBOX_ATTACHED ? attach_watch(c, d) : conn_watch(c, d);
	if (err)
		return err;
	adopt_leader(b);
	err = adopt_parts(c, r, d);
	if (!err)
		return adopt_end(c, r);
	/* a start that fails for one of them would leave all of them alone */
	fprintf(stderr, "egressd: sandbox %" PRIu64 " is ended: %s\n", sandbox_id(b),
		d->err ? d->msg : strerror(-err));
	*d = (struct diag){};
	sandbox_refuse_all(b);
	c->closed = true;
	conn_kill(c, NULL);
	return 0;
}

static int adopt_file(struct server *s, const char *name, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	struct record r;
	json_t *j;
	size_t len;
	int err;

	err = state_read(DIR_NAME, name, RECORD_MAX, &text, &len);
	if (err)
		return diag_set(d, err, "cannot read %s/%s/%s: %s", STATE_DIR, DIR_NAME, name,
				strerror(-err));
	j = json_loadb(text, len, 0, NULL);
	err = -EPROTO;
	if (j && !json_unpack(j, RECORD_FORMAT, "id", &r.id, "slot", &r.slot, "uid", &r.uid,
			      "owner", &r.owner, "owner_start", &r.owner_start, "leader", &r.leader,
			      "started", &r.started, "deadline", &r.deadline, "name", &r.name,
			      "policy", &r.policy, "fail_fast", &r.fail_fast, "freeze", &r.freeze,
			      "kind", &r.kind, "path",
			      &r.path, "covers", &r.covers)) {
		r.policies = json_string_value(json_object_get(j, "policies"));
		err = adopt(s, &r, d);
	}
	json_decref(j);
	if (err == -EPROTO)
		fprintf(stderr, "egressd: %s/%s/%s is of no use and dropped: whoever is in that "
			"sandbox is refused everything, and ended where the cgroup is ours\n",
			STATE_DIR, DIR_NAME, name);
	if (err == -ENOENT || err == -EPROTO)
		(void)state_remove(DIR_NAME, name);
	return err == -ENOENT || err == -EPROTO ? 0 : err;
}

static void end_cgroup(int parent, const char *prefix, uint64_t id)
{
	_cleanup_close_ int dir = -1;
	char name[32];

	snprintf(name, sizeof(name), "%s%" PRIu64, prefix, id);
	dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return;
	(void)cgroup_kill(dir);
	(void)cgroup_wait_empty(dir, EMPTY_MS);
	(void)cgroup_remove(parent, name); /* what is stuck stays, dead */
}

/*
 * What nobody knows: sandboxes that were being made or removed when egressd died, and the
 * one that hooks are tried in. Their tasks must not go on under tables whose place is free
 * now.
 */
static void end_unknown(struct server *s)
{
	struct eg_sandbox *slots = agent_sandboxes(s->a);
	int parent = agent_cgroup_fd(s->a);
	uint32_t i;

	for (i = 0; i < EG_MAX_SANDBOXES; i++) {
		if (slots[i].state != EG_S_LIVE || sandboxes_find(s->sandboxes, slots[i].id))
			continue;
		slots[i].state = EG_S_DEAD; /* refused everything from now on */
		end_cgroup(parent, SANDBOX_DIR, slots[i].id);
		end_cgroup(parent, SANDBOX_HIDDEN_DIR, slots[i].id);
	}
	sweep_dead(agent_map_fd(s->a, AGENT_MAP_TASKS), slots);
	server_names_sweep(s);
}

/*
 * That sandbox is dead between two rounds, and its cgroup empty. One of another ABI has
 * processes in it while somebody needs it.
 */
static void remove_proofs(struct server *s)
{
	int parent = agent_cgroup_fd(s->a);
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (str_starts(e->d_name, SANDBOX_HIDDEN_DIR))
			(void)unlinkat(parent, e->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

int server_adopt(struct server *s, struct diag *d)
{
	struct dirent *e;
	int err = 0;
	DIR *dir;

	err = publisher_adopt(s->publisher, server_compile_key, NULL, d);
	if (err)
		return err;
	dir = state_list(DIR_NAME);
	while (dir && !err && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			err = adopt_file(s, e->d_name, d);
	if (dir)
		closedir(dir);
	if (!err) {
		end_unknown(s);
		remove_proofs(s);
	}
	if (!err)
		covers_sweep(agent_covers(s->a));
	return err;
}
