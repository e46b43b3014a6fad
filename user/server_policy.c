/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Policies of clients. The client reads the files, under its user's rights, and
 * the server asks for those it lacks, so that nothing is opened here on behalf
 * of anybody. Everything that a version is compiled from is its key.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bpf_load.h"
#include "compile.h"
#include "policy.h"
#include "policy_send.h"
#include "publish.h"
#include "rooted.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/* the policy that stands for several -p: its text is made here */
#define COMMAND_LINE "(command line)"

struct text_reader {
	const struct run_policy *rp;
	json_t *need; /* array of {name, from} */
};

static bool same(const json_t *value, const char *text)
{
	const char *s = json_string_value(value);

	return s && text ? str_eq(s, text) : !s && !text;
}

static const json_t *find_text(const json_t *texts, const char *name, const char *from)
{
	const json_t *t;
	size_t i;

	json_array_foreach(texts, i, t)
		if (same(json_object_get(t, "name"), name) &&
		    same(json_object_get(t, "from"), from))
			return t;
	return NULL;
}

static int hand_out(const char *path, const char *text, size_t len, char **path_out,
		    char **text_out, size_t *len_out, struct diag *d)
{
	_cleanup_free_ char *p = strdup(path);
	_cleanup_free_ char *t = malloc(len + 1);

	if (!p || !t)
		return diag_set(d, -ENOMEM, "out of memory");
	if (len > POLICY_MAX_BYTES)
		return diag_at(d, -EFBIG, path, 0, 0, "a policy may have %u bytes",
			       POLICY_MAX_BYTES);
	memcpy(t, text, len);
	t[len] = 0;
	*path_out = steal_ptr(p);
	*text_out = steal_ptr(t);
	*len_out = len;
	return 0;
}

/* version: 1, extends: every policy given */
static int read_command_line(const struct run_policy *rp, char **path, char **text, size_t *len,
			     struct diag *d)
{
	json_t *doc = json_pack("{s:i, s:O}", "version", 1, "extends", rp->policies);
	_cleanup_free_ char *json = doc ? json_dumps(doc, 0) : NULL;

	json_decref(doc);
	if (!json)
		return diag_set(d, -ENOMEM, "out of memory");
	return hand_out(COMMAND_LINE, json, strlen(json), path, text, len, d);
}

static int read_text(void *ctx, const char *name, const char *from, char **path, char **text,
		     size_t *len, struct diag *d)
{
	/* stands in for a text that is still missing, so that one pass finds all */
	static const char stub[] = "version: 1\n";
	struct text_reader *r = ctx;
	const json_t *t, *body, *where;

	if (!from && str_eq(name, COMMAND_LINE))
		return read_command_line(r->rp, path, text, len, d);
	if (from && str_eq(from, COMMAND_LINE))
		from = NULL;
	t = find_text(r->rp->texts, name, from);
	if (!t) {
		if (!find_text(r->need, name, from))
			(void)json_array_append_new(r->need, json_pack("{s:s, s:s?}", "name", name,
								       "from", from));
		return hand_out(name, stub, strlen(stub), path, text, len, d);
	}
	body = json_object_get(t, "text");
	where = json_object_get(t, "path");
	if (!json_is_string(body) || !json_is_string(where))
		return diag_set(d, -EINVAL, "bad request: a policy without text");
	return hand_out(json_string_value(where), json_string_value(body),
			json_string_length(body), path, text, len, d);
}

static int bind_vars(const struct run_policy *rp, struct policy_vars *v, struct diag *d)
{
	int err;

	if (rp->root)
		return rooted_vars(v, rp->root, rp->cwd, rp->uid, d);
	err = policy_vars_bind(v, rp->cwd, rp->uid, d);
	if (err || !rp->tmpdir)
		return err;
	/* the server's own TMPDIR says nothing about the client's */
	free(v->tmpdir);
	v->tmpdir = strdup(rp->tmpdir);
	err = v->tmpdir ? policy_vars_check(v, d) : diag_set(d, -ENOMEM, "out of memory");
	if (err)
		policy_vars_clear(v);
	return err;
}

/* Everything a version is compiled from; server_compile_key() reads it back. */
static char *make_key(const struct run_policy *rp, const struct policy_vars *v)
{
	json_t *j = json_pack("{s:O, s:O, s:I, s:s?, s:s?, s:s?, s:s?, s:s?, s:I, s:b, s:b, s:b, "
			      "s:b}",
			      "policies", rp->policies, "texts", rp->texts,
			      "payer", (json_int_t)rp->payer,
			      "workdir", v->workdir, "home", v->home, "tmpdir", v->tmpdir, "gitdir",
			      v->gitdir, "gitworktree", v->gitworktree, "uid", (json_int_t)rp->uid,
			      "audit", rp->audit, "trace", rp->trace, "egress_only",
			      rp->egress_only, "landlock", rp->landlock);
	char root[64], *key;

	if (rp->root) {
		rooted_format(rp->root, root);
		(void)json_object_set_new(j, "root", json_string(root));
	}
	key = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	json_decref(j);
	return key;
}

/* A policy that is to be held whole or not at all, and rules for paths that nobody holds. */
static int refuse_half(const struct compiled *c, struct diag *d)
{
	const struct rule_ref *r;

	if (!c->require_rule)
		return 0;
	r = &c->rules[c->require_rule - 1];
	return diag_at(d, -ENOTSUP, r->file, r->line, r->col,
		       "\"%s\": without BPF LSM, rules for files and unix sockets are not enforced",
		       r->text);
}

static int refuse_unenforced(struct server *s, const struct compiled *c, struct diag *d)
{
	if ((c->head.privileges & EG_PRIV_MOUNTS) && !(c->head.privileges & EG_PRIV_USERNS))
		return diag_set(d, -EINVAL,
				"'privileges: [mounts]' needs 'userns' beside it: mounts are "
				"changed in a namespace of the sandbox's own");
	if (agent_egress_only(s->a) && (c->head.flags & EG_P_PATHS))
		return diag_set(d, -EINVAL,
				"the policy has path rules, and egressd runs with --egress-only, "
				"which enforces none: give --without-lsm landlock to hold those "
				"that Landlock can, or --egress-only to run without them");
	return agent_egress_only(s->a) && !c->landlock ? refuse_half(c, d) : 0;
}

/* What was granted, over the policy: [{name, text, class}]. */
static int overlay_grants(struct policy *p, const json_t *grants, struct diag *d)
{
	const json_t *g;
	int err = 0;
	size_t i;

	json_array_foreach(grants, i, g) {
		const char *name = json_string_value(json_object_get(g, "name"));
		const char *text = json_string_value(json_object_get(g, "text"));

		err = name && text ? policy_overlay(p, name, text, (uint16_t)json_integer_value(
							json_object_get(g, "class")), d) :
				     diag_set(d, -EINVAL, "a grant without a name or text");
		if (err)
			break;
	}
	return err;
}

/* 0 with *c, or NULL in it when texts are missing; or negative errno. */
static int compile_texts(const struct run_policy *rp, const struct policy_vars *vars,
			 struct compiled **c, json_t *need, struct diag *d)
{
	const char *first = json_string_value(json_array_get(rp->policies, 0));
	struct text_reader reader = { rp, need };
	struct policy_reader rd = { read_text, &reader };
	struct policy *p = NULL;
	int err;

	*c = NULL;
	if (!first)
		return diag_set(d, -EINVAL, "bad request: a policy's name was expected");
	err = policy_load(json_array_size(rp->policies) > 1 ? COMMAND_LINE : first, &rd, &p, d);
	if (json_array_size(need)) {
		/* what it says about the stubs means nothing */
		diag_clear(d);
		policy_free(p);
		return 0;
	}
	if (err)
		return err;
	p->paths_left_out = rp->egress_only;
	p->landlock = rp->landlock;
	p->paths_of = rp->paths_of;
	err = overlay_grants(p, rp->grants, d);
	if (!err)
		err = policy_compile(p, vars, c, d);
	policy_free(p);
	if (!err && rp->root)
		err = rooted_check(rp->root, d);
	if (!err && rp->egress_only)
		err = refuse_half(*c, d);
	if (err) {
		compiled_free(steal_ptr(*c));
		return err;
	}
	if (rp->root) {
		(*c)->rooted = true;
		(*c)->root = rp->root->fd < 0 ? -1 : fcntl(rp->root->fd, F_DUPFD_CLOEXEC, 3);
	}
	(*c)->payer = rp->payer;
	if (rp->egress_only || rp->landlock)
		(*c)->head.flags &= ~EG_P_PATHS;
	if (rp->trace)
		(*c)->head.flags |= EG_P_TRACE;
	if (rp->audit) {
		(*c)->head.flags |= EG_P_AUDIT;
		(*c)->run.audit = true;
	}
	return 0;
}

static int publish_texts(struct server *s, const struct run_policy *rp,
			 const struct policy_vars *vars, const char *key, const struct version **v,
			 json_t *need, struct diag *d)
{
	struct compiled *c;
	int err;

	err = compile_texts(rp, vars, &c, need, d);
	if (err || !c)
		return err;
	err = refuse_unenforced(s, c, d);
	if (err) {
		compiled_free(c);
		return err;
	}
	err = publisher_put(s->publisher, c, key, strlen(key), NULL, v, d);
	return err ? err : 1;
}

int server_policy(struct server *s, const struct run_policy *rp, const struct version **v,
		  json_t **need, struct diag *d)
{
	_cleanup_free_ char *key = NULL;
	struct policy_vars vars = {};
	int err;

	err = bind_vars(rp, &vars, d);
	if (err)
		return err;
	key = make_key(rp, &vars);
	if (!key) {
		policy_vars_clear(&vars);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	*v = publisher_get(s->publisher, key, strlen(key), d);
	if (*v) {
		err = 1;
	} else if (d->err) {
		err = d->err;
	} else {
		*need = json_array();
		err = publish_texts(s, rp, &vars, key, v, *need, d);
		if (err)
			json_decref(*need);
	}
	policy_vars_clear(&vars);
	return err;
}

/* A value of the key; strings stay the key's. */
static char *key_text(const json_t *key, const char *name)
{
	return (char *)json_string_value(json_object_get(key, name));
}

/* *out is NULL when texts are missing, which `need` then names. */
static int compile_key(const json_t *j, const struct compiled *paths_of, json_t *need,
		       struct compiled **out, struct diag *d)
{
	struct policy_vars v = {
		.workdir = key_text(j, "workdir"),
		.home = key_text(j, "home"),
		.tmpdir = key_text(j, "tmpdir"),
		.gitdir = key_text(j, "gitdir"),
		.gitworktree = key_text(j, "gitworktree"),
		.readlink = policy_vars_real_readlink,
	};
	struct run_policy rp = {
		.policies = json_object_get(j, "policies"),
		.texts = json_object_get(j, "texts"),
		.grants = json_object_get(j, "grants"),
		.audit = json_is_true(json_object_get(j, "audit")),
		.trace = json_is_true(json_object_get(j, "trace")),
		.egress_only = json_is_true(json_object_get(j, "egress_only")),
		.landlock = json_is_true(json_object_get(j, "landlock")),
		.payer = (uid_t)json_integer_value(json_object_get(j, "payer")),
		.paths_of = paths_of,
	};
	const char *root = key_text(j, "root");
	int err = -EINVAL;
	struct rooted r;
	char uid[16];

	*out = NULL;
	if (root && !rooted_parse(root, &r)) {
		rp.root = &r;
		v.readlink = rooted_readlink;
		v.readlink_ctx = &r;
	}
	snprintf(uid, sizeof(uid), "%u",
		 (unsigned int)json_integer_value(json_object_get(j, "uid")));
	v.uid = uid;
	if (json_is_array(rp.policies) && json_is_array(rp.texts) && need)
		err = compile_texts(&rp, &v, out, need, d);
	if (rp.root)
		rooted_close(&r);
	return err;
}

struct compiled *server_compile_key(void *ctx, const char *key, size_t key_len)
{
	json_t *j = json_loadb(key, key_len, 0, NULL), *need = json_array();
	struct compiled *c;

	(void)ctx;
	/* it compiled once; if it does not any more, its sandboxes are ended */
	(void)compile_key(j, NULL, need, &c, NULL);
	json_decref(need);
	json_decref(j);
	return c;
}

int server_policy_like(struct server *s, const struct version *v, uid_t by, json_t *policies,
		       json_t *texts, const struct version **out, json_t **need, struct diag *d)
{
	_cleanup_free_ char *key = NULL;
	struct compiled *c = NULL;
	const char *old;
	json_t *j;
	size_t len;
	int err;

	old = publisher_key(s->publisher, v, &len);
	j = json_loadb(old, len, 0, NULL);
	/* what root wants of somebody's sandbox is not held to that user's share */
	if (j && !by)
		(void)json_object_set_new(j, "payer", json_integer(0));
	if (j && !json_object_set(j, "policies", policies) && !json_object_set(j, "texts", texts))
		key = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	if (!key) {
		json_decref(j);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	*out = publisher_get(s->publisher, key, strlen(key), d);
	err = *out ? 1 : d->err;
	if (!err) {
		*need = json_array();
		err = compile_key(j, NULL, *need, &c, d);
		if (!err && c)
			err = refuse_unenforced(s, c, d);
		if (err)
			compiled_free(c);
		else if (c)
			err = publisher_put(s->publisher, c, key, strlen(key), NULL, out, d);
		if (!err && c)
			err = 1;
		if (err)
			json_decref(*need);
	}
	json_decref(j);
	return err;
}

bool server_is_granted(struct server *s, const struct version *v)
{
	size_t len;
	const char *key = publisher_key(s->publisher, v, &len);
	json_t *j = json_loadb(key, len, 0, NULL);
	bool granted = json_array_size(json_object_get(j, "grants"));

	json_decref(j);
	return granted;
}

json_t *server_policy_files(struct server *s, const struct version *v)
{
	json_t *key, *files;
	const char *old;
	size_t len;

	old = publisher_key(s->publisher, v, &len);
	key = json_loadb(old, len, 0, NULL);
	files = key ? policy_send_files(key) : NULL;
	json_decref(key);
	return files;
}

/*
 * The key of `base`, an object, with what these grants add to it, so that the texts of the
 * policy, which are most of it, need not be read and written again.
 */
static char *granted_key(struct server *s, const struct version *base, const json_t *grants,
			 const struct version_tail *tail, size_t *len)
{
	json_t *more = json_pack("{s:O, s:I, s:I, s:I}", "grants", (json_t *)grants, "family",
				 (json_int_t)tail->family, "lapses", (json_int_t)tail->lapses,
				 "next", (json_int_t)(tail->next ? tail->next->serial : 0));
	_cleanup_free_ char *text = more ? json_dumps(more, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	size_t base_len, n = text ? strlen(text) : 0;
	const char *old = publisher_key(s->publisher, base, &base_len);
	char *key = text ? malloc(base_len + n + 1) : NULL;

	json_decref(more);
	if (!key)
		return NULL;
	memcpy(key, old, base_len - 1); /* its '}' */
	key[base_len - 1] = ',';
	memcpy(key + base_len, text + 1, n); /* without its '{' */
	*len = base_len + n - 1;
	return key;
}

static int publish_granted(struct server *s, const char *key, size_t len,
			   const struct version_tail *tail, const struct version **v,
			   struct diag *d)
{
	json_t *j = json_loadb(key, len, 0, NULL);
	json_t *need = json_array(); /* stays empty: its base was compiled from these */
	struct compiled *c = NULL;
	int err;

	err = j ? compile_key(j, tail->paths_of ? tail->paths_of->compiled : NULL, need, &c, d) :
		  diag_set(d, -ENOMEM, "out of memory");
	json_decref(need);
	json_decref(j);
	if (!err && c)
		err = refuse_unenforced(s, c, d);
	if (err) {
		compiled_free(c);
		return err;
	}
	return c ? publisher_put(s->publisher, c, key, len, tail, v, d) :
		   diag_set(d, -EINVAL, "a policy's text is missing");
}

int server_publish_grants(struct server *s, const struct version *base, json_t *grants,
			  const struct version_tail *tail, const struct version **v,
			  struct diag *d)
{
	_cleanup_free_ char *key = NULL;
	size_t len;

	key = granted_key(s, base, grants, tail, &len);
	if (!key)
		return diag_set(d, -ENOMEM, "out of memory");
	*v = publisher_get(s->publisher, key, len, d);
	if (*v || d->err)
		return *v ? 0 : d->err;
	return publish_granted(s, key, len, tail, v, d);
}
