/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Anchors: the objects that literal rules name, as the kernel tells them apart. A
 * scout process opens each path and the kernel program says what it saw; stat()
 * would lie on overlayfs and btrfs.
 */
#ifndef ANCHORS_H
#define ANCHORS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/egressctl.h"

struct agent;
struct compiled;
struct diag;

struct anchor_object {
	struct eg_object object;
	bool found;
	/*
	 * O_PATH, the caller's; -1: not needed. An object that is known by its address
	 * is this one only as long as somebody holds it.
	 */
	int fd;
};

/*
 * Fill out[c->nanchors]; what does not exist, or is no file or directory, is not
 * found. What is there and cannot be looked at fails, with the rule in the message:
 * nothing may be published then. So does a path that does not answer (-ETIMEDOUT: a
 * dead network or FUSE mount), and any when the hook is silent that tells one object from
 * another (-ENODATA). On failure no descriptor is left open.
 */
int anchors_scout(struct agent *a, const struct compiled *c, struct anchor_object *out,
		  struct diag *d);

#endif
