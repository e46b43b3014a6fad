/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The event log: JSON lines, appended to a file that is rotated by size, so
 * that a sandboxed program cannot fill the disk. Writing never blocks on
 * anything but the file system and never fails its caller: what cannot be
 * written is counted, and the count is written as soon as something can be.
 */
#ifndef EVENTLOG_H
#define EVENTLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define EVENTLOG_DIR "/var/log/egressctl"
#define EVENTLOG_FILE "events.jsonl" /* older ones: events.jsonl.1 … */
#define EVENTLOG_MAX_BYTES (64u << 20) /* of one file */
#define EVENTLOG_KEEP 4u /* rotated files kept */
#define EVENTLOG_DIR_MODE 0750
#define EVENTLOG_FILE_MODE 0640
#define EVENTLOG_BUFFER (256u << 10) /* bytes collected before a write */

struct eventlog;

struct eventlog_stats {
	uint64_t lines; /* written */
	uint64_t dropped; /* not written: disk full or another error */
	int error; /* the last one, positive errno; 0: none since the last success */
};

/*
 * Open (make when missing) `dir`/events.jsonl. max_bytes 0 takes the default.
 * -ENOTDIR, -ELOOP, -EPERM when the directory or file is not a plain one that
 * root or the caller owns.
 */
int eventlog_open(const char *dir, uint64_t max_bytes, struct eventlog **out);
void eventlog_close(struct eventlog *log);
/* Bytes of one file from the next rotation on; 0 takes the default. */
void eventlog_set_max(struct eventlog *log, uint64_t max_bytes);

/* Append one JSON object (without newline); buffered until eventlog_flush(). */
void eventlog_add(struct eventlog *log, const char *json, size_t len);
/* Write what is buffered: call it when the consumer has drained the ring. */
void eventlog_flush(struct eventlog *log);
const struct eventlog_stats *eventlog_stats(const struct eventlog *log);

/* Remove the files of a log, of which none is open, and nothing else that lies in `dir`. */
void eventlog_remove(const char *dir);

/* ---- reading ------------------------------------------------------------------ */

struct eventlog_filter {
	uint64_t sandbox; /* 0: all */
	int op; /* enum eg_op; 0: all */
	uint8_t verdict; /* EG_VERDICT_*; 0: all */
	uint64_t since_ns, until_ns; /* CLOCK_REALTIME; 0: all */
	int64_t owner; /* uid who asked for the sandbox; -1: all (root) */
};

/* Does a line of the log pass? Malformed lines do not. */
bool eventlog_match(const struct eventlog_filter *f, const char *line, size_t len);

/*
 * Call `line` for each matching line of `dir`, oldest first; stops when it
 * returns non-zero and returns that. With `follow`, waits for more by inotify
 * until then, across rotations, and says so before with a line of NULL. A reader
 * that falls behind by more than the files that are kept misses lines: sequence
 * numbers show it. Lines come without their newline.
 */
typedef int (*eventlog_line_fn)(void *ctx, const char *line, size_t len);
int eventlog_read(const char *dir, const struct eventlog_filter *f, bool follow,
		  eventlog_line_fn line, void *ctx);

#endif
