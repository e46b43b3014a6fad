// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel's parser of what a client says first, against one that is written the
 * obvious way. The first byte says what follows: a ClientHello, the extensions of
 * one (most inputs get further with the lengths before them right), what comes
 * after one, an HTTP request. The second byte says where it is cut once more.
 */
#include <stdlib.h>

#include "hello_help.h"
#include "slow_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void same_name(const __u8 *name, size_t len, const struct slow_name *slow)
{
	must(len == slow->len && !memcmp(name, slow->byte, len));
}

/* ---- TLS ----------------------------------------------------------------------------- */

static enum hello_result both_tls(const uint8_t *data, size_t len)
{
	struct packet p = { data, (__u32)len };
	struct slow_name name;
	struct eg_hello h;
	enum hello_result fast = run_tls(&h, &p);

	must((int)fast == (int)slow_tls(data, len, &name));
	if (fast == HELLO_OK)
		same_name(h.name, h.name_len, &name);
	return fast;
}

static void check_tls(const uint8_t *data, size_t len, size_t cut)
{
	enum hello_result r = both_tls(data, len), part;

	if (cut >= len)
		return;
	part = both_tls(data, cut);
	must(part == HELLO_MORE || (part == HELLO_BAD && r == HELLO_BAD));
}

/* A head with good lengths before the extensions. */
static void check_extensions(const uint8_t *data, size_t len, size_t cut)
{
	static const uint8_t head[] = { 22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3 };
	uint8_t *p;
	size_t body = 2 + 32 + 1 + 4 + 2 + 2 + len, all = 9 + body;

	if (len > 60000)
		return;
	p = calloc(1, all);
	must(p);
	memcpy(p, head, sizeof(head));
	p[3] = (uint8_t)((body + 4) >> 8);
	p[4] = (uint8_t)(body + 4);
	p[7] = (uint8_t)(body >> 8);
	p[8] = (uint8_t)body;
	p[9 + 34 + 2] = 2; /* one cipher, one compression */
	p[9 + 34 + 5] = 1;
	p[9 + 34 + 7] = (uint8_t)(len >> 8);
	p[9 + 34 + 8] = (uint8_t)len;
	memcpy(p + 9 + 34 + 9, data, len);
	check_tls(p, all, cut * all / 256);
	free(p);
}

static void check_next(const uint8_t *data, size_t len)
{
	struct packet p = { data, (__u32)len };
	struct eg_hello h;
	enum hello_result fast = run_next(&h, &p);
	size_t at;

	must((int)fast == (int)slow_tls_next(data, len, &at));
	if (fast == HELLO_AGAIN)
		must(h.at == HELLO_HEADERS + at);
}

/* ---- HTTP ------------------------------------------------------------------------------ */

/* What is bad before it ends does not become good. */
static void check_hopeless(const uint8_t *data, size_t len)
{
	static const char *const ends[] = {
		"\n\r\n", "\r\n", "\r\n\r\n", ":\r\n\r\n", "0\r\n\r\n", " HTTP/1.1\r\n\r\n",
		":80 HTTP/1.1\r\n\r\n", "/ HTTP/1.0\r\n\r\n", ".1\r\n\r\n", "a HTTP/1.1\r\n\r\n",
	};
	struct slow_request r;
	uint8_t *p = malloc(len + 32);

	must(p);
	if (len)
		memcpy(p, data, len);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		memcpy(p + len, ends[i], strlen(ends[i]));
		must(slow_http(p, len + strlen(ends[i]), &r) != SLOW_OK);
	}
	free(p);
}

static enum hello_result both_http(const uint8_t *data, size_t len)
{
	static const enum hello_kind kinds[] = { HELLO_HTTP, HELLO_HTTP_ABSOLUTE,
						 HELLO_HTTP_CONNECT };
	struct packet p = { data, (__u32)len };
	struct slow_request r;
	struct eg_hello h;
	enum hello_result fast = run_http(&h, &p);
	enum slow_result slow = slow_http(data, len, &r);

	if (slow == SLOW_MORE && fast == HELLO_BAD) {
		check_hopeless(data, len);
		return fast;
	}
	must((int)fast == (int)slow);
	if (fast != HELLO_OK)
		return fast;
	must(h.kind == kinds[r.target] && h.at == HELLO_HEADERS + r.head);
	must(h.target_port == r.port && h.host_port == r.host_port && h.length == r.length);
	must(!(h.seen & HELLO_F_HOST) == !r.has_host);
	must(!(h.seen & HELLO_F_LENGTH) == !r.has_length);
	must(!(h.seen & HELLO_F_ENCODING) == !r.has_encoding);
	must(!(h.seen & HELLO_F_UPGRADE) == !r.has_upgrade);
	same_name(h.name, h.name_len, &r.name);
	same_name(h.host, h.host_len, &r.host);
	return fast;
}

static void check_http(const uint8_t *data, size_t len, size_t cut)
{
	enum hello_result r = both_http(data, len), part;
	struct slow_request whole;

	if (cut >= len)
		return;
	part = both_http(data, cut);
	/* a body may follow: only what is cut before the empty line is a part */
	if (r == HELLO_OK && slow_http(data, len, &whole) == SLOW_OK)
		must(part == (cut < whole.head ? HELLO_MORE : HELLO_OK));
	else if (r == HELLO_MORE)
		must(part == HELLO_MORE);
	else
		must(part != HELLO_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len, cut;
	uint8_t *p;

	if (size < 2)
		return 0;
	/* exactly as long as it is: what reads behind it is seen */
	len = size - 2;
	cut = data[1];
	p = malloc(len ? len : 1);
	must(p);
	memcpy(p, data + 2, len);
	switch (data[0] % 4) {
	case 0:
		check_tls(p, len, cut * len / 256);
		break;
	case 1:
		check_extensions(p, len, cut);
		break;
	case 2:
		check_next(p, len);
		break;
	default:
		check_http(p, len, cut * len / 256);
	}
	free(p);
	return 0;
}
