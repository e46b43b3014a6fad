/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One event: of a live sandbox from memory, of others from the log. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <linux/types.h>

#include "../bpf/egressctl.h"

#include "denials.h"
#include "eventlog.h"
#include "ref.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

#define STAMP_AT strlen("{\"time\":\"")
#define STAMP_LEN strlen("2026-11-23T13:32:18.123456789")

/* ---- in memory ------------------------------------------------------------------------- */

static const struct denials *denials_of(const struct sandbox *b)
{
	const struct conn *owner = sandbox_owner(b);

	return owner ? owner->denials : NULL;
}

static const char *find_newest(const struct denials *d, size_t *len)
{
	return denials_find(d, 0, len);
}

/* The newest of all sandboxes that the peer may see, of those that `find` gives. */
static const char *newest_event(struct conn *c,
				const char *(*find)(const struct denials *d, size_t *len),
				size_t *len, struct sandbox **of)
{
	struct sandbox *b = NULL;
	const char *best = NULL;

	while ((b = sandboxes_next(c->s->sandboxes, b))) {
		const struct denials *d = server_may_see(c, b) ? denials_of(b) : NULL;
		size_t n = 0;
		const char *line = d ? find(d, &n) : NULL;

		/* written from left to right, a time is in order as text */
		if (!line || n < STAMP_AT + STAMP_LEN ||
		    (best && memcmp(line + STAMP_AT, best + STAMP_AT, STAMP_LEN) <= 0))
			continue;
		best = line;
		*len = n;
		*of = b;
	}
	return best;
}

const char *server_last_allowable(struct conn *c, size_t *len, struct sandbox **of)
{
	return newest_event(c, denials_last_allowable, len, of);
}

/* One with a number that is still to come. */
static int no_event(const struct sandbox *b, const char *ref, struct diag *d)
{
	uint64_t newest = sandbox_counters(b)->ev_seq;

	if (!newest)
		return diag_set(d, -ENOENT, "no event %s: nothing was refused in sandbox %" PRIu64
				" so far", ref, sandbox_id(b));
	return diag_set(d, -ENOENT, "no event %s: the newest of sandbox %" PRIu64 " is %" PRIu64
			".%" PRIu64, ref, sandbox_id(b), sandbox_id(b), newest);
}

const char *server_event(struct conn *c, const char *ref, size_t *len, struct sandbox **of,
			 struct diag *d)
{
	uint64_t sandbox, seq;
	const char *line = NULL;
	json_t *id;

	server_events_drain(c->s); /* what happened before the question counts */
	if (ref_parse_event(ref, &sandbox, &seq)) {
		(void)diag_set(d, -EINVAL, "'%s' is no event: expected SANDBOX.SEQ (7.12) or last",
			       ref);
		return NULL;
	}
	if (!sandbox) {
		line = newest_event(c, find_newest, len, of);
		if (!line)
			(void)diag_set(d, -ENOENT,
				       "nothing was refused in a live sandbox of yours");
		return line;
	}
	id = json_integer((json_int_t)sandbox);
	*of = server_find(c, id, d);
	json_decref(id);
	if (!*of)
		return NULL;
	if (denials_of(*of))
		line = denials_find(denials_of(*of), seq, len);
	if (!line && seq > sandbox_counters(*of)->ev_seq)
		(void)no_event(*of, ref, d);
	else if (!line)
		(void)diag_set(d, -ENODATA, "event %s is too long ago", ref);
	return line;
}

/* ---- in the log -------------------------------------------------------------------------- */

struct search {
	uint64_t seq; /* 0: the last one */
	char *line;
	size_t len;
};

static int take_line(void *ctx, const char *line, size_t len)
{
	struct search *s = ctx;
	char member[40];
	int n = snprintf(member, sizeof(member), "Z\",\"seq\":%" PRIu64 ",", s->seq);
	char *copy;

	if (s->seq && (len < STAMP_AT + STAMP_LEN + (size_t)n ||
		       memcmp(line + STAMP_AT + STAMP_LEN, member, (size_t)n)))
		return 0;
	/* the end of a sandbox has the number of its last event */
	if (memmem(line, len, ",\"op\":\"end\",", 12) || !memmem(line, len, ",\"verdict\":\"", 12))
		return 0;
	/* to the end: should two sandboxes ever have had that number, the newer one is meant */
	copy = realloc(s->line, len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, line, len);
	s->line = copy;
	s->len = len;
	return 0;
}

/* Takes `files`, which is empty when the sandbox is gone. */
static void __attribute__((noreturn)) search_child(struct conn *c, const char *ref, bool live,
						   json_t *files, const struct diag *d)
{
	struct eventlog_filter f = { .owner = c->peer.uid ? (int64_t)c->peer.uid : -1 };
	struct search s = { 0 };
	json_t *answer;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	conn_alone(c);
	(void)ref_parse_event(ref, &f.sandbox, &s.seq);
	(void)eventlog_read(server_log_dir(c->s, c->s->config), &f, false, take_line, &s);
	if (s.line)
		answer = json_pack("{s:s%, s:b, s:o}", "line", s.line, s.len, "live", live,
				   "files", files);
	else if (str_eq(ref, REF_LAST))
		answer = json_pack("{s:s, s:i}", "error", "no event of yours is in the log", "exit",
				   1);
	else if (live)
		answer = json_pack("{s:s++, s:i}", "error", "no event ", ref,
				   " of yours, live or in the log", "exit", 1);
	else
		answer = json_pack("{s:s+++, s:i}", "error", "no event ", ref,
				   " of yours is in the log, and there is ", d->msg, "exit", 1);
	(void)conn_send_slowly(c, answer);
	_exit(0);
}

/* ---- the request --------------------------------------------------------------------------- */

void serve_explain(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct sandbox *of = NULL;
	struct diag d = {};
	const char *op, *ref, *line;
	json_t *files;
	size_t len = 0;

	(void)fds;
	(void)nfds;
	if (json_unpack_ex(request, NULL, JSON_STRICT, "{s:s, s:s}", "op", &op, "ref", &ref)) {
		conn_error(c, 2, "bad request");
		return;
	}
	line = server_event(c, ref, &len, &of, &d);
	files = json_array();
	if (of && sandbox_owner(of))
		server_add_files(c, sandbox_owner(of), files);
	if (line)
		conn_reply(c, json_pack("{s:s%, s:b, s:O}", "line", line, len, "live", 1, "files",
					files));
	else if (d.err == -EINVAL || (of && d.err == -ENOENT))
		conn_error_diag(c, d.err == -EINVAL ? 2 : 1, &d);
	else if (!server_log_dir(c->s, c->s->config) || c->box || c->logger)
		conn_error_diag(c, 1, &d);
	else if (conn_fork(c) == 0)
		search_child(c, ref, of != NULL, files, &d);
	json_decref(files);
}
