/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a destination is allowed, by address or by name. A name's address was
 * bound to it by the resolver; many names share one, so that the address alone is
 * not enough: what is said to it first must carry such a name again (hello.bpf.h).
 */
#ifndef EGRESSCTL_DEST_BPF_H
#define EGRESSCTL_DEST_BPF_H

#include "egress.bpf.h"

/*
 * What a hello is read through: each look into a packet's pages costs some 250
 * instructions, and a hello has twenty places to look at, mostly side by side.
 */
#define HELLO_WINDOW 256u /* power of two */
#define HELLO_LOOK 9u /* the most that is read through it at a time */

struct hello_window {
	__u32 at; /* offset in the packet */
	__u32 end; /* of the packet */
	__u8 bytes[HELLO_WINDOW + 16];
};

struct hello_packet {
	struct __sk_buff *skb;
	struct hello_window *w;
};

/* Nothing of the packet is in the window yet. */
static __always_inline void hello_window_reset(struct hello_window *w, __u32 end)
{
	w->at = 1u << 31;
	w->end = end;
}

static __always_inline int hello_load(void *packet, __u32 at, void *to, __u32 bytes)
{
	struct hello_packet *pkt = packet;
	struct hello_window *w = pkt->w;
	__u32 start, in;

	if (!__builtin_constant_p(bytes) || bytes > HELLO_LOOK || w->end < HELLO_WINDOW)
		return bpf_skb_load_bytes(pkt->skb, at, to, bytes);
	if (at + bytes > w->end)
		return -1;
	in = at - w->at;
	if (in > HELLO_WINDOW - HELLO_LOOK) {
		start = at + HELLO_WINDOW > w->end ? w->end - HELLO_WINDOW : at;
		if (bpf_skb_load_bytes(pkt->skb, start, w->bytes, HELLO_WINDOW))
			return -1;
		w->at = start;
		in = at - start;
	}
	barrier_var(in); /* the mask is for the verifier */
	__builtin_memcpy(to, w->bytes + (in & (HELLO_WINDOW - 1)), bytes);
	return 0;
}

#include "hello.h"

/* what a cgroup program returns */
#define PASS 1
#define DROP 0
#define DROP_QUIETLY 2 /* egress only: congestion, which a datagram's sender does not see */

/*
 * Room to judge what was said. Programs can be interrupted and preempted by others
 * on the same CPU, but stay on it: each takes what nobody else has. A crowd in one sandbox
 * takes that of its group, the sandboxes whose slots are the same modulo so many.
 */
#define SCRATCHES 4u /* of a group on a CPU: tasks preempted half-way, and a softirq */
#define SCRATCH_GROUPS 32u /* some 190 kB on each CPU */

struct eg_scratch {
	__u32 busy;
	__u32 pad;
	struct eg_hello hello;
	struct hello_window window;
	/* a struct eg_event and the name */
	__u8 event[sizeof(struct eg_event) + HELLO_NAME_MAX] __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCHES * SCRATCH_GROUPS);
	__type(key, __u32);
	__type(value, struct eg_scratch);
} scratches SEC(".maps") __weak;

/* NULL: all are taken; refuse. */
static __always_inline struct eg_scratch *take_scratch(__u32 slot)
{
	struct eg_scratch *s;

	for (__u32 i = 0; i < SCRATCHES; i++) {
		__u32 key = slot % SCRATCH_GROUPS * SCRATCHES + i;

		s = bpf_map_lookup_elem(&scratches, &key);
		if (s && !__sync_val_compare_and_swap(&s->busy, 0, 1))
			return s;
	}
	count_stat(EG_ST_FAIL_STORAGE);
	return NULL;
}

static __always_inline void put_scratch(struct eg_scratch *s)
{
	barrier();
	*(volatile __u32 *)&s->busy = 0;
}

/*
 * The classes of `among` that hold this port, and shifted by EG_MAX_CLASSES the
 * flags of them all. Without branches, which the verifier would follow into 65536
 * results; a global function is looked at once.
 */
__weak __noinline __u32 eg_classes_for(struct eg_policy *p, __u32 among, __u32 port, __u32 proto)
{
	__u64 found = 0, flags = 0;

	if (!p)
		return 0;
	for (__u32 i = 0; i < EG_MAX_CLASSES; i++) {
		const struct eg_class *c = &p->classes[i];
		__u64 other, fits;

		if (i >= p->nclasses)
			break;

		/* 0 when everything fits, else something above it */
		other = (__u64)(c->proto ^ proto) | (((__u64)port - c->lo) >> 63) |
			      (((__u64)c->hi - port) >> 63) | (~among >> i & 1);
		fits = (other - 1) >> 63;

		barrier_var(fits);
		found |= fits << i;
		flags |= c->flags & -fits;
	}
	return found | flags << EG_MAX_CLASSES;
}

static __always_inline __u32 classes_for(struct eg_policy *p, __u32 among, __u16 port, __u8 proto,
					 __u32 *flags)
{
	__u32 r = eg_classes_for(p, among, port, proto);

	*flags = r >> EG_MAX_CLASSES;
	return r & ((1u << EG_MAX_CLASSES) - 1);
}

/*
 * Whether a name of the sandbox opens this destination; classes, or 0. An address
 * whose time is over is good for the packets of flows that began before.
 */
static __always_inline __u32 named_dest(struct eg_policy *p, __u64 sandbox,
					const struct eg_flow *f, __u32 *flags)
{
	struct eg_binding_key key = { .sandbox = sandbox, .family = p->family };
	struct eg_binding *b;
	__u64 now;

	*flags = 0;
	if (!p->nclasses)
		return 0;
	__builtin_memcpy(key.addr, f->addr.byte, sizeof(key.addr));
	b = bpf_map_lookup_elem(&bindings, &key);
	if (!b)
		return 0;
	/* the resolver sees for itself which connections are open */
	if (f->syn || f->proto != IPPROTO_TCP) {
		now = bpf_ktime_get_boot_ns();
		if (b->expires < now)
			return 0;
		b->used = now;
	}
	return classes_for(p, b->classes, bpf_ntohs(f->port), f->proto, flags);
}

struct verdict {
	__u32 rule;
	__u8 reason; /* enum eg_reason, when refused */
	__u8 pass;
	__u8 keep; /* the answer holds for the socket's next packets to there */
	__u8 own; /* … but not for its next connection */
	__u8 named; /* allowed by name: what is said first is judged, too */
	__u8 audit; /* refused in words only */
	__u8 wait; /* refused for now, and no news */
	__u32 want; /* the classes that open it */
	__u32 mode; /* EG_CL_* of them */
	__u32 generation; /* in which it was judged */
};

static __always_inline void refuse(struct verdict *v, __u8 reason)
{
	v->pass = 0;
	v->reason = reason;
}

/* The sandbox's resolver, which has a port of its own on localhost. */
static __always_inline bool is_resolver(const struct eg_sandbox *sb, const struct eg_flow *f)
{
	return sb->dns_port && f->port == sb->dns_port && is_loopback(&f->addr) &&
	       (f->proto == IPPROTO_UDP || f->proto == IPPROTO_TCP);
}

static __always_inline bool judge_named(struct eg_policy *p, __u64 sandbox,
					const struct eg_flow *f, struct verdict *v)
{
	v->want = named_dest(p, sandbox, f, &v->mode);
	if (!v->want)
		return false;
	v->pass = 1;
	/* one of its names may say what it likes, and nobody knows which is meant */
	v->keep = (v->mode & EG_CL_TLS_OFF) || f->proto != IPPROTO_TCP;
	v->named = !v->keep;
	return true;
}

/*
 * Whoever owns a zone can point its names at any address. Those that are private by
 * their looks never get past the resolver; this host's own are seen only where they
 * are used, and a name opens nothing on this host unless its rule says `private`.
 */
static __always_inline bool is_public_name(const struct verdict *v)
{
	return v->want && !(v->mode & EG_CL_PRIVATE);
}

/*
 * The part of the order that needs no look-up of sockets. true: it is decided.
 * Names (and grants) come where the static rules are silent.
 */
static __always_inline bool judge_dest(const struct eg_sandbox *sb, struct eg_policy *p,
				       const struct eg_flow *f, struct verdict *v)
{
	if (is_resolver(sb, f)) {
		v->pass = 1;
		v->keep = 1;
		return true;
	}
	switch (eg_match(p->serial, f, &v->rule)) {
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
		return judge_named(p, sb->id, f, v);
	default:
		refuse(v, EG_WHY_FAILURE);
		return true;
	}
}

#define DNS_PORT 53

/* For a DNS server: the resolver is asked instead. */
static __always_inline bool is_dns(const struct eg_sandbox *sb, const struct eg_flow *f)
{
	return sb->dns_port && f->port == bpf_htons(DNS_PORT) &&
	       (f->proto == IPPROTO_UDP || f->proto == IPPROTO_TCP);
}

/* Two threads that ask two servers through one socket may see them swapped. */
static __always_inline void note_server(struct eg_sock *es, const struct eg_sandbox *sb,
					const struct eg_flow *f)
{
	__builtin_memcpy(es->asked, f->addr.byte, sizeof(es->asked));
	*(volatile __u16 *)&es->dns_port = sb->dns_port;
}

/* 1: a sandbox's, *es and *sb are its. Else what to return: PASS it is nobody's, DROP. */
static __always_inline int sock_sandbox(struct bpf_sock *sk, struct eg_sock **es,
					struct eg_sandbox **sb, int *done)
{
	*done = PASS;
	*es = sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;
	if (sk && !*es && adopt_sock(sk, es) < 0)
		*done = DROP;
	if (!*es)
		return 0;
	*sb = sandbox_get((*es)->sandbox, (*es)->slot);
	if (*sb)
		return 1;
	/*
	 * A dead one's socket sends nothing; one that was taken off its workload is free, and
	 * so is the listener that a service manager lent to it.
	 */
	if (!((*es)->flags & EG_SK_LENT) && !sandbox_detached((*es)->sandbox, (*es)->slot))
		*done = DROP;
	return 0;
}

#endif
