// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The guard: what a sandboxed task may not do whatever the rules say, root
 * included, because it would change what the rules mean or who is under them.
 *
 *   mounts       the paths that rules speak of           privileges: [mounts]
 *   userns       a source of capabilities                privileges: [userns]
 *   bpf, perf    the programs themselves                 privileges: [bpf]
 *   ptrace       tasks of others; exec: strict, any      privileges: [ptrace]
 *   capable      the network, the kernel, raw devices    privileges: [net_admin, sys_admin]
 *   capable      priorities and limits beyond its own    privileges: [sys_nice, sys_resource]
 *   signals, scheduling, limits of tasks of others
 *   signals by way of a file's owner (SIGIO); leases, which hold up who opens a file
 *   modules, kexec
 *   io_uring, when privileges has [io_uring off]
 *
 * Only `current` is judged: from outside in, everything works as before.
 */
#include "guard.bpf.h"

#define PTRACE_MODE_READ 0x01
#define PTRACE_MODE_ATTACH 0x02
#define SB_KERNMOUNT (1u << 22) /* include/linux/fs.h */
#define OVERLAYFS_SUPER_MAGIC 0x794c7630 /* include/uapi/linux/magic.h */
#define CAP_OPT_NOAUDIT 2u /* include/linux/security.h: the kernel only asks */

/* include/uapi/linux/capability.h */
#define CAP_DAC_READ_SEARCH 2
#define CAP_LINUX_IMMUTABLE 9
#define CAP_NET_ADMIN 12
#define CAP_NET_RAW 13
#define CAP_SYS_MODULE 16
#define CAP_SYS_RAWIO 17
#define CAP_SYS_PACCT 20
#define CAP_SYS_ADMIN 21
#define CAP_SYS_BOOT 22
#define CAP_SYS_NICE 23
#define CAP_SYS_RESOURCE 24
#define CAP_SYS_TIME 25
#define CAP_SYS_TTY_CONFIG 26
#define CAP_MKNOD 27
#define CAP_LEASE 28
#define CAP_AUDIT_CONTROL 30
#define CAP_MAC_OVERRIDE 32
#define CAP_MAC_ADMIN 33
#define CAP_SYSLOG 34
#define CAP_WAKE_ALARM 35
#define CAP_BLOCK_SUSPEND 36
#define CAP_PERFMON 38
#define CAP_BPF 39
#define CAP_CHECKPOINT_RESTORE 40

/*
 * With the privilege, a task may change mounts in a mount namespace that it made
 * in a user namespace of its own. Of such a one the kernel sees to it that nothing
 * gets back to where the sandbox began, by propagation or by uncovering what was
 * mounted over (copy_mnt_ns() in fs/namespace.c). See judge_origin() for why it
 * must be another namespace than that.
 */
static __always_inline bool in_own_mounts(const struct guarded *g)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mnt_namespace *ns = task->nsproxy->mnt_ns;

	return (g->p->privileges & EG_PRIV_MOUNTS) && ns->ns.inum != g->sb->mnt_ns &&
	       ns->user_ns->level > 0;
}

static __always_inline int guard_mounts(int ret, __u64 aux)
{
	struct guarded g;
	int err;

	if (ret)
		return ret;
	err = guarded(&g);
	if (err <= 0)
		return err;
	if (in_own_mounts(&g))
		return 0;
	return refuse(&g, EG_OP_MOUNT, EG_WHY_GUARD, aux);
}

SEC("lsm/sb_mount")
int BPF_PROG(sb_mount, const char *dev_name, const struct path *path, const char *type,
	     unsigned long flags, void *data, int ret)
{
	return guard_mounts(ret, flags);
}

/*
 * fsopen and fsconfig: the filesystem is made here, before fsmount. An overlay shows
 * the files of others and no judge sees them through it.
 */
SEC("lsm/sb_kern_mount")
int BPF_PROG(sb_kern_mount, struct super_block *sb, int ret)
{
	/* mounts the kernel makes for itself on a task's behalf name no path */
	if (sb->s_flags & SB_KERNMOUNT)
		return ret;
	if (sb->s_magic == OVERLAYFS_SUPER_MAGIC)
		return guard(ret, 0, EG_OP_MOUNT, 0);
	return guard_mounts(ret, 0);
}

SEC("lsm/sb_remount")
int BPF_PROG(sb_remount, struct super_block *sb, void *opts, int ret)
{
	return guard_mounts(ret, 0);
}

SEC("lsm/sb_umount")
int BPF_PROG(sb_umount, struct vfsmount *mnt, int flags, int ret)
{
	return guard_mounts(ret, flags);
}

SEC("lsm/sb_pivotroot")
int BPF_PROG(sb_pivotroot, const struct path *old_path, const struct path *new_path, int ret)
{
	return guard_mounts(ret, 0);
}

SEC("lsm/move_mount")
int BPF_PROG(move_mount, const struct path *from_path, const struct path *to_path, int ret)
{
	return guard_mounts(ret, 0);
}

SEC("lsm/userns_create")
int BPF_PROG(userns_create, const struct cred *cred, int ret)
{
	return guard(ret, EG_PRIV_USERNS, EG_OP_USERNS, 0);
}

SEC("lsm/bpf")
int BPF_PROG(bpf_command, int cmd, union bpf_attr *attr, unsigned int size, int ret)
{
	return guard(ret, EG_PRIV_BPF, EG_OP_BPF, cmd);
}

/*
 * Its arguments differ from kernel to kernel, the place of `ret` with them. An
 * earlier program's refusal ends the chain, so there is none to pass on.
 */
SEC("lsm/perf_event_open")
int BPF_PROG(perf_event_open)
{
	return guard(0, EG_PRIV_BPF, EG_OP_KERNEL, 0);
}

SEC("lsm/kernel_load_data")
int BPF_PROG(kernel_load_data, int id, bool contents, int ret)
{
	return guard(ret, 0, EG_OP_KERNEL, id);
}

SEC("lsm/kernel_read_file")
int BPF_PROG(kernel_read_file, struct file *file, int id, bool contents, int ret)
{
	return guard(ret, 0, EG_OP_KERNEL, id);
}

static __always_inline int guard_task(int ret, __u32 privilege, struct task_struct *task,
				      __u16 op, __u64 aux)
{
	struct guarded g;
	int err;

	if (ret)
		return ret;
	err = guarded(&g);
	if (err <= 0)
		return err;
	if ((g.p->privileges & privilege) || !outsider(&g, task))
		return 0;
	return refuse(&g, op, EG_WHY_FOREIGN, aux);
}

/*
 * Also /proc/PID/{mem,environ,maps,fd,root,cwd,exe,ns}, process_vm_*, pidfd_getfd.
 * exec: strict: who traces another task, a child of its own, writes to its code.
 */
SEC("lsm/ptrace_access_check")
int BPF_PROG(ptrace_access, struct task_struct *child, unsigned int mode, int ret)
{
	struct guarded g;
	int err;

	if (ret)
		return ret;
	err = guarded(&g);
	if (err <= 0)
		return err;
	if (g.p->privileges & EG_PRIV_PTRACE)
		return 0;
	if (!outsider(&g, child)) {
		if ((mode & PTRACE_MODE_ATTACH) && (g.p->flags & EG_P_STRICT))
			return refuse(&g, EG_OP_PTRACE, EG_WHY_GUARD, child->tgid);
		return 0;
	}
	/*
	 * Looking is asked for by every program that lists processes; it is
	 * refused, but there is nothing for an operator to read in it.
	 */
	if (mode & PTRACE_MODE_READ)
		return g.p->flags & EG_P_AUDIT ? 0 : -EPERM;
	return refuse(&g, EG_OP_PTRACE, EG_WHY_FOREIGN, child->tgid);
}

/*
 * A tracer is asked for, too. An outsider that did not ask to be one would be stopped by
 * waiting for it.
 */
SEC("lsm/ptrace_traceme")
int BPF_PROG(ptrace_traceme, struct task_struct *parent, int ret)
{
	struct guarded g;
	bool foreign;
	int err;

	if (ret)
		return ret;
	err = guarded(&g);
	if (err <= 0)
		return err;
	if (g.p->privileges & EG_PRIV_PTRACE)
		return 0;
	foreign = outsider(&g, parent);
	if (!foreign && !(g.p->flags & EG_P_STRICT))
		return 0;
	return refuse(&g, EG_OP_PTRACE, foreign ? EG_WHY_FOREIGN : EG_WHY_GUARD, parent->tgid);
}

/*
 * Signals from terminals and timers pass no hook. sig 0 only asks whether
 * somebody is there, and is refused too; kill(-1) reaches who is left.
 */
SEC("lsm/task_kill")
int BPF_PROG(task_kill, struct task_struct *p, struct kernel_siginfo *info, int sig,
	     const struct cred *cred, int ret)
{
	return guard_task(ret, 0, p, EG_OP_SIGNAL, ((__u64)p->tgid << 32) | (__u32)sig);
}

/* include/uapi/asm-generic/fcntl.h */
#define F_SETOWN 8
#define F_SETSIG 10
#define F_SETOWN_EX 15
#define F_UNLCK 2
#define F_SETLEASE 1024 /* include/uapi/linux/fcntl.h */

/*
 * SIGIO is sent by whatever makes the file ready, past task_kill, to whoever the
 * file's owner is: so a task may name itself only, and no other signal.
 *
 * Who opens a file that has a lease waits for its holder, 45 seconds at most and then for
 * the next one's. Owners need no CAP_LEASE: root has most files of the host, a user has
 * what the agent opens for it.
 */
SEC("lsm/file_fcntl")
int BPF_PROG(file_fcntl, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	if (ret)
		return ret;
	switch (cmd) {
	case F_SETOWN:
		if (!arg || arg == (__u32)(bpf_get_current_pid_tgid() >> 32))
			return 0;
		break;
	case F_SETSIG:
		if (!arg)
			return 0;
		break;
	case F_SETOWN_EX:
		break;
	case F_SETLEASE:
		return arg == F_UNLCK ? 0 : guard(0, 0, EG_OP_CAPABLE, CAP_LEASE);
	default:
		return 0;
	}
	return guard(0, 0, EG_OP_SIGNAL, arg << 32);
}

/* privileges: [io_uring off] */
SEC("lsm/inode_init_security_anon")
int BPF_PROG(anon_inode, struct inode *inode, const struct qstr *name,
	     const struct inode *context_inode, int ret)
{
	struct guarded g;
	char text[8] = {};
	int err;

	if (ret)
		return ret;
	err = guarded(&g);
	if (err <= 0)
		return err;
	if (!(g.p->privileges & EG_PRIV_NO_IO_URING))
		return 0;
	bpf_probe_read_kernel(text, sizeof(text), BPF_CORE_READ(name, name));
	if (__builtin_memcmp(text, "[io_urin", sizeof(text)))
		return 0;
	return refuse(&g, EG_OP_KERNEL, EG_WHY_GUARD, 0);
}

SEC("lsm/task_setscheduler")
int BPF_PROG(task_setscheduler, struct task_struct *p, int ret)
{
	return guard_task(ret, 0, p, EG_OP_TASK, p->tgid);
}

SEC("lsm/task_setnice")
int BPF_PROG(task_setnice, struct task_struct *p, int nice, int ret)
{
	return guard_task(ret, 0, p, EG_OP_TASK, p->tgid);
}

SEC("lsm/task_setioprio")
int BPF_PROG(task_setioprio, struct task_struct *p, int ioprio, int ret)
{
	return guard_task(ret, 0, p, EG_OP_TASK, p->tgid);
}

SEC("lsm/task_movememory")
int BPF_PROG(task_movememory, struct task_struct *p, int ret)
{
	return guard_task(ret, 0, p, EG_OP_TASK, p->tgid);
}

/* prlimit names the target's credentials, and the task only in task_setrlimit */
SEC("lsm/task_setrlimit")
int BPF_PROG(task_setrlimit, struct task_struct *p, unsigned int resource, void *rlim, int ret)
{
	return guard_task(ret, 0, p, EG_OP_TASK, p->tgid);
}

static __always_inline __u32 lifted_by(int cap)
{
	switch (cap) {
	case CAP_NET_ADMIN:
		return EG_PRIV_NET_ADMIN;
	case CAP_NET_RAW:
		return EG_PRIV_NET_ADMIN;
	case CAP_SYS_ADMIN:
		return EG_PRIV_SYS_ADMIN | EG_PRIV_MOUNTS;
	case CAP_BPF:
	case CAP_PERFMON:
		return EG_PRIV_BPF;
	case CAP_SYS_NICE:
		return EG_PRIV_SYS_NICE;
	case CAP_SYS_RESOURCE:
		return EG_PRIV_SYS_RESOURCE;
	case CAP_CHECKPOINT_RESTORE:
		return EG_PRIV_SYS_ADMIN; /* which is as good to the kernel */
	default:
		return 0;
	}
}

/* Each new POSIX queue asks whether it may be larger than others. */
static __always_inline bool is_for_queue(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct eg_task *t = bpf_task_storage_get(&tasks, task, NULL, 0);

	if (!t || !t->queue)
		return false;
	t->queue = 0;
	return true;
}

/*
 * What a user of the host may not do either, where it reaches beyond the sandbox. The
 * less obvious ones: SYS_NICE, for a real-time task is bound by no limit of its cgroup;
 * SYS_RESOURCE, for who is spared when memory runs out, limits above those it was given,
 * and another name for its program (PR_SET_MM_EXE_FILE), as with CHECKPOINT_RESTORE, which
 * chooses process numbers, too; WAKE_ALARM and BLOCK_SUSPEND, for the machine's sleep.
 *
 * Runs after commoncap, so only for tasks that have the capability. Many callers
 * only want to know, and go another way when the answer is no: those make no
 * event.
 */
SEC("lsm/capable")
int BPF_PROG(capable, const struct cred *cred, struct user_namespace *ns, int cap,
	     unsigned int opts, int ret)
{
	struct guarded g;
	__u32 by;
	int err;

	if (ret)
		return ret;
	switch (cap) {
	case CAP_DAC_READ_SEARCH:
	case CAP_LINUX_IMMUTABLE:
	case CAP_NET_ADMIN:
	case CAP_NET_RAW:
	case CAP_SYS_MODULE:
	case CAP_SYS_RAWIO:
	case CAP_SYS_PACCT:
	case CAP_SYS_ADMIN:
	case CAP_SYS_BOOT:
	case CAP_SYS_NICE:
	case CAP_SYS_RESOURCE:
	case CAP_SYS_TIME:
	case CAP_SYS_TTY_CONFIG:
	case CAP_MKNOD:
	case CAP_LEASE:
	case CAP_AUDIT_CONTROL:
	case CAP_MAC_OVERRIDE:
	case CAP_MAC_ADMIN:
	case CAP_SYSLOG:
	case CAP_WAKE_ALARM:
	case CAP_BLOCK_SUSPEND:
	case CAP_PERFMON:
	case CAP_BPF:
	case CAP_CHECKPOINT_RESTORE:
		break;
	default:
		return 0;
	}
	err = guarded(&g);
	if (err <= 0)
		return err;
	if (layer_operation())
		return 0;
	by = lifted_by(cap);
	if (ns->level == 0)
		by &= ~EG_PRIV_MOUNTS; /* see in_own_mounts() */
	if (g.p->privileges & by)
		return 0;
	if (cap == CAP_NET_RAW && (g.p->sockets & (EG_SOCK_RAW | EG_SOCK_PACKET)))
		return 0;
	/* or SYS_ADMIN, says the kernel, and asks for that next */
	if (cap == CAP_CHECKPOINT_RESTORE && !(g.p->flags & EG_P_AUDIT))
		return -EPERM;
	if ((opts & CAP_OPT_NOAUDIT) || (cap == CAP_SYS_RESOURCE && is_for_queue()))
		return g.p->flags & EG_P_AUDIT ? 0 : -EPERM;
	return refuse(&g, EG_OP_CAPABLE, EG_WHY_GUARD, cap);
}
