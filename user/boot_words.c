/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lists of security modules, kernel command lines and the files that hold them, as texts. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "boot.h"
#include "diag.h"
#include "util.h"

#define LSM "lsm="
#define BPF "bpf"
#define INTEGRITY "integrity"
#define BLANKS " \t"
#define OPTIONS "options"
#define OPTIONS_LINE OPTIONS "    " /* as kernel-install writes it */
#define DROPIN_HEAD \
	"# Written by `egressctl setup --boot`; `egressctl setup --boot --undo` removes it.\n" \
	"# BPF LSM behind what ran before: the last lsm= of a command line counts. Recovery\n" \
	"# mode boots without it.\n" \
	"GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT " LSM
#define DROPIN_TAIL "\"\n"

/* A part of a text. */
struct part {
	const char *p;
	size_t len;
};

/* ---- lists ------------------------------------------------------------------------------ */

/* The next name of a list; *list goes on behind it. false: there is none. */
static bool next_name(const char **list, struct part *name)
{
	if (!**list)
		return false;
	name->p = *list;
	name->len = strcspn(*list, ",");
	*list += name->len + ((*list)[name->len] == ',');
	return true;
}

static bool has_name(const char *list, const struct part *name)
{
	struct part other;

	while (next_name(&list, &other))
		if (other.len == name->len && !memcmp(other.p, name->p, name->len))
			return true;
	return false;
}

bool boot_list_has(const char *list, const char *module)
{
	const struct part name = { module, strlen(module) };

	return has_name(list, &name);
}

int boot_list_check(const char *list, struct diag *d)
{
	const char *rest = list;
	struct part name;

	if (*list && list[strlen(list) - 1] == ',')
		return diag_set(d, -EINVAL, "'%s' is no list of security modules: it ends with a "
				"comma", list);
	while (next_name(&rest, &name)) {
		for (size_t i = 0; i < name.len; i++)
			if (!isalnum((unsigned char)name.p[i]) && !strchr("_-", name.p[i]))
				return diag_set(d, -EINVAL,
						"'%s' is no list of security modules: expected "
						"names with commas between them, as in "
						"landlock,lockdown,yama", list);
		if (!name.len)
			return diag_set(d, -EINVAL, "'%s' is no list of security modules: a name "
					"is missing", list);
		if (has_name(rest, &name))
			return diag_set(d, -EINVAL, "'%s' is no list of security modules: %.*s "
					"is there twice", list, (int)name.len, name.p);
	}
	return 0;
}

/* Those of `more` that are not there; bpf is last, and not for here. */
static int add_names(char **list, const char *more)
{
	struct part name;
	char *longer;

	while (next_name(&more, &name)) {
		if (!name.len || has_name(*list, &name) ||
		    (name.len == strlen(BPF) && !memcmp(name.p, BPF, name.len)))
			continue;
		if (asprintf(&longer, "%s%s%.*s", *list, **list ? "," : "", (int)name.len,
			     name.p) < 0)
			return -ENOMEM;
		free(*list);
		*list = longer;
	}
	return 0;
}

char *boot_list_make(const char *running, const char *cmdline)
{
	_cleanup_free_ char *asked = boot_cmdline_list(cmdline), *list = strdup("");
	char *out;

	if (!asked || !list || add_names(&list, running) ||
	    add_names(&list, *asked ? asked : INTEGRITY) ||
	    asprintf(&out, "%s%s" BPF, list, *list ? "," : "") < 0)
		return NULL;
	return out;
}

/* ---- command lines ---------------------------------------------------------------------- */

/* The next word of a command line of `end - *p` bytes: blanks within "" are of it. */
static bool next_word(const char **p, const char *end, struct part *word)
{
	bool quoted = false;

	while (*p < end && strchr(BLANKS, **p))
		++*p;
	word->p = *p;
	while (*p < end && (quoted || !strchr(BLANKS, **p))) {
		quoted ^= **p == '"';
		++*p;
	}
	word->len = (size_t)(*p - word->p);
	return word->len > 0;
}

static bool is_lsm(const struct part *word)
{
	return word->len >= strlen(LSM) && !memcmp(word->p, LSM, strlen(LSM));
}

/* The list of the word, which may be lsm="LIST". */
static struct part list_of(const struct part *word)
{
	struct part list = { word->p + strlen(LSM), word->len - strlen(LSM) };

	if (list.len && *list.p == '"') {
		list.p++;
		list.len--;
	}
	if (list.len && list.p[list.len - 1] == '"')
		list.len--;
	return list;
}

static bool word_has_bpf(const struct part *word)
{
	const struct part list = list_of(word);
	_cleanup_free_ char *names = strndup(list.p, list.len);

	return names && boot_list_has(names, BPF);
}

static bool same(const struct part *word, const char *text)
{
	return strlen(text) == word->len && !memcmp(word->p, text, word->len);
}

/* What is behind the word "--" is for init: the line ends before it. */
static bool cut(struct part *line)
{
	const char *p = line->p, *end = line->p + line->len;
	struct part word;

	while (next_word(&p, end, &word))
		if (same(&word, "--")) {
			line->len = (size_t)(word.p - line->p);
			line->len -= line->len > 0;
			return true;
		}
	return false;
}

/* The last lsm= of a line; *found is not changed when it has none. */
static void last_lsm(const struct part *line, struct part *found)
{
	const char *p = line->p, *end = line->p + line->len;
	struct part word;

	while (next_word(&p, end, &word))
		if (is_lsm(&word))
			*found = word;
}

char *boot_cmdline_list(const char *cmdline)
{
	struct part line = { cmdline, strcspn(cmdline, "\n") };
	struct part word = {}, list = { "", 0 };

	(void)cut(&line);
	last_lsm(&line, &word);
	if (word.p)
		list = list_of(&word);
	return strndup(list.p, list.len);
}

/* ---- files with command lines ------------------------------------------------------------- */

/* The next line without its end; false: there is none. */
static bool next_line(const char **text, struct part *line)
{
	if (!**text)
		return false;
	line->p = *text;
	line->len = strcspn(*text, "\n");
	*text += line->len + ((*text)[line->len] == '\n');
	if (line->len && line->p[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* What of a line is command line. */
static bool command_part(enum boot_text kind, struct part *line)
{
	size_t blanks = 0;

	while (blanks < line->len && strchr(BLANKS, line->p[blanks]))
		blanks++;
	line->p += blanks;
	line->len -= blanks;
	if (kind == BOOT_TEXT_CMDLINE)
		return !line->len || *line->p != '#';
	if (line->len < strlen(OPTIONS) || memcmp(line->p, OPTIONS, strlen(OPTIONS)))
		return false;
	line->p += strlen(OPTIONS);
	line->len -= strlen(OPTIONS);
	return !line->len || strchr(BLANKS, *line->p);
}

/* `from` with `len` bytes at `at` replaced. */
static char *splice(const char *from, const char *at, size_t len, const char *before,
		    const char *by)
{
	char *out;

	return asprintf(&out, "%.*s%s%s%s", (int)(at - from), from, before, by, at + len) < 0 ?
	       NULL : out;
}

/* Into the list of a word. */
static int add_to_word(const char *text, const struct part *word, char **out, char **was,
		       char **is)
{
	const struct part list = list_of(word);
	const char *end = list.p + list.len;
	const char *bpf = list.len ? "," BPF : BPF;

	*was = strndup(word->p, word->len);
	*is = *was ? splice(*was, *was + (end - word->p), 0, "", bpf) : NULL;
	*out = splice(text, end, 0, "", bpf);
	return *was && *is && *out ? 0 : -ENOMEM;
}

int boot_text_add(enum boot_text kind, const char *text, const char *list, char **out, char **was,
		  char **is)
{
	struct part line, word = {}, last = {};
	const char *rest = text;
	bool ended = false;
	int err;

	while (!ended && next_line(&rest, &line)) {
		if (!command_part(kind, &line))
			continue;
		ended = cut(&line);
		last_lsm(&line, &word);
		/* the last that has words; in front of an "--" alone there is no room */
		if (line.len || (!last.p && (!ended || kind == BOOT_TEXT_ENTRY)))
			last = line;
	}
	if (word.p && word_has_bpf(&word))
		return 1;
	*out = *was = *is = NULL;
	if (word.p) {
		err = add_to_word(text, &word, out, was, is);
	} else {
		err = asprintf(is, LSM "%s", list) < 0 ? -ENOMEM : 0;
		if (err)
			*is = NULL;
		else if (last.p)
			*out = splice(text, last.p + last.len, 0, " ", *is);
		else if (asprintf(out, "%s%s\n%s", kind == BOOT_TEXT_ENTRY ? OPTIONS_LINE : "",
				  *is, text) < 0)
			*out = NULL;
		err = *out ? err : -ENOMEM;
	}
	if (!err)
		return 0;
	free(steal_ptr(*out));
	free(steal_ptr(*was));
	free(steal_ptr(*is));
	return err;
}

/* Was the whole line made for the word? Then it is that with its end. */
static bool own_line(enum boot_text kind, const char *text, const struct part *word,
		     struct part *line)
{
	const char *head = kind == BOOT_TEXT_ENTRY ? OPTIONS_LINE : "";
	size_t n = strlen(head);

	line->p = word->p - n;
	line->len = n + word->len + 1;
	return (size_t)(word->p - text) == n && !memcmp(text, head, n) &&
	       word->p[word->len] == '\n';
}

int boot_text_take(enum boot_text kind, const char *text, const char *was, const char *is,
		   char **out)
{
	struct part line, word, found = {};
	const char *rest = text, *p;

	while (next_line(&rest, &line)) {
		if (!command_part(kind, &line))
			continue;
		for (p = line.p; next_word(&p, line.p + line.len, &word);)
			if (same(&word, is))
				found = word;
	}
	if (!found.p)
		return 1;
	if (was) {
		*out = splice(text, found.p, found.len, "", was);
	} else if (own_line(kind, text, &found, &line)) {
		*out = splice(text, line.p, line.len, "", "");
	} else {
		/* with the blank that was put before it */
		if (found.p > text && strchr(BLANKS, found.p[-1])) {
			found.p--;
			found.len++;
		}
		*out = splice(text, found.p, found.len, "", "");
	}
	return *out ? 0 : -ENOMEM;
}

/* ---- GRUB --------------------------------------------------------------------------------- */

/* linux, linux16, linuxefi */
static bool boots_kernel(const struct part *line)
{
	const char *p = line->p, *end = line->p + line->len;
	struct part word;

	return next_word(&p, end, &word) &&
	       (same(&word, "linux") || same(&word, "linux16") || same(&word, "linuxefi"));
}

void boot_grub_count(const char *text, size_t *with, size_t *all)
{
	struct part line;

	*with = *all = 0;
	while (next_line(&text, &line)) {
		struct part word = {};

		if (!boots_kernel(&line))
			continue;
		(void)cut(&line);
		last_lsm(&line, &word);
		++*all;
		*with += word.p && word_has_bpf(&word);
	}
}

char *boot_dropin_text(const char *list)
{
	char *out;

	return asprintf(&out, DROPIN_HEAD "%s" DROPIN_TAIL, list) < 0 ? NULL : out;
}

bool boot_dropin_ours(const char *text)
{
	_cleanup_free_ char *list = NULL;
	size_t n;

	if (!str_starts(text, DROPIN_HEAD))
		return false;
	text += strlen(DROPIN_HEAD);
	n = strcspn(text, "\"");
	list = strndup(text, n);
	return list && str_eq(text + n, DROPIN_TAIL) && !boot_list_check(list, NULL);
}
