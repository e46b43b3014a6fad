/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which sandbox a request means, among those that the peer may see. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ref.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

bool server_may_see(const struct conn *c, const struct sandbox *b)
{
	return c->peer.uid == 0 || c->peer.uid == sandbox_uid(b);
}

struct sandbox *server_newest(struct conn *c)
{
	struct sandbox *b = NULL, *newest = NULL;

	while ((b = sandboxes_next(c->s->sandboxes, b)))
		if (server_may_see(c, b))
			newest = b;
	return newest;
}

/* The visible one whose number or name is most like `text`; the newest of several. */
static const struct sandbox *nearest(struct conn *c, const char *text)
{
	const struct sandbox *best = NULL;
	size_t least = SIZE_MAX;
	struct sandbox *b = NULL;
	char id[24];

	while ((b = sandboxes_next(c->s->sandboxes, b))) {
		size_t far;

		if (!server_may_see(c, b))
			continue;
		(void)snprintf(id, sizeof(id), "%" PRIu64, sandbox_id(b));
		far = ref_distance(text, id);
		if (sandbox_name(b)[0])
			far = MIN(far, ref_distance(text, sandbox_name(b)));
		if (far > least)
			continue;
		least = far;
		best = b;
	}
	return best;
}

static int none_such(struct conn *c, const char *text, struct diag *d)
{
	const struct sandbox *b = nearest(c, text);

	if (!b)
		return diag_set(d, -ENOENT, "no sandbox '%s': none of yours is live", text);
	if (!sandbox_name(b)[0])
		return diag_set(d, -ENOENT, "no live sandbox '%s'; the nearest is %" PRIu64, text,
				sandbox_id(b));
	return diag_set(d, -ENOENT, "no live sandbox '%s'; the nearest is %" PRIu64 " (%s)", text,
			sandbox_id(b), sandbox_name(b));
}

static struct sandbox *by_name(struct conn *c, const char *name, struct diag *d)
{
	struct sandbox *b = NULL, *found = NULL;

	while ((b = sandboxes_next(c->s->sandboxes, b))) {
		if (!server_may_see(c, b) || !str_eq(sandbox_name(b), name))
			continue;
		if (found) {
			(void)diag_set(d, -EEXIST, "several sandboxes are called '%s', %" PRIu64
				       " and %" PRIu64 " among them: say which by its number",
				       name, sandbox_id(found), sandbox_id(b));
			return NULL;
		}
		found = b;
	}
	if (!found)
		(void)none_such(c, name, d);
	return found;
}

struct sandbox *server_find(struct conn *c, const json_t *ref, struct diag *d)
{
	const char *text = json_string_value(ref);
	struct sandbox *b;
	char id[24];

	if (json_is_integer(ref)) {
		json_int_t n = json_integer_value(ref);

		b = n > 0 ? sandboxes_find(c->s->sandboxes, (uint64_t)n) : NULL;
		if (b && server_may_see(c, b))
			return b;
		(void)snprintf(id, sizeof(id), "%lld", (long long)n);
		(void)none_such(c, id, d);
		return NULL;
	}
	if (!text || !*text) {
		(void)diag_set(d, -EINVAL, "bad request: which sandbox?");
		return NULL;
	}
	if (!str_eq(text, REF_LAST))
		return by_name(c, text, d);
	b = server_newest(c);
	if (!b)
		(void)diag_set(d, -ENOENT, "none of your sandboxes is live");
	return b;
}

static void try_policies(struct nearest *near, const struct sandbox *b)
{
	_cleanup_free_ char *names = strdup(sandbox_policies(b));
	char *left = names, *name;

	while (names && (name = strsep(&left, "\n")))
		nearest_try(near, name);
}

int server_no_policy(struct conn *c, const char *policy, struct diag *d)
{
	struct nearest near = { .text = policy };
	struct sandbox *b = NULL;

	while ((b = sandboxes_next(c->s->sandboxes, b)))
		if (server_may_see(c, b))
			try_policies(&near, b);
	return diag_set(d, -ENOENT, "none of your live sandboxes is under the policy '%s'%s",
			policy, nearest_words(&near));
}

int server_no_grant(struct conn *c, uint64_t grant, struct diag *d)
{
	char text[24], number[24];
	struct nearest near = { .text = text };
	struct sandbox *b = NULL;

	(void)snprintf(text, sizeof(text), "g%" PRIu64, grant);
	while ((b = sandboxes_next(c->s->sandboxes, b))) {
		json_t *list = server_may_see(c, b) ? grants_describe(b) : NULL, *g;
		size_t i;

		json_array_foreach(list, i, g) {
			(void)snprintf(number, sizeof(number), "g%lld",
				       json_integer_value(json_object_get(g, "grant")));
			nearest_try(&near, number);
		}
		json_decref(list);
	}
	return diag_set(d, -ENOENT, "no grant %s in your live sandboxes%s: see egressctl grants",
			text, nearest_words(&near));
}
