/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Questions to the host's resolvers: each by a socket of its own, connected,
 * with a random port and id, to one server after the other until one gives an
 * answer, over TCP where a datagram does not do. No limits: the caller counts.
 */
#ifndef EGRESSCTL_DNS_UPSTREAM_H
#define EGRESSCTL_DNS_UPSTREAM_H

#include "dns.h"
#include "dns_conf.h"

#define DNS_TRY_MS 1000u /* a server's time where resolv.conf says nothing; doubled each round */
#define DNS_ATTEMPTS 2u /* rounds, likewise */
#define DNS_DEADLINE_MS 4500u /* for all of it: less than the C library waits (5 s) */
#define DNS_DOWN_MS 30000u /* a server that was silent is asked last for so long */
#define DNS_MAX_FORGED 8u /* datagrams that answer something else, before TCP is used */

struct dns_upstream;
struct dns_ask;

/* `o` and its strings must stay. Returns 0 or a negative errno. */
int dns_upstream_new(sd_event *loop, const struct dns_options *o, struct dns_upstream **out);
/* No question may be under way. NULL is fine. */
void dns_upstream_free(struct dns_upstream *u);
/* The configuration as it is now (read again when it changed). */
const struct dns_resolv *dns_upstream_conf(struct dns_upstream *u);

struct dns_ask_ops {
	/* As dns_answer_judge(), with 0 for an answer that was taken. */
	int (*judge)(void *ctx, const uint8_t *msg, size_t len, uint16_t id);
	/* Exactly once, from the loop: 0 (after a judge that was), or why there is no answer. */
	void (*done)(void *ctx, int err);
};

/*
 * `name` must stay until done. `deadline_ms` from now. Returns 0 or -ENOMEM;
 * whatever else goes wrong comes to done(), after this has returned.
 */
int dns_ask_start(struct dns_upstream *u, const char *name, uint16_t qtype, uint32_t deadline_ms,
		  const struct dns_ask_ops *ops, void *ctx, struct dns_ask **out);
/* Not done yet: without a call to done(). NULL is fine. */
void dns_ask_cancel(struct dns_ask *ask);

#endif
