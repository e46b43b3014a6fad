/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where every path is allowed: descriptors that somebody outside passes in. */
#include "files_common.h"

#include <linux/perf_event.h>
#include <pty.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int act_receive(const void *unused)
{
	int fd = receive_fd();

	(void)unused;
	return fd < 0 ? fd : 0;
}

static void end_passer(const void *unused, bool refused)
{
	(void)unused;
	(void)refused;
	passer_end();
}

static void pass_stream(const void *unused)
{
	int ends[2];

	(void)unused;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	passer_start(ends[0]);
	(void)close(ends[1]);
}

static void pass_datagram(const void *unused)
{
	(void)unused;
	passer_start(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static void pass_netlink(const void *unused)
{
	(void)unused;
	passer_start(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static void pass_cgroup(const void *unused)
{
	(void)unused;
	passer_start(open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC));
}

static void pass_sysctl(const void *unused)
{
	(void)unused;
	passer_start(open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC));
}

static void pass_terminal(const void *unused)
{
	(void)unused;
	passer_start(open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
}

static void pass_perf(const void *unused)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
					.config = PERF_COUNT_SW_DUMMY };

	(void)unused;
	passer_start((int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

static void pass_epoll(const void *unused)
{
	(void)unused;
	passer_start(epoll_create1(EPOLL_CLOEXEC));
}

static void pass_userfault(const void *unused)
{
	(void)unused;
	passer_start((int)syscall(SYS_userfaultfd, O_CLOEXEC));
}

static void pass_pidfd(const void *unused)
{
	(void)unused;
	passer_start(pidfd_open(getpid(), 0));
}

static void pass_fanotify(const void *unused)
{
	(void)unused;
	passer_start(fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY));
}

static void pass_master(const void *unused)
{
	(void)unused;
	passer_start(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
}

static void pass_log(const void *unused)
{
	(void)unused;
	passer_start(open("/dev/kmsg", O_RDONLY | O_CLOEXEC));
}

static void pass_tun(const void *unused)
{
	(void)unused;
	passer_start(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
}

static void pass_eventfd(const void *unused)
{
	(void)unused;
	passer_start(eventfd(0, EFD_CLOEXEC));
}

static void pass_null(const void *unused)
{
	(void)unused;
	passer_start(open("/dev/null", O_RDWR | O_CLOEXEC));
}

/* The far end of an own terminal, between two tasks of the sandbox's, as of sshd's. */
static int act_own_master(const void *unused)
{
	int ends[2], master, fd, status;
	pid_t pid;

	(void)unused;
	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return -errno;
	pid = fork();
	if (!pid) {
		fd = take_fd(ends[1]);
		_exit(fd < 0 ? -fd : 0);
	}
	send_fd(ends[0], master);
	return waitpid(pid, &status, 0) == pid ? -WEXITSTATUS(status) : -ECHILD;
}

static void receivable(const char *policy)
{
	static const struct {
		const char *name;
		void (*before)(const void *unused);
	} any[] = { { "an eventfd", pass_eventfd }, { "/dev/null", pass_null } };
	struct box *b = box_shared(policy);
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(any); i++) {
		if (!case_begin("received: %s", any[i].name))
			continue;
		any[i].before(NULL);
		box_events_drop(b);
		r = box_run(b, AS_USER, act_receive, NULL);
		end_passer(NULL, false);
		check(r == 0, "%s", result_text(r));
		no_event(b);
		case_end();
	}
	if (!case_begin("received: the master of an own terminal"))
		return;
	box_events_drop(b);
	r = box_run(b, AS_USER, act_own_master, NULL);
	check(r == 0, "%s", result_text(r));
	no_event(b);
	case_end();
}

void files_received(void)
{
#define R(n, b, r) \
	{ .name = "received: " n, .act = act_receive, .before = b, .after = end_passer, \
	  .op = EG_OP_RECEIVE, .reason = r, .err = EACCES, .deny = policy }
	const char *policy = str("%segress: {unix: [\"@egtest-passer\"]}\n", policy_all());
	const struct attempt a[] = {
		R("one end of a unix stream", pass_stream, EG_WHY_FOREIGN),
		R("a unix datagram socket", pass_datagram, EG_WHY_FOREIGN),
		R("a netlink socket", pass_netlink, EG_WHY_FOREIGN),
		R("cgroup.procs", pass_cgroup, EG_WHY_GUARD),
		R("a sysctl", pass_sysctl, EG_WHY_GUARD),
		R("a terminal", pass_terminal, EG_WHY_FOREIGN),
		R("a performance counter", pass_perf, EG_WHY_GUARD),
		R("an epoll descriptor", pass_epoll, EG_WHY_GUARD),
		R("page faults of another process", pass_userfault, EG_WHY_GUARD),
		R("a process", pass_pidfd, EG_WHY_GUARD),
		R("an inotify for a whole filesystem", pass_fanotify, EG_WHY_GUARD),
		R("the master of a terminal", pass_master, EG_WHY_FOREIGN),
		R("a tunnel", pass_tun, EG_WHY_DEVICE),
		R("the kernel's log", pass_log, EG_WHY_DEVICE),
	};
#undef R

	shell("modprobe tun");
	attempts(a, ARRAY_SIZE(a));
	receivable(policy);
}
