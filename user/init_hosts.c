// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The hosts that a project names, each once. What comes in is anybody's text; what is kept
 * is what the policy's parser makes of it, and one host only: "*.com" would be
 * a rule for half of the internet.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "event_text.h"
#include "init.h"
#include "policy_int.h"
#include "verdict.h"

#define HOST_SHOWN 64u /* of what is no host */

int init_note(struct init_found *f, const char *fmt, ...)
{
	_cleanup_free_ char *said = NULL;
	struct text t = { 0 };
	va_list ap;
	int n;

	if (f->nnotes >= INIT_MAX_NOTES) {
		f->notes_left++;
		return 0;
	}
	va_start(ap, fmt);
	n = vasprintf(&said, fmt, ap);
	va_end(ap);
	if (n < 0) {
		said = NULL;
		return -ENOMEM;
	}
	if (array_reserve(&f->notes, &f->cap_notes, f->nnotes))
		return -ENOMEM;
	text_add_safe(&t, said);
	if (t.failed) {
		text_free(&t);
		return -ENOMEM;
	}
	f->notes[f->nnotes++] = t.p; /* freed as strings are */
	return 0;
}

/* ---- one host ------------------------------------------------------------------------- */

/* A name or an address, as the parser of policies takes it; -EINVAL: it is neither. */
static int parse_host(const struct init_url *u, struct policy_dest *out)
{
	char text[EG_MAX_SERVER_NAME + 16];
	struct diag d = {};
	int err;

	if (!u->port || u->len >= EG_MAX_SERVER_NAME || memchr(u->host, 0, u->len))
		return -EINVAL;
	(void)snprintf(text, sizeof(text), "%.*s:%u", (int)u->len, u->host, u->port);
	err = policy_dest_parse(text, false, out, &d, NULL);
	if (err)
		return err;
	if (!out->below && (out->name ? *out->name && strlen(out->name) > 1 : out->plen == 128) &&
	    out->nports == 1)
		return 0;
	policy_dest_clear(out);
	return -EINVAL;
}

/* Names that are only given in networks of one's own, where addresses are private. */
static bool is_private_name(const char *name)
{
	static const char *const ends[] = {
		".local", ".internal", ".lan", ".corp", ".home", ".intranet", ".private",
		".localdomain", ".home.arpa",
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (str_ends(name, ends[i]))
			return true;
	return !strchr(name, '.');
}

static bool is_loopback(const struct policy_dest *d)
{
	static const uint8_t zero[15];

	if (d->name)
		return str_eq(d->name, "localhost") || str_ends(d->name, ".localhost");
	if (policy_addr_is_v4(d->addr, 128))
		return d->addr[12] == 127 || !memcmp(d->addr + 12, zero, 4);
	return !memcmp(d->addr, zero, 15) && d->addr[15] <= 1;
}

static bool has_port(const struct init_host *h, uint16_t port)
{
	for (size_t i = 0; i < h->nports; i++)
		if (h->ports[i] == port)
			return true;
	return false;
}

/* A policy has few classes: ports that differ, times what is beside them. */
static bool service_fits(const struct init_found *f, const struct init_host *new, uint16_t port)
{
	struct {
		uint16_t port;
		bool private, proxy;
	} seen[INIT_MAX_SERVICES];
	size_t n = 0;

	if (new->is_addr || new->loopback)
		return true;
	for (size_t i = 0; i < f->nhosts; i++) {
		const struct init_host *h = &f->hosts[i];

		for (size_t k = 0; k < h->nports && !h->is_addr && !h->loopback; k++) {
			size_t at = 0;

			if (h->ports[k] == port && h->private == new->private &&
			    h->proxy == new->proxy)
				return true;
			while (at < n && (seen[at].port != h->ports[k] ||
					  seen[at].private != h->private ||
					  seen[at].proxy != h->proxy))
				at++;
			if (at < n)
				continue;
			seen[n].port = h->ports[k];
			seen[n].private = h->private;
			seen[n++].proxy = h->proxy;
			if (n == INIT_MAX_SERVICES)
				return false;
		}
	}
	return true;
}

/* Where to put it: the user's own word comes first, and is not asked about again. */
static struct init_host *find(struct init_found *f, const struct init_host *new, uint16_t port,
			      bool *there)
{
	struct init_host *same = NULL;

	*there = false;
	for (size_t i = 0; i < f->nhosts; i++) {
		struct init_host *h = &f->hosts[i];

		if (!str_eq(h->text, new->text))
			continue;
		if (has_port(h, port) && (h->user || !new->user)) {
			*there = true;
			return h;
		}
		if (h->user == new->user && h->proxy == new->proxy)
			same = h;
	}
	return same;
}

/* A rule that the user's settings make is no question any more. */
static void drop_port(struct init_found *f, const char *text, uint16_t port)
{
	for (size_t i = 0; i < f->nhosts; i++) {
		struct init_host *h = &f->hosts[i];

		if (h->user || !str_eq(h->text, text))
			continue;
		for (size_t k = 0; k < h->nports; k++)
			if (h->ports[k] == port) {
				memmove(h->ports + k, h->ports + k + 1,
					(h->nports - k - 1) * sizeof(*h->ports));
				h->nports--;
				break;
			}
	}
}

static int add(struct init_found *f, struct init_host *new, uint16_t port)
{
	struct init_host *h;
	bool there;

	h = find(f, new, port, &there);
	if (there)
		return 0;
	if (!service_fits(f, new, port) || (h && h->nports == INIT_MAX_PORTS) ||
	    (!h && f->nhosts >= INIT_MAX_HOSTS)) {
		f->hosts_left++;
		return 0;
	}
	if (new->user)
		drop_port(f, new->text, port);
	if (h) {
		h->ports[h->nports++] = port;
		return 0;
	}
	if (array_reserve(&f->hosts, &f->cap_hosts, f->nhosts))
		return -ENOMEM;
	new->ports[new->nports++] = port;
	f->hosts[f->nhosts++] = *new;
	memset(new, 0, sizeof(*new)); /* its strings are there now */
	return 0;
}

static int bad_host(struct init_found *f, const char *name, const struct init_url *u)
{
	struct text shown = { 0 };
	int err;

	/* of a variable of some build tool, more often than not */
	text_add_escaped(&shown, u->host, MIN(u->len, (size_t)HOST_SHOWN));
	err = shown.failed ? -ENOMEM :
			     init_note(f, "%s:%zu: left out: %s%s is no host with a port that a "
					  "rule can be about", name, u->line, shown.p,
				       u->len > HOST_SHOWN ? "…" : "");
	text_free(&shown);
	return err;
}

/* What no line of a policy should open because a project says so; NULL: nothing of it. */
static const char *hands_over(struct policy_dest *dest, const struct init_host *h)
{
	if (h->proxy && (h->is_addr || h->loopback))
		return "a proxy reaches everything; only by a name of its own is it judged what "
		       "it is asked for";
	dest->flags |= h->proxy ? POLICY_D_PROXY : 0;
	return policy_handing_over(dest);
}

static int why(struct init_host *h, const char *name, const struct init_url *u)
{
	int n = u->line ? asprintf(&h->why, "%s:%zu %s", name, u->line, u->key) :
			  asprintf(&h->why, "%s %s", name, u->key);

	if (n >= 0)
		return 0;
	h->why = NULL;
	return -ENOMEM;
}

int init_add_url(struct init_found *f, const char *name, bool user, const struct init_url *u)
{
	struct policy_dest dest;
	struct init_host h = { .user = user, .proxy = u->proxy };
	const char *danger;
	char addr[64];
	int err = parse_host(u, &dest);

	if (err)
		return err == -ENOMEM ? err : bad_host(f, name, u);
	h.is_addr = !dest.name;
	h.loopback = is_loopback(&dest);
	h.private = dest.name && is_private_name(dest.name);
	danger = hands_over(&dest, &h);
	h.text = dest.name ? strdup(dest.name) :
			     strdup(policy_addr_text(dest.addr, 128, addr, sizeof(addr)));
	err = h.text ? why(&h, name, u) : -ENOMEM;
	if (!err && danger)
		err = init_note(f, "%s: left out: %s:%u: %s", h.why, h.text, u->port, danger);
	else if (!err)
		err = add(f, &h, (uint16_t)u->port);
	free(h.text);
	free(h.why);
	policy_dest_clear(&dest);
	return err;
}

/* ---- all of them ------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	const struct init_host *x = a, *y = b;
	int c = x->user - y->user;

	c = c ? -c : strcmp(x->text, y->text);
	return c ? c : x->proxy - y->proxy;
}

static int by_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

void init_hosts_sort(struct init_found *f)
{
	if (f->nhosts)
		qsort(f->hosts, f->nhosts, sizeof(*f->hosts), by_text);
	for (size_t i = 0; i < f->nhosts; i++)
		qsort(f->hosts[i].ports, f->hosts[i].nports, sizeof(f->hosts[i].ports[0]),
		      by_number);
}

/* Is nothing to be asked about it: allowed already, or never to be? */
static int is_settled(struct init_found *f, const struct compiled *c, const struct init_host *h,
		      uint16_t port, bool *settled)
{
	char text[EG_MAX_SERVER_NAME + 16];
	struct policy_dest dest;
	uint8_t verdict = 0;
	uint32_t rule;
	int err;

	*settled = false;
	if (h->loopback)
		return 0;
	(void)snprintf(text, sizeof(text), "%s:%u", h->text, port);
	err = policy_dest_parse(text, false, &dest, NULL, NULL);
	if (err)
		return err == -ENOMEM ? err : 0;
	if (dest.name)
		(void)verdict_name(c, dest.name, port, IPPROTO_TCP, &verdict, &rule);
	else
		(void)verdict_egress(c, dest.addr, port, IPPROTO_TCP, &verdict, &rule);
	policy_dest_clear(&dest);
	*settled = verdict == EG_V_ALLOW || verdict == EG_V_DENY_HARD;
	if (verdict == EG_V_DENY_HARD)
		return init_note(f, "%s: left out: %s is where clouds hand out credentials", h->why,
				 h->text);
	return 0;
}

static int cover_host(struct init_found *f, const struct compiled *c, struct init_host *h)
{
	size_t n = 0;
	bool settled;
	int err;

	for (size_t i = 0; i < h->nports; i++) {
		err = is_settled(f, c, h, h->ports[i], &settled);
		if (err)
			return err;
		if (!settled)
			h->ports[n++] = h->ports[i];
	}
	h->nports = n;
	return 0;
}

static void drop_empty(struct init_found *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->nhosts; i++) {
		if (f->hosts[i].nports) {
			f->hosts[n++] = f->hosts[i];
			continue;
		}
		free(f->hosts[i].text);
		free(f->hosts[i].why);
	}
	f->nhosts = n;
}

int init_cover(struct init_found *f, const struct compiled *c, const struct policy_vars *v)
{
	int err = 0;

	for (size_t i = 0; i < f->nhosts && !err; i++)
		err = cover_host(f, c, &f->hosts[i]);
	drop_empty(f);
	for (size_t i = 0; i < f->nsecrets && !err; i++) {
		_cleanup_free_ char *path = NULL;
		uint32_t rule;
		uint8_t perm;

		if (asprintf(&path, "%s/%s", v->workdir, f->secrets[i].path) < 0) {
			path = NULL;
			err = -ENOMEM;
		} else if (!verdict_path(c, path, strlen(path), &perm, &rule)) {
			f->secrets[i].closed = !perm;
		}
	}
	return err;
}

void init_found_clear(struct init_found *f)
{
	for (size_t i = 0; i < f->nhosts; i++) {
		free(f->hosts[i].text);
		free(f->hosts[i].why);
	}
	for (size_t i = 0; i < f->nsecrets; i++)
		free(f->secrets[i].path);
	for (size_t i = 0; i < f->nnotes; i++)
		free(f->notes[i]);
	free(f->hosts);
	free(f->secrets);
	free(f->notes);
	memset(f, 0, sizeof(*f));
}
