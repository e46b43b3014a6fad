/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Path and unix rules to the automaton: bound, spelled as written and as they
 * resolve, the dangerous ones refused, the literal ones anchored.
 *
 * Spellings by resolution need care. A sandboxed program of an earlier run may
 * have put a link where it may create things, to gain what the link names now:
 * such a link is followed to take access away, never to give it. And no link
 * opens what another rule closes, unless the rule as written is inside it too.
 */
#include <limits.h>

#include "automaton.h"
#include "compile_int.h"
#include "denials.h"
#include "own_places.h"
#include "policy_int.h"
#include "policy_resolve.h"
#include "policy_safe.h"

/* one pattern on its way into the automaton */
struct spelling {
	const struct policy_path *src;
	char *pattern;
	char *literal; /* the path, when there is nothing to match */
	uint32_t rule; /* index + 1 */
	uint8_t perm, space;
	bool resolved;
	char **links; /* resolved: the links on the way */
	size_t nlinks;
};

/* a variable without a value, and the rules dropped for it */
struct unbound {
	const char *name;
	const struct policy_path *first;
	size_t rules;
};

struct paths {
	struct comp *k;
	struct unbound unbound[8];
	size_t nunbound;
	struct resolver resolver;
	struct spelling *v;
	size_t n, cap;
	size_t anchors_cap;
};

static void spelling_clear(struct spelling *s)
{
	free(s->pattern);
	free(s->literal);
	for (size_t i = 0; i < s->nlinks; i++)
		free(s->links[i]);
	free(s->links);
	memset(s, 0, sizeof(*s));
}

/* ---- spellings -------------------------------------------------------------------------- */

static int add_spelling(struct paths *b, const struct spelling *like, char *pattern, bool resolved)
{
	struct spelling s = { .src = like->src, .rule = like->rule, .perm = like->perm,
			      .space = like->space, .resolved = resolved };
	const char *rest;

	s.pattern = *pattern == '@' ? pattern : comp_own_proc(pattern);
	if (!s.pattern)
		return comp_nomem(b->k);
	if (*s.pattern != '@') {
		s.literal = comp_literal_part(s.pattern, &rest);
		if (!s.literal || array_reserve(&b->v, &b->cap, b->n)) {
			spelling_clear(&s);
			return comp_nomem(b->k);
		}
		if (*rest) {
			free(s.literal);
			s.literal = NULL;
		}
	} else if (array_reserve(&b->v, &b->cap, b->n)) {
		spelling_clear(&s);
		return comp_nomem(b->k);
	}
	if (resolved) {
		/* what was walked through belongs to this spelling now */
		s.links = steal_ptr(b->resolver.links);
		s.nlinks = b->resolver.nlinks;
		b->resolver.nlinks = b->resolver.links_cap = 0;
	}
	b->v[b->n++] = s;
	return 0;
}

/* The second spelling, when the literal part leads over a link. */
static int add_resolved(struct paths *b, size_t written)
{
	const struct spelling like = b->v[written];
	char real[PATH_MAX];
	const char *rest;
	char *literal, *pattern;
	int err;

	if (*like.pattern == '@')
		return 0;
	literal = comp_literal_part(like.pattern, &rest);
	if (!literal)
		return comp_nomem(b->k);
	err = *literal ? resolver_path(&b->resolver, literal, real) : -ENOENT;
	if (err == -ENOMEM) {
		free(literal);
		return comp_nomem(b->k);
	}
	/* a loop or an overlong path resolves to nothing: as written it stays */
	if (err || str_eq(real, literal)) {
		free(literal);
		return 0;
	}
	free(literal);
	pattern = comp_quoted(real, rest);
	if (!pattern)
		return comp_nomem(b->k);
	return add_spelling(b, &like, pattern, true);
}

/* ---- binding ------------------------------------------------------------------------------ */

/* One notice a variable, however many rules use it. */
static int unbound(struct paths *b, const struct policy_path *src, const char *name)
{
	const struct policy_vars *v = b->k->v;
	size_t i;

	if (str_eq(name, "WORKDIR") && v->workdir_why)
		return diag_at(b->k->d, -EINVAL, src->at.file, src->at.line, src->at.col,
			       "\"%s\": %s", src->text, v->workdir_why);
	/* no repository, or no linked worktree: nothing that a rule could be about */
	if (!strncmp(name, "GIT", 3) && !v->git_refused)
		return 0;
	for (i = 0; i < b->nunbound && !str_eq(b->unbound[i].name, name); i++)
		;
	if (i == ARRAY_SIZE(b->unbound))
		return 0; /* there are no more variables than that */
	if (i == b->nunbound)
		b->unbound[b->nunbound++] = (struct unbound){ .name = name, .first = src };
	b->unbound[i].rules++;
	return 0;
}

static int unbound_notices(struct paths *b)
{
	const struct unbound *u = b->unbound;
	int err = 0;

	for (; u < b->unbound + b->nunbound && !err; u++)
		err = comp_notice(b->k, &u->first->at,
				  "${%s} has no value here: \"%s\"%s dropped", u->name,
				  u->first->text, u->rules > 1 ? " and other rules with it are" :
								 " is");
	return err;
}

static int check_unix(struct paths *b, const struct policy_path *src, const char *pattern)
{
	const struct policy_vars *v = b->k->v;
	char which[PATH_MAX];
	const char *why;

	if (src->unsafe)
		return 0;
	why = policy_unsafe_unix(pattern, v->uid, v->home, which, sizeof(which));
	if (!why)
		return 0;
	return diag_at(b->k->d, -EINVAL, src->at.file, src->at.line, src->at.col,
		       "unix socket \"%s\" hands the sandbox away (%s: %s): expected {path: "
		       "\"%s\", unsafe: true} if that is meant", src->text, which, why, src->text);
}

static int bind_one(struct paths *b, const struct policy_path *src, uint8_t space)
{
	struct spelling like = { .src = src, .perm = src->perm, .space = space };
	const char *name = "";
	char *pattern, text[EG_PATH_MAX + 64], perm[5];
	size_t first = b->n;
	int err;

	err = policy_vars_expand(b->k->v, src->key, &pattern, &name);
	if (err == -ENOENT)
		return unbound(b, src, name);
	if (err)
		return err == -ENOMEM ? comp_nomem(b->k) :
					diag_at(b->k->d, err, src->at.file, src->at.line,
						src->at.col, "bad path \"%s\"", src->text);
	if (space == AUTOMATON_PATHS)
		(void)snprintf(text, sizeof(text), "%s: %s", src->text,
			       policy_perm_text(src->perm, perm));
	else
		(void)snprintf(text, sizeof(text), "%s", src->text);
	err = comp_rule(b->k, &src->at, space == AUTOMATON_PATHS ? RULE_FILE : RULE_UNIX, text,
			&like.rule);
	if (err) {
		free(pattern);
		return err;
	}
	err = add_spelling(b, &like, pattern, false);
	if (!err)
		err = add_resolved(b, first);
	for (size_t i = first; i < b->n && !err && space == AUTOMATON_UNIX; i++)
		err = check_unix(b, src, b->v[i].pattern);
	return err;
}

/* Is there a path that something may not be done with? Else nobody need be asked. */
static bool restricts_paths(const struct policy *p)
{
	bool all = p->file_default.v == EG_PERM_ALL;

	for (size_t i = 0; i < p->files.n; i++) {
		if (p->files.v[i].perm != EG_PERM_ALL)
			return true;
		all |= str_eq(p->files.v[i].key, "/");
	}
	return !all;
}

/*
 * Every sandbox reads its own denials, whose name it is told and others cannot guess;
 * none of them may list the names, or write there.
 */
static int bind_builtin(struct paths *b)
{
	static const struct policy_path rules[] = {
		{ .text = (char *)DENIALS_DIR, .at = { .file = "builtin" } },
		{ .text = (char *)DENIALS_DIR "/*", .at = { .file = "builtin" }, .perm = EG_R },
	};
	char text[sizeof(DENIALS_DIR) + 16], perm[5];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rules) && !err; i++) {
		struct spelling like = { .src = &rules[i], .perm = rules[i].perm,
					 .space = AUTOMATON_PATHS };
		char *pattern;

		(void)snprintf(text, sizeof(text), "%s: %s", rules[i].text,
			       policy_perm_text(rules[i].perm, perm));
		err = comp_rule(b->k, NULL, RULE_BUILTIN, text, &like.rule);
		pattern = err ? NULL : strdup(rules[i].text);
		if (!err)
			err = pattern ? add_spelling(b, &like, pattern, false) : comp_nomem(b->k);
		/* not to be anchored: there are no other names for what is in a tmpfs of root's */
		if (!err)
			free(steal_ptr(b->v[b->n - 1].literal));
	}
	return err;
}

/*
 * The rules as they are now, or without what resolved spellings give, to judge links by.
 * Patterns that are none are found here, where their place is known.
 */
static int parse_rules(struct paths *b, bool resolved, struct automaton **out)
{
	_cleanup_free_ struct automaton_rule *rules = calloc(b->n + 1, sizeof(*rules));
	_cleanup_free_ const struct spelling **from = calloc(b->n + 1, sizeof(*from));
	uint8_t defaults[AUTOMATON_SPACES] = { (uint8_t)b->k->p->file_default.v };
	const struct policy_path *src;
	struct automaton_error e = {};
	size_t n = 0;
	int err;

	if (!rules || !from)
		return comp_nomem(b->k);
	for (size_t i = 0; i < b->n; i++) {
		const struct spelling *s = &b->v[i];

		if (!s->pattern || (s->resolved && s->perm && !resolved))
			continue;
		from[n] = s;
		rules[n++] = (struct automaton_rule){ .pattern = s->pattern, .id = s->rule,
						      .perm = s->perm, .space = s->space };
	}
	err = automaton_parse(rules, n, defaults, out, &e);
	if (!err)
		return 0;
	if (err == -ENOMEM || e.rule >= n)
		return diag_set(b->k->d, err, "%s", e.msg[0] ? e.msg : "out of memory");
	src = from[e.rule]->src;
	return diag_at(b->k->d, err, src->at.file, src->at.line, src->at.col,
		       "\"%s\": %s%s%s", src->text, e.msg, e.expected[0] ? ": expected " : "",
		       e.expected);
}

static int bind_all(struct paths *b)
{
	const struct policy *p = b->k->p;
	int err = restricts_paths(p) ? bind_builtin(b) : 0;

	for (size_t i = 0; i < p->files.n && !err; i++)
		err = bind_one(b, &p->files.v[i], AUTOMATON_PATHS);
	for (size_t i = 0; i < p->unixes.n && !err; i++)
		err = bind_one(b, &p->unixes.v[i], AUTOMATON_UNIX);
	return err ? err : unbound_notices(b);
}

/* ---- links -------------------------------------------------------------------------------- */

static bool written_covers(const struct paths *b, uint32_t rule, const char *path)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].rule == rule && b->v[i].pattern &&
		    policy_glob_covers(b->v[i].pattern, path))
			return true;
	return false;
}

/*
 * The rule itself may forbid to create just this name: what counts is as well
 * who may create things beside it, now or in a run before the rule was written.
 */
static bool may_be_planted(const struct automaton *a, const char *link)
{
	size_t up = (size_t)(strrchr(link, '/') - link);
	uint8_t here, beside;
	uint32_t id;

	(void)automaton_rule_for(a, AUTOMATON_PATHS, link, strlen(link), &id, &here);
	(void)automaton_rule_for(a, AUTOMATON_PATHS, up ? link : "/", up ? up : 1, &id, &beside);
	return (here | beside) & EG_C;
}

/*
 * 0: may go in; 1: not, and a notice says so; or an error. Notices go to who wrote the
 * policy, and root followed the links: what they are called and where they lead may not
 * be that user's to know.
 */
static int judge_link(struct paths *b, const struct automaton *a, const struct spelling *s)
{
	_cleanup_free_ char *to = NULL, *as_written = NULL;
	const char *rest;
	uint32_t closing;
	uint8_t perm;
	int err;

	for (size_t i = 0; i < s->nlinks; i++) {
		if (!may_be_planted(a, s->links[i]))
			continue;
		err = comp_notice(b->k, &s->src->at,
				  "\"%s\" is not followed over a link that the sandbox may "
				  "replace: name where it leads", s->src->text);
		return err ? err : 1;
	}
	if (s->space != AUTOMATON_PATHS)
		return 0;
	to = comp_literal_part(s->pattern, &rest);
	as_written = comp_literal_part(s[-1].pattern, &rest);
	if (!to || !as_written)
		return comp_nomem(b->k);
	if (!*to || !automaton_rule_for(a, AUTOMATON_PATHS, to, strlen(to), &closing, &perm) ||
	    perm)
		return 0;
	if (written_covers(b, closing, as_written))
		return 0;
	err = comp_notice(b->k, &s->src->at,
			  "\"%s\" is not followed to where it leads, which \"%s\" closes",
			  s->src->text, b->k->c->rules[closing - 1].text);
	return err ? err : 1;
}

/* Spellings that links must not give are taken out. */
static int judge_links(struct paths *b)
{
	struct automaton *a;
	int err = parse_rules(b, false, &a);

	if (err)
		return err;
	for (size_t i = 0; i < b->n && err >= 0; i++) {
		/* a resolved spelling comes right after the written one */
		if (!b->v[i].resolved || !b->v[i].perm)
			continue;
		err = judge_link(b, a, &b->v[i]);
		if (err > 0)
			spelling_clear(&b->v[i]);
	}
	automaton_free(a);
	return MIN(err, 0);
}

/* ---- what is egressctl's -------------------------------------------------------------------- */

static bool is_written(const struct paths *b, const char *path)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].space == AUTOMATON_PATHS && b->v[i].literal &&
		    str_eq(b->v[i].literal, path))
			return true;
	return false;
}

/* What the rules give there but for writing, unless one of them names it. */
static int bind_own_place(struct paths *b, const struct automaton *a, const char *path)
{
	static const struct policy_path own = { .text = (char *)"builtin",
						.at = { .file = "builtin" } };
	struct spelling like = { .src = &own, .space = AUTOMATON_PATHS };
	char text[PATH_MAX + 16], perm[5];
	uint32_t id;
	char *pattern;
	int err;

	(void)automaton_rule_for(a, AUTOMATON_PATHS, path, strlen(path), &id, &like.perm);
	if (!(like.perm & (EG_W | EG_C)) || is_written(b, path))
		return 0;
	like.perm &= (uint8_t)~(EG_W | EG_C);
	(void)snprintf(text, sizeof(text), "%s: %s", path, policy_perm_text(like.perm, perm));
	err = comp_rule(b->k, NULL, RULE_BUILTIN, text, &like.rule);
	if (err)
		return err;
	pattern = comp_quoted(path, "");
	return pattern ? add_spelling(b, &like, pattern, false) : comp_nomem(b->k);
}

/* own_places.h: as they are called, and as that resolves. */
static int bind_own_places(struct paths *b)
{
	struct automaton *a;
	char real[PATH_MAX];
	int err = parse_rules(b, true, &a);

	if (err)
		return err;
	for (const char *const *place = own_places; *place && !err; place++) {
		err = bind_own_place(b, a, *place);
		if (err)
			break;
		err = resolver_path(&b->resolver, *place, real);
		if (err == -ENOMEM)
			err = comp_nomem(b->k);
		else /* a loop or an overlong path resolves to nothing */
			err = err || str_eq(real, *place) ? 0 : bind_own_place(b, a, real);
	}
	automaton_free(a);
	return err;
}

/* ---- anchors ---------------------------------------------------------------------------- */

static int add_anchor(struct paths *b, const struct spelling *s)
{
	struct compiled *c = b->k->c;
	struct compiled_anchor *a;
	const char *slash = strrchr(s->literal, '/');
	size_t up = (size_t)(slash - s->literal);
	uint8_t here, above;

	/* objects of these file systems come and go, and have no other names */
	if (str_eq(s->literal, "/") || str_starts(s->literal, "/proc/"))
		return 0;
	here = automaton_perm(c->automaton, AUTOMATON_PATHS, s->literal, strlen(s->literal));
	above = automaton_perm(c->automaton, AUTOMATON_PATHS, up ? s->literal : "/", up ? up : 1);
	if (s->perm && !(above & ~here))
		return 0;
	if (array_reserve(&c->anchors, &b->anchors_cap, c->nanchors))
		return comp_nomem(b->k);
	a = &c->anchors[c->nanchors];
	a->path = strdup(s->literal);
	if (!a->path)
		return comp_nomem(b->k);
	a->state = automaton_state(c->slots, automaton_starts(c->automaton), AUTOMATON_PATHS,
				   s->literal, strlen(s->literal));
	a->perm = here;
	a->rule = s->rule;
	c->nanchors++;
	return 0;
}

static int compile_anchors(struct paths *b)
{
	int err = 0;

	for (size_t i = 0; i < b->n && !err; i++)
		if (b->v[i].literal && b->v[i].space == AUTOMATON_PATHS)
			err = add_anchor(b, &b->v[i]);
	return err;
}

/* The spellings that are in the automaton; the strings are the compiled policy's from here on. */
static int keep_paths(struct paths *b)
{
	struct compiled *c = b->k->c;

	c->paths = calloc(b->n + 1, sizeof(*c->paths));
	if (!c->paths)
		return comp_nomem(b->k);
	for (size_t i = 0; i < b->n; i++) {
		struct spelling *s = &b->v[i];

		if (s->pattern)
			c->paths[c->npaths++] = (struct compiled_path){
				.pattern = steal_ptr(s->pattern), .rule = s->rule,
				.perm = s->perm, .space = s->space,
			};
	}
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int compile_bind_paths(struct comp *k)
{
	int err;

	k->paths = calloc(1, sizeof(*k->paths));
	if (!k->paths)
		return comp_nomem(k);
	k->paths->k = k;
	k->paths->resolver.vars = k->v;
	err = bind_all(k->paths);
	if (!err)
		err = judge_links(k->paths);
	/* Landlock cannot take away inside of what it gives */
	if (!err && restricts_paths(k->p) && !k->p->landlock)
		err = bind_own_places(k->paths);
	k->c->npath_rules = k->c->nrules;
	return err;
}

int compile_paths(struct comp *k)
{
	struct place at = { .file = k->p->path };
	int err = 0;

	if (!k->p->has_files && !k->p->paths_left_out)
		err = comp_notice(k, &at, "no files section: alone, it lets no path be used and no "
				  "command start; use it beside another policy, or leave paths "
				  "alone with files: {default: rwxc}");
	if (!err)
		err = keep_paths(k->paths);
	if (!err)
		err = comp_automaton(k);
	return err ? err : compile_anchors(k->paths);
}

void compile_paths_end(struct comp *k)
{
	struct paths *b = k->paths;

	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++)
		spelling_clear(&b->v[i]);
	free(b->v);
	resolver_clear(&b->resolver);
	free(b);
}
