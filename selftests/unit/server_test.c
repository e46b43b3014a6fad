/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may connect, how often, and what becomes of those who never read or never ask. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "control.h"
#include "eventlog.h"
#include "selftests/fake/fake.h"
#include "selftests/fake/rig.h"
#include "publish.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define USER 1000u
#define OF_USER 128u /* MAX_CONNECTIONS_OF_USER */
#define ALL 1024u /* as rig_begin() says */
#define ASKED 40
#define PS "{\"op\": \"ps\"}"

static int set_up(void **state)
{
	(void)state;
	return rig_begin(true);
}

static int tear_down(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* As a client does, to the socket. The server has seen it when this returns. */
static int knock(uid_t uid)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", rig_socket());
	fake_peer(uid);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	rig_run();
	return fd;
}

/* The server has ended it; what it said before, or NULL. */
static char *last_word(int fd)
{
	json_t *msg = rig_next(fd);
	const char *text = json_string_value(json_object_get(msg, "error"));
	char *copy = text ? strdup(text) : NULL;
	json_t *none = NULL;

	json_decref(msg);
	assert_int_equal(control_recv(fd, &none, NULL, NULL), 0);
	return copy;
}

static bool is_served(int fd)
{
	json_t *answer = rig_ask(fd, PS, NULL, 0);
	bool yes = json_is_array(json_object_get(answer, "sandboxes"));

	json_decref(answer);
	return yes;
}

static void assert_turned_away(int fd, const char *why)
{
	char *said = last_word(fd);

	assert_non_null(said);
	assert_non_null(strstr(said, why));
	free(said);
}

/* Thousands from one user: others, and root, do not notice. */
static void crowd(void **state)
{
	int fds[OF_USER], fd;
	uint32_t i;

	(void)state;
	for (i = 0; i < OF_USER; i++)
		fds[i] = knock(USER);
	for (i = 0; i < 3000; i++) {
		fd = knock(USER);
		assert_turned_away(fd, "too many connections");
		close(fd);
	}
	assert_int_equal(server_connections(rig_server()), OF_USER);
	fd = knock(USER + 1);
	assert_true(is_served(fd));
	close(fd);
	fd = knock(0);
	assert_true(is_served(fd));
	close(fd);
	/* and whoever goes makes room */
	close(fds[0]);
	rig_run();
	fds[0] = knock(USER);
	assert_true(is_served(fds[0]));
	for (i = 0; i < OF_USER; i++)
		close(fds[i]);
	rig_run();
	assert_int_equal(server_connections(rig_server()), 0);
}

/* Many users at once: then it is full for users, and not for root. */
static void crowds(void **state)
{
	int *fds = calloc(ALL, sizeof(*fds)), fd;
	uint32_t i;

	(void)state;
	assert_non_null(fds);
	for (i = 0; i < ALL; i++)
		fds[i] = knock(USER + i / OF_USER);
	fd = knock(USER + ALL);
	assert_turned_away(fd, "too many connections");
	close(fd);
	for (i = 0; i < 3; i++) {
		fd = knock(0);
		assert_true(is_served(fd));
		close(fd);
		rig_run();
	}
	for (i = 0; i < ALL; i++)
		close(fds[i]);
	free(fds);
}

/* One that asks for nothing is let go; here its time is over at once. */
static void silent(void **state)
{
	struct server *s = rig_server();
	int fd = knock(USER);
	uint64_t until, now;

	(void)state;
	assert_int_equal(sd_event_now(s->loop, CLOCK_MONOTONIC, &now), 0);
	assert_int_equal(sd_event_source_get_time(s->conns->timer, &until), 0);
	assert_true(until <= now + 60000000);
	assert_int_equal(sd_event_source_set_time(s->conns->timer, 0), 0);
	rig_run();
	assert_null(last_word(fd));
	assert_int_equal(server_connections(s), 0);
	close(fd);
}

/* A slow machine must not count as a client that asks for nothing. */
static int patient(void)
{
	int fd = knock(rig_user());

	(void)sd_event_source_set_enabled(rig_server()->conns->timer, SD_EVENT_OFF);
	return fd;
}

/* Ask, and never read: as many times as the socket takes and more. */
static void flood(int fd)
{
	for (uint32_t i = 0; i < 5000; i++) {
		if (send(fd, PS, strlen(PS), MSG_NOSIGNAL) < 0)
			assert_int_equal(errno, EAGAIN);
		rig_run();
	}
}

static void deaf(void **state)
{
	int fd = patient(), other = patient();
	json_t *msg;

	(void)state;
	flood(fd);
	assert_true(is_served(other));
	while ((msg = rig_next(fd)))
		json_decref(msg);
	assert_true(is_served(fd));
	close(fd);
	close(other);
}

/* A process writes the log and waits for the reader; the server itself never does. */
static void deaf_after_log(void **state)
{
	struct server *s = rig_server();
	int fd = patient(), other;
	json_t *msg = NULL;

	(void)state;
	assert_int_equal(send(fd, "{\"op\":\"log\"}", 12, 0), 12);
	rig_run();
	while (s->conns->logger)
		assert_true(sd_event_run(s->loop, UINT64_MAX) >= 0);
	msg = rig_next(fd);
	assert_true(json_is_true(json_object_get(msg, "ok")));
	json_decref(msg);
	assert_true(fcntl(s->conns->fd, F_GETFL) & O_NONBLOCK);
	flood(fd);
	other = knock(USER);
	assert_true(is_served(other));
	close(fd);
	close(other);
}

/* Who follows a log holds nothing of others: what the server closes is closed. */
static void follower(void **state)
{
	int fd = patient(), other = patient();
	json_t *none = NULL;

	(void)state;
	assert_int_equal(send(fd, "{\"op\":\"log\",\"follow\":true}", 26, 0), 26);
	rig_run();
	assert_non_null(rig_server()->conns->next->logger);
	/* the process may only be on its way there: wait for the end, and get it */
	assert_int_equal(send(other, "{", 1, 0), 1);
	rig_run();
	json_decref(rig_next(other));
	assert_int_equal(fcntl(other, F_SETFL, 0), 0);
	assert_int_equal(control_recv(other, &none, NULL, NULL), 0);
	close(other);
	close(fd);
}

/* Answers that wait in files of ours are few, however many connections a user has. */
static void deaf_to_files(void **state)
{
	char *name = calloc(1, 100001);
	int fds[4], child = rig_child(), before, sent = 0, refused = 0;
	json_t *ask, *msg;

	(void)state;
	assert_non_null(name);
	memset(name, 'a', 100000);
	ask = json_pack("{s:s, s:[s], s:[]}", "op", "run", "policies", name, "texts");
	free(name);
	before = count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = patient();
	for (uint32_t i = 0; i < ASKED; i++) {
		assert_int_equal(control_send(fds[i % ARRAY_SIZE(fds)], ask, &child, 1), 0);
		rig_run();
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		while ((msg = rig_next(fds[i]))) {
			sent += json_is_array(json_object_get(msg, "need"));
			refused += json_is_string(json_object_get(msg, "error"));
			json_decref(msg);
		}
		assert_true(is_served(fds[i]));
		close(fds[i]);
	}
	rig_run();
	json_decref(ask);
	assert_int_equal(sent + refused, ASKED);
	assert_int_equal(sent, 8);
	assert_int_equal(count_fds(), before);
}

static void marked(void **state)
{
	struct eg_task mark = { .sandbox = 7 };
	int self = pidfd_open(getpid(), 0), fd;

	(void)state;
	assert_int_equal(bpf_map_update_elem(fake_map_fd(AGENT_MAP_TASKS), &self, &mark, 0), 0);
	for (uid_t uid = 0; uid <= USER; uid += USER) {
		fd = knock(uid);
		assert_turned_away(fd, "sandbox already");
		close(fd);
	}
	assert_int_equal(bpf_map_delete_elem(fake_map_fd(AGENT_MAP_TASKS), &self), 0);
	fd = knock(USER);
	assert_true(is_served(fd));
	close(fd);
	close(self);
}

/* Whose mark cannot be read is not served either. */
static void unreadable_mark(void **state)
{
	int fd;

	(void)state;
	fake_fail(FAKE_LOOKUP, 1, ENOMEM);
	fd = knock(USER);
	assert_true(fake_failed());
	assert_turned_away(fd, "sandbox already");
	close(fd);
}

static void send_fds(int fd, size_t n)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(64 * sizeof(int))];
	} c = {};
	struct iovec iov = { (char *)PS, strlen(PS) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(n * sizeof(int));
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(&c.h) + i * sizeof(int), &fd, sizeof(fd));
	assert_int_equal(sendmsg(fd, &m, 0), (ssize_t)iov.iov_len);
}

/* Told, and closed; nothing of it stays. */
static void malformed(void **state)
{
	static const char *const bad[] = { "{", "[]", "M", "{\"op\":\"ps\"}{", "\xff" };
	char *large = calloc(1, 70000);
	int before = count_fds(), fd;

	(void)state;
	assert_non_null(large);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = knock(USER);
		assert_int_equal(send(fd, bad[i], strlen(bad[i]), 0), strlen(bad[i]));
		rig_run();
		assert_turned_away(fd, "malformed");
		close(fd);
	}
	fd = knock(USER);
	assert_int_equal(send(fd, large, 70000, 0), 70000);
	rig_run();
	assert_turned_away(fd, "malformed");
	close(fd);
	for (size_t n = 3; n <= 64; n += 61) {
		fd = knock(USER);
		send_fds(fd, n);
		rig_run();
		assert_turned_away(fd, "malformed");
		close(fd);
	}
	/* descriptors that no request asked for are closed with it */
	fd = knock(USER);
	for (uint32_t i = 0; i < 500; i++) {
		send_fds(fd, 2);
		rig_run();
		json_decref(rig_next(fd));
	}
	close(fd);
	rig_run();
	free(large);
	assert_int_equal(count_fds(), before);
}

/* Without a descriptor for it a client is turned away; it does not keep the loop awake. */
static void no_descriptors(void **state)
{
	struct rlimit r, low;
	int fd = knock(USER), next, other;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
	next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(next);
	low = r;
	low.rlim_cur = (rlim_t)next + 1; /* one more: that of the client */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	other = knock(USER);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
	assert_null(last_word(other));
	close(other);
	assert_true(is_served(fd));
	other = knock(USER);
	assert_true(is_served(other));
	close(other);
	close(fd);
}

/* A socket at the right place, but not root's. */
static void foreign_server(void **state)
{
	int fd;

	(void)state;
	fake_peer(USER);
	assert_int_equal(control_connect(rig_socket()), -EUCLEAN);
	fake_peer(0);
	fd = control_connect(rig_socket());
	assert_true(fd >= 0);
	close(fd);
	rig_run();
}

/* What is no rule among rules, times without end, another's policy: said, and survived. */
static const char run[] = "{\"op\": \"run\", \"policies\": [\"p\"], \"texts\": [{\"name\": \"p\", "
			  "\"from\": null, \"path\": \"/p\", \"text\": \"version: 1\\n\"}]}";

static void odd_requests(void **state)
{
	static const char *const odd[] = {
		"{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [1, \"open /x r\"], "
		"\"ms\": 0}",
		"{\"op\": \"deny\", \"sandbox\": 1, \"rules\": [null, \"connect a.b:1\"], "
		"\"ms\": 0}",
		"{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"open /x r\"], "
		"\"ms\": 9223372036854775807}",
		"{\"op\": \"switch\", \"sandbox\": \"last\", \"policies\": [], \"texts\": []}",
		"{\"op\": \"switch\", \"sandbox\": \"last\", \"policies\": [1], \"texts\": []}",
		"{\"op\": \"run\", \"policies\": [{}], \"texts\": []}",
		"{\"op\": \"end\"}", "{\"op\": 1}", "{}",
	};
	int fd = knock(rig_user()), other = knock(rig_user()), child = rig_child();
	json_t *answer = rig_ask(fd, run, &child, 1);

	(void)state;
	assert_null(json_object_get(answer, "error"));
	json_decref(answer);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		answer = rig_ask(other, odd[i], NULL, 0);
		if (!json_is_string(json_object_get(answer, "error")))
			fail_msg("not refused: %s", odd[i]);
		json_decref(answer);
	}
	assert_true(is_served(fd));
	close(fd);
	close(other);
}

/*
 * What was used by grants that are over is not left for the next egressd; what a sandbox uses is,
 * with what holds when a grant of it lapses.
 */
static void trimmed(void **state)
{
	static const char *const asked[] = {
		"{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect 192.0.2.1:1\"], "
		"\"ms\": 60000}",
		"{\"op\": \"allow\", \"sandbox\": \"last\", \"rules\": [\"connect 192.0.2.1:2\"], "
		"\"ms\": 120000}",
		"{\"op\": \"revoke\", \"grant\": 1}",
	};
	int fd = knock(rig_user()), other = knock(rig_user()), child = rig_child();
	struct server *s = rig_server();
	struct publisher_fill f;
	uint32_t others; /* files, of sandboxes and grants */

	(void)state;
	json_decref(rig_ask(fd, run, &child, 1));
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		json_t *answer = rig_ask(other, asked[i], NULL, 0);

		assert_null(json_object_get(answer, "error"));
		json_decref(answer);
	}
	f = publisher_fill(s->publisher);
	assert_true(f.versions > f.used);
	others = fake_state_files() - (uint32_t)f.versions;
	server_trim(s);
	f = publisher_fill(s->publisher);
	assert_int_equal(f.used, 2); /* with the grant, and when it has lapsed */
	assert_int_equal(f.versions, f.used);
	assert_int_equal(fake_state_files(), others + f.versions);
	assert_null(rig_half());
	assert_true(is_served(fd));
	close(fd);
	close(other);
	rig_end_all();
	server_trim(s);
	f = publisher_fill(s->publisher);
	assert_int_equal(f.versions + f.slots + f.ports + f.prefixes + f.anchors, 0);
	assert_int_equal(fake_state_files(), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(crowd), T(crowds), T(silent), T(deaf), T(deaf_after_log), T(follower),
		T(deaf_to_files),
		T(marked), T(unreadable_mark), T(malformed), T(no_descriptors),
		T(foreign_server), T(odd_requests), T(trimmed),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
