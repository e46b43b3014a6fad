/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One path judged by dfa_diff.bpf.c; included by both sides. */
#ifndef DFA_DIFF_H
#define DFA_DIFF_H

#define DFA_BATCH 4096u
#define DFA_PATH_MAX 480u /* bytes */

struct dfa_case { /* element of the array map `cases` */
	__u32 start; /* eg_policy.start_path */
	__u32 names; /* eg_policy.names */
	__u32 len; /* of path */
	__u16 one_name; /* an abstract socket: '/' is nothing special */
	__u16 in_name; /* bytes of a name have been fed */
	__u64 state; /* out: where the path leads */
	__u64 name;
	__u8 path[DFA_PATH_MAX];
};

_Static_assert(sizeof(struct dfa_case) == 512, "dfa_case");

#endif
