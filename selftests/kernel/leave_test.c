/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is not where it began: tasks that somebody moved to another cgroup, sockets
 * that somebody outside uses, tasks that outlive their sandbox, addresses on this
 * host that are another's by now.
 */
#include "egress_acts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "sandbox.h"
#include "util.h"

#define ELSEWHERE "/sys/fs/cgroup/egtest-elsewhere"
#define SECRET HARNESS_DIR "/secret"
#define POLICY "version: 1\nfiles: {default: rwxc, " SECRET ": none}\n" \
	"egress: {loopback: own, listen: own, allow: [\"" NET_OK4 ":*\"]}\n"

static const struct net_target ok = { NET_OK4, NET_PORT };
static const struct net_target evil = { NET_EVIL4, NET_PORT };

static void move_to(const char *cgroup, pid_t pid)
{
	_cleanup_close_ int fd = must(open(str("%s/cgroup.procs", cgroup), O_WRONLY | O_CLOEXEC));

	must(dprintf(fd, "%d\n", pid));
}

static int socket_result(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : close(fd);
}

static int send_nonce(int fd, const struct net_target *to)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(to, &ss);

	return sendto(fd, net_nonce(), NET_NONCE, MSG_NOSIGNAL, (void *)&ss, len) < 0 ? -errno : 0;
}

/* What a task found, a word each; the parent judges. */
struct findings {
	int open, unix_socket, udp_socket, tcp_socket, send_ok, send_evil;
	int child, child_open, kill, exec;
};
static struct findings *found;

static int fork_and_open(int *child_open)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(-act_open_read(SECRET));
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	*child_open = -WEXITSTATUS(status);
	return 0;
}

static void look_around(int fd)
{
	found->open = act_open_read(SECRET);
	found->unix_socket = socket_result(AF_UNIX, SOCK_STREAM);
	found->udp_socket = socket_result(AF_INET, SOCK_DGRAM);
	found->tcp_socket = socket_result(AF_INET6, SOCK_STREAM);
	found->send_ok = send_nonce(fd, &ok);
	found->send_evil = send_nonce(fd, &evil);
	found->child = fork_and_open(&found->child_open);
	found->kill = kill(getppid(), 0) ? -errno : 0;
}

static int act_moved(const void *unused)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), i;

	(void)unused;
	for (i = 0; i < 3; i++) {
		child_meet(); /* the parent moves it */
		child_meet();
		look_around(fd);
		child_meet(); /* the parent looks */
	}
	return 0;
}

static void check_home(const char *where)
{
	check(found->open == -EACCES && found->child_open == -EACCES && !found->child,
	      "%s: the rule: %s, in a child %s", where, result_text(found->open),
	      result_text(found->child_open));
	check(!found->unix_socket && !found->udp_socket && !found->tcp_socket, "%s: sockets: %s %s",
	      where, result_text(found->udp_socket), result_text(found->tcp_socket));
	check(!found->send_ok && found->send_evil == -EPERM, "%s: to ok %s, to evil %s", where,
	      result_text(found->send_ok), result_text(found->send_evil));
}

/* One step of act_moved(), in the cgroup given. */
static void step(struct child *c, const char *cgroup)
{
	child_meet_from_parent(c);
	if (cgroup)
		move_to(cgroup, c->pid);
	child_meet_from_parent(c);
	child_meet_from_parent(c);
}

static void test_moved(void)
{
	struct box *b = box_shared(POLICY);
	struct child c;
	const char *home;

	if (!case_begin("a task that somebody moved to another cgroup"))
		return;
	write_file(SECRET, "secret");
	home = str("%s/s%llu", agent_cgroup_path(harness_agent()),
		   (unsigned long long)sandbox_id(box_sandbox(b)));
	must(mkdir(str("%s/below", home), 0755));
	net_reset();
	child_start(&c, b, AS_ROOT, act_moved, NULL);
	step(&c, ELSEWHERE);
	check(found->open == -EACCES && found->child_open == -EACCES && !found->child,
	      "away: the rule: %s, in a child %s", result_text(found->open),
	      result_text(found->child_open));
	check(!found->unix_socket && found->udp_socket == -EPERM && found->tcp_socket == -EPERM,
	      "away: sockets: %s %s", result_text(found->udp_socket),
	      result_text(found->tcp_socket));
	check(!found->send_ok && found->send_evil == -EPERM, "away: a socket from home: to ok %s, "
	      "to evil %s", result_text(found->send_ok), result_text(found->send_evil));
	step(&c, str("%s/below", home));
	check_home("in a cgroup below its own");
	step(&c, home);
	check_home("back");
	check(!child_wait(&c), "the child failed");
	check(!net_seen(NET_EVIL).nonces, "evil saw the nonce");
	must(rmdir(str("%s/below", home)));
	box_events_drop(b);
	case_end();
}

/* ---- survivors ----------------------------------------------------------------------- */

static int act_survive(const void *unused)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char *argv[] = { "true", NULL };

	(void)unused;
	child_meet();
	child_meet(); /* its sandbox is gone now */
	look_around(fd);
	(void)execv("/bin/true", argv);
	found->exec = -errno;
	child_meet(); /* the parent looks */
	while (pause())
		;
	return 0;
}

static void test_survivor(void)
{
	int tasks = agent_map_fd(harness_agent(), AGENT_MAP_TASKS);
	struct eg_sandbox *all = agent_sandboxes(harness_agent()), was;
	struct box *b, *next;
	struct child c;
	uint64_t id;
	uint32_t slot;

	if (!case_begin("a task that outlives its sandbox"))
		return;
	write_file(SECRET, "secret");
	b = box_new(POLICY);
	id = sandbox_id(box_sandbox(b));
	slot = sandbox_slot(box_sandbox(b));
	net_reset();
	memset(found, 0, sizeof(*found));
	child_start(&c, b, AS_ROOT, act_survive, NULL);
	child_meet_from_parent(&c);
	move_to(ELSEWHERE, c.pid);
	check(sweep_left(tasks), "a living one is not seen");
	box_free(b);
	/* whoever has its slot now is somebody else, to whom everything is allowed */
	next = box_new("version: 1\nfiles: {default: rwxc}\negress: {allow: [\"0.0.0.0/0:*\"]}\n");
	was = all[slot];
	all[slot] = all[sandbox_slot(box_sandbox(next))];
	child_meet_from_parent(&c);
	child_meet_from_parent(&c);
	check(found->open == -EACCES, "open: %s", result_text(found->open));
	check(found->unix_socket == -EPERM && found->udp_socket == -EPERM &&
	      found->tcp_socket == -EPERM, "sockets: %s %s %s", result_text(found->unix_socket),
	      result_text(found->udp_socket), result_text(found->tcp_socket));
	check(found->send_ok == -EPERM && found->send_evil == -EPERM, "its old socket: %s %s",
	      result_text(found->send_ok), result_text(found->send_evil));
	check(found->child == -EAGAIN, "fork: %s", result_text(found->child));
	check(found->kill == -EPERM, "kill: %s", result_text(found->kill));
	check(found->exec == -EACCES, "exec: %s", result_text(found->exec));
	check(!net_seen(NET_OK).nonces && !net_seen(NET_EVIL).nonces, "something was sent");
	/* as long as it lives the programs must stay; the service ends it */
	check(agent_in_use(harness_agent()), "the programs would be removed");
	check(sweep_marked(tasks, id) == 1, "it is not found");
	check(child_wait(&c) == DIED_OF(SIGKILL), "it was not killed");
	check(!sweep_left(tasks), "somebody is left");
	all[slot] = was;
	box_free(next);
	case_end();
}

/* ---- sockets that somebody outside uses ---------------------------------------------- */

static int act_lend(const void *unused)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	if (fd < 0 || dup2(fd, 10) < 0)
		return -errno;
	child_meet();
	child_meet();
	return 0;
}

static void test_lent(void)
{
	struct box *b = box_shared(POLICY);
	_cleanup_close_ int fd = -1, own = -1;
	struct child c;
	int r;

	if (!case_begin("a sandbox's socket in somebody else's hands"))
		return;
	net_reset();
	own = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	child_start(&c, b, AS_USER, act_lend, NULL);
	child_meet_from_parent(&c);
	fd = must((int)syscall(SYS_pidfd_getfd, c.pidfd, 10, 0));
	r = send_nonce(fd, &evil);
	check(r == -EPERM, "to evil: %s", result_text(r));
	r = send_nonce(fd, &ok);
	check(!r, "to ok: %s", result_text(r));
	check(!net_seen(NET_EVIL).nonces && net_seen(NET_OK).nonces, "evil saw it, or ok did not");
	r = send_nonce(own, &evil);
	check(!r && net_seen(NET_EVIL).nonces, "its own socket: %s", result_text(r));
	child_meet_from_parent(&c);
	(void)child_wait(&c);
	box_events_drop(b);
	case_end();
}

/* ---- a port that is another's by now ------------------------------------------------- */

#define PORT 7301

struct late {
	const char *name, *addr;
	bool connected;
};

static int bind_port(const struct net_target *at, bool must_bind)
{
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(at, &ss);
	int fd = must(socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	if (bind(fd, (void *)&ss, len) && must_bind)
		harness_die("bind: %m");
	return fd;
}

/* Speaks to its own listener, then to whoever has the port by then. */
static int act_speak_late(const void *arg)
{
	const struct late *l = arg;
	struct net_target to = { l->addr, PORT };
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&to, &ss);
	int listener = bind_port(&to, true), r;
	int fd = must(socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	char byte;

	if (l->connected)
		must(connect(fd, (void *)&ss, len));
	r = l->connected ? (send(fd, "x", 1, 0) < 0 ? -errno : 0) :
			   (sendto(fd, "x", 1, 0, (void *)&ss, len) < 0 ? -errno : 0);
	if (r || recv(listener, &byte, 1, 0) != 1)
		return r ?: -EPROTO;
	(void)close(listener);
	child_meet();
	child_meet(); /* the port is the parent's */
	r = l->connected ? (send(fd, "y", 1, 0) < 0 ? -errno : 0) :
			   (sendto(fd, "y", 1, 0, (void *)&ss, len) < 0 ? -errno : 0);
	return r;
}

/* Its own client asks; the answer goes to whoever has the client's port by then. */
static int act_answer_late(const void *arg)
{
	const struct late *l = arg;
	struct net_target at = { l->addr, PORT }, server_at = { l->addr, PORT + 1 };
	struct sockaddr_storage ss, from;
	socklen_t len = net_sockaddr(&server_at, &ss), from_len = sizeof(from);
	int client = bind_port(&at, true), server = bind_port(&server_at, true);
	char byte;

	if (sendto(client, "x", 1, 0, (void *)&ss, len) != 1 ||
	    recvfrom(server, &byte, 1, 0, (void *)&from, &from_len) != 1)
		return -errno;
	(void)close(client);
	child_meet();
	child_meet(); /* the port is the parent's */
	return sendto(server, "y", 1, 0, (void *)&from, from_len) < 0 ? -errno : 0;
}

static int run_late(struct box *b, act_fn act, const struct late *l, bool *heard)
{
	struct net_target at = { l->addr, PORT };
	_cleanup_close_ int fd = -1;
	struct child c;
	char byte;
	int r;

	child_start(&c, b, AS_USER, act, l);
	child_meet_from_parent(&c);
	fd = bind_port(&at, true);
	child_meet_from_parent(&c);
	r = child_wait(&c);
	*heard = recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
	return r;
}

static void test_late(act_fn act, const struct late *l, const char *name)
{
	struct box *b = box_shared(POLICY);
	_cleanup_free_ struct seen *e = NULL;
	bool heard;
	size_t n;
	int r;

	if (!case_begin("a port that is another's by now: %s, %s", name, l->name))
		return;
	r = run_late(NULL, act, l, &heard);
	check(!r && heard, "outside: %s", result_text(r));
	box_events_drop(b);
	r = run_late(b, act, l, &heard);
	check(r == -EPERM, "%s", result_text(r));
	check(!heard, "it was heard");
	n = box_events(b, &e);
	check(n == 1 && e->op == EG_OP_SEND && e->reason == EG_WHY_LOOPBACK && e->port == PORT,
	      "%zu events", n);
	case_end();
}

/* ---- other ways to send, after a rule is gone ---------------------------------------- */

static int nonce_file(void)
{
	int fd = must(memfd_create("nonce", MFD_CLOEXEC));

	must(write(fd, net_nonce(), NET_NONCE));
	must(lseek(fd, 0, SEEK_SET));
	return fd;
}

static int by_sendfile(int fd)
{
	return sendfile(fd, nonce_file(), NULL, NET_NONCE) < 0 ? -errno : 0;
}

static int by_splice(int fd)
{
	int ends[2];

	must(pipe(ends));
	must(write(ends[1], net_nonce(), NET_NONCE));
	return splice(ends[0], NULL, fd, NULL, NET_NONCE, 0) < 0 ? -errno : 0;
}

static int by_zerocopy(int fd)
{
	return send(fd, net_nonce(), NET_NONCE, MSG_ZEROCOPY | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static const struct sender {
	const char *name;
	int type;
	int (*send)(int fd);
} senders[] = {
	{ "sendfile over TCP", SOCK_STREAM, by_sendfile },
	{ "sendfile over UDP", SOCK_DGRAM, by_sendfile },
	{ "splice over TCP", SOCK_STREAM, by_splice },
	{ "splice over UDP", SOCK_DGRAM, by_splice },
	{ "MSG_ZEROCOPY over TCP", SOCK_STREAM, by_zerocopy },
	{ "MSG_ZEROCOPY over UDP", SOCK_DGRAM, by_zerocopy },
};

static int act_send_later(const void *arg)
{
	const struct sender *s = arg;
	struct linger reset = { .l_onoff = 1 }; /* nothing is sent again after the end */
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&ok, &ss);
	int fd = socket(AF_INET, s->type | SOCK_CLOEXEC, 0), one = 1, r;

	must(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	if (connect(fd, (void *)&ss, len))
		return -errno;
	child_meet();
	child_meet(); /* the rule is gone, or not */
	r = s->send(fd);
	child_meet(); /* the parent looks at what arrived */
	return r;
}

static uint64_t send_later(struct box *b, const struct sender *s, uint32_t state, int *result)
{
	struct eg_sandbox *sb = &agent_sandboxes(harness_agent())[sandbox_slot(box_sandbox(b))];
	struct child c;
	uint64_t nonces;

	child_start(&c, b, AS_USER, act_send_later, s);
	child_meet_from_parent(&c);
	net_reset();
	__atomic_store_n(&sb->state, state, __ATOMIC_SEQ_CST);
	child_meet_from_parent(&c);
	child_meet_from_parent(&c);
	nonces = net_seen(NET_OK).nonces;
	__atomic_store_n(&sb->state, EG_S_LIVE, __ATOMIC_SEQ_CST);
	*result = child_wait(&c);
	return nonces;
}

static void test_sender(const struct sender *s)
{
	struct box *b = box_shared(POLICY);
	uint64_t n;
	int r;

	if (!case_begin("%s, when nothing is allowed any more", s->name))
		return;
	n = send_later(b, s, EG_S_LIVE, &r);
	check(!r && n, "while it is: %s, %lu frames", result_text(r), n);
	n = send_later(b, s, EG_S_DEAD, &r);
	/* TCP says nothing: it tries again, and is refused again */
	check(s->type == SOCK_STREAM || r == -EPERM, "%s", result_text(r));
	check(!n, "ok saw the nonce in %lu frames", n);
	box_events_drop(b);
	case_end();
}

int main(int argc, char **argv)
{
	static const struct late late[] = {
		{ "IPv4", "127.0.0.1", false }, { "IPv4 connected", "127.0.0.1", true },
		{ "IPv6", "::1", false }, { "IPv6 connected", "::1", true },
	};
	size_t i;

	harness_init(argc, argv);
	net_up();
	found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (found == MAP_FAILED)
		harness_die("mmap: %m");
	(void)rmdir(ELSEWHERE);
	must(mkdir(ELSEWHERE, 0755));
	test_moved();
	test_survivor();
	test_lent();
	for (i = 0; i < ARRAY_SIZE(late); i++) {
		test_late(act_speak_late, &late[i], "spoken to");
		if (!late[i].connected)
			test_late(act_answer_late, &late[i], "answered");
	}
	for (i = 0; i < ARRAY_SIZE(senders); i++)
		test_sender(&senders[i]);
	(void)rmdir(ELSEWHERE);
	return harness_done();
}
