// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Policies that another process reads: what it says is what would have been said here, it has no
 * rights, and whatever becomes of it is an error here. Bytes that are no tree are none.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy.h"
#include "policy_apart.h"
#include "policy_pack.h"

#define FILE_NAME "p.yaml"
#define PATIENCE 600 /* seconds; ends what would hang, decides nothing */
#define TEXT "version: 1\nextends: [base, 'it''s']\nfiles: {default: rx, \"/a b\": none}\n" \
	"egress:\n  allow:\n    - example.org:443\n    - \xc3\xa9.example\n  deny: []\nenv: {A: }\n"

static char *packed(const char *text, size_t *size)
{
	struct ydoc doc;
	struct diag d = {};
	char *bytes;

	if (ydoc_parse(FILE_NAME, text, strlen(text), &doc, &d))
		fail_msg("%s", d.msg);
	*size = ydoc_packed_size(&doc);
	bytes = malloc(*size);
	assert_non_null(bytes);
	ydoc_pack(&doc, bytes);
	ydoc_free(&doc);
	return bytes;
}

static int unpack(const char *bytes, size_t n, struct ydoc *doc)
{
	/* exactly as long as it is: what reads behind it is seen */
	char *copy = malloc(n ? n : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	err = ydoc_unpack(copy, n, strlen(TEXT), doc);
	free(copy);
	return err;
}

/* ---- bytes --------------------------------------------------------------------------- */

static void there_and_back(void **state)
{
	size_t size;
	char *bytes = packed(TEXT, &size), *again;
	struct ydoc doc;

	(void)state;
	assert_int_equal(unpack(bytes, size, &doc), 0);
	assert_int_equal(ydoc_packed_size(&doc), size);
	again = malloc(size);
	assert_non_null(again);
	ydoc_pack(&doc, again);
	assert_memory_equal(bytes, again, size);
	ydoc_free(&doc);
	free(again);
	free(bytes);
}

static void cut_off(void **state)
{
	size_t size;
	char *bytes = packed(TEXT, &size);
	struct ydoc doc;

	(void)state;
	for (size_t n = 0; n < size; n++)
		assert_int_equal(unpack(bytes, n, &doc), -EPROTO);
	bytes = realloc(bytes, size + 1);
	assert_non_null(bytes);
	bytes[size] = 0;
	assert_int_equal(unpack(bytes, size + 1, &doc), -EPROTO);
	free(bytes);
}

/* Each byte as each other one: an error, or a tree that can be walked from end to end. */
static void changed(void **state)
{
	size_t size, refused = 0;
	char *bytes = packed(TEXT, &size);
	struct ydoc doc;

	(void)state;
	for (size_t i = 0; i < size; i++) {
		char was = bytes[i];

		for (int by = 1; by < 256; by++) {
			int err;

			bytes[i] = (char)(was ^ by);
			err = unpack(bytes, size, &doc);
			assert_true(!err || err == -EPROTO);
			refused += err != 0;
			if (!err) {
				assert_int_equal(ydoc_packed_size(&doc), size);
				ydoc_free(&doc);
			}
		}
		bytes[i] = was;
	}
	assert_true(refused > size * 100);
	free(bytes);
}

/* ---- processes ----------------------------------------------------------------------- */

static void apart_with(policy_apart_fn *parse, unsigned int seconds)
{
	struct diag d = {};

	if (policy_apart_start(parse, seconds, &d))
		fail_msg("%s", d.msg);
}

static int both(const char *text, struct diag *here, struct diag *there)
{
	struct ydoc doc;
	int err;

	*here = *there = (struct diag){};
	err = ydoc_parse(FILE_NAME, text, strlen(text), &doc, here);
	if (!err)
		ydoc_free(&doc);
	assert_int_equal(policy_apart_parse(FILE_NAME, text, strlen(text), &doc, there), err);
	if (!err)
		ydoc_free(&doc);
	return err;
}

static void same_answers(void **state)
{
	static const char *const texts[] = {
		TEXT, "", "a: [\n", "a: 1\na: 2\n", "a: *x\n", "- a\n", "a: \"\\x01\"\n",
		"a: \xff\n", "\ta: 1\n", "a: &b c\n", "a: [[[[[[[[[[1]]]]]]]]]]\n",
		"a: 1\n---\nb: 1\n",
	};
	struct diag here, there;
	size_t good = 0;

	(void)state;
	apart_with(ydoc_parse, PATIENCE);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		good += !both(texts[i], &here, &there);
		assert_memory_equal(&here, &there, sizeof(here));
	}
	assert_int_equal(good, 1);
	policy_apart_stop();
}

/* As long as one may be, and one byte more. */
static void long_ones(void **state)
{
	char *text = malloc(POLICY_MAX_BYTES + 2);
	struct diag here, there;
	size_t n = 0;

	(void)state;
	assert_non_null(text);
	n = (size_t)sprintf(text, "a: [");
	while (n < POLICY_MAX_BYTES - 4)
		n += (size_t)sprintf(text + n, "x, ");
	while (n < POLICY_MAX_BYTES - 1)
		text[n++] = ' ';
	strcpy(text + n, "]");
	apart_with(ydoc_parse, PATIENCE);
	assert_int_equal(both(text, &here, &there), 0);
	strcpy(text + n + 1, "\n");
	assert_int_equal(both(text, &here, &there), -EFBIG);
	assert_string_equal(here.msg, there.msg);
	policy_apart_stop();
	free(text);
}

/* What is tried in there goes into the message. */
static int try_rights(const char *file, const char *text, size_t len, struct ydoc *doc,
		      struct diag *d)
{
	char *const no_args[] = { NULL };
	int opened, made, killed, forked, ran;

	(void)text;
	(void)len;
	(void)doc;
	opened = open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
	made = socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
	killed = kill(getppid(), 0) ? errno : 0;
	forked = fork() < 0 ? errno : 0;
	ran = execv("/bin/true", no_args) ? errno : 0;
	return diag_at(d, -EINVAL, file, 1, 1, "%d %d %d %d %d", opened, made, killed, forked, ran);
}

static void no_rights(void **state)
{
	struct ydoc doc;
	struct diag d = {};
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0); /* as whoever reads here can */
	(void)close(fd);
	apart_with(try_rights, PATIENCE);
	assert_int_equal(policy_apart_parse(FILE_NAME, "a", 1, &doc, &d), -EINVAL);
	assert_string_equal(d.msg, "1 1 1 1 1"); /* EPERM */
	policy_apart_stop();
}

static int end_early(const char *file, const char *text, size_t len, struct ydoc *doc,
		     struct diag *d)
{
	(void)file;
	(void)len;
	(void)doc;
	if (*text == 's')
		(void)write(0, "nonsense that is longer than an answer's head", 45);
	else if (*text == 'e')
		return diag_set(d, -EPERM, "an error that none of ours is");
	_exit(0);
}

/* It says nothing, or something else: an error, and the next text is read. */
static void ends_early(void **state)
{
	struct ydoc doc;
	struct diag d;

	(void)state;
	apart_with(end_early, PATIENCE);
	for (const char *text = "nsen"; *text; text++) {
		d = (struct diag){};
		assert_int_equal(policy_apart_parse(FILE_NAME, text, 1, &doc, &d), -EPROTO);
		assert_string_equal(d.file, FILE_NAME);
		assert_string_equal(d.msg, "its reader ended without an answer");
	}
	policy_apart_stop();
}

static int never_end(const char *file, const char *text, size_t len, struct ydoc *doc,
		     struct diag *d)
{
	(void)file;
	(void)text;
	(void)len;
	(void)doc;
	(void)d;
	for (volatile bool go = true; go;)
		;
	return 0;
}

static void never_ends(void **state)
{
	struct ydoc doc;
	struct diag d = {};
	int err;

	(void)state;
	apart_with(never_end, 1);
	err = policy_apart_parse(FILE_NAME, "a", 1, &doc, &d);
	/* its time at a processor may be up first */
	assert_true(err == -ETIME || err == -EPROTO);
	policy_apart_stop();
}

/* Who forks them was killed. */
static void nobody_there(void **state)
{
	struct ydoc doc;
	struct diag d = {};
	char name[64] = "";
	FILE *f;
	int pid = 0;

	(void)state;
	apart_with(ydoc_parse, PATIENCE);
	f = popen("pgrep -P $PPID -x egressd-reader", "r");
	assert_non_null(f);
	assert_non_null(fgets(name, sizeof(name), f));
	(void)pclose(f);
	pid = atoi(name);
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (!policy_apart_parse(FILE_NAME, TEXT, strlen(TEXT), &doc, &d))
		ydoc_free(&doc);
	assert_int_equal(d.err, -EPROTO);
	policy_apart_stop();
	/* and here, where nothing is apart any more */
	assert_int_equal(policy_apart_parse(FILE_NAME, TEXT, strlen(TEXT), &doc, &d), 0);
	ydoc_free(&doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back), cmocka_unit_test(cut_off),
		cmocka_unit_test(changed),	  cmocka_unit_test(same_answers),
		cmocka_unit_test(long_ones),	  cmocka_unit_test(no_rights),
		cmocka_unit_test(ends_early),	  cmocka_unit_test(never_ends),
		cmocka_unit_test(nobody_there),
	};

	return cmocka_run_group_tests_name("policy_apart", tests, NULL, NULL);
}
