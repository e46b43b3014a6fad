/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf_cover.h"
#include "bpf_load.h"
#include "cgroup.h"
#include "diag.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define MAX_LINKS 24 /* programs for sockets, there are a dozen */

struct cover {
	uint64_t id;
	uint32_t users;
	struct bpf_link *links[MAX_LINKS];
	size_t nlinks;
	struct cover *next;
};

struct covers {
	struct bpf_object *obj;
	int map, root;
	const char *links;
	struct cover *first;
};

struct covers *covers_new(struct bpf_object *obj, int map, int root, const char *links)
{
	struct covers *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->obj = obj;
	c->map = map;
	c->root = root;
	c->links = links;
	return c;
}

static void free_cover(struct cover *v, bool unpin)
{
	while (v->nlinks) {
		struct bpf_link *link = v->links[--v->nlinks];

		if (unpin)
			(void)bpf_link__unpin(link); /* it may not have been pinned yet */
		bpf_link__destroy(link);
	}
	free(v);
}

void covers_free(struct covers *c)
{
	struct cover *v;

	if (!c)
		return;
	while ((v = c->first)) {
		c->first = v->next;
		free_cover(v, false);
	}
	free(c);
}

static struct cover *find(struct covers *c, uint64_t id)
{
	struct cover *v = c->first;

	while (v && v->id != id)
		v = v->next;
	return v;
}

static int attach_one(struct covers *c, struct cover *v, int dirfd, struct bpf_program *prog,
		      struct diag *d)
{
	const char *name = bpf_program__name(prog);
	char path[PATH_MAX + 192];
	struct bpf_link *link;
	int err;

	if (v->nlinks == MAX_LINKS)
		return diag_set(d, -E2BIG, "more than %d programs for sockets", MAX_LINKS);
	link = bpf_program__attach_cgroup(prog, dirfd);
	if (!link)
		return diag_set(d, -errno,
				"cannot attach the BPF program '%s' to a cgroup of the workload: "
				"%s",
				name, strerror(errno));
	v->links[v->nlinks++] = link;
	snprintf(path, sizeof(path), "%s/%s-%" PRIu64, c->links, name, v->id);
	err = bpf_link__pin(link, path);
	if (!err)
		return 0;
	return diag_set(d, err, "cannot pin a BPF program at %s: %s", path, strerror(-err));
}

static int add(struct covers *c, int dirfd, uint64_t id, uint32_t users, struct diag *d)
{
	struct cover *v = find(c, id);
	struct bpf_program *prog;
	uint32_t one = 1;
	int err = 0;

	if (v) {
		v->users += users;
		return 0;
	}
	v = calloc(1, sizeof(*v));
	if (!v)
		return diag_set(d, -ENOMEM, "out of memory");
	v->id = id;
	v->users = users;
	bpf_object__for_each_program(prog, c->obj) {
		if (err || !bpf_program__autoload(prog) || !agent_is_cgroup_prog(prog))
			continue;
		err = attach_one(c, v, dirfd, prog, d);
	}
	/* what is in the map is what the programs see */
	if (!err && bpf_map_update_elem(c->map, &id, &one, BPF_ANY))
		err = diag_set(d, -errno, "no more than %u cgroups can be covered: %s",
			       EG_MAX_COVERED, strerror(errno));
	if (err) {
		free_cover(v, true);
		return err;
	}
	v->next = c->first;
	c->first = v;
	return 0;
}

int covers_add(struct covers *c, int dirfd, uint64_t id, struct diag *d)
{
	return add(c, dirfd, id, 1, d);
}

static int add_id(struct covers *c, uint64_t id, uint32_t users, struct diag *d)
{
	_cleanup_close_ int dir = cgroup_open_id(c->root, id);

	if (dir < 0)
		return diag_set(d, dir, "cannot open a cgroup of the workload: %s", strerror(-dir));
	return add(c, dir, id, users, d);
}

int covers_add_id(struct covers *c, uint64_t id, struct diag *d)
{
	return add_id(c, id, 1, d);
}

static void take_out(struct covers *c, struct cover *v)
{
	struct cover **at = &c->first;

	while (*at != v)
		at = &(*at)->next;
	*at = v->next;
	(void)bpf_map_delete_elem(c->map, &v->id); /* gone already: as it should be */
	free_cover(v, true);
}

void covers_drop(struct covers *c, uint64_t id)
{
	struct cover *v = find(c, id);

	if (v && (!v->users || !--v->users))
		take_out(c, v);
}

int covers_adopt(struct covers *c, struct diag *d)
{
	uint64_t key, next, *keys = NULL;
	size_t n = 0, cap = 0, i;
	int err;

	/* first all keys: what is deleted on the way would begin the walk anew */
	for (err = bpf_map_get_next_key(c->map, NULL, &key); !err;
	     err = bpf_map_get_next_key(c->map, &key, &next), key = next) {
		if (array_reserve(&keys, &cap, n)) {
			free(keys);
			return diag_set(d, -ENOMEM, "out of memory");
		}
		keys[n++] = key;
	}
	err = 0;
	for (i = 0; i < n && !err; i++) {
		err = add_id(c, keys[i], 0, d);
		if (err == -ESTALE || err == -ENOENT) {
			(void)bpf_map_delete_elem(c->map, &keys[i]);
			err = 0;
		}
	}
	free(keys);
	return err;
}

void covers_sweep(struct covers *c)
{
	struct cover *v = c->first, *next;

	for (; v; v = next) {
		next = v->next;
		if (!v->users)
			take_out(c, v);
	}
}
