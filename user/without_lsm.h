/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What becomes of path rules on a host whose kernel runs no BPF LSM programs. Rules for the
 * network are the cgroup programs' everywhere. Where there is BPF LSM, none of this matters.
 */
#ifndef EGRESSCTL_WITHOUT_LSM_H
#define EGRESSCTL_WITHOUT_LSM_H

enum without_lsm {
	WITHOUT_LSM_REFUSE, /* no sandbox is made */
	WITHOUT_LSM_LANDLOCK, /* what Landlock can hold is held, the rest is told: landlock.h */
	WITHOUT_LSM_EGRESS, /* they are left out */
};

#define WITHOUT_LSM_WORDS "refuse, landlock or egress"

/* -EINVAL: none of these; *out is untouched. */
int without_lsm_parse(const char *text, enum without_lsm *out);
const char *without_lsm_text(enum without_lsm mode);

#endif
