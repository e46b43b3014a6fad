// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A rule into a policy file: whole or not at all, and none is lost. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "policy.h"
#include "policy_edit.h"
#include "util.h"

#define WRITERS 8
#define RULES 20

static char dir[64], file[96], message[2048];
static const char plain[] = "version: 1\negress:\n  allow:\n    - a.example # kept\n";

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned int n;

	n = (n + 1) % 4;
	(void)snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static const char *get(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static int save(const char *path, const char *rule, const char *comment)
{
	struct diag d = {};
	int err = policy_save(path, rule, comment, &d);

	message[0] = '\0';
	if (err < 0)
		(void)diag_text(&d, message, sizeof(message));
	assert_int_equal(err < 0 ? err : 0, d.err);
	return err;
}

/* Nothing is left beside the files of the test. */
static void no_litter(void)
{
	assert_int_equal(access(in_dir(".p.yaml.egressctl"), F_OK), -1);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/policy_save.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(file, sizeof(file), "%s/p.yaml", dir);
	put(file, plain);
	return 0;
}

static int tear_down(void **state)
{
	char cmd[256];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "chmod -R u+w %s && rm -r %s", dir, dir);
	return system(cmd);
}

static void adds(void **state)
{
	char want[256];
	struct stat st;
	int day[3];

	(void)state;
	assert_int_equal(chmod(file, 0604), 0);
	assert_int_equal(save(file, "connect b.example", "for the mirror"), 0);
	assert_int_equal(sscanf(get(file) + strlen(plain),
				"    - b.example  # allowed %4d-%2d-%2d: ", &day[0], &day[1],
				&day[2]), 3);
	(void)snprintf(want, sizeof(want),
		       "%s    - b.example  # allowed %04d-%02d-%02d: for the mirror\n", plain,
		       day[0], day[1], day[2]);
	assert_string_equal(get(file), want);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_int_equal(save(file, "connect b.example", NULL), 1);
	assert_string_equal(get(file), want);
	assert_int_equal(save(file, "connect c.example", ""), 0);
	assert_int_equal(strlen(get(file)),
			 strlen(want) + strlen("    - c.example  # allowed 2026-11-23\n"));
	no_litter();
}

static void refuses(void **state)
{
	static const struct {
		const char *rule, *text, *say;
	} cases[] = {
		{ "connect", plain, "expected 'open PATH PERM'" },
		{ "open /a r", "version: 2\n", "p.yaml:1:10: version" },
		{ "open /a r", "version: 1\nextends: [./none-such.yaml]\n",
		  "none-such.yaml: no such file" },
		{ "open /a r", "version: 1\nextends: [./p.yaml]\n", "is too deep" },
		{ "socket pigeon", plain, "\"pigeon\" cannot be added: sockets" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put(file, cases[i].text);
		assert_int_not_equal(save(file, cases[i].rule, NULL), 0);
		if (!strstr(message, cases[i].say))
			fail_msg("%s: %s", cases[i].rule, message);
		assert_string_equal(get(file), cases[i].text);
		no_litter();
	}
}

/* What is extended has its say: a deny wins, and what it closes is not widened. */
static void with_parents(void **state)
{
	static const char child[] = "version: 1\nextends: [./base.yaml]\nfiles: {default: rwxc}\n";

	(void)state;
	put(in_dir("base.yaml"), "version: 1\negress:\n  deny:\n    - 10.0.0.0/8\n"
				 "files:\n  /usr: rx\n  /x: none\n  \"**/.env\": none\n");
	put(file, child);
	assert_int_equal(save(file, "connect 10.0.0.1:80", NULL), -EINVAL);
	assert_non_null(strstr(message, "base.yaml:4:7: deny: \"10.0.0.0/8\" wins"));
	assert_int_equal(save(file, "open /w/**/.env r", NULL), -EINVAL);
	assert_non_null(strstr(message, "base.yaml:8:3: \"**/.env: none\" wins"));
	assert_string_equal(get(file), child);
	/* the default of the child does not reach below the parent's none */
	assert_int_equal(save(file, "open /x/y r", NULL), 0);
	assert_non_null(strstr(get(file), "/x/y: r}"));
	assert_int_equal(save(file, "open /x w", NULL), 0);
	assert_non_null(strstr(get(file), "/x: w}"));
	assert_int_equal(save(file, "open /z r", NULL), 0);
	assert_non_null(strstr(get(file), "/z: rwxc}"));
	/* a rule of the child replaces the one of its parent: what that allowed is in it */
	assert_int_equal(save(file, "open /usr w", NULL), 0);
	assert_non_null(strstr(get(file), "/usr: rwx}"));
	no_litter();
}

/* `extends` is relative to the name a policy is loaded by, the text is in the target. */
static void follows_links(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(in_dir("d"), 0755), 0);
	put(in_dir("d/p.yaml"), "version: 1\nextends: [./base.yaml]\n");
	put(in_dir("base.yaml"), "version: 1\n");
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("d/p.yaml", file), 0);
	assert_int_equal(save(file, "open /a r", NULL), 0);
	assert_int_equal(lstat(file, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_non_null(strstr(get(in_dir("d/p.yaml")), "  /a: r  # allowed"));
	assert_int_equal(access(in_dir("d/.p.yaml.egressctl"), F_OK), -1);
	assert_int_equal(save(in_dir("d/p.yaml"), "open /b r", NULL), -ENOENT);
	no_litter();
}

static void no_file(void **state)
{
	char *big = malloc(POLICY_MAX_BYTES + 2);

	(void)state;
	assert_int_equal(save(in_dir("none.yaml"), "open /a r", NULL), -ENOENT);
	assert_int_equal(save(dir, "open /a r", NULL), -EINVAL);
	assert_non_null(strstr(message, "not a regular file"));
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(save(in_dir("fifo"), "open /a r", NULL), -EINVAL);
	assert_non_null(strstr(message, "not a regular file"));
	assert_non_null(big);
	memset(big, '#', POLICY_MAX_BYTES + 1);
	big[POLICY_MAX_BYTES + 1] = '\0';
	put(file, big);
	free(big);
	assert_int_equal(save(file, "open /a r", NULL), -EFBIG);
	assert_non_null(strstr(message, "larger than"));
	no_litter();
}

/* As a user who owns the files, with root's eyes shut. */
static int as_user(const char *path, const char *rule)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct diag d = {};

		if (!geteuid() && (setresgid(1, 1, 1) || setresuid(1, 1, 1)))
			_exit(99);
		_exit(-policy_save(path, rule, NULL, &d));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void own_all(void)
{
	if (geteuid())
		return;
	assert_int_equal(chown(dir, 1, 1), 0);
	assert_int_equal(chown(file, 1, 1), 0);
}

static void no_right(void **state)
{
	(void)state;
	own_all();
	assert_int_equal(chmod(file, 0444), 0);
	assert_int_equal(as_user(file, "open /a r"), -EACCES);
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(chmod(dir, 0555), 0);
	assert_int_equal(as_user(file, "open /a r"), -EACCES);
	assert_string_equal(get(file), plain);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(as_user(file, "open /a r"), 0);
	no_litter();
}

/* Root changes a user's file: it stays the user's. */
static void keeps_owner(void **state)
{
	uid_t uid = geteuid() ? geteuid() : 1;
	gid_t gid = geteuid() ? getegid() : 2;
	struct stat st;
	char value[8];

	(void)state;
	assert_int_equal(chown(file, uid, gid), 0);
	assert_int_equal(chmod(file, 0640), 0);
	if (setxattr(file, "user.mark", "x", 1, 0))
		assert_int_equal(errno, EOPNOTSUPP); /* not every file system has them */
	assert_int_equal(save(file, "open /a r", NULL), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (getxattr(file, "user.mark", value, sizeof(value)) < 0)
		assert_int_equal(errno, EOPNOTSUPP);
}

/* As the kernel keeps it: user 3 may read, the group may not, others neither. */
static const unsigned char acl[] = {
	2, 0, 0, 0, /* version */
	0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* owner: rw */
	0x02, 0, 4, 0, 3, 0, 0, 0, /* user 3: r */
	0x04, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* group */
	0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* mask: r */
	0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* others */
};

/* A list is kept, and what the directory gives to new files is not given to old ones. */
static void keeps_acl(void **state)
{
	unsigned char got[256];

	(void)state;
	if (setxattr(file, "system.posix_acl_access", acl, sizeof(acl), 0)) {
		assert_int_equal(errno, EOPNOTSUPP);
		return;
	}
	assert_int_equal(save(file, "open /a r", NULL), 0);
	assert_int_equal(getxattr(file, "system.posix_acl_access", got, sizeof(got)), sizeof(acl));
	assert_memory_equal(got, acl, sizeof(acl));
	put(in_dir("p.yaml.new"), plain);
	assert_int_equal(rename(in_dir("p.yaml.new"), file), 0);
	assert_int_equal(setxattr(dir, "system.posix_acl_default", acl, sizeof(acl), 0), 0);
	assert_int_equal(save(file, "open /a r", NULL), 0);
	assert_int_equal(getxattr(file, "system.posix_acl_access", got, sizeof(got)), -1);
	assert_int_equal(errno, ENODATA);
}

/* What a crash left is used up; what somebody put in the way is not written to. */
static void left_over(void **state)
{
	struct stat st;

	(void)state;
	put(in_dir(".p.yaml.egressctl"),
	    "much longer than the policy that is about to be written: all of it has to go before "
	    "the new text is there to be read");
	assert_int_equal(save(file, "open /a r", NULL), 0);
	assert_non_null(strstr(get(file), "  /a: r  # allowed "));
	assert_null(strstr(get(file), "much longer"));
	no_litter();

	put(in_dir("victim"), "mine");
	assert_int_equal(symlink("victim", in_dir(".p.yaml.egressctl")), 0);
	assert_int_equal(save(file, "open /b r", NULL), -ELOOP);
	assert_int_equal(unlink(in_dir(".p.yaml.egressctl")), 0);
	assert_int_equal(link(in_dir("victim"), in_dir(".p.yaml.egressctl")), 0);
	assert_int_equal(save(file, "open /b r", NULL), 0);
	assert_string_equal(get(in_dir("victim")), "mine");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	no_litter();
}

/* Whoever can read the policy and its directory cannot hold a change up. */
static void readers_lock(void **state)
{
	int a = open(file, O_RDONLY), b = open(dir, O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(flock(a, LOCK_EX), 0);
	assert_int_equal(flock(b, LOCK_EX), 0);
	assert_int_equal(save(file, "open /a r", NULL), 0);
	close(a);
	close(b);
}

static void writer(unsigned int w)
{
	struct diag d = {};
	char rule[64], text[2048];

	for (unsigned int i = 0; i < RULES; i++) {
		(void)snprintf(rule, sizeof(rule),
			       i & 1 ? "connect w%u-%u.example" : "open /w%u/%u r", w, i);
		if (policy_save(file, rule, "at once", &d)) {
			(void)fprintf(stderr, "%s: %s\n", rule, diag_text(&d, text, sizeof(text)));
			_exit(1);
		}
	}
	_exit(0);
}

static bool has(const struct policy *p, unsigned int w, unsigned int i)
{
	char text[64];

	(void)snprintf(text, sizeof(text), i & 1 ? "w%u-%u.example" : "/w%u/%u", w, i);
	for (size_t k = 0; i & 1 && k < p->allow.n; k++)
		if (str_eq(p->allow.v[k].text, text))
			return true;
	for (size_t k = 0; !(i & 1) && k < p->files.n; k++)
		if (str_eq(p->files.v[k].text, text) && p->files.v[k].perm == EG_R)
			return true;
	return false;
}

/* The first line of all of them is the last one to go. */
static void at_once(void **state)
{
	struct policy *p = NULL;
	struct diag d = {};
	pid_t pids[WRITERS];
	int status;

	(void)state;
	for (unsigned int w = 0; w < WRITERS; w++) {
		pids[w] = fork();
		if (!pids[w])
			writer(w);
	}
	for (unsigned int w = 0; w < WRITERS; w++) {
		assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(policy_load(file, NULL, &p, &d), 0);
	assert_int_equal(p->allow.n + p->files.n, 1 + WRITERS * RULES);
	for (unsigned int i = 0; i < WRITERS * RULES; i++)
		assert_true(has(p, i / RULES, i % RULES));
	policy_free(p);
	assert_non_null(strstr(get(file), "- a.example # kept\n"));
	no_litter();
}

/* ---- which file ----------------------------------------------------------------- */

/* What comes with egressctl: beside the directory of this program, as in a tree. */
static void shipped(void **state)
{
	char path[4096], name[64], command[8192];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 128);

	(void)state;
	assert_true(n > 0);
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	strcat(path, "/policies");
	assert_true(!mkdir(path, 0755) || errno == EEXIST);
	(void)snprintf(name, sizeof(name), "edit-test-%d", getpid());
	(void)sprintf(path + strlen(path), "/%s.yaml", name);
	put(path, plain);
	assert_int_equal(unsetenv("EGRESSCTL_POLICY_DIR"), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", dir, 1), 0);
	assert_int_equal(save(path, "open /a r", NULL), -EPERM);
	(void)snprintf(command, sizeof(command), "install -D -m 644 %s %s%s/%s.yaml", path,
		       geteuid() ? dir : "/etc", "/egressctl/policies", name);
	assert_non_null(strstr(message, command));
	assert_int_equal(symlink(path, in_dir("link.yaml")), 0);
	assert_int_equal(save(in_dir("link.yaml"), "open /a r", NULL), -EPERM);
	assert_string_equal(get(path), plain);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(adds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(with_parents, set_up, tear_down),
		cmocka_unit_test_setup_teardown(follows_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_right, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_acl, set_up, tear_down),
		cmocka_unit_test_setup_teardown(left_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(readers_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shipped, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("policy_save", tests, NULL, NULL);
}
