// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules about destinations and sockets. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "dns_name.h"
#include "learn_names.h"
#include "policy_safe.h"
#include "util.h"

/* Names and destinations are limited, what comes of both together is not: a second or so. */
#define MAX_COMPARED 200000000ul

struct net {
	const struct learn_input *in;
	const struct trace *t;
	struct learned *out;
	struct learn_wishes wishes;
	struct text text;
};

/* Ports where what is behind them goes anywhere or runs anything; see egressctl-policy(5). */
static bool hands_away(uint16_t port)
{
	static const uint16_t ports[] = { 1080, 2375, 2376, 3128, 8118, 8123, 9050, 9150 };

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		if (ports[i] == port)
			return true;
	return false;
}

static bool is_destination(const struct trace_access *a)
{
	return a->verdict != EG_VERDICT_ALLOWED &&
	       (a->op == EG_OP_CONNECT || a->op == EG_OP_SEND || a->op == EG_OP_PACKET ||
		a->op == EG_OP_SERVER_NAME);
}

static bool is_this_host(const uint8_t addr[16])
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff }, v6[16] = { [15] = 1 };

	return (!memcmp(addr, v4, 12) && addr[12] == 127) || !memcmp(addr, v6, 16);
}

static char *who_text(struct net *n, const struct trace_access *a, const char *before)
{
	struct learn_who w = { 0 };

	learn_who_add(&w, a->program);
	text_reset(&n->text);
	text_add(&n->text, before);
	learn_who_text(&w, n->t, "", &n->text);
	return n->text.failed ? NULL : strdup(n->text.p ? n->text.p : "");
}

/* ---- one destination ----------------------------------------------------------------------- */

static const struct trace_dest *traffic_of(const struct net *n, const struct trace_access *a)
{
	for (size_t i = 0; i < n->t->ndests; i++) {
		const struct trace_dest *d = &n->t->dests[i];

		if (!d->served && d->port == a->port && d->proto == a->proto &&
		    !memcmp(d->addr, a->addr, 16))
			return d;
	}
	return NULL;
}

static uint8_t wish_flags(const struct net *n, const struct trace_access *a)
{
	const struct trace_dest *d = traffic_of(n, a);
	uint8_t flags = 0;

	if (dns_address_special(a->addr))
		flags |= WISH_PRIVATE;
	if (a->proto != IPPROTO_TCP)
		return flags | WISH_TLS_OFF;
	if (d && (d->said & EG_SAID_CONNECT))
		flags |= WISH_PROXY;
	else if (d && (d->said & EG_SAID_OTHER) && !compiled_port_may_be_plain(a->port))
		flags |= WISH_TLS_OFF;
	return flags;
}

static int wish(struct net *n, uint32_t name, const struct trace_access *a, uint8_t flags)
{
	struct learn_wish w = {
		.name = name, .port = a->port, .proto = a->proto, .flags = flags, .who.count = 1,
	};

	learn_who_add(&w.who, a->program);
	if (array_reserve(&n->wishes.v, &n->wishes.cap, n->wishes.n))
		return -ENOMEM;
	n->wishes.v[n->wishes.n++] = w;
	return 0;
}

/* Every name that the program was given this address for. */
static int wish_names(struct net *n, const struct trace_access *a, bool *any)
{
	uint8_t flags = wish_flags(n, a);
	int err = 0;

	*any = false;
	for (size_t i = 0; !err && i < n->t->nnames; i++) {
		const struct trace_name *name = &n->t->names[i];

		if (!name->resolved || memcmp(name->addr, a->addr, 16) ||
		    !learn_name_plain(trace_string(n->t, name->name)))
			continue;
		*any = true;
		/* a datagram socket that was only connected: a look at the route */
		if (a->proto == IPPROTO_UDP && !traffic_of(n, a))
			continue;
		err = wish(n, name->name, a, flags);
	}
	return err;
}

static int by_address(struct net *n, const struct trace_access *a)
{
	struct event ev = { .op = EG_OP_CONNECT, .port = a->port, .proto = a->proto };
	struct text dest = { 0 };
	char *why;

	memcpy(ev.addr, a->addr, sizeof(ev.addr));
	event_add_destination(&dest, &ev);
	why = who_text(n, a, a->reason == EG_WHY_METADATA ?
				     "a cloud's metadata address, which hands out credentials; " :
			     hands_away(a->port) ? "a proxy's or container daemon's port; " : "");
	if (dest.failed || !why) {
		text_free(&dest);
		free(why);
		return -ENOMEM;
	}
	if (a->reason == EG_WHY_METADATA || hands_away(a->port))
		return learn_add_question(n->out, dest.p, why);
	return learn_add_rule(n->out, LEARN_ALLOW, 0, dest.p, NULL, why);
}

static int by_loopback(struct net *n, const struct trace_access *a)
{
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", a->port);
	if (hands_away(a->port))
		return by_address(n, a);
	return learn_add_rule(n->out, LEARN_LOOPBACK, 0, strdup(port), NULL,
			      who_text(n, a, "a server of this host; "));
}

static int note(struct net *n, const struct trace_access *a, char *rule)
{
	const struct trace_string *path = trace_string(n->t, a->path);
	char *by = who_text(n, a, ""), *why;

	text_reset(&n->text);
	text_addf(&n->text, "%s", event_op_name(a->op));
	if (path->len) {
		text_add(&n->text, " ");
		text_add_escaped(&n->text, path->p, path->len);
	}
	text_addf(&n->text, ": %s; %s", event_reason_words(a->reason), by ? by : "");
	why = by && !n->text.failed ? strdup(n->text.p) : NULL;
	free(by);
	return learn_add_question(n->out, rule, why);
}

static int destination(struct net *n, const struct trace_access *a)
{
	const struct trace_string *said = trace_string(n->t, a->path);
	bool named = false;
	int err;

	switch (a->reason) {
	case EG_WHY_METADATA:
		return by_address(n, a);
	case EG_WHY_FOREIGN: /* another sandbox's */
		if (!is_this_host(a->addr))
			return note(n, a, NULL);
		return by_loopback(n, a);
	case EG_WHY_LOOPBACK:
		if (is_this_host(a->addr))
			return by_loopback(n, a);
		break;
	case EG_WHY_RULE:
	case EG_WHY_REVOKED:
	case EG_WHY_NOT_TLS:
	case EG_WHY_NO_NAME:
		break;
	default:
		return note(n, a, NULL);
	}
	if (a->op == EG_OP_SERVER_NAME && learn_name_plain(said))
		return wish(n, a->path, a, wish_flags(n, a) & ~WISH_TLS_OFF);
	err = wish_names(n, a, &named);
	return err || named ? err : by_address(n, a);
}

/* ---- names that were only asked for ------------------------------------------------- */

/* A search list made it: "example.com.corp.example" after "example.com". */
static bool by_search_list(const struct net *n, const struct trace_string *s)
{
	for (size_t i = 0; i < n->t->nnames; i++) {
		const struct trace_string *o = trace_string(n->t, n->t->names[i].name);

		if (o->len < s->len && s->p[o->len] == '.' && !memcmp(s->p, o->p, o->len))
			return true;
	}
	return false;
}

static bool is_resolved(const struct net *n, uint32_t name)
{
	for (size_t i = 0; i < n->t->nnames; i++)
		if (n->t->names[i].name == name && n->t->names[i].resolved)
			return true;
	return false;
}

static int asked(struct net *n, const struct trace_name *name)
{
	const struct trace_string *s = trace_string(n->t, name->name);
	struct learn_wish w = {
		.name = name->name, .port = 443, .proto = IPPROTO_TCP, .asked_only = true,
	};
	struct text why = { 0 };

	if (name->allowed || name->resolved)
		return 0;
	if (!learn_name_plain(s)) {
		text_add(&why, "looked up, and no name that a rule can have: ");
		text_add_escaped(&why, s->p, s->len);
		return learn_add_question(n->out, NULL, why.p);
	}
	if (!is_resolved(n, name->name) && by_search_list(n, s))
		return 0;
	if (array_reserve(&n->wishes.v, &n->wishes.cap, n->wishes.n))
		return -ENOMEM;
	n->wishes.v[n->wishes.n++] = w;
	return 0;
}

/* ---- everything that is no path and no destination ------------------------------------ */

static int unix_socket(struct net *n, const struct trace_access *a)
{
	const struct trace_string *s = trace_string(n->t, a->path);
	struct text pattern = { 0 };
	const char *danger;
	char buf[4200];

	if (a->reason != EG_WHY_RULE || !s->len || strlen(s->p) != s->len ||
	    (s->p[0] == '/' && !learn_path_normal(s->p, s->len)))
		return note(n, a, NULL);
	if (s->p[0] == '/') {
		learn_path_text(n->in, s->p, s->len, learn_name_random(s->p, s->len) &&
							     learn_name_telling(s->p, s->len),
				&pattern);
	} else {
		learn_name_pattern(&pattern, s->p, s->len, learn_name_telling(s->p, s->len));
	}
	if (pattern.failed)
		return -ENOMEM;
	danger = policy_unsafe_unix(s->p, n->in->vars->uid, n->in->vars->home, buf, sizeof(buf));
	if (!danger)
		danger = policy_unsafe_unix(pattern.p, n->in->vars->uid, n->in->vars->home, buf,
					    sizeof(buf));
	if (!danger)
		return learn_add_rule(n->out, LEARN_UNIX, 0, pattern.p, NULL, who_text(n, a, ""));
	text_reset(&n->text);
	text_add(&n->text, "egress: {unix: [");
	(void)text_add_json(&n->text, pattern.p, pattern.len);
	text_add(&n->text, "]}");
	text_free(&pattern);
	if (n->text.failed)
		return -ENOMEM;
	return learn_add_question(n->out, strdup(n->text.p), strdup(danger));
}

/* Kinds that reach nothing but what other rules decide about. */
static bool harmless_kind(const char *kind)
{
	return str_eq(kind, "ping") || str_eq(kind, "mptcp") || str_eq(kind, "sctp") ||
	       str_starts(kind, "netlink:");
}

static char *fix_text(const char *before, const char *fix, const char *after)
{
	size_t n = strlen(before) + strlen(fix) + strlen(after) + 1;
	char *s = malloc(n);

	if (s)
		(void)snprintf(s, n, "%s%s%s", before, fix, after);
	return s;
}

static int other(struct net *n, const struct trace_access *a)
{
	const char *fix = trace_string(n->t, a->fix)->p;
	char port[16];

	/* beside a rule for its path */
	if (a->reason == EG_WHY_DEVICE)
		return note(n, a, fix_text("privileges: [", fix, "]"));
	switch (a->op) {
	case EG_OP_OPEN ... EG_OP_CHROOT:
	case EG_OP_RESOLVE:
		return 0; /* learn_fold.c; names are known from the resolver */
	case EG_OP_UNIX:
		return unix_socket(n, a);
	case EG_OP_ACCEPT:
		(void)snprintf(port, sizeof(port), "%llu", (unsigned long long)a->aux);
		return note(n, a, fix_text("egress: {listen: {", port, ": host}}"));
	}
	if (a->remedy == EVENT_REMEDY_SOCKET && *fix && harmless_kind(fix))
		return learn_add_rule(n->out, LEARN_SOCKET, 0, strdup(fix), NULL,
				      who_text(n, a, ""));
	if (a->remedy == EVENT_REMEDY_SOCKET && *fix)
		return note(n, a, fix_text("egress: {sockets: [", fix, "]}"));
	if (a->remedy == EVENT_REMEDY_PRIVILEGE && *fix)
		return note(n, a, fix_text("privileges: [", fix, "]"));
	return note(n, a, NULL);
}

/* ---- all of it -------------------------------------------------------------------------- */

static int compare(const void *a, const void *b, void *trace)
{
	const struct trace_access *x = *(const struct trace_access *const *)a;
	const struct trace_access *y = *(const struct trace_access *const *)b;
	int d = memcmp(x->addr, y->addr, 16);

	if (!d)
		d = (x->port > y->port) - (x->port < y->port);
	if (!d)
		d = strcmp(trace_string(trace, x->program)->p, trace_string(trace, y->program)->p);
	return d ? d : (x->op > y->op) - (x->op < y->op);
}

static int all(struct net *n)
{
	_cleanup_free_ const struct trace_access **list = NULL;
	size_t count = 0, looked_at = 0;
	int err = 0;

	list = calloc(n->t->naccesses + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n->t->naccesses; i++)
		if (n->t->accesses[i].verdict != EG_VERDICT_ALLOWED)
			list[count++] = &n->t->accesses[i];
	qsort_r(list, count, sizeof(*list), compare, (void *)n->t);
	for (size_t i = 0; !err && i < count; i++) {
		if (!is_destination(list[i])) {
			err = other(n, list[i]);
			continue;
		}
		looked_at += n->t->nnames + n->t->ndests;
		err = looked_at > MAX_COMPARED ? -E2BIG : destination(n, list[i]);
	}
	for (size_t i = 0; !err && i < n->t->nnames; i++)
		err = asked(n, &n->t->names[i]);
	return err ? err : learn_names(n->t, &n->wishes, n->out);
}

int learn_network(const struct learn_input *in, struct learned *out)
{
	struct net n = { .in = in, .t = in->trace, .out = out };
	int err = all(&n);

	free(n.wishes.v);
	text_free(&n.text);
	return err;
}
