/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Judging a destination. One representation (128 bits, IPv4 mapped) and one
 * order for every hook:
 *
 *   hard deny > deny > allow > name > listener of the same sandbox > default: refuse
 *
 * eg_match() is the static rules, judge_dest() (dest.bpf.h) asks the names where
 * they are silent.
 */
#ifndef EGRESS_BPF_H
#define EGRESS_BPF_H

#include "sock.bpf.h"
#include "event.bpf.h"
#include <bpf/bpf_endian.h>

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define LOOPBACK_IFINDEX 1 /* of every network namespace, net/core/net_namespace.c */
#define MATCH_STEPS 19 /* halvings that EG_MAX_PORTS intervals need, and the end */

union eg_addr {
	__u8 byte[16];
	__be32 word[4];
	__u64 half[2];
};

/* One end of a conversation as seen from the other: `addr` is the one judged. */
struct eg_flow {
	union eg_addr addr;
	union eg_addr local;
	__be16 port;
	__be16 lport;
	__u8 proto; /* IPPROTO_* */
	__u8 v4;
	/* TCP: */
	__u8 syn; /* opens a connection */
	__u8 data; /* carries data */
	__u8 urgent;
	__u8 pad;
	__u32 payload; /* offset of the data */
	__u32 seq; /* of its first byte */
};

/* PEER_SANDBOX: another one's; PEER_FOREIGN: of no sandbox, or it cannot be told */
enum peer { PEER_NONE, PEER_OWN, PEER_SANDBOX, PEER_FOREIGN };

static __always_inline void set_v4(union eg_addr *a, __be32 v4)
{
	a->half[0] = 0;
	a->word[2] = bpf_htonl(0xffff);
	a->word[3] = v4;
}

static __always_inline bool is_v4(const union eg_addr *a)
{
	return !a->half[0] && a->word[2] == bpf_htonl(0xffff);
}

/* What a connect to "any address" means to the kernel: this host. */
static __always_inline void normalise_any(union eg_addr *a)
{
	if (a->half[0])
		return;
	if (a->word[2] == bpf_htonl(0xffff) && !a->word[3])
		a->word[3] = bpf_htonl(0x7f000001);
	else if (!a->word[2] && !a->word[3])
		a->word[3] = bpf_htonl(1);
}

static __always_inline bool is_loopback(const union eg_addr *a)
{
	if (a->half[0])
		return false;
	if (a->word[2] == bpf_htonl(0xffff))
		return (a->word[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !a->word[2] && a->word[3] == bpf_htonl(1);
}

/*
 * The static rule for a destination: EG_V_*, and the rule's number. 0: no rule.
 * -EAGAIN: the tables contradict themselves; refuse. A global function: the verifier
 * would else follow the search for every kind of packet.
 */
__weak __noinline int eg_match(__u32 serial, const struct eg_flow *f, __u32 *rule)
{
	struct eg_prefix_key key = { .prefixlen = 32 + 128, .serial = serial };
	__u32 want, at, n, i, half;
	struct eg_prefix *pre;
	struct eg_port *e;

	if (!f || !rule)
		return -EAGAIN;
	want = (__u32)f->proto << 16 | bpf_ntohs(f->port);
	__builtin_memcpy(key.addr, f->addr.byte, sizeof(key.addr));
	*rule = 0;
	pre = bpf_map_lookup_elem(&prefixes, &key);
	if (!pre)
		return 0;
	at = pre->first;
	n = pre->count;
	for (i = 0; i < MATCH_STEPS; i++) {
		__u32 mid;

		if (!n)
			return 0;
		half = n / 2;
		mid = at + half;
		e = bpf_map_lookup_elem(&ports, &mid);
		if (!e)
			break;
		if (want < ((__u32)e->proto << 16 | e->lo)) {
			n = half;
		} else if (want > ((__u32)e->proto << 16 | e->hi)) {
			at = mid + 1;
			n -= half + 1;
		} else {
			*rule = e->rule;
			return e->verdict;
		}
	}
	count_stat(EG_ST_FAIL_MAP);
	return -EAGAIN;
}

/*
 * A group of listeners whose program chooses among them chooses when the packet
 * arrives, and may then choose another than our look-up did.
 */
static __always_inline bool peer_is_chosen(struct sock *raw)
{
	struct sock_reuseport *group = BPF_CORE_READ(raw, sk_reuseport_cb);

	return group && BPF_CORE_READ(group, prog);
}

/*
 * sock_id_raw() for a socket that is held by a look-up: a global function, or the
 * verifier follows the list of storages for every path that leads here.
 */
__weak __noinline int eg_sock_id(__u64 sk, struct eg_id *id)
{
	return id ? sock_id_raw((struct sock *)sk, id) : -EAGAIN;
}

/*
 * Whose socket on this host is at the flow's other end. Finds connected sockets
 * before listeners, so it is exact for a packet of a connection; for a new one
 * it is the listener that the packet would choose.
 */
static __always_inline enum peer find_peer(void *ctx, const struct eg_flow *f, __u64 sandbox)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	struct eg_id id;
	struct sock *raw;
	__u32 size;
	__u8 state;

	if (f->v4) {
		tuple.ipv4.saddr = f->local.word[3];
		tuple.ipv4.daddr = f->addr.word[3];
		tuple.ipv4.sport = f->lport;
		tuple.ipv4.dport = f->port;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, f->local.byte, 16);
		__builtin_memcpy(tuple.ipv6.daddr, f->addr.byte, 16);
		tuple.ipv6.sport = f->lport;
		tuple.ipv6.dport = f->port;
		size = sizeof(tuple.ipv6);
	}
	if (f->proto == IPPROTO_TCP)
		sk = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (f->proto == IPPROTO_UDP)
		sk = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return PEER_FOREIGN;
	if (!sk)
		return PEER_NONE;
	raw = address_of(sk);
	state = BPF_CORE_READ(raw, __sk_common.skc_state);
	if (state == TCP_NEW_SYN_RECV)
		raw = BPF_CORE_READ((struct request_sock *)raw, __req_common.skc_listener);
	id.sandbox = id.slot = id.flags = 0;
	if (state != TCP_TIME_WAIT && !peer_is_chosen(raw))
		(void)eg_sock_id((__u64)raw, &id); /* 0 when it cannot be told: foreign */
	bpf_sk_release(sk);
	if (state == TCP_TIME_WAIT)
		return PEER_NONE; /* nobody reads there any more */
	if (id.sandbox == sandbox)
		return PEER_OWN;
	return id.sandbox ? PEER_SANDBOX : PEER_FOREIGN;
}

/* eg_policy.listen: who may connect to this port of ours */
static __always_inline __u32 listen_mode(const struct eg_policy *p, __u16 port)
{
	__u32 i;

	for (i = 0; i < EG_MAX_LISTEN; i++) {
		if (i >= p->nlisten)
			break;
		if (port >= p->listen[i].lo && port <= p->listen[i].hi)
			return p->listen[i].mode;
	}
	return p->listen_default;
}

/* May the flow's other end talk to the port it talks to; lo: over loopback. */
static __always_inline bool judge_client(void *ctx, const struct eg_policy *p,
					 const struct eg_flow *f, __u64 sandbox, bool lo)
{
	switch (listen_mode(p, bpf_ntohs(f->lport))) {
	case EG_LISTEN_ANY:
		return true;
	case EG_LISTEN_HOST:
		return lo;
	case EG_LISTEN_OWN:
		return lo && find_peer(ctx, f, sandbox) == PEER_OWN;
	default:
		return false;
	}
}

/*
 * A socket of a sandbox that carries no stamp: made by a kernel worker (a
 * subflow that MPTCP adds) or while LSM programs did not run, or it is one that
 * nobody found in a workload that was attached. Its cgroup is what tells. 1: *es is
 * its new stamp. 0: nobody's. -ENOMEM: a sandbox's, refuse.
 */
static __always_inline int adopt_sock(struct bpf_sock *sk, struct eg_sock **es)
{
	struct sock *raw = address_of(sk);
	struct cgroup *cgrp = BPF_CORE_READ(raw, sk_cgrp_data.cgroup);
	struct eg_cgroup *owner = NULL;
	__u32 level;
	__u64 id;

	for (level = 1; level <= EG_CGROUP_DEPTH; level++) {
		id = cgroup_ancestor_raw(cgrp, level);
		if (!id)
			return 0;
		owner = bpf_map_lookup_elem(&cgroups, &id);
		if (owner)
			break;
	}
	if (!owner || !owner->sandbox)
		return 0;
	*es = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!*es) {
		count_stat(EG_ST_FAIL_STORAGE);
		return -ENOMEM;
	}
	(*es)->slot = owner->slot;
	(*es)->flags = EG_SK_ADOPTED;
	(*es)->sandbox = owner->sandbox;
	return 1;
}

static __always_inline __u64 flow_key4(const struct eg_flow *f, __u32 generation)
{
	return (__u64)f->addr.word[3] << 32 | (__u32)f->port << 16 | (__u32)f->proto << 8 |
	       (generation & 0xff);
}

/*
 * Keeps an allowed destination. own: it is allowed for who listens there, so
 * the next connection to it has to be judged again.
 */
static __always_inline void remember_dest(struct eg_sock *es, const struct eg_flow *f,
					  __u32 generation, bool own)
{
	if (f->v4) {
		/* one store that carries all that was judged: racing senders cannot mix two */
		if (own)
			es->own |= EG_SK_OWN4;
		else
			es->own &= ~EG_SK_OWN4;
		*(volatile __u64 *)&es->key4 = flow_key4(f, generation);
		*(volatile __u32 *)&es->generation4 = generation;
		return;
	}
	bpf_spin_lock(&es->lock);
	__builtin_memcpy(es->addr, f->addr.byte, 16);
	es->port = f->port;
	es->proto = f->proto;
	es->generation6 = generation;
	if (own)
		es->own |= EG_SK_OWN6;
	else
		es->own &= ~EG_SK_OWN6;
	bpf_spin_unlock(&es->lock);
}

/* Was this destination found allowed, in this generation (or, old: in any before)? */
static __always_inline bool is_remembered(struct eg_sock *es, const struct eg_flow *f,
					  __u32 generation, bool old)
{
	union eg_addr *a = (union eg_addr *)es->addr;
	bool same;
	__u8 own;

	if (f->v4) {
		if (old)
			return es->key4 == flow_key4(f, es->generation4);
		if (f->syn && (es->own & EG_SK_OWN4))
			return false;
		return es->key4 == flow_key4(f, generation) && es->generation4 == generation;
	}
	bpf_spin_lock(&es->lock);
	same = a->half[0] == f->addr.half[0] && a->half[1] == f->addr.half[1] &&
	       es->port == f->port && es->proto == f->proto &&
	       (old || es->generation6 == generation);
	own = es->own;
	bpf_spin_unlock(&es->lock);
	return same && !(f->syn && (own & EG_SK_OWN6));
}

#endif
