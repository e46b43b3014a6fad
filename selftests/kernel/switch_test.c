// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Versions that change under tasks that try all the time: what two of them refuse never
 * succeeds in between, what both allow never fails, and what was taken away is on no wire
 * when it is said to be. EGRESSCTL_SWITCHES and EGRESSCTL_TRIES say how many times.
 */
#include "egress_acts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bpf_load.h"
#include "diag.h"
#include "publish.h"
#include "rcu_wait.h"
#include "sandbox.h"
#include "util.h"

#define DENIED HARNESS_DIR "/denied"
#define BOTH HARNESS_DIR "/both"
#define ONE HARNESS_DIR "/one"
/* both allow 7002/udp of the first host, both refuse the second host */
#define LESS "version: 1\nfiles: {/: rx, " DENIED ": none, " ONE ": none}\n" \
	"egress: {allow: [\"" NET_OK4 ":7002/udp\"]}\n"
#define MORE "version: 1\nfiles: {/: rx, " DENIED ": none}\n" \
	"egress: {allow: [\"" NET_OK4 ":7002/udp\", \"" NET_OK4 ":7001\", " \
	"\"" NET_OK4 ":7001/udp\"]}\n"
#define LAPSE_NS 30000000ull /* of a grant: longer than publishing it takes */

#define SAYS 20 /* in a phase: the host echoes, and nobody reads it */

enum phase { GO, AFTER, IDLE, END };

static struct {
	volatile int phase, seen; /* what the parent says, what the child has come to */
	volatile unsigned long acts; /* rounds of the child */
	volatile unsigned long opened, reached; /* what must not be */
	volatile unsigned long refused, unheard; /* what must be, and was not */
	volatile unsigned long sometimes; /* what one of the two allows */
} *shared;

static unsigned int times(const char *variable, unsigned int otherwise)
{
	const char *s = getenv(variable);

	return s ? (unsigned int)atoi(s) : otherwise;
}

static uint64_t boot_ns(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_BOOTTIME, &ts));
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Until the child has done n rounds that it had not begun. */
static void wait_acts(unsigned int n)
{
	unsigned long until = shared->acts + n + 1;

	while (shared->acts < until)
		sched_yield();
}

static bool opens(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static bool sends(int fd, const char *addr, uint16_t port)
{
	struct net_target t = { addr, port };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&t, &ss);

	return sendto(fd, "x", 1, MSG_DONTWAIT, (void *)&ss, len) == 1 || errno == EAGAIN;
}

static int act_hammer(const void *arg)
{
	struct net_target evil = { NET_EVIL4, NET_PORT };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&evil, &ss);
	int udp = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	(void)arg;
	for (; shared->phase != END; shared->acts++) {
		int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

		shared->opened += opens(DENIED);
		shared->refused += !opens(BOTH);
		shared->sometimes += opens(ONE);
		shared->reached += !connect(fd, (void *)&ss, len);
		shared->reached += sends(udp, NET_EVIL4, NET_PORT);
		shared->unheard += !sends(udp, NET_OK4, 7002);
		(void)close(fd);
	}
	return 0;
}

/* LESS, and over it MORE for a moment: as a grant is. *v is replaced. */
static void publish_grant(const struct version *less, const struct version **v,
			  unsigned int i)
{
	struct version_tail tail = { .lapses = boot_ns() + LAPSE_NS, .next = less };
	const char *key = str("grant %u", i);
	struct diag d = {};

	if (*v)
		publisher_unref(harness_publisher(), *v);
	if (publisher_put(harness_publisher(), box_compile(MORE), key, strlen(key), &tail, v, &d))
		harness_die("%s", d.msg);
}

static void hammered(struct box *b, const struct version *less, const struct version *more)
{
	unsigned int n = times("EGRESSCTL_SWITCHES", 1000), i;
	const struct version *grant = NULL;
	struct child c;

	if (!case_begin("%u switches under a task that tries all the time", n))
		return;
	child_start(&c, b, AS_ROOT, act_hammer, NULL);
	wait_acts(1);
	for (i = 0; i < n; i++) {
		if (i % 20 == 0) {
			publish_grant(less, &grant, i);
			sandbox_switch(box_sandbox(b), grant, SANDBOX_ADDS);
			/* it ends by itself, and only then it is tidied up */
			while (boot_ns() < grant->lapses)
				;
			wait_acts(1);
		}
		sandbox_switch(box_sandbox(b), i % 2 ? less : more,
			       i % 2 ? SANDBOX_TAKES : SANDBOX_ADDS);
		if (i % 2)
			publisher_wait(harness_publisher());
		else if (i % 4)
			wait_acts(1); /* else the other one follows at once */
	}
	publisher_unref(harness_publisher(), grant);
	shared->phase = END;
	check(!child_wait(&c), "the child failed");
	check(shared->acts > n / 20, "it tried only %lu times", shared->acts);
	check(shared->sometimes, "what one version allows never was");
	check(!shared->opened, "%lu opens that both versions refuse", shared->opened);
	check(!shared->reached, "%lu datagrams that both versions refuse", shared->reached);
	check(!shared->refused, "%lu opens refused that both allow", shared->refused);
	check(!shared->unheard, "%lu datagrams refused that both allow", shared->unheard);
	printf("# %lu rounds\n", shared->acts);
	box_events_drop(b);
	case_end();
}

/* ---- on no wire any more ------------------------------------------------------------------- */

static int stream(void)
{
	struct net_target to = { NET_OK4, NET_PORT };
	struct linger reset = { .l_onoff = 1 };
	struct timeval limit = { .tv_sec = 10 };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&to, &ss);
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	must(connect(fd, (void *)&ss, len));
	return fd;
}

/* Sends all the time; what it says AFTER is what must not be heard. */
static int act_flood(const void *arg)
{
	static const uint8_t before[NET_NONCE];
	struct net_target to = { NET_OK4, NET_PORT };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&to, &ss);
	int udp = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), tcp = -1, own = -1;
	int phase, last = IDLE, said = 0;

	(void)arg;
	for (;; shared->acts++, last = phase) {
		const void *what;

		phase = shared->phase;
		what = phase == AFTER ? net_nonce() : before;
		said = phase == last ? said + 1 : 0;

		if (phase == GO && tcp < 0) {
			tcp = stream();
			own = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
			must(connect(own, (void *)&ss, len));
		}
		if ((phase == GO || phase == AFTER) && said < SAYS) {
			(void)send(tcp, what, NET_NONCE, MSG_DONTWAIT | MSG_NOSIGNAL);
			(void)send(own, what, NET_NONCE, MSG_DONTWAIT);
			(void)sendto(udp, what, NET_NONCE, MSG_DONTWAIT, (void *)&ss, len);
		} else if (phase == IDLE && tcp >= 0) {
			(void)close(tcp);
			(void)close(own);
			tcp = -1;
		}
		shared->seen = phase;
		if (phase == END)
			return 0;
		if (said >= SAYS || phase == IDLE)
			sched_yield();
	}
}

static void say(int phase)
{
	shared->phase = phase;
	while (shared->seen != phase)
		sched_yield();
}

static void silent(struct box *b, const struct version *less, const struct version *more)
{
	unsigned int n = times("EGRESSCTL_TRIES", 100), i, heard = 0;
	struct rcu_wait maps;
	struct child c;

	if (!case_begin("what was taken away is on no wire afterwards, %u times", n))
		return;
	check(!rcu_wait_init(&maps, true, NULL), "no map of maps");
	memset((void *)shared, 0, sizeof(*shared));
	shared->phase = shared->seen = IDLE;
	net_reset();
	child_start(&c, b, AS_ROOT, act_flood, NULL);
	for (i = 0; i < n; i++) {
		sandbox_switch(box_sandbox(b), more, SANDBOX_ADDS);
		say(GO);
		wait_acts(3);
		/* as conn_switch() does before it answers; each way to wait does */
		sandbox_switch(box_sandbox(b), less, SANDBOX_TAKES);
		if (i % 2)
			publisher_wait(harness_publisher());
		else
			check(!rcu_wait(&maps), "the kernel does not wait");
		shared->phase = AFTER;
		wait_acts(10);
		say(IDLE);
		heard += net_seen(NET_OK).nonces > heard;
	}
	check(net_seen(NET_OK).udp_datagrams > n, "it was not heard before either");
	say(END);
	rcu_wait_fini(&maps);
	check(!child_wait(&c), "the child failed");
	check(!heard, "heard in %u of them", heard);
	box_events_drop(b);
	case_end();
}

int main(int argc, char **argv)
{
	const struct version *less, *more;
	struct box *b, *other;

	harness_init(argc, argv);
	net_up();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		harness_die("mmap: %m");
	write_file(DENIED, "");
	write_file(BOTH, "");
	write_file(ONE, "");
	b = box_new(LESS);
	other = box_new(MORE);
	less = sandbox_version(box_sandbox(b));
	more = sandbox_version(box_sandbox(other));
	publisher_ref(harness_publisher(), less);
	hammered(b, less, more);
	silent(b, less, more);
	publisher_unref(harness_publisher(), less);
	return harness_done();
}
