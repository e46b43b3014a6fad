/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef AUTOMATON_HELP_H
#define AUTOMATON_HELP_H

#include "../../user/automaton.h"

/* Compile, or fail the test with the message. */
struct automaton *automaton_help(const struct automaton_rule *rules, size_t n,
				 const uint8_t defaults[AUTOMATON_SPACES]);

#endif
