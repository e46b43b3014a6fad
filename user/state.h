/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What must survive our processes but not a reboot: files below /run/egressctl,
 * a directory that only root can write.
 */
#ifndef STATE_H
#define STATE_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct diag;

#define STATE_DIR "/run/egressctl"
#define STATE_LOCK "egressd.lock" /* in it: held by the egressd that runs */

/* Make the directory where it is missing and open it (O_DIRECTORY). */
int state_open(struct diag *d);

/*
 * The next value of a counter, greater than any it gave since boot, to whatever
 * process, and greater than `floor`. Ids come from here, so that no id is used
 * twice in one boot even by agents that know nothing of each other.
 */
int state_counter(const char *name, uint64_t floor, uint64_t *out, struct diag *d);

/*
 * A number in a file of `dir` (an open directory that only root writes to), which
 * survives a reboot, unlike what is here: 0 when there is none. state_keep() never
 * makes it smaller; several processes may. Negative errno.
 */
uint64_t state_kept(int dir, const char *name);
int state_keep(int dir, const char *name, uint64_t v);

/*
 * What follows is in directories `dir` of this ABI: one that knows another never reads
 * it, but for the records of sandboxes (server_left.c).
 */
DIR *state_list(const char *dir); /* NULL with errno; made where it is missing */
/* STATE_DIR/abiN: what the egressd of that ABI keeps. */
void state_abi_path(unsigned int abi, char *path, size_t size);

/* Replace a small file as a whole, through a rename. */
int state_write(const char *dir, const char *name, const char *text, size_t len);
/* malloc()ed, NUL-terminated. -ENOENT, -EFBIG over `max`. */
int state_read(const char *dir, const char *name, size_t max, char **text, size_t *len);
int state_remove(const char *dir, const char *name);

/* When a process started, in clock ticks after boot: with its pid, its name for good. */
int process_start(pid_t pid, uint64_t *ticks);

#endif
