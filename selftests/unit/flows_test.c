/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which addresses connections are open to, asked often and looked at seldom. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "flows.h"
#include "sock_diag.h"
#include "util.h"

#define SECOND 1000000000ull

/* addresses of the loopback that nothing else uses */
static const uint8_t one[16] = { [10] = 0xff, [11] = 0xff, 127, 77, 31, 1 };
static const uint8_t other[16] = { [10] = 0xff, [11] = 0xff, 127, 77, 31, 2 };
static const uint8_t third[16] = { [10] = 0xff, [11] = 0xff, 127, 77, 31, 3 };

/* A listener and a connection to it, which keeps both ends open. */
struct pair {
	int listener, out;
};

static struct pair connect_to(const uint8_t addr[16])
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	struct pair p;

	memcpy(&a.sin_addr, addr + 12, 4);
	p.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(p.listener, errno);
	assert_return_code(bind(p.listener, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(listen(p.listener, 1), errno);
	assert_return_code(getsockname(p.listener, (struct sockaddr *)&a, &len), errno);
	p.out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(p.out, errno);
	assert_return_code(connect(p.out, (struct sockaddr *)&a, sizeof(a)), errno);
	return p;
}

static void end(struct pair p)
{
	close(p.out);
	close(p.listener);
}

static void test_once_a_second(void **state)
{
	struct pair first = connect_to(one), second;
	struct flows_seen s = {};

	(void)state;
	assert_true(flows_open_to(&s, one, 0, SECOND));
	assert_false(flows_open_to(&s, other, 0, SECOND));
	second = connect_to(other);
	/* not looked at again so soon */
	assert_false(flows_open_to(&s, other, 0, 2 * SECOND - 1));
	/* but what the kernel has seen since then counts */
	assert_true(flows_open_to(&s, other, SECOND, 2 * SECOND - 1));
	assert_true(flows_open_to(&s, other, 0, 2 * SECOND));
	assert_true(flows_open_to(&s, one, 0, 2 * SECOND));
	assert_false(flows_open_to(&s, third, 0, 2 * SECOND));
	end(first);
	end(second);
	flows_seen_clear(&s);
}

/* Somebody else's connection between the same addresses and ports is not ended. */
static void test_owner(void **state)
{
	const uint64_t nobodys = 1;
	struct flows_owner o = { .sandbox = 1, .stamps = -1, .cgroups = &nobodys };
	struct pair p = connect_to(one);
	struct sockaddr_in local, remote;
	socklen_t len = sizeof(local);

	(void)state;
	assert_return_code(getsockname(p.out, (struct sockaddr *)&local, &len), errno);
	assert_return_code(getpeername(p.out, (struct sockaddr *)&remote, &len), errno);
	assert_int_equal(flows_abort(-1, &o, one, ntohs(remote.sin_port), ntohs(local.sin_port)),
			 0);
	assert_int_equal(send(p.out, "x", 1, MSG_NOSIGNAL), 1);
	end(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_a_second),
		cmocka_unit_test(test_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
