/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Looks for a wrong verdict: many threads on one processor, some of which are woken in real time
 * and so interrupt the others within a decision, each about paths and addresses that look
 * alike and have opposite verdicts.
 *
 *	stress try THREADS DIRECTORY HOST [FIFO]	inside; until a line is in FIFO, or briefly
 *	stress free THREADS DIRECTORY HOST FIFO		outside: nothing may be refused
 *	stress serve DIRECTORY FIFO			HOST's ports; what came to the refused one
 *	stress move DIRECTORY FIFO		outside: moves directories above what is tried
 *
 * "stress names DIRECTORY" prints what DIRECTORY has to have: "d PATH" a directory, "f PATH" a
 * file, "x PATH" a program. What has `shut` in its name is refused, all else is allowed. What
 * is printed: "ready"; then "tries N", and a line for every kind of wrong answer; the status
 * is 1 when there was one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256
#define RT_EVERY 4 /* one of so many threads is woken by a timer, in real time */
#define BRIEF 40 /* rounds of a thread when there is no FIFO */
#define REST_NS 8000000ull
/* times what was asked took: the others are to be interrupted, not stopped */
#define REST_FACTOR 64
#define LONG 160 /* bytes of a name: whole paths have about 200 */
#define FILES 8 /* of each kind */
#define ALLOWED_PORT 7000
#define REFUSED_PORT 7001
#define FREE_PORT 7003 /* what is refused inside, when an outsider asks: counted apart */

static bool outside, stop, brief;
static const char *directory;
static char long_name[LONG + 1];
static struct in_addr host;
static int places[2] = { -1, -1 };
static unsigned long tries, refusals;
static unsigned int realtime;
static __thread bool in_realtime;
static unsigned long forks_again;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* Its own for each thread: what two do next must not depend on a lock between them. */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static const char *side(bool refused)
{
	return refused ? "shut" : "open";
}

/* ---- what is tried: 0 or an errno --------------------------------------------------------- */

static int result(int r)
{
	return r < 0 ? errno : 0;
}

static int closed(int fd)
{
	int err = result(fd);

	if (fd >= 0)
		(void)close(fd);
	return err;
}

static void path_of(char path[4096], bool refused, unsigned int n)
{
	(void)snprintf(path, 4096, "%s/long/%s/%s%u", directory, long_name, side(refused), n);
}

static int open_as(bool refused, uint32_t *seed, int flags)
{
	char path[4096];

	path_of(path, refused, next_random(seed) % FILES);
	return closed(open(path, flags | O_CLOEXEC));
}

static int act_read(bool refused, uint32_t *seed)
{
	return open_as(refused, seed, O_RDONLY);
}

static int act_write(bool refused, uint32_t *seed)
{
	return open_as(refused, seed, O_WRONLY);
}

/* The directory is moved meanwhile, to where the verdict is the same. */
static int act_moved(bool refused, uint32_t *seed)
{
	(void)seed;
	return closed(openat(places[refused], "file", O_RDONLY | O_CLOEXEC));
}

static int act_mkdir(bool refused, uint32_t *seed)
{
	char path[4096];
	int err;

	(void)seed;
	(void)snprintf(path, sizeof(path), "%s/%s/made%d", directory, side(refused), gettid());
	err = result(mkdir(path, 0700));
	if (!err)
		(void)rmdir(path);
	return err;
}

static int act_rename(bool refused, uint32_t *seed)
{
	char from[4096], to[4096];
	int err;

	(void)seed;
	(void)snprintf(from, sizeof(from), "%s/open/from%d", directory, gettid());
	(void)snprintf(to, sizeof(to), "%s/%s/to%d", directory, side(refused), gettid());
	err = closed(open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	if (err)
		return err;
	err = result(rename(from, to));
	(void)unlink(err ? from : to);
	return err;
}

static struct sockaddr_in address(bool refused)
{
	int port = !refused ? ALLOWED_PORT : outside ? FREE_PORT : REFUSED_PORT;

	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr = host };
}

static int act_connect(bool refused, uint32_t *seed)
{
	/* reset at its end: ports would run out */
	struct linger at_once = { .l_onoff = 1 };
	struct sockaddr_in to = address(refused);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	(void)seed;
	if (fd < 0)
		return errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	err = result(connect(fd, (void *)&to, sizeof(to)));
	(void)close(fd);
	return err;
}

static int act_send(bool refused, uint32_t *seed)
{
	static __thread int fd = -1;
	struct sockaddr_in to = address(refused);

	(void)seed;
	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return result((int)sendto(fd, "x", 1, 0, (void *)&to, sizeof(to)));
}

static struct sockaddr_un local(bool refused)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s.sock", directory, side(refused));
	return to;
}

static int act_local(bool refused, uint32_t *seed)
{
	struct sockaddr_un to = local(refused);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	(void)seed;
	if (fd < 0)
		return errno;
	err = result(connect(fd, (void *)&to, sizeof(to)));
	(void)close(fd);
	return err;
}

static int exit_status(pid_t pid)
{
	int status;

	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/*
 * Before Linux 6.2 what it interrupted may have to go on before a child can be marked, and a task
 * in real time has to let it. Nobody else's fork is ever to be tried again.
 */
static bool fork_again(int err)
{
	const struct timespec t = { .tv_nsec = 1000000 };

	if (err != EAGAIN || !in_realtime)
		return false;
	__atomic_add_fetch(&forks_again, 1, __ATOMIC_RELAXED);
	(void)nanosleep(&t, NULL);
	return true;
}

static int act_exec(bool refused, uint32_t *seed)
{
	char path[4096], *const argv[] = { path, (char *)"nothing", NULL };
	pid_t pid;

	(void)seed;
	(void)snprintf(path, sizeof(path), "%s/%s.tool", directory, side(refused));
	do {
		pid = vfork();
		if (!pid) {
			(void)execv(path, argv);
			_exit(errno);
		}
	} while (pid < 0 && fork_again(errno));
	return exit_status(pid);
}

static int act_fork(bool refused, uint32_t *seed)
{
	pid_t pid;

	do
		pid = fork();
	while (pid < 0 && fork_again(errno));
	if (!pid)
		_exit(act_read(refused, seed));
	return exit_status(pid);
}

static void *read_in_thread(void *arg)
{
	uint32_t seed = gettid();

	return (void *)(intptr_t)act_read(arg != NULL, &seed);
}

static int act_thread(bool refused, uint32_t *seed)
{
	void *err = NULL;
	pthread_t id;
	int failed;

	do
		failed = pthread_create(&id, NULL, read_in_thread, refused ? seed : NULL);
	while (failed && fork_again(failed));
	if (failed)
		return failed;
	(void)pthread_join(id, &err);
	return (int)(intptr_t)err;
}

static int act_signal(bool refused, uint32_t *seed)
{
	(void)seed;
	return result(kill(refused ? 1 : getpid(), 0));
}

static struct act {
	const char *name;
	int (*fn)(bool refused, uint32_t *seed);
	int err;
	unsigned int weight; /* of 64 */
	unsigned long wrong[2];
	int got[2]; /* the last wrong answers */
} acts[] = {
	{ "open", act_read, EACCES, 20, {}, {} },
	{ "open to write", act_write, EACCES, 6, {}, {} },
	{ "open in a directory that moves", act_moved, EACCES, 8, {}, {} },
	{ "mkdir", act_mkdir, EACCES, 4, {}, {} },
	{ "rename", act_rename, EACCES, 4, {}, {} },
	{ "connect", act_connect, EPERM, 6, {}, {} },
	{ "sendto", act_send, EPERM, 6, {}, {} },
	{ "connect to a unix socket", act_local, EPERM, 3, {}, {} },
	{ "exec", act_exec, EACCES, 1, {}, {} },
	{ "open by a child", act_fork, EACCES, 2, {}, {} },
	{ "open by a thread", act_thread, EACCES, 2, {}, {} },
	{ "signal", act_signal, EPERM, 2, {}, {} },
};
#define ACTS (sizeof(acts) / sizeof(acts[0]))
#define ALL_WEIGHTS 64

static struct act *act_of(uint32_t n)
{
	struct act *a = acts;

	for (n %= ALL_WEIGHTS; n >= a->weight; a++)
		n -= a->weight;
	return a;
}

/* ---- threads ------------------------------------------------------------------------------ */

static void judge(struct act *a, bool refused, int got)
{
	int want = refused && !outside ? a->err : 0;

	__atomic_add_fetch(&tries, 1, __ATOMIC_RELAXED);
	if (want)
		__atomic_add_fetch(&refusals, 1, __ATOMIC_RELAXED);
	if (got == want)
		return;
	__atomic_add_fetch(&a->wrong[refused], 1, __ATOMIC_RELAXED);
	__atomic_store_n(&a->got[refused], got, __ATOMIC_RELAXED);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The timer's interrupt is the point: it comes anywhere in what another thread asks. */
static void rest(uint32_t *seed, uint64_t since)
{
	uint64_t now = now_ns(), until = now + next_random(seed) % REST_NS;
	struct timespec t;

	until += (now - since) * REST_FACTOR;
	t = (struct timespec){ .tv_sec = (time_t)(until / 1000000000),
			       .tv_nsec = (long)(until % 1000000000) };
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void *worker(void *arg)
{
	uint32_t seed = 2463534242u + 977u * (uint32_t)(uintptr_t)arg;
	unsigned int number = (uintptr_t)arg, i;
	bool rt = number % RT_EVERY == 0;
	struct sched_param p = { .sched_priority = 1 + number % 8 };

	in_realtime = rt && !pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);
	if (in_realtime)
		__atomic_add_fetch(&realtime, 1, __ATOMIC_RELAXED);
	for (i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED) && !(brief && i == BRIEF); i++) {
		struct act *a = act_of(next_random(&seed));
		bool refused = next_random(&seed) >> 16 & 1;
		uint64_t since = now_ns();

		judge(a, refused, a->fn(refused, &seed));
		/* what differs from the last answer most is asked at once */
		judge(a, !refused, a->fn(!refused, &seed));
		if (rt)
			rest(&seed, since);
	}
	return NULL;
}

static int report(void)
{
	unsigned long wrong = 0;

	printf("tries %lu, %lu to be refused, %u threads in real time, %lu forks again\n", tries,
	       refusals, realtime, forks_again);
	for (struct act *a = acts; a < acts + ACTS; a++) {
		for (int refused = 0; refused < 2; refused++) {
			if (!a->wrong[refused])
				continue;
			wrong += a->wrong[refused];
			printf("wrong %lu times: %s that is %s: %s\n", a->wrong[refused], a->name,
			       refused ? "refused" : "allowed",
			       a->got[refused] ? strerrorname_np(a->got[refused]) : "it succeeds");
		}
	}
	(void)fflush(stdout);
	return wrong ? 1 : 0;
}

static int open_fifo(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	puts("ready");
	(void)fflush(stdout);
	return fd;
}

static int try_all(unsigned int threads, const char *fifo)
{
	pthread_t ids[THREADS_MAX];
	cpu_set_t one;
	unsigned int i;
	char line;
	int fd;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	brief = !fifo;
	/* brief ones come and go wherever there is room */
	if (!brief && sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity");
	for (i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, worker, (void *)(uintptr_t)(i + 1)))
			die("pthread_create");
	if (fifo) {
		fd = open_fifo(fifo);
		if (read(fd, &line, 1) != 1)
			die(fifo);
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	}
	for (i = 0; i < threads; i++)
		(void)pthread_join(ids[i], NULL);
	return report();
}

/* ---- those outside ------------------------------------------------------------------------ */

/*
 * `above` goes between two places where all is allowed, and its like between two where nothing
 * is: whatever is seen of a move, the verdict is the same.
 */
static int move_all(const char *fifo)
{
	struct pollfd p = { .fd = open_fifo(fifo), .events = POLLIN };
	unsigned long i;

	for (i = 0; poll(&p, 1, 0) == 0; i++) {
		for (int refused = 0; refused < 2; refused++) {
			char from[4096], to[4096];

			(void)snprintf(from, sizeof(from), "%s/%s/%s/above", directory,
				       side(refused), i % 2 ? "there" : "here");
			(void)snprintf(to, sizeof(to), "%s/%s/%s/above", directory,
				       side(refused), i % 2 ? "here" : "there");
			if (rename(from, to))
				die("rename");
		}
	}
	printf("moves %lu\n", 2 * i);
	return 0;
}

enum { TCP_OPEN, UDP_OPEN, LOCAL_OPEN, TCP_SHUT, UDP_SHUT, LOCAL_SHUT, TCP_FREE, UDP_FREE, SERVED };

static int listen_at(int type, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (void *)&at, sizeof(at)) ||
	    (type == SOCK_STREAM && listen(fd, 1024)))
		die("listen");
	return fd;
}

static int listen_local(bool refused)
{
	struct sockaddr_un at = local(refused);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (void *)&at, sizeof(at)) || chmod(at.sun_path, 0777) ||
	    listen(fd, 1024))
		die(at.sun_path);
	return fd;
}

static unsigned long take(int fd, bool datagrams)
{
	unsigned long n = 0;
	char byte;
	int c;

	while (datagrams && recv(fd, &byte, 1, 0) >= 0)
		n++;
	while (!datagrams && (c = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		(void)close(c);
		n++;
	}
	return n;
}

/* What comes to what is refused is counted where it arrives: an errno may lie. */
static int serve(const char *fifo)
{
	struct pollfd p[SERVED + 1];
	unsigned long n[SERVED] = {};

	for (int i = 0; i < 3; i++) {
		int port = i == 0 ? ALLOWED_PORT : i == 1 ? REFUSED_PORT : FREE_PORT;

		p[3 * i].fd = listen_at(SOCK_STREAM, port);
		p[3 * i + 1].fd = listen_at(SOCK_DGRAM, port);
		if (i < 2)
			p[3 * i + 2].fd = listen_local(i == 1);
	}
	p[SERVED].fd = open_fifo(fifo);
	for (int i = 0; i <= SERVED; i++)
		p[i].events = POLLIN;
	do {
		if (poll(p, SERVED + 1, -1) < 0)
			die("poll");
		for (int i = 0; i < SERVED; i++)
			if (p[i].revents)
				n[i] += take(p[i].fd, i == UDP_OPEN || i == UDP_SHUT ||
							      i == UDP_FREE);
	} while (!p[SERVED].revents);
	printf("allowed %lu %lu %lu\n", n[TCP_OPEN], n[UDP_OPEN], n[LOCAL_OPEN]);
	printf("refused %lu %lu\n", n[TCP_SHUT], n[UDP_SHUT]);
	printf("free %lu %lu\n", n[TCP_FREE], n[UDP_FREE]);
	return 0;
}

/* For whoever makes them, and the rules about them. */
static int print_names(void)
{
	static const char *const dirs[] = { "open/here/above", "open/there", "shut/here/above",
					    "shut/there" };
	char path[4096];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		printf("d %s/%s\n", directory, dirs[i]);
	printf("d %s/long/%s\n", directory, long_name);
	for (unsigned int i = 0; i < 2 * FILES; i++) {
		path_of(path, i & 1, i / 2);
		printf("f %s\n", path);
	}
	for (int refused = 0; refused < 2; refused++) {
		printf("f %s/%s/here/above/file\n", directory, side(refused));
		printf("x %s/%s.tool\n", directory, side(refused));
	}
	return 0;
}

/* From where it is held: it may be moved by now. */
static void hold_places(void)
{
	char path[4096];

	for (int refused = 0; refused < 2; refused++) {
		for (int i = 0; places[refused] < 0 && i < 1000; i++) {
			(void)snprintf(path, sizeof(path), "%s/%s/%s/above", directory,
				       side(refused), i % 2 ? "there" : "here");
			places[refused] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		}
		if (places[refused] < 0)
			die(path);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool tries_all = argc >= 5 && (!strcmp(what, "try") || !strcmp(what, "free"));
	unsigned long threads = tries_all ? strtoul(argv[2], NULL, 10) : 0;

	if (!strcmp(what, "nothing"))
		return 0;
	directory = argc > 2 ? argv[2] : "";
	memset(long_name, 'x', LONG);
	if (argc == 3 && !strcmp(what, "names"))
		return print_names();
	if (argc == 4 && !strcmp(what, "serve"))
		return serve(argv[3]);
	if (argc == 4 && !strcmp(what, "move"))
		return move_all(argv[3]);
	if (!threads || threads > THREADS_MAX || inet_pton(AF_INET, argv[4], &host) != 1) {
		fputs("usage: stress try|free|serve|move|names …, see stress.c\n", stderr);
		return 2;
	}
	outside = *what == 'f';
	directory = argv[3];
	hold_places();
	return try_all(threads, argc > 5 ? argv[5] : NULL);
}
