/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reporting violations: emit_path() and emit_net() send one struct eg_event.
 *
 * A verdict never depends on what happens here. Each sandbox has a token
 * bucket, so that one that floods costs the others neither room nor their
 * events' order: what it is not allowed to send is counted in ev_suppressed,
 * what the ring has no room for in ev_lost. Every event sent or lost takes a
 * sequence number, so a loss shows as a hole.
 */
#ifndef EGRESSCTL_EVENT_BPF_H
#define EGRESSCTL_EVENT_BPF_H

#include "maps.bpf.h"
#include "task.bpf.h"
#include "trace.bpf.h"

#define NSEC_PER_SEC 1000000000ull

/* What an event about a path says; pointers are raw. */
struct refusal {
	__u64 mnt, dentry; /* the object, or 0 */
	__u64 mnt2, dentry2; /* a second one (rename, link), or 0 */
	__s32 err;
	__u16 op;
	__u8 want;
	__u8 reason;
	__u8 verdict; /* EG_VERDICT_* */
	__u8 send; /* an event is due */
	__u8 trace; /* the sandbox is traced */
};

/*
 * Room for one event with its paths. Lives in task storage like all scratch: a
 * per-CPU buffer could be overwritten by another task of the CPU half-way.
 */
struct eg_report {
	struct refusal v;
	__u64 hash; /* of a record for the trace, so far */
	__u32 len; /* of the data in it */
	__u32 pad;
	char bytes[sizeof(struct eg_event) + EG_EVENT_DATA_MAX]; /* a struct eg_event */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_report);
} reports SEC(".maps") __weak;

/*
 * Virtual scheduling: ev_tokens is the time up to which the bucket is spent.
 * Racing CPUs may both pass on the last token; the count stays right within
 * the number of CPUs, and no lock is needed.
 */
static __always_inline bool take_token(struct eg_sandbox *sb)
{
	__u64 rate = sb->ev_rate, now = bpf_ktime_get_ns(), burst, spent;

	if (!rate)
		return true; /* no limit */
	burst = (__u64)sb->ev_burst * NSEC_PER_SEC / rate;
	spent = sb->ev_tokens;
	if (spent + burst < now)
		spent = now - burst;
	spent += NSEC_PER_SEC / rate;
	if (spent > now)
		return false;
	sb->ev_tokens = spent;
	return true;
}

static __always_inline bool event_begin(struct eg_sandbox *sb)
{
	__sync_fetch_and_add(&sb->denied, 1);
	if (take_token(sb))
		return true;
	__sync_fetch_and_add(&sb->ev_suppressed, 1);
	count_stat(EG_ST_EVENT_SUPPRESSED);
	return false;
}

static __always_inline void event_lost(struct eg_sandbox *sb)
{
	__sync_fetch_and_add(&sb->ev_lost, 1);
	count_stat(EG_ST_EVENT_LOST);
}

/*
 * Who is behind the task `of` (raw): its ancestors up to the first one outside the
 * sandbox, who started it; what is above that one is no business of those who read
 * events. The cgroup tells, because with --egress-only nothing else does. A parent
 * may be any thread of a process, and people know the process by its leader's name.
 */
__weak __noinline int eg_parents(struct eg_event *ev, struct eg_sandbox *sb, __u64 of)
{
	struct task_struct *task = (struct task_struct *)of, *leader;
	struct cgroup *cgrp;
	__u32 pid, i;

	if (!ev || !sb)
		return 0;
	for (i = 0; i < EG_MAX_PARENTS; i++) {
		task = BPF_CORE_READ(task, real_parent);
		pid = BPF_CORE_READ(task, tgid);
		if (pid <= 1) /* init, a kernel thread, or unreadable */
			break;
		leader = BPF_CORE_READ(task, group_leader);
		ev->parents[i].pid = pid;
		BPF_CORE_READ_INTO(&ev->parents[i].comm, leader, comm);
		cgrp = BPF_CORE_READ(task, cgroups, dfl_cgrp);
		if (cgroup_ancestor_raw(cgrp, sb->depth) != sb->cgroup)
			break;
	}
	return 0;
}

/* by_task: the current task did it; packets can be sent by anybody */
static __always_inline void fill_event(struct eg_event *ev, struct eg_sandbox *sb, __u32 serial,
				       __u16 op, __u8 reason, int err, __u8 verdict, bool by_task)
{
	ev->time = bpf_ktime_get_boot_ns();
	ev->seq = __sync_fetch_and_add(&sb->ev_seq, 1) + 1;
	ev->sandbox = sb->id;
	ev->suppressed = sb->ev_suppressed;
	ev->lost = sb->ev_lost;
	ev->serial = serial;
	ev->op = op;
	ev->reason = reason;
	ev->verdict = verdict;
	ev->error = err < 0 ? -err : err;
	if (by_task) {
		__u64 id = bpf_get_current_pid_tgid();

		ev->pid = id >> 32;
		ev->tid = (__u32)id;
		ev->uid = (__u32)bpf_get_current_uid_gid();
		bpf_get_current_comm(ev->comm, sizeof(ev->comm));
		eg_parents(ev, sb, bpf_get_current_task());
	}
}

/* An empty event without data, in the ring itself: the stack is short. */
static __always_inline struct eg_event *event_reserve(struct eg_sandbox *sb)
{
	struct eg_event *ev;

	if (!event_begin(sb))
		return NULL;
	ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);
	if (!ev) {
		__sync_fetch_and_add(&sb->ev_seq, 1); /* the hole that a loss leaves */
		event_lost(sb);
		return NULL;
	}
	__builtin_memset(ev, 0, sizeof(*ev));
	return ev;
}

/* An event about an address or a kind of socket; fits any program type. */
static __always_inline void emit_addr(struct eg_sandbox *sb, __u32 serial, __u16 op, __u8 reason,
				      __u8 proto, const __u8 addr[16], __be16 port, __u64 aux,
				      __u32 rule, int err, __u8 verdict, bool by_task)
{
	struct eg_event *ev;

	if (is_traced(&sb->id))
		trace_addr(&sb->id, serial, op, reason, proto, addr, port, aux, err, verdict,
			   by_task);
	ev = event_reserve(sb);
	if (!ev)
		return;
	fill_event(ev, sb, serial, op, reason, err, verdict, by_task);
	ev->aux = aux;
	ev->rule = rule;
	ev->proto = proto;
	ev->port = port;
	if (addr)
		__builtin_memcpy(ev->addr, addr, 16);
	bpf_ringbuf_submit(ev, 0);
}

static __always_inline void emit_net(struct eg_sandbox *sb, __u32 serial, __u16 op, __u8 reason,
				     __u8 proto, const __u8 addr[16], __be16 port, __u64 aux,
				     __u32 rule, int err, __u8 verdict)
{
	emit_addr(sb, serial, op, reason, proto, addr, port, aux, rule, err, verdict, true);
}

/* The guard's events: a number, no object. */
static __always_inline void emit_aux(struct eg_sandbox *sb, __u32 serial, __u16 op, __u8 reason,
				     __u64 aux, int err, __u8 verdict)
{
	emit_addr(sb, serial, op, reason, 0, NULL, 0, aux, 0, err, verdict, true);
}

#endif
