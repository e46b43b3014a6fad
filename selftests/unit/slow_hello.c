// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <string.h>
#include <strings.h>

#include "slow_hello.h"

struct span {
	const uint8_t *p;
	size_t len;
};

/* ---- TLS: RFC 8446 4.1.2, 5.1; RFC 6066 3 ------------------------------------------- */

static bool take(struct span *s, size_t n, struct span *out)
{
	if (n > s->len)
		return false;
	*out = (struct span){ s->p, n };
	s->p += n;
	s->len -= n;
	return true;
}

static bool take_number(struct span *s, unsigned int bytes, size_t *out)
{
	struct span n;

	if (!take(s, bytes, &n))
		return false;
	*out = 0;
	for (unsigned int i = 0; i < bytes; i++)
		*out = *out * 256 + n.p[i];
	return true;
}

/* opaque x<0..2^(8*bytes)-1> */
static bool take_vector(struct span *s, unsigned int bytes, struct span *out)
{
	size_t n;

	return take_number(s, bytes, &n) && take(s, n, out);
}

/* A ServerNameList of one HostName. */
static bool read_server_name(struct span ext, struct slow_name *name)
{
	struct span list, host;
	size_t type;

	if (!take_vector(&ext, 2, &list) || ext.len)
		return false;
	if (!take_number(&list, 1, &type) || type != 0)
		return false;
	if (!take_vector(&list, 2, &host) || list.len)
		return false;
	if (host.len < 1 || host.len > sizeof(name->byte))
		return false;
	memcpy(name->byte, host.p, host.len);
	name->len = host.len;
	return true;
}

static enum slow_result read_extensions(struct span exts, struct slow_name *name)
{
	unsigned int n = 0;
	struct span body;
	size_t type;

	for (; exts.len; n++) {
		if (n == 65)
			return name->len ? SLOW_BAD : SLOW_NO_NAME;
		if (!take_number(&exts, 2, &type) || !take_vector(&exts, 2, &body))
			return SLOW_BAD;
		if (type == 42) /* early_data */
			return SLOW_BAD;
		if (type == 0xfe0d) /* encrypted_client_hello */
			return SLOW_NO_NAME;
		if (type == 0 && (name->len || !read_server_name(body, name)))
			return SLOW_BAD;
	}
	return name->len ? SLOW_OK : SLOW_NO_NAME;
}

enum slow_result slow_tls(const uint8_t *data, size_t len, struct slow_name *name)
{
	struct span in = { data, len }, record, random, ignored, exts;
	size_t type, major, minor, rest, handshake, size, version;

	name->len = 0;
	if (len < 9)
		return SLOW_MORE;
	take_number(&in, 1, &type);
	take_number(&in, 1, &major);
	take_number(&in, 1, &minor);
	take_number(&in, 2, &rest);
	if (type != 22 || major != 3 || in.p[0] != 1 || in.p[1] != 0)
		return SLOW_BAD;
	if ((size_t)(in.p[2] << 8 | in.p[3]) + 4 != rest)
		return SLOW_BAD;
	if (in.len < rest)
		return SLOW_MORE;
	take(&in, rest, &record);
	if (in.len)
		return SLOW_BAD;
	take_number(&record, 1, &handshake);
	take_number(&record, 3, &size);
	if (!take_number(&record, 2, &version) || !take(&record, 32, &random) ||
	    !take_vector(&record, 1, &ignored) || ignored.len > 32 ||
	    !take_vector(&record, 2, &ignored) || !take_vector(&record, 1, &ignored))
		return SLOW_BAD;
	if (!record.len)
		return SLOW_NO_NAME;
	if (!take_vector(&record, 2, &exts) || record.len)
		return SLOW_BAD;
	return read_extensions(exts, name);
}

enum slow_result slow_tls_next(const uint8_t *data, size_t len, size_t *at)
{
	struct span in = { data, len }, body;
	size_t type, version, size;

	for (int n = 0; n < 4; n++) {
		*at = len - in.len;
		if (!in.len)
			return SLOW_AGAIN;
		if (in.len < 6) /* a header, and a byte of what is in it */
			return SLOW_MORE;
		take_number(&in, 1, &type);
		take_number(&in, 2, &version);
		take_number(&in, 2, &size);
		if (version >> 8 != 3)
			return SLOW_BAD;
		if (type == 23)
			return SLOW_OK;
		if (type == 22) {
			if (size < 4)
				return SLOW_BAD;
			if (in.len < 2)
				return SLOW_MORE;
			/* client_hello, of less than 2^17 bytes */
			return in.p[0] == 1 && in.p[1] < 2 ? SLOW_AGAIN : SLOW_OK;
		}
		if ((type != 20 && type != 21) || size < 1 || size > 2)
			return SLOW_BAD;
		if (!take(&in, size, &body))
			return SLOW_MORE;
	}
	*at = len - in.len;
	return SLOW_BAD;
}

/* ---- HTTP: RFC 9112 2, 3, 5; RFC 9110 5.5, 5.6.2, 7.2, 8.6 ---------------------------- */

static bool is_all(struct span s, const char *chars)
{
	for (size_t i = 0; i < s.len; i++)
		if (!s.p[i] || !strchr(chars, s.p[i]))
			return false;
	return true;
}

#define DIGITS "0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"

/* Up to the separator, which is taken, too. */
static bool split(struct span *s, char c, struct span *before)
{
	const uint8_t *p = s->len ? memchr(s->p, c, s->len) : NULL;
	struct span sep;

	return p && take(s, (size_t)(p - s->p), before) && take(s, 1, &sep);
}

static uint64_t decimal(struct span s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	return n;
}

/* name or name:port; which of both may be missing is the caller's to say. */
static bool read_authority(struct span s, struct slow_name *name, bool *colon, struct span *port)
{
	struct span host = s;

	*colon = split(&s, ':', &host);
	*port = *colon ? s : (struct span){ NULL, 0 };
	if (host.len > sizeof(name->byte) || !is_all(host, UPPER LOWER DIGITS "-._"))
		return false;
	name->len = host.len;
	for (size_t i = 0; i < host.len; i++)
		name->byte[i] = strchr(UPPER, host.p[i]) ? host.p[i] + 32 : host.p[i];
	return port->len <= 5 && is_all(*port, DIGITS);
}

static bool read_target_authority(struct span s, struct slow_request *r, bool *colon)
{
	struct span port;

	if (!read_authority(s, &r->name, colon, &port) || !r->name.len)
		return false;
	r->port = (uint32_t)decimal(port);
	return r->port <= 65535 && (!*colon || r->port);
}

static bool is_path(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool read_target(bool connect, struct span target, struct slow_request *r)
{
	struct span path = target, scheme, host;
	bool colon;

	if (connect) {
		r->target = SLOW_CONNECT;
		return read_target_authority(target, r, &colon) && colon;
	}
	if (target.len && target.p[0] == '/') {
		r->target = SLOW_PATH;
		return is_path(target);
	}
	r->target = SLOW_ABSOLUTE;
	if (!take(&path, 7, &scheme) || strncasecmp((const char *)scheme.p, "http://", 7))
		return false;
	host = path;
	(void)split(&path, '/', &host);
	return read_target_authority(host, r, &colon) && is_path(target);
}

static bool read_request_line(struct span line, struct slow_request *r)
{
	struct span method, target;

	if (!split(&line, ' ', &method) || !split(&line, ' ', &target))
		return false;
	if (!method.len || method.len > 24 || !is_all(method, UPPER "-"))
		return false;
	if (line.len != 8 || (memcmp(line.p, "HTTP/1.0", 8) && memcmp(line.p, "HTTP/1.1", 8)))
		return false;
	return read_target(method.len == 7 && !memcmp(method.p, "CONNECT", 7), target, r);
}

static bool is_named(struct span name, const char *is)
{
	return name.len == strlen(is) && !strncasecmp((const char *)name.p, is, name.len);
}

static bool once(bool *has)
{
	bool before = *has;

	*has = true;
	return !before;
}

static bool read_field(struct span line, struct slow_request *r)
{
	struct span name, port;
	bool colon;

	if (!split(&line, ':', &name) || !name.len)
		return false;
	if (!is_all(name, UPPER LOWER DIGITS "!#$%&'*+-.^_`|~"))
		return false;
	if (line.len && (memchr(line.p, '\r', line.len) || memchr(line.p, '\n', line.len) ||
			 memchr(line.p, 0, line.len)))
		return false;
	while (line.len && (line.p[0] == ' ' || line.p[0] == '\t'))
		take(&line, 1, &port);
	if (is_named(name, "content-length")) {
		/* stricter than the standard: no space behind it */
		if (!once(&r->has_length) || !line.len || line.len > 15 || !is_all(line, DIGITS))
			return false;
		r->length = decimal(line);
		return true;
	}
	while (line.len && (line.p[line.len - 1] == ' ' || line.p[line.len - 1] == '\t'))
		line.len--;
	if (is_named(name, "transfer-encoding"))
		return once(&r->has_encoding);
	if (is_named(name, "upgrade"))
		return once(&r->has_upgrade);
	if (!is_named(name, "host"))
		return true;
	if (!once(&r->has_host) || !read_authority(line, &r->host, &colon, &port))
		return false;
	r->host_port = (uint32_t)decimal(port);
	return true;
}

/* Up to the first line feed; its carriage return must stand before it, and no other. */
static bool take_line(struct span *in, struct span *line, bool *good)
{
	if (!split(in, '\n', line))
		return false;
	*good = line->len && line->p[line->len - 1] == '\r';
	if (*good)
		line->len--;
	if (line->len && memchr(line->p, '\r', line->len))
		*good = false;
	return true;
}

enum slow_result slow_http(const uint8_t *data, size_t len, struct slow_request *r)
{
	struct span in = { data, len < 8192 ? len : 8192 }, line;
	size_t all = in.len;
	bool first = true, good;

	memset(r, 0, sizeof(*r));
	while (take_line(&in, &line, &good)) {
		if (!good)
			return SLOW_BAD;
		if (!first && !line.len) {
			r->head = all - in.len;
			return SLOW_OK;
		}
		if (!(first ? read_request_line(line, r) : read_field(line, r)))
			return SLOW_BAD;
		first = false;
	}
	return all == 8192 ? SLOW_BAD : SLOW_MORE;
}
