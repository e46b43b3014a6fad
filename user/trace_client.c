// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "diag.h"
#include "trace.h"
#include "trace_client.h"
#include "util.h"

#define FAILED 125

/* The answer, past events; descriptors that come with it are the caller's. */
static int receive(int control, json_t **msg, int *fds, size_t *nfds)
{
	int err;

	for (;;) {
		*nfds = 0;
		err = control_recv(control, msg, fds, nfds);
		if (err <= 0)
			return err ? err : -EPIPE;
		if (!json_object_get(*msg, "event"))
			return 0;
		json_decref(*msg);
		while (*nfds)
			close(fds[--*nfds]);
	}
}

int trace_read(int fd, struct trace *out)
{
	_cleanup_free_ char *text = NULL;
	size_t done = 0, size;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > TRACE_MAX_JSON)
		return -EBADMSG;
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	while (done < size) {
		ssize_t n = pread(fd, text + done, size - done, (off_t)done);

		if (n <= 0)
			return n ? -errno : -EBADMSG;
		done += (size_t)n;
	}
	return trace_from_json(text, size, out);
}

static int take_answer(const json_t *msg, int fd, struct trace *out, uint64_t *untraced,
		       int *status, struct diag *d)
{
	const char *error = json_string_value(json_object_get(msg, "error"));
	const json_t *id = json_object_get(msg, "untraced");
	int err;

	if (error) {
		*status = (int)json_integer_value(json_object_get(msg, "exit"));
		return diag_set(d, -EREMOTEIO, "%s", error);
	}
	if (json_is_integer(id)) {
		*untraced = (uint64_t)json_integer_value(id);
		*status = 1;
		return -ENODATA;
	}
	err = fd < 0 ? -EBADMSG : trace_read(fd, out);
	return err ? diag_set(d, err, "egressd sent a trace that cannot be read: %s",
			      strerror(-err)) : 0;
}

int trace_fetch(int control, json_t *ref, struct trace *out, uint64_t *untraced, int *status,
		struct diag *d)
{
	json_t *request = json_pack("{s:s, s:o}", "op", "trace", "sandbox", ref), *msg = NULL;
	int fds[CONTROL_FDS_MAX], err;
	size_t nfds = 0;

	*status = FAILED;
	if (!request)
		return diag_set(d, -ENOMEM, "out of memory");
	err = control_send(control, request, NULL, 0);
	json_decref(request);
	if (!err)
		err = receive(control, &msg, fds, &nfds);
	if (err)
		return diag_set(d, err, "egressd does not answer: %s", strerror(-err));
	err = take_answer(msg, nfds ? fds[0] : -1, out, untraced, status, d);
	while (nfds)
		close(fds[--nfds]);
	json_decref(msg);
	return err;
}
