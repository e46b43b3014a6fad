/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What server_grants.c (changing them), grants_version.c (as versions) and
 * grants_state.c (for the next egressd) share.
 */
#ifndef GRANTS_INT_H
#define GRANTS_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include <linux/types.h>

#include "../bpf/egressctl.h"
#include "grant_rule.h"

struct conn;
#include "publish.h"

struct diag;
struct version;

/* that are known by their key: a denial more or less is a family */
#define FAMILIES (EG_MAX_GRANTS + 1)

struct grant {
	uint64_t number; /* never used again in one boot */
	struct grant_rule r;
	uint64_t lapses; /* ns, CLOCK_BOOTTIME; UINT64_MAX: never */
	uint64_t granted; /* ns, CLOCK_REALTIME */
	uid_t by;
	uint16_t class; /* of what it allows by name, + 1; 0: none */
	char *note; /* NULL: none */
};

struct grants {
	struct conn *c;
	const struct version *base; /* the policy alone; referenced */
	struct grant v[EG_MAX_GRANTS]; /* the one that lasts longest first */
	uint32_t n;
	/*
	 * Versions that mean the same by a class's number are one family: those of one
	 * set of denied names, as long as no number gets another meaning. What was said
	 * on a flow outlives the grant that it was said under, so that a number which
	 * was given once is given only to the same rule again; when there is no other,
	 * an epoch ends.
	 */
	uint64_t epoch;
	char *class_rule[EG_MAX_CLASSES];
	struct family {
		uint64_t key; /* epoch and denied names, 0: the policy's own */
		uint32_t family;
	} families[FAMILIES];
	uint32_t next_family;
	enum publish_room room; /* for the change that is being made: publish.h */
	sd_event_source *timer;
	bool untidy; /* some are over, and the version without them is not in force yet */
};

void grants_drop_at(struct grants *g, uint32_t i);

/* grants_version.c: the version that holds all grants; *v has a reference. */
int grants_publish(struct grants *g, const struct version **v, struct diag *d);
/*
 * The class that a name gets: one that neither the policy nor another grant uses.
 * -ENOSPC with a message.
 */
int grants_choose_class(struct grants *g, const char *rule, uint16_t *class, struct diag *d);
/* No number means what it meant, but for those of v[]. */
void grants_forget_classes(struct grants *g);
/* Was any given? Grants that are over leave the numbers of their classes behind. */
bool grants_had_classes(const struct grants *g);

/* grants_state.c: into the file of this sandbox; a failure is logged. */
void grants_save(struct grants *g);
/*
 * From there into g, which is empty. -ENOENT: there are none; else a message. Then
 * some of them may be in g.
 */
int grants_load(struct grants *g, struct diag *d);
void grants_forget(const struct grants *g);

#endif
