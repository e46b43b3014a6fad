// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A rule into any bytes. The first line of the input is the rule, the rest is the
 * policy: `open /a r` and `version: 1`.
 *
 * What must hold: a text that is no policy is refused, with a message. Every other
 * one is refused as well, or holds the rule already, or comes out as a policy that
 * differs by the rule and has all the bytes that it had.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_edit.h"
#include "policy_int.h"
#include "selftests/unit/policy_same.h"
#include "selftests/fuzz/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "fuzz_edit: %s\n", what);
	abort();
}

static int parse(const char *text, size_t len, struct policy *p)
{
	struct policy_extends extends = {};
	struct diag d = {};
	int err;

	memset(p, 0, sizeof(*p));
	err = policy_parse_file("p.yaml", text, len, p, &extends, &d);
	policy_extends_clear(&extends);
	return err ? err : policy_check_lists(p, &d);
}

static void check_edited(const struct policy *old, const char *before, const char *after,
			 size_t len, const char *rule)
{
	struct policy new;
	struct diag d = {};
	const char *differs;
	char *again = NULL;

	require(!parse(after, len, &new), "what was edited is no policy");
	differs = policy_same_but(old, &new, rule);
	require(!differs, differs);
	policy_clear(&new);
	/* letters of a path may change their order */
	require(policy_lines_lost(before, after) <= 1, "more than one line is another");
	require(str_starts(rule, "open ") || policy_bytes_kept(before, after), "bytes are lost");
	require(policy_edit_add("p.yaml", after, len, rule, NULL, &again, &len, &d) == 1 && !again,
		"it is not there");
}

static char *copy(const uint8_t *from, size_t len)
{
	char *to = malloc(len + 1);

	if (!to)
		abort();
	memcpy(to, from, len);
	to[len] = '\0';
	return to;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = memchr(data, '\n', size);
	char *rule, *text, *out = NULL;
	struct policy old;
	struct diag d = {};
	size_t len, out_len = 0;
	int bad, err;

	/* what is large is slow, and found by smaller inputs as well */
	if (!nl || size > 16384)
		return 0;
	rule = copy(data, (size_t)(nl - data));
	len = size - (size_t)(nl + 1 - data);
	text = copy(nl + 1, len);
	bad = parse(text, len, &old);
	err = policy_edit_add("p.yaml", text, len, rule, "why\n", &out, &out_len, &d);
	require(err == (out ? 0 : err) && (err || out), "a text beside an error");
	require(err >= 0 || (d.err == err && d.msg[0]), "failed without a message");
	require(!bad || err < 0 || no_memory(), "no policy, and edited");
	if (!err && !memory_fails()) /* the comparison needs some, too */
		check_edited(&old, text, out, out_len, rule);
	policy_clear(&old);
	free(out);
	free(text);
	free(rule);
	return 0;
}
