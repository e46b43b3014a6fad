/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files that bring running tasks into sandboxes share. */
#ifndef SERVER_ATTACH_H
#define SERVER_ATTACH_H

#include <limits.h>
#include <stdbool.h>

#include "attach.h"
#include "server_int.h"

struct attach_request {
	struct run_policy policy;
	const char *name;
	const char *cgroup; /* path, or NULL: … */
	pid_t pid; /* … that of this process */
	/* found: */
	/*
	 * A process of the workload, whose paths and network count; 0: none yet. One that is
	 * given and in the cgroup stays.
	 */
	pid_t leader;
	uint32_t mnt_ns;
	bool waits; /* nothing of the workload has run: what looks like a runtime is one */
};

/* server_attach_which.c */
/* The path of r->cgroup, or of the one that r->pid is in, below the mount: "/" is the root. */
int attach_find_cgroup(const struct attach_request *r, char path[PATH_MAX], struct diag *d);
/* -EPERM, -ELOOP: what must never be under a policy: the host itself, and who enforces it. */
int attach_refuse_vital(struct server *s, const char *path, struct diag *d);
/* -EEXIST: a sandbox has it already, or something above or below it. */
int attach_refuse_overlap(struct server *s, const char *path, struct diag *d);
int attach_open_path(struct server *s, const char *path, struct diag *d);
/* Any process in it or below it; 0: it is empty. */
pid_t attach_first_process(int dirfd);
/* Is the process in that cgroup, or below it? */
bool attach_has(const char *path, pid_t pid);

/* server_patterns.c */
/* A cgroup waits for its policy, because of process `pid` (0: not known). */
void patterns_waits(struct server *s, uint64_t id, pid_t pid);

/* server_attach.c */
/* As server_policy(), in the paths of r->leader. */
int attach_policy(struct conn *c, struct attach_request *r, const struct version **v,
		  json_t **need, struct diag *d);
/* 1: *box owns the new sandbox; 0: *need; or negative errno. `c` asks. */
int attach_start(struct conn *c, struct attach_request *r, json_t **need, struct attach_found *f,
		 struct conn **box, struct diag *d);
/* Every task and socket that is there already; `seize` as in attach_tasks(). */
int attach_take(struct conn *box, bool seize, struct attach_found *f, struct diag *d);
/* Its process that the resolver listens for, when the first one has ended. */
void attach_leader(struct sandbox *b);
/* Notice when the cgroup is removed. */
int attach_watch(struct conn *box, struct diag *d);

#endif
