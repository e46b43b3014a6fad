// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * egressctl log: violations that were, and with -f those to come. Root reads the
 * log file; everybody else asks the service, which gives a user what is theirs.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/egressctl.h"
#include "client.h"
#include "commands.h"
#include "config.h"
#include "control.h"
#include "diag.h"
#include "event_text.h"
#include "eventlog.h"
#include "launch.h"
#include "options.h"
#include "print.h"
#include "ref.h"
#include "util.h"

struct log_options {
	struct eventlog_filter filter;
	const char *dir; /* NULL: the service's */
	const char *sandbox; /* as given; NULL: all */
	bool follow;
	bool json;
};

/* ---- options ------------------------------------------------------------------------ */

/* How long ago, or when. */
static int parse_when(const char *s, uint64_t *ns)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	uint64_t now = (uint64_t)time(NULL);
	size_t len = strlen(s);
	char buf[40];
	uint64_t v;

	if (len && len < 12) {
		memcpy(buf, s, len - 1);
		buf[len - 1] = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
			if (s[len - 1] != units[i].unit || parse_u64(buf, 0, 1000000000, &v))
				continue;
			v *= units[i].seconds;
			*ns = now > v ? (now - v) * 1000000000u : 1;
			return 0;
		}
	}
	if (!event_time_parse(s, ns))
		return 0;
	if (len != strlen("2026-01-31T09:00:00Z") || s[len - 1] != 'Z')
		return -EINVAL;
	(void)snprintf(buf, sizeof(buf), "%.*s.000000000Z", (int)len - 1, s);
	return event_time_parse(buf, ns);
}

/* The nearest word of the format. */
static int parse_op(void *into, const char *word, struct diag *d)
{
	struct log_options *o = into;
	struct nearest near = { .text = word };

	o->filter.op = event_op_from_name(word);
	if (o->filter.op > 0)
		return 0;
	for (uint16_t op = 1; op < EG_OP_MAX; op++)
		nearest_try(&near, event_op_name(op));
	return diag_set(d, -EINVAL, "--op: '%s' is not an operation%s", word, nearest_words(&near));
}

static int parse_verdict(void *into, const char *word, struct diag *d)
{
	struct log_options *o = into;

	if (!str_eq(word, "denied") && !str_eq(word, "audit"))
		return diag_set(d, -EINVAL, "--verdict: '%s' is not denied or audit", word);
	o->filter.verdict = (uint8_t)event_verdict_from_name(word);
	return 0;
}

static int bad_when(const char *option, const char *word, struct diag *d)
{
	return diag_set(d, -EINVAL, "%s: '%s' is not a time ago (90s, 15m, 2h, 7d) or a time "
				    "(2026-01-31T09:00:00Z)", option, word);
}

static int parse_since(void *into, const char *word, struct diag *d)
{
	struct log_options *o = into;

	return parse_when(word, &o->filter.since_ns) ? bad_when("--since", word, d) : 0;
}

static int parse_until(void *into, const char *word, struct diag *d)
{
	struct log_options *o = into;

	return parse_when(word, &o->filter.until_ns) ? bad_when("--until", word, d) : 0;
}

#define AT(field) .at = offsetof(struct log_options, field)
#define PARSED(fn) .kind = OPTION_PARSED, .parse = fn

static const struct option_row rows[] = {
	{ "-f --follow", NULL, "go on with events as they happen", .kind = OPTION_FLAG,
	  AT(follow) },
	{ "--json", NULL, "one JSON object a line, see egressctl-events(5)", .kind = OPTION_FLAG,
	  AT(json) },
	{ "--sandbox", "SANDBOX", "of one: its number, or the name of a live one, or last",
	  .kind = OPTION_TEXT, AT(sandbox) },
	{ "--op", "OPERATION", "of one kind, see below and egressctl-events(5)", PARSED(parse_op) },
	{ "--verdict", "denied|audit", "denied, or audit: would have been denied",
	  PARSED(parse_verdict) },
	{ "--since", "WHEN", "90s, 15m, 2h, 7d, or a time as in the JSON:\n2026-01-31T09:00:00Z",
	  PARSED(parse_since) },
	{ "--until", "WHEN", "the same; not with -f", PARSED(parse_until) },
	{ "--dir", "DIR", "read the log in DIR, not where egressd writes it", .kind = OPTION_TEXT,
	  AT(dir) },
	{}
};

static const struct command_line line = {
	.name = "egressctl log",
	.args = "[OPTION]... [SANDBOX]",
	.about = "Refused accesses, the oldest first, with what would allow each. Root reads the\n"
		 "log, everybody else asks egressd for what is theirs.\n",
	.options = rows,
	.max = 1,
};

/* The words of the format, for people and for completion. */
static void operations(struct text *t)
{
	size_t start = 0;

	text_add(t, "OPERATION is one of:");
	for (uint16_t op = 1; op < EG_OP_MAX; op++) {
		if (t->len - start > 70) {
			text_add(t, "\n ");
			start = t->len;
		}
		text_addf(t, " %s%s", event_op_name(op), op + 1 < EG_OP_MAX ? "," : "\n");
	}
}

static int parse_options(struct log_options *o, int argc, char **argv, int *status)
{
	struct command_line l = line;
	struct text ops = { 0 };
	bool done;

	operations(&ops);
	l.end = ops.failed ? NULL : ops.p;
	done = options_done(&l, o, &argc, &argv, status);
	text_free(&ops);
	if (done)
		return -1;
	if (argc && o->sandbox)
		*status = options_bad(&line, "unexpected argument '%s'", argv[0]);
	else if (o->follow && o->filter.until_ns)
		*status = options_bad(&line, "--until ends what -f goes on with");
	else if (argc)
		o->sandbox = argv[0];
	return *status ? -1 : 0;
}

/* A number needs nobody; names are those of live sandboxes, which the service knows. */
static int find_sandbox(struct log_options *o)
{
	json_t *request, *answer = NULL;
	int status;

	if (!o->sandbox || !parse_u64(o->sandbox, 1, INT64_MAX, &o->filter.sandbox))
		return 0;
	request = json_pack("{s:s, s:o}", "op", "find", "sandbox", ref_sandbox(o->sandbox));
	if (!request)
		return options_bad(&line, "'%s' is not the number or name of a sandbox (see "
				   "egressctl ps)", o->sandbox);
	status = client_call(request, &answer);
	json_decref(request);
	if (!status)
		o->filter.sandbox = (uint64_t)client_number(answer, "sandbox");
	json_decref(answer);
	return status;
}

/* ---- output --------------------------------------------------------------------------- */

struct printer {
	uint64_t lines; /* so far */
	bool only_count; /* print none */
	bool json;
	bool theirs; /* who wrote the log is not known */
	bool flush; /* somebody may be watching, and nothing says when no more comes */
	struct text text;
};

static void print_time(uint64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000u);
	char buf[32] = "";
	struct tm tm;

	if (localtime_r(&sec, &tm))
		(void)strftime(buf, sizeof(buf), "%F %T", &tm);
	fputs(buf, stdout);
}

static void print_dumped(struct printer *p, const char *line, size_t len)
{
	text_reset(&p->text);
	text_add_dumped(&p->text, line, len);
	if (!p->text.failed)
		fwrite(p->text.p, 1, p->text.len, stdout);
}

static void print_person(struct printer *p, const char *line, size_t len)
{
	struct event_parsed e;

	/* the log's own records, and those of a later version, are shown as they are */
	if (event_from_json(line, len, &e)) {
		print_dumped(p, line, len);
		return;
	}
	if (!event_to_line(&e.ev, &p->text)) {
		print_time(e.ev.time_ns);
		if (e.ev.end)
			printf(" %s", p->text.p);
		else
			printf(" [%" PRIu64 "] %s", e.ev.sandbox, p->text.p);
		if (e.allow_command || e.allow_rule) {
			printf("\n    allow: ");
			print_safe(stdout, e.allow_command ? e.allow_command : e.allow_rule);
		}
	}
	event_parsed_free(&e);
}

/* Non-zero when nobody reads any more. NULL: no more is there now. */
static int print_line(void *ctx, const char *line, size_t len)
{
	struct printer *p = ctx;

	if (p->only_count)
		return line ? (int)++p->lines : 0; /* one is enough */
	if (line && p->json && p->theirs)
		print_dumped(p, line, len);
	else if (line && p->json)
		fwrite(line, 1, len, stdout);
	else if (line)
		print_person(p, line, len);
	if (line) {
		putchar('\n');
		p->lines++;
	}
	if (!line || p->flush)
		fflush(stdout);
	return ferror(stdout) ? -EPIPE : 0;
}

/* ---- from the service -------------------------------------------------------------------- */

struct remote {
	struct printer *printer;
	const struct eventlog_filter *filter;
};

/* Text of the log: as safe to print as when it comes from the file. */
static void print_message(void *ctx, json_t *msg)
{
	struct remote *r = ctx;
	const json_t *ev = json_object_get(msg, "event");
	const char *line = json_string_value(ev);
	size_t len = json_string_length(ev);

	if (!line || !eventlog_match(r->filter, line, len))
		return;
	if (r->printer->only_count) {
		r->printer->lines++;
		return;
	}
	/* nobody reads any more, and nothing else ends a call that follows */
	if (print_line(r->printer, line, len))
		exit(0);
}

static json_t *request(const struct eventlog_filter *f, bool follow)
{
	return json_pack("{s:s, s:I, s:I, s:b}", "op", "log", "sandbox", (json_int_t)f->sandbox,
			 "since", (json_int_t)f->since_ns, "follow", follow);
}

static int log_remote(const struct eventlog_filter *f, bool follow, struct printer *p)
{
	struct remote r = { .printer = p, .filter = f };
	int fd = control_connect(CONTROL_SOCKET), status = LAUNCH_FAILED, err;
	json_t *req, *answer = NULL;
	struct diag d = { 0 };

	if (fd < 0) {
		fprintf(stderr, "egressctl log: no service to ask (%s: %s); root can read %s\n",
			CONTROL_SOCKET, strerror(-fd), EVENTLOG_DIR);
		return LAUNCH_FAILED;
	}
	req = request(f, follow);
	err = req ? control_call(fd, req, NULL, 0, print_message, &r, &answer, &status, &d) :
		-ENOMEM;
	json_decref(req);
	json_decref(answer);
	close(fd);
	if (!err)
		return 0;
	if (d.err)
		diag_print(stderr, "egressctl log", &d);
	else
		fprintf(stderr, "egressctl log: the service ended the connection: %s\n",
			strerror(-err));
	return status ? status : LAUNCH_FAILED;
}

/* ---- from the file -------------------------------------------------------------------------- */

static int log_file(const struct log_options *o, const struct eventlog_filter *f, bool follow,
		    struct printer *p)
{
	_cleanup_free_ char *where = NULL;
	const char *dir = o->dir;
	struct diag d = {};
	int err;

	if (!dir)
		dir = where = config_log_dir(CONFIG_FILE, &d);
	if (d.err)
		diag_print(stderr, "egressctl log", &d);
	err = dir ? eventlog_read(dir, f, follow, print_line, p) : -ENOMEM;
	/* a reader that went away, as `head` does, is no error */
	if (err < 0 && err != -EPIPE)
		fprintf(stderr, "egressctl log: %s: %s\n", dir ? dir : "", strerror(-err));
	return err < 0 && err != -EPIPE ? LAUNCH_FAILED : 0;
}

/* ---- the command ------------------------------------------------------------------------- */

static int read_log(const struct log_options *o, const struct eventlog_filter *f, bool follow,
		    struct printer *p)
{
	if (!o->dir && geteuid() != 0)
		return log_remote(f, follow, p);
	return log_file(o, f, follow, p);
}

/* Nothing was printed of a number: there was nothing, or there is no such sandbox. */
static int check_known(const struct log_options *o)
{
	struct eventlog_filter any = { .sandbox = o->filter.sandbox, .owner = -1 };
	struct printer count = { .only_count = true };
	struct diag d = {};
	int ret = read_log(o, &any, false, &count);

	if (ret || count.lines)
		return ret;
	if (o->dir)
		(void)diag_set(&d, -ENOENT, "nothing of sandbox %" PRIu64 " is in %s",
			       any.sandbox, o->dir);
	else if (!client_unknown(any.sandbox, &d))
		return 0;
	diag_print(stderr, "egressctl log", &d);
	return 1;
}

int cmd_log(int argc, char **argv)
{
	struct log_options o = { .filter.owner = -1 };
	struct printer p = { 0 };
	int ret;

	if (parse_options(&o, argc, argv, &ret))
		return ret;
	ret = find_sandbox(&o);
	if (ret)
		return ret;
	p.json = o.json;
	p.theirs = o.dir;
	p.flush = o.follow && !o.dir && geteuid() != 0;
	if (o.filter.sandbox && o.follow)
		(void)check_known(&o); /* said; its first event may be to come */
	ret = read_log(&o, &o.filter, o.follow, &p);
	text_free(&p.text);
	if (!ret && !p.lines && o.filter.sandbox && !o.follow)
		ret = check_known(&o);
	if (fflush(stdout) && !ret)
		ret = LAUNCH_FAILED;
	return ret;
}
