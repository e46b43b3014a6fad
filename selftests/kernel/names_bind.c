/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the resolver binds is open to this sandbox, at the ports of the name, until
 * its time is over; flows that began before go on. Nothing else is open by name.
 */
#include "egress_acts.h"
#include "names_parts.h"
#include "names_talk.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf_load.h"
#include "sandbox.h"
#include "util.h"

#define POLICY "version: 1\negress: {allow: [\"good.test:443\", " \
	"{host: \"off.test\", ports: [7001, 7001/udp], tls: off}]}\n"
#define ALLOWS(dest) "version: 1\negress: {allow: [\"" dest "\"]}\n"
/* other texts are other sandboxes of box_shared() */
#define NEVER POLICY "# nothing is bound\n"
#define OVER POLICY "# all of it is over\n"

static const struct net_target to4 = { NET_OK4, 7001 }, to6 = { NET_OK6, 7001 },
			       to_mapped = { "::ffff:" NET_OK4, 7001 },
			       to_quic = { NET_OK4, 443 }, to_port = { NET_OK4, 7002 };

static void bind_all(struct box *b, uint64_t expires)
{
	static const char *const addresses[] = { NET_OK4, NET_OK6 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		names_bind(b, "good.test", addresses[i], expires);
		names_bind(b, "off.test", addresses[i], expires);
	}
}

static void refusals(void)
{
	static const struct {
		const char *why, *policy;
	} sandboxes[] = { { "never resolved", NEVER }, { "its time is over", OVER } };
	static const struct {
		const char *how;
		act_fn act;
		const struct net_target *to;
		uint16_t op;
		uint8_t proto;
		const char *addr;
	} ways[] = {
		{ "TCP", act_tcp, &to4, EG_OP_CONNECT, IPPROTO_TCP, NET_OK4 },
		{ "TCP, IPv6", act_tcp, &to6, EG_OP_CONNECT, IPPROTO_TCP, NET_OK6 },
		{ "TCP, mapped", act_tcp, &to_mapped, EG_OP_CONNECT, IPPROTO_TCP, NET_OK4 },
		{ "Fast Open", act_tcp_fastopen, &to4, EG_OP_CONNECT, IPPROTO_TCP, NET_OK4 },
		{ "UDP", act_udp_sendto, &to4, EG_OP_SEND, IPPROTO_UDP, NET_OK4 },
		{ "UDP, IPv6", act_udp_sendto, &to6, EG_OP_SEND, IPPROTO_UDP, NET_OK6 },
		{ "connected UDP", act_udp_connected, &to4, EG_OP_CONNECT, IPPROTO_UDP, NET_OK4 },
	};
	size_t i, k;

	bind_all(box_shared(POLICY), NAMES_FOREVER);
	bind_all(box_shared(OVER), names_now() - 1);
	for (i = 0; i < ARRAY_SIZE(sandboxes); i++)
		for (k = 0; k < ARRAY_SIZE(ways); k++)
			attempt(&(struct attempt){
				.name = str("%s: %s", sandboxes[i].why, ways[k].how),
				.before = net_before, .after = net_after,
				.act = ways[k].act, .arg = ways[k].to,
				.deny = sandboxes[i].policy, .allow = POLICY,
				.err = EPERM, .op = ways[k].op, .reason = EG_WHY_RULE,
				.proto = ways[k].proto, .port = ways[k].to->port,
				.addr = ways[k].addr,
			});
}

/* At a bound address, what the names are not allowed. */
static void other_services(void)
{
	attempts((const struct attempt[]){
		{ .name = "a port that no name of the address has", .act = act_tcp,
		  .arg = &to_port, .deny = POLICY, .allow = ALLOWS(NET_OK4 ":7002"), .err = EPERM,
		  .op = EG_OP_CONNECT, .proto = IPPROTO_TCP, .port = 7002, .before = net_before,
		  .after = net_after },
		{ .name = "QUIC", .act = act_udp_sendto, .arg = &to_quic, .deny = POLICY,
		  .allow = ALLOWS(NET_OK4 ":443/udp"), .err = EPERM, .op = EG_OP_SEND,
		  .proto = IPPROTO_UDP, .port = 443, .before = net_before, .after = net_after },
		{ .name = "QUIC on a connected socket", .act = act_udp_connected,
		  .arg = &to_quic, .deny = POLICY, .allow = ALLOWS(NET_OK4 ":443/udp"),
		  .err = EPERM, .op = EG_OP_SEND, .proto = IPPROTO_UDP, .port = 443,
		  .before = net_before, .after = net_after },
	}, 3);
}

/* The same policy, two sandboxes, one of which has resolved. */
static void two_sandboxes(void)
{
	struct box *a = box_new(POLICY), *b = box_new(POLICY);
	_cleanup_free_ struct seen *e = NULL;
	uint64_t before = names_now();
	size_t n;
	int r;

	if (!case_begin("what one sandbox resolved is closed to another"))
		return;
	names_bind(a, "off.test", NET_OK4, NAMES_FOREVER);
	r = box_run(a, AS_USER, act_tcp, &to4);
	check(!r, "the one that resolved: %s", result_text(r));
	check(names_used(a, NET_OK4) >= before, "its use is not noted");
	r = box_run(b, AS_USER, act_tcp, &to4);
	check(r == -EPERM, "the other: %s", result_text(r));
	n = box_events(b, &e);
	check(n == 1 && e[0].op == EG_OP_CONNECT, "%zu events, expected a connect", n);
	names_bind(b, "off.test", NET_OK4, NAMES_FOREVER);
	r = box_run(b, AS_USER, act_tcp, &to4);
	check(!r, "the other when it has resolved: %s", result_text(r));
	names_unbind(a, NET_OK4);
	r = box_run(a, AS_USER, act_tcp, &to4);
	check(r == -EPERM, "the first when it has lost it: %s", result_text(r));
	case_end();
	box_free(a);
	box_free(b);
}

/* Says something whenever the parent lets it; a bit for each answer. */
static int act_flow(const void *arg)
{
	const struct talk *t = arg;
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&t->to, &ss);
	struct timeval limit = { .tv_sec = 2 };
	struct linger reset = { .l_onoff = 1 };
	int fd = must(socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)), said = 0;
	size_t i;

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	if (connect(fd, (void *)&ss, len))
		return -errno;
	for (i = 0; i < ARRAY_SIZE(t->say) && t->say[i]; i++) {
		static uint8_t back[TALK_MAX];
		ssize_t n = t->say[i]->len;

		child_meet();
		if (send(fd, t->say[i]->data, n, MSG_NOSIGNAL) == n &&
		    recv(fd, back, n, MSG_WAITALL) == n)
			said |= 1 << i;
		child_meet();
	}
	return said;
}

static void let_speak(struct child *c)
{
	child_meet_from_parent(c);
	child_meet_from_parent(c);
}

static void new_generation(struct box *b)
{
	struct eg_sandbox *all = agent_sandboxes(harness_agent());

	__atomic_add_fetch(&all[sandbox_slot(box_sandbox(b))].generation, 1, __ATOMIC_SEQ_CST);
}

static void expiry(const char *addr, bool generation)
{
	struct box *b = box_new(POLICY);
	const struct bytes *good = hello_bytes(&(struct hello){ .name = "good.test" });
	const struct bytes *words = record_bytes(23, "more");
	struct talk t = { .to = { addr, 443 }, .say = { good, words, words } };
	struct talk late = { .to = { addr, 443 }, .say = { good } };
	struct child c, begun;
	int r;

	if (!case_begin("its time is over: open flows go on%s, %s",
			generation ? " in a new generation" : "", addr))
		return;
	names_bind(b, "good.test", addr, NAMES_FOREVER);
	child_start(&c, b, AS_USER, act_flow, &t);
	let_speak(&c);
	child_start(&begun, b, AS_USER, act_flow, &late);
	child_meet_from_parent(&begun); /* it is connected */
	let_speak(&c);
	names_unbind(b, addr);
	names_bind(b, "good.test", addr, names_now() - 1);
	if (generation)
		new_generation(b);
	let_speak(&c);
	child_meet_from_parent(&begun);
	r = child_wait(&c);
	check(r == 7, "answers %s, expected all three", result_text(r));
	r = child_wait(&begun);
	check(r == 1, "connected before, spoke after: %s", result_text(r));
	box_events_drop(b);
	r = box_run(b, AS_USER, act_talk, &late);
	check(r == -EPERM, "a new flow: %s", result_text(r));
	names_bind(b, "good.test", addr, names_now() + 3600ull * 1000000000);
	r = box_run(b, AS_USER, act_talk, &late);
	check(!r, "when it is bound again: %s", result_text(r));
	case_end();
	box_free(b);
}

/* The policy takes the name away while a flow is open. */
static void revoked(void)
{
	struct box *b = box_new(POLICY);
	const struct bytes *good = hello_bytes(&(struct hello){ .name = "good.test" });
	const struct bytes *words = record_bytes(23, "more");
	struct talk t = { .to = { NET_OK4, 443 }, .say = { good, words, words } };
	_cleanup_free_ struct seen *e = NULL;
	struct child c;
	size_t n;
	int r;

	if (!case_begin("unbound in a new generation: the open flow is refused"))
		return;
	names_bind(b, "good.test", NET_OK4, NAMES_FOREVER);
	child_start(&c, b, AS_USER, act_flow, &t);
	let_speak(&c);
	let_speak(&c);
	names_unbind(b, NET_OK4);
	new_generation(b);
	net_reset();
	let_speak(&c);
	r = child_wait(&c);
	check(r == 3, "answers %s, expected the first two", result_text(r));
	check(!net_seen(NET_OK).tcp_bytes, "the host heard it");
	n = box_events(b, &e);
	check(n == 1 && e[0].op == EG_OP_PACKET && e[0].reason == EG_WHY_REVOKED,
	      "%zu events, expected a revoked packet", n);
	case_end();
	box_free(b);
}

/* The owner of a zone may point its names at what listens on this host. */
#define HERE4 "10.203.1.1" /* our side of the wire */
#define PRIVATE "version: 1\negress: {allow: [{host: \"off.test\", ports: 7001, tls: off, " \
	"private: true}]}\n"

static int listener = -1;

static int act_connect(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 || connect(fd, (void *)&ss, len) ? -errno : 0;
}

static void before_here(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);

	listener = must(socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)));
	must(bind(listener, (void *)&ss, len));
	must(listen(listener, 8));
}

static void after_here(const void *unused, bool refused)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	(void)unused;
	if (refused)
		check(fd < 0, "the listener of the host was reached");
	if (fd >= 0)
		close(fd);
	close(listener);
}

static void this_host(void)
{
	static const struct net_target here = { HERE4, 7001 };

	names_bind(box_shared(POLICY), "off.test", HERE4, NAMES_FOREVER);
	names_bind(box_shared(PRIVATE), "off.test", HERE4, NAMES_FOREVER);
	attempt(&(struct attempt){
		.name = "a name that has this host's own address", .act = act_connect, .arg = &here,
		.deny = POLICY, .allow = PRIVATE, .err = EPERM, .op = EG_OP_CONNECT,
		.reason = EG_WHY_LOOPBACK, .proto = IPPROTO_TCP, .port = 7001, .addr = HERE4,
		.before = before_here, .after = after_here });
}

void test_bindings(void)
{
	refusals();
	other_services();
	two_sandboxes();
	expiry(NET_OK4, false);
	expiry(NET_OK4, true);
	expiry(NET_OK6, false);
	expiry(NET_OK6, true);
	revoked();
	this_host();
}
