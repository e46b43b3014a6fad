/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `limits` of a policy and `--limit` of the command line: parsed once, applied
 * through cgroup v2 controllers, refused where the host has none.
 */
#ifndef RUN_LIMITS_H
#define RUN_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct diag;

struct limits {
	uint64_t memory; /* bytes, swap included; 0: none */
	uint64_t pids; /* tasks; 0: none */
	uint64_t cpu_percent; /* of one processor; 0: none */
	uint64_t io_weight; /* 1 … 10000; 0: none */
	uint64_t time_ms; /* wall clock, then everything is killed; 0: none */
};

/*
 * Set one value from text: "memory" "4G" (bytes, K M G T powers of 1024),
 * "pids" "512", "cpu" "200%", "io" "100", "time" "30m" (ms s m h d). -EINVAL
 * with the value and what is legal in `d`.
 */
int limits_set(struct limits *l, const char *key, const char *value, struct diag *d);
/* The same, from "key=value". */
int limits_parse(struct limits *l, const char *text, struct diag *d);
/* Where both name a limit, the smaller one. */
void limits_merge(struct limits *into, const struct limits *other);

/*
 * Write them to the cgroup `dirfd` below `parent` (whose children get the
 * controllers). -EOPNOTSUPP: the host lacks a controller, named in `d`.
 */
int limits_apply(const struct limits *l, int root, int parent, int dirfd, struct diag *d);

#endif
