// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "flow_list.h"
#include "sock_diag.h"
#include "util.h"

static const char *const states[] = {
	/* include/net/tcp_states.h */
	"unknown",   "established", "syn-sent",	  "syn-recv", "fin-wait-1", "fin-wait-2",
	"time-wait", "close",	    "close-wait", "last-ack", "listen",	    "closing",
	"syn-recv",
};

/*
 * struct tcp_info of include/uapi/linux/tcp.h (4.19): the C library's own, which libnl
 * includes, is shorter, and the two cannot be had together. tcpi_bytes_acked counts the
 * SYN as a byte, of who connected; what was sent less what was sent again does not.
 */
#define BYTES_RECEIVED_AT 128u
#define BYTES_SENT_AT 200u
#define BYTES_RETRANS_AT 208u

#define TIME_WAIT 6u
#define NEW_SYN_RECV 12u

const char *flow_state_name(uint8_t state)
{
	return states[state < ARRAY_SIZE(states) ? state : 0];
}

void flow_list_clear(struct flow_list *list)
{
	free(list->v);
	*list = (struct flow_list){ 0 };
}

struct asking {
	struct flow_list *list;
	const struct flows_owner *owner;
	uint8_t proto;
	int err;
};

static void read_bytes(struct flow *f, struct nlattr *info)
{
	size_t len = info ? (size_t)nla_len(info) : 0;
	uint64_t again;

	if (f->proto != IPPROTO_TCP || len < BYTES_RETRANS_AT + sizeof(again))
		return;
	f->counted = true;
	memcpy(&f->sent, (char *)nla_data(info) + BYTES_SENT_AT, sizeof(f->sent));
	memcpy(&again, (char *)nla_data(info) + BYTES_RETRANS_AT, sizeof(again));
	f->sent -= MIN(again, f->sent);
	memcpy(&f->received, (char *)nla_data(info) + BYTES_RECEIVED_AT, sizeof(f->received));
}

static int on_socket(struct nl_msg *msg, void *ctx)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct inet_diag_msg *m = sock_diag_of(h);
	struct asking *a = ctx;
	struct flow_list *list = a->list;
	struct flow f = { .proto = a->proto };

	if (!m || !sock_diag_is_of(h, a->owner))
		return NL_SKIP;
	if (list->n == FLOW_LIST_MAX) {
		list->more = true;
		return NL_SKIP;
	}
	sock_diag_mapped(m->idiag_family, m->id.idiag_src, f.local);
	sock_diag_mapped(m->idiag_family, m->id.idiag_dst, f.remote);
	f.lport = ntohs(m->id.idiag_sport);
	f.rport = ntohs(m->id.idiag_dport);
	f.state = m->idiag_state;
	read_bytes(&f, nlmsg_find_attr(h, sizeof(*m), INET_DIAG_INFO));
	a->err = array_reserve(&list->v, &list->cap, list->n);
	if (a->err)
		return NL_STOP;
	list->v[list->n++] = f;
	return NL_OK;
}

static int ask(struct nl_sock *nl, uint8_t family, struct asking *a)
{
	struct inet_diag_req_v2 r = {
		.sdiag_family = family, .sdiag_protocol = a->proto,
		.idiag_ext = 1u << (INET_DIAG_INFO - 1),
		/* without an owner any more: nobody's */
		.idiag_states = ~(1u << TIME_WAIT | 1u << NEW_SYN_RECV),
	};
	int err = sock_diag_dump(nl, &r, a->owner->stamps, on_socket, a);

	if (a->err)
		return a->err;
	/* no such protocol or family in this kernel: it has no sockets of it */
	return err == -ENOENT || err == -EAFNOSUPPORT ? 0 : err;
}

int flow_list_add(struct flow_list *list, const struct flows_owner *owner)
{
	__attribute__((cleanup(sock_diag_close))) struct nl_sock *nl = sock_diag_open();
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	int err = nl ? 0 : -ENOTSUP;

	for (size_t i = 0; i < ARRAY_SIZE(protos) * ARRAY_SIZE(families) && !err; i++) {
		struct asking a = { .list = list, .owner = owner,
				    .proto = protos[i / ARRAY_SIZE(families)] };

		err = ask(nl, families[i % ARRAY_SIZE(families)], &a);
	}
	return err;
}
