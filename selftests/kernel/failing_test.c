// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The helpers that programs call fail, one by one, at the places that an access comes by: what is
 * refused stays refused, what is nobody's business succeeds, and afterwards all is as before. The
 * programs are those of bpf/fault.bpf.h.
 */
#include "egress_acts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "fault.h"
#include "names_talk.h"
#include "util.h"

#define OPEN HARNESS_DIR "/open"
#define SHUT HARNESS_DIR "/shut"
#define SITES (EG_FAULTS_EACH * EG_FAULTS_FILES)
/* those that an access comes by are some tens; far fewer, and the programs are others */
#define SITES_EXPECTED 8u

/*
 * Packets that are dropped would be sent again for minutes, the first time after 200 ms; no verdict
 * depends on this.
 */
#define PATIENCE_US 300000
#define CANNOT_GO_ON 99 /* harness_die() in the child: what it took for granted was refused */

static volatile struct eg_faults *faults;
static pid_t victim;
static int shm; /* the host's */

/* ---- one access ---------------------------------------------------------------------- */

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static int act_signal(const void *pid)
{
	return result(kill(*(const pid_t *)pid, 0));
}

static int act_trace(const void *pid)
{
	return result(ptrace(PTRACE_SEIZE, *(const pid_t *)pid, 0, 0)); /* for its own life */
}

static int act_unix(const void *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", (const char *)path);
	return fd < 0 ? -errno : result(connect(fd, (void *)&a, sizeof(a)));
}

static int act_shm(const void *id)
{
	void *at = shmat(*(const int *)id, NULL, 0);

	return at == (void *)-1 ? -errno : result(shmdt(at));
}

static int act_mount(const void *path)
{
	int err = result(mount("none", path, "tmpfs", 0, NULL));

	return err ? err : result(umount2(path, MNT_DETACH));
}

static int act_bpf(const void *unused)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
				.max_entries = 1 };
	long fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));

	(void)unused;
	if (fd < 0)
		return -errno;
	(void)close((int)fd);
	return 0;
}

/* A child of the sandbox's is in the sandbox, or is not made. */
static int act_fork_read(const void *path)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(-act_open_read(path));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EIO;
	return -WEXITSTATUS(status);
}

static const struct net_target good4 = { NET_OK4, NET_PORT }, evil4 = { NET_EVIL4, NET_PORT };
static const struct net_target good6 = { NET_OK6, NET_PORT }, evil6 = { NET_EVIL6, NET_PORT };

/* both are at an address that an allowed name has, too; what is said is known later */
static struct talk good_name = { .to = { NET_EVIL4, 443 } };
static struct talk other_name = { .to = { NET_EVIL4, 443 } };

static const struct {
	const char *name;
	act_fn act;
	const void *refused, *allowed; /* its argument; allowed NULL: nothing is */
} cases[] = {
	/* first: afterwards the name in the rule is another file's */
	{ "read by another name", act_open_read, OPEN "/link", OPEN "/file" },
	{ "read", act_open_read, SHUT "/file", OPEN "/file" },
	{ "write", act_open_write, SHUT "/file", OPEN "/file" },
	{ "list", act_list, SHUT, OPEN },
	{ "read by a child", act_fork_read, SHUT "/file", OPEN "/file" },
	{ "truncate", act_truncate, SHUT "/file", OPEN "/file" },
	{ "make a directory", act_mkdir, SHUT "/new", NULL },
	{ "remove", act_unlink, SHUT "/file", NULL },
	{ "rename", act_rename, &(struct two_paths){ SHUT "/file", OPEN "/gained" }, NULL },
	{ "link", act_link, &(struct two_paths){ SHUT "/file", OPEN "/gained" }, NULL },
	{ "execute", act_exec, SHUT "/true", OPEN "/true" },
	{ "connect a unix socket", act_unix, SHUT "/socket", OPEN "/socket" },
	{ "TCP", act_tcp, &evil4, &good4 },
	{ "TCP over IPv6", act_tcp, &evil6, &good6 },
	{ "UDP", act_udp_sendto, &evil4, &good4 },
	{ "connected UDP over IPv6", act_udp_connected, &evil6, &good6 },
	{ "a ClientHello", act_talk, &other_name, &good_name },
	{ "signal", act_signal, &victim, NULL },
	{ "trace", act_trace, &victim, NULL },
	{ "shared memory", act_shm, &shm, NULL },
	{ "mount", act_mount, OPEN, NULL },
	{ "bpf()", act_bpf, NULL, NULL },
};

static const char policy[] =
	"version: 1\n"
	"files: {/: rx, " OPEN ": rwxc, " SHUT ": none, " SHUT "/file: none}\n"
	"egress:\n"
	"  allow: [\"" NET_OK4 ":*\", \"" NET_OK4 ":*/udp\", \"[" NET_OK6 "]:*\", "
	"\"[" NET_OK6 "]:*/udp\", \"good.test:443\"]\n"
	"  unix: [" OPEN "/socket]\n";

/* ---- a site that fails --------------------------------------------------------------- */

struct failing {
	act_fn act;
	const void *arg;
	uint32_t site; /* 0: none, and those that it comes by are noted */
};

/* In the child, or forks, marks and moves of the harness would fail. */
static int act_failing(const void *arg)
{
	const struct itimerval none = {}, patience = { .it_value = { .tv_usec = PATIENCE_US } };
	const struct failing *f = arg;
	int r;

	if (!f->site)
		memset((void *)faults->seen, 0, SITES);
	faults->at = f->site;
	(void)setitimer(ITIMER_REAL, f->site ? &patience : &none, NULL);
	r = f->act(f->arg);
	(void)setitimer(ITIMER_REAL, &none, NULL);
	faults->at = 0;
	return r;
}

static int failing(struct box *b, act_fn act, const void *arg, uint32_t site)
{
	struct failing f = { act, arg, site };
	int r = box_run(b, AS_ROOT, act_failing, &f);

	faults->at = 0; /* it may have died */
	return r == CANNOT_GO_ON ? -ECHILD : r;
}

/* The sites that an access comes by; the caller frees. */
static uint8_t *sites_of(struct box *b, act_fn act, const void *arg, int *r, unsigned int *n)
{
	uint8_t *seen = malloc(SITES);

	if (!seen)
		harness_die("no memory");
	*r = failing(b, act, arg, 0);
	memcpy(seen, (void *)faults->seen, SITES);
	seen[0] = 0;
	*n = 0;
	for (uint32_t i = 0; i < SITES; i++)
		*n += seen[i];
	return seen;
}

static void scene(void)
{
	for (const char *const *dir = (const char *const[]){ OPEN, SHUT, NULL }; *dir; dir++) {
		make_dir(*dir);
		write_file(str("%s/file", *dir), "text");
		shell("cp /bin/true %s/true", *dir);
		(void)rmdir(str("%s/new", *dir));
	}
	(void)unlink(OPEN "/gained");
	(void)unlink(OPEN "/link");
	must(link(SHUT "/file", OPEN "/link"));
}

static int listener(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	must(bind(fd, (void *)&a, sizeof(a)));
	must(chmod(path, 0777));
	must(listen(fd, 4096));
	return fd;
}

/* Connections that nobody takes would fill its queue. */
static void take_all(int fd)
{
	int conn;

	while ((conn = accept(fd, NULL, NULL)) >= 0)
		(void)close(conn);
}

static struct eg_faults *find_faults(void)
{
	struct bpf_map_info info;
	uint32_t id = 0, len;
	void *p;
	int fd;

	while (!bpf_map_get_next_id(id, &id)) {
		fd = bpf_map_get_fd_by_id(id);
		len = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ||
		    info.value_size < sizeof(struct eg_faults) || !strstr(info.name, ".bss")) {
			(void)close(fd);
			continue;
		}
		p = mmap(NULL, sizeof(struct eg_faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		(void)close(fd);
		if (p != MAP_FAILED)
			return p;
	}
	harness_die("the programs were not built with EG_FAULTS");
	return NULL;
}

/* ---- all of them --------------------------------------------------------------------- */

struct tally { /* of one case */
	unsigned int sites, fired; /* where it is refused; those that failed again when told to */
	unsigned int allowed, held; /* where it is allowed; those that refused it */
	unsigned int outside;
};

#define SITE "site %u of file %u fails: "
#define NUMBERS(site) (site) % EG_FAULTS_EACH, (site) / EG_FAULTS_EACH

static void try_refused(struct box *b, act_fn act, const void *arg, struct tally *t)
{
	_cleanup_free_ uint8_t *sites = NULL;
	struct net_seen evil;
	int r;

	sites = sites_of(b, act, arg, &r, &t->sites);
	(void)check(r < 0, "refused without a failure: %s", result_text(r));
	for (uint32_t site = 1; site < SITES; site++) {
		if (!sites[site])
			continue;
		faults->hits = 0;
		net_reset();
		r = failing(b, act, arg, site);
		t->fired += faults->hits != 0;
		/* a sandboxed task that cannot be judged may be killed, too */
		(void)check(r < 0, SITE "it succeeds (%d)", NUMBERS(site), r);
		evil = net_seen(NET_EVIL);
		(void)check(!evil.nonces && !evil.tcp_bytes, SITE "it arrived", NUMBERS(site));
		if (r >= 0)
			scene();
	}
	(void)check(t->fired >= SITES_EXPECTED, "%u of %u sites failed, expected %u or more",
		    t->fired, t->sites, SITES_EXPECTED);
	r = failing(b, act, arg, 0);
	(void)check(r < 0, "refused afterwards: %s", result_text(r));
}

static void try_allowed(struct box *b, act_fn act, const void *arg, struct tally *t)
{
	_cleanup_free_ uint8_t *sites = NULL;
	uint64_t failed;
	int r;

	sites = sites_of(b, act, arg, &r, &t->allowed);
	(void)check(r >= 0, "allowed without a failure: %s", result_text(r));
	failed = box_counters(b)->failed;
	for (uint32_t site = 1; site < SITES; site++)
		if (sites[site])
			t->held += failing(b, act, arg, site) < 0;
	(void)check(!t->held || box_counters(b)->failed > failed,
		    "%u refusals by failures, none of them counted", t->held);
	r = failing(b, act, arg, 0);
	(void)check(r >= 0, "allowed afterwards: %s", result_text(r));
}

/* What is refused inside is nobody's business here. */
static void try_outside(act_fn act, const void *arg, struct tally *t)
{
	_cleanup_free_ uint8_t *sites = NULL;
	int r;

	sites = sites_of(NULL, act, arg, &r, &t->outside);
	(void)check(r >= 0, "control: outside it succeeds: %s", result_text(r));
	for (uint32_t site = 1; site < SITES; site++) {
		if (!sites[site])
			continue;
		scene();
		r = failing(NULL, act, arg, site);
		(void)check(r >= 0, SITE "outside it is %s", NUMBERS(site), result_text(r));
	}
}

static void try_case(struct box *b, unsigned int i)
{
	struct tally t = {};

	if (!case_begin("%s", cases[i].name))
		return;
	scene();
	try_refused(b, cases[i].act, cases[i].refused, &t);
	if (cases[i].allowed)
		try_allowed(b, cases[i].act, cases[i].allowed, &t);
	try_outside(cases[i].act, cases[i].refused, &t);
	case_end();
	printf("# %s: %u sites where it is refused (%u failed), %u where it is allowed (%u "
	       "refuse), %u outside\n",
	       cases[i].name, t.sites, t.fired, t.allowed, t.held, t.outside);
}

int main(int argc, char **argv)
{
	int open_fd, shut_fd;
	struct box *b;

	harness_init(argc, argv);
	net_up();
	scene();
	open_fd = listener(OPEN "/socket");
	shut_fd = listener(SHUT "/socket");
	shm = must(shmget(IPC_PRIVATE, 4096, 0600));
	victim = must(fork());
	if (!victim) {
		must(prctl(PR_SET_PDEATHSIG, SIGKILL)); /* whatever becomes of the test */
		for (;;)
			pause();
	}
	b = box_new(policy);
	names_bind(b, "good.test", NET_EVIL4, NAMES_FOREVER);
	good_name.say[0] = hello_bytes(&(struct hello){ .name = "good.test" });
	other_name.say[0] = hello_bytes(&(struct hello){ .name = "evil.test" });
	faults = find_faults();
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		try_case(b, i);
		take_all(open_fd);
		take_all(shut_fd);
	}
	box_free(b);
	must(shmctl(shm, IPC_RMID, NULL));
	must(kill(victim, SIGKILL));
	must(waitpid(victim, NULL, 0));
	return harness_done();
}
