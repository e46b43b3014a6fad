/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a hostile program tries with sockets that may exist: packets whose headers
 * say something else than connect() was told, addresses that change while they are
 * looked at, devices and marks, other network namespaces, address translation,
 * subflows that the kernel opens by itself, 32-bit system calls.
 */
#include "egress_acts.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h> /* before what includes <linux/if.h> */

#include <linux/if_tunnel.h>
#include <linux/ip.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "int80.h"
#include "util.h"

#define EVERYWHERE "allow: [\"0.0.0.0/0:*\", \"[::]/0:*\"]"

static const struct net_target evil = { NET_EVIL4, NET_PORT };
static const struct net_target ok = { NET_OK4, NET_PORT };
static const struct net_target ok6 = { NET_OK6, NET_PORT };

/* Bound to something, so that nothing waits for an answer: what was sent counts. */
static int send_nonce(int fd, const struct net_target *to)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(to, &ss);

	return sendto(fd, net_nonce(), NET_NONCE, MSG_NOSIGNAL, (void *)&ss, len) < 0 ? -errno : 0;
}

static void evil_heard(const void *arg, bool refused)
{
	struct net_seen seen = net_seen(NET_EVIL);

	(void)arg;
	check(refused == !seen.nonces, "evil saw the nonce in %lu frames", seen.nonces);
}

/* ---- headers that somebody put on a socket from outside ------------------------------ */

/*
 * setsockopt() refuses them inside (egress_kinds_test), and a control message needs
 * a capability. So the option comes from outside, by pidfd_getfd(): what is refused
 * here is the packet itself.
 */
struct header {
	const char *name;
	const struct net_target *to; /* what the program says */
	const char *seen; /* destination of the packet, in the event */
	int level, option;
	uint8_t value[40];
	socklen_t len;
};

#define OK6_BYTES 0xfd, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
#define EVIL6_BYTES 0xfd, 0x20, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2

static const struct header headers[] = {
	{ "an IPv4 source route", &ok, NET_EVIL4, IPPROTO_IP, 4 /* IP_OPTIONS */,
	  { 131, 7, 4, 10, 203, 2, 2, 0 }, 8 },
	{ "an IPv4 option", &ok, NET_OK4, IPPROTO_IP, 4, { 1, 1, 1, 0 }, 4 },
	/* type 4, two segments, the last in the list is the first to visit */
	{ "IPv6 segment routing", &ok6, NET_EVIL6, IPPROTO_IPV6, IPV6_RTHDR,
	  { 0, 4, 4, 1, 1, 0, 0, 0, OK6_BYTES, EVIL6_BYTES }, 40 },
	{ "an IPv6 destination option", &ok6, NET_OK6, IPPROTO_IPV6, IPV6_DSTOPTS,
	  { 0, 0, 1, 4, 0, 0, 0, 0 }, 8 },
};

static int act_send_when_told(const void *arg)
{
	const struct header *h = arg;
	struct sockaddr_storage ss;
	int fd, r;

	(void)net_sockaddr(h->to, &ss);
	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || dup2(fd, 10) < 0)
		return -errno;
	child_meet(); /* 10 is there */
	child_meet(); /* it has its option */
	r = send_nonce(fd, h->to);
	return r;
}

static int send_with_header(struct box *b, const struct header *h)
{
	_cleanup_close_ int fd = -1;
	struct child c;

	net_reset();
	child_start(&c, b, AS_USER, act_send_when_told, h);
	child_meet_from_parent(&c);
	fd = must((int)syscall(SYS_pidfd_getfd, c.pidfd, 10, 0));
	must(setsockopt(fd, h->level, h->option, h->value, h->len));
	child_meet_from_parent(&c);
	return child_wait(&c);
}

static void test_header(const struct header *h)
{
	struct box *b = box_shared(POLICY_EGRESS(NET_OK_ALL));
	_cleanup_free_ struct seen *e = NULL;
	enum net_host where = str_eq(h->seen, NET_EVIL4) || str_eq(h->seen, NET_EVIL6) ? NET_EVIL :
											   NET_OK;
	size_t n;
	int r;

	if (!case_begin("a packet with %s", h->name))
		return;
	r = send_with_header(NULL, h);
	check(!r && net_seen(where).nonces, "outside: %s, %lu frames", result_text(r),
	      net_seen(where).nonces);
	box_events_drop(b);
	r = send_with_header(b, h);
	check(r == -EPERM, "%s", result_text(r));
	check(!net_seen(NET_EVIL).nonces && !net_seen(NET_OK).nonces, "it was sent");
	n = box_events(b, &e);
	check(n == 1 && e->op == EG_OP_PACKET && e->reason == EG_WHY_HEADERS, "%zu events", n);
	case_end();
}

/* ---- packets made by hand, where the policy has raw sockets -------------------------- */

struct raw {
	uint8_t proto;
	uint16_t frag_off; /* host byte order */
};

static int act_raw(const void *arg)
{
	const struct raw *raw = arg;
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&ok, &ss);
	struct {
		struct iphdr ip;
		uint8_t data[8 + NET_NONCE];
	} p = { .ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = raw->proto,
			.frag_off = htons(raw->frag_off), .tot_len = htons(sizeof(p)) } };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	if (fd < 0)
		return -errno;
	p.ip.daddr = ((struct sockaddr_in *)&ss)->sin_addr.s_addr;
	memcpy(p.data + 8, net_nonce(), NET_NONCE);
	return sendto(fd, &p, sizeof(p), 0, (void *)&ss, len) < 0 ? -errno : 0;
}

static int act_raw6_fragment(const void *unused)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&ok6, &ss);
	struct __attribute__((packed)) {
		uint8_t ip6[40];
		uint8_t fragment[8]; /* UDP, offset 8, more to come */
		uint8_t data[NET_NONCE];
	} p = { .ip6 = { [0] = 0x60, [5] = sizeof(p) - 40, [6] = 44, [7] = 64 },
		.fragment = { 17, 0, 0, 9, 0, 0, 0, 1 } };
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	(void)unused;
	if (fd < 0)
		return -errno;
	((struct sockaddr_in6 *)&ss)->sin6_port = 0;
	memcpy(p.ip6 + 24, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	memcpy(p.data, net_nonce(), NET_NONCE);
	return sendto(fd, &p, sizeof(p), 0, (void *)&ss, len) < 0 ? -errno : 0;
}

static void test_raw(void)
{
	static const struct raw first = { IPPROTO_UDP, 0x2000 }, later = { IPPROTO_UDP, 0x2001 };
	static const struct raw ipip = { IPPROTO_IPIP, 0 }, gre = { IPPROTO_GRE, 0 };
#define R(n, a, p, w) \
	{ .name = n, .act = a, .arg = p, .op = EG_OP_PACKET, .reason = w, .err = EPERM, \
	  .deny = POLICY_EGRESS("sockets: [raw]", NET_OK_ALL), .before = net_before, \
	  .after = net_after, .only_root = true }
	struct attempt a[] = {
		R("a first fragment by hand", act_raw, &first, EG_WHY_HEADERS),
		R("a later fragment by hand", act_raw, &later, EG_WHY_HEADERS),
		R("an IPv6 fragment by hand", act_raw6_fragment, NULL, EG_WHY_HEADERS),
		R("IP in IP by hand, where TCP and UDP are allowed", act_raw, &ipip, EG_WHY_RULE),
		R("GRE by hand, where TCP and UDP are allowed", act_raw, &gre, EG_WHY_RULE),
	};
#undef R

	a[3].op = a[4].op = EG_OP_SEND;
	a[3].deny = a[4].deny = POLICY_EGRESS("sockets: [raw]", "allow: [\"" NET_OK4 ":*/tcp\", \""
					      NET_OK4 ":*/udp\"]");
	attempts(a, ARRAY_SIZE(a));
}

/* ---- an address that changes while it is looked at ----------------------------------- */

#define BURSTS 40
#define BURST 50 /* so many that a host has room for before it has counted them */

struct flip {
	struct sockaddr_in to;
	uint32_t addr[2];
	int stop;
};

static void *flip_address(void *arg)
{
	struct flip *f = arg;
	unsigned int i;

	for (i = 0; !__atomic_load_n(&f->stop, __ATOMIC_RELAXED); i++)
		__atomic_store_n(&f->to.sin_addr.s_addr, f->addr[i & 1], __ATOMIC_RELAXED);
	return NULL;
}

static int act_flip(const void *unused)
{
	struct flip f = { .to = { .sin_family = AF_INET, .sin_port = htons(NET_PORT) } };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	pthread_t t;
	int i, sent = 0;

	(void)unused;
	(void)net_sockaddr(&ok, &ss);
	f.addr[0] = ((struct sockaddr_in *)&ss)->sin_addr.s_addr;
	(void)net_sockaddr(&evil, &ss);
	f.addr[1] = ((struct sockaddr_in *)&ss)->sin_addr.s_addr;
	f.to.sin_addr.s_addr = f.addr[0];
	if (fd < 0 || pthread_create(&t, NULL, flip_address, &f))
		return -EAGAIN;
	for (i = 0; i < BURSTS * BURST; i++) {
		if (i % BURST == 0)
			child_meet();
		/* a connected socket, too: the kernel looks at the address it copied */
		if (i % 2 ? sendto(fd, net_nonce(), NET_NONCE, 0, (void *)&f.to, sizeof(f.to)) < 0 :
			    connect(fd, (void *)&f.to, sizeof(f.to)) ||
				    send(fd, net_nonce(), NET_NONCE, 0) < 0)
			continue;
		sent++;
	}
	f.stop = 1;
	pthread_join(t, NULL);
	return sent;
}

/* How much was sent; the hosts have counted all of it. */
static int run_flip(struct box *b)
{
	struct child c;
	int i;

	net_reset();
	child_start(&c, b, AS_USER, act_flip, NULL);
	for (i = 0; i < BURSTS; i++) {
		(void)net_seen(NET_OK);
		(void)net_seen(NET_EVIL);
		child_meet_from_parent(&c);
	}
	return child_wait(&c);
}

static void test_flip(void)
{
	struct box *b = box_shared(POLICY_EGRESS(NET_OK_ALL));
	int r;

	if (!case_begin("an address that another thread changes"))
		return;
	r = run_flip(NULL);
	check(r > 0 && net_seen(NET_OK).nonces && net_seen(NET_EVIL).nonces,
	      "outside: %s sent, %lu to ok, %lu to evil", result_text(r), net_seen(NET_OK).nonces,
	      net_seen(NET_EVIL).nonces);
	r = run_flip(b);
	check(r > 0 && net_seen(NET_OK).nonces, "%s sent, %lu to ok", result_text(r),
	      net_seen(NET_OK).nonces);
	check(!net_seen(NET_EVIL).nonces, "evil saw %lu", net_seen(NET_EVIL).nonces);
	check(box_counters(b)->denied > 0, "nothing was refused: no race");
	box_events_drop(b);
	case_end();
}

/* ---- devices, marks, sources, 32 bits ------------------------------------------------ */

static int bound_to(int level, int option, const void *value, socklen_t len)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, level, option, value, len))
		return -errno;
	return send_nonce(fd, &evil);
}

static int act_device(const void *unused)
{
	(void)unused;
	return bound_to(SOL_SOCKET, SO_BINDTODEVICE, "evil", 5);
}

static int act_unicast_if(const void *unused)
{
	uint32_t index = htonl(if_nametoindex("evil"));

	(void)unused;
	return bound_to(IPPROTO_IP, 50 /* IP_UNICAST_IF */, &index, sizeof(index));
}

static int act_udp32(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	int fd = int80(I386_SOCKET, ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0);

	if (fd < 0)
		return fd;
	return int80(I386_SENDTO, fd, int80_copy(net_nonce(), NET_NONCE), NET_NONCE, 0,
		     int80_copy(&ss, len), len);
}

static int act_tcp32(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	int fd = int80(I386_SOCKET, ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0, 0), r;

	if (fd < 0)
		return fd;
	r = int80(I386_CONNECT, fd, int80_copy(&ss, len), len, 0, 0, 0);
	if (r < 0)
		return r;
	return int80(I386_SENDTO, fd, int80_copy(net_nonce(), NET_NONCE), NET_NONCE, MSG_NOSIGNAL,
		     0, 0);
}

static void test_ways(void)
{
#define NETWORK(egress) "version: 1\nfiles: {default: rwxc}\negress: {" egress "}\n" \
	"privileges: [net_admin]\n"
#define W(n, a, o, w, ad, d, y) \
	{ .name = n, .act = a, .arg = &evil, .op = o, .reason = w, .addr = ad, .err = EPERM, \
	  .deny = d, .allow = y, .before = net_before, .after = evil_heard }
#define REFUSED(n, a) \
	W(n, a, EG_OP_SOCKOPT, EG_WHY_HEADERS, NULL, POLICY_EGRESS(EVERYWHERE), NETWORK(EVERYWHERE))
#define JUDGED(n, a, o, y) W(n, a, o, EG_WHY_RULE, NET_EVIL4, y(NET_OK_ALL), y(EVERYWHERE))
	const struct attempt a[] = {
		/* an allowed address is not what answers to it on another link */
		REFUSED("bound to the device", act_device),
		REFUSED("IP_UNICAST_IF", act_unicast_if),
		/* who may choose the device may not choose the address by it */
		JUDGED("bound to the device, as granted", act_device, EG_OP_SEND, NETWORK),
		JUDGED("IP_UNICAST_IF, as granted", act_unicast_if, EG_OP_SEND, NETWORK),
	};
	const struct attempt compat[] = {
		JUDGED("32-bit sendto", act_udp32, EG_OP_SEND, POLICY_EGRESS),
		JUDGED("32-bit connect", act_tcp32, EG_OP_CONNECT, POLICY_EGRESS),
	};
#undef JUDGED
#undef REFUSED
#undef W
#undef NETWORK

	attempts(a, ARRAY_SIZE(a));
	if (int80_works())
		attempts(compat, ARRAY_SIZE(compat));
	else if (case_begin("32-bit sockets"))
		case_skip("no 32-bit system calls"), case_end();
}

/* ---- what root can do to the network ------------------------------------------------- */

static const char *with_privileges(const char *list)
{
	return str("version: 1\nfiles: {default: rwxc}\negress: {" NET_OK_ALL "}\n"
		   "privileges: [%s]\n", list);
}

static int act_repair(const void *unused)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&ok, &ss);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	(void)unused;
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &one, sizeof(one)) ||
	    connect(fd, (void *)&ss, len))
		return -errno;
	return 0;
}

/* An established connection that nobody agreed to, to a refused host. */
static int act_repair_evil(const void *unused)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&evil, &ss);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1, off = -1 /* without a window probe */;

	(void)unused;
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &one, sizeof(one)) ||
	    connect(fd, (void *)&ss, len) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) ||
	    send(fd, net_nonce(), NET_NONCE, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

#define NETNS "/run/netns/egtest"

static int act_setns(const void *unused)
{
	_cleanup_close_ int fd = open(NETNS, O_RDONLY | O_CLOEXEC);

	(void)unused;
	return fd < 0 || setns(fd, CLONE_NEWNET) ? -errno : 0;
}

static int act_unshare(const void *unused)
{
	(void)unused;
	return unshare(CLONE_NEWNET) ? -errno : 0;
}

static int act_unshare_user(const void *unused)
{
	(void)unused;
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) ? -errno : 0;
}

static int device_ioctl(unsigned long cmd, void *arg)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, cmd, arg) ? -errno : 0;
}

static int act_tunnel(const void *unused)
{
	struct ip_tunnel_parm p = { .name = "egtunnel", .iph = { .version = 4, .ihl = 5,
								.protocol = IPPROTO_IPIP } };
	struct ifreq ifr = { .ifr_name = "tunl0", .ifr_data = (void *)&p };
	struct sockaddr_storage ss;
	int r;

	(void)unused;
	(void)net_sockaddr(&evil, &ss);
	p.iph.daddr = ((struct sockaddr_in *)&ss)->sin_addr.s_addr;
	r = device_ioctl(SIOCADDTUNNEL, &ifr);
	if (!r) {
		strcpy(ifr.ifr_name, "egtunnel");
		r = device_ioctl(SIOCDELTUNNEL, &ifr);
	}
	return r;
}

static int act_link_down(const void *unused)
{
	struct ifreq ifr = { .ifr_name = "lo" };

	(void)unused;
	return device_ioctl(SIOCGIFFLAGS, &ifr) ?: device_ioctl(SIOCSIFFLAGS, &ifr);
}

static void test_root(void)
{
	const char *none = with_privileges("");
#define N(n, a, p) \
	{ .name = n, .act = a, .op = EG_OP_CAPABLE, .reason = EG_WHY_GUARD, .err = EPERM, \
	  .deny = none, .allow = with_privileges(p), .only_root = true, .more_events = true }
	struct attempt a[] = {
		N("TCP_REPAIR", act_repair, "net_admin"),
		N("another network namespace by name", act_setns, "sys_admin"),
		N("a network namespace of its own", act_unshare, "sys_admin"),
		N("a tunnel by ioctl", act_tunnel, "net_admin"),
		N("a link's flags by ioctl", act_link_down, "net_admin"),
	};
	const struct attempt repair = {
		.name = "TCP_REPAIR to a refused host, where it is granted", .act = act_repair_evil,
		.op = EG_OP_CONNECT, .reason = EG_WHY_RULE, .addr = NET_EVIL4, .err = EPERM,
		.deny = with_privileges("net_admin"), .before = net_before, .after = net_after,
		.only_root = true,
	};
#undef N
	const struct attempt user = {
		.name = "a network namespace in a user namespace", .act = act_unshare_user,
		.op = EG_OP_USERNS, .reason = EG_WHY_GUARD, .err = EPERM, .deny = none,
		.allow = with_privileges("userns, sys_admin"), .only_user = true,
	};

	shell("modprobe ipip && ip netns add egtest");
	attempts(a, ARRAY_SIZE(a));
	attempt(&user);
	attempt(&repair);
	shell("ip netns del egtest");
}

/* Somebody outside translates an allowed address to a refused one. */
static void test_nat(void)
{
	static const struct attempt a = {
		.name = "an allowed address that is translated", .act = act_udp_sendto, .arg = &ok,
		.op = EG_OP_SEND, .reason = EG_WHY_RULE, .addr = NET_EVIL4, .err = EPERM,
		.before = net_before, .after = evil_heard,
	};
	struct attempt nat = a;

	nat.deny = POLICY_EGRESS(NET_OK_ALL);
	nat.allow = POLICY_EGRESS(EVERYWHERE);
	shell("nft 'add table ip egtest; add chain ip egtest out { type nat hook output priority "
	      "-100; }; add rule ip egtest out ip daddr " NET_OK4
	      " udp dport 7001 dnat to " NET_EVIL4 "'");
	attempt(&nat);
	shell("nft delete table ip egtest");
}

int main(int argc, char **argv)
{
	size_t i;

	harness_init(argc, argv);
	net_up();
	for (i = 0; i < ARRAY_SIZE(headers); i++)
		test_header(&headers[i]);
	test_raw();
	test_flip();
	test_ways();
	test_root();
	test_nat();
	test_mptcp_subflow();
	return harness_done();
}
