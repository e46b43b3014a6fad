/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows -> slots: every row is put at the first place where its header and its
 * successors fall on free slots, long rows first. Sixty-four places are tried
 * at once: the free slots around a place are words of one bit map, shifted by
 * the row's symbols.
 */
#include "automaton_int.h"

#define HINTS 64u /* rows with as many edges or more look for room together */

struct packer {
	struct rows *rows;
	uint64_t *taken; /* bit: slot */
	uint32_t nwords;
	uint32_t limit; /* no slot from here on */
	uint32_t from[HINTS]; /* word to begin at, by number of edges */
	uint32_t used;
};

/* 64 bits of the map from slot `at`: one where the slot is free. */
static uint64_t free_bits(const struct packer *p, uint32_t at)
{
	uint32_t w = at / 64, shift = at % 64;
	uint64_t bits = p->taken[w] >> shift;

	if (shift)
		bits |= p->taken[w + 1] << (64 - shift);
	return ~bits;
}

static void take(struct packer *p, uint32_t at)
{
	p->taken[at / 64] |= 1ull << (at % 64);
	p->used++;
}

static bool place(struct packer *p, struct row *r)
{
	const struct row_edge *e = r->nedges ? p->rows->edges.v + r->edge : NULL;
	uint32_t hint = MIN(r->nedges, HINTS - 1), first = p->from[hint];

	for (uint32_t w = first; w * 64 < p->limit; w++) {
		uint64_t bits = ~p->taken[w];

		for (uint32_t i = 0; bits && i < r->nedges; i++)
			bits &= free_bits(p, w * 64 + 1 + e[i].symbol);
		if (r->wider)
			bits &= free_bits(p, w * 64 + 1 + EG_DFA_WIDER);
		if (!bits)
			continue;
		r->base = w * 64 + (uint32_t)__builtin_ctzll(bits);
		/* where many rows like this one found no room, the next will not either */
		if (w - first > 8)
			p->from[hint] = w - 4;
		take(p, r->base);
		for (uint32_t i = 0; i < r->nedges; i++)
			take(p, r->base + 1 + e[i].symbol);
		if (r->wider)
			take(p, r->base + 1 + EG_DFA_WIDER);
		return r->base < p->limit;
	}
	return false;
}

/* Row numbers, those with most edges first. */
static uint32_t *by_length(const struct rows *rows)
{
	uint32_t n = rows->rows.n, longest = 0, *order, *count;

	for (uint32_t i = 0; i < n; i++)
		longest = MAX(longest, rows->rows.v[i].nedges);
	order = calloc(n, sizeof(*order));
	count = calloc(longest + 2, sizeof(*count));
	if (order && count) {
		for (uint32_t i = 0; i < n; i++)
			count[longest - rows->rows.v[i].nedges + 1]++;
		for (uint32_t i = 0; i < longest; i++)
			count[i + 1] += count[i];
		for (uint32_t i = 0; i < n; i++)
			order[count[longest - rows->rows.v[i].nedges]++] = i;
	} else {
		free(order);
		order = NULL;
	}
	free(count);
	return order;
}

static uint32_t state_of(const struct rows *rows, uint32_t row)
{
	const struct row *r = &rows->rows.v[row];

	return row ? r->base | r->bits : 0;
}

static struct eg_dfa_slot *write_slots(const struct rows *rows, uint32_t nslots)
{
	struct eg_dfa_slot *slots = calloc(nslots, sizeof(*slots));

	if (!slots)
		return NULL;
	for (uint32_t i = 1; i < rows->rows.n; i++) {
		const struct row *r = &rows->rows.v[i];
		struct eg_dfa_slot *s = &slots[r->base];

		s->from = EG_DFA_HEAD | r->head;
		if (r->classes)
			s->from |= ((rows->rows.v[r->classes].base - r->base) & EG_DFA_INDEX)
				   << EG_DFA_CLASSES_SHIFT;
		s->to = state_of(rows, r->dflt) | (r->via ? EG_DFA_VIA : 0);
		for (uint32_t k = 0; k < r->nedges; k++) {
			const struct row_edge *e = &rows->edges.v[r->edge + k];

			s = &slots[r->base + 1 + e->symbol];
			s->from = state_of(rows, i);
			s->to = state_of(rows, e->to);
		}
		if (r->wider)
			slots[r->base + 1 + EG_DFA_WIDER] =
				(struct eg_dfa_slot){ state_of(rows, i), EG_DFA_HEAD | r->wider };
	}
	return slots;
}

static int too_big(struct automaton_error *err)
{
	return error_set(err, -E2BIG, 0, "fewer or simpler rules",
			 "the rules need more than %u slots (AUTOMATON_MAX_SLOTS)",
			 AUTOMATON_MAX_SLOTS);
}

int rows_pack(struct rows *rows, struct eg_dfa_slot **slots, uint32_t *nslots, uint32_t *used,
	      struct automaton_error *err)
{
	uint32_t width = MAX(EG_DFA_WIDER + 1, rows->nsymbols), end = width + 1;
	struct packer p = { .rows = rows, .limit = AUTOMATON_MAX_SLOTS };
	_cleanup_free_ uint64_t *taken = NULL;
	_cleanup_free_ uint32_t *order = NULL;

	if (rows->rows.n + rows->edges.n > AUTOMATON_MAX_SLOTS)
		return too_big(err);
	p.nwords = (AUTOMATON_MAX_SLOTS + width) / 64 + 4;
	p.taken = taken = calloc(p.nwords, sizeof(*taken));
	order = by_length(rows);
	if (!taken || !order)
		return -ENOMEM;
	take(&p, 0); /* state 0 is everybody's */
	for (uint32_t i = 0; i < rows->rows.n; i++) {
		struct row *r = &rows->rows.v[order[i]];

		if (!order[i])
			continue;
		if (!place(&p, r))
			return too_big(err);
		/* whatever it looks at is the version's own */
		end = MAX(end, r->base + 1 + (r->name ? EG_DFA_WIDER + 1 : rows->nsymbols));
	}
	if (end > AUTOMATON_MAX_SLOTS)
		return too_big(err);
	*slots = write_slots(rows, end);
	if (!*slots)
		return -ENOMEM;
	*nslots = end;
	*used = p.used;
	return 0;
}
