/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is to be changed so that the next boot has BPF LSM, and doing it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <jansson.h>

#include "boot.h"
#include "diag.h"
#include "host.h"
#include "rooted.h"
#include "util.h"

#define BPF "bpf"
#define VENDOR_CMDLINE "/usr/lib/kernel/cmdline"
#define LSM_FILE "/sys/kernel/security/lsm"
#define LIST_MAX 512

static int no_memory(struct diag *d)
{
	return diag_set(d, -ENOMEM, "out of memory");
}

void boot_note(struct boot *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_array_append_new(b->notes, json_string(text)); /* one less, for want of memory */
}

int boot_open(struct boot *b, const char *root, struct diag *d)
{
	*b = (struct boot){ .root_name = root };
	b->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->root < 0)
		return diag_set(d, -errno, "%s: cannot open: %s", root, strerror(errno));
	b->notes = json_array();
	b->kept = json_array();
	return b->notes && b->kept ? 0 : no_memory(d);
}

static void change_clear(struct boot_change *c)
{
	free(c->path);
	free(c->old);
	free(c->new);
	free(c->was);
	free(c->is);
}

void boot_close(struct boot *b)
{
	for (size_t i = 0; i < b->n; i++)
		change_clear(&b->changes[i]);
	free(b->changes);
	free(b->running);
	free(b->list);
	free(b->record_text);
	json_decref(b->record);
	json_decref(b->notes);
	json_decref(b->kept);
	if (b->root >= 0)
		(void)close(b->root);
}

int boot_add_change(struct boot *b, const char *path, const char *old, char *new, char *was,
		    char *is, struct diag *d)
{
	struct boot_change c = {
		.path = strdup(path), .old = old ? strdup(old) : NULL, .new = new, .was = was,
		.is = is,
	};

	if (!c.path || (old && !c.old) || array_reserve(&b->changes, &b->cap, b->n)) {
		change_clear(&c);
		return no_memory(d);
	}
	b->changes[b->n++] = c;
	return 0;
}

/* ---- what there is ------------------------------------------------------------------------ */

/* The first line of a small file, "" when there is none; NULL: no memory. */
static char *read_line(struct boot *b, const char *path)
{
	char *text = NULL;

	if (boot_read(b->root, path, &text, NULL))
		return strdup("");
	text[strcspn(text, "\n")] = 0;
	return text;
}

static int read_running(struct boot *b, struct diag *d)
{
	char list[LIST_MAX];

	if (!str_eq(b->root_name, "/")) {
		b->running = read_line(b, LSM_FILE);
	} else {
		if (host_read_lsms(list, sizeof(list)))
			list[0] = 0;
		b->running = strdup(list);
	}
	return b->running ? 0 : no_memory(d);
}

/* Of the kernel that runs: does its configuration leave BPF LSM out? */
static int check_config(struct boot *b, struct diag *d)
{
	_cleanup_free_ char *release = read_line(b, "/proc/sys/kernel/osrelease");
	_cleanup_free_ char *path = NULL, *config = NULL;

	if (!release || asprintf(&path, "/boot/config-%s", release) < 0) {
		path = NULL;
		return no_memory(d);
	}
	if (boot_read(b->root, path, &config, NULL) || strstr(config, "\nCONFIG_BPF_LSM=y"))
		return 0;
	return diag_set(d, -ENOTSUP, "this kernel (%s) is built without BPF LSM (%s has no "
			"CONFIG_BPF_LSM=y): no boot option brings it; use another kernel, or "
			"--egress-only", release, path);
}

static int choose_list(struct boot *b, struct diag *d)
{
	_cleanup_free_ char *cmdline = read_line(b, "/proc/cmdline"), *asked = NULL;
	int err = read_running(b, d);

	asked = cmdline ? boot_cmdline_list(cmdline) : NULL;
	if (err || !asked)
		return err ?: no_memory(d);
	if (!*b->running)
		return diag_set(d, -ENOENT, "the list of security modules that the kernel boots "
				"with is not known (%s%s cannot be read): give it with --lsm LIST",
				str_eq(b->root_name, "/") ? "" : b->root_name, LSM_FILE);
	err = boot_list_check(b->running, d);
	if (err)
		return err;
	if (boot_list_has(b->running, BPF))
		return diag_set(d, -EALREADY, "BPF LSM is active already (%s): nothing has to be "
				"changed", b->running);
	if (boot_list_has(asked, BPF))
		return diag_set(d, -ENOTSUP, "this kernel was booted with lsm=%s, and has no BPF "
				"LSM all the same: it is built without; use another kernel, or "
				"--egress-only", asked);
	err = boot_list_check(asked, d);
	if (!err)
		err = check_config(b, d);
	if (err)
		return err;
	if (strstr(cmdline, "security="))
		boot_note(b, "beside lsm= the kernel takes no security=: what it chose is in the "
			  "list");
	b->list = boot_list_make(b->running, cmdline);
	return b->list ? 0 : no_memory(d);
}

static int given_list(struct boot *b, const char *lsm, struct diag *d)
{
	int err = boot_list_check(lsm, d);

	if (err)
		return err;
	if (boot_list_has(lsm, BPF))
		b->list = strdup(lsm);
	else if (asprintf(&b->list, "%s%s" BPF, lsm, *lsm ? "," : "") < 0)
		b->list = NULL;
	return b->list ? 0 : no_memory(d);
}

/* ---- setup -------------------------------------------------------------------------------- */

static int read_or_none(struct boot *b, const char *path, char **text, struct diag *d)
{
	int err = boot_read(b->root, path, text, d);

	return err == -ENOENT ? 0 : err;
}

static int not_ours(struct diag *d)
{
	return diag_set(d, -EBUSY, "%s: changed since egressctl wrote it: remove it by hand if "
			"nothing in it is wanted, then try again", BOOT_DROPIN);
}

/* The menu that is there: has any kernel of it bpf? */
static bool menu_has_bpf(struct boot *b)
{
	size_t with = 0, all, n;

	for (size_t i = 0; boot_grub_menus[i]; i++) {
		_cleanup_free_ char *text = NULL;

		if (boot_read(b->root, boot_grub_menus[i], &text, NULL))
			continue;
		boot_grub_count(text, &n, &all);
		with += n;
	}
	return with > 0;
}

static int plan_grub(struct boot *b, struct diag *d)
{
	_cleanup_free_ char *old = NULL, *new = boot_dropin_text(b->list);
	int err = read_or_none(b, BOOT_DROPIN, &old, d);

	if (err)
		return err;
	if (!new)
		return no_memory(d);
	if (old && !boot_dropin_ours(old))
		return not_ours(d);
	if (old && str_eq(old, new)) {
		b->grub = !menu_has_bpf(b); /* what made it anew may have been stopped */
		return 0;
	}
	b->grub = true;
	return boot_add_change(b, BOOT_DROPIN, old, steal_ptr(new), NULL, NULL, d);
}

static int plan_text(struct boot *b, enum boot_text kind, const char *path, const char *text,
		     struct diag *d)
{
	char *new, *was, *is;
	int err = boot_text_add(kind, text, b->list, &new, &was, &is);

	if (err > 0)
		err = json_array_append_new(b->kept, json_string(path)) ? -ENOMEM : 0;
	else if (!err)
		return boot_add_change(b, path, text, new, was, is, d);
	return err ? no_memory(d) : 0;
}

static int plan_entry(struct boot *b, const char *path, const char *text, struct diag *d)
{
	return plan_text(b, BOOT_TEXT_ENTRY, path, text, d);
}

static int plan_cmdline(struct boot *b, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	int err = read_or_none(b, BOOT_CMDLINE, &text, d);

	if (err)
		return err;
	if (text)
		return plan_text(b, BOOT_TEXT_CMDLINE, BOOT_CMDLINE, text, d);
	if (boot_exists(b->root, VENDOR_CMDLINE))
		boot_note(b, "kernels that are installed from now on have the command line of "
			  VENDOR_CMDLINE ", which stays as it is: copy it to " BOOT_CMDLINE
			  " and run this again");
	else
		boot_note(b, "there is no " BOOT_CMDLINE ": after a kernel that is installed "
			  "before the reboot, run this again");
	return 0;
}

static int no_loader(struct boot *b, const char *why, struct diag *d)
{
	return diag_set(d, -ENODEV, "no boot loader that is known here: %s, and no entry of "
			"systemd-boot (loader/entries/*.conf in /efi, /boot or /boot/efi): add "
			"lsm=%s to the kernel command line where yours has it", why, b->list);
}

int boot_plan_setup(struct boot *b, const char *lsm, struct diag *d)
{
	const char *why = NULL;
	bool grub;
	int err = lsm ? given_list(b, lsm, d) : choose_list(b, d);

	if (err)
		return err;
	grub = boot_find_grub(b, &why);
	if (grub)
		err = plan_grub(b, d);
	if (!err)
		err = boot_each_entry(b, plan_entry, d);
	if (!err && b->entries)
		err = plan_cmdline(b, d);
	if (!err && !grub && !b->entries)
		err = no_loader(b, why, d);
	/* who may not write need not read it */
	if (!err && !boot_idle(b) && boot_exists(b->root, BOOT_STATE_DIR)) {
		err = boot_record_read(b, d);
		if (err == -EACCES) {
			diag_clear(d);
			err = 0;
		}
	}
	return err ?: boot_idle(b) ? 0 : boot_record_add(b, d);
}

/* ---- undo --------------------------------------------------------------------------------- */

static int undo_text(struct boot *b, enum boot_text kind, const char *path, const char *text,
		     struct diag *d)
{
	const char *was, *is;
	char *new, *w, *s;

	for (size_t i = 0; boot_record_word(b, path, i, &was, &is); i++) {
		int err = boot_text_take(kind, text, was, is, &new);

		if (err > 0)
			continue;
		if (err)
			return no_memory(d);
		w = was ? strdup(was) : NULL;
		s = strdup(is);
		if (!s || (was && !w)) {
			free(new);
			free(w);
			free(s);
			return no_memory(d);
		}
		return boot_add_change(b, path, text, new, w, s, d);
	}
	return 0;
}

static int undo_entry(struct boot *b, const char *path, const char *text, struct diag *d)
{
	return undo_text(b, BOOT_TEXT_ENTRY, path, text, d);
}

static int undo_dropin(struct boot *b, struct diag *d)
{
	_cleanup_free_ char *old = NULL;
	int err = read_or_none(b, BOOT_DROPIN, &old, d);

	if (err)
		return err;
	/* with a record, the menu may be as it was before an undo that was stopped */
	b->grub = old || json_is_true(json_object_get(b->record, "grub"));
	if (!old)
		return 0;
	return boot_dropin_ours(old) ? boot_add_change(b, BOOT_DROPIN, old, NULL, NULL, NULL, d) :
				       not_ours(d);
}

int boot_plan_undo(struct boot *b, struct diag *d)
{
	_cleanup_free_ char *cmdline = NULL;
	int err;

	b->undo = true;
	err = boot_record_read(b, d);
	if (!err)
		err = undo_dropin(b, d);
	if (!err && b->record)
		err = boot_each_entry(b, undo_entry, d);
	if (!err && b->record)
		err = read_or_none(b, BOOT_CMDLINE, &cmdline, d);
	if (!err && cmdline)
		err = undo_text(b, BOOT_TEXT_CMDLINE, BOOT_CMDLINE, cmdline, d);
	return err;
}

bool boot_idle(const struct boot *b)
{
	return !b->n && !b->grub && !(b->undo && b->record);
}

/* ---- doing it ----------------------------------------------------------------------------- */

/* Held while we write; the directory is root's alone, so that nobody else can hold it. */
static int take_lock(struct boot *b, struct diag *d)
{
	_cleanup_close_ int dir = -1, fd = -1;
	int err = boot_make_dir(b->root, BOOT_STATE_DIR, 0700, d);

	if (err < 0)
		return err;
	dir = rooted_at(b->root, BOOT_STATE_DIR, O_DIRECTORY);
	fd = dir < 0 ? dir : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return diag_set(d, dir < 0 ? dir : -errno, "%s: cannot open: %s", BOOT_STATE_DIR,
				strerror(dir < 0 ? -dir : errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return diag_set(d, -EBUSY, "another egressctl setup is at work: try again");
	return steal_fd(&fd);
}

static int update_grub(struct boot *b, struct diag *d)
{
	int err = b->grub && b->update_grub ? b->update_grub(b, d) : 0;

	if (err || !b->grub || !b->update_grub || b->undo || menu_has_bpf(b))
		return err;
	return diag_set(d, -EIO, "no kernel of GRUB's menu has lsm=%s now: what comes after %s "
			"sets GRUB_CMDLINE_LINUX_DEFAULT, or the menu is not made from it",
			b->list, BOOT_DROPIN);
}

static void take_back(struct boot *b, size_t done, const char *record)
{
	struct diag d = {};
	bool grub = done == b->n && b->grub && b->update_grub;

	while (done--) {
		const struct boot_change *c = &b->changes[done];

		if (boot_replace(b->root, c->path, c->new, c->old, &d)) {
			boot_note(b, "%s is not as it was before: %s", c->path, d.msg);
			diag_clear(&d);
		}
	}
	if (grub && b->update_grub(b, &d))
		boot_note(b, "the menu of GRUB may not be as it was before: %s", d.msg);
	if (!b->undo && boot_replace(b->root, BOOT_RECORD, record, b->record_text, NULL))
		boot_note(b, "%s says more than was done", BOOT_RECORD);
}

static int make_changes(struct boot *b, const char *record, struct diag *d)
{
	size_t done = 0;
	int err = 0;

	if (!b->undo)
		err = boot_replace(b->root, BOOT_RECORD, b->record_text, record, d);
	if (err)
		return err;
	if (b->grub && !b->undo)
		err = boot_make_dir(b->root, BOOT_DROPIN_DIR, 0755, d);
	err = MIN(err, 0);
	while (!err && done < b->n) {
		const struct boot_change *c = &b->changes[done];

		err = boot_replace(b->root, c->path, c->old, c->new, d);
		done += !err;
	}
	if (!err)
		err = update_grub(b, d);
	if (err)
		take_back(b, done, record);
	return err;
}

/* Those that setup made; what is in them by now keeps them. */
static void remove_dirs(struct boot *b)
{
	const json_t *dir;
	size_t i;

	json_array_foreach(json_object_get(b->record, "dirs"), i, dir)
		boot_remove_dir(b->root, json_string_value(dir));
}

int boot_apply(struct boot *b, struct diag *d)
{
	_cleanup_free_ char *record = NULL;
	_cleanup_close_ int lock = -1;
	int err;

	record = b->undo ? NULL : json_dumps(b->record, JSON_INDENT(1));
	if (!record && !b->undo)
		return no_memory(d);
	lock = take_lock(b, d);
	if (lock < 0)
		return lock;
	err = make_changes(b, record, d);
	if (!err && b->undo && b->record_text)
		err = boot_replace(b->root, BOOT_RECORD, b->record_text, NULL, d);
	if (b->undo == !err)
		remove_dirs(b);
	boot_remove_dir(b->root, BOOT_STATE_DIR);
	return err;
}
