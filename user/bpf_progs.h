/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent's programs: loaded by this process, or kept by the pins of one that loaded the
 * same. The directory of a load has, beside its links:
 *
 *	PROG		the link of a program
 *	PROG-CGROUP	the same at a covered cgroup: bpf_cover.h
 *	prog_PROG	a program that is run by hand
 *	map_MAP		a map that only makes sense to this load
 *
 * Taken over are all of them or none: what is missing, was detached, or belongs to other
 * programs, is loaded anew.
 */
#ifndef BPF_PROGS_H
#define BPF_PROGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_object;
struct bpf_program;
struct diag;

#define PROGS_MAX 256u

struct prog {
	const struct bpf_program *prog; /* the object's */
	int fd; /* -1: not for this kernel */
	int link; /* -1: run by hand, detached, or held by its pin alone */
};

struct progs {
	const char *dir; /* the caller's */
	struct prog all[PROGS_MAX];
	size_t n;
};

bool prog_is_of_cgroup(const struct bpf_program *prog);
/* Attached once for all: not the iterators, and what is attached to some cgroups only. */
bool prog_is_attached(const struct bpf_program *prog);
const char *prog_name(const struct prog *p);

/*
 * The programs of an object that is open; those that are not for this kernel have autoload
 * off. -E2BIG: more than PROGS_MAX.
 */
int progs_init(struct progs *ps, struct bpf_object *obj, const char *dir, struct diag *d);
void progs_close(struct progs *ps);

/*
 * From the pins in `dir`, before the object is loaded; `cgroup` is the id of the one that
 * the programs for sockets are attached to. -ENOENT: not all are there and in force.
 */
int progs_take(struct progs *ps, uint64_t cgroup);
/* Of an object that this process has loaded: attach, pin. */
int progs_attach_all(struct progs *ps, int cgroup, struct diag *d);

/* NULL: there is none, or none for this kernel. */
struct prog *progs_find(const struct progs *ps, const char *name);

/* A new link of it, the caller's; -errno. `cgroup` is for those of cgroups alone. */
int prog_link(const struct prog *p, int cgroup);

/* For tests of what notices that one is silent: pins alone hold them. -ENOENT: it is not pinned. */
void progs_leave(struct progs *ps);
int progs_detach(struct progs *ps, struct prog *p);
int progs_attach(struct progs *ps, struct prog *p, int cgroup, struct diag *d);

#endif
