/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Probes of sockets. Nothing leaves this host: what is sent goes to a socket of the
 * prover's own on localhost, and other addresses (RFC 5737, RFC 3849) are only named
 * to datagram sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "prove_int.h"
#include "util.h"

#define DISCARD_PORT 9
#define DNS_PORT 53
#define ANSWER_SECONDS 2 /* for what is on its way over loopback */

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static struct sockaddr_in v4(const char *text, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	(void)inet_pton(AF_INET, text, &a.sin_addr); /* constants */
	return a;
}

static struct sockaddr_in6 v6(const char *text, uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	(void)inet_pton(AF_INET6, text, &a.sin6_addr);
	return a;
}

static int udp(int family)
{
	return socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* a kind that needs no capability */
int try_socket(struct probe *p)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	(void)p;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Without a stamp of who made it, it would be somebody else's. */
int try_bind_own(struct probe *p)
{
	const struct sockaddr_in a = v4("127.0.0.1", 0);
	_cleanup_close_ int fd = udp(AF_INET);

	(void)p;
	if (fd < 0)
		return PROVE_CANNOT(-errno);
	return result(bind(fd, (const struct sockaddr *)&a, sizeof(a)));
}

int try_connect_foreign(struct probe *p)
{
	const struct sockaddr_in a = v4("127.0.0.1", DISCARD_PORT);

	return result(connect(p->spare, (const struct sockaddr *)&a, sizeof(a)));
}

/* It is bound already: -EINVAL if nobody minds. */
int try_bind_foreign(struct probe *p)
{
	const struct sockaddr_in a = v4("127.0.0.1", 0);

	return result(bind(p->udp, (const struct sockaddr *)&a, sizeof(a)));
}

int try_listen_foreign(struct probe *p)
{
	return result(listen(p->tcp, 0));
}

int try_accept_foreign(struct probe *p)
{
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* none at all */
int try_setsockopt(struct probe *p)
{
	return result(setsockopt(p->udp, IPPROTO_IP, IP_OPTIONS, NULL, 0));
}

/* A header alone, which the kernel skips: net/core/rtnetlink.c, rtnetlink_rcv_msg(). */
int try_netlink(struct probe *p)
{
	const struct nlmsghdr nlh = { .nlmsg_len = sizeof(nlh),
				      .nlmsg_type = RTM_NEWLINK,
				      .nlmsg_flags = NLM_F_REQUEST };
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	(void)p;
	if (fd < 0)
		return PROVE_CANNOT(-errno);
	return result(send(fd, &nlh, sizeof(nlh), 0));
}

int try_unix_connect(struct probe *p)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return PROVE_CANNOT(-errno);
	return result(connect(fd, (const struct sockaddr *)&p->stream_addr, p->stream_len));
}

int try_unix_send(struct probe *p)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return PROVE_CANNOT(-errno);
	return result(sendto(fd, "", 1, 0, (const struct sockaddr *)&p->dgram_addr, p->dgram_len));
}

/* Connecting a datagram socket sends nothing. */
int try_connect4(struct probe *p)
{
	const struct sockaddr_in a = v4("192.0.2.1", DISCARD_PORT);
	_cleanup_close_ int fd = udp(AF_INET);

	(void)p;
	if (fd < 0)
		return PROVE_CANNOT(-errno);
	return result(connect(fd, (const struct sockaddr *)&a, sizeof(a)));
}

int try_connect6(struct probe *p)
{
	const struct sockaddr_in6 a = v6("2001:db8::1", DISCARD_PORT);
	_cleanup_close_ int fd = udp(AF_INET6);

	(void)p;
	if (fd < 0)
		return PROVE_CANNOT(-errno);
	return result(connect(fd, (const struct sockaddr *)&a, sizeof(a)));
}

int try_send(struct probe *p)
{
	_cleanup_close_ int fd = udp(AF_INET);

	if (fd < 0)
		return PROVE_CANNOT(-errno);
	return result(sendto(fd, "", 1, 0, (const struct sockaddr *)&p->spare_addr,
			     sizeof(p->spare_addr)));
}

static void set_patience(int fd)
{
	const struct timeval t = { .tv_sec = ANSWER_SECONDS };

	/* without it, whoever waits for us gives up */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

/*
 * Somebody outside sends two: one to a socket of the sandbox, the next to one that
 * hears everybody. Loopback keeps their order: when the second is here, the first
 * has come or never will.
 */
int try_receive_datagram(struct probe *p)
{
	struct sockaddr_in a = v4("127.0.0.1", 0);
	_cleanup_close_ int fd = udp(AF_INET);
	socklen_t len = sizeof(a);
	char byte;
	int err;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		return PROVE_CANNOT(-errno);
	err = prove_ask(p, PROVE_DATAGRAM, ntohs(a.sin_port));
	if (err)
		return PROVE_CANNOT(err);
	set_patience(p->udp);
	if (recv(p->udp, &byte, 1, 0) < 0)
		return PROVE_CANNOT(-errno);
	return result(recv(fd, &byte, 1, MSG_DONTWAIT));
}

/* ---- the name server that was meant -------------------------------------------------- */

struct asked {
	struct sockaddr_storage server, seen; /* whom it asked; as it saw it afterwards */
	socklen_t len;
};

static int ask_server(struct asked *k, int family)
{
	const struct sockaddr_in a4 = v4("192.0.2.53", DNS_PORT);
	const struct sockaddr_in6 a6 = v6("2001:db8::53", DNS_PORT);
	int fd = udp(family), err;

	*k = (struct asked) { .len = family == AF_INET ? sizeof(a4) : sizeof(a6) };
	if (family == AF_INET)
		memcpy(&k->server, &a4, sizeof(a4));
	else
		memcpy(&k->server, &a6, sizeof(a6));
	if (fd < 0 || !connect(fd, (struct sockaddr *)&k->server, k->len))
		return fd < 0 ? -errno : fd;
	err = -errno;
	close(fd);
	return err;
}

static int same_server(const struct asked *k)
{
	const struct sockaddr_in6 *a = (const void *)&k->server, *b = (const void *)&k->seen;

	if (k->seen.ss_family != k->server.ss_family)
		return -EADDRNOTAVAIL;
	if (k->server.ss_family == AF_INET)
		return memcmp(&k->server, &k->seen, sizeof(struct sockaddr_in)) ? -EADDRNOTAVAIL
										: 0;
	return a->sin6_port != b->sin6_port || memcmp(&a->sin6_addr, &b->sin6_addr, 16)
		       ? -EADDRNOTAVAIL
		       : 0;
}

/* connect4 and connect6 have led it to the resolver. */
static int peername(int family)
{
	struct asked k;
	socklen_t len = sizeof(k.seen);
	_cleanup_close_ int fd = ask_server(&k, family);

	if (fd < 0)
		return PROVE_CANNOT(fd);
	if (getpeername(fd, (struct sockaddr *)&k.seen, &len))
		return -errno;
	return same_server(&k);
}

int try_peername4(struct probe *p)
{
	(void)p;
	return peername(AF_INET);
}

int try_peername6(struct probe *p)
{
	return p->udp6 < 0 ? PROVE_CANNOT(-EAFNOSUPPORT) : peername(AF_INET6);
}

/* `resolver` is the socket that stands in for it. */
static int answer_from(int family, int resolver)
{
	struct sockaddr_storage own;
	struct asked k;
	_cleanup_close_ int fd = ask_server(&k, family);
	socklen_t own_len = sizeof(own), len = sizeof(k.seen);
	char byte;

	if (fd < 0)
		return PROVE_CANNOT(fd);
	if (getsockname(fd, (struct sockaddr *)&own, &own_len) ||
	    sendto(resolver, "", 1, 0, (struct sockaddr *)&own, own_len) < 0)
		return PROVE_CANNOT(-errno);
	set_patience(fd);
	if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&k.seen, &len) < 0)
		return -errno;
	return same_server(&k);
}

int try_from4(struct probe *p)
{
	return answer_from(AF_INET, p->udp);
}

int try_from6(struct probe *p)
{
	return p->udp6 < 0 ? PROVE_CANNOT(-EAFNOSUPPORT) : answer_from(AF_INET6, p->udp6);
}
