/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Objects with odd names or none: links, descriptors from outside, deleted, detached, chroot. */
#include "files_common.h"

#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "bpf_load.h"

#define TREE D "/tree" /* a tmpfs that is detached */

/* ---- symbolic links ------------------------------------------------------------------ */

static int act_by_link(const void *path)
{
	return open_result(path, O_RDONLY);
}

static int act_create_by_dangling(const void *path)
{
	return open_result(path, O_WRONLY | O_CREAT);
}

static void before_links(const void *unused)
{
	fresh(unused);
	must(symlink(SECRET, D "/to-secret"));
	must(symlink("to-secret", D "/to-to"));
	must(symlink(CLOSED, D "/to-closed"));
	must(symlink(CLOSED "/new", D "/dangling"));
	must(symlink(D "/public", CLOSED "/sub/out"));
	must(symlink(D "/dir", D "/dirlink"));
}

static void after_links(const void *unused, bool refused)
{
	untouched(unused, refused);
	must(unlink(CLOSED "/sub/out"));
}

static void links(void)
{
#define L(n, a, arg_, o, w, p) \
	{ .name = n, .act = a, .arg = arg_, .op = EG_OP_##o, .want = w, .path = p, .err = EACCES, \
	  .before = before_links, .after = after_links, .deny = policy_some(), \
	  .allow = policy_all() }
	const struct attempt a[] = {
		L("a link to a denied file", act_by_link, D "/to-secret", OPEN, EG_R, SECRET),
		L("a link to a link", act_by_link, D "/to-to", OPEN, EG_R, SECRET),
		L("a linked parent", act_by_link, D "/to-closed/sub/f", OPEN, EG_R,
		  CLOSED "/sub/f"),
		L("a dangling link is created where it leads", act_create_by_dangling,
		  D "/dangling", CREATE, EG_C, CLOSED "/new"),
		L("through /proc/self/root", act_by_link, "/proc/self/root" SECRET, OPEN, EG_R,
		  SECRET),
		L("through /proc/self/cwd", act_by_link, "/proc/self/cwd/secret", OPEN, EG_R,
		  SECRET),
	};
	struct box *b;
	int r;
#undef L

	attempts(a, ARRAY_SIZE(a));
	if (!case_begin("links in denied places may lead out; a rule holds where its link leads"))
		return;
	before_links(NULL);
	b = box_new(POLICY_FILES("default: rwxc", CLOSED ": none", D "/dirlink: none"));
	r = box_run(b, AS_USER, act_by_link, CLOSED "/sub/out");
	check(r == 0, "%s", result_text(r));
	no_event(b);
	r = box_run(b, AS_USER, act_by_link, D "/dirlink/f");
	check(r == -EACCES, "%s", result_text(r));
	one_event(b, EG_OP_OPEN, EG_WHY_RULE, EACCES, D "/dir/f");
	box_free(b);
	case_end();
}

/* ---- /proc --------------------------------------------------------------------------- */

static int act_own_proc(const void *unused)
{
	char path[64];
	pid_t child = fork();
	int r;

	(void)unused;
	if (!child) {
		child_meet();
		_exit(0);
	}
	r = open_result("/proc/self/status", O_RDONLY);
	r = r ?: open_result("/proc/self/environ", O_RDONLY);
	r = r ?: open_result("/proc/thread-self/stat", O_RDONLY);
	r = r ?: open_result("/proc/self/fd", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/maps", getpid());
	r = r ?: open_result(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", getpid());
	r = r ?: open_result(path, O_RDWR);
	snprintf(path, sizeof(path), "/proc/%d/status", child);
	return r ?: open_result(path, O_RDONLY);
}

static void procfs(void)
{
	const char *rules = POLICY_FILES("default: rwxc", "/proc: none", "/proc/self: rw");
	const char *other = str("/proc/%d/status", getpid());
	const struct attempt foreign = {
		.name = "/proc/PID of an outsider", .act = act_open_read, .arg = other,
		.op = EG_OP_OPEN, .reason = EG_WHY_FOREIGN, .err = EACCES, .path = other,
		.deny = policy_all(),
	};
	const struct attempt list = {
		.name = "list /proc/1", .act = act_list, .arg = "/proc/1", .op = EG_OP_OPEN,
		.reason = EG_WHY_FOREIGN, .err = EACCES, .path = "/proc/1", .deny = policy_all(),
	};
	struct box *b = box_shared(rules);
	struct child c;
	int r;

	attempt(&foreign);
	attempt(&list);
	if (case_begin("own entries of /proc, by self and by number")) {
		box_events_drop(b);
		child_start(&c, b, AS_USER, act_own_proc, NULL);
		child_meet_from_parent(&c);
		r = child_wait(&c);
		check(r == 0, "%s", result_text(r));
		no_event(b);
		case_end();
	}
	if (case_begin("/proc/1/root is refused without an event")) {
		b = box_shared(policy_all());
		box_events_drop(b);
		r = box_run(b, AS_ROOT, act_open_read, "/proc/1/root/etc/passwd");
		check(r == -EACCES, "%s", result_text(r));
		no_event(b);
		case_end();
	}
}

/* ---- descriptors that somebody passes in --------------------------------------------- */

static int act_receive(const void *unused)
{
	int fd = receive_fd();

	(void)unused;
	return fd < 0 ? fd : 0;
}

/* the descriptor is that of a directory, or a mount: what is below it */
static int act_receive_and_open(const void *name)
{
	_cleanup_close_ int at = receive_fd(), fd = -1;

	if (at < 0)
		return at;
	fd = openat(at, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static void before_pass_read(const void *unused)
{
	fresh(unused);
	passer_start(open(SECRET, O_RDONLY | O_CLOEXEC));
}

static void before_pass_write(const void *unused)
{
	fresh(unused);
	passer_start(open(READONLY, O_RDWR | O_CLOEXEC));
}

static void before_pass_path(const void *unused)
{
	fresh(unused);
	passer_start(open(CLOSED, O_PATH | O_CLOEXEC));
}

static void before_pass_socket(const void *unused)
{
	(void)unused;
	passer_start(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static void before_pass_map(const void *unused)
{
	(void)unused;
	passer_start(fcntl(agent_map_fd(harness_agent(), AGENT_MAP_POLICIES), F_DUPFD_CLOEXEC, 0));
}

/* A copy of a tree that hangs nowhere. */
static void before_pass_clone(const void *unused)
{
	fresh(unused);
	passer_start((int)syscall(SYS_open_tree, AT_FDCWD, CLOSED,
				  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

static void before_pass_fsmount(const void *unused)
{
	int fs = must((int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)), mnt, fd;

	(void)unused;
	must(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mnt = must((int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0));
	must(fchmodat(mnt, ".", 0777, 0));
	fd = must(openat(mnt, "f", O_CREAT | O_RDWR | O_CLOEXEC, 0666));
	(void)close(fd);
	(void)close(fs);
	passer_start(mnt);
}

/* a directory seen from another mount namespace, where its path is an allowed one */
static void before_pass_namespace(const void *unused)
{
	int here, there;

	fresh(unused);
	here = must(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
	must(unshare(CLONE_NEWNS));
	shell("mount --make-rprivate / && mount --bind " CLOSED "/sub " D "/dir");
	there = must(open(D "/dir", O_PATH | O_CLOEXEC));
	must(setns(here, CLONE_NEWNS));
	must(chdir(D));
	(void)close(here);
	passer_start(there);
}

static void after_pass(const void *unused, bool refused)
{
	(void)unused;
	(void)refused;
	passer_end();
}

static const char *with_passer(const char *policy)
{
	return str("%segress: {unix: [\"@egtest-passer\"]}\n", policy);
}

static void received(void)
{
#define P(n, b, a, arg_, o, why) \
	{ .name = n, .before = b, .after = after_pass, .act = a, .arg = arg_, .err = EACCES, \
	  .op = EG_OP_##o, .reason = EG_WHY_##why, .deny = with_passer(policy_some()) }
	struct attempt files_[] = {
		P("receive a denied file", before_pass_read, act_receive, NULL, RECEIVE, RULE),
		P("receive a file open for more than allowed", before_pass_write, act_receive, NULL,
		  RECEIVE, RULE),
		P("open below a received O_PATH directory", before_pass_path,
		  act_receive_and_open, "f", OPEN, RULE),
	};
	const struct attempt never[] = {
		P("receive a socket of an outsider", before_pass_socket, act_receive, NULL, RECEIVE,
		  FOREIGN),
		P("receive a BPF map", before_pass_map, act_receive, NULL, RECEIVE, GUARD),
		P("open in a received open_tree() clone", before_pass_clone,
		  act_receive_and_open, "f", OPEN, UNPLACED),
		P("open in a received fsmount()", before_pass_fsmount, act_receive_and_open, "f",
		  OPEN, UNPLACED),
		P("open in another mount namespace", before_pass_namespace,
		  act_receive_and_open, "f", OPEN, UNPLACED),
	};
	size_t i;
#undef P

	for (i = 0; i < ARRAY_SIZE(files_); i++) {
		files_[i].allow = with_passer(policy_all());
		attempt(&files_[i]);
	}
	attempts(never, ARRAY_SIZE(never));
}

/* ---- deleted, unmounted -------------------------------------------------------------- */

struct gone {
	const char *path, *below; /* below: openat() from it */
};

/* Takes hold of something, lets the parent do away with it, and opens it. */
static int act_gone(const void *arg)
{
	const struct gone *g = arg;
	_cleanup_close_ int at = open(g->path, O_PATH | O_CLOEXEC), fd = -1;
	char self[32];

	if (at < 0)
		return -errno;
	child_meet();
	child_meet();
	snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	fd = g->below ? openat(at, g->below, O_RDONLY | O_CLOEXEC) :
			open(self, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static int while_gone(struct box *b, const struct gone *g, const char *command)
{
	struct child c;

	if (b)
		box_events_drop(b);
	child_start(&c, b, AS_USER, act_gone, g);
	child_meet_from_parent(&c);
	shell("%s", command);
	child_meet_from_parent(&c);
	return child_wait(&c);
}

static void deleted(void)
{
	static const struct gone public = { D "/public", NULL }, denied = { CLOSED "/f", NULL },
				 in_tree = { TREE, "f" };
	struct box *b = box_shared(policy_some());
	const char *mount_tree = "mount -t tmpfs x " TREE " && chmod 777 " TREE " && "
				 "touch " TREE "/f && chmod 666 " TREE "/f";
	int r;

	if (case_begin("a deleted file is judged by its last name")) {
		fresh(NULL);
		r = while_gone(b, &public, "rm " D "/public");
		check(r == 0, "allowed: %s", result_text(r));
		no_event(b);
		fresh(NULL);
		r = while_gone(NULL, &denied, "rm " CLOSED "/f");
		check(r == 0, "outside: %s", result_text(r));
		fresh(NULL);
		r = while_gone(b, &denied, "rm " CLOSED "/f");
		check(r == -EACCES, "denied: %s", result_text(r));
		one_event(b, EG_OP_OPEN, EG_WHY_RULE, EACCES, CLOSED "/f");
		case_end();
	}
	if (case_begin("a lazily unmounted tree is refused")) {
		make_dir(TREE);
		shell("%s", mount_tree);
		r = while_gone(NULL, &in_tree, "umount -l " TREE);
		check(r == 0, "outside: %s", result_text(r));
		shell("%s", mount_tree);
		r = while_gone(b, &in_tree, "true");
		check(r == 0, "mounted: %s", result_text(r));
		no_event(b);
		r = while_gone(b, &in_tree, "umount -l " TREE);
		check(r == -EACCES, "unmounted: %s", result_text(r));
		one_event(b, EG_OP_OPEN, EG_WHY_UNPLACED, EACCES, NULL);
		case_end();
	}
}

/* ---- chroot, mount namespaces -------------------------------------------------------- */

static int act_chroot(const void *path)
{
	if (chroot(D) || chdir("/"))
		return -errno;
	return open_result(path, O_RDONLY);
}

static int act_bind_away(const void *from)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(from, D "/dir", NULL, MS_BIND, NULL))
		return -errno;
	return open_result(D "/dir/f", O_RDONLY);
}

static void roots(void)
{
	const struct attempt a = {
		.name = "a chroot changes nothing", .act = act_chroot, .arg = "/secret",
		.op = EG_OP_OPEN, .err = EACCES, .want = EG_R, .path = SECRET, .before = fresh,
		.deny = policy_some(), .allow = policy_all(), .only_root = true,
	};
	const struct attempt mounts = {
		.name = "no own mounts", .act = act_bind_away, .arg = CLOSED, .op = EG_OP_CAPABLE,
		.reason = EG_WHY_GUARD, .err = EPERM, .before = fresh, .deny = policy_all(),
		.only_root = true,
	};

	attempt(&a);
	attempt(&mounts);
}

void files_object(void)
{
	links();
	procfs();
	received();
	deleted();
	roots();
}
