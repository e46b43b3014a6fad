/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An agent without programs, and what else needs a kernel that has them. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "anchors.h"
#include "bpf_cover.h"
#include "bpf_sweep.h"
#include "compile.h"
#include "diag.h"
#include "flows.h"
#include "prove.h"
#include "selftests/fake/fake.h"
#include "task_check.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

struct agent {
	struct eg_dfa *dfa;
	struct eg_sandbox *sandboxes;
	struct eg_port *ports;
	struct eg_holding holding;
	char path[256], pins[256];
	bool anchors; /* what a policy names is there */
};

struct covers {
	char none;
};

struct prover {
	int fd; /* always readable: each round is over as it begins */
};

static struct agent the_agent;
static struct covers the_covers;

int fake_begin(struct agent **a)
{
	struct agent *n = &the_agent;
	int err = fake_host_begin();

	if (err)
		return err;
	fake_maps_reset();
	if (!n->dfa) { /* large: made once, and rows that nobody has are not read */
		n->dfa = calloc(1, sizeof(*n->dfa));
		n->sandboxes = calloc(EG_MAX_SANDBOXES, sizeof(*n->sandboxes));
		n->ports = calloc(EG_MAX_PORTS, sizeof(*n->ports));
	}
	if (!n->dfa || !n->sandboxes || !n->ports)
		return -ENOMEM;
	fake_agent_reset();
	(void)snprintf(n->path, sizeof(n->path), "%s/cgroup/egressctl", fake_dir());
	(void)snprintf(n->pins, sizeof(n->pins), "%s/pins", fake_dir());
	*a = n;
	return 0;
}

void fake_end(void)
{
	fake_maps_reset();
	fake_host_end();
}

void fake_agent_reset(void)
{
	for (uint32_t i = 0; i < EG_MAX_SANDBOXES; i++)
		if (the_agent.sandboxes[i].id || the_agent.sandboxes[i].state != EG_S_FREE)
			the_agent.sandboxes[i] = (struct eg_sandbox){};
	memset(&the_agent.holding, 0, sizeof(the_agent.holding));
	the_agent.anchors = false;
}

void fake_anchors(bool found)
{
	the_agent.anchors = found;
}

int agent_map_fd(const struct agent *a, enum agent_map which)
{
	(void)a;
	return fake_map_fd(which);
}

struct eg_dfa *agent_dfa(const struct agent *a)
{
	return a->dfa;
}

struct eg_sandbox *agent_sandboxes(const struct agent *a)
{
	return a->sandboxes;
}

struct eg_holding *agent_holding(const struct agent *a)
{
	(void)a;
	return &the_agent.holding;
}

struct eg_port *agent_port(const struct agent *a, uint32_t i)
{
	return &a->ports[i];
}

int agent_count(const struct agent *a, int cgroup, int links[2])
{
	(void)a;
	(void)cgroup;
	links[0] = links[1] = -1;
	return 0;
}

int agent_cgroup_fd(const struct agent *a)
{
	(void)a;
	return fake_cgroup_parent();
}

int agent_cgroup_root_fd(const struct agent *a)
{
	(void)a;
	return fake_cgroup_root();
}

uint32_t agent_cgroup_depth(const struct agent *a)
{
	(void)a;
	return 1;
}

const char *agent_cgroup_path(const struct agent *a)
{
	return a->path;
}

const char *agent_pins_top(const struct agent *a)
{
	return a->pins;
}

bool agent_egress_only(const struct agent *a)
{
	(void)a;
	return false;
}

bool agent_adopted(const struct agent *a)
{
	(void)a;
	return false;
}

bool agent_kept(const struct agent *a)
{
	(void)a;
	return false;
}

bool agent_adoptable(const struct agent *a)
{
	(void)a;
	return true;
}

const char *const *agent_missing_hooks(const struct agent *a)
{
	static const char *const none[] = { NULL };

	(void)a;
	return none;
}

struct covers *agent_covers(const struct agent *a)
{
	(void)a;
	return &the_covers;
}

void agent_each_prog(const struct agent *a, void (*fn)(void *ctx, const char *name, int fd),
		     void *ctx)
{
	(void)a;
	(void)fn;
	(void)ctx;
}

/* An iterator that finds nobody. */
int agent_iterate(const struct agent *a, const char *prog, struct diag *d)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)a;
	(void)prog;
	return fd < 0 ? diag_set(d, -errno, "cannot open /dev/null") : fd;
}

int agent_task_marked(const struct agent *a, int pidfd)
{
	return task_marked(agent_map_fd(a, AGENT_MAP_TASKS), pidfd, NULL);
}

/* ---- covered cgroups: a row each ------------------------------------------------------- */

int covers_add_id(struct covers *c, uint64_t id, struct diag *d)
{
	uint32_t one = 1;

	(void)c;
	return bpf_map_update_elem(fake_map_fd(AGENT_MAP_COVERED), &id, &one, BPF_ANY) ?
		       diag_set(d, -errno, "cannot cover a cgroup: %s", strerror(errno)) : 0;
}

int covers_add(struct covers *c, int dirfd, uint64_t id, struct diag *d)
{
	(void)dirfd;
	return covers_add_id(c, id, d);
}

void covers_drop(struct covers *c, uint64_t id)
{
	(void)c;
	(void)bpf_map_delete_elem(fake_map_fd(AGENT_MAP_COVERED), &id);
}

void covers_sweep(struct covers *c)
{
	(void)c;
}

/* ---- anchors --------------------------------------------------------------------------- */

static uint64_t number_of(const char *path)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 0x100000001b3ull;
	return h;
}

/* Each path is an object of its own, which need not be held. */
int anchors_scout(struct agent *a, const struct compiled *c, struct anchor_object *out,
		  struct diag *d)
{
	(void)d;
	for (uint32_t i = 0; i < c->nanchors; i++)
		out[i] = (struct anchor_object){
			.fd = -1, .found = a->anchors,
			.object = { .ino = number_of(c->anchors[i].path), .dev = 1 },
		};
	return 0;
}

/* ---- marks ------------------------------------------------------------------------------ */

int task_marked(int tasks_fd, int pidfd, struct eg_task *t)
{
	struct eg_task task;

	if (bpf_map_lookup_elem(tasks_fd, &pidfd, &task))
		return errno == ENOENT ? 0 : -errno;
	if (t)
		*t = task;
	return task.sandbox != 0;
}

/* Nobody is killed: who carries a dead mark is gone with it, as a task that ended is. */
void sweep_dead(int tasks_fd, const struct eg_sandbox *sandboxes)
{
	(void)tasks_fd;
	fake_tasks_end(sandboxes);
}

void sweep_tree(const char *path)
{
	(void)path;
}

/* ---- proofs, flows: of the host, and left alone ------------------------------------------- */

int prover_new(struct agent *a, struct publisher *p, struct sandboxes *s, struct prover **out,
	       struct diag *d)
{
	(void)a;
	(void)p;
	(void)s;
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return diag_set(d, -ENOMEM, "out of memory");
	(*out)->fd = eventfd(1, EFD_CLOEXEC);
	return 0;
}

void prover_free(struct prover *p)
{
	if (p)
		close(p->fd);
	free(p);
}

int prover_start(struct prover *p, struct diag *d)
{
	(void)p;
	(void)d;
	return 0;
}

int prover_fd(const struct prover *p)
{
	return p->fd;
}

int prover_step(struct prover *p, struct prove_result *results, struct diag *d)
{
	(void)p;
	(void)d;
	for (size_t i = 0; i < prove_nrows; i++)
		results[i] = (struct prove_result){ .state = PROVE_PROVED, .got = -EPERM };
	return 0;
}

void prover_stop(struct prover *p)
{
	(void)p;
}

int prover_run(struct prover *p, struct prove_result *results, struct diag *d)
{
	return prover_step(p, results, d);
}

bool flows_open_to(struct flows_seen *s, const uint8_t addr[16], uint64_t used, uint64_t now)
{
	(void)s;
	(void)addr;
	(void)used;
	(void)now;
	return false;
}

void flows_seen_clear(struct flows_seen *s)
{
	(void)s;
}

int flows_recheck(int netns_fd, const struct flows_judge *j)
{
	(void)netns_fd;
	(void)j;
	return 0;
}

int flows_abort(int netns_fd, const struct flows_owner *o, const uint8_t addr[16], uint16_t port,
		uint16_t lport)
{
	(void)netns_fd;
	(void)o;
	(void)addr;
	(void)port;
	(void)lport;
	return 0;
}
