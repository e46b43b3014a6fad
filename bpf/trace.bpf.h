/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Traced sandboxes (learn, report): what was allowed is reported as well as what was
 * refused, each access once. Nothing here decides anything; a record that finds no
 * room is counted, and whoever reads the trace is told.
 *
 * It costs other sandboxes one test of a flag where the version is at hand anyhow,
 * and on refusals a look-up.
 */
#ifndef EGRESSCTL_TRACE_BPF_H
#define EGRESSCTL_TRACE_BPF_H

#include "maps.bpf.h"

/* Keys are taken from where they are: the stack of programs that walk is full. */
static __always_inline void trace_lost(const __u64 *sandbox)
{
	struct eg_trace *t = bpf_map_lookup_elem(&traces, sandbox);

	if (t)
		__sync_fetch_and_add(&t->lost, 1);
}

/* For places that have no version at hand; refusals only. */
static __always_inline bool is_traced(const __u64 *sandbox)
{
	return bpf_map_lookup_elem(&traces, sandbox) != NULL;
}

/*
 * One step of the hash that tells accesses apart. Two that a hostile program made to
 * collide are one record: a path less in its own trace.
 */
static __always_inline __u64 trace_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ (hash >> 29);
}

static const volatile __u64 trace_once = 1; /* not on the stack, which is short */

/* Is it the first access of its kind? The others are counted. */
static __always_inline bool trace_is_new(const struct eg_seen_key *key)
{
	__u64 *times = bpf_map_lookup_elem(&seen, key);

	if (times) {
		__sync_fetch_and_add(times, 1);
		return false;
	}
	/* when it cannot be kept, the record comes twice */
	(void)bpf_map_update_elem(&seen, key, (const void *)&trace_once, BPF_ANY);
	return true;
}

/* What a record says beside its object. */
static __always_inline void fill_trace(struct eg_event *ev, __u64 sandbox, __u32 serial, __u16 op,
				       __u8 reason, int err, __u8 verdict)
{
	ev->time = bpf_ktime_get_boot_ns();
	ev->sandbox = sandbox;
	ev->serial = serial;
	ev->op = op;
	ev->reason = reason;
	ev->verdict = verdict;
	ev->error = err < 0 ? -err : err;
}

/* Not for cgroup_skb, whose packets anybody may send. */
static __always_inline void fill_trace_task(struct eg_event *ev)
{
	__u64 id = bpf_get_current_pid_tgid();

	ev->pid = id >> 32;
	ev->tid = (__u32)id;
	ev->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(ev->comm, sizeof(ev->comm));
}

/* Of a record without a path. A global function: the verifier looks at it once. */
__weak __noinline int eg_trace_is_new(struct eg_event *ev)
{
	struct eg_seen_key key;

	if (!ev)
		return 0;
	key.sandbox = ev->sandbox;
	key.hash = trace_mix((__u64)ev->op << 32 | ev->reason << 24 | ev->verdict << 16 |
				     ev->proto << 8,
			     ev->aux);
	key.hash = trace_mix(key.hash, *(__u64 *)ev->addr);
	key.hash = trace_mix(key.hash, *(__u64 *)(ev->addr + 8));
	key.hash = trace_mix(key.hash, *(__u64 *)ev->comm);
	key.hash = trace_mix(key.hash, *(__u64 *)(ev->comm + 8) ^ ev->port);
	return trace_is_new(&key);
}

/* A record about an address or a number; in place, because the stack is short. */
static __always_inline void trace_addr(const __u64 *sandbox, __u32 serial, __u16 op, __u8 reason,
				       __u8 proto, const __u8 addr[16], __be16 port, __u64 aux,
				       int err, __u8 verdict, bool by_task)
{
	struct eg_event *ev = bpf_ringbuf_reserve(&touched, sizeof(*ev), 0);

	if (!ev) {
		trace_lost(sandbox);
		return;
	}
	__builtin_memset(ev, 0, sizeof(*ev));
	fill_trace(ev, *sandbox, serial, op, reason, err, verdict);
	ev->aux = aux;
	ev->proto = proto;
	ev->port = port;
	if (addr)
		__builtin_memcpy(ev->addr, addr, 16);
	if (by_task)
		fill_trace_task(ev);
	if (eg_trace_is_new(ev))
		bpf_ringbuf_submit(ev, 0);
	else
		bpf_ringbuf_discard(ev, 0);
}

#endif
