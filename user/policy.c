/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A policy and all it extends, from texts to one merged policy. */
#include "policy_int.h"

/* a file may be reached along several ways; bound the work all the same */
#define MAX_LOADS 128u

struct loader {
	const struct policy_reader *rd;
	struct policy *top; /* owns the sources, and so every place */
	struct diag *d;
	const char *stack[POLICY_MAX_EXTENDS + 1];
	unsigned int depth, loads;
};

static int nomem(struct loader *l)
{
	return diag_set(l->d, -ENOMEM, "out of memory");
}

/* "./x.yaml" in /a/b.yaml is /a/./x.yaml: names stand for themselves everywhere. */
static char *absolute_name(const char *name, const char *from)
{
	const char *slash = from ? strrchr(from, '/') : NULL;
	char *joined;

	if (!slash || *name == '/' || !strchr(name, '/'))
		return strdup(name);
	if (asprintf(&joined, "%.*s/%s", (int)(slash - from), from, name) < 0)
		return NULL;
	return joined;
}

/* Where to put the blame: the entry of `extends`, or the command line. */
static int blame(struct loader *l, const struct policy_str *ext, int err, const char *text)
{
	if (!ext)
		return diag_set(l->d, err, "%s", text);
	return diag_at(l->d, err, ext->at.file, ext->at.line, ext->at.col, "extends: %s", text);
}

static int read_source(struct loader *l, const char *name, const struct policy_str *ext,
		       const struct policy_source **out)
{
	struct policy *top = l->top;
	struct policy_source src = {}, *grown;
	struct diag why = {};
	char text[1600];
	int err;

	for (size_t i = 0; i < top->nsources; i++) {
		if (str_eq(top->sources[i].name, name)) {
			*out = &top->sources[i];
			return 0;
		}
	}
	if (top->nsources == POLICY_MAX_FILES) {
		(void)snprintf(text, sizeof(text), "more than %u files", POLICY_MAX_FILES);
		return blame(l, ext, -E2BIG, text);
	}
	grown = realloc(top->sources, (top->nsources + 1) * sizeof(*grown));
	if (!grown)
		return nomem(l);
	top->sources = grown;
	err = l->rd->read(l->rd->ctx, name, ext ? ext->at.file : NULL, &src.path, &src.text,
			  &src.len, &why);
	if (err)
		return blame(l, ext, err, diag_text(&why, text, sizeof(text)));
	src.name = strdup(name);
	if (!src.name) {
		free(src.path);
		free(src.text);
		return nomem(l);
	}
	grown[top->nsources] = src;
	*out = &grown[top->nsources++];
	return 0;
}

static int check_stack(struct loader *l, const char *path, const struct policy_str *ext)
{
	char text[1600];
	size_t o = 0;

	for (unsigned int i = 0; i < l->depth; i++) {
		if (!str_eq(l->stack[i], path))
			continue;
		for (; i < l->depth && o < sizeof(text); i++)
			o += (size_t)snprintf(text + o, sizeof(text) - o, "%s -> ", l->stack[i]);
		if (o < sizeof(text))
			(void)snprintf(text + o, sizeof(text) - o, "%s: a policy cannot extend "
				       "itself", path);
		return blame(l, ext, -ELOOP, text);
	}
	if (l->depth > POLICY_MAX_EXTENDS || ++l->loads > MAX_LOADS) {
		(void)snprintf(text, sizeof(text),
			       "\"%s\" is too deep: at most %u levels, %u files",
			       ext ? ext->text : path, POLICY_MAX_EXTENDS, MAX_LOADS);
		return blame(l, ext, -E2BIG, text);
	}
	return 0;
}

static int load_file(struct loader *l, const char *name, const struct policy_str *ext,
		     struct policy *out);

static int load_parents(struct loader *l, const struct policy_extends *ext, struct policy *out)
{
	struct policy parent;
	int err = 0;

	for (size_t i = 0; i < ext->names.n && !err; i++) {
		memset(&parent, 0, sizeof(parent));
		err = load_file(l, ext->names.v[i].text, &ext->names.v[i], &parent);
		if (!err)
			err = policy_merge(out, &parent, MERGE_PARENT, l->d);
		policy_clear(&parent);
	}
	return err;
}

static int load_file(struct loader *l, const char *name, const struct policy_str *ext,
		     struct policy *out)
{
	_cleanup_free_ char *abs = absolute_name(name, ext ? ext->at.file : NULL);
	const struct policy_source *src = NULL;
	struct policy_extends extends = {};
	struct policy own = {};
	const char *path;
	int err;

	if (!abs)
		return nomem(l);
	err = read_source(l, abs, ext, &src);
	if (!err)
		err = check_stack(l, src->path, ext);
	if (err)
		return err;
	path = src->path;
	l->stack[l->depth++] = path;
	err = policy_parse_file(path, src->text, src->len, &own, &extends, l->d);
	if (!err)
		err = policy_check_lists(&own, l->d);
	if (!err)
		err = load_parents(l, &extends, out);
	if (!err)
		err = policy_merge(out, &own, MERGE_CHILD, l->d);
	if (!err && extends.names.n)
		err = policy_merge_check(out, &extends.at, l->d);
	l->depth--;
	policy_extends_clear(&extends);
	policy_clear(&own);
	return err;
}

int policy_load(const char *name_or_path, const struct policy_reader *rd, struct policy **out,
		struct diag *d)
{
	struct loader l = { .rd = rd ? rd : &policy_reader_files, .d = d };
	struct policy *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return diag_set(d, -ENOMEM, "out of memory");
	l.top = p;
	p->name = strdup(name_or_path);
	err = p->name ? load_file(&l, name_or_path, NULL, p) : nomem(&l);
	if (err) {
		policy_free(p);
		return err;
	}
	p->path = p->sources[0].path;
	*out = p;
	return 0;
}

/* Places in `own` point at the path of a source that `p` keeps. */
static int keep_source(struct policy *p, const char *path, const char *text,
		       const struct policy_source **out)
{
	struct policy_source *v = reallocarray(p->sources, p->nsources + 1, sizeof(*v));
	struct policy_source *s;

	if (!v)
		return -ENOMEM;
	p->sources = v;
	s = &v[p->nsources];
	*s = (struct policy_source){ .name = strdup(path), .path = strdup(path),
				     .text = strdup(text), .len = strlen(text) };
	p->nsources++; /* to be freed from here on, whatever is missing */
	*out = s;
	return s->name && s->path && s->text ? 0 : -ENOMEM;
}

int policy_overlay(struct policy *p, const char *path, const char *text, uint16_t origin,
		   struct diag *d)
{
	const struct policy_source *src;
	struct policy_extends extends = {};
	struct policy own = {};
	int err;

	if (keep_source(p, path, text, &src))
		return diag_set(d, -ENOMEM, "out of memory");
	err = policy_parse_file(src->path, src->text, src->len, &own, &extends, d);
	if (!err && extends.names.n)
		err = diag_set(d, -EINVAL, "%s: it cannot extend other policies", path);
	if (!err)
		err = policy_check_lists(&own, d);
	for (size_t i = 0; i < own.allow.n; i++)
		own.allow.v[i].origin = origin;
	if (!err)
		err = policy_merge(p, &own, MERGE_CHILD, d);
	policy_extends_clear(&extends);
	policy_clear(&own);
	return err;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	policy_clear(p);
	free(p);
}
