/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A resolver under test: messages made by hand, an upstream that answers as the
 * test says, sandboxes that note what is bound and refused, and programs that
 * ask. All on one loop and a clock that stands still unless it is moved.
 */
#ifndef DNS_HELP_H
#define DNS_HELP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dns.h"
#include "dns_ldns.h"

/* ---- messages by hand -------------------------------------------------------------- */

struct msg {
	size_t len;
	uint8_t p[65535];
};

void msg_header(struct msg *m, uint16_t id, uint16_t flags, uint16_t qd, uint16_t an, uint16_t ns,
		uint16_t ar);
void msg_u16(struct msg *m, uint16_t v);
void msg_u32(struct msg *m, uint32_t v);
void msg_bytes(struct msg *m, const void *p, size_t len);
void msg_name(struct msg *m, const char *name); /* dots separate labels; nothing else is special */
void msg_question(struct msg *m, const char *name, uint16_t qtype);
void msg_rr(struct msg *m, const char *name, uint16_t type, uint32_t ttl, const void *rdata,
	    size_t len);
void msg_a(struct msg *m, const char *name, uint32_t ttl, const char *addr); /* A or AAAA */
void msg_target(struct msg *m, const char *name, uint16_t type, uint32_t ttl, const char *target);
void msg_soa(struct msg *m, const char *zone, uint32_t ttl, uint32_t minimum);
/* header and question of an answer to the question `q` */
void msg_answer(struct msg *m, const struct msg *q, uint16_t flags, uint16_t an, uint16_t ns);

#define ANSWER 0x8180 /* QR, RD, RA */
#define TRUNCATED 0x0200

/* printf at the end of what is there. */
void put_text(char *out, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A message as text: rcode, flags of interest, records; a line each. Static. */
const char *msg_text(const uint8_t *p, size_t len);

uint8_t *addr_of(const char *text, uint8_t addr[16]); /* mapped */

/* ---- an upstream ------------------------------------------------------------------- */

struct upstream {
	sd_event *loop;
	int udp, tcp;
	uint16_t port;
	sd_event_source *io[2];
	unsigned int asked, asked_tcp;
	struct msg last; /* what it was asked */
	/* Fill `a`; 0 bytes: silence. Called again for further answers while it returns true. */
	bool (*answer)(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		       struct msg *a);
	const char *addr; /* for answers by default */
	uint32_t ttl;
};

/* `port` 0: any; `ip` e.g. "127.0.0.1". Answers A with `addr` unless told otherwise. */
void upstream_open(struct upstream *u, sd_event *loop, const char *ip, uint16_t port);
void upstream_close(struct upstream *u);
/* what it answers unless told otherwise, and nothing */
bool upstream_answer(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		     struct msg *a);
bool upstream_silent(struct upstream *u, unsigned int nth, const struct msg *q, bool tcp,
		     struct msg *a);

/* ---- sandboxes --------------------------------------------------------------------- */

struct rule {
	const char *name; /* ".x" allows what is below x; "" ends the list */
	uint32_t classes;
};

struct bound {
	uint8_t addr[16];
	uint32_t classes;
	uint64_t expires, used;
	bool in_use;
};

struct box {
	struct dns_client *c;
	const struct rule *rules;
	const char *private_ok; /* the special address that is allowed */
	struct bound *bound;
	size_t nbound, cap;
	char refused[4096]; /* "name type" or "name type addr", a line each */
	int bind_error; /* what bind returns for new addresses */
};

extern const struct dns_ops box_ops;
struct bound *box_bound(struct box *b, const char *addr); /* NULL: not bound */

/* ---- all of it --------------------------------------------------------------------- */

#define MS 1000000ull
#define SEC 1000000000ull
extern uint64_t test_clock;

struct rig {
	sd_event *loop;
	struct dns *dns;
	struct upstream up;
	char dir[64]; /* holds resolv.conf and hosts */
	struct dns_options o;
	char resolv_conf[96], hosts[96];
};

void rig_write(struct rig *r, const char *path, const char *text); /* anew, by rename */
void rig_open(struct rig *r, const char *resolv_conf, const char *hosts, uint32_t timeout_ms);
void rig_close(struct rig *r);
void rig_serve(struct rig *r, struct box *b, const struct rule *rules);

/* A program's socket. */
struct asker {
	int fd;
	struct msg in; /* the last answer, without TCP's length */
};
void asker_open(struct asker *a, const struct box *b, bool v6, bool tcp);
void asker_close(struct asker *a);
void asker_send(struct asker *a, const struct msg *m, bool tcp);
/* Run the loop until an answer came; false: the connection ended. */
bool asker_wait(struct rig *r, struct asker *a, bool tcp);

/* Ask with EDNS, and wait. The answer as msg_text(). */
const char *ask(struct rig *r, struct box *b, const char *name, uint16_t qtype);
/* With the message as it is. */
const char *ask_msg(struct rig *r, struct box *b, const struct msg *m, bool tcp);
void query_msg(struct msg *m, const char *name, uint16_t qtype, bool edns);

/*
 * As most tests need it: a fixture. Both sandboxes allow www.allowed.test (class
 * 1), other.allowed.test (2) and what is below wild.test (4).
 */
extern struct rig r;
extern struct box box, second;
int rig_setup(void **state);
int rig_setup_impatient(void **state); /* where an upstream is silent */
int rig_teardown(void **state);

#define REFUSED_TEXT "NXDOMAIN ede15\n"
#define ANSWERED "NOERROR\nwww.allowed.test. 60 A 203.0.113.5\n"

#endif
