// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Have a process close its descriptors of a BPF link, as another agent could that is root
 * and careless: bpftool detaches links of cgroups, and none of LSM programs.
 *
 *	close_link PID LINK-ID
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

static int is_link(const char *pid, const char *fd, const char *id)
{
	char path[128], line[256], want[64];
	int found = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%.32s/fdinfo/%.32s", pid, fd);
	(void)snprintf(want, sizeof(want), "link_id:\t%.32s\n", id);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		found |= !strcmp(line, want);
	if (f)
		(void)fclose(f);
	return found;
}

/* It waits in a system call, behind whose instruction it goes on: there is one to use. */
static int close_in(pid_t pid, long fd)
{
	struct user_regs_struct was, r;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) || waitpid(pid, NULL, 0) != pid ||
	    ptrace(PTRACE_GETREGS, pid, NULL, &was))
		return -errno;
	r = was;
	r.rip -= 2;
	r.rax = SYS_close;
	r.orig_rax = (unsigned long)-1;
	r.rdi = (unsigned long)fd;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &r) || ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) ||
	    waitpid(pid, NULL, 0) != pid || ptrace(PTRACE_GETREGS, pid, NULL, &r) ||
	    ptrace(PTRACE_SETREGS, pid, NULL, &was) || ptrace(PTRACE_DETACH, pid, NULL, NULL))
		return -errno;
	return (int)r.rax;
}

int main(int argc, char **argv)
{
	char path[64];
	struct dirent *e;
	int closed = 0;
	DIR *dir;

	if (argc != 3)
		return 2;
	(void)snprintf(path, sizeof(path), "/proc/%.32s/fd", argv[1]);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		int err;

		if (!is_link(argv[1], e->d_name, argv[2]))
			continue;
		err = close_in((pid_t)strtol(argv[1], NULL, 10), strtol(e->d_name, NULL, 10));
		if (err) {
			fprintf(stderr, "close_link: %s\n", strerror(-err));
			return 1;
		}
		closed++;
	}
	if (dir)
		(void)closedir(dir);
	return closed ? 0 : 1;
}
