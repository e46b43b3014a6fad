// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A trace as JSON: arrays of numbers and indices into `strings`, for a program to
 * read. Strings are bytes, each one the character of its number (Latin-1), so that
 * nothing is lost of what is not UTF-8. Written by hand: it may be large.
 */
#include <errno.h>
#include <jansson.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

#include "../bpf/egressctl.h"
#include "event_text.h"
#include "events.h"
#include "trace_int.h"
#include "util.h"

/* ---- writing ------------------------------------------------------------------------- */

static void add_bytes(struct text *out, const char *p, size_t len)
{
	static const char hex[] = "0123456789abcdef";

	text_add(out, "\"");
	for (size_t i = 0; i < len; i++) {
		uint8_t b = (uint8_t)p[i];
		char u[6] = { '\\', 'u', '0', '0', hex[b >> 4], hex[b & 15] };

		if (b >= 0x20 && b < 0x7f && b != '"' && b != '\\')
			text_add_bytes(out, p + i, 1);
		else
			text_add_bytes(out, u, sizeof(u));
	}
	text_add(out, "\"");
}

/* One array of numbers, an address as its 16 bytes. */
static void add_numbers(struct text *out, const uint64_t *v, size_t n, const uint8_t addr[16])
{
	text_add(out, "[");
	for (size_t i = 0; i < n; i++) {
		text_add(out, i ? "," : "");
		text_add_u64(out, v[i] & INT64_MAX);
	}
	text_add(out, ",");
	add_bytes(out, (const char *)addr, 16);
	text_add(out, "]");
}

static void add_strings(struct text *out, const struct trace *t)
{
	text_add(out, ",\n\"strings\":[");
	for (size_t i = 0; i < t->nstrings; i++) {
		text_add(out, i ? ",\n" : "\n");
		add_bytes(out, t->strings[i].p, t->strings[i].len);
	}
	text_add(out, "]");
}

static void add_accesses(struct text *out, const struct trace *t)
{
	text_add(out, ",\n\"accesses\":[");
	for (size_t i = 0; i < t->naccesses; i++) {
		const struct trace_access *a = &t->accesses[i];
		uint64_t v[] = {
			a->op, a->want, a->reason, a->verdict, a->proto, a->port, a->dir,
			a->remedy, a->aux, a->program, a->rule, a->fix, a->path, a->path2,
		};

		text_add(out, i ? ",\n" : "\n");
		add_numbers(out, v, ARRAY_SIZE(v), a->addr);
	}
	text_add(out, "]");
}

static void add_names(struct text *out, const struct trace *t)
{
	text_add(out, ",\n\"names\":[");
	for (size_t i = 0; i < t->nnames; i++) {
		const struct trace_name *n = &t->names[i];
		uint64_t v[] = { n->name, n->resolved, n->allowed };

		text_add(out, i ? ",\n" : "\n");
		add_numbers(out, v, ARRAY_SIZE(v), n->addr);
	}
	text_add(out, "]");
}

static void add_dests(struct text *out, const struct trace *t)
{
	text_add(out, ",\n\"traffic\":[");
	for (size_t i = 0; i < t->ndests; i++) {
		const struct trace_dest *d = &t->dests[i];
		uint64_t v[] = { d->port, d->proto, d->served, d->said, d->bytes_out,
				 d->packets_out, d->bytes_in, d->packets_in };

		text_add(out, i ? ",\n" : "\n");
		add_numbers(out, v, ARRAY_SIZE(v), d->addr);
	}
	text_add(out, "]");
}

int trace_to_json(const struct trace *t, struct text *out)
{
	text_reset(out);
	text_addf(out, "{\"trace\":%u,\"sandbox\":%llu,\"owner\":%lld,\"started\":%llu,"
		       "\"ended\":%llu,\"audit\":%u,\"restarted\":%u,\"lost\":%llu,"
		       "\"uncounted\":%llu,\"dropped\":%llu,\"denied\":%llu,\"name\":",
		  EG_ABI, (unsigned long long)t->sandbox, (long long)t->owner,
		  (unsigned long long)t->started_ns, (unsigned long long)t->ended_ns, t->audit,
		  t->restarted, (unsigned long long)t->lost, (unsigned long long)t->uncounted,
		  (unsigned long long)t->dropped, (unsigned long long)t->denied);
	add_bytes(out, t->name, strlen(t->name));
	text_add(out, ",\"policy\":");
	add_bytes(out, t->policy, strlen(t->policy));
	add_strings(out, t);
	add_accesses(out, t);
	add_names(out, t);
	add_dests(out, t);
	text_add(out, "}\n");
	return out->failed ? -ENOMEM : 0;
}

/* ---- reading ------------------------------------------------------------------------- */

/* Characters below 256 back to bytes; malloc()ed. */
static char *get_bytes(const json_t *j, size_t *len)
{
	const uint8_t *s = (const uint8_t *)json_string_value(j);
	size_t n = json_string_length(j), at = 0;
	char *out = s ? malloc(n + 1) : NULL;

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < 0x80) {
			out[at++] = (char)s[i];
		} else if ((s[i] == 0xc2 || s[i] == 0xc3) && i + 1 < n) {
			out[at++] = (char)((s[i] & 3) << 6 | (s[i + 1] & 0x3f));
			i++;
		} else {
			free(out);
			return NULL;
		}
	}
	out[at] = '\0';
	*len = at;
	return out;
}

static char *get_text(const json_t *o, const char *key)
{
	size_t len = 0;
	char *s = get_bytes(json_object_get(o, key), &len);

	if (s && strlen(s) == len)
		return s;
	free(s);
	return NULL;
}

static int get_numbers(const json_t *row, uint64_t *v, size_t n, uint8_t addr[16])
{
	_cleanup_free_ char *bytes = NULL;
	size_t len = 0;

	if (json_array_size(row) != n + 1)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		const json_t *x = json_array_get(row, i);

		if (!json_is_integer(x) || json_integer_value(x) < 0)
			return -EBADMSG;
		v[i] = (uint64_t)json_integer_value(x);
	}
	bytes = get_bytes(json_array_get(row, n), &len);
	if (!bytes || len != 16)
		return -EBADMSG;
	memcpy(addr, bytes, 16);
	return 0;
}

static bool string_ok(const struct trace *t, uint64_t i)
{
	return i < t->nstrings || i == TRACE_NO_STRING;
}

static int read_strings(struct trace *t, const json_t *list)
{
	const json_t *j;
	size_t i;

	json_array_foreach(list, i, j) {
		_cleanup_free_ char *s = NULL;
		size_t len = 0;
		uint32_t at;
		int err;

		s = get_bytes(j, &len);
		err = s ? trace_intern(t, s, len, &at) : -EBADMSG;
		if (err)
			return err;
		if (at != i) /* twice the same */
			return -EBADMSG;
	}
	return 0;
}

static int read_access(struct trace *t, const json_t *row)
{
	struct trace_access a;
	uint64_t v[14];

	if (get_numbers(row, v, ARRAY_SIZE(v), a.addr) || !v[0] || v[0] >= EG_OP_MAX ||
	    (v[1] & ~(uint64_t)EG_PERM_ALL) || v[2] >= EG_WHY_MAX || !v[3] ||
	    v[3] > EG_VERDICT_ALLOWED || v[4] > UINT8_MAX || v[5] > UINT16_MAX || v[6] > 1 ||
	    v[7] > EVENT_REMEDY_PRIVILEGE)
		return -EBADMSG;
	for (size_t i = 9; i < ARRAY_SIZE(v); i++)
		if (!string_ok(t, v[i]))
			return -EBADMSG;
	a.op = (uint16_t)v[0];
	a.want = (uint8_t)v[1];
	a.reason = (uint8_t)v[2];
	a.verdict = (uint8_t)v[3];
	a.proto = (uint8_t)v[4];
	a.port = (uint16_t)v[5];
	a.dir = v[6];
	a.remedy = (uint8_t)v[7];
	a.aux = v[8];
	a.program = (uint32_t)v[9];
	a.rule = (uint32_t)v[10];
	a.fix = (uint32_t)v[11];
	a.path = (uint32_t)v[12];
	a.path2 = (uint32_t)v[13];
	if (array_reserve(&t->accesses, &t->cap_accesses, t->naccesses))
		return -ENOMEM;
	t->accesses[t->naccesses++] = a;
	return 0;
}

static int read_name(struct trace *t, const json_t *row)
{
	struct trace_name n;
	uint64_t v[3];

	if (get_numbers(row, v, ARRAY_SIZE(v), n.addr) || v[0] >= t->nstrings || v[1] > 1 ||
	    v[2] > 1)
		return -EBADMSG;
	n.name = (uint32_t)v[0];
	n.resolved = v[1];
	n.allowed = v[2];
	if (array_reserve(&t->names, &t->cap_names, t->nnames))
		return -ENOMEM;
	t->names[t->nnames++] = n;
	return 0;
}

static int read_dest(struct trace *t, const json_t *row)
{
	struct trace_dest d;
	uint64_t v[8];

	if (get_numbers(row, v, ARRAY_SIZE(v), d.addr) || v[0] > UINT16_MAX || v[1] > UINT8_MAX ||
	    v[2] > 1 || v[3] > UINT32_MAX)
		return -EBADMSG;
	d.port = (uint16_t)v[0];
	d.proto = (uint8_t)v[1];
	d.served = v[2];
	d.said = (uint32_t)v[3];
	d.bytes_out = v[4];
	d.packets_out = v[5];
	d.bytes_in = v[6];
	d.packets_in = v[7];
	if (array_reserve(&t->dests, &t->cap_dests, t->ndests))
		return -ENOMEM;
	t->dests[t->ndests++] = d;
	return 0;
}

static int read_rows(struct trace *t, const json_t *list, size_t max,
		     int (*read)(struct trace *t, const json_t *row))
{
	const json_t *row;
	size_t i;
	int err;

	if (!json_is_array(list) || json_array_size(list) > max)
		return -EBADMSG;
	json_array_foreach(list, i, row) {
		err = read(t, row);
		if (err)
			return err;
	}
	return 0;
}

static int read_trace(struct trace *t, json_t *j)
{
	json_int_t abi, sandbox, owner, started, ended, audit, restarted, lost, uncounted, dropped,
		denied;
	_cleanup_free_ char *policy = NULL;
	_cleanup_free_ char *name = NULL;
	int err;

	if (json_unpack(j, "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "trace", &abi,
			"sandbox", &sandbox, "owner", &owner, "started", &started, "ended", &ended,
			"audit", &audit, "restarted", &restarted, "lost", &lost, "uncounted",
			&uncounted, "dropped", &dropped, "denied", &denied) ||
	    abi != EG_ABI || sandbox < 0 || owner < -1 || started < 0 || ended < 0)
		return -EBADMSG;
	name = get_text(j, "name");
	policy = get_text(j, "policy");
	if (!name || !policy)
		return -EBADMSG;
	err = trace_init(t, (uint64_t)sandbox, name, policy);
	if (err)
		return err;
	t->owner = owner;
	t->started_ns = (uint64_t)started;
	t->ended_ns = (uint64_t)ended;
	t->audit = audit;
	t->restarted = restarted;
	t->lost = (uint64_t)lost;
	t->uncounted = (uint64_t)uncounted;
	t->dropped = (uint64_t)dropped;
	t->denied = (uint64_t)denied;
	err = read_strings(t, json_object_get(j, "strings"));
	if (!err)
		err = read_rows(t, json_object_get(j, "accesses"), TRACE_MAX_ACCESSES, read_access);
	if (!err)
		err = read_rows(t, json_object_get(j, "names"), TRACE_MAX_NAMES, read_name);
	if (!err)
		err = read_rows(t, json_object_get(j, "traffic"), TRACE_MAX_DESTS, read_dest);
	if (err)
		trace_clear(t);
	return err;
}

int trace_from_json(const char *json, size_t len, struct trace *out)
{
	struct trace t = { 0 };
	json_t *j;
	int err;

	if (len > TRACE_MAX_JSON)
		return -EBADMSG;
	j = json_loadb(json, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	err = j ? read_trace(&t, j) : -EBADMSG;
	json_decref(j);
	if (!err)
		*out = t;
	return err;
}
