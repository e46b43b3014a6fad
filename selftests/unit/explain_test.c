/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a violation means and what to do about it, word for word. */
#include <errno.h>
#include <linux/capability.h>
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
#include "explain.h"
#include "util.h"

/* Through the JSON, as everybody gets it. */
static void parse_record(const struct record *r, bool live, struct event_parsed *e)
{
	struct event ev = record_event(r);
	struct text json = { 0 };

	ev.owner = 1000;
	ev.live = live;
	assert_int_equal(event_to_json(&ev, &json), 0);
	assert_int_equal(event_from_json(json.p, json.len, e), 0);
	text_free(&json);
}

static void check_text(const struct record *r, enum explain_for whom, const char *want)
{
	struct event_parsed e;
	struct text t = { 0 };

	parse_record(r, true, &e);
	assert_int_equal(explain_text(&e, whom, &t), 0);
	assert_string_equal(t.p, want);
	text_free(&t);
	event_parsed_free(&e);
}

#define FIRST "7.1  2026-11-23 13:32:18 UTC  denied, "
#define POLICY "  policy   test (/etc/p/test.yaml)\n"

static struct record with_parents(struct record r)
{
	r.ev.parents[0].pid = 4200;
	(void)strcpy(r.ev.parents[0].comm, "npm install");
	r.ev.parents[1].pid = 4100;
	(void)strcpy(r.ev.parents[1].comm, "egressctl");
	return r;
}

static void secret(void **state)
{
	struct record r = with_parents(record_open("/work/.env", EG_R));

	(void)state;
	check_text(&r, EXPLAIN_LIVE,
		   FIRST "EACCES\n"
		   "  tried    open /work/.env for r\n"
		   "  by       node[4242] /usr/bin/node, user 1000\n"
		   "  under    \"npm install\"[4200] < egressctl[4100]\n"
		   POLICY
		   "  refused  by test.yaml:9 \"**/.env: none\" (/etc/p/test.yaml)\n"
		   "  nearest  test.yaml:8 \"/work: rwxc\" (/etc/p/test.yaml)\n"
		   "  looks    like an attack: allow it only if you know why the program needs it "
		   "(credentials are kept there)\n"
		   "  allow    with one of\n"
		   "    for ten minutes   egressctl allow 7.1\n"
		   "    for the next run  egressctl run --allow 'open /work/.env r' ...\n"
		   "    for good          egressctl allow 7.1 --save\n"
		   "                      or in /etc/p/test.yaml: files: {\"/work/.env\": r}");
}

/* --save is printed where it does something, and no file that an upgrade replaces. */
static void for_good(void **state)
{
	struct record r = record_open("/work/.env", EG_R);
	struct event_parsed e;
	struct text t = { 0 };
	json_t *j, *last;

	(void)state;
	parse_record(&r, true, &e);
	e.ev.policy_file = EG_DATADIR "/policies/agent.yaml";
	assert_int_equal(explain_text(&e, EXPLAIN_LIVE, &t), 0);
	assert_non_null(strstr(t.p, "    for good          egressctl allow 7.1 --save\n"));
	assert_non_null(strstr(t.p, "or in a copy of " EG_DATADIR "/policies/agent.yaml: files: "));
	assert_int_equal(explain_text(&e, EXPLAIN_UNSAVED, &t), 0);
	assert_null(strstr(t.p, "--save"));
	assert_non_null(strstr(t.p, "    for ten minutes   egressctl allow 7.1\n"));
	assert_non_null(strstr(t.p, "    for good          in a copy of "));
	j = explain_json(&e, EXPLAIN_UNSAVED);
	assert_int_equal(json_array_size(json_object_get(j, "allow")), 3);
	last = json_array_get(json_object_get(j, "allow"), 2);
	assert_true(json_is_null(json_object_get(last, "file")));
	json_decref(j);
	e.ev.policy_file = "--allow";
	assert_int_equal(explain_text(&e, EXPLAIN_LIVE, &t), 0);
	assert_non_null(strstr(t.p, "or in the policy: files: "));
	text_free(&t);
	event_parsed_free(&e);
}

/* The same event when its sandbox has ended, and for who is in it. */
static void missing(void **state)
{
	struct record r = record_of(EG_OP_CONNECT, EG_WHY_RULE, EPERM);

	(void)state;
	record_addr(&r, "192.0.2.7", 8443, IPPROTO_TCP);
	check_text(&r, EXPLAIN_ENDED,
		   FIRST "EPERM\n"
		   "  tried    connect 192.0.2.7:8443/tcp\n"
		   "  by       node[4242], user 1000\n"
		   POLICY
		   "  refused  no rule allows it\n"
		   "  nearest  test.yaml:3 192.0.2.0/24:443 (/etc/p/test.yaml)\n"
		   "  looks    like a missing allowance, if the program needs it\n"
		   "  allow    with one of\n"
		   "    for the next run  egressctl run --allow 'connect 192.0.2.7:8443/tcp' ...\n"
		   "    for good          in /etc/p/test.yaml: egress: {allow: "
		   "[\"192.0.2.7:8443/tcp\"]}");
	check_text(&r, EXPLAIN_INSIDE,
		   FIRST "EPERM\n"
		   "  tried    connect 192.0.2.7:8443/tcp\n"
		   "  by       node[4242], user 1000\n"
		   POLICY
		   "  refused  no rule allows it\n"
		   "  nearest  test.yaml:3 192.0.2.0/24:443 (/etc/p/test.yaml)\n"
		   "  looks    like a missing allowance, if the program needs it\n"
		   "  allow    somebody outside of the sandbox can, with one of\n"
		   "    for ten minutes   egressctl allow 7.1\n"
		   "    for the next run  egressctl run --allow 'connect 192.0.2.7:8443/tcp' ...\n"
		   "    for good          egressctl allow 7.1 --save\n"
		   "                      or in /etc/p/test.yaml: egress: {allow: "
		   "[\"192.0.2.7:8443/tcp\"]}");
}

static void nothing_helps(void **state)
{
	struct record r = record_of(EG_OP_KERNEL, EG_WHY_GUARD, EPERM);

	(void)state;
	check_text(&r, EXPLAIN_LIVE,
		   FIRST "EPERM\n"
		   "  tried    kernel\n"
		   "  by       node[4242], user 1000\n"
		   POLICY
		   "  refused  never allowed in a sandbox\n"
		   "  looks    like an attack, and no rule can allow it "
		   "(it is about the kernel or about processes outside)");
}

/* Nobody can take back what is in every policy. */
static void a_rule_of_ours(void **state)
{
	static const struct rule_ref ours = { .file = (char *)"builtin", .kind = RULE_BUILTIN,
					      .text = (char *)"/etc/egressctl: rx" };
	struct record r = record_open("/etc/egressctl/x", EG_W);
	struct event_parsed e;
	struct text t = { 0 };

	(void)state;
	parse_record(&r, true, &e);
	e.ev.by = &ours;
	e.allow_rule = e.allow_command = e.allow_run = NULL;
	assert_int_equal(explain_text(&e, EXPLAIN_LIVE, &t), 0);
	assert_non_null(strstr(t.p, "  refused  by builtin \"/etc/egressctl: rx\"\n"));
	assert_non_null(strstr(t.p, "egressctl's own rule is there for: see egressctl-policy(5)"));
	assert_null(strstr(t.p, "take the rule back"));
	text_free(&t);
	event_parsed_free(&e);
}

static void a_device(void **state)
{
	struct record r = record_open("/work/card0", EG_R | EG_W);

	(void)state;
	r.ev.reason = EG_WHY_DEVICE;
	check_text(&r, EXPLAIN_LIVE,
		   FIRST "EACCES\n"
		   "  tried    open /work/card0 for rw\n"
		   "  by       node[4242] /usr/bin/node, user 1000\n"
		   POLICY
		   "  refused  a device that is more than a file\n"
		   "  looks    like a missing allowance, if the program needs it\n"
		   "  allow    with one of\n"
		   "    for ten minutes   egressctl allow 7.1\n"
		   "    for the next run  egressctl run --allow 'privilege devices' ...\n"
		   "    for good          egressctl allow 7.1 --save\n"
		   "                      or in /etc/p/test.yaml: privileges: [devices]");
}

/* Bytes that a terminal would act on, in everything that a program chooses. */
static void hostile(void **state)
{
	static const char made_up[] =
		"{\"time\":\"2026-11-23T13:32:18.123456789Z\",\"op\":\"bpf\",\"reason\":\"guard\","
		"\"verdict\":\"denied\",\"policy\":\"\\u001b[2J\",\"policy_file\":\"\\u202e\","
		"\"allow_rule\":\"\\u0007\",\"allow_command\":\"egressctl allow \\u001b\"}";
	struct record r = record_open("/work/\x1b[2J\n7.2  ok", EG_X);
	struct event_parsed e;
	struct text t = { 0 };
	json_t *j;
	char *flat;

	(void)state;
	(void)strcpy(r.ev.comm, "\x1b]0;x\x07");
	r.ev.parents[0].pid = 9;
	(void)strcpy(r.ev.parents[0].comm, "\xff\r\n");
	parse_record(&r, true, &e);
	assert_int_equal(e.ev.parents[0].comm.len, 3);
	assert_int_equal(explain_text(&e, EXPLAIN_LIVE, &t), 0);
	for (size_t i = 0; i < t.len; i++)
		assert_true((uint8_t)t.p[i] >= 0x20 || t.p[i] == '\n');
	assert_non_null(strstr(t.p, "open \"/work/\\x1b[2J\\x0a7.2  ok\" for x\n"));
	assert_non_null(strstr(t.p, "\"\\x1b]0;x\\x07\"[4242]"));
	assert_non_null(strstr(t.p, "\"\\xff\\x0d\\x0a\"[9]"));
	assert_null(strstr(t.p, "\n7.2"));
	j = explain_json(&e, EXPLAIN_LIVE);
	flat = json_dumps(j, JSON_COMPACT);
	assert_null(strstr(flat, "\\u001b"));
	free(flat);
	json_decref(j);
	event_parsed_free(&e);
	/* a line that somebody made up */
	t.failed = false;
	assert_int_equal(event_from_json(made_up, strlen(made_up), &e), 0);
	assert_int_equal(explain_text(&e, EXPLAIN_LIVE, &t), 0);
	for (size_t i = 0; i < t.len; i++)
		assert_true(((uint8_t)t.p[i] >= 0x20 && (uint8_t)t.p[i] < 0x7f) || t.p[i] == '\n');
	event_parsed_free(&e);
	text_free(&t);
}

static void as_json(void **state)
{
	struct record r = with_parents(record_open("/work/.env", EG_R));
	struct event_parsed e;
	char *flat;
	json_t *j;

	(void)state;
	parse_record(&r, true, &e);
	j = explain_json(&e, EXPLAIN_LIVE);
	flat = json_dumps(j, JSON_COMPACT);
	assert_string_equal(flat,
		"{\"event\":\"7.1\",\"time\":\"2026-11-23T13:32:18.123456789Z\","
		"\"tried\":\"open /work/.env for r\",\"op\":\"open\",\"verdict\":\"denied\","
		"\"errno\":\"EACCES\",\"program\":{\"pid\":4242,\"uid\":1000,\"comm\":\"node\","
		"\"exe\":\"/usr/bin/node\"},\"parents\":[{\"pid\":4200,\"comm\":\"\\\"npm "
		"install\\\"\"},{\"pid\":4100,\"comm\":\"egressctl\"}],\"policy\":\"test\","
		"\"policy_file\":\"/etc/p/test.yaml\",\"reason\":\"rule\",\"why\":\"a rule refuses "
		"it\",\"refused_by\":{\"rule\":\"test.yaml:9\",\"text\":\"**/.env: none\","
		"\"file\":\"/etc/p/test.yaml\"},\"nearest\":{\"rule\":\"test.yaml:8\","
		"\"text\":\"/work: rwxc\",\"file\":\"/etc/p/test.yaml\"},\"looks\":\"attack\","
		"\"kind\":\"secret\",\"because\":\"credentials are kept there\","
		"\"advice\":\"like an attack: allow it only if you know why the program needs it\","
		"\"allow\":[{\"lasts\":\"10m\",\"command\":\"egressctl allow 7.1\"},"
		"{\"lasts\":\"run\",\"command\":\"egressctl run --allow 'open /work/.env r' ...\"},"
		"{\"lasts\":\"always\",\"command\":\"egressctl allow 7.1 --save\"},"
		"{\"lasts\":\"always\",\"line\":\"files: {\\\"/work/.env\\\": r}\","
		"\"file\":\"/etc/p/test.yaml\"}]}");
	free(flat);
	json_decref(j);
	event_parsed_free(&e);
}

/* ---- attacks and what is none -------------------------------------------------------- */

static enum event_looks looks_of(const struct record *r)
{
	struct event ev = record_event(r);

	return event_looks(&ev);
}

static void paths(void **state)
{
	static const struct {
		const char *path;
		enum event_looks looks;
	} v[] = {
		{ "/home/me/.ssh/id_ed25519", EVENT_LOOKS_SECRET },
		{ "/root/.aws/credentials", EVENT_LOOKS_SECRET },
		{ "/etc/shadow", EVENT_LOOKS_SECRET },
		{ "/srv/x/y/.env", EVENT_LOOKS_SECRET },
		{ "/home/me/.config/Bitwarden CLI/data.json", EVENT_LOOKS_SECRET },
		{ "/tmp/krb5cc_1000", EVENT_LOOKS_SECRET },
		{ "/srv/tls/privkey1.pem", EVENT_LOOKS_SECRET },
		{ "/root/notes", EVENT_LOOKS_MISSING },
		{ "/etc/shadow.txt", EVENT_LOOKS_MISSING },
		{ "/srv/.env.example", EVENT_LOOKS_MISSING },
		{ "/home/me/src/ssh/id", EVENT_LOOKS_MISSING },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct record r = record_open(v[i].path, EG_R);

		if (looks_of(&r) != v[i].looks)
			fail_msg("%s: %s", v[i].path, event_looks_name(looks_of(&r)));
	}
}

static void names(void **state)
{
	static const struct {
		const char *name;
		enum event_looks looks;
	} v[] = {
		{ "files.pythonhosted.org", EVENT_LOOKS_MISSING },
		{ "d111111abcdef8.cloudfront.net", EVENT_LOOKS_MISSING },
		{ "really-quite-a-long-name-of-a-host.example.com", EVENT_LOOKS_MISSING },
		{ "metadata.google.internal", EVENT_LOOKS_METADATA },
		{ "Instance-Data.", EVENT_LOOKS_METADATA },
		{ "mzxw6ytboi2gk43umnqxg5dfojuwy3dj.t.example", EVENT_LOOKS_TUNNEL },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddaaaaaaaaaab.t.example",
		  EVENT_LOOKS_TUNNEL },
		{ "4d5a9000030000.0004000000ffff00.00b80000000000.00004000000000.000000000000."
		  "0000000000.0000000000.t.example", EVENT_LOOKS_TUNNEL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct record r = record_of(EG_OP_RESOLVE, EG_WHY_RULE, 0);

		record_names(&r, v[i].name, strlen(v[i].name), NULL, NULL);
		if (looks_of(&r) != v[i].looks)
			fail_msg("%s: %s", v[i].name, event_looks_name(looks_of(&r)));
	}
}

static void others(void **state)
{
	struct record r = record_of(EG_OP_CONNECT, EG_WHY_METADATA, EPERM);

	(void)state;
	record_addr(&r, "169.254.169.254", 80, IPPROTO_TCP);
	assert_int_equal(looks_of(&r), EVENT_LOOKS_METADATA);
	r = record_of(EG_OP_RESOLVE, EG_WHY_PRIVATE, 0);
	record_addr(&r, "169.254.169.254", 0, 0);
	record_names(&r, "rebind.test", 11, NULL, NULL);
	assert_int_equal(looks_of(&r), EVENT_LOOKS_METADATA);
	record_addr(&r, "10.0.0.1", 0, 0);
	assert_int_equal(looks_of(&r), EVENT_LOOKS_MISSING);
	r = record_of(EG_OP_UNIX, EG_WHY_RULE, EPERM);
	record_names(&r, "/run/docker.sock", 16, NULL, NULL);
	assert_int_equal(looks_of(&r), EVENT_LOOKS_SOCKET);
	record_names(&r, "/run/postgresql/.s.PGSQL.5432", 29, NULL, NULL);
	assert_int_equal(looks_of(&r), EVENT_LOOKS_MISSING);
	r = record_of(EG_OP_CAPABLE, EG_WHY_GUARD, EPERM);
	r.ev.aux = CAP_SYS_MODULE;
	assert_int_equal(looks_of(&r), EVENT_LOOKS_GUARD);
	r.ev.aux = CAP_NET_BIND_SERVICE;
	assert_int_equal(looks_of(&r), EVENT_LOOKS_MISSING);
	r = record_open("/work/copy", EG_R);
	r.ev.reason = EG_WHY_ANCHOR;
	assert_int_equal(looks_of(&r), EVENT_LOOKS_DETOUR);
}

/* What the kernel programs say of what is not the sandbox's own. */
static void neighbours(void **state)
{
	static const struct {
		uint16_t op;
		uint8_t reason;
		const char *path, *addr; /* NULL: none */
		enum event_looks looks;
	} v[] = {
		/* unix: by its name, another sandbox's; without one, who knows */
		{ EG_OP_UNIX, EG_WHY_FOREIGN, "/work/their.sock", NULL, EVENT_LOOKS_SANDBOX },
		{ EG_OP_UNIX, EG_WHY_FOREIGN, "@theirs", NULL, EVENT_LOOKS_SANDBOX },
		{ EG_OP_UNIX, EG_WHY_FOREIGN, NULL, NULL, EVENT_LOOKS_SOCKET },
		{ EG_OP_UNIX, EG_WHY_RULE, "/work/hosts.sock", NULL, EVENT_LOOKS_MISSING },
		{ EG_OP_CONNECT, EG_WHY_FOREIGN, NULL, "127.0.0.1", EVENT_LOOKS_SANDBOX },
		{ EG_OP_SEND, EG_WHY_FOREIGN, NULL, "::1", EVENT_LOOKS_SANDBOX },
		{ EG_OP_PACKET, EG_WHY_FOREIGN, NULL, "127.0.0.1", EVENT_LOOKS_SANDBOX },
		{ EG_OP_CONNECT, EG_WHY_LOOPBACK, NULL, "127.0.0.1", EVENT_LOOKS_MISSING },
		/* a socket that was passed in */
		{ EG_OP_CONNECT, EG_WHY_FOREIGN, NULL, NULL, EVENT_LOOKS_MISSING },
		{ EG_OP_BIND, EG_WHY_FOREIGN, NULL, NULL, EVENT_LOOKS_MISSING },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct record r = record_of(v[i].op, v[i].reason, EPERM);

		if (v[i].path)
			record_names(&r, v[i].path, strlen(v[i].path), NULL, NULL);
		if (v[i].addr)
			record_addr(&r, v[i].addr, 5432, IPPROTO_TCP);
		if (looks_of(&r) != v[i].looks)
			fail_msg("%zu: %s", i, event_looks_name(looks_of(&r)));
	}
}

static void neighbour_text(void **state)
{
	struct record r = record_of(EG_OP_CONNECT, EG_WHY_FOREIGN, EPERM);

	(void)state;
	record_addr(&r, "127.0.0.1", 5432, IPPROTO_TCP);
	check_text(&r, EXPLAIN_ENDED,
		   FIRST "EPERM\n"
		   "  tried    connect 127.0.0.1:5432/tcp\n"
		   "  by       node[4242], user 1000\n"
		   POLICY
		   "  refused  belongs to somebody outside the sandbox\n"
		   "  looks    like an attack: allow it only if you know why the program needs it "
		   "(it is another sandbox's socket, whose program would act for this one)\n"
		   "  allow    with one of\n"
		   "    for the next run  egressctl run --allow 'connect 127.0.0.1:5432/tcp' ...\n"
		   "    for good          in /etc/p/test.yaml: egress: {allow: "
		   "[\"127.0.0.1:5432/tcp\"]}");
}

/* An option of a name is a policy's to give: the address is not put in its place. */
static void by_policy_alone(void **state)
{
	struct record r = record_of(EG_OP_RESOLVE, EG_WHY_PRIVATE, 0);
	struct event_parsed e;

	(void)state;
	record_addr(&r, "10.1.2.3", 0, 0);
	record_names(&r, "in.example.com", 14, NULL, NULL);
	r.ev.pid = 0;
	check_text(&r, EXPLAIN_LIVE,
		   "7.1  2026-11-23 13:32:18 UTC  denied\n"
		   "  tried    resolve in.example.com 0 (10.1.2.3)\n"
		   "  by       a question to the resolver\n"
		   POLICY
		   "  refused  the name may not have this address, which is not a public one\n"
		   "  nearest  test.yaml:3 in.example.com:8443 (/etc/p/test.yaml)\n"
		   "  looks    like a missing allowance, if the program needs it\n"
		   "  allow    with a line of the policy, and nothing less\n"
		   "    for good          in /etc/p/test.yaml: egress: {allow: "
		   "[{host: \"in.example.com\", ports: [8443], private: true}]}");
	parse_record(&r, true, &e);
	assert_null(e.allow_run);
	assert_null(e.allow_command);
	assert_non_null(e.allow_rule);
	event_parsed_free(&e);
}

/* ---- the nearest rule -------------------------------------------------------------------- */

static const char *near_of(const struct record *r)
{
	struct event ev = record_event(r);

	return ev.near ? ev.near->text : "";
}

static const char *near_name(const char *name)
{
	struct record r = record_of(EG_OP_RESOLVE, EG_WHY_RULE, 0);

	record_names(&r, name, strlen(name), NULL, NULL);
	return near_of(&r);
}

static void nearest(void **state)
{
	struct record r;

	(void)state;
	assert_string_equal(near_name("out.example.com"), "in.example.com:8443");
	assert_string_equal(near_name("in.exmaple.com"), "in.example.com:8443"); /* a typo */
	assert_string_equal(near_name("IN.Example.com"), "in.example.com:8443");
	assert_string_equal(near_name("example.net"), "");
	assert_string_equal(near_name("other.com"), ""); /* com alone is no neighbourhood */
	r = record_open("/usr/share/x/y", EG_W);
	assert_string_equal(near_of(&r), ""); /* /usr: rx has no w, nor has what is above */
	r = record_open("/work/keys/k", EG_W);
	assert_string_equal(near_of(&r), "/work: rwxc");
	r = record_of(EG_OP_CONNECT, EG_WHY_RULE, EPERM);
	record_addr(&r, "192.0.3.1", 443, IPPROTO_TCP);
	assert_string_equal(near_of(&r), "192.0.2.0/24:443");
	record_addr(&r, "8.8.8.8", 443, IPPROTO_TCP);
	assert_string_equal(near_of(&r), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secret),  cmocka_unit_test(missing),
		cmocka_unit_test(for_good),
		cmocka_unit_test(nothing_helps), cmocka_unit_test(hostile),
		cmocka_unit_test(as_json), cmocka_unit_test(paths),
		cmocka_unit_test(a_rule_of_ours),
		cmocka_unit_test(a_device),
		cmocka_unit_test(names),   cmocka_unit_test(others),
		cmocka_unit_test(neighbours), cmocka_unit_test(neighbour_text),
		cmocka_unit_test(by_policy_alone),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, event_help_setup, event_help_teardown);
}
