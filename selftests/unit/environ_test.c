/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The environment of a command: which names go, what the policy says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "environ.h"
#include "util.h"

/* Value of NAME in a built environment, or NULL. */
static const char *value(char **env, const char *name)
{
	size_t len = strlen(name);

	for (; *env; env++)
		if (!strncmp(*env, name, len) && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

static size_t count(char **env)
{
	size_t n = 0;

	while (env[n])
		n++;
	return n;
}

static char *outside[] = {
	"PATH=/usr/bin", "HOME=/home/me", "AWS_REGION=eu", "OPENAI_API_KEY=k", "GITHUB_TOKEN=t",
	"KEYBOARD=us", "SSH_AUTH_SOCK=/tmp/agent", "EMPTY=", "PATH=/evil", "noequals",
	"EGRESSCTL_SANDBOX=7", NULL,
};

static void secrets_go(void **state)
{
	struct env_rules r = {};
	char **env;

	(void)state;
	assert_int_equal(environ_build(outside, &r, &env), 0);
	assert_string_equal(value(env, "PATH"), "/usr/bin"); /* as getenv() would answer */
	assert_string_equal(value(env, "EMPTY"), "");
	assert_string_equal(value(env, "KEYBOARD"), "us");
	assert_null(value(env, "AWS_REGION"));
	assert_null(value(env, "OPENAI_API_KEY"));
	assert_null(value(env, "GITHUB_TOKEN"));
	assert_null(value(env, "SSH_AUTH_SOCK"));
	assert_null(value(env, "EGRESSCTL_SANDBOX"));
	assert_int_equal(count(env), 4); /* one PATH, and nothing without '=' */
	free(env);
}

static void keep_and_set(void **state)
{
	char *keep[] = { "OPENAI_API_KEY", "AWS_*" }, *set[] = { "CI=1", "HOME=/a", "CI=2" };
	struct env_rules r = { .keep = keep, .nkeep = 2, .set = set, .nset = 3 };
	char **env;

	(void)state;
	assert_int_equal(environ_build(outside, &r, &env), 0);
	assert_string_equal(value(env, "OPENAI_API_KEY"), "k");
	assert_string_equal(value(env, "AWS_REGION"), "eu");
	assert_null(value(env, "GITHUB_TOKEN"));
	assert_string_equal(value(env, "HOME"), "/a");
	assert_string_equal(value(env, "CI"), "2"); /* the last one: the child's policy */
	free(env);
}

static void only(void **state)
{
	char *names[] = { "HOME", "GITHUB_TOKEN" };
	struct env_rules r = { .only = names, .nonly = 2, .has_only = true };
	char **env;

	(void)state;
	assert_int_equal(environ_build(outside, &r, &env), 0);
	assert_int_equal(count(env), 2);
	assert_string_equal(value(env, "GITHUB_TOKEN"), "t");
	free(env);
	r.nonly = 0; /* given, and empty: nothing is inherited */
	assert_int_equal(environ_build(outside, &r, &env), 0);
	assert_int_equal(count(env), 0);
	free(env);
}

static void names(void **state)
{
	static const char *const secret[] = {
		"NPM_TOKEN", "my_secret_thing", "DB_PASSWORD", "PRIVATE_KEY", "STRIPE_API_KEY",
		"AZURE_CLIENT_ID", "KUBECONFIG", "VAULT_ADDR", "DATABASE_URL", "CI_JOB_TOKEN",
		"DBUS_SESSION_BUS_ADDRESS", "npm_config__authToken", "GITHUB_PAT",
	};
	static const char *const plain[] = {
		"PATH", "LANG", "TERM", "KEYBOARD", "TOKENIZERS_PARALLELISM", "CC", "CARGO_HOME",
		"MONKEY", "SSH_TTY", "XDG_RUNTIME_DIR", "PWD", "LESSKEYIN",
	};
	char longest[400];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(secret); i++)
		if (!environ_secret_name(secret[i], strlen(secret[i])))
			fail_msg("%s is not taken for a secret", secret[i]);
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		if (environ_secret_name(plain[i], strlen(plain[i])))
			fail_msg("%s is taken for a secret", plain[i]);
	memset(longest, 'A', sizeof(longest));
	assert_true(environ_secret_name(longest, sizeof(longest)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_go),
		cmocka_unit_test(keep_and_set),
		cmocka_unit_test(only),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("environ", tests, NULL, NULL);
}
