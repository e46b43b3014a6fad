/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One file says a destination twice, or allows and denies the very same: a slip
 * of the hand, and what it was meant to say is anybody's guess. Across files it
 * is not one: a child may deny what its parent allows.
 */
#include "policy_int.h"

static int cmp(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int policy_dest_cmp(const struct policy_dest *a, const struct policy_dest *b)
{
	int c = strcmp(a->name ? a->name : "", b->name ? b->name : "");

	c = c ? c : cmp(a->below * 2u + a->self, b->below * 2u + b->self);
	c = c ? c : memcmp(a->addr, b->addr, sizeof(a->addr));
	c = c ? c : cmp(a->plen, b->plen);
	c = c ? c : cmp(a->nports, b->nports);
	for (uint32_t i = 0; !c && i < a->nports; i++) {
		c = cmp(a->ports[i].lo, b->ports[i].lo);
		c = c ? c : cmp(a->ports[i].hi, b->ports[i].hi);
		c = c ? c : cmp(a->ports[i].proto, b->ports[i].proto);
	}
	return c;
}

static int index_cmp(const void *a, const void *b)
{
	const struct policy_dest *x = *(const struct policy_dest *const *)a;
	const struct policy_dest *y = *(const struct policy_dest *const *)b;
	int c = policy_dest_cmp(x, y);

	c = c ? c : cmp(x->at.line, y->at.line);
	return c ? c : cmp(x->at.col, y->at.col);
}

static int find_cmp(const void *a, const void *b)
{
	return policy_dest_cmp(*(const struct policy_dest *const *)a,
			       *(const struct policy_dest *const *)b);
}

static const struct policy_dest **sorted(const struct policy_dests *list)
{
	const struct policy_dest **v = calloc(list->n + 1, sizeof(*v));

	for (size_t i = 0; v && i < list->n; i++)
		v[i] = &list->v[i];
	if (v)
		qsort(v, list->n, sizeof(*v), index_cmp);
	return v;
}

static int listed_twice(const struct policy_dest **v, size_t n, const char *what, struct diag *d)
{
	for (size_t i = 1; i < n; i++)
		if (!policy_dest_cmp(v[i - 1], v[i]))
			return diag_at(d, -EINVAL, v[i]->at.file, v[i]->at.line, v[i]->at.col,
				       "%s: \"%s\" is listed twice, first at line %u", what,
				       v[i]->text, v[i - 1]->at.line);
	return 0;
}

int policy_check_lists(const struct policy *p, struct diag *d)
{
	_cleanup_free_ const struct policy_dest **allow = sorted(&p->allow);
	_cleanup_free_ const struct policy_dest **deny = sorted(&p->deny);
	const struct policy_dest **hit;
	int err;

	if (!allow || !deny)
		return diag_set(d, -ENOMEM, "out of memory");
	err = listed_twice(allow, p->allow.n, "allow", d);
	if (!err)
		err = listed_twice(deny, p->deny.n, "deny", d);
	for (size_t i = 0; !err && i < p->deny.n; i++) {
		hit = bsearch(&deny[i], allow, p->allow.n, sizeof(*allow), find_cmp);
		if (hit)
			err = diag_at(d, -EINVAL, deny[i]->at.file, deny[i]->at.line,
				      deny[i]->at.col,
				      "deny: \"%s\" is allowed at line %u: expected one of the two",
				      deny[i]->text, (*hit)->at.line);
	}
	return err;
}
