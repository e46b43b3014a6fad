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
#include "files.bpf.h"

/*
 * Consoles, what is on their screens, serial lines (USB's too) and pseudo
 * terminals, by any name; not /dev/tty (5:0), which is the caller's own, nor ptmx,
 * which makes a new one. Majors: Documentation/admin-guide/devices.txt.
 */
static __always_inline bool is_terminal(struct inode *inode)
{
	__u32 rdev = inode->i_rdev, major = rdev >> 20, minor = rdev & 0xfffff;

	if ((inode->i_mode & S_IFMT) != S_IFCHR)
		return false;
	if (major == 5)
		return minor != 0 && minor != 2;
	return major == 4 || major == 7 || (major >= 136 && major <= 143) || major == 166 ||
	       major == 188 || major == 204 || major == 229;
}

/*
 * What programs take for granted: null, zero, full, random, urandom; tty and ptmx. Anything
 * else may be a disk, a bus, a keyboard, a machine or the kernel's log. Terminals are judged
 * by whose they are; the tunnels of net_admin come with it.
 */
#define TUN_RDEV (10u << 20 | 200)
#define PTMX_RDEV (5u << 20 | 2)

static __always_inline bool is_device(const struct who *w, struct inode *inode)
{
	__u32 rdev = inode->i_rdev, major = rdev >> 20, minor = rdev & 0xfffff;

	if ((inode->i_mode & S_IFMT) != S_IFCHR || (w->p->privileges & EG_PRIV_DEVICES))
		return false;
	if (major == 1)
		return minor != 3 && minor != 5 && minor != 7 && minor != 8 && minor != 9;
	if (rdev == TUN_RDEV)
		return !(w->p->privileges & EG_PRIV_NET_ADMIN);
	return !is_terminal(inode) && !(major == 5 && (minor == 0 || minor == 2));
}

static __always_inline struct eg_pty_owner *pty_owner(struct inode *inode)
{
	struct eg_pty key = {
		.dev = BPF_CORE_READ(inode, i_sb, s_dev),
		.rdev = BPF_CORE_READ(inode, i_rdev),
	};

	return bpf_map_lookup_elem(&ptys, &key);
}

/* A terminal is its own when the sandbox was started on it or made it. */
static __always_inline bool own_terminal(struct who *w, struct inode *inode)
{
	struct eg_pty key = { .rdev = inode->i_rdev };
	struct eg_pty_owner *owner = pty_owner(inode);

	if (owner)
		return owner->sandbox == w->t->sandbox;
#pragma unroll
	for (int i = 0; i < (int)EG_MAX_TTYS; i++)
		if (i < (int)w->sb->nttys && w->sb->ttys[i] == key.rdev)
			return true;
	return false;
}

/* The agent's scout: what the kernel numbers the object it opened; beside the frames of a walk. */
static __noinline int scout(struct file *file)
{
	struct eg_scouted s = {};
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	/* not f_inode: before 6.6 a layer's file has the visible path, see backing_file */
	struct inode *inode = file->f_path.dentry->d_inode;
	struct mount *m = real_mount(file->f_path.mnt);

	if ((__u64)BPF_CORE_READ(m, mnt_ns) == MNT_NS_INTERNAL)
		return 0; /* overlayfs' layer: the visible object was seen already */
	object_of(&s.object, inode);
	s.held = inode->i_sb->s_magic == OVERLAYFS_SUPER_MAGIC;
	bpf_map_update_elem(&scouted, &tid, &s, BPF_ANY);
	return 0;
}

/*
 * exec: strict — /proc/PID/mem writes to code where the task itself may not. By the
 * dentry's name: procfs's own, which nobody chooses.
 */
static __always_inline bool writes_code(struct who *w, struct file *file, __u8 want)
{
	struct dentry *dentry = file->f_path.dentry;
	char name[4] = {};

	if (!(w->p->flags & EG_P_STRICT) || !(want & EG_W) ||
	    dentry->d_sb->s_magic != PROC_SUPER_MAGIC)
		return false;
	bpf_probe_read_kernel(name, sizeof(name), dentry->d_name.name);
	return !__builtin_memcmp(name, "mem", 4);
}

static __always_inline __u8 wanted(struct file *file)
{
	__u32 mode = file->f_mode, flags = file->f_flags;
	__u8 want = 0;

	if (flags & FMODE_EXEC_FLAG)
		return EG_X;
	if (mode & FMODE_READ)
		want |= EG_R;
	if (mode & FMODE_WRITE)
		want |= EG_W;
	if (!want) /* access mode 3: for ioctls, the kernel wants both */
		want = EG_R | EG_W;
	if (flags & O_TRUNC)
		want |= EG_W;
	return want;
}

/* On its own: its frame is not under that of a walk. */
static __noinline int check_device(struct who *w, __u16 op, struct file *file)
{
	if (is_device(w, file->f_inode))
		return refuse_at(w, op, wanted(file), EG_WHY_DEVICE, &file->f_path);
	/* Those who ask at the same time may be a few above it: counted is what was made. */
	if (op == EG_OP_OPEN && file->f_inode->i_rdev == PTMX_RDEV && w->sb->nptys >= EG_PTY_QUOTA)
		return refuse_raw(w, op, wanted(file), EG_WHY_QUOTA, -ENOSPC,
				  mnt_at(&file->f_path), dentry_at(&file->f_path), 0, 0);
	return 0;
}

/* Opened, or received open: op says which. */
static __always_inline int check_file(struct who *w, __u16 op, struct file *file)
{
	struct inode *inode = file->f_inode;
	__u8 want = wanted(file), why = 0;
	int err;

	if (want & EG_X)
		op = EG_OP_EXEC;
	err = (inode->i_mode & S_IFMT) == S_IFCHR ? check_device(w, op, file) : 0;
	if (err)
		return err;
	if ((want & EG_W) || (inode->i_mode & S_IFMT) == S_IFBLK)
		why = guarded_write(w, inode);
	if (why)
		return refuse_at(w, op, want, why, &file->f_path);
	if (writes_code(w, file, want))
		return refuse_at(w, op, want & EG_W, EG_WHY_GUARD, &file->f_path);
	if (is_terminal(inode) && !own_terminal(w, inode))
		return refuse_at(w, op, want, EG_WHY_FOREIGN, &file->f_path);
	return check_object(w, op, want, &file->f_path);
}

__weak __noinline int eg_is_scout(void)
{
	struct eg_id id = {};

	return !current_id(&id) && (id.flags & EG_T_SCOUT);
}

SEC("lsm/file_open")
int BPF_PROG(file_open, struct file *file, int ret)
{
	struct who w;

	if (ret)
		return ret;
	ret = who_is_it(&w);
	if (ret > 0) {
		ret = check_file(&w, EG_OP_OPEN, file);
		leave_task(w.t);
	} else if (!ret && bpf_get_current_task_btf()->bpf_storage && eg_is_scout()) {
		scout(file);
	}
	return ret;
}

/* The names of kernel objects that hold nothing of their makers; as fd_objection() has it. */
static __always_inline bool is_harmless(struct dentry *dentry)
{
	char name[8] = {};

	bpf_probe_read_kernel(name, sizeof(name), dentry->d_name.name);
	return !__builtin_memcmp(name, "[eventfd]", 8) || !__builtin_memcmp(name, "[timerfd]", 8) ||
	       !__builtin_memcmp(name, "[signalfd]", 8) || !__builtin_memcmp(name, "inotify", 8);
}

#define PID_FS_MAGIC 0x50494446 /* include/uapi/linux/magic.h; a process, from 6.9 on */

/*
 * What is behind an open device may be another than what its name would open: the far
 * end of a terminal of somebody else's.
 */
static __always_inline bool own_master(struct who *w, struct file *file)
{
	struct tty_file_private *priv = BPF_CORE_READ(file, private_data);
	struct dentry *slave = BPF_CORE_READ(priv, tty, link, driver_data);
	struct inode *inode = BPF_CORE_READ(slave, d_inode);
	struct eg_pty_owner *owner = inode ? pty_owner(inode) : NULL;

	return owner && owner->sandbox == w->t->sandbox;
}

/* Why a descriptor that is no socket is not taken from anybody, or 0. */
static __always_inline __u8 received_object(struct who *w, struct file *file)
{
	struct inode *inode = file->f_inode;

	if (!(inode->i_mode & S_IFMT))
		return is_harmless(file->f_path.dentry) ? 0 : EG_WHY_GUARD;
	if (inode->i_sb->s_magic == PID_FS_MAGIC)
		return EG_WHY_GUARD;
	if ((inode->i_mode & S_IFMT) != S_IFCHR)
		return 0;
	return inode->i_rdev == PTMX_RDEV && !own_master(w, file) ? EG_WHY_FOREIGN : 0;
}

static __noinline int foreign_socket(struct who *w, struct file *file)
{
	struct socket *sock = bpf_sock_from_file(file);
	struct sock *sk = sock ? sock->sk : NULL;

	return sk && sock_is_own(sk, w->t->sandbox) ? 0 : EG_WHY_FOREIGN;
}

/*
 * Descriptors by SCM_RIGHTS, pidfd_getfd, seccomp's ADDFD. Sockets must be the
 * sandbox's own. Rings and kernel objects would act with the rights of who made them:
 * whose a ring, a machine of KVM's, a listener for system calls or a process is cannot
 * be told, so that none is taken.
 */
static __noinline int check_received(struct who *w, struct file *file)
{
	bool socket = (file->f_inode->i_mode & S_IFMT) == S_IFSOCK;
	__u8 why;

	if (!socket && (file->f_mode & FMODE_PATH))
		return 0; /* only a name; judged when it is used */
	why = socket ? foreign_socket(w, file) : received_object(w, file);
	if (why)
		return refuse_at(w, EG_OP_RECEIVE, 0, why, &file->f_path);
	return socket ? 0 : check_file(w, EG_OP_RECEIVE, file);
}

SEC("lsm/file_receive")
int BPF_PROG(file_receive, struct file *file, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check_received(&w, file));
}

/* exec: strict — code comes from files that have x, and from nowhere else */
static __always_inline int check_code(struct who *w, __u16 op, const struct path *path)
{
	struct found f;

	judge_object(w, &f, path);
	if (f.internal && !(w->p->flags & EG_P_STRICT))
		return 0; /* a memfd */
	if ((f.perm & EG_X) && !f.internal)
		return w->p->flags & EG_P_TRACE ?
			       trace_allowed(w, op, EG_X, mnt_at(path), dentry_at(path)) : 0;
	return refuse_at(w, op, EG_X, f.internal ? EG_WHY_GUARD : reason_of(&f, EG_X), path);
}

/* Runs for the file, then again for each interpreter. */
SEC("lsm/bprm_check_security")
int BPF_PROG(bprm_check_security, struct linux_binprm *bprm, int ret)
{
	struct file *file = bprm->file;
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, w.p->flags & EG_P_PATHS ?
				     check_code(&w, EG_OP_EXEC, &file->f_path) : 0);
}

static __always_inline int check_mapping(struct who *w, struct file *file, unsigned long prot)
{
	if (!(w->p->flags & EG_P_PATHS))
		return 0;
	/* the verifier takes an argument for never NULL (6.4 to 6.12): ask for its value */
	if (address_of(file) && !((w->p->flags & EG_P_STRICT) && (prot & PROT_WRITE)))
		return check_code(w, EG_OP_MMAP, &file->f_path);
	if (w->p->flags & EG_P_STRICT)
		return refuse_raw(w, EG_OP_MMAP, EG_X, EG_WHY_GUARD, -EACCES, 0, 0, 0, 0);
	return 0;
}

SEC("lsm/mmap_file")
int BPF_PROG(mmap_file, struct file *file, unsigned long reqprot, unsigned long prot,
	     unsigned long flags, int ret)
{
	struct who w;

	if (ret || !((prot | reqprot) & PROT_EXEC))
		return ret;
	return PATH_HOOK(&w, check_mapping(&w, file, prot));
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

static __always_inline int check_protection(struct who *w, struct vm_area_struct *vma,
					    unsigned long prot)
{
	struct file *file;
	struct found f;

	if (!(w->p->flags & EG_P_PATHS))
		return 0;
	/* executable already: only strict asks what else it becomes */
	if ((vma->vm_flags & VM_EXEC) && !(w->p->flags & EG_P_STRICT))
		return 0;
	file = vma->vm_file;
	if (w->p->flags & EG_P_STRICT) {
		/* pages that are the task's own by now, or can become so, hold no file's code */
		if (!file || vma->anon_vma || (prot & PROT_WRITE))
			return refuse_raw(w, EG_OP_MMAP, EG_X, EG_WHY_GUARD, -EACCES, 0, 0, 0, 0);
	} else if (!file) {
		return 0;
	}
	if (is_layer_file(file)) {
		struct backing_file___612 *b = (void *)file;
		const void *mnt = BPF_CORE_READ(b, user_path.mnt);
		const void *dentry = BPF_CORE_READ(b, user_path.dentry);

		judge_slow(w->t, w->p, &f, mnt, dentry);
		if (f.perm & EG_X)
			return 0;
		return refuse_raw(w, EG_OP_MMAP, EG_X, reason_of(&f, EG_X), -EACCES, (__u64)mnt,
				  (__u64)dentry, 0, 0);
	}
	return check_code(w, EG_OP_MMAP, &file->f_path);
}

SEC("lsm/file_mprotect")
int BPF_PROG(file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot,
	     int ret)
{
	struct who w;

	if (ret || !((prot | reqprot) & PROT_EXEC))
		return ret;
	return PATH_HOOK(&w, check_protection(&w, vma, prot));
}

SEC("lsm/path_notify")
int BPF_PROG(path_notify, const struct path *path, __u64 mask, unsigned int type, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check_object(&w, EG_OP_OPEN, EG_R, path));
}
