/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages of the control protocol, good ones and those of a hostile client. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "diag.h"
#include "util.h"

static int pair[2];

static int set_up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
	(void)state;
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return 0;
}

static int count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void round_trip(void **state)
{
	json_t *out = json_pack("{s:s, s:[i, i]}", "op", "run", "list", 1, 2), *in = NULL;

	(void)state;
	assert_int_equal(control_send(pair[0], out, NULL, 0), 0);
	assert_int_equal(control_recv(pair[1], &in, NULL, NULL), 1);
	assert_true(json_equal(in, out));
	json_decref(in);
	json_decref(out);
}

/* More than a packet: as a memfd, with descriptors of its own beside it. */
static void big(void **state)
{
	size_t len = 1 << 20, nfds = 0;
	char *text = malloc(len + 1);
	int pipefd[2], fds[CONTROL_FDS_MAX];
	json_t *out, *in = NULL;
	char byte = 'x';

	(void)state;
	assert_non_null(text);
	memset(text, 'p', len);
	text[len] = 0;
	out = json_pack("{s:s}", "text", text);
	free(text);
	assert_int_equal(pipe(pipefd), 0);
	assert_int_equal(control_send(pair[0], out, &pipefd[0], 1), 0);
	assert_int_equal(control_recv(pair[1], &in, fds, &nfds), 1);
	assert_true(json_equal(in, out));
	assert_int_equal(nfds, 1);
	assert_int_equal(write(pipefd[1], "y", 1), 1);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	close(fds[0]);
	close(pipefd[0]);
	close(pipefd[1]);
	json_decref(in);
	json_decref(out);
}

static void too_big(void **state)
{
	char *text = calloc(1, CONTROL_MESSAGE_MAX + 1);
	json_t *out;

	(void)state;
	assert_non_null(text);
	memset(text, 'p', CONTROL_MESSAGE_MAX);
	out = json_pack("{s:s}", "text", text);
	free(text);
	assert_int_equal(control_send(pair[0], out, NULL, 0), -EMSGSIZE);
	json_decref(out);
}

static void closed(void **state)
{
	json_t *in = NULL;

	(void)state;
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(control_recv(pair[0], &in, NULL, NULL), 0);
}

static void malformed(void **state)
{
	static const char *const bad[] = {
		"{", "[]", "1", "{} {}", "{\"a\":1,\"a\":2}", "M", "x", "{\"a\":\"\xff\"}", "null",
		"{\"a\":1e999999}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *in = NULL;

		assert_int_equal(send(pair[0], bad[i], strlen(bad[i]), 0), strlen(bad[i]));
		if (control_recv(pair[1], &in, NULL, NULL) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
	}
}

/* Nested deeper than any request: refused, not recursed into until the stack ends. */
static void deep(void **state)
{
	char text[60001];
	json_t *in = NULL;

	(void)state;
	memset(text, '[', sizeof(text));
	memcpy(text, "{\"a\":", 5);
	assert_int_equal(send(pair[0], text, sizeof(text), 0), sizeof(text));
	assert_int_equal(control_recv(pair[1], &in, NULL, NULL), -EBADMSG);
}

static void send_from(int from, const char *text, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} c = {};
	struct iovec iov = { (char *)text, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&c.h), fds, n * sizeof(int));
	assert_int_equal(sendmsg(from, &m, 0), len);
}

static void send_raw(const char *text, size_t len, const int *fds, size_t n)
{
	send_from(pair[0], text, len, fds, n);
}

/* A flood of descriptors is refused, and none of them stays open here. */
static void descriptor_flood(void **state)
{
	int fds[16], before, i;
	json_t *in = NULL;

	(void)state;
	for (i = 0; i < 16; i++)
		fds[i] = pair[0];
	before = count_fds();
	send_raw("{}", 2, fds, 16);
	assert_int_equal(control_recv(pair[1], &in, NULL, NULL), -EBADMSG);
	assert_int_equal(count_fds(), before);
	/* those that nobody asked for are closed too */
	send_raw("{}", 2, fds, 1);
	assert_int_equal(control_recv(pair[1], &in, NULL, NULL), 1);
	json_decref(in);
	assert_int_equal(count_fds(), before);
}

/* What comes in place of a memfd must not block the reader or be anything else. */
static void false_memfd(void **state)
{
	int pipefd[2], mem, file;
	json_t *in = NULL;

	(void)state;
	assert_int_equal(pipe(pipefd), 0);
	send_raw("M", 1, &pipefd[0], 1);
	assert_int_equal(control_recv(pair[1], &in, NULL, NULL), -EBADMSG);
	file = open("/etc/passwd", O_RDONLY);
	send_raw("M", 1, &file, 1);
	assert_int_equal(control_recv(pair[1], &in, NULL, NULL), -EBADMSG);
	mem = memfd_create("empty", MFD_CLOEXEC);
	send_raw("M", 1, &mem, 1);
	assert_int_equal(control_recv(pair[1], &in, NULL, NULL), -EBADMSG);
	assert_int_equal(ftruncate(mem, (off_t)CONTROL_MESSAGE_MAX + 1), 0);
	send_raw("M", 1, &mem, 1);
	assert_int_equal(control_recv(pair[1], &in, NULL, NULL), -EBADMSG);
	close(mem);
	close(file);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* Brackets would be sixty times as large in memory: a server counts them before it reads. */
static void bomb(void **state)
{
	static const char *const parts[] = { "[],", "{}," };
	size_t nfds = 0, len = 3u << 20;
	int fds[CONTROL_FDS_MAX];
	char *text = malloc(len + 16);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int mem = memfd_create("bomb", MFD_CLOEXEC);
		json_t *in = NULL;
		size_t at;

		memcpy(text, "{\"a\":[", 6);
		for (at = 6; at + 3 < len; at += 3)
			memcpy(text + at, parts[i], 3);
		memcpy(text + at, "1]}", 3);
		assert_int_equal(write(mem, text, at + 3), at + 3);
		send_raw("M", 1, &mem, 1);
		assert_int_equal(control_recv_request(pair[1], &in, fds, &nfds), -EBADMSG);
		close(mem);
	}
	free(text);
}

/* As much text as a message may have is no such thing, whatever is in it. */
static void brackets_in_text(void **state)
{
	size_t len = 2u << 20, nfds = 0;
	char *text = malloc(len + 1);
	int fds[CONTROL_FDS_MAX];
	json_t *out, *in = NULL;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = "[{,\\\""[i % 5];
	text[len] = 0;
	out = json_pack("{s:s}", "text", text);
	free(text);
	assert_int_equal(control_send(pair[0], out, NULL, 0), 0);
	assert_int_equal(control_recv_request(pair[1], &in, fds, &nfds), 1);
	assert_true(json_equal(in, out));
	json_decref(in);
	json_decref(out);
}

static void on_event(void *ctx, json_t *ev)
{
	assert_string_equal(json_string_value(json_object_get(ev, "event")), "one");
	++*(int *)ctx;
}

static void queue(const char *text)
{
	assert_int_equal(send(pair[1], text, strlen(text), 0), strlen(text));
}

static void call(void **state)
{
	json_t *request = json_pack("{s:s}", "op", "ps"), *answer = NULL;
	struct diag d = {};
	int events = 0, status, err;

	(void)state;
	queue("{\"event\":\"one\"}");
	queue("{\"event\":\"one\"}");
	queue("{\"n\":3}");
	err = control_call(pair[0], request, NULL, 0, on_event, &events, &answer, &status, &d);
	assert_int_equal(err, 0);
	assert_int_equal(events, 2);
	assert_int_equal(json_integer_value(json_object_get(answer, "n")), 3);
	json_decref(answer);
	queue("{\"error\":\"no room\",\"exit\":2}");
	err = control_call(pair[0], request, NULL, 0, NULL, NULL, &answer, &status, &d);
	assert_int_equal(err, -EREMOTEIO);
	assert_int_equal(status, 2);
	assert_string_equal(d.msg, "no room");
	json_decref(request);
}

/* Whoever answers: what is no answer is said to be none, and nothing of it stays open. */
static void odd_answers(void **state)
{
	static const char *const odd[] = { "[]", "{", "M", "", "{\"error\":\"x\"} ,", "\xff" };
	json_t *request = json_pack("{s:s}", "op", "ps"), *answer = NULL;
	int many[5], before = count_fds(), status;
	struct diag d = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		queue(odd[i]);
		assert_true(control_call(pair[0], request, NULL, 0, NULL, NULL, &answer, &status,
					 &d) < 0);
		assert_int_equal(status, 125);
	}
	/* an error that says neither what nor how bad it is */
	queue("{\"error\":\"\",\"exit\":\"now\"}");
	assert_int_equal(control_call(pair[0], request, NULL, 0, NULL, NULL, &answer, &status, &d),
			 -EREMOTEIO);
	assert_int_equal(status, 125);
	queue("{\"error\":7}");
	assert_int_equal(control_call(pair[0], request, NULL, 0, NULL, NULL, &answer, &status, &d),
			 0);
	json_decref(answer);
	/* descriptors that nobody asked for */
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = pair[0];
	send_from(pair[1], "{\"n\":1}", 7, many, ARRAY_SIZE(many));
	assert_int_equal(control_call(pair[0], request, NULL, 0, NULL, NULL, &answer, &status, &d),
			 -EBADMSG);
	/* events, and then nobody */
	queue("{\"event\":\"one\"}");
	queue("{\"event\":\"one\"}");
	assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	assert_int_equal(control_call(pair[0], request, NULL, 0, NULL, NULL, &answer, &status, &d),
			 -ECONNRESET);
	json_decref(request);
	assert_int_equal(count_fds(), before);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(round_trip), T(big), T(too_big), T(closed), T(malformed), T(deep),
		T(descriptor_flood), T(false_memfd), T(bomb), T(brackets_in_text),
		T(call), T(odd_answers),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
