// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* egressd.yaml: what each key gives, what is refused and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "diag.h"
#include "eventlog.h"
#include "util.h"

#define V1 "version: 1\n"

static const char *error_of(const char *text)
{
	static char message[2048];
	struct config c = { .nattach = 7 }, was = c;
	struct diag d = {};

	if (!config_parse("e.yaml", text, strlen(text), &c, &d)) {
		config_clear(&c);
		return "";
	}
	assert_memory_equal(&c, &was, sizeof(c)); /* untouched */
	return diag_text(&d, message, sizeof(message));
}

static void parse(const char *text, struct config *c)
{
	struct diag d = {};

	if (config_parse("e.yaml", text, strlen(text), c, &d))
		fail_msg("%s", d.msg);
}

static void what_each_key_gives(void **state)
{
	struct config c;

	(void)state;
	parse(V1 "socket: {group: root}\nsandboxes: {per-user: 7, new-privileges: true}\n"
	      "log: {dir: /srv/log, size: 1G, journal: false}\nstop: keep\n"
	      "grants:\n  who: nobody\n  for: 10m\n  paths: false\n  save: false\n"
	      "  within: ['*.example.com', '10.0.0.0/8:*']\n"
	      "attach:\n  - {cgroup: /system.slice/docker-*.scope, policy: ci-build}\n"
	      "  - {cgroup: 'ci-*.service', policy: /etc/p.yaml}\n"
	      "runtimes: [/usr/bin/env, /usr/bin/no-such-runtime]\n"
	      "metrics: {listen: '[::1]:9477'}\ncanary: {every: 1500ms}\n"
	      "without-lsm: landlock\n", &c);
	assert_string_equal(c.file, "e.yaml");
	assert_string_equal(c.group, "root");
	assert_int_equal(c.max_per_uid, 7);
	assert_true(c.new_privileges);
	assert_string_equal(c.log_dir, "/srv/log");
	assert_int_equal(c.log_bytes, 1u << 30);
	assert_false(c.journal);
	assert_true(c.keep);
	assert_int_equal(c.grant_who, CONFIG_NOBODY);
	assert_int_equal(c.grant_max_ms, 600000);
	assert_false(c.grant_paths);
	assert_false(c.grant_save);
	assert_string_equal(c.grant_within[1], "10.0.0.0/8:*");
	assert_null(c.grant_within[2]);
	assert_int_equal(c.nattach, 2);
	assert_string_equal(c.attach[0].pattern, "/system.slice/docker-*.scope");
	assert_string_equal(c.attach[1].policy, "/etc/p.yaml");
	assert_int_equal(c.attach[1].line, 14);
	/* one that is not there is not installed yet */
	assert_int_equal(c.nruntimes, 2);
	assert_string_equal(c.runtimes[0], "/usr/bin/env");
	assert_string_equal(c.runtimes[1], "/usr/bin/no-such-runtime");
	assert_string_equal(c.metrics, "[::1]:9477");
	assert_int_equal(c.canary_ms, 1500);
	assert_int_equal(c.without_lsm, WITHOUT_LSM_LANDLOCK);
	config_clear(&c);
}

static void what_is_not_said_is_the_default(void **state)
{
	struct config c, plain;

	(void)state;
	config_defaults(&plain);
	parse(V1, &c);
	free(c.file);
	c.file = NULL;
	assert_memory_equal(&c, &plain, sizeof(c));
	config_clear(&c);
	/* nothing at all may be granted, which is not the same as anything */
	parse(V1 "grants: {within: [], for: unlimited}\n", &c);
	assert_non_null(c.grant_within);
	assert_null(c.grant_within[0]);
	assert_int_equal(c.grant_max_ms, 0);
	config_clear(&c);
}

static const struct {
	const char *text, *message;
} bad[] = {
	{ "", "e.yaml:1:1: the file is empty: expected a map that begins with version: 1" },
	{ "stop: keep\n", "e.yaml:1:1: no version: expected \"version: 1\"" },
	{ "version: 2\n",
	  "e.yaml:1:10: version: got \"2\", expected 1, the only version there is" },
	{ V1 "stopp: keep\n", "e.yaml:2:1: unknown key \"stopp\" in this file: expected one of "
			      "version, socket, sandboxes, log, stop, grants, attach, runtimes, "
			      "metrics, canary, without-lsm" },
	{ V1 "stop: keep\nstop: end\n", "e.yaml:3:1: duplicate key \"stop\": it is already "
					"given at line 2" },
	{ V1 "stop:\n", "e.yaml:2:1: stop: got nothing, expected keep or end" },
	{ V1 "without-lsm: off\n",
	  "e.yaml:2:14: without-lsm: got \"off\", expected refuse, landlock or egress" },
	{ V1 "stop: never\n", "e.yaml:2:7: stop: got \"never\", expected keep or end" },
	{ V1 "socket:\n", "e.yaml:2:1: socket: got nothing, expected a map" },
	{ V1 "socket: {group: nobody-has-this}\n",
	  "e.yaml:2:17: group: got \"nobody-has-this\", expected a group of this host" },
	{ V1 "socket: {grp: root}\n",
	  "e.yaml:2:10: unknown key \"grp\" in socket: expected one of group" },
	{ V1 "sandboxes: {per-user: 0}\n",
	  "e.yaml:2:23: per-user: got \"0\", expected a number from 1 to 4096" },
	{ V1 "log: {dir: logs}\n", "e.yaml:2:12: dir: got \"logs\", expected an absolute path" },
	{ V1 "log: {dir: /var/../etc}\n",
	  "e.yaml:2:12: dir: got \"/var/../etc\", expected an absolute path" },
	{ V1 "log: {size: 1M}\n",
	  "e.yaml:2:13: size: got \"1M\", expected bytes from 5M to 1T, such as 320M" },
	{ V1 "log: {journal: yes}\n",
	  "e.yaml:2:16: journal: got \"yes\", expected true or false" },
	{ V1 "grants: {for: 10}\n",
	  "e.yaml:2:15: for: got \"10\", expected a time such as 10m or 24h, or unlimited" },
	{ V1 "grants: {who: all}\n", "e.yaml:2:15: who: got \"all\", expected owner or nobody" },
	{ V1 "grants: {within: [10.0.0.0/8]}\n", "e.yaml:2:19: " },
	{ V1 "grants: {within: example.com}\n",
	  "e.yaml:2:18: within: got \"example.com\", expected a list of destinations as in a "
	  "policy's egress: allow" },
	{ V1 "attach: [{cgroup: /a}]\n",
	  "e.yaml:2:10: attach: policy is missing: expected {cgroup: PATTERN, policy: NAME}" },
	{ V1 "attach:\n  - {cgroup: /a, policy: p}\n  - {cgroup: /a, policy: q}\n",
	  "e.yaml:4:14: attach: \"/a\" is in line 3 already" },
	/* the root, and everything */
	{ V1 "attach: [{cgroup: /, policy: p}]\n", "e.yaml:2:19: cgroup: got \"/\", expected" },
	{ V1 "attach: [{cgroup: '/*', policy: p}]\n", "e.yaml:2:19: cgroup: got \"/*\", expected" },
	{ V1 "attach: [{cgroup: 'ci-[0-9].scope', policy: p}]\n",
	  "e.yaml:2:19: cgroup: \"ci-[0-9].scope\" has brackets: only * and ? stand for" },
	{ V1 "attach: [{cgroup: a/b, policy: p}]\n", "e.yaml:2:19: cgroup: got \"a/b\", expected" },
	{ V1 "attach: [{cgroup: /a/../b, policy: p}]\n", "e.yaml:2:19: cgroup: got" },
	{ V1 "attach: [{cgroup: /a, policy: ./p.yaml}]\n", "e.yaml:2:31: policy: got" },
	{ V1 "attach: [{cgroup: /a, policy: p, x: 1}]\n",
	  "e.yaml:2:34: unknown key \"x\" in attach: expected one of cgroup, policy" },
	{ V1 "canary: {every: 10s}\n",
	  "e.yaml:2:17: every: got \"10s\", expected a time from 1s to 4s" },
	{ V1 "canary: {every: 999ms}\n", "e.yaml:2:17: every: got" },
	{ V1 "canary: {}\ncanary: {}\n", "e.yaml:3:1:" },
	{ V1 "runtimes: /usr/bin/env\n", "e.yaml:2:11: runtimes: got \"/usr/bin/env\", expected a "
					 "list of programs by their absolute paths" },
	{ V1 "runtimes: [crun]\n", "e.yaml:2:12: runtimes: got \"crun\", expected programs by" },
	{ V1 "runtimes: [/usr/bin/../bin/env]\n", "e.yaml:2:12: runtimes: got \"/usr/bin/../bin" },
	{ V1 "runtimes: [/usr/bin/]\n", "e.yaml:2:12: runtimes: got \"/usr/bin/\", expected" },
	{ V1 "runtimes: [/usr/bin]\n", "e.yaml:2:12: runtimes: /usr/bin: it is not a file" },
	{ V1 "runtimes: [/proc/self/root/usr/bin/env]\n",
	  "e.yaml:2:12: runtimes: /proc/self/root/usr/bin/env: a link leads to /usr/bin/env: "
	  "expected that path itself" },
	{ V1 "metrics: {listen: 9477}\n", "e.yaml:2:19: listen: got \"9477\", expected an address "
					  "and a port, such as 127.0.0.1:9477 or \"[::1]:9477\"" },
	{ V1 "metrics: {listen: 'localhost:9477'}\n", "e.yaml:2:19: listen: got" },
	{ V1 "metrics: {listen: '127.0.0.1:0'}\n", "e.yaml:2:19: listen: got" },
	{ V1 "metrics: {listen: '0.0.0.0:9477'}\n",
	  "e.yaml:2:19: listen: other hosts can reach 0.0.0.0:9477: expected an address of this "
	  "host alone, or remote: true beside it" },
	{ V1 "metrics: {listen: '[::]:9477', remote: false}\n",
	  "e.yaml:2:19: listen: other hosts can reach [::]:9477" },
	{ V1 "metrics: {listen: '[::ffff:127.0.0.1]:9477'}\n", "e.yaml:2:19: listen: other hosts" },
};

static void bad_input(void **state)
{
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *got = error_of(bad[i].text);

		if (str_starts(got, bad[i].message))
			continue;
		print_error("%s\n  said     %s\n  expected %s\n", bad[i].text, got, bad[i].message);
		wrong++;
	}
	assert_int_equal(wrong, 0);
	assert_string_equal(error_of(V1 "metrics: {listen: '0.0.0.0:1', remote: true}\n"), "");
}

/* ---- the file ------------------------------------------------------------------------ */

/* The file that is installed: as it is, and with each example in force. */
static void the_example(void **state)
{
	char text[8192] = "", with[8192] = "", line[256];
	FILE *f = fopen("tools/service/egressd.yaml", "r");
	struct config c, plain;

	(void)state;
	assert_non_null(f); /* tests run in the top directory */
	while (fgets(line, sizeof(line), f)) {
		/* "# words" are for people; "#key:" and "#  key:" are examples */
		bool example = line[0] == '#' && (line[1] != ' ' || line[2] == ' ');

		strcat(text, line);
		strcat(with, line[0] != '#' ? line : example ? line + 1 : "\n");
		if (strstr(with, "group: egress"))
			memcpy(strstr(with, "group: egress") + 7, "root  ", 6);
	}
	fclose(f);
	config_defaults(&plain);
	parse(text, &c);
	free(c.file);
	c.file = NULL;
	assert_memory_equal(&c, &plain, sizeof(c));
	parse(with, &c);
	/* what it calls the default is the default */
	assert_int_equal(c.max_per_uid, plain.max_per_uid);
	assert_false(c.new_privileges);
	assert_int_equal(c.log_bytes, 5ull * EVENTLOG_MAX_BYTES);
	assert_string_equal(c.log_dir, EVENTLOG_DIR);
	assert_int_equal(c.journal, plain.journal);
	assert_int_equal(c.keep, plain.keep);
	assert_int_equal(c.grant_max_ms, plain.grant_max_ms);
	assert_int_equal(c.grant_who, plain.grant_who);
	assert_string_equal(c.grant_within[1], "10.0.0.0/8:*");
	assert_int_equal(c.nattach, 2);
	assert_string_equal(c.runtimes[0], "/opt/containers/bin/youki");
	assert_string_equal(c.metrics, "127.0.0.1:9477");
	config_clear(&c);
}

static char dir[] = "/tmp/config_test.XXXXXX", file[64], other[64];

static int make_dir(void **state)
{
	FILE *f;

	(void)state;
	strcpy(dir, "/tmp/config_test.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(file, sizeof(file), "%s/egressd.yaml", dir);
	(void)snprintf(other, sizeof(other), "%s/link", dir);
	f = fopen(file, "w");
	if (!f)
		return -1;
	fputs(V1 "stop: keep\n", f);
	return fclose(f) || chmod(file, 0644);
}

static int remove_dir(void **state)
{
	(void)state;
	(void)unlink(other);
	if (unlink(file) || rmdir(dir))
		return -1;
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	return 0;
}

static int load(const char *path, const char *said)
{
	struct config c = {};
	struct diag d = {};
	char text[2048];
	int err = config_load(path, &c, &d);

	if (said && !strstr(diag_text(&d, text, sizeof(text)), said))
		fail_msg("%s: said \"%s\", expected \"%s\"", path, text, said);
	if (!err)
		assert_true(c.keep);
	if (err == -ENOENT)
		assert_int_equal(c.max_per_uid, CONFIG_PER_UID);
	config_clear(&c);
	return err;
}

static void check_log_dir(const char *path, const char *want, int err)
{
	struct diag d = {};
	char *got = config_log_dir(path, &d);

	assert_string_equal(got, want);
	assert_int_equal(d.err, err);
	free(got);
}

/* For those who look for the log without egressd. */
static void where_the_log_is(void **state)
{
	FILE *f = fopen(file, "w");

	(void)state;
	assert_non_null(f);
	fputs(V1 "log: {dir: /srv/log}\n", f);
	fclose(f);
	check_log_dir(file, "/srv/log", 0);
	check_log_dir(other, EVENTLOG_DIR, 0);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(V1 "log: {dir: here}\n", f);
	fclose(f);
	check_log_dir(file, EVENTLOG_DIR, -EINVAL);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(V1 "stop: keep\n", f);
	fclose(f);
}

static void who_may_write_it(void **state)
{
	(void)state;
	assert_int_equal(load(file, NULL), 0);
	assert_int_equal(load("/nonexistent/egressd.yaml", NULL), -ENOENT);
	assert_int_equal(load(dir, "not a regular file"), -EINVAL);
	assert_int_equal(chmod(file, 0664), 0);
	assert_int_equal(load(file, "others than root can write to it"), -EPERM);
	assert_int_equal(chmod(file, 0646), 0);
	assert_int_equal(load(file, "others than root can write to it"), -EPERM);
	assert_int_equal(chmod(file, 0600), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(load(file, "others than root can replace it"), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(symlink(file, other), 0);
	assert_int_equal(load(other, "is a symbolic link"), -ELOOP);
	if (!geteuid()) { /* what a user owns, the user can write to */
		assert_int_equal(chown(file, 65534, 0), 0);
		assert_int_equal(load(file, "others than root can write to it"), -EPERM);
		assert_int_equal(chown(file, 0, 0), 0);
	}
	assert_int_equal(load(file, NULL), 0);
}

static void says_of_runtime(const char *path, const char *said)
{
	char text[256];

	(void)snprintf(text, sizeof(text), V1 "runtimes: [%s]\n", path);
	if (!*said)
		assert_string_equal(error_of(text), "");
	else if (!strstr(error_of(text), said))
		fail_msg("%s: said \"%s\", expected \"%s\"", path, error_of(text), said);
}

/* A runtime gets out of what it sets up: nobody else may become one. */
static void who_may_write_a_runtime(void **state)
{
	char link_to[80];

	(void)state;
	(void)snprintf(link_to, sizeof(link_to), "%s/link", dir);
	/* /tmp is everybody's: another file may be put there under that name */
	says_of_runtime(file, "others than root can write to /tmp");
	assert_int_equal(chmod(dir, 0777), 0);
	says_of_runtime(file, dir);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(chmod(file, 0775), 0);
	says_of_runtime(file, file);
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(symlink("/usr/bin/env", other), 0);
	says_of_runtime(link_to, "a link leads to /usr/bin/env");
	assert_int_equal(unlink(other), 0);
	assert_int_equal(symlink("/nonexistent/env", other), 0);
	says_of_runtime(link_to, "it is a link to nowhere");
	says_of_runtime("/usr/bin/env", "");
}

/* As many as are known, and no more than there is room for. */
static void many_runtimes(void **state)
{
	char text[4096] = V1 "runtimes:\n";

	(void)state;
	for (unsigned int i = 0; i < CONFIG_MAX_RUNTIMES; i++)
		(void)sprintf(text + strlen(text), "  - /nonexistent/%u\n", i);
	assert_string_equal(error_of(text), "");
	strcat(text, "  - /nonexistent/more\n");
	assert_non_null(strstr(error_of(text), "runtimes: 33 entries, at most 32"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_each_key_gives),
		cmocka_unit_test(what_is_not_said_is_the_default),
		cmocka_unit_test(bad_input),
		cmocka_unit_test(the_example),
		cmocka_unit_test_setup_teardown(where_the_log_is, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(who_may_write_it, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(who_may_write_a_runtime, make_dir, remove_dir),
		cmocka_unit_test(many_runtimes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
