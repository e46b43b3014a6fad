/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Test hosts: network namespaces on veth pairs, each with servers and a sniffer
 * that count what arrives. "Nothing reached evil" is asserted by what evil saw,
 * not by an errno.
 *
 *	ok	10.203.1.2  fd20:1::2
 *	evil	10.203.2.2  fd20:2::2, and the metadata addresses
 *	dns	10.203.3.2  fd20:3::2
 *
 * Each answers on every address, TCP and UDP, at NET_PORTS: what comes is sent
 * back. The side of the tests has .1 and ::1.
 */
#ifndef NET_HOSTS_H
#define NET_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum net_host { NET_OK, NET_EVIL, NET_DNS, NET_HOSTS };

#define NET_OK4 "10.203.1.2"
#define NET_OK6 "fd20:1::2"
#define NET_EVIL4 "10.203.2.2"
#define NET_EVIL6 "fd20:2::2"
#define NET_DNS4 "10.203.3.2"
#define NET_DNS6 "fd20:3::2"
#define NET_PORT 7001
#define NET_PORTS { 53, 80, 443, 7001, 7002, 8443 }
#define NET_NONCE 16

/* Make them, once a program; ended and removed when the program ends. */
void net_up(void);

/*
 * What the attempts send. net_reset() makes a new one and sets the counters to
 * zero; children see it.
 */
const uint8_t *net_nonce(void); /* NET_NONCE bytes */
void net_reset(void);

struct net_seen {
	uint64_t nonces; /* frames with the nonce, any protocol */
	uint64_t frames; /* IPv4 and IPv6 to this host; not multicast, not ARP */
	uint64_t tcp_bytes; /* of data in TCP segments to this host, sent again or not */
	uint64_t tcp_opens; /* segments that ask for a connection */
	uint64_t tcp_accepted;
	uint64_t udp_datagrams;
};

/* Counters now: everything sent before the call has been counted. */
struct net_seen net_seen(enum net_host h);

/* Move the calling process into a host's network namespace, for good. */
void net_enter(enum net_host h);

/* ---- acts: arg is struct net_target ------------------------------------------------- */

struct net_target {
	const char *addr; /* "10.203.2.2", "fd20:2::2", "::ffff:10.203.2.2" */
	uint16_t port; /* host byte order */
};
/* Dies when malformed. */
socklen_t net_sockaddr(const struct net_target *t, struct sockaddr_storage *ss);

/* Each sends the nonce; negative errno from the first call that fails. */
int act_tcp(const void *target); /* connect, write, read the echo */
int act_udp_sendto(const void *target); /* not connected; reads the echo */
int act_udp_connected(const void *target);
int act_udp_sendmsg(const void *target);
int act_udp_sendmmsg(const void *target); /* two messages; how many were sent */

#endif
