/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections: accepting, who the peer is, dispatch, answers. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "denials.h"
#include "eventlog.h"
#include "metrics.h"
#include "publish.h"
#include "rule_counts.h"
#include "sandbox.h"
#include "server_int.h"
#include "task_check.h"
#include "util.h"

#define MAX_CONNECTIONS_OF_USER 128u
#define MAX_FILES_OF_USER 8u
#define KILL_ALL_MS 10000
#define PATIENCE_US 30000000 /* for a connection that runs and follows nothing */

static const struct {
	const char *op;
	request_fn serve;
	bool heavy; /* not for users who have had more than their part of our time */
} requests[] = {
	{ "run", serve_run, true },
	{ "end", serve_end, false },
	{ "ps", serve_ps, false },
	{ "attach", serve_attach, true },
	{ "detach", serve_detach, false },
	{ "enter", serve_enter, true },
	{ "explain", serve_explain, false },
	{ "show", serve_show, false },
	{ "find", serve_find, false },
	{ "kill", serve_kill, false },
	{ "log", serve_log, false },
	{ "status", serve_status, false },
	{ "allow", serve_allow, true },
	{ "deny", serve_allow, true },
	{ "revoke", serve_revoke, false },
	{ "grants", serve_grants, false },
	{ "switch", serve_switch, true },
	{ "metrics", serve_metrics, false },
	{ "prove", serve_prove, false },
	{ "trace", serve_trace, false },
};

/* ---- answers ---------------------------------------------------------------------- */

/* Files that were sent on a connection: none is left when all was read. */
static uint32_t files_sent(struct conn *c)
{
	int unread;

	if (c->files && !ioctl(c->fd, SIOCOUTQ, &unread) && !unread)
		c->files = 0;
	return c->files;
}

/*
 * What is too big for a packet waits in a file, and that is our memory: a user who asks
 * and does not read has a few of them, on all connections together.
 */
static bool may_send_file(struct conn *c)
{
	uint32_t n = 0;

	for (struct conn *o = c->s->conns; o; o = o->next)
		if (o->fd >= 0 && o->peer.uid == c->peer.uid)
			n += files_sent(o);
	return n < MAX_FILES_OF_USER;
}

static void reply(struct conn *c, json_t *answer, int fd)
{
	static const char unread[] = "too many answers wait to be read";
	bool file = answer && (fd >= 0 || control_is_big(answer));

	if (file && c->fd >= 0 && !may_send_file(c)) {
		json_decref(answer);
		answer = json_pack("{s:s, s:i}", "error", unread, "exit", 125);
		file = false;
		fd = -1;
	}
	/* one that does not read its answers loses them, and only its own */
	if (answer && !c->closed && c->fd >= 0 &&
	    !control_send(c->fd, answer, &fd, fd >= 0 ? 1 : 0))
		c->files += file;
	json_decref(answer);
}

void conn_reply(struct conn *c, json_t *answer)
{
	reply(c, answer, -1);
}

void conn_reply_with(struct conn *c, json_t *answer, int fd)
{
	reply(c, answer, fd);
}

void conn_reply_file(struct conn *c, int fd)
{
	reply(c, json_pack("{s:b}", "ok", 1), fd);
}

void conn_error(struct conn *c, int exit_status, const char *fmt, ...)
{
	struct diag d = {};
	va_list ap;

	va_start(ap, fmt);
	(void)diag_vat(&d, -EIO, NULL, 0, 0, fmt, ap);
	va_end(ap);
	conn_error_diag(c, exit_status, &d);
}

void conn_error_diag(struct conn *c, int exit_status, const struct diag *d)
{
	char text[2048];

	conn_reply(c, json_pack("{s:s, s:i}", "error", diag_text(d, text, sizeof(text)), "exit",
				exit_status));
}

/* ---- the peer ------------------------------------------------------------------------ */

static int peer_pidfd(int fd, pid_t pid)
{
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
	socklen_t len = sizeof(int);
	int pidfd;

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len))
		return pidfd;
	/*
	 * Only before 6.5: else the peer has ended, and its number may be somebody's who is in
	 * no sandbox.
	 */
	return errno == ENOPROTOOPT ? pidfd_open(pid, 0) : -1;
}

/*
 * The second line behind the kernel programs, which let no sandboxed task
 * connect: a mark, or the cgroup (all there is with --egress-only).
 */
static bool peer_sandboxed(struct server *s, int fd, pid_t pid)
{
	_cleanup_close_ int pidfd = peer_pidfd(fd, pid);
	char path[PATH_MAX];

	if (pidfd < 0)
		return true; /* gone: nobody to talk to */
	if (agent_task_marked(s->a, pidfd) != 0)
		return true;
	return !task_cgroup(pidfd, path, sizeof(path)) && cgroup_is_sandbox(path);
}

/* ---- life of a connection --------------------------------------------------------------- */

void conn_free(struct conn *c)
{
	struct server *s = c->s;

	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	s->nconns--;
	conn_names_end(c);
	grants_free(c, false);
	rule_counts_free(c->counts);
	conn_denials_end(c, c->box); /* a sandbox that goes on without us keeps it */
	conn_prove_end(c);
	conn_held_free(c);
	conn_trace_free(c);
	sd_event_source_unref(c->io);
	sd_event_source_unref(c->empty);
	sd_event_source_unref(c->timer);
	stop_log(c);
	if (c->child >= 0)
		close(c->child);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static void conn_hangup(struct conn *c)
{
	c->closed = true;
	c->io = sd_event_source_disable_unref(c->io);
	if (c->box)
		conn_kill(c, NULL);
	else
		conn_free(c);
}

/* What says that a policy holds from now on, is refused while it may not. */
static bool is_promise(request_fn serve)
{
	return serve == serve_run || serve == serve_attach || serve == serve_enter ||
	       serve == serve_switch;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static bool may_ask(struct conn *c)
{
	uint64_t wait = uid_time_wait(&c->s->times, c->peer.uid, now_us());

	if (!c->peer.uid || !wait)
		return true;
	conn_error(c, 125,
		   "the requests of this user have taken too much of egressd's time: try again "
		   "in %u seconds", (unsigned int)(wait / 1000000 + 1));
	return false;
}

static void dispatch(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	/* answers would end up between the lines of the log */
	const char *op = c->logger ? NULL : json_string_value(json_object_get(request, "op"));
	struct diag d = {};
	struct server *s = c->s;
	uid_t uid = c->peer.uid;
	uint64_t before;
	size_t i;

	for (i = 0; op && i < ARRAY_SIZE(requests); i++) {
		if (!str_eq(requests[i].op, op))
			continue;
		if (requests[i].heavy && !may_ask(c))
			return;
		before = now_us();
		if (!is_promise(requests[i].serve) || !server_canary_refuses(s, &d))
			requests[i].serve(c, request, fds, nfds); /* `c` may be gone behind it */
		else if (!server_canary_hold(c, requests[i].serve, request, fds, nfds))
			conn_error_diag(c, 125, &d);
		if (uid)
			uid_time_charge(&s->times, uid, now_us() - before, now_us());
		return;
	}
	if (!c->logger)
		conn_error(c, 2, "unknown request");
}

static int on_message(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	int fds[CONTROL_FDS_MAX];
	struct conn *c = ctx;
	json_t *request;
	size_t nfds = 0;
	int err;

	(void)src;
	(void)revents;
	err = control_recv_request(fd, &request, fds, &nfds);
	if (err == -EAGAIN)
		return 0;
	if (err <= 0) {
		if (err == -EBADMSG)
			conn_error(c, 2, "malformed message");
		conn_hangup(c);
		return 0;
	}
	dispatch(c, request, fds, nfds);
	while (nfds)
		if (fds[--nfds] >= 0)
			close(fds[nfds]);
	json_decref(request);
	return 0;
}

static uint32_t connections_of(const struct server *s, uid_t uid)
{
	const struct conn *c;
	uint32_t n = 0;

	for (c = s->conns; c; c = c->next)
		n += c->peer.uid == uid;
	return n;
}

struct conn *conn_new(struct server *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->s = s;
	c->fd = fd;
	c->child = -1;
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->nconns++;
	return c;
}

/* A connection that asks for nothing is not kept: they are counted. */
static int on_patience(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct conn *c = ctx;

	(void)src;
	(void)usec;
	c->timer = sd_event_source_disable_unref(c->timer);
	if (!c->box && !c->logger)
		conn_hangup(c);
	return 0;
}

int server_serve(struct server *s, int fd)
{
	struct conn *c = conn_new(s, fd);
	socklen_t len = sizeof(c->peer);
	int err;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	err = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &len) ? -errno : 0;
	c->uid = c->peer.uid;
	if (!err && fcntl(fd, F_SETFL, O_NONBLOCK))
		err = -errno;
	if (!err)
		err = sd_event_add_io(s->loop, &c->io, fd, EPOLLIN, on_message, c);
	if (err >= 0)
		err = sd_event_add_time_relative(s->loop, &c->timer, CLOCK_MONOTONIC,
						 PATIENCE_US, 0, on_patience, c);
	if (err < 0) {
		conn_free(c);
		return err;
	}
	if (c->uid && (s->nconns > s->o.max_connections ||
		       connections_of(s, c->uid) > MAX_CONNECTIONS_OF_USER)) {
		conn_error(c, 125, "too many connections");
		conn_hangup(c);
	} else if (peer_sandboxed(s, fd, c->peer.pid)) {
		conn_error(c, 125, "this is a sandbox already: a sandboxed program cannot start "
				   "another sandbox");
		conn_hangup(c);
	}
	return 0;
}

/*
 * Without a descriptor for it whoever waits would wake the loop for ever: it is turned away.
 * The reserve is there again, or the next one has to wait indeed.
 */
static void turn_away(struct server *s)
{
	int got;

	if (s->spare < 0)
		return;
	close(s->spare);
	got = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (got >= 0)
		close(got);
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int on_connect(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct server *s = ctx;
	int got;

	(void)src;
	(void)revents;
	got = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (got >= 0)
		(void)server_serve(s, got);
	else if (errno == EMFILE || errno == ENFILE)
		turn_away(s);
	return 0; /* else it went away */
}

static int listen_at(struct server *s, struct diag *d)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = s->o.socket;
	int err;

	if (strlen(path) >= sizeof(a.sun_path))
		return diag_set(d, -ENAMETOOLONG, "the socket's path is too long: %s", path);
	strcpy(a.sun_path, path);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return diag_set(d, -errno, "cannot make a socket: %s", strerror(errno));
	/* the caller holds the lock of the directory: an old socket is nobody's */
	if (unlink(path) && errno != ENOENT)
		return diag_set(d, -errno, "cannot remove the old %s: %s", path, strerror(errno));
	if (bind(s->listener, (struct sockaddr *)&a, sizeof(a)))
		return diag_set(d, -errno, "cannot listen at %s: %s", path, strerror(errno));
	/* before it listens nobody can connect */
	err = server_socket_rights(s, s->config, d);
	if (err)
		return err;
	if (listen(s->listener, 128))
		return diag_set(d, -errno, "cannot listen at %s: %s", path, strerror(errno));
	if (sd_event_add_io(s->loop, &s->accept, s->listener, EPOLLIN, on_connect, s) < 0)
		return diag_set(d, -ENOMEM, "out of memory");
	return 0;
}

/* ---- the server ---------------------------------------------------------------------------- */

/* Sockets of resolvers, anchored objects: all that the host grants. */
static void raise_files(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r); /* fewer fit, and whoever does not is told */
	}
}

int server_new(struct sd_event *loop, struct agent *a, const struct server_options *o,
	       struct server **out, struct diag *d)
{
	struct server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return diag_set(d, -ENOMEM, "out of memory");
	s->o = *o;
	config_defaults(&s->defaults);
	s->config = o->config ? o->config : &s->defaults;
	s->loop = sd_event_ref(loop);
	s->a = a;
	s->listener = -1;
	raise_files();
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	err = server_counts_new(s) ? diag_set(d, -ENOMEM, "out of memory") : 0;
	if (!err)
		err = server_names_start(s, d);
	if (!err)
		err = publisher_new(a, &s->publisher, d);
	if (!err)
		err = sandboxes_new(a, s->publisher, &s->sandboxes, d);
	if (!err)
		err = server_events_start(s, d);
	if (!err)
		err = server_attach_start(s, d);
	if (!err)
		err = server_traces_start(s, d);
	if (!err && o->socket)
		err = server_runtimes(s, d);
	if (!err && agent_adopted(a))
		err = server_adopt(s, d);
	if (!err && agent_adoptable(a))
		err = server_left_start(s, d);
	if (!err && o->socket)
		err = server_patterns_start(s, d);
	/* what was taken over is known, and frozen if it has to be; nothing new is there yet */
	if (!err)
		err = server_canary_start(s, d);
	if (!err && o->socket)
		server_patterns(s);
	if (!err)
		denials_sweep(DENIALS_DIR);
	if (!err && s->config->metrics)
		err = server_metrics_listen(s, s->config, &s->metrics, d);
	if (!err && o->socket)
		err = listen_at(s, d);
	if (err) {
		server_free(s);
		return err;
	}
	*out = s;
	return 0;
}

/* Workloads that somebody else started are not ours to end. */
static bool is_to_end(const struct conn *c)
{
	return c->box && sandbox_kind(c->box) == SANDBOX_RUN;
}

void server_kill_all(struct server *s)
{
	struct conn *c, *next;

	server_canary_stop(s); /* its sandbox is none to be swept */
	server_patterns_end(s);
	for (c = s->conns; c; c = next) {
		next = c->next;
		if (!is_to_end(c))
			continue;
		sandbox_refuse_all(c->box);
		conn_kill(c, "egressd was stopped");
	}
	/* their cgroups become empty: let the loop see to each of them */
	for (c = s->conns; c; c = c->next)
		if (is_to_end(c))
			(void)cgroup_wait_empty(sandbox_cgroup_fd(c->box), KILL_ALL_MS);
	sweep_dead(agent_map_fd(s->a, AGENT_MAP_TASKS), agent_sandboxes(s->a));
	server_left_kill_all(s);
	for (c = s->conns; c; c = next) {
		next = c->next;
		if (is_to_end(c))
			conn_kill(c, NULL);
	}
}

void server_trim(struct server *s)
{
	publisher_trim(s->publisher);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	server_canary_stop(s);
	while (s->conns)
		conn_free(s->conns);
	metrics_http_free(s->metrics);
	server_left_stop(s);
	sd_event_source_unref(s->accept);
	sd_event_source_unref(s->sweep);
	server_traces_stop(s);
	server_events_stop(s);
	if (s->listener >= 0) {
		close(s->listener);
		(void)unlink(s->o.socket); /* a stale one is replaced at the next start */
	}
	if (s->spare >= 0)
		close(s->spare);
	server_attach_stop(s);
	server_runtimes_end(s);
	server_names_stop(s);
	sandboxes_free(s->sandboxes);
	publisher_free(s->publisher);
	sd_event_unref(s->loop);
	uid_times_clear(&s->times);
	free(s->counts);
	free(s);
}

uint32_t server_connections(const struct server *s)
{
	return s->nconns;
}
