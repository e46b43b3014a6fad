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

/*
 * Names: any case, a final dot allowed, A-labels. What the kernel and the resolver
 * decide by: bit i is set when the name may be reached as c->head.classes[i] says.
 * 0: the name is not allowed at all, or is no name (empty label, over 253 bytes).
 */
uint32_t verdict_name_classes(const struct compiled *c, const char *name);

/* Whether one of `classes` opens the port (host byte order); their EG_CL_* together. */
bool verdict_class_flags(const struct compiled *c, uint32_t classes, uint16_t port, uint8_t proto,
			 uint8_t *flags);

/* The classes that may be at private addresses: all others are not for those. */
uint32_t verdict_private_classes(const struct compiled *c);

/* As verdict_egress(), for a name. */
int verdict_name(const struct compiled *c, const char *name, uint16_t port, uint8_t proto,
		 uint8_t *verdict, uint32_t *rule);

/* "FILE:LINE: TEXT" of a rule, or "no rule (default)" for 0; returns buf. */
const char *verdict_rule_text(const struct compiled *c, uint32_t rule, char *buf, size_t len);

#endif
