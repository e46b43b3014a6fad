/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "gen_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICK(g, list) (list)[gen_below((g), sizeof(list) / sizeof((list)[0]))]

uint32_t gen_below(struct gen *g, uint32_t n)
{
	g->state = g->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((g->state >> 33) * n >> 31);
}

static const char *const names[] = { "a",      "b",	  "c",	   "ab",   "abc",   "ba",
				     ".env",   ".a",	  "lo",	   "lock", "x.pem", "y.pem",
				     "secret", "secret2", "a.b.c", "pem" };
static const char *const odd[] = { "\xff\xfe", "a\nb", "\x01", "a b", "\xc3\xa4", "\xc3", "-",
				   "a]",       "[a",   "*",    "?",   "\\",	  "a\\b", "!" };
static const char *const globs[] = { "*",     "?",	     "a*",	"*a",	 "*.pem", "*a*",
				     "a*b",   "a?",	     "[ab]",	"[!a]",	 "[!a]*", ".*",
				     "*.*",   "l*c*",	     "[a-c]?*", "*[.]*", "sec*2", "*e*e*",
				     "?*?",   "lo?k",	     "*b*",	"[]a]",	 "[a-]*", "[!]]",
				     "*.*.*", "[a-b]*[b-c]", "?*",	"*?" };
static const char *const pieces[] = {
	"a", "b", "c", ".", "*", "?", "[ab]", "[!b]", "e", "pem", "*"
};

/* A name for a pattern: what is special is escaped. */
static size_t add_escaped(char *out, const char *name)
{
	size_t n = 0;

	for (; *name; name++) {
		if (strchr("*?[\\", *name))
			out[n++] = '\\';
		out[n++] = *name;
	}
	return n;
}

static size_t add_glob(struct gen *g, char *out)
{
	size_t n = 0;

	if (gen_below(g, 3))
		return (size_t)sprintf(out, "%s", PICK(g, globs));
	for (uint32_t k = 1 + gen_below(g, 4); k--;) {
		const char *piece = PICK(g, pieces);

		if (n && out[n - 1] == '*' && piece[0] == '*')
			continue;
		n += (size_t)sprintf(out + n, "%s", piece);
	}
	if (n == 1 && out[0] == '.')
		n += (size_t)sprintf(out + n, "*");
	if (n == 2 && !memcmp(out, "..", 2))
		n += (size_t)sprintf(out + n, "?");
	return n;
}

static void make_path_pattern(struct gen *g, char *out)
{
	uint32_t depth = gen_below(g, 5), wild = gen_below(g, 3);
	size_t n = 0;

	if (!gen_below(g, 4)) {
		n += (size_t)sprintf(out, "**");
		depth = 1 + gen_below(g, 2);
	} else if (!depth) {
		(void)sprintf(out, "/");
		return;
	}
	while (depth--) {
		uint32_t kind = wild ? gen_below(g, 8) : 7;

		out[n++] = '/';
		if (kind == 0)
			n += (size_t)sprintf(out + n, "**");
		else if (kind < 4)
			n += add_glob(g, out + n);
		else if (!g->plain && !gen_below(g, 12))
			n += add_escaped(out + n, PICK(g, odd));
		else
			n += add_escaped(out + n, PICK(g, names));
	}
	out[n] = 0;
	if (!gen_below(g, 10))
		(void)strcpy(out + n, gen_below(g, 2) ? "/**" : "/");
}

void gen_set(struct gen *g, struct gen_set *out)
{
	static const uint8_t perms[] = { 0,	      0,    0,		 EG_R,	      EG_R,
					 EG_R | EG_X, EG_W, EG_PERM_ALL, EG_R | EG_W, EG_C };

	out->n = gen_below(g, GEN_MAX_RULES + 1);
	out->defaults[AUTOMATON_PATHS] = gen_below(g, 2) ? 0 : PICK(g, perms);
	out->defaults[AUTOMATON_UNIX] = gen_below(g, 2) ? 0 : EG_W;
	for (size_t i = 0; i < out->n; i++) {
		struct automaton_rule *r = &out->rules[i];
		bool is_unix = !g->plain && !gen_below(g, 6);
		char *text = out->text[i];

		*r = (struct automaton_rule){ .pattern = text,
					      .id = (uint32_t)i,
					      .perm = PICK(g, perms) };
		if (is_unix)
			r->space = AUTOMATON_UNIX;
		if (is_unix && gen_below(g, 2)) {
			size_t n = 1;

			text[0] = '@';
			if (gen_below(g, 2))
				n += add_glob(g, text + n);
			if (n == 1 || gen_below(g, 2))
				n += (size_t)sprintf(text + n, "%s", gen_below(g, 3) ? "a" : "/b");
			text[n] = 0;
		} else {
			make_path_pattern(g, text);
		}
	}
}

/* A name that this label of a pattern may or may not match. */
static size_t add_like(struct gen *g, char *out, const char *label, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (label[i] == '\\' && i + 1 < len) {
			out[n++] = label[++i];
		} else if (label[i] == '*') {
			for (uint32_t k = gen_below(g, 4); k--;)
				out[n++] = "abcel.pm"[gen_below(g, 8)];
		} else if (label[i] == '?') {
			out[n++] = "abc."[gen_below(g, 4)];
		} else if (label[i] == '[') {
			while (i < len && label[i] != ']')
				i++;
			out[n++] = "abc]."[gen_below(g, 5)];
		} else {
			out[n++] = label[i];
		}
	}
	return n;
}

static size_t add_name(struct gen *g, char *out)
{
	size_t n;

	switch (gen_below(g, g->plain ? 12 : 16)) {
	case 0:
		n = 1 + gen_below(g, 6);
		for (size_t i = 0; i < n; i++)
			out[i] = "abc.epm"[gen_below(g, 7)];
		return n;
	case 12:
		n = 1 + gen_below(g, 6);
		for (size_t i = 0; i < n; i++)
			out[i] = (char)gen_below(g, 256);
		return n;
	case 13:
		return (size_t)sprintf(out, "%s", PICK(g, odd));
	case 14:
		n = gen_below(g, 50) ? 4 : 255;
		memset(out, 'a', n);
		return n;
	default:
		return (size_t)sprintf(out, "%s", PICK(g, names));
	}
}

static size_t path_like_rule(struct gen *g, const char *pattern, char *buf)
{
	size_t n = 0;

	if (pattern[0] == '@')
		return add_like(g, buf, pattern, strlen(pattern));
	for (const char *p = pattern; *p;) {
		size_t len;

		p += *p == '/';
		len = strcspn(p, "/");
		if (len == 2 && !memcmp(p, "**", 2)) {
			for (uint32_t k = gen_below(g, 3); k--;) {
				buf[n++] = '/';
				n += add_name(g, buf + n);
			}
		} else if (len) {
			buf[n++] = '/';
			n += gen_below(g, 10) ? add_like(g, buf + n, p, len) : add_name(g, buf + n);
		}
		p += len;
	}
	return n;
}

/* Bytes that are no name: every "" "." ".." and stray '/' becomes an 'a'. */
static size_t make_valid(char *buf, size_t n)
{
	char out[GEN_PATH_MAX];
	size_t len = 0;

	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && buf[end] != '/';)
			end++;
		if (len + (end - i) + 2 > sizeof(out) || end - i > EG_NAME_MAX)
			break;
		memcpy(out + len, buf + i, end - i);
		out[len] = '/';
		len += end - i;
		if (end - i == 1 || (end - i == 2 && buf[i + 1] == '.') ||
		    (end - i == 3 && buf[i + 1] == '.' && buf[i + 2] == '.'))
			out[len++] = 'a';
	}
	memcpy(buf, out, len);
	return len;
}

size_t gen_path(struct gen *g, const struct gen_set *set, enum automaton_space *space, char *buf)
{
	const struct automaton_rule *like = set->n ? &set->rules[gen_below(g, (uint32_t)set->n)] :
						     NULL;
	char work[8192];
	size_t n = 0;

	*space = AUTOMATON_PATHS;
	if (like && gen_below(g, 5)) {
		*space = like->space;
		n = path_like_rule(g, like->pattern, work);
		if (n && work[0] == '@') {
			n = n < AUTOMATON_MAX_ABSTRACT ? n : AUTOMATON_MAX_ABSTRACT;
			memcpy(buf, work, n);
			return n;
		}
	}
	for (uint32_t k = gen_below(g, 3); k--;) {
		work[n++] = '/';
		n += add_name(g, work + n);
	}
	n = make_valid(work, n);
	if (!n)
		work[n++] = '/';
	memcpy(buf, work, n);
	return n;
}

/* ---- a realistic large policy ------------------------------------------------------- */

static const char *const tops[] = { "/usr/lib/x86_64-linux-gnu",
				    "/usr/share",
				    "/usr/lib/python3",
				    "/etc",
				    "/opt/vendor/app",
				    "/srv/build/cache",
				    "/home/dev/src",
				    "/var/lib",
				    "/usr/libexec",
				    "/home/ci/.config" };
static const char *const words[] = { "node",  "config", "lib", "data",	"runner", "cache",
				     "build", "agent",	"net", "proxy", "store",  "image" };
static const char *const ends[] = { "", ".conf", ".so.1", ".json", ".d", ".yaml", ".py" };
static const char *const types[] = { "conf", "json", "yaml", "yml",  "toml", "ini", "xml", "so",
				     "a",    "o",    "py",   "pyc",  "js",   "ts",  "css", "html",
				     "md",   "txt",  "log",  "lock", "tmp",  "bak", "gz",  "zip",
				     "tar",  "whl",  "jar",  "db",   "sock", "pid", "crt", "csr" };
static const char *const secrets[] = { "**/.env",
				       "**/.env.*",
				       "**/*.pem",
				       "**/*.key",
				       "**/*.p12",
				       "**/*.pfx",
				       "**/*.jks",
				       "**/*.keystore",
				       "**/*.kdbx",
				       "**/*.ppk",
				       "**/id_rsa*",
				       "**/id_dsa*",
				       "**/id_ecdsa*",
				       "**/id_ed25519*",
				       "**/.ssh",
				       "**/.gnupg",
				       "**/.aws",
				       "**/.azure",
				       "**/.config/gcloud",
				       "**/.kube",
				       "**/.docker/config.json",
				       "**/.netrc",
				       "**/.npmrc",
				       "**/.pypirc",
				       "**/.git-credentials",
				       "**/.pgpass",
				       "**/.my.cnf",
				       "**/.vault-token",
				       "**/.terraform.d",
				       "**/terraform.tfstate*",
				       "**/credentials",
				       "**/credentials.json",
				       "**/client_secret*.json",
				       "**/service-account*.json",
				       "**/*.tfvars",
				       "**/secrets.y*ml",
				       "**/.htpasswd",
				       "**/shadow",
				       "**/gshadow",
				       "**/*.ovpn",
				       "**/.bash_history",
				       "**/.zsh_history",
				       "**/.psql_history",
				       "**/.mysql_history",
				       "**/.node_repl_history",
				       "**/.python_history",
				       "**/.cargo/credentials*",
				       "**/.gem/credentials",
				       "**/.m2/settings.xml",
				       "**/.gradle/gradle.properties",
				       "**/.password-store",
				       "**/Login Data",
				       "**/cookies.sqlite",
				       "**/key4.db",
				       "**/logins.json",
				       "**/wallet.dat",
				       "**/.electrum",
				       "**/.config/hub",
				       "**/.config/gh/hosts.yml",
				       "**/.s3cfg" };

static void policy_literal(struct gen *g, char *out, size_t size)
{
	const char *top = PICK(g, tops), *w1 = PICK(g, words), *w2 = PICK(g, words);
	const char *w3 = PICK(g, words), *end = PICK(g, ends);
	uint32_t a = gen_below(g, 40), b = gen_below(g, 12), c = gen_below(g, 100);

	(void)snprintf(out, size, "%s/%s-%u/%s%u/%s%u%s", top, w1, a, w2, b, w3, c, end);
}

static void policy_pattern(struct gen *g, char *out, size_t size)
{
	const char *top = PICK(g, tops), *w1 = PICK(g, words), *w2 = PICK(g, words);
	uint32_t a = gen_below(g, 40), b = gen_below(g, 500);

	switch (gen_below(g, 5)) {
	case 0:
	case 1:
		(void)snprintf(out, size, "**/%s_%s%u", w1, w2, b);
		break;
	case 2:
		(void)snprintf(out, size, "%s/%s-%u/*/%s%u", top, w1, a, w2, b);
		break;
	case 3:
		(void)snprintf(out, size, "%s/%s-%u/*.%s", top, w1, a, PICK(g, types));
		break;
	default:
		(void)snprintf(out, size, "%s/%s-%u/**/%s%u-*", top, w1, a, w2, b % 4);
	}
}

struct automaton_rule *gen_policy(struct gen *g, size_t n, size_t literals)
{
	static const uint8_t perms[] = { EG_R, EG_R, EG_R | EG_X, EG_PERM_ALL, EG_R | EG_W, 0 };
	struct automaton_rule *rules = calloc(n, sizeof(*rules));
	size_t nsecrets = sizeof(secrets) / sizeof(secrets[0]);
	char text[GEN_PATTERN_MAX];

	for (size_t i = 0; rules && i < n; i++) {
		rules[i].id = (uint32_t)i;
		rules[i].perm = PICK(g, perms);
		if (i < literals) {
			policy_literal(g, text, sizeof(text));
		} else if (i - literals < nsecrets) {
			(void)snprintf(text, sizeof(text), "%s", secrets[i - literals]);
			rules[i].perm = 0;
		} else {
			policy_pattern(g, text, sizeof(text));
		}
		rules[i].pattern = strdup(text);
	}
	return rules;
}
