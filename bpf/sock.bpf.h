/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose a socket is, read by hand: for sockets that a program reaches through
 * plain pointers (a file's, a peer's, a listener behind a request).
 */
#ifndef SOCK_BPF_H
#define SOCK_BPF_H

#include "task.bpf.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17

_Static_assert(__builtin_offsetof(struct eg_sock, slot) == 8, "eg_id is a prefix of eg_sock");
_Static_assert(__builtin_offsetof(struct eg_sock, flags) == 12, "eg_id is a prefix of eg_sock");

/*
 * The stamp of any socket. 1: *id is filled in. 0: nobody's. -EAGAIN: cannot be
 * told. Only full sockets have storage: not for request or timewait sockets.
 */
static __always_inline int sock_id_raw(struct sock *raw, struct eg_id *id)
{
	return storage_id_raw(BPF_CORE_READ(raw, sk_bpf_storage), &sockets, id);
}

/*
 * May a task of this sandbox take this socket from somebody: its own. A unix
 * socket too is a way to whoever holds the other end, and connected sockets
 * pass no hook when they are written to.
 */
static __always_inline bool sock_is_own(struct sock *raw, __u64 sandbox)
{
	struct eg_id id;

	return sock_id_raw(raw, &id) == 1 && id.sandbox == sandbox;
}

/*
 * The address in a pointer that the verifier lets nobody calculate with: sockets
 * that helpers and contexts hand out.
 */
static __always_inline void *address_of(const void *ptr)
{
	const void *spilled = ptr;
	void *address = NULL;

	bpf_probe_read_kernel(&address, sizeof(address), &spilled);
	return address;
}

/* the task that calls, when its egress is judged */
struct caller {
	struct eg_id id;
	struct eg_sandbox *sb;
	struct eg_policy *p;
};

/* 1: *c is filled in. 0: leave it alone. Else the refusal: return it. */
static __always_inline int read_caller(struct caller *c)
{
	int who = current_id(&c->id);

	if (who <= 0)
		return who;
	c->sb = sandbox_get(c->id.sandbox, c->id.slot);
	c->p = c->sb ? policy_of(c->sb) : NULL;
	if (!c->p)
		return -EPERM;
	return c->p->flags & EG_P_EGRESS ? 1 : 0;
}

#endif
