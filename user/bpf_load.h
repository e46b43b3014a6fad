/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent: the BPF programs loaded, attached and pinned, and their maps.
 *
 * One agent owns one bpffs directory (maps, links) and one cgroup v2 directory
 * (the parent of its sandboxes, to which the cgroup programs are attached).
 * Everything is pinned, so that the death of the process that opened it leaves
 * enforcement in place: agent_close() without AGENT_REMOVE does so too.
 */
#ifndef BPF_LOAD_H
#define BPF_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct agent;
struct covers;
struct diag;

struct agent_options {
	/*
	 * Name of the directory below the bpffs and below the cgroup v2 mount:
	 * "egressctl" for egressd, "egressctl-run-PID" for an agent inside
	 * `egressctl run`.
	 */
	const char *name;
	bool egress_only; /* only cgroup programs; needs no BPF LSM */
	bool adopt; /* take over pinned maps of the same ABI, and programs that are the same */
	bool anew; /* ... but not programs */
	bool verbose; /* libbpf's messages to stderr */
};

#define AGENT_NAME_SERVICE "egressctl"
#define AGENT_NAME_RUN "egressctl-run-" /* and pid-start; bpffs allows no dot in a name */

/*
 * Check the host, load, attach, pin. Needs root. On failure nothing stays
 * behind and `d` names what is missing and what to do about it.
 * -EPERM: not root, or inside a sandbox. -ENOTSUP: the host lacks something
 * (BPF LSM, BTF, a hook). -EBUSY: the same name is in use by a live process.
 */
int agent_open(const struct agent_options *o, struct agent **out, struct diag *d);

#define AGENT_REMOVE 1u /* unpin everything and remove both directories */
#define AGENT_REMOVE_OWN 2u /* only the links of this process */
void agent_close(struct agent *a, unsigned int flags);

/* File descriptors stay the agent's. */
enum agent_map {
	AGENT_MAP_DFA,
	AGENT_MAP_TASKS,
	AGENT_MAP_SOCKETS,
	AGENT_MAP_SANDBOXES,
	AGENT_MAP_POLICIES,
	AGENT_MAP_PREFIXES,
	AGENT_MAP_PORTS,
	AGENT_MAP_ANCHORS,
	AGENT_MAP_SCOUTED,
	AGENT_MAP_EVENTS,
	AGENT_MAP_STATS,
	AGENT_MAP_CGROUPS,
	AGENT_MAP_BINDINGS,
	AGENT_MAP_QUERIES,
	AGENT_MAP_COVERED,
	AGENT_MAP_ATTACHING,
	AGENT_MAP_ARRIVALS,
	AGENT_MAP_TOUCHED,
	AGENT_MAP_TRACES,
	AGENT_MAP_SEEN,
	AGENT_MAP_TRAFFIC,
	AGENT_MAP_RUNTIMES,
	AGENT_MAP_PATTERNS,
	AGENT_MAP_PENDING,
	AGENT_MAP_HOLDING,
	AGENT_MAP_IPC_OBJECTS,
	AGENT_MAP_MAX
};
int agent_map_fd(const struct agent *a, enum agent_map which);

/*
 * The arrays that user space maps. `sandboxes` is shared with the
 * programs: single fields may be stored, the counters only read.
 */
struct eg_dfa *agent_dfa(const struct agent *a);
struct eg_sandbox *agent_sandboxes(const struct agent *a); /* [EG_MAX_SANDBOXES] */
struct eg_holding *agent_holding(const struct agent *a);
struct eg_port *agent_port(const struct agent *a, uint32_t i);

/*
 * Count the packets of one traced sandbox's cgroup, as long as the descriptors are open;
 * they are the caller's. On failure both are -1.
 */
int agent_count(const struct agent *a, int cgroup, int links[2]);

/* Are there tasks in any of its sandboxes? Then the pins must stay. */
bool agent_in_use(const struct agent *a);

int agent_cgroup_fd(const struct agent *a); /* parent of the sandboxes */
int agent_cgroup_root_fd(const struct agent *a); /* the cgroup v2 mount */
uint32_t agent_cgroup_depth(const struct agent *a); /* level of the parent, 0 is the root */
const char *agent_cgroup_path(const struct agent *a);
const char *agent_pins_top(const struct agent *a); /* of all its ABIs: bpf_abis.h */
bool agent_egress_only(const struct agent *a);
bool agent_adopted(const struct agent *a); /* pinned maps were taken over */
bool agent_kept(const struct agent *a); /* so were the programs that an earlier loader loaded */
bool agent_adoptable(const struct agent *a); /* the next one may take these over */

/* Names of programs left out because this kernel has no such hook; NULL at the end. */
const char *const *agent_missing_hooks(const struct agent *a);

/* The cgroups beside its own whose sockets it sees: bpf_cover.h. */
struct covers *agent_covers(const struct agent *a);
/*
 * Start one of the iterators, by its name: a descriptor that is read to the end.
 * -ENOTSUP: it is not loaded (--egress-only).
 */
int agent_iterate(const struct agent *a, const char *prog, struct diag *d);
/* Call `fn` with each program that is loaded; the descriptor stays the agent's. */
void agent_each_prog(const struct agent *a, void (*fn)(void *ctx, const char *name, int fd),
		     void *ctx);

/* Does this agent run the program: not left out for this kernel or by egress_only. */
bool agent_has_program(const struct agent *a, const char *prog);

/*
 * Take one program's link away, as if its hook had fallen silent, and put it back:
 * for the tests of what notices it. -ENOENT: it is not attached.
 */
void agent_leave(struct agent *a); /* where other processes have the descriptors, too */
int agent_detach(struct agent *a, const char *prog);
int agent_attach(struct agent *a, const char *prog, struct diag *d);

/* Is this task (pidfd) marked by this agent? 1, 0 or negative errno. */
int agent_task_marked(const struct agent *a, int pidfd);

#endif
