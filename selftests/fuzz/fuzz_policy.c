// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The policy parser and compiler on any bytes. Input is one policy, or several
 * that extend each other, separated by lines "%%% NAME": the first is the one
 * loaded. No file is touched: texts come from memory, links from a table.
 *
 * What must hold for whatever is accepted: it compiles or is refused with a
 * message, every message is one line and names a place or a limit, and the
 * tables answer without reading out of their bounds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "policy_int.h"
#include "verdict.h"

#define MAX_TEXTS 16
#define MARK "%%% "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "fuzz_policy: %s\n", what);
	abort();
}

/* Links that policies can run into: relative, absolute, and round and round. */
static int fake_readlink(void *ctx, const char *path, char *buf, size_t len)
{
	static const struct {
		const char *path, *target;
	} links[] = {
		{ "/bin", "usr/bin" }, { "/a", "/b/../c" }, { "/loop", "/loop" },
		{ "/home/u", "/data/u" }, { "/w/link", "../../../.." },
	};

	(void)ctx;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (str_eq(path, links[i].path))
			return snprintf(buf, len, "%s", links[i].target);
	return -EINVAL;
}

/* Cut the input at its marks, in place; names and texts point into `buf`. */
static size_t cut(char *buf, size_t size, struct policy_source *src)
{
	char *at = buf, *end = buf + size, *mark, *nl;
	size_t n = 0;

	src[n] = (struct policy_source){ (char *)"p", (char *)"p.yaml", at, size };
	for (n = 1; n < MAX_TEXTS; n++) {
		mark = memmem(at, (size_t)(end - at), "\n" MARK, strlen("\n" MARK));
		nl = mark ? memchr(mark + 1, '\n', (size_t)(end - mark - 1)) : NULL;
		if (!nl)
			break;
		src[n - 1].len = (size_t)(mark + 1 - src[n - 1].text);
		*nl = '\0';
		at = nl + 1;
		src[n] = (struct policy_source){ mark + 1 + strlen(MARK), mark + 1 + strlen(MARK),
						 at,
						 (size_t)(end - at) };
	}
	return n;
}

static void check_message(const struct diag *d)
{
	require(d->err < 0, "failed without a message");
	require(d->msg[0], "an empty message");
	for (const char *s = d->msg; *s; s++)
		require((unsigned char)*s >= 0x20 && *s != 0x7f,
			"a control character in a message");
}

static void ask(const struct compiled *c)
{
	static const char *const paths[] = { "/", "/usr/bin/sh", "/proc/12/mem", "/w/.env",
					     "/data/u/.ssh/id", "/a/b/c/d/e/f" };
	static const char *const sockets[] = { "@", "@x", "/run/x", "/run/docker.sock" };
	static const char *const names[] = { "example.org", "www.example.org", "a.b.test", "test",
					     "xn--mnchen-3ya.test" };
	uint8_t addr[16] = { [10] = 0xff, [11] = 0xff, [12] = 10 }, out;
	char text[1024];
	uint32_t rule;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		require(!verdict_path(c, paths[i], strlen(paths[i]), &out, &rule), "no answer");
		require(!(out & ~EG_PERM_ALL) && rule <= c->nrules, "a wrong answer");
		(void)verdict_rule_text(c, rule, text, sizeof(text));
	}
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
		(void)verdict_unix(c, sockets[i], strlen(sockets[i]), &out, &rule);
	for (unsigned int i = 0; i < 64; i++) {
		addr[12 + i % 4] = (uint8_t)(i * 37);
		(void)verdict_egress(c, addr, (uint16_t)(i * 1021), i & 1 ? 6 : 17, &out, &rule);
		require(out <= EG_V_ALLOW && rule <= c->nrules, "a wrong verdict");
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		bool open = verdict_class_flags(c, verdict_name_classes(c, names[i]), 443, 6, &out);

		require(!verdict_name(c, names[i], 443, 6, &out, &rule), "no answer about a name");
		require(open == (out == EG_V_ALLOW) && !rule == !out && rule <= c->nrules,
			"names and classes disagree");
	}
	require(c->head.nclasses <= EG_MAX_CLASSES, "too many classes");
	for (uint32_t i = 0; i < c->nprefixes; i++)
		require((uint64_t)c->prefixes[i].first + c->prefixes[i].count <= c->nports,
			"ports out of bounds");
	for (uint32_t i = 0; i < c->nanchors; i++)
		require(c->anchors[i].path[0] == '/' && c->anchors[i].rule, "a bad anchor");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct policy_vars vars = {
		.workdir = (char *)"/w/[x]*", .home = (char *)"/home/u", .tmpdir = (char *)"/tmp",
		.uid = (char *)"1000", .readlink = fake_readlink,
	};
	struct policy_source src[MAX_TEXTS];
	struct policy_texts texts = { src, 0 };
	struct policy_reader rd = policy_reader_texts(&texts);
	struct compiled *c = NULL;
	struct policy *p = NULL;
	struct diag d = {};
	char *buf;

	/* what is large is slow, and found by smaller inputs as well */
	if (size > 65536)
		return 0;
	buf = malloc(size + 1);
	if (!buf)
		return 0;
	memcpy(buf, data, size);
	buf[size] = '\0';
	texts.n = cut(buf, size, src);
	if (policy_load("p", &rd, &p, &d)) {
		check_message(&d);
		require(!p, "a policy beside an error");
	} else if (policy_compile(p, &vars, &c, &d)) {
		check_message(&d);
		require(!c, "tables beside an error");
	} else {
		ask(c);
	}
	compiled_free(c);
	policy_free(p);
	free(buf);
	return 0;
}
