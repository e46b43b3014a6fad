/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cgroups that get a policy before anything of theirs runs.
 *
 * One that matches a pattern is pending from the moment in which it is made. The program
 * that sets it up (a container runtime, systemd) works in it as ever. The first execve()
 * of anything else does not happen: the task stops, and begins the call anew when it
 * goes on, so that a SIGCONT of whomever comes to nothing while the cgroup is pending.
 * The agent is told, attaches the cgroup with what is in it by then, in the workload's
 * own paths and network, takes it from `pending` and sends SIGCONT. An agent that is
 * dead, or refuses the policy, leaves it stopped.
 *
 * A child of vfork() is stopped behind its execve(): its parent waits for that, and may be
 * process 1, which has to start the agent.
 */
#ifndef HOLD_BPF_H
#define HOLD_BPF_H

#include "pattern.h"
#include "walk.bpf.h"

#define ERESTARTNOINTR 513 /* include/linux/errno.h */
#define EEXIST 17
#define SIGCONT 18
#define SIGSTOP 19
#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

/* of all patterns together, with interrupts off: more counts as a match */
#define GLOB_STEPS 16384
#define NAMING_TEXT (2 * EG_CGROUP_PATH) /* the path, and behind it the last name */

/* Used under trace_cgroup_path_lock, so by one at a time. */
struct eg_naming {
	struct eg_glob glob;
	__u32 which; /* of the patterns */
	__u32 meant;
	__u32 path_len, name_len;
	char text[NAMING_TEXT];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_naming);
} naming SEC(".maps") __weak;

static __always_inline struct eg_holding *the_holding(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&holding, &zero);
}

/*
 * Always wakes the agent: its library takes a record and looks for the next without a
 * barrier in between, so that "it is awake anyhow" can be wrong, and then for ever.
 */
static __always_inline bool tell(__u64 sandbox, __u64 cgroup, __u32 pid)
{
	struct eg_arrival told = { .sandbox = sandbox, .cgroup = cgroup, .pid = pid };
	struct eg_holding *h;

	if (!bpf_ringbuf_output(&arrivals, &told, sizeof(told), BPF_RB_FORCE_WAKEUP))
		return true;
	h = the_holding();
	if (h)
		__sync_fetch_and_add(&h->missed, 1);
	return false;
}

/*
 * A program that sets containers or units up, on disk or as runc's copy of itself, which
 * is a memfd. It mounts, joins namespaces and becomes somebody: nothing a sandbox may do.
 */
static __always_inline bool is_runtime(struct file *file, bool copies)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct eg_object o = {};

	if (!inode)
		return false;
	if (BPF_CORE_READ(inode, i_sb, s_flags) & SB_KERNMOUNT)
		return copies;
	object_by_hand(&o, inode);
	return bpf_map_lookup_elem(&runtimes, &o);
}

/* Root's alone: nobody else's program may set anything up. */
static __always_inline bool sets_up(struct task_struct *task)
{
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	return exe && !BPF_CORE_READ(task, real_cred, uid.val) && is_runtime(exe, true);
}

/*
 * In the agent's mount namespace. A runtime's own programs are started there; the same
 * file, executed in a container that has it mounted, is the workload's.
 */
static __always_inline bool is_outside(struct task_struct *task)
{
	struct eg_holding *h = the_holding();

	return h && BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum) == h->mnt_ns;
}

/* ---- patterns -------------------------------------------------------------------- */

struct naming_ctx {
	struct eg_naming *n;
	struct eg_holding *h;
};

static long match_step(__u32 i, struct naming_ctx *c)
{
	struct eg_naming *n = c->n;
	enum eg_glob_result r;
	__u32 which = n->which;
	__u32 at = c->h->first + which;
	struct eg_pattern *p = bpf_map_lookup_elem(&patterns, &at);

	if (!p || !p->len || which >= EG_MAX_PATTERNS) {
		n->meant = 0;
		return 1;
	}
	r = eg_glob_step(&n->glob, p, n->text, p->whole ? 0 : EG_CGROUP_PATH,
			 p->whole ? n->path_len : n->name_len, NAMING_TEXT - 1);
	if (r == EG_GLOB_YES)
		return 1;
	if (r == EG_GLOB_NO) {
		n->which = which + 1;
		__builtin_memset(&n->glob, 0, sizeof(n->glob));
	}
	return 0;
}

/* As far as the agent's cgroup goes; at the end of the path: that, or one above it. */
static long spare_step(__u32 i, struct naming_ctx *c)
{
	char own = c->h->spared[i & (EG_CGROUP_PATH - 1)];

	if (i < c->n->path_len)
		return own != c->n->text[i & (EG_CGROUP_PATH - 1)];
	c->n->meant = own && own != '/';
	return 1;
}

/*
 * Does a pattern mean it? What cannot be told, because the path is too long or patterns
 * are too many steps, is meant as well: the agent has the last word. Its own cgroup
 * never: held, it could not come back.
 */
static __always_inline bool is_meant(struct eg_holding *h, struct cgroup *cgrp, const char *path)
{
	struct naming_ctx c = { .h = h };
	const char *name = BPF_CORE_READ(cgrp, kn, name);
	__u32 zero = 0;
	long len, name_len;

	c.n = bpf_map_lookup_elem(&naming, &zero);
	if (!c.n)
		return false;
	len = bpf_probe_read_kernel_str(c.n->text, EG_CGROUP_PATH, path);
	name_len = bpf_probe_read_kernel_str(c.n->text + EG_CGROUP_PATH, EG_CGROUP_PATH, name);
	c.n->meant = 1;
	if (len <= 1 || name_len <= 1 || len >= EG_CGROUP_PATH)
		return true;
	c.n->path_len = len - 1;
	c.n->name_len = name_len - 1;
	c.n->which = 0;
	__builtin_memset(&c.n->glob, 0, sizeof(c.n->glob));
	bpf_loop(GLOB_STEPS, match_step, &c, 0);
	if (c.n->meant && h->spared_len)
		bpf_loop(EG_CGROUP_PATH, spare_step, &c, 0);
	return c.n->meant;
}

/* ---- pending --------------------------------------------------------------------- */

static __always_inline void make_pending(struct eg_holding *h, __u64 id)
{
	__u32 none = 0;
	long err;

	__sync_fetch_and_add(&h->pending, 1);
	err = bpf_map_update_elem(&pending, &id, &none, BPF_NOEXIST);
	if (!err)
		return;
	__sync_fetch_and_sub(&h->pending, 1);
	if (err == -EEXIST)
		return;
	/* no room: the agent attaches it as quickly as it can */
	__sync_fetch_and_add(&h->missed, 1);
	(void)tell(0, id, 0);
}

/* The flags of the pending cgroup that this one is in, and *id. NULL: in none. */
static __always_inline __u32 *pending_at(__u64 id)
{
	__u32 *flags = bpf_map_lookup_elem(&pending, &id);

	return flags && !(*flags & EG_PD_FREE) ? flags : NULL;
}

static __always_inline __u32 *find_pending(struct cgroup *cgrp, __u64 *id)
{
	__u32 *flags, level;

	for (level = 1; level <= EG_CGROUP_DEPTH; level++) {
		*id = cgroup_ancestor_raw(cgrp, level);
		if (!*id)
			return NULL;
		flags = pending_at(*id);
		if (flags)
			return flags;
	}
	*id = BPF_CORE_READ(cgrp, kn, id); /* deeper than what can be attached */
	return pending_at(*id);
}

/* Once: what a failed attach leaves is tried again when the agent reads its settings. */
static __always_inline void tell_pending(const __u32 *flags, __u64 id, __u32 pid)
{
	__u32 told = EG_PD_TOLD;

	/* by its key: the place may be another one's by now */
	if (!(*flags & EG_PD_TOLD) && tell(0, id, pid))
		(void)bpf_map_update_elem(&pending, &id, &told, BPF_EXIST);
}

/* Something else than a program that sets it up comes in, or is forked there. */
static __always_inline void see_comer(struct task_struct *task, struct cgroup *cgrp)
{
	struct eg_holding *h = the_holding();
	__u32 *flags;
	__u64 id;

	if (!h || !h->pending)
		return;
	flags = find_pending(cgrp, &id);
	if (flags && !sets_up(task))
		tell_pending(flags, id, task->tgid);
}

/*
 * The signal is sent first and then `pending` is looked at again: either the agent,
 * which does both the other way round, sends its SIGCONT later, or it is sent here.
 */
static __always_inline int hold_in(struct task_struct *task, struct eg_holding *h, __u32 *flags,
				   __u64 id)
{
	if (bpf_send_signal_thread(SIGSTOP))
		return -EPERM; /* it cannot be stopped: so it does not begin */
	__sync_fetch_and_add(&h->held, 1); /* a barrier, too */
	tell_pending(flags, id, task->tgid);
	if (!pending_at(id))
		(void)bpf_send_signal_thread(SIGCONT);
	return task->vfork_done ? 0 : -ERESTARTNOINTR;
}

static __always_inline int hold(struct task_struct *task, struct file *file)
{
	struct eg_holding *h = the_holding();
	struct cgroup *cgrp;
	__u32 *flags;
	__u64 id;

	if (!h || !h->pending)
		return 0;
	cgrp = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	flags = cgrp ? find_pending(cgrp, &id) : NULL;
	if (!flags || (sets_up(task) && is_runtime(file, true) && is_outside(task)))
		return 0;
	return hold_in(task, h, flags, id);
}

#endif
