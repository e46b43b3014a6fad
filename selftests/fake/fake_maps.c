/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps: rows in the order in which they came, looked for one after the other. Those of an
 * array are zero until they are stored.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "selftests/fake/fake.h"
#include "task_check.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define FIRST_FD 1000000 /* numbers that no descriptor has */

enum kind { NONE, ARRAY, HASH, TASK };

static const struct spec {
	enum kind kind;
	uint32_t key, value, max;
} specs[AGENT_MAP_MAX] = {
	[AGENT_MAP_TASKS] = { TASK, sizeof(int), sizeof(struct eg_task), 65536 },
	[AGENT_MAP_POLICIES] = { ARRAY, 4, sizeof(struct eg_policy), EG_MAX_POLICIES },
	[AGENT_MAP_PREFIXES] = { HASH, sizeof(struct eg_prefix_key), sizeof(struct eg_prefix),
				 EG_MAX_PREFIXES },
	[AGENT_MAP_ANCHORS] = { HASH, sizeof(struct eg_anchor_key), sizeof(struct eg_anchor),
				EG_MAX_ANCHORS },
	[AGENT_MAP_STATS] = { NONE, 4, 8, EG_ST_MAX },
	[AGENT_MAP_CGROUPS] = { HASH, 8, sizeof(struct eg_cgroup), 2 * EG_MAX_SANDBOXES },
	[AGENT_MAP_BINDINGS] = { HASH, sizeof(struct eg_binding_key), sizeof(struct eg_binding),
				 EG_MAX_BINDINGS },
	[AGENT_MAP_COVERED] = { HASH, 8, 4, EG_MAX_COVERED },
	[AGENT_MAP_ATTACHING] = { ARRAY, 4, sizeof(struct eg_attach), 1 },
	[AGENT_MAP_TRACES] = { HASH, 8, sizeof(struct eg_trace), EG_MAX_SANDBOXES },
	[AGENT_MAP_TRAFFIC] = { HASH, sizeof(struct eg_traffic_key), sizeof(struct eg_traffic),
				EG_MAX_TRAFFIC },
	[AGENT_MAP_RUNTIMES] = { HASH, sizeof(struct eg_object), 4, EG_MAX_RUNTIMES },
	[AGENT_MAP_PATTERNS] = { ARRAY, 4, sizeof(struct eg_pattern), 2 * EG_MAX_PATTERNS },
	[AGENT_MAP_PENDING] = { HASH, 8, 4, EG_MAX_PENDING },
	[AGENT_MAP_IPC_OBJECTS] = { HASH, 8, sizeof(struct eg_ipc_object), EG_MAX_IPC },
};

static struct table {
	uint8_t *rows;
	size_t cap;
	uint32_t n;
} tables[AGENT_MAP_MAX];

static struct {
	enum fake_call kind;
	unsigned long left;
	int err;
	bool failed;
} fail;

static struct {
	void (*fn)(void *ctx);
	void *ctx;
} watch;

/* ---- calls that fail ------------------------------------------------------------------- */

void fake_fail(enum fake_call kind, unsigned long n, int err)
{
	fail.kind = kind;
	fail.left = n;
	fail.err = err;
	fail.failed = false;
}

bool fake_failed(void)
{
	return fail.failed;
}

void fake_watch(void (*fn)(void *ctx), void *ctx)
{
	watch.fn = fn;
	watch.ctx = ctx;
}

bool fake_fails(enum fake_call kind)
{
	if (watch.fn)
		watch.fn(watch.ctx);
	if (!fail.left || (fail.kind != FAKE_ANY && fail.kind != kind) || --fail.left)
		return false;
	fail.failed = true;
	errno = fail.err;
	return true;
}

/* ---- rows ------------------------------------------------------------------------------ */

/* Values are aligned as the kernel's are. */
static size_t value_at(const struct spec *s)
{
	return (s->key + 7u) & ~7u;
}

static size_t row_size(const struct spec *s)
{
	return (value_at(s) + s->value + 7u) & ~7u;
}

static uint8_t *row_at(const struct spec *s, const struct table *t, uint32_t i)
{
	return t->rows + i * row_size(s);
}

static uint8_t *find(const struct spec *s, const struct table *t, const void *key)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (!memcmp(row_at(s, t, i), key, s->key))
			return row_at(s, t, i);
	return NULL;
}

static int which_of(int fd)
{
	int which = fd - FIRST_FD;

	return which >= 0 && which < AGENT_MAP_MAX && specs[which].kind != NONE ? which : -1;
}

/* A task's storage goes by the task and not by the descriptor. */
static int real_key(const struct spec *s, const void *given, int *pid, const void **key)
{
	*key = given;
	if (s->kind != TASK)
		return 0;
	memcpy(pid, given, sizeof(*pid));
	*pid = pidfd_pid(*pid);
	*key = pid;
	errno = *pid < 0 ? -*pid : errno;
	return *pid < 0 ? -1 : 0;
}

/* NULL with errno. */
static struct table *table_of(int fd, const struct spec **s)
{
	int which = which_of(fd);

	if (which < 0) {
		errno = EBADF;
		return NULL;
	}
	*s = &specs[which];
	return &tables[which];
}

static int minus(int err)
{
	errno = err;
	return -err;
}

static bool beyond_array(const struct spec *s, const void *key)
{
	uint32_t at;

	memcpy(&at, key, sizeof(at));
	return s->kind == ARRAY && at >= s->max;
}

static int add(const struct spec *s, struct table *t, const void *key, const void *value)
{
	if (t->n == s->max || beyond_array(s, key))
		return minus(E2BIG);
	if (array_reserve_raw(&t->rows, &t->cap, t->n, row_size(s)))
		return minus(ENOMEM);
	memcpy(row_at(s, t, t->n), key, s->key);
	memcpy(row_at(s, t, t->n++) + value_at(s), value, s->value);
	return 0;
}

int bpf_map_update_elem(int fd, const void *given, const void *value, __u64 flags)
{
	const struct spec *s;
	struct table *t = table_of(fd, &s);
	const void *key;
	uint8_t *row;
	int pid;

	if (!t || fake_fails(FAKE_UPDATE) || real_key(s, given, &pid, &key))
		return -errno;
	row = find(s, t, key);
	if (row && flags == BPF_NOEXIST)
		return minus(EEXIST);
	if (!row && flags == BPF_EXIST)
		return minus(ENOENT);
	if (row)
		memcpy(row + value_at(s), value, s->value);
	return row ? 0 : add(s, t, key, value);
}

int bpf_map_lookup_elem(int fd, const void *given, void *value)
{
	const struct spec *s;
	struct table *t = table_of(fd, &s);
	const uint8_t *row;
	const void *key;
	int pid;

	if (!t || fake_fails(FAKE_LOOKUP) || real_key(s, given, &pid, &key))
		return -errno;
	row = find(s, t, key);
	if (!row && (s->kind != ARRAY || beyond_array(s, key)))
		return minus(ENOENT);
	if (row)
		memcpy(value, row + value_at(s), s->value);
	else
		memset(value, 0, s->value);
	return 0;
}

int bpf_map_delete_elem(int fd, const void *given)
{
	const struct spec *s;
	struct table *t = table_of(fd, &s);
	const void *key;
	uint8_t *row;
	int pid;

	if (!t || fake_fails(FAKE_DELETE) || real_key(s, given, &pid, &key))
		return -errno;
	row = s->kind == ARRAY ? NULL : find(s, t, key);
	if (!row)
		return minus(s->kind == ARRAY ? EINVAL : ENOENT);
	memmove(row, row + row_size(s), (size_t)(row_at(s, t, t->n) - row) - row_size(s));
	t->n--;
	return 0;
}

int bpf_map_get_next_key(int fd, const void *key, void *next)
{
	const struct spec *s;
	struct table *t = table_of(fd, &s);
	const uint8_t *row;

	if (!t || fake_fails(FAKE_NEXT))
		return -errno;
	row = key ? find(s, t, key) : NULL;
	/* the kernel begins anew behind a key that is gone */
	row = row ? row + row_size(s) : t->rows;
	if (!t->n || row == row_at(s, t, t->n))
		return minus(ENOENT);
	memcpy(next, row, s->key);
	return 0;
}

int bpf_obj_get(const char *path)
{
	(void)path;
	return minus(ENOENT);
}

int bpf_obj_get_info_by_fd(int fd, void *info, __u32 *len)
{
	(void)fd;
	(void)info;
	(void)len;
	return minus(EBADF);
}

int bpf_link__destroy(struct bpf_link *link)
{
	(void)link;
	return 0;
}

/* ---- rings: nothing comes by itself ------------------------------------------------------ */

struct ring_buffer {
	int fd;
};

struct ring_buffer *ring_buffer__new(int map_fd, ring_buffer_sample_fn fn, void *ctx,
				     const struct ring_buffer_opts *opts)
{
	struct ring_buffer *r = calloc(1, sizeof(*r));

	(void)map_fd;
	(void)fn;
	(void)ctx;
	(void)opts;
	if (!r) {
		errno = ENOMEM;
		return NULL;
	}
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return r;
}

void ring_buffer__free(struct ring_buffer *r)
{
	if (!r)
		return;
	close(r->fd);
	free(r);
}

int ring_buffer__epoll_fd(const struct ring_buffer *r)
{
	return r->fd;
}

int ring_buffer__consume(struct ring_buffer *r)
{
	(void)r;
	return 0;
}

/* ---- for tests --------------------------------------------------------------------------- */

int fake_map_fd(enum agent_map which)
{
	return FIRST_FD + (int)which;
}

uint32_t fake_rows(enum agent_map which)
{
	return tables[which].n;
}

const void *fake_row(enum agent_map which, const void *key)
{
	const uint8_t *row = find(&specs[which], &tables[which], key);

	return row ? row + value_at(&specs[which]) : NULL;
}

void fake_tasks_end(const struct eg_sandbox *sandboxes)
{
	const struct spec *s = &specs[AGENT_MAP_TASKS];
	struct table *t = &tables[AGENT_MAP_TASKS];

	for (uint32_t i = 0; i < t->n;) {
		struct eg_task task;

		memcpy(&task, row_at(s, t, i) + value_at(s), sizeof(task));
		if (sandboxes[task.slot].state == EG_S_LIVE &&
		    sandboxes[task.slot].id == task.sandbox) {
			i++;
			continue;
		}
		memmove(row_at(s, t, i), row_at(s, t, i + 1), (t->n - i - 1) * row_size(s));
		t->n--;
	}
}

void fake_maps_reset(void)
{
	fake_fail(FAKE_ANY, 0, 0);
	fake_watch(NULL, NULL);
	for (int i = 0; i < AGENT_MAP_MAX; i++) {
		free(tables[i].rows);
		tables[i] = (struct table){};
	}
}
