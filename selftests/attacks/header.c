/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Headers, options and devices that lead a packet elsewhere than its address says. */
#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IP_OPTIONS_ 4
#define IP_UNICAST_IF_ 50
#define IPV6_RTHDR_ 57

static const struct dest ok = { OK4, PORT }, ok6 = { OK6, PORT }, evil = { EVIL4, PORT };

/* A source route by 10.203.2.2, and segments: ok, evil; the last in the list comes first. */
static const uint8_t lsrr[] = { 131, 7, 4, 10, 203, 2, 2, 0 };
static const uint8_t srh[] = { 0, 4, 4, 1, 1, 0, 0, 0,
			       0xfd, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
			       0xfd, 0x20, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 };

/* Mobile IPv6: the care-of address is in front. */
static const uint8_t type2[] = { 0, 2, 2, 1, 0, 0, 0, 0,
				 0xfd, 0x20, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 };

struct option {
	const struct dest *to;
	int level, name;
	const void *value;
	socklen_t len;
};

static int with_option(const void *arg)
{
	const struct option *o = arg;
	struct sockaddr_storage ss;
	int fd;

	(void)to_sockaddr(o->to, &ss);
	fd = open_socket(ss.ss_family, SOCK_DGRAM, 0);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, o->level, o->name, o->value, o->len))
		return -errno;
	return send_nonce(fd, o->to);
}

/* The same for one packet. */
static int with_message(const void *arg)
{
	const struct option *o = arg;
	struct sockaddr_storage ss;
	socklen_t salen = to_sockaddr(o->to, &ss);
	union {
		char buf[CMSG_SPACE(64)];
		struct cmsghdr align;
	} u = {};
	struct iovec iov = { world.nonce, NONCE };
	struct msghdr msg = { .msg_name = &ss, .msg_namelen = salen, .msg_iov = &iov,
			      .msg_iovlen = 1, .msg_control = u.buf,
			      .msg_controllen = CMSG_SPACE(o->len) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fd = open_socket(ss.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	c->cmsg_level = o->level;
	c->cmsg_type = o->name;
	c->cmsg_len = CMSG_LEN(o->len);
	memcpy(CMSG_DATA(c), o->value, o->len);
	return result(sendmsg(fd, &msg, 0));
}

/* ---- the device --------------------------------------------------------------------- */

static int device_option(const void *arg)
{
	int option = *(const int *)arg, index = (int)if_nametoindex("evil");
	int fd = open_socket(AF_INET, SOCK_DGRAM, 0), r;

	if (fd < 0)
		return fd;
	if (option == IP_UNICAST_IF_) {
		index = (int)htonl((uint32_t)index);
		r = setsockopt(fd, IPPROTO_IP, option, &index, sizeof(index));
	} else if (option == SO_BINDTODEVICE) {
		r = setsockopt(fd, SOL_SOCKET, option, "evil", 5);
	} else {
		r = setsockopt(fd, SOL_SOCKET, option, &index, sizeof(index));
	}
	return r ? -errno : send_nonce(fd, &ok);
}

static int pktinfo(const void *six)
{
	struct in_pktinfo v4 = { .ipi_ifindex = (int)if_nametoindex("evil") };
	struct in6_pktinfo v6 = { .ipi6_ifindex = if_nametoindex("evil") };
	struct option o = { &ok, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4) };

	if (six)
		o = (struct option){ &ok6, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6) };
	return with_message(&o);
}

/* Sent from an address that is evil's. */
static int from_foreign(const void *arg)
{
	struct dest from = { EVIL4, 4001 };
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&from, &ss);
	int fd = open_socket(AF_INET, SOCK_DGRAM, 0), one = 1;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, IPPROTO_IP, *(const int *)arg, &one, sizeof(one)) ||
	    bind(fd, (void *)&ss, len))
		return -errno;
	return send_nonce(fd, &evil);
}

static int mark(const void *unused)
{
	int fd = open_socket(AF_INET, SOCK_DGRAM, 0), one = 1;

	(void)unused;
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &one, sizeof(one)))
		return -errno;
	return send_nonce(fd, &evil);
}

/* ---- packets by hand, where the policy has raw sockets ----------------------------------- */

struct raw {
	uint8_t protocol;
	uint16_t fragment;
};

static int raw_packet(const void *arg)
{
	const struct raw *r = arg;
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&ok, &ss);
	struct {
		struct iphdr ip;
		uint8_t data[8 + NONCE];
	} p = { .ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = r->protocol,
			.frag_off = htons(r->fragment), .tot_len = htons(sizeof(p)) } };
	int fd = open_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	if (fd < 0)
		return fd;
	p.ip.daddr = ((struct sockaddr_in *)&ss)->sin_addr.s_addr;
	memcpy(p.data + 8, world.nonce, NONCE);
	return result(sendto(fd, &p, sizeof(p), 0, (void *)&ss, len));
}

/* next: the first extension header, of eight bytes */
static int raw6_packet(const void *next)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&ok6, &ss);
	struct __attribute__((packed)) {
		uint8_t ip6[40], extension[8], udp[8], data[NONCE];
	} p = { .ip6 = { [0] = 0x60, [5] = sizeof(p) - 40, [6] = *(const uint8_t *)next,
			 [7] = 64 },
		.extension = { IPPROTO_UDP, 0, 1, 4 },
		.udp = { 0x0f, 0xa0, PORT >> 8, PORT & 255, 0, 8 + NONCE, 1, 1 } };
	int fd = open_socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);

	if (fd < 0)
		return fd;
	if (p.ip6[6] == 44) /* a fragment: more to come */
		memcpy(p.extension, (const uint8_t[]){ IPPROTO_UDP, 0, 0, 9, 0, 0, 0, 1 }, 8);
	((struct sockaddr_in6 *)&ss)->sin6_port = 0;
	memcpy(p.ip6 + 24, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	memcpy(p.data, world.nonce, NONCE);
	return result(sendto(fd, &p, sizeof(p), 0, (void *)&ss, len));
}

/* ---- an established socket by hand --------------------------------------------------------- */

static int repair(const void *unused)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&evil, &ss);
	struct tcp_repair_window window = { .snd_wnd = 65535, .max_window = 65535,
					    .rcv_wnd = 65535 };
	int fd = open_socket(AF_INET, SOCK_STREAM, 0), on = 1, off = -1;

	(void)unused;
	if (fd < 0)
		return fd;
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
	    connect(fd, (void *)&ss, len) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)))
		return -errno;
	return send_nonce(fd, NULL);
}

#define OPTION(to, l, n, v) &(const struct option){ to, l, n, v, sizeof(v) }
#define ROW(n, f, a, b, j, e) { .name = n, .run = f, .arg = a, .by = b, .judge = j, \
				.err = "EPERM", .event = e }
#define RAW(n, f, a, e) { .name = n, .run = f, .arg = a, .by = BY_ROOT, .judge = "ok", \
			  .err = "EPERM", .event = e, .policy = "kinds" }
#define BYTE(b) &(const uint8_t){ b }
#define INT(i) &(const int){ i }
#define HAND(p, f) &(const struct raw){ p, f }

const struct attack attacks_header[] = {
	ROW("A20:option", with_option, OPTION(&ok, IPPROTO_IP, IP_OPTIONS_, lsrr), BY_ROOT, "evil",
	    "sockopt/headers"),
	ROW("A20:message", with_message, OPTION(&ok, IPPROTO_IP, IP_RETOPTS, lsrr), BY_ROOT,
	    "evil", "capable/guard packet/headers"),
	{ .name = "A20:message-raw", .run = with_message,
	  .arg = OPTION(&ok, IPPROTO_IP, IP_RETOPTS, lsrr), .by = BY_ROOT, .judge = "evil",
	  .err = "EPERM", .event = "packet/headers", .policy = "kinds" },

	ROW("A21:option", with_option, OPTION(&ok6, IPPROTO_IPV6, IPV6_RTHDR_, srh), BY_BOTH,
	    "evil", "sockopt/headers"),
	ROW("A21:message", with_message, OPTION(&ok6, IPPROTO_IPV6, IPV6_RTHDR_, type2), BY_ROOT,
	    "evil", "capable/guard packet/headers"),
	{ .name = "A21:message-raw", .run = with_message,
	  .arg = OPTION(&ok6, IPPROTO_IPV6, IPV6_RTHDR_, type2), .by = BY_ROOT, .judge = "evil",
	  .err = "EPERM", .event = "packet/headers", .policy = "kinds" },

	ROW("A22:bind-to-device", device_option, INT(SO_BINDTODEVICE), BY_BOTH, "evil",
	    "sockopt/headers"),
	ROW("A22:bind-to-index", device_option, INT(62 /* SO_BINDTOIFINDEX */), BY_BOTH, "evil",
	    "sockopt/headers"),
	ROW("A22:unicast-if", device_option, INT(IP_UNICAST_IF_), BY_BOTH, "evil",
	    "sockopt/headers"),
	ROW("A22:pktinfo", pktinfo, NULL, BY_BOTH, "evil", "packet/headers send/headers"),
	ROW("A22:pktinfo6", pktinfo, "6", BY_BOTH, "evil", "packet/headers send/headers"),
	ROW("A22:mark", mark, NULL, BY_ROOT, "evil", "capable/guard"),
	ROW("A22:transparent", from_foreign, INT(19 /* IP_TRANSPARENT */), BY_ROOT, "evil",
	    "capable/guard"),

	RAW("A25:first-fragment", raw_packet, HAND(IPPROTO_UDP, 0x2000), "packet/headers"),
	RAW("A25:later-fragment", raw_packet, HAND(IPPROTO_UDP, 0x2001), "packet/headers"),
	RAW("A25:ip-in-ip", raw_packet, HAND(IPPROTO_IPIP, 0), "send/rule packet/headers"),
	RAW("A25:gre", raw_packet, HAND(IPPROTO_GRE, 0), "send/rule packet/headers"),
	RAW("A25:esp", raw_packet, HAND(IPPROTO_ESP, 0), "send/rule packet/headers"),
	RAW("A25:fragment6", raw6_packet, BYTE(44), "packet/headers"),
	RAW("A25:hop-by-hop", raw6_packet, BYTE(0), "packet/headers"),
	RAW("A25:destination-options", raw6_packet, BYTE(60), "packet/headers"),

	ROW("A39:repair", repair, NULL, BY_ROOT, "evil", "capable/guard connect/rule"),
	{},
};
