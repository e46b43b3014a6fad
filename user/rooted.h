/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The root of another mount namespace: a container's policy is written in its own paths,
 * so its links are followed and its anchors looked for there.
 *
 * What is mounted there is its owner's, and an open or a look-up can wait for them as long
 * as they like (a lease, a filesystem of their own): a process of its own looks, for which
 * nobody waits longer than ROOTED_MS.
 */
#ifndef ROOTED_H
#define ROOTED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct diag;
struct policy_vars;

#define ROOTED_MS 5000 /* altogether, for all that is looked up for one policy */

struct rooted {
	int fd; /* O_PATH, the root of the namespace; -1: nothing is found there any more */
	uint32_t ns; /* its number */
	pid_t pid; /* a process in it, and when that started */
	uint64_t start;
	/* rooted_look.c: */
	pid_t looker; /* who looks; 0: nobody */
	int sock; /* to ask it; -1: none */
	int left_ms; /* of ROOTED_MS */
	bool lost; /* it did not answer: what was found is not all that is there */
};

/*
 * The namespace of `pid`. 1: another one than ours, *r is filled in (rooted_close()).
 * 0: ours; only r->ns is. Or negative errno.
 */
int rooted_open(pid_t pid, struct rooted *r, struct diag *d);
void rooted_close(struct rooted *r);

/* Open a path there as O_PATH and `flags`. Never leaves the root, nor /proc's links. */
int rooted_at(int root, const char *path, int flags);
/* policy_vars.readlink; ctx is the struct rooted. */
int rooted_readlink(void *ctx, const char *path, char *buf, size_t len);
/* -ETIMEDOUT with a message when an answer is missing from what was found; else 0. */
int rooted_check(const struct rooted *r, struct diag *d);

/*
 * The variables there: WORKDIR is `cwd` when it can be one, HOME from the password file
 * there, TMPDIR /tmp, no GITDIR. `v` uses `r` while it lives.
 */
int rooted_vars(struct policy_vars *v, struct rooted *r, const char *cwd, uid_t uid,
		struct diag *d);

/* As text and back, for keys; opened again when the process is still the same. */
void rooted_format(const struct rooted *r, char buf[64]);
int rooted_parse(const char *text, struct rooted *r);

/*
 * Start who looks: in the mount namespace `ns` (-1: ours) at what `top` is there ("/": its
 * root). Sets r->fd; rooted_close() ends it, also after a failure.
 */
int rooted_look(struct rooted *r, int ns, const char *top);
/* Is it a directory there? 0 or negative errno. */
int rooted_look_dir(struct rooted *r, const char *path);
/* Home of `uid` by the password file there, or NULL: text of a stranger. */
char *rooted_look_home(struct rooted *r, uid_t uid);

#endif
