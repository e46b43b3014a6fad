/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Destinations by address: every way to send TCP and UDP, to a host the policy
 * does not name, in both address families and the mapped one; ports, protocols,
 * edges of prefixes, metadata addresses. What the host saw is the judge.
 */
#include "egress_acts.h"

#include "util.h"

#define OK_ALL "\"" NET_OK4 ":7001\", \"" NET_OK4 ":7001/udp\", \"[" NET_OK6 "]:7001\", " \
	"\"[" NET_OK6 "]:7001/udp\""
#define EVIL_ALL "\"" NET_EVIL4 ":7001\", \"" NET_EVIL4 ":7001/udp\", \"[" NET_EVIL6 "]:7001\", " \
	"\"[" NET_EVIL6 "]:7001/udp\""

static const struct net_target evil4 = { NET_EVIL4, NET_PORT };
static const struct net_target evil6 = { NET_EVIL6, NET_PORT };
static const struct net_target evil_mapped = { "::ffff:" NET_EVIL4, NET_PORT };

static const struct {
	const char *name;
	act_fn act;
	uint16_t op;
	uint8_t proto;
	bool no_mapped; /* its first packet goes to ok's own IPv6 address */
} verbs[] = {
	{ "tcp", act_tcp, EG_OP_CONNECT, IPPROTO_TCP, false },
	{ "tcp in the background", act_tcp_nonblock, EG_OP_CONNECT, IPPROTO_TCP, false },
	{ "tcp MSG_FASTOPEN", act_tcp_fastopen, EG_OP_CONNECT, IPPROTO_TCP, false },
	{ "tcp TCP_FASTOPEN_CONNECT", act_tcp_fastopen_connect, EG_OP_CONNECT, IPPROTO_TCP, false },
	{ "tcp by io_uring", act_uring_tcp, EG_OP_CONNECT, IPPROTO_TCP, false },
	{ "udp sendto", act_udp_sendto, EG_OP_SEND, IPPROTO_UDP, false },
	{ "udp connected", act_udp_connected, EG_OP_CONNECT, IPPROTO_UDP, false },
	{ "udp sendmsg", act_udp_sendmsg, EG_OP_SEND, IPPROTO_UDP, false },
	{ "udp sendmmsg", act_udp_sendmmsg, EG_OP_SEND, IPPROTO_UDP, false },
	{ "udp sendmmsg, the second", act_udp_sendmmsg_second, EG_OP_SEND, IPPROTO_UDP, true },
	{ "udp connected to another", act_udp_to_other, EG_OP_SEND, IPPROTO_UDP, true },
	{ "udp connected again", act_udp_reconnect, EG_OP_CONNECT, IPPROTO_UDP, true },
	{ "udp corked", act_udp_cork, EG_OP_SEND, IPPROTO_UDP, false },
	{ "udp by io_uring", act_uring_udp, EG_OP_SEND, IPPROTO_UDP, false },
};

static void test_verbs(void)
{
	const struct net_target *targets[] = { &evil4, &evil6, &evil_mapped };
	size_t v, t;

	for (v = 0; v < ARRAY_SIZE(verbs); v++) {
		for (t = 0; t < ARRAY_SIZE(targets); t++) {
			if (targets[t] == &evil_mapped && verbs[v].no_mapped)
				continue;
			attempt(&(struct attempt){
				.name = str("%s to %s", verbs[v].name, targets[t]->addr),
				.act = verbs[v].act, .arg = targets[t],
				.deny = POLICY_EGRESS("allow: [" OK_ALL "]"),
				.allow = POLICY_EGRESS("allow: [" OK_ALL ", " EVIL_ALL "]"),
				.err = EPERM, .op = verbs[v].op, .reason = EG_WHY_RULE,
				.proto = verbs[v].proto, .port = NET_PORT,
				.addr = targets[t] == &evil6 ? NET_EVIL6 : NET_EVIL4,
				.before = net_before, .after = net_after,
			});
		}
	}
}

/* Policies that come close, and one that hits. */
static const struct {
	const char *name;
	act_fn act;
	struct net_target target;
	const char *deny, *allow;
	uint8_t reason;
} edges[] = {
	{ "another port", act_tcp, { NET_OK4, 7002 }, "allow: [\"" NET_OK4 ":7001\"]",
	  "allow: [\"" NET_OK4 ":7002\"]", EG_WHY_RULE },
	{ "below a port range", act_tcp, { NET_OK4, 7001 }, "allow: [\"" NET_OK4 ":7002-7100\"]",
	  "allow: [\"" NET_OK4 ":7001-7100\"]", EG_WHY_RULE },
	{ "above a port range", act_tcp, { NET_OK4, 7002 }, "allow: [\"" NET_OK4 ":6000-7001\"]",
	  "allow: [\"" NET_OK4 ":6000-7002\"]", EG_WHY_RULE },
	{ "udp where tcp is allowed", act_udp_sendto, { NET_OK4, 7001 },
	  "allow: [\"" NET_OK4 ":7001/tcp\"]", "allow: [\"" NET_OK4 ":7001/udp\"]", EG_WHY_RULE },
	{ "tcp where udp is allowed", act_tcp, { NET_OK4, 7001 },
	  "allow: [\"" NET_OK4 ":7001/udp\"]", "allow: [\"" NET_OK4 ":7001/tcp\"]", EG_WHY_RULE },
	{ "next to a /32", act_tcp, { NET_EVIL4, 7001 }, "allow: [\"10.203.2.3/32:7001\"]",
	  "allow: [\"10.203.2.2/32:7001\"]", EG_WHY_RULE },
	{ "next to a /31", act_tcp, { NET_EVIL4, 7001 }, "allow: [\"10.203.2.0/31:7001\"]",
	  "allow: [\"10.203.2.2/31:7001\"]", EG_WHY_RULE },
	{ "next to a /24", act_tcp, { NET_EVIL4, 7001 }, "allow: [\"10.203.1.0/24:7001\"]",
	  "allow: [\"10.203.2.0/24:7001\"]", EG_WHY_RULE },
	{ "next to a /128", act_tcp, { NET_EVIL6, 7001 }, "allow: [\"[fd20:2::3]/128:7001\"]",
	  "allow: [\"[fd20:2::2]/128:7001\"]", EG_WHY_RULE },
	{ "next to a /64", act_tcp, { NET_EVIL6, 7001 }, "allow: [\"[fd20:3::]/64:7001\"]",
	  "allow: [\"[fd20:2::]/64:7001\"]", EG_WHY_RULE },
	{ "IPv6 everywhere is not IPv4", act_tcp, { NET_EVIL4, 7001 }, "allow: [\"[::]/0:7001\"]",
	  "allow: [\"0.0.0.0/0:7001\"]", EG_WHY_RULE },
	{ "deny inside allow", act_tcp, { NET_EVIL4, 7001 },
	  "{allow: [\"10.203.0.0/16:7001\"], deny: [10.203.2.0/24]}",
	  "{allow: [\"10.203.0.0/16:7001\"], deny: [10.203.3.0/24]}", EG_WHY_RULE },
	{ "deny around allow", act_tcp, { NET_EVIL4, 7001 },
	  "{allow: [\"10.203.2.2:7001\"], deny: [10.203.2.0/24]}",
	  "{allow: [\"10.203.2.2:7001\"], deny: [10.203.4.0/24]}", EG_WHY_RULE },
	{ "deny of one port", act_udp_sendto, { NET_EVIL4, 7001 },
	  "{allow: [\"10.203.2.2:*/udp\"], deny: [\"10.203.2.2:7001/udp\"]}",
	  "{allow: [\"10.203.2.2:*/udp\"], deny: [\"10.203.2.2:7001/tcp\"]}", EG_WHY_RULE },
	{ "metadata under allow-all", act_tcp, { "169.254.169.254", 80 },
	  "allow: [\"0.0.0.0/0:*\"]", "allow: [\"169.254.169.254:80\"]", EG_WHY_METADATA },
	{ "IPv6 metadata under allow-all", act_tcp, { "fd00:ec2::254", 80 },
	  "allow: [\"[::]/0:*\"]", "allow: [\"[fd00:ec2::254]:80\"]", EG_WHY_METADATA },
	{ "metadata, mapped", act_tcp, { "::ffff:169.254.169.254", 80 },
	  "allow: [\"0.0.0.0/0:*\", \"[::]/0:*\"]", "allow: [\"169.254.169.254:80\"]",
	  EG_WHY_METADATA },
};

/* "key: value" or a whole map of keys, in braces */
static const char *policy_of(const char *egress)
{
	return *egress == '{' ? str("version: 1\negress: %s\n", egress) : POLICY_EGRESS(egress);
}

static void test_edges(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(edges); i++)
		attempt(&(struct attempt){
			.name = edges[i].name, .act = edges[i].act, .arg = &edges[i].target,
			.deny = policy_of(edges[i].deny), .allow = policy_of(edges[i].allow),
			.err = EPERM,
			.op = edges[i].act == act_tcp ? EG_OP_CONNECT : EG_OP_SEND,
			.reason = edges[i].reason, .port = edges[i].target.port,
			.only_user = true,
			.before = net_before, .after = net_after,
		});
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	net_up();
	shell("sysctl -qw net.ipv4.tcp_fastopen=3");
	test_verbs();
	test_edges();
	return harness_done();
}
