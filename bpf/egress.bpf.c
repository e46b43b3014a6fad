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
#include "packet.bpf.h"

/*
 * Reports a refused packet. Its sender is known when a task sends by itself;
 * TCP sends on timers and on arrivals too, when anybody is running. A global
 * function, see eg_feed_name().
 */
__weak __noinline int eg_emit_packet(struct eg_sandbox *sb, __u32 serial,
				     const struct eg_flow *f, const struct verdict *v, __u16 op)
{
	struct task_struct *task;
	struct eg_event *ev;
	struct eg_id id = {};

	if (!sb || !f || !v)
		return 0;
	/* the port it came from is another one each time; of who came in ours is meant */
	id.sandbox = sb->id; /* a key: it must be on the stack, before 6.3 */
	if (is_traced(&id.sandbox))
		trace_addr(&id.sandbox, serial, op, v->reason, f->proto, f->addr.byte, f->port,
			   op == EG_OP_ACCEPT ? bpf_ntohs(f->lport) : 0, EPERM,
			   v->audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED, false);
	id.sandbox = 0;
	ev = event_reserve(sb);
	if (!ev)
		return 0;
	fill_event(ev, sb, serial, op, v->reason, EPERM,
		   v->audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED, false);
	ev->rule = v->rule;
	ev->proto = f->proto;
	ev->port = f->port;
	__builtin_memcpy(ev->addr, f->addr.byte, sizeof(ev->addr));
	if (op == EG_OP_ACCEPT || op == EG_OP_PACKET)
		ev->aux = bpf_ntohs(f->lport);
	task = (struct task_struct *)bpf_get_current_task();
	if (op != EG_OP_ACCEPT && f->proto != IPPROTO_TCP && eg_task_id((__u64)task, &id) == 1 &&
	    id.sandbox == sb->id) {
		ev->pid = BPF_CORE_READ(task, tgid);
		ev->tid = BPF_CORE_READ(task, pid);
		ev->uid = BPF_CORE_READ(task, cred, uid.val);
		BPF_CORE_READ_INTO(&ev->comm, task, comm);
	}
	bpf_ringbuf_submit(ev, 0);
	return 0;
}

/* ---- verdicts --------------------------------------------------------------- */

/*
 * A packet that stays on this host, to a destination no rule knows: only to the
 * same sandbox. To nobody at all is left to the kernel, whose reset says
 * "refused" as a program expects; a datagram could be caught by a late comer. Without
 * own all is refused, and who is there tells why.
 */
static __always_inline void judge_loopback(struct __sk_buff *skb, const struct eg_flow *f,
					   __u64 sandbox, bool own, struct verdict *v)
{
	switch (find_peer(skb, f, sandbox)) {
	case PEER_OWN:
		if (!own)
			break;
		v->pass = 1;
		/* a listener can be another's by the next packet, a connection cannot */
		v->keep = f->proto == IPPROTO_TCP && !f->syn;
		v->own = 1;
		return;
	case PEER_NONE:
		if (own && f->proto == IPPROTO_TCP && !(f->syn && f->data)) {
			v->pass = 1;
			return;
		}
		break;
	case PEER_SANDBOX:
		refuse(v, EG_WHY_FOREIGN);
		return;
	default:
		break;
	}
	refuse(v, EG_WHY_LOOPBACK);
}

static __always_inline void judge_packet(struct __sk_buff *skb, struct eg_sock *es,
					 const struct eg_sandbox *sb, struct eg_policy *p,
					 const struct eg_flow *f, struct verdict *v)
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
	if (lo)
		judge_loopback(skb, f, es->sandbox, p->flags & EG_P_LOOPBACK_OWN, v);
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
	struct eg_scratch *n = take_scratch(es->slot);
	struct eg_hello *h;
	__u64 now;
	int said;

	if (!n) {
		refuse(v, EG_WHY_FAILURE);
		return NULL;
	}
	h = &n->hello;
	/* of whoever had this room before, maybe another sandbox: an event must not say it */
	h->name_len = 0;
	h->host_len = 0;
	h->until = es->said_until;
	h->tunnel = es->said_tunnel;
	h->flow = es->said_kind;
	h->at = f->payload;
	h->end = skb->len;
	h->seq = f->seq;
	h->want = v->want;
	h->said = es->said_kind == HELLO_TLS ? es->said_classes & v->want : v->want;
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
	es->said_family = p->family;
	es->said_classes = h->said;
	return n;
}

/*
 * A flow by name whose hello was judged in an earlier generation: what was said then
 * must still be open. That of another family nobody can tell any more.
 */
static __always_inline void judge_again(const struct eg_sock *es, const struct eg_policy *p,
					struct verdict *v)
{
	if (es->said_family == p->family && (es->said_classes & v->want))
		v->keep = 1;
	else
		refuse(v, EG_WHY_REVOKED);
}

/* It is refused because nothing allows it, who is there on this host included. */
static __always_inline bool is_unruled(__u8 reason)
{
	return reason == EG_WHY_RULE || reason == EG_WHY_LOOPBACK || reason == EG_WHY_FOREIGN;
}

static __always_inline int report_packet(struct eg_sock *es, struct eg_sandbox *sb,
				    const struct eg_flow *f, struct verdict *v, __u32 serial,
				    struct eg_scratch *n)
{
	__u16 op = EG_OP_SEND;

	if (v->keep && is_unruled(v->reason) &&
	    ((es->flags & EG_SK_BEFORE) || is_remembered(es, f, v->generation, true)))
		v->reason = EG_WHY_REVOKED;
	if (!v->keep || f->proto == IPPROTO_TCP)
		op = EG_OP_PACKET;
	if (is_reported(es, f, v->generation))
		return 0;
	if (n)
		return eg_emit_name(n, sb, serial, f, v);
	return eg_emit_packet(sb, serial, f, v, op);
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
	generation = generation_of(sb); /* before judging, not after */
	if (is_known_packet(skb, es, generation))
		return PASS;

	p = policy_of(sb);
	if (!p)
		return DROP;
	if (!(p->flags & EG_P_EGRESS))
		return PASS;
	reason = eg_read_flow(skb, &f, true);
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
		judge_again(es, p, &v);
	else if (v.named && f.data)
		n = judge_first(skb, es, p, &f, &v);
	if (!v.pass && !v.wait) {
		v.audit = !!(p->flags & EG_P_AUDIT);
		v.keep = !reason;
		v.generation = generation;
		report_packet(es, sb, &f, &v, p->serial, n);
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
 * What opens a conversation is judged: packets to a listener; and every datagram, for who
 * connected its socket to a peer goes on hearing it when its rule is gone. Of a connection
 * the kernel lets nobody be heard but the peer, whom nothing more is sent.
 */
static __always_inline bool is_judged(struct bpf_sock *sk)
{
	if (sk->state == TCP_LISTEN || sk->state == TCP_CLOSE)
		return true;
	sk = bpf_sk_fullsock(sk);
	return sk && sk->type == SOCK_DGRAM;
}

static __always_inline void judge_arrival(struct __sk_buff *skb, struct eg_sock *es,
					  const struct eg_sandbox *sb, struct eg_policy *p,
					  const struct eg_flow *f, struct verdict *v)
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

	if (!sk || !is_judged(sk))
		return PASS;
	if (!sock_sandbox(sk, &es, &sb, &done))
		return done;
	p = policy_of(sb);
	if (!p)
		return DROP;
	if (!(p->flags & EG_P_EGRESS))
		return PASS;
	generation = generation_of(sb);
	reason = eg_read_flow(skb, &f, false);
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
			eg_emit_packet(sb, p->serial, &f, &v, EG_OP_ACCEPT);
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
