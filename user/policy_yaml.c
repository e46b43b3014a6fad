/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <libfyaml.h>

#include "policy.h"
#include "policy_yaml.h"

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char mem[];
};

struct build {
	struct ydoc *doc;
	const char *file, *text;
	size_t len;
	struct diag *d;
	struct fy_parser *fyp;
	struct ynode *stack[POLICY_MAX_DEPTH];
	struct ynode *keys[POLICY_MAX_DEPTH]; /* map: key that waits for its value */
	unsigned int depth;
};

void *ydoc_alloc(struct ydoc *doc, size_t n)
{
	struct chunk *c = doc->chunks;
	size_t size;

	n = (n + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (!c || c->size - c->used < n) {
		size = n > 32768 ? n : 32768;
		c = malloc(sizeof(*c) + size);
		if (!c)
			return NULL;
		c->next = doc->chunks;
		c->used = 0;
		c->size = size;
		doc->chunks = c;
	}
	c->used += n;
	return c->mem + c->used - n;
}

void ydoc_free(struct ydoc *doc)
{
	struct chunk *c = doc->chunks, *next;

	for (; c; c = next) {
		next = c->next;
		free(c);
	}
	doc->chunks = NULL;
	doc->root = NULL;
}

bool ynode_is_null(const struct ynode *n)
{
	return n->type == Y_SCALAR && n->plain &&
	       (!*n->text || str_eq(n->text, "~") || str_eq(n->text, "null") ||
		str_eq(n->text, "Null") || str_eq(n->text, "NULL"));
}

/* Length of the UTF-8 sequence at s (RFC 3629), 0 when it is none. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char lo, hi, lo2, hi2, len;
	} form[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (*s < 0x80)
		return 1;
	for (size_t f = 0; f < ARRAY_SIZE(form); f++) {
		if (*s < form[f].lo || *s > form[f].hi)
			continue;
		if (n < form[f].len || s[1] < form[f].lo2 || s[1] > form[f].hi2)
			return 0;
		for (size_t i = 2; i < form[f].len; i++)
			if ((s[i] & 0xc0) != 0x80)
				return 0;
		return form[f].len;
	}
	return 0;
}

bool ytext_is_plain(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		len = utf8_len(s + i, n - i);
		if (!len || s[i] < 0x20 || s[i] == 0x7f)
			return false;
	}
	return true;
}

static int nomem(struct diag *d)
{
	return diag_set(d, -ENOMEM, "out of memory");
}

#define fail(b, line, col, ...) diag_at((b)->d, -EINVAL, (b)->file, (line), (col), __VA_ARGS__)

/*
 * The scalar a person meant on this line, when YAML reads its first character as
 * syntax: `- *.pypi.org` is an alias, `- @name` is not YAML at all. Returns the
 * character or 0, its 1-based column and the length of the word.
 */
static char indicator_on_line(const struct build *b, uint32_t line, uint32_t *col,
			      const char **word, int *wordlen)
{
	const char *s = b->text, *end = b->text + b->len, *p, *nl;

	while (--line) {
		s = memchr(s, '\n', (size_t)(end - s));
		if (!s)
			return 0; /* the scanner counts a line more at the end */
		s++;
	}
	nl = memchr(s, '\n', (size_t)(end - s));
	if (nl)
		end = nl;
	for (p = s; p < end && *p != '#'; p++) {
		if (!strchr("*@`&%", *p) || (p != s && !strchr(" [{,-", p[-1])))
			continue;
		*word = p;
		*wordlen = 0;
		while (p + *wordlen < end && !strchr(" ,]}\r", p[*wordlen]))
			(*wordlen)++;
		*col = (uint32_t)(p - s) + 1;
		return *p;
	}
	return 0;
}

static int indicator_error(struct build *b, char c, uint32_t line, uint32_t col, const char *word,
			   int len)
{
	/* a key carries its colon along */
	if (len > 1 && word[len - 1] == ':')
		len--;
	if (c != '*')
		return fail(b, line, col,
			    "a value that begins with %c must be quoted: write \"%.*s\"", c, len,
			    word);
	if (len > 2 && word[1] == '.')
		return fail(b, line, col,
			    "a value that begins with * is an alias in YAML: quote it: \"%.*s\" "
			    "or write %.*s", len, word, len - 1, word + 1);
	return fail(b, line, col,
		    "a value that begins with * is an alias in YAML: quote it: \"%.*s\"", len,
		    word);
}

/* Indented with a tab? The scanner's words for it are about something else. */
static uint32_t tab_line(const struct build *b, uint32_t line)
{
	const char *s = b->text, *end = b->text + b->len, *p;
	uint32_t at = 1;

	for (; s && s < end && at <= line + 1; at++) {
		for (p = s; p < end && *p == ' '; p++)
			;
		if (at >= line && p < end && *p == '\t')
			return at;
		s = memchr(s, '\n', (size_t)(end - s));
		if (s)
			s++;
	}
	return 0;
}

/* What libfyaml did not like, first error only. */
static int scan_error(struct build *b, struct fy_diag *fyd)
{
	const char *word;
	struct fy_diag_error *e;
	void *iter = NULL;
	uint32_t line, col, at;
	int len;
	char c;

	e = fy_diag_errors_iterate(fyd, &iter);
	if (!e || e->line < 0)
		return diag_at(b->d, -EINVAL, b->file, 0, 0, "not valid YAML");
	line = (uint32_t)(e->line > 0 ? e->line : 1);
	col = (uint32_t)(e->column > 0 ? e->column : 1);
	c = indicator_on_line(b, line, &at, &word, &len);
	if (c)
		return indicator_error(b, c, line, at, word, len);
	at = tab_line(b, line);
	if (at)
		return fail(b, at, 1, "a tab at the beginning of a line: expected spaces");
	return fail(b, line, col, "not valid YAML: %s", e->msg);
}

static int key_cmp(const void *a, const void *b)
{
	const struct ynode *x = (*(struct ynode *const *)a)->key;
	const struct ynode *y = (*(struct ynode *const *)b)->key;
	int c = strcmp(x->text, y->text);

	if (c)
		return c;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->col < y->col ? -1 : 1;
}

int ymap_twice(const struct ynode *map, const struct ynode **second, const struct ynode **first)
{
	_cleanup_free_ struct ynode **v = NULL;
	uint32_t n = 0;

	if (map->count < 2)
		return 0;
	v = calloc(map->count, sizeof(struct ynode *));
	if (!v)
		return -ENOMEM;
	for (struct ynode *e = map->first; e; e = e->next)
		v[n++] = e;
	qsort(v, n, sizeof(*v), key_cmp);
	for (uint32_t i = 1; i < n; i++) {
		if (!str_eq(v[i]->key->text, v[i - 1]->key->text))
			continue;
		*second = v[i];
		if (first)
			*first = v[i - 1];
		return 1;
	}
	return 0;
}

/* YAML asks for unique keys; a second one would silently replace a rule. */
static int check_duplicates(struct build *b, const struct ynode *map)
{
	const struct ynode *second, *first;
	int twice = ymap_twice(map, &second, &first);

	if (twice <= 0)
		return twice ? nomem(b->d) : 0;
	return fail(b, second->key->line, second->key->col,
		    "duplicate key \"%s\": it is already given at line %u", second->key->text,
		    first->key->line);
}

static int add_node(struct build *b, struct ynode *n)
{
	struct ynode *parent;

	if (!b->depth) {
		b->doc->root = n;
		return 0;
	}
	parent = b->stack[b->depth - 1];
	if (parent->type == Y_MAP) {
		if (!b->keys[b->depth - 1]) {
			if (n->type != Y_SCALAR)
				return fail(b, n->line, n->col,
					    "a key must be a word or a path, not a list or a map");
			b->keys[b->depth - 1] = n;
			return 0;
		}
		n->key = b->keys[b->depth - 1];
		b->keys[b->depth - 1] = NULL;
	}
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->count++;
	return 0;
}

/*
 * What a scalar in single quotes says (YAML 1.2, 7.3.2): '' is a quote, and the white space about a
 * line's end is one space, or as many ends of lines as there are beyond the first. By hand, since
 * libfyaml 0.7.12 forgets the memory it makes such a text in, and egressd reads what users wrote.
 * `out` has room for the span. Returns the length.
 */
static size_t single_quoted(const char *s, size_t len, char *out)
{
	size_t n = 0, at = 0, run, breaks;

	while (at < len) {
		breaks = 0;
		for (run = at; run < len && strchr(" \t\r\n", s[run]); run++)
			breaks += s[run] == '\n' || (s[run] == '\r' && (run + 1 == len ||
								       s[run + 1] != '\n'));
		if (!breaks) {
			run = run > at ? run : at + 1;
			memcpy(out + n, s + at, run - at);
			n += run - at;
			if (s[at] == '\'')
				run++;
		} else if (breaks == 1) {
			out[n++] = ' ';
		} else {
			memset(out + n, '\n', breaks - 1);
			n += breaks - 1;
		}
		at = run;
	}
	return n;
}

/* The text of a scalar, for as long as the document lives; NULL without memory. */
static const char *scalar_text(struct build *b, struct fy_event *ev, size_t *len)
{
	struct fy_token *t = ev->scalar.value;
	const struct fy_mark *from = fy_event_start_mark(ev), *to = fy_event_end_mark(ev);
	bool single = t && fy_token_scalar_style(t) == FYSS_SINGLE_QUOTED && from && to &&
		      from->input_pos <= to->input_pos && to->input_pos <= b->len;
	const char *text = "";
	char *copy;

	*len = single ? to->input_pos - from->input_pos : 0;
	if (t && !single)
		text = fy_token_get_text(t, len);
	copy = text ? ydoc_alloc(b->doc, *len + 1) : NULL;
	if (!copy)
		return NULL;
	if (single)
		*len = single_quoted(b->text + from->input_pos, *len, copy);
	else
		memcpy(copy, text, *len);
	copy[*len] = '\0';
	return copy;
}

static int add_scalar(struct build *b, struct fy_event *ev, struct ynode *n)
{
	struct fy_token *t = ev->scalar.value;
	size_t len;

	n->text = scalar_text(b, ev, &len);
	if (!n->text)
		return nomem(b->d);
	n->plain = !t || fy_token_scalar_style(t) == FYSS_PLAIN;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)n->text[i] < 0x20 || n->text[i] == 0x7f)
			return fail(b, n->line, n->col,
				    "a control character (0x%02x) in a value: expected printable "
				    "text",
				    (unsigned char)n->text[i]);
	if (!ytext_is_plain(n->text, len))
		return fail(b, n->line, n->col, "a value that is not text: expected UTF-8");
	return add_node(b, n);
}

static int open_node(struct build *b, struct fy_event *ev, struct ynode *n)
{
	int err;

	n->type = ev->type == FYET_MAPPING_START ? Y_MAP : Y_LIST;
	err = add_node(b, n);
	if (err)
		return err;
	if (b->depth == POLICY_MAX_DEPTH)
		return fail(b, n->line, n->col, "nested too deep: at most %u levels",
			    POLICY_MAX_DEPTH);
	b->keys[b->depth] = NULL;
	b->stack[b->depth++] = n;
	return 0;
}

/* What is not there ("key:" and nothing) is where its key is. */
static void place_node(const struct build *b, struct ynode *n, const struct fy_mark *m)
{
	const struct ynode *near = b->depth ? b->keys[b->depth - 1] : NULL;

	if (!near && b->depth)
		near = b->stack[b->depth - 1];
	if (m) {
		n->line = (uint32_t)m->line + 1;
		n->col = (uint32_t)m->column + 1;
	} else {
		n->line = near ? near->line : 1;
		n->col = near ? near->col : 1;
	}
}

static bool is_quoted(struct fy_token *t)
{
	return t && (fy_token_scalar_style(t) == FYSS_SINGLE_QUOTED ||
		     fy_token_scalar_style(t) == FYSS_DOUBLE_QUOTED);
}

/* Where its bytes are: editors of policies insert behind it. */
static void span_node(const struct build *b, struct fy_event *ev, struct ynode *n)
{
	const struct fy_mark *m = fy_event_start_mark(ev), *end = fy_event_end_mark(ev);
	bool quoted = ev->type == FYET_SCALAR && is_quoted(ev->scalar.value);

	n->flow = ev->type != FYET_SCALAR && fy_event_get_node_style(ev) == FYNS_FLOW;
	/* the marks are inside of the quotes */
	if (!m || !end || end->input_pos + quoted > b->len || m->input_pos < quoted)
		return;
	n->pos = (uint32_t)(m->input_pos - quoted);
	n->end = (uint32_t)(end->input_pos + quoted);
}

static int on_node(struct build *b, struct fy_event *ev)
{
	const struct fy_mark *m = fy_event_start_mark(ev);
	struct fy_token *anchor, *tag;
	struct ynode *n;

	n = ydoc_alloc(b->doc, sizeof(*n));
	if (!n)
		return nomem(b->d);
	memset(n, 0, sizeof(*n));
	place_node(b, n, m);
	if (ev->type == FYET_SCALAR && is_quoted(ev->scalar.value) && n->col > 1)
		n->col--; /* the mark is behind the quote */
	span_node(b, ev, n);
	anchor = ev->type == FYET_SCALAR ? ev->scalar.anchor :
		 ev->type == FYET_MAPPING_START ? ev->mapping_start.anchor :
						  ev->sequence_start.anchor;
	tag = ev->type == FYET_SCALAR ? ev->scalar.tag :
	      ev->type == FYET_MAPPING_START ? ev->mapping_start.tag : ev->sequence_start.tag;
	if (anchor)
		return fail(b, n->line, n->col, "anchors (&name) are not used here: write "
			    "the value out, or quote it if it is meant to begin with &");
	if (tag)
		return fail(b, n->line, n->col, "tags (!name) are not used here: remove "
			    "it, or quote the value if it is meant to begin with !");
	if (ev->type == FYET_SCALAR)
		return add_scalar(b, ev, n);
	return open_node(b, ev, n);
}

static int on_alias(struct build *b, struct fy_event *ev)
{
	const struct fy_mark *m = fy_event_start_mark(ev);
	uint32_t line = m ? (uint32_t)m->line + 1 : 1, col = 1;
	const char *word = "*";
	int len = 1;

	if (indicator_on_line(b, line, &col, &word, &len) != '*') {
		col = m ? (uint32_t)m->column : 1;
		word = "*";
		len = 1;
	}
	return indicator_error(b, '*', line, col ? col : 1, word, len);
}

static void close_node(struct build *b, struct fy_event *ev)
{
	struct ynode *n = b->stack[--b->depth];
	const struct fy_mark *end = fy_event_end_mark(ev);

	if (n->flow && end && end->input_pos <= b->len)
		n->end = (uint32_t)end->input_pos;
}

static int on_event(struct build *b, struct fy_event *ev, unsigned int *documents)
{
	const struct fy_mark *m;

	switch (ev->type) {
	case FYET_DOCUMENT_START:
		m = fy_event_start_mark(ev);
		if ((*documents)++)
			return fail(b, m ? (uint32_t)m->line + 1 : 1, 1,
				    "a second document begins here: expected one a file");
		return 0;
	case FYET_ALIAS:
		return on_alias(b, ev);
	case FYET_SCALAR:
	case FYET_MAPPING_START:
	case FYET_SEQUENCE_START:
		return on_node(b, ev);
	case FYET_MAPPING_END:
		close_node(b, ev);
		return check_duplicates(b, b->stack[b->depth]);
	case FYET_SEQUENCE_END:
		close_node(b, ev);
		return 0;
	default:
		return 0;
	}
}

static int run_parser(struct build *b, struct fy_diag *fyd)
{
	unsigned int documents = 0;
	struct fy_event *ev;
	bool end = false;
	int err = 0;

	while (!err && !end) {
		ev = fy_parser_parse(b->fyp);
		if (!ev)
			return fy_parser_get_stream_error(b->fyp) || !end ? scan_error(b, fyd) : 0;
		end = ev->type == FYET_STREAM_END;
		err = on_event(b, ev, &documents);
		fy_parser_event_free(b->fyp, ev);
	}
	if (err)
		return err;
	if (!b->doc->root || ynode_is_null(b->doc->root))
		return fail(b, 1, 1, "the file is empty: expected a map that begins with version: "
				     "1");
	if (b->doc->root->type != Y_MAP)
		return fail(b, b->doc->root->line, b->doc->root->col,
			    "this is no map: expected keys, the first of them version: 1");
	return 0;
}

/* libfyaml reads bytes that are no UTF-8 as nothing at all: refuse them first. */
static int check_text(struct build *b)
{
	const unsigned char *s = (const unsigned char *)b->text;
	uint32_t line = 1, col = 1;
	size_t n;

	for (size_t i = 0; i < b->len; i += n, col++) {
		n = utf8_len(s + i, b->len - i);
		if (!n || !s[i])
			return fail(b, line, col, "byte 0x%02x is not text: expected YAML in UTF-8",
				    s[i]);
		if (s[i] == '\n') {
			line++;
			col = 0;
		}
	}
	return 0;
}

static struct fy_diag *quiet_diag(void)
{
	struct fy_diag_cfg cfg;
	struct fy_diag *fyd;

	fy_diag_cfg_default(&cfg);
	cfg.fp = NULL;
	cfg.output_fn = NULL;
	cfg.level = FYET_ERROR;
	cfg.colorize = false;
	fyd = fy_diag_create(&cfg);
	if (fyd)
		fy_diag_set_collect_errors(fyd, true);
	return fyd;
}

int ydoc_parse(const char *file, const char *text, size_t len, struct ydoc *doc, struct diag *d)
{
	struct build b = { .doc = doc, .file = file, .text = text, .len = len, .d = d };
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 |
					     FYPCF_JSON_NONE | FYPCF_DISABLE_MMAP_OPT };
	struct fy_diag *fyd;
	int err;

	memset(doc, 0, sizeof(*doc));
	if (len > POLICY_MAX_BYTES)
		return diag_at(d, -EFBIG, file, 0, 0, "%zu bytes: a file has at most %u", len,
			       POLICY_MAX_BYTES);
	err = check_text(&b);
	if (err)
		return err;
	err = -ENOMEM;
	fyd = quiet_diag();
	cfg.diag = fyd;
	b.fyp = fyd ? fy_parser_create(&cfg) : NULL;
	if (!b.fyp || fy_parser_set_string(b.fyp, text, len)) {
		(void)nomem(d);
		goto out;
	}
	err = run_parser(&b, fyd);
out:
	if (b.fyp)
		fy_parser_destroy(b.fyp);
	if (fyd)
		fy_diag_destroy(fyd); /* unref would leak the collected errors */
	if (err)
		ydoc_free(doc);
	return err;
}
