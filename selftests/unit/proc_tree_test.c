/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Descendants, in small and in as many as a host has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proc_tree.h"
#include "util.h"

#define MANY 200000

static bool in_tree(const struct tree_process *all, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].pid == pid)
			return all[i].in_tree;
	fail_msg("no process %d", pid);
	return false;
}

static void test_family(void **state)
{
	struct tree_process all[] = {
		{ 1, 0, true }, { 9, 1, true }, { 5, 9, false },  { 7, 5, false }, { 3, 7, false },
		{ 8, 1, true }, { 4, 6, false }, { 2, 4, false },
		{ 20, 21, true }, { 21, 20, true },
	};
	const pid_t roots[] = { 5, 6 };
	static const struct {
		pid_t pid;
		bool in;
	} want[] = {
		{ 1, false }, { 9, false }, { 5, true }, { 7, true },	{ 3, true },
		{ 8, false }, { 4, true },  { 2, true }, { 20, false }, { 21, false },
	};

	(void)state;
	assert_int_equal(proc_tree_mark(all, ARRAY_SIZE(all), roots, ARRAY_SIZE(roots)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(in_tree(all, ARRAY_SIZE(all), want[i].pid), want[i].in);
	assert_int_equal(proc_tree_mark(NULL, 0, roots, ARRAY_SIZE(roots)), 0);
}

/* A ring, which numbers that are used again while they are read can make. */
static void test_ring(void **state)
{
	struct tree_process all[] = { { 2, 4, false }, { 3, 2, false }, { 4, 3, false } };
	const pid_t root = 3;

	(void)state;
	assert_int_equal(proc_tree_mark(all, ARRAY_SIZE(all), &root, 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_true(all[i].in_tree);
}

/* A line of processes, the youngest first: comparing each with each takes hours. */
static void test_line(void **state)
{
	struct tree_process *all = calloc(MANY, sizeof(*all));
	const pid_t root = 1;

	(void)state;
	assert_non_null(all);
	for (pid_t i = 0; i < MANY; i++)
		all[i] = (struct tree_process){ .pid = MANY - i, .parent = MANY - i - 1 };
	assert_int_equal(proc_tree_mark(all, MANY, &root, 1), 0);
	for (size_t i = 0; i < MANY; i++)
		assert_true(all[i].in_tree);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
