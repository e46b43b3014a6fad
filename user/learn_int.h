/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of learn share; everything else uses learn.h. */
#ifndef LEARN_INT_H
#define LEARN_INT_H

#include <linux/types.h>

#include "../bpf/egressctl.h"
#include "event_text.h"
#include "learn.h"

/* Who did it, for a comment: a few programs by name, and how many things were touched. */
struct learn_who {
	uint32_t programs[LEARN_PROGRAMS]; /* strings of the trace */
	uint32_t nprograms;
	bool more;
	uint32_t count;
};

void learn_who_add(struct learn_who *w, uint32_t program);
void learn_who_join(struct learn_who *w, const struct learn_who *other);
/* "3 paths, by git, sh"; `what` in the singular. */
void learn_who_text(const struct learn_who *w, const struct trace *t, const char *what,
		    struct text *out);

/* All take their strings (malloc()ed), also on failure. */
int learn_add_rule(struct learned *l, enum learn_kind kind, uint8_t perm, char *text,
		   char *options, char *why);
int learn_add_question(struct learned *l, char *rule, char *why);

/*
 * learn_name.c: names that are made up anew each time (numbers of processes, times,
 * hashes, what mkstemp() makes). A pattern that stands for such a name, malloc()ed, not
 * escaped otherwise; NULL: it is an ordinary name, or nothing would be left of it.
 */
bool learn_name_random(const char *name, size_t len);
/* Adds `name` as a pattern that matches it, random parts as '*' when `fold`. */
void learn_name_pattern(struct text *t, const char *name, size_t len, bool fold);
/* Whether enough of the name is left in that pattern. */
bool learn_name_telling(const char *name, size_t len);

/* learn_where.c: what a directory is to the user who ran it */
/* Absolute, without empty names, "." and "..": as the kernel makes them, and no others. */
bool learn_path_normal(const char *path, size_t len);
/* May a rule be about everything in it? Not for those that hold everybody's things. */
bool learn_foldable(const struct learn_input *in, const char *dir);
/* A path as a policy has it: variables put back, pattern characters escaped. */
void learn_path_text(const struct learn_input *in, const char *path, size_t len, bool fold_last,
		     struct text *out);

/* learn_fold.c, learn_net.c: the two halves of learn_rules() */
int learn_paths(const struct learn_input *in, struct learned *out);
int learn_network(const struct learn_input *in, struct learned *out);

#endif
