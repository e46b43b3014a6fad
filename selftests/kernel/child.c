/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Children of a test, inside a sandbox or outside of all. As in the launcher, a
 * child waits until the parent has put it in, so nothing of `act` runs outside.
 */
#include "harness_int.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "diag.h"
#include "sandbox.h"
#include "util.h"

#define NOBODY 65534
/* the child's ends of the two pipes; out of the way of what a test counts on */
#define FD_IN 900
#define FD_OUT 901

struct child_shared {
	int result;
	int finished;
	int to_child, from_child; /* the parent's ends */
};

static int read_byte(int fd)
{
	char c;
	ssize_t n;

	do
		n = read(fd, &c, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -1;
}

static void become(enum as as)
{
	if (as == AS_USER) {
		must(setgroups(0, NULL));
		must(setresgid(NOBODY, NOBODY, NOBODY));
		must(setresuid(NOBODY, NOBODY, NOBODY));
		/* as any program a user starts: readable by its own /proc */
		must(prctl(PR_SET_DUMPABLE, 1));
	}
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
}

static void child_main(struct child_shared *shared, int in, int out, enum as as, act_fn act,
		       const void *arg)
{
	signal(SIGTERM, SIG_DFL);
	must(dup2(in, FD_IN));
	must(dup2(out, FD_OUT));
	must(syscall(SYS_close_range, 3, FD_IN - 1, 0));
	must(syscall(SYS_close_range, FD_OUT + 1, ~0u, 0));
	become(as);
	must(write(FD_OUT, "r", 1));
	if (read_byte(FD_IN))
		_exit(99);
	shared->result = act(arg);
	shared->finished = 1;
	fflush(stdout);
	_exit(0);
}

void child_start(struct child *c, struct box *b, enum as as, act_fn act, const void *arg)
{
	int to_child[2], from_child[2];
	struct diag d = {};
	char text[2048];

	c->shared = mmap(NULL, sizeof(*c->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->shared == MAP_FAILED)
		harness_die("mmap: %m");
	must(pipe2(to_child, O_CLOEXEC));
	must(pipe2(from_child, O_CLOEXEC));
	fflush(stdout);
	c->pid = must(fork());
	if (c->pid == 0)
		child_main(c->shared, to_child[0], from_child[1], as, act, arg);
	(void)close(to_child[0]);
	(void)close(from_child[1]);
	c->shared->to_child = to_child[1];
	c->shared->from_child = from_child[0];
	c->pidfd = must((int)syscall(SYS_pidfd_open, c->pid, 0));
	if (read_byte(from_child[0]))
		harness_die("a child died before it began");
	if (b && sandbox_enter(box_sandbox(b), c->pidfd, as == AS_USER ? NOBODY : 0, &d))
		harness_die("a child cannot enter: %s", diag_text(&d, text, sizeof(text)));
	must(write(to_child[1], "g", 1));
}

int child_wait(struct child *c)
{
	struct child_shared *shared = c->shared;
	int status, result;

	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			harness_die("waitpid: %m");
	if (WIFSIGNALED(status))
		result = DIED_OF(WTERMSIG(status));
	else if (shared->finished)
		result = shared->result;
	else
		result = WEXITSTATUS(status); /* `act` replaced or ended the process */
	(void)close(shared->to_child);
	(void)close(shared->from_child);
	(void)close(c->pidfd);
	(void)munmap(shared, sizeof(*shared));
	return result;
}

int box_run(struct box *b, enum as as, act_fn act, const void *arg)
{
	struct child c;

	child_start(&c, b, as, act, arg);
	return child_wait(&c);
}

void child_meet(void)
{
	must(write(FD_OUT, "m", 1));
	if (read_byte(FD_IN))
		_exit(99);
}

void child_meet_from_parent(struct child *c)
{
	if (read_byte(c->shared->from_child))
		harness_die("a child ended before it met its parent");
	must(write(c->shared->to_child, "m", 1));
}
