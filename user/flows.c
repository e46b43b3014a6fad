/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
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

static int end_one(struct nl_sock *nl, uint8_t family, const struct inet_diag_sockid *id)
{
	struct inet_diag_req_v2 r = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP,
				      .idiag_states = TCP_ALIVE, .id = *id };
	int failed = 0, err;

	nl_socket_modify_err_cb(nl, NL_CB_CUSTOM, on_error, &failed);
	err = nl_send_simple(nl, SOCK_DESTROY, NLM_F_ACK, &r, sizeof(r));
	if (err >= 0)
		err = nl_recvmsgs_default(nl);
	return err < 0 ? -EIO : failed;
}

int flows_abort(const uint8_t addr[16], uint16_t port, uint16_t lport)
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
			err = end_one(nl, families[i], &found[k]);
			if (err && err != -ENOENT)
				return err;
			ended += !err;
		}
	}
	return ended;
}
