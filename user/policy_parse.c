/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One policy file: the schema as tables, one row per key, with what it expects.
 * The sections with a language of their own are in policy_sections.c.
 */
#include "policy_apart.h"
#include "policy_parse.h"

int pol_bad(struct pol *c, const struct ynode *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)diag_vat(c->d, -EINVAL, c->file, n->line, n->col, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int pol_nomem(struct pol *c)
{
	return diag_set(c->d, -ENOMEM, "out of memory");
}

struct place pol_place(const struct pol *c, const struct ynode *n)
{
	return (struct place){ .file = c->file, .line = n->line, .col = n->col };
}

const char *pol_got(const struct ynode *n, char *buf, size_t len)
{
	if (ynode_is_null(n))
		return "nothing";
	if (n->type == Y_LIST)
		return n->count ? "a list" : "an empty list";
	if (n->type == Y_MAP)
		return n->count ? "a map" : "an empty map";
	(void)snprintf(buf, len, "\"%s\"", n->text);
	return buf;
}

/* Of an entry, when `expect` speaks of the list. */
static const char *of_entry(const struct ynode *n, const char *expect)
{
	static const char list[] = "a list of ";

	if (n->type == Y_SCALAR && !n->key && str_starts(expect, list))
		return expect + strlen(list);
	return expect;
}

int pol_expected(struct pol *c, const struct ynode *n, const char *what, const char *expect)
{
	char got[256];

	return pol_bad(c, n, "%s: got %s, expected %s", what, pol_got(n, got, sizeof(got)),
		       of_entry(n, expect));
}

int pol_scalar(struct pol *c, const struct ynode *n, const char *what, const char *expect)
{
	if (n->type != Y_SCALAR || ynode_is_null(n))
		return pol_expected(c, n, what, expect);
	return 0;
}

int pol_word(struct pol *c, const struct ynode *n, const char *what, const char *expect,
	     const struct pol_words *words, struct policy_num *out)
{
	int err = pol_scalar(c, n, what, expect);

	if (err)
		return err;
	for (; words->word; words++) {
		if (str_eq(words->word, n->text)) {
			out->v = words->value;
			out->at = pol_place(c, n);
			return 0;
		}
	}
	return pol_expected(c, n, what, expect);
}

static void list_keys(const struct pol_key *keys, char *buf, size_t len)
{
	size_t o = 0;

	for (; keys->key && o < len; keys++)
		o += (size_t)snprintf(buf + o, len - o, "%s%s", o ? ", " : "", keys->key);
}

int pol_map(struct pol *c, const struct ynode *n, const char *what, const struct pol_key *keys)
{
	const struct pol_key *k;
	char names[512];
	int err;

	if (n->type != Y_MAP)
		return pol_expected(c, n, what, "a map");
	for (struct ynode *e = n->first; e; e = e->next) {
		for (k = keys; k->key && !str_eq(k->key, e->key->text); k++)
			;
		if (!k->key) {
			list_keys(keys, names, sizeof(names));
			return pol_bad(c, e->key, "unknown key \"%s\" in %s: expected one of %s",
				       e->key->text, what, names);
		}
		if (ynode_is_null(e))
			return pol_expected(c, e, k->key, k->expect);
		err = k->parse(c, e, k);
		if (err)
			return err;
	}
	return 0;
}

int pol_list(struct pol *c, const struct ynode *n, const struct pol_key *k, size_t have)
{
	if (n->type != Y_LIST)
		return pol_expected(c, n, k->key, k->expect);
	if (have + n->count > POLICY_MAX_RULES)
		return pol_bad(c, n, "%s: %zu entries, at most %u", k->key, have + n->count,
			       POLICY_MAX_RULES);
	return 0;
}

/* ---- small keys ------------------------------------------------------------------- */

static int parse_version(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	if (n->type != Y_SCALAR || !str_eq(n->text, "1"))
		return pol_expected(c, n, k->key, k->expect);
	c->version = true;
	return 0;
}

static int parse_description(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(c, n, k->key, k->expect);

	if (err)
		return err;
	c->p->description = strdup(n->text);
	return c->p->description ? 0 : pol_nomem(c);
}

int pol_add_str(struct pol *c, struct policy_strs *list, const struct ynode *n, const char *text)
{
	struct policy_str str = { .at = pol_place(c, n) };

	if (array_reserve(&list->v, &list->cap, list->n))
		return pol_nomem(c);
	str.text = strdup(text);
	if (!str.text)
		return pol_nomem(c);
	list->v[list->n++] = str;
	return 0;
}

static int parse_extends(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	int err;

	c->ext->at = pol_place(c, n);
	if (n->type == Y_SCALAR)
		return pol_add_str(c, &c->ext->names, n, n->text);
	err = pol_list(c, n, k, 0);
	for (struct ynode *e = n->first; e && !err; e = e->next) {
		err = pol_scalar(c, e, k->key, k->expect);
		for (size_t i = 0; !err && i < c->ext->names.n; i++)
			if (str_eq(c->ext->names.v[i].text, e->text))
				err = pol_bad(c, e, "extends: \"%s\" is listed twice", e->text);
		if (!err && !*e->text)
			err = pol_expected(c, e, k->key, k->expect);
		if (!err)
			err = pol_add_str(c, &c->ext->names, e, e->text);
	}
	return err;
}

static int parse_mode(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_words words[] = { { "enforce", 0 }, { "audit", 1 }, {} };

	return pol_word(c, n, k->key, k->expect, words, &c->p->audit);
}

static int parse_exec(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_words words[] = { { "normal", 0 }, { "strict", 1 }, {} };

	return pol_word(c, n, k->key, k->expect, words, &c->p->strict);
}

static int parse_on_failure(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_words words[] = { { "deny", 0 }, { "freeze", 1 }, {} };

	return pol_word(c, n, k->key, k->expect, words, &c->p->freeze);
}

static int parse_require(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_words words[] = { { "full", 1 }, {} };

	return pol_word(c, n, k->key, k->expect, words, &c->p->full);
}

static int parse_privileges(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_words words[] = {
		{ "mounts", EG_PRIV_MOUNTS },	  { "userns", EG_PRIV_USERNS },
		{ "ptrace", EG_PRIV_PTRACE },	  { "net_admin", EG_PRIV_NET_ADMIN },
		{ "bpf", EG_PRIV_BPF },		  { "sys_admin", EG_PRIV_SYS_ADMIN },
		{ "ipc", EG_PRIV_IPC },		  { "keys", EG_PRIV_KEYS },
		{ "sys_nice", EG_PRIV_SYS_NICE }, { "sys_resource", EG_PRIV_SYS_RESOURCE },
		{ "devices", EG_PRIV_DEVICES },	  { "io_uring off", EG_PRIV_NO_IO_URING },
		{}
	};
	struct policy_num got;
	int err = pol_list(c, n, k, 0);

	for (struct ynode *e = n->first; e && !err; e = e->next) {
		err = pol_word(c, e, k->key, k->expect, words, &got);
		if (!err)
			c->p->privileges |= (uint32_t)got.v;
	}
	return err;
}

static const struct pol_key top_keys[] = {
	{ "version", "1, the only version there is", parse_version, 0 },
	{ "description", "a sentence", parse_description, 0 },
	{ "extends", "a list of policy names or ./paths", parse_extends, 0 },
	{ "mode", "enforce or audit", parse_mode, 0 },
	{ "egress", "a map", pol_egress, 0 },
	{ "files", "a map", pol_files, 0 },
	{ "exec", "normal or strict", parse_exec, 0 },
	{ "privileges",
	  "a list of mounts, userns, ptrace, net_admin, bpf, sys_admin, ipc, keys, sys_nice, "
	  "sys_resource, devices or \"io_uring off\"",
	  parse_privileges, 0 },
	{ "env", "a map", pol_env, 0 },
	{ "limits", "a map", pol_limits, 0 },
	{ "on-failure", "deny or freeze", parse_on_failure, 0 },
	{ "require", "full, or the key left out", parse_require, 0 },
	{}
};

int policy_parse_file(const char *file, const char *text, size_t len, struct policy *p,
		      struct policy_extends *ext, struct diag *d)
{
	struct pol c = { .file = file, .d = d, .p = p, .ext = ext };
	struct ydoc doc;
	int err;

	err = policy_apart_parse(file, text, len, &doc, d);
	if (err)
		return err;
	err = pol_map(&c, doc.root, "a policy", top_keys);
	if (!err && !c.version)
		err = diag_at(d, -EINVAL, file, 1, 1, "no version: expected \"version: 1\"");
	ydoc_free(&doc);
	return err;
}
