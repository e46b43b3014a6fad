/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf_maps.h"
#include "diag.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define PIN_MAX (PATH_MAX + 240)
#define DFA_SIZE sizeof(struct eg_dfa)
#define SANDBOXES_SIZE (EG_MAX_SANDBOXES * sizeof(struct eg_sandbox))
/* the kernel rounds the elements of an array up to 8 bytes */
#define PORT_STRIDE ((sizeof(struct eg_port) + 7) & ~7ul)
#define PORTS_SIZE (EG_MAX_PORTS * PORT_STRIDE)

static const char *const map_names[AGENT_MAP_MAX] = {
	[AGENT_MAP_DFA] = "dfa",
	[AGENT_MAP_TASKS] = "tasks",
	[AGENT_MAP_SOCKETS] = "sockets",
	[AGENT_MAP_SANDBOXES] = "sandboxes",
	[AGENT_MAP_POLICIES] = "policies",
	[AGENT_MAP_PREFIXES] = "prefixes",
	[AGENT_MAP_PORTS] = "ports",
	[AGENT_MAP_ANCHORS] = "anchors",
	[AGENT_MAP_SCOUTED] = "scouted",
	[AGENT_MAP_EVENTS] = "events",
	[AGENT_MAP_STATS] = "stats",
	[AGENT_MAP_CGROUPS] = "cgroups",
	[AGENT_MAP_BINDINGS] = "bindings",
	[AGENT_MAP_QUERIES] = "queries",
	[AGENT_MAP_COVERED] = "covered",
	[AGENT_MAP_ATTACHING] = "attaching",
	[AGENT_MAP_ARRIVALS] = "arrivals",
	[AGENT_MAP_TOUCHED] = "touched",
	[AGENT_MAP_TRACES] = "traces",
	[AGENT_MAP_SEEN] = "seen",
	[AGENT_MAP_TRAFFIC] = "traffic",
	[AGENT_MAP_RUNTIMES] = "runtimes",
	[AGENT_MAP_PATTERNS] = "patterns",
	[AGENT_MAP_PENDING] = "pending",
	[AGENT_MAP_HOLDING] = "holding",
	[AGENT_MAP_IPC_OBJECTS] = "ipc_objects",
};

/*
 * What only makes sense to one load of the programs, caches and the generations that they
 * are checked against: pinned beside its links, so that another load starts empty.
 */
static const char *const private_maps[] = { "memos",     "moves",	 "walks",
						"reports",   "scratches", "rooms",
						"shares",    "attaching", "listening",
						"naming" };

static bool is_private(const char *map)
{
	for (size_t i = 0; i < ARRAY_SIZE(private_maps); i++)
		if (str_eq(map, private_maps[i]))
			return true;
	return false;
}

/* Where it is pinned; -ENOENT: nowhere. */
static int pin_of(const struct maps *m, const struct bpf_map *map, char path[PIN_MAX])
{
	const char *name = bpf_map__name(map);

	if (bpf_map__is_internal(map) || !bpf_map__autocreate(map))
		return -ENOENT;
	snprintf(path, PIN_MAX, "%s/map_%s", is_private(name) ? m->links : m->pins, name);
	return 0;
}

int maps_choose(struct maps *m, struct bpf_object *obj, const char *pins, const char *links,
		struct diag *d)
{
	m->obj = obj;
	m->pins = pins;
	m->links = links;
	for (int i = 0; i < AGENT_MAP_MAX; i++)
		if (!bpf_object__find_map_by_name(obj, map_names[i]))
			return diag_set(d, -ENOENT, "the programs have no map '%s'", map_names[i]);
	return 0;
}

void maps_without_inodes(struct maps *m)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, m->obj)
		if (bpf_map__type(map) == BPF_MAP_TYPE_INODE_STORAGE)
			bpf_map__set_autocreate(map, false);
}

bool maps_pinned(const struct maps *m)
{
	char path[PIN_MAX];
	struct bpf_map *map;

	bpf_object__for_each_map(map, m->obj)
		if (!is_private(bpf_map__name(map)) && !pin_of(m, map, path) &&
		    !access(path, F_OK))
			return true;
	return false;
}

bool maps_all_pinned(const struct maps *m)
{
	char path[PIN_MAX];
	struct bpf_map *map;

	bpf_object__for_each_map(map, m->obj)
		if (!pin_of(m, map, path) && access(path, F_OK))
			return false;
	return true;
}

int maps_pin(struct maps *m, struct diag *d)
{
	char path[PIN_MAX];
	struct bpf_map *map;
	int err;

	bpf_object__for_each_map(map, m->obj) {
		if (pin_of(m, map, path))
			continue;
		err = bpf_map__set_pin_path(map, path);
		if (err)
			return diag_set(d, err, "cannot name the pin of map '%s'",
					bpf_map__name(map));
	}
	return 0;
}

static void *map_array(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* thousands of page table entries that no child of ours has a use for */
	(void)madvise(p, size, MADV_DONTFORK);
	return p;
}

int maps_loaded(struct maps *m, struct diag *d)
{
	for (int i = 0; i < AGENT_MAP_MAX; i++)
		m->fds[i] = bpf_object__find_map_fd_by_name(m->obj, map_names[i]);
	m->dfa = map_array(m->fds[AGENT_MAP_DFA], DFA_SIZE);
	m->sandboxes = map_array(m->fds[AGENT_MAP_SANDBOXES], SANDBOXES_SIZE);
	m->ports = map_array(m->fds[AGENT_MAP_PORTS], PORTS_SIZE);
	m->holding = map_array(m->fds[AGENT_MAP_HOLDING], sizeof(*m->holding));
	if (!m->dfa || !m->sandboxes || !m->ports || !m->holding)
		return diag_set(d, -errno, "cannot map the BPF arrays: %s", strerror(errno));
	return 0;
}

struct eg_port *maps_port(const struct maps *m, uint32_t i)
{
	return (struct eg_port *)(m->ports + i * PORT_STRIDE);
}

void maps_close(struct maps *m)
{
	if (m->dfa)
		munmap(m->dfa, DFA_SIZE);
	if (m->sandboxes)
		munmap(m->sandboxes, SANDBOXES_SIZE);
	if (m->ports)
		munmap(m->ports, PORTS_SIZE);
	if (m->holding)
		munmap(m->holding, sizeof(*m->holding));
}
