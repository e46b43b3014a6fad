/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* BPF into the configuration of boot loaders and out again, in systems that are made up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include "boot.h"
#include "diag.h"
#include "util.h"

#define ENTRY "/boot/loader/entries/debian-6.1.conf"
#define MKCONFIG_READS "for x in ${sysconfdir}/default/grub.d/*.cfg ; do\n"
#define MENU(words) "menuentry 'x' {\n\tlinux\t/vmlinuz root=/dev/vda1 ro " words "\n}\n"

static char top[64], message[2048];
static struct boot b;
static int grub_runs, grub_err;

/* ---- made-up systems ------------------------------------------------------------------------ */

static const char *in_top(const char *path)
{
	static char buf[4][512];
	static unsigned int n;

	n = (n + 1) % ARRAY_SIZE(buf);
	(void)snprintf(buf[n], sizeof(buf[n]), "%s%s", top, path);
	return buf[n];
}

static void put(const char *path, const char *text)
{
	_cleanup_free_ char *dirs = strdup(in_top(path));
	FILE *f;

	for (char *p = dirs + strlen(top) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		(void)mkdir(dirs, 0755); /* or it is there */
	}
	f = fopen(in_top(path), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static const char *get(const char *path)
{
	static char text[8192];
	FILE *f = fopen(in_top(path), "r");

	if (!f)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	(void)fclose(f);
	return text;
}

static void has(const char *path, const char *text)
{
	const char *now = get(path);

	if (!text)
		assert_null(now);
	else
		assert_string_equal(now, text);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(top, "/tmp/boot_test.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	b = (struct boot){ .root = -1 };
	grub_runs = grub_err = 0;
	put("/var/lib/x", "");
	put("/proc/cmdline", "root=/dev/vda1 ro quiet\n");
	put("/proc/sys/kernel/osrelease", "6.1.0-test\n");
	put("/sys/kernel/security/lsm", "lockdown,capability,yama,apparmor");
	return 0;
}

static int tear_down(void **state)
{
	char cmd[128];

	(void)state;
	boot_close(&b);
	(void)snprintf(cmd, sizeof(cmd), "rm -r %s", top);
	return system(cmd);
}

#define LIST "lockdown,capability,yama,apparmor,integrity,bpf"

static void put_grub(void)
{
	put("/usr/sbin/grub-mkconfig", MKCONFIG_READS);
	put("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n");
	put("/boot/grub/grub.cfg", MENU("quiet"));
}

/* As grub-mkconfig, of which this needs the words alone. */
static int update_grub(struct boot *boot, struct diag *d)
{
	char *list, menu[1024];
	const char *text = get(BOOT_DROPIN);

	(void)boot;
	grub_runs++;
	if (grub_err)
		return diag_set(d, grub_err, "update-grub failed");
	list = text ? strstr(text, "lsm=") : NULL;
	list = list ? strstr(list + 1, " lsm=") : NULL; /* the first is in a comment */
	(void)snprintf(menu, sizeof(menu), MENU("quiet%.*s"), list ? (int)strcspn(list, "\"") : 0,
		       list ?: "");
	put("/boot/grub/grub.cfg", menu);
	return 0;
}

static int update_nothing(struct boot *boot, struct diag *d)
{
	(void)boot;
	(void)d;
	grub_runs++;
	return 0;
}

static int (*updater)(struct boot *, struct diag *) = update_grub;

static int plan(bool undo, const char *lsm)
{
	struct diag d = {};
	int err;

	boot_close(&b);
	err = boot_open(&b, top, &d);
	b.update_grub = updater;
	if (!err)
		err = undo ? boot_plan_undo(&b, &d) : boot_plan_setup(&b, lsm, &d);
	(void)diag_text(&d, message, sizeof(message));
	assert_int_equal(d.err, err);
	return err;
}

static int apply(void)
{
	struct diag d = {};
	int err = boot_apply(&b, &d);

	(void)diag_text(&d, message, sizeof(message));
	return err;
}

static void done(bool undo, const char *lsm)
{
	if (plan(undo, lsm) || apply())
		fail_msg("%s", message);
	assert_int_equal(plan(undo, lsm), 0);
	assert_true(boot_idle(&b));
}

static void says(const char *text)
{
	if (!strstr(message, text))
		fail_msg("no '%s' in: %s", text, message);
}

/* Nothing of ours, beside what is there for the test. */
static void no_trace(void)
{
	struct stat st;

	assert_int_equal(stat(in_top(BOOT_STATE_DIR), &st), -1);
	assert_int_equal(stat(in_top(BOOT_DROPIN), &st), -1);
}

/* ---- texts ---------------------------------------------------------------------------------- */

static void lists(void **state)
{
	static const struct {
		const char *running, *cmdline, *list;
	} rows[] = {
		{ "lockdown,capability,yama", "quiet", "lockdown,capability,yama,integrity,bpf" },
		{ "landlock,lockdown,yama", "lsm=landlock,lockdown,yama",
		  "landlock,lockdown,yama,bpf" },
		/* that some do not show is no reason to leave them out */
		{ "capability,yama", "lsm=yama,integrity,apparmor apparmor=0",
		  "capability,yama,integrity,apparmor,bpf" },
		{ "capability", "lsm=selinux lsm=\"yama,smack\" x", "capability,yama,smack,bpf" },
		{ "capability", "a=\"x lsm=yama\" -- lsm=tomoyo", "capability,integrity,bpf" },
		{ "capability,integrity", "", "capability,integrity,bpf" },
		{ "", "", "integrity,bpf" },
	};
	struct diag d = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *list = boot_list_make(rows[i].running, rows[i].cmdline);

		assert_string_equal(list, rows[i].list);
	}
	assert_true(boot_list_has("a,bpf,b", "bpf"));
	assert_false(boot_list_has("a,bpfish,xbpf", "bpf"));
	assert_int_equal(boot_list_check("landlock,lock-down,x_1", NULL), 0);
	for (size_t i = 0; i < 6; i++) {
		static const char *const bad[] = { "a b", "a,,b", ",a", "a,", "a,b,a", "a;\"" };

		assert_int_equal(boot_list_check(bad[i], &d), -EINVAL);
		assert_non_null(strstr(d.msg, "is no list of security modules"));
		diag_clear(&d);
	}
}

#define ADDED " lsm=a,bpf"

static void texts(void **state)
{
	static const struct {
		enum boot_text kind;
		const char *text, *new;
	} rows[] = {
		{ BOOT_TEXT_CMDLINE, "root=x quiet\n", "root=x quiet" ADDED "\n" },
		{ BOOT_TEXT_CMDLINE, "root=x", "root=x" ADDED },
		{ BOOT_TEXT_CMDLINE, "root=x  \n\n", "root=x  " ADDED "\n\n" },
		{ BOOT_TEXT_CMDLINE, "# lsm=q\nroot=x\nquiet\n# end\n",
		  "# lsm=q\nroot=x\nquiet" ADDED "\n# end\n" },
		{ BOOT_TEXT_CMDLINE, "", "lsm=a,bpf\n" },
		{ BOOT_TEXT_CMDLINE, "\n", ADDED "\n" },
		{ BOOT_TEXT_CMDLINE, "-- x\n", "lsm=a,bpf\n-- x\n" },
		{ BOOT_TEXT_CMDLINE, "r=x -- s\nlsm=z\n", "r=x" ADDED " -- s\nlsm=z\n" },
		{ BOOT_TEXT_CMDLINE, "r lsm=b,c q\n", "r lsm=b,c,bpf q\n" },
		{ BOOT_TEXT_CMDLINE, "lsm=x\nlsm=\n", "lsm=x\nlsm=bpf\n" },
		{ BOOT_TEXT_CMDLINE, "lsm=\"b\" q", "lsm=\"b,bpf\" q" },
		{ BOOT_TEXT_CMDLINE, "q=\"u lsm=v\"", "q=\"u lsm=v\"" ADDED },
		{ BOOT_TEXT_ENTRY, "title x\nlinux /l\noptions r q\ninitrd /i\n",
		  "title x\nlinux /l\noptions r q" ADDED "\ninitrd /i\n" },
		{ BOOT_TEXT_ENTRY, "options r\noptions q\r\nlinux /l\r\n",
		  "options r\noptions q" ADDED "\r\nlinux /l\r\n" },
		{ BOOT_TEXT_ENTRY, "options\nlinux /l\n", "options" ADDED "\nlinux /l\n" },
		{ BOOT_TEXT_ENTRY, "options -- x\n", "options" ADDED " -- x\n" },
		{ BOOT_TEXT_ENTRY, "  options\tlsm=y\noptions r",
		  "  options\tlsm=y,bpf\noptions r" },
		{ BOOT_TEXT_ENTRY, "title lsm=y\noptionsx lsm=y\nlinux /l\n",
		  "options    lsm=a,bpf\ntitle lsm=y\noptionsx lsm=y\nlinux /l\n" },
		{ BOOT_TEXT_ENTRY, "linux /l", "options    lsm=a,bpf\nlinux /l" },
		{ BOOT_TEXT_ENTRY, "options lsm=x lsm=y,bpf,z\n", NULL },
		{ BOOT_TEXT_CMDLINE, "q lsm=bpf", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *out = NULL, *was = NULL, *is = NULL, *back = NULL, *again;
		int err = boot_text_add(rows[i].kind, rows[i].text, "a,bpf", &out, &was, &is);

		if (!rows[i].new) {
			assert_int_equal(err, 1);
			continue;
		}
		assert_int_equal(err, 0);
		assert_string_equal(out, rows[i].new);
		assert_int_equal(boot_text_add(rows[i].kind, out, "a,bpf", &again, &was, &is), 1);
		assert_int_equal(boot_text_take(rows[i].kind, out, was, is, &back), 0);
		assert_string_equal(back, rows[i].text);
		assert_int_equal(boot_text_take(rows[i].kind, back, was, is, &again), 1);
		free(out);
		free(was);
		free(is);
		free(back);
	}
}

static void menus(void **state)
{
	size_t with, all;

	(void)state;
	boot_grub_count(MENU("lsm=a,bpf") MENU("lsm=bpf lsm=a") MENU("single"), &with, &all);
	assert_int_equal(with, 1);
	assert_int_equal(all, 3);
	boot_grub_count("linux16 /a lsm=bpf\n linuxefi /b -- lsm=bpf\nlinuxrc lsm=bpf\n", &with,
			&all);
	assert_int_equal(with, 1);
	assert_int_equal(all, 2);
	assert_true(boot_dropin_ours("") == false);
}

static void diffs(void **state)
{
	static const struct {
		const char *old, *new, *diff;
	} rows[] = {
		{ NULL, "a\nb\n", "--- /dev/null\n+++ /f\n@@ -0,0 +1,2 @@\n+a\n+b\n" },
		{ "a\n", NULL, "--- /f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n" },
		{ "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nX\n6\n7\n8\n9\n",
		  "--- /f\n+++ /f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+X\n 6\n 7\n 8\n" },
		{ "a", "a b", "--- /f\n+++ /f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n"
			      "+a b\n\\ No newline at end of file\n" },
		{ "x\n", "y\nx\n", "--- /f\n+++ /f\n@@ -1 +1,2 @@\n+y\n x\n" },
		{ "x\n\033[2J\n", "x\n", "--- /f\n+++ /f\n@@ -1,2 +1 @@\n x\n-\\x1b[2J\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = NULL;
		size_t len;
		FILE *f = open_memstream(&text, &len);

		boot_diff(f, "/f", rows[i].old, rows[i].new);
		assert_int_equal(fclose(f), 0);
		assert_string_equal(text, rows[i].diff);
		free(text);
	}
}

/* ---- GRUB ----------------------------------------------------------------------------------- */

static void grub(void **state)
{
	struct stat st;

	(void)state;
	put_grub();
	assert_int_equal(plan(false, NULL), 0);
	assert_string_equal(b.list, LIST);
	assert_int_equal(b.n, 1);
	assert_true(b.grub);
	no_trace(); /* looking at it writes nothing */
	done(false, NULL);
	assert_int_equal(grub_runs, 1);
	assert_non_null(strstr(get(BOOT_DROPIN), "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_"
						 "DEFAULT lsm=" LIST "\"\n"));
	has("/boot/grub/grub.cfg", MENU("quiet lsm=" LIST));
	assert_int_equal(stat(in_top(BOOT_DROPIN), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	done(true, NULL);
	assert_int_equal(grub_runs, 2);
	has("/boot/grub/grub.cfg", MENU("quiet"));
	no_trace();
	assert_int_equal(stat(in_top(BOOT_DROPIN_DIR), &st), -1); /* it was made for that */
}

static void grub_list_changes(void **state)
{
	(void)state;
	put_grub();
	put(BOOT_DROPIN_DIR "/50-cloud.cfg", "x\n");
	done(false, "landlock,yama");
	assert_non_null(strstr(get(BOOT_DROPIN), "lsm=landlock,yama,bpf\""));
	done(false, "landlock,bpf,yama"); /* where it is said to be */
	assert_non_null(strstr(get(BOOT_DROPIN), "lsm=landlock,bpf,yama\""));
	done(true, NULL);
	no_trace();
	has(BOOT_DROPIN_DIR "/50-cloud.cfg", "x\n");
}

static void grub_fails(void **state)
{
	(void)state;
	put_grub();
	grub_err = -EIO;
	assert_int_equal(plan(false, NULL), 0);
	assert_int_equal(apply(), -EIO);
	says("update-grub failed");
	no_trace();
	has("/boot/grub/grub.cfg", MENU("quiet"));
	/* a menu that our words do not come to */
	grub_err = 0;
	updater = update_nothing;
	assert_int_equal(plan(false, NULL), 0);
	assert_int_equal(apply(), -EIO);
	says("no kernel of GRUB's menu has lsm=" LIST);
	no_trace();
	/* an undo that fails leaves all that is there */
	updater = update_grub;
	done(false, NULL);
	grub_err = -EIO;
	assert_int_equal(plan(true, NULL), 0);
	assert_int_equal(apply(), -EIO);
	assert_non_null(get(BOOT_DROPIN));
	assert_non_null(get(BOOT_RECORD));
	grub_err = 0;
	done(true, NULL);
	no_trace();
}

/* Ended by a signal while the menu was made: the same command again goes on. */
static void grub_interrupted(void **state)
{
	(void)state;
	put_grub();
	done(false, NULL);
	put("/boot/grub/grub.cfg", MENU("quiet"));
	assert_int_equal(plan(false, NULL), 0);
	assert_int_equal(b.n, 0);
	assert_false(boot_idle(&b));
	assert_int_equal(apply(), 0);
	has("/boot/grub/grub.cfg", MENU("quiet lsm=" LIST));
	assert_int_equal(unlink(in_top(BOOT_DROPIN)), 0);
	assert_int_equal(plan(true, NULL), 0);
	assert_false(boot_idle(&b));
	assert_int_equal(apply(), 0);
	has("/boot/grub/grub.cfg", MENU("quiet"));
	no_trace();
}

static void grub_changed_by_hand(void **state)
{
	char text[1024];

	(void)state;
	put_grub();
	done(false, NULL);
	(void)snprintf(text, sizeof(text), "%sGRUB_TIMEOUT=1\n", get(BOOT_DROPIN));
	put(BOOT_DROPIN, text);
	assert_int_equal(plan(true, NULL), -EBUSY);
	says(BOOT_DROPIN ": changed since egressctl wrote it");
	assert_int_equal(plan(false, NULL), -EBUSY);
	has(BOOT_DROPIN, text);
	/* the record is lost, the drop-in is as it was written */
	*strstr(text, "GRUB_TIMEOUT") = 0;
	put(BOOT_DROPIN, text);
	assert_int_equal(unlink(in_top(BOOT_RECORD)), 0);
	done(true, NULL);
	no_trace();
}

/* ---- entries -------------------------------------------------------------------------------- */

#define OPTIONS(words) "title Debian\nlinux /l\noptions    root=x ro" words "\ninitrd /i\n"

static void entries(void **state)
{
	static const char efi[] = "title shell\nefi /shell.efi\noptions x\n";
	struct stat st;

	(void)state;
	put(ENTRY, OPTIONS(""));
	assert_int_equal(chmod(in_top(ENTRY), 0600), 0);
	put("/boot/loader/entries/old.conf", OPTIONS(" lsm=yama q"));
	put("/boot/loader/entries/has.conf", OPTIONS(" lsm=yama,bpf"));
	put("/boot/loader/entries/shell.conf", efi);
	put("/boot/loader/entries/.hidden.conf", OPTIONS(""));
	put("/efi/loader/entries/b.conf", OPTIONS(" b"));
	put(BOOT_CMDLINE, "root=x ro");
	done(false, NULL);
	has(ENTRY, OPTIONS(" lsm=" LIST));
	has("/boot/loader/entries/old.conf", OPTIONS(" lsm=yama,bpf q"));
	has("/boot/loader/entries/has.conf", OPTIONS(" lsm=yama,bpf"));
	has("/boot/loader/entries/shell.conf", efi);
	has("/boot/loader/entries/.hidden.conf", OPTIONS(""));
	has("/efi/loader/entries/b.conf", OPTIONS(" b lsm=" LIST));
	has(BOOT_CMDLINE, "root=x ro lsm=" LIST);
	assert_int_equal(stat(in_top(ENTRY), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(grub_runs, 0);

	/* meanwhile a kernel comes, written from the command line, and one goes */
	put("/boot/loader/entries/new.conf", OPTIONS(" lsm=" LIST " systemd.machine_id=1"));
	assert_int_equal(unlink(in_top("/efi/loader/entries/b.conf")), 0);
	/* and one is changed by hand: no word of ours */
	put("/boot/loader/entries/old.conf", OPTIONS(" lsm=bpf,landlock"));
	done(true, NULL);
	has(ENTRY, OPTIONS(""));
	has("/boot/loader/entries/new.conf", OPTIONS(" systemd.machine_id=1"));
	has("/boot/loader/entries/old.conf", OPTIONS(" lsm=bpf,landlock"));
	has("/boot/loader/entries/has.conf", OPTIONS(" lsm=yama,bpf"));
	has(BOOT_CMDLINE, "root=x ro");
	no_trace();
}

/* A second setup takes in what came since, and one undo takes back both. */
static void entries_twice(void **state)
{
	(void)state;
	put(ENTRY, OPTIONS(""));
	done(false, NULL);
	put("/boot/loader/entries/new.conf", OPTIONS(" new"));
	done(false, NULL);
	has("/boot/loader/entries/new.conf", OPTIONS(" new lsm=" LIST));
	done(true, NULL);
	has(ENTRY, OPTIONS(""));
	has("/boot/loader/entries/new.conf", OPTIONS(" new"));
	no_trace();
}

static void entries_fail(void **state)
{
	(void)state;
	put("/boot/loader/entries/a.conf", OPTIONS(""));
	put("/boot/loader/entries/b.conf", OPTIONS(""));
	assert_int_equal(plan(false, NULL), 0);
	put("/boot/loader/entries/b.conf", OPTIONS(" new"));
	assert_int_equal(apply(), -EBUSY);
	says("/boot/loader/entries/b.conf: somebody else changed it just now");
	has("/boot/loader/entries/a.conf", OPTIONS(""));
	has("/boot/loader/entries/b.conf", OPTIONS(" new"));
	no_trace();
	/* somebody else's link is not followed, and nothing is half done */
	assert_int_equal(unlink(in_top("/boot/loader/entries/b.conf")), 0);
	put("/elsewhere", OPTIONS(""));
	assert_int_equal(symlink(in_top("/elsewhere"), in_top("/boot/loader/entries/b.conf")), 0);
	assert_int_equal(plan(false, NULL), -ELOOP);
	says("/boot/loader/entries/b.conf: a link");
	has("/elsewhere", OPTIONS(""));
}

/* A directory that is a link is one below the root. */
static void stays_in_root(void **state)
{
	(void)state;
	put("/inside" ENTRY, OPTIONS(""));
	put(ENTRY, OPTIONS(" outside"));
	put("/inside/var/lib/x", "");
	assert_int_equal(symlink("/boot", in_top("/inside/efi")), 0);
	assert_int_equal(symlink("../../../..", in_top("/inside/boot/efi")), 0);
	(void)strcat(top, "/inside");
	done(false, "yama");
	assert_int_equal(b.n, 0);
	has(ENTRY, OPTIONS(" lsm=yama,bpf"));
	top[strlen(top) - strlen("/inside")] = 0;
	has(ENTRY, OPTIONS(" outside"));
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void refuses(void **state)
{
	(void)state;
	assert_int_equal(plan(false, NULL), -ENODEV);
	says("no boot loader that is known here: no menu of GRUB");
	says("add lsm=" LIST " to the kernel command line");
	put("/boot/grub/grub.cfg", MENU(""));
	assert_int_equal(plan(false, NULL), -ENODEV);
	says("no /usr/sbin/grub-mkconfig");
	put("/usr/sbin/grub-mkconfig", "#!/bin/sh\n. /etc/default/grub\n");
	assert_int_equal(plan(false, NULL), -ENODEV);
	says("does not read /etc/default/grub.d");

	put_grub();
	put("/boot/config-6.1.0-test", "CONFIG_BPF=y\n# CONFIG_BPF_LSM is not set\n");
	assert_int_equal(plan(false, NULL), -ENOTSUP);
	says("this kernel (6.1.0-test) is built without BPF LSM");
	put("/boot/config-6.1.0-test", "CONFIG_BPF=y\nCONFIG_BPF_LSM=y\n");
	assert_int_equal(plan(false, NULL), 0);
	put("/proc/cmdline", "quiet lsm=yama,bpf\n");
	assert_int_equal(plan(false, NULL), -ENOTSUP);
	says("booted with lsm=yama,bpf, and has no BPF LSM all the same");
	put("/sys/kernel/security/lsm", "capability,bpf,yama");
	assert_int_equal(plan(false, NULL), -EALREADY);
	says("BPF LSM is active already (capability,bpf,yama)");
	assert_int_equal(plan(false, "yama"), 0); /* for another kernel than this one */
	assert_int_equal(unlink(in_top("/sys/kernel/security/lsm")), 0);
	assert_int_equal(plan(false, NULL), -ENOENT);
	says("give it with --lsm LIST");
	assert_int_equal(plan(false, "yama;reboot"), -EINVAL);
	says("expected names with commas between them");
}

static void bad_records(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "{\"version\": 2, \"grub\": true, \"dirs\": [], \"words\": []}",
		"{\"version\": 1, \"grub\": true, \"dirs\": [1], \"words\": [], \"kept\": []}",
		"{\"version\": 1, \"grub\": true, \"dirs\": [], \"words\": []}",
		"{\"version\": 1, \"grub\": true, \"dirs\": [], \"kept\": [], "
		"\"words\": [{\"path\": \"/x\"}]}",
	};

	(void)state;
	put(ENTRY, OPTIONS(""));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(BOOT_RECORD, bad[i]);
		assert_int_equal(plan(true, NULL), -EINVAL);
		says(BOOT_RECORD);
		assert_int_equal(plan(false, NULL), -EINVAL);
	}
	has(ENTRY, OPTIONS(""));
}

static void notes(void **state)
{
	(void)state;
	put(ENTRY, OPTIONS(""));
	put("/proc/cmdline", "security=apparmor\n");
	assert_int_equal(plan(false, NULL), 0);
	assert_int_equal(json_array_size(b.notes), 2);
	put(BOOT_CMDLINE, "q\n");
	put("/proc/cmdline", "q\n");
	assert_int_equal(plan(false, NULL), 0);
	assert_int_equal(json_array_size(b.notes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(texts),
		cmocka_unit_test(menus),
		cmocka_unit_test(diffs),
		cmocka_unit_test_setup_teardown(grub, set_up, tear_down),
		cmocka_unit_test_setup_teardown(grub_list_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(grub_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(grub_interrupted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(grub_changed_by_hand, set_up, tear_down),
		cmocka_unit_test_setup_teardown(entries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(entries_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(entries_fail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stays_in_root, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(notes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
