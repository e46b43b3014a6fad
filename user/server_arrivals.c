/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel says of attached cgroups: who came in, and what waits for its policy. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "bpf_load.h"
#include "sandbox.h"
#include "server_attach.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define REST_TIMES 4u
#define REST_US 1000000u

/* Looked at once, however many came: when everything in the ring was read. */
static int on_arrival(void *ctx, void *record, size_t len)
{
	const struct eg_arrival *a = record;
	struct server *s = ctx;
	struct sandbox *b;

	if (len < sizeof(*a))
		return 0;
	if (a->cgroup)
		patterns_waits(s, a->cgroup, (pid_t)a->pid);
	b = sandboxes_find(s->sandboxes, a->sandbox);
	if (b && sandbox_owner(b))
		((struct conn *)sandbox_owner(b))->arrived = true;
	return 0;
}

/* The first program of a container runs: its network is where names are asked for. */
static void find_home(struct conn *c)
{
	pid_t pid = c->homeless ? attach_first_process(sandbox_cgroup_fd(c->box)) : 0;
	struct diag d = {};

	if (!pid)
		return;
	c->homeless = false;
	sandbox_set_leader(c->box, pid);
	conn_names_end(c);
	if (conn_names_start(c, pid, &d) || sandbox_note_namespace(c->box, pid, &d))
		diag_print(stderr, "egressd", &d);
}

/* What found no room in the ring can be anybody's: everything is looked at again. */
static void see_missed(struct server *s)
{
	uint32_t missed = __atomic_load_n(&agent_holding(s->a)->missed, __ATOMIC_SEQ_CST);
	struct conn *c;

	s->missed = missed;
	for (c = s->conns; c; c = c->next)
		c->arrived = c->box && sandbox_kind(c->box) != SANDBOX_RUN;
	if (s->o.socket)
		server_patterns(s);
}

/* ---- looking, and resting ------------------------------------------------------------- */

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static struct conn *next_arrived(const struct server *s)
{
	struct conn *c = s->conns;

	while (c && (!c->arrived || !c->box))
		c = c->next;
	return c;
}

static bool has_missed(const struct server *s)
{
	return __atomic_load_n(&agent_holding(s->a)->missed, __ATOMIC_SEQ_CST) != s->missed;
}

static void look_at(struct conn *c)
{
	struct attach_found f = {};
	struct diag d = {};

	/* before, so that who comes while it is looked at is looked for again */
	c->arrived = false;
	find_home(c);
	/* its marks hold; what is missing are sockets it brought along */
	if (attach_take(c, false, &f, &d))
		diag_print(stderr, "egressd", &d);
}

static int on_rested(sd_event_source *src, uint64_t usec, void *ctx);

/*
 * All tasks of the host and their files are gone through for one sandbox, and whoever may
 * move tasks into an attached cgroup says how often: so for each time that this takes, four
 * times as long (REST_US at most) is for others. Nothing is forgotten for that: arrivals
 * stay noted until they are looked at, and a timer comes back for them.
 */
static void look(struct server *s)
{
	uint64_t before = now_us(), took;
	struct conn *c;

	if (before >= s->rests_until) {
		if (has_missed(s))
			see_missed(s);
		c = next_arrived(s);
		if (c)
			look_at(c);
		took = now_us() - before;
		s->rests_until = now_us() + MIN(took * REST_TIMES, REST_US);
	}
	if (s->rested || (!next_arrived(s) && !has_missed(s)))
		return;
	if (sd_event_add_time(s->loop, &s->rested, CLOCK_MONOTONIC, s->rests_until, 1000, on_rested,
			      s) < 0)
		s->rests_until = 0; /* no memory: the next arrival does not wait */
}

static int on_rested(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct server *s = ctx;

	(void)src;
	(void)usec;
	s->rested = sd_event_source_disable_unref(s->rested);
	look(s);
	return 0;
}

static int on_arrivals(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct server *s = ctx;

	(void)src;
	(void)fd;
	(void)revents;
	(void)ring_buffer__consume(s->arrivals);
	look(s);
	return 0;
}

int server_attach_start(struct server *s, struct diag *d)
{
	int err;

	s->arrivals = ring_buffer__new(agent_map_fd(s->a, AGENT_MAP_ARRIVALS), on_arrival, s, NULL);
	if (!s->arrivals)
		return diag_set(d, -errno, "cannot read what comes into cgroups: %s",
				strerror(errno));
	err = sd_event_add_io(s->loop, &s->arrived, ring_buffer__epoll_fd(s->arrivals), EPOLLIN,
			      on_arrivals, s);
	return err < 0 ? diag_set(d, err, "out of memory") : 0;
}

void server_attach_stop(struct server *s)
{
	sd_event_source_unref(s->arrived);
	sd_event_source_unref(s->rested);
	ring_buffer__free(s->arrivals);
}
