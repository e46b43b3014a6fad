/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allow.h"
#include "compile.h"
#include "config.h"
#include "grant_rule.h"
#include "policy_int.h"
#include "ref.h"
#include "util.h"
#include "verdict.h"

#define CONNECT "connect "
#define OPEN "open "
#define UNIX "unix "

/* Is it the path itself, and no pattern or variable? */
static bool is_literal(const char *path, size_t len)
{
	return len && *path == '/' && strcspn(path, "*?[\\${}") >= len;
}

/*
 * "open PATH [PERM]" with the permission that the path is to have. A pattern or a
 * variable has no one permission now: it gets what is said.
 */
static int open_rule(const char *rule, const struct compiled *base, struct grant_rule *out,
		     struct diag *d)
{
	const char *path = rule + strlen(OPEN), *space = strrchr(path, ' ');
	uint8_t given = EG_PERM_ALL, now = 0, asked;
	size_t len = strlen(path);
	bool deny = out->deny;
	uint32_t by;
	char buf[5];

	if (space && !policy_perm_parse(space + 1, &given))
		len = (size_t)(space - path);
	else if (!deny)
		return diag_set(d, -EINVAL, "'%s': expected 'open PATH PERM', PERM of the letters "
					    "rwxc", rule);
	if (!len)
		return diag_set(d, -EINVAL, "'%s': expected a path", rule);
	asked = given;
	if (is_literal(path, len)) {
		if (verdict_path(base, path, len, &now, &by))
			return diag_set(d, -EINVAL, "'%s': a path may have %u bytes", rule,
					EG_PATH_MAX - 1);
		out->path = strndup(path, len);
		if (!out->path)
			return diag_set(d, -ENOMEM, "out of memory");
		out->perm = asked;
		given = deny ? now & ~given : now | given;
	} else if (deny && given != EG_PERM_ALL) {
		return diag_set(d, -EINVAL, "'%s': of a pattern, everything is denied: expected it "
					    "without a permission", rule);
	} else if (deny) {
		given = 0;
	}
	if (asprintf(&out->rule, OPEN "%.*s %s", (int)len, path,
		     policy_perm_text(given, buf)) < 0) {
		out->rule = NULL;
		return diag_set(d, -ENOMEM, "out of memory");
	}
	return 0;
}

/* Is `path` what another one names, or below it? */
static bool covers(const char *other, const char *path)
{
	size_t n = strlen(other);

	return !strncmp(path, other, n) && (!path[n] || path[n] == '/' || n == 1);
}

/*
 * What the path has without this one: what the deepest earlier grant says, unless a
 * rule of the policy lies between, which then has the last word.
 */
static int perm_before(struct grant_rule *const *v, size_t n, const struct compiled *base,
		       uint8_t *perm)
{
	const struct grant_rule *r = v[n - 1], *best = NULL;
	uint32_t by, by_best;
	uint8_t above;
	int err;

	err = verdict_path(base, r->path, strlen(r->path), perm, &by);
	for (size_t i = 0; i < n - 1 && !err; i++) {
		const struct grant_rule *e = v[i];

		if (!e->path || !covers(e->path, r->path) ||
		    (best && strlen(best->path) > strlen(e->path)))
			continue;
		err = verdict_path(base, e->path, strlen(e->path), &above, &by_best);
		if (!err && by_best == by)
			best = e;
	}
	if (best)
		*perm = best->now;
	return err;
}

int grant_rule_text(struct grant_rule *const *v, size_t n, const struct compiled *base,
		    char **text, struct diag *d)
{
	struct grant_rule *r = v[n - 1];
	_cleanup_free_ char *rule = NULL;
	uint8_t before;
	char buf[5];
	int err;

	if (!r->path) {
		*text = strdup(r->text);
		return *text ? 0 : diag_set(d, -ENOMEM, "out of memory");
	}
	err = perm_before(v, n, base, &before);
	if (err)
		return diag_set(d, err, "'%s' is no path any more", r->rule);
	r->now = r->deny ? before & ~r->perm : before | r->perm;
	if (asprintf(&rule, OPEN "%s %s", r->path, policy_perm_text(r->now, buf)) < 0) {
		rule = NULL;
		return diag_set(d, -ENOMEM, "out of memory");
	}
	return allow_overlay(rule, r->deny, text, d);
}

/* A deny of the policy wins over every allow: it must be said now, not found out. */
static int check_reach(const struct policy_dest *dest, const struct compiled *c, struct diag *d)
{
	char buf[512];

	for (uint32_t i = 0; i < dest->nports; i++) {
		const struct policy_ports *p = &dest->ports[i];
		uint8_t verdict = 0;
		uint32_t rule = 0;
		int err;

		if (dest->name && dest->self && *dest->name)
			err = verdict_name(c, dest->name, p->lo, p->proto, &verdict, &rule);
		else if (!dest->name && dest->plen == 128)
			err = verdict_egress(c, dest->addr, p->lo, p->proto, &verdict, &rule);
		else
			continue;
		if (!err && verdict == EG_V_DENY)
			return diag_set(d, -EPERM, "'%s' is denied by %s, and no grant lifts that: "
						   "switch the sandbox to another policy",
					dest->text,
					verdict_rule_text(c, rule, buf, sizeof(buf)));
	}
	return 0;
}

static int connect_rule(const char *rule, bool deny, const struct compiled *c, bool *by_name,
			struct diag *d)
{
	static const struct place at = { .file = "grant", .line = 1, .col = 1 };
	struct policy_dest dest = {};
	int err;

	err = policy_dest_parse(rule + strlen(CONNECT), deny, &dest, d, &at);
	if (err)
		return err;
	*by_name = dest.name;
	if (!deny && dest.name && dest.nports != 1)
		err = diag_set(d, -EINVAL, "'%s': expected one range of ports of one protocol",
			       rule);
	if (!err && !deny)
		err = check_reach(&dest, c, d);
	policy_dest_clear(&dest);
	return err;
}

int grant_rule_make(const char *rule, bool deny, const struct compiled *base,
		    const struct compiled *now, struct grant_rule *out, struct diag *d)
{
	struct grant_rule r = { .deny = deny };
	struct nearest near = {};
	char first[16];
	int err = 0;

	if (strlen(rule) > GRANT_RULE_MAX)
		return diag_set(d, -EINVAL, "a rule may have %u bytes", GRANT_RULE_MAX);
	if (str_starts(rule, OPEN)) {
		err = open_rule(rule, base, &r, d);
	} else if (str_starts(rule, CONNECT)) {
		err = connect_rule(rule, deny, now, &r.by_name, d);
	} else if (deny) {
		(void)snprintf(first, sizeof(first), "%.*s", (int)strcspn(rule, " "), rule);
		near.text = first;
		nearest_try(&near, "connect");
		nearest_try(&near, "open");
		err = diag_set(d, -EINVAL, "'%s' cannot be taken away from a running sandbox%s: "
					   "expected 'connect DEST' or 'open PATH [PERM]'; or "
					   "switch it to another policy", rule,
			       nearest_words(&near));
	}
	if (!err && !r.rule) {
		r.rule = strdup(rule);
		err = r.rule ? 0 : diag_set(d, -ENOMEM, "out of memory");
	}
	if (!err)
		err = allow_overlay(r.rule, deny, &r.text, d);
	if (err)
		grant_rule_clear(&r);
	else
		*out = r;
	return err;
}

void grant_rule_clear(struct grant_rule *r)
{
	free(r->rule);
	free(r->text);
	free(r->path);
	*r = (struct grant_rule){};
}

/* ---- authority ------------------------------------------------------------------------ */

static bool ports_within(const struct policy_dest *in, const struct policy_dest *out)
{
	for (uint32_t i = 0; i < in->nports; i++) {
		bool found = false;

		for (uint32_t k = 0; k < out->nports && !found; k++)
			found = (!out->ports[k].proto ||
				 out->ports[k].proto == in->ports[i].proto) &&
				out->ports[k].lo <= in->ports[i].lo &&
				in->ports[i].hi <= out->ports[k].hi;
		if (!found)
			return false;
	}
	return true;
}

static bool prefix_within(const struct policy_dest *in, const struct policy_dest *out)
{
	uint8_t masked[16];

	if (in->plen < out->plen)
		return false;
	memcpy(masked, in->addr, sizeof(masked));
	policy_addr_mask(masked, out->plen);
	return !memcmp(masked, out->addr, sizeof(masked));
}

static bool name_within(const struct policy_dest *in, const struct policy_dest *out)
{
	size_t n = strlen(in->name), m = strlen(out->name);
	bool under = n > m && !strcmp(in->name + n - m, out->name) &&
		     (!m || in->name[n - m - 1] == '.');

	if (under)
		return out->below; /* whatever is below it, too */
	return str_eq(in->name, out->name) && (!in->self || out->self) &&
		(!in->below || out->below);
}

static bool dest_within(const struct policy_dest *in, const struct policy_dest *out)
{
	if (!in->name != !out->name)
		return false;
	return (in->name ? name_within(in, out) : prefix_within(in, out)) && ports_within(in, out);
}

static int check_within(const struct config *config, const char *text, struct diag *d)
{
	struct policy_dest in = {};
	bool found = false;
	int err;

	err = policy_dest_parse(text, false, &in, d, NULL);
	for (char **w = config->grant_within; !err && *w && !found; w++) {
		struct policy_dest out = {};

		found = !policy_dest_parse(*w, false, &out, NULL, NULL) && dest_within(&in, &out);
		policy_dest_clear(&out);
	}
	policy_dest_clear(&in);
	if (err || found)
		return err;
	return diag_set(d, -EPERM, "'%s' is wider than what %s lets users grant (grants: within): "
				   "ask the owner of this host", text, config->file);
}

int grant_rule_check(const struct config *config, const struct grant_rule *r, uint64_t ms,
		     struct diag *d)
{
	const char *file = config->file ? config->file : CONFIG_FILE;

	if (r->deny)
		return 0;
	if (config->grant_who == CONFIG_NOBODY)
		return diag_set(d, -EPERM, "only root may grant on this host (%s: grants)", file);
	if (config->grant_max_ms && (!ms || ms > config->grant_max_ms))
		return diag_set(d, -EPERM, "a grant may last %llu seconds on this host (%s: "
					   "grants)",
				(unsigned long long)config->grant_max_ms / 1000, file);
	if (str_starts(r->rule, CONNECT))
		return config->grant_within ?
			       check_within(config, r->rule + strlen(CONNECT), d) : 0;
	if (!config->grant_paths)
		return diag_set(d, -EPERM, "only destinations may be granted on this host (%s: "
					   "grants)", file);
	/* a host that says which destinations may be granted does not mean every kind of socket */
	if (config->grant_within && !str_starts(r->rule, OPEN) && !str_starts(r->rule, UNIX))
		return diag_set(d, -EPERM, "'%s': only root may grant this on this host (%s: "
					   "grants: within)", r->rule, file);
	return 0;
}

int grant_switch_check(const struct config *config, struct diag *d)
{
	const char *why = config->grant_who == CONFIG_NOBODY ? "who" :
			  config->grant_within		       ? "within" :
			  !config->grant_paths		       ? "paths" :
			  config->grant_max_ms && config->grant_max_ms < CONFIG_GRANT_MS ? "for" :
											   NULL;

	if (!why)
		return 0;
	return diag_set(d, -EPERM, "only root may switch policies on this host (%s: grants: %s)",
			config->file ? config->file : CONFIG_FILE, why);
}
