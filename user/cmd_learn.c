// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * egressctl learn: run a command with nothing refused, and write the policy that it
 * needs. What is learned is pure (learn.h); here are the run, the files and the words.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "compile.h"
#include "diag.h"
#include "event_text.h"
#include "launch.h"
#include "learn.h"
#include "learn_file.h"
#include "options.h"
#include "print.h"
#include "trace.h"
#include "trace_client.h"
#include "util.h"

#define FAILED 125
#define QUESTIONS_SHOWN 20u /* the file has them all */

struct learner {
	const char *output; /* NULL: standard output */
	const char *base;
	const char *name;
	bool merge; /* into a file that is there */
	bool json; /* what was learned */
	const char *extends[2];
	size_t nextends;
	struct launch l;
	size_t left_out; /* rules that the file could not have */
	int status; /* to exit with when the command did well */
};

static int fail(const struct diag *d)
{
	diag_print(stderr, "egressctl learn", d);
	return FAILED;
}

/* ---- what it said ------------------------------------------------------------------------- */

static void say_questions(const struct learned *l)
{
	if (!l->nquestions)
		return;
	fprintf(stderr, "egressctl learn: not allowed, for you to decide:\n");
	for (size_t i = 0; i < l->nquestions && i < QUESTIONS_SHOWN; i++) {
		const struct learn_question *q = &l->questions[i];

		fputs("    ", stderr);
		print_safe(stderr, q->rule ? q->rule : "(no rule can)");
		fputs("  # ", stderr);
		print_safe(stderr, q->why);
		fputc('\n', stderr);
	}
	if (l->nquestions > QUESTIONS_SHOWN)
		fprintf(stderr, "    and %zu more\n", l->nquestions - QUESTIONS_SHOWN);
}

static void say_json(const struct learner *r, const struct learned *l, const struct trace *t)
{
	json_t *questions = json_array();

	for (size_t i = 0; i < l->nquestions; i++)
		(void)json_array_append_new(questions,
					    json_pack("{s:s?, s:s}", "rule", l->questions[i].rule,
						      "why", l->questions[i].why));
	questions = json_pack("{s:s?, s:i, s:o, s:b, s:I, s:I, s:b}", "output", r->output, "rules",
			      (int)l->nrules, "questions", questions, "complete",
			      !trace_incomplete(t), "lost", (json_int_t)(t->lost + t->dropped),
			      "uncounted", (json_int_t)t->uncounted, "restarted",
			      (int)t->restarted);
	(void)print_json(stderr, questions, JSON_COMPACT);
	json_decref(questions);
}

static void say_done(const struct learner *r, const struct learned *l, const struct trace *t)
{
	if (r->json) {
		say_json(r, l, t);
		return;
	}
	if (trace_incomplete(t))
		fprintf(stderr, "egressctl learn: INCOMPLETE: %llu records and %llu packets were "
				"lost%s: learn again with --merge, in smaller steps\n",
			(unsigned long long)(t->lost + t->dropped),
			(unsigned long long)t->uncounted,
			t->restarted ? ", and egressd was restarted" : "");
	say_questions(l);
	fprintf(stderr, "egressctl learn: %s: %zu rule%s, %zu question%s\n",
		r->output ? r->output : "policy", l->nrules, l->nrules == 1 ? "" : "s",
		l->nquestions, l->nquestions == 1 ? "" : "s");
}

/* ---- learning ------------------------------------------------------------------------------ */

static const char *program_of(const struct learner *r)
{
	const char *slash = strrchr(r->l.argv[0], '/');

	return slash ? slash + 1 : r->l.argv[0];
}

static int make_text(struct learner *r, const struct learned *l, struct text *out, struct diag *d)
{
	if (r->merge)
		return learn_file_merge(r->output, l, out, d);
	if (learn_text(l, r->extends, r->nextends, program_of(r), out))
		return diag_set(d, -ENOMEM, "out of memory");
	return 0;
}

#define ROUNDS 4u

/* The policy's text, which allows all that was seen but the questions. */
static int learn(struct learner *r, const struct learn_input *in, struct learned *l,
		 struct text *out, struct diag *d)
{
	int err = learn_rules(in, l), missing = 0;

	if (err == -E2BIG)
		return diag_set(d, err, "the command touched too much for one policy: more than %u "
					"rules are needed", LEARN_MAX_RULES);
	if (err)
		return diag_set(d, err, "out of memory");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct compiled *c = NULL;

		err = make_text(r, l, out, d);
		if (!err)
			err = learn_file_compile(out->p, in->vars, &c, d);
		if (err)
			return err;
		missing = learn_missing(in, c, l);
		compiled_free(c);
		if (missing <= 0)
			break;
		learn_sort(l);
	}
	return missing < 0 ? diag_set(d, missing, "out of memory") : 0;
}

static int bind(const struct learner *r, struct policy_vars *v, struct diag *d)
{
	int err = policy_vars_bind(v, NULL, r->l.drop ? r->l.uid : getuid(), d);

	if (err)
		return err;
	/* a place that cannot be a workspace leaves it unbound, as in a run */
	free(v->workdir_why);
	v->workdir_why = NULL;
	return 0;
}

static int learn_from(struct learner *r, const struct trace *t, struct diag *d)
{
	struct compiled *base = NULL, *secrets = NULL;
	struct policy_vars vars = { 0 };
	struct learned l = { 0 };
	struct text out = { 0 };
	int err = bind(r, &vars, d);

	if (!err)
		err = learn_file_base(r->extends, r->nextends, &vars, &base, d);
	if (!err)
		err = learn_file_secrets(&vars, &secrets, d);
	if (!err) {
		struct learn_input in = { .trace = t, .base = base, .secrets = secrets,
					  .vars = &vars, .uid = r->l.drop ? r->l.uid : getuid() };

		err = learn(r, &in, &l, &out, d);
	}
	if (!err && r->merge)
		err = learn_file_merge_write(r->output, &l, r->l.drop, r->l.uid, r->l.gid,
					     &r->left_out, d);
	else if (!err)
		err = learn_file_write(r->output, &out, r->l.drop, r->l.uid, r->l.gid, d);
	if (!err)
		say_done(r, &l, t);
	learned_clear(&l);
	text_free(&out);
	compiled_free(base);
	compiled_free(secrets);
	policy_vars_clear(&vars);
	return err;
}

static void after(void *ctx, int control, uint64_t sandbox, int status)
{
	struct learner *r = ctx;
	struct trace t = { 0 };
	struct diag d = {};
	uint64_t untraced;
	int err;

	r->status = FAILED;
	if (control < 0)
		err = diag_set(&d, -EPIPE, "egressd went away: nothing was learned");
	else
		err = trace_fetch(control, json_integer((json_int_t)sandbox), &t, &untraced,
				  &r->status, &d);
	if (err == -ENODATA)
		(void)diag_set(&d, err, "egressd kept no trace of the run");
	if (!err)
		err = learn_from(r, &t, &d);
	if (err)
		diag_print(stderr, "egressctl learn", &d);
	else
		r->status = trace_incomplete(&t) || r->left_out ? 1 : 0;
	if (status)
		fprintf(stderr, "egressctl learn: the command did not end well: what it would have "
				"done is not known\n");
	trace_clear(&t);
}

/* ---- the command line ---------------------------------------------------------------------- */

#define AT(field) .at = offsetof(struct learner, field)

static const struct option_row rows[] = {
	{ "-o --output", "FILE", "the policy; default: standard output, after the command's",
	  .kind = OPTION_TEXT, AT(output) },
	{ "--base", "POLICY", "what it begins with (default: base); `secrets` is always added",
	  .kind = OPTION_TEXT, AT(base) },
	{ "--merge", NULL, "add what is missing to the FILE of an earlier run",
	  .kind = OPTION_FLAG, AT(merge) },
	{ "--name", "NAME", "what to call the sandbox in lists", .kind = OPTION_TEXT, AT(name) },
	{ "--json", NULL, "what was learned as JSON, on standard error", .kind = OPTION_FLAG,
	  AT(json) },
	{}
};

static const struct command_line line = {
	.name = "egressctl learn",
	.args = "[-o FILE] [OPTION]... [--] COMMAND [ARGUMENT]...",
	.about = "Run COMMAND in audit mode, in which nothing is refused, and write the smallest\n"
		 "readable policy that allows what it did. Give it trusted input: while it is\n"
		 "watched it can do what you can. Secrets and metadata addresses it asked for are\n"
		 "never allowed, but listed as questions.\n",
	.options = rows,
	.end = "Exit status: COMMAND's when it failed, and the policy is written all the same;\n"
	       "1: something it touched was not recorded, 2: usage, 125: it could not be done.\n",
	.wraps = true,
	.min = 1,
	.max = OPTIONS_ANY,
};

/* What is run: as `egressctl run --audit --trace -p …`. */
static int make_launch(struct learner *r, char **command, struct diag *d)
{
	char *argv[16], **full;
	int n = 0, argc = 0, i;
	bool help;

	argv[n++] = (char *)"learn";
	argv[n++] = (char *)"--audit";
	argv[n++] = (char *)"--trace";
	for (size_t k = 0; k < r->nextends; k++) {
		argv[n++] = (char *)"-p";
		argv[n++] = (char *)r->extends[k];
	}
	if (r->name) {
		argv[n++] = (char *)"--name";
		argv[n++] = (char *)r->name;
	}
	argv[n++] = (char *)"--";
	while (command[argc])
		argc++;
	full = calloc((size_t)(n + argc) + 1, sizeof(*full));
	if (!full)
		return diag_set(d, -ENOMEM, "out of memory");
	for (i = 0; i < n; i++)
		full[i] = argv[i];
	for (i = 0; i < argc; i++)
		full[n + i] = command[i];
	/* it points into `full`, which lives as long as the process */
	return launch_parse(&launch_egressctl, &r->l, n + argc, full, &help, d);
}

int cmd_learn(int argc, char **argv)
{
	struct learner r = { .base = "base" };
	struct diag d = {};
	int status;

	if (options_done(&line, &r, &argc, &argv, &status))
		return status;
	if (r.merge && !r.output)
		return options_bad(&line, "--merge needs --output FILE, to add to");
	if (learn_file_begin(r.output, &r.merge, r.base, r.extends, &r.nextends, &d) ||
	    make_launch(&r, argv, &d)) {
		diag_print(stderr, "egressctl learn", &d);
		return d.err == -ENOMEM ? FAILED : 2;
	}
	if (launch_sudo_user(&r.l, &d))
		return fail(&d);
	r.l.quiet = true;
	r.l.after = after;
	r.l.after_ctx = &r;
	r.status = FAILED;
	status = cmd_launch(&r.l);
	return status ? status : r.status;
}
