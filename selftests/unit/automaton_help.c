/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "automaton_help.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct automaton *automaton_help(const struct automaton_rule *rules, size_t n,
				 const uint8_t defaults[AUTOMATON_SPACES])
{
	struct automaton_error err = {};
	struct automaton *a = NULL;
	int ret = automaton_compile(rules, n, defaults, &a, &err);

	if (ret)
		fail_msg("rule %zu, byte %zu: %s (expected %s)", err.rule, err.offset, err.msg,
			 err.expected);
	return a;
}
