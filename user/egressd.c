/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * egressd: the service. Holds the agent, serves the control socket, writes the
 * event log. See egressd(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "config.h"
#include "control.h"
#include "diag.h"
#include "eventlog.h"
#include "host.h"
#include "policy_apart.h"
#include "run_agent.h"
#include "state.h"
#include "util.h"

#define MAX_CONNECTIONS 1024u

/* What the command line says, which goes before what the file says. */
struct options {
	struct agent_options agent;
	const char *file; /* NULL: CONFIG_FILE, if there is one */
	const char *group, *log_dir;
	uint32_t max_per_uid; /* 0: not given */
	bool keep, stay_loaded;
	bool for_run; /* for one egressctl run, and not the service */
	enum without_lsm without; /* then */
	bool help;
};

struct service {
	struct options o;
	struct server_options server;
	struct config *config; /* in force */
	struct server *s;
	bool replaced; /* stopped by SIGUSR1: another one follows */
};

static const char usage[] =
	"Usage: egressd [OPTION]...\n\n"
	"  --config FILE        settings (default: " CONFIG_FILE ", if it exists);\n"
	"                       the options below go before it\n"
	"  --group GROUP        who may use the control socket (default: every user)\n"
	"  --max-sandboxes N    live sandboxes of one user (default: 64)\n"
	"  --log-dir DIR        where events are written (default: " EVENTLOG_DIR ")\n"
	"  --keep               leave sandboxes running and enforced when stopped\n"
	"  --stay-loaded        leave the BPF programs loaded when stopped, for a quick start;\n"
	"                       egressctl uninstall removes them\n"
	"  --egress-only        enforce network rules alone, without BPF LSM\n"
	"  --for-run MODE       serve one run of egressctl's, which starts this itself; MODE:\n"
	"                       what to do without BPF LSM\n"
	"  -v, --verbose        print libbpf's messages\n\n"
	"SIGHUP reads the settings again. SIGUSR1 stops it as with --keep: for the next one.\n";

static int parse_option(struct options *o, int c, struct diag *d)
{
	uint64_t n;

	switch (c) {
	case 'c':
		o->file = optarg;
		return 0;
	case 'g':
		if (!getgrnam(optarg))
			return diag_set(d, -EINVAL, "--group: '%s' is not a group of this host",
					optarg);
		o->group = optarg;
		return 0;
	case 'm':
		if (parse_u64(optarg, 1, CONFIG_PER_UID_MAX, &n))
			return diag_set(d, -EINVAL, "--max-sandboxes: '%s' is not a number from "
						    "1 to %u", optarg, CONFIG_PER_UID_MAX);
		o->max_per_uid = (uint32_t)n;
		return 0;
	case 'l':
		o->log_dir = optarg;
		return 0;
	case 'k':
		o->keep = true;
		return 0;
	case 's':
		o->stay_loaded = true;
		return 0;
	case 'e':
		o->agent.egress_only = true;
		return 0;
	case 'r':
		o->for_run = true;
		if (without_lsm_parse(optarg, &o->without))
			return diag_set(d, -EINVAL, "--for-run: '%s' is not " WITHOUT_LSM_WORDS,
					optarg);
		return 0;
	default:
		o->agent.verbose = true;
		return 0;
	}
}

static int parse_options(struct options *o, int argc, char **argv, struct diag *d)
{
	static const struct option longopts[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "group", required_argument, NULL, 'g' },
		{ "max-sandboxes", required_argument, NULL, 'm' },
		{ "log-dir", required_argument, NULL, 'l' },
		{ "keep", no_argument, NULL, 'k' },
		{ "stay-loaded", no_argument, NULL, 's' },
		{ "egress-only", no_argument, NULL, 'e' },
		{ "for-run", required_argument, NULL, 'r' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "vh", longopts, NULL)) != -1) {
		if (c == 'h') {
			o->help = true;
			return 0;
		}
		if (c == '?')
			return diag_set(d, -EINVAL, "unknown option '%s', or its value is missing: "
						    "try --help", argv[optind - 1]);
		if (parse_option(o, c, d))
			return d->err;
	}
	if (optind < argc)
		return diag_set(d, -EINVAL, "unexpected argument '%s'", argv[optind]);
	return 0;
}

/* ---- settings ------------------------------------------------------------------------- */

static int override(const struct options *o, struct config *c)
{
	struct {
		const char *from;
		char **to;
	} texts[] = { { o->group, &c->group }, { o->log_dir, &c->log_dir } };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!texts[i].from)
			continue;
		free(*texts[i].to);
		*texts[i].to = strdup(texts[i].from);
		if (!*texts[i].to)
			return -ENOMEM;
	}
	if (o->max_per_uid)
		c->max_per_uid = o->max_per_uid;
	c->keep = c->keep || o->keep;
	return 0;
}

static void config_free(struct config *c)
{
	if (c)
		config_clear(c);
	free(c);
}

/* The file, or its absence, and the options over it. */
static struct config *read_config(const struct options *o, struct diag *d)
{
	struct config *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		(void)diag_set(d, -ENOMEM, "out of memory");
		return NULL;
	}
	err = config_load(o->file ? o->file : CONFIG_FILE, c, d);
	if (err == -ENOENT && o->file)
		(void)diag_at(d, err, o->file, 0, 0, "no such file");
	else if (err == -ENOENT)
		err = 0;
	if (!err && override(o, c))
		err = diag_set(d, -ENOMEM, "out of memory");
	if (!err)
		return c;
	config_free(c);
	return NULL;
}

static void say_serving(const struct service *v)
{
	struct diag d = {};

	if (server_canary_refuses(v->s, &d))
		(void)sd_notifyf(0, "READY=1\nSTATUS=%s", d.msg);
	else
		(void)sd_notifyf(0, "READY=1\nSTATUS=serving, settings from %s",
				 v->config->file ? v->config->file : "nowhere: the defaults");
}

/* All of the new file holds from here on, or nothing of it. */
static int on_reload(sd_event_source *src, const struct signalfd_siginfo *si, void *ctx)
{
	struct service *v = ctx;
	struct config *now, *was = v->config;
	struct timespec ts = {};
	struct diag d = {};

	(void)src;
	(void)si;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading settings",
			 (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	now = read_config(&v->o, &d);
	if (now && !server_reload(v->s, now, &d)) {
		v->config = now;
		config_free(was);
		fprintf(stderr, "egressd: settings read again from %s\n",
			now->file ? now->file : "nowhere: the defaults");
		say_serving(v);
		return 0;
	}
	config_free(now);
	server_reload_failed(v->s);
	diag_print(stderr, "egressd", &d);
	fprintf(stderr, "egressd: not reloaded: the settings before go on\n");
	(void)sd_notify(0, "READY=1\nSTATUS=serving; the settings were not reloaded: see the "
			   "journal");
	return 0;
}

/* Only one instance may adopt the pins and own the socket. */
static int take_lock(struct diag *d)
{
	_cleanup_close_ int dir = state_open(d);
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, STATE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return diag_set(d, -errno, "cannot open %s/%s: %s", STATE_DIR, STATE_LOCK,
				strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return diag_set(d, -EBUSY, "another egressd is running");
	}
	return fd;
}

static int on_stop(sd_event_source *src, const struct signalfd_siginfo *si, void *ctx)
{
	struct service *v = ctx;

	v->replaced = si->ssi_signo == SIGUSR1;
	return sd_event_exit(sd_event_source_get_event(src), 0);
}

/* A restart is no reason to end what runs, whatever a stop is: the next egressd takes it over. */
static bool keeps(const struct service *v)
{
	return v->config->keep || v->replaced;
}

/* What the loop takes: before anything takes long, so that a SIGHUP that comes early waits. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static int watch_signals(struct service *v, sd_event *loop, struct diag *d)
{
	if (sd_event_add_signal(loop, NULL, SIGTERM, on_stop, v) < 0 ||
	    sd_event_add_signal(loop, NULL, SIGINT, on_stop, v) < 0 ||
	    sd_event_add_signal(loop, NULL, SIGUSR1, on_stop, v) < 0 ||
	    sd_event_add_signal(loop, NULL, SIGHUP, on_reload, v) < 0)
		return diag_set(d, -ENOMEM, "cannot watch signals");
	return 0;
}

/* Until told to stop. */
static int serve(struct service *v, struct agent *a, struct diag *d)
{
	sd_event *loop = NULL;
	int err;

	if (sd_event_new(&loop) < 0)
		return diag_set(d, -ENOMEM, "out of memory");
	v->server.config = v->config;
	err = server_new(loop, a, &v->server, &v->s, d);
	/* only now does a reload find a server */
	if (!err)
		err = watch_signals(v, loop, d);
	if (!err) {
		(void)sd_event_set_watchdog(loop, 1); /* only when systemd asks for it */
		say_serving(v);
		err = sd_event_loop(loop);
		(void)sd_notify(0, "STOPPING=1");
		if (!keeps(v))
			server_kill_all(v->s);
		server_trim(v->s);
	}
	server_free(v->s);
	sd_event_unref(loop);
	return err;
}

/* What the settings allow on a host without BPF LSM is no reason to leave out what is there. */
static void choose_programs(struct service *v)
{
	if (v->o.agent.egress_only || v->config->without_lsm == WITHOUT_LSM_REFUSE ||
	    host_has_bpf_lsm())
		return;
	v->o.agent.egress_only = true;
	fprintf(stderr, "egressd: this kernel runs no BPF LSM programs: rules for paths are %s "
			"(without-lsm: %s)\n",
		v->config->without_lsm == WITHOUT_LSM_LANDLOCK ? "held by Landlock, where it can" :
								 "not enforced",
		without_lsm_text(v->config->without_lsm));
}

static int run(struct service *v, struct diag *d)
{
	_cleanup_close_ int lock = -1;
	struct agent *a = NULL;
	int err;

	if (geteuid())
		return diag_set(d, -EPERM, "root is needed");
	lock = take_lock(d);
	if (lock < 0)
		return lock;
	sweep_dead_runs();
	choose_programs(v);
	err = agent_open(&v->o.agent, &a, d);
	if (err)
		return err;
	err = serve(v, a, d);
	if (err == -ESTALE && agent_kept(a)) {
		fprintf(stderr, "egressd: %s: they are loaded anew\n", d->msg);
		*d = (struct diag){};
		v->s = NULL;
		v->o.agent.anew = true;
		agent_close(a, 0);
		err = agent_open(&v->o.agent, &a, d);
		if (err)
			return err;
		err = serve(v, a, d);
	}
	/* only when every sandbox has ended nothing is left to be enforced */
	agent_close(a, err || keeps(v) || v->o.stay_loaded || agent_in_use(a) ?
			       0 : AGENT_REMOVE);
	return err;
}

int main(int argc, char **argv)
{
	struct service v = {
		.o.agent = { .name = AGENT_NAME_SERVICE, .adopt = true },
		.server = { .socket = CONTROL_SOCKET,
			    .log_dir = EVENTLOG_DIR,
			    .max_connections = MAX_CONNECTIONS },
	};
	struct diag d = {};
	int err;

	block_signals();
	err = parse_options(&v.o, argc, argv, &d);
	if (v.o.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (!err && v.o.for_run) {
		err = run_agent(v.o.agent.egress_only, v.o.without, &d);
		if (err)
			diag_print(stderr, "egressd", &d);
		return err ? 1 : 0;
	}
	/* first of all: who reads what users write is to have nothing of what follows */
	if (!err)
		err = policy_apart_start(ydoc_parse, POLICY_APART_SECONDS, &d);
	v.config = err ? NULL : read_config(&v.o, &d);
	if (!v.config) {
		diag_print(stderr, "egressd", &d);
		policy_apart_stop();
		return 2;
	}
	err = run(&v, &d);
	if (err)
		diag_print(stderr, "egressd", &d);
	policy_apart_stop();
	config_free(v.config);
	return err ? 1 : 0;
}
