/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ways to send bytes that net_hosts.h does not have. Each sends the nonce. */
#ifndef EGRESS_ACTS_H
#define EGRESS_ACTS_H

#include "harness.h"
#include "net_hosts.h"

#define NET_OK_ALL "allow: [\"" NET_OK4 ":*\", \"[" NET_OK6 "]:*\"]"

/* arg is struct net_target */
int act_tcp_fastopen(const void *target); /* MSG_FASTOPEN: no connect() at all */
int act_tcp_fastopen_connect(const void *target); /* TCP_FASTOPEN_CONNECT */
int act_mptcp(const void *target);
int act_tcp_nonblock(const void *target); /* connect in the background, then poll */
int act_udp_to_other(const void *target); /* connected to ok, then sendto target */
int act_udp_reconnect(const void *target); /* connected to ok, then to target */
int act_udp_cork(const void *target); /* MSG_MORE to the target, then flushed */
int act_udp_sendmmsg_second(const void *target); /* the first to ok; fails unless both go */
int act_uring_tcp(const void *target); /* IORING_OP_CONNECT, then _SEND */
int act_uring_udp(const void *target); /* IORING_OP_SENDMSG */
int act_sctp(const void *target); /* connect; nobody has to answer */
int act_ping(const void *target); /* a ping socket, echo request */
int act_raw_udp(const void *target); /* a UDP header made by hand */

/* "Nothing arrived": for attempt.before and .after, whatever the argument. */
void net_before(const void *arg);
void net_after(const void *arg, bool refused);

/* egress_mptcp.c: a part of egress_attack_test */
void test_mptcp_subflow(void);

#endif
