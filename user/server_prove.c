/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * "prove": what the canary found, and a resolver that allows nothing, for `egressctl
 * doctor` to ask. Any user may: what comes of it is no secret. Root gets a round of its
 * own, so that what it changed a moment ago shows; others, who could keep the service
 * busy with it, what the last one found.
 */
#include <errno.h>
#include <string.h>

#include "dns.h"
#include "prove.h"
#include "server_int.h"
#include "util.h"

static json_t *hooks(const struct prove_result *results)
{
	static const char *const states[] = {
		[PROVE_ABSENT] = "absent", [PROVE_PROVED] = "proved",
		[PROVE_SILENT] = "silent", [PROVE_UNTRIED] = "untried",
	};
	json_t *list = json_array();

	for (size_t i = 0; i < prove_nrows; i++) {
		const struct prove_result *r = &results[i];

		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "program",
					prove_rows[i].prog, "layer",
					prove_rows[i].cgroup ? "cgroup" : "lsm", "access",
					prove_rows[i].access, "state", states[r->state], "outside",
					r->control, "inside", r->got));
	}
	return list;
}

/* ---- a resolver for which no name is allowed --------------------------------------------- */

static uint32_t no_classes(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return 0;
}

static void refused(void *ctx, const char *name, uint16_t qtype, const uint8_t addr[16])
{
	(void)ctx;
	(void)name;
	(void)qtype;
	(void)addr;
}

/* The port it listens at on localhost, until the connection ends. 0: none, see `d`. */
static int open_resolver(struct conn *c, struct diag *d)
{
	/* the others are for names that are allowed */
	static const struct dns_ops ops = { .classes = no_classes, .refused = refused };

	if (!c->proof_resolver && dns_serve(c->s->dns, -1, &ops, c, &c->proof_resolver, d))
		return 0;
	return dns_client_port(c->proof_resolver);
}

static void answer(struct conn *c, const struct prove_result *results)
{
	struct diag dns = {}, why = {};
	int port = open_resolver(c, &dns);
	bool refuses = server_canary_refuses(c->s, &why);

	conn_reply(c, json_pack("{s:o, s:i, s:s?, s:s?}", "hooks", hooks(results), "resolver", port,
				"resolver_error", port ? NULL : dns.msg, "refuses",
				refuses ? why.msg : NULL));
}

bool server_prove_answer(struct server *s, const struct diag *d, uint64_t begun_us)
{
	bool more = false;

	for (struct conn *c = s->conns; c; c = c->next) {
		if (!c->asked_us)
			continue;
		if (c->asked_us > begun_us) {
			more = true;
			continue;
		}
		c->asked_us = 0;
		if (d)
			conn_error_diag(c, 125, d);
		else
			answer(c, server_canary_results(s));
	}
	return more;
}

void serve_prove(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	const struct prove_result *last = server_canary_results(c->s);
	struct diag d = {};

	(void)request;
	(void)fds;
	(void)nfds;
	if (!c->peer.uid) {
		c->asked_us = server_canary_ask(c->s);
	} else if (last) {
		answer(c, last);
	} else {
		(void)server_canary_refuses(c->s, &d);
		conn_error_diag(c, 125, &d);
	}
}

void conn_prove_end(struct conn *c)
{
	dns_client_free(c->proof_resolver);
}
