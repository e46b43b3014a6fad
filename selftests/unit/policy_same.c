// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "policy_same.h"

#include "policy_edit_int.h"

static const struct policy_path *find(const struct policy_paths *list, const char *key)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i].key, key))
			return &list->v[i];
	return NULL;
}

/* `old` is in the list still; one that the rule is about may have more letters. */
static bool is_in(const struct policy_path *old, const struct policy_paths *list, bool more)
{
	const struct policy_path *new;

	for (size_t i = 0; i < list->n; i++) {
		new = &list->v[i];
		if (str_eq(new->key, old->key) && new->unsafe == old->unsafe &&
		    (new->perm == old->perm || (more && !(old->perm & ~new->perm))))
			return true;
	}
	return false;
}

/* `key`: the one that may be new, or have more letters; NULL: none. */
static bool same_paths(const struct policy_paths *a, const struct policy_paths *b, const char *key,
		       uint8_t perm)
{
	const struct policy_path *new = key ? find(b, key) : NULL;

	if (key && (!new || (new->perm & perm) != perm))
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!is_in(&a->v[i], b, key && str_eq(a->v[i].key, key)))
			return false;
	return b->n == a->n + (key && !find(a, key));
}

static bool same_dest(const struct policy_dest *a, const struct policy_dest *b)
{
	return !policy_dest_cmp(a, b) && a->flags == b->flags && str_eq(a->text, b->text);
}

static bool same_dests(const struct policy_dests *a, const struct policy_dests *b,
		       const struct policy_dest *more)
{
	size_t k = 0;

	if (b->n != a->n + (more ? 1 : 0))
		return false;
	for (size_t i = 0; i < b->n; i++) {
		if (k < a->n && same_dest(&a->v[k], &b->v[i]))
			k++;
		else if (!more || policy_dest_cmp(more, &b->v[i]) ||
			 b->v[i].flags != more->flags)
			return false;
	}
	return k == a->n;
}

static bool same_strs(const struct policy_strs *a, const struct policy_strs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].text, b->v[i].text))
			return false;
	return true;
}

static bool same_num(const struct policy_num *a, const struct policy_num *b)
{
	return a->v == b->v && !a->at.file == !b->at.file;
}

static bool same_loopback(const struct policy_loopback *a, const struct policy_loopback *b,
			  const struct edit_rule *r)
{
	bool about = r->verb == EDIT_LOOPBACK;

	if ((about && !r->dest.nports ? !b->own : a->own != b->own) || a->host != b->host ||
	    a->none != b->none)
		return false;
	return same_dests(&a->ports, &b->ports, about && r->dest.nports ? &r->dest : NULL);
}

static bool same_rest(const struct policy *a, const struct policy *b)
{
	const struct policy_num *x[] = {
		&a->audit, &a->strict, &a->freeze, &a->full, &a->file_default, &a->listen_default,
		&a->memory, &a->pids, &a->cpu, &a->time,
	};
	const struct policy_num *y[] = {
		&b->audit, &b->strict, &b->freeze, &b->full, &b->file_default, &b->listen_default,
		&b->memory, &b->pids, &b->cpu, &b->time,
	};

	for (size_t i = 0; i < ARRAY_SIZE(x); i++)
		if (!same_num(x[i], y[i]))
			return false;
	for (size_t i = 0; i < a->listen.n && a->listen.n == b->listen.n; i++)
		if (a->listen.v[i].lo != b->listen.v[i].lo ||
		    a->listen.v[i].hi != b->listen.v[i].hi ||
		    a->listen.v[i].mode != b->listen.v[i].mode)
			return false;
	return a->listen.n == b->listen.n && same_strs(&a->env_keep, &b->env_keep) &&
	       same_strs(&a->env_set, &b->env_set) && same_strs(&a->env_only, &b->env_only) &&
	       !a->env_only_at.file == !b->env_only_at.file &&
	       !a->description == !b->description &&
	       (!a->description || str_eq(a->description, b->description));
}

/* Words are bits by now: at most one more, and only of what the rule is about. */
static bool one_more(uint32_t a, uint32_t b, bool may)
{
	return !(a & ~b) && __builtin_popcount(b & ~a) <= (may ? 1 : 0);
}

static const char *differs(const struct policy *a, const struct policy *b,
			   const struct edit_rule *r)
{
	enum edit_verb verb = r->verb;

	if (!same_paths(&a->files, &b->files, verb == EDIT_OPEN ? r->key : NULL, r->perm))
		return "files";
	if (!same_paths(&a->unixes, &b->unixes, verb == EDIT_UNIX ? r->key : NULL, EG_W))
		return "unix";
	if (!same_dests(&a->allow, &b->allow, verb == EDIT_CONNECT ? &r->dest : NULL))
		return "allow";
	if (!same_dests(&a->deny, &b->deny, NULL))
		return "deny";
	if (!one_more(a->sockets, b->sockets, verb == EDIT_SOCKET) ||
	    !one_more(a->netlink, b->netlink, verb == EDIT_SOCKET))
		return "sockets";
	if (!one_more(a->privileges, b->privileges, verb == EDIT_PRIVILEGE))
		return "privileges";
	if (!same_loopback(&a->loopback, &b->loopback, r))
		return "loopback";
	return same_rest(a, b) ? NULL : "something else";
}

const char *policy_same_but(const struct policy *a, const struct policy *b, const char *rule)
{
	struct edit_rule r;
	const char *what;

	what = edit_rule_parse(rule, &r, NULL) ? "no rule" : differs(a, b, &r);
	edit_rule_clear(&r);
	return what;
}

unsigned int policy_lines_lost(const char *before, const char *after)
{
	unsigned int lost = 0;
	size_t len;

	for (; *before; before += len + (before[len] == '\n')) {
		const char *at = after;

		len = strcspn(before, "\n");
		while (*at && !(strcspn(at, "\n") == len && !strncmp(at, before, len)))
			at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n');
		if (strcspn(at, "\n") != len || strncmp(at, before, len))
			lost++;
		else
			after = at + len + (at[len] == '\n');
	}
	return lost;
}

bool policy_bytes_kept(const char *before, const char *after)
{
	for (; *after && *before; after++)
		before += *before == *after;
	return !*before;
}
