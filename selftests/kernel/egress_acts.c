/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "egress_acts.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static const struct net_target ok_udp = { NET_OK4, NET_PORT };

static int open_socket(int family, int type, int protocol)
{
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	return fd;
}

static int read_back(int fd)
{
	uint8_t back[NET_NONCE];

	errno = 0;
	if (recv(fd, back, sizeof(back), MSG_WAITALL) != sizeof(back))
		return errno ? -errno : -EPROTO;
	return memcmp(back, net_nonce(), sizeof(back)) ? -EPROTO : 0;
}

int act_tcp_fastopen(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		return fd;
	if (sendto(fd, net_nonce(), NET_NONCE, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&ss, len) < 0)
		return -errno;
	return read_back(fd);
}

int act_tcp_fastopen_connect(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_STREAM, 0);
	int one = 1;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)) ||
	    connect(fd, (void *)&ss, len) ||
	    send(fd, net_nonce(), NET_NONCE, MSG_NOSIGNAL) < 0)
		return -errno;
	return read_back(fd);
}

int act_mptcp(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len) || send(fd, net_nonce(), NET_NONCE, MSG_NOSIGNAL) < 0)
		return -errno;
	return read_back(fd);
}

int act_tcp_nonblock(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int err = 0;
	socklen_t size = sizeof(err);

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len) && errno != EINPROGRESS)
		return -errno;
	must(poll(&p, 1, -1));
	must(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size));
	if (err)
		return -err;
	return send(fd, net_nonce(), NET_NONCE, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A datagram socket connected to ok, where it may send. */
static int connected_to_ok(int family)
{
	struct net_target to = ok_udp;
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	if (family == AF_INET6)
		to.addr = NET_OK6;
	len = net_sockaddr(&to, &ss);
	fd = open_socket(family, SOCK_DGRAM, 0);
	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len)) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	return fd;
}

int act_udp_to_other(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = connected_to_ok(ss.ss_family);

	if (fd < 0)
		return fd;
	return sendto(fd, net_nonce(), NET_NONCE, 0, (void *)&ss, len) < 0 ? -errno : 0;
}

int act_udp_reconnect(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = connected_to_ok(ss.ss_family);

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len) || send(fd, net_nonce(), NET_NONCE, 0) < 0)
		return -errno;
	return read_back(fd);
}

int act_udp_cork(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	if (sendto(fd, net_nonce(), NET_NONCE / 2, MSG_MORE, (void *)&ss, len) < 0 ||
	    sendto(fd, net_nonce() + NET_NONCE / 2, NET_NONCE / 2, 0, (void *)&ss, len) < 0)
		return -errno;
	return read_back(fd);
}

int act_udp_sendmmsg_second(const void *target)
{
	static const char harmless[] = "harmless";
	struct net_target ok = ok_udp;
	struct sockaddr_storage to[2];
	struct mmsghdr msgs[2] = {};
	struct iovec iov[2] = { { (void *)harmless, sizeof(harmless) },
				{ (void *)net_nonce(), NET_NONCE } };
	socklen_t len = net_sockaddr(target, &to[1]);
	_cleanup_close_ int fd = -1;
	int i, sent;

	if (to[1].ss_family == AF_INET6)
		ok.addr = NET_OK6;
	fd = open_socket(to[1].ss_family, SOCK_DGRAM, 0);
	if (fd < 0)
		return fd;
	(void)net_sockaddr(&ok, &to[0]);
	for (i = 0; i < 2; i++)
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = &to[i], .msg_namelen = len,
						   .msg_iov = &iov[i], .msg_iovlen = 1 };
	sent = sendmmsg(fd, msgs, 2, 0);
	if (sent < 0)
		return -errno;
	/* the error of the second is lost when the first went: it is the next call's */
	return sent == 2 ? 0 : -EPERM;
}

/* ---- io_uring: one request at a time, no library ------------------------------------ */

struct ring {
	int fd;
	void *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params p;
};

static int ring_open(struct ring *r)
{
	size_t sq_len, cq_len;

	memset(r, 0, sizeof(*r));
	r->fd = (int)syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		return -errno;
	sq_len = r->p.sq_off.array + r->p.sq_entries * sizeof(__u32);
	cq_len = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
	r->sq = mmap(NULL, sq_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
		     IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, cq_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
		     IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	if (r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqes == MAP_FAILED)
		harness_die("mmap of a ring: %m");
	return 0;
}

static int ring_do(struct ring *r, const struct io_uring_sqe *sqe)
{
	__u32 *sq_tail = r->sq + r->p.sq_off.tail, *array = r->sq + r->p.sq_off.array;
	__u32 *cq_head = r->cq + r->p.cq_off.head, *cq_tail = r->cq + r->p.cq_off.tail;
	__u32 *sq_mask = r->sq + r->p.sq_off.ring_mask, *cq_mask = r->cq + r->p.cq_off.ring_mask;
	struct io_uring_cqe *cqes = r->cq + r->p.cq_off.cqes;
	__u32 tail = *sq_tail, head = *cq_head;
	int res;

	r->sqes[tail & *sq_mask] = *sqe;
	array[tail & *sq_mask] = tail & *sq_mask;
	__atomic_store_n(sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	if (__atomic_load_n(cq_tail, __ATOMIC_ACQUIRE) == head)
		return -EPROTO;
	res = cqes[head & *cq_mask].res;
	__atomic_store_n(cq_head, head + 1, __ATOMIC_RELEASE);
	return res;
}

int act_uring_tcp(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_STREAM, 0);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT, .fd = fd,
				    .addr = (uintptr_t)&ss, .off = len };
	struct ring r;
	int err;

	if (fd < 0)
		return fd;
	err = ring_open(&r);
	if (!err)
		err = ring_do(&r, &sqe);
	if (err < 0)
		return err;
	sqe = (struct io_uring_sqe){ .opcode = IORING_OP_SEND, .fd = fd,
				     .addr = (uintptr_t)net_nonce(), .len = NET_NONCE,
				     .msg_flags = MSG_NOSIGNAL };
	err = ring_do(&r, &sqe);
	return err < 0 ? err : read_back(fd);
}

int act_uring_udp(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	struct iovec iov = { (void *)net_nonce(), NET_NONCE };
	struct msghdr msg = { .msg_name = &ss, .msg_namelen = len, .msg_iov = &iov,
			      .msg_iovlen = 1 };
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_DGRAM, 0);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SENDMSG, .fd = fd,
				    .addr = (uintptr_t)&msg, .len = 1 };
	struct ring r;
	int err;

	if (fd < 0)
		return fd;
	err = ring_open(&r);
	if (!err)
		err = ring_do(&r, &sqe);
	return err < 0 ? err : read_back(fd);
}

/* ---- other protocols ------------------------------------------------------------------ */

int act_sctp(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_STREAM, IPPROTO_SCTP);

	if (fd < 0)
		return fd;
	if (!connect(fd, (void *)&ss, len) || errno == ECONNREFUSED)
		return 0; /* the host was asked, which is what counts */
	return -errno;
}

int act_ping(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	bool v6 = ss.ss_family == AF_INET6;
	uint8_t echo[8 + NET_NONCE] = { v6 ? 128 : 8 };
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_DGRAM,
					     v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);

	if (fd < 0)
		return fd;
	memcpy(echo + 8, net_nonce(), NET_NONCE);
	if (sendto(fd, echo, sizeof(echo), 0, (void *)&ss, len) < 0)
		return -errno;
	return 0;
}

int act_raw_udp(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	struct {
		struct udphdr udp;
		uint8_t data[NET_NONCE];
	} packet = { .udp = { .source = htons(4000), .len = htons(sizeof(packet)) } };
	_cleanup_close_ int fd = open_socket(ss.ss_family, SOCK_RAW, IPPROTO_UDP);

	if (fd < 0)
		return fd;
	packet.udp.dest = ((struct sockaddr_in *)&ss)->sin_port;
	memcpy(packet.data, net_nonce(), NET_NONCE);
	if (ss.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&ss)->sin6_port = 0;
	return sendto(fd, &packet, sizeof(packet), 0, (void *)&ss, len) < 0 ? -errno : 0;
}

/* ---- the judge --------------------------------------------------------------------------- */

void net_before(const void *arg)
{
	(void)arg;
	net_reset();
}

void net_after(const void *arg, bool refused)
{
	enum net_host h;

	(void)arg;
	for (h = 0; refused && h < NET_HOSTS; h++) {
		struct net_seen seen = net_seen(h);

		check(!seen.nonces, "host %d saw the nonce in %lu frames", h, seen.nonces);
		check(!seen.tcp_accepted, "host %d accepted %lu connections", h,
		      seen.tcp_accepted);
	}
}
