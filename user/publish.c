/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Publishing: everything a version consists of is stored under its new serial
 * and in ranges nobody uses, then its `policies` slot gets the serial, and only
 * then may a sandbox point at it. Freeing goes the other way round.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "automaton.h"
#include "bpf_load.h"
#include "compile.h"
#include "diag.h"
#include "publish.h"
#include "publish_int.h"
#include "state.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/* ---- look-up ---------------------------------------------------------------------- */

static uint64_t hash_key(const char *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a, to compare few keys in full */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3ull;
	return h;
}

static struct entry *find_key(struct publisher *p, const char *key, size_t len)
{
	uint64_t hash = hash_key(key, len);
	uint32_t i;

	for (i = 0; i < EG_MAX_POLICIES; i++) {
		struct entry *e = p->by_slot[i];

		if (e && !e->stale && e->hash == hash && e->key_len == len &&
		    !memcmp(e->key, key, len))
			return e;
	}
	return NULL;
}

const struct version *publisher_version(const struct publisher *p, uint32_t serial)
{
	uint32_t i;

	for (i = 0; i < EG_MAX_POLICIES; i++)
		if (p->by_slot[i] && p->by_slot[i]->v.serial == serial)
			return &p->by_slot[i]->v;
	return NULL;
}

const struct compiled *publisher_find(const struct publisher *p, uint32_t serial)
{
	const struct version *v = publisher_version(p, serial);

	return v ? v->compiled : NULL;
}

/* ---- filling ------------------------------------------------------------------------ */

static void fill_automaton(struct publisher *p, const struct entry *e)
{
	const struct compiled *c = e->compiled;

	automaton_relocate(agent_dfa(p->a)->slots + e->slots.first, c->slots, c->nslots,
			   e->slots.first);
}

static int fill_prefixes(struct publisher *p, struct entry *e, struct diag *d)
{
	const struct compiled *c = e->compiled;
	int fd = agent_map_fd(p->a, AGENT_MAP_PREFIXES);
	uint32_t i;

	for (i = 0; i < c->nports; i++)
		*agent_port(p->a, e->ports.first + i) = c->ports[i];
	for (i = 0; i < c->nprefixes; i++) {
		const struct compiled_prefix *f = &c->prefixes[i];
		struct eg_prefix_key key = { .prefixlen = 32u + f->plen, .serial = e->v.serial };
		struct eg_prefix v = { .first = f->first + e->ports.first, .count = f->count };

		memcpy(key.addr, f->addr, sizeof(key.addr));
		if (bpf_map_update_elem(fd, &key, &v, BPF_ANY))
			return diag_set(d, -errno, "cannot store an address range: %s",
					strerror(errno));
		e->nprefixes++;
		p->prefixes_left--;
	}
	return 0;
}

/* The head of a version as the kernel reads it, without anchors. */
static struct eg_policy relocated_head(const struct entry *e)
{
	struct eg_policy head = e->compiled->head;

	head.serial = e->v.serial;
	head.family = e->v.family;
	head.lapses = e->v.lapses;
	head.next = e->v.next ? e->v.next->slot : 0;
	head.start_path = automaton_relocate_state(head.start_path, e->slots.first);
	head.start_unix = automaton_relocate_state(head.start_unix, e->slots.first);
	head.start_abstract = automaton_relocate_state(head.start_abstract, e->slots.first);
	for (unsigned int g = 0; g < EG_DOMAIN_GROUPS; g++)
		head.start_domain[g] = automaton_relocate_state(head.start_domain[g],
								e->slots.first);
	head.names = automaton_relocate_state(head.names, e->slots.first);
	head.nanchors = 0;
	memset(head.bloom, 0, sizeof(head.bloom));
	return head;
}

static int store_head(struct publisher *p, const struct entry *e, const struct eg_policy *head,
		      struct diag *d)
{
	if (bpf_map_update_elem(agent_map_fd(p->a, AGENT_MAP_POLICIES), &e->v.slot, head, BPF_ANY))
		return diag_set(d, -errno, "cannot store a policy: %s", strerror(errno));
	return 0;
}

/* ---- freeing -------------------------------------------------------------------------- */

void publisher_wait(const struct publisher *p)
{
	int err = rcu_wait(&p->wait);

	/* it did at the start; what was taken away holds, only not yet for who is in a program */
	if (err)
		fprintf(stderr, "egressd: cannot wait for running programs: %s\n", strerror(-err));
}

/*
 * Places that are free now. A row that stays, for want of memory, means nothing under a
 * serial that nobody has, but the map is that much smaller.
 */
static uint32_t take_out(int fd, const void *key)
{
	return !bpf_map_delete_elem(fd, key) || errno == ENOENT;
}

static void remove_rows(struct publisher *p, struct entry *e)
{
	const struct compiled *c = e->compiled;
	int fd = agent_map_fd(p->a, AGENT_MAP_PREFIXES);
	uint32_t i;

	for (i = 0; i < MIN(e->nprefixes, c->nprefixes); i++) {
		struct eg_prefix_key key = { .prefixlen = 32u + c->prefixes[i].plen,
					     .serial = e->v.serial };

		memcpy(key.addr, c->prefixes[i].addr, sizeof(key.addr));
		p->prefixes_left += take_out(fd, &key);
	}
	p->prefixes_left += e->nprefixes - i;
	fd = agent_map_fd(p->a, AGENT_MAP_ANCHORS);
	for (i = 0; i < e->anchors_put; i++) {
		struct eg_anchor_key key = { e->anchors.a[i].object, e->v.serial, 0 };

		p->anchors_left += take_out(fd, &key);
	}
}

void publish_free_entry(struct publisher *p, struct entry *e)
{
	if (!e)
		return;
	if (e->v.slot < EG_MAX_POLICIES && p->by_slot[e->v.slot] == e)
		p->by_slot[e->v.slot] = NULL;
	/* cannot fail: taking a range made room for giving it back */
	(void)ranges_give(&p->slots, e->slots.first, e->slots.count);
	(void)ranges_give(&p->ports, e->ports.first, e->ports.count);
	compiled_free(e->compiled);
	anchor_set_clear(&e->anchors);
	free(e->key);
	free(e);
}

/*
 * Nobody starts from this version any more, and whoever still is on the way from it to
 * the next is waited for before that one's slot is used again.
 */
static void drop_next(struct publisher *p, struct entry *e)
{
	if (!e->v.next)
		return;
	publisher_unref(p, e->v.next);
	e->v.next = NULL;
	e->stale = true; /* it is not to be found again without its next one */
}

/* After publisher_wait(): a task that has just read which version to use must still find it. */
static void retire_waited(struct publisher *p, struct entry *e)
{
	struct eg_policy none = {};

	drop_next(p, e); /* one that was taken over and never used has it still */
	(void)bpf_map_update_elem(agent_map_fd(p->a, AGENT_MAP_POLICIES), &e->v.slot, &none,
				  BPF_ANY);
	publish_forget(p, e);
	remove_rows(p, e);
	publish_free_entry(p, e);
}

static void retire(struct publisher *p, struct entry *e)
{
	publisher_wait(p);
	retire_waited(p, e);
}

/* Retire the version that nobody has used for the longest time. */
static bool evict_one(struct publisher *p)
{
	struct entry *oldest = NULL;
	uint32_t i;

	for (i = 0; i < EG_MAX_POLICIES; i++) {
		struct entry *e = p->by_slot[i];

		if (e && !e->v.refs && (!oldest || e->last_used < oldest->last_used))
			oldest = e;
	}
	if (oldest)
		retire(p, oldest);
	return oldest;
}

/* ---- space ----------------------------------------------------------------------------- */

static int take_range(struct ranges *r, uint32_t count, struct range *out)
{
	int err = ranges_take(r, count, &out->first);

	out->count = err ? 0 : count;
	return err;
}

/* One try; sets *what to the limit that was hit. */
static int reserve(struct publisher *p, struct entry *e, const char **what)
{
	const struct compiled *c = e->compiled;
	uint32_t slot;
	int err;

	for (slot = 0; slot < EG_MAX_POLICIES && p->by_slot[slot]; slot++)
		;
	*what = "policies";
	if (slot == EG_MAX_POLICIES)
		return -ENOSPC;
	*what = "address ranges";
	if (c->nprefixes > p->prefixes_left)
		return -ENOSPC;
	*what = "path automaton";
	err = take_range(&p->slots, c->nslots, &e->slots);
	if (!err) {
		*what = "port ranges";
		err = take_range(&p->ports, c->nports, &e->ports);
	}
	if (err) {
		(void)ranges_give(&p->slots, e->slots.first, e->slots.count);
		e->slots.count = e->ports.count = 0;
		return err;
	}
	e->v.slot = slot;
	p->by_slot[slot] = e;
	return 0;
}

static int make_room(struct publisher *p, struct entry *e, struct diag *d)
{
	const char *what = "";
	int err;

	while ((err = reserve(p, e, &what)) == -ENOSPC && evict_one(p))
		;
	if (err == -ENOSPC)
		return diag_set(d, err,
				"the policy does not fit beside those of the running sandboxes: no "
				"room for its %s", what);
	return err ? diag_set(d, err, "out of memory") : 0;
}

/* ---- interface ---------------------------------------------------------------------------- */

struct entry *publish_new_entry(struct compiled *c, const char *key, size_t key_len)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (e)
		e->key = malloc(key_len + 1);
	if (!e || !e->key) {
		free(e);
		compiled_free(c);
		return NULL;
	}
	memcpy(e->key, key, key_len);
	e->key[key_len] = 0;
	e->key_len = key_len;
	e->hash = hash_key(key, key_len);
	e->compiled = c;
	e->v.compiled = c;
	e->v.slot = EG_MAX_POLICIES;
	return e;
}

static int next_serial(uint32_t *serial, struct diag *d)
{
	uint64_t n;
	int err;

	err = state_counter("last-serial", 0, &n, d);
	if (err)
		return err;
	if (n > UINT32_MAX)
		return diag_set(d, -EOVERFLOW, "all serial numbers of this boot are used up");
	*serial = n;
	return 0;
}

static int fill(struct publisher *p, struct entry *e, const struct version *paths_of,
		struct diag *d)
{
	struct eg_policy head;
	int err;

	fill_automaton(p, e);
	err = fill_prefixes(p, e, d);
	if (err)
		return err;
	head = relocated_head(e);
	if (paths_of && !p->by_slot[paths_of->slot]->adopted)
		err = publish_copy_anchors(p->by_slot[paths_of->slot], e->compiled, &e->anchors,
					   d);
	else
		err = publish_bind_anchors(p, e->compiled, &e->anchors, d);
	if (!err)
		err = publish_put_anchors(p, e, &head, d);
	if (err)
		return err;
	/* what the programs follow must be there before what they start from */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return store_head(p, e, &head, d);
}

const struct version *publisher_get(struct publisher *p, const char *key, size_t key_len,
				    struct diag *d)
{
	struct entry *e = find_key(p, key, key_len);
	struct anchor_set now;

	if (!e || publish_bind_anchors(p, e->compiled, &now, d))
		return NULL;
	/*
	 * The kernel remembers what it found out under a serial, anchors included:
	 * other objects make another version.
	 */
	e->stale = !anchor_set_same(&now, &e->anchors);
	if (e->stale) {
		anchor_set_clear(&now);
		return NULL;
	}
	/* the same, and held open afresh */
	anchor_set_clear(&e->anchors);
	e->anchors = now;
	e->adopted = false;
	e->v.refs++;
	return &e->v;
}

const char *publisher_key(const struct publisher *p, const struct version *v, size_t *len)
{
	const struct entry *e = p->by_slot[v->slot];

	*len = e->key_len;
	return e->key;
}

static void set_tail(struct publisher *p, struct entry *e, const struct version_tail *tail)
{
	e->v.family = tail && tail->family ? tail->family : e->v.serial;
	if (!tail || !tail->lapses)
		return;
	e->v.lapses = tail->lapses;
	e->v.next = tail->next;
	publisher_ref(p, tail->next);
}

int publisher_put(struct publisher *p, struct compiled *c, const char *key, size_t key_len,
		  const struct version_tail *tail, const struct version **out, struct diag *d)
{
	struct entry *e;
	int err;

	*out = publisher_get(p, key, key_len, d);
	if (*out) {
		compiled_free(c);
		return 0;
	}
	e = publish_new_entry(c, key, key_len);
	if (!e)
		return diag_set(d, -ENOMEM, "out of memory");
	err = publish_afford(p, c, tail ? tail->room : PUBLISH_SHARE, d);
	if (!err)
		err = next_serial(&e->v.serial, d);
	if (!err)
		err = make_room(p, e, d);
	if (err) {
		compiled_free(e->compiled);
		free(e->key);
		free(e);
		return err;
	}
	set_tail(p, e, tail);
	err = fill(p, e, tail ? tail->paths_of : NULL, d);
	if (!err)
		err = publish_save(p, e, d);
	if (err) {
		retire(p, e);
		return err;
	}
	e->v.refs = 1;
	*out = &e->v;
	return 0;
}

void publisher_ref(struct publisher *p, const struct version *v)
{
	p->by_slot[v->slot]->v.refs++;
}

void publisher_unref(struct publisher *p, const struct version *v)
{
	struct entry *e = p->by_slot[v->slot];

	if (!--e->v.refs) {
		anchor_set_release(&e->anchors);
		drop_next(p, e);
	}
	e->last_used = e->stale ? 0 : ++p->clock;
}

void publisher_trim(struct publisher *p)
{
	bool found = true;

	publisher_wait(p);
	while (found) { /* one that goes may be the last to lead to another */
		found = false;
		for (uint32_t i = 0; i < EG_MAX_POLICIES; i++) {
			struct entry *e = p->by_slot[i];

			if (!e || e->v.refs)
				continue;
			retire_waited(p, e);
			found = true;
		}
	}
}

int publisher_new(struct agent *a, struct publisher **out, struct diag *d)
{
	struct publisher *p = calloc(1, sizeof(*p));
	int err;

	if (p)
		p->wait = (struct rcu_wait){ .outer = -1, .inner = -1 };
	if (!p || ranges_init(&p->slots, EG_DFA_FIRST, EG_DFA_SLOTS - EG_DFA_FIRST) ||
	    ranges_init(&p->ports, 0, EG_MAX_PORTS)) {
		publisher_free(p);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	err = rcu_wait_init(&p->wait, false, d);
	if (err) {
		publisher_free(p);
		return err;
	}
	p->a = a;
	p->prefixes_left = EG_MAX_PREFIXES;
	p->anchors_left = EG_MAX_ANCHORS;
	*out = p;
	return 0;
}

void publisher_free(struct publisher *p)
{
	uint32_t i;

	if (!p)
		return;
	for (i = 0; i < EG_MAX_POLICIES; i++)
		publish_free_entry(p, p->by_slot[i]);
	ranges_fini(&p->slots);
	ranges_fini(&p->ports);
	rcu_wait_fini(&p->wait);
	free(p);
}
