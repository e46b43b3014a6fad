// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The mark follows fork and nothing else.
 *
 * lsm/task_alloc runs in copy_process for every kind of task: fork, vfork,
 * threads, io_uring workers and SQPOLL threads (create_io_thread), vhost
 * workers; `current` is the one that asked for it. execve keeps the task, so it
 * keeps the mark. Nothing takes a mark off but the task's end.
 */
#include "guard.bpf.h"

#define CLONE_INTO_CGROUP 0x200000000ull /* include/uapi/linux/sched.h */

/*
 * clone3() starts a child in any cgroup whose directory is open, even by O_PATH, and no
 * file of cgroupfs is opened for it: root would be rid of the sandbox's limits. A runtime
 * that sets a container up is not the sandbox's program yet.
 */
static __always_inline int check_cgroup(struct eg_sandbox *sb, const struct eg_id *id,
					unsigned long clone_flags)
{
	struct guarded g = { .id = *id, .sb = sb };

	if (!(clone_flags & CLONE_INTO_CGROUP) || (id->flags & EG_T_ENTERING))
		return 0;
	g.p = policy_of(sb);
	if (!g.p)
		return -EPERM;
	return refuse(&g, EG_OP_TASK, EG_WHY_GUARD, 0);
}

static __always_inline bool mark(struct task_struct *child, const struct eg_id *id)
{
	struct eg_task *t;

	t = bpf_task_storage_get(&tasks, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!t)
		return false;
	t->slot = id->slot;
	t->flags = id->flags & ~EG_T_SCOUT;
	t->sandbox = id->sandbox;
	return true;
}

/*
 * Until whoever is within the helper on this CPU gets on: it was preempted, and so is this
 * task when its time is over.
 */
#define TURNS (1u << 18) /* some 10 ms, which is more than a slice of time */
#define WAITS 3 /* another may be preempted there meanwhile */

static long until_free(__u32 i, void *unused)
{
	return bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), NULL, 0) != NULL;
}

static __always_inline bool mark_at_last(struct task_struct *child, const struct eg_id *id)
{
	if (!waiting_helps())
		return false;
#pragma unroll
	for (int i = 0; i < WAITS; i++) {
		bpf_loop(TURNS, until_free, NULL, 0);
		if (mark(child, id))
			return true;
	}
	return false;
}

SEC("lsm/task_alloc")
int BPF_PROG(task_alloc, struct task_struct *task, unsigned long clone_flags, int ret)
{
	struct eg_sandbox *sb;
	struct eg_id id;
	int who, err;

	if (ret)
		return ret;
	who = current_id(&id);
	if (!who)
		return 0; /* a scout's children included: its flag is not inherited */
	if (who < 0)
		return -EAGAIN;
	/*
	 * A dead sandbox makes no more tasks: whoever sweeps up its last ones comes to
	 * an end, however fast they were at it.
	 */
	sb = sandbox_get(id.sandbox, id.slot);
	if (!sb)
		return -EAGAIN;
	err = check_cgroup(sb, &id, clone_flags);
	if (err)
		return err;
	if (mark(task, &id) || mark_at_last(task, &id))
		return 0;
	/* better no child than a free one */
	count_stat(EG_ST_FAIL_STORAGE);
	return -EAGAIN;
}
