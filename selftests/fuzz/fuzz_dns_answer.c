// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An upstream's answer of any bytes: a type, flags and counts, and what follows
 * the question, which is put in so that most inputs get beyond it. Whatever is
 * believed must be on the chain from the question, have no address that is
 * special or not bound, and be a message that others read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "dns_wire.h"
#include "util.h"

#define NAME "www.allowed.test"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool ok_addr(void *ctx, const uint8_t addr[16])
{
	(void)ctx;
	must(dns_address_special(addr) || dns_address_is_v4(addr));
	return false;
}

static bool bound(const struct dns_answer *a, const uint8_t addr[16])
{
	for (uint32_t i = 0; i < a->naddrs; i++)
		if (memcmp(a->addrs[i], addr, 16) == 0)
			return true;
	return false;
}

static void check_service(const struct dns_answer *a, const ldns_rr *rr)
{
	const ldns_rdf *params = ldns_rr_rd_count(rr) == 3 ? ldns_rr_rdf(rr, 2) : NULL;
	size_t len = params ? ldns_rdf_size(params) : 0, at = 0;
	uint8_t addr[16];

	while (at < len) {
		const uint8_t *p = ldns_rdf_data(params) + at;
		uint16_t key = ldns_read_uint16(p), n = ldns_read_uint16(p + 2);

		must(key != 5 && at + 4 + n <= len);
		for (uint16_t i = 0; key == 4 && i < n; i += 4) {
			dns_address_map(p + 4 + i, addr);
			must(bound(a, addr));
		}
		for (uint16_t i = 0; key == 6 && i < n; i += 16)
			must(bound(a, p + 4 + i));
		at += 4u + n;
	}
}

/* Follows the records as a program would; `at` ends as the owner of the last. */
static void check_record(const struct dns_answer *a, const ldns_rr *rr, ldns_rdf **at)
{
	const uint8_t *data = ldns_rdf_data(ldns_rr_rdf(rr, 0));
	uint8_t addr[16];

	switch (ldns_rr_get_type(rr)) {
	case LDNS_RR_TYPE_DNAME:
		must(ldns_dname_is_subdomain(*at, ldns_rr_owner(rr)));
		return;
	case LDNS_RR_TYPE_A:
		dns_address_map(data, addr);
		must(bound(a, addr));
		break;
	case LDNS_RR_TYPE_AAAA:
		must(bound(a, data));
		break;
	case LDNS_RR_TYPE_SVCB:
	case LDNS_RR_TYPE_HTTPS:
		check_service(a, rr);
		break;
	default:
		break;
	}
	must(ldns_dname_compare(ldns_rr_owner(rr), *at) == 0);
	if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_CNAME)
		*at = ldns_rr_rdf(rr, 0);
}

static void check(const struct dns_answer *a, uint16_t qtype)
{
	static uint8_t buf[65535];
	struct dns_query q = { .qtype = qtype, .qclass = LDNS_RR_CLASS_IN, .edns = true };
	ldns_rdf *name = ldns_dname_new_frm_str(NAME), *at = name;
	ldns_pkt *pkt;
	int n;

	for (uint32_t i = 0; i < a->naddrs; i++)
		must(!dns_address_special(a->addrs[i]));
	must(a->ttl >= DNS_TTL_MIN && a->ttl <= DNS_TTL_MAX && a->naddrs <= DNS_MAX_ADDRESSES);
	for (size_t i = 0; i < ldns_rr_list_rr_count(a->rrs); i++)
		check_record(a, ldns_rr_list_rr(a->rrs, i), &at);
	ldns_rdf_deep_free(name);
	q.wire_len = (uint16_t)dns_name_wire(NAME, q.wire);
	n = dns_reply(&q, a, a->ttl, sizeof(buf), buf);
	must(n > 0);
	must(ldns_wire2pkt(&pkt, buf, (size_t)n) == LDNS_STATUS_OK);
	must(ldns_rr_list_rr_count(ldns_pkt_answer(pkt)) == ldns_rr_list_rr_count(a->rrs));
	ldns_pkt_free(pkt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_CNAME,
					  LDNS_RR_TYPE_PTR, LDNS_RR_TYPE_MX, LDNS_RR_TYPE_TXT,
					  LDNS_RR_TYPE_SRV, LDNS_RR_TYPE_SVCB, LDNS_RR_TYPE_HTTPS };
	const struct dns_filter filter = { ok_addr, NULL };
	struct dns_answer *a = NULL;
	uint16_t qtype;
	uint8_t *msg;
	size_t len;
	int err;

	/* type, flags, ANCOUNT, NSCOUNT, records */
	if (size < 5 || size > 65000)
		return 0;
	qtype = types[data[0] % ARRAY_SIZE(types)];
	msg = malloc(DNS_UDP_PLAIN + size);
	must(msg);
	len = dns_query_build(NAME, qtype, 1, false, msg);
	msg[2] = data[1] | 0x80;
	msg[3] = data[2];
	msg[7] = data[3];
	msg[9] = data[4];
	memcpy(msg + len, data + 5, size - 5);
	len += size - 5;
	/* exactly as long as it is: what reads behind it is seen */
	msg = realloc(msg, len);
	err = dns_answer_judge(msg, len, NAME, qtype, 1, &filter, &a);
	must(err <= 0 && !!err == !a);
	if (a)
		check(a, qtype);
	dns_answer_unref(a);
	free(msg);
	return 0;
}
