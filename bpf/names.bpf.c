// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Names that appear, vanish and move need c; a move may not gain. And what changes
 * an object by its path: truncate, mode, owner. See the map in files.bpf.c.
 */
#include "files.bpf.h"

/* `want` on the name `dentry` in `dir`, reached through `mnt` */
static __noinline int check(struct who *w, __u16 op, __u8 want, const struct path *dir,
			    struct dentry *dentry)
{
	struct eg_object o = {};
	struct found f;

	if (guarded_magic(dir->dentry->d_sb->s_magic))
		return refuse(w, op, want, EG_WHY_GUARD, dir, dentry);
	if (!(w->p->flags & EG_P_PATHS))
		return 0;
	if (w->p->nanchors)
		object_at(&o, dentry);
	judge_child(w->t, w->p, &f, dir->mnt, dir->dentry, dentry, &o);
	if ((f.perm & want) == want)
		return w->p->flags & EG_P_TRACE ?
			       trace_allowed(w, op, want, mnt_at(dir), (__u64)dentry) : 0;
	return refuse(w, op, want & ~f.perm, reason_of(&f, want), dir, dentry);
}

SEC("lsm/path_unlink")
int BPF_PROG(path_unlink, const struct path *dir, struct dentry *dentry, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check(&w, EG_OP_UNLINK, EG_C, dir, dentry));
}

SEC("lsm/path_rmdir")
int BPF_PROG(path_rmdir, const struct path *dir, struct dentry *dentry, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check(&w, EG_OP_RMDIR, EG_C, dir, dentry));
}

SEC("lsm/path_mkdir")
int BPF_PROG(path_mkdir, const struct path *dir, struct dentry *dentry, umode_t mode, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check(&w, EG_OP_MKDIR, EG_C, dir, dentry));
}

SEC("lsm/path_symlink")
int BPF_PROG(path_symlink, const struct path *dir, struct dentry *dentry, const char *old_name,
	     int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check(&w, EG_OP_SYMLINK, EG_C, dir, dentry));
}

/* Regular files, FIFOs, sockets and devices; a device node is never to be made. */
static __always_inline int check_node(struct who *w, const struct path *dir, struct dentry *dentry,
				      umode_t mode, unsigned int dev)
{
	__u32 kind = mode & S_IFMT;

	if ((kind == S_IFBLK || kind == S_IFCHR) && dev)
		return refuse(w, EG_OP_MKNOD, EG_C, EG_WHY_GUARD, dir, dentry);
	return check(w, kind == 0100000 || !kind ? EG_OP_CREATE : EG_OP_MKNOD, EG_C, dir, dentry);
}

SEC("lsm/path_mknod")
int BPF_PROG(path_mknod, const struct path *dir, struct dentry *dentry, umode_t mode,
	     unsigned int dev, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check_node(&w, dir, dentry, mode, dev));
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
	struct eg_object o = {};

	if (w->p->nanchors)
		object_at(&o, dentry);
	judge_here(w->t, w->p, f, mnt, dir, dentry, &o);
	return 0;
}

/* As a name that rules of unix sockets are about; 0 where none is. */
static __always_inline __u32 unix_state(struct who *w, struct vfsmount *mnt, struct dentry *dentry)
{
	struct eg_walk *walk = my_walk(w->t);

	if (!walk)
		return NO_STATE;
	walk->sandbox = w->sb->id;
	walk_path(walk, w->p, w->p->start_unix, mnt, dentry);
	return walk->fail ? NO_STATE : walk->state;
}

static __always_inline bool holds_sockets(struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	__u32 kind = inode ? BPF_CORE_READ(inode, i_mode) & S_IFMT : 0;

	return kind == S_IFSOCK || kind == S_IFDIR;
}

static __always_inline bool unix_gains(__u32 from, __u32 to)
{
	struct eg_dfa *d = the_dfa();

	if (from == to)
		return false;
	if (!d || from == NO_STATE || to == NO_STATE)
		return true;
	return eg_dfa_ceil(d, to) & ~eg_dfa_floor(d, from) & EG_W;
}

/*
 * A server's socket is judged by where it is (unix.bpf.c): moved to a name that the
 * policy lists, somebody else's would be in that one's place, and so would one in a
 * directory that is moved. A link moves nothing.
 */
static __noinline int moves_socket(struct who *w, struct move *m)
{
	__u32 from, to;

	if (m->op != EG_OP_RENAME || !(w->p->flags & EG_P_EGRESS) || !w->p->start_unix)
		return 0;
	if (!holds_sockets(m->old_dentry) && !(m->exchange && holds_sockets(m->new_dentry)))
		return 0;
	from = unix_state(w, m->old_dir->mnt, m->old_dentry);
	to = unix_state(w, m->new_dir->mnt, m->new_dentry);
	return unix_gains(from, to) || (m->exchange && unix_gains(to, from));
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
		if (moves_socket(w, m)) {
			want = EG_W;
			reason = EG_WHY_GAIN;
			err = -EXDEV;
			goto refused;
		}
		if (!(w->p->flags & EG_P_PATHS))
			return 0;
		judge_name(w, from, m->old_dir->mnt, m->old_dentry->d_parent, m->old_dentry);
		judge_name(w, to, m->new_dir->mnt, m->new_dir->dentry, m->new_dentry);
		if (w->p->privileges & EG_PRIV_MOUNTS) { /* from here: the stack is short */
			judge_origin(w->t, w->p, from, m->old_dentry);
			judge_origin(w->t, w->p, to, m->new_dentry);
		}
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
			/* two records: the name that goes, and the one that comes */
			if (w->p->flags & EG_P_TRACE) {
				trace_allowed(w, m->op, EG_C, mnt_at(m->old_dir),
					      (__u64)m->old_dentry);
				trace_allowed(w, m->op, EG_C, mnt_at(m->new_dir),
					      (__u64)m->new_dentry);
			}
			return 0;
		}
	}
refused:
	return refuse_raw(w, m->op, want, reason, err, mnt_at(m->old_dir),
			  (__u64)m->old_dentry, mnt_at(m->new_dir), (__u64)m->new_dentry);
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
	return PATH_HOOK(&w, check_move(&w, &m));
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
	return PATH_HOOK(&w, check_move(&w, &m));
}

SEC("lsm/path_truncate")
int BPF_PROG(path_truncate, const struct path *path, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check_change(&w, EG_OP_TRUNCATE, path));
}

SEC("lsm/file_truncate")
int BPF_PROG(file_truncate, struct file *file, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check_change(&w, EG_OP_TRUNCATE, &file->f_path));
}

SEC("lsm/path_chmod")
int BPF_PROG(path_chmod, const struct path *path, umode_t mode, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check_change(&w, EG_OP_CHMOD, path));
}

SEC("lsm/path_chown")
int BPF_PROG(path_chown, const struct path *path, __u64 uid, __u64 gid, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check_change(&w, EG_OP_CHOWN, path));
}

/*
 * mq_open() and mq_unlink() pass no path hook. What is done by a path passes both, and
 * is judged the same twice.
 */
static __noinline int check_queue(struct who *w, __u16 op, struct dentry *dentry)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ipc_namespace *ns = task->nsproxy->ipc_ns;
	__u64 mnt = (__u64)BPF_CORE_READ(ns, mq_mnt);
	struct found f;

	if (!(w->p->flags & EG_P_PATHS))
		return 0;
	judge_walk(w->t, w->p, &f, (void *)mnt, dentry);
	if (f.perm & EG_C)
		return 0;
	return refuse_raw(w, op, EG_C, reason_of(&f, EG_C), -EACCES, mnt, (__u64)dentry, 0, 0);
}

static __always_inline int make_queue(struct who *w, struct dentry *dentry)
{
	struct eg_task *t = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), NULL, 0);

	if (t)
		t->queue = 1;
	return check_queue(w, EG_OP_CREATE, dentry);
}

SEC("lsm/inode_create")
int BPF_PROG(mq_create, struct inode *dir, struct dentry *dentry, umode_t mode, int ret)
{
	struct who w;

	if (ret || dir->i_sb->s_magic != MQUEUE_MAGIC)
		return ret;
	return PATH_HOOK(&w, make_queue(&w, dentry));
}

SEC("lsm/inode_unlink")
int BPF_PROG(mq_unlink, struct inode *dir, struct dentry *dentry, int ret)
{
	struct who w;

	if (ret || dir->i_sb->s_magic != MQUEUE_MAGIC)
		return ret;
	return PATH_HOOK(&w, check_queue(&w, EG_OP_UNLINK, dentry));
}
