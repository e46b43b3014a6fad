// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The native protocol of journald (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an
 * entry. Not sd_journal_sendv(), which waits for a journald that is slow, and the ring of
 * events with it.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"
#include "journal.h"
#include "util.h"

#define SHARES 256u /* sandboxes that are told apart within one second */
#define TELL_US 1000000u

struct share {
	uint64_t sandbox, second;
	uint32_t sent;
};

struct journal {
	int fd;
	struct sockaddr_un to;
	sd_event *loop;
	sd_event_source *timer; /* armed while something is untold */
	struct share all, shares[SHARES];
	uint64_t untold;
	struct text entry, part;
	struct journal_stats stats;
};

int journal_new(struct sd_event *loop, const char *socket_path, struct journal **out)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	if (!socket_path)
		socket_path = JOURNAL_SOCKET;
	j->to.sun_family = AF_UNIX;
	strncpy(j->to.sun_path, socket_path, sizeof(j->to.sun_path) - 1);
	j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (j->fd < 0) {
		free(j);
		return -errno;
	}
	j->loop = sd_event_ref(loop);
	*out = j;
	return 0;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	journal_tell(j);
	sd_event_source_disable_unref(j->timer);
	sd_event_unref(j->loop);
	text_free(&j->entry);
	text_free(&j->part);
	close(j->fd);
	free(j);
}

/* ---- entries --------------------------------------------------------------------------- */

static void add_field(struct text *t, const char *key, const char *value, size_t len)
{
	uint64_t size = htole64(len);

	text_add(t, key);
	if (!memchr(value, '\n', len)) {
		text_add(t, "=");
		text_add_bytes(t, value, len);
	} else { /* what holds a newline says its length, so that it cannot be another field */
		text_add(t, "\n");
		text_add_bytes(t, (const char *)&size, sizeof(size));
		text_add_bytes(t, value, len);
	}
	text_add(t, "\n");
}

static void add_string(struct journal *j, const char *key, const char *value)
{
	if (value)
		add_field(&j->entry, key, value, strlen(value));
}

static void add_number(struct journal *j, const char *key, uint64_t v)
{
	text_addf(&j->entry, "%s=%" PRIu64 "\n", key, v);
}

/* What a sandboxed program chose: printable, whatever shows it. */
static void add_chosen(struct journal *j, const char *key, struct event_bytes b)
{
	if (!b.len)
		return;
	text_reset(&j->part);
	text_add_escaped(&j->part, b.p, b.len);
	add_field(&j->entry, key, j->part.p, j->part.len);
	j->entry.failed = j->entry.failed || j->part.failed;
}

static void add_object(struct journal *j, const struct event *ev)
{
	char addr[INET6_ADDRSTRLEN], buf[EVENT_NAME_MAX];

	switch (event_object(ev)) {
	case EVENT_OBJECT_ADDRESS:
		add_string(j, "EGRESSCTL_ADDRESS", event_addr_text(ev->addr, addr));
		add_number(j, "EGRESSCTL_PORT", ev->port);
		add_string(j, "EGRESSCTL_PROTOCOL", event_name(EVENT_NAMES_PROTO, ev->proto, buf));
		add_chosen(j, "EGRESSCTL_NAME", ev->name);
		add_chosen(j, "EGRESSCTL_SERVER_NAME", ev->path);
		return;
	case EVENT_OBJECT_NAME:
		add_chosen(j, "EGRESSCTL_NAME", ev->path);
		return;
	case EVENT_OBJECT_PATH:
	case EVENT_OBJECT_UNIX:
		add_chosen(j, "EGRESSCTL_PATH", ev->path);
		add_chosen(j, "EGRESSCTL_PATH2", ev->path2);
		return;
	case EVENT_OBJECT_SOCKET:
	case EVENT_OBJECT_NONE:
		return;
	}
}

/* What the author of a policy chose, more than a word. */
static void add_safe(struct journal *j, const char *key, const char *s)
{
	text_reset(&j->part);
	text_add_safe(&j->part, s ? s : "");
	add_field(&j->entry, key, j->part.p ? j->part.p : "", j->part.len);
	j->entry.failed = j->entry.failed || j->part.failed;
}

static void add_rule(struct journal *j, const struct event *ev)
{
	struct text name = { 0 };

	if (!ev->by)
		return;
	event_add_rule_name(&name, ev->by);
	add_safe(j, "EGRESSCTL_RULE", name.p);
	add_safe(j, "EGRESSCTL_RULE_TEXT", ev->by->text);
	j->entry.failed = j->entry.failed || name.failed;
	text_free(&name);
}

static int make_entry(struct journal *j, const struct event *ev)
{
	bool denied = ev->verdict == EG_VERDICT_DENIED;

	text_reset(&j->entry);
	if (event_to_line(ev, &j->part))
		return -ENOMEM;
	add_field(&j->entry, "MESSAGE", j->part.p, j->part.len);
	add_string(j, "MESSAGE_ID", JOURNAL_ID_VIOLATION);
	add_string(j, "SYSLOG_IDENTIFIER", "egressd");
	add_number(j, "PRIORITY", denied ? LOG_WARNING : LOG_NOTICE);
	text_addf(&j->entry, "EGRESSCTL_EVENT=%" PRIu64 ".%" PRIu64 "\n", ev->sandbox, ev->seq);
	add_number(j, "EGRESSCTL_SANDBOX", ev->sandbox);
	add_number(j, "EGRESSCTL_SEQ", ev->seq);
	if (ev->owner >= 0)
		add_number(j, "EGRESSCTL_OWNER_UID", (uint64_t)ev->owner);
	add_string(j, "EGRESSCTL_VERDICT", denied ? "denied" : "audit");
	add_string(j, "EGRESSCTL_OP", event_op_name(ev->op));
	add_string(j, "EGRESSCTL_REASON", event_reason_name(ev->reason));
	add_object(j, ev);
	add_rule(j, ev);
	add_number(j, "EGRESSCTL_PID", ev->pid);
	add_number(j, "EGRESSCTL_UID", ev->uid);
	add_chosen(j, "EGRESSCTL_COMM", ev->comm);
	add_chosen(j, "EGRESSCTL_EXE", ev->exe);
	add_number(j, "EGRESSCTL_SUPPRESSED", ev->suppressed);
	add_number(j, "EGRESSCTL_LOST", ev->lost);
	return j->entry.failed || j->part.failed ? -ENOMEM : 0;
}

static int send_entry(struct journal *j)
{
	ssize_t n = sendto(j->fd, j->entry.p, j->entry.len, MSG_NOSIGNAL | MSG_DONTWAIT,
			   (struct sockaddr *)&j->to, sizeof(j->to));

	return n < 0 ? -errno : 0;
}

/* ---- how many ---------------------------------------------------------------------------- */

static bool take_one(struct share *s, uint64_t sandbox, uint64_t second, uint32_t rate)
{
	if (s->sandbox != sandbox || s->second != second)
		*s = (struct share){ .sandbox = sandbox, .second = second };
	if (s->sent == rate)
		return false;
	s->sent++;
	return true;
}

static bool may_send(struct journal *j, uint64_t sandbox)
{
	struct timespec ts = {};

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts); /* cannot fail */
	/* two that take turns in one place are held by the rate of all */
	return take_one(&j->shares[sandbox % SHARES], sandbox, (uint64_t)ts.tv_sec,
			JOURNAL_RATE_SANDBOX) &&
	       take_one(&j->all, 0, (uint64_t)ts.tv_sec, JOURNAL_RATE);
}

static int on_tell(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct journal *j = ctx;

	(void)src;
	(void)usec;
	j->timer = sd_event_source_disable_unref(j->timer);
	journal_tell(j);
	return 0;
}

static void arm(struct journal *j)
{
	if (!j->loop || j->timer)
		return;
	/* without memory for it the count goes with the next one */
	(void)sd_event_add_time_relative(j->loop, &j->timer, CLOCK_MONOTONIC, TELL_US, 0, on_tell,
					 j);
}

void journal_tell(struct journal *j)
{
	int err;

	if (!j->untold)
		return;
	text_reset(&j->entry);
	text_addf(&j->entry, "MESSAGE=%" PRIu64 " refused access%s not in the journal, which "
		  "takes %u a second: see egressctl log\n", j->untold,
		  j->untold == 1 ? " is" : "es are", JOURNAL_RATE);
	add_string(j, "MESSAGE_ID", JOURNAL_ID_LEFT_OUT);
	add_string(j, "SYSLOG_IDENTIFIER", "egressd");
	add_number(j, "PRIORITY", LOG_WARNING);
	add_number(j, "EGRESSCTL_LEFT_OUT", j->untold);
	err = j->entry.failed ? -ENOMEM : send_entry(j);
	if (!err)
		j->untold = 0;
	else if (err == -EAGAIN) /* others mean that nobody is there: told when somebody is */
		arm(j);
}

void journal_event(struct journal *j, const struct event *ev)
{
	if (ev->end || (ev->verdict != EG_VERDICT_DENIED && ev->verdict != EG_VERDICT_AUDIT))
		return;
	if (may_send(j, ev->sandbox) && !make_entry(j, ev) && !send_entry(j)) {
		j->stats.sent++;
		return;
	}
	j->stats.left_out++;
	j->untold++;
	arm(j);
}

int journal_note(struct journal *j, const struct journal_note *note)
{
	text_reset(&j->entry);
	text_reset(&j->part);
	text_addf(&j->part, "%s%s%s", note->text, *note->remedy ? ": " : "", note->remedy);
	add_field(&j->entry, "MESSAGE", j->part.p, j->part.len);
	add_string(j, "MESSAGE_ID", note->id);
	add_string(j, "SYSLOG_IDENTIFIER", "egressd");
	add_number(j, "PRIORITY", (uint64_t)note->priority);
	if (*note->remedy)
		add_string(j, "EGRESSCTL_REMEDY", note->remedy);
	for (size_t i = 0; i < note->nhooks; i++)
		add_string(j, "EGRESSCTL_HOOK", note->hooks[i]);
	return j->entry.failed || j->part.failed ? -ENOMEM : send_entry(j);
}

const struct journal_stats *journal_stats(const struct journal *j)
{
	return &j->stats;
}
