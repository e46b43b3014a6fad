/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's side of landlock.h. The calls have no wrappers in glibc, and the header of
 * Debian 12 ends with ABI 2: numbers and bits are those of include/uapi/linux/landlock.h.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/types.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../bpf/egressctl.h"
#include "landlock.h"

#define CREATE_RULESET_VERSION (1u << 0)
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_CHAR (1ull << 6)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_MAKE_SOCK (1ull << 9)
#define FS_MAKE_FIFO (1ull << 10)
#define FS_MAKE_BLOCK (1ull << 11)
#define FS_MAKE_SYM (1ull << 12)
#define FS_REFER (1ull << 13) /* ABI 2, Linux 5.19 */
#define FS_TRUNCATE (1ull << 14) /* ABI 3, 6.2 */
#define FS_IOCTL_DEV (1ull << 15) /* ABI 5, 6.10 */

#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0) /* ABI 6, 6.12 */
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4; the network is the cgroup programs' */
	uint64_t scoped; /* ABI 6 */
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return abi < 0 ? -errno : (int)abi;
}

/* Devices are made by nobody: that is asked for to be refused. */
static uint64_t all_access(unsigned int abi)
{
	uint64_t all = FS_MAKE_SYM | (FS_MAKE_SYM - 1);

	if (abi >= 2)
		all |= FS_REFER;
	if (abi >= 3)
		all |= FS_TRUNCATE;
	if (abi >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

uint64_t landlock_access(uint8_t perm, bool dir, unsigned int abi)
{
	uint64_t access = 0;

	if (perm & EG_R)
		access |= FS_READ_FILE | (dir ? FS_READ_DIR : 0);
	if (perm & EG_W)
		access |= FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
	if (perm & EG_X)
		access |= FS_EXECUTE;
	if ((perm & EG_C) && dir)
		access |= FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |
			  FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_SYM | FS_REFER;
	return access & all_access(abi);
}

/* ---- the real tree --------------------------------------------------------------------------- */

/* What is named, and nothing that a link puts in its place meanwhile. */
static int open_path(const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC | O_NOFOLLOW,
				.resolve = RESOLVE_NO_SYMLINKS };
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static enum landlock_kind kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return LANDLOCK_NOTHING;
	if (S_ISLNK(st.st_mode))
		return LANDLOCK_LINK;
	return S_ISDIR(st.st_mode) ? LANDLOCK_DIR : LANDLOCK_FILE;
}

static enum landlock_kind real_kind(void *ctx, const char *path)
{
	_cleanup_close_ int fd = open_path(path, O_PATH);

	(void)ctx;
	if (fd == -ELOOP)
		return LANDLOCK_LINK;
	return fd < 0 ? LANDLOCK_NOTHING : kind_of(fd);
}

static int real_list(void *ctx, const char *path, int (*each)(void *arg, const char *name),
		     void *arg)
{
	int fd = open_path(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK), err = 0;
	const struct dirent *e;
	DIR *dir;

	(void)ctx;
	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (e = readdir(dir)))
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			err = each(arg, e->d_name);
	(void)closedir(dir); /* only read */
	return err;
}

const struct landlock_tree landlock_real_tree = { .kind = real_kind, .list = real_list };

/* ---- the ruleset ----------------------------------------------------------------------------- */

static int new_ruleset(unsigned int abi, struct diag *d)
{
	struct ruleset_attr attr = { .handled_access_fs = all_access(abi) };
	size_t size = sizeof(attr.handled_access_fs);
	long fd;

	if (abi >= 6) {
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
		size = sizeof(attr);
	}
	/* closed on exec by itself */
	fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	return fd < 0 ? diag_set(d, -errno, "cannot make a Landlock ruleset: %s",
				 strerror(errno)) :
			(int)fd;
}

static int add_rule(int ruleset, unsigned int abi, const struct landlock_grant *g, struct diag *d)
{
	_cleanup_close_ int fd = open_path(g->path, O_PATH);
	struct path_beneath_attr attr = {
		.allowed_access = landlock_access(g->perm, g->dir, abi),
		.parent_fd = fd,
	};

	/* gone, or another thing by now: nothing is given to it */
	if (fd < 0 || kind_of(fd) != (g->dir ? LANDLOCK_DIR : LANDLOCK_FILE) ||
	    !attr.allowed_access)
		return 0;
	/* EBADFD: a filesystem that has no paths for users, and so no names to open there */
	if (!syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) ||
	    errno == EBADFD)
		return 0;
	return diag_set(d, -errno, "Landlock takes no rule for %s: %s", g->path, strerror(errno));
}

int landlock_ruleset(const struct landlock_plan *p, struct diag *d)
{
	_cleanup_close_ int fd = new_ruleset(p->abi, d);
	int err = 0;

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < p->ngrants && !err; i++)
		err = add_rule(fd, p->abi, &p->grants[i], d);
	return err ? err : steal_fd(&fd);
}

int landlock_restrict(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
}
