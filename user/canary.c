/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "canary.h"
#include "diag.h"
#include "util.h"

#define NAMED 4u /* hooks that a line names; more are counted */

static const char *const kinds[] = { [CANARY_LSM] = "LSM", [CANARY_CGROUP] = "cgroup" };

static enum canary_layer layer_of(size_t row)
{
	return prove_rows[row].cgroup ? CANARY_CGROUP : CANARY_LSM;
}

void canary_round(struct canary *c, const struct prove_result *results, uint64_t begun_us,
		  uint64_t ended_us)
{
	c->begun_us = begun_us;
	c->ended_us = ended_us;
	c->failure[0] = '\0';
	for (size_t i = 0; i < prove_nrows; i++) {
		struct canary_hook *h = &c->hooks[i];

		h->last = results[i].state;
		if (h->last == PROVE_PROVED) {
			h->silent = false;
			h->proved_us = begun_us;
		} else if (h->last == PROVE_SILENT) {
			h->silent = true;
		}
		/* untried: what is silent stays so until it is proved */
	}
}

void canary_failed(struct canary *c, const char *why)
{
	diag_escape(c->failure, sizeof(c->failure), why, strlen(why));
}

/* ---- the two layers ------------------------------------------------------------------- */

struct layer {
	size_t hooks, silent, proved; /* proved: in the last round */
	uint64_t proved_us; /* the newest of them */
};

static struct layer look(const struct canary *c, enum canary_layer which)
{
	struct layer l = {};

	for (size_t i = 0; i < prove_nrows; i++) {
		const struct canary_hook *h = &c->hooks[i];

		if (layer_of(i) != which || h->last == PROVE_ABSENT)
			continue;
		l.hooks++;
		l.silent += h->silent;
		l.proved += h->last == PROVE_PROVED;
		if (h->proved_us > l.proved_us)
			l.proved_us = h->proved_us;
	}
	return l;
}

/* Until when a proof of a round that began then counts. */
static uint64_t fresh_until(const struct canary *c, uint64_t proved_us)
{
	uint64_t until = proved_us ? proved_us + CANARY_FRESH_US : 0;

	return proved_us && proved_us == c->begun_us ? MAX(until, c->ended_us + CANARY_GRACE_US) :
						       until;
}

enum canary_state canary_state(const struct canary *c, uint64_t now_us)
{
	enum canary_state state = c->ended_us ? CANARY_PROVED : CANARY_UNPROVED;

	for (int k = 0; k < CANARY_LAYERS; k++) {
		const struct layer l = look(c, k);

		if (l.silent)
			return CANARY_SILENT;
		if (l.hooks && now_us >= fresh_until(c, l.proved_us))
			state = CANARY_UNPROVED;
	}
	return state;
}

uint64_t canary_deadline(const struct canary *c)
{
	uint64_t first = 0, until;

	for (int k = 0; k < CANARY_LAYERS; k++) {
		const struct layer l = look(c, k);

		if (l.hooks && !l.proved_us)
			return 0;
		until = fresh_until(c, l.proved_us);
		if (l.hooks && (!first || until < first))
			first = until;
	}
	return first;
}

bool canary_is_lost(const struct canary *c, size_t row, uint64_t now_us)
{
	const struct canary_hook *h = &c->hooks[row];

	return !h->silent && h->last == PROVE_UNTRIED && h->proved_us &&
	       now_us >= fresh_until(c, h->proved_us);
}

/* ---- words ------------------------------------------------------------------------------ */

static void name_silent(const struct canary *c, struct canary_words *w)
{
	size_t n = 0, len = 0;

	for (size_t i = 0; i < prove_nrows; i++)
		n += c->hooks[i].silent;
	len += (size_t)snprintf(w->text, sizeof(w->text), "%s", n > 1 ? "hooks are silent: " :
								       "a hook is silent: ");
	n = 0;
	for (size_t i = 0; i < prove_nrows; i++) {
		if (!c->hooks[i].silent || n++ >= NAMED || len >= sizeof(w->text))
			continue;
		len += (size_t)snprintf(w->text + len, sizeof(w->text) - len,
					"%s%s (%s: %s)", n > 1 ? ", " : "",
					prove_rows[i].prog, kinds[layer_of(i)],
					prove_rows[i].access);
	}
	if (n > NAMED && len < sizeof(w->text))
		(void)snprintf(w->text + len, sizeof(w->text) - len, ", and %zu more", n - NAMED);
	(void)snprintf(w->remedy, sizeof(w->remedy), "find out who detached %s, and restart "
		       "egressd, which attaches %s anew", n > 1 ? "them" : "it",
		       n > 1 ? "them" : "it");
}

/* One of the two layers as a whole: they are silenced by different things. */
static bool say_layer(const struct canary *c, enum canary_layer which, struct canary_words *w)
{
	const struct layer l = look(c, which), other = look(c, !which);

	if (!l.silent || l.proved || l.hooks < 2 || (other.silent && other.proved))
		return false;
	(void)snprintf(w->text, sizeof(w->text),
		       "%s silent: %zu accesses that must be refused were not, none was",
		       other.silent ? "both layers, LSM and cgroup, are" :
		       which == CANARY_LSM ? "the LSM layer is" : "the cgroup layer is",
		       l.silent + other.silent);
	(void)snprintf(w->remedy, sizeof(w->remedy), "%s",
		       which == CANARY_LSM ? "sysctl kernel.ftrace_enabled=1, without which no LSM "
					     "program runs; else restart egressd" :
					     "restart egressd, which attaches its programs anew");
	return true;
}

static void say_unproved(const struct canary *c, struct canary_words *w)
{
	if (*c->failure)
		(void)snprintf(w->text, sizeof(w->text), "the hooks cannot be proved: %s",
			       c->failure);
	else if (!c->ended_us)
		(void)snprintf(w->text, sizeof(w->text), "the hooks are not proved yet");
	else
		(void)snprintf(w->text, sizeof(w->text), "no hook of a layer can be tried");
	(void)snprintf(w->remedy, sizeof(w->remedy), "egressctl doctor");
}

enum canary_state canary_words(const struct canary *c, uint64_t now_us, struct canary_words *w)
{
	enum canary_state state = canary_state(c, now_us);

	*w = (struct canary_words){};
	if (state == CANARY_SILENT) {
		if (!say_layer(c, CANARY_LSM, w) && !say_layer(c, CANARY_CGROUP, w))
			name_silent(c, w);
	} else if (state == CANARY_UNPROVED) {
		say_unproved(c, w);
	}
	return state;
}
