/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Open TCP connections of this network namespace, through sock_diag (libnl): who
 * still uses an address, and ending what was refused.
 */
#ifndef FLOWS_H
#define FLOWS_H

#include <stdbool.h>
#include <stdint.h>

/* Is a connection open to this address (IPv4 mapped)? When it cannot be told, yes. */
bool flows_open_to(const uint8_t addr[16]);

/*
 * End the connections from local port lport to addr and port (host byte order), so
 * that their program sees ECONNABORTED instead of a silence. Needs CAP_NET_ADMIN and
 * a kernel with INET_DIAG_DESTROY. How many, or a negative errno.
 */
int flows_abort(const uint8_t addr[16], uint16_t port, uint16_t lport);

#endif
