// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * egressctl init: look at the project in this directory and write a first policy for it.
 * What is found and how it becomes a text is in init.h; here are the words and the file.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "commands.h"
#include "compile.h"
#include "diag.h"
#include "event_text.h"
#include "init.h"
#include "launch.h"
#include "learn_file.h"
#include "options.h"
#include "policy_vars.h"
#include "print.h"
#include "put_file.h"
#include "ref.h"
#include "util.h"

#define FAILED 125
#define USAGE 2
#define OUTPUT "egressctl.yaml"
#define SHOWN 20u /* questions on standard error; the file has them all */

static const struct option_row rows[];

static const struct command_line line = {
	.name = "egressctl init",
	.args = "[OPTION]... [WORD]...",
	.about = "Look at the project in this directory and write a policy for it: what it is\n"
		 "built with, where its packages come from, which credentials lie in it. Hosts\n"
		 "that files of the project name are questions (lines that are commented out):\n"
		 "whoever wrote them may be who the sandbox is against. Nothing is run, and\n"
		 "nobody is asked over the network.\n",
	.options = rows,
	.end = "WORDS: npm pip cargo go maven c agent ci git-hosting apt container-registries "
	       "common-dependencies\n"
	       "The first six are kinds of projects; without one it is found out. agent is for a\n"
	       "coding agent, ci for a machine that is cleaned after each build; the others are\n"
	       "shipped policies of destinations.\n"
	       "\n"
	       "Exit status: 0 written, 2 bad usage, or the file is there, 125 it failed.\n",
	.max = OPTIONS_ANY,
};

struct init {
	const char *output;
	bool force, to_stdout, json;
	struct init_wish wish;
	char *shown, *inside; /* of init_wish */
	struct policy_vars vars;
	struct init_found found;
	struct text text;
	const char *extends[INIT_ECOS + 1];
	size_t nextends;
};

static const struct option_row rows[] = {
	{ "-o --output", "FILE", "the policy (default: egressctl.yaml)", .kind = OPTION_TEXT,
	  .at = offsetof(struct init, output) },
	{ "--force", NULL, "write over a file that is there", .kind = OPTION_FLAG,
	  .at = offsetof(struct init, force) },
	{ "--stdout", NULL, "print the policy, write no file", .kind = OPTION_FLAG,
	  .at = offsetof(struct init, to_stdout) },
	{ "--trust", NULL,
	  "hosts that the project names are rules, not questions:\n"
	  "for a project whose authors you trust", .kind = OPTION_FLAG,
	  .at = offsetof(struct init, wish.trust) },
	{ "--json", NULL, "one JSON object of what was found and written", .kind = OPTION_FLAG,
	  .at = offsetof(struct init, json) },
	{}
};

static int fail(const struct diag *d, int status)
{
	diag_print(stderr, "egressctl init", d);
	return status;
}

/* ---- words ------------------------------------------------------------------------------- */

static int bad_word(const char *word)
{
	struct nearest near = { .text = word };
	char name[64];

	nearest_try(&near, "agent");
	nearest_try(&near, "ci");
	for (size_t i = 1; i < INIT_ECOS; i++) {
		for (const char *s = init_ecos[i].names; *s; s += strspn(s, " ")) {
			size_t n = strcspn(s, " ");

			(void)snprintf(name, sizeof(name), "%.*s", (int)n, s);
			nearest_try(&near, name);
			s += n;
		}
	}
	return options_bad(&line, "'%s' is no kind of project%s", word, nearest_words(&near));
}

static int take_words(struct init_wish *w, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		size_t eco = init_eco_find(argv[i]);

		if (str_eq(argv[i], "agent")) {
			w->agent = true;
		} else if (str_eq(argv[i], "ci")) {
			w->ci = true;
		} else if (!eco || eco == INIT_ECOS) {
			return bad_word(argv[i]);
		} else {
			w->eco[eco] = true;
			w->any = true;
		}
	}
	if (w->agent && w->ci)
		return options_bad(&line, "'agent' and 'ci' are two policies to begin with: "
					  "expected "
					  "one of them");
	return 0;
}

/* ---- where it goes --------------------------------------------------------------------------- */

/* As part of the workspace, so that the policy can keep it from being changed. */
static int find_inside(struct init *in, const char *output)
{
	const char *slash = strrchr(output, '/');
	size_t n = strlen(in->vars.workdir);
	_cleanup_free_ char *dir = NULL, *real = NULL;

	dir = slash ? strndup(output, (size_t)(slash - output) + 1) : strdup(".");
	if (!dir)
		return -ENOMEM;
	real = realpath(dir, NULL);
	if (!real || strncmp(real, in->vars.workdir, n) || (real[n] && real[n] != '/'))
		return 0; /* elsewhere: what is inside cannot write there */
	if (asprintf(&in->inside, "%s%s%s", real[n] ? real + n + 1 : "", real[n] ? "/" : "",
		     slash ? slash + 1 : output) < 0) {
		in->inside = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* What -p takes for a path, in a form that a comment and a shell can have. */
static int set_shown(struct init *in, const char *output)
{
	_cleanup_free_ char *path = NULL;
	struct text t = { 0 };

	if (asprintf(&path, "%s%s", strchr(output, '/') ? "" : "./", output) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	text_add_escaped(&t, path, strlen(path));
	in->shown = t.p; /* freed as strings are */
	return t.failed ? -ENOMEM : 0;
}

static int set_output(struct init *in, struct diag *d)
{
	const char *output = in->output ? in->output : OUTPUT;
	struct stat st;

	if (!*output || str_ends(output, "/"))
		return diag_set(d, -EINVAL, "\"%s\" is no file: expected one to write", output);
	if (!in->to_stdout && !in->force && !lstat(output, &st))
		return diag_set(d, -EEXIST, "%s is there already: --force writes over it, --stdout "
					    "only prints", output);
	if (find_inside(in, output) || set_shown(in, output))
		return diag_set(d, -ENOMEM, "out of memory");
	in->wish.output = in->inside;
	in->wish.shown = in->shown;
	return 0;
}

/* ---- what there is to say ------------------------------------------------------------ */

static bool is_asked(const struct init_secret *s)
{
	return !s->closed && s->ask;
}

/* One question after the other, as a rule and where it comes from: how many. */
static size_t each_question(const struct init *in,
			    void (*fn)(void *ctx, const char *rule, const char *why), void *ctx)
{
	struct text t = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < in->found.nhosts; i++) {
		const struct init_host *h = &in->found.hosts[i];

		if (init_is_rule(h, &in->wish))
			continue;
		text_reset(&t);
		if (h->loopback) {
			text_add(&t, "loopback:");
			for (size_t k = 0; k < h->nports; k++)
				text_addf(&t, " %u", h->ports[k]);
		} else {
			text_add(&t, "allow: ");
			init_host_text(h, &t);
		}
		n++;
		if (fn && !t.failed)
			fn(ctx, t.p, h->why);
	}
	for (size_t i = 0; i < in->found.nsecrets; i++) {
		const struct init_secret *s = &in->found.secrets[i];

		if (!is_asked(s))
			continue;
		text_reset(&t);
		text_add(&t, "files: ");
		text_add_escaped(&t, s->path, strlen(s->path));
		text_add(&t, ": none");
		n++;
		if (fn && !t.failed)
			fn(ctx, t.p, s->what);
	}
	text_free(&t);
	return n;
}

static void print_question(void *ctx, const char *rule, const char *why)
{
	size_t *left = ctx;

	if (!*left)
		return;
	--*left;
	fprintf(stderr, "    %s  # %s\n", rule, why);
}

/* Directories that the sandbox may not make itself: "mkdir -p ~/.m2", or "". */
static void add_mkdir(const struct init *in, struct text *t)
{
	const struct init_found *f = &in->found;

	for (size_t i = 0; i < INIT_ECOS && !in->wish.ci && in->vars.home; i++) {
		for (size_t k = 0; k < INIT_CACHES && f->eco[i]; k++) {
			_cleanup_free_ char *path = NULL, *word = NULL;
			const char *tilde;
			struct stat st;

			if (!f->caches[i][k])
				continue;
			tilde = init_ecos[i].caches[k].path;
			if (asprintf(&word, " %.*s", (int)(strrchr(tilde, '/') - tilde), tilde) <
				    0 ||
			    asprintf(&path, "%s%s", in->vars.home, word + 2) < 0) {
				t->failed = true;
				return;
			}
			if (stat(path, &st) && !(t->len && strstr(t->p, word)))
				text_addf(t, "%s%s", t->len ? "" : "mkdir -p", word);
		}
	}
}

static size_t count_secrets(const struct init *in, bool closed)
{
	size_t n = 0;

	for (size_t i = 0; i < in->found.nsecrets; i++)
		n += in->found.secrets[i].closed == closed && !is_asked(&in->found.secrets[i]);
	return n;
}

static void say_kinds(const struct init *in)
{
	size_t n = 0;

	for (size_t i = 1; i < INIT_ECOS; i++) {
		if (!in->found.eco[i])
			continue;
		fprintf(stderr, "%s%s", n++ ? ", " : "", init_ecos[i].title);
		if (in->found.because[i])
			fprintf(stderr, " (%s)", in->found.because[i]);
	}
	if (!n)
		fprintf(stderr, "no kind of project that is known, so the general policy");
	for (size_t i = 1; i < INIT_ECOS; i++)
		if (!in->found.eco[i] && in->found.because[i])
			fprintf(stderr, "; not asked for: %s (%s)", init_ecos[i].title,
				in->found.because[i]);
	fputc('\n', stderr);
}

static void say(const struct init *in, const char *mkdir)
{
	size_t shown = SHOWN, questions = each_question(in, NULL, NULL);

	fprintf(stderr, "egressctl init: %s: ", in->to_stdout ? "policy" : in->shown);
	say_kinds(in);
	for (size_t i = 0; i < in->found.nnotes; i++)
		fprintf(stderr, "egressctl init: %s\n", in->found.notes[i]);
	if (in->found.nsecrets)
		fprintf(stderr,
			"egressctl init: credentials lie in the project: %zu closed by what is "
			"extended, %zu by the policy\n",
			count_secrets(in, true), count_secrets(in, false));
	if (in->found.secrets_left)
		fprintf(stderr, "egressctl init: %zu more credentials are not closed\n",
			in->found.secrets_left);
	if (questions)
		fprintf(stderr, "egressctl init: not in force, for you to decide:\n");
	(void)each_question(in, print_question, &shown);
	if (questions > SHOWN)
		fprintf(stderr, "    and %zu more\n", questions - SHOWN);
	fprintf(stderr, "egressctl init: next:\n");
	if (*mkdir)
		fprintf(stderr, "    %s\n", mkdir);
	fprintf(stderr, "    egressctl check %s\n    egressctl run -v -p %s -- %s\n", in->shown,
		in->shown, in->found.build ? in->found.build : "COMMAND");
}

static void json_question(void *ctx, const char *rule, const char *why)
{
	(void)json_array_append_new(ctx, json_pack("{s:s, s:s}", "rule", rule, "why", why));
}

static json_t *json_secrets(const struct init_found *f)
{
	json_t *list = json_array();
	struct text t = { 0 };

	for (size_t i = 0; i < f->nsecrets; i++) {
		const struct init_secret *s = &f->secrets[i];

		text_reset(&t);
		text_add_safe(&t, s->path);
		if (!t.failed)
			(void)json_array_append_new(
				list, json_pack("{s:s, s:s, s:b, s:b}", "path", t.p, "what",
						s->what, "closed", !is_asked(s), "extended",
						(int)s->closed));
	}
	text_free(&t);
	return list;
}

static json_t *json_strings(const char *const *s, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_string(s[i]));
	return list;
}

static json_t *json_kinds(const struct init_found *f)
{
	json_t *list = json_array();

	for (size_t i = 1; i < INIT_ECOS; i++)
		if (f->eco[i])
			(void)json_array_append_new(list, json_pack("{s:s, s:s?}", "kind",
								    init_ecos[i].title, "because",
								    f->because[i]));
	return list;
}

static int say_json(const struct init *in, const char *mkdir)
{
	json_t *questions = json_array(), *j;
	int err;

	(void)each_question(in, json_question, questions);
	j = json_pack("{s:s?, s:s?, s:o, s:o, s:o, s:o, s:o, s:s?, s:s?}", "output",
		      in->to_stdout ? NULL : in->shown, "policy",
		      in->to_stdout ? in->text.p : NULL, "kinds", json_kinds(&in->found),
		      "extends", json_strings(in->extends, in->nextends), "questions", questions,
		      "secrets", json_secrets(&in->found), "notes",
		      json_strings((const char *const *)in->found.notes, in->found.nnotes),
		      "prepare", *mkdir ? mkdir : NULL, "build", in->found.build);
	err = print_json(stdout, j, JSON_COMPACT);
	json_decref(j);
	return err;
}

/* ---- the command --------------------------------------------------------------------- */

/* The project and what is written are the user's, who may not have what root has. */
static int become_user(struct diag *d)
{
	struct launch l = { 0 };
	int err = launch_sudo_user(&l, d);

	if (!err && l.drop && (initgroups(l.user, l.gid) || setgid(l.gid) || setuid(l.uid)))
		err = diag_set(d, -errno, "cannot become user %s: %s", l.user, strerror(errno));
	free((char *)l.user);
	free((char *)l.home);
	return err;
}

/* Whatever was found, what is written is a policy that `check` accepts. */
static int compose(struct init *in, struct diag *d)
{
	struct compiled *base = NULL, *c = NULL;
	int err = init_find(&in->vars, &in->wish, &in->found, d);

	if (err)
		return err;
	in->nextends = init_extends(&in->found, &in->wish, in->extends);
	err = learn_file_base(in->extends, in->nextends, &in->vars, &base, d);
	if (err)
		return err;
	err = init_cover(&in->found, base, &in->vars);
	if (!err)
		err = init_text(&in->found, &in->wish, &in->text);
	compiled_free(base);
	if (err)
		return diag_set(d, err, "out of memory");
	err = learn_file_compile(in->text.p, &in->vars, &c, d);
	compiled_free(c);
	return err;
}

static int write_policy(const struct init *in, struct diag *d)
{
	const char *output = in->output ? in->output : OUTPUT;
	int err;

	if (in->to_stdout) {
		if (in->json)
			return 0; /* it is part of that */
		if (fwrite(in->text.p, 1, in->text.len, stdout) == in->text.len && !fflush(stdout))
			return 0;
		return diag_set(d, -EIO, "cannot write the policy");
	}
	err = put_file(output, in->text.p, in->text.len, !in->force);
	if (err == -EEXIST)
		return diag_set(d, err, "%s is there by now: --force writes over it", output);
	return err ? diag_set(d, err, "cannot write %s: %s", output, strerror(-err)) : 0;
}

static int run(struct init *in)
{
	struct text mkdir = { 0 };
	struct diag d = {};
	int err = become_user(&d);

	if (!err)
		err = policy_vars_bind(&in->vars, NULL, getuid(), &d);
	if (err)
		return fail(&d, FAILED);
	if (in->vars.workdir_why) {
		(void)diag_set(&d, -EINVAL, "%s", in->vars.workdir_why);
		return fail(&d, USAGE);
	}
	err = set_output(in, &d);
	if (err)
		return fail(&d, err == -ENOMEM ? FAILED : USAGE);
	if (compose(in, &d) || write_policy(in, &d))
		return fail(&d, d.err == -EEXIST ? USAGE : FAILED);
	add_mkdir(in, &mkdir);
	err = mkdir.failed;
	if (!err && in->json)
		err = say_json(in, mkdir.len ? mkdir.p : "");
	else if (!err)
		say(in, mkdir.len ? mkdir.p : "");
	text_free(&mkdir);
	return err ? FAILED : 0;
}

int cmd_init(int argc, char **argv)
{
	struct init in = { 0 };
	int status;

	if (options_done(&line, &in, &argc, &argv, &status))
		return status;
	if (in.output && in.to_stdout)
		return options_bad(&line, "--output and --stdout: expected one of them");
	status = take_words(&in.wish, argc, argv);
	if (!status)
		status = run(&in);
	free(in.shown);
	free(in.inside);
	text_free(&in.text);
	init_found_clear(&in.found);
	policy_vars_clear(&in.vars);
	return status;
}
