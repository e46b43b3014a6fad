// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What egressctl lives by is not for sandboxes to write, unless a policy names it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "own_places.h"
#include "policy_help.h"

#define V1 "version: 1\n"
#define EVERYTHING V1 "files: {default: rwxc, /secret: none"

static struct compiled *compiled(const char *text, const struct help_link *links)
{
	const struct policy_vars v = help_vars(links);

	return help_compile(text, &v);
}

static void where_everything_may_be_written(void **state)
{
	struct compiled *c = compiled(EVERYTHING "}\n", NULL);
	unsigned int anchored = 0;
	char path[256];

	(void)state;
	for (const char *const *place = own_places; *place; place++) {
		assert_string_equal(help_perm(c, *place), "rx");
		(void)snprintf(path, sizeof(path), "%s/below/it", *place);
		assert_string_equal(help_perm(c, path), "rx");
		(void)snprintf(path, sizeof(path), "%s-beside", *place);
		assert_string_equal(help_perm(c, path), "rwxc");
	}
	assert_string_equal(help_rule(c, "/etc/egressctl/x"), "builtin: /etc/egressctl: rx");
	/* and by whatever name: a link made before the policy was */
	for (uint32_t i = 0; i < c->nanchors; i++)
		anchored += str_eq(c->anchors[i].path, "/etc/egressctl") &&
			    c->anchors[i].perm == (EG_R | EG_X);
	assert_int_equal(anchored, 1);
	compiled_free(c);
}

/* Nothing is given: what the policy says there, but for w and c. */
static void as_far_as_they_may_be_written(void **state)
{
	struct compiled *c = compiled(V1 "files: {/: r, /etc: rw, /run: none, /var: wc, "
				      "/usr: rx}\n", NULL);

	(void)state;
	assert_string_equal(help_rule(c, "/etc/egressctl"), "builtin: /etc/egressctl: r");
	assert_string_equal(help_rule(c, "/run/egressctl/x"), "p.yaml:2: /run: none");
	assert_string_equal(help_rule(c, "/var/log/egressctl"),
			    "builtin: /var/log/egressctl: none");
	assert_string_equal(help_rule(c, "/usr/share/egressctl"), "p.yaml:2: /usr: rx");
	compiled_free(c);
}

static void what_a_policy_names(void **state)
{
	struct compiled *c = compiled(EVERYTHING ", /etc/egressctl: rwc, "
				      "/var/log/egressctl/mine: rw, \"/var/l*/egressctl\": rwxc}\n",
				      NULL);

	(void)state;
	assert_string_equal(help_perm(c, "/etc/egressctl/policies/x"), "rwc");
	assert_string_equal(help_perm(c, "/var/log/egressctl"), "rx");
	assert_string_equal(help_perm(c, "/var/log/egressctl/mine"), "rw");
	/* a pattern does not name it */
	assert_string_equal(help_rule(c, "/var/lib/egressctl"), "builtin: /var/lib/egressctl: rx");
	compiled_free(c);
}

/* Where it leads is closed to writing as well, and opened to nothing. */
static void links(void **state)
{
	static const struct help_link to_srv[] = { { "/etc/egressctl", "/srv/settings" }, {} };
	struct compiled *c = compiled(EVERYTHING "}\n", to_srv);

	(void)state;
	assert_string_equal(help_perm(c, "/srv/settings/policies"), "rx");
	assert_string_equal(help_perm(c, "/srv/other"), "rwxc");
	compiled_free(c);
	c = compiled(EVERYTHING ", /srv: none, /opt: rw}\n", to_srv);
	assert_string_equal(help_rule(c, "/srv/settings/policies"), "p.yaml:2: /srv: none");
	compiled_free(c);
}

/* A link of the policy's leads there: what it gives is given there, and no writing. */
static void links_of_a_rule(void **state)
{
	static const struct help_link conf[] = { { "/conf", "/etc" }, {} };
	struct compiled *c = compiled(V1 "files: {/conf: rw}\n", conf);

	(void)state;
	assert_string_equal(help_perm(c, "/etc/hosts"), "rw");
	assert_string_equal(help_rule(c, "/etc/egressctl/x"), "builtin: /etc/egressctl: r");
	compiled_free(c);
}

static void paths_left_alone(void **state)
{
	struct compiled *c = compiled(V1 "files: {default: rwxc}\n", NULL);

	(void)state;
	assert_false(c->head.flags & EG_P_PATHS);
	assert_int_equal(c->npath_rules, 0);
	compiled_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_everything_may_be_written),
		cmocka_unit_test(as_far_as_they_may_be_written),
		cmocka_unit_test(what_a_policy_names),
		cmocka_unit_test(links),
		cmocka_unit_test(links_of_a_rule),
		cmocka_unit_test(paths_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
