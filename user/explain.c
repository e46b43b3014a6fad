// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_looks.h"
#include "explain.h"
#include "util.h"

#ifndef EG_DATADIR
#define EG_DATADIR "/usr/share/egressctl"
#endif

#define COLUMN "  %-9s"

/* ---- parts that both forms have ------------------------------------------------------ */

/* What was tried, as in the line of the log. */
static void add_tried(struct text *t, const struct event *ev)
{
	char want[5];

	text_add(t, event_op_name(ev->op));
	event_add_object(t, ev);
	if (ev->want)
		text_addf(t, " for %s", event_want_text(ev->want, want));
}

/* "egressctl allow 7.12", when that was an answer as the event was logged. */
static const char *live_command(const struct event_parsed *e)
{
	return e->allow_command && str_starts(e->allow_command, "egressctl allow ") ?
		       e->allow_command : NULL;
}

static const char *run_command(const struct event_parsed *e)
{
	if (e->allow_run)
		return e->allow_run;
	return live_command(e) ? NULL : e->allow_command; /* of a log before there was allow_run */
}

/* It is not for people to change, and what --save makes in its place has another one. */
static bool is_shipped(const char *file)
{
	return str_starts(file, EG_DATADIR "/policies/");
}

/* NULL: what is no file, such as what `run --allow` made. */
static const char *file_of(const struct event_parsed *e)
{
	const char *file = e->ev.policy_file;

	return file && strchr(file, '/') ? file : NULL;
}

/* A rule of every policy (RULE_BUILTIN); what is in a file has a line there. */
static bool is_ours(const struct rule_ref *by)
{
	return !by->line && str_eq(by->file, "builtin");
}

static bool can_be_allowed(const struct event_parsed *e)
{
	return e->allow_rule || e->allow_command || e->allow_run;
}

static const char *advice(const struct event_parsed *e, enum event_looks looks)
{
	if (looks != EVENT_LOOKS_MISSING && can_be_allowed(e))
		return "like an attack: allow it only if you know why the program needs it";
	if (looks != EVENT_LOOKS_MISSING)
		return "like an attack, and no rule can allow it";
	if (can_be_allowed(e))
		return "like a missing allowance, if the program needs it";
	if (e->ev.by && is_ours(e->ev.by))
		return "like something that egressctl's own rule is there for: see "
		       "egressctl-policy(5)";
	if (e->ev.by)
		return "like something that the rule is there for: take the rule back to allow it";
	return "like something that no rule can allow";
}

/* ---- for a terminal ------------------------------------------------------------------- */

static void add_row(struct text *t, const char *key)
{
	text_addf(t, "\n" COLUMN, key);
}

static void add_rule(struct text *t, const struct rule_ref *r)
{
	struct text name = { 0 };

	event_add_rule_name(&name, r);
	text_add_safe(t, name.p ? name.p : "");
	text_add(t, " ");
	text_add_escaped(t, r->text, strlen(r->text));
	if (strchr(r->file, '/')) {
		text_add(t, " (");
		text_add_safe(t, r->file);
		text_add(t, ")");
	}
	t->failed |= name.failed;
	text_free(&name);
}

static void add_who(struct text *t, const struct event *ev)
{
	add_row(t, "by");
	if (!ev->pid) {
		text_add(t, ev->op == EG_OP_RESOLVE ? "a question to the resolver" :
						     "a packet that no process was sending");
		return;
	}
	text_add_escaped(t, ev->comm.p, ev->comm.len);
	text_addf(t, "[%u]", ev->pid);
	if (ev->exe.len) {
		text_add(t, " ");
		text_add_escaped(t, ev->exe.p, ev->exe.len);
	}
	text_addf(t, ", user %u", ev->uid);
	if (!ev->nparents)
		return;
	add_row(t, "under");
	for (uint8_t i = 0; i < ev->nparents; i++) {
		text_add(t, i ? " < " : "");
		text_add_escaped(t, ev->parents[i].comm.p, ev->parents[i].comm.len);
		text_addf(t, "[%u]", ev->parents[i].pid);
	}
}

static void add_why(struct text *t, const struct event *ev)
{
	if (ev->policy) {
		add_row(t, "policy");
		text_add_safe(t, ev->policy);
		if (ev->policy_file && !str_eq(ev->policy_file, ev->policy)) {
			text_add(t, " (");
			text_add_safe(t, ev->policy_file);
			text_add(t, ")");
		}
	}
	add_row(t, "refused");
	if (ev->by) {
		text_add(t, "by ");
		add_rule(t, ev->by);
		if (ev->reason != EG_WHY_RULE)
			text_addf(t, ": %s", event_reason_words(ev->reason));
	} else {
		text_add(t, event_reason_words(ev->reason));
	}
	if (ev->near) {
		add_row(t, "nearest");
		add_rule(t, ev->near);
	}
}

static void add_allow(struct text *t, const struct event_parsed *e, enum explain_for whom)
{
	const char *live = whom == EXPLAIN_ENDED ? NULL : live_command(e);
	const char *run = run_command(e), *file = file_of(e);
	bool save = live && whom != EXPLAIN_UNSAVED;

	if (!can_be_allowed(e))
		return;
	add_row(t, "allow");
	text_add(t, whom == EXPLAIN_INSIDE ? "somebody outside of the sandbox can, " : "");
	text_add(t, live || run ? "with one of" : "with a line of the policy, and nothing less");
	if (live) {
		text_addf(t, "\n    %-18s", "for ten minutes");
		text_add_safe(t, live);
	}
	if (run) {
		text_addf(t, "\n    %-18s", "for the next run");
		text_add_safe(t, run);
	}
	if (save) {
		text_addf(t, "\n    %-18s", "for good");
		text_add_safe(t, live);
		text_add(t, " --save");
	}
	if (e->allow_rule) {
		text_addf(t, "\n    %-18s", save ? "" : "for good");
		text_add(t, save ? "or in " : "in ");
		text_add(t, file && is_shipped(file) ? "a copy of " : "");
		text_add_safe(t, file ? file : "the policy");
		text_add(t, ": ");
		text_add_safe(t, e->allow_rule);
	}
}

static void add_end(struct text *t, const struct event *ev)
{
	struct text line = { 0 };

	if (!event_to_line(ev, &line))
		text_add(t, line.p);
	t->failed |= line.failed;
	text_free(&line);
}

int explain_text(const struct event_parsed *e, enum explain_for whom, struct text *t)
{
	const struct event *ev = &e->ev;
	enum event_looks looks;
	char buf[EVENT_NAME_MAX], stamp[32] = "";
	time_t sec = (time_t)(ev->time_ns / 1000000000u);
	struct tm tm;

	text_reset(t);
	if (ev->end) {
		add_end(t, ev);
		return t->failed ? -ENOMEM : 0;
	}
	looks = event_looks(ev);
	if (gmtime_r(&sec, &tm))
		(void)strftime(stamp, sizeof(stamp), "%F %T UTC", &tm);
	text_addf(t, "%" PRIu64 ".%" PRIu64 "  %s  %s", ev->sandbox, ev->seq, stamp,
		  ev->verdict == EG_VERDICT_AUDIT ? "would be denied" : "denied");
	if (ev->error)
		text_addf(t, ", %s", event_name(EVENT_NAMES_ERRNO, (uint32_t)ev->error, buf));
	add_row(t, "tried");
	add_tried(t, ev);
	add_who(t, ev);
	add_why(t, ev);
	add_row(t, "looks");
	text_add(t, advice(e, looks));
	if (looks != EVENT_LOOKS_MISSING)
		text_addf(t, " (%s)", event_looks_words(looks));
	add_allow(t, e, whom);
	return t->failed ? -ENOMEM : 0;
}

/* ---- for programs --------------------------------------------------------------------- */

/* What somebody chose, as in a line for people: JSON has no bytes. */
static json_t *json_escaped(struct event_bytes b)
{
	struct text t = { 0 };
	json_t *j;

	text_add_escaped(&t, b.p, b.len);
	j = t.failed ? NULL : json_stringn(t.p, t.len);
	text_free(&t);
	return j ? j : json_null();
}

static json_t *json_rule(const struct rule_ref *r)
{
	struct text name = { 0 };
	json_t *j;

	if (!r)
		return json_null();
	event_add_rule_name(&name, r);
	j = name.failed ? NULL : json_pack("{s:s, s:s, s:s}", "rule", name.p, "text", r->text,
					   "file", r->file);
	text_free(&name);
	return j ? j : json_null();
}

static json_t *json_who(const struct event *ev)
{
	if (!ev->pid)
		return json_null();
	return json_pack("{s:I, s:I, s:o, s:o}", "pid", (json_int_t)ev->pid, "uid",
			 (json_int_t)ev->uid, "comm", json_escaped(ev->comm), "exe",
			 ev->exe.len ? json_escaped(ev->exe) : json_null());
}

static json_t *json_parents(const struct event *ev)
{
	json_t *list = json_array();

	for (uint8_t i = 0; i < ev->nparents; i++)
		(void)json_array_append_new(list, json_pack("{s:I, s:o}", "pid",
							    (json_int_t)ev->parents[i].pid, "comm",
							    json_escaped(ev->parents[i].comm)));
	return list;
}

static json_t *json_allow(const struct event_parsed *e, enum explain_for whom)
{
	const char *live = whom == EXPLAIN_ENDED ? NULL : live_command(e);
	const char *run = run_command(e), *file = file_of(e);
	json_t *list = json_array();

	if (live)
		(void)json_array_append_new(list, json_pack("{s:s, s:s}", "lasts", "10m",
							    "command", live));
	if (run)
		(void)json_array_append_new(list, json_pack("{s:s, s:s}", "lasts", "run",
							    "command", run));
	if (live && whom != EXPLAIN_UNSAVED)
		(void)json_array_append_new(list, json_pack("{s:s, s:s++}", "lasts", "always",
							    "command", live, " --save", ""));
	if (e->allow_rule)
		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s?}", "lasts", "always",
							    "line", e->allow_rule, "file",
							    file && !is_shipped(file) ? file :
											NULL));
	return list;
}

json_t *explain_json(const struct event_parsed *e, enum explain_for whom)
{
	const struct event *ev = &e->ev;
	enum event_looks looks = ev->end ? EVENT_LOOKS_MISSING : event_looks(ev);
	char id[48], buf[EVENT_NAME_MAX];
	struct text tried = { 0 };
	json_t *j;

	(void)snprintf(id, sizeof(id), "%" PRIu64 ".%" PRIu64, ev->sandbox, ev->seq);
	add_tried(&tried, ev);
	if (tried.failed)
		return NULL;
	j = json_pack("{s:s, s:O?, s:s%, s:s, s:s, s:s?, s:o, s:o, s:s?, s:s?}", "event", id,
		      "time", json_object_get(e->json, "time"), "tried", tried.p, tried.len, "op",
		      event_op_name(ev->op), "verdict",
		      ev->verdict == EG_VERDICT_AUDIT ? "audit" : "denied", "errno",
		      ev->error ? event_name(EVENT_NAMES_ERRNO, (uint32_t)ev->error, buf) : NULL,
		      "program", json_who(ev), "parents", json_parents(ev), "policy", ev->policy,
		      "policy_file", ev->policy_file);
	text_free(&tried);
	if (j && json_object_update_new(
			 j, json_pack("{s:s, s:s, s:o, s:o, s:s, s:s?, s:s, s:s, s:o}", "reason",
				      event_reason_name(ev->reason), "why",
				      ev->by && ev->reason == EG_WHY_RULE ? "a rule refuses it" :
					      event_reason_words(ev->reason), "refused_by",
				      json_rule(ev->by), "nearest", json_rule(ev->near), "looks",
				      looks == EVENT_LOOKS_MISSING ? can_be_allowed(e) ?
					      "missing" : "refused" : "attack", "kind",
				      looks == EVENT_LOOKS_MISSING ? NULL : event_looks_name(looks),
				      "because", event_looks_words(looks), "advice",
				      advice(e, looks), "allow", json_allow(e, whom)))) {
		json_decref(j);
		return NULL;
	}
	return j;
}
