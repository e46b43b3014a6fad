// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Answers by name and type; the one unused for longest goes first. */
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "dns_cache.h"
#include "util.h"

#define NS_PER_S 1000000000ull

static int compare(const void *a, const void *b)
{
	const struct dns_cached *x = a, *y = b;

	if (x->qtype != y->qtype)
		return x->qtype < y->qtype ? -1 : 1;
	return strcmp(x->name, y->name);
}

void dns_cache_init(struct dns_cache *c)
{
	ldns_rbtree_init(&c->tree, compare);
	TAILQ_INIT(&c->used);
	c->bytes = 0;
}

static size_t weight(const struct dns_cached *e)
{
	return sizeof(*e) + e->answer->bytes;
}

static void drop(struct dns_cache *c, struct dns_cached *e)
{
	c->bytes -= weight(e);
	(void)ldns_rbtree_delete(&c->tree, e);
	TAILQ_REMOVE(&c->used, e, list);
	dns_answer_unref(e->answer);
	free(e);
}

uint32_t dns_answer_left(const struct dns_answer *a, uint64_t now)
{
	uint64_t end = a->since + a->ttl * NS_PER_S;

	/* rounded up: an answer given at once shows the TTL it has */
	return end > now ? (uint32_t)((end - now + NS_PER_S - 1) / NS_PER_S) : 0;
}

static struct dns_cached *search(struct dns_cache *c, const char *name, uint16_t qtype)
{
	struct dns_cached key;

	key.qtype = qtype;
	strcpy(key.name, name);
	return (struct dns_cached *)ldns_rbtree_search(&c->tree, &key);
}

struct dns_cached *dns_cache_find(struct dns_cache *c, const char *name, uint16_t qtype,
				  uint64_t now)
{
	struct dns_cached *e = search(c, name, qtype);

	if (!e)
		return NULL;
	if (!dns_answer_left(e->answer, now)) {
		drop(c, e);
		return NULL;
	}
	TAILQ_REMOVE(&c->used, e, list);
	TAILQ_INSERT_TAIL(&c->used, e, list);
	return e;
}

struct dns_cached *dns_cache_put(struct dns_cache *c, const char *name, uint16_t qtype,
				 struct dns_answer *answer)
{
	struct dns_cached *e = search(c, name, qtype);

	if (e)
		drop(c, e);
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->answer = dns_answer_ref(answer);
	e->qtype = qtype;
	strcpy(e->name, name);
	e->node.key = e;
	(void)ldns_rbtree_insert(&c->tree, &e->node);
	TAILQ_INSERT_TAIL(&c->used, e, list);
	c->bytes += weight(e);
	/* the new one stays, however large: an answer is bounded */
	while (c->tree.count > 1 &&
	       (c->tree.count > DNS_MAX_CACHE || c->bytes > DNS_MAX_CACHE_BYTES))
		drop(c, TAILQ_FIRST(&c->used));
	return e;
}

void dns_cache_clear(struct dns_cache *c)
{
	struct dns_cached *e;

	while ((e = TAILQ_FIRST(&c->used)))
		drop(c, e);
}
