/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside a sandbox: tries what is refused and what is allowed, one after the other without a
 * pause, until it is told to end. Each hook of these is the only one that refuses, or one of
 * two, so that a moment without programs shows.
 *
 *	probe control DIRECTORY HOST		once, outside: all of it must succeed
 *	probe until FIFO DIRECTORY HOST		prints "ready", ends when a line is in FIFO
 *
 * DIRECTORY has `secret` (refused), `tool` (may be read, but not executed) and `bin/probe`
 * (may be both), and may not be written to. HOST answers at TCP port 7000 (allowed) and at
 * 7001 (refused). What is printed: "tries N", and a line for every kind of wrong answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOWED_PORT 7000
#define REFUSED_PORT 7001

static const char *directory;
static struct in_addr host;

static const char *below(const char *name)
{
	static char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int closed(int fd)
{
	if (fd < 0)
		return -1;
	(void)close(fd);
	return 0;
}

static int open_refused(void)
{
	return closed(open(below("secret"), O_RDONLY | O_CLOEXEC));
}

static int open_allowed(void)
{
	return closed(open(below("bin/probe"), O_RDONLY | O_CLOEXEC));
}

static int make_refused(void)
{
	int err = mkdir(below("made"), 0700);

	if (!err)
		(void)rmdir(below("made"));
	return err;
}

static int exec_refused(void)
{
	char *const argv[] = { (char *)"tool", NULL };
	int status;
	pid_t pid = vfork();

	if (pid < 0)
		return -1;
	if (!pid) {
		(void)execv(below("tool"), argv);
		_exit(errno);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

static int to_host(int type, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr = host };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), err, saved;

	if (fd < 0)
		return -1;
	err = type == SOCK_STREAM ? connect(fd, (void *)&to, sizeof(to)) :
				    (int)sendto(fd, "x", 1, 0, (void *)&to, sizeof(to));
	saved = errno;
	(void)close(fd);
	errno = saved;
	return err < 0 ? -1 : 0;
}

static int connect_refused(void)
{
	return to_host(SOCK_STREAM, REFUSED_PORT);
}

static int connect_allowed(void)
{
	return to_host(SOCK_STREAM, ALLOWED_PORT);
}

static int send_refused(void)
{
	return to_host(SOCK_DGRAM, REFUSED_PORT);
}

static int signal_refused(void)
{
	return kill(1, 0);
}

static int bpf_refused(void)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
			     .max_entries = 1 };

	return closed((int)syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a)));
}

static struct act {
	const char *name;
	int (*fn)(void);
	int err;
	unsigned int every; /* dear ones are tried less often */
	unsigned long wrong;
	int got; /* the last wrong answer */
} acts[] = {
	{ "open of what is refused", open_refused, EACCES, 1, 0, 0 },
	{ "directory where none may be made", make_refused, EACCES, 1, 0, 0 },
	{ "connection to what is refused", connect_refused, EPERM, 1, 0, 0 },
	{ "datagram to what is refused", send_refused, EPERM, 1, 0, 0 },
	{ "signal to an outsider", signal_refused, EPERM, 1, 0, 0 },
	{ "bpf()", bpf_refused, EPERM, 1, 0, 0 },
	{ "open of what is allowed", open_allowed, 0, 1, 0, 0 },
	{ "execution of what is refused", exec_refused, EACCES, 8, 0, 0 },
	{ "connection to what is allowed", connect_allowed, 0, 16, 0, 0 },
};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

/* How many of them were tried. */
static unsigned int round_of(unsigned long i, bool control)
{
	unsigned int n = 0;

	for (struct act *a = acts; a < acts + ACTS; a++) {
		int got;

		if (i % a->every)
			continue;
		n++;
		got = a->fn() ? errno : 0;
		if (got == (control ? 0 : a->err))
			continue;
		a->wrong++;
		a->got = got;
	}
	return n;
}

static int report(unsigned long tries)
{
	unsigned long wrong = 0;

	printf("tries %lu\n", tries);
	for (const struct act *a = acts; a < acts + ACTS; a++) {
		wrong += a->wrong;
		if (a->wrong)
			printf("wrong %lu times: %s: %s\n", a->wrong, a->name,
			       a->got ? strerrorname_np(a->got) : "it succeeds");
	}
	return wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	unsigned long i = 0, tries = 0;
	bool control = argc == 4 && !strcmp(argv[1], "control");
	char line;
	int told;

	if ((!control && (argc != 5 || strcmp(argv[1], "until"))) ||
	    inet_pton(AF_INET, argv[argc - 1], &host) != 1) {
		fputs("usage: probe control|until FIFO DIRECTORY HOST\n", stderr);
		return 2;
	}
	directory = argv[argc - 2];
	if (control)
		return report(round_of(0, true));
	told = open(argv[2], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (told < 0) {
		perror(argv[2]);
		return 2;
	}
	puts("ready");
	(void)fflush(stdout);
	for (; read(told, &line, 1) != 1; i++)
		tries += round_of(i, false);
	return report(tries);
}
