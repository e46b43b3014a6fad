/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * 32-bit system calls from a 64-bit program: `int $0x80` enters the kernel through
 * its other table, with other numbers and structures (and, for ioctl, another LSM
 * hook), whatever the program is.
 */
#ifndef INT80_H
#define INT80_H

#include <stdbool.h>
#include <stddef.h>

/* arch/x86/entry/syscalls/syscall_32.tbl */
#define I386_OPEN 5
#define I386_IOCTL 54
#define I386_SOCKET 359
#define I386_CONNECT 362
#define I386_SENDTO 369

bool int80_works(void); /* false: this kernel has no such table; nothing else may be called */

/* Pointers must come from int80_copy(). Negative errno on failure. */
int int80(int nr, long a, long b, long c, long d, long e, long f);

/* A copy where a 32-bit pointer reaches; stays until the process ends. Dies of no memory. */
long int80_copy(const void *data, size_t len);

#endif
