/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Conversations that were allowed when they began: the next packet after a rule
 * is gone is refused, on connected and unconnected sockets, and a sandbox that
 * is gone sends nothing more; what is still allowed goes on.
 */
#include "egress_acts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf_load.h"
#include "sandbox.h"
#include "util.h"

struct flow {
	const char *name;
	struct net_target to;
	int type;
	bool connected;
};

static int say(int fd, const struct flow *f)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&f->to, &ss);
	uint8_t back[NET_NONCE];

	if (sendto(fd, net_nonce(), NET_NONCE, MSG_NOSIGNAL, f->connected ? NULL : (void *)&ss,
		   f->connected ? 0 : len) < 0)
		return -errno;
	if (recv(fd, back, sizeof(back), MSG_WAITALL) == sizeof(back))
		return 0;
	return -errno;
}

/*
 * Speaks three times, when the parent says so; returns a bit for each time that
 * had an answer. A refused segment of TCP is an answer that never comes: the
 * limit ends the waiting, nothing is measured by it.
 */
static int act_flow(const void *arg)
{
	const struct flow *f = arg;
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&f->to, &ss);
	struct timeval limit = { .tv_sec = 2 };
	int fd = must(socket(ss.ss_family, f->type | SOCK_CLOEXEC, 0)), i, said = 0;
	/* closed at once, or the next cases would see what this one sends again and again */
	struct linger reset = { .l_onoff = 1 };

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	if (f->connected && connect(fd, (void *)&ss, len))
		return -errno;
	for (i = 0; i < 3; i++) {
		int r;

		child_meet();
		r = say(fd, f);
		if (r && f->type == SOCK_DGRAM && r != -EPERM)
			return r;
		said |= !r << i;
		child_meet();
	}
	return said;
}

#define POLICY "version: 1\negress: {allow: [\"" NET_OK4 ":7001\", \"" NET_OK4 ":7001/udp\", " \
	"\"[" NET_OK6 "]:7001\", \"[" NET_OK6 "]:7001/udp\"]}\n"
#define LESS "version: 1\negress: {allow: [\"" NET_DNS4 ":53\"]}\n"

/* How a grant that ends or a published policy shows: another version, a new generation. */
static void switch_to(struct box *b, uint32_t policy)
{
	struct eg_sandbox *sb = &agent_sandboxes(harness_agent())[sandbox_slot(box_sandbox(b))];

	__atomic_store_n(&sb->policy, policy, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&sb->generation, 1, __ATOMIC_SEQ_CST);
}

static void step(struct child *c)
{
	child_meet_from_parent(c);
	child_meet_from_parent(c);
}

static void check_revoked(const struct flow *f, struct box *b)
{
	_cleanup_free_ struct seen *events = NULL;
	size_t n = box_events(b, &events), i;

	check(n == 1, "%zu events, expected one", n);
	for (i = 0; i < n; i++) {
		bool right = events[i].reason == EG_WHY_REVOKED && events[i].port == f->to.port &&
			     events[i].op == (f->type == SOCK_STREAM ? EG_OP_PACKET : EG_OP_SEND);

		if (!check(right, "another event"))
			seen_print(&events[i]);
	}
}

static void test_revoked(const struct flow *f)
{
	struct box *b = box_shared(POLICY), *less = box_shared(LESS);
	struct eg_sandbox *all = agent_sandboxes(harness_agent());
	uint32_t full_policy = all[sandbox_slot(box_sandbox(b))].policy;
	uint32_t less_policy = all[sandbox_slot(box_sandbox(less))].policy;
	struct child c;
	int said;

	if (!case_begin("revoked: %s", f->name))
		return;
	box_events_drop(b);
	child_start(&c, b, AS_USER, act_flow, f);
	step(&c);
	switch_to(b, full_policy); /* a new generation that takes nothing away */
	step(&c);
	switch_to(b, less_policy);
	net_reset();
	step(&c);
	check(!net_seen(NET_OK).nonces, "the host heard it");
	said = child_wait(&c);
	check(said == 3, "answers %s, expected the first two", result_text(said));
	check_revoked(f, b);
	switch_to(b, full_policy);
	case_end();
}

static void test_dead(const struct flow *f)
{
	struct box *b = box_shared(POLICY);
	struct eg_sandbox *sb = &agent_sandboxes(harness_agent())[sandbox_slot(box_sandbox(b))];
	struct child c;
	int said;

	if (!case_begin("of a dead sandbox: %s", f->name))
		return;
	child_start(&c, b, AS_USER, act_flow, f);
	step(&c);
	step(&c);
	__atomic_store_n(&sb->state, EG_S_DEAD, __ATOMIC_SEQ_CST);
	net_reset();
	step(&c);
	check(!net_seen(NET_OK).nonces, "the host heard it");
	__atomic_store_n(&sb->state, EG_S_LIVE, __ATOMIC_SEQ_CST);
	said = child_wait(&c);
	check(said == 3, "answers %s, expected the first two", result_text(said));
	box_events_drop(b);
	case_end();
}

/* ---- what the other end says -------------------------------------------------------------- */

#define TALK_PORT 7999 /* of a task outside, on this host */
#define TALK "version: 1\negress: {allow: [\"127.0.0.1:7999/udp\"], listen: none}\n"

/* Connected: says its address, and hears as often as the parent says; which bytes, in order. */
static int act_hear(const void *unused)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(TALK_PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 60 };
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), heard = 0;
	char c;

	(void)unused;
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	if (connect(fd, (void *)&to, sizeof(to)) || send(fd, "x", 1, 0) != 1)
		return -errno;
	for (int i = 0; i < 2; i++) {
		if (recv(fd, &c, 1, 0) != 1)
			return -errno;
		heard = 10 * heard + c - '0';
		child_meet();
	}
	return heard;
}

static void check_unheard(struct box *b)
{
	_cleanup_free_ struct seen *e = NULL;
	size_t n = box_events(b, &e);

	if (check(n == 1 && e[0].op == EG_OP_ACCEPT && e[0].port == TALK_PORT, "%zu events", n))
		return;
	for (size_t i = 0; i < n; i++)
		seen_print(&e[i]);
}

/* Of three datagrams the second comes when the rule is gone for a while. */
static void test_unheard(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(TALK_PORT),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct eg_sandbox *all;
	struct box *b, *less;
	uint32_t full_policy;
	socklen_t len = sizeof(a);
	struct child c;
	int fd, heard;
	char x;

	if (!case_begin("revoked: what a connected UDP socket hears"))
		return;
	b = box_shared(TALK);
	less = box_shared(LESS);
	all = agent_sandboxes(harness_agent());
	full_policy = all[sandbox_slot(box_sandbox(b))].policy;
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must(bind(fd, (void *)&a, sizeof(a)));
	box_events_drop(b);
	child_start(&c, b, AS_USER, act_hear, NULL);
	must(recvfrom(fd, &x, 1, 0, (void *)&a, &len));
	must(sendto(fd, "1", 1, 0, (void *)&a, len));
	child_meet_from_parent(&c);
	switch_to(b, all[sandbox_slot(box_sandbox(less))].policy);
	must(sendto(fd, "2", 1, 0, (void *)&a, len));
	check_unheard(b);
	switch_to(b, full_policy);
	must(sendto(fd, "3", 1, 0, (void *)&a, len));
	child_meet_from_parent(&c);
	heard = child_wait(&c);
	check(heard == 13, "heard %s", result_text(heard));
	(void)close(fd);
	case_end();
}

int main(int argc, char **argv)
{
	static const struct flow flows[] = {
		{ "TCP", { NET_OK4, NET_PORT }, SOCK_STREAM, true },
		{ "TCP over IPv6", { NET_OK6, NET_PORT }, SOCK_STREAM, true },
		{ "TCP to a mapped address", { "::ffff:" NET_OK4, NET_PORT }, SOCK_STREAM, true },
		{ "connected UDP", { NET_OK4, NET_PORT }, SOCK_DGRAM, true },
		{ "connected UDP over IPv6", { NET_OK6, NET_PORT }, SOCK_DGRAM, true },
		{ "UDP", { NET_OK4, NET_PORT }, SOCK_DGRAM, false },
		{ "UDP over IPv6", { NET_OK6, NET_PORT }, SOCK_DGRAM, false },
	};
	size_t i;

	harness_init(argc, argv);
	net_up();
	for (i = 0; i < ARRAY_SIZE(flows); i++) {
		test_revoked(&flows[i]);
		test_dead(&flows[i]);
	}
	test_unheard();
	return harness_done();
}
