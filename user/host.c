/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>

#include "cgroup.h"
#include "diag.h"
#include "host.h"
#include "util.h"

#define BPFFS_DIR "/sys/fs/bpf"
#define SECURITYFS_DIR "/sys/kernel/security"
/* PROC_USER_INIT_INO, include/linux/proc_ns.h */
#define FIRST_USER_NAMESPACE 0xEFFFFFFDu

/*
 * Hooks that came after the oldest kernel we support, with what covers the
 * access where they are missing. Any other missing hook is fatal.
 */
static const char *const optional_hooks[] = {
	"file_truncate", /* 6.2: before it path_truncate sees ftruncate too */
	"file_post_open", /* 6.9 */
	"file_ioctl_compat", /* 6.8: before it file_ioctl sees both */
	"inode_set_acl", /* 6.2: before it ACLs go through inode_setxattr */
	"inode_remove_acl", /* 6.2 */
	"uring_cmd", /* 6.1 with io_uring built in */
	"uring_sqpoll",
	"uring_override_creds",
	"userns_create", /* 6.1 */
	"path_post_mknod",
	"bpf_token_create", /* 6.9 */
	"bpf_token_cmd",
	"bpf_token_capable",
	"mptcp_add_subflow", /* 6.6: before it socket_post_create sees subflows */
};

static int check_kernel(struct diag *d)
{
	unsigned int major, minor;
	struct utsname u;

	if (uname(&u) || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return diag_set(d, -ENOTSUP, "cannot tell the kernel's version");
	if (major < HOST_KERNEL_MAJOR || (major == HOST_KERNEL_MAJOR && minor < HOST_KERNEL_MINOR))
		return diag_set(d, -ENOTSUP, "Linux %s is too old: %d.%d or newer is needed",
				u.release, HOST_KERNEL_MAJOR, HOST_KERNEL_MINOR);
	return 0;
}

static bool in_user_namespace(void)
{
	struct stat st;

	return !stat("/proc/self/ns/user", &st) && st.st_ino != FIRST_USER_NAMESPACE;
}

static bool is_admin(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	return !syscall(SYS_capget, &head, data) &&
	       data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

/* What root needs to load programs: containers often have neither. */
static int check_privileges(struct diag *d)
{
	bool inner = in_user_namespace();

	if (geteuid() != 0)
		return diag_set(d, -EPERM, "root is needed to load BPF programs");
	if (!inner && is_admin())
		return 0;
	return diag_set(d, -EPERM,
			"%s, which loads no BPF programs: in a container, run egressctl on its "
			"host instead, where egressctl attach puts containers under a policy",
			inner ? "this is a user namespace" : "root here has no CAP_SYS_ADMIN");
}

static int check_writable(const char *mount, const char *what, struct diag *d)
{
	struct statvfs v;

	if (statvfs(mount, &v) || !(v.f_flag & ST_RDONLY))
		return 0;
	return diag_set(d, -EROFS,
			"%s at %s is read-only: mount -o remount,rw %s, or in a container run "
			"egressctl on its host instead, where egressctl attach puts containers "
			"under a policy",
			what, mount, mount);
}

int host_read_lsms(char *buf, size_t size)
{
	char dir[PATH_MAX], path[PATH_MAX + 8];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (mount_find("securityfs", dir, sizeof(dir))) {
		/* minimal systems do not mount it, but the kernel has the directory */
		if (mount("securityfs", SECURITYFS_DIR, "securityfs",
			  MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
			return -errno;
		strcpy(dir, SECURITYFS_DIR);
	}
	snprintf(path, sizeof(path), "%s/lsm", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (; *list; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ','))
		if (strcspn(list, ",") == len && !strncmp(list, word, len))
			return true;
	return false;
}

bool host_has_bpf_lsm(void)
{
	char list[1024];

	return !host_read_lsms(list, sizeof(list)) && has_word(list, "bpf");
}

static int check_lsm(struct diag *d)
{
	char list[1024];
	int err;

	err = host_read_lsms(list, sizeof(list));
	if (err)
		return diag_set(d, -ENOTSUP,
				"cannot read the list of security modules (%s/lsm: %s): without "
				"BPF LSM path rules cannot be enforced; --without-lsm landlock "
				"holds some of them, and --egress-only works without them",
				SECURITYFS_DIR, strerror(-err));
	if (has_word(list, "bpf"))
		return 0;
	return diag_set(d, -ENOTSUP,
			"BPF LSM is not active in this kernel, so path rules cannot be enforced: "
			"run egressctl setup --boot and reboot (by hand: add lsm=%s%sbpf to the "
			"kernel command line), or give --without-lsm landlock to hold those rules "
			"for paths that Landlock can, or --egress-only to enforce network rules "
			"alone",
			list, *list ? "," : "");
}

static int check_bpffs(struct host *h, struct diag *d)
{
	if (!mount_find("bpf", h->bpffs, sizeof(h->bpffs)))
		return check_writable(h->bpffs, "the BPF file system", d);
	if (mount("bpf", BPFFS_DIR, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"))
		return diag_set(d, -ENOTSUP,
				"no BPF file system is mounted and mounting one failed (%s): try "
				"mount -t bpf bpf %s",
				strerror(errno), BPFFS_DIR);
	strcpy(h->bpffs, BPFFS_DIR);
	return 0;
}

int host_check(struct host *h, bool egress_only, struct diag *d)
{
	int err;

	err = check_privileges(d);
	if (err)
		return err;
	err = check_kernel(d);
	if (err)
		return err;
	if (access(HOST_BTF_FILE, R_OK))
		return diag_set(d, -ENOTSUP,
				"the kernel offers no type information (%s is missing): use a "
				"kernel built with CONFIG_DEBUG_INFO_BTF=y, as Debian's are",
				HOST_BTF_FILE);
	if (mount_find("cgroup2", h->cgroup, sizeof(h->cgroup)))
		return diag_set(d, -ENOTSUP,
				"no cgroup v2 file system is mounted: boot with "
				"systemd.unified_cgroup_hierarchy=1, or mount one in an empty "
				"directory (mount -t cgroup2 none DIRECTORY)");
	err = check_writable(h->cgroup, "cgroup v2", d);
	if (err)
		return err;
	if (!egress_only) {
		err = check_lsm(d);
		if (err)
			return err;
	}
	return check_bpffs(h, d);
}

/*
 * Some hooks got an argument more in some release. Then there is a program for
 * each form, and its name ends in the number of arguments: inode_setattr_2.
 */
static bool is_other_form(const struct btf *kernel, int func, const char *prog)
{
	const struct btf_type *proto;
	size_t len = strlen(prog);

	if (len < 3 || prog[len - 2] != '_' || prog[len - 1] < '1' || prog[len - 1] > '9')
		return false;
	proto = btf__type_by_id(kernel, btf__type_by_id(kernel, func)->type);
	return btf_vlen(proto) != prog[len - 1] - '0';
}

int host_has_hook(const struct btf *kernel, const struct bpf_program *prog, struct diag *d)
{
	const char *section = bpf_program__section_name(prog);
	const char *slash = strchr(section, '/');
	char name[128];
	size_t i;
	int id;

	if (!slash)
		return 1;
	if (str_starts(section, "lsm"))
		snprintf(name, sizeof(name), "bpf_lsm_%s", slash + 1);
	else if (str_starts(section, "fentry") || str_starts(section, "fexit") ||
		 str_starts(section, "fmod_ret"))
		snprintf(name, sizeof(name), "%s", slash + 1);
	else
		return 1;
	id = btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC);
	if (id > 0)
		return is_other_form(kernel, id, bpf_program__name(prog)) ? HOOK_OTHER_FORM : 1;
	for (i = 0; i < ARRAY_SIZE(optional_hooks); i++)
		if (str_eq(slash + 1, optional_hooks[i]))
			return 0;
	return diag_set(d, -ENOTSUP, "this kernel has no hook '%s', which enforcement needs",
			slash + 1);
}
