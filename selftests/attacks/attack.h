/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a hostile program tries, one row an attack. The program knows nothing of a
 * sandbox: outside of any it must succeed, and suite.py, which made the hosts,
 * victims and secrets that rows name, judges by what those have seen.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- rows ------------------------------------------------------------------------- */

enum by { BY_BOTH, BY_USER, BY_ROOT }; /* who can do it outside of a sandbox */

struct attack {
	const char *name; /* "A21:srh": the entry of `entries`, and which way */
	/* 0 or positive: it thinks that it was done; negative errno; or CANNOT */
	int (*run)(const void *arg);
	const void *arg;
	enum by by;
	const char *judge; /* who says whether it was done: see judges.py */
	const char *err; /* how it may be refused: "EPERM", "EACCES EXDEV" */
	const char *event; /* "connect/rule", any of several; NULL: no event is made */
	const char *policy; /* see boxes.py; NULL: "main" */
};

/* The families; each ends with a row without a name. */
extern const struct attack attacks_address[], attacks_kinds[], attacks_header[],
	attacks_foreign[], attacks_relay[], attacks_rewrite[], attacks_dns[], attacks_read[],
	attacks_write[], attacks_link[], attacks_mount[], attacks_exec[], attacks_leave[],
	attacks_kernel[], attacks_victim[], attacks_agent[];

/* ---- what a row is told ------------------------------------------------------------ */

#define NONCE 16

struct world {
	uint8_t nonce[NONCE]; /* what is carried out */
	char hex[2 * NONCE + 1]; /* the same, as a label or name */
	pid_t victim; /* a process outside, of the same user */
	pid_t service; /* a process of root's outside */
	pid_t hosted; /* a process of root's in evil's network namespace */
	unsigned long token; /* where the victims' memory has a secret */
};
extern struct world world;

/* ---- what a row says --------------------------------------------------------------- */

#define CANNOT (-10000)

/* The attack cannot be tried here. Returns CANNOT. */
int cannot(const char *why);
/* What was read; only the first call counts. */
void loot(const void *data, size_t len);
/* Let somebody outside do something; returns when it has been done. */
void meet(const char *what);

/* -errno when r is negative, else r. */
int result(long r);

/* ---- places, see world.py ------------------------------------------------------------ */

#define D "/srv/attacks"
#define CLOSED D "/closed" /* none: key, sub/f, prog, empty/ */
#define KEY CLOSED "/key"
#define READONLY D "/readonly" /* r: f, d/f */
#define NOEXEC D "/noexec" /* rwc: prog, script */
#define WORK D "/work" /* rwxc, the working directory */
#define WS D "/ws" /* rwxc, but for a/b/secret (none), hooks (r), not-yet (none) */
#define RUN D "/run" /* r: sockets of others */

#define OK4 "10.203.1.2"
#define OK6 "fd20:1::2"
#define EVIL4 "10.203.2.2"
#define EVIL6 "fd20:2::2"
#define DNS4 "10.203.3.2"
#define PORT 7001 /* allowed at ok, by TCP and UDP */
#define PORT2 7002
#define RELAY 7200 /* somebody else's on this host */
#define NAMED 7300 /* allowed by name alone */

/* ---- tools ----------------------------------------------------------------------------- */

struct dest {
	const char *addr; /* a scope may follow: "fe80::2%evil" */
	int port;
};

socklen_t to_sockaddr(const struct dest *d, struct sockaddr_storage *ss);
int open_socket(int family, int type, int protocol); /* or -errno */
/* Send the nonce. */
int send_nonce(int fd, const struct dest *to); /* to: NULL when connected */
int tcp_to(const void *dest);
int udp_to(const void *dest);
socklen_t unix_name(const char *name, void *sockaddr_un); /* '@': abstract */

/* One request; -errno or its result. */
struct io_uring_sqe;
int uring(const struct io_uring_sqe *sqe, unsigned int setup_flags);
int uring_socket(int family, int type, int protocol);

/* Through the kernel's 32-bit table. Pointers are copied with low(). */
int int80(int nr, long a, long b, long c, long d, long e);
long low(const void *data, size_t len); /* where a 32-bit pointer reaches */
int need_int80(void); /* 0, or CANNOT */

/* Read what is there into loot. */
int loot_fd(int fd);
int loot_path(const char *path);

/* A program; -EPERM or -EACCES when it says so on standard error, else -EIO. */
int tool(const char *command);

/* In a child: what it returns; a descriptor of `ask`, by SCM_RIGHTS from outside. */
int in_child(int (*act)(const void *), const void *arg);
int receive_fd(const char *ask);

#endif
