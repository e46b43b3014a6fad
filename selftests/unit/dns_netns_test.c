// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Listeners in a network namespace that is not ours. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns_help.h"
#include "util.h"

static bool no_namespaces; /* neither as root nor as the root of a user namespace */

static int here = -1, there = -1;

static int open_netns(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_return_code(fd, errno);
	return fd;
}

static void loopback_up(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	assert_return_code(ioctl(fd, SIOCSIFFLAGS, &ifr), errno);
}

static void go(int netns)
{
	assert_return_code(setns(netns, CLONE_NEWNET), errno);
}

static int namespaces(void **state)
{
	if (no_namespaces)
		return 0;
	here = open_netns();
	assert_return_code(unshare(CLONE_NEWNET), errno);
	there = open_netns();
	go(here);
	return rig_setup(state);
}

static int no_more(void **state)
{
	if (no_namespaces)
		return 0;
	close(there);
	close(here);
	return rig_teardown(state);
}

/* IPv4 and IPv6, UDP and TCP, from inside. */
static void ask_there(struct box *b)
{
	static struct msg m;
	struct asker a;

	query_msg(&m, "www.allowed.test", LDNS_RR_TYPE_A, true);
	for (int i = 0; i < 4; i++) {
		go(there);
		asker_open(&a, b, i & 1, i & 2);
		go(here);
		asker_send(&a, &m, i & 2);
		assert_true(asker_wait(&r, &a, i & 2));
		assert_string_equal(msg_text(a.in.p, a.in.len), ANSWERED);
		asker_close(&a);
	}
}

static void loopback_up_there(void)
{
	go(there);
	loopback_up();
	go(here);
}

/* Its loopback interface is up before, or only after. */
static void test_other_namespace(void **state)
{
	struct box inside;
	struct diag d = { 0 };

	(void)state;
	if (no_namespaces)
		skip();
	for (int later = 1; later >= 0; later--) {
		inside = (struct box){ .rules = box.rules };
		assert_int_equal(dns_serve(r.dns, there, &box_ops, &inside, &inside.c, &d), 0);
		if (later)
			loopback_up_there();
		/* we are where we were */
		assert_string_equal(ask(&r, &box, "evil.test", LDNS_RR_TYPE_A), REFUSED_TEXT);
		ask_there(&inside);
		dns_client_free(inside.c);
		free(inside.bound);
	}
}

/* Not a namespace: an error, and no listener here instead. */
static void test_no_namespace(void **state)
{
	struct diag d = { 0 };
	struct box inside = { .rules = box.rules };
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (no_namespaces)
		skip();
	assert_int_equal(dns_serve(r.dns, fd, &box_ops, &inside, &inside.c, &d), -EINVAL);
	assert_non_null(strstr(d.msg, "network namespace"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, namespaces, no_more)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_other_namespace), TEST(test_no_namespace),
	};

	if (unshare(CLONE_NEWNET)) {
		no_namespaces = unshare(CLONE_NEWUSER | CLONE_NEWNET);
		if (no_namespaces)
			return cmocka_run_group_tests_name("dns_netns", tests, NULL, NULL);
	}
	loopback_up();
	return cmocka_run_group_tests_name("dns_netns", tests, NULL, NULL);
}
