/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs that set containers and units up, as the kernel tells files apart. */
#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "anchors.h"
#include "bpf_load.h"
#include "compile.h"
#include "config.h"
#include "diag.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/*
 * Programs that set up what runs in a cgroup from inside it. What they start is under the
 * policy, they are not; only root's count. One that is upgraded is found by a reload.
 * `runtimes:` in egressd.yaml names more of them.
 */
static const char *const runtimes[] = {
	"/usr/bin/crun",
	"/usr/sbin/runc",
	"/usr/bin/runc",
	"/usr/local/sbin/runc",
	"/usr/local/bin/runc",
	"/usr/local/bin/crun",
	"/usr/bin/conmon",
	"/usr/libexec/podman/conmon",
	"/usr/bin/containerd-shim-runc-v2",
	"/usr/local/bin/containerd-shim-runc-v2",
	"/usr/lib/systemd/systemd",
	"/usr/lib/systemd/systemd-executor",
	"/lib/systemd/systemd",
};

#define KNOWN ARRAY_SIZE(runtimes)
#define MOST (KNOWN + CONFIG_MAX_RUNTIMES)

_Static_assert(MOST <= SERVER_RUNTIMES && MOST <= EG_MAX_RUNTIMES,
	       "programs that there is room for");

/* Programs that were replaced: what their number or address is by now is not to be trusted. */
static void forget_others(int map, const struct anchor_object *found, size_t nfound)
{
	struct eg_object keys[EG_MAX_RUNTIMES], *key = NULL;
	size_t n = 0, i, k;

	while (n < ARRAY_SIZE(keys) && !bpf_map_get_next_key(map, key, &keys[n]))
		key = &keys[n++];
	for (i = 0; i < n; i++) {
		for (k = 0; k < nfound; k++)
			if (found[k].found && !memcmp(&keys[i], &found[k].object, sizeof(keys[i])))
				break;
		if (k == nfound)
			(void)bpf_map_delete_elem(map, &keys[i]);
	}
}

void server_runtimes_end(struct server *s)
{
	while (s->nruntimes)
		close(s->runtimes[--s->nruntimes]);
}

/* One that is not there is no mistake, but what it will start is refused its set-up. */
static void say_missing(const struct config *k, const struct anchor_object *found)
{
	for (uint32_t i = 0; i < k->nruntimes; i++) {
		char path[PATH_MAX];

		if (found[KNOWN + i].found)
			continue;
		diag_escape(path, sizeof(path), k->runtimes[i], strlen(k->runtimes[i]));
		fprintf(stderr, "egressd: runtimes: there is no %s: reload egressd when it is "
				"there\n", path);
	}
}

int server_runtimes(struct server *s, struct diag *d)
{
	struct compiled_anchor anchors[MOST] = {};
	struct compiled c = { .anchors = anchors,
			      .nanchors = (uint32_t)KNOWN + s->config->nruntimes };
	struct anchor_object found[MOST];
	int map = agent_map_fd(s->a, AGENT_MAP_RUNTIMES);
	uint32_t one = 1;
	size_t i;
	int err;

	if (agent_egress_only(s->a))
		return 0;
	for (i = 0; i < c.nanchors; i++)
		anchors[i].path = i < KNOWN ? (char *)runtimes[i] : s->config->runtimes[i - KNOWN];
	err = anchors_scout(s->a, &c, found, d);
	s->runtimes_unknown = err == -ENODATA;
	if (s->runtimes_unknown) {
		*d = (struct diag){};
		return 0; /* the canary says what is wrong, and asks again when it is not */
	}
	if (err)
		return err;
	forget_others(map, found, c.nanchors);
	server_runtimes_end(s);
	for (i = 0; i < c.nanchors; i++) {
		if (found[i].found && bpf_map_update_elem(map, &found[i].object, &one, BPF_ANY))
			err = diag_set(d, -errno,
				       "cannot store the programs that set containers up: %s",
				       strerror(errno));
		/* its address may be what it is known by: held as long as it counts */
		if (found[i].fd >= 0)
			s->runtimes[s->nruntimes++] = found[i].fd;
	}
	say_missing(s->config, found);
	return err;
}
