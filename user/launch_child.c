/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What runs in the child between fork() and execve(), and what prepares it. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/types.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "diag.h"
#include "environ.h"
#include "landlock.h"
#include "launch.h"
#include "launch_int.h"
#include "util.h"

#define ORDERS_MAX (1u << 20) /* bytes of the environment rules */
#define TTYS_MAX 3

/* ---- descriptors ------------------------------------------------------------------------ */

/*
 * A socket of the network that was open before would be a way out that no rule
 * judged; an io_uring or BPF descriptor can do what its maker could.
 */
static const char *fd_objection(int fd)
{
	char path[32], target[64];
	int domain = 0;
	socklen_t len = sizeof(domain);
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st))
		return NULL; /* closed: nothing to object to */
	if (S_ISSOCK(st.st_mode)) {
		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) || domain != AF_UNIX)
			return "a network socket that was opened outside of the sandbox";
		return NULL;
	}
	if (st.st_mode & S_IFMT)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = 0;
	if (str_eq(target, "anon_inode:[eventfd]") || str_eq(target, "anon_inode:[timerfd]") ||
	    str_eq(target, "anon_inode:[signalfd]") || str_eq(target, "anon_inode:inotify"))
		return NULL;
	return "a kernel object that was opened outside of the sandbox";
}

int launch_check_fds(const struct launch *l, struct diag *d)
{
	size_t i;
	int fd;

	for (i = 0; i < 3 + l->nkeep_fds; i++) {
		const char *why;

		fd = i < 3 ? (int)i : l->keep_fds[i - 3];
		if (i >= 3 && fcntl(fd, F_GETFD) < 0)
			return diag_set(d, -EBADF, "descriptor %d (--keep-fd) is not open", fd);
		why = fd_objection(fd);
		if (why)
			return diag_set(d, -EPERM,
					"descriptor %d is %s: redirect it through a pipe", fd, why);
	}
	return 0;
}

json_t *launch_ttys(void)
{
	json_t *a = json_array();
	struct stat st;
	int fd;

	for (fd = 0; fd < TTYS_MAX; fd++)
		if (isatty(fd) && !fstat(fd, &st))
			/* the kernel's own dev_t: 12 bits of major, 20 of minor */
			(void)json_array_append_new(a, json_integer((json_int_t)major(st.st_rdev)
									    << 20 |
								    minor(st.st_rdev)));
	return a;
}

static int fd_cmp(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * Close all but 0, 1, 2, the kept ones and the two of ours, in a table of its
 * own: nothing that still shares the table can put one back.
 */
static int close_others(const struct launch *l, int report)
{
	unsigned int from = 3, flags = CLOSE_RANGE_UNSHARE;
	int keep[LAUNCH_KEEP_FDS + 1];
	size_t n = 0, i;

	for (i = 0; i < l->nkeep_fds; i++)
		keep[n++] = l->keep_fds[i];
	keep[n++] = report;
	qsort(keep, n, sizeof(*keep), fd_cmp);
	for (i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from && close_range(from, keep[i] - 1, flags))
			return -errno;
		from = keep[i] + 1;
		flags = 0;
	}
	if (close_range(from, ~0u, flags))
		return -errno;
	for (i = 0; i < l->nkeep_fds; i++)
		if (fcntl(l->keep_fds[i], F_SETFD, 0))
			return -errno;
	return 0;
}

/* ---- inside ------------------------------------------------------------------------------ */

static void __attribute__((noreturn)) fail(int report, int err, int status, const char *what)
{
	struct launch_failure f = { .err = err, .status = status };

	snprintf(f.what, sizeof(f.what), "%s", what);
	(void)!write(report, &f, sizeof(f)); /* the parent is gone: nobody to tell */
	_exit(status);
}

/* Everything the parent says until it closes the pipe. */
static char *read_orders(int go)
{
	char *buf = malloc(ORDERS_MAX + 1);
	size_t len = 0;
	ssize_t n;

	while (buf && len < ORDERS_MAX) {
		n = read(go, buf + len, ORDERS_MAX - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += n;
	}
	if (!buf || !len)
		_exit(LAUNCH_FAILED); /* the parent died or gave up before the sandbox was there */
	buf[len] = 0;
	return buf;
}

/*
 * The sandbox may not use the caller's session keyring, which it would inherit: it gets an
 * empty one of its own, so that programs that keep keys there work. Without keyrings in
 * the kernel there is nothing to do, and nothing to lose.
 */
static void leave_keyring(const json_t *orders)
{
	if (!json_is_true(json_object_get(json_object_get(orders, "env"), "keys")))
		(void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

static char **string_list(const json_t *a, size_t *n)
{
	char **list = calloc(json_array_size(a) + 5, sizeof(*list));
	const json_t *s;
	size_t i;

	*n = 0;
	if (!list)
		return NULL;
	json_array_foreach(a, i, s)
		if (json_is_string(s))
			list[(*n)++] = (char *)json_string_value(s);
	return list;
}

static char *assignment(const char *name, const char *value)
{
	char *s;

	return asprintf(&s, "%s=%s", name, value) < 0 ? NULL : s;
}

/* The command's environment; orders: {"env": {keep, set, only, denials, keys}, "sandbox": id}. */
static char **make_environ(const struct launch *l, const json_t *orders)
{
	const json_t *env = json_object_get(orders, "env");
	const json_t *only = json_object_get(env, "only");
	const char *denials = json_string_value(json_object_get(env, "denials"));
	struct env_rules r = { .has_only = json_is_array(only) };
	char id[32], **out;

	r.keep = string_list(json_object_get(env, "keep"), &r.nkeep);
	r.set = string_list(json_object_get(env, "set"), &r.nset);
	r.only = string_list(only, &r.nonly);
	if (!r.keep || !r.set || !r.only)
		return NULL;
	snprintf(id, sizeof(id), "%lld",
		 (long long)json_integer_value(json_object_get(orders, "sandbox")));
	/* under sudo: the caller's, as a login would have them */
	if (l->drop && l->home) {
		r.set[r.nset++] = assignment("HOME", l->home);
		r.set[r.nset++] = assignment("USER", l->user);
		r.set[r.nset++] = assignment("LOGNAME", l->user);
		if (!r.set[r.nset - 3] || !r.set[r.nset - 2] || !r.set[r.nset - 1])
			return NULL;
	}
	if (denials) {
		r.set[r.nset++] = assignment("EGRESSCTL_DENIALS", denials);
		if (!r.set[r.nset - 1])
			return NULL;
	}
	r.set[r.nset++] = assignment("EGRESSCTL_SANDBOX", id);
	if (!r.set[r.nset - 1] || environ_build(environ, &r, &out))
		return NULL;
	return out;
}

/* The ruleset that came from the server. */
static int take_ruleset(int rules)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} c = {};
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	ssize_t n;
	int fd;

	do {
		n = recvmsg(rules, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != 1 || !CMSG_FIRSTHDR(&m) || c.h.cmsg_type != SCM_RIGHTS)
		return n < 0 ? -errno : -EBADMSG;
	memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
	return fd;
}

/*
 * Without BPF LSM: Landlock holds what it can of the paths. It asks for no_new_privs, of root
 * too, since a set-uid program would see the files that this user chose.
 */
static int restrict_self(const json_t *orders, int rules)
{
	_cleanup_close_ int ruleset = -1;

	if (!json_is_true(json_object_get(orders, "landlock")))
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	ruleset = take_ruleset(rules);
	return ruleset < 0 ? ruleset : landlock_restrict(ruleset);
}

static int become(const struct launch *l)
{
	if (!l->drop)
		return 0;
	if (initgroups(l->user, l->gid) || setresgid(l->gid, l->gid, l->gid) ||
	    setresuid(l->uid, l->uid, l->uid))
		return -errno;
	return 0;
}

/* As they were before launch_fork(). */
struct inherited_signals {
	sigset_t mask;
	struct sigaction chld;
};

static void restore_signals(const struct inherited_signals *old)
{
	(void)sigaction(SIGCHLD, &old->chld, NULL);
	(void)sigprocmask(SIG_SETMASK, &old->mask, NULL);
}

static void __attribute__((noreturn)) child_main(const struct launch *l, int go, int rules,
						 int report, const struct inherited_signals *old)
{
	struct launch_failure ready = {};
	char **env, *text;
	json_t *orders;
	int err;

	/* before the sandbox: it asks the user database, which rules may hide */
	err = become(l);
	if (err)
		fail(report, -err, LAUNCH_FAILED, "cannot become the calling user");
	/*
	 * Root may raise its rights anyhow. Others choose what a set-uid program would see, and
	 * egressd takes none without.
	 */
	if (getuid() != 0 && !l->new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail(report, errno, LAUNCH_FAILED, "cannot give up new privileges");
	if (write(report, &ready, sizeof(ready)) != sizeof(ready))
		_exit(LAUNCH_FAILED);
	text = read_orders(go);
	orders = json_loads(text, 0, NULL);
	free(text);
	env = orders ? make_environ(l, orders) : NULL;
	if (!env)
		fail(report, ENOMEM, LAUNCH_FAILED, "cannot make the environment");
	leave_keyring(orders);
	err = restrict_self(orders, rules);
	if (err)
		fail(report, -err, LAUNCH_FAILED, "Landlock cannot be put in force");
	err = close_others(l, report);
	if (err)
		fail(report, -err, LAUNCH_FAILED, "cannot close descriptors");
	restore_signals(old);
	environ = env;
	execvp(l->argv[0], l->argv);
	err = errno;
	fail(report, err, err == ENOENT || err == ENOTDIR ? LAUNCH_NOTFOUND : LAUNCH_NOEXEC, "");
}

/* ---- outside ------------------------------------------------------------------------------ */

void launch_no_core(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none); /* at worst a core file too many */
	(void)prctl(PR_SET_DUMPABLE, 0);
}

/* Signals that mean the launcher's own death or fault are left alone. */
static void forwarded_signals(sigset_t *set)
{
	static const int not[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS,
				   SIGPIPE, SIGCONT };
	size_t i;

	sigfillset(set);
	for (i = 0; i < ARRAY_SIZE(not); i++)
		sigdelset(set, not[i]);
}

int launch_fork(const struct launch *l, int control, struct launch_child *c, struct diag *d)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	int go[2] = { -1, -1 }, report[2] = { -1, -1 }, rules[2] = { -1, -1 };
	struct inherited_signals old;
	struct launch_failure first;

	*c = (struct launch_child){ .l = l, .pidfd = -1, .signals = -1 };
	if (pipe2(go, O_CLOEXEC) || pipe2(report, O_CLOEXEC) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, rules))
		return diag_set(d, -errno, "cannot make a pipe: %s", strerror(errno));
	forwarded_signals(&c->blocked);
	(void)sigprocmask(SIG_BLOCK, &c->blocked, &old.mask);
	(void)sigaction(SIGCHLD, &dfl, &old.chld); /* ignored, it would reap the child */
	c->signals = signalfd(-1, &c->blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signals < 0)
		return diag_set(d, -errno, "cannot make a signalfd: %s", strerror(errno));
	c->pid = fork();
	if (!c->pid) {
		close(control);
		close(go[1]);
		close(report[0]);
		close(rules[1]);
		child_main(l, go[0], rules[0], report[1], &old);
	}
	close(go[0]);
	close(report[1]);
	close(rules[0]);
	c->rules = rules[1];
	c->go = go[1];
	c->report = report[0];
	/* not yet waited for, so the number is the child's */
	c->pidfd = c->pid < 0 ? -1 : pidfd_open(c->pid, 0);
	if (c->pidfd < 0)
		return diag_set(d, -errno, "cannot start a process: %s", strerror(errno));
	if (launch_read_report(c->report, &first))
		return diag_set(d, -EPIPE, "the child ended early");
	if (first.err)
		return diag_set(d, -first.err, "%s: %s", first.what, strerror(first.err));
	return 0;
}

int launch_read_report(int report, struct launch_failure *f)
{
	ssize_t n;

	do {
		n = read(report, f, sizeof(*f));
	} while (n < 0 && errno == EINTR);
	return n == sizeof(*f) ? 0 : -EPIPE;
}

static int send_ruleset(int rules, int ruleset)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} c = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
		       .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { "", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	ssize_t n;

	memcpy(CMSG_DATA(&c.h), &ruleset, sizeof(ruleset));
	do {
		n = sendmsg(rules, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int launch_go(struct launch_child *c, const json_t *env, int64_t sandbox, int ruleset)
{
	json_t *o = json_pack("{s:O, s:I, s:b}", "env", env, "sandbox", (json_int_t)sandbox,
			      "landlock", ruleset >= 0);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0, done = 0;
	int err = text ? 0 : -ENOMEM;

	if (!err && ruleset >= 0)
		err = send_ruleset(c->rules, ruleset);
	close(c->rules);

	while (!err && done < len) {
		ssize_t n = write(c->go, text + done, len - done);

		if (n < 0 && errno != EINTR)
			err = -errno;
		else if (n > 0)
			done += n;
	}
	close(c->go);
	free(text);
	json_decref(o);
	return err;
}
