// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Events about names: questions, server names, and the names of addresses. */
#include <errno.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compile.h"
#include "event_help.h"
#include "event_looks.h"
#include "event_text.h"
#include "util.h"

#define COMMAND(rule) "egressctl run --allow 'connect " rule "' ..."

static struct record question(const char *name, const char *addr, uint16_t qtype)
{
	struct event_resolve q = { .seq = 1, .sandbox = 7, .serial = 3, .uid = 1000, .name = name,
				   .qtype = qtype };
	struct record r = record_of(EG_OP_RESOLVE, EG_WHY_RULE, 0), addressed = r;
	char buf[EVENT_RESOLVE_MAX];
	size_t len;

	if (addr) {
		record_addr(&addressed, addr, 0, 0);
		q.addr = addressed.ev.addr;
	}
	len = event_make_resolve(&q, buf);
	assert_true(len <= sizeof(buf));
	memcpy(&r, buf, len);
	assert_int_equal(record_len(&r), len);
	r.ev.time = 5000000000ull;
	return r;
}

static void refused_question(void **state)
{
	struct record r = question("Tracker.example", NULL, 28);

	(void)state;
	event_check_texts(&r,
			  "{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":1,\"sandbox\":7,"
			  "\"owner\":1000," VERSION
			  "\"pid\":0,\"tid\":0,\"uid\":1000,\"comm\":\"\","
			  "\"exe\":null,\"parents\":[],\"op\":\"resolve\","
			  "\"name\":\"Tracker.example\","
			  "\"qtype\":\"AAAA\",\"verdict\":\"denied\",\"errno\":null,"
			  "\"reason\":\"rule\",\"rule\":null,\"rule_text\":\"default\","
			  "\"suppressed\":0,\"lost\":0,\"gap\":0,"
			  "\"allow_rule\":\"egress: {allow: [\\\"Tracker.example:443\\\"]}\","
			  ALLOW(COMMAND("Tracker.example:443")) "}",
			  "denied resolve Tracker.example AAAA: no rule allows it");
	/* what a rule denies, none can allow */
	r = question("evil.example.com", NULL, 1);
	event_check_texts(&r, NULL, "denied resolve evil.example.com A: test.yaml:4 "
				    "evil.example.com");
	event_check_remedy(&r, "", "");
	/* a question that is no name: bytes, a wildcard, an address, more than fits */
	r = question("a\\000b.example.org\x1b[2J", NULL, 4711);
	event_check_texts(&r, NULL, "denied resolve \"a\\\\000b.example.org\\x1b[2J\" 4711: no "
				    "rule allows it");
	event_check_remedy(&r, "", "");
	r = question("*.example.org", NULL, 1);
	event_check_remedy(&r, "", "");
	r = question("192.0.2.1", NULL, 1);
	event_check_remedy(&r, "", "");
	r = question(".example.org", NULL, 1);
	event_check_remedy(&r, "", "");
}

static void private_answer(void **state)
{
	struct record r = question("in.example.com", "10.1.2.3", 1);

	(void)state;
	event_check_texts(&r, NULL, "denied resolve in.example.com A (10.1.2.3): the name may not "
				    "have this address, which is not a public one");
	/* the ports that its rule opens */
	event_check_remedy(&r,
			   "egress: {allow: [{host: \"in.example.com\", ports: [8443], private: "
			   "true}]}", "");
	r = question("in.example.com", "fd00::1", 28);
	event_check_remedy(&r,
			   "egress: {allow: [{host: \"in.example.com\", ports: [8443], private: "
			   "true}]}", "");
	/* denied by address; a metadata service opens to its address alone */
	r = question("in.example.com", "198.51.100.7", 1);
	event_check_remedy(&r, "", "");
	r = question("in.example.com", "169.254.169.254", 1);
	event_check_remedy(&r, "egress: {allow: [\"169.254.169.254:8443\"]}",
			   COMMAND("169.254.169.254:8443"));
}

static void server_names(void **state)
{
	struct record r = record_of(EG_OP_SERVER_NAME, EG_WHY_RULE, EPERM);

	(void)state;
	record_addr(&r, "203.0.113.9", 443, IPPROTO_TCP);
	record_names(&r, "evil.test", 9, NULL, NULL);
	event_check_texts(&r,
			  "{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"seq\":1,\"sandbox\":7,"
			  "\"owner\":1000," VERSION "\"pid\":4242,\"tid\":4243,\"uid\":1000,"
			  "\"comm\":\"node\",\"exe\":null,\"parents\":[],\"op\":\"server-name\","
			  "\"server_name\":\"evil.test\",\"address\":\"203.0.113.9\",\"port\":443,"
			  "\"protocol\":\"tcp\",\"verdict\":\"denied\",\"errno\":\"EPERM\","
			  "\"reason\":\"rule\",\"rule\":null,\"rule_text\":\"default\","
			  "\"suppressed\":0,\"lost\":0,\"gap\":0,"
			  "\"allow_rule\":\"egress: {allow: [\\\"evil.test:443\\\"]}\","
			  ALLOW(COMMAND("evil.test:443")) "}",
			  "denied server-name evil.test at 203.0.113.9:443/tcp, by node[4242]: no "
			  "rule allows it");
	record_names(&r, "evil.example.com", 16, NULL, NULL);
	event_check_remedy(&r, "", "");
	/* allowed, but not for what it was presented to: no rule is missing */
	record_names(&r, "in.example.com", 14, NULL, NULL);
	r.ev.port = htons(8443);
	event_check_remedy(&r, "", "");
	/* no name: the address is all there is */
	r = record_of(EG_OP_SERVER_NAME, EG_WHY_NO_NAME, EPERM);
	record_addr(&r, "2001:db8::9", 443, IPPROTO_TCP);
	event_check_texts(&r, NULL, "denied server-name [2001:db8::9]:443/tcp, by node[4242]: no "
				    "server name, or not all of it in one piece");
	event_check_remedy(&r, "egress: {allow: [\"[2001:db8::9]:443/tcp\"]}",
			   COMMAND("[2001:db8::9]:443/tcp"));
}

/* ---- the names of addresses ----------------------------------------------------------- */

static const char *name_of(void *ctx, uint64_t sandbox, const uint8_t addr[16])
{
	(void)ctx;
	assert_int_equal(sandbox, 7);
	return addr[15] == 9 ? "tracker.example" : addr[15] == 10 ? "evil.example.com" : NULL;
}

static const struct compiled *find(void *ctx, uint32_t serial)
{
	(void)ctx;
	return serial == 3 ? event_compiled : NULL;
}

struct texts {
	char json[2048], line[512], rule[256], command[256];
};

static void sink(void *ctx, const struct event *ev)
{
	struct texts *out = ctx;
	struct text t = { 0 };
	struct event_parsed parsed;

	assert_int_equal(event_to_json(ev, &t), 0);
	(void)snprintf(out->json, sizeof(out->json), "%s", t.p);
	assert_int_equal(event_from_json(t.p, t.len, &parsed), 0);
	assert_int_equal(event_to_line(ev, &t), 0);
	(void)snprintf(out->line, sizeof(out->line), "%s", t.p);
	assert_int_equal(event_to_line(&parsed.ev, &t), 0);
	assert_string_equal(t.p, out->line);
	event_parsed_free(&parsed);
	assert_int_equal(event_allow_rule(ev, &t), 0);
	(void)snprintf(out->rule, sizeof(out->rule), "%s", t.len ? t.p : "");
	assert_int_equal(event_allow_command(ev, &t), 0);
	(void)snprintf(out->command, sizeof(out->command), "%s", t.len ? t.p : "");
	text_free(&t);
}

static void names_of_addresses(void **state)
{
	static const struct {
		uint16_t op;
		uint8_t reason;
		const char *addr;
		uint16_t port;
		uint8_t proto;
		const char *line, *rule, *command;
	} cases[] = {
		{ EG_OP_CONNECT, EG_WHY_RULE, "203.0.113.9", 443, IPPROTO_TCP,
		  "denied connect 203.0.113.9:443/tcp (tracker.example), by node[4242]: no rule "
		  "allows it",
		  "egress: {allow: [\"tracker.example:443\"]}", COMMAND("tracker.example:443") },
		/* by UDP no name can be judged */
		{ EG_OP_SEND, EG_WHY_RULE, "203.0.113.9", 443, IPPROTO_UDP,
		  "denied send 203.0.113.9:443/udp (tracker.example), by node[4242]: no rule "
		  "allows it",
		  "egress: {allow: [\"203.0.113.9:443/udp\"]}", COMMAND("203.0.113.9:443/udp") },
		/* nor is a name that a rule denies a reason to open its address */
		{ EG_OP_CONNECT, EG_WHY_RULE, "203.0.113.10", 443, IPPROTO_TCP,
		  "denied connect 203.0.113.10:443/tcp (evil.example.com), by node[4242]: "
		  "test.yaml:4 evil.example.com",
		  "", "" },
		{ EG_OP_CONNECT, EG_WHY_RULE, "203.0.113.11", 443, IPPROTO_TCP,
		  "denied connect 203.0.113.11:443/tcp, by node[4242]: no rule allows it",
		  "egress: {allow: [\"203.0.113.11:443/tcp\"]}", COMMAND("203.0.113.11:443/tcp") },
		/* the address is denied whatever its name */
		{ EG_OP_CONNECT, EG_WHY_RULE, "198.51.100.9", 443, IPPROTO_TCP,
		  "denied connect 198.51.100.9:443/tcp (tracker.example), by node[4242]: "
		  "test.yaml:4 198.51.100.0/24",
		  "", "" },
		{ EG_OP_SERVER_NAME, EG_WHY_NO_NAME, "203.0.113.9", 443, IPPROTO_TCP,
		  "denied server-name 203.0.113.9:443/tcp (tracker.example), by node[4242]: no "
		  "server name, or not all of it in one piece",
		  "egress: {allow: [{host: \"tracker.example\", ports: [443], tls: off}]}", "" },
		/* a port that a rule of its own does not check like that */
		{ EG_OP_SERVER_NAME, EG_WHY_NOT_TLS, "203.0.113.9", 22, IPPROTO_TCP,
		  "denied server-name 203.0.113.9:22/tcp (tracker.example), by node[4242]: neither "
		  "TLS nor HTTP, so that no server name can be checked",
		  "egress: {allow: [\"tracker.example:22\"]}", COMMAND("tracker.example:22") },
	};
	struct texts got;
	struct events_ops ops = { .find = find, .name_of = name_of, .sink = sink, .ctx = &got };
	struct events *e;

	(void)state;
	assert_int_equal(events_new(-1, &ops, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct record r = record_of(cases[i].op, cases[i].reason, EPERM);

		r.ev.seq = i + 1;
		record_addr(&r, cases[i].addr, cases[i].port, cases[i].proto);
		events_feed(e, &r, record_len(&r));
		assert_string_equal(got.line, cases[i].line);
		assert_string_equal(got.rule, cases[i].rule);
		assert_string_equal(got.command, cases[i].command);
		assert_int_equal(strstr(got.json, "\"name\":\"") != NULL,
				 strchr(got.line, '(') != NULL);
	}
	events_free(e);
}

/* ---- data in names ---------------------------------------------------------------------- */

struct asked {
	unsigned int n;
	enum event_looks looks;
};

static void count_looks(void *ctx, const struct event *ev)
{
	struct asked *a = ctx;

	a->n++;
	a->looks = event_looks(ev);
}

/* Names that are short enough each, as iodine and its like make them to pass for hosts. */
static void tunnel(void **state)
{
	struct asked got = {};
	struct events_ops ops = { .find = find, .sink = count_looks, .ctx = &got };
	struct events *e;

	(void)state;
	assert_int_equal(events_new(-1, &ops, &e), 0);
	for (unsigned int i = 0; i < 40; i++) {
		unsigned int key = i * 2654435761u;
		struct record r;
		char name[64];

		/* what a program asks for again and again is one name */
		(void)snprintf(name, sizeof(name), "%x.t.example.co.uk", i < 20 ? 7 : key);
		r = question(name, NULL, 16);
		r.ev.seq = i + 1;
		events_feed(e, &r, record_len(&r));
		assert_int_equal(got.n, i + 1);
		if (i < 20)
			assert_int_equal(got.looks, EVENT_LOOKS_MISSING);
	}
	assert_int_equal(got.looks, EVENT_LOOKS_TUNNEL);
	for (unsigned int i = 0; i < 20; i++) {
		struct record r;
		char name[64];

		/* as many below as many domains */
		(void)snprintf(name, sizeof(name), "www.site-%u.org", i);
		r = question(name, NULL, 1);
		r.ev.seq = 41 + i;
		events_feed(e, &r, record_len(&r));
		assert_int_equal(got.looks, EVENT_LOOKS_MISSING);
	}
	assert_int_equal(got.n, 60);
	events_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_question),
		cmocka_unit_test(private_answer),
		cmocka_unit_test(server_names),
		cmocka_unit_test(names_of_addresses),
		cmocka_unit_test(tunnel),
	};

	return cmocka_run_group_tests_name("events_names", tests, event_help_setup,
					   event_help_teardown);
}
