/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the launcher does with the process: env and limits. */
#include <ctype.h>

#include "policy_parse.h"

/* ---- env ------------------------------------------------------------------------------ */

/* Names of the environment: letters, digits and _; * and ? where a pattern may stand. */
static bool env_name_ok(const char *s, bool pattern)
{
	if (!*s || isdigit((unsigned char)*s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_' &&
		    !(pattern && (*s == '*' || *s == '?')))
			return false;
	return true;
}

static int parse_env_names(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	struct policy_strs *list = k->arg ? &c->p->env_only : &c->p->env_keep;
	int err = pol_list(c, n, k, list->n);

	if (k->arg)
		c->p->env_only_at = pol_place(c, n);
	for (struct ynode *e = n->first; e && !err; e = e->next) {
		err = pol_scalar(c, e, k->key, k->expect);
		if (!err && !env_name_ok(e->text, true))
			err = pol_expected(c, e, k->key, k->expect);
		if (!err)
			err = pol_add_str(c, list, e, e->text);
	}
	return err;
}

/*
 * Variables that make the dynamic linker load code. The launcher itself runs
 * outside the sandbox and must not be the one who is handed them.
 */
static bool env_is_loader(const char *name)
{
	return str_starts(name, "LD_") || str_eq(name, "GCONV_PATH") ||
	       str_starts(name, "EGRESSCTL_");
}

static int parse_env_set(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	char text[4096];
	int err;

	if (n->type != Y_MAP)
		return pol_expected(c, n, k->key, k->expect);
	for (struct ynode *e = n->first; e; e = e->next) {
		if (!env_name_ok(e->key->text, false))
			return pol_expected(c, e->key, k->key, "names of letters, digits and _");
		if (env_is_loader(e->key->text))
			return pol_bad(c, e->key, "set: %s is not set by a policy: expected a name "
				       "other than LD_*, GCONV_PATH and EGRESSCTL_*", e->key->text);
		err = pol_scalar(c, e, e->key->text, "a value; quote an empty one or a number");
		if (err)
			return err;
		if ((size_t)snprintf(text, sizeof(text), "%s=%s", e->key->text, e->text) >=
		    sizeof(text))
			return pol_bad(c, e, "set: %s is longer than %zu bytes", e->key->text,
				       sizeof(text));
		err = pol_add_str(c, &c->p->env_set, e->key, text);
		if (err)
			return err;
	}
	return 0;
}

int pol_env(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_key keys[] = {
		{ "keep", "a list of variable names, * and ? allowed", parse_env_names, 0 },
		{ "set", "a map of names to values", parse_env_set, 0 },
		{ "only", "a list of variable names, * and ? allowed", parse_env_names, 1 },
		{}
	};
	int err = pol_map(c, n, k->key, keys);

	if (!err && c->p->env_only_at.file && c->p->env_keep.n)
		err = pol_bad(c, n, "env: keep beside only: expected one of them (only keeps "
				    "nothing else)");
	return err;
}

/* ---- limits ---------------------------------------------------------------------------- */

static int parse_count(const char *s, uint64_t *v)
{
	return parse_u64(s, 1, 4194304, v); /* PID_MAX_LIMIT */
}

static int parse_limit(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static int (*const parse[])(const char *, uint64_t *) = {
		policy_bytes_parse, parse_count, policy_percent_parse, policy_time_parse
	};
	struct policy_num *const out[] = { &c->p->memory, &c->p->pids, &c->p->cpu, &c->p->time };
	int err = pol_scalar(c, n, k->key, k->expect);

	if (err)
		return err;
	if (parse[k->arg](n->text, &out[k->arg]->v))
		return pol_expected(c, n, k->key, k->expect);
	out[k->arg]->at = pol_place(c, n);
	return 0;
}

int pol_limits(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_key keys[] = {
		{ "memory", "bytes, with K, M, G or T, as 4G", parse_limit, 0 },
		{ "pids", "a number from 1 to 4194304", parse_limit, 1 },
		{ "cpu", "per cent of one processor, as 200%", parse_limit, 2 },
		{ "time", "a time in ms, s, m, h or d, as 30m", parse_limit, 3 },
		{}
	};

	return pol_map(c, n, k->key, keys);
}
