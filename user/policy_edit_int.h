/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between policy_edit.c, policy_edit_rule.c, policy_edit_text.c and policy_save.c only. */
#ifndef EGRESSCTL_POLICY_EDIT_INT_H
#define EGRESSCTL_POLICY_EDIT_INT_H

#include "allow.h"
#include "event_text.h"
#include "policy_edit.h"
#include "policy_int.h"

/* ---- policy_edit_rule.c: what a rule means --------------------------------------- */

enum edit_verb {
	EDIT_OPEN = ALLOW_OPEN,
	EDIT_CONNECT = ALLOW_CONNECT,
	EDIT_UNIX = ALLOW_UNIX,
	EDIT_SOCKET = ALLOW_SOCKET,
	EDIT_PRIVILEGE = ALLOW_PRIVILEGE,
	EDIT_LOOPBACK,
};

struct edit_rule {
	enum edit_verb verb;
	char *arg; /* as given */
	char *key; /* open, unix: in its one spelling */
	struct policy_dest dest; /* connect; loopback: its ports, none for "own" */
	uint8_t perm; /* open: EG_R … */
	struct ydoc map; /* connect {…}: its nodes; root NULL: it is a word */
};

/* To be cleared whatever is returned. -EINVAL with a message. */
int edit_rule_parse(const char *text, struct edit_rule *r, struct diag *d);
void edit_rule_clear(struct edit_rule *r);

/*
 * Add to an `open` rule what `p` allows at its path already: a path that is named
 * has what its rule says, so that a rule of fewer letters would take some away.
 */
int edit_rule_widen(struct edit_rule *r, const struct policy *p, struct diag *d);

/* Is the range one of those of `d`, or in one? */
bool edit_covers_ports(const struct policy_dest *d, const struct policy_ports *p);

/* -EINVAL and the line when a destination is denied, all of it, in `p`. */
int edit_rule_denied(const struct edit_rule *r, const struct policy *p, struct diag *d);

/*
 * Compile `p`, which holds the rule: a failure is described in `why`. -EINVAL and
 * the line in `d` when another rule has the last word about the path.
 */
int edit_rule_compile(const struct edit_rule *r, const struct policy *p, struct diag *d,
		      struct diag *why);

/* ---- policy_edit_text.c: where it is written ------------------------------------- */

struct edit_want {
	const char *keys[2]; /* of the section, from the top */
	unsigned int nkeys;
	const char *value; /* entry of the list, or key of the map */
	struct ynode *map; /* the entry is this map, which `value` is the text of; NULL: a word */
	const char *perm; /* value in the map; NULL: a list */
	const char *replace; /* key of the map whose value `perm` takes the place of, or NULL */
	const char *comment; /* behind it, without #; NULL: none */
	bool json; /* strings in quotes, no comment */
};

/* What the tree of the edited text must be: nodes to hang into the old one. */
struct edit_nodes {
	struct ynode v[6];
	unsigned int n;
};

/* The edited text, or -EINVAL when no place was found; t->failed: out of memory. */
int edit_text(const char *text, size_t len, const struct ydoc *doc, const struct edit_want *w,
	      struct text *t);

/* Change the tree of `doc` as edit_text() changes its text; the nodes are borrowed. */
void edit_tree(struct ydoc *doc, const struct edit_want *w, struct edit_nodes *nodes);
bool edit_same_tree(const struct ynode *a, const struct ynode *b);
struct ynode *edit_child(const struct ynode *map, const char *key);

/*
 * policy_edit_add() with a rule that is parsed and widened. `alone`: widen it by
 * the policy itself, unless that extends others.
 */
int edit_add(const char *file, const char *text, size_t len, struct edit_rule *r, bool alone,
	     const char *comment, char **out, size_t *out_len, struct diag *d);

/* A message about a text nobody has seen, without its place there. */
int edit_cannot(const char *file, const struct edit_rule *r, int err, const struct diag *why,
		struct diag *d);

#endif
