// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Numbers that go on from boot to boot. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "state.h"
#include "util.h"

#define NAME "last"
#define WRITERS 4
#define NUMBERS 200

static char dir[] = "/tmp/state_test.XXXXXX";
static int fd = -1;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlinkat(fd, NAME, 0);
	(void)close(fd);
	return rmdir(dir);
}

static void only_grows(void **state)
{
	(void)state;
	assert_int_equal(state_kept(fd, NAME), 0);
	assert_int_equal(state_keep(fd, NAME, 9), 0);
	assert_int_equal(state_kept(fd, NAME), 9);
	assert_int_equal(state_keep(fd, NAME, 10), 0);
	assert_int_equal(state_keep(fd, NAME, 3), 0);
	assert_int_equal(state_kept(fd, NAME), 10);
}

static void write_some(uint64_t first)
{
	for (uint64_t i = 0; i < NUMBERS; i++)
		if (state_keep(fd, NAME, first + i * WRITERS) ||
		    state_kept(fd, NAME) < first + i * WRITERS)
			_exit(1);
	_exit(0);
}

/* A run without a service and the service itself: the largest one is there at the end. */
static void several_writers(void **state)
{
	int status;

	(void)state;
	for (unsigned int i = 0; i < WRITERS; i++)
		if (!fork())
			write_some(100 + i);
	for (unsigned int i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(state_kept(fd, NAME), 100 + NUMBERS * WRITERS - 1);
}

/* What is no number counts as none, and a link is not followed. */
static void something_else_there(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(fd, NAME, 0), 0);
	assert_int_equal(symlinkat("elsewhere", fd, NAME), 0);
	assert_int_equal(state_kept(fd, NAME), 0);
	assert_true(state_keep(fd, NAME, 1) < 0);
	assert_int_equal(unlinkat(fd, NAME, 0), 0);
	assert_int_equal(mkdirat(fd, NAME, 0700), 0);
	assert_int_equal(state_kept(fd, NAME), 0);
	assert_int_equal(unlinkat(fd, NAME, AT_REMOVEDIR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_grows), cmocka_unit_test(several_writers),
		cmocka_unit_test(something_else_there),
	};

	return cmocka_run_group_tests_name("state", tests, set_up, tear_down);
}
