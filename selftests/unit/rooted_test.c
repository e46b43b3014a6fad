/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is looked up where a stranger decides how long an answer takes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "diag.h"
#include "policy_vars.h"
#include "rooted.h"
#include "util.h"

static char top[] = "/tmp/rooted-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	char path[64];

	(void)state;
	if (!mkdtemp(top))
		return -1;
	snprintf(path, sizeof(path), "%s/etc", top);
	assert_return_code(mkdir(path, 0755), errno);
	snprintf(path, sizeof(path), "%s/work", top);
	assert_return_code(mkdir(path, 0755), errno);
	snprintf(path, sizeof(path), "%s/out", top);
	/* out of the root: it is followed inside of it */
	assert_return_code(symlink("../../work", path), errno);
	write_file("etc/passwd", "root:x:0:0::/root:/bin/sh\n\nu:x:1234:1234::/home/u:/bin/sh\n");
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "etc/passwd", "out", "work", "etc", "" };
	char path[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		(void)remove(path);
	}
	return 0;
}

static struct rooted begin(void)
{
	struct rooted r = { .fd = -1, .sock = -1, .pid = getpid() };

	assert_int_equal(rooted_look(&r, -1, top), 0);
	assert_true(r.fd >= 0);
	return r;
}

static void test_answers(void **state)
{
	struct rooted r = begin();
	struct policy_vars v;
	char buf[64];
	int n;

	(void)state;
	n = rooted_readlink(&r, "/out", buf, sizeof(buf));
	assert_int_equal(n, strlen("../../work"));
	assert_memory_equal(buf, "../../work", (size_t)n);
	assert_int_equal(rooted_readlink(&r, "/work", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(rooted_readlink(&r, "/nothing", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(rooted_look_dir(&r, "/etc/passwd"), -ENOTDIR);
	assert_int_equal(rooted_vars(&v, &r, "/work", 1234, NULL), 0);
	assert_string_equal(v.workdir, "/work");
	assert_string_equal(v.home, "/home/u");
	policy_vars_clear(&v);
	assert_int_equal(rooted_check(&r, NULL), 0);
	rooted_close(&r);
}

/* Who has a write lease on a file is asked before others open it, and has 45 s to answer. */
static void test_lease(void **state)
{
	struct rooted r = begin();
	struct policy_vars v;
	char path[64];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/etc/passwd", top);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_return_code(fd, errno);
	(void)signal(SIGIO, SIG_IGN);
	if (fcntl(fd, F_SETLEASE, F_WRLCK)) {
		close(fd);
		rooted_close(&r);
		print_message("no leases on this filesystem\n");
		skip();
	}
	assert_int_equal(rooted_vars(&v, &r, "/work", 1234, NULL), 0);
	assert_null(v.home);
	assert_string_equal(v.workdir, "/work");
	policy_vars_clear(&v);
	close(fd);
	rooted_close(&r);
}

/* Who looks hangs: nobody waits for ever, and nothing is made of what was found so far. */
static void test_hung(void **state)
{
	struct rooted r = begin();
	struct policy_vars v;
	struct diag d = {};
	char buf[64];

	(void)state;
	assert_return_code(kill(r.looker, SIGSTOP), errno);
	r.left_ms = 1;
	assert_int_equal(rooted_readlink(&r, "/out", buf, sizeof(buf)), -ETIMEDOUT);
	assert_int_equal(rooted_vars(&v, &r, "/work", 1234, &d), -ETIMEDOUT);
	assert_non_null(strstr(d.msg, "does not answer"));
	assert_int_equal(rooted_check(&r, NULL), -ETIMEDOUT);
	rooted_close(&r);
}

static void test_killed(void **state)
{
	struct rooted r = begin();
	char buf[64];

	(void)state;
	assert_return_code(kill(r.looker, SIGKILL), errno);
	assert_int_equal(rooted_readlink(&r, "/out", buf, sizeof(buf)), -ETIMEDOUT);
	assert_int_equal(rooted_check(&r, NULL), -ETIMEDOUT);
	rooted_close(&r);
}

/* A password file of which nobody sees the end. */
static void test_endless(void **state)
{
	struct rooted r;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/etc/passwd", top);
	assert_return_code(truncate(path, 1ll << 40), errno);
	r = begin();
	assert_null(rooted_look_home(&r, 4321));
	assert_int_equal(rooted_check(&r, NULL), 0);
	rooted_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers), cmocka_unit_test(test_lease),
		cmocka_unit_test(test_hung),	cmocka_unit_test(test_killed),
		cmocka_unit_test(test_endless),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
