/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Traces of sandboxes that ended: one file each in runs/ below the log's directory,
 * UID-ID.json. Each user has a number of the newest, so that nobody's runs push out
 * another's. Numbers of sandboxes go on from boot to boot beside them (sandbox.h).
 */
#ifndef RUNS_H
#define RUNS_H

#include <stdint.h>

#include <jansson.h>

struct trace;

#define RUNS_DIR "runs"
#define RUNS_KEEP 16u /* of one user; also limited by their size: */
#define RUNS_BYTES (128u << 20)

/* Keep a trace, and remove that user's oldest. Negative errno: it is not kept. */
int runs_save(const char *log_dir, const struct trace *t);

/*
 * Open the run that `ref` means for reading: the number of its sandbox, its name
 * (the newest of that name) or "last", among those of `uid` (-1: all). -ENOENT.
 */
int runs_open(const char *log_dir, int64_t uid, const json_t *ref);

#endif
