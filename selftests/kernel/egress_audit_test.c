/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `mode: audit` for egress: everything is allowed, and what would not be is reported. */
#include "egress_acts.h"

#include <errno.h>
#include <unistd.h>

#include "util.h"

static const struct net_target evil = { NET_EVIL4, NET_PORT };
static const struct net_target evil6 = { NET_EVIL6, NET_PORT };
static const struct net_target local = { "127.0.0.1", 9 };

static int act_ping_socket(const void *unused)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	(void)unused;
	return fd < 0 ? -errno : close(fd);
}

static int act_option_refused(const void *unused)
{
	struct ip_mreqn m = { .imr_multiaddr.s_addr = htonl(0xef010203), .imr_ifindex = 1 };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	if (fd < 0)
		return -errno;
	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) ? -errno : 0;
}

static int act_tcp_listen(const void *unused)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	return fd < 0 || listen(fd, 1) ? -errno : 0;
}

static int act_nobody_there(const void *target)
{
	int r = act_tcp(target);

	return r == -ECONNREFUSED ? 0 : r;
}

static void test_audit(void)
{
	static const struct {
		const char *name;
		act_fn act;
		const struct net_target *to;
		uint16_t op;
		uint8_t reason;
		bool reaches;
	} t[] = {
		{ "TCP", act_tcp, &evil, EG_OP_CONNECT, EG_WHY_RULE, true },
		{ "TCP over IPv6", act_tcp, &evil6, EG_OP_CONNECT, EG_WHY_RULE, true },
		{ "a datagram", act_udp_sendto, &evil, EG_OP_SEND, EG_WHY_RULE, true },
		{ "a datagram over IPv6", act_udp_sendto, &evil6, EG_OP_SEND, EG_WHY_RULE, true },
		{ "connected UDP", act_udp_connected, &evil, EG_OP_CONNECT, EG_WHY_RULE, true },
		{ "loopback", act_nobody_there, &local, EG_OP_CONNECT, EG_WHY_LOOPBACK, false },
		{ "a kind of socket", act_ping_socket, NULL, EG_OP_SOCKET, EG_WHY_FAMILY, false },
		{ "an option", act_option_refused, NULL, EG_OP_SOCKOPT, EG_WHY_HEADERS, false },
		{ "listen", act_tcp_listen, NULL, EG_OP_LISTEN, EG_WHY_RULE, false },
	};
	struct box *b = box_shared("version: 1\nmode: audit\negress: {loopback: none, "
				   "listen: none, "
				   "allow: [\"" NET_OK4 ":*\", \"[" NET_OK6 "]:*\"]" "}\n");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_free_ struct seen *e = NULL;
		size_t n, k, expected = 0;
		int r;

		if (!case_begin("audit: %s is allowed and reported", t[i].name))
			continue;
		net_reset();
		box_events_drop(b);
		r = box_run(b, AS_USER, t[i].act, t[i].to);
		check(r == 0, "%s", result_text(r));
		check(!t[i].reaches || net_seen(NET_EVIL).nonces, "it did not arrive");
		n = box_events(b, &e);
		for (k = 0; k < n; k++) {
			expected += e[k].op == t[i].op && e[k].reason == t[i].reason;
			if (!check(e[k].verdict == EG_VERDICT_AUDIT, "verdict %u", e[k].verdict))
				seen_print(&e[k]);
		}
		check(expected == 1, "%zu such events of %zu", expected, n);
		case_end();
	}
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	net_up();
	shell("sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
	test_audit();
	return harness_done();
}
