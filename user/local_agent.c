/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "control.h"
#include "diag.h"
#include "local_agent.h"
#include "run_agent.h"
#include "util.h"

/* egressd beside this program, as in a build, or in ../sbin, as installed; NULL: in neither. */
static char *find_egressd(void)
{
	static const char *const places[] = { "egressd", "../sbin/egressd" };
	char exe[PATH_MAX], *slash, *path;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (asprintf(&path, "%.*s/%s", (int)(slash - exe), exe, places[i]) < 0)
			return NULL;
		if (!access(path, X_OK))
			return path;
		free(path);
	}
	return NULL;
}

static void detach(int fd)
{
	sigset_t all;
	int null;

	/* the terminal's signals and the launcher's group are not for it */
	(void)setsid();
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && null >= 0; i++)
		(void)dup2(null, i);
	if (fd == RUN_AGENT_FD)
		(void)fcntl(fd, F_SETFD, 0);
	else
		(void)dup2(fd, RUN_AGENT_FD);
	(void)close_range(RUN_AGENT_FD + 1, ~0u, 0);
	(void)!chdir("/"); /* only so that no mount is kept busy */
}

static void __attribute__((noreturn)) become_agent(const char *program, bool egress_only,
						    enum without_lsm without)
{
	json_t *msg;
	char text[PATH_MAX + 128];

	execl(program, program, "--for-run", without_lsm_text(without),
	      egress_only ? "--egress-only" : NULL, NULL);
	snprintf(text, sizeof(text), "cannot run %s: %s", program, strerror(errno));
	msg = json_pack("{s:s, s:i}", "error", text, "exit", 125);
	if (msg)
		(void)control_send(RUN_AGENT_FD, msg, NULL, 0);
	_exit(125);
}

int local_agent_start(bool egress_only, const enum without_lsm *without, struct local_agent *out,
		      struct diag *d)
{
	enum without_lsm mode = without ? *without : config_without_lsm(CONFIG_FILE, NULL);
	_cleanup_free_ char *program = find_egressd();
	json_t *msg = NULL;
	int pair[2], err;
	pid_t pid;

	if (!program)
		return diag_set(d, -ENOENT,
				"egressd is not running, and there is no program egressd beside "
				"this one or in ../sbin that could do its work");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return diag_set(d, -errno, "cannot make a socket: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		detach(pair[1]);
		become_agent(program, egress_only, mode);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return diag_set(d, -EAGAIN, "cannot start a process");
	}
	*out = (struct local_agent){ .control = pair[0], .supervisor = pid };
	err = control_recv(pair[0], &msg, NULL, NULL);
	if (err > 0 && json_object_get(msg, "ok")) {
		json_decref(msg);
		return 0;
	}
	if (err > 0)
		(void)diag_set(d, -EREMOTEIO, "%s",
			       json_string_value(json_object_get(msg, "error")) ?: "no answer");
	else
		(void)diag_set(d, -EREMOTEIO, "%s ended early: is it of this version?", program);
	json_decref(msg);
	close(pair[0]);
	local_agent_wait(out);
	return -EREMOTEIO;
}

void local_agent_wait(struct local_agent *la)
{
	while (waitpid(la->supervisor, NULL, 0) < 0 && errno == EINTR)
		;
}
