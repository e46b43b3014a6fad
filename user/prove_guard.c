/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Probes of the guard: mounts, namespaces, the kernel's own interfaces, tasks
 * outside. Behind each hook the kernel itself turns down what is asked, or it asks
 * for what is so already. Each comment says what makes it harmless.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prove_int.h"
#include "util.h"

#define IOPRIO_WHO_PROCESS 1
#define TOO_MANY_SEGMENTS 0x1000000ul /* over KEXEC_SEGMENT_MAX, include/uapi/linux/kexec.h */
#define NO_BPF_COMMAND 9999
#define NO_PERF_TYPE 0xfffffff0u

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

/* A remount of what is not a mount is -EINVAL. */
int try_mount(struct probe *p)
{
	return result(mount(NULL, p->dir, NULL, MS_REMOUNT, NULL));
}

/* A tmpfs that is gone with its descriptor. */
int try_fsconfig_create(struct probe *p)
{
	_cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	(void)p;
	if (fs < 0)
		return PROVE_CANNOT(-errno);
	return result(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
}

/* No option is changed, and the filesystem is the prover's own. */
int try_fsconfig_reconfigure(struct probe *p)
{
	_cleanup_close_ int fs = -1;

	if (p->detached < 0)
		return PROVE_CANNOT(-ENOSYS);
	fs = fspick(p->detached, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
	if (fs < 0)
		return PROVE_CANNOT(-errno);
	return result(fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
}

/* The caller's own root cannot be expired: -EINVAL. */
int try_umount(struct probe *p)
{
	struct statx sx;

	(void)p;
	if (statx(AT_FDCWD, "/", 0, 0, &sx) || !(sx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return PROVE_CANNOT(-EINVAL); /* a chroot: turned down before the hook */
	return result(umount2("/", MNT_EXPIRE));
}

/* A root cannot be put below itself: -EBUSY or -EINVAL. */
int try_pivot_root(struct probe *p)
{
	(void)p;
	return result(syscall(SYS_pivot_root, "/", "/"));
}

/* What is not a mount cannot be moved: -EINVAL. */
int try_move_mount(struct probe *p)
{
	return result(move_mount(p->dirfd, "", p->dirfd, "",
				 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

static int unshare_user(struct probe *p)
{
	(void)p;
	return result(unshare(CLONE_NEWUSER));
}

/* It is gone with the child that made it. */
int try_userns(struct probe *p)
{
	return prove_in_child(p, unshare_user);
}

int try_bpf(struct probe *p)
{
	char attr[8] = {};

	(void)p;
	return result(syscall(SYS_bpf, NO_BPF_COMMAND, attr, sizeof(attr)));
}

int try_perf(struct probe *p)
{
	struct perf_event_attr attr = { .type = NO_PERF_TYPE, .size = sizeof(attr),
					.disabled = 1, .exclude_kernel = 1, .exclude_hv = 1 };
	long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	(void)p;
	if (fd >= 0)
		close((int)fd);
	return result(fd);
}

/* More segments than there can be: -EINVAL. (None at all would unload a loaded one.) */
int try_load_data(struct probe *p)
{
	(void)p;
	return result(syscall(SYS_kexec_load, 0, TOO_MANY_SEGMENTS, NULL, 0));
}

/* An attribute in sysfs claims a page and holds less: -EIO, and no word in the log. */
int try_read_file(struct probe *p)
{
	if (p->sysfs < 0)
		return PROVE_CANNOT(-ENOENT);
	return result(syscall(SYS_finit_module, p->sysfs, "", 0));
}

int try_ptrace(struct probe *p)
{
	size_t len;
	void *head;

	return result(syscall(SYS_get_robust_list, p->outsider, &head, &len));
}

static int traceme(struct probe *p)
{
	(void)p;
	return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

/* The child that asks its parent to trace it ends at once. */
int try_traceme(struct probe *p)
{
	return prove_in_child(p, traceme);
}

int try_kill(struct probe *p)
{
	return result(kill(p->outsider, 0));
}

int try_setsig(struct probe *p)
{
	return result(fcntl(p->file, F_SETSIG, SIGIO));
}

int try_io_uring(struct probe *p)
{
	struct io_uring_params params = {};
	long fd = syscall(SYS_io_uring_setup, 1, &params);

	(void)p;
	if (fd >= 0)
		close((int)fd);
	return result(fd);
}

/* The outsider is a child and has what we have: nothing of it is changed here and below. */
int try_setscheduler(struct probe *p)
{
	int policy = sched_getscheduler(0);
	struct sched_param param;

	if (policy < 0 || sched_getparam(0, &param))
		return PROVE_CANNOT(-errno);
	return result(sched_setscheduler(p->outsider, policy, &param));
}

int try_setnice(struct probe *p)
{
	int nice;

	errno = 0;
	nice = getpriority(PRIO_PROCESS, 0);
	if (nice == -1 && errno)
		return PROVE_CANNOT(-errno);
	return result(setpriority(PRIO_PROCESS, (id_t)p->outsider, nice));
}

int try_setioprio(struct probe *p)
{
	long prio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);

	if (prio < 0)
		return PROVE_CANNOT(-errno);
	return result(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, p->outsider, prio));
}

/* Not a page of it. */
int try_movememory(struct probe *p)
{
	return result(syscall(SYS_move_pages, p->outsider, 0, NULL, NULL, NULL, 0));
}

int try_setrlimit(struct probe *p)
{
	struct rlimit same;

	if (getrlimit(RLIMIT_CORE, &same))
		return PROVE_CANNOT(-errno);
	return result(prlimit(p->outsider, RLIMIT_CORE, &same, NULL));
}

/* CAP_NET_ADMIN, for the buffer that an own socket has already. */
int try_capability(struct probe *p)
{
	socklen_t len = sizeof(int);
	int size;

	if (getsockopt(p->udp, SOL_SOCKET, SO_RCVBUF, &size, &len))
		return PROVE_CANNOT(-errno);
	size /= 2; /* the kernel doubles what it is told, socket(7) */
	return result(setsockopt(p->udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
}

int try_fork(struct probe *p)
{
	pid_t pid = fork();

	(void)p;
	if (!pid)
		_exit(0);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}
