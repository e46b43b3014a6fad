/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Test programs in one process: suite SECONDS NAME…. The agent is loaded once, which an emulator
 * takes longer for than for most tests; each of them runs in a child, with sandboxes and
 * versions of its own. Prints the marks between them that selftests/run waits for. `suite
 * --list`: the names.
 */
#include "harness_int.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "util.h"

#define MARK "@@egressctl" /* MARK of selftests/run */
#define KILL_MS 5000 /* between asking a test that hangs and killing it */

#define SUITE(name) int suite_##name(int argc, char **argv);
#include "suite_list.h"
#undef SUITE

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} tests[] = {
#define SUITE(name) { #name, suite_##name },
#include "suite_list.h"
#undef SUITE
};

/* Whatever hangs: all that it has started, too. */
static void end_group(pid_t pid, struct pollfd *p)
{
	(void)kill(-pid, SIGTERM);
	if (poll(p, 1, KILL_MS) == 0)
		(void)kill(-pid, SIGKILL);
}

/* As timeout(1) in the script that runs the others. */
static int run_one(size_t at, int seconds)
{
	char *argv[] = { (char *)tests[at].name, NULL };
	struct pollfd p = { .events = POLLIN };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = must(fork());
	if (!pid) {
		(void)setpgid(0, 0);
		suite_child();
		exit(tests[at].run(1, argv));
	}
	p.fd = must(pidfd_open(pid, 0));
	if (poll(&p, 1, seconds * 1000) == 0)
		end_group(pid, &p);
	close(p.fd);
	must(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int find(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		if (str_eq(tests[i].name, name))
			return (int)i;
	return -1;
}

int main(int argc, char **argv)
{
	int i, at, seconds;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && str_eq(argv[1], "--list")) {
		for (size_t k = 0; k < ARRAY_SIZE(tests); k++)
			printf("%s\n", tests[k].name);
		return 0;
	}
	if (argc < 3 || (seconds = atoi(argv[1])) <= 0) {
		fprintf(stderr, "usage: suite --list | SECONDS NAME...\n");
		return 2;
	}
	suite_begin();
	for (i = 2; i < argc; i++) {
		int status = 127;

		printf("\n" MARK " start %s\n", argv[i]);
		at = find(argv[i]);
		if (at >= 0)
			status = run_one((size_t)at, seconds);
		suite_sweep();
		printf("\n" MARK " end %s %d\n", argv[i], status);
	}
	suite_end();
	return 0;
}
