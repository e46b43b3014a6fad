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
	const uint64_t *cgroups;
	size_t ncgroups;
	uint8_t proto;
	int err;
};

static void mapped(uint8_t family, const __be32 from[4], uint8_t to[16])
{
	if (family == AF_INET6) {
		memcpy(to, from, 16);
		return;
	}
	memset(to, 0, 10);
	memset(to + 10, 0xff, 2);
	memcpy(to + 12, from, 4);
}

static bool is_asked_for(const struct asking *a, struct nlattr *id)
{
	uint64_t cgroup;

	if (!id || nla_len(id) < (int)sizeof(cgroup))
		return false; /* a kernel without cgroups, or a socket whose cgroup is not told */
	memcpy(&cgroup, nla_data(id), sizeof(cgroup));
	for (size_t i = 0; i < a->ncgroups; i++)
		if (a->cgroups[i] == cgroup)
			return true;
	return false;
}

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
	const struct inet_diag_msg *m = nlmsg_data(h);
	struct nlattr *attrs[INET_DIAG_MAX + 1];
	struct asking *a = ctx;
	struct flow_list *list = a->list;
	struct flow f = { .proto = a->proto };

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || nlmsg_datalen(h) < (int)sizeof(*m) ||
	    nlmsg_parse(h, sizeof(*m), attrs, INET_DIAG_MAX, NULL) < 0 ||
	    !is_asked_for(a, attrs[INET_DIAG_CGROUP_ID]))
		return NL_SKIP;
	if (list->n == FLOW_LIST_MAX) {
		list->more = true;
		return NL_SKIP;
	}
	mapped(m->idiag_family, m->id.idiag_src, f.local);
	mapped(m->idiag_family, m->id.idiag_dst, f.remote);
	f.lport = ntohs(m->id.idiag_sport);
	f.rport = ntohs(m->id.idiag_dport);
	f.state = m->idiag_state;
	read_bytes(&f, attrs[INET_DIAG_INFO]);
	a->err = array_reserve(&list->v, &list->cap, list->n);
	if (a->err)
		return NL_STOP;
	list->v[list->n++] = f;
	return NL_OK;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *ctx)
{
	(void)from;
	*(int *)ctx = e->error;
	return NL_STOP;
}

static int ask(struct nl_sock *nl, uint8_t family, struct asking *a)
{
	struct inet_diag_req_v2 r = {
		.sdiag_family = family, .sdiag_protocol = a->proto,
		.idiag_ext = 1u << (INET_DIAG_INFO - 1),
		/* without an owner any more: nobody's */
		.idiag_states = ~(1u << TIME_WAIT | 1u << NEW_SYN_RECV),
	};
	int err, failed = 0;

	nl_socket_modify_cb(nl, NL_CB_VALID, NL_CB_CUSTOM, on_socket, a);
	nl_socket_modify_err_cb(nl, NL_CB_CUSTOM, on_error, &failed);
	err = nl_send_simple(nl, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &r, sizeof(r));
	if (err >= 0)
		err = nl_recvmsgs_default(nl);
	if (a->err)
		return a->err;
	/* no such protocol or family in this kernel: it has no sockets of it */
	if (failed == -ENOENT || failed == -EAFNOSUPPORT)
		return 0;
	return err < 0 ? -EIO : failed;
}

int flow_list_add(struct flow_list *list, const uint64_t *cgroups, size_t ncgroups)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct nl_sock *nl = nl_socket_alloc();
	int err = nl ? 0 : -ENOMEM;

	if (!err && nl_connect(nl, NETLINK_SOCK_DIAG) < 0)
		err = -ENOTSUP;
	for (size_t i = 0; i < ARRAY_SIZE(protos) * ARRAY_SIZE(families) && !err; i++) {
		struct asking a = { .list = list, .cgroups = cgroups, .ncgroups = ncgroups,
				    .proto = protos[i / ARRAY_SIZE(families)] };

		err = ask(nl, families[i % ARRAY_SIZE(families)], &a);
	}
	nl_socket_free(nl);
	return err;
}
