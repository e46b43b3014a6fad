// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "event_help.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "compile.h"
#include "event_text.h"
#include "util.h"

/* ---- a policy to explain with ------------------------------------------------------ */

static const char policy_text[] =
	"version: 1\n"
	"egress:\n"
	"  allow: [\"192.0.2.0/24:443\", \"in.example.com:8443\"]\n"
	"  deny: [\"198.51.100.0/24\", evil.example.com]\n"
	"files:\n"
	"  default: none\n"
	"  /usr: rx\n"
	"  /work: rwxc\n"
	"  \"**/.env\": none\n"
	"  /work/keys: r\n"
	"  \"~/.ssh\": none\n";

struct compiled *event_compiled;

int event_help_setup(void **state)
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
		err = policy_compile(p, &vars, &event_compiled, &d);
	policy_free(p);
	if (err)
		diag_print(stderr, "event_help", &d);
	return err;
}

int event_help_teardown(void **state)
{
	(void)state;
	compiled_free(event_compiled);
	return 0;
}

/* ---- records -------------------------------------------------------------------------- */

size_t record_len(const struct record *r)
{
	return sizeof(r->ev) + r->ev.path_len + r->ev.path2_len + r->ev.exe_len;
}

void record_names(struct record *r, const char *path, size_t len, const char *path2,
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

struct record record_of(__u16 op, __u8 reason, int error)
{
	struct record r = { .ev = {
		.time = 5000000000ull, .seq = 1, .sandbox = 7, .pid = 4242, .tid = 4243,
		.uid = 1000, .serial = 3, .error = error, .op = op, .reason = reason,
		.verdict = EG_VERDICT_DENIED, .comm = "node",
	} };

	return r;
}

struct record record_open(const char *path, __u8 want)
{
	struct record r = record_of(EG_OP_OPEN, EG_WHY_RULE, EACCES);

	r.ev.want = want;
	record_names(&r, path, strlen(path), NULL, "/usr/bin/node");
	return r;
}

void record_addr(struct record *r, const char *addr, __u16 port, __u8 proto)
{
	static const __u8 mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(r->ev.addr, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, addr, r->ev.addr + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, addr, r->ev.addr), 1);
	r->ev.port = htons(port);
	r->ev.proto = proto;
}

struct event record_event(const struct record *r)
{
	struct event ev;

	assert_int_equal(event_decode(&ev, r, record_len(r)), 0);
	ev.time_ns = TIME_NS;
	event_explain(&ev, event_compiled);
	return ev;
}

/* Both texts of a record, and the way back from the first to the second. */
void event_check_texts(const struct record *r, const char *json, const char *line)
{
	struct event ev = record_event(r);
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

/* What is logged says the same rules as the event. */
static void check_words(const struct event *ev)
{
	struct text run = { 0 }, words[2] = {}, logged[2] = {};
	size_t n = event_allow_words(ev, words);

	assert_int_equal(event_allow_run(ev, &run), 0);
	assert_int_equal(event_run_words(run.len ? run.p : NULL, logged), n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(logged[i].p, words[i].p);
	text_free(&run);
	for (size_t i = 0; i < 2; i++) {
		text_free(&words[i]);
		text_free(&logged[i]);
	}
}

void event_check_remedy(const struct record *r, const char *rule, const char *command)
{
	struct event ev = record_event(r);
	struct text t = { 0 };

	check_words(&ev);

	assert_int_equal(event_allow_rule(&ev, &t), 0);
	assert_string_equal(t.len ? t.p : "", rule);
	assert_int_equal(event_allow_command(&ev, &t), 0);
	assert_string_equal(t.len ? t.p : "", command);
	text_free(&t);
}
