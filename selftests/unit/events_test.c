// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Records as the kernel makes them, and the exact text that must come out. */
#include <errno.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "compile.h"
#include "event_help.h"
#include "event_text.h"
#include "util.h"

/* ---- decoding --------------------------------------------------------------------------- */

static void test_decode_fields(void **state)
{
	struct record r = record_of(EG_OP_RENAME, EG_WHY_RULE, EXDEV);
	struct event ev;

	(void)state;
	r.ev.want = EG_C;
	record_names(&r, "/a", 2, "/bc", "/usr/bin/mv");
	assert_int_equal(event_decode(&ev, &r, record_len(&r)), 0);
	assert_int_equal(ev.path.len, 2);
	assert_memory_equal(ev.path.p, "/a", 2);
	assert_int_equal(ev.path2.len, 3);
	assert_memory_equal(ev.path2.p, "/bc", 3);
	assert_int_equal(ev.exe.len, 11);
	assert_memory_equal(ev.exe.p, "/usr/bin/mv", 11);
	assert_int_equal(ev.comm.len, 4);
	assert_int_equal(ev.pid, 4242);
	assert_int_equal(ev.error, EXDEV);
}

/* comm need not have a NUL */
static void test_decode_full_comm(void **state)
{
	struct record r = record_of(EG_OP_MOUNT, EG_WHY_GUARD, EPERM);
	struct event ev;

	(void)state;
	memset(r.ev.comm, 'x', sizeof(r.ev.comm));
	assert_int_equal(event_decode(&ev, &r, record_len(&r)), 0);
	assert_int_equal(ev.comm.len, sizeof(r.ev.comm));
}

static void test_decode_truncated(void **state)
{
	struct record r = record_open("/etc/shadow", EG_R);
	struct event ev, before;
	size_t len = record_len(&r);

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < len; i++) {
		/* exact size on the heap, so that the sanitizer sees one byte too far */
		char *copy = malloc(i + 1);

		assert_non_null(copy);
		memcpy(copy, &r, i);
		memcpy(&ev, &before, sizeof(ev));
		assert_int_equal(event_decode(&ev, copy, i), -EBADMSG);
		assert_memory_equal(&ev, &before, sizeof(ev));
		free(copy);
	}
	assert_int_equal(event_decode(&ev, &r, len), 0);
}

static void test_decode_ranges(void **state)
{
	const struct record good = record_open("/x", EG_R);
	struct record bad[13];
	struct event ev;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = good;
	bad[0].ev.op = EG_OP_NONE;
	bad[1].ev.op = EG_OP_MAX;
	bad[2].ev.reason = EG_WHY_MAX;
	bad[3].ev.verdict = 0;
	bad[4].ev.verdict = 3;
	bad[5].ev.want = 16;
	bad[6].ev.error = -1;
	bad[7].ev.error = 4096;
	bad[8].ev.sandbox = 0;
	bad[9].ev.seq = 0;
	bad[10].ev.path_len = EG_PATH_MAX + 1;
	bad[11].ev.exe_len = 1024;
	bad[12].ev.lost = 1ull << 63;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(event_decode(&ev, &bad[i], sizeof(bad[i])), -EBADMSG);
	assert_int_equal(event_decode(&ev, &good, sizeof(good)), 0);
}

/* ---- golden texts -------------------------------------------------------------------------- */

static void test_open(void **state)
{
	struct record r = record_open("/work/.env", EG_R);

	(void)state;
	event_check_texts(&r,
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":1,\"sandbox\":7,"
		"\"owner\":1000," VERSION "\"pid\":4242,\"tid\":4243,\"uid\":1000,"
		"\"comm\":\"node\",\"exe\":\"/usr/bin/node\",\"parents\":[],\"op\":\"open\","
		"\"path\":\"/work/.env\",\"want\":\"r\",\"verdict\":\"denied\","
		"\"errno\":\"EACCES\",\"reason\":\"rule\",\"rule\":\"test.yaml:9\","
		"\"rule_text\":\"**/.env: none\",\"rule_file\":\"/etc/p/test.yaml\","
		"\"near\":\"test.yaml:8\",\"near_text\":\"/work: rwxc\","
		"\"near_file\":\"/etc/p/test.yaml\","
		"\"suppressed\":0,\"lost\":0,\"gap\":0,"
		"\"allow_rule\":\"files: {\\\"/work/.env\\\": r}\","
		ALLOW("egressctl run --allow 'open /work/.env r' ...") "}",
		"denied open /work/.env r, by node[4242]: test.yaml:9 \"**/.env: none\"");
}

/* the default of the section is no rule to be found in a file */
static void test_default(void **state)
{
	struct record r = record_open("/home/me/.ssh/id_ed25519", EG_R);
	struct event ev = record_event(&r);
	struct text t = { 0 };

	(void)state;
	assert_int_equal(event_to_json(&ev, &t), 0);
	assert_non_null(strstr(t.p, ",\"rule\":null,\"rule_text\":\"default\","));
	text_free(&t);
	event_check_texts(&r, NULL, "denied open /home/me/.ssh/id_ed25519 r, by node[4242]: no "
				    "rule allows it");
	event_check_remedy(&r, "files: {\"/home/me/.ssh/id_ed25519\": r}",
		     "egressctl run --allow 'open /home/me/.ssh/id_ed25519 r' ...");
}

static void test_connect(void **state)
{
	struct record r = record_of(EG_OP_CONNECT, EG_WHY_RULE, EPERM);

	(void)state;
	record_addr(&r, "203.0.113.9", 443, IPPROTO_TCP);
	event_check_texts(&r,
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":1,\"sandbox\":7,"
		"\"owner\":1000," VERSION "\"pid\":4242,\"tid\":4243,\"uid\":1000,"
		"\"comm\":\"node\",\"exe\":null,\"parents\":[],\"op\":\"connect\","
		"\"address\":\"203.0.113.9\",\"port\":443,\"protocol\":\"tcp\","
		"\"verdict\":\"denied\",\"errno\":\"EPERM\",\"reason\":\"rule\",\"rule\":null,"
		"\"rule_text\":\"default\",\"suppressed\":0,\"lost\":0,\"gap\":0,"
		"\"allow_rule\":\"egress: {allow: [\\\"203.0.113.9:443/tcp\\\"]}\","
		ALLOW("egressctl run --allow 'connect 203.0.113.9:443/tcp' ...") "}",
		"denied connect 203.0.113.9:443/tcp, by node[4242]: no rule allows it");
	record_addr(&r, "2001:db8::1", 53, IPPROTO_UDP);
	event_check_texts(&r, NULL,
		    "denied connect [2001:db8::1]:53/udp, by node[4242]: no rule allows it");
}

/* what is suggested must be what a policy can say */
static void test_connect_other_protocols(void **state)
{
	struct record r = record_of(EG_OP_SEND, EG_WHY_RULE, EPERM);

	(void)state;
	record_addr(&r, "203.0.113.9", 0, 253);
	event_check_texts(&r, NULL, "denied send 203.0.113.9:*/253, by node[4242]: no rule allows "
				    "it");
	event_check_remedy(&r, "", "");
	record_addr(&r, "203.0.113.9", 0, IPPROTO_ICMP);
	event_check_remedy(&r, "egress: {allow: [\"203.0.113.9:*/icmp\"]}",
		     "egressctl run --allow 'connect 203.0.113.9:*/icmp' ...");
}

/* a deny wins over any allow: naming one would be a lie */
static void test_connect_denied_by_rule(void **state)
{
	struct record r = record_of(EG_OP_CONNECT, EG_WHY_RULE, EPERM);

	(void)state;
	record_addr(&r, "198.51.100.1", 22, IPPROTO_TCP);
	event_check_remedy(&r, "", "");
	assert_non_null(record_event(&r).by);
	assert_int_equal(record_event(&r).by->line, 4);
}

static void test_socket(void **state)
{
	struct record r = record_of(EG_OP_SOCKET, EG_WHY_FAMILY, EPERM);

	(void)state;
	r.ev.aux = (__u64)AF_INET << 32 | SOCK_RAW << 16 | IPPROTO_ICMP;
	event_check_texts(&r,
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":1,\"sandbox\":7,"
		"\"owner\":1000," VERSION "\"pid\":4242,\"tid\":4243,\"uid\":1000,"
		"\"comm\":\"node\",\"exe\":null,\"parents\":[],\"op\":\"socket\","
		"\"family\":\"inet\",\"type\":\"raw\",\"protocol\":\"icmp\",\"verdict\":\"denied\","
		"\"errno\":\"EPERM\",\"reason\":\"family\",\"rule\":null,\"rule_text\":null,"
		"\"suppressed\":0,\"lost\":0,\"gap\":0,"
		"\"allow_rule\":\"egress: {sockets: [raw]}\","
		ALLOW("egressctl run --allow 'socket raw' ...") "}",
		"denied socket inet raw icmp, by node[4242]: kind of socket");
}

static void test_guards(void **state)
{
	struct record r = record_of(EG_OP_SIGNAL, EG_WHY_FOREIGN, EPERM);

	(void)state;
	r.ev.aux = (__u64)1 << 32 | 9;
	event_check_texts(&r, NULL, "denied signal KILL to process 1, by node[4242]: belongs to "
				    "somebody outside the sandbox");
	event_check_remedy(&r, "", "");
	r = record_of(EG_OP_CAPABLE, EG_WHY_GUARD, EPERM);
	r.ev.aux = 12; /* CAP_NET_ADMIN */
	event_check_texts(&r, NULL,
		    "denied capable net_admin, by node[4242]: never allowed in a sandbox");
	event_check_remedy(&r, "privileges: [net_admin]",
		     "egressctl run --allow 'privilege net_admin' ...");
	r.ev.aux = 16; /* CAP_SYS_MODULE: nothing lifts it */
	event_check_remedy(&r, "", "");
	r = record_of(EG_OP_PTRACE, EG_WHY_GUARD, EPERM);
	r.ev.aux = 77;
	event_check_texts(&r, NULL,
		    "denied ptrace of process 77, by node[4242]: never allowed in a sandbox");
	event_check_remedy(&r, "privileges: [ptrace]",
			   "egressctl run --allow 'privilege ptrace' ...");
}

static void test_audit(void **state)
{
	struct record r = record_open("/etc/shadow", EG_R);

	(void)state;
	r.ev.verdict = EG_VERDICT_AUDIT;
	event_check_texts(&r, NULL, "would deny open /etc/shadow r, by node[4242]: no rule allows "
				    "it");
}

static void test_unix(void **state)
{
	struct record r = record_of(EG_OP_UNIX, EG_WHY_RULE, EPERM);

	(void)state;
	r.ev.want = EG_W;
	record_names(&r, "@\0x11", 5, NULL, NULL);
	event_check_texts(&r, NULL,
		    "denied unix \"@\\x00x11\" w, by node[4242]: no rule allows it");
	event_check_remedy(&r, "egress: {unix: [\"@?x11\"]}",
			   "egressctl run --allow 'unix @?x11' ...");
}

/* ---- remedies ------------------------------------------------------------------------------ */

static void test_remedy_keeps_what_is(void **state)
{
	struct record r = record_open("/usr/lib/x", EG_W);

	(void)state;
	event_check_remedy(&r, "files: {\"/usr/lib/x\": rwx}",
		     "egressctl run --allow 'open /usr/lib/x rwx' ...");
	assert_int_equal(record_event(&r).by->line, 7);
}

/* a rule that names the path itself is replaced, so it must be spelt as it is */
static void test_remedy_replaces(void **state)
{
	struct record r = record_open("/home/you/.ssh", EG_R);

	(void)state;
	event_check_remedy(&r, "files: {\"~/.ssh\": r}",
			   "egressctl run --allow 'open ~/.ssh r' ...");
	r = record_open("/home/you/.ssh/config", EG_R);
	event_check_remedy(&r, "files: {\"/home/you/.ssh/config\": r}",
		     "egressctl run --allow 'open /home/you/.ssh/config r' ...");
	/* a rule for it would open everything */
	r = record_open("/", EG_R);
	event_check_remedy(&r, "", "");
}

static void test_remedy_rename(void **state)
{
	struct record r = record_of(EG_OP_RENAME, EG_WHY_RULE, EACCES);

	(void)state;
	r.ev.want = EG_C;
	record_names(&r, "/work/a", 7, "/work/keys/a", NULL);
	event_check_remedy(&r, "files: {\"/work/keys/a\": rc}",
		     "egressctl run --allow 'open /work/keys/a rc' ...");
	record_names(&r, "/usr/a", 6, "/work/keys/a", NULL);
	event_check_remedy(&r, "files: {\"/usr/a\": rxc, \"/work/keys/a\": rc}",
		     "egressctl run --allow 'open /usr/a rxc' --allow 'open /work/keys/a rc' ...");
	r.ev.reason = EG_WHY_GAIN;
	event_check_remedy(&r, "", "");
}

/* a name that looks like a pattern, or like the end of a shell word */
static void test_remedy_quotes(void **state)
{
	struct record r = record_open("/home/a*[b]'; rm $x\n\xff", EG_R);

	(void)state;
	event_check_remedy(&r, "files: {\"/home/a\\\\*\\\\[b\\\\]'; rm \\\\$x??\": r}",
		     "egressctl run --allow 'open /home/a\\*\\[b\\]'\\''; rm \\$x?? r' ...");
}

/* its own tasks are judged as /proc/self, whatever number the event has */
static void test_own_proc(void **state)
{
	struct record r = record_open("/proc/4242/environ", EG_R);
	struct record s = record_open("/proc/self/environ", EG_R);

	(void)state;
	assert_ptr_equal(record_event(&r).by, record_event(&s).by);
}

static void test_no_version(void **state)
{
	struct record r = record_open("/x", EG_R);
	struct text t = { 0 };
	struct event ev;

	(void)state;
	assert_int_equal(event_decode(&ev, &r, record_len(&r)), 0);
	event_explain(&ev, NULL);
	assert_int_equal(event_to_json(&ev, &t), 0);
	assert_non_null(strstr(t.p, "\"rule\":null,\"rule_text\":null,"));
	assert_non_null(strstr(t.p, "\"allow_rule\":null,\"allow_command\":null,"
				    "\"allow_run\":null"));
	text_free(&t);
}

/* A rule number past the table of a version is not followed. */
static void test_rule_out_of_range(void **state)
{
	struct record r = record_of(EG_OP_SEND, EG_WHY_HEADERS, EPERM);

	(void)state;
	record_addr(&r, "203.0.113.9", 1, IPPROTO_UDP);
	r.ev.rule = UINT32_MAX;
	assert_null(record_event(&r).by);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_fields),
		cmocka_unit_test(test_decode_full_comm),
		cmocka_unit_test(test_decode_truncated),
		cmocka_unit_test(test_decode_ranges),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_other_protocols),
		cmocka_unit_test(test_connect_denied_by_rule),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_guards),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_remedy_keeps_what_is),
		cmocka_unit_test(test_remedy_replaces),
		cmocka_unit_test(test_remedy_rename),
		cmocka_unit_test(test_remedy_quotes),
		cmocka_unit_test(test_own_proc),
		cmocka_unit_test(test_no_version),
		cmocka_unit_test(test_rule_out_of_range),
	};

	return cmocka_run_group_tests_name("events", tests, event_help_setup, event_help_teardown);
}
