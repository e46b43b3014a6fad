// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What journald is sent: fields that nobody forges, so many and no more, and never a wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/types.h>

#include "../../bpf/egressctl.h"
#include "compile.h"
#include "events.h"
#include "journal.h"
#include "util.h"

static char dir[] = "/tmp/journal_test.XXXXXX", path[64];
static int listener;
static struct journal *j;

static int setup(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/socket", dir);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)))
		return -1;
	return journal_new(NULL, path, &j);
}

static int teardown(void **state)
{
	(void)state;
	journal_free(j);
	if (listener >= 0)
		close(listener);
	(void)unlink(path);
	(void)rmdir(dir);
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	return 0;
}

static struct event event(const char *name)
{
	return (struct event){
		.seq = 3, .sandbox = 7, .owner = 1000, .pid = 42, .uid = 1000, .error = 13,
		.op = EG_OP_OPEN, .verdict = EG_VERDICT_DENIED, .want = EG_R,
		.comm = { "cat", 3 }, .path = { name, strlen(name) },
	};
}

/* The next entry, with a NUL behind it; NULL: there is none. */
static char *receive(size_t *len)
{
	static char buf[65536];
	ssize_t n = recv(listener, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return NULL;
	buf[n] = '\0';
	*len = (size_t)n;
	return buf;
}

/* As journald reads it: the value of a field, and how many fields of that name there are. */
static unsigned int field(const char *p, size_t len, const char *key, char *value, size_t size)
{
	const char *end = p + len, *nl;
	unsigned int found = 0;
	size_t n, keylen;
	uint64_t wide;

	while (p < end) {
		const char *from;

		nl = memchr(p, '\n', (size_t)(end - p));
		assert_non_null(nl);
		keylen = strcspn(p, "=\n");
		if (p[keylen] == '=') {
			from = p + keylen + 1;
			n = (size_t)(nl - from);
			nl++;
		} else {
			memcpy(&wide, nl + 1, sizeof(wide));
			from = nl + 1 + sizeof(wide);
			n = wide;
			assert_true(from + n < end);
			assert_int_equal(from[n], '\n');
			nl = from + n + 1;
		}
		if (keylen == strlen(key) && !memcmp(p, key, keylen)) {
			found++;
			assert_true(n < size);
			memcpy(value, from, n);
			value[n] = '\0';
		}
		p = nl;
	}
	return found;
}

#define assert_field(p, len, key, expected) \
	do { \
		char got_[4096]; \
\
		assert_int_equal(field(p, len, key, got_, sizeof(got_)), 1); \
		assert_string_equal(got_, expected); \
	} while (0)

static void fields(void **state)
{
	struct rule_ref by = { .file = (char *)"/p/\xc2\x9b.yaml", .line = 3,
			       .text = (char *)"a\nMESSAGE_ID=forged\xc2\x9b: none" };
	struct event ev = event("/home/me/.env");
	char value[4096];
	size_t len;
	char *p;

	(void)state;
	ev.by = &by;
	journal_event(j, &ev);
	p = receive(&len);
	assert_non_null(p);
	assert_field(p, len, "MESSAGE_ID", JOURNAL_ID_VIOLATION);
	assert_field(p, len, "PRIORITY", "4");
	assert_field(p, len, "EGRESSCTL_EVENT", "7.3");
	assert_field(p, len, "EGRESSCTL_OP", "open");
	assert_field(p, len, "EGRESSCTL_VERDICT", "denied");
	assert_field(p, len, "EGRESSCTL_PATH", "/home/me/.env");
	assert_field(p, len, "EGRESSCTL_PID", "42");
	assert_field(p, len, "EGRESSCTL_OWNER_UID", "1000");
	assert_field(p, len, "EGRESSCTL_RULE", "\\xc2\\x9b.yaml:3");
	assert_field(p, len, "EGRESSCTL_RULE_TEXT", "a\\x0aMESSAGE_ID=forged\\xc2\\x9b: none");
	assert_int_equal(field(p, len, "EGRESSCTL_ADDRESS", value, sizeof(value)), 0);
	assert_null(receive(&len));
}

static void addresses(void **state)
{
	struct event ev = event("");
	size_t len;
	char *p;

	(void)state;
	ev.op = EG_OP_CONNECT;
	ev.verdict = EG_VERDICT_AUDIT;
	ev.proto = 6;
	ev.port = 443;
	memcpy(ev.addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\x09", 16);
	ev.name = (struct event_bytes){ "x.example", 9 };
	journal_event(j, &ev);
	p = receive(&len);
	assert_non_null(p);
	assert_field(p, len, "PRIORITY", "5");
	assert_field(p, len, "EGRESSCTL_VERDICT", "audit");
	assert_field(p, len, "EGRESSCTL_ADDRESS", "203.0.113.9");
	assert_field(p, len, "EGRESSCTL_PORT", "443");
	assert_field(p, len, "EGRESSCTL_PROTOCOL", "tcp");
	assert_field(p, len, "EGRESSCTL_NAME", "x.example");
}

static void hostile_names(void **state)
{
	struct event ev = event("/w/a\nEGRESSCTL_OP=none\n\n\x1b[2J\xff");
	size_t len;
	char *p;

	(void)state;
	ev.comm = (struct event_bytes){ "x\nPRIORITY=0", 12 };
	ev.path2 = (struct event_bytes){ "\0\n", 2 };
	journal_event(j, &ev);
	p = receive(&len);
	assert_non_null(p);
	assert_field(p, len, "EGRESSCTL_OP", "open");
	assert_field(p, len, "PRIORITY", "4");
	assert_field(p, len, "EGRESSCTL_PATH",
		     "\"/w/a\\x0aEGRESSCTL_OP=none\\x0a\\x0a\\x1b[2J\\xff\"");
	assert_field(p, len, "EGRESSCTL_COMM", "\"x\\x0aPRIORITY=0\"");
	assert_null(memchr(p, '\x1b', len));
}

/* What is said of hooks has a field for each, and no rate. */
static void notes(void **state)
{
	const struct journal_note silent = {
		.id = JOURNAL_ID_SILENT, .priority = 1, .text = "hooks are silent",
		.remedy = "restart egressd", .hooks = { "connect4", "file_open" }, .nhooks = 2,
	};
	const struct journal_note well = { .id = JOURNAL_ID_PROVED, .priority = 5,
					   .text = "all is well", .remedy = "" };
	char value[4096];
	size_t len;
	char *p;

	(void)state;
	assert_int_equal(journal_note(j, &silent), 0);
	p = receive(&len);
	assert_non_null(p);
	assert_field(p, len, "MESSAGE_ID", JOURNAL_ID_SILENT);
	assert_field(p, len, "PRIORITY", "1");
	assert_field(p, len, "MESSAGE", "hooks are silent: restart egressd");
	assert_field(p, len, "EGRESSCTL_REMEDY", "restart egressd");
	assert_int_equal(field(p, len, "EGRESSCTL_HOOK", value, sizeof(value)), 2);
	assert_string_equal(value, "file_open");
	assert_int_equal(journal_note(j, &well), 0);
	p = receive(&len);
	assert_non_null(p);
	assert_field(p, len, "MESSAGE", "all is well");
	assert_int_equal(field(p, len, "EGRESSCTL_HOOK", value, sizeof(value)), 0);
	assert_int_equal(field(p, len, "EGRESSCTL_REMEDY", value, sizeof(value)), 0);
	close(listener); /* nobody is there: told by another way */
	listener = -1;
	assert_true(journal_note(j, &well) < 0);
}

static void other_events(void **state)
{
	struct event ev = event("/x");
	size_t len;

	(void)state;
	ev.verdict = EG_VERDICT_ALLOWED; /* of a trace */
	journal_event(j, &ev);
	ev = (struct event){ .sandbox = 7, .end = true, .denied = 9 };
	journal_event(j, &ev);
	assert_null(receive(&len));
}

/*
 * Nobody reads: the socket is full after a few, and nothing waits. What did not go is
 * counted, and said as soon as there is room.
 */
static void a_flood(void **state)
{
	const struct journal_stats *stats = journal_stats(j);
	struct event ev = event("/x");
	uint64_t said = 0, got = 0;
	char value[64];
	size_t len;
	char *p;

	(void)state;
	for (ev.seq = 1; ev.seq <= 100000; ev.seq++)
		journal_event(j, &ev);
	assert_int_equal(stats->sent + stats->left_out, 100000);
	assert_true(stats->sent > 0);
	journal_tell(j); /* no room yet, or there is: either way it is said once */
	while ((p = receive(&len))) {
		if (field(p, len, "EGRESSCTL_LEFT_OUT", value, sizeof(value)))
			said += strtoull(value, NULL, 10);
		else
			got++;
	}
	journal_tell(j);
	while ((p = receive(&len)))
		if (field(p, len, "EGRESSCTL_LEFT_OUT", value, sizeof(value)))
			said += strtoull(value, NULL, 10);
	assert_int_equal(got, stats->sent);
	assert_int_equal(said, stats->left_out);
}

static unsigned int sent_of(uint64_t sandbox)
{
	struct event ev = event("/x");
	uint64_t before = journal_stats(j)->sent;
	size_t len;

	ev.sandbox = sandbox;
	journal_event(j, &ev);
	while (receive(&len)) /* room for the next one */
		;
	return (unsigned int)(journal_stats(j)->sent - before);
}

/* One that floods leaves room for the others. */
static void shares(void **state)
{
	unsigned int mine = 0;

	(void)state;
	for (unsigned int i = 0; i < 100000; i++)
		mine += sent_of(7);
	for (uint64_t other = 8; other < 18; other++)
		assert_int_equal(sent_of(other), 1);
	assert_true(mine >= JOURNAL_RATE_SANDBOX);
	assert_true(mine < 50000);
}

static void nobody_there(void **state)
{
	struct event ev = event("/x");

	(void)state;
	close(listener);
	listener = -1;
	(void)unlink(path);
	journal_event(j, &ev);
	assert_int_equal(journal_stats(j)->left_out, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(notes, setup, teardown),
		cmocka_unit_test_setup_teardown(fields, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_names, setup, teardown),
		cmocka_unit_test_setup_teardown(other_events, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(shares, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
