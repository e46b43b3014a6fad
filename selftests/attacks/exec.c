/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Run what has no x: a program that, when it runs, leaves a file behind. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROG NOEXEC "/prog" /* a copy of this program */
#define SCRIPT NOEXEC "/script"
#define RAN WORK "/ran"

struct start {
	int fd;
	const char *path;
	int flags;
};

static int in_place(const void *arg)
{
	const struct start *s = arg;
	char *argv[] = { (char *)"attack", (char *)"--list", NULL }, *envp[] = { NULL };
	int out = open(RAN, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (out < 0 || dup2(out, STDOUT_FILENO) < 0)
		return -errno;
	(void)syscall(SYS_execveat, s->fd, s->path, argv, envp, s->flags);
	return -errno;
}

/* The pipe to the parent closes with execve: then nothing is said. */
static int start(int fd, const char *path, int flags)
{
	struct start s = { fd, path, flags };
	int ends[2], r = 0, status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		r = in_place(&s);
		_exit(write(ends[1], &r, sizeof(r)) != sizeof(r));
	}
	(void)close(ends[1]);
	if (read(ends[0], &r, sizeof(r)) != sizeof(r))
		r = 0;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return r ? r : WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EACCES;
}

static int by_execve(const void *path)
{
	return start(AT_FDCWD, path, 0);
}

static int by_path(const void *path)
{
	int fd = open(path, O_PATH);

	return fd < 0 ? -errno : start(fd, "", AT_EMPTY_PATH);
}

static int by_descriptor(const void *path)
{
	int fd = open(path, O_RDONLY);
	char self[32];

	if (fd < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return start(AT_FDCWD, self, 0);
}

static int by_symlink(const void *path)
{
	return symlink(path, WORK "/link") ? -errno : start(AT_FDCWD, WORK "/link", 0);
}

static int by_hard_link(const void *path)
{
	return link(path, WORK "/link") ? -errno : start(AT_FDCWD, WORK "/link", 0);
}

static int by_rename(const void *path)
{
	return rename(path, WORK "/link") ? -errno : start(AT_FDCWD, WORK "/link", 0);
}

static int by_int80(const void *path)
{
	uint32_t argv[2] = {}, r = (uint32_t)need_int80();
	int status;
	pid_t pid;

	if (r)
		return (int)r;
	pid = fork();
	if (!pid) {
		argv[0] = (uint32_t)low(path, strlen(path) + 1);
		if (open(RAN, O_WRONLY | O_CREAT, 0666) < 0)
			_exit(1);
		(void)dup2(open(RAN, O_WRONLY), STDOUT_FILENO);
		(void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		_exit(-int80(11 /* execve */, argv[0], low(argv, sizeof(argv)), 0, 0, 0));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	/* it says how it is used, with this status */
	return WEXITSTATUS(status) == 2 ? write(open(RAN, O_WRONLY), "x", 1) : -WEXITSTATUS(status);
}

/* `#!` names what may not run; the script itself may. */
static int by_interpreter(const void *path)
{
	int fd = open(WORK "/script", O_WRONLY | O_CREAT | O_CLOEXEC, 0777);

	if (fd < 0 || dprintf(fd, "#!%s --list\n", (const char *)path) < 0)
		return -errno;
	(void)close(fd);
	return start(AT_FDCWD, WORK "/script", 0);
}

/* A loader maps it, and never executes it. */
static int by_loader(const void *path)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "/lib64/ld-linux-x86-64.so.2 %s >" RAN, (const char *)path);
	return tool(command);
}

static int by_mmap(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -errno :
										   0;
}

static int by_mprotect(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	return p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) ? -errno : 0;
}

static int by_personality(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || personality(READ_IMPLIES_EXEC) < 0)
		return -errno;
	return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -errno : 0;
}

/* ---- exec: strict -------------------------------------------------------------------------- */

static int from_memory(const void *unused)
{
	int from = open(PROG, O_RDONLY | O_CLOEXEC), to = memfd_create("attack", 0);
	char data[65536];
	ssize_t n;

	(void)unused;
	if (from < 0 || to < 0)
		return -errno;
	while ((n = read(from, data, sizeof(data))) > 0)
		if (write(to, data, (size_t)n) != n)
			return -errno;
	return start(to, "", AT_EMPTY_PATH);
}

static int anonymous(const void *unused)
{
	(void)unused;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED ? -errno : 0;
}

static int made_executable(const void *unused)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	return p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) ? -errno : 0;
}

static int own_memory(const void *unused)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	(void)unused;
	return fd < 0 ? -errno : 0;
}

#define RUN_(n, f, a) { .name = n, .run = f, .arg = a, .judge = "ran", .err = "EACCES EXDEV", \
			.event = "exec/rule link/gain rename/gain" }
#define MAP_(n, f, a) { .name = n, .run = f, .arg = a, .judge = "claim", .err = "EACCES", \
			.event = "mmap/rule" }
#define STRICT(n, f, j, e) { .name = n, .run = f, .judge = j, .err = "EACCES", .event = e, \
			     .policy = "strict" }

const struct attack attacks_exec[] = {
	RUN_("B30:execve", by_execve, PROG),
	RUN_("B30:closed", by_execve, CLOSED "/prog"),
	RUN_("B30:path", by_path, PROG),
	RUN_("B30:descriptor", by_descriptor, PROG),
	RUN_("B30:symlink", by_symlink, PROG),
	RUN_("B30:hard-link", by_hard_link, PROG),
	RUN_("B30:rename", by_rename, PROG),
	RUN_("B30:int80", by_int80, PROG),
	RUN_("B30:interpreter", by_interpreter, PROG),
	RUN_("B30:script", by_execve, SCRIPT),
	{ .name = "B30:loader", .run = by_loader, .arg = NOEXEC "/dynamic", .judge = "ran",
	  .err = "EACCES EPERM EIO", .event = "mmap/rule" },
	MAP_("B30:mmap", by_mmap, PROG),
	MAP_("B30:mprotect", by_mprotect, PROG),
	MAP_("B30:personality", by_personality, PROG),

	STRICT("B32:memfd", from_memory, "ran", "exec/guard exec/rule exec/unplaced"),
	STRICT("B32:anonymous", anonymous, "claim", "mmap/guard"),
	STRICT("B32:made-executable", made_executable, "claim", "mmap/guard"),
	STRICT("B32:own-memory", own_memory, "claim", "open/guard"),
	{},
};
