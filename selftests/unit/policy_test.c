// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The policy language: what is refused and with which words, what extends means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "policy_bad.h"
#include "policy_help.h"
#include "policy_int.h"

#define V1 "version: 1\n"

static const char *load_error(const struct policy_file *files)
{
	static char message[2048];
	struct policy *p = NULL;
	struct diag d = {};

	if (!help_load(files, &p, &d)) {
		policy_free(p);
		return "";
	}
	assert_null(p);
	return diag_text(&d, message, sizeof(message));
}

static struct policy *load(const struct policy_file *files)
{
	struct policy *p = NULL;
	struct diag d = {};
	char text[2048];

	if (help_load(files, &p, &d))
		fail_msg("%s", diag_text(&d, text, sizeof(text)));
	return p;
}

/* ---- what is wrong --------------------------------------------------------------------- */

static void bad_input(void **state)
{
	char expected[2048];
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_policies); i++) {
		const char *got = help_error(bad_policies[i].text, NULL);

		(void)snprintf(expected, sizeof(expected), "p.yaml:%s", bad_policies[i].message);
		if (str_eq(got, expected))
			continue;
		print_error("%s\n  said     %s\n  expected %s\n", bad_policies[i].text, got,
			    expected);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void bytes_that_are_no_text(void **state)
{
	static const char *const bad[] = { "a: \xff\n", "a: \xc0\xaf\n", "a: \xed\xa0\x80\n",
					   "a: \xf5\x80\x80\x80\n", "a: \xe2\x82\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(strstr(help_error(bad[i], NULL), "p.yaml:1:4: byte 0x"));
}

static void too_large(void **state)
{
	size_t n = POLICY_MAX_BYTES + 1;
	char *text = malloc(n + 1);

	(void)state;
	memset(text, '#', n);
	text[n] = '\0';
	assert_string_equal(help_error(text, NULL),
			    "p.yaml: 1048577 bytes: a file has at most 1048576");
	free(text);
}

static void too_many_rules(void **state)
{
	char *text = malloc(POLICY_MAX_BYTES), *o = text;

	(void)state;
	o += sprintf(o, V1 "files:\n");
	for (unsigned int i = 0; i <= POLICY_MAX_RULES; i++)
		o += sprintf(o, "  /d%u: r\n", i);
	assert_string_equal(help_error(text, NULL),
			    "p.yaml:3:3: files: 20001 rules, at most 20000");
	o = text + sprintf(text, V1 "egress:\n  allow:\n");
	for (unsigned int i = 0; i <= POLICY_MAX_RULES; i++)
		o += sprintf(o, "  - 10.%u.%u.1:80\n", i >> 8, i & 255);
	assert_string_equal(help_error(text, NULL),
			    "p.yaml:4:3: allow: 20001 entries, at most 20000");
	free(text);
}

/* Nesting that doubles: without aliases there is nothing to double. */
static void yaml_bomb(void **state)
{
	(void)state;
	assert_string_equal(help_error("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", NULL),
			    "p.yaml:1:7: anchors (&name) are not used here: write the value "
			    "out, or quote it if it is meant to begin with &");
}

static void hostile_text_in_messages(void **state)
{
	(void)state;
	/* what a terminal would act on is shown, not done */
	assert_non_null(strstr(help_error(V1 "mode: \"a\\e[2Jb\"\n", NULL), "control character"));
}

/* ---- what is right --------------------------------------------------------------------- */

static const char whole[] =
	V1 "description: what this is for\n"
	   "mode: audit\n"
	   "egress:\n"
	   "  allow:\n"
	   "    - \"*.pypi.org\"\n"
	   "    - .example.org.\n"
	   "    - API.example.com:8443\n"
	   "    - 10.20.0.0/16:5432\n"
	   "    - \"[2001:db8::]/32:443-444/tcp\"\n"
	   "    - {host: nexus.corp.example, private: true}\n"
	   "    - {host: git.example.com, ports: [22, 443-445/udp, '*'], tls: off}\n"
	   "    - {host: proxy.corp.example, ports: 3128, proxy: true}\n"
	   "    - {host: 10.9.9.9, ports: [3128], unsafe: true}\n"
	   "  deny: [10.20.9.0/24, 'fd00::/8', bad.example.com]\n"
	   "  loopback: [own, 5432, 53/udp, {port: 1080, unsafe: true}]\n"
	   "  listen: {3000-3999: host, 22: none, default: own}\n"
	   "  unix: [/run/postgresql/.s.PGSQL.5432, '@name', {path: /run/docker.sock, unsafe: "
	   "true}]\n  sockets: [raw, ping, 'netlink:generic']\n"
	   "files:\n"
	   "  default: r\n"
	   "  /usr: rx\n"
	   "  ~: r\n"
	   "  \"${WORKDIR}\": rwxc\n"
	   "  \"**/.env\": none\n"
	   "exec: strict\n"
	   "privileges: [userns, io_uring off]\n"
	   "env: {keep: [OPENAI_API_KEY, 'LC_*'], set: {CI: \"1\", EMPTY: \"\"}}\n"
	   "limits: {memory: 4G, pids: 512, cpu: 200%, time: 30m}\n"
	   "on-failure: freeze\n";

static void whole_schema(void **state)
{
	const struct policy_file files[] = { { "p", whole }, {} };
	struct policy *p = load(files);

	(void)state;
	assert_string_equal(p->description, "what this is for");
	assert_int_equal(p->audit.v, 1);
	assert_int_equal(p->strict.v, 1);
	assert_int_equal(p->freeze.v, 1);
	assert_int_equal(p->allow.n, 9);
	assert_int_equal(p->deny.n, 3);
	assert_true(p->allow.v[0].below && !p->allow.v[0].self);
	assert_true(p->allow.v[1].below && p->allow.v[1].self);
	assert_string_equal(p->allow.v[1].name, "example.org");
	assert_string_equal(p->allow.v[2].name, "api.example.com");
	assert_int_equal(p->allow.v[2].ports[0].lo, 8443);
	assert_int_equal(p->allow.v[0].ports[0].lo, 443);
	assert_int_equal(p->allow.v[0].ports[0].proto, IPPROTO_TCP);
	assert_int_equal(p->allow.v[3].plen, 96 + 16);
	assert_int_equal(p->allow.v[4].ports[0].hi, 444);
	assert_int_equal(p->allow.v[5].flags, POLICY_D_PRIVATE);
	assert_int_equal(p->allow.v[6].flags, POLICY_D_TLS_OFF);
	assert_int_equal(p->allow.v[6].nports, 4); /* '*' is TCP and UDP */
	assert_int_equal(p->allow.v[7].flags, POLICY_D_PROXY);
	assert_int_equal(p->deny.v[0].ports[0].proto, 0);
	assert_true(p->loopback.own && !p->loopback.host);
	assert_int_equal(p->loopback.ports.n, 3);
	assert_int_equal(p->listen.n, 2);
	assert_int_equal(p->listen.v[0].mode, EG_LISTEN_HOST);
	assert_int_equal(p->unixes.n, 3);
	assert_true(p->unixes.v[2].unsafe);
	assert_int_equal(p->sockets, EG_SOCK_RAW | EG_SOCK_PING);
	assert_int_equal(p->netlink, 1u << 16);
	assert_int_equal(p->privileges, EG_PRIV_USERNS | EG_PRIV_NO_IO_URING);
	assert_int_equal(p->files.n, 4);
	assert_string_equal(p->files.v[1].key, "${HOME}");
	assert_int_equal(p->files.v[2].at.line, 24);
	assert_int_equal(p->files.v[2].at.col, 3);
	assert_int_equal(p->file_default.v, EG_R);
	assert_int_equal(p->memory.v, 4ull << 30);
	assert_int_equal(p->pids.v, 512);
	assert_int_equal(p->cpu.v, 200);
	assert_int_equal(p->time.v, 30 * 60 * 1000);
	assert_string_equal(p->env_set.v[1].text, "EMPTY=");
	policy_free(p);
}

static void json_is_yaml(void **state)
{
	const struct policy_file files[] = {
		{ "p", "{\"version\": 1, \"files\": {\"/usr\": \"rx\", \"~/.ssh\": \"none\"}}" }, {}
	};
	struct policy *p = load(files);

	(void)state;
	assert_int_equal(p->files.n, 2);
	policy_free(p);
}

static void units(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(policy_bytes_parse("4096", &v), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(policy_bytes_parse("3GiB", &v), 0);
	assert_int_equal(v, 3ull << 30);
	assert_int_not_equal(policy_bytes_parse("1.5G", &v), 0);
	assert_int_not_equal(policy_bytes_parse("8388608T", &v), 0);
	assert_int_equal(policy_time_parse("90s", &v), 0);
	assert_int_equal(v, 90000);
	assert_int_equal(policy_time_parse("250ms", &v), 0);
	assert_int_equal(v, 250);
	assert_int_not_equal(policy_time_parse("1000000d", &v), 0);
}

/* ---- extends ----------------------------------------------------------------------------- */

static void lists_unite_keys_replace(void **state)
{
	const struct policy_file files[] = {
		{ "p", V1 "extends: [a, b]\nfiles: {/x: r, \"/y/\": w}\negress: {allow: "
			  "['10.0.0.3:3']}\nlimits: {pids: 7}\nenv: {set: {A: child}}\n" },
		{ "a", V1 "files: {/x: rw, /a: r}\negress: {allow: ['10.0.0.1:1'], loopback: [own, "
			  "1]}\n"
			  "limits: {pids: 1, memory: 1G}\nenv: {keep: [K], set: {A: a, B: a}}\n" },
		{ "b", V1 "files: {/y: none, /b: x}\negress: {allow: ['10.0.0.2:2'], loopback: "
			  "[2]}\n"
			  "limits: {pids: 2}\nenv: {keep: [K, L], set: {A: b}}\nmode: audit\n" },
		{}
	};
	struct policy *p = load(files);
	char perm[5];

	(void)state;
	assert_int_equal(p->allow.n, 3);
	assert_int_equal(p->files.n, 4);
	for (size_t i = 0; i < p->files.n; i++) {
		const char *key = p->files.v[i].key;
		const char *got = policy_perm_text(p->files.v[i].perm, perm);

		assert_string_equal(got, str_eq(key, "/x") ? "r" : str_eq(key, "/y") ? "w" :
					 str_eq(key, "/a") ? "r" : "x");
	}
	assert_true(p->loopback.own);
	assert_int_equal(p->loopback.ports.n, 2);
	assert_int_equal(p->pids.v, 7);
	assert_int_equal(p->memory.v, 1 << 30);
	assert_int_equal(p->audit.v, 1);
	assert_int_equal(p->env_keep.n, 2);
	assert_int_equal(p->env_set.n, 2);
	assert_string_equal(p->env_set.v[0].text, "A=child");
	assert_int_equal(p->nsources, 3);
	policy_free(p);
}

static void parents_disagree(void **state)
{
	const struct {
		const char *a, *b, *message;
	} cases[] = {
		{ "files:\n  ~/x: r\n", "files:\n  \"${HOME}/x/\": w\n",
		  "p.yaml:2:10: \"~/x\": what is extended disagrees: r at a.yaml:3:3, w at "
		  "b.yaml:3:3: expected the path in this policy, to say which" },
		{ "mode: audit\n", "mode: enforce\n",
		  "p.yaml:2:10: mode: what is extended disagrees: a.yaml:2:7 and b.yaml:2:7: "
		  "expected the key in this policy, to say which" },
		{ "files: {default: r}\n", "files: {default: none}\n",
		  "p.yaml:2:10: files: default: what is extended disagrees: a.yaml:2:9 and "
		  "b.yaml:2:9: expected the key in this policy, to say which" },
		{ "egress: {loopback: none}\n", "egress: {loopback: own}\n",
		  "p.yaml:2:10: loopback: what is extended disagrees: a.yaml:2:20 and b.yaml:2:20: "
		  "expected the key in this policy, to say which" },
		{ "egress: {listen: {80: own}}\n", "egress: {listen: own}\n",
		  "p.yaml:2:10: listen: what is extended disagrees: a.yaml:2:18 and b.yaml:2:18: "
		  "expected the key in this policy, to say which" },
		{ "env: {set: {A: x}}\n", "env: {set: {A: y}}\n",
		  "p.yaml:2:10: env: set: what is extended disagrees: a.yaml:2:13 and b.yaml:2:13: "
		  "expected the key in this policy, to say which" },
	};
	char a[256], b[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct policy_file files[] = {
			{ "p", V1 "extends: [a, b]\n" }, { "a", a }, { "b", b }, {}
		};
		const struct policy_file settled[] = {
			{ "p", V1 "extends: [a, b]\nmode: audit\n"
				  "files: {default: r, ~/x: r}\negress: {loopback: own, listen: "
				  "own}\nenv: {set: {A: z}}\n" },
			{ "a", a }, { "b", b }, {}
		};

		(void)snprintf(a, sizeof(a), V1 "%s", cases[i].a);
		(void)snprintf(b, sizeof(b), V1 "%s", cases[i].b);
		assert_string_equal(load_error(files), cases[i].message);
		assert_string_equal(load_error(settled), "");
	}
}

static void extends_in_circles(void **state)
{
	const struct policy_file files[] = {
		{ "p", V1 "extends: [a]\n" }, { "a", V1 "extends: b\n" },
		{ "b", V1 "extends: [a]\n" }, {}
	};
	const struct policy_file missing[] = { { "p", V1 "extends: [nowhere]\n" }, {} };
	const struct policy_file broken[] = {
		{ "p", V1 "extends: [a]\n" }, { "a", V1 "mode: on\n" }, {}
	};

	(void)state;
	assert_string_equal(load_error(files),
			    "b.yaml:2:11: extends: a.yaml -> b.yaml -> a.yaml: a "
					       "policy cannot extend itself");
	assert_string_equal(load_error(missing),
			    "p.yaml:2:11: extends: no policy named \"nowhere\" "
						 "was handed over");
	assert_string_equal(load_error(broken), "a.yaml:2:7: mode: got \"on\", expected enforce or "
						"audit");
}

static void extends_too_deep(void **state)
{
	struct policy_file files[POLICY_MAX_EXTENDS + 3] = {};
	char name[POLICY_MAX_EXTENDS + 2][8], text[POLICY_MAX_EXTENDS + 2][64];

	(void)state;
	for (unsigned int i = 0; i < POLICY_MAX_EXTENDS + 2; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "n%u", i);
		(void)snprintf(text[i], sizeof(text[i]), V1 "extends: [n%u]\n", i + 1);
		files[i] = (struct policy_file){ name[i], text[i] };
	}
	assert_string_equal(load_error(files),
			    "n8.yaml:2:11: extends: \"n9\" is too deep: at most 8 "
					       "levels, 128 files");
}

/* One file reached along two ways says its things once. */
static void diamond(void **state)
{
	const struct policy_file files[] = {
		{ "p", V1 "extends: [a, b]\n" },
		{ "a", V1 "extends: [base]\nfiles: {/a: r}\n" },
		{ "b", V1 "extends: [base]\nfiles: {/b: r}\n" },
		{ "base", V1 "mode: audit\nfiles: {/x: r}\negress: {allow: ['10.0.0.1:1'], "
			     "loopback: [8]}\n" },
		{}
	};
	struct policy *p = load(files);

	(void)state;
	assert_int_equal(p->files.n, 3);
	assert_int_equal(p->allow.n, 1);
	assert_int_equal(p->loopback.ports.n, 1);
	assert_int_equal(p->nsources, 4);
	policy_free(p);
}

/* ---- files ------------------------------------------------------------------------------- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void files_and_names(void **state)
{
	char dir[] = "/tmp/policy_test.XXXXXX", sub[64], path[128], fifo[128];
	struct policy *p = NULL;
	struct diag d = {};

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(sub, sizeof(sub), "%s/sub", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	write_file(dir, "named.yaml", V1 "files: {/named: r}\n");
	write_file(dir, "common.yaml", V1 "files: {/common: r}\n");
	write_file(sub, "p.yaml", V1 "extends: [named, ../common.yaml]\nfiles: {/p: r}\n");
	assert_int_equal(setenv("EGRESSCTL_POLICY_DIR", dir, 1), 0);
	(void)snprintf(path, sizeof(path), "%s/p.yaml", sub);
	assert_int_equal(policy_load(path, NULL, &p, &d), 0);
	assert_int_equal(p->files.n, 3);
	policy_free(p);
	/* a name is never looked up beside the caller */
	assert_int_equal(policy_load("p", NULL, &p, &d), -ENOENT);
	diag_clear(&d);
	assert_int_equal(policy_load("..", NULL, &p, &d), -EINVAL);
	diag_clear(&d);
	assert_int_equal(policy_load(sub, NULL, &p, &d), -EINVAL);
	assert_non_null(strstr(d.msg, "not a regular file"));
	diag_clear(&d);
	/* a FIFO without a writer must not hang the reader */
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo.yaml", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(policy_load("fifo", NULL, &p, &d), -EINVAL);
	(void)unlink(fifo);
	(void)unlink(path);
	(void)rmdir(sub);
	(void)snprintf(path, sizeof(path), "%s/named.yaml", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/common.yaml", dir);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(unsetenv("EGRESSCTL_POLICY_DIR"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_input),
		cmocka_unit_test(bytes_that_are_no_text),
		cmocka_unit_test(too_large),
		cmocka_unit_test(too_many_rules),
		cmocka_unit_test(yaml_bomb),
		cmocka_unit_test(hostile_text_in_messages),
		cmocka_unit_test(whole_schema),
		cmocka_unit_test(json_is_yaml),
		cmocka_unit_test(units),
		cmocka_unit_test(lists_unite_keys_replace),
		cmocka_unit_test(parents_disagree),
		cmocka_unit_test(extends_in_circles),
		cmocka_unit_test(extends_too_deep),
		cmocka_unit_test(diamond),
		cmocka_unit_test(files_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
