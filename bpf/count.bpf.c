// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a traced sandbox sends and gets, by destination. These programs are attached
 * to the cgroup of each traced sandbox, and to no other: nobody else pays for a
 * packet, and the judges (egress.bpf.c, at the cgroup above) know nothing of it.
 *
 * They run before the judges, so a packet that is refused later is counted as sent;
 * the trace has the refusal, too.
 */
#include "dest.bpf.h"
#include "packet.bpf.h"

static __always_inline struct eg_traffic *traffic_of(const struct eg_traffic_key *key)
{
	struct eg_traffic *t = bpf_map_lookup_elem(&traffic, key), none = {};
	struct eg_trace *trace;
	__u64 sandbox;

	if (t)
		return t;
	sandbox = key->sandbox;
	trace = bpf_map_lookup_elem(&traces, &sandbox);
	if (!trace)
		return NULL; /* it is over */
	if (__sync_fetch_and_add(&trace->dests, 1) >= EG_TRAFFIC_QUOTA ||
	    bpf_map_update_elem(&traffic, key, &none, BPF_NOEXIST)) /* another CPU may have */
		__sync_fetch_and_add(&trace->dests, -1);
	t = bpf_map_lookup_elem(&traffic, key);
	if (!t)
		__sync_fetch_and_add(&trace->uncounted, 1);
	return t;
}

/* How a client's first data begins. Not a judgement: it only helps to word a rule. */
static __always_inline __u32 first_words(struct __sk_buff *skb, const struct eg_flow *f)
{
	char b[8] = {};

	if (bpf_skb_load_bytes(skb, f->payload, b, 4))
		return EG_SAID_OTHER;
	if (b[0] == 0x16 && b[1] == 3)
		return EG_SAID_TLS;
	if (!__builtin_memcmp(b, "CONN", 4))
		return EG_SAID_HTTP | EG_SAID_CONNECT;
	if (!__builtin_memcmp(b, "GET ", 4) || !__builtin_memcmp(b, "POST", 4) ||
	    !__builtin_memcmp(b, "HEAD", 4) || !__builtin_memcmp(b, "PUT ", 4) ||
	    !__builtin_memcmp(b, "PATC", 4) || !__builtin_memcmp(b, "DELE", 4) ||
	    !__builtin_memcmp(b, "OPTI", 4) || !__builtin_memcmp(b, "PRI ", 4))
		return EG_SAID_HTTP;
	return EG_SAID_OTHER;
}

/* Connections at the same time may be taken for each other; their words are united anyhow. */
static __always_inline void note_words(struct __sk_buff *skb, const struct eg_flow *f,
				       struct eg_traffic *t)
{
	if (f->proto != IPPROTO_TCP)
		return;
	if (f->syn)
		__sync_fetch_and_or(&t->said, EG_SAID_NEXT);
	else if (f->data && (t->said & EG_SAID_NEXT)) {
		__sync_fetch_and_and(&t->said, ~EG_SAID_NEXT);
		__sync_fetch_and_or(&t->said, first_words(skb, f));
	}
}

static __always_inline void count(struct __sk_buff *skb, bool out)
{
	struct eg_traffic_key key = {};
	struct bpf_sock *sk = skb->sk;
	struct eg_flow f = {};
	struct eg_traffic *t;
	struct eg_sandbox *sb;
	struct eg_sock *es;

	es = sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;
	sb = es ? sandbox_get(es->sandbox, es->slot) : NULL;
	/* what cannot be read has no destination; the judge refuses it */
	if (!sb || eg_read_flow(skb, &f, out))
		return;
	if (is_resolver(sb, &f) || is_dns(sb, &f))
		return;
	key.sandbox = sb->id;
	__builtin_memcpy(key.addr, f.addr.byte, sizeof(key.addr));
	key.proto = f.proto;
	key.served = f.proto == IPPROTO_TCP && (es->flags & EG_SK_ACCEPTED);
	key.port = key.served ? f.lport : f.port;
	t = traffic_of(&key);
	if (!t)
		return;
	__sync_fetch_and_add(out ? &t->bytes_out : &t->bytes_in, skb->len);
	__sync_fetch_and_add(out ? &t->packets_out : &t->packets_in, 1);
	if (out)
		note_words(skb, &f, t);
}

SEC("cgroup_skb/egress")
int count_out(struct __sk_buff *skb)
{
	count(skb, true);
	return PASS;
}

SEC("cgroup_skb/ingress")
int count_in(struct __sk_buff *skb)
{
	count(skb, false);
	return PASS;
}
