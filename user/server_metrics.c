/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is counted, as metrics: see METRICS in egressd(8). */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf_load.h"
#include "compile.h"
#include "dns.h"
#include "eventlog.h"
#include "events.h"
#include "journal.h"
#include "metrics.h"
#include "publish.h"
#include "sandbox.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/* Each one is a few lines of every scrape; the oldest are told, and how many are not. */
#define MAX_SANDBOXES 256u

struct totals { /* of a sandbox, or of many */
	uint64_t denied, failed, suppressed, lost;
};

struct server_counts {
	uint64_t decided[EG_OP_MAX][EG_VERDICT_ALLOWED + 1];
	uint64_t ended; /* sandboxes */
	struct totals gone; /* of those that have ended */
	struct dns_client_stats dns; /* of those, too */
};

int server_counts_new(struct server *s)
{
	s->counts = calloc(1, sizeof(*s->counts));
	return s->counts ? 0 : -ENOMEM;
}

void server_count_event(struct server *s, const struct event *ev)
{
	struct server_counts *n = s->counts;

	if (!ev->end) {
		n->decided[ev->op][ev->verdict]++;
		return;
	}
	n->ended++;
	n->gone.denied += ev->denied;
	n->gone.failed += ev->failed;
	n->gone.suppressed += ev->suppressed;
	n->gone.lost += ev->lost;
}

static void add_dns(struct dns_client_stats *to, const struct dns_client_stats *from)
{
	to->queries += from->queries;
	to->refused += from->refused;
	to->cached += from->cached;
	to->asked += from->asked;
	to->failed += from->failed;
	to->dropped += from->dropped;
	to->given_up += from->given_up;
	to->bindings += from->bindings;
	to->answers += from->answers;
	to->pending += from->pending;
	to->tcp += from->tcp;
}

void server_count_dns(struct server *s, const struct dns_client_stats *last)
{
	struct dns_client_stats n = *last;

	/* what it had at the end is not there any more */
	n.bindings = n.answers = n.pending = n.tcp = 0;
	add_dns(&s->counts->dns, &n);
}

/* ---- sandboxes ----------------------------------------------------------------------- */

static void begin_sandbox(struct text *t, const char *name, const struct sandbox *b)
{
	char id[24];

	(void)snprintf(id, sizeof(id), "%" PRIu64, sandbox_id(b));
	metrics_begin(t, name);
	metrics_label(t, "sandbox", id);
}

static void add_info(struct server *s, struct text *t)
{
	static const char name[] = "egressctl_sandbox_info";
	struct sandbox *b = NULL;
	uint32_t n = 0;
	char uid[16];

	metrics_family(t, name, METRICS_GAUGE, "Live sandboxes: what they are. Always 1.");
	while ((b = sandboxes_next(s->sandboxes, b)) && n++ < MAX_SANDBOXES) {
		(void)snprintf(uid, sizeof(uid), "%u", sandbox_uid(b));
		begin_sandbox(t, name, b);
		metrics_label(t, "name", sandbox_name(b));
		metrics_label(t, "policy", sandbox_policy(b));
		metrics_label(t, "uid", uid);
		metrics_label(t, "mode", sandbox_version(b)->compiled->run.audit ? "audit" :
										   "enforce");
		metrics_end(t, 1);
	}
}

static const struct field {
	const char *name, *help;
	enum metrics_type type;
	size_t at; /* of the number in struct eg_sandbox */
	bool wide; /* 64 bits */
} fields[] = {
#define FIELD(n, h, k, member) \
	{ n, h, k, offsetof(struct eg_sandbox, member), \
	  sizeof(((struct eg_sandbox *)0)->member) == sizeof(uint64_t) }
	FIELD("egressctl_sandbox_violations_total",
	      "Violations of a live sandbox, reported or not.",
	      METRICS_COUNTER, denied),
	FIELD("egressctl_sandbox_suppressed_total",
	      "Violations of a live sandbox that were over its rate of events.", METRICS_COUNTER,
	      ev_suppressed),
	FIELD("egressctl_sandbox_lost_total",
	      "Events of a live sandbox for which the ring had no room.", METRICS_COUNTER, ev_lost),
	FIELD("egressctl_sandbox_failures_total",
	      "Denials of a live sandbox because of an internal failure.", METRICS_COUNTER, failed),
	FIELD("egressctl_sandbox_generation",
	      "Generation of a live sandbox's egress: raised when a destination is taken away.",
	      METRICS_GAUGE, generation),
#undef FIELD
};

static uint64_t field_of(const struct sandbox *b, const struct field *f)
{
	const char *at = (const char *)sandbox_counters(b) + f->at;

	return f->wide ? *(const volatile uint64_t *)at : *(const volatile uint32_t *)at;
}

static void add_sandboxes(struct server *s, struct text *t)
{
	struct sandbox *b = NULL;
	uint32_t live = 0, n;

	while ((b = sandboxes_next(s->sandboxes, b)))
		live++;
	metrics_one(t, "egressctl_sandboxes", METRICS_GAUGE, "Live sandboxes.", live);
	metrics_one(t, "egressctl_sandboxes_not_listed", METRICS_GAUGE,
		    "Live sandboxes beyond the first 256, which have no samples of their own here.",
		    live > MAX_SANDBOXES ? live - MAX_SANDBOXES : 0);
	metrics_one(t, "egressctl_sandboxes_ended_total", METRICS_COUNTER,
		    "Sandboxes that have ended since egressd started.", s->counts->ended);
	add_info(s, t);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		metrics_family(t, fields[i].name, fields[i].type, fields[i].help);
		b = NULL;
		n = 0;
		while ((b = sandboxes_next(s->sandboxes, b)) && n++ < MAX_SANDBOXES) {
			begin_sandbox(t, fields[i].name, b);
			metrics_end(t, field_of(b, &fields[i]));
		}
	}
	metrics_family(t, "egressctl_sandbox_version", METRICS_GAUGE,
		       "Serial number of the version that a live sandbox is under now.");
	b = NULL;
	n = 0;
	while ((b = sandboxes_next(s->sandboxes, b)) && n++ < MAX_SANDBOXES) {
		begin_sandbox(t, "egressctl_sandbox_version", b);
		metrics_end(t, sandbox_version(b)->serial);
	}
}

/* ---- decisions and events -------------------------------------------------------------- */

static void add_decisions(const struct server *s, struct text *t)
{
	static const char *const verdicts[EG_VERDICT_ALLOWED + 1] = {
		[EG_VERDICT_DENIED] = "denied",
		[EG_VERDICT_AUDIT] = "audit",
		[EG_VERDICT_ALLOWED] = "allowed",
	};
	static const char name[] = "egressctl_decisions_total";

	metrics_family(t, name, METRICS_COUNTER,
		       "Decisions that were reported since egressd started, by operation and "
		       "verdict. Allowed ones are only of sandboxes that are traced; violations "
		       "over a sandbox's rate are not among them.");
	for (uint16_t op = EG_OP_NONE + 1; op < EG_OP_MAX; op++) {
		for (int v = EG_VERDICT_DENIED; v <= (int)EG_VERDICT_ALLOWED; v++) {
			/* each denial is there from the start, so that its first one is a rise */
			if (v != EG_VERDICT_DENIED && !s->counts->decided[op][v])
				continue;
			metrics_begin(t, name);
			metrics_label(t, "op", event_op_name(op));
			metrics_label(t, "verdict", verdicts[v]);
			metrics_end(t, s->counts->decided[op][v]);
		}
	}
}

static struct totals all_totals(struct server *s)
{
	struct totals n = s->counts->gone;
	struct sandbox *b = NULL;

	while ((b = sandboxes_next(s->sandboxes, b))) {
		const struct eg_sandbox *k = sandbox_counters(b);

		n.denied += k->denied;
		n.failed += k->failed;
		n.suppressed += k->ev_suppressed;
		n.lost += k->ev_lost;
	}
	return n;
}

static void add_events(struct server *s, struct text *t)
{
	const struct events_stats *e = events_stats(s->events);
	struct totals n = all_totals(s);

	metrics_one(t, "egressctl_violations_total", METRICS_COUNTER,
		    "Violations, reported or not.", n.denied);
	metrics_one(t, "egressctl_failures_total", METRICS_COUNTER,
		    "Denials because of an internal failure.", n.failed);
	metrics_one(t, "egressctl_events_suppressed_total", METRICS_COUNTER,
		    "Violations that were over their sandbox's rate of events.", n.suppressed);
	metrics_one(t, "egressctl_events_lost_total", METRICS_COUNTER,
		    "Events for which the ring had no room.", n.lost);
	metrics_one(t, "egressctl_events_total", METRICS_COUNTER,
		    "Events read from the ring since egressd started.", e->consumed);
	metrics_one(t, "egressctl_events_missing_total", METRICS_COUNTER,
		    "Numbers of events that never arrived.", e->missing);
	metrics_one(t, "egressctl_events_malformed_total", METRICS_COUNTER,
		    "Records that are no events.", e->malformed);
	if (s->log) {
		metrics_one(t, "egressctl_log_lines_total", METRICS_COUNTER,
			    "Lines written to the event log that is open.",
			    eventlog_stats(s->log)->lines);
		metrics_one(t, "egressctl_log_dropped_total", METRICS_COUNTER,
			    "Lines that could not be written to it.",
			    eventlog_stats(s->log)->dropped);
	}
	if (s->journal) {
		metrics_one(t, "egressctl_journal_entries_total", METRICS_COUNTER,
			    "Violations sent to the journal.", journal_stats(s->journal)->sent);
		metrics_one(t, "egressctl_journal_left_out_total", METRICS_COUNTER,
			    "Violations left out of the journal.",
			    journal_stats(s->journal)->left_out);
	}
}

static void add_resolver(struct server *s, struct text *t)
{
	struct dns_client_stats n = s->counts->dns, one;
	struct sandbox *b = NULL;

	while ((b = sandboxes_next(s->sandboxes, b)))
		if (sandbox_owner(b) && conn_names_stats(sandbox_owner(b), &one))
			add_dns(&n, &one);
	metrics_one(t, "egressctl_dns_queries_total", METRICS_COUNTER,
		    "Queries of sandboxes.", n.queries);
	metrics_one(t, "egressctl_dns_refused_total", METRICS_COUNTER,
		    "Queries for names that no rule allows.", n.refused);
	metrics_one(t, "egressctl_dns_cached_total", METRICS_COUNTER,
		    "Queries answered from the cache.", n.cached);
	metrics_one(t, "egressctl_dns_forwarded_total", METRICS_COUNTER,
		    "Queries to the host's resolvers.", n.asked);
	metrics_one(t, "egressctl_dns_failed_total", METRICS_COUNTER,
		    "Queries that the host's resolvers did not answer.", n.failed);
	metrics_one(t, "egressctl_dns_dropped_total", METRICS_COUNTER,
		    "Queries over a limit.", n.dropped);
	metrics_one(t, "egressctl_dns_given_up_total", METRICS_COUNTER,
		    "Addresses that were given up for others.", n.given_up);
	metrics_one(t, "egressctl_dns_pending", METRICS_GAUGE, "Queries not answered yet.",
		    n.pending);
	metrics_one(t, "egressctl_dns_bindings", METRICS_GAUGE,
		    "Addresses that are open because of a name.", n.bindings);
}

/* ---- the kernel's side ---------------------------------------------------------------------- */

static void add_maps(struct server *s, struct text *t)
{
	struct publisher_fill f = publisher_fill(s->publisher);
	struct dns_client_stats one;
	struct sandbox *b = NULL;
	uint64_t live = 0, bindings = 0;

	while ((b = sandboxes_next(s->sandboxes, b))) {
		live++;
		if (sandbox_owner(b) && conn_names_stats(sandbox_owner(b), &one))
			bindings += one.bindings;
	}
	const struct {
		const char *map;
		uint64_t used, max;
	} fill[] = {
		{ "sandboxes", live, EG_MAX_SANDBOXES },
		{ "policies", f.versions, EG_MAX_POLICIES },
		{ "dfa", f.slots, EG_DFA_SLOTS },
		{ "prefixes", f.prefixes, EG_MAX_PREFIXES },
		{ "ports", f.ports, EG_MAX_PORTS },
		{ "anchors", f.anchors, EG_MAX_ANCHORS },
		{ "bindings", bindings, EG_MAX_BINDINGS },
	};

	metrics_family(t, "egressctl_map_entries", METRICS_GAUGE, "Entries in use.");
	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		metrics_begin(t, "egressctl_map_entries");
		metrics_label(t, "map", fill[i].map);
		metrics_end(t, fill[i].used);
	}
	metrics_family(t, "egressctl_map_max_entries", METRICS_GAUGE, "Entries there can be.");
	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		metrics_begin(t, "egressctl_map_max_entries");
		metrics_label(t, "map", fill[i].map);
		metrics_end(t, fill[i].max);
	}
	metrics_one(t, "egressctl_versions", METRICS_GAUGE,
		    "Versions (compiled policies) in the maps.", f.versions);
	metrics_one(t, "egressctl_versions_in_use", METRICS_GAUGE,
		    "Versions that a sandbox points at.", f.used);
	metrics_one(t, "egressctl_version_serial", METRICS_GAUGE,
		    "Serial number of the newest version in the maps.", f.serial);
}

static uint64_t kernel_count(const struct server *s, uint32_t which)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *each = NULL;
	uint64_t sum = 0;

	if (cpus <= 0)
		return 0;
	each = calloc((size_t)cpus, sizeof(*each));
	if (!each || bpf_map_lookup_elem(agent_map_fd(s->a, AGENT_MAP_STATS), &which, each))
		return 0;
	for (int i = 0; i < cpus; i++)
		sum += each[i];
	return sum;
}

static void add_kernel(struct server *s, struct text *t)
{
	static const struct {
		uint32_t which;
		const char *cause;
	} failures[] = {
		{ EG_ST_FAIL_STORAGE, "storage" },
		{ EG_ST_FAIL_WALK, "walk" },
		{ EG_ST_FAIL_MAP, "map" },
	};

	metrics_one(t, "egressctl_path_walks_total", METRICS_COUNTER,
		    "Paths that were judged by a walk and not by the memo.",
		    kernel_count(s, EG_ST_PATH_WALK));
	metrics_one(t, "egressctl_path_retries_total", METRICS_COUNTER,
		    "Walks begun again because something was renamed.",
		    kernel_count(s, EG_ST_PATH_RETRY));
	metrics_one(t, "egressctl_storage_busy_total", METRICS_COUNTER,
		    "Times that a storage was busy and was read by hand.",
		    kernel_count(s, EG_ST_BUSY_STORAGE));
	metrics_family(t, "egressctl_kernel_failures_total", METRICS_COUNTER,
		       "Internal failures of the programs, by cause; each one denied.");
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		metrics_begin(t, "egressctl_kernel_failures_total");
		metrics_label(t, "cause", failures[i].cause);
		metrics_end(t, kernel_count(s, failures[i].which));
	}
}

static bool statistics_on(void)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/bpf_stats_enabled", O_RDONLY | O_CLOEXEC);
	char c = '0';

	return fd >= 0 && read(fd, &c, 1) == 1 && c == '1';
}

struct hooks {
	struct text *t;
	bool runs; /* else seconds */
};

static void add_hook(void *ctx, const char *prog, int fd)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	struct hooks *h = ctx;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return;
	metrics_begin(h->t, h->runs ? "egressctl_hook_runs_total" : "egressctl_hook_seconds_total");
	metrics_label(h->t, "hook", prog);
	if (h->runs)
		metrics_end(h->t, info.run_cnt);
	else
		metrics_end_seconds(h->t, info.run_time_ns);
}

static void add_hooks(struct server *s, struct text *t)
{
	struct hooks runs = { t, true }, seconds = { t, false };
	bool on = statistics_on();

	metrics_one(t, "egressctl_hook_statistics", METRICS_GAUGE,
		    "1 while the kernel measures its programs (kernel.bpf_stats_enabled).", on);
	if (!on)
		return;
	metrics_family(t, "egressctl_hook_runs_total", METRICS_COUNTER,
		       "Runs of a program while the kernel measured.");
	agent_each_prog(s->a, add_hook, &runs);
	metrics_family(t, "egressctl_hook_seconds_total", METRICS_COUNTER,
		       "Time in a program while the kernel measured.");
	agent_each_prog(s->a, add_hook, &seconds);
}

static void add_holding(struct server *s, struct text *t)
{
	const struct eg_holding *h = agent_holding(s->a);

	metrics_one(t, "egressctl_cgroups_pending", METRICS_GAUGE,
		    "Cgroups of a pattern that wait for their policy.", h->pending);
	metrics_one(t, "egressctl_held_total", METRICS_COUNTER,
		    "Programs that had to wait until their cgroup had its policy.", h->held);
	metrics_one(t, "egressctl_arrivals_missed_total", METRICS_COUNTER,
		    "Arrivals and new cgroups for which there was no room.", h->missed);
}

/* ---- all of it ------------------------------------------------------------------------ */

static void fill(void *ctx, struct text *t)
{
	struct server *s = ctx;
	char abi[16];

	(void)snprintf(abi, sizeof(abi), "%u", EG_ABI);
	metrics_family(t, "egressctl_build_info", METRICS_GAUGE, "Always 1.");
	metrics_begin(t, "egressctl_build_info");
	metrics_label(t, "version", EG_VERSION);
	metrics_label(t, "abi", abi);
	metrics_end(t, 1);
	metrics_one(t, "egressctl_connections", METRICS_GAUGE, "Clients of the control socket.",
		    s->nconns);
	metrics_one(t, "egressctl_reloads_total", METRICS_COUNTER,
		    "Times that other settings came into force.", s->reloads);
	metrics_one(t, "egressctl_reloads_failed_total", METRICS_COUNTER,
		    "Times that settings were refused, and those before went on.",
		    s->reloads_failed);
	add_sandboxes(s, t);
	add_decisions(s, t);
	add_events(s, t);
	add_resolver(s, t);
	add_maps(s, t);
	add_kernel(s, t);
	add_holding(s, t);
	server_canary_metrics(s, t);
	add_hooks(s, t);
}

int server_metrics_listen(struct server *s, const struct config *c, struct metrics_http **out,
			  struct diag *d)
{
	const struct metrics_source source = { .fill = fill, .ctx = s };

	return metrics_http_new(s->loop, c->metrics, &source, out, d);
}

void serve_metrics(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct text t = {};

	(void)request;
	(void)fds;
	(void)nfds;
	if (c->peer.uid) {
		conn_error(c, 1, "metrics are of all sandboxes of this host: root is needed, or "
				 "metrics: {listen: …} in " CONFIG_FILE);
		return;
	}
	fill(c->s, &t);
	if (t.failed)
		conn_error(c, 125, "out of memory");
	else
		conn_reply(c, json_pack("{s:s%}", "text", t.p, t.len));
	text_free(&t);
}
