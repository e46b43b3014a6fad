/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF in the list of security modules that the kernel is booted with: what
 * `egressctl setup --boot` changes in the configuration of the boot loader, and takes
 * back. See docs/boot.md.
 *
 * A *list* is "landlock,yama,bpf". A *word* is what stands between blanks on a kernel
 * command line; of several words lsm=LIST the kernel takes the last. An *entry* is a file
 * of the Boot Loader Specification (type 1, loader/entries/NAME.conf), as systemd-boot
 * reads it. The *record* is what setup did, in BOOT_RECORD, for --undo.
 *
 * All paths are looked up below a root directory, which may be that of an image by
 * somebody else: no link leads out of it, and a file that is a link is refused.
 */
#ifndef BOOT_H
#define BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct diag;
struct json_t;

#define BOOT_DROPIN_DIR "/etc/default/grub.d" /* Debian's and Ubuntu's grub-mkconfig reads it */
/* last of most: what is read later has the last word */
#define BOOT_DROPIN BOOT_DROPIN_DIR "/99-egressctl.cfg"
#define BOOT_CMDLINE "/etc/kernel/cmdline" /* for the entries that kernel-install writes */
#define BOOT_STATE_DIR "/var/lib/egressctl"
#define BOOT_RECORD BOOT_STATE_DIR "/boot.json"

/* ---- texts (boot_words.c): no I/O; what is returned is malloc()ed, NULL: no memory ------- */

bool boot_list_has(const char *list, const char *module);
/* -EINVAL with a message: it is no list of names, or one is there twice. */
int boot_list_check(const char *list, struct diag *d);
/*
 * The list to boot with: what runs, in its order; what the lsm= of `cmdline` names beside
 * it; bpf. Without an lsm= there, "integrity" is added before bpf: Linux before 6.4 takes
 * it from the list and shows it nowhere, and with IMA at work panics without it
 * (integrity_inode_get()); later ones ignore the word.
 */
char *boot_list_make(const char *running, const char *cmdline);
/* LIST of the last lsm=LIST of a command line; "": there is none. */
char *boot_cmdline_list(const char *cmdline);

enum boot_text {
	BOOT_TEXT_ENTRY, /* command line: its `options` lines */
	BOOT_TEXT_CMDLINE, /* every line but comments */
};

/*
 * The text with bpf in the list of its last lsm= word, or with lsm=`list` behind all else.
 * *was is that word before (NULL: there was none), *is after. 1: bpf is there already, and
 * nothing is returned. -ENOMEM.
 */
int boot_text_add(enum boot_text kind, const char *text, const char *list, char **out, char **was,
		  char **is);
/* The way back, byte for byte. 1: no word `is` is there, nothing is returned. -ENOMEM. */
int boot_text_take(enum boot_text kind, const char *text, const char *was, const char *is,
		   char **out);
/* Of a grub.cfg: how many kernels have bpf in the last lsm=, how many are there at all. */
void boot_grub_count(const char *text, size_t *with, size_t *all);

/* GRUB's drop-in; and is a text one, for whatever list? */
char *boot_dropin_text(const char *list);
bool boot_dropin_ours(const char *text);

/* What makes new of old, as `diff -u` does, safe to print; a NULL text: there is no file. */
void boot_diff(FILE *f, const char *path, const char *old, const char *new);

/* ---- files (boot_files.c) ---------------------------------------------------------------- */

/*
 * Read a text below `root`. -ENOENT is without a message; -ELOOP: a link; -EINVAL: not a
 * regular file, or no text.
 */
int boot_read(int root, const char *path, char **text, struct diag *d);
bool boot_exists(int root, const char *path);
/*
 * Whole or not at all, if the file is still `old`: -EBUSY when it is not. A NULL text is no
 * file. Its directory is there.
 */
int boot_replace(int root, const char *path, const char *old, const char *new, struct diag *d);
/* 1: made; 0: it was there. Its parent is there. */
int boot_make_dir(int root, const char *path, unsigned int mode, struct diag *d);
/* If it is empty. */
void boot_remove_dir(int root, const char *path);

/* ---- what to change (boot.c) ------------------------------------------------------------- */

struct boot_change {
	char *path; /* from the root on */
	char *old, *new; /* NULL: no file */
	char *was, *is; /* the word in it; both NULL for the drop-in */
};

struct boot {
	int root;
	const char *root_name; /* "/", or as it was given */
	bool undo;
	char *running, *list; /* lists; NULL: not known, or of no use for an undo */
	struct boot_change *changes;
	size_t n, cap;
	bool grub; /* its menu has to be made anew */
	bool entries; /* there are some: in force as they are written */
	char *record_text; /* as it was read; NULL: there was none */
	struct json_t *record; /* as it will be; of an undo, as it was; or NULL */
	struct json_t *kept; /* paths: they had bpf before us */
	struct json_t *notes; /* strings: what else whoever runs it should know */
	/*
	 * Makes GRUB's menu anew from what is written by now; NULL: somebody else does. 0, or a
	 * negative errno with a message.
	 */
	int (*update_grub)(struct boot *b, struct diag *d);
};

/* `root` has to live as long. boot_close() also after a failure. */
int boot_open(struct boot *b, const char *root, struct diag *d);
void boot_close(struct boot *b);

/*
 * Fill in what is to be changed; nothing is written. Without any change the state that is
 * wanted is there already. `lsm` is a list in place of the running one, or NULL.
 * -EALREADY: bpf runs; -ENOTSUP: this kernel has none; -ENODEV: no boot loader that is
 * known. Errors are with a message.
 */
int boot_plan_setup(struct boot *b, const char *lsm, struct diag *d);
/* -EBUSY: the drop-in was changed by somebody since. */
int boot_plan_undo(struct boot *b, struct diag *d);

/* Is there nothing to do? */
bool boot_idle(const struct boot *b);
/*
 * Make the changes: all, or after an error none. Where update_grub() is, a menu in which no
 * kernel has bpf afterwards is such an error.
 */
int boot_apply(struct boot *b, struct diag *d);

/* boot_grub.c: update_grub() by the host's own program, which speaks on standard error. */
int boot_update_grub(struct boot *b, struct diag *d);

/* ---- between the files of this -------------------------------------------------------------- */

void boot_note(struct boot *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* boot_find.c: GRUB with its menu, made by scripts that read the drop-in; else *why not. */
bool boot_find_grub(struct boot *b, const char **why);
extern const char *const boot_grub_menus[]; /* paths, the last is NULL */
/* Calls fn for each entry of a kernel, by directory and name; stops at an error. */
int boot_each_entry(struct boot *b, int (*fn)(struct boot *, const char *path, const char *text,
					       struct diag *), struct diag *d);
/* Takes over `new`, `was` and `is`, also when it fails. */
int boot_add_change(struct boot *b, const char *path, const char *old, char *new, char *was,
		    char *is, struct diag *d);
/* boot_record.c: -EINVAL: it is none. */
int boot_record_read(struct boot *b, struct diag *d);
/* What the changes of a setup add to it. */
int boot_record_add(struct boot *b, struct diag *d);
/*
 * The words that setup put into that file; then, unless it had one of its own before, those
 * that it put elsewhere, which came into this one with a command line. false: no i-th one.
 */
bool boot_record_word(const struct boot *b, const char *path, size_t i, const char **was,
		      const char **is);

#endif
