/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl setup --boot`: BPF LSM from the next boot on, and back. See docs/boot.md. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "boot.h"
#include "commands.h"
#include "diag.h"
#include "options.h"
#include "print.h"
#include "util.h"

#define UNDO "egressctl setup --boot --undo"

struct options {
	bool boot, undo, dry_run, yes, json;
	const char *root, *lsm;
};

static const struct option_row rows[] = {
	{ "--boot", NULL, "the boot loader: BPF LSM from the next boot on", .kind = OPTION_FLAG,
	  .at = offsetof(struct options, boot) },
	{ "--undo", NULL, "take back what it did, and nothing else", .kind = OPTION_FLAG,
	  .at = offsetof(struct options, undo) },
	{ "--dry-run", NULL, "only show what would be changed", .kind = OPTION_FLAG,
	  .at = offsetof(struct options, dry_run) },
	{ "-y --yes", NULL, "do not ask", .kind = OPTION_FLAG,
	  .at = offsetof(struct options, yes) },
	{ "--lsm", "LIST", "the list that bpf is added to, not the running one",
	  .kind = OPTION_TEXT, .at = offsetof(struct options, lsm) },
	{ "--root", "DIR", "the system below DIR, such as a mounted image",
	  .kind = OPTION_TEXT, .at = offsetof(struct options, root) },
	{ "--json", NULL, "print what is changed as JSON; with --yes or --dry-run",
	  .kind = OPTION_FLAG, .at = offsetof(struct options, json) },
	{}
};

static const struct command_line line = {
	.name = "egressctl setup",
	.args = "--boot [--undo] [--dry-run | --yes] [--lsm LIST] [--root DIR] [--json]",
	.about = "A kernel without bpf in its list of security modules cannot enforce path\n"
		 "rules. setup --boot adds it to the list that is running, in the configuration\n"
		 "of GRUB (" BOOT_DROPIN ") and in the entries\n"
		 "of systemd-boot; it shows what it changes, and asks. A reboot makes it true,\n"
		 "and egressctl doctor says whether it is. Only writing needs root.\n",
	.options = rows,
	.end = "Exit status: 0 done, shown, or nothing is left to do; 1 bpf is active already, or\n"
	       "the answer was no; 2 usage; 125 failed, and nothing is changed.\n",
};

/* ---- text --------------------------------------------------------------------------------- */

static const char *prefix(const struct boot *b)
{
	return str_eq(b->root_name, "/") ? "" : b->root_name;
}

/* "systemd-boot has it with this", "then update-grub makes the menu" */
static void print_plan(const struct boot *b)
{
	if (b->undo)
		printf("What egressctl changed for BPF LSM is taken back:\n");
	else if (b->running)
		printf("The kernel runs with  lsm=%s\nand boots with        lsm=%s:\n", b->running,
		       b->list);
	else
		printf("The kernel boots with lsm=%s:\n", b->list);
	for (size_t i = 0; i < b->n; i++) {
		const struct boot_change *c = &b->changes[i];
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s%s", prefix(b), c->path) < 0)
			path = NULL;
		boot_diff(stdout, path ?: c->path, c->old, c->new);
	}
	if (b->grub)
		printf("then update-grub%s\n", *prefix(b) ? ", to be run in that system" : "");
}

static void print_notes(const struct boot *b)
{
	const json_t *note;
	size_t i;

	json_array_foreach(b->notes, i, note) {
		(void)fprintf(stderr, "egressctl: note: ");
		print_safe(stderr, json_string_value(note));
		(void)fputc('\n', stderr);
	}
}

static void print_done(const struct boot *b)
{
	if (b->grub && *prefix(b))
		printf("Now run update-grub in that system.\n");
	if (b->undo)
		printf("Taken back. The next boot is as it was before.\n");
	else
		printf("Done. Reboot, then see: egressctl doctor. To take it back: " UNDO "\n");
}

static void print_idle(const struct boot *b)
{
	if (b->undo)
		printf("There is nothing to take back.\n");
	else
		printf("The boot loader has bpf in its list already. Reboot, then see: egressctl "
		       "doctor\n");
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void print_as_json(const struct boot *b, bool done, int err, const struct diag *d)
{
	json_t *changes = json_array(), *j;

	for (size_t i = 0; i < b->n; i++)
		(void)json_array_append_new(
			changes, json_pack("{s:s, s:s?, s:s?}", "path", b->changes[i].path, "old",
					   b->changes[i].old, "new", b->changes[i].new));
	j = json_pack("{s:s?, s:s?, s:o, s:b, s:b, s:O, s:s?}", "running", b->running, "lsm",
		      b->list, "changes", changes, "update_grub", b->grub, "done", done, "notes",
		      b->notes, "error", err ? d->msg : NULL);
	(void)print_json(stdout, j, JSON_INDENT(2));
	json_decref(j);
}

/* ---- the command -------------------------------------------------------------------------- */

/* 0: yes */
static int ask(struct diag *d)
{
	char answer[16];

	if (!isatty(STDIN_FILENO))
		return diag_set(d, -ECANCELED, "nothing is changed: nobody can be asked, standard "
				"input is no terminal; with --yes it is done without asking");
	(void)fflush(stdout);
	(void)fprintf(stderr, "Change this? [y/N] ");
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return 0;
	return diag_set(d, -ECANCELED, "nothing is changed");
}

static int change(struct boot *b, const struct options *o, struct diag *d)
{
	int err = 0;

	if (!*prefix(b) && geteuid())
		err = diag_set(d, -EPERM, "nothing is changed: root is needed for that");
	if (!err && !o->yes)
		err = ask(d);
	(void)fflush(stdout); /* before what update-grub says */
	return err ?: boot_apply(b, d);
}

static int setup(struct boot *b, const struct options *o, bool *done, struct diag *d)
{
	int err = boot_open(b, o->root ?: "/", d);

	if (!err && !*prefix(b))
		b->update_grub = boot_update_grub;
	if (!err)
		err = o->undo ? boot_plan_undo(b, d) : boot_plan_setup(b, o->lsm, d);
	if (err)
		return err;
	if (!o->json && !boot_idle(b))
		print_plan(b);
	if (o->dry_run || boot_idle(b))
		return 0;
	err = change(b, o, d);
	*done = !err;
	return err;
}

static int check_options(const struct options *o)
{
	if (!o->boot)
		return options_bad(&line, "say what to set up: --boot");
	if (o->undo && o->lsm)
		return options_bad(&line, "--undo knows what it takes back: leave --lsm out");
	if (o->dry_run && o->yes)
		return options_bad(&line, "--dry-run changes nothing: leave --yes out");
	if (o->json && !o->dry_run && !o->yes)
		return options_bad(&line, "--json asks nothing: give --yes or --dry-run too");
	return 0;
}

int cmd_setup(int argc, char **argv)
{
	struct options o = {};
	struct boot b = { .root = -1 };
	struct diag d = {};
	bool done = false;
	int status, err;

	if (options_done(&line, &o, &argc, &argv, &status))
		return status;
	status = check_options(&o);
	if (status)
		return status;
	err = setup(&b, &o, &done, &d);
	if (o.json)
		print_as_json(&b, done, err, &d);
	else if (!err && boot_idle(&b))
		print_idle(&b);
	else if (done)
		print_done(&b);
	(void)fflush(stdout);
	print_notes(&b);
	boot_close(&b);
	if (!err)
		return 0;
	diag_print(stderr, "egressctl", &d);
	return err == -EALREADY || err == -ECANCELED ? 1 : 125;
}
