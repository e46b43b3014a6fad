// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns_help.h"
#include "util.h"

void msg_bytes(struct msg *m, const void *p, size_t len)
{
	assert_true(m->len + len <= sizeof(m->p));
	if (len)
		memcpy(m->p + m->len, p, len);
	m->len += len;
}

void msg_u16(struct msg *m, uint16_t v)
{
	v = htons(v);
	msg_bytes(m, &v, 2);
}

void msg_u32(struct msg *m, uint32_t v)
{
	v = htonl(v);
	msg_bytes(m, &v, 4);
}

void msg_header(struct msg *m, uint16_t id, uint16_t flags, uint16_t qd, uint16_t an, uint16_t ns,
		uint16_t ar)
{
	m->len = 0;
	msg_u16(m, id);
	msg_u16(m, flags);
	msg_u16(m, qd);
	msg_u16(m, an);
	msg_u16(m, ns);
	msg_u16(m, ar);
}

void msg_name(struct msg *m, const char *name)
{
	while (*name) {
		uint8_t n = (uint8_t)strcspn(name, ".");

		msg_bytes(m, &n, 1);
		msg_bytes(m, name, n);
		name += n + (name[n] == '.');
	}
	msg_bytes(m, "", 1);
}

void msg_question(struct msg *m, const char *name, uint16_t qtype)
{
	msg_name(m, name);
	msg_u16(m, qtype);
	msg_u16(m, 1);
}

void msg_rr(struct msg *m, const char *name, uint16_t type, uint32_t ttl, const void *rdata,
	    size_t len)
{
	msg_name(m, name);
	msg_u16(m, type);
	msg_u16(m, 1);
	msg_u32(m, ttl);
	msg_u16(m, (uint16_t)len);
	msg_bytes(m, rdata, len);
}

void msg_a(struct msg *m, const char *name, uint32_t ttl, const char *addr)
{
	uint8_t v4[4], v6[16];

	if (inet_pton(AF_INET, addr, v4) == 1) {
		msg_rr(m, name, LDNS_RR_TYPE_A, ttl, v4, 4);
	} else {
		assert_int_equal(inet_pton(AF_INET6, addr, v6), 1);
		msg_rr(m, name, LDNS_RR_TYPE_AAAA, ttl, v6, 16);
	}
}

void msg_target(struct msg *m, const char *name, uint16_t type, uint32_t ttl, const char *target)
{
	struct msg data = { 0 };

	msg_name(&data, target);
	msg_rr(m, name, type, ttl, data.p, data.len);
}

void msg_soa(struct msg *m, const char *zone, uint32_t ttl, uint32_t minimum)
{
	struct msg data = { 0 };

	msg_name(&data, "ns.test");
	msg_name(&data, "admin.test");
	for (int i = 0; i < 4; i++)
		msg_u32(&data, 1);
	msg_u32(&data, minimum);
	msg_rr(m, zone, LDNS_RR_TYPE_SOA, ttl, data.p, data.len);
}

void msg_answer(struct msg *m, const struct msg *q, uint16_t flags, uint16_t an, uint16_t ns)
{
	size_t end = 12;

	while (q->p[end])
		end += 1u + q->p[end];
	msg_header(m, ldns_read_uint16(q->p), flags, 1, an, ns, 0);
	msg_bytes(m, q->p + 12, end + 5 - 12);
}

void put_text(char *out, size_t size, const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(out + n, size - n, fmt, ap);
	va_end(ap);
}

static void put_records(char *out, size_t size, const char *prefix, const ldns_rr_list *list)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		ldns_rr *rr = ldns_rr_list_rr(list, i);
		char *owner = ldns_rdf2str(ldns_rr_owner(rr));
		char *type = ldns_rr_type2str(ldns_rr_get_type(rr));

		put_text(out, size, "%s%s %u %s", prefix, owner, ldns_rr_ttl(rr), type);
		for (size_t n = 0; n < ldns_rr_rd_count(rr); n++) {
			const ldns_rdf *rdf = ldns_rr_rdf(rr, n);
			char *text = ldns_rdf_get_type(rdf) == LDNS_RDF_TYPE_SVCPARAMS ?
					     NULL : ldns_rdf2str(rdf);

			if (text)
				put_text(out, size, " %s", text);
			for (size_t b = 0; !text && b < ldns_rdf_size(rdf); b++)
				put_text(out, size, "%s%02x", b ? "" : " ", ldns_rdf_data(rdf)[b]);
			free(text);
		}
		put_text(out, size, "\n");
		free(owner);
		free(type);
	}
}

const char *msg_text(const uint8_t *p, size_t len)
{
	static char out[65536];
	ldns_edns_option_list *options;
	ldns_pkt *pkt = NULL;
	char *rcode;

	out[0] = '\0';
	if (ldns_wire2pkt(&pkt, p, len) != LDNS_STATUS_OK)
		return "malformed\n";
	rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(pkt));
	assert_true(ldns_pkt_qr(pkt) && ldns_pkt_ra(pkt) && !ldns_pkt_aa(pkt) && !ldns_pkt_ad(pkt));
	put_text(out, sizeof(out), "%s%s", rcode, ldns_pkt_tc(pkt) ? " truncated" : "");
	free(rcode);
	options = ldns_pkt_edns_get_option_list(pkt);
	for (size_t i = 0; options && i < ldns_edns_option_list_get_count(options); i++) {
		const ldns_edns_option *o = ldns_edns_option_list_get_option(options, i);

		if (ldns_edns_get_code(o) == LDNS_EDNS_EDE)
			put_text(out, sizeof(out), " ede%u",
				 ldns_read_uint16(ldns_edns_get_data(o)));
	}
	put_text(out, sizeof(out), "\n");
	put_records(out, sizeof(out), "", ldns_pkt_answer(pkt));
	put_records(out, sizeof(out), "authority ", ldns_pkt_authority(pkt));
	ldns_pkt_free(pkt);
	return out;
}

uint8_t *addr_of(const char *text, uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(addr, mapped, 12);
	if (inet_pton(AF_INET, text, addr + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, addr), 1);
	return addr;
}
