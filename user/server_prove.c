/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * "prove": try every hook, and open a resolver that allows nothing, for `egressctl
 * doctor` to ask. Any user may: what comes of it is no secret, and it costs one
 * process now and then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf_load.h"
#include "dns.h"
#include "prove.h"
#include "server_int.h"
#include "util.h"

/* For users other than root, who could keep the service busy with it. */
#define FRESH_NS 10000000000ull

struct proof {
	uint64_t when; /* CLOCK_BOOTTIME, ns; 0: never */
	struct prove_result results[];
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int prove(struct server *s, bool fresh, struct diag *d)
{
	struct prover *p = NULL;
	int err;

	if (!s->proof)
		s->proof = calloc(1, sizeof(*s->proof) +
				     prove_nrows * sizeof(s->proof->results[0]));
	if (!s->proof)
		return diag_set(d, -ENOMEM, "out of memory");
	if (!fresh && s->proof->when && now_ns() - s->proof->when < FRESH_NS)
		return 0;
	err = prover_new(s->a, s->publisher, s->sandboxes, &p, d);
	if (!err)
		err = prover_run(p, s->proof->results, d);
	prover_free(p);
	s->proof->when = err ? 0 : now_ns();
	return err;
}

static json_t *hooks(const struct proof *proof)
{
	static const char *const states[] = {
		[PROVE_ABSENT] = "absent", [PROVE_PROVED] = "proved",
		[PROVE_SILENT] = "silent", [PROVE_UNTRIED] = "untried",
	};
	json_t *list = json_array();

	for (size_t i = 0; i < prove_nrows; i++) {
		const struct prove_result *r = &proof->results[i];

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

void serve_prove(struct conn *c, json_t *request, int *fds, size_t nfds)
{
	struct diag d = {}, dns = {};
	int port;

	(void)request;
	(void)fds;
	(void)nfds;
	if (prove(c->s, !c->peer.uid, &d)) {
		conn_error_diag(c, 125, &d);
		return;
	}
	port = open_resolver(c, &dns);
	conn_reply(c, json_pack("{s:o, s:i, s:s?}", "hooks", hooks(c->s->proof), "resolver", port,
				"resolver_error", port ? NULL : dns.msg));
}

void conn_prove_end(struct conn *c)
{
	dns_client_free(c->proof_resolver);
}

void server_prove_stop(struct server *s)
{
	free(s->proof);
}
