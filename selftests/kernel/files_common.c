/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "files_common.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bpf_load.h"
#include "event_text.h"

#define USER 65534
#define PASSER "\0egtest-passer"

const char *policy_some(void)
{
	return POLICY_FILES("default: rwxc", SECRET ": none", CLOSED ": none",
			    CLOSED "/open: rwxc", READONLY ": r", READONLY ".d: r");
}

const char *policy_all(void)
{
	/* with the default alone there would be nothing to judge */
	return POLICY_FILES("default: rwxc", D "/elsewhere: none");
}

const char *policy_rule(const char *path, const char *perms)
{
	return POLICY_FILES("default: rwxc", str("\"%s\": %s", path, perms));
}

void own(const char *path)
{
	must(lchown(path, USER, USER));
}

static void file(const char *path, const char *content)
{
	write_file(path, content);
	must(chmod(path, 0666));
	own(path);
}

static void dir(const char *path)
{
	make_dir(path);
	must(chmod(path, 0777));
	own(path);
}

static const char *const kept[] = { "secret", "closed", "readonly", "readonly.d", "public",
				    "dir", "empty", "mnt" };

static bool keep_name(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kept); i++)
		if (str_eq(name, kept[i]))
			return true;
	return str_eq(name, ".") || str_eq(name, "..");
}

/* What a control or an allowed twin made or moved; the inodes of the rest stay. */
static void remove_others(void)
{
	DIR *d = opendir(D);
	struct dirent *e;

	if (!d)
		harness_die("opendir " D ": %m");
	while ((e = readdir(d))) {
		char path[4096];

		if (keep_name(e->d_name))
			continue;
		snprintf(path, sizeof(path), D "/%s", e->d_name);
		remove_tree(path);
	}
	(void)closedir(d);
}

static void only(const char *path, mode_t kind)
{
	struct stat st;

	if (!lstat(path, &st) && (st.st_mode & S_IFMT) != kind)
		remove_tree(path);
}

void fresh(const void *unused)
{
	static const char *const files[] = { SECRET, READONLY, D "/public", CLOSED "/f",
					     CLOSED "/open", CLOSED "/sub/f", READONLY ".d/f",
					     D "/dir/f" };
	static const char *const dirs[] = { CLOSED, CLOSED "/sub", READONLY ".d", D "/dir",
					    D "/empty", CLOSED "/empty" };
	size_t i;

	(void)unused;
	remove_others();
	remove_tree(D "/empty");
	remove_tree(CLOSED "/empty");
	remove_tree(CLOSED "/new");
	remove_tree(D "/dir/new");
	remove_tree(READONLY ".d/new");
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		only(dirs[i], S_IFDIR);
		dir(dirs[i]);
	}
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		only(files[i], S_IFREG);
		file(files[i], "content");
	}
}

static void check_file(const char *path)
{
	_cleanup_free_ char *text = read_file(path);
	struct stat st;

	if (!check(text, "%s is gone", path))
		return;
	check(str_eq(text, "content"), "%s was changed to '%s'", path, text);
	must(stat(path, &st));
	check((st.st_mode & 07777) == 0666, "%s has mode %o", path, st.st_mode);
	check(st.st_uid == USER && st.st_gid == USER && st.st_nlink == 1, "%s: owner or links",
	      path);
}

void untouched(const void *unused, bool refused)
{
	(void)unused;
	if (!refused)
		return;
	check_file(SECRET);
	check_file(READONLY);
	check_file(CLOSED "/f");
	check_file(CLOSED "/sub/f");
	check_file(READONLY ".d/f");
	check(exists(CLOSED "/empty"), "a directory is gone");
	check(!exists(CLOSED "/new") && !exists(READONLY ".d/new"), "something was made");
}

int open_result(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* ---- io_uring ------------------------------------------------------------------------ */

int uring_one(const struct io_uring_sqe *sqe, unsigned int setup_flags)
{
	struct io_uring_params p = { .flags = setup_flags, .sq_thread_idle = 1000 };
	_cleanup_close_ int fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	uint32_t *tail, flags = IORING_ENTER_GETEVENTS;
	char *ring;

	if (fd < 0)
		return -errno;
	/* both rings are in one mapping since 5.4 */
	ring = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*cqes) + p.sq_off.array, PROT_READ |
		    PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQES);
	if (ring == MAP_FAILED || (void *)sqes == MAP_FAILED)
		return -errno;
	cqes = (void *)(ring + p.cq_off.cqes);
	tail = (void *)(ring + p.sq_off.tail);
	sqes[0] = *sqe;
	*(uint32_t *)(ring + p.sq_off.array) = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (setup_flags & IORING_SETUP_SQPOLL)
		flags |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(SYS_io_uring_enter, fd, 1, 1, flags, NULL, 0) < 0)
		return -errno;
	return cqes[0].res;
}

/* ---- descriptors from outside ----------------------------------------------------------- */

static pid_t passer;

static socklen_t passer_address(struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, PASSER, sizeof(PASSER) - 1);
	return offsetof(struct sockaddr_un, sun_path) + sizeof(PASSER) - 1;
}

void send_fd(int to, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	char byte = 'f';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	must(sendmsg(to, &m, MSG_NOSIGNAL));
}

void passer_start(int fd)
{
	struct sockaddr_un a;
	socklen_t len = passer_address(&a);
	int s = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	must(fd);
	must(bind(s, (struct sockaddr *)&a, len));
	must(listen(s, 4));
	fflush(stdout);
	passer = must(fork());
	if (!passer) {
		char byte;
		int c = accept(s, NULL, NULL);

		signal(SIGTERM, SIG_DFL);
		if (c < 0)
			_exit(1);
		send_fd(c, fd);
		/* until the other end has looked at it */
		_exit(read(c, &byte, 1) != 1);
	}
	(void)close(s);
	(void)close(fd);
}

void passer_end(void)
{
	int status;

	(void)kill(passer, SIGKILL);
	must(waitpid(passer, &status, 0));
}

int take_fd(int from)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int fd = -EACCES;

	if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	if (CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	else if (!(m.msg_flags & MSG_CTRUNC))
		return -ENODATA;
	return fd;
}

int receive_fd(void)
{
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	socklen_t len = passer_address(&a);
	int fd;

	if (s < 0 || connect(s, (struct sockaddr *)&a, len))
		return -errno;
	fd = take_fd(s);
	(void)!write(s, "k", 1);
	return fd;
}

/* ---- counters ------------------------------------------------------------------------------- */

uint64_t files_stat(uint32_t which)
{
	int n = libbpf_num_possible_cpus(), i;
	uint64_t values[1024], sum = 0;

	if (n < 1 || n > 1024)
		harness_die("%d CPUs", n);
	must(bpf_map_lookup_elem(agent_map_fd(harness_agent(), AGENT_MAP_STATS), &which, values));
	for (i = 0; i < n; i++)
		sum += values[i];
	return sum;
}

/* ---- events --------------------------------------------------------------------------------- */

bool one_event(struct box *b, uint16_t op, uint8_t reason, int err, const char *path)
{
	_cleanup_free_ struct seen *e = NULL;
	size_t n = box_events(b, &e), i;

	if (n == 1 && e->op == op && e->reason == reason && e->error == err &&
	    (!path || (strlen(path) == e->path_len && !memcmp(path, e->path, e->path_len))))
		return true;
	fail("%zu events, expected one: %s %s %d %s", n, event_op_name(op),
	     event_reason_name(reason), err, path ? path : "");
	for (i = 0; i < n; i++)
		seen_print(&e[i]);
	return false;
}

bool no_event(struct box *b)
{
	_cleanup_free_ struct seen *e = NULL;
	size_t n = box_events(b, &e), i;

	check(n == 0, "%zu events, expected none", n);
	for (i = 0; i < n; i++)
		seen_print(&e[i]);
	return n == 0;
}
