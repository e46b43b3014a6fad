/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The test hosts themselves: what reaches one is counted there, and only there. */
#include "harness.h"
#include "net_hosts.h"

#include "util.h"

static const struct {
	const char *name;
	act_fn act;
} verbs[] = {
	{ "tcp", act_tcp },
	{ "udp sendto", act_udp_sendto },
	{ "udp connected", act_udp_connected },
	{ "udp sendmsg", act_udp_sendmsg },
	{ "udp sendmmsg", act_udp_sendmmsg },
};

static const struct {
	enum net_host host;
	struct net_target target;
} targets[] = {
	{ NET_OK, { NET_OK4, NET_PORT } },
	{ NET_OK, { NET_OK6, 443 } },
	{ NET_EVIL, { NET_EVIL4, 53 } },
	{ NET_EVIL, { NET_EVIL6, NET_PORT } },
	{ NET_EVIL, { "::ffff:" NET_EVIL4, NET_PORT } },
	{ NET_EVIL, { "169.254.169.254", 80 } },
	{ NET_EVIL, { "fd00:ec2::254", 80 } },
	{ NET_DNS, { NET_DNS4, 53 } },
};

static void check_counts(enum net_host there, bool tcp)
{
	enum net_host h;

	for (h = 0; h < NET_HOSTS; h++) {
		struct net_seen seen = net_seen(h);

		if (h != there) {
			check(!seen.frames && !seen.nonces, "host %d saw %lu frames", h,
			      seen.frames);
			continue;
		}
		check(seen.nonces > 0 && seen.frames >= seen.nonces, "%lu of %lu frames",
		      seen.nonces, seen.frames);
		check(seen.tcp_accepted == tcp, "%lu connections", seen.tcp_accepted);
		check(tcp || seen.udp_datagrams, "no datagram");
	}
}

int main(int argc, char **argv)
{
	size_t v, t;

	harness_init(argc, argv);
	net_up();
	for (t = 0; t < ARRAY_SIZE(targets); t++) {
		for (v = 0; v < ARRAY_SIZE(verbs); v++) {
			int result;

			if (!case_begin("%s to %s", verbs[v].name, targets[t].target.addr))
				continue;
			net_reset();
			result = box_run(NULL, AS_USER, verbs[v].act, &targets[t].target);
			check(result >= 0, "%s", result_text(result));
			check_counts(targets[t].host, verbs[v].act == act_tcp);
			case_end();
		}
	}
	return harness_done();
}
