/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What automaton.h promises, sentence by sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "automaton_help.h"

#define R EG_R
#define W EG_W
#define X EG_X
#define C EG_C
#define RX (EG_R | EG_X)
#define RW (EG_R | EG_W)
#define ALL EG_PERM_ALL

static const uint8_t no_default[AUTOMATON_SPACES];

/* ---- which permission is in force -------------------------------------------------- */

struct ask {
	const char *path;
	uint8_t perm;
	int rule; /* index of the deciding rule, -1: the default */
};

struct semantics {
	const char *what;
	uint8_t dflt;
	struct {
		const char *pattern;
		uint8_t perm;
	} rule[8];
	struct ask ask[12];
};

static const struct semantics table[] = {
	{ "a rule covers the path and all below, not its neighbours",
	  0,
	  { { "/secret", R } },
	  { { "/secret", R, 0 },
	    { "/secret/a", R, 0 },
	    { "/secret/a/b/c", R, 0 },
	    { "/secret2", 0, -1 },
	    { "/secre", 0, -1 },
	    { "/", 0, -1 },
	    { "/a/secret", 0, -1 },
	    { "/secret2/secret", 0, -1 } } },
	{ "the default is everywhere else, and not a rule that closes",
	  R,
	  { { "/a", RW } },
	  { { "/", R, -1 }, { "/b", R, -1 }, { "/a", RW, 0 } } },
	{ "patterns are alive under a default of none",
	  0,
	  { { "**/x", R } },
	  { { "/a/b/x", R, 0 }, { "/x", R, 0 }, { "/a/b", 0, -1 } } },
	{ "the deepest match wins, whatever it allows",
	  0,
	  { { "/a", ALL }, { "/a/b", 0 }, { "/a/b/c", R } },
	  { { "/a/x", ALL, 0 },
	    { "/a/b", 0, 1 },
	    { "/a/b/x", 0, 1 },
	    { "/a/b/c", R, 2 },
	    { "/a/b/c/d", R, 2 } } },
	{ "a trailing /** adds nothing, a trailing / neither",
	  0,
	  { { "/a/**", R }, { "/b/", W }, { "/c/**/**", X }, { "/d/*/**", C } },
	  { { "/a", R, 0 },
	    { "/a/x", R, 0 },
	    { "/b", W, 1 },
	    { "/b/x", W, 1 },
	    { "/c", X, 2 },
	    { "/d", 0, -1 },
	    { "/d/x", C, 3 },
	    { "/d/x/y", C, 3 } } },
	{ "/** is / and with the root everything",
	  0,
	  { { "/**", R }, { "/a", W } },
	  { { "/", R, 0 }, { "/x/y", R, 0 }, { "/a", W, 1 } } },
	{ "** alone is the root too", 0, { { "**", R } }, { { "/", R, 0 }, { "/x", R, 0 } } },
	{ "**/ is any depth, none included",
	  0,
	  { { "**/.env", R } },
	  { { "/.env", R, 0 },
	    { "/a/.env", R, 0 },
	    { "/a/b/c/.env/x", R, 0 },
	    { "/a/.env2", 0, -1 },
	    { "/a/x.env", 0, -1 },
	    { "/.en", 0, -1 } } },
	{ "/**/ in the middle is any number of names, none included",
	  0,
	  { { "/a/**/b", R } },
	  { { "/a/b", R, 0 },
	    { "/a/x/b", R, 0 },
	    { "/a/x/y/b/z", R, 0 },
	    { "/a/x", 0, -1 },
	    { "/b", 0, -1 },
	    { "/a/bb", 0, -1 } } },
	{ "* stays within one name and matches leading dots",
	  0,
	  { { "/a/*/c", R }, { "/h/*", W } },
	  { { "/a/b/c", R, 0 },
	    { "/a/.b/c", R, 0 },
	    { "/a/c", 0, -1 },
	    { "/a/b/b/c", 0, -1 },
	    { "/h/.x", W, 1 },
	    { "/h", 0, -1 } } },
	{ "* matches nothing too, but a name is never empty",
	  0,
	  { { "/a/x*", R }, { "/b/*", W } },
	  { { "/a/x", R, 0 }, { "/a/xy", R, 0 }, { "/a/yx", 0, -1 }, { "/b/x", W, 1 } } },
	{ "file types",
	  0,
	  { { "/x/*.pem", R } },
	  { { "/x/a.pem", R, 0 },
	    { "/x/.pem", R, 0 },
	    { "/x/a.pem.bak", 0, -1 },
	    { "/x/a.pe", 0, -1 },
	    { "/x/a.pempem", 0, -1 },
	    { "/x/a.p.pem", R, 0 },
	    { "/x/d/a.pem", 0, -1 } } },
	{ "? is one byte, whatever it is part of",
	  0,
	  { { "/a/?", R }, { "/b/??", W } },
	  { { "/a/x", R, 0 },
	    { "/a/xx", 0, -1 },
	    { "/a/\xc3\xa4", 0, -1 },
	    { "/b/\xc3\xa4", W, 1 },
	    { "/a/\n", R, 0 },
	    { "/a/\xff", R, 0 } } },
	{ "sets",
	  0,
	  { { "/a/[a-c]", R },
	    { "/b/[!a-c]", W },
	    { "/c/[]x]", X },
	    { "/d/[^\\]]", C },
	    { "/e/[a-]", R },
	    { "/f/[*?]", R } },
	  { { "/a/b", R, 0 },
	    { "/a/d", 0, -1 },
	    { "/b/d", W, 1 },
	    { "/b/b", 0, -1 },
	    { "/b/\xff", W, 1 },
	    { "/c/]", X, 2 },
	    { "/d/]", 0, -1 },
	    { "/d/a", C, 3 },
	    { "/e/-", R, 4 },
	    { "/f/*", R, 5 },
	    { "/f/a", 0, -1 } } },
	{ "a backslash takes a wildcard's meaning",
	  0,
	  { { "/a/\\*", R }, { "/a/\\[x]", W }, { "/a/\\\\", X }, { "/a/\\?", C } },
	  { { "/a/*", R, 0 },
	    { "/a/x", 0, -1 },
	    { "/a/[x]", W, 1 },
	    { "/a/\\", X, 2 },
	    { "/a/?", C, 3 } } },
	{ "names are bytes",
	  0,
	  { { "/a\nb", R }, { "/\xff\xfe", W }, { "/ ", X } },
	  { { "/a\nb", R, 0 },
	    { "/a", 0, -1 },
	    { "/\xff\xfe/x", W, 1 },
	    { "/\xff", 0, -1 },
	    { "/ ", X, 2 } } },
	{ "at the same depth a literal beats a pattern",
	  0,
	  { { "/a/*", 0 }, { "/a/b", RW }, { "**/c", RW }, { "/a/c", R } },
	  { { "/a/b", RW, 1 }, { "/a/x", 0, 0 }, { "/a/c", R, 3 } } },
	{ "an escaped wildcard is literal, too",
	  0,
	  { { "/a/?", 0 }, { "/a/\\*", R } },
	  { { "/a/*", R, 1 }, { "/a/b", 0, 0 } } },
	{ "then the smaller permission wins",
	  0,
	  { { "/a/*", RW }, { "**/b", R }, { "/a/b*", ALL } },
	  { { "/a/b", R, 1 }, { "/a/x", RW, 0 }, { "/a/bx", RW, 0 }, { "/c/b", R, 1 } } },
	{ "where none is the smaller one, what all of them allow",
	  0,
	  { { "/a/*", RX }, { "/a/b*", RW }, { "/c/*", R }, { "/c/b*", W } },
	  { { "/a/b", R, 0 }, { "/a/c", RX, 0 }, { "/c/b", 0, 2 }, { "/c/b/x", 0, 2 } } },
	{ "equal rules, too", 0, { { "/a", RX }, { "/a", RW } }, { { "/a", R, 0 } } },
	{ "none closes: patterns from outside do not reach in",
	  0,
	  { { "/w", ALL }, { "/w/s", 0 }, { "**/*.pub", R }, { "/w/**/x", R } },
	  { { "/w/a.pub", R, 2 },
	    { "/w/x", R, 3 },
	    { "/w/s/a.pub", 0, 1 },
	    { "/w/s/x", 0, 1 },
	    { "/w/s/d/a.pub", 0, 1 } } },
	{ "what names the closed directory or something in it opens again",
	  0,
	  { { "/w", ALL },
	    { "/w/s", 0 },
	    { "/w/s/*.pub", R },
	    { "/w/s/d", RW },
	    { "/w/s/e/**/x", X } },
	  { { "/w/s", 0, 1 },
	    { "/w/s/a.pub", R, 2 },
	    { "/w/s/b", 0, 1 },
	    { "/w/s/d/b", RW, 3 },
	    { "/w/s/e", 0, 1 },
	    { "/w/s/e/f/x", X, 4 } } },
	{ "other rules of none go on applying, closed or opened again",
	  0,
	  { { "**/.env", 0 }, { "/w", ALL }, { "/w/s", 0 }, { "/w/s/o", RW } },
	  { { "/w/.env", 0, 0 },
	    { "/w/s/.env", 0, 0 },
	    { "/w/s/o/.env", 0, 0 },
	    { "/w/s/o/x", RW, 3 } } },
	{ "patterns stay ended in what is opened again",
	  0,
	  { { "**/*.tmp", R }, { "/w/s", 0 }, { "/w/s/o", RW } },
	  { { "/w/a.tmp", R, 0 }, { "/w/s/o/a.tmp", RW, 2 } } },
	{ "a directory that a pattern closes",
	  0,
	  { { "/w", ALL }, { "**/.git", 0 }, { "**/config", R }, { "/w/.git/config", R } },
	  { { "/w/.git", 0, 1 },
	    { "/w/config", R, 2 },
	    { "/w/.git/config", R, 3 },
	    { "/w/d/.git/config", 0, 1 },
	    { "/w/.git/x/config", 0, 1 } } },
	{ "none that loses to a literal closes nothing",
	  0,
	  { { "**/.env", 0 }, { "/w/.env", R }, { "**/x", W } },
	  { { "/w/.env", R, 1 }, { "/w/.env/x", W, 2 }, { "/v/.env/x", 0, 0 } } },
	{ "deny in allow in deny in allow",
	  0,
	  { { "/a", ALL },
	    { "/a/*", 0 },
	    { "/a/b/c", RW },
	    { "/a/b/c/**/d", 0 },
	    { "/a/b/c/x/d/e", R } },
	  { { "/a", ALL, 0 },
	    { "/a/b", 0, 1 },
	    { "/a/b/c", RW, 2 },
	    { "/a/b/c/x", RW, 2 },
	    { "/a/b/c/x/d", 0, 3 },
	    { "/a/b/c/x/d/e", R, 4 },
	    { "/a/b/c/x/d/f", 0, 3 } } },
	{ "a closed root",
	  R,
	  { { "/", 0 }, { "/usr", RX }, { "**/a", R } },
	  { { "/", 0, 0 }, { "/usr/b", RX, 1 }, { "/x", 0, 0 }, { "/x/a", R, 2 } } },
	{ "prefixes of names",
	  0,
	  { { "/lo", R }, { "/lock", W }, { "/loc*", X } },
	  { { "/l", 0, -1 },
	    { "/lo", R, 0 },
	    { "/loc", X, 2 },
	    { "/lock", W, 1 },
	    { "/locks", X, 2 } } },
	{ "several stars",
	  0,
	  { { "/*a*b*", R }, { "/x*y*z", W } },
	  { { "/ab", R, 0 },
	    { "/zazbz", R, 0 },
	    { "/ba", 0, -1 },
	    { "/xyz", W, 1 },
	    { "/xyzyz", W, 1 },
	    { "/xz", 0, -1 },
	    { "/xybzc", 0, -1 } } },
	{ "what cannot be a path allows nothing",
	  ALL,
	  { { "/a", ALL } },
	  { { "", 0, -1 },
	    { "a", 0, -1 },
	    { "//", 0, -1 },
	    { "/a/", 0, -1 },
	    { "/a//b", 0, -1 } } },
};

static void check_asks(const struct automaton *a, const struct semantics *s, size_t nask,
		       enum automaton_space space)
{
	for (size_t i = 0; i < nask && s->ask[i].path; i++) {
		const struct ask *q = &s->ask[i];
		size_t len = strlen(q->path);
		uint32_t id = 0;
		uint8_t perm, by_rule;
		bool found;

		perm = automaton_perm(a, space, q->path, len);
		found = automaton_rule_for(a, space, q->path, len, &id, &by_rule);
		if (perm != q->perm || by_rule != q->perm || (found ? (int)id : -1) != q->rule)
			fail_msg("%s: %s gives %x by rule %d (%x), expected %x by %d", s->what,
				 q->path, perm, found ? (int)id : -1, by_rule, q->perm, q->rule);
	}
}

static void check_semantics(const struct semantics *s, enum automaton_space space)
{
	const uint8_t defaults[AUTOMATON_SPACES] = { s->dflt, s->dflt };
	struct automaton_rule rules[8];
	struct automaton *a;
	size_t n = 0;

	for (; n < 8 && s->rule[n].pattern; n++)
		rules[n] = (struct automaton_rule){ s->rule[n].pattern, (uint32_t)n,
						    s->rule[n].perm, (uint8_t)space };
	a = automaton_help(rules, n, defaults);
	check_asks(a, s, 12, space);
	automaton_free(a);
}

static void semantics(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		check_semantics(&table[i], AUTOMATON_PATHS);
}

/* Path sockets follow the same rules, and the two sets of rules know nothing of each other. */
static void unix_paths(void **state)
{
	static const struct automaton_rule rules[] = {
		{ "/run/a", 0, W, AUTOMATON_UNIX },
		{ "/run", 1, R, AUTOMATON_PATHS },
		{ "/@a", 2, W, AUTOMATON_UNIX },
	};
	struct automaton *a;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		check_semantics(&table[i], AUTOMATON_UNIX);
	a = automaton_help(rules, 3, no_default);
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, "/run/a", 6), W);
	assert_int_equal(automaton_perm(a, AUTOMATON_PATHS, "/run/a", 6), R);
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, "/run/b", 6), 0);
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, "/@a", 3), W);
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, "@a", 2), 0);
	automaton_free(a);
}

static void abstract_names(void **state)
{
	static const struct semantics s = { "abstract names",
					    0,
					    { { "@a", W },
					      { "@/tmp/*", W },
					      { "@x?y", W },
					      { "@s[/]t", W },
					      { "@/tmp/no", 0 },
					      { "@d*", W },
					      { "@dbus*", 0 } },
					    { { "@a", W, 0 },
					      { "@a/b", 0, -1 },
					      { "@", 0, -1 },
					      { "@/tmp/x/y", W, 1 },
					      { "@x/y", W, 2 },
					      { "@s/t", W, 3 },
					      { "@/tmp/no", 0, 4 },
					      { "@/tmp/no/", W, 1 },
					      { "@dx", W, 5 },
					      { "@dbus-1", 0, 6 },
					      { "/a", 0, -1 } } };
	static const struct automaton_rule zero = { "@b*", 0, W, AUTOMATON_UNIX };
	struct automaton *a;
	char max[AUTOMATON_MAX_ABSTRACT + 1];

	(void)state;
	check_semantics(&s, AUTOMATON_UNIX);
	a = automaton_help(&zero, 1, no_default);
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, "@b\0c", 4), W);
	memset(max, 'b', sizeof(max));
	max[0] = '@';
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, max, sizeof(max) - 1), W);
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, max, sizeof(max)), 0);
	assert_int_equal(automaton_perm(a, AUTOMATON_PATHS, "@bb", 3), 0);
	automaton_free(a);
}

static void long_names(void **state)
{
	char path[600] = "/", pattern[600] = "/";
	struct automaton_rule rules[] = { { pattern, 0, R, 0 }, { "/*z", 1, W, 0 } };
	struct automaton *a;

	(void)state;
	memset(pattern + 1, 'n', 255);
	a = automaton_help(rules, 2, no_default);
	memset(path + 1, 'n', 256);
	assert_int_equal(automaton_perm(a, 0, path, 256), R);
	assert_int_equal(automaton_perm(a, 0, path, 255), 0);
	assert_int_equal(automaton_perm(a, 0, path, 257), 0); /* no such name */
	path[255] = 'z';
	assert_int_equal(automaton_perm(a, 0, path, 256), W);
	strcpy(path + 256, "/x");
	assert_int_equal(automaton_perm(a, 0, path, 258), W);
	automaton_free(a);
}

static void deep_paths(void **state)
{
	static const struct automaton_rule rules[] = { { "**/x", 0, R, 0 },
						       { "/a/**/b/**/c", 1, W, 0 } };
	char path[EG_PATH_MAX];
	struct automaton *a = automaton_help(rules, 2, no_default);
	size_t n = 0;

	(void)state;
	for (; n + 3 < sizeof(path); n += 2)
		memcpy(path + n, "/a", 2);
	assert_int_equal(automaton_perm(a, 0, path, n), 0);
	path[n - 1] = 'x';
	assert_int_equal(automaton_perm(a, 0, path, n), R);
	path[n - 1] = 'c';
	path[7] = 'b';
	assert_int_equal(automaton_perm(a, 0, path, n), W);
	automaton_free(a);
}

static void no_rules(void **state)
{
	static const uint8_t defaults[AUTOMATON_SPACES] = { R, W };
	struct automaton *a = automaton_help(NULL, 0, defaults);
	uint32_t id, n;
	uint8_t perm;

	(void)state;
	assert_int_equal(automaton_perm(a, AUTOMATON_PATHS, "/a", 2), R);
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, "/a", 2), W);
	assert_int_equal(automaton_perm(a, AUTOMATON_UNIX, "@a", 2), W);
	assert_false(automaton_rule_for(a, AUTOMATON_PATHS, "/", 1, &id, &perm));
	automaton_free(a);
	a = automaton_help(NULL, 0, no_default);
	assert_int_equal(automaton_starts(a)->path, 0);
	(void)automaton_image(a, &n);
	assert_true(n < 1024);
	automaton_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(semantics),
		cmocka_unit_test(unix_paths),
		cmocka_unit_test(abstract_names),
		cmocka_unit_test(long_names),
		cmocka_unit_test(deep_paths),
		cmocka_unit_test(no_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
