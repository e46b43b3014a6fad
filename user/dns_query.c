// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What becomes of a question: refused, answered from here, from the cache, or
 * by the host's resolvers. Whatever has addresses is bound before it is sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns_int.h"
#include "util.h"

#define NS_PER_S 1000000000ull

/* ---- sending ----------------------------------------------------------------------- */

void dns_reply_to(struct dns_client *c, const struct dns_from *from, const struct dns_query *q,
		  const struct dns_answer *a)
{
	size_t max = from->tcp ? DNS_TCP_MAX : MIN((size_t)q->udp_size, (size_t)DNS_UDP_MAX);
	uint8_t *msg = c->dns->out + 2;
	int n = dns_reply(q, a, dns_answer_left(a, dns_now(c->dns)), max, msg);

	if (n > 0)
		dns_send(from, msg, (size_t)n);
	else
		c->stats.dropped++;
}

static void reply_error(struct dns_client *c, const struct dns_from *from,
			const struct dns_query *q, uint8_t rcode)
{
	uint8_t *msg = c->dns->out + 2;
	int n = dns_reply_error(q, rcode, msg);

	if (n > 0)
		dns_send(from, msg, (size_t)n);
}

/* ---- refusing ---------------------------------------------------------------------- */

/*
 * The C library tries the search list's domains behind a name. That these are
 * refused is no news when the name itself is allowed.
 */
static bool made_by_search(struct dns_client *c, const char *name)
{
	const struct dns_resolv *conf = dns_upstream_conf(c->dns->upstream);
	char before[DNS_NAME_TEXT];

	for (uint32_t i = 0; i < conf->nsearch; i++) {
		size_t n = strlen(name), suffix = strlen(conf->search[i]);

		if (n <= suffix + 1 || !dns_name_within(name, conf->search[i]))
			continue;
		memcpy(before, name, n - suffix - 1);
		before[n - suffix - 1] = '\0';
		if (c->ops->classes(c->ctx, before))
			return true;
	}
	return false;
}

static void refuse(struct dns_client *c, const struct dns_from *from, const struct dns_query *q)
{
	c->stats.refused++;
	if (q->strange || !q->name[0] || !made_by_search(c, q->name))
		c->ops->refused(c->ctx, q->name, q->qtype, NULL);
	dns_reply_to(c, from, q, c->dns->refusal);
}

void dns_report_removed(struct dns_client *c, const char *name, uint16_t qtype,
			const struct dns_answer *a)
{
	for (uint32_t i = 0; i < a->nremoved; i++)
		c->ops->refused(c->ctx, name, qtype, a->removed[i]);
}

/* ---- binding ----------------------------------------------------------------------- */

int dns_bind_all(struct dns_client *c, const char *name, uint32_t classes,
		 const struct dns_answer *a, uint64_t now)
{
	uint64_t end = now + (dns_answer_left(a, now) + DNS_GRACE) * NS_PER_S;

	for (uint32_t i = 0; i < a->naddrs; i++) {
		int err = dns_bind(&c->bindings, a->addrs[i], name, classes, end, now);

		if (err)
			return err;
		if (c->ops->asked)
			c->ops->asked(c->ctx, name, a->addrs[i]);
	}
	return 0;
}

/* Is every address of a cached answer still bound? Only asked when one was given up since. */
static int bind_again(struct dns_client *c, struct dns_cached *e, uint32_t classes, uint64_t now)
{
	bool all = true;
	int err = 0;

	if (e->bound == c->bindings.given_up)
		return 0;
	for (uint32_t i = 0; i < e->answer->naddrs; i++)
		all &= !!dns_bind_find(&c->bindings, e->answer->addrs[i], now);
	if (!all)
		err = dns_bind_all(c, e->name, classes, e->answer, now);
	e->bound = c->bindings.given_up;
	return err;
}

/* ---- from here --------------------------------------------------------------------- */

static bool wants(const struct dns_query *q, const uint8_t addr[16])
{
	return q->qtype == (dns_address_is_v4(addr) ? LDNS_RR_TYPE_A : LDNS_RR_TYPE_AAAA);
}

/* RFC 6761 6.3: never asked of others. Needs no rule and no binding: see `loopback`. */
static void answer_localhost(struct dns_client *c, const struct dns_from *from,
			     const struct dns_query *q)
{
	static const uint8_t addrs[2][16] = { { [10] = 0xff, 0xff, 127, 0, 0, 1 }, { [15] = 1 } };
	struct dns_answer *a = dns_answer_new(LDNS_RCODE_NOERROR, false);

	for (int i = 0; a && i < 2; i++)
		if (wants(q, addrs[i]))
			(void)dns_answer_add_address(a, q->name, addrs[i]);
	if (a) {
		a->ttl = DNS_LOCAL_TTL;
		a->since = dns_now(c->dns);
	}
	dns_reply_to(c, from, q, a ? a : c->dns->failure);
	dns_answer_unref(a);
}

static void answer_ptr(struct dns_client *c, const struct dns_from *from, const struct dns_query *q,
		       const char *target)
{
	struct dns_answer *a = dns_answer_new(LDNS_RCODE_NOERROR, false);

	if (a && dns_answer_add_ptr(a, q->name, target)) {
		dns_answer_unref(a);
		a = NULL;
	}
	if (a) {
		a->ttl = DNS_LOCAL_TTL;
		a->since = dns_now(c->dns);
	}
	dns_reply_to(c, from, q, a ? a : c->dns->failure);
	dns_answer_unref(a);
}

/* Names of addresses: those that this sandbox got by a name. True: answered. */
static bool answer_reverse(struct dns_client *c, const struct dns_from *from,
			   const struct dns_query *q)
{
	uint8_t addr[16];

	if (q->qtype != LDNS_RR_TYPE_PTR || dns_name_reverse(q->name, addr))
		return false;
	if (dns_address_loopback(addr))
		answer_ptr(c, from, q, "localhost");
	else if (dns_bind_find(&c->bindings, addr, dns_now(c->dns)))
		answer_ptr(c, from, q, dns_bind_name_of(&c->bindings, addr));
	else
		return false;
	return true;
}

/* What the hosts file says of a name, if it says anything. NULL: no memory. */
static struct dns_answer *from_hosts(struct dns_client *c, const struct dns_query *q,
				     const struct dns_host *host, uint32_t classes)
{
	struct dns_answer *a = dns_answer_new(LDNS_RCODE_NOERROR, false);
	bool removed = false;

	if (!a)
		return NULL;
	for (uint32_t i = 0; i < host->naddrs; i++) {
		const uint8_t *addr = host->addrs[i];

		if (!wants(q, addr))
			continue;
		if (dns_address_special(addr) && !c->ops->address_ok(c->ctx, addr, classes)) {
			c->ops->refused(c->ctx, q->name, q->qtype, addr);
			removed = true;
		} else if (dns_answer_add_address(a, q->name, addr)) {
			dns_answer_unref(a);
			return NULL;
		}
	}
	a->ttl = DNS_LOCAL_TTL;
	a->since = dns_now(c->dns);
	a->blocked = removed && !a->naddrs;
	return a;
}

static bool answer_hosts(struct dns_client *c, const struct dns_from *from,
			 const struct dns_query *q, uint32_t classes)
{
	const struct dns_host *host;
	struct dns_answer *a;

	if (q->qtype != LDNS_RR_TYPE_A && q->qtype != LDNS_RR_TYPE_AAAA)
		return false;
	host = dns_hosts_find(&c->dns->hosts, q->name);
	if (!host)
		return false;
	a = from_hosts(c, q, host, classes);
	if (!a || dns_bind_all(c, q->name, classes, a, dns_now(c->dns)))
		dns_reply_to(c, from, q, c->dns->failure);
	else
		dns_reply_to(c, from, q, a);
	dns_answer_unref(a);
	return true;
}

static bool answer_cached(struct dns_client *c, const struct dns_from *from,
			  const struct dns_query *q, uint32_t classes)
{
	uint64_t now = dns_now(c->dns);
	struct dns_cached *e = dns_cache_find(&c->cache, q->name, q->qtype, now);

	if (!e)
		return false;
	c->stats.cached++;
	if (e->answer->blocked)
		dns_report_removed(c, q->name, q->qtype, e->answer);
	dns_reply_to(c, from, q, bind_again(c, e, classes, now) ? c->dns->failure : e->answer);
	return true;
}

/* ---- a question -------------------------------------------------------------------- */

static void resolve(struct dns_client *c, const struct dns_from *from, const struct dns_query *q)
{
	uint32_t classes;

	if (q->strange || !q->name[0]) {
		refuse(c, from, q);
		return;
	}
	if (dns_name_within(q->name, "localhost")) {
		answer_localhost(c, from, q);
		return;
	}
	if (answer_reverse(c, from, q))
		return;
	classes = c->ops->classes(c->ctx, q->name);
	if (classes && c->ops->asked)
		c->ops->asked(c->ctx, q->name, NULL);
	if (!classes)
		refuse(c, from, q);
	else if (dns_kind(q->qtype) == DNS_KIND_EMPTY)
		dns_reply_to(c, from, q, c->dns->nothing);
	else if (!answer_hosts(c, from, q, classes) && !answer_cached(c, from, q, classes))
		dns_ask(c, from, q, classes);
}

void dns_query(struct dns_client *c, const struct dns_from *from, const uint8_t *msg, size_t len)
{
	struct dns_query q;
	int rcode = dns_query_parse(msg, len, &q);

	c->stats.queries++;
	if (rcode < 0) {
		c->stats.dropped++;
	} else if (rcode) {
		reply_error(c, from, &q, (uint8_t)rcode);
	} else {
		dns_check_hosts(c->dns, false);
		resolve(c, from, &q);
	}
}
