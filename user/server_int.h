/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the server share; everything else uses control.h. */
#ifndef SERVER_INT_H
#define SERVER_INT_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "control.h"
#include "diag.h"
#include "event_text.h"

struct agent;
struct compiled;
struct conn;
struct dns;
struct event;
struct eventlog;
struct events;
struct names;
struct publisher;
struct sandbox;
struct sandboxes;
struct version;

enum conn_events { CONN_NO_EVENTS, CONN_LINES, CONN_JSON };

struct server {
	struct server_options o;
	sd_event *loop;
	struct agent *a;
	struct publisher *publisher;
	struct sandboxes *sandboxes;
	struct events *events;
	struct eventlog *log;
	struct dns *dns;
	struct text text; /* scratch of the event sink */
	struct text line;
	int listener;
	struct ring_buffer *queries;
	sd_event_source *accept, *ring, *asked, *sweep;
	struct conn *conns;
	uint32_t nconns;
};

struct conn {
	struct server *s;
	struct conn *prev, *next;
	int fd; /* -1: the launcher talked to an earlier egressd */
	sd_event_source *io;
	struct ucred peer;
	uid_t uid; /* for whom it runs: the peer, or whom root names */

	int child; /* pidfd of the blocked command; of the launcher when adopted */
	uint64_t deadline; /* of limits: time, CLOCK_MONOTONIC us; 0: none */
	struct sandbox *box;
	struct names *names; /* its resolver; NULL: egress is not judged */
	sd_event_source *empty; /* its cgroup became empty, maybe */
	sd_event_source *timer; /* limits: time; before a run: patience */
	enum conn_events events;
	sd_event_source *logger; /* process that reads the log for it */
	bool fail_fast, freeze, frozen;
	bool killed;
	bool want_end; /* the launcher waits for the answer to "end" */
	bool closed; /* the launcher is gone: free when the sandbox is */
	const char *note; /* why it was ended, for the launcher */
};

/* One request; every one is answered here or later. */
typedef void (*request_fn)(struct conn *c, json_t *request, int *fds, size_t nfds);

void conn_reply(struct conn *c, json_t *answer); /* takes the reference */
void conn_error(struct conn *c, int exit_status, const char *fmt, ...) __printf_like(3, 4);
void conn_error_diag(struct conn *c, int exit_status, const struct diag *d);
void conn_free(struct conn *c);

/* server_run.c */
void serve_run(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_end(struct conn *c, json_t *request, int *fds, size_t nfds);
/* Watch a sandbox's cgroup and time. */
int conn_watch(struct conn *c, struct diag *d);
struct conn *conn_new(struct server *s, int fd);
/* Kill the sandbox of a connection; it ends when its cgroup is empty. */
void conn_kill(struct conn *c, const char *note);

/* server_names.c */
/* Give c->box a resolver in the network namespace of `pid`. */
int conn_names_start(struct conn *c, pid_t pid, struct diag *d);
void conn_names_end(struct conn *c);
void conn_names_take(struct conn *c, struct conn *from); /* with from's sandbox */
/* The name that an address was resolved from last, or NULL; see dns_client_name_of(). */
const char *conn_name_of(struct conn *c, const uint8_t addr[16]);
/* A flow of it was refused for good: end it. */
void conn_names_refused(struct conn *c, const struct event *ev);
/* Take the queries that the kernel caught. */
int server_names_start(struct server *s, struct diag *d);
void server_names_stop(struct server *s);
/* Remove the bindings of sandboxes that are gone. */
void server_names_sweep(struct server *s);

/* server_policy.c: from a request's policies to a version in the maps */
struct run_policy {
	json_t *policies; /* names as given */
	json_t *texts; /* [{name, from, path, text}] */
	const char *cwd, *tmpdir;
	uid_t uid;
	bool audit;
	bool egress_only; /* path rules are knowingly left out */
};

/*
 * 1: *v has a reference; 0: *need is an array of {name, from} that is missing;
 * negative errno with a message, -EINVAL when the policy is to blame.
 */
int server_policy(struct server *s, const struct run_policy *rp, const struct version **v,
		  json_t **need, struct diag *d);

/* Compile again what a version was compiled from (publisher_compile_fn). */
struct compiled *server_compile_key(void *ctx, const char *key, size_t key_len);

/* server_adopt.c: sandboxes across restarts of egressd */
int server_adopt(struct server *s, struct diag *d);
void server_save(struct conn *c);
void server_forget(struct server *s, uint64_t sandbox);

/* server_events.c */
int server_events_start(struct server *s, struct diag *d);
void server_events_drain(struct server *s);
void server_events_stop(struct server *s);

/* server_query.c */
void serve_ps(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_kill(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_log(struct conn *c, json_t *request, int *fds, size_t nfds);
void stop_log(struct conn *c);
void serve_status(struct conn *c, json_t *request, int *fds, size_t nfds);

#endif
