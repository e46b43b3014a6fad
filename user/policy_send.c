/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "allow.h"
#include "event_text.h"
#include "policy_int.h"
#include "policy_send.h"
#include "util.h"

int policy_send_add(json_t *texts, const char *name, const char *from, struct diag *d)
{
	_cleanup_free_ char *path = NULL, *real = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	json_t *t;
	int err;

	err = policy_reader_files.read(policy_reader_files.ctx, name, from, &path, &text, &len, d);
	if (err)
		return err;
	/* what `path` means to whoever stands elsewhere; it may be gone by now */
	real = realpath(path, NULL);
	t = json_pack("{s:s, s:s?, s:s, s:s*, s:s%}", "name", name, "from", from, "path", path,
		      "file", real, "text", text, len);
	if (!t || json_array_append_new(texts, t))
		return diag_at(d, -EINVAL, path, 0, 0, "not UTF-8 text");
	return 0;
}

int policy_send_needed(json_t *request, const json_t *need, struct diag *d)
{
	json_t *texts = json_object_get(request, "texts");
	const json_t *n;
	size_t i;
	int err;

	if (json_array_size(texts) + json_array_size(need) > POLICY_MAX_FILES + 1)
		return diag_set(d, -E2BIG, "the policy extends more than %u others",
				POLICY_MAX_FILES);
	json_array_foreach(need, i, n) {
		const char *name = json_string_value(json_object_get(n, "name"));

		if (!name)
			return diag_set(d, -EPROTO, "egressd gave an answer that makes no sense");
		err = policy_send_add(texts, name, json_string_value(json_object_get(n, "from")),
				      d);
		if (err)
			return err;
	}
	return 0;
}

/* ---- which files ------------------------------------------------------------------- */

/* The first counts, as for who compiles them. */
static const json_t *find_text(const json_t *texts, const char *name, const char *from)
{
	const json_t *t;
	size_t i;

	json_array_foreach(texts, i, t) {
		const char *n = json_string_value(json_object_get(t, "name"));
		const char *f = json_string_value(json_object_get(t, "from"));

		if (n && str_eq(n, name) && !f == !from && (!f || str_eq(f, from)))
			return t;
	}
	return NULL;
}

static int add_file(json_t *list, const json_t *t)
{
	const json_t *file = json_object_get(t, "file");

	if (!json_is_string(file))
		return 0;
	return json_array_append_new(list, json_pack("{s:O, s:O, s:O}", "name",
						     json_object_get(t, "name"), "file", file,
						     "text", json_object_get(t, "text")));
}

/* `run --allow` makes a policy that extends those that were asked for. */
static bool is_made(const char *name, const json_t *t)
{
	return str_eq(name, ALLOW_NAME) && t && !json_object_get(t, "file");
}

/* Which ones: none, when it cannot be read. */
static void read_extended(const json_t *t, struct policy_extends *ext)
{
	const json_t *text = json_object_get(t, "text");
	struct policy p = {};

	if (json_is_string(text) &&
	    policy_parse_file(ALLOW_NAME, json_string_value(text), json_string_length(text), &p,
			      ext, NULL))
		policy_extends_clear(ext);
	policy_clear(&p);
}

static int add_extended(json_t *list, const json_t *texts, const json_t *t)
{
	struct policy_extends ext = {};
	int err = 0;

	read_extended(t, &ext);
	for (size_t i = 0; !err && i < ext.names.n; i++)
		err = add_file(list, find_text(texts, ext.names.v[i].text, ALLOW_NAME));
	policy_extends_clear(&ext);
	return err;
}

json_t *policy_send_files(const json_t *request)
{
	const json_t *texts = json_object_get(request, "texts"), *name, *t;
	json_t *list = json_array();
	int err = 0;
	size_t i;

	json_array_foreach(json_object_get(request, "policies"), i, name) {
		if (!json_is_string(name))
			continue;
		t = find_text(texts, json_string_value(name), NULL);
		if (is_made(json_string_value(name), t))
			err |= add_extended(list, texts, t);
		else
			err |= add_file(list, t);
	}
	if (!err)
		return list;
	json_decref(list);
	return NULL;
}

/* ---- what they are called ------------------------------------------------------------ */

static void add_name(struct text *all, const char *name)
{
	if (all->len)
		text_add(all, "\n");
	text_add(all, name);
}

char *policy_send_names(const json_t *policies, const json_t *texts)
{
	struct text all = {};
	const json_t *name, *t;
	size_t i;

	text_add(&all, ""); /* not NULL, where none has a name */
	json_array_foreach(policies, i, name) {
		struct policy_extends ext = {};

		if (!json_is_string(name))
			continue;
		t = find_text(texts, json_string_value(name), NULL);
		if (is_made(json_string_value(name), t))
			read_extended(t, &ext);
		for (size_t k = 0; k < ext.names.n; k++)
			add_name(&all, ext.names.v[k].text);
		policy_extends_clear(&ext);
		add_name(&all, json_string_value(name));
	}
	if (!all.failed)
		return all.p;
	text_free(&all);
	return NULL;
}
