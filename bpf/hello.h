/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a client says first: the server name in a TLS ClientHello (RFC 8446 4.1.2,
 * RFC 6066 3), the Host and the target of an HTTP/1 request (RFC 9112). Compiled
 * by the kernel programs, which step through it with bpf_loop(), and by user
 * space, which has plain loops, to be fuzzed.
 *
 * Strict: what two servers could read in two ways is bad. Nothing here is kept
 * outside of struct eg_hello, which is a map value in the kernel: kernels before
 * 6.7 forget what a loop leaves on the stack.
 *
 * Who includes this defines hello_load(pkt, offset, to, bytes): 0, or not when
 * the packet ends before.
 */
#ifndef EGRESSCTL_HELLO_H
#define EGRESSCTL_HELLO_H

#include "egressctl.h"

#define HELLO_NAME_MAX 256u /* EG_MAX_SERVER_NAME and what shows that it is over */
#define HELLO_LABELS 32u /* of a name; power of two */
#define HELLO_EXTENSIONS 64u
#define HELLO_HTTP_MAX 8192u /* bytes of a request's head; as in nginx and Apache */

enum hello_result {
	HELLO_OK = 0,
	HELLO_MORE, /* not all of it is here */
	HELLO_BAD, /* malformed, or readable in two ways */
	HELLO_NO_NAME, /* no server name, or an encrypted one (ECH) */
	HELLO_AGAIN, /* another ClientHello can follow, at h->at */
};

enum hello_kind {
	HELLO_TLS = 1,
	HELLO_HTTP, /* target is a path: `host` counts */
	HELLO_HTTP_ABSOLUTE, /* target is http://name[:port]/…: both names count */
	HELLO_HTTP_CONNECT, /* target is name:port */
};

/* eg_hello.seen: header fields */
#define HELLO_F_HOST (1u << 0)
#define HELLO_F_LENGTH (1u << 1)
#define HELLO_F_ENCODING (1u << 2) /* Transfer-Encoding */
#define HELLO_F_UPGRADE (1u << 3)

enum hello_phase {
	HELLO_METHOD = 0,
	HELLO_TARGET,
	HELLO_SCHEME,
	HELLO_AUTHORITY,
	HELLO_PORT,
	HELLO_PATH,
	HELLO_VERSION,
	HELLO_LINE_LF,
	HELLO_LINE, /* a field or the empty line begins */
	HELLO_FIELD,
	HELLO_SPACE, /* before a value */
	HELLO_VALUE,
	HELLO_END_LF,
	HELLO_END,
};

struct eg_hello {
	/* of the flow */
	__u32 until; /* sequence number up to which the bytes belong to what was judged */
	__u32 tunnel; /* port that a CONNECT was allowed to; 0: none */
	/* what to look at: set by the caller */
	__u32 at; /* offset in the packet */
	__u32 end;
	__u32 seq; /* of the byte at `at` */
	__u32 want; /* classes that open this destination; one of them must be the name's */
	__u32 mode; /* EG_CL_* of them */
	/* result */
	__u32 said; /* classes of `want` that all names said on the flow are allowed in */
	__u64 length; /* Content-Length */
	__u32 target_port; /* 0: none given */
	__u32 host_port; /* the same, of the Host field */
	__u16 name_len; /* TLS, or of the target */
	__u16 host_len; /* of the Host field */
	__u8 kind; /* enum hello_kind */
	__u8 result; /* enum hello_result */
	__u8 seen; /* HELLO_F_* */
	/* where the HTTP machine is */
	__u8 phase;
	__u8 pos; /* in a word that is compared */
	__u8 match; /* HELLO_F_* of the fields that it can still be */
	__u8 field; /* whose value this is, or 0 */
	__u8 tail; /* of Host: the port, or the space behind it */
	__u8 digits;
	__u8 flow; /* enum hello_kind of what was judged last; 0: nothing yet */
	__u8 pad[2];
	/* a look for the packet in the queues of its socket, kernel addresses */
	__u64 node;
	__u64 queued;
	/* a name on its way through the automaton */
	__u32 state; /* of the label being fed */
	__u32 nlabels;
	__u32 labels[HELLO_LABELS]; /* states of the labels, the first one first */
	__u32 feed; /* next byte of the name */
	__u32 group;
	__u32 classes; /* of the name */
	__u32 bad;
	__u8 name[HELLO_NAME_MAX];
	__u8 host[HELLO_NAME_MAX];
};

static inline __attribute__((always_inline)) void hello_reset(struct eg_hello *h)
{
	h->length = 0;
	h->target_port = 0;
	h->host_port = 0;
	h->name_len = 0;
	h->host_len = 0;
	h->kind = 0;
	h->result = HELLO_MORE;
	h->seen = 0;
	h->phase = HELLO_METHOD;
	h->pos = 0;
	h->match = 0;
	h->field = 0;
	h->tail = 0;
	h->digits = 0;
}

/* ---- TLS ----------------------------------------------------------------------- */

static inline __attribute__((always_inline)) __u32 hello_be16(const __u8 *p)
{
	return (__u32)p[0] << 8 | p[1];
}

#define TLS_CHANGE_CIPHER_SPEC 20
#define TLS_ALERT 21
#define TLS_HANDSHAKE 22
#define TLS_APPLICATION_DATA 23
#define TLS_CLIENT_HELLO 1
#define TLS_EXT_SERVER_NAME 0
#define TLS_EXT_EARLY_DATA 42
#define TLS_EXT_ECH 0xfe0d /* encrypted_client_hello */

/*
 * The head, up to the extensions: h->at is at the first of them then, h->end behind
 * the last. h->result is set when there is nothing to step through.
 */
static inline __attribute__((always_inline)) void hello_tls_begin(struct eg_hello *h, void *pkt)
{
	__u8 b[9], two[2], one;
	__u32 at = h->at, record_end, hello_end, len;

	h->kind = HELLO_TLS;
	h->result = HELLO_MORE;
	if (hello_load(pkt, at, b, 9))
		return;
	h->result = HELLO_BAD;
	/* type 22, version 3.x, length; handshake type 1, length */
	if (b[0] != TLS_HANDSHAKE || b[1] != 3 || b[5] != TLS_CLIENT_HELLO || b[6])
		return;
	record_end = at + 5 + hello_be16(b + 3);
	hello_end = at + 9 + hello_be16(b + 7);
	/* one record, and nothing in it behind the hello */
	if (hello_end != record_end)
		return;
	if (record_end > h->end)
		h->result = HELLO_MORE;
	/* nobody goes on before the server answered, but with early data: see below */
	if (record_end != h->end)
		return;
	at += 9 + 2 + 32; /* version, random */
	if (hello_load(pkt, at, &one, 1) || one > 32)
		return;
	at += 1 + one; /* session */
	if (hello_load(pkt, at, two, 2))
		return;
	at += 2 + hello_be16(two); /* ciphers */
	if (hello_load(pkt, at, &one, 1))
		return;
	at += 1 + one; /* compression */
	h->name_len = 0;
	if (at == hello_end) { /* no extensions at all */
		h->at = h->end = hello_end;
		h->result = HELLO_NO_NAME;
		return;
	}
	if (hello_load(pkt, at, two, 2))
		return;
	len = hello_be16(two);
	at += 2;
	if (at > hello_end || at + len != hello_end)
		return;
	h->at = at;
	h->end = hello_end;
	h->result = HELLO_NO_NAME;
}

/* One name of type host_name in a list of one; servers take others for an error, too. */
static inline __attribute__((always_inline)) int hello_server_name(struct eg_hello *h, void *pkt,
								   __u32 at, __u32 len)
{
	__u8 b[5];
	__u32 n;

	if (h->name_len || len < 6 || hello_load(pkt, at, b, 5))
		return -1;
	n = hello_be16(b + 3);
	if (hello_be16(b) != len - 2 || b[2] || n != len - 5 || !n || n > EG_MAX_SERVER_NAME)
		return -1;
	/* 1 … 256, which the compiler knows and the verifier does not */
	n--;
	asm volatile("" : "+r"(n));
	n = (n & (HELLO_NAME_MAX - 1)) + 1;
	if (hello_load(pkt, at + 5, h->name, n))
		return -1;
	h->name_len = n;
	return 0;
}

/*
 * One extension. 1: it was the last, or h->result says why not to go on.
 *
 * Early data would have to be read through until a second ClientHello comes, which
 * can name another server: see hello_tls_next().
 */
static inline __attribute__((always_inline)) long hello_tls_step(struct eg_hello *h, void *pkt)
{
	__u32 at = h->at, type, len;
	__u8 b[4];

	if (at == h->end)
		return 1;
	h->result = HELLO_BAD;
	if (at + 4 > h->end || hello_load(pkt, at, b, 4))
		return 1;
	type = hello_be16(b);
	len = hello_be16(b + 2);
	at += 4;
	if (at + len > h->end)
		return 1;
	if (type == TLS_EXT_EARLY_DATA ||
	    (type == TLS_EXT_SERVER_NAME && hello_server_name(h, pkt, at, len)))
		return 1;
	h->result = HELLO_NO_NAME;
	if (type == TLS_EXT_ECH) {
		h->name_len = 0;
		return 1;
	}
	h->at = at + len;
	h->result = h->name_len ? HELLO_OK : HELLO_NO_NAME;
	return 0;
}

/* After the last step: only a hello that was read to its end counts. */
static inline __attribute__((always_inline)) void hello_tls_end(struct eg_hello *h)
{
	if (h->result == HELLO_OK && h->at != h->end)
		h->result = HELLO_BAD; /* more extensions than anybody sends */
}

/*
 * What follows a ClientHello, from h->at. A server that misses something in it asks
 * for another one (HelloRetryRequest, RFC 8446 4.1.4), and OpenSSL takes the name
 * of that. HELLO_OK: the handshake is beyond that. HELLO_AGAIN: a ClientHello begins
 * at h->at, or what comes next can still be one.
 *
 * In front of it servers ignore a few alerts, and change_cipher_spec, which also
 * precedes the Finished of a session resumed in TLS 1.2. That is encrypted: one in
 * 32768 looks like a ClientHello here.
 */
static inline __attribute__((always_inline)) void hello_tls_next(struct eg_hello *h, void *pkt)
{
	__u8 b[7];
	__u32 len;

	for (int i = 0; i < 4; i++) {
		h->result = HELLO_AGAIN;
		if (h->at == h->end)
			return;
		h->result = HELLO_MORE;
		if (hello_load(pkt, h->at, b, 6))
			return;
		len = hello_be16(b + 3);
		h->result = HELLO_BAD;
		if (b[1] != 3)
			return;
		if (b[0] == TLS_APPLICATION_DATA) {
			h->result = HELLO_OK;
			return;
		}
		if (b[0] == TLS_HANDSHAKE) {
			/* records without a byte, or without the length, hide what it is */
			if (len < 4)
				return;
			h->result = HELLO_MORE;
			if (hello_load(pkt, h->at, b, 7))
				return;
			h->result = b[5] == TLS_CLIENT_HELLO && b[6] <= 1 ? HELLO_AGAIN : HELLO_OK;
			return;
		}
		if ((b[0] != TLS_CHANGE_CIPHER_SPEC && b[0] != TLS_ALERT) || !len || len > 2)
			return;
		h->result = HELLO_MORE;
		if (h->at + 5 + len > h->end)
			return;
		h->at += 5 + len;
	}
	h->result = HELLO_BAD;
}

/* ---- HTTP ------------------------------------------------------------------------ */

static const char hello_fields[4][32] = {
	"host", "content-length", "transfer-encoding", "upgrade",
};
static const __u8 hello_field_len[4] = { 4, 14, 17, 7 };
static const char hello_words[3][8] = { "CONNECT", "http://", "HTTP/1." };

static inline __attribute__((always_inline)) __u8 hello_lower(__u8 c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/*
 * A table, because the verifier follows each comparison of a byte both ways and remembers what it
 * was compared with: with ranges, names' bytes were a fifth of all that it looked at for a start.
 */
#define HELLO_B_NAME (1u << 0) /* can be in a name */
#define HELLO_B_UPPER (1u << 5) /* a capital; what makes it a small letter */

static const __u8 hello_bytes[256] = {
	['a' ... 'z'] = HELLO_B_NAME, ['0' ... '9'] = HELLO_B_NAME, ['-'] = HELLO_B_NAME,
	['.'] = HELLO_B_NAME, ['_'] = HELLO_B_NAME,
	['A' ... 'Z'] = HELLO_B_NAME | HELLO_B_UPPER,
};

/* As a small letter; 0: in no name. */
static inline __attribute__((always_inline)) __u8 hello_name_byte(__u8 c)
{
	__u8 is = hello_bytes[c];

	return is ? c | (is & HELLO_B_UPPER) : 0;
}

/* RFC 9110 5.6.2, but for the few that no header has */
static inline __attribute__((always_inline)) int hello_is_token(__u8 c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '_' || c == '.' || c == '!' || c == '#' || c == '$' || c == '%' ||
	       c == '&' || c == '\'' || c == '*' || c == '+' || c == '^' || c == '`' || c == '|' ||
	       c == '~';
}

static inline __attribute__((always_inline)) int hello_bad(struct eg_hello *h)
{
	h->result = HELLO_BAD;
	return 1;
}

static inline __attribute__((always_inline)) int hello_digit(struct eg_hello *h, __u8 c, __u64 *n)
{
	if (c < '0' || c > '9' || ++h->digits > 15)
		return hello_bad(h);
	*n = *n * 10 + (c - '0');
	return 0;
}

static inline __attribute__((always_inline)) int hello_method(struct eg_hello *h, __u8 c)
{
	if (c == ' ') {
		if (!h->pos)
			return hello_bad(h);
		h->kind = h->pos == 7 && h->match ? HELLO_HTTP_CONNECT : HELLO_HTTP;
		h->phase = h->kind == HELLO_HTTP_CONNECT ? HELLO_AUTHORITY : HELLO_TARGET;
		h->pos = 0;
		return 0;
	}
	if (((c < 'A' || c > 'Z') && c != '-') || h->pos >= 24)
		return hello_bad(h);
	if (!h->pos)
		h->match = 1;
	if (h->pos >= 7 || c != (__u8)hello_words[0][h->pos & 7])
		h->match = 0;
	h->pos++;
	return 0;
}

/* A fixed word, then the next phase. */
static inline __attribute__((always_inline)) int hello_word(struct eg_hello *h, __u8 c,
							    __u32 word, __u8 next)
{
	if (c != (__u8)hello_words[word & 1 ? 1 : 2][h->pos & 7])
		return hello_bad(h);
	if (++h->pos == 7) {
		h->phase = next;
		h->pos = 0;
	}
	return 0;
}

/* Where the target goes on after its name and port. */
static inline __attribute__((always_inline)) int hello_after_authority(struct eg_hello *h, __u8 c)
{
	if (!h->name_len || h->target_port > 65535 || (h->phase == HELLO_PORT && !h->target_port))
		return hello_bad(h);
	/* '?' would begin a query, or go on as a user's name up to an '@' */
	if (h->kind == HELLO_HTTP_CONNECT ? c != ' ' || !h->target_port : c != ' ' && c != '/')
		return hello_bad(h);
	h->phase = c == ' ' ? HELLO_VERSION : HELLO_PATH;
	h->pos = 0;
	return 0;
}

static inline __attribute__((always_inline)) int hello_authority(struct eg_hello *h, __u8 c)
{
	__u8 b = hello_name_byte(c);
	__u32 n = h->name_len;

	if (b) {
		if (n >= EG_MAX_SERVER_NAME)
			return hello_bad(h);
		h->name[n & (HELLO_NAME_MAX - 1)] = b;
		h->name_len = n + 1;
		return 0;
	}
	if (c == ':') {
		h->phase = HELLO_PORT;
		h->digits = 0;
		return 0;
	}
	return hello_after_authority(h, c);
}

static inline __attribute__((always_inline)) int hello_request(struct eg_hello *h, __u8 c)
{
	__u64 port;

	switch (h->phase) {
	case HELLO_METHOD:
		return hello_method(h, c);
	case HELLO_TARGET:
		if (c == '/') {
			h->phase = HELLO_PATH;
			return 0;
		}
		h->kind = HELLO_HTTP_ABSOLUTE;
		h->phase = HELLO_SCHEME;
		return hello_word(h, hello_lower(c), 1, HELLO_AUTHORITY);
	case HELLO_SCHEME:
		return hello_word(h, hello_lower(c), 1, HELLO_AUTHORITY);
	case HELLO_AUTHORITY:
		return hello_authority(h, c);
	case HELLO_PORT:
		if (c < '0' || c > '9')
			return hello_after_authority(h, c);
		port = h->target_port;
		if (h->digits >= 5 || hello_digit(h, c, &port))
			return hello_bad(h);
		h->target_port = port;
		return 0;
	case HELLO_PATH:
		if (c == ' ') {
			h->phase = HELLO_VERSION;
			h->pos = 0;
			return 0;
		}
		return c <= ' ' || c == 0x7f ? hello_bad(h) : 0;
	default: /* HELLO_VERSION */
		if (h->pos < 7) {
			if (c != (__u8)hello_words[2][h->pos & 7])
				return hello_bad(h);
		} else if (h->pos == 7) {
			if (c != '0' && c != '1')
				return hello_bad(h);
		} else {
			h->phase = HELLO_LINE_LF;
			return c == '\r' ? 0 : hello_bad(h);
		}
		h->pos++;
		return 0;
	}
}

static inline __attribute__((always_inline)) int hello_field_name(struct eg_hello *h, __u8 c)
{
	__u32 pos = h->pos, at;

	if (c == ':') {
		__u8 is = 0;

		for (int i = 0; i < 4; i++)
			if ((h->match & (1 << i)) && pos == hello_field_len[i])
				is = 1 << i;
		if (!pos || (h->seen & is))
			return hello_bad(h); /* none, or twice: which one counts? */
		h->seen |= is;
		h->field = is;
		h->digits = 0;
		h->phase = HELLO_SPACE;
		return 0;
	}
	if (!hello_is_token(c))
		return hello_bad(h);
	c = hello_lower(c);
	/* behind its last byte each field has NULs, which are no part of a name */
	at = pos > 31 ? 31 : pos;
	asm volatile("" : "+r"(at)); /* for the verifier, which forgets what the compiler knows */
	at &= 31;
	for (int i = 0; i < 4; i++)
		if (c != (__u8)hello_fields[i][at])
			h->match &= ~(1 << i);
	if (pos < 255)
		h->pos = pos + 1;
	return 0;
}

static inline __attribute__((always_inline)) int hello_host(struct eg_hello *h, __u8 c)
{
	__u8 b = hello_name_byte(c);
	__u32 n = h->host_len;

	if (c == ' ' || c == '\t') {
		h->tail = 2;
		return 0;
	}
	if (h->tail == 2)
		return hello_bad(h);
	if (h->tail == 1) {
		__u64 port = h->host_port;

		if (h->digits >= 5 || hello_digit(h, c, &port))
			return hello_bad(h);
		h->host_port = port;
		return 0;
	}
	if (c == ':') {
		h->tail = 1;
		return 0;
	}
	if (!b || n >= EG_MAX_SERVER_NAME)
		return hello_bad(h);
	h->host[n & (HELLO_NAME_MAX - 1)] = b;
	h->host_len = n + 1;
	return 0;
}

static inline __attribute__((always_inline)) int hello_value(struct eg_hello *h, __u8 c)
{
	if (c == '\r') {
		if (h->field == HELLO_F_LENGTH && !h->digits)
			return hello_bad(h);
		h->phase = HELLO_LINE_LF;
		return 0;
	}
	if (c == '\n' || !c)
		return hello_bad(h);
	if (h->phase == HELLO_SPACE) {
		if (c == ' ' || c == '\t')
			return 0;
		h->phase = HELLO_VALUE;
		h->tail = 0;
	}
	if (h->field == HELLO_F_HOST)
		return hello_host(h, c);
	if (h->field == HELLO_F_LENGTH)
		return hello_digit(h, c, &h->length);
	return 0;
}

/* The next byte of a request's head. 1: it ended; h->result says how. */
static inline __attribute__((always_inline)) long hello_http_step(struct eg_hello *h, __u8 c)
{
	if (h->phase <= HELLO_VERSION)
		return hello_request(h, c);
	switch (h->phase) {
	case HELLO_LINE_LF:
		h->phase = HELLO_LINE;
		return c == '\n' ? 0 : hello_bad(h);
	case HELLO_LINE:
		if (c == '\r') {
			h->phase = HELLO_END_LF;
			return 0;
		}
		h->phase = HELLO_FIELD;
		h->pos = 0;
		h->match = 0xf;
		return hello_field_name(h, c);
	case HELLO_FIELD:
		return hello_field_name(h, c);
	case HELLO_SPACE:
	case HELLO_VALUE:
		return hello_value(h, c);
	case HELLO_END_LF:
		h->phase = HELLO_END;
		h->result = c == '\n' ? HELLO_OK : HELLO_BAD;
		return 1;
	default:
		return hello_bad(h);
	}
}

#endif
