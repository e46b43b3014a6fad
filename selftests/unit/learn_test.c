// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From traces to rules: what is folded, what is asked, and what a hostile name cannot do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "event_text.h"
#include "events.h"
#include "learn.h"
#include "learn_int.h"
#include "policy_help.h"
#include "report.h"
#include "verdict.h"

#define WORK "/home/u/work"

static const char base_text[] = "version: 1\nfiles:\n  /usr: rx\n  /etc: r\n  /tmp: rwxc\n"
				"  /proc: r\n  \"**/.env\": none\n  ~/.ssh: none\n"
				"  /etc/shadow: none\n";
static const char secrets_text[] = "version: 1\nfiles:\n  default: rwxc\n"
				   "  \"${WORKDIR}\": rwxc\n  \"~\": rwxc\n  \"**/.env\": none\n"
				   "  ~/.ssh: none\n  /etc/shadow: none\n";

struct box {
	struct trace t;
	struct policy_vars v;
	struct compiled *base, *secrets;
	struct learned l;
	struct text text;
};

static int setup(void **state)
{
	struct box *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	assert_int_equal(trace_init(&b->t, 7, "n", "base"), 0);
	b->v = help_vars(NULL);
	b->base = help_compile(base_text, &b->v);
	b->secrets = help_compile(secrets_text, &b->v);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	trace_clear(&b->t);
	learned_clear(&b->l);
	text_free(&b->text);
	compiled_free(b->base);
	compiled_free(b->secrets);
	free(b);
	return 0;
}

static struct event_bytes bytes(const char *s)
{
	return (struct event_bytes){ s, s ? strlen(s) : 0 };
}

static void touch2(struct box *b, uint16_t op, uint8_t want, const char *path, const char *path2,
		   bool dir)
{
	struct event ev = { .op = op, .want = want, .verdict = EG_VERDICT_AUDIT,
			    .path = bytes(path), .path2 = bytes(path2), .exe = bytes("/usr/bin/cc"),
			    .aux = dir ? EG_TRACE_DIR : 0 };

	trace_add_event(&b->t, &ev);
}

static void touch(struct box *b, uint16_t op, uint8_t want, const char *path)
{
	touch2(b, op, want, path, NULL, op == EG_OP_MKDIR);
}

static void send_to(struct box *b, const char *addr, uint16_t port, uint8_t reason)
{
	struct event ev = { .op = EG_OP_CONNECT, .verdict = EG_VERDICT_AUDIT, .port = port,
			    .proto = IPPROTO_TCP, .reason = reason, .comm = bytes("node") };

	ev.addr[10] = ev.addr[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, addr, ev.addr + 12), 1);
	trace_add_event(&b->t, &ev);
}

static void resolved(struct box *b, const char *name, const char *addr)
{
	uint8_t a[16] = { [10] = 0xff, [11] = 0xff };

	trace_add_name(&b->t, name, false, NULL);
	if (!addr)
		return;
	assert_int_equal(inet_pton(AF_INET, addr, a + 12), 1);
	trace_add_name(&b->t, name, false, a);
}

/* The policy's text, which is loaded as any other, with every access it must allow. */
static const char *learn(struct box *b)
{
	static const char *const extends[] = { "base" };
	struct learn_input in = { &b->t, b->base, b->secrets, &b->v, 1000 };
	struct policy_file files[] = { { "p", NULL }, { "base", base_text }, {} };
	struct compiled *c;

	learned_clear(&b->l);
	assert_int_equal(learn_rules(&in, &b->l), 0);
	assert_int_equal(learn_text(&b->l, extends, 1, "make", &b->text), 0);
	files[0].text = b->text.p;
	c = help_compile_files(files, &b->v);
	assert_int_equal(learn_missing(&in, c, &b->l), 0);
	compiled_free(c);
	return b->text.p;
}

static void has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("'%s' is not in:\n%s", line, text);
}

static void has_not(const char *text, const char *line)
{
	if (strstr(text, line))
		fail_msg("'%s' is in:\n%s", line, text);
}

/* ---- paths ------------------------------------------------------------------------------ */

static void few_files_are_listed(void **state)
{
	struct box *b = *state;
	const char *p;

	touch(b, EG_OP_OPEN, EG_R, WORK "/main.c");
	touch(b, EG_OP_OPEN, EG_R, WORK "/main.h");
	touch(b, EG_OP_CREATE, EG_C, WORK "/out");
	touch(b, EG_OP_OPEN, EG_W, WORK "/out");
	touch(b, EG_OP_EXEC, EG_X, WORK "/out");
	p = learn(b);
	has(p, "  \"${WORKDIR}/main.c\": r ");
	has(p, "  \"${WORKDIR}/out\": wxc ");
	has(p, "1 path, by cc");
	has_not(p, "\"${WORKDIR}\":");
}

static void many_files_are_their_directory(void **state)
{
	struct box *b = *state;
	char path[64];
	const char *p;

	for (int i = 0; i < 5; i++) {
		(void)snprintf(path, sizeof(path), WORK "/src/%c.c", 'a' + i);
		touch(b, EG_OP_OPEN, EG_R, path);
	}
	touch(b, EG_OP_CREATE, EG_C, WORK "/src/a.o");
	p = learn(b);
	has(p, "  \"${WORKDIR}/src\": r ");
	has(p, "5 paths, by cc");
	/* one file that is made there opens nothing else for writing, and stays readable */
	has(p, "  \"${WORKDIR}/src/a.o\": rc ");
}

static void what_was_made_is_one_rule(void **state)
{
	struct box *b = *state;
	const char *p;

	touch(b, EG_OP_MKDIR, EG_C, WORK "/node_modules");
	touch(b, EG_OP_MKDIR, EG_C, WORK "/node_modules/x");
	touch(b, EG_OP_CREATE, EG_C, WORK "/node_modules/x/index.js");
	touch(b, EG_OP_OPEN, EG_R | EG_W, WORK "/node_modules/x/index.js");
	p = learn(b);
	has(p, "  \"${WORKDIR}/node_modules\": rwc ");
	assert_int_equal(b->l.nrules, 1);
}

static void names_that_change_are_folded(void **state)
{
	struct box *b = *state;
	const char *p;

	touch(b, EG_OP_CREATE, EG_C, WORK "/obj/tmp_obj_fS8sd2");
	touch(b, EG_OP_CREATE, EG_C, "/home/u/.lesshst-48213.tmp");
	touch(b, EG_OP_OPEN, EG_R, "/var/lib/f00dfeed12345678/x");
	p = learn(b);
	has(p, "  \"${WORKDIR}/obj\": c ");
	has(p, "  \"~/.lesshst-*.tmp\": c ");
	/* nothing would be left of this one but '*' */
	has(p, "  /var/lib/f00dfeed12345678: r ");
	assert_false(learn_name_random("CMakeLists", 10));
	assert_false(learn_name_random("python3.11", 10));
	assert_false(learn_name_random("x86_64-linux-gnu", 16));
	assert_true(learn_name_random("sess-AbCdEf", 11));
}

static void shared_directories_are_not_opened(void **state)
{
	struct box *b = *state;
	char path[64];
	const char *p;

	for (int i = 0; i < 6; i++) {
		(void)snprintf(path, sizeof(path), "/var/lib/%cx/db", 'a' + i);
		touch(b, EG_OP_OPEN, EG_R, path);
	}
	touch2(b, EG_OP_OPEN, EG_R, "/home/u", NULL, true);
	p = learn(b);
	has_not(p, "  /var/lib: ");
	has(p, "  /var/lib/ax/db: r ");
	/* the names in a home are not what is in it */
	has(p, "  \"~\": r ");
	has(p, "  \"~/*\": none ");
}

static void a_move_gains_nothing(void **state)
{
	struct box *b = *state;
	const char *p;

	touch2(b, EG_OP_RENAME, EG_C, WORK "/.new", WORK "/tool", false);
	touch(b, EG_OP_CREATE, EG_C, WORK "/.new");
	touch(b, EG_OP_EXEC, EG_X, WORK "/tool");
	p = learn(b);
	/* else the kernel says EXDEV: what may run at its new name must have been able to before */
	has(p, "  \"${WORKDIR}/.new\": xc ");
	has(p, "  \"${WORKDIR}/tool\": xc ");
}

static void secrets_are_questions(void **state)
{
	struct box *b = *state;
	const char *p;
	char path[64];

	touch(b, EG_OP_OPEN, EG_R, "/home/u/.ssh/id_ed25519");
	touch(b, EG_OP_OPEN, EG_R, "/etc/shadow");
	for (int i = 0; i < 6; i++) {
		(void)snprintf(path, sizeof(path), WORK "/%c", 'a' + i);
		touch(b, EG_OP_OPEN, EG_R, path);
	}
	touch(b, EG_OP_OPEN, EG_R, WORK "/.env");
	p = learn(b);
	has(p, "  \"${WORKDIR}\": r ");
	has(p, "\n#   \"~/.ssh/id_ed25519\": r ");
	has(p, "\n#   \"/etc/shadow\": r ");
	has(p, "\n#   \"${WORKDIR}/.env\": r ");
	has_not(p, "\n  ~/.ssh");
	assert_int_equal(b->l.nquestions, 3);
}

/* ---- names that are meant to be rules ---------------------------------------------------- */

static void hostile_names_stay_names(void **state)
{
	static const char *const names[] = {
		"a\n  etc: rwxc\n", "\": rwxc, \"x", "${HOME}", "~", "*", "**", "[a-z]",
		"# no", "- x", "a: b", "\\", "'", "\xff\xfe", "\x1b]0;x\a", "\xe2\x80\xae", "{}",
		"a\r\nx: rwxc", "%s%n", "!!x", "&a", "null", "\t", " ", "default",
	};
	struct box *b = *state;
	char path[128];
	const char *p;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct policy *policy = NULL;
		struct policy_file files[] = { { "p", NULL }, { "base", "version: 1\n" }, {} };
		struct diag d = {};

		trace_clear(&b->t);
		assert_int_equal(trace_init(&b->t, 7, NULL, NULL), 0);
		(void)snprintf(path, sizeof(path), "/var/lib/x/%s", names[i]);
		touch(b, EG_OP_OPEN, EG_R, path);
		p = learn(b);
		files[0].text = p;
		if (help_load(files, &policy, &d))
			fail_msg("%s:\n%s", d.msg, p);
		if (policy->files.n != 1 || policy->allow.n || policy->privileges)
			fail_msg("a name became a rule:\n%s", p);
		assert_int_equal(policy->files.v[0].perm, EG_R);
		assert_true(str_starts(policy->files.v[0].text, "/var/lib/x/"));
		policy_free(policy);
	}
}

static void hostile_programs_stay_comments(void **state)
{
	struct event ev = { .op = EG_OP_OPEN, .want = EG_R, .verdict = EG_VERDICT_AUDIT,
			    .path = bytes(WORK "/x"),
			    .exe = bytes("/x/a\nprivileges: [bpf]\n\x1b[2J") };
	struct box *b = *state;
	const char *p;

	trace_add_event(&b->t, &ev);
	resolved(b, "evil.example\n- \"*\"", "203.0.113.5");
	resolved(b, "a\"b.example", "203.0.113.5");
	resolved(b, "*.example", "203.0.113.5");
	send_to(b, "203.0.113.5", 443, EG_WHY_RULE);
	p = learn(b);
	has_not(p, "\nprivileges");
	has_not(p, "\x1b");
	has_not(p, "\n- ");
	has(p, "    - \"203.0.113.5:443/tcp\"");
}

/* ---- destinations ------------------------------------------------------------------------ */

static void names_instead_of_addresses(void **state)
{
	struct box *b = *state;
	const char *p;

	resolved(b, "registry.npmjs.org", "203.0.113.5");
	resolved(b, "pypi.org", "203.0.113.5");
	resolved(b, "pypi.org.corp.example", NULL);
	resolved(b, "_http._tcp.deb.debian.org", NULL);
	send_to(b, "203.0.113.5", 443, EG_WHY_RULE);
	send_to(b, "203.0.113.5", 80, EG_WHY_RULE);
	send_to(b, "198.51.100.1", 5432, EG_WHY_RULE);
	p = learn(b);
	has(p, "    - registry.npmjs.org ");
	has(p, "    - \"registry.npmjs.org:80\" ");
	has(p, "    - pypi.org ");
	has(p, "    - \"198.51.100.1:5432/tcp\" ");
	has(p, "    - _http._tcp.deb.debian.org ");
	has_not(p, "203.0.113.5");
	has_not(p, "corp");
}

static void metadata_is_a_question(void **state)
{
	struct box *b = *state;
	const char *p;

	resolved(b, "metadata.example", "169.254.169.254");
	send_to(b, "169.254.169.254", 80, EG_WHY_METADATA);
	send_to(b, "127.0.0.1", 5432, EG_WHY_LOOPBACK);
	send_to(b, "10.0.0.1", 3128, EG_WHY_RULE);
	p = learn(b);
	has(p, "\n#   169.254.169.254:80/tcp ");
	has(p, "\n#   10.0.0.1:3128/tcp ");
	has_not(p, "- metadata.example\n");
	has(p, "  loopback:\n    - own\n    - \"5432\" ");
}

static void wildcards_below_what_somebody_owns(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct box *b = *state;
	char name[64];
	const char *p;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(name, sizeof(name), "%s.cdn.example.com", names[i]);
		resolved(b, name, "203.0.113.1");
		(void)snprintf(name, sizeof(name), "%s.example.net", names[i]);
		resolved(b, name, "203.0.113.1");
		(void)snprintf(name, sizeof(name), "%s.s3.amazonaws.com", names[i]);
		resolved(b, name, "203.0.113.1");
	}
	send_to(b, "203.0.113.1", 443, EG_WHY_RULE);
	p = learn(b);
	has(p, "    - \"*.cdn.example.com\" ");
	has(p, "    - a.example.net ");
	has(p, "    - d.s3.amazonaws.com ");
	has_not(p, "a.cdn.example.com");
}

/* ---- all the same, whatever the order ---------------------------------------------------- */

static void order_means_nothing(void **state)
{
	static const char *const paths[] = { WORK "/b", WORK "/a/x", "/var/lib/q/1", WORK "/a/y" };
	struct box *b = *state;
	char *first;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		touch(b, EG_OP_OPEN, EG_R, paths[i]);
	first = strdup(learn(b));
	trace_clear(&b->t);
	assert_int_equal(trace_init(&b->t, 9, NULL, NULL), 0);
	for (size_t i = ARRAY_SIZE(paths); i-- > 0;)
		touch(b, EG_OP_OPEN, EG_R, paths[i]);
	assert_string_equal(first, learn(b));
	free(first);
}

static void there_and_back(void **state)
{
	struct text again = { 0 }, report = { 0 };
	struct box *b = *state;
	struct trace t;

	touch2(b, EG_OP_RENAME, EG_C, "/a\xff\n\"", "/b", true);
	resolved(b, "x.example", "203.0.113.1");
	send_to(b, "203.0.113.1", 443, EG_WHY_RULE);
	trace_add_dest(&b->t, &(struct trace_dest){ .port = 443, .proto = IPPROTO_TCP,
						    .bytes_in = 5000000, .said = EG_SAID_TLS });
	assert_int_equal(trace_to_json(&b->t, &b->text), 0);
	assert_int_equal(trace_from_json(b->text.p, b->text.len, &t), 0);
	assert_int_equal(trace_to_json(&t, &again), 0);
	assert_string_equal(b->text.p, again.p);
	assert_int_equal(report_text(&t, &report), 0);
	has(report.p, "5.0 MB");
	has(report.p, "/a\\xff\\x0a");
	assert_int_equal(report_json(&t, &report), 0);
	trace_clear(&t);
	/* cut short anywhere, it is refused and not half believed */
	for (size_t n = 0; n + 2 < b->text.len; n += 7)
		assert_int_equal(trace_from_json(b->text.p, n, &t), -EBADMSG);
	text_free(&again);
	text_free(&report);
}

static void what_has_no_room_is_counted(void **state)
{
	struct box *b = *state;

	assert_false(trace_incomplete(&b->t));
	for (unsigned int i = 0; i <= TRACE_MAX_ACCESSES; i++)
		touch(b, EG_OP_OPEN, EG_R, "/x");
	assert_int_equal(b->t.dropped, 1);
	assert_true(trace_incomplete(&b->t));
}

static void a_device(void **state)
{
	struct box *b = *state;
	struct event ev = { .op = EG_OP_OPEN, .want = EG_R, .verdict = EG_VERDICT_AUDIT,
			    .reason = EG_WHY_DEVICE, .path = bytes("/dev/card0"),
			    .exe = bytes("/usr/bin/cc"), .remedy = EVENT_REMEDY_PRIVILEGE,
			    .remedy_name = "devices" };
	const char *p;

	touch(b, EG_OP_OPEN, EG_R, "/dev/card0");
	trace_add_event(&b->t, &ev);
	p = learn(b);
	has(p, "/dev/card0: r");
	has(p, "privileges: [devices]");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(few_files_are_listed),
		TEST(many_files_are_their_directory),
		TEST(what_was_made_is_one_rule),
		TEST(names_that_change_are_folded),
		TEST(shared_directories_are_not_opened),
		TEST(a_move_gains_nothing),
		TEST(secrets_are_questions),
		TEST(hostile_names_stay_names),
		TEST(hostile_programs_stay_comments),
		TEST(names_instead_of_addresses),
		TEST(metadata_is_a_question),
		TEST(wildcards_below_what_somebody_owns),
		TEST(order_means_nothing),
		TEST(there_and_back),
		TEST(what_has_no_room_is_counted),
		TEST(a_device),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
