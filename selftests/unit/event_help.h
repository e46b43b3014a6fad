/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records as the kernel makes them, and a policy to explain them with. */
#ifndef EVENT_HELP_H
#define EVENT_HELP_H

#include <linux/types.h>
#include <stddef.h>

#include "../../bpf/egressctl.h"
#include "events.h"

/* 2026-11-23T13:32:18.123456789Z */
#define TIME_NS 1795440738123456789ull

/* what every golden JSON has of the version, and of what would allow it when nobody can grant it */
#define VERSION "\"version\":3,\"policy\":\"test\",\"policy_file\":\"/etc/p/test.yaml\","
#define ALLOW(command) "\"allow_command\":\"" command "\",\"allow_run\":\"" command "\""

struct record {
	struct eg_event ev;
	char data[EG_EVENT_DATA_MAX];
};

/* The version that the records' serial, 3, means; see event_help.c for its text. */
extern struct compiled *event_compiled;
int event_help_setup(void **state);
int event_help_teardown(void **state);

struct record record_of(__u16 op, __u8 reason, int error);
struct record record_open(const char *path, __u8 want);
void record_names(struct record *r, const char *path, size_t len, const char *path2,
		  const char *exe);
void record_addr(struct record *r, const char *addr, __u16 port, __u8 proto);
size_t record_len(const struct record *r);
struct event record_event(const struct record *r);

/* Both texts of a record (json NULL: not looked at), and the way back. */
void event_check_texts(const struct record *r, const char *json, const char *line);
/* What would allow it, "" for nothing. */
void event_check_remedy(const struct record *r, const char *rule, const char *command);

#endif
