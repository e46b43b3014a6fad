/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one contract between the kernel programs and user space.
 *
 * Every record has fixed-width fields and explicit zeroed padding; its size is
 * asserted at the end of this file, which both sides compile. Addresses and
 * ports say their byte order. A change to anything here changes EG_ABI, which
 * user space compares before it adopts pinned maps.
 *
 * Included by BPF programs (after vmlinux.h) and by user space (after
 * <linux/types.h>, for __u8 … __u64).
 */
#ifndef EGRESSCTL_H
#define EGRESSCTL_H

#ifndef EG_ABI /* tests make an egressd of the next one */
#define EG_ABI 6u
#endif

/* ---- limits ------------------------------------------------------------ */

#define EG_MAX_SANDBOXES 4096u /* live at one time; one array slot each */
#define EG_MAX_POLICIES 1024u /* compiled versions in the maps at one time */
#define EG_DFA_SLOTS (1u << 21) /* shared by all versions, 16 MiB */
#define EG_MAX_PREFIXES 131072u /* LPM entries of all versions together */
#define EG_MAX_PORTS 131072u /* port intervals of all versions together */
#define EG_MAX_ANCHORS 65536u /* anchored objects of all versions */
#define EG_MAX_LISTEN 8u /* port ranges in `listen` of one policy */
#define EG_MAX_CLASSES 16u /* services (ports and how they are checked) of one policy's names */
#define EG_MAX_BINDINGS 262144u /* addresses of names, all sandboxes together */
#define EG_MAX_SERVER_NAME 253u /* bytes of a DNS name as text, RFC 1035 2.3.4 */
#define EG_MAX_TTYS 4u /* terminals a sandbox was started on */
#define EG_PATH_MAX 4096u /* longest judged path, the NUL included */
#define EG_NAME_MAX 255u /* longest file name (NAME_MAX) */
#define EG_MEMO_WAYS 4u /* versions/mounts remembered per directory */
#define EG_BLOOM_WORDS 16u /* 1024 bits over the anchors of a version */
#define EG_EVENT_RING (8u << 20) /* bytes */
#define EG_QUERY_RING (1u << 20) /* bytes */
#define EG_QUERY_MAX 1232u /* bytes of one DNS query, as in RFC 9715 */
#define EG_MAX_QUERIES 64u /* of one sandbox that were not taken yet */
#define EG_MAX_GRANTS 16u /* of one sandbox at one time, denials included */
#define EG_MAX_PARENTS 4u /* ancestors that an event names */
#define EG_CGROUP_DEPTH 16u /* deepest level of a cgroup that a sandbox can be */
#define EG_MAX_COVERED 8192u /* cgroups that the programs for sockets are attached to */
#define EG_MAX_PATTERNS 64u /* of cgroups that get a policy as they are made */
#define EG_PATTERN_MAX 256u /* bytes of one; power of two */
#define EG_MAX_PENDING 1024u /* cgroups that wait for their policy; more are told and not held */
#define EG_CGROUP_PATH 1024u /* bytes, NUL included, that the tracepoints have of a path */
#define EG_TRACE_RING (4u << 20) /* bytes: what traced sandboxes touched */
#define EG_TRACE_SEEN 65536u /* accesses of all of them that are not reported again */
#define EG_MAX_TRAFFIC 16384u /* destinations of all of them */
#define EG_TRAFFIC_QUOTA 2048u /* … of one */
#define EG_MAX_IPC 65536u /* SysV objects of all sandboxes; a namespace has 68,096 at most */
#define EG_IPC_QUOTA 256u /* … of one sandbox: memory, queues and semaphores together */
#define EG_MAX_SCOUTED 64u /* one scout at a time, and what killed ones left */
#define EG_MAX_PTYS 16384u /* pseudo terminals of all sandboxes; the kernel has 4,096, pty.max */
#define EG_PTY_QUOTA 128u /* … of one */
#define EG_MAX_KEYS 65536u /* keys of all sandboxes */
#define EG_KEY_QUOTA 128u /* … of one, keyrings included; the kernel gives a user 200 */

#define EG_MAX_ROOMS 1024u /* programs half-way at one time, see report.bpf.h */
#define EG_ROOM_QUOTA 128u /* … of one sandbox */

/* ---- path permissions: the bits of "rwxc" -------------------------------- */

#define EG_R 1u /* open for reading, list a directory */
#define EG_W 2u /* open for writing, truncate, re-mode, re-own, attributes */
#define EG_X 4u /* execute, map executable */
#define EG_C 8u /* create, rename, link, remove: judged at the name */
#define EG_PERM_ALL 15u

/* ---- the automaton ------------------------------------------------------- */

/*
 * Two deterministic automata in one array. The first reads the bytes of one
 * name and says what kind of name it is; the second goes from a directory's
 * state and that kind to the state of what has the name there. So the bytes of
 * a name cost the same under any rules, and a rule like "**" + "/.env" does not
 * multiply the names below every directory. See dfa.h for the steps:
 *
 *	state = policy->start_path;                     "/"
 *	for each name of the path:
 *		n = policy->names;
 *		for each byte:  n = eg_dfa_byte(dfa, n, byte);
 *		state = eg_dfa_child(dfa, state, n);
 *	eg_dfa_perm(state) is the permission in force at the path
 *
 * A state is what its object and everything below it may be used for: a file's
 * and a directory's are found the same way, and two directories under the same
 * rules have the same state. eg_dfa_floor() and eg_dfa_ceil() are the least and
 * the most permission of anything at or below it: a directory may move from s
 * to t when perm(t) is within perm(s), and s == t or ceil(t) is within floor(s).
 * State 0 is "nothing here or below can be allowed", for ever.
 *
 * A unix socket is fed as its path from start_unix; an abstract one as the one
 * name '@' + its bytes ('/' and NUL included) from start_abstract. EG_W there
 * means that it may be reached.
 *
 * Representation: rows displaced over each other. A row's first slot is its
 * header, symbol y's successor is at header + 1 + y if that slot's `from` is
 * the row's state; else the header has the default. A state is the index of its
 * header and some bits. All slots a row can look at belong to its version.
 */
struct eg_dfa_slot {
	__u32 from; /* state; in a header EG_DFA_HEAD and details; 0: free */
	__u32 to; /* successor; in a header: the default one */
} __attribute__((aligned(8)));

#define EG_DFA_FIRST 512u /* lowest slot a version gets: state 0's row stays free */
#define EG_DFA_INDEX (EG_DFA_SLOTS - 1) /* a state's header */
#define EG_DFA_VIA (1u << 26) /* in a default: look at that state's row instead */
#define EG_DFA_PERM_SHIFT 27 /* a path state's permission */
#define EG_DFA_HEAD (1u << 31) /* in `from` of a header; never set in a state */
/* details in a path state's header */
#define EG_DFA_FLOOR_SHIFT 0
#define EG_DFA_CEIL_SHIFT 4
#define EG_DFA_CLASSES_SHIFT 8 /* how far on the row is that knows classes of names */
/* details in a name state's header: symbols of the names that end there; 0: none */
#define EG_DFA_SYM_BITS 17 /* low bits: of this very name */
#define EG_DFA_SYM_MASK ((1u << EG_DFA_SYM_BITS) - 1)
#define EG_DFA_CLASS_SHIFT EG_DFA_SYM_BITS /* the bits up to 30: of its class */
#define EG_DFA_CLASS_MASK ((1u << (31 - EG_DFA_SYM_BITS)) - 1)
#define EG_DFA_WIDER 256u /* a name state's symbol for EG_DFA_HEAD | its wider class */

struct eg_dfa { /* the one value of the array map `dfa`, mapped by user space */
	struct eg_dfa_slot slots[EG_DFA_SLOTS];
	struct eg_dfa_slot end; /* a masked index + 1 */
};

/* ---- a version: one compiled policy --------------------------------------- */

/* eg_policy.flags */
#define EG_P_AUDIT (1u << 0) /* report, do not refuse */
#define EG_P_STRICT (1u << 1) /* exec: strict */
#define EG_P_LOOPBACK_OWN (1u << 2) /* listeners of the same sandbox */
#define EG_P_PATHS (1u << 3) /* path rules are judged at all */
#define EG_P_EGRESS (1u << 4) /* egress rules are judged at all */
#define EG_P_TRACE (1u << 5) /* report what was allowed, too: learn, report */

/* eg_policy.privileges: guards the policy lifts, by the name in `privileges` */
#define EG_PRIV_MOUNTS (1u << 0) /* mounts */
#define EG_PRIV_USERNS (1u << 1) /* userns */
#define EG_PRIV_PTRACE (1u << 2) /* ptrace: outsiders too */
#define EG_PRIV_NET_ADMIN (1u << 3) /* net_admin */
#define EG_PRIV_NO_IO_URING (1u << 4) /* io_uring off: the only one that takes away */
#define EG_PRIV_BPF (1u << 5) /* bpf */
#define EG_PRIV_SYS_ADMIN (1u << 6) /* sys_admin */
#define EG_PRIV_IPC (1u << 7) /* ipc: SysV objects of outsiders too */
#define EG_PRIV_KEYS (1u << 8) /* keys: keys of outsiders too, and helpers that make some */
#define EG_PRIV_SYS_NICE (1u << 9) /* sys_nice: real-time scheduling, better priorities */
#define EG_PRIV_SYS_RESOURCE (1u << 10) /* sys_resource: beyond hard limits, reserves, quotas */
#define EG_PRIV_DEVICES (1u << 11) /* devices: those that rules for paths give */

/* eg_policy.sockets: kinds beyond TCP, UDP, unix and netlink:route */
#define EG_SOCK_RAW (1u << 0)
#define EG_SOCK_PACKET (1u << 1)
#define EG_SOCK_VSOCK (1u << 2)
#define EG_SOCK_PING (1u << 3) /* SOCK_DGRAM, IPPROTO_ICMP(V6) */
#define EG_SOCK_SCTP (1u << 4)
#define EG_SOCK_MPTCP (1u << 5)
#define EG_SOCK_ALG (1u << 6)
#define EG_SOCK_BLUETOOTH (1u << 7)
#define EG_SOCK_CAN (1u << 8)
#define EG_SOCK_XDP (1u << 9)

/* who may connect to a listening socket of the sandbox */
#define EG_LISTEN_NONE 0u
#define EG_LISTEN_OWN 1u /* tasks of the same sandbox */
#define EG_LISTEN_HOST 2u /* any local process too */
#define EG_LISTEN_ANY 3u

struct eg_listen {
	__u16 lo; /* host byte order, inclusive */
	__u16 hi;
	__u16 mode; /* EG_LISTEN_* */
	__u16 pad;
};

/*
 * Names: what a domain rule opens is a class, ports and how they are checked.
 * Rules with the same services share one. Four classes fit in the permission
 * bits of a state, so that classes 4 g … 4 g + 3 have a start of their own,
 * start_domain[g]. A name is fed label by label from its end, in lower case
 * ("www.example.com": com, example, www), as the names of a path are.
 */
#define EG_DOMAIN_GROUPS (EG_MAX_CLASSES / 4)

/* eg_class.flags */
#define EG_CL_TLS_OFF (1u << 0) /* what is sent is not looked at */
#define EG_CL_TLS_MAYBE (1u << 1) /* a TLS hello is checked, everything else passes */
#define EG_CL_PROXY (1u << 2) /* HTTP proxy: the names in its requests are judged */
#define EG_CL_PRIVATE (1u << 3) /* the name may be at a private address */

struct eg_class {
	__u16 lo; /* host byte order, inclusive */
	__u16 hi;
	__u8 proto; /* IPPROTO_TCP, IPPROTO_UDP; 0: nothing is in this class */
	__u8 flags; /* EG_CL_* */
	__u16 origin; /* 0: the policy; else the grant whose class this is, for user space */
};

/*
 * A grant is a version of its own: the policy and the rules that are granted, with
 * the time at which it lapses and the version that holds from then on (the grants
 * that last longer, and at last the policy alone). Programs follow `next` by
 * themselves, so that a grant ends on time whatever becomes of egressd.
 */
struct eg_policy { /* array map `policies` */
	__u32 serial; /* never reused in one boot; 0: the slot is free */
	__u32 flags; /* EG_P_* */
	__u32 start_path; /* automaton states */
	__u32 start_unix;
	__u32 start_abstract;
	__u32 names; /* where the bytes of each name are fed from */
	__u32 privileges; /* EG_PRIV_* */
	__u32 sockets; /* EG_SOCK_* */
	__u32 netlink; /* bit per netlink protocol (NETLINK_ROUTE = bit 0, …) */
	__u32 listen_default; /* EG_LISTEN_* */
	__u32 nlisten;
	__u32 nanchors;
	__u32 nclasses; /* 0: no name is allowed */
	__u32 family; /* versions of one family mean the same by a class's number */
	__u64 lapses; /* ns, CLOCK_BOOTTIME: `next` holds from then on; 0: never */
	__u32 next; /* index in `policies` */
	__u32 pad;
	__u32 start_domain[EG_DOMAIN_GROUPS];
	struct eg_class classes[EG_MAX_CLASSES];
	struct eg_listen listen[EG_MAX_LISTEN];
	__u64 bloom[EG_BLOOM_WORDS]; /* of eg_anchor_hash(): zero bit = no anchor */
};

/* ---- egress by address ----------------------------------------------------- */

/* eg_port.verdict, in the order in which they win */
#define EG_V_DENY_HARD 1u /* metadata addresses, unless named */
#define EG_V_DENY 2u
#define EG_V_ALLOW 3u

/*
 * LPM trie `prefixes`. IPv4 is mapped (::ffff:a.b.c.d). User space folds the
 * rules of shorter prefixes into longer ones, so the longest match alone is
 * the answer. Key prefixlen counts the 32 bits of `serial` too.
 */
struct eg_prefix_key {
	__u32 prefixlen; /* bits: 32 + 0 … 128 */
	__u32 serial; /* eg_policy.serial, host byte order */
	__u8 addr[16]; /* network byte order */
};

struct eg_prefix {
	__u32 first; /* into `ports`, sorted by (proto, lo), disjoint */
	__u32 count;
};

/* array map `ports`; what is in no interval takes the default: refused */
struct eg_port {
	__u16 lo; /* host byte order, inclusive */
	__u16 hi;
	__u8 proto; /* IPPROTO_TCP, IPPROTO_UDP, …; every protocol is spelt out */
	__u8 verdict; /* EG_V_* */
	__u16 pad;
	__u32 rule; /* index in the version's rule table in user space, + 1 */
};

/* ---- egress by name --------------------------------------------------------- */

/*
 * An address that an allowed name of this sandbox has. The resolver puts it here
 * before it answers; the kernel compares the time itself. What is expired stays
 * for the flows that began before, until the resolver needs its place.
 */
struct eg_binding_key { /* hash map `bindings` */
	__u32 sandbox; /* its id: user space makes none that is longer, hashing more costs more */
	__u32 family; /* eg_policy.family that `classes` is about */
	__u8 addr[16]; /* network byte order, IPv4 mapped */
};

struct eg_binding {
	__u64 expires; /* ns, CLOCK_BOOTTIME: no new flow after it */
	__u64 used; /* ns, CLOCK_BOOTTIME: a flow was last allowed by it; written by the kernel */
	__u32 classes; /* bit per eg_policy.classes: of all names that have the address */
	__u32 pad;
};

/*
 * A datagram for a DNS server, from a socket that is not connected, on its way to
 * the resolver: ring buffer `queries`. Connected ones are redirected when they
 * connect; a program at each sendto() would cost more than the packet's own judge.
 */
struct eg_query {
	__u64 sandbox;
	__u8 addr[16]; /* who asks: network byte order, IPv4 mapped */
	__u16 port; /* network byte order */
	__u16 len; /* of data */
	__u32 pad;
	__u8 data[EG_QUERY_MAX];
};

/* ---- anchors: literal `none` (and lesser) rules bound to the object ----------- */

struct eg_object { /* an object as the kernel tells it from others, see bpf/walk.bpf.h */
	__u64 ino; /* inode.i_ino; on overlayfs the inode's address */
	__u32 dev; /* super_block.s_dev */
	__u32 generation; /* of the number, where the filesystem keeps one; else 0 */
};

struct eg_anchor_key { /* hash map `anchors` */
	struct eg_object object;
	__u32 serial; /* eg_policy.serial */
	__u32 pad;
};

/*
 * Reached by whatever other name, the object and what lies below it are judged
 * a second time as if from `state`, and the smaller permission holds.
 */
struct eg_anchor {
	__u32 state; /* of the automaton at the path the rule names */
	__u32 rule; /* as in eg_port */
};

static inline __attribute__((always_inline)) __u32 eg_anchor_hash(__u64 ino, __u32 dev)
{
	__u64 x = (ino ^ ((__u64)dev << 40)) * 0x9e3779b97f4a7c15ull;

	return (__u32)(x >> 54); /* 0 … 1023 */
}

/* ---- sandboxes ---------------------------------------------------------------- */

/* eg_sandbox.state */
#define EG_S_FREE 0u
#define EG_S_LIVE 1u
#define EG_S_DEAD 2u /* removed: survivors and left sockets are refused everything */
#define EG_S_DETACHED 3u /* taken off a workload: what sockets still carry means nothing */

struct eg_sandbox { /* array map `sandboxes`, index = slot */
	__u64 id; /* never reused in one boot, at most 2^32 - 1; 0 is nobody */
	__u64 cgroup; /* kernfs id of the sandbox's cgroup directory */
	__u32 state; /* EG_S_* */
	__u32 policy; /* index in `policies`: one store switches the version */
	__u32 generation; /* of egress: bumped by whatever takes a destination away */
	__u32 uid; /* who asked for it */
	__u32 depth; /* cgroup level of `cgroup`, for ancestor checks */
	__u32 nttys;
	__u16 dns_port; /* network byte order, on the loopback of its namespace; 0: no resolver */
	__u16 pad;
	__u32 mnt_ns; /* number of the mount namespace it began in */
	__u32 ttys[EG_MAX_TTYS]; /* kernel dev_t of the terminals it began on */
	__u32 ev_rate; /* events a second let through once ev_burst is used */
	__u32 ev_burst;
	__u32 dns_waiting; /* queries in the ring; up by the kernel, down by the resolver */
	__u32 ipc_objects; /* in `ipc_objects`; counted by the kernel */
	__u32 nkeys; /* in `keys`; counted by the kernel */
	__u32 nptys; /* in `ptys`; counted by the kernel */
	__u32 pad2;
	__u32 flags; /* EG_SB_* */
	__u64 lapses; /* ns, CLOCK_BOOTTIME: no version in force ends before it; 0: none ends */
	/* written by the kernel programs */
	__u64 ev_seq; /* of the last event, lost ones included */
	__u64 ev_tokens; /* time (ktime ns) up to which tokens are spent */
	__u64 ev_suppressed; /* not sent because of ev_rate */
	__u64 ev_lost; /* no room in the ring */
	__u64 denied; /* violations, sent or not */
	__u64 failed; /* internal failures, each of them a denial */
};

/* eg_sandbox.flags */
#define EG_SB_RIGHTS (1u << 0) /* set-uid programs may gain their rights: an ordinary user's */

#define EG_MAX_RUNTIMES 64u /* programs that set containers and units up */

/* what a task carries: task storage `tasks`, written at entry, inherited in task_alloc */
#define EG_T_SCOUT (1u << 0) /* a thread of the agent that looks up anchors; not sandboxed */
#define EG_T_ENTERING (1u << 1) /* a container runtime setting up, until its next program */

struct eg_task {
	__u64 sandbox; /* eg_sandbox.id; 0: not sandboxed; first in every ABI: user/bpf_abis.h */
	__u32 slot;
	__u32 flags; /* EG_T_* */
	/* scratch of the path programs, private to this task */
	__u64 key[6]; /* what the memo is asked for */
	__u64 found[6]; /* what is at the two names of a move */
	__u32 fed; /* state of a long name, half-way */
	__u32 queue; /* it makes a POSIX queue, and is about to be asked for CAP_SYS_RESOURCE */
	char name[EG_NAME_MAX + 1]; /* the last name of the path being judged */
};

/* what the scout's file_open saw; hash map `scouted`, key: __u32 thread id */
struct eg_scouted {
	struct eg_object object;
	__u32 held; /* the object is only known by its address: keep it open */
	__u32 pad;
};

/*
 * What a socket carries: sk storage `sockets` (BPF_F_CLONE). It begins as
 * struct eg_task does. Behind that, the last destination found allowed: IPv4 in
 * one word, so that no lock is needed, IPv6 guarded by `lock`. Only the kernel
 * programs read and write this.
 */
struct eg_sock {
	__u64 sandbox; /* eg_sandbox.id of the task that made it */
	__u32 slot;
	__u32 flags; /* EG_SK_* */
	__u64 key4; /* address << 32 | port << 16 | protocol << 8 | generation; 0: none */
	__u8 addr[16];
	__u16 port; /* network byte order */
	__u8 proto; /* 0: none */
	__u8 own; /* EG_SK_OWN4, EG_SK_OWN6 */
	__u32 generation4; /* of the sandbox when key4 was judged */
	__u32 generation6; /* … when addr was */
	__u32 refused; /* generation in which a refused packet was reported */
#ifdef __bpf__
	struct bpf_spin_lock lock; /* the type is what tells the verifier */
#else
	__u32 lock;
#endif
	__u16 dns_port; /* network byte order; 0: never sent to the resolver */
	__u16 pad;
	__u8 asked[16]; /* the server it meant to ask last, IPv4 mapped */
	/* of a flow that was allowed by name, and what was said on it so far */
	__u64 said_since; /* ns, CLOCK_BOOTTIME: first piece that could not be judged; 0: none */
	__u32 said_until; /* sequence number up to which the bytes belong to what was judged */
	__u16 said_tunnel; /* port that a CONNECT was allowed to; 0: none */
	__u8 said_kind; /* what was judged last, enum hello_kind; 0: nothing yet */
	__u8 pad2;
	__u32 said_family; /* eg_policy.family that said_classes is about */
	__u32 said_classes; /* that the names said so far are allowed in; 0: not looked at */
};
#define EG_SK_ACCEPTED (1u << 0) /* listens, or came in through a listener: `listen` decides */
#define EG_SK_REFUSED (1u << 1) /* `refused` is set */
#define EG_SK_BEFORE (1u << 2) /* its conversation began before the sandbox */
#define EG_SK_ADOPTED (1u << 3) /* stamped by its cgroup alone, by a packet or a call of its own */
#define EG_SK_LENT (1u << 4) /* of a cgroup of others, who have it back when the sandbox ends */
#define EG_SK_OWN4 1u /* key4 holds because of who the peer is: not for a new connection */
#define EG_SK_OWN6 2u

/*
 * What sandboxes made of what has no file: a sandbox may use these and no others. What
 * is in neither map is an outsider's. Both maps are keyed by the object's address.
 */
struct eg_ipc_object { /* hash map `ipc_objects`, key: __u64, of the kern_ipc_perm */
	__u64 sandbox; /* eg_sandbox.id */
	__u32 slot;
	__s32 id; /* shmid, msqid, semid */
	__u32 kind; /* EG_IPC_* */
	__u32 ns; /* number of its IPC namespace */
};

/* eg_ipc_object.kind: the order of ipc_namespace.ids, ipc/util.h */
#define EG_IPC_SEM 0u
#define EG_IPC_MSG 1u
#define EG_IPC_SHM 2u

struct eg_key { /* hash map `keys`, key: __u64, address of the struct key */
	__u64 sandbox; /* eg_sandbox.id */
	__u32 slot;
	__u32 pad;
};

/* which sandbox a cgroup is: hash map `cgroups`, key: __u64 kernfs id of the directory */
struct eg_cgroup {
	__u64 sandbox;
	__u32 slot;
	__u32 flags; /* EG_CG_* */
};
#define EG_CG_MARK (1u << 0) /* a task that comes into it gets the sandbox's mark */

/* ---- running workloads ---------------------------------------------------------- */

/*
 * What the iterators of attach.bpf.c are asked to do, and what they found: the one
 * value of the array map `attaching`. Used by one process of the agent at a time.
 */
struct eg_attach {
	__u64 sandbox;
	__u64 cgroup; /* tasks in it or below it; 0: tasks with the sandbox's mark */
	__u32 slot;
	__u32 depth; /* level of `cgroup` */
	__u32 what; /* EG_AT_* */
	__u32 mnt_ns; /* that the workload is expected in */
	__u32 sockets; /* eg_policy.sockets: kinds that may stay */
	/* found */
	__u32 tasks; /* that were looked at */
	__u32 changed; /* tasks or sockets that got, or lost, what they carry */
	__u32 failed; /* … and could not */
	__u32 others; /* belong to another sandbox */
	__u32 elsewhere; /* tasks in another mount namespace */
	__u32 rings; /* tasks with an io_uring, descriptors of one */
	__u32 tracer; /* thread group that traces one outside; 0: none */
	__u32 tracee;
	__u32 pad;
};
#define EG_AT_COUNT 1u /* only look, and remember where it listens */
#define EG_AT_MARK 2u
#define EG_AT_CLEAR 3u
#define EG_AT_SEIZE 4u /* as EG_AT_MARK, and what looks like a container runtime at once, too */

/* What the kernel tells the agent of attached cgroups: ring buffer `arrivals`. */
struct eg_arrival {
	__u64 sandbox; /* whose; 0: of none yet */
	__u64 cgroup; /* kernfs id, of one that waits for its policy; else 0: a task came in */
	__u32 pid; /* thread group that is the first in it; 0: not known */
	__u32 pad;
};
#define EG_ARRIVAL_RING (1u << 16) /* bytes; what finds no room is in eg_holding.missed */

/* ---- cgroups that get a policy before anything runs in them ------------------------ */

/* array map `patterns`: two lists, of which eg_holding.first is in force; see pattern.h */
struct eg_pattern {
	__u16 len; /* 0: the list ends */
	__u16 whole; /* compared with the path; else with its last name */
	char text[EG_PATTERN_MAX];
};

/*
 * The one value of the array map `holding`, mapped by user space. A cgroup that matches
 * is put into the hash `pending` (key: kernfs id, value: EG_PD_*) as it is made, and
 * the first program in it is held until it is in there no more.
 */
struct eg_holding {
	__u32 npatterns; /* 0: nothing is looked for */
	__u32 pending; /* at least as many as are in `pending`; 0: nobody looks there */
	__u32 missed; /* arrivals that found no room, cgroups that `pending` had no room for */
	__u32 mnt_ns; /* of the agent: where programs set containers up */
	__u64 held; /* how often a program was held */
	__u32 spared_len; /* of `spared` */
	__u32 first; /* of `patterns`: 0 or EG_MAX_PATTERNS */
	char spared[EG_CGROUP_PATH]; /* the agent's cgroup: it and those above are never held */
};
#define EG_PD_TOLD (1u << 0) /* the agent knows of what is in it */
#define EG_PD_FREE (1u << 1) /* nobody is held any more, and who is goes on */

/* a socket that cannot be judged where it is: what the iterator over files writes */
struct eg_stray {
	__u64 cgroup; /* kernfs id of the one it belongs to; 0: of a kind nobody judges */
	__u32 pid; /* thread group that holds it */
	__u32 fd;
	__u32 family; /* AF_* */
	__u32 pad;
};

/* ---- events, traces --------------------------------------------------------------- */

#include "egressctl_events.h"

/* ---- counters: per-CPU array `stats` ------------------------------------------- */

enum eg_stat {
	EG_ST_PATH_WALK = 0, /* judged by walking; the memo's answers are not counted */
	EG_ST_PATH_RETRY, /* a rename got in between */
	EG_ST_FAIL_STORAGE, /* task, socket or inode storage could not be had */
	EG_ST_FAIL_WALK, /* walk too deep or unreadable */
	EG_ST_FAIL_MAP, /* a map was full or an index out of range */
	EG_ST_BUSY_STORAGE, /* helper said NULL, the list said otherwise */
	EG_ST_EVENT_LOST,
	EG_ST_EVENT_SUPPRESSED,
	EG_ST_MAX
};

/* ---- sizes, on both sides --------------------------------------------------------- */

_Static_assert(sizeof(struct eg_dfa_slot) == 8, "eg_dfa_slot");
_Static_assert(EG_DFA_INDEX < EG_DFA_VIA, "eg_dfa state bits");
_Static_assert(sizeof(struct eg_policy) ==
		       88 + 8 * (EG_MAX_CLASSES + EG_MAX_LISTEN + EG_BLOOM_WORDS), "eg_policy");
_Static_assert(sizeof(struct eg_prefix_key) == 24, "eg_prefix_key");
_Static_assert(sizeof(struct eg_port) == 12, "eg_port");
_Static_assert(sizeof(struct eg_class) == 8, "eg_class");
_Static_assert(sizeof(struct eg_binding_key) == 24, "eg_binding_key");
_Static_assert(sizeof(struct eg_binding) == 24, "eg_binding");
_Static_assert(sizeof(struct eg_anchor_key) == 24, "eg_anchor_key");
_Static_assert(sizeof(struct eg_ipc_object) == 24, "eg_ipc_object");
_Static_assert(sizeof(struct eg_key) == 16, "eg_key");
_Static_assert(sizeof(struct eg_sandbox) == 152, "eg_sandbox");
_Static_assert(sizeof(struct eg_task) == 376, "eg_task");
_Static_assert(sizeof(struct eg_sock) == 104, "eg_sock");
_Static_assert(sizeof(struct eg_cgroup) == 16, "eg_cgroup");
_Static_assert(sizeof(struct eg_attach) == 72, "eg_attach");
_Static_assert(sizeof(struct eg_stray) == 24, "eg_stray");
_Static_assert(sizeof(struct eg_arrival) == 24, "eg_arrival");
_Static_assert(sizeof(struct eg_pattern) == 4 + EG_PATTERN_MAX, "eg_pattern");
_Static_assert(sizeof(struct eg_holding) == 32 + EG_CGROUP_PATH, "eg_holding");
_Static_assert(sizeof(struct eg_query) == 32 + EG_QUERY_MAX, "eg_query");
_Static_assert(sizeof(struct eg_event) == 200, "eg_event");
_Static_assert(sizeof(struct eg_traffic_key) == 32, "eg_traffic_key");
_Static_assert(sizeof(struct eg_traffic) == 40, "eg_traffic");

#endif
