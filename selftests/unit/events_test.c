// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Records as the kernel makes them, and the exact text that must come out. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "../../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"
#include "eventlog.h"
#include "util.h"

/* 2026-11-23T13:32:18.123456789Z */
#define TIME_NS 1795440738123456789ull

/* ---- a policy to explain with ------------------------------------------------------ */

static const char policy_text[] =
	"version: 1\n"
	"egress:\n"
	"  allow: [\"192.0.2.0/24:443\"]\n"
	"  deny: [\"198.51.100.0/24\"]\n"
	"files:\n"
	"  default: none\n"
	"  /usr: rx\n"
	"  /work: rwxc\n"
	"  \"**/.env\": none\n"
	"  /work/keys: r\n"
	"  \"~/.ssh\": none\n";

static struct compiled *compiled;

static int setup(void **state)
{
	struct policy_source src = { (char *)"test", (char *)"/etc/p/test.yaml",
				     (char *)policy_text, sizeof(policy_text) - 1 };
	struct policy_texts texts = { &src, 1 };
	struct policy_reader rd = policy_reader_texts(&texts);
	struct policy_vars vars = { .home = (char *)"/home/you" };
	struct policy *p = NULL;
	struct diag d = { 0 };
	int err;

	(void)state;
	err = policy_load("test", &rd, &p, &d);
	if (!err)
		err = policy_compile(p, &vars, &compiled, &d);
	policy_free(p);
	if (err)
		diag_print(stderr, "events_test", &d);
	return err;
}

static int teardown(void **state)
{
	(void)state;
	compiled_free(compiled);
	return 0;
}

/* ---- records -------------------------------------------------------------------------- */

struct record {
	struct eg_event ev;
	char data[EG_EVENT_DATA_MAX];
};

static size_t record_len(const struct record *r)
{
	return sizeof(r->ev) + r->ev.path_len + r->ev.path2_len + r->ev.exe_len;
}

static void record_names(struct record *r, const char *path, size_t len, const char *path2,
			 const char *exe)
{
	size_t len2 = path2 ? strlen(path2) : 0, len3 = exe ? strlen(exe) : 0;

	memcpy(r->data, path, len);
	memcpy(r->data + len, path2 ? path2 : "", len2);
	memcpy(r->data + len + len2, exe ? exe : "", len3);
	r->ev.path_len = (__u16)len;
	r->ev.path2_len = (__u16)len2;
	r->ev.exe_len = (__u16)len3;
}

static struct record record_of(__u16 op, __u8 reason, int error)
{
	struct record r = { .ev = {
		.time = 5000000000ull, .seq = 1, .sandbox = 7, .pid = 4242, .tid = 4243,
		.uid = 1000, .serial = 3, .error = error, .op = op, .reason = reason,
		.verdict = EG_VERDICT_DENIED, .comm = "node",
	} };

	return r;
}

static struct record record_open(const char *path, __u8 want)
{
	struct record r = record_of(EG_OP_OPEN, EG_WHY_RULE, EACCES);

	r.ev.want = want;
	record_names(&r, path, strlen(path), NULL, "/usr/bin/node");
	return r;
}

static void set_addr(struct record *r, const char *addr, __u16 port, __u8 proto)
{
	static const __u8 mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(r->ev.addr, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, addr, r->ev.addr + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, addr, r->ev.addr), 1);
	r->ev.port = htons(port);
	r->ev.proto = proto;
}

static struct event decoded(const struct record *r)
{
	struct event ev;

	assert_int_equal(event_decode(&ev, r, record_len(r)), 0);
	ev.time_ns = TIME_NS;
	event_explain(&ev, compiled);
	return ev;
}

/* Both texts of a record, and the way back from the first to the second. */
static void check_texts(const struct record *r, const char *json, const char *line)
{
	struct event ev = decoded(r);
	struct text a = { 0 }, b = { 0 }, c = { 0 };
	struct event_parsed parsed;

	ev.owner = 1000;
	assert_int_equal(event_to_json(&ev, &a), 0);
	if (json)
		assert_string_equal(a.p, json);
	assert_int_equal(event_to_line(&ev, &b), 0);
	assert_string_equal(b.p, line);
	assert_int_equal(event_from_json(a.p, a.len, &parsed), 0);
	assert_int_equal(parsed.ev.time_ns, TIME_NS);
	assert_int_equal(event_to_line(&parsed.ev, &c), 0);
	assert_string_equal(c.p, line);
	event_parsed_free(&parsed);
	text_free(&a);
	text_free(&b);
	text_free(&c);
}

static void check_remedy(const struct record *r, const char *rule, const char *command)
{
	struct event ev = decoded(r);
	struct text t = { 0 };

	assert_int_equal(event_allow_rule(&ev, &t), 0);
	assert_string_equal(t.len ? t.p : "", rule);
	assert_int_equal(event_allow_command(&ev, &t), 0);
	assert_string_equal(t.len ? t.p : "", command);
	text_free(&t);
}

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
	check_texts(&r,
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":1,\"sandbox\":7,"
		"\"owner\":1000,\"version\":3,\"pid\":4242,\"tid\":4243,\"uid\":1000,"
		"\"comm\":\"node\",\"exe\":\"/usr/bin/node\",\"op\":\"open\","
		"\"path\":\"/work/.env\",\"want\":\"r\",\"verdict\":\"denied\","
		"\"errno\":\"EACCES\",\"reason\":\"rule\",\"rule\":\"test.yaml:9\","
		"\"rule_text\":\"**/.env: none\",\"rule_file\":\"/etc/p/test.yaml\","
		"\"suppressed\":0,\"lost\":0,\"gap\":0,"
		"\"allow_rule\":\"files: {\\\"/work/.env\\\": r}\","
		"\"allow_command\":\"egressctl run --allow 'open /work/.env r' ...\"}",
		"denied open /work/.env r, by node[4242]: test.yaml:9 \"**/.env: none\"");
}

/* the default of the section is no rule to be found in a file */
static void test_default(void **state)
{
	struct record r = record_open("/home/me/.ssh/id_ed25519", EG_R);
	struct event ev = decoded(&r);
	struct text t = { 0 };

	(void)state;
	assert_int_equal(event_to_json(&ev, &t), 0);
	assert_non_null(strstr(t.p, ",\"rule\":null,\"rule_text\":\"default\","));
	text_free(&t);
	check_texts(&r, NULL, "denied open /home/me/.ssh/id_ed25519 r, by node[4242]: no rule "
			      "allows it");
	check_remedy(&r, "files: {\"/home/me/.ssh/id_ed25519\": r}",
		     "egressctl run --allow 'open /home/me/.ssh/id_ed25519 r' ...");
}

static void test_connect(void **state)
{
	struct record r = record_of(EG_OP_CONNECT, EG_WHY_RULE, EPERM);

	(void)state;
	set_addr(&r, "203.0.113.9", 443, IPPROTO_TCP);
	check_texts(&r,
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":1,\"sandbox\":7,"
		"\"owner\":1000,\"version\":3,\"pid\":4242,\"tid\":4243,\"uid\":1000,"
		"\"comm\":\"node\",\"exe\":null,\"op\":\"connect\","
		"\"address\":\"203.0.113.9\",\"port\":443,\"protocol\":\"tcp\","
		"\"verdict\":\"denied\",\"errno\":\"EPERM\",\"reason\":\"rule\",\"rule\":null,"
		"\"rule_text\":\"default\",\"suppressed\":0,\"lost\":0,\"gap\":0,"
		"\"allow_rule\":\"egress: {allow: [\\\"203.0.113.9:443/tcp\\\"]}\","
		"\"allow_command\":"
		"\"egressctl run --allow 'connect 203.0.113.9:443/tcp' ...\"}",
		"denied connect 203.0.113.9:443/tcp, by node[4242]: no rule allows it");
	set_addr(&r, "2001:db8::1", 53, IPPROTO_UDP);
	check_texts(&r, NULL,
		    "denied connect [2001:db8::1]:53/udp, by node[4242]: no rule allows it");
}

/* what is suggested must be what a policy can say */
static void test_connect_other_protocols(void **state)
{
	struct record r = record_of(EG_OP_SEND, EG_WHY_RULE, EPERM);

	(void)state;
	set_addr(&r, "203.0.113.9", 0, 253);
	check_texts(&r, NULL, "denied send 203.0.113.9:*/253, by node[4242]: no rule allows it");
	check_remedy(&r, "", "");
	set_addr(&r, "203.0.113.9", 0, IPPROTO_ICMP);
	check_remedy(&r, "egress: {allow: [\"203.0.113.9:*/icmp\"]}",
		     "egressctl run --allow 'connect 203.0.113.9:*/icmp' ...");
}

/* a deny wins over any allow: naming one would be a lie */
static void test_connect_denied_by_rule(void **state)
{
	struct record r = record_of(EG_OP_CONNECT, EG_WHY_RULE, EPERM);

	(void)state;
	set_addr(&r, "198.51.100.1", 22, IPPROTO_TCP);
	check_remedy(&r, "", "");
	assert_non_null(decoded(&r).by);
	assert_int_equal(decoded(&r).by->line, 4);
}

static void test_socket(void **state)
{
	struct record r = record_of(EG_OP_SOCKET, EG_WHY_FAMILY, EPERM);

	(void)state;
	r.ev.aux = (__u64)AF_INET << 32 | SOCK_RAW << 16 | IPPROTO_ICMP;
	check_texts(&r,
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":1,\"sandbox\":7,"
		"\"owner\":1000,\"version\":3,\"pid\":4242,\"tid\":4243,\"uid\":1000,"
		"\"comm\":\"node\",\"exe\":null,\"op\":\"socket\",\"family\":\"inet\","
		"\"type\":\"raw\",\"protocol\":\"icmp\",\"verdict\":\"denied\","
		"\"errno\":\"EPERM\",\"reason\":\"family\",\"rule\":null,\"rule_text\":null,"
		"\"suppressed\":0,\"lost\":0,\"gap\":0,"
		"\"allow_rule\":\"egress: {sockets: [raw]}\","
		"\"allow_command\":\"egressctl run --allow 'socket raw' ...\"}",
		"denied socket inet raw icmp, by node[4242]: kind of socket");
}

static void test_guards(void **state)
{
	struct record r = record_of(EG_OP_SIGNAL, EG_WHY_FOREIGN, EPERM);

	(void)state;
	r.ev.aux = (__u64)1 << 32 | 9;
	check_texts(&r, NULL, "denied signal KILL to process 1, by node[4242]: belongs to somebody "
			      "outside the sandbox");
	check_remedy(&r, "", "");
	r = record_of(EG_OP_CAPABLE, EG_WHY_GUARD, EPERM);
	r.ev.aux = 12; /* CAP_NET_ADMIN */
	check_texts(&r, NULL,
		    "denied capable net_admin, by node[4242]: never allowed in a sandbox");
	check_remedy(&r, "privileges: [net_admin]",
		     "egressctl run --allow 'privilege net_admin' ...");
	r.ev.aux = 16; /* CAP_SYS_MODULE: nothing lifts it */
	check_remedy(&r, "", "");
	r = record_of(EG_OP_PTRACE, EG_WHY_GUARD, EPERM);
	r.ev.aux = 77;
	check_texts(&r, NULL,
		    "denied ptrace of process 77, by node[4242]: never allowed in a sandbox");
	check_remedy(&r, "privileges: [ptrace]", "egressctl run --allow 'privilege ptrace' ...");
}

static void test_audit(void **state)
{
	struct record r = record_open("/etc/shadow", EG_R);

	(void)state;
	r.ev.verdict = EG_VERDICT_AUDIT;
	check_texts(&r, NULL, "would deny open /etc/shadow r, by node[4242]: no rule allows it");
}

static void test_unix(void **state)
{
	struct record r = record_of(EG_OP_UNIX, EG_WHY_RULE, EPERM);

	(void)state;
	r.ev.want = EG_W;
	record_names(&r, "@\0x11", 5, NULL, NULL);
	check_texts(&r, NULL,
		    "denied unix \"@\\x00x11\" w, by node[4242]: no rule allows it");
	check_remedy(&r, "egress: {unix: [\"@?x11\"]}", "egressctl run --allow 'unix @?x11' ...");
}

/* ---- remedies ------------------------------------------------------------------------------ */

static void test_remedy_keeps_what_is(void **state)
{
	struct record r = record_open("/usr/lib/x", EG_W);

	(void)state;
	check_remedy(&r, "files: {\"/usr/lib/x\": rwx}",
		     "egressctl run --allow 'open /usr/lib/x rwx' ...");
	assert_int_equal(decoded(&r).by->line, 7);
}

/* a rule that names the path itself is replaced, so it must be spelt as it is */
static void test_remedy_replaces(void **state)
{
	struct record r = record_open("/home/you/.ssh", EG_R);

	(void)state;
	check_remedy(&r, "files: {\"~/.ssh\": r}", "egressctl run --allow 'open ~/.ssh r' ...");
	r = record_open("/home/you/.ssh/config", EG_R);
	check_remedy(&r, "files: {\"/home/you/.ssh/config\": r}",
		     "egressctl run --allow 'open /home/you/.ssh/config r' ...");
	/* a rule for it would open everything */
	r = record_open("/", EG_R);
	check_remedy(&r, "", "");
}

static void test_remedy_rename(void **state)
{
	struct record r = record_of(EG_OP_RENAME, EG_WHY_RULE, EACCES);

	(void)state;
	r.ev.want = EG_C;
	record_names(&r, "/work/a", 7, "/work/keys/a", NULL);
	check_remedy(&r, "files: {\"/work/keys/a\": rc}",
		     "egressctl run --allow 'open /work/keys/a rc' ...");
	record_names(&r, "/usr/a", 6, "/work/keys/a", NULL);
	check_remedy(&r, "files: {\"/usr/a\": rxc, \"/work/keys/a\": rc}",
		     "egressctl run --allow 'open /usr/a rxc' --allow 'open /work/keys/a rc' ...");
	r.ev.reason = EG_WHY_GAIN;
	check_remedy(&r, "", "");
}

/* a name that looks like a pattern, or like the end of a shell word */
static void test_remedy_quotes(void **state)
{
	struct record r = record_open("/home/a*[b]'; rm $x\n\xff", EG_R);

	(void)state;
	check_remedy(&r, "files: {\"/home/a\\\\*\\\\[b\\\\]'; rm \\\\$x??\": r}",
		     "egressctl run --allow 'open /home/a\\*\\[b\\]'\\''; rm \\$x?? r' ...");
}

/* its own tasks are judged as /proc/self, whatever number the event has */
static void test_own_proc(void **state)
{
	struct record r = record_open("/proc/4242/environ", EG_R);
	struct record s = record_open("/proc/self/environ", EG_R);

	(void)state;
	assert_ptr_equal(decoded(&r).by, decoded(&s).by);
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
	assert_non_null(strstr(t.p, "\"allow_rule\":null,\"allow_command\":null"));
	text_free(&t);
}

/* A rule number past the table of a version is not followed. */
static void test_rule_out_of_range(void **state)
{
	struct record r = record_of(EG_OP_SEND, EG_WHY_HEADERS, EPERM);

	(void)state;
	set_addr(&r, "203.0.113.9", 1, IPPROTO_UDP);
	r.ev.rule = UINT32_MAX;
	assert_null(decoded(&r).by);
}

/* ---- hostile names ----------------------------------------------------------------------------- */

static const struct {
	const char *name, *json, *line;
} hostile[] = {
	{ "/a\nfake", "\"/a\\u000afake\"", "\"/a\\x0afake\"" },
	{ "/\x1b[2J", "\"/\\u001b[2J\"", "\"/\\x1b[2J\"" },
	{ "/\x7f", "\"/\\u007f\"", "\"/\\x7f\"" },
	{ "/\"},{\"", "\"/\\\"},{\\\"\"", "\"/\\\"},{\\\"\"" },
	{ "/\\x41", "\"/\\\\x41\"", "\"/\\\\x41\"" },
	{ "/a b", "\"/a b\"", "\"/a b\"" },
	{ "/\xc3\xa9", "\"/\xc3\xa9\"", "\"/\xc3\xa9\"" },
	{ "/\xc2\x9b", "\"/\\u009b\"", "\"/\\xc2\\x9b\"" }, /* CSI in one character */
	{ "/\xe2\x80\xae", "\"/\\u202e\"", "\"/\\xe2\\x80\\xae\"" }, /* right-to-left override */
	{ "/\xf3\xa0\x81\x81", "\"/\\udb40\\udc41\"", "\"/\\xf3\\xa0\\x81\\x81\"" },
	{ "/\xff", "\"/\\ufffd\",\"path_hex\":\"2fff\"", "\"/\\xff\"" },
	{ "/\xc3", "\"/\\ufffd\",\"path_hex\":\"2fc3\"", "\"/\\xc3\"" },
	{ "/\xc0\xaf", "\"/\\ufffd\\ufffd\",\"path_hex\":\"2fc0af\"", "\"/\\xc0\\xaf\"" },
	{ "/\xed\xa0\x80", "\"/\\ufffd\\ufffd\\ufffd\",\"path_hex\":\"2feda080\"",
	  "\"/\\xed\\xa0\\x80\"" },
	{ "/\xf4\x90\x80\x80", "\"/\\ufffd\\ufffd\\ufffd\\ufffd\",\"path_hex\":\"2ff4908080\"",
	  "\"/\\xf4\\x90\\x80\\x80\"" },
};

static void test_hostile_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		struct record r = record_open(hostile[i].name, EG_R);
		struct event ev = decoded(&r);
		struct text t = { 0 };
		char want[256];

		(void)snprintf(want, sizeof(want), ",\"path\":%s,\"want\"", hostile[i].json);
		assert_int_equal(event_to_json(&ev, &t), 0);
		assert_non_null(strstr(t.p, want));
		text_free(&t);
		(void)snprintf(want, sizeof(want), "denied open %s r, by node[4242]: no rule "
			       "allows it", hostile[i].line);
		check_texts(&r, NULL, want);
	}
}

/* The longest record, every byte of it the worst, is one object a reader accepts. */
static void test_longest(void **state)
{
	struct record r = record_of(EG_OP_LINK, EG_WHY_RULE, EACCES);
	struct event_parsed parsed;
	struct text t = { 0 };
	struct event ev;

	(void)state;
	r.ev.want = EG_C;
	memset(r.ev.comm, 0xff, sizeof(r.ev.comm));
	memset(r.data, 0xff, sizeof(r.data));
	r.data[0] = r.data[EG_PATH_MAX] = '/';
	r.ev.path_len = EG_PATH_MAX;
	r.ev.path2_len = EG_PATH_MAX;
	r.ev.exe_len = 1023;
	ev = decoded(&r);
	assert_int_equal(event_to_json(&ev, &t), 0);
	assert_true(t.len < EVENTLOG_BUFFER);
	assert_int_equal(event_from_json(t.p, t.len, &parsed), 0);
	assert_int_equal(parsed.ev.path.len, EG_PATH_MAX);
	assert_memory_equal(parsed.ev.path.p, r.data, EG_PATH_MAX);
	assert_int_equal(parsed.ev.comm.len, sizeof(r.ev.comm));
	event_parsed_free(&parsed);
	text_free(&t);
}

static void test_from_json_refuses(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "{}", "null",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"nonsense\"}",
		"{\"time\":\"yesterday\",\"op\":\"end\"}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"end\",\"seq\":-1}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"end\",\"seq\":\"1\"}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"open\",\"reason\":\"rule\","
		"\"verdict\":\"denied\",\"path\":\"/\",\"path_hex\":\"2\"}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"open\",\"reason\":\"rule\","
		"\"verdict\":\"denied\",\"path\":\"/\",\"path_hex\":\"2g\"}",
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"open\",\"reason\":\"rule\","
		"\"verdict\":\"denied\",\"path\":7}",
	};
	struct event_parsed p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(event_from_json(bad[i], strlen(bad[i]), &p), -EBADMSG);
}

/* every word of the format has a number, and the number the word */
static void test_names(void **state)
{
	char buf[EVENT_NAME_MAX];
	uint32_t v;

	(void)state;
	for (uint16_t op = 1; op < EG_OP_MAX; op++) {
		assert_string_not_equal(event_op_name(op), "unknown");
		assert_int_equal(event_op_from_name(event_op_name(op)), op);
	}
	assert_string_equal(event_op_name(EG_OP_MAX), "unknown");
	for (uint8_t why = 0; why < EG_WHY_MAX; why++) {
		assert_string_not_equal(event_reason_name(why), "unknown");
		assert_string_not_equal(event_reason_words(why), "unknown");
		assert_int_equal(event_reason_from_name(event_reason_name(why)), why);
	}
	for (enum event_names kind = EVENT_NAMES_PROTO; kind <= EVENT_NAMES_ERRNO; kind++) {
		for (uint32_t i = 0; i < 300; i++) {
			assert_int_equal(event_number(kind, event_name(kind, i, buf), &v), 0);
			assert_int_equal(v, i);
		}
		assert_int_equal(event_number(kind, "no such word", &v), -EINVAL);
	}
	assert_string_equal(event_name(EVENT_NAMES_ERRNO, EXDEV, buf), "EXDEV");
}

/* ---- sequence numbers ------------------------------------------------------------------------------ */

#define SEEN_MAX 16

struct seen {
	struct event ev[SEEN_MAX];
	size_t n;
};

static const struct compiled *find(void *ctx, uint32_t serial)
{
	(void)ctx;
	return serial == 3 ? compiled : NULL;
}

static int64_t owner(void *ctx, uint64_t sandbox)
{
	(void)ctx;
	return sandbox == 7 ? 1000 : -1;
}

static void sink(void *ctx, const struct event *ev)
{
	struct seen *s = ctx;

	assert_true(s->n < SEEN_MAX);
	s->ev[s->n++] = *ev;
}

static struct events *consumer(struct seen *s)
{
	struct events_ops ops = { .find = find, .owner = owner, .sink = sink, .ctx = s };
	struct events *e;

	assert_int_equal(events_new(-1, &ops, &e), 0);
	return e;
}

static void feed(struct events *e, uint64_t sandbox, uint64_t seq, uint64_t suppressed)
{
	struct record r = record_open("/x", EG_R);

	r.ev.sandbox = sandbox;
	r.ev.seq = seq;
	r.ev.suppressed = suppressed;
	events_feed(e, &r, record_len(&r));
}

static void test_gaps(void **state)
{
	struct seen s = { 0 };
	struct events *e = consumer(&s);

	(void)state;
	feed(e, 7, 1, 0);
	feed(e, 8, 3, 0); /* two lost before the first */
	feed(e, 7, 2, 5);
	feed(e, 7, 5, 5); /* 3 and 4 are missing … */
	feed(e, 7, 4, 5); /* … no: 4 was only slow */
	feed(e, 7, 6, 9);
	assert_int_equal(s.n, 6);
	assert_int_equal(s.ev[0].gap, 0);
	assert_int_equal(s.ev[0].owner, 1000);
	assert_true(s.ev[0].time_ns > s.ev[0].boot_ns);
	assert_int_equal(s.ev[1].gap, 2);
	assert_int_equal(s.ev[1].owner, -1);
	assert_int_equal(s.ev[2].suppressed_new, 5);
	assert_int_equal(s.ev[3].gap, 2);
	assert_int_equal(s.ev[3].suppressed_new, 0);
	assert_true(s.ev[4].late);
	assert_int_equal(s.ev[4].gap, 0);
	assert_int_equal(s.ev[5].gap, 0);
	assert_int_equal(s.ev[5].suppressed_new, 4);
	assert_int_equal(events_stats(e)->missing, 3);
	assert_int_equal(events_stats(e)->consumed, 6);
	events_feed(e, "junk", 4);
	assert_int_equal(events_stats(e)->malformed, 1);
	events_free(e);
}

static void test_end(void **state)
{
	struct eg_sandbox final = { .id = 7, .uid = 1000, .ev_seq = 10, .ev_suppressed = 4,
				    .ev_lost = 8, .denied = 14 };
	struct text t = { 0 };
	struct seen s = { 0 };
	struct events *e = consumer(&s);

	(void)state;
	feed(e, 7, 1, 0);
	feed(e, 7, 2, 1);
	events_end(e, &final);
	assert_true(s.ev[2].end);
	assert_int_equal(s.ev[2].gap, 8);
	assert_int_equal(s.ev[2].suppressed_new, 3);
	assert_int_equal(events_stats(e)->missing, 8);
	s.ev[2].time_ns = TIME_NS;
	assert_int_equal(event_to_json(&s.ev[2], &t), 0);
	assert_string_equal(t.p,
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":10,\"sandbox\":7,"
		"\"owner\":1000,\"op\":\"end\",\"denied\":14,\"failed\":0,\"suppressed\":4,"
		"\"suppressed_new\":3,\"lost\":8,\"gap\":8}");
	assert_int_equal(event_to_line(&s.ev[2], &t), 0);
	assert_string_equal(t.p, "end of sandbox 7: 14 denied, 4 not shown, 8 lost, "
				 "0 internal failures");
	text_free(&t);
	/* forgotten: a new one of that number would start at 1 */
	feed(e, 7, 1, 0);
	assert_false(s.ev[3].late);
	events_free(e);
}

static void test_adopted(void **state)
{
	struct seen s = { 0 };
	struct events *e = consumer(&s);

	(void)state;
	assert_int_equal(events_adopt(e, 7), 0);
	feed(e, 7, 500, 0);
	feed(e, 7, 502, 0);
	assert_int_equal(s.ev[0].gap, 0);
	assert_int_equal(s.ev[1].gap, 1);
	events_free(e);
}

/* ---- the log ------------------------------------------------------------------------------------------ */

static const char *log_dir(char buf[64])
{
	strcpy(buf, "/tmp/events_test.XXXXXX");
	assert_non_null(mkdtemp(buf));
	strcat(buf, "/log");
	return buf;
}

static void remove_log(const char *dir)
{
	char path[96];

	for (unsigned int i = 0; i <= EVENTLOG_KEEP; i++) {
		(void)snprintf(path, sizeof(path), i ? "%s/%s.%u" : "%s/%s", dir, EVENTLOG_FILE, i);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
	(void)snprintf(path, sizeof(path), "%.*s", (int)(strrchr(dir, '/') - dir), dir);
	assert_int_equal(rmdir(path), 0);
}

static size_t make_line(char *buf, size_t len, unsigned int n, unsigned int sandbox, const char *op)
{
	return (size_t)snprintf(buf, len,
				"{\"time\":\"2026-11-23T13:32:%02u.000000000Z\",\"seq\":%u,"
				"\"sandbox\":%u,\"owner\":%u,\"op\":\"%s\",\"path\":\"/\\\",\\\"sandbox"
				"\\\":9,\"}", n % 60, n, sandbox, 1000 + sandbox, op);
}

struct lines {
	size_t n;
	size_t stop; /* after so many; 0: never */
	unsigned int first, last; /* seq */
};

static int collect(void *ctx, const char *line, size_t len)
{
	struct lines *l = ctx;
	const char *seq = memmem(line, len, "\"seq\":", 6);

	l->last = seq ? (unsigned int)strtoul(seq + 6, NULL, 10) : 0;
	if (!l->n++)
		l->first = l->last;
	return l->stop && l->n == l->stop;
}

static void test_log_rotates(void **state)
{
	struct eventlog_filter all = { .owner = -1 };
	struct lines l = { 0 };
	struct eventlog *log, *second;
	char dir[64], line[256];
	struct stat st;

	(void)state;
	log_dir(dir);
	assert_int_equal(eventlog_open(dir, 1024, &log), 0);
	assert_int_equal(eventlog_open(dir, 1024, &second), -EWOULDBLOCK);
	for (unsigned int i = 1; i <= 100; i++) {
		eventlog_add(log, line, make_line(line, sizeof(line), i, 7, "open"));
		eventlog_flush(log);
	}
	assert_int_equal(eventlog_stats(log)->lines, 100);
	assert_int_equal(eventlog_stats(log)->dropped, 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777 & ~EVENTLOG_DIR_MODE, 0);
	assert_int_equal(eventlog_read(dir, &all, false, collect, &l), 0);
	/* the newest stay, in order, and no more than the files may hold */
	assert_int_equal(l.last, 100);
	assert_int_equal(l.first, 101 - l.n);
	assert_true(l.n * 100 < (EVENTLOG_KEEP + 1) * 1024);
	assert_true(l.n > EVENTLOG_KEEP * 5);
	eventlog_close(log);
	remove_log(dir);
}

static void test_log_filters(void **state)
{
	struct eventlog_filter f = { .owner = -1 };
	char line[256];
	size_t len = make_line(line, sizeof(line), 30, 7, "open");

	(void)state;
	assert_true(eventlog_match(&f, line, len));
	f.sandbox = 7;
	f.owner = 1007;
	f.op = EG_OP_OPEN;
	assert_int_equal(event_time_parse("2026-11-23T13:32:30.000000000Z", &f.since_ns), 0);
	assert_true(eventlog_match(&f, line, len));
	f.since_ns++;
	assert_false(eventlog_match(&f, line, len));
	f.since_ns = 0;
	f.sandbox = 9; /* what stands in a path is not a member */
	assert_false(eventlog_match(&f, line, len));
	f.sandbox = 0;
	f.owner = 0;
	assert_false(eventlog_match(&f, line, len));
	f.owner = -1;
	f.op = EG_OP_CONNECT;
	assert_false(eventlog_match(&f, line, len));
	f.op = 0;
	assert_false(eventlog_match(&f, line, len - 1)); /* half a line */
	assert_false(eventlog_match(&f, "x", 1));
}

/* A reader that follows sees what is written later, across a rotation. */
static void test_log_follow(void **state)
{
	struct eventlog_filter all = { .owner = -1 };
	struct lines l = { .stop = 60 };
	struct eventlog *log;
	char dir[64], line[256];
	int ready[2];
	pid_t child;
	char c;

	(void)state;
	log_dir(dir);
	assert_int_equal(eventlog_open(dir, 4096, &log), 0);
	assert_int_equal(pipe(ready), 0);
	eventlog_add(log, line, make_line(line, sizeof(line), 1, 7, "open"));
	eventlog_flush(log);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		assert_int_equal(read(ready[0], &c, 1), 1);
		for (unsigned int i = 2; i <= 60; i++) {
			eventlog_add(log, line, make_line(line, sizeof(line), i, 7, "open"));
			eventlog_flush(log);
		}
		_exit(0);
	}
	assert_int_equal(write(ready[1], "x", 1), 1);
	assert_int_equal(eventlog_read(dir, &all, true, collect, &l), 1);
	assert_int_equal(l.first, 1);
	assert_int_equal(l.last, 60);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ready[0]);
	close(ready[1]);
	eventlog_close(log);
	remove_log(dir);
}

/*
 * The limit on file sizes stands in for a full disk: a write comes back short,
 * half a line is taken back, and the next one that works says what is missing.
 */
static void test_log_full(void **state)
{
	struct rlimit old, small;
	struct eventlog_filter all = { .owner = -1 };
	struct eventlog *log;
	struct lines l = { 0 };
	char dir[64], line[256], path[96], text[4096];
	size_t n, len;
	FILE *f;

	(void)state;
	log_dir(dir);
	assert_int_equal(eventlog_open(dir, 1 << 20, &log), 0);
	len = make_line(line, sizeof(line), 1, 7, "open");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = len + 20; /* one line and a bit */
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned int i = 1; i <= 3; i++)
		eventlog_add(log, line, make_line(line, sizeof(line), i, 7, "open"));
	eventlog_flush(log);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(eventlog_stats(log)->lines, 1);
	assert_int_equal(eventlog_stats(log)->dropped, 2);
	assert_int_equal(eventlog_stats(log)->error, EFBIG);
	eventlog_add(log, line, make_line(line, sizeof(line), 4, 7, "open"));
	eventlog_flush(log);
	assert_int_equal(eventlog_stats(log)->error, 0);
	assert_int_equal(eventlog_read(dir, &all, false, collect, &l), 0);
	assert_int_equal(l.n, 3); /* 1, the note, 4 */
	(void)snprintf(path, sizeof(path), "%s/%s", dir, EVENTLOG_FILE);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "\",\"op\":\"dropped\",\"lines\":2}\n"));
	eventlog_close(log);
	remove_log(dir);
}

static void test_log_refuses(void **state)
{
	char dir[64], path[96];
	struct eventlog *log;

	(void)state;
	log_dir(dir);
	/* somebody else could rename files in it */
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(eventlog_open(dir, 0, &log), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, EVENTLOG_FILE);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(eventlog_open(dir, 0, &log), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(eventlog_open(dir, 0, &log) < 0);
	remove_log(dir);
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
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_from_json_refuses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_adopted),
		cmocka_unit_test(test_log_rotates),
		cmocka_unit_test(test_log_filters),
		cmocka_unit_test(test_log_follow),
		cmocka_unit_test(test_log_full),
		cmocka_unit_test(test_log_refuses),
	};

	return cmocka_run_group_tests_name("events", tests, setup, teardown);
}
