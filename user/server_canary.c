/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The canary: rounds of proofs from the loop, and what becomes of their result. While
 * something is silent, or nobody knows, no sandbox is made; one whose policy says
 * `on-failure: freeze` is frozen when silence is proved. canary.c judges.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "bpf_load.h"
#include "canary.h"
#include "compile.h"
#include "journal.h"
#include "metrics.h"
#include "prove.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

/* What lasts is said again: often enough to be seen in a journal, and no flood. */
#define AGAIN_US 300000000ull
/* The processes of a round that has ended are dying: look again. */
#define BUSY_US 20000ull

enum outcome { ROUND_PROVED, ROUND_SILENT, ROUND_FAILED, OUTCOMES };

struct watch {
	struct server *s;
	struct prover *prover; /* NULL: it could not be made yet */
	struct canary canary;
	uint64_t begun_us; /* of the round that is on, or was the last */
	bool on;
	bool busy; /* it is to begin as soon as the processes of the last one are gone */
	sd_event_source *answer, *tick, *late;
	/* what was told */
	enum canary_state told;
	uint64_t told_us; /* 0: nothing is wrong, or that was not told */
	uint64_t slow_us; /* when it was told that it takes long */
	bool silent[PROVE_MAX_ROWS], lost[PROVE_MAX_ROWS];
	/* counts */
	uint64_t rounds[OUTCOMES];
	uint64_t frozen;
	struct prove_result last[]; /* of the last complete round */
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

/* ---- telling ---------------------------------------------------------------------------- */

static void tell(struct watch *w, int priority, const char *id, const char *text,
		 const char *remedy)
{
	struct journal_note note = { .id = id, .priority = priority, .text = text,
				     .remedy = remedy };

	for (size_t i = 0; i < prove_nrows; i++)
		if (w->canary.hooks[i].silent)
			note.hooks[note.nhooks++] = prove_rows[i].prog;
	/* where no journald listens, whoever reads our messages has it from there */
	if (w->s->journal && !journal_note(w->s->journal, &note))
		return;
	fprintf(stderr, "egressd: %s%s%s\n", text, *remedy ? ": " : "", remedy);
}

static void tell_service_manager(const struct watch *w, const struct canary_words *words)
{
	if (!w->s->o.socket)
		return; /* one of a run: what is told there is not about us */
	if (*words->text)
		(void)sd_notifyf(0, "STATUS=no new sandboxes: %s", words->text);
	else
		(void)sd_notify(0, "STATUS=serving: every hook is proved");
}

/* ---- running sandboxes -------------------------------------------------------------------- */

static void freeze(struct watch *w, struct conn *c, const char *text)
{
	bool was = sandbox_is_frozen(c->box);
	int err = sandbox_freeze(c->box);
	char line[1024];

	if (err) {
		fprintf(stderr, "egressd: sandbox %" PRIu64 " cannot be frozen: %s\n",
			sandbox_id(c->box), strerror(-err));
		return;
	}
	if (was)
		return;
	w->frozen++;
	fprintf(stderr, "egressd: sandbox %" PRIu64 " is frozen (on-failure: freeze)\n",
		sandbox_id(c->box));
	(void)snprintf(line, sizeof(line),
		       "egressctl: frozen (on-failure: freeze): %s. It stays so: egressctl kill "
		       "%" PRIu64 " ends it", text, sandbox_id(c->box));
	conn_reply(c, json_pack("{s:s}", "event", line));
}

static void freeze_those_that_ask(struct watch *w, const char *text)
{
	for (struct conn *c = w->s->conns; c; c = c->next)
		if (c->box && c->freeze)
			freeze(w, c, text);
}

/*
 * Who was forked while task_alloc was silent has no mark, and no LSM hook sees it: all
 * that are in the cgroup get theirs now. Who left the cgroup meanwhile is out.
 */
static void mark_again(struct watch *w)
{
	for (struct conn *c = w->s->conns; c; c = c->next) {
		struct attach_found f = {};
		struct diag d = {};

		if (!c->box || agent_egress_only(w->s->a))
			continue;
		/* what a runtime sets up in an attached cgroup is not to be stopped half-way */
		if (attach_tasks(w->s->a, c->box, sandbox_kind(c->box) != SANDBOX_ATTACHED, &f,
				 &d))
			fprintf(stderr, "egressd: sandbox %" PRIu64 ": %s\n", sandbox_id(c->box),
				d.msg);
	}
}

/* ---- what a state means ------------------------------------------------------------------- */

/* Is a hook silent that was not when it was last told? */
static bool note_silent(struct watch *w)
{
	bool more = false;

	for (size_t i = 0; i < prove_nrows; i++) {
		more |= w->canary.hooks[i].silent && !w->silent[i];
		w->silent[i] = w->canary.hooks[i].silent;
	}
	return more;
}

static void tell_lost(struct watch *w, uint64_t now)
{
	for (size_t i = 0; i < prove_nrows; i++) {
		bool lost = canary_is_lost(&w->canary, i, now);
		char text[256];

		if (lost && !w->lost[i]) {
			(void)snprintf(text, sizeof(text), "the hook %s cannot be tried any more "
				       "(%s): what that takes was used up", prove_rows[i].prog,
				       prove_rows[i].access);
			tell(w, LOG_WARNING, JOURNAL_ID_UNPROVED, text, "egressctl doctor");
		}
		w->lost[i] = lost;
	}
}

static void become_proved(struct watch *w, enum canary_state was)
{
	struct diag d = {};

	if (was == CANARY_SILENT)
		mark_again(w);
	if (w->s->runtimes_unknown && server_runtimes(w->s, &d))
		diag_print(stderr, "egressd", &d);
	if (w->told_us)
		tell(w, LOG_NOTICE, JOURNAL_ID_PROVED,
		     "every hook is proved again: sandboxes can be made", "");
	/* cgroups that wait for a policy were told to wait on */
	if (w->s->o.socket)
		server_patterns(w->s);
}

/* After a round, and when one is late. */
static void assess(struct watch *w)
{
	uint64_t now = now_us();
	struct canary_words words;
	enum canary_state state = canary_words(&w->canary, now, &words), was = w->told;
	bool more = note_silent(w), changed = state != was || more;
	bool slow = state == CANARY_UNPROVED && w->on;
	char text[sizeof(words.text) + 64];

	w->told = state;
	if (changed)
		tell_service_manager(w, &words);
	if (state == CANARY_PROVED) {
		tell_lost(w, now); /* else it may be for want of those that are silent */
		if (changed)
			become_proved(w, was);
		w->told_us = 0;
		return;
	}
	if (more)
		freeze_those_that_ask(w, words.text);
	if (!changed && now - w->told_us < AGAIN_US)
		return;
	if (slow && w->slow_us && now - w->slow_us < AGAIN_US)
		return;
	w->slow_us = slow ? now : w->slow_us;
	w->told_us = now;
	(void)snprintf(text, sizeof(text), "no new sandboxes: %s", words.text);
	tell(w, state == CANARY_SILENT ? LOG_ALERT : slow ? LOG_WARNING : LOG_CRIT,
	     state == CANARY_SILENT ? JOURNAL_ID_SILENT : JOURNAL_ID_UNPROVED, text, words.remedy);
}

/* ---- rounds ------------------------------------------------------------------------------- */

static int on_answer(sd_event_source *src, int fd, uint32_t revents, void *ctx);

/* Before the events of a flood. */
static void hurry(sd_event_source *src)
{
	(void)sd_event_source_set_priority(src, SD_EVENT_PRIORITY_IMPORTANT);
}

static void set_timer(sd_event_source *timer, uint64_t us)
{
	(void)sd_event_source_set_time(timer, us);
	(void)sd_event_source_set_enabled(timer, us ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* How long may it be until something is proved? No longer than it is fresh, if it is. */
static void set_late(struct watch *w)
{
	uint64_t now = now_us(), deadline = canary_deadline(&w->canary);

	set_timer(w->late, deadline > now ? deadline : now + CANARY_FRESH_US);
}

static void rest(struct watch *w)
{
	uint64_t next = w->begun_us + w->s->config->canary_ms * 1000ull;

	set_timer(w->tick, MAX(next, now_us() + CANARY_REST_US));
	set_late(w);
	server_sweep_waiting(w->s);
}

/* ---- who waits ---------------------------------------------------------------------------- */

struct held {
	request_fn serve;
	json_t *request;
	int fds[CONTROL_FDS_MAX];
	size_t nfds;
};

/* Only while it may be that all is well: where a hook is silent there is an answer. */
static bool is_to_wait(const struct server *s)
{
	return s->watch && (s->watch->on || s->watch->busy) &&
	       canary_state(&s->watch->canary, now_us()) == CANARY_UNPROVED;
}

bool server_canary_hold(struct conn *c, request_fn serve, json_t *request, int *fds, size_t nfds)
{
	if (c->held) {
		conn_error(c, 2, "one request at a time");
		return true;
	}
	if (!is_to_wait(c->s))
		return false;
	c->held = calloc(1, sizeof(*c->held));
	if (!c->held)
		return false; /* it is refused */
	c->held->serve = serve;
	c->held->request = json_incref(request);
	for (; c->held->nfds < nfds; c->held->nfds++)
		c->held->fds[c->held->nfds] = steal_fd(&fds[c->held->nfds]);
	return true;
}

void conn_held_free(struct conn *c)
{
	struct held *h = steal_ptr(c->held);

	if (!h)
		return;
	while (h->nfds)
		if (h->fds[--h->nfds] >= 0)
			close(h->fds[h->nfds]);
	json_decref(h->request);
	free(h);
}

static void let_go(struct server *s)
{
	struct conn *c, *next;

	for (c = s->conns; c; c = next) {
		struct diag d = {};

		next = c->next;
		if (!c->held)
			continue;
		if (server_canary_refuses(s, &d))
			conn_error_diag(c, 125, &d);
		else
			c->held->serve(c, c->held->request, c->held->fds, c->held->nfds);
		conn_held_free(c);
	}
}

/* ---- a round ------------------------------------------------------------------------------ */

static void count(struct watch *w, enum outcome o)
{
	w->rounds[o]++;
}

static void end_round(struct watch *w, int err, const struct diag *d)
{
	w->on = false;
	w->answer = sd_event_source_disable_unref(w->answer);
	if (err) {
		count(w, ROUND_FAILED);
		canary_failed(&w->canary, d->msg);
	} else {
		canary_round(&w->canary, w->last, w->begun_us, now_us());
		count(w, canary_state(&w->canary, now_us()) == CANARY_SILENT ? ROUND_SILENT :
									     ROUND_PROVED);
	}
	assess(w);
	rest(w);
	let_go(w->s);
	if (server_prove_answer(w->s, err ? d : NULL, w->begun_us))
		set_timer(w->tick, now_us());
}

static int prepare(struct watch *w, struct diag *d)
{
	struct server *s = w->s;

	if (w->prover)
		return 0;
	return prover_new(s->a, s->publisher, s->sandboxes, &w->prover, d);
}

/*
 * Not the prover's own descriptor: it is closed in the last step, while children of ours
 * (whoever is asked to show something) have it, too, so that epoll would keep what is
 * not there any more. sd-event takes out what it owns before it closes it.
 */
static int hear_answers(struct watch *w)
{
	int fd = fcntl(prover_fd(w->prover), F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	if (sd_event_add_io(w->s->loop, &w->answer, fd, EPOLLIN, on_answer, w) < 0) {
		close(fd);
		return -ENOMEM;
	}
	(void)sd_event_source_set_io_fd_own(w->answer, true);
	return 0;
}

static void begin_round(struct watch *w)
{
	struct diag d = {};
	int err;

	w->begun_us = now_us();
	err = prepare(w, &d);
	if (!err)
		err = prover_start(w->prover, &d);
	w->busy = err == -EBUSY;
	if (w->busy) {
		canary_failed(&w->canary, d.msg); /* should it be late */
		set_timer(w->tick, w->begun_us + BUSY_US);
		return;
	}
	w->on = !err; /* who asks from here on, waits, if nothing is proved now */
	if (!err && hear_answers(w)) {
		prover_stop(w->prover);
		err = diag_set(&d, -ENOMEM, "no memory or descriptor for the answers");
	}
	if (err) {
		end_round(w, err, &d);
		return;
	}
	hurry(w->answer);
	set_late(w);
}

static int on_answer(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct watch *w = ctx;
	struct diag d = {};
	int err;

	(void)src;
	(void)fd;
	(void)revents;
	err = prover_step(w->prover, w->last, &d);
	if (err <= 0)
		end_round(w, err, &d);
	return 0;
}

static int on_tick(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct watch *w = ctx;

	(void)src;
	(void)usec;
	if (!w->on)
		begin_round(w);
	return 0;
}

/*
 * What was proved is not fresh any more. A round that is on goes on as long as that can
 * be the host's being slow; who wants a sandbox waits for it (server_canary_hold()).
 */
static int on_late(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct watch *w = ctx;
	uint64_t end = w->begun_us + PROVE_PATIENCE_MS * 1000ull;
	struct diag d = {};

	(void)src;
	(void)usec;
	if (w->on && now_us() < end) {
		canary_failed(&w->canary, "trying them takes long, the host is slow; who asks for "
					  "one waits");
		assess(w);
		set_timer(w->late, end);
		return 0;
	}
	if (w->on) {
		prover_stop(w->prover);
		end_round(w, diag_set(&d, -ETIME, "what is tried does not come to an end"), &d);
	} else if (w->busy) {
		w->busy = false; /* they do not go away: nobody waits any more */
		end_round(w, diag_set(&d, -EBUSY, "%s", w->canary.failure), &d);
	} else {
		assess(w);
		set_timer(w->late, 0);
	}
	return 0;
}

/* ---- for others ---------------------------------------------------------------------------- */

/* The first one is waited for: nothing is served before it is known what holds. */
static void first_round(struct watch *w)
{
	struct diag d = {};
	int err = prepare(w, &d);

	w->begun_us = now_us();
	if (!err)
		err = prover_run(w->prover, w->last, &d);
	end_round(w, err, &d);
}

int server_canary_start(struct server *s, struct diag *d)
{
	struct watch *w = calloc(1, sizeof(*w) + prove_nrows * sizeof(w->last[0]));
	const uint64_t never = UINT64_MAX;

	if (!w)
		return diag_set(d, -ENOMEM, "out of memory");
	s->watch = w;
	w->s = s;
	w->told = CANARY_PROVED; /* until the first round says something else */
	if (sd_event_add_time(s->loop, &w->tick, CLOCK_MONOTONIC, never, 0, on_tick, w) < 0 ||
	    sd_event_add_time(s->loop, &w->late, CLOCK_MONOTONIC, never, 0, on_late, w) < 0)
		return diag_set(d, -ENOMEM, "out of memory");
	hurry(w->tick);
	hurry(w->late);
	first_round(w);
	/* what was taken over may be what is silent */
	if (agent_kept(s->a) && canary_state(&w->canary, now_us()) == CANARY_SILENT)
		return diag_set(d, -ESTALE, "programs that were loaded before are silent");
	return 0;
}

void server_canary_stop(struct server *s)
{
	struct watch *w = s->watch;

	if (!w)
		return;
	s->watch = NULL;
	sd_event_source_disable_unref(w->answer);
	sd_event_source_disable_unref(w->tick);
	sd_event_source_disable_unref(w->late);
	prover_free(w->prover);
	free(w);
}

bool server_canary_is_on(const struct server *s)
{
	return s->watch && s->watch->on;
}

int server_canary_refuses(const struct server *s, struct diag *d)
{
	struct canary_words words;

	if (!s->watch)
		return 0;
	if (canary_words(&s->watch->canary, now_us(), &words) == CANARY_PROVED)
		return 0;
	return diag_set(d, -EPERM, "no new sandboxes: %s: %s", words.text, words.remedy);
}

uint64_t server_canary_ask(struct server *s)
{
	struct watch *w = s->watch;
	uint64_t now = now_us();

	if (w && !w->on)
		set_timer(w->tick, now);
	return now;
}

const struct prove_result *server_canary_results(const struct server *s)
{
	return s->watch && s->watch->canary.ended_us ? s->watch->last : NULL;
}

/* ---- metrics -------------------------------------------------------------------------------- */

static void add_hook_gauge(const struct watch *w, struct text *t, const char *name,
			   const char *help, bool lost)
{
	uint64_t now = now_us();

	metrics_family(t, name, METRICS_GAUGE, help);
	for (size_t i = 0; i < prove_nrows; i++) {
		const struct canary_hook *h = &w->canary.hooks[i];

		if (h->last == PROVE_ABSENT)
			continue;
		metrics_begin(t, name);
		metrics_label(t, "hook", prove_rows[i].prog);
		metrics_label(t, "layer", prove_rows[i].cgroup ? "cgroup" : "lsm");
		metrics_end(t, lost ? canary_is_lost(&w->canary, i, now) : h->silent);
	}
}

void server_canary_metrics(const struct server *s, struct text *t)
{
	static const char *const outcomes[] = { "proved", "silent", "failed" };
	static const char rounds[] = "egressctl_canary_rounds_total";
	const struct watch *w = s->watch;

	if (!w)
		return;
	metrics_family(t, rounds, METRICS_COUNTER,
		       "Times that every hook was tried, by what came of it. failed: it could not "
		       "be done.");
	for (size_t i = 0; i < OUTCOMES; i++) {
		metrics_begin(t, rounds);
		metrics_label(t, "result", outcomes[i]);
		metrics_end(t, w->rounds[i]);
	}
	metrics_one(t, "egressctl_refusing", METRICS_GAUGE,
		    "1 while no sandbox is made because a hook is silent, or none can be proved.",
		    canary_state(&w->canary, now_us()) != CANARY_PROVED);
	metrics_one(t, "egressctl_frozen_total", METRICS_COUNTER,
		    "Sandboxes that were frozen because of it (on-failure: freeze).", w->frozen);
	add_hook_gauge(w, t, "egressctl_hook_silent",
		       "1 while a hook does not refuse what it must.", false);
	add_hook_gauge(w, t, "egressctl_hook_unproved",
		       "1 while a hook that was proved before cannot be tried.", true);
}
