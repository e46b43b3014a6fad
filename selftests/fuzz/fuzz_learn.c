// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Learning from any trace. The input is lines of a trace: the first byte says what was
 * done, the rest is the path, the name or the program. Whatever it is, the policy that
 * comes of it is one that the parser takes, and it has exactly the rules that learning
 * says it has: no name in a trace becomes a rule of its own.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "event_text.h"
#include "events.h"
#include "learn.h"
#include "policy.h"
#include "report.h"
#include "selftests/fuzz/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what, const char *text)
{
	if (ok)
		return;
	(void)fprintf(stderr, "fuzz_learn: %s\n%s\n", what, text);
	abort();
}

static const char base_text[] = "version: 1\nfiles:\n  /usr: rx\n  /etc: r\n  \"**/.env\": none\n";
static const char secrets_text[] = "version: 1\nfiles:\n  default: rwxc\n  \"**/.env\": none\n"
				   "  ~/.ssh: none\n";

static struct policy_vars vars = {
	.workdir = (char *)"/home/u/work", .home = (char *)"/home/u", .tmpdir = (char *)"/tmp",
	.uid = (char *)"1000",
};

static struct policy *load(const char *text)
{
	struct policy_source src[] = {
		{ (char *)"p", (char *)"p.yaml", (char *)text, strlen(text) },
		{ (char *)"base", (char *)"base.yaml", (char *)"version: 1\n", 11 },
	};
	struct policy_texts texts = { src, 2 };
	struct policy_reader rd = policy_reader_texts(&texts);
	struct policy *p = NULL;
	struct diag d = {};

	require(!policy_load("p", &rd, &p, &d) || no_memory(), d.msg, text);
	return p;
}

static struct compiled *compile(const char *text)
{
	struct policy *p = load(text);
	struct compiled *c = NULL;

	require(!policy_compile(p, &vars, &c, NULL), "the policies of the test", text);
	policy_free(p);
	return c;
}

/* A path as the kernel tells one: no empty names. */
static size_t make_path(const uint8_t *p, size_t len, char *out)
{
	size_t n = 0;

	out[n++] = '/';
	for (size_t i = 0; i < len && n < 1000; i++)
		if (p[i] && (p[i] != '/' || out[n - 1] != '/'))
			out[n++] = (char)p[i];
	return n > 1 && out[n - 1] == '/' ? n - 1 : n;
}

static void add_line(struct trace *t, const uint8_t *p, size_t len)
{
	static const uint16_t ops[] = {
		EG_OP_OPEN,   EG_OP_CREATE, EG_OP_MKDIR,   EG_OP_EXEC,
		EG_OP_RENAME, EG_OP_UNIX,   EG_OP_CONNECT, EG_OP_SERVER_NAME,
	};
	struct event ev = { .op = ops[p[0] % 8], .want = p[0] >> 3 & EG_PERM_ALL,
			    .verdict = EG_VERDICT_AUDIT, .port = 443, .proto = IPPROTO_TCP };
	char path[1024], name[256];
	size_t half = len / 2, n = make_path(p + 1, len - 1, path);

	if (p[0] & 0x80) {
		snprintf(name, sizeof(name), "%.*s", (int)(len - 1), (const char *)p + 1);
		trace_add_name(t, name, false, p[0] & 1 ? ev.addr : NULL);
		return;
	}
	ev.want |= !ev.want;
	ev.path = (struct event_bytes){ path, n };
	ev.exe = (struct event_bytes){ (const char *)p + 1, len - 1 };
	if (ev.op == EG_OP_RENAME)
		ev.path2 = (struct event_bytes){ path, MIN(n, half + 1) };
	if (ev.op == EG_OP_CONNECT)
		ev.path.len = 0;
	while (ev.path2.len > 1 && ev.path2.p[ev.path2.len - 1] == '/')
		ev.path2.len--;
	trace_add_event(t, &ev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const extends[] = { "base" };
	static struct compiled *base, *secrets;
	struct text text = { 0 }, report = { 0 };
	struct learn_input in = { .uid = 1000, .vars = &vars };
	struct learned l = { 0 };
	struct policy *p;
	struct trace t;
	size_t at = 0, files = 0, allow = 0;

	if (!base) {
		base = compile(base_text);
		secrets = compile(secrets_text);
	}
	if (trace_init(&t, 1, "n", "p"))
		return 0;
	while (at < size) {
		const uint8_t *nl = memchr(data + at, 0, size - at);
		size_t len = nl ? (size_t)(nl - data) - at : size - at;

		if (len > 1)
			add_line(&t, data + at, len);
		at += len + 1;
	}
	in.trace = &t;
	in.base = base;
	in.secrets = secrets;
	require(!learn_rules(&in, &l) || no_memory(), "learn_rules", "");
	require(!learn_text(&l, extends, 1, "x\ny: z", &text) || no_memory(), "learn_text", "");
	if (no_memory())
		goto end;
	p = load(text.p);
	if (no_memory())
		goto unload;
	for (size_t i = 0; i < l.nrules; i++) {
		files += l.rules[i].kind == LEARN_FILE;
		allow += l.rules[i].kind == LEARN_ALLOW;
	}
	require(p->files.n == files && p->allow.n == allow && !p->privileges,
		"a rule came out of a name", text.p);
unload:
	policy_free(p);
	require((!report_text(&t, &report) && !report_json(&t, &report)) || no_memory(), "report",
		"");
end:
	text_free(&text);
	text_free(&report);
	learned_clear(&l);
	trace_clear(&t);
	return 0;
}
