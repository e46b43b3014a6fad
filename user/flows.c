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
#include "util.h"

/* include/net/tcp_states.h: everything but LISTEN and what is about to be forgotten */
#define STATE(s) (1u << (s))
#define TCP_ALIVE (STATE(1) | STATE(2) | STATE(3) | STATE(4) | STATE(5) | STATE(8) | STATE(9))

struct search {
	const uint8_t *addr;
	struct inet_diag_sockid *found; /* what to end; NULL: only count */
	int n, max;
};

static void mapped(const struct inet_diag_msg *m, uint8_t out[16])
{
	if (m->idiag_family == AF_INET6) {
		memcpy(out, m->id.idiag_dst, 16);
		return;
	}
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, m->id.idiag_dst, 4);
}

static int on_socket(struct nl_msg *msg, void *ctx)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct inet_diag_msg *m = nlmsg_data(h);
	struct search *s = ctx;
	uint8_t dst[16];

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || nlmsg_datalen(h) < (int)sizeof(*m))
		return NL_SKIP;
	mapped(m, dst);
	if (memcmp(dst, s->addr, sizeof(dst)))
		return NL_SKIP;
	if (s->found && s->n < s->max)
		s->found[s->n] = m->id;
	s->n++;
	return NL_OK;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *ctx)
{
	(void)from;
	*(int *)ctx = e->error;
	return NL_STOP;
}

static int ask(struct nl_sock *nl, uint8_t family, uint16_t lport, uint16_t port, struct search *s)
{
	struct inet_diag_req_v2 r = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP,
				      .idiag_states = TCP_ALIVE };
	int err, failed = 0;

	r.id.idiag_sport = htons(lport);
	r.id.idiag_dport = htons(port);
	nl_socket_modify_cb(nl, NL_CB_VALID, NL_CB_CUSTOM, on_socket, s);
	nl_socket_modify_err_cb(nl, NL_CB_CUSTOM, on_error, &failed);
	err = nl_send_simple(nl, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &r, sizeof(r));
	if (err >= 0)
		err = nl_recvmsgs_default(nl);
	return err < 0 ? -EIO : failed;
}

/* A connection over IPv4 may belong to a socket of either family. */
static int ask_both(struct nl_sock *nl, uint16_t lport, uint16_t port, struct search *s)
{
	int err = ask(nl, AF_INET6, lport, port, s);

	return err ? err : ask(nl, AF_INET, lport, port, s);
}

static void close_netlink(struct nl_sock **nl)
{
	nl_socket_free(*nl);
}

static struct nl_sock *open_netlink(void)
{
	struct nl_sock *nl = nl_socket_alloc();

	if (nl && nl_connect(nl, NETLINK_SOCK_DIAG) < 0) {
		nl_socket_free(nl);
		nl = NULL;
	}
	return nl;
}

bool flows_open_to(const uint8_t addr[16])
{
	__attribute__((cleanup(close_netlink))) struct nl_sock *nl = open_netlink();
	struct search s = { .addr = addr };

	return !nl || ask_both(nl, 0, 0, &s) || s.n;
}

static int end_one(struct nl_sock *nl, uint8_t family, uint8_t proto,
		   const struct inet_diag_sockid *id)
{
	struct inet_diag_req_v2 r = { .sdiag_family = family, .sdiag_protocol = proto,
				      .idiag_states = TCP_ALIVE, .id = *id };
	int failed = 0, err;

	nl_socket_modify_err_cb(nl, NL_CB_CUSTOM, on_error, &failed);
	err = nl_send_simple(nl, SOCK_DESTROY, NLM_F_ACK, &r, sizeof(r));
	if (err >= 0)
		err = nl_recvmsgs_default(nl);
	return err < 0 ? -EIO : failed;
}

static int abort_here(const uint8_t addr[16], uint16_t port, uint16_t lport)
{
	__attribute__((cleanup(close_netlink))) struct nl_sock *nl = open_netlink();
	static const uint8_t families[] = { AF_INET6, AF_INET };
	struct inet_diag_sockid found[8];
	int err, ended = 0;
	size_t i;

	if (!nl)
		return -ENOTSUP;
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		struct search s = { .addr = addr, .found = found, .max = ARRAY_SIZE(found) };

		err = ask(nl, families[i], lport, port, &s);
		if (err)
			return err;
		for (int k = 0; k < MIN(s.n, s.max); k++) {
			err = end_one(nl, families[i], IPPROTO_TCP, &found[k]);
			if (err && err != -ENOENT)
				return err;
			ended += !err;
		}
	}
	return ended;
}

/* ---- what is not allowed any more ------------------------------------------------------ */

struct recheck {
	const struct flows_judge *judge;
	uint8_t family, proto;
	/* ports that are listened at: what came in through them is no business of a rule */
	uint8_t listens[65536 / 8];
	struct inet_diag_sockid *found;
	size_t n, cap;
	bool failed;
};

static bool is_mine(const struct nlmsghdr *h, const struct flows_judge *j)
{
	struct nlattr *a = nlmsg_find_attr((struct nlmsghdr *)h, sizeof(struct inet_diag_msg),
					   INET_DIAG_CGROUP_ID);

	return a && j->mine(j->ctx, nla_get_u64(a));
}

static int on_listener(struct nl_msg *msg, void *ctx)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct inet_diag_msg *m = nlmsg_data(h);
	struct recheck *r = ctx;
	uint16_t port;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || nlmsg_datalen(h) < (int)sizeof(*m))
		return NL_SKIP;
	port = ntohs(m->id.idiag_sport);
	if (is_mine(h, r->judge))
		r->listens[port / 8] |= (uint8_t)(1u << port % 8);
	return NL_OK;
}

static bool is_loopback(const uint8_t addr[16])
{
	static const uint8_t v4[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
	static const uint8_t v6[16] = { [15] = 1 };

	return !memcmp(addr, v4, sizeof(v4)) || !memcmp(addr, v6, sizeof(v6));
}

static int on_flow(struct nl_msg *msg, void *ctx)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct inet_diag_msg *m = nlmsg_data(h);
	struct recheck *r = ctx;
	uint16_t lport;
	struct flow f;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || nlmsg_datalen(h) < (int)sizeof(*m) ||
	    !m->id.idiag_dport || !is_mine(h, r->judge))
		return NL_SKIP;
	lport = ntohs(m->id.idiag_sport);
	if (r->proto == IPPROTO_TCP && (r->listens[lport / 8] >> lport % 8 & 1))
		return NL_SKIP;
	mapped(m, f.addr);
	f.port = ntohs(m->id.idiag_dport);
	f.proto = r->proto;
	f.own_host = is_loopback(f.addr) ||
		     !memcmp(m->id.idiag_src, m->id.idiag_dst, sizeof(m->id.idiag_src));
	if (!r->judge->refused(r->judge->ctx, &f))
		return NL_OK;
	if (array_reserve(&r->found, &r->cap, r->n)) {
		r->failed = true;
		return NL_STOP;
	}
	r->found[r->n++] = m->id;
	return NL_OK;
}

static int dump(struct nl_sock *nl, struct recheck *r, uint32_t states, nl_recvmsg_msg_cb_t fn)
{
	struct inet_diag_req_v2 q = { .sdiag_family = r->family, .sdiag_protocol = r->proto,
				      .idiag_states = states };
	int err, failed = 0;

	nl_socket_modify_cb(nl, NL_CB_VALID, NL_CB_CUSTOM, fn, r);
	nl_socket_modify_err_cb(nl, NL_CB_CUSTOM, on_error, &failed);
	err = nl_send_simple(nl, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &q, sizeof(q));
	if (err >= 0)
		err = nl_recvmsgs_default(nl);
	return err < 0 ? -EIO : failed;
}

static int recheck_family(struct nl_sock *nl, struct recheck *r)
{
	int err, ended = 0;

	r->n = 0;
	err = dump(nl, r, r->proto == IPPROTO_TCP ? TCP_ALIVE : STATE(1), on_flow);
	for (size_t i = 0; !err && i < r->n; i++) {
		err = end_one(nl, r->family, r->proto, &r->found[i]);
		ended += !err;
		if (err == -ENOENT)
			err = 0;
	}
	return err ? err : r->failed ? -ENOMEM : ended;
}

static int recheck_all(const struct flows_judge *j)
{
	__attribute__((cleanup(close_netlink))) struct nl_sock *nl = open_netlink();
	static const uint8_t families[] = { AF_INET6, AF_INET }, protos[] = { IPPROTO_TCP,
									      IPPROTO_UDP };
	_cleanup_free_ struct recheck *r = calloc(1, sizeof(*r));
	int got = 0, ended = 0;
	size_t i;

	if (!nl || !r)
		return nl ? -ENOMEM : -ENOTSUP;
	r->judge = j;
	r->proto = IPPROTO_TCP;
	for (i = 0; i < ARRAY_SIZE(families) && !got; i++) {
		r->family = families[i];
		got = dump(nl, r, STATE(10) /* TCP_LISTEN */, on_listener);
	}
	for (i = 0; i < 4 && got >= 0; i++) {
		r->family = families[i % 2];
		r->proto = protos[i / 2];
		got = recheck_family(nl, r);
		ended += MAX(got, 0);
	}
	free(r->found);
	return got < 0 ? got : ended;
}

struct visit {
	const struct flows_judge *judge; /* NULL: end this one */
	const uint8_t *addr;
	uint16_t port, lport;
	int netns_fd, result;
};

static int visit(const struct visit *v)
{
	return v->judge ? recheck_all(v->judge) : abort_here(v->addr, v->port, v->lport);
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

int flows_abort(int netns_fd, const uint8_t addr[16], uint16_t port, uint16_t lport)
{
	struct visit v = { .addr = addr, .port = port, .lport = lport, .netns_fd = netns_fd };

	return visit_netns(&v);
}
