/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The parts of names_test. */
#ifndef NAMES_PARTS_H
#define NAMES_PARTS_H

void test_bindings(void); /* which addresses are open, to whom, and how long */
void test_hellos(void); /* TLS */
void test_requests(void); /* HTTP requests, and those to proxies */

#endif
