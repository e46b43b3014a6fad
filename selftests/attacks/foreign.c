/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that somebody else made, or uses; and others who come in. */
#include "attack.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static const struct dest evil = { EVIL4, PORT };

/* ---- made outside ------------------------------------------------------------------- */

static int use(int fd, bool connected, bool stream)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&evil, &ss);

	if (fd < 0)
		return fd;
	if (!connected && stream && connect(fd, (void *)&ss, len))
		return -errno;
	return send_nonce(fd, connected || stream ? NULL : &evil);
}

static int received(const void *what)
{
	return use(receive_fd(what), strstr(what, "connected"), strstr(what, "tcp"));
}

static int received_kind(const void *what)
{
	int fd = receive_fd(what);

	return fd < 0 ? fd : 0;
}

/* The message is taken by a ring. */
static int received_uring(const void *what)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct sockaddr_un a;
	socklen_t len = unix_name("@attacks-passer", &a);
	int s = open_socket(AF_UNIX, SOCK_STREAM, 0), fd;
	struct io_uring_sqe sqe = { .opcode = IORING_OP_RECVMSG, .fd = s, .addr = (uintptr_t)&m,
				    .len = 1 };

	if (s < 0 || connect(s, (void *)&a, len) || write(s, what, strlen(what)) < 0)
		return -errno;
	fd = uring(&sqe, 0);
	if (fd < 0)
		return fd;
	if (!CMSG_FIRSTHDR(&m) || CMSG_FIRSTHDR(&m)->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EACCES;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return use(fd, true, true);
}

/* The victim's connection, as number 9. */
static int taken(const void *unused)
{
	int pidfd = (int)syscall(SYS_pidfd_open, world.victim, 0), fd;

	(void)unused;
	if (pidfd < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, 9, 0);
	return fd < 0 ? -errno : use(fd, true, true);
}

/* What the shell had open when the sandbox was started. */
static int inherited(const void *unused)
{
	(void)unused;
	return send_nonce(9, NULL);
}

/* ---- used outside --------------------------------------------------------------------- */

static int lend(const void *unused)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {};
	struct iovec iov = { (void *)"lent", 4 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf,
			    .msg_controllen = sizeof(u.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct sockaddr_un a;
	socklen_t len = unix_name("@attacks-passer", &a);
	int s = open_socket(AF_UNIX, SOCK_STREAM, 0), fd = open_socket(AF_INET, SOCK_DGRAM, 0);

	(void)unused;
	if (s < 0 || fd < 0 || connect(s, (void *)&a, len))
		return -errno;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(s, &m, 0) < 0)
		return -errno;
	meet("lent");
	return -EPERM; /* it cannot know; the judge does */
}

/* ---- from outside in -------------------------------------------------------------------- */

static int listening(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if ((port && bind(fd, (void *)&at, sizeof(at))) || listen(fd, 4))
		return -errno;
	return fd;
}

static int answer(int fd)
{
	int c;

	meet("called"); /* evil has connected, or the kernel has refused it */
	c = accept(fd, NULL, NULL);
	return c < 0 ? -errno : send_nonce(c, NULL);
}

static int serve(const void *port)
{
	int fd = listening(*(const int *)port);

	return fd < 0 ? fd : answer(fd);
}

static int serve_uring(const void *port)
{
	int fd = listening(*(const int *)port), c;
	struct io_uring_sqe sqe = { .opcode = IORING_OP_ACCEPT, .fd = fd };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return fd;
	meet("called");
	/* the ring would wait for somebody who never comes */
	if (poll(&p, 1, 0) != 1)
		return -EAGAIN;
	c = uring(&sqe, 0);
	return c < 0 ? c : send_nonce(c, NULL);
}

static int hear(const void *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)*(const int *)port) };
	int fd = open_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (void *)&at, sizeof(at)))
		return -errno;
	meet("told");
	return loot_fd(fd);
}

#define PORTS(p) &(const int){ p }
#define ROW(n, f, a, e, v) { .name = n, .run = f, .arg = a, .judge = "evil", .err = e, .event = v }

const struct attack attacks_foreign[] = {
	ROW("A30:tcp", received, "tcp", "EPERM EACCES", "receive/foreign"),
	ROW("A30:tcp-connected", received, "tcp-connected", "EPERM EACCES", "receive/foreign"),
	ROW("A30:udp", received, "udp", "EPERM EACCES", "receive/foreign"),
	ROW("A30:udp-connected", received, "udp-connected", "EPERM EACCES", "receive/foreign"),
	ROW("A30:uring", received_uring, "tcp-connected", "EPERM EACCES", "receive/foreign"),
	ROW("A30:pidfd-getfd", taken, NULL, "EPERM", "ptrace/foreign"),
	{ .name = "A30:raw", .run = received_kind, .arg = "raw", .judge = "claim",
	  .err = "EACCES", .event = "receive/foreign" },
	{ .name = "A30:netlink", .run = received_kind, .arg = "netlink", .judge = "claim",
	  .err = "EACCES", .event = "receive/foreign" },
	ROW("A31:inherited", inherited, NULL, "EBADF ENOTSOCK", NULL),
	ROW("A32:lent", lend, NULL, "EPERM", "send/rule"),

	ROW("A33:accept", serve, PORTS(7100), "EAGAIN", "accept/rule"),
	ROW("A33:accept-uring", serve_uring, PORTS(7101), "EAGAIN", "accept/rule"),
	{ .name = "A35:syn-ack", .run = serve, .arg = PORTS(7102), .judge = "answered",
	  .err = "EAGAIN", .event = "accept/rule" },
	{ .name = "A36:datagram", .run = hear, .arg = PORTS(7103), .judge = "loot",
	  .err = "EAGAIN", .event = "accept/rule" },
	{},
};
