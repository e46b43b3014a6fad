// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Egress by socket: cgroup programs. They need no trampolines, so they hold when
 * LSM programs do not run, and they see what really leaves.
 *
 *   cgroup_skb/egress    every packet of every kind: the guarantee; here routing
 *                        headers, source routes and DNAT show, and server names
 *   cgroup_skb/ingress   who may talk to a listener, and to a UDP socket
 *   connect.bpf.c        the refusal that the program sees, and DNS
 *
 * Failures inside refuse; a socket that no sandbox made is left alone.
 */
#include "hello.bpf.h"

/* include/uapi/linux/in6.h, in an enum that no type refers to */
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60
#define IPPROTO_MH 135

/* ---- the packet ----------------------------------------------------------- */

struct l4_ports {
	__be16 source;
	__be16 dest;
};

/*
 * The flow of a packet, judged end first. 0, or the enum eg_reason why it cannot
 * be judged. What a socket sends has not been fragmented yet at this hook and what it
 * receives is whole again, so a fragment is somebody's own making.
 */
static __always_inline int read_flow(struct __sk_buff *skb, struct eg_flow *f, bool out)
{
	struct l4_ports ports = {};
	__u32 l4;

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

/*
 * Reports a refused packet. Its sender is known when a task sends by itself;
 * TCP sends on timers and on arrivals too, when anybody is running.
 */
static __noinline int emit_packet(struct eg_sandbox *sb, __u32 serial, const struct eg_flow *f,
				  const struct verdict *v, __u16 op)
{
	struct eg_event ev = {};
	struct task_struct *task;
	struct eg_id id = {};

	if (!event_begin(sb))
		return 0;
	fill_event(&ev, sb, serial, op, v->reason, EPERM,
		   v->audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED, false);
	ev.rule = v->rule;
	ev.proto = f->proto;
	ev.port = f->port;
	__builtin_memcpy(ev.addr, f->addr.byte, sizeof(ev.addr));
	if (op == EG_OP_ACCEPT || op == EG_OP_PACKET)
		ev.aux = bpf_ntohs(f->lport);
	task = (struct task_struct *)bpf_get_current_task();
	if (op != EG_OP_ACCEPT && f->proto != IPPROTO_TCP && eg_task_id((__u64)task, &id) == 1 &&
	    id.sandbox == sb->id) {
		ev.pid = BPF_CORE_READ(task, tgid);
		ev.tid = BPF_CORE_READ(task, pid);
		ev.uid = BPF_CORE_READ(task, cred, uid.val);
		BPF_CORE_READ_INTO(&ev.comm, task, comm);
	}
	if (bpf_ringbuf_output(&events, &ev, sizeof(ev), 0))
		event_lost(sb);
	return 0;
}

/* ---- verdicts --------------------------------------------------------------- */

/*
 * A packet that stays on this host, to a destination no rule knows: only to the
 * same sandbox. To nobody at all is left to the kernel, whose reset says
 * "refused" as a program expects; a datagram could be caught by a late comer.
 */
static __always_inline void judge_loopback(struct __sk_buff *skb, const struct eg_flow *f,
					   __u64 sandbox, struct verdict *v)
{
	switch (find_peer(skb, f, sandbox)) {
	case PEER_OWN:
		v->pass = 1;
		/* a listener can be another's by the next packet, a connection cannot */
		v->keep = f->proto == IPPROTO_TCP && !f->syn;
		v->own = 1;
		return;
	case PEER_NONE:
		if (f->proto == IPPROTO_TCP && !(f->syn && f->data)) {
			v->pass = 1;
			return;
		}
		break;
	default:
		break;
	}
	refuse(v, EG_WHY_LOOPBACK);
}

static __always_inline void judge_packet(struct __sk_buff *skb, struct eg_sock *es,
					 const struct eg_sandbox *sb, struct eg_policy *p, const struct eg_flow *f,
					 struct verdict *v)
{
	bool lo = skb->ifindex == LOOPBACK_IFINDEX;

	if (judge_dest(sb, p, f, v)) {
		if (!lo || !is_public_name(v))
			return;
		v->pass = v->keep = v->named = 0;
	}
	if ((es->flags & EG_SK_ACCEPTED) && f->proto == IPPROTO_TCP && !f->syn &&
	    judge_client(skb, p, f, es->sandbox, lo)) {
		v->pass = 1;
		v->keep = 1;
		v->own = 1;
		return;
	}
	refuse(v, EG_WHY_RULE);
	if (lo && (p->flags & EG_P_LOOPBACK_OWN))
		judge_loopback(skb, f, es->sandbox, v);
	else if (lo)
		v->reason = EG_WHY_LOOPBACK;
}

/*
 * The packet of a judged flow: IPv4 without options, TCP or UDP, to where it was
 * allowed in this generation. Everything else takes the long way.
 */
static __always_inline bool is_known_packet(struct __sk_buff *skb, const struct eg_sock *es,
					    __u32 generation)
{
	const __u8 *data = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;
	const struct iphdr *ip = (const void *)data;
	__u64 key;

	if (skb->protocol != bpf_htons(ETH_P_IP) || es->generation4 != generation)
		return false;
	if (data + sizeof(*ip) + 14 > (const __u8 *)end) {
		if (data + sizeof(*ip) + sizeof(struct udphdr) > (const __u8 *)end ||
		    ip->protocol != IPPROTO_UDP)
			return false;
	} else if (ip->protocol == IPPROTO_TCP) {
		/* a new connection, to where only who listened there was allowed */
		if ((es->own & EG_SK_OWN4) && (data[sizeof(*ip) + 13] & 0x12) == 0x02)
			return false;
	} else if (ip->protocol != IPPROTO_UDP) {
		return false;
	}
	if (*data != 0x45 || (ip->frag_off & bpf_htons(0x3fff)))
		return false;
	key = (__u64)ip->daddr << 32 | (__u32)*(const __be16 *)(data + sizeof(*ip) + 2) << 16 |
	      (__u32)ip->protocol << 8 | (generation & 0xff);
	return *(volatile const __u64 *)&es->key4 == key;
}

/* A refusal of a TCP flow is reported once, not with every retransmission. */
static __always_inline bool is_reported(struct eg_sock *es, const struct eg_flow *f,
					__u32 generation)
{
	if (f->proto != IPPROTO_TCP)
		return false;
	if ((es->flags & EG_SK_REFUSED) && es->refused == generation)
		return true;
	es->refused = generation;
	__sync_fetch_and_or(&es->flags, EG_SK_REFUSED);
	return false;
}

/*
 * The first data of a flow that is allowed by name. A piece of a hello is dropped
 * and not reported: the kernel sends it again together with what the program
 * writes next.
 */
static __always_inline struct eg_scratch *judge_first(struct __sk_buff *skb, struct eg_sock *es,
						      struct eg_policy *p, const struct eg_flow *f,
						      struct verdict *v)
{
	struct eg_scratch *n = take_scratch();
	struct eg_hello *h;
	__u64 now;
	int said;

	if (!n) {
		refuse(v, EG_WHY_FAILURE);
		return NULL;
	}
	h = &n->hello;
	h->until = es->said_until;
	h->tunnel = es->said_tunnel;
	h->flow = es->said_kind;
	h->at = f->payload;
	h->end = skb->len;
	h->seq = f->seq;
	h->want = v->want;
	h->mode = v->mode;
	/* the server reads the stream without the urgent byte, or with it */
	said = f->urgent ? HELLO_REFUSE + EG_WHY_NOT_TLS : eg_judge_hello(skb, h, &n->window, p);
	switch (said) {
	case HELLO_PASS:
		es->said_until = h->until;
		es->said_tunnel = h->tunnel;
		es->said_kind = h->flow;
		es->said_since = 0;
		break;
	case HELLO_KEEP:
		v->keep = 1;
		break;
	case HELLO_WAIT:
		now = bpf_ktime_get_boot_ns();
		if (!es->said_since)
			es->said_since = now;
		refuse(v, EG_WHY_NO_NAME);
		v->wait = now - es->said_since < HELLO_PATIENCE_NS;
		break;
	default:
		refuse(v, said - HELLO_REFUSE);
	}
	return n;
}

/* ---- egress ------------------------------------------------------------------- */

/*
 * A query for a server that the program named with each datagram. It goes to the
 * resolver by another way; what finds no place there is lost, as on any network.
 */
static __noinline int take_query(struct __sk_buff *skb, struct eg_sock *es, struct eg_sandbox *sb,
				 const struct eg_flow *f)
{
	__u32 len = skb->len - f->payload;
	struct eg_query *q;

	note_server(es, sb, f);
	if (skb->len <= f->payload || len > EG_QUERY_MAX || sb->dns_waiting >= EG_MAX_QUERIES)
		return 0;
	q = bpf_ringbuf_reserve(&queries, sizeof(*q), 0);
	if (!q)
		return 0;
	/* the compiler knows the bounds, the verifier does not */
	len--;
	barrier_var(len);
	len = (len & 2047) + 1;
	if (len > EG_QUERY_MAX || bpf_skb_load_bytes(skb, f->payload, q->data, len)) {
		bpf_ringbuf_discard(q, 0);
		return 0;
	}
	q->sandbox = sb->id;
	__builtin_memcpy(q->addr, f->local.byte, sizeof(q->addr));
	q->port = f->lport;
	q->len = len;
	q->pad = 0;
	__sync_fetch_and_add(&sb->dns_waiting, 1);
	bpf_ringbuf_submit(q, 0);
	return 0;
}

SEC("cgroup_skb/egress")
int skb_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct eg_scratch *n = NULL;
	struct verdict v = {};
	struct eg_flow f = {};
	struct eg_sandbox *sb;
	struct eg_policy *p;
	struct eg_sock *es;
	__u32 generation;
	int reason, done;

	if (!sock_sandbox(sk, &es, &sb, &done))
		return done;
	generation = *(volatile __u32 *)&sb->generation; /* before judging, not after */
	if (is_known_packet(skb, es, generation))
		return PASS;

	p = policy_of(sb);
	if (!p)
		return DROP;
	if (!(p->flags & EG_P_EGRESS))
		return PASS;
	reason = read_flow(skb, &f, true);
	if (reason) {
		refuse(&v, reason);
	} else {
		if (is_remembered(es, &f, generation, false))
			return PASS;
		if (f.proto == IPPROTO_UDP && is_dns(sb, &f)) {
			take_query(skb, es, sb, &f);
			return DROP_QUIETLY;
		}
		judge_packet(skb, es, sb, p, &f, &v);
	}
	if (v.named && is_remembered(es, &f, generation, true))
		v.keep = 1; /* its hello was judged in an earlier generation */
	else if (v.named && f.data)
		n = judge_first(skb, es, p, &f, &v);
	if (!v.pass && !v.wait) {
		__u16 op = reason || f.proto == IPPROTO_TCP ? EG_OP_PACKET : EG_OP_SEND;

		v.audit = !!(p->flags & EG_P_AUDIT);
		v.keep = !reason;
		if (!reason && v.reason == EG_WHY_RULE && is_remembered(es, &f, generation, true))
			v.reason = EG_WHY_REVOKED;
		if (is_reported(es, &f, generation))
			;
		else if (n)
			emit_server_name(n, sb, p->serial, &f, &v);
		else
			emit_packet(sb, p->serial, &f, &v, op);
	}
	if (n)
		put_scratch(n);
	if (!v.pass && !v.audit)
		return DROP;
	if (v.keep && sk->state != TCP_LISTEN)
		remember_dest(es, &f, generation, v.own);
	return PASS;
}

/* ---- ingress ------------------------------------------------------------------ */

/*
 * Only what opens a conversation is judged: packets to a listener, and datagrams
 * to a socket that is not connected. The kernel itself lets a connected socket
 * hear nobody but its peer.
 */
static __always_inline void judge_arrival(struct __sk_buff *skb, struct eg_sock *es,
					  const struct eg_sandbox *sb, struct eg_policy *p, const struct eg_flow *f,
					  struct verdict *v)
{
	bool lo = skb->ifindex == LOOPBACK_IFINDEX;
	bool known = judge_dest(sb, p, f, v);

	if (known && !v->pass)
		return;
	if (known && f->proto != IPPROTO_TCP)
		return;
	v->pass = judge_client(skb, p, f, es->sandbox, lo);
	/*
	 * The answer may go back. For a peer that passed because it is the sandbox's
	 * own each answer is judged again: its address can be another's by then.
	 */
	v->keep = v->pass && listen_mode(p, bpf_ntohs(f->lport)) != EG_LISTEN_OWN;
	v->own = 1;
	if (!v->pass && f->proto != IPPROTO_TCP && lo && (p->flags & EG_P_LOOPBACK_OWN)) {
		v->pass = find_peer(skb, f, es->sandbox) == PEER_OWN;
		v->keep = 0;
	}
	if (!v->pass)
		v->reason = lo ? EG_WHY_LOOPBACK : EG_WHY_RULE;
}

SEC("cgroup_skb/ingress")
int skb_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct verdict v = {};
	struct eg_flow f = {};
	struct eg_sandbox *sb;
	struct eg_policy *p;
	struct eg_sock *es;
	__u32 generation;
	int reason, done;

	if (!sk || (sk->state != TCP_LISTEN && sk->state != TCP_CLOSE))
		return PASS;
	if (!sock_sandbox(sk, &es, &sb, &done))
		return done;
	p = policy_of(sb);
	if (!p)
		return DROP;
	if (!(p->flags & EG_P_EGRESS))
		return PASS;
	generation = *(volatile __u32 *)&sb->generation;
	reason = read_flow(skb, &f, false);
	if (reason) {
		refuse(&v, reason);
	} else {
		if (f.proto != IPPROTO_TCP && is_remembered(es, &f, generation, false))
			return PASS;
		judge_arrival(skb, es, sb, p, &f, &v);
	}
	if (!v.pass) {
		v.audit = !!(p->flags & EG_P_AUDIT);
		/* raw sockets hear a copy of everything: no news */
		if (f.proto == IPPROTO_TCP || f.proto == IPPROTO_UDP)
			emit_packet(sb, p->serial, &f, &v, EG_OP_ACCEPT);
		if (!v.audit)
			return DROP;
	}
	if (f.proto == IPPROTO_TCP) {
		/* children are copies: `listen` decides about their answers too */
		if (!(es->flags & EG_SK_ACCEPTED))
			__sync_fetch_and_or(&es->flags, EG_SK_ACCEPTED);
	} else if (v.keep) {
		remember_dest(es, &f, generation, false);
	}
	return PASS;
}
