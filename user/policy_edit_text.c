/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One more entry in the text of a policy, where a person would write it, and
 * every other byte as it was. Places come from the marks of the parsed nodes;
 * what is written looks like its neighbours. Nothing here is believed: the caller
 * parses the result and compares its tree with the one that edit_tree() makes.
 */
#include <ctype.h>

#include "policy_edit_int.h"

#define DEFAULT_INDENT 2u
#define MAX_INDENT 16u /* what is further to the right is no indentation to go by */

struct editor {
	const char *text;
	size_t len;
	const struct ydoc *doc;
	const struct edit_want *w;
	const char *nl;
	unsigned int indent; /* of what is below a key */
	unsigned int dash; /* of a list below its key */
	bool tight; /* JSON without spaces */
	struct text *out;
	size_t done; /* bytes of `text` that are in `out` or were left out */
};

/* ---- lines ----------------------------------------------------------------------- */

static bool is_nl(char c)
{
	return c == '\n' || c == '\r';
}

static size_t line_start(const struct editor *e, size_t at)
{
	while (at && !is_nl(e->text[at - 1]))
		at--;
	return at;
}

static size_t line_end(const struct editor *e, size_t at)
{
	while (at < e->len && !is_nl(e->text[at]))
		at++;
	return at;
}

/* Where the next line begins; `end` is a line_end(). */
static size_t next_line(const struct editor *e, size_t end)
{
	if (end < e->len && e->text[end] == '\r')
		end++;
	else if (end < e->len)
		return end + 1;
	return end < e->len && e->text[end] == '\n' ? end + 1 : end;
}

/* The line_end() of the line before the one that begins at `start`, which is not the first. */
static size_t line_before(const struct editor *e, size_t start)
{
	start--;
	return start && e->text[start] == '\n' && e->text[start - 1] == '\r' ? start - 1 : start;
}

static size_t spaces_at(const struct editor *e, size_t at)
{
	size_t n = 0;

	/* tabs: in brackets they may indent */
	while (at + n < e->len && (e->text[at + n] == ' ' || e->text[at + n] == '\t'))
		n++;
	return n;
}

static bool is_blank(const struct editor *e, size_t start)
{
	start += spaces_at(e, start);
	return start == line_end(e, start);
}

static size_t skip_spaces_back(const struct editor *e, size_t at)
{
	while (at && isspace((unsigned char)e->text[at - 1]))
		at--;
	return at;
}

/* Nothing but spaces stand before `at` in its line. */
static bool begins_line(const struct editor *e, size_t at)
{
	size_t start = line_start(e, at);

	return start + spaces_at(e, start) >= at;
}

/* ---- nodes ----------------------------------------------------------------------- */

static size_t node_start(const struct ynode *n)
{
	if (n->key)
		return n->key->pos;
	/* a map without brackets begins with its first key */
	return n->type != Y_SCALAR && !n->flow && n->first ? node_start(n->first) : n->pos;
}

/* Behind the last byte of a node and all that is in it. */
static size_t node_end(const struct editor *e, const struct ynode *n)
{
	size_t end = n->end;

	if (n->type != Y_SCALAR && !n->flow && n->last)
		return node_end(e, n->last);
	if (!end && n->key)
		end = n->key->end; /* what is not there */
	/* the mark of a block scalar is in the next line */
	return skip_spaces_back(e, end);
}

struct ynode *edit_child(const struct ynode *map, const char *key)
{
	struct ynode *n = map->type == Y_MAP ? map->first : NULL;

	while (n && !str_eq(n->key->text, key))
		n = n->next;
	return n;
}

bool edit_same_tree(const struct ynode *a, const struct ynode *b)
{
	if (a->type != b->type || ynode_is_null(a) != ynode_is_null(b))
		return false;
	if (a->type == Y_SCALAR)
		return str_eq(a->text, b->text);
	for (a = a->first, b = b->first; a && b; a = a->next, b = b->next)
		if (!a->key != !b->key || (a->key && !str_eq(a->key->text, b->key->text)) ||
		    !edit_same_tree(a, b))
			return false;
	return !a && !b;
}

/* ---- the tree that must come out ------------------------------------------------- */

static struct ynode *new_node(struct edit_nodes *nodes, enum ynode_type type, const char *text)
{
	struct ynode *n = &nodes->v[nodes->n++];

	*n = (struct ynode){ .type = type, .text = text };
	return n;
}

static void append(struct ynode *parent, struct ynode *n)
{
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->count++;
}

void edit_tree(struct ydoc *doc, const struct edit_want *w, struct edit_nodes *nodes)
{
	struct ynode *at = doc->root, *n;

	nodes->n = 0;
	for (unsigned int i = 0; i < w->nkeys; i++, at = n) {
		n = edit_child(at, w->keys[i]);
		if (n)
			continue;
		n = new_node(nodes, i + 1 < w->nkeys || w->perm ? Y_MAP : Y_LIST, NULL);
		n->key = new_node(nodes, Y_SCALAR, w->keys[i]);
		append(at, n);
	}
	n = w->replace ? edit_child(at, w->replace) : NULL;
	if (n) {
		n->text = w->perm;
		return;
	}
	n = w->map ? w->map : new_node(nodes, Y_SCALAR, w->perm ? w->perm : w->value);
	if (w->perm)
		n->key = new_node(nodes, Y_SCALAR, w->value);
	append(at, n);
}

/* ---- scalars --------------------------------------------------------------------- */

/* Readable without quotes, by every reader of YAML, in brackets as well. */
static bool is_plain(const char *s)
{
	size_t n = strlen(s);

	if (!isalnum((unsigned char)*s) && *s != '/' && *s != '.' && !str_starts(s, "~/"))
		return false;
	return n == strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			      "._/:~@+=-") &&
	       s[n - 1] != ':';
}

static void add_scalar(struct editor *e, const char *s, bool quote)
{
	if (quote || e->w->json || !is_plain(s))
		(void)text_add_json(e->out, s, strlen(s)); /* checked by who parses it again */
	else
		text_add(e->out, s);
}

/* A neighbour in quotes that it does not need: so is ours. */
static bool quotes_like(const struct ynode *n)
{
	return n && n->type == Y_SCALAR && !n->plain && is_plain(n->text);
}

static void add_comment(struct editor *e)
{
	if (e->w->comment && !e->w->json)
		text_addf(e->out, "  # %s", e->w->comment);
}

/* Everything up to `at` as it is. */
static void keep(struct editor *e, size_t at)
{
	if (at <= e->done)
		return;
	text_add_bytes(e->out, e->text + e->done, at - e->done);
	e->done = at;
}

/* ---- in lines -------------------------------------------------------------------- */

static void add_spaces(struct editor *e, size_t n)
{
	text_addf(e->out, "%*s", (int)n, "");
}

static void indent_like(struct editor *e, size_t start)
{
	text_add_bytes(e->out, e->text + start, spaces_at(e, start));
}

/* A value of ours in JSON: numbers and truth are words there, too. */
static void add_json(struct editor *e, const struct ynode *n)
{
	bool map = n->type == Y_MAP;

	if (n->type == Y_SCALAR) {
		bool word = n->plain && *n->text &&
			    (str_eq(n->text, "true") || str_eq(n->text, "false") ||
			     (*n->text != '0' && !n->text[strspn(n->text, "0123456789")]));

		if (word)
			text_add(e->out, n->text);
		else
			(void)text_add_json(e->out, n->text, strlen(n->text));
		return;
	}
	text_add(e->out, map ? "{" : "[");
	for (const struct ynode *c = n->first; c; c = c->next) {
		text_add(e->out, c == n->first ? "" : e->tight ? "," : ", ");
		if (map) {
			(void)text_add_json(e->out, c->key->text, strlen(c->key->text));
			text_add(e->out, e->tight ? ":" : ": ");
		}
		add_json(e, c);
	}
	text_add(e->out, map ? "}" : "]");
}

static void add_leaf(struct editor *e, const struct ynode *like)
{
	if (e->w->map) {
		if (e->w->json)
			add_json(e, e->w->map);
		else
			text_add(e->out, e->w->value);
		return;
	}
	add_scalar(e, e->w->value, quotes_like(like && like->key ? like->key : like));
	if (!e->w->perm)
		return;
	text_add(e->out, e->tight ? ":" : ": ");
	add_scalar(e, e->w->perm, quotes_like(like));
}

/* Behind the line of the last entry, and behind comments that go on about it. */
static size_t after_lines(const struct editor *e, const struct ynode *last, size_t indent)
{
	size_t end = line_end(e, node_end(e, last)), start, n;

	for (start = next_line(e, end); start < e->len && start > end;
	     start = next_line(e, end)) {
		n = spaces_at(e, start);
		if (n <= indent || start + n >= e->len || e->text[start + n] != '#')
			break;
		end = line_end(e, start);
	}
	return end;
}

/* Where the dash of an entry is, or -EINVAL: comments stand between them. */
static int find_dash(const struct editor *e, const struct ynode *entry, size_t *at)
{
	size_t p = skip_spaces_back(e, node_start(entry));

	/* a block scalar begins below its header: "- >-" */
	if (entry->type == Y_SCALAR && !entry->plain && !strchr("\"'", e->text[entry->pos])) {
		while (p && strchr("+-0123456789", e->text[p - 1]))
			p--;
		if (p && strchr("|>", e->text[p - 1]))
			p = skip_spaces_back(e, p - 1);
	}
	if (!p || e->text[p - 1] != '-' || !begins_line(e, p - 1))
		return -EINVAL;
	*at = p - 1;
	return 0;
}

static int add_list_line(struct editor *e, const struct ynode *list)
{
	size_t first, dash, start;
	int err = find_dash(e, list->first, &first);

	if (!err)
		err = find_dash(e, list->last, &dash);
	if (err)
		return err;
	keep(e, after_lines(e, list->last, first - line_start(e, first)));
	text_add(e->out, e->nl);
	add_spaces(e, first - line_start(e, first));
	start = node_start(list->last);
	if (line_end(e, dash) >= start)
		text_add_bytes(e->out, e->text + dash, start - dash);
	else
		text_add(e->out, "- ");
	add_leaf(e, list->last);
	add_comment(e);
	return 0;
}

/* Sections of this policy are apart from each other. */
static bool has_gaps(const struct editor *e)
{
	size_t start;

	for (const struct ynode *n = e->doc->root->first->next; n; n = n->next) {
		start = line_start(e, node_start(n));
		while (start) {
			start = line_start(e, line_before(e, start));
			if (is_blank(e, start))
				return true;
			if (e->text[start + spaces_at(e, start)] != '#')
				break;
		}
	}
	return false;
}

/* keys[depth] and what is below it, behind the last entry of a map. */
static void add_map_lines(struct editor *e, const struct ynode *map, unsigned int depth)
{
	const struct edit_want *w = e->w;
	size_t indent = spaces_at(e, line_start(e, node_start(map->first)));

	keep(e, after_lines(e, map->last, indent));
	if (map == e->doc->root && depth < w->nkeys && has_gaps(e))
		text_add(e->out, e->nl);
	for (; depth < w->nkeys; depth++) {
		text_add(e->out, e->nl);
		add_spaces(e, indent);
		text_addf(e->out, "%s:", w->keys[depth]);
		indent += depth + 1 < w->nkeys || w->perm ? e->indent : e->dash;
	}
	text_add(e->out, e->nl);
	add_spaces(e, indent);
	text_add(e->out, w->perm ? "" : "- ");
	add_leaf(e, map->last);
	add_comment(e);
}

/* ---- in brackets ----------------------------------------------------------------- */

static void add_inline(struct editor *e, const struct ynode *like, unsigned int depth)
{
	const struct edit_want *w = e->w;
	char brackets[4] = "";
	size_t n = 0;

	for (; depth < w->nkeys; depth++) {
		bool map = depth + 1 < w->nkeys || w->perm;

		add_scalar(e, w->keys[depth], false);
		text_add(e->out, e->tight ? ":" : ": ");
		text_add(e->out, map ? "{" : "[");
		brackets[n++] = map ? '}' : ']';
	}
	add_leaf(e, like);
	while (n)
		text_add_bytes(e->out, &brackets[--n], 1);
}

/* The comma behind the last entry, if there is one before `close`. */
static bool find_comma(const struct editor *e, size_t from, size_t close, size_t *comma)
{
	for (; from < close; from++) {
		if (e->text[from] == '#')
			from = line_end(e, from);
		if (from < close && e->text[from] == ',') {
			*comma = from;
			return true;
		}
	}
	return false;
}

static void comment_line(struct editor *e)
{
	keep(e, line_end(e, e->done));
	add_comment(e);
}

static void add_in_empty(struct editor *e, const struct ynode *flow, unsigned int depth)
{
	size_t close = flow->end - 1u, start = line_start(e, close);

	if (start > flow->pos && begins_line(e, close)) {
		keep(e, line_before(e, start));
		text_add(e->out, e->nl);
		indent_like(e, start);
		if (spaces_at(e, start) && e->text[start] == '\t')
			text_add(e->out, "\t");
		else
			add_spaces(e, e->indent);
		add_inline(e, NULL, depth);
		add_comment(e);
		return;
	}
	keep(e, flow->pos + 1u);
	text_add(e->out, close > flow->pos + 1u && !is_nl(e->text[close - 1]) ? " " : "");
	add_inline(e, NULL, depth);
	comment_line(e);
}

static void add_in_flow(struct editor *e, const struct ynode *flow, unsigned int depth)
{
	const struct ynode *last = flow->last;
	size_t close = flow->end - 1u, end, at, comma = 0;
	bool has_comma, lines;

	if (!last) {
		add_in_empty(e, flow, depth);
		return;
	}
	at = end = node_end(e, last);
	has_comma = find_comma(e, end, close, &comma);
	lines = begins_line(e, close) && begins_line(e, node_start(last)) &&
		line_start(e, close) > end;
	if (has_comma)
		at = comma + 1;
	keep(e, at);
	if (!has_comma)
		text_add(e->out, ",");
	if (lines) {
		keep(e, line_end(e, at));
		text_add(e->out, e->nl);
		indent_like(e, line_start(e, node_start(last)));
	} else if (!e->tight) {
		text_add(e->out, " ");
	}
	add_inline(e, last, depth);
	text_add(e->out, has_comma ? "," : "");
	if (lines)
		add_comment(e);
	else
		comment_line(e);
}

/* ---- all of it ------------------------------------------------------------------- */

static int replace_perm(struct editor *e, const struct ynode *n)
{
	size_t quote = n && !n->plain ? 1 : 0, len = n ? strlen(n->text) : 0;

	if (!n)
		return -EINVAL;
	/* folded over lines, or written with escapes: nothing that anybody does */
	if (n->end - n->pos != len + 2 * quote || memcmp(e->text + n->pos + quote, n->text, len))
		return -EINVAL;
	keep(e, n->pos + quote);
	text_add(e->out, e->w->perm);
	e->done += len;
	keep(e, n->end);
	comment_line(e);
	return 0;
}

/* How this policy is laid out: as the first list and the first map of it are. */
static void look_at(struct editor *e, const struct ynode *n, size_t indent, bool *lists, bool *maps)
{
	size_t at;

	for (const struct ynode *c = n->first; c; c = c->next) {
		if (c->type == Y_SCALAR || c->flow || !c->first || !c->key)
			continue;
		if (c->type == Y_LIST) {
			if (*lists || find_dash(e, c->first, &at))
				continue;
			at -= line_start(e, at);
			*lists = at >= indent && at - indent <= MAX_INDENT;
			e->dash = *lists ? (unsigned int)(at - indent) : e->dash;
			continue;
		}
		at = spaces_at(e, line_start(e, node_start(c->first)));
		if (!*maps && at > indent && at - indent <= MAX_INDENT) {
			*maps = true;
			e->indent = (unsigned int)(at - indent);
		}
		look_at(e, c, at, lists, maps);
	}
}

static void look(struct editor *e)
{
	const struct ynode *root = e->doc->root;
	size_t end = line_end(e, 0);
	bool lists = false, maps = false;
	size_t first;

	e->nl = end < e->len && e->text[end] == '\r' ?
			(end + 1 < e->len && e->text[end + 1] == '\n' ? "\r\n" : "\r") : "\n";
	e->indent = DEFAULT_INDENT;
	first = root->first ? spaces_at(e, line_start(e, node_start(root->first))) : 0;
	if (!root->flow)
		look_at(e, root, first, &lists, &maps);
	else if (root->first && begins_line(e, node_start(root->first)))
		e->indent = (unsigned int)MIN(first, MAX_INDENT);
	e->dash = lists ? e->dash : e->indent;
	end = root->first ? root->first->key->end : 0;
	e->tight = e->w->json && end + 1 < e->len && e->text[end] == ':' &&
		   !isspace((unsigned char)e->text[end + 1]);
}

int edit_text(const char *text, size_t len, const struct ydoc *doc, const struct edit_want *w,
	      struct text *t)
{
	struct editor e = { .text = text, .len = len, .doc = doc, .w = w, .out = t };
	const struct ynode *at = doc->root, *next;
	unsigned int depth = 0;
	int err = 0;

	text_reset(t);
	look(&e);
	for (; depth < w->nkeys && (next = edit_child(at, w->keys[depth])); depth++)
		at = next;
	if (w->replace)
		err = replace_perm(&e, edit_child(at, w->replace));
	else if (at->flow)
		add_in_flow(&e, at, depth);
	else if (!at->first)
		err = -EINVAL; /* nothing at all is no section, and was refused */
	else if (at->type == Y_LIST)
		err = add_list_line(&e, at);
	else
		add_map_lines(&e, at, depth);
	keep(&e, len);
	return err;
}
