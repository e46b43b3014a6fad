// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Egress by task: LSM hooks on sockets. Unix sockets have their own file.
 *
 *   socket_create        which kinds of sockets there are at all
 *   socket_post_create   stamps every socket with its maker; sctp_sk_clone the
 *                        one SCTP accepts (TCP's is stamped by BPF_F_CLONE)
 *   socket_connect, bind, listen, accept
 *                        a sandbox uses the internet sockets it made, no others
 *   sock_graft           what waited to be accepted since before there was a policy
 *   socket_setsockopt    what changes where packets go, or sends some by itself
 *   netlink_send         routes and links can be read, not changed
 *
 * The destination of TCP and UDP is judged by cgroup programs (egress.bpf.c), by
 * the socket's stamp, which these hooks make sure is the task's.
 */
#include "egress.bpf.h"

/* include/linux/socket.h, uapi/linux: macros and anonymous enums are not in BTF */
#define AF_BLUETOOTH 31
#define AF_CAN 29
#define AF_ALG 38
#define AF_VSOCK 40
#define AF_XDP 44
#define IPPROTO_ICMPV6 58

#define SIGKILL 9

#define SOL_SOCKET 1
#define SOL_IPV6 41
#define SO_BINDTODEVICE 25
#define SO_ATTACH_REUSEPORT_CBPF 51
#define SO_ATTACH_REUSEPORT_EBPF 52
#define SO_BINDTOIFINDEX 62
#define IP_OPTIONS 4
#define IP_ADD_MEMBERSHIP 35
#define IP_UNICAST_IF 50
#define IP_ADD_SOURCE_MEMBERSHIP 39
#define MCAST_JOIN_GROUP 42
#define MCAST_JOIN_SOURCE_GROUP 46
#define IPV6_2292PKTOPTIONS 6
#define IPV6_2292HOPOPTS 3
#define IPV6_2292DSTOPTS 4
#define IPV6_2292RTHDR 5
#define IPV6_JOIN_GROUP 20
#define IPV6_JOIN_ANYCAST 27
#define IPV6_HOPOPTS 54
#define IPV6_RTHDRDSTOPTS 55
#define IPV6_RTHDR 57
#define IPV6_DSTOPTS 59
#define IPV6_UNICAST_IF 76
#define TCP_ULP 31

#define NETLINK_ROUTE 0
#define NLMSG_MIN_TYPE 16
#define RTM_KIND_GET 2 /* of type & 3, net/core/rtnetlink.c */
#define NETLINK_MESSAGES 32 /* in one send; a dump is one */

/* ---- who calls ---------------------------------------------------------------- */

/* In sections of the hooks below: an object of no address. aux: see enum eg_op. */
static __always_inline int refuse_aux(struct caller *c, __u16 op, __u8 reason, __u8 proto,
				      __u64 aux)
{
	bool audit = c->p->flags & EG_P_AUDIT;

	emit_net(c->sb, c->p->serial, op, reason, proto, NULL, 0, aux, 0, EPERM,
		 audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED);
	return audit ? 0 : -EPERM;
}

/* ---- kinds of sockets ----------------------------------------------------------- */

static __always_inline bool match_inet_kind(const struct eg_policy *p, int type, int protocol)
{
	switch (type) {
	case SOCK_STREAM:
		if (protocol == 0 || protocol == IPPROTO_TCP)
			return true;
		if (protocol == IPPROTO_MPTCP)
			return p->sockets & EG_SOCK_MPTCP;
		return protocol == IPPROTO_SCTP && (p->sockets & EG_SOCK_SCTP);
	case SOCK_DGRAM:
		if (protocol == 0 || protocol == IPPROTO_UDP)
			return true;
		return (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) &&
		       (p->sockets & EG_SOCK_PING);
	case SOCK_SEQPACKET:
		return (protocol == 0 || protocol == IPPROTO_SCTP) &&
		       (p->sockets & EG_SOCK_SCTP);
	case SOCK_RAW:
		return p->sockets & EG_SOCK_RAW;
	default:
		return false;
	}
}

static __always_inline bool match_kind(const struct eg_policy *p, int family, int type,
				       int protocol)
{
	switch (family) {
	case AF_UNIX:
		return true;
	case AF_INET:
	case AF_INET6:
		return match_inet_kind(p, type, protocol);
	case AF_NETLINK:
		return protocol == NETLINK_ROUTE ||
		       (protocol > 0 && protocol < 32 && (p->netlink & (1u << protocol)));
	case AF_PACKET:
		return p->sockets & EG_SOCK_PACKET;
	case AF_VSOCK:
		return p->sockets & EG_SOCK_VSOCK;
	case AF_ALG:
		return p->sockets & EG_SOCK_ALG;
	case AF_BLUETOOTH:
		return p->sockets & EG_SOCK_BLUETOOTH;
	case AF_CAN:
		return p->sockets & EG_SOCK_CAN;
	case AF_XDP:
		return p->sockets & EG_SOCK_XDP;
	default:
		return false;
	}
}

/*
 * A socket belongs for life to the cgroup its maker is in, and there cgroup
 * programs judge it. Nothing stops root from moving a task, so a task outside
 * its sandbox's cgroup makes no sockets.
 */
static __always_inline bool is_at_home(const struct eg_sandbox *sb)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cgroup *cgrp = BPF_CORE_READ(task, cgroups, dfl_cgrp);

	return sb->cgroup && cgroup_ancestor_raw(cgrp, sb->depth) == sb->cgroup;
}

SEC("lsm/socket_create")
int BPF_PROG(socket_create, int family, int type, int protocol, int kern, int ret)
{
	struct caller c;
	int who;

	if (ret)
		return ret;
	who = kern ? 0 : read_caller(&c);
	if (who <= 0)
		return who;
	if (!match_kind(c.p, family, type, protocol))
		return refuse_aux(&c, EG_OP_SOCKET, EG_WHY_FAMILY, 0,
				  (__u64)family << 32 | (__u64)(type & 0xffff) << 16 |
				  (protocol & 0xffff));
	if (family != AF_UNIX && !is_at_home(c.sb))
		return refuse_aux(&c, EG_OP_SOCKET, EG_WHY_FOREIGN, 0,
				  (__u64)family << 32 | (__u64)(type & 0xffff) << 16 |
				  (protocol & 0xffff));
	return 0;
}

static __always_inline int stamp_sock(struct sock *sk, __u64 sandbox, __u32 slot, __u32 flags)
{
	struct eg_sock *es;

	if (!sk)
		return -EPERM;
	es = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!es) {
		count_stat(EG_ST_FAIL_STORAGE);
		return -ENOMEM;
	}
	es->slot = slot;
	es->flags = flags;
	es->sandbox = sandbox;
	return 0;
}

/*
 * Sockets that the kernel makes on a task's behalf are stamped too: MPTCP's first
 * subflow is one. Not the control sockets of a new network namespace, which send
 * its resets and echo replies: those are raw. Its netlink sockets have no sock yet.
 */
SEC("lsm/socket_post_create")
int BPF_PROG(socket_post_create, struct socket *sock, int family, int type, int protocol,
	     int kern, int ret)
{
	struct eg_id id;
	int who;

	if (ret)
		return ret;
	who = current_id(&id);
	if (who <= 0)
		return who;
	if (kern && (type == SOCK_RAW || !sock->sk))
		return 0;
	return stamp_sock(sock->sk, id.sandbox, id.slot, 0);
}

/* The other sockets of an SCTP listener are made anew, without the listener's storage. */
SEC("lsm/sctp_sk_clone")
int BPF_PROG(sctp_sk_clone, struct sctp_association *asoc, struct sock *sk, struct sock *newsk)
{
	struct eg_sock *es = bpf_sk_storage_get(&sockets, sk, NULL, 0);

	if (es)
		(void)stamp_sock(newsk, es->sandbox, es->slot, es->flags);
	return 0; /* a void hook; a socket without a stamp is found by its cgroup */
}

/* ---- use of a socket -------------------------------------------------------------- */

/* 1: *sk is an internet socket of the caller's own. 0: leave it alone. Else the refusal. */
static __always_inline int read_own(struct sock *sk, struct caller *c, __u16 op)
{
	struct eg_sock *es;
	__u16 family;
	int who;

	who = read_caller(c);
	if (who <= 0)
		return who;
	if (!sk)
		return -EPERM;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	es = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (es && es->sandbox == c->id.sandbox)
		return 1;
	return refuse_aux(c, op, EG_WHY_FOREIGN, sk->sk_protocol, 0);
}

/*
 * connect of what no cgroup program sees (SCTP, raw): so that the caller is told,
 * instead of the packets being dropped.
 */
static __always_inline int judge_other(struct caller *c, struct sockaddr *address, int len,
				       __u8 proto)
{
	struct sockaddr_in6 sa = {};
	struct eg_flow f = { .proto = proto };
	__u8 reason = EG_WHY_RULE;
	bool audit;
	__u32 rule;

	if (len < (int)sizeof(struct sockaddr_in) ||
	    bpf_probe_read_kernel(&sa, sizeof(struct sockaddr_in), address))
		return -EPERM;
	if (sa.sin6_family == 0)
		return 0; /* AF_UNSPEC: disconnect */
	if (sa.sin6_family == AF_INET) {
		set_v4(&f.addr, ((struct sockaddr_in *)&sa)->sin_addr.s_addr);
	} else {
		const int need = __builtin_offsetof(struct sockaddr_in6, sin6_scope_id);

		if (len < need || bpf_probe_read_kernel(&sa, need, address))
			return -EPERM;
		__builtin_memcpy(&f.addr, &sa.sin6_addr, 16);
	}
	if (proto == IPPROTO_SCTP)
		f.port = sa.sin6_port; /* at the same place in both */
	normalise_any(&f.addr);
	switch (eg_match(c->p->serial, &f, &rule)) {
	case EG_V_ALLOW:
		return 0;
	case EG_V_DENY_HARD:
		reason = EG_WHY_METADATA;
		break;
	case -EAGAIN:
		reason = EG_WHY_FAILURE;
		break;
	}
	audit = c->p->flags & EG_P_AUDIT;
	emit_net(c->sb, c->p->serial, EG_OP_CONNECT, reason, proto, f.addr.byte, f.port, 0, rule,
		 EPERM, audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED);
	return audit ? 0 : -EPERM;
}

SEC("lsm/socket_connect")
int BPF_PROG(socket_connect, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	struct sock *sk = sock->sk;
	struct caller c;
	__u16 proto;
	int own;

	if (ret)
		return ret;
	own = read_own(sk, &c, EG_OP_CONNECT);
	if (own <= 0 || !sk)
		return own;
	proto = sk->sk_protocol;
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_MPTCP ||
	    sock->type == SOCK_DGRAM)
		return 0; /* cgroup/connect4 and 6 */
	return judge_other(&c, address, addrlen, proto);
}

SEC("lsm/socket_bind")
int BPF_PROG(socket_bind, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	struct sock *sk = sock->sk;
	struct caller c;
	int own;

	if (ret)
		return ret;
	own = read_own(sk, &c, EG_OP_BIND);
	return own < 0 ? own : 0;
}

SEC("lsm/socket_listen")
int BPF_PROG(socket_listen, struct socket *sock, int backlog, int ret)
{
	struct sock *sk = sock->sk;
	struct caller c;
	__u16 port;
	int own;

	if (ret)
		return ret;
	own = read_own(sk, &c, EG_OP_LISTEN);
	if (own <= 0 || !sk)
		return own;
	port = sk->__sk_common.skc_num;
	if (listen_mode(c.p, port) != EG_LISTEN_NONE) {
		if (c.p->flags & EG_P_TRACE)
			trace_addr(&c.sb->id, c.p->serial, EG_OP_LISTEN, 0, sk->sk_protocol, NULL,
				   0, port, 0, EG_VERDICT_ALLOWED, true);
		return 0;
	}
	return refuse_aux(&c, EG_OP_LISTEN, EG_WHY_RULE, sk->sk_protocol, port);
}

/* A listener of somebody else's would hand out connections that nobody judges. */
SEC("lsm/socket_accept")
int BPF_PROG(socket_accept, struct socket *sock, struct socket *newsock, int ret)
{
	struct sock *sk = sock->sk;
	struct caller c;
	int own;

	if (ret)
		return ret;
	own = read_own(sk, &c, EG_OP_ACCEPT);
	return own < 0 ? own : 0;
}

/*
 * A connection that waited in the queue of a listener which was found when its workload was
 * attached: it has no stamp, or a dead one's, and its cgroup is perhaps that of who made the
 * listener. Its listener was the caller's own, see socket_accept. This hook refuses nothing:
 * who gets a connection that nobody judges does not use it.
 */
SEC("lsm/sock_graft")
int BPF_PROG(sock_graft, struct sock *sk, struct socket *parent)
{
	struct eg_sock *es;
	struct eg_id id;
	__u16 family;

	if (current_id(&id) != 1)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	es = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (es && sandbox_get(es->sandbox, es->slot))
		return 0;
	if (es)
		(void)bpf_sk_storage_delete(&sockets, sk);
	if (stamp_sock(sk, id.sandbox, id.slot, EG_SK_BEFORE | EG_SK_ACCEPTED))
		(void)bpf_send_signal(SIGKILL);
	return 0;
}

/* ---- options ------------------------------------------------------------------------ */

/*
 * Refused: source routes and headers that say where else to go (packets with them
 * are refused as well), joining groups (the kernel reports the address joined
 * to the network by itself), choosing among listeners by program (see
 * peer_is_chosen()), other protocols under a TCP socket. And choosing the device: an
 * allowed address is then whoever takes it on a link that the routes would not use.
 */
static __always_inline bool match_device(int level, int option)
{
	return (level == SOL_SOCKET && (option == SO_BINDTODEVICE || option == SO_BINDTOIFINDEX)) ||
	       (level == IPPROTO_IP && option == IP_UNICAST_IF) ||
	       (level == SOL_IPV6 && option == IPV6_UNICAST_IF);
}

static __always_inline bool match_option(const struct caller *c, int level, int option)
{
	if (match_device(level, option))
		return c->p->privileges & EG_PRIV_NET_ADMIN;
	switch (level) {
	case IPPROTO_IP:
		return option != IP_OPTIONS && option != IP_ADD_MEMBERSHIP &&
		       option != IP_ADD_SOURCE_MEMBERSHIP && option != MCAST_JOIN_GROUP &&
		       option != MCAST_JOIN_SOURCE_GROUP;
	case SOL_IPV6:
		return option != IPV6_2292PKTOPTIONS && option != IPV6_2292HOPOPTS &&
		       option != IPV6_2292DSTOPTS && option != IPV6_2292RTHDR &&
		       option != IPV6_JOIN_GROUP && option != IPV6_JOIN_ANYCAST &&
		       option != MCAST_JOIN_GROUP && option != MCAST_JOIN_SOURCE_GROUP &&
		       option != IPV6_HOPOPTS && option != IPV6_RTHDRDSTOPTS &&
		       option != IPV6_RTHDR && option != IPV6_DSTOPTS;
	case SOL_SOCKET:
		return option != SO_ATTACH_REUSEPORT_CBPF && option != SO_ATTACH_REUSEPORT_EBPF;
	case IPPROTO_TCP:
		return option != TCP_ULP;
	default:
		return true;
	}
}

SEC("lsm/socket_setsockopt")
int BPF_PROG(socket_setsockopt, struct socket *sock, int level, int optname, int ret)
{
	struct sock *sk = sock->sk;
	struct caller c;
	__u16 family;
	int who;

	if (ret)
		return ret;
	who = read_caller(&c);
	if (who <= 0 || match_option(&c, level, optname))
		return who < 0 ? who : 0;
	family = sk ? sk->__sk_common.skc_family : 0;
	if (!sk || (family != AF_INET && family != AF_INET6))
		return 0;
	return refuse_aux(&c, EG_OP_SOCKOPT, EG_WHY_HEADERS, sk->sk_protocol,
			  (__u64)level << 32 | (__u32)optname);
}

/* ---- netlink --------------------------------------------------------------------------- */

/* Every message of the buffer, as netlink_rcv_skb() goes through them, reads. */
static __always_inline bool match_rtnetlink(struct sk_buff *skb, __u16 *type)
{
	__u32 len = skb->len, off = 0, i, step;
	unsigned char *data = skb->data;
	struct nlmsghdr nlh;

	for (i = 0; i < NETLINK_MESSAGES; i++) {
		if (off >= len || len - off < sizeof(nlh))
			return true;
		if (bpf_probe_read_kernel(&nlh, sizeof(nlh), data + off))
			return false;
		*type = nlh.nlmsg_type;
		if (nlh.nlmsg_type >= NLMSG_MIN_TYPE && (nlh.nlmsg_type & 3) != RTM_KIND_GET)
			return false;
		if (nlh.nlmsg_len < sizeof(nlh) || nlh.nlmsg_len > len - off)
			return true; /* the kernel stops here */
		step = (nlh.nlmsg_len + 3) & ~3u;
		off += step;
	}
	return false;
}

SEC("lsm/netlink_send")
int BPF_PROG(netlink_send, struct sock *sk, struct sk_buff *skb, int ret)
{
	struct caller c;
	__u16 type = 0;
	int who;

	if (ret)
		return ret;
	who = read_caller(&c);
	if (who <= 0)
		return who;
	if (sk->sk_protocol != NETLINK_ROUTE || (c.p->privileges & EG_PRIV_NET_ADMIN))
		return 0;
	if (match_rtnetlink(skb, &type))
		return 0;
	return refuse_aux(&c, EG_OP_NETLINK, EG_WHY_GUARD, 0, type);
}
