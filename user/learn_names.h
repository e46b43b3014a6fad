/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Destinations by name, from wishes to rules. */
#ifndef LEARN_NAMES_H
#define LEARN_NAMES_H

#include "learn_int.h"

#define WISH_PRIVATE (1u << 0)
#define WISH_TLS_OFF (1u << 1)
#define WISH_PROXY (1u << 2)

/* one name at one port */
struct learn_wish {
	uint32_t name; /* string of the trace */
	uint16_t port; /* host byte order */
	uint8_t proto;
	uint8_t flags; /* WISH_* */
	bool asked_only; /* it was looked up, and nothing was sent there */
	struct learn_who who;
};

struct learn_wishes {
	struct learn_wish *v;
	size_t n, cap;
};

/* Whether a policy can have such a name as it is: no wildcard, nothing to quote. */
bool learn_name_plain(const struct trace_string *s);
/* Rules for all of them; `w` is sorted on the way. */
int learn_names(const struct trace *t, struct learn_wishes *w, struct learned *out);

#endif
