// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One question to the host's resolvers. What an attacker off the path has to
 * guess is the port and the id of a socket that lives for one try; what answers
 * another question is counted, and too many of it end with TCP (A65).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>

#include "dns_upstream.h"
#include "dns_wire.h"
#include "util.h"

#define BATCH 4 /* datagrams of one question before others have their turn */
#define ACCURACY_US 1000u

struct dns_upstream {
	sd_event *loop;
	const struct dns_options *o;
	struct dns_file file;
	struct dns_resolv conf;
	uint64_t generation; /* of conf */
	uint64_t down_until[DNS_MAX_SERVERS]; /* ms, CLOCK_MONOTONIC */
	uint32_t turn; /* for `options rotate` */
};

struct dns_ask {
	struct dns_upstream *u;
	const char *name;
	uint16_t qtype, id;
	const struct dns_ask_ops *ops;
	void *ctx;

	/* the servers as they were when it began, best first; `from` is their place there */
	union dns_server servers[DNS_MAX_SERVERS];
	uint8_t from[DNS_MAX_SERVERS];
	uint64_t generation;
	uint32_t nservers, rounds, try_ms;
	uint32_t next; /* tries begun: round and server */
	uint64_t deadline; /* ms, CLOCK_MONOTONIC */
	bool use_vc, tcp, edns;
	uint32_t forged;
	int err; /* what the last server that answered had to say */

	int fd;
	sd_event_source *io, *timer;
	uint8_t out[2 + DNS_UDP_PLAIN]; /* TCP's length, the question */
	size_t out_len, out_sent;
	uint8_t *in; /* TCP: length and message */
	size_t in_len, in_got;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* ---- configuration ----------------------------------------------------------------- */

static void reload(struct dns_upstream *u)
{
	struct dns_resolv conf;
	char *text;

	if (!dns_file_changed(&u->file))
		return;
	text = dns_file_read(&u->file);
	if (!text)
		return; /* no memory: the old one serves */
	dns_resolv_parse(text, u->o->upstream_port ? u->o->upstream_port : 53, &conf);
	free(text);
	/* read again while it is young: what was learnt of its servers stays */
	if (memcmp(&conf, &u->conf, sizeof(conf)) == 0)
		return;
	memcpy(&u->conf, &conf, sizeof(conf)); /* padding too: it is compared */
	u->generation++;
	memset(u->down_until, 0, sizeof(u->down_until));
}

const struct dns_resolv *dns_upstream_conf(struct dns_upstream *u)
{
	reload(u);
	return &u->conf;
}

int dns_upstream_new(sd_event *loop, const struct dns_options *o, struct dns_upstream **out)
{
	struct dns_upstream *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->loop = sd_event_ref(loop);
	u->o = o;
	u->file.path = o->resolv_conf;
	reload(u);
	*out = u;
	return 0;
}

void dns_upstream_free(struct dns_upstream *u)
{
	if (!u)
		return;
	sd_event_unref(u->loop);
	free(u);
}

/* Servers that were silent lately come last: they are still asked, so that they can come back. */
static void choose_servers(struct dns_ask *ask)
{
	struct dns_upstream *u = ask->u;
	const struct dns_resolv *conf = dns_upstream_conf(u);
	uint32_t first = conf->rotate ? u->turn++ : 0;
	uint64_t now = now_ms();

	for (int down = 0; down < 2; down++) {
		for (uint32_t i = 0; i < conf->nservers; i++) {
			uint32_t at = (first + i) % conf->nservers;

			if ((u->down_until[at] > now) != down)
				continue;
			ask->from[ask->nservers] = (uint8_t)at;
			ask->servers[ask->nservers++] = conf->servers[at];
		}
	}
	ask->generation = u->generation;
	ask->rounds = conf->attempts ? conf->attempts : DNS_ATTEMPTS;
	ask->try_ms = conf->timeout_s ? conf->timeout_s * 1000 : DNS_TRY_MS;
	if (u->o->timeout_ms)
		ask->try_ms = u->o->timeout_ms;
	ask->use_vc = conf->use_vc;
}

static uint32_t current(const struct dns_ask *ask)
{
	return (ask->next - 1) % ask->nservers;
}

static void mark_server(const struct dns_ask *ask, bool down)
{
	struct dns_upstream *u = ask->u;

	if (ask->generation == u->generation)
		u->down_until[ask->from[current(ask)]] = down ? now_ms() + DNS_DOWN_MS : 0;
}

/* ---- the end of it ----------------------------------------------------------------- */

static void close_socket(struct dns_ask *ask)
{
	ask->io = sd_event_source_disable_unref(ask->io);
	if (ask->fd >= 0)
		(void)close(steal_fd(&ask->fd)); /* what was in it is not wanted any more */
	free(steal_ptr(ask->in));
	ask->in_len = ask->in_got = ask->out_sent = 0;
}

void dns_ask_cancel(struct dns_ask *ask)
{
	if (!ask)
		return;
	close_socket(ask);
	sd_event_source_disable_unref(ask->timer);
	free(ask);
}

static void finish(struct dns_ask *ask, int err)
{
	const struct dns_ask_ops *ops = ask->ops;
	void *ctx = ask->ctx;

	dns_ask_cancel(ask);
	ops->done(ctx, err);
}

/* ---- a try ------------------------------------------------------------------------- */

static int on_io(sd_event_source *src, int fd, uint32_t revents, void *ctx);

static void set_timer(struct dns_ask *ask, uint32_t ms)
{
	uint64_t now = now_ms(), left = ask->deadline > now ? ask->deadline - now : 0;

	/* neither fails: the source exists, and is of this kind */
	(void)sd_event_source_set_time_relative(ask->timer, MIN((uint64_t)ms, left) * 1000);
	(void)sd_event_source_set_enabled(ask->timer, SD_EVENT_ONESHOT);
}

/* One question to the current server. Returns 0 or a negative errno. */
static int try_server(struct dns_ask *ask)
{
	const union dns_server *server = &ask->servers[current(ask)];
	uint32_t round = (ask->next - 1) / ask->nservers;
	int type = ask->tcp ? SOCK_STREAM : SOCK_DGRAM, err;

	close_socket(ask);
	if (getrandom(&ask->id, sizeof(ask->id), 0) != sizeof(ask->id))
		return -errno;
	ask->out_len = 2 + dns_query_build(ask->name, ask->qtype, ask->id, ask->edns, ask->out + 2);
	ldns_write_uint16(ask->out, (uint16_t)(ask->out_len - 2));
	ask->fd = socket(server->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ask->fd < 0)
		return -errno;
	if (connect(ask->fd, &server->sa, dns_server_len(server)) && errno != EINPROGRESS)
		return -errno;
	if (!ask->tcp && send(ask->fd, ask->out + 2, ask->out_len - 2, MSG_NOSIGNAL) < 0)
		return -errno;
	set_timer(ask, ask->try_ms << MIN(round, 4u));
	err = sd_event_add_io(ask->u->loop, &ask->io, ask->fd, ask->tcp ? EPOLLOUT : EPOLLIN, on_io,
			      ask);
	return MIN(err, 0);
}

/* The next server, or the next round; 0 while something is under way. */
static int try_next(struct dns_ask *ask)
{
	while (ask->next < ask->nservers * ask->rounds && now_ms() < ask->deadline) {
		int err;

		ask->next++;
		ask->tcp = ask->use_vc;
		ask->edns = true;
		ask->forged = 0;
		err = try_server(ask);
		if (!err)
			return 0;
		ask->err = err;
	}
	close_socket(ask);
	return ask->err ? ask->err : -ETIMEDOUT;
}

static void next_or_finish(struct dns_ask *ask)
{
	int err = try_next(ask);

	if (err)
		finish(ask, err);
}

static void same_server(struct dns_ask *ask)
{
	int err = try_server(ask);

	if (!err)
		return;
	ask->err = err;
	next_or_finish(ask);
}

static int on_timer(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct dns_ask *ask = ctx;

	(void)src;
	(void)usec;
	if (ask->next && ask->fd >= 0)
		mark_server(ask, true);
	next_or_finish(ask);
	return 0;
}

/* ---- answers ----------------------------------------------------------------------- */

/* A whole message came. True: go on reading; false: `ask` may be gone. */
static bool judge(struct dns_ask *ask, const uint8_t *msg, size_t len)
{
	int err = ask->ops->judge(ask->ctx, msg, len, ask->id);

	switch (err) {
	case 0:
		mark_server(ask, false);
		finish(ask, 0);
		return false;
	case -EAGAIN:
		if (!ask->tcp && ++ask->forged < DNS_MAX_FORGED)
			return true;
		if (ask->tcp)
			break;
		ask->tcp = true;
		same_server(ask);
		return false;
	case -EMSGSIZE:
		if (ask->tcp)
			break;
		ask->tcp = true;
		same_server(ask);
		return false;
	case -EPROTO:
		if (!ask->edns)
			break;
		ask->edns = false;
		same_server(ask);
		return false;
	case -ENOMEM:
		finish(ask, err);
		return false;
	}
	ask->err = err == -EAGAIN || err == -EMSGSIZE ? -EBADMSG : err;
	next_or_finish(ask);
	return false;
}

static void read_datagrams(struct dns_ask *ask)
{
	uint8_t buf[DNS_UDP_MAX];

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(ask->fd, buf, sizeof(buf), MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) { /* nobody listens there */
			ask->err = -errno;
			next_or_finish(ask);
			return;
		}
		if ((size_t)n > sizeof(buf)) { /* more than was offered to take */
			ask->tcp = true;
			same_server(ask);
			return;
		}
		if (!judge(ask, buf, (size_t)n))
			return;
	}
}

/* 1: all is there, 0: not yet, or a negative errno. */
static int read_stream(struct dns_ask *ask)
{
	uint8_t *more;
	ssize_t n;

	for (;;) {
		if (!ask->in_len)
			ask->in_len = 2;
		if (ask->in_got == 2 && ask->in_len == 2) {
			ask->in_len += ldns_read_uint16(ask->in);
			if (ask->in_len == 2)
				return -EBADMSG;
		}
		if (ask->in_got == ask->in_len)
			return 1;
		more = realloc(ask->in, ask->in_len);
		if (!more)
			return -ENOMEM;
		ask->in = more;
		n = recv(ask->fd, ask->in + ask->in_got, ask->in_len - ask->in_got, 0);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (!n)
			return -ECONNRESET;
		ask->in_got += (size_t)n;
	}
}

static int write_stream(struct dns_ask *ask)
{
	ssize_t n = send(ask->fd, ask->out + ask->out_sent, ask->out_len - ask->out_sent,
			 MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	ask->out_sent += (size_t)n;
	if (ask->out_sent < ask->out_len)
		return 0;
	return sd_event_source_set_io_events(ask->io, EPOLLIN);
}

static int on_io(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct dns_ask *ask = ctx;
	uint8_t *msg;
	int err;

	(void)src;
	(void)fd;
	(void)revents;
	if (!ask->tcp) {
		read_datagrams(ask);
		return 0;
	}
	err = ask->out_sent < ask->out_len ? write_stream(ask) : read_stream(ask);
	if (err < 0) {
		ask->err = err;
		next_or_finish(ask);
	} else if (err > 0) {
		msg = steal_ptr(ask->in); /* judging may begin another try */
		(void)judge(ask, msg + 2, ask->in_len - 2);
		free(msg);
	}
	return 0;
}

int dns_ask_start(struct dns_upstream *u, const char *name, uint16_t qtype, uint32_t deadline_ms,
		  const struct dns_ask_ops *ops, void *ctx, struct dns_ask **out)
{
	struct dns_ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return -ENOMEM;
	*ask = (struct dns_ask){ .u = u, .name = name, .qtype = qtype, .ops = ops, .ctx = ctx,
				 .fd = -1, .deadline = now_ms() + deadline_ms };
	if (sd_event_add_time_relative(u->loop, &ask->timer, CLOCK_MONOTONIC, UINT64_MAX / 2,
				       ACCURACY_US, on_timer, ask) < 0) {
		free(ask);
		return -ENOMEM;
	}
	choose_servers(ask);
	*out = ask;
	/* every server failed already: the timer says so, once the caller has `out` */
	if (try_next(ask))
		set_timer(ask, 0);
	return 0;
}
