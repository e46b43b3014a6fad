// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The words of egressctl-events(5): part of the format, never to be changed. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "../bpf/egressctl.h"
#include "event_text.h"
#include "util.h"

static const char *const op_names[EG_OP_MAX] = {
	[EG_OP_NONE] = "end",
	[EG_OP_OPEN] = "open",
	[EG_OP_EXEC] = "exec",
	[EG_OP_MMAP] = "mmap",
	[EG_OP_CREATE] = "create",
	[EG_OP_MKDIR] = "mkdir",
	[EG_OP_MKNOD] = "mknod",
	[EG_OP_SYMLINK] = "symlink",
	[EG_OP_UNLINK] = "unlink",
	[EG_OP_RMDIR] = "rmdir",
	[EG_OP_RENAME] = "rename",
	[EG_OP_LINK] = "link",
	[EG_OP_TRUNCATE] = "truncate",
	[EG_OP_CHMOD] = "chmod",
	[EG_OP_CHOWN] = "chown",
	[EG_OP_SETATTR] = "setattr",
	[EG_OP_SETXATTR] = "setxattr",
	[EG_OP_RECEIVE] = "receive",
	[EG_OP_IOCTL] = "ioctl",
	[EG_OP_CHROOT] = "chroot",
	[EG_OP_SOCKET] = "socket",
	[EG_OP_CONNECT] = "connect",
	[EG_OP_SEND] = "send",
	[EG_OP_BIND] = "bind",
	[EG_OP_LISTEN] = "listen",
	[EG_OP_ACCEPT] = "accept",
	[EG_OP_PACKET] = "packet",
	[EG_OP_UNIX] = "unix",
	[EG_OP_NETLINK] = "netlink",
	[EG_OP_SOCKOPT] = "sockopt",
	[EG_OP_RESOLVE] = "resolve",
	[EG_OP_SERVER_NAME] = "server-name",
	[EG_OP_MOUNT] = "mount",
	[EG_OP_BPF] = "bpf",
	[EG_OP_PTRACE] = "ptrace",
	[EG_OP_SIGNAL] = "signal",
	[EG_OP_CAPABLE] = "capable",
	[EG_OP_USERNS] = "userns",
	[EG_OP_KERNEL] = "kernel",
	[EG_OP_IPC] = "ipc",
	[EG_OP_KEY] = "key",
	[EG_OP_TASK] = "task",
};

static const char *const reason_names[EG_WHY_MAX] = {
	[EG_WHY_RULE] = "rule",
	[EG_WHY_UNPLACED] = "unplaced",
	[EG_WHY_TOO_LONG] = "too-long",
	[EG_WHY_ANCHOR] = "anchor",
	[EG_WHY_GAIN] = "gain",
	[EG_WHY_FOREIGN] = "foreign",
	[EG_WHY_METADATA] = "metadata",
	[EG_WHY_LOOPBACK] = "loopback",
	[EG_WHY_FAMILY] = "family",
	[EG_WHY_HEADERS] = "headers",
	[EG_WHY_REVOKED] = "revoked",
	[EG_WHY_GUARD] = "guard",
	[EG_WHY_DEAD] = "dead",
	[EG_WHY_PRIVATE] = "private",
	[EG_WHY_NO_NAME] = "no-name",
	[EG_WHY_NOT_TLS] = "not-tls",
	[EG_WHY_QUOTA] = "quota",
	[EG_WHY_RIGHTS] = "rights",
	[EG_WHY_DEVICE] = "device",
	[EG_WHY_FAILURE] = "failure",
};

/* for a person, in a line that ends with it */
static const char *const reason_words[EG_WHY_MAX] = {
	[EG_WHY_RULE] = "no rule allows it",
	[EG_WHY_UNPLACED] = "deleted or detached object",
	[EG_WHY_TOO_LONG] = "path too long to judge",
	[EG_WHY_ANCHOR] = "another name of an object that a rule denies",
	[EG_WHY_GAIN] = "would give more access at the new name",
	[EG_WHY_FOREIGN] = "belongs to somebody outside the sandbox",
	[EG_WHY_METADATA] = "metadata address",
	[EG_WHY_LOOPBACK] = "listener is not of this sandbox",
	[EG_WHY_FAMILY] = "kind of socket",
	[EG_WHY_HEADERS] = "IP options or routing headers",
	[EG_WHY_REVOKED] = "no longer allowed",
	[EG_WHY_GUARD] = "never allowed in a sandbox",
	[EG_WHY_DEAD] = "the sandbox is gone",
	[EG_WHY_PRIVATE] = "the name may not have this address, which is not a public one",
	[EG_WHY_NO_NAME] = "no server name, or not all of it in one piece",
	[EG_WHY_NOT_TLS] = "neither TLS nor HTTP, so that no server name can be checked",
	[EG_WHY_QUOTA] = "the sandbox has as many as one may have",
	[EG_WHY_DEVICE] = "a device that is more than a file",
	[EG_WHY_RIGHTS] = "would gain rights: set-uid, set-gid or capabilities of the file",
	[EG_WHY_FAILURE] = "internal failure",
};

static const char *const verdict_names[] = {
	[EG_VERDICT_DENIED] = "denied",
	[EG_VERDICT_AUDIT] = "audit",
	[EG_VERDICT_ALLOWED] = "allowed",
};

static const char *name_of(const char *const *names, size_t n, size_t i)
{
	return i < n && names[i] ? names[i] : "unknown";
}

const char *event_op_name(uint16_t op)
{
	return name_of(op_names, ARRAY_SIZE(op_names), op);
}

const char *event_reason_name(uint8_t reason)
{
	return name_of(reason_names, ARRAY_SIZE(reason_names), reason);
}

const char *event_reason_words(uint8_t reason)
{
	return name_of(reason_words, ARRAY_SIZE(reason_words), reason);
}

static int index_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (names[i] && str_eq(names[i], name))
			return (int)i;
	return -EINVAL;
}

int event_op_from_name(const char *name)
{
	return index_of(op_names, ARRAY_SIZE(op_names), name);
}

const char *event_verdict_name(uint8_t verdict)
{
	return name_of(verdict_names, ARRAY_SIZE(verdict_names), verdict);
}

int event_verdict_from_name(const char *name)
{
	return index_of(verdict_names, ARRAY_SIZE(verdict_names), name);
}

int event_reason_from_name(const char *name)
{
	return index_of(reason_names, ARRAY_SIZE(reason_names), name);
}

struct word {
	uint32_t number;
	const char *name;
};

static const struct word protos[] = {
	{ IPPROTO_TCP, "tcp" }, { IPPROTO_UDP, "udp" }, { IPPROTO_ICMP, "icmp" },
	{ IPPROTO_ICMPV6, "icmpv6" }, { IPPROTO_SCTP, "sctp" }, { 262, "mptcp" },
};

static const struct word families[] = {
	{ AF_UNIX, "unix" }, { AF_INET, "inet" }, { AF_INET6, "inet6" },
	{ AF_NETLINK, "netlink" }, { AF_PACKET, "packet" }, { AF_ALG, "alg" },
	{ AF_VSOCK, "vsock" }, { AF_BLUETOOTH, "bluetooth" }, { AF_CAN, "can" },
	{ AF_XDP, "xdp" }, { AF_KEY, "key" }, { AF_TIPC, "tipc" }, { AF_RDS, "rds" },
};

static const struct word types[] = {
	{ SOCK_STREAM, "stream" }, { SOCK_DGRAM, "dgram" }, { SOCK_RAW, "raw" },
	{ SOCK_SEQPACKET, "seqpacket" }, { SOCK_RDM, "rdm" }, { SOCK_DCCP, "dccp" },
	{ SOCK_PACKET, "packet" },
};

static const struct word caps[] = {
	{ CAP_CHOWN, "chown" }, { CAP_DAC_OVERRIDE, "dac_override" },
	{ CAP_DAC_READ_SEARCH, "dac_read_search" }, { CAP_FOWNER, "fowner" },
	{ CAP_FSETID, "fsetid" }, { CAP_KILL, "kill" }, { CAP_SETGID, "setgid" },
	{ CAP_SETUID, "setuid" }, { CAP_SETPCAP, "setpcap" },
	{ CAP_LINUX_IMMUTABLE, "immutable" }, { CAP_NET_BIND_SERVICE, "net_bind" },
	{ CAP_NET_BROADCAST, "net_broadcast" }, { CAP_NET_ADMIN, "net_admin" },
	{ CAP_NET_RAW, "net_raw" }, { CAP_IPC_LOCK, "ipc_lock" }, { CAP_IPC_OWNER, "ipc_owner" },
	{ CAP_SYS_MODULE, "sys_module" }, { CAP_SYS_RAWIO, "sys_rawio" },
	{ CAP_SYS_CHROOT, "sys_chroot" }, { CAP_SYS_PTRACE, "sys_ptrace" },
	{ CAP_SYS_PACCT, "sys_pacct" }, { CAP_SYS_ADMIN, "sys_admin" },
	{ CAP_SYS_BOOT, "sys_boot" }, { CAP_SYS_NICE, "sys_nice" },
	{ CAP_SYS_RESOURCE, "sys_resource" }, { CAP_SYS_TIME, "sys_time" },
	{ CAP_SYS_TTY_CONFIG, "sys_tty_config" }, { CAP_MKNOD, "mknod" }, { CAP_LEASE, "lease" },
	{ CAP_AUDIT_WRITE, "audit_write" }, { CAP_AUDIT_CONTROL, "audit_control" },
	{ CAP_SETFCAP, "setfcap" }, { CAP_MAC_OVERRIDE, "mac_override" },
	{ CAP_MAC_ADMIN, "mac_admin" }, { CAP_SYSLOG, "syslog" }, { CAP_WAKE_ALARM, "wake_alarm" },
	{ CAP_BLOCK_SUSPEND, "block_suspend" }, { CAP_AUDIT_READ, "audit_read" },
	{ CAP_PERFMON, "perfmon" }, { CAP_BPF, "bpf" }, { 40, "checkpoint" },
};

/* RFC 1035 3.2.2 and the registry of DNS parameters */
static const struct word qtypes[] = {
	{ 1, "A" }, { 2, "NS" }, { 5, "CNAME" }, { 6, "SOA" }, { 12, "PTR" }, { 13, "HINFO" },
	{ 15, "MX" }, { 16, "TXT" }, { 28, "AAAA" }, { 33, "SRV" }, { 35, "NAPTR" },
	{ 39, "DNAME" }, { 43, "DS" }, { 44, "SSHFP" }, { 46, "RRSIG" }, { 48, "DNSKEY" },
	{ 52, "TLSA" }, { 64, "SVCB" }, { 65, "HTTPS" }, { 251, "IXFR" }, { 252, "AXFR" },
	{ 255, "ANY" }, { 257, "CAA" },
};

static const struct {
	const struct word *words;
	size_t n;
} tables[] = {
	[EVENT_NAMES_PROTO] = { protos, ARRAY_SIZE(protos) },
	[EVENT_NAMES_FAMILY] = { families, ARRAY_SIZE(families) },
	[EVENT_NAMES_TYPE] = { types, ARRAY_SIZE(types) },
	[EVENT_NAMES_CAP] = { caps, ARRAY_SIZE(caps) },
	[EVENT_NAMES_QTYPE] = { qtypes, ARRAY_SIZE(qtypes) },
};

/* the C library's own lists, over all the numbers they can have */
#define LAST_SIGNAL 31u /* real-time signals are numbers */
#define LAST_ERRNO 133u

static const char *listed(enum event_names kind, uint32_t number)
{
	if (kind == EVENT_NAMES_SIGNAL)
		return number <= LAST_SIGNAL ? sigabbrev_np((int)number) : NULL;
	if (kind == EVENT_NAMES_ERRNO)
		return number && number <= LAST_ERRNO ? strerrorname_np((int)number) : NULL;
	for (size_t i = 0; i < tables[kind].n; i++)
		if (tables[kind].words[i].number == number)
			return tables[kind].words[i].name;
	return NULL;
}

const char *event_name(enum event_names kind, uint32_t number, char buf[EVENT_NAME_MAX])
{
	const char *name = listed(kind, number);

	if (name)
		return name;
	(void)snprintf(buf, EVENT_NAME_MAX, "%u", number); /* ten digits at most */
	return buf;
}

int event_number(enum event_names kind, const char *name, uint32_t *number)
{
	uint32_t last = kind == EVENT_NAMES_SIGNAL || kind == EVENT_NAMES_ERRNO ? LAST_ERRNO : 0;
	uint64_t v;

	for (uint32_t i = 1; i <= last; i++) {
		const char *known = listed(kind, i);

		if (known && str_eq(known, name)) {
			*number = i;
			return 0;
		}
	}
	for (size_t i = 0; !last && i < tables[kind].n; i++) {
		if (str_eq(tables[kind].words[i].name, name)) {
			*number = tables[kind].words[i].number;
			return 0;
		}
	}
	if (parse_u64(name, 0, UINT32_MAX, &v))
		return -EINVAL;
	*number = (uint32_t)v;
	return 0;
}

/* Two or more digits at p as a number; moves on; -1 for anything else. */
static long digits(const char **p, unsigned int n)
{
	long v = 0;

	for (; n; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

int event_time_parse(const char *s, uint64_t *ns)
{
	static const struct {
		unsigned int n;
		char then;
	} parts[] = { { 4, '-' }, { 2, '-' }, { 2, 'T' }, { 2, ':' }, { 2, ':' }, { 2, '.' },
		      { 9, 'Z' } };
	long v[ARRAY_SIZE(parts)];
	struct tm tm = { 0 };
	time_t sec;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		v[i] = digits(&s, parts[i].n);
		if (v[i] < 0 || *s++ != parts[i].then)
			return -EINVAL;
	}
	tm.tm_year = (int)v[0] - 1900;
	tm.tm_mon = (int)v[1] - 1;
	tm.tm_mday = (int)v[2];
	tm.tm_hour = (int)v[3];
	tm.tm_min = (int)v[4];
	tm.tm_sec = (int)v[5];
	sec = timegm(&tm);
	if (*s || sec < 0 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 ||
	    (uint64_t)sec > UINT64_MAX / 1000000000u - 1)
		return -EINVAL;
	*ns = (uint64_t)sec * 1000000000u + (uint64_t)v[6];
	return 0;
}
