/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Patterns of cgroups: '*' stands for any bytes and '?' for one, neither for a slash;
 * everything else is itself, a backslash too (systemd escapes with it). Compiled by the
 * kernel programs, which step through it with bpf_loop(), and by user space, which has
 * the last word.
 */
#ifndef EGRESSCTL_PATTERN_H
#define EGRESSCTL_PATTERN_H

#include "egressctl.h"

enum eg_glob_result {
	EG_GLOB_NO = 0,
	EG_GLOB_YES,
	EG_GLOB_MORE, /* not decided yet */
};

/* How far it is: a map value in the kernel, see hello.h for why. */
struct eg_glob {
	__u32 p, t; /* next byte of the pattern, of the text */
	__u32 star; /* behind the last '*'; 0: none */
	__u32 back; /* up to where in the text that one reaches */
};

/*
 * One step. Behind a mismatch only the last star reaches further: a longer match of an
 * earlier one finds nothing that the last would not. The text is at `first` of `text`;
 * `mask` tells the verifier how big that is, user space has none.
 */
static inline __attribute__((always_inline)) enum eg_glob_result
eg_glob_step(struct eg_glob *g, const struct eg_pattern *pattern, const char *text, __u32 first,
	     __u32 len, __u32 mask)
{
	__u32 p = g->p, t = g->t, plen = pattern->len;
	char c = p < plen ? pattern->text[p & (EG_PATTERN_MAX - 1)] : 0;
	char at = text[(first + t) & mask];

	if (p < plen && c == '*') {
		g->star = g->p = p + 1;
		g->back = t;
		return EG_GLOB_MORE;
	}
	if (t >= len)
		return p >= plen ? EG_GLOB_YES : EG_GLOB_NO;
	if (p < plen && (c == at || (c == '?' && at != '/'))) {
		g->p = p + 1;
		g->t = t + 1;
		return EG_GLOB_MORE;
	}
	if (!g->star || text[(first + g->back) & mask] == '/')
		return EG_GLOB_NO;
	g->p = g->star;
	g->t = g->back = g->back + 1;
	return EG_GLOB_MORE;
}

/* For user space; the path ends with a NUL. */
static inline int eg_glob_matches(const struct eg_pattern *pattern, const char *path, __u32 len)
{
	enum eg_glob_result r;
	struct eg_glob g = {};
	__u32 first = len;

	while (!pattern->whole && first && path[first - 1] != '/')
		first--;
	if (pattern->whole)
		first = 0;
	do {
		r = eg_glob_step(&g, pattern, path, first, len - first, ~0u);
	} while (r == EG_GLOB_MORE);
	return r == EG_GLOB_YES;
}

#endif
