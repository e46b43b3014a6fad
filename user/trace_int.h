/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What trace.c and trace_json.c share; everything else uses trace.h. */
#ifndef TRACE_INT_H
#define TRACE_INT_H

#include "trace.h"

/* The index of these bytes, put there when they are new. -ENOSPC, -ENOMEM. */
int trace_intern(struct trace *t, const char *p, size_t len, uint32_t *out);

#endif
