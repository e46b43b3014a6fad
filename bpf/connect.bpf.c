// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Egress by socket: cgroup programs for addresses that a program gives and gets.
 *
 *   connect4, connect6       TCP (Fast Open too), UDP, ping, an MPTCP subflow: the
 *                            refusal that the program sees
 *   recvmsg4/6, getpeername4/6   the server that the program meant to ask
 *
 * There is no sendmsg4/6: each costs every datagram of the host that names its
 * destination about 400 instructions, for the socket's lock alone. A datagram that
 * cgroup_skb/egress refuses is EPERM to its sender as well, and a DNS query that
 * it sees it hands to the resolver.
 *
 * DNS, whatever server it is for, goes to the sandbox's resolver: it answers for
 * allowed names alone, and binds their addresses. Failures inside refuse; a socket
 * that no sandbox made is left alone.
 */
#include "dest.bpf.h"

enum socket_kind { SOCKET_V4, SOCKET_V6 };

/* ---- DNS ------------------------------------------------------------------------- */

/* kind is a constant: the verifier lets each program touch its own fields only */
static __always_inline void set_address(struct bpf_sock_addr *ctx, enum socket_kind kind,
					const union eg_addr *a, __be16 port)
{
	if (kind == SOCKET_V4) {
		ctx->user_ip4 = a->word[3];
	} else {
		ctx->user_ip6[0] = a->word[0];
		ctx->user_ip6[1] = a->word[1];
		ctx->user_ip6[2] = a->word[2];
		ctx->user_ip6[3] = a->word[3];
	}
	ctx->user_port = port;
}

static __always_inline void get_address(struct bpf_sock_addr *ctx, enum socket_kind kind,
					union eg_addr *a)
{
	if (kind == SOCKET_V4) {
		set_v4(a, ctx->user_ip4);
	} else {
		a->word[0] = ctx->user_ip6[0];
		a->word[1] = ctx->user_ip6[1];
		a->word[2] = ctx->user_ip6[2];
		a->word[3] = ctx->user_ip6[3];
	}
}

static __always_inline void redirect(struct bpf_sock_addr *ctx, struct eg_sock *es,
				     const struct eg_sandbox *sb, const struct eg_flow *f,
				     enum socket_kind kind)
{
	union eg_addr to = {};

	note_server(es, sb, f);
	if (f->v4)
		set_v4(&to, bpf_htonl(0x7f000001));
	else
		to.word[3] = bpf_htonl(1);
	set_address(ctx, kind, &to, sb->dns_port);
}

/* What came from the resolver looks as if it came from the server that was asked. */
static __always_inline int restore_server(struct bpf_sock_addr *ctx, enum socket_kind kind)
{
	union eg_addr a = {};
	struct eg_sock *es;

	get_address(ctx, kind, &a);
	if (!ctx->sk || !is_loopback(&a))
		return PASS;
	es = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
	if (!es || !es->dns_port || ctx->user_port != es->dns_port)
		return PASS;
	__builtin_memcpy(a.byte, es->asked, sizeof(a.byte));
	set_address(ctx, kind, &a, bpf_htons(DNS_PORT));
	return PASS;
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	return restore_server(ctx, SOCKET_V4);
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	return restore_server(ctx, SOCKET_V6);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return restore_server(ctx, SOCKET_V4);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return restore_server(ctx, SOCKET_V6);
}

/* ---- connect --------------------------------------------------------------------- */

/* What was said on an earlier connection of this socket counts no more. */
static __always_inline void forget_hello(struct eg_sock *es)
{
	*(volatile __u64 *)&es->key4 = 0;
	bpf_spin_lock(&es->lock);
	es->proto = 0;
	bpf_spin_unlock(&es->lock);
	__sync_fetch_and_and(&es->flags, ~EG_SK_REFUSED);
	es->said_since = 0;
	es->said_tunnel = 0;
	es->said_kind = 0;
	es->said_classes = 0;
}

/*
 * Where nobody may listen yet or the address may not be this host's, the packet
 * itself decides: here only what is certain is refused. own: what is the sandbox's passes.
 */
static __always_inline void judge_listener(struct bpf_sock_addr *ctx, const struct eg_flow *f,
					   __u64 sandbox, bool own, struct verdict *v)
{
	bool loopback = is_loopback(&f->addr);

	refuse(v, loopback ? EG_WHY_LOOPBACK : EG_WHY_RULE);
	switch (find_peer(ctx, f, sandbox)) {
	case PEER_OWN:
		v->pass = own;
		break;
	case PEER_NONE:
		v->pass = own && loopback;
		break;
	case PEER_SANDBOX:
		v->reason = EG_WHY_FOREIGN;
		break;
	default:
		break;
	}
}

/*
 * A datagram socket that is connected sends nothing yet, and the C library connects
 * one to each address of a name to see which to try first.
 */
static __always_inline bool is_tried(struct eg_policy *p, __u64 sandbox, const struct eg_flow *f)
{
	struct eg_binding_key key = { .sandbox = sandbox, .family = p->family };
	struct eg_binding *b;

	if (f->proto != IPPROTO_UDP || !p->nclasses)
		return false;
	__builtin_memcpy(key.addr, f->addr.byte, sizeof(key.addr));
	b = bpf_map_lookup_elem(&bindings, &key);
	return b && b->classes && b->expires >= bpf_ktime_get_boot_ns();
}

static __always_inline int judge_connect(struct bpf_sock_addr *ctx, struct eg_flow *f,
					 enum socket_kind kind)
{
	struct bpf_sock *sk = ctx->sk;
	struct verdict v = {};
	struct eg_sandbox *sb;
	struct eg_policy *p;
	struct eg_sock *es;
	__u32 generation;
	int done;

	if (!sock_sandbox(sk, &es, &sb, &done))
		return done;
	p = policy_of(sb);
	if (!p)
		return DROP;
	if (!(p->flags & EG_P_EGRESS))
		return PASS;
	generation = generation_of(sb);
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
	if (is_dns(sb, f)) {
		redirect(ctx, es, sb, f, kind);
		return PASS;
	}

	if (!judge_dest(sb, p, f, &v)) {
		bool own = p->flags & EG_P_LOOPBACK_OWN;

		refuse(&v, EG_WHY_RULE);
		if (is_tried(p, sb->id, f))
			v.pass = 1;
		else if (own || is_loopback(&f->addr))
			judge_listener(ctx, f, es->sandbox, own, &v);
	}
	if (v.pass && is_public_name(&v) && find_peer(ctx, f, es->sandbox) >= PEER_SANDBOX) {
		refuse(&v, EG_WHY_LOOPBACK);
		v.keep = v.named = 0;
	}
	if (!v.pass) {
		bool audit = p->flags & EG_P_AUDIT;

		emit_net(sb, p->serial, EG_OP_CONNECT, v.reason, f->proto, f->addr.byte, f->port,
			 0, v.rule, EPERM, audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED);
		return audit ? PASS : DROP;
	}
	if (v.named)
		forget_hello(es);
	if (v.keep)
		remember_dest(es, f, generation, false);
	return PASS;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	struct eg_flow f = {};

	get_address(ctx, SOCKET_V4, &f.addr);
	return judge_connect(ctx, &f, SOCKET_V4);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	struct eg_flow f = {};

	get_address(ctx, SOCKET_V6, &f.addr);
	return judge_connect(ctx, &f, SOCKET_V6);
}
