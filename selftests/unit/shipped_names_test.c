// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The shipped policies with destinations by name: beside `agent`, and what each opens. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy_help.h"
#include "verdict.h"

/* What -p BASE -p NAME is: a policy that extends both, from the files. */
static int read_both(void *ctx, const char *name, const char *from, char **path, char **text,
		     size_t *len, struct diag *d)
{
	if (from)
		return policy_reader_files.read(policy_reader_files.ctx, name,
						strchr(from, '/') ? from : NULL, path, text, len,
						d);
	*path = strdup("both");
	*text = strdup(ctx);
	assert_true(*path && *text);
	*len = strlen(*text);
	return 0;
}

static struct compiled *beside(const char *base, const char *name)
{
	const struct policy_vars v = help_vars(NULL);
	struct policy_reader rd = { .read = read_both };
	struct compiled *c = NULL;
	struct policy *p = NULL;
	struct diag d = {};
	char text[256], message[2048];

	assert_int_equal(setenv("EGRESSCTL_POLICY_DIR", "policies", 1), 0);
	(void)snprintf(text, sizeof(text), "version: 1\nextends: [%s, %s]\n", base, name);
	rd.ctx = text;
	if (policy_load("both", &rd, &p, &d) || policy_compile(p, &v, &c, &d))
		fail_msg("%s", diag_text(&d, message, sizeof(message)));
	policy_free(p);
	assert_int_equal(c->nnotices, 0);
	return c;
}

static bool is_open(const struct compiled *c, const char *name, uint16_t port)
{
	uint8_t flags;

	return verdict_class_flags(c, verdict_name_classes(c, name), port, IPPROTO_TCP, &flags);
}

struct destination {
	const char *name;
	uint16_t port;
};

struct policy_case {
	const char *policy;
	struct destination open[8];
	struct destination closed[4];
	const char *env; /* set: NAME=value; NULL: nothing to look for */
};

static const struct policy_case cases[] = {
	{ "npm",
	  { { "registry.npmjs.org", 443 }, { "registry.yarnpkg.com", 443 }, { "nodejs.org", 443 } },
	  { { "registry.npmjs.org", 80 }, { "npmjs.org.evil.test", 443 }, { "pypi.org", 443 } },
	  "npm_config_fetch_retry_maxtimeout=1000" },
	{ "pip",
	  { { "pypi.org", 443 }, { "files.pythonhosted.org", 443 } },
	  { { "pypi.org", 80 }, { "evilpypi.org", 443 }, { "pythonhosted.org", 443 } },
	  "PIP_RETRIES=1" },
	{ "cargo",
	  { { "index.crates.io", 443 }, { "static.crates.io", 443 }, { "crates.io", 443 },
	    { "static.rust-lang.org", 443 } },
	  { { "github.com", 443 } },
	  "CARGO_NET_RETRY=1" },
	{ "go",
	  { { "proxy.golang.org", 443 }, { "sum.golang.org", 443 }, { "golang.org", 443 },
	    { "go.dev", 443 }, { "gopkg.in", 443 } },
	  { { "github.com", 443 }, { "storage.googleapis.com", 443 } },
	  NULL },
	{ "maven",
	  { { "repo1.maven.org", 443 }, { "repo.maven.apache.org", 443 },
	    { "services.gradle.org", 443 }, { "plugins.gradle.org", 443 } },
	  { { "maven.org.evil.test", 443 } },
	  NULL },
	{ "apt",
	  { { "deb.debian.org", 80 }, { "deb.debian.org", 443 }, { "security.debian.org", 80 },
	    { "archive.ubuntu.com", 80 } },
	  { { "deb.debian.org", 22 }, { "ppa.launchpadcontent.net", 443 } },
	  NULL },
	{ "git-hosting",
	  { { "github.com", 443 }, { "github.com", 22 }, { "codeload.github.com", 443 },
	    { "raw.githubusercontent.com", 443 }, { "gitlab.com", 22 }, { "git.sr.ht", 443 } },
	  { { "github.com", 9418 }, { "evilgithub.com", 443 }, { "github.com.evil.test", 22 } },
	  "GIT_TERMINAL_PROMPT=0" },
	{ "container-registries",
	  { { "registry-1.docker.io", 443 }, { "auth.docker.io", 443 }, { "ghcr.io", 443 },
	    { "pkg-containers.githubusercontent.com", 443 }, { "registry.k8s.io", 443 },
	    { "europe-docker.pkg.dev", 443 } },
	  { { "registry-1.docker.io", 80 }, { "www.microsoft.com", 443 } },
	  NULL },
};

static bool sets(const struct compiled *c, const char *env)
{
	for (char **e = c->run.env_set; *e; e++)
		if (str_eq(*e, env))
			return true;
	return false;
}

/* Destinations and variables, nothing else: what a policy beside it says stays. */
static void only_adds_destinations(const struct compiled *c, const struct compiled *alone)
{
	assert_int_equal(c->nanchors, alone->nanchors);
	assert_int_equal(c->nprefixes, alone->nprefixes);
	assert_int_equal(c->head.flags, alone->head.flags);
	assert_int_equal(c->head.privileges, alone->head.privileges);
	assert_int_equal(c->head.sockets, alone->head.sockets);
	assert_string_equal(help_perm(c, "/home/u/work/x"), help_perm(alone, "/home/u/work/x"));
	assert_string_equal(help_perm(c, "/home/u/.ssh/id"), "none");
	assert_string_equal(help_egress(c, "192.0.2.1:443"), "none");
	assert_string_equal(help_egress(c, "169.254.169.254:80"), "hard");
	for (uint32_t i = 0; i < c->head.nclasses; i++)
		assert_false(c->head.classes[i].flags & (EG_CL_TLS_OFF | EG_CL_PRIVATE));
}

/* Registries move: a rule that names one host would break with them. */
static void check_domains(const struct compiled *c)
{
	for (uint32_t i = 0; i < c->nnames; i++) {
		assert_true(c->names[i].below);
		assert_non_null(strchr(c->names[i].name, '.')); /* not a whole top-level domain */
		assert_false(c->names[i].deny);
	}
}

static void check_case(const struct compiled *c, const struct policy_case *p, bool closed)
{
	for (const struct destination *d = p->open; d->name; d++)
		if (!is_open(c, d->name, d->port))
			fail_msg("%s: %s:%u is closed", p->policy, d->name, d->port);
	for (const struct destination *d = p->closed; d->name && closed; d++)
		if (is_open(c, d->name, d->port))
			fail_msg("%s: %s:%u is open", p->policy, d->name, d->port);
	if (p->env && !sets(c, p->env))
		fail_msg("%s: %s is not set", p->policy, p->env);
}

static void each(void **state)
{
	static const char *const bases[] = { "agent", "ci-build" };

	(void)state;
	for (size_t b = 0; b < ARRAY_SIZE(bases); b++) {
		struct compiled *alone = beside(bases[b], "secrets");

		assert_int_equal(alone->head.nclasses, 0);
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct compiled *c = beside(bases[b], cases[i].policy);

			check_case(c, &cases[i], true);
			check_domains(c);
			only_adds_destinations(c, alone);
			compiled_free(c);
		}
		compiled_free(alone);
	}
}

static void all_of_them(void **state)
{
	struct compiled *c = beside("agent", "common-dependencies");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_case(c, &cases[i], false);
	check_domains(c);
	assert_false(is_open(c, "evil.test", 443));
	assert_false(is_open(c, "github.com", 80));
	compiled_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each),
		cmocka_unit_test(all_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
