/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which boot loaders there are below a root, and the entries of their kernels. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "boot.h"
#include "diag.h"
#include "rooted.h"
#include "util.h"

#define MKCONFIG "/usr/sbin/grub-mkconfig"
#define READS_DROPIN "default/grub.d" /* in that script, where it does */

/* Where bootctl looks for the partitions of EFI and of the loader. */
static const char *const entry_dirs[] = {
	"/efi/loader/entries", "/boot/loader/entries", "/boot/efi/loader/entries",
};

const char *const boot_grub_menus[] = { "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", NULL };

/* ---- GRUB --------------------------------------------------------------------------------- */

bool boot_find_grub(struct boot *b, const char **why)
{
	_cleanup_free_ char *script = NULL;
	size_t i;

	for (i = 0; boot_grub_menus[i] && !boot_exists(b->root, boot_grub_menus[i]); i++)
		;
	if (!boot_grub_menus[i]) {
		*why = "no menu of GRUB (/boot/grub/grub.cfg)";
		return false;
	}
	if (boot_read(b->root, MKCONFIG, &script, NULL)) {
		*why = "a menu of GRUB, but no " MKCONFIG " that makes it";
		return false;
	}
	if (!strstr(script, READS_DROPIN)) {
		*why = "a menu of GRUB, but its " MKCONFIG " does not read " BOOT_DROPIN_DIR
		       " (Debian's and Ubuntu's does)";
		return false;
	}
	return true;
}

/* ---- entries ------------------------------------------------------------------------------ */

static int is_entry(const struct dirent *e)
{
	return str_ends(e->d_name, ".conf") && e->d_name[0] != '.';
}

/* Of Linux, and not of a program for EFI. */
static bool boots_linux(const char *text)
{
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		const char *key = text + strspn(text, " \t");

		if (str_starts(key, "linux") && strchr(" \t", key[strlen("linux")]))
			return true;
	}
	return false;
}

typedef int (*entry_fn)(struct boot *, const char *, const char *, struct diag *);

static int one_entry(struct boot *b, const char *dir, const char *name, entry_fn fn,
		     struct diag *d)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	int err;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return diag_set(d, -ENOMEM, "out of memory");
	}
	err = boot_read(b->root, path, &text, d);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (!boots_linux(text))
		return 0;
	b->entries = true;
	return fn(b, path, text, d);
}

static int entries_of(struct boot *b, int fd, const char *dir, entry_fn fn, struct diag *d)
{
	struct dirent **list = NULL;
	int n = scandirat(fd, ".", &list, is_entry, alphasort), err = 0;

	if (n < 0)
		return diag_set(d, -errno, "%s: cannot list it: %s", dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (!err)
			err = one_entry(b, dir, list[i]->d_name, fn, d);
		free(list[i]);
	}
	free(list);
	return err;
}

int boot_each_entry(struct boot *b, entry_fn fn, struct diag *d)
{
	struct stat seen[ARRAY_SIZE(entry_dirs)];
	size_t nseen = 0;
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(entry_dirs) && !err; i++) {
		_cleanup_close_ int fd = rooted_at(b->root, entry_dirs[i], O_DIRECTORY);
		struct stat *st = &seen[nseen];
		size_t k = 0;

		if (fd == -ENOENT || fd == -ENOTDIR)
			continue;
		if (fd < 0 || fstat(fd, st))
			return diag_set(d, fd < 0 ? fd : -errno, "%s: cannot open: %s",
					entry_dirs[i], strerror(fd < 0 ? -fd : errno));
		/* one partition under two names */
		while (k < nseen && (seen[k].st_dev != st->st_dev || seen[k].st_ino != st->st_ino))
			k++;
		if (k < nseen)
			continue;
		nseen++;
		err = entries_of(b, fd, entry_dirs[i], fn, d);
	}
	return err;
}
