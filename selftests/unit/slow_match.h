/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules of automaton.h, answered by the obvious way: every pattern against
 * every ancestor of the path, by trying all possibilities. Shares no code and no
 * idea with the compiler, which is compared with it.
 */
#ifndef SLOW_MATCH_H
#define SLOW_MATCH_H

#include "../../user/automaton.h"

/* rules must be well-formed (automaton_compile() takes them), the path absolute. */
uint8_t slow_match(const struct automaton_rule *rules, size_t n,
		   const uint8_t defaults[AUTOMATON_SPACES], enum automaton_space space,
		   const char *path, size_t len);

#endif
