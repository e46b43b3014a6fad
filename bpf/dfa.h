/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps of the automaton (see egressctl.h), compiled for both sides: the
 * programs decide with this code, and user space answers and tests with it.
 *
 * Bytes are the hottest code of the project: 8 BPF instructions when the byte
 * has a slot of its own in the row, 13 when the row's default holds. The mask
 * is all the verifier needs; whatever index comes out, the check of `from`
 * makes a foreign slot a miss.
 */
#ifndef EG_DFA_H
#define EG_DFA_H

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a slot's `from` is its low half");

typedef volatile __u64 __attribute__((may_alias)) eg_dfa_pair;

/*
 * The slot a row has for a symbol: both halves in one load, which volatile
 * keeps the compiler from splitting.
 */
static __always_inline __u64 eg_dfa_slot_of(const struct eg_dfa *dfa, __u64 state, __u64 symbol)
{
	__u64 at = ((state + symbol) & EG_DFA_INDEX) * sizeof(struct eg_dfa_slot);

#ifdef __bpf__
	/* clang would copy the map's address first, to add to the copy */
	asm("%0 += %1" : "+r"(at) : "r"(dfa));
#else
	at += (__u64)dfa;
#endif
	return ((const eg_dfa_pair *)at)[1];
}

static __always_inline const struct eg_dfa_slot *eg_dfa_head(const struct eg_dfa *dfa, __u64 state)
{
	return &dfa->slots[state & EG_DFA_INDEX];
}

/*
 * One byte of a name: the next name state. A name begins at eg_policy.names.
 * States are 32 bits; 64 here spares the copies that clear an upper half.
 */
static __always_inline __u64 eg_dfa_byte(const struct eg_dfa *dfa, __u64 state, __u8 byte)
{
	__u64 slot = eg_dfa_slot_of(dfa, state, byte);

	if ((__u32)slot == (__u32)state)
		return slot >> 32;
	state = eg_dfa_head(dfa, state)->to;
	if (!(state & EG_DFA_VIA))
		return state;
	/* the rest of this row is another row, whose own default is final */
	state &= ~EG_DFA_VIA;
	slot = eg_dfa_slot_of(dfa, state, byte);
	if ((__u32)slot == (__u32)state)
		return slot >> 32;
	return eg_dfa_head(dfa, state)->to;
}

/*
 * The state of what is called so in the directory `state`; `name` is where the
 * name's last byte led. Most names are in no rule and take the default.
 *
 * What is said about this very name comes first, then about its class, which
 * knows all patterns it matches, then about its wider class, which knows only
 * those that hold at any depth. A directory with literal names below it shares
 * the classes' row with all directories that differ from it only in those.
 */
static __always_inline __u32 eg_dfa_child(const struct eg_dfa *dfa, __u64 state, __u64 name)
{
	__u32 symbols = eg_dfa_head(dfa, name)->from & ~EG_DFA_HEAD;
	__u64 slot;

	if (symbols) {
		__u32 exact = symbols & EG_DFA_SYM_MASK;
		__u32 class = symbols >> EG_DFA_CLASS_SHIFT;

		if (exact) {
			slot = eg_dfa_slot_of(dfa, state, exact);
			if ((__u32)slot == (__u32)state)
				return slot >> 32;
		}
		if (class) {
			__u32 on = (eg_dfa_head(dfa, state)->from & ~EG_DFA_HEAD) >>
				   EG_DFA_CLASSES_SHIFT;
			__u32 row = (state & ~(__u64)EG_DFA_INDEX) | ((state + on) & EG_DFA_INDEX);

			slot = eg_dfa_slot_of(dfa, row, class);
			if ((__u32)slot == row)
				return slot >> 32;
			slot = eg_dfa_slot_of(dfa, name, EG_DFA_WIDER);
			if ((__u32)slot == (__u32)name) {
				slot = eg_dfa_slot_of(dfa, row, slot >> 32 & EG_DFA_CLASS_MASK);
				if ((__u32)slot == row)
					return slot >> 32;
			}
		}
	}
	return eg_dfa_head(dfa, state)->to;
}

/*
 * A whole name: the state of what is called so in the directory `state`.
 * `names` is eg_policy.names; buf has EG_NAME_MAX bytes that may be read (a map
 * value's), len is at most that.
 */
static __always_inline __u32 eg_dfa_name(const struct eg_dfa *dfa, __u64 state, __u64 names,
					 const __u8 *buf, __u32 len)
{
	len &= EG_NAME_MAX; /* for the verifier */
	for (__u32 i = 0; i < len; i++) {
		names = eg_dfa_byte(dfa, names, *buf++);
#ifdef __bpf__
		asm("" : "+r"(buf)); /* a pointer that moves is cheaper than an index */
#endif
	}
	return eg_dfa_child(dfa, state, names);
}

/* The permission in force at a path state: bits of EG_PERM_ALL. */
static __always_inline __u8 eg_dfa_perm(__u32 state)
{
	return state >> EG_DFA_PERM_SHIFT & EG_PERM_ALL;
}

/* What everything at and below a path state has at least. */
static __always_inline __u8 eg_dfa_floor(const struct eg_dfa *dfa, __u32 state)
{
	return eg_dfa_head(dfa, state)->from >> EG_DFA_FLOOR_SHIFT & EG_PERM_ALL;
}

/* What anything at or below a path state has at most. */
static __always_inline __u8 eg_dfa_ceil(const struct eg_dfa *dfa, __u32 state)
{
	return eg_dfa_head(dfa, state)->from >> EG_DFA_CEIL_SHIFT & EG_PERM_ALL;
}

#endif
