/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Patterns of automaton.h as text: what in them is a path, and paths as patterns. */
#include "compile_int.h"

static bool has_wildcard(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\\')
			i++;
		else if (strchr("*?[", s[i]))
			return true;
	}
	return false;
}

char *comp_literal_part(const char *pattern, const char **rest)
{
	char *out = malloc(strlen(pattern) + 2), *o = out;
	size_t len;

	while (out && *pattern) {
		len = strcspn(pattern + 1, "/") + 1;
		if (has_wildcard(pattern, len))
			break;
		for (size_t i = 0; i < len && !(len == 1); i++) {
			if (pattern[i] == '\\')
				i++;
			*o++ = pattern[i];
		}
		pattern += len;
	}
	if (out) {
		if (o == out && !*pattern)
			*o++ = '/';
		*o = '\0';
	}
	*rest = pattern;
	return out;
}

char *comp_quoted(const char *path, const char *rest)
{
	char *out = malloc(2 * strlen(path) + strlen(rest) + 1), *o = out;

	if (!out)
		return NULL;
	/* "/" in front of a rest would double its slash */
	for (; *path && !(str_eq(path, "/") && *rest); path++) {
		if (strchr("*?[]\\", *path))
			*o++ = '\\';
		*o++ = *path;
	}
	(void)strcpy(o, rest);
	return out;
}

char *comp_own_proc(char *pattern)
{
	const char *name, *end;
	size_t len;
	char *out;

	if (!pattern || !str_starts(pattern, "/proc/"))
		return pattern;
	name = pattern + strlen("/proc/");
	len = strcspn(name, "/");
	end = name + len;
	if (!len || (strspn(name, "0123456789") != len && strncmp(name, "thread-self", len)))
		return pattern;
	if (strspn(name, "0123456789") != len && len != strlen("thread-self"))
		return pattern;
	if (asprintf(&out, "/proc/self%s", end) < 0)
		out = NULL;
	free(pattern);
	return out;
}
