/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Settings that change while the server runs: first everything that can fail, then one
 * store and what cannot fail. A file that is not good leaves all as it was.
 */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eventlog.h"
#include "journal.h"
#include "metrics.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

const char *server_log_dir(const struct server *s, const struct config *c)
{
	return c->log_dir ? c->log_dir : s->o.log_dir;
}

uint64_t server_log_file_bytes(const struct config *c)
{
	return c->log_bytes ? c->log_bytes / (EVENTLOG_KEEP + 1) : 0;
}

int server_socket_rights(const struct server *s, const struct config *c, struct diag *d)
{
	const struct group *g = c->group ? getgrnam(c->group) : NULL;
	const char *path = s->o.socket;

	if (!path)
		return 0;
	if (c->group && !g)
		return diag_set(d, -EINVAL, "'%s' is not a group of this host", c->group);
	/* closed in between: the group before must not become every user */
	if ((g && chmod(path, 0600)) || chown(path, 0, g ? g->gr_gid : 0) ||
	    chmod(path, g ? 0660 : 0666))
		return diag_set(d, -errno, "cannot set the rights of %s: %s", path,
				strerror(errno));
	return 0;
}

static bool same(const char *a, const char *b)
{
	return a && b ? str_eq(a, b) : a == b;
}

/* *out stays NULL when the one that is open goes on. */
static int open_log(const struct server *s, const struct config *c, struct eventlog **out,
		    struct diag *d)
{
	const char *dir = server_log_dir(s, c);
	int err;

	if (!dir || same(dir, server_log_dir(s, s->config)))
		return 0;
	err = eventlog_open(dir, server_log_file_bytes(c), out);
	return err ? diag_set(d, err, "cannot open the event log in %s: %s", dir, strerror(-err)) :
		     0;
}

int server_reload(struct server *s, const struct config *c, struct diag *d)
{
	struct journal *journal = NULL;
	struct metrics_http *metrics = NULL;
	struct eventlog *log = NULL;
	int err;

	err = open_log(s, c, &log, d);
	if (!err && c->metrics && !same(c->metrics, s->config->metrics))
		err = server_metrics_listen(s, c, &metrics, d);
	if (!err && c->journal && !s->journal && journal_new(s->loop, NULL, &journal))
		err = diag_set(d, -ENOMEM, "out of memory");
	if (!err && !same(c->group, s->config->group))
		err = server_socket_rights(s, c, d);
	if (err) {
		eventlog_close(log);
		journal_free(journal);
		metrics_http_free(metrics);
		return err;
	}
	if (log) {
		eventlog_close(s->log);
		s->log = log;
		sandboxes_keep_numbers(s->sandboxes, server_log_dir(s, c));
	} else if (s->log) {
		eventlog_set_max(s->log, server_log_file_bytes(c));
	}
	if (!c->journal || journal) {
		journal_free(s->journal);
		s->journal = journal;
	}
	if (!c->metrics || metrics) {
		metrics_http_free(s->metrics);
		s->metrics = metrics;
	}
	s->config = c;
	s->reloads++;
	if (server_runtimes(s, d))
		diag_print(stderr, "egressd", d); /* what was known before still is */
	server_patterns(s);
	return 0;
}

void server_reload_failed(struct server *s)
{
	s->reloads_failed++;
}
