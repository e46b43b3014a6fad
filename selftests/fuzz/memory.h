/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fuzz targets run by `make faults`, too: see selftests/faults/faults.c. */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include <stdbool.h>

extern bool fuzz_no_memory __attribute__((weak));

/* Allocations fail here, in this run or another. */
static inline bool memory_fails(void)
{
	return &fuzz_no_memory;
}

/* An allocation has failed in this run: what needs memory may fail, and nothing else. */
static inline bool no_memory(void)
{
	return &fuzz_no_memory && fuzz_no_memory;
}

#endif
