/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Versions across restarts of egressd. The kernel has a version's tables; the
 * state directory has where they are and what they were compiled from, so that
 * the next egressd knows which ranges are taken and which rule an event is about.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf_load.h"
#include "compile.h"
#include "diag.h"
#include "publish_int.h"
#include "state.h"
#include "util.h"

#define DIR_NAME "versions"
#define RECORD_MAX (32u << 20)

static void file_name(uint32_t serial, char buf[16])
{
	snprintf(buf, 16, "%" PRIu32, serial);
}

int publish_save(const struct publisher *p, const struct entry *e, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	json_t *anchors, *j;
	char name[16];
	uint32_t i;
	int err;

	if (!agent_adoptable(p->a))
		return 0;
	anchors = json_array();
	for (i = 0; i < e->anchors.n; i++) {
		const struct bound_anchor *b = &e->anchors.a[i];

		(void)json_array_append_new(anchors,
					    json_pack("[I, I, I, I, I]", (json_int_t)b->object.ino,
						      (json_int_t)b->object.dev,
						      (json_int_t)b->object.generation,
						      (json_int_t)b->v.state,
						      (json_int_t)b->v.rule));
	}
	j = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:s%}", "serial",
		      (json_int_t)e->v.serial, "slot", (json_int_t)e->v.slot, "slots",
		      (json_int_t)e->slots.first, "nslots", (json_int_t)e->slots.count, "ports",
		      (json_int_t)e->ports.first, "nports", (json_int_t)e->ports.count, "prefixes",
		      (json_int_t)e->nprefixes, "anchors", anchors, "key", e->key, e->key_len);
	text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (!text)
		return diag_set(d, -ENOMEM, "out of memory");
	file_name(e->v.serial, name);
	err = state_write(DIR_NAME, name, text, strlen(text));
	return err ? diag_set(d, err, "cannot write %s/%s: %s", STATE_DIR, DIR_NAME,
			      strerror(-err)) : 0;
}

void publish_forget(const struct publisher *p, const struct entry *e)
{
	char name[16];

	if (!agent_adoptable(p->a))
		return;
	file_name(e->v.serial, name);
	(void)state_remove(DIR_NAME, name); /* a stale one is removed at the next start */
}

/* ---- taking over ------------------------------------------------------------------------ */

static int read_anchors(struct entry *e, const json_t *list)
{
	size_t n = json_array_size(list), i;
	const json_t *row;

	e->anchors.a = calloc(n + 1, sizeof(*e->anchors.a));
	if (!e->anchors.a)
		return -ENOMEM;
	json_array_foreach(list, i, row) {
		json_int_t ino, dev, generation, state, rule;

		if (json_unpack((json_t *)row, "[I, I, I, I, I]", &ino, &dev, &generation, &state,
				&rule))
			return -EPROTO;
		e->anchors.a[i].object.ino = ino;
		e->anchors.a[i].object.dev = dev;
		e->anchors.a[i].object.generation = generation;
		e->anchors.a[i].fd = -1;
		e->anchors.a[i].v.state = state;
		e->anchors.a[i].v.rule = rule;
	}
	e->anchors.n = e->anchors_put = n;
	return 0;
}

/* Is this version still what the kernel has in that slot? */
static bool in_kernel(const struct publisher *p, json_int_t slot, json_int_t serial)
{
	uint32_t key = slot;
	struct eg_policy head;

	return slot >= 0 && slot < EG_MAX_POLICIES && !p->by_slot[slot] &&
	       !bpf_map_lookup_elem(agent_map_fd(p->a, AGENT_MAP_POLICIES), &key, &head) &&
	       head.serial == (uint32_t)serial;
}

static int place(struct publisher *p, struct entry *e, json_int_t slots, json_int_t nslots,
		 json_int_t ports, json_int_t nports)
{
	int err;

	err = ranges_take_at(&p->slots, slots, nslots);
	if (err)
		return err;
	e->slots = (struct range){ slots, nslots };
	err = ranges_take_at(&p->ports, ports, nports);
	if (err)
		return err;
	e->ports = (struct range){ ports, nports };
	return 0;
}

/*
 * What the last egressd held open is only known by its address. If it is still
 * where it was, it is held again; else its address means nothing any more, but to
 * refuse, until the version is freed.
 */
static void hold_again(struct publisher *p, struct entry *e)
{
	struct diag ignored = {};
	struct anchor_set now;
	uint32_t i, k = 0;

	if (!e->anchors.n || publish_bind_anchors(p, e->compiled, &now, &ignored))
		return;
	for (i = 0; i < now.n; i++) {
		while (k < e->anchors.n && memcmp(&e->anchors.a[k].object, &now.a[i].object,
						  sizeof(now.a[i].object)) < 0)
			k++;
		if (k < e->anchors.n && !memcmp(&e->anchors.a[k].object, &now.a[i].object,
						sizeof(now.a[i].object)))
			e->anchors.a[k].fd = steal_fd(&now.a[i].fd);
	}
	anchor_set_clear(&now);
}

/* 0: taken over. 1: nobody uses it any more, the file can go. 2: it cannot be understood. */
static int adopt_record(struct publisher *p, const json_t *j, publisher_compile_fn compile,
			void *ctx)
{
	json_int_t serial, slot, slots, nslots, ports, nports, prefixes;
	struct compiled *c;
	struct entry *e;
	const char *key;
	json_t *anchors;
	size_t len;
	int err;

	if (json_unpack((json_t *)j, "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:s%}", "serial",
			&serial, "slot", &slot, "slots", &slots, "nslots", &nslots, "ports", &ports,
			"nports", &nports, "prefixes", &prefixes, "anchors", &anchors, "key", &key,
			&len))
		return 2;
	if (!in_kernel(p, slot, serial))
		return 1;
	c = compile(ctx, key, len);
	if (!c)
		return 2;
	e = publish_new_entry(c, key, len);
	if (!e)
		return -ENOMEM;
	err = place(p, e, slots, nslots, ports, nports);
	if (!err)
		err = read_anchors(e, anchors);
	if (err) {
		publish_free_entry(p, e);
		return err;
	}
	e->v.serial = serial;
	e->v.slot = slot;
	e->nprefixes = prefixes;
	e->adopted = true;
	/* links may lead elsewhere by now: good for messages, not for a new sandbox */
	e->stale = c->nslots != nslots || c->nports != nports || c->nprefixes != prefixes;
	p->prefixes_left -= prefixes;
	p->anchors_left -= e->anchors_put;
	p->by_slot[slot] = e;
	hold_again(p, e);
	return 0;
}

static int adopt_file(struct publisher *p, const char *name, publisher_compile_fn compile,
		      void *ctx)
{
	_cleanup_free_ char *text = NULL;
	json_t *j;
	size_t len;
	int err;

	err = state_read(DIR_NAME, name, RECORD_MAX, &text, &len);
	if (err)
		return err;
	j = json_loadb(text, len, 0, NULL);
	err = j ? adopt_record(p, j, compile, ctx) : 2;
	json_decref(j);
	if (err == 2)
		fprintf(stderr, "egressd: %s/%s/%s is of no use and dropped: sandboxes under that "
			"policy are ended\n", STATE_DIR, DIR_NAME, name);
	if (err > 0)
		(void)state_remove(DIR_NAME, name);
	return err < 0 ? err : 0;
}

/*
 * Which version holds when one lapses is what the kernel has. One without its next is
 * let go, and the sandboxes that use it are ended.
 */
static void link_versions(struct publisher *p)
{
	int fd = agent_map_fd(p->a, AGENT_MAP_POLICIES);

	for (uint32_t i = 0; i < EG_MAX_POLICIES; i++) {
		struct entry *e = p->by_slot[i];
		struct eg_policy head;

		if (!e)
			continue;
		if (bpf_map_lookup_elem(fd, &i, &head) || head.serial != e->v.serial) {
			publish_free_entry(p, e);
			continue;
		}
		e->v.family = head.family;
		if (!head.lapses)
			continue;
		e->v.lapses = head.lapses;
		e->v.next = publisher_at(p, head.next);
		if (e->v.next)
			publisher_ref(p, e->v.next);
		else
			publish_free_entry(p, e);
	}
}

int publisher_adopt(struct publisher *p, publisher_compile_fn compile, void *ctx, struct diag *d)
{
	DIR *dir = state_list(DIR_NAME);
	struct dirent *e;
	int err = 0;

	while (dir && !err && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			err = adopt_file(p, e->d_name, compile, ctx);
	if (dir)
		closedir(dir);
	link_versions(p);
	return err ? diag_set(d, err, "cannot take over the versions of the last egressd: %s",
			      strerror(-err)) : 0;
}

const struct version *publisher_at(const struct publisher *p, uint32_t slot)
{
	return slot < EG_MAX_POLICIES && p->by_slot[slot] ? &p->by_slot[slot]->v : NULL;
}
