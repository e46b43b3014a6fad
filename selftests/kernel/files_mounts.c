/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Other names of an object: anchored objects reached past their path, and mounts of
 * the sandbox's own making (privileges: [mounts]).
 */
#include "files_common.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#define OVERLAY D "/overlay"
#define NUMBERS 300 /* files: enough for two layers to number two alike */

/* ---- anchors on overlayfs ---------------------------------------------------------------- */

/* Two filesystems under one overlay, which number their inodes from the same start. */
static void make_overlay(void)
{
	shell("mkdir -p " D "/a " D "/b " OVERLAY " " D "/alias "
	      "&& mount -t tmpfs lower " D "/a && mount -t tmpfs upper " D "/b "
	      "&& mkdir -m 777 " D "/a/low " D "/b/up " D "/b/work "
	      "&& mkdir -m 777 " D "/a/low/dir && for n in $(seq %d); do "
	      "echo x > " D "/a/low/dir/l$n; echo x > " D "/b/up/u$n; done && chmod -R a+rwX " D
	      "/a " D "/b && mount -t overlay -o lowerdir=" D "/a/low,upperdir=" D "/b/up,workdir="
	      D "/b/work overlay " OVERLAY " && mount --bind " OVERLAY "/dir " D "/alias", NUMBERS);
}

static void remove_overlay(void)
{
	/* boxes that still live hold anchored objects open */
	shell("umount -l " D "/alias " OVERLAY " " D "/a " D "/b && rm -rf " D "/alias " OVERLAY
	      " " D "/a " D "/b");
}

static int act_read(const void *path)
{
	return open_result(path, O_RDONLY);
}

/* What no rule names: 0 when all can be read. */
static int act_read_others(const void *unused)
{
	char path[128];
	int i, err = 0;

	(void)unused;
	for (i = 1; i <= NUMBERS && !err; i++) {
		snprintf(path, sizeof(path), OVERLAY "/u%d", i);
		err = open_result(path, O_RDONLY);
		snprintf(path, sizeof(path), OVERLAY "/dir/l%d", i);
		if (!err && i % 10)
			err = open_result(path, O_RDONLY);
	}
	return err;
}

static const char *policy_tenths(void)
{
	static char rules[64][80];
	const char *lines[64] = { "default: rwxc" };
	int i;

	for (i = 1; i <= NUMBERS / 10; i++) {
		snprintf(rules[i], sizeof(rules[i]), OVERLAY "/dir/l%d: none", 10 * i);
		lines[i] = rules[i];
	}
	return harness_policy("files", lines);
}

static void overlay(void)
{
	const struct attempt a[] = {
		{ .name = "overlayfs: a bind mount of a denied file's directory", .act = act_read,
		  .arg = D "/alias/l10", .err = EACCES, .op = EG_OP_OPEN, .reason = EG_WHY_ANCHOR,
		  .want = EG_R, .path = D "/alias/l10", .allow = policy_all(),
		  .deny = policy_rule(OVERLAY "/dir/l10", "none") },
		{ .name = "overlayfs: a bind mount of a denied directory", .act = act_read,
		  .arg = D "/alias/l11", .err = EACCES, .op = EG_OP_OPEN, .reason = EG_WHY_ANCHOR,
		  .want = EG_R, .path = D "/alias/l11", .allow = policy_all(),
		  .deny = policy_rule(OVERLAY "/dir", "none") },
	};
	struct box *b;

	make_overlay();
	attempts(a, ARRAY_SIZE(a));
	if (case_begin("overlayfs: files of the same number are not taken for an anchored one")) {
		int r;

		b = box_new(policy_tenths());
		r = box_run(b, AS_ROOT, act_read_others, NULL);
		check(r == 0, "refused: %s", result_text(r));
		no_event(b);
		r = box_run(b, AS_ROOT, act_read, D "/alias/l20");
		check(r == -EACCES, "the alias: %s", result_text(r));
		/* its inode has to stay in memory, or its address says nothing */
		shell("echo 2 > /proc/sys/vm/drop_caches");
		r = box_run(b, AS_ROOT, act_read, D "/alias/l30");
		check(r == -EACCES, "the alias, caches dropped: %s", result_text(r));
		box_free(b);
		case_end();
	}
	remove_overlay();
}

/* ---- numbers used again -------------------------------------------------------------------- */

static void used_again(void)
{
	struct stat old, st;
	struct box *b;
	int r;

	if (!case_begin("a deleted anchored file's number is used again"))
		return;
	shell("modprobe -q loop; modprobe -q ext4; mkdir -p " D "/disk && truncate -s 8M " D
	      "/image && mkfs.ext4 -q " D "/image && mount -o loop " D "/image " D "/disk && "
	      "echo x > " D "/disk/secret && sync");
	must(stat(D "/disk/secret", &old));
	b = box_new(policy_rule(D "/disk/secret", "none"));
	r = box_run(b, AS_ROOT, act_read, D "/disk/secret");
	check(r == -EACCES, "the secret: %s", result_text(r));
	box_events_drop(b);
	shell("rm " D "/disk/secret && sync && echo x > " D "/disk/other");
	must(stat(D "/disk/other", &st));
	check(st.st_ino == old.st_ino, "the number was not used again: nothing is shown");
	r = box_run(b, AS_ROOT, act_read, D "/disk/other");
	check(r == 0, "the other file: %s", result_text(r));
	no_event(b);
	box_free(b);
	shell("umount " D "/disk && rm -rf " D "/disk " D "/image");
	case_end();
}

/* ---- privileges: [mounts] -------------------------------------------------------------------- */

#define VAULT D "/vault" /* denied by a pattern, so that no anchor helps */

static const char *policy_mounts(const char *rule)
{
	return str("%sprivileges: [mounts, userns]\n",
		   POLICY_FILES("default: rwxc", rule ? rule : D "/unused: r"));
}

static void before_vault(const void *unused)
{
	fresh(unused);
	make_dir(VAULT);
	write_file(VAULT "/f", "content");
	own(VAULT "/f");
}

static void after_vault(const void *unused, bool refused)
{
	struct stat st;

	(void)unused;
	if (!refused)
		return;
	must(stat(VAULT "/f", &st));
	check(st.st_size == 7 && (st.st_mode & 0777) == 0666 && !exists(VAULT "/g"),
	      "the vault was changed");
}

/* A namespace of mounts of its own, where the vault is on D/dir. */
static int show_vault(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || mount(VAULT, D "/dir", NULL, MS_BIND, NULL))
		return -errno;
	return 0;
}

#define BEHIND(name, call) \
	static int name(const void *unused) \
	{ \
		int err = show_vault(); \
		(void)unused; \
		if (err) \
			return err; \
		return (call) < 0 ? -errno : 0; \
	}
BEHIND(act_behind_read, open(D "/dir/f", O_RDONLY))
BEHIND(act_behind_write, open(D "/dir/f", O_WRONLY))
BEHIND(act_behind_create, open(D "/dir/g", O_WRONLY | O_CREAT | O_EXCL, 0600))
BEHIND(act_behind_truncate, truncate(D "/dir/f", 0))
BEHIND(act_behind_unlink, unlink(D "/dir/f"))
BEHIND(act_behind_rename, rename(D "/dir/f", D "/dir/g"))
BEHIND(act_behind_times, utimensat(AT_FDCWD, D "/dir/f", NULL, 0))
BEHIND(act_behind_list, open(D "/dir", O_RDONLY | O_DIRECTORY))

static int act_own_tmpfs(const void *unused)
{
	(void)unused;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || mount("none", D "/dir", "tmpfs", 0, NULL))
		return -errno;
	return open_result(D "/dir", O_RDONLY | O_DIRECTORY);
}

static int act_overlay(const void *unused)
{
	(void)unused;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
	    mount("o", D "/dir", "overlay", 0, "lowerdir=" VAULT ":" D "/empty"))
		return -errno;
	return 0;
}

static int act_mount_here(const void *unused)
{
	(void)unused;
	if (mount(D "/empty", D "/empty", NULL, MS_BIND, NULL))
		return -errno;
	return umount(D "/empty") ? -errno : 0;
}

static void own_mounts(void)
{
#define B(what, a, o, w, p) \
	{ .name = "mounts of its own: " what, .act = a, .op = EG_OP_##o, .want = w, .err = EACCES, \
	  .reason = EG_WHY_ANCHOR, .path = p, .before = before_vault, .after = after_vault, \
	  .deny = policy_mounts("\"" D "/v*\": none"), .allow = policy_mounts(NULL) }
	struct attempt a[] = {
		B("read", act_behind_read, OPEN, EG_R, D "/dir/f"),
		B("write", act_behind_write, OPEN, EG_W, D "/dir/f"),
		B("create", act_behind_create, CREATE, EG_C, D "/dir/g"),
		B("truncate", act_behind_truncate, TRUNCATE, EG_W, D "/dir/f"),
		B("unlink", act_behind_unlink, UNLINK, EG_C, D "/dir/f"),
		B("rename", act_behind_rename, RENAME, EG_C, D "/dir/f"),
		B("list", act_behind_list, OPEN, EG_R, D "/dir"),
		/* judged at each mount in its namespace, so that the first refusal has a rule */
		{ .name = "mounts of its own: times", .act = act_behind_times, .op = EG_OP_SETATTR,
		  .want = EG_W, .err = EACCES, .path = VAULT "/f", .before = before_vault,
		  .after = after_vault, .deny = policy_mounts("\"" D "/v*\": none"),
		  .allow = policy_mounts(NULL) },
		/* its own filesystem holds nobody's secrets */
		{ .name = "mounts of its own: a tmpfs", .act = act_own_tmpfs, .op = EG_OP_MOUNT,
		  .err = EPERM, .reason = EG_WHY_GUARD, .before = fresh,
		  .deny = str("%sprivileges: [userns, sys_admin]\n", policy_all()),
		  .allow = policy_mounts("\"" D "/v*\": none") },
		{ .name = "mounts of its own: an overlay", .act = act_overlay, .op = EG_OP_MOUNT,
		  .err = EPERM, .reason = EG_WHY_GUARD, .before = before_vault,
		  .deny = policy_mounts(NULL) },
		{ .name = "mounts where it began", .act = act_mount_here, .op = EG_OP_MOUNT,
		  .err = EPERM, .reason = EG_WHY_GUARD, .before = fresh, .only_root = true,
		  .deny = str("%sprivileges: [mounts, userns, sys_admin]\n", policy_all()) },
	};

	attempts(a, ARRAY_SIZE(a));
}

void files_mounts(void)
{
	overlay();
	used_again();
	own_mounts();
}
