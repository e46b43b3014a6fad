// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Collecting a trace. */
#include <errno.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"
#include "trace.h"
#include "trace_int.h"
#include "util.h"

#define BUCKETS 16384u

int trace_init(struct trace *t, uint64_t sandbox, const char *name, const char *policy)
{
	*t = (struct trace){ .sandbox = sandbox, .owner = -1 };
	t->name = strdup(name ? name : "");
	t->policy = strdup(policy ? policy : "");
	t->buckets = calloc(BUCKETS, sizeof(*t->buckets));
	if (t->name && t->policy && t->buckets)
		return 0;
	trace_clear(t);
	return -ENOMEM;
}

void trace_clear(struct trace *t)
{
	for (size_t i = 0; i < t->nstrings; i++)
		free(t->strings[i].p);
	free(t->strings);
	free(t->buckets);
	free(t->accesses);
	free(t->names);
	free(t->dests);
	free(t->name);
	free(t->policy);
	*t = (struct trace){ 0 };
}

bool trace_incomplete(const struct trace *t)
{
	return t->restarted || t->lost || t->uncounted || t->dropped;
}

/* ---- strings ---------------------------------------------------------------------- */

static const struct trace_string nothing = { .p = (char *)"", .len = 0 };

const struct trace_string *trace_string(const struct trace *t, uint32_t i)
{
	return i < t->nstrings ? &t->strings[i] : &nothing;
}

/* FNV-1a, 32 bits. A hostile program that makes chains long slows its own trace. */
static uint32_t hash_of(const char *p, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)p[i]) * 16777619u;
	return h;
}

static int put_string(struct trace *t, const char *p, size_t len, uint32_t *at)
{
	struct trace_string s = { .len = len };

	if (t->bytes + len > TRACE_MAX_BYTES)
		return -ENOSPC;
	if (array_reserve(&t->strings, &t->cap_strings, t->nstrings))
		return -ENOMEM;
	s.p = malloc(len + 1);
	if (!s.p)
		return -ENOMEM;
	memcpy(s.p, p, len);
	s.p[len] = '\0';
	s.chain = *at;
	t->bytes += len + sizeof(s);
	t->strings[t->nstrings++] = s;
	*at = (uint32_t)t->nstrings;
	return 0;
}

int trace_intern(struct trace *t, const char *p, size_t len, uint32_t *out)
{
	uint32_t *bucket = &t->buckets[hash_of(p, len) % BUCKETS], at;
	int err;

	for (at = *bucket; at; at = t->strings[at - 1].chain) {
		const struct trace_string *s = &t->strings[at - 1];

		if (s->len == len && !memcmp(s->p, p, len))
			break;
	}
	if (!at) {
		err = put_string(t, p, len, bucket);
		if (err)
			return err;
		at = *bucket;
	}
	*out = at - 1;
	return 0;
}

static bool intern_any(struct trace *t, const char *p, size_t len, uint32_t *out)
{
	*out = TRACE_NO_STRING;
	return !len || !trace_intern(t, p, len, out);
}

/* ---- what comes ---------------------------------------------------------------------- */

static bool intern_rule(struct trace *t, const struct event *ev, uint32_t *out)
{
	struct text s = { 0 };
	bool ok;

	*out = TRACE_NO_STRING;
	if (!ev->by)
		return true;
	event_add_rule_name(&s, ev->by);
	text_add(&s, ": ");
	text_add(&s, ev->by->text);
	ok = !s.failed && intern_any(t, s.p, s.len, out);
	text_free(&s);
	return ok;
}

void trace_add_event(struct trace *t, const struct event *ev)
{
	bool path = event_object(ev) == EVENT_OBJECT_PATH;
	struct trace_access a = {
		.op = ev->op, .want = ev->want, .reason = ev->reason, .verdict = ev->verdict,
		.proto = ev->proto, .port = ev->port, .remedy = ev->remedy,
		.dir = path && (ev->aux & EG_TRACE_DIR), .aux = path ? 0 : ev->aux,
	};
	const struct event_bytes *by = ev->exe.len ? &ev->exe : &ev->comm;
	const char *fix = ev->remedy_name ? ev->remedy_name : "";

	memcpy(a.addr, ev->addr, sizeof(a.addr));
	if (t->naccesses == TRACE_MAX_ACCESSES ||
	    array_reserve(&t->accesses, &t->cap_accesses, t->naccesses) ||
	    !intern_any(t, by->p, by->len, &a.program) || !intern_rule(t, ev, &a.rule) ||
	    !intern_any(t, fix, strlen(fix), &a.fix) ||
	    !intern_any(t, ev->path.p, ev->path.len, &a.path) ||
	    !intern_any(t, ev->path2.p, ev->path2.len, &a.path2)) {
		t->dropped++;
		return;
	}
	t->accesses[t->naccesses++] = a;
}

void trace_add_name(struct trace *t, const char *name, bool allowed, const uint8_t *addr)
{
	struct trace_name n = { .resolved = addr, .allowed = allowed };

	if (addr)
		memcpy(n.addr, addr, sizeof(n.addr));
	if (trace_intern(t, name, strlen(name), &n.name)) {
		t->dropped++;
		return;
	}
	/* few names are many questions */
	for (size_t i = t->nnames; i-- > 0;) {
		const struct trace_name *o = &t->names[i];

		if (o->name == n.name && o->resolved == n.resolved &&
		    !memcmp(o->addr, n.addr, sizeof(n.addr)))
			return;
	}
	if (t->nnames == TRACE_MAX_NAMES || array_reserve(&t->names, &t->cap_names, t->nnames)) {
		t->dropped++;
		return;
	}
	t->names[t->nnames++] = n;
}

void trace_add_dest(struct trace *t, const struct trace_dest *d)
{
	if (t->ndests == TRACE_MAX_DESTS || array_reserve(&t->dests, &t->cap_dests, t->ndests)) {
		t->dropped++;
		return;
	}
	t->dests[t->ndests++] = *d;
}
