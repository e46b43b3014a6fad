/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cgroups, the state directory and peers. A cgroup is a directory below one of our own; what is
 * written to it goes nowhere, and it is always empty. What has a path in the sources is wrapped
 * (ld --wrap) where there is no other way in: see fake-wraps in the Makefile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "denials.h"
#include "diag.h"
#include "selftests/fake/fake.h"
#include "state.h"
#include "util.h"

#define FILES_MAX 8192u
#define COUNTERS_MAX 8u

static struct {
	char dir[64];
	int root, parent; /* descriptors */
	uint32_t cgroups;
	char *files[FILES_MAX];
	uint32_t nfiles;
	struct {
		char name[32];
		uint64_t n;
	} counters[COUNTERS_MAX];
	int64_t peer;
} host = { .root = -1, .parent = -1, .peer = -1 };

/* ---- our directory ------------------------------------------------------------------------ */

static int make_dir(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", host.dir, name);
	return mkdir(path, 0755) ? -errno : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

int fake_host_begin(void)
{
	static const char *const dirs[] = { "cgroup", "cgroup/egressctl", "cgroup/work", "log",
					    "denials", "home" };
	char path[128];
	int err = 0;

	(void)strcpy(host.dir, "/tmp/fake-XXXXXX");
	if (!mkdtemp(host.dir))
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(dirs) && !err; i++)
		err = make_dir(dirs[i]);
	(void)snprintf(path, sizeof(path), "%s/cgroup", host.dir);
	host.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)strcat(path, "/egressctl");
	host.parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return err ? err : host.root < 0 || host.parent < 0 ? -errno : chmod(host.dir, 0755);
}

void fake_host_end(void)
{
	close(host.root);
	close(host.parent);
	host.root = host.parent = -1;
	while (host.nfiles)
		free(host.files[--host.nfiles]);
	memset(host.counters, 0, sizeof(host.counters));
	host.cgroups = 0;
	host.peer = -1;
	(void)nftw(host.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fake_dir(void)
{
	return host.dir;
}

int fake_cgroup_root(void)
{
	return host.root;
}

int fake_cgroup_parent(void)
{
	return host.parent;
}

uint32_t fake_cgroups(void)
{
	return host.cgroups;
}

/* ---- cgroup.h ------------------------------------------------------------------------------ */

int mount_find(const char *fstype, char *buf, size_t size)
{
	if (!str_eq(fstype, "cgroup2"))
		return -ENOENT;
	(void)snprintf(buf, size, "%s/cgroup", host.dir);
	return 0;
}

/* No number that the host's own have, whose sockets could be looked at by it. */
int cgroup_id(int dirfd, uint64_t *id)
{
	struct stat st;

	if (fake_fails(FAKE_CGROUP) || fstat(dirfd, &st))
		return -errno;
	*id = 1ull << 56 | st.st_ino;
	return 0;
}

int cgroup_open_id(int mount, uint64_t id)
{
	(void)mount;
	(void)id;
	return -ESTALE;
}

uint32_t cgroup_depth(const char *mount, const char *path)
{
	uint32_t depth = 0;

	for (const char *p = path + strlen(mount); *p; p++)
		depth += *p == '/' && p[1] && p[1] != '/';
	return depth;
}

int cgroup_write(int dirfd, const char *file, const char *value)
{
	(void)dirfd;
	(void)file;
	(void)value;
	return fake_fails(FAKE_CGROUP) ? -errno : 0;
}

int cgroup_read(int dirfd, const char *file, char *buf, size_t size)
{
	(void)dirfd;
	(void)file;
	(void)size;
	*buf = 0;
	return fake_fails(FAKE_CGROUP) ? -errno : 0;
}

bool cgroup_has_file(int dirfd, const char *file)
{
	(void)dirfd;
	(void)file;
	return true;
}

int cgroup_enable(int dirfd, const char *controller)
{
	(void)dirfd;
	(void)controller;
	return fake_fails(FAKE_CGROUP) ? -errno : 0;
}

int cgroup_make(int parent, const char *name)
{
	if (fake_fails(FAKE_CGROUP) || mkdirat(parent, name, 0755))
		return -errno;
	host.cgroups++;
	return 0;
}

int cgroup_open_events(int dirfd)
{
	(void)dirfd;
	return fake_fails(FAKE_CGROUP) ? -errno : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

bool cgroup_is_empty(int events)
{
	(void)events;
	return true;
}

int cgroup_populated(int dirfd)
{
	(void)dirfd;
	return 0;
}

void cgroup_signal(int dirfd, int sig)
{
	(void)dirfd;
	(void)sig;
}

int cgroup_kill(int dirfd)
{
	(void)dirfd;
	return 0;
}

int cgroup_wait_empty(int dirfd, int timeout_ms)
{
	(void)dirfd;
	(void)timeout_ms;
	return 0;
}

int cgroup_remove(int parent, const char *name)
{
	if (unlinkat(parent, name, AT_REMOVEDIR))
		return errno == ENOENT ? 0 : -errno;
	host.cgroups--;
	return 0;
}

/* ---- state.h: names, without what is in them --------------------------------------------- */

int state_open(struct diag *d)
{
	(void)d;
	return open(host.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int state_counter(const char *name, uint64_t floor, uint64_t *out, struct diag *d)
{
	size_t i = 0;

	if (fake_fails(FAKE_STATE))
		return diag_set(d, -errno, "cannot count %s: %s", name, strerror(errno));
	while (i + 1 < COUNTERS_MAX && host.counters[i].name[0] &&
	       !str_eq(host.counters[i].name, name))
		i++;
	(void)snprintf(host.counters[i].name, sizeof(host.counters[i].name), "%s", name);
	*out = host.counters[i].n = MAX(host.counters[i].n, floor) + 1;
	return 0;
}

/* No directory is kept from boot to boot. */
uint64_t state_kept(int dir, const char *name)
{
	(void)dir;
	(void)name;
	return 0;
}

int state_keep(int dir, const char *name, uint64_t v)
{
	(void)dir;
	(void)name;
	(void)v;
	return 0;
}

DIR *state_list(const char *dir)
{
	(void)dir;
	errno = ENOENT;
	return NULL;
}

void state_abi_path(unsigned int abi, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/abi%u", host.dir, abi);
}

static uint32_t find_file(const char *dir, const char *name)
{
	char path[128];
	uint32_t i;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (i = 0; i < host.nfiles && !str_eq(host.files[i], path); i++)
		;
	return i;
}

int state_write(const char *dir, const char *name, const char *text, size_t len)
{
	uint32_t i = find_file(dir, name);

	(void)text;
	(void)len;
	if (fake_fails(FAKE_STATE))
		return -errno;
	if (i < host.nfiles)
		return 0;
	if (i == FILES_MAX || asprintf(&host.files[i], "%s/%s", dir, name) < 0)
		return -ENOSPC;
	host.nfiles++;
	return 0;
}

int state_read(const char *dir, const char *name, size_t max, char **text, size_t *len)
{
	(void)dir;
	(void)name;
	(void)max;
	(void)text;
	(void)len;
	return -ENOENT;
}

int state_remove(const char *dir, const char *name)
{
	uint32_t i = find_file(dir, name);

	if (i == host.nfiles)
		return 0;
	free(host.files[i]);
	host.files[i] = host.files[--host.nfiles];
	return 0;
}

int process_start(pid_t pid, uint64_t *ticks)
{
	*ticks = (uint64_t)pid;
	return 0;
}

uint32_t fake_state_files(void)
{
	return host.nfiles;
}

/* ---- wrapped ------------------------------------------------------------------------------- */

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_denials_open(const char *dir, uint64_t sandbox, uid_t uid, bool adopt,
			struct denials **out);
int __wrap_denials_open(const char *dir, uint64_t sandbox, uid_t uid, bool adopt,
			struct denials **out);
void __wrap_denials_sweep(const char *dir);
int __wrap_chown(const char *path, uid_t uid, gid_t gid);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

void fake_peer(int64_t uid)
{
	host.peer = uid;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int err = __real_getsockopt(fd, level, name, value, len);

	if (!err && level == SOL_SOCKET && name == SO_PEERCRED && host.peer >= 0)
		((struct ucred *)value)->uid = (uid_t)host.peer;
	return err;
}

int __wrap_denials_open(const char *dir, uint64_t sandbox, uid_t uid, bool adopt,
			struct denials **out)
{
	char own[128];

	(void)dir;
	(void)snprintf(own, sizeof(own), "%s/denials", host.dir);
	return __real_denials_open(own, sandbox, uid, adopt, out);
}

void __wrap_denials_sweep(const char *dir)
{
	(void)dir;
}

/* There are no programs to wait for. */
long __wrap_syscall(long number, ...)
{
	long arg[6];
	va_list ap;

	va_start(ap, number);
	arg[0] = va_arg(ap, long);
	if (number == SYS_membarrier) {
		va_end(ap);
		return arg[0] == MEMBARRIER_CMD_QUERY ? MEMBARRIER_CMD_GLOBAL : 0;
	}
	for (size_t i = 1; i < ARRAY_SIZE(arg); i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
	return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

/* Whoever runs the tests cannot give files away. */
int __wrap_chown(const char *path, uid_t uid, gid_t gid)
{
	(void)path;
	(void)uid;
	(void)gid;
	return 0;
}
