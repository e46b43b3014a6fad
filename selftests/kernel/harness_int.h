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

/* The current case has failed a check already. */
bool case_failed(void);

#endif
