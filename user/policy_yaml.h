/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * YAML text to a tree of nodes that know their place. The subset policies need:
 * one document, plain keys, no anchors, aliases or tags, little nesting. What is
 * outside is an error here, so that nothing above has to think of it; without
 * aliases a small text cannot grow into a large tree.
 */
#ifndef EGRESSCTL_POLICY_YAML_H
#define EGRESSCTL_POLICY_YAML_H

#include "diag.h"
#include "util.h"

enum ynode_type { Y_SCALAR, Y_LIST, Y_MAP };

struct ynode {
	enum ynode_type type;
	bool plain; /* scalar without quotes */
	bool flow; /* a collection in brackets */
	uint32_t line, col; /* from 1 */
	/*
	 * Bytes of the text it takes, quotes and brackets included. Both 0 for what is
	 * not there. Of a collection without brackets `end` is that of its beginning.
	 */
	uint32_t pos, end;
	const char *text; /* scalar: no NUL and no control characters inside */
	struct ynode *key; /* of an entry of a map: a scalar */
	struct ynode *first, *next; /* entries; next entry of the parent */
	uint32_t count;
	struct ynode *last; /* while building */
};

struct ydoc {
	struct ynode *root; /* a map */
	void *chunks;
};

/* `file` is for messages. 0 or -EINVAL, -EFBIG, -ENOMEM with a message in d. */
int ydoc_parse(const char *file, const char *text, size_t len, struct ydoc *doc, struct diag *d);
void ydoc_free(struct ydoc *doc);

/* For as long as the document lives; NULL without memory. */
void *ydoc_alloc(struct ydoc *doc, size_t n);

/*
 * Is there a key twice? 1: *second is an entry that has it, *first (may be NULL) the one before.
 * 0: no. -ENOMEM.
 */
int ymap_twice(const struct ynode *map, const struct ynode **second, const struct ynode **first);

/* What a scalar may say: UTF-8 (RFC 3629) without control characters. */
bool ytext_is_plain(const char *s, size_t n);

/* A plain ~, null or nothing at all: YAML's null, which no key accepts. */
bool ynode_is_null(const struct ynode *n);

#endif
