/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names for a sandbox: its resolver, what that binds, and what it refuses. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf_load.h"
#include "compile.h"
#include "dns.h"
#include "dns_name.h"
#include "events.h"
#include "flows.h"
#include "publish.h"
#include "sandbox.h"
#include "server_int.h"
#include "task_check.h"
#include "util.h"
#include "verdict.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define NSEC_PER_SEC 1000000000ull
/*
 * A class that no policy has: in audit mode every name is looked up, and the
 * kernel reports what is connected to.
 */
#define CLASS_AUDIT (1u << 31)

struct names {
	struct conn *c;
	const struct compiled *compiled; /* of the sandbox's version */
	uint32_t family; /* of that version: what is bound is bound for it */
	struct dns_client *client;
	int netns; /* another network namespace than ours, where it listens; -1: ours */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* ---- what is allowed --------------------------------------------------------------------- */

static bool is_audit(const struct names *n)
{
	return n->compiled->head.flags & EG_P_AUDIT;
}

static uint32_t name_classes(void *ctx, const char *name)
{
	struct names *n = ctx;
	uint32_t classes = verdict_name_classes(n->compiled, name);

	return classes || !is_audit(n) ? classes : CLASS_AUDIT;
}

static void name_asked(void *ctx, const char *name, const uint8_t addr[16])
{
	struct names *n = ctx;

	if (n->c->trace)
		conn_trace_name(n->c, name, verdict_name_classes(n->compiled, name), addr);
}

/* An address rule that opens one of the ports the name is allowed at. */
static bool by_address(const struct compiled *c, const uint8_t addr[16], uint32_t classes)
{
	uint32_t i, rule;
	uint8_t verdict;

	for (i = 0; i < c->head.nclasses; i++) {
		const struct eg_class *k = &c->head.classes[i];

		if ((classes >> i & 1) &&
		    !verdict_egress(c, addr, k->lo, k->proto, &verdict, &rule) &&
		    verdict == EG_V_ALLOW)
			return true;
	}
	return false;
}

static bool address_ok(void *ctx, const uint8_t addr[16], uint32_t classes)
{
	struct names *n = ctx;

	return is_audit(n) || (classes & verdict_private_classes(n->compiled)) ||
	       by_address(n->compiled, addr, classes);
}

/* ---- what is bound ------------------------------------------------------------------------ */

static int bindings(const struct names *n)
{
	return agent_map_fd(n->c->s->a, AGENT_MAP_BINDINGS);
}

static struct eg_binding_key key_of(const struct names *n, const uint8_t addr[16])
{
	struct eg_binding_key key = {
		.sandbox = sandbox_id(n->c->box),
		.family = n->family,
	};

	memcpy(key.addr, addr, sizeof(key.addr));
	return key;
}

/*
 * All sandboxes share one table. A user's have a quarter of it together, and the last
 * eighth is root's: whoever asks for more gives up own addresses that are not in use.
 */
static bool has_room(void *ctx)
{
	struct names *n = ctx;
	uint32_t mine = 0, all = 0;
	const struct conn *c;

	if (!sandbox_uid(n->c->box))
		return true;
	for (c = n->c->s->conns; c; c = c->next) {
		struct dns_client_stats st;

		if (!c->box || !conn_names_stats(c, &st))
			continue;
		all += st.bindings;
		if (sandbox_uid(c->box) == sandbox_uid(n->c->box))
			mine += st.bindings;
	}
	return mine < EG_MAX_BINDINGS / PUBLISH_SHARES &&
	       all < EG_MAX_BINDINGS - EG_MAX_BINDINGS / PUBLISH_KEPT_PART;
}

static int bind_address(void *ctx, const uint8_t addr[16], uint32_t classes, uint64_t expires_ns)
{
	struct names *n = ctx;
	struct eg_binding_key key = key_of(n, addr);
	struct eg_binding b = {};

	/* the kernel's note of its last use goes on */
	(void)bpf_map_lookup_elem(bindings(n), &key, &b);
	b.expires = expires_ns;
	b.classes = classes & ~CLASS_AUDIT;
	/* an address rule opens what it opens; the name opens only what may be private */
	if (dns_address_special(addr))
		b.classes &= verdict_private_classes(n->compiled);
	return bpf_map_update_elem(bindings(n), &key, &b, BPF_ANY) ? -errno : 0;
}

static int unbind_address(void *ctx, const uint8_t addr[16])
{
	struct names *n = ctx;
	struct eg_binding_key key = key_of(n, addr);

	return bpf_map_delete_elem(bindings(n), &key) ? -errno : 0;
}

static uint64_t last_used(void *ctx, const uint8_t addr[16])
{
	struct names *n = ctx;
	struct eg_binding_key key = key_of(n, addr);
	struct eg_binding b;

	return bpf_map_lookup_elem(bindings(n), &key, &b) ? 0 : b.used;
}

static bool in_use(void *ctx, const uint8_t addr[16])
{
	struct names *n = ctx;

	return n->netns >= 0 ||
	       flows_open_to(n->c->s->seen, addr, last_used(ctx, addr), now_ns(CLOCK_BOOTTIME));
}

/* ---- what is refused ----------------------------------------------------------------------- */

/* take_token() of bpf/event.bpf.h: the same bucket, which the kernel takes from, too */
static bool take_token(struct eg_sandbox *sb)
{
	uint64_t rate = sb->ev_rate, now, burst, spent;

	if (!rate)
		return true;
	now = now_ns(CLOCK_MONOTONIC);
	burst = sb->ev_burst * NSEC_PER_SEC / rate;
	spent = __atomic_load_n(&sb->ev_tokens, __ATOMIC_RELAXED);
	if (spent + burst < now)
		spent = now - burst;
	spent += NSEC_PER_SEC / rate;
	if (spent > now)
		return false;
	__atomic_store_n(&sb->ev_tokens, spent, __ATOMIC_RELAXED);
	return true;
}

static void refused(void *ctx, const char *name, uint16_t qtype, const uint8_t addr[16])
{
	struct names *n = ctx;
	struct server *s = n->c->s;
	struct eg_sandbox *sb = &agent_sandboxes(s->a)[sandbox_slot(n->c->box)];
	struct event_resolve r = {
		.sandbox = sb->id, .serial = sandbox_version(n->c->box)->serial, .uid = sb->uid,
		.audit = is_audit(n), .name = name, .qtype = qtype, .addr = addr,
	};
	char record[EVENT_RESOLVE_MAX];
	size_t len;

	__atomic_fetch_add(&sb->denied, 1, __ATOMIC_RELAXED);
	if (n->c->trace) {
		len = event_make_resolve(&r, record);
		conn_trace_record(n->c, record, len);
	}
	if (!take_token(sb)) {
		__atomic_fetch_add(&sb->ev_suppressed, 1, __ATOMIC_RELAXED);
		return;
	}
	/* what the kernel numbered before must be read before */
	server_events_drain(s);
	r.seq = __atomic_add_fetch(&sb->ev_seq, 1, __ATOMIC_RELAXED);
	r.suppressed = sb->ev_suppressed;
	r.lost = sb->ev_lost;
	len = event_make_resolve(&r, record);
	events_feed(s->events, record, len);
	server_events_flush(s);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The network namespace of the command; -1: ours; -2 with a message: it has none. */
static int namespace_of(pid_t pid, struct diag *d)
{
	struct stat own, its;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &its) || stat("/proc/self/ns/net", &own)) {
		diag_set(d, -errno, "cannot look at %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -2;
	}
	if (own.st_ino != its.st_ino || own.st_dev != its.st_dev)
		return fd;
	close(fd);
	return -1;
}

static int names_start(struct conn *c, const struct version *v, pid_t pid, struct diag *d)
{
	static const struct dns_ops ops = {
		.classes = name_classes, .address_ok = address_ok, .bind = bind_address,
		.unbind = unbind_address, .room = has_room, .last_used = last_used,
		.in_use = in_use, .refused = refused, .asked = name_asked,
	};
	struct names *n;
	int err;

	if (!(v->compiled->head.flags & EG_P_EGRESS))
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return diag_set(d, -ENOMEM, "out of memory");
	c->names = n;
	n->c = c;
	n->compiled = v->compiled;
	n->family = v->family;
	/* kept: the process's number is somebody else's when it has ended */
	n->netns = namespace_of(pid, d);
	if (n->netns == -2)
		return -ESRCH;
	err = dns_serve(c->s->dns, n->netns, &ops, n, &n->client, d);
	if (!err)
		sandbox_set_resolver(c->box, dns_client_port(n->client));
	return err;
}

int conn_names_start(struct conn *c, pid_t pid, struct diag *d)
{
	return names_start(c, sandbox_version(c->box), pid, d);
}

bool conn_names_stats(const struct conn *c, struct dns_client_stats *out)
{
	if (!c->names || !c->names->client)
		return false;
	dns_client_stats(c->names->client, out);
	return true;
}

void conn_names_end(struct conn *c)
{
	struct dns_client_stats last;

	if (!c->names)
		return;
	if (conn_names_stats(c, &last))
		server_count_dns(c->s, &last);
	dns_client_free(c->names->client);
	if (c->names->netns >= 0)
		close(c->names->netns);
	free(c->names);
	c->names = NULL;
}

void conn_names_take(struct conn *c, struct conn *from)
{
	c->names = steal_ptr(from->names);
	if (c->names)
		c->names->c = c;
}

const char *conn_name_of(struct conn *c, const uint8_t addr[16])
{
	return c->names && c->names->client ? dns_client_name_of(c->names->client, addr) : NULL;
}

int conn_names_netns(const struct conn *c)
{
	return c->names ? c->names->netns : -1;
}

bool conn_names_open(const struct conn *c, const uint8_t addr[16], uint16_t port, uint8_t proto)
{
	struct eg_binding_key key;
	struct eg_binding b;
	uint8_t flags;

	if (!c->names)
		return false;
	key = key_of(c->names, addr);
	return !bpf_map_lookup_elem(bindings(c->names), &key, &b) &&
	       verdict_class_flags(sandbox_version(c->box)->compiled, b.classes, port, proto,
				   &flags);
}

/* One query that the kernel caught on its way to some server. */
static int on_query(void *ctx, void *record, size_t len)
{
	const struct eg_query *q = record;
	struct server *s = ctx;
	struct sandbox *b;
	struct conn *c;

	if (len < sizeof(*q) || q->len > sizeof(q->data))
		return 0;
	b = sandboxes_find(s->sandboxes, q->sandbox);
	if (!b)
		return 0;
	__atomic_fetch_sub(&agent_sandboxes(s->a)[sandbox_slot(b)].dns_waiting, 1,
			   __ATOMIC_RELAXED);
	c = sandbox_owner(b);
	if (c && c->names && c->names->client)
		dns_client_query(c->names->client, q->addr, ntohs(q->port), q->data, q->len);
	return 0;
}

static int on_queries(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct server *s = ctx;

	(void)src;
	(void)fd;
	(void)revents;
	/* a sandbox has few of them in it at a time: EG_MAX_QUERIES */
	(void)ring_buffer__consume(s->queries);
	return 0;
}

/* ---- another version --------------------------------------------------------------------- */

static void reload(struct names *n, const struct version *v)
{
	n->compiled = v->compiled;
	n->family = v->family;
	dns_client_reload(n->client);
}

/* What was bound for another family of versions of this sandbox. */
static void purge(const struct names *n)
{
	struct eg_binding_key key, next;
	int err = bpf_map_get_next_key(bindings(n), NULL, &key);

	while (!err) {
		err = bpf_map_get_next_key(bindings(n), &key, &next);
		if (key.sandbox == sandbox_id(n->c->box) && key.family != n->family)
			(void)bpf_map_delete_elem(bindings(n), &key);
		key = next;
	}
}

int conn_switch(struct conn *c, const struct version *v, enum sandbox_change what, struct diag *d)
{
	bool other = v->family != sandbox_version(c->box)->family;
	struct names *n = c->names;

	/* all that can fail comes first: then nothing has changed */
	if (!n) {
		int err = names_start(c, v, sandbox_leader(c->box), d);

		if (err) {
			conn_names_end(c);
			return err;
		}
	}
	/* what a class's number means must not change under what is bound: bound before */
	if (n && (what == SANDBOX_ADDS || other))
		reload(n, v);
	sandbox_switch(c->box, v, what);
	if (n && what == SANDBOX_TAKES && !other)
		reload(n, v);
	if (n && other)
		purge(n);
	if (what == SANDBOX_TAKES)
		publisher_wait(c->s->publisher);
	return 0;
}

/* ---- the server's part ----------------------------------------------------------------- */

int server_names_start(struct server *s, struct diag *d)
{
	int err = dns_new(s->loop, &(struct dns_options){}, &s->dns, d);

	if (err)
		return err;
	s->seen = calloc(1, sizeof(*s->seen));
	if (!s->seen)
		return diag_set(d, -ENOMEM, "out of memory");
	s->queries = ring_buffer__new(agent_map_fd(s->a, AGENT_MAP_QUERIES), on_query, s, NULL);
	if (!s->queries)
		return diag_set(d, -errno, "cannot read the queries of sandboxes: %s",
				strerror(errno));
	err = sd_event_add_io(s->loop, &s->asked, ring_buffer__epoll_fd(s->queries), EPOLLIN,
			      on_queries, s);
	return err < 0 ? diag_set(d, err, "out of memory") : 0;
}

void server_names_stop(struct server *s)
{
	sd_event_source_unref(s->asked);
	ring_buffer__free(s->queries);
	dns_free(s->dns);
	if (s->seen)
		flows_seen_clear(s->seen);
	free(s->seen);
}

void server_names_sweep(struct server *s)
{
	int fd = agent_map_fd(s->a, AGENT_MAP_BINDINGS);
	struct eg_binding_key key, next;
	int err = bpf_map_get_next_key(fd, NULL, &key);

	while (!err) {
		err = bpf_map_get_next_key(fd, &key, &next);
		if (!sandboxes_find(s->sandboxes, key.sandbox))
			(void)bpf_map_delete_elem(fd, &key);
		key = next;
	}
}
