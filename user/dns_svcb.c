// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The parameters of SVCB and HTTPS records, RFC 9460 2.2. */
#include <errno.h>
#include <string.h>

#include "dns_wire.h"

struct param {
	uint16_t key, len;
	uint8_t *value;
};

#define SVCB_MANDATORY 0
#define SVCB_IPV4HINT 4
#define SVCB_ECH 5
#define SVCB_IPV6HINT 6

static uint16_t filter_hints(struct param *p, bool (*keep)(void *ctx, const uint8_t addr[16]),
			     void *ctx)
{
	uint16_t one = p->key == SVCB_IPV4HINT ? 4 : 16, out = 0;
	uint8_t addr[16];

	for (uint16_t at = 0; at < p->len; at += one) {
		if (one == 4)
			dns_address_map(p->value + at, addr);
		else
			memcpy(addr, p->value + at, 16);
		if ((one == 16 && dns_address_is_v4(addr)) || !keep(ctx, addr))
			continue;
		memmove(p->value + out, p->value + at, one);
		out += one;
	}
	return out;
}

/* Is a key that is removed one without which the record must not be used? */
static bool mandatory(const uint8_t *list, uint16_t len, uint16_t key)
{
	for (uint16_t i = 0; i + 1 < len; i += 2)
		if (ldns_read_uint16(list + i) == key)
			return true;
	return false;
}

int dns_svcb_filter(uint8_t *params, size_t *len, bool (*keep)(void *ctx, const uint8_t addr[16]),
		    void *ctx)
{
	const uint8_t *needed = NULL;
	size_t at = 0, out = 0;
	uint16_t nneeded = 0;
	int last = -1;

	while (at < *len) {
		struct param p;
		uint16_t left;

		if (*len - at < 4)
			return -EBADMSG;
		p.key = ldns_read_uint16(params + at);
		p.len = ldns_read_uint16(params + at + 2);
		p.value = params + at + 4;
		at += 4;
		if (*len - at < p.len || p.key <= last)
			return -EBADMSG;
		at += p.len;
		last = p.key;
		left = p.len;
		if (p.key == SVCB_MANDATORY) {
			if (!p.len || p.len % 2)
				return -EBADMSG;
			needed = params + out + 4; /* where it is moved to */
			nneeded = p.len;
		} else if (p.key == SVCB_IPV4HINT || p.key == SVCB_IPV6HINT) {
			if (!p.len || p.len % (p.key == SVCB_IPV4HINT ? 4 : 16))
				return -EBADMSG;
			left = filter_hints(&p, keep, ctx);
		}
		if (p.key == SVCB_ECH || (p.len && !left)) {
			if (mandatory(needed, nneeded, p.key))
				return -EBADMSG;
			continue;
		}
		memmove(params + out + 4, p.value, left);
		ldns_write_uint16(params + out, p.key);
		ldns_write_uint16(params + out + 2, left);
		out += 4u + left;
	}
	*len = out;
	return 0;
}
