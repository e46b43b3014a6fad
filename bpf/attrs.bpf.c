// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Attributes (times, xattrs, ACLs, flags by ioctl), of which the kernel tells only
 * the dentry; and what the other programs rely on: the count of moves, and whose a
 * pseudo terminal is. See the map in files.bpf.c.
 */
#include "files.bpf.h"

static __always_inline int judge_attributes(struct who *w, __u16 op, struct dentry *dentry)
{
	struct found f;

	if (guarded_magic(dentry->d_sb->s_magic))
		return refuse_raw(w, op, EG_W, EG_WHY_GUARD, -EACCES, 0, 0, 0, 0);
	if (!(w->p->flags & EG_P_PATHS) || layer_operation())
		return 0;
	judge_sb(w->t, w->p, &f, dentry);
	if (f.perm & EG_W) {
		return w->p->flags & EG_P_TRACE && f.mnt ?
			       trace_allowed(w, op, EG_W, f.mnt, (__u64)dentry) : 0;
	}
	return refuse_raw(w, op, EG_W, reason_of(&f, EG_W), -EACCES, f.mnt, (__u64)dentry, 0, 0);
}

static __always_inline int check_attributes(__u16 op, struct dentry *dentry)
{
	struct who w;

	return PATH_HOOK(&w, judge_attributes(&w, op, dentry));
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

static __always_inline int judge_ioctl(struct who *w, struct file *file, unsigned int cmd)
{
	struct inode *inode = file->f_inode;

	/* typing into a terminal, as if its reader's user had */
	if (cmd == TIOCSTI || cmd == TIOCLINUX || cmd == TIOCCONS || is_guarded_ioctl(cmd))
		return refuse_at(w, EG_OP_IOCTL, EG_W, EG_WHY_GUARD, &file->f_path);
	if ((inode->i_mode & S_IFMT) == S_IFSOCK || !changes_attributes(cmd))
		return 0;
	return check_change(w, EG_OP_IOCTL, &file->f_path);
}

static __always_inline int check_ioctl(struct file *file, unsigned int cmd)
{
	struct who w;

	return PATH_HOOK(&w, judge_ioctl(&w, file, cmd));
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

/*
 * Pseudo terminals that a sandboxed task makes are its own. Anybody else's has its number
 * from who had it before: the program that forgets owners may have been passed over, which
 * the kernel does when it interrupts another run of it on the same processor.
 */
static __always_inline void forget_pty(const struct eg_pty *key)
{
	struct eg_pty_owner *owner = bpf_map_lookup_elem(&ptys, key);
	struct eg_sandbox *sb;

	if (!owner)
		return;
	sb = sandbox_get(owner->sandbox, owner->slot);
	if (!bpf_map_delete_elem(&ptys, key) && sb && sb->nptys)
		__sync_fetch_and_sub(&sb->nptys, 1);
}

SEC("fexit/devpts_pty_new")
int BPF_PROG(devpts_pty_new, void *fsi, int index, void *priv, struct dentry *dentry)
{
	struct eg_pty_owner owner = {};
	struct eg_pty key = {};
	struct eg_sandbox *sb;
	struct eg_id id;

	if ((__u64)dentry >= (__u64)-4095)
		return 0;
	key.dev = dentry->d_sb->s_dev;
	key.rdev = dentry->d_inode->i_rdev;
	forget_pty(&key);
	if (current_id(&id) != 1)
		return 0;
	owner.sandbox = id.sandbox;
	owner.slot = id.slot;
	sb = sandbox_get(id.sandbox, id.slot);
	if (bpf_map_update_elem(&ptys, &key, &owner, BPF_ANY))
		count_stat(EG_ST_FAIL_MAP); /* then it is nobody's: refused */
	else if (sb)
		__sync_fetch_and_add(&sb->nptys, 1);
	return 0;
}

SEC("fentry/devpts_pty_kill")
int BPF_PROG(devpts_pty_kill, struct dentry *dentry)
{
	struct eg_pty key = {
		.dev = dentry->d_sb->s_dev,
		.rdev = dentry->d_inode->i_rdev,
	};

	forget_pty(&key);
	return 0;
}
