// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Requests of HTTP, as the kernel reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hello_help.h"
#include "slow_hello.h"
#include "util.h"

#define NAME "www.example.com"

static enum hello_result http(const void *data, size_t len, struct eg_hello *h)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct packet p = { copy, (__u32)len };
	struct slow_request slow;
	enum hello_result r;

	assert_non_null(copy);
	if (len)
		memcpy(copy, data, len);
	r = run_http(h, &p);
	/* byte by byte what is bad is seen before its line ends */
	if (r != HELLO_BAD || slow_http(copy, len, &slow) != SLOW_MORE)
		assert_int_equal(r, slow_http(copy, len, &slow));
	free(copy);
	return r;
}

static bool is(const __u8 *name, size_t len, const char *expected)
{
	return len == strlen(expected) && !memcmp(name, expected, len);
}

/* Whole at its end, a piece everywhere before; a body may follow. */
static void assert_request(const char *text, const char *body, enum hello_kind kind,
			   const char *name, __u32 port, const char *host, __u32 host_port)
{
	size_t len = strlen(text);
	struct eg_hello h;
	char all[1024];

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(http(text, cut, &h), HELLO_MORE);
	snprintf(all, sizeof(all), "%s%s", text, body);
	assert_int_equal(http(all, strlen(all), &h), HELLO_OK);
	assert_int_equal(h.at, HELLO_HEADERS + len);
	assert_int_equal(h.length, strlen(body));
	assert_int_equal(h.kind, kind);
	assert_true(is(h.name, h.name_len, name) && h.target_port == port);
	assert_true(is(h.host, h.host_len, host) && h.host_port == host_port);
}

static void test_requests(void **state)
{
	static const struct {
		const char *text, *body;
		enum hello_kind kind;
		const char *name;
		__u32 port;
		const char *host;
		__u32 host_port;
	} rows[] = {
		/* as curl and Python say it */
		{ "GET /a?b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/7.88.1\r\n"
		  "Accept: */*\r\n\r\n", "", HELLO_HTTP, "", 0, NAME, 0 },
		{ "GET http://www.example.com:8080/a?b HTTP/1.1\r\nHost: www.example.com:8080\r\n"
		  "Proxy-Connection: Keep-Alive\r\n\r\n", "", HELLO_HTTP_ABSOLUTE, NAME, 8080, NAME,
		  8080 },
		{ "CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n", "",
		  HELLO_HTTP_CONNECT, NAME, 443, NAME, 443 },
		{ "POST /a HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 3\r\n"
		  "Content-Type: application/x-www-form-urlencoded\r\n\r\n", "x=y", HELLO_HTTP, "",
		  0, NAME, 0 },
		{ "GET /p HTTP/1.1\r\nHost: www.example.com\r\nAccept-Encoding: identity\r\n\r\n",
		  "", HELLO_HTTP, "", 0, NAME, 0 },
		/* spellings */
		{ "GET / HTTP/1.0\r\nhOsT:WWW.Example.COM.\r\n\r\n", "", HELLO_HTTP, "", 0,
		  NAME ".", 0 },
		{ "M-SEARCH / HTTP/1.1\r\nhost: \t a.test:80 \t\r\ncontent-LENGTH:\t002\r\n\r\n",
		  "ab", HELLO_HTTP, "", 0, "a.test", 80 },
		{ "GET HTTP://A.Test HTTP/1.1\r\nHost: b.test:\r\n\r\n", "", HELLO_HTTP_ABSOLUTE,
		  "a.test", 0, "b.test", 0 },
		{ "GET /\xc3\xa9 HTTP/1.1\r\nX: \xff\t\x01\r\nHost: a\r\nHosts: b\r\n"
		  "Hos: c\r\n\r\n", "", HELLO_HTTP, "", 0, "a", 0 },
		{ "CONNECTED / HTTP/1.1\r\nHost: a\r\n\r\n", "", HELLO_HTTP, "", 0, "a", 0 },
		/* no Host: not bad, but nothing to judge by */
		{ "GET / HTTP/1.0\r\n\r\n", "", HELLO_HTTP, "", 0, "", 0 },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", "", HELLO_HTTP, "", 0, "", 0 },
		{ "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "", HELLO_HTTP, "", 0, "", 80 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_request(rows[i].text, rows[i].body, rows[i].kind, rows[i].name, rows[i].port,
			       rows[i].host, rows[i].host_port);
}

static void test_seen(void **state)
{
	static const struct {
		const char *field;
		__u8 seen;
	} rows[] = {
		{ "Transfer-Encoding: chunked", HELLO_F_ENCODING },
		{ "TRANSFER-encoding:", HELLO_F_ENCODING },
		{ "Upgrade: websocket", HELLO_F_UPGRADE },
		{ "Content-Length: 0", HELLO_F_LENGTH }, { "Transfer-Encodings: chunked", 0 },
		{ "Transfer_Encoding: chunked", 0 }, { "X-Upgrade: h2c", 0 },
	};
	struct eg_hello h;
	char text[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n",
			 rows[i].field);
		assert_int_equal(http(text, strlen(text), &h), HELLO_OK);
		assert_int_equal(h.seen, HELLO_F_HOST | rows[i].seen);
	}
}

static void test_lines_refused(void **state)
{
	static const char *const lines[] = {
		/* HTTP/0.9, HTTP/2, others; spaces; a proxy's own line before it */
		"GET /", "PRI * HTTP/2.0", "GET / HTTP/1.2", "GET / http/1.1", "GET / HTTP/1.11",
		"GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1",
		"GET\t/ HTTP/1.1", "GET / a HTTP/1.1", "get / HTTP/1.1", " / HTTP/1.1",
		"\r\nGET / HTTP/1.1", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1",
		"AAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1", "SSH-2.0-OpenSSH_9.2",
		/* targets */
		"OPTIONS * HTTP/1.1", "GET a.test HTTP/1.1", "GET a.test:80 HTTP/1.1",
		"GET https://a.test/ HTTP/1.1", "GET http:/a.test/ HTTP/1.1", "GET //\x7f HTTP/1.1",
		"GET http:// HTTP/1.1", "GET http:///evil.test HTTP/1.1",
		"GET http://a.test@evil.test/ HTTP/1.1", "GET http://u:1@evil.test/ HTTP/1.1",
		"GET http://a.test?@evil.test/ HTTP/1.1", "GET http://a.test#@evil.test/ HTTP/1.1",
		"GET http://a.test\\@evil.test/ HTTP/1.1", "GET http://[::1]/ HTTP/1.1",
		"GET http://a.test: HTTP/1.1", "GET http://a.test:0/ HTTP/1.1",
		"GET http://a.test:65536/ HTTP/1.1", "GET http://a.test:000080/ HTTP/1.1",
		"GET http://a%2etest/ HTTP/1.1", "CONNECT a.test HTTP/1.1",
		"CONNECT a.test: HTTP/1.1", "CONNECT a.test:443/ HTTP/1.1",
		"CONNECT :443 HTTP/1.1", "CONNECT a.test:0 HTTP/1.1", "CONNECT [::1]:443 HTTP/1.1",
		"CONNECT http://a.test:443 HTTP/1.1", "CONNECT / HTTP/1.1",
	};
	struct eg_hello h;
	char text[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(text, sizeof(text), "%s\r\nHost: a.test\r\n\r\n", lines[i]);
		if (http(text, strlen(text), &h) != HELLO_BAD)
			fail_msg("accepted: %s", lines[i]);
	}
}

static void test_fields_refused(void **state)
{
	static const char *const fields[] = {
		/* two of what may be there once */
		"Host: a.test\r\nHost: a.test", "Host: a.test\r\nhost: evil.test",
		"Content-Length: 1\r\nContent-Length: 1", "Content-Length: 1, 1",
		"Transfer-Encoding: a\r\nTransfer-Encoding: chunked",
		/* folds, line ends, what stands around the colon */
		"Host: a.test\r\n evil.test", "X: y\r\n\tHost: evil.test", "Host : a.test",
		"Host\t: a.test", " Host: a.test", "Host a.test", "Host", ": a.test",
		":host: a.test",
		"Host: a.test\nX: y", "X: y\rHost: evil.test", "X: y\r\rHost: a", "X: y\n",
		"H\xc3\xb6st: a", "Host\v: a", "X\r\n: y", "(X): y",
		/* a Host that two read in two ways */
		"Host: a.test evil.test", "Host: a.test, evil.test", "Host: u@a.test",
		"Host: [::1]", "Host: [::1]:80", "Host: a.test/", "Host: http://a.test",
		"Host: a.test:80:80", "Host: a.test:x", "Host: a.test:123456", "Host: a.test:8 0",
		"Host: a\vtest", "Host: a\x80", "Host: a%2etest", "Host: \"a.test\"",
		/* lengths */
		"Content-Length:", "Host: a:80\r\nContent-Length: ", "Content-Length: -1",
		"Content-Length: +1", "Content-Length: 0x1", "Content-Length: 1 ",
		"Content-Length: 1 1", "Content-Length: 1000000000000000", "Content-Length: a",
	};
	struct eg_hello h;
	char text[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n\r\n", fields[i]);
		if (http(text, strlen(text), &h) != HELLO_BAD)
			fail_msg("accepted: %s", fields[i]);
	}
	/* a NUL; lines that end in a line feed only; the end that does */
	assert_int_equal(http("GET / HTTP/1.1\r\nX: \0\r\n\r\n", 24, &h), HELLO_BAD);
	assert_int_equal(http("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 29, &h), HELLO_BAD);
	assert_int_equal(http("GET / HTTP/1.1\nHost: a\n\n", 24, &h), HELLO_BAD);
	assert_int_equal(http("GET / HTTP/1.1\r\nHost: a\r\n\n", 26, &h), HELLO_BAD);
	assert_int_equal(http("GET / HTTP/1.1\r\nHost: a\r\n\rX", 27, &h), HELLO_BAD);
}

static void test_long(void **state)
{
	static char text[2 * HELLO_HTTP_MAX];
	struct eg_hello h;

	(void)state;
	/* a name of 253 bytes and of 254 */
	for (int n = 253; n <= 254; n++) {
		enum hello_result r = n == 253 ? HELLO_OK : HELLO_BAD;

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %0*d\r\n\r\n", n, 0);
		assert_int_equal(http(text, strlen(text), &h), r);
		snprintf(text, sizeof(text), "GET http://%0*d/ HTTP/1.1\r\n\r\n", n, 0);
		assert_int_equal(http(text, strlen(text), &h), r);
	}
	/* a field's name as long as anything that counts them in a byte */
	for (int n = 250; n < 300; n++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%0*dhost: evil\r\nHost: a\r\n\r\n",
			 n, 0);
		assert_int_equal(http(text, strlen(text), &h), HELLO_OK);
		assert_true(is(h.host, h.host_len, "a"));
	}
	/* a head of the size that is looked at, and one byte more */
	for (int more = 0; more <= 1; more++) {
		size_t len = HELLO_HTTP_MAX + (size_t)more;

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: ");
		memset(text + strlen(text), 'x', len - strlen(text));
		memcpy(text + len - 4, "\r\n\r\n", 4);
		assert_int_equal(http(text, len, &h), more ? HELLO_BAD : HELLO_OK);
		assert_int_equal(http(text, len - 1, &h), more ? HELLO_BAD : HELLO_MORE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_lines_refused),
		cmocka_unit_test(test_fields_refused),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
