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
#define NS_PER_MS 1000000ull

/* ---- sending ------------------------------------------------------------------------------- */

static void reply(struct dns_client *c, const struct dns_from *from, const struct dns_query *q,
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

/* ---- refusing -------------------------------------------------------------------------------- */

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
	reply(c, from, q, c->dns->refusal);
}

static void report_removed(struct dns_client *c, const char *name, uint16_t qtype,
			   const struct dns_answer *a)
{
	for (uint32_t i = 0; i < a->nremoved; i++)
		c->ops->refused(c->ctx, name, qtype, a->removed[i]);
}

/* ---- binding ----------------------------------------------------------------------------------- */

static int bind_all(struct dns_client *c, const char *name, uint32_t classes,
		    const struct dns_answer *a, uint64_t now)
{
	uint64_t end = now + (dns_answer_left(a, now) + DNS_GRACE) * NS_PER_S;

	for (uint32_t i = 0; i < a->naddrs; i++) {
		int err = dns_bind(&c->bindings, a->addrs[i], name, classes, end, now);

		if (err)
			return err;
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
		err = bind_all(c, e->name, classes, e->answer, now);
	e->bound = c->bindings.given_up;
	return err;
}

/* ---- from here ------------------------------------------------------------------------------------ */

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
	reply(c, from, q, a ? a : c->dns->failure);
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
	reply(c, from, q, a ? a : c->dns->failure);
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
	if (!a || bind_all(c, q->name, classes, a, dns_now(c->dns)))
		reply(c, from, q, c->dns->failure);
	else
		reply(c, from, q, a);
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
		report_removed(c, q->name, q->qtype, e->answer);
	reply(c, from, q, bind_again(c, e, classes, now) ? c->dns->failure : e->answer);
	return true;
}

/* ---- jobs: questions to the host's resolvers ---------------------------------------------------------- */

int dns_job_compare(const void *a, const void *b)
{
	const struct dns_job *x = a, *y = b;

	if (x->qtype != y->qtype)
		return x->qtype < y->qtype ? -1 : 1;
	return strcmp(x->name, y->name);
}

void dns_waiter_free(struct dns_waiter *w)
{
	struct dns_client *c = w->job->client;

	TAILQ_REMOVE(&w->job->waiters, w, of_job);
	if (w->from.tcp)
		TAILQ_REMOVE(&w->from.tcp->waiters, w, of_conn);
	c->pending--;
	free(w);
}

static void leave_queue(struct dns_job *job)
{
	struct dns_client *c = job->client;

	TAILQ_REMOVE(&c->queue, job, queue);
	if (TAILQ_EMPTY(&c->queue)) {
		TAILQ_REMOVE(&c->dns->waiting, c, waiting);
		c->is_waiting = false;
	}
}

static void enter_queue(struct dns_job *job)
{
	struct dns_client *c = job->client;

	TAILQ_INSERT_TAIL(&c->queue, job, queue);
	if (!c->is_waiting)
		TAILQ_INSERT_TAIL(&c->dns->waiting, c, waiting);
	c->is_waiting = true;
}

/* Out of the table and freed; its ask is done or cancelled. */
static void job_free(struct dns_job *job)
{
	struct dns_waiter *w;

	while ((w = TAILQ_FIRST(&job->waiters)))
		dns_waiter_free(w);
	(void)ldns_rbtree_delete(&job->client->jobs, job);
	dns_answer_unref(job->answer);
	free(job);
}

static void job_unask(struct dns_job *job)
{
	job->ask = NULL;
	job->client->asked--;
	job->client->dns->asked--;
}

void dns_jobs_clear(struct dns_client *c)
{
	ldns_rbnode_t *node;

	while ((node = ldns_rbtree_first(&c->jobs)) != LDNS_RBTREE_NULL) {
		struct dns_job *job = (struct dns_job *)node;

		if (job->ask) {
			dns_ask_cancel(job->ask);
			job_unask(job);
		} else {
			leave_queue(job);
		}
		job_free(job);
	}
}

/* What the sandbox gets of an answer is its own. False: it must not get it. */
static bool job_bind(struct dns_job *job, uint64_t now)
{
	struct dns_client *c = job->client;

	if (!job->classes) { /* no rule allows the name any more */
		dns_answer_unref(job->answer);
		job->answer = dns_answer_ref(c->dns->refusal);
		return true;
	}
	job->answer->since = now;
	report_removed(c, job->name, job->qtype, job->answer);
	return !bind_all(c, job->name, job->classes, job->answer, now);
}

static struct dns_answer *failed_answer(uint64_t now)
{
	struct dns_answer *a = dns_answer_new(LDNS_RCODE_SERVFAIL, false);

	if (a) {
		a->since = now;
		a->ttl = DNS_FAILURE_TTL;
	}
	return a;
}

/* What is there now is the answer, or the failure. Bind, keep, and tell everybody. */
static void job_finish(struct dns_job *job)
{
	struct dns_client *c = job->client;
	uint64_t now = dns_now(c->dns);
	struct dns_answer *a = job->answer;
	struct dns_cached *e;
	struct dns_waiter *w;

	a = a && job_bind(job, now) ? job->answer : NULL;
	if (!a) {
		dns_answer_unref(job->answer);
		a = job->answer = failed_answer(now);
		c->stats.failed++;
	}
	/* a refusal is not kept: it costs nothing to make, and the policy may change */
	e = a && job->classes ? dns_cache_put(&c->cache, job->name, job->qtype, a) : NULL;
	if (e)
		e->bound = c->bindings.given_up;
	while ((w = TAILQ_FIRST(&job->waiters))) {
		struct dns_conn *conn = w->from.tcp;

		reply(c, &w->from, &w->query, a ? a : c->dns->failure);
		dns_waiter_free(w);
		if (conn)
			dns_conn_done(conn);
	}
	job_free(job);
}

static bool filter_address(void *ctx, const uint8_t addr[16])
{
	struct dns_job *job = ctx;

	return job->client->ops->address_ok(job->client->ctx, addr, job->classes);
}

static int job_judge(void *ctx, const uint8_t *msg, size_t len, uint16_t id)
{
	struct dns_job *job = ctx;
	const struct dns_filter filter = { filter_address, job };

	/* the policy may be another one by now */
	job->classes = job->client->ops->classes(job->client->ctx, job->name);
	return dns_answer_judge(msg, len, job->name, job->qtype, id, &filter, &job->answer);
}

static void start_queued(struct dns *dns);

static void job_done(void *ctx, int err)
{
	struct dns_job *job = ctx;
	struct dns *dns = job->client->dns;

	(void)err; /* without an answer it is SERVFAIL, whatever the cause */
	job_unask(job);
	job_finish(job);
	start_queued(dns);
}

/* The job is asked, or finished. */
static void job_start(struct dns_job *job)
{
	static const struct dns_ask_ops ops = { job_judge, job_done };
	struct dns_client *c = job->client;
	uint64_t now = dns_now(c->dns);

	if (now >= job->deadline ||
	    dns_ask_start(c->dns->upstream, job->name, job->qtype,
			  (uint32_t)((job->deadline - now) / NS_PER_MS), &ops, job, &job->ask)) {
		job_finish(job);
		return;
	}
	c->asked++;
	c->dns->asked++;
	c->stats.asked++;
}

/* Places at the host's resolvers are free: sandboxes have them in turn. */
static void start_queued(struct dns *dns)
{
	while (dns->asked < DNS_MAX_ASKED_ALL) {
		struct dns_client *c;
		struct dns_job *job;

		TAILQ_FOREACH(c, &dns->waiting, waiting)
			if (c->asked < DNS_MAX_ASKED)
				break;
		if (!c)
			return;
		job = TAILQ_FIRST(&c->queue);
		TAILQ_REMOVE(&dns->waiting, c, waiting);
		TAILQ_INSERT_TAIL(&dns->waiting, c, waiting);
		leave_queue(job);
		job_start(job);
	}
}

static struct dns_job *job_new(struct dns_client *c, const struct dns_query *q, uint32_t classes)
{
	struct dns_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->client = c;
	job->classes = classes;
	job->qtype = q->qtype;
	job->deadline = dns_now(c->dns) + DNS_DEADLINE_MS * NS_PER_MS;
	strcpy(job->name, q->name);
	TAILQ_INIT(&job->waiters);
	job->node.key = job;
	(void)ldns_rbtree_insert(&c->jobs, &job->node);
	return job;
}

static struct dns_job *job_find(struct dns_client *c, const struct dns_query *q)
{
	struct dns_job key;

	key.qtype = q->qtype;
	strcpy(key.name, q->name);
	return (struct dns_job *)ldns_rbtree_search(&c->jobs, &key);
}

static int wait_for(struct dns_job *job, const struct dns_from *from, const struct dns_query *q)
{
	struct dns_waiter *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->job = job;
	w->from = *from;
	w->query = *q;
	TAILQ_INSERT_TAIL(&job->waiters, w, of_job);
	job->client->pending++;
	if (from->tcp) {
		TAILQ_INSERT_TAIL(&from->tcp->waiters, w, of_conn);
		from->tcp->pending++;
	}
	return 0;
}

static void ask(struct dns_client *c, const struct dns_from *from, const struct dns_query *q,
		uint32_t classes)
{
	struct dns_job *job = job_find(c, q);
	bool fresh = !job;

	if (c->pending >= DNS_MAX_PENDING) {
		c->stats.failed++;
		reply(c, from, q, c->dns->failure);
		return;
	}
	if (fresh)
		job = job_new(c, q, classes);
	if (!job || wait_for(job, from, q)) {
		if (fresh && job)
			job_free(job);
		reply(c, from, q, c->dns->failure);
		return;
	}
	if (!fresh)
		return;
	if (c->asked < DNS_MAX_ASKED && c->dns->asked < DNS_MAX_ASKED_ALL && !c->is_waiting)
		job_start(job);
	else
		enter_queue(job);
}

/* ---- a question ------------------------------------------------------------------------------------------- */

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
	if (!classes)
		refuse(c, from, q);
	else if (dns_kind(q->qtype) == DNS_KIND_EMPTY)
		reply(c, from, q, c->dns->nothing);
	else if (!answer_hosts(c, from, q, classes) && !answer_cached(c, from, q, classes))
		ask(c, from, q, classes);
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
