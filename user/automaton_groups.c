/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Patterns that continue in the same way are made one, and labels that always
 * lead from the same to the same are one group: a thousand names below "**" with
 * the same permission are one thing to every directory.
 */
#include "automaton_dirs.h"

static int compare_pairs(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return x[1] < y[1] ? -1 : x[1] > y[1];
}

/* Edges of every node, by node: first[i] … first[i + 1] - 1 in list[]. */
static int edges_by_node(const struct tree *t, uint32_t **first, uint32_t **list)
{
	uint32_t n = t->nodes.n;
	uint32_t *f = calloc(n + 2, sizeof(*f)), *l = calloc(t->edges.n + 1, sizeof(*l));

	if (!f || !l) {
		free(f);
		free(l);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->edges.n; i++)
		f[t->edges.v[i].src + 2]++;
	for (uint32_t i = 2; i < n + 2; i++)
		f[i] += f[i - 1];
	for (uint32_t i = 0; i < t->edges.n; i++)
		l[f[t->edges.v[i].src + 1]++] = i;
	*first = f;
	*list = l;
	return 0;
}

/* Every pattern node below literal nodes (children have higher numbers) -> dirs.rep. */
static int merge_patterns(const struct tree *t, struct dirs *d, const uint32_t *first,
			  const uint32_t *list)
{
	_cleanup_free_ uint8_t *pattern = calloc(t->nodes.n, 1);
	vec32 key = {}, pairs = {};
	uint32_t id;
	int err = pattern ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < t->nodes.n && !err; i++) {
		const struct node *n = &t->nodes.v[i];

		err = vec32_push(&d->rep, 0);
		for (uint32_t k = 0; k < 2; k++)
			if (n->pat[k])
				pattern[n->pat[k]] = 1;
		if (!pattern[i])
			continue;
		if (n->star)
			pattern[n->star] = 1;
		for (uint32_t k = first[i]; k < first[i + 1]; k++)
			pattern[t->edges.v[list[k]].dst] = 1;
	}
	for (uint32_t i = t->nodes.n; i-- && !err;) {
		const struct node *n = &t->nodes.v[i];

		if (!pattern[i])
			continue;
		key.n = pairs.n = 0;
		err = vec32_push(&key, (n->first_rule ? REP_ENDS | n->perm : 0) |
					       (n->loop ? REP_LOOP : 0) |
					       (n->none ? REP_NONE : 0)) ||
		      vec32_push(&key, n->star ? d->rep.v[n->star] : 0);
		for (uint32_t k = first[i]; k < first[i + 1] && !err; k++)
			err = vec32_push(&pairs, t->edges.v[list[k]].label) ||
			      vec32_push(&pairs, d->rep.v[t->edges.v[list[k]].dst]);
		if (pairs.n)
			qsort(pairs.v, pairs.n / 2, 8, compare_pairs);
		for (uint32_t k = 0; k < pairs.n && !err; k++)
			err = vec32_push(&key, pairs.v[k]);
		if (err || intern_put(&d->reps, key.v, key.n, &id))
			err = -ENOMEM;
		else
			d->rep.v[i] = id + 1;
	}
	vec_free(&key);
	vec_free(&pairs);
	return err ? -ENOMEM : 0;
}

struct use {
	uint32_t label, src, dst;
};

static int compare_uses(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	if (x->label != y->label)
		return x->label < y->label ? -1 : 1;
	return compare_pairs(&x->src, &y->src);
}

/* Labels that lead from the same nodes to the same nodes are one group. */
static int group_uses(struct tree *t, struct dirs *d, const struct use *use, uint32_t n)
{
	struct intern groups = {};
	vec32 key = {};
	int err = 0;

	for (uint32_t i = 0, end; i < n && !err; i = end) {
		struct label *l = &t->label.v[use[i].label];

		key.n = 0;
		for (end = i; end < n && use[end].label == use[i].label && !err; end++)
			err = vec32_push(&key, use[end].src) || vec32_push(&key, use[end].dst);
		if (l->group != GROUP_ALL && !err)
			err = intern_put(&groups, key.v, key.n, &l->group);
	}
	d->ngroups = groups.n;
	intern_fini(&groups);
	vec_free(&key);
	return err ? -ENOMEM : 0;
}

static int collect_uses(const struct dirs *d, struct use **out, uint32_t *nout)
{
	uint32_t total = 0, n, k = 0;
	struct use *use;

	for (uint32_t rep = 1; rep <= d->reps.n; rep++) {
		(void)intern_get(&d->reps, rep - 1, &n);
		total += (n - 2) / 2;
	}
	use = calloc(total + 1, sizeof(*use));
	if (!use)
		return -ENOMEM;
	for (uint32_t rep = 1; rep <= d->reps.n; rep++) {
		const uint32_t *words = intern_get(&d->reps, rep - 1, &n);

		for (uint32_t i = 2; i < n; i += 2)
			use[k++] = (struct use){ words[i], rep, words[i + 1] };
	}
	if (total)
		qsort(use, total, sizeof(*use), compare_uses);
	*out = use;
	*nout = total;
	return 0;
}

/* dirs.gedges: where each merged node goes on a name of each group. */
static int group_edges(const struct tree *t, struct dirs *d)
{
	vec32 pairs = {};
	uint32_t n;
	int err = vec32_push(&d->gstart, 0) || vec32_push(&d->gstart, 0); /* there is no rep 0 */

	for (uint32_t rep = 1; rep <= d->reps.n && !err; rep++) {
		const uint32_t *words = intern_get(&d->reps, rep - 1, &n);

		pairs.n = 0;
		for (uint32_t i = 2; i < n && !err; i += 2)
			err = vec32_push(&pairs, t->label.v[words[i]].group) ||
			      vec32_push(&pairs, words[i + 1]);
		if (pairs.n)
			qsort(pairs.v, pairs.n / 2, 8, compare_pairs);
		for (uint32_t i = 0; i < pairs.n && !err; i += 2) {
			if (i && !compare_pairs(&pairs.v[i], &pairs.v[i - 2]))
				continue;
			err = vec32_push(&d->gedges, pairs.v[i]) ||
			      vec32_push(&d->gedges, pairs.v[i + 1]);
		}
		if (!err)
			err = vec32_push(&d->gstart, d->gedges.n);
	}
	vec_free(&pairs);
	return err ? -ENOMEM : 0;
}

/*
 * Groups that matter in every directory that nothing closed: those of patterns
 * that begin with "**" at a root. The others matter in few directories.
 */
static int find_global(const struct tree *t, struct dirs *d)
{
	for (uint32_t i = 0; i < d->ngroups; i++)
		if (vec32_push(&d->global, 0))
			return -ENOMEM;
	for (uint32_t root = ROOT_PATH; root < ROOTS_END; root++) {
		for (uint32_t k = 0; k < 2; k++) {
			uint32_t pat = t->nodes.v[root].pat[k];
			uint32_t rep = pat ? rep_star(d, d->rep.v[pat]) : 0;

			for (uint32_t e = rep ? d->gstart.v[rep] : 0;
			     rep && e < d->gstart.v[rep + 1]; e += 2)
				if (d->gedges.v[e] < GROUP_ALL)
					d->global.v[d->gedges.v[e]] = 1;
		}
	}
	return 0;
}

int dirs_group_labels(struct tree *t, struct dirs *d)
{
	_cleanup_free_ uint32_t *first = NULL, *list = NULL;
	_cleanup_free_ struct use *use = NULL;
	uint32_t n, nuses = 0;
	int err;

	for (uint32_t i = 0; i < t->label.n; i++) {
		const uint32_t *words = intern_get(&t->labels, i, &n);

		if (n == 2 && words[0] == LABEL_GLOB && ITEM_TYPE(words[1]) == ITEM_STAR)
			t->label.v[i].group = GROUP_ALL;
	}
	err = edges_by_node(t, &first, &list);
	if (!err)
		err = merge_patterns(t, d, first, list);
	if (!err)
		err = collect_uses(d, &use, &nuses);
	if (!err)
		err = group_uses(t, d, use, nuses);
	if (!err)
		err = group_edges(t, d);
	if (!err)
		err = find_global(t, d);
	d->first_edge = steal_ptr(first);
	d->edge_list = steal_ptr(list);
	return err;
}

void dirs_fini(struct dirs *d)
{
	intern_fini(&d->reps);
	vec_free(&d->rep);
	vec_free(&d->gstart);
	vec_free(&d->gedges);
	vec_free(&d->global);
	free(d->first_edge);
	free(d->edge_list);
}
