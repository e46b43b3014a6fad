// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The JSON form of egressctl-events(5). Written by hand: a library that builds
 * an object first is ten times slower than a flood of violations is fast.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"
#include "util.h"

#define NSEC_PER_SEC 1000000000u

static void put_digits(char *to, unsigned int v, unsigned int n)
{
	while (n--) {
		to[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* RFC 3339 with nanoseconds, UTC */
static void add_time(struct text *t, uint64_t ns)
{
	char buf[] = "0000-00-00T00:00:00.000000000Z";
	time_t sec = (time_t)(ns / NSEC_PER_SEC);
	struct tm tm;

	if (!gmtime_r(&sec, &tm)) { /* a year that does not fit int: 2^64 ns do */
		t->failed = true;
		return;
	}
	put_digits(buf, (unsigned int)tm.tm_year + 1900, 4);
	put_digits(buf + 5, (unsigned int)tm.tm_mon + 1, 2);
	put_digits(buf + 8, (unsigned int)tm.tm_mday, 2);
	put_digits(buf + 11, (unsigned int)tm.tm_hour, 2);
	put_digits(buf + 14, (unsigned int)tm.tm_min, 2);
	put_digits(buf + 17, (unsigned int)tm.tm_sec, 2);
	put_digits(buf + 20, (unsigned int)(ns % NSEC_PER_SEC), 9);
	text_add_bytes(t, buf, sizeof(buf) - 1);
}

static void add_number(struct text *t, const char *key, uint64_t v)
{
	text_add(t, key);
	text_add_u64(t, v);
}

/* key is ,"name": */
static void add_string(struct text *t, const char *key, const char *s)
{
	text_add(t, key);
	if (s)
		(void)text_add_json(t, s, strlen(s)); /* our own words are UTF-8 */
	else
		text_add(t, "null");
}

/*
 * "name": the text, with U+FFFD for what is not UTF-8; then "name_hex": all the
 * bytes, only when the text does not say everything.
 */
static void add_chosen(struct text *t, const char *name, struct event_bytes b)
{
	static const char hex[] = "0123456789abcdef";

	text_add(t, ",\"");
	text_add(t, name);
	text_add(t, "\":");
	if (text_add_json(t, b.p, b.len))
		return;
	text_add(t, ",\"");
	text_add(t, name);
	text_add(t, "_hex\":\"");
	for (size_t i = 0; i < b.len; i++) {
		char pair[2] = { hex[(uint8_t)b.p[i] >> 4], hex[(uint8_t)b.p[i] & 15] };

		text_add_bytes(t, pair, sizeof(pair));
	}
	text_add(t, "\"");
}

static void add_name(struct text *t, const char *key, enum event_names kind, uint32_t number)
{
	char buf[EVENT_NAME_MAX];

	add_string(t, key, event_name(kind, number, buf));
}

static void add_aux(struct text *t, const struct event *ev)
{
	switch (ev->op) {
	case EG_OP_CAPABLE:
		add_name(t, ",\"capability\":", EVENT_NAMES_CAP, (uint32_t)ev->aux);
		break;
	case EG_OP_PTRACE:
		add_number(t, ",\"target_pid\":", (uint32_t)ev->aux);
		break;
	case EG_OP_SIGNAL:
		add_number(t, ",\"target_pid\":", ev->aux >> 32);
		add_name(t, ",\"signal\":", EVENT_NAMES_SIGNAL, (uint32_t)ev->aux);
		break;
	default:
		if (ev->aux)
			add_number(t, ",\"aux\":", ev->aux & INT64_MAX);
	}
}

static void add_object(struct text *t, const struct event *ev)
{
	char addr[INET6_ADDRSTRLEN];

	switch (event_object(ev)) {
	case EVENT_OBJECT_ADDRESS:
		if (ev->path.len)
			add_chosen(t, "server_name", ev->path);
		add_string(t, ",\"address\":", event_addr_text(ev->addr, addr));
		add_number(t, ",\"port\":", ev->port);
		add_name(t, ",\"protocol\":", EVENT_NAMES_PROTO, ev->proto);
		if (ev->name.len)
			add_chosen(t, "name", ev->name);
		return;
	case EVENT_OBJECT_NAME:
		add_chosen(t, "name", ev->path);
		add_name(t, ",\"qtype\":", EVENT_NAMES_QTYPE, (uint32_t)ev->aux);
		if (ev->distinct > 1)
			add_number(t, ",\"distinct\":", ev->distinct);
		if (ev->reason == EG_WHY_PRIVATE)
			add_string(t, ",\"address\":", event_addr_text(ev->addr, addr));
		return;
	case EVENT_OBJECT_SOCKET:
		add_name(t, ",\"family\":", EVENT_NAMES_FAMILY, (uint32_t)(ev->aux >> 32));
		add_name(t, ",\"type\":", EVENT_NAMES_TYPE, (ev->aux >> 16) & 0xffff);
		add_name(t, ",\"protocol\":", EVENT_NAMES_PROTO, ev->aux & 0xffff);
		return;
	case EVENT_OBJECT_PATH:
	case EVENT_OBJECT_UNIX:
		add_chosen(t, "path", ev->path);
		if (ev->path2.len)
			add_chosen(t, "path2", ev->path2);
		break;
	case EVENT_OBJECT_NONE:
		break;
	}
	add_aux(t, ev);
}

static void add_rule(struct text *t, const struct event *ev)
{
	struct text name = { 0 };

	if (!ev->by) {
		text_add(t, ",\"rule\":null");
		add_string(t, ",\"rule_text\":",
			   ev->explained && ev->reason == EG_WHY_RULE ? "default" : NULL);
		return;
	}
	event_add_rule_name(&name, ev->by);
	if (name.failed)
		t->failed = true;
	else
		add_string(t, ",\"rule\":", name.p);
	text_free(&name);
	add_string(t, ",\"rule_text\":", ev->by->text);
	add_string(t, ",\"rule_file\":", ev->by->file);
}

/* The allowing rule that comes closest; only when there is one. */
static void add_near(struct text *t, const struct event *ev)
{
	struct text name = { 0 };

	if (!ev->near)
		return;
	event_add_rule_name(&name, ev->near);
	if (name.failed)
		t->failed = true;
	else
		add_string(t, ",\"near\":", name.p);
	text_free(&name);
	add_string(t, ",\"near_text\":", ev->near->text);
	add_string(t, ",\"near_file\":", ev->near->file);
}

static void add_parents(struct text *t, const struct event *ev)
{
	text_add(t, ",\"parents\":[");
	for (uint8_t i = 0; i < ev->nparents; i++) {
		add_number(t, i ? ",{\"pid\":" : "{\"pid\":", ev->parents[i].pid);
		add_chosen(t, "comm", ev->parents[i].comm);
		text_add(t, "}");
	}
	text_add(t, "]");
}

static void add_remedy(struct text *t, const struct event *ev)
{
	static int (*const say[])(const struct event *ev, struct text *t) = {
		event_allow_rule,
		event_allow_command,
		event_allow_run,
	};
	static const char *const keys[] = {
		",\"allow_rule\":", ",\"allow_command\":", ",\"allow_run\":",
	};

	if (ev->remedy == EVENT_REMEDY_NONE) {
		text_add(t, ",\"allow_rule\":null,\"allow_command\":null,\"allow_run\":null");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(say); i++) {
		struct text part = { 0 };

		if (say[i](ev, &part))
			t->failed = true;
		else
			add_string(t, keys[i], part.len ? part.p : NULL);
		text_free(&part);
	}
}

static void add_counts(struct text *t, const struct event *ev)
{
	add_number(t, ",\"suppressed\":", ev->suppressed);
	if (ev->suppressed_new)
		add_number(t, ",\"suppressed_new\":", ev->suppressed_new);
	add_number(t, ",\"lost\":", ev->lost);
	add_number(t, ",\"gap\":", ev->gap);
	if (ev->late)
		text_add(t, ",\"late\":true");
}

static void add_violation(struct text *t, const struct event *ev)
{
	char want[5];

	add_number(t, ",\"version\":", ev->serial);
	if (ev->policy) {
		add_string(t, ",\"policy\":", ev->policy);
		add_string(t, ",\"policy_file\":", ev->policy_file);
	}
	add_number(t, ",\"pid\":", ev->pid);
	add_number(t, ",\"tid\":", ev->tid);
	add_number(t, ",\"uid\":", ev->uid);
	add_chosen(t, "comm", ev->comm);
	if (ev->exe.len)
		add_chosen(t, "exe", ev->exe);
	else
		text_add(t, ",\"exe\":null");
	add_parents(t, ev);
	add_string(t, ",\"op\":", event_op_name(ev->op));
	add_object(t, ev);
	if (ev->want)
		add_string(t, ",\"want\":", event_want_text(ev->want, want));
	add_string(t, ",\"verdict\":", ev->verdict == EG_VERDICT_AUDIT ? "audit" : "denied");
	if (ev->op == EG_OP_RESOLVE)
		text_add(t, ",\"errno\":null"); /* an answer, NXDOMAIN or one with less in it */
	else
		add_name(t, ",\"errno\":", EVENT_NAMES_ERRNO, (uint32_t)ev->error);
	add_string(t, ",\"reason\":", event_reason_name(ev->reason));
	add_rule(t, ev);
	add_near(t, ev);
	add_counts(t, ev);
	add_remedy(t, ev);
}

int event_to_json(const struct event *ev, struct text *t)
{
	text_reset(t);
	text_add(t, "{\"time\":\"");
	add_time(t, ev->time_ns);
	add_number(t, "\",\"seq\":", ev->seq);
	add_number(t, ",\"sandbox\":", ev->sandbox);
	if (ev->owner >= 0)
		add_number(t, ",\"owner\":", (uint64_t)ev->owner);
	if (ev->end) {
		text_add(t, ",\"op\":\"end\"");
		add_number(t, ",\"denied\":", ev->denied);
		add_number(t, ",\"failed\":", ev->failed);
		add_counts(t, ev);
	} else {
		add_violation(t, ev);
	}
	text_add(t, "}");
	return t->failed ? -ENOMEM : 0;
}

int event_dropped_to_json(uint64_t time_ns, uint64_t lines, struct text *t)
{
	text_reset(t);
	text_add(t, "{\"time\":\"");
	add_time(t, time_ns);
	add_number(t, "\",\"op\":\"dropped\",\"lines\":", lines);
	text_add(t, "}");
	return t->failed ? -ENOMEM : 0;
}
