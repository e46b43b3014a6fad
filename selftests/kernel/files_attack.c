/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a hostile program tries where every path is allowed: terminals of others,
 * ioctls that do what other calls are refused, 32-bit system calls, code that is
 * no file's, set-uid programs.
 */
#include "files_common.h"

#include <linux/perf_event.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bpf_load.h"
#include "int80.h"
#include "sandbox.h"

/* ---- terminals ----------------------------------------------------------------------- */

#define ALIAS "/dev/egtest-tty" /* another name for a terminal */
#define KERNEL_DEV(major, minor) ((major) << 20 | (minor)) /* dev_t inside the kernel */

/* not as the controlling terminal, and without waiting for a carrier */
static int act_open_tty(const void *path)
{
	return open_result(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
}

static void make_alias(const void *path)
{
	struct stat st;

	(void)unlink(ALIAS);
	must(stat(path, &st));
	must(mknod(ALIAS, S_IFCHR | 0666, st.st_rdev));
	must(chmod(ALIAS, 0666));
}

static void make_alias_serial(const void *unused)
{
	(void)unused;
	make_alias("/dev/ttyS0");
}

static void make_alias_console(const void *unused)
{
	(void)unused;
	make_alias("/dev/tty1");
}

static void make_link(const void *unused)
{
	(void)unused;
	(void)unlink(ALIAS);
	must(symlink("/dev/ttyS0", ALIAS));
}

static void foreign_terminals(void)
{
#define T(n, a, p, b, r) \
	{ .name = n, .act = act_open_tty, .arg = a, .path = p, .before = b, .op = EG_OP_OPEN, \
	  .want = EG_R | EG_W, .reason = EG_WHY_FOREIGN, .err = EACCES, .deny = policy_all(), \
	  .only_root = r }
	const struct attempt a[] = {
		T("a virtual console", "/dev/tty1", "/dev/tty1", NULL, true),
		T("the virtual console in front", "/dev/tty0", "/dev/tty0", NULL, true),
		T("the system's console", "/dev/console", "/dev/console", NULL, true),
		T("a serial line", "/dev/ttyS0", "/dev/ttyS0", NULL, true),
		T("what is on a virtual console's screen", "/dev/vcs1", "/dev/vcs1", NULL, true),
		T("a serial line by a link", ALIAS, "/dev/ttyS0", make_link, true),
		T("a serial line by another node", ALIAS, ALIAS, make_alias_serial, false),
		T("a virtual console by another node", ALIAS, ALIAS, make_alias_console, false),
	};
#undef T

	attempts(a, ARRAY_SIZE(a));
}

/* ---- devices that are more than files -------------------------------------------------- */

static void make_alias_loop(const void *unused)
{
	(void)unused;
	make_alias("/dev/loop-control");
}

static int act_harmless(const void *unused)
{
	static const char *const names[] = { "null", "zero", "full", "random", "urandom", "ptmx" };
	char path[32];
	int r = 0;

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(names) && !r; i++) {
		snprintf(path, sizeof(path), "/dev/%s", names[i]);
		r = open_result(path, O_RDWR | O_NOCTTY);
	}
	/* there is none, or it is opened; refused it is not */
	return r ?: open_result("/dev/tty", O_RDWR) == -EACCES ? -EACCES : 0;
}

static void devices(void)
{
	const char *given = str("%sprivileges: [devices]\n", policy_all());
#define V(n, a, b, r) \
	{ .name = n, .act = act_open_read, .arg = a, .path = a, .before = b, .op = EG_OP_OPEN, \
	  .want = EG_R, .reason = EG_WHY_DEVICE, .err = EACCES, .deny = policy_all(), \
	  .allow = given, .only_root = r }
	const struct attempt a[] = {
		V("loop devices' control", "/dev/loop-control", NULL, true),
		V("loop devices' control by another node", ALIAS, make_alias_loop, false),
		V("a tunnel", "/dev/net/tun", NULL, true),
	};
	struct attempt log = V("the kernel's log as a device", "/dev/kmsg", NULL, true);
#undef V
	struct box *b = box_shared(policy_all());
	int r;

	shell("modprobe loop; modprobe tun");
	attempts(a, ARRAY_SIZE(a));
	log.allow = NULL; /* takes a capability, too */
	attempt(&log);
	must(unlink(ALIAS));
	if (!case_begin("what programs take for granted is no such device"))
		return;
	box_events_drop(b);
	r = box_run(b, AS_USER, act_harmless, NULL);
	check(r == 0, "%s", result_text(r));
	no_event(b);
	case_end();
}

/* The terminal the sandbox was started on is its own, by every name; no other is. */
static void started_on(void)
{
	struct eg_sandbox *sb;
	struct box *b;
	int r;

	if (!case_begin("the terminal it was started on, by every name, and no other"))
		return;
	make_alias("/dev/ttyS0");
	b = box_new(policy_all());
	sb = &agent_sandboxes(harness_agent())[sandbox_slot(box_sandbox(b))];
	sb->ttys[0] = KERNEL_DEV(4, 64);
	sb->nttys = 1;
	r = box_run(b, AS_ROOT, act_open_tty, "/dev/ttyS0");
	check(r == 0, "its own: %s", result_text(r));
	r = box_run(b, AS_USER, act_open_tty, ALIAS);
	check(r == 0, "its own by another node: %s", result_text(r));
	no_event(b);
	r = box_run(b, AS_ROOT, act_open_tty, "/dev/tty1");
	check(r == -EACCES, "another: %s", result_text(r));
	box_free(b);
	must(unlink(ALIAS));
	case_end();
}

/* /dev/tty is whatever terminal controls the caller. */
static int act_dev_tty(const void *unused)
{
	_cleanup_close_ int tty = -1;
	int master, slave;

	(void)unused;
	if (openpty(&master, &slave, NULL, NULL, NULL) || setsid() < 0 ||
	    ioctl(slave, TIOCSCTTY, 0))
		return -errno;
	tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	return tty < 0 || write(tty, "x\n", 2) != 2 ? -errno : 0;
}

static void controlling(void)
{
	struct box *b = box_shared(policy_all());
	int r;

	if (!case_begin("/dev/tty of a terminal of its own"))
		return;
	r = box_run(NULL, AS_USER, act_dev_tty, NULL);
	check(r == 0, "outside: %s", result_text(r));
	box_events_drop(b);
	r = box_run(b, AS_USER, act_dev_tty, NULL);
	check(r == 0, "%s", result_text(r));
	no_event(b);
	case_end();
}

/* ---- typing, consoles and owners by ioctl -------------------------------------------- */

struct ioctl_arg {
	unsigned int cmd;
	const void *data;
	size_t len;
	bool on_socket; /* else on a terminal of its own, which controls the caller */
	bool compat;
	int none; /* errno that says as well that nobody refused it */
};

/* filled in before the children start: a child of this program that is in no sandbox */
static pid_t outsider;

static int ioctl_file(const struct ioctl_arg *a)
{
	int master, slave;

	if (a->on_socket)
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (openpty(&master, &slave, NULL, NULL, NULL) || setsid() < 0 ||
	    ioctl(slave, TIOCSCTTY, 0))
		return -1;
	return slave;
}

static int act_ioctl(const void *arg)
{
	const struct ioctl_arg *a = arg;
	int fd = ioctl_file(a), r;

	if (fd < 0)
		return -errno;
	if (a->compat)
		r = int80(I386_IOCTL, fd, a->cmd, int80_copy(a->data, a->len), 0, 0, 0);
	else
		r = ioctl(fd, a->cmd, a->data) ? -errno : 0;
	return r == -a->none ? 0 : r;
}

static void ioctls(void)
{
	static char subcode = 6; /* shift state: asks, and changes nothing */
	const struct ioctl_arg type = { TIOCSTI, "x", 1, false, false, 0 };
	const struct ioctl_arg type32 = { TIOCSTI, "x", 1, false, true, 0 };
	const struct ioctl_arg linux_ = { TIOCLINUX, &subcode, 1, false, false, ENOTTY };
	const struct ioctl_arg cons = { TIOCCONS, NULL, 0, false, false, 0 };
	const struct ioctl_arg own_tty = { FIOSETOWN, &outsider, sizeof(outsider), false, false,
					   ENOTTY };
	const struct ioctl_arg own = { FIOSETOWN, &outsider, sizeof(outsider), true, false, 0 };
	const struct ioctl_arg pgrp = { SIOCSPGRP, &outsider, sizeof(outsider), true, false, 0 };
	const struct ioctl_arg own32 = { FIOSETOWN, &outsider, sizeof(outsider), true, true, 0 };
#define I(n, a, r) \
	{ .name = n, .act = act_ioctl, .arg = &(a), .op = EG_OP_IOCTL, .reason = EG_WHY_GUARD, \
	  .want = EG_W, .err = EACCES, .deny = policy_all(), .only_root = r }
	const struct attempt a[] = {
		I("TIOCSTI of its own terminal", type, false),
		I("TIOCLINUX", linux_, false),
		I("TIOCCONS", cons, true),
		I("FIOSETOWN to an outsider", own, false),
		I("FIOSETOWN on a terminal", own_tty, false),
		I("SIOCSPGRP to an outsider", pgrp, false),
	};
	const struct attempt compat[] = {
		I("32-bit TIOCSTI", type32, false),
		I("32-bit FIOSETOWN to an outsider", own32, false),
	};
#undef I

	outsider = must(fork());
	if (!outsider) {
		for (;;)
			pause();
	}
	/* newer kernels leave it to CAP_SYS_ADMIN unless told so */
	shell("test ! -e /proc/sys/dev/tty/legacy_tiocsti || sysctl -qw dev.tty.legacy_tiocsti=1");
	attempts(a, ARRAY_SIZE(a));
	if (int80_works())
		attempts(compat, ARRAY_SIZE(compat));
	else if (case_begin("32-bit ioctls"))
		case_skip("no 32-bit system calls"), case_end();
	must(kill(outsider, SIGKILL));
	must(waitpid(outsider, NULL, 0));
}

/* ---- 32-bit open ---------------------------------------------------------------------- */

static int act_open32(const void *path)
{
	int fd = int80(I386_OPEN, int80_copy(path, strlen(path) + 1), O_RDONLY | O_CLOEXEC, 0, 0, 0,
		       0);

	return fd < 0 ? fd : close(fd);
}

static void open32(void)
{
	if (!int80_works()) {
		if (case_begin("32-bit open"))
			case_skip("no 32-bit system calls"), case_end();
		return;
	}
	attempt(&(struct attempt){
		.name = "32-bit open", .act = act_open32, .arg = SECRET, .before = fresh,
		.deny = policy_some(), .allow = policy_all(), .err = EACCES, .op = EG_OP_OPEN,
		.want = EG_R, .path = SECRET,
	});
}

/* ---- exec: strict, from what may be executed ------------------------------------------- */

#define CODE D "/code" /* a copy of true; may be read, written and executed */

static void *map_code(void)
{
	_cleanup_close_ int fd = open(CODE, O_RDONLY | O_CLOEXEC);

	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
}

/* write into a mapping of code */
static int act_code_writable(const void *unused)
{
	void *p = map_code();

	(void)unused;
	if (p == MAP_FAILED)
		return -errno;
	return mprotect(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) ? -errno : 0;
}

/* as a JIT compiler does: writable, written to, executable again */
static int act_code_rewritten(const void *unused)
{
	void *p = map_code();

	(void)unused;
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_WRITE))
		return -errno;
	*(char *)p = 0;
	return mprotect(p, 4096, PROT_READ | PROT_EXEC) ? -errno : 0;
}

static int act_anon_write_exec(const void *unused)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	return p == MAP_FAILED ? -errno : 0;
}

static int act_stack_exec(const void *unused)
{
	char here;
	void *page = (void *)((uintptr_t)&here & ~4095ul);

	(void)unused;
	return mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN) ? -errno :
											   0;
}

static int act_heap_exec(const void *unused)
{
	char *p = sbrk(8192);
	void *page = (void *)(((uintptr_t)p + 4095) & ~4095ul);

	(void)unused;
	return mprotect(page, 4096, PROT_READ | PROT_EXEC) ? -errno : 0;
}

/* every readable mapping is executable then */
static int act_read_implies_exec(const void *unused)
{
	void *p;

	(void)unused;
	if (personality(READ_IMPLIES_EXEC) < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? -errno : 0;
}

/* the kernel writes where the task may not: a copy of the page */
static int act_write_self(const void *unused)
{
	_cleanup_close_ int fd = -1;
	char *p = map_code();

	(void)unused;
	if (p == MAP_FAILED)
		return -errno;
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	return fd < 0 || pwrite(fd, "x", 1, (off_t)(uintptr_t)p) != 1 ? -errno : 0;
}

static void strict(void)
{
	const char *policy = str("%sexec: strict\n", policy_all());
#define S(n, a) \
	{ .name = "strict: " n, .act = a, .op = EG_OP_MMAP, .want = EG_X, \
	  .reason = EG_WHY_GUARD, .err = EACCES, .deny = policy, .allow = policy_all() }
	struct attempt a[] = {
		S("code made writable", act_code_writable),
		S("code written to and made executable again", act_code_rewritten),
		S("anonymous memory to write and execute", act_anon_write_exec),
		S("the stack", act_stack_exec),
		S("the heap", act_heap_exec),
		S("READ_IMPLIES_EXEC", act_read_implies_exec),
		S("/proc/self/mem", act_write_self),
	};
	struct attempt *self = &a[ARRAY_SIZE(a) - 1];
#undef S

	shell("cp /bin/true " CODE " && chmod 777 " CODE);
	self->op = EG_OP_OPEN;
	self->want = EG_W;
	attempts(a, ARRAY_SIZE(a));
}

/* ---- set-uid ------------------------------------------------------------------------------ */

#define SUID "/srv/egtest-cat" /* where set-uid counts */

static int act_suid_cat(const void *path)
{
	char *argv[] = { "cat", (char *)path, NULL }, *envp[] = { NULL };
	int status;
	pid_t pid = fork();

	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execve(SUID, argv, envp);
		_exit(2);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return status ? -EACCES : 0;
}

static void before_suid(const void *unused)
{
	fresh(unused);
	must(lchown(SECRET, 0, 0));
	must(chmod(SECRET, 0600)); /* without being root nobody reads it outside either */
}

static void set_uid(void)
{
	shell("install -D -m 4755 /bin/cat " SUID);
	attempt(&(struct attempt){
		.name = "a set-uid program reads what is refused", .act = act_suid_cat,
		.arg = SECRET, .before = before_suid, .deny = policy_some(), .allow = policy_all(),
		.err = EACCES, .op = EG_OP_OPEN, .want = EG_R, .path = SECRET, .only_user = true,
	});
	must(unlink(SUID));
}

void files_attack(void)
{
	foreign_terminals();
	devices();
	(void)unlink(ALIAS);
	started_on();
	controlling();
	ioctls();
	open32();
	strict();
	set_uid();
}
