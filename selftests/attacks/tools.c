/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What several families need: sockets, io_uring, 32-bit calls, programs, descriptors. */
#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- sockets ----------------------------------------------------------------------- */

socklen_t to_sockaddr(const struct dest *d, struct sockaddr_storage *ss)
{
	struct sockaddr_in *v4 = (void *)ss;
	struct sockaddr_in6 *v6 = (void *)ss;
	char addr[64], *scope;

	memset(ss, 0, sizeof(*ss));
	snprintf(addr, sizeof(addr), "%s", d->addr);
	scope = strchr(addr, '%');
	if (scope)
		*scope++ = 0;
	if (inet_pton(AF_INET, addr, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)d->port);
		return sizeof(*v4);
	}
	(void)inet_pton(AF_INET6, addr, &v6->sin6_addr);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)d->port);
	v6->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
	return sizeof(*v6);
}

/* With a limit: what is dropped on its way must not hang the row. */
int open_socket(int family, int type, int protocol)
{
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(family, type | SOCK_CLOEXEC, protocol), one = 1;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	return fd;
}

int send_nonce(int fd, const struct dest *to)
{
	struct sockaddr_storage ss;
	socklen_t len = to ? to_sockaddr(to, &ss) : 0;

	if (fd < 0)
		return fd;
	return result(sendto(fd, world.nonce, NONCE, MSG_NOSIGNAL, to ? (void *)&ss : NULL, len));
}

int tcp_to(const void *dest)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dest, &ss);
	int fd = open_socket(ss.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len))
		return -errno;
	return send_nonce(fd, NULL);
}

int udp_to(const void *dest)
{
	struct sockaddr_storage ss;

	(void)to_sockaddr(dest, &ss);
	return send_nonce(open_socket(ss.ss_family, SOCK_DGRAM, 0), dest);
}

socklen_t unix_name(const char *name, void *addr)
{
	struct sockaddr_un *sun = addr;
	size_t len = strlen(name);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, name, len < sizeof(sun->sun_path) ? len : 0);
	if (*name != '@')
		return sizeof(*sun);
	sun->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* ---- io_uring: one request, no library ----------------------------------------------- */

int uring(const struct io_uring_sqe *sqe, unsigned int setup_flags)
{
	struct io_uring_params p = { .flags = setup_flags, .sq_thread_idle = 1000 };
	int fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	uint32_t *tail, flags = IORING_ENTER_GETEVENTS;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	char *ring;

	if (fd < 0)
		return -errno;
	/* both rings are in one mapping since 5.4 */
	ring = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*cqes) + p.sq_off.array,
		    PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQES);
	if (ring == MAP_FAILED || (void *)sqes == MAP_FAILED)
		return -errno;
	cqes = (void *)(ring + p.cq_off.cqes);
	tail = (void *)(ring + p.sq_off.tail);
	sqes[0] = *sqe;
	*(uint32_t *)(ring + p.sq_off.array) = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (setup_flags & IORING_SETUP_SQPOLL)
		flags |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(SYS_io_uring_enter, fd, 1, 1, flags, NULL, 0) < 0)
		return -errno;
	return cqes[0].res;
}

int uring_socket(int family, int type, int protocol)
{
	struct io_uring_sqe sqe = { .opcode = 45 /* IORING_OP_SOCKET */, .fd = family,
				    .off = (uint64_t)type, .len = (uint32_t)protocol };

	return uring(&sqe, 0);
}

/* ---- int 0x80 ------------------------------------------------------------------------- */

#if defined(__x86_64__)

int int80(int nr, long a, long b, long c, long d, long e)
{
	long r = nr;

	asm volatile("push %%rbp\n\t"
		     "xor %%ebp, %%ebp\n\t"
		     "int $0x80\n\t"
		     "pop %%rbp"
		     : "+a"(r)
		     : "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		     : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int)r;
}

/* Without the table it is a fault. */
int need_int80(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		_exit(int80(20 /* getpid */, 0, 0, 0, 0, 0) != getpid());
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		return cannot("no 32-bit system calls");
	return 0;
}

#else

#define MAP_32BIT 0

int int80(int nr, long a, long b, long c, long d, long e)
{
	(void)nr, (void)a, (void)b, (void)c, (void)d, (void)e;
	return -ENOSYS;
}

int need_int80(void)
{
	return cannot("no 32-bit system calls");
}

#endif

long low(const void *data, size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		       -1, 0);

	if (p == MAP_FAILED)
		_exit(3);
	memcpy(p, data, len);
	return (long)p;
}

/* ---- loot ------------------------------------------------------------------------------- */

int loot_fd(int fd)
{
	char data[256];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, data, sizeof(data), 0);
	if (n < 0 && errno == ESPIPE)
		n = read(fd, data, sizeof(data));
	if (n > 0)
		loot(data, (size_t)n);
	return result(n);
}

int loot_path(const char *path)
{
	return loot_fd(open(path, O_RDONLY | O_CLOEXEC));
}

/* ---- programs ---------------------------------------------------------------------------- */

int tool(const char *command)
{
	char said[4096] = "";
	int ends[2], status;
	ssize_t n, have = 0;
	pid_t pid;

	if (pipe(ends))
		return -errno;
	pid = fork();
	if (!pid) {
		(void)dup2(ends[1], 1);
		(void)dup2(ends[1], 2);
		(void)close(ends[1]);
		(void)setenv("PATH",
			     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
		(void)execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(126);
	}
	(void)close(ends[1]);
	while ((n = read(ends[0], said + have, sizeof(said) - 1 - (size_t)have)) > 0)
		have += n;
	(void)close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (!status)
		return 0;
	if (strstr(said, "Operation not permitted") || strstr(said, "must be root"))
		return -EPERM;
	if (strstr(said, "Permission denied"))
		return -EACCES;
	(void)cannot(strtok(said, "\n") ? said : "it says nothing");
	return -EIO;
}

int in_child(int (*act)(const void *), const void *arg)
{
	int ends[2], r = -ECHILD;
	pid_t pid;

	if (pipe(ends))
		return -errno;
	pid = fork();
	if (!pid) {
		r = act(arg);
		_exit(write(ends[1], &r, sizeof(r)) != sizeof(r));
	}
	if (pid < 0)
		return -errno;
	(void)close(ends[1]);
	if (read(ends[0], &r, sizeof(r)) != sizeof(r))
		r = -ECHILD;
	(void)close(ends[0]);
	(void)waitpid(pid, NULL, 0);
	return r;
}

int receive_fd(const char *ask)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct sockaddr_un a;
	socklen_t len = unix_name("@attacks-passer", &a);
	int s = open_socket(AF_UNIX, SOCK_STREAM, 0), fd;

	if (s < 0)
		return s;
	if (connect(s, (void *)&a, len) || write(s, ask, strlen(ask)) < 0 ||
	    recvmsg(s, &m, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	if (!CMSG_FIRSTHDR(&m) || CMSG_FIRSTHDR(&m)->cmsg_len != CMSG_LEN(sizeof(int)))
		return m.msg_flags & MSG_CTRUNC ? -EACCES : -ENODATA;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}
