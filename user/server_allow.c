/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests that change what a live sandbox may do: allow, deny, revoke, switch; and
 * grants, which lists them. Root changes every sandbox, users their own, as far as
 * egressd.yaml lets them. Each change and each refusal is logged.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "config.h"
#include "event_looks.h"
#include "event_text.h"
#include "publish.h"
#include "ref.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/* What `allow EVENT` can name: an operator answers to what was just denied. */
#define RECENT_EVENTS 64u
#define NOTE_MAX 256u
#define MS_MAX (INT64_MAX / 4000000) /* in ns, and behind any uptime, it is a time still */
#define RULES_MAX 32u /* of one request, as of a command line */

/* ---- what was denied just now -------------------------------------------------------------- */

struct recent {
	uint64_t latest; /* time of the newest, CLOCK_BOOTTIME ns */
	uint32_t next;
	struct recent_event {
		uint64_t seq; /* 0: empty */
		enum event_looks looks;
		size_t nwords;
		struct text words[2];
	} v[RECENT_EVENTS];
};

void recent_note(struct conn *c, const struct event *ev)
{
	struct recent_event *e;

	if (ev->remedy == EVENT_REMEDY_NONE || ev->remedy == EVENT_REMEDY_LISTEN)
		return;
	if (!c->recent)
		c->recent = calloc(1, sizeof(*c->recent));
	if (!c->recent)
		return; /* `allow EVENT` will say that it does not know it */
	e = &c->recent->v[c->recent->next++ % RECENT_EVENTS];
	e->seq = ev->seq;
	e->looks = event_looks(ev);
	e->nwords = event_allow_words(ev, e->words);
	if (e->words[0].failed || e->words[1].failed)
		e->nwords = 0;
	c->recent->latest = ev->boot_ns;
}

void recent_free(struct conn *c)
{
	if (!c->recent)
		return;
	for (uint32_t i = 0; i < RECENT_EVENTS; i++) {
		text_free(&c->recent->v[i].words[0]);
		text_free(&c->recent->v[i].words[1]);
	}
	free(c->recent);
	c->recent = NULL;
}

/* seq 0: the newest. */
static const struct recent_event *recent_find(const struct conn *c, uint64_t seq)
{
	const struct recent *r = c->recent;

	if (r && !seq)
		return &r->v[(r->next - 1) % RECENT_EVENTS];
	for (uint32_t i = 0; r && i < RECENT_EVENTS; i++)
		if (r->v[i].seq == seq)
			return &r->v[i];
	return NULL;
}

static struct conn *latest(struct conn *c)
{
	struct conn *best = NULL;
	struct sandbox *b = NULL;

	while ((b = sandboxes_next(c->s->sandboxes, b))) {
		struct conn *o = sandbox_owner(b);

		if (o && o->recent && server_may_see(c, b) &&
		    (!best || o->recent->latest > best->recent->latest))
			best = o;
	}
	return best;
}

/* ---- allow and deny ----------------------------------------------------------------- */

struct allow_request {
	const char *op, *event, *policy, *note;
	json_t *sandbox, *rules;
	json_int_t ms;
	const char *rule[RULES_MAX];
	size_t nrules;
	int save; /* the client will write it into a policy's file, under its own rights */
};

static int parse_allow(struct conn *c, json_t *request, struct allow_request *r)
{
	bool texts = true;
	json_error_t e;

	*r = (struct allow_request){};
	if (json_unpack_ex(request, &e, JSON_STRICT,
			   "{s:s, s?o, s?s, s?s, s?o, s:I, s?s, s?b}", "op", &r->op, "sandbox",
			   &r->sandbox, "event", &r->event, "policy", &r->policy, "rules",
			   &r->rules, "ms", &r->ms, "note", &r->note, "save", &r->save)) {
		conn_error(c, 2, "bad request: %s", e.text);
		return -EINVAL;
	}
	r->nrules = json_array_size(r->rules);
	for (size_t i = 0; i < MIN(r->nrules, RULES_MAX); i++) {
		r->rule[i] = json_string_value(json_array_get(r->rules, i));
		texts &= r->rule[i] != NULL;
	}
	if (!!r->sandbox + !!r->event + !!r->policy != 1 || r->ms < 0 || r->ms > MS_MAX ||
	    r->nrules > RULES_MAX || (!r->nrules && !r->event) || !texts) {
		conn_error(c, 2, "bad request: which sandbox, and what?");
		return -EINVAL;
	}
	if (r->note && strlen(r->note) > NOTE_MAX) {
		conn_error(c, 2, "a note may have %u bytes", NOTE_MAX);
		return -EINVAL;
	}
	/* before anything is granted; whose file it is, they may edit all the same */
	if (r->save && c->peer.uid && !c->s->config->grant_save) {
		conn_error(c, 1, "only root saves grants on this host (%s: grants: save)",
			   c->s->config->file ? c->s->config->file : CONFIG_FILE);
		return -EPERM;
	}
	return 0;
}

static void log_change(const struct conn *c, const struct conn *of, const char *what,
		       const char *rule, const char *more)
{
	char safe[512], tail[512];

	diag_escape(safe, sizeof(safe), rule, strlen(rule));
	diag_escape(tail, sizeof(tail), more, strlen(more));
	fprintf(stderr, "egressd: uid %u: sandbox %" PRIu64 ": %s%s%s%s%s\n", c->peer.uid,
		sandbox_id(of->box), what, *safe ? ": " : "", safe, *tail ? ": " : "", tail);
}

/* For one sandbox; its grants are appended to `done`. */
static int allow_in(struct conn *c, struct conn *of, const struct allow_request *r, json_t *done,
		    struct diag *d)
{
	struct grant_request q = { .rules = r->rule, .nrules = r->nrules,
				   .deny = str_eq(r->op, "deny"), .ms = (uint64_t)r->ms,
				   .note = r->note, .by = c->peer.uid };
	json_t *list, *g;
	size_t i;

	list = grants_add(of, &q, d);
	if (!list) {
		log_change(c, of, "a grant was refused", r->rule[0], d->msg);
		return d->err ? d->err : -EIO;
	}
	json_array_foreach(list, i, g) {
		char what[64];

		(void)json_object_set_new(g, "sandbox",
					  json_integer((json_int_t)sandbox_id(of->box)));
		snprintf(what, sizeof(what), "%s g%lld", q.deny ? "denied" : "granted",
			 (long long)json_integer_value(json_object_get(g, "grant")));
		log_change(c, of, what, json_string_value(json_object_get(g, "rule")),
			   r->note ? r->note : "");
	}
	(void)json_array_extend(done, list);
	json_decref(list);
	return 0;
}

static int exit_of(const struct diag *d)
{
	return d->err == -EINVAL ? 2 : d->err == -ENOMEM ? 125 : 1;
}

/* Which sandbox an event is of, and what would have let it pass. */
static struct conn *from_event(struct conn *c, struct allow_request *r, struct diag *d)
{
	const struct recent_event *e;
	uint64_t sandbox, seq;
	struct conn *of;

	if (ref_parse_event(r->event, &sandbox, &seq)) {
		(void)diag_set(d, -EINVAL,
			       "'%s' is not an event: expected SANDBOX.SEQ, as in 7.12, "
					   "or last", r->event);
		return NULL;
	}
	if (sandbox) {
		json_t *id = json_integer((json_int_t)sandbox);
		struct sandbox *b = server_find(c, id, d);

		json_decref(id);
		of = b ? sandbox_owner(b) : NULL;
	} else {
		of = latest(c);
		if (!of)
			(void)diag_set(d, -ENOENT, "nothing that a rule could allow was denied in "
						   "your live sandboxes");
	}
	if (!of)
		return NULL;
	e = recent_find(of, seq);
	if (!e || !e->nwords) {
		(void)diag_set(d, -ENOENT, "event %s is not among the last %u that a rule could "
					   "allow: see egressctl log, and say what to allow",
			       r->event, RECENT_EVENTS);
		return NULL;
	}
	if (r->nrules)
		return of;
	/* "last" is whatever came last, maybe after the operator looked: not for what attacks do */
	if (!sandbox && e->looks != EVENT_LOOKS_MISSING) {
		(void)diag_set(d, -EPERM,
			       "the last one, '%s' in sandbox %" PRIu64 ", looks like an "
			       "attack: %s. To allow it all the same: egressctl allow "
			       "%" PRIu64 ".%" PRIu64,
			       e->words[0].p, sandbox_id(of->box), event_looks_words(e->looks),
			       sandbox_id(of->box), e->seq);
		return NULL;
	}
	r->nrules = e->nwords;
	for (size_t i = 0; i < e->nwords; i++)
		r->rule[i] = e->words[i].p;
	return of;
}

/* Every live sandbox under a policy of that name, or none. */
static void allow_by_policy(struct conn *c, const struct allow_request *r)
{
	json_t *done = json_array(), *failed = json_array();
	struct sandbox *b = NULL;
	uint32_t n = 0;
	int status = 0;

	while ((b = sandboxes_next(c->s->sandboxes, b))) {
		struct diag d = {};

		if (!server_may_see(c, b) || !str_eq(sandbox_policy(b), r->policy) ||
		    !sandbox_owner(b))
			continue;
		n++;
		if (!allow_in(c, sandbox_owner(b), r, done, &d))
			continue;
		status = exit_of(&d);
		(void)json_array_append_new(failed, json_pack("{s:I, s:s}", "sandbox",
							      (json_int_t)sandbox_id(b), "error",
							      d.msg));
	}
	if (n)
		conn_reply(c, json_pack("{s:O, s:O, s:i}", "grants", done, "failed", failed, "exit",
					status));
	else
		conn_error(c, 1, "none of your live sandboxes is under the policy '%s'", r->policy);
	json_decref(done);
	json_decref(failed);
}

void serve_allow(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct allow_request r;
	struct conn *of = NULL;
	struct diag d = {};
	json_t *done;

	(void)fds;
	(void)nfds;
	if (parse_allow(c, request, &r))
		return;
	if (r.policy) {
		allow_by_policy(c, &r);
		return;
	}
	if (r.event) {
		of = from_event(c, &r, &d);
	} else {
		struct sandbox *b = server_find(c, r.sandbox, &d);

		of = b ? sandbox_owner(b) : NULL;
	}
	done = json_array();
	if (of && !allow_in(c, of, &r, done, &d))
		conn_reply(c, json_pack("{s:O, s:s}", "grants", done, "policy",
					sandbox_policy(of->box)));
	else
		conn_error_diag(c, exit_of(&d), &d);
	json_decref(done);
}

/* ---- revoke and grants -------------------------------------------------------------- */

/* The sandbox that a grant is of, among those the peer may see. */
static struct conn *by_grant(struct conn *c, uint64_t grant)
{
	struct sandbox *b = NULL;

	while ((b = sandboxes_next(c->s->sandboxes, b)))
		if (server_may_see(c, b) && sandbox_owner(b) && grants_has(sandbox_owner(b), grant))
			return sandbox_owner(b);
	return NULL;
}

void serve_revoke(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	json_t *sandbox = NULL;
	json_int_t grant = 0;
	struct diag d = {};
	struct conn *of;
	const char *op;
	int n, ended;

	(void)fds;
	(void)nfds;
	if (json_unpack_ex(request, NULL, JSON_STRICT, "{s:s, s?I, s?o}", "op", &op, "grant",
			   &grant, "sandbox", &sandbox) || !!grant + !!sandbox != 1 || grant < 0) {
		conn_error(c, 2, "bad request: a grant or a sandbox was expected");
		return;
	}
	if (sandbox) {
		struct sandbox *b = server_find(c, sandbox, &d);

		of = b ? sandbox_owner(b) : NULL;
	} else {
		of = by_grant(c, (uint64_t)grant);
		if (!of)
			(void)diag_set(&d, -ENOENT, "no grant g%lld in your live sandboxes: see "
						    "egressctl grants", (long long)grant);
	}
	/* users may take back what they were given, but not what root took from them */
	if (of && c->peer.uid && grants_denied_by_root(of, (uint64_t)grant)) {
		(void)diag_set(&d, -EPERM, "root denied this: only root takes it back");
		of = NULL;
	}
	n = of ? grants_revoke(of, (uint64_t)grant, &ended, &d) : -ENOENT;
	if (n < 0) {
		conn_error_diag(c, exit_of(&d), &d);
		return;
	}
	log_change(c, of, "revoked", "", grant ? "one grant" : "all grants");
	conn_reply(c, json_pack("{s:i, s:i, s:I}", "revoked", n, "connections", ended, "sandbox",
				(json_int_t)sandbox_id(of->box)));
}

void serve_grants(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	const json_t *ref = json_object_get(request, "sandbox");
	struct sandbox *b = NULL, *only = NULL;
	json_t *list;
	struct diag d = {};

	(void)fds;
	(void)nfds;
	if (ref) {
		only = server_find(c, ref, &d);
		if (!only) {
			conn_error_diag(c, exit_of(&d), &d);
			return;
		}
	}
	list = json_array();
	while ((b = sandboxes_next(c->s->sandboxes, b))) {
		json_t *of, *g;
		size_t i;

		if ((only && b != only) || !server_may_see(c, b))
			continue;
		of = grants_describe(b);
		json_array_foreach(of, i, g)
			(void)json_object_set_new(g, "sandbox",
						  json_integer((json_int_t)sandbox_id(b)));
		(void)json_array_extend(list, of);
		json_decref(of);
	}
	conn_reply(c, json_pack("{s:o}", "grants", list));
}

/* ---- switch ------------------------------------------------------------------------- */

/* What a policy would add, nobody can compare with what the host lets users grant. */
static bool may_switch(const struct conn *c)
{
	const struct config *k = c->s->config;

	return !c->peer.uid || (k->grant_who == CONFIG_OWNER && !k->grant_within && k->grant_paths);
}

void serve_switch(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	json_t *sandbox, *policies, *texts, *need = NULL;
	const struct version *v = NULL;
	struct conn *of = NULL;
	struct sandbox *b;
	struct diag d = {};
	int drop = 0, err = -ENOENT, ended = 0;
	const char *op, *name;

	(void)fds;
	(void)nfds;
	if (json_unpack_ex(request, NULL, JSON_STRICT, "{s:s, s:o, s:o, s:o, s?b}", "op", &op,
			   "sandbox", &sandbox, "policies", &policies, "texts", &texts, "drop",
			   &drop) || !json_is_array(policies) || !json_is_array(texts)) {
		conn_error(c, 2, "bad request: a sandbox and a policy were expected");
		return;
	}
	b = server_find(c, sandbox, &d);
	of = b ? sandbox_owner(b) : NULL;
	if (of && !may_switch(c)) {
		(void)diag_set(&d, -EPERM,
			       "only root may switch policies on this host (%s: grants)",
			       c->s->config->file ? c->s->config->file : CONFIG_FILE);
		of = NULL;
	}
	if (of && c->peer.uid && grants_closed_by_root(of)) {
		(void)diag_set(&d, -EPERM, "root denied paths in this sandbox: only root switches "
					   "its policy while that holds");
		of = NULL;
	}
	if (of)
		err = server_policy_like(c->s, grants_base(of), policies, texts, &v, &need, &d);
	if (of && !err) {
		conn_reply(c, json_pack("{s:o}", "need", need));
		return;
	}
	name = json_string_value(json_array_get(policies, 0));
	if (err > 0) {
		err = grants_switch(of, v, drop, &ended, &d);
		publisher_unref(c->s->publisher, v);
	}
	if (err < 0) {
		conn_error_diag(c, exit_of(&d), &d);
		return;
	}
	of->freeze = v->compiled->run.freeze;
	(void)sandbox_set_policy(of->box, name); /* without memory it keeps its old label */
	server_save(of);
	log_change(c, of, "switched to", name, "");
	conn_reply(c, json_pack("{s:I, s:i}", "sandbox", (json_int_t)sandbox_id(of->box),
				"connections", ended));
}
