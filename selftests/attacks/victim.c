/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Processes of others: what they know, and what can be done to them. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET_LEN 32

/* ---- what they know ------------------------------------------------------------------ */

static int proc_file(const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", world.victim, name);
	return open(path, flags | O_CLOEXEC);
}

static int read_environment(const void *unused)
{
	(void)unused;
	return loot_fd(proc_file("environ", O_RDONLY));
}

static int read_memory(const void *unused)
{
	int fd = proc_file("mem", O_RDONLY);
	char data[SECRET_LEN];

	(void)unused;
	if (fd < 0 || pread(fd, data, sizeof(data), (off_t)world.token) < 0)
		return -errno;
	loot(data, sizeof(data));
	return 0;
}

static int read_by_vm(const void *unused)
{
	char data[SECRET_LEN];
	struct iovec here = { data, sizeof(data) }, there = { (void *)world.token, sizeof(data) };

	(void)unused;
	if (process_vm_readv(world.victim, &here, 1, &there, 1, 0) < 0)
		return -errno;
	loot(data, sizeof(data));
	return 0;
}

static int read_by_ptrace(const void *unused)
{
	long word;
	char data[SECRET_LEN];
	size_t i;

	(void)unused;
	if (ptrace(PTRACE_SEIZE, world.victim, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, world.victim, NULL, NULL))
		return -errno;
	(void)waitpid(world.victim, NULL, __WALL);
	for (i = 0; i < sizeof(data); i += sizeof(word)) {
		word = ptrace(PTRACE_PEEKDATA, world.victim, world.token + i, NULL);
		memcpy(data + i, &word, sizeof(word));
	}
	(void)ptrace(PTRACE_DETACH, world.victim, NULL, NULL);
	loot(data, sizeof(data));
	return 0;
}

static int look_at(const void *name)
{
	int fd = proc_file(name, O_RDONLY);

	return fd < 0 ? -errno : 0;
}

/* ---- what can be done to them ------------------------------------------------------------ */

static int write_memory(const void *unused)
{
	int fd = proc_file("mem", O_RDWR);

	(void)unused;
	return fd < 0 ? -errno : result(pwrite(fd, "changed", 7, (off_t)world.token));
}

static int write_by_vm(const void *unused)
{
	struct iovec here = { (void *)"changed", 7 }, there = { (void *)world.token, 7 };

	(void)unused;
	return result(process_vm_writev(world.victim, &here, 1, &there, 1, 0));
}

static int write_by_ptrace(const void *unused)
{
	(void)unused;
	if (ptrace(PTRACE_ATTACH, world.victim, NULL, NULL))
		return -errno;
	(void)waitpid(world.victim, NULL, __WALL);
	(void)ptrace(PTRACE_POKEDATA, world.victim, world.token, 0x6465676e616863);
	return result(ptrace(PTRACE_DETACH, world.victim, NULL, NULL));
}

static int out_of_memory_first(const void *unused)
{
	int fd = proc_file("oom_score_adj", O_WRONLY);

	(void)unused;
	return fd < 0 ? -errno : result(write(fd, "999", 3));
}

static int take_descriptor(const void *unused)
{
	int pidfd = (int)syscall(SYS_pidfd_open, world.victim, 0);

	(void)unused;
	return pidfd < 0 ? -errno : result(syscall(SYS_pidfd_getfd, pidfd, 8, 0));
}

static int compare(const void *unused)
{
	(void)unused;
	return result(syscall(SYS_kcmp, getpid(), world.victim, 1 /* KCMP_VM */, 0, 0));
}

static int hurry(const void *unused)
{
	struct iovec there = { (void *)(world.token & ~4095ul), 4096 };
	int pidfd = (int)syscall(SYS_pidfd_open, world.victim, 0);

	(void)unused;
	if (pidfd < 0)
		return -errno;
	return result(syscall(SYS_process_madvise, pidfd, &there, 1, 20 /* MADV_COLD */, 0));
}

static int move_pages_(const void *unused)
{
	void *page = (void *)(world.token & ~4095ul);
	int node = 0, status;

	(void)unused;
	return result(syscall(SYS_move_pages, world.victim, 1, &page, &node, &status, 0));
}

/* ---- signals ------------------------------------------------------------------------------- */

static int by_kill(const void *sig)
{
	return result(kill(world.victim, *(const int *)sig));
}

static int by_tgkill(const void *unused)
{
	(void)unused;
	return result(syscall(SYS_tgkill, world.victim, world.victim, SIGUSR1));
}

static int by_queue(const void *unused)
{
	union sigval v = { .sival_int = 1 };

	(void)unused;
	return result(sigqueue(world.victim, SIGUSR1, v));
}

static int by_pidfd(const void *unused)
{
	int pidfd = (int)syscall(SYS_pidfd_open, world.victim, 0);

	(void)unused;
	return pidfd < 0 ? -errno :
			   result(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0));
}

static int by_int80(const void *unused)
{
	int r = need_int80();

	(void)unused;
	return r ? r : int80(37 /* kill */, world.victim, SIGUSR1, 0, 0, 0);
}

/* The kernel sends it, when the pipe is written to. */
static int by_owner(const void *unused)
{
	int ends[2];

	(void)unused;
	if (pipe(ends) || fcntl(ends[0], F_SETFL, O_ASYNC) ||
	    fcntl(ends[0], F_SETOWN, world.victim) || write(ends[1], "x", 1) != 1)
		return -errno;
	return 0;
}

static int by_owner_ioctl(const void *unused)
{
	int pair[2], pid = world.victim, on = 1;

	(void)unused;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || ioctl(pair[0], FIOSETOWN, &pid) ||
	    ioctl(pair[0], FIOASYNC, &on) || write(pair[1], "x", 1) != 1)
		return -errno;
	return 0;
}

static int service_exists(const void *unused)
{
	(void)unused;
	return result(kill(world.service, 0));
}

static int service_memory(const void *unused)
{
	char path[64];
	int fd;

	(void)unused;
	snprintf(path, sizeof(path), "/proc/%d/mem", world.service);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static int service_traced(const void *unused)
{
	(void)unused;
	if (ptrace(PTRACE_SEIZE, world.service, NULL, NULL))
		return -errno;
	(void)ptrace(PTRACE_DETACH, world.service, NULL, NULL);
	return 0;
}

/* ---- scheduling and limits ----------------------------------------------------------------- */

static int nicer(const void *unused)
{
	(void)unused;
	return result(setpriority(PRIO_PROCESS, (id_t)world.victim, 19));
}

static int idle(const void *unused)
{
	struct sched_param p = {};

	(void)unused;
	return result(sched_setscheduler(world.victim, SCHED_IDLE, &p));
}

static int one_processor(const void *unused)
{
	cpu_set_t set;

	(void)unused;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return result(sched_setaffinity(world.victim, sizeof(set), &set));
}

static int no_files(const void *unused)
{
	struct rlimit none = { 0, 4096 };

	(void)unused;
	return result(prlimit(world.victim, RLIMIT_NOFILE, &none, NULL));
}

static int io_idle(const void *unused)
{
	(void)unused;
	return result(syscall(SYS_ioprio_set, 1 /* process */, world.victim, 3 << 13));
}

#define SIGNAL(s) &(const int){ s }
#define ROW(n, f, a, j, e, v) { .name = n, .run = f, .arg = a, .judge = j, .err = e, .event = v }
#define KNOWN(n, f, e, v) ROW(n, f, NULL, "loot", e, v)
#define HARM(n, f, a, v) ROW(n, f, a, "victim", "EPERM EACCES", v)
#define SERVICE(n, f, e, v) { .name = n, .run = f, .by = BY_ROOT, .judge = "claim", .err = e, \
			      .event = v }

const struct attack attacks_victim[] = {
	KNOWN("B37:environ", read_environment, "EACCES EPERM", NULL),
	KNOWN("B37:mem", read_memory, "EACCES EPERM", NULL),
	KNOWN("B37:vm", read_by_vm, "EPERM", "ptrace/foreign"),
	KNOWN("B37:ptrace", read_by_ptrace, "EPERM", "ptrace/foreign"),
	ROW("B37:maps", look_at, "maps", "claim", "EACCES EPERM", NULL),
	ROW("B37:descriptors", look_at, "fd", "claim", "EACCES EPERM", NULL),

	HARM("C10:mem", write_memory, NULL, NULL),
	HARM("C10:vm", write_by_vm, NULL, "ptrace/foreign"),
	HARM("C10:ptrace", write_by_ptrace, NULL, "ptrace/foreign"),
	HARM("C10:oom", out_of_memory_first, NULL, NULL),
	ROW("C10:getfd", take_descriptor, NULL, "claim", "EPERM", "ptrace/foreign"),
	ROW("C10:kcmp", compare, NULL, "claim", "EPERM", NULL),

	HARM("D01:kill", by_kill, SIGNAL(SIGKILL), "signal/foreign"),
	HARM("D01:stop", by_kill, SIGNAL(SIGSTOP), "signal/foreign"),
	HARM("D01:term", by_kill, SIGNAL(SIGTERM), "signal/foreign"),
	HARM("D01:tgkill", by_tgkill, NULL, "signal/foreign"),
	HARM("D01:queue", by_queue, NULL, "signal/foreign"),
	HARM("D01:pidfd", by_pidfd, NULL, "signal/foreign"),
	HARM("D01:int80", by_int80, NULL, "signal/foreign"),
	HARM("D01:owner", by_owner, NULL, "signal/guard"),
	HARM("D01:owner-ioctl", by_owner_ioctl, NULL, "ioctl/guard signal/guard"),
	SERVICE("D01:service", service_exists, "EPERM", "signal/foreign"),

	SERVICE("D03:service-mem", service_memory, "EACCES EPERM", NULL),
	SERVICE("D03:service-ptrace", service_traced, "EPERM", "ptrace/foreign"),
	{ .name = "D03:madvise", .run = hurry, .by = BY_ROOT, .judge = "claim",
	  .err = "EPERM EACCES" },
	ROW("D03:move-pages", move_pages_, NULL, "claim", "EPERM", NULL),
	HARM("D03:nice", nicer, NULL, "task/foreign"),
	HARM("D03:scheduler", idle, NULL, "task/foreign"),
	HARM("D03:affinity", one_processor, NULL, "task/foreign"),
	HARM("D03:limits", no_files, NULL, "task/foreign"),
	ROW("D03:ioprio", io_idle, NULL, "claim", "EPERM", "task/foreign"),
	{},
};
