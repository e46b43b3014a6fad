// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The policies that are shipped: what each of them must and must not allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "automaton.h"
#include "policy_help.h"

static struct compiled *shipped(const char *name)
{
	static const struct help_link links[] = {
		{ "/bin", "usr/bin" }, { "/lib", "usr/lib" }, { "/lib64", "usr/lib64" }, {}
	};
	const struct policy_vars v = help_vars(links);
	struct compiled *c = NULL;
	struct policy *p = NULL;
	struct diag d = {};
	char text[2048];

	assert_int_equal(setenv("EGRESSCTL_POLICY_DIR", "policies", 1), 0);
	if (policy_load(name, NULL, &p, &d) || policy_compile(p, &v, &c, &d))
		fail_msg("%s", diag_text(&d, text, sizeof(text)));
	assert_non_null(p->description);
	assert_int_equal(c->nnotices, 0);
	policy_free(p);
	assert_string_equal(help_egress(c, "192.0.2.1:443"), "none");
	assert_string_equal(help_egress(c, "169.254.169.254:80"), "hard");
	return c;
}

static void policy_agent(void **state)
{
	static const struct help_question q[] = {
		{ "/usr/bin/gcc", "rx" }, { "/bin/sh", "rx" }, { "/usr/lib/x.so", "rx" },
		{ "/etc/passwd", "r" }, { "/etc/ssl/certs/ca.pem", "r" }, { "/etc/shadow", "none" },
		{ "/etc/ssl/private/x", "none" }, { "/etc/ssh/ssh_host_rsa_key", "none" },
		{ "/etc/ssh/ssh_host_rsa_key.pub", "r" },
		{ "/home/u/work/src/x.c", "rwxc" },
		{ "/home/u/work/node_modules/a/.vscode/x", "rwxc" },
		{ "/home/u/work/.vscode/tasks.json", "r" }, { "/home/u/work/.env", "none" },
		{ "/home/u/work/.env.example", "rwxc" }, { "/home/u/work/a/id_ed25519", "none" },
		{ "/home/u/work/a/id_ed25519.pub", "rwxc" },
		{ "/home/u/work/certs/ca.pem", "rwxc" },
		{ "/home/u/work/sub/.git/hooks/x", "rx" },
		{ "/home/u/work/sub/.git/config", "rwxc" },
		{ "/home/u/work/.git", "r" },
		{ "/home/u/main/.git/objects/aa", "rwxc" }, { "/home/u/main/.git/config", "r" },
		{ "/home/u/main/.git/config.lock", "rwxc" }, { "/home/u/main/.git/hooks/x", "rx" },
		{ "/home/u/main/.git/worktrees/work/index", "rwxc" },
		{ "/home/u/main/.git/worktrees/work/commondir", "r" },
		{ "/home/u/main/.git/worktrees/new/commondir", "rwxc" },
		{ "/home/u/main/file", "none" },
		{ "/home/u/.gitconfig", "r" }, { "/home/u/.config/git/config", "r" },
		{ "/home/u/.config/git/credentials", "none" }, { "/home/u/.ssh/id", "none" },
		{ "/home/u/.npm/_cacache/x", "rwc" }, { "/home/u/.npm/_npx/x", "rx" },
		{ "/home/u/.npmrc", "none" }, { "/home/u/.bash_history", "none" },
		{ "/home/u", "none" }, { "/root/x", "none" }, { "/", "none" },
		{ "/tmp/x", "rwxc" }, { "/dev/shm/sem.x", "rwxc" }, { "/tmp/krb5cc_1000", "none" },
		{ "/dev/null", "rw" }, { "/dev/pts/3", "rw" }, { "/dev/sda", "none" },
		{ "/proc/self/maps", "rw" }, { "/proc/4242/stat", "rw" }, { "/proc/meminfo", "r" },
		{ "/proc/kcore", "none" }, { "/proc/sys/kernel/osrelease", "r" },
		{ "/sys/fs/cgroup/memory.max", "r" }, { "/sys/kernel/debug/x", "none" },
	};
	struct compiled *c = shipped("agent");

	(void)state;
	HELP_ASK(c, q);
	assert_string_equal(help_rule(c, "/home/u/.ssh/id"),
			    "policies/secrets.yaml:18: ~/.ssh: none");
	assert_true(c->head.flags & EG_P_LOOPBACK_OWN);
	assert_int_equal(c->head.privileges, 0);
	assert_int_equal(c->head.sockets, 0);
	compiled_free(c);
}

/* npm, and everybody else, renames directories inside the workspace. */
static void agent_renames_directories(void **state)
{
	static const char *const same[] = {
		"/home/u/work/src", "/home/u/work/lib", "/home/u/work/node_modules/.x-Ab12",
		"/home/u/work/node_modules/x", "/home/u/work/node_modules/@scope/y",
	};
	struct compiled *c = shipped("agent");
	const struct automaton_starts *starts = automaton_starts(c->automaton);
	uint32_t first = automaton_state(c->slots, starts, AUTOMATON_PATHS, same[0],
					 strlen(same[0]));

	(void)state;
	assert_int_not_equal(first, 0);
	for (size_t i = 1; i < ARRAY_SIZE(same); i++)
		assert_int_equal(automaton_state(c->slots, starts, AUTOMATON_PATHS, same[i],
						 strlen(same[i])), first);
	compiled_free(c);
}

static void policy_others(void **state)
{
	static const struct help_question ci[] = {
		{ "/home/u/work/x", "rwxc" }, { "/home/u/.cache/go-build/x", "rwxc" },
		{ "/home/u/.cache/mozilla/x", "none" }, { "/home/u/.cargo/registry/x", "rwxc" },
		{ "/home/u/.cargo/credentials.toml", "none" }, { "/home/u/.ssh/id", "none" },
		{ "/home/u/main/.git/config", "rwxc" }, { "/home/u/work/.env", "none" },
	};
	static const struct help_question ro[] = {
		{ "/home/u/work/x", "rx" }, { "/tmp/x", "r" }, { "/dev/shm/x", "r" },
		{ "/usr/bin/ls", "rx" }, { "/home/u/main/.git/index", "r" }, { "/dev/null", "rw" },
		{ "/home/u/work/.env", "none" }, { "/var/tmp/x", "r" },
	};
	static const struct help_question nothing[] = {
		{ "/", "none" }, { "/usr/bin/ls", "none" }, { "/dev/null", "none" },
		{ "/home/u/work/x", "none" },
	};
	struct compiled *c = shipped("ci-build");

	(void)state;
	HELP_ASK(c, ci);
	compiled_free(c);
	c = shipped("readonly");
	HELP_ASK(c, ro);
	compiled_free(c);
	c = shipped("deny-all");
	HELP_ASK(c, nothing);
	assert_int_equal(c->head.flags & EG_P_LOOPBACK_OWN, 0);
	assert_int_equal(c->head.listen_default, EG_LISTEN_NONE);
	compiled_free(c);
	compiled_free(shipped("base"));
	compiled_free(shipped("secrets"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy_agent),
		cmocka_unit_test(agent_renames_directories),
		cmocka_unit_test(policy_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
