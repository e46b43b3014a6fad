/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Open connections, through sock_diag (libnl): who still uses an address, and ending
 * what was refused.
 */
#ifndef FLOWS_H
#define FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses that TCP connections of this namespace were open to at some time. */
struct flows_seen {
	uint8_t (*addrs)[16]; /* IPv4 mapped, sorted, each one once */
	size_t n, cap;
	uint64_t taken; /* ns, CLOCK_BOOTTIME; 0: never */
	bool unknown; /* it could not be told, or they were too many */
};

/*
 * Is one open to this address, whose last one was allowed at `used`? In doubt, yes. All
 * sockets of the host are gone through for it, and so no more than once a second: what
 * was used since then is in use.
 */
bool flows_open_to(struct flows_seen *s, const uint8_t addr[16], uint64_t used, uint64_t now);
void flows_seen_clear(struct flows_seen *s);

struct flows_owner; /* sock_diag.h */

/*
 * End its TCP connections from local port lport to addr and port (host byte order), so
 * that their program sees ECONNABORTED instead of a silence, in the network namespace
 * netns_fd, -1: this one. Needs CAP_NET_ADMIN and a kernel with INET_DIAG_DESTROY. How
 * many, or a negative errno.
 */
int flows_abort(int netns_fd, const struct flows_owner *o, const uint8_t addr[16], uint16_t port,
		uint16_t lport);

/* One end of a connected socket, seen from the other. */
struct flow {
	uint8_t addr[16]; /* network byte order, IPv4 mapped */
	uint16_t port; /* host byte order */
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	bool loopback; /* 127/8, ::1 */
	bool own; /* it stays on this host, and the other end is the owner's as well */
};

struct flows_judge {
	const struct flows_owner *owner;
	bool (*refused)(void *ctx, const struct flow *f);
	void *ctx;
};

/*
 * End (ECONNABORTED) each connected TCP and UDP socket that is the owner's and refused,
 * but for TCP connections that came in through a listener. In the network
 * namespace netns_fd, -1: this one. Calls back from another thread, which is waited
 * for. How many were ended, or a negative errno: then some may be left, of which the
 * kernel programs let nothing pass.
 */
int flows_recheck(int netns_fd, const struct flows_judge *j);

#endif
