// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where a file of a project names hosts. The formats (TOML, INI, YAML, Groovy, XML, lists
 * of their own) are not parsed: a URL counts when the word before it is one of the file's
 * keys. That cannot be tricked into more than a question about a host that is in the file,
 * and a file that is broken, or of a version nobody has seen yet, is read all the same.
 */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "init.h"
#include "util.h"

/* What Cargo.lock calls the index, wherever it is fetched from. */
#define CRATES "/rust-lang/crates.io-index"

struct scan {
	const struct init_file *file;
	const char *text;
	size_t len;
	init_url_fn fn;
	void *ctx;
	size_t line, line_at; /* the number of the line at the offset `line_at` */
	const char *key; /* of the last URL that counted, and where it ended */
	size_t key_end;
};

/* ---- one URL -------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint16_t port;
} schemes[] = {
	{ "https", 443 }, { "http", 80 }, { "ssh", 22 }, { "git", 9418 },
};

/* "git+https" and "sparse+https" are https; 0: nothing that goes out. */
static uint16_t scheme_port(const char *s, size_t len)
{
	const char *plus = memrchr(s, '+', len);

	if (plus) {
		len -= (size_t)(plus + 1 - s);
		s = plus + 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strlen(schemes[i].name) == len && !strncasecmp(schemes[i].name, s, len))
			return schemes[i].port;
	return 0;
}

static bool ends_host(char c)
{
	return (unsigned char)c <= ' ' || strchr("/?#\"'<>`\\|,;)", c);
}

/* What is behind the host is a port, or nothing. */
static uint32_t port_of(const char *s, size_t len, uint16_t usual)
{
	uint64_t port;
	char text[8];

	if (!len || (len == 1 && *s == ':'))
		return usual;
	if (*s != ':' || len > sizeof(text))
		return 0;
	(void)snprintf(text, sizeof(text), "%.*s", (int)len - 1, s + 1);
	return parse_u64(text, 1, 65535, &port) ? 0 : (uint32_t)port;
}

/* Host and port of what stands behind "://"; returns how long that is. */
static size_t take_host(const char *s, size_t len, uint16_t usual, struct init_url *u)
{
	const char *at, *end;
	size_t n = 0, all;

	while (n < len && !ends_host(s[n]))
		n++;
	all = n;
	/* a user's name and password, which nobody is to see */
	at = memrchr(s, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	/* of lists and maps around it */
	while (n && (s[n - 1] == '}' || s[n - 1] == ']' || s[n - 1] == '.') &&
	       !(s[n - 1] == '}' && memchr(s, '{', n)) && !(s[n - 1] == ']' && *s == '['))
		n--;
	end = *s == '[' && n ? memchr(s, ']', n) : memchr(s, ':', n);
	u->host = s;
	u->len = !end ? n : (size_t)(end - s) + (*end == ']');
	u->port = port_of(s + u->len, n - u->len, usual);
	return all;
}

static size_t line_of(struct scan *s, size_t at)
{
	for (; s->line_at < at; s->line_at++)
		s->line += s->text[s->line_at] == '\n';
	return s->line;
}

static int found(struct scan *s, size_t at, struct init_url *u)
{
	u->line = line_of(s, at);
	u->proxy = strcasestr(u->key, "proxy") && !str_eq(u->key, "GOPROXY");
	return u->len ? s->fn(s->ctx, u) : 0;
}

/* ---- the word before -------------------------------------------------------------------- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

/* One of `keys`, as it is there: what comes out is no text of the file. */
static const char *key_named(const char *keys, const char *word, size_t len)
{
	static const char *const all[] = {
		"registry", "proxy", "https-proxy", "http-proxy", "disturl", "resolved",
		"resolution", "tarball", "repo", "npmRegistryServer", "httpProxy", "httpsProxy",
		"url", "pushurl", "index-url", "extra-index-url", "find-links", "index", "git",
		"registry-index", "source", "uri", "setUrl", "at", "distributionUrl", "wrapperUrl",
		"GIT_REPOSITORY", "GOPROXY", "GOSUMDB", "PIP_INDEX_URL", "clone", "curl", "wget",
		"dependency_links",
	};
	const char *s, *next;

	for (s = keys; *s; s = next) {
		size_t n = strcspn(s, " ");

		next = s + n + (s[n] == ' ');
		if (n != len || strncasecmp(s, word, n))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			if (!strncasecmp(all[i], s, n) && !all[i][n])
				return all[i];
		return keys;
	}
	return NULL;
}

/* What may stand between a key and its value. */
static bool is_between(char c)
{
	return c && strchr(" \t\r\n\"'=:([{,|?", c);
}

static size_t line_start(const struct scan *s, size_t at)
{
	while (at && s->text[at - 1] != '\n')
		at--;
	return at;
}

static bool in_comment(const struct scan *s, size_t at)
{
	size_t i = line_start(s, at);

	while (i < at && (s->text[i] == ' ' || s->text[i] == '\t'))
		i++;
	return s->text[i] == '#' || s->text[i] == ';' ||
	       (i + 1 < at && s->text[i] == '/' && s->text[i + 1] == '/');
}

/* The key of the URL that begins at `at`; NULL: it is about something else. */
static const char *key_before(struct scan *s, size_t at, const char *keys)
{
	const char *t = s->text, *key;
	size_t end = at, n;

	if (str_eq(keys, "*"))
		return "dependency";
	while (end && is_between(t[end - 1]))
		end--;
	/* the next value of a list */
	if (s->key && end <= s->key_end)
		return s->key;
	/* "name @ https://…", and of yarn "name@https://…" */
	if (end && t[end - 1] == '@' && (end < 2 || t[end - 2] != '\n'))
		return "dependency";
	for (unsigned int options = 0; options < 4; options++) {
		n = end;
		while (n && end - n < 64 && is_word(t[n - 1]))
			n--;
		key = NULL;
		for (size_t from = n; from < end && !key; from++) {
			key = key_named(keys, t + from, end - from);
			if (t[from] != '-')
				break;
		}
		/* an option of curl may stand between it and its URL */
		if (key || n == end || t[n] != '-')
			return key;
		for (end = n; end && (t[end - 1] == ' ' || t[end - 1] == '\t'); end--)
			;
	}
	return NULL;
}

static size_t scheme_start(const char *t, size_t end)
{
	size_t n = end;

	while (n && end - n < 32 && (is_word(t[n - 1]) || t[n - 1] == '+' || t[n - 1] == '.'))
		n--;
	return n;
}

/* ---- kinds of files ------------------------------------------------------------------------ */

/* Each "://" of the text from `at` to `end`; key NULL: the word before says. */
static int scan_urls(struct scan *s, size_t at, size_t end, const char *key)
{
	const char *t = s->text, *p;
	int err = 0;

	while (!err && at < end && (p = memmem(t + at, end - at, "://", 3))) {
		size_t colon = (size_t)(p - t), from, n;
		/* of .properties: https\://… */
		size_t stop = colon && t[colon - 1] == '\\' ? colon - 1 : colon;
		struct init_url u = {};
		uint16_t port;

		at = colon + 3;
		from = scheme_start(t, stop);
		port = scheme_port(t + from, stop - from);
		if (!port || in_comment(s, from))
			continue;
		u.key = key;
		if (!key && memmem(t + from, stop - from, "git+", 4))
			u.key = "git";
		else if (!key)
			u.key = key_before(s, from, s->file->keys);
		if (!u.key)
			continue;
		n = take_host(t + at, end - at, port, &u);
		if (end - at - n >= strlen(CRATES) && !memcmp(t + at + n, CRATES, strlen(CRATES)))
			continue;
		s->key = u.key;
		for (at += n; at < end && (unsigned char)t[at] > ' ' && !strchr("\"'<>,|", t[at]);)
			at++;
		s->key_end = at;
		err = found(s, from, &u);
	}
	return err;
}

/* "name" at `at`, as a whole name of an element. */
static bool names_element(const char *t, size_t at, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len - at > n && !memcmp(t + at, name, n) && !is_word(t[at + n]);
}

static size_t behind(const struct scan *s, size_t at, const char *what)
{
	const char *p = memmem(s->text + at, s->len - at, what, strlen(what));

	return p ? (size_t)(p - s->text) + strlen(what) : s->len;
}

/* A POM has many <url>: of the project, its licences, its people. */
static int scan_xml(struct scan *s)
{
	static const char *const outer[] = { "repository", "pluginRepository", "mirror" };
	const char *inside = NULL;
	size_t at = 0, end;
	int err = 0;

	while (!err && (at = behind(s, at, "<")) < s->len) {
		bool close = s->text[at] == '/';

		if (s->len - at > 3 && !memcmp(s->text + at, "!--", 3)) {
			at = behind(s, at, "-->");
			continue;
		}
		at += close;
		for (size_t i = 0; i < ARRAY_SIZE(outer); i++)
			if (names_element(s->text, at, s->len, outer[i]))
				inside = close ? NULL : outer[i];
		if (close || !inside || !names_element(s->text, at, s->len, "url"))
			continue;
		at = behind(s, at, ">");
		end = at;
		while (end < s->len && s->text[end] != '<')
			end++;
		err = scan_urls(s, at, end, inside);
		at = end;
	}
	return err;
}

/* "git@host:path" behind url =; what is a URL is found as in other files. */
static int scan_scp(struct scan *s, size_t at, size_t end)
{
	const char *t = s->text, *colon, *user;
	struct init_url u = { .key = "url", .port = 22 };
	size_t n;

	while (at < end && isspace((unsigned char)t[at]))
		at++;
	n = end - at > 4 && !memcmp(t + at, "push", 4) ? 4 : 0;
	if (end - at < n + 4 || memcmp(t + at + n, "url", 3))
		return 0;
	for (at += n + 3; at < end && (t[at] == ' ' || t[at] == '\t' || t[at] == '='); at++)
		;
	if (memmem(t + at, end - at, "://", 3))
		return 0;
	colon = memchr(t + at, ':', end - at);
	if (!colon || memchr(t + at, '/', (size_t)(colon - t) - at))
		return 0;
	user = memrchr(t + at, '@', (size_t)(colon - t) - at);
	u.host = user ? user + 1 : t + at;
	u.len = (size_t)(colon - u.host);
	return found(s, at, &u);
}

static int scan_lines(struct scan *s, int (*line)(struct scan *s, size_t at, size_t end))
{
	int err = 0;

	for (size_t at = 0; at < s->len && !err;) {
		const char *nl = memchr(s->text + at, '\n', s->len - at);
		size_t end = nl ? (size_t)(nl - s->text) : s->len;

		err = line(s, at, end);
		at = end + 1;
	}
	return err;
}

/*
 * "require example.com/a/b v1.2.3" and "replace … => example.com/c v1", alone or in a list.
 * What is only required by others says so in a comment, and is left to the proxy.
 */
static int scan_module(struct scan *s, size_t at, size_t end)
{
	const char *t = s->text, *p = memmem(t + at, end - at, "//", 2);
	struct init_url u = { .key = "require", .port = 443 };

	if (p && memmem(p, (size_t)(t + end - p), "indirect", 8))
		return 0;
	end = p ? (size_t)(p - t) : end;
	p = memmem(t + at, end - at, "=>", 2);
	at = p ? (size_t)(p - t) + 2 : at;
	while (at < end && isspace((unsigned char)t[at]))
		at++;
	if (end - at > 8 && !memcmp(t + at, "require ", 8))
		at += 8;
	while (at + u.len < end && (is_word(t[at + u.len]) || t[at + u.len] == '.'))
		u.len++;
	u.host = t + at;
	/* a path with a dot in what is its host, and a version: not "./here", nor "module …" */
	if (at + u.len >= end || t[at + u.len] != '/' || !memchr(u.host, '.', u.len) ||
	    *u.host == '.' || !memmem(u.host, end - at, " v", 2))
		return 0;
	return found(s, at, &u);
}

/* ---- package.json ------------------------------------------------------------------------- */

/* "user/repository", which npm takes from GitHub. */
static bool is_short(const char *value)
{
	const char *slash = strchr(value, '/');

	if (str_starts(value, "github:"))
		return true;
	return slash && slash != value && isalnum((unsigned char)*value) && !strchr(value, ':') &&
	       !strchr(slash + 1, '/');
}

static int scan_value(struct scan *s, const char *value)
{
	struct scan one = *s;
	struct init_url u = { .key = "dependencies", .host = "github.com", .len = 10, .port = 443 };

	if (is_short(value))
		return found(s, 0, &u);
	one.text = value;
	one.len = strlen(value);
	one.line_at = 0;
	return scan_urls(&one, 0, one.len, "dependencies");
}

/* Not JSON: npm would refuse it, too, and it names nothing. */
static int scan_json(struct scan *s)
{
	static const char *const lists[] = {
		"dependencies", "devDependencies", "optionalDependencies", "peerDependencies",
	};
	json_t *j = json_loadb(s->text, s->len, JSON_REJECT_DUPLICATES, NULL), *value;
	const char *name;
	int err = 0;

	s->line = 0;
	for (size_t i = 0; i < ARRAY_SIZE(lists) && !err; i++) {
		json_object_foreach(json_object_get(j, lists[i]), name, value) {
			if (!err && json_is_string(value))
				err = scan_value(s, json_string_value(value));
		}
	}
	json_decref(j);
	return err;
}

int init_scan(const struct init_file *file, const char *text, size_t len, init_url_fn fn,
	      void *ctx)
{
	struct scan s = { .file = file, .text = text, .len = len, .fn = fn, .ctx = ctx,
			  .line = 1 };
	int err;

	switch (file->how) {
	case INIT_SCAN_KEYS:
		return scan_urls(&s, 0, len, NULL);
	case INIT_SCAN_XML:
		return scan_xml(&s);
	case INIT_SCAN_JSON:
		return scan_json(&s);
	case INIT_SCAN_GOMOD:
		return scan_lines(&s, scan_module);
	case INIT_SCAN_GIT:
		err = scan_urls(&s, 0, len, NULL);
		s.line = 1;
		s.line_at = 0;
		return err ? err : scan_lines(&s, scan_scp);
	}
	return -EINVAL;
}
