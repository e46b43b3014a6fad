/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The harness itself, on the simplest rule there is: that it sees what a child
 * returns, that an event is counted where it belongs, that a sandbox ends.
 */
#include "harness.h"
#include "net_hosts.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

#define SECRET HARNESS_DIR "/secret"

static const char *const denied = "version: 1\nfiles:\n  default: rwxc\n  " SECRET ": none\n";
static const char *const allowed = "version: 1\nfiles:\n  default: rwxc\n";

static int act_signal(const void *arg)
{
	(void)arg;
	return raise(SIGKILL);
}

static int act_uid(const void *arg)
{
	(void)arg;
	return (int)getuid();
}

static int act_met(const void *path)
{
	int before = act_open_read(path);

	child_meet();
	child_meet();
	return before ? before : act_open_read(path);
}

static int act_leave_behind(const void *arg)
{
	pid_t pid = fork();

	(void)arg;
	if (pid == 0)
		for (;;)
			(void)pause();
	return pid;
}

static void test_results(void)
{
	struct box *b = box_shared(allowed);
	struct child c;
	int result;

	if (case_begin("a child's result, signal and user come back")) {
		check(box_run(b, AS_USER, act_uid, NULL) == 65534, "user");
		check(box_run(b, AS_ROOT, act_uid, NULL) == 0, "root");
		check(box_run(b, AS_ROOT, act_signal, NULL) == DIED_OF(SIGKILL), "signal");
		check(box_run(b, AS_ROOT, act_open_read, "/nonexistent") == -ENOENT, "errno");
		case_end();
	}
	if (case_begin("a parent meets its child half-way")) {
		write_file(SECRET, "x");
		child_start(&c, b, AS_USER, act_met, SECRET);
		child_meet_from_parent(&c);
		remove_tree(SECRET);
		child_meet_from_parent(&c);
		result = child_wait(&c);
		check(result == -ENOENT, "the child does not see it: %s", result_text(result));
		case_end();
	}
}

static void test_events(void)
{
	struct box *a = box_shared(denied), *b = box_new(denied);
	_cleanup_free_ struct seen *in_a = NULL, *in_b = NULL;
	size_t na, nb;

	if (case_begin("events belong to their sandbox, in order, with nothing missing")) {
		write_file(SECRET, "x");
		box_events_drop(a);
		check(box_run(b, AS_ROOT, act_open_read, SECRET) == -EACCES, "first");
		check(box_run(a, AS_USER, act_open_write, SECRET) == -EACCES, "second");
		check(box_run(b, AS_ROOT, act_open_read, SECRET) == -EACCES, "third");
		na = box_events(a, &in_a);
		nb = box_events(b, &in_b);
		if (!check(na == 1 && nb == 2, "%zu and %zu events", na, nb)) {
			counters_print(b);
		} else {
			check(in_a[0].uid == 65534 && in_a[0].want == EG_W, "of a");
			check(in_b[0].seq == 1 && in_b[1].seq == 2, "sequence of b");
			check(str_eq(in_b[1].path, SECRET), "path '%s'", in_b[1].path);
		}
		check(box_counters(b)->denied == 2, "%llu denied",
		      (unsigned long long)box_counters(b)->denied);
		case_end();
	}
	box_free(b);
}

static void test_end(void)
{
	_cleanup_close_ int pidfd = -1;
	struct pollfd p;
	struct box *b;
	int pid;

	if (!case_begin("what a child leaves behind ends with the sandbox"))
		return;
	b = box_new(allowed);
	pid = box_run(b, AS_USER, act_leave_behind, NULL);
	pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	check(pidfd >= 0 && poll(&p, 1, 0) == 0, "it is not there: %s", result_text(pid));
	box_free(b);
	check(poll(&p, 1, 0) == 1, "it is still there");
	case_end();
}

static void make_secret(const void *path)
{
	write_file(path, "secret\n");
}

static void test_form(void)
{
	attempt(&(struct attempt){
		.name = "the form: read of a denied file",
		.before = make_secret, .act = act_open_read, .arg = SECRET,
		.deny = denied, .allow = allowed,
		.err = EACCES, .op = EG_OP_OPEN, .want = EG_R, .path = SECRET,
	});
}

static void nothing_at_evil(const void *arg, bool refused)
{
	struct net_seen seen = net_seen(NET_EVIL);

	(void)arg;
	check(refused == !seen.nonces, "evil saw %lu frames with the nonce", seen.nonces);
	check(!refused || !seen.frames, "evil saw %lu frames", seen.frames);
	net_reset();
}

static void test_form_net(void)
{
	static const struct net_target evil = { NET_EVIL4, NET_PORT };

	net_up();
	attempt(&(struct attempt){
		.name = "the form: UDP to a refused host",
		.act = act_udp_sendto, .arg = &evil, .after = nothing_at_evil,
		.deny = POLICY_EGRESS("allow: [\"10.203.1.0/24:*\"]"),
		.allow = POLICY_EGRESS("allow: [\"10.203.2.0/24:*\"]"),
		.err = EPERM, .op = EG_OP_SEND, .proto = 17, .port = NET_PORT, .addr = NET_EVIL4,
	});
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	test_results();
	test_events();
	test_end();
	test_form();
	test_form_net();
	return harness_done();
}
