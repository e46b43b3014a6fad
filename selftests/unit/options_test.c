// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Command lines: what is taken, what is refused and with which words, what help says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diag.h"
#include "options.h"
#include "util.h"

struct got {
	bool json, follow;
	const char *name;
	const char *policies[OPTION_LIST_MAX];
	size_t npolicies;
	uint64_t n;
};

static int parse_n(void *into, const char *value, struct diag *d)
{
	struct got *g = into;

	return parse_u64(value, 1, 9, &g->n) ? diag_set(d, -ERANGE, "-n: '%s'", value) : 0;
}

#define AT(field) .at = offsetof(struct got, field)

static const struct option_row rows[] = {
	{ "-p --policy", "POLICY", "one of\nmany", OPTION_LIST, AT(policies),
	  .count = offsetof(struct got, npolicies) },
	{ "--name", "NAME", "what to call it", OPTION_TEXT, AT(name) },
	{ "-n", "N", "a number", OPTION_PARSED, .parse = parse_n },
	{}
};

static const struct option_row more[] = {
	{ "-f --follow", NULL, "go on", OPTION_FLAG, AT(follow) },
	{ "--json", NULL, "as JSON", OPTION_FLAG, AT(json) },
	{}
};

static const struct command_line line = {
	.name = "egressctl x", .args = "[OPTION]... [WORD]...\n-f", .about = "What it does.\n",
	.options = rows, .more = more, .end = "The end.\n", .max = OPTIONS_ANY,
};
static const struct command_line wrapper = {
	.name = "egressctl w", .args = "", .about = "", .options = more, .wraps = true,
	.max = OPTIONS_ANY,
};

#define MAX_ARGS 80

/* "a b c": how many words are left, joined by '|' in `left`. */
static int read_line(const struct command_line *c, const char *text, struct got *g, char *left,
		     struct diag *d)
{
	char *argv[MAX_ARGS] = { (char *)"x" }, **words, *copy = strdup(text), *save = NULL;
	int argc = 1, n;
	bool help;

	assert_non_null(copy);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		assert_true(argc < MAX_ARGS - 1);
		argv[argc++] = w;
	}
	*g = (struct got){};
	*left = '\0';
	n = options_read(c, g, argc, argv, &words, &help, d);
	for (int i = 0; n >= 0 && i < n; i++)
		strcat(strcat(left, i ? "|" : ""), words[i]);
	if (n >= 0 && !help)
		assert_null(words[n]);
	/* what is stored points into the line */
	g->name = g->name ? strcpy(left + strlen(left) + 1, g->name) : NULL;
	free(copy);
	return help ? 1000 : n;
}

static void what_is_taken(void **state)
{
	static const struct {
		const struct command_line *c;
		const char *text, *left, *name;
		size_t npolicies;
		bool json, follow;
		uint64_t n;
	} cases[] = {
		{ &line, "", "", NULL, 0, false, false, 0 },
		{ &line, "a b", "a|b", NULL, 0, false, false, 0 },
		{ &line, "a --json b -f", "a|b", NULL, 0, true, true, 0 },
		{ &line, "-p x -py --policy z --policy=", "", NULL, 4, false, false, 0 },
		{ &line, "--name=a=b --name c -n5", "", "c", 0, false, false, 5 },
		{ &line, "--name --json", "", "--json", 0, false, false, 0 },
		{ &line, "a -- --json -f --", "a|--json|-f|--", NULL, 0, false, false, 0 },
		{ &line, "- a", "-|a", NULL, 0, false, false, 0 },
		{ &wrapper, "-f cmd --json", "cmd|--json", NULL, 0, false, true, 0 },
		{ &wrapper, "--json -- --json -f", "--json|-f", NULL, 0, true, false, 0 },
		{ &wrapper, "--json --", "", NULL, 0, true, false, 0 },
		{ &wrapper, "", "", NULL, 0, false, false, 0 },
	};
	char left[256];
	struct got g;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diag d = {};
		int n = read_line(cases[i].c, cases[i].text, &g, left, &d);

		assert_true(n >= 0 && n < 1000);
		assert_string_equal(left, cases[i].left);
		assert_int_equal(g.npolicies, cases[i].npolicies);
		assert_int_equal(g.json, cases[i].json);
		assert_int_equal(g.follow, cases[i].follow);
		assert_int_equal(g.n, cases[i].n);
		if (cases[i].name)
			assert_string_equal(g.name, cases[i].name);
		else
			assert_null(g.name);
	}
	assert_int_equal(read_line(&line, "a --help --nonsense", &g, left, &(struct diag){}), 1000);
	assert_int_equal(read_line(&wrapper, "cmd --help", &g, left, &(struct diag){}), 2);
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "--jsno", "unknown option '--jsno'; the nearest is --json" },
		{ "--polciy=x", "unknown option '--polciy=x'; the nearest is --policy" },
		{ "--zzzzzzzzzz", "unknown option '--zzzzzzzzzz'" },
		{ "--hlep", "unknown option '--hlep'; the nearest is --help" },
		{ "-q", "unknown option '-q'" },
		{ "-fx", "unknown option '-fx'" },
		{ "--json=1", "option '--json' takes no value" },
		{ "--name", "option '--name' needs a value: NAME" },
		{ "-p", "option '-p' needs a value: POLICY" },
		{ "--\x1b[2J", "unknown option '--\\x1b[2J'" },
		{ "-n 77", "-n: '77'" },
	};
	char text[512] = "", left[256];
	struct got g;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diag d = {};

		assert_true(read_line(&line, cases[i].text, &g, left, &d) < 0);
		assert_string_equal(d.msg, cases[i].said);
	}
	for (int i = 0; i <= OPTION_LIST_MAX; i++)
		strcat(text, "-p x ");
	assert_int_equal(read_line(&line, text, &g, left, &(struct diag){}), -EINVAL);
}

static void help(void **state)
{
	char buf[1024];
	FILE *f = fmemopen(buf, sizeof(buf), "w");

	(void)state;
	assert_non_null(f);
	options_help(&line, f);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(buf, "Usage: egressctl x [OPTION]... [WORD]...\n"
				 "       egressctl x -f\n\n"
				 "What it does.\n\n"
				 "  -p, --policy POLICY       one of\n"
				 "                            many\n"
				 "      --name NAME           what to call it\n"
				 "  -n N                      a number\n"
				 "  -f, --follow              go on\n"
				 "      --json                as JSON\n"
				 "  -h, --help                print this\n\n"
				 "The end.\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken), cmocka_unit_test(what_is_refused),
		cmocka_unit_test(help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
