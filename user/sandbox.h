/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sandboxes: a cgroup, a slot in the maps, a version, limits, and the tasks
 * that were marked.
 *
 * Life: new (directory and slot, no task) -> enter (one blocked child) ->
 * kill -> remove. Ids are never reused in one boot, and not in the next ones either
 * where sandboxes_keep_numbers() can see to it; a slot is used again only after its
 * sandbox is dead and its cgroup gone, and the id in it tells old marks from new ones.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "run_limits.h"

struct agent;
struct diag;
struct sandbox;
struct sandboxes;
struct version;
struct publisher;

/* Names of cgroups, before the number; server_left.c knows them of every ABI. */
#define SANDBOX_DIR "s"
#define SANDBOX_HIDDEN_DIR "proof"

enum sandbox_kind {
	SANDBOX_RUN, /* a cgroup of its own, and one command that was started in it */
	SANDBOX_ENTERED, /* a cgroup of its own, tasks that ran before were moved into it */
	SANDBOX_ATTACHED, /* somebody else's cgroup, which stays theirs */
};

struct sandbox_spec {
	const struct version *version; /* a reference is taken */
	uid_t uid; /* who asked */
	const char *name; /* for people; may be NULL */
	const char *policies; /* the names that were asked for, a newline between; may be NULL */
	struct limits limits;
	uint32_t ttys[4]; /* kernel dev_t (major << 20 | minor) */
	uint32_t nttys;
	enum sandbox_kind kind;
	/* SANDBOX_ATTACHED: the cgroup's directory (duplicated) and path below the mount */
	int cgroup;
	const char *path;
	uint32_t mnt_ns; /* number of its mount namespace, when that is known already */
	bool rights; /* set-uid programs gain rights in it, although it is not root's */
	bool hidden; /* the agent's own: sandboxes_next() leaves it out */
};

int sandboxes_new(struct agent *a, struct publisher *p, struct sandboxes **out, struct diag *d);
void sandboxes_free(struct sandboxes *s);
/*
 * Ids go on from boot to boot in `dir`, which has what is kept about ended sandboxes: an id
 * that is in a log there means one sandbox. NULL, or no such directory: within a boot.
 */
void sandboxes_keep_numbers(struct sandboxes *s, const char *dir);
#define SANDBOX_NUMBERS "last-sandbox" /* the file in it */

/* -ENOSPC: all slots are taken. -EOPNOTSUPP: a limit the host cannot set. */
int sandbox_new(struct sandboxes *s, const struct sandbox_spec *spec, struct sandbox **out,
		struct diag *d);

/*
 * Take over a sandbox of an earlier egressd: it is live in the adopted maps, and
 * its cgroup exists. -ENOENT: one of the two is not so.
 */
int sandbox_adopt(struct sandboxes *s, uint64_t id, uint32_t slot, uint64_t started, pid_t leader,
		  const struct sandbox_spec *spec, struct sandbox **out, struct diag *d);

/*
 * Move a child that is blocked in its launcher into the cgroup and mark it. It
 * must have one thread. -ESRCH: it died. -EPERM: it belongs to somebody else,
 * has threads, or is marked already.
 */
int sandbox_enter(struct sandbox *b, int pidfd, uid_t uid, struct diag *d);

/*
 * SIGKILL to every task in the sandbox's cgroup; returns before they are gone.
 * Marked tasks that root moved elsewhere are refused everything once the
 * sandbox is removed; sweep_marked() finds and kills them.
 */
void sandbox_kill(struct sandbox *b);

/* Stop everything in it where it is; only sandbox_kill() ends that. Or root, by hand. */
int sandbox_freeze(struct sandbox *b);
bool sandbox_is_frozen(const struct sandbox *b); /* or it is about to be */

/*
 * What to do when the cgroup has become empty. sandbox_events_fd() becomes
 * readable with POLLPRI when that may have happened; sandbox_empty() tells.
 */
int sandbox_events_fd(const struct sandbox *b);
bool sandbox_empty(const struct sandbox *b);

/*
 * Mark the slot dead and remove the cgroup; frees `b` and drops the version.
 * -EBUSY: tasks are left, try again when sandbox_empty().
 */
int sandbox_remove(struct sandbox *b);

/*
 * Let another version hold from now on: one store, so that there is no moment under
 * neither. Takes a reference to `v` and drops the one to the version before.
 */
enum sandbox_change {
	SANDBOX_ADDS, /* `v` allows what the version before does, and more */
	SANDBOX_TAKES, /* every socket's next packet is judged again */
};
void sandbox_switch(struct sandbox *b, const struct version *v, enum sandbox_change what);
/* What its policies are called from now on, as in the spec. -ENOMEM: the old names stay. */
int sandbox_set_policies(struct sandbox *b, const char *policies);

/* The port (host byte order) that its DNS goes to, on localhost. */
enum sandbox_kind sandbox_kind(const struct sandbox *b);
/* The directory of its cgroup, the sandbox's; and its path below the mount. */
int sandbox_cgroup_fd(const struct sandbox *b);
const char *sandbox_path(const struct sandbox *b);
/* A cgroup that is covered (bpf_cover.h) for its sake: dropped with it. -ENOMEM. */
int sandbox_add_cover(struct sandbox *b, uint64_t id);
const uint64_t *sandbox_covers(const struct sandbox *b, size_t *n);

/* The mount namespace it begins in: that of this process. */
int sandbox_note_namespace(struct sandbox *b, pid_t pid, struct diag *d);
void sandbox_set_leader(struct sandbox *b, pid_t pid);
/* Refuse whoever carries its mark everything, from now on. */
void sandbox_refuse_all(struct sandbox *b);
/*
 * Take an attached one off its workload: who comes into the cgroup is free; marks and
 * stamps are to be taken off first and after it. Frees `b`.
 */
void sandbox_open_cgroup(struct sandbox *b);
void sandbox_release(struct sandbox *b);

void sandbox_set_resolver(struct sandbox *b, uint16_t port);
uint16_t sandbox_resolver(const struct sandbox *b); /* 0: none */

uint64_t sandbox_id(const struct sandbox *b);
uint32_t sandbox_slot(const struct sandbox *b);
uid_t sandbox_uid(const struct sandbox *b);
pid_t sandbox_leader(const struct sandbox *b);
const char *sandbox_name(const struct sandbox *b);
const char *sandbox_policy(const struct sandbox *b); /* for people: names with a + between */
const char *sandbox_policies(const struct sandbox *b); /* as in the spec */
/* Is it under a policy of that name, maybe among others, or is that how people see all? */
bool sandbox_has_policy(const struct sandbox *b, const char *name);
const struct version *sandbox_version(const struct sandbox *b);
uint64_t sandbox_started(const struct sandbox *b); /* CLOCK_REALTIME, ns */
const struct limits *sandbox_limits(const struct sandbox *b);
/* The live slot in the maps. */
const struct eg_sandbox *sandbox_counters(const struct sandbox *b);

/* Whatever the caller wants to find with it. */
void sandbox_set_owner(struct sandbox *b, void *owner);
void *sandbox_owner(const struct sandbox *b);

struct sandbox *sandboxes_find(struct sandboxes *s, uint64_t id);
/* Next one after `b` (NULL: the first), in the order of ids. */
struct sandbox *sandboxes_next(struct sandboxes *s, const struct sandbox *b);
uint32_t sandboxes_of_uid(const struct sandboxes *s, uid_t uid);

#endif
