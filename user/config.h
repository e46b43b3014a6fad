/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * /etc/egressctl/egressd.yaml: what the owner of the host decides for all. Unknown
 * keys, duplicates and bad values are errors with file, line and column; a file that
 * is not good changes nothing. See egressd(8).
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "without_lsm.h"

struct diag;
struct sockaddr_storage;

#define CONFIG_FILE "/etc/egressctl/egressd.yaml"
#define CONFIG_MAX_ATTACH 64u
#define CONFIG_MAX_AUTHORITY 64u
#define CONFIG_MAX_RUNTIMES 32u
#define CONFIG_PER_UID 64u /* sandboxes of one user, when nothing else is said */
#define CONFIG_PER_UID_MAX 4096u
#define CONFIG_GRANT_MS (24u * 3600 * 1000)
/* less than a megabyte a file (see EVENTLOG_KEEP) rotates all the time */
#define CONFIG_LOG_MIN (5ull << 20)
#define CONFIG_LOG_MAX (1ull << 40)

/* who may see and change live sandboxes; root may always, in every sandbox */
enum config_who {
	CONFIG_NOBODY, /* root alone */
	CONFIG_OWNER, /* whose sandbox it is (the default) */
};

/* attach: [{cgroup: PATTERN, policy: NAME}], in this order, the first that matches */
struct config_attach {
	/*
	 * With a slash (then it begins with one): compared with the path below the cgroup2
	 * root. Without: with the last name of the path. See bpf/pattern.h.
	 */
	char *pattern;
	char *policy; /* a name, or the absolute path of a file */
	uint32_t line; /* for messages */
};

struct config {
	char *file; /* NULL: none was read, everything is the default */
	/* socket */
	char *group; /* NULL: every user */
	uint32_t max_per_uid; /* sandboxes of one user; 64 */
	bool new_privileges; /* set-uid programs gain rights in those of ordinary users, too */
	/* log */
	char *log_dir; /* NULL: the default */
	uint64_t log_bytes; /* of all files together; 0: the default */
	bool journal; /* violations go to journald, too; default true */
	enum without_lsm without_lsm; /* of runs that do not say themselves; default refuse */
	/* stop */
	bool keep; /* sandboxes go on when egressd stops */
	/* grants: what owners may grant; root is not bound by it */
	enum config_who grant_who;
	uint64_t grant_max_ms; /* longest time of one; 0: no limit. Default a day */
	bool grant_paths; /* `open` and `unix`, beside `connect`; default true */
	/*
	 * NULL: any destination. Else destinations as in `egress: allow`, each grant by
	 * name or address must lie within one of them. Checked with policy_dest_parse(),
	 * ended by a NULL; an empty list is none at all.
	 */
	char **grant_within;
	bool grant_save; /* --save into a policy that is the user's own; default true */
	/* canary */
	uint32_t canary_ms; /* how often every hook is tried; CANARY_EVERY_MS */
	/* metrics: address and port of the HTTP listener; NULL: none */
	char *metrics;
	bool metrics_remote; /* the address may be one that other hosts reach */
	struct config_attach *attach;
	uint32_t nattach;
	/*
	 * runtimes: programs that set containers up, beside those that are known. Absolute
	 * paths without a link; what is there is root's alone to change.
	 */
	char *runtimes[CONFIG_MAX_RUNTIMES];
	uint32_t nruntimes;
};

/* Every value as it is without a file. */
void config_defaults(struct config *c);

/*
 * Read `path`. 0; -ENOENT when there is no such file (*c has the defaults); or a
 * negative errno with a message that names the place, and *c untouched. A file that
 * others than root can write to or exchange is refused (-EPERM), and so is a symbolic
 * link (-ELOOP). What *c had before is not freed.
 */
int config_load(const char *path, struct config *c, struct diag *d);
/* The same from memory: `file` is for messages. */
int config_parse(const char *file, const char *text, size_t len, struct config *c,
		 struct diag *d);
void config_clear(struct config *c);

/*
 * The log's directory by the settings, for those who look without egressd: malloc()ed, or
 * NULL. A file that is not good, which egressd would not have started with, is told in
 * `d` and the default returned.
 */
char *config_log_dir(const char *path, struct diag *d);

/* What the settings say of hosts without BPF LSM, for a run without egressd; as above. */
enum without_lsm config_without_lsm(const char *path, struct diag *d);

/*
 * "127.0.0.1:9477" or "[::1]:9477". -EINVAL without a message. *local: no other host
 * reaches it.
 */
int config_address(const char *text, struct sockaddr_storage *addr, socklen_t *len, bool *local);

#endif
