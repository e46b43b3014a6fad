/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between policy_parse.c and policy_sections.c only. */
#ifndef EGRESSCTL_POLICY_PARSE_H
#define EGRESSCTL_POLICY_PARSE_H

#include "policy_int.h"

struct pol {
	const char *file;
	struct diag *d;
	struct policy *p;
	struct policy_extends *ext;
	bool version;
};

/* one legal key of a map; arg is the parser's own */
struct pol_key {
	const char *key;
	const char *expect; /* completes "expected …" */
	int (*parse)(struct pol *c, struct ynode *n, const struct pol_key *k);
	uint32_t arg;
};

struct pol_words {
	const char *word;
	uint64_t value;
};

/* All return 0 or a negative errno with the message set, placed at the node. */
int pol_bad(struct pol *c, const struct ynode *n, const char *fmt, ...) __printf_like(3, 4);
int pol_nomem(struct pol *c);
int pol_expected(struct pol *c, const struct ynode *n, const char *what, const char *expect);
int pol_scalar(struct pol *c, const struct ynode *n, const char *what, const char *expect);
int pol_word(struct pol *c, const struct ynode *n, const char *what, const char *expect,
	     const struct pol_words *words, struct policy_num *out);
int pol_map(struct pol *c, const struct ynode *n, const char *what, const struct pol_key *keys);
int pol_list(struct pol *c, const struct ynode *n, const struct pol_key *k, size_t have);
int pol_add_str(struct pol *c, struct policy_strs *list, const struct ynode *n, const char *text);
struct place pol_place(const struct pol *c, const struct ynode *n);
const char *pol_got(const struct ynode *n, char *buf, size_t len);

int pol_egress(struct pol *c, struct ynode *n, const struct pol_key *k);
int pol_files(struct pol *c, struct ynode *n, const struct pol_key *k);
int pol_env(struct pol *c, struct ynode *n, const struct pol_key *k);
int pol_limits(struct pol *c, struct ynode *n, const struct pol_key *k);

#endif
