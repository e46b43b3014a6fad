/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Grants of one sandbox. Each set of them is a version: the policy, laid over with
 * their rules. They are sorted by how long they last, and each version that has one
 * more lapses when that one does and leads to the version without it, so that the
 * kernel ends a grant on time by itself; what is done here at that time only tidies
 * up: names, connections, and the versions nobody needs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf_load.h"
#include "compile.h"
#include "grants_int.h"
#include "publish.h"
#include "sandbox.h"
#include "server_int.h"
#include "state.h"
#include "util.h"

#define NSEC_PER_MSEC 1000000ull
#define RETRY_NS 5000000000ull /* there was no memory, or no room in the maps */

static uint64_t boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void clear_grant(struct grant *g)
{
	grant_rule_clear(&g->r);
	free(g->note);
	*g = (struct grant){};
}

void grants_drop_at(struct grants *g, uint32_t i)
{
	clear_grant(&g->v[i]);
	memmove(&g->v[i], &g->v[i + 1], (g->n - i - 1) * sizeof(g->v[0]));
	g->v[--g->n] = (struct grant){};
}

/* The place stays free for g->v[*at], which the caller fills. */
static void make_place(struct grants *g, uint64_t lapses, uint32_t *at)
{
	for (*at = 0; *at < g->n && g->v[*at].lapses >= lapses; (*at)++)
		;
	memmove(&g->v[*at + 1], &g->v[*at], (g->n - *at) * sizeof(g->v[0]));
	g->v[*at] = (struct grant){};
	g->n++;
}
/* ---- changing them ------------------------------------------------------------------ */

static void set_timer(struct grants *g);

/* Those whose time is over. */
static void drop_lapsed(struct grants *g)
{
	uint64_t now = boot_ns();

	while (g->n && g->v[g->n - 1].lapses <= now) {
		fprintf(stderr, "egressd: grant g%" PRIu64 " of sandbox %" PRIu64 " is over\n",
			g->v[g->n - 1].number, sandbox_id(g->c->box));
		grants_drop_at(g, g->n - 1);
		g->untidy = true;
	}
}

static int apply(struct grants *g, enum sandbox_change what, enum publish_room room, int *ended,
		 struct diag *d)
{
	const struct version *v;
	int err;

	g->room = room;
	err = grants_publish(g, &v, d);
	if (err)
		return err;
	err = conn_switch(g->c, v, what, d);
	publisher_unref(g->c->s->publisher, v);
	if (err)
		return err; /* the caller puts back what holds still, and the next egressd reads */
	grants_save(g);
	g->untidy = false;
	set_timer(g);
	if (what == SANDBOX_TAKES) {
		int n = conn_end_flows(g->c);

		if (ended)
			*ended = MAX(n, 0); /* those left end at their next packet */
	}
	return 0;
}

static int on_lapse(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct grants *g = ctx;
	bool again = g->untidy;
	struct diag d = {};

	(void)src;
	(void)usec;
	drop_lapsed(g);
	if (g->untidy && apply(g, SANDBOX_TAKES, PUBLISH_ALL, NULL, &d) && !again)
		fprintf(stderr, "egressd: sandbox %" PRIu64 ": what follows from the end of a "
				"grant waits: %s\n", sandbox_id(g->c->box), d.msg);
	set_timer(g);
	return 0;
}

/* The kernel ends it on time; this is for what follows from it. */
static void set_timer(struct grants *g)
{
	uint64_t next = g->n ? g->v[g->n - 1].lapses : UINT64_MAX;

	if (g->untidy)
		next = boot_ns() + RETRY_NS;
	g->timer = sd_event_source_disable_unref(g->timer);
	if (next != UINT64_MAX &&
	    sd_event_add_time(g->c->s->loop, &g->timer, CLOCK_BOOTTIME, next / 1000 + 1, 1000,
			      on_lapse, g) < 0)
		fprintf(stderr, "egressd: no timer for grants: out of memory\n");
}

static struct grants *grants_of(struct conn *c)
{
	struct grants *g = c->grants;

	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->c = c;
	g->base = sandbox_version(c->box);
	publisher_ref(c->s->publisher, g->base);
	c->grants = g;
	return g;
}
/* The same rule again only gets its new time; but nobody takes another's word back so. */
static void replace_same(struct grants *g, const struct grant_rule *r, uid_t by)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (g->v[i].by == by && g->v[i].r.deny == r->deny &&
		    g->v[i].r.perm == r->perm && str_eq(g->v[i].r.rule, r->rule)) {
			grants_drop_at(g, i);
			return;
		}
}

static int add_one(struct grants *g, const char *rule, const struct grant_request *q,
		   struct diag *d)
{
	uint64_t lapses = q->ms ? boot_ns() + q->ms * NSEC_PER_MSEC : UINT64_MAX, number;
	struct grant_rule r = {};
	uint16_t class = 0;
	uint32_t at;
	int err;

	err = grant_rule_make(rule, q->deny, g->base->compiled,
			      sandbox_version(g->c->box)->compiled, &r, d);
	if (!err && q->by)
		err = grant_rule_check(g->c->s->config, &r, q->ms, d);
	/* a deeper rule, a pattern or a link would open what root closed */
	if (!err && q->by && !q->deny && str_starts(r.rule, "open ") &&
	    grants_closed_by_root(g->c))
		err = diag_set(d, -EPERM, "root denied paths in this sandbox: only root opens any "
					  "while that holds");
	if (!err) {
		replace_same(g, &r, q->by);
		if (g->n == EG_MAX_GRANTS)
			err = diag_set(d, -ENOSPC, "a sandbox may have %u grants and denials at "
						   "one time: revoke one, or switch its policy",
				       EG_MAX_GRANTS);
	}
	if (!err && r.by_name && !r.deny)
		err = grants_choose_class(g, r.rule, &class, d);
	if (!err)
		err = state_counter("last-grant", 0, &number, d);
	if (err) {
		grant_rule_clear(&r);
		return err;
	}
	make_place(g, lapses, &at);
	g->v[at] = (struct grant){ .number = number, .r = r, .lapses = lapses,
				   .granted = wall_ns(), .by = q->by, .class = class,
				   .note = q->note ? strdup(q->note) : NULL };
	return 0;
}

static json_t *describe(const struct grant *g, uint64_t now)
{
	return json_pack("{s:I, s:s, s:b, s:I, s:s?, s:I, s:o}", "grant", (json_int_t)g->number,
			 "rule", g->r.rule, "deny", g->r.deny, "by", (json_int_t)g->by, "note",
			 g->note, "granted", (json_int_t)(g->granted / 1000000000), "left_ms",
			 g->lapses == UINT64_MAX ? json_null() :
			 json_integer(g->lapses > now ?
				      (json_int_t)((g->lapses - now) / NSEC_PER_MSEC) : 0));
}

/* A copy to go back to: rules are shared with it until one of the two is freed. */
static int copy_grants(const struct grants *g, struct grant out[EG_MAX_GRANTS])
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct grant *from = &g->v[i];

		out[i] = *from;
		out[i].r.rule = strdup(from->r.rule);
		out[i].r.text = strdup(from->r.text);
		out[i].r.path = from->r.path ? strdup(from->r.path) : NULL;
		out[i].note = from->note ? strdup(from->note) : NULL;
		if (out[i].r.rule && out[i].r.text && !from->note == !out[i].note &&
		    !from->r.path == !out[i].r.path)
			continue;
		for (uint32_t k = 0; k <= i; k++)
			clear_grant(&out[k]);
		return -ENOMEM;
	}
	return 0;
}

static void put_back(struct grants *g, struct grant old[EG_MAX_GRANTS], uint32_t n)
{
	while (g->n)
		grants_drop_at(g, g->n - 1);
	memcpy(g->v, old, n * sizeof(*old));
	g->n = n;
}

static enum publish_room room_for(const struct grant_request *q)
{
	return !q->by ? PUBLISH_ALL : q->deny ? PUBLISH_DENIES : PUBLISH_SHARE;
}

json_t *grants_add(struct conn *c, const struct grant_request *q, struct diag *d)
{
	struct grant old[EG_MAX_GRANTS] = {};
	struct grants *g = grants_of(c);
	bool fewer = q->deny;
	uint32_t nold;
	json_t *list;
	int err;

	if (!g) {
		(void)diag_set(d, -ENOMEM, "out of memory");
		return NULL;
	}
	drop_lapsed(g);
	nold = g->n;
	err = copy_grants(g, old) ? diag_set(d, -ENOMEM, "out of memory") : 0;
	if (err)
		return NULL;
	for (size_t i = 0; i < q->nrules && !err; i++)
		err = add_one(g, q->rules[i], q, d);
	/* the same number: one was replaced, whose time may have been the longer one */
	if (g->n < nold + q->nrules)
		fewer = true;
	if (!err)
		err = apply(g, g->untidy || fewer ? SANDBOX_TAKES : SANDBOX_ADDS, room_for(q), NULL,
			    d);
	if (err) {
		put_back(g, old, nold);
		set_timer(g);
		return NULL;
	}
	list = json_array();
	for (uint32_t i = 0; i < g->n; i++) {
		bool was = false;

		for (uint32_t k = 0; k < nold; k++)
			was |= old[k].number == g->v[i].number;
		if (!was)
			(void)json_array_append_new(list, describe(&g->v[i], boot_ns()));
	}
	for (uint32_t k = 0; k < nold; k++)
		clear_grant(&old[k]);
	return list;
}

bool grants_has(const struct conn *c, uint64_t grant)
{
	for (uint32_t i = 0; c->grants && i < c->grants->n; i++)
		if (c->grants->v[i].number == grant)
			return true;
	return false;
}

int grants_revoke(struct conn *c, uint64_t grant, int *ended, struct diag *d)
{
	struct grant old[EG_MAX_GRANTS] = {};
	struct grants *g = c->grants;
	uint32_t nold;
	int n = 0, err;

	*ended = 0;
	if (!g || (grant && !grants_has(c, grant)))
		return grant ? -ENOENT : 0;
	nold = g->n;
	if (copy_grants(g, old))
		return diag_set(d, -ENOMEM, "out of memory");
	for (uint32_t i = g->n; i-- > 0;)
		if (!grant || g->v[i].number == grant) {
			grants_drop_at(g, i);
			n++;
		}
	drop_lapsed(g);
	err = n ? apply(g, SANDBOX_TAKES, PUBLISH_ALL, ended, d) : 0;
	if (err) {
		put_back(g, old, nold);
		return err;
	}
	for (uint32_t k = 0; k < nold; k++)
		clear_grant(&old[k]);
	return n;
}

/* ---- another policy ------------------------------------------------------------------------- */

/* Class numbers begin behind those of the new policy. */
static int renumber(struct grants *g, struct diag *d)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < g->n; i++)
		if (g->v[i].class)
			g->v[i].class = UINT16_MAX;
	if (grants_had_classes(g))
		grants_forget_classes(g);
	for (i = 0; i < g->n && !err; i++)
		if (g->v[i].class)
			err = grants_choose_class(g, g->v[i].r.rule, &g->v[i].class, d);
	return err;
}

int grants_switch(struct conn *c, const struct version *v, bool drop, int *ended, struct diag *d)
{
	struct grant old[EG_MAX_GRANTS] = {};
	struct grants *g = grants_of(c);
	const struct version *base;
	uint32_t nold, i;
	int err;

	if (!g || copy_grants(g, old))
		return diag_set(d, -ENOMEM, "out of memory");
	base = g->base;
	nold = g->n;
	drop_lapsed(g);
	/* what was taken away stays so: only what was given can be dropped */
	for (i = g->n; drop && i-- > 0;)
		if (!g->v[i].r.deny)
			grants_drop_at(g, i);
	g->base = v;
	publisher_ref(c->s->publisher, v);
	err = v == base ? 0 : renumber(g, d);
	if (!err)
		err = apply(g, SANDBOX_TAKES, PUBLISH_SHARE, ended, d);
	if (err) {
		g->base = base;
		publisher_unref(c->s->publisher, v);
		put_back(g, old, nold);
		return err;
	}
	publisher_unref(c->s->publisher, base);
	for (i = 0; i < nold; i++)
		clear_grant(&old[i]);
	return 0;
}

/* ---- for others --------------------------------------------------------------------- */

json_t *grants_describe(const struct sandbox *b)
{
	const struct conn *c = sandbox_owner(b);
	json_t *list = json_array();
	uint64_t now = boot_ns();

	for (uint32_t i = 0; c && c->grants && i < c->grants->n; i++)
		if (c->grants->v[i].lapses > now)
			(void)json_array_append_new(list, describe(&c->grants->v[i], now));
	return list;
}

bool grants_denied_by_root(const struct conn *c, uint64_t grant)
{
	for (uint32_t i = 0; c->grants && i < c->grants->n; i++) {
		const struct grant *g = &c->grants->v[i];

		if ((!grant || g->number == grant) && g->r.deny && !g->by)
			return true;
	}
	return false;
}

bool grants_closed_by_root(const struct conn *c)
{
	for (uint32_t i = 0; c->grants && i < c->grants->n; i++) {
		const struct grant *g = &c->grants->v[i];

		if (g->r.deny && !g->by && str_starts(g->r.rule, "open "))
			return true;
	}
	return false;
}

const struct version *grants_base(const struct conn *c)
{
	return c->grants ? c->grants->base : sandbox_version(c->box);
}

void grants_free(struct conn *c, bool ended)
{
	struct grants *g = c->grants;

	if (!g)
		return;
	if (ended)
		grants_forget(g);
	while (g->n)
		grants_drop_at(g, g->n - 1);
	for (uint32_t k = 0; k < EG_MAX_CLASSES; k++)
		free(g->class_rule[k]);
	sd_event_source_disable_unref(g->timer);
	publisher_unref(c->s->publisher, g->base);
	free(g);
	c->grants = NULL;
}

void grants_take(struct conn *c, struct conn *from)
{
	c->grants = steal_ptr(from->grants);
	if (c->grants)
		c->grants->c = c;
}

int grants_adopt(struct conn *c, struct diag *d)
{
	struct grants *g = grants_of(c);
	int err;

	if (!g)
		return diag_set(d, -ENOMEM, "out of memory");
	err = grants_load(g, d);
	if (err) {
		if (err == -ENOENT)
			grants_free(c, false);
		return err;
	}
	/* the versions may mean other objects by now, and some of them are over */
	drop_lapsed(g);
	return apply(g, SANDBOX_TAKES, PUBLISH_ALL, NULL, d);
}
