// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Patterns of cgroups: what the kernel and egressd find alike, beside what fnmatch() says. */
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/types.h>

#include "../../bpf/pattern.h"

static bool matches(const char *pattern, const char *path)
{
	struct eg_pattern p = { .len = strlen(pattern), .whole = strchr(pattern, '/') != NULL };

	memcpy(p.text, pattern, p.len);
	return eg_glob_matches(&p, path, strlen(path));
}

static void what_matches(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool is;
	} rows[] = {
		{ "/system.slice/docker-*.scope", "/system.slice/docker-ab.scope", true },
		{ "/system.slice/docker-*.scope", "/system.slice/docker-.scope", true },
		{ "/system.slice/docker-*.scope", "/system.slice/docker-ab.scope/x", false },
		{ "/system.slice/docker-*.scope", "/system.slice/docker-a/b.scope", false },
		{ "/system.slice/docker-*.scope", "/a/system.slice/docker-ab.scope", false },
		{ "ci-*.service", "/system.slice/ci-1.service", true },
		{ "ci-*.service", "/ci-1.service", true },
		{ "ci-*.service", "/ci-1.service/below", false },
		{ "ci-*.service", "/ci-1.service.d", false },
		{ "/*/a", "/b/a", true },
		{ "/*/a", "/b/c/a", false },
		{ "/a?b", "/a/b", false },
		{ "/a?b", "/acb", true },
		{ "*b*b", "/abab", true },
		{ "*b*c", "/abab", false },
		/* systemd escapes with it */
		{ "/dev-a\\x2db*", "/dev-a\\x2db1", true },
		{ "/a", "/a", true },
		{ "/a", "/ab", false },
		{ "/ab", "/a", false },
		{ "/a*", "/a", true },
		{ "/**", "/a", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (matches(rows[i].pattern, rows[i].path) != rows[i].is)
			fail_msg("%s and %s", rows[i].pattern, rows[i].path);
}

static void random_text(char *buf, size_t max, const char *of)
{
	size_t n = (size_t)rand() % max, k = strlen(of);

	buf[0] = '/';
	for (size_t i = 0; i < n; i++)
		buf[1 + i] = of[(size_t)rand() % k];
	buf[1 + n] = 0;
}

static void as_fnmatch_says(void **state)
{
	char pattern[16], path[24];
	int yes = 0;

	(void)state;
	srand(7);
	for (int i = 0; i < 300000; i++) {
		random_text(pattern, 10, "ab/*?");
		random_text(path, 14, "aabb/");
		if (matches(pattern, path) != !fnmatch(pattern, path, FNM_PATHNAME | FNM_NOESCAPE))
			fail_msg("%s and %s", pattern, path);
		yes += matches(pattern, path);
	}
	assert_true(yes > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_matches),
		cmocka_unit_test(as_fnmatch_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
