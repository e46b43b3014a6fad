// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Unix sockets: peers of the same sandbox are free, others must be listed by the
 * path or the abstract name they are bound to.
 *
 *   unix_stream_connect  stream and seqpacket; stamps the accepted end
 *   unix_may_send        datagrams, connected or not
 *
 * Both hooks have the receiving socket itself, so what a name was when somebody
 * looked at it does not matter: the path is the bound dentry's, as it is now. A
 * socket without a name that is not the sandbox's own is refused: who passed one
 * end of a pair has said nothing about the other.
 *
 * Whoever is outside may connect to a sandbox's socket, if file rights let them.
 */
#include "sock.bpf.h"
#include "report.bpf.h"

#define UNIX_NAME_MAX 107 /* sun_path, less the NUL an abstract name begins with */

/*
 * clang drops a mask that its own reasoning makes needless, where the verifier,
 * which has lost the range on the way through the stack, needs it.
 */
#define keep_bound(len) asm volatile("%0 &= 127" : "+r"(len))

/* What the other socket is called, and whether it may be reached. */
struct unix_name {
	struct vfsmount *mnt;
	struct dentry *dentry; /* not NULL: a path */
	__u32 len; /* of the abstract name in t->name, '@' included; 0: none */
	__u8 reason; /* enum eg_reason */
	__u8 pass;
};

static __always_inline void judge_path(struct who *k, struct unix_name *n)
{
	struct eg_walk *w = my_walk(k->t);

	n->reason = EG_WHY_FAILURE;
	if (!w)
		return;
	w->sandbox = k->sb->id;
	walk_path(w, k->p, k->p->start_unix, n->mnt, n->dentry);
	n->reason = w->fail;
	n->pass = !w->fail && !(w->flags & WALK_INTERNAL) && (eg_dfa_perm(w->state) & EG_W);
}

static __always_inline void judge_abstract(struct who *k, struct unix_address *addr, __u32 len,
					   struct unix_name *n)
{
	struct eg_dfa *d = the_dfa();
	char *name = k->t->name;

	n->reason = EG_WHY_FAILURE;
	if (!d || len > UNIX_NAME_MAX)
		return;
	keep_bound(len);
	name[0] = '@';
	if (len && bpf_probe_read_kernel(name + 1, len, &addr->name[0].sun_path[1]))
		return;
	n->len = len + 1;
	n->reason = EG_WHY_RULE;
	n->pass = !!(eg_dfa_perm(eg_dfa_child(d, k->p->start_abstract,
					      eg_feed_name(k->t, len + 1, k->p->names))) & EG_W);
}

/* other: raw, of another sandbox or of nobody */
static __always_inline void judge_unix(struct who *k, struct sock *other, struct unix_name *n)
{
	struct unix_sock *u = (struct unix_sock *)other;
	struct unix_address *addr = BPF_CORE_READ(u, addr);
	__u32 skip = bpf_core_field_offset(struct sockaddr_un, sun_path) + 1;
	__u32 len;

	n->dentry = BPF_CORE_READ(u, path.dentry);
	n->mnt = BPF_CORE_READ(u, path.mnt);
	if (n->dentry) {
		judge_path(k, n);
		return;
	}
	n->reason = EG_WHY_FOREIGN;
	if (!addr)
		return;
	len = BPF_CORE_READ(addr, len);
	if (len >= skip)
		judge_abstract(k, addr, len - skip, n);
}

/* For a traced sandbox that may reach it. */
static __always_inline struct eg_report *allowed_report(struct who *k)
{
	struct eg_report *r = get_report(k->t);

	if (!r) {
		trace_lost(&k->sb->id);
		return NULL;
	}
	r->v.send = 0;
	r->v.trace = 1;
	r->v.verdict = EG_VERDICT_ALLOWED;
	return r;
}

static __always_inline void emit_unix(struct who *k, const struct unix_name *n)
{
	struct eg_report *r = n->pass ? allowed_report(k) : my_report(k);
	struct eg_event *ev;
	__u32 len = n->len;

	if (!r)
		return;
	r->v.mnt = (__u64)n->mnt;
	r->v.dentry = (__u64)n->dentry;
	r->v.mnt2 = r->v.dentry2 = 0;
	r->v.err = n->pass ? 0 : -EPERM;
	r->v.op = EG_OP_UNIX;
	r->v.want = EG_W;
	r->v.reason = n->pass ? 0 : n->reason;
	if (n->dentry) {
		report_paths(k, r);
		return;
	}
	ev = (struct eg_event *)r->bytes;
	eg_begin_record(r, k->sb, k->p);
	keep_bound(len);
	ev->path_len = len;
	if (bpf_probe_read_kernel(r->bytes + sizeof(*ev), len, k->t->name) ||
	    (r->v.send && bpf_ringbuf_output(&events, r->bytes, sizeof(*ev) + len, 0)))
		event_lost(k->sb);
	if (r->v.trace)
		emit_trace(r, len);
}

static __always_inline int check_peer(struct who *k, struct sock *other)
{
	struct unix_name n = {};
	struct eg_id peer;
	bool stamped;

	k->sb = sandbox_of(k->t);
	k->p = k->sb ? policy_of(k->sb) : NULL;
	if (!k->p)
		return -EPERM;
	if (!(k->p->flags & EG_P_EGRESS))
		return 0;
	stamped = sock_id_raw(other, &peer) == 1;
	if (stamped && peer.sandbox == k->t->sandbox)
		return 0;
	judge_unix(k, other, &n);
	if (stamped && peer.sandbox && n.reason == EG_WHY_RULE)
		n.reason = EG_WHY_FOREIGN; /* another sandbox's */
	if (n.pass && !(k->p->flags & EG_P_TRACE))
		return 0;
	emit_unix(k, &n);
	return n.pass || (k->p->flags & EG_P_AUDIT) ? 0 : -EPERM;
}

/* May the running task reach this socket; raw. */
static __always_inline int judge_peer(struct sock *other)
{
	struct who k;
	int ret;

	ret = current_task(&k.t, false); /* the other one is locked */
	if (ret <= 0)
		return ret;
	ret = check_peer(&k, other);
	leave_task(k.t);
	return ret;
}

/*
 * The accepted end is the listener's sandbox's. When it cannot be stamped its
 * owner, at worst, finds its own end foreign; a caller from outside is not to suffer.
 */
static __always_inline void stamp_accepted(struct sock *listener, struct sock *newsk)
{
	struct eg_sock *from, *to;

	from = bpf_sk_storage_get(&sockets, listener, NULL, 0);
	if (!from)
		return;
	to = bpf_sk_storage_get(&sockets, newsk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!to) {
		count_stat(EG_ST_FAIL_STORAGE);
		return;
	}
	to->slot = from->slot;
	to->sandbox = from->sandbox;
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(unix_connect, struct sock *sock, struct sock *other, struct sock *newsk, int ret)
{
	if (ret)
		return ret;
	ret = judge_peer(other);
	if (ret)
		return ret;
	stamp_accepted(other, newsk);
	return 0;
}

SEC("lsm/unix_may_send")
int BPF_PROG(unix_may_send, struct socket *sock, struct socket *other, int ret)
{
	if (ret)
		return ret;
	return judge_peer(BPF_CORE_READ(other, sk));
}
