/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A rule into the text of a policy. The text is changed by edit_text(), which
 * guesses as a person does; what it made is believed only when it parses to just
 * the tree that was wanted, and to a policy in which the rule takes effect.
 */
#include <jansson.h>

#include "policy_edit_int.h"

static int nomem(struct diag *d)
{
	return diag_set(d, -ENOMEM, "out of memory");
}

/* ---- the policy of one text ------------------------------------------------------ */

struct own {
	struct policy p;
	struct policy_extends ext;
};

static void own_clear(struct own *o)
{
	o->p.path = NULL; /* borrowed */
	policy_clear(&o->p);
	policy_extends_clear(&o->ext);
}

static int own_parse(const char *file, const char *text, size_t len, struct own *o, struct diag *d)
{
	int err;

	memset(o, 0, sizeof(*o));
	o->p.path = (char *)file;
	o->p.name = strdup(file);
	err = o->p.name ? policy_parse_file(file, text, len, &o->p, &o->ext, d) : nomem(d);
	return err ? err : policy_check_lists(&o->p, d);
}

static bool is_json(const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	json_decref(json);
	return json != NULL;
}

/* ---- what is there already ------------------------------------------------------- */

static const struct policy_path *find_path(const struct policy_paths *list, const char *key)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i].key, key))
			return &list->v[i];
	return NULL;
}

static bool has_word(const struct ydoc *doc, const struct edit_want *w)
{
	const struct ynode *n = doc->root;

	for (unsigned int i = 0; i < w->nkeys && n; i++)
		n = edit_child(n, w->keys[i]);
	for (n = n ? n->first : NULL; n; n = n->next)
		if (n->type == Y_SCALAR && str_eq(n->text, w->value))
			return true;
	return false;
}

static bool has_loopback(const struct edit_rule *r, const struct policy_loopback *lo)
{
	if (!r->dest.nports)
		return lo->own;
	for (size_t i = 0; i < lo->ports.n; i++)
		if (edit_covers_ports(&lo->ports.v[i], &r->dest.ports[0]))
			return true;
	return lo->host;
}

static bool has_rule(const struct edit_rule *r, const struct policy *p, const struct ydoc *doc,
		     const struct edit_want *w)
{
	const struct policy_path *path;

	switch (r->verb) {
	case EDIT_OPEN:
		path = find_path(&p->files, r->key);
		return path && (path->perm & r->perm) == r->perm;
	case EDIT_UNIX:
		return find_path(&p->unixes, r->key);
	case EDIT_CONNECT:
		for (size_t i = 0; i < p->allow.n; i++)
			if (!policy_dest_cmp(&p->allow.v[i], &r->dest))
				/* what it lacks is beside it: it cannot be there twice */
				return !(r->dest.flags & ~p->allow.v[i].flags);
		return false;
	case EDIT_LOOPBACK:
		return has_loopback(r, &p->loopback);
	default:
		return has_word(doc, w);
	}
}

/* ---- what is to be written ------------------------------------------------------- */

static void want_of(const struct edit_rule *r, struct edit_want *w)
{
	static const struct {
		const char *keys[2];
		unsigned int nkeys;
	} where[] = {
		[EDIT_OPEN] = { { "files" }, 1 },
		[EDIT_CONNECT] = { { "egress", "allow" }, 2 },
		[EDIT_UNIX] = { { "egress", "unix" }, 2 },
		[EDIT_SOCKET] = { { "egress", "sockets" }, 2 },
		[EDIT_PRIVILEGE] = { { "privileges" }, 1 },
		[EDIT_LOOPBACK] = { { "egress", "loopback" }, 2 },
	};

	memcpy(w->keys, where[r->verb].keys, sizeof(w->keys));
	w->nkeys = where[r->verb].nkeys;
	w->value = r->arg;
	w->map = r->map.root;
}

/* `perm` is filled with the letters. A path closed by name is an error: somebody meant it. */
static int want_perm(const struct edit_rule *r, const struct policy *p, struct edit_want *w,
		     char perm[5], struct diag *d)
{
	const struct policy_path *old = find_path(&p->files, r->key);

	w->perm = policy_perm_text(r->perm | (old ? old->perm : 0), perm);
	w->replace = old ? old->text : NULL;
	if (!old || old->perm)
		return 0;
	return diag_at(d, -EINVAL, old->at.file, old->at.line, old->at.col,
		       "\"%s: none\" wins over \"%s\": change that line first", old->text, r->arg);
}

/* One line without anything that a terminal or YAML would act on; NULL when it is NULL. */
static int clean_comment(const char *comment, struct text *t)
{
	size_t len = comment ? strlen(comment) : 0;

	for (size_t i = 0; i < len && t->len < POLICY_EDIT_COMMENT_MAX;) {
		uint32_t code = 0;
		size_t n = text_char_at(comment + i, len - i, &code);

		if (!n || text_char_unsafe(code))
			text_add(t, "?");
		else
			text_add_bytes(t, comment + i, n);
		i += n ? n : 1;
	}
	while (t->len && t->p[t->len - 1] == ' ')
		t->p[--t->len] = '\0';
	return t->failed ? -ENOMEM : 0;
}

/* ---- trying it out --------------------------------------------------------------- */

/*
 * 0: `t` is the text wanted. 1: what was written means something else, another
 * form may do. An error of the policy's parser says what is wrong with the rule.
 */
static int try_text(const char *file, const char *text, size_t len, const struct edit_want *w,
		    struct text *t, struct diag *d)
{
	struct edit_nodes nodes;
	struct ydoc doc, made;
	struct diag why = {};
	bool same;
	int err;

	err = ydoc_parse(file, text, len, &doc, d);
	if (err)
		return err;
	if (edit_text(text, len, &doc, w, t)) {
		ydoc_free(&doc);
		return 1;
	}
	err = t->failed ? nomem(d) : ydoc_parse(file, t->p, t->len, &made, &why);
	if (err == -ENOMEM || err == -EFBIG) {
		ydoc_free(&doc);
		return diag_set(d, err, "%s: %s", file, why.msg);
	}
	if (err) {
		ydoc_free(&doc);
		return 1;
	}
	edit_tree(&doc, w, &nodes);
	same = edit_same_tree(doc.root, made.root) && (!w->json || is_json(t->p, t->len));
	ydoc_free(&doc);
	ydoc_free(&made);
	return same ? 0 : 1;
}

int edit_cannot(const char *file, const struct edit_rule *r, int err, const struct diag *why,
		struct diag *d)
{
	return diag_set(d, err, "%s: \"%s\" cannot be added: %s", file, r->arg, why->msg);
}

/* The new text as a policy: the rule is in it and nothing has the last word over it. */
static int check_text(const char *file, const struct text *t, const struct edit_rule *r,
		      const struct edit_want *w, struct diag *d)
{
	struct diag why = {};
	struct ydoc doc = {};
	struct own o;
	int err = own_parse(file, t->p, t->len, &o, &why);

	if (!err)
		err = ydoc_parse(file, t->p, t->len, &doc, &why);
	if (!err && !has_rule(r, &o.p, &doc, w))
		err = diag_set(&why, -EINVAL, "it would not be in the policy");
	if (!err)
		err = edit_rule_compile(r, &o.p, d, &why);
	ydoc_free(&doc);
	own_clear(&o);
	return why.err ? edit_cannot(file, r, err, &why, d) : err;
}

static int write_rule(const char *file, const char *text, size_t len, const struct edit_rule *r,
		      struct edit_want *w, struct text *t, struct diag *d)
{
	int err = try_text(file, text, len, w, t, d);

	if (err == 1 && w->comment) {
		/* the end of the line may be the inside of a value */
		w->comment = NULL;
		err = try_text(file, text, len, w, t, d);
	}
	if (err == 1)
		return diag_at(d, -EINVAL, file, 0, 0, "no place found to write \"%s\" so that all "
			       "else keeps its meaning: write it by hand", r->arg);
	return err ? err : check_text(file, t, r, w, d);
}

/* ---- all of it ------------------------------------------------------------------- */

static int add_to(const char *file, const char *text, size_t len, const struct edit_rule *r,
		  const struct own *o, const char *comment, struct text *t, struct diag *d)
{
	struct edit_want w = { .comment = comment, .json = is_json(text, len) };
	struct ydoc doc;
	char perm[5];
	int err;

	want_of(r, &w);
	err = ydoc_parse(file, text, len, &doc, d);
	if (err)
		return err;
	if (has_rule(r, &o->p, &doc, &w))
		err = 1;
	else if (r->verb == EDIT_OPEN)
		err = want_perm(r, &o->p, &w, perm, d);
	else
		err = edit_rule_denied(r, &o->p, d);
	ydoc_free(&doc);
	return err ? err : write_rule(file, text, len, r, &w, t, d);
}

int edit_add(const char *file, const char *text, size_t len, struct edit_rule *r, bool alone,
	     const char *comment, char **out, size_t *out_len, struct diag *d)
{
	struct text clean = {}, t = {};
	struct own o;
	int err;

	err = own_parse(file, text, len, &o, d);
	/* what is extended may allow less than this text alone */
	if (!err && alone && !o.ext.names.n)
		err = edit_rule_widen(r, &o.p, d);
	if (!err && clean_comment(comment, &clean))
		err = nomem(d);
	if (!err)
		err = add_to(file, text, len, r, &o, comment ? clean.p : NULL, &t, d);
	own_clear(&o);
	text_free(&clean);
	if (err) {
		text_free(&t);
		return err;
	}
	*out = t.p;
	*out_len = t.len;
	return 0;
}

int policy_edit_add(const char *file, const char *text, size_t len, const char *rule,
		    const char *comment, char **out, size_t *out_len, struct diag *d)
{
	struct edit_rule r;
	int err = edit_rule_parse(rule, &r, d);

	if (!err)
		err = edit_add(file, text, len, &r, true, comment, out, out_len, d);
	edit_rule_clear(&r);
	return err;
}
