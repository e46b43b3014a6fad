// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What was found, as a policy for people. Nothing of the project's text is in it but
 * hosts as the parser gives them, names of secret files as escaped patterns inside of JSON
 * strings (which are YAML), and what is escaped in a comment: none of it can end a line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event_text.h"
#include "init.h"
#include "learn_int.h"
#include "util.h"

#define COMMENT_COLUMN 46u
#define QUESTION "#? "

/* ---- pieces ---------------------------------------------------------------------------- */

/* The end of a line that began at `start`, with a comment in a column of its own. */
static void end_line(struct text *out, size_t start, const char *why)
{
	if (why) {
		for (size_t n = out->len - start; n < COMMENT_COLUMN - 2; n++)
			text_add(out, " ");
		text_add(out, "  # ");
		text_add(out, why);
	}
	text_add(out, "\n");
}

static size_t begin(struct text *out, bool rule, const char *indent)
{
	size_t start = out->len;

	text_add(out, rule ? "" : QUESTION);
	text_add(out, indent);
	return start;
}

bool init_is_rule(const struct init_host *h, const struct init_wish *w)
{
	return h->user || w->trust;
}

static void add_ports(struct text *out, const struct init_host *h)
{
	for (size_t i = 0; i < h->nports; i++)
		text_addf(out, "%s%u", i ? ", " : "", h->ports[i]);
}

void init_host_text(const struct init_host *h, struct text *out)
{
	bool usual = !h->is_addr && h->nports == 1 && h->ports[0] == 443;

	if (h->nports == 1 && !h->private && !h->proxy) {
		/* [IPv6] would be a list */
		text_addf(out, *h->text == '[' ? "\"%s" : "%s", h->text);
		if (!usual)
			text_addf(out, ":%u", h->ports[0]);
		text_add(out, *h->text == '[' ? "\"" : "");
		return;
	}
	text_addf(out, "{host: \"%s\"", h->text);
	if (!usual) {
		text_add(out, ", ports: [");
		add_ports(out, h);
		text_add(out, "]");
	}
	text_add(out, h->private ? ", private: true" : "");
	text_add(out, h->proxy ? ", proxy: true}" : "}");
}

/* ---- what it extends ------------------------------------------------------------------------ */

size_t init_extends(const struct init_found *f, const struct init_wish *w,
		    const char *extends[INIT_ECOS + 1])
{
	size_t n = 0;

	extends[n++] = w->ci ? "ci-build" : "agent";
	for (size_t i = 0; i < INIT_ECOS; i++)
		if (f->eco[i] && init_ecos[i].policy)
			extends[n++] = init_ecos[i].policy;
	return n;
}

static void add_extends(struct text *out, const struct init_found *f, const struct init_wish *w)
{
	size_t start;

	text_add(out, "extends:\n");
	start = begin(out, true, "  - ");
	text_add(out, w->ci ? "ci-build" : "agent");
	end_line(out, start, w->ci ? "the workspace, the caches of the usual tools, no secrets" :
				     "the workspace, the system to read, no secrets");
	for (size_t i = 0; i < INIT_ECOS; i++) {
		if (!f->eco[i] || !init_ecos[i].policy)
			continue;
		start = begin(out, true, "  - ");
		text_add(out, init_ecos[i].policy);
		end_line(out, start, init_ecos[i].why);
	}
}

/* ---- head --------------------------------------------------------------------------------- */

static void add_kinds(struct text *out, const struct init_found *f, bool because)
{
	size_t n = 0;

	for (size_t i = 1; i < INIT_ECOS; i++) {
		if (!f->eco[i])
			continue;
		text_addf(out, "%s%s", n++ ? ", " : "", init_ecos[i].title);
		if (because && f->because[i])
			text_addf(out, " (%s)", f->because[i]);
	}
	if (!n)
		text_add(out, because ? "no kind of project that is known: the general policy" :
					"a project");
}

static bool is_question(const struct init_found *f, const struct init_wish *w)
{
	for (size_t i = 0; i < f->nhosts; i++)
		if (f->hosts[i].nports && !init_is_rule(&f->hosts[i], w))
			return true;
	for (size_t i = 0; i < f->nsecrets; i++)
		if (!f->secrets[i].closed && f->secrets[i].ask)
			return true;
	return false;
}

static void add_head(struct text *out, const struct init_found *f, const struct init_wish *w)
{
	text_add(out, "# What the project in this directory may reach and change, as `egressctl "
		      "init` found it:\n# ");
	add_kinds(out, f, true);
	text_addf(out, ".\n#\n#     egressctl check %s\n#     egressctl run -v -p %s -- %s\n",
		  w->shown, w->shown, f->build ? f->build : "COMMAND");
	if (is_question(f, w))
		text_add(out, "#\n"
			      "# Lines that begin with \"#? \" are questions. They come from files "
			      "of the "
			      "project,\n"
			      "# and whoever wrote those may be who the sandbox is against. To say "
			      "yes, "
			      "take these\n"
			      "# three characters away (and those of the lines above that it "
			      "belongs "
			      "to).\n"
			      "# A host in a network of your own needs `private: true` as well.\n");
	text_add(out, "version: 1\ndescription: ");
	add_kinds(out, f, false);
	text_add(out, ", as egressctl init found it\n");
	add_extends(out, f, w);
}

/* ---- egress ---------------------------------------------------------------------------------- */

/* How many are to be written, and how many of them as rules. */
static size_t count(const struct init_found *f, const struct init_wish *w, bool loopback,
		    size_t *rules)
{
	size_t n = 0;

	*rules = 0;
	for (size_t i = 0; i < f->nhosts; i++) {
		const struct init_host *h = &f->hosts[i];

		if (h->loopback != loopback || !h->nports)
			continue;
		n++;
		*rules += init_is_rule(h, w);
	}
	return n;
}

static void add_allow(struct text *out, const struct init_found *f, const struct init_wish *w)
{
	for (size_t i = 0; i < f->nhosts; i++) {
		const struct init_host *h = &f->hosts[i];
		size_t start;

		if (h->loopback || !h->nports)
			continue;
		start = begin(out, init_is_rule(h, w), "    - ");
		init_host_text(h, out);
		end_line(out, start, h->why);
	}
}

static bool has_loopback(const struct init_found *f, uint16_t port, size_t before)
{
	for (size_t i = 0; i < before; i++)
		for (size_t k = 0; k < f->hosts[i].nports && f->hosts[i].loopback; k++)
			if (f->hosts[i].ports[k] == port)
				return true;
	return false;
}

/* Each port once, by whatever of its names the host was called. */
static void add_loopback(struct text *out, const struct init_found *f, const struct init_wish *w)
{
	for (size_t i = 0; i < f->nhosts; i++) {
		const struct init_host *h = &f->hosts[i];
		size_t start;

		for (size_t k = 0; k < h->nports && h->loopback; k++) {
			if (has_loopback(f, h->ports[k], i))
				continue;
			start = begin(out, init_is_rule(h, w), "    - ");
			text_addf(out, "%u", h->ports[k]);
			end_line(out, start, h->why);
		}
	}
}

static void add_egress(struct text *out, const struct init_found *f, const struct init_wish *w)
{
	size_t allow, allow_rules, local, local_rules;

	allow = count(f, w, false, &allow_rules);
	local = count(f, w, true, &local_rules);
	if (!allow && !local)
		return;
	text_add(out, "\n");
	(void)begin(out, allow_rules || local_rules, "egress:\n");
	if (allow) {
		(void)begin(out, allow_rules, "  allow:\n");
		add_allow(out, f, w);
	}
	if (local) {
		(void)begin(out, local_rules, "  loopback:\n");
		(void)begin(out, local_rules, "    - own\n");
		add_loopback(out, f, w);
	}
}

/* ---- files --------------------------------------------------------------------------- */

/* A path in the workspace as a pattern that stands for it alone. */
static void add_pattern(struct text *out, const char *path)
{
	struct text t = { 0 };

	text_add(&t, "${WORKDIR}");
	while (*path) {
		size_t n = strcspn(path, "/");

		text_add(&t, "/");
		learn_name_pattern(&t, path, n, false);
		path += n + (path[n] == '/');
	}
	if (t.failed)
		out->failed = true;
	else
		(void)text_add_json(out, t.p, t.len);
	text_free(&t);
}

static void add_own(struct text *out, const struct init_wish *w)
{
	size_t start = begin(out, true, "  ");

	add_pattern(out, w->output);
	text_add(out, ": r");
	end_line(out, start, "this file: what is inside may not change what holds it");
}

static bool any_cache(const struct init_found *f)
{
	for (size_t i = 0; i < INIT_ECOS; i++)
		for (size_t k = 0; k < INIT_CACHES && f->eco[i]; k++)
			if (f->caches[i][k])
				return true;
	return false;
}

static void add_caches(struct text *out, const struct init_found *f)
{
	size_t start;

	if (!any_cache(f))
		return;
	text_add(out, "  # Caches of tools. What the program inside puts there runs later outside "
		      "of "
		      "the\n  # sandbox, too: without these lines builds begin with nothing, or "
		      "fail. "
		      "Where a\n  # machine is cleaned after each build, `egressctl init ci` opens "
		      "them all.\n");
	for (size_t i = 0; i < INIT_ECOS; i++) {
		for (size_t k = 0; k < INIT_CACHES && f->eco[i]; k++) {
			const struct init_cache *c = &init_ecos[i].caches[k];

			if (!f->caches[i][k])
				continue;
			start = begin(out, true, "  ");
			text_addf(out, strchr(c->path, '*') ? "\"%s\": %s" : "%s: %s", c->path,
				  c->perm);
			end_line(out, start, c->why);
		}
	}
}

/* Two names with bytes that no pattern has may have become one pattern. */
static bool is_repeated(const struct init_found *f, size_t i)
{
	struct text a = { 0 }, b = { 0 };
	bool same = false;

	add_pattern(&a, f->secrets[i].path);
	for (size_t k = 0; k < i && !same; k++) {
		if (f->secrets[k].closed)
			continue;
		text_reset(&b);
		add_pattern(&b, f->secrets[k].path);
		same = !a.failed && !b.failed && str_eq(a.p, b.p);
	}
	text_free(&a);
	text_free(&b);
	return same;
}

static bool is_output(const struct init_wish *w, const char *path)
{
	return w->output && str_eq(w->output, path);
}

static void add_secret_rules(struct text *out, const struct init_found *f,
			     const struct init_wish *w)
{
	size_t n = 0;

	for (size_t i = 0; i < f->nsecrets; i++) {
		const struct init_secret *s = &f->secrets[i];
		size_t start;

		if (s->closed || is_repeated(f, i) || is_output(w, s->path))
			continue;
		if (!n++)
			text_add(out, "  # Credentials that lie in the project, as far as names "
				      "and "
				      "contents tell. Take a\n  # line out when the build needs "
				      "what "
				      "is in it (a key that only tests use).\n");
		start = begin(out, !s->ask, "  ");
		add_pattern(out, s->path);
		text_add(out, ": none");
		end_line(out, start, s->what);
	}
}

static void add_files(struct text *out, const struct init_found *f, const struct init_wish *w)
{
	bool rules = w->output || (!w->ci && any_cache(f)), questions = false;

	for (size_t i = 0; i < f->nsecrets; i++) {
		rules |= !f->secrets[i].closed && !f->secrets[i].ask;
		questions |= !f->secrets[i].closed && f->secrets[i].ask;
	}
	if (!rules && !questions)
		return;
	text_add(out, "\n");
	(void)begin(out, rules, "files:\n");
	if (w->output)
		add_own(out, w);
	if (!w->ci)
		add_caches(out, f);
	add_secret_rules(out, f, w);
}

/* ---- comments ------------------------------------------------------------------------ */

static void add_closed(struct text *out, const struct init_found *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->nsecrets; i++) {
		const struct init_secret *s = &f->secrets[i];

		if (!s->closed)
			continue;
		if (!n++)
			text_add(out, "\n# Credentials that are closed already, by what is "
				      "extended. To "
				      "open one, name it\n# under `files`, as \"${WORKDIR}/NAME\": "
				      "r\n");
		text_add(out, "#   ");
		text_add_escaped(out, s->path, strlen(s->path));
		text_addf(out, ": %s\n", s->what);
	}
	if (f->secrets_left)
		text_addf(out, "# and %zu more that are neither listed nor closed\n",
			  f->secrets_left);
}

static void add_notes(struct text *out, const struct init_found *f)
{
	if (!f->nnotes && !f->hosts_left)
		return;
	text_add(out, "\n# Not in this file:\n");
	for (size_t i = 0; i < f->nnotes; i++)
		text_addf(out, "#   %s\n", f->notes[i]);
	if (f->notes_left)
		text_addf(out, "#   and %zu more of these\n", f->notes_left);
	if (f->hosts_left)
		text_addf(out, "#   %zu more hosts or ports: too many for one policy\n",
			  f->hosts_left);
}

static void add_agent(struct text *out)
{
	text_add(out, "\n# A coding agent needs the host of its model and its own key, too:\n"
		      "#     egress: {allow: [api.PROVIDER.example]}\n"
		      "#     env: {keep: [PROVIDER_API_KEY]}\n"
		      "# and where it keeps its state, writable: \"~/.AGENT\": rwc\n");
}

int init_text(const struct init_found *f, const struct init_wish *w, struct text *out)
{
	text_reset(out);
	add_head(out, f, w);
	add_egress(out, f, w);
	add_files(out, f, w);
	add_closed(out, f);
	add_notes(out, f);
	if (w->agent)
		add_agent(out);
	return out->failed ? -ENOMEM : 0;
}
