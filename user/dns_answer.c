// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the host's resolvers answer, and how much of it is believed.
 *
 * Records are walked by hand, and every name in them is read (no loops, no
 * long chains of pointers) before ldns makes a record of the few that are kept:
 * so that the work for a message is bounded by its length.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "dns_wire.h"
#include "util.h"

#define MAX_RECORDS 256u /* of answer and authority: an answer with more is not believed */
#define MAX_REMOVED 8u /* reported of one answer */

struct record {
	char owner[DNS_NAME_TEXT]; /* "": one that cannot be on the chain */
	uint16_t type, class, rdlen;
	uint32_t ttl;
	size_t start, rdata; /* in the message */
};

struct judge {
	const uint8_t *msg;
	size_t len;
	uint16_t qtype;
	const struct dns_filter *filter;
	struct dns_answer *a;
	struct record *records;
	uint32_t nanswer, nauthority;
	char at[DNS_NAME_TEXT]; /* the name the chain has come to */
	uint32_t ttl;
	uint32_t found; /* records of the type asked for that were kept */
};

/* ---- reading ----------------------------------------------------------------------- */

static int read_plain(const struct judge *j, size_t *pos, char out[DNS_NAME_TEXT])
{
	char text[DNS_NAME_ESCAPED];
	int strange = dns_name_read(j->msg, j->len, pos, true, text);

	if (strange < 0)
		return strange;
	if (strange || strlen(text) >= DNS_NAME_TEXT)
		out[0] = '\0';
	else
		strcpy(out, text);
	return strange;
}

static int read_record(struct judge *j, size_t *pos, struct record *r)
{
	const uint8_t *p;

	r->start = *pos;
	if (read_plain(j, pos, r->owner) < 0 || j->len - *pos < 10)
		return -EBADMSG;
	p = j->msg + *pos;
	r->type = ldns_read_uint16(p);
	r->class = ldns_read_uint16(p + 2);
	r->ttl = ldns_read_uint32(p + 4);
	if (r->ttl > INT32_MAX) /* RFC 2181 8 */
		r->ttl = 0;
	r->rdlen = ldns_read_uint16(p + 8);
	*pos += 10;
	r->rdata = *pos;
	if (j->len - *pos < r->rdlen)
		return -EBADMSG;
	*pos += r->rdlen;
	if (r->class != LDNS_RR_CLASS_IN)
		r->owner[0] = '\0';
	return 0;
}

/* The `n` names `skip` bytes into a record's data, with `after` bytes behind them. */
static int names_ok(const struct judge *j, const struct record *r, size_t skip, int n, size_t after)
{
	size_t pos = r->rdata + skip;
	char text[DNS_NAME_TEXT];
	int strange = 0;

	while (n--) {
		int err = read_plain(j, &pos, text);

		if (err < 0)
			return err;
		strange |= err;
	}
	if (pos + after != r->rdata + r->rdlen)
		return -EBADMSG;
	return strange;
}

/* One string or more, each behind its length. */
static bool strings_ok(const uint8_t *p, size_t len)
{
	if (!len)
		return false;
	while (len && len > p[0]) {
		size_t n = 1u + p[0];

		p += n;
		len -= n;
	}
	return !len;
}

/* 0: as its type says; 1: names that no program needs, leave it out; or -EBADMSG. */
static int rdata_ok(const struct judge *j, const struct record *r)
{
	size_t pos = r->rdata + 2;
	char text[DNS_NAME_TEXT];

	switch (r->type) {
	case LDNS_RR_TYPE_A:
		return r->rdlen == 4 ? 0 : -EBADMSG;
	case LDNS_RR_TYPE_AAAA:
		return r->rdlen == 16 ? 0 : -EBADMSG;
	case LDNS_RR_TYPE_CNAME:
	case LDNS_RR_TYPE_DNAME:
	case LDNS_RR_TYPE_PTR:
		return names_ok(j, r, 0, 1, 0);
	case LDNS_RR_TYPE_MX:
		return names_ok(j, r, 2, 1, 0);
	case LDNS_RR_TYPE_SRV:
		return names_ok(j, r, 6, 1, 0);
	case LDNS_RR_TYPE_SOA:
		return names_ok(j, r, 0, 2, 20);
	case LDNS_RR_TYPE_TXT:
		return strings_ok(j->msg + r->rdata, r->rdlen) ? 0 : -EBADMSG;
	case LDNS_RR_TYPE_SVCB:
	case LDNS_RR_TYPE_HTTPS:
		if (r->rdlen < 3 || read_plain(j, &pos, text) < 0 || pos > r->rdata + r->rdlen)
			return -EBADMSG;
		return 0;
	}
	return 0;
}

/* ---- keeping ----------------------------------------------------------------------- */

/* A record as ldns has it, names in lower case. 0, 1 (left out) or a negative errno. */
static int make_rr(const struct judge *j, const struct record *r, ldns_rr **out)
{
	size_t pos = r->start;
	int err = rdata_ok(j, r);

	if (err)
		return err;
	if (ldns_wire2rr(out, j->msg, j->len, &pos, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
		return -EBADMSG;
	if (pos != r->rdata + r->rdlen) {
		ldns_rr_free(*out);
		return -EBADMSG;
	}
	ldns_rr2canonical(*out);
	return 0;
}

static int keep_rr(struct judge *j, ldns_rr_list *list, ldns_rr *rr, const struct record *r)
{
	if (!ldns_rr_list_push_rr(list, rr)) {
		ldns_rr_free(rr);
		return -ENOMEM;
	}
	j->ttl = MIN(j->ttl, r->ttl);
	j->a->bytes += 256u + r->rdlen; /* ldns's structures and the owner, about */
	return 0;
}

static int keep(struct judge *j, ldns_rr_list *list, const struct record *r)
{
	ldns_rr *rr;
	int err = make_rr(j, r, &rr);

	return err ? err : keep_rr(j, list, rr, r);
}

static int put_address(uint8_t (**list)[16], uint32_t *n, const uint8_t addr[16], uint32_t max)
{
	uint8_t(*more)[16];

	for (uint32_t i = 0; i < *n; i++)
		if (memcmp((*list)[i], addr, 16) == 0)
			return 0;
	if (*n >= max)
		return 1;
	more = reallocarray(*list, *n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	*list = more;
	memcpy(more[(*n)++], addr, 16);
	return 0;
}

/* 0: it is bound and may be shown; 1: it must not be; or -ENOMEM. */
static int judge_address(struct judge *j, const uint8_t addr[16], bool special)
{
	struct dns_answer *a = j->a;
	int err;

	if (special && !(j->filter && j->filter->address_ok(j->filter->ctx, addr))) {
		err = put_address(&a->removed, &a->nremoved, addr, MAX_REMOVED);
		return err < 0 ? err : 1;
	}
	return put_address(&a->addrs, &a->naddrs, addr, DNS_MAX_ADDRESSES);
}

static int keep_address(struct judge *j, const struct record *r)
{
	const uint8_t *data = j->msg + r->rdata;
	uint8_t addr[16];
	bool special;
	int err = rdata_ok(j, r);

	if (err)
		return err;
	if (r->type == LDNS_RR_TYPE_A)
		dns_address_map(data, addr);
	else
		memcpy(addr, data, 16);
	/* a mapped address is IPv4: nobody needs it in an AAAA record but to deceive filters */
	special = dns_address_special(addr) ||
		  (r->type == LDNS_RR_TYPE_AAAA && dns_address_is_v4(addr));
	err = judge_address(j, addr, special);
	return err ? err : keep(j, j->a->rrs, r);
}

static bool keep_hint(void *ctx, const uint8_t addr[16])
{
	return judge_address(ctx, addr, dns_address_special(addr)) == 0;
}

static int keep_service(struct judge *j, const struct record *r)
{
	ldns_rdf *params;
	ldns_rr *rr;
	size_t len;
	int err = make_rr(j, r, &rr);

	if (err)
		return err;
	/* an ldns built without SVCB has the data as one unknown field: it cannot be judged */
	params = ldns_rr_rd_count(rr) == 3 ? ldns_rr_rdf(rr, 2) : NULL;
	if (!params && ldns_rr_rd_count(rr) != 2)
		goto leave_out;
	if (params) {
		len = ldns_rdf_size(params);
		/* RFC 9460 2.4.2: an alias has none, and those it has are ignored */
		if (!ldns_read_uint16(j->msg + r->rdata))
			len = 0;
		else if (dns_svcb_filter(ldns_rdf_data(params), &len, keep_hint, j))
			goto leave_out;
		ldns_rdf_set_size(params, len);
	}
	return keep_rr(j, j->a->rrs, rr, r);
leave_out:
	ldns_rr_free(rr);
	return 1;
}

static int keep_wanted(struct judge *j, const struct record *r)
{
	switch (r->type) {
	case LDNS_RR_TYPE_A:
	case LDNS_RR_TYPE_AAAA:
		return keep_address(j, r);
	case LDNS_RR_TYPE_SVCB:
	case LDNS_RR_TYPE_HTTPS:
		return keep_service(j, r);
	default:
		return keep(j, j->a->rrs, r);
	}
}

/* ---- the chain --------------------------------------------------------------------- */

/* CNAME from `from` to `to`, as a DNAME implies it. */
static int keep_implied(struct judge *j, const char *from, const char *to, const struct record *r)
{
	uint8_t wire[DNS_NAME_WIRE];
	ldns_rr *rr = ldns_rr_new();
	ldns_rdf *rdf;

	if (!rr)
		return -ENOMEM;
	ldns_rr_set_type(rr, LDNS_RR_TYPE_CNAME);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns_rr_set_owner(rr, ldns_dname_new_frm_data((uint16_t)dns_name_wire(from, wire), wire));
	rdf = ldns_dname_new_frm_data((uint16_t)dns_name_wire(to, wire), wire);
	if (!ldns_rr_owner(rr) || !rdf || !ldns_rr_push_rdf(rr, rdf)) {
		ldns_rdf_deep_free(rdf);
		ldns_rr_free(rr);
		return -ENOMEM;
	}
	return keep_rr(j, j->a->rrs, rr, r);
}

static int follow_dname(struct judge *j, const struct record *r)
{
	size_t pos = r->rdata, prefix = strlen(j->at) - strlen(r->owner);
	char target[DNS_NAME_TEXT], to[DNS_NAME_TEXT];
	int err;

	if (read_plain(j, &pos, target) || !target[0] || prefix + strlen(target) >= sizeof(to))
		return -EBADMSG;
	memcpy(to, j->at, prefix);
	strcpy(to + prefix, target);
	err = keep(j, j->a->rrs, r);
	if (!err)
		err = keep_implied(j, j->at, to, r);
	strcpy(j->at, to);
	return err;
}

static int follow_cname(struct judge *j, const struct record *r)
{
	size_t pos = r->rdata;
	int err = keep(j, j->a->rrs, r);

	if (err)
		return err > 0 ? -EBADMSG : err;
	return read_plain(j, &pos, j->at) || !j->at[0] ? -EBADMSG : 0;
}

static const struct record *find(const struct judge *j, uint16_t type)
{
	for (uint32_t i = 0; i < j->nanswer; i++) {
		const struct record *r = &j->records[i];

		if (r->type != type || !r->owner[0])
			continue;
		if (type == LDNS_RR_TYPE_DNAME ?
			    dns_name_within(j->at, r->owner) && !str_eq(j->at, r->owner) :
			    str_eq(j->at, r->owner))
			return r;
	}
	return NULL;
}

/* To the name that has what was asked for, or to the end. */
static int follow(struct judge *j)
{
	const struct record *r;
	int err = 0;

	for (uint32_t n = 0; !err && j->qtype != LDNS_RR_TYPE_CNAME && !find(j, j->qtype); n++) {
		if (n == DNS_MAX_CHAIN)
			return -EBADMSG;
		/* its CNAME is implied: the one beside it need not be believed */
		r = find(j, LDNS_RR_TYPE_DNAME);
		if (r) {
			err = follow_dname(j, r);
			continue;
		}
		r = find(j, LDNS_RR_TYPE_CNAME);
		if (!r)
			break;
		err = follow_cname(j, r);
	}
	return err;
}

static int collect(struct judge *j)
{
	int err;

	for (uint32_t i = 0; i < j->nanswer; i++) {
		const struct record *r = &j->records[i];

		if (r->type != j->qtype || !r->owner[0] || !str_eq(r->owner, j->at))
			continue;
		err = keep_wanted(j, r);
		if (err < 0)
			return err;
		j->found += !err;
	}
	return 0;
}

/* Nothing there: how long that is so, says the SOA of a zone that the name is in. */
static int negative(struct judge *j)
{
	uint32_t ttl = DNS_TTL_MIN, chain = j->ttl;
	const uint8_t *end;
	int err;

	for (uint32_t i = j->nanswer; i < j->nanswer + j->nauthority; i++) {
		const struct record *r = &j->records[i];

		if (r->type != LDNS_RR_TYPE_SOA || !r->owner[0] ||
		    !dns_name_within(j->at, r->owner))
			continue;
		err = keep(j, j->a->authority, r);
		if (err < 0)
			return err;
		end = j->msg + r->rdata + r->rdlen;
		if (!err)
			ttl = MIN(r->ttl, ldns_read_uint32(end - 4)); /* RFC 2308 5 */
		break;
	}
	j->ttl = MIN(MIN(chain, ttl), DNS_NEGATIVE_TTL_MAX);
	return 0;
}

static int judge_records(struct judge *j)
{
	struct dns_answer *a = j->a;
	int err = follow(j);

	if (!err)
		err = collect(j);
	if (!err && !j->found && a->nremoved) {
		/* what is left leads nowhere */
		ldns_rr_list_deep_free(a->rrs);
		a->rrs = ldns_rr_list_new();
		a->blocked = true;
		err = a->rrs ? 0 : -ENOMEM;
	} else if (!err && !j->found) {
		err = negative(j);
	}
	/* a name with records exists, whatever the rest of the message says */
	if (j->found || a->blocked)
		a->rcode = LDNS_RCODE_NOERROR;
	a->ttl = MAX(MIN(j->ttl, DNS_TTL_MAX), DNS_TTL_MIN);
	return err;
}

/* ---- the message ------------------------------------------------------------------- */

static bool question_matches(const uint8_t *msg, size_t len, size_t *pos, const char *name,
			     uint16_t qtype)
{
	char text[DNS_NAME_ESCAPED];

	if (LDNS_QDCOUNT(msg) != 1 || dns_name_read(msg, len, pos, false, text) || len - *pos < 4 ||
	    !str_eq(text, name) || ldns_read_uint16(msg + *pos) != qtype ||
	    ldns_read_uint16(msg + *pos + 2) != LDNS_RR_CLASS_IN)
		return false;
	*pos += 4;
	return true;
}

static int judge_rcode(uint8_t rcode)
{
	switch (rcode) {
	case LDNS_RCODE_NOERROR:
	case LDNS_RCODE_NXDOMAIN:
		return 0;
	case LDNS_RCODE_FORMERR:
	case LDNS_RCODE_NOTIMPL:
		return -EPROTO;
	default:
		return -EREMOTEIO;
	}
}

static int read_records(struct judge *j, size_t pos)
{
	uint32_t n;

	j->nanswer = LDNS_ANCOUNT(j->msg);
	j->nauthority = LDNS_NSCOUNT(j->msg);
	n = j->nanswer + j->nauthority;
	if (n > MAX_RECORDS)
		return -EBADMSG;
	j->records = calloc(n + 1, sizeof(*j->records));
	if (!j->records)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (read_record(j, &pos, &j->records[i]))
			return -EBADMSG;
	return 0;
}

int dns_answer_judge(const uint8_t *msg, size_t len, const char *name, uint16_t qtype, uint16_t id,
		     const struct dns_filter *filter, struct dns_answer **out)
{
	struct judge j = { .msg = msg, .len = len, .qtype = qtype, .filter = filter,
			   .ttl = UINT32_MAX };
	size_t pos = DNS_HEADER;
	int err;

	if (len < DNS_HEADER || !LDNS_QR_WIRE(msg) || LDNS_ID_WIRE(msg) != id ||
	    LDNS_OPCODE_WIRE(msg) != LDNS_PACKET_QUERY)
		return -EAGAIN;
	err = judge_rcode(LDNS_RCODE_WIRE(msg));
	/* some servers do not repeat a question that they do not understand */
	if (err && !LDNS_QDCOUNT(msg))
		return err;
	if (!question_matches(msg, len, &pos, name, qtype))
		return -EAGAIN;
	if (err)
		return err;
	if (LDNS_TC_WIRE(msg))
		return -EMSGSIZE;
	j.a = dns_answer_new(LDNS_RCODE_WIRE(msg), false);
	if (!j.a)
		return -ENOMEM;
	strcpy(j.at, name);
	err = read_records(&j, pos);
	if (!err)
		err = judge_records(&j);
	free(j.records);
	if (err) {
		dns_answer_unref(j.a);
		return err;
	}
	*out = j.a;
	return 0;
}
