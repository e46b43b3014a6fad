/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probes of paths: on files of the prover's own directory, of which each set has its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "prove_int.h"
#include "util.h"

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static int opened(int fd)
{
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int try_open(struct probe *p)
{
	return opened(openat(p->dirfd, "file", O_RDONLY | O_CLOEXEC));
}

/* The kernel says that a descriptor was kept back by MSG_CTRUNC alone. */
int try_receive(struct probe *p)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(p->passed, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return PROVE_CANNOT(-errno);
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(sizeof(int)))
		return m.msg_flags & MSG_CTRUNC ? -EACCES : PROVE_CANNOT(-EBADMSG);
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return opened(fd);
}

static int execute(struct probe *p)
{
	char *const none[] = { NULL };

	return result(syscall(SYS_execveat, p->memfd, "", none, none, AT_EMPTY_PATH));
}

/* Root without capabilities has them all again behind an exec. */
static int exec_with_gain(struct probe *p)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};
	char *argv[] = { (char *)"program", NULL }, *env[] = { NULL };

	if (syscall(SYS_capset, &head, none))
		return -errno;
	(void)syscall(SYS_execveat, p->dirfd, "here/program", argv, env, 0);
	return -errno;
}

/* It ends at once when it is executed. Anything else than that or a refusal is no answer. */
int try_gain(struct probe *p)
{
	int r;

	/* as in the service's unit: nothing that egressd starts gains anything */
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))
		return PROVE_CANNOT(-EPERM);
	r = prove_in_child(p, exec_with_gain);
	if (!r || r == -EPERM)
		return r;
	return r == PROVE_CANNOT(-EFAULT) ? 0 : PROVE_CANNOT(r); /* no code of this machine's */
}

int try_exec(struct probe *p)
{
	return prove_in_child(p, execute);
}

int try_mmap_exec(struct probe *p)
{
	void *m = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, p->file, 0);

	if (m == MAP_FAILED)
		return -errno;
	munmap(m, 1);
	return 0;
}

int try_mprotect_exec(struct probe *p)
{
	void *m = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	(void)p;
	if (m == MAP_FAILED)
		return PROVE_CANNOT(-errno);
	r = result(mprotect(m, 1, PROT_READ | PROT_EXEC));
	munmap(m, 1);
	return r;
}

int try_notify(struct probe *p)
{
	return result(inotify_add_watch(p->inotify, p->dir, IN_ONLYDIR | IN_DELETE_SELF));
}

int try_unlink(struct probe *p)
{
	return result(unlinkat(p->dirfd, "unlink", 0));
}

int try_rmdir(struct probe *p)
{
	return result(unlinkat(p->dirfd, "rmdir", AT_REMOVEDIR));
}

int try_mkdir(struct probe *p)
{
	return result(mkdirat(p->dirfd, "mkdir", 0700));
}

int try_symlink(struct probe *p)
{
	return result(symlinkat("file", p->dirfd, "symlink"));
}

int try_mknod(struct probe *p)
{
	return result(mknodat(p->dirfd, "mknod", S_IFREG | 0600, 0));
}

int try_rename(struct probe *p)
{
	return result(renameat(p->dirfd, "rename", p->dirfd, "renamed"));
}

int try_link(struct probe *p)
{
	return result(linkat(p->dirfd, "file", p->dirfd, "link", 0));
}

int try_truncate(struct probe *p)
{
	char path[PROVE_DIR_MAX + 8];

	snprintf(path, sizeof(path), "%s/file", p->dir);
	return result(truncate(path, 1));
}

int try_ftruncate(struct probe *p)
{
	return result(ftruncate(p->file, 1));
}

int try_chmod(struct probe *p)
{
	return result(fchmodat(p->dirfd, "file", 0600, 0));
}

int try_chown(struct probe *p)
{
	return result(fchownat(p->dirfd, "file", geteuid(), getegid(), 0));
}

int try_utimes(struct probe *p)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	return result(utimensat(p->dirfd, "file", times, 0));
}

/* Not every filesystem has attributes of users; the hook is before that shows. */
int try_setxattr(struct probe *p)
{
	return result(fsetxattr(p->file, "user.egressctl", "", 0, 0));
}

int try_removexattr(struct probe *p)
{
	return result(fremovexattr(p->file, "user.egressctl"));
}

/* says what the mode says */
int try_set_acl(struct probe *p)
{
	const struct {
		struct posix_acl_xattr_header head;
		struct posix_acl_xattr_entry entry[3];
	} acl = {
		.head = { .a_version = POSIX_ACL_XATTR_VERSION },
		.entry = { { ACL_USER_OBJ, ACL_READ | ACL_WRITE, ACL_UNDEFINED_ID },
			   { ACL_GROUP_OBJ, 0, ACL_UNDEFINED_ID },
			   { ACL_OTHER, 0, ACL_UNDEFINED_ID } },
	};

	return result(fsetxattr(p->file, "system.posix_acl_access", &acl, sizeof(acl), 0));
}

int try_remove_acl(struct probe *p)
{
	return result(fremovexattr(p->file, "system.posix_acl_access"));
}

/* of a file that is no terminal */
int try_ioctl(struct probe *p)
{
	return result(ioctl(p->file, TIOCSTI, NULL));
}

#ifdef __x86_64__
#define I386_IOCTL 54

/* A fault where the kernel has no table of 32-bit calls. */
static int ioctl_compat(struct probe *p)
{
	long r = I386_IOCTL;

	asm volatile("int $0x80"
		     : "+a"(r)
		     : "b"((long)p->file), "c"((long)TIOCSTI), "d"(0l)
		     : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int)r;
}

int try_ioctl_compat(struct probe *p)
{
	return prove_in_child(p, ioctl_compat);
}
#else
int try_ioctl_compat(struct probe *p)
{
	(void)p;
	return PROVE_CANNOT(-ENOSYS);
}
#endif

/*
 * The state of a directory is remembered: opened where a rule allows it, then moved
 * by somebody outside to where none does.
 */
static int after(struct probe *p, enum prove_ask what, const char *name)
{
	char here[64], there[64];
	int err;

	snprintf(here, sizeof(here), "here/%s/file", name);
	snprintf(there, sizeof(there), "there/%s/file", name);
	for (int i = 0; i < 2; i++) {
		err = opened(openat(p->dirfd, here, O_RDONLY | O_CLOEXEC));
		if (err)
			return PROVE_CANNOT(err);
	}
	err = prove_ask(p, what, 0);
	if (err)
		return PROVE_CANNOT(err);
	return opened(openat(p->dirfd, there, O_RDONLY | O_CLOEXEC));
}

int try_moved_dir(struct probe *p)
{
	return after(p, PROVE_MOVE, "moved");
}

int try_swapped_dir(struct probe *p)
{
	return after(p, PROVE_EXCHANGE, "swapped");
}

/* Moved into the sandbox's cgroup, the outsider is one no more. */
int try_open_by_joined(struct probe *p)
{
	return prove_ask(p, PROVE_OPEN, 0);
}

int try_own_pty(struct probe *p)
{
	_cleanup_close_ int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;

	(void)p;
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock))
		return PROVE_CANNOT(-errno);
	return opened(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}
