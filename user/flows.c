/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "flows.h"
#include "sock_diag.h"
#include "util.h"

/* include/net/tcp_states.h: everything but LISTEN and what is about to be forgotten */
#define STATE(s) (1u << (s))
#define TCP_ALIVE (STATE(1) | STATE(2) | STATE(3) | STATE(4) | STATE(5) | STATE(8) | STATE(9))

/* Snapshots of a host with more are not kept: what is asked about counts as in use. */
#define SEEN_MAX (1u << 18)
#define SEEN_NS 1000000000ull

static void to_whom(const struct inet_diag_msg *m, uint8_t out[16])
{
	sock_diag_mapped(m->idiag_family, m->id.idiag_dst, out);
}

/* ---- who uses an address ------------------------------------------------------------- */

static int on_seen(struct nl_msg *msg, void *ctx)
{
	const struct inet_diag_msg *m = sock_diag_of(nlmsg_hdr(msg));
	struct flows_seen *s = ctx;

	if (!m)
		return NL_SKIP;
	if (s->n == SEEN_MAX || array_reserve(&s->addrs, &s->cap, s->n)) {
		s->unknown = true;
		return NL_SKIP;
	}
	to_whom(m, s->addrs[s->n++]);
	return NL_OK;
}

static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void look_again(struct flows_seen *s, uint64_t now)
{
	__attribute__((cleanup(sock_diag_close))) struct nl_sock *nl = sock_diag_open();
	/* a connection over IPv4 may belong to a socket of either family */
	static const uint8_t families[] = { AF_INET6, AF_INET };

	s->n = 0;
	s->taken = now;
	s->unknown = !nl;
	for (size_t i = 0; i < ARRAY_SIZE(families) && !s->unknown; i++) {
		struct inet_diag_req_v2 q = { .sdiag_family = families[i],
					      .sdiag_protocol = IPPROTO_TCP,
					      .idiag_states = TCP_ALIVE };

		if (sock_diag_dump(nl, &q, -1, on_seen, s))
			s->unknown = true;
	}
	if (s->n)
		qsort(s->addrs, s->n, sizeof(*s->addrs), compare_addr);
}

bool flows_open_to(struct flows_seen *s, const uint8_t addr[16], uint64_t used, uint64_t now)
{
	if (!s->taken || now - s->taken >= SEEN_NS)
		look_again(s, now);
	return s->unknown || used >= s->taken ||
	       (s->n && bsearch(addr, s->addrs, s->n, sizeof(*s->addrs), compare_addr));
}

void flows_seen_clear(struct flows_seen *s)
{
	free(s->addrs);
	*s = (struct flows_seen){};
}

/* ---- their end -------------------------------------------------------------------------- */

static int end_one(struct nl_sock *nl, uint8_t family, uint8_t proto,
		   const struct inet_diag_sockid *id)
{
	struct inet_diag_req_v2 r = { .sdiag_family = family, .sdiag_protocol = proto,
				      .idiag_states = TCP_ALIVE, .id = *id };
	int failed = 0, err;

	nl_socket_modify_err_cb(nl, NL_CB_CUSTOM, sock_diag_error, &failed);
	err = nl_send_simple(nl, SOCK_DESTROY, NLM_F_ACK, &r, sizeof(r));
	if (err >= 0)
		err = nl_recvmsgs_default(nl);
	return err < 0 ? -EIO : failed;
}

struct search {
	const struct flows_owner *owner;
	const uint8_t *addr;
	struct inet_diag_sockid found[8]; /* what to end */
	size_t n;
};

static int on_match(struct nl_msg *msg, void *ctx)
{
	const struct inet_diag_msg *m = sock_diag_of(nlmsg_hdr(msg));
	struct search *s = ctx;
	uint8_t dst[16];

	if (!m)
		return NL_SKIP;
	to_whom(m, dst);
	/* ports and addresses are the same in every namespace: somebody else's is not ended */
	if (memcmp(dst, s->addr, sizeof(dst)) || !sock_diag_is_of(nlmsg_hdr(msg), s->owner))
		return NL_SKIP;
	if (s->n < ARRAY_SIZE(s->found))
		s->found[s->n++] = m->id;
	return NL_OK;
}

static int abort_here(const struct flows_owner *o, const uint8_t addr[16], uint16_t port,
		      uint16_t lport)
{
	__attribute__((cleanup(sock_diag_close))) struct nl_sock *nl = sock_diag_open();
	static const uint8_t families[] = { AF_INET6, AF_INET };
	int err, ended = 0;
	size_t i, k;

	if (!nl)
		return -ENOTSUP;
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		struct search s = { .owner = o, .addr = addr };
		struct inet_diag_req_v2 q = { .sdiag_family = families[i],
					      .sdiag_protocol = IPPROTO_TCP,
					      .idiag_states = TCP_ALIVE };

		q.id.idiag_sport = htons(lport);
		q.id.idiag_dport = htons(port);
		err = sock_diag_dump(nl, &q, o->stamps, on_match, &s);
		for (k = 0; !err && k < s.n; k++) {
			err = end_one(nl, families[i], IPPROTO_TCP, &s.found[k]);
			ended += !err;
			if (err == -ENOENT)
				err = 0;
		}
		if (err)
			return err;
	}
	return ended;
}

/* ---- what is not allowed any more ------------------------------------------------------ */

struct found {
	struct inet_diag_sockid id;
	uint8_t family;
};

/* A flow that stays on this host. */
struct near {
	struct found found;
	struct flow flow;
	uint8_t local[16];
	uint16_t lport;
	bool came_in; /* no business of a rule, but the other end of one that may be */
};

struct recheck {
	const struct flows_judge *judge;
	uint8_t family, proto;
	/* TCP: ports that are listened at. UDP: those of sockets that hear everybody. */
	uint8_t listens[65536 / 8];
	struct found *found;
	struct near *near;
	size_t n, cap, nnear, near_cap;
	bool failed;
};

static bool listens_at(const struct recheck *r, uint16_t port)
{
	return r->listens[port / 8] >> port % 8 & 1;
}

static int on_listener(struct nl_msg *msg, void *ctx)
{
	const struct inet_diag_msg *m = sock_diag_of(nlmsg_hdr(msg));
	struct recheck *r = ctx;
	uint16_t port;

	if (!m)
		return NL_SKIP;
	port = ntohs(m->id.idiag_sport);
	if (sock_diag_is_of(nlmsg_hdr(msg), r->judge->owner))
		r->listens[port / 8] |= (uint8_t)(1u << port % 8);
	return NL_OK;
}

static bool is_loopback(const uint8_t addr[16])
{
	static const uint8_t v4[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
	static const uint8_t v6[16] = { [15] = 1 };

	return !memcmp(addr, v4, sizeof(v4)) || !memcmp(addr, v6, sizeof(v6));
}

static int judge_flow(struct recheck *r, const struct flow *f, const struct found *found)
{
	if (!r->judge->refused(r->judge->ctx, f))
		return NL_OK;
	if (array_reserve(&r->found, &r->cap, r->n)) {
		r->failed = true;
		return NL_STOP;
	}
	r->found[r->n++] = *found;
	return NL_OK;
}

static int on_flow(struct nl_msg *msg, void *ctx)
{
	const struct inet_diag_msg *m = sock_diag_of(nlmsg_hdr(msg));
	struct recheck *r = ctx;
	struct near n = {};

	if (!m || !m->id.idiag_dport || !sock_diag_is_of(nlmsg_hdr(msg), r->judge->owner))
		return NL_SKIP;
	n.lport = ntohs(m->id.idiag_sport);
	/* whether its listener is still there or not */
	n.came_in = r->proto == IPPROTO_TCP &&
		    (listens_at(r, n.lport) || sock_diag_accepted(nlmsg_hdr(msg)));
	n.found = (struct found){ m->id, r->family };
	to_whom(m, n.flow.addr);
	sock_diag_mapped(m->idiag_family, m->id.idiag_src, n.local);
	n.flow.port = ntohs(m->id.idiag_dport);
	n.flow.proto = r->proto;
	n.flow.loopback = is_loopback(n.flow.addr);
	if (!n.flow.loopback && memcmp(n.local, n.flow.addr, sizeof(n.local)))
		return n.came_in ? NL_SKIP : judge_flow(r, &n.flow, &n.found);
	if (array_reserve(&r->near, &r->near_cap, r->nnear)) {
		r->failed = true;
		return NL_STOP;
	}
	r->near[r->nnear++] = n;
	return NL_OK;
}

static int dump_states(struct nl_sock *nl, struct recheck *r, uint32_t states,
		       nl_recvmsg_msg_cb_t fn)
{
	/* either end of a connection over IPv4 may be a socket of either family */
	static const uint8_t families[] = { AF_INET6, AF_INET };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) && !err; i++) {
		struct inet_diag_req_v2 q = { .sdiag_family = families[i],
					      .sdiag_protocol = r->proto,
					      .idiag_states = states };

		r->family = families[i];
		err = sock_diag_dump(nl, &q, r->judge->owner->stamps, fn, r);
	}
	return err;
}

static int dump_listeners(struct nl_sock *nl, struct recheck *r)
{
	/* TCP_LISTEN; TCP_CLOSE is what a datagram socket without a peer is in */
	return dump_states(nl, r, r->proto == IPPROTO_TCP ? STATE(10) : STATE(7), on_listener);
}

static int compare_ends(const uint8_t a[16], uint16_t aport, const uint8_t b[16], uint16_t bport)
{
	int diff = memcmp(a, b, 16);

	return diff ? diff : (int)aport - bport;
}

static int compare_near(const void *a, const void *b)
{
	const struct near *x = a, *y = b;
	int diff = compare_ends(x->local, x->lport, y->local, y->lport);

	return diff ? diff :
		      compare_ends(x->flow.addr, x->flow.port, y->flow.addr, y->flow.port);
}

/*
 * Who is at the other end decides about these. It is the sandbox itself when its end is in
 * the same dump. Of a connection that began meanwhile one end alone may be, but its
 * listener is there.
 */
static int judge_near(struct nl_sock *nl, struct recheck *r)
{
	int err;

	if (!r->nnear)
		return 0;
	err = dump_listeners(nl, r);
	if (err)
		return err;
	qsort(r->near, r->nnear, sizeof(*r->near), compare_near);
	for (size_t i = 0; i < r->nnear; i++) {
		struct near *n = &r->near[i], other = { .lport = n->flow.port };

		if (n->came_in)
			continue;
		memcpy(other.local, n->flow.addr, sizeof(other.local));
		memcpy(other.flow.addr, n->local, sizeof(other.flow.addr));
		other.flow.port = n->lport;
		n->flow.own = listens_at(r, n->flow.port) ||
			      bsearch(&other, r->near, r->nnear, sizeof(*r->near), compare_near);
		if (judge_flow(r, &n->flow, &n->found) == NL_STOP)
			break;
	}
	return 0;
}

static int recheck_proto(struct nl_sock *nl, struct recheck *r, uint8_t proto)
{
	int err, ended = 0;

	r->proto = proto;
	r->n = r->nnear = 0;
	memset(r->listens, 0, sizeof(r->listens));
	err = dump_listeners(nl, r);
	if (!err)
		err = dump_states(nl, r, proto == IPPROTO_TCP ? TCP_ALIVE : STATE(1), on_flow);
	if (!err)
		err = judge_near(nl, r);
	for (size_t i = 0; !err && i < r->n; i++) {
		err = end_one(nl, r->found[i].family, proto, &r->found[i].id);
		ended += !err;
		if (err == -ENOENT)
			err = 0;
	}
	return err ? err : r->failed ? -ENOMEM : ended;
}

static int recheck_all(const struct flows_judge *j)
{
	__attribute__((cleanup(sock_diag_close))) struct nl_sock *nl = sock_diag_open();
	_cleanup_free_ struct recheck *r = calloc(1, sizeof(*r));
	int tcp, udp = 0;

	if (!nl || !r)
		return nl ? -ENOMEM : -ENOTSUP;
	r->judge = j;
	tcp = recheck_proto(nl, r, IPPROTO_TCP);
	if (tcp >= 0)
		udp = recheck_proto(nl, r, IPPROTO_UDP);
	free(r->found);
	free(r->near);
	return tcp < 0 ? tcp : udp < 0 ? udp : tcp + udp;
}

struct visit {
	const struct flows_judge *judge; /* NULL: end this one */
	const struct flows_owner *owner;
	const uint8_t *addr;
	uint16_t port, lport;
	int netns_fd, result;
};

static int visit(const struct visit *v)
{
	return v->judge ? recheck_all(v->judge) :
			  abort_here(v->owner, v->addr, v->port, v->lport);
}

static void *visit_there(void *arg)
{
	struct visit *v = arg;

	v->result = setns(v->netns_fd, CLONE_NEWNET) ? -errno : visit(v);
	return NULL;
}

/* In a thread of its own: setns() is the thread's alone. */
static int visit_netns(struct visit *v)
{
	sigset_t all, before;
	pthread_t thread;
	int err;

	if (v->netns_fd < 0)
		return visit(v);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, NULL, visit_there, v);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	(void)pthread_join(thread, NULL);
	return v->result;
}

int flows_recheck(int netns_fd, const struct flows_judge *j)
{
	struct visit v = { .judge = j, .netns_fd = netns_fd };

	return visit_netns(&v);
}

int flows_abort(int netns_fd, const struct flows_owner *o, const uint8_t addr[16], uint16_t port,
		uint16_t lport)
{
	struct visit v = { .owner = o, .addr = addr, .port = port, .lport = lport,
			   .netns_fd = netns_fd };

	return visit_netns(&v);
}
