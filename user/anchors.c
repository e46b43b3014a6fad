/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "anchors.h"
#include "bpf_load.h"
#include "compile.h"
#include "control.h"
#include "diag.h"
#include "rooted.h"
#include "util.h"

/* Only mounts that hang need it: a path is opened in microseconds. */
#define SCOUT_MS 5000

struct scouting {
	volatile uint32_t at; /* the anchor being opened, for the message */
	volatile int failed; /* why that one could not be looked at; 0: it could */
	struct anchor_object objects[];
};

/* what the scout is given, and its end of the socket */
struct scout {
	const struct compiled *c;
	struct scouting *s;
	int scouted; /* the map */
	int sock;
};

/*
 * Open so that nothing can block or be set off by it: O_PATH does not open the
 * object, and what is neither file nor directory is not opened at all;
 * O_NONBLOCK does not wait for a lease. What the kernel says of the open does
 * not matter: file_open, where the program is that says what it saw, comes
 * before leases, and whoever has one must not be able to hide a file by it.
 * The O_PATH descriptor, and in *opened what the open said; or negative errno, -ENOENT:
 * there is no such object.
 */
static int look_at(const struct compiled *c, const char *path, int *opened)
{
	_cleanup_close_ int at = -1;
	_cleanup_close_ int fd = -1;
	char self[32];
	struct stat st;

	at = c->rooted ? rooted_at(c->root, path, 0) : open(path, O_PATH | O_CLOEXEC);
	if (at < 0)
		return c->rooted ? at : -errno;
	if (fstat(at, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -ENOENT;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	fd = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	*opened = fd < 0 ? -errno : 0;
	return steal_fd(&at);
}

/*
 * Nothing has the name now. Whatever else keeps it from being looked at may be somebody's
 * doing, and a rule that is bound to nothing is open to every other name of the object.
 */
static bool is_absent(int err, const struct compiled *c)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP || err == -ENAMETOOLONG ||
	       /* what was its root has gone with its last process: nobody is in it */
	       (err == -EBADF && c->rooted && c->root < 0);
}

static int hand_over(int sock, uint32_t i, int fd)
{
	json_t *msg = json_pack("{s:I}", "anchor", (json_int_t)i);
	int err = msg ? control_send(sock, msg, &fd, 1) : -ENOMEM;

	json_decref(msg);
	return err;
}

/* 1: one was received. 0: the scout has ended. */
static int take_over(const struct scout *sc)
{
	int fds[CONTROL_FDS_MAX], err;
	size_t nfds = 0;
	json_int_t i;
	json_t *msg;

	err = control_recv(sc->sock, &msg, fds, &nfds);
	if (err <= 0)
		return err;
	err = json_unpack(msg, "{s:I}", "anchor", &i) || nfds != 1 || i < 0 ||
	      i >= (json_int_t)sc->c->nanchors;
	json_decref(msg);
	if (err) {
		while (nfds)
			close(fds[--nfds]);
		return -EPROTO;
	}
	sc->s->objects[i].fd = fds[0];
	return 1;
}

static bool scout_one(const struct scout *sc, uint32_t i)
{
	struct anchor_object *o = &sc->s->objects[i];
	_cleanup_close_ int at = -1;
	uint32_t self = getpid();
	struct eg_scouted seen;
	int opened = 0;

	sc->s->at = i;
	(void)bpf_map_delete_elem(sc->scouted, &self);
	at = look_at(sc->c, sc->c->anchors[i].path, &opened);
	if (at < 0 && is_absent(at, sc->c))
		return true;
	if (at < 0 || bpf_map_lookup_elem(sc->scouted, &self, &seen)) {
		sc->s->failed = at < 0 ? at : opened ? opened : -ENODATA;
		return false;
	}
	o->object = seen.object;
	o->found = true;
	return !seen.held || !hand_over(sc->sock, i, at);
}

static void __attribute__((noreturn)) scout_main(const struct scout *sc)
{
	uint32_t self = getpid(), i;
	sigset_t all;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (read(sc->sock, &byte, 1) != 1)
		_exit(1);
	for (i = 0; i < sc->c->nanchors; i++)
		if (!scout_one(sc, i))
			_exit(1);
	(void)bpf_map_delete_elem(sc->scouted, &self);
	_exit(0);
}

/* Take the descriptors that the scout sends, until it closes its end. */
static int collect(const struct scout *sc, struct diag *d)
{
	struct pollfd p = { .fd = sc->sock, .events = POLLIN };
	int n;

	for (;;) {
		if (poll(&p, 1, SCOUT_MS) != 1)
			return diag_set(d, -ETIMEDOUT,
					"'%s' does not answer (a dead mount?), and a rule of the "
					"policy is bound to it",
					sc->c->anchors[sc->s->at].path);
		n = take_over(sc);
		if (!n)
			return 0;
		if (n < 0)
			return diag_set(d, n, "cannot hold what '%s' names open: %s",
					sc->c->anchors[sc->s->at].path, strerror(-n));
	}
}

static int refuse_unbound(const struct scout *sc, struct diag *d)
{
	const struct compiled_anchor *a = &sc->c->anchors[sc->s->at];
	int err = sc->s->failed;

	if (err == -ENODATA)
		return diag_set(d, err, "the hook file_open is silent: '%s' was opened, and it did "
				"not see that: egressctl doctor", a->path);
	if (!a->rule)
		return diag_set(d, err, "'%s' cannot be looked at: %s", a->path, strerror(-err));
	return diag_set(d, err, "the rule \"%s\" cannot be bound to '%s': %s",
			sc->c->rules[a->rule - 1].text, a->path, strerror(-err));
}

static int run_scout(struct agent *a, struct scout *sc, struct diag *d)
{
	struct eg_task mark = { .flags = EG_T_SCOUT };
	_cleanup_close_ int pidfd = -1;
	int ends[2], status = 0, err = 0;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return diag_set(d, -errno, "cannot make a socket pair: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		close(ends[1]);
		sc->sock = ends[0];
		scout_main(sc);
	}
	close(ends[0]);
	sc->sock = ends[1];
	pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
	if (pidfd < 0 || bpf_map_update_elem(agent_map_fd(a, AGENT_MAP_TASKS), &pidfd, &mark,
					     BPF_ANY))
		err = diag_set(d, -errno, "cannot start a scout: %s", strerror(errno));
	if (!err && send(sc->sock, "g", 1, MSG_NOSIGNAL) != 1)
		err = diag_set(d, -EPIPE, "the scout ended early");
	if (!err)
		err = collect(sc, d);
	close(sc->sock);
	if (pid < 0)
		return err;
	if (err) {
		kill(pid, SIGKILL);
		/* one stuck in the kernel is left to be reaped when it gets out */
		(void)waitpid(pid, NULL, err == -ETIMEDOUT ? WNOHANG : 0);
		return err;
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return sc->s->failed ? refuse_unbound(sc, d) :
		       diag_set(d, -EIO, "the scout failed at '%s'",
				sc->c->anchors[sc->s->at].path);
	return 0;
}

/*
 * What scouts have left: one that was killed, one that came out of a hung filesystem afterwards,
 * one whose last word the kernel had no time for (6.1: EBUSY). Only one is at work at a time.
 */
static void forget_scouts(int scouted)
{
	uint32_t tid;

	for (uint32_t i = 0; i < EG_MAX_SCOUTED && !bpf_map_get_next_key(scouted, NULL, &tid); i++)
		(void)bpf_map_delete_elem(scouted, &tid);
}

int anchors_scout(struct agent *a, const struct compiled *c, struct anchor_object *out,
		  struct diag *d)
{
	size_t size = sizeof(struct scouting) + c->nanchors * sizeof(*out);
	struct scout sc = { .c = c, .scouted = agent_map_fd(a, AGENT_MAP_SCOUTED) };
	uint32_t i;
	int err;

	sc.s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sc.s == MAP_FAILED)
		return diag_set(d, -ENOMEM, "out of memory");
	for (i = 0; i < c->nanchors; i++)
		sc.s->objects[i].fd = -1;
	forget_scouts(sc.scouted);
	err = run_scout(a, &sc, d);
	forget_scouts(sc.scouted);
	for (i = 0; i < c->nanchors; i++) {
		out[i] = sc.s->objects[i];
		if (err && out[i].fd >= 0)
			close(out[i].fd);
	}
	munmap(sc.s, size);
	return err;
}
