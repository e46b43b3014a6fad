/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sockets of a sandbox: TCP and UDP of one network namespace, through sock_diag
 * (libnl), with what went over each connection.
 */
#ifndef FLOW_LIST_H
#define FLOW_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flows_owner; /* sock_diag.h */

#define FLOW_LIST_MAX 65536u /* sockets of one answer */

struct flow {
	uint8_t local[16], remote[16]; /* network byte order, IPv4 mapped */
	uint16_t lport, rport; /* host byte order; rport 0: not connected */
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t state; /* TCP_* of netinet/tcp.h */
	bool counted; /* TCP alone counts */
	uint64_t sent, received; /* bytes that left, repetitions not counted; that arrived */
};

struct flow_list {
	struct flow *v;
	size_t n, cap;
	bool more; /* over FLOW_LIST_MAX: the rest is not in it */
};

/*
 * Add the sockets of the caller's network namespace that are the owner's, in the sense in
 * which they are judged. Negative errno; *list stays the caller's, flow_list_clear().
 */
int flow_list_add(struct flow_list *list, const struct flows_owner *owner);
void flow_list_clear(struct flow_list *list);

/* "established", "listen", ...: the kernel's names, in lower case. */
const char *flow_state_name(uint8_t state);

#endif
