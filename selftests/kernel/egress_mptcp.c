/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* MPTCP: the server names another address, and the kernel goes there. Part of egress_attack. */
#include "egress_acts.h"

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define MPTCP_PORT 7100
#define PATIENCE 2000000 /* looks; ends what would hang, decides nothing */

/* In ok: says that it is at evil's address as well, and answers one connection. */
static int act_mptcp_server(const void *unused)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(MPTCP_PORT) };
	int fd, conn, one = 1;
	char byte;

	(void)unused;
	net_enter(NET_OK);
	shell("ip mptcp limits set subflow 4 add_addr_accepted 4 && "
	      "ip mptcp endpoint flush && ip mptcp endpoint add " NET_EVIL4 " signal");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	must(bind(fd, (void *)&at, sizeof(at)));
	must(listen(fd, 4));
	child_meet(); /* it listens */
	conn = accept(fd, NULL, NULL);
	while (conn >= 0 && read(conn, &byte, 1) == 1)
		if (write(conn, &byte, 1) != 1)
			break;
	return 0;
}

static int act_mptcp_client(const void *unused)
{
	struct net_target to = { NET_OK4, MPTCP_PORT };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&to, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP), i;
	char byte = 'x';

	(void)unused;
	if (fd < 0 || connect(fd, (void *)&ss, len))
		return -errno;
	/* the addresses are exchanged once data has gone both ways */
	for (i = 0; i < 4; i++)
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			return -errno;
	child_meet(); /* connected */
	child_meet(); /* the parent has seen what it waited for */
	return 0;
}

/*
 * What the kernel tries by itself shows by its event, or at evil, where other frames may still come
 * in: that nobody takes the answer to a datagram of before, say.
 */
static bool wait_for_subflow(struct box *b)
{
	long i;

	for (i = 0; i < PATIENCE; i++) {
		_cleanup_free_ struct seen *e = NULL;
		size_t n, k;

		if (!b) {
			if (net_seen(NET_EVIL).tcp_opens)
				return true;
			continue;
		}
		n = box_events(b, &e);
		for (k = 0; k < n; k++)
			if (e[k].op == EG_OP_CONNECT && e[k].reason == EG_WHY_RULE &&
			    e[k].port == MPTCP_PORT && e[k].addr[15] == 2 && e[k].addr[14] == 2)
				return true;
		sched_yield();
	}
	return false;
}

static void mptcp_part(struct box *b, const char *part)
{
	struct child server, client;
	int r;

	child_start(&server, NULL, AS_ROOT, act_mptcp_server, NULL);
	child_meet_from_parent(&server);
	net_reset();
	if (b)
		box_events_drop(b);
	child_start(&client, b, AS_USER, act_mptcp_client, NULL);
	child_meet_from_parent(&client);
	check(wait_for_subflow(b), "%s: no subflow was tried", part);
	if (b)
		check(!net_seen(NET_EVIL).tcp_opens, "%s: evil saw %lu of them", part,
		      net_seen(NET_EVIL).tcp_opens);
	child_meet_from_parent(&client);
	r = child_wait(&client);
	check(!r, "%s: client: %s", part, result_text(r));
	(void)child_wait(&server);
}

void test_mptcp_subflow(void)
{
	struct box *b;

	if (!case_begin("MPTCP: an address that the server announces"))
		return;
	shell("ip mptcp limits set subflow 4 add_addr_accepted 4");
	b = box_shared(POLICY_EGRESS("sockets: [mptcp]", NET_OK_ALL));
	mptcp_part(NULL, "outside");
	mptcp_part(b, "inside");
	case_end();
}
