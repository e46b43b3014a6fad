/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who a task is: its sandbox, and that sandbox's policy.
 *
 * The mark lives in task storage, so `bpf_storage == NULL` settles the common
 * case, a task of nobody's, with one load. When it is not NULL the helper is
 * asked; but before 6.2 it also answers NULL when it interrupts another storage
 * operation on the same CPU, and that must never make a sandboxed task look
 * free. So a NULL is checked against the task's list of storages, by hand.
 */
#ifndef TASK_BPF_H
#define TASK_BPF_H

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#ifndef EPERM
#define EPERM 1
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EXDEV 18
#define ENOSPC 28
#endif

/*
 * Storages of one task that are looked at before its mark is given up for
 * unreadable. Each is another BPF map of this host that has seen the task.
 */
#define EG_MAX_STORAGES 64

/* the part of a mark that decides; the first bytes of struct eg_task */
struct eg_id {
	__u64 sandbox; /* never 0 in a mark that counts */
	__u32 slot;
	__u32 flags; /* EG_T_* */
};

_Static_assert(sizeof(struct eg_id) == 16, "eg_id");
/*
 * Before 6.2 the storage helper says NULL, for a storage that is there or is to be made, when
 * it interrupts another storage operation on the CPU: of a softirq's, or of a task that was
 * preempted within it, until that one goes on. User space says whether this kernel does so.
 */
__weak const volatile bool storage_blocks = true;

#define MAX_RT_PRIO 100 /* include/linux/sched/prio.h */

/* Would whoever it interrupted get on, if the running task went on long enough? */
static __always_inline bool waiting_helps(void)
{
	return storage_blocks && bpf_get_current_task_btf()->prio >= MAX_RT_PRIO;
}

_Static_assert(__builtin_offsetof(struct eg_task, slot) == 8, "eg_id is a prefix of eg_task");
_Static_assert(__builtin_offsetof(struct eg_task, flags) == 12, "eg_id is a prefix of eg_task");

/*
 * Reads the first bytes of `map`'s value from a task's or a socket's list of
 * storages. 1: *id is filled in. 0: there is none. -EAGAIN: cannot be told.
 *
 * Storages are freed after a grace period and programs run inside one, so the
 * list can be walked; probe reads make a stale pointer harmless.
 */
static __always_inline int storage_id_raw(struct bpf_local_storage *storage, const void *map,
					  struct eg_id *id)
{
	struct bpf_local_storage_elem *elem;
	struct bpf_local_storage_map *smap;
	struct hlist_node *node;
	int i;

	id->sandbox = 0;
	id->slot = 0;
	id->flags = 0;
	if (!storage)
		return 0;
	node = BPF_CORE_READ(storage, list.first);
	for (i = 0; i < EG_MAX_STORAGES; i++) {
		if (!node)
			return 0;
		elem = (void *)node - bpf_core_field_offset(elem->snode);
		smap = BPF_CORE_READ(elem, sdata.smap);
		if (smap == map) {
			void *data = (void *)elem + bpf_core_field_offset(elem->sdata.data);

			if (bpf_probe_read_kernel(id, sizeof(*id), data))
				break;
			return id->sandbox != 0;
		}
		node = BPF_CORE_READ(node, next);
	}
	count_stat(EG_ST_FAIL_STORAGE);
	return -EAGAIN;
}

/*
 * The mark of any task, read by hand; results as storage_id_raw. A scout counts
 * as not sandboxed: its id->sandbox is 0.
 */
static __always_inline int task_id_raw(struct task_struct *raw, struct eg_id *id)
{
	return storage_id_raw(BPF_CORE_READ(raw, bpf_storage), &tasks, id);
}

/* The same as a global function, or the verifier follows the list for every path to here. */
__weak __noinline int eg_task_id(__u64 task, struct eg_id *id)
{
	return id ? task_id_raw((struct task_struct *)task, id) : -EAGAIN;
}

/*
 * The mark of the running task, for programs that need no scratch: they go on
 * while the storage is busy. Results as task_id_raw.
 */
static __always_inline int current_id(struct eg_id *id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct eg_task *t;

	if (!task->bpf_storage)
		return 0;
	t = bpf_task_storage_get(&tasks, task, NULL, 0);
	if (t) {
		id->sandbox = t->sandbox;
		id->slot = t->slot;
		id->flags = t->flags;
		return t->sandbox != 0;
	}
	id->sandbox = 0; /* a global function's argument must have been written to */
	id->slot = 0;
	id->flags = 0;
	if (eg_task_id(bpf_get_current_task(), id) == 0)
		return 0;
	count_stat(EG_ST_BUSY_STORAGE);
	return id->sandbox ? 1 : -EAGAIN;
}

/*
 * The live sandbox with this id in this slot. NULL: it is dead, or the slot is
 * another's by now; whoever still carries the id is refused everything.
 */
static __always_inline struct eg_sandbox *sandbox_get(__u64 id, __u32 slot)
{
	struct eg_sandbox *sb = bpf_map_lookup_elem(&sandboxes, &slot);

	if (!sb || sb->id != id || sb->state != EG_S_LIVE)
		return NULL;
	return sb;
}

/* Was this sandbox taken off its workload: what sockets still carry of it means nothing. */
static __always_inline bool sandbox_detached(__u64 id, __u32 slot)
{
	struct eg_sandbox *sb = bpf_map_lookup_elem(&sandboxes, &slot);

	return sb && sb->id == id && sb->state == EG_S_DETACHED;
}

static __always_inline struct eg_sandbox *sandbox_of(const struct eg_task *t)
{
	return sandbox_get(t->sandbox, t->slot);
}

/*
 * The version in force now that grants may have lapsed: index in `policies`, and in
 * the high half how many lapsed that user space has not seen to. A global function,
 * so that the verifier follows the chain once.
 */
__weak __noinline __u32 eg_version_now(struct eg_sandbox *sb)
{
	__u64 now = bpf_ktime_get_boot_ns();
	__u32 index, steps = 0;
	struct eg_policy *p;

	if (!sb)
		return EG_MAX_POLICIES; /* none */
	index = sb->policy;
	for (__u32 i = 0; i <= EG_MAX_GRANTS; i++) {
		__u32 key = index;

		p = bpf_map_lookup_elem(&policies, &key);
		if (!p || !p->lapses || now < p->lapses)
			break;
		index = p->next;
		steps++;
	}
	return steps << 16 | (index & 0xffff);
}

/* A number that no generation ever is, however many grants lapse: see GENERATION_STEP. */
#define NO_GENERATION (EG_MAX_GRANTS + 1)

/*
 * What a socket's last judgement is good for: it changes with whatever takes a
 * destination away, be it by user space or by the clock. What lapsed in one chain of
 * versions must not be added to the number of another: that sum comes again when as
 * many grants of that chain have lapsed.
 */
static __always_inline __u32 generation_of(struct eg_sandbox *sb)
{
	__u64 lapses = *(volatile __u64 *)&sb->lapses;
	__u32 generation, steps;

	barrier();
	generation = *(volatile __u32 *)&sb->generation;
	if (!lapses || bpf_ktime_get_boot_ns() < lapses)
		return generation;
	steps = eg_version_now(sb) >> 16;
	barrier();
	if (*(volatile __u32 *)&sb->generation != generation)
		return generation + NO_GENERATION;
	return generation + steps;
}

/* The version in force in a sandbox. NULL is an internal failure: refuse. */
static __always_inline struct eg_policy *policy_of(struct eg_sandbox *sb)
{
	/*
	 * Before the index: user space takes the time away last, so that a version with
	 * a grant that is over is never met without it.
	 */
	__u64 lapses = *(volatile __u64 *)&sb->lapses;
	struct eg_policy *p;
	__u32 index;

	barrier();
	index = *(volatile __u32 *)&sb->policy;
	if (lapses)
		index = eg_version_now(sb) & 0xffff;
	p = bpf_map_lookup_elem(&policies, &index);
	if (p && p->serial)
		return p;
	__sync_fetch_and_add(&sb->failed, 1);
	count_stat(EG_ST_FAIL_MAP);
	return NULL;
}

/* The kernfs id of the cgroup that is `level` below the root, above or at cgrp. 0: none. */
static __always_inline __u64 cgroup_ancestor_raw(struct cgroup *cgrp, __u32 level)
{
	struct cgroup *ancestor = NULL;
	__u32 depth = BPF_CORE_READ(cgrp, level);

	if (level > depth || level > 255)
		return 0;
	if (bpf_probe_read_kernel(&ancestor, sizeof(ancestor), &cgrp->ancestors[level]))
		return 0;
	return BPF_CORE_READ(ancestor, kn, id);
}

#define PF_IO_WORKER 0x00000010 /* include/linux/sched.h */

/*
 * An operation that overlayfs repeats on its layer, with the mounter's
 * credentials: the visible one was judged. io_uring can run with registered
 * credentials too, so a task with a ring is not believed.
 */
static __always_inline bool layer_operation(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->cred != task->real_cred && !task->io_uring && !(task->flags & PF_IO_WORKER);
}

#endif
