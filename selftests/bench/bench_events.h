/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include <stdint.h>

/*
 * What user space spends on one violation, from the record of the ring to the
 * line in the log file, in ns of CLOCK_MONOTONIC (instructions where those are
 * counted): the mean over many records, each of them refused under
 * the policy `text`. `dir` is made, and removed again.
 */
uint64_t bench_events(const char *text, const char *dir);

#endif
