// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which rule refused an access, and which rule would allow it: the kernel's
 * automaton carries the permission alone, so the version's tables are asked
 * again with the object of the event. A remedy is only named when it would
 * help: a deny wins over every allow, and no rule lifts most guards.
 */
#include <linux/capability.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_looks.h"
#include "event_near.h"
#include "events.h"
#include "verdict.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262 /* linux/in.h */
#endif

static const struct rule_ref *rule_at(const struct compiled *c, uint32_t rule)
{
	return rule && rule <= c->nrules ? &c->rules[rule - 1] : NULL;
}

/*
 * The sandbox's own tasks are judged as /proc/self, whatever their number: an
 * event keeps the number, the rules do not have it.
 */
static struct event_bytes judged_name(struct event_bytes path, char buf[EG_PATH_MAX])
{
	static const char proc[] = "/proc/", self[] = "/proc/self", thread[] = "thread-self";
	size_t at = sizeof(proc) - 1, end = at, rest;

	if (path.len <= at || memcmp(path.p, proc, at) != 0)
		return path;
	while (end < path.len && path.p[end] >= '0' && path.p[end] <= '9')
		end++;
	if (end == at && path.len - at >= sizeof(thread) - 1 &&
	    memcmp(path.p + at, thread, sizeof(thread) - 1) == 0)
		end = at + sizeof(thread) - 1;
	if (end == at || (end < path.len && path.p[end] != '/'))
		return path;
	rest = path.len - end;
	if (sizeof(self) - 1 + rest > EG_PATH_MAX)
		return path;
	memcpy(buf, self, sizeof(self) - 1);
	memcpy(buf + sizeof(self) - 1, path.p + end, rest);
	return (struct event_bytes){ buf, sizeof(self) - 1 + rest };
}

/* The permission in force at a path and what it lacks; false: no answer. */
static bool lacking(const struct compiled *c, struct event_bytes path, uint8_t want, uint8_t *grant,
		    uint32_t *rule)
{
	char buf[EG_PATH_MAX];
	struct event_bytes name;
	uint8_t perm;

	if (!path.len)
		return false;
	name = judged_name(path, buf);
	if (verdict_path(c, name.p, name.len, &perm, rule) || (perm & want) == want)
		return false;
	*grant = perm | want;
	return true;
}

/*
 * Does the rule name this very path? Then a second one for it changes nothing. A
 * literal rule names the path where it begins to hold: it does not for the parent.
 */
static bool rule_names(const struct compiled *c, uint32_t rule, struct event_bytes path)
{
	const struct rule_ref *by = rule_at(c, rule);
	const char *slash = memrchr(path.p, '/', path.len);
	uint32_t above = 0;
	uint8_t perm;

	if (!by || !slash || slash == path.p || strpbrk(by->text, "*?["))
		return false;
	return !verdict_path(c, path.p, (size_t)(slash - path.p), &perm, &above) && above != rule;
}

static void explain_paths(struct event *ev, const struct compiled *c)
{
	uint32_t rule = 0, rule2 = 0;
	bool first, second;

	if (ev->reason != EG_WHY_RULE || !ev->want)
		return;
	first = lacking(c, ev->path, ev->want, &ev->remedy_perm, &rule);
	second = lacking(c, ev->path2, ev->want, &ev->remedy_perm2, &rule2);
	if (!first && !second)
		return;
	if (!ev->by)
		ev->by = rule_at(c, first ? rule : rule2);
	/* ours are in every policy, and a second rule for the same path only takes away */
	if (ev->by && ev->by->kind == RULE_BUILTIN)
		return;
	/* a rule for "/" covers everything: to list it is not worth that */
	if (ev->path.len == 1 && first)
		return;
	ev->remedy_same = first && rule_names(c, rule, ev->path);
	ev->remedy = EVENT_REMEDY_OPEN;
}

/* those a policy has words for; no rule can allow another */
static bool has_word(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* ---- names ----------------------------------------------------------------------- */

/* Bytes that somebody chose as a name of a policy and of ours, NUL-terminated in buf. */
static bool policy_name(struct event_bytes b, char buf[EG_MAX_SERVER_NAME + 1])
{
	struct policy_dest dest = { 0 };
	bool ok;

	if (!b.len || b.len > EG_MAX_SERVER_NAME || memchr(b.p, '\0', b.len))
		return false;
	memcpy(buf, b.p, b.len);
	buf[b.len] = '\0';
	/* no wildcard, port or U-label: just what stands there */
	if (buf[0] == '.' || buf[b.len - 1] == '.' ||
	    buf[strspn(buf, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")])
		return false;
	ok = !policy_dest_parse(buf, false, &dest, NULL, NULL) && dest.name;
	policy_dest_clear(&dest);
	return ok;
}

static void remedy_named(struct event *ev, struct event_bytes host, uint16_t lo, uint16_t hi,
			 const char *option)
{
	ev->remedy = option ? EVENT_REMEDY_NAME_OPTION : EVENT_REMEDY_NAME;
	ev->remedy_host = host;
	ev->remedy_lo = lo;
	ev->remedy_hi = hi;
	ev->remedy_name = option;
}

/* A destination that a rule for `host` would open; a deny of that name wins over it. */
static void explain_host(struct event *ev, const struct compiled *c, struct event_bytes host,
			 uint16_t port)
{
	char name[EG_MAX_SERVER_NAME + 1];
	uint8_t verdict;
	uint32_t rule;

	if (!policy_name(host, name) ||
	    verdict_name(c, name, port, IPPROTO_TCP, &verdict, &rule))
		return;
	if (!ev->by && verdict == EG_V_DENY)
		ev->by = rule_at(c, rule);
	if (!verdict)
		remedy_named(ev, host, port, port, NULL);
}

/* An address with a name: false when the name has nothing to do with it. */
static bool explain_named(struct event *ev, const struct compiled *c)
{
	uint8_t verdict = 0;
	uint32_t rule = 0;

	if (ev->reason != EG_WHY_RULE)
		return false;
	/* refused by address whatever the name */
	if (!verdict_egress(c, ev->addr, ev->port, ev->proto, &verdict, &rule) && verdict)
		return false;
	explain_host(ev, c, ev->name, ev->port);
	return ev->remedy == EVENT_REMEDY_NAME || ev->by;
}

static void explain_question(struct event *ev, const struct compiled *c)
{
	char name[EG_MAX_SERVER_NAME + 1];
	uint8_t verdict = 0;
	uint32_t rule = 0, classes;

	if (ev->reason == EG_WHY_RULE)
		explain_host(ev, c, ev->path, 443); /* nobody said which port it will be */
	if (ev->reason != EG_WHY_PRIVATE || !policy_name(ev->path, name))
		return;
	classes = verdict_name_classes(c, name);
	ev->remedy_lo = ev->remedy_hi = 443;
	for (uint32_t i = 0; i < c->head.nclasses; i++) {
		if (!(classes >> i & 1))
			continue;
		ev->remedy_lo = c->head.classes[i].lo;
		ev->remedy_hi = c->head.classes[i].hi;
		break;
	}
	(void)verdict_egress(c, ev->addr, ev->remedy_lo, IPPROTO_TCP, &verdict, &rule);
	if (verdict)
		ev->by = rule_at(c, rule);
	/* a deny holds for the address; a metadata service only opens to its own */
	if (verdict == EG_V_DENY_HARD)
		ev->remedy = EVENT_REMEDY_CONNECT;
	else if (verdict != EG_V_DENY)
		remedy_named(ev, ev->path, ev->remedy_lo, ev->remedy_hi, "private: true");
}

/* What a server was called, or that it was not, at an address that is open by name. */
static void explain_server_name(struct event *ev, const struct compiled *c)
{
	char name[EG_MAX_SERVER_NAME + 1];

	if (ev->reason == EG_WHY_RULE)
		explain_host(ev, c, ev->path, ev->port);
	if (ev->reason != EG_WHY_NO_NAME && ev->reason != EG_WHY_NOT_TLS)
		return;
	if (!policy_name(ev->name, name))
		ev->remedy = EVENT_REMEDY_CONNECT;
	else if (ev->reason == EG_WHY_NOT_TLS && compiled_port_may_be_plain(ev->port))
		remedy_named(ev, ev->name, ev->port, ev->port, NULL);
	else
		remedy_named(ev, ev->name, ev->port, ev->port, "tls: off");
}

static void explain_address(struct event *ev, const struct compiled *c)
{
	uint8_t verdict = 0;
	uint32_t rule = 0;

	if (ev->reason != EG_WHY_RULE && ev->reason != EG_WHY_METADATA &&
	    ev->reason != EG_WHY_REVOKED && ev->reason != EG_WHY_LOOPBACK && !event_neighbour(ev))
		return;
	if (ev->op == EG_OP_BIND || ev->op == EG_OP_LISTEN || ev->op == EG_OP_ACCEPT) {
		ev->remedy = EVENT_REMEDY_LISTEN;
		return;
	}
	if (ev->name.len && ev->proto == IPPROTO_TCP && explain_named(ev, c))
		return;
	if (verdict_egress(c, ev->addr, ev->port, ev->proto, &verdict, &rule))
		return;
	if (!ev->by && verdict != EG_V_ALLOW)
		ev->by = rule_at(c, rule);
	/* `allow` beats the default and, by an exact name, the metadata rule; never a deny */
	if (verdict != EG_V_DENY && has_word(ev->proto))
		ev->remedy = EVENT_REMEDY_CONNECT;
}

static void explain_unix(struct event *ev, const struct compiled *c)
{
	uint32_t rule = 0;
	uint8_t perm;

	if (!ev->path.len || (ev->reason != EG_WHY_RULE && ev->reason != EG_WHY_FOREIGN))
		return;
	if (verdict_unix(c, ev->path.p, ev->path.len, &perm, &rule))
		return;
	if (!ev->by && !(perm & EG_W))
		ev->by = rule_at(c, rule);
	ev->remedy = EVENT_REMEDY_UNIX;
}

/* The name in `sockets` of a policy, or NULL: no policy can give this kind. */
static const char *socket_kind(uint32_t family, uint32_t type, uint32_t protocol)
{
	switch (family) {
	case AF_INET:
	case AF_INET6:
		if (type == SOCK_RAW)
			return "raw";
		if (protocol == IPPROTO_SCTP)
			return "sctp";
		if (protocol == IPPROTO_MPTCP)
			return "mptcp";
		if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
			return "ping";
		return NULL;
	case AF_PACKET:
		return "packet";
	case AF_VSOCK:
		return "vsock";
	case AF_ALG:
		return "alg";
	case AF_BLUETOOTH:
		return "bluetooth";
	case AF_CAN:
		return "can";
	case AF_XDP:
		return "xdp";
	default:
		return NULL;
	}
}

static const char *lifted_by(uint64_t cap)
{
	switch (cap) {
	case CAP_NET_ADMIN:
		return "net_admin";
	case CAP_SYS_ADMIN:
		return "sys_admin";
	case CAP_SYS_NICE:
		return "sys_nice";
	case CAP_SYS_RESOURCE:
		return "sys_resource";
	default:
		return NULL;
	}
}

static const char *privilege(const struct event *ev)
{
	if (ev->reason == EG_WHY_DEVICE)
		return "devices";
	switch (ev->op) {
	case EG_OP_MOUNT:
		return "mounts";
	case EG_OP_USERNS:
		return "userns";
	case EG_OP_PTRACE:
		return "ptrace";
	case EG_OP_BPF:
		return "bpf";
	case EG_OP_IPC:
		return "ipc";
	case EG_OP_KEY:
		return "keys";
	case EG_OP_CAPABLE:
		return lifted_by(ev->aux);
	default:
		return NULL;
	}
}

static void explain_rest(struct event *ev)
{
	if (ev->op == EG_OP_SOCKET && ev->reason == EG_WHY_FAMILY) {
		ev->remedy_name = socket_kind((uint32_t)(ev->aux >> 32), (ev->aux >> 16) & 0xffff,
					      ev->aux & 0xffff);
		if (ev->remedy_name)
			ev->remedy = EVENT_REMEDY_SOCKET;
	} else if (ev->reason == EG_WHY_GUARD || ev->reason == EG_WHY_RULE ||
		   ev->reason == EG_WHY_DEVICE ||
		   (ev->reason == EG_WHY_FOREIGN &&
		    (ev->op == EG_OP_IPC || ev->op == EG_OP_KEY))) {
		ev->remedy_name = privilege(ev);
		if (ev->remedy_name)
			ev->remedy = EVENT_REMEDY_PRIVILEGE;
	}
}

/* Only where a rule would help: a deny is not overcome by what stands beside it. */
static const struct rule_ref *find_near(const struct event *ev, const struct compiled *c)
{
	const struct rule_ref *near = NULL;
	char buf[EG_PATH_MAX];
	struct event_bytes path;

	if (ev->remedy == EVENT_REMEDY_NONE || ev->remedy == EVENT_REMEDY_PRIVILEGE ||
	    ev->reason == EG_WHY_GUARD)
		return NULL;
	switch (event_object(ev)) {
	case EVENT_OBJECT_PATH:
		path = judged_name(ev->remedy_perm ? ev->path : ev->path2, buf);
		return event_near_path(c, path.p, path.len, ev->want);
	case EVENT_OBJECT_NAME:
		return event_near_name(c, ev->path.p, ev->path.len);
	case EVENT_OBJECT_UNIX:
		return event_near_unix(c, ev->path.p, ev->path.len);
	case EVENT_OBJECT_ADDRESS:
		if (ev->remedy == EVENT_REMEDY_LISTEN)
			return NULL;
		path = ev->op == EG_OP_SERVER_NAME ? ev->path : ev->name;
		if (path.len)
			near = event_near_name(c, path.p, path.len);
		return near ? near : event_near_address(c, ev->addr, ev->port);
	default:
		return NULL;
	}
}

static void explain_object(struct event *ev, const struct compiled *c)
{
	switch (event_object(ev)) {
	case EVENT_OBJECT_PATH:
		if (ev->op >= EG_OP_MOUNT || ev->reason == EG_WHY_DEVICE)
			explain_rest(ev);
		else
			explain_paths(ev, c);
		break;
	case EVENT_OBJECT_NAME:
		explain_question(ev, c);
		break;
	case EVENT_OBJECT_ADDRESS:
		if (ev->op == EG_OP_SERVER_NAME)
			explain_server_name(ev, c);
		else
			explain_address(ev, c);
		break;
	case EVENT_OBJECT_UNIX:
		explain_unix(ev, c);
		break;
	default:
		explain_rest(ev);
	}
}

void event_explain(struct event *ev, const struct compiled *c)
{
	if (!c)
		return;
	ev->explained = true;
	ev->policy = c->run.policy;
	ev->policy_file = c->run.file;
	ev->by = rule_at(c, ev->rule);
	explain_object(ev, c);
	ev->near = find_near(ev, c);
	if (ev->near == ev->by)
		ev->near = NULL;
}
