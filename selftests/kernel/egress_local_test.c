/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Conversations on this host and towards a sandbox: whose listener may be
 * reached (`loopback`), who may reach the sandbox's (`listen`), and what passed
 * descriptors are good for.
 */
#include "egress_acts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

#define PORT 7001
#define DROPPED (-EINPROGRESS) /* a refused SYN has no answer, see limit_patience() */

/*
 * Whoever is not let in gets no answer, and TCP would ask for minutes. Nothing
 * else depends on these limits: they end the waiting.
 */
static void limit_patience(int fd)
{
	struct timeval limit = { .tv_sec = 2 };

	must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
}

/* ---- two ends ----------------------------------------------------------------------- */

enum place { OUTSIDE, BOX, OTHER_BOX, HOST_OK, HOST_EVIL };

struct ends {
	const char *name;
	enum place server, client;
	const char *listens; /* server's address */
	const char *connects; /* client's */
	const char *policy; /* of BOX; OTHER_BOX has loopback: own, listen: any */
	int result; /* of the client; of the server when `no_listen` */
	uint16_t op; /* event in BOX; 0: none */
	uint8_t reason;
	bool udp, no_listen;
};

static int listen_on(const struct ends *e)
{
	struct net_target at = { e->listens, PORT };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&at, &ss);
	int one = 1, fd = socket(ss.ss_family, (e->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC,
				 0);

	if (fd < 0)
		return -errno;
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	must(bind(fd, (void *)&ss, len));
	return e->udp || !listen(fd, 8) ? fd : -errno;
}

static void enter_place(enum place p)
{
	if (p == HOST_OK)
		net_enter(NET_OK);
	if (p == HOST_EVIL)
		net_enter(NET_EVIL);
}

/* How many conversations have come when the client is done; answers one. */
static int act_serve(const void *arg)
{
	const struct ends *e = arg;
	char byte;
	int fd, n = 0;

	enter_place(e->server);
	fd = listen_on(e);
	child_meet(); /* ready */
	if (fd < 0)
		return fd;
	child_meet(); /* the client has sent, or given up */
	if (e->udp) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);

		while (recvfrom(fd, &byte, 1, MSG_DONTWAIT, (void *)&from, &len) == 1) {
			n++;
			if (sendto(fd, &byte, 1, 0, (void *)&from, len) < 0)
				return -errno;
		}
	} else {
		int conn;

		must(fcntl(fd, F_SETFL, O_NONBLOCK));
		while ((conn = accept(fd, NULL, NULL)) >= 0) {
			n++;
			if (read(conn, &byte, 1) == 1 && write(conn, &byte, 1) < 0)
				return -errno;
			(void)close(conn);
		}
	}
	return n;
}

static int act_reach(const void *arg)
{
	const struct ends *e = arg;
	struct net_target to = { e->connects, PORT };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&to, &ss);
	char byte = 'x';
	int fd;

	enter_place(e->client);
	fd = socket(ss.ss_family, (e->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	limit_patience(fd);
	if (e->udp ? sendto(fd, &byte, 1, 0, (void *)&ss, len) < 0 :
		     connect(fd, (void *)&ss, len) || write(fd, &byte, 1) < 0) {
		int err = -errno;

		child_meet();
		child_meet();
		return err;
	}
	child_meet(); /* sent; the server answers */
	child_meet();
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 1 ? 0 : DROPPED;
}

static struct box *box_at(enum place p, const char *policy)
{
	switch (p) {
	case BOX:
		return box_shared(policy);
	case OTHER_BOX:
		return box_shared("version: 1\negress: {loopback: own, listen: any}\n");
	default:
		return NULL;
	}
}

static void check_events(const struct ends *e, struct box *b)
{
	_cleanup_free_ struct seen *events = NULL;
	size_t n = box_events(b, &events), i;

	if (!e->op)
		check(!n, "%zu events, expected none", n);
	else
		check(n >= 1, "no event");
	for (i = 0; i < n; i++) {
		bool as_expected = events[i].op == e->op && events[i].reason == e->reason;

		if (!check(as_expected, "another event"))
			seen_print(&events[i]);
	}
}

static void test_ends(const struct ends *e)
{
	struct box *b = box_shared(e->policy);
	struct child server, client;
	int served, reached = 0;

	if (!case_begin("%s%s", e->udp ? "udp: " : "", e->name))
		return;
	box_events_drop(b);
	child_start(&server, box_at(e->server, e->policy), AS_USER, act_serve, e);
	child_meet_from_parent(&server);
	if (e->no_listen) {
		served = child_wait(&server);
		check(served == e->result, "server: %s, expected %s", result_text(served),
		      result_text(e->result));
		check_events(e, b);
		case_end();
		return;
	}
	/* only root may move into another host's namespace */
	child_start(&client, box_at(e->client, e->policy), e->client >= HOST_OK ? AS_ROOT : AS_USER,
		    act_reach, e);
	child_meet_from_parent(&client);
	child_meet_from_parent(&server);
	served = child_wait(&server);
	child_meet_from_parent(&client);
	reached = child_wait(&client);
	check(reached == e->result, "client: %s, expected %s", result_text(reached),
	      result_text(e->result));
	check(served == (e->result == 0), "the server had %s conversations", result_text(served));
	check_events(e, b);
	case_end();
}

#define OWN "version: 1\negress: {loopback: own, listen: own}\n"
#define OWN_NONE "version: 1\negress: {loopback: own, listen: none}\n"
#define OWN_HOST "version: 1\negress: {loopback: own, listen: host}\n"
#define OWN_ANY "version: 1\negress: {loopback: own, listen: any}\n"
#define OWN_PORTS "version: 1\negress: {loopback: own, listen: {7000-7001: host}}\n"
#define OWN_OTHERS "version: 1\negress: {loopback: own, listen: {7002-7003: host}}\n"
#define NONE "version: 1\negress: {loopback: none}\n"
#define HOST "version: 1\negress: {loopback: host}\n"
#define ONE_PORT "version: 1\negress: {loopback: [own, 7001]}\n"
#define OTHER_PORT "version: 1\negress: {loopback: [own, 7002]}\n"
#define DENIED "version: 1\negress: {loopback: own, listen: any, deny: [10.203.1.2]}\n"

static const struct ends all[] = {
	{ "own listener", BOX, BOX, "127.0.0.1", "127.0.0.1", OWN, 0, 0, 0, false, false },
	{ "own, another of 127/8", BOX, BOX, "0.0.0.0", "127.9.9.9", OWN, 0, 0, 0, false, false },
	{ "own, any address", BOX, BOX, "0.0.0.0", "0.0.0.0", OWN, 0, 0, 0, false, false },
	{ "own, address of the host", BOX, BOX, "0.0.0.0", "10.203.1.1", OWN, 0, 0, 0, false,
	  false },
	{ "own, IPv6", BOX, BOX, "::1", "::1", OWN, 0, 0, 0, false, false },
	{ "own, IPv6 any", BOX, BOX, "::", "::", OWN, 0, 0, 0, false, false },
	{ "own, mapped", BOX, BOX, "127.0.0.1", "::ffff:127.0.0.1", OWN, 0, 0, 0, false, false },
	{ "own, IPv6 listener, IPv4 client", BOX, BOX, "::", "127.0.0.1", OWN, 0, 0, 0, false,
	  false },

	{ "listener of the host", OUTSIDE, BOX, "127.0.0.1", "127.0.0.1", OWN, -EPERM,
	  EG_OP_CONNECT,
	  EG_WHY_LOOPBACK, false, false },
	{ "listener of the host, any address", OUTSIDE, BOX, "0.0.0.0", "0.0.0.0", OWN, -EPERM,
	  EG_OP_CONNECT, EG_WHY_LOOPBACK, false, false },
	{ "listener of the host, its address", OUTSIDE, BOX, "0.0.0.0", "10.203.1.1", OWN, -EPERM,
	  EG_OP_CONNECT, EG_WHY_RULE, false, false },
	{ "listener of the host, IPv6", OUTSIDE, BOX, "::", "::1", OWN, -EPERM, EG_OP_CONNECT,
	  EG_WHY_LOOPBACK, false, false },
	{ "listener of the host, mapped", OUTSIDE, BOX, "0.0.0.0", "::ffff:127.0.0.1", OWN, -EPERM,
	  EG_OP_CONNECT, EG_WHY_LOOPBACK, false, false },
	{ "listener of another sandbox", OTHER_BOX, BOX, "127.0.0.1", "127.0.0.1", OWN, -EPERM,
	  EG_OP_CONNECT, EG_WHY_FOREIGN, false, false },
	{ "loopback: none, own listener", BOX, BOX, "127.0.0.1", "127.0.0.1", NONE, -EPERM,
	  EG_OP_CONNECT, EG_WHY_LOOPBACK, false, false },
	{ "loopback: host", OUTSIDE, BOX, "127.0.0.1", "127.0.0.1", HOST, 0, 0, 0, false, false },
	{ "loopback: this port", OUTSIDE, BOX, "127.0.0.1", "127.0.0.1", ONE_PORT, 0, 0, 0, false,
	  false },
	{ "loopback: this port, IPv6", OUTSIDE, BOX, "::1", "::1", ONE_PORT, 0, 0, 0, false,
	  false },
	{ "loopback: another port", OUTSIDE, BOX, "127.0.0.1", "127.0.0.1", OTHER_PORT, -EPERM,
	  EG_OP_CONNECT, EG_WHY_LOOPBACK, false, false },
	/* the address is not this host's, only the port is the listener's */
	{ "own listener, foreign address", BOX, BOX, "0.0.0.0", NET_EVIL4, OWN, DROPPED,
	  EG_OP_PACKET, EG_WHY_RULE, false, false },

	{ "listen: none", BOX, BOX, "127.0.0.1", "127.0.0.1", OWN_NONE, -EPERM, EG_OP_LISTEN,
	  EG_WHY_RULE, false, true },
	{ "listen: own, from the host", BOX, OUTSIDE, "127.0.0.1", "127.0.0.1", OWN, DROPPED,
	  EG_OP_ACCEPT, EG_WHY_LOOPBACK, false, false },
	{ "listen: own, from another host", BOX, HOST_EVIL, "0.0.0.0", "10.203.2.1", OWN, DROPPED,
	  EG_OP_ACCEPT, EG_WHY_RULE, false, false },
	{ "listen: host, from the host", BOX, OUTSIDE, "127.0.0.1", "127.0.0.1", OWN_HOST, 0, 0, 0,
	  false, false },
	{ "listen: host, from another host", BOX, HOST_EVIL, "0.0.0.0", "10.203.2.1", OWN_HOST,
	  DROPPED, EG_OP_ACCEPT, EG_WHY_RULE, false, false },
	{ "listen: any, from another host", BOX, HOST_OK, "0.0.0.0", "10.203.1.1", OWN_ANY, 0, 0, 0,
	  false, false },
	{ "listen: any, IPv6", BOX, HOST_OK, "::", "fd20:1::1", OWN_ANY, 0, 0, 0, false, false },
	{ "listen: any, from a denied host", BOX, HOST_OK, "0.0.0.0", "10.203.1.1", DENIED, DROPPED,
	  EG_OP_ACCEPT, EG_WHY_RULE, false, false },
	{ "listen: ports, this one", BOX, OUTSIDE, "127.0.0.1", "127.0.0.1", OWN_PORTS, 0, 0, 0,
	  false, false },
	{ "listen: ports, another", BOX, OUTSIDE, "127.0.0.1", "127.0.0.1", OWN_OTHERS, DROPPED,
	  EG_OP_ACCEPT, EG_WHY_LOOPBACK, false, false },

	{ "own socket", BOX, BOX, "127.0.0.1", "127.0.0.1", OWN, 0, 0, 0, true, false },
	{ "own socket, IPv6", BOX, BOX, "::1", "::1", OWN, 0, 0, 0, true, false },
	{ "socket of the host", OUTSIDE, BOX, "127.0.0.1", "127.0.0.1", OWN, -EPERM, EG_OP_SEND,
	  EG_WHY_LOOPBACK, true, false },
	{ "socket of another sandbox", OTHER_BOX, BOX, "127.0.0.1", "127.0.0.1", OWN, -EPERM,
	  EG_OP_SEND, EG_WHY_FOREIGN, true, false },
	{ "from the host", BOX, OUTSIDE, "127.0.0.1", "127.0.0.1", OWN, DROPPED, EG_OP_ACCEPT,
	  EG_WHY_LOOPBACK, true, false },
	{ "from another host", BOX, HOST_EVIL, "0.0.0.0", "10.203.2.1", OWN, DROPPED, EG_OP_ACCEPT,
	  EG_WHY_RULE, true, false },
	{ "listen: host, from the host", BOX, OUTSIDE, "127.0.0.1", "127.0.0.1", OWN_HOST, 0, 0, 0,
	  true, false },
	{ "listen: any, from another host", BOX, HOST_OK, "0.0.0.0", "10.203.1.1", OWN_ANY, 0, 0, 0,
	  true, false },
};

/* Nobody listens: the program hears what it would hear without a sandbox. */
static void test_nobody(void)
{
	static const struct net_target closed = { "127.0.0.1", 9 };
	struct box *b = box_shared(OWN);
	int r;

	if (!case_begin("a port of nobody's is refused as by the kernel"))
		return;
	r = box_run(b, AS_USER, act_tcp, &closed);
	check(r == -ECONNREFUSED, "%s", result_text(r));
	case_end();
}

/* ---- passed descriptors ---------------------------------------------------------------- */

#define PASSER "/tmp/egtest/passer"

struct passed {
	const char *name;
	int type;
	bool connected;
};

static int act_receive(const void *arg)
{
	const struct passed *p = arg;
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = PASSER };
	struct net_target evil = { NET_EVIL4, NET_PORT };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&evil, &ss);
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {};
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf,
			      .msg_controllen = sizeof(u.buf) };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), got;

	if (fd < 0 || connect(fd, (void *)&sun, sizeof(sun)) || recvmsg(fd, &msg, 0) != 1)
		return -errno;
	if (!CMSG_FIRSTHDR(&msg))
		return -EPERM; /* the kernel closed what we may not receive */
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(got));
	if (!p->connected && p->type == SOCK_STREAM && connect(got, (void *)&ss, len))
		return -errno;
	if (sendto(got, net_nonce(), NET_NONCE, MSG_NOSIGNAL,
		   p->connected || p->type == SOCK_STREAM ? NULL : (void *)&ss, len) < 0)
		return -errno;
	return 0;
}

static int act_pass(const void *arg)
{
	const struct passed *p = arg;
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = PASSER };
	struct net_target evil = { NET_EVIL4, NET_PORT };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&evil, &ss);
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {};
	struct iovec iov = { "p", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf,
			      .msg_controllen = sizeof(u.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int listener = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), conn;
	int fd = must(socket(AF_INET, p->type | SOCK_CLOEXEC, 0));

	(void)unlink(PASSER);
	must(bind(listener, (void *)&sun, sizeof(sun)));
	must(listen(listener, 1));
	if (p->connected)
		must(connect(fd, (void *)&ss, len));
	child_meet();
	conn = must(accept(listener, NULL, NULL));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	must(sendmsg(conn, &msg, MSG_NOSIGNAL));
	return 0;
}

static void test_passed(const struct passed *p)
{
	struct box *b = box_shared("version: 1\negress: {unix: [" PASSER "]}\n");
	struct net_seen seen;
	struct child passer;
	int r;

	if (!case_begin("received: %s", p->name))
		return;
	child_start(&passer, NULL, AS_USER, act_pass, p);
	child_meet_from_parent(&passer);
	net_reset();
	r = box_run(b, AS_USER, act_receive, p);
	check(r == -EPERM, "%s", result_text(r));
	check(!child_wait(&passer), "the passer failed");
	seen = net_seen(NET_EVIL);
	check(!seen.nonces, "evil saw the nonce in %lu frames", seen.nonces);
	case_end();
}

int main(int argc, char **argv)
{
	static const struct passed passed[] = {
		{ "a connected TCP socket", SOCK_STREAM, true },
		{ "a TCP socket", SOCK_STREAM, false },
		{ "a connected UDP socket", SOCK_DGRAM, true },
		{ "a UDP socket", SOCK_DGRAM, false },
	};
	size_t i;

	harness_init(argc, argv);
	net_up();
	for (i = 0; i < ARRAY_SIZE(all); i++)
		test_ends(&all[i]);
	test_nobody();
	for (i = 0; i < ARRAY_SIZE(passed); i++)
		test_passed(&passed[i]);
	return harness_done();
}
