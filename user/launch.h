/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The entry path, shared by egress-run and `egressctl run`: fork, ask for a
 * sandbox, let the child go inside it, wait as a shell would.
 */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct command_line;
struct diag;

/* Exit statuses, as a shell's; the others are the command's. */
#define LAUNCH_USAGE 2 /* bad policy or arguments */
#define LAUNCH_FAILED 125 /* the command was not started */
#define LAUNCH_NOEXEC 126
#define LAUNCH_NOTFOUND 127

#define LAUNCH_NESTED \
	"this is a sandbox already: a sandboxed program cannot start another sandbox"

#define LAUNCH_KEEP_FDS 64 /* most --keep-fd */
#define LAUNCH_LIST 32 /* most -p, --allow, --limit */

struct launch {
	char **argv; /* the command, NULL at the end */
	const char *policies[LAUNCH_LIST]; /* names or paths, as given with -p */
	size_t npolicies;
	const char *allows[LAUNCH_LIST]; /* rules added for this run, see allow.h */
	size_t nallows;
	const char *limits[LAUNCH_LIST]; /* "memory=4G", … */
	size_t nlimits;
	int keep_fds[LAUNCH_KEEP_FDS]; /* beyond 0, 1, 2 */
	size_t nkeep_fds;
	bool egress_only; /* an agent of our own loads only the cgroup programs */
	const char *without_lsm; /* refuse, landlock or egress; NULL: what egressd.yaml says */
	const char *name; /* for people */
	bool audit; /* report, do not refuse */
	bool verbose; /* print each violation as it happens */
	bool fail_fast; /* end the run at the first violation */
	bool json; /* violations and summary as JSON lines */
	bool new_privs; /* keep set-uid programs working */
	/* who the command runs as; set when root launches for another user (sudo) */
	bool drop;
	uid_t uid;
	gid_t gid;
	const char *user; /* for initgroups(); with `drop` */
	const char *home;
	bool trace; /* have the server record what it touches */
	const char *report; /* where to write what it touched; NULL: nowhere */
	bool quiet; /* no summary: whoever launches says something else */
	/*
	 * Called when the sandbox has ended, with the connection (-1: it is lost) and
	 * the command's status (or minus its signal). May be NULL.
	 */
	void (*after)(void *ctx, int control, uint64_t sandbox, int status);
	void *after_ctx;
	bool server_is_ours; /* forked for this run alone */
	/* called before the launcher ends, when not NULL */
	void (*cleanup)(void *ctx);
	void *cleanup_ctx;
};

/*
 * Fill `l` from the command line; argv[0] is the command's own name. Descriptors
 * are checked now, before any other is opened. -EINVAL with a message; *help is
 * set when help was asked for (and nothing else is to be done).
 */
int launch_parse(const struct command_line *c, struct launch *l, int argc, char **argv, bool *help,
		 struct diag *d);

extern const struct command_line launch_egress_run, launch_egressctl;

/*
 * Run it over `control` (a connection to a server, taken over). Returns the
 * status to exit with, or does not return: a command that died of a signal
 * makes the launcher die of the same one. Prints its own errors.
 */
int launch_run(const struct launch *l, int control);

/* Under sudo (as root, with SUDO_UID): fill uid, gid, user and home. */
int launch_sudo_user(struct launch *l, struct diag *d);

#endif
