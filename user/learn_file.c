// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compile.h"
#include "diag.h"
#include "event_text.h"
#include "learn.h"
#include "learn_file.h"
#include "policy.h"
#include "policy_edit.h"
#include "put_file.h"
#include "util.h"

#define TEXT_NAME "(learned)" /* what messages call a text that is no file yet */

/* ---- policies -------------------------------------------------------------------------- */

/* A text that is at hand, and files for all that it extends. */
static int read_text(void *ctx, const char *name, const char *from, char **path, char **text,
		     size_t *len, struct diag *d)
{
	const char *first = ctx;

	if (from || !str_eq(name, TEXT_NAME))
		return policy_reader_files.read(policy_reader_files.ctx, name,
						from && str_eq(from, TEXT_NAME) ? NULL : from, path,
						text, len, d);
	*path = strdup(TEXT_NAME);
	*text = strdup(first);
	*len = strlen(first);
	if (*path && *text)
		return 0;
	free(*path);
	free(*text);
	return diag_set(d, -ENOMEM, "out of memory");
}

int learn_file_compile(const char *text, const struct policy_vars *v, struct compiled **out,
		       struct diag *d)
{
	struct policy_reader rd = { read_text, (void *)text };
	struct policy *p = NULL;
	int err = policy_load(TEXT_NAME, &rd, &p, d);

	if (!err)
		err = policy_compile(p, v, out, d);
	policy_free(p);
	return err;
}

int learn_file_base(const char *const *extends, size_t n, const struct policy_vars *v,
		    struct compiled **out, struct diag *d)
{
	struct text t = { 0 };
	int err;

	text_add(&t, "version: 1\nextends: [");
	for (size_t i = 0; i < n; i++) {
		text_add(&t, i ? ", " : "");
		(void)text_add_json(&t, extends[i], strlen(extends[i]));
	}
	text_add(&t, "]\n");
	err = t.failed ? diag_set(d, -ENOMEM, "out of memory") :
			 learn_file_compile(t.p, v, out, d);
	text_free(&t);
	return err;
}

/*
 * The workspace and the home are named, because `secrets` closes /root for others than
 * root; what it closes in them stays closed.
 */
int learn_file_secrets(const struct policy_vars *v, struct compiled **out, struct diag *d)
{
	return learn_file_compile("version: 1\nextends: [secrets]\nfiles:\n  default: rwxc\n"
				  "  \"${WORKDIR}\": rwxc\n  \"~\": rwxc\n  \"${TMPDIR}\": rwxc\n",
				  v, out, d);
}

/* ---- before the run ---------------------------------------------------------------------- */

/* A name as it is; a path from the root, so that it means the same in another directory. */
static const char *name_of(const char *policy, struct diag *d)
{
	char *path;

	if (!strchr(policy, '/'))
		return policy;
	path = realpath(policy, NULL);
	if (!path)
		(void)diag_set(d, -errno, "%s: %s", policy, strerror(errno));
	return path;
}

static int has_secrets(const char *policy, bool *has, struct diag *d)
{
	struct policy *p = NULL;
	int err = policy_load(policy, NULL, &p, d);

	*has = str_eq(policy, "secrets");
	for (size_t i = 0; !err && i < p->nsources; i++)
		*has |= str_eq(p->sources[i].name, "secrets");
	policy_free(p);
	return err;
}

int learn_file_begin(const char *output, bool *merge, const char *base, const char *extends[2],
		     size_t *n, struct diag *d)
{
	char dotted[PATH_MAX];
	bool has = false;
	int err;

	*n = 0;
	if (output && !access(output, F_OK)) {
		if (!*merge)
			return diag_set(d, -EEXIST, "%s is there already: --merge adds to it, or "
						    "remove it", output);
		if (snprintf(dotted, sizeof(dotted), "%s%s", strchr(output, '/') ? "" : "./",
			     output) >= (int)sizeof(dotted))
			return diag_set(d, -ENAMETOOLONG, "the path is too long: %s", output);
		base = dotted;
	} else {
		*merge = false;
	}
	extends[0] = name_of(base, d);
	if (!extends[0])
		return d->err;
	*n = 1;
	err = has_secrets(extends[0], &has, d);
	if (err || has)
		return err;
	extends[(*n)++] = "secrets";
	return 0;
}

/* ---- merging ------------------------------------------------------------------------------- */

static int read_file(const char *file, char **text, size_t *len, struct diag *d)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	char *buf = f ? malloc(POLICY_MAX_BYTES + 1) : NULL;

	if (!buf)
		return diag_set(d, -errno, "%s: %s", file, strerror(errno));
	*len = fread(buf, 1, POLICY_MAX_BYTES + 1, f);
	if (ferror(f) || *len > POLICY_MAX_BYTES) {
		free(buf);
		return diag_set(d, -EFBIG, "%s: cannot be read, or is too large", file);
	}
	buf[*len] = '\0';
	*text = buf;
	return 0;
}

/* Not even `own` is in a list that is new, when nothing that it extends has it. */
static int needs_own(const char *text, bool *own, struct diag *d)
{
	struct policy_reader rd = { read_text, (void *)text };
	struct policy *p = NULL;
	int err = policy_load(TEXT_NAME, &rd, &p, d);

	*own = !err && !p->loopback.at.file;
	policy_free(p);
	return err;
}

/* One rule in the words of policy_edit.h. 0; 1: it cannot be; or -ENOMEM. */
static int put_words(const char *file, const char *words, const char *why, char **text,
		     size_t *len, struct diag *d)
{
	char *more = NULL;
	size_t n = 0;
	int err = policy_edit_add(file, *text, *len, words, why, &more, &n, NULL);

	if (err == -ENOMEM)
		return diag_set(d, err, "out of memory");
	if (!err) {
		free(*text);
		*text = more;
		*len = n;
	}
	return err < 0;
}

static int put_rule(const char *file, const struct learn_rule *r, char **text, size_t *len,
		    struct diag *d)
{
	struct text words = { 0 };
	bool own = false;
	int err = 0;

	if (r->kind == LEARN_LOOPBACK)
		err = needs_own(*text, &own, d);
	if (!err && own)
		err = put_words(file, "loopback own", NULL, text, len, d);
	if (!err && (!learn_rule_words(r, &words) || words.failed))
		err = words.failed ? diag_set(d, -ENOMEM, "out of memory") : 1;
	if (!err)
		err = put_words(file, words.p, r->why, text, len, d);
	text_free(&words);
	return err;
}

/* left[i] (may be NULL): rules[i] cannot be in it. */
static int put_rules(const char *file, const struct learned *l, bool *left, char **text,
		     size_t *len, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < l->nrules && err >= 0; i++) {
		err = put_rule(file, &l->rules[i], text, len, d);
		if (left)
			left[i] = err > 0;
	}
	return MIN(err, 0);
}

int learn_file_merge(const char *file, const struct learned *l, struct text *out, struct diag *d)
{
	char *text = NULL;
	size_t len = 0;
	int err = read_file(file, &text, &len, d);

	if (!err)
		err = put_rules(file, l, NULL, &text, &len, d);
	text_reset(out);
	if (!err) {
		text_add_bytes(out, text, len);
		if (out->failed)
			err = diag_set(d, -ENOMEM, "out of memory");
	}
	free(text);
	return err;
}

struct merge {
	const struct learned *l;
	bool *left;
};

static int merge_into(void *ctx, const char *file, const char *text, size_t len, char **out,
		      size_t *out_len, struct diag *d)
{
	const struct merge *m = ctx;
	char *copy = malloc(len + 1);
	int err;

	if (!copy)
		return diag_set(d, -ENOMEM, "out of memory");
	memcpy(copy, text, len);
	copy[len] = '\0';
	*out_len = len;
	err = put_rules(file, m->l, m->left, &copy, out_len, d);
	if (!err && *out_len == len && !memcmp(copy, text, len))
		err = 1;
	if (err)
		free(copy);
	else
		*out = copy;
	return err;
}

static size_t say_left(const char *file, const struct merge *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->l->nrules; i++) {
		const struct learn_rule *r = &m->l->rules[i];

		if (!m->left[i])
			continue;
		n++;
		fprintf(stderr, "egressctl learn: add to %s by hand (a rule there is in the way): "
				"%s%s%s%s\n", file, r->text, r->options ? " {" : "",
			r->options ? r->options : "", r->options ? "}" : "");
	}
	return n;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Under sudo the directory is the user's, and so is what may lie in the way there. */
static int become(bool drop, uid_t uid, gid_t gid, struct diag *d)
{
	if (drop && (setegid(gid) || seteuid(uid)))
		return diag_set(d, -errno, "cannot become the user: %s", strerror(errno));
	return 0;
}

static void become_root(bool drop)
{
	if (drop && (seteuid(0) || setegid(0)))
		abort(); /* what comes next would run with the wrong rights */
}

int learn_file_write(const char *file, const struct text *t, bool drop, uid_t uid, gid_t gid,
		     struct diag *d)
{
	int err;

	if (!file) {
		err = fwrite(t->p, 1, t->len, stdout) == t->len && !fflush(stdout) ? 0 : -EIO;
		return err ? diag_set(d, err, "cannot write the policy") : 0;
	}
	err = become(drop, uid, gid, d);
	if (err)
		return err;
	err = put_file(file, t->p, t->len, false);
	become_root(drop);
	return err ? diag_set(d, err, "cannot write %s: %s", file, strerror(-err)) : 0;
}

int learn_file_merge_write(const char *file, const struct learned *l, bool drop, uid_t uid,
			   gid_t gid, size_t *left_out, struct diag *d)
{
	_cleanup_free_ bool *left = calloc(l->nrules + 1, sizeof(*left));
	struct merge m = { l, left };
	int err;

	*left_out = 0;
	if (!left)
		return diag_set(d, -ENOMEM, "out of memory");
	err = become(drop, uid, gid, d);
	if (err)
		return err;
	err = policy_change(file, merge_into, &m, d);
	become_root(drop);
	if (err < 0)
		return err;
	*left_out = say_left(file, &m);
	return 0;
}
