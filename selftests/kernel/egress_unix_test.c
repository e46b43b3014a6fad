/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Unix sockets of others: streams, packets and datagrams, by path and by
 * abstract name; and that a sandbox's own are free.
 */
#include "harness.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

struct peer {
	const char *name;
	int type;
	const char *bound; /* '@': abstract */
	const char *called; /* as the client names it; NULL: as bound */
};

static socklen_t unix_addr(const char *name, struct sockaddr_un *sun)
{
	size_t len = strlen(name);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, name, len);
	if (*name != '@')
		return sizeof(*sun);
	sun->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int make_peer(const struct peer *p)
{
	struct sockaddr_un sun;
	socklen_t len = unix_addr(p->bound, &sun);
	int fd = must(socket(AF_UNIX, p->type | SOCK_CLOEXEC, 0));

	if (*p->bound != '@')
		(void)unlink(p->bound);
	must(bind(fd, (void *)&sun, len));
	if (*p->bound != '@')
		must(chmod(p->bound, 0777));
	if (p->type != SOCK_DGRAM)
		must(listen(fd, 64));
	return fd;
}

static int act_connect(const void *arg)
{
	const struct peer *p = arg;
	struct sockaddr_un sun;
	socklen_t len = unix_addr(p->called ? p->called : p->bound, &sun);
	_cleanup_close_ int fd = socket(AF_UNIX, p->type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return connect(fd, (void *)&sun, len) ? -errno : 0;
}

static int act_sendto(const void *arg)
{
	const struct peer *p = arg;
	struct sockaddr_un sun;
	socklen_t len = unix_addr(p->called ? p->called : p->bound, &sun);
	_cleanup_close_ int fd = socket(AF_UNIX, p->type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return sendto(fd, "x", 1, MSG_DONTWAIT, (void *)&sun, len) < 0 ? -errno : 0;
}

/* All in one sandbox: nothing needs a rule. */
static int act_own(const void *arg)
{
	const struct peer *p = arg;
	_cleanup_close_ int fd = make_peer(p);
	int pair[2], err;

	err = p->type == SOCK_DGRAM ? act_sendto(p) : act_connect(p);
	if (err)
		return err;
	if (socketpair(AF_UNIX, p->type | SOCK_CLOEXEC, 0, pair) || write(pair[0], "x", 1) != 1)
		return -errno;
	return 0;
}

#define DIR HARNESS_DIR
#define POLICY(egress) "version: 1\nfiles: {default: rwxc}\negress: {" egress "}\n"

static const struct peer peers[] = {
	{ "stream", SOCK_STREAM, DIR "/stream", NULL },
	{ "seqpacket", SOCK_SEQPACKET, DIR "/seqpacket", NULL },
	{ "datagram", SOCK_DGRAM, DIR "/datagram", NULL },
	{ "abstract stream", SOCK_STREAM, "@egtest-stream", NULL },
	{ "abstract seqpacket", SOCK_SEQPACKET, "@egtest-seqpacket", NULL },
	{ "abstract datagram", SOCK_DGRAM, "@egtest-datagram", NULL },
	{ "stream through a link", SOCK_STREAM, DIR "/linked", DIR "/link" },
};

static void test_peer(const struct peer *p)
{
	_cleanup_close_ int fd = make_peer(p);
	const char *near = str(POLICY("unix: [\"%s-not\"]"), p->bound);
	const char *exact = str(POLICY("unix: [\"%s\"]"), p->bound);
	struct attempt a = {
		.name = str("connect, %s", p->name), .act = act_connect, .arg = p,
		.deny = near, .allow = exact, .err = EPERM,
		.op = EG_OP_UNIX, .reason = EG_WHY_RULE, .want = EG_W, .path = p->bound,
	};

	attempt(&a);
	if (p->type != SOCK_DGRAM)
		return;
	a.name = str("sendto, %s", p->name);
	a.act = act_sendto;
	attempt(&a);
}

/* Somebody outside may connect in, and the sandbox's answer is not looked at. */
static int act_listen(const void *arg)
{
	_cleanup_close_ int fd = make_peer(arg);

	child_meet();
	child_meet();
	return accept(fd, NULL, NULL) < 0 ? -errno : 0;
}

static void test_inwards(void)
{
	static const struct peer in = { "in", SOCK_STREAM, DIR "/inwards", NULL };
	struct box *b = box_shared(POLICY("loopback: own"));
	struct child c;
	int r;

	if (!case_begin("from outside to a sandbox's socket"))
		return;
	child_start(&c, b, AS_USER, act_listen, &in);
	child_meet_from_parent(&c);
	r = box_run(NULL, AS_USER, act_connect, &in);
	check(!r, "%s", result_text(r));
	child_meet_from_parent(&c);
	r = child_wait(&c);
	check(!r, "accept: %s", result_text(r));
	case_end();
}

/* One sandbox's socket is another's stranger. */
static void test_between(void)
{
	static const struct peer other = { "other", SOCK_STREAM, "@egtest-between", NULL };
	struct box *a = box_shared(POLICY("loopback: own"));
	struct box *b = box_shared(POLICY("loopback: none"));
	_cleanup_free_ struct seen *e = NULL;
	struct child c;
	size_t n;
	int r;

	if (!case_begin("between two sandboxes"))
		return;
	child_start(&c, a, AS_USER, act_listen, &other);
	child_meet_from_parent(&c);
	box_events_drop(b);
	r = box_run(b, AS_USER, act_connect, &other);
	check(r == -EPERM, "%s", result_text(r));
	n = box_events(b, &e);
	check(n == 1 && e[0].op == EG_OP_UNIX && e[0].reason == EG_WHY_FOREIGN, "%zu events", n);
	r = box_run(a, AS_USER, act_connect, &other);
	check(!r, "in the same: %s", result_text(r));
	child_meet_from_parent(&c);
	(void)child_wait(&c);
	case_end();
}

int main(int argc, char **argv)
{
	static const struct peer own[] = {
		{ "stream", SOCK_STREAM, DIR "/own-stream", NULL },
		{ "datagram", SOCK_DGRAM, DIR "/own-datagram", NULL },
		{ "abstract", SOCK_SEQPACKET, "@egtest-own", NULL },
	};
	size_t i;

	harness_init(argc, argv);
	must(symlink(DIR "/linked", DIR "/link"));
	for (i = 0; i < ARRAY_SIZE(peers); i++)
		test_peer(&peers[i]);
	for (i = 0; i < ARRAY_SIZE(own); i++) {
		struct box *b = box_shared(POLICY("loopback: own"));
		int r;

		if (!case_begin("own sockets, %s", own[i].name))
			continue;
		r = box_run(b, AS_USER, act_own, &own[i]);
		check(!r, "%s", result_text(r));
		case_end();
	}
	test_inwards();
	test_between();
	return harness_done();
}
