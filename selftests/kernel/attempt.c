/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The four-part form: control outside, refused inside, the event, the allowed twin. */
#include "harness_int.h"

#include <arpa/inet.h>

#include "event_text.h"
#include "util.h"

static const char *const as_text[AS_END] = { [AS_ROOT] = "root", [AS_USER] = "user" };

/* One part: fresh objects, the act, what it left. */
static int part(const struct attempt *a, struct box *b, enum as as, bool refused)
{
	int result;

	if (a->before)
		a->before(a->arg);
	if (b)
		box_events_drop(b);
	result = box_run(b, as, a->act, a->arg);
	if (a->after)
		a->after(a->arg, refused);
	return result;
}

static bool addr_is(const uint8_t addr[16], const char *text)
{
	uint8_t want[16] = { [10] = 0xff, [11] = 0xff };

	if (inet_pton(AF_INET, text, want + 12) != 1 && inet_pton(AF_INET6, text, want) != 1)
		harness_die("'%s' is no address", text);
	return !memcmp(addr, want, sizeof(want));
}

static bool text_is(const char *have, size_t len, const char *want)
{
	return !want || (len == strlen(want) && !memcmp(have, want, len));
}

static bool event_is(const struct attempt *a, const struct seen *s)
{
	return s->op == a->op && s->error == a->err && s->verdict == EG_VERDICT_DENIED &&
	       (a->reason == WANT_ANY_REASON || s->reason == a->reason) &&
	       (!a->want || s->want == a->want) && (!a->proto || s->proto == a->proto) &&
	       (!a->port || s->port == a->port) && text_is(s->path, s->path_len, a->path) &&
	       text_is(s->path2, s->path2_len, a->path2) && (!a->addr || addr_is(s->addr, a->addr));
}

static void check_event(const struct attempt *a, struct box *b)
{
	_cleanup_free_ struct seen *events = NULL;
	size_t n = box_events(b, &events), i, matching = 0;

	for (i = 0; i < n; i++)
		matching += event_is(a, &events[i]);
	if (matching == 1 && (n == 1 || a->more_events))
		return;
	fail("%zu events, %zu of them the expected %s %s %s %s", n, matching,
	     event_op_name(a->op),
	     a->reason == WANT_ANY_REASON ? "(any reason)" : event_reason_name(a->reason),
	     result_text(-a->err), a->path ? a->path : a->addr ? a->addr : "");
	for (i = 0; i < n; i++)
		seen_print(&events[i]);
	counters_print(b);
}

static void check_allowed(const struct attempt *a, enum as as)
{
	_cleanup_free_ struct seen *events = NULL;
	struct box *b = box_shared(a->allow);
	int result = part(a, b, as, false);
	size_t n = box_events(b, &events), i;

	check(result >= 0, "allowed: returned %s", result_text(result));
	check(n == 0, "allowed: %zu events", n);
	for (i = 0; i < n; i++)
		seen_print(&events[i]);
}

static void attempt_as(const struct attempt *a, enum as as)
{
	struct box *deny;
	int result;

	if (!case_begin("%s [%s]", a->name, as_text[as]))
		return;
	result = part(a, NULL, as, false);
	if (result < 0) {
		/* Without a control a refusal proves nothing. */
		case_skip("outside it fails too: %s", result_text(result));
		case_end();
		return;
	}
	deny = box_shared(a->deny);
	result = part(a, deny, as, true);
	check(result == -(a->answer ?: a->err), "denied: returned %s, expected %s",
	      result_text(result), result_text(-(a->answer ?: a->err)));
	check_event(a, deny);
	if (a->allow)
		check_allowed(a, as);
	case_end();
}

void attempt(const struct attempt *a)
{
	if (!a->name || !a->act || !a->deny || a->err <= 0 || !a->op)
		harness_die("an attempt lacks a name, act, deny, err or op");
	if (!a->only_user)
		attempt_as(a, AS_ROOT);
	if (!a->only_root)
		attempt_as(a, AS_USER);
}

void attempts(const struct attempt *a, size_t n)
{
	for (; n--; a++)
		attempt(a);
}
