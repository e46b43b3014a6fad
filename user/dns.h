/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The resolver: names for sandboxes, and the addresses that come of them.
 *
 * Each sandbox has listeners of its own (UDP and TCP, 127.0.0.1 and ::1, one
 * port) in its network namespace, so that the socket a query comes in on says
 * whose it is. A query for a name that no rule allows is answered at once and
 * never leaves the host. One for an allowed name is built anew, asked of the
 * host's resolvers, and judged; what remains of the answer's addresses is bound
 * (dns_ops.bind) before the program sees them.
 *
 * Single-threaded, on one sd_event loop; nothing blocks. Limits and behaviour
 * for users: docs/names.md, part "Resolver".
 */
#ifndef EGRESSCTL_DNS_H
#define EGRESSCTL_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "diag.h"

/* ---- limits of one sandbox --------------------------------------------------------- */

#define DNS_MAX_BINDINGS 4096u /* addresses */
#define DNS_MAX_NAMES_PER_ADDRESS 16u
#define DNS_MAX_PINNED 512u /* addresses of the hosts file, of DNS_MAX_BINDINGS */
#define DNS_MAX_CACHE 2048u /* answers kept */
#define DNS_MAX_CACHE_BYTES (2u << 20)
#define DNS_MAX_ASKED 128u /* queries at the host's resolvers at once */
#define DNS_MAX_PENDING 1024u /* queries not answered yet, the ones waiting for a place included */
#define DNS_MAX_TCP 32u /* connections */
#define DNS_MAX_TCP_PENDING 16u /* queries not answered yet of one connection */
#define DNS_TCP_IDLE_MS 10000u /* a connection with nothing pending is closed */

/* ---- limits of all together -------------------------------------------------------- */

#define DNS_MAX_ASKED_ALL 512u /* queries at the host's resolvers at once: a descriptor each */
#define DNS_BATCH 16u /* datagrams of one socket before others have their turn */

/* ---- answers ----------------------------------------------------------------------- */

#define DNS_TTL_MIN 5u /* seconds; what is shown and cached lies between the two */
#define DNS_TTL_MAX 3600u
#define DNS_NEGATIVE_TTL_MAX 300u /* names and types that do not exist */
#define DNS_FAILURE_TTL 1u /* SERVFAIL is not asked again before (RFC 9520 3.2) */
#define DNS_LOCAL_TTL 60u /* from the hosts file, or made here */
#define DNS_GRACE 300u /* seconds an address stays bound beyond the TTL shown */
#define DNS_MAX_ADDRESSES 64u /* of one answer; further ones are left out */
#define DNS_MAX_CHAIN 16u /* CNAMEs and DNAMEs of one answer */

struct dns; /* upstreams, hosts file, loop */
struct dns_client; /* one sandbox's listeners, cache, limits, bindings */

struct dns_options {
	const char *resolv_conf; /* NULL: /etc/resolv.conf */
	const char *hosts; /* NULL: /etc/hosts */
	uint16_t upstream_port; /* host order; 0: 53 */
	/* For tests; 0 and NULL: what resolv.conf says, CLOCK_BOOTTIME in nanoseconds. */
	uint32_t timeout_ms;
	uint64_t (*now)(void);
};

/*
 * Both files are read again when they change. That they do not exist is no
 * error: without resolv.conf the resolver is 127.0.0.1, as for the C library.
 * `loop` is referenced. Returns 0 or a negative errno with a message in `d`.
 */
int dns_new(sd_event *loop, const struct dns_options *o, struct dns **out, struct diag *d);
/* Frees the sandboxes' parts that are left, without a call to their operations. */
void dns_free(struct dns *dns);

/*
 * What the resolver needs of a sandbox; called from the loop, must not block, nor
 * call the resolver, but for dns_client_name_of(). Names are lower case, without a
 * final dot; addresses are 16 bytes, network byte order, IPv4 mapped; times are
 * nanoseconds of CLOCK_BOOTTIME.
 */
struct dns_ops {
	/* Mask of the policy's classes for a name; 0: no rule allows it. */
	uint32_t (*classes)(void *ctx, const char *name);
	/*
	 * For private, loopback, link-local … addresses: does an address rule, or one
	 * of the classes (EG_CL_PRIVATE), allow the name to be there?
	 */
	bool (*address_ok)(void *ctx, const uint8_t addr[16], uint32_t classes);
	/*
	 * Put or replace; UINT64_MAX: no end. A negative errno: the address is not bound,
	 * and the answer is SERVFAIL.
	 */
	int (*bind)(void *ctx, const uint8_t addr[16], uint32_t classes, uint64_t expires_ns);
	int (*unbind)(void *ctx, const uint8_t addr[16]);
	/* May there be one more address, in a table that others use, too? NULL: yes. */
	bool (*room)(void *ctx);
	/* When a flow was last allowed by the binding; 0: never. */
	uint64_t (*last_used)(void *ctx, const uint8_t addr[16]);
	/* Is a flow open to it? Asked only before a binding is given up. */
	bool (*in_use)(void *ctx, const uint8_t addr[16]);
	/*
	 * Refused: the name (addr NULL), or this address of an allowed one. A name may hold
	 * any byte that is printable; others are escaped as \DDD (RFC 1035 5.1). Not
	 * called for names that only a search list made of an allowed one.
	 */
	void (*refused)(void *ctx, const char *name, uint16_t qtype, const uint8_t addr[16]);
	/*
	 * For traces; may be NULL. A name that is allowed was asked for (addr NULL), or
	 * this address of it is in the answer.
	 */
	void (*asked)(void *ctx, const char *name, const uint8_t addr[16]);
};

/*
 * Open a sandbox's listeners in the network namespace `netns_fd` (-1: this one),
 * which is not kept, and bind the allowed names of the hosts file. IPv6 is left
 * out where the namespace has none. `ops` is not copied. Returns 0 or a negative
 * errno with a message.
 */
int dns_serve(struct dns *dns, int netns_fd, const struct dns_ops *ops, void *ctx,
	      struct dns_client **out, struct diag *d);
/*
 * A datagram that came another way than to a listener, from this address and port
 * (host order); the answer comes from the listener.
 */
void dns_client_query(struct dns_client *c, const uint8_t from[16], uint16_t port,
		      const void *msg, size_t len);
/* The port of all its listeners, host order. */
uint16_t dns_client_port(const struct dns_client *c);

/*
 * The allowed name that had this address last; NULL if none. Valid until the
 * next call into the resolver or return to the loop. For events.
 */
const char *dns_client_name_of(struct dns_client *c, const uint8_t addr[16]);

/*
 * The sandbox's policy changed: what is cached is forgotten, the classes of
 * every bound name are asked again, and an address whose names are all refused
 * now is unbound.
 */
void dns_client_reload(struct dns_client *c);

struct dns_client_stats {
	uint64_t queries, refused, cached, asked, failed, dropped, given_up;
	uint32_t bindings, pinned, answers, pending, tcp;
};
void dns_client_stats(const struct dns_client *c, struct dns_client_stats *out);

/* Unbinds nothing: the sandbox is gone, and its bindings with it. NULL is fine. */
void dns_client_free(struct dns_client *c);

#endif
