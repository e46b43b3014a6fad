// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * egressctl log: violations that were, and with -f those to come. Root reads the
 * log file; everybody else asks the service, which gives a user what is theirs.
 */
#include <errno.h>
#include <getopt.h>
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

static const char usage[] =
	"usage: egressctl log [OPTION]... [SANDBOX]\n"
	"  -f, --follow        go on with events as they happen\n"
	"      --json          one JSON object a line, see egressctl-events(5)\n"
	"      --sandbox SANDBOX  of one: its number, or the name of a live one, or last\n"
	"      --op OPERATION  open, connect, socket, ... see egressctl-events(5)\n"
	"      --verdict WORD  denied, or audit: would have been denied\n"
	"      --since WHEN    90s, 15m, 2h, 7d, or a time as in the JSON: 2026-01-31T09:00:00Z\n"
	"      --until WHEN    the same; not with -f\n"
	"      --dir DIR       read the log in DIR, not where egressd writes it\n";

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

static int bad(const char *option, const char *value, const char *expected)
{
	char quoted[256];

	diag_escape(quoted, sizeof(quoted), value, strlen(value));
	fprintf(stderr, "egressctl log: %s: '%s' is not %s\n", option, quoted, expected);
	return LAUNCH_USAGE;
}

/* The nearest word of the format. */
static int bad_op(const char *word)
{
	const char *nearest = NULL;
	size_t least = SIZE_MAX;
	char expected[128];

	for (uint16_t op = 1; op < EG_OP_MAX; op++) {
		size_t far = ref_distance(word, event_op_name(op));

		if (far >= least)
			continue;
		least = far;
		nearest = event_op_name(op);
	}
	(void)snprintf(expected, sizeof(expected), "an operation; the nearest is %s (see "
		       "egressctl-events(5))", nearest);
	return bad("--op", word, expected);
}

static int parse_option(struct log_options *o, int c)
{
	switch (c) {
	case 'f':
		o->follow = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 's':
		o->sandbox = optarg;
		return 0;
	case 'v':
		if (!str_eq(optarg, "denied") && !str_eq(optarg, "audit"))
			return bad("--verdict", optarg, "denied or audit");
		o->filter.verdict = (uint8_t)event_verdict_from_name(optarg);
		return 0;
	case 'o':
		o->filter.op = event_op_from_name(optarg);
		if (o->filter.op <= 0)
			return bad_op(optarg);
		return 0;
	case 't':
	case 'u':
		if (parse_when(optarg, c == 't' ? &o->filter.since_ns : &o->filter.until_ns))
			return bad(c == 't' ? "--since" : "--until", optarg,
				   "a time ago (90s, 15m, 2h, 7d) or a time "
				   "(2026-01-31T09:00:00Z)");
		return 0;
	case 'd':
		o->dir = optarg;
		return 0;
	case 'h':
		fputs(usage, stdout);
		return -1; /* done */
	default:
		fputs(usage, stderr);
		return LAUNCH_USAGE;
	}
}

static int parse_options(struct log_options *o, int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "sandbox", required_argument, NULL, 's' },
		{ "op", required_argument, NULL, 'o' },
		{ "verdict", required_argument, NULL, 'v' },
		{ "since", required_argument, NULL, 't' },
		{ "until", required_argument, NULL, 'u' },
		{ "dir", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, ret;

	optind = 0; /* egressctl itself parsed options before */
	while ((c = getopt_long(argc, argv, "fh", longopts, NULL)) != -1) {
		ret = parse_option(o, c);
		if (ret)
			return ret;
	}
	if (optind < argc && !o->sandbox)
		o->sandbox = argv[optind++];
	if (optind < argc || (o->follow && o->filter.until_ns)) {
		fputs(usage, stderr);
		return LAUNCH_USAGE;
	}
	return 0;
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
		return bad("SANDBOX", o->sandbox,
			   "the number or name of a sandbox (see egressctl ps)");
	status = client_call(request, &answer);
	json_decref(request);
	if (!status)
		o->filter.sandbox = (uint64_t)client_number(answer, "sandbox");
	json_decref(answer);
	return status;
}

/* ---- output --------------------------------------------------------------------------- */

struct printer {
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

	if (line && p->json && p->theirs)
		print_dumped(p, line, len);
	else if (line && p->json)
		fwrite(line, 1, len, stdout);
	else if (line)
		print_person(p, line, len);
	if (line)
		putchar('\n');
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
	/* nobody reads any more, and nothing else ends a call that follows */
	if (print_line(r->printer, line, len))
		exit(0);
}

static json_t *request(const struct log_options *o)
{
	return json_pack("{s:s, s:I, s:I, s:b}", "op", "log", "sandbox",
			 (json_int_t)o->filter.sandbox, "since", (json_int_t)o->filter.since_ns,
			 "follow", o->follow);
}

static int log_remote(const struct log_options *o, struct printer *p)
{
	struct remote r = { .printer = p, .filter = &o->filter };
	int fd = control_connect(CONTROL_SOCKET), status = LAUNCH_FAILED, err;
	json_t *req, *answer = NULL;
	struct diag d = { 0 };

	if (fd < 0) {
		fprintf(stderr, "egressctl log: no service to ask (%s: %s); root can read %s\n",
			CONTROL_SOCKET, strerror(-fd), EVENTLOG_DIR);
		return LAUNCH_FAILED;
	}
	req = request(o);
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

static int log_file(const struct log_options *o, struct printer *p)
{
	struct config c = {};
	struct diag d = {};
	const char *dir;
	int err;

	/* where egressd writes; with a file that is not good it would not have started */
	if (!o->dir && config_load(CONFIG_FILE, &c, &d) && d.err)
		diag_print(stderr, "egressctl log", &d);
	dir = o->dir ? o->dir : c.log_dir ? c.log_dir : EVENTLOG_DIR;
	err = eventlog_read(dir, &o->filter, o->follow, print_line, p);
	if (err && err != -EPIPE) /* a reader that went away, as `head` does, is no error */
		fprintf(stderr, "egressctl log: %s: %s\n", dir, strerror(-err));
	config_clear(&c);
	return err && err != -EPIPE ? LAUNCH_FAILED : 0;
}

int cmd_log(int argc, char **argv)
{
	struct log_options o = { .filter.owner = -1 };
	struct printer p = { 0 };
	bool remote;
	int ret = parse_options(&o, argc, argv);

	if (!ret)
		ret = find_sandbox(&o);
	if (ret)
		return ret < 0 ? 0 : ret;
	p.json = o.json;
	p.theirs = o.dir;
	remote = !o.dir && geteuid() != 0;
	p.flush = o.follow && remote;
	ret = remote ? log_remote(&o, &p) : log_file(&o, &p);
	text_free(&p.text);
	if (fflush(stdout) && !ret)
		ret = LAUNCH_FAILED;
	return ret;
}
