/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent inside `egressctl run`, when there is no egressd: a supervisor
 * process that holds programs, maps and the one sandbox, and serves its launcher
 * over a socket pair with the code of egressd. It leaves nothing behind.
 */
#ifndef LOCAL_AGENT_H
#define LOCAL_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

struct diag;

struct local_agent {
	int control; /* the launcher's end, connected */
	pid_t supervisor;
};

/* Needs root. What the host lacks is named in `d`. */
int local_agent_start(bool egress_only, struct local_agent *out, struct diag *d);
/* Wait for the supervisor to clean up; `control` must be closed. */
void local_agent_wait(struct local_agent *la);

#endif
