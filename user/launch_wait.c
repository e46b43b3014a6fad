/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The launcher while the command runs: as invisible as it can be. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "diag.h"
#include "launch.h"
#include "launch_int.h"
#include "util.h"

void launch_print_event(void *ctx, json_t *msg)
{
	const char *text = json_string_value(json_object_get(msg, "event"));

	(void)ctx;
	if (text)
		fprintf(stderr, "%s\n", text);
}

/* Stop as the child was stopped; comes back when this process is continued. */
static void stop_like(struct launch_child *c, int sig)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, old;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)sigaction(sig, &dfl, &old);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(sig);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(sig, &old, NULL);
	(void)pidfd_send_signal(c->pidfd, SIGCONT, NULL, 0); /* it may have been killed since */
}

/* 1: the child has ended, *result is set. */
static int reap(struct launch_child *c, int *result)
{
	int status;
	pid_t pid;

	for (;;) {
		pid = waitpid(c->pid, &status, WUNTRACED | WNOHANG);
		if (pid != c->pid)
			return 0;
		if (WIFSTOPPED(status)) {
			stop_like(c, WSTOPSIG(status));
			continue;
		}
		*result = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
		return 1;
	}
}

/*
 * What the terminal sends goes to the whole group, the child included; what was
 * sent to this process alone is passed on.
 */
static void forward(struct launch_child *c)
{
	struct signalfd_siginfo si;

	while (read(c->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD || si.ssi_code == SI_KERNEL)
			continue;
		(void)pidfd_send_signal(c->pidfd, si.ssi_signo, NULL, 0);
	}
}

/* Messages of the server while the command runs: events only. */
static void listen_to(struct launch_child *c, int *control)
{
	json_t *msg = NULL;
	int err = control_recv(*control, &msg, NULL, NULL);

	if (err > 0) {
		launch_print_event(c, msg);
		json_decref(msg);
		return;
	}
	/*
	 * The server is gone. The rules go on being enforced from the pins; a
	 * server of our own (no egressd) can only have been killed, and then
	 * nobody else ends the run.
	 */
	close(*control);
	*control = -1;
	if (c->l->server_is_ours) {
		fprintf(stderr, "%s: the supervisor was killed: ending the run\n",
			program_invocation_short_name);
		(void)pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	}
}

int launch_wait(struct launch_child *c, int *control)
{
	int result = 128 + SIGKILL;

	while (!reap(c, &result)) {
		struct pollfd p[2] = {
			{ .fd = c->signals, .events = POLLIN },
			{ .fd = *control, .events = POLLIN },
		};

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			forward(c);
		if (p[1].revents)
			listen_to(c, control);
	}
	return result;
}
