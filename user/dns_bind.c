// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which addresses a sandbox's names have, until when, and which one goes for a new one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns_bind.h"
#include "util.h"

#define NS_PER_S 1000000000ull
#define LOOK_AGAIN (30 * NS_PER_S) /* at an ended address that is used */

/* ---- places ------------------------------------------------------------------------ */

static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static int compare_end(const void *a, const void *b)
{
	const struct dns_end *x = a, *y = b;

	if (x->look != y->look)
		return x->look < y->look ? -1 : 1;
	return x < y ? -1 : x > y;
}

void dns_bind_init(struct dns_bindings *b, const struct dns_ops *ops, void *ctx)
{
	memset(b, 0, sizeof(*b));
	b->ops = ops;
	b->ctx = ctx;
	ldns_rbtree_init(&b->by_addr, compare_addr);
	ldns_rbtree_init(&b->by_end, compare_end);
	TAILQ_INIT(&b->idle);
}

static struct dns_binding *search(struct dns_bindings *b, const uint8_t addr[16])
{
	return (struct dns_binding *)ldns_rbtree_search(&b->by_addr, addr);
}

static void look_at(struct dns_bindings *b, struct dns_binding *e, uint64_t when)
{
	if (when == e->by_end.look)
		return;
	(void)ldns_rbtree_delete(&b->by_end, &e->by_end);
	e->by_end.look = when;
	(void)ldns_rbtree_insert(&b->by_end, &e->by_end.node);
}

static struct dns_binding *first_ended(const struct dns_bindings *b, uint64_t now)
{
	ldns_rbnode_t *node = ldns_rbtree_first(&b->by_end);
	struct dns_binding *e;

	if (node == LDNS_RBTREE_NULL)
		return NULL;
	e = (struct dns_binding *)node->data;
	return e->by_end.look <= now ? e : NULL;
}

static void free_name(struct dns_bindings *b, struct dns_binding *e, struct dns_bound_name **at)
{
	struct dns_bound_name *n = *at;

	*at = n->next;
	e->nnames--;
	b->nnames--;
	free(n);
}

/* Out of all places here; what the kernel has is the caller's business. */
static void forget(struct dns_bindings *b, struct dns_binding *e)
{
	while (e->names)
		free_name(b, e, &e->names);
	(void)ldns_rbtree_delete(&b->by_addr, e->addr);
	(void)ldns_rbtree_delete(&b->by_end, &e->by_end);
	if (e->pinned)
		b->npinned--;
	else
		TAILQ_REMOVE(&b->idle, e, list);
	b->count--;
	free(e);
}

static void unbind(struct dns_bindings *b, struct dns_binding *e)
{
	/* one that cannot be taken back has its end all the same: the kernel looks at the time */
	(void)b->ops->unbind(b->ctx, e->addr);
	forget(b, e);
}

void dns_bind_clear(struct dns_bindings *b)
{
	ldns_rbnode_t *node;

	while ((node = ldns_rbtree_first(&b->by_end)) != LDNS_RBTREE_NULL)
		forget(b, (struct dns_binding *)node->data);
}

/* ---- giving up --------------------------------------------------------------------- */

static bool used(struct dns_bindings *b, struct dns_binding *e)
{
	return b->ops->in_use(b->ctx, e->addr);
}

/* One that has ended and is not used; those that are used are not looked at again soon. */
static struct dns_binding *idle_ended(struct dns_bindings *b, uint64_t now)
{
	struct dns_binding *e;

	for (uint32_t n = 0; n < DNS_LOOK_AT && (e = first_ended(b, now)); n++) {
		if (!used(b, e))
			return e;
		look_at(b, e, now + LOOK_AGAIN);
	}
	return NULL;
}

/* The one idle for longest: those at the front that were used go to the back. */
static struct dns_binding *idle_longest(struct dns_bindings *b, uint64_t now)
{
	struct dns_binding *e;

	for (uint32_t n = 0; n < DNS_LOOK_AT && (e = TAILQ_FIRST(&b->idle)); n++) {
		uint64_t last = b->ops->last_used(b->ctx, e->addr);

		if (last <= e->used && !used(b, e))
			return e;
		e->used = last > e->used ? last : now;
		TAILQ_REMOVE(&b->idle, e, list);
		TAILQ_INSERT_TAIL(&b->idle, e, list);
	}
	return NULL;
}

static int give_one_up(struct dns_bindings *b, uint64_t now)
{
	struct dns_binding *e = idle_ended(b, now);

	if (!e) {
		e = idle_longest(b, now);
		b->given_up += !!e;
	}
	if (!e)
		return -ENOSPC;
	unbind(b, e);
	return 0;
}

static int make_room(struct dns_bindings *b, uint64_t now)
{
	bool given = false;
	int err = 0;

	while (!err && (b->count >= DNS_MAX_BINDINGS || b->nnames >= DNS_MAX_BOUND_NAMES)) {
		err = give_one_up(b, now);
		given = true;
	}
	/* of a table that is others', too: one for one of its own can always be had */
	if (!err && !given && b->ops->room && !b->ops->room(b->ctx))
		err = give_one_up(b, now);
	return err;
}

void dns_bind_sweep(struct dns_bindings *b, uint64_t now)
{
	struct dns_binding *e;

	for (uint32_t n = 0; n < DNS_SWEEP && (e = first_ended(b, now)); n++) {
		if (used(b, e))
			look_at(b, e, now + LOOK_AGAIN);
		else
			unbind(b, e);
	}
}

/* ---- binding ----------------------------------------------------------------------- */

static uint32_t classes_of(const struct dns_binding *e)
{
	uint32_t classes = 0;

	for (const struct dns_bound_name *n = e->names; n; n = n->next)
		classes |= n->classes;
	return classes;
}

static void set_pinned(struct dns_bindings *b, struct dns_binding *e, bool pinned)
{
	if (e->pinned == pinned)
		return;
	e->pinned = pinned;
	if (pinned) {
		TAILQ_REMOVE(&b->idle, e, list);
		b->npinned++;
	} else {
		TAILQ_INSERT_TAIL(&b->idle, e, list);
		b->npinned--;
	}
}

/* Its names changed: the end and the classes follow, here and in the kernel. */
static int update(struct dns_bindings *b, struct dns_binding *e)
{
	e->end = 0;
	for (const struct dns_bound_name *n = e->names; n; n = n->next)
		e->end = MAX(e->end, n->expires);
	look_at(b, e, e->end);
	set_pinned(b, e, e->end == DNS_FOREVER);
	return b->ops->bind(b->ctx, e->addr, classes_of(e), e->end);
}

static struct dns_binding *new_binding(struct dns_bindings *b, const uint8_t addr[16])
{
	struct dns_binding *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	memcpy(e->addr, addr, 16);
	e->by_addr.key = e->addr;
	e->by_end.node.key = &e->by_end;
	e->by_end.node.data = e;
	(void)ldns_rbtree_insert(&b->by_addr, &e->by_addr);
	(void)ldns_rbtree_insert(&b->by_end, &e->by_end.node);
	TAILQ_INSERT_TAIL(&b->idle, e, list);
	b->count++;
	return e;
}

/*
 * Ended names go when the address is bound again, so that it does not keep what
 * only they opened; but not under a flow that one of them began.
 */
static void drop_ended(struct dns_bindings *b, struct dns_binding *e, uint64_t now)
{
	struct dns_bound_name **at = &e->names, *n;
	bool any = false;

	for (n = e->names; n; n = n->next)
		any |= n->expires <= now;
	if (!any || used(b, e))
		return;
	while (*at) {
		if ((*at)->expires <= now)
			free_name(b, e, at);
		else
			at = &(*at)->next;
	}
}

/* The one that is missed least: ended, or opening no more than the new one, or near its end. */
static void drop_name(struct dns_bindings *b, struct dns_binding *e, uint32_t classes, uint64_t now)
{
	struct dns_bound_name **worst = NULL;
	unsigned int worst_rank = 0;

	for (struct dns_bound_name **at = &e->names; *at; at = &(*at)->next) {
		unsigned int rank = (*at)->expires <= now ? 3 :
				    !((*at)->classes & ~classes) ? 2 :
								   1;

		if (rank > worst_rank ||
		    (rank == worst_rank && (*at)->expires < (*worst)->expires)) {
			worst = at;
			worst_rank = rank;
		}
	}
	if (worst)
		free_name(b, e, worst);
}

/* `name` among the address's names, first. NULL: no memory. */
static struct dns_bound_name *put_name(struct dns_bindings *b, struct dns_binding *e,
				       const char *name, uint32_t classes, uint64_t now)
{
	struct dns_bound_name *n, **at;

	for (at = &e->names; *at; at = &(*at)->next)
		if (str_eq((*at)->name, name))
			break;
	n = *at;
	if (n) {
		*at = n->next;
	} else {
		n = calloc(1, sizeof(*n) + strlen(name) + 1);
		if (!n)
			return NULL;
		strcpy(n->name, name);
		if (e->nnames == DNS_MAX_NAMES_PER_ADDRESS)
			drop_name(b, e, classes, now);
		e->nnames++;
		b->nnames++;
	}
	n->next = e->names;
	e->names = n;
	return n;
}

int dns_bind(struct dns_bindings *b, const uint8_t addr[16], const char *name, uint32_t classes,
	     uint64_t expires, uint64_t now)
{
	struct dns_binding *e = search(b, addr);
	struct dns_bound_name *n;
	bool fresh = !e;
	int err;

	if (e) {
		drop_ended(b, e, now);
	} else {
		err = make_room(b, now);
		if (err)
			return err;
		e = new_binding(b, addr);
		if (!e)
			return -ENOMEM;
	}
	n = put_name(b, e, name, classes, now);
	if (!n) {
		if (!e->names)
			unbind(b, e);
		return -ENOMEM;
	}
	n->classes = classes;
	n->expires = MAX(n->expires, expires);
	n->stale = false;
	e->used = now;
	if (!e->pinned) {
		TAILQ_REMOVE(&b->idle, e, list);
		TAILQ_INSERT_TAIL(&b->idle, e, list);
	}
	err = update(b, e);
	/* what the kernel did not take is not kept as if it had; an older one of it may be there */
	if (err && fresh)
		forget(b, e);
	return err;
}

struct dns_binding *dns_bind_find(struct dns_bindings *b, const uint8_t addr[16], uint64_t now)
{
	struct dns_binding *e = search(b, addr);

	return e && e->end > now ? e : NULL;
}

const char *dns_bind_name_of(struct dns_bindings *b, const uint8_t addr[16])
{
	struct dns_binding *e = search(b, addr);

	return e ? e->names->name : NULL;
}

/* ---- all of them ------------------------------------------------------------------- */

void dns_bind_repin_begin(struct dns_bindings *b)
{
	struct dns_binding *e;

	LDNS_RBTREE_FOR(e, struct dns_binding *, &b->by_addr)
		for (struct dns_bound_name *n = e->names; n; n = n->next)
			n->stale = n->expires == DNS_FOREVER;
}

void dns_bind_repin_end(struct dns_bindings *b, uint64_t now)
{
	struct dns_binding *e;

	LDNS_RBTREE_FOR(e, struct dns_binding *, &b->by_addr) {
		bool any = false;

		for (struct dns_bound_name *n = e->names; n; n = n->next) {
			if (!n->stale)
				continue;
			n->stale = false;
			n->expires = now + (DNS_LOCAL_TTL + DNS_GRACE) * NS_PER_S;
			any = true;
		}
		/* where the kernel does not take it, what is there goes */
		if (any && update(b, e))
			(void)b->ops->unbind(b->ctx, e->addr);
	}
}

static bool still_allowed(struct dns_bindings *b, const struct dns_binding *e,
			  struct dns_bound_name *n)
{
	n->classes = b->ops->classes(b->ctx, n->name);
	return n->classes && (!dns_address_special(e->addr) ||
			      b->ops->address_ok(b->ctx, e->addr, n->classes));
}

void dns_bind_reload(struct dns_bindings *b)
{
	ldns_rbnode_t *node = ldns_rbtree_first(&b->by_addr), *next;

	for (; node != LDNS_RBTREE_NULL; node = next) {
		struct dns_binding *e = (struct dns_binding *)node;
		struct dns_bound_name **at = &e->names;

		next = ldns_rbtree_next(node);
		while (*at) {
			if (still_allowed(b, e, *at))
				at = &(*at)->next;
			else
				free_name(b, e, at);
		}
		if (!e->names || update(b, e))
			unbind(b, e);
	}
}
