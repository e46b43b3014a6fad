// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ClientHellos as the kernel reads them: recorded, and made by hand. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_post_quantum),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_refused),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
