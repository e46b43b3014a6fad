// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What would allow an access: as lines of a policy, and as a command. */
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <string.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"
#include "util.h"

/*
 * A name as a pattern that matches it: pattern characters are escaped, and a
 * byte that a policy or a terminal cannot carry becomes '?', any one byte.
 */
static void add_pattern(struct text *t, struct event_bytes name)
{
	for (size_t i = 0; i < name.len;) {
		uint32_t code = 0;
		size_t n = text_char_at(name.p + i, name.len - i, &code);

		if (!n || text_char_unsafe(code)) {
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

static void add_ports(struct text *t, const struct event *ev)
{
	text_addf(t, "%u", ev->remedy_lo);
	if (ev->remedy_hi != ev->remedy_lo)
		text_addf(t, "-%u", ev->remedy_hi);
}

/* "example.com:443": what was checked to be a name needs no quoting */
static void add_named(struct text *t, const struct event *ev)
{
	text_add_bytes(t, ev->remedy_host.p, ev->remedy_host.len);
	text_add(t, ":");
	add_ports(t, ev);
}

/* A question about a name has no port; what would be connected to has that of the rule. */
static void add_address(struct text *t, const struct event *ev)
{
	char addr[46];

	if (ev->op != EG_OP_RESOLVE) {
		event_add_destination(t, ev);
		return;
	}
	text_addf(t, event_addr_v4(ev->addr) ? "%s:" : "[%s]:", event_addr_text(ev->addr, addr));
	add_ports(t, ev);
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
		add_address(t, ev);
		text_add(t, "\"]}");
		break;
	case EVENT_REMEDY_NAME:
		text_add(t, "egress: {allow: [\"");
		add_named(t, ev);
		text_add(t, "\"]}");
		break;
	case EVENT_REMEDY_NAME_OPTION:
		text_add(t, "egress: {allow: [{host: ");
		(void)text_add_json(t, ev->remedy_host.p, ev->remedy_host.len);
		text_add(t, ", ports: [");
		add_ports(t, ev);
		text_addf(t, "], %s}]}", ev->remedy_name);
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

static void add_open_word(struct text *t, const struct event *ev, bool second)
{
	char letters[5];

	text_add(t, "open ");
	if (second)
		add_quoted(t, ev->path2, text_add_bytes);
	else
		add_path(t, ev, text_add_bytes);
	text_addf(t, " %s", event_want_text(second ? ev->remedy_perm2 : ev->remedy_perm, letters));
}

size_t event_allow_words(const struct event *ev, struct text words[2])
{
	struct text *t = &words[0];

	text_reset(&words[0]);
	text_reset(&words[1]);
	switch (ev->remedy) {
	case EVENT_REMEDY_OPEN:
		if (ev->remedy_perm)
			add_open_word(t++, ev, false);
		if (ev->remedy_perm2)
			add_open_word(t++, ev, true);
		return (size_t)(t - words);
	case EVENT_REMEDY_CONNECT:
		text_add(t, "connect ");
		add_address(t, ev);
		return 1;
	case EVENT_REMEDY_NAME:
		text_add(t, "connect ");
		add_named(t, ev);
		return 1;
	case EVENT_REMEDY_UNIX:
		text_add(t, "unix ");
		add_quoted(t, ev->path, text_add_bytes);
		return 1;
	case EVENT_REMEDY_SOCKET:
		text_addf(t, "socket %s", ev->remedy_name);
		return 1;
	case EVENT_REMEDY_PRIVILEGE:
		text_addf(t, "privilege %s", ev->remedy_name);
		return 1;
	/*
	 * The words have no options, and the address in the place of the name would open
	 * every site there, to a program that must ask for the name all the same.
	 */
	case EVENT_REMEDY_NAME_OPTION:
	default: /* a listener has no word */
		return 0;
	}
}

int event_allow_command(const struct event *ev, struct text *t)
{
	if (!ev->live || ev->remedy == EVENT_REMEDY_NONE || ev->remedy == EVENT_REMEDY_LISTEN ||
	    ev->remedy == EVENT_REMEDY_NAME_OPTION)
		return event_allow_run(ev, t); /* nothing that a live sandbox can be given */
	text_reset(t);
	text_addf(t, "egressctl allow %" PRIu64 ".%" PRIu64, ev->sandbox, ev->seq);
	return t->failed ? -ENOMEM : 0;
}

int event_allow_run(const struct event *ev, struct text *t)
{
	struct text words[2] = {};
	size_t n = event_allow_words(ev, words);

	text_reset(t);
	if (n)
		text_add(t, "egressctl run");
	for (size_t i = 0; i < n; i++) {
		text_add(t, " --allow '");
		quote_shell(t, words[i].p, words[i].len);
		text_add(t, "'");
		t->failed |= words[i].failed;
	}
	text_add(t, n ? " ..." : "");
	text_free(&words[0]);
	text_free(&words[1]);
	return t->failed ? -ENOMEM : 0;
}

/* quote_shell() backwards: one word in single quotes, and *s behind it. */
static bool unquote_shell(const char **s, struct text *t)
{
	const char *p = *s;
	size_t n;

	if (*p++ != '\'')
		return false;
	for (;; p += 4) {
		n = strcspn(p, "'");
		text_add_bytes(t, p, n);
		p += n;
		if (!str_starts(p, "'\\''"))
			break;
		text_add(t, "'");
	}
	*s = p + 1;
	return *p;
}

size_t event_run_words(const char *run, struct text words[2])
{
	static const char head[] = "egressctl run", option[] = " --allow ";
	size_t n = 0;

	text_reset(&words[0]);
	text_reset(&words[1]);
	if (!run || !str_starts(run, head))
		return 0;
	for (run += strlen(head); n < 2 && str_starts(run, option); n++) {
		run += strlen(option);
		if (!unquote_shell(&run, &words[n]) || words[n].failed || !words[n].len)
			return 0;
	}
	return str_eq(run, " ...") ? n : 0;
}
