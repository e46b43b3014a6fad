/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a packet is: its other end, its protocol, where its data begins. */
#ifndef EGRESSCTL_PACKET_BPF_H
#define EGRESSCTL_PACKET_BPF_H

#include "egress.bpf.h"

/* include/uapi/linux/in6.h, in an enum that no type refers to */
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60
#define IPPROTO_MH 135

struct l4_ports {
	__be16 source;
	__be16 dest;
};

/*
 * The flow of a packet, judged end first. 0, or the enum eg_reason why it cannot
 * be judged. What a socket sends has not been fragmented yet at this hook and what it
 * receives is whole again, so a fragment is somebody's own making. A global function: the
 * verifier would else judge each kind of packet by itself all the way.
 */
__weak __noinline int eg_read_flow(struct __sk_buff *skb, struct eg_flow *f, bool out)
{
	struct l4_ports ports = {};
	__u32 l4;

	if (!f)
		return EG_WHY_FAILURE;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return EG_WHY_FAILURE;
		l4 = ip.ihl * 4;
		set_v4(&f->addr, out ? ip.daddr : ip.saddr);
		set_v4(&f->local, out ? ip.saddr : ip.daddr);
		f->proto = ip.protocol;
		f->v4 = 1;
		if ((out && l4 != sizeof(ip)) || (ip.frag_off & bpf_htons(0x3fff)))
			return EG_WHY_HEADERS;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip6;

		if (bpf_skb_load_bytes(skb, 0, &ip6, sizeof(ip6)))
			return EG_WHY_FAILURE;
		l4 = sizeof(ip6);
		__builtin_memcpy(&f->addr, out ? &ip6.daddr : &ip6.saddr, 16);
		__builtin_memcpy(&f->local, out ? &ip6.saddr : &ip6.daddr, 16);
		f->proto = ip6.nexthdr;
		f->v4 = is_v4(&f->addr);
	} else {
		return EG_WHY_HEADERS;
	}

	switch (f->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		if (bpf_skb_load_bytes(skb, l4, &ports, sizeof(ports)))
			return EG_WHY_HEADERS;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		break;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case IPPROTO_AH:
		/* hide the protocol behind them, or say where else to go */
		return EG_WHY_HEADERS;
	}
	f->port = out ? ports.dest : ports.source;
	f->lport = out ? ports.source : ports.dest;
	f->payload = l4 + sizeof(struct udphdr);
	if (f->proto == IPPROTO_TCP) {
		struct {
			__be32 seq, ack;
			__u8 offset, flags;
		} tcp; /* from byte 4 of the header */

		if (bpf_skb_load_bytes(skb, l4 + 4, &tcp, 10))
			return EG_WHY_HEADERS;
		f->syn = (tcp.flags & 0x12) == 0x02; /* SYN without ACK */
		f->urgent = !!(tcp.flags & 0x20);
		f->payload = l4 + (tcp.offset >> 4) * 4;
		f->data = skb->len > f->payload;
		f->seq = bpf_ntohl(tcp.seq) + f->syn;
	}
	return 0;
}

#endif
