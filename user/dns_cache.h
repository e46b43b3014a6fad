/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers of one sandbox, until their TTL ends. Bounded in number and bytes. */
#ifndef EGRESSCTL_DNS_CACHE_H
#define EGRESSCTL_DNS_CACHE_H

#include <sys/queue.h>

#include "dns_wire.h"

struct dns_cached {
	ldns_rbnode_t node;
	TAILQ_ENTRY(dns_cached) list;
	struct dns_answer *answer;
	uint64_t bound; /* how many addresses had been given up when all of it was bound */
	uint16_t qtype; /* the key: type and name */
	char name[DNS_NAME_TEXT];
};

struct dns_cache {
	ldns_rbtree_t tree;
	TAILQ_HEAD(, dns_cached) used; /* the longest unused first */
	size_t bytes;
};

void dns_cache_init(struct dns_cache *c);
/* What is there and lives at `now` (ns); NULL if nothing does. Valid until the next call. */
struct dns_cached *dns_cache_find(struct dns_cache *c, const char *name, uint16_t qtype,
				  uint64_t now);
/* Put or replace; the answer gets a reference. NULL: no memory, and no harm. */
struct dns_cached *dns_cache_put(struct dns_cache *c, const char *name, uint16_t qtype,
				 struct dns_answer *answer);
void dns_cache_clear(struct dns_cache *c);

/* Seconds an answer has left at `now`; 0: it is over. */
uint32_t dns_answer_left(const struct dns_answer *a, uint64_t now);

#endif
