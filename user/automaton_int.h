/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside the automaton compiler; nobody else includes this.
 *
 *	automaton_intern.c	numbers for strings of words (with a header of its own)
 *	automaton_parse.c	patterns -> labels (names, literal or with wildcards)
 *	automaton_tree.c	rules -> a tree of labels; which rule decides
 *	automaton_groups.c	patterns and labels that mean the same
 *	automaton_sets.c	labels with wildcards -> sets of positions
 *	automaton_names.c	labels -> rows of the names' automaton and classes of names
 *	automaton_dirs.c	tree and classes -> directory states
 *	automaton_merge.c	directory states -> as few as possible -> rows
 *	automaton_pack.c	rows -> slots
 *	automaton.c		the public functions
 */
#ifndef AUTOMATON_INT_H
#define AUTOMATON_INT_H

#include "automaton.h"
#include "automaton_intern.h"

/* ---- labels: one name of a pattern -------------------------------------------- */

enum item_type {
	ITEM_BYTE,
	ITEM_ANY, /* ? */
	ITEM_CLASS, /* [..]; value: number in tree.sets */
	ITEM_STAR
};
#define ITEM(type, value) ((uint32_t)(type) << 24 | (value))
#define ITEM_TYPE(i) ((enum item_type)((i) >> 24))
#define ITEM_VALUE(i) ((i) & 0xffffff)

/* first word of a label's string in tree.labels: the rest is bytes or items */
#define LABEL_LITERAL 0x80000000u /* | length; then the bytes, packed */
#define LABEL_GLOB 0u
#define LABEL_WORDS (2 + EG_PATH_MAX)

struct label {
	uint32_t exact; /* literal parts name it: 1, 2, …; 0: none does */
	uint32_t group; /* by the patterns that have it, or GROUP_NONE, GROUP_ALL */
	uint32_t class; /* of the name itself, with exact */
};
#define GROUP_NONE 0xffffffffu
#define GROUP_ALL 0xfffffffeu /* "*": every name */

/* ---- the tree of the rules ------------------------------------------------------- */

struct node {
	uint32_t first_rule, last_rule; /* rules that end here: index + 1, see next_rule */
	uint32_t star; /* pattern nodes: after "**"; 0: none */
	uint32_t pat[2]; /* literal nodes: patterns that begin here, [0] those of none */
	uint32_t first_glob; /* edges whose labels have wildcards: index + 1 */
	uint8_t perm; /* what all rules that end here allow */
	bool loop; /* pattern nodes: any names may come in between */
	bool none; /* pattern nodes: of rules with permission none */
};

struct edge {
	uint32_t src, label, dst;
	uint32_t next_glob; /* index + 1 */
};

enum {
	ROOT_PATH = 1,
	ROOT_UNIX,
	ROOT_ABSTRACT,
	ROOT_DOMAIN,
	ROOTS_END = ROOT_DOMAIN + EG_DOMAIN_GROUPS
};

struct tree {
	VEC(struct node) nodes; /* 0 is no node; children come after their parents */
	VEC(struct edge) edges;
	struct intern edge_ids; /* {src, label} -> index in edges */
	struct intern labels;
	VEC(struct label) label;
	struct intern sets; /* 8 words: the bytes of a [set] */
	uint32_t *next_rule; /* by rule */
	uint32_t *rule_id;
	uint8_t *rule_perm;
	uint32_t nrules;
	uint32_t nexact;
	uint8_t defaults[AUTOMATON_SPACES];
};

/* One pattern taken apart. */
struct pattern {
	vec32 names; /* labels, or NAME_STARS for "**"; trailing ones are gone */
	uint32_t literal; /* how many names come before the first with a wildcard */
	bool abstract;
};
#define NAME_STARS 0xffffffffu

int pattern_parse(struct tree *t, const struct automaton_rule *r, struct pattern *out,
		  struct automaton_error *err);
int label_of_name(const struct tree *t, const char *name, size_t len, uint32_t *label);
bool label_is_literal(const struct tree *t, uint32_t label, const uint8_t **bytes, uint32_t *len);
bool set_has(const struct tree *t, uint32_t set, uint8_t byte);
int error_set(struct automaton_error *err, int code, size_t offset, const char *expected,
	      const char *fmt, ...) __printf_like(5, 6);

int error_work(struct automaton_error *err);

/* Which space a root's names are of. */
static inline enum automaton_space tree_space_of(uint32_t root)
{
	if (root >= ROOT_DOMAIN)
		return AUTOMATON_DOMAIN + (root - ROOT_DOMAIN);
	return root == ROOT_PATH ? AUTOMATON_PATHS : AUTOMATON_UNIX;
}

int tree_init(struct tree *t, size_t nrules, const uint8_t defaults[AUTOMATON_SPACES]);
int tree_add(struct tree *t, const struct automaton_rule *r, uint32_t index,
	     struct automaton_error *err);
void tree_fini(struct tree *t);
bool tree_rule_for(const struct tree *t, enum automaton_space space, const char *path, size_t len,
		   uint32_t *id, uint8_t *perm);

/* The names of an absolute path, one by one; of a domain name the last one first. */
struct path_names {
	const char *path;
	size_t len, at;
	bool domain;
	const char *name;
	size_t n;
	bool bad; /* "a", "//", "/a/" or a name that cannot exist: the end, too */
};

static inline bool domain_names_next(struct path_names *p)
{
	size_t end = p->len - p->at, start = end;

	if (p->at == p->len)
		return false;
	while (start && p->path[start - 1] != '.')
		start--;
	p->name = p->path + start;
	p->n = end - start;
	p->at = start ? p->len - (start - 1) : p->len;
	/* a dot in front leaves an empty label, which nobody would ask for */
	p->bad = !p->n || p->n > EG_NAME_MAX || start == 1;
	return !p->bad;
}

static inline bool path_names_next(struct path_names *p)
{
	size_t end;

	if (p->domain)
		return domain_names_next(p);
	if (!p->at && p->len == 1 && p->path[0] == '/')
		return false;
	if (p->at && p->at == p->len)
		return false;
	p->bad = p->at == p->len || p->path[p->at] != '/';
	if (p->bad)
		return false;
	for (end = ++p->at; end < p->len && p->path[end] != '/';)
		end++;
	p->name = p->path + p->at;
	p->n = end - p->at;
	p->at = end;
	p->bad = !p->n || p->n > EG_NAME_MAX;
	return !p->bad;
}

/* ---- rows ------------------------------------------------------------------------- */

struct row {
	uint32_t edge, nedges; /* in rows.edges */
	uint32_t dflt; /* row */
	uint32_t head; /* details for the header */
	uint32_t wider; /* names: the wider class, when it is another one and not 0 */
	uint32_t classes; /* directories: row that knows the classes; 0: this one */
	uint32_t bits; /* or'ed into the state */
	uint32_t base; /* set by the packer */
	bool via; /* dflt is looked at for the byte */
	bool name; /* symbols are bytes */
};

struct row_edge {
	uint32_t symbol;
	uint32_t to; /* row */
};

struct rows { /* row 0 is the dead one */
	VEC(struct row) rows;
	VEC(struct row_edge) edges;
	uint32_t nsymbols; /* of directory rows: all are below this */
};

static inline int row_edge_add(struct rows *r, uint32_t symbol, uint32_t to)
{
	struct row_edge *e = vec_add(&r->edges);

	if (!e)
		return -ENOMEM;
	e->symbol = symbol;
	e->to = to;
	return 0;
}

/* ---- the stages -------------------------------------------------------------------- */

struct names {
	struct intern classes; /* sorted groups; class 0 is the empty one */
	vec32 wider; /* by class: the class of those of its groups that are global */
	vec32 open; /* by class: whether names that no rule spells out are in it */
	uint32_t start; /* row */
	uint32_t states;
	uint64_t work; /* steps it took */
};

int names_build(struct tree *t, const vec32 *global, struct rows *rows, struct names *out,
		struct automaton_error *err);
void names_fini(struct names *n);

struct dirs {
	struct intern reps; /* pattern nodes up to equality, see automaton_dirs.h */
	vec32 rep; /* by node: number in reps + 1, 0 for literal nodes */
	uint32_t ngroups;
	vec32 global; /* by group: whether it matters in (almost) every directory */
	vec32 gstart, gedges; /* by rep: pairs (group, rep), sorted */
	uint32_t *first_edge, *edge_list; /* by node: edges of the tree */
	uint32_t start[ROOTS_END]; /* rows */
	uint32_t states;
	uint64_t work; /* steps it took */
};

/* Gives every label of a pattern its group; before names_build(). */
int dirs_group_labels(struct tree *t, struct dirs *d);
int dirs_build(const struct tree *t, const struct names *names, struct dirs *d, struct rows *rows,
	       struct automaton_error *err);
void dirs_fini(struct dirs *d);

int rows_pack(struct rows *rows, struct eg_dfa_slot **slots, uint32_t *nslots, uint32_t *used,
	      struct automaton_error *err);

#endif
