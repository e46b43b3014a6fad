/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent of one `egressctl run`, when there is no egressd: a process that holds
 * programs, maps and the one sandbox, and serves its launcher over a socket pair with the
 * code of egressd. It leaves nothing behind. local_agent.h starts it.
 */
#ifndef RUN_AGENT_H
#define RUN_AGENT_H

#include <stdbool.h>

#include "without_lsm.h"

struct diag;

#define RUN_AGENT_FD 3 /* its end of the socket pair */

/*
 * Until the launcher has gone and what ran has ended. What fails is told to the launcher,
 * if there is one: -EINVAL when RUN_AGENT_FD is no socket of one.
 */
int run_agent(bool egress_only, enum without_lsm without, struct diag *d);

#endif
