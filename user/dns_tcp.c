// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Questions over TCP (RFC 7766): several may be pending on a connection, and are
 * answered as the answers come. A connection is read only while the program
 * reads its answers, and closed when it has been idle: bytes that do not make a
 * question are idleness too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "dns_int.h"
#include "util.h"

#define ACCEPT_BATCH 4
#define OUT_MAX (2 * (2 + DNS_TCP_MAX))
#define ACCURACY_US 100000u

static void conn_free(struct dns_conn *conn)
{
	struct dns_client *c = conn->client;
	struct dns_waiter *w;

	while ((w = TAILQ_FIRST(&conn->waiters)))
		dns_waiter_free(w);
	TAILQ_REMOVE(&c->conns, conn, list);
	c->nconns--;
	sd_event_source_disable_unref(conn->io);
	sd_event_source_disable_unref(conn->timer);
	sd_event_source_disable_unref(conn->more);
	(void)close(conn->fd);
	free(conn->out);
	free(conn);
}

void dns_conns_clear(struct dns_client *c)
{
	struct dns_conn *conn;

	while ((conn = TAILQ_FIRST(&c->conns)))
		conn_free(conn);
}

static void set_timer(struct dns_conn *conn, uint64_t us)
{
	(void)sd_event_source_set_time_relative(conn->timer, us);
	(void)sd_event_source_set_enabled(conn->timer, SD_EVENT_ONESHOT);
}

/* The caller may still hold it: the loop frees it. */
static void set_broken(struct dns_conn *conn)
{
	conn->broken = true;
	(void)sd_event_source_set_enabled(conn->io, SD_EVENT_OFF);
	set_timer(conn, 0);
}

static int on_timer(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct dns_conn *conn = ctx;

	(void)src;
	(void)usec;
	if (conn->broken || !conn->pending)
		conn_free(conn);
	else
		set_timer(conn, DNS_TCP_IDLE_MS * 1000u);
	return 0;
}

/* What it waits for: room to write, or questions, while few are pending. */
static void set_events(struct dns_conn *conn)
{
	bool reads = !conn->eof && !conn->out_len && conn->pending < DNS_MAX_TCP_PENDING;

	/* it said all it had to say, and heard all it has to hear */
	if (conn->eof && !conn->out_len && !conn->pending) {
		set_broken(conn);
		return;
	}
	(void)sd_event_source_set_io_events(conn->io, (conn->out_len ? EPOLLOUT : 0u) |
							      (reads ? EPOLLIN : 0u));
}

/* ---- answers ----------------------------------------------------------------------- */

static int keep_for_later(struct dns_conn *conn, const uint8_t *p, size_t len)
{
	if (conn->out_len + len > OUT_MAX ||
	    array_reserve(&conn->out, &conn->out_cap, conn->out_len + len))
		return -ENOMEM;
	memcpy(conn->out + conn->out_len, p, len);
	conn->out_len += len;
	return 0;
}

void dns_conn_send(struct dns_conn *conn, uint8_t *msg, size_t len)
{
	uint8_t *p = msg - 2;
	ssize_t n = 0;

	if (conn->broken)
		return;
	ldns_write_uint16(p, (uint16_t)len);
	len += 2;
	if (!conn->out_len)
		n = send(conn->fd, p, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		set_broken(conn);
		return;
	}
	n = MAX(n, 0);
	if ((size_t)n < len && keep_for_later(conn, p + n, len - (size_t)n)) {
		set_broken(conn);
		return;
	}
	set_events(conn);
	set_timer(conn, DNS_TCP_IDLE_MS * 1000u);
}

static void flush(struct dns_conn *conn)
{
	ssize_t n = send(conn->fd, conn->out, conn->out_len, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			set_broken(conn);
		return;
	}
	conn->out_len -= (size_t)n;
	memmove(conn->out, conn->out + n, conn->out_len);
	set_events(conn);
}

/* ---- questions --------------------------------------------------------------------- */

/* Those that are complete in the buffer, while few are pending. */
static void take_questions(struct dns_conn *conn)
{
	const struct dns_from from = { .udp = -1, .tcp = conn };
	uint8_t msg[DNS_MAX_QUERY];

	while (!conn->broken && conn->got >= 2 && !conn->out_len &&
	       conn->pending < DNS_MAX_TCP_PENDING) {
		size_t len = ldns_read_uint16(conn->in);

		/* no question is so long; what follows cannot be found */
		if (len > DNS_MAX_QUERY) {
			set_broken(conn);
			return;
		}
		if (conn->got < 2 + len)
			return;
		memcpy(msg, conn->in + 2, len);
		conn->got -= 2 + len;
		memmove(conn->in, conn->in + 2 + len, conn->got);
		TAILQ_REMOVE(&conn->client->conns, conn, list);
		TAILQ_INSERT_TAIL(&conn->client->conns, conn, list);
		dns_query(conn->client, &from, msg, len);
	}
}

void dns_conn_done(struct dns_conn *conn)
{
	conn->pending--;
	if (conn->broken)
		return;
	set_events(conn);
	/* nothing may come any more that would wake us for what is here already */
	if (conn->got >= 2)
		(void)sd_event_source_set_enabled(conn->more, SD_EVENT_ONESHOT);
}

static int on_more(sd_event_source *src, void *ctx)
{
	(void)src;
	take_questions(ctx);
	return 0;
}

static int on_io(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct dns_conn *conn = ctx;
	ssize_t n;

	(void)src;
	if (revents & (EPOLLERR | EPOLLHUP)) /* nobody is there to hear an answer */
		set_broken(conn);
	else if (revents & EPOLLOUT)
		flush(conn);
	if (conn->broken || conn->out_len)
		return 0;
	if (revents & EPOLLIN) {
		n = recv(fd, conn->in + conn->got, sizeof(conn->in) - conn->got, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			set_broken(conn);
		conn->eof = !n;
		conn->got += (size_t)MAX(n, 0);
	}
	take_questions(conn);
	if (!conn->broken)
		set_events(conn);
	return 0;
}

/* ---- connections ------------------------------------------------------------------- */

/* Room for one more: the longest idle one goes. */
static bool make_room(struct dns_client *c)
{
	struct dns_conn *conn;

	if (c->nconns < DNS_MAX_TCP)
		return true;
	TAILQ_FOREACH(conn, &c->conns, list) {
		if (conn->pending)
			continue;
		conn_free(conn);
		return true;
	}
	return false;
}

static int conn_new(struct dns_client *c, int fd)
{
	struct dns_conn *conn = calloc(1, sizeof(*conn));
	sd_event *loop = c->dns->loop;

	if (!conn)
		return -ENOMEM;
	conn->client = c;
	TAILQ_INIT(&conn->waiters);
	if (sd_event_add_io(loop, &conn->io, fd, EPOLLIN, on_io, conn) < 0 ||
	    sd_event_add_time_relative(loop, &conn->timer, CLOCK_MONOTONIC, DNS_TCP_IDLE_MS * 1000u,
				       ACCURACY_US, on_timer, conn) < 0 ||
	    sd_event_add_defer(loop, &conn->more, on_more, conn) < 0) {
		sd_event_source_disable_unref(conn->io);
		sd_event_source_disable_unref(conn->timer);
		free(conn);
		return -ENOMEM;
	}
	(void)sd_event_source_set_enabled(conn->more, SD_EVENT_OFF);
	conn->fd = fd;
	TAILQ_INSERT_TAIL(&c->conns, conn, list);
	c->nconns++;
	return 0;
}

int dns_on_connection(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct dns_client *c = ctx;

	(void)revents;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		_cleanup_close_ int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got < 0) {
			/* no descriptors: not again and again, but when the sweep turns it on */
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				(void)sd_event_source_set_enabled(src, SD_EVENT_OFF);
			return 0;
		}
		if (make_room(c) && !conn_new(c, got))
			(void)steal_fd(&got);
	}
	return 0;
}
