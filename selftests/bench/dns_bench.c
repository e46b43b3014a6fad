// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The resolver's times, natively: `make bench-dns`. Not a test: they depend on
 * the machine and on what else it does.
 *
 * One process is the resolver with two sandboxes and an upstream; one asks as
 * the first sandbox 5,000 times a second; this one asks as the second, once a
 * millisecond, with and without the other. Exit status 1 when a target is missed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dns.h"
#include "dns_wire.h"
#include "util.h"

#define NS 1000000000ull
#define SAMPLES 10000u
#define PERIOD_NS 1000000u /* between two questions of the measured sandbox */
#define RATE 5000u
#define BURST 5u /* questions at once, each millisecond */
#define FLOOD_S 12u
#define NAMES 100u

static void die(const char *what)
{
	(void)fprintf(stderr, "dns_bench: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t when)
{
	const struct timespec t = { (time_t)(when / NS), (long)(when % NS) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static int udp(uint16_t to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(to),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || (to ? connect(fd, (struct sockaddr *)&a, sizeof(a)) :
			    bind(fd, (struct sockaddr *)&a, sizeof(a))))
		die("socket");
	return fd;
}

/* ---- the resolver ------------------------------------------------------------------ */

static uint32_t op_classes(void *ctx, const char *name)
{
	(void)ctx;
	return str_ends(name, ".test");
}

static bool op_no(void *ctx, const uint8_t addr[16], uint32_t classes)
{
	(void)ctx;
	(void)addr;
	(void)classes;
	return false;
}

static int op_bind(void *ctx, const uint8_t addr[16], uint32_t classes, uint64_t expires)
{
	(void)ctx;
	(void)addr;
	(void)classes;
	(void)expires;
	return 0;
}

static int op_unbind(void *ctx, const uint8_t addr[16])
{
	(void)ctx;
	(void)addr;
	return 0;
}

static uint64_t op_last_used(void *ctx, const uint8_t addr[16])
{
	(void)ctx;
	(void)addr;
	return 0;
}

static bool op_in_use(void *ctx, const uint8_t addr[16])
{
	(void)ctx;
	(void)addr;
	return false;
}

static void op_refused(void *ctx, const char *name, uint16_t qtype, const uint8_t addr[16])
{
	(void)ctx;
	(void)name;
	(void)qtype;
	(void)addr;
}

/* Four addresses for every name. */
static int on_upstream(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	uint8_t msg[1024];
	ssize_t n = recvfrom(fd, msg, 512, 0, (struct sockaddr *)&peer, &len);

	(void)src;
	(void)revents;
	(void)ctx;
	if (n < 11)
		return 0;
	n -= 11; /* EDNS */
	msg[2] = 0x81;
	msg[3] = 0x80;
	msg[7] = 4;
	msg[11] = 0;
	for (uint8_t i = 0; i < 4; i++) {
		memcpy(msg + n, "\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4\xcb\0\x71", 15);
		msg[n + 15] = i;
		n += 16;
	}
	(void)sendto(fd, msg, (size_t)n, 0, (struct sockaddr *)&peer, len);
	return 0;
}

static void resolver(int ready)
{
	static const struct dns_ops ops = {
		.classes = op_classes, .address_ok = op_no, .bind = op_bind,
		.unbind = op_unbind, .last_used = op_last_used, .in_use = op_in_use,
		.refused = op_refused,
	};
	struct dns_options o = { .resolv_conf = "/dev/null" };
	struct dns_client *c[2];
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	uint16_t ports[2];
	sd_event *loop;
	struct dns *dns;
	int fd = udp(0);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)getsockname(fd, (struct sockaddr *)&a, &len);
	o.upstream_port = ntohs(a.sin_port);
	if (sd_event_new(&loop) < 0 ||
	    sd_event_add_io(loop, NULL, fd, EPOLLIN, on_upstream, NULL) < 0 ||
	    dns_new(loop, &o, &dns, NULL))
		die("resolver");
	for (int i = 0; i < 2; i++) {
		if (dns_serve(dns, -1, &ops, NULL, &c[i], NULL))
			die("listeners");
		ports[i] = dns_client_port(c[i]);
	}
	if (write(ready, ports, sizeof(ports)) != sizeof(ports))
		die("pipe");
	(void)sd_event_loop(loop);
	exit(2);
}

/* ---- who asks ---------------------------------------------------------------------- */

static void ask(int fd, uint32_t nth)
{
	uint8_t msg[DNS_UDP_PLAIN];
	char name[32];
	size_t n;

	(void)snprintf(name, sizeof(name), "n%u.bench.test", nth % NAMES);
	n = dns_query_build(name, LDNS_RR_TYPE_A, (uint16_t)nth, true, msg);
	if (send(fd, msg, n, 0) != (ssize_t)n)
		die("send");
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct times {
	uint64_t median, p99;
};

/* From question to answer, with the answer to each before the next. */
static struct times measure(uint16_t port)
{
	static uint64_t t[SAMPLES];
	uint64_t next = now_ns(), begin;
	int fd = udp(port);
	uint8_t in[1232];

	for (uint32_t i = 0; i < SAMPLES; i++) {
		sleep_until(next += PERIOD_NS);
		begin = now_ns();
		ask(fd, i);
		if (recv(fd, in, sizeof(in), 0) < 100)
			die("answer");
		t[i] = now_ns() - begin;
		if (next < begin)
			next = begin;
	}
	close(fd);
	qsort(t, SAMPLES, sizeof(t[0]), by_value);
	return (struct times){ t[SAMPLES / 2], t[SAMPLES * 99 / 100] };
}

/* Writes how many it asked, and how many answers came. */
static void flood(uint16_t port, int out)
{
	uint64_t begin = now_ns(), next = begin;
	uint32_t counts[2] = { 0, 0 };
	struct pollfd p = { .fd = udp(port), .events = POLLIN };
	uint8_t in[1232];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (next < begin + FLOOD_S * NS) {
		sleep_until(next += NS * BURST / RATE);
		for (uint32_t i = 0; i < BURST; i++)
			ask(p.fd, counts[0]++);
		while (recv(p.fd, in, sizeof(in), MSG_DONTWAIT) > 0)
			counts[1]++;
	}
	while (counts[1] < counts[0] && poll(&p, 1, 1000) > 0)
		counts[1] += recv(p.fd, in, sizeof(in), MSG_DONTWAIT) > 0;
	if (write(out, counts, sizeof(counts)) != sizeof(counts))
		die("pipe");
	exit(0);
}

static bool say(const char *what, double value, const char *unit, double must_be_below)
{
	bool ok = value < must_be_below;

	printf("%-58s %9.1f %-3s  below %.1f  %s\n", what, value, unit, must_be_below,
	       ok ? "ok" : "MISSED");
	return ok;
}

int main(void)
{
	uint16_t ports[2];
	uint32_t counts[2];
	struct times idle, busy;
	int ready[2], result[2];
	bool ok = true;

	if (pipe(ready) || pipe(result))
		die("pipe");
	if (!fork())
		resolver(ready[1]);
	if (read(ready[0], ports, sizeof(ports)) != sizeof(ports))
		die("resolver");
	(void)measure(ports[0]); /* fills the caches */
	idle = measure(ports[1]);
	if (!fork())
		flood(ports[0], result[1]);
	busy = measure(ports[1]);
	if (read(result[0], counts, sizeof(counts)) != sizeof(counts))
		die("flood");
	ok &= say("cached name, question to answer, median", (double)idle.median / 1000, "us", 150);
	printf("%-58s %9.1f us\n", "  99th percentile", (double)idle.p99 / 1000);
	ok &= say("the same while another sandbox asks 5,000 times a second",
		  (double)busy.median / 1000, "us", 2 * (double)idle.median / 1000);
	printf("%-58s %9.1f us\n", "  99th percentile", (double)busy.p99 / 1000);
	printf("%-58s %9u\n", "questions of that other sandbox", counts[0]);
	ok &= say("  not answered", counts[0] - counts[1], "", 1);
	return !ok;
}
