// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Questions to the host's resolvers, for all that wait for the answer in one
 * sandbox. Sandboxes have places there in turn, so that none can take them all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns_int.h"
#include "util.h"

#define NS_PER_MS 1000000ull

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
	dns_report_removed(c, job->name, job->qtype, job->answer);
	return !dns_bind_all(c, job->name, job->classes, job->answer, now);
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

		dns_reply_to(c, &w->from, &w->query, a ? a : c->dns->failure);
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

void dns_ask(struct dns_client *c, const struct dns_from *from, const struct dns_query *q,
	     uint32_t classes)
{
	struct dns_job *job = job_find(c, q);
	bool fresh = !job;

	if (c->pending >= DNS_MAX_PENDING) {
		c->stats.failed++;
		dns_reply_to(c, from, q, c->dns->failure);
		return;
	}
	if (fresh)
		job = job_new(c, q, classes);
	if (!job || wait_for(job, from, q)) {
		if (fresh && job)
			job_free(job);
		dns_reply_to(c, from, q, c->dns->failure);
		return;
	}
	if (!fresh)
		return;
	if (c->asked < DNS_MAX_ASKED && c->dns->asked < DNS_MAX_ASKED_ALL && !c->is_waiting)
		job_start(job);
	else
		enter_queue(job);
}
