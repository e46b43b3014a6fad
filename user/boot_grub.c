/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* GRUB's menu, made anew by what the system has for it. */
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot.h"
#include "diag.h"
#include "util.h"

#define UPDATE_GRUB "/usr/sbin/update-grub" /* Debian's; who has another menu changes it there */
#define MKCONFIG "/usr/sbin/grub-mkconfig"

/* Its output is for people: none of it is ours to print on standard output. */
static int spawn(char *const argv[], pid_t *pid)
{
	static char *const env[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)"LC_ALL=C.UTF-8", NULL,
	};
	posix_spawn_file_actions_t actions;
	int err = posix_spawn_file_actions_init(&actions);

	if (err)
		return -err;
	err = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	if (!err)
		err = posix_spawn(pid, argv[0], &actions, NULL, argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -err;
}

int boot_update_grub(struct boot *b, struct diag *d)
{
	char *const own[] = { (char *)UPDATE_GRUB, NULL };
	char *const plain[] = { (char *)MKCONFIG, (char *)"-o", (char *)boot_grub_menus[0], NULL };
	char *const *argv = access(own[0], X_OK) ? plain : own;
	int status, err;
	pid_t pid;

	(void)b;
	err = spawn(argv, &pid);
	if (err)
		return diag_set(d, err, "cannot run %s: %s", argv[0], strerror(-err));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return diag_set(d, -errno, "cannot wait for %s: %s", argv[0],
					strerror(errno));
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return diag_set(d, -EIO, "%s failed (%s %d)", argv[0],
			WIFEXITED(status) ? "status" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}
