/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* sock_diag through libnl: what dumps of sockets have in common, and whose a socket is. */
#ifndef SOCK_DIAG_H
#define SOCK_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>

/*
 * Whose socket it is: its stamp says so, whatever cgroup it was made in. One without has
 * sent nothing yet (--egress-only), or a kernel worker made it: its cgroup says so.
 */
struct flows_owner {
	uint64_t sandbox;
	int stamps; /* map of struct eg_sock; -1: there is none */
	const uint64_t *cgroups; /* kernfs ids */
	size_t ncgroups;
};

/* In the network namespace of the caller's thread; NULL: it cannot be had. */
struct nl_sock *sock_diag_open(void);
void sock_diag_close(struct nl_sock **nl); /* for __attribute__((cleanup)) */

/*
 * Each socket that `q` asks for to fn(msg, ctx), with what it carries in the map `stamps`
 * (-1: nothing). Negative errno; -ENOENT, -EAFNOSUPPORT: no such protocol or family here.
 */
int sock_diag_dump(struct nl_sock *nl, const struct inet_diag_req_v2 *q, int stamps,
		   nl_recvmsg_msg_cb_t fn, void *ctx);
/* An nl_recvmsg_err_cb_t; ctx: int *, the error. */
int sock_diag_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *ctx);

/* What an answer is about; NULL: about no socket. */
const struct inet_diag_msg *sock_diag_of(const struct nlmsghdr *h);
/* Is that socket theirs? The dump has to have asked for o->stamps. */
bool sock_diag_is_of(const struct nlmsghdr *h, const struct flows_owner *o);
/* Did it come in through a listener of a sandbox, by its stamp? */
bool sock_diag_accepted(const struct nlmsghdr *h);
/* An address of an answer, IPv4 mapped. */
void sock_diag_mapped(uint8_t family, const __be32 from[4], uint8_t to[16]);

#endif
