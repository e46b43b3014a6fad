/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Grants in files, for the egressd that takes over. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bpf_load.h"
#include "compile.h"
#include "grants_int.h"
#include "publish.h"
#include "sandbox.h"
#include "server_int.h"
#include "state.h"
#include "util.h"

#define DIR_NAME "grants"
#define RECORD_MAX (1u << 20)

static void file_name(const struct grants *g, char buf[24])
{
	snprintf(buf, 24, "%" PRIu64, sandbox_id(g->c->box));
}

/* Times as two halves of nothing: JSON integers are signed, and "never" is the largest. */
static json_int_t saved_time(uint64_t t)
{
	return t == UINT64_MAX ? -1 : (json_int_t)t;
}

/* `note` is text or null, which one format cannot say for both directions */
#define GRANT_FORMAT "{s:I, s:s, s:s, s:s, s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:o}"

static json_t *save_classes(const struct grants *g)
{
	json_t *list = json_array();

	for (uint32_t k = 0; k < EG_MAX_CLASSES; k++)
		(void)json_array_append_new(list, json_string(g->class_rule[k] ?: ""));
	return list;
}

static json_t *save_families(const struct grants *g)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < FAMILIES; i++)
		if (g->families[i].key)
			(void)json_array_append_new(list, json_pack("[I, I]",
					(json_int_t)g->families[i].key,
					(json_int_t)g->families[i].family));
	return list;
}

void grants_save(struct grants *g)
{
	_cleanup_free_ char *text = NULL;
	json_t *list, *j;
	char name[24];

	if (!agent_adoptable(g->c->s->a))
		return;
	file_name(g, name);
	if (!g->n && !grants_had_classes(g)) {
		(void)state_remove(DIR_NAME, name);
		return;
	}
	list = json_array();
	for (uint32_t i = 0; i < g->n; i++) {
		const struct grant *at = &g->v[i];

		(void)json_array_append_new(list, json_pack(GRANT_FORMAT, "grant",
				(json_int_t)at->number, "rule", at->r.rule, "text", at->r.text,
				"path", at->r.path ?: "", "perm", (json_int_t)at->r.perm,
				"deny", at->r.deny, "by_name", at->r.by_name, "lapses",
				saved_time(at->lapses), "granted", (json_int_t)at->granted, "by",
				(json_int_t)at->by, "class", (json_int_t)at->class, "note",
				at->note ? json_string(at->note) : json_null()));
	}
	j = json_pack("{s:I, s:o, s:I, s:o, s:o}", "base", (json_int_t)g->base->serial, "grants",
		      list, "epoch", (json_int_t)g->epoch, "classes", save_classes(g), "families",
		      save_families(g));
	text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	/* without it the sandbox is ended when egressd is started anew */
	if (!text || state_write(DIR_NAME, name, text, strlen(text)))
		fprintf(stderr, "egressd: cannot write %s/%s/%s\n", STATE_DIR, DIR_NAME, name);
}

static int adopt_grant(struct grants *g, const json_t *row)
{
	json_int_t number, lapses, granted, by, class, perm;
	const char *rule, *text, *path, *note;
	json_t *said;
	int deny, by_name;
	struct grant *at;

	if (g->n == EG_MAX_GRANTS ||
	    json_unpack((json_t *)row, GRANT_FORMAT, "grant", &number, "rule", &rule, "text", &text,
			"path", &path, "perm", &perm, "deny", &deny, "by_name", &by_name,
			"lapses", &lapses, "granted", &granted,
			"by", &by, "class", &class, "note", &said))
		return -EPROTO;
	note = json_string_value(said);
	at = &g->v[g->n++];
	*at = (struct grant){ .number = number,
			      .lapses = lapses < 0 ? UINT64_MAX : (uint64_t)lapses,
			      .granted = granted, .by = by, .class = class };
	at->r = (struct grant_rule){ .rule = strdup(rule), .text = strdup(text), .deny = deny,
				     .by_name = by_name, .perm = (uint8_t)perm,
				     .path = *path ? strdup(path) : NULL };
	at->note = note ? strdup(note) : NULL;
	return at->r.rule && at->r.text && !*path == !at->r.path && !note == !at->note ? 0 :
											 -ENOMEM;
}

static void adopt_classes(struct grants *g, const json_t *record)
{
	const json_t *list = json_object_get(record, "classes"), *row;
	size_t i;

	g->epoch = (uint64_t)json_integer_value(json_object_get(record, "epoch"));
	json_array_foreach(list, i, row)
		if (i < EG_MAX_CLASSES && json_string_length(row))
			g->class_rule[i] = strdup(json_string_value(row));
	list = json_object_get(record, "families");
	json_array_foreach(list, i, row)
		if (i < FAMILIES)
			g->families[g->next_family++] = (struct family){
				.key = (uint64_t)json_integer_value(json_array_get(row, 0)),
				.family = (uint32_t)json_integer_value(json_array_get(row, 1)),
			};
}

int grants_load(struct grants *g, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	const struct version *base;
	const json_t *list, *row;
	char name[24];
	json_t *j;
	size_t len, i;
	int err;

	file_name(g, name);
	err = state_read(DIR_NAME, name, RECORD_MAX, &text, &len);
	if (err == -ENOENT && !server_is_granted(g->c->s, g->base))
		return err;
	/* with the record of what root denied gone, nobody would keep others from allowing it */
	if (err)
		return diag_set(d, err == -ENOENT ? -EPROTO : err, "cannot read %s/%s/%s: %s",
				STATE_DIR, DIR_NAME, name, strerror(-err));
	j = json_loadb(text, len, 0, NULL);
	base = publisher_version(g->c->s->publisher, (uint32_t)json_integer_value(
							     json_object_get(j, "base")));
	list = json_object_get(j, "grants");
	if (!base || !json_is_array(list)) {
		json_decref(j);
		return diag_set(d, -EPROTO, "%s/%s/%s is of no use", STATE_DIR, DIR_NAME, name);
	}
	publisher_ref(g->c->s->publisher, base);
	publisher_unref(g->c->s->publisher, g->base);
	g->base = base;
	adopt_classes(g, j);
	json_array_foreach(list, i, row) {
		err = adopt_grant(g, row);
		if (err)
			break;
	}
	json_decref(j);
	return err ? diag_set(d, err, "cannot take over the grants of sandbox %s: %s", name,
			      strerror(-err)) : 0;
}

void grants_forget(const struct grants *g)
{
	char name[24];

	file_name(g, name);
	if (agent_adoptable(g->c->s->a))
		(void)state_remove(DIR_NAME, name);
}
