/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "diag.h"
#include "policy_vars.h"
#include "rooted.h"
#include "state.h"
#include "util.h"

#define PASSWD_LINES 4096 /* somebody else's file: not read for ever */

static int ns_of(const char *who, uint32_t *ns, int *fd)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", who);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st))
		return -errno;
	*ns = st.st_ino;
	return 0;
}

/*
 * /proc/PID/root is the process's root, and rules speak of the namespace's: a child goes
 * there, where its root becomes the latter, and hands that over.
 */
static void __attribute__((noreturn)) hand_over_root(int ns, int sock)
{
	int root = setns(ns, CLONE_NEWNS) ? -1 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	json_t *msg = json_pack("{s:b}", "root", root >= 0);

	_exit(!msg || root < 0 || control_send(sock, msg, &root, 1));
}

static int fetch_root(int ns)
{
	int ends[2], fds[CONTROL_FDS_MAX], err;
	size_t nfds = 0;
	json_t *msg = NULL;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	pid = fork();
	if (!pid) {
		close(ends[0]);
		hand_over_root(ns, ends[1]);
	}
	close(ends[1]);
	err = pid < 0 ? -errno : control_recv(ends[0], &msg, fds, &nfds);
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	json_decref(msg);
	if (err < 0)
		return err;
	return nfds == 1 ? fds[0] : -EPERM;
}

int rooted_open(pid_t pid, struct rooted *r, struct diag *d)
{
	_cleanup_close_ int own_fd = -1;
	_cleanup_close_ int ns = -1;
	uint32_t own;
	char who[16];
	int err;

	*r = (struct rooted){ .fd = -1, .pid = pid };
	snprintf(who, sizeof(who), "%d", pid);
	err = ns_of("self", &own, &own_fd);
	if (!err)
		err = ns_of(who, &r->ns, &ns);
	if (!err)
		err = process_start(pid, &r->start);
	if (!err && r->ns == own)
		return 0;
	if (!err) {
		r->fd = fetch_root(ns);
		err = MIN(r->fd, 0);
	}
	return err ? diag_set(d, err, "cannot look into the mount namespace of process %d: %s", pid,
			      strerror(-err)) :
		     1;
}

void rooted_close(struct rooted *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

int rooted_at(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

int rooted_readlink(void *ctx, const char *path, char *buf, size_t len)
{
	_cleanup_close_ int fd = rooted_at(*(int *)ctx, path, O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd == -EBADF ? -ENOENT : fd;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISLNK(st.st_mode))
		return -EINVAL;
	n = readlinkat(fd, "", buf, len);
	return n < 0 ? -errno : (int)n;
}

/* What the number is in the user namespace of the process. */
static uid_t inner_uid(pid_t pid, uid_t uid)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned int in, out, count;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%u%u%u", &in, &out, &count) == 3)
		if (uid >= out && uid - out < count)
			return in + (uid - out);
	return uid;
}

/* Home of `uid` by the password file there, which is text of a stranger. */
static char *home_in(int root, uid_t uid)
{
	_cleanup_close_ int at = rooted_at(root, "/etc/passwd", 0);
	_cleanup_fclose_ FILE *f = NULL;
	struct passwd pw, *found;
	char buf[4096], self[32];
	struct stat st;
	int i;

	if (at < 0 || fstat(at, &st) || !S_ISREG(st.st_mode))
		return NULL;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	f = fopen(self, "re");
	for (i = 0; f && i < PASSWD_LINES; i++) {
		if (fgetpwent_r(f, &pw, buf, sizeof(buf), &found))
			return NULL;
		if (pw.pw_uid == uid)
			return pw.pw_dir && pw.pw_dir[0] == '/' && pw.pw_dir[1] ?
				       strdup(pw.pw_dir) :
				       NULL;
	}
	return NULL;
}

int rooted_vars(struct policy_vars *v, struct rooted *r, const char *cwd, uid_t uid, struct diag *d)
{
	_cleanup_close_ int dir = -1;
	struct diag why = {};

	memset(v, 0, sizeof(*v));
	v->readlink = rooted_readlink;
	v->readlink_ctx = &r->fd;
	uid = inner_uid(r->pid, uid);
	if (asprintf(&v->uid, "%u", (unsigned int)uid) < 0)
		v->uid = NULL;
	v->tmpdir = strdup("/tmp");
	v->home = home_in(r->fd, uid);
	if (v->home && policy_vars_check(v, NULL)) {
		free(v->home);
		v->home = NULL;
	}
	dir = rooted_at(r->fd, cwd, O_DIRECTORY);
	if (dir < 0)
		(void)diag_set(&why, dir, "WORKDIR: %s: %s", cwd, strerror(-dir));
	if (dir < 0 || policy_vars_check_dir(v, "WORKDIR", cwd, &why))
		v->workdir_why = strdup(why.msg);
	else
		v->workdir = strdup(cwd);
	if (v->uid && v->tmpdir && (v->workdir || v->workdir_why))
		return 0;
	policy_vars_clear(v);
	return diag_set(d, -ENOMEM, "out of memory");
}

void rooted_format(const struct rooted *r, char buf[64])
{
	snprintf(buf, 64, "%d %" PRIu64 " %u", r->pid, r->start, r->ns);
}

int rooted_parse(const char *text, struct rooted *r)
{
	struct rooted now;
	uint64_t start;
	uint32_t ns;
	pid_t pid;

	*r = (struct rooted){ .fd = -1 };
	if (sscanf(text, "%d %" SCNu64 " %u", &pid, &start, &ns) != 3)
		return -EINVAL;
	*r = (struct rooted){ .fd = -1, .pid = pid, .start = start, .ns = ns };
	if (rooted_open(pid, &now, NULL) == 1 && now.start == start && now.ns == ns)
		r->fd = steal_fd(&now.fd);
	rooted_close(&now);
	return 0;
}
