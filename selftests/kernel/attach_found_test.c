/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a workload has when it is attached and no list of descriptors shows, or shows too
 * late: connections that wait to be accepted, sockets that a packet found first, listeners
 * that an earlier sandbox had, rings, processes that it traces, newcomers without a mark.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "bpf_cover.h"
#include "bpf_load.h"
#include "diag.h"
#include "sandbox.h"
#include "util.h"

#define ELSEWHERE "/sys/fs/cgroup/egtest-elsewhere"
#define SECRET HARNESS_DIR "/secret"
#define PUBLIC HARNESS_DIR "/public"
#define LISTEN_ANY "version: 1\negress: {listen: any}\nfiles: {default: rwxc}\n"
#define LISTEN_NONE "version: 1\negress: {listen: none}\nfiles: {default: rwxc}\n"
#define TRACES "version: 1\nprivileges: [ptrace]\nfiles: {default: rwxc}\n"
#define NO_SECRET POLICY_FILES("default: rwxc", SECRET ": none")

/* ---- a workload: a process in some cgroup that does what it is told -------------------- */

struct worker {
	pid_t pid;
	int ctl;
};

typedef int (*order)(void);

static void move_to(const char *cgroup, pid_t pid)
{
	_cleanup_close_ int fd = must(open(str("%s/cgroup.procs", cgroup), O_WRONLY | O_CLOEXEC));

	must(dprintf(fd, "%d\n", pid));
}

static const char *home(struct box *b)
{
	return str("%s/s%llu", agent_cgroup_path(harness_agent()),
		   (unsigned long long)sandbox_id(box_sandbox(b)));
}

static struct worker start(const char *cgroup)
{
	struct worker w;
	int ends[2], r;
	order o;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	fflush(stdout);
	w.pid = must(fork());
	if (w.pid) {
		w.ctl = ends[0];
		(void)close(ends[1]);
		move_to(cgroup, w.pid);
		return w;
	}
	(void)close(ends[0]);
	while (read(ends[1], &o, sizeof(o)) == sizeof(o)) {
		r = o();
		if (write(ends[1], &r, sizeof(r)) != sizeof(r))
			break;
	}
	_exit(0);
}

static int ask(const struct worker *w, order o)
{
	int r;

	if (write(w->ctl, &o, sizeof(o)) != sizeof(o) || read(w->ctl, &r, sizeof(r)) != sizeof(r))
		return -EPIPE;
	return r;
}

static void end(const struct worker *w)
{
	(void)close(w->ctl);
	must(waitpid(w->pid, NULL, 0));
}

/* ---- attach -------------------------------------------------------------------------------- */

static char said[1024]; /* why it was refused */

static int attach(struct box *b)
{
	struct attach_found f = {};
	struct diag d = {};
	int err = attach_tasks(harness_agent(), box_sandbox(b), true, &f, &d);

	if (!err)
		err = attach_sockets(harness_agent(), box_sandbox(b), true, &f, &d);
	snprintf(said, sizeof(said), "%s", err ? d.msg : "");
	return err;
}

static void finish(struct box *b, bool uncover)
{
	const uint64_t *ids;
	size_t n;

	ids = sandbox_covers(box_sandbox(b), &n);
	while (uncover && n)
		covers_drop(agent_covers(harness_agent()), ids[--n]);
	box_free(b);
}

/* Whether what is in its cgroup belongs to it: who comes in, as well? */
static void claim(struct box *b, bool on, uint32_t flags)
{
	const struct eg_cgroup c = { .sandbox = sandbox_id(box_sandbox(b)),
				     .slot = sandbox_slot(box_sandbox(b)), .flags = flags };
	int map = agent_map_fd(harness_agent(), AGENT_MAP_CGROUPS);
	uint64_t id = box_counters(b)->cgroup;

	if (on)
		must(bpf_map_update_elem(map, &id, &c, BPF_ANY));
	else
		must(bpf_map_delete_elem(map, &id));
}

/* ---- connections ---------------------------------------------------------------------------- */

static int listener = -1, conn = -1;
static uint16_t port;

static int listen_here(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (void *)&a, len) || listen(listener, 8) ||
	    getsockname(listener, (void *)&a, &len))
		return -errno;
	return ntohs(a.sin_port);
}

static int do_accept(void)
{
	conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return conn < 0 ? -errno : 0;
}

static int do_say(void)
{
	return send(conn, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int do_ring(void)
{
	struct io_uring_params p = {};

	return syscall(SYS_io_uring_setup, 1, &p) < 0 ? -errno : 0;
}

/* A client of the workload's, outside. Waiting has an end; nothing is measured by it. */
static int client(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 60 };
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	must(connect(fd, (void *)&a, sizeof(a)));
	return fd;
}

static int hear(int fd, int flags)
{
	char c;

	return recv(fd, &c, 1, flags) == 1 ? 0 : -errno;
}

/* A packet that comes while the cgroup is the sandbox's and its sockets are not found yet. */
static void test_adopted(void)
{
	_cleanup_close_ int c = -1;
	struct worker w;
	struct box *b;

	if (!case_begin("a connection that a packet finds before the iterator does"))
		return;
	b = box_new(LISTEN_ANY);
	claim(b, false, 0);
	w = start(home(b));
	port = (uint16_t)must(ask(&w, listen_here));
	c = client();
	check(!ask(&w, do_accept) && !ask(&w, do_say) && !hear(c, 0), "control: not served");
	claim(b, true, 0);
	check(!ask(&w, do_say), "it cannot send");
	check(hear(c, MSG_DONTWAIT) == -EAGAIN, "control: it was not judged meanwhile");
	check(!attach(b), "attach: %s", said);
	check(!hear(c, 0), "its client is cut off");
	check(!ask(&w, do_say) && !hear(c, 0), "and is not served any more");
	end(&w);
	finish(b, true);
	case_end();
}

/* A listener of somebody else's, as of socket activation, and who waits there. */
static void lend_listener(void)
{
	move_to(ELSEWHERE, getpid());
	port = (uint16_t)must(listen_here());
	move_to("/sys/fs/cgroup", getpid());
}

static void check_refused(struct box *b, int c)
{
	_cleanup_free_ struct seen *e = NULL;
	size_t n;

	check(hear(c, MSG_DONTWAIT) == -EAGAIN, "the client heard it");
	n = box_events(b, &e);
	if (check(n == 1 && e[0].op == EG_OP_PACKET && e[0].reason == EG_WHY_REVOKED,
		  "%zu events", n))
		return;
	for (size_t i = 0; i < n; i++)
		seen_print(&e[i]);
}

static void test_queued(void)
{
	_cleanup_close_ int before = -1, waits = -1, between = -1, next = -1;
	struct box *b, *allowed;
	struct worker w;

	if (!case_begin("a connection that waits to be accepted as its listener is attached"))
		return;
	lend_listener();
	b = box_new(LISTEN_NONE);
	w = start(home(b));
	before = client();
	waits = client();
	check(!ask(&w, do_accept) && !ask(&w, do_say) && !hear(before, 0), "control: not served");
	check(!attach(b), "attach: %s", said);
	box_events_drop(b);
	check(!ask(&w, do_accept), "it is not accepted");
	check(!ask(&w, do_say), "it cannot send");
	check_refused(b, waits);
	end(&w);
	finish(b, false); /* the cgroup stays covered, as if for another sandbox */

	between = client();
	check(!do_accept() && !do_say() && !hear(between, 0),
	      "who lent the listener has it not back when the sandbox ends");

	allowed = box_new(LISTEN_ANY);
	w = start(home(allowed));
	next = client();
	check(!attach(allowed), "attach the next: %s", said);
	check(!ask(&w, do_accept), "the next sandbox cannot accept");
	check(!ask(&w, do_say) && !hear(next, 0), "where `listen` allows it is not served");
	end(&w);
	finish(allowed, true);
	(void)close(listener);
	(void)close(conn);
	listener = conn = -1;
	case_end();
}

static void test_ring(void)
{
	struct worker w;
	struct box *b;
	int err;

	if (!case_begin("a ring, where there are sockets of other cgroups"))
		return;
	lend_listener();
	b = box_new(LISTEN_ANY);
	w = start(home(b));
	check(!attach(b), "control, without a ring: %s", said);
	end(&w);
	finish(b, true);
	b = box_new(LISTEN_ANY);
	w = start(home(b));
	must(ask(&w, do_ring));
	err = attach(b);
	check(err == -EPERM && strstr(said, "io_uring"), "with one: %s %s", result_text(err), said);
	end(&w);
	finish(b, true);
	(void)close(listener);
	listener = -1;
	b = box_new(LISTEN_ANY);
	w = start(home(b));
	must(ask(&w, do_ring));
	check(!attach(b), "without such sockets: %s", said);
	end(&w);
	finish(b, true);
	case_end();
}

/* ---- processes ----------------------------------------------------------------------------- */

static pid_t victim;

static int do_trace(void)
{
	return ptrace(PTRACE_SEIZE, victim, NULL, NULL) ? -errno : 0;
}

static void test_tracer(void)
{
	struct worker w;
	struct box *b;
	int err;

	if (!case_begin("a workload that traces a process outside"))
		return;
	victim = must(fork());
	if (!victim) {
		for (;;)
			pause();
	}
	b = box_new(TRACES);
	w = start(home(b));
	must(ask(&w, do_trace));
	check(!attach(b), "with the privilege: %s", said);
	end(&w);
	finish(b, true);
	b = box_new(LISTEN_ANY);
	w = start(home(b));
	must(ask(&w, do_trace));
	err = attach(b);
	check(err == -EPERM && strstr(said, str("traces process %d,", victim)), "without: %s %s",
	      result_text(err), said);
	end(&w);
	w = start(home(b));
	check(!attach(b), "when it does not any more: %s", said);
	end(&w);
	finish(b, true);
	must(kill(victim, SIGKILL));
	must(waitpid(victim, NULL, 0));
	case_end();
}

static int cat(const char *path)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execl("/bin/cat", "cat", path, NULL);
		_exit(2);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -EACCES : 0;
}

static int do_cat(void)
{
	return cat(SECRET);
}

static int do_cat_public(void)
{
	return cat(PUBLIC);
}

static int do_open(void)
{
	return act_open_read(SECRET);
}

/* As if there had been no memory for its mark: the program that puts it on does not run. */
static void test_unmarked(void)
{
	struct worker w;
	struct box *b;

	if (!case_begin("a newcomer without a mark begins no program"))
		return;
	write_file(SECRET, "secret");
	write_file(PUBLIC, "public");
	b = box_new(NO_SECRET);
	w = start(home(b));
	check(!ask(&w, do_cat), "control: a cgroup that marks nobody");
	end(&w);
	program_off("cgroup_move");
	claim(b, true, EG_CG_MARK);
	w = start(home(b));
	check(!ask(&w, do_open), "control: it is marked");
	check(ask(&w, do_cat) == -EACCES, "a program is begun without a mark");
	check(!ask(&w, do_cat_public), "an allowed file is refused");
	check(!ask(&w, do_open), "who begins no program is marked");
	claim(b, true, 0);
	program_on("cgroup_move");
	end(&w);
	finish(b, true);
	case_end();
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	(void)mkdir(ELSEWHERE, 0755);
	test_adopted();
	test_queued();
	test_ring();
	test_tracer();
	test_unmarked();
	(void)rmdir(ELSEWHERE);
	return harness_done();
}
