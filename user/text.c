// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Text that grows, and bytes that somebody else chose in it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_text.h"

/* ---- the buffer ---------------------------------------------------------------- */

void text_free(struct text *t)
{
	free(t->p);
	*t = (struct text){ 0 };
}

/* Room for n more bytes and a NUL; NULL once an allocation has failed. */
static char *text_room(struct text *t, size_t n)
{
	size_t want = t->len + n + 1;

	if (t->failed)
		return NULL;
	if (want > t->cap) {
		size_t cap = t->cap ? t->cap : 512;
		char *bigger;

		while (cap < want)
			cap *= 2;
		bigger = realloc(t->p, cap);
		if (!bigger) {
			t->failed = true;
			return NULL;
		}
		t->p = bigger;
		t->cap = cap;
	}
	return t->p + t->len;
}

void text_add_bytes(struct text *t, const char *p, size_t len)
{
	char *to = text_room(t, len);

	if (!to)
		return;
	memcpy(to, p, len);
	to[len] = '\0';
	t->len += len;
}

void text_add(struct text *t, const char *s)
{
	text_add_bytes(t, s, strlen(s));
}

void text_addf(struct text *t, const char *fmt, ...)
{
	char *to;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		t->failed = true;
	to = text_room(t, n < 0 ? 0 : (size_t)n);
	if (!to)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(to, (size_t)n + 1, fmt, ap); /* measured above */
	va_end(ap);
	t->len += (size_t)n;
}

void text_add_u64(struct text *t, uint64_t v)
{
	char buf[20];
	size_t at = sizeof(buf);

	do {
		buf[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	text_add_bytes(t, buf + at, sizeof(buf) - at);
}

/* ---- bytes somebody else chose --------------------------------------------------- */

/* RFC 3629: no overlong forms, surrogates, or over 10FFFF. */
size_t text_char_at(const char *s, size_t len, uint32_t *code)
{
	const uint8_t *p = (const uint8_t *)s;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 :
		   p[0] < 0xf5 ? 4 : 0;

	if (!n || n > len)
		return 0;
	*code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (*code < least[n] || (*code >= 0xd800 && *code < 0xe000) || *code > 0x10ffff)
		return 0;
	return n;
}

bool text_char_unsafe(uint32_t code)
{
	static const struct {
		uint32_t lo, hi;
	} ranges[] = {
		{ 0x7f, 0x9f }, /* DEL, C1 controls */
		{ 0xad, 0xad }, /* soft hyphen */
		{ 0x61c, 0x61c }, { 0x180e, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
		{ 0x2060, 0x206f }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb },
		{ 0xe0000, 0xe0fff },
	};

	if (code < 0x7f)
		return code < 0x20;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (code >= ranges[i].lo && code <= ranges[i].hi)
			return true;
	return false;
}

static size_t plain_run(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] >= 0x20 && p[n] < 0x7f && p[n] != '"' && p[n] != '\\')
		n++;
	return n;
}

static void add_json_char(struct text *t, const char *p, size_t n, uint32_t code)
{
	if (code == '"' || code == '\\') {
		text_add_bytes(t, "\\", 1);
		text_add_bytes(t, p, 1);
	} else if (!text_char_unsafe(code)) {
		text_add_bytes(t, p, n);
	} else if (code < 0x10000) {
		text_addf(t, "\\u%04x", code);
	} else {
		text_addf(t, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
			  0xdc00 + ((code - 0x10000) & 0x3ff));
	}
}

bool text_add_json(struct text *t, const char *p, size_t len)
{
	bool whole = true;

	text_add_bytes(t, "\"", 1);
	for (size_t i = 0; i < len;) {
		size_t n = plain_run(p + i, len - i);
		uint32_t code;

		if (n) {
			text_add_bytes(t, p + i, n);
			i += n;
			continue;
		}
		n = text_char_at(p + i, len - i, &code);
		/* NUL is valid UTF-8, but many readers of JSON end or refuse a string there */
		if (!n || !code) {
			text_add(t, "\\ufffd");
			whole = false;
			i++;
			continue;
		}
		add_json_char(t, p + i, n, code);
		i += n;
	}
	text_add_bytes(t, "\"", 1);
	return whole;
}

static bool word_char(char c)
{
	return c > 0x20 && c < 0x7f && !strchr("\"'\\`$&;|<>(){}", c);
}

void text_add_escaped(struct text *t, const char *p, size_t len)
{
	size_t words = 0;

	while (words < len && word_char(p[words]))
		words++;
	if (len && words == len) {
		text_add_bytes(t, p, len);
		return;
	}
	text_add_bytes(t, "\"", 1);
	for (size_t i = 0; i < len;) {
		size_t n = plain_run(p + i, len - i);
		uint32_t code;

		if (n) {
			text_add_bytes(t, p + i, n);
			i += n;
			continue;
		}
		n = text_char_at(p + i, len - i, &code);
		if (n && (code == '"' || code == '\\'))
			text_add_bytes(t, "\\", 1);
		if (n && !text_char_unsafe(code)) {
			text_add_bytes(t, p + i, n);
			i += n;
			continue;
		}
		for (size_t end = i + (n ? n : 1); i < end; i++)
			text_addf(t, "\\x%02x", (uint8_t)p[i]);
	}
	text_add_bytes(t, "\"", 1);
}

void text_add_safe(struct text *t, const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len;) {
		uint32_t code = 0;
		size_t n = text_char_at(s + i, len - i, &code);

		if (n && !text_char_unsafe(code)) {
			text_add_bytes(t, s + i, n);
			i += n;
			continue;
		}
		for (size_t end = i + (n ? n : 1); i < end; i++)
			text_addf(t, "\\x%02x", (uint8_t)s[i]);
	}
}

void text_add_dumped(struct text *t, const char *json, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = 0;
		uint32_t code;

		/* a newline can only be between values: in them it is escaped already */
		while (i + n < len && (json[i + n] == '\n' ||
				       (json[i + n] >= 0x20 && json[i + n] < 0x7f)))
			n++;
		text_add_bytes(t, json + i, n);
		i += n;
		if (i == len)
			break;
		n = text_char_at(json + i, len - i, &code);
		if (n && code)
			add_json_char(t, json + i, n, code);
		else
			text_add(t, "\\ufffd");
		i += n ? n : 1;
	}
}
