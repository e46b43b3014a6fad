/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The objects that a version's rules are about: found, held open, and in the map. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "anchors.h"
#include "automaton.h"
#include "bpf_load.h"
#include "compile.h"
#include "publish_int.h"
#include "util.h"

static int bound_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct eg_object));
}

static int popcount_perm(uint32_t state)
{
	return __builtin_popcount(state >> EG_DFA_PERM_SHIFT & EG_PERM_ALL);
}

void anchor_set_release(struct anchor_set *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		if (set->a[i].fd >= 0)
			close(set->a[i].fd);
		set->a[i].fd = -1;
	}
}

void anchor_set_clear(struct anchor_set *set)
{
	anchor_set_release(set);
	free(set->a);
	*set = (struct anchor_set){};
}

/* Sort, and of one object by several names keep the strictest. */
static void unite_anchors(struct anchor_set *set)
{
	uint32_t i, kept = 0;

	qsort(set->a, set->n, sizeof(*set->a), bound_cmp);
	for (i = 0; i < set->n; i++) {
		struct bound_anchor *last = kept ? &set->a[kept - 1] : NULL;

		if (!last || bound_cmp(last, &set->a[i])) {
			set->a[kept++] = set->a[i];
			continue;
		}
		if (popcount_perm(set->a[i].v.state) < popcount_perm(last->v.state)) {
			last->v = set->a[i].v;
			last->anchor = set->a[i].anchor;
		}
		if (set->a[i].fd >= 0)
			close(set->a[i].fd);
	}
	set->n = kept;
}

int publish_bind_anchors(struct publisher *p, const struct compiled *c, struct anchor_set *out,
			 struct diag *d)
{
	_cleanup_free_ struct anchor_object *seen = NULL;
	uint32_t i;
	int err;

	*out = (struct anchor_set){};
	if (!c->nanchors || c->unbound || agent_egress_only(p->a))
		return 0;
	seen = calloc(c->nanchors, sizeof(*seen));
	out->a = calloc(c->nanchors, sizeof(*out->a));
	err = seen && out->a ? anchors_scout(p->a, c, seen, d) :
			       diag_set(d, -ENOMEM, "out of memory");
	if (err) {
		anchor_set_clear(out);
		return err;
	}
	for (i = 0; i < c->nanchors; i++) {
		struct bound_anchor *b = &out->a[out->n];

		if (!seen[i].found)
			continue;
		b->object = seen[i].object;
		b->v.state = c->anchors[i].state;
		b->v.rule = c->anchors[i].rule;
		b->anchor = i;
		b->fd = seen[i].fd;
		out->n++;
	}
	unite_anchors(out);
	return 0;
}

int publish_copy_anchors(const struct entry *from, const struct compiled *c,
			 struct anchor_set *out, struct diag *d)
{
	*out = (struct anchor_set){};
	out->a = calloc(from->anchors.n + 1, sizeof(*out->a));
	if (!out->a)
		return diag_set(d, -ENOMEM, "out of memory");
	for (; out->n < from->anchors.n; out->n++) {
		struct bound_anchor *b = &out->a[out->n];

		*b = from->anchors.a[out->n];
		b->v.state = c->anchors[b->anchor].state;
		if (b->fd >= 0)
			b->fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 3);
		if (b->fd < 0 && from->anchors.a[out->n].fd >= 0)
			return diag_set(d, -errno, "cannot hold an anchored object: %s",
					strerror(errno));
	}
	return 0;
}

int publish_put_anchors(struct publisher *p, struct entry *e, struct eg_policy *head,
			struct diag *d)
{
	int fd = agent_map_fd(p->a, AGENT_MAP_ANCHORS);
	uint32_t i;

	if (e->anchors.n > p->anchors_left)
		return diag_set(d, -ENOSPC, "no room for more than %u anchored objects",
				EG_MAX_ANCHORS);
	for (i = 0; i < e->anchors.n; i++) {
		struct eg_anchor_key key = { e->anchors.a[i].object, e->v.serial, 0 };
		struct eg_anchor v = e->anchors.a[i].v;
		uint32_t bit = eg_anchor_hash(key.object.ino, key.object.dev);

		v.state = automaton_relocate_state(v.state, e->slots.first);
		if (bpf_map_update_elem(fd, &key, &v, BPF_ANY))
			return diag_set(d, -errno, "cannot store an anchor: %s", strerror(errno));
		e->anchors_put++;
		p->anchors_left--;
		head->bloom[bit / 64] |= 1ull << (bit % 64);
	}
	head->nanchors = e->anchors.n;
	return 0;
}

bool anchor_set_same(const struct anchor_set *a, const struct anchor_set *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (bound_cmp(&a->a[i], &b->a[i]) ||
		    memcmp(&a->a[i].v, &b->a[i].v, sizeof(a->a[i].v)))
			return false;
	return true;
}
