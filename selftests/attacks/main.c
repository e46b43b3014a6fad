/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 *	attack --list		the rows, one JSON object a line
 *	attack ROW [KEY=VALUE]...	do one
 *	attack --serve [MARK]	do what standard input asks for, a line each, and say
 *				what came of it; open MARK after each, so that
 *				whoever reads events knows where it ends
 *	attack --victim		a process with a secret that waits for signals
 *
 * A row runs in a process of its own. The answer is one line of fields between tabs:
 * R, row, pid, done | refused | cannot | died, errno or signal, loot in hex, why.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 60 /* seconds; ends what hangs, decides nothing */

static const struct attack *const families[] = {
	attacks_address, attacks_kinds, attacks_header, attacks_foreign, attacks_relay,
	attacks_rewrite, attacks_dns, attacks_read, attacks_write, attacks_link, attacks_mount,
	attacks_exec, attacks_leave, attacks_kernel, attacks_victim, attacks_agent,
};

struct world world;

/* of the row that runs, shared with its process */
static struct said {
	bool said;
	int result;
	char why[160];
	size_t loot_len;
	uint8_t loot[512];
} *said;

int cannot(const char *why)
{
	snprintf(said->why, sizeof(said->why), "%s", why);
	return CANNOT;
}

void loot(const void *data, size_t len)
{
	if (said->loot_len)
		return;
	said->loot_len = len < sizeof(said->loot) ? len : sizeof(said->loot);
	memcpy(said->loot, data, said->loot_len);
}

int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

/* Without a buffer: the row's process reads from the same descriptor. */
static bool read_line(char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(STDIN_FILENO, line + n, 1) == 1) {
		if (line[n] == '\n') {
			line[n] = 0;
			return true;
		}
		n++;
	}
	return false;
}

void meet(const char *what)
{
	char line[64];

	dprintf(STDOUT_FILENO, "M\t%s\t%d\n", what, getpid());
	if (!read_line(line, sizeof(line)))
		_exit(3);
}

static const struct attack *find(const char *name)
{
	const struct attack *a;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++)
		for (a = families[i]; a->name; a++)
			if (!strcmp(a->name, name))
				return a;
	return NULL;
}

static void list(void)
{
	static const char *const by[] = { "both", "user", "root" };
	const struct attack *a;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++)
		for (a = families[i]; a->name; a++)
			printf("{\"name\": \"%s\", \"by\": \"%s\", \"judge\": \"%s\", "
			       "\"err\": \"%s\", \"event\": \"%s\", \"policy\": \"%s\"}\n",
			       a->name, by[a->by], a->judge, a->err, a->event ? a->event : "",
			       a->policy ? a->policy : "main");
}

static void set_nonce(const char *hex)
{
	size_t i;

	snprintf(world.hex, sizeof(world.hex), "%s", hex);
	for (i = 0; i < NONCE; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &world.nonce[i]) != 1)
			exit(2);
}

static void set(char *word)
{
	char *value = strchr(word, '=');

	if (!value)
		return;
	*value++ = 0;
	if (!strcmp(word, "nonce"))
		set_nonce(value);
	else if (!strcmp(word, "victim"))
		world.victim = atoi(value);
	else if (!strcmp(word, "service"))
		world.service = atoi(value);
	else if (!strcmp(word, "hosted"))
		world.hosted = atoi(value);
	else if (!strcmp(word, "token"))
		world.token = strtoul(value, NULL, 16);
}

static void answer(const struct attack *a, pid_t pid, int status)
{
	const char *how = "done", *err = "-";
	char number[16];
	size_t i;

	if (WIFSIGNALED(status)) {
		how = "died";
		snprintf(number, sizeof(number), "%d", WTERMSIG(status));
		err = number;
	} else if (!said->said || said->result == CANNOT) {
		how = "cannot";
	} else if (said->result < 0) {
		how = "refused";
		err = strerrorname_np(-said->result);
	}
	printf("R\t%s\t%d\t%s\t%s\t", a->name, pid, how, err ? err : "?");
	for (i = 0; i < said->loot_len; i++)
		printf("%02x", said->loot[i]);
	printf("\t%s\n", said->why);
	fflush(stdout);
}

static void run(const struct attack *a)
{
	int status;
	pid_t pid;

	memset(said, 0, sizeof(*said));
	pid = fork();
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		alarm(PATIENCE);
		said->result = a->run(a->arg);
		said->said = true;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		printf("R\t%s\t0\tcannot\t-\t\tfork: %s\n", a->name, strerror(errno));
		fflush(stdout);
		return;
	}
	answer(a, pid, status);
}

static void serve(const char *mark)
{
	const struct attack *a;
	char line[1024], *word, *rest;
	int fd;

	/* a row may leave descriptors of the service's behind only to itself */
	printf("S\t%d\n", getpid());
	fflush(stdout);
	while (read_line(line, sizeof(line))) {
		word = strtok_r(line, " ", &rest);
		a = word ? find(word) : NULL;
		while ((word = strtok_r(NULL, " ", &rest)))
			set(word);
		if (a)
			run(a);
		else
			printf("R\t?\t0\tcannot\t-\t\tno such row\n");
		fflush(stdout);
		if (!mark)
			continue;
		fd = open(mark, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			(void)close(fd);
	}
}

/* Writes "signal N" for each that can be caught; the secret is on its heap. */
static void victim(void)
{
	char *secret = strdup(getenv("ATTACK_TOKEN") ? getenv("ATTACK_TOKEN") : "");
	sigset_t all;
	int sig;

	sigfillset(&all);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sigprocmask(SIG_BLOCK, &all, NULL))
		exit(1);
	printf("ready %p\n", (void *)secret);
	fflush(stdout);
	while (!sigwait(&all, &sig)) {
		printf("signal %d\n", sig);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	const struct attack *a;
	int i;

	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED || argc < 2) {
		fprintf(stderr, "usage: attack --list | --serve [MARK] | ROW [KEY=VALUE]...\n");
		return 2;
	}
	if (!strcmp(argv[1], "--list")) {
		list();
	} else if (!strcmp(argv[1], "--serve")) {
		serve(argc > 2 ? argv[2] : NULL);
	} else if (!strcmp(argv[1], "--victim")) {
		victim();
	} else {
		a = find(argv[1]);
		if (!a)
			return 2;
		for (i = 2; i < argc; i++)
			set(argv[i]);
		run(a);
	}
	return 0;
}
