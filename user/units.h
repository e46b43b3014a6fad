/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Units of systemd, asked of process 1 without a bus daemon: for root. */
#ifndef UNITS_H
#define UNITS_H

struct diag;

/* As systemctl(1) reads it: without the suffix of a unit, it is a service. malloc()ed. */
char *unit_name(const char *given);

/*
 * The cgroup of a unit that runs, by unit_name(); malloc()ed. -ENOENT when it does not run;
 * of one that is not there the message names the nearest that does.
 */
int unit_cgroup(const char *given, char **out, struct diag *d);

#endif
