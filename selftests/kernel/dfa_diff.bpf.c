/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The automaton's steps, run by the kernel over a batch of paths: the same code
 * (dfa.h), the same map and the same verifier as the programs that decide.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "egressctl.h"
#include "dfa.h"
#include "../selftests/kernel/dfa_diff.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef BPF_F_MMAPABLE
#define BPF_F_MMAPABLE (1U << 10)
#endif

/* the agent's, by its descriptor */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct eg_dfa);
} dfa SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DFA_BATCH);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct dfa_case);
} cases SEC(".maps");

__u32 ncases;

struct step {
	struct eg_dfa *dfa;
	struct dfa_case *c;
};

/* Results live in the map: 6.1 believes it knows what a callback leaves on the stack. */
static long feed_byte(__u32 i, struct step *s)
{
	struct dfa_case *c = s->c;
	__u8 byte;

	if (i >= DFA_PATH_MAX)
		return 1;
	byte = c->path[i];
	if (byte != '/' || c->one_name) {
		c->name = eg_dfa_byte(s->dfa, c->name, byte);
		c->in_name = 1;
	} else if (c->in_name) {
		c->state = eg_dfa_child(s->dfa, c->state, c->name);
		c->name = c->names;
		c->in_name = 0;
	}
	return 0;
}

static long judge_case(__u32 i, void *unused)
{
	__u32 zero = 0;
	struct step s = {
		.dfa = bpf_map_lookup_elem(&dfa, &zero),
		.c = bpf_map_lookup_elem(&cases, &i),
	};
	struct dfa_case *c = s.c;

	if (!s.dfa || !c)
		return 1;
	c->state = c->start;
	c->name = c->names;
	c->in_name = 0;
	bpf_loop(c->len, feed_byte, &s, 0);
	if (c->in_name)
		c->state = eg_dfa_child(s.dfa, c->state, c->name);
	return 0;
}

SEC("syscall")
int judge(void *ctx)
{
	/* how many it has begun: all, unless one stopped it */
	return bpf_loop(ncases, judge_case, NULL, 0);
}
