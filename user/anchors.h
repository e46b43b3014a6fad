/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Anchors: the objects that literal rules name, numbered as the kernel numbers
 * them. A scout process opens each path and the kernel program tells what it
 * saw; stat() would lie on overlayfs and btrfs.
 */
#ifndef ANCHORS_H
#define ANCHORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;
struct compiled;
struct diag;

struct anchor_object {
	uint64_t ino;
	uint32_t dev;
	bool found;
};

/*
 * Fill out[c->nanchors]; what does not exist, is no file or directory, or
 * cannot be opened is not found. -ETIMEDOUT: a path did not answer (a dead
 * network or FUSE mount); nothing may be published then.
 */
int anchors_scout(struct agent *a, const struct compiled *c, struct anchor_object *out,
		  struct diag *d);

#endif
