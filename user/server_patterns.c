/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `attach:` of egressd.yaml. The kernel compares each new cgroup with the patterns and
 * holds the first program in it (bpf/hold.bpf.h); here it gets its policy and goes on.
 * Where that cannot be it stays stopped, until a reload or the next egressd can. See
 * docs/attach.md.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf_load.h"
#include "cgroup.h"
#include "config.h"
#include "policy_send.h"
#include "rooted.h"
#include "sandbox.h"
#include "server_attach.h"
#include "task_check.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"
#include "../bpf/pattern.h"

#define MAX_TRIES 8 /* while processes of the workload end as they are looked at */

_Static_assert(CONFIG_MAX_ATTACH <= EG_MAX_PATTERNS, "patterns that the kernel has room for");

/* ---- what the kernel looks for ------------------------------ */

static struct eg_pattern pattern_of(const struct config_attach *a)
{
	struct eg_pattern p = { .len = (uint16_t)strlen(a->pattern),
				.whole = strchr(a->pattern, '/') != NULL };

	memcpy(p.text, a->pattern, MIN(p.len, sizeof(p.text) - 1));
	return p;
}

/* The list that is not in force is filled, then it is. */
static int publish_patterns(struct server *s, const struct config *c, struct diag *d)
{
	struct eg_holding *h = agent_holding(s->a);
	int map = agent_map_fd(s->a, AGENT_MAP_PATTERNS);
	uint32_t first = h->first ? 0 : EG_MAX_PATTERNS, i, at;

	for (i = 0; i <= c->nattach && i < EG_MAX_PATTERNS; i++) {
		struct eg_pattern p = i < c->nattach ? pattern_of(&c->attach[i]) :
						       (struct eg_pattern){};

		at = first + i;
		if (bpf_map_update_elem(map, &at, &p, BPF_ANY))
			return diag_set(d, -errno, "cannot store the patterns of cgroups: %s",
					strerror(errno));
	}
	__atomic_store_n(&h->first, first, __ATOMIC_SEQ_CST);
	__atomic_store_n(&h->npatterns, c->nattach, __ATOMIC_SEQ_CST);
	return 0;
}

int server_patterns_start(struct server *s, struct diag *d)
{
	_cleanup_close_ int self = pidfd_open(getpid(), 0);
	struct eg_holding *h = agent_holding(s->a);
	char own[PATH_MAX];
	struct rooted r;
	int err;

	err = rooted_open(getpid(), &r, d);
	if (err < 0)
		return err;
	h->mnt_ns = r.ns;
	h->spared_len = 0;
	if (self >= 0 && !task_cgroup(self, own, sizeof(own)) && strlen(own) < EG_CGROUP_PATH) {
		strcpy(h->spared, own);
		h->spared_len = strlen(own);
	}
	s->missed = h->missed;
	return 0;
}

/* ---- cgroups that wait ------------------------------ */

static bool is_waiting(struct server *s, uint64_t id)
{
	uint32_t flags;

	return !bpf_map_lookup_elem(agent_map_fd(s->a, AGENT_MAP_PENDING), &id, &flags);
}

/* An empty one that was made before there was a pattern for it. */
static void wait_for(struct server *s, uint64_t id)
{
	struct eg_holding *h = agent_holding(s->a);
	uint32_t none = 0;

	__atomic_add_fetch(&h->pending, 1, __ATOMIC_SEQ_CST);
	/* without room: attached as a running one is, when somebody reloads */
	if (bpf_map_update_elem(agent_map_fd(s->a, AGENT_MAP_PENDING), &id, &none, BPF_NOEXIST))
		__atomic_sub_fetch(&h->pending, 1, __ATOMIC_SEQ_CST);
}

/*
 * Nobody is held in it any more, and whoever is goes on: the second time because of who
 * has seen that it waits, and stops only now. An egressd that ends in between leaves it
 * marked as free, for the next.
 */
static void let_go(struct server *s, uint64_t id, int dir)
{
	int map = agent_map_fd(s->a, AGENT_MAP_PENDING);
	uint32_t flags = EG_PD_FREE;

	if (bpf_map_update_elem(map, &id, &flags, BPF_EXIST))
		return;
	if (dir >= 0)
		cgroup_signal(dir, SIGCONT);
	if (!bpf_map_delete_elem(map, &id))
		__atomic_sub_fetch(&agent_holding(s->a)->pending, 1, __ATOMIC_SEQ_CST);
	if (dir >= 0)
		cgroup_signal(dir, SIGCONT);
}

/*
 * A cgroup that is being made cannot be opened before it can be entered, and the kernel
 * may have told of it before. Whoever makes one holds the lock that is needed to read
 * in which cgroup a task is: when that was read, it is done.
 */
static int open_made(struct server *s, uint64_t id)
{
	_cleanup_close_ int self = pidfd_open(getpid(), 0);
	int root = agent_cgroup_root_fd(s->a);
	int dir = cgroup_open_id(root, id);
	char own[PATH_MAX];

	if (dir >= 0)
		return dir;
	(void)task_cgroup(self, own, sizeof(own));
	return cgroup_open_id(root, id);
}

/* Below the mount; -ENOENT: removed. */
static int path_of(int dir, char path[PATH_MAX])
{
	char self[32], mount[PATH_MAX];
	size_t n;
	ssize_t len;

	if (mount_find("cgroup2", mount, sizeof(mount)))
		return -ENOENT;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", dir);
	len = readlink(self, path, PATH_MAX - 1);
	if (len <= 0)
		return -ENOENT;
	path[len] = 0;
	n = strlen(mount);
	if (!str_starts(path, mount) || path[n] != '/' || str_ends(path, " (deleted)"))
		return -ENOENT;
	memmove(path, path + n, len - n + 1);
	return 0;
}

/* ---- attaching ------------------------------ */

static const struct config_attach *match(const struct config *c, const char *path)
{
	uint32_t i;

	for (i = 0; i < c->nattach; i++) {
		struct eg_pattern p = pattern_of(&c->attach[i]);

		if (eg_glob_matches(&p, path, strlen(path)))
			return &c->attach[i];
	}
	return NULL;
}

/* The policy's texts are read here: it is root's own word. */
static int attach_named(struct server *s, const char *path, pid_t leader, bool waits,
			const struct config_attach *a, struct diag *d)
{
	json_t *doc = json_pack("{s:[s], s:[]}", "policies", a->policy, "texts");
	struct conn asks = { .s = s, .fd = -1, .child = -1 };
	struct attach_found f = {};
	struct attach_request r = {
		.cgroup = path,
		.name = strrchr(path, '/') + 1,
		.leader = leader,
		.waits = waits,
		.policy = { .policies = json_object_get(doc, "policies"),
			    .texts = json_object_get(doc, "texts") },
	};
	struct conn *box;
	json_t *need;
	int err;

	err = server_canary_refuses(s, d); /* until it does not: server_canary.c comes back */
	if (!err)
		err = doc ? policy_send_add(r.policy.texts, a->policy, NULL, d) :
			    diag_set(d, -ENOMEM, "out of memory");
	while (!err) {
		need = NULL;
		err = attach_start(&asks, &r, &need, &f, &box, d);
		if (err)
			break;
		err = policy_send_needed(doc, need, d);
		json_decref(need);
	}
	json_decref(doc);
	return MIN(err, 0);
}

/* Users who may make cgroups that match use up what all share: no more than they may run. */
static int refuse_many(struct server *s, int dir, struct diag *d)
{
	struct sandbox *b = NULL;
	struct stat st, other;
	uint32_t n = 0;

	if (fstat(dir, &st) || !st.st_uid)
		return 0;
	while ((b = sandboxes_next(s->sandboxes, b)))
		n += sandbox_kind(b) == SANDBOX_ATTACHED &&
		     !fstat(sandbox_cgroup_fd(b), &other) && other.st_uid == st.st_uid;
	return n < s->config->max_per_uid ? 0 :
		       diag_set(d, -EDQUOT, "%u cgroups of user %u are attached already", n,
				st.st_uid);
}

static void say(struct server *s, const struct config_attach *a, const char *path, bool waits,
		const struct diag *d)
{
	char text[1024], name[PATH_MAX * 4];

	diag_escape(name, sizeof(name), path, strlen(path));
	fprintf(stderr, "egressd: %s:%u: %s is not attached: %s\n", s->config->file, a->line, name,
		diag_text(d, text, sizeof(text)));
	if (waits)
		fprintf(stderr, "egressd: what begins in it stays stopped, until egressd reads its "
				"settings again and can attach it, or no pattern means it\n");
}

/* `dir` matches: attach it now, and let go on what is held in it. */
static void take(struct server *s, const char *path, int dir, uint64_t id, pid_t pid,
		 const struct config_attach *a)
{
	bool waits = is_waiting(s, id);
	int err, tries = 0;
	struct diag d = {};

	if (attach_refuse_overlap(s, path, &d)) {
		let_go(s, id, dir); /* what is in an attached one is under that one's policy */
		return;
	}
	if (attach_refuse_vital(s, path, &d) == -EPERM) {
		say(s, a, path, false, &d);
		let_go(s, id, dir);
		return;
	}
	d = (struct diag){};
	err = refuse_many(s, dir, &d);
	while (!err || err == -ESRCH) {
		d = (struct diag){};
		err = attach_named(s, path, pid, waits, a, &d);
		if (!err || ++tries == MAX_TRIES)
			break;
		pid = 0; /* it has ended: whoever else is in it */
	}
	if (err)
		say(s, a, path, waits, &d);
	else
		let_go(s, id, dir);
}

void patterns_waits(struct server *s, uint64_t id, pid_t pid)
{
	_cleanup_close_ int dir = open_made(s, id);
	const struct config_attach *a;
	char path[PATH_MAX];

	if (dir < 0 && dir != -ESTALE && dir != -ENOENT)
		fprintf(stderr,
			"egressd: cgroup %" PRIu64 " waits for its policy and cannot be opened: "
			"%s\n", id, strerror(-dir));
	if (dir < 0 || path_of(dir, path))
		return; /* removed, or of another hierarchy */
	a = match(s->config, path);
	if (a)
		take(s, path, dir, id, pid, a);
	else
		let_go(s, id, dir);
}

/* One that was there before: what runs in it is attached, what will run is held. */
static void consider(struct server *s, const char *path, int dir)
{
	const struct config_attach *a = match(s->config, path);
	struct diag d = {};
	uint64_t id;

	if (!a || cgroup_id(dir, &id))
		return;
	if (!agent_egress_only(s->a) && !attach_first_process(dir) &&
	    !attach_refuse_overlap(s, path, &d) && !attach_refuse_vital(s, path, &d)) {
		wait_for(s, id);
		if (!attach_first_process(dir))
			return;
	}
	take(s, path, dir, id, 0, a);
}

/* ---- all of them ------------------------------ */

static void walk(struct server *s, int dirfd, char path[PATH_MAX])
{
	int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	size_t n = strlen(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_close_ int sub = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.' ||
		    n + strlen(e->d_name) + 2 > PATH_MAX)
			continue;
		sub = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub < 0)
			continue;
		path[n] = '/';
		strcpy(path + n + 1, e->d_name);
		consider(s, path, sub);
		if (cgroup_depth("", path) < EG_CGROUP_DEPTH)
			walk(s, sub, path);
		path[n] = 0;
	}
	if (dir)
		closedir(dir);
}

/* `all`, or those that wait for a pattern that there was once, or that were let go before. */
static void sweep(struct server *s, bool all)
{
	int map = agent_map_fd(s->a, AGENT_MAP_PENDING);
	uint64_t ids[EG_MAX_PENDING], *key = NULL;
	char path[PATH_MAX];
	size_t n = 0, i;

	while (n < ARRAY_SIZE(ids) && !bpf_map_get_next_key(map, key, &ids[n]))
		key = &ids[n++];
	for (i = 0; i < n; i++) {
		_cleanup_close_ int dir = open_made(s, ids[i]);
		uint32_t flags = 0;

		(void)bpf_map_lookup_elem(map, &ids[i], &flags);
		if (dir < 0 && dir != -ESTALE && dir != -ENOENT)
			continue; /* no descriptor: another time */
		if (all || dir < 0 || path_of(dir, path) || (flags & EG_PD_FREE) ||
		    !match(s->config, path))
			let_go(s, ids[i], dir);
	}
}

void server_patterns(struct server *s)
{
	char path[PATH_MAX] = "";
	struct diag d = {};

	if (publish_patterns(s, s->config, &d))
		diag_print(stderr, "egressd", &d); /* those before go on */
	if (s->config->nattach)
		walk(s, agent_cgroup_root_fd(s->a), path);
	sweep(s, false);
}

void server_patterns_end(struct server *s)
{
	agent_holding(s->a)->npatterns = 0;
	sweep(s, true);
}
