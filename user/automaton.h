/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Patterns compiled to the automaton of bpf/egressctl.h.
 *
 * Patterns
 *	/a/b		that path and everything below it
 *	**	/x	(without the gap) x at any depth; "**" stands for any number of
 *			names, none included: /a/ ** /b covers /a/b and /a/x/y/b
 *	* ? [a-z] [!a-z] \*	within one name: any bytes, one byte, one byte of a
 *			set, a byte for itself; a leading dot is a byte like any other
 * A name is bytes: "?" and sets match one byte, never half of a promise about
 * characters. A trailing "/" or "/ **" changes nothing. "//", "." and "..",
 * "**" that is not a whole name, unclosed or empty sets, and names that are too
 * long to exist are refused.
 *
 * Unix sockets are paths too, or "@" and an abstract name: one name, in which
 * '/' is nothing special and below which there is nothing.
 *
 * Domain names are "/com/example/www" as patterns: their labels, from the end,
 * in lower case. What asks gives them as they are written, "www.example.com".
 *
 * Which rule wins
 *	The rule matched deepest in the path. At the same depth one without
 *	wildcards beats patterns; among patterns (and equal rules) the permission
 *	is what all of them allow, so the smallest wins when one is within the
 *	others. A permission of none closes what is below: inside, only rules whose
 *	part before the first name with a wildcard names the closed directory or
 *	something in it go on, and rules with permission none.
 *
 * Nothing here does I/O or keeps state outside its arguments. Paths need no NUL.
 */
#ifndef EGRESSCTL_AUTOMATON_H
#define EGRESSCTL_AUTOMATON_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/egressctl.h"

/* slots of one version: two of the largest can be live while one replaces the other */
#define AUTOMATON_MAX_SLOTS ((EG_DFA_SLOTS - EG_DFA_FIRST) / 2)
/* kinds of names that wildcards tell apart: "*a*" and "*b*" give four */
#define AUTOMATON_MAX_CLASSES EG_DFA_CLASS_MASK
/* states of the names' automaton beyond plain names */
#define AUTOMATON_MAX_NAME_SETS 32768u
/* different states of directories before they are merged */
#define AUTOMATON_MAX_DIR_STATES 131072u
/* positions looked at, half a second's work or so; ten thousand mixed rules need 3 million */
#define AUTOMATON_MAX_WORK 16000000u
/* 108 bytes of sun_path hold a NUL and 107 bytes; here with '@' for the NUL */
#define AUTOMATON_MAX_ABSTRACT 108u

enum automaton_space {
	AUTOMATON_PATHS,
	AUTOMATON_UNIX,
	AUTOMATON_DOMAIN, /* + group: what the bits mean is the caller's */
	AUTOMATON_SPACES = AUTOMATON_DOMAIN + EG_DOMAIN_GROUPS
};

struct automaton_rule {
	const char *pattern;
	uint32_t id; /* the caller's; comes back from automaton_rule_for() */
	uint8_t perm; /* EG_R … or 0: none */
	uint8_t space; /* enum automaton_space */
};

struct automaton_error {
	size_t rule; /* index in rules[]; for a limit one with which those before do not fit */
	size_t offset; /* bytes into its pattern */
	char msg[160]; /* what is wrong */
	char expected[160]; /* what would be right */
};

/* where to begin: states of the image */
struct automaton_starts {
	uint32_t path;
	uint32_t unix_path;
	uint32_t abstract;
	uint32_t domain[EG_DOMAIN_GROUPS]; /* 0: nothing is allowed */
	uint32_t names;
};

struct automaton;

/*
 * defaults: the permission where no rule applies, by space. 0 and *out
 * (automaton_free()), or with *err filled -EINVAL (a pattern), -E2BIG (a limit)
 * or -ENOMEM; *out is untouched then. Patterns may be freed afterwards.
 */
int automaton_compile(const struct automaton_rule *rules, size_t n,
		      const uint8_t defaults[AUTOMATON_SPACES], struct automaton **out,
		      struct automaton_error *err);
/* Another owner, who calls automaton_free(), too; it is never changed. Not for threads. */
struct automaton *automaton_ref(struct automaton *a);
void automaton_free(struct automaton *a);

/* The same without an image, quickly: for automaton_rule_for() alone. */
int automaton_parse(const struct automaton_rule *rules, size_t n,
		    const uint8_t defaults[AUTOMATON_SPACES], struct automaton **out,
		    struct automaton_error *err);

/*
 * The image: *n slots that may be moved to any place of the kernel's array with
 * automaton_relocate(). Owned by `a`. Slot 0 stays free, so that no state is 0.
 */
const struct eg_dfa_slot *automaton_image(const struct automaton *a, uint32_t *n);
const struct automaton_starts *automaton_starts(const struct automaton *a);

/*
 * Copy an image to dst, which is slot number `offset` of the kernel's array.
 * Every one of the n slots is written, free ones too. States of the image are
 * translated with automaton_relocate_state(); 0 stays 0.
 */
void automaton_relocate(struct eg_dfa_slot *dst, const struct eg_dfa_slot *image, uint32_t n,
			uint32_t offset);
uint32_t automaton_relocate_state(uint32_t state, uint32_t offset);

/*
 * The state of an absolute path ("/", "/a/b"), of a unix socket's name or of a
 * domain name ("www.example.com", "" for the root), in an image or (starts
 * relocated) in the kernel's array. What is not such a name ("a", "//", "/a/";
 * ".com", "com."; a name over EG_NAME_MAX) gives 0: nothing is allowed.
 */
uint32_t automaton_state(const struct eg_dfa_slot *slots, const struct automaton_starts *starts,
			 enum automaton_space space, const char *path, size_t len);

/* Permission bits by the automaton. */
uint8_t automaton_perm(const struct automaton *a, enum automaton_space space, const char *path,
		       size_t len);

/*
 * The rule that decides, found in the rules themselves and not in the automaton:
 * true and its id, or false when it is the default or no path. *perm is what
 * automaton_perm() says. Where several rules only together give the permission,
 * the first of them is named.
 */
bool automaton_rule_for(const struct automaton *a, enum automaton_space space, const char *path,
			size_t len, uint32_t *id, uint8_t *perm);

/* For `egressctl` and tests: sizes of what was built. */
struct automaton_stats {
	uint32_t slots; /* in the image */
	uint32_t used; /* of them not free */
	uint32_t name_states;
	uint32_t dir_states; /* after merging */
	uint32_t classes;
};
void automaton_stats(const struct automaton *a, struct automaton_stats *st);

#endif
