/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers from the tables of a compiled policy, the same ones the kernel reads:
 * for `egressctl test`, for naming the rule behind an event, for tests.
 *
 * *rule is the index in c->rules + 1, or 0 when no rule said so (a default).
 * All return 0, or -EINVAL for a malformed question.
 */
#ifndef EGRESSCTL_VERDICT_H
#define EGRESSCTL_VERDICT_H

#include "compile.h"

/* Permission bits in force at an absolute path (len without a NUL). */
int verdict_path(const struct compiled *c, const char *path, size_t len, uint8_t *perm,
		 uint32_t *rule);

/*
 * *verdict is EG_V_*, or 0 when no rule covers it (refused). port in host byte
 * order. Loopback destinations under `loopback: own` also come out as 0: who
 * listens decides, and that is known only to the kernel.
 */
int verdict_egress(const struct compiled *c, const uint8_t addr[16], uint16_t port, uint8_t proto,
		   uint8_t *verdict, uint32_t *rule);

/* A unix socket by path or '@' and abstract name; EG_W in *perm: may be reached. */
int verdict_unix(const struct compiled *c, const char *name, size_t len, uint8_t *perm,
		 uint32_t *rule);

/* A destination name (any case, final dot allowed) by the name rules; as verdict_egress. */
int verdict_name(const struct compiled *c, const char *name, uint16_t port, uint8_t proto,
		 uint8_t *verdict, uint32_t *rule);

/* "FILE:LINE: TEXT" of a rule, or "no rule (default)" for 0; returns buf. */
const char *verdict_rule_text(const struct compiled *c, uint32_t rule, char *buf, size_t len);

#endif
