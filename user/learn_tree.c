// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "learn_tree.h"
#include "util.h"

/*
 * Names in one directory, or rules anywhere below it, from which on the directory is
 * meant. Three files are listed; a fourth one is easier read as "what is in there".
 */
#define FOLD_NAMES 4u
#define FOLD_RULES 9u

/* ---- the tree --------------------------------------------------------------------- */

static struct learn_node *new_node(struct learn_node *parent, const char *name, size_t len)
{
	struct learn_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->parent = parent;
	n->name = malloc(len + 1);
	if (!n->name) {
		free(n);
		return NULL;
	}
	memcpy(n->name, name, len);
	n->name[len] = '\0';
	n->len = len;
	return n;
}

int learn_tree_init(struct learn_tree *t)
{
	t->root = new_node(NULL, "", 0);
	return t->root ? 0 : -ENOMEM;
}

/* The last node of the subtree goes first: no recursion, paths have up to 2048 names. */
void learn_tree_clear(struct learn_tree *t)
{
	struct learn_node *n = t->root, *up;

	while (n) {
		if (n->children) {
			n = n->children;
			continue;
		}
		up = n->parent;
		if (up)
			up->children = n->next;
		free(n->name);
		free(n);
		n = up;
	}
	t->root = NULL;
}

static int compare(const struct learn_node *n, const char *name, size_t len)
{
	int d = memcmp(n->name, name, MIN(n->len, len));

	return d ? d : (n->len > len) - (n->len < len);
}

static struct learn_node *put_child(struct learn_node *dir, const char *name, size_t len)
{
	struct learn_node **at = &dir->children, *n;

	if (dir->last && compare(dir->last, name, len) < 0)
		at = &dir->last->next;
	while (*at && compare(*at, name, len) < 0)
		at = &(*at)->next;
	if (*at && !compare(*at, name, len))
		return *at;
	n = new_node(dir, name, len);
	if (!n)
		return NULL;
	n->next = *at;
	*at = n;
	if (!n->next)
		dir->last = n;
	return n;
}

struct learn_node *learn_tree_put(struct learn_tree *t, const char *path, size_t len)
{
	struct learn_node *n = t->root;
	size_t at = 0;

	while (n && at < len) {
		size_t end;

		while (at < len && path[at] == '/')
			at++;
		for (end = at; end < len && path[end] != '/';)
			end++;
		if (end > at)
			n = put_child(n, path + at, end - at);
		at = end;
	}
	return n;
}

static void add_path(const struct learn_node *n, struct text *out)
{
	const struct learn_node *up;
	size_t len = 0, at;

	for (up = n; up->parent; up = up->parent)
		len += up->len + 1;
	at = out->len + len;
	for (size_t i = 0; i < len; i++)
		text_add(out, "/");
	for (up = n; up->parent && !out->failed; up = up->parent) {
		at -= up->len;
		memcpy(out->p + at, up->name, up->len);
		at--;
	}
}

void learn_node_path(const struct learn_node *n, struct text *out)
{
	text_reset(out);
	if (n->parent)
		add_path(n, out);
	else
		text_add(out, "/");
}

struct learn_node *learn_node_next(struct learn_node *n)
{
	if (n->children)
		return n->children;
	while (n && !n->next)
		n = n->parent;
	return n ? n->next : NULL;
}

/* ---- folding ------------------------------------------------------------------------ */

uint8_t learn_group_bits(enum learn_group g)
{
	static const uint8_t bits[GROUPS] = { EG_R, EG_W | EG_C, EG_X };

	return bits[g];
}

/* The first of the subtree in the order in which children come before their parents. */
static struct learn_node *deepest(struct learn_node *n)
{
	while (n->children)
		n = n->children;
	return n;
}

static struct learn_node *next_up(struct learn_node *n)
{
	return n->next ? deepest(n->next) : n->parent;
}

/* A rule stands at `n`, for all of the group below it or for its own need alone. */
static void set_rule(struct learn_node *n, enum learn_group g, bool take)
{
	uint8_t bit = (uint8_t)(1u << g), perm = (take ? n->all : n->need) & learn_group_bits(g);

	n->nrules[g] = 0;
	for (struct learn_node *c = n->children; c && !(take && perm); c = c->next)
		n->nrules[g] += c->nrules[g];
	if (!perm)
		return;
	n->perm |= perm;
	n->fold |= bit;
	n->taken |= take ? bit : 0;
	n->nrules[g]++;
}

static void sum_up(struct learn_node *n)
{
	n->all = n->need;
	for (enum learn_group g = 0; g < GROUPS; g++)
		n->all_who[g] = n->who[g];
	for (struct learn_node *c = n->children; c; c = c->next) {
		n->all |= c->all;
		for (enum learn_group g = 0; g < GROUPS; g++)
			learn_who_join(&n->all_who[g], &c->all_who[g]);
	}
}

static bool stands_for_all(const struct learn_node *n, enum learn_group g)
{
	uint32_t names = 0, rules = 0;

	if (n->made)
		return true;
	for (const struct learn_node *c = n->children; c; c = c->next) {
		if (!c->nrules[g])
			continue;
		names++;
		rules += c->nrules[g];
		if (learn_name_random(c->name, c->len))
			return true;
	}
	if (!names)
		return false;
	/* a directory that is listed or changed itself: its rule covers what is in it */
	return (n->need & learn_group_bits(g)) || names >= FOLD_NAMES || rules >= FOLD_RULES;
}

/* A name that is another one each time, where the directory may not stand for it. */
static bool random_here(const struct learn_node *n, const struct learn_input *in,
			struct text *path)
{
	if (!n->parent || !learn_name_random(n->name, n->len))
		return false;
	learn_node_path(n->parent, path);
	return !path->failed && !learn_foldable(in, path->p);
}

static void fold_node(struct learn_node *n, const struct learn_input *in, struct text *path)
{
	bool random = random_here(n, in, path), foldable;

	learn_node_path(n, path);
	if (path->failed)
		return;
	foldable = learn_foldable(in, path->p);
	sum_up(n);
	for (enum learn_group g = 0; g < GROUPS; g++)
		set_rule(n, g, random || (foldable && stands_for_all(n, g)));
	n->only_names = n->listed && !foldable && (n->need & EG_R);
}

int learn_tree_fold(struct learn_tree *t, const struct learn_input *in)
{
	struct text path = { 0 };
	struct learn_node *n;
	int err;

	for (n = t->root; n; n = learn_node_next(n)) {
		n->fold = n->taken = n->perm = 0;
		n->only_names = false;
	}
	for (n = deepest(t->root); n; n = n->parent ? next_up(n) : NULL)
		fold_node(n, in, &path);
	err = path.failed ? -ENOMEM : 0;
	text_free(&path);
	return err;
}
