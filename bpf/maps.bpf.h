/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map of the contract, defined once. The definitions are weak, so that
 * each program file can include them and `bpftool gen object` merges them.
 *
 * A file that includes this may use any of the maps; one it does not use costs
 * nothing, because the linked object has all of them anyhow.
 */
#ifndef MAPS_BPF_H
#define MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "egressctl.h"
#include "fault.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

/* UAPI macros, which BTF does not carry */
#ifndef BPF_F_NO_PREALLOC
#define BPF_F_NO_PREALLOC (1U << 0)
#endif
#ifndef BPF_F_CLONE
#define BPF_F_CLONE (1U << 9)
#endif
#ifndef BPF_F_MMAPABLE
#define BPF_F_MMAPABLE (1U << 10)
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct eg_dfa);
} dfa SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_task);
} tasks SEC(".maps") __weak;

/* BPF_F_CLONE: a TCP socket made by accept carries what its listener carries */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct eg_sock);
} sockets SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_MAX_SANDBOXES);
	__uint(map_flags, BPF_F_MMAPABLE); /* user space stores single fields */
	__type(key, __u32);
	__type(value, struct eg_sandbox);
} sandboxes SEC(".maps") __weak;

/*
 * For sockets that no program stamped when they were made: by a kernel worker,
 * or while LSM programs were not running.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * EG_MAX_SANDBOXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct eg_cgroup);
} cgroups SEC(".maps") __weak;

/* key: kernfs id of a cgroup that the programs for sockets are attached to */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_COVERED);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} covered SEC(".maps") __weak;

/* programs that set up what runs in a cgroup, from inside it: runc, crun, systemd */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_RUNTIMES);
	__type(key, struct eg_object);
	__type(value, __u32);
} runtimes SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * EG_MAX_PATTERNS);
	__type(key, __u32);
	__type(value, struct eg_pattern);
} patterns SEC(".maps") __weak;

/* there before they are needed: the tracepoint that fills it may not allocate */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_PENDING);
	__type(key, __u64);
	__type(value, __u32);
} pending SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct eg_holding);
} holding SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EG_ARRIVAL_RING);
} arrivals SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_attach);
} attaching SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_MAX_POLICIES);
	__type(key, __u32);
	__type(value, struct eg_policy);
} policies SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, EG_MAX_PREFIXES);
	__type(key, struct eg_prefix_key);
	__type(value, struct eg_prefix);
} prefixes SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_MAX_PORTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct eg_port);
} ports SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_BINDINGS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct eg_binding_key);
	__type(value, struct eg_binding);
} bindings SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_ANCHORS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct eg_anchor_key);
	__type(value, struct eg_anchor);
} anchors SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_SCOUTED);
	__type(key, __u32);
	__type(value, struct eg_scouted);
} scouted SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EG_EVENT_RING);
} events SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EG_QUERY_RING);
} queries SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EG_TRACE_RING);
} touched SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_SANDBOXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct eg_trace);
} traces SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EG_TRACE_SEEN);
	__type(key, struct eg_seen_key);
	__type(value, __u64);
} seen SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_TRAFFIC);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct eg_traffic_key);
	__type(value, struct eg_traffic);
} traffic SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_IPC);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct eg_ipc_object);
} ipc_objects SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_KEYS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct eg_key);
} keys SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EG_ST_MAX);
	__type(key, __u32);
	__type(value, __u64);
} stats SEC(".maps") __weak;

static __always_inline struct eg_dfa *the_dfa(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&dfa, &zero);
}

/* Counts one of enum eg_stat. */
static __always_inline void count_stat(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&stats, &which);

	if (n)
		(*n)++;
}

#endif
