/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
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

#include "sock_diag.h"

#include "../bpf/egressctl.h"

void sock_diag_mapped(uint8_t family, const __be32 from[4], uint8_t to[16])
{
	if (family == AF_INET6) {
		memcpy(to, from, 16);
		return;
	}
	memset(to, 0, 10);
	memset(to + 10, 0xff, 2);
	memcpy(to + 12, from, 4);
}

int sock_diag_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *ctx)
{
	(void)from;
	*(int *)ctx = e->error;
	return NL_STOP;
}

void sock_diag_close(struct nl_sock **nl)
{
	nl_socket_free(*nl);
}

struct nl_sock *sock_diag_open(void)
{
	struct nl_sock *nl = nl_socket_alloc();

	if (nl && nl_connect(nl, NETLINK_SOCK_DIAG) < 0) {
		nl_socket_free(nl);
		nl = NULL;
	}
	return nl;
}

/* Ask for what sockets carry in the map `stamps`, beside what is always told. */
static struct nl_msg *make_request(const struct inet_diag_req_v2 *q, int stamps)
{
	struct nl_msg *msg = nlmsg_alloc_simple(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
	struct nlattr *nest;

	if (!msg)
		return NULL;
	if (nlmsg_append(msg, (void *)q, sizeof(*q), NLMSG_ALIGNTO))
		goto failed;
	if (stamps < 0)
		return msg;
	nest = nla_nest_start(msg, INET_DIAG_REQ_SK_BPF_STORAGES);
	if (!nest || nla_put_u32(msg, SK_DIAG_BPF_STORAGE_REQ_MAP_FD, (uint32_t)stamps))
		goto failed;
	nla_nest_end(msg, nest);
	return msg;
failed:
	nlmsg_free(msg);
	return NULL;
}

int sock_diag_dump(struct nl_sock *nl, const struct inet_diag_req_v2 *q, int stamps,
		   nl_recvmsg_msg_cb_t fn, void *ctx)
{
	struct nl_msg *msg = make_request(q, stamps);
	int err, failed = 0;

	if (!msg)
		return -ENOMEM;
	nl_socket_modify_cb(nl, NL_CB_VALID, NL_CB_CUSTOM, fn, ctx);
	nl_socket_modify_err_cb(nl, NL_CB_CUSTOM, sock_diag_error, &failed);
	err = nl_send_auto(nl, msg);
	nlmsg_free(msg);
	if (err >= 0)
		err = nl_recvmsgs_default(nl);
	return failed ? failed : err < 0 ? -EIO : 0;
}

const struct inet_diag_msg *sock_diag_of(const struct nlmsghdr *h)
{
	return h->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
			       nlmsg_datalen(h) >= (int)sizeof(struct inet_diag_msg) ?
		       nlmsg_data(h) :
		       NULL;
}

/* The stamp of a socket, from the one map that was asked for: struct eg_sock begins with it. */
struct stamp {
	uint64_t sandbox;
	uint32_t slot, flags;
};

static bool read_stamp(const struct nlmsghdr *h, struct stamp *stamp)
{
	struct nlattr *all = nlmsg_find_attr((struct nlmsghdr *)h, sizeof(struct inet_diag_msg),
					     INET_DIAG_SK_BPF_STORAGES);
	struct nlattr *one, *value;

	one = all ? nla_find(nla_data(all), nla_len(all), SK_DIAG_BPF_STORAGE) : NULL;
	value = one ? nla_find(nla_data(one), nla_len(one), SK_DIAG_BPF_STORAGE_MAP_VALUE) : NULL;
	if (!value || nla_len(value) < (int)sizeof(*stamp))
		return false;
	memcpy(stamp, nla_data(value), sizeof(*stamp));
	return true;
}

bool sock_diag_accepted(const struct nlmsghdr *h)
{
	struct stamp stamp;

	return read_stamp(h, &stamp) && (stamp.flags & EG_SK_ACCEPTED);
}

bool sock_diag_is_of(const struct nlmsghdr *h, const struct flows_owner *o)
{
	const int at = sizeof(struct inet_diag_msg);
	struct stamp stamp;
	struct nlattr *a;
	uint64_t id;

	if (read_stamp(h, &stamp))
		return stamp.sandbox == o->sandbox;
	a = nlmsg_find_attr((struct nlmsghdr *)h, at, INET_DIAG_CGROUP_ID);
	if (!a || nla_len(a) < (int)sizeof(id))
		return false;
	memcpy(&id, nla_data(a), sizeof(id));
	for (size_t i = 0; i < o->ncgroups; i++)
		if (o->cgroups[i] == id)
			return true;
	return false;
}
