/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A trace put together for a report; report.c fills it, report_out.c writes it. */
#ifndef REPORT_INT_H
#define REPORT_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

struct report_host {
	const struct trace_dest *dest;
	uint32_t *names; /* strings that had the address; malloc()ed */
	size_t nnames, cap_names;
	bool refused;
};

struct report_dir {
	char *path;
	size_t len;
	uint8_t perm; /* EG_R …: what was done there */
	uint32_t count; /* paths */
};

struct report_program {
	uint32_t path; /* string */
};

struct report_denial {
	uint32_t rule; /* string; TRACE_NO_STRING: the default */
	uint16_t op;
	uint8_t reason, verdict;
	uint32_t count; /* different accesses */
	const struct trace_access *example; /* the first of them in order */
};

struct report {
	const struct trace *t;
	struct report_host *hosts;
	size_t nhosts, cap_hosts;
	struct report_dir *dirs;
	size_t ndirs, cap_dirs;
	struct report_program *programs;
	size_t nprograms, cap_programs;
	struct report_denial *denials;
	size_t ndenials, cap_denials;
};

/* 0 or -ENOMEM; to be cleared in any case. */
int report_make(const struct trace *t, struct report *r);
void report_clear(struct report *r);

#endif
