/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows that are allowed by name: what a client says first, made by hand, and
 * sandboxes whose names have addresses without a resolver.
 */
#ifndef NAMES_TALK_H
#define NAMES_TALK_H

#include "harness.h"
#include "net_hosts.h"

/* ---- bindings -------------------------------------------------------------------------- */

#define NAMES_FOREVER UINT64_MAX
uint64_t names_now(void); /* ns, CLOCK_BOOTTIME */
/* What the resolver does: the name has this address, too, and it ends at `expires`. */
void names_bind(struct box *b, const char *name, const char *addr, uint64_t expires);
/* When a flow was last allowed by it; dies when it is not bound. */
uint64_t names_used(struct box *b, const char *addr);
void names_unbind(struct box *b, const char *addr);

/* ---- what is said ------------------------------------------------------------------------ */

#define TALK_MAX 20000

struct bytes {
	size_t len;
	uint8_t data[TALK_MAX];
};

struct hello { /* a ClientHello */
	const char *name; /* NULL: no server_name */
	size_t name_len; /* 0: strlen */
	size_t before, behind; /* bytes of other extensions around it */
	size_t count; /* of empty extensions before it */
	bool ech, early, twice, two_names, no_extensions, two_records, wrong_length;
};
/* Kept for good; the nonce of now is not in it. */
const struct bytes *hello_bytes(const struct hello *h);
/* A TLS record: 20 change_cipher_spec, 23 application data. */
const struct bytes *record_bytes(uint8_t type, const char *what);
const struct bytes *text_bytes(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const struct bytes *joined(const struct bytes *a, const struct bytes *b);

/* ---- acts ---------------------------------------------------------------------------------- */

struct talk {
	struct net_target to;
	const struct bytes *say[4]; /* one after the other, each when the answer has come */
	size_t cut; /* the first in two writes, at this byte */
	bool singly; /* the first byte by byte */
	bool eor; /* pieces are never put together (MSG_EOR) */
	bool urgent; /* the last byte of the first is urgent */
	bool fastopen; /* the first is in the SYN */
	enum { TALK_SEND, TALK_SENDFILE, TALK_ZEROCOPY } by; /* the first, whole */
	bool mptcp;
	size_t deaf_from; /* no answer is waited for from this one on, counted from 1; 0: never */
	bool first_good; /* before, on the same socket: say[1] to the end, then AF_UNSPEC */
};

/* 0 when every answer was the echo of what was said. Ends with a reset. */
int act_talk(const void *talk);
/*
 * say[0] cut at every byte, on a connection each. 0, or the first cut that was not
 * answered, or a negative errno. deaf_from: as above.
 */
int act_talk_cuts(const void *talk);

/* ---- cases ------------------------------------------------------------------------ */

#define TALK_PASSES 255 /* in place of enum eg_reason: the answers come */

struct talk_row {
	const char *title;
	struct hello hello;
	struct talk talk; /* to: ok, 443; say[0]: the hello, when they are not given */
	uint8_t reason; /* enum eg_reason */
	const char *event; /* the name in it; NULL: that of the hello */
};

/*
 * Control: answered outside. Then as root and as a user: either all is answered and
 * there is no event, or what is said from talk.deaf_from (else from the first) on is
 * refused with one event, and the host has heard what came before and nothing else.
 */
void talk_row(struct box *b, const struct talk_row *r);
/* The events since the last call are n refusals like this; none, and it was answered. */
void talk_refused(struct box *b, size_t n, const struct talk_row *r, const struct talk *t);
void talk_passed(struct box *b, const char *what, int result);
/*
 * A case of its own: what is said is not all there, or never in one packet. When the
 * kernel has tried often enough it is refused with an event.
 */
void talk_pieces(struct box *b, const char *title, struct talk t);

#endif
