/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's own doors: code, programs, settings. Each probe is harmless: it
 * writes back what is there, or names what cannot be.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

/* ---- settings: what is there is written back ------------------------------------------- */

static int write_back(const void *path)
{
	char now[4096] = "";
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return cannot("this kernel has no such file");
	if (fd < 0)
		return -errno;
	n = pread(fd, now, sizeof(now) - 1, 0);
	return n < 0 ? -errno : result(pwrite(fd, now, (size_t)n, 0));
}

/* For those that cannot be read: getting hold of it is enough. */
static int write_open(const void *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV))
		return cannot("this kernel has no such file");
	return fd < 0 ? -errno : 0;
}

static int write_back_int80(const void *path)
{
	int r = need_int80();

	if (r)
		return r;
	r = int80(5 /* open */, low(path, strlen(path) + 1), O_WRONLY, 0, 0, 0);
	return r;
}

static int received_setting(const void *unused)
{
	int fd = receive_fd("sysctl");

	(void)unused;
	return fd < 0 ? fd : 0;
}

/* ---- code ------------------------------------------------------------------------------ */

static int init_module(const void *unused)
{
	static const char junk[64] = "no module";

	(void)unused;
	return syscall(SYS_init_module, junk, sizeof(junk), "") && errno != ENOEXEC ? -errno : 0;
}

static int finit_module(const void *unused)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)unused;
	if (!syscall(SYS_finit_module, fd, "", 0) || errno == ENOEXEC || errno == EINVAL)
		return 0;
	return -errno;
}

static int delete_module(const void *unused)
{
	(void)unused;
	return syscall(SYS_delete_module, "attacks_none", O_NONBLOCK) && errno != ENOENT ? -errno :
											   0;
}

/* More segments than there can be. */
static int kexec(const void *unused)
{
	(void)unused;
	return syscall(SYS_kexec_load, 0, 0x1000000ul, NULL, 0) && errno != EINVAL ? -errno : 0;
}

static int kexec_file(const void *unused)
{
	(void)unused;
	return syscall(SYS_kexec_file_load, -1, -1, 0, "", 0) && errno != EBADF ? -errno : 0;
}

static int perf(const void *unused)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
					.config = PERF_COUNT_SW_CPU_CLOCK };

	(void)unused;
	return result(syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

static int ports(const void *unused)
{
	(void)unused;
	return result(iopl(3));
}

static int one_port(const void *unused)
{
	(void)unused;
	return result(ioperm(0x80, 1, 1));
}

static int log_read(const void *unused)
{
	char line[256];

	(void)unused;
	return result(klogctl(3, line, sizeof(line)));
}

static int accounts_and_swap(const void *unused)
{
	(void)unused;
	return swapon("/nonexistent", 0) && errno != ENOENT ? -errno : 0;
}

static int clock_set(const void *unused)
{
	struct timespec now;

	(void)unused;
	if (clock_gettime(CLOCK_REALTIME, &now))
		return -errno;
	return result(clock_settime(CLOCK_REALTIME, &now));
}

static int clock_adjust(const void *unused)
{
	struct timex t = { .modes = ADJ_STATUS };

	(void)unused;
	t.status = 0;
	return adjtimex(&t) < 0 ? -errno : 0;
}

static int host_name(const void *unused)
{
	char name[65];

	(void)unused;
	return gethostname(name, sizeof(name)) || sethostname(name, strlen(name)) ? -errno : 0;
}

static int binfmt(const void *unused)
{
	int fd = open("/proc/sys/fs/binfmt_misc/register", O_WRONLY | O_CLOEXEC);

	(void)unused;
	return fd < 0 ? errno == ENOENT ? cannot("binfmt_misc is not mounted") : -errno : 0;
}

/* ---- bpf() -------------------------------------------------------------------------------- */

static int command(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr)) < 0 ? -errno : 0;
}

/* From the first to the last, as one who looks for the sandbox's own. */
static int next(const void *cmd)
{
	union bpf_attr attr = {};
	int r = command(*(const int *)cmd, &attr);

	return r == -ENOENT ? 0 : r;
}

static int get(const void *cmd)
{
	union bpf_attr attr = { .prog_id = 1 };
	int r = command(*(const int *)cmd, &attr);

	return r == -ENOENT ? 0 : r;
}

static int load(const void *type)
{
	static const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = *(const uint32_t *)type, .insn_cnt = 2,
				.insns = (uintptr_t)code, .license = (uintptr_t)"GPL" };

	return command(BPF_PROG_LOAD, &attr);
}

static int load_int80(const void *unused)
{
	union bpf_attr attr = {};
	int r = need_int80();

	(void)unused;
	if (r)
		return r;
	r = int80(357 /* bpf */, BPF_PROG_GET_NEXT_ID, low(&attr, sizeof(attr)), sizeof(attr), 0,
		  0);
	return r == -ENOENT ? 0 : r;
}

static int map(const void *unused)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
				.max_entries = 1 };

	(void)unused;
	return command(BPF_MAP_CREATE, &attr);
}

static int pin(const void *unused)
{
	union bpf_attr attr = { .pathname = (uintptr_t)"/sys/fs/bpf/attacks-pin" };

	(void)unused;
	return command(BPF_OBJ_GET, &attr);
}

static int detach(const void *unused)
{
	union bpf_attr attr = { .target_fd = (uint32_t)-1, .attach_type = BPF_CGROUP_INET_EGRESS };
	int r = command(BPF_PROG_DETACH, &attr);

	(void)unused;
	return r == -EBADF ? 0 : r;
}

static int token(const void *unused)
{
	union bpf_attr attr = {};
	int r = command(36 /* BPF_TOKEN_CREATE */, &attr);

	(void)unused;
	attr.target_fd = (uint32_t)-1;
	return r == -EBADF || r == -EINVAL ? 0 : r;
}

/* ---- bpffs and others: a directory of their own -------------------------------------------- */

static int make_directory(const void *path)
{
	int r = result(mkdir(path, 0755));

	if (!r)
		(void)rmdir(path);
	return r;
}

static int remove_pin(const void *path)
{
	return result(unlink(path));
}

static int rename_pin(const void *path)
{
	return rename(path, "/sys/fs/bpf/attacks-pin2") ||
	       rename("/sys/fs/bpf/attacks-pin2", path) ? -errno : 0;
}

static int mode_of_pin(const void *path)
{
	return result(chmod(path, 0600));
}

static int mount_over(const void *type)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	return result(mount("none", "/sys/fs/bpf", type, 0, NULL));
}

static int unmount(const void *unused)
{
	(void)unused;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	return result(umount2("/sys/fs/bpf", MNT_DETACH));
}

#define INT(i) &(const int){ i }
#define ROW(n, f, a, e, v) { .name = n, .run = f, .arg = a, .by = BY_ROOT, .judge = "claim", \
			     .err = e, .event = v }
#define SETTING(n, p) ROW(n, write_back, p, "EACCES EPERM", "open/guard")
#define HOLD(n, p) ROW(n, write_open, p, "EACCES EPERM", \
			       "open/guard open/device capable/guard")
#define CAP(n, f, a) ROW(n, f, a, "EPERM", "capable/guard kernel/guard")
#define BPF(n, f, a) ROW(n, f, a, "EPERM", "bpf/guard capable/guard")
#define SYS "/proc/sys/kernel/"

const struct attack attacks_kernel[] = {
	SETTING("C09:core-pattern", SYS "core_pattern"),
	SETTING("C09:modprobe", SYS "modprobe"),
	SETTING("C09:poweroff", SYS "poweroff_cmd"),
	SETTING("C09:usermodehelper", SYS "usermodehelper/bset"),
	SETTING("C09:uevent-helper", "/sys/kernel/uevent_helper"),
	SETTING("C09:firmware", "/sys/module/firmware_class/parameters/path"),
	ROW("C09:binfmt", binfmt, NULL, "EACCES EPERM", "open/guard"),
	ROW("C09:received", received_setting, NULL, "EACCES", "receive/guard"),
	ROW("C09:int80", write_back_int80, SYS "core_pattern", "EACCES EPERM", "open/guard"),

	CAP("C11:init-module", init_module, NULL),
	CAP("C11:finit-module", finit_module, NULL),
	CAP("C11:delete-module", delete_module, NULL),
	CAP("C11:kexec", kexec, NULL),
	CAP("C11:kexec-file", kexec_file, NULL),
	ROW("C11:perf", perf, NULL, "EPERM EACCES", "capable/guard kernel/guard"),
	CAP("C11:iopl", ports, NULL),
	CAP("C11:ioperm", one_port, NULL),
	CAP("C11:syslog", log_read, NULL),
	CAP("C11:swap", accounts_and_swap, NULL),
	CAP("C11:host-name", host_name, NULL),
	HOLD("C11:mem", "/dev/mem"),
	HOLD("C11:msr", "/dev/cpu/0/msr"),
	HOLD("C11:kprobes", "/sys/kernel/tracing/kprobe_events"),
	HOLD("C11:sysrq", "/proc/sysrq-trigger"),

	BPF("D05:next-program", next, INT(BPF_PROG_GET_NEXT_ID)),
	BPF("D05:next-map", next, INT(BPF_MAP_GET_NEXT_ID)),
	BPF("D05:next-link", next, INT(BPF_LINK_GET_NEXT_ID)),
	BPF("D05:program", get, INT(BPF_PROG_GET_FD_BY_ID)),
	BPF("D05:map", get, INT(BPF_MAP_GET_FD_BY_ID)),
	BPF("D05:link", get, INT(BPF_LINK_GET_FD_BY_ID)),
	BPF("D05:load", load, INT(BPF_PROG_TYPE_CGROUP_SKB)),
	BPF("D05:load-filter", load, INT(BPF_PROG_TYPE_SOCKET_FILTER)),
	BPF("D05:make-map", map, NULL),
	BPF("D05:pin", pin, NULL),
	BPF("D05:detach", detach, NULL),
	BPF("D05:token", token, NULL),
	BPF("D05:int80", load_int80, NULL),

	ROW("D06:mkdir", make_directory, "/sys/fs/bpf/attacks-new", "EACCES EPERM", "mkdir/guard"),
	ROW("D06:unlink", remove_pin, "/sys/fs/bpf/attacks-pin", "EACCES EPERM", "unlink/guard"),
	ROW("D06:rename", rename_pin, "/sys/fs/bpf/attacks-pin", "EACCES EPERM", "rename/guard"),
	ROW("D06:chmod", mode_of_pin, "/sys/fs/bpf/attacks-pin", "EACCES EPERM", "chmod/guard"),
	ROW("D06:mount-over", mount_over, "tmpfs", "EPERM", "capable/guard mount/guard"),
	ROW("D06:another", mount_over, "bpf", "EPERM", "capable/guard mount/guard"),
	ROW("D06:umount", unmount, NULL, "EPERM", "capable/guard mount/guard"),

	SETTING("D07:ftrace", SYS "ftrace_enabled"),
	SETTING("D08:kprobes", "/sys/kernel/debug/kprobes/enabled"),
	SETTING("D08:tracing", "/sys/kernel/tracing/tracing_on"),
	SETTING("D08:perf-paranoid", SYS "perf_event_paranoid"),
	SETTING("D08:unprivileged-bpf", SYS "unprivileged_bpf_disabled"),
	SETTING("D08:bpf-jit", "/proc/sys/net/core/bpf_jit_enable"),
	SETTING("D08:io-uring", SYS "io_uring_disabled"),
	SETTING("D08:ports", "/proc/sys/net/ipv4/ip_unprivileged_port_start"),
	SETTING("D08:ping-groups", "/proc/sys/net/ipv4/ping_group_range"),
	SETTING("D08:panic", SYS "panic_on_oops"),
	SETTING("D08:printk", SYS "printk"),
	SETTING("D08:ptrace-scope", SYS "yama/ptrace_scope"),
	HOLD("D08:lockdown", "/sys/kernel/security/lockdown"),
	HOLD("D08:apparmor", "/sys/kernel/security/apparmor/.load"),
	ROW("D08:instance", make_directory, "/sys/kernel/tracing/instances/attacks",
	    "EACCES EPERM", "mkdir/guard"),

	CAP("D20:settime", clock_set, NULL),
	CAP("D20:adjtimex", clock_adjust, NULL),
	{},
};
