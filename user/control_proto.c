/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Messages: a SOCK_SEQPACKET packet is one JSON object. What is too big for a
 * packet (a user cannot raise the socket's buffer) is the single byte 'M' and a
 * memfd, after the descriptors of the message itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "diag.h"
#include "util.h"

#define PACKET_MAX (64u << 10) /* below the default of any kernel */
#define MARK_MEMFD 'M'

static int send_packet(int fd, const void *buf, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE((CONTROL_FDS_MAX + 1) * sizeof(int))];
	} c = {};
	struct iovec iov = { (void *)buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (nfds) {
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&c.h), fds, nfds * sizeof(int));
	}
	do {
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int send_memfd(int fd, const char *text, size_t len, const int *fds, size_t nfds)
{
	_cleanup_close_ int mem = memfd_create("egressctl", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int all[CONTROL_FDS_MAX + 1];
	char mark = MARK_MEMFD;
	size_t done = 0;

	if (mem < 0)
		return -errno;
	while (done < len) {
		ssize_t n = write(mem, text + done, len - done);

		if (n < 0)
			return -errno;
		done += n;
	}
	if (nfds)
		memcpy(all, fds, nfds * sizeof(int));
	all[nfds] = mem;
	return send_packet(fd, &mark, 1, all, nfds + 1);
}

int control_send(int fd, const json_t *msg, const int *fds, size_t nfds)
{
	_cleanup_free_ char *text = json_dumps(msg, JSON_COMPACT);
	size_t len;

	if (!text)
		return -ENOMEM;
	len = strlen(text);
	if (len > CONTROL_MESSAGE_MAX || nfds > CONTROL_FDS_MAX)
		return -EMSGSIZE;
	if (len > PACKET_MAX)
		return send_memfd(fd, text, len, fds, nfds);
	return send_packet(fd, text, len, fds, nfds);
}

bool control_is_big(const json_t *msg)
{
	return json_dumpb(msg, NULL, 0, JSON_COMPACT) > PACKET_MAX;
}

/* At least as many as there are values in it, if it is JSON; counted up to `max` + 1. */
static size_t count_values(const char *text, size_t len, size_t max)
{
	bool quoted = false;
	size_t i, n = 1;

	for (i = 0; i < len && n <= max; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
			n++;
	}
	return n;
}

int control_parse(const char *text, size_t len, json_t **msg)
{
	json_t *j;

	/* jansson bounds the depth itself (JSON_PARSER_MAX_DEPTH) */
	j = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!j)
		return -EBADMSG;
	if (!json_is_object(j)) {
		json_decref(j);
		return -EBADMSG;
	}
	*msg = j;
	return 0;
}

static int parse_bounded(const char *text, size_t len, size_t max_values, json_t **msg)
{
	return count_values(text, len, max_values) > max_values ? -EBADMSG :
								   control_parse(text, len, msg);
}

/* The object in a memfd. It is another's: its size may change while it is read. */
static int parse_memfd(int mem, size_t max_values, json_t **msg)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t done = 0;

	/* seals exist on shared memory only, which never blocks a reader */
	if (fcntl(mem, F_GET_SEALS) < 0 || fstat(mem, &st) || !S_ISREG(st.st_mode))
		return -EBADMSG;
	if (st.st_size <= 0 || (uint64_t)st.st_size > CONTROL_MESSAGE_MAX)
		return -EBADMSG;
	text = malloc(st.st_size);
	if (!text)
		return -ENOMEM;
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(mem, text + done, st.st_size - done, done);

		if (n <= 0)
			return -EBADMSG;
		done += n;
	}
	return parse_bounded(text, done, max_values, msg);
}

static void close_all(int *fds, size_t *nfds)
{
	while (*nfds)
		close(fds[--*nfds]);
}

/* Take the descriptors out of a received message, at most `max`. */
static int take_fds(struct msghdr *m, int *fds, size_t max, size_t *nfds)
{
	struct cmsghdr *c;
	int err = 0;

	*nfds = 0;
	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n, i;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (*nfds < max) {
				fds[(*nfds)++] = got;
			} else {
				close(got);
				err = -EBADMSG;
			}
		}
	}
	if (m->msg_flags & (MSG_CTRUNC | MSG_TRUNC))
		err = -EBADMSG;
	return err;
}

static int receive(int fd, size_t max_values, json_t **msg, int *fds, size_t *nfds)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE((CONTROL_FDS_MAX + 1) * sizeof(int))];
	} c;
	_cleanup_free_ char *buf = malloc(PACKET_MAX + 1);
	struct iovec iov = { buf, PACKET_MAX + 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	int got[CONTROL_FDS_MAX + 1];
	size_t ngot = 0;
	ssize_t n;
	int err;

	if (!buf)
		return -ENOMEM;
	do {
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	err = take_fds(&m, got, CONTROL_FDS_MAX + 1, &ngot);
	if (!err && !n && !ngot)
		return 0;
	if (!err && n == 1 && buf[0] == MARK_MEMFD && ngot) {
		int mem = got[--ngot];

		err = parse_memfd(mem, max_values, msg);
		close(mem);
	} else if (!err) {
		err = ngot > CONTROL_FDS_MAX ? -EBADMSG : parse_bounded(buf, n, max_values, msg);
	}
	if (err) {
		close_all(got, &ngot);
		return err;
	}
	if (fds && nfds) {
		memcpy(fds, got, ngot * sizeof(int));
		*nfds = ngot;
	} else {
		close_all(got, &ngot);
	}
	return 1;
}

int control_recv(int fd, json_t **msg, int *fds, size_t *nfds)
{
	return receive(fd, CONTROL_MESSAGE_MAX, msg, fds, nfds);
}

int control_recv_request(int fd, json_t **msg, int *fds, size_t *nfds)
{
	return receive(fd, CONTROL_VALUES_MAX, msg, fds, nfds);
}

int control_connect(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	if (cred.uid != 0)
		return -EUCLEAN;
	return steal_fd(&fd);
}

/* {"error": TEXT, "exit": N} */
static int remote_error(const json_t *answer, int *status, struct diag *d)
{
	const json_t *text = json_object_get(answer, "error");
	const json_t *code = json_object_get(answer, "exit");

	if (!json_is_string(text))
		return 0;
	if (status)
		*status = json_is_integer(code) ? (int)json_integer_value(code) : 125;
	return diag_set(d, -EREMOTEIO, "%s", json_string_value(text));
}

/* The first descriptor, others are closed. */
static int first_of(int *fds, size_t n)
{
	while (n > 1)
		close(fds[--n]);
	return n ? fds[0] : -1;
}

int control_call_more(int fd, const json_t *request, const int *fds, size_t nfds,
		      void (*event)(void *ctx, json_t *ev), void *ctx, json_t **answer,
		      struct control_more *more, int *status, struct diag *d)
{
	int came[CONTROL_FDS_MAX];
	size_t ncame = 0;
	json_t *msg = NULL;
	int err;

	*more = (struct control_more){ .file = -1 };
	if (status)
		*status = 125;
	err = control_send(fd, request, fds, nfds);
	if (err == -EMSGSIZE)
		return diag_set(d, err, "the request is too big: policies may have %u bytes in all",
				CONTROL_MESSAGE_MAX);
	if (err)
		return diag_set(d, err, "cannot send to egressd: %s", strerror(-err));
	for (;;) {
		err = control_recv(fd, &msg, came, &ncame);
		if (!err)
			return diag_set(d, -ECONNRESET, "egressd closed the connection");
		if (err < 0)
			return diag_set(d, err, "cannot receive from egressd: %s", strerror(-err));
		if (!json_object_get(msg, "event"))
			break;
		if (event)
			event(ctx, msg);
		json_decref(msg);
		more->file = first_of(came, ncame);
		if (more->file >= 0)
			close(more->file); /* events bring none */
		more->file = -1;
	}
	more->file = first_of(came, ncame);
	err = remote_error(msg, status, d);
	if (err)
		more->refusal = msg;
	else if (answer)
		*answer = msg;
	else
		json_decref(msg);
	return err;
}

int control_call(int fd, const json_t *request, const int *fds, size_t nfds,
		 void (*event)(void *ctx, json_t *ev), void *ctx, json_t **answer, int *status,
		 struct diag *d)
{
	struct control_more more;
	int err = control_call_more(fd, request, fds, nfds, event, ctx, answer, &more, status, d);

	json_decref(more.refusal);
	if (more.file >= 0)
		close(more.file);
	return err;
}
