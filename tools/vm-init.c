/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PID 1 of the guest of tools/vm: runs one command, relays its output, reports its exit status.
 *
 * Three virtio-serial ports lead to the host: 1 stdout, 2 stderr, 3 control. The control lines are
 *
 *	started\n
 *	exit STATUS STDOUT_BYTES STDERR_BYTES\n
 *
 * The byte counts let the host tell when the ports are drained; it then kills the emulator. The
 * command gets pipes, not the ports themselves: a port has one opener, so /dev/stderr would be
 * busy.
 *
 * Arguments: JOB, a directory with NUL-separated files argv and env, and cwd; PORTS, the path of
 * the ports without their number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct relay {
	int from;	/* read end of the command's pipe; -1 at end of file */
	int to;		/* port */
	uint64_t bytes;
};

static void fail(const char *what)
{
	fprintf(stderr, "vm-init: %s: %s\n", what, strerror(errno));
	/* PID 1 that exits panics the kernel, which ends the VM: the host then reports 125. */
	exit(1);
}

static char *read_whole(const char *dir, const char *name, size_t *len)
{
	char path[256], *buf;
	struct stat st;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		fail(path);
	buf = malloc(st.st_size + 1);
	if (!buf)
		fail(path);
	for (*len = 0; *len < (size_t)st.st_size; *len += n) {
		n = read(fd, buf + *len, st.st_size - *len);
		if (n <= 0)
			fail(path);
	}
	buf[*len] = '\0';
	close(fd);
	return buf;
}

/* Every string is ended by a NUL, so an empty argument is kept. */
static char **read_strings(const char *dir, const char *name)
{
	size_t len, count = 0, i;
	char *buf = read_whole(dir, name, &len), **list;

	for (i = 0; i < len; i++)
		count += !buf[i];
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		fail(name);
	for (i = 0; i < count; i++, buf += strlen(buf) + 1)
		list[i] = buf;
	return list;
}

static int open_port(const char *ports, int nr)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s%d", ports, nr);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	return fd;
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fail("write to a port");
		buf += n;
		len -= n;
	}
}

/* Moves at most one buffer. The number of bytes; 0 at end of file or when nothing is there. */
static size_t relay__move(struct relay *r, size_t most)
{
	static char buf[64 * 1024];
	ssize_t n;

	n = read(r->from, buf, most < sizeof(buf) ? most : sizeof(buf));
	if (n < 0) {
		if (errno == EINTR || errno == EAGAIN)
			return 0;
		fail("read from the command");
	}
	if (n == 0) {
		close(r->from);
		r->from = -1;
		return 0;
	}
	write_all(r->to, buf, n);
	r->bytes += n;
	return n;
}

/* What the command had written when it ended. A process it left behind may write for ever. */
static void relay__drain(struct relay *r)
{
	int left;
	size_t n;

	if (r->from < 0 || ioctl(r->from, FIONREAD, &left) < 0)
		return;
	while (left > 0 && (n = relay__move(r, left)))
		left -= n;
}

static void run_command(const char *job, int out, int err)
{
	char **argv = read_strings(job, "argv"), *cwd;
	sigset_t none;
	size_t len;
	int null;

	cwd = read_whole(job, "cwd", &len);
	environ = read_strings(job, "env");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	if (chdir(cwd) < 0) {
		fprintf(stderr, "vm: cannot enter %s: %s\n", cwd, strerror(errno));
		_exit(126);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "vm: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Reaps every child, orphans included. Returns whether the command is among them. */
static int reap(pid_t command, int *status)
{
	int st, found = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid != command)
			continue;
		*status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
		found = 1;
	}
	return found;
}

static int supervise(pid_t command, int signals, struct relay *r)
{
	struct signalfd_siginfo info;
	int status = 0, i;

	for (;;) {
		struct pollfd p[3] = {
			{ .fd = r[0].from, .events = POLLIN },
			{ .fd = r[1].from, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};

		if (poll(p, 3, -1) < 0 && errno != EINTR)
			fail("poll");
		for (i = 0; i < 2; i++)
			if (p[i].revents)
				relay__move(&r[i], SIZE_MAX);
		if (!p[2].revents)
			continue;
		if (read(signals, &info, sizeof(info)) < 0 && errno != EAGAIN)
			fail("signalfd");
		if (reap(command, &status))
			return status;
	}
}

int main(int argc, char **argv)
{
	int out[2], err[2], control, signals, status;
	struct relay r[2];
	char line[96];
	sigset_t mask;
	pid_t command;

	if (argc != 3)
		return 1;
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signals < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		fail("set up");
	r[0] = (struct relay){ .from = out[0], .to = open_port(argv[2], 1) };
	r[1] = (struct relay){ .from = err[0], .to = open_port(argv[2], 2) };
	control = open_port(argv[2], 3);
	write_all(control, "started\n", strlen("started\n"));

	command = fork();
	if (command < 0)
		fail("fork");
	if (command == 0)
		run_command(argv[1], out[1], err[1]);
	close(out[1]);
	close(err[1]);

	status = supervise(command, signals, r);
	relay__drain(&r[0]);
	relay__drain(&r[1]);
	sync();		/* mapped pages of the shared directories */
	snprintf(line, sizeof(line), "exit %d %llu %llu\n", status,
		 (unsigned long long)r[0].bytes, (unsigned long long)r[1].bytes);
	write_all(control, line, strlen(line));
	for (;;)
		pause();
}
