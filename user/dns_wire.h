/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS messages: what sandboxes send, what they get, what the host's resolvers
 * are asked. Pure functions on bytes. RFC 1035, 6891 (EDNS), 8914 (extended
 * errors); ldns has the numbers and writes the records.
 */
#ifndef EGRESSCTL_DNS_WIRE_H
#define EGRESSCTL_DNS_WIRE_H


#include "dns_ldns.h"
#include "dns_name.h"

#define DNS_HEADER 12u
#define DNS_MAX_QUERY 1024u /* the longest name, and EDNS options nobody needs */
#define DNS_UDP_SIZE 1232u /* what is offered with EDNS: not fragmented anywhere */
#define DNS_UDP_PLAIN 512u
#define DNS_UDP_MAX 4096u /* more is not sent in a datagram, whatever is asked for */

struct dns_query {
	uint16_t id, qtype;
	uint8_t opcode;
	bool rd, cd;
	bool edns;
	uint16_t udp_size; /* what the asker takes in a datagram */
	bool strange; /* bytes that no allowed name has; `name` is escaped */
	uint16_t wire_len; /* 0: there is no question to repeat */
	uint8_t wire[DNS_NAME_WIRE]; /* as asked: upper and lower case come back */
	uint16_t qclass;
	char name[DNS_NAME_ESCAPED]; /* lower case, no final dot */
};

/* What is done with a question of some type. */
enum dns_kind {
	DNS_KIND_ASK, /* the host's resolvers are asked */
	DNS_KIND_EMPTY, /* an allowed name has none of it */
	DNS_KIND_NEVER, /* no question about a name at all: ANY, AXFR, … */
};
enum dns_kind dns_kind(uint16_t qtype);

/*
 * A sandbox's message. Returns 0, a positive rcode that it is to be answered
 * with (`q` has what can be repeated), or -EBADMSG: no answer.
 */
int dns_query_parse(const uint8_t *msg, size_t len, struct dns_query *q);

/*
 * What becomes of a question: `rrs` all have the same TTL, counted from `since`.
 * Shared by reference count; does not change.
 */
struct dns_answer {
	unsigned int refs;
	uint8_t rcode;
	bool blocked; /* extended error 15: refused by the policy */
	uint32_t ttl; /* seconds */
	uint64_t since; /* ns, CLOCK_BOOTTIME */
	ldns_rr_list *rrs, *authority;
	uint32_t naddrs, nremoved;
	uint8_t (*addrs)[16]; /* in rrs, hints of HTTPS and SVCB records too: to be bound */
	uint8_t (*removed)[16]; /* special ones that were in the answer */
	size_t bytes; /* about what it takes in memory */
};

/* An answer without records; NULL: no memory. */
struct dns_answer *dns_answer_new(uint8_t rcode, bool blocked);
struct dns_answer *dns_answer_ref(struct dns_answer *a);
void dns_answer_unref(struct dns_answer *a);
/* Records made here. 0 or -ENOMEM. The address is also put in addrs[]. */
int dns_answer_add_address(struct dns_answer *a, const char *name, const uint8_t addr[16]);
int dns_answer_add_ptr(struct dns_answer *a, const char *name, const char *target);

/*
 * The message for a sandbox, with TTLs of `ttl` seconds, in at most `max` bytes
 * (truncated, it says so: TC and no records). Returns its length, or -ENOMEM.
 */
int dns_reply(const struct dns_query *q, const struct dns_answer *a, uint32_t ttl, size_t max,
	      uint8_t *buf);
/* One without records, for what does not parse. `buf` has DNS_UDP_PLAIN bytes. */
int dns_reply_error(const struct dns_query *q, uint8_t rcode, uint8_t *buf);

/*
 * The question as the host's resolvers get it: rd, one EDNS record without
 * options unless `edns` is false. Returns the length; buf has DNS_UDP_PLAIN bytes.
 */
size_t dns_query_build(const char *name, uint16_t qtype, uint16_t id, bool edns, uint8_t *buf);

/* May this special address be in an answer? */
struct dns_filter {
	bool (*address_ok)(void *ctx, const uint8_t addr[16]);
	void *ctx;
};

/*
 * A message that came back for the question: the chain of CNAME and DNAME
 * records from the name asked for is followed; only records on it are believed.
 * Returns 0 and the answer;
 *   -EAGAIN   not the answer to this question (another id, name, …): go on waiting
 *   -EMSGSIZE it did not fit: ask with TCP
 *   -EBADMSG  malformed
 *   -EPROTO   the server knows no EDNS: ask without
 *   -EREMOTEIO the server refused or failed: ask another
 *   -ENOMEM
 */
int dns_answer_judge(const uint8_t *msg, size_t len, const char *name, uint16_t qtype, uint16_t id,
		     const struct dns_filter *filter, struct dns_answer **out);

/*
 * The parameters of an SVCB or HTTPS record (RFC 9460) without ech and hints that
 * `keep` does not let through, in place. Returns 0, or -EBADMSG: malformed, or of
 * no use without what was removed (it is listed as mandatory).
 */
int dns_svcb_filter(uint8_t *params, size_t *len, bool (*keep)(void *ctx, const uint8_t addr[16]),
		    void *ctx);

#endif
