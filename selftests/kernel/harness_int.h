/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between the harness's own files. */
#ifndef HARNESS_INT_H
#define HARNESS_INT_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

/* Every sandbox is killed and removed, the agent unloaded. May be called twice. */
void boxes_end(void);

/*
 * Of suite.c: load the agent for the children to come, who leave it loaded; end what one of them
 * left behind; unload it.
 */
void suite_begin(void);
void suite_child(void); /* in each of them, first */
void suite_sweep(void);
void suite_end(void);

/* The current case has failed a check already. */
bool case_failed(void);

#endif
