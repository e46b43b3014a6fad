/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * egressctl explain, outside: any event that the caller may see. egressctl why,
 * inside: the sandbox's own last denials, from the file that $EGRESSCTL_DENIALS names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allow_save.h"
#include "commands.h"
#include "control.h"
#include "denials.h"
#include "diag.h"
#include "event_text.h"
#include "explain.h"
#include "launch.h"
#include "options.h"
#include "print.h"
#include "ref.h"
#include "task_check.h"
#include "util.h"

#define NO 1 /* exit status: there is no such event */
#define WHY_DEFAULT 3u
#define WHY_MAX 1000u

static const struct option_row rows[] = {
	{ "--json", NULL, "JSON objects, one a line: see egressctl-events(5)",
	  .kind = OPTION_FLAG },
	{}
};

static const struct command_line explain_line = {
	.name = "egressctl explain",
	.args = "[--json] [EVENT | -]",
	.about = "What was tried and by whom, which rule refused it, whether it looks like an\n"
		 "attack or like a missing allowance, and every way to allow it. EVENT is\n"
		 "SANDBOX.SEQ as in `egressctl log`, or last (default: your newest one); - reads\n"
		 "a JSON line of `egressctl log --json` from standard input.\n",
	.options = rows,
	.end = "Exit status: 0 explained, 1 no such event, 2 bad usage or no event, 125 failed.\n",
	.max = 1,
};

static const struct command_line why_line = {
	.name = "egressctl why",
	.args = "[--json] [N]",
	.about = "For a program in a sandbox: what was refused to it last, by which rule, and\n"
		 "what would allow it; the newest last. N is how many (default: 3).\n",
	.options = rows,
	.end = "Exit status: 0 printed, 1 nothing was refused, 2 bad usage, 125 not in a\n"
	       "sandbox, or in one that was entered or attached: see egressctl explain.\n",
	.max = 1,
};

/* ---- printing -------------------------------------------------------------------------- */

static int out_of_memory(void)
{
	fputs("egressctl: out of memory\n", stderr);
	return LAUNCH_FAILED;
}

static int print_event(const struct event_parsed *e, enum explain_for whom, bool json)
{
	struct text t = { 0 };
	int err = 0;

	if (json) {
		json_t *j = explain_json(e, whom);

		err = print_json(stdout, j, JSON_COMPACT);
		json_decref(j);
	} else {
		err = explain_text(e, whom, &t);
		if (!err)
			puts(t.p);
	}
	text_free(&t);
	return err ? out_of_memory() : 0;
}

/* Exit status 2: it is no event. */
static int print_line(const char *line, size_t len, enum explain_for whom, bool json)
{
	struct event_parsed e;
	int err = event_from_json(line, len, &e), status;

	if (err == -ENOMEM)
		return out_of_memory();
	if (err) {
		fputs("egressctl explain: this is no event: expected a line of egressctl log "
		      "--json\n",
		      stderr);
		return LAUNCH_USAGE;
	}
	status = print_event(&e, whom, json);
	event_parsed_free(&e);
	return status;
}

/* ---- explain --------------------------------------------------------------------------- */

static int explain_stdin(bool json)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len = getline(&line, &size, stdin);
	int status;

	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	/* nobody said whether its sandbox is still there: the line itself is believed */
	status = print_line(line ? line : "", len > 0 ? (size_t)len : 0, EXPLAIN_LIVE, json);
	free(line);
	return status;
}

/* Is there a file that `allow --save` would write to, for this operator? */
static enum explain_for whom_of(const json_t *answer)
{
	const json_t *files = json_array_get(json_object_get(answer, "files"), 0);
	struct save_target t = {};

	if (!json_is_true(json_object_get(answer, "live")))
		return EXPLAIN_ENDED;
	if (!files || save_target_find(files, &t, NULL))
		return EXPLAIN_UNSAVED;
	save_target_clear(&t);
	return EXPLAIN_LIVE;
}

static int explain_asked(const char *ref, bool json)
{
	json_t *request, *answer = NULL;
	int status = LAUNCH_FAILED, err, fd;
	struct diag d = { 0 };
	const json_t *event;

	fd = control_connect(CONTROL_SOCKET);
	if (fd < 0) {
		fprintf(stderr, "egressctl explain: no service to ask (%s: %s); a line of the log "
			"can be explained with: egressctl explain -\n", CONTROL_SOCKET,
			strerror(-fd));
		return LAUNCH_FAILED;
	}
	request = json_pack("{s:s, s:s}", "op", "explain", "ref", ref);
	err = request ? control_call(fd, request, NULL, 0, NULL, NULL, &answer, &status, &d) :
			-ENOMEM;
	json_decref(request);
	close(fd);
	if (err) {
		diag_print(stderr, "egressctl explain", &d);
		return status;
	}
	event = json_object_get(answer, "line");
	status = print_line(json_string_value(event) ? json_string_value(event) : "",
			    json_string_length(event), whom_of(answer), json);
	json_decref(answer);
	return status;
}

int cmd_explain(int argc, char **argv)
{
	uint64_t sandbox, seq;
	bool json = false;
	const char *ref;
	int status;

	if (options_done(&explain_line, &json, &argc, &argv, &status))
		return status;
	ref = argc ? argv[0] : REF_LAST;
	if (str_eq(ref, "-"))
		return explain_stdin(json);
	if (ref_parse_event(ref, &sandbox, &seq))
		return options_bad(&explain_line, "'%s' is no event: expected SANDBOX.SEQ as in "
				   "egressctl log (7.12), last, or -", ref);
	return explain_asked(ref, json);
}

/* ---- why ------------------------------------------------------------------------------- */

static char *read_denials(const char *path, size_t *len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *buf = malloc(2 * DENIALS_MAX);
	struct stat st;
	ssize_t n = -1;

	*len = 0;
	if (fd < 0 || !buf || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		free(buf);
		return NULL;
	}
	while (*len < 2 * DENIALS_MAX && (n = read(fd, buf + *len, 2 * DENIALS_MAX - *len)) > 0)
		*len += (size_t)n;
	if (n < 0) {
		free(buf);
		return NULL;
	}
	return buf;
}

/* The last `n` events; lines that are none (how many were dropped) do not count. */
static unsigned int last_events(char *buf, size_t len, unsigned int n, const char **lines)
{
	size_t end = len;
	unsigned int found = 0;

	while (end && buf[end - 1] != '\n')
		end--; /* one that is being written */
	while (end && found < n) {
		const char *nl = memrchr(buf, '\n', end - 1);
		size_t start = nl ? (size_t)(nl - buf) + 1 : 0;
		struct event_parsed e;

		buf[end - 1] = '\0';
		if (!event_from_json(buf + start, end - 1 - start, &e)) {
			if (!e.ev.end)
				lines[found++] = buf + start;
			event_parsed_free(&e);
		}
		end = start;
	}
	return found;
}

static int why(const char *path, unsigned int n, bool json)
{
	const char *lines[WHY_MAX];
	unsigned int found;
	int status = 0;
	size_t len;
	char *buf;

	buf = read_denials(path, &len);
	if (!buf) {
		fprintf(stderr, "egressctl why: cannot read $EGRESSCTL_DENIALS: %s\n",
			errno ? strerror(errno) : "no file");
		return LAUNCH_FAILED;
	}
	found = last_events(buf, len, n, lines);
	for (unsigned int i = found; i-- > 0 && !status;) {
		status = print_line(lines[i], strlen(lines[i]), EXPLAIN_INSIDE, json);
		if (i && !json && !status)
			putchar('\n');
	}
	free(buf);
	if (found || status)
		return status;
	fputs("nothing was refused in this sandbox\n", json ? stderr : stdout);
	return NO;
}

/* A run is told where its denials are. Who was there before has the environment it had. */
static int why_not(void)
{
	if (task_self_in_sandbox())
		fputs("egressctl why: $EGRESSCTL_DENIALS is not set in this sandbox, as in each "
		      "that was entered: what it is refused is shown outside, by egressctl "
		      "explain\n", stderr);
	else
		fputs("egressctl why: $EGRESSCTL_DENIALS is not set: this is no sandbox, or one "
		      "that was attached (outside: egressctl explain)\n", stderr);
	return LAUNCH_FAILED;
}

int cmd_why(int argc, char **argv)
{
	const char *path = getenv("EGRESSCTL_DENIALS");
	uint64_t n = WHY_DEFAULT;
	bool json = false;
	int status;

	if (options_done(&why_line, &json, &argc, &argv, &status))
		return status;
	if (argc && parse_u64(argv[0], 1, WHY_MAX, &n))
		return options_bad(&why_line, "how many? expected a number from 1 to %u", WHY_MAX);
	if (!path || !*path)
		return why_not();
	return why(path, (unsigned int)n, json);
}
