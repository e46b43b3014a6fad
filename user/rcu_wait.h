/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Wait until every BPF program that runs now has ended. Those of LSM and cgroup hooks run
 * inside of RCU, so that is one grace period.
 */
#ifndef RCU_WAIT_H
#define RCU_WAIT_H

#include <stdbool.h>

struct diag;

struct rcu_wait {
	int outer, inner; /* maps; -1: membarrier() does it */
};

/* What MEMBARRIER_CMD_QUERY said: will it wait? */
bool rcu_wait_membarrier(long query);
/* `maps`: by maps in any case. Fails when the kernel has neither way. */
int rcu_wait_init(struct rcu_wait *w, bool maps, struct diag *d);
void rcu_wait_fini(struct rcu_wait *w);
/* 0, or negative errno: nobody was waited for. */
int rcu_wait(const struct rcu_wait *w);

#endif
