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

#define NSEC_PER_SEC 1000000000ull

/* What an event about a path says; pointers are raw. */
struct refusal {
	__u64 mnt, dentry; /* the object, or 0 */
	__u64 mnt2, dentry2; /* a second one (rename, link), or 0 */
	__s32 err;
	__u16 op;
	__u8 want;
	__u8 reason;
};

/*
 * Room for one event with its paths. Lives in task storage like all scratch: a
 * per-CPU buffer could be overwritten by another task of the CPU half-way.
 */
struct eg_report {
	struct refusal v;
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
	}
}

/* An event about an address or a kind of socket; fits any program type. */
static __always_inline void emit_addr(struct eg_sandbox *sb, __u32 serial, __u16 op, __u8 reason,
				      __u8 proto, const __u8 addr[16], __be16 port, __u64 aux,
				      __u32 rule, int err, __u8 verdict, bool by_task)
{
	struct eg_event ev = {};

	if (!event_begin(sb))
		return;
	fill_event(&ev, sb, serial, op, reason, err, verdict, by_task);
	ev.aux = aux;
	ev.rule = rule;
	ev.proto = proto;
	ev.port = port;
	if (addr)
		__builtin_memcpy(ev.addr, addr, 16);
	if (bpf_ringbuf_output(&events, &ev, sizeof(ev), 0))
		event_lost(sb);
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
