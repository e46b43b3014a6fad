/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bpf_load.h"
#include "diag.h"
#include "sandbox_int.h"
#include "state.h"

int sandboxes_new(struct agent *a, struct publisher *p, struct sandboxes **out, struct diag *d)
{
	struct sandboxes *s = calloc(1, sizeof(*s));

	if (!s)
		return diag_set(d, -ENOMEM, "out of memory");
	s->a = a;
	s->p = p;
	s->numbers = -1;
	*out = s;
	return 0;
}

void sandboxes_keep_numbers(struct sandboxes *s, const char *dir)
{
	if (s->numbers >= 0)
		close(s->numbers);
	s->numbers = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

void sandboxes_free(struct sandboxes *s)
{
	uint32_t i;

	if (!s)
		return;
	for (i = 0; i < EG_MAX_SANDBOXES; i++)
		sandbox_free(s->by_slot[i]);
	sandboxes_keep_numbers(s, NULL);
	free(s);
}

/* ---- numbers and slots ----------------------------------------------------------------- */

/* In /run, where all agents of this boot count, and beside the log, for the next boot. */
int sandboxes_number(struct sandboxes *s, uint64_t *id, struct diag *d)
{
	uint64_t floor = s->numbers < 0 ? 0 : state_kept(s->numbers, SANDBOX_NUMBERS);
	int err;

	/* beyond what there is: they were used up, or something else wrote there */
	err = state_counter(SANDBOX_NUMBERS, floor < UINT32_MAX ? floor : 0, id, d);
	if (!err && *id > UINT32_MAX)
		return diag_set(d, -EOVERFLOW, "all sandbox numbers of this boot are used up");
	/* with a full disk nothing is logged of it either */
	if (!err && s->numbers >= 0)
		(void)state_keep(s->numbers, SANDBOX_NUMBERS, *id);
	return err;
}

/* Round robin: a slot rests as long as possible before it is used again. */
int sandboxes_slot(struct sandboxes *s, uint32_t *slot)
{
	uint32_t i;

	for (i = 0; i < EG_MAX_SANDBOXES; i++) {
		uint32_t at = (s->next_slot + i) % EG_MAX_SANDBOXES;

		if (s->by_slot[at] || agent_sandboxes(s->a)[at].state == EG_S_LIVE)
			continue;
		s->next_slot = (at + 1) % EG_MAX_SANDBOXES;
		*slot = at;
		return 0;
	}
	return -ENOSPC;
}

void sandboxes_add(struct sandbox *b)
{
	struct sandbox **bucket = &b->all->by_id[b->id % ID_BUCKETS];

	b->next_of_hash = *bucket;
	*bucket = b;
	b->all->by_slot[b->slot] = b;
}

void sandboxes_drop(struct sandbox *b)
{
	struct sandbox **at;

	for (at = &b->all->by_id[b->id % ID_BUCKETS]; *at; at = &(*at)->next_of_hash) {
		if (*at != b)
			continue;
		*at = b->next_of_hash;
		break;
	}
	if (b->slot < EG_MAX_SANDBOXES && b->all->by_slot[b->slot] == b)
		b->all->by_slot[b->slot] = NULL;
}

/* ---- finding ---------------------------------------------------------------------------- */

struct sandbox *sandboxes_find(struct sandboxes *s, uint64_t id)
{
	struct sandbox *b = s->by_id[id % ID_BUCKETS];

	while (b && b->id != id)
		b = b->next_of_hash;
	return b;
}

struct sandbox *sandboxes_next(struct sandboxes *s, const struct sandbox *b)
{
	struct sandbox *next = NULL;
	uint32_t i;

	for (i = 0; i < EG_MAX_SANDBOXES; i++) {
		struct sandbox *c = s->by_slot[i];

		if (c && !c->hidden && (!b || c->id > b->id) && (!next || c->id < next->id))
			next = c;
	}
	return next;
}

uint32_t sandboxes_of_uid(const struct sandboxes *s, uid_t uid)
{
	uint32_t i, n = 0;

	for (i = 0; i < EG_MAX_SANDBOXES; i++)
		n += s->by_slot[i] && !s->by_slot[i]->hidden && s->by_slot[i]->uid == uid;
	return n;
}
