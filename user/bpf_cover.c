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
#include "bpf_progs.h"
#include "cgroup.h"
#include "diag.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define MAX_LINKS 24 /* programs for sockets, there are a dozen */

struct cover {
	uint64_t id;
	uint32_t users;
	int links[MAX_LINKS];
	size_t nlinks;
	struct cover *next;
};

struct covers {
	struct progs *progs;
	int map, root;
	struct cover *first;
};

struct covers *covers_new(struct progs *progs, int map, int root)
{
	struct covers *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->progs = progs;
	c->map = map;
	c->root = root;
	return c;
}

static int pin_path(char path[PATH_MAX], const struct covers *c, const struct prog *p, uint64_t id)
{
	int n = snprintf(path, PATH_MAX, "%s/%s-%" PRIu64, c->progs->dir, prog_name(p), id);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* What was not pinned yet is not there. */
static void unpin(const struct covers *c, uint64_t id)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < c->progs->n; i++)
		if (prog_is_of_cgroup(c->progs->all[i].prog) &&
		    !pin_path(path, c, &c->progs->all[i], id))
			(void)unlink(path);
}

static void free_cover(struct cover *v)
{
	while (v->nlinks)
		close(v->links[--v->nlinks]);
	free(v);
}

void covers_free(struct covers *c)
{
	struct cover *v;

	if (!c)
		return;
	while ((v = c->first)) {
		c->first = v->next;
		free_cover(v);
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

/* The pin of a load that was taken over, if it is of this cgroup. */
static int open_kept(const char *path, uint64_t id)
{
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return -1;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == BPF_LINK_TYPE_CGROUP &&
	    info.cgroup.cgroup_id == id)
		return fd;
	close(fd);
	(void)unlink(path); /* it was detached */
	return -1;
}

static int attach_one(struct covers *c, struct cover *v, int dirfd, const struct prog *p,
		      struct diag *d)
{
	char path[PATH_MAX];
	int fd, err;

	if (v->nlinks == MAX_LINKS)
		return diag_set(d, -E2BIG, "more than %d programs for sockets", MAX_LINKS);
	err = pin_path(path, c, p, v->id);
	if (err)
		return diag_set(d, err, "the path of a pin is too long");
	fd = open_kept(path, v->id);
	if (fd >= 0) {
		v->links[v->nlinks++] = fd;
		return 0;
	}
	fd = prog_link(p, dirfd);
	if (fd < 0)
		return diag_set(d, fd,
				"cannot attach the BPF program '%s' to a cgroup of the workload: "
				"%s",
				prog_name(p), strerror(-fd));
	v->links[v->nlinks++] = fd;
	if (!bpf_obj_pin(fd, path))
		return 0;
	return diag_set(d, -errno, "cannot pin a BPF program at %s: %s", path, strerror(errno));
}

static int add(struct covers *c, int dirfd, uint64_t id, uint32_t users, struct diag *d)
{
	struct cover *v = find(c, id);
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
	for (size_t i = 0; i < c->progs->n && !err; i++) {
		const struct prog *p = &c->progs->all[i];

		if (p->fd >= 0 && prog_is_of_cgroup(p->prog) && prog_is_attached(p->prog))
			err = attach_one(c, v, dirfd, p, d);
	}
	/* what is in the map is what the programs see */
	if (!err && bpf_map_update_elem(c->map, &id, &one, BPF_ANY))
		err = diag_set(d, -errno, "no more than %u cgroups can be covered: %s",
			       EG_MAX_COVERED, strerror(errno));
	if (err) {
		unpin(c, id);
		free_cover(v);
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
	unpin(c, v->id);
	free_cover(v);
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
			unpin(c, keys[i]);
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
