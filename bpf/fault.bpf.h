/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For tests: programs whose helpers fail when they are told to. With EG_FAULTS each call of one
 * of the helpers below is a site with a number; user space writes one into eg_faults.at, and there
 * the helper fails as the kernel lets it fail, by arguments that it refuses, or is not called.
 * selftests/kernel/failing_test.c goes through those that it comes by. Without EG_FAULTS this is
 * nothing.
 */
#ifndef EGRESSCTL_FAULT_BPF_H
#define EGRESSCTL_FAULT_BPF_H

#ifdef EG_FAULTS /* the number of the file, from 1: sites in a header are others in each */

#include <bpf/bpf_core_read.h>
#include "fault.h"

struct eg_faults eg_faults SEC(".bss") __weak;

static __always_inline bool eg_fails(__u32 site)
{
	volatile struct eg_faults *f = &eg_faults;

	f->seen[site] = 1;
	if (f->at != site)
		return false;
	__sync_fetch_and_add(&eg_faults.hits, 1);
	return true;
}

#define EG_FAILS() eg_fails(EG_FAULTS * EG_FAULTS_EACH + __COUNTER__ % EG_FAULTS_EACH)
#define EG_NULL(call) (EG_FAILS() ? NULL : (call))
#define EG_ERR(err, call) (EG_FAILS() ? (long)(err) : (call))

#define bpf_map_lookup_elem(map, key) EG_NULL(bpf_map_lookup_elem(map, key))
#define bpf_map_update_elem(map, key, value, flags) \
	EG_ERR(-12, bpf_map_update_elem(map, key, value, flags))
#define bpf_map_delete_elem(map, key) EG_ERR(-2, bpf_map_delete_elem(map, key))
#define bpf_task_storage_get(map, task, value, flags) \
	EG_NULL(bpf_task_storage_get(map, task, value, flags))
#define bpf_sk_storage_get(map, sk, value, flags) \
	EG_NULL(bpf_sk_storage_get(map, sk, value, flags))
#define bpf_inode_storage_get(map, inode, value, flags) \
	EG_NULL(bpf_inode_storage_get(map, inode, value, flags))
#define bpf_sock_from_file(file) EG_NULL(bpf_sock_from_file(file))
#define bpf_sk_fullsock(sk) EG_NULL(bpf_sk_fullsock(sk))
#define bpf_tcp_sock(sk) EG_NULL(bpf_tcp_sock(sk))
#define bpf_skc_to_tcp_sock(sk) EG_NULL(bpf_skc_to_tcp_sock(sk))
#define bpf_skc_lookup_tcp(ctx, tuple, size, ns, flags) \
	EG_NULL(bpf_skc_lookup_tcp(ctx, tuple, size, ns, flags))
#define bpf_sk_lookup_udp(ctx, tuple, size, ns, flags) \
	EG_NULL(bpf_sk_lookup_udp(ctx, tuple, size, ns, flags))
#define bpf_send_signal(sig) EG_ERR(-11, bpf_send_signal(sig))
#define bpf_send_signal_thread(sig) EG_ERR(-11, bpf_send_signal_thread(sig))
#define bpf_get_func_arg(ctx, n, value) EG_ERR(-22, bpf_get_func_arg(ctx, n, value))

/* these clear what they are to fill */
#define bpf_probe_read_kernel(to, size, from) \
	bpf_probe_read_kernel(to, size, EG_FAILS() ? NULL : (const void *)(from))
#define bpf_probe_read_kernel_str(to, size, from) \
	bpf_probe_read_kernel_str(to, size, EG_FAILS() ? NULL : (const void *)(from))
#define bpf_skb_load_bytes(skb, offset, to, len) \
	bpf_skb_load_bytes(skb, EG_FAILS() ? 0xffffffffu : (__u32)(offset), to, len)

#define EG_BAD_FLAGS (1ull << 40)
#define bpf_ringbuf_output(ring, data, size, flags) \
	bpf_ringbuf_output(ring, data, size, EG_FAILS() ? EG_BAD_FLAGS : (flags))
#define bpf_ringbuf_reserve(ring, size, flags) \
	bpf_ringbuf_reserve(ring, size, EG_FAILS() ? EG_BAD_FLAGS : (flags))
#define bpf_loop(n, callback, ctx, flags) \
	bpf_loop(n, callback, ctx, EG_FAILS() ? EG_BAD_FLAGS : (flags))

#endif
#endif
