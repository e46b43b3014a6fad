/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a rule to be added means beside those that are there: does it take effect? */
#include <fnmatch.h>

#include "policy_edit_int.h"
#include "verdict.h"

#define LOOPBACK "loopback "

/* ---- words ----------------------------------------------------------------------- */

static int bad(const struct edit_rule *r, const char *what, const char *why, struct diag *d)
{
	return diag_set(d, -EINVAL, "bad %s \"%s\": %s", what, r->arg, why);
}

static int no_controls(const struct edit_rule *r, struct diag *d)
{
	for (const char *s = r->arg; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return bad(r, "rule", "a control character (? matches any one byte)", d);
	return 0;
}

/* {host: NAME, ports: […], …}: what it means is said by the parser of policies. */
static int parse_map(struct edit_rule *r, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	struct policy_extends ext = {};
	struct policy p = {};
	struct diag why = {};
	int err, n;

	err = ydoc_parse("rule", r->arg, strlen(r->arg), &r->map, &why);
	if (err) {
		r->map.root = NULL;
		return err == -ENOMEM ? diag_set(d, err, "out of memory") :
					bad(r, "destination", why.msg, d);
	}
	n = asprintf(&text, "version: 1\negress: {allow: [%s]}\n", r->arg);
	if (n < 0) {
		text = NULL;
		return diag_set(d, -ENOMEM, "out of memory");
	}
	err = policy_parse_file("rule", text, (size_t)n, &p, &ext, &why);
	/* more than one: it was no map by itself */
	if (!err && p.allow.n != 1)
		err = diag_set(&why, -EINVAL, "expected one map");
	if (!err) {
		r->dest = p.allow.v[0];
		p.allow.n = 0;
	}
	policy_clear(&p);
	policy_extends_clear(&ext);
	return err ? diag_set(d, err, "bad destination \"%s\": %s", r->arg, why.msg) : 0;
}

static int parse_loopback(const char *text, struct edit_rule *r, struct diag *d)
{
	r->verb = EDIT_LOOPBACK;
	r->arg = strdup(text);
	if (!r->arg)
		return diag_set(d, -ENOMEM, "out of memory");
	if (str_eq(text, "own"))
		return 0;
	if (no_controls(r, NULL) || policy_ports_parse(text, &r->dest) || !r->dest.ports[0].lo)
		return bad(r, "loopback rule", "expected own or a port", d);
	return 0;
}

static int parse_arg(struct edit_rule *r, const struct allow_rule *words, struct diag *d)
{
	char why[256] = "", perm[8];
	int err = no_controls(r, d);

	if (err)
		return err;
	switch (r->verb) {
	case EDIT_OPEN:
		(void)snprintf(perm, sizeof(perm), "%s", words->perm);
		if (policy_perm_parse(perm, &r->perm) || !r->perm)
			return diag_set(d, -EINVAL, "bad permission \"%s\": expected letters of "
					"rwxc, each once", words->perm);
		err = policy_path_parse(r->arg, &r->key, why, sizeof(why));
		break;
	case EDIT_UNIX:
		err = policy_unix_parse(r->arg, &r->key, why, sizeof(why));
		break;
	case EDIT_CONNECT:
		return *r->arg == '{' ? parse_map(r, d) :
					policy_dest_parse(r->arg, false, &r->dest, d, NULL);
	case EDIT_SOCKET:
	case EDIT_PRIVILEGE:
	case EDIT_LOOPBACK:
		return 0; /* a word of a list: the policy's parser knows them */
	}
	if (err == -ENOMEM)
		return diag_set(d, err, "out of memory");
	return err ? bad(r, r->verb == EDIT_OPEN ? "path" : "unix socket", why, d) : 0;
}

int edit_rule_parse(const char *text, struct edit_rule *r, struct diag *d)
{
	struct allow_rule words;
	int err;

	memset(r, 0, sizeof(*r));
	if (str_starts(text, LOOPBACK))
		return parse_loopback(text + strlen(LOOPBACK), r, d);
	err = allow_rule_parse("", text, &words, d);
	if (err)
		return err;
	r->verb = (enum edit_verb)words.verb;
	r->arg = strndup(words.arg, words.len);
	if (!r->arg)
		return diag_set(d, -ENOMEM, "out of memory");
	return parse_arg(r, &words, d);
}

void edit_rule_clear(struct edit_rule *r)
{
	free(r->arg);
	free(r->key);
	policy_dest_clear(&r->dest);
	if (r->map.root)
		ydoc_free(&r->map);
	memset(r, 0, sizeof(*r));
}

/* ---- paths: ask the compiled policy ---------------------------------------------- */

/* Where no policy names anything, so that variables meet no path that is written out. */
static const struct policy_vars nowhere = {
	.workdir = (char *)"/\001home/user/work", .home = (char *)"/\001home/user",
	.tmpdir = (char *)"/\001tmp", .gitdir = (char *)"/\001home/user/main/git",
	.gitworktree = (char *)"/\001home/user/main/git/worktrees/work", .uid = (char *)"1000",
};

/* One byte that a set matches, or 0; *len of the set, brackets included. */
static char one_of(const char *set, size_t *len)
{
	char buf[EG_PATH_MAX], c[2] = "";
	size_t n = set[1] == '!' ? 2 : 1;

	do {
		n += set[n] == '\\' && set[n + 1] ? 2 : 1;
	} while (set[n] && set[n] != ']');
	if (set[n] != ']' || n + 2 > sizeof(buf))
		return 0;
	*len = n + 1;
	memcpy(buf, set, *len);
	buf[*len] = '\0';
	for (c[0] = '0'; c[0] < 0x7f; c[0]++)
		if (!fnmatch(buf, c, 0))
			return c[0];
	return 0;
}

/* A path that the pattern matches, with `fill` for what is open; false: none known. */
static bool sample(const char *pattern, const char *fill, char *out, size_t outlen)
{
	size_t o = 0, n;

	for (const char *s = pattern; *s; s += n) {
		const char *put = s;
		size_t len = 1;
		char c;

		n = 1;
		if (*s == '*') {
			n = strspn(s, "*");
			put = fill;
			len = strlen(fill);
		} else if (*s == '?') {
			put = fill;
		} else if (*s == '[') {
			c = one_of(s, &n);
			if (!c)
				return false;
			put = &c;
		} else if (*s == '\\' && s[1]) {
			put = s + 1;
			n = 2;
		}
		if (o + len >= outlen)
			return false;
		memcpy(out + o, put, len);
		o += len;
	}
	out[o] = '\0';
	return o > 0;
}

/* The permission at a path of the rule, and who says so; false: not known. */
static bool ask(const struct edit_rule *r, const struct compiled *c, const char *fill,
		uint8_t *perm, uint32_t *rule)
{
	_cleanup_free_ char *pattern = NULL;
	const char *unbound;
	char path[EG_PATH_MAX];

	if (policy_vars_expand(&nowhere, r->key, &pattern, &unbound) ||
	    !sample(pattern, fill, path, sizeof(path)))
		return false;
	return !verdict_path(c, path, strlen(path), perm, rule);
}

static const char *const fills[] = { "~q~", "=0=" }; /* two: a name may have a rule by chance */

int edit_rule_widen(struct edit_rule *r, const struct policy *p, struct diag *d)
{
	struct compiled *c = NULL;
	uint8_t perm, all = EG_PERM_ALL;
	uint32_t rule;
	int err;

	if (r->verb != EDIT_OPEN)
		return 0;
	err = policy_compile(p, &nowhere, &c, d);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(fills); i++)
		all &= ask(r, c, fills[i], &perm, &rule) ? perm : 0;
	r->perm |= all;
	compiled_free(c);
	return 0;
}

static int path_wins(const struct edit_rule *r, const struct compiled *c, struct diag *d)
{
	const struct rule_ref *by = NULL;
	bool known = false;
	uint32_t rule = 0;
	uint8_t perm = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fills); i++) {
		if (!ask(r, c, fills[i], &perm, &rule))
			continue;
		if ((perm & r->perm) == r->perm) {
			known = false;
			break;
		}
		known = true;
		by = rule ? &c->rules[rule - 1] : NULL;
	}
	if (!known)
		return 0;
	if (by && by->line)
		return diag_at(d, -EINVAL, by->file, by->line, by->col,
			       "\"%s\" wins over \"%s\", which would have no effect: change that "
			       "line, or name a path that reaches deeper", by->text, r->arg);
	return diag_set(d, -EINVAL, "\"%s\" would have no effect: what is built in wins%s%s",
			r->arg, by ? ": " : "", by ? by->text : "");
}

/* ---- destinations: is all of it denied? ------------------------------------------ */

static bool name_below(const char *name, const char *top)
{
	size_t n = strlen(name), m = strlen(top);

	return !m || (n > m && name[n - m - 1] == '.' && str_eq(name + n - m, top));
}

static bool covers_host(const struct policy_dest *deny, const struct policy_dest *r)
{
	uint8_t addr[16];
	bool below;

	if (!deny->name != !r->name)
		return false;
	if (!r->name) {
		memcpy(addr, r->addr, sizeof(addr));
		policy_addr_mask(addr, deny->plen);
		return deny->plen <= r->plen && !memcmp(addr, deny->addr, sizeof(addr));
	}
	below = deny->below && name_below(r->name, deny->name);
	if (r->self && !below && !(deny->self && str_eq(r->name, deny->name)))
		return false;
	return !r->below || below || (deny->below && str_eq(r->name, deny->name));
}

bool edit_covers_ports(const struct policy_dest *deny, const struct policy_ports *p)
{
	for (uint32_t i = 0; i < deny->nports; i++)
		if (deny->ports[i].lo <= p->lo && deny->ports[i].hi >= p->hi &&
		    (!deny->ports[i].proto || deny->ports[i].proto == p->proto))
			return true;
	return false;
}

int edit_rule_denied(const struct edit_rule *r, const struct policy *p, struct diag *d)
{
	const struct policy_dest *by = NULL, *hit;

	for (uint32_t i = 0; r->verb == EDIT_CONNECT && i < r->dest.nports; i++, by = hit) {
		hit = NULL;
		for (size_t k = 0; k < p->deny.n && !hit; k++)
			if (covers_host(&p->deny.v[k], &r->dest) &&
			    edit_covers_ports(&p->deny.v[k], &r->dest.ports[i]))
				hit = &p->deny.v[k];
		if (!hit)
			return 0;
	}
	if (!by)
		return 0;
	return diag_at(d, -EINVAL, by->at.file, by->at.line, by->at.col,
		       "deny: \"%s\" wins over \"%s\", which would have no effect: take the deny "
		       "away first", by->text, r->arg);
}

int edit_rule_compile(const struct edit_rule *r, const struct policy *p, struct diag *d,
		      struct diag *why)
{
	struct compiled *c = NULL;
	/* what hands the sandbox away, or does not fit, is known only then */
	int err = policy_compile(p, &nowhere, &c, why);

	if (err)
		return err;
	err = r->verb == EDIT_OPEN ? path_wins(r, c, d) : 0;
	compiled_free(c);
	return err;
}
