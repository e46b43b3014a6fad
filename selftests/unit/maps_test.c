/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel takes nothing any more: each call to a map fails in its turn, in the middle of each
 * request. What was in force stays so, whole, at every moment; what was begun leaves nothing; and
 * the same request works afterwards.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <unistd.h>

#include "bpf_load.h"
#include "publish.h"
#include "sandbox.h"
#include "selftests/fake/fake.h"
#include "selftests/fake/rig.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define CALLS_MAX 2000u /* of one request: more would be a loop */

#define TEXT(name, body) \
	"{\"name\": \"" name "\", \"from\": null, \"path\": \"/" name "\", " \
	"\"text\": \"version: 1\\n" body "\"}"
#define POLICY(name, body) "\"policies\": [\"" name "\"], \"texts\": [" TEXT(name, body) "]"
#define WIDE "egress: {allow: ['10.0.0.0/8:443', '192.0.2.0/24:80', 'example.org:443']}\\n" \
	     "files:\\n  default: rx\\n  /etc/shadow: none\\n  /root: none\\n"
#define NARROW "egress: {allow: ['192.0.2.7:80']}\\nfiles:\\n  default: r\\n  /etc: none\\n"

static const char run[] = "{\"op\": \"run\", " POLICY("wide", WIDE) "}";
static const char traced[] = "{\"op\": \"run\", \"trace\": true, " POLICY("wide", WIDE) "}";

/* One request in a sandbox, and those that it needs before it. */
static const struct scenario {
	const char *name;
	const char *before[4];
	const char *request;
	bool fork; /* begins a sandbox */
	bool as_root;
} scenarios[] = {
	{ .name = "run", .request = run, .fork = true },
	{ .name = "run, traced", .request = traced, .fork = true },
	{ .name = "enter", .fork = true,
	  .request = "{\"op\": \"enter\", " POLICY("wide", WIDE) "}" },
	{ .name = "attach", .as_root = true,
	  .request = "{\"op\": \"attach\", \"cgroup\": \"/work\", " POLICY("wide", WIDE) "}" },
	{ .name = "allow an address", .before = { run }, .request =
	  "{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect 198.51.100.1:22\"], "
	  "\"ms\": 3600000}" },
	{ .name = "allow a name", .before = { run }, .request =
	  "{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect example.net:443\"], "
	  "\"ms\": 3600000}" },
	{ .name = "allow one after another", .before = { run,
	  "{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect example.net:443\"], "
	  "\"ms\": 7200000}" }, .request =
	  "{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect 198.51.100.1:22\"], "
	  "\"ms\": 3600000}" },
	{ .name = "deny", .before = { run }, .request =
	  "{\"op\": \"deny\", \"sandbox\": \"last\", \"rules\": [\"connect example.org:443\"], "
	  "\"ms\": 3600000}" },
	{ .name = "revoke", .before = { run,
	  "{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect example.net:443\"], "
	  "\"ms\": 7200000}",
	  "{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect 198.51.100.1:22\"], "
	  "\"ms\": 3600000}" }, .request = "{\"op\": \"revoke\", \"grant\": 1}" },
	{ .name = "switch", .before = { run }, .request =
	  "{\"op\": \"switch\", \"sandbox\": \"last\", " POLICY("narrow", NARROW) "}" },
	{ .name = "switch with grants", .before = { run,
	  "{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect example.net:443\"], "
	  "\"ms\": 7200000}" }, .request =
	  "{\"op\": \"switch\", \"sandbox\": \"last\", " POLICY("narrow", NARROW) "}" },
	{ .name = "end", .before = { run }, .request = "{\"op\": \"end\"}" },
};

/* What the kernel judges by. */
struct force {
	uint32_t state, policy, serial, generation;
	uint64_t lapses, grants;
};

static int client;

static json_t *ask(const struct scenario *sc, const char *text)
{
	int child = rig_child();
	bool begins = text == run || text == traced || (sc->fork && text == sc->request);

	return rig_ask(client, text, &child, begins ? 1 : 0);
}

static bool is_error(const json_t *answer)
{
	return !answer || json_object_get(answer, "error");
}

static struct force in_force(void)
{
	struct sandbox *b = rig_newest();
	const struct eg_sandbox *s = b ? sandbox_counters(b) : NULL;
	const struct eg_policy *head = s ? fake_row(AGENT_MAP_POLICIES, &s->policy) : NULL;
	json_t *list = b ? grants_describe(b) : NULL;
	struct force f = {};

	if (b)
		f = (struct force){ s->state, s->policy, head ? head->serial : 0, s->generation,
				    s->lapses, json_array_size(list) };
	json_decref(list);
	return f;
}

static void at_each_call(void *ctx)
{
	const char *half = rig_half();

	if (half)
		fail_msg("%s: a live sandbox points at a version that is not whole: %s",
			 (const char *)ctx, half);
}

static void begin(const struct scenario *sc)
{
	int err = rig_begin(false);

	if (err)
		fail_msg("cannot begin: %s", strerror(-err));
	fake_anchors(true);
	client = rig_connect(sc->as_root ? 0 : rig_user());
	for (size_t i = 0; i < ARRAY_SIZE(sc->before) && sc->before[i]; i++) {
		json_t *answer = ask(sc, sc->before[i]);

		if (is_error(answer))
			fail_msg("%s: %s: %s", sc->name, sc->before[i],
				 json_string_value(json_object_get(answer, "error")));
		json_decref(answer);
	}
	fake_watch(at_each_call, (void *)sc->name);
}

static void end(const struct scenario *sc, unsigned long n, unsigned long undone)
{
	const char *left;

	fake_watch(NULL, NULL);
	rig_end_all();
	left = rig_left();
	if (left && !undone)
		fail_msg("%s: call %lu failed, and %s is left", sc->name, n, left);
	rig_end();
}

/* The n-th call fails. False: there is none any more. */
static bool one(const struct scenario *sc, enum fake_call kind, unsigned long n, int err)
{
	struct force before, after;
	bool failed, refused;
	json_t *answer;

	begin(sc);
	before = in_force();
	fake_fail(kind, n, err);
	answer = ask(sc, sc->request);
	failed = fake_failed();
	fake_fail(FAKE_ANY, 0, 0);
	refused = is_error(answer);
	after = in_force();
	if (failed && !answer)
		fail_msg("%s: call %lu failed, and nobody was told", sc->name, n);
	if (!failed && refused)
		fail_msg("%s: %s", sc->name,
			 json_string_value(json_object_get(answer, "error")));
	json_decref(answer);
	if (refused && memcmp(&before, &after, sizeof(before)))
		fail_msg("%s: call %lu failed, and what is in force has changed: "
			 "serial %u -> %u, %lu -> %lu grants", sc->name, n, before.serial,
			 after.serial, (unsigned long)before.grants, (unsigned long)after.grants);
	if (refused) {
		answer = ask(sc, sc->request);
		if (is_error(answer))
			fail_msg("%s: after call %lu had failed it never worked again: %s",
				 sc->name, n,
				 json_string_value(json_object_get(answer, "error")));
		json_decref(answer);
	}
	/* a row that the kernel did not give back stays: it means nothing, and is counted */
	end(sc, n, kind == FAKE_DELETE || kind == FAKE_NEXT || kind == FAKE_LOOKUP);
	return failed;
}

static void each(enum fake_call kind)
{
	static const int errors[] = { ENOMEM, E2BIG, ENOENT, EPERM };

	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		unsigned long n = 1;

		while (n < CALLS_MAX && one(&scenarios[i], kind, n, errors[n % ARRAY_SIZE(errors)]))
			n++;
		assert_true(n < CALLS_MAX);
		print_message("# %s: %lu calls\n", scenarios[i].name, n - 1);
	}
}

static void updates(void **state)
{
	(void)state;
	each(FAKE_UPDATE);
}

static void deletions(void **state)
{
	(void)state;
	each(FAKE_DELETE);
}

static void lookups(void **state)
{
	(void)state;
	each(FAKE_LOOKUP);
	each(FAKE_NEXT);
}

static void cgroups(void **state)
{
	(void)state;
	each(FAKE_CGROUP);
}

static void state_files(void **state)
{
	(void)state;
	each(FAKE_STATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(updates),     cmocka_unit_test(deletions),
		cmocka_unit_test(lookups),     cmocka_unit_test(cgroups),
		cmocka_unit_test(state_files),
	};

	return cmocka_run_group_tests_name("maps", tests, NULL, NULL);
}
