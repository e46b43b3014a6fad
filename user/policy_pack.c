/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "policy.h"
#include "policy_pack.h"

struct packed {
	uint8_t type; /* enum ynode_type */
	uint8_t plain, flow, keyed; /* bool */
	uint32_t line, col, pos, end;
	uint32_t n; /* scalar: bytes of text that follow; else entries */
};

/* ---- to bytes ------------------------------------------------------------------------ */

static size_t node_size(const struct ynode *n)
{
	size_t size = sizeof(struct packed) + (n->key ? node_size(n->key) : 0);

	if (n->type == Y_SCALAR)
		return size + strlen(n->text);
	for (const struct ynode *e = n->first; e; e = e->next)
		size += node_size(e);
	return size;
}

size_t ydoc_packed_size(const struct ydoc *doc)
{
	return node_size(doc->root);
}

static char *put_node(char *out, const struct ynode *n)
{
	struct packed p = {
		.type = (uint8_t)n->type, .plain = n->plain, .flow = n->flow,
		.keyed = n->key != NULL, .line = n->line, .col = n->col, .pos = n->pos,
		.end = n->end,
		.n = n->type == Y_SCALAR ? (uint32_t)strlen(n->text) : n->count,
	};

	memcpy(out, &p, sizeof(p));
	out += sizeof(p);
	if (n->key)
		out = put_node(out, n->key);
	if (n->type == Y_SCALAR) {
		memcpy(out, n->text, p.n);
		return out + p.n;
	}
	for (const struct ynode *e = n->first; e; e = e->next)
		out = put_node(out, e);
	return out;
}

void ydoc_pack(const struct ydoc *doc, char *out)
{
	(void)put_node(out, doc->root);
}

/* ---- from bytes ---------------------------------------------------------------------- */

struct cursor {
	const char *at;
	size_t left, text_len;
	struct ydoc *doc;
};

static bool is_sound(const struct cursor *c, const struct packed *p)
{
	return p->type <= Y_MAP && p->plain <= 1 && p->flow <= 1 && p->keyed <= 1 &&
	       p->pos <= p->end && p->end <= c->text_len;
}

static int take_text(struct cursor *c, struct ynode *n, size_t len)
{
	char *text;

	if (c->left < len || !ytext_is_plain(c->at, len))
		return -EPROTO;
	text = ydoc_alloc(c->doc, len + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, c->at, len);
	text[len] = '\0';
	n->text = text;
	c->at += len;
	c->left -= len;
	return 0;
}

static int take_node(struct cursor *c, bool keyed, unsigned int depth, struct ynode **out);

static int take_key(struct cursor *c, struct ynode *n)
{
	int err = take_node(c, false, POLICY_MAX_DEPTH, &n->key);

	return err ? err : n->key->type == Y_SCALAR ? 0 : -EPROTO;
}

static int take_entries(struct cursor *c, struct ynode *n, uint32_t count, unsigned int depth)
{
	const struct ynode *twice;
	int err = depth < POLICY_MAX_DEPTH ? 0 : -EPROTO;

	for (; !err && n->count < count; n->count++) {
		struct ynode *e;

		err = take_node(c, n->type == Y_MAP, depth + 1, &e);
		if (err)
			break;
		if (n->last)
			n->last->next = e;
		else
			n->first = e;
		n->last = e;
	}
	if (!err && n->type == Y_MAP)
		err = ymap_twice(n, &twice, NULL);
	return err < 0 ? err : err ? -EPROTO : 0;
}

static int take_node(struct cursor *c, bool keyed, unsigned int depth, struct ynode **out)
{
	struct packed p;
	struct ynode *n;
	int err;

	if (c->left < sizeof(p))
		return -EPROTO;
	memcpy(&p, c->at, sizeof(p));
	c->at += sizeof(p);
	c->left -= sizeof(p);
	if (!is_sound(c, &p) || p.keyed != keyed)
		return -EPROTO;
	n = ydoc_alloc(c->doc, sizeof(*n));
	if (!n)
		return -ENOMEM;
	*n = (struct ynode){ .type = p.type, .plain = p.plain, .flow = p.flow, .line = p.line,
			     .col = p.col, .pos = p.pos, .end = p.end };
	*out = n;
	err = keyed ? take_key(c, n) : 0;
	if (err)
		return err;
	return p.type == Y_SCALAR ? take_text(c, n, p.n) : take_entries(c, n, p.n, depth);
}

int ydoc_unpack(const char *bytes, size_t n, size_t text_len, struct ydoc *doc)
{
	struct cursor c = { .at = bytes, .left = n, .text_len = text_len, .doc = doc };
	int err;

	*doc = (struct ydoc){};
	err = take_node(&c, false, 0, &doc->root);
	if (!err && (c.left || doc->root->type != Y_MAP))
		err = -EPROTO;
	if (err)
		ydoc_free(doc);
	return err;
}
