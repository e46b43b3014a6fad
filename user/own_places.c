/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stddef.h>

#include "boot.h"
#include "control.h"
#include "eventlog.h"
#include "own_places.h"

#ifndef EG_PREFIX
#define EG_PREFIX "/usr"
#endif

const char *const own_places[] = {
	EG_PREFIX "/bin/egress-run",
	EG_PREFIX "/bin/egressctl",
	EG_PREFIX "/sbin/egressd",
	EG_PREFIX "/share/egressctl",
	/* systemd reads both, and what is in "egressd.service.d" beside them */
	EG_PREFIX "/lib/systemd/system/egressd.service",
	EG_PREFIX "/lib/systemd/system/egressd.service.d",
	"/etc/systemd/system/egressd.service",
	"/etc/systemd/system/egressd.service.d",
	"/etc/systemd/system/multi-user.target.wants/egressd.service", /* it starts at boot */
	"/etc/egressctl",
	/* code for the next start of any program, egressd's too */
	"/etc/ld.so.preload",
	BOOT_DROPIN,
	BOOT_STATE_DIR,
	CONTROL_DIR,
	EVENTLOG_DIR,
	NULL
};
