/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "slow_match.h"

#include <string.h>

#define MAX_NAMES 2100

struct text {
	const char *s;
	size_t n;
};

struct names {
	struct text v[MAX_NAMES];
	size_t n;
};

static bool in_set(struct text p, size_t *used, unsigned char c)
{
	size_t i = 1;
	bool negate = false, found = false;

	if (p.s[i] == '!' || p.s[i] == '^') {
		negate = true;
		i++;
	}
	for (bool first = true; first || p.s[i] != ']'; first = false) {
		unsigned char lo, hi;

		if (p.s[i] == '\\')
			i++;
		lo = hi = (unsigned char)p.s[i++];
		if (p.s[i] == '-' && p.s[i + 1] != ']') {
			i++;
			if (p.s[i] == '\\')
				i++;
			hi = (unsigned char)p.s[i++];
		}
		found = found || (c >= lo && c <= hi);
	}
	*used = i + 1;
	return found != negate;
}

static bool match_name(struct text p, struct text s)
{
	size_t used;

	if (!p.n)
		return !s.n;
	switch (p.s[0]) {
	case '*':
		for (size_t skip = 0; skip <= s.n; skip++)
			if (match_name((struct text){ p.s + 1, p.n - 1 },
				       (struct text){ s.s + skip, s.n - skip }))
				return true;
		return false;
	case '?':
		used = 1;
		break;
	case '[':
		if (!s.n || !in_set(p, &used, (unsigned char)s.s[0]))
			return false;
		break;
	case '\\':
		used = 2;
		if (!s.n || p.s[1] != s.s[0])
			return false;
		break;
	default:
		used = 1;
		if (!s.n || p.s[0] != s.s[0])
			return false;
	}
	return s.n && match_name((struct text){ p.s + used, p.n - used },
				 (struct text){ s.s + 1, s.n - 1 });
}

static bool is_wild(struct text p)
{
	for (size_t i = 0; i < p.n; i++) {
		if (p.s[i] == '\\')
			i++;
		else if (strchr("*?[", p.s[i]))
			return true;
	}
	return false;
}

static bool is_stars(struct text p)
{
	return p.n == 2 && !memcmp(p.s, "**", 2);
}

static void split(const char *s, size_t n, struct names *out)
{
	out->n = 0;
	for (size_t i = 0, end; i < n; i = end + 1) {
		for (end = i; end < n && s[end] != '/';)
			end++;
		if (end > i)
			out->v[out->n++] = (struct text){ s + i, end - i };
	}
}

static bool match_names(const struct text *p, size_t np, const struct text *s, size_t ns)
{
	if (!np)
		return !ns;
	if (is_stars(*p))
		return match_names(p + 1, np - 1, s, ns) ||
		       (ns && match_names(p, np, s + 1, ns - 1));
	return ns && match_name(*p, *s) && match_names(p + 1, np - 1, s + 1, ns - 1);
}

static void split_rule(const struct automaton_rule *r, struct names *out)
{
	if (r->pattern[0] == '@' && r->space == AUTOMATON_UNIX) {
		out->v[0] = (struct text){ r->pattern, strlen(r->pattern) };
		out->n = 1;
		return;
	}
	split(r->pattern, strlen(r->pattern), out);
	while (out->n && is_stars(out->v[out->n - 1]))
		out->n--;
}

/* The names before the first with a wildcard name this directory or something in it. */
static bool reaches_into(const struct names *rule, const struct text *dir, size_t depth)
{
	if (rule->n < depth)
		return false;
	for (size_t i = 0; i < depth; i++)
		if (is_wild(rule->v[i]) || !match_name(rule->v[i], dir[i]))
			return false;
	return true;
}

uint8_t slow_match(const struct automaton_rule *rules, size_t n,
		   const uint8_t defaults[AUTOMATON_SPACES], enum automaton_space space,
		   const char *path, size_t len)
{
	static struct names at, rule;
	static bool closed[65536];
	bool abstract = space == AUTOMATON_UNIX && len && path[0] == '@';
	uint8_t perm = defaults[space];

	memset(closed, 0, n * sizeof(*closed));
	if (abstract) {
		at.v[0] = (struct text){ path, len };
		at.n = 1;
	} else {
		split(path, len, &at);
	}
	for (size_t depth = 0; depth <= at.n; depth++) {
		uint8_t literal = 0xff, pattern = 0xff;

		for (size_t i = 0; i < n; i++) {
			bool wild = false;

			if (closed[i] || rules[i].space != space ||
			    (rules[i].pattern[0] == '@') != abstract)
				continue;
			split_rule(&rules[i], &rule);
			if (!match_names(rule.v, rule.n, at.v, depth))
				continue;
			for (size_t k = 0; k < rule.n; k++)
				wild = wild || is_wild(rule.v[k]);
			if (wild)
				pattern &= rules[i].perm;
			else
				literal &= rules[i].perm;
		}
		if (literal == 0xff && pattern == 0xff)
			continue;
		perm = literal != 0xff ? literal : pattern;
		for (size_t i = 0; i < n && !perm; i++) {
			split_rule(&rules[i], &rule);
			if (rules[i].perm && !reaches_into(&rule, at.v, depth))
				closed[i] = true;
		}
	}
	return perm;
}
