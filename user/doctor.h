/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a host lacks for enforcement. Facts are collected (doctor_facts.c,
 * doctor_agents.c), then judged without looking at anything else (doctor.c).
 */
#ifndef EGRESSCTL_DOCTOR_H
#define EGRESSCTL_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- facts --------------------------------------------------------------------------- */

#define DOCTOR_MAX_AGENTS 32u /* further ones are only counted */
#define DOCTOR_MAX_WRITABLE 8u
#define DOCTOR_MAX_HOOKS 128u
#define UNKNOWN (-1) /* could not be looked at */

/* BPF programs of somebody else */
struct doctor_agent {
	char name[32]; /* of the program: untrusted */
	char hook[48]; /* "file_open", "connect4" */
	char where[PATH_MAX]; /* cgroup; "": an LSM program */
	bool overridable; /* BPF_F_ALLOW_OVERRIDE: what is below replaces it */
	bool exclusive; /* no flag: nothing can be attached below */
};

struct doctor_hook {
	char program[32], access[80];
	enum doctor_hook_state { HOOK_ABSENT, HOOK_PROVED, HOOK_SILENT, HOOK_UNTRIED } state;
	int outside, inside; /* results */
	bool lsm; /* else a cgroup program */
};

struct doctor_facts {
	bool root, sandboxed;
	char release[80];
	unsigned int major, minor;
	int btf; /* bool, UNKNOWN */
	int lsm_known;
	char lsms[256];
	char lockdown[64]; /* "": none, or not known */
	int bpffs; /* is one mounted */
	char cgroup[PATH_MAX]; /* "": no cgroup v2 is mounted */
	bool hybrid; /* cgroup v1 is mounted too */
	char controllers[256];
	int cgroup_writable;
	int ftrace_enabled, unprivileged_bpf_disabled, jit; /* values; UNKNOWN */
	uint64_t boottime, monotonic, realtime; /* ns */
	/* resolver */
	int resolv_err; /* 0, or a negative errno of reading it */
	uint32_t nservers; /* named in it */
	char server[64];
	/* the service */
	int service; /* 0: answers; negative errno: -ENOENT, -ECONNREFUSED, -EACCES … */
	int abi; /* its */
	bool egress_only; /* it left the LSM programs out */
	/* the proof */
	char lsm_error[1024], agent_error[1024]; /* why not all of it, why nothing was proved */
	struct doctor_hook hooks[DOCTOR_MAX_HOOKS];
	size_t nhooks;
	char refuses[1024]; /* why egressd makes no sandboxes; "": it does */
	int resolver_answers; /* errno, negative; 0: refused a name as it should; 1: not asked */
	/* files */
	char log_dir[PATH_MAX];
	int log_err; /* 0, negative errno; 1: not looked at */
	char writable[DOCTOR_MAX_WRITABLE][PATH_MAX]; /* policies others can change */
	size_t nwritable;
	/* others */
	int agents_err; /* 0, negative errno; 1: not looked at */
	struct doctor_agent agents[DOCTOR_MAX_AGENTS];
	size_t nagents, more_agents;
	/* libraries */
	unsigned int libbpf_major, libbpf_minor;
	char libraries[128];
};

/* Everything that this process may look at; runs or asks the proof. */
void doctor_collect(struct doctor_facts *f);
/* doctor_agents.c: of LSM hooks, and of cgroups from `cgroup` (the mount) down to ours. */
void doctor_find_agents(struct doctor_facts *f, const char *bpffs);

/* ---- findings ------------------------------------------------------------------------ */

enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_MISSING };

#define LOST_PATHS (1u << 0) /* path rules, unix sockets, the guard: what BPF LSM enforces */
#define LOST_EGRESS (1u << 1) /* destinations: what cgroup programs enforce */

#define DOCTOR_MAX_FINDINGS 64u

struct finding {
	const char *check; /* "kernel": one word, stable */
	enum finding_level level;
	unsigned int lost; /* LOST_*: what cannot be enforced because of it */
	char text[1536]; /* one line, safe to print */
	char remedy[384]; /* what to do about it; "": nothing to do */
};

struct findings {
	struct finding v[DOCTOR_MAX_FINDINGS];
	size_t n;
	unsigned int lost; /* of all */
};

void doctor_judge(const struct doctor_facts *f, struct findings *out);
/* 0: full enforcement; 1: a part of it; 125: none. */
int doctor_status(const struct findings *out);
/* "file_open, mmap_file" and how many more. */
size_t doctor_list_hooks(const struct doctor_facts *f, enum doctor_hook_state state, int lsm,
			 char *buf, size_t size);

#endif
