// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include "../bpf/egressctl.h"
#include "compile.h"
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

/*
 * The character at p: its length in bytes (1 to 4) and code point, or 0 when the
 * bytes are not UTF-8 (RFC 3629: no overlong forms, surrogates, or over 10FFFF).
 */
static size_t utf8_at(const char *s, size_t len, uint32_t *code)
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

/*
 * Characters that move the cursor, reorder what is beside them or cannot be
 * seen: a file name must not be able to make a line read as something else.
 */
static bool unsafe(uint32_t code)
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
	} else if (!unsafe(code)) {
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
		n = utf8_at(p + i, len - i, &code);
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
		n = utf8_at(p + i, len - i, &code);
		if (n && (code == '"' || code == '\\'))
			text_add_bytes(t, "\\", 1);
		if (n && !unsafe(code)) {
			text_add_bytes(t, p + i, n);
			i += n;
			continue;
		}
		for (size_t end = i + (n ? n : 1); i < end; i++)
			text_addf(t, "\\x%02x", (uint8_t)p[i]);
	}
	text_add_bytes(t, "\"", 1);
}

/* ---- objects ----------------------------------------------------------------------- */

bool event_addr_v4(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

const char *event_addr_text(const uint8_t addr[16], char buf[INET6_ADDRSTRLEN])
{
	bool v4 = event_addr_v4(addr);

	return inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, buf, INET6_ADDRSTRLEN);
}

/* "203.0.113.9:443/tcp", "[2001:db8::1]:53/udp"; protocols without ports: ":*" */
static void add_destination(struct text *t, const struct event *ev)
{
	char addr[INET6_ADDRSTRLEN], proto[EVENT_NAME_MAX];
	bool v4 = event_addr_v4(ev->addr);

	text_addf(t, v4 ? "%s" : "[%s]", event_addr_text(ev->addr, addr));
	if (ev->proto == IPPROTO_ICMP || ev->proto == IPPROTO_ICMPV6)
		text_add(t, ":*/icmp"); /* a policy has one word for both */
	else if (ev->port)
		text_addf(t, ":%u/%s", ev->port, event_name(EVENT_NAMES_PROTO, ev->proto, proto));
	else
		text_addf(t, ":*/%s", event_name(EVENT_NAMES_PROTO, ev->proto, proto));
}

static void add_socket(struct text *t, const struct event *ev)
{
	char family[EVENT_NAME_MAX], type[EVENT_NAME_MAX], proto[EVENT_NAME_MAX];

	text_addf(t, "%s %s %s", event_name(EVENT_NAMES_FAMILY, (uint32_t)(ev->aux >> 32), family),
		  event_name(EVENT_NAMES_TYPE, (ev->aux >> 16) & 0xffff, type),
		  event_name(EVENT_NAMES_PROTO, ev->aux & 0xffff, proto));
}

static void add_aux(struct text *t, const struct event *ev)
{
	char name[EVENT_NAME_MAX];

	switch (ev->op) {
	case EG_OP_CAPABLE:
		text_addf(t, " %s", event_name(EVENT_NAMES_CAP, (uint32_t)ev->aux, name));
		break;
	case EG_OP_PTRACE:
		text_addf(t, " of process %u", (uint32_t)ev->aux);
		break;
	case EG_OP_SIGNAL:
		text_addf(t, " %s to process %" PRIu64,
			  event_name(EVENT_NAMES_SIGNAL, (uint32_t)ev->aux, name), ev->aux >> 32);
		break;
	default:
		if (ev->aux)
			text_addf(t, " %" PRIu64, ev->aux);
	}
}

static void add_object(struct text *t, const struct event *ev)
{
	switch (event_object(ev)) {
	case EVENT_OBJECT_ADDRESS:
		text_add(t, " ");
		add_destination(t, ev);
		break;
	case EVENT_OBJECT_SOCKET:
		text_add(t, " ");
		add_socket(t, ev);
		break;
	case EVENT_OBJECT_PATH:
	case EVENT_OBJECT_UNIX:
		text_add(t, " ");
		text_add_escaped(t, ev->path.p, ev->path.len);
		if (ev->path2.len) {
			text_add(t, " -> ");
			text_add_escaped(t, ev->path2.p, ev->path2.len);
		}
		break;
	case EVENT_OBJECT_NONE:
		add_aux(t, ev);
		break;
	}
}

const char *event_want_text(uint8_t want, char buf[5])
{
	static const struct {
		uint8_t bit;
		char letter;
	} letters[] = { { EG_R, 'r' }, { EG_W, 'w' }, { EG_X, 'x' }, { EG_C, 'c' } };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (want & letters[i].bit)
			buf[n++] = letters[i].letter;
	buf[n] = '\0';
	return buf;
}

void event_add_rule_name(struct text *t, const struct rule_ref *by)
{
	const char *slash = strrchr(by->file, '/');

	text_add(t, slash ? slash + 1 : by->file);
	if (by->line)
		text_addf(t, ":%u", by->line);
}

/* ---- one line -------------------------------------------------------------------------- */

static void add_cause(struct text *t, const struct event *ev)
{
	struct text rule = { 0 };

	if (!ev->by || ev->reason != EG_WHY_RULE)
		text_add(t, event_reason_words(ev->reason));
	if (!ev->by)
		return;
	if (ev->reason != EG_WHY_RULE)
		text_add(t, ", ");
	event_add_rule_name(&rule, ev->by);
	if (rule.failed)
		t->failed = true;
	else
		text_add_escaped(t, rule.p, rule.len);
	text_free(&rule);
	text_add(t, " ");
	text_add_escaped(t, ev->by->text, strlen(ev->by->text));
}

static void add_losses(struct text *t, const struct event *ev)
{
	if (ev->suppressed_new)
		text_addf(t, " (%" PRIu64 " more not shown: too many)", ev->suppressed_new);
	if (ev->gap)
		text_addf(t, " (%" PRIu64 " lost before it)", ev->gap);
}

int event_to_line(const struct event *ev, struct text *t)
{
	char want[5];

	text_reset(t);
	if (ev->end) {
		text_addf(t, "end of sandbox %" PRIu64 ": %" PRIu64 " denied, %" PRIu64
			  " not shown, %" PRIu64 " lost, %" PRIu64 " internal failures",
			  ev->sandbox, ev->denied, ev->suppressed, ev->lost, ev->failed);
		return t->failed ? -ENOMEM : 0;
	}
	text_add(t, ev->verdict == EG_VERDICT_AUDIT ? "would deny " : "denied ");
	text_add(t, event_op_name(ev->op));
	add_object(t, ev);
	if (ev->want)
		text_addf(t, " %s", event_want_text(ev->want, want));
	if (ev->pid) {
		text_add(t, ", by ");
		text_add_escaped(t, ev->comm.p, ev->comm.len);
		text_addf(t, "[%u]", ev->pid);
	}
	text_add(t, ": ");
	add_cause(t, ev);
	add_losses(t, ev);
	return t->failed ? -ENOMEM : 0;
}

/* ---- what would allow it ------------------------------------------------------------------ */

/*
 * A name as a pattern that matches it: pattern characters are escaped, and a
 * byte that a policy or a terminal cannot carry becomes '?', any one byte.
 */
static void add_pattern(struct text *t, struct event_bytes name)
{
	for (size_t i = 0; i < name.len;) {
		uint32_t code = 0;
		size_t n = utf8_at(name.p + i, name.len - i, &code);

		if (!n || unsafe(code)) {
			text_add_bytes(t, "????", n ? n : 1);
			i += n ? n : 1;
			continue;
		}
		if (code < 0x7f && strchr("*?[]\\${}", (int)code))
			text_add_bytes(t, "\\", 1);
		text_add_bytes(t, name.p + i, n);
		i += n;
	}
}

typedef void (*quote_fn)(struct text *t, const char *p, size_t len);

static void add_quoted(struct text *t, struct event_bytes name, quote_fn quote)
{
	struct text pattern = { 0 };

	add_pattern(&pattern, name);
	if (pattern.failed)
		t->failed = true;
	else
		quote(t, pattern.p ? pattern.p : "", pattern.len);
	text_free(&pattern);
}

static void quote_yaml(struct text *t, const char *p, size_t len)
{
	(void)text_add_json(t, p, len); /* a JSON string is a YAML one; nothing is invalid here */
}

/* inside single quotes */
static void quote_shell(struct text *t, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text_add_bytes(t, p[i] == '\'' ? "'\\''" : p + i, p[i] == '\'' ? 4 : 1);
}

/* The path of a rule to add; one that names it already is replaced by its own spelling. */
static void add_path(struct text *t, const struct event *ev, quote_fn quote)
{
	const char *end = ev->remedy_same ? strrchr(ev->by->text, ':') : NULL;

	if (end)
		quote(t, ev->by->text, (size_t)(end - ev->by->text));
	else
		add_quoted(t, ev->path, quote);
}

int event_allow_rule(const struct event *ev, struct text *t)
{
	char perm[5], perm2[5];

	text_reset(t);
	switch (ev->remedy) {
	case EVENT_REMEDY_OPEN:
		text_add(t, "files: {");
		if (ev->remedy_perm) {
			add_path(t, ev, quote_yaml);
			text_addf(t, ": %s", event_want_text(ev->remedy_perm, perm));
		}
		if (ev->remedy_perm2) {
			text_add(t, ev->remedy_perm ? ", " : "");
			add_quoted(t, ev->path2, quote_yaml);
			text_addf(t, ": %s", event_want_text(ev->remedy_perm2, perm2));
		}
		text_add(t, "}");
		break;
	case EVENT_REMEDY_CONNECT:
		text_add(t, "egress: {allow: [\"");
		add_destination(t, ev);
		text_add(t, "\"]}");
		break;
	case EVENT_REMEDY_UNIX:
		text_add(t, "egress: {unix: [");
		add_quoted(t, ev->path, quote_yaml);
		text_add(t, "]}");
		break;
	case EVENT_REMEDY_SOCKET:
		text_addf(t, "egress: {sockets: [%s]}", ev->remedy_name);
		break;
	case EVENT_REMEDY_LISTEN:
		text_addf(t, "egress: {listen: {%u: host}}", ev->port);
		break;
	case EVENT_REMEDY_PRIVILEGE:
		text_addf(t, "privileges: [%s]", ev->remedy_name);
		break;
	}
	return t->failed ? -ENOMEM : 0;
}

static void add_allow_open(struct text *t, const struct event *ev)
{
	char letters[5];

	if (ev->remedy_perm) {
		text_add(t, " --allow 'open ");
		add_path(t, ev, quote_shell);
		text_addf(t, " %s'", event_want_text(ev->remedy_perm, letters));
	}
	if (ev->remedy_perm2) {
		text_add(t, " --allow 'open ");
		add_quoted(t, ev->path2, quote_shell);
		text_addf(t, " %s'", event_want_text(ev->remedy_perm2, letters));
	}
}

int event_allow_command(const struct event *ev, struct text *t)
{
	text_reset(t);
	if (ev->remedy == EVENT_REMEDY_NONE || ev->remedy == EVENT_REMEDY_LISTEN)
		return 0;
	text_add(t, "egressctl run");
	switch (ev->remedy) {
	case EVENT_REMEDY_OPEN:
		add_allow_open(t, ev);
		break;
	case EVENT_REMEDY_CONNECT:
		text_add(t, " --allow 'connect ");
		add_destination(t, ev);
		text_add(t, "'");
		break;
	case EVENT_REMEDY_UNIX:
		text_add(t, " --allow 'unix ");
		add_quoted(t, ev->path, quote_shell);
		text_add(t, "'");
		break;
	case EVENT_REMEDY_SOCKET:
		text_addf(t, " --allow 'socket %s'", ev->remedy_name);
		break;
	case EVENT_REMEDY_PRIVILEGE:
		text_addf(t, " --allow 'privilege %s'", ev->remedy_name);
		break;
	}
	text_add(t, " ...");
	return t->failed ? -ENOMEM : 0;
}
