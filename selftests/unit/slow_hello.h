/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a client says first, read the obvious way: vectors within vectors as the TLS
 * standard draws them, lines that are split at their separators. Shares no code and
 * no state with bpf/hello.h, which is compared with it.
 */
#ifndef SLOW_HELLO_H
#define SLOW_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum slow_result { SLOW_OK, SLOW_MORE, SLOW_BAD, SLOW_NO_NAME, SLOW_AGAIN };
enum slow_target { SLOW_PATH, SLOW_ABSOLUTE, SLOW_CONNECT };

struct slow_name {
	size_t len;
	uint8_t byte[253];
};

/* The server name of the ClientHello that is exactly these bytes, or begins with them. */
enum slow_result slow_tls(const uint8_t *data, size_t len, struct slow_name *name);

/* SLOW_OK: no other ClientHello can follow. SLOW_AGAIN: one is, or may come, at *at. */
enum slow_result slow_tls_next(const uint8_t *data, size_t len, size_t *at);

struct slow_request {
	enum slow_target target;
	struct slow_name name; /* of the target, lower case */
	uint32_t port; /* of the target; 0: none */
	bool has_host, has_length, has_encoding, has_upgrade;
	struct slow_name host;
	uint32_t host_port;
	uint64_t length;
	size_t head; /* bytes up to and with the empty line */
};

/* The head of an HTTP/1 request. SLOW_MORE: the lines that are whole are good. */
enum slow_result slow_http(const uint8_t *data, size_t len, struct slow_request *r);

#endif
