// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a client says first, as the kernel reads it: recorded, and made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hello_bytes.h"
#include "hello_help.h"
#include "slow_hello.h"
#include "util.h"

#define NAME "www.example.com"

/* ---- TLS ----------------------------------------------------------------------------- */

/* Both parsers on a copy that is exactly as long as it is. */
static enum hello_result tls(const void *data, size_t len, struct eg_hello *h)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct packet p = { copy, (__u32)len };
	struct slow_name name;
	enum hello_result r;

	assert_non_null(copy);
	if (len)
		memcpy(copy, data, len);
	r = run_tls(h, &p);
	assert_int_equal(r, slow_tls(copy, len, &name));
	if (r == HELLO_OK) {
		assert_int_equal(h->name_len, name.len);
		assert_memory_equal(h->name, name.byte, name.len);
	}
	free(copy);
	return r;
}

struct made {
	size_t len;
	uint8_t p[70000];
};

static struct made m;

static void put(const void *p, size_t len)
{
	assert_true(m.len + len <= sizeof(m.p));
	memcpy(m.p + m.len, p, len);
	m.len += len;
}

static void put_number(size_t n, unsigned int bytes)
{
	while (bytes--) {
		uint8_t b = (uint8_t)(n >> (8 * bytes));

		put(&b, 1);
	}
}

/* Begins a vector; its length is known at its end. */
static size_t open_vector(unsigned int bytes)
{
	put_number(0, bytes);
	return m.len;
}

static void close_vector(size_t begin, unsigned int bytes)
{
	size_t end = m.len;

	m.len = begin - bytes;
	put_number(end - begin, bytes);
	m.len = end;
}

static size_t record, handshake, extensions;

static void begin_hello(void)
{
	static const uint8_t zero[32];

	m.len = 0;
	put("\x16\x03\x01", 3);
	record = open_vector(2);
	put("\x01", 1);
	handshake = open_vector(3);
	put("\x03\x03", 2);
	put(zero, 32);
	put_number(32, 1);
	put(zero, 32);
	put_number(4, 2);
	put("\x13\x01\x13\x02", 4);
	put("\x01\x00", 2);
}

static void end_hello(void)
{
	close_vector(handshake, 3);
	close_vector(record, 2);
}

static void begin_extensions(void)
{
	begin_hello();
	extensions = open_vector(2);
}

static void end_extensions(void)
{
	close_vector(extensions, 2);
	end_hello();
}

static void put_extension(unsigned int type, size_t len)
{
	put_number(type, 2);
	put_number(len, 2);
	while (len--)
		put("\x55", 1);
}

/* Names of these types, each with its length. */
static void put_names(unsigned int n, const uint8_t *types, const char *const *names,
		      const size_t *lens)
{
	size_t ext, list;

	put_number(TLS_EXT_SERVER_NAME, 2);
	ext = open_vector(2);
	list = open_vector(2);
	for (unsigned int i = 0; i < n; i++) {
		put_number(types[i], 1);
		put_number(lens[i], 2);
		put(names[i], lens[i]);
	}
	close_vector(list, 2);
	close_vector(ext, 2);
}

static void put_name(const char *name, size_t len)
{
	put_names(1, (const uint8_t[]){ 0 }, &name, &len);
}

/* Any piece from the start is one, never an answer. */
static void assert_pieces(const void *data, size_t len)
{
	struct eg_hello h;

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(tls(data, cut, &h), HELLO_MORE);
}

static void assert_named(const void *data, size_t len, const char *name, size_t name_len)
{
	struct eg_hello h;

	assert_int_equal(tls(data, len, &h), HELLO_OK);
	assert_int_equal(h.kind, HELLO_TLS);
	assert_int_equal(h.name_len, name_len);
	assert_memory_equal(h.name, name, name_len);
	assert_pieces(data, len);
}

static void assert_made(enum hello_result expected)
{
	struct eg_hello h;

	assert_int_equal(tls(m.p, m.len, &h), expected);
	assert_pieces(m.p, m.len);
}

static void test_recorded(void **state)
{
	struct eg_hello h;

	(void)state;
	assert_named(bytes_openssl, sizeof(bytes_openssl), NAME, strlen(NAME));
	assert_named(bytes_openssl12, sizeof(bytes_openssl12), NAME, strlen(NAME));
	assert_named(bytes_curl, sizeof(bytes_curl), NAME, strlen(NAME));
	assert_named(bytes_node, sizeof(bytes_node), NAME, strlen(NAME));
	assert_named(bytes_gnutls, sizeof(bytes_gnutls), NAME, strlen(NAME));
	assert_named(bytes_java, sizeof(bytes_java), NAME, strlen(NAME));
	assert_int_equal(tls(bytes_noname, sizeof(bytes_noname), &h), HELLO_NO_NAME);
	assert_pieces(bytes_noname, sizeof(bytes_noname));
}

/* X25519MLKEM768 and x25519 shares, and the name behind them. */
static void test_post_quantum(void **state)
{
	(void)state;
	begin_extensions();
	put_extension(0x0a0a, 0);
	put_extension(51, 2 + 4 + 1216 + 4 + 32);
	put_extension(13, 20);
	put_extension(0x44cd, 5);
	put_extension(21, 380);
	put_name(NAME, strlen(NAME));
	end_extensions();
	assert_in_range(m.len, 1750, 1900);
	assert_named(m.p, m.len, NAME, strlen(NAME));
}

static void test_largest(void **state)
{
	(void)state;
	begin_extensions();
	put_name(NAME, strlen(NAME));
	put_extension(21, 65535 - 4 - (m.len + 4 - 9));
	end_extensions();
	assert_int_equal(m.len, 5 + 65535);
	assert_int_equal(m.p[3] << 8 | m.p[4], 65535);
	assert_int_equal(tls(m.p, m.len, &(struct eg_hello){ 0 }), HELLO_OK);
	assert_int_equal(tls(m.p, m.len - 1, &(struct eg_hello){ 0 }), HELLO_MORE);
}

/* The bytes are those of the packet; whether they are a name is the automaton's to say. */
static void test_names(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} rows[] = {
		{ "a", 1 }, { "WWW.Example.COM", 15 }, { NAME ".", 16 }, { ".", 1 }, { "..", 2 },
		{ "allowed.test\0.evil.test", 23 }, { "\0", 1 }, { "192.0.2.1", 9 },
		{ "a b", 3 }, { "*.test", 6 }, { "\xff\xfe", 2 }, { "evil.test:443", 13 },
	};
	char longest[254];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin_extensions();
		put_name(rows[i].name, rows[i].len);
		end_extensions();
		assert_named(m.p, m.len, rows[i].name, rows[i].len);
	}
	memset(longest, 'a', sizeof(longest));
	begin_extensions();
	put_name(longest, 253);
	end_extensions();
	assert_named(m.p, m.len, longest, 253);
	begin_extensions();
	put_name(longest, 254);
	end_extensions();
	assert_made(HELLO_BAD);
}

static void test_names_refused(void **state)
{
	static const char *const two[] = { NAME, "evil.test" };
	static const size_t lens[] = { 15, 9 };

	(void)state;
	begin_extensions(); /* empty */
	put_name("", 0);
	end_extensions();
	assert_made(HELLO_BAD);
	begin_extensions(); /* no name at all, as in a server's answer */
	put_extension(TLS_EXT_SERVER_NAME, 0);
	end_extensions();
	assert_made(HELLO_BAD);
	begin_extensions(); /* an empty list */
	put_names(0, NULL, NULL, NULL);
	end_extensions();
	assert_made(HELLO_BAD);
	for (unsigned int types = 0; types < 4; types++) { /* two in a list */
		begin_extensions();
		put_names(2, (const uint8_t[]){ types & 1, types >> 1 }, two, lens);
		end_extensions();
		assert_made(HELLO_BAD);
	}
	begin_extensions(); /* of another type */
	put_names(1, (const uint8_t[]){ 1 }, two, lens);
	end_extensions();
	assert_made(HELLO_BAD);
	begin_extensions(); /* twice, even the same */
	put_name(NAME, 15);
	put_extension(10, 4);
	put_name(NAME, 15);
	end_extensions();
	assert_made(HELLO_BAD);
}

/* Whatever hides the name, or lets another one follow unseen. */
static void test_hidden(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) {
		begin_extensions();
		if (!first)
			put_name(NAME, 15);
		put_extension(TLS_EXT_ECH, 120);
		if (first)
			put_name(NAME, 15);
		end_extensions();
		assert_made(HELLO_NO_NAME);
		begin_extensions();
		if (!first)
			put_name(NAME, 15);
		put_extension(TLS_EXT_EARLY_DATA, 0);
		if (first)
			put_name(NAME, 15);
		end_extensions();
		assert_made(HELLO_BAD);
	}
}

static void test_extensions(void **state)
{
	struct eg_hello h;

	(void)state;
	begin_hello(); /* none, without their length and with it */
	end_hello();
	assert_made(HELLO_NO_NAME);
	begin_extensions();
	end_extensions();
	assert_made(HELLO_NO_NAME);
	for (unsigned int n = HELLO_EXTENSIONS; n <= HELLO_EXTENSIONS + 2; n++) {
		begin_extensions();
		put_name(NAME, 15);
		for (unsigned int i = 1; i < n; i++)
			put_extension(0x1a1a, i & 3);
		end_extensions();
		assert_made(n <= HELLO_EXTENSIONS + 1 ? HELLO_OK : HELLO_BAD);
	}
	begin_extensions(); /* the name behind too many */
	for (unsigned int i = 0; i < HELLO_EXTENSIONS + 1; i++)
		put_extension(0x1a1a, 0);
	put_name(NAME, 15);
	end_extensions();
	assert_int_not_equal(tls(m.p, m.len, &h), HELLO_OK);
}

/*
 * Every byte of the head and of the server name's lengths with every other value: a
 * length that lies is bad, or there is not all of it; it never gives another name.
 */
static void test_lies(void **state)
{
	size_t name, end;

	(void)state;
	begin_extensions();
	put_extension(10, 4);
	name = m.len;
	put_name(NAME, 15);
	end = m.len - 15;
	put_extension(11, 2);
	end_extensions();
	for (size_t at = 0; at < end; at++) {
		uint8_t was = m.p[at];

		/* a random, a session, a cipher, an unknown extension say nothing */
		if ((at >= 11 && at < 43) || (at >= 44 && at < 76) || (at >= 78 && at < 82) ||
		    at == 83 || (at >= 86 && at < name))
			continue;
		for (unsigned int v = 0; v < 256; v++) {
			struct eg_hello h;
			enum hello_result r;

			if (v == was)
				continue;
			m.p[at] = (uint8_t)v;
			r = tls(m.p, m.len, &h);
			if (r == HELLO_OK) {
				/* versions; ciphers that take the compressions' place */
				assert_true(at == 2 || at == 9 || at == 10 || at == 77);
				assert_memory_equal(h.name, NAME, 15);
			} else if (r == HELLO_NO_NAME) {
				/* no server name any more, but another extension */
				assert_true(at == name || at == name + 1);
			}
		}
		m.p[at] = was;
	}
}

static void test_records(void **state)
{
	uint8_t two[600];
	size_t len = sizeof(bytes_openssl), body = len - 5;
	struct eg_hello h;

	(void)state;
	/* one hello in two records, cut anywhere */
	for (size_t cut = 1; cut < body; cut++) {
		memcpy(two, bytes_openssl, 5 + cut);
		two[3] = (uint8_t)(cut >> 8);
		two[4] = (uint8_t)cut;
		memcpy(two + 5 + cut, "\x16\x03\x01", 3);
		two[5 + cut + 3] = (uint8_t)((body - cut) >> 8);
		two[5 + cut + 4] = (uint8_t)(body - cut);
		memcpy(two + 10 + cut, bytes_openssl + 5 + cut, body - cut);
		assert_int_equal(tls(two, len + 5, &h), HELLO_BAD);
	}
	/* what follows in the packet, and in the record */
	memcpy(two, bytes_openssl, len);
	memcpy(two + len, "\x14\x03\x03\x00\x01\x01", 6);
	for (size_t more = 1; more <= 6; more++)
		assert_int_equal(tls(two, len + more, &h), HELLO_BAD);
	two[4] += 6;
	assert_int_equal(tls(two, len + 6, &h), HELLO_BAD);
	/* a hello of SSL 2 that says so, and one that follows an empty record */
	assert_int_equal(tls("\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10\0\0\x13", 14, &h), HELLO_BAD);
	memcpy(two, "\x16\x03\x01\x00\x00", 5);
	memcpy(two + 5, bytes_openssl, len);
	assert_int_equal(tls(two, len + 5, &h), HELLO_BAD);
}

/* ---- what follows a ClientHello -------------------------------------------------------- */

static enum hello_result next(const void *data, size_t len, size_t *at)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct packet p = { copy, (__u32)len };
	struct eg_hello h;
	enum hello_result r;

	assert_non_null(copy);
	if (len)
		memcpy(copy, data, len);
	r = run_next(&h, &p);
	assert_int_equal(r, slow_tls_next(copy, len, at));
	if (r == HELLO_AGAIN)
		assert_int_equal(h.at, HELLO_HEADERS + *at);
	free(copy);
	return r;
}

#define CCS "\x14\x03\x03\x00\x01\x01"
#define WARNING "\x15\x03\x03\x00\x02\x01\x5a"

static void test_next(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		enum hello_result r;
		size_t at;
	} rows[] = {
		/* an encrypted record; TLS 1.2: a key exchange, an empty certificate */
		{ "\x17\x03\x03\x00\x35\x01\x02", 7, HELLO_OK, 0 },
		{ CCS "\x17\x03\x03\x00\x35\x01\x02", 13, HELLO_OK, 0 },
		{ "\x16\x03\x03\x00\x25\x10\x00\x00\x21", 9, HELLO_OK, 0 },
		{ "\x16\x03\x03\x00\x07\x0b\x00\x00\x03\x00\x00\x00", 12, HELLO_OK, 0 },
		/* TLS 1.2 resumed: change_cipher_spec, an encrypted Finished */
		{ CCS "\x16\x03\x03\x00\x28\x00\x00\x00\x00", 15, HELLO_OK, 0 },
		{ CCS "\x16\x03\x03\x00\x28\x01\x02\x00\x00", 15, HELLO_OK, 0 },
		/* a ClientHello; one of 64 KiB and more; a piece of one */
		{ "\x16\x03\x03\x02\x00\x01\x00\x01\xfc", 9, HELLO_AGAIN, 0 },
		{ "\x16\x03\x03\x40\x00\x01\x01\x01\xfc", 9, HELLO_AGAIN, 0 },
		{ "\x16\x03\x03\x00\x04\x01\x00\x01\xfc", 9, HELLO_AGAIN, 0 },
		{ CCS "\x16\x03\x03\x02\x00\x01\x00\x01\xfc", 15, HELLO_AGAIN, 6 },
		{ WARNING CCS "\x16\x03\x03\x02\x00\x01\x00\x01\xfc", 22, HELLO_AGAIN, 13 },
		/* nothing yet */
		{ "", 0, HELLO_AGAIN, 0 }, { CCS, 6, HELLO_AGAIN, 6 },
		{ WARNING, 7, HELLO_AGAIN, 7 }, { CCS CCS CCS, 18, HELLO_AGAIN, 18 },
		{ WARNING, 6, HELLO_MORE, 0 }, { CCS "\x16\x03\x03\x02", 10, HELLO_MORE, 0 },
		{ "\x16\x03\x03\x02\x00\x01", 6, HELLO_MORE, 0 },
		/* records that hide what they are; too many that say nothing; others */
		{ "\x16\x03\x03\x00\x00\x16\x03\x03", 8, HELLO_BAD, 0 },
		{ "\x16\x03\x03\x00\x01\x01\x16\x03", 8, HELLO_BAD, 0 },
		{ "\x14\x03\x03\x00\x00\x16\x03\x03", 8, HELLO_BAD, 0 },
		{ "\x15\x03\x03\x00\x03\x01\x01\x01", 8, HELLO_BAD, 0 },
		{ CCS CCS CCS CCS, 24, HELLO_BAD, 0 },
		{ "\x18\x03\x03\x00\x03\x01\x00\x00", 8, HELLO_BAD, 0 },
		{ "\x16\x02\x03\x00\x25\x10\x00\x00", 8, HELLO_BAD, 0 },
		{ "GET / HTTP/1.1", 14, HELLO_BAD, 0 },
	};
	size_t at;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(next(rows[i].data, rows[i].len, &at), rows[i].r);
		if (rows[i].r == HELLO_AGAIN)
			assert_int_equal(at, rows[i].at);
	}
}

/* ---- HTTP ------------------------------------------------------------------------------ */

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
		{ "GET /\xc3\xa9 HTTP/1.1\r\nX: \xff\t\x01\r\nHost: a\r\nHosts: b\r\nHos: c\r\n\r\n",
		  "", HELLO_HTTP, "", 0, "a", 0 },
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
		{ "TRANSFER-encoding:", HELLO_F_ENCODING }, { "Upgrade: websocket", HELLO_F_UPGRADE },
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

static void test_requests_refused(void **state)
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
		"Host\t: a.test", " Host: a.test", "Host a.test", "Host", ": a.test", ":host: a.test",
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
		cmocka_unit_test(test_recorded),	 cmocka_unit_test(test_post_quantum),
		cmocka_unit_test(test_largest),		 cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_refused),	 cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_extensions),	 cmocka_unit_test(test_lies),
		cmocka_unit_test(test_records),		 cmocka_unit_test(test_next),
		cmocka_unit_test(test_requests),	 cmocka_unit_test(test_seen),
		cmocka_unit_test(test_requests_refused), cmocka_unit_test(test_fields_refused),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
