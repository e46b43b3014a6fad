/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Is every hook in force? For each program of the agent there is one access that
 * must be refused, or that succeeds only thanks to the program. A short-lived child
 * tries them all, first outside, then in a sandbox of its own that may do nothing.
 *
 * Probes are harmless, whether they are refused or not: the child changes files of
 * its own directory and memory and sockets of its own, names values that are already
 * in force, or asks for what the kernel turns down right behind the hook.
 */
#ifndef EGRESSCTL_PROVE_H
#define EGRESSCTL_PROVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;
struct diag;
struct probe;
struct prover;
struct publisher;
struct sandboxes;

/* ---- the table: prove_rows.c --------------------------------------------------------- */

enum prove_stage {
	PROVE_DENY, /* under a policy that allows nothing */
	/*
	 * Under the same in audit mode: what another hook stands before is only counted
	 * there, and goes on to the one that is meant.
	 */
	PROVE_AUDIT,
	PROVE_JOINED, /* once the outsider was moved into the sandbox's cgroup, and belongs to it */
	PROVE_DEAD, /* after the end of the sandbox */
	PROVE_STAGES
};

#define PROVE_MAX_ROWS 128u
#define PROVE_ANY 1 /* in prove_row.free: whatever is not `refused` */

struct prove_row {
	const char *prog; /* as in the skeleton */
	const char *access; /* for people: "open a file" */
	int (*try)(struct probe *p); /* 0, a negative errno, or PROVE_CANNOT() */
	int refused; /* its exact result in the sandbox; 0: works only thanks to the program */
	int free; /* … where nobody refuses it; works only thanks to it: 0, or a sign of shortage */
	enum prove_stage stage;
	unsigned int violations; /* PROVE_AUDIT: that it is counted as */
	bool cgroup; /* a cgroup program; else LSM, or what LSM programs rely on */
	const char *needs[2]; /* programs without which it shows nothing, or NULL */
};

/* What a probe says when something beside its hook is missing, so that it shows nothing. */
#define PROVE_CANNOT(err) (-4096 + (err))

extern const struct prove_row prove_rows[];
extern const size_t prove_nrows;

/* Programs that refuse nothing and whose work no access of ours can show, and why. */
struct prove_exempt {
	const char *prog, *why;
};
extern const struct prove_exempt prove_exempts[];
extern const size_t prove_nexempts;

/* ---- proving: prove.c ---------------------------------------------------------------- */

enum prove_state {
	PROVE_ABSENT, /* this agent has no such program: another kernel's, or --egress-only */
	PROVE_PROVED,
	PROVE_SILENT, /* what must be refused was not, or the reverse */
	PROVE_UNTRIED, /* outside, it does not do what it should either: shows nothing */
};

struct prove_result { /* one for each row, in the order of the table */
	enum prove_state state;
	int control, got; /* results outside and in the sandbox */
};

/*
 * A probe that does not come back is given up after this: all of them take some
 * milliseconds, on a slow and busy host a second, in an emulator beside others ten.
 */
#define PROVE_PATIENCE_MS 60000

/*
 * A sandbox for proofs, kept between them. `a`, `p`, `s` must outlive it. Needs
 * root. Negative errno with a message. One of a process at a time.
 */
int prover_new(struct agent *a, struct publisher *p, struct sandboxes *s, struct prover **out,
	       struct diag *d);
void prover_free(struct prover *p); /* NULL is fine */

/*
 * Try everything, in a child. prover_step() is to be called whenever prover_fd() can be
 * read, and does not wait; after PROVE_PATIENCE_MS, prover_stop(). It returns 1: go on, 0:
 * all were tried, whatever came of it, and `results`, of prove_nrows, are filled in; a
 * negative errno: it is over. Makes no event; counts as suppressed. -EBUSY: the processes
 * of the last time have not ended yet.
 */
int prover_start(struct prover *p, struct diag *d);
int prover_fd(const struct prover *p);
int prover_step(struct prover *p, struct prove_result *results, struct diag *d);
void prover_stop(struct prover *p);

/* The same for who can wait. -ETIME: a probe did not come back. */
int prover_run(struct prover *p, struct prove_result *results, struct diag *d);

/* What one row's results mean. */
enum prove_state prove_judge(const struct prove_row *row, int control, int got);

#endif
