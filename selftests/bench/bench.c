/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs cost, in instructions: run by `make bench` in a VM whose
 * clock is the instruction counter (tools/vm --count-instructions), where one
 * nanosecond of CLOCK_MONOTONIC is one instruction. Anywhere else the numbers
 * mean nothing, so it refuses to run there.
 *
 * Each number is the median of many iterations of one operation in a fresh
 * child. "Extra" is what is added to the same operation with no program loaded.
 * Exit status 1 when a "must" is missed.
 */
#include "harness_int.h"
#include "bench_events.h"
#include "net_hosts.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "bpf_load.h"
#include "canary.h"
#include "diag.h"
#include "prove.h"
#include "publish.h"
#include "sandbox.h"
#include "util.h"

#define DEPTH_PATH HARNESS_DIR "/three/four/five/six/seven"
#define FILE_PATH DEPTH_PATH "/file"
#define DUMMY_ADDR "10.204.0.2"
#define ITERATIONS 2001
#define WARM_UP 200

/* filled in by the child */
static struct shared {
	uint64_t median;
	uint64_t samples[ITERATIONS];
} *shared;

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void take_median(void)
{
	qsort(shared->samples, ITERATIONS, sizeof(shared->samples[0]), by_value);
	shared->median = shared->samples[ITERATIONS / 2];
}

/* ---- operations: `measured` runs inside the child ------------------------------------ */

/* Times `stmt`; `before` and `after` are not counted. */
#define MEASURE(before, stmt, after) \
	do { \
		int i_; \
		for (i_ = -WARM_UP; i_ < ITERATIONS; i_++) { \
			uint64_t t0_, t1_; \
			before; \
			t0_ = now(); \
			stmt; \
			t1_ = now(); \
			after; \
			if (i_ >= 0) \
				shared->samples[i_] = t1_ - t0_; \
		} \
		take_median(); \
	} while (0)

static int bench_clock(const void *arg)
{
	(void)arg;
	MEASURE((void)0, (void)0, (void)0);
	return 0;
}

static int bench_open(const void *path)
{
	int fd = -1;

	MEASURE((void)0, {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		(void)close(fd);
	}, (void)0);
	return fd < 0 ? -EIO : 0;
}

static int bench_sendto(const void *target)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	ssize_t n = -1;

	if (fd < 0)
		return -errno;
	MEASURE((void)0, n = sendto(fd, "x", 1, 0, (void *)&ss, len), (void)0);
	return n < 0 ? -errno : 0;
}

/* The SYN leaves and is dropped by the dummy device: nothing of a peer is counted. */
static int bench_connect(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	int fd = -1, err = 0;

	MEASURE({
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
	}, err = connect(fd, (void *)&ss, len) ? errno : 0, (void)close(fd));
	return err == EINPROGRESS ? 0 : -err;
}

/*
 * Ping-pong with a host that is not sandboxed. The time is that of sending one
 * segment, which carries the acknowledgement of the answer before: one packet
 * judged. The answer comes while nobody counts.
 */
static int bench_flow(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	if (fd < 0 || connect(fd, (void *)&ss, len))
		return -errno;
	MEASURE((void)0, {
		if (send(fd, "x", 1, 0) != 1)
			return -errno;
	}, {
		if (recv(fd, &byte, 1, 0) != 1)
			return -EIO;
	});
	return 0;
}

/* ---- a ClientHello ------------------------------------------------------------------------ */

#define HELLO_SERVER "downloads.example.test"
#define HELLO_SIZE 1800u /* with the key share of X25519MLKEM768 */

static size_t put16(uint8_t *p, size_t at, unsigned int v)
{
	p[at] = v >> 8;
	p[at + 1] = v;
	return at + 2;
}

static size_t put_extension(uint8_t *p, size_t at, unsigned int type, size_t len)
{
	at = put16(p, at, type);
	at = put16(p, at, len);
	memset(p + at, 0, len);
	return at + len;
}

/* As a client of today sends it, with the server's name last: all of it is read. */
static void make_hello(uint8_t p[HELLO_SIZE])
{
	static const unsigned int types[] = { 11, 10, 35, 16, 22, 23, 13, 43, 45, 21 };
	size_t name = strlen(HELLO_SERVER), at, ext, i;

	memset(p, 0, HELLO_SIZE);
	memcpy(p, (uint8_t[]){ 22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3 }, 11);
	p[43] = 32; /* session */
	at = put16(p, 44 + 32, 62) + 62; /* ciphers */
	p[at++] = 1;
	at++; /* compression */
	ext = at;
	at += 2;
	for (i = 0; i < ARRAY_SIZE(types); i++)
		at = put_extension(p, at, types[i], 10);
	at = put_extension(p, at, 51, HELLO_SIZE - at - 4 - 9 - name); /* key_share */
	at = put16(p, at, 0);
	at = put16(p, at, name + 5);
	at = put16(p, at, name + 3);
	at = put16(p, at + 1, name);
	memcpy(p + at, HELLO_SERVER, name);
	(void)put16(p, ext, HELLO_SIZE - ext - 2);
	(void)put16(p, 3, HELLO_SIZE - 5);
	(void)put16(p, 7, HELLO_SIZE - 9);
}

static int bench_hello(const void *target)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(target, &ss);
	uint8_t hello[HELLO_SIZE];
	int fd = -1;

	make_hello(hello);
	MEASURE({
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, (void *)&ss, len))
			return -errno;
	}, {
		if (send(fd, hello, sizeof(hello), 0) != (ssize_t)sizeof(hello))
			return -errno;
	}, {
		/* an abort: no port is kept for a connection that is over */
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
				 sizeof(struct linger));
		(void)close(fd);
	});
	return 0;
}

/* ---- policies ---------------------------------------------------------------------------- */

/*
 * `n` path rules around the one that decides: most are literal, one in ten is a
 * pattern that may match at any depth.
 */
static const char *path_policy(unsigned int n)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	unsigned int i;

	if (!f)
		harness_die("no memory");
	fprintf(f, "version: 1\nfiles:\n  default: none\n  /usr: rx\n  " DEPTH_PATH ": r\n");
	for (i = 3; i < n; i++) {
		if (i % 10 == 0)
			fprintf(f, "  \"**/.secret-%u\": none\n", i);
		else
			fprintf(f, "  " HARNESS_DIR "/three/dir-%u/sub-%u: rw\n", i % 97, i);
	}
	(void)fclose(f);
	return text;
}

static const char *egress_policy(unsigned int n)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	unsigned int i;

	if (!f)
		harness_die("no memory");
	fprintf(f, "version: 1\negress:\n  allow:\n  - 10.204.0.0/24:7001/tcp\n"
		   "  - 10.204.0.0/24:7001/udp\n  - " NET_OK4 "/32:7001/tcp\n");
	for (i = 3; i < n; i++)
		fprintf(f, "  - 172.%u.%u.%u/32:443\n", 16 + i / 65536, i / 256 % 256, i % 256);
	(void)fclose(f);
	return text;
}

/* The server's address is bound to its name, as if the resolver had answered. */
static struct box *box_with_name(const char *addr)
{
	struct box *b = box_new("version: 1\negress:\n  allow: ['*.example.test:7001']\n");
	struct eg_binding_key key = {
		.sandbox = sandbox_id(box_sandbox(b)),
		.family = sandbox_version(box_sandbox(b))->family,
	};
	struct eg_binding v = { .expires = UINT64_MAX, .classes = 1 };

	memset(key.addr + 10, 0xff, 2);
	must(inet_pton(AF_INET, addr, key.addr + 12) - 1);
	must(bpf_map_update_elem(agent_map_fd(harness_agent(), AGENT_MAP_BINDINGS), &key, &v,
				 BPF_ANY));
	return b;
}

/* ---- the table ------------------------------------------------------------------------------ */

static uint64_t clock_cost;
static bool missed;

static uint64_t measure(struct box *b, act_fn act, const void *arg)
{
	int result = box_run(b, AS_ROOT, act, arg);

	if (result < 0)
		harness_die("an operation fails: %s", result_text(result));
	return shared->median - MIN(clock_cost, shared->median);
}

static void row(const char *what, uint64_t total, uint64_t base, uint64_t must, uint64_t aim)
{
	int64_t extra = (int64_t)(total - base);

	if (!base) {
		printf("%-48s %7lu\n", what, total);
		return;
	}
	printf("%-48s %7lu %+7ld   < %5lu   < %5lu   %s\n", what, total, extra, must, aim,
	       extra < (int64_t)aim ? "reaches the aim" :
	       extra < (int64_t)must ? "in bounds" : "MISSED");
	missed |= extra >= (int64_t)must;
}

static const struct net_target dummy = { DUMMY_ADDR, 7001 }, peer = { NET_OK4, 7001 };

static const struct operation {
	const char *name;
	act_fn act;
	const void *arg;
	const char *(*policy)(unsigned int n);
	uint64_t must, aim; /* extra, sandboxed */
	uint64_t free_must, free_aim; /* extra, not sandboxed; 0: no row */
} operations[] = {
	{ "open+close, seven directories deep", bench_open, FILE_PATH, path_policy,
	  1000, 600, 300, 150 },
	{ "UDP sendto", bench_sendto, &dummy, egress_policy, 500, 300, 0, 0 },
	{ "TCP packet, established", bench_flow, &peer, egress_policy, 300, 150, 0, 0 },
	{ "TCP connect", bench_connect, &dummy, egress_policy, 3000, 1500, 0, 0 },
};

/* ---- the canary ------------------------------------------------------------------------- */

#define ROUNDS 20u

static uint64_t used(int who)
{
	struct rusage u;

	must(getrusage(who, &u));
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

/* Of egressd and its probes, whatever they wait for in between. */
static uint64_t bench_round(void)
{
	struct prove_result *r = calloc(prove_nrows, sizeof(*r));
	struct prover *p = NULL;
	struct diag d = {};
	uint64_t before;

	if (!r || prover_new(harness_agent(), harness_publisher(), harness_sandboxes(), &p, &d) ||
	    prover_run(p, r, &d))
		harness_die("the canary: %s", d.msg);
	before = used(RUSAGE_SELF) + used(RUSAGE_CHILDREN);
	for (unsigned int i = 0; i < ROUNDS; i++)
		if (prover_run(p, r, &d))
			harness_die("the canary: %s", d.msg);
	before = used(RUSAGE_SELF) + used(RUSAGE_CHILDREN) - before;
	prover_free(p);
	free(r);
	return before / ROUNDS;
}

/* One in a hundred of the instructions that a slow core executes in that time. */
#define ROUND_MUST (CANARY_EVERY_MS * 1000000ull / 100)

static void canary_row(void)
{
	uint64_t n = bench_round();

	printf("%-48s %7lu           < %5llu   %s\n", "a round of the canary, every hook", n,
	       ROUND_MUST, n < ROUND_MUST ? "in bounds" : "MISSED");
	missed |= n >= ROUND_MUST;
}

int main(int argc, char **argv)
{
	uint64_t base[ARRAY_SIZE(operations)], hello;
	static const unsigned int rules[] = { 10, 10000 };
	size_t i, r;

	harness_init(argc, argv);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		harness_die("mmap: %m");
	make_dir(DEPTH_PATH);
	write_file(FILE_PATH, "content\n");
	net_up();
	/* The peer's process must not run in what is counted. */
	must(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 }));
	shell("modprobe dummy && ip link add eg0 type dummy && "
	      "ip addr add 10.204.0.1/24 dev eg0 && ip link set eg0 up && "
	      "ip neigh add " DUMMY_ADDR " lladdr 02:00:00:00:00:02 dev eg0");

	/*
	 * A cgroup with a memory controller, as every process of a host with systemd
	 * has: the first one on a host makes all of them pay for accounting, which
	 * would be counted as ours.
	 */
	shell("mkdir -p /sys/fs/cgroup/bench && echo %d >/sys/fs/cgroup/bench/cgroup.procs",
	      (int)getpid());

	clock_cost = measure(NULL, bench_clock, NULL);
	printf("instructions, median of %d%*s total   extra      must       aim\n", ITERATIONS, 17,
	       "");
	for (i = 0; i < ARRAY_SIZE(operations); i++)
		base[i] = measure(NULL, operations[i].act, operations[i].arg);
	hello = measure(NULL, bench_hello, &peer);
	(void)harness_agent();
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		const struct operation *o = &operations[i];
		uint64_t total;

		row(str("%s, no programs", o->name), base[i], 0, 0, 0);
		total = measure(NULL, o->act, o->arg);
		if (o->free_must)
			row("  programs loaded, not sandboxed", total, base[i], o->free_must,
			    o->free_aim);
		for (r = 0; r < ARRAY_SIZE(rules); r++) {
			struct box *b = box_new(o->policy(rules[r]));

			total = measure(b, o->act, o->arg);
			row(str("  sandboxed, %u rules", rules[r]), total, base[i], o->must,
			    o->aim);
			box_free(b);
		}
	}
	row("ClientHello, 1800 bytes, no programs", hello, 0, 0, 0);
	row("  sandboxed, to a server allowed by name",
	    measure(box_with_name(NET_OK4), bench_hello, &peer), hello, 6000, 3000);
	row("violation, from the ring's record to log and journal", bench_events(path_policy(10),
	    HARNESS_DIR "/log"), 0, 0, 0);
	canary_row();
	boxes_end();
	remove_tree(HARNESS_DIR);
	return missed;
}
