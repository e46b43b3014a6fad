/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The control protocol: one JSON object a message over a SOCK_SEQPACKET unix
 * socket. The same server code runs in egressd and in the supervisor that
 * `egressctl run` forks when there is no egressd.
 *
 * Requests carry "op"; each gets one answer: {"ok": true, …} or {"error": TEXT,
 * "exit": N}. On a connection that ran or subscribed, the server also sends
 * {"event": …} objects.
 *
 *	run	policies, texts, vars, options; a pidfd of the blocked child
 *		-> {"need": [name…]} and the client sends "run" again with the
 *		texts of these, or {"sandbox": id, "env": …}: the child is inside.
 *		{"landlock": {"abi": n, "unheld": […]}} and a ruleset's descriptor: the
 *		child has to restrict itself. A refusal has "unheld", too, when a policy
 *		has "require: full"; see server_landlock.c
 *	end	-> what was left is killed and the cgroup removed;
 *		{"denied": n, "suppressed": n, "lost": n, "note": …}
 *	ps	-> {"sandboxes": […]}
 *	kill	sandbox
 *	follow	sandbox (optional): events of own sandboxes from now on
 *	status	-> what egressd runs with
 *	prove	-> every hook and whether it refused; the port of a resolver that
 *		allows no name, for as long as the connection lasts; why no sandboxes
 *		are made, if none are ("refuses": of ps, too)
 *	trace	sandbox, live or ended -> what a traced one touched: {"ok": true} and
 *		a descriptor to read it from (trace.h), or {"untraced": id}
 *
 * A run's sandbox lives as long as its connection: when that closes, everything
 * in the sandbox is killed.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

struct agent;
struct config;
struct diag;
struct sd_event;
struct server;

#define CONTROL_DIR "/run/egressctl"
#define CONTROL_SOCKET "/run/egressctl/control.sock"
#define CONTROL_MESSAGE_MAX (4u << 20) /* bytes of one JSON object */
#define CONTROL_FDS_MAX 2u

/* ---- messages: control_proto.c ------------------------------------------------ */

/*
 * Send one object with up to CONTROL_FDS_MAX descriptors. Objects over one
 * datagram's size go as a sealed memfd. -EMSGSIZE, -EAGAIN (non-blocking
 * socket), -EPIPE.
 */
int control_send(int fd, const json_t *msg, const int *fds, size_t nfds);

/*
 * Receive one object; descriptors that came with it are the caller's (closed
 * here on failure). 0: the peer closed. 1: *msg is set. -EBADMSG: not one JSON
 * object, or over the limits; -EAGAIN.
 */
int control_recv(int fd, json_t **msg, int *fds, size_t *nfds);

/*
 * The same from somebody who is not trusted with our memory: a text of nothing but brackets
 * takes sixty times its length, so that the values in it are counted before it is read.
 */
#define CONTROL_VALUES_MAX (64u << 10)
int control_recv_request(int fd, json_t **msg, int *fds, size_t *nfds);

/* Does it go as a memfd, whose memory is the sender's until it is read? */
bool control_is_big(const json_t *msg);

/* One JSON object, the whole of `text`. -EBADMSG. */
int control_parse(const char *text, size_t len, json_t **msg);

/*
 * Connect to egressd as a client. -ENOENT, -ECONNREFUSED: none runs. -EACCES,
 * -EPERM: not allowed (a sandboxed task gets EPERM). -EUCLEAN: who listens there
 * is not root, and nobody else is trusted with a policy.
 */
int control_connect(const char *path);

/*
 * Send a request and wait for its answer; events that come in between go to
 * `event` (may be NULL). An {"error"} answer becomes -EREMOTEIO with the text in
 * `d` and the exit status in *status (when not NULL).
 */
int control_call(int fd, const json_t *request, const int *fds, size_t nfds,
		 void (*event)(void *ctx, json_t *ev), void *ctx, json_t **answer, int *status,
		 struct diag *d);

/* What an answer brings beside its object; both are the caller's. */
struct control_more {
	int file; /* a descriptor; -1: none */
	json_t *refusal; /* the whole of an {"error"} answer; NULL: none */
};
/* The same, with what else came in *more, which is set in any case. */
int control_call_more(int fd, const json_t *request, const int *fds, size_t nfds,
		      void (*event)(void *ctx, json_t *ev), void *ctx, json_t **answer,
		      struct control_more *more, int *status, struct diag *d);

/* ---- the server ------------------------------------------------------------------ */

struct server_options {
	const char *socket; /* path; NULL: none, only server_adopt() */
	const char *log_dir; /* where no config says another; NULL: no event log */
	uint32_t max_connections;
	/* the caller's, until it hands over another one; NULL: the defaults */
	const struct config *config;
};

/* The agent stays the caller's. */
int server_new(struct sd_event *loop, struct agent *a, const struct server_options *o,
	       struct server **out, struct diag *d);
/* Serve one connected socket (owned from here on) for a peer that is `uid`. */
int server_serve(struct server *s, int fd);
/*
 * From now on this holds, which the caller keeps until the next one; the one before is
 * not looked at again. On failure all of the one before goes on.
 */
int server_reload(struct server *s, const struct config *config, struct diag *d);
/* For the metrics: there was a config that could not even be read. */
void server_reload_failed(struct server *s);
/* Kill every sandbox and wait until they are gone. */
void server_kill_all(struct server *s);
/* Before a stop that leaves things for the next egressd: only what is in use. */
void server_trim(struct server *s);
void server_free(struct server *s);
/* -EPERM with a message while a hook is silent, or nobody knows: no new sandboxes. */
int server_canary_refuses(const struct server *s, struct diag *d);
uint32_t server_connections(const struct server *s);

#endif
