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
#include "grant_rule.h"
#include "policy_send.h"
#include "publish.h"
#include "ref.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define NOTE_MAX 256u
#define RULES_MAX 32u /* of one request, as of a command line */
#define MS_MAX (1000ll * 365 * 86400 * 1000) /* a thousand years: as ns it still is a number */

/* ---- allow and deny ----------------------------------------------------------------- */

struct allow_request {
	const char *op, *event, *policy, *note;
	json_t *sandbox, *rules;
	json_int_t ms;
	int save;
	const char *rule[RULES_MAX];
	size_t nrules;
	bool no_text; /* something that is no rule is among them */
};

static int parse_allow(struct conn *c, json_t *request, struct allow_request *r)
{
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
		r->no_text |= !r->rule[i];
	}
	if (!!r->sandbox + !!r->event + !!r->policy != 1 || r->ms < 0 || r->ms > MS_MAX ||
	    r->nrules > RULES_MAX || r->no_text) {
		conn_error(c, 2, "bad request: which sandbox, and what?");
		return -EINVAL;
	}
	if (r->note && strlen(r->note) > NOTE_MAX) {
		conn_error(c, 2, "a note may have %u bytes", NOTE_MAX);
		return -EINVAL;
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

/* A ruleset of Landlock is for good: nothing about paths can be given or taken any more. */
static bool held_by_landlock(const struct conn *of)
{
	return grants_base(of)->compiled->landlock;
}

static int check_landlock(const struct conn *of, const struct allow_request *r, struct diag *d)
{
	for (size_t i = 0; i < r->nrules; i++)
		if ((str_starts(r->rule[i], "open ") || str_starts(r->rule[i], "unix ")) &&
		    held_by_landlock(of))
			return diag_set(d, -ENOTSUP, "'%s': paths of this sandbox are held by "
					"Landlock, which cannot be changed while it runs: give "
					"--allow to the next run", r->rule[i]);
	return 0;
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

	list = check_landlock(of, r, d) ? NULL : grants_add(of, &q, d);
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

/* ---- --save ----------------------------------------------------------------------------- */

/*
 * The client writes the file, under its user's rights, and needs to be told which one and
 * what was in it. Whoever may write a file can do so without us: what is withheld is the
 * way from a live sandbox to its policy.
 */
static int check_save(const struct conn *c, const struct allow_request *r, struct diag *d)
{
	const struct config *k = c->s->config;

	if (!r->save || !c->peer.uid || k->grant_save)
		return 0;
	fprintf(stderr, "egressd: uid %u: --save was refused\n", c->peer.uid);
	return diag_set(d, -EPERM, "rules are not saved on this host (%s: grants: save): nothing "
				   "was allowed; without --save it is for a time",
			k->file ? k->file : CONFIG_FILE);
}

static bool fits(const json_t *files)
{
	_cleanup_free_ char *text = json_dumps(files, JSON_COMPACT);

	return text && strlen(text) < CONTROL_MESSAGE_MAX / 2;
}

void server_add_files(const struct conn *c, const struct conn *of, json_t *all)
{
	json_t *files;
	const json_t *other;
	size_t i;

	if (c->peer.uid && !c->s->config->grant_save)
		return;
	files = server_policy_files(of->s, grants_base(of));
	json_array_foreach(all, i, other)
		if (json_equal(other, files)) {
			json_decref(files);
			return;
		}
	if (files)
		(void)json_array_append_new(all, files);
	if (!fits(all))
		(void)json_array_clear(all);
}

/* ---- events ------------------------------------------------------------------------------- */

/* An event, and the rules that would have let it pass. */
struct denied {
	struct event_parsed e;
	struct text words[2];
	size_t nwords;
};

static void clear_denied(struct denied *e)
{
	event_parsed_free(&e->e);
	text_free(&e->words[0]);
	text_free(&e->words[1]);
}

/* From its line, which root alone wrote; what a rule may say is decided as ever. */
static int parse_denied(const char *line, size_t len, const char *ref, struct denied *e,
			struct diag *d)
{
	if (event_from_json(line, len, &e->e))
		return diag_set(d, -EIO, "event %s cannot be read", ref);
	e->nwords = event_run_words(e->e.allow_run, e->words);
	if (e->nwords)
		return 0;
	if (e->e.allow_rule)
		return diag_set(d, -EPERM, "no grant can allow event %" PRIu64 ".%" PRIu64 ", but "
					   "a policy: %s",
				e->e.ev.sandbox, e->e.ev.seq, e->e.allow_rule);
	return diag_set(d, -EPERM, "no rule can allow event %s", ref);
}

/* "last" is whatever came last, maybe after the operator looked: not for what attacks do. */
static int check_looks(const struct denied *e, struct diag *d)
{
	enum event_looks looks = event_looks(&e->e.ev);

	if (looks == EVENT_LOOKS_MISSING)
		return 0;
	return diag_set(d, -EPERM,
			"the last one, '%s' in sandbox %" PRIu64 ", looks like an attack: %s. To "
			"allow it all the same: egressctl allow %" PRIu64 ".%" PRIu64,
			e->words[0].p, e->e.ev.sandbox, event_looks_words(looks), e->e.ev.sandbox,
			e->e.ev.seq);
}

/*
 * Which sandbox an event is of, and what would have let it pass. -ENODATA: the sandbox
 * is live, and the event is not remembered any more.
 */
static struct conn *from_event(struct conn *c, struct allow_request *r, struct denied *e,
			       struct diag *d)
{
	bool last = str_eq(r->event, REF_LAST);
	struct sandbox *b = NULL;
	const char *line;
	size_t len = 0;
	int err = 0;

	line = last ? server_last_allowable(c, &len, &b) : server_event(c, r->event, &len, &b, d);
	if (last && !line)
		(void)diag_set(d, -ENOENT, "nothing that a rule could allow was denied in your "
					   "live sandboxes");
	/* with rules, all that an event says is where */
	if (!b || !sandbox_owner(b) || (!line && !(r->nrules && d->err == -ENODATA)))
		return NULL;
	diag_clear(d);
	if (r->nrules)
		return sandbox_owner(b);
	err = parse_denied(line, len, r->event, e, d);
	if (!err && last)
		err = check_looks(e, d);
	if (err)
		return NULL;
	r->nrules = e->nwords;
	for (size_t i = 0; i < e->nwords; i++)
		r->rule[i] = e->words[i].p;
	return sandbox_owner(b);
}

/* ---- the answer --------------------------------------------------------------------------- */

static int exit_of(const struct diag *d)
{
	return d->err == -EINVAL ? 2 : d->err == -ENOMEM ? 125 : 1;
}

static void no_policy(struct conn *c, const char *policy)
{
	struct diag d = {};

	(void)server_no_policy(c, policy, &d);
	conn_error_diag(c, 1, &d);
}

/* Every live sandbox under a policy of that name, or none. */
static void allow_by_policy(struct conn *c, const struct allow_request *r)
{
	json_t *done = json_array(), *failed = json_array(), *files = json_array();
	struct sandbox *b = NULL;
	uint32_t n = 0;
	int status = 0;

	while ((b = sandboxes_next(c->s->sandboxes, b))) {
		struct diag d = {};

		if (!server_may_see(c, b) || !sandbox_has_policy(b, r->policy) ||
		    !sandbox_owner(b))
			continue;
		n++;
		if (!allow_in(c, sandbox_owner(b), r, done, &d)) {
			if (r->save)
				server_add_files(c, sandbox_owner(b), files);
			continue;
		}
		status = exit_of(&d);
		(void)json_array_append_new(failed, json_pack("{s:I, s:s}", "sandbox",
							      (json_int_t)sandbox_id(b), "error",
							      d.msg));
	}
	if (n)
		conn_reply(c, json_pack("{s:O, s:O, s:O, s:i}", "grants", done, "failed", failed,
					"files", files, "exit", status));
	else
		no_policy(c, r->policy);
	json_decref(done);
	json_decref(failed);
	json_decref(files);
}

/* A sandbox or a policy, and not what it may do: maybe an event was meant, or "last". */
static void no_rule(struct conn *c, const struct allow_request *r)
{
	const char *text = json_string_value(r->sandbox);
	struct nearest near = { .text = text ? text : "" };
	struct sandbox *b = NULL;
	struct diag d = {};

	if (!r->policy)
		b = server_find(c, r->sandbox, &d);
	if (!b && text && ref_distance(text, REF_LAST) <= 2)
		nearest_try(&near, REF_LAST); /* hardly any name is nearer */
	if (near.word[0])
		conn_error(c, 1, "'%s' is no event and no sandbox%s", text, nearest_words(&near));
	else if (!b && !r->policy)
		conn_error_diag(c, exit_of(&d), &d);
	else
		conn_error(c, 2, "what? expected a RULE after the %s (connect DEST, open PATH "
			   "PERM, unix NAME), or in its place an event (7.12) or last",
			   r->policy ? "policy" : "sandbox");
}

void serve_allow(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct denied e = {};
	struct allow_request r;
	struct conn *of = NULL;
	json_t *done, *files;
	struct diag d = {};

	(void)fds;
	(void)nfds;
	if (parse_allow(c, request, &r))
		return;
	if (!r.nrules && !r.event) {
		no_rule(c, &r);
		return;
	}
	if (check_save(c, &r, &d)) {
		conn_error_diag(c, exit_of(&d), &d);
		return;
	}
	if (r.policy) {
		allow_by_policy(c, &r);
		return;
	}
	if (r.event) {
		server_events_drain(c->s); /* what happened before the question counts */
		of = from_event(c, &r, &e, &d);
	} else {
		struct sandbox *b = server_find(c, r.sandbox, &d);

		of = b ? sandbox_owner(b) : NULL;
	}
	done = json_array();
	files = json_array();
	if (of && !allow_in(c, of, &r, done, &d)) {
		if (r.save)
			server_add_files(c, of, files);
		conn_reply(c, json_pack("{s:O, s:O}", "grants", done, "files", files));
	} else if (d.err == -ENODATA) {
		conn_reply(c, json_pack("{s:b}", "logged", 1)); /* the client looks there */
	} else {
		conn_error_diag(c, exit_of(&d), &d);
	}
	json_decref(done);
	json_decref(files);
	clear_denied(&e);
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
			(void)server_no_grant(c, (uint64_t)grant, &d);
	}
	if (!of) {
		conn_error_diag(c, exit_of(&d), &d);
		return;
	}
	/* users may take back what they were given, but not what root took from them */
	if (c->peer.uid && grants_denied_by_root(of, (uint64_t)grant))
		n = diag_set(&d, -EPERM, "root denied this: only root takes it back");
	else
		n = grants_revoke(of, (uint64_t)grant, &ended, &d);
	if (n < 0) {
		log_change(c, of, "a revocation was refused", "", d.msg);
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

static int check_switch(const struct conn *c, const struct conn *of, struct diag *d)
{
	int err = c->peer.uid ? grant_switch_check(c->s->config, d) : 0;

	if (!err && held_by_landlock(of))
		err = diag_set(d, -ENOTSUP, "the paths of this sandbox are held by Landlock, which "
			       "cannot be changed while it runs");
	if (!err && c->peer.uid && grants_closed_by_root(of))
		err = diag_set(d, -EPERM, "root denied paths in this sandbox: only root switches "
					  "its policy while that holds");
	return err;
}

struct switch_request {
	json_t *sandbox, *policies, *texts;
	const char *name; /* what it is called from then on */
	uid_t by;
	int drop;
};

static int parse_switch(struct conn *c, json_t *request, struct switch_request *r)
{
	const char *op;

	*r = (struct switch_request){ .by = c->peer.uid };
	if (!json_unpack_ex(request, NULL, JSON_STRICT, "{s:s, s:o, s:o, s:o, s?b}", "op", &op,
			    "sandbox", &r->sandbox, "policies", &r->policies, "texts", &r->texts,
			    "drop", &r->drop))
		r->name = json_string_value(json_array_get(r->policies, 0));
	if (r->name && json_is_array(r->texts))
		return 0;
	conn_error(c, 2, "bad request: a sandbox and a policy were expected");
	return -EINVAL;
}

/* 1: done; 0: texts are missing; or a negative errno. */
static int switch_to(struct conn *of, const struct switch_request *r, int *ended, json_t **need,
		     struct diag *d)
{
	_cleanup_free_ char *names = NULL;
	const struct version *v = NULL;
	int err;

	err = server_policy_like(of->s, grants_base(of), r->by, r->policies, r->texts, &v, need,
				 d);
	if (err <= 0)
		return err;
	err = grants_switch(of, v, r->drop, ended, d);
	if (!err) {
		of->freeze = v->compiled->run.freeze;
		names = policy_send_names(r->policies, r->texts);
		if (names) /* without memory: what they were called before */
			(void)sandbox_set_policies(of->box, names);
		server_save(of);
	}
	publisher_unref(of->s->publisher, v);
	return err ? err : 1;
}

void serve_switch(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct switch_request r;
	struct conn *of = NULL;
	json_t *need = NULL;
	struct sandbox *b;
	struct diag d = {};
	int err, ended = 0;

	(void)fds;
	(void)nfds;
	if (parse_switch(c, request, &r))
		return;
	b = server_find(c, r.sandbox, &d);
	of = b ? sandbox_owner(b) : NULL;
	if (!of) {
		conn_error_diag(c, exit_of(&d), &d);
		return;
	}
	err = check_switch(c, of, &d);
	if (!err)
		err = switch_to(of, &r, &ended, &need, &d);
	if (err < 0) {
		log_change(c, of, "a switch was refused", r.name, d.msg);
		conn_error_diag(c, exit_of(&d), &d);
	} else if (!err) {
		conn_reply(c, json_pack("{s:o}", "need", need));
	} else {
		log_change(c, of, "switched to", r.name, "");
		conn_reply(c, json_pack("{s:I, s:i}", "sandbox", (json_int_t)sandbox_id(of->box),
					"connections", ended));
	}
}
