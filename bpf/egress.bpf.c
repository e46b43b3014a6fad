// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Egress by socket: cgroup programs. They need no trampolines, so they hold when
 * LSM programs do not run, and they see what really leaves.
 *
 *   connect4, connect6   TCP (Fast Open too), UDP, ping, an MPTCP subflow: the
 *                        refusal that the program sees
 *   cgroup_skb/egress    every packet of every kind: the guarantee; here routing
 *                        headers, source routes and DNAT show
 *   cgroup_skb/ingress   who may talk to a listener, and to a UDP socket
 *
 * There is no sendmsg4/6: a datagram that cgroup_skb/egress refuses is EPERM to
 * its sender as well, and every datagram would pay for both.
 *
 * Failures inside refuse; a socket that no sandbox made is left alone.
 */
#include "egress.bpf.h"

/* include/uapi/linux/in6.h, in an enum that no type refers to */
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60
#define IPPROTO_MH 135

#define PASS 1
#define DROP 0

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
	if (f->proto == IPPROTO_TCP) {
		__u8 offset_flags[2];

		if (bpf_skb_load_bytes(skb, l4 + 12, offset_flags, sizeof(offset_flags)))
			return EG_WHY_HEADERS;
		f->syn = (offset_flags[1] & 0x12) == 0x02; /* SYN without ACK */
		f->data = skb->len > l4 + (offset_flags[0] >> 4) * 4;
	}
	return 0;
}

/*
 * Reports a refused packet. Its sender is known when a task sends by itself;
 * TCP sends on timers and on arrivals too, when anybody is running.
 */
static __always_inline void emit_packet(struct eg_sandbox *sb, __u32 serial, __u16 op,
					__u8 reason, const struct eg_flow *f, __u32 rule,
					__u8 verdict)
{
	struct eg_event ev = {};
	struct task_struct *task;
	struct eg_id id;

	if (!event_begin(sb))
		return;
	fill_event(&ev, sb, serial, op, reason, EPERM, verdict, false);
	ev.rule = rule;
	ev.proto = f->proto;
	ev.port = f->port;
	__builtin_memcpy(ev.addr, f->addr.byte, sizeof(ev.addr));
	if (op == EG_OP_ACCEPT)
		ev.aux = bpf_ntohs(f->lport);
	task = (struct task_struct *)bpf_get_current_task();
	if (op != EG_OP_ACCEPT && f->proto != IPPROTO_TCP && task_id_raw(task, &id) == 1 &&
	    id.sandbox == sb->id) {
		ev.pid = BPF_CORE_READ(task, tgid);
		ev.tid = BPF_CORE_READ(task, pid);
		ev.uid = BPF_CORE_READ(task, cred, uid.val);
		BPF_CORE_READ_INTO(&ev.comm, task, comm);
	}
	if (bpf_ringbuf_output(&events, &ev, sizeof(ev), 0))
		event_lost(sb);
}

/* ---- verdicts --------------------------------------------------------------- */

struct verdict {
	__u32 rule;
	__u8 reason; /* enum eg_reason, when refused */
	__u8 pass;
	__u8 keep; /* the answer holds for the socket's next packets to there */
	__u8 own; /* … but not for its next connection */
};

static __always_inline void refuse(struct verdict *v, __u8 reason)
{
	v->pass = 0;
	v->reason = reason;
}

/*
 * The part of the order that needs no look-up of sockets. true: it is decided.
 * Grants and names go where the static rules are silent.
 */
static __always_inline bool judge_dest(const struct eg_policy *p, const struct eg_flow *f,
				       struct verdict *v)
{
	switch (match_egress(p->serial, f, &v->rule)) {
	case EG_V_ALLOW:
		v->pass = 1;
		v->keep = 1;
		return true;
	case EG_V_DENY:
		refuse(v, EG_WHY_RULE);
		return true;
	case EG_V_DENY_HARD:
		refuse(v, EG_WHY_METADATA);
		return true;
	case 0:
		return false;
	default:
		refuse(v, EG_WHY_FAILURE);
		return true;
	}
}

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
					 const struct eg_policy *p, const struct eg_flow *f,
					 struct verdict *v)
{
	bool lo = skb->ifindex == LOOPBACK_IFINDEX;

	if (judge_dest(p, f, v))
		return;
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

/* ---- egress ------------------------------------------------------------------- */

SEC("cgroup_skb/egress")
int skb_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct verdict v = {};
	struct eg_flow f = {};
	struct eg_sandbox *sb;
	struct eg_policy *p;
	struct eg_sock *es;
	__u32 generation;
	int reason;

	if (!sk)
		return PASS;
	es = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!es) {
		int err = adopt_sock(sk, &es);

		if (err <= 0 || !es)
			return err ? DROP : PASS;
	}
	sb = sandbox_get(es->sandbox, es->slot);
	if (!sb)
		return DROP;
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
		judge_packet(skb, es, p, &f, &v);
	}
	count_stat(EG_ST_EGRESS_JUDGED);
	if (!v.pass) {
		__u16 op = reason || f.proto == IPPROTO_TCP ? EG_OP_PACKET : EG_OP_SEND;
		bool audit = p->flags & EG_P_AUDIT;

		if (!reason && v.reason == EG_WHY_RULE && is_remembered(es, &f, generation, true))
			v.reason = EG_WHY_REVOKED;
		if (!is_reported(es, &f, generation))
			emit_packet(sb, p->serial, op, v.reason, &f, v.rule,
				    audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED);
		if (!audit)
			return DROP;
		v.keep = !reason;
	}
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
					  const struct eg_policy *p, const struct eg_flow *f,
					  struct verdict *v)
{
	bool lo = skb->ifindex == LOOPBACK_IFINDEX;
	bool known = judge_dest(p, f, v);

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
	int reason;

	if (!sk || (sk->state != TCP_LISTEN && sk->state != TCP_CLOSE))
		return PASS;
	es = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!es) {
		int err = adopt_sock(sk, &es);

		if (err <= 0 || !es)
			return err ? DROP : PASS;
	}
	sb = sandbox_get(es->sandbox, es->slot);
	p = sb ? policy_of(sb) : NULL;
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
		judge_arrival(skb, es, p, &f, &v);
	}
	if (!v.pass) {
		bool audit = p->flags & EG_P_AUDIT;

		/* raw sockets hear a copy of everything: no news */
		if (f.proto == IPPROTO_TCP || f.proto == IPPROTO_UDP)
			emit_packet(sb, p->serial, EG_OP_ACCEPT, v.reason, &f, v.rule,
				    audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED);
		if (!audit)
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

/* ---- connect --------------------------------------------------------------------- */

/*
 * Where nobody may listen yet or the address may not be this host's, the packet
 * itself decides: here only what is certain is refused.
 */
static __always_inline void judge_listener(struct bpf_sock_addr *ctx, const struct eg_flow *f,
					   __u64 sandbox, struct verdict *v)
{
	bool loopback = is_loopback(&f->addr);

	refuse(v, loopback ? EG_WHY_LOOPBACK : EG_WHY_RULE);
	switch (find_peer(ctx, f, sandbox)) {
	case PEER_OWN:
		v->pass = 1;
		break;
	case PEER_NONE:
		v->pass = loopback && f->proto == IPPROTO_TCP;
		break;
	default:
		break;
	}
}

static __always_inline int judge_connect(struct bpf_sock_addr *ctx, struct eg_flow *f)
{
	struct bpf_sock *sk = ctx->sk;
	struct verdict v = {};
	struct eg_sandbox *sb;
	struct eg_policy *p;
	struct eg_sock *es;
	__u32 generation;

	if (!sk)
		return PASS;
	es = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!es) {
		int err = adopt_sock(sk, &es);

		if (err <= 0 || !es)
			return err ? DROP : PASS;
	}
	sb = sandbox_get(es->sandbox, es->slot);
	p = sb ? policy_of(sb) : NULL;
	if (!p)
		return DROP;
	if (!(p->flags & EG_P_EGRESS))
		return PASS;
	generation = *(volatile __u32 *)&sb->generation;
	/* a listener that was shut down and now connects is a client */
	if (es->flags & EG_SK_ACCEPTED)
		__sync_fetch_and_and(&es->flags, ~EG_SK_ACCEPTED);
	f->port = ctx->user_port;
	f->proto = ctx->protocol;
	if (ctx->type == SOCK_STREAM && f->proto != IPPROTO_SCTP)
		f->proto = IPPROTO_TCP; /* MPTCP too: its subflows are TCP */
	f->syn = 1;
	normalise_any(&f->addr);
	f->v4 = is_v4(&f->addr);
	f->local = f->addr;

	if (!judge_dest(p, f, &v)) {
		refuse(&v, is_loopback(&f->addr) ? EG_WHY_LOOPBACK : EG_WHY_RULE);
		if (p->flags & EG_P_LOOPBACK_OWN)
			judge_listener(ctx, f, es->sandbox, &v);
	}
	if (!v.pass) {
		bool audit = p->flags & EG_P_AUDIT;

		emit_net(sb, p->serial, EG_OP_CONNECT, v.reason, f->proto, f->addr.byte, f->port,
			 0, v.rule, EPERM, audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED);
		return audit ? PASS : DROP;
	}
	if (v.keep)
		remember_dest(es, f, generation, false);
	return PASS;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	struct eg_flow f = {};

	set_v4(&f.addr, ctx->user_ip4);
	return judge_connect(ctx, &f);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	struct eg_flow f = {};

	f.addr.word[0] = ctx->user_ip6[0];
	f.addr.word[1] = ctx->user_ip6[1];
	f.addr.word[2] = ctx->user_ip6[2];
	f.addr.word[3] = ctx->user_ip6[3];
	return judge_connect(ctx, &f);
}
