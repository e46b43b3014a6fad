/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy.h"
#include "policy_apart.h"
#include "policy_pack.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#error "which architecture seccomp calls this?"
#endif

#define SOCK 0 /* the only descriptor that a reader has */
/* At most a node for every byte, which no text reaches, and all of the text. */
#define ANSWER_MAX(len) ((size_t)(len) * 64 + 4096)

struct question {
	uint32_t file_len, text_len; /* they follow, without a NUL */
};

struct answer {
	int32_t err;
	uint32_t len; /* a struct diag follows, or a packed tree */
};

static struct {
	unsigned int seconds;
	int to; /* the one that forks readers; -1: texts are read here */
	pid_t pid;
} apart = { .to = -1 };

/* ---- a reader ------------------------------------------------------------------------ */

#define ALLOWED(call)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1),                                    \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int without_rights(void)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOWED(read),
		ALLOWED(write),
		ALLOWED(brk),
		ALLOWED(mmap),
		ALLOWED(mremap),
		ALLOWED(munmap),
		ALLOWED(madvise),
		ALLOWED(futex),
		ALLOWED(exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	static const struct sock_fprog prog = { ARRAY_SIZE(filter), filter };
	const struct rlimit seconds = { apart.seconds, apart.seconds };
	static const struct rlimit none = { 0, 0 };

	/* by prctl(): a service's own filter has no other call for it */
	return setrlimit(RLIMIT_CPU, &seconds) || setrlimit(RLIMIT_CORE, &none) ||
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static bool get_all(void *out, size_t n)
{
	char *p = out;

	while (n) {
		ssize_t got = read(SOCK, p, n);

		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static bool put_all(const void *from, size_t n)
{
	const char *p = from;

	while (n) {
		ssize_t put = write(SOCK, p, n);

		if (put <= 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

static bool put_answer(int err, const void *p, size_t len)
{
	const struct answer a = { .err = err, .len = (uint32_t)len };

	return put_all(&a, sizeof(a)) && put_all(p, len);
}

static void __attribute__((noreturn)) read_one(policy_apart_fn *parse)
{
	char *file, *text, *tree;
	struct ydoc doc = {};
	struct diag d = {};
	struct question q;
	size_t size;
	int err;

	if (without_rights() || !get_all(&q, sizeof(q)))
		_exit(1);
	file = calloc(1, (size_t)q.file_len + 1);
	text = calloc(1, (size_t)q.text_len + 1);
	if (!file || !text || !get_all(file, q.file_len) || !get_all(text, q.text_len))
		_exit(1);
	err = parse(file, text, q.text_len, &doc, &d);
	size = err ? 0 : ydoc_packed_size(&doc);
	tree = err ? NULL : malloc(size);
	if (!err && !tree)
		err = diag_set(&d, -ENOMEM, "out of memory");
	if (!err)
		ydoc_pack(&doc, tree);
	_exit(err ? !put_answer(err, &d, sizeof(d)) : !put_answer(0, tree, size));
}

/* ---- who forks them ------------------------------------------------------------------ */

/* A socket for the next one; -1: nobody asks any more. */
static int next_socket(int from)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(int))];
	} c = {};
	char byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	int fd;

	if (recvmsg(from, &m, 0) != 1 || !CMSG_FIRSTHDR(&m) || c.h.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
	return fd;
}

static void __attribute__((noreturn)) fork_readers(int from, pid_t parent, policy_apart_fn *parse)
{
	pid_t pid;
	int fd;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "egressd-reader");
	if (getppid() != parent)
		_exit(1);
	(void)signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
	(void)dup2(from, SOCK);
	(void)close_range(SOCK + 1, ~0u, 0);
	while ((fd = next_socket(SOCK)) >= 0) {
		pid = fork();
		if (!pid) {
			(void)dup2(fd, SOCK);
			(void)close_range(SOCK + 1, ~0u, 0);
			read_one(parse);
		}
		(void)close(fd); /* none was forked: who asked reads an end */
	}
	_exit(0);
}

int policy_apart_start(policy_apart_fn *parse, unsigned int seconds, struct diag *d)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return diag_set(d, -errno, "cannot make a socket: %s", strerror(errno));
	apart.seconds = seconds;
	pid = fork();
	if (pid < 0) {
		int err = errno;

		(void)close(pair[0]);
		(void)close(pair[1]);
		return diag_set(d, -err, "cannot fork: %s", strerror(err));
	}
	if (!pid)
		fork_readers(pair[1], parent, parse);
	(void)close(pair[1]);
	apart.to = pair[0];
	apart.pid = pid;
	return 0;
}

void policy_apart_stop(void)
{
	if (apart.to < 0)
		return;
	(void)close(apart.to);
	apart.to = -1;
	(void)kill(apart.pid, SIGKILL);
	while (waitpid(apart.pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- who asks ------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Sends (out) or receives n bytes by `end`. -ETIME, -EPROTO: it is gone. */
static int move(int fd, void *bytes, size_t n, bool out, int64_t end)
{
	struct pollfd p = { .fd = fd, .events = out ? POLLOUT : POLLIN };
	char *at = bytes;
	ssize_t moved;
	int64_t left;

	while (n) {
		left = end - now_ms();
		if (left <= 0)
			return -ETIME;
		if (poll(&p, 1, (int)left) < 1)
			continue; /* a signal, or it is time */
		moved = out ? send(fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL) :
			      recv(fd, at, n, MSG_DONTWAIT);
		if (moved < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (moved <= 0)
			return -EPROTO;
		at += moved;
		n -= (size_t)moved;
	}
	return 0;
}

/* Somebody who reads at the other end of the socket that is returned. */
static int new_reader(struct diag *d)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(int))];
	} c = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
		       .cmsg_type = SCM_RIGHTS } };
	struct iovec v = { (char *)"r", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	int pair[2], err = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return diag_set(d, -errno, "cannot make a socket: %s", strerror(errno));
	memcpy(CMSG_DATA(&c.h), &pair[1], sizeof(pair[1]));
	if (sendmsg(apart.to, &m, MSG_NOSIGNAL) != 1)
		err = errno;
	(void)close(pair[1]);
	if (!err)
		return pair[0];
	(void)close(pair[0]);
	return diag_set(d, -EPROTO, "egressd-reader, which reads policies, has ended (%s): restart "
				    "egressd", strerror(err));
}

/* What it found wrong, as if it had been found here. */
static int take_error(int fd, const char *file, const struct answer *a, int64_t end, struct diag *d)
{
	struct diag there;
	int err;

	if (a->len != sizeof(there) ||
	    (a->err != -EINVAL && a->err != -EFBIG && a->err != -ENOMEM))
		return -EPROTO;
	err = move(fd, &there, sizeof(there), false, end);
	if (err)
		return err;
	there.msg[sizeof(there.msg) - 1] = '\0';
	return diag_at(d, a->err, a->err == -ENOMEM ? "" : file, there.line, there.col, "%s",
		       there.msg);
}

static int take_tree(int fd, size_t len, size_t text_len, struct ydoc *doc, int64_t end,
		     struct diag *d)
{
	_cleanup_free_ char *tree = NULL;
	int err;

	if (len > ANSWER_MAX(text_len))
		return -EPROTO;
	tree = malloc(len ? len : 1);
	if (!tree)
		return diag_set(d, -ENOMEM, "out of memory");
	err = move(fd, tree, len, false, end);
	if (!err)
		err = ydoc_unpack(tree, len, text_len, doc);
	return err == -ENOMEM ? diag_set(d, err, "out of memory") : err;
}

static int ask(int fd, const char *file, const char *text, size_t len, struct ydoc *doc,
	       struct diag *d)
{
	int64_t end = now_ms() + apart.seconds * 1000;
	struct question q = { (uint32_t)strlen(file), (uint32_t)len };
	struct answer a;
	int err;

	err = move(fd, &q, sizeof(q), true, end);
	if (!err)
		err = move(fd, (char *)file, q.file_len, true, end);
	if (!err)
		err = move(fd, (char *)text, len, true, end);
	if (!err)
		err = move(fd, &a, sizeof(a), false, end);
	if (err)
		return err;
	return a.err ? take_error(fd, file, &a, end, d) : take_tree(fd, a.len, len, doc, end, d);
}

int policy_apart_parse(const char *file, const char *text, size_t len, struct ydoc *doc,
		       struct diag *d)
{
	_cleanup_close_ int fd = -1;
	int err;

	if (apart.to < 0 || len > POLICY_MAX_BYTES)
		return ydoc_parse(file, text, len, doc, d); /* too long: it says so */
	*doc = (struct ydoc){};
	fd = new_reader(d);
	if (fd < 0)
		return fd;
	err = ask(fd, file, text, len, doc, d);
	if (err == -ETIME)
		return diag_at(d, err, file, 0, 0, "not read within %u seconds", apart.seconds);
	if (err == -EPROTO)
		return diag_at(d, err, file, 0, 0, "its reader ended without an answer");
	return err;
}
