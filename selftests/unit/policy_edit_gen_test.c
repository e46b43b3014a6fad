// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A rule into every shipped policy, and into policies laid out at random: it is in
 * the policy that comes out, nothing else is, and the lines are those of before.
 * A failure prints the seed; EGRESSCTL_SEED=N repeats it.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "event_text.h"
#include "gen_rules.h"
#include "policy_edit.h"
#include "policy_same.h"

#define POLICIES "policies"
#define MAX_SHIPPED 64
#define GENERATED 1500

static const char *const rules[] = {
	"open /new/one r", "open ~/new rwxc", "open ${WORKDIR}/new:x rw", "open /usr w",
	"open /d0 wc", "open /a b/# c x", "connect new.example:8443", "connect *.new.example",
	"connect d0.example", "connect [2001:db8:9::]/48:*", "connect 198.51.100.9:53/udp",
	"connect {host: new.example, ports: [8443, \"53/udp\"], tls: off}", "loopback 5432",
	"unix /run/new", "unix @new one", "socket netlink:audit", "socket can", "privilege userns",
};

/* ---- one text -------------------------------------------------------------------------- */

static int load(struct policy_source *src, size_t n, size_t which, struct policy **p)
{
	struct policy_texts texts = { src, n };
	struct policy_reader rd = policy_reader_texts(&texts);
	struct diag d = {};
	char text[2048];
	int err = policy_load(src[which].name, &rd, p, &d);

	if (err)
		print_error("%s\n%s\n", diag_text(&d, text, sizeof(text)), src[which].text);
	return err;
}

/* src[which] with a rule; false, and why, when it is not as it should be. */
static bool edits(struct policy_source *src, size_t n, size_t which, const char *rule,
		  unsigned int *done)
{
	struct policy_source was = src[which];
	struct policy *old = NULL, *new = NULL;
	const char *why = NULL;
	char *out = NULL, text[2048];
	struct diag d = {};
	size_t len;
	int err;

	/* a path of what is extended loses its letters here; policy_save() knows them */
	if (strstr(was.text, "\nextends:") && str_eq(rule, "open /usr w"))
		return true;
	err = policy_edit_add(was.path, was.text, was.len, rule, "why", &out, &len, &d);
	/* one word is no list: that is for a person */
	if (err && str_starts(rule, "loopback ") && strstr(was.text, "loopback: "))
		return true;
	if (err == 1 || (err && strstr(d.msg, "/d0: none\" wins over")))
		return true;
	if (err || load(src, n, which, &old)) {
		print_error("%s: %s\n", rule, diag_text(&d, text, sizeof(text)));
		return false;
	}
	src[which].text = out;
	src[which].len = len;
	if (load(src, n, which, &new))
		why = "not loaded";
	else
		why = policy_same_but(old, new, rule);
	if (!why && policy_lines_lost(was.text, out) > 1)
		why = "lines";
	if (!why && strncmp(rule, "open ", 5) && !policy_bytes_kept(was.text, out))
		why = "bytes";
	if (!why && !strstr(out, "# why") && was.text[0] != '{')
		why = "no comment";
	src[which] = was;
	if (why)
		print_error("%s: %s differs\n%.900s\n---- was\n%.900s\n", rule, why, out, was.text);
	policy_free(old);
	policy_free(new);
	free(out);
	(*done)++;
	return !why;
}

/* ---- what is shipped ---------------------------------------------------------------------- */

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, POLICY_MAX_BYTES);

	assert_non_null(f);
	assert_non_null(text);
	*len = fread(text, 1, POLICY_MAX_BYTES - 1, f);
	fclose(f);
	return text;
}

static size_t shipped_texts(struct policy_source *src)
{
	DIR *dir = opendir(POLICIES);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		char *dot = strstr(e->d_name, ".yaml");

		if (!dot)
			continue;
		assert_true(n < MAX_SHIPPED);
		assert_true(asprintf(&src[n].path, POLICIES "/%s", e->d_name) > 0);
		src[n].name = strndup(e->d_name, (size_t)(dot - e->d_name));
		src[n].text = slurp(src[n].path, &src[n].len);
		n++;
	}
	closedir(dir);
	return n;
}

static void shipped(void **state)
{
	struct policy_source src[MAX_SHIPPED];
	size_t n = shipped_texts(src);
	unsigned int done = 0, wrong = 0;

	(void)state;
	assert_true(n > 10);
	for (size_t i = 0; i < n; i++)
		for (size_t r = 0; r < ARRAY_SIZE(rules); r++)
			wrong += !edits(src, n, i, rules[r], &done);
	for (size_t i = 0; i < n; i++) {
		free(src[i].name);
		free(src[i].path);
		free(src[i].text);
	}
	assert_int_equal(wrong, 0);
	assert_true(done > n * (ARRAY_SIZE(rules) - 3));
}

/* ---- at random ------------------------------------------------------------------------------ */

struct layout {
	struct gen *g;
	struct text t;
	const char *nl;
	unsigned int indent, dash;
	bool quotes;
};

static bool one_in(struct layout *l, uint32_t n)
{
	return !gen_below(l->g, n);
}

static void end_line(struct layout *l)
{
	if (one_in(l, 4))
		text_add(&l->t, "   # \xc3\xa4, it's [a] \"comment\": {b}");
	text_add(&l->t, l->nl);
	if (one_in(l, 12))
		text_addf(&l->t, "%s# - one.of: its own%s", l->nl, l->nl);
}

static void scalar(struct layout *l, const char *s)
{
	bool needs = strchr("*@[$", *s) || strpbrk(s, " ,{");

	if (one_in(l, 6))
		text_addf(&l->t, "'%s'", s);
	else if (needs || l->quotes)
		text_addf(&l->t, "\"%s\"", s);
	else
		text_add(&l->t, s);
}

enum { DESTS, SOCKETS, PATHS };

static void value(struct layout *l, unsigned int kind, unsigned int i)
{
	static const struct {
		const char *before, *after;
	} forms[][3] = {
		{ { "d", ".example" }, { "10.", ".0.0/16:443" }, { "*.d", ".example" } },
		{ { "/run/d", "" }, { "@d ", "" }, { "${HOME}/d", ".sock" } },
		{ { "/d", "" }, { "~/d ", "" }, { "**/d", "/*.x" } },
	};
	char text[64];

	(void)snprintf(text, sizeof(text), "%s%u%s", forms[kind][i % 3].before, i,
		       forms[kind][i % 3].after);
	scalar(l, text);
}

static void entry(struct layout *l, unsigned int kind, unsigned int i)
{
	static const char *const perms[] = { "r", "rx", "xr", "rwxc", "none" };

	if (kind == DESTS && one_in(l, 5)) {
		text_add(&l->t, "{host: ");
		scalar(l, "h.example");
		text_addf(&l->t, ", ports: [%u]}", 1000 + i);
		return;
	}
	value(l, kind, i);
	if (kind != PATHS)
		return;
	text_add(&l->t, ": ");
	scalar(l, perms[gen_below(l->g, ARRAY_SIZE(perms))]);
}

/* A list or the map of paths, n entries, behind its key: in brackets or in lines. */
static void entries(struct layout *l, unsigned int indent, unsigned int kind, unsigned int n)
{
	const char *brackets = kind == PATHS ? "{}" : "[]";
	bool lines = one_in(l, 2), comma = one_in(l, 2);
	unsigned int in = indent + (kind == PATHS ? l->indent : l->dash);

	if (!n || one_in(l, 3)) {
		text_addf(&l->t, " %c", brackets[0]);
		for (unsigned int i = 0; i < n; i++) {
			if (lines) {
				end_line(l);
				text_addf(&l->t, "%*s", (int)in + 2, "");
			}
			entry(l, kind, i);
			text_add(&l->t, i + 1 < n || (comma && lines) ? ", " : "");
		}
		if (lines && n && one_in(l, 2))
			text_addf(&l->t, "%s%*s", l->nl, (int)in + 1, "");
		text_addf(&l->t, "%c", brackets[1]);
		end_line(l);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		end_line(l);
		text_addf(&l->t, "%*s%s", (int)in, "", kind == PATHS ? "" : "- ");
		if (kind == DESTS && one_in(l, 8))
			text_addf(&l->t, "host: h%u.example%s%*sports: [22, 443]", i, l->nl,
				  (int)in + 2, "");
		else
			entry(l, kind, i);
	}
	end_line(l);
}

static void egress(struct layout *l)
{
	static const char *const keys[] = { "allow", "unix" };

	text_add(&l->t, "egress:");
	if (one_in(l, 5)) {
		text_add(&l->t, " {listen: own, allow: [d0.example], }");
		end_line(l);
		return;
	}
	end_line(l);
	text_addf(&l->t, "%*slisten: own", (int)l->indent, "");
	end_line(l);
	for (unsigned int k = 0; k < ARRAY_SIZE(keys); k++) {
		if (one_in(l, 3))
			continue;
		text_addf(&l->t, "%*s%s:", (int)l->indent, "", keys[k]);
		entries(l, l->indent, k == 0 ? DESTS : SOCKETS, gen_below(l->g, 4));
	}
	if (!one_in(l, 3))
		return;
	text_addf(&l->t, "%*sdeny: [192.0.2.0/24]", (int)l->indent, "");
	end_line(l);
}

static void lay_out(struct layout *l)
{
	bool first = one_in(l, 2), both = one_in(l, 3);

	l->nl = one_in(l, 5) ? "\r\n" : "\n";
	l->indent = 1 + gen_below(l->g, 4);
	l->dash = one_in(l, 3) ? 0 : l->indent;
	l->quotes = one_in(l, 4);
	text_reset(&l->t);
	if (one_in(l, 6))
		text_addf(&l->t, "%%YAML 1.2%s---%s", l->nl, l->nl);
	text_addf(&l->t, "# made up%sversion: 1", l->nl);
	end_line(l);
	if (both || first)
		egress(l);
	if (one_in(l, 2))
		text_add(&l->t, l->nl);
	if (both || !first) {
		text_add(&l->t, "files:");
		entries(l, 0, PATHS, gen_below(l->g, 5));
	}
	if (one_in(l, 4))
		text_addf(&l->t, "description: \"a%s  b\"%s", l->nl, l->nl);
	if (one_in(l, 6))
		text_addf(&l->t, "...%s# end%s", l->nl, l->nl);
	else if (one_in(l, 4))
		l->t.len -= strlen(l->nl); /* a last line without an end */
	l->t.p[l->t.len] = '\0';
}

static uint64_t first_seed(void)
{
	const char *s = getenv("EGRESSCTL_SEED");
	uint64_t seed = 1;

	if (s)
		assert_int_equal(parse_u64(s, 0, UINT64_MAX, &seed), 0);
	return seed;
}

static void generated(void **state)
{
	uint64_t seed = first_seed();
	unsigned int done = 0, wrong = 0, n = getenv("EGRESSCTL_SEED") ? 1 : GENERATED;
	struct gen g;
	struct layout l = { .g = &g };

	(void)state;
	for (unsigned int i = 0; i < n && wrong < 3; i++) {
		struct policy_source src = { (char *)"p", (char *)"p.yaml", NULL, 0 };
		unsigned int was = wrong;

		g = (struct gen){ .state = (seed + i) * 0x9e3779b97f4a7c15u };
		lay_out(&l);
		src.text = l.t.p;
		src.len = l.t.len;
		for (unsigned int k = 0; k < 2; k++)
			wrong += !edits(&src, 1, 0, rules[gen_below(&g, ARRAY_SIZE(rules))], &done);
		if (wrong != was)
			print_error("seed %llu\n", (unsigned long long)(seed + i));
	}
	text_free(&l.t);
	assert_int_equal(wrong, 0);
	assert_true(n == 1 || done > n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shipped),
		cmocka_unit_test(generated),
	};

	return cmocka_run_group_tests_name("policy_edit_gen", tests, NULL, NULL);
}
