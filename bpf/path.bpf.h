/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Judging a path: from an object to the state of the policy's automaton.
 *
 *   judge_child()   a name in a directory reached through a mount; the memo's
 *                   fast way when it holds, else the walk
 *   walk_path()     the walk: up d_parent and mount points, then the automaton
 *   judge_sb()       an object of which only the dentry is known (attributes)
 *   judge_origin()   where an object is when the sandbox may make mounts
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

#include "sock.bpf.h"
#include "walk.bpf.h"

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

/* How a struct eg_room of report.bpf.h begins. */
struct eg_desk {
	struct eg_task t;
	struct eg_walk w;
};

static __always_inline struct eg_walk *my_walk(const struct eg_task *t)
{
	struct eg_walk *w;

	if (storage_blocks)
		return &((struct eg_desk *)t)->w;
	w = bpf_task_storage_get(&walks, bpf_get_current_task_btf(), 0,
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
	/* by hand: see mnt_at(). 0, as of a mount that is nowhere: it could not be read */
	__u64 own = (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns);

	return (w->ns != own || !own) && !(p->privileges & EG_PRIV_MOUNTS);
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
static __always_inline void judge_walk(const struct eg_task *t, struct eg_policy *p,
				       struct found *f, const void *mnt, const void *dentry)
{
	struct eg_walk *w = my_walk(t);

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

/*
 * From 6.4 the verifier believes that a dentry argument of an LSM hook has an
 * inode: it drops the check for NULL and lets the load fault for real. A name
 * that is about to appear has none. So arguments are read by hand, and only
 * dentries reached through another object are followed. o->ino 0: the name is free.
 */
static __always_inline void object_at(struct eg_object *o, struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	if (inode)
		object_by_hand(o, inode);
}

/* The same for an inode that is there for certain. */
static __always_inline void object_of(struct eg_object *o, struct inode *inode)
{
	unsigned long magic = inode->i_sb->s_magic;

	o->ino = magic == OVERLAYFS_SUPER_MAGIC ? (__u64)address_of(inode) : inode->i_ino;
	o->dev = inode->i_sb->s_dev;
	o->generation = keeps_generation(magic) ? inode->i_generation : 0;
}

/* The object itself may be anchored: another name of a denied file. `key`: scratch. */
static __always_inline __u32 object_anchor(struct eg_policy *p, const struct eg_object *o,
					   struct eg_anchor_key *key)
{
	struct eg_anchor *a;
	__u32 bit;

	if (!o->ino)
		return NO_STATE;
	bit = eg_anchor_hash(o->ino, o->dev) & (EG_BLOOM_WORDS * 64 - 1);
	if (!(p->bloom[bit / 64] & (1ull << (bit % 64))))
		return NO_STATE;
	key->object = *o;
	key->serial = p->serial;
	key->pad = 0;
	a = bpf_map_lookup_elem(&anchors, key);
	return a ? a->state : NO_STATE;
}

/*
 * The name `dentry` in the directory `dir`, reached through `mnt`. All three
 * are typed pointers; dir is dentry's parent by the caller's word, which is
 * checked again here.
 */
static __always_inline void judge_here(struct eg_task *t, struct eg_policy *p, struct found *f,
					struct vfsmount *mnt, struct dentry *dir,
					struct dentry *dentry, const struct eg_object *o)
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
		judge_walk(t, p, f, mnt, dentry);
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

	w = my_walk(t);
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
	if (BPF_CORE_READ(m, mnt_ns, ns.inum) != w->only_ns)
		return 0;
	walk_path(w, c->p, c->p->start_path, (void *)m + bpf_core_field_offset(struct mount, mnt),
		  (void *)w->object);
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
 * Judges w->object, a raw dentry, at every mount of its filesystem in the mount
 * namespace numbered w->only_ns: w->found of them, w->perm the least. 1: all were
 * looked at. A global function: see eg_feed_name().
 */
__weak __noinline int eg_judge_mounts(struct eg_walk *w, struct eg_policy *p)
{
	struct walk_ctx c = { .w = w, .d = the_dfa(), .p = p };
	struct super_block *sb;
	struct dentry *dentry;

	if (!w || !p)
		return 0;
	dentry = (struct dentry *)w->object;
	sb = BPF_CORE_READ(dentry, d_sb);
	w->head = (__u64)sb + bpf_core_field_offset(struct super_block, s_mounts);
	w->cursor = (__u64)BPF_CORE_READ(sb, s_mounts.next);
	w->perm = EG_PERM_ALL;
	w->by_path = EG_PERM_ALL;
	w->found = 0;
	w->why = 0;
	w->last_mnt = 0;
	bpf_loop(WALK_MOUNTS, judge_mount, &c, 0);
	return w->cursor == w->head;
}

/*
 * Behind mounts of the sandbox's own making a path says what the sandbox likes.
 * So there an object is judged by where it was before, too: at the mounts of its
 * filesystem in the namespace the sandbox began in. What is not mounted there is
 * the sandbox's own.
 */
static __always_inline void judge_origin(const struct eg_task *t, struct eg_policy *p,
					 struct found *f, const void *dentry)
{
	struct eg_sandbox *sb = sandbox_of(t);
	struct eg_walk *w = my_walk(t);
	int all;

	if (f->internal) /* no overlay is of the sandbox's making, see sb_kern_mount */
		return;
	if (!sb || !w) {
		found_nothing(f, EG_WHY_FAILURE);
		return;
	}
	w->sandbox = t->sandbox;
	w->only_ns = sb->mnt_ns;
	w->object = (__u64)dentry;
	all = eg_judge_mounts(w, p);
	if (!all) {
		found_nothing(f, EG_WHY_UNPLACED);
	} else if (w->found) {
		f->perm &= w->perm;
	}
}

/* The same for an object that need not be in the caller's namespace: no memo. */
static __always_inline void judge_slow(const struct eg_task *t, struct eg_policy *p,
				       struct found *f, const void *mnt, const void *dentry)
{
	judge_walk(t, p, f, mnt, dentry);
	if (p->privileges & EG_PRIV_MOUNTS)
		judge_origin(t, p, f, dentry);
}

static __always_inline void judge_child(struct eg_task *t, struct eg_policy *p, struct found *f,
					struct vfsmount *mnt, struct dentry *dir,
					struct dentry *dentry, const struct eg_object *o)
{
	judge_here(t, p, f, mnt, dir, dentry, o);
	if (p->privileges & EG_PRIV_MOUNTS)
		judge_origin(t, p, f, dentry);
}

/*
 * Hooks for attributes name a dentry without its mount. The object is judged at
 * every mount of its filesystem in the task's namespace; the least holds.
 */
static __always_inline void judge_sb(const struct eg_task *t, struct eg_policy *p, struct found *f,
				     struct dentry *dentry)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct eg_walk *w = my_walk(t);
	int all;

	found_nothing(f, EG_WHY_FAILURE);
	if (!w)
		return;
	w->sandbox = t->sandbox;
	w->only_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	if (!w->only_ns)
		return; /* not to be read: mounts that are nowhere have the same number */
	w->object = (__u64)dentry;
	all = eg_judge_mounts(w, p);
	f->reason = w->why;
	f->state = w->by_path << EG_DFA_PERM_SHIFT; /* only for reason_of() */
	f->mnt = w->last_mnt;
	if (w->found && all) {
		f->perm = w->perm;
	} else if (!w->found && (dentry->d_sb->s_flags & SB_KERNMOUNT)) {
		f->perm = EG_PERM_ALL; /* a pipe, a socket, a memfd */
		f->internal = 1;
	} else {
		f->reason = EG_WHY_UNPLACED;
	}
	if (p->privileges & EG_PRIV_MOUNTS)
		judge_origin(t, p, f, dentry);
}

#endif
