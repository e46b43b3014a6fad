/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk: from (mount, dentry), raw, up to the root of the mount namespace; the
 * path it puts together is fed to the automaton. See path.bpf.h for who asks.
 */
#ifndef EGRESSCTL_WALK_BPF_H
#define EGRESSCTL_WALK_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "task.bpf.h"
#include "dfa.h"

#define S_IFMT 00170000
#define PROC_SUPER_MAGIC 0x9fa0
/* include/uapi/linux/magic.h, fs/xfs/libxfs/xfs_format.h */
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define EXT4_SUPER_MAGIC 0xef53 /* ext2 and ext3 too */
#define XFS_SUPER_MAGIC 0x58465342
#define BTRFS_SUPER_MAGIC 0x9123683e
#define F2FS_SUPER_MAGIC 0xf2f52010
#define TMPFS_MAGIC 0x01021994
#define MQUEUE_MAGIC 0x19800202 /* ipc/mqueue.c */
#define MQUEUE_TOP "/dev/mqueue" /* mq_overview(7) */
#define NAME_INLINE 24 /* bytes, below DNAME_INLINE_LEN (32 or more), include/linux/dcache.h */
#define NAME_USUAL 48 /* bytes; longer names take the slower loop */
/*
 * Names read again because of a rename, per path. The kernel waits for ever for a
 * renaming processor; in a VM that may have been taken off its processor meanwhile.
 */
#define WALK_RETRIES 20000
#define WALK_STEPS (EG_PATH_MAX / 2 + 256 + WALK_RETRIES) /* "/a" a step, mount crossings */
#define WALK_MOUNTS 1024 /* mounts of one filesystem that judge_sb() looks at */
#define SB_KERNMOUNT (1u << 22) /* include/linux/fs.h */
#define NO_STATE 0xffffffffu /* no anchor on the way */

/* MNT_NS_INTERNAL, fs/mount.h: mounts the kernel made for itself */
#define MNT_NS_INTERNAL ((__u64)-22)

/* eg_walk.flags */
#define WALK_DONE (1u << 0)
#define WALK_INTERNAL (1u << 1) /* kernel-internal mount */
#define WALK_PROC (1u << 2) /* on procfs: pid directories are read as "self" */
#define WALK_FOREIGN (1u << 3) /* a pid directory of somebody else */
#define WALK_NOT_UNDER (1u << 4) /* dentry does not lie below the mount */

struct eg_walk {
	__u64 dentry; /* where we are, going up */
	__u64 mnt; /* its struct mount */
	__u64 first_parent; /* of the object; the memo is filled only for it */
	__u64 ns; /* struct mnt_namespace the path ends in */
	__u64 sandbox; /* whose task is walking */
	/* eg_judge_mounts(): */
	__u64 object; /* dentry */
	__u64 last_mnt; /* the vfsmount it was last seen under */
	__u64 cursor; /* in the filesystem's list of mounts */
	__u64 head;
	__u32 only_ns; /* number of the namespace whose mounts count */
	__u32 perm; /* smallest so far */
	__u32 by_path; /* the same without anchors */
	__u32 why; /* the first enum eg_reason that is not 0 */
	__u32 found; /* mounts that hold the object */
	__u32 pos; /* the path is buf[pos] … buf[EG_PATH_MAX - 1] */
	__u32 flags;
	__u32 fail; /* enum eg_reason, or 0 */
	__u32 retries;
	__u32 serial; /* version: for anchors */
	__u32 nanchors;
	__u32 anchor_pos; /* where the nearest anchor's suffix begins */
	__u32 state; /* automaton: of the path, later of the object */
	__u32 dir_state; /* of the directory the object is in */
	__u32 names; /* eg_policy.names */
	__u32 name; /* of the name being fed */
	__u32 own; /* state at an anchor of the object itself, or NO_STATE */
	__u32 alt; /* fed from the nearest anchored directory above it, or NO_STATE */
	__u32 dir_alt;
	__u32 feed; /* next byte to feed */
	__u32 pad;
	char buf[EG_PATH_MAX + EG_NAME_MAX + 1];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_walk);
} walks SEC(".maps") __weak;

/* directories moved since boot, on the whole host */
struct eg_moves {
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_moves);
} moves SEC(".maps") __weak;

/* pseudo terminals made by sandboxed tasks */
struct eg_pty {
	__u32 dev; /* s_dev of the devpts instance */
	__u32 rdev; /* of the slave */
};

struct eg_pty_owner {
	__u64 sandbox;
	__u32 slot;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_PTYS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct eg_pty);
	__type(value, struct eg_pty_owner);
} ptys SEC(".maps") __weak;

static __always_inline __u64 dir_moves(void)
{
	__u32 zero = 0;
	struct eg_moves *m = bpf_map_lookup_elem(&moves, &zero);

	return m ? *(volatile __u64 *)&m->count : 0;
}

struct feed {
	struct eg_dfa *d;
	struct eg_task *t;
};

static long feed_byte(__u32 i, struct feed *f)
{
	struct eg_task *t = f->t;

	t->fed = eg_dfa_byte(f->d, t->fed, t->name[i & EG_NAME_MAX]);
	return 0;
}

/*
 * The bytes of t->name, from the version's `names`: the name's state. A global
 * function, which the verifier looks at once and not once for every length. It
 * follows each turn of a loop, sixty programs long, so that only names of usual
 * length get one; the others are called byte by byte.
 */
__weak __noinline __u32 eg_feed_name(struct eg_task *t, __u32 len, __u32 names)
{
	struct eg_dfa *d = the_dfa();
	const char *byte;
	__u64 state = names;

	if (!d || !t)
		return 0;
	if (len > NAME_USUAL) {
		struct feed f = { .d = d, .t = t };

		t->fed = names;
		bpf_loop(len & EG_NAME_MAX, feed_byte, &f, 0);
		return t->fed;
	}
	byte = t->name;
	for (__u32 i = 0; i < len; i++) {
		state = eg_dfa_byte(d, state, *byte++);
		asm("" : "+r"(byte)); /* a pointer that moves is cheaper than an index */
	}
	return state;
}

/*
 * A short name lies in the dentry itself (d_iname). Its bytes are loaded one by
 * one where they are: copying them first would cost more than feeding them.
 */
static __always_inline __u64 feed_inline(const struct eg_dfa *d, struct dentry *dentry, __u32 len,
					 __u64 names)
{
/* written out: an index that is no constant is refused in a kernel structure */
#define FEED(i)                                                                                    \
	do {                                                                                       \
		if (len <= (i))                                                                    \
			return names;                                                              \
		names = eg_dfa_byte(d, names, dentry->d_iname[i]);                                 \
	} while (0)
#define FEED8(i)                                                                                   \
	FEED((i)); FEED((i) + 1); FEED((i) + 2); FEED((i) + 3);                                    \
	FEED((i) + 4); FEED((i) + 5); FEED((i) + 6); FEED((i) + 7)
	FEED8(0);
	FEED8(8);
	FEED8(16);
#undef FEED8
#undef FEED
	return names;
}

/* A longer one lies elsewhere, or is rare. NO_STATE: it could not be read. */
static __always_inline __u64 feed_copy(struct eg_task *t, const unsigned char *name, __u32 len,
				       __u32 names)
{
	barrier_var(len); /* the compiler knows the mask below is idle; the verifier not */
	if (bpf_probe_read_kernel(t->name, len & EG_NAME_MAX, name))
		return NO_STATE;
	return eg_feed_name(t, len, names);
}

static __always_inline struct mount *real_mount(const void *mnt)
{
	return (struct mount *)((__u64)mnt - bpf_core_field_offset(struct mount, mnt));
}

/* of what an entry of procfs speaks */
enum proc_entry {
	PROC_KERNEL, /* of no task */
	PROC_GONE, /* of one that is gone: its files answer ESRCH to anybody */
	PROC_OWN,
};

/*
 * PROC_OWN: of *task, if that is the sandbox's. Whose it is, is for the caller to find: a walk has
 * no stack left for another function, and elsewhere the verifier follows what is inline.
 */
static __always_inline enum proc_entry proc_entry(struct inode *inode, struct task_struct **task)
{
	struct proc_inode *pi = (struct proc_inode *)((__u64)inode - bpf_core_field_offset(
					struct proc_inode, vfs_inode));
	struct pid *pid = BPF_CORE_READ(pi, pid);
	struct hlist_node *node;

	if (!pid)
		return PROC_KERNEL;
	node = BPF_CORE_READ(pid, tasks[0].first);
	if (!node)
		return PROC_GONE;
	*task = (struct task_struct *)((__u64)node - bpf_core_field_offset(struct task_struct,
									   pid_links[0]));
	return PROC_OWN;
}

/* A pid directory directly under procfs's root: whose? Foreign ones are refused. */
static __always_inline bool walk_proc_name(struct eg_walk *w, struct dentry *d, __u32 pos)
{
	struct inode *inode = BPF_CORE_READ(d, d_inode);
	char c = w->buf[pos & (EG_PATH_MAX - 1)];
	struct task_struct *task;
	struct eg_id id;

	if (c < '0' || c > '9' || !inode)
		return false;
	switch (proc_entry(inode, &task)) {
	case PROC_KERNEL:
		return false;
	case PROC_GONE:
		return true;
	case PROC_OWN:
		break;
	}
	if (task_id_raw(task, &id) != 1 || id.sandbox != w->sandbox) {
		w->flags |= WALK_FOREIGN;
		return false; /* its number is for the event */
	}
	return true;
}

/*
 * The number of an inode may be another's when the file is gone. These filesystems
 * count how often they gave it away, and keep that on the disk; others do not, or
 * make something up whenever they read the inode.
 */
static __always_inline bool keeps_generation(unsigned long magic)
{
	return magic == EXT4_SUPER_MAGIC || magic == XFS_SUPER_MAGIC ||
	       magic == BTRFS_SUPER_MAGIC || magic == F2FS_SUPER_MAGIC || magic == TMPFS_MAGIC;
}

/*
 * What tells an object from every other one. Overlayfs has the numbers of its
 * layers, and two files can have the same; there it is the inode's address, and the
 * agent holds the file open while it is anchored.
 */
static __always_inline void object_by_hand(struct eg_object *o, struct inode *inode)
{
	unsigned long magic = BPF_CORE_READ(inode, i_sb, s_magic);

	o->ino = magic == OVERLAYFS_SUPER_MAGIC ? (__u64)inode : BPF_CORE_READ(inode, i_ino);
	o->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	o->generation = keeps_generation(magic) ? BPF_CORE_READ(inode, i_generation) : 0;
}

/*
 * An anchored object gives the path a second verdict: the object itself (`own`)
 * and the nearest directory above it (`alt`), whose memo must not know of `own`.
 */
static __always_inline void walk_anchor(struct eg_walk *w, struct dentry *d)
{
	struct inode *inode = BPF_CORE_READ(d, d_inode);
	struct eg_anchor_key key = {};
	struct eg_anchor *a;

	if (!inode || w->alt != NO_STATE)
		return;
	object_by_hand(&key.object, inode);
	key.serial = w->serial;
	a = bpf_map_lookup_elem(&anchors, &key);
	if (!a)
		return;
	if (w->pos == EG_PATH_MAX) {
		if (w->own == NO_STATE) /* not of what a bind mount of it covers */
			w->own = a->state;
		return;
	}
	w->alt = a->state;
	w->anchor_pos = w->pos;
}

struct walk_ctx {
	struct eg_walk *w;
	struct eg_dfa *d;
	struct eg_policy *p; /* eg_judge_mounts() */
};

/*
 * One step up. All results stay in the walk (a map value): kernels before 6.7
 * verify this as if it ran once and would believe what it leaves on the stack.
 */
static long walk_up(__u32 i, struct walk_ctx *c)
{
	struct eg_walk *w = c->w;
	struct dentry *d = (struct dentry *)w->dentry, *parent;
	struct mount *m = (struct mount *)w->mnt, *mp;
	const unsigned char *name;
	__u32 seq, len, pos, start;

	if (w->nanchors)
		walk_anchor(w, d);
	if (d == BPF_CORE_READ(m, mnt.mnt_root)) {
		mp = BPF_CORE_READ(m, mnt_parent);
		if (mp == m) {
			w->ns = (__u64)BPF_CORE_READ(m, mnt_ns);
			w->flags |= WALK_DONE;
			return 1;
		}
		w->dentry = (__u64)BPF_CORE_READ(m, mnt_mountpoint);
		w->mnt = (__u64)mp;
		w->flags &= ~WALK_PROC;
		return 0;
	}

	seq = BPF_CORE_READ(d, d_seq.seqcount.sequence);
	parent = BPF_CORE_READ(d, d_parent);
	len = BPF_CORE_READ(d, d_name.len);
	name = BPF_CORE_READ(d, d_name.name);
	if (parent == d) {
		w->flags |= WALK_NOT_UNDER;
		w->fail = EG_WHY_UNPLACED;
		return 1;
	}
	pos = w->pos;
	if (!len || len > EG_NAME_MAX || len + 1 > pos) {
		w->fail = EG_WHY_TOO_LONG;
		return 1;
	}
	start = (pos - len) & (EG_PATH_MAX - 1);
	barrier_var(len);
	len &= 255;
	if (bpf_probe_read_kernel(&w->buf[start], len, name)) {
		w->fail = EG_WHY_FAILURE;
		return 1;
	}
	if ((seq & 1) || BPF_CORE_READ(d, d_seq.seqcount.sequence) != seq) {
		count_stat(EG_ST_PATH_RETRY);
		if (++w->retries > WALK_RETRIES) {
			w->fail = EG_WHY_FAILURE;
			return 1;
		}
		return 0;
	}
	if ((w->flags & WALK_PROC) && BPF_CORE_READ(parent, d_parent) == parent &&
	    walk_proc_name(w, d, start)) {
		if (pos < 5) {
			w->fail = EG_WHY_TOO_LONG;
			return 1;
		}
		start = (pos - 4) & (EG_PATH_MAX - 1);
		__builtin_memcpy(&w->buf[start], "self", 4);
	}
	if (!start) {
		w->fail = EG_WHY_TOO_LONG;
		return 1;
	}
	start = (start - 1) & (EG_PATH_MAX - 1);
	w->buf[start] = '/';
	w->pos = start;
	if (!w->first_parent)
		w->first_parent = (__u64)parent;
	w->dentry = (__u64)parent;
	return 0;
}

static long walk_feed(__u32 i, struct walk_ctx *c)
{
	struct eg_walk *w = c->w;
	__u32 at = w->feed;
	__u8 b;

	if (at > EG_PATH_MAX)
		return 1;
	b = at < EG_PATH_MAX ? w->buf[at & (EG_PATH_MAX - 1)] : '/';
	if (b != '/') {
		w->name = eg_dfa_byte(c->d, w->name, b);
	} else {
		/* the end of a name, but for the first '/' of each feed */
		if (at > w->pos) {
			w->dir_state = w->state;
			w->state = eg_dfa_child(c->d, w->state, w->name);
		}
		if (w->alt != NO_STATE && at > w->anchor_pos) {
			w->dir_alt = w->alt;
			w->alt = eg_dfa_child(c->d, w->alt, w->name);
		}
		w->name = w->names;
	}
	w->feed = at + 1;
	return 0;
}

/*
 * mq_open() opens on a mount of the kernel's own, which is in no namespace. Rules
 * speak of queues as everybody does, wherever the filesystem is mounted and whether it is.
 */
static __always_inline void walk_mqueue(struct eg_walk *w)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 pos = w->pos;

	if (pos < sizeof(MQUEUE_TOP)) {
		w->fail = EG_WHY_TOO_LONG;
		return;
	}
	pos = (pos - (sizeof(MQUEUE_TOP) - 1)) & (EG_PATH_MAX - 1);
	__builtin_memcpy(&w->buf[pos], MQUEUE_TOP, sizeof(MQUEUE_TOP) - 1);
	w->pos = pos;
	w->ns = (__u64)task->nsproxy->mnt_ns;
}

/*
 * Assembles the path of (mnt, dentry), raw pointers, in w->buf, and leaves the
 * automaton's states in w->state, w->alt. w->fail says why it could not.
 * start: state to begin with (0 feeds nothing). A global function: see
 * eg_feed_name().
 */
__weak __noinline int eg_walk_path(struct eg_walk *w, struct eg_policy *p, __u32 start)
{
	struct walk_ctx c = { .w = w, .d = the_dfa() };
	struct mnt_namespace *ns;
	struct dentry *d;
	struct mount *m;

	if (!w || !p)
		return 0;
	d = (struct dentry *)w->dentry;
	m = real_mount((void *)w->mnt);
	w->mnt = (__u64)m;
	w->first_parent = 0;
	w->ns = 0;
	w->pos = EG_PATH_MAX;
	w->flags = 0;
	w->fail = 0;
	w->retries = 0;
	w->serial = p->serial;
	w->nanchors = p->nanchors;
	w->names = p->names;
	w->own = NO_STATE;
	w->alt = NO_STATE;
	w->dir_alt = NO_STATE;
	w->anchor_pos = EG_PATH_MAX;
	w->state = 0;
	w->dir_state = 0;
	count_stat(EG_ST_PATH_WALK);
	if (!c.d) {
		w->fail = EG_WHY_FAILURE;
		return 0;
	}
	w->ns = (__u64)BPF_CORE_READ(m, mnt_ns);
	if (w->ns == MNT_NS_INTERNAL) {
		w->flags = WALK_INTERNAL;
		return 0;
	}
	if (BPF_CORE_READ(d, d_sb, s_magic) == PROC_SUPER_MAGIC)
		w->flags = WALK_PROC;
	bpf_loop(WALK_STEPS, walk_up, &c, 0);
	if (w->fail)
		return 0;
	if (!(w->flags & WALK_DONE)) {
		w->fail = EG_WHY_TOO_LONG;
		return 0;
	}
	if (!w->ns && BPF_CORE_READ(d, d_sb, s_magic) == MQUEUE_MAGIC)
		walk_mqueue(w);
	if (w->fail)
		return 0;
	/* a tree that hangs nowhere: lazily unmounted, open_tree(OPEN_TREE_CLONE), fsmount */
	ns = (struct mnt_namespace *)w->ns;
	if (!ns || (__u64)ns >= (__u64)-4095 || !BPF_CORE_READ(ns, seq)) {
		w->fail = EG_WHY_UNPLACED;
		return 0;
	}
	if (w->flags & WALK_FOREIGN)
		w->fail = EG_WHY_FOREIGN;
	if (!start)
		return 0;
	w->state = start;
	w->dir_alt = w->alt;
	w->name = w->names;
	w->feed = w->pos;
	if (w->pos < EG_PATH_MAX) /* else it is "/" */
		bpf_loop(EG_PATH_MAX + 1, walk_feed, &c, 0);
	return 0;
}

static __always_inline void walk_path(struct eg_walk *w, struct eg_policy *p, __u32 start,
				      const void *mnt, const void *dentry)
{
	/* by way of the walk: a global function takes no typed pointers */
	w->mnt = (__u64)mnt;
	w->dentry = (__u64)dentry;
	eg_walk_path(w, p, start);
}

#endif
