// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <linux/types.h>
#include <string.h>
#include <time.h>

#include "../bpf/egressctl.h"
#include "event_text.h"
#include "policy.h"
#include "report.h"
#include "report_int.h"
#include "util.h"

#define NSEC_PER_SEC 1000000000ull

static void add_time(struct text *out, uint64_t ns)
{
	time_t sec = (time_t)(ns / NSEC_PER_SEC);
	char buf[32] = "";
	struct tm tm;

	if (gmtime_r(&sec, &tm))
		(void)strftime(buf, sizeof(buf), "%FT%TZ", &tm);
	text_add(out, buf);
}

static void add_destination(struct text *out, const struct trace_dest *d)
{
	struct event ev = { .op = EG_OP_CONNECT, .port = d->port, .proto = d->proto };

	memcpy(ev.addr, d->addr, sizeof(ev.addr));
	event_add_destination(out, &ev);
}

static bool is_address(const struct trace_access *a)
{
	static const uint8_t none[16];

	return a->path == TRACE_NO_STRING && memcmp(a->addr, none, sizeof(none));
}

/* "open /etc/shadow", "connect 203.0.113.9:443/tcp" */
static void add_object(struct text *out, const struct trace *t, const struct trace_access *a)
{
	const struct trace_string *s = trace_string(t, a->path);
	struct event ev = { .op = EG_OP_CONNECT, .port = a->port, .proto = a->proto };

	memcpy(ev.addr, a->addr, sizeof(ev.addr));
	if (is_address(a))
		event_add_destination(out, &ev);
	else
		text_add_escaped(out, s->p, s->len);
}

/* ---- for people -------------------------------------------------------------------------- */

static void add_bytes(struct text *out, uint64_t n)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double v = (double)n;
	size_t u = 0;

	while (v >= 1000 && u + 1 < ARRAY_SIZE(units)) {
		v /= 1000;
		u++;
	}
	text_addf(out, u ? "%7.1f %-2s" : "%7.0f %-2s", v, units[u]);
}

static void text_hosts(struct text *out, const struct report *r)
{
	text_addf(out, "\nHosts (%zu)\n", r->nhosts);
	if (r->nhosts)
		text_addf(out, "  %10s %10s\n", "sent", "received");
	for (size_t i = 0; i < r->nhosts; i++) {
		const struct report_host *h = &r->hosts[i];

		text_add(out, "  ");
		add_bytes(out, h->refused ? 0 : h->dest->bytes_out);
		text_add(out, " ");
		add_bytes(out, h->dest->bytes_in);
		text_add(out, h->dest->served ? "  from clients at port " : "  ");
		if (h->dest->served)
			text_addf(out, "%u, of ", h->dest->port);
		add_destination(out, h->dest);
		for (size_t k = 0; k < h->nnames; k++) {
			const struct trace_string *s = trace_string(r->t, h->names[k]);

			text_add(out, k ? ", " : "  ");
			text_add_escaped(out, s->p, s->len);
		}
		text_add(out, h->refused ? "  refused\n" : "\n");
	}
}

static void text_paths(struct text *out, const struct report *r)
{
	char perm[5];

	text_addf(out, "\nPaths (%zu)\n", r->ndirs);
	for (size_t i = 0; i < r->ndirs; i++) {
		text_addf(out, "  %-4s %6u  ", policy_perm_text(r->dirs[i].perm, perm),
			  r->dirs[i].count);
		text_add_escaped(out, r->dirs[i].path, r->dirs[i].len);
		text_add(out, "\n");
	}
}

static void text_programs(struct text *out, const struct report *r)
{
	text_addf(out, "\nPrograms (%zu)\n", r->nprograms);
	for (size_t i = 0; i < r->nprograms; i++) {
		const struct trace_string *s = trace_string(r->t, r->programs[i].path);

		text_add(out, "  ");
		text_add_escaped(out, s->p, s->len);
		text_add(out, "\n");
	}
}

static void add_rule(struct text *out, const struct report *r, const struct report_denial *d)
{
	const struct trace_string *s = trace_string(r->t, d->rule);

	if (s->len)
		text_add_escaped(out, s->p, s->len);
	else
		text_add(out, d->reason == EG_WHY_RULE ? "no rule (default)" :
							 event_reason_words(d->reason));
}

static void text_denials(struct text *out, const struct report *r)
{
	text_addf(out, "\n%s (%llu)\n", r->t->audit ? "Would be refused" : "Refused",
		  (unsigned long long)r->t->denied);
	for (size_t i = 0; i < r->ndenials; i++) {
		const struct report_denial *d = &r->denials[i];

		text_addf(out, "  %6u  ", d->count);
		add_rule(out, r, d);
		text_addf(out, ": %s ", event_op_name(d->op));
		add_object(out, r->t, d->example);
		text_add(out, d->count > 1 ? ", ...\n" : "\n");
	}
}

int report_text(const struct trace *t, struct text *out)
{
	struct report r;
	int err = report_make(t, &r);

	text_reset(out);
	if (!err) {
		text_addf(out, "Sandbox %llu", (unsigned long long)t->sandbox);
		if (*t->name) {
			text_add(out, " (");
			text_add_escaped(out, t->name, strlen(t->name));
			text_add(out, ")");
		}
		text_add(out, ", policy ");
		text_add_escaped(out, t->policy, strlen(t->policy));
		text_add(out, t->audit ? " (audit), " : ", ");
		add_time(out, t->started_ns);
		text_add(out, " to ");
		if (t->ended_ns)
			add_time(out, t->ended_ns);
		else
			text_add(out, "now");
		text_add(out, "\n");
		if (trace_incomplete(t))
			text_addf(out,
				  "INCOMPLETE: %llu records lost, %llu packets not counted%s\n",
				  (unsigned long long)(t->lost + t->dropped),
				  (unsigned long long)t->uncounted,
				  t->restarted ? ", egressd was restarted meanwhile" : "");
		text_hosts(out, &r);
		text_paths(out, &r);
		text_programs(out, &r);
		text_denials(out, &r);
	}
	report_clear(&r);
	return err || out->failed ? -ENOMEM : 0;
}

/* ---- for programs --------------------------------------------------------------------------- */

static void add_string(struct text *out, const char *key, const char *p, size_t len)
{
	text_addf(out, "\"%s\": ", key);
	(void)text_add_json(out, p, len); /* U+FFFD for what is not UTF-8 */
}

static void json_hosts(struct text *out, const struct report *r)
{
	char addr[46], proto[EVENT_NAME_MAX];

	text_add(out, "  \"hosts\": [");
	for (size_t i = 0; i < r->nhosts; i++) {
		const struct report_host *h = &r->hosts[i];
		const struct trace_dest *d = h->dest;

		text_addf(out,
			  "%s\n    {\"address\": \"%s\", \"port\": %u, \"protocol\": \"%s\", "
			       "\"served\": %s, \"refused\": %s, \"bytes_out\": %llu, "
			       "\"packets_out\": %llu, \"bytes_in\": %llu, \"packets_in\": %llu, "
			       "\"names\": [",
			  i ? "," : "", event_addr_text(d->addr, addr), d->port,
			  event_name(EVENT_NAMES_PROTO, d->proto, proto),
			  d->served ? "true" : "false", h->refused ? "true" : "false",
			  (unsigned long long)d->bytes_out, (unsigned long long)d->packets_out,
			  (unsigned long long)d->bytes_in, (unsigned long long)d->packets_in);
		for (size_t k = 0; k < h->nnames; k++) {
			const struct trace_string *s = trace_string(r->t, h->names[k]);

			text_add(out, k ? ", " : "");
			(void)text_add_json(out, s->p, s->len);
		}
		text_add(out, "]}");
	}
	text_add(out, "],\n");
}

static void json_paths(struct text *out, const struct report *r)
{
	char perm[5];

	text_add(out, "  \"paths\": [");
	for (size_t i = 0; i < r->ndirs; i++) {
		text_add(out, i ? ",\n    {" : "\n    {");
		add_string(out, "path", r->dirs[i].path, r->dirs[i].len);
		text_addf(out, ", \"used\": \"%s\", \"count\": %u}",
			  policy_perm_text(r->dirs[i].perm, perm), r->dirs[i].count);
	}
	text_add(out, "],\n  \"programs\": [");
	for (size_t i = 0; i < r->nprograms; i++) {
		const struct trace_string *s = trace_string(r->t, r->programs[i].path);

		text_add(out, i ? ",\n    " : "\n    ");
		(void)text_add_json(out, s->p, s->len);
	}
	text_add(out, "],\n");
}

static void json_denials(struct text *out, const struct report *r)
{
	struct text s = { 0 };

	text_add(out, "  \"denials\": [");
	for (size_t i = 0; i < r->ndenials; i++) {
		const struct report_denial *d = &r->denials[i];
		const struct trace_string *rule = trace_string(r->t, d->rule);

		text_addf(out, "%s\n    {\"op\": \"%s\", \"reason\": \"%s\", \"verdict\": \"%s\", "
			       "\"count\": %u, \"rule\": ",
			  i ? "," : "", event_op_name(d->op), event_reason_name(d->reason),
			  d->verdict == EG_VERDICT_AUDIT ? "audit" : "denied", d->count);
		if (rule->len)
			(void)text_add_json(out, rule->p, rule->len);
		else
			text_add(out, "null");
		text_reset(&s);
		text_add(&s, "");
		add_object(&s, r->t, d->example);
		text_add(out, ", ");
		add_string(out, "example", s.p ? s.p : "", s.len);
		text_add(out, "}");
		out->failed |= s.failed;
	}
	text_add(out, "]\n");
	text_free(&s);
}

int report_json(const struct trace *t, struct text *out)
{
	struct report r;
	int err = report_make(t, &r);

	text_reset(out);
	if (!err) {
		text_addf(out, "{\n  \"sandbox\": %llu, ", (unsigned long long)t->sandbox);
		add_string(out, "name", t->name, strlen(t->name));
		text_add(out, ", ");
		add_string(out, "policy", t->policy, strlen(t->policy));
		text_addf(out, ", \"mode\": \"%s\",\n  \"started\": \"",
			  t->audit ? "audit" : "enforce");
		add_time(out, t->started_ns);
		text_add(out, "\", \"ended\": ");
		text_add(out, t->ended_ns ? "\"" : "null");
		if (t->ended_ns) {
			add_time(out, t->ended_ns);
			text_add(out, "\"");
		}
		text_addf(out, ",\n  \"complete\": %s, \"lost\": %llu, \"uncounted\": %llu, "
			       "\"restarted\": %s, \"denied\": %llu,\n",
			  trace_incomplete(t) ? "false" : "true",
			  (unsigned long long)(t->lost + t->dropped),
			  (unsigned long long)t->uncounted, t->restarted ? "true" : "false",
			  (unsigned long long)t->denied);
		json_hosts(out, &r);
		json_paths(out, &r);
		json_denials(out, &r);
		text_add(out, "}\n");
	}
	report_clear(&r);
	return err || out->failed ? -ENOMEM : 0;
}
