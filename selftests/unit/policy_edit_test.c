// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A rule into the text of a policy: before, rule, after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy_edit.h"
#include "util.h"

#define NOTE "allowed 2026-11-23: why"
#define V1 "version: 1\n"
#define HASH "  # " NOTE

struct edit_case {
	const char *before, *rule, *after;
};

static char message[2048];

static int edit(const char *before, const char *rule, const char *comment, char **after)
{
	struct diag d = {};
	size_t len = 0;
	int err;

	*after = NULL;
	message[0] = '\0';
	err = policy_edit_add("p.yaml", before, strlen(before), rule, comment, after, &len, &d);
	if (err < 0)
		(void)diag_text(&d, message, sizeof(message));
	assert_int_equal(err, d.err ? d.err : err);
	if (*after)
		assert_int_equal(strlen(*after), len);
	else
		assert_int_not_equal(err, 0);
	return err;
}

static void check_edits(const struct edit_case *c, size_t n)
{
	int wrong = 0;

	for (size_t i = 0; i < n; i++) {
		char *after, *again;
		int err = edit(c[i].before, c[i].rule, NOTE, &after);

		if (err || !str_eq(after, c[i].after)) {
			print_error("case %zu, %s: %d %s\n%s---- expected\n%s----\n", i, c[i].rule,
				    err, message, after ? after : "", c[i].after);
			wrong++;
		} else if (edit(after, c[i].rule, NOTE, &again) != 1) {
			print_error("case %zu, %s: added again\n%s", i, c[i].rule, after);
			free(again);
			wrong++;
		}
		free(after);
	}
	assert_int_equal(wrong, 0);
}

static void block_lists(void **state)
{
	static const struct edit_case cases[] = {
		{ "version: 1\n"
		  "egress:\n"
		  "  allow:\n"
		  "    - a.example       # the first\n"
		  "    # - c.example\n"
		  "  deny: [192.0.2.1]\n", "connect b.example:8443",
		  "version: 1\n"
		  "egress:\n"
		  "  allow:\n"
		  "    - a.example       # the first\n"
		  "    - b.example:8443" HASH "\n"
		  "    # - c.example\n"
		  "  deny: [192.0.2.1]\n" },
		/* dashes below the key, wide ones, a comment that goes on */
		{ "version: 1\n"
		  "egress:\n"
		  "   allow:\n"
		  "   -   \"a.example\"   # one\n"
		  "                       # two\n"
		  "\n"
		  "   # about deny\n"
		  "   deny: [192.0.2.1]\n", "connect b.example",
		  "version: 1\n"
		  "egress:\n"
		  "   allow:\n"
		  "   -   \"a.example\"   # one\n"
		  "                       # two\n"
		  "   -   \"b.example\"" HASH "\n"
		  "\n"
		  "   # about deny\n"
		  "   deny: [192.0.2.1]\n" },
		/* the last entry is a map over lines, and the file ends without a newline */
		{ "version: 1\n"
		  "egress:\n"
		  "  allow:\n"
		  "  - host: a.example\n"
		  "    ports: [22,\n"
		  "            443]", "connect *.b.example",
		  "version: 1\n"
		  "egress:\n"
		  "  allow:\n"
		  "  - host: a.example\n"
		  "    ports: [22,\n"
		  "            443]\n"
		  "  - \"*.b.example\"" HASH },
		/* a block scalar, and the end of the document */
		{ "%YAML 1.2\n"
		  "---\n"
		  "version: 1\n"
		  "egress:\n"
		  "  unix:\n"
		  "    - >-\n"
		  "      /run/a\n"
		  "\n"
		  "...\n"
		  "# end\n", "unix @x/y z",
		  "%YAML 1.2\n"
		  "---\n"
		  "version: 1\n"
		  "egress:\n"
		  "  unix:\n"
		  "    - >-\n"
		  "      /run/a\n"
		  "    - \"@x/y z\"" HASH "\n"
		  "\n"
		  "...\n"
		  "# end\n" },
		/* the dash stands alone */
		{ V1 "privileges:\n-\n  ptrace\n", "privilege mounts",
		  V1 "privileges:\n-\n  ptrace\n- mounts" HASH "\n" },
		{ "version: 1\r\negress:\r\n  sockets:\r\n    - raw\r\n# end\r\n", "socket ping",
		  "version: 1\r\negress:\r\n  sockets:\r\n    - raw\r\n    - ping" HASH
		  "\r\n# end\r\n" },
		{ "# \xc3\xa4\xe2\x82\xac\nversion: 1\ndescription: \"\xc3\xa4\"\negress:\n"
		  "  allow:\n  - m\xc3\xbcnchen.example # \xc3\xa4\n  listen: own\n",
		  "connect [2001:db8::]/32:443-444/udp",
		  "# \xc3\xa4\xe2\x82\xac\nversion: 1\ndescription: \"\xc3\xa4\"\negress:\n"
		  "  allow:\n  - m\xc3\xbcnchen.example # \xc3\xa4\n"
		  "  - \"[2001:db8::]/32:443-444/udp\"" HASH "\n  listen: own\n" },
	};

	(void)state;
	check_edits(cases, ARRAY_SIZE(cases));
}

static void block_maps(void **state)
{
	static const struct edit_case cases[] = {
		{ V1 "files:\n    default: none\n    /usr: rx   # system\n\nmode: audit\n",
		  "open /a:b.txt rw",
		  V1 "files:\n    default: none\n    /usr: rx   # system\n"
		  "    /a:b.txt: rw" HASH "\n\nmode: audit\n" },
		{ V1 "files:\n  \"/usr\": \"rx\"\n", "open /a r",
		  V1 "files:\n  \"/usr\": \"rx\"\n  \"/a\": \"r\"" HASH "\n" },
		{ V1 "files:\n  /usr: rx\n", "open /a # \"b: r",
		  V1 "files:\n  /usr: rx\n  \"/a # \\\"b:\": r" HASH "\n" },
		{ V1 "files:\n  /usr: rx\n", "open ${WORKDIR}/x rwxc",
		  V1 "files:\n  /usr: rx\n  \"${WORKDIR}/x\": rwxc" HASH "\n" },
		/* letters that a path lacks, however it is spelt */
		{ V1 "files: # f\n  ~/x: xr   # c\n  /b: r\n", "open ~/x w",
		  V1 "files: # f\n  ~/x: rwx   # c" HASH "\n  /b: r\n" },
		{ V1 "files:\n  '${HOME}/x/': 'r'\n", "open ~/x c",
		  V1 "files:\n  '${HOME}/x/': 'rc'" HASH "\n" },
		{ V1 "files: {/a: r, \"/b\": \"r\"} # c", "open /b w",
		  V1 "files: {/a: r, \"/b\": \"rw\"} # c" HASH },
		{ V1 "files:\n  ? /k\n  : r\n", "open /k w",
		  V1 "files:\n  ? /k\n  : rw" HASH "\n" },
		/* nothing is taken away: /data had r, the rule would have only w */
		{ V1 "files:\n  /data: r\n", "open /data/out w",
		  V1 "files:\n  /data: r\n  /data/out: rw" HASH "\n" },
		{ V1 "files:\n  default: rx\n", "open /d/*.x w",
		  V1 "files:\n  default: rx\n  \"/d/*.x\": rwx" HASH "\n" },
		/* what is closed by a pattern is opened by a name, and only as far as asked */
		{ V1 "files:\n  default: rwxc\n  \"**/.env\": none\n", "open /w/.env r",
		  V1 "files:\n  default: rwxc\n  \"**/.env\": none\n  /w/.env: r" HASH "\n" },
		{ V1 "files:\n  /w: none\n", "open /w/[!a-c]?x r",
		  V1 "files:\n  /w: none\n  \"/w/[!a-c]?x\": r" HASH "\n" },
	};

	(void)state;
	check_edits(cases, ARRAY_SIZE(cases));
}

static void new_sections(void **state)
{
	static const struct edit_case cases[] = {
		{ "version: 1\n", "open /a r", V1 "files:\n  /a: r" HASH "\n" },
		{ "version: 1", "connect a.example",
		  V1 "egress:\n  allow:\n    - a.example" HASH },
		/* indented and apart as the rest is; comments stay with the section before */
		{ V1 "\nfiles:\n    /a: r\n    # /b: r\n\n# the end\n", "connect a.example",
		  V1 "\nfiles:\n    /a: r\n    # /b: r\n\n"
		  "egress:\n    allow:\n        - a.example" HASH "\n\n# the end\n" },
		{ V1 "egress:\n  allow:\n  - a.example\nfiles:\n  /a: r\n", "unix @x",
		  V1 "egress:\n  allow:\n  - a.example\n  unix:\n  - \"@x\"" HASH
		  "\nfiles:\n  /a: r\n" },
		{ V1 "egress:\n  listen: own\n", "socket netlink:route",
		  V1 "egress:\n  listen: own\n  sockets:\n    - netlink:route" HASH "\n" },
		{ "  version: 1\n  mode: audit\n", "privilege io_uring off",
		  "  version: 1\n  mode: audit\n  privileges:\n    - \"io_uring off\"" HASH "\n" },
		{ "version: 1\r\n\r\nmode: audit\r\n", "open /a r",
		  "version: 1\r\n\r\nmode: audit\r\n\r\nfiles:\r\n  /a: r" HASH "\r\n" },
	};

	(void)state;
	check_edits(cases, ARRAY_SIZE(cases));
}

static void in_brackets(void **state)
{
	static const struct edit_case cases[] = {
		{ V1 "egress: {allow: [a.example], listen: own} # c\n", "connect b.example",
		  V1 "egress: {allow: [a.example, b.example], listen: own} # c" HASH "\n" },
		{ V1 "egress: {listen: own}\n", "connect *.b.example",
		  V1 "egress: {listen: own, allow: [\"*.b.example\"]}" HASH "\n" },
		{ V1 "egress:\n  allow: []\n", "connect b.example",
		  V1 "egress:\n  allow: [b.example]" HASH "\n" },
		{ V1 "files: { }\n", "open /a r",
		  V1 "files: { /a: r }" HASH "\n" },
		{ V1 "egress: {}\n", "unix /run/x",
		  V1 "egress: {unix: [/run/x]}" HASH "\n" },
		{ V1 "privileges: [\n    # none yet\n  ]\n", "privilege bpf",
		  V1 "privileges: [\n    # none yet\n    bpf" HASH "\n  ]\n" },
		/* an entry a line, with and without a comma at the end */
		{ V1 "privileges: [\n    bpf,   # c\n    # d\n  ]\n", "privilege ptrace",
		  V1 "privileges: [\n    bpf,   # c\n    ptrace," HASH "\n    # d\n  ]\n" },
		{ V1 "privileges: [\n    'bpf'   # c\n ]", "privilege ptrace",
		  V1 "privileges: [\n    'bpf',   # c\n    \"ptrace\"" HASH "\n ]" },
		{ V1 "egress: {allow: [a.example,\n    b.example, ], listen: own}\n",
		  "connect c.example",
		  V1 "egress: {allow: [a.example,\n    b.example, c.example, ], listen: own}"
		  HASH "\n" },
		{ "{version: 1}\n", "socket raw",
		  "{version: 1, egress: {sockets: [raw]}}" HASH "\n" },
		/* the end of the line is inside of a value: no comment */
		{ "{version: 1, privileges: [bpf], description: \"a\n  b\"}\n", "privilege ptrace",
		  "{version: 1, privileges: [bpf, ptrace], description: \"a\n  b\"}\n" },
	};

	(void)state;
	check_edits(cases, ARRAY_SIZE(cases));
}

#define MAP "{host: \"b.example\", ports: [8080], tls: off, private: true}"
#define A V1 "egress:\n  allow:\n    - a.example\n"

/* What `learn` finds: destinations with options, and ports of this host. */
static void maps(void **state)
{
	static const struct edit_case cases[] = {
		{ A, "connect " MAP, A "    - " MAP HASH "\n" },
		{ V1 "egress: {allow: [a.example]}\n", "connect " MAP,
		  V1 "egress: {allow: [a.example, " MAP "]}" HASH "\n" },
		{ "{\"version\": 1, \"egress\": {\"allow\": [\"a.example\"]}}", "connect " MAP,
		  "{\"version\": 1, \"egress\": {\"allow\": [\"a.example\", "
		  "{\"host\": \"b.example\", \"ports\": [8080], \"tls\": \"off\", "
		  "\"private\": true}]}}" },
		{ V1 "exec: strict\n", "connect " MAP,
		  V1 "exec: strict\negress:\n  allow:\n    - " MAP HASH "\n" },
		{ A, "loopback own", A "  loopback:\n    - own" HASH "\n" },
		{ V1 "egress:\n  loopback: [own]\n", "loopback 5432",
		  V1 "egress:\n  loopback: [own, 5432]" HASH "\n" },
		{ V1 "egress:\n  loopback:\n  - own\n", "loopback 5432",
		  V1 "egress:\n  loopback:\n  - own\n  - 5432" HASH "\n" },
	};
	char *after;

	(void)state;
	check_edits(cases, ARRAY_SIZE(cases));
	assert_int_equal(edit(V1 "egress: {loopback: host}\n", "loopback 5432", NULL, &after), 1);
	assert_int_equal(edit(V1 "egress: {loopback: [5000-6000]}\n", "loopback 5432", NULL,
			      &after), 1);
	assert_int_equal(edit(V1 "egress: {loopback: none}\n", "loopback 5432", NULL, &after),
			 -EINVAL);
	/* there, without the options: it is one or the other */
	assert_int_equal(edit(V1 "egress: {allow: [\"b.example:8080\"]}\n", "connect " MAP, NULL,
			      &after), -EINVAL);
	assert_int_equal(edit(V1 "egress: {allow: [" MAP "]}\n", "connect b.example:8080", NULL,
			      &after), 1);
	assert_int_equal(edit(A, "connect {host: b.example}, {host: c.example}", NULL, &after),
			 -EINVAL);
	assert_int_equal(edit(A, "connect {host: b.example} # x", NULL, &after), -EINVAL);
	assert_int_equal(edit(A, "connect {host: b.example, tls: maybe}", NULL, &after), -EINVAL);
	assert_int_equal(edit(A, "connect {host: b.example, ports: [53/udp]}", NULL, &after),
			 -EINVAL);
	assert_int_equal(edit(A, "loopback 0", NULL, &after), -EINVAL);
	assert_int_equal(edit(A, "loopback 3128", NULL, &after), -EINVAL);
}

static void json(void **state)
{
	static const struct edit_case cases[] = {
		{ "{\"version\":1,\"files\":{\"/x\":\"r\"}}", "connect b.example",
		  "{\"version\":1,\"files\":{\"/x\":\"r\"},"
		  "\"egress\":{\"allow\":[\"b.example\"]}}" },
		{ "{\"version\":1,\"files\":{\"/x\":\"r\"}}", "open /x w",
		  "{\"version\":1,\"files\":{\"/x\":\"rw\"}}" },
		{ "{\"version\": 1, \"files\": {}}\n", "open /x r",
		  "{\"version\": 1, \"files\": {\"/x\": \"r\"}}\n" },
		{ "{\n  \"version\": 1,\n  \"egress\": {\n    \"allow\": [\n      \"a.example\"\n"
		  "    ]\n  }\n}\n", "connect b.example",
		  "{\n  \"version\": 1,\n  \"egress\": {\n    \"allow\": [\n      \"a.example\",\n"
		  "      \"b.example\"\n    ]\n  }\n}\n" },
		{ "{\n\t\"version\": 1,\n\t\"privileges\": [\n\t\t\"mounts\"\n\t]\n}",
		  "privilege bpf",
		  "{\n\t\"version\": 1,\n\t\"privileges\": [\n\t\t\"mounts\",\n\t\t\"bpf\"\n"
		  "\t]\n}" },
		{ "{\n\t\"version\": 1,\n\t\"privileges\": [\n\t]\n}", "privilege bpf",
		  "{\n\t\"version\": 1,\n\t\"privileges\": [\n\t\t\"bpf\"\n\t]\n}" },
		{ "{\n\t\"version\": 1,\n\t\"privileges\": []\n}", "privilege bpf",
		  "{\n\t\"version\": 1,\n\t\"privileges\": [\"bpf\"]\n}" },
	};

	(void)state;
	check_edits(cases, ARRAY_SIZE(cases));
}

/* ---- what is there, and what cannot be ------------------------------------------- */

static void already(void **state)
{
	static const struct edit_case cases[] = {
		{ V1 "egress: {allow: [A.example]}\n", "connect a.example:443/tcp", NULL },
		{ V1 "egress: {allow: [{host: a.example, tls: off}]}\n", "connect a.example",
		  NULL },
		{ V1 "egress: {allow: [\"192.0.2.1:*\"]}\n", "connect 192.0.2.1:*", NULL },
		{ V1 "files: {~/a: rw}\n", "open ${HOME}/a/ w", NULL },
		{ V1 "egress: {unix: [{path: /run/x/**, unsafe: true}]}\n", "unix /run/x", NULL },
		{ V1 "egress: {sockets: [raw]}\n", "socket raw", NULL },
		{ V1 "privileges: [bpf]\n", "privilege bpf", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *after;

		if (edit(cases[i].before, cases[i].rule, NOTE, &after) != 1)
			fail_msg("%s in %s: %s", cases[i].rule, cases[i].before, message);
		assert_null(after);
	}
}

static void refused(void **state)
{
	static const struct edit_case cases[] = {
		/* a deny or none has the last word, and its line is named */
		{ V1 "egress:\n  allow: [a.example]\n  deny: [10.0.0.0/8]\n",
		  "connect 10.1.2.0/24:80", "p.yaml:4:10: deny: \"10.0.0.0/8\" wins over" },
		{ V1 "egress:\n  deny:\n  - .example\n", "connect *.a.example",
		  "p.yaml:4:5: deny: \".example\" wins" },
		{ V1 "egress:\n  deny:\n  - 192.0.2.1:*/udp\n  - 192.0.2.1:*/tcp\n",
		  "connect 192.0.2.1:*", "wins over" },
		{ V1 "files:\n  /a: none\n", "open /a r",
		  "p.yaml:3:3: \"/a: none\" wins over \"/a\"" },
		{ V1 "files:\n  /b: r\n  \"**/.env\": none\n", "open /w/**/.env r",
		  "p.yaml:4:3: \"**/.env: none\" wins over \"/w/**/.env\"" },
		/* no policy, and no section */
		{ "", "open /a r", "is empty" },
		{ "version: 2\n", "open /a r", "p.yaml:1:10: version" },
		{ V1 "files:\n", "open /a r", "files: got nothing" },
		{ V1 "egress:\n  allow:\n", "connect a.example", "allow: got nothing" },
		{ V1 "files: {/a: q}\n", "open /b r", "p.yaml:2:13: /a" },
		{ V1 "---\nversion: 1\n", "open /b r", "a second document" },
		/* no rule */
		{ "version: 1\n", "", "expected 'open PATH PERM'" },
		{ "version: 1\n", "open /a none", "bad permission \"none\"" },
		{ "version: 1\n", "open /a rr", "bad permission \"rr\"" },
		{ "version: 1\n", "open default rw", "bad path \"default\"" },
		{ "version: 1\n", "open /a\n/b r", "a control character" },
		{ "version: 1\n", "connect 192.0.2.1", "needs a port" },
		{ "version: 1\n", "socket pigeon", "sockets: got \"pigeon\"" },
		{ "version: 1\n", "privilege all", "privileges: got \"all\"" },
		{ "version: 1\n", "unix /run/docker.sock", "hands the sandbox away" },
		{ "version: 1\n", "connect a.example:3128", "hands the sandbox away" },
		/* written as nobody does: said, and left alone */
		{ V1 "files:\n  /a: >-\n    r\n", "open /a w", "no place found" },
		{ V1 "privileges:\n  - # c\n    bpf\n", "privilege ptrace", "no place found" },
		{ "version: 1\n", "unix @\xff", "no place found" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *after;

		if (edit(cases[i].before, cases[i].rule, NOTE, &after) != -EINVAL ||
		    !strstr(message, cases[i].after))
			fail_msg("%s in %s: %s\n%s", cases[i].rule, cases[i].before, message,
				 after ? after : "");
	}
}

/* a part that is denied is none of its business: the rest takes effect */
static void denied_in_part(void **state)
{
	static const struct edit_case cases[] = {
		{ V1 "egress: {deny: [10.20.9.0/24]}\n", "connect 10.0.0.0/8:80", NULL },
		{ V1 "egress: {deny: [\"10.0.0.0/8:22\"]}\n", "connect 10.0.0.1:22-23", NULL },
		{ V1 "egress: {deny: [\"10.0.0.1:*/udp\"]}\n", "connect 10.0.0.1:*", NULL },
		{ V1 "egress: {deny: [x.a.example]}\n", "connect *.a.example", NULL },
		{ V1 "egress: {deny: [\"*.a.example\"]}\n", "connect a.example", NULL },
		{ V1 "files: {/a/b: none}\n", "open /a r", NULL },
		{ V1 "files: {/a/b.x: none}\n", "open /a/*.x r", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *after;

		if (edit(cases[i].before, cases[i].rule, NULL, &after))
			fail_msg("%s in %s: %s", cases[i].rule, cases[i].before, message);
		free(after);
	}
}

static void comments(void **state)
{
	static const struct {
		const char *comment, *after;
	} cases[] = {
		{ NULL, V1 "files:\n  /a: r\n" },
		{ "a\n  /etc: rwxc\r\x1b[2J\x7f", V1 "files:\n  /a: r  # a?  /etc: rwxc??[2J?\n" },
		{ "\xe2\x80\xaex\xff \xc2\x85", V1 "files:\n  /a: r  # ?x? ?\n" },
		{ "\xc3\xa4 \xf0\x9f\x98\x80  ",
		  V1 "files:\n  /a: r  # \xc3\xa4 \xf0\x9f\x98\x80\n" },
	};
	char *after, big[1000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(edit("version: 1\n", "open /a r", cases[i].comment, &after), 0);
		assert_string_equal(after, cases[i].after);
		free(after);
	}
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(edit("version: 1\n", "open /a r", big, &after), 0);
	assert_int_equal(strspn(strchr(after, '#') + 2, "x"), POLICY_EDIT_COMMENT_MAX);
	free(after);
}

/* A text at the limit of a file cannot grow. */
static void full(void **state)
{
	static const char head[] = V1 "# ";
	size_t max = 1u << 20;
	char *text = malloc(max + 1), *after;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', max);
	memcpy(text, head, sizeof(head) - 1);
	text[max] = '\0';
	assert_int_equal(edit(text, "open /a r", NULL, &after), -EFBIG);
	text[max - 40] = '\0';
	assert_int_equal(edit(text, "open /a r", NULL, &after), 0);
	free(after);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_lists),
		cmocka_unit_test(block_maps),
		cmocka_unit_test(new_sections),
		cmocka_unit_test(in_brackets),
		cmocka_unit_test(maps),
		cmocka_unit_test(json),
		cmocka_unit_test(already),
		cmocka_unit_test(refused),
		cmocka_unit_test(denied_in_part),
		cmocka_unit_test(comments),
		cmocka_unit_test(full),
	};

	return cmocka_run_group_tests_name("policy_edit", tests, NULL, NULL);
}
