/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Policies are taken apart elsewhere: egressd is root, what users wrote is theirs, and the
 * library that reads YAML has been seen to misread and to leak. So a process reads it that can
 * use one socket and take memory, and nothing else (seccomp), a new one for each text. What it
 * answers is a tree, judged as it comes (policy_pack.h): the worst that a text can do there is
 * to be another policy.
 *
 * These processes are children of one that was forked before egressd knew anything, so that
 * there is nothing of egressd's or of other users' in their memory.
 */
#ifndef EGRESSCTL_POLICY_APART_H
#define EGRESSCTL_POLICY_APART_H

#include "policy_yaml.h"

/* As ydoc_parse(); what it is given here is called there. */
typedef int policy_apart_fn(const char *file, const char *text, size_t len, struct ydoc *doc,
			    struct diag *d);

#define POLICY_APART_SECONDS 10 /* 1 MiB of policy takes 0.2 */

/*
 * From here on until policy_apart_stop() policies are read by `parse` (ydoc_parse()) in processes
 * of their own, each of which has so many seconds, of a processor and by the clock. While there is
 * one thread. Negative errno with a message in d.
 */
int policy_apart_start(policy_apart_fn *parse, unsigned int seconds, struct diag *d);
void policy_apart_stop(void);

/*
 * As ydoc_parse(), here or apart. Besides -EPROTO: it ended without an answer, or with one that
 * is none; -ETIME: not in time.
 */
int policy_apart_parse(const char *file, const char *text, size_t len, struct ydoc *doc,
		       struct diag *d);

#endif
