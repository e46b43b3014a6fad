/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "anchors.h"
#include "bpf_load.h"
#include "compile.h"
#include "diag.h"
#include "util.h"

/* Only mounts that hang need it: a path is opened in microseconds. */
#define SCOUT_MS 5000

struct scouting {
	volatile uint32_t at; /* the anchor being opened, for the message */
	struct anchor_object objects[];
};

/*
 * Open so that nothing can block or be set off by it: O_PATH does not open the
 * object, and what is neither file nor directory is not opened at all;
 * O_NONBLOCK does not wait for a lease.
 */
static bool look_at(const char *path)
{
	_cleanup_close_ int at = -1;
	_cleanup_close_ int fd = -1;
	char self[32];
	struct stat st;

	at = open(path, O_PATH | O_CLOEXEC);
	if (at < 0 || fstat(at, &st) || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return false;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	fd = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd >= 0;
}

static void __attribute__((noreturn)) scout_main(int scouted_fd, int go, const struct compiled *c,
						 struct scouting *s)
{
	uint32_t self = getpid(), i;
	sigset_t all;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (read(go, &byte, 1) != 1)
		_exit(1);
	for (i = 0; i < c->nanchors; i++) {
		struct eg_scouted seen;

		s->at = i;
		(void)bpf_map_delete_elem(scouted_fd, &self);
		if (!look_at(c->anchors[i].path) || bpf_map_lookup_elem(scouted_fd, &self, &seen))
			continue;
		s->objects[i].ino = seen.ino;
		s->objects[i].dev = seen.dev;
		s->objects[i].found = true;
	}
	(void)bpf_map_delete_elem(scouted_fd, &self);
	_exit(0);
}

static int run_scout(struct agent *a, const struct compiled *c, struct scouting *s, struct diag *d)
{
	struct eg_task mark = { .flags = EG_T_SCOUT };
	_cleanup_close_ int pidfd = -1;
	struct pollfd p = { .events = POLLIN };
	int go[2], status = 0, err = 0;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC))
		return diag_set(d, -errno, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		close(go[1]);
		scout_main(agent_map_fd(a, AGENT_MAP_SCOUTED), go[0], c, s);
	}
	close(go[0]);
	pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
	if (pidfd < 0 || bpf_map_update_elem(agent_map_fd(a, AGENT_MAP_TASKS), &pidfd, &mark,
					     BPF_ANY))
		err = diag_set(d, -errno, "cannot start a scout: %s", strerror(errno));
	if (!err && write(go[1], "g", 1) != 1)
		err = diag_set(d, -EPIPE, "the scout ended early");
	close(go[1]);
	if (pid < 0)
		return err;
	p.fd = pidfd;
	if (!err && poll(&p, 1, SCOUT_MS) != 1)
		err = diag_set(d, -ETIMEDOUT, "'%s' does not answer (a dead mount?), and a rule of "
			       "the policy is bound to it", c->anchors[s->at].path);
	if (err) {
		kill(pid, SIGKILL);
		/* one stuck in the kernel is left to be reaped when it gets out */
		(void)waitpid(pid, NULL, err == -ETIMEDOUT ? WNOHANG : 0);
		return err;
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return diag_set(d, -EIO, "the scout failed at '%s'", c->anchors[s->at].path);
	return 0;
}

int anchors_scout(struct agent *a, const struct compiled *c, struct anchor_object *out,
		  struct diag *d)
{
	size_t size = sizeof(struct scouting) + c->nanchors * sizeof(*out);
	struct scouting *s;
	int err;

	s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return diag_set(d, -ENOMEM, "out of memory");
	err = run_scout(a, c, s, d);
	if (!err)
		memcpy(out, s->objects, c->nanchors * sizeof(*out));
	munmap(s, size);
	return err;
}
