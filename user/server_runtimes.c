/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs that set containers and units up, as the kernel tells files apart. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "anchors.h"
#include "bpf_load.h"
#include "compile.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/*
 * Programs that set up what runs in a cgroup from inside it. What they start is under the
 * policy, they are not; only root's count. One that is upgraded is found by a reload.
 */
static const char *const runtimes[] = {
	"/usr/bin/crun",
	"/usr/sbin/runc",
	"/usr/bin/runc",
	"/usr/local/sbin/runc",
	"/usr/local/bin/crun",
	"/usr/bin/conmon",
	"/usr/libexec/podman/conmon",
	"/usr/bin/containerd-shim-runc-v2",
	"/usr/lib/systemd/systemd",
	"/usr/lib/systemd/systemd-executor",
	"/lib/systemd/systemd",
};

_Static_assert(ARRAY_SIZE(runtimes) <= SERVER_RUNTIMES, "programs that there is room for");

/* Programs that were replaced: what their number or address is by now is not to be trusted. */
static void forget_others(int map, const struct anchor_object *found)
{
	struct eg_object keys[EG_MAX_RUNTIMES], *key = NULL;
	size_t n = 0, i, k;

	while (n < ARRAY_SIZE(keys) && !bpf_map_get_next_key(map, key, &keys[n]))
		key = &keys[n++];
	for (i = 0; i < n; i++) {
		for (k = 0; k < ARRAY_SIZE(runtimes); k++)
			if (found[k].found && !memcmp(&keys[i], &found[k].object, sizeof(keys[i])))
				break;
		if (k == ARRAY_SIZE(runtimes))
			(void)bpf_map_delete_elem(map, &keys[i]);
	}
}

void server_runtimes_end(struct server *s)
{
	while (s->nruntimes)
		close(s->runtimes[--s->nruntimes]);
}

int server_runtimes(struct server *s, struct diag *d)
{
	struct compiled_anchor anchors[ARRAY_SIZE(runtimes)] = {};
	struct compiled c = { .anchors = anchors, .nanchors = ARRAY_SIZE(runtimes) };
	struct anchor_object found[ARRAY_SIZE(runtimes)];
	int map = agent_map_fd(s->a, AGENT_MAP_RUNTIMES);
	uint32_t one = 1;
	size_t i;
	int err;

	if (agent_egress_only(s->a))
		return 0;
	for (i = 0; i < ARRAY_SIZE(runtimes); i++)
		anchors[i].path = (char *)runtimes[i];
	err = anchors_scout(s->a, &c, found, d);
	if (err)
		return err;
	forget_others(map, found);
	server_runtimes_end(s);
	for (i = 0; i < ARRAY_SIZE(runtimes); i++) {
		if (found[i].found && bpf_map_update_elem(map, &found[i].object, &one, BPF_ANY))
			err = diag_set(d, -errno,
				       "cannot store the programs that set containers up: %s",
				       strerror(errno));
		/* its address may be what it is known by: held as long as it counts */
		if (found[i].fd >= 0)
			s->runtimes[s->nruntimes++] = found[i].fd;
	}
	return err;
}
