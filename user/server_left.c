/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an egressd of another ABI left when it was replaced. Its records (server_adopt.c)
 * keep these members in every ABI: id, uid, owner, owner_start, name, policy, started,
 * deadline, kind, path. This is rare and does not last, so it is looked at by the second.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/types.h>

#include "bpf_abis.h"
#include "bpf_load.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "sandbox.h"
#include "server_int.h"
#include "state.h"
#include "util.h"

#include "../bpf/egressctl.h"

#define LOOK_US 1000000
#define RECORD_MAX (64u << 10)
#define EMPTY_MS 10000

struct left {
	struct left *next;
	uint64_t id, started, deadline; /* as in struct conn */
	uid_t uid;
	unsigned int abi;
	enum sandbox_kind kind;
	char *name, *policy;
	int owner; /* pidfd of the launcher; -1: nobody waits for it */
	int cgroup;
	bool marked; /* a process carries its mark */
};

struct lefts {
	struct left *all;
	unsigned int abis[ABIS_MAX], nabis;
	sd_event_source *timer;
};

/* ---- records ------------------------------------------------------------------------------ */

static void left_free(struct left *l)
{
	if (l->owner >= 0)
		close(l->owner);
	if (l->cgroup >= 0)
		close(l->cgroup);
	free(l->name);
	free(l->policy);
	free(l);
}

static void record_path(char path[PATH_MAX], unsigned int abi, const char *name)
{
	char dir[PATH_MAX - 64];

	state_abi_path(abi, dir, sizeof(dir));
	(void)snprintf(path, PATH_MAX, "%s/sandboxes%s%.40s", dir, name ? "/" : "",
		       name ? name : "");
}

/* The launcher, when the process with that number is still it. */
static int open_owner(json_int_t pid, json_int_t start)
{
	_cleanup_close_ int fd = pidfd_open((pid_t)pid, 0);
	uint64_t now;

	if (fd < 0 || process_start((pid_t)pid, &now) || now != (uint64_t)start)
		return -1;
	return steal_fd(&fd);
}

static struct left *left_new(struct server *s, unsigned int abi, json_t *j)
{
	json_int_t id, uid, owner, start, started, deadline, kind;
	const char *name, *policy, *path;
	char dir[32];
	struct left *l;

	if (json_unpack(j, "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s}", "id", &id, "uid",
			&uid, "owner", &owner, "owner_start", &start, "started", &started,
			"deadline", &deadline, "kind", &kind, "name", &name, "policy", &policy,
			"path", &path))
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	*l = (struct left){ .id = id, .uid = uid, .abi = abi, .kind = kind, .started = started,
			    .deadline = deadline, .name = strdup(name), .policy = strdup(policy) };
	l->owner = l->kind == SANDBOX_RUN ? open_owner(owner, start) : -1;
	(void)snprintf(dir, sizeof(dir), "s%" PRIu64, l->id);
	l->cgroup = l->kind == SANDBOX_ATTACHED ?
			    openat(agent_cgroup_root_fd(s->a), path + (path[0] == '/'),
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
			    openat(agent_cgroup_fd(s->a), dir,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (l->name && l->policy)
		return l;
	left_free(l);
	return NULL;
}

/* A record that is of no use is as none: its tasks are ended, see on_unknown(). */
static void read_records(struct server *s, unsigned int abi)
{
	char path[PATH_MAX];
	struct dirent *e;
	struct left *l;
	json_t *j;
	DIR *d;

	record_path(path, abi, NULL);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		record_path(path, abi, e->d_name);
		j = json_load_file(path, 0, NULL);
		l = j ? left_new(s, abi, j) : NULL;
		json_decref(j);
		if (!l)
			continue;
		l->next = s->left->all;
		s->left->all = l;
	}
	if (d)
		closedir(d);
}

/* ---- ends --------------------------------------------------------------------------------- */

static struct left *find(struct lefts *all, uint64_t id)
{
	struct left *l = all->all;

	while (l && l->id != id)
		l = l->next;
	return l;
}

static void on_task(void *ctx, int pidfd, pid_t pid, uint64_t sandbox)
{
	struct left *l = find(ctx, sandbox);

	(void)pid;
	if (l)
		l->marked = true;
	else
		(void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0); /* half made: nobody ends it */
}

struct ending {
	uint64_t id;
};

static void end_task(void *ctx, int pidfd, pid_t pid, uint64_t sandbox)
{
	const struct ending *e = ctx;

	(void)pid;
	if (sandbox == e->id)
		(void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

static void left_kill(struct server *s, const struct left *l)
{
	struct ending e = { l->id };

	if (l->cgroup >= 0)
		(void)cgroup_kill(l->cgroup);
	(void)abi_tasks(agent_pins_top(s->a), l->abi, end_task, &e);
}

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool is_to_end(const struct left *l)
{
	struct pollfd p = { .fd = l->owner, .events = POLLIN };

	if (l->deadline && now_us() >= l->deadline)
		return true;
	return l->kind == SANDBOX_RUN && (l->owner < 0 || poll(&p, 1, 0) == 1);
}

/* An attached cgroup is held while it is there: tasks may come into it again. */
static bool has_ended(const struct left *l)
{
	if (l->marked)
		return false;
	if (l->kind == SANDBOX_ATTACHED)
		return l->cgroup < 0 || !cgroup_has_file(l->cgroup, "cgroup.events");
	return l->cgroup < 0 || !cgroup_populated(l->cgroup);
}

static void forget(struct server *s, const struct left *l)
{
	char path[PATH_MAX], name[32];

	(void)snprintf(name, sizeof(name), "%" PRIu64, l->id);
	record_path(path, l->abi, name);
	(void)unlink(path);
	(void)snprintf(name, sizeof(name), "s%" PRIu64, l->id);
	if (l->kind != SANDBOX_ATTACHED)
		(void)cgroup_remove(agent_cgroup_fd(s->a), name);
}

static void drop_ended(struct server *s, unsigned int abi)
{
	struct left **at = &s->left->all, *l;

	while ((l = *at)) {
		if (l->abi != abi || !has_ended(l)) {
			at = &l->next;
			continue;
		}
		forget(s, l);
		*at = l->next;
		left_free(l);
	}
}

static bool has_any(const struct lefts *all, unsigned int abi)
{
	const struct left *l = all->all;

	while (l && l->abi != abi)
		l = l->next;
	return l;
}

/* True: nothing of that ABI is left, and its pins are gone. */
static bool look_at(struct server *s, unsigned int abi)
{
	char path[PATH_MAX];
	struct left *l;
	int n;

	for (l = s->left->all; l; l = l->next) {
		l->marked = false;
		if (l->abi == abi && is_to_end(l))
			left_kill(s, l);
	}
	n = abi_tasks(agent_pins_top(s->a), abi, on_task, s->left);
	if (n < 0)
		return false;
	drop_ended(s, abi);
	if (n || has_any(s->left, abi))
		return false;
	abi_remove(agent_pins_top(s->a), abi);
	state_abi_path(abi, path, sizeof(path));
	sweep_tree(path);
	fprintf(stderr, "egressd: nothing of ABI %u is left: its programs are removed\n", abi);
	return true;
}

/* How many ABIs still hold something. */
static unsigned int look(struct server *s)
{
	struct lefts *all = s->left;
	unsigned int i, n = 0;

	for (i = 0; i < all->nabis; i++)
		if (!look_at(s, all->abis[i]))
			all->abis[n++] = all->abis[i];
	all->nabis = n;
	return n;
}

static int on_time(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct server *s = ctx;

	(void)usec;
	if (!look(s)) {
		server_left_stop(s);
		return 0;
	}
	if (sd_event_source_set_time_relative(src, LOOK_US) < 0)
		return 0;
	return sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
}

/* ---- the server's side -------------------------------------------------------------------- */

int server_left_start(struct server *s, struct diag *d)
{
	struct lefts *all = calloc(1, sizeof(*all));
	unsigned int i;

	if (!all)
		return diag_set(d, -ENOMEM, "out of memory");
	s->left = all;
	all->nabis = abis_list(agent_pins_top(s->a), EG_ABI, all->abis);
	for (i = 0; i < all->nabis; i++)
		read_records(s, all->abis[i]);
	if (!look(s)) {
		server_left_stop(s);
		return 0;
	}
	fprintf(stderr, "egressd: sandboxes of another ABI go on under their own programs\n");
	if (sd_event_add_time_relative(s->loop, &all->timer, CLOCK_MONOTONIC, LOOK_US, 0, on_time,
				       s) < 0)
		return diag_set(d, -ENOMEM, "out of memory");
	return 0;
}

void server_left_stop(struct server *s)
{
	struct left *l;

	if (!s->left)
		return;
	sd_event_source_disable_unref(s->left->timer);
	while ((l = s->left->all)) {
		s->left->all = l->next;
		left_free(l);
	}
	free(s->left);
	s->left = NULL;
}

void server_left_kill_all(struct server *s)
{
	struct left *l;

	if (!s->left)
		return;
	for (l = s->left->all; l; l = l->next)
		if (l->kind == SANDBOX_RUN)
			left_kill(s, l);
	for (l = s->left->all; l; l = l->next)
		if (l->kind == SANDBOX_RUN && l->cgroup >= 0)
			(void)cgroup_wait_empty(l->cgroup, EMPTY_MS);
	(void)look(s);
}

static bool is_meant(const struct conn *c, const struct left *l, const json_t *ref)
{
	if (c->peer.uid && c->peer.uid != l->uid)
		return false;
	if (json_is_integer(ref))
		return (uint64_t)json_integer_value(ref) == l->id;
	return json_is_string(ref) && l->name[0] && str_eq(json_string_value(ref), l->name);
}

bool server_left_kill(struct conn *c, const json_t *ref, uint64_t *id)
{
	struct left *l;

	for (l = c->s->left ? c->s->left->all : NULL; l; l = l->next) {
		if (!is_meant(c, l, ref))
			continue;
		*id = l->id;
		left_kill(c->s, l);
		return true;
	}
	return false;
}

void server_left_list(struct conn *c, json_t *list)
{
	const struct left *l;

	for (l = c->s->left ? c->s->left->all : NULL; l; l = l->next)
		if (!c->peer.uid || c->peer.uid == l->uid)
			(void)json_array_append_new(
				list,
				json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:I}",
					  "sandbox", (json_int_t)l->id, "name", l->name, "policy",
					  l->policy, "uid", (json_int_t)l->uid, "pid",
					  (json_int_t)0, "serial", (json_int_t)0, "started",
					  (json_int_t)(l->started / 1000000000), "denied",
					  (json_int_t)0, "mode", "left", "abi",
					  (json_int_t)l->abi));
}
