/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the hooks for paths share: who asks, what is found, how it is refused, and
 * what no rule allows. The hooks are in files.bpf.c (opened and run), names.bpf.c
 * (names that appear, vanish and move) and attrs.bpf.c (the rest).
 */
#ifndef EGRESSCTL_FILES_BPF_H
#define EGRESSCTL_FILES_BPF_H

#include "report.bpf.h"

#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_PATH 0x4000 /* O_PATH */
#define FMODE_EXEC_FLAG 0x20 /* __FMODE_EXEC in f_flags */
#define O_TRUNC 01000
#define PROT_WRITE 0x2
#define PROT_EXEC 0x4
#define VM_EXEC 0x4
#define S_IFSOCK 0140000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
#define RENAME_EXCHANGE (1 << 1)

/* include/uapi/linux/magic.h */
#define CGROUP_SUPER_MAGIC 0x27e0eb
#define CGROUP2_SUPER_MAGIC 0x63677270
#define BPF_FS_MAGIC 0xcafe4a11
#define TRACEFS_MAGIC 0x74726163
#define DEBUGFS_MAGIC 0x64626720
#define SECURITYFS_MAGIC 0x73636673
#define SYSFS_MAGIC 0x62656572
#define BINFMTFS_MAGIC 0x42494e4d
#define CONFIGFS_MAGIC 0x62656570
#define EFIVARFS_MAGIC 0xde5e81e4
#define PSTOREFS_MAGIC 0x6165676c
#define SELINUX_MAGIC 0xf97cff8c
/* fs/fuse/control.c, fs/nfsd/nfsctl.c, include/linux/sunrpc/rpc_pipe_fs.h, uapi/linux/magic.h */
#define FUSE_CTL_MAGIC 0x65735543
#define NFSD_MAGIC 0x6e667364
#define RPC_PIPEFS_MAGIC 0x67596969
#define RESCTRL_MAGIC 0x7655821

/* include/linux/fs.h: what notify_change() is asked to change */
#define ATTR_MODE (1 << 0)
#define ATTR_UID (1 << 1)
#define ATTR_GID (1 << 2)
#define ATTR_SIZE (1 << 3)
#define ATTR_ATIME (1 << 4)
#define ATTR_MTIME (1 << 5)
#define ATTR_FORCE (1 << 9)

/* include/uapi/linux/fs.h and asm-generic/ioctls.h */
#define TIOCSTI 0x5412
#define TIOCLINUX 0x541C
#define TIOCCONS 0x541D
#define FIOSETOWN 0x8901
#define SIOCSPGRP 0x8902
#define BTRFS_IOCTL_MAGIC 0x94

/* 1: sandboxed, *w filled, until leave_task(). 0: nobody's. Else what to refuse with. */
static __always_inline int who_is_it(struct who *w)
{
	int err = current_task(&w->t, true);

	if (err <= 0)
		return err;
	w->sb = sandbox_of(w->t);
	w->p = w->sb ? policy_of(w->sb) : NULL;
	if (w->p)
		return 1;
	leave_task(w->t);
	return -EACCES; /* the sandbox is gone: nothing is allowed any more */
}

/* Objects are named by raw pointers: a mount and a dentry, or 0. */
static __always_inline int refuse_raw(struct who *w, __u16 op, __u8 want, __u8 reason, int err,
				      __u64 mnt, __u64 dentry, __u64 mnt2, __u64 dentry2)
{
	struct eg_report *r;

	if (reason == EG_WHY_FAILURE)
		__sync_fetch_and_add(&w->sb->failed, 1);
	r = my_report(w);
	if (r) {
		r->v.mnt = mnt;
		r->v.dentry = mnt ? dentry : 0;
		r->v.mnt2 = mnt2;
		r->v.dentry2 = dentry2;
		r->v.err = err;
		r->v.op = op;
		r->v.want = want;
		r->v.reason = reason;
		report_paths(w, r);
	}
	return w->p->flags & EG_P_AUDIT ? 0 : err;
}

/*
 * By hand where it is only told: for each pointer that is loaded from a hook's argument
 * 6.12's verifier looks four times through all types of the kernel, on each way to the
 * load (btf_nested_type_is_trusted()). That was nearly half of a start's time.
 */
static __always_inline __u64 mnt_at(const struct path *at)
{
	return (__u64)BPF_CORE_READ(at, mnt);
}

static __always_inline __u64 dentry_at(const struct path *at)
{
	return (__u64)BPF_CORE_READ(at, dentry);
}

/*
 * Allowed, in a traced sandbox: by its objects, as in refuse_raw(). A function of its
 * own, so that what programs pay elsewhere is the test before the call.
 */
static __noinline int trace_allowed(struct who *k, __u16 op, __u8 want, __u64 mnt, __u64 dentry)
{
	struct eg_report *r = get_report(k->t);

	if (!r) {
		trace_lost(&k->sb->id);
		return 0;
	}
	__builtin_memset(&r->v, 0, sizeof(r->v));
	r->v.mnt = mnt;
	r->v.dentry = dentry;
	r->v.op = op;
	r->v.want = want;
	r->v.verdict = EG_VERDICT_ALLOWED;
	r->v.trace = 1;
	report_paths(k, r);
	return 0;
}

/* dentry, reached through the mount of `at` */
static __always_inline int refuse(struct who *w, __u16 op, __u8 want, __u8 reason,
				  const struct path *at, struct dentry *dentry)
{
	return refuse_raw(w, op, want, reason, -EACCES, mnt_at(at), (__u64)dentry, 0, 0);
}

/* The object at `at` itself. */
static __noinline int refuse_at(struct who *w, __u16 op, __u8 want, __u8 reason,
				const struct path *at)
{
	return refuse_raw(w, op, want, reason, -EACCES, mnt_at(at), dentry_at(at), 0, 0);
}

/* Why what was found does not hold `want`. */
static __always_inline __u8 reason_of(const struct found *f, __u8 want)
{
	if (f->reason)
		return f->reason;
	/* its path would do, so it is a rule at another name of it */
	return !f->internal && (eg_dfa_perm(f->state) & want) == want ? EG_WHY_ANCHOR : EG_WHY_RULE;
}

/*
 * Filesystems through which others are governed: no sandboxed task makes or
 * changes anything there, whatever the rules say. Reading is a matter of rules.
 */
static __always_inline bool guarded_magic(unsigned long magic)
{
	switch (magic) {
	case CGROUP2_SUPER_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case BPF_FS_MAGIC:
	case TRACEFS_MAGIC:
	case DEBUGFS_MAGIC:
	case SECURITYFS_MAGIC:
	case SYSFS_MAGIC:
	case BINFMTFS_MAGIC:
	case CONFIGFS_MAGIC:
	case EFIVARFS_MAGIC:
	case PSTOREFS_MAGIC:
	case SELINUX_MAGIC:
	case FUSE_CTL_MAGIC:
	case NFSD_MAGIC:
	case RPC_PIPEFS_MAGIC:
	case RESCTRL_MAGIC:
		return true;
	default:
		return false;
	}
}

/*
 * Why nobody may write there, or 0. Block devices hold filesystems. What procfs has
 * outside of tasks' directories is the kernel's, and root writes to anybody's directory
 * there: whom the kernel kills when memory runs out, whose login it was.
 */
static __always_inline __u8 guarded_write(const struct who *w, struct inode *inode)
{
	unsigned long magic = inode->i_sb->s_magic;
	struct task_struct *task;
	struct eg_id id = {};

	if ((inode->i_mode & S_IFMT) == S_IFBLK)
		return EG_WHY_GUARD;
	if (magic != PROC_SUPER_MAGIC)
		return guarded_magic(magic) ? EG_WHY_GUARD : 0;
	switch (proc_entry(inode, &task)) {
	case PROC_KERNEL:
		return EG_WHY_GUARD;
	case PROC_GONE:
		return 0;
	case PROC_OWN:
		break;
	}
	return eg_task_id((__u64)task, &id) == 1 && id.sandbox == w->t->sandbox ? 0 :
										  EG_WHY_FOREIGN;
}

/* `want` on the object at `path` */
static __always_inline int judge_object(struct who *w, struct found *f, const struct path *path)
{
	struct dentry *dentry = path->dentry;
	struct eg_object o = {};

	if (w->p->nanchors)
		object_of(&o, dentry->d_inode);
	judge_child(w->t, w->p, f, path->mnt, dentry->d_parent, dentry, &o);
	return 0;
}

#define JUDGED_TRACED (1 << 16) /* allowed, and the sandbox is traced */

/*
 * 0: allowed; JUDGED_TRACED; else what is missing, and above its eight bits why. The caller reports
 * it, whose frame is not under this one.
 */
static __noinline int judge_access(struct who *w, __u8 want, const struct path *path)
{
	struct found f;

	if (!(w->p->flags & EG_P_PATHS))
		return 0;
	judge_object(w, &f, path);
	if ((f.perm & want) == want)
		return w->p->flags & EG_P_TRACE ? JUDGED_TRACED : 0;
	return reason_of(&f, want) << 8 | (want & ~f.perm);
}

static __always_inline int check_object(struct who *w, __u16 op, __u8 want,
					const struct path *path)
{
	int said = judge_access(w, want, path);

	if (!said)
		return 0;
	if (said == JUDGED_TRACED)
		return trace_allowed(w, op, want, mnt_at(path), dentry_at(path));
	return refuse_at(w, op, said & EG_PERM_ALL, said >> 8, path);
}

/* The same for what changes the object without opening it for that. */
static __always_inline int check_change(struct who *w, __u16 op, const struct path *path)
{
	__u8 why = guarded_write(w, path->dentry->d_inode);

	if (why)
		return refuse_at(w, op, EG_W, why, path);
	return check_object(w, op, EG_W, path);
}

/* What `judge` says of a sandboxed task, or what who_is_it() does. */
#define PATH_HOOK(w, judge)                                                                        \
	({                                                                                         \
		int __ret = who_is_it(w);                                                          \
		if (__ret > 0) {                                                                   \
			__ret = (judge);                                                           \
			leave_task((w)->t);                                                        \
		}                                                                                  \
		__ret;                                                                             \
	})

#endif
