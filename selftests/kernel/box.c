/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sandboxes for tests: the agent, policies from text, and the events of each. */
#include "harness_int.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf_load.h"
#include "cgroup.h"
#include "compile.h"
#include "diag.h"
#include "events.h"
#include "event_text.h"
#include "policy.h"
#include "policy_vars.h"
#include "publish.h"
#include "sandbox.h"
#include "util.h"

struct box {
	struct box *next;
	struct sandbox *sandbox;
	const char *policy;
	uint64_t id;
	bool shared;
	struct seen *seen;
	size_t nseen, cap;
};

static struct {
	struct agent *agent;
	struct publisher *publisher;
	struct sandboxes *sandboxes;
	struct events *events;
	struct box *boxes;
	bool kept; /* the agent is the suite's */
} all;

static void die_of(const struct diag *d, const char *what)
{
	char text[2048];

	harness_die("%s: %s", what, diag_text(d, text, sizeof(text)));
}

/* ---- events ------------------------------------------------------------------------ */

static void copy_bytes(char *out, size_t size, size_t *len, struct event_bytes from)
{
	size_t n = MIN(from.len, size - 1);

	if (n)
		memcpy(out, from.p, n);
	out[n] = '\0';
	if (len)
		*len = n;
}

static void on_event(void *ctx, const struct event *ev)
{
	struct box *b = all.boxes;
	struct seen *s;

	(void)ctx;
	while (b && b->id != ev->sandbox)
		b = b->next;
	if (!b || ev->end)
		return;
	if (array_reserve(&b->seen, &b->cap, b->nseen))
		harness_die("no memory");
	s = &b->seen[b->nseen++];
	*s = (struct seen){
		.op = ev->op, .reason = ev->reason, .verdict = ev->verdict, .want = ev->want,
		.proto = ev->proto, .error = ev->error, .port = ev->port, .seq = ev->seq,
		.aux = ev->aux, .gap = ev->gap, .pid = ev->pid, .uid = ev->uid, .rule = ev->rule,
	};
	memcpy(s->addr, ev->addr, sizeof(s->addr));
	copy_bytes(s->path, sizeof(s->path), &s->path_len, ev->path);
	copy_bytes(s->path2, sizeof(s->path2), &s->path2_len, ev->path2);
	copy_bytes(s->exe, sizeof(s->exe), NULL, ev->exe);
	copy_bytes(s->comm, sizeof(s->comm), NULL, ev->comm);
}

static const struct compiled *find_version(void *ctx, uint32_t serial)
{
	(void)ctx;
	return publisher_find(all.publisher, serial);
}

size_t box_events(struct box *b, struct seen **events)
{
	size_t n;

	while (events_consume(all.events, 1024) == 1024)
		;
	n = b->nseen;
	*events = steal_ptr(b->seen);
	b->nseen = 0;
	b->cap = 0;
	return n;
}

void box_events_drop(struct box *b)
{
	_cleanup_free_ struct seen *events = NULL;

	(void)box_events(b, &events);
}

void seen_print(const struct seen *s)
{
	char addr[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(AF_INET6, s->addr, addr, sizeof(addr));
	printf("#   event %s %s %s%s%s%s%s want %u, %s port %u proto %u, aux %llu, by %s\n",
	       event_op_name(s->op), event_reason_name(s->reason), result_text(-s->error),
	       s->path_len ? " " : "", s->path, s->path2_len ? " -> " : "", s->path2, s->want, addr,
	       s->port, s->proto, (unsigned long long)s->aux, s->comm);
}

void counters_print(struct box *b)
{
	const struct eg_sandbox *c = box_counters(b);

	printf("#   sandbox: %llu denied, %llu failed, %llu events, %llu lost, %llu suppressed; "
	       "%llu records malformed\n", (unsigned long long)c->denied,
	       (unsigned long long)c->failed,
	       (unsigned long long)c->ev_seq, (unsigned long long)c->ev_lost,
	       (unsigned long long)c->ev_suppressed,
	       (unsigned long long)events_stats(all.events)->malformed);
}

/* ---- the agent ------------------------------------------------------------------------ */

static void load_agent(void)
{
	struct agent_options o = { .name = str("%s%d", AGENT_NAME_RUN, getpid()) };
	struct diag d = {};

	if (all.agent)
		return;
	o.verbose = getenv("EGRESSCTL_VERBOSE") != NULL;
	if (agent_open(&o, &all.agent, &d))
		die_of(&d, "the agent does not load");
}

/* The agent keeps its maps from its children: what they run has no business there. */
static void share_maps(int advice)
{
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	char line[512];

	if (!maps)
		harness_die("/proc/self/maps: %m");
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "bpf-map") && sscanf(line, "%lx-%lx", &from, &to) == 2)
			must(madvise((void *)from, to - from, advice));
}

static void start_agent(void)
{
	static const struct events_ops ops = { .find = find_version, .sink = on_event };
	struct diag d = {};
	int err;

	if (all.publisher)
		return;
	load_agent();
	if (publisher_new(all.agent, &all.publisher, &d))
		die_of(&d, "publisher");
	if (sandboxes_new(all.agent, all.publisher, &all.sandboxes, &d))
		die_of(&d, "sandboxes");
	err = events_new(agent_map_fd(all.agent, AGENT_MAP_EVENTS), &ops, &all.events);
	if (err)
		harness_die("events: %s", strerror(-err));
	share_maps(MADV_DONTFORK); /* libbpf's rings, too: each fork would copy their pages */
}

struct agent *harness_agent(void)
{
	start_agent();
	return all.agent;
}

struct publisher *harness_publisher(void)
{
	start_agent();
	return all.publisher;
}

struct sandboxes *harness_sandboxes(void)
{
	start_agent();
	return all.sandboxes;
}

static unsigned int count_links(void)
{
	unsigned int n = 0;
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id))
		n++;
	return n;
}

/* The kernel lets go of what was pinned when it has time for it. */
void program_off(const char *name)
{
	unsigned int before = count_links();

	must(agent_detach(harness_agent(), name));
	while (count_links() >= before)
		;
	must(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
}

void program_on(const char *name)
{
	struct diag d;
	int err;

	do {
		d = (struct diag){};
		err = agent_attach(harness_agent(), name, &d);
	} while (err == -EBUSY);
	if (err)
		die_of(&d, name);
}

/* ---- sandboxes -------------------------------------------------------------------------- */

/* The policy under test by its name; what it extends from the shipped ones. */
static int read_policy(void *ctx, const char *name, const char *from, char **path, char **text,
		       size_t *len, struct diag *d)
{
	const struct policy_reader *files = &policy_reader_files;

	if (!str_eq(name, "test"))
		return files->read(files->ctx, name, from, path, text, len, d);
	*path = strdup("test.yaml");
	*text = strdup(ctx);
	if (!*path || !*text)
		return diag_set(d, -ENOMEM, "no memory");
	*len = strlen(*text);
	return 0;
}

struct compiled *box_compile(const char *text)
{
	struct policy_reader reader = { .read = read_policy, .ctx = (void *)text };
	struct policy_vars vars = {};
	struct policy *policy = NULL;
	struct compiled *c = NULL;
	struct diag d = {};

	if (policy_load("test", &reader, &policy, &d) ||
	    policy_vars_bind(&vars, HARNESS_DIR, 0, &d) || policy_compile(policy, &vars, &c, &d)) {
		printf("# %s\n", text);
		die_of(&d, "policy");
	}
	policy_vars_clear(&vars);
	policy_free(policy);
	return c;
}

struct box *box_new(const char *policy)
{
	struct sandbox_spec spec = { .name = "test", .policies = "test" };
	struct box *b = calloc(1, sizeof(*b));
	struct eg_sandbox *slot;
	struct diag d = {};

	if (!b)
		harness_die("no memory");
	start_agent();
	spec.version = publisher_get(all.publisher, policy, strlen(policy), &d);
	if (!spec.version && publisher_put(all.publisher, box_compile(policy), policy,
					   strlen(policy), NULL, &spec.version, &d))
		die_of(&d, "publish");
	if (sandbox_new(all.sandboxes, &spec, &b->sandbox, &d))
		die_of(&d, "sandbox");
	/* the sandbox has its own reference */
	publisher_unref(all.publisher, spec.version);
	/* Every event counts here; what limits floods has a test that sets it back. */
	slot = &agent_sandboxes(all.agent)[sandbox_slot(b->sandbox)];
	slot->ev_rate = 1000000;
	slot->ev_burst = 1000000;
	b->policy = policy;
	b->id = sandbox_id(b->sandbox);
	b->next = all.boxes;
	all.boxes = b;
	return b;
}

struct box *box_shared(const char *policy)
{
	struct box *b = all.boxes;

	while (b && (!b->shared || !str_eq(b->policy, policy)))
		b = b->next;
	if (b)
		return b;
	b = box_new(policy);
	b->shared = true;
	return b;
}

struct sandbox *box_sandbox(struct box *b)
{
	return b->sandbox;
}

const struct eg_sandbox *box_counters(struct box *b)
{
	return sandbox_counters(b->sandbox);
}

static int end_box(struct box *b)
{
	struct box **link = &all.boxes;

	sandbox_kill(b->sandbox);
	while (!sandbox_empty(b->sandbox)) {
		struct pollfd p = { .fd = sandbox_events_fd(b->sandbox), .events = POLLPRI };

		if (poll(&p, 1, 60000) == 0)
			return -ETIME;
	}
	while (*link != b)
		link = &(*link)->next;
	*link = b->next;
	free(b->seen);
	return sandbox_remove(b->sandbox);
}

void box_free(struct box *b)
{
	int err = end_box(b);

	free(b);
	if (err)
		harness_die("a sandbox cannot be removed: %s", strerror(-err));
}

void boxes_end(void)
{
	static bool ending;

	if (ending)
		return;
	ending = true;
	while (all.boxes) {
		struct box *b = all.boxes;

		(void)end_box(b);
		free(b);
	}
	events_free(all.events);
	if (all.sandboxes)
		sandboxes_free(all.sandboxes);
	if (all.publisher)
		publisher_free(all.publisher);
	if (all.agent && !all.kept)
		agent_close(all.agent, AGENT_REMOVE);
	memset(&all, 0, sizeof(all));
}

/* ---- the suite ------------------------------------------------------------------------ */

void suite_begin(void)
{
	load_agent();
	agent_leave(all.agent); /* or what a child detaches stays ours */
	all.kept = true;
	share_maps(MADV_DOFORK);
}

void suite_child(void)
{
	share_maps(MADV_DONTFORK);
}

void suite_sweep(void)
{
	struct eg_sandbox *slots = agent_sandboxes(all.agent);
	int parent = agent_cgroup_fd(all.agent);

	for (uint32_t i = 0; i < EG_MAX_SANDBOXES; i++) {
		_cleanup_close_ int dir = -1;
		const char *name;

		if (slots[i].state != EG_S_LIVE)
			continue;
		slots[i].state = EG_S_DEAD;
		name = str("s%llu", (unsigned long long)slots[i].id);
		dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0) {
			(void)cgroup_kill(dir);
			(void)cgroup_wait_empty(dir, 60000);
			(void)cgroup_remove(parent, name);
		}
	}
}

void suite_end(void)
{
	agent_close(all.agent, AGENT_REMOVE);
	all.agent = NULL;
}
