/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "diag.h"
#include "rcu_wait.h"
#include "util.h"

#include <linux/types.h>

bool rcu_wait_membarrier(long query)
{
	return query > 0 && (query & MEMBARRIER_CMD_GLOBAL);
}

/*
 * MEMBARRIER_CMD_GLOBAL is synchronize_rcu(), but with nohz_full= it is EINVAL
 * (kernel/sched/membarrier.c). So is an update of a map of maps, which the kernel
 * promises no program sees the old one of any more: maybe_wait_bpf_programs(),
 * kernel/bpf/syscall.c.
 */
int rcu_wait_init(struct rcu_wait *w, bool maps, struct diag *d)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int err;

	*w = (struct rcu_wait){ .outer = -1, .inner = -1 };
	if (!maps && rcu_wait_membarrier(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0)))
		return 0;
	w->inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "eg_wait_inner", sizeof(__u32),
				  sizeof(__u32), 1, NULL);
	opts.inner_map_fd = (__u32)w->inner;
	if (w->inner >= 0)
		w->outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "eg_wait", sizeof(__u32),
					  sizeof(__u32), 1, &opts);
	err = w->outer < 0 ? -errno : rcu_wait(w);
	if (!err)
		return 0;
	rcu_wait_fini(w);
	return diag_set(d, err,
			"cannot wait for running programs, neither by membarrier() (nohz_full?) "
			"nor by maps: %s", strerror(-err));
}

void rcu_wait_fini(struct rcu_wait *w)
{
	if (w->outer >= 0)
		close(w->outer);
	if (w->inner >= 0)
		close(w->inner);
	w->outer = w->inner = -1;
}

int rcu_wait(const struct rcu_wait *w)
{
	const __u32 key = 0;

	if (w->outer < 0)
		return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) ? -errno : 0;
	return bpf_map_update_elem(w->outer, &key, &w->inner, BPF_ANY) ? -errno : 0;
}
