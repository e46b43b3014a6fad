/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a compiled policy and a tree of names to what Landlock is told, and what it cannot
 * be told. The automaton says what holds at a path, as it does in the kernel; the rules say
 * where below a directory something else holds, so that only these ways are walked.
 */
#include <fnmatch.h>
#include <limits.h>

#include "automaton.h"
#include "compile.h"
#include "landlock_int.h"
#include "policy.h"

/* a rule on the way down: what is left of its pattern, "" at its own path */
struct live {
	const struct compiled_path *of;
	const char *rest;
	uint8_t perm; /* where it leads */
};

struct lives {
	struct live *v;
	size_t n, cap;
};

struct names {
	char **v;
	size_t n, cap;
};

/* ---- patterns -------------------------------------------------------------------------------- */

/* Length of the first name of "/name/…". */
static size_t name_len(const char *rest)
{
	return strcspn(rest + 1, "/");
}

static bool has_wildcard(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\\')
			i++;
		else if (strchr("*?[", s[i]))
			return true;
	}
	return false;
}

/* A double star, "**" as a whole name. */
static bool at_any_depth(const char *pattern)
{
	for (; *pattern; pattern += name_len(pattern) + 1)
		if (name_len(pattern) == 2 && !strncmp(pattern + 1, "**", 2))
			return true;
	return false;
}

/* "base/name", and "/name" below the root. False: longer than a path can be. */
static bool join(char out[PATH_MAX], const char *base, const char *name, size_t len)
{
	int n = snprintf(out, PATH_MAX, "%s/%.*s", str_eq(base, "/") ? "" : base, (int)len, name);

	return n > 0 && n < PATH_MAX;
}

static void unquote(char *s)
{
	char *o = s;

	for (; *s; *o++ = *s++)
		if (*s == '\\' && s[1])
			s++;
	*o = '\0';
}

/* The names before the first one with a wildcard, at `base`; *rest is what follows. */
static bool literal_part(const char *base, const char *pattern, char out[PATH_MAX],
			 const char **rest)
{
	char name[PATH_MAX];

	(void)snprintf(out, PATH_MAX, "%s", base);
	for (; *pattern && !has_wildcard(pattern + 1, name_len(pattern));
	     pattern += name_len(pattern) + 1) {
		char up[PATH_MAX];

		if (!name_len(pattern)) /* "/" itself */
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)name_len(pattern), pattern + 1);
		unquote(name);
		(void)snprintf(up, sizeof(up), "%s", out);
		if (!join(out, up, name, strlen(name)))
			return false;
	}
	*rest = pattern;
	return true;
}

static uint8_t perm_at(const struct walk *w, const char *path)
{
	return automaton_perm(w->c->automaton, AUTOMATON_PATHS, path, strlen(path));
}

static bool matches(const char *rest, const char *name)
{
	char pattern[PATH_MAX];

	(void)snprintf(pattern, sizeof(pattern), "%.*s", (int)name_len(rest), rest + 1);
	return !fnmatch(pattern, name, 0);
}

/* ---- the tree -------------------------------------------------------------------------------- */

static int add_name(struct walk *w, struct names *to, const char *name)
{
	if (array_reserve(&to->v, &to->cap, to->n))
		return plan_nomem(w);
	to->v[to->n] = strdup(name);
	return to->v[to->n++] ? 0 : plan_nomem(w);
}

static void names_clear(struct names *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
}

struct listing {
	struct walk *w;
	struct names *to;
	const char *path;
	const struct lives *of; /* NULL: every name; else what one of them matches */
};

static int list_one(void *arg, const char *name)
{
	struct listing *l = arg;

	if (++l->w->looked_at > LANDLOCK_MAX_NAMES)
		return plan_too_many(l->w, l->path);
	for (size_t i = 0; l->of && i < l->of->n; i++)
		if (*l->of->v[i].rest && matches(l->of->v[i].rest, name))
			return add_name(l->w, l->to, name);
	return l->of ? 0 : add_name(l->w, l->to, name);
}

static int list_dir(struct walk *w, const char *path, const struct lives *of, struct names *to)
{
	struct listing l = { .w = w, .to = to, .path = path, .of = of };

	return w->tree->list(w->tree->ctx, path, list_one, &l);
}

static enum landlock_kind kind_at(const struct walk *w, const char *path)
{
	return w->tree->kind(w->tree->ctx, path);
}

/* Is there something that the rest of a pattern leads to? 1, 0 or an error. */
static int leads_somewhere(struct walk *w, const char *base, const char *rest)
{
	struct lives one = { .v = &(struct live){ .rest = rest }, .n = 1 };
	char path[PATH_MAX], below[PATH_MAX];
	struct names names = {};
	int err = 0;

	if (!literal_part(base, rest, path, &rest))
		return 0;
	if (!*rest)
		return kind_at(w, path) >= LANDLOCK_FILE;
	if (kind_at(w, path) != LANDLOCK_DIR)
		return 0;
	one.v[0].rest = rest;
	err = list_dir(w, path, &one, &names);
	for (size_t i = 0; i < names.n && !err; i++)
		if (join(below, path, names.v[i], strlen(names.v[i])))
			err = leads_somewhere(w, below, rest + name_len(rest) + 1);
	names_clear(&names);
	return err;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Entries of processes come and go there: names are no use, and nothing can be narrowed. */
static bool in_proc(const char *path)
{
	return str_eq(path, "/proc") || str_starts(path, "/proc/");
}

/*
 * Between `path` and where the rule leads lies a directory with `c`, where the rule is not
 * held anyhow: to narrow `path` for it would cost and give nothing.
 */
static bool is_lost_below(const struct walk *w, const char *path, const char *rest)
{
	char at[PATH_MAX], name[PATH_MAX], up[PATH_MAX];
	size_t len;

	(void)snprintf(at, sizeof(at), "%s", path);
	for (; *rest; rest += len + 1) {
		len = name_len(rest);
		if (has_wildcard(rest + 1, len) || !rest[len + 1])
			return false;
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, rest + 1);
		unquote(name);
		(void)snprintf(up, sizeof(up), "%s", at);
		if (!join(at, up, name, strlen(name)))
			return false;
		if (perm_at(w, at) & EG_C)
			return true;
	}
	return false;
}

/* The rules whose own path this is. */
static int tell_here(struct walk *w, bool dir, const struct lives *l, uint8_t above, uint8_t perm)
{
	int err = 0;

	for (size_t i = 0; i < l->n && !err; i++) {
		uint32_t rule = l->v[i].of->rule;

		if (*l->v[i].rest)
			continue;
		w->told[rule].reached = true;
		if (above & ~perm)
		       err = plan_note(w, rule, true, "it lies where more is allowed, and Landlock "
				       "cannot take away");
		if (!err && !dir && (perm & ~above & EG_C))
			err = plan_note(w, rule, false, "Landlock lets names be made, renamed and "
				       "removed in a whole directory or not at all");
	}
	return err;
}

/* The bits of `perm` that rules below take away from something that is there. */
static int taken_below(struct walk *w, const char *path, const struct lives *l, uint8_t perm,
		       uint8_t *take, const struct live **by)
{
	*take = 0;
	for (size_t i = 0; i < l->n; i++) {
		uint8_t bits = perm & ~l->v[i].perm;
		int there;

		if (!*l->v[i].rest || !bits || is_lost_below(w, path, l->v[i].rest))
			continue;
		there = leads_somewhere(w, path, l->v[i].rest);
		if (there < 0)
			return there;
		if (!there)
			continue;
		if (!*by)
			*by = &l->v[i];
		*take |= bits;
	}
	return 0;
}

/* Nothing is narrowed here, for the reason given: what rules below take away is not held. */
static int tell_unheld(struct walk *w, const struct lives *l, uint8_t perm, const char *fmt,
		       const char *path)
{
	int err = 0;

	for (size_t i = 0; i < l->n && !err; i++)
		if (*l->v[i].rest && (perm & ~l->v[i].perm)) {
			char why[PATH_MAX + 128];

			(void)snprintf(why, sizeof(why), fmt, path);
			err = plan_note(w, l->v[i].of->rule, true, "%s", why);
		}
	return err;
}

/* A directory was narrowed: what that costs is told at the rule it is under. */
static int tell_narrowed(struct walk *w, const char *path, const struct live *by)
{
	const struct rule_ref *r = &w->c->rules[by->of->rule - 1];
	uint32_t rule = 0;
	uint8_t perm;

	if (!automaton_rule_for(w->c->automaton, AUTOMATON_PATHS, path, strlen(path), &rule, &perm))
		rule = 0;
	if (!rule && w->told[0].narrower)
		return 0; /* the default, in one more directory */
	return plan_note(w, rule, false, "%s, and every directory on the way to what %s:%u closes, "
			"cannot be listed, and what is made there from now on is refused", path,
			r->file, r->line);
}

/* What a rule says of a name that is not there, when `above` is what its directory gives. */
static int tell_absent(struct walk *w, const struct live *l, const char *path, uint8_t above)
{
	struct told *t = &w->told[l->of->rule];

	if (above & ~l->perm)
		return plan_note(w, l->of->rule, true, "nothing is there yet, and what is made "
				"there has what %s has", path);
	if (!(l->perm & ~above) || t->absent)
		return 0;
	t->absent = true;
	return 0;
}

static int add_live(struct walk *w, struct lives *to, const struct live *l)
{
	if (array_reserve(&to->v, &to->cap, to->n))
		return plan_nomem(w);
	to->v[to->n++] = *l;
	return 0;
}

/* The rules that go on at `name`. */
static int go_on(struct walk *w, const struct lives *l, const char *name, struct lives *out)
{
	int err = 0;

	for (size_t i = 0; i < l->n && !err; i++) {
		struct live next = l->v[i];

		if (!*next.rest || !matches(next.rest, name))
			continue;
		next.rest += name_len(next.rest) + 1;
		err = add_live(w, out, &next);
	}
	return err;
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names below `path` to look at, once each; `all`: every one that is there. */
static int names_below(struct walk *w, const char *path, const struct lives *l, bool all,
		       struct names *out)
{
	bool list = all;
	int err = 0;
	size_t n;

	for (size_t i = 0; i < l->n && !err; i++) {
		char name[PATH_MAX];

		if (!*l->v[i].rest)
			continue;
		if (has_wildcard(l->v[i].rest + 1, name_len(l->v[i].rest))) {
			list = true;
			continue;
		}
		(void)snprintf(name, sizeof(name), "%.*s", (int)name_len(l->v[i].rest),
			       l->v[i].rest + 1);
		unquote(name);
		err = add_name(w, out, name);
	}
	if (!err && list)
		err = list_dir(w, path, all ? NULL : l, out);
	if (err || !out->n)
		return err;
	qsort(out->v, out->n, sizeof(*out->v), name_cmp);
	n = 1;
	for (size_t i = 1; i < out->n; i++) {
		if (str_eq(out->v[i], out->v[n - 1]))
			free(out->v[i]);
		else
			out->v[n++] = out->v[i];
	}
	out->n = n;
	return 0;
}

static int visit(struct walk *w, const char *path, enum landlock_kind kind, const struct lives *l,
		 uint8_t above);

static int visit_name(struct walk *w, const char *dir, const char *name, const struct lives *l,
		      uint8_t above)
{
	struct lives next = {};
	enum landlock_kind kind;
	char path[PATH_MAX];
	int err;

	if (!join(path, dir, name, strlen(name)))
		return 0;
	err = go_on(w, l, name, &next);
	kind = err ? LANDLOCK_LINK : kind_at(w, path);
	if (kind >= LANDLOCK_FILE)
		err = visit(w, path, kind, &next, above);
	for (size_t i = 0; i < next.n && !err && kind == LANDLOCK_NOTHING; i++)
		err = tell_absent(w, &next.v[i], path, above);
	free(next.v);
	return err;
}

/* Names that a pattern would match later are given nothing, or keep what it takes. */
static int tell_patterns(struct walk *w, const char *path, const struct lives *l, uint8_t above)
{
	int err = 0;

	for (size_t i = 0; i < l->n && !err; i++) {
		const struct live *one = &l->v[i];

		if (!*one->rest || !has_wildcard(one->rest, strlen(one->rest)))
			continue;
		if (above & ~one->perm)
			err = plan_note(w, one->of->rule, true, "a pattern: what gets such a name "
				       "later has what %s has", path);
		if (!err && (one->perm & ~above))
		       err = plan_note(w, one->of->rule, false, "a pattern: it holds for the names "
				       "that are there now");
	}
	return err;
}

static int visit_dir(struct walk *w, const char *path, const struct lives *l, uint8_t above,
		     uint8_t perm)
{
	uint8_t take = 0, more = perm & ~above;
	const struct live *by = NULL;
	struct names names = {};
	int err;

	if (more & EG_C)
		err = tell_unheld(w, l, more, "it lies in %s, where files may be made: Landlock "
				  "gives what is allowed there to all that is below", path);
	else if (in_proc(path))
		err = tell_unheld(w, l, more, "it lies in %s, whose names come and go: what is "
				  "allowed there is given to all of it", path);
	else
		err = taken_below(w, path, l, more, &take, &by);
	if (!err && take)
		err = tell_narrowed(w, path, by);
	if (!err)
		err = plan_grant(w, path, more & ~take, true);
	above |= more & ~take;
	if (!err)
		err = tell_patterns(w, path, l, above);
	if (!err)
		err = names_below(w, path, l, take, &names);
	for (size_t i = 0; i < names.n && !err; i++)
		err = visit_name(w, path, names.v[i], l, above);
	names_clear(&names);
	return err;
}

/* `above`: what directories above have given to all that is below. */
static int visit(struct walk *w, const char *path, enum landlock_kind kind, const struct lives *l,
		 uint8_t above)
{
	uint8_t perm = perm_at(w, path);
	int err;

	if (++w->looked_at > LANDLOCK_MAX_NAMES)
		return plan_too_many(w, path);
	err = tell_here(w, kind == LANDLOCK_DIR, l, above, perm);
	if (err)
		return err;
	if (kind == LANDLOCK_DIR)
		return visit_dir(w, path, l, above, perm);
	for (size_t i = 0; i < l->n && !err; i++)
		if (*l->v[i].rest)
			err = tell_absent(w, &l->v[i], path, above);
	return err ? err : plan_grant(w, path, perm & ~above, false);
}

/* ---- what is not walked ---------------------------------------------------------------------- */

/* /proc/self leads somewhere else for each process. */
static int tell_own_proc(struct walk *w, const struct compiled_path *p)
{
	uint8_t all = perm_at(w, "/proc");
	int err = 0;

	if (all & ~p->perm)
		err = plan_note(w, p->rule, true, "a process cannot be told from others in /proc: "
			       "what /proc has is had here");
	if (!err && (p->perm & ~all))
		err = plan_note(w, p->rule, false, "a process cannot be told from others in /proc: "
			       "nothing more than what /proc has is given");
	return err;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = str_eq(dir, "/") ? 0 : strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

/* After the walk: does a rule with a double star take from anything that was given? */
static int tell_any_depth(struct walk *w, const struct compiled_path *p)
{
	const struct landlock_plan *plan = w->plan;
	char prefix[PATH_MAX];
	uint8_t given = 0;
	const char *rest;

	if (!literal_part("/", p->pattern, prefix, &rest))
		return 0;
	for (size_t i = 0; i < plan->ngrants; i++)
		if (is_below(plan->grants[i].path, prefix) ||
		    (plan->grants[i].dir && is_below(prefix, plan->grants[i].path)))
			given |= plan->grants[i].perm;
	if (given & ~p->perm)
		return plan_note(w, p->rule, true, "a pattern for names at any depth: Landlock "
				"knows no names");
	if (p->perm & ~perm_at(w, prefix))
		return plan_note(w, p->rule, false, "a pattern for names at any depth: nothing is "
				"given for it");
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool is_own_proc(const char *pattern)
{
	return str_eq(pattern, "/proc/self") || str_starts(pattern, "/proc/self/");
}

/* Its own file among the sandbox's denials is given to it by the server. */
static bool is_builtin(const struct walk *w, const struct compiled_path *p)
{
	return w->c->rules[p->rule - 1].kind == RULE_BUILTIN;
}

static int begin(struct walk *w, struct lives *l)
{
	int err = 0;

	for (uint32_t i = 0; i < w->c->npaths && !err; i++) {
		const struct compiled_path *p = &w->c->paths[i];
		struct live first = { .of = p, .rest = str_eq(p->pattern, "/") ? "" : p->pattern,
				      .perm = p->perm };
		char path[PATH_MAX];
		const char *rest;

		if (p->space == AUTOMATON_UNIX) {
			err = plan_tell_unix(w, p);
			continue;
		}
		if (is_builtin(w, p) || at_any_depth(p->pattern))
			continue;
		if (is_own_proc(p->pattern)) {
			err = tell_own_proc(w, p);
			continue;
		}
		/* another rule for the same path, or for patterns, may say less */
		if (literal_part("/", p->pattern, path, &rest) && !*rest)
			first.perm = perm_at(w, path);
		err = add_live(w, l, &first);
	}
	return err;
}

static int finish(struct walk *w)
{
	int err = 0;

	for (uint32_t i = 0; i < w->c->npaths && !err; i++) {
		const struct compiled_path *p = &w->c->paths[i];
		const struct told *t = &w->told[p->rule];

		if (p->space == AUTOMATON_PATHS && !is_builtin(w, p) && at_any_depth(p->pattern))
			err = tell_any_depth(w, p);
		else if (t->absent && !t->reached)
			err = plan_note(w, p->rule, false, "nothing is there yet, and what is made "
				       "there later is refused");
	}
	return err;
}

static int note_cmp(const void *a, const void *b)
{
	const struct landlock_note *x = a, *y = b;

	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	return x->wider != y->wider ? y->wider - x->wider : strcmp(x->why, y->why);
}

int landlock_plan(const struct compiled *c, unsigned int abi, const struct landlock_tree *tree,
		  struct landlock_plan **out, struct diag *d)
{
	struct walk w = { .c = c, .tree = tree, .d = d };
	struct lives l = {};
	int err;

	w.plan = calloc(1, sizeof(*w.plan));
	w.told = calloc(c->nrules + 1, sizeof(*w.told));
	err = w.plan && w.told ? 0 : plan_nomem(&w);
	if (!err) {
		w.plan->abi = abi;
		err = begin(&w, &l);
	}
	if (!err)
		err = visit(&w, "/", LANDLOCK_DIR, &l, 0);
	if (!err)
		err = finish(&w);
	if (!err)
		err = plan_tell_general(&w);
	free(l.v);
	free(w.told);
	if (err) {
		landlock_plan_free(w.plan);
		return err;
	}
	qsort(w.plan->notes, w.plan->nnotes, sizeof(*w.plan->notes), note_cmp);
	*out = w.plan;
	return 0;
}

int landlock_plan_add(struct landlock_plan *p, const char *path, uint8_t perm, struct diag *d)
{
	struct walk w = { .plan = p, .d = d };

	return plan_grant(&w, path, perm, false);
}

void landlock_plan_free(struct landlock_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->ngrants; i++)
		free(p->grants[i].path);
	free(p->grants);
	for (size_t i = 0; i < p->nnotes; i++)
		free(p->notes[i].why);
	free(p->notes);
	free(p);
}
