// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <ctype.h>
#include <errno.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <bpf/libbpf.h>

#include "../bpf/egressctl.h"
#include "events.h"

#define MAX_ERRNO 4095 /* include/linux/err.h */

static uint64_t now(clockid_t clock)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(clock, &ts); /* cannot fail for these clocks */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- one record ------------------------------------------------------------------ */

/*
 * Records of the trace have no number, and may say that something was allowed.
 */
enum record_kind { RECORD_EVENT, RECORD_TOUCHED };

/* A record with a number that JSON readers could not hold is not one of ours. */
static bool numbers_valid(const struct eg_event *h)
{
	return h->time <= INT64_MAX && h->seq < INT64_MAX && h->sandbox <= INT64_MAX &&
	       h->aux <= INT64_MAX && h->suppressed <= INT64_MAX && h->lost <= INT64_MAX;
}

static bool verdict_valid(const struct eg_event *h, enum record_kind kind)
{
	return h->verdict == EG_VERDICT_DENIED || h->verdict == EG_VERDICT_AUDIT ||
	       (kind == RECORD_TOUCHED && h->verdict == EG_VERDICT_ALLOWED);
}

static bool head_valid(const struct eg_event *h, enum record_kind kind)
{
	return numbers_valid(h) && h->sandbox && (h->seq || kind == RECORD_TOUCHED) &&
	       h->op > EG_OP_NONE && h->op < EG_OP_MAX && verdict_valid(h, kind) &&
	       h->reason < EG_WHY_MAX && (h->want & ~EG_PERM_ALL) == 0 &&
	       h->error >= 0 && h->error <= MAX_ERRNO && h->path_len <= EG_PATH_MAX &&
	       h->path2_len <= EG_PATH_MAX && h->exe_len < EG_EVENT_DATA_MAX - 2 * EG_PATH_MAX;
}

/* `at` is where they stand in the record, which the names are borrowed from. */
static void decode_parents(struct event *ev, const char *at, const struct eg_parent *parents)
{
	_Static_assert(EVENT_MAX_PARENTS == EG_MAX_PARENTS, "parents");
	for (uint8_t i = 0; i < EG_MAX_PARENTS && parents[i].pid; i++) {
		const char *comm = at + i * sizeof(*parents) + offsetof(struct eg_parent, comm);

		ev->parents[i].pid = parents[i].pid;
		ev->parents[i].comm.p = comm;
		ev->parents[i].comm.len = strnlen(comm, sizeof(parents[i].comm));
		ev->nparents++;
	}
}

static int decode(struct event *ev, const void *record, size_t len, enum record_kind kind)
{
	const char *bytes = record, *data;
	struct eg_event h;
	size_t need;

	if (len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, record, sizeof(h)); /* a record need not be aligned */
	if (!head_valid(&h, kind))
		return -EBADMSG;
	need = (size_t)h.path_len + h.path2_len + h.exe_len;
	/* Longer is in order: the kernel side may round a reservation up. */
	if (len - sizeof(h) < need)
		return -EBADMSG;

	data = bytes + sizeof(h);
	*ev = (struct event){
		.boot_ns = h.time,
		.seq = h.seq,
		.sandbox = h.sandbox,
		.aux = h.aux,
		.suppressed = h.suppressed,
		.lost = h.lost,
		.owner = -1,
		.pid = h.pid,
		.tid = h.tid,
		.uid = h.uid,
		.serial = h.serial,
		.rule = h.rule,
		.error = h.error,
		.op = h.op,
		.reason = h.reason,
		.verdict = h.verdict,
		.want = h.want,
		.proto = h.proto,
		.port = ntohs(h.port),
		.path = { data, h.path_len },
		.path2 = { data + h.path_len, h.path2_len },
		.exe = { data + h.path_len + h.path2_len, h.exe_len },
	};
	ev->comm.p = bytes + offsetof(struct eg_event, comm);
	ev->comm.len = strnlen(h.comm, sizeof(h.comm));
	decode_parents(ev, bytes + offsetof(struct eg_event, parents), h.parents);
	memcpy(ev->addr, h.addr, sizeof(ev->addr));
	return 0;
}

int event_decode(struct event *ev, const void *record, size_t len)
{
	return decode(ev, record, len, RECORD_EVENT);
}

int event_decode_touched(struct event *ev, const void *record, size_t len)
{
	return decode(ev, record, len, RECORD_TOUCHED);
}

enum event_object event_object(const struct event *ev)
{
	switch (ev->op) {
	case EG_OP_OPEN ... EG_OP_CHROOT:
		return EVENT_OBJECT_PATH;
	case EG_OP_SOCKET:
	case EG_OP_NETLINK:
	case EG_OP_SOCKOPT:
		return EVENT_OBJECT_SOCKET;
	case EG_OP_CONNECT:
	case EG_OP_SEND:
	case EG_OP_BIND:
	case EG_OP_LISTEN:
	case EG_OP_ACCEPT:
	case EG_OP_PACKET:
		return ev->path.len ? EVENT_OBJECT_UNIX : EVENT_OBJECT_ADDRESS;
	case EG_OP_UNIX:
		return EVENT_OBJECT_UNIX;
	case EG_OP_RESOLVE:
		return EVENT_OBJECT_NAME;
	case EG_OP_SERVER_NAME:
		return EVENT_OBJECT_ADDRESS;
	default:
		/* a guard names an object only when its program found one */
		return ev->path.len ? EVENT_OBJECT_PATH : EVENT_OBJECT_NONE;
	}
}

size_t event_make_resolve(const struct event_resolve *r, char buf[EVENT_RESOLVE_MAX])
{
	struct eg_event h = {
		.time = now(CLOCK_BOOTTIME),
		.seq = r->seq,
		.sandbox = r->sandbox,
		.aux = r->qtype,
		.suppressed = r->suppressed,
		.lost = r->lost,
		.uid = r->uid,
		.serial = r->serial,
		.op = EG_OP_RESOLVE,
		.reason = r->addr ? EG_WHY_PRIVATE : EG_WHY_RULE,
		.verdict = r->audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED,
		.path_len = (__u16)strnlen(r->name, EVENT_RESOLVE_NAME),
	};

	_Static_assert(EVENT_RESOLVE_MAX == sizeof(h) + EVENT_RESOLVE_NAME, "a record and a name");
	if (r->addr)
		memcpy(h.addr, r->addr, sizeof(h.addr));
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), r->name, h.path_len);
	return sizeof(h) + h.path_len;
}

/* ---- sequence numbers ------------------------------------------------------------- */

#define TRACK_BUCKETS 1024u
/* Sandboxes that left events behind after their end are few; never unbounded. */
#define TRACK_MAX (4 * EG_MAX_SANDBOXES)

/* Names below one domain that were refused: a bit for each hash of one. */
struct asked {
	uint32_t domain; /* its hash; 0: none yet */
	uint64_t names;
};

#define ASKED_DOMAINS 4u /* of one sandbox; the one with the fewest names gives way */

struct track {
	struct track *chain;
	uint64_t sandbox;
	uint64_t next; /* sequence number expected; 0: whatever comes */
	uint64_t missing; /* gaps told so far, less those filled later */
	uint64_t suppressed; /* told so far */
	struct asked asked[ASKED_DOMAINS];
};

struct events {
	struct ring_buffer *ring;
	struct events_ops ops;
	struct events_stats stats;
	struct track *buckets[TRACK_BUCKETS];
	unsigned int ntracks;
	int64_t boot_to_real; /* ns; read anew before each batch, the clock may be set */
	unsigned int budget; /* records this events_consume() may still take */
	unsigned int taken;
};

static struct track **track_find(struct events *e, uint64_t sandbox)
{
	struct track **t = &e->buckets[sandbox % TRACK_BUCKETS];

	while (*t && (*t)->sandbox != sandbox)
		t = &(*t)->chain;
	return t;
}

static struct track *track_get(struct events *e, uint64_t sandbox, uint64_t next)
{
	struct track **t = track_find(e, sandbox);

	if (*t)
		return *t;
	if (e->ntracks == TRACK_MAX)
		return NULL;
	*t = calloc(1, sizeof(**t));
	if (!*t)
		return NULL;
	(*t)->sandbox = sandbox;
	(*t)->next = next;
	e->ntracks++;
	return *t;
}

static void track_drop(struct events *e, struct track **t)
{
	struct track *gone = *t;

	if (!gone)
		return;
	*t = gone->chain;
	free(gone);
	e->ntracks--;
}

/* ---- names that are asked for -------------------------------------------------------- */

/* FNV-1a, of letters in one case; never 0 */
static uint32_t name_hash(const char *p, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)tolower((unsigned char)p[i])) * 16777619u;
	return h ? h : 1;
}

/* co in co.uk: countries sort what is registered below them by these */
static bool is_sort(const char *p, size_t len)
{
	static const char *const sorts[] = { "co", "com", "org", "net", "gov", "ac", "edu",
					     "or", "ne", "go", "gob", "mil" };

	for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++)
		if (strlen(sorts[i]) == len && !strncasecmp(sorts[i], p, len))
			return true;
	return false;
}

/* Where the domain that somebody registered begins: two labels, three below co.uk. */
static size_t domain_start(struct event_bytes name)
{
	size_t end = name.len, dots = 0, labels = 2, last = name.len;

	for (size_t i = end; i > 0; i--) {
		if (name.p[i - 1] != '.')
			continue;
		if (++dots == 2 && end - last <= 3 && is_sort(name.p + i, last - i))
			labels = 3;
		if (dots == labels)
			return i;
		last = i - 1;
	}
	return 0;
}

/* How many different names below its domain this sandbox was refused, this one included. */
static uint16_t count_names(struct track *t, struct event_bytes name)
{
	struct asked *a = &t->asked[0];
	uint32_t domain;
	size_t at;

	if (name.len && name.p[name.len - 1] == '.')
		name.len--;
	at = domain_start(name);
	domain = name_hash(name.p + at, name.len - at);
	for (size_t i = 0; i < ASKED_DOMAINS; i++) {
		if (t->asked[i].domain == domain) {
			a = &t->asked[i];
			break;
		}
		if (__builtin_popcountll(t->asked[i].names) < __builtin_popcountll(a->names))
			a = &t->asked[i];
	}
	if (a->domain != domain)
		*a = (struct asked){ .domain = domain };
	a->names |= 1ull << (name_hash(name.p, name.len) >> 13 & 63);
	return (uint16_t)__builtin_popcountll(a->names);
}

/* ---- one after the other ------------------------------------------------------------ */

/*
 * Two processors may take their numbers in one order and reach the ring in the
 * other. The first to arrive then shows a gap that the second fills: it is
 * marked late, so that gaps less late events is always what is missing.
 */
static void account(struct events *e, struct event *ev)
{
	struct track *t = track_get(e, ev->sandbox, 1);

	if (!t) {
		e->stats.no_memory++;
		return;
	}
	if (t->next && ev->seq < t->next) {
		ev->late = true;
		if (t->missing) {
			t->missing--;
			e->stats.missing--;
		}
	} else {
		ev->gap = t->next ? ev->seq - t->next : 0;
		t->missing += ev->gap;
		e->stats.missing += ev->gap;
		t->next = ev->seq + 1;
	}
	if (ev->suppressed > t->suppressed) {
		ev->suppressed_new = ev->suppressed - t->suppressed;
		t->suppressed = ev->suppressed;
	}
	if (ev->op == EG_OP_RESOLVE)
		ev->distinct = count_names(t, ev->path);
}

/* ---- the consumer ------------------------------------------------------------------- */

static void set_clock(struct events *e)
{
	e->boot_to_real = (int64_t)(now(CLOCK_REALTIME) - now(CLOCK_BOOTTIME));
}

static void deliver(struct events *e, struct event *ev)
{
	ev->time_ns = ev->boot_ns + (uint64_t)e->boot_to_real;
	if (e->ops.owner)
		ev->owner = e->ops.owner(e->ops.ctx, ev->sandbox);
	ev->live = e->ops.grants && ev->owner >= 0;
	e->ops.sink(e->ops.ctx, ev);
}

static void add_name(const struct events *e, struct event *ev)
{
	const char *name = NULL;

	if (e->ops.name_of && event_object(ev) == EVENT_OBJECT_ADDRESS)
		name = e->ops.name_of(e->ops.ctx, ev->sandbox, ev->addr);
	if (name)
		ev->name = (struct event_bytes){ name, strlen(name) };
}

static void feed(struct events *e, const void *record, size_t len)
{
	struct event ev;

	if (event_decode(&ev, record, len)) {
		e->stats.malformed++;
		return;
	}
	e->stats.consumed++;
	account(e, &ev);
	add_name(e, &ev);
	event_explain(&ev, e->ops.find(e->ops.ctx, ev.serial));
	deliver(e, &ev);
}

void events_feed(struct events *e, const void *record, size_t len)
{
	set_clock(e);
	feed(e, record, len);
}

static int consume_one(void *ctx, void *record, size_t len)
{
	struct events *e = ctx;

	feed(e, record, len);
	e->taken++;
	/* libbpf frees the record first, then stops and returns this error */
	return --e->budget ? 0 : -ECANCELED;
}

int events_new(int ring_fd, const struct events_ops *ops, struct events **out)
{
	struct events *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	e->ops = *ops;
	set_clock(e);
	if (ring_fd < 0) {
		*out = e;
		return 0;
	}
	e->ring = ring_buffer__new(ring_fd, consume_one, e, NULL);
	if (!e->ring) {
		err = -errno;
		free(e);
		return err;
	}
	*out = e;
	return 0;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	for (unsigned int i = 0; i < TRACK_BUCKETS; i++)
		while (e->buckets[i])
			track_drop(e, &e->buckets[i]);
	ring_buffer__free(e->ring);
	free(e);
}

int events_fd(const struct events *e)
{
	return e->ring ? ring_buffer__epoll_fd(e->ring) : -EBADF;
}

int events_consume(struct events *e, unsigned int max)
{
	int ret;

	if (!max || !e->ring)
		return 0;
	set_clock(e);
	e->budget = max;
	e->taken = 0;
	ret = ring_buffer__consume(e->ring);
	if (ret < 0 && ret != -ECANCELED)
		return ret;
	return (int)e->taken;
}

int events_adopt(struct events *e, uint64_t sandbox)
{
	return track_get(e, sandbox, 0) ? 0 : -ENOMEM;
}

void events_end(struct events *e, const struct eg_sandbox *final)
{
	struct track **t = track_find(e, final->id);
	uint64_t next = *t ? (*t)->next : 1;
	uint64_t told = *t ? (*t)->suppressed : 0;
	struct event ev = {
		.boot_ns = now(CLOCK_BOOTTIME),
		.end = true,
		.owner = final->uid,
		.sandbox = final->id,
		.seq = final->ev_seq,
		.denied = final->denied,
		.failed = final->failed,
		.suppressed = final->ev_suppressed,
		.lost = final->ev_lost,
	};

	if (next && final->ev_seq >= next)
		ev.gap = final->ev_seq + 1 - next;
	if (ev.suppressed > told)
		ev.suppressed_new = ev.suppressed - told;
	e->stats.missing += ev.gap;
	set_clock(e);
	ev.time_ns = ev.boot_ns + (uint64_t)e->boot_to_real;
	e->ops.sink(e->ops.ctx, &ev);
	track_drop(e, track_find(e, final->id));
}

const struct events_stats *events_stats(const struct events *e)
{
	return &e->stats;
}
