// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Workloads that ran before their policy, and what comes into their cgroup later.
 *
 *   cgroup_move_task   a task gets its cgroup: at the end of every fork, CLONE_INTO_CGROUP
 *                      included, and for every thread that is moved. No LSM hook sees
 *                      any of that
 *   bprm_creds_for_exec  the program that a container runtime was for; see hold.bpf.h for
 *                      what waits there for its policy
 *   iter/task          marks the tasks that are there already, or takes marks off
 *   iter/task_file     the same for their sockets; one that no descriptor is of, because
 *                      it waits to be accepted, is stamped by sock_graft (socket.bpf.c)
 *
 * Why nothing slips through: first the cgroup is put into `cgroups`, then the tasks are
 * gone through. A child is in the kernel's list of tasks before it gets its cgroup
 * (copy_process(): attach_pid(), then cgroup_post_fork()). So one that got it before
 * the map had the entry is found in the list, and any other one is marked when it gets
 * it, before it runs. A thread that takes its leader's number in execve() can be
 * missed by one pass and not by the next: it is the leader then, and passes are
 * repeated until one finds nobody.
 */
#include "sock.bpf.h"
#include "hold.bpf.h"

#define AF_VSOCK 40
#define AF_CAN 29
#define AF_BLUETOOTH 31
#define AF_ALG 38
#define AF_XDP 44

/* ports of workloads' listeners, key: namespace << 32 | port; value: low half of the sandbox */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} listening SEC(".maps") __weak;

/*
 * Users enter with processes of their own. Whoever else comes into the cgroup has a
 * number that one of them had, and did not mean to.
 */
static __always_inline bool is_stranger(struct task_struct *task, __u64 sandbox, __u32 slot)
{
	struct eg_sandbox *sb = sandbox_get(sandbox, slot);

	return sb && sb->uid && BPF_CORE_READ(task, real_cred, uid.val) != sb->uid;
}

/*
 * The mark, unless there is one: whoever is in a sandbox stays in it. A runtime's task
 * gets it with the program that it was all for: t->key[0] is which. With `seize` it gets
 * it now: who has run in there for a while can have made itself look like one. 1: it was
 * put on. 0: there is one, or shall be none. -ENOMEM: it could not be had.
 */
static __always_inline int put_mark(struct task_struct *task, __u64 sandbox, __u32 slot,
				    bool seize)
{
	struct eg_task *t;

	if (is_stranger(task, sandbox, slot))
		return 0;
	t = bpf_task_storage_get(&tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!t) {
		count_stat(EG_ST_FAIL_STORAGE);
		return -ENOMEM;
	}
	if (t->sandbox)
		return 0;
	if (!seize && sets_up(task)) {
		if ((t->flags & EG_T_ENTERING) && t->key[0] == sandbox)
			return 0;
		t->slot = slot;
		t->key[0] = sandbox;
		t->flags |= EG_T_ENTERING;
		return 1;
	}
	t->slot = slot;
	t->flags &= ~(EG_T_SCOUT | EG_T_ENTERING);
	barrier(); /* the task may be running: the id makes it count */
	t->sandbox = sandbox;
	return 1;
}

/*
 * The program that a runtime was for begins: its file is judged already, and all it does.
 * When an attach came to nothing its cgroup may wait for the next.
 */
static __always_inline int begin(struct eg_task *t, struct task_struct *task, struct file *file)
{
	int held;

	if (!sandbox_get(t->key[0], t->slot)) {
		held = hold(task, file);
		if (held)
			return held;
		t->flags &= ~EG_T_ENTERING;
		return sandbox_detached(t->key[0], t->slot) ? 0 : -EPERM;
	}
	t->flags &= ~EG_T_ENTERING;
	t->sandbox = t->key[0];
	tell(t->sandbox, 0, 0);
	return 0;
}

/* The sandbox that takes whoever comes into this cgroup; the outermost counts. */
static __always_inline struct eg_cgroup *find_taker(struct cgroup *cgrp)
{
	struct eg_cgroup *c;
	__u32 level;
	__u64 id;

	for (level = 1; level <= EG_CGROUP_DEPTH; level++) {
		id = cgroup_ancestor_raw(cgrp, level);
		if (!id)
			return NULL;
		c = bpf_map_lookup_elem(&cgroups, &id);
		if (c)
			return c->flags & EG_CG_MARK ? c : NULL;
	}
	return NULL;
}

/*
 * Who came into a sandbox's cgroup when there was no memory for its mark runs on until
 * the agent sees to it. It begins no other program without one.
 */
static __always_inline int catch_up(struct task_struct *task)
{
	struct cgroup *cgrp = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	struct eg_cgroup *c = cgrp ? find_taker(cgrp) : NULL;
	int put;

	if (!c)
		return 0;
	put = put_mark(task, c->sandbox, c->slot, false);
	if (put > 0)
		tell(c->sandbox, 0, 0);
	return put < 0 ? -EAGAIN : 0;
}

SEC("lsm/bprm_creds_for_exec")
int BPF_PROG(enter_exec, struct linux_binprm *bprm, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct eg_task *t = NULL;
	struct eg_id id;
	int err;

	if (ret)
		return ret;
	if (task->bpf_storage) {
		t = bpf_task_storage_get(&tasks, task, NULL, 0);
		if (!t && task_id_raw(task, &id))
			return 0; /* in a sandbox, or refused everything */
		if (!t && (id.flags & EG_T_ENTERING))
			return -EAGAIN;
		if (t && t->sandbox)
			return 0;
	}
	if (!t || !(t->flags & EG_T_ENTERING)) {
		err = catch_up(task);
		if (err)
			return err;
		t = task->bpf_storage ? bpf_task_storage_get(&tasks, task, NULL, 0) : NULL;
		if (t && t->sandbox)
			return 0;
	}
	if (!t || !(t->flags & EG_T_ENTERING))
		return hold(task, bprm->file);
	if (is_runtime(bprm->file, true) && is_outside(task))
		return 0;
	return begin(t, task, bprm->file);
}

/*
 * Runs under css_set_lock: a forked child has not run yet, and of a process that is
 * moved no thread can fork (cgroup_threadgroup_rwsem). The agent is told: a task that
 * comes from elsewhere brings sockets, and a mark that could not be had is to be tried
 * again.
 */
SEC("fentry/cgroup_move_task")
int BPF_PROG(cgroup_move, struct task_struct *task, struct css_set *to)
{
	struct eg_cgroup *c;

	if (task->flags & PF_KTHREAD)
		return 0;
	c = find_taker(to->dfl_cgrp);
	if (c && put_mark(task, c->sandbox, c->slot, false))
		tell(c->sandbox, 0, 0);
	else if (!c)
		see_comer(task, to->dfl_cgrp);
	return 0;
}

static __always_inline struct eg_attach *the_request(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&attaching, &zero);
}

static __always_inline bool is_inside(struct cgroup *cgrp, const struct eg_attach *r)
{
	return cgroup_ancestor_raw(cgrp, r->depth) == r->cgroup;
}

static __always_inline void clear_mark(struct task_struct *task, struct eg_attach *r)
{
	if (bpf_task_storage_delete(&tasks, task))
		r->failed++;
	else
		r->changed++;
}

/* Is it in the cgroup of a sandbox, or one itself? */
static __always_inline bool is_taken(struct cgroup *cgrp)
{
	__u32 level;
	__u64 id;

	for (level = 1; level <= EG_CGROUP_DEPTH; level++) {
		id = cgroup_ancestor_raw(cgrp, level);
		if (!id)
			return false;
		if (bpf_map_lookup_elem(&cgroups, &id))
			return true;
	}
	return false;
}

/* A cgroup is made: nobody can be in it yet (cgroup_mkdir(): before kernfs_activate()). */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_made, struct cgroup *cgrp, const char *path)
{
	struct eg_holding *h = the_holding();

	/* of version 2 alone: its hierarchy has number 0 */
	if (h && h->npatterns && !BPF_CORE_READ(cgrp, root, hierarchy_id) && !is_taken(cgrp) &&
	    is_meant(h, cgrp, path))
		make_pending(h, BPF_CORE_READ(cgrp, kn, id));
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_gone, struct cgroup *cgrp, const char *path)
{
	struct eg_holding *h = the_holding();
	__u64 id;

	if (!h || !h->pending)
		return 0;
	id = BPF_CORE_READ(cgrp, kn, id);
	if (!bpf_map_delete_elem(&pending, &id))
		__sync_fetch_and_sub(&h->pending, 1);
	return 0;
}

/* Is there a ring that may hold sockets of which no descriptor is left? */
static __always_inline bool has_ring(struct task_struct *task)
{
	struct io_uring_task *tctx = BPF_CORE_READ(task, io_uring);

	return tctx && BPF_CORE_READ(tctx, xa.xa_head);
}

/*
 * A task outside that one of the sandbox's traces already: ptrace_access() is asked when
 * that begins, and never again. Seen in the last pass at the latest, when all have marks.
 */
static __always_inline void see_tracee(struct task_struct *task, struct eg_attach *r)
{
	struct task_struct *tracer;
	struct eg_id id;

	if (!BPF_CORE_READ(task, ptrace))
		return;
	tracer = BPF_CORE_READ(task, parent);
	if (eg_task_id((__u64)tracer, &id) != 1 || id.sandbox != r->sandbox)
		return;
	r->tracer = BPF_CORE_READ(tracer, tgid);
	r->tracee = task->tgid;
}

SEC("iter/task")
int attach_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct eg_attach *r = the_request();
	struct eg_id id;
	int who;

	/* one that exits uses nothing any more */
	if (!task || !r || (task->flags & PF_KTHREAD) || BPF_CORE_READ(task, exit_state))
		return 0;
	who = task_id_raw(task, &id);
	if (r->cgroup && !is_inside(BPF_CORE_READ(task, cgroups, dfl_cgrp), r)) {
		if (who != 1 || id.sandbox != r->sandbox)
			see_tracee(task, r);
		return 0;
	}
	if (!r->cgroup && (who != 1 || id.sandbox != r->sandbox))
		return 0;
	r->tasks++;
	if (has_ring(task))
		r->rings++;
	if (BPF_CORE_READ(task, nsproxy) &&
	    BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum) != r->mnt_ns)
		r->elsewhere++;
	if (who == 1 && id.sandbox != r->sandbox) {
		r->others++;
		return 0;
	}
	if (r->what == EG_AT_CLEAR && who == 1) {
		clear_mark(task, r);
	} else if ((r->what == EG_AT_MARK || r->what == EG_AT_SEIZE) && who != 1) {
		who = put_mark(task, r->sandbox, r->slot, r->what == EG_AT_SEIZE);
		if (who > 0)
			r->changed++;
		else if (who < 0)
			r->failed++;
	}
	return 0;
}

/* ---- sockets ------------------------------------------------------------------ */

/* Do the programs see what a socket of this cgroup sends? */
static __always_inline bool is_covered(struct cgroup *cgrp)
{
	__u32 level;
	__u64 id;

	for (level = 1; level <= EG_CGROUP_DEPTH; level++) {
		id = cgroup_ancestor_raw(cgrp, level);
		if (!id)
			return false;
		if (bpf_map_lookup_elem(&covered, &id))
			return true;
	}
	return false;
}

/* Kinds that send past every program of ours: only what the policy grants may stay. */
static __always_inline bool may_stay(__u16 family, const struct eg_attach *r)
{
	switch (family) {
	case AF_UNIX:
	case AF_INET:
	case AF_INET6:
	case AF_NETLINK:
	case AF_ALG: /* sends nothing anywhere */
		return true;
	case AF_PACKET:
		return r->sockets & EG_SOCK_PACKET;
	case AF_VSOCK:
		return r->sockets & EG_SOCK_VSOCK;
	case AF_BLUETOOTH:
		return r->sockets & EG_SOCK_BLUETOOTH;
	case AF_CAN:
		return r->sockets & EG_SOCK_CAN;
	case AF_XDP:
		return r->sockets & EG_SOCK_XDP;
	default:
		return false;
	}
}

static __always_inline void report_stray(struct bpf_iter__task_file *ctx, __u32 pid,
					 __u16 family, __u64 cgroup)
{
	struct eg_stray s = { .cgroup = cgroup, .pid = pid, .fd = ctx->fd, .family = family };

	bpf_seq_write(ctx->meta->seq, &s, sizeof(s));
}

/*
 * A connection that came in through a listener goes on under `listen`, one that went
 * out under the rules for destinations. Which of the two it was is told by its port;
 * who prepared a connection from a listener's port reaches by it only whom `listen`
 * lets in.
 */
static __always_inline __u64 port_key(struct sock *sk)
{
	return (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) << 32 |
	       BPF_CORE_READ(sk, __sk_common.skc_num);
}

static __always_inline void note_listener(struct sock *sk, const struct eg_attach *r)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	__u32 whose = (__u32)r->sandbox;
	__u64 key;

	if ((family != AF_INET && family != AF_INET6) ||
	    BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_LISTEN)
		return;
	key = port_key(sk);
	(void)bpf_map_update_elem(&listening, &key, &whose, BPF_ANY);
}

static __always_inline __u32 stamp_flags(struct sock *sk, const struct eg_attach *r)
{
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	__u64 key = port_key(sk);
	__u32 *whose;

	if (state == TCP_LISTEN)
		return EG_SK_ACCEPTED;
	if (state == TCP_CLOSE)
		return 0;
	whose = bpf_map_lookup_elem(&listening, &key);
	if (whose && *whose == (__u32)r->sandbox && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP)
		return EG_SK_BEFORE | EG_SK_ACCEPTED;
	return EG_SK_BEFORE;
}

/*
 * Its stamp, which may be there: made from its cgroup by a packet that came first, or that
 * of a sandbox which has ended, as on a listener that a service manager keeps. NULL: it is
 * another sandbox's, or cannot be had.
 */
static __always_inline struct eg_sock *stamp_for(struct sock *sk, struct eg_attach *r)
{
	struct eg_sock *es = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (es && es->sandbox && es->sandbox != r->sandbox) {
		if (sandbox_get(es->sandbox, es->slot)) {
			r->others++;
			return NULL;
		}
		/* with all that it remembers */
		(void)bpf_sk_storage_delete(&sockets, sk);
		es = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	}
	if (!es)
		r->failed++;
	return es;
}

static __always_inline void put_stamp(struct bpf_iter__task_file *ctx, __u32 pid,
				      struct sock *sk, struct eg_attach *r)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	struct cgroup *cgrp = BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	__u32 flags = 0;
	struct eg_sock *es;

	if (!may_stay(family, r)) {
		report_stray(ctx, pid, family, 0);
		return;
	}
	if (family == AF_INET || family == AF_INET6) {
		if (!is_covered(cgrp)) {
			report_stray(ctx, pid, family, BPF_CORE_READ(cgrp, kn, id));
			return;
		}
		flags = stamp_flags(sk, r) | (is_inside(cgrp, r) ? 0 : EG_SK_LENT);
	}
	es = stamp_for(sk, r);
	if (!es)
		return;
	es->slot = r->slot;
	es->flags = flags;
	barrier();
	es->sandbox = r->sandbox;
	r->changed++;
}

/* By its name, which is the kernel's: see has_ring(). */
static __always_inline bool is_ring(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	char name[8] = {};

	if (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT)
		return false;
	bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
	return !__builtin_memcmp(name, "[io_urin", 8);
}

SEC("iter/task_file")
int attach_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct eg_attach *r = the_request();
	struct file *file = ctx->file;
	struct eg_id who, is;
	struct socket *sock;
	struct sock *sk;
	int stamped;

	if (!task || !file || !r)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock) {
		if (is_ring(file) && task_id_raw(task, &who) == 1 && who.sandbox == r->sandbox)
			r->rings++;
		return 0;
	}
	sk = sock->sk;
	if (!sk)
		return 0;
	stamped = sock_id_raw(sk, &is);
	if (r->what == EG_AT_CLEAR) {
		if (stamped == 1 && is.sandbox == r->sandbox &&
		    !bpf_sk_storage_delete(&sockets, sk))
			r->changed++;
		return 0;
	}
	if (stamped == 1 && is.sandbox == r->sandbox && !(is.flags & EG_SK_ADOPTED))
		return 0;
	if (task_id_raw(task, &who) != 1 || who.sandbox != r->sandbox)
		return 0;
	if (r->what == EG_AT_COUNT)
		note_listener(sk, r);
	else
		put_stamp(ctx, task->tgid, sk, r);
	return 0;
}
