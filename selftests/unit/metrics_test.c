// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The text for Prometheus, and the listener, whoever comes to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cmocka.h>

#include "diag.h"
#include "metrics.h"
#include "util.h"

/* ---- the text ------------------------------------------------------------------------ */

static void labelled(struct text *t, const char *value)
{
	text_reset(t);
	metrics_begin(t, "m");
	metrics_label(t, "l", value);
	metrics_end(t, 1);
}

static void labels(void **state)
{
	static const struct {
		const char *value, *text;
	} cases[] = {
		{ "plain", "m{l=\"plain\"} 1\n" },
		{ "", "m{l=\"\"} 1\n" },
		{ "a\"b\\c", "m{l=\"a\\\"b\\\\c\"} 1\n" },
		{ "a\nm 7", "m{l=\"a\ufffdm 7\"} 1\n" },
		{ "\x1b[2J", "m{l=\"\ufffd[2J\"} 1\n" },
		{ "\xff\xfe", "m{l=\"\ufffd\ufffd\"} 1\n" },
		{ "na\xc3\xafve \xe2\x80\xae", "m{l=\"na\xc3\xafve \ufffd\"} 1\n" },
	};
	char many[METRICS_LABEL_MAX + 2];
	struct text t = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		labelled(&t, cases[i].value);
		assert_string_equal(t.p, cases[i].text);
	}
	memset(many, 'x', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	labelled(&t, many);
	assert_non_null(strstr(t.p, "x\u2026\"} 1\n"));
	assert_int_equal(t.len, strlen("m{l=\"\"} 1\n") + METRICS_LABEL_MAX + strlen("\u2026"));
	text_reset(&t);
	metrics_begin(&t, "m");
	metrics_label(&t, "a", "1");
	metrics_label(&t, "b", "2");
	metrics_end_seconds(&t, 1000000002);
	assert_string_equal(t.p, "m{a=\"1\",b=\"2\"} 1.000000002\n");
	text_free(&t);
}

static void fill(void *ctx, struct text *t)
{
	unsigned int *times = ctx;

	if (times)
		(*times)++;
	metrics_one(t, "egressctl_things", METRICS_GAUGE, "Things.", 3);
	metrics_family(t, "egressctl_seen_total", METRICS_COUNTER, "What was seen, by name.");
	metrics_begin(t, "egressctl_seen_total");
	metrics_label(t, "name", "a\"\n\\\x01\xff b");
	metrics_end(t, UINT64_MAX);
}

/* Prometheus' own tool reads it, and has no remark. */
static void promtool(void **state)
{
	struct text t = {};
	FILE *f;

	(void)state;
	fill(NULL, &t);
	f = popen("out=$(promtool check metrics 2>&1) && [ -z \"$out\" ] || "
		  "{ echo \"# promtool: $out\"; exit 1; }", "w");
	assert_non_null(f);
	assert_int_equal(fwrite(t.p, 1, t.len, f), t.len);
	if (pclose(f))
		fail_msg("promtool (of Debian's package prometheus) does not accept it");
	text_free(&t);
}

/* ---- the listener ------------------------------------------------------------------------ */

struct site {
	sd_event *loop;
	struct metrics_http *http;
	struct sockaddr_in at;
	char where[32];
	unsigned int times; /* that the text was made */
};

static void open_site(struct site *s, uint32_t patience_ms)
{
	struct metrics_source source = { fill, &s->times, patience_ms };
	socklen_t len = sizeof(s->at);
	struct diag d = {};
	int fd;

	*s = (struct site){ .at = { .sin_family = AF_INET } };
	assert_true(sd_event_new(&s->loop) >= 0);
	s->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* a port that was free a moment ago */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&s->at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&s->at, &len), 0);
	close(fd);
	(void)snprintf(s->where, sizeof(s->where), "127.0.0.1:%u", ntohs(s->at.sin_port));
	if (metrics_http_new(s->loop, s->where, &source, &s->http, &d))
		fail_msg("%s", d.msg);
}

static void close_site(struct site *s)
{
	metrics_http_free(s->http);
	sd_event_unref(s->loop);
}

static int visit(const struct site *s, const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_true(!connect(fd, (const struct sockaddr *)&s->at, sizeof(s->at)) ||
		    errno == EINPROGRESS);
	/* loopback: the handshake is the kernel's, done when connect() returns */
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return fd;
}

/* Everything that comes until the other side closes. */
static const char *read_answer(struct site *s, int fd)
{
	static char buf[65536];
	size_t have = 0;
	ssize_t n;

	for (;;) {
		n = recv(fd, buf + have, sizeof(buf) - 1 - have, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			have += (size_t)n;
		else
			assert_true(sd_event_run(s->loop, UINT64_MAX) >= 0);
	}
	buf[have] = '\0';
	close(fd);
	return buf;
}

static const char *ask(struct site *s, const char *request)
{
	return read_answer(s, visit(s, request));
}

static void answers(void **state)
{
	struct text t = {};
	struct site s;
	const char *got;

	(void)state;
	open_site(&s, 0);
	fill(NULL, &t);
	got = ask(&s, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(str_starts(got, "HTTP/1.1 200 "));
	assert_non_null(strstr(got, "text/plain; version=0.0.4"));
	assert_true(str_ends(got, t.p));
	got = ask(&s, "GET /metrics?x=1 HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(got, " 200 "));
	got = ask(&s, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(str_starts(got, "HTTP/1.1 200 ") && str_ends(got, "\r\n\r\n"));
	assert_true(str_starts(ask(&s, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 "));
	assert_true(str_starts(ask(&s, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
			       "HTTP/1.1 405 "));
	/* a body is not read; nonsense is not answered with numbers */
	got = ask(&s, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd");
	assert_null(strstr(got, "egressctl_"));
	assert_null(strstr(ask(&s, "\x16\x03\x01\x02\r\n\r\n"), "egressctl_"));
	/* however often it is asked for within a second */
	for (int i = 0; i < 100; i++)
		(void)ask(&s, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(s.times < 50);
	text_free(&t);
	close_site(&s);
}

/* All places taken by clients that never finish what they say. */
static void held(void **state)
{
	int fds[4 * METRICS_CONNECTIONS];
	struct site s;

	(void)state;
	open_site(&s, 50);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = visit(&s, i % 2 ? "GET /metr" : "GET /metrics HTTP/1.1\r\nHost: ");
	assert_true(str_starts(ask(&s, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
			       "HTTP/1.1 200 "));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	assert_true(str_starts(ask(&s, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
			       "HTTP/1.1 200 "));
	close_site(&s);
}

static void taken(void **state)
{
	struct metrics_source source = { fill, NULL, 0 };
	struct metrics_http *other = NULL;
	struct diag d = {};
	struct site s;

	(void)state;
	open_site(&s, 0);
	assert_int_equal(metrics_http_new(s.loop, s.where, &source, &other, &d), -EADDRINUSE);
	assert_non_null(strstr(d.msg, s.where));
	assert_null(other);
	close_site(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels),  cmocka_unit_test(promtool), cmocka_unit_test(answers),
		cmocka_unit_test(held),	   cmocka_unit_test(taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
