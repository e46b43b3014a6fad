/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's configuration: resolv.conf(5) and hosts(5), read again when they
 * change. What the C library would not understand either is ignored, line by
 * line; a file that is not there is empty.
 */
#ifndef EGRESSCTL_DNS_CONF_H
#define EGRESSCTL_DNS_CONF_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "dns_ldns.h"
#include "dns_name.h"

#define DNS_MAX_SERVERS 8u
#define DNS_MAX_SEARCH 16u
#define DNS_CONF_BLANK " \t\r\v\f" /* between words of either file */
#define DNS_MAX_FILE (16u << 20) /* bytes read of a file */

/* ---- a file that may change -------------------------------------------------------- */

struct dns_file {
	const char *path; /* not owned */
	struct stat seen;
	bool read_before, settled;
};

/*
 * Has it changed since the last call that said so? Says yes also while it is so
 * young that another change could carry the same time stamp.
 */
bool dns_file_changed(struct dns_file *f);
/* All of it, NUL-terminated; "" if it is not there. NULL: no memory. */
char *dns_file_read(const struct dns_file *f);

/* ---- resolv.conf ------------------------------------------------------------------- */

struct dns_resolv {
	union dns_server {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} servers[DNS_MAX_SERVERS];
	uint32_t nservers; /* at least 1 */
	char search[DNS_MAX_SEARCH][DNS_NAME_TEXT];
	uint32_t nsearch;
	uint32_t timeout_s, attempts; /* 0: not said */
	bool use_vc, rotate;
};

/* `port` in host order. */
void dns_resolv_parse(const char *text, uint16_t port, struct dns_resolv *out);
socklen_t dns_server_len(const union dns_server *s);

/* ---- hosts: dns_hosts.c ------------------------------------------------------------ */

struct dns_host {
	ldns_rbnode_t node;
	uint32_t naddrs;
	uint8_t (*addrs)[16];
	char name[];
};

struct dns_hosts {
	ldns_rbtree_t names; /* struct dns_host by name */
};

/* Returns 0 or -ENOMEM; `out` is untouched on failure. */
int dns_hosts_parse(const char *text, struct dns_hosts *out);
const struct dns_host *dns_hosts_find(struct dns_hosts *h, const char *name);
void dns_hosts_clear(struct dns_hosts *h);

/* For trees whose keys are names. */
int dns_name_cmp(const void *a, const void *b);

#endif
