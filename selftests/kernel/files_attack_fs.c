/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Filesystems that govern others are never written to, whatever the rules say; what
 * btrfs does by ioctl; directories that die while they are looked at.
 */
#include "files_common.h"

#include <dirent.h>
#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/xattr.h>

/* ---- filesystems that govern others ---------------------------------------------------- */

#define BINFMT "/proc/sys/fs/binfmt_misc"
#define CONFIGFS "/sys/kernel/config"
#define DEBUGFS "/sys/kernel/debug"
#define NETCONSOLE CONFIGFS "/netconsole/egtest"
#define FUSE D "/fuse"
#define FUSECTL "/sys/fs/fuse/connections"
#define CG "/sys/fs/cgroup/egtest"
#define PIN "/sys/fs/bpf/egtest-pin"

ACT(act_truncate_open, open_result(path, O_WRONLY | O_TRUNC))
ACT(act_chmod, chmod(path, 0644))
ACT(act_chown, chown(path, 0, 0))
ACT(act_set_xattr, setxattr(path, "user.egtest", "x", 1, 0))
ACT(act_symlink, symlink("/", path))

/*
 * A connection of somebody else's, whose `abort` ends it. Nobody serves it: whoever
 * asks for the mount's attributes would wait for ever.
 */
static const char *fuse_abort(void)
{
	int dev = must(open("/dev/fuse", O_RDWR)); /* kept: the server's end */
	struct dirent *e;
	DIR *d;

	make_dir(FUSE);
	must(mount("egtest", FUSE, "fuse", 0,
		   str("fd=%d,rootmode=40000,user_id=0,group_id=0", dev)));
	shell("mountpoint -q " FUSECTL " || mount -t fusectl x " FUSECTL);
	d = opendir(FUSECTL);
	while (d && (e = readdir(d)))
		if (*e->d_name != '.')
			return str(FUSECTL "/%s/abort", e->d_name);
	harness_die("no FUSE connection");
}

/* made and switched on by whoever may write there; here nothing is switched on */
static void no_netconsole(const void *unused)
{
	(void)unused;
	(void)rmdir(NETCONSOLE);
}

static void netconsole(const void *unused)
{
	no_netconsole(unused);
	must(mkdir(NETCONSOLE, 0755));
}

static void set_up_guarded(void)
{
	shell("modprobe -a binfmt_misc configfs netconsole fuse");
	shell("mountpoint -q " BINFMT " || mount -t binfmt_misc x " BINFMT);
	shell("mountpoint -q " CONFIGFS " || mount -t configfs x " CONFIGFS);
	shell("printf ':egtest:M::egtestmagic::/bin/true:' >" BINFMT "/register");
	(void)rmdir(CG);
	must(mkdir(CG, 0755));
	shell("bpftool map create " PIN " type array key 4 value 4 entries 1 name egtest");
}

static void tear_down_guarded(void)
{
	shell("echo -1 >" BINFMT "/egtest");
	(void)unlink(PIN);
	(void)rmdir(CG);
	no_netconsole(NULL);
}

static void pin_again(const void *unused)
{
	(void)unused;
	if (!exists(PIN))
		shell("bpftool map create " PIN " type array key 4 value 4 entries 1 name egtest");
	(void)unlink(PIN "2");
}

static int act_unlink_pin(const void *path)
{
	return unlink(path) ? -errno : 0;
}

static int act_rename_pin(const void *path)
{
	return rename(path, PIN "2") || rename(PIN "2", path) ? -errno : 0;
}

static void guarded(void)
{
	const char *abort_file;
#define G(n, a, p, o, b) \
	{ .name = n, .act = a, .arg = p, .path = p, .op = EG_OP_##o, .reason = EG_WHY_GUARD, \
	  .err = EACCES, .deny = policy_all(), .before = b, .only_root = true }
	set_up_guarded();
	abort_file = fuse_abort();
	struct attempt a[] = {
		G("register a format with binfmt_misc", act_open_write, BINFMT "/register", OPEN,
		  NULL),
		G("switch binfmt_misc", act_open_write, BINFMT "/status", OPEN, NULL),
		G("a format of binfmt_misc", act_open_write, BINFMT "/egtest", OPEN, NULL),
		G("mkdir in configfs", act_mkdir, NETCONSOLE, MKDIR, no_netconsole),
		G("rmdir in configfs", act_rmdir, NETCONSOLE, RMDIR, netconsole),
		G("the kernel's log over the network", act_open_write, NETCONSOLE "/enabled", OPEN,
		  netconsole),
		G("chmod in configfs", act_chmod, CONFIGFS, CHMOD, NULL),
		G("write to debugfs", act_open_write, DEBUGFS "/fault_around_bytes", OPEN, NULL),
		G("chmod in debugfs", act_chmod, DEBUGFS "/bdi", CHMOD, NULL),
		G("truncate in tracefs", act_truncate_open, "/sys/kernel/tracing/trace", OPEN,
		  NULL),
		G("chown in tracefs", act_chown, "/sys/kernel/tracing/trace", CHOWN, NULL),
		G("write to sysfs", act_open_write, "/sys/kernel/mm/ksm/run", OPEN, NULL),
		G("chmod in sysfs", act_chmod, "/sys/kernel/mm/ksm/run", CHMOD, NULL),
		G("a uevent", act_open_write, "/sys/devices/virtual/net/lo/uevent", OPEN, NULL),
		G("chown in securityfs", act_chown, "/sys/kernel/security/lsm", CHOWN, NULL),
		G("move a task to another cgroup", act_open_write, CG "/cgroup.procs", OPEN, NULL),
		G("a limit in cgroupfs", act_open_write, CG "/cgroup.freeze", OPEN, NULL),
		G("chown in cgroupfs", act_chown, CG "/cgroup.procs", CHOWN, NULL),
		G("unlink a pin", act_unlink_pin, PIN, UNLINK, pin_again),
		G("rename a pin", act_rename_pin, PIN, RENAME, pin_again),
		G("symlink in bpffs", act_symlink, PIN "2", SYMLINK, pin_again),
		G("abort a FUSE connection", act_open_write, abort_file, OPEN, NULL),
		G("chmod of a kernel's file in procfs", act_chmod, "/proc/sysrq-trigger", CHMOD,
		  NULL),
		G("write a sysctl of a module", act_open_write, "/proc/sys/kernel/modprobe", OPEN,
		  NULL),
		G("write a sysctl of tracing", act_open_write, "/proc/sys/kernel/ftrace_enabled",
		  OPEN, NULL),
		G("write a sysctl of the network", act_open_write, "/proc/sys/net/ipv4/ip_forward",
		  OPEN, NULL),
	};
	struct attempt attribute = G("an attribute in cgroupfs", act_set_xattr, CG, SETXATTR, NULL);
#undef G

	attempts(a, ARRAY_SIZE(a));
	attribute.path = NULL; /* the kernel tells only the dentry */
	attempt(&attribute);
	must(umount2(FUSE, MNT_DETACH));
	tear_down_guarded();
}

/* Reading there is a matter of rules like everywhere. */
static void read_allowed(void)
{
	static const char *const files[] = {
		BINFMT "/status", DEBUGFS "/fault_around_bytes", "/sys/kernel/tracing/trace",
		"/sys/kernel/security/lsm", "/sys/fs/cgroup/cgroup.procs",
		"/proc/sys/kernel/pid_max",
		"/sys/kernel/mm/ksm/run",
	};
	static const char *const dirs[] = { CONFIGFS, "/sys/fs/bpf", "/proc/sys",
					    "/sys/fs/cgroup" };
	struct box *b = box_shared(policy_all());
	size_t i;
	int r;

	if (!case_begin("what governs others can be read where the rules say so"))
		return;
	box_events_drop(b);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		r = box_run(b, AS_ROOT, act_open_read, files[i]);
		check(r == 0, "%s: %s", files[i], result_text(r));
	}
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		r = box_run(b, AS_ROOT, act_list, dirs[i]);
		check(r >= 0, "%s: %s", dirs[i], result_text(r));
	}
	no_event(b);
	r = box_run(box_shared(policy_rule("/sys/kernel/security", "none")), AS_ROOT, act_open_read,
		    "/sys/kernel/security/lsm");
	check(r == -EACCES, "where they do not: %s", result_text(r));
	case_end();
}

/* ---- btrfs ------------------------------------------------------------------------------- */

#define BTRFS D "/btrfs"
#define VOLUMES BTRFS "/d"

struct btrfs_act {
	unsigned long cmd;
	bool v2; /* struct btrfs_ioctl_vol_args_v2 */
	const char *of; /* a subvolume to copy, or NULL */
};

/* "new" in VOLUMES is made or removed. */
static int act_btrfs(const void *arg)
{
	const struct btrfs_act *a = arg;
	_cleanup_close_ int dir = open(VOLUMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int of = a->of ? open(a->of, O_RDONLY | O_CLOEXEC) : -1;
	struct btrfs_ioctl_vol_args one = { .fd = of, .name = "new" };
	struct btrfs_ioctl_vol_args_v2 two = { .fd = of < 0 ? 0 : of, .name = "new" };

	if (dir < 0)
		return -errno;
	return ioctl(dir, a->cmd, a->v2 ? (void *)&two : (void *)&one) ? -errno : 0;
}

static void before_make(const void *unused)
{
	(void)unused;
	shell("if test -d " VOLUMES "/new; then btrfs -q subvolume delete " VOLUMES "/new; fi");
}

static void before_remove(const void *unused)
{
	(void)unused;
	shell("test -d " VOLUMES "/new || btrfs -q subvolume create " VOLUMES "/new");
}

static void after_make(const void *unused, bool refused)
{
	(void)unused;
	check(!refused || !exists(VOLUMES "/new"), "a subvolume was made");
}

static void after_remove(const void *unused, bool refused)
{
	(void)unused;
	check(!refused || exists(VOLUMES "/new"), "a subvolume was removed");
}

static void btrfs(void)
{
	static const struct btrfs_act create = { BTRFS_IOC_SUBVOL_CREATE, false, NULL };
	static const struct btrfs_act create2 = { BTRFS_IOC_SUBVOL_CREATE_V2, true, NULL };
	static const struct btrfs_act snap = { BTRFS_IOC_SNAP_CREATE, false, BTRFS "/v" };
	static const struct btrfs_act snap2 = { BTRFS_IOC_SNAP_CREATE_V2, true, BTRFS "/v" };
	static const struct btrfs_act destroy = { BTRFS_IOC_SNAP_DESTROY, false, NULL };
	static const struct btrfs_act destroy2 = { BTRFS_IOC_SNAP_DESTROY_V2, true, NULL };
#define B(n, a, b, f) \
	{ .name = "btrfs: " n, .act = act_btrfs, .arg = &(a), .before = b, .after = f, \
	  .path = VOLUMES, .op = EG_OP_IOCTL, .want = EG_W, .reason = EG_WHY_GUARD, \
	  .err = EACCES, .deny = policy_all(), .only_root = true }
	const struct attempt t[] = {
		B("make a subvolume", create, before_make, after_make),
		B("make a subvolume, second version", create2, before_make, after_make),
		B("make a snapshot", snap, before_make, after_make),
		B("make a snapshot, second version", snap2, before_make, after_make),
		B("remove a subvolume", destroy, before_remove, after_remove),
		B("remove a subvolume, second version", destroy2, before_remove, after_remove),
	};
#undef B

	make_dir(BTRFS);
	shell("modprobe -a btrfs loop && truncate -s 128M " D "/image && "
	      "mkfs.btrfs -q " D "/image >/dev/null && mount -o loop " D "/image " BTRFS " && "
	      "mkdir " VOLUMES " && btrfs -q subvolume create " BTRFS "/v");
	attempts(t, ARRAY_SIZE(t));
	must(umount2(BTRFS, MNT_DETACH));
}

/* ---- directories that die while they are looked at --------------------------------------- */

#define M D "/mortal"
#define LIVES 1500

static struct shared {
	int stop;
	int opened, refused; /* how often each was seen: that there was a race at all */
	int wrong;
} *shared;

/* Every name that is there is judged by the rules of its place, dead parents or not. */
static int act_keep_looking(const void *unused)
{
	_cleanup_close_ int here = open(M "/open", O_PATH | O_CLOEXEC);
	_cleanup_close_ int there = open(M "/closed", O_PATH | O_CLOEXEC);

	(void)unused;
	child_meet();
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		int a = openat(here, "x/f", O_RDONLY | O_CLOEXEC), err = errno;
		int b = openat(there, "x/f", O_RDONLY | O_CLOEXEC), err2 = errno;

		if (a >= 0)
			__atomic_fetch_add(&shared->opened, 1, __ATOMIC_RELAXED);
		else if (err != ENOENT)
			__atomic_fetch_add(&shared->wrong, 1, __ATOMIC_RELAXED);
		if (b < 0 && err2 == EACCES)
			__atomic_fetch_add(&shared->refused, 1, __ATOMIC_RELAXED);
		else if (b >= 0 || err2 != ENOENT)
			__atomic_fetch_add(&shared->wrong, 1, __ATOMIC_RELAXED);
		if (a >= 0)
			(void)close(a);
		if (b >= 0)
			(void)close(b);
	}
	return 0;
}

static void live_and_die(const char *place, const char *aside)
{
	char dir[64], file[64];
	int fd;

	snprintf(dir, sizeof(dir), M "/%s/x", place);
	snprintf(file, sizeof(file), M "/%s/x/f", place);
	must(mkdir(dir, 0755));
	fd = must(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	(void)close(fd);
	/* the file lives on, under the same rules, while the directory it is looked up in dies */
	must(rename(file, aside));
	must(rmdir(dir));
}

static void mortal(void)
{
	struct child racer[2];
	struct box *b;
	size_t k;
	int i;

	if (!case_begin("%d directories die while they are looked at: no open is wrong", 2 * LIVES))
		return;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		harness_die("mmap: %m");
	make_dir(M "/open");
	make_dir(M "/closed");
	b = box_new(POLICY_FILES("default: rwxc", M "/closed: none"));
	for (k = 0; k < ARRAY_SIZE(racer); k++) {
		child_start(&racer[k], b, AS_ROOT, act_keep_looking, NULL);
		child_meet_from_parent(&racer[k]);
	}
	for (i = 0; i < LIVES || !shared->opened || !shared->refused; i++) {
		live_and_die("open", M "/open/aside");
		live_and_die("closed", M "/closed/aside");
		if (i == 100 * LIVES)
			break;
	}
	shared->stop = 1;
	for (k = 0; k < ARRAY_SIZE(racer); k++)
		(void)child_wait(&racer[k]);
	check(!shared->wrong, "%d wrong", shared->wrong);
	check(shared->opened && shared->refused, "%d opened, %d refused: no race", shared->opened,
	      shared->refused);
	box_free(b);
	case_end();
}

void files_attack_fs(void)
{
	guarded();
	read_allowed();
	btrfs();
	mortal();
}
