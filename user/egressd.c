/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * egressd: the service. Holds the agent, serves the control socket, writes the
 * event log. See egressd(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "control.h"
#include "diag.h"
#include "eventlog.h"
#include "state.h"
#include "util.h"

#define MAX_PER_UID 64u
#define MAX_CONNECTIONS 1024u

struct options {
	struct agent_options agent;
	struct server_options server;
	bool keep; /* a clean stop leaves sandboxes running */
	bool help;
};

static const char usage[] =
	"Usage: egressd [OPTION]...\n\n"
	"  --group GROUP        who may use the control socket (default: every user)\n"
	"  --max-sandboxes N    live sandboxes of one user (default: 64)\n"
	"  --log-dir DIR        where events are written (default: " EVENTLOG_DIR ")\n"
	"  --keep               leave sandboxes running and enforced when stopped\n"
	"  --egress-only        enforce network rules alone, without BPF LSM\n"
	"  -v, --verbose        print libbpf's messages\n";

static int parse_group(struct options *o, const char *name, struct diag *d)
{
	const struct group *g = getgrnam(name);

	if (!g)
		return diag_set(d, -EINVAL, "--group: '%s' is not a group of this host", name);
	o->server.socket_group = g->gr_gid;
	o->server.socket_mode = 0660;
	return 0;
}

static int parse_options(struct options *o, int argc, char **argv, struct diag *d)
{
	static const struct option longopts[] = {
		{ "group", required_argument, NULL, 'g' },
		{ "max-sandboxes", required_argument, NULL, 'm' },
		{ "log-dir", required_argument, NULL, 'l' },
		{ "keep", no_argument, NULL, 'k' },
		{ "egress-only", no_argument, NULL, 'e' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	uint64_t n;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "vh", longopts, NULL)) != -1) {
		switch (c) {
		case 'g':
			if (parse_group(o, optarg, d))
				return d->err;
			break;
		case 'm':
			if (parse_u64(optarg, 1, 4096, &n))
				return diag_set(d, -EINVAL, "--max-sandboxes: '%s' is not a number "
							    "from 1 to 4096", optarg);
			o->server.max_per_uid = n;
			break;
		case 'l':
			o->server.log_dir = optarg;
			break;
		case 'k':
			o->keep = true;
			break;
		case 'e':
			o->agent.egress_only = true;
			break;
		case 'v':
			o->agent.verbose = true;
			break;
		case 'h':
			o->help = true;
			return 0;
		default:
			return diag_set(d, -EINVAL, "unknown option '%s', or its value is missing: "
						    "try --help", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return diag_set(d, -EINVAL, "unexpected argument '%s'", argv[optind]);
	return 0;
}

/* Only one instance may adopt the pins and own the socket. */
static int take_lock(struct diag *d)
{
	_cleanup_close_ int dir = state_open(d);
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, "egressd.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return diag_set(d, -errno, "cannot open %s/egressd.lock: %s", STATE_DIR,
				strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return diag_set(d, -EBUSY, "another egressd is running");
	}
	return fd;
}

static int on_stop(sd_event_source *src, const struct signalfd_siginfo *si, void *ctx)
{
	(void)si;
	(void)ctx;
	return sd_event_exit(sd_event_source_get_event(src), 0);
}

static int watch_signals(sd_event *loop, struct diag *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sd_event_add_signal(loop, NULL, SIGTERM, on_stop, NULL) < 0 ||
	    sd_event_add_signal(loop, NULL, SIGINT, on_stop, NULL) < 0)
		return diag_set(d, -ENOMEM, "cannot watch signals");
	return 0;
}

/* Until told to stop. */
static int serve(const struct options *o, struct agent *a, struct diag *d)
{
	struct server *s = NULL;
	sd_event *loop = NULL;
	int err;

	if (sd_event_new(&loop) < 0)
		return diag_set(d, -ENOMEM, "out of memory");
	err = watch_signals(loop, d);
	if (!err)
		err = server_new(loop, a, &o->server, &s, d);
	if (!err) {
		(void)sd_event_set_watchdog(loop, 1); /* only when systemd asks for it */
		(void)sd_notify(0, "READY=1\nSTATUS=serving");
		err = sd_event_loop(loop);
		(void)sd_notify(0, "STOPPING=1");
		if (!o->keep)
			server_kill_all(s);
	}
	server_free(s);
	sd_event_unref(loop);
	return err;
}

int main(int argc, char **argv)
{
	struct options o = {
		.agent = { .name = AGENT_NAME_SERVICE, .adopt = true },
		.server = { .socket = CONTROL_SOCKET,
			    .log_dir = EVENTLOG_DIR,
			    .socket_mode = 0666,
			    .socket_group = (gid_t)-1,
			    .max_per_uid = MAX_PER_UID,
			    .max_connections = MAX_CONNECTIONS },
	};
	_cleanup_close_ int lock = -1;
	struct agent *a = NULL;
	struct diag d = {};
	int err;

	err = parse_options(&o, argc, argv, &d);
	if (o.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (err) {
		diag_print(stderr, "egressd", &d);
		return 2;
	}
	err = geteuid() ? diag_set(&d, -EPERM, "root is needed") : 0;
	if (!err) {
		lock = take_lock(&d);
		err = lock < 0 ? lock : 0;
	}
	if (!err) {
		sweep_dead_runs();
		err = agent_open(&o.agent, &a, &d);
	}
	if (!err) {
		err = serve(&o, a, &d);
		/* only when every sandbox has ended nothing is left to be enforced */
		agent_close(a, err || o.keep || agent_in_use(a) ? 0 : AGENT_REMOVE);
	}
	if (err)
		diag_print(stderr, "egressd", &d);
	return err ? 1 : 0;
}
