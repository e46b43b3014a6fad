/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tests of path rules share: objects, policies, descriptors from outside. */
#ifndef FILES_COMMON_H
#define FILES_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "util.h"

#define D HARNESS_DIR
#define SECRET D "/secret"
#define CLOSED D "/closed"
#define READONLY D "/readonly"

/* an act that is one call on the path given */
#define ACT(name, call) \
	static int name(const void *arg) \
	{ \
		const char *path = arg; \
		return (call) < 0 ? -errno : 0; \
	}

/*
 * Everything is allowed but: nothing on SECRET and below CLOSED, where
 * CLOSED/open is open again; READONLY, a file, and READONLY.d only read.
 */
const char *policy_some(void);
const char *policy_all(void); /* everything is allowed */
/* `default: rwxc` and one rule */
const char *policy_rule(const char *path, const char *perms);

/*
 * The objects afresh, owned by the user of AS_USER: the files SECRET, READONLY,
 * D/public; CLOSED/{f,open,sub/f}, READONLY.d/f, D/dir/f, the empty directories
 * D/empty, CLOSED/empty. Whatever else a test left in D is removed.
 */
void fresh(const void *unused);
/* For `after`: nothing that policy_some() denies was changed. */
void untouched(const void *unused, bool refused);

void own(const char *path); /* give to AS_USER */
int open_result(const char *path, int flags); /* opened and closed: 0 or -errno */
bool exists(const char *path);

/* One request through a ring of its own: the completion's result. */
int uring_one(const struct io_uring_sqe *sqe, unsigned int setup_flags);

/*
 * A helper outside of every sandbox that sends one descriptor to whoever
 * connects. passer_start() from `before`, passer_end() from `after`;
 * receive_fd() inside: the descriptor, or -EACCES when it was withheld.
 */
void passer_start(int fd); /* takes fd */
void passer_end(void);
int receive_fd(void);
/* Over a connected unix socket; take_fd(): as receive_fd(). */
void send_fd(int to, int fd);
int take_fd(int from);

uint64_t files_stat(uint32_t which); /* a counter (enum eg_stat), of all CPUs */

/* Exactly one event came, and it is like this; `path` NULL: not compared. */
bool one_event(struct box *b, uint16_t op, uint8_t reason, int err, const char *path);
bool no_event(struct box *b);

/* The parts of files_test, a file each. */
void files_open(void);
void files_change(void);
void files_exec(void);
void files_move(void);
void files_object(void);
void files_memo(void);
void files_guard(void);
void files_mounts(void);
void files_attack(void);
void files_attack_fs(void);
void files_received(void);

#endif
