// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A rule of `egressctl allow` and `deny`, which any user may send: refused with a message, or a
 * text that the parser of policies takes or refuses with a message. The first byte says which
 * of the two, the rest is the rule.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "config.h"
#include "diag.h"
#include "grant_rule.h"
#include "policy.h"
#include "policy_vars.h"
#include "selftests/fuzz/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what, const char *text)
{
	if (ok)
		return;
	(void)fprintf(stderr, "fuzz_grant: %s: %s\n", what, text);
	abort();
}

static const char base_text[] = "version: 1\negress: {allow: [\"example.org:443\"]}\n"
	"files:\n  default: none\n  /: r\n  /usr: rx\n  /home/u/work: rwxc\n  \"**/.env\": none\n";

static int compile(const char *text, struct compiled **c, struct diag *d)
{
	static const struct policy_vars vars = {
		.workdir = (char *)"/home/u/work", .home = (char *)"/home/u",
		.tmpdir = (char *)"/tmp", .uid = (char *)"1000",
	};
	struct policy_source src = { (char *)"p", (char *)"p.yaml", (char *)text, strlen(text) };
	struct policy_texts texts = { &src, 1 };
	struct policy_reader rd = policy_reader_texts(&texts);
	struct policy *p = NULL;
	int err = policy_load("p", &rd, &p, d);

	if (!err)
		err = policy_compile(p, &vars, c, d);
	policy_free(p);
	return err;
}

static void check_rule(const struct compiled *base, struct grant_rule *g)
{
	struct compiled *c = NULL;
	struct config config;
	struct diag d = {};
	char *text = NULL;

	require(g->rule && (g->text || g->path), "half a rule", "");
	if (!grant_rule_text(&g, 1, base, &text, &d)) {
		/* what is no path is refused here: a rule is only words until it is compiled */
		require(!compile(text, &c, &d) || d.msg[0] || no_memory(),
			"refused without a message", text);
		compiled_free(c);
	}
	free(text);
	memset(&config, 0, sizeof(config));
	config_defaults(&config);
	d = (struct diag){};
	require(!grant_rule_check(&config, g, 1000, &d) || d.msg[0], "refused without a message",
		g->rule);
	config.grant_who = CONFIG_NOBODY;
	(void)grant_rule_check(&config, g, 0, &d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct grant_rule g = {};
	struct compiled *base = NULL;
	struct diag d = {};
	char *rule;

	if (size < 1 || size > GRANT_RULE_MAX)
		return 0;
	rule = malloc(size);
	if (rule) {
		memcpy(rule, data + 1, size - 1);
		rule[size - 1] = '\0';
	}
	if (!rule || compile(base_text, &base, &d)) {
		free(rule);
		return 0;
	}
	if (!grant_rule_make(rule, data[0] & 1, base, base, &g, &d)) {
		check_rule(base, &g);
		grant_rule_clear(&g);
	} else {
		require(d.err < 0 && d.msg[0], "refused without a message", rule);
		require(!g.rule && !g.text && !g.path, "refused, and changed", rule);
	}
	compiled_free(base);
	free(rule);
	return 0;
}
