/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Opening, listing and watching: every way in, and what the rules mean to it. */
#include "files_common.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

struct open_arg {
	const char *path;
	int flags;
};

static int act_open(const void *arg)
{
	const struct open_arg *a = arg;

	return open_result(a->path, a->flags);
}

static int act_openat2(const void *arg)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, arg, &how, sizeof(how));

	return fd < 0 ? -errno : 0;
}

static int act_openat_dir(const void *path)
{
	_cleanup_close_ int at = open(D, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = openat(at, (const char *)path + strlen(D "/"), O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

/* The 32-bit entry: its system calls and structures are others, the hooks the same. */
static int act_int80(const void *path)
{
#ifdef __x86_64__
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long r;

	if (low == MAP_FAILED)
		return -errno;
	strcpy(low, path);
	asm volatile("int $0x80"
		     : "=a"(r)
		     : "a"(5), "b"(low), "c"(O_RDONLY), "d"(0)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
#else
	(void)path;
	return -ENOSYS;
#endif
}

static int uring_open(const void *path, unsigned int flags, unsigned int sqe_flags)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
				    .flags = sqe_flags, .addr = (uintptr_t)path,
				    .open_flags = O_RDONLY };

	return uring_one(&sqe, flags);
}

static int act_uring(const void *path)
{
	return uring_open(path, 0, 0);
}

static int act_uring_worker(const void *path)
{
	return uring_open(path, 0, IOSQE_ASYNC);
}

static int act_uring_sqpoll(const void *path)
{
	return uring_open(path, IORING_SETUP_SQPOLL, 0);
}

static int act_by_handle(const void *path)
{
	struct {
		struct file_handle h;
		char bytes[128];
	} f = { .h.handle_bytes = 128 };
	_cleanup_close_ int at = open(D, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int id, fd;

	if (at < 0 || name_to_handle_at(AT_FDCWD, path, &f.h, &id, 0))
		return -errno;
	fd = open_by_handle_at(at, &f.h, O_RDONLY);
	return fd < 0 ? -errno : 0;
}

static int act_inotify(const void *path)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC);

	return inotify_add_watch(fd, path, IN_CREATE | IN_OPEN) < 0 ? -errno : 0;
}

static int act_fanotify(const void *path)
{
	_cleanup_close_ int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN | FAN_CREATE | FAN_EVENT_ON_CHILD, AT_FDCWD,
			     path) < 0 ? -errno : 0;
}

static int act_copy_to(const void *path)
{
	_cleanup_close_ int in = open(D "/public", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (in < 0 || out < 0)
		return -errno;
	n = copy_file_range(in, NULL, out, NULL, 7, 0);
	return n < 0 ? -errno : 0;
}

static int act_sendfile_from(const void *path)
{
	_cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(D "/public", O_WRONLY | O_CLOEXEC);

	if (in < 0 || out < 0)
		return -errno;
	return sendfile(out, in, NULL, 7) < 0 ? -errno : 0;
}

static int act_map_shared(const void *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	char *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	p[0] = 'X';
	return 0;
}

/* A link that resolves to what is denied; made by anybody, judged where it leads. */
static int act_by_symlink(const void *path)
{
	if (symlink(path, D "/link"))
		return -errno;
	return open_result(D "/link", O_RDONLY);
}

static int act_by_proc_fd_link(const void *path)
{
	char link[64];
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", fd);
	return open_result(link, O_WRONLY);
}

static void opens(void)
{
	static const struct open_arg read_only = { SECRET, O_RDONLY };
	static const struct open_arg rdwr = { SECRET, O_RDWR };
	static const struct open_arg trunc = { SECRET, O_RDONLY | O_TRUNC };
	static const struct open_arg mode3 = { SECRET, O_ACCMODE };
	static const struct open_arg append = { SECRET, O_WRONLY | O_APPEND };
	static const struct open_arg creat_old = { SECRET, O_RDONLY | O_CREAT };
	static const struct open_arg nofollow = { SECRET, O_RDONLY | O_NOFOLLOW | O_NONBLOCK };
	static const struct open_arg r_trunc = { READONLY, O_RDONLY | O_TRUNC };
	static const struct open_arg r_mode3 = { READONLY, O_ACCMODE };
	static const struct open_arg r_rdwr = { READONLY, O_RDWR };
	static const struct open_arg tmpfile = { CLOSED, O_TMPFILE | O_RDWR };
	static const struct open_arg r_tmpfile = { READONLY ".d", O_TMPFILE | O_WRONLY };
#define ON(n, a, g, w, p) \
	{ .name = n, .act = a, .arg = g, .want = w, .path = p, .op = EG_OP_OPEN, .err = EACCES, \
	  .deny = policy_some(), .allow = policy_all(), .before = fresh, .after = untouched }
	const struct attempt a[] = {
		ON("open O_RDONLY", act_open, &read_only, EG_R, SECRET),
		ON("open O_WRONLY", act_open_write, SECRET, EG_W, SECRET),
		ON("open O_RDWR", act_open, &rdwr, EG_R | EG_W, SECRET),
		ON("open O_RDONLY with O_TRUNC", act_open, &trunc, EG_R | EG_W, SECRET),
		ON("open with access mode 3", act_open, &mode3, EG_R | EG_W, SECRET),
		ON("open O_APPEND", act_open, &append, EG_W, SECRET),
		ON("open O_CREAT of what exists", act_open, &creat_old, EG_R, SECRET),
		ON("open O_NOFOLLOW", act_open, &nofollow, EG_R, SECRET),
		ON("readable: O_TRUNC", act_open, &r_trunc, EG_W, READONLY),
		ON("readable: access mode 3", act_open, &r_mode3, EG_W, READONLY),
		ON("readable: O_RDWR", act_open, &r_rdwr, EG_W, READONLY),
		ON("readable: O_WRONLY", act_open_write, READONLY, EG_W, READONLY),
		ON("O_TMPFILE", act_open, &tmpfile, EG_R | EG_W, NULL),
		ON("readable: O_TMPFILE", act_open, &r_tmpfile, EG_W, NULL),
		ON("openat2", act_openat2, SECRET, EG_R, SECRET),
		ON("openat from an O_PATH directory", act_openat_dir, SECRET, EG_R, SECRET),
		ON("open by int 0x80", act_int80, SECRET, EG_R, SECRET),
		ON("io_uring OPENAT", act_uring, SECRET, EG_R, SECRET),
		ON("io_uring OPENAT in a worker", act_uring_worker, SECRET, EG_R, SECRET),
		ON("io_uring OPENAT by SQPOLL", act_uring_sqpoll, SECRET, EG_R, SECRET),
		ON("O_PATH, then /proc/self/fd", act_open_path_reopen, SECRET, EG_R, SECRET),
		ON("O_PATH, then /proc/thread-self/fd for writing", act_by_proc_fd_link, READONLY,
		   EG_W, READONLY),
		ON("a file below a closed directory", act_open_read, CLOSED "/sub/f", EG_R,
		   CLOSED "/sub/f"),
		ON("through a symbolic link", act_by_symlink, SECRET, EG_R, SECRET),
		ON("copy_file_range to", act_copy_to, READONLY, EG_W, READONLY),
		ON("sendfile from", act_sendfile_from, SECRET, EG_R, SECRET),
		ON("a shared mapping", act_map_shared, READONLY, EG_W, READONLY),
		ON("list a directory", act_list, CLOSED, EG_R, CLOSED),
		ON("list a directory by a path with dots", act_list, CLOSED "/sub/../sub/.", EG_R,
		   CLOSED "/sub"),
		ON("inotify", act_inotify, CLOSED, EG_R, CLOSED),
		ON("inotify on a file", act_inotify, SECRET, EG_R, SECRET),
	};
	struct attempt b[] = {
		ON("fanotify", act_fanotify, CLOSED, EG_R, CLOSED),
		ON("open_by_handle_at", act_by_handle, SECRET, 0, NULL),
	};
#undef ON

	attempts(a, ARRAY_SIZE(a));
	b[0].only_user = true; /* root is told by CAP_SYS_ADMIN's refusal to do it as a user */
	attempt(&b[0]);
	b[0].only_user = false;
	b[0].only_root = true;
	b[0].more_events = true;
	b[0].allow = NULL;
	attempt(&b[0]);
	b[1].only_root = true;
	b[1].allow = NULL;
	b[1].err = EPERM;
	b[1].op = EG_OP_CAPABLE;
	b[1].reason = EG_WHY_GUARD;
	attempt(&b[1]);
}

/* ---- what is not there --------------------------------------------------------------- */

static void missing(void)
{
	struct box *b = box_shared(policy_some());
	enum as as;

	fresh(NULL);
	if (!case_begin("a name that does not exist is ENOENT, without an event"))
		return;
	for (as = AS_ROOT; as < AS_END; as++) {
		struct stat st;
		int r;

		box_events_drop(b);
		r = box_run(b, as, act_open_read, CLOSED "/no");
		check(r == -ENOENT, "below a closed directory: %s", result_text(r));
		r = box_run(b, as, act_open_read, CLOSED "/no/no");
		check(r == -ENOENT, "two below: %s", result_text(r));
		r = box_run(b, as, act_open_read, D "/no");
		check(r == -ENOENT, "allowed: %s", result_text(r));
		r = box_run(b, as, act_unlink, CLOSED "/no");
		check(r == -ENOENT, "unlink: %s", result_text(r));
		no_event(b);
		r = box_run(b, as, act_create, CLOSED "/new");
		check(r == -EACCES && stat(CLOSED "/new", &st), "create: %s", result_text(r));
		one_event(b, EG_OP_CREATE, EG_WHY_RULE, EACCES, CLOSED "/new");
	}
	case_end();
}

/* stat, access, readlink and passing through need no permission */
static int act_look(const void *unused)
{
	struct stat st;
	char text[64];

	(void)unused;
	if (lstat(SECRET, &st) || stat(CLOSED "/f", &st) || access(CLOSED "/f", R_OK) ||
	    chdir(CLOSED) || stat("sub/f", &st) || readlink(D "/to", text, sizeof(text)) < 0)
		return -errno;
	return 0;
}

static void looking(void)
{
	struct box *b = box_shared(policy_some());
	int r;

	fresh(NULL);
	must(symlink(SECRET, D "/to"));
	if (!case_begin("stat, access, chdir and readlink need no permission"))
		return;
	box_events_drop(b);
	r = box_run(b, AS_USER, act_look, NULL);
	check(r == 0, "%s", result_text(r));
	no_event(b);
	case_end();
}

/* ---- what rules mean ----------------------------------------------------------------- */

struct expect {
	const char *path; /* below D */
	const char *perms; /* "", "r", "w", "rw" */
};

/* Prints what differs; how many. */
static int act_expect(const void *arg)
{
	const struct expect *e;
	int wrong = 0;

	for (e = arg; e->path; e++) {
		char path[4096];
		int r, w;

		snprintf(path, sizeof(path), D "/%s", e->path);
		r = open_result(path, O_RDONLY);
		w = open_result(path, O_WRONLY);
		if (r == (strchr(e->perms, 'r') ? 0 : -EACCES) &&
		    w == (strchr(e->perms, 'w') ? 0 : -EACCES))
			continue;
		printf("# %s: expected '%s', r: %s w: %s\n", e->path, e->perms, result_text(r),
		       result_text(w));
		wrong++;
	}
	return wrong;
}

static void make_expected(const struct expect *e)
{
	for (; e->path; e++) {
		char path[4096], *slash;

		snprintf(path, sizeof(path), D "/%s", e->path);
		slash = strrchr(path, '/');
		*slash = '\0';
		make_dir(path);
		*slash = '/';
		write_file(path, "content");
	}
}

static void semantics(const char *name, const char *policy, const struct expect *e)
{
	struct box *b;
	int r;

	fresh(NULL);
	make_expected(e);
	if (!case_begin("%s", name))
		return;
	b = box_new(policy);
	r = box_run(b, AS_ROOT, act_expect, e);
	check(r == 0, "root: %s wrong", result_text(r));
	r = box_run(b, AS_USER, act_expect, e);
	check(r == 0, "user: %s wrong", result_text(r));
	box_free(b);
	case_end();
}

static char *name_of(size_t len, char c)
{
	static char name[4][300];
	static unsigned int next;
	char *s = name[next++ % 4];

	memset(s, c, len);
	s[len] = '\0';
	return s;
}

static void rules(void)
{
	static const struct expect prefixes[] = {
		{ "sec", "" }, { "sec2", "rw" }, { "se", "rw" }, { "secs/f", "rw" },
		{ "tree/f", "" }, { "tree2/f", "rw" }, { "tree/.hidden", "" },
		{ "tree/a/b/c/d", "" }, { NULL },
	};
	static const struct expect nested[] = {
		{ "no/f", "" }, { "no/yes/f", "rw" }, { "no/yes/no/f", "" },
		{ "no/yes/no/yes/f", "r" }, { "no/yesterday/f", "" }, { "no/yes/other/f", "rw" },
		{ NULL },
	};
	static const struct expect patterns[] = {
		{ ".env", "" }, { "a/.env", "" }, { "a/b/c/.env/inside", "" }, { "a/.envrc", "rw" },
		{ "a/env", "rw" }, { "key.pem", "r" }, { "sub/key.pem", "rw" }, { ".pem", "r" },
		{ "q1", "r" }, { "q12", "rw" }, { "q", "rw" }, { "c-a", "r" }, { "c-f", "r" },
		{ "c-g", "rw" }, { "c-", "rw" }, { "any/x/deep", "" }, { "any/1/2/deep", "" },
		{ "any/deep", "" }, { "any/deeper", "rw" }, { "star/a/f", "r" },
		{ "star/a/b/f", "rw" }, { "star/f", "rw" }, { NULL },
	};
	struct expect odd[] = {
		{ name_of(255, 'l'), "" }, { name_of(254, 'l'), "rw" }, { "new\nline", "" },
		{ "newline", "rw" }, { "esc\033[0m", "rw" }, { "bad\xff\xfe", "rw" },
		{ "dir\nx/f", "" }, { "bad\xff.env/f", "rw" }, { "-", "" }, { " ", "rw" },
		{ "...", "" }, { "x (deleted)", "" }, { "x", "rw" }, { NULL },
	};

	semantics("a rule covers its name and what is below, no prefix of a name",
		  POLICY_FILES("default: rwxc", D "/sec: none", D "/tree/: none"), prefixes);
	semantics("allowed in denied in allowed",
		  POLICY_FILES("default: rwxc", D "/no: none", D "/no/yes: rw",
			       D "/no/yes/no: none", D "/no/yes/no/yes: r"), nested);
	semantics("patterns",
		  POLICY_FILES("default: rwxc", "\"**/.env\": none", "\"" D "/*.pem\": r",
			       "\"" D "/q?\": r", "\"" D "/c-[a-f]\": r",
			       "\"" D "/any/**/deep\": none", "\"" D "/star/*/f\": r"), patterns);
	semantics("odd names",
		  POLICY_FILES("default: rwxc", str("%s/%s: none", D, odd[0].path),
			       "\"" D "/new[!a]line\": none", "\"" D "/dir?x/**\": none",
			       "\"" D "/-\": none", "\"" D "/...\": none",
			       "\"" D "/x (deleted)\": none"), odd);
}

/* ---- "/" itself, and what is too deep ------------------------------------------------ */

static int act_list_root(const void *unused)
{
	(void)unused;
	return act_list("/");
}

static void root_directory(void)
{
	struct attempt a = {
		.name = "list /", .act = act_list_root, .op = EG_OP_OPEN, .want = EG_R,
		.path = "/", .err = EACCES, .allow = policy_all(),
		.deny = POLICY_FILES("default: none", D ": rwxc", "/usr: rx", "/lib: rx",
				     "/etc: r"),
	};

	attempt(&a);
}

#define DEEP 300 /* directories "a", each in the one before */
#define LONG 20 /* names of 255 bytes, each in the one before: beyond EG_PATH_MAX */

static void descend(const char *top, const char *name, int depth, const char *last)
{
	int at = must(open(top, O_PATH | O_DIRECTORY | O_CLOEXEC)), next, fd;

	while (depth--) {
		must(mkdirat(at, name, 0777));
		next = must(openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
		(void)close(at);
		at = next;
	}
	fd = must(openat(at, last, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
	must(fchmod(fd, 0666));
	(void)close(fd);
	(void)close(at);
}

struct depth {
	const char *name;
	int depth;
};

static int act_open_deep(const void *arg)
{
	const struct depth *d = arg;
	int i;

	if (chdir(D "/deep"))
		return -errno;
	for (i = 0; i < d->depth; i++)
		if (chdir(d->name))
			return -errno;
	return open_result("f", O_RDONLY);
}

static void deep(void)
{
	struct depth d = { "a", DEEP };
	struct depth l = { name_of(255, 'n'), LONG };
	struct box *b = box_new(policy_rule(D "/deep/" "a/a/a/a/a/**/f", "none"));
	struct box *ok = box_shared(policy_all());
	uint64_t failed = files_stat(EG_ST_FAIL_WALK);
	int r;

	fresh(NULL);
	make_dir(D "/deep");
	if (case_begin("a path of %d directories", DEEP)) {
		descend(D "/deep", "a", DEEP, "f");
		r = box_run(NULL, AS_USER, act_open_deep, &d);
		check(r == 0, "outside: %s", result_text(r));
		r = box_run(ok, AS_USER, act_open_deep, &d);
		check(r == 0, "allowed: %s", result_text(r));
		box_events_drop(b);
		r = box_run(b, AS_USER, act_open_deep, &d);
		check(r == -EACCES, "denied: %s", result_text(r));
		one_event(b, EG_OP_OPEN, EG_WHY_RULE, EACCES, NULL);
		case_end();
	}
	if (case_begin("a path beyond %u bytes is refused, and counted", EG_PATH_MAX)) {
		descend(D "/deep", l.name, LONG, "f");
		r = box_run(NULL, AS_USER, act_open_deep, &l);
		check(r == 0, "outside: %s", result_text(r));
		box_events_drop(ok);
		r = box_run(ok, AS_USER, act_open_deep, &l);
		check(r == -EACCES, "%s", result_text(r));
		one_event(ok, EG_OP_OPEN, EG_WHY_TOO_LONG, EACCES, NULL);
		check(files_stat(EG_ST_FAIL_WALK) > failed, "it was not counted");
		case_end();
	}
	box_free(b);
	shell("rm -rf " D "/deep");
}

void files_open(void)
{
	opens();
	missing();
	looking();
	rules();
	root_directory();
	deep();
}
