/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The root of another mount namespace: a container's policy is written in its own paths,
 * so its links are followed and its anchors looked for there.
 */
#ifndef ROOTED_H
#define ROOTED_H

#include <stdint.h>
#include <sys/types.h>

struct diag;
struct policy_vars;

struct rooted {
	int fd; /* O_PATH, the root of the namespace; -1: nothing is found there any more */
	uint32_t ns; /* its number */
	pid_t pid; /* a process in it, and when that started */
	uint64_t start;
};

/*
 * The namespace of `pid`. 1: another one than ours, *r is filled in (rooted_close()).
 * 0: ours; only r->ns is. Or negative errno.
 */
int rooted_open(pid_t pid, struct rooted *r, struct diag *d);
void rooted_close(struct rooted *r);

/* Open a path there as O_PATH and `flags`. Never leaves the root, nor /proc's links. */
int rooted_at(int root, const char *path, int flags);
/* policy_vars.readlink; ctx is the int. */
int rooted_readlink(void *ctx, const char *path, char *buf, size_t len);

/*
 * The variables there: WORKDIR is `cwd` when it can be one, HOME from the password file
 * there, TMPDIR /tmp, no GITDIR. `v` uses r->fd while it lives.
 */
int rooted_vars(struct policy_vars *v, struct rooted *r, const char *cwd, uid_t uid,
		struct diag *d);

/* As text and back, for keys; opened again when the process is still the same. */
void rooted_format(const struct rooted *r, char buf[64]);
int rooted_parse(const char *text, struct rooted *r);

#endif
