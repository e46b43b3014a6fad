/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "compile.h"
#include "control.h"
#include "diag.h"
#include "events.h"
#include "publish.h"
#include "sandbox.h"
#include "selftests/fake/fake.h"
#include "selftests/fake/rig.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define CLIENTS_MAX 4096u
#define FORKED_MAX 64u
#define TURNS_MAX 100000u /* of the loop, before it counts as one that never ends */

static struct {
	sd_event *loop;
	struct agent *a;
	struct server *s;
	char socket[128], log[128];
	int clients[CLIENTS_MAX];
	uint32_t nclients;
	pid_t child;
	int pidfd;
	bool *died; /* shared with children */
	pid_t forked[FORKED_MAX]; /* by the server */
	uint32_t nforked;
} rig = { .pidfd = -1 };

/* ---- processes ------------------------------------------------------------------------ */

pid_t __real_fork(void);
pid_t __wrap_fork(void);

static void on_death(void)
{
	*rig.died = true;
}

/* What becomes of them nobody asks. */
pid_t __wrap_fork(void)
{
	pid_t pid;

	if (!rig.died) {
		void *p = mmap(NULL, sizeof(*rig.died), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return -1;
		rig.died = p;
	}
	pid = __real_fork();
	if (!pid)
		__sanitizer_set_death_callback(on_death);
	if (pid > 0 && rig.nforked < FORKED_MAX)
		rig.forked[rig.nforked++] = pid;
	return pid;
}

bool rig_child_died(void)
{
	return rig.died && *rig.died;
}

bool rig_children(void)
{
	while (rig.nforked) {
		siginfo_t si = {};

		if (!waitid(P_PID, (id_t)rig.forked[rig.nforked - 1], &si,
			    WEXITED | WNOWAIT | WNOHANG) && !si.si_pid)
			return true;
		rig.nforked--;
	}
	return false;
}

uid_t rig_user(void)
{
	return getuid() ? getuid() : 1000;
}

static void __attribute__((noreturn)) block(void)
{
	if (!getuid() && (setgid(1000) || setuid(1000)))
		_exit(1);
	(void)prctl(PR_SET_DUMPABLE, 1); /* its user may look at it */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user's would be forgotten */
	for (;;)
		(void)pause();
}

int rig_child(void)
{
	char byte;
	int ready[2];

	if (rig.pidfd >= 0 || pipe2(ready, O_CLOEXEC))
		return rig.pidfd;
	rig.child = __real_fork();
	if (!rig.child) {
		if (!chdir("/tmp") && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
		    write(ready[1], "", 1) == 1)
			block();
		_exit(1);
	}
	(void)!read(ready[0], &byte, 1);
	close(ready[0]);
	close(ready[1]);
	rig.pidfd = rig.child > 0 ? pidfd_open(rig.child, 0) : -1;
	return rig.pidfd;
}

int rig_begin(bool listens)
{
	struct server_options o = { .log_dir = rig.log, .max_connections = 1024,
				    .socket = listens ? rig.socket : NULL };
	struct diag d = {};
	sigset_t set;
	int err;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD); /* as egressd does, for sd_event_add_child() */
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	/* before there is anything that it would hold open */
	err = rig_child() < 0 ? -ECHILD : fake_begin(&rig.a);
	(void)snprintf(rig.log, sizeof(rig.log), "%s/log", fake_dir());
	(void)snprintf(rig.socket, sizeof(rig.socket), "%s/control.sock", fake_dir());
	if (!err)
		err = sd_event_new(&rig.loop);
	if (!err)
		err = server_new(rig.loop, rig.a, &o, &rig.s, &d);
	if (err) {
		rig.s = NULL;
		rig_end();
		return err;
	}
	rig_run(); /* the loop closes what it held open to begin with */
	return 0;
}

struct server *rig_server(void)
{
	return rig.s;
}

const char *rig_socket(void)
{
	return rig.socket;
}

void rig_run(void)
{
	uint32_t n = 0;

	while (sd_event_run(rig.loop, 0) > 0)
		if (++n == TURNS_MAX) {
			(void)fprintf(stderr, "the server's loop never comes to rest\n");
			abort();
		}
}

/* ---- clients ------------------------------------------------------------------------- */

int rig_connect(uid_t uid)
{
	int pair[2];

	if (rig.nclients == CLIENTS_MAX ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	fake_peer(uid);
	if (server_serve(rig.s, pair[1])) {
		close(pair[0]);
		return -1;
	}
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	rig.clients[rig.nclients++] = pair[0];
	return pair[0];
}

void rig_hang_up(int fd)
{
	for (uint32_t i = 0; i < rig.nclients; i++)
		if (rig.clients[i] == fd)
			rig.clients[i] = rig.clients[--rig.nclients];
	close(fd);
}

json_t *rig_next(int fd)
{
	json_t *msg = NULL;

	return control_recv(fd, &msg, NULL, NULL) == 1 ? msg : NULL;
}

json_t *rig_ask(int fd, const char *text, const int *fds, size_t nfds)
{
	json_t *msg = json_loads(text, 0, NULL);
	int err = msg ? control_send(fd, msg, fds, nfds) : -EINVAL;

	json_decref(msg);
	if (err)
		return NULL;
	rig_run();
	while ((msg = rig_next(fd)) && json_object_get(msg, "event"))
		json_decref(msg);
	return msg;
}

/* ---- the end -------------------------------------------------------------------------- */

static void end_attached(struct conn *c)
{
	char text[64];
	int fd = rig_connect(0);

	(void)snprintf(text, sizeof(text), "{\"op\": \"detach\", \"sandbox\": %" PRIu64 "}",
		       sandbox_id(c->box));
	json_decref(rig_ask(fd, text, NULL, 0));
}

void rig_end_all(void)
{
	struct conn *c, *next;

	if (!rig.s)
		return;
	for (c = rig.s->conns; c; c = next) {
		next = c->next;
		if (c->fd >= 0 || !c->box)
			continue;
		if (sandbox_kind(c->box) == SANDBOX_ATTACHED)
			end_attached(c);
		else
			conn_kill(c, NULL);
	}
	while (rig.nclients)
		close(rig.clients[--rig.nclients]);
	rig_run();
	/*
	 * Those that read a log are killed as soon as the server sees that their client is gone.
	 * One that has not run yet still has the client's end as well, having been forked from it.
	 */
	while (rig_children()) /* what it waits for comes through the loop */
		(void)sd_event_run(rig.loop, 1000); /* us */
	rig_run();
}

void rig_end(void)
{
	rig_end_all();
	server_free(rig.s);
	rig.s = NULL;
	rig.loop = sd_event_unref(rig.loop);
	fake_end();
}

const char *rig_left(void)
{
	static const struct {
		enum agent_map map;
		const char *what;
	} maps[] = {
		{ AGENT_MAP_TASKS, "a mark" }, { AGENT_MAP_BINDINGS, "a binding" },
		{ AGENT_MAP_COVERED, "a covered cgroup" }, { AGENT_MAP_TRACES, "a trace" },
		{ AGENT_MAP_TRAFFIC, "counted traffic" }, { AGENT_MAP_PENDING, "a held cgroup" },
	};
	struct publisher_fill f = publisher_fill(rig.s->publisher);

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		if (fake_rows(maps[i].map))
			return maps[i].what;
	if (fake_rows(AGENT_MAP_PREFIXES) != f.prefixes)
		return "prefixes of no version";
	if (fake_rows(AGENT_MAP_ANCHORS) != f.anchors)
		return "anchors of no version";
	if (f.used)
		return "a version that is in use";
	if (fake_cgroups())
		return "a cgroup";
	/* what is kept for the next egressd: a file a version */
	if (fake_state_files() != f.versions)
		return "a file of state";
	for (uint32_t i = 0; i < EG_MAX_SANDBOXES; i++)
		if (agent_sandboxes(rig.a)[i].state == EG_S_LIVE)
			return "a live slot";
	return server_connections(rig.s) ? "a connection" : NULL;
}

/* ---- versions -------------------------------------------------------------------------- */

/* As the kernel starts: from the slot, over the head, to what the head leads to. */
static const char *half_version(uint32_t slot, uint64_t depth)
{
	const struct version *v = publisher_at(rig.s->publisher, slot);
	const struct eg_policy *head = fake_row(AGENT_MAP_POLICIES, &slot);
	const struct compiled *c;

	if (!v || !head || head->serial != v->serial)
		return "no head";
	c = v->compiled;
	for (uint32_t i = 0; i < c->nprefixes; i++) {
		struct eg_prefix_key key = { .prefixlen = 32u + c->prefixes[i].plen,
					     .serial = v->serial };
		const struct eg_prefix *p;

		memcpy(key.addr, c->prefixes[i].addr, sizeof(key.addr));
		p = fake_row(AGENT_MAP_PREFIXES, &key);
		if (!p || p->count != c->prefixes[i].count)
			return "a prefix is missing";
		for (uint32_t k = 0; k < p->count; k++)
			if (memcmp(agent_port(rig.a, p->first + k),
				   &c->ports[c->prefixes[i].first + k], sizeof(struct eg_port)))
				return "a port is another";
	}
	if (c->nanchors && !head->nanchors && fake_rows(AGENT_MAP_ANCHORS))
		return "anchors are missing";
	if (!v->lapses != !head->lapses || (v->lapses && head->lapses != v->lapses))
		return "another end";
	return v->next && depth ? half_version(head->next, depth - 1) : NULL;
}

const char *rig_half(void)
{
	for (uint32_t i = 0; rig.s && i < EG_MAX_SANDBOXES; i++) {
		const struct eg_sandbox *b = &agent_sandboxes(rig.a)[i];
		const char *what = b->state == EG_S_LIVE ? half_version(b->policy, EG_MAX_GRANTS) :
							   NULL;

		if (what)
			return what;
	}
	return NULL;
}

/* ---- events ---------------------------------------------------------------------------- */

struct sandbox *rig_newest(void)
{
	struct sandbox *b = NULL, *last = NULL;

	while ((b = sandboxes_next(rig.s->sandboxes, b)))
		last = b;
	return last;
}

void rig_refuse(struct sandbox *b, const char *name)
{
	struct eg_sandbox *slot = &agent_sandboxes(rig.a)[sandbox_slot(b)];
	struct event_resolve r = {
		.seq = ++slot->ev_seq, .sandbox = sandbox_id(b), .uid = sandbox_uid(b),
		.serial = sandbox_version(b)->serial, .name = name, .qtype = 1,
	};
	char record[EVENT_RESOLVE_MAX];
	size_t len = event_make_resolve(&r, record);

	slot->denied++;
	events_feed(rig.s->events, record, len);
	server_events_flush(rig.s);
}
