/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who looks in another mount namespace, and how it is asked. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "rooted.h"
#include "util.h"

#define PASSWD_BYTES (256u << 10) /* of somebody else's file */

enum what { LOOK_LINK, LOOK_DIR, LOOK_HOME };

struct question {
	uint32_t what, uid;
	char path[PATH_MAX];
};

struct answer {
	int32_t err;
	char text[PATH_MAX];
};

/* ---- the process that looks ---------------------------------------------------------- */

static int read_link(int root, const char *path, char *buf, size_t len)
{
	_cleanup_close_ int fd = rooted_at(root, path, O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISLNK(st.st_mode))
		return -EINVAL;
	n = readlinkat(fd, "", buf, len - 1);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	return 0;
}

static int is_dir(int root, const char *path)
{
	_cleanup_close_ int fd = rooted_at(root, path, O_DIRECTORY);

	return MIN(fd, 0);
}

/* One that waits for nobody, and no more of it than a password file has. */
static ssize_t read_passwd(int root, char *buf, size_t size)
{
	_cleanup_close_ int at = rooted_at(root, "/etc/passwd", 0);
	_cleanup_close_ int fd = -1;
	char self[32];
	struct stat st;
	size_t n = 0;
	ssize_t got;

	if (at < 0 || fstat(at, &st) || !S_ISREG(st.st_mode))
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	/* without O_NONBLOCK whoever has a lease on it says how long that takes */
	fd = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	while (fd >= 0 && n < size && (got = read(fd, buf + n, size - n)) > 0)
		n += (size_t)got;
	return (ssize_t)n;
}

static int find_home(int root, uid_t uid, char *home, size_t size)
{
	_cleanup_free_ char *text = malloc(PASSWD_BYTES);
	ssize_t n = text ? read_passwd(root, text, PASSWD_BYTES) : -1;
	_cleanup_fclose_ FILE *f = n > 0 ? fmemopen(text, (size_t)n, "r") : NULL;
	struct passwd pw, *found;
	char buf[4096];

	while (f && !fgetpwent_r(f, &pw, buf, sizeof(buf), &found)) {
		if (pw.pw_uid != uid)
			continue;
		if (!pw.pw_dir || pw.pw_dir[0] != '/' || !pw.pw_dir[1] ||
		    strlen(pw.pw_dir) >= size)
			return -ENOENT;
		strcpy(home, pw.pw_dir);
		return 0;
	}
	return -ENOENT;
}

static void answer_one(int root, const struct question *q, struct answer *a)
{
	a->text[0] = 0;
	switch (q->what) {
	case LOOK_LINK:
		a->err = read_link(root, q->path, a->text, sizeof(a->text));
		break;
	case LOOK_DIR:
		a->err = is_dir(root, q->path);
		break;
	default:
		a->err = find_home(root, q->uid, a->text, sizeof(a->text));
	}
}

/* Nothing that egressd has open is kept open by one that never gets out of a call. */
static void close_others(int lower, int upper)
{
	(void)close_range(3, (unsigned int)lower - 1, 0); /* there may be none */
	(void)close_range((unsigned int)lower + 1, (unsigned int)upper - 1, 0);
	(void)close_range((unsigned int)upper + 1, ~0u, 0);
}

/*
 * /proc/PID/root is the process's root, and rules speak of the namespace's: whoever goes
 * there has the latter for its root.
 */
static void __attribute__((noreturn)) looker_main(int ns, const char *top, int sock, pid_t parent)
{
	static struct question q;
	static struct answer a;
	json_t *msg;
	ssize_t n;
	int root;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	root = ns >= 0 && setns(ns, CLONE_NEWNS) ? -1 : open(top, O_PATH | O_DIRECTORY);
	msg = json_pack("{s:b}", "root", root >= 0);
	if (!msg || root < 0 || control_send(sock, msg, &root, 1))
		_exit(1);
	close_others(MIN(sock, root), MAX(sock, root));
	while ((n = recv(sock, &q, sizeof(q) - 1, 0)) > 0) {
		((char *)&q)[n] = 0;
		answer_one(root, &q, &a);
		if (send(sock, &a, offsetof(struct answer, text) + strlen(a.text) + 1,
			 MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

/* ---- who asks ------------------------------------------------------------------------- */

static int now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int)(ts.tv_sec % 1000000 * 1000 + ts.tv_nsec / 1000000);
}

static int give_up(struct rooted *r)
{
	r->lost = true;
	return -ETIMEDOUT;
}

/* Until there is something to be received, or nobody any more. */
static int wait_for_answer(struct rooted *r)
{
	struct pollfd p = { .fd = r->sock, .events = POLLIN };
	int before = now_ms(), n;

	if (r->lost)
		return -ETIMEDOUT;
	n = poll(&p, 1, r->left_ms);
	r->left_ms = MAX(r->left_ms - MAX(now_ms() - before, 0), 0);
	return n == 1 ? 0 : give_up(r);
}

static int ask(struct rooted *r, const struct question *q, struct answer *a)
{
	size_t len = offsetof(struct question, path) + strlen(q->path) + 1;
	ssize_t n;
	int err;

	if (r->sock < 0)
		return -ENOENT;
	if (r->lost || send(r->sock, q, len, MSG_NOSIGNAL) != (ssize_t)len)
		return give_up(r);
	err = wait_for_answer(r);
	if (err)
		return err;
	n = recv(r->sock, a, sizeof(*a) - 1, MSG_DONTWAIT);
	if (n < (ssize_t)offsetof(struct answer, text))
		return give_up(r); /* it was killed */
	((char *)a)[n] = 0;
	return a->err;
}

int rooted_look(struct rooted *r, int ns, const char *top)
{
	int ends[2], fds[CONTROL_FDS_MAX], err;
	pid_t self = getpid();
	json_t *msg = NULL;
	size_t nfds = 0;

	r->sock = -1;
	r->left_ms = ROOTED_MS;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	r->looker = fork();
	if (!r->looker) {
		close(ends[0]);
		looker_main(ns, top, ends[1], self);
	}
	close(ends[1]);
	r->sock = ends[0];
	if (r->looker < 0) {
		r->looker = 0;
		return -EAGAIN;
	}
	err = wait_for_answer(r);
	if (!err)
		err = control_recv(r->sock, &msg, fds, &nfds);
	json_decref(err > 0 ? msg : NULL);
	if (err > 0 && nfds == 1)
		r->fd = fds[0];
	return err < 0 ? err : r->fd < 0 ? -EPERM : 0;
}

void rooted_close(struct rooted *r)
{
	if (r->fd >= 0)
		close(r->fd);
	if (r->sock >= 0)
		close(r->sock);
	if (r->looker > 0) {
		(void)kill(r->looker, SIGKILL);
		/* one that never gets out of a call is not waited for */
		(void)waitpid(r->looker, NULL, r->lost ? WNOHANG : 0);
	}
	*r = (struct rooted){ .fd = -1, .sock = -1 };
}

static bool set_path(struct question *q, const char *path)
{
	if (strlen(path) >= sizeof(q->path))
		return false;
	strcpy(q->path, path);
	return true;
}

int rooted_readlink(void *ctx, const char *path, char *buf, size_t len)
{
	struct question q = { .what = LOOK_LINK };
	struct answer a;
	size_t n;
	int err;

	if (!set_path(&q, path))
		return -ENAMETOOLONG;
	err = ask(ctx, &q, &a);
	if (err)
		return MIN(err, -1);
	n = MIN(strlen(a.text), len);
	memcpy(buf, a.text, n);
	return (int)n;
}

int rooted_look_dir(struct rooted *r, const char *path)
{
	struct question q = { .what = LOOK_DIR };
	struct answer a;

	return set_path(&q, path) ? ask(r, &q, &a) : -ENAMETOOLONG;
}

char *rooted_look_home(struct rooted *r, uid_t uid)
{
	struct question q = { .what = LOOK_HOME, .uid = uid };
	struct answer a;

	return ask(r, &q, &a) ? NULL : strdup(a.text);
}
