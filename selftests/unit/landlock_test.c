// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A policy as a Landlock ruleset: what is given where, what is told, in made-up trees; and a
 * real ruleset on this kernel, where it has Landlock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "landlock.h"
#include "policy_help.h"
#include "policy_int.h"

#define NEWEST 99u /* an ABI that has everything */

/* ---- made-up trees ---------------------------------------------------------------------- */

/* Names in order, ended by NULL: "/d/" is a directory, "/l@" a link, others files. */
static enum landlock_kind fake_kind(void *ctx, const char *path)
{
	if (str_eq(path, "/"))
		return LANDLOCK_DIR;
	for (const char *const *t = ctx; *t; t++) {
		size_t len = strcspn(*t, "@");
		bool link = (*t)[len];

		if (str_ends(*t, "/"))
			len--;
		if (strncmp(*t, path, len))
			continue;
		if (link && (!path[len] || path[len] == '/'))
			return LANDLOCK_LINK;
		if (!path[len])
			return (*t)[len] ? LANDLOCK_DIR : LANDLOCK_FILE;
	}
	return LANDLOCK_NOTHING;
}

static int fake_list(void *ctx, const char *path, int (*each)(void *arg, const char *name),
		     void *arg)
{
	size_t len = str_eq(path, "/") ? 0 : strlen(path);
	int err = 0;

	for (const char *const *t = ctx; *t && !err; t++) {
		char name[64];

		if (strncmp(*t, path, len) || (*t)[len] != '/' || !(*t)[len + 1])
			continue;
		(void)snprintf(name, sizeof(name), "%s", *t + len + 1);
		if (strchr(name, '/') && strchr(name, '/')[1])
			continue;
		name[strcspn(name, "/@")] = '\0';
		err = each(arg, name);
	}
	return err;
}

static struct compiled *compile(const char *text)
{
	const struct policy_file files[] = { { "p", text }, {} };
	static const struct policy_vars none;
	struct compiled *c = NULL;
	struct policy *p = NULL;
	struct diag d = {};

	if (help_load(files, &p, &d))
		fail_msg("%s", d.msg);
	p->landlock = true;
	if (policy_compile(p, &none, &c, &d))
		fail_msg("%s", d.msg);
	policy_free(p);
	return c;
}

static struct landlock_plan *plan(const struct compiled *c, unsigned int abi,
				  const char *const *tree)
{
	struct landlock_tree t = { fake_kind, fake_list, (void *)tree };
	struct landlock_plan *p = NULL;
	struct diag d = {};

	if (landlock_plan(c, abi, &t, &p, &d))
		fail_msg("%s", d.msg);
	return p;
}

static int grant_cmp(const void *a, const void *b)
{
	return strcmp(((const struct landlock_grant *)a)->path,
		      ((const struct landlock_grant *)b)->path);
}

/* "/usr/ rx, /etc/passwd r" */
static const char *grants_of(struct landlock_plan *p)
{
	static char text[4096];
	size_t n = 0;
	char perm[5];

	qsort(p->grants, p->ngrants, sizeof(*p->grants), grant_cmp);
	text[0] = '\0';
	for (size_t i = 0; i < p->ngrants; i++) {
		const struct landlock_grant *g = &p->grants[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s %s", i ? ", " : "",
				      g->path, g->dir && !str_eq(g->path, "/") ? "/" : "",
				      policy_perm_text(g->perm, perm));
	}
	return text;
}

/* "+4: why\n-5: why\n", + for wider; those of no rule are left out */
static const char *notes_of(const struct compiled *c, const struct landlock_plan *p)
{
	static char text[8192];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < p->nnotes; i++) {
		const struct landlock_note *m = &p->notes[i];

		if (m->rule)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%c%u: %s\n",
					      m->wider ? '+' : '-', c->rules[m->rule - 1].line,
					      m->why);
	}
	return text;
}

static const struct {
	const char *name;
	const char *rules; /* from line 3 on, behind "version: 1" and "files:" */
	const char *tree[24];
	const char *grants;
	const char *notes; /* every rule's first words, one a line: "+4: it lies in" */
} cases[] = {
	{ "permissions that only grow are exact",
	  "  /usr: rx\n"
	  "  /srv: r\n"
	  "  /srv/work: rwxc\n"
	  "  /dev/null: rw\n",
	  { "/usr/", "/srv/", "/srv/work/", "/srv/work/a", "/dev/", "/dev/null" },
	  "/dev/null rw, /srv/ r, /srv/work/ wxc, /usr/ rx", "" },
	{ "none where nothing is given needs no word",
	  "  /srv: r\n"
	  "  /home/u/.ssh: none\n"
	  "  /root: none\n",
	  { "/srv/", "/home/", "/home/u/", "/home/u/.ssh/", "/root/" }, "/srv/ r", "" },
	{ "a file closed in a directory that nothing is made in: it is narrowed",
	  "  /etc: r\n"
	  "  /etc/shadow: none\n",
	  { "/etc/", "/etc/passwd", "/etc/shadow", "/etc/ssl/", "/etc/ssl/x" },
	  "/etc/passwd r, /etc/ssl/ r",
	  "-3: /etc, and every directory on the way to what p.yaml:4" },
	{ "what is left by the rule is given to the whole directory",
	  "  /opt: rx\n"
	  "  /opt/data: r\n",
	  { "/opt/", "/opt/bin/", "/opt/data/", "/opt/data/a" }, "/opt/ r, /opt/bin/ x",
	  "-3: /opt, and every" },
	{ "two levels down, and opened again below",
	  "  /: r\n"
	  "  /srv/keys: none\n"
	  "  /srv/keys/pub: r\n",
	  { "/a/", "/b", "/srv/", "/srv/keys/", "/srv/keys/id", "/srv/keys/pub/", "/srv/x/" },
	  "/a/ r, /b r, /srv/keys/pub/ r, /srv/x/ r", "-3: /, and every" },
	{ "closed where files may be made: not held",
	  "  /w: rwxc\n"
	  "  /w/.git/hooks: rx\n"
	  "  /w/.env: none\n",
	  { "/w/", "/w/.git/", "/w/.git/hooks/", "/w/.env" }, "/w/ rwxc",
	  "+4: it lies in /w, where files may be made\n+5: it lies in /w, where" },
	{ "nothing above is narrowed for what is lost below",
	  "  /srv: r\n"
	  "  /srv/w: rwxc\n"
	  "  /srv/w/.env: none\n",
	  { "/srv/", "/srv/w/", "/srv/w/.env" }, "/srv/ r, /srv/w/ wxc", "+5: it lies in /srv/w," },
	{ "links are left to the spelling they lead to",
	  "  /bin: rx\n"
	  "  /usr: rx\n",
	  { "/bin@", "/usr/" }, "/usr/ rx", "" },
	{ "nothing there yet: refused, and told",
	  "  /usr: r\n"
	  "  /usr/local/bin: rx\n"
	  "  /opt: rx\n",
	  { "/usr/", "/usr/lib/" }, "/usr/ r",
	  "-4: nothing is there yet, and what is made there later is refused\n-5: nothing is" },
	{ "nothing there yet, and it would be open",
	  "  /usr: r\n"
	  "  /usr/secret: none\n",
	  { "/usr/", "/usr/lib/" }, "/usr/ r",
	  "+4: nothing is there yet, and what is made there has what /usr/secret has" },
	{ "a pattern within a name gives to what is there",
	  "  /dev/tty[0-9]*: rw\n",
	  { "/dev/", "/dev/tty", "/dev/tty0", "/dev/tty12", "/dev/null" },
	  "/dev/tty0 rw, /dev/tty12 rw", "-3: a pattern: it holds for the names that are there" },
	{ "and takes from what is there",
	  "  /etc/ssh: r\n"
	  "  /etc/ssh/*_key: none\n",
	  { "/etc/", "/etc/ssh/", "/etc/ssh/a_key", "/etc/ssh/config" }, "/etc/ssh/config r",
	  "-3: /etc/ssh, and every" },
	{ "or would, if there were any",
	  "  /etc/ssh: r\n"
	  "  /etc/ssh/*_key: none\n",
	  { "/etc/", "/etc/ssh/", "/etc/ssh/config" }, "/etc/ssh/ r",
	  "+4: a pattern: what gets such a name later has what /etc/ssh has" },
	{ "a pattern for a directory on the way",
	  "  /home/*/pub: r\n",
	  { "/home/", "/home/a/", "/home/a/pub/", "/home/b/", "/home/c/", "/home/c/pub" },
	  "/home/a/pub/ r, /home/c/pub r", "-3: a pattern" },
	{ "a double star is not held",
	  "  /srv: r\n"
	  "  /**/.env: none\n"
	  "  /opt/**/x: none\n"
	  "  /opt/**/y: r\n",
	  { "/srv/", "/srv/.env", "/opt/" }, "/srv/ r",
	  "+4: a pattern for names at any depth: Landlock\n-6: a pattern for names at any depth: "
	  "nothing" },
	{ "but names that are given one by one are judged by it",
	  "  /srv: r\n"
	  "  /srv/x: none\n"
	  "  /**/.env: none\n",
	  { "/srv/", "/srv/.env", "/srv/a", "/srv/x" }, "/srv/a r",
	  "-3: /srv, and\n+5: a pattern for names at any depth" },
	{ "/proc is not narrowed, and nobody's own",
	  "  /proc: r\n"
	  "  /proc/self: rw\n"
	  "  /proc/kcore: none\n",
	  { "/proc/", "/proc/self@", "/proc/kcore", "/proc/1/" }, "/proc/ r",
	  "-4: a process cannot be told from others\n+5: it lies in /proc, whose names" },
	{ "one name cannot be made alone",
	  "  /srv/f: rwc\n",
	  { "/srv/", "/srv/f" }, "/srv/f rw", "-3: Landlock lets names be made" },
	{ "quoted characters are names",
	  "  '/srv/a\\*b': r\n",
	  { "/srv/", "/srv/a*b", "/srv/axb" }, "/srv/a*b r", "" },
};

/* Line by line: what is told begins with what is expected. */
static bool begin_alike(const char *got, const char *want)
{
	while (*want) {
		size_t len = strcspn(want, "\n");

		if (strncmp(got, want, len))
			return false;
		want += len + (want[len] == '\n');
		got += strcspn(got, "\n");
		got += *got == '\n';
	}
	return !*got;
}

static void what_is_given_and_told(void **state)
{
	char text[1024];
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct landlock_plan *p;
		struct compiled *c;

		(void)snprintf(text, sizeof(text), "version: 1\nfiles:\n%s", cases[i].rules);
		c = compile(text);
		p = plan(c, NEWEST, cases[i].tree);
		if (!str_eq(grants_of(p), cases[i].grants)) {
			print_error("%s: %s, expected %s\n", cases[i].name, grants_of(p),
				    cases[i].grants);
			wrong++;
		}
		if (!begin_alike(notes_of(c, p), cases[i].notes)) {
			print_error("%s: %sexpected %s\n", cases[i].name, notes_of(c, p),
				    cases[i].notes);
			wrong++;
		}
		landlock_plan_free(p);
		compiled_free(c);
	}
	assert_int_equal(wrong, 0);
}

/* How many notes of no rule there are, and whether one of them begins so. */
static bool general(const struct landlock_plan *p, const char *what)
{
	for (size_t i = 0; i < p->nnotes; i++)
		if (!p->notes[i].rule && str_starts(p->notes[i].why, what))
			return true;
	return false;
}

static void what_an_abi_lacks_is_told(void **state)
{
	static const char *const tree[] = { "/srv/", NULL };
	static const struct {
		const char *what;
		unsigned int since;
	} gaps[] = {
		{ "files cannot be moved", 2 },	   { "files can be truncated", 3 },
		{ "devices that may be read", 5 }, { "abstract unix sockets", 6 },
		{ "processes outside", 6 },	   { "mode, owner, times", 1000 },
		{ "unix sockets with a path", 1000 },
	};
	struct compiled *c = compile("version: 1\nfiles: {/srv: r}\n");

	(void)state;
	for (unsigned int abi = 1; abi < 9; abi++) {
		struct landlock_plan *p = plan(c, abi, tree);

		for (size_t i = 0; i < ARRAY_SIZE(gaps); i++)
			assert_int_equal(general(p, gaps[i].what), abi < gaps[i].since);
		landlock_plan_free(p);
	}
	compiled_free(c);
}

static void keys_and_sockets_are_told(void **state)
{
	static const char *const tree[] = { "/srv/", NULL };
	struct compiled *c = compile("version: 1\n"
				     "files: {/srv: r}\n"
				     "exec: strict\n"
				     "require: full\n"
				     "privileges: [mounts, userns]\n"
				     "egress:\n"
				     "  unix:\n"
				     "    - \"@name\"\n"
				     "    - /run/a.sock\n");
	struct landlock_plan *p = plan(c, 6, tree);

	(void)state;
	assert_true(begin_alike(notes_of(c, p), "-8: Landlock refuses every abstract socket\n"
						"+3: Landlock does not see"));
	assert_true(general(p, "privileges: mounts"));
	assert_int_equal(c->rules[c->require_rule - 1].line, 4);
	landlock_plan_free(p);
	/* before that ABI they can all be reached */
	p = plan(c, 5, tree);
	assert_true(begin_alike(notes_of(c, p), "+3: Landlock does not see"));
	landlock_plan_free(p);
	compiled_free(c);
}

static int endless(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	char name[16];
	int err = 0;

	(void)ctx;
	(void)path;
	for (unsigned int i = 0; !err && i < 2 * LANDLOCK_MAX_NAMES; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		err = each(arg, name);
	}
	return err;
}

static enum landlock_kind dirs(void *ctx, const char *path)
{
	(void)ctx;
	return str_ends(path, "/x") ? LANDLOCK_FILE : LANDLOCK_DIR;
}

static void a_directory_may_be_too_big(void **state)
{
	struct compiled *c = compile("version: 1\nfiles: {/srv: r, /srv/x: none}\n");
	struct landlock_tree t = { dirs, endless, NULL };
	struct landlock_plan *p = (void *)&t;
	struct diag d = {};

	(void)state;
	assert_int_equal(landlock_plan(c, NEWEST, &t, &p, &d), -E2BIG);
	assert_ptr_equal(p, &t); /* untouched */
	assert_non_null(strstr(d.msg, "too many names at /srv"));
	compiled_free(c);
}

/* ---- bits ------------------------------------------------------------------------------- */

static void rights_are_those_of_the_abi(void **state)
{
	const uint64_t refer = 1ull << 13, truncate = 1ull << 14, ioctl_dev = 1ull << 15;

	(void)state;
	assert_int_equal(landlock_access(EG_R, false, 1), 1u << 2);
	assert_int_equal(landlock_access(EG_R, true, 1), 1u << 2 | 1u << 3);
	assert_int_equal(landlock_access(EG_X, true, 1), 1u << 0);
	assert_int_equal(landlock_access(EG_W, false, 2), 1u << 1);
	assert_int_equal(landlock_access(EG_W, false, 3), 1u << 1 | truncate);
	assert_int_equal(landlock_access(EG_W, false, 5), 1u << 1 | truncate | ioctl_dev);
	/* names are a directory's; devices are made by nobody */
	assert_int_equal(landlock_access(EG_C, false, NEWEST), 0);
	assert_int_equal(landlock_access(EG_C, true, 1),
			 1u << 4 | 1u << 5 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 12);
	assert_true(landlock_access(EG_C, true, 2) & refer);
}

/* ---- this kernel ------------------------------------------------------------------------ */

static char top[] = "/tmp/landlock-test-XXXXXX";

static const char *in_top(const char *name)
{
	static char path[4][256];
	static int i;

	i = (i + 1) % 4;
	(void)snprintf(path[i], sizeof(path[i]), "%s/%s", top, name);
	return path[i];
}

static void make_file(const char *name)
{
	int fd = open(in_top(name), O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
}

/* errno of an open, 0 when it succeeds */
static int try_open(const char *name, int flags)
{
	int fd = open(in_top(name), flags, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static const struct {
	const char *name;
	int flags, want;
} tries[] = {
	{ "read/a", O_RDONLY, 0 },
	{ "read/a", O_WRONLY, EACCES },
	{ "read/closed", O_RDONLY, EACCES },
	{ "read/sub/b", O_RDONLY, 0 },
	{ "read", O_RDONLY | O_DIRECTORY, EACCES }, /* narrowed */
	{ "read/sub", O_RDONLY | O_DIRECTORY, 0 },
	{ "work/new", O_RDWR | O_CREAT, 0 },
	{ "read/sub/new", O_RDWR | O_CREAT, EACCES },
	{ "other", O_RDONLY, EACCES },
};

/* In a child: it is held to the ruleset for good. Which try came out otherwise, from 1. */
static int hold_and_try(int ruleset)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || landlock_restrict(ruleset))
		return 255;
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		if (try_open(tries[i].name, tries[i].flags) != tries[i].want)
			return (int)i + 1;
	/* moved within what may be changed, and not out of it */
	if (rename(in_top("work/new"), in_top("work/sub/new")))
		return 100;
	if (!rename(in_top("work/sub/new"), in_top("read/sub/new")) || errno != EACCES)
		return 101;
	return 0;
}

static void this_kernel_holds_it(void **state)
{
	static const char *const dirs[] = { "read", "read/sub", "work", "work/sub" };
	static const char *const files[] = { "read/a", "read/closed", "read/sub/b", "other" };
	char text[1024];
	struct landlock_plan *p = NULL;
	struct compiled *c;
	struct diag d = {};
	int abi = landlock_abi(), fd, status;
	pid_t pid;

	(void)state;
	if (abi < 2) {
		print_message("no Landlock here: %s\n", strerror(-abi));
		skip();
	}
	assert_non_null(mkdtemp(top));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdir(in_top(dirs[i]), 0700), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		make_file(files[i]);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) /* the control */
		if (!(tries[i].flags & O_CREAT))
			assert_int_equal(try_open(tries[i].name, tries[i].flags), 0);
	(void)snprintf(text, sizeof(text), "version: 1\nfiles:\n  %s/read: r\n"
		       "  %s/read/closed: none\n  %s/work: rwxc\n", top, top, top);
	c = compile(text);
	assert_int_equal(landlock_plan(c, (unsigned int)abi, &landlock_real_tree, &p, &d), 0);
	fd = landlock_ruleset(p, &d);
	if (fd < 0)
		fail_msg("%s", d.msg);
	pid = fork();
	if (!pid)
		_exit(hold_and_try(fd));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	landlock_plan_free(p);
	compiled_free(c);
	(void)snprintf(text, sizeof(text), "rm -rf %s", top);
	assert_int_equal(system(text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_given_and_told),
		cmocka_unit_test(what_an_abi_lacks_is_told),
		cmocka_unit_test(keys_and_sockets_are_told),
		cmocka_unit_test(a_directory_may_be_too_big),
		cmocka_unit_test(rights_are_those_of_the_abi),
		cmocka_unit_test(this_kernel_holds_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
