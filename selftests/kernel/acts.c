/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What sandboxed children do, one access each. */
#include "harness_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "util.h"

static int open_close(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

int act_open_read(const void *path)
{
	return open_close(path, O_RDONLY);
}

int act_open_write(const void *path)
{
	return open_close(path, O_WRONLY);
}

int act_open_path_reopen(const void *path)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	char self[32];

	if (fd < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open_close(self, O_RDONLY);
}

int act_create(const void *path)
{
	return open_close(path, O_WRONLY | O_CREAT | O_EXCL);
}

int act_list(const void *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return -errno;
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

int act_unlink(const void *path)
{
	return result(unlink(path));
}

int act_mkdir(const void *path)
{
	return result(mkdir(path, 0777));
}

int act_rmdir(const void *path)
{
	return result(rmdir(path));
}

int act_truncate(const void *path)
{
	return result(truncate(path, 0));
}

int act_rename(const void *two)
{
	const struct two_paths *p = two;

	return result(rename(p->from, p->to));
}

int act_link(const void *two)
{
	const struct two_paths *p = two;

	return result(link(p->from, p->to));
}

/* The pipe closes on exec: end of file is success, an errno is a failure. */
int act_exec(const void *path)
{
	char *argv[] = { (char *)path, NULL };
	char *envp[] = { NULL };
	int ends[2], err = 0, status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)execve(path, argv, envp);
		err = errno;
		n = write(ends[1], &err, sizeof(err));
		_exit(n == sizeof(err) ? 127 : 126);
	}
	(void)close(ends[1]);
	n = read(ends[0], &err, sizeof(err));
	(void)close(ends[0]);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	if (n == sizeof(err))
		return -err;
	return WIFSIGNALED(status) ? DIED_OF(WTERMSIG(status)) : WEXITSTATUS(status);
}
