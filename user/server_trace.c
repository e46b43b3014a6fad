/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Traced sandboxes: from the ring and the counters to one trace each. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bpf_load.h"
#include "compile.h"
#include "events.h"
#include "publish.h"
#include "runs.h"
#include "sandbox.h"
#include "server_int.h"
#include "trace.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

struct box_trace {
	struct trace t;
	int links[2]; /* that count its packets; -1: none */
};

/* ---- collecting ----------------------------------------------------------------------- */

static void add_record(struct conn *c, struct event *ev)
{
	/* what was allowed needs no explanation, and there is most of it */
	if (ev->verdict != EG_VERDICT_ALLOWED)
		event_explain(ev, publisher_find(c->s->publisher, ev->serial));
	trace_add_event(&c->trace->t, ev);
}

void conn_trace_record(struct conn *c, const void *record, size_t len)
{
	struct event ev;

	if (!event_decode_touched(&ev, record, len))
		add_record(c, &ev);
}

static int on_record(void *ctx, void *record, size_t len)
{
	struct server *s = ctx;
	struct sandbox *b;
	struct event ev;
	struct conn *c;

	if (event_decode_touched(&ev, record, len))
		return 0;
	b = sandboxes_find(s->sandboxes, ev.sandbox);
	c = b ? sandbox_owner(b) : NULL;
	if (c && c->trace)
		add_record(c, &ev);
	return 0;
}

static int on_touched(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct server *s = ctx;

	(void)src;
	(void)fd;
	(void)revents;
	(void)ring_buffer__consume(s->touched); /* libbpf's own failures: none */
	return 0;
}

void conn_trace_name(struct conn *c, const char *name, bool allowed, const uint8_t *addr)
{
	trace_add_name(&c->trace->t, name, allowed, addr);
}

static void add_dest(struct trace *t, const struct eg_traffic_key *k, const struct eg_traffic *v)
{
	struct trace_dest d = {
		.port = ntohs(k->port), .proto = k->proto, .served = k->served,
		.said = v->said & ~EG_SAID_NEXT, .bytes_out = v->bytes_out,
		.packets_out = v->packets_out, .bytes_in = v->bytes_in, .packets_in = v->packets_in,
	};

	memcpy(d.addr, k->addr, sizeof(d.addr));
	trace_add_dest(t, &d);
}

/* The counters of a sandbox as they are now; `take`: they are not needed any more. */
static void read_traffic(struct server *s, struct trace *t, bool take)
{
	int fd = agent_map_fd(s->a, AGENT_MAP_TRAFFIC);
	struct eg_traffic_key key, next;
	struct eg_traffic v;
	int err = bpf_map_get_next_key(fd, NULL, &key);

	t->ndests = 0;
	while (!err) {
		err = bpf_map_get_next_key(fd, &key, &next);
		if (key.sandbox == t->sandbox && !bpf_map_lookup_elem(fd, &key, &v)) {
			add_dest(t, &key, &v);
			if (take)
				(void)bpf_map_delete_elem(fd, &key);
		}
		key = next;
	}
}

/* Everything that is known by now. */
static void complete(struct conn *c, bool take)
{
	int fd = agent_map_fd(c->s->a, AGENT_MAP_TRACES);
	struct trace *t = &c->trace->t;
	struct eg_trace lost = {};

	(void)ring_buffer__consume(c->s->touched);
	read_traffic(c->s, t, take);
	(void)bpf_map_lookup_elem(fd, &t->sandbox, &lost);
	t->lost = lost.lost;
	t->uncounted = lost.uncounted;
	t->denied = sandbox_counters(c->box)->denied;
	if (take)
		(void)bpf_map_delete_elem(fd, &t->sandbox);
}

/* ---- life ----------------------------------------------------------------------------- */

static uint64_t wall_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int conn_trace_start(struct conn *c, bool restarted, struct diag *d)
{
	const struct compiled *compiled = sandbox_version(c->box)->compiled;
	int fd = agent_map_fd(c->s->a, AGENT_MAP_TRACES), err;
	uint64_t id = sandbox_id(c->box);
	struct eg_trace none = {};
	struct trace *t;

	if (!(compiled->head.flags & EG_P_TRACE))
		return 0;
	c->trace = calloc(1, sizeof(*c->trace));
	if (!c->trace)
		return diag_set(d, -ENOMEM, "out of memory");
	c->trace->links[0] = c->trace->links[1] = -1;
	t = &c->trace->t;
	err = trace_init(t, id, sandbox_name(c->box), sandbox_policy(c->box));
	if (err)
		return diag_set(d, err, "out of memory");
	t->owner = sandbox_uid(c->box);
	t->started_ns = sandbox_started(c->box);
	t->audit = compiled->run.audit;
	t->restarted = restarted;
	if (!restarted && bpf_map_update_elem(fd, &id, &none, BPF_ANY))
		return diag_set(d, -errno, "cannot begin the trace: %s", strerror(errno));
	err = agent_count(c->s->a, sandbox_cgroup_fd(c->box), c->trace->links);
	return err ? diag_set(d, err, "cannot count packets: %s", strerror(-err)) : 0;
}

void conn_trace_free(struct conn *c)
{
	if (!c->trace)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(c->trace->links); i++)
		if (c->trace->links[i] >= 0)
			close(c->trace->links[i]);
	trace_clear(&c->trace->t);
	free(c->trace);
	c->trace = NULL;
}

void conn_trace_end(struct conn *c)
{
	const char *dir = server_log_dir(c->s, c->s->config);
	struct trace *t;
	int err;

	if (!c->trace)
		return;
	t = &c->trace->t;
	if (t->buckets) { /* else it never began */
		complete(c, true);
		t->ended_ns = wall_clock();
		err = dir ? runs_save(dir, t) : 0;
		if (err)
			fprintf(stderr, "egressd: cannot keep the trace of sandbox %llu: %s\n",
				(unsigned long long)t->sandbox, strerror(-err));
	}
	conn_trace_free(c);
}

void conn_trace_take(struct conn *c, struct conn *from)
{
	c->trace = steal_ptr(from->trace);
}

int server_traces_start(struct server *s, struct diag *d)
{
	int err;

	s->touched = ring_buffer__new(agent_map_fd(s->a, AGENT_MAP_TOUCHED), on_record, s, NULL);
	if (!s->touched)
		return diag_set(d, -errno, "cannot read what sandboxes touch: %s",
				strerror(errno));
	err = sd_event_add_io(s->loop, &s->traces, ring_buffer__epoll_fd(s->touched), EPOLLIN,
			      on_touched, s);
	return err < 0 ? diag_set(d, err, "out of memory") : 0;
}

void server_traces_stop(struct server *s)
{
	sd_event_source_unref(s->traces);
	ring_buffer__free(s->touched);
}

/* ---- asking ---------------------------------------------------------------------------- */

static int write_all(int fd, const char *p, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, p + done, len - done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static void send_live(struct conn *c, struct conn *owner)
{
	_cleanup_close_ int mem = memfd_create("trace", MFD_CLOEXEC);
	struct text json = { 0 };
	int err;

	complete(owner, false);
	err = mem < 0 ? -errno : trace_to_json(&owner->trace->t, &json);
	if (!err)
		err = write_all(mem, json.p, json.len);
	text_free(&json);
	if (err)
		conn_error(c, 125, "cannot hand over the trace: %s", strerror(-err));
	else
		conn_reply_file(c, mem);
}

static void send_ended(struct conn *c, const json_t *ref, const struct diag *d)
{
	const char *dir = server_log_dir(c->s, c->s->config);
	int64_t uid = c->peer.uid ? (int64_t)c->peer.uid : -1;
	_cleanup_close_ int fd = -1;

	fd = dir ? runs_open(dir, uid, ref) : -ENOENT;
	if (fd >= 0)
		conn_reply_file(c, fd);
	else if (json_is_integer(ref) && fd == -ENOENT)
		conn_reply(c, json_pack("{s:I}", "untraced", json_integer_value(ref)));
	else
		conn_error_diag(c, d->err == -EINVAL ? 2 : 1, d);
}

void serve_trace(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	const json_t *ref = json_object_get(request, "sandbox");
	struct diag d = {};
	struct conn *owner;
	struct sandbox *b;

	(void)fds;
	(void)nfds;
	b = server_find(c, ref, &d);
	owner = b ? sandbox_owner(b) : NULL;
	if (!b)
		send_ended(c, ref, &d);
	else if (owner && owner->trace)
		send_live(c, owner);
	else
		conn_reply(c, json_pack("{s:I}", "untraced", (json_int_t)sandbox_id(b)));
}
