/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One process a host: it makes its network namespace, is given one end of a
 * veth pair, and then serves and sniffs in one poll loop. It is asked over a
 * socket pair, and answers with its counters.
 *
 * "Has it arrived?" is answered without waiting for time to pass: the parent
 * sends a marker from every processor through the same veth, and the host
 * answers when its sniffer has seen them all. Whatever was sent before from any
 * of them has been counted by then, because a veth queue keeps the order.
 */
#include "harness_int.h"
#include "net_hosts.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "util.h"

#define MAX_FDS 128
#define MARKER "egressctl-marker"
#define MARKER_PORT 9 /* discard */

static const int ports[] = NET_PORTS;

static const struct {
	const char *name, *v4, *v6;
	const char *more[8]; /* addresses that a route leads to this host */
} hosts[NET_HOSTS] = {
	[NET_OK] = { "ok", "10.203.1", "fd20:1:", {} },
	[NET_EVIL] = { "evil", "10.203.2", "fd20:2:",
		       { "169.254.169.254/32", "168.63.129.16/32", "100.100.100.200/32",
			 "fd00:ec2::254/128" } },
	[NET_DNS] = { "dns", "10.203.3", "fd20:3:", {} },
};

/* shared with the hosts and all children */
static struct shared {
	uint8_t nonce[NET_NONCE];
	struct net_seen seen[NET_HOSTS];
	uint64_t markers[NET_HOSTS];
} *shared;

static struct {
	pid_t pid;
	int ask; /* one byte: ready; then wanted number of markers -> answer */
} host[NET_HOSTS];
static bool up;

/* ---- a host ------------------------------------------------------------------------ */

struct server {
	enum net_host me;
	struct pollfd fds[MAX_FDS];
	enum { SNIFF, ASKED, LISTENER, STREAM, DATAGRAM } kind[MAX_FDS];
	nfds_t n;
	uint64_t wanted; /* markers the parent waits for; 0: it does not */
};

static void watch(struct server *s, int fd, int kind)
{
	if (s->n == MAX_FDS) {
		(void)close(fd);
		return;
	}
	s->fds[s->n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	s->kind[s->n++] = kind;
}

static void listen_on(struct server *s, int port, int type)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = must(socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), one = 1;

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	must(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)));
	must(bind(fd, (void *)&a, sizeof(a)));
	if (type == SOCK_STREAM)
		must(listen(fd, 64));
	watch(s, fd, type == SOCK_STREAM ? LISTENER : DATAGRAM);
}

/* n: of the frame, from the IP header on. */
static void sniff_tcp(struct net_seen *seen, const uint8_t *frame, size_t n, bool v6)
{
	size_t head = v6 ? 40 : (frame[0] & 15) * 4, len;
	uint8_t flags;

	if (n < head + 20 || frame[v6 ? 6 : 9] != IPPROTO_TCP)
		return;
	len = v6 ? 40u + (frame[4] << 8 | frame[5]) : (size_t)(frame[2] << 8 | frame[3]);
	flags = frame[head + 13];
	head += (frame[head + 12] >> 4) * 4u;
	seen->tcp_bytes += len > head ? len - head : 0;
	seen->tcp_opens += (flags & (TH_SYN | TH_ACK)) == TH_SYN;
}

static void sniff(struct server *s, int fd)
{
	static uint8_t frame[65536];
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, frame, sizeof(frame), MSG_TRUNC, (void *)&from, &len);
	struct net_seen *seen = &shared->seen[s->me];

	if (n < 0)
		return;
	n = MIN(n, (ssize_t)sizeof(frame));
	if (from.sll_pkttype == PACKET_OUTGOING)
		return;
	if (memmem(frame, n, MARKER, strlen(MARKER))) {
		shared->markers[s->me]++;
		return;
	}
	if (memmem(frame, n, shared->nonce, NET_NONCE))
		seen->nonces++;
	if (from.sll_pkttype != PACKET_HOST || from.sll_protocol == htons(ETH_P_ARP))
		return;
	/* neighbour discovery is to this host at times */
	if (from.sll_protocol == htons(ETH_P_IPV6) && n > 41 && frame[6] == IPPROTO_ICMPV6 &&
	    frame[40] >= 133 && frame[40] <= 137)
		return;
	seen->frames++;
	if (n > 20)
		sniff_tcp(seen, frame, n, from.sll_protocol == htons(ETH_P_IPV6));
}

/* Back from the address it came to, or a connected socket would not take it. */
static void echo_datagram(struct server *s, int fd)
{
	char data[4096], control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct sockaddr_storage from;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov,
			      .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, 0);

	if (n < 0 || memmem(data, n, MARKER, strlen(MARKER)))
		return;
	shared->seen[s->me].udp_datagrams++;
	iov.iov_len = n;
	(void)sendmsg(fd, &msg, 0); /* a client that is gone is its own business */
}

static void serve(struct server *s, nfds_t i)
{
	char data[4096];
	int fd = s->fds[i].fd, conn;
	ssize_t n;

	switch (s->kind[i]) {
	case SNIFF:
		sniff(s, fd);
		break;
	case ASKED:
		if (read(fd, &s->wanted, sizeof(s->wanted)) != sizeof(s->wanted))
			_exit(0); /* the test ended */
		break;
	case LISTENER:
		conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (conn >= 0) {
			shared->seen[s->me].tcp_accepted++;
			watch(s, conn, STREAM);
		}
		break;
	case STREAM:
		n = recv(fd, data, sizeof(data), 0);
		if (n > 0 && send(fd, data, n, MSG_NOSIGNAL) == n)
			break;
		(void)close(fd);
		s->n--;
		s->fds[i] = s->fds[s->n];
		s->kind[i] = s->kind[s->n];
		break;
	case DATAGRAM:
		echo_datagram(s, fd);
		break;
	}
}

static void host_main(enum net_host me, int asked)
{
	struct server s = { .me = me };
	size_t p;
	nfds_t i;

	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
	must(unshare(CLONE_NEWNET));
	must(write(asked, "n", 1));
	must(read(asked, &p, 1)); /* the interface has been moved in */
	shell("ip link set lo up && ip addr add %s.2/24 dev eth0 && "
	      "ip -6 addr add %s:2/64 dev eth0 nodad && ip link set eth0 up && "
	      "ip route add default via %s.1 && ip -6 route add default via %s:1",
	      hosts[me].v4, hosts[me].v6, hosts[me].v4, hosts[me].v6);
	for (p = 0; hosts[me].more[p]; p++)
		shell("ip addr add %s dev lo", hosts[me].more[p]);
	watch(&s, must(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			      htons(ETH_P_ALL))), SNIFF);
	watch(&s, asked, ASKED);
	for (p = 0; p < ARRAY_SIZE(ports); p++) {
		listen_on(&s, ports[p], SOCK_STREAM);
		listen_on(&s, ports[p], SOCK_DGRAM);
	}
	listen_on(&s, MARKER_PORT, SOCK_DGRAM);
	must(write(asked, "r", 1));
	for (;;) {
		must(poll(s.fds, s.n, -1));
		/* from the end: serving one may replace it by the last */
		for (i = s.n; i-- > 0;)
			if (i < s.n && s.fds[i].revents)
				serve(&s, i);
		if (s.wanted && shared->markers[me] >= s.wanted) {
			s.wanted = 0;
			must(write(asked, "m", 1));
		}
	}
}

/* ---- the parent ---------------------------------------------------------------------- */

static void answer(enum net_host h, const char *what)
{
	char c;

	if (read(host[h].ask, &c, 1) != 1)
		harness_die("host %s: %s", hosts[h].name, what);
}

static void start_host(enum net_host h)
{
	const char *name = hosts[h].name;
	int ends[2];
	size_t i;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	fflush(stdout);
	host[h].pid = must(fork());
	if (host[h].pid == 0)
		host_main(h, ends[1]);
	(void)close(ends[1]);
	host[h].ask = ends[0];
	answer(h, "has no namespace");
	shell("ip link add %s type veth peer name eth0 netns %d && ip addr add %s.1/24 dev %s && "
	      "ip -6 addr add %s:1/64 dev %s nodad && ip link set %s up",
	      name, host[h].pid, hosts[h].v4, name, hosts[h].v6, name, name);
	must(write(host[h].ask, "i", 1));
	answer(h, "does not serve");
	for (i = 0; hosts[h].more[i]; i++)
		shell("ip route add %s via %s%s dev %s", hosts[h].more[i],
		      strchr(hosts[h].more[i], ':') ? hosts[h].v6 : hosts[h].v4,
		      strchr(hosts[h].more[i], ':') ? ":2" : ".2", name);
}

void net_up(void)
{
	enum net_host h;

	if (up)
		return;
	up = true;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		harness_die("mmap: %m");
	/* A namespace of their own: nothing of the guest's, and nothing left behind. */
	must(unshare(CLONE_NEWNET));
	shell("modprobe veth && ip link set lo up");
	for (h = 0; h < NET_HOSTS; h++)
		start_host(h);
	net_reset();
}

void net_enter(enum net_host h)
{
	char path[64];
	int fd;

	/* by name: children have no descriptors of ours */
	snprintf(path, sizeof(path), "/proc/%d/ns/net", host[h].pid);
	fd = must(open(path, O_RDONLY | O_CLOEXEC));
	must(setns(fd, CLONE_NEWNET));
	(void)close(fd);
}

const uint8_t *net_nonce(void)
{
	return shared->nonce;
}

/* From every processor, so that every queue between here and the host is flushed. */
static uint64_t send_markers(enum net_host h)
{
	struct net_target t = { .addr = str("%s.2", hosts[h].v4), .port = MARKER_PORT };
	_cleanup_close_ int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&t, &ss);
	cpu_set_t all, one;
	uint64_t sent = 0;
	int cpu;

	must(sched_getaffinity(0, sizeof(all), &all));
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		must(sched_setaffinity(0, sizeof(one), &one));
		must(sendto(fd, MARKER, strlen(MARKER), 0, (void *)&ss, len));
		sent++;
	}
	must(sched_setaffinity(0, sizeof(all), &all));
	return sent;
}

struct net_seen net_seen(enum net_host h)
{
	static uint64_t sent[NET_HOSTS];

	sent[h] += send_markers(h);
	must(write(host[h].ask, &sent[h], sizeof(sent[h])));
	answer(h, "lost a marker");
	return shared->seen[h];
}

void net_reset(void)
{
	enum net_host h;

	/* what is still under way belongs to the attempt before */
	for (h = 0; h < NET_HOSTS; h++)
		(void)net_seen(h);
	memset(shared->seen, 0, sizeof(shared->seen));
	if (getrandom(shared->nonce, sizeof(shared->nonce), 0) != sizeof(shared->nonce))
		harness_die("getrandom: %m");
}

/* ---- acts ------------------------------------------------------------------------------ */

socklen_t net_sockaddr(const struct net_target *t, struct sockaddr_storage *ss)
{
	struct sockaddr_in *v4 = (void *)ss;
	struct sockaddr_in6 *v6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, t->addr, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(t->port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, t->addr, &v6->sin6_addr) != 1)
		harness_die("'%s' is no address", t->addr);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(t->port);
	return sizeof(*v6);
}

/* A test must not hang because an answer was dropped. */
static int net_socket(const struct sockaddr_storage *ss, int type)
{
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(ss->ss_family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	return fd;
}

static int read_echo(int fd)
{
	uint8_t back[NET_NONCE];

	if (recv(fd, back, sizeof(back), MSG_WAITALL) != sizeof(back))
		return errno ? -errno : -EPROTO;
	return memcmp(back, net_nonce(), sizeof(back)) ? -EPROTO : 0;
}

int act_tcp(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = net_socket(&ss, SOCK_STREAM);

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len) || send(fd, net_nonce(), NET_NONCE, MSG_NOSIGNAL) < 0)
		return -errno;
	errno = 0;
	return read_echo(fd);
}

int act_udp_sendto(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = net_socket(&ss, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	if (sendto(fd, net_nonce(), NET_NONCE, 0, (void *)&ss, len) < 0)
		return -errno;
	return read_echo(fd);
}

int act_udp_connected(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = net_socket(&ss, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len) || send(fd, net_nonce(), NET_NONCE, 0) < 0)
		return -errno;
	return read_echo(fd);
}

int act_udp_sendmsg(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	struct iovec iov = { (void *)net_nonce(), NET_NONCE };
	struct msghdr msg = { .msg_name = &ss, .msg_namelen = len, .msg_iov = &iov,
			      .msg_iovlen = 1 };
	_cleanup_close_ int fd = net_socket(&ss, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	if (sendmsg(fd, &msg, 0) < 0)
		return -errno;
	return read_echo(fd);
}

int act_udp_sendmmsg(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	struct iovec iov = { (void *)net_nonce(), NET_NONCE };
	struct mmsghdr msgs[2] = {};
	_cleanup_close_ int fd = net_socket(&ss, SOCK_DGRAM);
	int sent, i;

	if (fd < 0)
		return fd;
	for (i = 0; i < 2; i++)
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = &ss, .msg_namelen = len,
						   .msg_iov = &iov, .msg_iovlen = 1 };
	sent = sendmmsg(fd, msgs, 2, 0);
	return sent < 0 ? -errno : sent;
}
