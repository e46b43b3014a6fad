/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Violations: from the ring to the log and to whom they concern. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bpf_load.h"
#include "denials.h"
#include "eventlog.h"
#include "events.h"
#include "journal.h"
#include "publish.h"
#include "rule_counts.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define BATCH 1024u /* records before the loop looks at connections again */

static const struct compiled *find_version(void *ctx, uint32_t serial)
{
	struct server *s = ctx;

	return publisher_find(s->publisher, serial);
}

static int64_t find_owner(void *ctx, uint64_t id)
{
	struct server *s = ctx;
	const struct sandbox *b = sandboxes_find(s->sandboxes, id);

	return b ? (int64_t)sandbox_uid(b) : -1;
}

static const char *find_name(void *ctx, uint64_t id, const uint8_t addr[16])
{
	struct server *s = ctx;
	const struct sandbox *b = sandboxes_find(s->sandboxes, id);
	struct conn *c = b ? sandbox_owner(b) : NULL;

	return c ? conn_name_of(c, addr) : NULL;
}

/* What the launcher asked to see, and what the policy says about it. */
static void tell_launcher(struct conn *c, const struct event *ev)
{
	struct server *s = c->s;

	if (c->events == CONN_JSON) {
		conn_reply(c, json_pack("{s:s%}", "event", s->text.p, s->text.len));
	} else if (c->events == CONN_LINES && !event_to_line(ev, &s->line)) {
		conn_reply(c, json_pack("{s:s%}", "event", s->line.p, s->line.len));
	}
	if (ev->verdict == EG_VERDICT_DENIED && c->fail_fast && !c->note) {
		c->note = "ended at the first refused access (--fail-fast)";
		sandbox_kill(c->box);
	}
}

static void tell_sandbox(struct conn *c, const struct event *ev)
{
	struct server *s = c->s;

	if (ev->verdict == EG_VERDICT_ALLOWED)
		return;
	rule_counts_add(&c->counts, ev);
	if (!c->denials || !denials_add(c->denials, s->text.p, s->text.len))
		return;
	c->next_told = s->told;
	s->told = c;
}

static void on_event(void *ctx, const struct event *ev)
{
	struct server *s = ctx;
	struct sandbox *b;

	server_count_event(s, ev);
	if (event_to_json(ev, &s->text))
		return; /* out of memory: the consumer's accounting shows a gap */
	if (s->log)
		eventlog_add(s->log, s->text.p, s->text.len);
	if (s->journal)
		journal_event(s->journal, ev);
	if (ev->end)
		return;
	b = sandboxes_find(s->sandboxes, ev->sandbox);
	if (b && sandbox_owner(b)) {
		tell_sandbox(sandbox_owner(b), ev);
		conn_names_refused(sandbox_owner(b), ev);
		tell_launcher(sandbox_owner(b), ev);
	}
}

void server_events_flush(struct server *s)
{
	struct conn *c;

	if (s->log)
		eventlog_flush(s->log);
	while ((c = s->told)) {
		s->told = c->next_told;
		c->next_told = NULL;
		denials_flush(c->denials);
	}
}

/* ---- what the sandbox itself may read ---------------------------------------------- */

void conn_denials_start(struct conn *c, bool adopt)
{
	int err = denials_open(DENIALS_DIR, sandbox_id(c->box), sandbox_uid(c->box), adopt,
			       &c->denials);

	if (err)
		fprintf(stderr, "egressd: sandbox %llu cannot be told what it is refused: %s: %s\n",
			(unsigned long long)sandbox_id(c->box), DENIALS_DIR, strerror(-err));
}

void conn_denials_end(struct conn *c, bool leave)
{
	if (!c->denials)
		return;
	server_events_flush(c->s); /* so that it is on no list */
	if (leave)
		denials_leave(c->denials);
	else
		denials_close(c->denials);
	c->denials = NULL;
}

void conn_denials_take(struct conn *c, struct conn *from)
{
	server_events_flush(c->s);
	c->denials = steal_ptr(from->denials);
	c->counts = steal_ptr(from->counts);
}

static int on_ring(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct server *s = ctx;

	(void)src;
	(void)fd;
	(void)revents;
	(void)events_consume(s->events, BATCH); /* the ring stays readable if there is more */
	server_events_flush(s);
	return 0;
}

void server_events_drain(struct server *s)
{
	while (events_consume(s->events, BATCH) >= (int)BATCH)
		;
	server_events_flush(s);
}

int server_events_start(struct server *s, struct diag *d)
{
	struct events_ops ops = {
		.find = find_version, .owner = find_owner, .name_of = find_name,
		.grants = s->o.socket, .sink = on_event, .ctx = s,
	};
	const char *dir = server_log_dir(s, s->config);
	int err;

	if (dir) {
		err = eventlog_open(dir, server_log_file_bytes(s->config), &s->log);
		if (err)
			return diag_set(d, err, "cannot open the event log in %s: %s", dir,
					strerror(-err));
	}
	sandboxes_keep_numbers(s->sandboxes, dir);
	if (s->config->journal && journal_new(s->loop, NULL, &s->journal))
		return diag_set(d, -ENOMEM, "out of memory");
	err = events_new(agent_map_fd(s->a, AGENT_MAP_EVENTS), &ops, &s->events);
	if (!err)
		err = sd_event_add_io(s->loop, &s->ring, events_fd(s->events), EPOLLIN, on_ring, s);
	return err < 0 ? diag_set(d, err, "cannot read events: %s", strerror(-err)) : 0;
}

void server_events_stop(struct server *s)
{
	sd_event_source_unref(s->ring);
	events_free(s->events);
	eventlog_close(s->log);
	journal_free(s->journal);
	text_free(&s->text);
	text_free(&s->line);
}
