/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "diag.h"
#include "run_limits.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit bytes[] = {
	{ "", 1 },	   { "K", 1ull << 10 }, { "M", 1ull << 20 },
	{ "G", 1ull << 30 }, { "T", 1ull << 40 }, {},
};
static const struct unit plain[] = { { "", 1 }, {} };
static const struct unit percent[] = { { "%", 1 }, {} };
static const struct unit duration[] = {
	{ "ms", 1 },	   { "s", 1000 },     { "m", 60000 },
	{ "h", 3600000 }, { "d", 86400000 }, {},
};

#define PERIOD_US 100000u /* of cpu.max, the kernel's default */

static const struct limit_kind {
	const char *key;
	size_t offset;
	const struct unit *units;
	uint64_t min, max; /* after the unit */
	const char *expected;
} kinds[] = {
	{ "memory", offsetof(struct limits, memory), bytes, 1u << 20, 1ull << 50,
	  "bytes such as 512M or 4G, from 1M" },
	{ "pids", offsetof(struct limits, pids), plain, 1, 4194304, "a number of tasks from 1" },
	{ "cpu", offsetof(struct limits, cpu_percent), percent, 1, 1000000,
	  "per cent of one processor such as 50% or 200%" },
	{ "io", offsetof(struct limits, io_weight), plain, 1, 10000, "a weight from 1 to 10000" },
	{ "time", offsetof(struct limits, time_ms), duration, 1, 365ull * 86400000,
	  "a duration such as 90s, 30m or 2h, up to 365d" },
};

static uint64_t *limit_field(struct limits *l, const struct limit_kind *k)
{
	return (uint64_t *)((char *)l + k->offset);
}

static int parse_amount(const char *text, const struct limit_kind *k, uint64_t *out)
{
	const struct unit *u;
	uint64_t n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	for (u = k->units; u->suffix; u++)
		if (!strcmp(end, u->suffix))
			break;
	if (!u->suffix)
		return -EINVAL;
	if (__builtin_mul_overflow(n, u->factor, &n) || n < k->min || n > k->max)
		return -ERANGE;
	*out = n;
	return 0;
}

int limits_set(struct limits *l, const char *key, const char *value, struct diag *d)
{
	uint64_t n;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct limit_kind *k = &kinds[i];

		if (strcmp(k->key, key))
			continue;
		if (parse_amount(value, k, &n))
			return diag_set(d, -EINVAL, "limit %s: '%s' is not %s", key, value,
					k->expected);
		*limit_field(l, k) = n;
		return 0;
	}
	return diag_set(d, -EINVAL, "unknown limit '%s': expected memory, pids, cpu, io or time",
			key);
}

int limits_parse(struct limits *l, const char *text, struct diag *d)
{
	const char *eq = strchr(text, '=');
	char key[16];

	if (!eq || eq == text || (size_t)(eq - text) >= sizeof(key))
		return diag_set(d, -EINVAL, "limit '%s': expected KEY=VALUE such as memory=4G",
				text);
	memcpy(key, text, eq - text);
	key[eq - text] = 0;
	return limits_set(l, key, eq + 1, d);
}

void limits_merge(struct limits *into, const struct limits *other)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t *a = limit_field(into, &kinds[i]);
		uint64_t b = *limit_field((struct limits *)other, &kinds[i]);

		if (b && (!*a || b < *a))
			*a = b;
	}
}

/* One controller file with its value; `optional` files may be missing. */
struct limit_file {
	const char *controller, *file;
	char value[64];
	bool optional;
};

static int apply_file(const struct limit_file *f, int root, int parent, int dirfd, struct diag *d)
{
	int err;

	err = cgroup_enable(root, f->controller);
	if (!err)
		err = cgroup_enable(parent, f->controller);
	if (err == -EOPNOTSUPP)
		return diag_set(d, err,
				"the limit on %s needs the cgroup v2 controller '%s', which this "
				"host does not offer: cgroup v1 may hold it (hybrid layout), boot "
				"with systemd.unified_cgroup_hierarchy=1, or leave the limit out",
				f->controller, f->controller);
	if (err)
		return diag_set(d, err, "cannot enable the cgroup controller '%s': %s",
				f->controller, strerror(-err));
	err = cgroup_write(dirfd, f->file, f->value);
	if (err == -ENOENT && f->optional)
		return 0;
	if (err)
		return diag_set(d, err, "cannot set %s to %s: %s", f->file, f->value,
				strerror(-err));
	return 0;
}

int limits_apply(const struct limits *l, int root, int parent, int dirfd, struct diag *d)
{
	struct limit_file files[5];
	size_t n = 0, i;
	int err;

	if (l->memory) {
		files[n] = (struct limit_file){ "memory", "memory.max", "", false };
		snprintf(files[n++].value, sizeof(files[0].value), "%" PRIu64, l->memory);
		/* what is swapped out counts too; hosts without swap accounting lack it */
		files[n++] = (struct limit_file){ "memory", "memory.swap.max", "0", true };
	}
	if (l->pids) {
		files[n] = (struct limit_file){ "pids", "pids.max", "", false };
		snprintf(files[n++].value, sizeof(files[0].value), "%" PRIu64, l->pids);
	}
	if (l->cpu_percent) {
		files[n] = (struct limit_file){ "cpu", "cpu.max", "", false };
		snprintf(files[n++].value, sizeof(files[0].value), "%" PRIu64 " %u",
			 l->cpu_percent * (PERIOD_US / 100), PERIOD_US);
	}
	if (l->io_weight) {
		files[n] = (struct limit_file){ "io", "io.weight", "", false };
		snprintf(files[n++].value, sizeof(files[0].value), "%" PRIu64, l->io_weight);
	}
	for (i = 0; i < n; i++) {
		err = apply_file(&files[i], root, parent, dirfd, d);
		if (err)
			return err;
	}
	return 0;
}
