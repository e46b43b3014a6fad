// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The JSON form of egressctl-events(5), read: with jansson, which is not in a hurry. */
#include <errno.h>
#include <jansson.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"
#include "util.h"

struct reader {
	const json_t *obj;
	char *bytes; /* where decoded hex goes; as long as the whole message */
	size_t used;
	bool bad;
};

static uint64_t get_number(struct reader *r, const char *key)
{
	const json_t *v = json_object_get(r->obj, key);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0) {
		r->bad = true;
		return 0;
	}
	return (uint64_t)json_integer_value(v);
}

static uint32_t get_u32(struct reader *r, const char *key)
{
	uint64_t v = get_number(r, key);

	r->bad |= v > UINT32_MAX;
	return (uint32_t)v;
}

/* NULL when absent or null */
static const char *get_string(struct reader *r, const char *key)
{
	const json_t *v = json_object_get(r->obj, key);

	if (v && !json_is_string(v) && !json_is_null(v))
		r->bad = true;
	return json_string_value(v);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct event_bytes get_chosen(struct reader *r, const char *key, const char *hex_key)
{
	const char *s = get_string(r, key), *hex = get_string(r, hex_key);
	struct event_bytes b = { s ? s : "", s ? strlen(s) : 0 };
	size_t n = hex ? strlen(hex) : 0;
	char *to = r->bytes + r->used;

	if (!hex)
		return b;
	r->bad |= n % 2 != 0;
	for (size_t i = 0; i + 1 < n && !r->bad; i += 2) {
		int hi = hex_digit(hex[i]), lo = hex_digit(hex[i + 1]);

		if (hi < 0 || lo < 0)
			r->bad = true;
		else
			to[i / 2] = (char)(hi << 4 | lo);
	}
	r->used += n / 2;
	return (struct event_bytes){ to, n / 2 };
}

static uint32_t get_name(struct reader *r, const char *key, enum event_names kind)
{
	const char *s = get_string(r, key);
	uint32_t v = 0;

	if (s && event_number(kind, s, &v))
		r->bad = true;
	return v;
}

static void get_time(struct reader *r, struct event *ev)
{
	const char *s = get_string(r, "time");

	if (!s || event_time_parse(s, &ev->time_ns))
		r->bad = true;
}

static void get_address(struct reader *r, struct event *ev, const char *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(ev->addr, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, addr, ev->addr + 12) != 1 &&
	    inet_pton(AF_INET6, addr, ev->addr) != 1)
		r->bad = true;
}

static void get_question(struct reader *r, struct event *ev)
{
	ev->path = get_chosen(r, "name", "name_hex");
	ev->aux = get_name(r, "qtype", EVENT_NAMES_QTYPE);
	ev->distinct = (uint16_t)MIN(get_number(r, "distinct"), (uint64_t)UINT16_MAX);
}

static void get_object(struct reader *r, struct event *ev)
{
	const char *addr = get_string(r, "address");
	uint64_t family = get_name(r, "family", EVENT_NAMES_FAMILY);
	uint64_t type = get_name(r, "type", EVENT_NAMES_TYPE);
	uint32_t proto = get_name(r, "protocol", EVENT_NAMES_PROTO);
	uint64_t port = get_number(r, "port");

	ev->path = get_chosen(r, "path", "path_hex");
	ev->path2 = get_chosen(r, "path2", "path2_hex");
	ev->aux = get_number(r, "aux");
	if (ev->op == EG_OP_RESOLVE)
		get_question(r, ev);
	if (addr)
		get_address(r, ev, addr);
	if (ev->op == EG_OP_RESOLVE)
		return;
	if (addr) {
		if (ev->op == EG_OP_SERVER_NAME)
			ev->path = get_chosen(r, "server_name", "server_name_hex");
		ev->name = get_chosen(r, "name", "name_hex");
		r->bad |= port > UINT16_MAX || proto > UINT8_MAX;
		ev->port = (uint16_t)port;
		ev->proto = (uint8_t)proto;
	} else if (event_object(ev) == EVENT_OBJECT_SOCKET) {
		r->bad |= type > UINT16_MAX || proto > UINT16_MAX;
		ev->aux = family << 32 | type << 16 | proto;
	} else if (ev->op == EG_OP_CAPABLE) {
		ev->aux = get_name(r, "capability", EVENT_NAMES_CAP);
	} else if (ev->op == EG_OP_PTRACE) {
		ev->aux = get_u32(r, "target_pid");
	} else if (ev->op == EG_OP_SIGNAL) {
		ev->aux = (uint64_t)get_u32(r, "target_pid") << 32 |
			  get_name(r, "signal", EVENT_NAMES_SIGNAL);
	}
}

static void get_counts(struct reader *r, struct event *ev)
{
	const json_t *owner = json_object_get(r->obj, "owner");

	ev->owner = owner ? (int64_t)get_number(r, "owner") : -1;
	ev->seq = get_number(r, "seq");
	ev->sandbox = get_number(r, "sandbox");
	ev->suppressed = get_number(r, "suppressed");
	ev->suppressed_new = get_number(r, "suppressed_new");
	ev->lost = get_number(r, "lost");
	ev->gap = get_number(r, "gap");
	ev->late = json_is_true(json_object_get(r->obj, "late"));
	ev->denied = get_number(r, "denied");
	ev->failed = get_number(r, "failed");
	ev->serial = get_u32(r, "version");
	ev->pid = get_u32(r, "pid");
	ev->tid = get_u32(r, "tid");
	ev->uid = get_u32(r, "uid");
}

static void get_words(struct reader *r, struct event *ev)
{
	const char *op = get_string(r, "op"), *reason = get_string(r, "reason");
	const char *verdict = get_string(r, "verdict"), *want = get_string(r, "want");
	int number = op ? event_op_from_name(op) : -EINVAL;

	r->bad |= number < 0;
	ev->op = number < 0 ? 0 : (uint16_t)number;
	ev->end = number == EG_OP_NONE;
	if (ev->end)
		return;
	number = reason ? event_reason_from_name(reason) : -EINVAL;
	r->bad |= number < 0 || !verdict;
	ev->reason = number < 0 ? 0 : (uint8_t)number;
	ev->verdict = verdict && str_eq(verdict, "audit") ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED;
	if (want && policy_perm_parse(want, &ev->want))
		r->bad = true;
	ev->error = (int32_t)get_name(r, "errno", EVENT_NAMES_ERRNO);
}

/* "secrets.yaml:12" back to file and line; `file` keeps its directory */
static int get_rule(struct reader *r, const char *name_key, const char *text_key,
		    const char *file_key, struct rule_ref **out)
{
	const char *rule = get_string(r, name_key), *text = get_string(r, text_key);
	const char *file = get_string(r, file_key);
	const char *colon = rule ? strrchr(rule, ':') : NULL;
	uint64_t line = 0;

	if (!rule)
		return 0;
	if (!text || !file || (colon && parse_u64(colon + 1, 0, UINT32_MAX, &line)))
		return -EBADMSG;
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->line = (uint32_t)line;
	(*out)->file = (char *)file; /* borrowed from the JSON, like all of them */
	(*out)->text = (char *)text;
	return 0;
}

static int get_rules(struct reader *r, struct event_parsed *out)
{
	struct event *ev = &out->ev;
	int err = get_rule(r, "rule", "rule_text", "rule_file", &out->by);

	if (!err)
		err = get_rule(r, "near", "near_text", "near_file", &out->near);
	ev->by = out->by;
	ev->near = out->near;
	ev->explained = ev->by || get_string(r, "rule_text");
	ev->policy = get_string(r, "policy");
	ev->policy_file = get_string(r, "policy_file");
	return err;
}

/* Those who came before this member have none. */
static void get_parents(struct reader *r, struct event *ev)
{
	const json_t *list = json_object_get(r->obj, "parents"), *whole = r->obj, *one;
	size_t i;

	r->bad |= (list && !json_is_array(list)) || json_array_size(list) > EVENT_MAX_PARENTS;
	if (r->bad)
		return;
	json_array_foreach(list, i, one) {
		r->obj = one;
		ev->parents[i].pid = get_u32(r, "pid");
		ev->parents[i].comm = get_chosen(r, "comm", "comm_hex");
		r->bad |= !ev->parents[i].pid;
		ev->nparents++;
	}
	r->obj = whole;
}

static int parse(struct reader *r, struct event_parsed *out)
{
	struct event *ev = &out->ev;
	int err;

	get_words(r, ev);
	get_counts(r, ev);
	get_time(r, ev);
	get_object(r, ev);
	ev->comm = get_chosen(r, "comm", "comm_hex");
	ev->exe = get_chosen(r, "exe", "exe_hex");
	out->allow_rule = get_string(r, "allow_rule");
	out->allow_command = get_string(r, "allow_command");
	out->allow_run = get_string(r, "allow_run");
	get_parents(r, ev);
	err = get_rules(r, out);
	return r->bad ? -EBADMSG : err;
}

int event_from_json(const char *json, size_t len, struct event_parsed *out)
{
	struct reader r = { 0 };
	int err;

	*out = (struct event_parsed){ 0 };
	out->json = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(out->json)) {
		event_parsed_free(out);
		return -EBADMSG;
	}
	out->bytes = malloc(len + 1);
	if (!out->bytes) {
		event_parsed_free(out);
		return -ENOMEM;
	}
	r.obj = out->json;
	r.bytes = out->bytes;
	err = parse(&r, out);
	if (err)
		event_parsed_free(out);
	return err;
}

void event_parsed_free(struct event_parsed *p)
{
	json_decref(p->json);
	free(p->by);
	free(p->near);
	free(p->bytes);
	*p = (struct event_parsed){ 0 };
}
