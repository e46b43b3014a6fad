// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A sandbox's message of any bytes. What is accepted as a question for an
 * allowed name must be that name for every other parser too, go upstream as the
 * same canonical bytes whatever else it held, and come back as it was asked.
 */
#include <stdlib.h>
#include <string.h>

#include "dns_wire.h"
#include "util.h"
#include "selftests/fuzz/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* What ldns reads of our message is what we meant. */
static ldns_pkt *reread(const uint8_t *msg, size_t len, const struct dns_query *q)
{
	ldns_rr_list *questions;
	ldns_pkt *pkt = NULL;

	must(ldns_wire2pkt(&pkt, msg, len) == LDNS_STATUS_OK);
	questions = ldns_pkt_question(pkt);
	must(ldns_rr_list_rr_count(questions) == !!q->wire_len);
	return pkt;
}

static void check_upstream(const struct dns_query *q)
{
	uint8_t buf[DNS_UDP_PLAIN], again[DNS_NAME_WIRE];
	char text[DNS_NAME_ESCAPED];
	size_t pos = DNS_HEADER, len = dns_query_build(q->name, q->qtype, 7, true, buf);

	must(len == DNS_HEADER + q->wire_len + 4u + 11u);
	ldns_pkt_free(reread(buf, len, q));
	must(dns_name_read(buf, len, &pos, false, text) == 0 && str_eq(text, q->name));
	must(dns_name_wire(text, again) == q->wire_len);
	for (uint16_t i = 0; i < q->wire_len; i++)
		must((q->wire[i] | 0x20) == (again[i] | 0x20));
}

static void check_reply(const struct dns_query *q)
{
	static uint8_t buf[65535];
	struct dns_answer *a = dns_answer_new(LDNS_RCODE_NXDOMAIN, true);
	ldns_pkt *pkt;
	int n;

	must(a || no_memory());
	if (!a)
		return;
	n = dns_reply(q, a, 0, q->udp_size, buf);
	must(n > 0 && n <= q->udp_size);
	pkt = reread(buf, (size_t)n, q);
	must(ldns_pkt_id(pkt) == q->id && ldns_pkt_get_rcode(pkt) == LDNS_RCODE_NXDOMAIN);
	must(memcmp(buf + DNS_HEADER, q->wire, q->wire_len) == 0);
	must((ldns_pkt_edns_udp_size(pkt) != 0) == q->edns);
	ldns_pkt_free(pkt);
	dns_answer_unref(a);
}

static void check_printable(const char *s)
{
	for (; *s; s++)
		must(*s > ' ' && *s < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t buf[DNS_UDP_PLAIN];
	struct dns_query q;
	ldns_pkt *pkt;
	int ret = dns_query_parse(data, size, &q), n;

	if (ret < 0)
		return 0;
	if (ret) {
		n = dns_reply_error(&q, (uint8_t)ret, buf);
		must(n >= (int)DNS_HEADER);
		ldns_pkt_free(reread(buf, (size_t)n, &q));
		return 0;
	}
	check_printable(q.name);
	must(q.qclass == LDNS_RR_CLASS_IN);
	must(ldns_wire2pkt(&pkt, data, size) == LDNS_STATUS_OK);
	must(ldns_rr_get_type(ldns_rr_list_rr(ldns_pkt_question(pkt), 0)) == q.qtype);
	ldns_pkt_free(pkt);
	must(q.strange || !q.name[0] || dns_name_valid(q.name));
	check_reply(&q);
	if (!q.strange && q.name[0])
		check_upstream(&q);
	return 0;
}
