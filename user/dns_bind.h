/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The addresses that names of one sandbox have, beside the kernel's map of them.
 *
 * An address has the classes of all its names. Each name has its own end; the
 * address ends with the last of them. An ended address stays for the flows that
 * began before, and goes when its place is needed or none uses it any more.
 * Addresses of the hosts file are pinned: they have no end, and are never given up.
 */
#ifndef EGRESSCTL_DNS_BIND_H
#define EGRESSCTL_DNS_BIND_H

#include <sys/queue.h>

#include "dns.h"
#include "dns_ldns.h"
#include "dns_name.h"

#define DNS_FOREVER UINT64_MAX /* the end of pinned names */
#define DNS_MAX_BOUND_NAMES 8192u /* of all addresses of a sandbox together */
#define DNS_LOOK_AT 32u /* bindings looked at to find one that is idle */
#define DNS_SWEEP 16u /* ended bindings looked at in one go */
#define DNS_SWEEP_MS 5000u

struct dns_bound_name {
	struct dns_bound_name *next; /* the latest first */
	uint64_t expires;
	uint32_t classes;
	bool stale; /* pinned by an older hosts file */
	char name[];
};

struct dns_binding {
	ldns_rbnode_t by_addr;
	struct dns_end {
		ldns_rbnode_t node;
		uint64_t look; /* when to see whether it can go: its end, later if it is used */
	} by_end;
	TAILQ_ENTRY(dns_binding) list;
	uint8_t addr[16];
	uint64_t end; /* of the last of its names */
	bool pinned;
	uint32_t nnames;
	uint64_t used; /* when it was last bound, or known to be used */
	struct dns_bound_name *names;
};

struct dns_bindings {
	const struct dns_ops *ops;
	void *ctx;
	ldns_rbtree_t by_addr, by_end;
	TAILQ_HEAD(, dns_binding) idle; /* the longest idle first; no pinned ones */
	uint32_t count, npinned, nnames;
	uint64_t given_up; /* how often an address went before its end */
};

void dns_bind_init(struct dns_bindings *b, const struct dns_ops *ops, void *ctx);
/* Without a call to unbind. */
void dns_bind_clear(struct dns_bindings *b);

/*
 * `name` has this address until `expires`, or longer if that was said before.
 * Returns 0; -ENOSPC: all places are in use; -ENOMEM; or what ops->bind returned.
 */
int dns_bind(struct dns_bindings *b, const uint8_t addr[16], const char *name, uint32_t classes,
	     uint64_t expires, uint64_t now);
/* NULL if it is not bound, or its end has passed. */
struct dns_binding *dns_bind_find(struct dns_bindings *b, const uint8_t addr[16], uint64_t now);
/* The latest name, whether its end has passed or not; NULL. */
const char *dns_bind_name_of(struct dns_bindings *b, const uint8_t addr[16]);

/* Unbind what has ended and is not used; a bounded part of it. */
void dns_bind_sweep(struct dns_bindings *b, uint64_t now);
/*
 * Around binding what a new hosts file says with DNS_FOREVER: pinned names that
 * were not bound in between end as if they had been resolved at `now`.
 */
void dns_bind_repin_begin(struct dns_bindings *b);
void dns_bind_repin_end(struct dns_bindings *b, uint64_t now);
/* The policy changed: ask for all classes again. */
void dns_bind_reload(struct dns_bindings *b);

#endif
