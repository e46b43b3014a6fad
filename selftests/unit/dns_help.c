// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns_help.h"
#include "util.h"

/* ---- upstream ---------------------------------------------------------------------- */

bool upstream_answer(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
			   struct msg *a)
{
	struct msg name = { 0 };
	uint16_t qtype;

	(void)nth;
	(void)tcp;
	msg_answer(a, q, ANSWER, 0, 0);
	qtype = ldns_read_uint16(a->p + a->len - 4);
	if (qtype != (strchr(u->addr, ':') ? LDNS_RR_TYPE_AAAA : LDNS_RR_TYPE_A))
		return false;
	a->p[7] = 1;
	msg_bytes(&name, a->p + 12, a->len - 4 - 12);
	msg_bytes(a, "\xc0\x0c", 2);
	msg_u16(a, qtype);
	msg_u16(a, 1);
	msg_u32(a, u->ttl);
	if (qtype == LDNS_RR_TYPE_A) {
		msg_u16(a, 4);
		a->len += 4;
		(void)inet_pton(AF_INET, u->addr, a->p + a->len - 4);
	} else {
		msg_u16(a, 16);
		a->len += 16;
		(void)inet_pton(AF_INET6, u->addr, a->p + a->len - 16);
	}
	return false;
}

static int on_udp(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	static struct msg a;
	struct upstream *u = ctx;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	ssize_t n = recvfrom(fd, u->last.p, sizeof(u->last.p), 0, (struct sockaddr *)&peer, &len);
	bool more = n >= 0;

	(void)src;
	(void)revents;
	if (n < 0)
		return 0;
	u->last.len = (size_t)n;
	u->asked++;
	for (unsigned int nth = 0; more; nth++) {
		a.len = 0;
		more = u->answer(u, nth, &u->last, false, &a);
		if (a.len)
			(void)sendto(fd, a.p, a.len, 0, (struct sockaddr *)&peer, len);
	}
	return 0;
}

/* One question of a connection, read as it comes, and the end. */
static int on_tcp(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	static struct msg a;
	struct upstream *u = ctx;
	int c = accept(fd, NULL, NULL);
	uint8_t len[2];

	(void)src;
	(void)revents;
	if (c < 0)
		return 0;
	/* blocks for what the resolver sends in one piece, when the connection is there */
	u->asked_tcp++;
	if (recv(c, len, 2, MSG_WAITALL) == 2) {
		u->last.len = ldns_read_uint16(len);
		assert_int_equal(recv(c, u->last.p, u->last.len, MSG_WAITALL), u->last.len);
		a.len = 0;
		(void)u->answer(u, 0, &u->last, true, &a);
		ldns_write_uint16(len, (uint16_t)a.len);
		if (a.len) {
			(void)send(c, len, 2, MSG_NOSIGNAL);
			(void)send(c, a.p, a.len, MSG_NOSIGNAL);
		}
	}
	close(c);
	return 0;
}

/*
 * The connection comes before its question does: the loop must run in between.
 * TCP_DEFER_ACCEPT shows it when the question is there.
 */
static void defer_accept(int fd)
{
	const int on = 1, tcp_defer_accept = 9; /* linux/tcp.h and netinet/in.h do not mix */

	assert_return_code(setsockopt(fd, IPPROTO_TCP, tcp_defer_accept, &on, sizeof(on)), errno);
}

bool upstream_silent(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		     struct msg *a)
{
	(void)u;
	(void)nth;
	(void)q;
	(void)tcp;
	(void)a;
	return false;
}

void upstream_open(struct upstream *u, sd_event *loop, const char *ip, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t len = sizeof(a);

	*u = (struct upstream){ .loop = loop, .answer = upstream_answer, .addr = "203.0.113.5",
				.ttl = 60 };
	assert_int_equal(inet_pton(AF_INET, ip, &a.sin_addr), 1);
	for (int tries = 0;; tries++) {
		u->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		u->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_return_code(bind(u->udp, (struct sockaddr *)&a, len), errno);
		assert_return_code(getsockname(u->udp, (struct sockaddr *)&a, &len), errno);
		if (!bind(u->tcp, (struct sockaddr *)&a, len))
			break;
		assert_true(!port && tries < 10);
		close(u->udp);
		close(u->tcp);
		a.sin_port = 0;
	}
	u->port = ntohs(a.sin_port);
	assert_return_code(listen(u->tcp, 16), errno);
	defer_accept(u->tcp);
	assert_return_code(sd_event_add_io(loop, &u->io[0], u->udp, EPOLLIN, on_udp, u), 0);
	assert_return_code(sd_event_add_io(loop, &u->io[1], u->tcp, EPOLLIN, on_tcp, u), 0);
}

void upstream_close(struct upstream *u)
{
	for (int i = 0; i < 2; i++)
		u->io[i] = sd_event_source_disable_unref(u->io[i]);
	if (u->udp >= 0)
		close(steal_fd(&u->udp));
	if (u->tcp >= 0)
		close(steal_fd(&u->tcp));
}

/* ---- sandboxes --------------------------------------------------------------------- */

static struct bound *find_bound(struct box *b, const uint8_t addr[16])
{
	for (size_t i = 0; i < b->nbound; i++)
		if (memcmp(b->bound[i].addr, addr, 16) == 0)
			return &b->bound[i];
	return NULL;
}

struct bound *box_bound(struct box *b, const char *addr)
{
	uint8_t a[16];

	return find_bound(b, addr_of(addr, a));
}

static uint32_t box_classes(void *ctx, const char *name)
{
	struct box *b = ctx;

	for (const struct rule *r = b->rules; r && r->name[0]; r++)
		if (str_eq(r->name, name) || (r->name[0] == '.' && str_ends(name, r->name)))
			return r->classes;
	return 0;
}

static bool box_address_ok(void *ctx, const uint8_t addr[16], uint32_t classes)
{
	struct box *b = ctx;
	uint8_t a[16];

	assert_true(classes);
	return b->private_ok && memcmp(addr_of(b->private_ok, a), addr, 16) == 0;
}

static int asking = -1; /* the socket of ask(), while it waits */

static int box_bind(void *ctx, const uint8_t addr[16], uint32_t classes, uint64_t expires)
{
	struct box *b = ctx;
	struct bound *e = find_bound(b, addr);
	char byte;

	assert_true(classes);
	/* the program must not see the address before it is bound */
	assert_int_equal(asking < 0 ? -1 : recv(asking, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
	if (!e) {
		if (b->bind_error)
			return b->bind_error;
		assert_return_code(array_reserve(&b->bound, &b->cap, b->nbound), 0);
		e = &b->bound[b->nbound++];
		memset(e, 0, sizeof(*e));
		memcpy(e->addr, addr, 16);
	}
	e->classes = classes;
	e->expires = expires;
	return 0;
}

static int box_unbind(void *ctx, const uint8_t addr[16])
{
	struct box *b = ctx;
	struct bound *e = find_bound(b, addr);

	assert_non_null(e);
	*e = b->bound[--b->nbound];
	return 0;
}

static uint64_t box_last_used(void *ctx, const uint8_t addr[16])
{
	return find_bound(ctx, addr)->used;
}

static bool box_in_use(void *ctx, const uint8_t addr[16])
{
	return find_bound(ctx, addr)->in_use;
}

static void box_refused(void *ctx, const char *name, uint16_t qtype, const uint8_t addr[16])
{
	struct box *b = ctx;
	char text[INET6_ADDRSTRLEN] = "";
	char *type = ldns_rr_type2str(qtype);

	if (addr && memcmp(addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
		(void)inet_ntop(AF_INET, addr + 12, text, sizeof(text));
	else if (addr)
		(void)inet_ntop(AF_INET6, addr, text, sizeof(text));
	put_text(b->refused, sizeof(b->refused), "%s %s%s%s\n", name, type, addr ? " " : "", text);
	free(type);
}

const struct dns_ops box_ops = {
	.classes = box_classes,
	.address_ok = box_address_ok,
	.bind = box_bind,
	.unbind = box_unbind,
	.last_used = box_last_used,
	.in_use = box_in_use,
	.refused = box_refused,
};

/* ---- all --------------------------------------------------------------------------- */

uint64_t test_clock = 1000 * SEC;

static uint64_t read_clock(void)
{
	return test_clock;
}

void rig_write(struct rig *r, const char *path, const char *text)
{
	char tmp[sizeof(r->dir) + 8];
	FILE *f;

	(void)snprintf(tmp, sizeof(tmp), "%s/new", r->dir);
	f = fopen(tmp, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && !fclose(f));
	assert_return_code(rename(tmp, path), errno);
}

void rig_open(struct rig *r, const char *resolv_conf, const char *hosts, uint32_t timeout_ms)
{
	struct diag d = { 0 };

	memset(r, 0, sizeof(*r));
	assert_return_code(sd_event_new(&r->loop), 0);
	upstream_open(&r->up, r->loop, "127.0.0.1", 0);
	strcpy(r->dir, "/tmp/dns-test-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->resolv_conf, sizeof(r->resolv_conf), "%s/resolv.conf", r->dir);
	(void)snprintf(r->hosts, sizeof(r->hosts), "%s/hosts", r->dir);
	rig_write(r, r->resolv_conf, resolv_conf ? resolv_conf : "nameserver 127.0.0.1\n");
	rig_write(r, r->hosts, hosts ? hosts : "");
	r->o = (struct dns_options){ r->resolv_conf, r->hosts, r->up.port, timeout_ms, read_clock };
	if (dns_new(r->loop, &r->o, &r->dns, &d))
		fail_msg("%s", d.msg);
}

void rig_close(struct rig *r)
{
	dns_free(r->dns);
	upstream_close(&r->up);
	(void)unlink(r->resolv_conf);
	(void)unlink(r->hosts);
	assert_return_code(rmdir(r->dir), errno);
	sd_event_unref(r->loop);
}

void rig_serve(struct rig *r, struct box *b, const struct rule *rules)
{
	struct diag d = { 0 };

	memset(b, 0, sizeof(*b));
	b->rules = rules;
	if (dns_serve(r->dns, -1, &box_ops, b, &b->c, &d))
		fail_msg("%s", d.msg);
}

void asker_open(struct asker *a, const struct box *b, bool v6, bool tcp)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback,
				    .sin6_port = htons(dns_client_port(b->c)) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = in6.sin6_port,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	a->fd = socket(v6 ? AF_INET6 : AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	assert_return_code(a->fd, errno);
	assert_return_code(connect(a->fd, v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
				   v6 ? sizeof(in6) : sizeof(in)), errno);
}

void asker_close(struct asker *a)
{
	close(a->fd);
}

void asker_send(struct asker *a, const struct msg *m, bool tcp)
{
	uint16_t len = htons((uint16_t)m->len);

	if (tcp)
		assert_int_equal(send(a->fd, &len, 2, MSG_NOSIGNAL), 2);
	assert_int_equal(send(a->fd, m->p, m->len, MSG_NOSIGNAL), m->len);
}

struct wait {
	struct asker *a;
	bool tcp, done, ended;
	size_t got; /* with TCP's length */
	uint8_t len[2];
};

static int on_answer(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct wait *w = ctx;
	ssize_t n;

	(void)src;
	(void)revents;
	if (!w->tcp) {
		n = recv(fd, w->a->in.p, sizeof(w->a->in.p), 0);
		assert_true(n > 0);
		w->a->in.len = (size_t)n;
		w->done = true;
		return 0;
	}
	if (w->got < 2)
		n = recv(fd, w->len + w->got, 2 - w->got, 0);
	else
		n = recv(fd, w->a->in.p + w->got - 2,
			 ldns_read_uint16(w->len) - (w->got - 2), 0);
	w->ended = n <= 0;
	w->got += (size_t)MAX(n, 0);
	if (w->got > 2 && w->got == 2u + ldns_read_uint16(w->len)) {
		w->a->in.len = w->got - 2;
		w->done = true;
	}
	return 0;
}

bool asker_wait(struct rig *r, struct asker *a, bool tcp)
{
	struct wait w = { .a = a, .tcp = tcp };
	sd_event_source *src;

	assert_return_code(sd_event_add_io(r->loop, &src, a->fd, EPOLLIN, on_answer, &w), 0);
	while (!w.done && !w.ended)
		assert_return_code(sd_event_run(r->loop, UINT64_MAX), 0);
	sd_event_source_disable_unref(src);
	return w.done;
}

void query_msg(struct msg *m, const char *name, uint16_t qtype, bool edns)
{
	msg_header(m, 0x4711, 0x0100, 1, 0, 0, edns);
	msg_question(m, name, qtype);
	if (edns)
		msg_bytes(m, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
}

const char *ask_msg(struct rig *r, struct box *b, const struct msg *m, bool tcp)
{
	static struct asker a;
	bool ok;

	asker_open(&a, b, false, tcp);
	asker_send(&a, m, tcp);
	asking = a.fd;
	ok = asker_wait(r, &a, tcp);
	asking = -1;
	asker_close(&a);
	if (!ok)
		return "closed\n";
	assert_memory_equal(a.in.p, m->p, 2);
	return msg_text(a.in.p, a.in.len);
}

const char *ask(struct rig *r, struct box *b, const char *name, uint16_t qtype)
{
	static struct msg m;

	query_msg(&m, name, qtype, true);
	return ask_msg(r, b, &m, false);
}

/* ---- as most tests need it --------------------------------------------------------- */

static const struct rule rules[] = {
	{ "www.allowed.test", 1 }, { "other.allowed.test", 2 }, { ".wild.test", 4 }, { "", 0 },
};

struct rig r;
struct box box, second;

static int open_all(uint32_t timeout_ms)
{
	rig_open(&r, "search corp.test lab.test\nnameserver 127.0.0.1\n", NULL, timeout_ms);
	rig_serve(&r, &box, rules);
	rig_serve(&r, &second, rules);
	return 0;
}

/* a slow machine must not look like a silent upstream */
int rig_setup(void **state)
{
	(void)state;
	return open_all(4000);
}

int rig_setup_impatient(void **state)
{
	(void)state;
	return open_all(100);
}

int rig_teardown(void **state)
{
	(void)state;
	rig_close(&r);
	free(box.bound);
	free(second.bound);
	return 0;
}
