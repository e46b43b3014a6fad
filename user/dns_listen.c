// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A sandbox's sockets in its network namespace, and datagrams on them. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "dns_int.h"
#include "util.h"

#define PORT_TRIES 16
#define BACKLOG 32
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78 /* Linux 4.15; in no libc header */
#endif
#define RECEIVE_BUFFER (1 << 20) /* a burst of one sandbox; beyond it datagrams are lost */

/* ---- opening ----------------------------------------------------------------------- */

struct opening {
	int netns_fd;
	struct dns_sockets *s;
	const char *what; /* that failed */
	int err;
};

static socklen_t loopback(union dns_server *a, bool v6, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	if (v6) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_addr = in6addr_loopback;
		a->in6.sin6_port = htons(port);
	} else {
		a->in.sin_family = AF_INET;
		a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a->in.sin_port = htons(port);
	}
	return dns_server_len(a);
}

/* Returns a socket or a negative errno. */
static int open_socket(bool v6, int type, uint16_t port)
{
	_cleanup_close_ int fd = socket(v6 ? AF_INET6 : AF_INET,
					type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int on = 1, room = RECEIVE_BUFFER;
	union dns_server a;
	socklen_t len = loopback(&a, v6, port);

	if (fd < 0)
		return -errno;
	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)))
		return -errno;
	/* a new namespace's loopback interface may be brought up later */
	if (v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) :
		 setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)))
		return -errno;
	/* as much as the host lets us have */
	if (type == SOCK_DGRAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (bind(fd, &a.sa, len) || (type == SOCK_STREAM && listen(fd, BACKLOG)))
		return -errno;
	return steal_fd(&fd);
}

void dns_sockets_close(struct dns_sockets *s)
{
	int *const all[] = { &s->udp[0], &s->udp[1], &s->tcp[0], &s->tcp[1] };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (*all[i] >= 0)
			(void)close(steal_fd(all[i]));
}

static bool no_ipv6(int err)
{
	return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
}

/* All sockets on one port that the kernel chose for the first. */
static int open_all(struct dns_sockets *s)
{
	union dns_server a;
	socklen_t len = sizeof(a);

	*s = (struct dns_sockets){ { -1, -1 }, { -1, -1 }, 0 };
	s->udp[0] = open_socket(false, SOCK_DGRAM, 0);
	if (s->udp[0] < 0)
		return s->udp[0];
	if (getsockname(s->udp[0], &a.sa, &len))
		return -errno;
	s->port = ntohs(a.in.sin_port);
	s->tcp[0] = open_socket(false, SOCK_STREAM, s->port);
	if (s->tcp[0] < 0)
		return s->tcp[0];
	s->udp[1] = open_socket(true, SOCK_DGRAM, s->port);
	if (s->udp[1] < 0)
		return no_ipv6(s->udp[1]) ? 0 : s->udp[1];
	s->tcp[1] = open_socket(true, SOCK_STREAM, s->port);
	return MIN(s->tcp[1], 0);
}

static void *open_there(void *arg)
{
	struct opening *o = arg;

	if (o->netns_fd >= 0 && setns(o->netns_fd, CLONE_NEWNET)) {
		o->err = -errno;
		o->what = "enter the network namespace";
		return NULL;
	}
	o->what = "listen on its loopback address";
	/* a port may be free for UDP and not for TCP: try with another */
	for (int i = 0; i < PORT_TRIES; i++) {
		o->err = open_all(o->s);
		if (!o->err)
			return NULL;
		dns_sockets_close(o->s);
		if (o->err != -EADDRINUSE)
			return NULL;
	}
	return NULL;
}

/*
 * In a thread of its own: setns() is the thread's alone, so that there is no way
 * back that could fail and leave the process in a sandbox's network.
 */
int dns_sockets_open(int netns_fd, struct dns_sockets *s, struct diag *d)
{
	struct opening o = { .netns_fd = netns_fd, .s = s };
	sigset_t all, before;
	pthread_t thread;
	int err;

	if (netns_fd < 0) {
		(void)open_there(&o);
	} else {
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		err = pthread_create(&thread, NULL, open_there, &o);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (err)
			return diag_set(d, -err, "resolver: thread: %s", strerror(err));
		(void)pthread_join(thread, NULL);
	}
	if (o.err)
		return diag_set(d, o.err, "resolver: %s: %s", o.what, strerror(-o.err));
	return 0;
}

/* ---- datagrams --------------------------------------------------------------------- */

static int on_datagrams(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct dns_client *c = ctx;
	struct dns *dns = c->dns;
	struct dns_from from[DNS_BATCH];
	struct mmsghdr msgs[DNS_BATCH];
	struct iovec iov[DNS_BATCH];
	int n;

	(void)src;
	(void)revents;
	for (unsigned int i = 0; i < DNS_BATCH; i++) {
		from[i].udp = fd;
		from[i].tcp = NULL;
		iov[i] = (struct iovec){ dns->in[i], sizeof(dns->in[i]) };
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = &from[i].peer,
						   .msg_namelen = sizeof(from[i].peer),
						   .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	n = recvmmsg(fd, msgs, DNS_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		dns_query(c, &from[i], dns->in[i], msgs[i].msg_len);
	return 0;
}

void dns_client_query(struct dns_client *c, const uint8_t addr[16], uint16_t port,
		      const void *msg, size_t len)
{
	struct dns_from from = {};

	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr)) {
		from.udp = c->sockets.udp[0];
		from.peer.in.sin_family = AF_INET;
		from.peer.in.sin_port = htons(port);
		memcpy(&from.peer.in.sin_addr, addr + 12, 4);
	} else {
		from.udp = c->sockets.udp[1];
		from.peer.in6.sin6_family = AF_INET6;
		from.peer.in6.sin6_port = htons(port);
		memcpy(&from.peer.in6.sin6_addr, addr, 16);
	}
	if (from.udp >= 0)
		dns_query(c, &from, msg, len);
}

void dns_send(const struct dns_from *from, uint8_t *msg, size_t len)
{
	if (from->tcp)
		dns_conn_send(from->tcp, msg, len);
	else /* a full buffer of the asker's loses its answer, as on any network */
		(void)sendto(from->udp, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL, &from->peer.sa,
			     dns_server_len(&from->peer));
}

int dns_listen(struct dns_client *c)
{
	struct dns_sockets *s = &c->sockets;
	sd_event *loop = c->dns->loop;
	int err = 0;

	for (int i = 0; i < 2 && err >= 0; i++) {
		if (s->udp[i] < 0)
			continue;
		err = sd_event_add_io(loop, &c->io[2 * i], s->udp[i], EPOLLIN, on_datagrams, c);
		if (err >= 0)
			err = sd_event_add_io(loop, &c->io[2 * i + 1], s->tcp[i], EPOLLIN,
					      dns_on_connection, c);
	}
	return MIN(err, 0);
}
