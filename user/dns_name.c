// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names from and to the wire, reverse names, addresses that names should not have. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dns_name.h"
#include "util.h"

#define LABEL_MAX 63u
#define JUMPS_MAX 32u

static bool plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* One byte of a label; returns what was added. `strange` is set for bytes that are not ours. */
static size_t put_byte(char *out, uint8_t c, bool *strange)
{
	c = lower(c);
	if (plain(c)) {
		*out = (char)c;
		return 1;
	}
	*strange = true;
	if (c > ' ' && c < 0x7f && c != '.' && c != '\\') {
		*out = (char)c;
		return 1;
	}
	return (size_t)snprintf(out, 5, "\\%03u", c);
}

int dns_name_read(const uint8_t *msg, size_t len, size_t *pos, bool compressed,
		  char text[DNS_NAME_ESCAPED])
{
	size_t at = *pos, out = 0, wire = 1, barrier = at, end = 0, jumps = 0;
	bool strange = false;
	uint8_t n;

	for (;;) {
		if (at >= len)
			return -EBADMSG;
		n = msg[at];
		if ((n & 0xc0) == 0xc0 && compressed && at + 1 < len) {
			if (!end)
				end = at + 2;
			at = (size_t)(n & 0x3f) << 8 | msg[at + 1];
			if (at >= barrier || ++jumps > JUMPS_MAX)
				return -EBADMSG;
			barrier = at;
			continue;
		}
		if (n > LABEL_MAX)
			return -EBADMSG;
		at++;
		if (!n)
			break;
		wire += 1u + n;
		if (wire > DNS_NAME_WIRE || at + n > len)
			return -EBADMSG;
		if (out)
			text[out++] = '.';
		for (uint8_t i = 0; i < n; i++)
			out += put_byte(text + out, msg[at + i], &strange);
		at += n;
	}
	text[out] = '\0';
	*pos = end ? end : at;
	return strange;
}

size_t dns_name_wire(const char *text, uint8_t wire[DNS_NAME_WIRE])
{
	size_t at = 0;

	while (*text) {
		size_t n = strcspn(text, ".");

		wire[at++] = (uint8_t)n;
		memcpy(wire + at, text, n);
		at += n;
		text += n + (text[n] == '.');
	}
	wire[at++] = 0;
	return at;
}

bool dns_name_valid(const char *text)
{
	size_t label = 0, i;

	for (i = 0; text[i]; i++) {
		if (i >= DNS_NAME_TEXT - 1)
			return false;
		if (text[i] == '.') {
			if (!label)
				return false;
			label = 0;
		} else if (!plain((uint8_t)text[i]) || ++label > LABEL_MAX) {
			return false;
		}
	}
	return label > 0;
}

bool dns_name_plain(char *text)
{
	size_t n = strlen(text);

	if (n && text[n - 1] == '.')
		text[--n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] += 'a' - 'A';
	return dns_name_valid(text);
}

bool dns_name_within(const char *name, const char *parent)
{
	size_t n = strlen(name), p = strlen(parent);

	return n >= p && str_eq(name + n - p, parent) && (n == p || !p || name[n - p - 1] == '.');
}

static int reverse4(const char *name, uint8_t addr[16])
{
	uint8_t v4[4];

	for (int i = 3; i >= 0; i--) {
		size_t n = strcspn(name, ".");
		uint64_t v;
		char text[4];

		if (!n || n >= sizeof(text) || name[n] != '.')
			return -EINVAL;
		memcpy(text, name, n);
		text[n] = '\0';
		if (parse_u64(text, 0, 255, &v))
			return -EINVAL;
		v4[i] = (uint8_t)v;
		name += n + 1;
	}
	if (!str_eq(name, "in-addr.arpa"))
		return -EINVAL;
	dns_address_map(v4, addr);
	return 0;
}

int dns_name_reverse(const char *name, uint8_t addr[16])
{
	static const char hex[] = "0123456789abcdef";

	if (str_ends(name, ".in-addr.arpa"))
		return reverse4(name, addr);
	if (strlen(name) != strlen("ip6.arpa") + 64 || !str_eq(name + 64, "ip6.arpa"))
		return -EINVAL;
	for (int i = 0; i < 32; i++) {
		const char *digit = strchr(hex, name[2 * i]);
		int byte = 15 - i / 2;

		if (!digit || name[2 * i + 1] != '.')
			return -EINVAL;
		if (i % 2)
			addr[byte] |= (uint8_t)((digit - hex) << 4);
		else
			addr[byte] = (uint8_t)(digit - hex);
	}
	return 0;
}

/* ---- addresses --------------------------------------------------------------------- */

void dns_address_map(const uint8_t v4[4], uint8_t addr[16])
{
	memset(addr, 0, 10);
	addr[10] = addr[11] = 0xff;
	memcpy(addr + 12, v4, 4);
}

static bool within(const uint8_t *addr, const uint8_t *prefix, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	return memcmp(addr, prefix, whole) == 0 &&
	       (!rest || !((addr[whole] ^ prefix[whole]) >> (8 - rest)));
}

bool dns_address_is_v4(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return within(addr, mapped, 96);
}

/*
 * IANA's registries of special-purpose addresses, but for the documentation
 * prefixes, which nobody routes, and which stand for the public in tests.
 */
static bool special4(const uint8_t v4[4])
{
	static const struct {
		uint8_t prefix[4], bits;
	} ranges[] = {
		{ { 0 }, 8 }, /* "this network": Linux takes 0.0.0.0 for the loopback */
		{ { 10 }, 8 },
		{ { 100, 64 }, 10 }, /* RFC 6598; Alibaba's metadata */
		{ { 127 }, 8 },
		{ { 168, 63, 129, 16 }, 32 }, /* Azure's agent and metadata channel */
		{ { 169, 254 }, 16 },
		{ { 172, 16 }, 12 },
		{ { 192, 0, 0 }, 24 }, /* protocol assignments; Oracle's metadata */
		{ { 192, 168 }, 16 },
		{ { 198, 18 }, 15 }, /* benchmarks; used as private by some */
		{ { 224 }, 4 }, /* multicast */
		{ { 240 }, 4 }, /* reserved, broadcast */
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (within(v4, ranges[i].prefix, ranges[i].bits))
			return true;
	return false;
}

bool dns_address_special(const uint8_t addr[16])
{
	static const struct {
		uint8_t prefix[16], bits;
		int8_t v4_at; /* judged by the IPv4 address there; -1: always special */
	} ranges[] = {
		{ { [10] = 0xff, [11] = 0xff }, 96, 12 },
		{ { 0 }, 96, -1 }, /* ::, ::1, and the old IPv4-compatible ones */
		{ { [8] = 0xff, [9] = 0xff }, 96, -1 }, /* RFC 2765 translated */
		{ { 0x00, 0x64, 0xff, 0x9b }, 96, 12 }, /* NAT64: what DNS64 answers */
		{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, -1 }, /* NAT64 of a site */
		{ { 0x01 }, 64, -1 }, /* discard */
		{ { 0x20, 0x01 }, 32, -1 }, /* Teredo */
		{ { 0x20, 0x02 }, 16, 2 }, /* 6to4 */
		{ { 0xfc }, 7, -1 }, /* unique local */
		{ { 0xfe, 0x80 }, 9, -1 }, /* link-local, the old site-local, and between */
		{ { 0xff }, 8, -1 }, /* multicast */
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (within(addr, ranges[i].prefix, ranges[i].bits))
			return ranges[i].v4_at < 0 || special4(addr + ranges[i].v4_at);
	return false;
}

bool dns_address_loopback(const uint8_t addr[16])
{
	static const uint8_t one[16] = { [15] = 1 };

	return memcmp(addr, one, 16) == 0 || (dns_address_is_v4(addr) && addr[12] == 127);
}
