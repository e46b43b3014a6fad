/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Judging a path: from an object to the state of the policy's automaton.
 *
 *   judge_child()   a name in a directory reached through a mount; the memo's
 *                   fast way when it holds, else the walk
 *   walk_path()     the walk: up d_parent and mount points, then the automaton
 *   judge_sb()       an object of which only the dentry is known (attributes)
 *
 * What makes the answer safe against tasks that rename while we look:
 *   - name and parent of one dentry are read under its d_seq, and read again
 *     when a rename got in between;
 *   - rename rules never let an object gain, so a path put together from names
 *     before and after a move can only be judged like one of the two;
 *   - the memo is tagged with the rename generation (bumped *after* a directory
 *     moved) and with the event number of the mount namespace (bumped by every
 *     change of mounts), both sampled *before* the walk.
 *
 * The path is assembled in the task's own storage: LSM programs are preempted,
 * and a per-CPU buffer could be overwritten by another task half-way.
 */
#ifndef EGRESSCTL_PATH_BPF_H
#define EGRESSCTL_PATH_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "task.bpf.h"
#include "dfa.h"

#define PROC_SUPER_MAGIC 0x9fa0
#define NAME_INLINE 24 /* bytes, below DNAME_INLINE_LEN (32 or more), include/linux/dcache.h */
#define NAME_USUAL 48 /* bytes; longer names take the slower loop */
#define WALK_RETRIES 8 /* names read again because of a rename, per path */
#define WALK_STEPS (EG_PATH_MAX / 2 + 256) /* "/a" a step, and mount crossings */
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
	__u64 only_ns; /* judge_sb(): mounts of this namespace */
	__u64 last_mnt; /* judge_sb(): the vfsmount the object was last seen under */
	__u64 cursor; /* judge_sb(): the filesystem's list of mounts */
	__u64 head;
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
	__u32 perm; /* judge_sb(): smallest so far */
	__u32 by_path; /* judge_sb(): the same without anchors */
	__u32 why; /* judge_sb(): the first enum eg_reason that is not 0 */
	__u32 found; /* judge_sb(): mounts that hold the object */
	char buf[EG_PATH_MAX + EG_NAME_MAX + 1];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_walk);
} walks SEC(".maps") __weak;

/* the state a directory's path leads to, for a few versions and mounts */
struct eg_memo_way {
	__u64 mnt;
	__u64 ns_seq;
	__u64 ns_event;
	__u64 moves;
	__u32 serial; /* 0: empty */
	__u32 state;
	__u32 alt;
	__u32 pad;
};

_Static_assert(sizeof(struct eg_memo_way) <= sizeof(((struct eg_task *)0)->key), "eg_task.key");

struct eg_memo {
	struct bpf_spin_lock lock;
	__u32 next;
	struct eg_memo_way way[EG_MEMO_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_memo);
} memos SEC(".maps") __weak;

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

/* pseudo terminals made by sandboxed tasks: key struct eg_pty, value sandbox id */
struct eg_pty {
	__u32 dev; /* s_dev of the devpts instance */
	__u32 rdev; /* of the slave */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct eg_pty);
	__type(value, __u64);
} ptys SEC(".maps") __weak;

static __always_inline struct eg_dfa *the_dfa(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&dfa, &zero);
}

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

/* A pid directory directly under procfs's root: whose? Foreign ones are refused. */
static __always_inline bool walk_proc_name(struct eg_walk *w, struct dentry *d, __u32 pos)
{
	struct inode *inode = BPF_CORE_READ(d, d_inode);
	struct proc_inode *pi;
	struct pid *pid;
	struct hlist_node *node;
	struct task_struct *task;
	struct eg_id id;
	char c = w->buf[pos & (EG_PATH_MAX - 1)];

	if (c < '0' || c > '9' || !inode)
		return false;
	pi = (struct proc_inode *)((__u64)inode - bpf_core_field_offset(struct proc_inode, vfs_inode));
	pid = BPF_CORE_READ(pi, pid);
	if (!pid)
		return false;
	node = BPF_CORE_READ(pid, tasks[0].first);
	if (!node)
		return true; /* gone: its files answer ESRCH to anybody */
	task = (struct task_struct *)((__u64)node -
				      bpf_core_field_offset(struct task_struct, pid_links[0]));
	if (task_id_raw(task, &id) != 1 || id.sandbox != w->sandbox) {
		w->flags |= WALK_FOREIGN;
		return false; /* its number is for the event */
	}
	return true;
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
	key.ino = BPF_CORE_READ(inode, i_ino);
	key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
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
	struct eg_policy *p; /* judge_sb() */
	struct dentry *dentry;
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

/* What judging gave. */
struct found {
	__u32 state; /* of the name */
	__u32 alt; /* by the nearest anchor, or NO_STATE */
	__u8 perm; /* allowed: both states' */
	__u8 reason; /* enum eg_reason when it could not be placed; perm is 0 then */
	__u8 internal; /* on a kernel-internal mount: allowed */
	__u64 mnt; /* judge_sb(): where it was seen last, or 0 */
};

_Static_assert(2 * sizeof(struct found) <= sizeof(((struct eg_task *)0)->found), "eg_task.found");

static __always_inline struct eg_walk *my_walk(void)
{
	struct eg_walk *w = bpf_task_storage_get(&walks, bpf_get_current_task_btf(), 0,
						 BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!w)
		count_stat(EG_ST_FAIL_STORAGE);
	return w;
}

static __always_inline __u8 both_perms(__u32 state, __u32 alt)
{
	__u8 perm = eg_dfa_perm(state);

	if (alt != NO_STATE)
		perm &= eg_dfa_perm(alt);
	return perm;
}

static __always_inline void found_nothing(struct found *f, __u8 reason)
{
	f->state = 0;
	f->alt = NO_STATE;
	f->perm = 0;
	f->reason = reason;
	f->internal = 0;
	f->mnt = 0;
}

/*
 * A path that ends in another mount namespace is made of names that mean other
 * objects here; rules do not speak of it, unless the sandbox may make
 * namespaces.
 */
static __always_inline bool foreign_namespace(const struct eg_walk *w, const struct eg_policy *p)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return w->ns != (__u64)task->nsproxy->mnt_ns && !(p->privileges & EG_PRIV_MOUNTS);
}

static __always_inline void found_from_walk(struct found *f, struct eg_walk *w,
					    const struct eg_policy *p)
{
	f->internal = !!(w->flags & WALK_INTERNAL);
	if (!f->internal && !w->fail && foreign_namespace(w, p))
		w->fail = EG_WHY_UNPLACED;
	if (w->fail == EG_WHY_TOO_LONG || w->fail == EG_WHY_FAILURE)
		count_stat(EG_ST_FAIL_WALK);
	f->reason = w->fail;
	f->state = w->state;
	f->alt = w->own != NO_STATE ? w->own : w->alt;
	f->perm = 0;
	if (f->internal)
		f->perm = EG_PERM_ALL;
	else if (!w->fail)
		f->perm = both_perms(f->state, f->alt);
}

/* The walk alone, without the memo. */
static __always_inline void judge_slow(const struct eg_task *t, struct eg_policy *p,
				       struct found *f, const void *mnt, const void *dentry)
{
	struct eg_walk *w = my_walk();

	if (!w) {
		found_nothing(f, EG_WHY_FAILURE);
		return;
	}
	w->sandbox = t->sandbox;
	walk_path(w, p, p->start_path, mnt, dentry);
	found_from_walk(f, w, p);
}

/*
 * `dentry` is held by whoever called the hook, and holds `dir` while it is its
 * child. A rename may end that at any time, and an inode that is being freed must
 * be given no storage: nobody would take it away. So afterwards we look whether
 * dir was still the parent; then it was alive all the time. If not, we clean up
 * ourselves, before the grace period in which we run lets the memory go.
 */
static __always_inline void memo_fill(struct inode *inode, const struct eg_memo_way *new,
				      struct dentry *dir, struct dentry *dentry)
{
	struct eg_memo *memo = bpf_inode_storage_get(&memos, inode, 0,
						     BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct dentry *parent;
	__u32 at;

	if (!memo)
		return; /* only slower */
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent != dir) {
		bpf_inode_storage_delete(&memos, inode);
		return;
	}
	bpf_spin_lock(&memo->lock);
	at = memo->next++;
	memo->way[at & (EG_MEMO_WAYS - 1)] = *new;
	bpf_spin_unlock(&memo->lock);
}

/* The state of `dir` from its memo. */
static __always_inline bool memo_get(struct inode *inode, const struct eg_memo_way *want,
				     __u32 *state, __u32 *alt)
{
	struct eg_memo *memo = bpf_inode_storage_get(&memos, inode, 0, 0);
	bool hit = false;

	if (!memo)
		return false;
	bpf_spin_lock(&memo->lock);
#pragma unroll
	for (int i = 0; i < (int)EG_MEMO_WAYS; i++) {
		struct eg_memo_way *y = &memo->way[i];

		if (y->serial == want->serial && y->mnt == want->mnt && y->ns_seq == want->ns_seq &&
		    y->ns_event == want->ns_event && y->moves == want->moves) {
			*state = y->state;
			*alt = y->alt;
			hit = true;
			break;
		}
	}
	bpf_spin_unlock(&memo->lock);
	return hit;
}

/* An object as the kernel numbers it. */
struct object {
	__u64 ino; /* 0: the name is free */
	__u32 dev;
};

/*
 * From 6.4 the verifier believes that a dentry argument of an LSM hook has an
 * inode: it drops the check for NULL and lets the load fault for real. A name
 * that is about to appear has none. So arguments are read by hand (by_hand),
 * and only dentries reached through another object are followed.
 */
static __always_inline struct object object_by_hand(struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	struct object o = {};

	if (inode) {
		o.ino = BPF_CORE_READ(inode, i_ino);
		o.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	}
	return o;
}

static __always_inline struct object object_of(struct inode *inode)
{
	struct object o = {};

	o.ino = inode->i_ino;
	o.dev = inode->i_sb->s_dev;
	return o;
}

/* The object itself may be anchored: another name of a denied file. `key`: scratch. */
static __always_inline __u32 object_anchor(struct eg_policy *p, const struct object *o,
					   struct eg_anchor_key *key)
{
	struct eg_anchor *a;
	__u32 bit;

	if (!o->ino)
		return NO_STATE;
	bit = eg_anchor_hash(o->ino, o->dev) & (EG_BLOOM_WORDS * 64 - 1);
	if (!(p->bloom[bit / 64] & (1ull << (bit % 64))))
		return NO_STATE;
	key->ino = o->ino;
	key->dev = o->dev;
	key->serial = p->serial;
	a = bpf_map_lookup_elem(&anchors, key);
	return a ? a->state : NO_STATE;
}

/*
 * The name `dentry` in the directory `dir`, reached through `mnt`. All three
 * are typed pointers; dir is dentry's parent by the caller's word, which is
 * checked again here.
 */
static __always_inline void judge_child(struct eg_task *t, struct eg_policy *p, struct found *f,
					struct vfsmount *mnt, struct dentry *dir,
					struct dentry *dentry, const struct object *o)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct eg_memo_way *want = (struct eg_memo_way *)t->key; /* the stack is short */
	struct eg_dfa *d = the_dfa();
	struct inode *inode = dir->d_inode;
	struct mnt_namespace *ns;
	const unsigned char *name;
	__u32 state, alt, len, seq, own;
	struct eg_walk *w;

	/* sampled before anything is looked at */
	want->moves = dir_moves();
	ns = task->nsproxy->mnt_ns;
	want->ns_seq = ns->seq;
	want->ns_event = ns->event;
	want->mnt = (__u64)mnt;
	want->serial = p->serial;
	barrier();

	if (!d || !want->ns_seq || dentry == mnt->mnt_root || dir == dentry ||
	    dir->d_sb->s_magic == PROC_SUPER_MAGIC) {
		judge_slow(t, p, f, mnt, dentry);
		return;
	}
	if (memo_get(inode, want, &state, &alt)) {
		seq = dentry->d_seq.seqcount.sequence;
		barrier();
		len = dentry->d_name.len;
		name = dentry->d_name.name;
		if (len > EG_NAME_MAX)
			len = 0;
		if (len && dentry->d_parent == dir && !(seq & 1)) {
			__u64 n;

			if (name == dentry->d_iname && len <= NAME_INLINE)
				n = feed_inline(d, dentry, len, p->names);
			else
				n = feed_copy(t, name, len, p->names);
			barrier();
			if (n != NO_STATE &&
			    *(volatile __u32 *)&dentry->d_seq.seqcount.sequence == seq) {
				state = eg_dfa_child(d, state, n);
				/* the memo's key is not needed any more */
				own = object_anchor(p, o, (struct eg_anchor_key *)t->key);
				if (own == NO_STATE && alt != NO_STATE)
					own = eg_dfa_child(d, alt, n);
				f->state = state;
				f->alt = own;
				f->perm = both_perms(state, own);
				f->reason = 0;
				f->internal = 0;
				return;
			}
		}
	}

	w = my_walk();
	if (!w) {
		found_nothing(f, EG_WHY_FAILURE);
		return;
	}
	w->sandbox = t->sandbox;
	walk_path(w, p, p->start_path, mnt, dentry);
	found_from_walk(f, w, p);
	if (!w->fail && !f->internal && w->first_parent == (__u64)dir && w->ns == (__u64)ns &&
	    !(w->flags & WALK_PROC) && w->dir_state != NO_STATE) {
		want->state = w->dir_state;
		want->alt = w->dir_alt;
		memo_fill(inode, want, dir, dentry);
	}
}

static long judge_mount(__u32 i, struct walk_ctx *c)
{
	struct eg_walk *w = c->w;
	struct mount *m;
	__u64 node = w->cursor;
	__u8 perm, by_path = 0;

	if (node == w->head || !node)
		return 1;
	m = (struct mount *)(node - bpf_core_field_offset(struct mount, mnt_instance));
	w->cursor = (__u64)BPF_CORE_READ(m, mnt_instance.next);
	if ((__u64)BPF_CORE_READ(m, mnt_ns) != w->only_ns)
		return 0;
	walk_path(w, c->p, c->p->start_path, (void *)m + bpf_core_field_offset(struct mount, mnt),
		  c->dentry);
	if (w->flags & WALK_NOT_UNDER)
		return 0;
	w->found++;
	if (!w->fail)
		by_path = eg_dfa_perm(w->state);
	else if (!w->why)
		w->why = w->fail;
	perm = by_path;
	if (w->own != NO_STATE)
		perm &= eg_dfa_perm(w->own);
	else if (w->alt != NO_STATE)
		perm &= eg_dfa_perm(w->alt);
	/* the event names a place whose own path is refused, if there is one */
	if (!w->last_mnt || (w->by_path & ~by_path))
		w->last_mnt = (__u64)m + bpf_core_field_offset(struct mount, mnt);
	w->by_path &= by_path;
	w->perm &= perm;
	return 0;
}

/*
 * Hooks for attributes name a dentry without its mount. The object is judged at
 * every mount of its filesystem in the task's namespace; the least holds.
 */
static __always_inline void judge_sb(const struct eg_task *t, struct eg_policy *p, struct found *f,
				     struct dentry *dentry)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct super_block *sb = dentry->d_sb;
	struct eg_walk *w = my_walk();
	struct walk_ctx c = { .w = w, .d = the_dfa(), .p = p, .dentry = dentry };

	found_nothing(f, EG_WHY_FAILURE);
	if (!w)
		return;
	w->sandbox = t->sandbox;
	w->only_ns = (__u64)task->nsproxy->mnt_ns;
	w->head = (__u64)sb + bpf_core_field_offset(struct super_block, s_mounts);
	w->cursor = (__u64)BPF_CORE_READ(sb, s_mounts.next);
	w->perm = EG_PERM_ALL;
	w->by_path = EG_PERM_ALL;
	w->found = 0;
	w->why = 0;
	w->last_mnt = 0;
	bpf_loop(WALK_MOUNTS, judge_mount, &c, 0);
	f->reason = w->why;
	f->state = w->by_path << EG_DFA_PERM_SHIFT; /* only for reason_of() */
	f->mnt = w->last_mnt;
	if (w->found && w->cursor == w->head) {
		f->perm = w->perm;
	} else if (!w->found && (sb->s_flags & SB_KERNMOUNT)) {
		f->perm = EG_PERM_ALL; /* a pipe, a socket, a memfd */
		f->internal = 1;
	} else {
		f->reason = EG_WHY_UNPLACED;
	}
}

#endif
