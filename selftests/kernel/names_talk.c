/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "names_talk.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#include "bpf_load.h"
#include "compile.h"
#include "publish.h"
#include "sandbox.h"
#include "util.h"
#include "verdict.h"

/* Ends what hangs; nothing is measured by it. */
#define LIMIT_SECONDS 20

/* ---- bindings ---------------------------------------------------------------------------- */

uint64_t names_now(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_BOOTTIME, &ts));
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int bindings(void)
{
	return agent_map_fd(harness_agent(), AGENT_MAP_BINDINGS);
}

static struct eg_binding_key key_of(struct box *b, const char *addr)
{
	struct eg_binding_key key = {
		.sandbox = sandbox_id(box_sandbox(b)),
		.family = sandbox_version(box_sandbox(b))->family,
	};

	if (inet_pton(AF_INET, addr, key.addr + 12) == 1)
		memset(key.addr + 10, 0xff, 2);
	else if (inet_pton(AF_INET6, addr, key.addr) != 1)
		harness_die("%s is no address", addr);
	return key;
}

void names_bind(struct box *b, const char *name, const char *addr, uint64_t expires)
{
	const struct compiled *c = sandbox_version(box_sandbox(b))->compiled;
	struct eg_binding_key key = key_of(b, addr);
	struct eg_binding v = { .expires = expires, .classes = verdict_name_classes(c, name) }, old;

	if (!v.classes)
		harness_die("the policy does not allow %s", name);
	if (!bpf_map_lookup_elem(bindings(), &key, &old))
		v.classes |= old.classes;
	must(bpf_map_update_elem(bindings(), &key, &v, BPF_ANY));
}

uint64_t names_used(struct box *b, const char *addr)
{
	struct eg_binding_key key = key_of(b, addr);
	struct eg_binding v;

	must(bpf_map_lookup_elem(bindings(), &key, &v));
	return v.used;
}

void names_unbind(struct box *b, const char *addr)
{
	struct eg_binding_key key = key_of(b, addr);

	must(bpf_map_delete_elem(bindings(), &key));
}

/* ---- what is said -------------------------------------------------------------------------- */

static struct bytes *new_bytes(void)
{
	struct bytes *b = calloc(1, sizeof(*b));

	if (!b)
		harness_die("no memory");
	return b;
}

static void put(struct bytes *b, const void *p, size_t n)
{
	if (b->len + n > sizeof(b->data))
		harness_die("too much to say");
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
}

static void put16(struct bytes *b, size_t n)
{
	put(b, (const uint8_t[]){ n >> 8, n }, 2);
}

static void set16(struct bytes *b, size_t at, size_t n)
{
	b->data[at] = n >> 8;
	b->data[at + 1] = n;
}

static void put_zeros(struct bytes *b, uint16_t type, size_t n)
{
	static const uint8_t zeros[TALK_MAX];

	put16(b, type);
	put16(b, n);
	put(b, zeros, n);
}

static void put_server_name(struct bytes *b, const struct hello *h)
{
	size_t len = h->name_len ? h->name_len : strlen(h->name), names = 1 + h->two_names;

	put16(b, 0);
	put16(b, 2 + names * (3 + len));
	put16(b, names * (3 + len));
	while (names--) {
		put(b, "", 1);
		put16(b, len);
		put(b, h->name, len);
	}
}

static void put_extensions(struct bytes *b, const struct hello *h)
{
	size_t begin = b->len, i;

	put16(b, 0);
	for (i = 0; i < h->count; i++)
		put_zeros(b, 0x5a00 + i, 0);
	if (h->before)
		put_zeros(b, 51, h->before);
	if (h->name)
		put_server_name(b, h);
	if (h->name && h->twice)
		put_server_name(b, h);
	if (h->ech)
		put_zeros(b, 0xfe0d, 60);
	if (h->early)
		put_zeros(b, 42, 0);
	if (h->behind)
		put_zeros(b, 21, h->behind);
	set16(b, begin, b->len - begin - 2);
}

static const struct bytes *in_two_records(const struct bytes *b)
{
	size_t half = (b->len - 5) / 2;
	struct bytes *r = new_bytes();

	put(r, b->data, 5);
	put(r, b->data + 5, half);
	set16(r, 3, half);
	put(r, b->data, 5);
	set16(r, r->len - 2, b->len - 5 - half);
	put(r, b->data + 5 + half, b->len - 5 - half);
	return r;
}

const struct bytes *hello_bytes(const struct hello *h)
{
	struct bytes *b = new_bytes();

	put(b, "\x16\x03\x01\0\0\x01\0\0\0\x03\x03", 11);
	put(b, "thirty-two bytes of anything....", 32);
	put(b, "\x20" "a session that nobody remembers.", 33);
	put(b, "\0\x04\x13\x01\x13\x02\x01\0", 8);
	if (!h->no_extensions)
		put_extensions(b, h);
	set16(b, 3, b->len - 5);
	set16(b, 7, b->len - 9 + h->wrong_length);
	return h->two_records ? in_two_records(b) : b;
}

const struct bytes *record_bytes(uint8_t type, const char *what)
{
	struct bytes *b = new_bytes();

	put(b, (const uint8_t[]){ type, 3, 3 }, 3);
	put16(b, strlen(what));
	put(b, what, strlen(what));
	return b;
}

const struct bytes *text_bytes(const char *fmt, ...)
{
	struct bytes *b = new_bytes();
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	must(vasprintf(&text, fmt, ap));
	va_end(ap);
	put(b, text, strlen(text));
	free(text);
	return b;
}

const struct bytes *joined(const struct bytes *a, const struct bytes *b)
{
	struct bytes *r = new_bytes();

	put(r, a->data, a->len);
	put(r, b->data, b->len);
	return r;
}

/* ---- acts ------------------------------------------------------------------------------------ */

static int open_stream(const struct sockaddr_storage *ss, bool mptcp)
{
	struct timeval limit = { .tv_sec = LIMIT_SECONDS };
	/* or the next cases would see what this one sends again and again */
	struct linger reset = { .l_onoff = 1 };
	int fd = must(socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC, mptcp ? IPPROTO_MPTCP : 0));
	int one = 1;

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	return fd;
}

static int write_all(int fd, const uint8_t *p, size_t n, int flags)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL | flags);

		if (k < 0)
			return -errno;
		p += k;
		n -= k;
	}
	return 0;
}

/* Out of pages that stay the writer's. */
static int write_pages(int fd, const struct talk *t)
{
	const struct bytes *b = t->say[0];
	int file, one = 1;
	ssize_t n;

	if (t->by == TALK_ZEROCOPY) {
		must(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
		return write_all(fd, b->data, b->len, MSG_ZEROCOPY);
	}
	file = must(memfd_create("hello", MFD_CLOEXEC));
	must(write(file, b->data, b->len));
	n = sendfile(fd, file, &(off_t){ 0 }, b->len);
	(void)close(file);
	return n < 0 ? -errno : (size_t)n == b->len ? 0 : -EPROTO;
}

static int write_first(int fd, const struct talk *t)
{
	const struct bytes *b = t->say[0];
	int eor = t->eor ? MSG_EOR : 0, err = 0;
	size_t i;

	if (t->by)
		return write_pages(fd, t);

	if (t->singly) {
		for (i = 0; i < b->len && !err; i++)
			err = write_all(fd, b->data + i, 1, eor);
		return err;
	}
	if (t->cut)
		err = write_all(fd, b->data, t->cut, eor);
	if (err)
		return err;
	return write_all(fd, b->data + t->cut, b->len - t->cut, t->urgent ? MSG_OOB : 0);
}

static int read_echo(int fd, const struct bytes *b)
{
	static uint8_t back[TALK_MAX];
	ssize_t n = recv(fd, back, b->len, MSG_WAITALL);

	if (n < 0)
		return -errno;
	return (size_t)n == b->len && !memcmp(back, b->data, n) ? 0 : -EPROTO;
}

static int talk_on(int fd, const struct talk *t, size_t from)
{
	size_t i;
	int err = 0;

	for (i = from; i < ARRAY_SIZE(t->say) && t->say[i] && !err; i++) {
		err = i ? write_all(fd, t->say[i]->data, t->say[i]->len, 0) : write_first(fd, t);
		if (!err && !(t->deaf_from && i + 1 >= t->deaf_from))
			err = read_echo(fd, t->say[i]);
	}
	return err;
}

static int use_before(int fd, const struct talk *t, const struct sockaddr_storage *ss,
		      socklen_t len)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int err;

	if (connect(fd, (const void *)ss, len))
		return -errno;
	err = write_all(fd, t->say[1]->data, t->say[1]->len, 0);
	if (!err)
		err = read_echo(fd, t->say[1]);
	return err ? err : connect(fd, &none, sizeof(none)) ? -errno : 0;
}

int act_talk(const void *arg)
{
	const struct talk *t = arg;
	struct sockaddr_storage ss;
	socklen_t len = net_sockaddr(&t->to, &ss);
	_cleanup_close_ int fd = open_stream(&ss, t->mptcp);
	struct talk once = *t;
	int err = 0;

	if (t->first_good) {
		err = use_before(fd, t, &ss, len);
		once.say[1] = NULL;
	}
	if (err)
		return err;
	if (t->fastopen) {
		if (sendto(fd, t->say[0]->data, t->say[0]->len, MSG_FASTOPEN | MSG_NOSIGNAL,
			   (void *)&ss, len) < 0)
			return -errno;
		if (t->deaf_from != 1)
			err = read_echo(fd, t->say[0]);
		return err ? err : talk_on(fd, &once, 1);
	}
	if (connect(fd, (void *)&ss, len))
		return -errno;
	return talk_on(fd, &once, 0);
}

int act_talk_cuts(const void *arg)
{
	struct talk t = *(const struct talk *)arg;
	size_t i;

	for (i = 1; i < t.say[0]->len; i++) {
		t.cut = i;
		if (act_talk(&t))
			return i;
	}
	return 0;
}

/* ---- cases ------------------------------------------------------------------------ */

/* All of `n` events are refusals of a server name; those of TCP are one a connection. */
void talk_refused(struct box *b, size_t n, const struct talk_row *r, const struct talk *t)
{
	const char *name = r->event ? r->event : r->hello.name ? r->hello.name : "";
	_cleanup_free_ struct seen *e = NULL;
	size_t got = box_events(b, &e), i;

	check(got == n, "%zu events, expected %zu", got, n);
	for (i = 0; i < got; i++) {
		bool right = e[i].op == EG_OP_SERVER_NAME && e[i].reason == r->reason &&
			     e[i].verdict == EG_VERDICT_DENIED && e[i].error == EPERM &&
			     e[i].proto == IPPROTO_TCP && e[i].port == t->to.port && e[i].aux &&
			     str_eq(e[i].path, name);

		if (check(right, "another event; expected the name \"%s\"", name))
			continue;
		seen_print(&e[i]);
		return;
	}
}

void talk_passed(struct box *b, const char *what, int result)
{
	_cleanup_free_ struct seen *e = NULL;
	size_t n = box_events(b, &e), i;

	check(!result, "%s: %s, expected an answer", what, result_text(result));
	check(!n, "%zu events, expected none", n);
	for (i = 0; i < n; i++)
		seen_print(&e[i]);
}

static struct talk talk_of(const struct talk_row *r)
{
	struct talk t = r->talk;

	if (!t.to.addr)
		t.to = (struct net_target){ NET_OK4, 443 };
	if (!t.say[0])
		t.say[0] = hello_bytes(&r->hello);
	return t;
}

/* What of a refused conversation was fine. */
static size_t allowed_bytes(const struct talk *t)
{
	size_t n = t->first_good ? t->say[1]->len : 0, i;

	for (i = 0; i + 1 < t->deaf_from; i++)
		n += t->say[i]->len;
	return n;
}

void talk_row(struct box *b, const struct talk_row *r)
{
	struct talk t = talk_of(r), control = t;
	int result;

	if (!case_begin("%s", r->title))
		return;
	box_events_drop(b);
	/* nobody reads the urgent byte */
	control.deaf_from = t.urgent;
	result = box_run(NULL, AS_ROOT, act_talk, &control);
	check(!result, "control: %s", result_text(result));
	if (r->reason == TALK_PASSES) {
		talk_passed(b, "root", box_run(b, AS_ROOT, act_talk, &t));
		talk_passed(b, "user", box_run(b, AS_USER, act_talk, &t));
		case_end();
		return;
	}
	net_reset();
	t.deaf_from = r->talk.deaf_from ? r->talk.deaf_from : 1;
	result = box_run(b, AS_ROOT, act_talk, &t);
	check(!result, "root: %s", result_text(result));
	result = box_run(b, AS_USER, act_talk, &t);
	check(!result, "user: %s", result_text(result));
	talk_refused(b, 2, r, &t);
	check(net_seen(NET_OK).tcp_bytes == 2 * allowed_bytes(&t), "the host heard another amount");
	case_end();
}

/* Until the kernel has refused something; it tries again what it could not send. */
static bool wait_refused(struct box *b, uint64_t before)
{
	int i;

	for (i = 0; i < 2000 && box_counters(b)->denied == before; i++)
		(void)poll(NULL, 0, 10);
	return box_counters(b)->denied != before;
}

void talk_pieces(struct box *b, const char *title, struct talk t)
{
	const struct talk_row r = { .reason = EG_WHY_NO_NAME, .event = "" };
	uint64_t before = box_counters(b)->denied;
	struct child c;

	if (!case_begin("%s", title))
		return;
	if (!t.to.addr)
		t.to = (struct net_target){ NET_OK4, 443 };
	box_events_drop(b);
	net_reset();
	child_start(&c, b, AS_USER, act_talk, &t);
	check(wait_refused(b, before), "nothing was refused");
	must(kill(c.pid, SIGKILL));
	(void)child_wait(&c); /* a refusal is counted, then told of */
	talk_refused(b, 1, &r, &t);
	check(!net_seen(NET_OK).tcp_bytes, "the host heard some of it");
	case_end();
}
