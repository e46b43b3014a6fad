/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For event_explain(): the allowing rule of a version that comes closest to a refused
 * object, or NULL. Names and paths are any bytes, not terminated.
 */
#ifndef EVENT_NEAR_H
#define EVENT_NEAR_H

#include <stddef.h>
#include <stdint.h>

struct compiled;
struct rule_ref;

/* `path` is as rules have it: an own task's /proc directory is /proc/self. */
const struct rule_ref *event_near_path(const struct compiled *c, const char *path, size_t len,
				       uint8_t want);
const struct rule_ref *event_near_name(const struct compiled *c, const char *name, size_t len);
/* port in host byte order */
const struct rule_ref *event_near_address(const struct compiled *c, const uint8_t addr[16],
					  uint16_t port);
const struct rule_ref *event_near_unix(const struct compiled *c, const char *name, size_t len);

#endif
