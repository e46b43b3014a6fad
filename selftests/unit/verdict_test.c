// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Binding and compiling paths, and what the compiled tables answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "automaton.h"
#include "policy_help.h"
#include "policy_int.h"
#include "verdict.h"

#define V1 "version: 1\n"

static bool has_notice(const struct compiled *c, const char *text)
{
	for (uint32_t i = 0; i < c->nnotices; i++)
		if (strstr(c->notices[i], text))
			return true;
	return false;
}

/* ---- variables ---------------------------------------- */

static void variables(void **state)
{
	static const struct help_question q[] = {
		{ "/home/u/work/a", "rwxc" }, { "/home/u/work/.env", "none" },
		{ "/home/u/.ssh/id", "none" }, { "/home/u/x", "none" },
		{ "/home/u/main/.git/hooks/pre-commit", "rx" }, { "/home/u/work/.git", "r" },
		{ "/home/u/main/.git/worktrees/work/commondir", "none" },
		{ "/tmp/tmux-1000/default", "rw" }, { "/tmp/tmux-10000/default", "none" },
	};
	const struct policy_vars v = help_vars(NULL);
	struct compiled *c = help_compile(V1 "files:\n"
					     "  \"${WORKDIR}\": rwxc\n"
					     "  ~/.ssh: none\n"
					     "  \"**/.env\": none\n"
					     "  \"${GITDIR}/hooks\": rx\n"
					     "  \"${GITLINK}\": r\n"
					     "  \"${GITWORKTREE}/commondir\": none\n"
					     "  \"/tmp/tmux-${UID}\": rw\n", &v);

	(void)state;
	HELP_ASK(c, q);
	assert_string_equal(help_rule(c, "/home/u/work/a"), "p.yaml:3: ${WORKDIR}: rwxc");
	assert_string_equal(help_rule(c, "/home/u/x"), "no rule (default)");
	compiled_free(c);
}

/* A directory may be called anything; none of it is a pattern. */
static void values_are_literal(void **state)
{
	static const struct help_question q[] = {
		{ "/srv/a*b[c]?\\d/x", "rw" }, { "/srv/aXb[c]?\\d/x", "none" },
		{ "/srv/a*bcX\\d/x", "none" }, { "/srv/a*b[c]?\\d/.env", "none" },
	};
	struct policy_vars v = help_vars(NULL);
	struct compiled *c;

	(void)state;
	v.workdir = (char *)"/srv/a*b[c]?\\d";
	c = help_compile(V1 "files: {\"${WORKDIR}\": rw, \"${WORKDIR}/**/.env\": none}\n", &v);
	HELP_ASK(c, q);
	compiled_free(c);
}

static void unbound_variables(void **state)
{
	static const struct policy_vars nothing;
	struct policy_vars why = { .workdir_why = (char *)"WORKDIR may not be /home/u" };
	struct compiled *c = help_compile(V1 "files: {\"${WORKDIR}\": rw, \"${WORKDIR}/x\": r, "
					     "/usr: rx, \"/tmp/${UID}\": r}\n", &nothing);

	(void)state;
	assert_string_equal(help_perm(c, "/usr/bin"), "rx");
	assert_int_equal(c->nnotices, 2);
	assert_string_equal(c->notices[0],
			    "p.yaml:2:9: ${WORKDIR} has no value here: \"${WORKDIR}\" "
					   "and other rules with it are dropped");
	assert_string_equal(c->notices[1],
			    "p.yaml:2:56: ${UID} has no value here: \"/tmp/${UID}\" is dropped");
	compiled_free(c);
	assert_string_equal(help_error(V1 "files: {\"${WORKDIR}\": rw}\n", &why),
			    "p.yaml:2:9: \"${WORKDIR}\": WORKDIR may not be /home/u");
	assert_string_equal(help_error(V1 "files: {/usr: rx}\n", &why), "");
}

static void what_may_be_a_workspace(void **state)
{
	static const struct help_link links[] = {
		{ "/alias", "/home" }, { "/data", "/home/u/deep" }, {}
	};
	struct policy_vars v = help_vars(links);
	static const struct {
		const char *dir;
		bool ok;
	} cases[] = {
		{ "/home/u/work", true }, { "/srv", true },	 { "/home/u2", true },
		{ "/data", true },	  { "/", false },	 { "/home/u", false },
		{ "/home", false },	  { "/alias", false },	 { "/alias/u", false },
		{ "relative", false },	  { "/a/../b", false },	 { "/a/", false },
		{ "/a//b", false },	  { "/a/./b", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diag d = {};

		v.workdir = (char *)cases[i].dir;
		if (!policy_vars_check(&v, &d) != cases[i].ok)
			fail_msg("%s: %s", cases[i].dir, cases[i].ok ? d.msg : "accepted");
	}
}

/* ---- the repository ---------------------------------------- */

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void make_dir(const char *dir, const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void remove_tree(const char *dir)
{
	char command[600];

	(void)snprintf(command, sizeof(command), "rm -rf -- '%s'", dir);
	assert_int_equal(system(command), 0);
}

static void expect_gitdir(const char *dir, const char *work, const char *want)
{
	char path[512], expected[512];
	char *worktree, *got;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, work);
	(void)snprintf(expected, sizeof(expected), "%s/%s", dir, want ? want : "");
	got = policy_vars_gitdir(path, &worktree);
	if (want)
		assert_string_equal(got, expected);
	else
		assert_null(got);
	if (want && str_eq(work, "wt"))
		assert_true(str_ends(worktree, "/main/.git/worktrees/wt"));
	else
		assert_null(worktree);
	free(got);
	free(worktree);
}

static void linked_worktrees(void **state)
{
	char dir[] = "/tmp/verdict_test.XXXXXX", text[512];

	(void)state;
	assert_non_null(mkdtemp(dir));
	make_dir(dir, "main");
	make_dir(dir, "main/.git");
	make_dir(dir, "main/.git/worktrees");
	make_dir(dir, "main/.git/worktrees/wt");
	make_dir(dir, "wt");
	make_dir(dir, "plain");
	make_dir(dir, "evil");
	expect_gitdir(dir, "main", "main/.git");
	expect_gitdir(dir, "plain", NULL);
	(void)snprintf(text, sizeof(text), "gitdir: %s/main/.git/worktrees/wt\n", dir);
	put(dir, "wt/.git", text);
	put(dir, "evil/.git", text);
	/* nothing names it back yet */
	expect_gitdir(dir, "wt", NULL);
	(void)snprintf(text, sizeof(text), "%s/wt/.git\n", dir);
	put(dir, "main/.git/worktrees/wt/gitdir", text);
	expect_gitdir(dir, "wt", "main/.git");
	/* a file that names somebody else's repository gets nothing */
	expect_gitdir(dir, "evil", NULL);
	/* as git 2.48 writes them */
	put(dir, "wt/.git", "gitdir: ../main/.git/worktrees/wt\n");
	put(dir, "main/.git/worktrees/wt/gitdir", "../../../../wt/.git\n");
	expect_gitdir(dir, "wt", "main/.git");
	/* not a worktrees/NAME */
	make_dir(dir, "elsewhere");
	(void)snprintf(text, sizeof(text), "%s/plain/.git\n", dir);
	put(dir, "elsewhere/gitdir", text);
	put(dir, "plain/.git", "gitdir: ../elsewhere\n");
	expect_gitdir(dir, "plain", NULL);
	/* a link could lead anywhere by the time it is used */
	(void)snprintf(text, sizeof(text), "%s/plain/.git", dir);
	assert_int_equal(unlink(text), 0);
	assert_int_equal(symlink("../main/.git", text), 0);
	expect_gitdir(dir, "plain", NULL);
	remove_tree(dir);
}

/* ---- links ---------------------------------------- */

static void bound_as_written_and_as_it_resolves(void **state)
{
	static const struct help_link links[] = {
		{ "/bin", "usr/bin" },
		{ "/etc/resolv.conf", "../run/resolve/stub.conf" },
		{ "/home/u", "/data/u" },
		{ "/var/run", "/run" },
		{ "/loop", "loop" },
		{}
	};
	static const struct help_question q[] = {
		{ "/bin/sh", "rx" }, { "/usr/bin/sh", "rx" }, { "/usr/lib", "none" },
		{ "/etc/resolv.conf", "r" }, { "/run/resolve/stub.conf", "r" },
		{ "/run/resolve/other", "none" },
		{ "/data/u/.ssh/id", "none" }, { "/data/u/proj/x", "rw" },
		{ "/data/u/.ssh/known_hosts", "r" }, { "/home/u/.ssh/known_hosts", "r" },
		{ "/data/u/a/.env", "none" }, { "/loop/x", "r" },
		{ "/proc/self/mounts", "r" }, { "/proc/77/mounts", "r" },
		{ "/proc/77/mem", "none" },
	};
	const struct policy_vars v = help_vars(links);
	struct compiled *c = help_compile(V1 "files:\n"
					     "  /bin: rx\n"
					     "  /etc/resolv.conf: r\n"
					     "  ~: rw\n"
					     "  ~/.ssh: none\n"
					     "  ~/.ssh/known_hosts: r\n"
					     "  ~/**/.env: none\n"
					     "  /loop: r\n"
					     "  /proc/1234/mounts: r\n", &v);

	(void)state;
	HELP_ASK(c, q);
	assert_int_equal(c->nnotices, 0);
	assert_string_equal(help_rule(c, "/data/u/.ssh/id"), "p.yaml:6: ~/.ssh: none");
	compiled_free(c);
}

/* A link where the sandbox may create things takes away, and gives nothing. */
static void planted_links(void **state)
{
	static const struct help_link links[] = {
		{ "/home/u/work/out", "/home/u/.config" },
		{ "/home/u/work/shut", "/srv/data" },
		{}
	};
	static const struct help_question q[] = {
		{ "/home/u/.config/x", "none" }, { "/home/u/work/out/x", "rw" },
		{ "/srv/data/x", "none" }, { "/srv/x", "r" },
	};
	const struct policy_vars v = help_vars(links);
	struct compiled *c = help_compile(V1 "files:\n"
					     "  \"${WORKDIR}\": rwxc\n"
					     "  \"${WORKDIR}/out\": rw\n"
					     "  /srv: r\n"
					     "  \"${WORKDIR}/shut\": none\n", &v);

	(void)state;
	HELP_ASK(c, q);
	assert_true(has_notice(c, "p.yaml:4:3: \"${WORKDIR}/out\" is not followed over a link "
				  "that the sandbox may replace"));
	/* whose name only root may know */
	assert_false(has_notice(c, "/home/u/work/out"));
	compiled_free(c);
}

/* A link of the host may lead into what another rule closes: it does not open it. */
static void links_into_closed_places(void **state)
{
	static const struct help_link links[] = { { "/srv/keys", "/home/u/.ssh/old" }, {} };
	const struct policy_vars v = help_vars(links);
	struct compiled *c = help_compile(V1 "files: {~/.ssh: none, /srv/keys: r}\n", &v);

	(void)state;
	assert_string_equal(help_perm(c, "/home/u/.ssh/old/id"), "none");
	assert_string_equal(help_perm(c, "/srv/keys/x"), "r");
	assert_true(has_notice(c, "\"/srv/keys\" is not followed to where it leads, which "
				  "\"~/.ssh: none\" closes"));
	assert_false(has_notice(c, "/home/u/.ssh/old"));
	compiled_free(c);
}

/* ---- anchors, flags ---------------------------------------- */

static const struct compiled_anchor *anchor_at(const struct compiled *c, const char *path)
{
	for (uint32_t i = 0; i < c->nanchors; i++)
		if (str_eq(c->anchors[i].path, path))
			return &c->anchors[i];
	return NULL;
}

static void anchors(void **state)
{
	static const struct help_link links[] = { { "/w/link", "/srv/x" }, {} };
	struct policy_vars v = help_vars(links);
	const struct compiled_anchor *a;
	struct compiled *c = help_compile(V1 "files:\n"
					     "  /w: rwxc\n"
					     "  /w/hooks: rx\n"
					     "  /w/.ssh: none\n"
					     "  /w/.ssh/known: r\n"
					     "  /w/more: rwxc\n"
					     "  /w/link: r\n"
					     "  \"/w/*/.env\": none\n"
					     "  /proc: r\n"
					     "  /proc/kcore: none\n"
					     "  \"/w/o\\\\*d\": r\n", &v);

	(void)state;
	assert_null(anchor_at(c, "/w"));
	assert_null(anchor_at(c, "/w/more"));
	assert_null(anchor_at(c, "/proc/kcore")); /* no other name can lead to it */
	a = anchor_at(c, "/w/hooks");
	assert_non_null(a);
	assert_int_equal(a->perm, EG_R | EG_X);
	assert_string_equal(c->rules[a->rule - 1].text, "/w/hooks: rx");
	assert_int_equal(a->state, automaton_state(c->slots, automaton_starts(c->automaton),
						   AUTOMATON_PATHS, "/w/hooks", 8));
	a = anchor_at(c, "/w/.ssh");
	assert_non_null(a);
	assert_int_equal(a->perm, 0);
	assert_null(anchor_at(c, "/w/.ssh/known")); /* more than around it */
	assert_non_null(anchor_at(c, "/w/link"));
	assert_non_null(anchor_at(c, "/w/o*d")); /* a path, not a pattern */
	assert_int_equal(c->nanchors, 4);
	compiled_free(c);
}

static void flags(void **state)
{
	static const struct {
		const char *text;
		uint32_t set, clear;
	} cases[] = {
		{ V1, EG_P_PATHS | EG_P_EGRESS | EG_P_LOOPBACK_OWN, EG_P_AUDIT | EG_P_STRICT },
		{ V1 "mode: audit\nexec: strict\n", EG_P_AUDIT | EG_P_STRICT | EG_P_PATHS, 0 },
		{ V1 "files: {default: rwxc}\n", EG_P_EGRESS, EG_P_PATHS },
		{ V1 "files: {default: rwxc, /x: rw}\n", EG_P_PATHS, 0 },
		{ V1 "files: {/: rwxc}\n", EG_P_EGRESS, EG_P_PATHS },
		{ V1 "egress: {loopback: host}\n", EG_P_EGRESS, EG_P_LOOPBACK_OWN },
		{ V1 "egress: {loopback: none}\n", EG_P_EGRESS, EG_P_LOOPBACK_OWN },
		{ V1 "egress: {loopback: [own, 80]}\n", EG_P_LOOPBACK_OWN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct compiled *c = help_compile(cases[i].text, NULL);

		assert_int_equal(c->head.flags & cases[i].set, cases[i].set);
		assert_int_equal(c->head.flags & cases[i].clear, 0);
		assert_int_equal(c->head.listen_default, EG_LISTEN_OWN);
		compiled_free(c);
	}
}

static void no_files_section(void **state)
{
	struct compiled *c = help_compile(V1, NULL);

	(void)state;
	assert_string_equal(help_perm(c, "/usr/bin/true"), "none");
	assert_true(has_notice(c, "no files section"));
	compiled_free(c);
}

/* ---- sockets ---------------------------------------- */

static bool unix_ok(const struct compiled *c, const char *name)
{
	uint32_t rule;
	uint8_t perm;

	assert_int_equal(verdict_unix(c, name, strlen(name), &perm, &rule), 0);
	assert_int_equal(!!rule, !!(perm & EG_W));
	return perm & EG_W;
}

static void unix_sockets(void **state)
{
	static const struct help_link links[] = { { "/var/run", "/run" }, {} };
	const struct policy_vars v = help_vars(links);
	struct compiled *c = help_compile(V1 "egress:\n"
					     "  unix:\n"
					     "  - /var/run/pg/.s.PGSQL.5432\n"
					     "  - '@/tmp/test/*'\n"
					     "  - {path: /run/docker.sock, unsafe: true}\n", &v);

	(void)state;
	assert_true(unix_ok(c, "/run/pg/.s.PGSQL.5432"));
	assert_true(unix_ok(c, "/var/run/pg/.s.PGSQL.5432"));
	assert_true(unix_ok(c, "@/tmp/test/a/b"));
	assert_true(unix_ok(c, "/run/docker.sock"));
	assert_false(unix_ok(c, "@/tmp/tes"));
	assert_false(unix_ok(c, "/run/pg"));
	assert_false(unix_ok(c, "/tmp/test/a"));
	compiled_free(c);
}

static void sockets_that_hand_it_away(void **state)
{
	static const struct help_link links[] = { { "/srv/db.sock", "/run/docker.sock" }, {} };
	const struct policy_vars v = help_vars(links);
	static const char *const bad[] = {
		"/run/docker.sock", "/var/run/docker.sock", "/run", "'/run/*.sock'", "'/**'",
		"/run/user/1000/bus", "'/run/user/${UID}/**'", "~/.docker/run/docker.sock",
		"/run/systemd/private", "/run/nscd/socket", "/tmp/.X11-unix", "/srv/db.sock",
		"'/tmp/tmux-${UID}/default'", "'@*'", "/run/systemd/resolve/io.systemd.Resolve",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), V1 "egress: {unix: [%s]}\n", bad[i]);
		if (!strstr(help_error(text, &v), "hands the sandbox away"))
			fail_msg("%s: \"%s\"", bad[i], help_error(text, &v));
		(void)snprintf(text, sizeof(text),
			       V1 "egress: {unix: [{path: %s, unsafe: true}]}\n", bad[i]);
		assert_string_equal(help_error(text, &v), "");
	}
	assert_string_equal(help_error(V1 "egress: {unix: [/run/postgresql]}\n", &v), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables),
		cmocka_unit_test(values_are_literal),
		cmocka_unit_test(unbound_variables),
		cmocka_unit_test(what_may_be_a_workspace),
		cmocka_unit_test(linked_worktrees),
		cmocka_unit_test(bound_as_written_and_as_it_resolves),
		cmocka_unit_test(planted_links),
		cmocka_unit_test(links_into_closed_places),
		cmocka_unit_test(anchors),
		cmocka_unit_test(flags),
		cmocka_unit_test(no_files_section),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(sockets_that_hand_it_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
