/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by dns.c, dns_query.c, dns_job.c, dns_listen.c and dns_tcp.c. */
#ifndef EGRESSCTL_DNS_INT_H
#define EGRESSCTL_DNS_INT_H

#include <sys/queue.h>

#include "dns.h"
#include "dns_bind.h"
#include "dns_cache.h"
#include "dns_conf.h"
#include "dns_upstream.h"
#include "dns_wire.h"

#define DNS_TCP_MAX 65535u
#define DNS_FILE_CHECK_NS 1000000000ull /* without a watch, files are looked at so often */

struct dns {
	sd_event *loop;
	struct dns_options o;
	char *resolv_conf, *hosts_path;
	struct dns_upstream *upstream;

	struct dns_file hosts_file;
	struct dns_hosts hosts;
	uint64_t hosts_checked;
	sd_event_source *watches[2]; /* the directory of the file, and of what it links to */
	sd_event_source *sweep;

	TAILQ_HEAD(, dns_client) clients, waiting; /* waiting: with jobs in the queue, in turn */
	uint32_t asked;
	struct dns_answer *refusal, *failure, *nothing; /* without records, for everybody */
	uint8_t out[2 + DNS_TCP_MAX];
	uint8_t in[DNS_BATCH][DNS_MAX_QUERY + 1]; /* one more: what is too long shows */
};

/* Where a question came from. */
struct dns_from {
	int udp; /* socket, or -1 */
	union dns_server peer; /* of a datagram */
	struct dns_conn *tcp;
};

struct dns_waiter {
	TAILQ_ENTRY(dns_waiter) of_job, of_conn;
	struct dns_job *job;
	struct dns_from from;
	struct dns_query query;
};

/* A question to the host's resolvers, for all that wait for it in one sandbox. */
struct dns_job {
	ldns_rbnode_t node;
	TAILQ_ENTRY(dns_job) queue;
	struct dns_client *client;
	struct dns_ask *ask; /* NULL: in the queue */
	struct dns_answer *answer;
	uint64_t deadline; /* ns */
	uint32_t classes;
	TAILQ_HEAD(, dns_waiter) waiters;
	uint16_t qtype; /* the key: type and name */
	char name[DNS_NAME_TEXT];
};

struct dns_conn {
	TAILQ_ENTRY(dns_conn) list; /* of the client; the longest idle first */
	struct dns_client *client;
	int fd;
	sd_event_source *io, *timer, *more;
	bool eof; /* the program will not ask any more */
	bool broken; /* is freed from the loop, not under its caller */
	uint32_t pending;
	TAILQ_HEAD(, dns_waiter) waiters;
	size_t got;
	uint8_t in[2 + DNS_MAX_QUERY];
	uint8_t *out;
	size_t out_len, out_cap;
};

struct dns_sockets {
	int udp[2], tcp[2]; /* IPv4, IPv6; -1 */
	uint16_t port;
};

struct dns_client {
	TAILQ_ENTRY(dns_client) list, waiting;
	struct dns *dns;
	const struct dns_ops *ops;
	void *ctx;
	struct dns_sockets sockets;
	sd_event_source *io[4];
	struct dns_cache cache;
	struct dns_bindings bindings;
	ldns_rbtree_t jobs;
	TAILQ_HEAD(, dns_job) queue;
	bool is_waiting;
	uint32_t asked, pending;
	TAILQ_HEAD(, dns_conn) conns;
	uint32_t nconns;
	struct dns_client_stats stats;
};

uint64_t dns_now(const struct dns *dns);

/* dns.c: read the hosts file again if it changed; `watched`: something said so */
void dns_check_hosts(struct dns *dns, bool watched);

/* dns_query.c */
void dns_query(struct dns_client *c, const struct dns_from *from, const uint8_t *msg, size_t len);
void dns_reply_to(struct dns_client *c, const struct dns_from *from, const struct dns_query *q,
		  const struct dns_answer *a);
void dns_report_removed(struct dns_client *c, const char *name, uint16_t qtype,
			const struct dns_answer *a);
/* Every address of an answer, before it is sent. A negative errno: it must not be. */
int dns_bind_all(struct dns_client *c, const char *name, uint32_t classes,
		 const struct dns_answer *a, uint64_t now);

/* dns_job.c: ask, or wait for a place; the asker hears of it in any case */
void dns_ask(struct dns_client *c, const struct dns_from *from, const struct dns_query *q,
	     uint32_t classes);
int dns_job_compare(const void *a, const void *b);
void dns_jobs_clear(struct dns_client *c);
/* Its asker is gone; the job goes on, for the cache. */
void dns_waiter_free(struct dns_waiter *w);

/* dns_listen.c */
int dns_sockets_open(int netns_fd, struct dns_sockets *s, struct diag *d);
void dns_sockets_close(struct dns_sockets *s);
int dns_listen(struct dns_client *c);
/* `msg` has two bytes of room before it. */
void dns_send(const struct dns_from *from, uint8_t *msg, size_t len);

/* dns_tcp.c */
int dns_on_connection(sd_event_source *src, int fd, uint32_t revents, void *ctx);
void dns_conn_send(struct dns_conn *conn, uint8_t *msg, size_t len);
void dns_conn_done(struct dns_conn *conn); /* one question less is pending */
void dns_conns_clear(struct dns_client *c);

#endif
