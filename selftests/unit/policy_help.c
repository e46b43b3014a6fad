// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "policy_help.h"
#include "policy_int.h"
#include "verdict.h"

#define MAX_FILES 64

int help_load(const struct policy_file *files, struct policy **p, struct diag *d)
{
	static char paths[MAX_FILES][128];
	struct policy_source src[MAX_FILES];
	struct policy_texts texts = { src, 0 };
	struct policy_reader rd = policy_reader_texts(&texts);

	for (; files[texts.n].name && texts.n < MAX_FILES; texts.n++) {
		size_t i = texts.n;

		(void)snprintf(paths[i], sizeof(paths[i]), "%s.yaml", files[i].name);
		src[i] = (struct policy_source){ (char *)files[i].name, paths[i],
						 (char *)files[i].text, strlen(files[i].text) };
	}
	return policy_load(files[0].name, &rd, p, d);
}

static int compile(const struct policy_file *files, const struct policy_vars *v,
		   struct compiled **c, struct diag *d)
{
	static const struct policy_vars none;
	struct policy *p;
	int err = help_load(files, &p, d);

	if (err)
		return err;
	err = policy_compile(p, v ? v : &none, c, d);
	policy_free(p);
	return err;
}

struct compiled *help_compile_files(const struct policy_file *files, const struct policy_vars *v)
{
	struct compiled *c = NULL;
	struct diag d = {};
	char text[2048];

	if (compile(files, v, &c, &d))
		fail_msg("%s", diag_text(&d, text, sizeof(text)));
	return c;
}

struct compiled *help_compile(const char *text, const struct policy_vars *v)
{
	const struct policy_file files[] = { { "p", text }, {} };

	return help_compile_files(files, v);
}

const char *help_error(const char *text, const struct policy_vars *v)
{
	const struct policy_file files[] = { { "p", text }, {} };
	static char message[2048];
	struct compiled *c = NULL;
	struct diag d = {};

	if (!compile(files, v, &c, &d)) {
		compiled_free(c);
		return "";
	}
	return diag_text(&d, message, sizeof(message));
}

const char *help_perm(const struct compiled *c, const char *path)
{
	static char text[5];
	uint32_t rule;
	uint8_t perm;

	assert_int_equal(verdict_path(c, path, strlen(path), &perm, &rule), 0);
	return policy_perm_text(perm, text);
}

const char *help_rule(const struct compiled *c, const char *path)
{
	static char text[1024];
	uint32_t rule;
	uint8_t perm;

	assert_int_equal(verdict_path(c, path, strlen(path), &perm, &rule), 0);
	return verdict_rule_text(c, rule, text, sizeof(text));
}

static void egress(const struct compiled *c, const char *text, uint8_t *verdict, uint32_t *rule)
{
	struct policy_dest dest;
	struct diag d = {};
	uint8_t proto;

	if (policy_dest_parse(text, false, &dest, &d, NULL))
		fail_msg("%s", d.msg);
	proto = dest.ports[0].proto;
	if (proto == IPPROTO_ICMP && !policy_addr_is_v4(dest.addr, 128))
		proto = IPPROTO_ICMPV6;
	assert_int_equal(verdict_egress(c, dest.addr, dest.ports[0].lo, proto, verdict, rule), 0);
	policy_dest_clear(&dest);
}

const char *help_egress(const struct compiled *c, const char *dest)
{
	static const char *const words[] = { [0] = "none", [EG_V_DENY_HARD] = "hard",
					     [EG_V_DENY] = "deny", [EG_V_ALLOW] = "allow" };
	uint32_t rule;
	uint8_t verdict;

	egress(c, dest, &verdict, &rule);
	return words[verdict];
}

const char *help_egress_rule(const struct compiled *c, const char *dest)
{
	static char text[1024];
	uint32_t rule;
	uint8_t verdict;

	egress(c, dest, &verdict, &rule);
	return verdict_rule_text(c, rule, text, sizeof(text));
}

static int mock_readlink(void *ctx, const char *path, char *buf, size_t len)
{
	for (const struct help_link *l = ctx; l->path; l++)
		if (str_eq(l->path, path))
			return snprintf(buf, len, "%s", l->target);
	return -EINVAL;
}

struct policy_vars help_vars(const struct help_link *links)
{
	return (struct policy_vars){
		.workdir = (char *)"/home/u/work",
		.home = (char *)"/home/u",
		.tmpdir = (char *)"/tmp",
		.gitdir = (char *)"/home/u/main/.git",
		.gitworktree = (char *)"/home/u/main/.git/worktrees/work",
		.uid = (char *)"1000",
		.readlink = links ? mock_readlink : NULL,
		.readlink_ctx = (void *)links,
	};
}

void help_ask(const struct compiled *c, const struct help_question *q, size_t n)
{
	int wrong = 0;

	for (size_t i = 0; i < n; i++) {
		const char *got = help_perm(c, q[i].path);

		if (str_eq(got, q[i].perm))
			continue;
		print_error("%s: %s, expected %s\n", q[i].path, got, q[i].perm);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}
