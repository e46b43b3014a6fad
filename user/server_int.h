/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the server share; everything else uses control.h. */
#ifndef SERVER_INT_H
#define SERVER_INT_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "control.h"
#include "diag.h"
#include "event_text.h"
#include "sandbox.h"
#include "uid_time.h"

#define SERVER_RUNTIMES 64 /* programs that are known to set containers and units up */

struct agent;
struct compiled;
struct conn;
struct denials;
struct dns;
struct dns_client;
struct event;
struct eventlog;
struct dns_client_stats;
struct journal;
struct flows_seen;
struct metrics_http;
struct server_counts;
struct events;
struct names;
struct publisher;
struct rooted;
struct rule_counts;
struct sandbox;
struct sandboxes;
struct version;
struct version_tail;
struct grants;
struct held;
struct watch;
struct prove_result;

enum conn_events { CONN_NO_EVENTS, CONN_LINES, CONN_JSON };

struct server {
	struct server_options o;
	struct config defaults;
	const struct config *config; /* never NULL; replaced as a whole when egressd reloads */
	sd_event *loop;
	struct agent *a;
	struct publisher *publisher;
	struct sandboxes *sandboxes;
	struct events *events;
	struct eventlog *log;
	struct journal *journal; /* NULL: not told */
	struct metrics_http *metrics; /* NULL: no listener */
	struct server_counts *counts;
	uint64_t reloads, reloads_failed;
	int runtimes[SERVER_RUNTIMES]; /* open, see server_runtimes.c */
	bool runtimes_unknown; /* a hook was silent: those that were known before are */
	uint32_t nruntimes;
	uint32_t missed; /* eg_holding.missed that was seen to */
	struct dns *dns;
	struct flows_seen *seen; /* addresses that connections of our network are open to */
	struct conn *told; /* whose `denials` have something new */
	struct text text; /* scratch of the event sink */
	struct text line;
	int listener;
	int spare; /* a descriptor for when there is none */
	struct ring_buffer *queries, *arrivals, *touched;
	sd_event_source *arrived, *rested;
	uint64_t rests_until; /* us, CLOCK_MONOTONIC: before that no arrival is looked at */
	sd_event_source *accept, *ring, *asked, *sweep, *traces;
	struct conn *conns;
	uint32_t nconns;
	struct watch *watch; /* server_canary.c; NULL: not started yet */
	bool sweep_waits; /* for the end of a round of proofs */
	struct uid_times times; /* of this loop that users have had */
	struct lefts *left; /* NULL: none */
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
	struct grants *grants; /* NULL: none ever */
	struct box_trace *trace; /* what it touched; NULL: it is not traced */
	struct names *names; /* its resolver; NULL: egress is not judged */
	struct dns_client *proof_resolver; /* of "prove" */
	struct held *held; /* its request waits for the end of a round; NULL: none does */
	uint64_t asked_us; /* "prove" is to be answered by a round that began later; 0: not asked */
	sd_event_source *empty; /* its cgroup became empty, maybe */
	sd_event_source *timer; /* limits: time; before a run: patience */
	struct denials *denials; /* of its sandbox; NULL: no room for a file */
	struct conn *next_told;
	struct rule_counts *counts; /* its denials by rule; NULL: none yet */
	enum conn_events events;
	sd_event_source *logger; /* process that reads the log for it */
	bool fail_fast, freeze;
	bool killed;
	bool want_end; /* the launcher waits for the answer to "end" */
	bool closed; /* the launcher is gone: free when the sandbox is */
	const char *note; /* why it was ended, for the launcher */
	uint32_t files; /* of ours, sent to it and maybe not read yet */
	bool homeless; /* attached while its cgroup was empty: its network is not known yet */
	bool arrived; /* tasks came into its cgroup from elsewhere */
	uint64_t entered; /* sandbox that this one put a tree into */
};

/* One request; every one is answered here or later. */
typedef void (*request_fn)(struct conn *c, json_t *request, int *fds, size_t nfds);

void conn_reply(struct conn *c, json_t *answer); /* takes the reference */
void conn_reply_file(struct conn *c, int fd); /* "ok", and the descriptor, which stays */
/* Both; fd -1: none. */
void conn_reply_with(struct conn *c, json_t *answer, int fd);
void conn_error(struct conn *c, int exit_status, const char *fmt, ...) __printf_like(3, 4);
void conn_error_diag(struct conn *c, int exit_status, const struct diag *d);
void conn_free(struct conn *c);

/* server_run.c */
void serve_run(struct conn *c, json_t *request, int *fds, size_t nfds);
/*
 * May set-uid programs gain rights in sandboxes that the peer asks for? Who chooses what a
 * program sees must not have fewer than it: root, or whom egressd.yaml trusts.
 */
bool conn_may_gain(const struct conn *c);
void serve_end(struct conn *c, json_t *request, int *fds, size_t nfds);
/* Watch a sandbox's cgroup and time. */
int conn_watch(struct conn *c, struct diag *d);
struct conn *conn_new(struct server *s, int fd);
/* Kill the sandbox of a connection; it ends when its cgroup is empty. */
void conn_kill(struct conn *c, const char *note);

/* Its time limit begins, and it is watched. */
int conn_start_time(struct conn *c, struct diag *d);
/* The sandbox of a connection has ended: last events, counts, removal, answer. */
void conn_finish(struct conn *c);
/* A round of proofs is over: look for survivors of sandboxes, if that had to wait. */
void server_sweep_waiting(struct server *s);

/* server_attach.c, server_enter.c */
/* server_runtimes.c */
int server_runtimes(struct server *s, struct diag *d);
void server_runtimes_end(struct server *s);
/* server_patterns.c: cgroups that egressd.yaml names */
int server_patterns_start(struct server *s, struct diag *d);
/* s->config is new: tell the kernel, and see to those that are there already. */
void server_patterns(struct server *s);
/* No cgroup waits for a policy any more: what is held goes on without one. */
void server_patterns_end(struct server *s);
/* server_arrivals.c */
/* Take what the kernel says of attached cgroups. */
int server_attach_start(struct server *s, struct diag *d);
void server_attach_stop(struct server *s);
void serve_attach(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_detach(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_enter(struct conn *c, json_t *request, int *fds, size_t nfds);

/* server_names.c */
/* Give c->box a resolver in the network namespace of `pid`. */
int conn_names_start(struct conn *c, pid_t pid, struct diag *d);
void conn_names_end(struct conn *c);
bool conn_names_stats(const struct conn *c, struct dns_client_stats *out); /* false: none */
void conn_names_take(struct conn *c, struct conn *from); /* with from's sandbox */
/* The name that an address was resolved from last, or NULL; see dns_client_name_of(). */
const char *conn_name_of(struct conn *c, const uint8_t addr[16]);
/* The network namespace it listens in; -1: ours. It stays open for as long as it does. */
int conn_names_netns(const struct conn *c);
/* Does a name open that port of the address, by what is bound now? */
bool conn_names_open(const struct conn *c, const uint8_t addr[16], uint16_t port, uint8_t proto);
/*
 * Let another version hold for c->box, names and all (sandbox.h). When it returns, no
 * packet leaves by what was taken away.
 */
int conn_switch(struct conn *c, const struct version *v, enum sandbox_change what, struct diag *d);
/* Take the queries that the kernel caught. */
int server_names_start(struct server *s, struct diag *d);
void server_names_stop(struct server *s);
/* Remove the bindings of sandboxes that are gone. */
void server_names_sweep(struct server *s);

/* server_flows.c */
struct flows_owner; /* sock_diag.h */
/* Whose sockets are the sandbox's: `cgroups` is its cgroup and those below it, the caller's. */
struct flows_owner server_flows_owner(const struct server *s, const struct sandbox *b,
				      const uint64_t *cgroups, size_t n);
/* End the connections that no rule allows now. How many, or a negative errno. */
int conn_end_flows(struct conn *c);
/* A flow of it was refused for good: end it. */
void conn_names_refused(struct conn *c, const struct event *ev);

/* server_grants.c: rules that operators gave or took while it runs */
struct grant_request {
	const char *const *rules; /* in the words of allow.h */
	size_t nrules;
	bool deny;
	uint64_t ms; /* 0: as long as the sandbox lives */
	const char *note; /* NULL: none */
	uid_t by;
};
/*
 * All of them or none. Returns an array of what was given, [{grant, rule, …}], or
 * NULL with a message.
 */
json_t *grants_add(struct conn *c, const struct grant_request *r, struct diag *d);
/*
 * Take back the grant of that number, 0: all. *ended: connections that were. How many
 * grants were taken back; -ENOENT: there is none of that number.
 */
int grants_revoke(struct conn *c, uint64_t grant, int *ended, struct diag *d);
/*
 * Another policy from now on; its version's reference stays the caller's. Grants and
 * denials go on over it, or end with `drop`. -EINVAL: they do not fit together.
 */
int grants_switch(struct conn *c, const struct version *v, bool drop, int *ended, struct diag *d);
/* [{grant, rule, deny, by, note, left_ms (null: no end)}] of a live sandbox. */
json_t *grants_describe(const struct sandbox *b);
/* Does it have the grant of that number? */
bool grants_has(const struct conn *c, uint64_t grant);
/* Has root denied paths in it? Then nobody else opens any. */
bool grants_closed_by_root(const struct conn *c);
/* Is that one (0: any) a denial that root made? */
bool grants_denied_by_root(const struct conn *c, uint64_t grant);
/* The version of the sandbox's policy alone. */
const struct version *grants_base(const struct conn *c);
/* What is kept for the next egressd stays, unless the sandbox has ended. */
void grants_free(struct conn *c, bool ended);
/* What an earlier egressd left; -ENOENT: none. */
int grants_adopt(struct conn *c, struct diag *d);
void grants_take(struct conn *c, struct conn *from); /* with from's sandbox */

/* server_allow.c */
void serve_allow(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_revoke(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_grants(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_switch(struct conn *c, json_t *request, int *fds, size_t nfds);
/*
 * For an answer about sandboxes: into `all` where the policy of one lies, once for those
 * that share it; nothing when the peer may not save, or an answer has no room for it.
 */
void server_add_files(const struct conn *c, const struct conn *of, json_t *all);
/* server_trace.c: what traced sandboxes touch */
int server_traces_start(struct server *s, struct diag *d);
void server_traces_stop(struct server *s);
/*
 * Begin with c->box, if its version says so, or go on with it after a restart.
 * `restarted`: what came before is lost, and the trace says so.
 */
int conn_trace_start(struct conn *c, bool restarted, struct diag *d);
/* The sandbox is empty: keep what was collected, and forget it here. */
void conn_trace_end(struct conn *c);
void conn_trace_free(struct conn *c);
void conn_trace_take(struct conn *c, struct conn *from); /* with from's sandbox */
/* One record, as the kernel makes them. */
void conn_trace_record(struct conn *c, const void *record, size_t len);
/* A name was asked for, or (addr) resolved. */
void conn_trace_name(struct conn *c, const char *name, bool allowed, const uint8_t *addr);
void serve_trace(struct conn *c, json_t *request, int *fds, size_t nfds);

/* server_policy.c: from a request's policies to a version in the maps */
struct run_policy {
	json_t *policies; /* names as given */
	json_t *texts; /* [{name, from, path, text}] */
	const char *cwd, *tmpdir;
	uid_t uid;
	uid_t payer; /* who asks: whose share of the tables it counts against */
	const json_t *grants; /* NULL: none; see server_publish_grants() */
	bool audit;
	bool trace; /* what it touches is recorded */
	bool egress_only; /* path rules are knowingly left out */
	bool landlock; /* path rules are for Landlock to hold */
	struct rooted *root; /* in whose paths it is written; NULL: ours */
	const struct compiled *paths_of; /* as of struct policy */
};

/*
 * 1: *v has a reference; 0: *need is an array of {name, from} that is missing;
 * negative errno with a message, -EINVAL when the policy is to blame.
 */
int server_policy(struct server *s, const struct run_policy *rp, const struct version **v,
		  json_t **need, struct diag *d);

/* Does this version hold grants or denials, beside its policy? */
bool server_is_granted(struct server *s, const struct version *v);

/*
 * A version that is `base` and what was granted, [{name, text, class}]; *v has a
 * reference. -EINVAL: a rule is not good, -E2BIG: a limit.
 */
int server_publish_grants(struct server *s, const struct version *base, json_t *grants,
			  const struct version_tail *tail, const struct version **v,
			  struct diag *d);

/*
 * Another policy for a sandbox that is under `v`, for the same user, directories and
 * options: results as of server_policy().
 */
int server_policy_like(struct server *s, const struct version *v, uid_t by, json_t *policies,
		       json_t *texts, const struct version **out, json_t **need, struct diag *d);

/*
 * Where the policies of a sandbox under `v` lie, by their senders' word: as of
 * policy_send_files(), texts included. NULL: no memory.
 */
json_t *server_policy_files(struct server *s, const struct version *v);

/* Compile again what a version was compiled from (publisher_compile_fn). */
struct compiled *server_compile_key(void *ctx, const char *key, size_t key_len);

/* server_landlock.c: path rules of a sandbox that the programs do not hold */
struct hold {
	struct landlock_plan *plan; /* NULL: Landlock holds nothing of it */
	int ruleset; /* -1: not made yet */
};
/*
 * Choose what becomes of path rules for a run: `without` as of the request, or NULL. -EINVAL,
 * -ENOTSUP with a message.
 */
int hold_choose(const struct conn *c, const char *without, struct run_policy *rp, struct diag *d);
/*
 * What Landlock will hold of it, if anything. -EPERM: the policy requires more; conn_error()
 * has been called then, with the list.
 */
int hold_plan(struct conn *c, const struct compiled *compiled, struct hold *h, struct diag *d);
/* The ruleset, with the file in it that the sandbox is told to read; NULL: none. */
int hold_make(struct hold *h, const char *denials, struct diag *d);
json_t *hold_describe(const struct hold *h, const struct compiled *compiled);
void hold_clear(struct hold *h);

/* server_adopt.c: sandboxes across restarts of egressd */
int server_adopt(struct server *s, struct diag *d);
void server_save(struct conn *c);
void server_forget(struct server *s, uint64_t sandbox);

/*
 * server_left.c: sandboxes of an egressd with another ABI. Their own programs hold them;
 * they are listed and can be ended, nothing else. They end with their launcher, at their
 * time limit and by `egressctl kill`; with the last one go pins and state of that ABI.
 */
int server_left_start(struct server *s, struct diag *d);
void server_left_stop(struct server *s);
/* End those with commands of their own: egressd does not keep them. */
void server_left_kill_all(struct server *s);
/* By number or name. False: there is none that the peer may see. */
bool server_left_kill(struct conn *c, const json_t *ref, uint64_t *id);
void server_left_list(struct conn *c, json_t *list); /* lines for ps */

/* server_config.c: what a config means for this server */
const char *server_log_dir(const struct server *s, const struct config *c);
uint64_t server_log_file_bytes(const struct config *c); /* of one file; 0: the default */
int server_socket_rights(const struct server *s, const struct config *c, struct diag *d);

/* server_metrics.c */
int server_counts_new(struct server *s);
void server_count_event(struct server *s, const struct event *ev);
void server_count_dns(struct server *s, const struct dns_client_stats *last);
int server_metrics_listen(struct server *s, const struct config *c, struct metrics_http **out,
			  struct diag *d);
void serve_metrics(struct conn *c, json_t *request, int *fds, size_t nfds);

/* server_events.c */
int server_events_start(struct server *s, struct diag *d);
void server_events_drain(struct server *s);
/* Show what came so far to those who read the log and the denials. */
void server_events_flush(struct server *s);
/*
 * What c->box is refused from now on, for `explain` and `allow last`, and as the file that
 * $EGRESSCTL_DENIALS names in a run. Without one (a full /run) it runs all the same.
 */
void conn_denials_start(struct conn *c, bool adopt);
/* The sandbox is gone, or `leave`: the next egressd goes on. */
void conn_denials_end(struct conn *c, bool leave);
void conn_denials_take(struct conn *c, struct conn *from); /* with from's sandbox */
void server_events_stop(struct server *s);

/* server_ref.c */
/* Root sees every sandbox, everybody else their own. */
bool server_may_see(const struct conn *c, const struct sandbox *b);
/* The newest live one that the peer may see, or NULL. */
struct sandbox *server_newest(struct conn *c);
/*
 * The live sandbox that a request names: its number, its name if one alone of those
 * that the peer may see has it, or "last". NULL with a message in `d`: -ENOENT, which
 * names the nearest one; -EEXIST, several have the name; -EINVAL, no reference.
 * Nothing tells a peer of a sandbox that it may not see.
 */
struct sandbox *server_find(struct conn *c, const json_t *ref, struct diag *d);
/* -ENOENT with a message: no visible sandbox has that policy, or grant; what is nearest. */
int server_no_policy(struct conn *c, const char *policy, struct diag *d);
int server_no_grant(struct conn *c, uint64_t grant, struct diag *d);

/* server_explain.c */
/*
 * An event of a live sandbox that the peer may see, "7.12" or "last", as the JSON that
 * was logged (event_from_json() reads it), valid until the loop goes on; *of is its
 * sandbox. NULL with a message: -EINVAL, not an event; -ENOENT, there is none; -ENODATA,
 * too long ago to be remembered (the log may have it). *of is set when it is live.
 */
const char *server_event(struct conn *c, const char *ref, size_t *len, struct sandbox **of,
			 struct diag *d);
/*
 * The newest one that a rule could allow, of all live sandboxes that the peer may see,
 * as it is remembered by now; NULL: none.
 */
const char *server_last_allowable(struct conn *c, size_t *len, struct sandbox **of);
void serve_explain(struct conn *c, json_t *request, int *fds, size_t nfds);
/* server_canary.c */
/* With a first round, which is waited for; what it found refuses sandboxes and no start. */
int server_canary_start(struct server *s, struct diag *d);
void server_canary_stop(struct server *s);
/*
 * Nothing is proved now, but a round is on: serve the request when it ends, or refuse it,
 * too. False: it does not wait, and is to be refused. Descriptors are taken over.
 */
bool server_canary_hold(struct conn *c, request_fn serve, json_t *request, int *fds, size_t nfds);
void conn_held_free(struct conn *c);
/* Is a round on? Its processes are marked, and in a sandbox that seems to be dead. */
bool server_canary_is_on(const struct server *s);
/* A round that begins now or later, when one is on: server_prove_answer(). The time. */
uint64_t server_canary_ask(struct server *s);
/* Of the last complete round, in the order of prove_rows; NULL: there was none. */
const struct prove_result *server_canary_results(const struct server *s);
void server_canary_metrics(const struct server *s, struct text *t);

/* server_prove.c */
void serve_prove(struct conn *c, json_t *request, int *fds, size_t nfds);
/*
 * A round that began then has ended, `d` not NULL: came to nothing. True: somebody asked
 * later.
 */
bool server_prove_answer(struct server *s, const struct diag *d, uint64_t begun_us);
void conn_prove_end(struct conn *c);

/* server_show.c */
void serve_ps(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_find(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_show(struct conn *c, json_t *request, int *fds, size_t nfds);

/* server_query.c */
void serve_kill(struct conn *c, json_t *request, int *fds, size_t nfds);
void serve_log(struct conn *c, json_t *request, int *fds, size_t nfds);
void stop_log(struct conn *c);
pid_t conn_fork(struct conn *c);
void conn_alone(struct conn *c);
int conn_send_slowly(struct conn *c, const json_t *msg);
void serve_status(struct conn *c, json_t *request, int *fds, size_t nfds);

#endif
