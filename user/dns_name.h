/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names and addresses as the resolver has them. A name is text, lower case,
 * without a final dot, of labels of [a-z0-9_-]: no dot can hide inside a label,
 * and no byte needs an escape, so that text and wire format cannot differ.
 */
#ifndef EGRESSCTL_DNS_NAME_H
#define EGRESSCTL_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_TEXT 254u /* 253 bytes (RFC 1035 2.3.4) and the NUL */
#define DNS_NAME_WIRE 255u
#define DNS_NAME_ESCAPED (4 * DNS_NAME_WIRE + 1)

/*
 * Read the name at `*pos` of a message. Without `compressed`, a pointer is
 * -EBADMSG; with it, each must point before all that was read of the name, and
 * there may be 32: neither loops nor long chains. `*pos` is moved behind the name.
 * Returns 0 and lower case text, 1 if the name holds bytes that no allowed name
 * has (`text` is then escaped, and may be longer), or -EBADMSG. The root is "".
 */
int dns_name_read(const uint8_t *msg, size_t len, size_t *pos, bool compressed,
		  char text[DNS_NAME_ESCAPED]);

/* Text to wire format; the text is one of ours. Returns the length. */
size_t dns_name_wire(const char *text, uint8_t wire[DNS_NAME_WIRE]);

/* Is it a name as described above, of at most 253 bytes? "" is not. */
bool dns_name_valid(const char *text);

/* Make what somebody wrote lower case, without a final dot. Is it a name then? */
bool dns_name_plain(char *text);

/* Is `name` `parent`, or below it? */
bool dns_name_within(const char *name, const char *parent);

/* The address in a name below in-addr.arpa or ip6.arpa. 0 or -EINVAL. */
int dns_name_reverse(const char *name, uint8_t addr[16]);

/*
 * Not an address that a public name should have: unspecified, private, shared
 * (RFC 6598), loopback, link-local, multicast, reserved, cloud metadata, mapped,
 * or one of these inside a transition prefix (NAT64, 6to4; Teredo always).
 */
bool dns_address_special(const uint8_t addr[16]);
bool dns_address_loopback(const uint8_t addr[16]);

void dns_address_map(const uint8_t v4[4], uint8_t addr[16]);
bool dns_address_is_v4(const uint8_t addr[16]);

#endif
