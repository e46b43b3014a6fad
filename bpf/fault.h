/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For tests: what user space tells programs that were built with EG_FAULTS (fault.bpf.h). */
#ifndef EGRESSCTL_FAULT_H
#define EGRESSCTL_FAULT_H

#define EG_FAULTS_EACH 512u /* sites of a file; sites beyond share numbers */
#define EG_FAULTS_FILES 32u

struct eg_faults {
	__u32 at; /* the site that fails; 0: none */
	__u32 hits;
	__u8 seen[EG_FAULTS_EACH * EG_FAULTS_FILES]; /* sites that a program has come to */
};

#endif
