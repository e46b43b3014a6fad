/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One pattern -> labels. A label is a name without wildcards (its bytes) or with
 * them (items), interned in one canonical form, so that equal labels are equal
 * numbers everywhere behind this file.
 */
#include <stdarg.h>

#include "automaton_int.h"

int error_set(struct automaton_error *err, int code, size_t offset, const char *expected,
	      const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->offset = offset;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	(void)snprintf(err->expected, sizeof(err->expected), "%s", expected);
	return code;
}

int error_work(struct automaton_error *err)
{
	return error_set(err, -E2BIG, 0, "fewer patterns with several wildcards",
			 "compiling takes more than %u steps (AUTOMATON_MAX_WORK)",
			 AUTOMATON_MAX_WORK);
}

bool set_has(const struct tree *t, uint32_t set, uint8_t byte)
{
	uint32_t n;
	const uint32_t *words = intern_get(&t->sets, set, &n);

	return words[byte / 32] >> (byte % 32) & 1;
}

/* ---- labels ---------------------------------------------------------------- */

static uint32_t literal_words(uint32_t *words, const char *name, size_t len)
{
	uint32_t n = 1 + (uint32_t)(len + 3) / 4;

	words[0] = LABEL_LITERAL | (uint32_t)len;
	words[n - 1] = 0; /* the bytes that fill the last word up */
	words[0] = LABEL_LITERAL | (uint32_t)len;
	memcpy(words + 1, name, len);
	return n;
}

int label_of_name(const struct tree *t, const char *name, size_t len, uint32_t *label)
{
	uint32_t words[2 + EG_PATH_MAX / 4];

	if (len >= EG_PATH_MAX)
		return -ENOENT;
	return intern_find(&t->labels, words, literal_words(words, name, len), label) ? 0 : -ENOENT;
}

bool label_is_literal(const struct tree *t, uint32_t label, const uint8_t **bytes, uint32_t *len)
{
	uint32_t n;
	const uint32_t *words = intern_get(&t->labels, label, &n);

	if (!(words[0] & LABEL_LITERAL))
		return false;
	*bytes = (const uint8_t *)(words + 1);
	*len = words[0] & ~LABEL_LITERAL;
	return true;
}

static int label_put(struct tree *t, const uint32_t *words, uint32_t n, uint32_t *label)
{
	struct label *l;

	if (intern_put(&t->labels, words, n, label))
		return -ENOMEM;
	if (*label < t->label.n)
		return 0;
	l = vec_add(&t->label);
	if (!l)
		return -ENOMEM;
	l->group = GROUP_NONE;
	return 0;
}

/* ---- one name ----------------------------------------------------------------- */

struct parser {
	struct tree *t;
	const char *text;
	size_t len, at;
	bool slash_ends; /* paths: '/' is between names */
	uint32_t items[EG_PATH_MAX];
	uint32_t nitems;
	struct automaton_error *err;
};

static const char *const WANT_SET = "a set like [a-z], [!0-9] or [._-]";

static int set_member(struct parser *p, size_t open, uint8_t *byte)
{
	char c = p->text[p->at];

	if (c == '\\') {
		if (++p->at >= p->len)
			return error_set(p->err, -EINVAL, open, WANT_SET, "this set has no end");
		c = p->text[p->at];
	} else if (c == '[' && p->at + 1 < p->len && strchr(":.=", p->text[p->at + 1])) {
		return error_set(p->err, -EINVAL, p->at, "bytes and ranges: [a-zA-Z0-9]",
				 "named classes are not supported in a set");
	}
	if (c == '/' && p->slash_ends)
		return error_set(p->err, -EINVAL, open, WANT_SET,
				 "a set matches one byte within a name, never '/'");
	if ((uint8_t)c >= 0x80)
		return error_set(p->err, -EINVAL, p->at, "ASCII characters, or * for any bytes",
				 "a set matches one byte; this character has several");
	p->at++;
	*byte = (uint8_t)c;
	return 0;
}

/* At '['. */
static int parse_set(struct parser *p)
{
	uint32_t words[8] = {}, id;
	size_t open = p->at++;
	bool negate = false;

	if (p->at < p->len && (p->text[p->at] == '!' || p->text[p->at] == '^')) {
		negate = true;
		p->at++;
	}
	for (size_t first = p->at;;) {
		size_t from = p->at;
		uint8_t lo, hi;
		int err;

		if (p->at >= p->len)
			return error_set(p->err, -EINVAL, open, WANT_SET, "this set has no end");
		if (p->text[p->at] == ']' && p->at != first)
			break;
		err = set_member(p, open, &lo);
		if (err)
			return err;
		hi = lo;
		if (p->at + 1 < p->len && p->text[p->at] == '-' && p->text[p->at + 1] != ']') {
			p->at++;
			err = set_member(p, open, &hi);
			if (err)
				return err;
		}
		if (hi < lo)
			return error_set(p->err, -EINVAL, from, "the smaller character first",
					 "this range is the wrong way round");
		for (uint32_t b = lo; b <= hi; b++)
			words[b / 32] |= 1u << (b % 32);
	}
	p->at++;
	for (uint32_t i = 0; negate && i < 8; i++)
		words[i] = ~words[i];
	if (intern_put(&p->t->sets, words, 8, &id))
		return -ENOMEM;
	p->items[p->nitems++] = ITEM(ITEM_CLASS, id);
	return 0;
}

/* One name's items, up to the '/' after it. */
static int parse_items(struct parser *p)
{
	p->nitems = 0;
	while (p->at < p->len) {
		uint8_t c = (uint8_t)p->text[p->at];
		int err = 0;

		if (c == '/' && p->slash_ends)
			break;
		switch (c) {
		case '*':
			p->items[p->nitems++] = ITEM(ITEM_STAR, 0);
			p->at++;
			if (p->at < p->len && p->text[p->at] == '*')
				return error_set(p->err, -EINVAL, p->at - 1,
						 "\"**\" between two '/', or a single *",
						 "\"**\" stands only for whole names");
			break;
		case '?':
			p->items[p->nitems++] = ITEM(ITEM_ANY, 0);
			p->at++;
			break;
		case '[':
			err = parse_set(p);
			break;
		case '\\':
			if (++p->at >= p->len)
				return error_set(p->err, -EINVAL, p->at - 1, "\\\\ for a backslash",
						 "a backslash at the end escapes nothing");
			c = (uint8_t)p->text[p->at];
			if (c == '/' && p->slash_ends)
				return error_set(p->err, -EINVAL, p->at - 1, "/ alone",
						 "no name has a '/' in it, so it has no escape");
			/* fall through */
		default:
			p->items[p->nitems++] = ITEM(ITEM_BYTE, c);
			p->at++;
		}
		if (err)
			return err;
	}
	return 0;
}

/* "*?" and "?*" are one thing, and so is "?*" and "*" because no name is empty. */
static void canonical_items(struct parser *p)
{
	uint32_t out = 0, anys = 0;
	bool star = false, plain = true;

	for (uint32_t i = 0; i <= p->nitems; i++) {
		uint32_t item = i < p->nitems ? p->items[i] : ITEM(ITEM_BYTE, 0);

		if (ITEM_TYPE(item) == ITEM_STAR) {
			star = true;
		} else if (ITEM_TYPE(item) == ITEM_ANY) {
			anys++;
		} else {
			if (i == p->nitems && plain && star && anys == 1)
				anys = 0;
			while (anys) {
				p->items[out++] = ITEM(ITEM_ANY, 0);
				anys--;
			}
			if (star)
				p->items[out++] = ITEM(ITEM_STAR, 0);
			star = false;
			if (i < p->nitems)
				p->items[out++] = item;
			plain = false;
		}
	}
	p->nitems = out;
}

static int put_name(struct parser *p, size_t start, struct pattern *out)
{
	uint32_t words[LABEL_WORDS], n, label, least = 0, max;
	char bytes[EG_PATH_MAX];
	bool wild = false;

	for (uint32_t i = 0; i < p->nitems; i++) {
		wild |= ITEM_TYPE(p->items[i]) != ITEM_BYTE;
		least += ITEM_TYPE(p->items[i]) != ITEM_STAR;
	}
	max = p->slash_ends ? EG_NAME_MAX : AUTOMATON_MAX_ABSTRACT;
	if (least > max)
		return error_set(p->err, -EINVAL, start, "a name that can exist",
				 "this name has %u bytes; the longest possible has %u", least, max);
	if (wild) {
		canonical_items(p);
		words[0] = LABEL_GLOB;
		memcpy(words + 1, p->items, p->nitems * sizeof(*words));
		n = 1 + p->nitems;
	} else {
		for (uint32_t i = 0; i < p->nitems; i++)
			bytes[i] = (char)ITEM_VALUE(p->items[i]);
		if (p->slash_ends && (p->nitems == 1 || p->nitems == 2) && bytes[0] == '.' &&
		    bytes[p->nitems - 1] == '.')
			return error_set(p->err, -EINVAL, start, "the path that is meant",
					 "\"%.*s\" is never part of a path that is judged",
					 (int)p->nitems, bytes);
		n = literal_words(words, bytes, p->nitems);
	}
	if (label_put(p->t, words, n, &label) || vec32_push(&out->names, label))
		return -ENOMEM;
	if (!wild && out->literal == out->names.n - 1)
		out->literal++;
	return 0;
}

/* ---- the whole pattern ------------------------------------------------------------ */

static bool at_stars(const struct parser *p)
{
	return p->at + 2 <= p->len && !memcmp(p->text + p->at, "**", 2) &&
	       (p->at + 2 == p->len || p->text[p->at + 2] == '/');
}

static int parse_path(struct parser *p, struct pattern *out)
{
	int err;

	if (!p->len || (p->text[0] != '/' && !at_stars(p)))
		return error_set(p->err, -EINVAL, 0, "\"/...\", or \"**/...\" for any depth",
				 "a path rule must be absolute");
	if (p->text[0] == '/')
		p->at = 1;
	while (p->at < p->len) {
		size_t start = p->at;

		if (at_stars(p)) {
			p->at += 2;
			if ((!out->names.n || out->names.v[out->names.n - 1] != NAME_STARS) &&
			    vec32_push(&out->names, NAME_STARS))
				return -ENOMEM;
		} else {
			err = parse_items(p);
			if (err)
				return err;
			if (!p->nitems)
				return error_set(p->err, -EINVAL, start, "a single /",
						 "there is no name between two '/'");
			err = put_name(p, start, out);
			if (err)
				return err;
		}
		p->at++; /* the '/', a last one included */
	}
	if (out->names.n && out->names.v[out->names.n - 1] == NAME_STARS)
		out->names.n--;
	return 0;
}

static int parse_abstract(struct parser *p, struct pattern *out)
{
	int err;

	p->slash_ends = false;
	out->abstract = true;
	err = parse_items(p);
	if (err)
		return err;
	if (p->nitems < 2)
		return error_set(p->err, -EINVAL, 1, "@name", "the abstract name is empty");
	return put_name(p, 0, out);
}

int pattern_parse(struct tree *t, const struct automaton_rule *r, struct pattern *out,
		  struct automaton_error *err)
{
	struct parser p; /* the items are many, and written before they are read */

	p.t = t;
	p.text = r->pattern;
	p.len = strlen(r->pattern);
	p.at = 0;
	p.nitems = 0;
	p.slash_ends = true;
	p.err = err;
	if (p.len >= EG_PATH_MAX)
		return error_set(err, -EINVAL, EG_PATH_MAX - 1, "a path that can exist",
				 "this pattern has %zu bytes; the longest path has %u", p.len,
				 EG_PATH_MAX - 1);
	if (r->space == AUTOMATON_UNIX && r->pattern[0] == '@')
		return parse_abstract(&p, out);
	return parse_path(&p, out);
}
