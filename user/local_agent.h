/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent of `egressctl run`, when there is no egressd: the program egressd, started for
 * this one sandbox (run_agent.h), so that what only a server needs, and the libraries it
 * takes, are not part of every command.
 */
#ifndef LOCAL_AGENT_H
#define LOCAL_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "without_lsm.h"

struct diag;

struct local_agent {
	int control; /* the launcher's end, connected */
	pid_t supervisor;
};

/*
 * Needs root. What the host lacks is named in `d`. `without`: what to do without BPF LSM;
 * NULL: what egressd.yaml says.
 */
int local_agent_start(bool egress_only, const enum without_lsm *without, struct local_agent *out,
		      struct diag *d);
/* Wait for the supervisor to clean up; `control` must be closed. */
void local_agent_wait(struct local_agent *la);

#endif
