/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Policies from strings, for the tests of parser, compiler and verdicts. */
#ifndef POLICY_HELP_H
#define POLICY_HELP_H

#include "compile.h"

struct policy_file {
	const char *name; /* as in `extends`; shown with .yaml behind it */
	const char *text;
};

/* A file system of links for `help_vars()`; ends with a NULL path. */
struct help_link {
	const char *path, *target;
};

/* The user 1000 in /home/u/work, a linked worktree of /home/u/main. links may be NULL. */
struct policy_vars help_vars(const struct help_link *links);

struct help_question {
	const char *path, *perm;
};

/* Ask all of them, print what is wrong, then fail. */
void help_ask(const struct compiled *c, const struct help_question *q, size_t n);
#define HELP_ASK(c, q) help_ask((c), (q), ARRAY_SIZE(q))

/* files[0] is the policy; the list ends with a NULL name. As policy_load(). */
int help_load(const struct policy_file *files, struct policy **p, struct diag *d);

/* Load and compile, or fail the test with the message. */
struct compiled *help_compile_files(const struct policy_file *files, const struct policy_vars *v);
struct compiled *help_compile(const char *text, const struct policy_vars *v);

/* The message of what must fail, "" when it does not; static buffer. */
const char *help_error(const char *text, const struct policy_vars *v);

/* "" or "rx …" at a path, and who says so ("p.yaml:3: …"); static buffers. */
const char *help_perm(const struct compiled *c, const char *path);
const char *help_rule(const struct compiled *c, const char *path);

/* The verdict about "10.0.0.1:80/tcp": "allow", "deny", "hard" or "none". */
const char *help_egress(const struct compiled *c, const char *dest);
/* … and the rule, as verdict_rule_text(). */
const char *help_egress_rule(const struct compiled *c, const char *dest);

#endif
