/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lists unite, the child replaces keys. Parents are merged first, in order; a
 * key on which two of them differ is remembered, and is an error unless the
 * child's own overlay says which it is: a policy must not change its meaning
 * with the order of a list.
 */
#include "policy_int.h"

static bool same_place(const struct place *a, const struct place *b)
{
	return a->file == b->file && a->line == b->line && a->col == b->col;
}

static int nomem(struct diag *d)
{
	return diag_set(d, -ENOMEM, "out of memory");
}

static int check_size(const struct place *at, size_t n, const char *what, struct diag *d)
{
	if (n <= POLICY_MAX_RULES)
		return 0;
	return diag_at(d, -E2BIG, at->file, at->line, at->col,
		       "%s: too many rules together with what is extended: at most %u", what,
		       POLICY_MAX_RULES);
}

/* ---- paths ------------------------------------------------------------------------------ */

static void path_clear(struct policy_path *p)
{
	free(p->text);
	free(p->key);
	memset(p, 0, sizeof(*p));
}

static int key_cmp(const void *a, const void *b)
{
	return strcmp((*(struct policy_path *const *)a)->key,
		      (*(struct policy_path *const *)b)->key);
}

static void meet_path(struct policy_path *old, struct policy_path *new, enum merge_as as)
{
	if (as == MERGE_CHILD) {
		path_clear(old);
		*old = *new;
		memset(new, 0, sizeof(*new));
		return;
	}
	/* a file reached along two ways is one statement */
	if (!same_place(&old->at, &new->at) && old->perm != new->perm && !old->clash.file) {
		old->clash = new->at;
		old->clash_perm = new->perm;
	}
	old->unsafe |= new->unsafe;
	path_clear(new);
}

static int merge_paths(struct policy_paths *dst, struct policy_paths *src, enum merge_as as,
		       const char *what, struct diag *d)
{
	_cleanup_free_ struct policy_path **index = NULL;
	_cleanup_free_ struct policy_path *grown = NULL;
	size_t n = dst->n, total = dst->n + src->n;

	if (!src->n)
		return 0;
	/* moved as a whole, so that index pointers stay good */
	grown = calloc(total, sizeof(*grown));
	index = calloc(n ? n : 1, sizeof(struct policy_path *));
	if (!grown || !index)
		return nomem(d);
	if (n)
		memcpy(grown, dst->v, n * sizeof(*grown));
	for (size_t i = 0; i < n; i++)
		index[i] = &grown[i];
	qsort(index, n, sizeof(*index), key_cmp);
	for (size_t i = 0; i < src->n; i++) {
		struct policy_path *key = &src->v[i], **hit;

		hit = bsearch(&key, index, n, sizeof(*index), key_cmp);
		if (hit) {
			meet_path(*hit, key, as);
			continue;
		}
		grown[dst->n++] = *key;
		memset(key, 0, sizeof(*key));
	}
	src->n = 0;
	free(dst->v);
	dst->v = steal_ptr(grown);
	dst->cap = total;
	return check_size(&dst->v[dst->n - 1].at, dst->n, what, d);
}

/* ---- lists ------------------------------------------------------------------------------- */

static int merge_dests(struct policy_dests *dst, struct policy_dests *src, const char *what,
		       struct diag *d)
{
	size_t have = dst->n, k;
	const char *file = NULL;
	bool again = false;

	for (size_t i = 0; i < src->n; i++) {
		/* a file reached along two ways brings all of its entries again */
		if (file != src->v[i].at.file) {
			file = src->v[i].at.file;
			for (k = 0; k < have && dst->v[k].at.file != file; k++)
				;
			again = k < have;
		}
		if (again)
			continue;
		if (array_reserve(&dst->v, &dst->cap, dst->n))
			return nomem(d);
		dst->v[dst->n++] = src->v[i];
		memset(&src->v[i], 0, sizeof(src->v[i]));
	}
	return dst->n ? check_size(&dst->v[dst->n - 1].at, dst->n, what, d) : 0;
}

static int move_str(struct policy_strs *dst, struct policy_str *s, struct diag *d)
{
	if (array_reserve(&dst->v, &dst->cap, dst->n))
		return nomem(d);
	dst->v[dst->n++] = *s;
	memset(s, 0, sizeof(*s));
	return 0;
}

static int merge_names(struct policy_strs *dst, struct policy_strs *src, struct diag *d)
{
	size_t have = dst->n, k;
	int err = 0;

	for (size_t i = 0; i < src->n && !err; i++) {
		for (k = 0; k < have && !str_eq(dst->v[k].text, src->v[i].text); k++)
			;
		if (k == have)
			err = move_str(dst, &src->v[i], d);
	}
	return err;
}

static void strs_clear(struct policy_strs *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].text);
	free(s->v);
	memset(s, 0, sizeof(*s));
}

/*
 * `only` of a child drops what its parents keep; what a child keeps is kept by
 * an `only` it inherits.
 */
static int merge_env(struct policy *dst, struct policy *src, enum merge_as as, struct diag *d)
{
	int err;

	if (src->env_only_at.file) {
		if (as == MERGE_CHILD) {
			strs_clear(&dst->env_keep);
			strs_clear(&dst->env_only);
		}
		dst->env_only_at = src->env_only_at;
	}
	err = merge_names(&dst->env_only, &src->env_only, d);
	if (!err)
		err = merge_names(&dst->env_keep, &src->env_keep, d);
	if (!err && dst->env_only_at.file) {
		err = merge_names(&dst->env_only, &dst->env_keep, d);
		strs_clear(&dst->env_keep);
	}
	return err;
}

static int merge_env_set(struct policy_strs *dst, struct policy_strs *src, enum merge_as as,
			 struct diag *d)
{
	size_t have = dst->n, k, name;
	int err = 0;

	for (size_t i = 0; i < src->n && !err; i++) {
		name = strcspn(src->v[i].text, "=") + 1;
		for (k = 0; k < have && strncmp(dst->v[k].text, src->v[i].text, name); k++)
			;
		if (k == have) {
			err = move_str(dst, &src->v[i], d);
		} else if (as == MERGE_CHILD) {
			free(dst->v[k].text);
			dst->v[k] = src->v[i];
			memset(&src->v[i], 0, sizeof(src->v[i]));
		} else if (!str_eq(dst->v[k].text, src->v[i].text) && !dst->v[k].clash.file) {
			dst->v[k].clash = src->v[i].at;
		}
	}
	return err;
}

/* ---- scalars ------------------------------------------------------------------------------- */

static void merge_num(struct policy_num *dst, const struct policy_num *src, enum merge_as as)
{
	if (!src->at.file)
		return;
	if (!dst->at.file || as == MERGE_CHILD)
		*dst = *src;
	else if (dst->v != src->v && !same_place(&dst->at, &src->at) && !dst->clash.file)
		dst->clash = src->at;
}

static void loopback_clear(struct policy_loopback *lo)
{
	for (size_t i = 0; i < lo->ports.n; i++)
		policy_dest_clear(&lo->ports.v[i]);
	free(lo->ports.v);
	memset(lo, 0, sizeof(*lo));
}

static int merge_loopback(struct policy_loopback *dst, struct policy_loopback *src,
			  enum merge_as as, struct diag *d)
{
	int err;

	if (!src->at.file)
		return 0;
	if (!dst->at.file || (as == MERGE_CHILD && (src->none || dst->none))) {
		loopback_clear(dst);
		*dst = *src;
		memset(src, 0, sizeof(*src));
		return 0;
	}
	if (dst->none != src->none) {
		if (!dst->clash.file)
			dst->clash = src->at;
		return 0;
	}
	err = merge_dests(&dst->ports, &src->ports, "loopback", d);
	dst->own |= src->own;
	if (src->host) {
		dst->host = true;
		dst->host_at = src->host_at;
	}
	return err;
}

static bool same_listen(const struct policy *a, const struct policy *b)
{
	if (a->listen_default.v != b->listen_default.v || a->listen.n != b->listen.n)
		return false;
	for (size_t i = 0; i < a->listen.n; i++)
		if (a->listen.v[i].lo != b->listen.v[i].lo ||
		    a->listen.v[i].hi != b->listen.v[i].hi ||
		    a->listen.v[i].mode != b->listen.v[i].mode)
			return false;
	return true;
}

/* One key, whatever its form: replaced as a whole. */
static void merge_listen(struct policy *dst, struct policy *src, enum merge_as as)
{
	if (!src->listen_default.at.file)
		return;
	if (!dst->listen_default.at.file || as == MERGE_CHILD) {
		free(dst->listen.v);
		dst->listen = src->listen;
		memset(&src->listen, 0, sizeof(src->listen));
		dst->listen_default = src->listen_default;
	} else if (!same_listen(dst, src) && !dst->listen_default.clash.file) {
		dst->listen_default.clash = src->listen_default.at;
	}
}

int policy_merge(struct policy *dst, struct policy *src, enum merge_as as, struct diag *d)
{
	int err;

	if (as == MERGE_CHILD && src->description) {
		free(dst->description);
		dst->description = steal_ptr(src->description);
	}
	merge_num(&dst->audit, &src->audit, as);
	merge_num(&dst->strict, &src->strict, as);
	merge_num(&dst->freeze, &src->freeze, as);
	/* no key lifts it: a child cannot drop what its parent requires */
	merge_num(&dst->full, &src->full, as);
	merge_num(&dst->file_default, &src->file_default, as);
	merge_num(&dst->memory, &src->memory, as);
	merge_num(&dst->pids, &src->pids, as);
	merge_num(&dst->cpu, &src->cpu, as);
	merge_num(&dst->time, &src->time, as);
	merge_listen(dst, src, as);
	dst->has_files |= src->has_files;
	dst->has_egress |= src->has_egress;
	dst->sockets |= src->sockets;
	dst->netlink |= src->netlink;
	dst->privileges |= src->privileges;
	err = merge_paths(&dst->files, &src->files, as, "files", d);
	if (!err)
		err = merge_paths(&dst->unixes, &src->unixes, as, "unix", d);
	if (!err)
		err = merge_dests(&dst->allow, &src->allow, "allow", d);
	if (!err)
		err = merge_dests(&dst->deny, &src->deny, "deny", d);
	if (!err)
		err = merge_loopback(&dst->loopback, &src->loopback, as, d);
	if (!err)
		err = merge_env(dst, src, as, d);
	if (!err)
		err = merge_env_set(&dst->env_set, &src->env_set, as, d);
	return err;
}

/* ---- what is left unsettled -------------------------------------------------------------- */

static int disagree(const struct place *extends, const char *what, const struct place *a,
		    const struct place *b, struct diag *d)
{
	return diag_at(d, -EINVAL, extends->file, extends->line, extends->col,
		       "%s: what is extended disagrees: %s:%u:%u and %s:%u:%u: expected the key in "
		       "this policy, to say which", what, a->file, a->line, a->col, b->file,
		       b->line,
		       b->col);
}

int policy_merge_check(const struct policy *p, const struct place *extends, struct diag *d)
{
	const struct {
		const char *what;
		const struct policy_num *num;
	} nums[] = {
		{ "mode", &p->audit },	      { "exec", &p->strict },
		{ "on-failure", &p->freeze }, { "files: default", &p->file_default },
		{ "memory", &p->memory },     { "pids", &p->pids },
		{ "cpu", &p->cpu },	      { "time", &p->time },
		{ "listen", &p->listen_default },
	};
	char ours[5], theirs[5];

	for (size_t i = 0; i < ARRAY_SIZE(nums); i++)
		if (nums[i].num->clash.file)
			return disagree(extends, nums[i].what, &nums[i].num->at,
					&nums[i].num->clash, d);
	if (p->loopback.clash.file)
		return disagree(extends, "loopback", &p->loopback.at, &p->loopback.clash, d);
	for (size_t i = 0; i < p->env_set.n; i++)
		if (p->env_set.v[i].clash.file)
			return disagree(extends, "env: set", &p->env_set.v[i].at,
					&p->env_set.v[i].clash, d);
	for (size_t i = 0; i < p->files.n; i++) {
		const struct policy_path *f = &p->files.v[i];

		if (f->clash.file)
			return diag_at(d, -EINVAL, extends->file, extends->line, extends->col,
				       "\"%s\": what is extended disagrees: %s at %s:%u:%u, %s at "
				       "%s:%u:%u: expected the path in this policy, to say which",
				       f->text, policy_perm_text(f->perm, ours), f->at.file,
				       f->at.line, f->at.col,
				       policy_perm_text(f->clash_perm, theirs), f->clash.file,
				       f->clash.line, f->clash.col);
	}
	return 0;
}

/* ---- freeing ------------------------------------------------------------------------------- */

static void paths_clear(struct policy_paths *list)
{
	for (size_t i = 0; i < list->n; i++)
		path_clear(&list->v[i]);
	free(list->v);
}

static void dests_clear(struct policy_dests *list)
{
	for (size_t i = 0; i < list->n; i++)
		policy_dest_clear(&list->v[i]);
	free(list->v);
}

void policy_clear(struct policy *p)
{
	paths_clear(&p->files);
	paths_clear(&p->unixes);
	dests_clear(&p->allow);
	dests_clear(&p->deny);
	loopback_clear(&p->loopback);
	free(p->listen.v);
	strs_clear(&p->env_keep);
	strs_clear(&p->env_set);
	strs_clear(&p->env_only);
	for (size_t i = 0; i < p->nsources; i++) {
		free(p->sources[i].name);
		free(p->sources[i].path);
		free(p->sources[i].text);
	}
	free(p->sources);
	free(p->description);
	free(p->name);
	memset(p, 0, sizeof(*p));
}

void policy_extends_clear(struct policy_extends *ext)
{
	strs_clear(&ext->names);
}
