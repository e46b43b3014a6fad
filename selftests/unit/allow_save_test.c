// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `allow --save`: which file a rule goes to, whatever the sandbox's user called it. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "allow_save.h"
#include "policy_edit.h"
#include "policy_send.h"
#include "util.h"

#define OTHER 65534 /* any user but root */

static char dir[64];
static const char plain[] = "version: 1\negress:\n  allow:\n    - a.example\nfiles:\n  /a: r\n";

static const char *in_dir(const char *name)
{
	static char path[8][256];
	static unsigned int n;

	n = (n + 1) % ARRAY_SIZE(path);
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

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/allow_save.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char cmd[256];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "chmod -R u+w %s && rm -r %s", dir, dir);
	return system(cmd);
}

/* ---- what was only added to ------------------------------------------------------------- */

static int holds(const char *now, const char *was)
{
	struct diag d = {};
	int got = policy_edit_holds("p.yaml", now, strlen(now), was, strlen(was), &d);

	assert_int_equal(got < 0, d.err != 0);
	return got;
}

static void only_more(void **state)
{
	char *text = NULL, *again = NULL;
	struct diag d = {};
	size_t len;

	(void)state;
	assert_int_equal(holds(plain, plain), 1);
	assert_int_equal(policy_edit_add("p.yaml", plain, strlen(plain), "connect b.example",
					 "why", &text, &len, &d), 0);
	assert_int_equal(holds(text, plain), 1);
	assert_int_equal(holds(plain, text), 0);
	assert_int_equal(policy_edit_add("p.yaml", text, len, "open /a w", NULL, &again, &len, &d),
			 0);
	assert_int_equal(holds(again, plain), 1);
	free(text);
	free(again);
	/* a comment, a layout, an entry in between, a section */
	assert_int_equal(holds("# mine\nversion: 1\nfiles: {/b: w, /a: rw}\nexec: strict\n"
			       "egress: {allow: [0.example, a.example]}\n", plain), 1);
}

static void something_else(void **state)
{
	static const char closed[] = "version: 1\nfiles: {/a: none, /b: rw}\n";
	static const char *const bad[] = {
		"version: 1\n",
		"version: 1\nfiles: {/a: none, /b: r}\n",
		"version: 1\nfiles: {/a: r, /b: rw}\n",
		"version: 1\nfiles: {/b: rw}\n",
		"version: 1\nfiles: [/a, /b]\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(holds(bad[i], closed), 0);
	assert_int_equal(holds("version: 1\nprivileges: [ipc, keys]\n",
			       "version: 1\nprivileges: [keys, ipc]\n"), 0);
	assert_int_equal(holds("version: 1\nmode: enforce\n", "version: 1\nmode: audit\n"), 0);
	assert_true(holds("{", plain) < 0);
}

/* ---- where policies were read --------------------------------------------------------- */

static json_t *request_of(const char *const *policies, size_t n)
{
	json_t *r = json_pack("{s:[], s:[]}", "policies", "texts");
	struct diag d = {};

	for (size_t i = 0; i < n; i++) {
		(void)json_array_append_new(json_object_get(r, "policies"),
					    json_string(policies[i]));
		assert_int_equal(policy_send_add(json_object_get(r, "texts"), policies[i], NULL,
						 &d), 0);
	}
	return r;
}

static const char *file_at(const json_t *files, size_t i)
{
	return json_string_value(json_object_get(json_array_get(files, i), "file"));
}

/* "./p.yaml" is the one that was read, through a link or not, whoever asks from where. */
static void real_places(void **state)
{
	static const char *const names[] = { "./p.yaml", "./link.yaml" };
	json_t *r, *files;

	(void)state;
	assert_int_equal(chdir(dir), 0);
	put("p.yaml", plain);
	put("q.yaml", plain);
	assert_int_equal(symlink("q.yaml", "link.yaml"), 0);
	r = request_of(names, 2);
	assert_int_equal(chdir("/"), 0);
	files = policy_send_files(r);
	assert_int_equal(json_array_size(files), 2);
	assert_string_equal(file_at(files, 0), in_dir("p.yaml"));
	assert_string_equal(file_at(files, 1), in_dir("q.yaml"));
	json_decref(files);
	json_decref(r);
}

/* What a client sends beside what it asks for is no file of the sandbox. */
static void only_asked_for(void **state)
{
	json_t *r = json_pack(
		"{s:[s], s:[{s:s, s:n, s:s, s:s}, {s:s, s:s, s:s, s:s, s:s},"
		"{s:s, s:s, s:s, s:s, s:s}, {s:s, s:s, s:s, s:s, s:s}, {s:s, s:n, s:s, s:s, s:s}]}",
		"policies", "--allow", "texts",
		"name", "--allow", "from", "path", "--allow", "text",
		"version: 1\nextends: [mine]\n",
		"name", "mine", "from", "--allow", "path", "m", "file", "/m.yaml", "text", plain,
		"name", "mine", "from", "--allow", "path", "m", "file", "/again.yaml", "text",
		plain,
		"name", "not-it", "from", "--allow", "path", "n", "file", "/n.yaml", "text", plain,
		"name", "not-it", "from", "path", "n", "file", "/n.yaml", "text", plain);
	json_t *files;

	(void)state;
	assert_non_null(r);
	files = policy_send_files(r);
	assert_int_equal(json_array_size(files), 1);
	assert_string_equal(file_at(files, 0), "/m.yaml");
	json_decref(files);
	json_decref(r);
}

/* ---- which one is written ---------------------------------------------------------------- */

static json_t *file_of(const char *name, const char *file, const char *text)
{
	return json_pack("{s:s, s:s, s:s}", "name", name, "file", file, "text", text);
}

static int find(json_t *files, char *path, struct diag *d)
{
	struct save_target t = {};
	int err;

	*d = (struct diag){};
	err = save_target_find(files, &t, d);
	assert_int_equal(err, d->err);
	if (!err)
		strcpy(path, t.path);
	save_target_clear(&t);
	json_decref(files);
	return err;
}

static void the_one_it_runs_under(void **state)
{
	char path[PATH_MAX];
	struct diag d;

	(void)state;
	put(in_dir("p.yaml"), plain);
	put(in_dir("q.yaml"), "version: 1\n");
	assert_int_equal(find(json_pack("[o]", file_of("ci-build", in_dir("p.yaml"), plain)), path,
			      &d), 0);
	assert_string_equal(path, in_dir("p.yaml"));
	assert_int_equal(find(json_pack("[o]", file_of("p", in_dir("q.yaml"), plain)), path, &d),
			 -EPERM);
	assert_non_null(strstr(d.msg, "not what the sandbox runs under"));
	assert_int_equal(find(json_pack("[o]", file_of("p", in_dir("none.yaml"), plain)), path,
			      &d), -ENOENT);
	assert_int_equal(find(json_array(), path, &d), -ENOENT);
	assert_int_equal(find(json_pack("[o]", file_of("p", "p.yaml", plain)), path, &d), -ENOENT);
}

static void not_where_others_write(void **state)
{
	char path[PATH_MAX];
	struct diag d = {};

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(mkdir(in_dir("sub"), 0755), 0);
	put(in_dir("sub/p.yaml"), plain);
	assert_int_equal(save_place_check(in_dir("sub/p.yaml"), &d), 0);
	assert_int_equal(chmod(in_dir("sub/p.yaml"), 0664), 0);
	assert_int_equal(save_place_check(in_dir("sub/p.yaml"), &d), -EPERM);
	assert_int_equal(chmod(in_dir("sub/p.yaml"), 0644), 0);
	assert_int_equal(chmod(in_dir("sub"), 0777), 0);
	assert_int_equal(save_place_check(in_dir("sub/p.yaml"), NULL), -EPERM);
	assert_int_equal(chmod(in_dir("sub"), 01777), 0);
	assert_int_equal(save_place_check(in_dir("sub/p.yaml"), NULL), 0);
	assert_int_equal(symlink("sub", in_dir("link")), 0);
	assert_int_equal(save_place_check(in_dir("link/p.yaml"), NULL), -EPERM);
	assert_int_equal(chown(in_dir("sub"), OTHER, OTHER), 0);
	assert_int_equal(find(json_pack("[o]", file_of("p", in_dir("sub/p.yaml"), plain)), path,
			      &d), -EPERM);
	assert_non_null(strstr(d.msg, "belongs to another user"));
}

static int save(json_t *grants, json_t *sandboxes, struct diag *d)
{
	int err;

	*d = (struct diag){};
	err = save_grants(grants, sandboxes, "why", d);
	assert_int_equal(err, d->err);
	json_decref(grants);
	json_decref(sandboxes);
	return err;
}

static void saves(void **state)
{
	struct diag d;

	(void)state;
	put(in_dir("p.yaml"), plain);
	put(in_dir("q.yaml"), plain);
	/* the second time it is not the sandbox's text any more */
	for (int i = 0; i < 2; i++)
		assert_int_equal(save(json_pack("[{s:s}, {s:s}]", "rule", "connect b.example",
						"rule", "connect b.example"),
				      json_pack("[[o]]", file_of("./p.yaml", in_dir("p.yaml"),
								 plain)), &d), 0);
	assert_non_null(strstr(get(in_dir("p.yaml")), "- b.example  # allowed 2"));
	assert_string_equal(get(in_dir("q.yaml")), plain);
	/* two sandboxes of one label */
	assert_int_equal(save(json_pack("[{s:s}]", "rule", "connect c.example"),
			      json_pack("[[o], [o]]", file_of("p", in_dir("p.yaml"), plain),
					file_of("p", in_dir("q.yaml"), plain)), &d), -EPERM);
	assert_string_equal(get(in_dir("q.yaml")), plain);
	assert_int_equal(save(json_pack("[{s:s}]", "rule", "connect c.example"), json_array(),
			      &d), -ENOENT);
}

/* ---- one that comes with egressctl -------------------------------------------------------- */

/* Beside the directory of this program, as in a tree. */
static void shipped_dir(char *path)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	assert_true(n > 0);
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	strcat(path, "/policies");
	assert_true(!mkdir(path, 0755) || errno == EEXIST);
}

static void copy_of_shipped(const char *shipped, const char *name)
{
	json_t *files = json_pack("[o]", file_of(name, shipped, plain));
	char own[512], path[PATH_MAX];
	struct diag d;

	(void)snprintf(own, sizeof(own), "%s/egressctl/policies/%s.yaml", dir, name);
	assert_int_equal(save(json_pack("[{s:s}, {s:s}]", "rule", "connect b.example", "rule",
					"connect c.example"), json_pack("[O]", files), &d), 0);
	assert_non_null(strstr(get(own), "- b.example"));
	assert_non_null(strstr(get(own), "- c.example"));
	assert_string_equal(get(shipped), plain);
	/* from then on it is the one */
	assert_int_equal(find(json_incref(files), path, &d), 0);
	assert_string_equal(path, own);
	assert_int_equal(save(json_pack("[{s:s}]", "rule", "connect d.example"),
			      json_pack("[O]", files), &d), 0);
	assert_non_null(strstr(get(own), "- d.example"));
	/* it is another policy by now, of the same name */
	put(own, "version: 1\n");
	assert_int_equal(find(files, path, &d), -EPERM);
	/* of several, the first that is not shipped */
	put(in_dir("own.yaml"), plain);
	assert_int_equal(find(json_pack("[o, o]", file_of(name, shipped, plain),
					file_of("./own.yaml", in_dir("own.yaml"), plain)), path,
			      &d), 0);
	assert_string_equal(path, in_dir("own.yaml"));
	/* by its path a copy would not be found */
	assert_int_equal(find(json_pack("[o]", file_of(shipped, shipped, plain)), path, &d),
			 -EPERM);
	assert_non_null(strstr(d.msg, "install -D"));
}

static void shipped(void **state)
{
	char path[PATH_MAX + 64], name[64];
	bool root = !geteuid();

	(void)state;
	shipped_dir(path);
	(void)snprintf(name, sizeof(name), "save-test-%d", getpid());
	(void)sprintf(path + strlen(path), "/%s.yaml", name);
	put(path, plain);
	assert_int_equal(chown(dir, root ? OTHER : geteuid(), (gid_t)-1), 0);
	assert_int_equal(unsetenv("EGRESSCTL_POLICY_DIR"), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", dir, 1), 0);
	/* what root has of its own is everybody's, in /etc */
	assert_int_equal(root ? seteuid(OTHER) : 0, 0);
	copy_of_shipped(path, name);
	assert_int_equal(root ? seteuid(0) : 0, 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_more),
		cmocka_unit_test(something_else),
		cmocka_unit_test_setup_teardown(real_places, set_up, tear_down),
		cmocka_unit_test(only_asked_for),
		cmocka_unit_test_setup_teardown(the_one_it_runs_under, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_where_others_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(saves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shipped, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("allow_save", tests, NULL, NULL);
}
