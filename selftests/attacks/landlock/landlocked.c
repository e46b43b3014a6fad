/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 *	landlocked [-r PATH]... [-x PATH]... [-w PATH]... [-p PORT]... -- COMMAND...
 *
 * Landlock as far as this kernel has it, for the comparison: read, execute and
 * write below paths, TCP to ports (there are no addresses), own signals and
 * abstract sockets. It can only allow: nothing below an allowed path is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/landlock.h of newer kernels than the headers */
#define VERSION_FLAG 1u
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ (1ull << 2 | 1ull << 3)
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | 1ull << 2 | 1ull << 14 | 1ull << 15)
#define FS_V1 ((1ull << 13) - 1)
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define NET_BIND_CONNECT 3ull
#define NET_CONNECT 2ull
#define SCOPE_ALL 3ull
#define RULE_PATH 1
#define RULE_PORT 2

struct ruleset {
	uint64_t fs, net, scoped;
};
struct path_rule {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));
struct port_rule {
	uint64_t access, port;
};

static uint64_t handled(int abi)
{
	return FS_V1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
	       (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static void add_path(int set, const char *path, uint64_t access)
{
	struct path_rule rule = { .access = access, .fd = open(path, O_PATH | O_CLOEXEC) };
	struct stat st;

	if (rule.fd < 0)
		return;
	if (!fstat(rule.fd, &st) && !S_ISDIR(st.st_mode))
		rule.access &= FS_OF_FILES;
	if (syscall(SYS_landlock_add_rule, set, RULE_PATH, &rule, 0))
		perror(path);
	(void)close(rule.fd);
}

static void add_port(int set, const char *port)
{
	struct port_rule rule = { NET_CONNECT, strtoul(port, NULL, 10) };

	if (syscall(SYS_landlock_add_rule, set, RULE_PORT, &rule, 0))
		perror(port);
}

int main(int argc, char **argv)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION_FLAG), set, c;
	uint64_t all = handled(abi), read_ = FS_READ, exec = FS_READ | FS_EXECUTE;
	struct ruleset attr = { .fs = all, .net = abi >= 4 ? NET_BIND_CONNECT : 0,
				.scoped = abi >= 6 ? SCOPE_ALL : 0 };

	set = (int)syscall(SYS_landlock_create_ruleset, &attr,
			   abi >= 6 ? sizeof(attr) : abi >= 4 ? 16 : 8, 0);
	if (abi < 1 || set < 0) {
		perror("landlock");
		return 125;
	}
	while ((c = getopt(argc, argv, "+r:x:w:p:")) != -1) {
		if (c == 'p' && abi >= 4)
			add_port(set, optarg);
		else if (c != 'p')
			add_path(set, optarg, c == 'r' ? read_ : c == 'x' ? exec : all);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_landlock_restrict_self, set, 0)) {
		perror("landlock");
		return 125;
	}
	(void)execvp(argv[optind], argv + optind);
	perror(argv[optind]);
	return 127;
}
