/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a host must offer, checked one by one, so that the first message names
 * what is missing and what to do about it.
 */
#ifndef HOST_H
#define HOST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct btf;
struct bpf_program;
struct diag;

#define HOST_KERNEL_MAJOR 6 /* the oldest that has all that is needed */
#define HOST_KERNEL_MINOR 1
#define HOST_BTF_FILE "/sys/kernel/btf/vmlinux"

struct host {
	char cgroup[PATH_MAX]; /* mount of cgroup v2 */
	char bpffs[PATH_MAX];
};

/* -EPERM, -ENOTSUP, -EROFS with a message. Mounts bpffs where it is missing. */
int host_check(struct host *h, bool egress_only, struct diag *d);

/*
 * The kernel's list of security modules, "landlock,lockdown,yama,bpf". A negative
 * errno where securityfs is neither mounted nor can be.
 */
int host_read_lsms(char *buf, size_t size);

/* Are BPF LSM programs asked? False where the list cannot be read. Mounts as above. */
bool host_has_bpf_lsm(void);

#define HOOK_OTHER_FORM 2

/*
 * Can this kernel run the program? 1: yes. 0: it has no such hook, and the
 * program is one of those that may be left out. HOOK_OTHER_FORM: another program
 * is for this kernel's form of the hook. -ENOTSUP: it must not be left out.
 */
int host_has_hook(const struct btf *kernel, const struct bpf_program *prog, struct diag *d);

#endif
