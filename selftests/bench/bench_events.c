// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../bpf/egressctl.h"
#include "bench_events.h"
#include "compile.h"
#include "event_text.h"
#include "eventlog.h"
#include "events.h"
#include "journal.h"

#define RECORDS 20000u
#define BATCH 1024u /* records between two writes, as the service has it */

static const char path[] = "/home/me/project/node_modules/leftpad/.env";
static const char exe[] = "/usr/bin/node";

struct record {
	struct eg_event ev;
	char data[128];
};

struct run {
	struct compiled *c;
	struct eventlog *log;
	struct journal *journal;
	struct text text;
};

static const struct compiled *find(void *ctx, uint32_t serial)
{
	struct run *r = ctx;

	(void)serial;
	return r->c;
}

static void sink(void *ctx, const struct event *ev)
{
	struct run *r = ctx;

	if (!event_to_json(ev, &r->text))
		eventlog_add(r->log, r->text.p, r->text.len);
	journal_event(r->journal, ev);
}

/*
 * A journald that does not read: some entries go, then its socket is full. All that is
 * let through is made and tried, which is what it can cost.
 */
static int listen_for_journal(struct run *run, const char *dir)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/journal", dir);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    journal_new(NULL, a.sun_path, &run->journal)) {
		fprintf(stderr, "bench: cannot listen at %s\n", a.sun_path);
		exit(1);
	}
	return fd;
}

/* Each one is in the journal, or counted as left out of it. */
static void end_journal(struct run *run, int fd, const char *dir)
{
	const struct journal_stats *stats = journal_stats(run->journal);
	char file[256];

	if (!stats->sent || stats->sent + stats->left_out != RECORDS) {
		fprintf(stderr, "bench: the journal got %lu and lacks %lu of %u events\n",
			stats->sent, stats->left_out, RECORDS);
		exit(1);
	}
	journal_free(run->journal);
	close(fd);
	(void)snprintf(file, sizeof(file), "%s/journal", dir);
	(void)unlink(file);
}

static size_t make_record(struct record *r)
{
	*r = (struct record){ .ev = {
		.time = 1, .sandbox = 7, .pid = 4242, .tid = 4242, .uid = 1000, .serial = 1,
		.error = 13, .op = EG_OP_OPEN, .reason = EG_WHY_RULE, .want = EG_R,
		.verdict = EG_VERDICT_DENIED, .path_len = sizeof(path) - 1,
		.exe_len = sizeof(exe) - 1, .comm = "node",
	} };
	memcpy(r->data, path, sizeof(path) - 1);
	memcpy(r->data + sizeof(path) - 1, exe, sizeof(exe) - 1);
	return sizeof(r->ev) + r->ev.path_len + r->ev.exe_len;
}

static uint64_t now(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t feed(struct events *e, struct run *run)
{
	struct record r;
	size_t len = make_record(&r);
	uint64_t start = now();

	for (uint64_t i = 1; i <= RECORDS; i++) {
		r.ev.seq = i;
		events_feed(e, &r, len);
		if (i % BATCH == 0)
			eventlog_flush(run->log);
	}
	eventlog_flush(run->log);
	return (now() - start) / RECORDS;
}

static struct compiled *compile(const char *text)
{
	struct policy_source src = { (char *)"bench", (char *)"bench.yaml", (char *)text,
				     strlen(text) };
	struct policy_texts texts = { &src, 1 };
	struct policy_reader rd = policy_reader_texts(&texts);
	struct policy_vars vars = { 0 };
	struct policy *p = NULL;
	struct compiled *c = NULL;
	struct diag d = { 0 };

	if (policy_load("bench", &rd, &p, &d) || policy_compile(p, &vars, &c, &d)) {
		diag_print(stderr, "bench", &d);
		exit(1);
	}
	policy_free(p);
	return c;
}

uint64_t bench_events(const char *text, const char *dir)
{
	struct run run = { .c = compile(text) };
	struct events_ops ops = { .find = find, .sink = sink, .ctx = &run };
	const struct eventlog_stats *stats;
	struct events *e;
	char file[256];
	uint64_t each;
	int fd;

	if (eventlog_open(dir, 0, &run.log) || events_new(-1, &ops, &e)) {
		fprintf(stderr, "bench: cannot log to %s\n", dir);
		exit(1);
	}
	fd = listen_for_journal(&run, dir);
	each = feed(e, &run);
	stats = eventlog_stats(run.log);
	if (stats->lines != RECORDS || stats->dropped) {
		fprintf(stderr, "bench: %lu of %u events were logged\n", stats->lines, RECORDS);
		exit(1);
	}
	events_free(e);
	end_journal(&run, fd, dir);
	eventlog_close(run.log);
	text_free(&run.text);
	compiled_free(run.c);
	(void)snprintf(file, sizeof(file), "%s/%s", dir, EVENTLOG_FILE);
	(void)unlink(file);
	(void)rmdir(dir);
	return each;
}
