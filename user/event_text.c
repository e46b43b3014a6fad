// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"

/* ---- objects ----------------------------------------------------------------------- */

bool event_addr_v4(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

const char *event_addr_text(const uint8_t addr[16], char buf[INET6_ADDRSTRLEN])
{
	bool v4 = event_addr_v4(addr);

	return inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, buf, INET6_ADDRSTRLEN);
}

void event_add_destination(struct text *t, const struct event *ev)
{
	char addr[INET6_ADDRSTRLEN], proto[EVENT_NAME_MAX];
	bool v4 = event_addr_v4(ev->addr);

	text_addf(t, v4 ? "%s" : "[%s]", event_addr_text(ev->addr, addr));
	if (ev->proto == IPPROTO_ICMP || ev->proto == IPPROTO_ICMPV6)
		text_add(t, ":*/icmp"); /* a policy has one word for both */
	else if (ev->port)
		text_addf(t, ":%u/%s", ev->port, event_name(EVENT_NAMES_PROTO, ev->proto, proto));
	else
		text_addf(t, ":*/%s", event_name(EVENT_NAMES_PROTO, ev->proto, proto));
}

static void add_socket(struct text *t, const struct event *ev)
{
	char family[EVENT_NAME_MAX], type[EVENT_NAME_MAX], proto[EVENT_NAME_MAX];

	text_addf(t, "%s %s %s", event_name(EVENT_NAMES_FAMILY, (uint32_t)(ev->aux >> 32), family),
		  event_name(EVENT_NAMES_TYPE, (ev->aux >> 16) & 0xffff, type),
		  event_name(EVENT_NAMES_PROTO, ev->aux & 0xffff, proto));
}

static void add_aux(struct text *t, const struct event *ev)
{
	char name[EVENT_NAME_MAX];

	switch (ev->op) {
	case EG_OP_CAPABLE:
		text_addf(t, " %s", event_name(EVENT_NAMES_CAP, (uint32_t)ev->aux, name));
		break;
	case EG_OP_PTRACE:
		text_addf(t, " of process %u", (uint32_t)ev->aux);
		break;
	case EG_OP_SIGNAL:
		text_addf(t, " %s to process %" PRIu64,
			  event_name(EVENT_NAMES_SIGNAL, (uint32_t)ev->aux, name), ev->aux >> 32);
		break;
	default:
		if (ev->aux)
			text_addf(t, " %" PRIu64, ev->aux);
	}
}

static void add_beside(struct text *t, const char *p, size_t len)
{
	if (!len)
		return;
	text_add(t, " (");
	text_add_escaped(t, p, len);
	text_add(t, ")");
}

void event_add_object(struct text *t, const struct event *ev)
{
	char addr[INET6_ADDRSTRLEN], type[EVENT_NAME_MAX];

	switch (event_object(ev)) {
	case EVENT_OBJECT_ADDRESS:
		if (ev->path.len) {
			text_add(t, " ");
			text_add_escaped(t, ev->path.p, ev->path.len);
			text_add(t, " at");
		}
		text_add(t, " ");
		event_add_destination(t, ev);
		add_beside(t, ev->name.p, ev->name.len);
		break;
	case EVENT_OBJECT_NAME:
		text_add(t, " ");
		text_add_escaped(t, ev->path.p, ev->path.len);
		text_addf(t, " %s", event_name(EVENT_NAMES_QTYPE, (uint32_t)ev->aux, type));
		if (ev->reason == EG_WHY_PRIVATE) {
			(void)event_addr_text(ev->addr, addr);
			add_beside(t, addr, strlen(addr));
		}
		break;
	case EVENT_OBJECT_SOCKET:
		text_add(t, " ");
		add_socket(t, ev);
		break;
	case EVENT_OBJECT_PATH:
	case EVENT_OBJECT_UNIX:
		text_add(t, " ");
		text_add_escaped(t, ev->path.p, ev->path.len);
		if (ev->path2.len) {
			text_add(t, " -> ");
			text_add_escaped(t, ev->path2.p, ev->path2.len);
		}
		break;
	case EVENT_OBJECT_NONE:
		add_aux(t, ev);
		break;
	}
}

const char *event_want_text(uint8_t want, char buf[5])
{
	static const struct {
		uint8_t bit;
		char letter;
	} letters[] = { { EG_R, 'r' }, { EG_W, 'w' }, { EG_X, 'x' }, { EG_C, 'c' } };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (want & letters[i].bit)
			buf[n++] = letters[i].letter;
	buf[n] = '\0';
	return buf;
}

void event_add_rule_name(struct text *t, const struct rule_ref *by)
{
	const char *slash = strrchr(by->file, '/');

	text_add(t, slash ? slash + 1 : by->file);
	if (by->line)
		text_addf(t, ":%u", by->line);
}

/* ---- one line -------------------------------------------------------------------------- */

static void add_cause(struct text *t, const struct event *ev)
{
	struct text rule = { 0 };

	if (!ev->by || ev->reason != EG_WHY_RULE)
		text_add(t, event_reason_words(ev->reason));
	if (!ev->by)
		return;
	if (ev->reason != EG_WHY_RULE)
		text_add(t, ", ");
	event_add_rule_name(&rule, ev->by);
	if (rule.failed)
		t->failed = true;
	else
		text_add_escaped(t, rule.p, rule.len);
	text_free(&rule);
	text_add(t, " ");
	text_add_escaped(t, ev->by->text, strlen(ev->by->text));
}

static void add_losses(struct text *t, const struct event *ev)
{
	if (ev->suppressed_new)
		text_addf(t, " (%" PRIu64 " more not shown: too many)", ev->suppressed_new);
	if (ev->gap)
		text_addf(t, " (%" PRIu64 " lost before it)", ev->gap);
}

int event_to_line(const struct event *ev, struct text *t)
{
	char want[5];

	text_reset(t);
	if (ev->end) {
		text_addf(t, "end of sandbox %" PRIu64 ": %" PRIu64 " denied, %" PRIu64
			  " not shown, %" PRIu64 " lost, %" PRIu64 " internal failures",
			  ev->sandbox, ev->denied, ev->suppressed, ev->lost, ev->failed);
		return t->failed ? -ENOMEM : 0;
	}
	text_add(t, ev->verdict == EG_VERDICT_AUDIT ? "would deny " : "denied ");
	text_add(t, event_op_name(ev->op));
	event_add_object(t, ev);
	if (ev->want)
		text_addf(t, " %s", event_want_text(ev->want, want));
	if (ev->pid) {
		text_add(t, ", by ");
		text_add_escaped(t, ev->comm.p, ev->comm.len);
		text_addf(t, "[%u]", ev->pid);
	}
	text_add(t, ": ");
	add_cause(t, ev);
	add_losses(t, ev);
	return t->failed ? -ENOMEM : 0;
}
