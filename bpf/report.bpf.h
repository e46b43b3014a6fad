/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Refusing an access to a path: the event with its paths and its executable. */
#ifndef EGRESSCTL_REPORT_BPF_H
#define EGRESSCTL_REPORT_BPF_H

#include "event.bpf.h"
#include "path.bpf.h"

#define EXE_MAX 1023u

/* the current task, its sandbox and the version in force there */
struct who {
	struct eg_task *t;
	struct eg_sandbox *sb;
	struct eg_policy *p;
};

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

/* Where a refusal is written down; kept off the stack, of which walks need much. */
static __always_inline struct eg_report *my_report(struct who *k)
{
	struct eg_report *r;

	if (!event_begin(k->sb))
		return NULL;
	r = bpf_task_storage_get(&reports, bpf_get_current_task_btf(), 0,
				 BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!r) {
		__sync_fetch_and_add(&k->sb->ev_seq, 1);
		event_lost(k->sb);
	}
	return r;
}

static __noinline int report_paths(struct who *k, struct eg_report *r)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct eg_sandbox *sb = k->sb;
	struct eg_policy *p = k->p;
	struct eg_event *ev;
	struct eg_walk *w;
	struct file *exe;
	__u32 off, len;

	if (!sb || !p || !r)
		return 0;
	w = bpf_task_storage_get(&walks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!w) {
		__sync_fetch_and_add(&sb->ev_seq, 1);
		event_lost(sb);
		return 0;
	}
	w->sandbox = sb->id;
	ev = (struct eg_event *)r->bytes;
	__builtin_memset(ev, 0, sizeof(*ev));
	fill_event(ev, sb, p->serial, r->v.op, r->v.reason, r->v.err,
		   p->flags & EG_P_AUDIT ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED, true);
	ev->want = r->v.want;
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
	exe = task->mm->exe_file;
	if (exe) {
		walk_path(w, p, 0, exe->f_path.mnt, exe->f_path.dentry);
		len = w->fail ? 0 : put_path(r, w, off, 2 * EG_PATH_MAX - 1, EXE_MAX);
		if (len <= EXE_MAX) {
			ev->exe_len = len;
			off += len;
		}
	}
	if (off > EG_EVENT_DATA_MAX)
		return 0;
	if (bpf_ringbuf_output(&events, r->bytes, sizeof(*ev) + off, 0))
		event_lost(sb);
	return 0;
}

#endif
