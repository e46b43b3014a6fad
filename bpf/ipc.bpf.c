// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * SysV memory, queues and semaphores: a sandbox uses those that it made itself.
 *
 *   shm_alloc, msg_alloc, sem_alloc   as many as one sandbox may have
 *   ipc_added, ipc_removed            whose it is, from its id's first to its last moment
 *   ipc_permission                    attach, send, receive, operate, find by key, IPC_STAT
 *   shm_ctl, msg_ctl, sem_ctl         all of *ctl: IPC_SET and IPC_RMID pass no permission
 *
 * An object without an owner is an outsider's. privileges: [ipc] lifts that. From
 * outside in nothing is refused. POSIX queues are files, see mq_create().
 */
#include "guard.bpf.h"
#include "sock.bpf.h"

/* What the kernel says when a namespace is full: programs know it. */
static __always_inline int count_new(int ret)
{
	struct guarded g;
	int err;

	if (ret)
		return ret;
	err = guarded(&g);
	if (err <= 0)
		return err;
	if (g.sb->ipc_objects < EG_IPC_QUOTA)
		return 0;
	return refuse_with(&g, EG_OP_IPC, EG_WHY_QUOTA, 0, -ENOSPC);
}

SEC("lsm/shm_alloc_security")
int BPF_PROG(shm_alloc, struct kern_ipc_perm *perm, int ret)
{
	return count_new(ret);
}

SEC("lsm/msg_queue_alloc_security")
int BPF_PROG(msg_alloc, struct kern_ipc_perm *perm, int ret)
{
	return count_new(ret);
}

SEC("lsm/sem_alloc_security")
int BPF_PROG(sem_alloc, struct kern_ipc_perm *perm, int ret)
{
	return count_new(ret);
}

static __always_inline void forget_object(__u64 key)
{
	struct eg_ipc_object *o = bpf_map_lookup_elem(&ipc_objects, &key);
	struct eg_sandbox *sb;

	if (!o)
		return;
	sb = sandbox_get(o->sandbox, o->slot);
	if (!bpf_map_delete_elem(&ipc_objects, &key) && sb && sb->ipc_objects)
		__sync_fetch_and_sub(&sb->ipc_objects, 1);
}

/*
 * The object has its id and is still locked by its maker. If there is no room for it
 * here, it is nobody's: refused to the sandbox as well. Whose the address was before is
 * forgotten first: ipc_removed() may have been off, and while one egressd follows another
 * the programs of both run, and one object is to count once.
 */
SEC("fexit/ipc_addid")
int BPF_PROG(ipc_added, struct ipc_ids *ids, struct kern_ipc_perm *perm, int limit, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct eg_ipc_object o = {};
	struct ipc_namespace *ns;
	__u64 key = (__u64)perm;
	struct eg_sandbox *sb;
	struct eg_id id;

	if (ret < 0 || current_id(&id) <= 0)
		return 0;
	sb = sandbox_get(id.sandbox, id.slot);
	if (!sb)
		return 0;
	ns = BPF_CORE_READ(task, nsproxy, ipc_ns);
	forget_object(key);
	o.sandbox = id.sandbox;
	o.slot = id.slot;
	o.id = BPF_CORE_READ(perm, id);
	o.ns = BPF_CORE_READ(ns, ns.inum);
	o.kind = ((__u64)address_of(ids) - (__u64)ns -
		  bpf_core_field_offset(struct ipc_namespace, ids)) /
		 bpf_core_type_size(struct ipc_ids);
	if (bpf_map_update_elem(&ipc_objects, &key, &o, BPF_ANY)) {
		__sync_fetch_and_add(&sb->failed, 1);
		count_stat(EG_ST_FAIL_MAP);
		return 0;
	}
	__sync_fetch_and_add(&sb->ipc_objects, 1);
	return 0;
}

/* By whomever: its maker, an outsider, the end of its namespace. */
SEC("fentry/ipc_rmid")
int BPF_PROG(ipc_removed, struct ipc_ids *ids, struct kern_ipc_perm *perm)
{
	forget_object((__u64)perm);
	return 0;
}

/*
 * The id is compared, too: should programs have been off while an object went away, what
 * has its address now has another number.
 */
static __always_inline int check_owner(int ret, struct kern_ipc_perm *perm, int err)
{
	__u64 key = (__u64)perm;
	struct eg_ipc_object *o;
	struct guarded g;
	int who;

	if (ret || !perm) /* IPC_INFO and the like: of no object */
		return ret;
	who = guarded(&g);
	if (who <= 0)
		return who;
	o = bpf_map_lookup_elem(&ipc_objects, &key);
	if (o && o->sandbox == g.id.sandbox && o->id == BPF_CORE_READ(perm, id))
		return 0;
	if (g.p->privileges & EG_PRIV_IPC)
		return 0;
	return refuse_with(&g, EG_OP_IPC, EG_WHY_FOREIGN, (__u32)BPF_CORE_READ(perm, id), err);
}

/* ipcperms() makes EACCES of any refusal. */
SEC("lsm/ipc_permission")
int BPF_PROG(ipc_permission, struct kern_ipc_perm *perm, short flag, int ret)
{
	return check_owner(ret, perm, -EACCES);
}

SEC("lsm/shm_shmctl")
int BPF_PROG(shm_ctl, struct kern_ipc_perm *perm, int cmd, int ret)
{
	return check_owner(ret, perm, -EPERM);
}

SEC("lsm/msg_queue_msgctl")
int BPF_PROG(msg_ctl, struct kern_ipc_perm *perm, int cmd, int ret)
{
	return check_owner(ret, perm, -EPERM);
}

SEC("lsm/sem_semctl")
int BPF_PROG(sem_ctl, struct kern_ipc_perm *perm, int cmd, int ret)
{
	return check_owner(ret, perm, -EPERM);
}
