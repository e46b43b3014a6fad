/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guard: what a sandboxed task may not do although every path and address is
 * allowed. Each probe is harmless: it writes back what is there, names what does
 * not exist, or has a victim of its own.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define MOUNTPOINT HARNESS_DIR "/mnt"

static pid_t victim;
static volatile char secret = 's';

static const char *privileges(const char *list)
{
	return str("version: 1\nfiles: {default: rwxc}\negress: {allow: [\"0.0.0.0/0:*\"]}\n"
		   "privileges: [%s]\n", list);
}

/* ---- acts ---------------------------------------------------------------------------- */

static int on_pipe(int cmd, int arg)
{
	int fds[2], err;

	if (pipe(fds))
		return -errno;
	err = fcntl(fds[0], cmd, arg) ? -errno : 0;
	(void)close(fds[0]);
	(void)close(fds[1]);
	return err;
}

static int act_setown(const void *unused)
{
	(void)unused;
	return on_pipe(F_SETOWN, victim);
}

static int act_setown_self(const void *unused)
{
	(void)unused;
	return on_pipe(F_SETOWN, getpid());
}

static int act_setsig(const void *unused)
{
	(void)unused;
	return on_pipe(F_SETSIG, SIGKILL);
}

static int act_signal(const void *unused)
{
	(void)unused;
	return kill(victim, 0) ? -errno : 0;
}

static int act_nice(const void *unused)
{
	(void)unused;
	return setpriority(PRIO_PROCESS, (id_t)victim, 3) ? -errno : 0;
}

static int act_read_memory(const void *unused)
{
	char c = 0;
	struct iovec here = { &c, 1 }, there = { (void *)&secret, 1 };

	(void)unused;
	if (process_vm_readv(victim, &here, 1, &there, 1, 0) != 1)
		return -errno;
	return c == 's' ? 0 : -EIO;
}

static int act_userns(const void *unused)
{
	(void)unused;
	return unshare(CLONE_NEWUSER) ? -errno : 0;
}

static int act_mount(const void *unused)
{
	(void)unused;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || mount("none", MOUNTPOINT, "tmpfs", 0, NULL))
		return -errno;
	return umount(MOUNTPOINT) ? -errno : 0;
}

static int act_bpf(const void *unused)
{
	union bpf_attr attr = {};

	(void)unused;
	if (syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof(attr)) && errno != ENOENT)
		return -errno;
	return 0;
}

static int act_perf(const void *unused)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	(void)unused;
	if (fd < 0)
		return -errno;
	return close(fd);
}

static int act_module(const void *unused)
{
	static const char junk[64] = "no module";

	(void)unused;
	if (syscall(SYS_init_module, junk, sizeof(junk), "") && errno != ENOEXEC)
		return -errno;
	return 0;
}

static int act_swapon(const void *unused)
{
	(void)unused;
	if (swapon("/nonexistent", 0) && errno != ENOENT)
		return -errno;
	return 0;
}

static int act_clock(const void *unused)
{
	struct timespec now;

	(void)unused;
	if (clock_gettime(CLOCK_REALTIME, &now) || clock_settime(CLOCK_REALTIME, &now))
		return -errno;
	return 0;
}

static int act_hostname(const void *unused)
{
	char name[65];

	(void)unused;
	if (gethostname(name, sizeof(name)) || sethostname(name, strlen(name)))
		return -errno;
	return 0;
}

static int act_io_uring(const void *unused)
{
	struct io_uring_params p = {};
	int fd = (int)syscall(SYS_io_uring_setup, 1, &p);

	(void)unused;
	if (fd < 0)
		return -errno;
	return close(fd);
}

/* ---- beyond what a user may do for itself ------------------------------------------------ */

static int act_realtime(const void *unused)
{
	const struct sched_param one = { .sched_priority = 1 }, none = {};

	(void)unused;
	if (sched_setscheduler(0, SCHED_FIFO, &one))
		return -errno;
	return sched_setscheduler(0, SCHED_OTHER, &none) ? -errno : 0;
}

static int act_own_priority(const void *unused)
{
	(void)unused;
	return setpriority(PRIO_PROCESS, 0, -1) ? -errno : 0;
}

/* What everybody may do. */
static int act_worse_priority(const void *unused)
{
	(void)unused;
	if (setpriority(PRIO_PROCESS, 0, 5))
		return -errno;
	return sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){}) ? -errno : 0;
}

static int act_hard_limit(const void *unused)
{
	struct rlimit less = { 100, 100 }, more = { 200, 200 };

	(void)unused;
	return setrlimit(RLIMIT_NOFILE, &less) || setrlimit(RLIMIT_NOFILE, &more) ? -errno : 0;
}

static int act_spared(const void *unused)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)unused;
	return fd < 0 || write(fd, "-1000", 5) != 5 ? -errno : 0;
}

static int act_lease(const void *unused)
{
	_cleanup_close_ int fd = open(HARNESS_DIR "/leased", O_RDONLY | O_CLOEXEC);

	(void)unused;
	return fd < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) || fcntl(fd, F_SETLEASE, F_UNLCK) ?
		       -errno : 0;
}

static int act_wake(const void *unused)
{
	int fd = timerfd_create(CLOCK_BOOTTIME_ALARM, TFD_CLOEXEC);

	(void)unused;
	return fd < 0 ? -errno : close(fd);
}

/* A child whose number is chosen; which one it is does not matter. */
static int act_chosen_pid(const void *unused)
{
	pid_t pid = 30000;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid,
				   .set_tid_size = 1 };
	long child = syscall(SYS_clone3, &args, sizeof(args));

	(void)unused;
	if (!child)
		_exit(0);
	return child < 0 || waitpid((pid_t)child, NULL, 0) != child ? -errno : 0;
}

static void before_lease(const void *unused)
{
	(void)unused;
	write_file(HARNESS_DIR "/leased", "x");
}

static void beyond(void)
{
	struct attempt a[] = {
		{ .name = "real-time scheduling", .act = act_realtime,
		  .allow = privileges("sys_nice") },
		{ .name = "a better priority", .act = act_own_priority, .answer = EACCES,
		  .allow = privileges("sys_nice") },
		{ .name = "a limit above the hard one", .act = act_hard_limit,
		  .allow = privileges("sys_resource") },
		{ .name = "to be spared when memory runs out", .act = act_spared,
		  .answer = EACCES, .allow = privileges("sys_resource") },
		{ .name = "a lease on a file", .act = act_lease, .before = before_lease },
		{ .name = "a timer that wakes the machine", .act = act_wake },
		{ .name = "a process number of choice", .act = act_chosen_pid,
		  .allow = privileges("sys_admin") },
	};
	struct box *b = box_shared(privileges(""));
	size_t i;

	for (i = 0; i < ARRAY_SIZE(a); i++) {
		a[i].deny = privileges("");
		a[i].err = EPERM;
		a[i].op = EG_OP_CAPABLE;
		a[i].reason = EG_WHY_GUARD;
		a[i].only_root = true;
		attempt(&a[i]);
	}
	if (case_begin("a worse priority")) {
		int r = box_run(b, AS_ROOT, act_worse_priority, NULL);

		check(r == 0, "refused: %s", result_text(r));
		case_end();
	}
}

/* ---- cases ----------------------------------------------------------------------------- */

static void outsiders(void)
{
	struct attempt a[] = {
		{ .name = "SIGIO for a task outside", .act = act_setown, .op = EG_OP_SIGNAL,
		  .reason = EG_WHY_GUARD },
		{ .name = "another signal than SIGIO", .act = act_setsig, .op = EG_OP_SIGNAL,
		  .reason = EG_WHY_GUARD },
		{ .name = "a signal to a task outside", .act = act_signal, .op = EG_OP_SIGNAL,
		  .reason = EG_WHY_FOREIGN, .only_root = true },
		{ .name = "priority of a task outside", .act = act_nice, .op = EG_OP_TASK,
		  .reason = EG_WHY_FOREIGN, .only_root = true, .more_events = true },
		{ .name = "memory of a task outside", .act = act_read_memory, .op = EG_OP_PTRACE,
		  .reason = EG_WHY_FOREIGN, .only_root = true,
		  .allow = privileges("ptrace") },
	};
	struct box *b = box_shared(privileges(""));
	size_t i;

	for (i = 0; i < ARRAY_SIZE(a); i++) {
		a[i].deny = privileges("");
		a[i].err = EPERM;
		attempt(&a[i]);
	}
	if (case_begin("SIGIO for itself")) {
		int r = box_run(b, AS_ROOT, act_setown_self, NULL);

		check(r == 0, "refused: %s", result_text(r));
		case_end();
	}
}

static void kernel_doors(void)
{
	struct attempt a[] = {
		{ .name = "a user namespace", .act = act_userns, .op = EG_OP_USERNS,
		  .allow = privileges("userns") },
		{ .name = "a mount", .act = act_mount, .op = EG_OP_MOUNT,
		  .deny = privileges("userns, sys_admin"), .allow = privileges("mounts, userns") },
		{ .name = "bpf()", .act = act_bpf, .op = EG_OP_BPF,
		  .deny = privileges("sys_admin"), .allow = privileges("bpf, sys_admin"),
		  .only_root = true, .more_events = true },
		{ .name = "perf_event_open()", .act = act_perf, .op = EG_OP_KERNEL,
		  .deny = privileges("sys_admin"),
		  .allow = privileges("bpf, sys_admin"), .only_root = true,
		  .more_events = true },
		{ .name = "a module", .act = act_module, .op = EG_OP_CAPABLE, .only_root = true },
		{ .name = "swap", .act = act_swapon, .op = EG_OP_CAPABLE,
		  .allow = privileges("sys_admin"), .only_root = true },
		{ .name = "the clock", .act = act_clock, .op = EG_OP_CAPABLE, .only_root = true },
		{ .name = "the host's name", .act = act_hostname, .op = EG_OP_CAPABLE,
		  .allow = privileges("sys_admin"), .only_root = true },
		{ .name = "io_uring, where the policy has it off", .act = act_io_uring,
		  .op = EG_OP_KERNEL, .deny = privileges("io_uring off"),
		  .allow = privileges("") },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(a); i++) {
		a[i].err = EPERM;
		a[i].reason = EG_WHY_GUARD;
		if (!a[i].deny)
			a[i].deny = privileges("");
		attempt(&a[i]);
	}
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	make_dir(MOUNTPOINT);
	victim = must(fork());
	if (!victim) {
		for (;;)
			pause();
	}
	outsiders();
	kernel_doors();
	beyond();
	must(kill(victim, SIGKILL));
	must(waitpid(victim, NULL, 0));
	return harness_done();
}
