// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "learn_names.h"
#include "policy_int.h"
#include "util.h"

#define HTTPS 443
/* Names below one parent from which on the parent is meant. */
#define WILDCARD_NAMES 4u
/* The parent must be below the domain that somebody registered: "a.b.example.com". */
#define WILDCARD_LABELS 3u

/* Where anybody can have a name: a wildcard there opens the internet. */
static const char *const anybodys[] = {
	"amazonaws.com", "cloudfront.net", "googleapis.com",  "googleusercontent.com",
	"azure.com",	 "windows.net",	   "azurewebsites.net", "azureedge.net",
	"cloudapp.net",	 "akamaized.net",  "akamaihd.net",	"fastly.net",
	"herokuapp.com", "github.io",	   "gitlab.io",	      "pages.dev",
	"workers.dev",	 "r2.dev",	   "vercel.app",      "netlify.app",
	"web.app",	 "firebaseapp.com", "appspot.com",    "run.app",
	"digitaloceanspaces.com", "linodeobjects.com", "backblazeb2.com", "ngrok.io",
	"ngrok.app",	 "trycloudflare.com", "blogspot.com", "fly.dev",
	"onrender.com",	 "b-cdn.net",	   "duckdns.org",     "dyndns.org",
};

bool learn_name_plain(const struct trace_string *s)
{
	struct policy_dest d;
	bool plain = s->len && s->len <= EG_MAX_SERVER_NAME && s->p[s->len - 1] != '.';

	for (size_t i = 0; plain && i < s->len; i++)
		plain = strchr("abcdefghijklmnopqrstuvwxyz0123456789.-_", s->p[i]) && s->p[i];
	if (!plain || policy_dest_parse(s->p, false, &d, NULL, NULL))
		return false;
	plain = d.name && d.self && !d.below;
	policy_dest_clear(&d);
	return plain;
}

/* ---- order ----------------------------------------------------------------------------- */

static int compare_wishes(const void *a, const void *b, void *trace)
{
	const struct learn_wish *x = a, *y = b;
	int d = strcmp(trace_string(trace, x->name)->p, trace_string(trace, y->name)->p);

	if (d)
		return d;
	if (x->asked_only != y->asked_only)
		return x->asked_only ? 1 : -1;
	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return (x->port > y->port) - (x->port < y->port);
}

/* Each name and port once; one that was used need not be listed as asked for. */
static void unite(struct learn_wishes *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct learn_wish *x = &w->v[i], *before = n ? &w->v[n - 1] : NULL;

		if (before && before->name == x->name && x->asked_only)
			continue;
		if (before && before->name == x->name && before->port == x->port &&
		    before->proto == x->proto) {
			before->flags |= x->flags;
			learn_who_join(&before->who, &x->who);
			continue;
		}
		w->v[n++] = *x;
	}
	w->n = n;
}

/* ---- wildcards --------------------------------------------------------------------------- */

static bool is_anybodys(const char *parent)
{
	for (size_t i = 0; i < ARRAY_SIZE(anybodys); i++) {
		size_t n = strlen(anybodys[i]), len = strlen(parent);

		if (str_ends(parent, anybodys[i]) && (len == n || parent[len - n - 1] == '.'))
			return true;
	}
	return false;
}

/* The part behind the first dot, where a wildcard may stand; NULL: nowhere. */
static const char *parent_of(const struct trace *t, const struct learn_wish *x)
{
	const char *dot = strchr(trace_string(t, x->name)->p, '.'), *p;
	unsigned int labels = 1;

	if (!dot || x->flags || x->asked_only)
		return NULL;
	for (p = dot + 1; *p; p++)
		labels += *p == '.';
	return labels >= WILDCARD_LABELS && !is_anybodys(dot + 1) ? dot + 1 : NULL;
}

static bool alike(const struct trace *t, const struct learn_wish *x, const struct learn_wish *y)
{
	const char *a = parent_of(t, x), *b = parent_of(t, y);

	return a && b && str_eq(a, b) && x->port == y->port && x->proto == y->proto;
}

static uint32_t count_alike(const struct trace *t, const struct learn_wishes *w, size_t at,
			    struct learn_who *who)
{
	uint32_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (!alike(t, &w->v[at], &w->v[i]))
			continue;
		learn_who_join(who, &w->v[i].who);
		n++;
	}
	return n;
}

/* ---- rules --------------------------------------------------------------------------------- */

static void add_options(struct text *t, const struct learn_wish *x)
{
	text_addf(t, x->proto == IPPROTO_TCP ? "ports: [%u]" : "ports: [\"%u/%s\"]", x->port,
		  policy_proto_text(x->proto));
	text_add(t, x->flags & WISH_PROXY ? ", proxy: true" : "");
	text_add(t, x->flags & WISH_TLS_OFF ? ", tls: off" : "");
	text_add(t, x->flags & WISH_PRIVATE ? ", private: true" : "");
}

static int add_name(const struct trace *t, const struct learn_wish *x, const char *name,
		    const struct learn_who *who, struct learned *out)
{
	struct text host = { 0 }, options = { 0 }, why = { 0 };

	text_add(&host, name);
	if (x->flags || x->proto != IPPROTO_TCP)
		add_options(&options, x);
	else if (x->port != HTTPS)
		text_addf(&host, ":%u", x->port);
	if (x->asked_only)
		text_add(&why, "looked up, never connected to");
	else
		learn_who_text(who, t, "destination", &why);
	if (host.failed || options.failed || why.failed) {
		text_free(&host);
		text_free(&options);
		text_free(&why);
		return -ENOMEM;
	}
	return learn_add_rule(out, LEARN_ALLOW, 0, host.p, options.p,
			      why.p ? why.p : strdup(""));
}

static int add_wish(const struct trace *t, const struct learn_wishes *w, size_t at,
		    struct learned *out)
{
	const struct learn_wish *x = &w->v[at];
	const char *parent = parent_of(t, x);
	struct learn_who who = { 0 };
	char name[EG_MAX_SERVER_NAME + 3];

	if (!parent || count_alike(t, w, at, &who) < WILDCARD_NAMES)
		return add_name(t, x, trace_string(t, x->name)->p, &x->who, out);
	for (size_t i = 0; i < at; i++)
		if (alike(t, &w->v[i], x))
			return 0; /* the first of them was made the rule for all */
	(void)snprintf(name, sizeof(name), "*.%s", parent);
	return add_name(t, x, name, &who, out);
}

int learn_names(const struct trace *t, struct learn_wishes *w, struct learned *out)
{
	int err = 0;

	if (w->n)
		qsort_r(w->v, w->n, sizeof(*w->v), compare_wishes, (void *)t);
	unite(w);
	if (w->n > LEARN_MAX_RULES)
		return -E2BIG;
	for (size_t i = 0; !err && i < w->n; i++)
		err = add_wish(t, w, i, out);
	return err;
}
