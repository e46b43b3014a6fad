// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * GET /metrics. libmicrohttpd without threads: its epoll descriptor is one source of the
 * server's loop, so that nothing here runs beside anything else, and nothing waits.
 */
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "diag.h"
#include "metrics.h"
#include "util.h"

#define BACKLOG 64
#define CONNECTION_BYTES (16u << 10) /* of memory: a request has a few headers */

struct visit { /* one connection */
	int fd; /* -1: free; else the library's own */
	uint64_t end; /* CLOCK_MONOTONIC, ms */
};

struct metrics_http {
	struct MHD_Daemon *daemon;
	sd_event *loop;
	sd_event_source *io, *timer;
	struct visit visits[METRICS_CONNECTIONS];
	struct metrics_source source;
	struct text text; /* made at `made` */
	uint64_t made; /* CLOCK_MONOTONIC, ms; 0: never */
	bool freed; /* a place, in this MHD_run() */
};

static uint64_t now_ms(void)
{
	struct timespec ts = {};

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- answers ----------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned int status, const char *body,
			      size_t len)
{
	struct MHD_Response *r;
	enum MHD_Result ok;

	/* copied: the text may be made anew while a slow reader still reads */
	r = MHD_create_response_from_buffer(len, (void *)body, MHD_RESPMEM_MUST_COPY);
	if (!r)
		return MHD_NO;
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
				      status == MHD_HTTP_OK ?
					      "text/plain; version=0.0.4; charset=utf-8" :
					      "text/plain; charset=utf-8");
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned int status, const char *text)
{
	return answer(c, status, text, strlen(text));
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request)
{
	struct metrics_http *m = ctx;
	uint64_t now = now_ms();

	(void)version;
	(void)upload;
	if (!*request) { /* the headers; answered when there is no body to be read */
		*request = m;
		return MHD_YES;
	}
	if (*upload_len)
		return MHD_NO; /* a body: not for us */
	if (!str_eq(method, MHD_HTTP_METHOD_GET) && !str_eq(method, MHD_HTTP_METHOD_HEAD))
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET /metrics\n");
	if (!str_eq(url, "/metrics"))
		return say(c, MHD_HTTP_NOT_FOUND, "/metrics\n");
	if (!m->made || now - m->made >= METRICS_FRESH_MS) {
		text_reset(&m->text);
		m->source.fill(m->source.ctx, &m->text);
		m->made = m->text.failed ? 0 : now;
	}
	if (m->text.failed)
		return say(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
	return answer(c, MHD_HTTP_OK, m->text.p, m->text.len);
}

static void on_visit(void *ctx, struct MHD_Connection *c, void **place,
		     enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info;
	struct metrics_http *m = ctx;
	struct visit *v = *place;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (v)
			v->fd = -1;
		m->freed = true;
		return;
	}
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	for (size_t i = 0; info && i < METRICS_CONNECTIONS; i++) {
		v = &m->visits[i];
		if (v->fd >= 0)
			continue;
		*v = (struct visit){ .fd = info->connect_fd,
				     .end = now_ms() + m->source.patience_ms };
		*place = v;
		return;
	}
}

/* ---- in the loop ---------------------------------------------------------------------------- */

static int on_timer(sd_event_source *src, uint64_t usec, void *ctx);

/* Come back when the library wants to, or the first connection has been there too long. */
static void set_timer(struct metrics_http *m)
{
	MHD_UNSIGNED_LONG_LONG wait;
	uint64_t now = now_ms(), next = m->freed ? now : UINT64_MAX;

	if (MHD_get_timeout(m->daemon, &wait) == MHD_YES)
		next = MIN(next, now + wait);
	for (size_t i = 0; i < METRICS_CONNECTIONS; i++)
		if (m->visits[i].fd >= 0)
			next = MIN(next, m->visits[i].end);
	m->timer = sd_event_source_disable_unref(m->timer);
	if (next == UINT64_MAX)
		return;
	/* out of memory: the next connection sets one */
	(void)sd_event_add_time(m->loop, &m->timer, CLOCK_MONOTONIC, next * 1000, 1000, on_timer,
				m);
}

static void serve(struct metrics_http *m)
{
	uint64_t now = now_ms();

	for (size_t i = 0; i < METRICS_CONNECTIONS; i++) {
		struct visit *v = &m->visits[i];

		/* only the library may close it: it sees the end and does */
		if (v->fd >= 0 && v->end <= now) {
			(void)shutdown(v->fd, SHUT_RDWR);
			v->end = UINT64_MAX;
		}
	}
	/*
	 * When all places are taken it does not wait for connections, and begins to again only
	 * at its next run: a place that became free in this one needs another.
	 */
	m->freed = false;
	(void)MHD_run(m->daemon);
	set_timer(m);
}

static int on_timer(sd_event_source *src, uint64_t usec, void *ctx)
{
	(void)src;
	(void)usec;
	serve(ctx);
	return 0;
}

static int on_io(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	(void)src;
	(void)fd;
	(void)revents;
	serve(ctx);
	return 0;
}

/* ---- life ---------------------------------------------------------------------------- */

static int listen_at(const char *where, struct diag *d)
{
	struct sockaddr_storage addr;
	_cleanup_close_ int fd = -1;
	socklen_t len;
	bool local;
	int one = 1;

	if (config_address(where, &addr, &len, &local))
		return diag_set(d, -EINVAL, "metrics: '%s' is not an address and a port", where);
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return diag_set(d, -errno, "metrics: cannot make a socket: %s", strerror(errno));
	/* an IPv4 address is asked for by an IPv4 address */
	if (addr.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, len) || listen(fd, BACKLOG))
		return diag_set(d, -errno, "metrics: cannot listen at %s: %s", where,
				strerror(errno));
	return steal_fd(&fd);
}

static int start(struct metrics_http *m, int fd)
{
	const union MHD_DaemonInfo *info;

	m->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TURBO, 0, NULL, NULL, on_request, m,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, METRICS_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION, on_visit, m, MHD_OPTION_END);
	if (!m->daemon) {
		close(fd); /* on success it is the daemon's */
		return -ENOMEM;
	}
	info = MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? sd_event_add_io(m->loop, &m->io, info->epoll_fd, EPOLLIN, on_io, m) : -EIO;
}

int metrics_http_new(struct sd_event *loop, const char *where, const struct metrics_source *source,
		     struct metrics_http **out, struct diag *d)
{
	int fd = listen_at(where, d), err;
	struct metrics_http *m;

	if (fd < 0)
		return fd;
	m = calloc(1, sizeof(*m));
	if (!m) {
		close(fd);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < METRICS_CONNECTIONS; i++)
		m->visits[i].fd = -1;
	m->loop = sd_event_ref(loop);
	m->source = *source;
	if (!m->source.patience_ms)
		m->source.patience_ms = METRICS_CONNECTION_MS;
	err = start(m, fd);
	if (err < 0) {
		metrics_http_free(m);
		return diag_set(d, err, "metrics: cannot serve at %s: %s", where,
				strerror(-err));
	}
	*out = m;
	return 0;
}

void metrics_http_free(struct metrics_http *m)
{
	if (!m)
		return;
	sd_event_source_disable_unref(m->io);
	sd_event_source_disable_unref(m->timer);
	if (m->daemon)
		MHD_stop_daemon(m->daemon);
	sd_event_unref(m->loop);
	text_free(&m->text);
	free(m);
}
