/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kinds of sockets, and what changes the way of packets: families and protocols
 * beyond TCP and UDP, routing headers and options, groups, netlink, tun.
 */
#include "egress_acts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util.h"

/* ---- families ------------------------------------------------------------------- */

struct kind {
	const char *name;
	int family, type, protocol;
	const char *allow; /* in `sockets`; NULL: never */
	bool root;
};

static int act_socket(const void *arg)
{
	const struct kind *k = arg;
	int fd = socket(k->family, k->type, k->protocol);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static const struct kind kinds[] = {
	{ "MPTCP", AF_INET, SOCK_STREAM, 262, "mptcp", false },
	{ "MPTCP over IPv6", AF_INET6, SOCK_STREAM, 262, "mptcp", false },
	{ "SCTP", AF_INET, SOCK_STREAM, IPPROTO_SCTP, "sctp", false },
	{ "SCTP seqpacket", AF_INET6, SOCK_SEQPACKET, IPPROTO_SCTP, "sctp", false },
	{ "UDP-Lite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, NULL, false },
	{ "DCCP", AF_INET, 6, IPPROTO_DCCP, NULL, false },
	{ "ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, "ping", false },
	{ "ping over IPv6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, "ping", false },
	{ "raw", AF_INET, SOCK_RAW, IPPROTO_RAW, "raw", true },
	{ "raw over IPv6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, "raw", true },
	{ "packet", AF_PACKET, SOCK_RAW, 0, "packet", true },
	{ "packet of old", AF_INET, SOCK_PACKET, 0, "packet", true },
	{ "AF_XDP", AF_XDP, SOCK_RAW, 0, "xdp, raw", true },
	{ "vsock", AF_VSOCK, SOCK_STREAM, 0, "vsock", false },
	{ "AF_ALG", AF_ALG, SOCK_SEQPACKET, 0, "alg", false },
	{ "AF_KEY", AF_KEY, SOCK_RAW, 2, NULL, true },
	{ "TIPC", AF_TIPC, SOCK_RDM, 0, NULL, false },
	{ "KCM", AF_KCM, SOCK_DGRAM, 0, NULL, false },
	{ "netlink generic", AF_NETLINK, SOCK_RAW, NETLINK_GENERIC, "netlink:generic", false },
	{ "netlink sock_diag", AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, "netlink:sock_diag",
	  false },
	{ "netlink kobject_uevent", AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT,
	  "netlink:kobject_uevent", false },
	{ "netlink usersock", AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK, NULL, false },
};

static void test_kinds(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		attempt(&(struct attempt){
			.name = kinds[i].name, .act = act_socket, .arg = &kinds[i],
			.deny = POLICY_EGRESS("loopback: own"),
			.allow = kinds[i].allow ?
				 POLICY_EGRESS(str("sockets: [%s]", kinds[i].allow)) : NULL,
			.err = EPERM, .op = EG_OP_SOCKET, .reason = EG_WHY_FAMILY,
			.only_root = kinds[i].root,
		});
}

/* ---- where an allowed kind goes ---------------------------------------------------- */

static const struct net_target evil = { NET_EVIL4, NET_PORT };

static void test_others(void)
{
	static const struct {
		const char *name, *sockets;
		act_fn act;
		uint16_t op;
		uint8_t proto;
		bool root;
	} others[] = {
		{ "MPTCP to another host", "mptcp", act_mptcp, EG_OP_CONNECT, IPPROTO_TCP, false },
		{ "SCTP to another host", "sctp", act_sctp, EG_OP_CONNECT, IPPROTO_SCTP, false },
		{ "ping of another host", "ping", act_ping, EG_OP_SEND, IPPROTO_ICMP, false },
		{ "raw to another host", "raw", act_raw_udp, EG_OP_SEND, IPPROTO_UDP, true },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		attempt(&(struct attempt){
			.name = others[i].name, .act = others[i].act, .arg = &evil,
			.deny = POLICY_EGRESS(str("sockets: [%s]", others[i].sockets),
					      "allow: [\"" NET_OK4 ":*\"]"),
			.allow = POLICY_EGRESS(str("sockets: [%s]", others[i].sockets),
					       "allow: [\"" NET_EVIL4 ":*\", "
					       "\"" NET_EVIL4 ":*/sctp\", \""
					       NET_EVIL4 ":*/icmp\"]"),
			.err = EPERM, .op = others[i].op, .reason = EG_WHY_RULE,
			.proto = others[i].proto, .addr = NET_EVIL4,
			.only_root = others[i].root, .before = net_before, .after = net_after,
		});
}

/* ---- options and headers ------------------------------------------------------------- */

/* To `evil` by way of a header, while the address says `ok`. */
static const uint8_t lsrr[] = { 131, 7, 4, 10, 203, 2, 2, 0 };

static int option(int family, int level, int name, const void *value, socklen_t len)
{
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return setsockopt(fd, level, name, value, len) ? -errno : 0;
}

static int act_option_lsrr(const void *arg)
{
	(void)arg;
	return option(AF_INET, IPPROTO_IP, 4 /* IP_OPTIONS */, lsrr, sizeof(lsrr));
}

static size_t make_srh(uint8_t *srh)
{
	struct net_target ends[] = { { NET_OK6, 0 }, { NET_EVIL6, 0 } };
	struct sockaddr_storage ss;
	size_t i;

	/* type 4, two segments, the first to visit is the last in the list */
	memcpy(srh, (const uint8_t[]){ 0, 4, 4, 1, 1, 0, 0, 0 }, 8);
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		(void)net_sockaddr(&ends[i], &ss);
		memcpy(srh + 8 + 16 * i, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	}
	return 40;
}

static int act_option_srh(const void *arg)
{
	uint8_t srh[40];

	(void)arg;
	return option(AF_INET6, IPPROTO_IPV6, IPV6_RTHDR, srh, (socklen_t)make_srh(srh));
}

static int act_option_join(const void *arg)
{
	struct ip_mreq m = { .imr_multiaddr.s_addr = htonl(0xef010203),
			     .imr_interface.s_addr = htonl(0x0acb0201) };

	(void)arg;
	return option(AF_INET, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m));
}

static int act_option_reuseport(const void *arg)
{
	struct {
		unsigned short code;
		unsigned char jt, jf;
		unsigned int k;
	} ret0 = { 6, 0, 0, 0 };
	struct {
		unsigned short len;
		void *filter;
	} prog = { 1, &ret0 };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int one = 1;

	(void)arg;
	if (fd < 0)
		return -errno;
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
	return setsockopt(fd, SOL_SOCKET, 51 /* SO_ATTACH_REUSEPORT_CBPF */, &prog,
			  sizeof(prog)) ? -errno : 0;
}

/* A datagram to ok, with a control message that adds a header. */
static int send_with(const struct net_target *to, int level, int type, const void *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t salen = net_sockaddr(to, &ss);
	union {
		char buf[CMSG_SPACE(64)];
		struct cmsghdr align;
	} u = {};
	struct iovec iov = { (void *)net_nonce(), NET_NONCE };
	struct msghdr msg = { .msg_name = &ss, .msg_namelen = salen, .msg_iov = &iov,
			      .msg_iovlen = 1, .msg_control = u.buf,
			      .msg_controllen = CMSG_SPACE(len) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	_cleanup_close_ int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

static int act_send_lsrr(const void *arg)
{
	(void)arg;
	return send_with(&(struct net_target){ NET_OK4, NET_PORT }, IPPROTO_IP, IP_RETOPTS, lsrr,
			 sizeof(lsrr));
}

static int act_send_hopopts(const void *arg)
{
	static const uint8_t padding[] = { 0, 0, 1, 4, 0, 0, 0, 0 };

	(void)arg;
	return send_with(&(struct net_target){ NET_OK6, NET_PORT }, IPPROTO_IPV6, IPV6_DSTOPTS,
			 padding, sizeof(padding));
}

static const char ok_all[] = "allow: [\"" NET_OK4 ":*\", \"[" NET_OK6 "]:*\"]";

static void test_headers(void)
{
	static const struct {
		const char *name;
		act_fn act;
		uint16_t op;
		bool root;
	} headers[] = {
		{ "IP_OPTIONS, source route", act_option_lsrr, EG_OP_SOCKOPT, true },
		{ "IPV6_RTHDR, segment routing", act_option_srh, EG_OP_SOCKOPT, false },
		{ "join a group", act_option_join, EG_OP_SOCKOPT, false },
		{ "choose a listener by program", act_option_reuseport, EG_OP_SOCKOPT, false },
		{ "source route in a control message", act_send_lsrr, EG_OP_PACKET, true },
		{ "extension header in a control message", act_send_hopopts, EG_OP_PACKET, true },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(headers); i++)
		attempt(&(struct attempt){
			.name = headers[i].name, .act = headers[i].act,
			/* raw: so that the guard does not refuse the capability first */
			.deny = POLICY_EGRESS(ok_all, "sockets: [raw]"),
			.err = EPERM, .op = headers[i].op, .reason = EG_WHY_HEADERS,
			.only_root = headers[i].root,
			.before = net_before, .after = net_after,
		});
}

/* ---- netlink, tun ------------------------------------------------------------------------ */

static size_t put_message(char *buf, uint16_t type, int index)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} m = { .h = { .nlmsg_len = sizeof(m), .nlmsg_type = type,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = 1 },
		.i = { .ifi_family = AF_UNSPEC, .ifi_index = index } };

	memcpy(buf, &m, sizeof(m));
	return sizeof(m);
}

/* Messages in one send; the answer to the last decides. */
static int rtnetlink(const char *buf, size_t len, size_t messages)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char answer[8192] __attribute__((aligned(8)));
	const struct nlmsghdr *h = (void *)answer;
	int err = -EPROTO;

	if (fd < 0 || send(fd, buf, len, 0) < 0)
		return -errno;
	while (messages) {
		if (recv(fd, answer, sizeof(answer), 0) < (ssize_t)sizeof(*h))
			return -errno;
		if (h->nlmsg_type != NLMSG_ERROR)
			continue;
		err = ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
		messages--;
	}
	return err;
}

static int act_link_change(const void *arg)
{
	char buf[64];

	(void)arg;
	return rtnetlink(buf, put_message(buf, RTM_NEWLINK, 1), 1);
}

static int act_link_change_behind(const void *arg)
{
	char buf[128];
	size_t n = put_message(buf, RTM_GETLINK, 1);

	(void)arg;
	n += put_message(buf + n, RTM_NEWLINK, 1);
	return rtnetlink(buf, n, 2);
}

static int act_link_read(const void *arg)
{
	char buf[64];

	(void)arg;
	return rtnetlink(buf, put_message(buf, RTM_GETLINK, 1), 1);
}

static int act_tun(const void *arg)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	(void)arg;
	if (fd < 0)
		return -errno;
	return ioctl(fd, TUNSETIFF, &ifr) ? -errno : 0;
}

static void test_links(void)
{
	static const struct attempt links[] = {
		{ .name = "change a link", .act = act_link_change },
		{ .name = "change a link behind a question", .act = act_link_change_behind },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(links); i++) {
		struct attempt a = links[i];

		a.deny = POLICY_EGRESS("loopback: own");
		a.allow = "version: 1\negress: {loopback: own}\nprivileges: [net_admin]\n";
		a.err = EPERM;
		a.op = EG_OP_NETLINK;
		a.reason = EG_WHY_GUARD;
		a.only_root = true;
		attempt(&a);
	}
	attempt(&(struct attempt){
		.name = "make a tunnel interface", .act = act_tun,
		.deny = POLICY_EGRESS("loopback: own"),
		.allow = "version: 1\negress: {loopback: own}\nfiles: {default: rwxc}\n"
			 "privileges: [net_admin]\n",
		.err = EACCES, .op = EG_OP_OPEN, .reason = EG_WHY_DEVICE, .path = "/dev/net/tun",
		.only_root = true,
	});
	if (case_begin("links can be read")) {
		struct box *b = box_shared(POLICY_EGRESS("loopback: own"));
		int r = box_run(b, AS_USER, act_link_read, NULL);

		check(!r, "%s", result_text(r));
		case_end();
	}
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	net_up();
	shell("sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
	shell("for m in sctp dccp_ipv4 af_key tipc kcm tun vsock algif_hash ip6table_filter; do "
	      "modprobe -q $m || true; done");
	test_kinds();
	test_others();
	test_headers();
	test_links();
	return harness_done();
}
