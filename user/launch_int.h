/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The child of a launch and waiting for it: launch_child.c, launch_wait.c. */
#ifndef LAUNCH_INT_H
#define LAUNCH_INT_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

struct diag;
struct launch;

/* What the child tells: that it is ready (err 0), or why it could not execute. */
struct launch_failure {
	int err; /* errno */
	int status; /* to exit with */
	char what[64]; /* what failed; "": the execution itself */
};

struct launch_child {
	const struct launch *l;
	pid_t pid;
	int pidfd;
	int go; /* the child reads its orders here */
	int rules; /* it gets a Landlock ruleset here, if its orders say so */
	int report; /* and writes a struct launch_failure here; closed by execve() */
	int signals; /* signalfd; everything in it is blocked */
	sigset_t blocked;
};

/* Refuse standard descriptors (and kept ones) that would be a way out. */
int launch_check_fds(const struct launch *l, struct diag *d);
/* Kernel numbers (dev_t) of the terminals at 0, 1, 2 as a JSON array. */
json_t *launch_ttys(void);
void launch_no_core(void);

/* Fork the child; it waits for launch_go(). `control` is closed in it. */
int launch_fork(const struct launch *l, int control, struct launch_child *c, struct diag *d);
/* The next report of the child. -EPIPE: none, it has executed the command or died. */
int launch_read_report(int report, struct launch_failure *f);
/*
 * It is inside: restrict itself (ruleset -1: no), scrub and execute. The descriptor stays the
 * caller's. -EPIPE: it is gone.
 */
int launch_go(struct launch_child *c, const json_t *env, int64_t sandbox, int ruleset);

/* launch_unheld.c: rules that Landlock does not hold, one a line, those of one reason together */
void launch_print_unheld(const struct launch *l, const json_t *unheld);

/*
 * Wait as a shell's job: forward signals, stop and continue with the child,
 * print events. Returns its exit status, or minus the signal that ended it.
 * *control becomes -1 when the server went away.
 */
int launch_wait(struct launch_child *c, int *control);

/* Prints one {"event"} message to stderr. */
void launch_print_event(void *ctx, json_t *msg);

#endif
