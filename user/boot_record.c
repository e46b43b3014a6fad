/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What setup did, for the way back:
 *
 *	{"version": 1, "grub": true, "dirs": ["/etc/default/grub.d"],
 *	 "words": [{"path": "/boot/loader/entries/x.conf", "was": null, "is": "lsm=a,bpf"}],
 *	 "kept": ["/boot/loader/entries/y.conf"]}
 *
 * It is written before the first change is made. Words are recorded and not files: an entry
 * that was written anew since, by kernel-install from a command line with the word, is
 * taken back like those that were there; what is kept had bpf before the first setup.
 */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "boot.h"
#include "diag.h"
#include "util.h"

#define VERSION 1

static bool good_word(const json_t *o)
{
	const json_t *was = json_object_get(o, "was");

	return json_is_string(json_object_get(o, "path")) &&
	       json_is_string(json_object_get(o, "is")) &&
	       (json_is_null(was) || json_is_string(was));
}

static bool all_paths(const json_t *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		if (!json_is_string(o) || *json_string_value(o) != '/')
			return false;
	return json_is_array(list);
}

static bool good(const json_t *record)
{
	const json_t *words = json_object_get(record, "words"), *o;
	size_t i;

	if (json_integer_value(json_object_get(record, "version")) != VERSION ||
	    !json_is_boolean(json_object_get(record, "grub")) || !json_is_array(words))
		return false;
	json_array_foreach(words, i, o)
		if (!good_word(o))
			return false;
	return all_paths(json_object_get(record, "dirs")) &&
	       all_paths(json_object_get(record, "kept"));
}

int boot_record_read(struct boot *b, struct diag *d)
{
	json_error_t e;
	int err = boot_read(b->root, BOOT_RECORD, &b->record_text, d);

	if (err)
		return err == -ENOENT ? 0 : err;
	b->record = json_loads(b->record_text, JSON_REJECT_DUPLICATES, &e);
	if (b->record && good(b->record))
		return 0;
	return diag_at(d, -EINVAL, BOOT_RECORD, b->record ? 0 : (uint32_t)e.line, 0,
		       "not written by this egressctl: expected version %d of what setup did; "
		       "without the file, an undo knows the drop-in of GRUB alone", VERSION);
}

/* The latest word of a file is the one that is in it. */
static void forget(json_t *words, const char *path)
{
	for (size_t i = json_array_size(words); i-- > 0;) {
		const json_t *o = json_array_get(words, i);

		if (str_eq(json_string_value(json_object_get(o, "path")), path))
			(void)json_array_remove(words, i);
	}
}

int boot_record_add(struct boot *b, struct diag *d)
{
	json_t *words;
	int err = 0;

	if (!b->record)
		b->record = json_pack("{s:i, s:b, s:[], s:[], s:O}", "version", VERSION, "grub", 0,
				      "dirs", "words", "kept", b->kept);
	words = json_object_get(b->record, "words");
	for (size_t i = 0; i < b->n && !err; i++) {
		const struct boot_change *c = &b->changes[i];

		if (!c->is)
			continue;
		forget(words, c->path);
		err = json_array_append_new(words, json_pack("{s:s, s:s?, s:s}", "path", c->path,
							     "was", c->was, "is", c->is));
	}
	if (b->grub)
		err |= json_object_set_new(b->record, "grub", json_true());
	if (b->grub && !boot_exists(b->root, BOOT_DROPIN_DIR))
		err |= json_array_append_new(json_object_get(b->record, "dirs"),
					     json_string(BOOT_DROPIN_DIR));
	/* or a name that is no UTF-8, which no loader writes */
	return err ? diag_set(d, -ENOMEM, "what is changed cannot be recorded") : 0;
}

static bool is_kept(const struct boot *b, const char *path)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(b->record, "kept"), i, o)
		if (str_eq(json_string_value(o), path))
			return true;
	return false;
}

bool boot_record_word(const struct boot *b, const char *path, size_t i, const char **was,
		      const char **is)
{
	const json_t *words = json_object_get(b->record, "words"), *o = NULL, *w;
	bool kept = is_kept(b, path);
	size_t k, n = 0;

	json_array_foreach(words, k, w)
		if (str_eq(json_string_value(json_object_get(w, "path")), path) && n++ == i)
			o = w;
	json_array_foreach(words, k, w)
		if (!kept && !str_eq(json_string_value(json_object_get(w, "path")), path) &&
		    n++ == i)
			o = w;
	if (!o)
		return false;
	*was = json_string_value(json_object_get(o, "was"));
	*is = json_string_value(json_object_get(o, "is"));
	return true;
}
