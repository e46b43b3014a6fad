/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What no path rule allows; overlays; terminals; audit mode; what events say. */
#include "files_common.h"

#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* ---- writing to what governs others, as root ----------------------------------------- */

#define CGROUP "/sys/fs/cgroup/egtest"
#define BPFFS "/sys/fs/bpf/egtest"
#define TRACING "/sys/kernel/tracing/instances/egtest"

ACT(act_chmod, chmod(path, 0755))
ACT(act_utimes, utimensat(AT_FDCWD, path, NULL, 0))

static void before_guard(const void *unused)
{
	(void)unused;
	(void)rmdir(CGROUP);
	(void)rmdir(BPFFS);
	(void)rmdir(TRACING);
}

static void before_guard_made(const void *unused)
{
	before_guard(unused);
	must(mkdir(CGROUP, 0755));
	must(mkdir(BPFFS, 0755));
}

static int act_rename_pin(const void *path)
{
	return rename(path, BPFFS "2") || rename(BPFFS "2", path) ? -errno : 0;
}

static void guarded(void)
{
#define G(n, a, p, o, b) \
	{ .name = n, .act = a, .arg = p, .path = p, .op = EG_OP_##o, .reason = EG_WHY_GUARD, \
	  .err = EACCES, .deny = policy_all(), .before = b, .only_root = true }
	struct attempt a[] = {
		G("write a sysctl", act_open_write, "/proc/sys/kernel/core_pattern", OPEN, NULL),
		G("write to sysrq-trigger", act_open_write, "/proc/sysrq-trigger", OPEN, NULL),
		G("write cgroup.procs", act_open_write, "/sys/fs/cgroup/cgroup.procs", OPEN, NULL),
		G("mkdir in cgroupfs", act_mkdir, CGROUP, MKDIR, before_guard),
		G("rmdir in cgroupfs", act_rmdir, CGROUP, RMDIR, before_guard_made),
		G("mkdir in bpffs", act_mkdir, BPFFS, MKDIR, before_guard),
		G("rmdir in bpffs", act_rmdir, BPFFS, RMDIR, before_guard_made),
		G("rename in bpffs", act_rename_pin, BPFFS, RENAME, before_guard_made),
		G("chmod in bpffs", act_chmod, BPFFS, CHMOD, before_guard_made),
		G("write to tracefs", act_open_write, "/sys/kernel/tracing/tracing_on", OPEN, NULL),
		G("mkdir in tracefs", act_mkdir, TRACING, MKDIR, before_guard),
		G("write to securityfs", act_open_write, "/sys/kernel/security/apparmor/.load",
		  OPEN, NULL),
		G("open a block device", act_open_read, "/dev/loop0", OPEN, NULL),
		G("chmod of a block device", act_chmod, "/dev/loop0", CHMOD, NULL),
	};
	struct attempt times = G("times in cgroupfs", act_utimes, CGROUP, SETATTR,
				 before_guard_made);
	size_t i;
#undef G

	shell("modprobe loop");
	attempts(a, ARRAY_SIZE(a));
	times.path = NULL;
	attempt(&times);
	before_guard(NULL);
	/* whether there are path rules or not */
	for (i = 3; i < 7; i++) {
		a[i].name = str("%s, egress rules alone", a[i].name);
		a[i].deny = POLICY_EGRESS("loopback: [own]");
		attempt(&a[i]);
	}
	before_guard(NULL);
}

/* ---- directories of tasks in /proc ------------------------------------------------------- */

#define NO_RULES POLICY_FILES("default: rwxc") /* and so nothing walks to the path */

/* What root writes to anybody's; of others each of these is refused. */
static const char *const of_tasks[] = { "oom_score_adj", "coredump_filter", "clear_refs",
					"autogroup", "comm", "timerslack_ns" };

static int act_own_entries(const void *unused)
{
	char path[64];
	pid_t child;
	size_t i;
	int r = 0;

	(void)unused;
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	for (i = 0; i < ARRAY_SIZE(of_tasks) && !r; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", child, of_tasks[i]);
		r = open_result(path, O_WRONLY);
		snprintf(path, sizeof(path), "/proc/self/%s", of_tasks[i]);
		r = r ?: open_result(path, O_WRONLY);
	}
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	return r;
}

static void other_tasks(void)
{
	struct box *b = box_shared(NO_RULES);
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(of_tasks); i++) {
		const char *path = str("/proc/%d/%s", getpid(), of_tasks[i]);

		attempt(&(struct attempt){
			.name = str("write %s of an outsider, without path rules", of_tasks[i]),
			.act = act_open_write, .arg = path, .path = path, .op = EG_OP_OPEN,
			.reason = EG_WHY_FOREIGN, .err = EACCES, .deny = NO_RULES,
			.only_root = true,
		});
	}
	if (!case_begin("write them of an own task"))
		return;
	box_events_drop(b);
	r = box_run(b, AS_ROOT, act_own_entries, NULL);
	check(r == 0, "%s", result_text(r));
	no_event(b);
	case_end();
}

/* ---- terminals ----------------------------------------------------------------------- */

static int act_own_pty(const void *unused)
{
	char name[64];
	int master, slave, again;

	(void)unused;
	if (openpty(&master, &slave, name, NULL, NULL))
		return -errno;
	again = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return again < 0 || write(again, "x\n", 2) != 2 ? -errno : 0;
}

static int act_tiocsti(const void *unused)
{
	int master, slave;

	(void)unused;
	if (openpty(&master, &slave, NULL, NULL, NULL) || setsid() < 0 ||
	    ioctl(slave, TIOCSCTTY, 0))
		return -errno;
	return ioctl(slave, TIOCSTI, "x") ? -errno : 0;
}

static int act_pty(const void *name)
{
	int master, slave;

	if (openpty(&master, &slave, (char *)name, NULL, NULL))
		return -errno;
	return 0;
}

static char *shared_name;

/*
 * The program that forgets owners was passed over: the next terminal with the number is
 * its maker's all the same.
 */
static void stale_terminal(void)
{
	struct box *b = box_shared(policy_all());
	int master, slave, r;
	char name[64];

	if (!case_begin("a terminal with the number of one of its own"))
		return;
	program_off("devpts_pty_kill");
	r = box_run(b, AS_ROOT, act_pty, shared_name);
	must(openpty(&master, &slave, name, NULL, NULL));
	must(chmod(name, 0666));
	program_on("devpts_pty_kill");
	check(!r && str_eq(name, shared_name), "control: %s and then %s", shared_name, name);
	box_events_drop(b);
	r = box_run(b, AS_ROOT, act_open_write, name);
	check(r == -EACCES, "%s", result_text(r));
	one_event(b, EG_OP_OPEN, EG_WHY_FOREIGN, EACCES, name);
	(void)close(master);
	(void)close(slave);
	case_end();
}

static void terminals(void)
{
	char name[64];
	int master, slave, r;
	struct box *b = box_shared(policy_all());
	const struct attempt push = {
		.name = "TIOCSTI", .act = act_tiocsti, .op = EG_OP_IOCTL, .reason = EG_WHY_GUARD,
		.err = EACCES, .deny = policy_all(), .only_root = true,
	};
	struct attempt foreign = {
		.name = "the terminal of somebody else", .act = act_open_write, .op = EG_OP_OPEN,
		.reason = EG_WHY_FOREIGN, .err = EACCES, .deny = policy_all(),
	};

	must(openpty(&master, &slave, name, NULL, NULL));
	must(chmod(name, 0666));
	foreign.arg = foreign.path = name;
	attempt(&foreign);
	attempt(&push);
	shared_name = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared_name == MAP_FAILED)
		harness_die("no memory");
	stale_terminal();
	if (!case_begin("a terminal of its own"))
		return;
	box_events_drop(b);
	r = box_run(b, AS_USER, act_own_pty, NULL);
	check(r == 0, "%s", result_text(r));
	no_event(b);
	case_end();
}

/* ---- overlayfs: the visible path is judged, and nothing else ------------------------- */

#define OV D "/over"
#define LAYERS D "/layers"

ACT(act_ov_chown, chown(path, 65534, 65534))
ACT(act_ov_append, open_result(path, O_WRONLY | O_APPEND))
ACT(act_ov_symlink, symlink("x", path))

static const struct {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[5];
} acl = { 2, { { 1, 6, ~0u }, { 2, 4, 1 }, { 4, 6, ~0u }, { 16, 6, ~0u }, { 32, 4, ~0u } } };

ACT(act_ov_acl, setxattr(path, "system.posix_acl_access", &acl, sizeof(acl), 0))

static int act_ov_rename(const void *path)
{
	return rename(path, OV "/renamed") ? -errno : 0;
}

static int act_ov_link(const void *path)
{
	return link(path, OV "/linked") ? -errno : 0;
}

static void before_overlay(const void *unused)
{
	static const char *const dirs[] = { LAYERS "/upper", LAYERS "/lower/d", LAYERS "/lower/e",
					    LAYERS "/work", OV };
	static const char *const files[] = { LAYERS "/lower/f", LAYERS "/lower/d/f" };
	size_t i;

	(void)unused;
	(void)umount2(OV, MNT_DETACH);
	remove_tree(LAYERS);
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		make_dir(dirs[i]);
		own(dirs[i]);
	}
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		write_file(files[i], "lower");
		own(files[i]);
	}
	must(mount("x", OV, "overlay", 0, "lowerdir=" LAYERS "/lower,upperdir=" LAYERS
		   "/upper,workdir=" LAYERS "/work"));
}

static void overlay(void)
{
	/* none of the layers may be touched by name, all of what is visible may be, or not */
	const char *allow = POLICY_FILES("default: rwxc", LAYERS ": none");
	const char *deny = POLICY_FILES("default: rwxc", LAYERS ": none", "\"" OV "/*\": none");
#define O(n, a, p, o, w) \
	{ .name = "overlay: " n, .act = a, .arg = p, .path = p, .op = EG_OP_##o, .want = w, \
	  .err = EACCES, .before = before_overlay, .deny = deny, .allow = allow }
	struct attempt a[] = {
		O("read", act_open_read, OV "/f", OPEN, EG_R),
		O("write, copied up", act_ov_append, OV "/f", OPEN, EG_W),
		O("list", act_list, OV "/d", OPEN, EG_R),
		O("create", act_create, OV "/new", CREATE, EG_C),
		O("mkdir", act_mkdir, OV "/new", MKDIR, EG_C),
		O("symlink", act_ov_symlink, OV "/new", SYMLINK, EG_C),
		O("unlink", act_unlink, OV "/f", UNLINK, EG_C),
		O("rmdir", act_rmdir, OV "/e", RMDIR, EG_C),
		O("truncate", act_truncate, OV "/f", TRUNCATE, EG_W),
		O("chmod", act_chmod, OV "/f", CHMOD, EG_W),
		O("chown", act_ov_chown, OV "/f", CHOWN, EG_W),
		O("utimensat", act_utimes, OV "/f", SETATTR, EG_W),
		O("set an ACL", act_ov_acl, OV "/f", SETXATTR, EG_W),
		O("rename", act_ov_rename, OV "/f", RENAME, EG_C),
		O("link", act_ov_link, OV "/f", LINK, EG_C),
	};
#undef O

	shell("modprobe overlay");
	attempts(a, ARRAY_SIZE(a));
	/* held by the boxes that live; not there when no case was chosen */
	(void)umount2(OV, MNT_DETACH);
}

/* ---- audit mode ---------------------------------------------------------------------- */

struct audited {
	const char *name;
	act_fn act;
	const void *arg;
	uint16_t op;
	uint8_t reason;
};

static const struct two_paths gain = { READONLY ".d/f", D "/dir/new" };

static void audit(void)
{
	static const struct audited t[] = {
		{ "open", act_open_read, SECRET, EG_OP_OPEN, EG_WHY_RULE },
		{ "create", act_create, CLOSED "/new", EG_OP_CREATE, EG_WHY_RULE },
		{ "link that gains", act_link, &gain, EG_OP_LINK, EG_WHY_GAIN },
		{ "truncate", act_truncate, READONLY, EG_OP_TRUNCATE, EG_WHY_RULE },
		{ "utimensat", act_utimes, READONLY, EG_OP_SETATTR, EG_WHY_RULE },
	};
	struct box *b = box_new(str("%smode: audit\n", policy_some()));
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_free_ struct seen *e = NULL;
		size_t n, k, audits = 0;
		int r;

		if (!case_begin("audit: %s is allowed and reported", t[i].name))
			continue;
		fresh(NULL);
		box_events_drop(b);
		r = box_run(b, AS_ROOT, t[i].act, t[i].arg);
		check(r == 0, "%s", result_text(r));
		n = box_events(b, &e);
		for (k = 0; k < n; k++) {
			audits += e[k].op == t[i].op && e[k].reason == t[i].reason;
			check(e[k].verdict == EG_VERDICT_AUDIT, "verdict %u", e[k].verdict);
		}
		check(audits == 1, "%zu such events of %zu", audits, n);
		case_end();
	}
	box_free(b);
}

/* ---- what an event says -------------------------------------------------------------- */

#define REFUSALS 50

static int act_refusals(const void *unused)
{
	int i, r = 0;

	(void)unused;
	must(prctl(PR_SET_NAME, "a name"));
	for (i = 0; i < REFUSALS; i++)
		r |= open_result(i % 2 ? SECRET : CLOSED "/f", i % 2 ? O_RDONLY : O_RDWR) + EACCES;
	return r ? -EINVAL : getpid();
}

static void contents(void)
{
	struct box *b = box_new(policy_some());
	_cleanup_free_ struct seen *e = NULL;
	char exe[1024] = "";
	size_t n, i;
	int pid;

	if (!case_begin("an event says who, what and why, and none is missing"))
		return;
	must(readlink("/proc/self/exe", exe, sizeof(exe) - 1));
	fresh(NULL);
	pid = box_run(b, AS_USER, act_refusals, NULL);
	check(pid > 0, "%s", result_text(pid));
	n = box_events(b, &e);
	check(n == REFUSALS, "%zu events", n);
	for (i = 0; i < n; i++) {
		const struct seen *s = &e[i];
		const char *path = i % 2 ? SECRET : CLOSED "/f";

		if (s->seq == i + 1 && s->gap == 0 && s->pid == (uint32_t)pid && s->uid == 65534 &&
		    str_eq(s->path, path) && !s->path2_len && str_eq(s->comm, "a name") &&
		    str_eq(s->exe, exe) && s->want == (i % 2 ? EG_R : EG_R | EG_W) &&
		    s->verdict == EG_VERDICT_DENIED && s->error == EACCES)
			continue;
		fail("event %zu: seq %lu gap %lu pid %u uid %u exe '%s' comm '%s'", i, s->seq,
		     s->gap, s->pid, s->uid, s->exe, s->comm);
		seen_print(s);
		break;
	}
	check(box_counters(b)->denied == REFUSALS, "%lu counted",
	      (unsigned long)box_counters(b)->denied);
	case_end();
	box_free(b);
}

void files_guard(void)
{
	guarded();
	other_tasks();
	terminals();
	overlay();
	audit();
	contents();
}
