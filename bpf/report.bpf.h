/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Refusing an access to a path: the event with its paths and its executable. */
#ifndef EGRESSCTL_REPORT_BPF_H
#define EGRESSCTL_REPORT_BPF_H

#include "event.bpf.h"
#include "path.bpf.h"

#define EXE_MAX 1023u
#define S_IFDIR 0040000

/* the current task, its sandbox and the version in force there */
struct who {
	struct eg_task *t;
	struct eg_sandbox *sb;
	struct eg_policy *p;
};

/*
 * Where storages can be busy (storage_blocks), what a program writes to lies in one of these
 * and not in the task's storages. A task has one for as long as its program runs; so many can
 * be preempted half-way at a time, on all processors together, before others have to wait. A
 * sandbox has its share, or a crowd in one would make all others wait.
 */
#define ROOMS_APART 4u /* where one processor begins to look, and the next */
#define ROOMS_NEAR 8u /* looked at without a loop */
/* at one each: some 2 ms, after which others have had their turn; and again */
#define ROOM_LOOKS (1u << 18)
#define ROOM_WAITS 8

struct eg_room {
	struct eg_task t;
	struct eg_walk w;
	struct eg_report r;
	__u64 taken;
};

_Static_assert(__builtin_offsetof(struct eg_room, w) == __builtin_offsetof(struct eg_desk, w),
	       "struct eg_desk");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_MAX_ROOMS);
	__type(key, __u32);
	__type(value, struct eg_room);
} rooms SEC(".maps") __weak;

struct eg_share {
	__u32 taken;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_MAX_SANDBOXES);
	__type(key, __u32); /* slot */
	__type(value, struct eg_share);
} shares SEC(".maps") __weak;

static __always_inline bool take_room(__u32 key)
{
	struct eg_room *room = bpf_map_lookup_elem(&rooms, &key);

	return room && !room->taken && !__sync_val_compare_and_swap(&room->taken, 0, 1);
}

static long look_at_room(__u32 i, __u32 *start)
{
	__u32 key = (*start + i) % EG_MAX_ROOMS;
	struct eg_room *room = bpf_map_lookup_elem(&rooms, &key);

	return room && !room->taken;
}

/* One that nobody had, after as many looks; EG_MAX_ROOMS: none. */
static __always_inline __u32 search_rooms(__u32 start, __u32 looks)
{
	__u32 key = (start + (__u32)bpf_loop(looks, look_at_room, &start, 0) - 1) % EG_MAX_ROOMS;

	return take_room(key) ? key : EG_MAX_ROOMS;
}

static __always_inline __u32 find_room(bool waits)
{
	__u32 start = bpf_get_smp_processor_id() * ROOMS_APART, key;

#pragma unroll /* 6.1 refuses a loop whose end lies before its beginning */
	for (__u32 i = 0; i < ROOMS_NEAR; i++) {
		key = (start + i) % EG_MAX_ROOMS;
		if (take_room(key))
			return key;
	}
	key = search_rooms(start, EG_MAX_ROOMS);
#pragma unroll
	for (int i = 0; i < ROOM_WAITS; i++)
		if (key == EG_MAX_ROOMS && waits)
			key = search_rooms(start, ROOM_LOOKS);
	return key;
}

static long until_share(__u32 i, __u32 *slot)
{
	struct eg_share *s = bpf_map_lookup_elem(&shares, slot);

	return !s || *(volatile __u32 *)&s->taken <= EG_ROOM_QUOTA;
}

/*
 * Puts the running task's mark into a room: that one's number and 1. 0 and less are
 * current_id()'s. `waits`: the caller holds no spinlock, with which others cannot get on. A
 * global function: its frame is not below those of a walk.
 */
__weak __noinline int eg_enter_room(bool waits)
{
	struct eg_sandbox *sb;
	struct eg_share *s;
	struct eg_room *room;
	struct eg_id id;
	__u32 key;
	int who;

	who = current_id(&id);
	if (who <= 0)
		return who;
	key = id.slot;
	s = bpf_map_lookup_elem(&shares, &key);
	if (!s)
		return -EAGAIN;
	__sync_fetch_and_add(&s->taken, 1);
	if (waits && s->taken > EG_ROOM_QUOTA) {
		if (waiting_helps())
			bpf_loop(ROOM_LOOKS, until_share, &key, 0);
		if (s->taken > EG_ROOM_QUOTA)
			goto none;
	}
	key = find_room(waits && waiting_helps());
	room = bpf_map_lookup_elem(&rooms, &key);
	if (!room)
		goto none;
	room->t.sandbox = id.sandbox;
	room->t.slot = id.slot;
	room->t.flags = id.flags;
	return key + 1;
none:
	__sync_fetch_and_add(&s->taken, -1);
	count_stat(EG_ST_FAIL_STORAGE);
	sb = sandbox_get(id.sandbox, id.slot);
	if (sb)
		__sync_fetch_and_add(&sb->failed, 1);
	return -EAGAIN;
}

/* Is the running task anything's? A global function, as above. */
__weak __noinline int eg_is_marked(void)
{
	struct eg_id id = {};

	return current_id(&id) != 0;
}

/*
 * The running task's mark, and room beside it until leave_task(). 1: *t is it. 0: not
 * sandboxed. -EAGAIN: it cannot be told, or there is no room; refuse with it. `waits` as
 * eg_enter_room().
 */
static __always_inline int current_task(struct eg_task **t, bool waits)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 key;
	int who;

	*t = NULL;
	if (!task->bpf_storage)
		return 0;
	if (storage_blocks) {
		who = eg_enter_room(waits);
		if (who <= 0)
			return who;
		key = who - 1;
		*t = bpf_map_lookup_elem(&rooms, &key);
		return *t ? 1 : -EAGAIN;
	}
	*t = bpf_task_storage_get(&tasks, task, NULL, 0);
	if (*t)
		return (*t)->sandbox != 0;
	return eg_is_marked() ? -EAGAIN : 0; /* it cannot be busy here */
}

__weak __noinline int eg_leave_room(struct eg_room *room)
{
	struct eg_share *s;
	__u32 slot;

	if (!room)
		return 0;
	slot = room->t.slot;
	/* with a barrier: the next one may be on another processor */
	__sync_lock_test_and_set(&room->taken, 0);
	s = bpf_map_lookup_elem(&shares, &slot);
	if (s)
		__sync_fetch_and_add(&s->taken, -1);
	return 0;
}

static __always_inline void leave_task(struct eg_task *t)
{
	if (storage_blocks)
		eg_leave_room((struct eg_room *)t);
}

/*
 * Appends the path that `w` holds at data[off]; returns its length. The masks
 * are one less than a power of two and tell the verifier what the caller knows.
 */
static __always_inline __u32 put_path(struct eg_report *r, struct eg_walk *w, __u32 off,
				      __u32 off_mask, __u32 len_mask)
{
	__u32 pos = w->pos, len;

	off &= off_mask;
	if (pos >= EG_PATH_MAX) {
		r->bytes[sizeof(struct eg_event) + off] = '/';
		return 1;
	}
	len = EG_PATH_MAX - pos;
	if (len > len_mask)
		return 0;
	if (bpf_probe_read_kernel(&r->bytes[sizeof(struct eg_event) + off], len & len_mask,
				  &w->buf[pos & (EG_PATH_MAX - 1)]))
		return 0;
	return len;
}

/* Where an access is written down; kept off the stack, of which walks need much. */
static __always_inline struct eg_report *get_report(const struct eg_task *t)
{
	if (storage_blocks)
		return &((struct eg_room *)t)->r;
	return bpf_task_storage_get(&reports, bpf_get_current_task_btf(), 0,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* For a refusal. NULL: nobody is to be told. */
static __always_inline struct eg_report *my_report(struct who *k)
{
	bool send = event_begin(k->sb), traced = k->p->flags & EG_P_TRACE;
	struct eg_report *r;

	if (!send && !traced)
		return NULL;
	r = get_report(k->t);
	if (r) {
		r->v.send = send;
		r->v.trace = traced;
		r->v.verdict = k->p->flags & EG_P_AUDIT ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED;
		return r;
	}
	if (send) {
		__sync_fetch_and_add(&k->sb->ev_seq, 1);
		event_lost(k->sb);
	}
	if (traced)
		trace_lost(&k->sb->id);
	return NULL;
}

static __always_inline bool is_dir(struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode); /* see object_at() */

	return inode && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR;
}

static long hash_word(__u32 i, struct eg_report **ctx)
{
	struct eg_report *r = *ctx;
	__u64 word;

	if (i >= EG_EVENT_DATA_MAX / 8)
		return 1;
	word = *(__u64 *)&r->bytes[sizeof(struct eg_event) + 8 * i];
	if (r->len < 8 * (i + 1)) /* what an earlier record left behind is not part of it */
		word &= (1ull << (8 * (r->len - 8 * i))) - 1;
	r->hash = trace_mix(r->hash, word);
	return 0;
}

/* The record in `r` is for the trace. A global function: see eg_feed_name(). */
__weak __noinline int eg_emit_trace(struct eg_report *r)
{
	struct eg_seen_key key;
	struct eg_event *ev;
	__u32 len;

	if (!r)
		return 0;
	ev = (struct eg_event *)r->bytes;
	len = r->len;
	if (len > EG_EVENT_DATA_MAX)
		return 0;
	ev->seq = 0; /* an event's number is not the trace's */
	ev->aux = r->v.dentry && is_dir((struct dentry *)r->v.dentry) ? EG_TRACE_DIR : 0;
	r->hash = (__u64)ev->op << 32 | (__u32)ev->want << 24 | (__u32)ev->reason << 16 |
		  (__u32)ev->verdict << 8 | (ev->aux & 1);
	r->hash = trace_mix(r->hash, (__u64)ev->path_len << 32 | ev->path2_len);
	bpf_loop((len + 7) / 8, hash_word, &r, 0);
	key.sandbox = ev->sandbox;
	key.hash = r->hash;
	if (trace_is_new(&key) && bpf_ringbuf_output(&touched, r->bytes, sizeof(*ev) + len, 0))
		trace_lost(&key.sandbox);
	return 0;
}

static __always_inline void emit_trace(struct eg_report *r, __u32 len)
{
	r->len = len;
	eg_emit_trace(r);
}

/*
 * What begins a record of `r->v`; the paths follow. A global function, as the one below: the
 * verifier looks at it once and not for each way to a refusal, which was a third of a program's
 * cost. Its frame is beside that of the walk, not above it.
 */
__weak __noinline int eg_begin_record(struct eg_report *r, struct eg_sandbox *sb,
				      struct eg_policy *p)
{
	struct eg_event *ev;

	if (!r || !sb || !p)
		return 0;
	ev = (struct eg_event *)r->bytes;
	__builtin_memset(ev, 0, sizeof(*ev));
	if (r->v.send) {
		fill_event(ev, sb, p->serial, r->v.op, r->v.reason, r->v.err, r->v.verdict, true);
	} else {
		fill_trace(ev, sb->id, p->serial, r->v.op, r->v.reason, r->v.err, r->v.verdict);
		fill_trace_task(ev);
	}
	ev->want = r->v.want;
	return 0;
}

__weak __noinline int eg_report_paths(struct eg_report *r, struct eg_walk *w,
				      struct eg_sandbox *sb, struct eg_policy *p)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 sandbox; /* a key: it must be on the stack, before 6.3 */
	struct eg_event *ev;
	struct file *exe;
	__u32 off, len;

	if (!sb || !p || !r)
		return 0;
	if (!w) {
		sandbox = sb->id;
		if (r->v.trace)
			trace_lost(&sandbox);
		if (r->v.send) {
			__sync_fetch_and_add(&sb->ev_seq, 1);
			event_lost(sb);
		}
		return 0;
	}
	w->sandbox = sb->id;
	ev = (struct eg_event *)r->bytes;
	eg_begin_record(r, sb, p);
	off = 0;
	if (r->v.dentry) {
		walk_path(w, p, 0, (void *)r->v.mnt, (void *)r->v.dentry);
		off = put_path(r, w, 0, 0, EG_PATH_MAX - 1);
		if (off >= EG_PATH_MAX)
			return 0;
		ev->path_len = off;
	}
	if (r->v.dentry2) {
		walk_path(w, p, 0, (void *)r->v.mnt2, (void *)r->v.dentry2);
		len = put_path(r, w, off, EG_PATH_MAX - 1, EG_PATH_MAX - 1);
		if (len >= EG_PATH_MAX)
			return 0;
		ev->path2_len = len;
		off += len;
	}
	exe = BPF_CORE_READ(task, mm, exe_file);
	if (exe) {
		walk_path(w, p, 0, BPF_CORE_READ(exe, f_path.mnt),
			  BPF_CORE_READ(exe, f_path.dentry));
		len = w->fail ? 0 : put_path(r, w, off, 2 * EG_PATH_MAX - 1, EXE_MAX);
		if (len <= EXE_MAX) {
			ev->exe_len = len;
			off += len;
		}
	}
	if (off > EG_EVENT_DATA_MAX)
		return 0;
	if (r->v.send && bpf_ringbuf_output(&events, r->bytes, sizeof(*ev) + off, 0))
		event_lost(sb);
	if (r->v.trace)
		emit_trace(r, off);
	return 0;
}

static __always_inline void report_paths(struct who *k, struct eg_report *r)
{
	eg_report_paths(r, my_walk(k->t), k->sb, k->p);
}

#endif
