/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the guards share: who asks, whose a task is, how it is refused. */
#ifndef EGRESSCTL_GUARD_BPF_H
#define EGRESSCTL_GUARD_BPF_H

#include "event.bpf.h"

struct guarded {
	struct eg_id id;
	struct eg_sandbox *sb;
	struct eg_policy *p;
};

/* 1: sandboxed, *g filled. 0: nobody's. Else what to refuse with. */
static __always_inline int guarded(struct guarded *g)
{
	int who = current_id(&g->id);

	if (who <= 0)
		return who;
	g->sb = sandbox_get(g->id.sandbox, g->id.slot);
	if (!g->sb)
		return -EPERM; /* the sandbox is gone: nothing is allowed any more */
	g->p = policy_of(g->sb);
	return g->p ? 1 : -EPERM;
}

static __always_inline int refuse_with(struct guarded *g, __u16 op, __u8 reason, __u64 aux, int err)
{
	bool audit = g->p->flags & EG_P_AUDIT;

	emit_aux(g->sb, g->p->serial, op, reason, aux, err,
		 audit ? EG_VERDICT_AUDIT : EG_VERDICT_DENIED);
	return audit ? 0 : err;
}

static __always_inline int refuse(struct guarded *g, __u16 op, __u8 reason, __u64 aux)
{
	return refuse_with(g, op, reason, aux, -EPERM);
}

/* Refused unless the policy grants `privilege` (EG_PRIV_*; 0: never granted). */
static __always_inline int guard(int ret, __u32 privilege, __u16 op, __u64 aux)
{
	struct guarded g;
	int err;

	if (ret)
		return ret;
	err = guarded(&g);
	if (err <= 0)
		return err;
	if (g.p->privileges & privilege)
		return 0;
	return refuse(&g, op, EG_WHY_GUARD, aux);
}

/* A task of another sandbox, or of none. What cannot be told is an outsider. */
static __always_inline bool outsider(const struct guarded *g, struct task_struct *task)
{
	struct eg_id id;

	return task_id_raw(task, &id) != 1 || id.sandbox != g->id.sandbox;
}

#endif
