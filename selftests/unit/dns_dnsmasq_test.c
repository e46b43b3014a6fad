// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The resolver before a real one: dnsmasq, with names of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns_help.h"
#include "util.h"

static const char *program;
static pid_t child;
static FILE *its_log;

static const char *find_program(void)
{
	static const char *const places[] = { "/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq",
					      "/usr/bin/dnsmasq" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!access(places[i], X_OK))
			return places[i];
	return NULL;
}

static void run(uint16_t port, int out)
{
	char port_arg[32];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(port_arg, sizeof(port_arg), "--port=%u", port);
	(void)dup2(out, STDERR_FILENO);
	execl(program, program, "--conf-file=/dev/null", "--keep-in-foreground", "--log-facility=-",
	      "--log-queries", "--user=", "--group=", "--pid-file=", port_arg,
	      "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
	      "--local-ttl=100", "--host-record=www.allowed.test,203.0.113.5,2001:db8::5",
	      "--host-record=target.cdn.test,203.0.113.6", "--cname=a.wild.test,target.cdn.test",
	      "--host-record=private.wild.test,10.0.0.1", "--txt-record=t.wild.test,hello,world",
	      "--mx-host=m.wild.test,mail.wild.test,10",
	      "--srv-host=_x._tcp.wild.test,srv.wild.test,443,1,2",
	      "--host-record=secret.evil.test,203.0.113.66", "--local=/test/", NULL);
	_exit(127);
}

/* A line of its log with this text; false: it ended. */
static bool wait_for_log(const char *text)
{
	char line[1024];

	while (fgets(line, sizeof(line), its_log))
		if (strstr(line, text))
			return true;
	return false;
}

/* It says "started" when it listens. The port was free a moment ago: try again if it is not. */
static uint16_t start(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fds[2], fd;

	for (int tries = 0; tries < 10; tries++) {
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		a.sin_port = 0;
		assert_return_code(bind(fd, (struct sockaddr *)&a, len), errno);
		assert_return_code(getsockname(fd, (struct sockaddr *)&a, &len), errno);
		close(fd);
		assert_return_code(pipe2(fds, O_CLOEXEC), errno);
		child = fork();
		if (!child)
			run(ntohs(a.sin_port), fds[1]);
		close(fds[1]);
		its_log = fdopen(fds[0], "r");
		if (wait_for_log("started"))
			return ntohs(a.sin_port);
		(void)fclose(its_log);
		(void)waitpid(child, NULL, 0);
	}
	fail_msg("dnsmasq does not start");
	return 0;
}

static int begin(void **state)
{
	uint16_t port;
	char text[64];

	if (!program)
		return 0;
	port = start();
	(void)rig_setup(state);
	/* the same rig, with another port behind the same address */
	dns_free(r.dns);
	r.o.upstream_port = port;
	r.o.timeout_ms = 4000;
	free(box.bound);
	free(second.bound);
	(void)snprintf(text, sizeof(text), "nameserver 127.0.0.1\n");
	rig_write(&r, r.resolv_conf, text);
	assert_int_equal(dns_new(r.loop, &r.o, &r.dns, NULL), 0);
	rig_serve(&r, &box, box.rules);
	rig_serve(&r, &second, box.rules);
	return 0;
}

static int end(void **state)
{
	if (!program)
		return 0;
	(void)kill(child, SIGTERM);
	(void)waitpid(child, NULL, 0);
	(void)fclose(its_log);
	return rig_teardown(state);
}

static void test_names(void **state)
{
	(void)state;
	if (!program)
		skip();
	assert_string_equal(ask(&r, &box, "www.allowed.test", LDNS_RR_TYPE_A),
			    "NOERROR\nwww.allowed.test. 100 A 203.0.113.5\n");
	assert_string_equal(ask(&r, &box, "www.allowed.test", LDNS_RR_TYPE_AAAA),
			    "NOERROR\nwww.allowed.test. 100 AAAA 2001:db8::5\n");
	assert_string_equal(ask(&r, &box, "a.wild.test", LDNS_RR_TYPE_A),
			    "NOERROR\na.wild.test. 100 CNAME target.cdn.test.\n"
			    "target.cdn.test. 100 A 203.0.113.6\n");
	assert_string_equal(ask(&r, &box, "t.wild.test", LDNS_RR_TYPE_TXT),
			    "NOERROR\nt.wild.test. 100 TXT \"hello\" \"world\"\n");
	assert_string_equal(ask(&r, &box, "m.wild.test", LDNS_RR_TYPE_MX),
			    "NOERROR\nm.wild.test. 100 MX 10 mail.wild.test.\n");
	assert_string_equal(ask(&r, &box, "_x._tcp.wild.test", LDNS_RR_TYPE_SRV),
			    "NOERROR\n_x._tcp.wild.test. 100 SRV 1 2 443 srv.wild.test.\n");
	assert_string_equal(ask(&r, &box, "private.wild.test", LDNS_RR_TYPE_A), "NOERROR ede15\n");
	assert_memory_equal(ask(&r, &box, "none.wild.test", LDNS_RR_TYPE_A), "NXDOMAIN\n", 9);
	assert_non_null(box_bound(&box, "203.0.113.5"));
	assert_non_null(box_bound(&box, "2001:db8::5"));
	assert_int_equal(box_bound(&box, "203.0.113.6")->classes, 4);
	assert_null(box_bound(&box, "10.0.0.1"));
}

/* Its log, to the end, does not have the name. */
static void test_refused_stays_here(void **state)
{
	char line[1024];

	(void)state;
	if (!program)
		skip();
	assert_string_equal(ask(&r, &box, "secret.evil.test", LDNS_RR_TYPE_A), REFUSED_TEXT);
	assert_string_equal(ask(&r, &box, "www.allowed.test", LDNS_RR_TYPE_A),
			    "NOERROR\nwww.allowed.test. 100 A 203.0.113.5\n");
	(void)kill(child, SIGTERM);
	assert_true(wait_for_log("www.allowed.test"));
	while (fgets(line, sizeof(line), its_log))
		assert_null(strstr(line, "evil"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, begin, end),
		cmocka_unit_test_setup_teardown(test_refused_stays_here, begin, end),
	};

	program = find_program();
	return cmocka_run_group_tests_name("dns_dnsmasq", tests, NULL, NULL);
}
