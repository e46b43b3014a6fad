/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is said first on a flow that was allowed by name.
 *
 * The flow is judged until no ClientHello can follow; then it is remembered like any
 * other. A request over plain HTTP is followed by others on the same flow, so
 * that those flows are never remembered: each request is judged. A proxy may refuse
 * a CONNECT and wait for the next request: what follows it is judged as both.
 */
#ifndef EGRESSCTL_HELLO_BPF_H
#define EGRESSCTL_HELLO_BPF_H

#include "dest.bpf.h"
#include "dfa.h"

/* Pieces of a hello are dropped this long, so that the kernel sends them again in one. */
#define HELLO_PATIENCE_NS 1000000000ull

enum hello_verdict {
	HELLO_PASS = 0, /* this packet */
	HELLO_KEEP, /* the flow */
	HELLO_WAIT, /* drop it, more has to come */
	HELLO_REFUSE, /* + enum eg_reason */
};

/* ---- a name's classes ---------------------------------------------------------- */

#define NAME_BYTES 12u
#define TLS_STEPS 6u

struct name_ctx {
	struct eg_hello *h;
	struct eg_policy *p;
	struct eg_dfa *d;
	__u32 host; /* the name in h->host, else h->name */
	__u32 len;
};

/* One byte of the name, or its end. */
static __always_inline long name_byte(struct eg_hello *h, const struct eg_policy *p,
				      const struct eg_dfa *d, const __u8 *name, __u32 len)
{
	__u32 at = h->feed, n = h->nlabels;
	__u8 b = at < len ? name[at & (HELLO_NAME_MAX - 1)] : '.';

	h->feed = at + 1;
	if (b != '.') {
		b = hello_name_byte(b);
		if (!b) {
			h->bad = 1;
			return 1;
		}
		h->state = eg_dfa_byte(d, h->state, b);
		h->digits = 1; /* the label has a byte */
		return 0;
	}
	if (!h->digits || n >= HELLO_LABELS) {
		h->bad = 1;
		return 1;
	}
	h->labels[n & (HELLO_LABELS - 1)] = h->state;
	h->nlabels = n + 1;
	h->state = p->names;
	h->digits = 0;
	return at >= len;
}

/*
 * Several at a time: a turn of bpf_loop() costs as much as a byte. A global function, verified once
 * and not for each way to it.
 */
__weak __noinline int eg_name_bytes(struct eg_hello *h, struct eg_policy *p, struct eg_dfa *d,
				    __u32 host, __u32 len)
{
	if (!h || !p || !d)
		return 1;
	for (__u32 k = 0; k < NAME_BYTES; k++) {
		if (name_byte(h, p, d, host ? h->host : h->name, len))
			return 1;
		/* or the compiler keeps what the verifier then tells apart, turn by turn */
		barrier();
	}
	return 0;
}

static long name_bytes(__u32 i, struct name_ctx *c)
{
	return eg_name_bytes(c->h, c->p, c->d, c->host, c->len) != 0;
}

/* One label from the name's end, for one group of classes after the other. */
static long name_label(__u32 i, struct name_ctx *c)
{
	struct eg_hello *h = c->h;
	__u32 n = h->feed, g = h->group & (EG_DOMAIN_GROUPS - 1);

	if (n == h->nlabels)
		h->state = c->p->start_domain[g];
	if (n) {
		n--;
		h->state = eg_dfa_child(c->d, h->state, h->labels[n & (HELLO_LABELS - 1)]);
		h->feed = n;
	}
	if (n)
		return 0;
	h->classes |= (__u32)eg_dfa_perm(h->state) << (4 * g);
	h->feed = h->nlabels;
	h->group = g + 1;
	return 4 * (g + 1) >= c->p->nclasses || g + 1 == EG_DOMAIN_GROUPS;
}

/* The classes of the name in h->name or h->host, without a final dot; 0: not allowed. */
__weak __noinline int eg_name_classes(struct eg_hello *h, struct eg_policy *p, __u32 host)
{
	struct name_ctx c = { .h = h, .p = p, .d = the_dfa(), .host = host };
	const __u8 *name;

	if (!h || !p || !c.d)
		return 0;
	name = host ? h->host : h->name;
	c.len = host ? h->host_len : h->name_len;
	if (c.len > EG_MAX_SERVER_NAME || !c.len || !p->nclasses)
		return 0;
	if (name[(c.len - 1) & (HELLO_NAME_MAX - 1)] == '.')
		c.len--;
	h->feed = 0;
	h->nlabels = 0;
	h->bad = 0;
	h->digits = 0;
	h->state = p->names;
	bpf_loop((EG_MAX_SERVER_NAME + 1) / NAME_BYTES + 1, name_bytes, &c, 0);
	if (h->bad || !h->nlabels)
		return 0;
	h->feed = h->nlabels;
	h->group = 0;
	h->classes = 0;
	bpf_loop(HELLO_LABELS * EG_DOMAIN_GROUPS, name_label, &c, 0);
	return h->classes;
}

/* ---- the hello ------------------------------------------------------------------ */

struct hello_ctx {
	struct eg_hello *h;
	struct hello_packet pkt;
};

static long tls_steps(__u32 i, struct hello_ctx *c)
{
	for (__u32 k = 0; k < TLS_STEPS; k++)
		if (hello_tls_step(c->h, &c->pkt))
			return 1;
	return 0;
}

/* The classes of the name that hold this port, on which a proxy is asked for it. */
static __always_inline __u32 proxied(struct eg_hello *h, struct eg_policy *p, __u32 host,
				     __u32 port, __u32 *flags)
{
	*flags = 0;
	if (port > 65535)
		return 0;
	return classes_for(p, eg_name_classes(h, p, host), port, IPPROTO_TCP, flags);
}

/* Whether the name may be said to who is at the other end: the destination, or a tunnel's. */
static __always_inline bool is_allowed(struct eg_hello *h, struct eg_policy *p, __u32 host)
{
	__u32 flags;

	if (h->tunnel)
		return proxied(h, p, host, h->tunnel, &flags);
	h->said &= eg_name_classes(h, p, host);
	return h->said;
}

static __always_inline int judge_tls(struct hello_packet *pkt, struct eg_hello *h,
				     struct eg_policy *p)
{
	struct hello_ctx c = { .h = h, .pkt = *pkt };

	hello_tls_begin(h, pkt);
	if (h->result == HELLO_NO_NAME)
		bpf_loop(HELLO_EXTENSIONS / TLS_STEPS + 1, tls_steps, &c, 0);
	hello_tls_end(h);
	switch (h->result) {
	case HELLO_OK:
		return is_allowed(h, p, 0) ? HELLO_PASS : HELLO_REFUSE + EG_WHY_RULE;
	case HELLO_MORE:
		return HELLO_WAIT;
	case HELLO_NO_NAME:
		return HELLO_REFUSE + EG_WHY_NO_NAME;
	default:
		return HELLO_REFUSE + EG_WHY_NOT_TLS;
	}
}

/* The flow's bytes up to there were judged. */
static __always_inline int pass_until(struct eg_hello *h, __u32 until, __u8 kind)
{
	h->until = until;
	h->flow = kind;
	return HELLO_PASS;
}

static __always_inline int judge_first_hello(struct hello_packet *pkt, struct eg_hello *h,
					     struct eg_policy *p)
{
	__u32 until = h->seq + (h->end - h->at);
	int v = judge_tls(pkt, h, p);

	return v == HELLO_PASS ? pass_until(h, until, HELLO_TLS) : v;
}

static __always_inline int judge_next_hello(struct hello_packet *pkt, struct eg_hello *h,
					    struct eg_policy *p)
{
	__u32 until = h->seq + (h->end - h->at);
	int v;

	hello_tls_next(h, pkt);
	switch (h->result) {
	case HELLO_OK:
		return HELLO_KEEP;
	case HELLO_MORE:
		return HELLO_WAIT;
	case HELLO_AGAIN:
		break;
	default:
		return HELLO_REFUSE + EG_WHY_NOT_TLS;
	}
	if (h->at == h->end)
		return pass_until(h, until, HELLO_TLS);
	/* a server asks for another one only once */
	v = judge_tls(pkt, h, p);
	return v == HELLO_PASS ? HELLO_KEEP : v;
}

static long http_step(__u32 i, struct hello_ctx *c)
{
	struct eg_hello *h = c->h;
	__u8 b;

	if (hello_load(&c->pkt, h->at, &b, 1))
		return 1;
	h->at++;
	return hello_http_step(h, b);
}

/* A request to a proxy: the target's name and, as some read that instead, the Host's. */
static __always_inline int judge_proxied(struct eg_hello *h, struct eg_policy *p)
{
	__u32 port = h->target_port ? h->target_port : 80, host_port = 80, flags, more;
	bool tunnel = h->kind == HELLO_HTTP_CONNECT;

	if (!(h->mode & EG_CL_PROXY))
		return HELLO_REFUSE + EG_WHY_NOT_TLS;
	if (!proxied(h, p, 0, port, &flags))
		return HELLO_REFUSE + EG_WHY_RULE;
	if (h->host_port)
		host_port = h->host_port;
	else if (tunnel)
		host_port = port;
	if (h->host_len && !proxied(h, p, 1, host_port, &more)) {
		h->name_len = 0; /* the event's name is the one that was refused */
		return HELLO_REFUSE + EG_WHY_RULE;
	}
	if (!tunnel)
		return HELLO_PASS;
	if (flags & (EG_CL_TLS_OFF | EG_CL_TLS_MAYBE))
		return HELLO_KEEP;
	/* it has no body, whatever it says */
	if (h->length)
		return HELLO_REFUSE + EG_WHY_NOT_TLS;
	return HELLO_PASS;
}

static __always_inline int judge_names(struct eg_hello *h, struct eg_policy *p)
{
	/* how long its body is must be told, and the next one must be HTTP again */
	if (h->seen & (HELLO_F_ENCODING | HELLO_F_UPGRADE))
		return HELLO_REFUSE + EG_WHY_NOT_TLS;
	if (h->kind == HELLO_HTTP_CONNECT ||
	    (h->kind == HELLO_HTTP_ABSOLUTE && (h->mode & EG_CL_PROXY)))
		return judge_proxied(h, p);
	if (h->kind == HELLO_HTTP_ABSOLUTE && !is_allowed(h, p, 0))
		return HELLO_REFUSE + EG_WHY_RULE;
	if (!h->host_len)
		return HELLO_REFUSE + EG_WHY_NO_NAME;
	/* the event's name is the one that was refused */
	h->name_len = 0;
	return is_allowed(h, p, 1) ? HELLO_PASS : HELLO_REFUSE + EG_WHY_RULE;
}

static __always_inline int judge_http(struct hello_packet *pkt, struct eg_hello *h,
				      struct eg_policy *p)
{
	struct hello_ctx c = { .h = h, .pkt = *pkt };
	__u32 begin = h->at;
	__u64 length;
	int v;

	hello_reset(h);
	bpf_loop(HELLO_HTTP_MAX, http_step, &c, 0);
	if (h->result == HELLO_MORE && h->at - begin < HELLO_HTTP_MAX)
		return HELLO_WAIT;
	if (h->result != HELLO_OK)
		return HELLO_REFUSE + EG_WHY_NOT_TLS;
	v = judge_names(h, p);
	if (v != HELLO_PASS)
		return v;
	length = h->at - begin + h->length;
	/* of two requests in one packet the second would have to be judged now, too */
	if (length > 0x7fffffff || length < h->end - begin)
		return HELLO_REFUSE + EG_WHY_NOT_TLS;
	h->tunnel = h->kind == HELLO_HTTP_CONNECT ? h->target_port : h->tunnel;
	return pass_until(h, h->seq + (__u32)length, h->kind);
}

/* ---- bytes that can still change --------------------------------------------------- */

#define SKB_SHARED_FRAG (1u << 1) /* SKBFL_SHARED_FRAG, include/linux/skbuff.h */
#define QUEUE_DEPTH 48 /* of a red-black tree of 2^24 packets */

/* The control block of a packet in a TCP queue begins with its number. */
static __always_inline __u32 queued_seq(struct sk_buff *skb)
{
	return BPF_CORE_READ((struct tcp_skb_cb *)&skb->cb, seq);
}

/* The last packet that begins at h->seq or before. */
static long sent_step(__u32 i, struct hello_ctx *c)
{
	struct eg_hello *h = c->h;
	struct rb_node *node = (struct rb_node *)h->node;

	if (!node)
		return 1;
	/* rbnode is what a struct sk_buff begins with */
	if ((__s32)(h->seq - queued_seq((struct sk_buff *)node)) < 0) {
		h->node = (__u64)BPF_CORE_READ(node, rb_left);
	} else {
		h->queued = (__u64)node;
		h->node = (__u64)BPF_CORE_READ(node, rb_right);
	}
	return 0;
}

/*
 * Whether the packet holds pages that its sender can still write: MSG_ZEROCOPY,
 * splice, sendfile. What is judged could be changed until the device reads it, and
 * before it is sent again. The packet is on the socket's queues: among those that
 * were sent once, or the first of the others. A SYN's data is on none, and copied.
 */
static __always_inline bool has_shared_pages(__u64 head, __u32 end)
{
	struct skb_shared_info *info = (struct skb_shared_info *)(head + end);

	return BPF_CORE_READ(info, flags) & SKB_SHARED_FRAG;
}

static __always_inline bool is_shared(struct bpf_sock *sk, struct eg_hello *h)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct hello_ctx c = { .h = h };
	struct sk_buff *skb;
	struct sock *k;

	/* what was sent on one subflow of MPTCP may be sent again on another */
	if (!tp || (bpf_core_field_exists(tp->is_mptcp) && tp->is_mptcp))
		return true;
	k = &tp->inet_conn.icsk_inet.sk;
	if (k->sk_write_queue.qlen) {
		skb = k->sk_write_queue.next;
		if ((__s32)(h->seq - queued_seq(skb)) >= 0)
			return has_shared_pages((__u64)skb->head, skb->end);
	}
	h->node = (__u64)k->tcp_rtx_queue.rb_node;
	h->queued = 0;
	bpf_loop(QUEUE_DEPTH, sent_step, &c, 0);
	skb = (struct sk_buff *)h->queued;
	if (!skb)
		return sk->state != TCP_SYN_SENT;
	return has_shared_pages((__u64)BPF_CORE_READ(skb, head), BPF_CORE_READ(skb, end));
}

/*
 * Whether the packet begins where the server's knowledge ends. Nothing leaves before
 * it is judged, so that an earlier piece, dropped or refused, is still to be sent: a
 * later one that looks like a hello of its own would open the flow for it, too.
 */
static __always_inline bool is_first_data(struct bpf_sock *sk, const struct eg_hello *h)
{
	struct bpf_tcp_sock *tp = bpf_tcp_sock(sk);

	/* data in a SYN (Fast Open) comes behind the SYN's own number */
	return tp && tp->snd_una + (sk->state == TCP_SYN_SENT) == h->seq;
}

/*
 * The data of a packet (h->at … h->end, from sequence number h->seq) of a flow that
 * h->want opens: enum hello_verdict. A global function: see eg_feed_name().
 */
__weak __noinline int eg_judge_hello(struct __sk_buff *skb, struct eg_hello *h,
				     struct hello_window *w, struct eg_policy *p)
{
	struct hello_packet pkt = { .skb = skb, .w = w };
	struct bpf_sock *sk = skb->sk;
	__u8 first;

	if (!h || !w || !p || !sk)
		return HELLO_REFUSE + EG_WHY_FAILURE;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return HELLO_REFUSE + EG_WHY_FAILURE;
	hello_window_reset(w, h->end);
	if (h->flow) {
		__s32 known = h->until - h->seq;

		if (known < 0)
			return HELLO_WAIT; /* what came before it was dropped */
		if ((__u32)known >= h->end - h->at)
			return HELLO_PASS; /* a body, or sent again */
		h->at += known;
		h->seq += known;
	} else if (!is_first_data(sk, h)) {
		return HELLO_WAIT;
	}
	if (is_shared(sk, h))
		return HELLO_REFUSE + EG_WHY_NOT_TLS;
	if (hello_load(&pkt, h->at, &first, 1))
		return HELLO_REFUSE + EG_WHY_FAILURE;
	if (h->flow == HELLO_TLS)
		return judge_next_hello(&pkt, h, p);
	if (first == TLS_HANDSHAKE &&
	    (h->flow ? h->flow == HELLO_HTTP_CONNECT : !(h->mode & EG_CL_PROXY)))
		return judge_first_hello(&pkt, h, p);
	if (h->mode & EG_CL_TLS_MAYBE)
		return HELLO_KEEP;
	return judge_http(&pkt, h, p);
}

/* ---- in a program ------------------------------------------------------------------ */

__weak __noinline int eg_emit_name(struct eg_scratch *n, struct eg_sandbox *sb, __u32 serial,
				   const struct eg_flow *f, const struct verdict *v)
{
	struct eg_event *ev;
	__u64 sandbox; /* a key: it must be on the stack, before 6.3 */
	__u32 len;

	if (!n || !sb || !f || !v)
		return 0;
	sandbox = sb->id;
	if (!event_begin(sb)) {
		trace_lost(&sandbox);
		return 0;
	}
	ev = (struct eg_event *)n->event;
	__builtin_memset(ev, 0, sizeof(*ev));
	fill_event(ev, sb, serial, EG_OP_SERVER_NAME, v->reason, EPERM,
		   v->audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED, false);
	ev->proto = f->proto;
	ev->port = f->port;
	ev->aux = bpf_ntohs(f->lport);
	__builtin_memcpy(ev->addr, f->addr.byte, sizeof(ev->addr));
	len = n->hello.name_len ? n->hello.name_len : n->hello.host_len;
	if (len > EG_MAX_SERVER_NAME)
		len = EG_MAX_SERVER_NAME;
	__builtin_memcpy(n->event + sizeof(*ev), n->hello.name_len ? n->hello.name : n->hello.host,
			 HELLO_NAME_MAX);
	ev->path_len = len;
	if (bpf_ringbuf_output(&events, ev, sizeof(*ev) + len, 0))
		event_lost(sb);
	if (is_traced(&sandbox) && bpf_ringbuf_output(&touched, ev, sizeof(*ev) + len, 0))
		trace_lost(&sandbox);
	return 0;
}

#endif
