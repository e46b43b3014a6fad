// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Path rules: who judges what.
 *
 *   file_open         r, w, x of what is opened, whatever led to it: open,
 *                     openat2, io_uring, /proc/self/fd, open_by_handle, exec
 *   file_receive      the same for a descriptor that somebody passed in
 *   bprm_check_security, mmap_file, file_mprotect   x; exec: strict
 *   path_*            c at the name that appears or vanishes; w of the object
 *   inode_set*        w, where the kernel tells only the dentry (times, xattrs)
 *   file_ioctl        w, for flags set through a read-only descriptor
 *   path_notify       r: watching a directory lists it
 *
 * O_PATH descriptors, chdir, stat, readlink need no permission and pass no hook;
 * whatever is done with such a descriptor later is judged then.
 *
 * A refusal is EACCES; a rename or link that would give more access than before
 * is EXDEV, so that mv and cp fall back to a copy, which the rules judge. Every
 * internal failure refuses.
 */
#include "report.bpf.h"
#include "sock.bpf.h"

#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_PATH 0x4000 /* O_PATH */
#define FMODE_EXEC_FLAG 0x20 /* __FMODE_EXEC in f_flags */
#define O_TRUNC 01000
#define PROT_WRITE 0x2
#define PROT_EXEC 0x4
#define VM_EXEC 0x4
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
#define S_IFDIR 0040000
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

/* 1: sandboxed, *w filled. 0: nobody's. Else what to refuse with. */
static __always_inline int who_is_it(struct who *w)
{
	int err = current_task(&w->t);

	if (err <= 0)
		return err;
	w->sb = sandbox_of(w->t);
	if (!w->sb)
		return -EACCES; /* the sandbox is gone: nothing is allowed any more */
	w->p = policy_of(w->sb);
	if (!w->p)
		return -EACCES;
	return 1;
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

/* dentry, reached through the mount of `at` */
static __always_inline int refuse(struct who *w, __u16 op, __u8 want, __u8 reason,
				  const struct path *at, struct dentry *dentry)
{
	return refuse_raw(w, op, want, reason, -EACCES, (__u64)at->mnt, (__u64)dentry, 0, 0);
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
		return true;
	default:
		return false;
	}
}

/* Block devices hold filesystems; what procfs has outside of tasks' directories is the kernel's. */
static __always_inline bool guarded_write(struct inode *inode)
{
	struct proc_inode *pi;
	unsigned long magic = inode->i_sb->s_magic;

	if ((inode->i_mode & S_IFMT) == S_IFBLK)
		return true;
	if (magic != PROC_SUPER_MAGIC)
		return guarded_magic(magic);
	pi = (struct proc_inode *)((__u64)inode -
				   bpf_core_field_offset(struct proc_inode, vfs_inode));
	return !BPF_CORE_READ(pi, pid);
}

/* `want` on the name `dentry` in `dir`, reached through `mnt` */
static __noinline int check(struct who *w, __u16 op, __u8 want, const struct path *dir,
			    struct dentry *dentry)
{
	struct object o = {};
	struct found f;

	if (guarded_magic(dir->dentry->d_sb->s_magic))
		return refuse(w, op, want, EG_WHY_GUARD, dir, dentry);
	if (!(w->p->flags & EG_P_PATHS))
		return 0;
	if (w->p->nanchors)
		o = object_by_hand(dentry);
	judge_child(w->t, w->p, &f, dir->mnt, dir->dentry, dentry, &o);
	if ((f.perm & want) == want)
		return 0;
	return refuse(w, op, want & ~f.perm, reason_of(&f, want), dir, dentry);
}

/* `want` on the object at `path` */
static __always_inline int judge_object(struct who *w, struct found *f, const struct path *path)
{
	struct dentry *dentry = path->dentry;
	struct object o = {};

	if (w->p->nanchors)
		o = object_of(dentry->d_inode);
	judge_child(w->t, w->p, f, path->mnt, dentry->d_parent, dentry, &o);
	return 0;
}

static __noinline int check_object(struct who *w, __u16 op, __u8 want, const struct path *path)
{
	struct found f;

	if (!(w->p->flags & EG_P_PATHS))
		return 0;
	judge_object(w, &f, path);
	if ((f.perm & want) == want)
		return 0;
	return refuse(w, op, want & ~f.perm, reason_of(&f, want), path, path->dentry);
}

/* The same for what changes the object without opening it for that. */
static __always_inline int check_change(struct who *w, __u16 op, const struct path *path)
{
	if (guarded_write(path->dentry->d_inode))
		return refuse(w, op, EG_W, EG_WHY_GUARD, path, path->dentry);
	return check_object(w, op, EG_W, path);
}

/*
 * Consoles, serial lines and pseudo terminals, by any name; not /dev/tty (5:0),
 * which is the caller's own, nor ptmx, which makes a new one. Majors:
 * Documentation/admin-guide/devices.txt.
 */
static __always_inline bool is_terminal(struct inode *inode)
{
	__u32 rdev = inode->i_rdev, major = rdev >> 20, minor = rdev & 0xfffff;

	if ((inode->i_mode & S_IFMT) != S_IFCHR)
		return false;
	if (major == 5)
		return minor != 0 && minor != 2;
	return major == 4 || (major >= 136 && major <= 143) || major == 204 || major == 229;
}

/* A terminal is its own when the sandbox was started on it or made it. */
static __always_inline bool own_terminal(struct who *w, struct inode *inode)
{
	struct eg_pty key = { .dev = inode->i_sb->s_dev, .rdev = inode->i_rdev };
	__u64 *owner;

	owner = bpf_map_lookup_elem(&ptys, &key);
	if (owner)
		return *owner == w->t->sandbox;
#pragma unroll
	for (int i = 0; i < (int)EG_MAX_TTYS; i++)
		if (i < (int)w->sb->nttys && w->sb->ttys[i] == key.rdev)
			return true;
	return false;
}

/* The agent's scout: what the kernel numbers the object it opened. */
static __always_inline void scout(struct file *file)
{
	struct eg_scouted s = {};
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct inode *inode = file->f_inode;
	struct mount *m = real_mount(file->f_path.mnt);

	if ((__u64)BPF_CORE_READ(m, mnt_ns) == MNT_NS_INTERNAL)
		return; /* overlayfs' layer: the visible object was seen already */
	s.ino = inode->i_ino;
	s.dev = inode->i_sb->s_dev;
	bpf_map_update_elem(&scouted, &tid, &s, BPF_ANY);
}

/* Opened, or received open: op says which. */
static __always_inline int check_file(struct who *w, __u16 op, struct file *file)
{
	struct inode *inode = file->f_inode;
	__u32 mode = file->f_mode, flags = file->f_flags;
	__u8 want = 0;

	if (flags & FMODE_EXEC_FLAG) {
		want = EG_X;
		op = EG_OP_EXEC;
	} else {
		if (mode & FMODE_READ)
			want |= EG_R;
		if (mode & FMODE_WRITE)
			want |= EG_W;
		if (!want) /* access mode 3: for ioctls, the kernel wants both */
			want = EG_R | EG_W;
		if (flags & O_TRUNC)
			want |= EG_W;
	}
	if (((want & EG_W) || (inode->i_mode & S_IFMT) == S_IFBLK) && guarded_write(inode))
		return refuse(w, op, want, EG_WHY_GUARD, &file->f_path, file->f_path.dentry);
	if (is_terminal(inode) && !own_terminal(w, inode))
		return refuse(w, op, want, EG_WHY_FOREIGN, &file->f_path, file->f_path.dentry);
	return check_object(w, op, want, &file->f_path);
}

SEC("lsm/file_open")
int BPF_PROG(file_open, struct file *file, int ret)
{
	struct who w;
	int err;

	if (ret)
		return ret;
	err = who_is_it(&w);
	if (err <= 0) {
		if (!err && w.t && (w.t->flags & EG_T_SCOUT))
			scout(file);
		return err;
	}
	return check_file(&w, EG_OP_OPEN, file);
}

/*
 * Descriptors by SCM_RIGHTS, pidfd_getfd, seccomp's ADDFD. Sockets must be the
 * sandbox's own. Rings and kernel objects of others would act with their rights.
 */
SEC("lsm/file_receive")
int BPF_PROG(file_receive, struct file *file, int ret)
{
	struct inode *inode = file->f_inode;
	struct dentry *dentry = file->f_path.dentry;
	char name[8] = {};
	struct who w;
	int err;

	if (ret)
		return ret;
	err = who_is_it(&w);
	if (err <= 0)
		return err;
	if ((inode->i_mode & S_IFMT) == S_IFSOCK) {
		struct socket *sock = bpf_sock_from_file(file);
		struct sock *sk = sock ? sock->sk : NULL;

		if (sk && sock_is_own(sk, w.t->sandbox))
			return 0;
		return refuse(&w, EG_OP_RECEIVE, 0, EG_WHY_FOREIGN, &file->f_path, dentry);
	}
	if (file->f_mode & FMODE_PATH)
		return 0; /* only a name; judged when it is used */
	bpf_probe_read_kernel(name, sizeof(name), dentry->d_name.name);
	if (!(inode->i_mode & S_IFMT) &&
	    (!__builtin_memcmp(name, "[io_urin", 8) || !__builtin_memcmp(name, "[perf_ev", 8) ||
	     !__builtin_memcmp(name, "bpf-", 4)))
		return refuse(&w, EG_OP_RECEIVE, 0, EG_WHY_GUARD, &file->f_path, dentry);
	return check_file(&w, EG_OP_RECEIVE, file);
}

/* exec: strict — code comes from files that have x, and from nowhere else */
static __always_inline int check_code(struct who *w, __u16 op, const struct path *path)
{
	struct found f;

	judge_object(w, &f, path);
	if (f.internal && !(w->p->flags & EG_P_STRICT))
		return 0; /* a memfd */
	if ((f.perm & EG_X) && !f.internal)
		return 0;
	return refuse(w, op, EG_X, f.internal ? EG_WHY_GUARD : reason_of(&f, EG_X), path,
		      path->dentry);
}

/* Runs for the file, then again for each interpreter. */
SEC("lsm/bprm_check_security")
int BPF_PROG(bprm_check_security, struct linux_binprm *bprm, int ret)
{
	struct file *file = bprm->file;
	struct who w;
	int err;

	if (ret)
		return ret;
	err = who_is_it(&w);
	if (err <= 0)
		return err;
	if (!(w.p->flags & EG_P_PATHS))
		return 0;
	return check_code(&w, EG_OP_EXEC, &file->f_path);
}

SEC("lsm/mmap_file")
int BPF_PROG(mmap_file, struct file *file, unsigned long reqprot, unsigned long prot,
	     unsigned long flags, int ret)
{
	struct who w;
	int err;

	if (ret)
		return ret;
	if (!((prot | reqprot) & PROT_EXEC))
		return 0;
	err = who_is_it(&w);
	if (err <= 0)
		return err;
	if (!(w.p->flags & EG_P_PATHS))
		return 0;
	/* the verifier takes an argument for never NULL (6.4 to 6.12): ask for its value */
	if (address_of(file) && !((w.p->flags & EG_P_STRICT) && (prot & PROT_WRITE)))
		return check_code(&w, EG_OP_MMAP, &file->f_path);
	if (w.p->flags & EG_P_STRICT)
		return refuse_raw(&w, EG_OP_MMAP, EG_X, EG_WHY_GUARD, -EACCES, 0, 0, 0, 0);
	return 0;
}

/*
 * Since 6.6 overlayfs maps the layer's file; the name the task used is kept
 * beside it. Earlier kernels give the layer's file the visible path.
 */
struct backing_file___612 {
	struct file file;
	struct path user_path;
} __attribute__((preserve_access_index));

/*
 * FMODE_BACKING changes its value between kernels. A layer's mount is the
 * kernel's own, as a memfd's is, but its filesystem is mounted for users.
 */
static __always_inline bool is_layer_file(struct file *file)
{
	struct mount *m = real_mount(file->f_path.mnt);

	return bpf_core_type_exists(struct backing_file___612) &&
	       (__u64)BPF_CORE_READ(m, mnt_ns) == MNT_NS_INTERNAL &&
	       !(file->f_path.dentry->d_sb->s_flags & SB_KERNMOUNT);
}

SEC("lsm/file_mprotect")
int BPF_PROG(file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot,
	     int ret)
{
	struct file *file;
	struct found f;
	struct who w;
	int err;

	if (ret)
		return ret;
	if (!((prot | reqprot) & PROT_EXEC))
		return 0;
	err = who_is_it(&w);
	if (err <= 0)
		return err;
	if (!(w.p->flags & EG_P_PATHS))
		return 0;
	/* executable already: only strict asks what else it becomes */
	if ((vma->vm_flags & VM_EXEC) && !(w.p->flags & EG_P_STRICT))
		return 0;
	file = vma->vm_file;
	if (w.p->flags & EG_P_STRICT) {
		/* pages that are the task's own by now, or can become so, hold no file's code */
		if (!file || vma->anon_vma || (prot & PROT_WRITE))
			return refuse_raw(&w, EG_OP_MMAP, EG_X, EG_WHY_GUARD, -EACCES, 0, 0, 0, 0);
	} else if (!file) {
		return 0;
	}
	if (is_layer_file(file)) {
		struct backing_file___612 *b = (void *)file;
		const void *mnt = BPF_CORE_READ(b, user_path.mnt);
		const void *dentry = BPF_CORE_READ(b, user_path.dentry);

		judge_slow(w.t, w.p, &f, mnt, dentry);
		if (f.perm & EG_X)
			return 0;
		return refuse_raw(&w, EG_OP_MMAP, EG_X, reason_of(&f, EG_X), -EACCES, (__u64)mnt,
				  (__u64)dentry, 0, 0);
	}
	return check_code(&w, EG_OP_MMAP, &file->f_path);
}

#define PATH_HOOK(w)                                                                               \
	({                                                                                         \
		int __err = who_is_it(w);                                                          \
		if (__err <= 0)                                                                    \
			return __err;                                                              \
	})

SEC("lsm/path_unlink")
int BPF_PROG(path_unlink, const struct path *dir, struct dentry *dentry, int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check(&w, EG_OP_UNLINK, EG_C, dir, dentry);
}

SEC("lsm/path_rmdir")
int BPF_PROG(path_rmdir, const struct path *dir, struct dentry *dentry, int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check(&w, EG_OP_RMDIR, EG_C, dir, dentry);
}

SEC("lsm/path_mkdir")
int BPF_PROG(path_mkdir, const struct path *dir, struct dentry *dentry, umode_t mode, int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check(&w, EG_OP_MKDIR, EG_C, dir, dentry);
}

SEC("lsm/path_symlink")
int BPF_PROG(path_symlink, const struct path *dir, struct dentry *dentry, const char *old_name,
	     int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check(&w, EG_OP_SYMLINK, EG_C, dir, dentry);
}

/* Regular files, FIFOs, sockets and devices; a device node is never to be made. */
SEC("lsm/path_mknod")
int BPF_PROG(path_mknod, const struct path *dir, struct dentry *dentry, umode_t mode,
	     unsigned int dev, int ret)
{
	struct who w;
	__u32 kind = mode & S_IFMT;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	if ((kind == S_IFBLK || kind == S_IFCHR) && dev)
		return refuse(&w, EG_OP_MKNOD, EG_C, EG_WHY_GUARD, dir, dentry);
	return check(&w, kind == 0100000 || !kind ? EG_OP_CREATE : EG_OP_MKNOD, EG_C, dir, dentry);
}

/* What everything below has at least. */
static __always_inline __u8 floor_of(const struct eg_dfa *d, const struct found *f)
{
	__u8 floor = eg_dfa_floor(d, f->state);

	if (f->alt != NO_STATE)
		floor &= eg_dfa_floor(d, f->alt);
	return floor;
}

/*
 * Whether an object judged `from` may go where it is judged `to` without
 * gaining. A directory must not gain below either: the same state of the
 * minimal automaton, or the most that can follow within the least that could.
 * And the names that appear with it need `c` as it does itself: else what may
 * not be made at x/hooks/pre-commit is made elsewhere, and moved to x.
 */
static __always_inline bool no_gain(const struct found *from, const struct found *to, bool dir)
{
	struct eg_dfa *d = the_dfa();
	__u8 ceil;

	if (!d || (to->perm & ~from->perm))
		return false;
	if (!dir || (from->state == to->state && from->alt == to->alt))
		return true;
	ceil = eg_dfa_ceil(d, to->state);
	if (to->alt != NO_STATE)
		ceil &= eg_dfa_ceil(d, to->alt);
	return !(ceil & ~floor_of(d, from)) && (floor_of(d, to) & EG_C);
}

static __always_inline bool is_dir(struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode); /* see object_by_hand() */

	return inode && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR;
}

struct move {
	const struct path *old_dir;
	struct dentry *old_dentry;
	const struct path *new_dir;
	struct dentry *new_dentry;
	__u16 op;
	__u8 need_old; /* permission at the old name */
	__u8 exchange;
};

/* A function of its own: its registers are not on the stack while a refusal is reported. */
static __noinline int judge_name(struct who *w, struct found *f, struct vfsmount *mnt,
				 struct dentry *dir, struct dentry *dentry)
{
	struct object o = {};

	if (w->p->nanchors)
		o = object_by_hand(dentry);
	judge_child(w->t, w->p, f, mnt, dir, dentry, &o);
	return 0;
}

/*
 * `c` where a name appears or vanishes, and no gain. The kernel links within one
 * mount only, so a link's old name is reached through the new one's mount.
 */
static __noinline int check_move(struct who *w, struct move *m)
{
	struct found *from = (struct found *)w->t->found, *to = from + 1;
	__u8 want = EG_C, reason = EG_WHY_GUARD;
	int err = -EACCES;

	/* both are on one mount, or the kernel had said EXDEV */
	if (!guarded_magic(m->new_dir->dentry->d_sb->s_magic)) {
		if (!(w->p->flags & EG_P_PATHS))
			return 0;
		judge_name(w, from, m->old_dir->mnt, m->old_dentry->d_parent, m->old_dentry);
		judge_name(w, to, m->new_dir->mnt, m->new_dir->dentry, m->new_dentry);
		if ((from->perm & m->need_old) != m->need_old) {
			reason = reason_of(from, EG_C);
		} else if (!(to->perm & EG_C)) {
			reason = reason_of(to, EG_C);
		} else if (from->internal != to->internal ||
			   !no_gain(from, to, is_dir(m->old_dentry)) ||
			   (m->exchange && !no_gain(to, from, is_dir(m->new_dentry)))) {
			want = to->perm & ~from->perm;
			reason = EG_WHY_GAIN;
			err = -EXDEV;
		} else {
			return 0;
		}
	}
	return refuse_raw(w, m->op, want, reason, err, (__u64)m->old_dir->mnt,
			  (__u64)m->old_dentry, (__u64)m->new_dir->mnt, (__u64)m->new_dentry);
}

SEC("lsm/path_rename")
int BPF_PROG(path_rename, const struct path *old_dir, struct dentry *old_dentry,
	     const struct path *new_dir, struct dentry *new_dentry, unsigned int flags, int ret)
{
	struct move m = {
		.old_dir = old_dir, .old_dentry = old_dentry, .new_dir = new_dir,
		.new_dentry = new_dentry, .op = EG_OP_RENAME, .need_old = EG_C,
		.exchange = !!(flags & RENAME_EXCHANGE),
	};
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check_move(&w, &m);
}

SEC("lsm/path_link")
int BPF_PROG(path_link, struct dentry *old_dentry, const struct path *new_dir,
	     struct dentry *new_dentry, int ret)
{
	struct move m = {
		.old_dir = new_dir, .old_dentry = old_dentry, .new_dir = new_dir,
		.new_dentry = new_dentry, .op = EG_OP_LINK,
	};
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check_move(&w, &m);
}

SEC("lsm/path_truncate")
int BPF_PROG(path_truncate, const struct path *path, int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check_change(&w, EG_OP_TRUNCATE, path);
}

SEC("lsm/file_truncate")
int BPF_PROG(file_truncate, struct file *file, int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check_change(&w, EG_OP_TRUNCATE, &file->f_path);
}

SEC("lsm/path_chmod")
int BPF_PROG(path_chmod, const struct path *path, umode_t mode, int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check_change(&w, EG_OP_CHMOD, path);
}

SEC("lsm/path_chown")
int BPF_PROG(path_chown, const struct path *path, __u64 uid, __u64 gid, int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check_change(&w, EG_OP_CHOWN, path);
}

SEC("lsm/path_notify")
int BPF_PROG(path_notify, const struct path *path, __u64 mask, unsigned int type, int ret)
{
	struct who w;

	if (ret)
		return ret;
	PATH_HOOK(&w);
	return check_object(&w, EG_OP_OPEN, EG_R, path);
}

static __always_inline int check_attributes(__u16 op, struct dentry *dentry)
{
	struct found f;
	struct who w;

	PATH_HOOK(&w);
	if (guarded_magic(dentry->d_sb->s_magic))
		return refuse_raw(&w, op, EG_W, EG_WHY_GUARD, -EACCES, 0, 0, 0, 0);
	if (!(w.p->flags & EG_P_PATHS) || layer_operation())
		return 0;
	judge_sb(w.t, w.p, &f, dentry);
	if (f.perm & EG_W)
		return 0;
	return refuse_raw(&w, op, EG_W, reason_of(&f, EG_W), -EACCES, f.mnt, (__u64)dentry, 0, 0);
}

/* chmod, chown and truncate were judged by their path; this is for times */
static __always_inline int check_times(struct dentry *dentry, struct iattr *attr)
{
	unsigned int what = attr->ia_valid;

	if (!(what & (ATTR_ATIME | ATTR_MTIME)) ||
	    (what & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_SIZE | ATTR_FORCE)))
		return 0;
	return check_attributes(EG_OP_SETATTR, dentry);
}

/* Two forms of one hook; user space loads the one this kernel has. */
SEC("lsm/inode_setattr")
int BPF_PROG(inode_setattr_2, struct dentry *dentry, struct iattr *attr, int ret)
{
	return ret ? ret : check_times(dentry, attr);
}

SEC("lsm/inode_setattr")
int BPF_PROG(inode_setattr_3, void *idmap, struct dentry *dentry, struct iattr *attr, int ret)
{
	return ret ? ret : check_times(dentry, attr);
}

SEC("lsm/inode_setxattr")
int BPF_PROG(inode_setxattr, void *idmap, struct dentry *dentry, const char *name,
	     const void *value, size_t size, int flags, int ret)
{
	return ret ? ret : check_attributes(EG_OP_SETXATTR, dentry);
}

SEC("lsm/inode_removexattr")
int BPF_PROG(inode_removexattr, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return ret ? ret : check_attributes(EG_OP_SETXATTR, dentry);
}

SEC("lsm/inode_set_acl")
int BPF_PROG(inode_set_acl, void *idmap, struct dentry *dentry, const char *acl_name,
	     void *kacl, int ret)
{
	return ret ? ret : check_attributes(EG_OP_SETXATTR, dentry);
}

SEC("lsm/inode_remove_acl")
int BPF_PROG(inode_remove_acl, void *idmap, struct dentry *dentry, const char *acl_name, int ret)
{
	return ret ? ret : check_attributes(EG_OP_SETXATTR, dentry);
}

/* flags, versions and keys of a file: 'f' and 'X' ioctls that need only ownership */
static __always_inline bool changes_attributes(unsigned int cmd)
{
	__u32 type = (cmd >> 8) & 0xff, nr = cmd & 0xff, dir = cmd >> 30;

	if (type == 'f')
		/* SETFLAGS, SETVERSION, POLICY, VERITY */
		return nr == 2 || nr == 4 || nr == 19 || nr == 133;
	if (type == 'v')
		return nr == 2 && (dir & 1); /* FS_IOC_SETVERSION */
	if (type == 'X')
		return nr == 32 && (dir & 1); /* FS_IOC_FSSETXATTR */
	return false;
}

/*
 * btrfs makes and removes names by ioctl, past every hook for names; FIOSETOWN
 * and SIOCSPGRP are F_SETOWN again, see guard.bpf.c.
 */
static __always_inline bool is_guarded_ioctl(unsigned int cmd)
{
	__u32 type = (cmd >> 8) & 0xff, nr = cmd & 0xff;

	if (cmd == FIOSETOWN || cmd == SIOCSPGRP)
		return true;
	/* SNAP_CREATE, SUBVOL_CREATE, SNAP_DESTROY and their second versions */
	return type == BTRFS_IOCTL_MAGIC && (nr == 1 || nr == 14 || nr == 15 || nr == 20 ||
					     nr == 23 || nr == 24 || nr == 63);
}

static __always_inline int check_ioctl(struct file *file, unsigned int cmd)
{
	struct inode *inode = file->f_inode;
	struct who w;
	int err;

	err = who_is_it(&w);
	if (err <= 0)
		return err;
	/* typing into a terminal, as if its reader's user had */
	if (cmd == TIOCSTI || cmd == TIOCLINUX || cmd == TIOCCONS || is_guarded_ioctl(cmd))
		return refuse(&w, EG_OP_IOCTL, EG_W, EG_WHY_GUARD, &file->f_path,
			      file->f_path.dentry);
	if ((inode->i_mode & S_IFMT) == S_IFSOCK || !changes_attributes(cmd))
		return 0;
	return check_change(&w, EG_OP_IOCTL, &file->f_path);
}

SEC("lsm/file_ioctl")
int BPF_PROG(file_ioctl, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	return ret ? ret : check_ioctl(file, cmd);
}

SEC("lsm/file_ioctl_compat")
int BPF_PROG(file_ioctl_compat, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	return ret ? ret : check_ioctl(file, cmd);
}

/*
 * The memo's generation. d_move and d_exchange are where a dentry changes its
 * place, whoever asked; after them, so that a walk that saw the old place is
 * tagged with the old number (see DESIGN, "traps": bumping before was wrong).
 */
static __always_inline void moved(struct dentry *a, struct dentry *b)
{
	__u32 zero = 0;
	struct eg_moves *m;

	if (!is_dir(a) && !is_dir(b))
		return;
	m = bpf_map_lookup_elem(&moves, &zero);
	if (m)
		__sync_fetch_and_add(&m->count, 1);
}

SEC("fexit/d_move")
int BPF_PROG(d_move, struct dentry *dentry, struct dentry *target)
{
	moved(dentry, target);
	return 0;
}

SEC("fexit/d_exchange")
int BPF_PROG(d_exchange, struct dentry *dentry1, struct dentry *dentry2)
{
	moved(dentry1, dentry2);
	return 0;
}

/* Pseudo terminals that a sandboxed task makes are its own. */
SEC("fexit/devpts_pty_new")
int BPF_PROG(devpts_pty_new, void *fsi, int index, void *priv, struct dentry *dentry)
{
	struct eg_pty key = {};
	struct eg_id id;

	if ((__u64)dentry >= (__u64)-4095 || current_id(&id) != 1)
		return 0;
	key.dev = dentry->d_sb->s_dev;
	key.rdev = dentry->d_inode->i_rdev;
	if (bpf_map_update_elem(&ptys, &key, &id.sandbox, BPF_ANY))
		count_stat(EG_ST_FAIL_MAP); /* then it is nobody's: refused */
	return 0;
}

SEC("fentry/devpts_pty_kill")
int BPF_PROG(devpts_pty_kill, struct dentry *dentry)
{
	struct eg_pty key = {
		.dev = dentry->d_sb->s_dev,
		.rdev = dentry->d_inode->i_rdev,
	};

	bpf_map_delete_elem(&ptys, &key);
	return 0;
}
