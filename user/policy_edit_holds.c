/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a policy's text is an earlier one that only got more: what `--save` writes to
 * must be what the sandbox runs under, and it is still when others saved to it before.
 */
#include "policy_edit_int.h"

static bool holds(const struct ynode *now, const struct ynode *was, bool perms);

static bool has_letters(const char *now, const char *was)
{
	uint8_t have, need;

	/* what was closed by name stays closed */
	return !policy_perm_parse(now, &have) && !policy_perm_parse(was, &need) && need &&
	       (have & need) == need;
}

/* Whoever adds an entry leaves the others in their order. */
static bool holds_list(const struct ynode *now, const struct ynode *was)
{
	const struct ynode *n = now->first;

	for (const struct ynode *w = was->first; w; w = w->next, n = n->next) {
		while (n && !holds(n, w, false))
			n = n->next;
		if (!n)
			return false;
	}
	return true;
}

static bool holds_map(const struct ynode *now, const struct ynode *was, bool perms)
{
	const struct ynode *n = now->first, *at;

	for (const struct ynode *w = was->first; w; w = w->next) {
		/* as a rule the next one: looking for each from the first on takes too long */
		at = n && str_eq(n->key->text, w->key->text) ? n : edit_child(now, w->key->text);
		if (!at || !holds(at, w, perms))
			return false;
		n = at->next;
	}
	return true;
}

static bool holds(const struct ynode *now, const struct ynode *was, bool perms)
{
	if (now->type != was->type)
		return false;
	if (now->type == Y_LIST)
		return holds_list(now, was);
	if (now->type == Y_MAP)
		return holds_map(now, was, perms);
	if (ynode_is_null(now) != ynode_is_null(was))
		return false;
	return str_eq(now->text, was->text) || (perms && has_letters(now->text, was->text));
}

static bool holds_top(const struct ynode *now, const struct ynode *was)
{
	const struct ynode *n;

	for (const struct ynode *w = was->first; w; w = w->next) {
		n = edit_child(now, w->key->text);
		if (!n || !holds(n, w, str_eq(w->key->text, "files")))
			return false;
	}
	return true;
}

int policy_edit_holds(const char *file, const char *text, size_t len, const char *was,
		      size_t was_len, struct diag *d)
{
	struct ydoc now, before;
	int err;

	if (len == was_len && !memcmp(text, was, len))
		return 1;
	err = ydoc_parse(file, text, len, &now, d);
	if (err)
		return err;
	err = ydoc_parse(file, was, was_len, &before, d);
	if (!err) {
		err = holds_top(now.root, before.root);
		ydoc_free(&before);
	}
	ydoc_free(&now);
	return err;
}
