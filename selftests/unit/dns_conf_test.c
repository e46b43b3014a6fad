// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* resolv.conf and hosts, as they are found on hosts. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dns_conf.h"
#include "dns_help.h"
#include "util.h"

static struct dns_resolv conf;

static const char *server(uint32_t i)
{
	static char text[INET6_ADDRSTRLEN];
	const union dns_server *s = &conf.servers[i];

	assert_true(i < conf.nservers);
	if (s->sa.sa_family == AF_INET)
		return inet_ntop(AF_INET, &s->in.sin_addr, text, sizeof(text));
	return inet_ntop(AF_INET6, &s->in6.sin6_addr, text, sizeof(text));
}

static void test_resolved(void **state)
{
	(void)state;
	dns_resolv_parse("# This is /run/systemd/resolve/stub-resolv.conf\n\n"
			 "nameserver 127.0.0.53\noptions edns0 trust-ad\n"
			 "search fritz.box\n", 53, &conf);
	assert_int_equal(conf.nservers, 1);
	assert_string_equal(server(0), "127.0.0.53");
	assert_int_equal(ntohs(conf.servers[0].in.sin_port), 53);
	assert_int_equal(conf.nsearch, 1);
	assert_string_equal(conf.search[0], "fritz.box");
	assert_int_equal(conf.timeout_s, 0);
}

static void test_resolv(void **state)
{
	(void)state;
	dns_resolv_parse("domain old.test\n"
			 "search A.test. b.test\tsvc.cluster.local bad..name\r\n"
			 "nameserver 192.0.2.1 # first\n"
			 " nameserver 192.0.2.9\n"
			 "nameserver\t2001:db8::1\n"
			 "nameserver fe80::1%1\n"
			 "nameserver fe80::1%no-such-link\n"
			 "nameserver 192.0.2.300\nnameserver\nnameservers 192.0.2.8\n"
			 ";nameserver 192.0.2.7\n"
			 "options timeout:3 attempts:9 rotate use-vc ndots:5 timeout:x\n"
			 "nameserver 192.0.2.2", 5353, &conf);
	assert_int_equal(conf.nservers, 5);
	assert_string_equal(server(0), "192.0.2.1");
	assert_string_equal(server(1), "2001:db8::1");
	assert_string_equal(server(2), "fe80::1");
	assert_int_equal(conf.servers[2].in6.sin6_scope_id, 1);
	assert_string_equal(server(4), "192.0.2.2");
	assert_int_equal(ntohs(conf.servers[4].in.sin_port), 5353);
	assert_int_equal(conf.nsearch, 3);
	assert_string_equal(conf.search[0], "a.test");
	assert_string_equal(conf.search[2], "svc.cluster.local");
	assert_int_equal(conf.timeout_s, 3);
	assert_int_equal(conf.attempts, 5);
	assert_true(conf.rotate && conf.use_vc);
}

static void test_resolv_bounds(void **state)
{
	char *text = malloc(100000), *p = text;

	(void)state;
	dns_resolv_parse("", 53, &conf);
	assert_int_equal(conf.nservers, 1);
	assert_string_equal(server(0), "127.0.0.1");
	for (int i = 0; i < 20; i++)
		p += sprintf(p, "nameserver 192.0.2.%d\n", i);
	p += sprintf(p, "search");
	for (int i = 0; i < 20; i++)
		p += sprintf(p, " s%d.test", i);
	memset(p, 'x', 50000);
	strcpy(p + 50000, "\nnameserver 192.0.2.99\n");
	dns_resolv_parse(text, 53, &conf);
	assert_int_equal(conf.nservers, DNS_MAX_SERVERS);
	assert_int_equal(conf.nsearch, 0); /* a line that is too long says nothing */
	free(text);
}

static void test_hosts(void **state)
{
	struct dns_hosts h = { 0 };
	const struct dns_host *host;
	uint8_t addr[16];

	(void)state;
	assert_int_equal(dns_hosts_parse("127.0.0.1 localhost\n"
					 "::1\tlocalhost ip6-localhost # comment\n"
					 "203.0.113.5 DB.Test. db\n"
					 "2001:db8::5 db.test\n203.0.113.5 db.test\n"
					 "fe80::1%eth0 link.test\n"
					 "203.0.113.6\n# 203.0.113.7 gone.test\nnonsense db.test\n"
					 "203.0.113.8 b\xc3\xbc" "cher.test a..b *.test", &h), 0);
	host = dns_hosts_find(&h, "db.test");
	assert_int_equal(host->naddrs, 2);
	assert_memory_equal(host->addrs[0], addr_of("203.0.113.5", addr), 16);
	assert_memory_equal(host->addrs[1], addr_of("2001:db8::5", addr), 16);
	assert_int_equal(dns_hosts_find(&h, "localhost")->naddrs, 2);
	assert_int_equal(dns_hosts_find(&h, "link.test")->naddrs, 1);
	assert_non_null(dns_hosts_find(&h, "db"));
	assert_null(dns_hosts_find(&h, "gone.test"));
	assert_int_equal(h.names.count, 5);
	assert_int_equal(dns_hosts_parse("", &h), 0);
	assert_int_equal(h.names.count, 0);
	dns_hosts_clear(&h);
}

static void set_time(const char *path, time_t ago)
{
	struct timespec t[2];

	(void)clock_gettime(CLOCK_REALTIME, &t[0]);
	t[0].tv_sec -= ago;
	t[1] = t[0];
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void test_file(void **state)
{
	char dir[] = "/tmp/dns-test-XXXXXX", path[64], link[64], *text;
	struct dns_file f = { .path = link };

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	(void)snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink("file", link), 0);
	assert_true(dns_file_changed(&f)); /* the first time */
	assert_false(dns_file_changed(&f)); /* what is not there can only come */
	text = dns_file_read(&f);
	assert_string_equal(text, "");
	free(text);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	set_time(path, 100);
	assert_true(dns_file_changed(&f)); /* behind the link */
	/* young: another change may look the same, so it is read again */
	assert_true(dns_file_changed(&f));
	unlink(path);
	unlink(link);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolved), cmocka_unit_test(test_resolv),
		cmocka_unit_test(test_resolv_bounds), cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests_name("dns_conf", tests, NULL, NULL);
}
