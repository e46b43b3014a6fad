/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The launcher's side of a run. The child is forked first and waits; the server
 * puts it into the sandbox; only then it closes descriptors, scrubs its
 * environment and executes the command. So not one instruction of the command
 * runs outside, and what the child does before that is this file.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allow.h"
#include "control.h"
#include "diag.h"
#include "launch.h"
#include "launch_int.h"
#include "policy_send.h"
#include "print.h"
#include "util.h"

static void say(const struct diag *d)
{
	diag_print(stderr, program_invocation_short_name, d);
}

/* ---- the request ---------------------------------------------------------------------- */

static json_t *strings(const char *const *list, size_t n)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		(void)json_array_append_new(a, json_string(list[i]));
	return a;
}

static const char *temp_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && dir[0] == '/' ? dir : "/tmp";
}

/* With --allow: one policy made here, which extends those asked for. */
static int add_allowed(json_t *r, const struct launch *l, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	json_t *t;
	int err;

	err = allow_policy(l->policies, l->npolicies, l->allows, l->nallows, &text, d);
	if (err)
		return err;
	t = json_pack("{s:s, s:s, s:s}", "name", ALLOW_NAME, "path", ALLOW_NAME, "text", text);
	if (!t || json_array_append_new(json_object_get(r, "texts"), t) ||
	    json_object_set_new(r, "policies", json_pack("[s]", ALLOW_NAME)))
		return diag_set(d, -ENOMEM, "out of memory");
	return 0;
}

/* The texts of the policies; what they extend is asked for by the server. */
static int add_texts(json_t *r, const struct launch *l, struct diag *d)
{
	int err = 0;

	if (l->nallows)
		return add_allowed(r, l, d);
	for (size_t i = 0; !err && i < l->npolicies; i++)
		err = policy_send_add(json_object_get(r, "texts"), l->policies[i], NULL, d);
	return err;
}

static json_t *make_request(const struct launch *l, struct diag *d)
{
	const char *events = l->json ? "json" : l->verbose ? "line" : NULL;
	json_t *r = json_pack("{s:s, s:o, s:[], s:s, s:b, s:b, s:o, s:o}", "op", "run", "policies",
			      strings(l->policies, l->npolicies), "texts", "tmpdir", temp_dir(),
			      "audit", l->audit, "fail_fast", l->fail_fast, "limits",
			      strings(l->limits, l->nlimits), "ttys", launch_ttys());

	if (!r)
		goto fail;
	if ((l->name && json_object_set_new(r, "name", json_string(l->name))) ||
	    (events && json_object_set_new(r, "events", json_string(events))) ||
	    (l->egress_only && json_object_set_new(r, "egress_only", json_true())) ||
	    (l->without_lsm &&
	     json_object_set_new(r, "without_lsm", json_string(l->without_lsm))) ||
	    ((l->trace || l->report) && json_object_set_new(r, "trace", json_true())) ||
	    (l->drop && json_object_set_new(r, "uid", json_integer(l->uid))))
		goto fail;
	if (add_texts(r, l, d)) {
		json_decref(r);
		return NULL;
	}
	return r;
fail:
	json_decref(r);
	(void)diag_set(d, -EINVAL, "arguments must be UTF-8");
	return NULL;
}

/*
 * Get the child into a sandbox. 0, the server's answer and *ruleset (-1: none), or an exit
 * status.
 */
static int ask(const struct launch *l, int control, int child, json_t **answer, int *ruleset)
{
	struct control_more more = { .file = -1 };
	struct diag d = {};
	json_t *request = make_request(l, &d);
	int status = LAUNCH_USAGE, err = -EINVAL;
	size_t nfds = 1;

	while (request) {
		json_t *need;

		err = control_call_more(control, request, &child, nfds, NULL, NULL, answer, &more,
					&status, &d);
		need = err ? NULL : json_object_get(*answer, "need");
		if (!need)
			break;
		nfds = 0; /* the server has it */
		status = LAUNCH_USAGE;
		err = policy_send_needed(request, need, &d);
		json_decref(*answer);
		if (err)
			break;
	}
	json_decref(request);
	*ruleset = more.file;
	if (err) {
		say(&d);
		launch_print_unheld(l, json_object_get(more.refusal, "unheld"));
		json_decref(more.refusal);
	}
	return err ? status : 0;
}

/* ---- the run ----------------------------------------------------------------------------- */

/*
 * Why the command could not be executed, as the child reported it: nothing when
 * the pipe closed with the execution.
 */
static int exec_failure(int report, const char *command)
{
	struct launch_failure f = {};
	struct diag d = {};

	if (launch_read_report(report, &f))
		return 0;
	if (f.what[0])
		(void)diag_set(&d, -f.err, "%s: %s", f.what, strerror(f.err));
	else if (f.err == ENOENT)
		(void)diag_set(&d, -f.err, "%s: command not found", command);
	else
		(void)diag_set(&d, -f.err, "%s: cannot execute: %s", command, strerror(f.err));
	say(&d);
	return f.status;
}

static void print_notices(const struct launch *l, const json_t *answer)
{
	const json_t *notices = json_object_get(answer, "notices"), *n;
	size_t i;

	if (!l->verbose)
		return;
	json_array_foreach(notices, i, n) {
		fprintf(stderr, "%s: ", program_invocation_short_name);
		print_safe(stderr, json_string_value(n));
		fputc('\n', stderr);
	}
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* One line when something was refused; nothing to say otherwise. */
static void print_summary(const struct launch *l, json_int_t sandbox, bool audit,
			  const json_t *end)
{
	json_int_t denied = number(end, "denied"), lost = number(end, "lost");
	const char *me = program_invocation_short_name;
	const char *note = json_string_value(json_object_get(end, "note"));

	if (l->json) {
		json_t *o = json_deep_copy(end);

		(void)json_object_set_new(o, "sandbox", json_integer(sandbox));
		(void)json_object_set_new(o, "summary", json_true());
		(void)print_json(stderr, o, JSON_COMPACT | JSON_ENCODE_ANY);
		json_decref(o);
		return;
	}
	if (note) {
		fprintf(stderr, "%s: ", me);
		print_safe(stderr, note);
		fputc('\n', stderr);
	}
	if (!denied)
		return;
	fprintf(stderr, "%s: %lld access%s %s", me, (long long)denied,
		denied == 1 ? "" : "es", audit ? "would have been refused" : "refused");
	if (lost)
		fprintf(stderr, " (%lld not recorded)", (long long)lost);
	fprintf(stderr, "; see: egressctl log --sandbox %lld\n", (long long)sandbox);
}

/*
 * Killed the way the command was, so that the shell sees the same: but without
 * writing a core file of the launcher.
 */
static int die_of(int sig)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t set;

	launch_no_core();
	(void)sigaction(sig, &dfl, NULL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(sig);
	return 128 + sig; /* a signal that does not end a process */
}

static void end_run(const struct launch *l, int control, json_int_t sandbox, bool audit,
		    int status)
{
	json_t *request = json_pack("{s:s, s:I}", "op", "end", "sandbox", sandbox);
	_cleanup_close_ int again = -1;
	json_t *answer = NULL;
	struct diag d = {};

	/*
	 * With egressd gone the rules stayed in force. A new one knows the run; if
	 * there is none yet, it cleans up when it starts.
	 */
	if (control < 0 && !l->server_is_ours)
		control = again = control_connect(CONTROL_SOCKET);
	if (control >= 0 && !control_call(control, request, NULL, 0, launch_print_event, NULL,
					  &answer, NULL, &d) && !l->quiet)
		print_summary(l, sandbox, audit, answer);
	if (l->after)
		l->after(l->after_ctx, answer ? control : -1, (uint64_t)sandbox, status);
	json_decref(request);
	json_decref(answer);
}

/* Let the child go and see it to its end. Returns the exit status or -signal. */
static int supervise(const struct launch *l, struct launch_child *c, int *control,
		     json_t *answer, int ruleset)
{
	int status, failed;

	status = launch_go(c, json_object_get(answer, "env"),
			   json_integer_value(json_object_get(answer, "sandbox")), ruleset);
	if (status) {
		kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
		fprintf(stderr, "%s: the command's process ended early\n",
			program_invocation_short_name);
		return LAUNCH_FAILED;
	}
	failed = exec_failure(c->report, l->argv[0]);
	status = launch_wait(c, control);
	return failed ? failed : status;
}

/* Killed before it ran anything. */
static int give_up(struct launch_child *c, int status)
{
	kill(c->pid, SIGKILL);
	(void)waitpid(c->pid, NULL, 0);
	return status;
}

/* What of the policy is not in force, before the command starts. */
static int tell_unheld(const struct launch *l, const json_t *answer, int ruleset)
{
	const json_t *landlock = json_object_get(answer, "landlock");

	if (l->egress_only || json_is_true(json_object_get(answer, "no_paths")))
		fprintf(stderr, "%s: %s: rules for files and unix sockets are not enforced\n",
			program_invocation_short_name,
			l->egress_only ? "--egress-only" : "no BPF LSM in this kernel");
	if (!landlock)
		return 0;
	if (ruleset < 0 || l->new_privs) {
		fprintf(stderr, "%s: %s\n", program_invocation_short_name,
			ruleset < 0 ? "the server sent no Landlock ruleset" :
				      "--new-privileges: Landlock holds only programs that gain "
				      "none");
		return LAUNCH_FAILED;
	}
	if (!l->json)
		fprintf(stderr, "%s: no BPF LSM in this kernel: Landlock (ABI %lld) holds rules "
				"for paths, but for these\n",
			program_invocation_short_name,
			(long long)json_integer_value(json_object_get(landlock, "abi")));
	launch_print_unheld(l, json_object_get(landlock, "unheld"));
	return 0;
}

/* The exit status, or minus the signal that ended the command. */
static int run(const struct launch *l, int *control)
{
	json_t *answer = NULL;
	_cleanup_close_ int ruleset = -1;
	struct launch_child c;
	struct diag d = {};
	json_int_t sandbox;
	int status;
	bool audit;

	if (launch_check_fds(l, &d) || launch_fork(l, *control, &c, &d)) {
		say(&d);
		return LAUNCH_FAILED;
	}
	status = ask(l, *control, c.pidfd, &answer, &ruleset);
	if (status)
		return give_up(&c, status);
	status = tell_unheld(l, answer, ruleset);
	if (status) {
		json_decref(answer);
		return give_up(&c, status);
	}
	print_notices(l, answer);
	sandbox = number(answer, "sandbox");
	audit = json_is_true(json_object_get(answer, "audit"));
	status = supervise(l, &c, control, answer, ruleset);
	json_decref(answer);
	end_run(l, *control, sandbox, audit, status);
	return status;
}

int launch_run(const struct launch *l, int control)
{
	int status = run(l, &control);

	if (control >= 0)
		close(control);
	if (l->cleanup)
		l->cleanup(l->cleanup_ctx);
	return status < 0 ? die_of(-status) : status;
}
