/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a hostile program in a sandbox does to drown those who watch it. Everything it tries
 * must be refused; it counts what was not, says so, and ends with status 1.
 *
 *	flood [-r RATE] open N PATH		opens, EACCES each
 *	flood [-r RATE] send N ADDRESS PORT	datagrams, EPERM each
 *	flood dns N SERVER SUFFIX		queries for xN.SUFFIX, no answer waited for
 *	flood ask N SERVER NAME			N times: the resolver answers with an address
 *	flood fork N PATH			a fork bomb of N, each opens PATH
 *	flood tryfork N PATH			N forks, each opens PATH; how many were not made
 *	flood sockets N ADDRESS PORT		all open at once, a datagram from each
 *	flood memory N PATH			N times all the memory there is, with opens
 *
 * RATE: tries a second. What is printed: "TRIED tried, WRONG wrong, UNMADE not made".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NSEC 1000000000ull
#define LEAF_FORKS 4 /* children of each process of the bomb */
#define ASK_AGAIN_MS 1000 /* the last query, when the resolver had no room for it */

static struct shared {
	unsigned long tried, wrong, forks, unmade;
} *shared;
static unsigned long count, rate;
static const char *place;
static struct sockaddr_in to;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void tried(bool refused)
{
	__atomic_add_fetch(&shared->tried, 1, __ATOMIC_RELAXED);
	if (!refused)
		__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_RELAXED);
}

static void try_open(void)
{
	int fd = open(place, O_RDONLY | O_CLOEXEC);

	/* no descriptor left is no verdict; the sandbox's own limits are not asked here */
	tried(fd < 0 && errno == EACCES);
	if (fd >= 0)
		(void)close(fd);
}

static void try_send(int fd)
{
	tried(sendto(fd, "x", 1, MSG_DONTWAIT, (void *)&to, sizeof(to)) < 0 && errno == EPERM);
}

/* As many as RATE allows by now. */
static void pace(unsigned long done)
{
	static uint64_t begin;
	struct timespec t;
	uint64_t due;

	if (!rate)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	if (!begin)
		begin = (uint64_t)t.tv_sec * NSEC + (uint64_t)t.tv_nsec;
	due = begin + done * NSEC / rate;
	t = (struct timespec){ .tv_sec = (time_t)(due / NSEC), .tv_nsec = (long)(due % NSEC) };
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

#define PACE_EVERY 16 /* a sleep for each would cost more than the try */

static void flood_open(void)
{
	for (unsigned long i = 0; i < count; i++) {
		if (i % PACE_EVERY == 0)
			pace(i);
		try_open();
	}
}

static int udp_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static void flood_send(void)
{
	int fd = udp_socket();

	for (unsigned long i = 0; i < count; i++) {
		if (i % PACE_EVERY == 0)
			pace(i);
		try_send(fd);
	}
}

/* ---- names ------------------------------------------------------------------------------ */

static size_t make_query(uint8_t *q, unsigned long i, const char *prefix, const char *suffix)
{
	char name[256], *label;
	size_t at = 12;

	memset(q, 0, 12);
	q[0] = i >> 8;
	q[1] = i;
	q[2] = 1; /* recursion desired */
	q[5] = 1;
	(void)snprintf(name, sizeof(name), "%s%s", prefix, suffix);
	for (label = strtok(name, "."); label; label = strtok(NULL, ".")) {
		q[at++] = strlen(label);
		memcpy(q + at, label, strlen(label));
		at += strlen(label);
	}
	memcpy(q + at, "\0\0\1\0\1", 5);
	return at + 5;
}

/* Takes the answers that are there; 1 + their addresses when the one to `id` is among them. */
static unsigned int take_answers(int fd, unsigned long id, unsigned long *addresses)
{
	unsigned int found = 0;
	uint8_t a[1500];
	ssize_t n;

	while ((n = recv(fd, a, sizeof(a), MSG_DONTWAIT)) >= 12) {
		*addresses += (unsigned long)(a[6] << 8 | a[7]);
		if ((a[0] << 8 | a[1]) == (uint16_t)id)
			found = 1u + (a[6] << 8 | a[7]);
	}
	return found;
}

/* Asks until there is an answer: the resolver may have no room, but it goes on. */
static unsigned int ask(int fd, unsigned long id, const char *name, unsigned long *addresses)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len;
	uint8_t q[300];
	unsigned int found;

	len = make_query(q, id, "", name);
	do {
		if (send(fd, q, len, 0) < 0 && errno != EAGAIN && errno != ENOBUFS)
			die("send");
		(void)poll(&p, 1, ASK_AGAIN_MS);
		found = take_answers(fd, id, addresses);
	} while (!found);
	return found - 1;
}

static int dns_socket(void)
{
	int fd = udp_socket();

	if (connect(fd, (void *)&to, sizeof(to)))
		die("connect");
	return fd;
}

static void flood_dns(const char *suffix)
{
	unsigned long addresses = 0;
	int fd = dns_socket();
	char prefix[24];
	uint8_t q[300];

	for (unsigned long i = 0; i < count; i++) {
		size_t len;

		(void)snprintf(prefix, sizeof(prefix), "x%lu.", i);
		len = make_query(q, i, prefix, suffix);
		if (send(fd, q, len, 0) < 0 && errno != EAGAIN && errno != ENOBUFS)
			die("send");
		shared->tried++;
		(void)take_answers(fd, 0, &addresses);
	}
	(void)ask(fd, count, suffix, &addresses);
	shared->wrong = addresses;
}

static void flood_ask(const char *name)
{
	unsigned long addresses = 0;
	int fd = dns_socket();

	for (unsigned long i = 1; i <= count; i++)
		tried(ask(fd, i, name, &addresses) != 0);
}

/* ---- processes, sockets, memory ---------------------------------------------------------- */

static void bomb(void)
{
	for (int i = 0; i < LEAF_FORKS; i++) {
		pid_t pid;

		if (__atomic_add_fetch(&shared->forks, 1, __ATOMIC_RELAXED) > count) {
			__atomic_sub_fetch(&shared->forks, 1, __ATOMIC_RELAXED);
			return;
		}
		pid = fork();
		if (pid == 0) {
			try_open();
			bomb();
			_exit(0);
		}
		if (pid < 0) /* the limit of its sandbox: that one does not count */
			__atomic_sub_fetch(&shared->forks, 1, __ATOMIC_RELAXED);
	}
}

static void flood_fork(void)
{
	/* those whose parents have ended are waited for, too */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		die("prctl");
	while (__atomic_load_n(&shared->forks, __ATOMIC_RELAXED) < count) {
		bomb();
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void flood_tryfork(void)
{
	for (unsigned long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (!pid) {
			try_open();
			_exit(0);
		}
		shared->unmade += pid < 0;
		shared->tried += pid < 0;
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
}

static void flood_sockets(void)
{
	struct rlimit all = { count + 64, count + 64 };

	if (setrlimit(RLIMIT_NOFILE, &all))
		die("setrlimit");
	for (unsigned long i = 0; i < count; i++)
		try_send(udp_socket());
}

/* A child takes memory until it is killed for it, and tries all the while. */
static void eat(void)
{
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (p != MAP_FAILED)
			memset(p, 1, 1 << 20);
		try_open();
	}
}

static void flood_memory(void)
{
	for (unsigned long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			eat();
		while (waitpid(pid, NULL, 0) != pid)
			;
	}
}

int main(int argc, char **argv)
{
	const char *kind;
	int c;

	while ((c = getopt(argc, argv, "+r:")) == 'r')
		rate = strtoul(optarg, NULL, 10);
	if (c != -1 || argc - optind < 3)
		return 2;
	kind = argv[optind];
	count = strtoul(argv[optind + 1], NULL, 10);
	place = argv[optind + 2];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	to.sin_family = AF_INET;
	if (inet_pton(AF_INET, place, &to.sin_addr) == 1 && argc - optind < 4)
		return 2;
	to.sin_port = htons(argc - optind > 3 ? (uint16_t)atoi(argv[optind + 3]) : 0);
	if (!strcmp(kind, "dns") || !strcmp(kind, "ask"))
		to.sin_port = htons(53);
	if (!strcmp(kind, "open")) {
		flood_open();
	} else if (!strcmp(kind, "send")) {
		flood_send();
	} else if (!strcmp(kind, "dns")) {
		flood_dns(argv[optind + 3]);
	} else if (!strcmp(kind, "ask")) {
		flood_ask(argv[optind + 3]);
	} else if (!strcmp(kind, "fork")) {
		flood_fork();
	} else if (!strcmp(kind, "tryfork")) {
		flood_tryfork();
	} else if (!strcmp(kind, "sockets")) {
		flood_sockets();
	} else if (!strcmp(kind, "memory")) {
		flood_memory();
	} else {
		return 2;
	}
	printf("%lu tried, %lu wrong, %lu not made\n", shared->tried, shared->wrong,
	       shared->unmade);
	return shared->wrong || !shared->tried;
}
