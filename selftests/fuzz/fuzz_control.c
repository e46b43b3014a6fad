// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What untrusted bytes reach through the control socket: the server with all its handlers, over the
 * kernel of selftests/fake, and clients that say what they like. Each line of the input is one
 * message; letters before it say who sends it and how:
 *
 *	r u o	root, the user whose process there is, another user: who sends from now on
 *	N	… on a new connection
 *	P p n k	with it go: the process, a pipe, /dev/null, a socket
 *	M m S	it is in a memfd, sealed or not or larger than it
 *	e	something is refused in the newest sandbox, before
 *	x	the client is gone before it is read
 *
 * Garbage is answered by an error or not at all, requests by something; and when everybody is gone
 * nothing is left: no row, descriptor, cgroup, version in use.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "control.h"
#include "diag.h"
#include "selftests/fake/fake.h"
#include "selftests/fake/rig.h"
#include "selftests/fuzz/memory.h"
#include "server_int.h"
#include "util.h"

#define MESSAGES_MAX 24u
#define FDS_MAX 8u
#define ANSWERS_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static const char *const ops[] = {
	"run", "end", "ps", "attach", "detach", "enter", "explain", "show", "find", "kill", "log",
	"status", "allow", "deny", "revoke", "grants", "switch", "metrics", "prove", "trace",
};

struct message {
	unsigned int peer; /* 0: root, 1: the user, 2: another */
	bool fresh, memfd, sealed, larger, refuse, gone;
	char fds[FDS_MAX];
	size_t nfds;
	const uint8_t *text;
	size_t len;
};

static int clients[3];
static unsigned int sender;

static void require(bool ok, const char *what, const struct message *m)
{
	if (ok)
		return;
	(void)dprintf(STDERR_FILENO, "fuzz_control: %s: %.*s\n", what, m ? (int)m->len : 0,
		      m ? (const char *)m->text : "");
	abort();
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* ---- a line ------------------------------------------------------------------------------ */

static bool take_letter(struct message *m, uint8_t c)
{
	switch (c) {
	case 'r': case 'u': case 'o':
		sender = c == 'r' ? 0 : c == 'u' ? 1 : 2;
		return true;
	case 'P': case 'p': case 'n': case 'k':
		if (m->nfds < FDS_MAX)
			m->fds[m->nfds++] = (char)c;
		return true;
	case 'M': case 'm': case 'S':
		m->memfd = true;
		m->sealed |= c == 'M';
		m->larger |= c == 'S';
		return true;
	case 'N':
		m->fresh = true;
		return true;
	case 'e':
		m->refuse = true;
		return true;
	case 'x':
		m->gone = true;
		return true;
	default:
		return false;
	}
}

static struct message take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data, '\n', *size), *p = *data;
	size_t len = end ? (size_t)(end - p) : *size;
	struct message m = {};

	*data += MIN(len + 1, *size);
	*size -= MIN(len + 1, *size);
	while (len && take_letter(&m, *p)) {
		p++;
		len--;
	}
	m.peer = sender;
	m.text = p;
	m.len = len;
	return m;
}

/* ---- sending ------------------------------------------------------------------------------ */

static int open_kind(char kind)
{
	int pair[2];

	switch (kind) {
	case 'P':
		return fcntl(rig_child(), F_DUPFD_CLOEXEC, 3);
	case 'n':
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 'p':
		if (pipe2(pair, O_CLOEXEC))
			return -1;
		break;
	default:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			return -1;
	}
	close(pair[1]);
	return pair[0];
}

static int open_memfd(const struct message *m)
{
	int fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, m->text, m->len) != (ssize_t)m->len ||
	    (m->larger && ftruncate(fd, (off_t)m->len + 4096)))
		return fd;
	if (m->sealed)
		(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_WRITE);
	return fd;
}

static void send_message(int to, const struct message *m)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE((FDS_MAX + 1) * sizeof(int))];
	} c = {};
	struct iovec iov = { (void *)m->text, m->len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[FDS_MAX + 1];
	size_t n = 0;

	while (n < m->nfds) {
		fds[n] = open_kind(m->fds[n]);
		n++;
	}
	if (m->memfd) {
		fds[n++] = open_memfd(m);
		iov = (struct iovec){ (char *)"M", 1 };
	}
	if (n) {
		h.msg_control = &c;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)),
					.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&c.h), fds, n * sizeof(int));
	}
	(void)sendmsg(to, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n)
		close(fds[--n]);
}

/* ---- answers ------------------------------------------------------------------------------ */

struct seen {
	unsigned int answers, errors;
	bool closed;
};

static struct seen read_answers(int fd, const struct message *m)
{
	struct seen s = {};
	json_t *msg;
	int err = 0;

	for (unsigned int i = 0; i < ANSWERS_MAX; i++) {
		int fds[CONTROL_FDS_MAX];
		size_t nfds = 0;

		msg = NULL;
		err = control_recv(fd, &msg, fds, &nfds);
		if (err <= 0)
			break;
		while (nfds)
			close(fds[--nfds]);
		if (!json_object_get(msg, "event")) {
			json_int_t code = json_integer_value(json_object_get(msg, "exit"));
			bool error = json_is_string(json_object_get(msg, "error"));

			s.answers++;
			s.errors += error;
			require(!error || (code > 0 && code < 256), "an error without a status", m);
		}
		json_decref(msg);
	}
	require(err == 0 || err == -EAGAIN || (err == -ENOMEM && no_memory()), "a bad answer", m);
	s.closed = !err;
	return s;
}

/* Those that a process of its own answers, and that end. */
static bool is_slow(const json_t *request, const char *op)
{
	return str_eq(op, "show") || str_eq(op, "explain") ||
	       (str_eq(op, "log") && !json_is_true(json_object_get(request, "follow")));
}

static void wait_for_children(void)
{
	struct server *s = rig_server();
	struct conn *c;

	for (c = s->conns; c; c = c->logger ? c : c->next)
		if (c->logger && sd_event_run(s->loop, UINT64_MAX) < 0)
			break;
}

static void check_answers(const struct message *m, int fd, bool busy)
{
	json_t *request = json_loadb((const char *)m->text, m->len, JSON_REJECT_DUPLICATES, NULL);
	const char *op = json_string_value(json_object_get(request, "op"));
	struct seen s = {};
	bool known = false;

	for (size_t i = 0; op && i < ARRAY_SIZE(ops); i++)
		known |= str_eq(op, ops[i]);
	if (known && is_slow(request, op) && !busy)
		wait_for_children();
	s = read_answers(fd, m);
	if (busy || no_memory())
		goto out;
	require(known || s.errors || s.closed || !s.answers, "garbage was answered", m);
	require(known || s.errors || s.closed || m->memfd || !m->len || m->nfds,
		"garbage was not refused", m);
	if (known && !(op && str_eq(op, "log")))
		require(s.answers || s.closed || m->memfd || m->nfds > CONTROL_FDS_MAX,
			"a request without an answer", m);
out:
	json_decref(request);
}

/* ---- one input ---------------------------------------------------------------------------- */

static int client_of(unsigned int peer, bool fresh)
{
	const uid_t uids[] = { 0, rig_user(), rig_user() + 1 };

	if (fresh && clients[peer] >= 0) {
		rig_hang_up(clients[peer]);
		clients[peer] = -1;
	}
	if (clients[peer] < 0)
		clients[peer] = rig_connect(uids[peer]);
	return clients[peer];
}

/*
 * A log that is followed takes no requests; and whoever reads one holds the connection until it has
 * died, which is after the server has forgotten it.
 */
static bool is_busy(void)
{
	if (rig_children())
		return true;
	for (struct conn *c = rig_server()->conns; c; c = c->next)
		if (c->logger)
			return true;
	return false;
}

static void one_message(const struct message *m)
{
	int fd = client_of(m->peer, m->fresh);
	bool busy = is_busy();

	if (fd < 0)
		return;
	if (m->refuse && rig_newest())
		rig_refuse(rig_newest(), "evil.example");
	send_message(fd, m);
	if (m->gone) {
		rig_hang_up(fd);
		clients[m->peer] = -1;
	}
	rig_run();
	if (!m->gone)
		check_answers(m, fd, busy);
	require(!rig_half() || no_memory(), "a sandbox points at half a version", m);
	require(!rig_child_died(), "a process of the server died", m);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	stderr = fopen("/dev/null", "we"); /* the server says what it does */
	require(rig_child() >= 0, "no process", NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct message end = { .text = (const uint8_t *)"the end", .len = 7 };
	int before = count_fds();
	const char *left;

	if (rig_begin(false)) {
		require(no_memory(), "no server", NULL);
		require(count_fds() == before, "descriptors of a server that did not begin", NULL);
		return 0;
	}
	fake_anchors(true);
	sender = 1;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = -1;
	for (unsigned int i = 0; size && i < MESSAGES_MAX; i++) {
		struct message m = take_line(&data, &size);

		one_message(&m);
	}
	rig_end_all();
	left = rig_left();
	require(!left, left ? left : "", &end);
	rig_end();
	require(count_fds() == before, "descriptors are left", &end);
	return 0;
}
