// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The mark follows fork and nothing else.
 *
 * lsm/task_alloc runs in copy_process for every kind of task: fork, vfork,
 * threads, io_uring workers and SQPOLL threads (create_io_thread), vhost
 * workers; `current` is the one that asked for it. execve keeps the task, so it
 * keeps the mark. Nothing takes a mark off but the task's end.
 */
#include "task.bpf.h"

SEC("lsm/task_alloc")
int BPF_PROG(task_alloc, struct task_struct *task, unsigned long clone_flags, int ret)
{
	struct eg_task *child;
	struct eg_id id;
	int who;

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
	if (!sandbox_get(id.sandbox, id.slot))
		return -EAGAIN;
	child = bpf_task_storage_get(&tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!child) {
		/* better no child than a free one */
		count_stat(EG_ST_FAIL_STORAGE);
		return -EAGAIN;
	}
	child->slot = id.slot;
	child->flags = id.flags & ~EG_T_SCOUT;
	child->sandbox = id.sandbox;
	return 0;
}
