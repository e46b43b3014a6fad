// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Questions in, answers out. Questions are read strictly, by hand: what another
 * parser would understand otherwise must not get through, and nothing of the
 * sandbox's bytes is passed on but the name's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "dns_wire.h"
#include "util.h"

#define EDNS_RCODE_BADVERS 16

_Static_assert(LDNS_EDE_BLOCKED == 017, "in the options below");

enum dns_kind dns_kind(uint16_t qtype)
{
	switch (qtype) {
	case LDNS_RR_TYPE_A:
	case LDNS_RR_TYPE_AAAA:
	case LDNS_RR_TYPE_CNAME:
	case LDNS_RR_TYPE_PTR:
	case LDNS_RR_TYPE_MX:
	case LDNS_RR_TYPE_TXT:
	case LDNS_RR_TYPE_SRV:
	case LDNS_RR_TYPE_SVCB:
	case LDNS_RR_TYPE_HTTPS:
		return DNS_KIND_ASK;
	case 0:
	case LDNS_RR_TYPE_OPT:
		return DNS_KIND_NEVER;
	}
	/* RFC 6895 3.1: meta types and questions that are no types, from TKEY to ANY */
	return qtype >= 128 && qtype <= 255 ? DNS_KIND_NEVER : DNS_KIND_EMPTY;
}

/* ---- questions --------------------------------------------------------------------- */

static bool options_ok(const uint8_t *p, size_t len)
{
	while (len >= 4) {
		size_t n = 4u + ldns_read_uint16(p + 2);

		if (n > len)
			return false;
		p += n;
		len -= n;
	}
	return !len;
}

/* The one additional record a question may have: OPT, and nothing behind it. */
static int parse_edns(const uint8_t *p, size_t len, struct dns_query *q)
{
	if (len < 11 || p[0] || ldns_read_uint16(p + 1) != LDNS_RR_TYPE_OPT ||
	    ldns_read_uint16(p + 9) != len - 11 || !options_ok(p + 11, len - 11))
		return LDNS_RCODE_FORMERR;
	q->edns = true;
	q->udp_size = MAX(ldns_read_uint16(p + 3), (uint16_t)DNS_UDP_PLAIN);
	return p[6] ? EDNS_RCODE_BADVERS : 0;
}

static int parse_question(const uint8_t *msg, size_t len, struct dns_query *q)
{
	size_t at = DNS_HEADER;
	int strange = dns_name_read(msg, len, &at, false, q->name);

	if (strange < 0 || len - at < 4)
		return LDNS_RCODE_FORMERR;
	q->strange = strange;
	q->wire_len = (uint16_t)(at - DNS_HEADER);
	memcpy(q->wire, msg + DNS_HEADER, q->wire_len);
	q->qtype = ldns_read_uint16(msg + at);
	q->qclass = ldns_read_uint16(msg + at + 2);
	at += 4;
	if (LDNS_ARCOUNT(msg))
		return parse_edns(msg + at, len - at, q);
	return at == len ? 0 : LDNS_RCODE_FORMERR;
}

int dns_query_parse(const uint8_t *msg, size_t len, struct dns_query *q)
{
	int rcode;

	q->wire_len = 0;
	q->name[0] = '\0';
	q->edns = false;
	q->udp_size = DNS_UDP_PLAIN;
	/* an answer to an answer is how two servers talk for ever */
	if (len < DNS_HEADER || LDNS_QR_WIRE(msg))
		return -EBADMSG;
	q->id = LDNS_ID_WIRE(msg);
	q->opcode = LDNS_OPCODE_WIRE(msg);
	q->rd = LDNS_RD_WIRE(msg);
	q->cd = LDNS_CD_WIRE(msg);
	if (q->opcode != LDNS_PACKET_QUERY)
		return LDNS_RCODE_NOTIMPL;
	if (len > DNS_MAX_QUERY || LDNS_QDCOUNT(msg) != 1 || LDNS_ANCOUNT(msg) ||
	    LDNS_NSCOUNT(msg) || LDNS_ARCOUNT(msg) > 1)
		return LDNS_RCODE_FORMERR;
	rcode = parse_question(msg, len, q);
	if (rcode)
		return rcode;
	if (q->qclass != LDNS_RR_CLASS_IN || dns_kind(q->qtype) == DNS_KIND_NEVER)
		return LDNS_RCODE_NOTIMPL;
	return 0;
}

size_t dns_query_build(const char *name, uint16_t qtype, uint16_t id, bool edns, uint8_t *buf)
{
	size_t at = DNS_HEADER;

	memset(buf, 0, DNS_HEADER);
	ldns_write_uint16(buf, id);
	LDNS_RD_SET(buf);
	ldns_write_uint16(buf + 4, 1);
	ldns_write_uint16(buf + 10, edns);
	at += dns_name_wire(name, buf + at);
	ldns_write_uint16(buf + at, qtype);
	ldns_write_uint16(buf + at + 2, LDNS_RR_CLASS_IN);
	at += 4;
	if (!edns)
		return at;
	memset(buf + at, 0, 11);
	ldns_write_uint16(buf + at + 1, LDNS_RR_TYPE_OPT);
	ldns_write_uint16(buf + at + 3, DNS_UDP_SIZE);
	return at + 11;
}

/* ---- answers ----------------------------------------------------------------------- */

struct dns_answer *dns_answer_new(uint8_t rcode, bool blocked)
{
	struct dns_answer *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->refs = 1;
	a->rcode = rcode;
	a->blocked = blocked;
	a->bytes = sizeof(*a);
	a->rrs = ldns_rr_list_new();
	a->authority = ldns_rr_list_new();
	if (!a->rrs || !a->authority) {
		dns_answer_unref(a);
		return NULL;
	}
	return a;
}

struct dns_answer *dns_answer_ref(struct dns_answer *a)
{
	a->refs++;
	return a;
}

void dns_answer_unref(struct dns_answer *a)
{
	if (!a || --a->refs)
		return;
	ldns_rr_list_deep_free(a->rrs);
	ldns_rr_list_deep_free(a->authority);
	free(a->addrs);
	free(a->removed);
	free(a);
}

/* Takes `rdf`. */
static int add_record(struct dns_answer *a, const char *name, ldns_rr_type type, ldns_rdf *rdf)
{
	uint8_t wire[DNS_NAME_WIRE];
	size_t len = dns_name_wire(name, wire);
	ldns_rr *rr = ldns_rr_new();
	ldns_rdf *owner = ldns_dname_new_frm_data((uint16_t)len, wire);

	if (!rr || !owner || !rdf)
		goto fail;
	ldns_rr_set_owner(rr, owner);
	ldns_rr_set_type(rr, type);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	owner = NULL;
	if (!ldns_rr_push_rdf(rr, rdf))
		goto fail;
	rdf = NULL;
	if (!ldns_rr_list_push_rr(a->rrs, rr))
		goto fail;
	a->bytes += sizeof(*rr) + 2 * len;
	return 0;
fail:
	ldns_rr_free(rr);
	ldns_rdf_deep_free(owner);
	ldns_rdf_deep_free(rdf);
	return -ENOMEM;
}

int dns_answer_add_address(struct dns_answer *a, const char *name, const uint8_t addr[16])
{
	bool v4 = dns_address_is_v4(addr);
	uint8_t(*more)[16];
	int err;

	err = add_record(a, name, v4 ? LDNS_RR_TYPE_A : LDNS_RR_TYPE_AAAA,
			 v4 ? ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, 4, addr + 12) :
			      ldns_rdf_new_frm_data(LDNS_RDF_TYPE_AAAA, 16, addr));
	if (err)
		return err;
	more = reallocarray(a->addrs, a->naddrs + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	a->addrs = more;
	memcpy(a->addrs[a->naddrs++], addr, 16);
	a->bytes += 16;
	return 0;
}

int dns_answer_add_ptr(struct dns_answer *a, const char *name, const char *target)
{
	uint8_t wire[DNS_NAME_WIRE];
	size_t len = dns_name_wire(target, wire);

	return add_record(a, name, LDNS_RR_TYPE_PTR,
			  ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, len, wire));
}

/* ---- replies ----------------------------------------------------------------------- */

static bool push_question(ldns_pkt *pkt, const struct dns_query *q)
{
	ldns_rr *rr = ldns_rr_new();
	ldns_rdf *owner = ldns_dname_new_frm_data(q->wire_len, q->wire);

	if (!rr || !owner) {
		ldns_rr_free(rr);
		ldns_rdf_deep_free(owner);
		return false;
	}
	ldns_rr_set_question(rr, true);
	ldns_rr_set_owner(rr, owner);
	ldns_rr_set_type(rr, q->qtype);
	ldns_rr_set_class(rr, q->qclass);
	if (ldns_pkt_push_rr(pkt, LDNS_SECTION_QUESTION, rr))
		return true;
	ldns_rr_free(rr);
	return false;
}

static bool push_records(ldns_pkt *pkt, ldns_pkt_section section, const ldns_rr_list *list,
			 uint32_t ttl)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		ldns_rr *rr = ldns_rr_clone(ldns_rr_list_rr(list, i));

		if (!rr)
			return false;
		ldns_rr_set_ttl(rr, ttl);
		if (!ldns_pkt_push_rr(pkt, section, rr)) {
			ldns_rr_free(rr);
			return false;
		}
	}
	return true;
}

static bool set_edns(ldns_pkt *pkt, unsigned int rcode, bool blocked)
{
	/* the code, and words for people: `dig` shows them */
	static const char name[] = "\0\017no rule of the sandbox's policy allows this name";
	static const char address[] = "\0\017no rule allows this name a private address";
	const char *data = rcode == LDNS_RCODE_NXDOMAIN ? name : address;
	size_t len = rcode == LDNS_RCODE_NXDOMAIN ? sizeof(name) - 1 : sizeof(address) - 1;
	ldns_edns_option_list *list;
	ldns_edns_option *option;

	ldns_pkt_set_edns_udp_size(pkt, DNS_UDP_SIZE);
	ldns_pkt_set_edns_extended_rcode(pkt, (uint8_t)(rcode >> 4));
	if (!blocked)
		return true;
	list = ldns_edns_option_list_new();
	option = ldns_edns_new_from_data(LDNS_EDNS_EDE, len, data);
	if (!list || !option || !ldns_edns_option_list_push(list, option)) {
		ldns_edns_option_list_deep_free(list);
		ldns_edns_deep_free(option);
		return false;
	}
	ldns_pkt_set_edns_option_list(pkt, list);
	return true;
}

/* Everything but the records. */
static ldns_pkt *new_reply(const struct dns_query *q, unsigned int rcode, bool blocked)
{
	ldns_pkt *pkt = ldns_pkt_new();

	if (!pkt)
		return NULL;
	ldns_pkt_set_id(pkt, q->id);
	ldns_pkt_set_opcode(pkt, q->opcode);
	ldns_pkt_set_qr(pkt, true);
	ldns_pkt_set_rd(pkt, q->rd);
	ldns_pkt_set_ra(pkt, true);
	ldns_pkt_set_cd(pkt, q->cd);
	ldns_pkt_set_rcode(pkt, rcode & 15);
	if ((q->wire_len && !push_question(pkt, q)) ||
	    (q->edns && !set_edns(pkt, rcode, blocked))) {
		ldns_pkt_free(pkt);
		return NULL;
	}
	return pkt;
}

/* Returns the length, -EMSGSIZE, or -ENOMEM. Takes the packet. */
static int write_reply(ldns_pkt *pkt, size_t max, uint8_t *buf)
{
	ldns_buffer *out = ldns_buffer_new(DNS_UDP_MAX);
	int n = -ENOMEM;

	if (out && ldns_pkt2buffer_wire(out, pkt) == LDNS_STATUS_OK) {
		n = -EMSGSIZE;
		if (ldns_buffer_position(out) <= max) {
			n = (int)ldns_buffer_position(out);
			memcpy(buf, ldns_buffer_begin(out), (size_t)n);
		}
	}
	ldns_buffer_free(out);
	ldns_pkt_free(pkt);
	return n;
}

int dns_reply(const struct dns_query *q, const struct dns_answer *a, uint32_t ttl, size_t max,
	      uint8_t *buf)
{
	ldns_pkt *pkt = new_reply(q, a->rcode, a->blocked);
	int n;

	if (!pkt)
		return -ENOMEM;
	if (!push_records(pkt, LDNS_SECTION_ANSWER, a->rrs, ttl) ||
	    !push_records(pkt, LDNS_SECTION_AUTHORITY, a->authority, ttl)) {
		ldns_pkt_free(pkt);
		return -ENOMEM;
	}
	n = write_reply(pkt, max, buf);
	if (n != -EMSGSIZE)
		return n;
	pkt = new_reply(q, a->rcode, a->blocked);
	if (!pkt)
		return -ENOMEM;
	ldns_pkt_set_tc(pkt, true);
	return write_reply(pkt, max, buf);
}

int dns_reply_error(const struct dns_query *q, uint8_t rcode, uint8_t *buf)
{
	ldns_pkt *pkt = new_reply(q, rcode, false);

	return pkt ? write_reply(pkt, DNS_UDP_PLAIN, buf) : -ENOMEM;
}
