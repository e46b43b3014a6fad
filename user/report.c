// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "learn_tree.h"
#include "report_int.h"
#include "util.h"

static int compare_strings(const struct trace *t, uint32_t a, uint32_t b)
{
	const struct trace_string *x = trace_string(t, a), *y = trace_string(t, b);
	int d = memcmp(x->p, y->p, MIN(x->len, y->len));

	return d ? d : (x->len > y->len) - (x->len < y->len);
}

/* ---- hosts ------------------------------------------------------------------------------ */

static bool was_refused(const struct trace *t, const struct trace_dest *d)
{
	for (size_t i = 0; i < t->naccesses; i++) {
		const struct trace_access *a = &t->accesses[i];

		if (a->verdict == EG_VERDICT_DENIED && a->port == d->port &&
		    a->proto == d->proto && !memcmp(a->addr, d->addr, 16) &&
		    a->op >= EG_OP_SOCKET)
			return true;
	}
	return false;
}

static int compare_names(const void *a, const void *b, void *trace)
{
	return compare_strings(trace, *(const uint32_t *)a, *(const uint32_t *)b);
}

static int add_names(const struct trace *t, struct report_host *h)
{
	for (size_t i = 0; i < t->nnames; i++) {
		const struct trace_name *n = &t->names[i];

		if (!n->resolved || h->dest->served || memcmp(n->addr, h->dest->addr, 16))
			continue;
		if (array_reserve(&h->names, &h->cap_names, h->nnames))
			return -ENOMEM;
		h->names[h->nnames++] = n->name;
	}
	if (h->nnames)
		qsort_r(h->names, h->nnames, sizeof(*h->names), compare_names, (void *)t);
	return 0;
}

/* Those that got most first. */
static int compare_hosts(const void *a, const void *b)
{
	const struct trace_dest *x = ((const struct report_host *)a)->dest;
	const struct trace_dest *y = ((const struct report_host *)b)->dest;
	uint64_t n = x->bytes_out + x->bytes_in, m = y->bytes_out + y->bytes_in;
	int d;

	if (n != m)
		return n > m ? -1 : 1;
	d = memcmp(x->addr, y->addr, 16);
	return d ? d : (x->port > y->port) - (x->port < y->port);
}

static int add_hosts(struct report *r)
{
	for (size_t i = 0; i < r->t->ndests; i++) {
		struct report_host h = { .dest = &r->t->dests[i] };

		h.refused = !h.dest->bytes_in && was_refused(r->t, h.dest);
		if (array_reserve(&r->hosts, &r->cap_hosts, r->nhosts))
			return -ENOMEM;
		r->hosts[r->nhosts++] = h;
		if (add_names(r->t, &r->hosts[r->nhosts - 1]))
			return -ENOMEM;
	}
	if (r->nhosts)
		qsort(r->hosts, r->nhosts, sizeof(*r->hosts), compare_hosts);
	return 0;
}

/* ---- directories -------------------------------------------------------------------------- */

static int put_path(struct learn_tree *tree, const struct trace *t, uint32_t string, uint8_t bits)
{
	const struct trace_string *s = trace_string(t, string);
	struct learn_node *n;

	if (!s->len || s->p[0] != '/')
		return 0;
	n = learn_tree_put(tree, s->p, s->len);
	if (!n)
		return -ENOMEM;
	n->need |= bits;
	/* one path is one, whatever was done with it */
	n->who[GROUP_READ].count = 1;
	return 0;
}

static int put_paths(struct learn_tree *tree, const struct trace *t)
{
	int err = 0;

	for (size_t i = 0; !err && i < t->naccesses; i++) {
		const struct trace_access *a = &t->accesses[i];

		if (a->verdict == EG_VERDICT_DENIED || a->op > EG_OP_CHROOT)
			continue;
		err = put_path(tree, t, a->path, a->path2 == TRACE_NO_STRING ? a->want : EG_C);
		if (!err && a->path2 != TRACE_NO_STRING)
			err = put_path(tree, t, a->path2, EG_C);
	}
	return err;
}

static int add_dir(struct report *r, const struct learn_node *n, struct text *path)
{
	struct report_dir d = { .perm = n->perm, .count = n->all_who[GROUP_READ].count };

	learn_node_path(n, path);
	d.path = path->failed ? NULL : malloc(path->len + 1);
	if (!d.path || array_reserve(&r->dirs, &r->cap_dirs, r->ndirs)) {
		free(d.path);
		return -ENOMEM;
	}
	memcpy(d.path, path->p, path->len + 1);
	d.len = path->len;
	if (!n->taken)
		d.count = 1;
	r->dirs[r->ndirs++] = d;
	return 0;
}

/* What the lines of directories above it say. */
static uint8_t told_above(const struct learn_node *n)
{
	uint8_t perm = 0;

	while ((n = n->parent))
		perm |= n->taken ? n->perm : 0;
	return perm;
}

static int add_dirs(struct report *r)
{
	/* no workspace and no home: directories are what they are */
	struct policy_vars none = { 0 };
	struct learn_input in = { .trace = r->t, .vars = &none };
	struct learn_tree tree;
	struct text path = { 0 };
	int err = learn_tree_init(&tree);

	if (!err)
		err = put_paths(&tree, r->t);
	if (!err)
		err = learn_tree_fold(&tree, &in);
	for (struct learn_node *n = tree.root; !err && n; n = learn_node_next(n))
		if (n->perm & ~told_above(n))
			err = add_dir(r, n, &path);
	learn_tree_clear(&tree);
	text_free(&path);
	return err;
}

/* ---- programs and denials ------------------------------------------------------------------- */

static int compare_programs(const void *a, const void *b, void *trace)
{
	return compare_strings(trace, ((const struct report_program *)a)->path,
			       ((const struct report_program *)b)->path);
}

static int add_programs(struct report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->t->naccesses; i++) {
		const struct trace_access *a = &r->t->accesses[i];

		if (a->op != EG_OP_EXEC || a->verdict == EG_VERDICT_DENIED ||
		    a->path == TRACE_NO_STRING)
			continue;
		if (array_reserve(&r->programs, &r->cap_programs, r->nprograms))
			return -ENOMEM;
		r->programs[r->nprograms++].path = a->path;
	}
	if (r->nprograms)
		qsort_r(r->programs, r->nprograms, sizeof(*r->programs), compare_programs,
			(void *)r->t);
	for (size_t i = 0; i < r->nprograms; i++)
		if (!n || r->programs[n - 1].path != r->programs[i].path)
			r->programs[n++] = r->programs[i];
	r->nprograms = n;
	return 0;
}

static int compare_denied(const struct trace *t, const struct trace_access *x,
			  const struct trace_access *y)
{
	int d = compare_strings(t, x->rule, y->rule);

	if (!d)
		d = (x->op > y->op) - (x->op < y->op);
	if (!d)
		d = (x->reason > y->reason) - (x->reason < y->reason);
	return d;
}

static int compare_accesses(const void *a, const void *b, void *trace)
{
	const struct trace_access *x = *(const struct trace_access *const *)a;
	const struct trace_access *y = *(const struct trace_access *const *)b;
	int d = compare_denied(trace, x, y);

	if (!d)
		d = compare_strings(trace, x->path, y->path);
	if (!d)
		d = memcmp(x->addr, y->addr, 16);
	return d ? d : (x->port > y->port) - (x->port < y->port);
}

static int add_denials(struct report *r)
{
	_cleanup_free_ const struct trace_access **list = NULL;
	size_t n = 0;

	list = calloc(r->t->naccesses + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < r->t->naccesses; i++)
		if (r->t->accesses[i].verdict != EG_VERDICT_ALLOWED)
			list[n++] = &r->t->accesses[i];
	qsort_r(list, n, sizeof(*list), compare_accesses, (void *)r->t);
	for (size_t i = 0; i < n; i++) {
		struct report_denial d = {
			.rule = list[i]->rule, .op = list[i]->op, .reason = list[i]->reason,
			.verdict = list[i]->verdict, .count = 1, .example = list[i],
		};

		if (i && !compare_denied(r->t, list[i - 1], list[i])) {
			r->denials[r->ndenials - 1].count++;
			continue;
		}
		if (array_reserve(&r->denials, &r->cap_denials, r->ndenials))
			return -ENOMEM;
		r->denials[r->ndenials++] = d;
	}
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

int report_make(const struct trace *t, struct report *r)
{
	int err;

	*r = (struct report){ .t = t };
	err = add_hosts(r);
	if (!err)
		err = add_dirs(r);
	if (!err)
		err = add_programs(r);
	if (!err)
		err = add_denials(r);
	return err;
}

void report_clear(struct report *r)
{
	for (size_t i = 0; i < r->nhosts; i++)
		free(r->hosts[i].names);
	for (size_t i = 0; i < r->ndirs; i++)
		free(r->dirs[i].path);
	free(r->hosts);
	free(r->dirs);
	free(r->programs);
	free(r->denials);
	*r = (struct report){ 0 };
}
