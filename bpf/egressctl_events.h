/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs tell user space: violations and traces. Part of
 * egressctl.h, by which it is included and whose rules hold here.
 */
#ifndef EGRESSCTL_EVENTS_H
#define EGRESSCTL_EVENTS_H

/* ---- events ------------------------------------------------------------------- */

enum eg_op {
	EG_OP_NONE = 0,
	/* paths: object is a path, `want` the permission missing */
	EG_OP_OPEN,
	EG_OP_EXEC,
	EG_OP_MMAP,
	EG_OP_CREATE,
	EG_OP_MKDIR,
	EG_OP_MKNOD,
	EG_OP_SYMLINK,
	EG_OP_UNLINK,
	EG_OP_RMDIR,
	EG_OP_RENAME, /* path and path2 */
	EG_OP_LINK, /* path and path2 */
	EG_OP_TRUNCATE,
	EG_OP_CHMOD,
	EG_OP_CHOWN,
	EG_OP_SETATTR,
	EG_OP_SETXATTR,
	EG_OP_RECEIVE, /* a descriptor passed in */
	EG_OP_IOCTL,
	EG_OP_CHROOT,
	/* egress: object is proto, address, port */
	EG_OP_SOCKET, /* aux: family << 32 | type << 16 | protocol */
	EG_OP_CONNECT,
	EG_OP_SEND,
	EG_OP_BIND,
	EG_OP_LISTEN,
	EG_OP_ACCEPT, /* somebody outside tried to connect in */
	EG_OP_PACKET, /* seen only on its way out: options, headers, revoked flow */
	EG_OP_UNIX, /* object is a path or '@' and a name; with FOREIGN: another sandbox's */
	EG_OP_NETLINK,
	EG_OP_SOCKOPT,
	EG_OP_RESOLVE, /* object is a name; aux: query type. Made by the resolver */
	EG_OP_SERVER_NAME, /* address, port, and the name presented there in data[] */
	/* guard */
	EG_OP_MOUNT,
	EG_OP_BPF,
	EG_OP_PTRACE, /* aux: pid of the target */
	EG_OP_SIGNAL, /* aux: pid << 32 | signal */
	EG_OP_CAPABLE, /* aux: capability */
	EG_OP_USERNS,
	EG_OP_KERNEL, /* modules, kexec, perf, … */
	EG_OP_IPC, /* aux: id of a SysV object, 0: a new one */
	EG_OP_KEY, /* aux: serial number, 0: a new one */
	EG_OP_TASK, /* scheduling, limits of an outsider */
	EG_OP_MAX
};

/* eg_event.reason: which part of the policy refused it */
enum eg_reason {
	EG_WHY_RULE = 0, /* a rule, or the default of its section */
	EG_WHY_UNPLACED, /* deleted, detached or disconnected object */
	EG_WHY_TOO_LONG, /* path or name over the limits */
	EG_WHY_ANCHOR, /* another name of an object a rule denies */
	EG_WHY_GAIN, /* rename or link that would give more access */
	/*
	 * belongs to a task or sandbox that is not its own; of a CONNECT, SEND or PACKET with
	 * a port: another sandbox listens there
	 */
	EG_WHY_FOREIGN,
	EG_WHY_METADATA, /* hard-denied metadata address */
	EG_WHY_LOOPBACK, /* listener of somebody else */
	EG_WHY_FAMILY, /* kind of socket */
	EG_WHY_HEADERS, /* IP options or routing headers */
	EG_WHY_REVOKED, /* was allowed when the flow began */
	EG_WHY_GUARD, /* never allowed in a sandbox */
	EG_WHY_DEAD, /* the sandbox is gone */
	EG_WHY_PRIVATE, /* the name has a private, loopback, link-local … address: `addr` */
	EG_WHY_NO_NAME, /* no server name, or not all of it in one piece */
	EG_WHY_NOT_TLS, /* neither TLS nor HTTP, where names are checked */
	EG_WHY_QUOTA, /* the sandbox has as many as one may have */
	EG_WHY_RIGHTS, /* a program that would gain rights by set-uid, set-gid, capabilities */
	EG_WHY_FAILURE, /* an internal failure; eg_event.error says which */
	EG_WHY_DEVICE, /* a character device that is more than a file */
	EG_WHY_MAX
};

#define EG_VERDICT_DENIED 1u
#define EG_VERDICT_AUDIT 2u /* would have been denied */
#define EG_VERDICT_ALLOWED 3u /* EG_P_TRACE: was allowed */

struct eg_parent { /* of the task of an event, as the kernel had it then */
	__u32 pid; /* thread group, initial pid namespace; 0: none */
	char comm[16]; /* chosen by the task: untrusted */
};

struct eg_event {
	__u64 time; /* ns, CLOCK_BOOTTIME */
	__u64 seq; /* per sandbox, from 1; a hole is a lost event */
	__u64 sandbox;
	__u64 aux; /* by operation, see enum eg_op */
	__u64 suppressed; /* total of this sandbox so far */
	__u64 lost; /* total of this sandbox so far */
	__u32 pid; /* thread group, in the initial pid namespace; 0: not known */
	__u32 tid;
	__u32 uid;
	__u32 serial; /* version that judged */
	__u32 rule; /* as in eg_port; 0: let user space find it from the object */
	__s32 error; /* errno returned, positive */
	__u16 op; /* enum eg_op */
	__u8 reason; /* enum eg_reason */
	__u8 verdict; /* EG_VERDICT_* */
	__u8 want; /* EG_R … */
	__u8 proto; /* IPPROTO_* */
	__u16 port; /* network byte order */
	__u8 addr[16]; /* network byte order, IPv4 mapped */
	char comm[16]; /* chosen by the task: untrusted */
	struct eg_parent parents[EG_MAX_PARENTS]; /* the nearest first */
	__u16 path_len; /* bytes of data[]: first path or name, no NUL */
	__u16 path2_len; /* then a second one (rename, link) */
	__u16 exe_len; /* then the executable's path; 0: not known */
	__u16 pad;
	char data[];
};
#define EG_EVENT_DATA_MAX (2 * EG_PATH_MAX + 1024) /* an exe over 1023 is cut to 0 */

/* ---- traces: what a sandbox touched, EG_P_TRACE ------------------------------------ */

/*
 * Records are struct eg_event, in the ring `touched`, each access once: an access
 * that was made before in the same way is only counted. seq and parents are 0.
 * Their own ring, so that a build that opens 100,000 files costs no violation.
 */
#define EG_TRACE_DIR 1u /* eg_event.aux of a record about a path: a directory */

struct eg_trace { /* hash map `traces`, key: __u64 sandbox; it is traced when it is there */
	__u64 lost; /* records for which there was no room */
	__u64 uncounted; /* packets to destinations above EG_TRAFFIC_QUOTA, or without room */
	__u64 dests; /* in `traffic` */
};

struct eg_seen_key { /* LRU hash `seen`, value: __u64, how often */
	__u64 sandbox;
	__u64 hash; /* of all that the record says of the access, path and program too */
};

/* Bytes on the wire, headers included, as programs on the sandbox's own cgroup count them. */
struct eg_traffic_key { /* hash map `traffic` */
	__u64 sandbox;
	__u8 addr[16]; /* of the other end: network byte order, IPv4 mapped */
	__u16 port; /* network byte order: the other end's; with `served` its own */
	__u8 proto; /* IPPROTO_* */
	__u8 served; /* of a connection that came in */
	__u32 pad;
};

/* eg_traffic.said: how its TCP connections began */
#define EG_SAID_TLS (1u << 0)
#define EG_SAID_HTTP (1u << 1)
#define EG_SAID_OTHER (1u << 2)
#define EG_SAID_CONNECT (1u << 3) /* HTTP, asking a proxy for somewhere else */
#define EG_SAID_NEXT (1u << 31) /* a connection has begun: what comes next is its first data */

struct eg_traffic {
	__u64 bytes_out;
	__u64 packets_out;
	__u64 bytes_in;
	__u64 packets_in;
	__u32 said;
	__u32 pad;
};

#endif
