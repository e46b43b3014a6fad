/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf_cover.h"
#include "bpf_load.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "diag.h"
#include "ipc_sweep.h"
#include "publish.h"
#include "sandbox_int.h"
#include "state.h"
#include "task_check.h"
#include "util.h"

/* of what one sandbox may report; the rest is counted */
#define EVENT_RATE 2000u
#define EVENT_BURST 20000u

static struct eg_sandbox *slot_of(const struct sandbox *b)
{
	return &agent_sandboxes(b->all->a)[b->slot];
}

static void set_state(struct eg_sandbox *s, uint32_t state)
{
	__atomic_store_n(&s->state, state, __ATOMIC_RELEASE);
}

void sandbox_free(struct sandbox *b)
{
	if (!b)
		return;
	sandboxes_drop(b);
	if (b->version)
		publisher_unref(b->all->p, b->version);
	if (b->cgroup >= 0)
		close(b->cgroup);
	if (b->events >= 0)
		close(b->events);
	free(b->covers);
	free(b->path);
	free(b->name);
	free(b->policies);
	free(b->policy);
	free(b);
}

/* ---- versions ------------------------------------------------------------------------ */

/*
 * More than grants can lapse by themselves: the kernel counts from here by one for
 * each of them, and no number may mean two things. Odd, so that the low byte that an
 * IPv4 flow is remembered with does not come back soon.
 */
#define GENERATION_STEP 65u

_Static_assert(GENERATION_STEP > 2 * (EG_MAX_GRANTS + 1),
	       "generations that lapses make, and NO_GENERATION of bpf/task.bpf.h");

void sandbox_switch(struct sandbox *b, const struct version *v, enum sandbox_change what)
{
	const struct version *old = b->version;
	struct eg_sandbox *s = slot_of(b);

	publisher_ref(b->all->p, v);
	/* the chain is followed as soon as there is a time: it must be there first */
	if (v->lapses && (!s->lapses || v->lapses < s->lapses))
		__atomic_store_n(&s->lapses, v->lapses, __ATOMIC_SEQ_CST);
	/*
	 * Before, so that no number that a lapse made comes back when the chain gets
	 * shorter; behind, because what was judged in between was judged by the old.
	 */
	if (what == SANDBOX_TAKES)
		__atomic_add_fetch(&s->generation, GENERATION_STEP, __ATOMIC_SEQ_CST);
	__atomic_store_n(&s->policy, v->slot, __ATOMIC_SEQ_CST);
	if (what == SANDBOX_TAKES)
		__atomic_add_fetch(&s->generation, GENERATION_STEP, __ATOMIC_SEQ_CST);
	__atomic_store_n(&s->lapses, v->lapses, __ATOMIC_SEQ_CST);
	b->version = v;
	publisher_unref(b->all->p, old);
}

/* ---- making one ---------------------------------------------------------------------- */

/* Somebody else's cgroup: by its id when it is taken over from an earlier egressd. */
static int open_foreign(struct sandbox *b, int dirfd, uint64_t id)
{
	b->cgroup = dirfd >= 0 ? fcntl(dirfd, F_DUPFD_CLOEXEC, 3) :
				 cgroup_open_id(agent_cgroup_root_fd(b->all->a), id);
	if (b->cgroup < 0)
		return dirfd >= 0 ? -errno : steal_fd(&b->cgroup);
	b->events = cgroup_open_events(b->cgroup);
	return MIN(b->events, 0);
}

/* The agent's own is told from those of users by whoever lists directories. */
static void name_dir(struct sandbox *b)
{
	snprintf(b->dir, sizeof(b->dir), "%s%" PRIu64,
		 b->hidden ? SANDBOX_HIDDEN_DIR : SANDBOX_DIR, b->id);
}

static int open_cgroup(struct sandbox *b)
{
	name_dir(b);
	b->cgroup = openat(agent_cgroup_fd(b->all->a), b->dir,
			   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (b->cgroup < 0)
		return -errno;
	b->events = cgroup_open_events(b->cgroup);
	return MIN(b->events, 0);
}

static int note_path(struct sandbox *b)
{
	const char *name = strrchr(agent_cgroup_path(b->all->a), '/');
	char *path;

	if (asprintf(&path, "%s/%s", name, b->dir) < 0)
		return -ENOMEM;
	free(b->path);
	b->path = path;
	return 0;
}

static int make_cgroup(struct sandbox *b, const struct sandbox_spec *spec, struct diag *d)
{
	int parent = agent_cgroup_fd(b->all->a);
	int err;

	if (b->kind == SANDBOX_ATTACHED) {
		err = open_foreign(b, spec->cgroup, 0);
		return err ? diag_set(d, err, "cannot open the cgroup: %s", strerror(-err)) : 0;
	}
	name_dir(b);
	err = cgroup_make(parent, b->dir);
	if (err)
		return diag_set(d, err, "cannot make the cgroup %s/%s: %s",
				agent_cgroup_path(b->all->a), b->dir, strerror(-err));
	err = open_cgroup(b);
	if (!err)
		err = note_path(b);
	if (err)
		return diag_set(d, err, "cannot open the cgroup %s/%s: %s",
				agent_cgroup_path(b->all->a), b->dir, strerror(-err));
	return limits_apply(&b->limits, agent_cgroup_root_fd(b->all->a), parent, b->cgroup, d);
}

static int fill_slot(struct sandbox *b, const struct sandbox_spec *spec, struct diag *d)
{
	int cgroups = agent_map_fd(b->all->a, AGENT_MAP_CGROUPS);
	struct eg_sandbox *s = slot_of(b);
	struct eg_cgroup c = { .sandbox = b->id, .slot = b->slot,
			       .flags = b->kind == SANDBOX_RUN ? 0 : EG_CG_MARK };
	struct eg_sandbox fresh = {
		.id = b->id,
		.policy = b->version->slot,
		.generation = 1,
		.uid = b->uid,
		.depth = b->kind == SANDBOX_ATTACHED ? cgroup_depth("", b->path) :
						       agent_cgroup_depth(b->all->a) + 1,
		.nttys = MIN(spec->nttys, EG_MAX_TTYS),
		.ev_rate = EVENT_RATE,
		.ev_burst = EVENT_BURST,
		.flags = spec->rights ? EG_SB_RIGHTS : 0,
	};
	uint64_t old = s->cgroup, id;
	int err;

	err = cgroup_id(b->cgroup, &id);
	fresh.cgroup = id;
	if (err)
		return diag_set(d, err, "cannot get the id of the cgroup: %s", strerror(-err));
	memcpy(fresh.ttys, spec->ttys, fresh.nttys * sizeof(fresh.ttys[0]));
	/* left until now, so that sockets in a dead cgroup stay somebody's */
	if (old)
		(void)bpf_map_delete_elem(cgroups, &old);
	set_state(s, EG_S_DEAD);
	fresh.mnt_ns = spec->mnt_ns;
	memcpy(s, &fresh, sizeof(*s)); /* state FREE: nothing is judged by it yet */
	/* live before the kernel puts its mark on whoever comes into the cgroup */
	set_state(s, EG_S_LIVE);
	if (bpf_map_update_elem(cgroups, &id, &c, BPF_ANY))
		return diag_set(d, -errno, "cannot store the cgroup of the sandbox: %s",
				strerror(errno));
	return 0;
}

static char *copy_text(const char *s)
{
	return strdup(s ? s : "");
}

static uint64_t wall_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

int sandbox_set_policies(struct sandbox *b, const char *policies)
{
	_cleanup_free_ char *copy = copy_text(policies), *label = copy_text(policies);

	if (!copy || !label)
		return -ENOMEM;
	for (char *p = label; (p = strchr(p, '\n')); p++)
		*p = '+';
	free(b->policies);
	free(b->policy);
	b->policies = steal_ptr(copy);
	b->policy = steal_ptr(label);
	return 0;
}

bool sandbox_has_policy(const struct sandbox *b, const char *name)
{
	const char *p = b->policies, *end;

	for (;; p = end + 1) {
		end = strchrnul(p, '\n');
		if ((size_t)(end - p) == strlen(name) && !memcmp(p, name, (size_t)(end - p)))
			return true;
		if (!*end)
			return str_eq(b->policy, name);
	}
}

static struct sandbox *alloc_sandbox(struct sandboxes *s, const struct sandbox_spec *spec)
{
	struct sandbox *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->all = s;
	b->slot = EG_MAX_SANDBOXES;
	b->cgroup = b->events = -1;
	b->uid = spec->uid;
	b->limits = spec->limits;
	b->hidden = spec->hidden;
	publisher_ref(s->p, spec->version);
	b->version = spec->version;
	b->kind = spec->kind;
	b->path = copy_text(spec->path);
	b->name = copy_text(spec->name);
	if (b->name && b->path && !sandbox_set_policies(b, spec->policies))
		return b;
	sandbox_free(b);
	return NULL;
}

static void undo_new(struct sandbox *b)
{
	set_state(slot_of(b), EG_S_DEAD);
	if (b->dir[0])
		(void)cgroup_remove(agent_cgroup_fd(b->all->a), b->dir);
	sandbox_free(b);
}

int sandbox_new(struct sandboxes *s, const struct sandbox_spec *spec, struct sandbox **out,
		struct diag *d)
{
	struct sandbox *b;
	uint32_t slot;
	int err;

	err = sandboxes_slot(s, &slot);
	if (err)
		return diag_set(d, err, "all %u sandboxes of this host are in use",
				EG_MAX_SANDBOXES);
	b = alloc_sandbox(s, spec);
	if (!b)
		return diag_set(d, -ENOMEM, "out of memory");
	b->slot = slot;
	b->started = wall_clock();
	err = sandboxes_number(s, &b->id, d);
	if (!err)
		err = make_cgroup(b, spec, d);
	if (!err)
		err = fill_slot(b, spec, d);
	if (err) {
		undo_new(b);
		return err;
	}
	sandboxes_add(b);
	*out = b;
	return 0;
}

int sandbox_adopt(struct sandboxes *s, uint64_t id, uint32_t slot, uint64_t started, pid_t leader,
		  const struct sandbox_spec *spec, struct sandbox **out, struct diag *d)
{
	const struct eg_sandbox *live = &agent_sandboxes(s->a)[slot % EG_MAX_SANDBOXES];
	struct sandbox *b;
	int err;

	if (slot >= EG_MAX_SANDBOXES || live->state != EG_S_LIVE || live->id != id ||
	    s->by_slot[slot])
		return -ENOENT;
	b = alloc_sandbox(s, spec);
	if (!b)
		return diag_set(d, -ENOMEM, "out of memory");
	b->id = id;
	b->slot = slot;
	b->started = started;
	b->leader = leader;
	err = b->kind == SANDBOX_ATTACHED ? open_foreign(b, -1, live->cgroup) : open_cgroup(b);
	if (!err && b->kind != SANDBOX_ATTACHED)
		err = note_path(b);
	if (err) {
		sandbox_free(b);
		return -ENOENT;
	}
	sandboxes_add(b);
	*out = b;
	return 0;
}

/* ---- entering -------------------------------------------------------------------------- */

/*
 * The kernel takes a pid, and the pid of a child that its launcher reaps in
 * this very moment could be somebody else's. When the child is still there
 * afterwards, dead or alive, the number was its own; else what came in goes back
 * to where its parent is, and nothing is killed.
 */
static int move_in(struct sandbox *b, int pidfd, pid_t pid, struct diag *d)
{
	char text[16], list[4096], *p, *save;
	int err;

	snprintf(text, sizeof(text), "%d", pid);
	err = cgroup_write(b->cgroup, "cgroup.procs", text);
	if (err)
		return diag_set(d, err, "cannot move the command into its cgroup: %s",
				strerror(-err));
	if (pidfd_pid(pidfd) == pid)
		return 0;
	if (!cgroup_read(b->cgroup, "cgroup.procs", list, sizeof(list)))
		for (p = strtok_r(list, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
			task_move_to_parents_cgroup(atoi(p));
	return diag_set(d, -ESRCH, "the command's process ended before it began");
}

/* Paths behind mounts of its own lead there. */
int sandbox_note_namespace(struct sandbox *b, pid_t pid, struct diag *d)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	if (stat(path, &st))
		return diag_set(d, -errno, "cannot look at %s: %s", path, strerror(errno));
	slot_of(b)->mnt_ns = st.st_ino;
	return 0;
}

int sandbox_enter(struct sandbox *b, int pidfd, uid_t uid, struct diag *d)
{
	struct eg_task mark = { .sandbox = b->id, .slot = b->slot };
	int tasks = agent_map_fd(b->all->a, AGENT_MAP_TASKS);
	pid_t pid;
	int err;

	err = task_check(pidfd, uid, &pid, d);
	if (err)
		return err;
	if (task_marked(tasks, pidfd, NULL) != 0)
		return diag_set(d, -EPERM, "the process is in a sandbox already");
	err = sandbox_note_namespace(b, pid, d);
	if (!err)
		err = move_in(b, pidfd, pid, d);
	if (err)
		return err;
	if (bpf_map_update_elem(tasks, &pidfd, &mark, BPF_NOEXIST))
		return diag_set(d, -errno, "cannot mark the command's process: %s",
				strerror(errno));
	b->leader = pid;
	return 0;
}

void sandbox_set_resolver(struct sandbox *b, uint16_t port)
{
	slot_of(b)->dns_port = htons(port);
}

uint16_t sandbox_resolver(const struct sandbox *b)
{
	return ntohs(slot_of(b)->dns_port);
}

/* ---- ending ----------------------------------------------------------------------------- */

void sandbox_kill(struct sandbox *b)
{
	(void)cgroup_kill(b->cgroup); /* sandbox_empty() tells whether it worked */
}

int sandbox_freeze(struct sandbox *b)
{
	return cgroup_write(b->cgroup, "cgroup.freeze", "1");
}

bool sandbox_is_frozen(const struct sandbox *b)
{
	char was[8];

	/* not of the events that are watched: who reads them takes a notification away */
	return !cgroup_read(b->cgroup, "cgroup.freeze", was, sizeof(was)) && was[0] == '1';
}

int sandbox_events_fd(const struct sandbox *b)
{
	return b->events;
}

bool sandbox_empty(const struct sandbox *b)
{
	return cgroup_is_empty(b->events);
}

static void drop_covers(struct sandbox *b)
{
	while (b->ncovers)
		covers_drop(agent_covers(b->all->a), b->covers[--b->ncovers]);
}

int sandbox_remove(struct sandbox *b)
{
	int err;

	err = b->kind == SANDBOX_ATTACHED ? 0 :
					    cgroup_remove(agent_cgroup_fd(b->all->a), b->dir);
	if (err)
		return err;
	/* from now on whoever still carries the mark is refused everything */
	set_state(slot_of(b), EG_S_DEAD);
	if (slot_of(b)->ipc_objects)
		ipc_sweep(agent_map_fd(b->all->a, AGENT_MAP_IPC_OBJECTS), b->id);
	drop_covers(b);
	sandbox_free(b);
	return 0;
}

void sandbox_refuse_all(struct sandbox *b)
{
	set_state(slot_of(b), EG_S_DEAD);
}

void sandbox_open_cgroup(struct sandbox *b)
{
	uint64_t id = slot_of(b)->cgroup;

	(void)bpf_map_delete_elem(agent_map_fd(b->all->a, AGENT_MAP_CGROUPS), &id);
}

void sandbox_release(struct sandbox *b)
{
	sandbox_open_cgroup(b);
	/* the cgroup may be another sandbox's before this slot is used again */
	slot_of(b)->cgroup = 0;
	set_state(slot_of(b), EG_S_DETACHED);
	drop_covers(b);
	sandbox_free(b);
}

/* ---- access ------------------------------------------------------------------------------ */

int sandbox_cgroup_fd(const struct sandbox *b)
{
	return b->cgroup;
}

uint64_t sandbox_id(const struct sandbox *b)
{
	return b->id;
}

uint32_t sandbox_slot(const struct sandbox *b)
{
	return b->slot;
}

enum sandbox_kind sandbox_kind(const struct sandbox *b)
{
	return b->kind;
}

const char *sandbox_path(const struct sandbox *b)
{
	return b->path;
}

void sandbox_set_leader(struct sandbox *b, pid_t pid)
{
	b->leader = pid;
}

int sandbox_add_cover(struct sandbox *b, uint64_t id)
{
	if (array_reserve(&b->covers, &b->covers_cap, b->ncovers))
		return -ENOMEM;
	b->covers[b->ncovers++] = id;
	return 0;
}

const uint64_t *sandbox_covers(const struct sandbox *b, size_t *n)
{
	*n = b->ncovers;
	return b->covers;
}

uid_t sandbox_uid(const struct sandbox *b)
{
	return b->uid;
}

pid_t sandbox_leader(const struct sandbox *b)
{
	return b->leader;
}

const char *sandbox_name(const struct sandbox *b)
{
	return b->name;
}

const char *sandbox_policy(const struct sandbox *b)
{
	return b->policy;
}

const char *sandbox_policies(const struct sandbox *b)
{
	return b->policies;
}

const struct version *sandbox_version(const struct sandbox *b)
{
	return b->version;
}

uint64_t sandbox_started(const struct sandbox *b)
{
	return b->started;
}

const struct limits *sandbox_limits(const struct sandbox *b)
{
	return &b->limits;
}

const struct eg_sandbox *sandbox_counters(const struct sandbox *b)
{
	return slot_of(b);
}

void sandbox_set_owner(struct sandbox *b, void *owner)
{
	b->owner = owner;
}

void *sandbox_owner(const struct sandbox *b)
{
	return b->owner;
}
