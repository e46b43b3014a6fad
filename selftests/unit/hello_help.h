/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's parser of what a client says first, run over bytes in memory. The
 * loops are those of hello.bpf.h.
 */
#ifndef HELLO_HELP_H
#define HELLO_HELP_H

#include <linux/types.h>
#include <string.h>

/* What stands before the data in a packet: offsets are not the data's own. */
#define HELLO_HEADERS 52u

struct packet {
	const __u8 *data;
	__u32 len;
};

static inline int hello_load(void *ctx, __u32 at, void *to, __u32 bytes)
{
	const struct packet *p = ctx;

	/* as bpf_skb_load_bytes(): nothing is written on failure */
	if (at < HELLO_HEADERS || at - HELLO_HEADERS > p->len ||
	    bytes > p->len - (at - HELLO_HEADERS) || !bytes)
		return -1;
	memcpy(to, p->data + (at - HELLO_HEADERS), bytes);
	return 0;
}

#include "../../bpf/hello.h"

static inline void hello_at(struct eg_hello *h, const struct packet *p)
{
	memset(h, 0xa5, sizeof(*h)); /* a map value still has what was there before */
	h->at = HELLO_HEADERS;
	h->end = HELLO_HEADERS + p->len;
	h->name_len = 0;
	h->host_len = 0;
}

static inline enum hello_result run_tls(struct eg_hello *h, struct packet *p)
{
	hello_at(h, p);
	hello_tls_begin(h, p);
	if (h->result == HELLO_NO_NAME)
		for (__u32 i = 0; i < HELLO_EXTENSIONS + 1; i++)
			if (hello_tls_step(h, p))
				break;
	hello_tls_end(h);
	return h->result;
}

static inline enum hello_result run_next(struct eg_hello *h, struct packet *p)
{
	hello_at(h, p);
	hello_tls_next(h, p);
	return h->result;
}

static inline enum hello_result run_http(struct eg_hello *h, struct packet *p)
{
	hello_at(h, p);
	hello_reset(h);
	for (__u32 i = 0; i < HELLO_HTTP_MAX; i++) {
		__u8 b;

		if (hello_load(p, h->at, &b, 1))
			break;
		h->at++;
		if (hello_http_step(h, b))
			break;
	}
	if (h->result == HELLO_MORE && h->at - HELLO_HEADERS >= HELLO_HTTP_MAX)
		h->result = HELLO_BAD;
	return h->result;
}

#endif
