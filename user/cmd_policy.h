/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by `check` and `test`: from the FILE argument to a compiled policy. */
#ifndef EGRESSCTL_CMD_POLICY_H
#define EGRESSCTL_CMD_POLICY_H

#include "compile.h"
#include "options.h"

/*
 * Load and compile `file` as it would be bound here: -C `workdir` or the current
 * directory, this user. FILE is a path when it holds a '/' or ends in .yaml, .yml
 * or .json, else the name of a policy. A place that cannot be a workspace leaves
 * ${WORKDIR} unbound with a notice, so that checking works anywhere. 0 or a
 * negative errno with a message in d.
 */
int cmd_policy_load(const char *file, const char *workdir, struct policy **p, struct compiled **c,
		    struct diag *d);

struct cmd_policy_options {
	const char *workdir; /* NULL: the current directory */
	bool json;
};

extern const struct option_row cmd_policy_rows[];

#endif
