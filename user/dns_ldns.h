/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ldns, in the one way that does no harm: without <stdbool.h> before it, it
 * makes bool a signed char, and 256 false.
 */
#ifndef EGRESSCTL_DNS_LDNS_H
#define EGRESSCTL_DNS_LDNS_H

#include <stdbool.h>
#include <stdint.h>

#include <ldns/ldns.h>

_Static_assert((bool)256 == 1, "bool");

#endif
