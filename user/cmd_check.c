/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* egressctl check: is this policy right, and what is in it? Needs no root. */
#include <jansson.h>

#include "cmd_policy.h"
#include "commands.h"
#include "print.h"

static const struct command_line line = {
	.name = "egressctl check",
	.args = "[--json] [-C DIR] FILE...",
	.about = "Read policies and all they extend, and compile them as they would be bound\n"
		 "here. Prints what is dropped or worth knowing, then one line a policy. FILE is\n"
		 "a path when it has a / or ends in .yaml, .yml or .json, else a policy's name.\n",
	.options = cmd_policy_rows,
	.end = "Exit status: 0 all are right, 2 a policy is wrong or the usage is.\n",
	.min = 1,
	.max = OPTIONS_ANY,
};

const struct option_row cmd_policy_rows[] = {
	{ "-C", "DIR", "the workspace (default: the current directory)", .kind = OPTION_TEXT,
	  .at = offsetof(struct cmd_policy_options, workdir) },
	{ "--json", NULL, "one JSON object for each answer", .kind = OPTION_FLAG,
	  .at = offsetof(struct cmd_policy_options, json) },
	{}
};

static char *as_path(const char *file)
{
	char *path;

	if (strchr(file, '/') || (!str_ends(file, ".yaml") && !str_ends(file, ".yml") &&
				  !str_ends(file, ".json")))
		return strdup(file);
	return asprintf(&path, "./%s", file) < 0 ? NULL : path;
}

int cmd_policy_load(const char *file, const char *workdir, struct policy **p, struct compiled **c,
		    struct diag *d)
{
	_cleanup_free_ char *path = as_path(file);
	struct policy_vars vars;
	struct policy *got = NULL;
	int err;

	if (!path)
		return diag_set(d, -ENOMEM, "out of memory");
	err = policy_load(path, NULL, &got, d);
	if (err)
		return err;
	err = policy_vars_bind(&vars, workdir, getuid(), d);
	if (err) {
		policy_free(got);
		return err;
	}
	if (workdir && vars.workdir_why) {
		err = diag_set(d, -EINVAL, "%s", vars.workdir_why);
	} else {
		free(vars.workdir_why);
		vars.workdir_why = NULL;
		err = policy_compile(got, &vars, c, d);
	}
	policy_vars_clear(&vars);
	if (err)
		policy_free(got);
	else
		*p = got;
	return err;
}

static void print_error_json(const char *file, const struct diag *d)
{
	json_t *j = json_pack("{s:s, s:b, s:s, s:i, s:i, s:s}", "policy", file, "ok", 0, "file",
			      d->file[0] ? d->file : file, "line", (int)d->line, "column",
			      (int)d->col, "error", d->msg);

	(void)print_json(stdout, j, JSON_COMPACT);
	json_decref(j);
}

static void json_policy(const char *file, const struct policy *p, const struct compiled *c)
{
	json_t *notices = json_array();
	json_t *j;

	for (uint32_t i = 0; i < c->nnotices; i++)
		(void)json_array_append_new(notices, json_string(c->notices[i]));
	j = json_pack("{s:s, s:b, s:s?, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "policy",
		      file, "ok", 1, "description", p->description, "mode",
		      p->audit.v ? "audit" : "enforce", "path_rules", (int)p->files.n,
		      "destinations", (int)(p->allow.n + p->deny.n), "names", (int)c->nnames,
		      "unix_sockets", (int)p->unixes.n, "automaton_slots", (int)c->nslots,
		      "classes", (int)c->head.nclasses, "prefixes", (int)c->nprefixes, "notices",
		      notices);
	(void)print_json(stdout, j, JSON_COMPACT);
	json_decref(j);
}

static void print_text(const char *file, const struct policy *p, const struct compiled *c)
{
	/* notices are of diag_set(), which escapes */
	for (uint32_t i = 0; i < c->nnotices; i++)
		(void)fprintf(stderr, "%s\n", c->notices[i]);
	print_safe(stdout, file);
	(void)printf(": ok, %zu path rules, %zu destinations (%u by name), %zu unix sockets, "
		     "%s mode\n", p->files.n, p->allow.n + p->deny.n, c->nnames,
		     p->unixes.n, p->audit.v ? "audit" : "enforce");
}

static int check_one(const char *file, const char *workdir, bool json)
{
	struct compiled *c = NULL;
	struct policy *p = NULL;
	struct diag d = {};

	if (cmd_policy_load(file, workdir, &p, &c, &d)) {
		if (json)
			print_error_json(file, &d);
		else
			diag_print(stderr, "egressctl check", &d);
		return 2;
	}
	if (json)
		json_policy(file, p, c);
	else
		print_text(file, p, c);
	compiled_free(c);
	policy_free(p);
	return 0;
}

int cmd_check(int argc, char **argv)
{
	struct cmd_policy_options o = {};
	int status;

	if (options_done(&line, &o, &argc, &argv, &status))
		return status;
	for (int i = 0; i < argc; i++)
		status = MAX(status, check_one(argv[i], o.workdir, o.json));
	return status;
}
