/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Open connections, through sock_diag (libnl): who still uses an address, and ending
 * what was refused.
 */
#ifndef FLOWS_H
#define FLOWS_H

#include <stdbool.h>
#include <stdint.h>

/* Is a TCP connection of this namespace open to this address (IPv4 mapped)? In doubt, yes. */
bool flows_open_to(const uint8_t addr[16]);

/*
 * End the TCP connections from local port lport to addr and port (host byte order), so
 * that their program sees ECONNABORTED instead of a silence, in the network namespace
 * netns_fd, -1: this one. Needs CAP_NET_ADMIN and a kernel with INET_DIAG_DESTROY. How
 * many, or a negative errno.
 */
int flows_abort(int netns_fd, const uint8_t addr[16], uint16_t port, uint16_t lport);

/* One end of a connected socket, seen from the other. */
struct flow {
	uint8_t addr[16]; /* network byte order, IPv4 mapped */
	uint16_t port; /* host byte order */
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	bool own_host; /* both ends have one address */
};

struct flows_judge {
	bool (*mine)(void *ctx, uint64_t cgroup); /* kernfs id of a socket's cgroup */
	bool (*refused)(void *ctx, const struct flow *f);
	void *ctx;
};

/*
 * End (ECONNABORTED) each connected TCP and UDP socket that is mine and refused, but
 * for TCP connections that came in through a listener of mine. In the network
 * namespace netns_fd, -1: this one. Calls back from another thread, which is waited
 * for. How many were ended, or a negative errno: then some may be left, of which the
 * kernel programs let nothing pass.
 */
int flows_recheck(int netns_fd, const struct flows_judge *j);

#endif
