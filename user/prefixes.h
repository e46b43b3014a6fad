/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Egress rules by address, folded so that the longest matching prefix alone is
 * the answer: each prefix carries what its shorter ones say as well.
 *
 * Who wins, for one address, protocol and port: deny, wherever it is said; then
 * an allow of the hard-denied prefix itself or of something in it; then the hard
 * deny; then any allow. Some prefixes are not covered by an allow of a shorter
 * one (PREFIX_BARRIER): "everything" must not mean the host's own listeners, or
 * IPv4 behind a translator. A rule at or below the barrier names it and holds.
 *
 * Cost is O(n log n) in rules plus what is written out.
 */
#ifndef EGRESSCTL_PREFIXES_H
#define EGRESSCTL_PREFIXES_H

#include <linux/types.h>

#include "compile.h"

#define PREFIX_BARRIER (1u << 0) /* inherited allows end here, denies go on */
#define PREFIX_FAMILY (1u << 1) /* nothing is inherited: IPv4 in the IPv6 space */

struct prefix_rule {
	uint8_t addr[16]; /* network byte order, host bits zero */
	uint8_t plen; /* 0 … 128 */
	uint8_t verdict; /* EG_V_*; 0: only the flags matter */
	uint8_t flags; /* PREFIX_* */
	const struct policy_ports *ports; /* not owned; proto 0 is every protocol */
	uint32_t nports;
	uint32_t rule; /* index in the rule table + 1 */
};

/*
 * Sorts `rules` in place. On success *prefixes (sorted by address, then length)
 * and *ports are malloc()ed. -ENOMEM, or -E2BIG with *bad set to the `rule` that
 * went over EG_MAX_PREFIXES or EG_MAX_PORTS.
 */
int prefixes_compile(struct prefix_rule *rules, size_t n, struct compiled_prefix **prefixes,
		     uint32_t *nprefixes, struct eg_port **ports, uint32_t *nports, uint32_t *bad);

/* The built-in rules, which every policy has: metadata addresses and barriers. */
struct prefix_builtin {
	const char *text; /* address/len as a person writes it */
	const char *what;
	bool hard; /* EG_V_DENY_HARD, else PREFIX_BARRIER (or _FAMILY) */
};
extern const struct prefix_builtin prefix_builtins[];
extern const size_t prefix_nbuiltins;

#endif
